/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of /dev/ioasid. */
#include "check/command.h"

#include "abi/ioasid.h"

static const struct field get_info[] = {
	FIELD(ioasid_info, flags, "flags", HEX, .not_zero = true),
	FIELD(ioasid_info, ioasid_bits, "bits", NUMBER, .place = OUT),
	{0},
};

static const struct field request_alloc[] = {
	FIELD(ioasid_alloc_request, flags, "flags", HEX, .not_zero = true),
	FIELD(ioasid_alloc_request, range.min, "min", NUMBER),
	FIELD(ioasid_alloc_request, range.max, "max", NUMBER),
	{0},
};

/* The argument is an int, no structure. */
static const struct field request_free[] = {
	{.name = "pasid", .size = sizeof(int32_t), .kind = FD},
	{0},
};

const struct command ioasid_commands[] = {
	{.number = IOASID_GET_API_VERSION, .name = "IOASID_GET_API_VERSION"},
	COMMAND(IOASID_GET_INFO, "IOASID_GET_INFO", ioasid_info, .fields = get_info),
	COMMAND(IOASID_REQUEST_ALLOC, "IOASID_REQUEST_ALLOC", ioasid_alloc_request, .fields = request_alloc),
	{.number = IOASID_REQUEST_FREE, .name = "IOASID_REQUEST_FREE", .fields = request_free},
	{0},
};
