/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranges of an IOAS that nobody may map, each with an owner with whom it goes. Reservations may overlap each other.
 * There are few of them: a device has some, the complement of a page table's aperture is two.
 */
#ifndef IOMMUSE_IOAS_RESERVED_H
#define IOMMUSE_IOAS_RESERVED_H

#include "base/types.h"

#include <stdbool.h>

struct reservation {
	iova_t start, last;
	const void *owner;
};

struct iova_span {
	iova_t start, last;
};

struct reserved {
	struct reservation *all;    /* ascending by start */
	struct iova_span *union_of; /* the same addresses as disjoint spans that do not touch, ascending */
	size_t count, room;         /* of all; union_of has the same room */
	size_t spans;
};

#define RESERVED_INIT ((struct reserved){0})

void reserved_clear(struct reserved *reserved);

/* Returns 0 or -ENOMEM. */
int reserved_add(struct reserved *reserved, iova_t start, iova_t last, const void *owner);

/* Drops all reservations of an owner. Needs no memory. */
void reserved_drop(struct reserved *reserved, const void *owner);

bool reserved_meets(const struct reserved *reserved, iova_t start, iova_t last);

/* Finds the lowest stretch of [start, last] that is not reserved. Returns false where there is none. */
bool reserved_hole(const struct reserved *reserved, iova_t start, iova_t last, struct iova_span *hole);

#endif
