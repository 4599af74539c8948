/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "client/mounts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

void mounts_init(struct mounts *mounts, pid_t pid)
{
	pthread_mutex_init(&mounts->lock, NULL);
	mounts->pid = pid;
	mounts->count = 0;
	mounts->next = 0;
}

void mounts_fini(struct mounts *mounts)
{
	pthread_mutex_destroy(&mounts->lock);
}

static bool is_memory(const char *type)
{
	static const char *const memory[] = {"tmpfs ", "hugetlbfs ", "devtmpfs ", "ramfs "};

	for (size_t i = 0; i < sizeof(memory) / sizeof(*memory); i++)
		if (!strncmp(type, memory[i], strlen(memory[i])))
			return true;
	return false;
}

/* "dax" or "dax=always" among the options; the other values leave it to each file, which nothing here tells. */
static bool has_dax(const char *options)
{
	const char *dax = strstr(options, "dax");
	size_t length = dax ? strcspn(dax, ", \n") : 0;

	return dax && strchr(", ", dax[-1]) && (length == 3 || (length == 10 && !strncmp(dax, "dax=always", 10)));
}

/* One line: "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue". */
static bool kind_of_line(const char *line, dev_t dev, enum mount_kind *kind)
{
	const char *type = strstr(line, " - ");
	unsigned major_number, minor_number;

	if (!type || sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) != 2 ||
	    makedev(major_number, minor_number) != dev)
		return false;
	type += 3;
	*kind = is_memory(type) ? MOUNT_MEMORY : has_dax(type) ? MOUNT_DAX : MOUNT_DISK;
	return true;
}

static enum mount_kind look_up(pid_t pid, dev_t dev)
{
	enum mount_kind kind = major(dev) ? MOUNT_DISK : MOUNT_NONE;
	char path[64] = "/proc/self/mountinfo";
	char *line = NULL;
	size_t room = 0;
	FILE *file;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return kind;
	while (getline(&line, &room, file) > 0 && !kind_of_line(line, dev, &kind))
		continue;
	free(line);
	fclose(file);
	return kind;
}

static bool find_kept(struct mounts *mounts, dev_t dev, enum mount_kind *kind)
{
	bool found = false;

	pthread_mutex_lock(&mounts->lock);
	for (unsigned i = 0; i < mounts->count && !found; i++) {
		found = mounts->kept[i].dev == dev;
		if (found)
			*kind = mounts->kept[i].kind;
	}
	pthread_mutex_unlock(&mounts->lock);
	return found;
}

enum mount_kind mounts_kind(struct mounts *mounts, dev_t dev)
{
	enum mount_kind kind;

	if (find_kept(mounts, dev, &kind))
		return kind;
	kind = look_up(mounts->pid, dev);
	pthread_mutex_lock(&mounts->lock);
	mounts->kept[mounts->next].dev = dev;
	mounts->kept[mounts->next].kind = kind;
	mounts->next = (mounts->next + 1) % MOUNTS_KEPT;
	mounts->count += mounts->count < MOUNTS_KEPT;
	pthread_mutex_unlock(&mounts->lock);
	return kind;
}
