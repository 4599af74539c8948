/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every open of a program comes by here, so the first question is a cheap one: could this path mean us at all? Its last
 * word must be the last word of a node, or a number (a descriptor), or one of the standard streams' names.
 */
#include "supervisor/path.h"

#include "supervisor/remote.h"
#include "system/system.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 8

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
	for (const struct node *node = system_nodes(s->system); node->path; node++)
		if (!strcmp(word, last_word(node->path)))
			return true;
	return false;
}

/* Appends a path to the absolute one in buf, resolving ".", ".." and repeated slashes. Returns false where it is too
 * long. */
static bool append(char *buf, size_t size, const char *path)
{
	size_t length = strlen(buf);

	while (*path) {
		size_t word = strcspn(path, "/");

		if (word == 2 && path[0] == '.' && path[1] == '.') {
			while (length && buf[--length] != '/')
				;
		} else if (word && !(word == 1 && path[0] == '.')) {
			if (length + 1 + word >= size)
				return false;
			buf[length++] = '/';
			memcpy(buf + length, path, word);
			length += word;
		}
		buf[length] = '\0';
		path += word + (path[word] == '/');
	}
	return true;
}

/* The directory that a relative path begins in. */
static bool start_directory(struct call *call, int dirfd, char *buf, size_t size)
{
	char link[64];
	ssize_t n;

	if (dirfd == AT_FDCWD)
		snprintf(link, sizeof(link), "/proc/%d/cwd", (int)call->n.tid);
	else
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)call->n.tid, dirfd);
	n = readlink(link, buf, size - 1);
	if (n <= 0 || buf[0] != '/')
		return false;
	buf[n] = '\0';
	if (n == 1)
		buf[0] = '\0'; /* "/": what is appended brings its own */
	return true;
}

/* "/proc/self/fd/3" and its like, as we have to spell it. */
static bool find_descriptor(struct call *call, const char *path, char *out, size_t size)
{
	int tid = (int)call->n.tid;
	char who[32], fd[32];
	char thread[32];
	char rest;

	if (!strcmp(path, "/dev/stdin") || !strcmp(path, "/dev/stdout") || !strcmp(path, "/dev/stderr")) {
		snprintf(out, size, "/proc/%d/fd/%d", tid, path[8] == 'i' ? 0 : path[8] == 'o' ? 1 : 2);
		return true;
	}
	if (sscanf(path, "/dev/fd/%31[0-9]%c", fd, &rest) == 1) {
		snprintf(out, size, "/proc/%d/fd/%s", tid, fd);
		return true;
	}
	if (sscanf(path, "/proc/%31[^/]/task/%31[0-9]/fd/%31[0-9]%c", who, thread, fd, &rest) == 3) {
		snprintf(out, size, "/proc/%s/fd/%s", thread, fd);
		return true;
	}
	if (sscanf(path, "/proc/%31[^/]/fd/%31[0-9]%c", who, fd, &rest) != 2)
		return false;
	if (!strcmp(who, "self") || !strcmp(who, "thread-self"))
		snprintf(out, size, "/proc/%d/fd/%s", tid, fd);
	else if (is_number(who))
		snprintf(out, size, "/proc/%s/fd/%s", who, fd);
	else
		return false;
	return true;
}

/* Makes the client's path absolute, word by word. */
static bool make_full(struct call *call, int dirfd, const char *given, char *full, size_t size)
{
	full[0] = '\0';
	if (given[0] != '/' && !start_directory(call, dirfd, full, size / 2))
		return false;
	return append(full, size, given);
}

/* Replaces a path that is a symbolic link by what it points to. */
static bool follow(char *full, size_t size)
{
	char target[PATH_MAX];
	ssize_t n = readlink(full, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	if (target[0] == '/')
		full[0] = '\0';
	else
		*(char *)last_word(full) = '\0';
	return append(full, size, target);
}

static bool match(struct call *call, const char *full, struct path_target *target)
{
	for (const struct node *node = system_nodes(call->supervisor->system); node->path; node++) {
		if (!strcmp(full, node->path)) {
			target->node = node;
			return true;
		}
	}
	return find_descriptor(call, full, target->descriptor, sizeof(target->descriptor));
}

bool path_find(struct call *call, int dirfd, uaddr_t path, struct path_target *target)
{
	char given[PATH_MAX];
	char full[2 * PATH_MAX];
	bool links = call->supervisor->trap_paths;

	*target = (struct path_target){0};
	if (remote_string(call, path, given, sizeof(given)) <= 0)
		return false;
	if (!links && !could_concern_us(call->supervisor, given))
		return false;
	if (!make_full(call, dirfd, given, full, sizeof(full)))
		return false;
	/* With namespaces, a link leads to the node's place, and the first ioctl tells. */
	for (int i = 0; i < LINKS_MAX; i++) {
		if (could_concern_us(call->supervisor, full) && match(call, full, target))
			return true;
		if (!links || !follow(full, sizeof(full)))
			return false;
	}
	return false;
}

bool path_is_empty(struct call *call, uaddr_t path)
{
	char first;

	return !path.va || (client_read(&call->client, &first, path, 1) == 1 && !first);
}
