/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/calls.h"

#include "base/log.h"
#include "client/file.h"
#include "supervisor/exec.h"
#include "supervisor/process.h"
#include "supervisor/remote.h"
#include "supervisor/remote_mm.h"
#include "supervisor/shadow.h"
#include "supervisor/share.h"
#include "supervisor/standin.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define NO_FD        (-1)
#define ATTEMPTS_OWN 8

/* A system call that the filter traps: what answers it, and which argument is a descriptor that may be ours. */
struct trapped {
	int nr;
	int fd_arg;
	call_handler *handler;
};

static const struct trapped trapped_calls[] = {
	{__NR_ioctl, 0, call_ioctl},
	{__NR_openat, NO_FD, call_openat},
	{__NR_newfstatat, 0, call_newfstatat},
	{__NR_fstat, 0, call_fstat},
	{__NR_mmap, 4, call_mmap},
	{__NR_statx, 0, call_statx},
	{__NR_openat2, NO_FD, call_openat2},
	{__NR_read, 0, call_transfer},
	{__NR_write, 0, call_transfer},
	{__NR_pread64, 0, call_transfer},
	{__NR_pwrite64, 0, call_transfer},
	{__NR_readv, 0, call_vector},
	{__NR_writev, 0, call_vector},
	{__NR_preadv, 0, call_vector},
	{__NR_pwritev, 0, call_vector},
	{__NR_preadv2, 0, call_vector},
	{__NR_pwritev2, 0, call_vector},
	{__NR_ftruncate, 0, call_ftruncate},
	{__NR_fallocate, 0, call_fallocate},
	{__NR_truncate, NO_FD, call_truncate},
	{__NR_madvise, NO_FD, call_madvise},
	{__NR_execve, NO_FD, call_exec},
	{__NR_execveat, NO_FD, call_exec},
	{__NR_clone, NO_FD, call_fork},
	{__NR_clone3, NO_FD, call_fork},
	{__NR_capset, NO_FD, call_credentials},
	{__NR_setuid, NO_FD, call_credentials},
	{__NR_setreuid, NO_FD, call_credentials},
	{__NR_setresuid, NO_FD, call_credentials},
	{__NR_setns, NO_FD, call_credentials},
	{__NR_unshare, NO_FD, call_credentials},
	{__NR_faccessat, NO_FD, call_faccessat},
	{__NR_faccessat2, NO_FD, call_faccessat},
	{__NR_readlinkat, NO_FD, call_readlinkat},
	{__NR_getxattr, NO_FD, call_xattr},
	{__NR_lgetxattr, NO_FD, call_xattr},
	{__NR_listxattr, NO_FD, call_xattr},
	{__NR_llistxattr, NO_FD, call_xattr},
#ifdef __NR_open
	{__NR_fork, NO_FD, call_fork},
	{__NR_open, NO_FD, call_open},
	{__NR_creat, NO_FD, call_creat},
	{__NR_stat, NO_FD, call_stat},
	{__NR_lstat, NO_FD, call_lstat},
	{__NR_access, NO_FD, call_access},
	{__NR_readlink, NO_FD, call_readlink},
#endif
};

static const struct trapped *find_trapped(int nr)
{
	for (size_t i = 0; i < sizeof(trapped_calls) / sizeof(*trapped_calls); i++)
		if (trapped_calls[i].nr == nr)
			return &trapped_calls[i];
	return NULL;
}

/* Applies what has been closed, finds the caller and its file: one step under the lock. Returns 0, or -errno: the
 * caller cannot be served. */
static int begin(struct supervisor *s, struct call *call, const struct trapped *t)
{
	int fd = t->fd_arg == NO_FD ? -1 : (int)call->n.args[t->fd_arg];
	struct standin *closed, *e;
	bool executed = false;
	int err;

	supervisor_lock(s);
	supervisor_drain(s);
	closed = standins_take_closed(s);
	err = process_identify(s, call, fd);
	if (!err) {
		process_call_begin(call);
		exec_call_begin(call);
		executed = call->process->exec_tried && remote_mm_opened(call->process->mm);
		e = call->is_open ? standin_find(s, &call->stat) : NULL;
		if (e) {
			call->file = file_get(e->file);
			call->node = e->node;
			call->open_flags = e->open_flags;
		}
	}
	supervisor_unlock(s);
	standins_drop(s, closed);
	if (executed)
		exec_settle(call);
	if (!err)
		standins_settle(s, call->client.pid);
	return err;
}

