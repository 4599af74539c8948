/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a client's path leads, if the tree were there: word by word, as the kernel does it. Of the machine's own files
 * each link is read. Most paths have nothing to do with the tree: the kernel says quickly whether there is a link in
 * one, and without one its words tell.
 */
#include "supervisor/shadow.h"

#include "supervisor/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#define LINKS_MAX 40

struct walk {
	const struct call *call;
	const struct tree *tree;
	const struct tree_entry *entry; /* what the tree has at the name; NULL: nothing, it is the machine's */
	char root[PATH_MAX];            /* the client's; "" is the machine's */
	char name[SHADOW_PATH_MAX];     /* so far; "" is the machine's root */
	char rest[SHADOW_PATH_MAX];
	bool follow;  /* the last word, too */
	bool touched; /* something decided on the way that the kernel does not know */
	unsigned links;
};

static const struct tree_entry *find_entry(const struct tree *tree, const char *name)
{
	const struct tree_entry *entry = tree->root;

	while (entry && *name) {
		size_t word = strcspn(name, "/");

		if (word)
			entry = entry->kind == TREE_DIR ? tree_child(entry, name, word) : NULL;
		name += word + (name[word] == '/');
	}
	return entry;
}

/* The name of what a link of /proc means. */
static bool read_name(const char *link, char *name, size_t size)
{
	ssize_t n = readlink(link, name, size - 1);

	if (n <= 0 || name[0] != '/')
		return false;
	name[n] = '\0';
	if (n == 1)
		name[0] = '\0';
	return true;
}

static void start_of(const struct call *call, int dirfd, char *link, size_t size)
{
	if (dirfd == AT_FDCWD)
		snprintf(link, size, "/proc/%d/cwd", (int)call->n.tid);
	else
		snprintf(link, size, "/proc/%d/fd/%d", (int)call->n.tid, dirfd);
}

/* Goes where a path begins. */
static bool start(struct walk *w, int dirfd, const char *path)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/%d/root", (int)w->call->n.tid);
	if (!read_name(link, w->root, sizeof(w->root)))
		return false;
	if (path[0] == '/') {
		snprintf(w->name, sizeof(w->name), "%s", w->root);
	} else {
		start_of(w->call, dirfd, link, sizeof(link));
		if (!read_name(link, w->name, sizeof(w->name)))
			return false;
		w->touched = shadow_name(w->call->supervisor->shadow, w->name);
	}
	w->entry = find_entry(w->tree, w->name);
	return (size_t)snprintf(w->rest, sizeof(w->rest), "%s", path) < sizeof(w->rest);
}

static bool goes_up(const char *path)
{
	for (const char *at = path; (at = strstr(at, "..")); at += 2)
		if ((at == path || at[-1] == '/') && (!at[2] || at[2] == '/'))
			return true;
	return false;
}

/* Is it certain that the way does not touch the tree? It begins outside, and there are no links and no steps upwards.
 */
static bool is_elsewhere(const struct walk *w, int dirfd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	int dir = AT_FDCWD;
	int fd, error;
	char link[64];

	if (w->touched || w->root[0] || goes_up(path))
		return false;
	if (path[0] == '/') {
		size_t word = strcspn(path + 1, "/");

		if (!word || tree_child(w->tree->root, path + 1, word))
			return false;
	} else {
		if (w->entry)
			return false;
		start_of(w->call, dirfd, link, sizeof(link));
		dir = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return true;
	}
	fd = (int)syscall(__NR_openat2, dir, path, &how, sizeof(how));
	error = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return error != ELOOP && error != ENOSYS && error != EPERM; /* the last two: openat2 is not to be had */
}

static bool append(struct walk *w, const char *word, size_t length)
{
	size_t at = strlen(w->name);

	if (at + 1 + length >= sizeof(w->name))
		return false;
	w->name[at] = '/';
	memcpy(w->name + at + 1, word, length);
	w->name[at + 1 + length] = '\0';
	return true;
}

static void remove_last(struct walk *w)
{
	char *slash = strrchr(w->name, '/');

	if (slash && strcmp(w->name, w->root) != 0)
		*slash = '\0';
}

