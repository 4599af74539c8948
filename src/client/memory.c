/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "client/memory.h"

#include "client/client.h"
#include "client/dmabuf.h"
#include "client/holds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

void memory_query_end(struct memory_query *query)
{
	hold_put(query->run.hold);
	*query = (struct memory_query){0};
}

static int pin_dmabuf(struct dmabuf *dmabuf, uint64_t offset, uint64_t length, struct memory_run *run)
{
	int rc = 0;

	if (offset >= dmabuf->length || length > dmabuf->length - offset)
		return -EINVAL;
	pthread_mutex_lock(&dmabuf->lock);
	if (dmabuf->revoked)
		rc = -ENODEV;
	pthread_mutex_unlock(&dmabuf->lock);
	*run = (struct memory_run){.length = length, .host = dmabuf->memory + offset};
	return rc;
}

/* Linux does not ask how the file was opened. */
static void *map_writable(int fd, uint64_t offset, uint64_t length)
{
	void *host = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)offset);
	char path[64];
	int again;

	if (host != MAP_FAILED || errno != EACCES)
		return host;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again < 0)
		return MAP_FAILED;
	host = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, again, (off_t)offset);
	close(again);
	return host;
}

int memory_map(struct holds *holds, int fd, const struct hold_key *want, uint64_t end, struct hold **hold)
{
	const uint64_t last = want->offset + want->length - 1;
	struct hold_key key = *want;
	void *host;

	if (want->offset >= end || want->length > end - want->offset)
		return -EFAULT;
	key.offset = want->offset & ~(HOLD_WINDOW - 1);
	key.length = (last | (HOLD_WINDOW - 1)) - key.offset + 1;
	if (key.length > end - key.offset)
		key.length = end - key.offset;
	key.writable = true;
	host = map_writable(fd, key.offset, key.length);
	if (host == MAP_FAILED && errno != ENOMEM) {
		if (want->writable)
			return -EFAULT; /* sealed */
		key.writable = false;
		host = mmap(NULL, key.length, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, (off_t)key.offset);
	}
	if (host == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EFAULT;
	*hold = holds_add(holds, &key, host);
	if (!*hold) {
		munmap(host, key.length);
		return -ENOMEM;
	}
	return 0;
}

/* Is it shmem or hugetlbfs? */
static bool is_memory_file(int fd, const struct stat *st, bool *huge)
{
	struct statfs fs;

	if (!S_ISREG(st->st_mode) || fstatfs(fd, &fs))
		return false;
	*huge = (uint32_t)fs.f_type == HUGETLBFS_MAGIC;
	return *huge || (uint32_t)fs.f_type == TMPFS_MAGIC;
}

static int hold_new(struct memory_file *file, const struct stat *st, const struct hold_key *key, struct hold **hold)
{
	bool huge = false;
	uint64_t block;

	if (!is_memory_file(file->fd, st, &huge))
		return -EINVAL;
	block = huge ? (uint64_t)st->st_blksize : PAGE_SIZE;
	return memory_map(file->holds, file->fd, key, ((uint64_t)st->st_size + block - 1) / block * block, hold);
}

/* Huge pages may have run out: better now than at the first access. A kernel that does not know how is not asked. */
static int populate(const struct memory_run *run)
{
	if (!madvise(run->host, run->length, MADV_POPULATE_READ) || errno == EINVAL)
		return 0;
	return errno == ENOMEM ? -ENOMEM : -EFAULT;
}

int memory_file_pin(struct memory_file *file, uint64_t offset, uint64_t length, bool write, struct memory_run *run)
{
	struct hold_key key = {.offset = offset, .length = length, .writable = write, .cut = true};
	struct hold *hold;
	bool huge = false;
	struct stat st;
	int rc = 0;

	if (file->dmabuf)
		return pin_dmabuf(file->dmabuf, offset, length, run);
	if (file->fd < 0 || fstat(file->fd, &st) || st.st_size < 0 || offset >= (uint64_t)st.st_size ||
	    length > (uint64_t)st.st_size - offset)
		return -EINVAL;
	key.dev = st.st_dev;
	key.ino = st.st_ino;
	hold = holds_find(file->holds, &key);
	if (!hold)
		rc = hold_new(file, &st, &key, &hold);
	if (rc)
		return rc;
	hold_run(hold, offset, length, run);
	if ((uint64_t)st.st_blksize > PAGE_SIZE && is_memory_file(file->fd, &st, &huge) && huge)
		rc = populate(run);
	if (rc)
		hold_put(hold);
	return rc;
}
