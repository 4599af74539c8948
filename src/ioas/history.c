/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/history.h"

#include "ioas/ioas.h"

#include <stdlib.h>
#include <string.h>

struct history *history_new(void)
{
	struct history *history = malloc(sizeof(*history));

	if (history)
		history->count = 0; /* a record is looked at only after it was written */
	return history;
}

static bool continues(const struct unmapped *old, const struct unmapped *unmapped)
{
	return !old->all && !unmapped->all && old->last + 1 == unmapped->start && unmapped->start &&
	       old->time_ns == unmapped->time_ns && old->pid == unmapped->pid;
}

void history_note(struct history *history, const struct unmapped *unmapped)
{
	struct unmapped *old = &history->record[(history->count - 1) % HISTORY_RECORDS];

	if (history->count && continues(old, unmapped))
		old->last = unmapped->last;
	else
		history->record[history->count++ % HISTORY_RECORDS] = *unmapped;
}

bool history_find(const struct history *history, iova_t iova, struct unmapped *unmapped)
{
	const uint64_t count = history->count;

	for (uint64_t i = 1; i <= count && i <= HISTORY_RECORDS; i++) {
		const struct unmapped *record = &history->record[(count - i) % HISTORY_RECORDS];

		if (record->all || (iova >= record->start && iova <= record->last)) {
			*unmapped = *record;
			return true;
		}
	}
	return false;
}

static struct ioas_place place_of(const struct range *range)
{
	return (struct ioas_place){range->start, range->last, ((const struct area *)range->value)->prot};
}

void ioas_explain(struct ioas *ioas, iova_t iova, struct ioas_explanation *explanation)
{
	struct range met;

	memset(explanation, 0, sizeof(*explanation));
	pthread_mutex_lock(&ioas->lock);
	if (range_map_find_below(&ioas->areas, iova, &met)) {
		explanation->below = place_of(&met);
		explanation->mapped = met.last >= iova;
		explanation->has_below = !explanation->mapped;
		explanation->revoked = explanation->mapped && pages_revoked(((const struct area *)met.value)->pages);
	}
	if (!explanation->mapped && range_map_find(&ioas->areas, iova, UINT64_MAX, &met)) {
		explanation->above = place_of(&met);
		explanation->has_above = true;
	}
	if (!explanation->mapped && ioas->history)
		explanation->unmapped = history_find(ioas->history, iova, &explanation->last);
	pthread_mutex_unlock(&ioas->lock);
}
