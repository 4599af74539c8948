/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields of structures that a driver reads: offsets are those of the specification's figures. */
#ifndef IOMMUSE_DEVICES_NVME_BYTES_H
#define IOMMUSE_DEVICES_NVME_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void put16(uint8_t *data, unsigned offset, uint16_t value)
{
	memcpy(data + offset, &value, sizeof(value));
}

static inline void put32(uint8_t *data, unsigned offset, uint32_t value)
{
	memcpy(data + offset, &value, sizeof(value));
}

static inline void put64(uint8_t *data, unsigned offset, uint64_t value)
{
	memcpy(data + offset, &value, sizeof(value));
}

/* Filled up with blanks. */
static inline void put_text(uint8_t *data, unsigned offset, size_t room, const char *text)
{
	for (size_t i = 0; i < room; i++)
		data[offset + i] = (uint8_t)(*text ? *text++ : ' ');
}

#endif
