/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/mm.h"

/* With the lock held. */
static void unlink_watch(struct mm_watch *watch)
{
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	watch->link = NULL;
}

bool mm_watch(struct mm *mm, struct mm_watch *watch)
{
	bool gone;

	pthread_mutex_lock(&mm->watch_lock);
	gone = mm_is_gone(mm);
	watch->link = NULL;
	if (!gone) {
		watch->next = mm->watches;
		watch->link = &mm->watches;
		if (watch->next)
			watch->next->link = &watch->next;
		mm->watches = watch;
	}
	pthread_mutex_unlock(&mm->watch_lock);
	return !gone;
}

void mm_unwatch(struct mm *mm, struct mm_watch *watch)
{
	pthread_mutex_lock(&mm->watch_lock);
	if (watch->link)
		unlink_watch(watch);
	pthread_mutex_unlock(&mm->watch_lock);
}

void mm_announce_gone(struct mm *mm)
{
	pthread_mutex_lock(&mm->watch_lock);
	atomic_store_explicit(&mm->gone, true, memory_order_release);
	while (mm->watches) {
		struct mm_watch *watch = mm->watches;

		unlink_watch(watch);
		watch->gone(watch);
	}
	pthread_mutex_unlock(&mm->watch_lock);
}
