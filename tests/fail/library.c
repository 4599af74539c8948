/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way to iommuse through the library. It has no option for locked memory to be counted, so a system is told to by
 * the linker (--wrap=system_new), and the address space whose count it is comes the same way.
 */
#include "cases.h"

#include "client/client.h"
#include "iommuse/iommuse.h"
#include "system/system.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECKED, TRUSTED, COUNTED };
const unsigned way_modes = 3;
static unsigned mode;
static struct mm *counted;

int __real_system_new(const struct system_config *config, struct system **system);
int __wrap_system_new(const struct system_config *config, struct system **system);
int __real_account_open(struct mm *mm, struct accounts *accounts, uid_t uid);
int __wrap_account_open(struct mm *mm, struct accounts *accounts, uid_t uid);

int __wrap_system_new(const struct system_config *config, struct system **system)
{
	struct system_config changed = *config;

	changed.memlock = mode == COUNTED ? MEMLOCK_REPORT : MEMLOCK_OFF;
	return __real_system_new(&changed, system);
}

int __wrap_account_open(struct mm *mm, struct accounts *accounts, uid_t uid)
{
	counted = mm;
	return __real_account_open(mm, accounts, uid);
}

const char *way_mode_name(unsigned which)
{
	static const char *const names[] = {"checked", "trusted", "counted"};

	return names[which];
}

void way_choose(unsigned which)
{
	mode = which;
}

unsigned way_mode(void)
{
	return mode;
}

static int make_system(struct world *w)
{
	const char *const devices[] = {"ioat", "dmax,addr=0000:02:00.0,group=2", NULL};
	const struct iommuse_options options = {
		.struct_size = sizeof(options),
		.client = mode == TRUSTED ? IOMMUSE_CLIENT_TRUSTED : IOMMUSE_CLIENT_CHECKED,
		.selftest = 1,
		.capabilities = UINT64_MAX,
		.devices = devices,
	};

	return iommuse_new(&options, &w->system);
}

void way_begin(struct world *w)
{
	if (make_system(w)) {
		printf("a system cannot be made\n");
		exit(1);
	}
}

void way_end(struct world *w)
{
	iommuse_free(w->system);
	counted = NULL;
}

long world_open(struct world *w, const char *path, int flags)
{
	return iommuse_open(w->system, path, flags);
}

long world_ioctl(struct world *w, int fd, unsigned long cmd, void *arg)
{
	return iommuse_ioctl(w->system, fd, cmd, (uintptr_t)arg);
}

long world_read(struct world *w, int fd, void *buf, size_t count)
{
	return iommuse_read(w->system, fd, buf, count);
}

long world_write(struct world *w, int fd, const void *buf, size_t count)
{
	return iommuse_write(w->system, fd, buf, count);
}

long world_pread(struct world *w, int fd, void *buf, size_t count, uint64_t offset)
{
	return iommuse_pread(w->system, fd, buf, count, (off_t)offset);
}

long world_pwrite(struct world *w, int fd, const void *buf, size_t count, uint64_t offset)
{
	return iommuse_pwrite(w->system, fd, buf, count, (off_t)offset);
}

long world_map(struct world *w, int fd, size_t length, uint64_t offset, void **address)
{
	return iommuse_mmap(w->system, fd, length, 3, 1, (off_t)offset, address);
}

long world_poll(struct world *w, int fd)
{
	return iommuse_poll(w->system, fd, POLLIN | POLLOUT);
}

long world_close(struct world *w, int fd)
{
	return iommuse_close(w->system, fd);
}

uint64_t way_pinned(void)
{
	return counted ? atomic_load(&counted->pinned) : 0;
}

static void new_system(struct world *w, struct outcome *out)
{
	struct mm *mine = counted;
	struct world other = {0};

	(void)w;
	out->rc = make_system(&other);
	counted = mine;
	if (out->rc == -ENOSYS) /* a copy that fails here is taken for the lack of the system call */
		out->rc = -EFAULT;
	if (!out->rc)
		iommuse_free(other.system);
}

static void new_system_set_up(struct world *w)
{
	(void)w;
}

const struct sweep way_sweeps[] = {
	{"iommuse_new", new_system_set_up, new_system, 0},
	{0},
};
