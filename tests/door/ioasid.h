/* SPDX-License-Identifier: BSD-3-Clause */
/* What the clients share that have PASIDs of their own: /dev/ioasid, with definitions of its own. */
#ifndef IOASID_H
#define IOASID_H

#include "door.h"

#include <fcntl.h>

#define DEV_IOASID "/dev/ioasid"

/* Commands: type 'i', no size or direction in the number. */
enum {
	IOASID_GET_API_VERSION = 0x6964,
	IOASID_GET_INFO,
	IOASID_REQUEST_ALLOC,
	IOASID_REQUEST_FREE,
};
enum { ANY_LAST = 0x7fffffff };

struct ioasid_info {
	uint32_t argsz, flags, bits;
};
struct ioasid_alloc_request {
	uint32_t argsz, flags, min, max;
};

static inline int ioasid_open(void)
{
	return (int)ERR(open(DEV_IOASID, O_RDWR | O_CLOEXEC));
}

/* The PASID, or -errno. */
static inline long ioasid_alloc(int fd, uint32_t min, uint32_t max)
{
	struct ioasid_alloc_request r = {sizeof(r), 0, min, max};

	return ERR(ioctl(fd, IOASID_REQUEST_ALLOC, &r));
}

/* The lowest that is free. */
static inline long ioasid_any(int fd)
{
	return ioasid_alloc(fd, 1, ANY_LAST);
}

static inline long ioasid_free(int fd, long pasid)
{
	int id = (int)pasid;

	return ERR(ioctl(fd, IOASID_REQUEST_FREE, &id));
}

static inline long ioasid_version(int fd)
{
	return ERR(ioctl(fd, IOASID_GET_API_VERSION));
}

/* The width of the interface, or -errno. */
static inline long ioasid_bits(int fd)
{
	struct ioasid_info info = {sizeof(info), 0, 0};
	long rc = ERR(ioctl(fd, IOASID_GET_INFO, &info));

	return rc ? rc : (long)info.bits;
}

#endif
