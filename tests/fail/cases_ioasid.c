/* SPDX-License-Identifier: BSD-3-Clause */
/* PASIDs for user space. */
#include "cases.h"
#include "set_ups.h"

#include "abi/ioasid.h"

#include <fcntl.h>
#include <string.h>

static void open_ioasid(struct world *w, struct outcome *out)
{
	long fd = world_open(w, "/dev/ioasid", O_RDWR);

	if (fd >= 0)
		w->ioasid = (int)fd;
	out->rc = fd < 0 ? fd : 0;
}

static void get_info(struct world *w, struct outcome *out)
{
	struct ioasid_info info = {.argsz = sizeof(info)};

	out->rc = world_ioctl(w, w->ioasid, IOASID_GET_INFO, &info);
	STORE(out, info);
}

static void allocate(struct world *w, struct outcome *out)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {1, INT32_MAX}};

	out->rc = world_ioctl(w, w->ioasid, IOASID_REQUEST_ALLOC, &request);
}

/* In memory that nothing was allocated in so far. */
static void allocate_far_away(struct world *w, struct outcome *out)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {500000, INT32_MAX}};

	out->rc = world_ioctl(w, w->ioasid, IOASID_REQUEST_ALLOC, &request);
}

static void release(struct world *w, struct outcome *out)
{
	int32_t id = 1;

	out->rc = world_ioctl(w, w->ioasid, IOASID_REQUEST_FREE, &id);
}

static void close_ioasid(struct world *w, struct outcome *out)
{
	out->rc = world_close(w, w->ioasid);
	w->ioasid = -1;
}

const struct sweep ioasid_sweeps[] = {
	{"open /dev/ioasid", nothing, open_ioasid, 0},
	{"IOASID_GET_INFO", pasids, get_info, STAYS},
	{"IOASID_REQUEST_ALLOC", pasids, allocate, 0},
	{"IOASID_REQUEST_ALLOC, far away", pasids, allocate_far_away, 0},
	{"IOASID_REQUEST_FREE", pasids, release, 0},
	{"close /dev/ioasid", pasids, close_ioasid, 0},
	{0},
};
