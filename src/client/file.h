/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open file of the system: what stands behind a descriptor that a client holds. One struct file for each open of a
 * node, and for each event queue. Reference counted: the descriptors together hold one reference, each call in flight
 * holds one, and so does whatever else pins the file (a device that is bound to an iommufd). The last put releases it.
 */
#ifndef IOMMUSE_CLIENT_FILE_H
#define IOMMUSE_CLIENT_FILE_H

#include "base/types.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct client;
struct file;
struct memory_file;

/*
 * A part of a file that clients can map, whole. client_ops->region_new() makes it with one reference, its maker's; who
 * is just mapping it, or asks whether it is mapped, has another one.
 */
struct file_region {
	_Atomic unsigned refs;
	uint64_t offset, length;
	void *memory; /* the same bytes in this process */
	int fd;       /* what a client in this process maps, at fd_offset; -1: it is somebody else's business */
	uint64_t fd_offset;
	/* Does anybody have it mapped? Asks the system: called without locks. */
	bool (*mapped)(struct file_region *region);
	/* Its offset is going to be another region's. May be NULL. */
	void (*withdraw)(struct file_region *region);
	void (*release)(struct file_region *region); /* the last reference is gone */
};

static inline struct file_region *file_region_get(struct file_region *region)
{
	atomic_fetch_add_explicit(&region->refs, 1, memory_order_relaxed);
	return region;
}

static inline void file_region_put(struct file_region *region)
{
	if (atomic_fetch_sub_explicit(&region->refs, 1, memory_order_acq_rel) == 1)
		region->release(region);
}

/*
 * All return -errno on failure. A NULL entry is what Linux does without it: ioctl -ENOTTY, read, write -EINVAL,
 * poll readable and writable, mmap -ENODEV. Called without locks, from any thread, with a reference held by the caller.
 */
struct file_ops {
	/* The path that the file shows: "/dev/iommu", or "anon_inode:[iommufd-pgfault]". */
	const char *name;
	/* An event queue: it has no node, its poll changes, and its read and write reach the ops whatever the position.
	 */
	_Bool event_queue;
	/* A device: what of it can be mapped has its place below 16 TiB, and read and write reach the ops. */
	_Bool device;
	long (*ioctl)(struct file *file, struct client *client, unsigned cmd, uint64_t arg);
	ssize_t (*read)(struct file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos);
	ssize_t (*write)(struct file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos);
	unsigned (*poll)(struct file *file); /* POLLIN, POLLOUT, ... that hold now */
	/* Checks a mapping of length bytes at offset with PROT_* and MAP_*. Returns 0 and the region that is to be
	 * mapped, with a reference. */
	int (*mmap)(struct file *file, struct client *client, uint64_t length, int prot, int flags, uint64_t offset,
		    struct file_region **region);
	/* The file as memory to be mapped for DMA: a dma-buf. NULL: it is none. Returns 0 or -errno. */
	int (*memory)(struct file *file, struct memory_file **memory);
	/* The last descriptor is gone: it may still be pinned by others. Optional. Who gives a file another descriptor
	 * at that moment finds this called for the one before. */
	void (*closed)(struct file *file);
	/* The last reference is gone: frees the file. */
	void (*release)(struct file *file);
};

struct file {
	const struct file_ops *ops;
	_Atomic unsigned refs;
	/* Whether it has descriptors; 0: none so far. Counted by the library (system/fd_table.c); the supervisor, which
	 * asks the kernel, keeps how far it is with the first (supervisor/standin.h). */
	_Atomic unsigned descriptors;
	uint64_t serial; /* names the file in events; never reused within a system */
	/* Set by who made a descriptor for it: what poll says may have changed. Called without locks, from any thread.
	 */
	void (*_Atomic poll_changed)(struct file *file);
	void *poll_context; /* its own; set before it */
};

/* To be called after each change of what ops->poll says, by the queue's owner, without locks. */
static inline void file_poll_changed(struct file *file)
{
	void (*changed)(struct file *) = atomic_load_explicit(&file->poll_changed, memory_order_acquire);

	if (changed)
		changed(file);
}

static inline void file_init(struct file *file, const struct file_ops *ops)
{
	file->ops = ops;
	atomic_init(&file->refs, 1);
	atomic_init(&file->descriptors, 0);
	file->serial = 0;
	atomic_init(&file->poll_changed, NULL);
	file->poll_context = NULL;
}

static inline struct file *file_get(struct file *file)
{
	atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
	return file;
}

/* For who keeps a file in sight without a reference, until its release() has passed his lock. False: that is to come.
 */
static inline bool file_get_live(struct file *file)
{
	unsigned refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&file->refs, &refs, refs + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

static inline void file_put(struct file *file)
{
	if (atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) == 1)
		file->ops->release(file);
}

#endif
