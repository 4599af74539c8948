/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stand-in itself has the memory: what a client maps of it natively, once we have let it, are the pages that we
 * have mapped here. A mapping keeps the stand-in open, as it keeps the file open in Linux. Who has it mapped is looked
 * up in /proc, among all that was started below us: a process that was forked may never have made a call that we know
 * of.
 */
#include "supervisor/region.h"

#include "client/file.h"
#include "supervisor/ancestry.h"
#include "supervisor/standin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define TAKEN_MAX (INT64_C(16) << 20)

struct remote_region {
	struct file_region base;
	struct supervisor *supervisor;
	int fd; /* the stand-in */
	struct stat stat;
};

static struct remote_region *remote_of(struct file_region *region)
{
	return (struct remote_region *)region;
}

/* Is it we who lack what it takes to look? Then the answer is the one that changes nothing. */
static bool is_own_shortage(void)
{
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

/* Does a line of /proc/PID/maps show a part of the region? */
static bool line_shows(const char *line, const struct remote_region *r)
{
	unsigned major_number, minor_number;
	uint64_t start, end, offset, ino;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64, &start, &end, &offset, &major_number,
		   &minor_number, &ino) != 6)
		return false;
	return ino == r->stat.st_ino && makedev(major_number, minor_number) == r->stat.st_dev &&
	       offset < r->base.offset + r->base.length && offset + (end - start) > r->base.offset;
}

static bool mapped_by(const struct remote_region *r, pid_t pid)
{
	char *line = NULL;
	size_t room = 0;
	char path[64];
	bool mapped = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps)
		return is_own_shortage();
	errno = 0;
	while (!mapped && getline(&line, &room, maps) > 0)
		mapped = line_shows(line, r);
	mapped |= errno == ENOMEM;
	free(line);
	fclose(maps);
	return mapped;
}

static bool remote_region_mapped(struct file_region *region)
{
	struct remote_region *r = remote_of(region);
	const pid_t self = getpid();
	struct dirent *entry;
	bool mapped = false;
	DIR *proc;

	if (!atomic_load(&r->supervisor->mapped))
		return false;
	proc = opendir("/proc");
	mapped = !proc;
	while (proc && !mapped && (entry = readdir(proc))) {
		pid_t pid = (pid_t)atoi(entry->d_name);

		/* Of whom that cannot be told, the maps tell. */
		mapped = pid > 0 && process_descends(pid, self) && mapped_by(r, pid);
	}
	if (proc)
		closedir(proc);
	return mapped;
}

static void remote_region_withdraw(struct file_region *region)
{
	(void)!fallocate(remote_of(region)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)region->offset,
			 (off_t)region->length);
}

static void remote_region_release(struct file_region *region)
{
	struct remote_region *r = remote_of(region);

	munmap(region->memory, region->length);
	close(r->fd);
	free(r);
}

/* Maps a part of the stand-in, and takes memory for it if that is little. What a client has written there past us goes.
 */
static int fill_region(struct remote_region *r)
{
	const off_t offset = (off_t)r->base.offset;
	const off_t length = (off_t)r->base.length;

	if (fstat(r->fd, &r->stat) < 0)
		return -errno;
	if (r->base.offset + r->base.length > (uint64_t)r->stat.st_size)
		return -ENOMEM;
	if (fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) < 0)
		return -ENOMEM;
	if (length <= TAKEN_MAX && fallocate(r->fd, FALLOC_FL_KEEP_SIZE, offset, length) < 0)
		return -ENOMEM;
	r->base.memory = mmap(NULL, r->base.length, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, offset);
	return r->base.memory == MAP_FAILED ? -ENOMEM : 0;
}

int remote_region_new(struct client *client, struct file *file, uint64_t offset, uint64_t length,
		      struct file_region **region)
{
	struct supervisor *s = ((struct call *)client)->supervisor;
	struct remote_region *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	*r = (struct remote_region){
		.base = {.refs = 1,
			 .offset = offset,
			 .length = length,
			 .fd = -1,
			 .mapped = remote_region_mapped,
			 .withdraw = remote_region_withdraw,
			 .release = remote_region_release},
		.supervisor = s,
		.fd = standin_open_own((struct call *)client, file),
	};
	err = r->fd < 0 ? -ENFILE : fill_region(r);
	if (err) {
		if (r->fd >= 0)
			close(r->fd);
		free(r);
		return err;
	}
	*region = &r->base;
	return 0;
}
