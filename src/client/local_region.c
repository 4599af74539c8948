/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "client/local_region.h"

#include "base/types.h"
#include "client/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct local_region {
	struct file_region base;
	dev_t dev;
	ino_t ino;
};

/* Does a line of /proc/self/maps show the memory at another place than ours? */
static bool line_shows(const char *line, const struct local_region *r)
{
	unsigned major_number, minor_number;
	uint64_t start, ino;

	if (sscanf(line, "%" SCNx64 "-%*x %*s %*x %x:%x %" SCNu64, &start, &major_number, &minor_number, &ino) != 4)
		return false;
	return ino == r->ino && makedev(major_number, minor_number) == r->dev && start != (uintptr_t)r->base.memory;
}

static bool local_region_mapped(struct file_region *region)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	bool mapped = false;
	char *line = NULL;
	size_t room = 0;

	if (!maps)
		return true; /* so that nothing changes */
	errno = 0;
	while (!mapped && getline(&line, &room, maps) > 0)
		mapped = line_shows(line, (struct local_region *)region);
	mapped |= errno == ENOMEM;
	free(line);
	fclose(maps);
	return mapped;
}

static void local_region_release(struct file_region *region)
{
	munmap(region->memory, region->length);
	close(region->fd);
	free(region);
}

/* Returns the memory, mapped, or MAP_FAILED. */
static void *fill_file(struct local_region *r, int fd, uint64_t length)
{
	struct stat st;

	if (ftruncate(fd, (off_t)length) || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) || fstat(fd, &st))
		return MAP_FAILED;
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int local_region_new(struct client *client, struct file *file, uint64_t offset, uint64_t length,
		     struct file_region **region)
{
	struct local_region *r = calloc(1, sizeof(*r));
	int fd;

	(void)client;
	if (!r)
		return -ENOMEM;
	fd = memfd_create(file->ops->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		free(r);
		return -ENFILE;
	}
	r->base = (struct file_region){
		.refs = 1,
		.offset = offset,
		.length = length,
		.memory = fill_file(r, fd, length),
		.fd = fd,
		.mapped = local_region_mapped,
		.release = local_region_release,
	};
	if (r->base.memory == MAP_FAILED) {
		close(fd);
		free(r);
		return -ENOMEM;
	}
	*region = &r->base;
	return 0;
}
