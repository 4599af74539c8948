/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What MAP, UNMAP, COPY and their container forms do to an IOAS without page tables, in the plainest way: an array of
 * areas in no order that every question walks. Slow and meant to be obviously right; model_random.c compares the system
 * with it.
 */
#ifndef IOMMUSE_TESTS_MODEL_H
#define IOMMUSE_TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MODEL_AREAS = 256,
	MODEL_RANGES = 8,
};

struct area {
	uint64_t iova, last;
	uint64_t addr; /* the address, or the offset in the file, of its first byte */
	bool writable; /* its pages are */
};

struct range {
	uint64_t start, last;
};

struct space {
	struct area area[MODEL_AREAS];
	unsigned areas;
	struct range allowed[MODEL_RANGES];
	unsigned ranges;
	bool small_pages;
};

struct request {
	bool fixed, writable;
	uint64_t addr, length, iova; /* iova: then the one that was chosen */
};

uint64_t model_alignment(const struct space *space);

/* All return 0 or -errno and change the space as the call would. */
int model_map(struct space *space, struct request *request);
int model_map_file(struct space *space, struct request *request);
int model_container_map(struct space *space, struct request *request);
/* request.iova: where to. */
int model_copy(struct space *dst, const struct space *src, struct request *request, uint64_t src_iova);
/* *length: then the bytes removed, where the call tells them. */
int model_unmap(struct space *space, uint64_t iova, uint64_t *length);
int model_container_unmap(struct space *space, uint64_t iova, uint64_t *size);
int model_allow(struct space *space, const struct range *ranges, unsigned count);
int model_huge_pages(struct space *space, uint64_t value);
/* Sum over the areas. */
uint64_t model_bytes(const struct space *space);

#endif
