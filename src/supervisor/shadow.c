/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory is named .iommuse-shadow-XXXXXX and locked (flock) by its owner as long as that lives, so who can lock
 * one may remove it.
 */
#include "supervisor/shadow.h"

#include "supervisor/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PREFIX ".iommuse-shadow-"
#define RANDOM "XXXXXX"

struct shadow {
	const struct tree *tree;
	int lock;
	char root[PATH_MAX];
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	(void)!remove(path);
	return 0;
}

static void remove_all(const char *root)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Opens and locks a directory of ours. Returns a descriptor; -EWOULDBLOCK: somebody has it, or another -errno. */
static int lock_root(const char *root, int how)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || flock(fd, how) < 0)
		err = -errno;
	else if (st.st_uid != geteuid() || (st.st_mode & 07777) != 0700)
		err = -EPERM;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static bool is_name(const char *name)
{
	return !strncmp(name, PREFIX, strlen(PREFIX)) && strlen(name) == strlen(PREFIX RANDOM);
}

/* Removes what nobody has locked. */
static void sweep(const char *base)
{
	DIR *entries = opendir(base);
	char root[PATH_MAX];
	struct dirent *entry;

	if (!entries)
		return;
	while ((entry = readdir(entries))) {
		int lock;

		if (!is_name(entry->d_name) ||
		    (size_t)snprintf(root, sizeof(root), "%s/%s", base, entry->d_name) >= sizeof(root))
			continue;
		lock = lock_root(root, LOCK_EX | LOCK_NB);
		if (lock < 0)
			continue;
		remove_all(root);
		close(lock);
	}
	closedir(entries);
}

/* Makes and locks the directory. Between the one and the other it may be swept away: then once more. */
static int make_root(struct shadow *shadow, const char *base)
{
	char canonical[PATH_MAX];

	/* The kernel names what is open without links. */
	if (!realpath(base, canonical))
		return -errno;
	sweep(canonical);
	for (;;) {
		struct stat made, there;

		if ((size_t)snprintf(shadow->root, sizeof(shadow->root), "%s/" PREFIX RANDOM, canonical) >=
		    sizeof(shadow->root))
			return -ENAMETOOLONG;
		if (!mkdtemp(shadow->root))
			return -errno;
		shadow->lock = lock_root(shadow->root, LOCK_EX);
		if (shadow->lock == -ENOENT)
			continue;
		if (shadow->lock < 0)
			return shadow->lock;
		if (fstat(shadow->lock, &made) == 0 && stat(shadow->root, &there) == 0 && made.st_ino == there.st_ino)
			return 0;
		close(shadow->lock);
	}
}

/* First where files are memory: on a disk this may take longer than most programs run. */
static int make_root_somewhere(struct shadow *shadow)
{
	const char *const bases[] = {getenv("XDG_RUNTIME_DIR"), "/dev/shm", getenv("TMPDIR"), "/tmp"};
	int err = -ENOENT;

	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases) && err; i++)
		if (bases[i] && bases[i][0] == '/')
			err = make_root(shadow, bases[i]);
	return err;
}

/* An entry of the machine's, for listings: nobody looks at more of it than its name and kind. */
static void show_name(int old, int new, const char *name)
{
	struct stat st;
	int fd;

	if (fstatat(old, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISLNK(st.st_mode)) {
		tree_copy_link(old, new, name);
	} else if (S_ISDIR(st.st_mode)) {
		(void)!mkdirat(new, name, 0755);
	} else {
		fd = openat(new, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, st.st_mode & 0777);
		if (fd >= 0)
			close(fd);
	}
}

static int lay(const struct shadow *shadow, struct tree *tree)
{
	struct tree_entry *dev = tree_dir(tree, "/dev");
	int old, err;

	if (tree->error)
		return tree->error;
	old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return -errno;
	tree_compare(tree->root, old);
	/* These have more than can be shown by name. */
	tree->root->real = dev->real = true;
	err = tree_lay(tree->root, shadow->lock, old, show_name);
	close(old);
	return err;
}

int shadow_new(struct tree *tree, struct shadow **out)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow));
	int err;

	if (!shadow)
		return -ENOMEM;
	shadow->tree = tree;
	err = make_root_somewhere(shadow);
	if (err)
		goto out_free;
	err = lay(shadow, tree);
	if (err)
		goto out_remove;
	*out = shadow;
	return 0;

out_remove:
	remove_all(shadow->root);
	close(shadow->lock);
out_free:
	free(shadow);
	return err;
}

void shadow_remove(const struct shadow *shadow)
{
	if (shadow)
		remove_all(shadow->root);
}

bool shadow_name(const struct shadow *shadow, char *path)
{
	size_t length;

	if (!shadow)
		return false;
	length = strlen(shadow->root);
	if (strncmp(path, shadow->root, length) || (path[length] && path[length] != '/'))
		return false;
	memmove(path, path + length, strlen(path + length) + 1);
	return true;
}

const struct tree *shadow_tree(const struct shadow *shadow)
{
	return shadow->tree;
}

const char *shadow_root(const struct shadow *shadow)
{
	return shadow->root;
}
