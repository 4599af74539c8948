/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/maps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
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

struct area {
	uint64_t start, end; /* end exclusive */
	unsigned access;
};

/* The mapping at an address. */
static int query(int maps, uint64_t at, struct area *area)
{
	struct procmap_query q = {.size = sizeof(q), .query_addr = at};

	if (ioctl(maps, PROCMAP_QUERY_NUMBER, &q) < 0)
		return errno == ENOENT ? -EFAULT : -errno;
	*area = (struct area){q.vma_start, q.vma_end, (unsigned)(q.vma_flags & (MAPS_READ | MAPS_WRITE))};
	return 0;
}

/* The same by reading the list, before Linux 6.11. */
static int search(int maps, uint64_t at, struct area *area)
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
			char r, w;

			if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %c%c", &area->start, &area->end, &r, &w) != 4)
				return -EIO;
			area->access = (r == 'r' ? MAPS_READ : 0) | (w == 'w' ? MAPS_WRITE : 0);
			if (at >= area->start && at < area->end)
				return 0;
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
		if (have == sizeof(buf) - 1)
			return -EIO;
	}
	return n < 0 ? -errno : -EFAULT;
}

int maps_check(int maps, uint64_t start, uint64_t length, unsigned access)
{
	uint64_t at = start;

	while (length) {
		struct area area = {0};
		uint64_t room;
		int err = query(maps, at, &area);

		if (err == -ENOTTY)
			err = search(maps, at, &area);
		if (err)
			return err;
		if ((area.access & access) != access)
			return -EFAULT;
		room = area.end - at;
		if (room >= length)
			return 0;
		length -= room;
		at = area.end;
	}
	return 0;
}
