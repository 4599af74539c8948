/* SPDX-License-Identifier: BSD-3-Clause */
/* What of an iommufd clients can map: regions that drivers of virtual IOMMUs offer, each whole, at its offset. */
#ifndef IOMMUSE_IOMMUFD_MMAP_H
#define IOMMUSE_IOMMUFD_MMAP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct client;
struct ctx;
struct file;
struct file_region;
struct mmap_entry;
struct object;

struct mmaps {
	pthread_mutex_t lock;     /* guards entries */
	struct mmap_entry *first; /* by offset */
	_Atomic uint32_t count;
};

void ctx_mmaps_init(struct mmaps *mmaps);
void ctx_mmaps_fini(struct mmaps *mmaps);

/* For struct file_ops of the iommufd. */
int ctx_mmap(struct file *file, struct client *client, uint64_t length, int prot, int flags, uint64_t offset,
	     struct file_region **region);

/*
 * Makes a region that clients may map (mmap of the iommufd), of length bytes in whole pages, zeroed, at an offset that
 * is free. While it is mapped, DESTROY of its owner is -EBUSY. Stores the region, whose memory the owner may use until
 * ctx_mmap_remove(), which it calls before it is gone. Returns 0, -ENOMEM, -ENFILE, -EINVAL: length.
 */
int ctx_mmap_add(struct ctx *ctx, struct client *client, struct object *owner, uint64_t length,
		 struct file_region **region);
void ctx_mmap_remove(struct ctx *ctx, struct file_region *region);

/* Is a region of this object mapped? */
bool ctx_mmap_busy(struct ctx *ctx, uint32_t owner);

#endif
