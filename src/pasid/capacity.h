/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many PASIDs there may be at once. A part of them can be reserved: for a set, to which so many are then
 * guaranteed, or for what is no set, which keeps them from all. Numbers, not ranges.
 */
#ifndef IOMMUSE_PASID_CAPACITY_H
#define IOMMUSE_PASID_CAPACITY_H

#include <stdint.h>

struct ioasid_set;
struct ioasid_space;

struct ioasid_space_usage {
	uint64_t capacity;
	uint64_t in_use;    /* allocated or free pending */
	uint64_t pending;   /* of these: free pending */
	uint64_t reserved;  /* for no set */
	uint64_t available; /* neither in use nor reserved */
};

void ioasid_space_usage(struct ioasid_space *space, struct ioasid_space_usage *usage);

/* Once, instead of all that the width allows. Returns 0; -EINVAL: 0, or more than the width allows; -EBUSY: it was
 * installed, or more than that is in use or reserved. */
int ioasid_install_capacity(struct ioasid_space *space, uint64_t capacity);

/* Reserves n, or all that is available (0), for no set. Returns how many were reserved by this, or -ENOSPC: not so many
 * are available. */
int64_t ioasid_reserve_capacity(struct ioasid_space *space, uint64_t n);

/* Gives n of them back. Returns how many are available now, or -EINVAL: not so many are reserved. */
int64_t ioasid_cancel_capacity(struct ioasid_space *space, uint64_t n);

/* Guarantees that a set can have n PASIDs at once, until it is given up; 0: none. Returns 0; -ENOSPC: not so many are
 * available; -EINVAL: more than its quota, or the set was given up. */
int ioasid_set_reserve(struct ioasid_set *set, uint64_t n);

#endif
