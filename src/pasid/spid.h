/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guests' numbers of PASIDs (SPID): each is unique within its set, and a PASID has at most one. One that has a number
 * is active. The number goes with the PASID, which it does not hold.
 */
#ifndef IOMMUSE_PASID_SPID_H
#define IOMMUSE_PASID_SPID_H

#include <stdbool.h>
#include <stdint.h>

struct ioasid_set;

/* Gives a PASID a number, or another one. Returns 0; -EINVAL: IOASID_INVALID, or the set uses it; -ENOENT: not
 * allocated; -EACCES: another set's; -EBUSY: free pending; -ENOMEM. */
int ioasid_attach_spid(struct ioasid_set *set, uint32_t id, uint32_t spid);

/* Also while it is free pending. -ENOENT: not allocated, or without a number; -EACCES: another set's. */
int ioasid_detach_spid(struct ioasid_set *set, uint32_t id);

/* The PASID of a number, with a reference if get; IOASID_INVALID: none that was not freed. */
uint32_t ioasid_find_by_spid(struct ioasid_set *set, uint32_t spid, bool get);

#endif
