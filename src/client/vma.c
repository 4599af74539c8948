/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/vma.h"

#include "client/mounts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* PROCMAP_QUERY of Linux 6.11, which older headers lack. */
struct procmap_query {
	uint64_t size;
	uint64_t query_flags;
	uint64_t query_addr;
	uint64_t vma_start, vma_end; /* end exclusive */
	uint64_t vma_flags;
	uint64_t vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor;
	uint32_t vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_NUMBER _IOWR('f', 17, struct procmap_query)
#define QUERY_SHARED         8U

static int query(int maps, uint64_t at, struct vma *vma, char *name, size_t size)
{
	struct procmap_query q = {.size = sizeof(q), .query_addr = at};

	if (name) {
		q.vma_name_addr = (uintptr_t)name;
		q.vma_name_size = (uint32_t)size;
	}
	if (ioctl(maps, PROCMAP_QUERY_NUMBER, &q) < 0)
		return errno == ENOENT || errno == ESRCH ? -EFAULT : -errno;
	if (name && !q.vma_name_size)
		*name = '\0';
	*vma = (struct vma){
		.start = q.vma_start,
		.last = q.vma_end - 1,
		.offset = q.vma_offset,
		.dev = makedev(q.dev_major, q.dev_minor),
		.ino = q.inode,
		.access = (unsigned)q.vma_flags & (VMA_READ | VMA_WRITE),
		.shared = q.vma_flags & QUERY_SHARED,
	};
	return 0;
}

bool vma_query_known(int maps)
{
	struct vma vma;

	return query(maps, (uintptr_t)&vma, &vma, NULL, 0) == 0;
}

/* A line of the list, without its newline. */
static int read_line(const char *line, struct vma *vma, char *name, size_t size)
{
	unsigned major_number, minor_number;
	uint64_t end, ino;
	char access[5];
	int path = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &vma->start, &end, access,
		   &vma->offset, &major_number, &minor_number, &ino, &path) != 7)
		return -EIO;
	vma->last = end - 1;
	vma->dev = makedev(major_number, minor_number);
	vma->ino = ino;
	vma->access = (access[0] == 'r' ? VMA_READ : 0) | (access[1] == 'w' ? VMA_WRITE : 0);
	vma->shared = access[3] == 's';
	if (name && (!path || strlen(line + path) >= size))
		*name = '\0';
	else if (name)
		memcpy(name, line + path, strlen(line + path) + 1);
	return 0;
}

/* The same by reading the list, as before Linux 6.11. */
static int search(int maps, uint64_t at, struct vma *vma, char *name, size_t size)
{
	char buf[8192];
	size_t have = 0;
	off_t pos = 0;
	ssize_t n;

	while ((n = pread(maps, buf + have, sizeof(buf) - 1 - have, pos)) > 0) {
		char *line = buf;
		char *newline;

		pos += n;
		have += (size_t)n;
		buf[have] = '\0';
		for (; (newline = strchr(line, '\n')); line = newline + 1) {
			*newline = '\0';
			if (read_line(line, vma, name, size))
				return -EIO;
			if (at >= vma->start && at <= vma->last)
				return 0;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have == sizeof(buf) - 1)
			return -EIO;
	}
	return n < 0 && errno != ESRCH ? -errno : -EFAULT;
}

int vma_find(int maps, uint64_t at, struct vma *vma, char *name, size_t size)
{
	int rc = query(maps, at, vma, name, size);

	if (name && rc == -ENAMETOOLONG) {
		*name = '\0';
		rc = query(maps, at, vma, NULL, 0);
	}
	if (!rc || rc == -EFAULT)
		return rc;
	/* The question is not known, or was not answered. */
	rc = search(maps, at, vma, name, size);
	return rc == -ENOMEM ? rc : rc ? -EFAULT : 0;
}

int vma_check(int maps, uint64_t start, uint64_t length, unsigned access)
{
	uint64_t at = start;

	while (length) {
		struct vma vma = {0};
		int rc = vma_find(maps, at, &vma, NULL, 0);

		if (rc)
			return rc;
		if ((vma.access & access) != access)
			return -EFAULT;
		if (vma.last - at >= length - 1)
			return 0;
		length -= vma.last - at + 1;
		at = vma.last + 1;
	}
	return 0;
}

int vma_pinnable(const struct vma *vma, struct mounts *mounts, bool write)
{
	enum mount_kind kind = vma->ino ? mounts_kind(mounts, vma->dev) : MOUNT_NONE;

	if (kind == MOUNT_DAX)
		return -EOPNOTSUPP;
	if (!(vma->access & (write ? VMA_WRITE : VMA_READ)))
		return -EFAULT;
	/* A file system that writes pages back must be told of each write: nothing that is pinned tells it. */
	return write && vma->shared && kind == MOUNT_DISK ? -EFAULT : 0;
}
