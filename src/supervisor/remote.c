/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/remote.h"

#include "base/log.h"
#include "client/cgroup.h"
#include "supervisor/exec.h"
#include "supervisor/process.h"
#include "supervisor/ptrace.h"
#include "supervisor/region.h"
#include "supervisor/remote_files.h"
#include "supervisor/remote_give.h"
#include "supervisor/remote_mm.h"
#include "supervisor/share.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

static struct call *call_of(struct client *client)
{
	return (struct call *)client;
}

/* Says once why a process cannot be served. */
static void tell_unreadable(struct call *call, int error)
{
	struct supervisor *s = call->supervisor;
	bool told;

	supervisor_lock(s);
	told = call->process->told;
	call->process->told = true;
	supervisor_unlock(s);
	if (!told)
		log_error(error, "cannot read the memory of process %d: it is not dumpable, or another user's",
			  (int)call->client.pid);
}

static size_t remote_read(struct client *client, void *dst, uaddr_t src, size_t n)
{
	struct call *call = call_of(client);
	struct iovec local = {dst, n};
	struct iovec remote = {(void *)(uintptr_t)src.va, n};
	ssize_t got;

	if (!n)
		return 0;
	got = process_vm_readv(call->n.tid, &local, 1, &remote, 1, 0);
	if (got < 0) {
		if (errno == EPERM && notify_valid(call->supervisor->listener, &call->n))
			tell_unreadable(call, -EPERM);
		return 0;
	}
	return notify_valid(call->supervisor->listener, &call->n) ? (size_t)got : 0;
}

static struct mm *remote_client_mm(struct client *client);

static struct share *share_of(struct client *client)
{
	if (call_of(client)->supervisor->pin != PIN_SHARE)
		return NULL;
	return remote_mm_share((struct remote_mm *)remote_client_mm(client));
}

static int remote_copy_out(struct client *client, uaddr_t dst, const void *src, size_t n)
{
	struct call *call = call_of(client);
	struct iovec local = {(void *)(uintptr_t)src, n};
	struct iovec remote = {(void *)(uintptr_t)dst.va, n};
	struct share *share = share_of(client);
	bool entered;
	ssize_t put;

	if (!n)
		return 0;
	atomic_store(&call->writing, true);
	if (atomic_load(&call->exec_tried)) {
		atomic_store(&call->writing, false);
		return exec_write_old(call, dst, src, n);
	}
	/* A caller that was killed is not there to be written to; its number may be another process's by now. */
	if (!notify_valid(call->supervisor->listener, &call->n)) {
		atomic_store(&call->writing, false);
		return -EFAULT;
	}
	entered = share_enter(share, call->n.tid);
	put = process_vm_writev(call->n.tid, &local, 1, &remote, 1, 0);
	share_leave(share, entered);
	atomic_store(&call->writing, false);
	return put == (ssize_t)n ? 0 : -EFAULT;
}

void remote_call_end(struct call *call)
{
	if (call->mm)
		mm_put(call->mm);
}

/* Is the memory to be opened, for what outlives the call? Takes the lock. */
static bool is_unopened(struct call *call)
{
	bool unopened;

	supervisor_lock(call->supervisor);
	unopened = !remote_mm_opened(call->process->mm);
	supervisor_unlock(call->supervisor);
	return unopened;
}

/* The memory that the process of a call has, opened by what of it was shown, if it was. Takes the lock. */
static struct mm *use_mm(struct call *call, struct remote_view *view)
{
	struct process *p = call->process;
	struct mm *mm;

	supervisor_lock(call->supervisor);
	/* Of a caller that an execve has killed it shows what the process had before, or nothing. */
	if (view && !remote_mm_opened(p->mm) && notify_valid(call->supervisor->listener, &call->n))
		remote_mm_adopt(p->mm, view);
	if (remote_mm_opened(p->mm)) {
		if (p->execs)
			remote_mm_expect_end(p->mm);
		/* Also where it was opened for another process before. */
		if (!p->exec_tried)
			remote_mm_supervise(p->mm);
		remote_mm_used_by(p->mm, call->n.tid);
	}
	mm = mm_get(remote_mm_base(p->mm));
	supervisor_unlock(call->supervisor);
	return mm;
}

static struct mm *remote_client_mm(struct client *client)
{
	struct call *call = call_of(client);
	struct remote_view view;

	if (call->mm)
		return call->mm;
	exec_settle(call);
	if (!is_unopened(call)) {
		call->mm = use_mm(call, NULL);
		return call->mm;
	}
	remote_view_open(&view, call->client.pid, call->n.tid);
	call->mm = use_mm(call, &view);
	remote_view_close(&view);
	return call->mm;
}

/* It is not opened for this: the memory may be that of the process which a vfork was made in, until an execve. */
struct remote_mm *remote_call_mm(struct call *call)
{
	if (call->mm)
		return (struct remote_mm *)mm_get(call->mm);
	exec_settle(call);
	return (struct remote_mm *)use_mm(call, NULL);
}

static bool remote_capable(struct client *client, int cap)
{
	return process_capabilities(call_of(client)) >> cap & 1;
}

static int remote_cgroup(struct client *client, char *path, size_t room)
{
	struct call *call = call_of(client);
	int rc = cgroup_of(call->n.tid, path, room);

	/* Its number may be another one's by now. */
	return notify_valid(call->supervisor->listener, &call->n) ? rc : -ESRCH;
}

static const struct client_ops remote_ops = {
	.read = remote_read,
	.copy_out = remote_copy_out,
	.mm = remote_client_mm,
	.file = remote_file,
	.memory_file = remote_memory_file,
	.eventfd = remote_eventfd,
	.fd_reserve = remote_fd_reserve,
	.fd_install = remote_fd_install,
	.fd_unreserve = remote_fd_unreserve,
	.region_new = remote_region_new,
	.find_mm = remote_find_mm,
	.cgroup = remote_cgroup,
	.capable = remote_capable,
};

void remote_client_init(struct call *call)
{
	call->client.ops = &remote_ops;
	call->client.fd = -1;
}

ssize_t remote_string(struct call *call, uaddr_t src, char *dst, size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* Most paths are short: ask for little first, and never across a page that need not be there. */
		size_t want = done ? size - done : 256;
		size_t page = PAGE_SIZE - (src.va + done) % PAGE_SIZE;
		size_t got;
		char *end;

		want = want < page ? want : page;
		want = want < size - done ? want : size - done;
		got = client_read(&call->client, dst + done, uaddr_add(src, done), want);
		end = memchr(dst + done, '\0', got);
		if (end)
			return end - dst;
		if (got < want)
			return -EFAULT;
		done += got;
	}
	return -ENAMETOOLONG;
}
