/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client does with a descriptor. */
#include "supervisor/calls.h"

#include "client/file.h"
#include "supervisor/exec.h"
#include "supervisor/overlay.h"
#include "supervisor/standin.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The most that one read or write moves (MAX_RW_COUNT of Linux). */
#define TRANSFER_MAX (INT_MAX & PAGE_MASK)

/*
 * The client has opened the place that a node takes in its /dev past us, by a symbolic link of its own or by io_uring.
 * What it got becomes the node at the first call that could mean it. Returns 0, or -errno: -ENOENT: it is something
 * else.
 */
static int substitute(struct call *call)
{
	struct supervisor *s = call->supervisor;
	struct file *file;
	int fd = (int)call->n.args[0];
	int client_fd, flags, err;

	err = overlay_placeholder(s->overlay, call->n.tid, fd, &call->stat, &call->node, &flags);
	if (err)
		return err;
	err = system_open(s->system, &call->client, call->node->path, flags, &file);
	if (err)
		return err;
	call->file = file_get(file);
	err = standin_open(call, call->node, file, flags, &client_fd);
	if (err) {
		system_closed(s->system, file);
		return err;
	}
	err = notify_put_fd(s->listener, &call->n, client_fd, fd, flags & O_CLOEXEC);
	close(client_fd);
	return err < 0 ? err : 0;
}

int64_t call_ioctl(struct call *call)
{
	if (!call->file) {
		int err = call->is_open ? substitute(call) : -ENOENT;

		if (err)
			return err == -ENOENT ? CALL_CONTINUE : err;
	}
	call->client.fd = (int)call->n.args[0];
	if (!call->file->ops->ioctl)
		return -ENOTTY;
	return call->file->ops->ioctl(call->file, &call->client, (unsigned)call->n.args[1], call->n.args[2]);
}

int64_t call_mmap(struct call *call)
{
	const struct file_ops *ops = call->file ? call->file->ops : NULL;
	int access = call->open_flags & O_ACCMODE;
	int prot = (int)call->n.args[2];
	int flags = (int)call->n.args[3];
	int err;

	if (!ops)
		return CALL_CONTINUE;
	if (!call->n.args[1])
		return -EINVAL;
	if (access == O_WRONLY || (prot & PROT_WRITE && flags & MAP_SHARED && access == O_RDONLY))
		return -EACCES;
	if (!ops->mmap)
		return -ENODEV;
	err = ops->mmap(call->file, &call->client, call->n.args[1], prot, flags, call->n.args[5]);
	return err ? err : CALL_CONTINUE;
}

int64_t call_ftruncate(struct call *call)
{
	return call->file ? -EINVAL : CALL_CONTINUE;
}

int64_t call_fallocate(struct call *call)
{
	if (!call->file)
		return CALL_CONTINUE;
	return (call->open_flags & O_ACCMODE) == O_RDONLY ? -EBADF : -ENODEV;
}

/* The calls that move data, by what they are. */
struct transfer {
	bool write;
	bool positioned; /* args[3] is a position, and -1 means none in the second version */
	bool second_version;
};

static struct transfer transfer_of(int nr)
{
	static const struct {
		int nr;
		struct transfer is;
	} table[] = {
		{__NR_read, {false, false, false}},   {__NR_write, {true, false, false}},
		{__NR_pread64, {false, true, false}}, {__NR_pwrite64, {true, true, false}},
		{__NR_readv, {false, false, false}},  {__NR_writev, {true, false, false}},
		{__NR_preadv, {false, true, false}},  {__NR_pwritev, {true, true, false}},
		{__NR_preadv2, {false, true, true}},  {__NR_pwritev2, {true, true, true}},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].nr == nr)
			return table[i].is;
	return (struct transfer){0};
}

static int64_t transfer_one(struct call *call, bool write, uaddr_t buf, uint64_t count, uint64_t pos)
{
	const struct file_ops *ops = call->file->ops;

	if (count > INT64_MAX)
		return -EINVAL;
	count = count < TRANSFER_MAX ? count : TRANSFER_MAX;
	return (write ? ops->write : ops->read)(call->file, &call->client, buf, count, pos);
}

/* The position, or -errno: -EINVAL: below zero, -ESPIPE: one is given, and an event queue has none. */
static int position_of(const struct call *call, struct transfer t, uint64_t *pos)
{
	*pos = t.positioned ? call->n.args[3] : 0;
	if (!t.positioned || (t.second_version && *pos == UINT64_MAX)) {
		*pos = 0;
		return 0;
	}
	if (*pos > INT64_MAX)
		return -EINVAL;
	return call->file->ops->event_queue ? -ESPIPE : 0;
}

/* What the kernel asks of a descriptor before it asks the file. Returns 0 with the position, or -errno. */
static int64_t check_transfer(const struct call *call, struct transfer t, uint64_t *pos)
{
	const struct file_ops *ops = call->file ? call->file->ops : NULL;
	int access = call->open_flags & O_ACCMODE;
	int err;

	if (!ops)
		return CALL_CONTINUE;
	err = position_of(call, t, pos);
	if (err)
		return err;
	if (access != O_RDWR && access != (t.write ? O_WRONLY : O_RDONLY))
		return -EBADF;
	return (t.write ? !ops->write : !ops->read) ? -EINVAL : 0;
}

int64_t call_transfer(struct call *call)
{
	struct transfer t = transfer_of(call->n.nr);
	uint64_t pos;
	int64_t rc = check_transfer(call, t, &pos);

	return rc ? rc : transfer_one(call, t.write, uaddr(call->n.args[1]), call->n.args[2], pos);
}

int64_t call_vector(struct call *call)
{
	struct transfer t = transfer_of(call->n.nr);
	uint64_t count = call->n.args[2];
	int64_t total = 0;
	uint64_t pos;
	int64_t rc = check_transfer(call, t, &pos);

	if (rc)
		return rc;
	if (count > IOV_MAX)
		return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		uaddr_t at = uaddr_add(uaddr(call->n.args[1]), i * sizeof(struct iovec));
		struct iovec part;

		if (client_copy_in(&call->client, &part, at, sizeof(part)))
			return total ? total : -EFAULT;
		rc = transfer_one(call, t.write, uaddr((uintptr_t)part.iov_base), part.iov_len, pos);
		if (rc < 0)
			return total ? total : rc;
		total += rc;
		if ((uint64_t)rc < part.iov_len)
			break;
	}
	return total;
}

int64_t call_shutdown(struct call *call)
{
	return call->file ? -ENOTSOCK : CALL_CONTINUE;
}

int64_t call_exec(struct call *call)
{
	int err = exec_let_go(call);

	return err ? err : CALL_CONTINUE;
}
