/* SPDX-License-Identifier: BSD-3-Clause */
/* What a client does with a descriptor. */
#include "supervisor/calls.h"

#include "abi/ioasid.h"
#include "abi/vfio.h"
#include "client/file.h"
#include "supervisor/exec.h"
#include "supervisor/kvm.h"
#include "supervisor/overlay.h"
#include "supervisor/process.h"
#include "supervisor/remote.h"
#include "supervisor/remote_mm.h"
#include "supervisor/share.h"
#include "supervisor/standin.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/kvm.h>

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

/* Does a command look whether nobody else has a group or a device? */
static bool is_exclusive(const struct call *call, unsigned cmd)
{
	return cmd == VFIO_DEVICE_BIND_IOMMUFD ? call->file->ops->device : call->node && call->node->kind == NODE_GROUP;
}

int64_t call_ioctl(struct call *call)
{
	const unsigned cmd = (unsigned)call->n.args[1];

	if (!call->file) {
		int err = call->is_open ? substitute(call) : -ENOENT;

		if (err == -ENOENT && cmd == KVM_SET_DEVICE_ATTR)
			return kvm_set_device_attr(call);
		if (err)
			return err == -ENOENT ? CALL_CONTINUE : err;
	}
	call->client.fd = (int)call->n.args[0];
	if (!call->file->ops->ioctl)
		return -ENOTTY;
	if (is_exclusive(call, cmd))
		calls_settle(call->supervisor);
	if (cmd == IOASID_REQUEST_ALLOC)
		standins_settle_pasids(call->supervisor);
	return call->file->ops->ioctl(call->file, &call->client, cmd, call->n.args[2]);
}

int64_t call_mmap(struct call *call)
{
	struct file_region *region = NULL;
	const struct file_ops *ops = call->file ? call->file->ops : NULL;
	int access = call->open_flags & O_ACCMODE;
	int prot = (int)call->n.args[2];
	int flags = (int)call->n.args[3];
	uint64_t offset = call->n.args[5];
	uint64_t length;
	int err;

	if (!ops)
		return CALL_CONTINUE;
	if (!call->n.args[1] || offset & ~PAGE_MASK)
		return -EINVAL;
	length = (call->n.args[1] + PAGE_SIZE - 1) & PAGE_MASK;
	if (!length)
		return -ENOMEM;
	if (__builtin_add_overflow(offset, length, &(uint64_t){0}))
		return -EOVERFLOW;
	if (access == O_WRONLY || (prot & PROT_WRITE && flags & MAP_SHARED && access == O_RDONLY))
		return -EACCES;
	if (!ops->mmap)
		return -ENODEV;
	err = ops->mmap(call->file, &call->client, length, prot, flags, offset, &region);
	if (err)
		return err;
	atomic_store(&call->supervisor->mapped, true);
	file_region_put(region);
	return CALL_CONTINUE;
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

/* Copies the parts in, all before the first is used, and shortens them to what one call moves. Returns how many bytes
 * they are, or -EFAULT, -EINVAL. */
static int64_t copy_parts(struct call *call, struct iovec *parts, uint64_t count)
{
	uint64_t total = 0;

	if (client_copy_in(&call->client, parts, uaddr(call->n.args[1]), count * sizeof(*parts)))
		return -EFAULT;
	for (uint64_t i = 0; i < count; i++)
		if (parts[i].iov_len > SSIZE_MAX)
			return -EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		if (parts[i].iov_len > TRANSFER_MAX - total)
			parts[i].iov_len = TRANSFER_MAX - total;
		total += parts[i].iov_len;
	}
	return (int64_t)total;
}

/* A file that is not made for vectors gets each part by itself, up to one that is not filled. */
static int64_t transfer_parts(struct call *call, bool write, const struct iovec *parts, uint64_t pos, int64_t left)
{
	const bool advances = !call->file->ops->event_queue;
	int64_t total = 0;

	for (uint64_t i = 0; left; i++) {
		uint64_t at = advances ? pos + (uint64_t)total : pos;
		int64_t rc;

		if (i && !parts[i].iov_len)
			continue;
		rc = transfer_one(call, write, uaddr((uintptr_t)parts[i].iov_base), parts[i].iov_len, at);
		if (rc < 0)
			return total ? total : rc;
		total += rc;
		left -= rc;
		if ((uint64_t)rc < parts[i].iov_len)
			break;
	}
	return total;
}

int64_t call_vector(struct call *call)
{
	struct transfer t = transfer_of(call->n.nr);
	uint64_t count = call->n.args[2];
	struct iovec *parts;
	uint64_t pos;
	int64_t rc = check_transfer(call, t, &pos);

	if (rc || !count)
		return rc;
	if (count > IOV_MAX)
		return -EINVAL;
	parts = malloc(count * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	rc = copy_parts(call, parts, count);
	if (rc > 0 && t.second_version && call->n.args[5] & ~(uint64_t)RWF_HIPRI)
		rc = -EOPNOTSUPP;
	if (rc > 0)
		rc = transfer_parts(call, t.write, parts, pos, rc);
	free(parts);
	return rc;
}

int64_t call_exec(struct call *call)
{
	int err = exec_let_go(call);

	process_forget_capabilities(call, true);
	return err ? err : CALL_CONTINUE;
}

/* Two processes will have one memory. */
static void note_common(struct call *call)
{
	struct remote_mm *mm = remote_call_mm(call);

	if (remote_mm_share(mm))
		share_note_common(remote_mm_share(mm));
	mm_put(remote_mm_base(mm));
}

int64_t call_fork(struct call *call)
{
	uint64_t flags = 0;

	if (call->n.nr == __NR_clone)
		flags = call->n.args[0];
	else if (call->n.nr == __NR_clone3 &&
		 client_copy_in(&call->client, &flags, uaddr(call->n.args[0]), sizeof(flags)))
		return CALL_CONTINUE;
	if (!(flags & CLONE_VM))
		return CALL_FORK;
	if (!(flags & (CLONE_THREAD | CLONE_VFORK)))
		note_common(call);
	return CALL_CONTINUE;
}

/* The thread makes no other call before this one is over. */
int64_t call_credentials(struct call *call)
{
	process_forget_capabilities(call, false);
	return CALL_CONTINUE;
}
