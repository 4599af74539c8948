/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/use.h"

bool uses_meet(const struct ioas *ioas, iova_t start, iova_t last)
{
	for (const struct use *use = ioas->uses; use; use = use->next)
		if (use->start <= last && use->last >= start)
			return true;
	return false;
}

bool uses_pin(const struct ioas *ioas, iova_t start, iova_t last)
{
	for (const struct use *use = ioas->uses; use; use = use->next)
		if (!use->area && use->start <= last && use->last >= start)
			return true;
	return false;
}

bool uses_mark(struct ioas *ioas, iova_t start, iova_t last, const void *removal)
{
	bool marked = false;

	/* One that is marked already is of an area that somebody else took away. */
	for (struct use *use = ioas->uses; use; use = use->next)
		if (use->area && !use->removal && use->start <= last && use->last >= start) {
			use->removal = removal;
			marked = true;
		}
	return marked;
}

static bool is_marked(const struct ioas *ioas, const void *removal)
{
	for (const struct use *use = ioas->uses; use; use = use->next)
		if (use->removal == removal)
			return true;
	return false;
}

void uses_wait(struct ioas *ioas, const void *removal)
{
	pthread_mutex_lock(&ioas->lock);
	while (is_marked(ioas, removal))
		ioas_wait(ioas);
	ioas_unlock(ioas);
}
