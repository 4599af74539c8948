/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mappings of this process that hold clients' memory, found again by what they map, so that memory which many maps
 * use is mapped once. None is kept that nobody uses: it would keep its file from being sealed, and its memory from
 * being freed.
 */
#ifndef IOMMUSE_CLIENT_HOLDS_H
#define IOMMUSE_CLIENT_HOLDS_H

#include "client/memory.h"

/* Mappings cover whole windows of this size as far as there is memory; so they start where huge pages do. */
#define HOLD_WINDOW (UINT64_C(1) << 30)

struct holds;

/* copy: what hold->copy is to be, for memory that may be cut off. NULL: no memory. */
struct holds *holds_new(size_t (*copy)(void *dst, const void *src, size_t n));

/* The holds that there are keep it. */
void holds_put(struct holds *holds);

/* What a mapping shows. */
struct hold_key {
	dev_t dev;
	ino_t ino;
	uint64_t offset, length;
	bool writable;
	bool cut; /* the memory behind it may be cut off */
};

/* A hold of all of that, with a reference, or NULL. Any thread. */
struct hold *holds_find(struct holds *holds, const struct hold_key *key);

/* Makes a mapping a hold; it is unmapped with the last reference. holds may be NULL: it is not found again. NULL: no
 * memory, the mapping is still the caller's. */
struct hold *holds_add(struct holds *holds, const struct hold_key *key, void *host);

/* Is anything held; is anything of this file? Any thread. */
bool holds_any(const struct holds *holds);
bool holds_file(struct holds *holds, dev_t dev, ino_t ino);

/*
 * The bytes [start, end) of a file are about to go, whole pages of it: what is held of them becomes a copy that stays.
 * fd is a descriptor of the file that nobody else uses. The holds are not found again. What cannot be copied for want
 * of memory goes with the file.
 */
void holds_cut(struct holds *holds, int fd, dev_t dev, ino_t ino, uint64_t start, uint64_t end);

/* A run of a hold's memory from an offset in the file on; consumes the reference. */
void hold_run(struct hold *hold, uint64_t offset, uint64_t length, struct memory_run *run);

/*
 * Maps a window of a file around what is wanted and holds it. end: of what there is to map, in whole pages of the file.
 * Writable where that can be, as others may want it. Returns 0, -ENOMEM, or -EFAULT: there is not as much, it
 * cannot be written, or not be mapped.
 */
int memory_map(struct holds *holds, int fd, const struct hold_key *want, uint64_t end, struct hold **hold);

#endif
