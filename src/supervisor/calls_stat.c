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

static void describe(const struct node *node, struct stat *st)
{
	st->st_mode = node ? S_IFCHR | node->mode : QUEUE_MODE;
	st->st_rdev = node ? makedev(node->major, node->minor) : 0;
	st->st_size = 0;
	st->st_blocks = 0;
	st->st_nlink = 1;
}

/* A node that is not open has no inode of its own: the inode of /dev serves, with a number that tells nodes apart. */
static int stat_node(const struct node *node, struct stat *st)
{
	if (stat("/dev", st) < 0)
		return -errno;
	st->st_ino = (st->st_ino << 16) + (node->major << 8) + node->minor;
	st->st_uid = 0;
	st->st_gid = 0;
	describe(node, st);
	return 0;
}

/* The node that a path means, itself or through a descriptor. */
static bool node_of_path(struct call *call, int dirfd, uaddr_t path, const struct node **node)
{
	struct path_target target;

	if (!call->supervisor->trap_paths || !path_find(call, dirfd, path, &target))
		return false;
	*node = target.node;
	return target.node || !call_node_at(call, target.descriptor, node);
}

static int64_t answer_stat(struct call *call, const struct stat *st, uaddr_t out)
{
	return client_copy_out(&call->client, out, st, sizeof(*st));
}

static int64_t stat_path(struct call *call, int dirfd, uaddr_t path, uaddr_t out)
{
	const struct node *node;
	struct stat st;
	int err;

	if (!node_of_path(call, dirfd, path, &node))
		return CALL_CONTINUE;
	err = stat_node(node, &st);
	return err ? err : answer_stat(call, &st, out);
}

int64_t call_fstat(struct call *call)
{
	if (!call->file)
		return CALL_CONTINUE;
	describe(call->node, &call->stat);
	return answer_stat(call, &call->stat, uaddr(call->n.args[1]));
}

int64_t call_newfstatat(struct call *call)
{
	if (call->n.args[3] & AT_EMPTY_PATH && path_is_empty(call, uaddr(call->n.args[1]))) {
		if (!call->file)
			return CALL_CONTINUE;
		describe(call->node, &call->stat);
		return answer_stat(call, &call->stat, uaddr(call->n.args[2]));
	}
	return stat_path(call, (int)call->n.args[0], uaddr(call->n.args[1]), uaddr(call->n.args[2]));
}

int64_t call_stat(struct call *call)
{
	return stat_path(call, AT_FDCWD, uaddr(call->n.args[0]), uaddr(call->n.args[1]));
}

int64_t call_lstat(struct call *call)
{
	return stat_path(call, AT_FDCWD, uaddr(call->n.args[0]), uaddr(call->n.args[1]));
}

static struct statx_timestamp timestamp(struct timespec t)
{
	return (struct statx_timestamp){.tv_sec = t.tv_sec, .tv_nsec = (uint32_t)t.tv_nsec};
}

static int64_t answer_statx(struct call *call, const struct stat *st, uaddr_t out)
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
	uaddr_t out = uaddr(call->n.args[4]);
	const struct node *node;
	struct stat st;
	int err;

	if (call->n.args[2] & AT_EMPTY_PATH && path_is_empty(call, uaddr(call->n.args[1]))) {
		if (!call->file)
			return CALL_CONTINUE;
		describe(call->node, &call->stat);
		return answer_statx(call, &call->stat, out);
	}
	if (!node_of_path(call, (int)call->n.args[0], uaddr(call->n.args[1]), &node))
		return CALL_CONTINUE;
	err = stat_node(node, &st);
	return err ? err : answer_statx(call, &st, out);
}

static int64_t access_path(struct call *call, int dirfd, uaddr_t path, int mode)
{
	const struct node *node;

	if (!node_of_path(call, dirfd, path, &node))
		return CALL_CONTINUE;
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

	if (size <= 0 || !path_find(call, dirfd, path, &target))
		return CALL_CONTINUE;
	if (target.node)
		return -EINVAL;
	if (call_node_at(call, target.descriptor, &target.node))
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
