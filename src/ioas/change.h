/* SPDX-License-Identifier: BSD-3-Clause */
/* How changes of an IOAS, its domains and its accesses keep out of each other's way; within ioas/. */
#ifndef IOMMUSE_IOAS_CHANGE_H
#define IOMMUSE_IOAS_CHANGE_H

#include "ioas/ioas.h"

struct dmabuf;

/* Waits for something to change, with the lock held, which is dropped meanwhile. */
void ioas_wait(struct ioas *ioas);

/* Something changed that somebody may wait for; with the lock held. */
static inline void ioas_wake(struct ioas *ioas)
{
	if (__builtin_expect(ioas->waiting, 0))
		pthread_cond_broadcast(&ioas->changed);
}

/* Takes the lock when no domain is being added or removed, so that areas may be changed. */
static inline void ioas_lock(struct ioas *ioas)
{
	pthread_mutex_lock(&ioas->lock);
	while (__builtin_expect(ioas->changing, 0))
		ioas_wait(ioas);
}

static inline void ioas_unlock(struct ioas *ioas)
{
	pthread_mutex_unlock(&ioas->lock);
}

/* Sets the alignment to what the IOAS needs. Returns 0, or -EADDRINUSE: it would have to rise above that of an area.
 * With the lock held. */
int ioas_update_alignment(struct ioas *ioas);

/* Shows an area to all domains, whose pages are pinned. With the lock held. Returns 0, -EINVAL: it may neither be
 * read nor written, or -ENOMEM; then a part may be shown. */
int domains_show(struct ioas *ioas, iova_t iova, uint64_t length, const struct area *area);

/* Takes away what is shown in [start, last]. With the lock held. */
void domains_hide(struct ioas *ioas, iova_t start, iova_t last);

/*
 * Waits until no device uses what was taken away: begin with the lock held and then drop it; then flush without it.
 * Between these nothing may be waited for.
 */
static inline void domains_flush_begin(struct ioas *ioas)
{
	ioas->flushing++;
}

void domains_flush(struct ioas *ioas);

/* Takes away the translations to a dma-buf in all IOASes. When it returns no device uses them. */
void ioas_context_hide(struct ioas_context *context, struct dmabuf *dmabuf);

/*
 * Tells all accesses to drop what they have of an area. With the lock held, which it drops and takes again. They stay
 * in the list while they are called.
 */
void accesses_tell(struct ioas *ioas, iova_t start, uint64_t length);

#endif
