/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tree_entry *entry_new(struct tree_entry *parent, enum tree_kind kind, const char *name, size_t length)
{
	struct tree_entry *entry = calloc(1, sizeof(*entry) + length + 1);
	struct tree_entry **link;

	if (!entry)
		return NULL;
	memcpy(entry->name, name, length);
	entry->kind = kind;
	entry->parent = parent;
	if (parent) {
		for (link = &parent->first; *link; link = &(*link)->next)
			;
		*link = entry;
	}
	return entry;
}

void tree_init(struct tree *tree)
{
	tree->root = entry_new(NULL, TREE_DIR, "", 0);
	tree->error = tree->root ? 0 : -ENOMEM;
}

/* Goes down to an entry that has nothing in it, frees it and goes on beside or above it. */
void tree_fini(struct tree *tree)
{
	struct tree_entry *entry = tree->root;

	while (entry) {
		struct tree_entry *on = entry->first;

		if (!on) {
			on = entry->parent;
			if (on)
				on->first = entry->next;
			free(entry->content);
			free(entry);
		}
		entry = on;
	}
	tree->root = NULL;
}

struct tree_entry *tree_child(const struct tree_entry *dir, const char *name, size_t length)
{
	for (struct tree_entry *entry = dir->first; entry; entry = entry->next)
		if (!strncmp(entry->name, name, length) && !entry->name[length])
			return entry;
	return NULL;
}

struct tree_entry *tree_dir(struct tree *tree, const char *path)
{
	struct tree_entry *dir = tree->root;

	while (!tree->error && *path) {
		size_t word = strcspn(path, "/");
		struct tree_entry *child = word ? tree_child(dir, path, word) : dir;

		if (!child)
			child = entry_new(dir, TREE_DIR, path, word);
		if (!child)
			tree->error = -ENOMEM;
		dir = child;
		path += word + (path[word] == '/');
	}
	return tree->error ? NULL : dir;
}

/* A new entry that is no directory, or NULL: there is no more to do. */
static struct tree_entry *add(struct tree *tree, struct tree_entry *dir, enum tree_kind kind, const char *name)
{
	struct tree_entry *entry;

	if (tree->error || tree_child(dir, name, strlen(name)))
		return NULL;
	entry = entry_new(dir, kind, name, strlen(name));
	if (!entry)
		tree->error = -ENOMEM;
	return entry;
}

static void set_content(struct tree *tree, struct tree_entry *entry, const void *content, size_t size)
{
	entry->size = size;
	if (!content)
		return;
	entry->content = malloc(size + 1);
	if (!entry->content) {
		tree->error = -ENOMEM;
		return;
	}
	memcpy(entry->content, content, size);
	entry->content[size] = '\0';
}

void tree_file(struct tree *tree, struct tree_entry *dir, const char *name, mode_t mode, const void *content,
	       size_t size)
{
	struct tree_entry *entry = add(tree, dir, TREE_FILE, name);

	if (!entry)
		return;
	entry->mode = mode;
	set_content(tree, entry, content, size);
}

void tree_text(struct tree *tree, struct tree_entry *dir, const char *name, mode_t mode, const char *format, ...)
{
	char text[1024];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (length >= 0 && (size_t)length < sizeof(text))
		tree_file(tree, dir, name, mode, text, (size_t)length);
}

int tree_path(const struct tree_entry *entry, char *path, size_t size)
{
	char *at = path + size;

	if (at-- == path)
		return -ENAMETOOLONG;
	*at = '\0';
	for (; entry->parent; entry = entry->parent) {
		size_t length = strlen(entry->name);

		if ((size_t)(at - path) < length + 1)
			return -ENAMETOOLONG;
		at -= length;
		memcpy(at, entry->name, length);
		*--at = '/';
	}
	memmove(path, at, (size_t)(path + size - at));
	return (int)(path + size - at - 1);
}

void tree_link(struct tree *tree, struct tree_entry *dir, const char *name, const char *to)
{
	struct tree_entry *entry = add(tree, dir, TREE_LINK, name);
	char from[PATH_MAX], text[PATH_MAX];
	size_t length = 0, common = 0;

	if (!entry)
		return;
	if (tree_path(dir, from, sizeof(from)) < 0) {
		tree->error = -ENAMETOOLONG;
		return;
	}
	/* Up to where both go apart, or above what is meant, and down from there. */
	for (size_t i = 0;; i++) {
		if ((!from[i] || from[i] == '/') && to[i] == '/')
			common = i;
		if (from[i] != to[i] || !from[i])
			break;
	}
	for (const char *up = from + common; *up && length + 3 < sizeof(text); up++)
		if (*up == '/')
			length += (size_t)snprintf(text + length, sizeof(text) - length, "../");
	length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", to + common + 1);
	set_content(tree, entry, text, length);
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

void tree_copy_link(int old, int new, const char *name)
{
	char link[PATH_MAX];
	ssize_t n = readlinkat(old, name, link, sizeof(link) - 1);

	if (n < 0)
		return;
	link[n] = '\0';
	(void)!symlinkat(link, new, name);
}

static int lay_file(const struct tree_entry *file, int new)
{
	int fd = openat(new, file->name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, file->mode);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (file->content)
		err = write_all(fd, file->content, file->size);
	else if (ftruncate(fd, (off_t)file->size) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* The machine's own directory of the same name; -1: none. */
static int open_old(const struct tree_entry *dir, int old)
{
	return old < 0 || dir->whole ? -1 : openat(old, dir->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void show_old(const struct tree_entry *dir, int new, int old, tree_show *show)
{
	int fd = openat(old, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!entries) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(entries)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    !tree_child(dir, entry->d_name, strlen(entry->d_name)))
			show(old, new, entry->d_name);
	closedir(entries);
}

static int lay_dir(const struct tree_entry *dir, int new, int old, tree_show *show);

int tree_lay(const struct tree_entry *dir, int new, int old, tree_show *show)
{
	int err = 0;

	if (old >= 0 && !dir->whole && !dir->real)
		show_old(dir, new, old, show);
	for (const struct tree_entry *entry = dir->first; entry && !err; entry = entry->next) {
		if (entry->kind == TREE_DIR)
			err = lay_dir(entry, new, old, show);
		else if (entry->kind == TREE_FILE)
			err = lay_file(entry, new);
		else if (symlinkat(entry->content, new, entry->name) < 0)
			err = -errno;
	}
	return err;
}

static int lay_dir(const struct tree_entry *dir, int new, int old, tree_show *show)
{
	int new_dir, old_dir, err;

	if (mkdirat(new, dir->name, 0755) < 0)
		return -errno;
	new_dir = openat(new, dir->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (new_dir < 0)
		return -errno;
	old_dir = open_old(dir, old);
	err = tree_lay(dir, new_dir, old_dir, show);
	if (old_dir >= 0)
		close(old_dir);
	close(new_dir);
	return err;
}

void tree_compare(struct tree_entry *dir, int old)
{
	if (dir->whole)
		old = -1;
	dir->merged = dir->real = old >= 0;
	for (struct tree_entry *entry = dir->first; entry; entry = entry->next) {
		struct stat st;
		int old_dir;

		if (entry->kind != TREE_DIR) {
			if (!dir->real || fstatat(old, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			    (st.st_mode & S_IFMT) != (entry->kind == TREE_FILE ? S_IFREG : S_IFLNK))
				dir->real = false;
			continue;
		}
		old_dir = old < 0 ? -1 : openat(old, entry->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (old_dir < 0)
			dir->real = false;
		tree_compare(entry, old_dir);
		if (old_dir >= 0)
			close(old_dir);
	}
}
