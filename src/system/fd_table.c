/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "system/fd_table.h"

#include "client/file.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define FREE     UINT64_C(0)
#define OPEN     UINT64_C(1)
#define CLOSING  UINT64_C(2)
#define RESERVED UINT64_C(4)
#define ONE_CALL UINT64_C(256)
#define CALLS(w) ((w) / ONE_CALL)

/* Values of file.descriptors: the count in its upper bits. */
#define FILE_OPENED 1U /* it has had one */
#define FILE_ONE    2U
#define FILE_CLOSED UINT_MAX /* for good */

int fd_table_init(struct fd_table *table, struct system *system)
{
	table->system = system;
	for (unsigned i = 0; i < FD_CHUNKS; i++)
		atomic_init(&table->chunk[i], NULL);
	table->placeholder = open("/", O_PATH | O_CLOEXEC);
	return table->placeholder < 0 ? -errno : 0;
}

static struct fd_slot *find_slot(struct fd_table *table, int fd)
{
	struct fd_slot *chunk;

	if (fd < 0 || fd >= FD_CHUNK * FD_CHUNKS)
		return NULL;
	chunk = atomic_load_explicit(&table->chunk[fd / FD_CHUNK], memory_order_acquire);
	return chunk ? &chunk[fd % FD_CHUNK] : NULL;
}

/* The slot of a number, made where there was none. */
static struct fd_slot *make_slot(struct fd_table *table, int fd)
{
	struct fd_slot *slot = find_slot(table, fd);
	struct fd_slot *made;
	struct fd_slot *other = NULL;

	if (slot || fd >= FD_CHUNK * FD_CHUNKS)
		return slot;
	made = calloc(FD_CHUNK, sizeof(*made));
	if (!made)
		return NULL;
	if (!atomic_compare_exchange_strong(&table->chunk[fd / FD_CHUNK], &other, made))
		free(made);
	return find_slot(table, fd);
}

int fd_table_reserve(struct fd_table *table)
{
	int fd = fcntl(table->placeholder, F_DUPFD_CLOEXEC, 0);
	struct fd_slot *slot;
	uint64_t word = FREE;
	int rc;

	if (fd < 0)
		return errno == EINVAL ? -EMFILE : -errno; /* EINVAL: not even 0 is below the limit */
	slot = make_slot(table, fd);
	if (slot && atomic_compare_exchange_strong_explicit(&slot->word, &word, RESERVED, memory_order_acquire,
							    memory_order_relaxed))
		return fd;
	/* The process closed a number of ours behind our back, and got it once more. */
	rc = slot || fd >= FD_CHUNK * FD_CHUNKS ? -EMFILE : -ENOMEM;
	close(fd);
	return rc;
}

void fd_table_unreserve(struct fd_table *table, int fd)
{
	atomic_store_explicit(&find_slot(table, fd)->word, FREE, memory_order_release);
	close(fd);
}

int fd_table_hold(struct file *file)
{
	unsigned count = atomic_load_explicit(&file->descriptors, memory_order_relaxed);

	do {
		if (count == FILE_CLOSED)
			return -ENOENT;
	} while (!atomic_compare_exchange_weak_explicit(&file->descriptors, &count, count + FILE_ONE,
							memory_order_relaxed, memory_order_relaxed));
	return 0;
}

/* What nobody ever had a descriptor of is not closed. */
void fd_table_release(struct fd_table *table, struct file *file)
{
	unsigned last = atomic_fetch_sub_explicit(&file->descriptors, FILE_ONE, memory_order_acq_rel) - FILE_ONE;

	if (last == FILE_OPENED && atomic_compare_exchange_strong(&file->descriptors, &last, FILE_CLOSED))
		system_closed(table->system, file_get(file));
}

void fd_table_install(struct fd_table *table, int fd, struct file *file, int o_flags)
{
	struct fd_slot *slot = find_slot(table, fd);

	atomic_fetch_or_explicit(&file->descriptors, FILE_OPENED, memory_order_relaxed);
	slot->file = file;
	slot->o_flags = o_flags;
	atomic_store_explicit(&slot->word, OPEN, memory_order_release);
}

struct fd_slot *fd_table_enter(struct fd_table *table, int fd)
{
	struct fd_slot *slot = find_slot(table, fd);
	uint64_t word;

	if (!slot)
		return NULL;
	word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	do {
		if ((word & (OPEN | CLOSING)) != OPEN)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word + ONE_CALL, memory_order_acquire,
							memory_order_relaxed));
	return slot;
}

/* The slot is closing, and no call is in it or can enter it. */
static void give_back(struct fd_table *table, int fd, struct fd_slot *slot)
{
	struct file *file = slot->file;

	atomic_store_explicit(&slot->word, FREE, memory_order_release);
	close(fd);
	fd_table_release(table, file);
	file_put(file);
}

void fd_table_leave(struct fd_table *table, int fd, struct fd_slot *slot)
{
	uint64_t word = atomic_fetch_sub_explicit(&slot->word, ONE_CALL, memory_order_acq_rel) - ONE_CALL;

	if (__builtin_expect((word & CLOSING) && !CALLS(word), 0))
		give_back(table, fd, slot);
}

int fd_table_close(struct fd_table *table, int fd)
{
	struct fd_slot *slot = find_slot(table, fd);
	uint64_t word;

	if (!slot)
		return -EBADF;
	word = atomic_load_explicit(&slot->word, memory_order_relaxed);
	do {
		if ((word & (OPEN | CLOSING)) != OPEN)
			return -EBADF;
	} while (!atomic_compare_exchange_weak_explicit(&slot->word, &word, word | CLOSING, memory_order_acq_rel,
							memory_order_relaxed));
	if (!CALLS(word))
		give_back(table, fd, slot);
	return 0;
}

void fd_table_fini(struct fd_table *table)
{
	for (int i = 0; i < FD_CHUNKS; i++) {
		struct fd_slot *chunk = atomic_load_explicit(&table->chunk[i], memory_order_acquire);

		for (int j = 0; chunk && j < FD_CHUNK; j++)
			fd_table_close(table, i * FD_CHUNK + j);
		free(chunk);
	}
	close(table->placeholder);
}
