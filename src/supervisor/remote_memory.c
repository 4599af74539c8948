/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A mapping tells which file it is of, but gives no descriptor. The file may have a name, the process may have it open,
 * or, for one who may do anything, it is below map_files. Whatever is found is first only named (O_PATH), which does
 * nothing to a device, then compared, then opened.
 */
#include "supervisor/remote_memory.h"

#include "base/types.h"
#include "client/holds.h"
#include "client/vma.h"
#include "supervisor/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBERS_MAX 65536 /* of descriptors that are looked at */

static bool is_of(const struct stat *st, dev_t dev, ino_t ino)
{
	return S_ISREG(st->st_mode) && st->st_dev == dev && st->st_ino == ino;
}

/* Opens what a descriptor only names, if it is the file; consumes the descriptor. */
static int open_named(int named, dev_t dev, ino_t ino)
{
	const int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char path[64];
	struct stat st;
	int fd;

	if (named < 0)
		return errno == EMFILE || errno == ENFILE ? -ENFILE : -ENOENT;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", named);
	if (process_stat(AT_FDCWD, path, &st) || !is_of(&st, dev, ino)) {
		close(named);
		return -ENOENT;
	}
	fd = open(path, O_RDWR | flags);
	if (fd < 0)
		fd = open(path, O_RDONLY | flags);
	if (fd < 0)
		fd = errno == EMFILE || errno == ENFILE ? -ENFILE : -ENOENT;
	close(named);
	return fd;
}

int remote_memory_open(const char *path, dev_t dev, ino_t ino)
{
	return open_named(open(path, O_PATH | O_CLOEXEC), dev, ino);
}

static int open_by_name(pid_t pid, const struct vma *vma, const char *name)
{
	char path[PATH_MAX + 32];

	if (*name != '/')
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, name);
	return open_named(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), vma->dev, vma->ino);
}

static int open_by_descriptor(pid_t pid, const struct vma *vma)
{
	const struct dirent *entry;
	char path[64];
	struct stat st;
	int fd = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return errno == EMFILE || errno == ENFILE ? -ENFILE : -ENOENT;
	for (int i = 0; fd == -ENOENT && i < NUMBERS_MAX && (entry = readdir(dir)); i++)
		if (*entry->d_name != '.' && !process_stat(dirfd(dir), entry->d_name, &st) &&
		    is_of(&st, vma->dev, vma->ino))
			fd = open_named(openat(dirfd(dir), entry->d_name, O_PATH | O_CLOEXEC), vma->dev, vma->ino);
	closedir(dir);
	return fd;
}

static int open_by_mapping(pid_t pid, const struct vma *vma)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid, vma->start, vma->last + 1);
	return open_named(open(path, O_PATH | O_CLOEXEC), vma->dev, vma->ino);
}

int remote_memory_find(pid_t pid, const struct vma *vma, const char *name)
{
	int fd = open_by_name(pid, vma, name);

	if (fd == -ENOENT)
		fd = open_by_descriptor(pid, vma);
	if (fd == -ENOENT)
		fd = open_by_mapping(pid, vma);
	return fd;
}

int remote_memory_hold(struct holds *holds, pid_t pid, const struct vma *vma, const char *name, int known,
		       const struct hold_key *key, struct hold **hold)
{
	int fd = known >= 0 ? known : remote_memory_find(pid, vma, name);
	uint64_t block;
	struct stat st;
	int rc = -EOPNOTSUPP;

	if (fd < 0)
		return fd == -ENOENT ? -EOPNOTSUPP : fd;
	/* The size of a block of hugetlbfs is that of its pages. */
	if (!fstat(fd, &st) && st.st_size >= 0) {
		block = (uint64_t)st.st_blksize > PAGE_SIZE ? (uint64_t)st.st_blksize : PAGE_SIZE;
		rc = memory_map(holds, fd, key, ((uint64_t)st.st_size + block - 1) / block * block, hold);
	}
	close(fd);
	return rc == -EFAULT ? -EOPNOTSUPP : rc; /* as by one who may only read it */
}
