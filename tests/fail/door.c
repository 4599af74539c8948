/* SPDX-License-Identifier: BSD-3-Clause */
/* The way to iommuse as a program that it serves, and failures inside of the process that serves. */
#define _GNU_SOURCE
#include "cases.h"
#include "control.h"
#include "fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

const unsigned way_modes = 1;
const struct sweep way_sweeps[] = {{0}};
static struct control *control;

static long result_of(long rc)
{
	return rc < 0 ? -errno : rc;
}

static void map_control(void)
{
	const char *path = getenv(CONTROL_VARIABLE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	control = fd < 0 ? NULL : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!control || control == MAP_FAILED || !atomic_load(&control->serving)) {
		printf("nothing can be made to fail here\n");
		exit(1);
	}
	close(fd);
}

const char *way_mode_name(unsigned mode)
{
	(void)mode;
	return "served";
}

void way_choose(unsigned mode)
{
	(void)mode;
	map_control();
}

unsigned way_mode(void)
{
	return 0;
}

void way_begin(struct world *w)
{
	(void)w;
}

void way_end(struct world *w)
{
	(void)w;
}

long world_open(struct world *w, const char *path, int flags)
{
	(void)w;
	return result_of(open(path, flags | O_CLOEXEC));
}

long world_ioctl(struct world *w, int fd, unsigned long cmd, void *arg)
{
	(void)w;
	return result_of(ioctl(fd, cmd, arg));
}

long world_read(struct world *w, int fd, void *buf, size_t count)
{
	(void)w;
	return result_of(read(fd, buf, count));
}

long world_write(struct world *w, int fd, const void *buf, size_t count)
{
	(void)w;
	return result_of(write(fd, buf, count));
}

long world_map(struct world *w, int fd, size_t length, uint64_t offset, void **address)
{
	(void)w;
	*address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	return *address == MAP_FAILED ? -errno : 0;
}

long world_poll(struct world *w, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	(void)w;
	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

long world_close(struct world *w, int fd)
{
	(void)w;
	return result_of(close(fd));
}

/* VmPin, in KiB. */
uint64_t way_pinned(void)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *line;

	close(fd);
	text[length < 0 ? 0 : length] = '\0';
	line = strstr(text, "VmPin:");
	return line ? strtoull(line + 6, NULL, 10) : UINT64_MAX;
}

void fail_arm(unsigned n)
{
	memset(control->failed, 0, sizeof(control->failed));
	atomic_store(&control->until, n);
	atomic_store(&control->tid, gettid());
}

const char *fail_disarm(void)
{
	static char failed[sizeof(control->failed)];

	atomic_store(&control->tid, 0);
	atomic_store(&control->until, 0);
	memcpy(failed, control->failed, sizeof(failed));
	return *failed ? failed : NULL;
}

/* A call that iommuse sees and that does nothing: what was closed before has gone after it. */
static void nudge(void)
{
	atomic_store(&control->tid, gettid());
	atomic_store(&control->count, 1);
	ioctl(-1, IOMMU_IOAS_ALLOC, NULL);
	atomic_store(&control->tid, 0);
}

size_t fail_live_blocks(void)
{
	nudge();
	return (size_t)atomic_load(&control->blocks);
}

size_t fail_open_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	size_t count = 0;

	while (fds && readdir(fds))
		count++;
	if (fds)
		closedir(fds);
	nudge();
	return count + atomic_load(&control->descriptors);
}

/* Those of iommuse are not known here. */
size_t fail_mappings(void)
{
	return 0;
}
