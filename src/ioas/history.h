/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was unmapped in an IOAS last, by whom and when, so that DMA to where nothing is mapped any more can be
 * explained.
 *
 * An IOAS has a history from its first map on while somebody listens to faults of DMA. The last HISTORY_RECORDS
 * stretches are kept; noting one costs a few stores and no memory. Guarded by the IOAS's lock.
 */
#ifndef IOMMUSE_IOAS_HISTORY_H
#define IOMMUSE_IOAS_HISTORY_H

#include "base/types.h"

#include <stdbool.h>

struct ioas;

#define HISTORY_RECORDS 1024U

/* A stretch of which each byte was mapped; all: everything was unmapped, wherever it was. */
struct unmapped {
	iova_t start, last;
	uint64_t time_ns; /* as in events */
	int32_t pid;      /* 0: nobody in particular */
	bool all;
};

struct history {
	uint64_t count; /* that were ever noted */
	struct unmapped record[HISTORY_RECORDS];
};

/* NULL: no memory. To be freed by free(). */
struct history *history_new(void);

/* What continues the last one, of the same time and process, becomes a part of it. */
void history_note(struct history *history, const struct unmapped *unmapped);

/* The newest record of an IOVA. Returns false where there is none. */
bool history_find(const struct history *history, iova_t iova, struct unmapped *unmapped);

/* What is known of an IOVA where DMA was blocked. */
struct ioas_place {
	iova_t start, last;
	uint8_t prot;
};

struct ioas_explanation {
	bool mapped;  /* it is mapped now: by below */
	bool revoked; /* but its exporter took back the memory */
	bool has_below, has_above, unmapped;
	struct ioas_place below, above; /* the nearest areas that do not have it */
	struct unmapped last;           /* how what was mapped there went */
};

/* Takes the lock. */
void ioas_explain(struct ioas *ioas, iova_t iova, struct ioas_explanation *explanation);

#endif
