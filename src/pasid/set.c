/* SPDX-License-Identifier: BSD-3-Clause */
#include "pasid/space.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t pages_of(const struct ioasid_space *space)
{
	return (space->size - 1) / SET_PAGE_IDS + 1;
}

static struct ioasid_set *find_token(const struct ioasid_space *space, uint64_t token)
{
	for (struct ioasid_set *set = space->sets[token % SET_SLOTS]; set; set = set->next)
		if (set->token == token && !set->ended)
			return set;
	return NULL;
}

/* With one more set; NULL: no memory. */
static struct ioasid_process *process_get(struct ioasid_space *space, uint64_t serial)
{
	struct ioasid_process **first = &space->processes[serial % SET_SLOTS], *process = *first;

	while (process && process->serial != serial)
		process = process->next;
	if (!process) {
		process = calloc(1, sizeof(*process));
		if (!process)
			return NULL;
		process->serial = serial;
		process->next = *first;
		process->link = first;
		if (process->next)
			process->next->link = &process->next;
		*first = process;
	}
	process->sets++;
	return process;
}

static void process_put(struct ioasid_process *process)
{
	if (--process->sets)
		return;
	*process->link = process->next;
	if (process->next)
		process->next->link = process->link;
	free(process);
}

/* With the lock held. */
static int enter(struct ioasid_space *space, struct ioasid_set *set, uint64_t process)
{
	if (set->token && find_token(space, set->token))
		return -EEXIST;
	if (set->token) {
		set->process = process_get(space, process);
		if (!set->process)
			return -ENOMEM;
	}
	set->link = &space->sets[set->token % SET_SLOTS];
	set->next = *set->link;
	if (set->next)
		set->next->link = &set->next;
	*set->link = set;
	return 0;
}

int ioasid_set_new(struct ioasid_space *space, uint64_t token, uint64_t process, uint64_t quota,
		   enum ioasid_set_type type, struct ioasid_set **set)
{
	struct ioasid_set *new;
	int rc;

	if ((type != IOASID_SET_NULL && type != IOASID_SET_MM) || !quota || !token != (type == IOASID_SET_NULL) ||
	    !process != !token)
		return -EINVAL;
	new = calloc(1, sizeof(*new) + pages_of(space) * sizeof(new->page[0]));
	if (!new)
		return -ENOMEM;
	new->space = space;
	new->token = token;
	new->references = 1;
	new->quota = quota;
	pthread_mutex_lock(&space->lock);
	rc = enter(space, new, process);
	pthread_mutex_unlock(&space->lock);
	if (rc)
		free(new);
	else
		*set = new;
	return rc;
}

void ioasid_set_release(struct ioasid_set *set)
{
	if (set->references || set->current)
		return;
	*set->link = set->next;
	if (set->next)
		set->next->link = set->link;
	if (set->process)
		process_put(set->process);
	for (uint32_t i = 0; i < pages_of(set->space); i++)
		free(set->page[i]);
	free(set);
}

void ioasid_set_get(struct ioasid_set *set)
{
	pthread_mutex_lock(&set->space->lock);
	set->references++;
	pthread_mutex_unlock(&set->space->lock);
}

void ioasid_set_put(struct ioasid_set *set)
{
	struct ioasid_space *space = set->space;

	pthread_mutex_lock(&space->lock);
	set->references--;
	ioasid_set_release(set);
	pthread_mutex_unlock(&space->lock);
}

struct ioasid_set *ioasid_set_of_token(struct ioasid_space *space, uint64_t token)
{
	struct ioasid_set *set;

	pthread_mutex_lock(&space->lock);
	set = token ? find_token(space, token) : NULL;
	if (set)
		set->references++;
	pthread_mutex_unlock(&space->lock);
	return set;
}

int ioasid_set_room(struct ioasid_set *set, uint32_t id)
{
	struct set_page **page = &set->page[id / SET_PAGE_IDS];

	if (!*page)
		*page = calloc(1, sizeof(**page));
	return *page ? 0 : -ENOMEM;
}

static void free_page(struct ioasid_set *set, uint32_t first, const struct set_page *page)
{
	for (uint32_t i = 0; i < SET_PAGE_SIZE; i++)
		for (uint64_t left = page->word[i]; left; left &= left - 1) {
			uint32_t id = first + i * 64 + (uint32_t)__builtin_ctzll(left);

			ioasid_free_record(set->space, ioasid_record(set->space, id), id);
		}
}

/* Others are let in after each page. */
void ioasid_set_end(struct ioasid_set *set)
{
	struct ioasid_space *space = set->space;

	pthread_mutex_lock(&space->lock);
	set->ended = true;
	space->claimed -= set->reserved > set->current ? set->reserved - set->current : 0;
	set->reserved = 0;
	for (uint32_t i = 0; i < pages_of(space); i++) {
		if (!set->page[i])
			continue;
		free_page(set, i * SET_PAGE_IDS, set->page[i]);
		pthread_mutex_unlock(&space->lock);
		pthread_mutex_lock(&space->lock);
	}
	set->references--;
	ioasid_set_release(set);
	pthread_mutex_unlock(&space->lock);
}

bool ioasid_set_next(struct ioasid_set *set, uint32_t *id)
{
	struct ioasid_space *space = set->space;
	bool found = false;

	pthread_mutex_lock(&space->lock);
	for (uint32_t at = *id; at < space->size && !found;) {
		const struct set_page *page = set->page[at / SET_PAGE_IDS];
		uint64_t left = page ? page->word[at % SET_PAGE_IDS / 64] & UINT64_MAX << at % 64 : 0;

		found = left;
		if (left)
			*id = at / 64 * 64 + (uint32_t)__builtin_ctzll(left);
		at = page ? (at / 64 + 1) * 64 : (at / SET_PAGE_IDS + 1) * SET_PAGE_IDS;
	}
	pthread_mutex_unlock(&space->lock);
	return found;
}

void ioasid_set_limit(struct ioasid_set *set, uint64_t quota)
{
	pthread_mutex_lock(&set->space->lock);
	set->quota = quota;
	pthread_mutex_unlock(&set->space->lock);
}

void ioasid_set_usage(struct ioasid_set *set, struct ioasid_count *count)
{
	pthread_mutex_lock(&set->space->lock);
	*count = (struct ioasid_count){ioasid_set_count(set), set->quota, set->refused};
	pthread_mutex_unlock(&set->space->lock);
}
