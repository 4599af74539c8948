/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev/ioasid: PASIDs for user space, as proposed for Linux in February 2021 ("IOASID extensions for guest SVA") and
 * never merged. Numbers and layouts are those of the proposal.
 *
 * What the errnos mean. EBUSY: the node is opened, and this process has it open already. EPERM: the file belongs to
 * another process. ENOSPC: no PASID of the range is free. EAGAIN: a quota is used up. ENOENT: nobody allocated it.
 * EACCES: another process did. EINVAL: the request is malformed. ENOMEM: out of memory. EFAULT: a bad pointer. ENOTTY:
 * no such command.
 */
#ifndef IOMMUSE_ABI_IOASID_H
#define IOMMUSE_ABI_IOASID_H

#include <stdint.h>
#include <sys/ioctl.h>

#define IOASID_TYPE 'i'
#define IOASID_BASE 100

#define IOASID_API_VERSION 0

/* The width of this interface: a PASID is returned as an int. How many there are is another matter. */
#define IOASID_BITS 31

struct ioasid_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t ioasid_bits;
};

struct ioasid_request_range {
	uint32_t min;
	uint32_t max;
};

struct ioasid_alloc_request {
	uint32_t argsz;
	uint32_t flags;
	struct ioasid_request_range range;
};

/* Returns IOASID_API_VERSION. */
#define IOASID_GET_API_VERSION _IO(IOASID_TYPE, IOASID_BASE + 0)

/* struct ioasid_info */
#define IOASID_GET_INFO _IO(IOASID_TYPE, IOASID_BASE + 1)

/* struct ioasid_alloc_request; returns the PASID. */
#define IOASID_REQUEST_ALLOC _IO(IOASID_TYPE, IOASID_BASE + 2)

/* int *: the PASID */
#define IOASID_REQUEST_FREE _IO(IOASID_TYPE, IOASID_BASE + 3)

#endif
