/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every open of a program comes by here, so the first question is a cheap one: could this path mean us at all? Its last
 * word must be the last word of a node, or a number (a descriptor), or one of the standard streams' names; where the
 * test device is there, "status", too.
 *
 * Then the kernel resolves the directory, from the client's own root or directory, and tells its real name. What it
 * cannot resolve (/dev/vfio does not exist where programs cannot see our nodes) is taken word by word. "self" in /proc
 * would be us: it is replaced by the client, in the path before and in the name after.
 */
#include "supervisor/path.h"

#include "supervisor/remote.h"
#include "supervisor/shadow.h"
#include "system/system.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 8
#define FULL_MAX  (2 * PATH_MAX)

static bool is_number(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!isdigit((unsigned char)*s))
			return false;
	return true;
}

static const char *last_word(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool could_concern_us(const struct supervisor *s, const char *path)
{
	const char *word = last_word(path);

	if (!*word || !strcmp(word, ".") || !strcmp(word, "..") || !strcmp(word, "stdin") || !strcmp(word, "stdout") ||
	    !strcmp(word, "stderr") || is_number(word))
		return true;
	if (s->selftest && !strcmp(word, "status"))
		return true;
	for (const struct node *node = system_nodes(s->system); node->path; node++)
		if (!strcmp(word, last_word(node->path)))
			return true;
	return false;
}

/* Appends a path to the absolute one in full ("" is the root), resolving ".", ".." and repeated slashes. */
static bool append(char *full, const char *path)
{
	size_t length = strlen(full);

	while (*path) {
		size_t word = strcspn(path, "/");

		if (word == 2 && path[0] == '.' && path[1] == '.') {
			while (length && full[--length] != '/')
				;
		} else if (word && !(word == 1 && path[0] == '.')) {
			if (length + 1 + word >= FULL_MAX)
				return false;
			full[length++] = '/';
			memcpy(full + length, path, word);
			length += word;
		}
		full[length] = '\0';
		path += word + (path[word] == '/');
	}
	return true;
}

/* A name of /proc that we have for the client's /proc/self. */
static void name_client(const struct call *call, const char *self, const char *path, char *out)
{
	size_t length = strlen(self);

	if (!strncmp(path, self, length) && (!path[length] || path[length] == '/'))
		snprintf(out, FULL_MAX, "/proc/%d%.*s", (int)call->n.tid, PATH_MAX, path + length);
	else
		snprintf(out, FULL_MAX, "%.*s", FULL_MAX - 1, path);
}

/* The real name of a directory that is open; "" is the root. */
static bool real_name(const struct call *call, int dir, char *out)
{
	char link[64];
	char name[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, name, sizeof(name) - 1);
	if (n <= 0 || name[0] != '/')
		return false;
	name[n] = '\0';
	snprintf(link, sizeof(link), "/proc/%d", (int)getpid());
	name_client(call, link, n == 1 ? "" : name, out);
	return true;
}

/* Where a path begins, in our words: the client's root, its directory, or one that it has open. */
static void start_of(const struct call *call, int dirfd, const char *path, char *out, size_t size)
{
	int tid = (int)call->n.tid;

	if (path[0] == '/')
		snprintf(out, size, "/proc/%d/root", tid);
	else if (dirfd == AT_FDCWD)
		snprintf(out, size, "/proc/%d/cwd", tid);
	else
		snprintf(out, size, "/proc/%d/fd/%d", tid, dirfd);
}

/* Resolves a directory below start to its real name. */
static bool resolve_directory(const struct call *call, const char *start, const char *directory, char *out)
{
	char path[FULL_MAX + 64];
	int fd;
	bool known;

	if (!strncmp(directory, "/proc/", 6))
		snprintf(path, sizeof(path), "%s", directory);
	else
		snprintf(path, sizeof(path), "%s/%s", start, directory);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	known = real_name(call, fd, out);
	close(fd);
	return known;
}

/*
 * The real name of what a path means; links in its directory are followed, its last word is not. Where words at the end
 * of the directory do not exist, they are taken as they are.
 */
static bool make_real(const struct call *call, int dirfd, const char *given, char *out)
{
	char path[FULL_MAX];
	char start[64];

	name_client(call, "/proc/self", given, path);
	if (!strncmp(given, "/proc/thread-self", 17))
		name_client(call, "/proc/thread-self", given, path);
	start_of(call, dirfd, path, start, sizeof(start));
	/* The path falls into a directory and the rest from cut on, first only its last word. */
	for (size_t cut = strlen(path); cut;) {
		char directory[FULL_MAX];

		while (cut && path[cut - 1] == '/')
			cut--;
		while (cut && path[cut - 1] != '/')
			cut--;
		snprintf(directory, sizeof(directory), "%.*s", (int)cut, path);
		if (resolve_directory(call, start, directory, out))
			return append(out, path + cut);
	}
	return false;
}

/* "/proc/1/fd/3" and its like, as we have to spell it. */
static bool find_descriptor(const struct call *call, const char *path, char *out, size_t size)
{
	int tid = (int)call->n.tid;
	char who[32], fd[32];
	char thread[32];
	char rest;

	if (!strcmp(path, "/dev/stdin") || !strcmp(path, "/dev/stdout") || !strcmp(path, "/dev/stderr")) {
		snprintf(out, size, "/proc/%d/fd/%d", tid, path[8] == 'i' ? 0 : path[8] == 'o' ? 1 : 2);
		return true;
	}
	if (sscanf(path, "/proc/%31[0-9]/task/%31[0-9]/fd/%31[0-9]%c", who, thread, fd, &rest) == 3) {
		snprintf(out, size, "/proc/%s/fd/%s", thread, fd);
		return true;
	}
	if (sscanf(path, "/proc/%31[0-9]/fd/%31[0-9]%c", who, fd, &rest) != 2)
		return false;
	snprintf(out, size, "/proc/%s/fd/%s", who, fd);
	return true;
}

/* "/proc/1/status" and its like, which the test device's accounts change. */
static bool find_status(const struct call *call, const char *path, struct path_target *target)
{
	int pid, thread;
	int end = 0;

	if (!call->supervisor->selftest)
		return false;
	if (sscanf(path, "/proc/%d/task/%d/status%n", &pid, &thread, &end) == 2 && end && !path[end])
		target->status = (pid_t)thread;
	else if (sscanf(path, "/proc/%d/status%n", &pid, &end) == 1 && end && !path[end])
		target->status = (pid_t)pid;
	return target->status > 0;
}

/* Does a path mean a node, or go on below one? */
static bool find_node(const struct call *call, const char *full, bool folder, struct path_target *target)
{
	for (const struct node *node = system_nodes(call->supervisor->system); node->path; node++) {
		size_t length = strlen(node->path);

		if (strncmp(full, node->path, length) || (full[length] && full[length] != '/'))
			continue;
		target->node = node;
		target->error = full[length] || folder ? -ENOTDIR : 0;
		return true;
	}
	return false;
}

/* Replaces a path that is a symbolic link by what it points to. */
static bool follow(const struct call *call, char *full)
{
	char target[PATH_MAX];
	char path[FULL_MAX];
	ssize_t n = readlink(full, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	if (target[0] == '/')
		return make_real(call, AT_FDCWD, target, full);
	snprintf(path, sizeof(path), "%.*s%s", (int)(last_word(full) - full), full, target);
	return make_real(call, AT_FDCWD, path, full);
}

/* By its words: relative, and never upwards. */
static bool stays_beneath(const char *path)
{
	if (*path == '/')
		return false;
	while (*path) {
		size_t word = strcspn(path, "/");

		if (word == 2 && path[0] == '.' && path[1] == '.')
			return false;
		path += word + (path[word] == '/');
	}
	return true;
}

/* From a directory of the shadow's, the kernel would find its way around, and not programs'. */
static bool begins_in_shadow(const struct call *call, int dirfd, const char *path)
{
	char start[64];
	char name[PATH_MAX];
	ssize_t n;

	if (!call->supervisor->shadow || path[0] == '/')
		return false;
	start_of(call, dirfd, path, start, sizeof(start));
	n = readlink(start, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = '\0';
	return shadow_name(call->supervisor->shadow, name);
}

bool path_find(struct call *call, int dirfd, uaddr_t path, bool links, struct path_target *target)
{
	const struct supervisor *s = call->supervisor;
	char given[PATH_MAX];
	char full[FULL_MAX];
	bool folder;

	*target = (struct path_target){0};
	if (remote_string(call, path, given, sizeof(given)) <= 0)
		return false;
	target->config = !strcmp(last_word(given), "config");
	if ((!links && !could_concern_us(s, given)) || begins_in_shadow(call, dirfd, given) ||
	    !make_real(call, dirfd, given, full))
		return false;
	target->beneath = stays_beneath(given);
	folder = !*last_word(given) || !strcmp(last_word(given), ".");
	for (int i = 0; i < LINKS_MAX; i++) {
		if (find_node(call, full, folder, target) || find_status(call, full, target) ||
		    find_descriptor(call, full, target->descriptor, sizeof(target->descriptor)))
			return true;
		if (!links || !follow(call, full))
			return false;
		target->linked = true;
	}
	return false;
}

bool path_is_empty(struct call *call, uaddr_t path)
{
	char first;

	return !path.va || (client_read(&call->client, &first, path, 1) == 1 && !first);
}