/* Goes on with what a link says. Returns 0 or -errno. */
static int expand(struct walk *w, const char *text)
{
	char rest[SHADOW_PATH_MAX];

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if ((size_t)snprintf(rest, sizeof(rest), "%s%s", text, w->rest) >= sizeof(rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, rest, strlen(rest) + 1);
	if (w->rest[0] != '/')
		return 0;
	snprintf(w->name, sizeof(w->name), "%s", w->root);
	if (!w->root[0] && shadow_name(w->call->supervisor->shadow, w->rest)) {
		w->name[0] = '\0';
		w->touched = true;
	}
	w->entry = find_entry(w->tree, w->name);
	return 0;
}

/* A word below a directory of the machine's. */
static int step_outside(struct walk *w, const char *word, size_t length, bool last)
{
	const bool self =
		(length == 4 && !memcmp(word, "self", 4)) || (length == 11 && !memcmp(word, "thread-self", 11));
	char text[PATH_MAX];
	ssize_t n;

	if (self && !strcmp(w->name, "/proc")) {
		snprintf(text, sizeof(text), "%d", (int)w->call->n.tid);
		return expand(w, text);
	}
	if (!append(w, word, length))
		return -ENAMETOOLONG;
	w->entry = NULL;
	n = readlink(w->name, text, sizeof(text) - 1);
	if (n < 0)
		return errno == EINVAL ? 0 : -errno;
	if (last && !w->follow)
		return 0;
	text[n] = '\0';
	remove_last(w);
	w->entry = find_entry(w->tree, w->name);
	return expand(w, text);
}

/* A word below a directory of the tree. */
static int step_inside(struct walk *w, const char *word, size_t length, bool last)
{
	const struct tree_entry *child = tree_child(w->entry, word, length);

	if (!child && !w->entry->whole)
		return step_outside(w, word, length, last);
	if (!child || !child->merged)
		w->touched = true;
	if (!child)
		return -ENOENT;
	if (child->kind == TREE_LINK && (!last || w->follow))
		return expand(w, child->content);
	if (!append(w, word, length))
		return -ENAMETOOLONG;
	w->entry = child;
	return 0;
}

/* Is it one where the walk is? Files of the tree are not asked about. */
static bool is_directory(const struct walk *w)
{
	struct stat st;

	return w->entry || !w->name[0] || (lstat(w->name, &st) == 0 && S_ISDIR(st.st_mode));
}

static int step(struct walk *w)
{
	char word[NAME_MAX + 1];
	size_t length = strcspn(w->rest, "/");
	size_t rest_length = strlen(w->rest);

	if (w->entry && w->entry->kind == TREE_FILE)
		return -ENOTDIR;
	if (length > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(word, w->rest, length);
	word[length] = '\0';
	memmove(w->rest, w->rest + length, rest_length - length + 1);
	if ((!strcmp(word, ".") || !strcmp(word, "..")) && !is_directory(w))
		return -ENOTDIR;
	if (!strcmp(word, "."))
		return 0;
	if (!strcmp(word, "..")) {
		remove_last(w);
		w->entry = find_entry(w->tree, w->name);
		return 0;
	}
	if (w->entry)
		return step_inside(w, word, length, !w->rest[0]);
	return step_outside(w, word, length, !w->rest[0]);
}

static int walk(struct walk *w)
{
	int err = 0;

	while (!err && w->rest[0]) {
		size_t slashes = strspn(w->rest, "/");

		memmove(w->rest, w->rest + slashes, strlen(w->rest + slashes) + 1);
		if (w->rest[0])
			err = step(w);
	}
	return err;
}

/* Where it is, once the walk is over. Returns whether that is not where the kernel would find it. */
static bool arrive(struct walk *w, bool folder, struct shadow_target *target)
{
	const struct tree_entry *entry = w->entry;
	bool ours = entry && !(entry->kind == TREE_DIR && entry->real);

	snprintf(target->name, sizeof(target->name), "%s", w->name);
	if (!w->touched && !ours)
		return false;
	target->machine = !ours;
	if (folder && entry && entry->kind != TREE_DIR)
		target->error = -ENOTDIR;
	if ((size_t)snprintf(target->place, sizeof(target->place), "%s%s%s",
			     ours ? shadow_root(w->call->supervisor->shadow) : "", w->name,
			     w->name[0] && !folder ? "" : "/") >= sizeof(target->place))
		target->error = -ENAMETOOLONG;
	return true;
}

bool shadow_find(struct call *call, int dirfd, const char *path, bool follow, struct shadow_target *target)
{
	const size_t length = strlen(path);
	const bool folder = length && path[length - 1] == '/';
	struct walk w = {.call = call, .tree = shadow_tree(call->supervisor->shadow), .follow = follow || folder};

	target->error = 0;
	target->machine = false;
	target->name[0] = target->place[0] = '\0';
	if (!length || !start(&w, dirfd, path) || is_elsewhere(&w, dirfd, path))
		return false;
	target->error = walk(&w);
	if (target->error)
		return w.touched;
	return arrive(&w, folder, target);
}
