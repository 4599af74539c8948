/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file that holds what a disk holds: a regular file or a block device. All that takes time is asynchronous, by one
 * of two engines: io_uring, or threads where that is refused. Not thread-safe: one thread at a time uses an image.
 *
 * A small write into the page cache takes less time than to hand it to another thread, which is what io_uring does with
 * it on most file systems. So it is done at once, unless that has taken some time since the last push, or a write has
 * taken long in the last second. The same is done with a read that need not wait, if there is nothing else.
 *
 * Who reads what is just being written gets all of it or nothing. The page cache of most file systems does not promise
 * even a sector, so reads and what changes the same bytes wait for each other, in the order in which they came.
 *
 * Of several fdatasync() at once the kernel tells one that something was lost. So there is one at a time, and flushes
 * that come meanwhile end with the next, which is done once for all of them. Writes that are on disk when they are done
 * do not wait for each other, and one is told in another's place: so the file is open twice, and by the second
 * descriptor, the witness, nothing is done but to ask what was lost.
 */
#ifndef IOMMUSE_DEVICES_NVME_IMAGE_H
#define IOMMUSE_DEVICES_NVME_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* So many operations may be under way. */
#define IMAGE_DEPTH 512U

enum image_op {
	IMAGE_READ,
	IMAGE_WRITE,
	IMAGE_FLUSH,   /* what was done before it began is on disk when it is done */
	IMAGE_ZERO,    /* -EOPNOTSUPP: write zeroes instead */
	IMAGE_DISCARD, /* reads as zeroes then, or nothing has changed */
};

/* An operation. It, and its buffer, stay until it is done. */
struct image_io {
	enum image_op op;
	bool durable; /* a write: it is on disk when it is done */
	bool unmap;   /* zeroes: they need no room */
	uint8_t *buffer;
	uint64_t offset;
	uint64_t length;
	int result; /* 0 or -errno */

	/* The image's. */
	uint64_t done;
	int mode; /* of fallocate() */
	int64_t raw;
	struct image_io *next;
	TAILQ_ENTRY(image_io) under_way;
	unsigned waits_for; /* so many that came before */
	bool cancelled;
	unsigned losses; /* that were known when it began */
	bool joined;     /* a flush that waits: it ends with the one under way, which began later */
};

TAILQ_HEAD(image_ios, image_io);

struct image;

/* How operations are done. */
struct image_engine {
	const char *name;
	int (*open)(int fd, void **engine);
	/* Nothing is under way. */
	void (*close)(void *engine);
	/* Begins one, at the latest at push(): done bytes of it are done already. */
	void (*start)(void *engine, struct image_io *io);
	void (*push)(void *engine);
	/* One that has ended, with raw: bytes, or -errno; NULL: there is none. wait: there will be one. */
	struct image_io *(*reap)(void *engine, bool wait);
};

extern const struct image_engine image_uring, image_threads;

struct image_options {
	const char *path;
	uint64_t size; /* 0: what the file has */
	bool read_only;
	const char *engine; /* a name, or "auto" */
};

/* Opens an image, or makes one where there is none and a size is given. Returns 0, or -errno with why not in text. */
int image_open(const struct image_options *options, struct image **result, char *text, size_t room);

/* Waits for what is under way. */
void image_close(struct image *image);

uint64_t image_size(const struct image *image);

/* Does a write behind its end make it longer? */
bool image_grows(const struct image *image);

/* Which file it is: the same number for the same file. */
uint64_t image_identity(const struct image *image);

/* Begins an operation; image_push() sees to it that it is under way. */
void image_start(struct image *image, struct image_io *io);
void image_push(struct image *image);

/* Those that wait for others end without having begun, as if they were done. */
void image_cancel(struct image *image);

/* One that is done; NULL: none is. */
struct image_io *image_reap(struct image *image);

#endif