void calls_settle(struct supervisor *s)
{
	struct standin *closed;

	supervisor_lock(s);
	processes_settle(s);
	remote_mms_settle(s);
	supervisor_drain(s);
	closed = standins_take_closed(s);
	supervisor_unlock(s);
	standins_drop(s, closed);
}

static void end(struct call *call)
{
	supervisor_lock(call->supervisor);
	process_call_end(call);
	remote_call_end(call);
	exec_call_end(call);
	supervisor_unlock(call->supervisor);
	if (call->file)
		file_put(call->file);
}

static void tell_not_served(const struct notification *n, int err)
{
	uint64_t size;

	/* What has no memory any more is about to die, and belongs to root until then. */
	if (err == -ESRCH || process_status(n->tid, "VmSize", 10, &size))
		return;
	if (err == -EACCES || err == -EPERM)
		log_error(err, "cannot look at process %d: it is not dumpable, or another user's; it runs without us",
			  (int)n->tid);
	else
		log_error(err, "cannot serve a call of process %d", (int)n->tid);
}

static void answer(struct supervisor *s, const struct notification *n, int64_t result)
{
	if (result == CALL_CONTINUE || result == CALL_FORK)
		notify_continue(s->listener, n);
	else
		notify_answer(s->listener, n, result);
}

/*
 * The same where memory that is pinned is shared first, and forked processes get memory of their own. Returns whether
 * the call is to be handled again: what it wants was shared by another thread, or stays private.
 */
static bool answer_sharing(struct supervisor *s, struct share *share, pid_t pid, const struct notification *n,
			   int64_t result, struct share_answer *held, unsigned attempt)
{
	bool entered;

	if (result == -ERESTART) {
		if (share_is_wanted(share))
			return !share_and_restart(s, share, pid, n, held);
		/* A few times another thread may have had it shared; else it is another process's memory. */
		if (attempt >= ATTEMPTS_OWN)
			process_refuse_shares(s, share);
		return true;
	}
	if (result == CALL_FORK) {
		share_fork(s, share, pid, n, held);
		return false;
	}
	entered = share_enter(share, n->tid);
	if (!entered)
		share_release(share, held);
	answer(s, n, result);
	share_release(share, held);
	share_leave(share, entered);
	return false;
}

/* Returns whether the call is to be handled again. */
static bool handle_once(struct supervisor *s, const struct notification *n, const struct trapped *t, unsigned attempt)
{
	struct share_answer held = {0};
	struct share *share;
	struct call call;
	struct remote_mm *mm;
	int64_t result;
	bool again;
	int err;

	memset(&call, 0, sizeof(call));
	call.supervisor = s;
	call.n = *n;
	remote_client_init(&call);
	err = begin(s, &call, t);
	if (err) {
		tell_not_served(n, err);
		if (err == -ENOMEM || err == -ENFILE)
			notify_answer(s->listener, n, err); /* what it is, we cannot know */
		else
			notify_continue(s->listener, n);
		return false;
	}
	result = t->handler(&call);
	if (result == CALL_CONTINUE && s->shadow)
		result = shadow_call(&call);
	mm = s->pin == PIN_SHARE ? remote_call_mm(&call) : NULL;
	share = mm ? remote_mm_share(mm) : NULL;
	if (share)
		share_hold(share, &held, n->tid);
	/* The call holds nothing any more when the client goes on: it may close what it has, and looks at once. */
	end(&call);
	if (share) {
		again = answer_sharing(s, share, call.client.pid, n, result, &held, attempt);
		share_release(share, &held);
	} else {
		answer(s, n, result);
		again = false;
	}
	if (mm)
		mm_put(remote_mm_base(mm));
	return again;
}

void call_handle(struct supervisor *s, const struct notification *n)
{
	const struct trapped *t = find_trapped(n->nr);
	unsigned attempt = 0;

	if (!t) {
		notify_continue(s->listener, n);
		return;
	}
	while (handle_once(s, n, t, attempt))
		attempt++;
}
