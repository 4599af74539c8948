/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/calls.h"

#include "base/log.h"
#include "client/file.h"
#include "supervisor/cut.h"
#include "supervisor/path.h"
#include "supervisor/process.h"
#include "supervisor/remote_give.h"
#include "supervisor/standin.h"
#include "supervisor/status.h"
#include "supervisor/sysfs_live.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>

int call_node_at(struct call *call, const char *proc_path, const struct node **node)
{
	struct standin *e;
	struct stat st;
	int err = -ENOENT;

	if (process_stat(AT_FDCWD, proc_path, &st))
		return err;
	supervisor_lock(call->supervisor);
	e = standin_find(call->supervisor, &st);
	if (e) {
		*node = e->node;
		err = e->node ? 0 : -ENXIO;
	}
	supervisor_unlock(call->supervisor);
	return err;
}

int64_t call_open_node(struct call *call, const struct node *node, int flags)
{
	struct supervisor *s = call->supervisor;
	struct file *file;
	int client_fd;
	int err, number;
	bool device;

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (node->kind == NODE_GROUP)
		calls_settle(s);
	err = system_open(s->system, &call->client, node->path, flags, &file);
	if (err)
		return err;
	device = file->ops->device;
	err = standin_open(call, node, file, flags, &client_fd);
	if (err) {
		system_closed(s->system, file);
		log_error(err, "%s cannot be opened for process %d", node->path, (int)call->client.pid);
		return err;
	}
	number = remote_fd_open(call, device, client_fd, flags);
	/* Before the client goes on: its close shall be the last. Where it got none, this is, and the stand-in goes. */
	close(client_fd);
	return number;
}

static int64_t open_path(struct call *call, int dirfd, uaddr_t path, int flags, uint64_t resolve)
{
	/* Who opens to write may well mean a device, and nothing else is opened to write so often. */
	bool links = call->supervisor->trap_paths || (flags & O_ACCMODE) != O_RDONLY;
	struct path_target target;
	int err;

	if (flags & O_PATH)
		return CALL_CONTINUE;
	if (!path_find(call, dirfd, path, links, &target)) {
		if (target.config)
			sysfs_live_refresh(call->supervisor->live);
		if (flags & O_TRUNC && !((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)))
			cut_path(call, dirfd, path, 0);
		return CALL_CONTINUE;
	}
	if (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) && !target.beneath)
		return CALL_CONTINUE;
	if (target.error)
		return target.error;
	if (target.linked && (flags & O_NOFOLLOW || resolve & RESOLVE_NO_SYMLINKS))
		return -ELOOP;
	if (target.status)
		return status_open(call, target.status, flags);
	if (!target.node) {
		err = call_node_at(call, target.descriptor, &target.node);
		if (err)
			return err == -ENXIO ? err : CALL_CONTINUE;
	}
	return call_open_node(call, target.node, flags);
}

int64_t call_open(struct call *call)
{
	return open_path(call, AT_FDCWD, uaddr(call->n.args[0]), (int)call->n.args[1], 0);
}

int64_t call_creat(struct call *call)
{
	return open_path(call, AT_FDCWD, uaddr(call->n.args[0]), O_CREAT | O_WRONLY | O_TRUNC, 0);
}

int64_t call_openat(struct call *call)
{
	return open_path(call, (int)call->n.args[0], uaddr(call->n.args[1]), (int)call->n.args[2], 0);
}

/* What the kernel would refuse about the structure, or about the way to the file, it shall refuse itself. */
static bool is_plain(struct call *call, const struct open_how *how)
{
	const uint64_t harmless = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT;
	const uint64_t known = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC |
			       O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC;

	return !(how->flags & ~known) && (!how->mode || how->flags & O_CREAT) &&
	       !(how->resolve & ~(call->supervisor->trap_paths ? harmless : 0));
}

int64_t call_openat2(struct call *call)
{
	struct open_how how;

	if (call->n.args[3] != sizeof(how) ||
	    client_copy_in(&call->client, &how, uaddr(call->n.args[2]), sizeof(how)) || !is_plain(call, &how))
		return CALL_CONTINUE;
	return open_path(call, (int)call->n.args[0], uaddr(call->n.args[1]), (int)how.flags, how.resolve);
}
