/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listeners are in two lists: a set has its own; those of all sets and those of address spaces are in the space's. Both
 * have the highest priority first, and are gone through together.
 */
#include "pasid/notify.h"

#include "pasid/space.h"

#include <errno.h>

static bool concerns(const struct ioasid_notifier *notifier, const struct ioasid_set *set)
{
	return !notifier->token || notifier->token == set->token;
}

void ioasid_publish_slow(struct ioasid_space *space, struct ioasid *record, uint32_t id, enum ioasid_event event)
{
	const struct ioasid_notice notice = {
		.set = record->set,
		.data = ioasid_more(record, id)->data,
		.id = id,
		.spid = ioasid_spid_of(record, id),
	};
	struct ioasid_notifier *own = record->set->notifiers, *general = space->notifiers;

	while (own || general) {
		struct ioasid_notifier **from =
			!general || (own && own->priority >= general->priority) ? &own : &general;
		struct ioasid_notifier *notifier = *from;

		*from = notifier->next;
		if (concerns(notifier, record->set))
			notifier->notify(notifier, event, &notice);
	}
}

/* Behind those of the same priority. */
static void insert(struct ioasid_notifier **list, struct ioasid_notifier *notifier)
{
	struct ioasid_notifier **at = list;

	while (*at && (*at)->priority >= notifier->priority)
		at = &(*at)->next;
	notifier->next = *at;
	notifier->list = list;
	*at = notifier;
}

int ioasid_register_notifier(struct ioasid_space *space, struct ioasid_set *set, struct ioasid_notifier *notifier)
{
	int rc = work_queue_start(&space->queue);

	if (rc)
		return rc;
	pthread_mutex_lock(&space->lock);
	if (notifier->list || (set && set->current)) {
		rc = -EBUSY;
	} else {
		notifier->set = set;
		notifier->token = 0;
		if (set)
			set->references++;
		insert(set ? &set->notifiers : &space->notifiers, notifier);
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

/* Has a set of this token PASIDs? */
static bool in_use(const struct ioasid_space *space, uint64_t token)
{
	for (const struct ioasid_set *set = space->sets[token % SET_SLOTS]; set; set = set->next)
		if (set->token == token && set->current)
			return true;
	return false;
}

int ioasid_register_notifier_mm(struct ioasid_space *space, uint64_t token, struct ioasid_notifier *notifier)
{
	int rc;

	if (!token)
		return -EINVAL;
	rc = work_queue_start(&space->queue);
	if (rc)
		return rc;
	pthread_mutex_lock(&space->lock);
	if (notifier->list || in_use(space, token)) {
		rc = -EBUSY;
	} else {
		notifier->set = NULL;
		notifier->token = token;
		insert(&space->notifiers, notifier);
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}

int ioasid_unregister_notifier(struct ioasid_space *space, struct ioasid_notifier *notifier)
{
	struct ioasid_notifier **at;
	int rc = -ENOENT;

	pthread_mutex_lock(&space->lock);
	if (notifier->list) {
		for (at = notifier->list; *at != notifier;)
			at = &(*at)->next;
		*at = notifier->next;
		notifier->list = NULL;
		if (notifier->set) {
			notifier->set->references--;
			ioasid_set_release(notifier->set);
		}
		rc = 0;
	}
	pthread_mutex_unlock(&space->lock);
	return rc;
}
