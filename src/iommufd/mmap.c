/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/mmap.h"

#include "client/client.h"
#include "client/file.h"
#include "iommufd/ctx.h"
#include "iommufd/object.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* region NULL: the offsets are taken, but nothing is there yet. */
struct mmap_entry {
	struct mmap_entry *next;
	uint64_t offset, length;
	const struct object *owner;
	struct file_region *region;
};

void ctx_mmaps_init(struct mmaps *mmaps)
{
	pthread_mutex_init(&mmaps->lock, NULL);
	mmaps->first = NULL;
	atomic_init(&mmaps->count, 0);
}

void ctx_mmaps_fini(struct mmaps *mmaps)
{
	pthread_mutex_destroy(&mmaps->lock);
}

/* Puts the entry into the lowest gap that has room. The first page is not used, so that no offset is 0. */
static int take_offset(struct mmaps *mmaps, struct mmap_entry *entry)
{
	struct mmap_entry **link = &mmaps->first;
	uint64_t offset = PAGE_SIZE;

	for (; *link && (*link)->offset - offset < entry->length; link = &(*link)->next)
		offset = (*link)->offset + (*link)->length;
	if (entry->length > INT64_MAX - offset)
		return -ENOMEM;
	entry->offset = offset;
	entry->next = *link;
	*link = entry;
	atomic_fetch_add_explicit(&mmaps->count, 1, memory_order_relaxed);
	return 0;
}

static void take_out(struct mmaps *mmaps, struct mmap_entry *entry)
{
	struct mmap_entry **link = &mmaps->first;

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	atomic_fetch_sub_explicit(&mmaps->count, 1, memory_order_relaxed);
}

int ctx_mmap_add(struct ctx *ctx, struct client *client, struct object *owner, uint64_t length,
		 struct file_region **region)
{
	struct mmaps *mmaps = &ctx->mmaps;
	struct mmap_entry *entry;
	int rc;

	if (!length || length % PAGE_SIZE)
		return -EINVAL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->length = length;
	entry->owner = owner;
	pthread_mutex_lock(&mmaps->lock);
	rc = take_offset(mmaps, entry);
	pthread_mutex_unlock(&mmaps->lock);
	if (rc) {
		free(entry);
		return rc;
	}
	rc = client->ops->region_new ? client->ops->region_new(client, &ctx->file, entry->offset, length, region)
				     : -ENOMEM;
	pthread_mutex_lock(&mmaps->lock);
	if (rc)
		take_out(mmaps, entry);
	else
		entry->region = *region;
	pthread_mutex_unlock(&mmaps->lock);
	if (rc)
		free(entry);
	return rc;
}

void ctx_mmap_remove(struct ctx *ctx, struct file_region *region)
{
	struct mmaps *mmaps = &ctx->mmaps;
	struct mmap_entry *entry;

	pthread_mutex_lock(&mmaps->lock);
	entry = mmaps->first;
	while (entry->region != region)
		entry = entry->next;
	entry->region = NULL;
	pthread_mutex_unlock(&mmaps->lock);
	/* Nobody finds it any more, and nobody else has its offset yet. */
	if (region->withdraw)
		region->withdraw(region);
	pthread_mutex_lock(&mmaps->lock);
	take_out(mmaps, entry);
	pthread_mutex_unlock(&mmaps->lock);
	free(entry);
	file_region_put(region);
}

/* The first region of an owner from an offset on, with a reference; NULL: none. */
static struct file_region *next_of(struct mmaps *mmaps, uint32_t owner, uint64_t offset)
{
	struct file_region *region = NULL;

	pthread_mutex_lock(&mmaps->lock);
	for (const struct mmap_entry *entry = mmaps->first; entry && !region; entry = entry->next)
		if (entry->owner->id == owner && entry->region && entry->offset >= offset)
			region = file_region_get(entry->region);
	pthread_mutex_unlock(&mmaps->lock);
	return region;
}

bool ctx_mmap_busy(struct ctx *ctx, uint32_t owner)
{
	struct mmaps *mmaps = &ctx->mmaps;
	struct file_region *region;
	uint64_t offset = 0;
	bool busy = false;

	if (!atomic_load_explicit(&mmaps->count, memory_order_relaxed))
		return false;
	while (!busy && (region = next_of(mmaps, owner, offset))) {
		busy = region->mapped(region);
		offset = region->offset + region->length;
		file_region_put(region);
	}
	return busy;
}

/* An owner that is not found is going, or not yet there. */
static bool alive(struct ctx *ctx, const struct object *owner)
{
	struct object *found = object_get(ctx, owner->id, owner->ops->type);

	if (found)
		object_put(found);
	return found == owner;
}

int ctx_mmap(struct file *file, struct client *client, uint64_t length, int prot, int flags, uint64_t offset,
	     struct file_region **region)
{
	struct ctx *ctx = ctx_of(file);
	const struct mmap_entry *entry;
	int rc = -ENXIO;

	(void)client;
	if (length % PAGE_SIZE)
		return -EINVAL;
	if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (prot & PROT_EXEC)
		return -EPERM;
	pthread_mutex_lock(&ctx->mmaps.lock);
	for (entry = ctx->mmaps.first; entry && entry->offset != offset; entry = entry->next)
		;
	if (entry && entry->region && entry->length == length && alive(ctx, entry->owner)) {
		*region = file_region_get(entry->region);
		rc = 0;
	}
	pthread_mutex_unlock(&ctx->mmaps.lock);
	return rc;
}
