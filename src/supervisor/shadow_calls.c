/* SPDX-License-Identifier: BSD-3-Clause */
/* Each does its call on the place that the client's path means, and gives the client the result. */
#include "supervisor/shadow.h"

#include "supervisor/calls.h"
#include "supervisor/notify.h"
#include "supervisor/process.h"
#include "supervisor/remote.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/openat2.h>

static uint64_t rights_over_files(pid_t pid)
{
	uint64_t capabilities;

	if (process_status(pid, "CapEff", 16, &capabilities))
		return 0;
	return capabilities & (1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
}

/* May the client open all that we may? Its uid is what it opens files by: that of its directory in /proc is root's
 * where it is not dumpable. */
static bool is_like_us(const struct call *call)
{
	char path[32], line[128];
	unsigned uid = 0;
	bool found = false;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)call->n.tid);
	status = fopen(path, "re");
	while (status && !found && fgets(line, sizeof(line), status))
		found = sscanf(line, "Uid: %*u %*u %*u %u", &uid) == 1;
	if (status)
		fclose(status);
	return found && uid == geteuid() && !(rights_over_files(getpid()) & ~rights_over_files(call->n.tid));
}

/*
 * Reads the path and finds its target. Returns 0, an error that is the call's result, or CALL_CONTINUE. The machine's
 * files are only for who could have them without us: all that leads to one decides about that, and we do not look.
 */
static int64_t find(struct call *call, int dirfd, uint64_t path, bool follow, struct shadow_target *target)
{
	char given[PATH_MAX];

	target->name[0] = '\0';
	if (remote_string(call, uaddr(path), given, sizeof(given)) <= 0 ||
	    !shadow_find(call, dirfd, given, follow, target))
		return CALL_CONTINUE;
	if (target->machine && !is_like_us(call))
		return CALL_CONTINUE;
	return target->error;
}

static const struct node *find_node(const struct call *call, const char *name)
{
	for (const struct node *node = system_nodes(call->supervisor->system); node->path; node++)
		if (!strcmp(node->path, name))
			return node;
	return NULL;
}

/* What a client could not open itself, it does not get from us. */
static bool may_open(const struct call *call, const struct shadow_target *target, int flags)
{
	const unsigned mode = (flags & O_ACCMODE) == O_RDONLY ? S_IROTH : S_IWOTH;
	struct stat st;

	if (is_like_us(call))
		return true;
	return stat(target->place, &st) == 0 && st.st_mode & mode;
}

static int64_t open_target(struct call *call, int dirfd, uint64_t path, int flags, unsigned resolve)
{
	const bool exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	struct shadow_target target;
	const struct node *node;
	int64_t result;
	int fd;

	if (resolve)
		return CALL_CONTINUE;
	result = find(call, dirfd, path, !(flags & O_NOFOLLOW) && !exclusive, &target);
	if (result == -ENOENT && flags & O_CREAT)
		return -EACCES;
	if (result)
		return result;
	node = find_node(call, target.name);
	if (node && !(flags & O_PATH))
		return call_open_node(call, node, flags);
	if (exclusive)
		return -EEXIST;
	if (!may_open(call, &target, flags))
		return -EACCES;
	/* A descriptor of a mere path cannot be given away: it may do more than it was asked for. */
	fd = open(target.place, (flags & ~(O_CREAT | O_PATH)) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags & (O_APPEND | O_DIRECT | O_NOATIME));
	result = notify_put_fd(call->supervisor->listener, &call->n, fd, NOTIFY_ANY_FD, flags & O_CLOEXEC);
	close(fd);
	return result;
}

static int64_t open_how(struct call *call)
{
	struct open_how how;

	if (call->n.args[3] != sizeof(how) || client_copy_in(&call->client, &how, uaddr(call->n.args[2]), sizeof(how)))
		return CALL_CONTINUE;
	return open_target(call, (int)call->n.args[0], call->n.args[1], (int)how.flags, (unsigned)how.resolve);
}

static int64_t stat_target(struct call *call, int dirfd, uint64_t path, bool follow, uint64_t out)
{
	struct shadow_target target;
	int64_t result = find(call, dirfd, path, follow, &target);
	const struct node *node;
	struct stat st;

	if (result)
		return result;
	node = find_node(call, target.name);
	if (node)
		result = call_stat_node(call->supervisor, node, &st);
	else if (lstat(target.place, &st) < 0)
		result = -errno;
	return result ? result : client_copy_out(&call->client, uaddr(out), &st, sizeof(st));
}

