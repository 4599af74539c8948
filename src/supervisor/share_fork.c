/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fork while memory is shared: the child stops before it runs, and is made to put private memory with the same
 * content in the place of each mapping of ours. Of its parent only the thread that forks stands still.
 */
#include "base/log.h"
#include "supervisor/mappings.h"
#include "supervisor/process.h"
#include "supervisor/share.h"
#include "supervisor/tracer.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SLICE_MS 5
#define FORK_MS  50 /* after which it is asked to stop */
#define STOP_MS  2000
#define PIECE    (UINT64_C(1) << 20)

struct fork_call {
	struct supervisor *supervisor;
	struct share *share;
	pid_t pid;
	const struct notification *n;
	struct share_answer *answer;
};

/* Copies what there is of the memory behind a mapping. */
static int copy_content(pid_t child, const struct mapping *m, int memfd, uint8_t *piece)
{
	const off_t shift = (off_t)m->offset;
	const off_t end = shift + (off_t)(m->end - m->start);
	off_t hole;

	for (off_t at = lseek(memfd, shift, SEEK_DATA); at >= 0 && at < end; at = lseek(memfd, hole, SEEK_DATA)) {
		hole = lseek(memfd, at, SEEK_HOLE);
		hole = hole < 0 || hole > end ? end : hole;
		while (at < hole) {
			size_t n = (uint64_t)(hole - at) < PIECE ? (size_t)(hole - at) : PIECE;
			struct iovec here = {piece, n};
			struct iovec there = {(void *)(uintptr_t)(m->start + (uint64_t)(at - shift)), n};

			if (pread(memfd, piece, n, at) != (ssize_t)n ||
			    process_vm_writev(child, &here, 1, &there, 1, 0) != (ssize_t)n)
				return -EFAULT;
			at += (off_t)n;
		}
	}
	return 0;
}

static int privatize(struct traced *child, const struct mapping *m, int memfd)
{
	const uint64_t length = m->end - m->start;
	const uint64_t map[6] = {m->start,   length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				 UINT64_MAX, 0};
	const uint64_t protect[6] = {m->start, length, (uint64_t)mapping_prot(m)};
	uint8_t *piece = malloc(PIECE);
	int err = piece ? 0 : -ENOMEM;

	if (!err && tracer_call(child, __NR_mmap, map) != (int64_t)m->start)
		err = -ENOMEM;
	if (!err)
		err = copy_content(child->tid, m, memfd, piece);
	if (!err && protect[2] != (PROT_READ | PROT_WRITE) && tracer_call(child, __NR_mprotect, protect))
		err = -EACCES;
	free(piece);
	return err;
}

static int privatize_all(struct share *share, pid_t tid)
{
	FILE *mappings = mappings_open(tid);
	struct traced child;
	struct mapping m;
	int err;

	if (!mappings)
		return -errno;
	err = tracer_begin(tid, &child);
	if (!err) {
		while (!err && mappings_next(mappings, &m)) {
			int memfd = m.perms[3] == 's' ? share_find(share, m.dev, m.ino) : -1;

			if (memfd < 0)
				continue;
			err = privatize(&child, &m, memfd);
			close(memfd);
		}
		tracer_end(&child, false);
	}
	fclose(mappings);
	return err;
}

static int take_child(struct fork_call *f, pid_t child)
{
	int event;
	int err = tracer_wait(child, STOP_MS, &event);

	if (err)
		return err;
	err = share_has_own_filter(child) ? -EPERM : privatize_all(f->share, child);
	if (err && !tracer_has_stopped(child))
		err = -ESRCH; /* it was killed, which looks like other errors before */
	tracer_detach(child);
	return err;
}

/*
 * A fork that fails tells a tracer nothing. The thread waits for us in its next call, or, asked to stop, does so behind
 * the fork; one that had not begun begins once more after that, and comes here again. Returns 0, or -errno: -EAGAIN: it
 * has failed.
 */
static int wait_for_fork(const struct fork_call *f, int *event)
{
	const pid_t tid = f->n->tid;
	int err = -ETIMEDOUT;

	for (unsigned ms = 0; err == -ETIMEDOUT && ms < STOP_MS; ms += SLICE_MS) {
		if (ms == FORK_MS)
			tracer_interrupt(tid);
		err = tracer_wait(tid, SLICE_MS, event);
		if (err == -ETIMEDOUT && (process_has_call(f->supervisor, f->pid, tid) || share_is_held(f->share, tid)))
			err = -EAGAIN;
	}
	return err;
}

static void *fork_thread(void *context)
{
	const unsigned long events = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
	struct fork_call *f = context;
	const pid_t tid = f->n->tid;
	unsigned long child = 0;
	int event = 0;
	int err = tracer_seize(tid, events, false);
	bool traced = !err;

	if (err && !notify_valid(f->supervisor->listener, f->n))
		err = -ESRCH; /* who is being killed cannot be traced */
	share_release(f->share, f->answer);
	notify_continue(f->supervisor->listener, f->n);
	if (traced)
		err = wait_for_fork(f, &event);
	if (!err) {
		if (event != PTRACE_EVENT_STOP && !ptrace(PTRACE_GETEVENTMSG, tid, NULL, &child) && child)
			err = take_child(f, (pid_t)child);
		tracer_detach(tid);
	}
	if (err && err != -ESRCH && err != -EAGAIN)
		log_error(err, "a child of process %d shares with it what is pinned (--pin=share)", (int)f->pid);
	return NULL;
}

void share_fork(struct supervisor *s, struct share *share, pid_t pid, const struct notification *n,
		struct share_answer *answer)
{
	struct fork_call f = {.supervisor = s, .share = share, .pid = pid, .n = n, .answer = answer};
	bool some;

	/* Nothing is exchanged between this look and the answer. */
	pthread_mutex_lock(&s->reaping);
	pthread_mutex_lock(&share->lock);
	some = !LIST_EMPTY(&share->memories);
	pthread_mutex_unlock(&share->lock);
	if (!some) {
		share_release(share, answer);
		notify_continue(s->listener, n);
	}
	pthread_mutex_unlock(&s->reaping);
	if (some && tracer_run(&s->reaping, fork_thread, &f)) {
		share_release(share, answer);
		notify_continue(s->listener, n);
	}
}
