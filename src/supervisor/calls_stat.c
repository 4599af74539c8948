/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions about a file: ours say that they are character devices. */
#include "supervisor/calls.h"

#include "supervisor/path.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* What an event queue shows: an anonymous inode of no type. */
#define QUEUE_MODE 0600

static void set_type(struct stat *st, mode_t mode, dev_t number)
{
	st->st_mode = mode;
	st->st_rdev = number;
	st->st_size = 0;
	st->st_blocks = 0;
	st->st_nlink = 1;
}

/* Its inode is that of its place; where it has none, the inode of /dev serves, with a number that tells nodes apart. */
int call_stat_node(const struct supervisor *s, const struct node *node, struct stat *st)
{
	if (stat(s->trap_paths ? "/dev" : node->path, st) < 0)
		return -errno;
	if (s->trap_paths) {
		st->st_ino = (st->st_ino << 44) + ((ino_t)node->major << 32) + node->minor;
		st->st_uid = 0;
		st->st_gid = 0;
	}
	set_type(st, S_IFCHR | node->mode, makedev(node->major, node->minor));
	return 0;
}

/* What the descriptor of a call is. */
static int stat_descriptor(struct call *call, struct stat *st)
{
	if (!call->file)
		return -ENOENT;
	if (call->node)
		return call_stat_node(call->supervisor, call->node, st);
	*st = call->stat;
	set_type(st, QUEUE_MODE, 0);
	return 0;
}

/* What a path means, where programs cannot see for themselves. -ENOENT: nothing of ours. */
static int stat_path(struct call *call, int dirfd, uaddr_t path, bool follow, struct stat *st)
{
	struct path_target target;
	int err;

	if (!call->supervisor->trap_paths || !path_find(call, dirfd, path, true, &target))
		return -ENOENT;
	if (target.status)
		return -ENOENT;
	if (target.error)
		return target.error;
	if (!follow && (target.linked || !target.node))
		return -ENOENT;
	if (!target.node) {
		err = call_node_at(call, target.descriptor, &target.node);
		if (err || !target.node)
			return -ENOENT;
	}
	return call_stat_node(call->supervisor, target.node, st);
}

static int64_t answer_stat(struct call *call, int err, const struct stat *st, uaddr_t out)
{
	if (err)
		return err == -ENOENT ? CALL_CONTINUE : err;
	return client_copy_out(&call->client, out, st, sizeof(*st));
}

int64_t call_fstat(struct call *call)
{
	struct stat st;
	int err = stat_descriptor(call, &st);

	return answer_stat(call, err, &st, uaddr(call->n.args[1]));
}

/* What a descriptor with AT_EMPTY_PATH, or else a path, means. */
static int stat_at(struct call *call, uaddr_t path, int flags, struct stat *st)
{
	if (flags & AT_EMPTY_PATH && path_is_empty(call, path))
		return stat_descriptor(call, st);
	return stat_path(call, (int)call->n.args[0], path, !(flags & AT_SYMLINK_NOFOLLOW), st);
}

int64_t call_newfstatat(struct call *call)
{
	struct stat st;
	int err = stat_at(call, uaddr(call->n.args[1]), (int)call->n.args[3], &st);

	return answer_stat(call, err, &st, uaddr(call->n.args[2]));
}

int64_t call_stat(struct call *call)
{
	struct stat st;
	int err = stat_path(call, AT_FDCWD, uaddr(call->n.args[0]), true, &st);

	return answer_stat(call, err, &st, uaddr(call->n.args[1]));
}

int64_t call_lstat(struct call *call)
{
	struct stat st;
	int err = stat_path(call, AT_FDCWD, uaddr(call->n.args[0]), false, &st);

	return answer_stat(call, err, &st, uaddr(call->n.args[1]));
}

static struct statx_timestamp timestamp(struct timespec t)
{
	return (struct statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec};
}

int64_t call_answer_statx(struct call *call, const struct stat *st, uaddr_t out)
{
	struct statx x = {
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (uint32_t)st->st_blksize,
		.stx_nlink = (uint32_t)st->st_nlink,
		.stx_uid = st->st_uid,
		.stx_gid = st->st_gid,
		.stx_mode = (uint16_t)st->st_mode,
		.stx_ino = st->st_ino,
		.stx_size = (uint64_t)st->st_size,
		.stx_blocks = (uint64_t)st->st_blocks,
		.stx_atime = timestamp(st->st_atim),
		.stx_mtime = timestamp(st->st_mtim),
		.stx_ctime = timestamp(st->st_ctim),
		.stx_rdev_major = major(st->st_rdev),
		.stx_rdev_minor = minor(st->st_rdev),
		.stx_dev_major = major(st->st_dev),
		.stx_dev_minor = minor(st->st_dev),
	};

	return client_copy_out(&call->client, out, &x, sizeof(x));
}

int64_t call_statx(struct call *call)
{
	struct stat st;
	int err = stat_at(call, uaddr(call->n.args[1]), (int)call->n.args[2], &st);

	if (err)
		return err == -ENOENT ? CALL_CONTINUE : err;
	return call_answer_statx(call, &st, uaddr(call->n.args[4]));
}

static int64_t access_path(struct call *call, int dirfd, uaddr_t path, int mode)
{
	struct stat st;
	int err = stat_path(call, dirfd, path, true, &st);

	if (err)
		return err == -ENOENT ? CALL_CONTINUE : err;
	return mode & X_OK ? -EACCES : 0;
}

int64_t call_access(struct call *call)
{
	return access_path(call, AT_FDCWD, uaddr(call->n.args[0]), (int)call->n.args[1]);
}

int64_t call_faccessat(struct call *call)
{
	return access_path(call, (int)call->n.args[0], uaddr(call->n.args[1]), (int)call->n.args[2]);
}

/* A descriptor of ours reads as the path of its node, a node is no link. */
static int64_t read_link(struct call *call, int dirfd, uaddr_t path, uaddr_t out, int size)
{
	struct path_target target;
	size_t length;

	if (size <= 0 || !path_find(call, dirfd, path, true, &target))
		return CALL_CONTINUE;
	if (target.error)
		return target.error;
	if (target.linked || target.status)
		return CALL_CONTINUE;
	if (target.node)
		return -EINVAL;
	if (call_node_at(call, target.descriptor, &target.node) || !target.node)
		return CALL_CONTINUE;
	length = strlen(target.node->path);
	length = length < (size_t)size ? length : (size_t)size;
	return client_copy_out(&call->client, out, target.node->path, length) ? -EFAULT : (int64_t)length;
}

int64_t call_readlink(struct call *call)
{
	return read_link(call, AT_FDCWD, uaddr(call->n.args[0]), uaddr(call->n.args[1]), (int)call->n.args[2]);
}

int64_t call_readlinkat(struct call *call)
{
	return read_link(call, (int)call->n.args[0], uaddr(call->n.args[1]), uaddr(call->n.args[2]),
			 (int)call->n.args[3]);
}

/* Files of ours have no extended attributes. */
int64_t call_xattr(struct call *call)
{
	const bool follow = call->n.nr == __NR_getxattr || call->n.nr == __NR_listxattr;
	struct stat st;
	int err = stat_path(call, AT_FDCWD, uaddr(call->n.args[0]), follow, &st);

	if (err)
		return err == -ENOENT ? CALL_CONTINUE : err;
	return call->n.nr == __NR_getxattr || call->n.nr == __NR_lgetxattr ? -EOPNOTSUPP : 0;
}