static int64_t statx_target(struct call *call)
{
	const int flags = (int)call->n.args[2];
	struct shadow_target target;
	int64_t result = find(call, (int)call->n.args[0], call->n.args[1], !(flags & AT_SYMLINK_NOFOLLOW), &target);
	const struct node *node;
	struct stat st;
	struct statx x;

	if (result)
		return result;
	node = find_node(call, target.name);
	if (node) {
		result = call_stat_node(call->supervisor, node, &st);
		return result ? result : call_answer_statx(call, &st, uaddr(call->n.args[4]));
	}
	if (statx(AT_FDCWD, target.place, flags | AT_SYMLINK_NOFOLLOW, (unsigned)call->n.args[3], &x) < 0)
		return -errno;
	return client_copy_out(&call->client, uaddr(call->n.args[4]), &x, sizeof(x));
}

static int64_t access_target(struct call *call, int dirfd, uint64_t path, int mode, int flags)
{
	struct shadow_target target;
	int64_t result = find(call, dirfd, path, !(flags & AT_SYMLINK_NOFOLLOW), &target);

	if (result)
		return result;
	if (find_node(call, target.name))
		return mode & X_OK ? -EACCES : 0;
	return faccessat(AT_FDCWD, target.place, mode, flags & AT_EACCESS) < 0 ? -errno : 0;
}

/* Reads a link of the tree, or one of /proc that says where a file of the tree is. Returns the length of the text, or
 * as find(). */
static int64_t read_target(struct call *call, int64_t found, const struct shadow_target *target, char *text)
{
	const bool proc = found == CALL_CONTINUE && !strncmp(target->name, "/proc/", 6);
	ssize_t n;

	if (found && !proc)
		return found;
	n = readlink(proc ? target->name : target->place, text, PATH_MAX - 1);
	if (n < 0)
		return proc ? CALL_CONTINUE : -errno;
	text[n] = '\0';
	if (proc && !shadow_name(call->supervisor->shadow, text))
		return CALL_CONTINUE;
	return (int64_t)strlen(text);
}

static int64_t readlink_target(struct call *call, int dirfd, uint64_t path, uint64_t out, int size)
{
	struct shadow_target target;
	char text[PATH_MAX];
	int64_t length = read_target(call, find(call, dirfd, path, false, &target), &target, text);

	if (length < 0)
		return length;
	if (size <= 0)
		return -EINVAL;
	length = length < size ? length : size;
	return client_copy_out(&call->client, uaddr(out), text, (size_t)length) ? -EFAULT : length;
}

/* There are no extended attributes, as in sysfs: the answer, where the path means something. */
static int64_t xattr_target(struct call *call, bool follow, int answer)
{
	struct shadow_target target;
	struct stat st;
	int64_t result = find(call, AT_FDCWD, call->n.args[0], follow, &target);

	if (result)
		return result;
	return lstat(target.place, &st) < 0 ? -errno : answer;
}

int64_t shadow_call(struct call *call)
{
	const uint64_t *args = call->n.args;

	switch (call->n.nr) {
#ifdef __NR_open
	case __NR_open:
		return open_target(call, AT_FDCWD, args[0], (int)args[1], 0);
	case __NR_creat:
		return open_target(call, AT_FDCWD, args[0], O_CREAT | O_WRONLY | O_TRUNC, 0);
	case __NR_stat:
		return stat_target(call, AT_FDCWD, args[0], true, args[1]);
	case __NR_lstat:
		return stat_target(call, AT_FDCWD, args[0], false, args[1]);
	case __NR_access:
		return access_target(call, AT_FDCWD, args[0], (int)args[1], 0);
	case __NR_readlink:
		return readlink_target(call, AT_FDCWD, args[0], args[1], (int)args[2]);
#endif
	case __NR_openat:
		return open_target(call, (int)args[0], args[1], (int)args[2], 0);
	case __NR_openat2:
		return open_how(call);
	case __NR_newfstatat:
		return stat_target(call, (int)args[0], args[1], !(args[3] & AT_SYMLINK_NOFOLLOW), args[2]);
	case __NR_statx:
		return statx_target(call);
	case __NR_faccessat:
		return access_target(call, (int)args[0], args[1], (int)args[2], 0);
	case __NR_faccessat2:
		return access_target(call, (int)args[0], args[1], (int)args[2], (int)args[3]);
	case __NR_readlinkat:
		return readlink_target(call, (int)args[0], args[1], args[2], (int)args[3]);
	case __NR_getxattr:
	case __NR_lgetxattr:
		return xattr_target(call, call->n.nr == __NR_getxattr, -EOPNOTSUPP);
	case __NR_listxattr:
	case __NR_llistxattr:
		return xattr_target(call, call->n.nr == __NR_listxattr, 0);
	default:
		return CALL_CONTINUE;
	}
}
