/* SPDX-License-Identifier: BSD-3-Clause */
#include "ioas/change.h"

#include <stdlib.h>

static int make_room(struct owner_change *change, size_t more)
{
	size_t room = change->count + more;
	void *of;

	if (room <= change->room)
		return 0;
	room += room / 2;
	of = reallocarray(change->of, room, sizeof(*change->of));
	if (!of)
		return -ENOMEM;
	change->of = of;
	change->room = room;
	return 0;
}

static int add_areas(struct owner_change *change, struct ioas *ioas)
{
	struct range_cursor at;

	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more; more = range_map_next(&at))
		if (((const struct area *)at.range.value)->pages->kind != PAGES_FILE)
			return -EINVAL;
	if (make_room(change, ioas->areas.count))
		return -ENOMEM;
	for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &at); more; more = range_map_next(&at)) {
		struct pages *pages = ((const struct area *)at.range.value)->pages;

		pages_get(pages);
		change->of[change->count].old = NULL;
		change->of[change->count++].pages = pages;
	}
	return 0;
}

int owner_change_add(struct owner_change *change, struct ioas *ioas)
{
	int rc;

	ioas_lock(ioas);
	rc = add_areas(change, ioas);
	ioas_unlock(ioas);
	return rc;
}

/* Charges mm for what it will own. Pages that come a second time have it as their owner then. */
static int charge_all(struct owner_change *change, struct mm *mm)
{
	for (size_t i = 0; i < change->count; i++) {
		struct pages *pages = change->of[i].pages;
		uint64_t pinned = pages_pinned(pages);
		int rc = 0;

		if (pages->mm == mm)
			continue;
		if (pinned)
			rc = account_charge(mm, pages->account, pinned);
		if (rc)
			return rc;
		change->of[i].old = pages->mm;
		change->of[i].charged = pinned;
		pages->mm = mm_get(mm);
	}
	return 0;
}

/* Makes an end of the charges of one owner of each pages: the old one's, or the new one's, which is then not it. */
static void uncharge_all(struct owner_change *change, bool back)
{
	for (size_t i = 0; i < change->count; i++) {
		struct pages *pages = change->of[i].pages;
		struct mm *mm = change->of[i].old;

		if (!mm)
			continue;
		if (back) {
			change->of[i].old = pages->mm;
			pages->mm = mm;
			mm = change->of[i].old;
		}
		if (change->of[i].charged)
			account_uncharge(mm, pages->account, change->of[i].charged);
	}
}

/* All pin locks are held, so that what is pinned and charged stays as it is: nobody else takes two of them. */
int owner_change_commit(struct owner_change *change, struct ioas_context *context, struct mm *mm)
{
	int rc;

	for (size_t i = 0; i < PIN_LOCKS; i++)
		pthread_mutex_lock(&context->pin_lock[i]);
	rc = charge_all(change, mm);
	uncharge_all(change, rc);
	for (size_t i = PIN_LOCKS; i--;)
		pthread_mutex_unlock(&context->pin_lock[i]);
	return rc;
}

void owner_change_end(struct owner_change *change)
{
	for (size_t i = 0; i < change->count; i++) {
		if (change->of[i].old)
			mm_put(change->of[i].old);
		pages_put(change->of[i].pages);
	}
	free(change->of);
}
