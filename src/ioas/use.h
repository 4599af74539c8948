/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An access that uses areas of an IOAS for a moment without its lock. Whoever takes areas away waits for those that use
 * them; whoever detaches an access waits for its own. Guarded by the IOAS's lock; lives on its thread's stack. Within
 * ioas/.
 */
#ifndef IOMMUSE_IOAS_USE_H
#define IOMMUSE_IOAS_USE_H

#include "ioas/change.h"

struct use {
	struct use *next, **link;
	struct access *access;
	const struct area *area; /* copies bytes of it; NULL: pins any areas of [start, last] */
	iova_t start, last;
	const void *removal; /* who took the area away and waits */
};

static inline void use_begin(struct ioas *ioas, struct use *use)
{
	use->removal = NULL;
	use->next = ioas->uses;
	use->link = &ioas->uses;
	if (use->next)
		use->next->link = &use->next;
	ioas->uses = use;
}

static inline void use_end(struct ioas *ioas, struct use *use)
{
	*use->link = use->next;
	if (use->next)
		use->next->link = use->link;
	ioas_wake(ioas);
}

/* Does a thread use something of [start, last]? */
bool uses_meet(const struct ioas *ioas, iova_t start, iova_t last);

/* Is a thread pinning something of [start, last]? */
bool uses_pin(const struct ioas *ioas, iova_t start, iova_t last);

/* Marks the uses of areas in [start, last], all of which have just been taken away. Returns whether there are some. */
bool uses_mark(struct ioas *ioas, iova_t start, iova_t last, const void *removal);

/* Waits for those that were marked. */
void uses_wait(struct ioas *ioas, const void *removal);

#endif
