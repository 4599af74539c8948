/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/graft.h"

#include "supervisor/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int graft_make(int dir, const char *name, bool folder)
{
	int fd;

	if (folder)
		return mkdirat(dir, name, 0755) < 0 ? -errno : 0;
	fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int graft_bind(int from_dir, const char *from, int to_dir, const char *to)
{
	char source[512];
	char target[512];

	snprintf(source, sizeof(source), "/proc/self/fd/%d/%s", from_dir, from);
	snprintf(target, sizeof(target), "/proc/self/fd/%d/%s", to_dir, to);
	return mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0 ? -errno : 0;
}

void graft_entry(int old, int new, const char *name)
{
	struct stat st;

	if (fstatat(old, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISLNK(st.st_mode))
		tree_copy_link(old, new, name);
	else if (!graft_make(new, name, S_ISDIR(st.st_mode)) && graft_bind(old, name, new, name))
		unlinkat(new, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

/* Covers the directory behind old, which is at path. */
static int cover(const struct tree_entry *dir, const char *path, int old)
{
	int new, err;

	if (mount("iommuse", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=16m") < 0)
		return -errno;
	new = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (new < 0)
		return -errno;
	err = tree_lay(dir, new, old, graft_entry);
	close(new);
	return err;
}

/* Are there places for all that is in it? */
static bool has_places(const struct tree_entry *dir, int old)
{
	struct stat st;

	if (dir->whole)
		return false;
	for (const struct tree_entry *entry = dir->first; entry; entry = entry->next)
		if (entry->kind != TREE_DIR || fstatat(old, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISDIR(st.st_mode))
			return false;
	return true;
}

int graft_tree(const struct tree_entry *dir, const char *path)
{
	int old = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char below[PATH_MAX];
	int err = 0;

	if (old < 0)
		return -errno;
	if (!has_places(dir, old)) {
		err = cover(dir, path, old);
		goto out_close;
	}
	for (const struct tree_entry *entry = dir->first; entry && !err; entry = entry->next) {
		if ((size_t)snprintf(below, sizeof(below), "%s/%s", path, entry->name) < sizeof(below))
			err = graft_tree(entry, below);
		else
			err = -ENAMETOOLONG;
	}
out_close:
	close(old);
	return err;
}
