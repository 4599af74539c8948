/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/process.h"

#include "base/log.h"
#include "supervisor/exec.h"
#include "supervisor/remote_mm.h"
#include "supervisor/share.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <linux/kcmp.h>

#define BUCKETS                64U
#define THREADS_MAX            256U /* of each of which a directory is kept open */
#define SETTLE_MS              200
#define OPENS_MAX              8U          /* of the memory of a process that executes one program after the other */
#define INITIAL_USER_NAMESPACE 4026531837U /* the inode number that the kernel gives it, PROC_USER_INIT_INO */

/* A thread that was seen, most recently used first. */
struct thread {
	struct thread *next_bucket;
	struct thread *newer, *older;
	pid_t tid;
	int fd_dir;
	struct process *process;
	bool capabilities_known;
	uint64_t capabilities;
};

struct processes {
	struct thread *threads[BUCKETS];
	struct thread *newest, *oldest;
	unsigned thread_count;
	struct process *all[BUCKETS];
	unsigned orphans; /* calls in flight of processes that are gone */
	pthread_cond_t orphan_ended;
};

int processes_new(struct processes **table)
{
	struct processes *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;

	if (!t)
		return -ENOMEM;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->orphan_ended, &attr);
	pthread_condattr_destroy(&attr);
	*table = t;
	return 0;
}

static void process_put(struct process *p)
{
	if (--p->refs)
		return;
	exec_process_end(p);
	mm_put(remote_mm_base(p->mm));
	close(p->pidfd);
	free(p);
}

static void lru_unlink(struct processes *t, struct thread *thread)
{
	*(thread->newer ? &thread->newer->older : &t->newest) = thread->older;
	*(thread->older ? &thread->older->newer : &t->oldest) = thread->newer;
}

static void lru_push(struct processes *t, struct thread *thread)
{
	thread->newer = NULL;
	thread->older = t->newest;
	*(t->newest ? &t->newest->newer : &t->oldest) = thread;
	t->newest = thread;
}

static void thread_forget(struct processes *t, struct thread *thread)
{
	struct thread **p;

	for (p = &t->threads[(unsigned)thread->tid % BUCKETS]; *p != thread; p = &(*p)->next_bucket)
		;
	*p = thread->next_bucket;
	lru_unlink(t, thread);
	t->thread_count--;
	close(thread->fd_dir);
	process_put(thread->process);
	free(thread);
}

static void process_forget(struct supervisor *s, struct process *p)
{
	struct processes *t = s->processes;
	struct process **link;
	struct thread *older;

	/* The table's reference keeps the process until the end. */
	for (struct thread *thread = t->newest; thread; thread = older) {
		older = thread->older;
		if (thread->process == p)
			thread_forget(t, thread);
	}
	for (link = &t->all[(unsigned)p->pid % BUCKETS]; *link != p; link = &(*link)->next)
		;
	*link = p->next;
	p->gone = true;
	remote_mm_expect_end(p->mm);
	for (const struct call *call = p->calls; call; call = call->next)
		t->orphans++;
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, p->pidfd, NULL);
	process_put(p);
}

static void pidfd_ready(struct supervisor *s, struct watch *watch)
{
	process_forget(s, (struct process *)watch);
}

void processes_free(struct processes *t)
{
	while (t->newest)
		thread_forget(t, t->newest);
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct process *next;

		for (struct process *p = t->all[i]; p; p = next) {
			next = p->next;
			process_put(p);
		}
	}
	pthread_cond_destroy(&t->orphan_ended);
	free(t);
}

int process_status(pid_t pid, const char *field, int base, uint64_t *value)
{
	size_t length = strlen(field);
	int err = -ENODATA;
	char *line = NULL;
	size_t room = 0;
	char path[64];
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	status = fopen(path, "re");
	if (!status)
		return -errno;
	errno = 0;
	while (err && getline(&line, &room, status) > 0) {
		if (!strncmp(line, field, length) && line[length] == ':') {
			*value = strtoull(line + length + 1, NULL, base);
			err = 0;
		}
	}
	if (err && errno == ENOMEM)
		err = -ENOMEM;
	free(line);
	fclose(status);
	return err;
}

bool process_in_initial_namespace(pid_t pid)
{
	char path[64] = "/proc/self/ns/user";
	struct stat st;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	return stat(path, &st) == 0 && st.st_ino == INITIAL_USER_NAMESPACE;
}

static struct process *process_find(struct processes *t, pid_t pid)
{
	for (struct process *p = t->all[(unsigned)pid % BUCKETS]; p; p = p->next)
		if (p->pid == pid)
			return p;
	return NULL;
}

struct mm *process_mm(struct supervisor *s, pid_t tid)
{
	struct mm *mm = NULL;
	struct process *p;
	uint64_t pid;

	if (process_status(tid, "Tgid", 10, &pid))
		return NULL;
	supervisor_lock(s);
	p = process_find(s->processes, (pid_t)pid);
	if (p && (!p->exec_tried || !remote_mm_gone(p->mm)))
		mm = mm_get(remote_mm_base(p->mm));
	supervisor_unlock(s);
	return mm;
}

/* The process of a thread, made known where it is new; without a reference. */
static int process_of(struct supervisor *s, pid_t tid, struct process **process)
{
	struct processes *t = s->processes;
	struct epoll_event event = {.events = EPOLLIN};
	struct process *p;
	uint64_t pid = 0;
	int err = process_status(tid, "Tgid", 10, &pid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	p = process_find(t, (pid_t)pid);
	if (p) {
		*process = p;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->pid = (pid_t)pid;
	p->refs = 1;
	p->watch.ready = pidfd_ready;
	p->pidfd = (int)syscall(__NR_pidfd_open, p->pid, 0);
	if (p->pidfd < 0) {
		err = -errno;
		goto out_free;
	}
	p->mm = remote_mm_new(s, p->pid, NULL);
	if (!p->mm) {
		err = -ENOMEM;
		goto out_close;
	}
	event.data.ptr = &p->watch;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, p->pidfd, &event) < 0) {
		err = -errno;
		goto out_put_mm;
	}
	p->next = t->all[(unsigned)pid % BUCKETS];
	t->all[(unsigned)pid % BUCKETS] = p;
	*process = p;
	return 0;

out_put_mm:
	mm_put(remote_mm_base(p->mm));
out_close:
	close(p->pidfd);
out_free:
	free(p);
	return err;
}

static bool has_ended(int pidfd)
{
	struct pollfd end = {.fd = pidfd, .events = POLLIN};

	return poll(&end, 1, 0) != 0;
}

/* Under the lock. The number may have been another process's just before. */
static struct process *find_alive(struct supervisor *s, pid_t pid)
{
	struct process *p = process_find(s->processes, pid);

	if (!p || !has_ended(p->pidfd))
		return p;
	process_forget(s, p);
	return NULL;
}

/* What a process had when it was asked last, if it has other memory now; with a reference. Others may live in it still,
 * so that it is not gone. NULL: none. Takes the lock. */
static struct remote_mm *find_left(struct supervisor *s, pid_t pid)
{
	struct remote_mm *mm = NULL;
	struct process *p;

	supervisor_lock(s);
	p = find_alive(s, pid);
	if (p && remote_mm_opened(p->mm)) {
		mm = p->mm;
		mm_get(remote_mm_base(mm));
	}
	supervisor_unlock(s);
	if (mm && remote_mm_is_still(mm, pid)) {
		mm_put(remote_mm_base(mm));
		mm = NULL;
	}
	return mm;
}

/* With the lock. A program that is not ours executes another one without being told of: its end is looked for. */
static int open_mm(struct supervisor *s, struct process *p, struct remote_view *view, const struct remote_mm *left,
		   int alive)
{
	struct remote_mm *mm = p->mm;
	uint64_t size;

	if (mm == left || (remote_mm_opened(mm) && remote_mm_gone(mm))) {
		mm = remote_mm_new(s, p->pid, p->mm);
		if (!mm)
			return -ENOMEM;
		remote_mm_expect_end(p->mm);
		mm_put(remote_mm_base(p->mm));
		p->mm = mm;
	}
	if (!remote_mm_opened(mm)) {
		remote_mm_adopt(mm, view);
		if (!remote_mm_opened(mm))
			return -ENFILE;
		if (exec_may_end(p, &view->id))
			remote_mm_expect_end(mm);
		else
			remote_mm_be_unsure(mm);
		p->exec_tried = true;
	}
	if (has_ended(alive))
		return -ESRCH;
	if (!remote_mm_gone(mm))
		return 0;
	/* It is about to end, or has executed another program since its memory was opened. */
	if (process_status(view->tid, "VmSize", 10, &size))
		return -ESRCH;
	if (remote_mm_could_open(mm))
		return -EAGAIN;
	if (!p->told)
		log_line("process %d cannot be bound to devices: iommuse itself may not read its memory", (int)p->pid);
	p->told = true;
	return -EPERM;
}

static int open_once(struct supervisor *s, pid_t pid, pid_t tid, int alive, struct mm **mm)
{
	struct remote_mm *left = find_left(s, pid);
	struct remote_view view;
	struct process *p;
	int err;

	remote_view_open(&view, pid, tid);
	supervisor_lock(s);
	(void)find_alive(s, pid);
	err = process_of(s, pid, &p);
	if (!err)
		err = open_mm(s, p, &view, left, alive);
	if (err == -EMFILE || err == -ENOSPC)
		err = -ENFILE;
	if (!err)
		*mm = mm_get(remote_mm_base(p->mm));
	supervisor_unlock(s);
	remote_view_close(&view);
	if (left)
		mm_put(remote_mm_base(left));
	return err;
}

int process_open_mm(struct supervisor *s, pid_t pid, pid_t tid, int alive, struct mm **mm)
{
	int err = -EAGAIN;

	for (unsigned i = 0; i < OPENS_MAX && err == -EAGAIN; i++)
		err = open_once(s, pid, tid, alive, mm);
	return err == -EAGAIN ? -ESRCH : err;
}

static struct thread *thread_find(struct processes *t, pid_t tid)
{
	for (struct thread *thread = t->threads[(unsigned)tid % BUCKETS]; thread; thread = thread->next_bucket)
		if (thread->tid == tid)
			return thread;
	return NULL;
}

static int thread_new(struct supervisor *s, pid_t tid, struct thread **out)
{
	struct processes *t = s->processes;
	struct thread *thread;
	struct process *p = NULL;
	char path[64];
	int fd_dir, err;

	err = process_of(s, tid, &p);
	if (err || !p)
		return err;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)tid);
	fd_dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd_dir < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	thread = calloc(1, sizeof(*thread));
	if (!thread) {
		close(fd_dir);
		return -ENOMEM;
	}
	if (t->thread_count == THREADS_MAX)
		thread_forget(t, t->oldest);
	t->thread_count++;
	thread->tid = tid;
	thread->fd_dir = fd_dir;
	thread->process = p;
	p->refs++;
	thread->next_bucket = t->threads[(unsigned)tid % BUCKETS];
	t->threads[(unsigned)tid % BUCKETS] = thread;
	lru_push(t, thread);
	*out = thread;
	return 0;
}

static bool find_capabilities(const struct call *call, uint64_t *mask)
{
	struct thread *thread;
	bool known;

	supervisor_lock(call->supervisor);
	thread = thread_find(call->supervisor->processes, call->n.tid);
	known = thread && thread->capabilities_known;
	if (known)
		*mask = thread->capabilities;
	supervisor_unlock(call->supervisor);
	return known;
}

static void keep_capabilities(const struct call *call, uint64_t mask)
{
	struct thread *thread;

	supervisor_lock(call->supervisor);
	thread = thread_find(call->supervisor->processes, call->n.tid);
	/* While an execve is under way this thread may become the one that calls it. */
	if (thread && thread->process == call->process && !call->process->execs) {
		thread->capabilities = mask;
		thread->capabilities_known = true;
	}
	supervisor_unlock(call->supervisor);
}

uint64_t process_capabilities(const struct call *call)
{
	uint64_t mask;

	/*
	 * In a user namespace of ours a client's own capabilities count for nothing outside. Without it, the program
	 * would have those that its launcher passes on over execve.
	 */
	if (call->supervisor->user_namespace)
		return call->supervisor->ambient;
	if (find_capabilities(call, &mask))
		return mask;
	if (!process_in_initial_namespace(call->n.tid) || process_status(call->n.tid, "CapEff", 16, &mask))
		mask = 0;
	keep_capabilities(call, mask);
	return mask;
}

void process_forget_capabilities(const struct call *call, bool all)
{
	supervisor_lock(call->supervisor);
	for (struct thread *t = call->supervisor->processes->newest; t; t = t->older)
		if (t->tid == call->n.tid || (all && t->process == call->process))
			t->capabilities_known = false;
	supervisor_unlock(call->supervisor);
}

static struct timespec time_of(struct statx_timestamp t)
{
	return (struct timespec){.tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec};
}

int process_stat(int dir, const char *path, struct stat *st)
{
	struct statx x;

	if (statx(dir, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &x) < 0)
		return -errno;
	*st = (struct stat){
		.st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
		.st_ino = x.stx_ino,
		.st_mode = x.stx_mode,
		.st_nlink = x.stx_nlink,
		.st_uid = x.stx_uid,
		.st_gid = x.stx_gid,
		.st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor),
		.st_size = (off_t)x.stx_size,
		.st_blksize = (blksize_t)x.stx_blksize,
		.st_blocks = (blkcnt_t)x.stx_blocks,
		.st_atim = time_of(x.stx_atime),
		.st_mtim = time_of(x.stx_mtime),
		.st_ctim = time_of(x.stx_ctime),
	};
	return 0;
}

/* 0, or -errno of the descriptor: -ENOENT: there is none, or the thread of the record is dead. */
static int stat_fd(int fd_dir, int fd, struct stat *st)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	return process_stat(fd_dir, name, st);
}

int process_identify(struct supervisor *s, struct call *call, int fd)
{
	struct processes *t = s->processes;
	struct thread *thread = thread_find(t, call->n.tid);
	int err = 0;

	if (thread && fd >= 0) {
		err = stat_fd(thread->fd_dir, fd, &call->stat);
	} else if (thread) {
		/* "." answers for a dead thread, a look-up does not. */
		err = faccessat(thread->fd_dir, "0", F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	}
	if (thread && err) {
		thread_forget(t, thread);
		thread = NULL;
	}
	if (!thread) {
		err = thread_new(s, call->n.tid, &thread);
		if (err == -EMFILE && t->oldest) {
			thread_forget(t, t->oldest);
			err = thread_new(s, call->n.tid, &thread);
		}
		if (err || !thread)
			return err == -EMFILE || err == -ENOSPC ? -ENFILE : err;
		if (fd >= 0)
			err = stat_fd(thread->fd_dir, fd, &call->stat);
	} else if (t->newest != thread) {
		lru_unlink(t, thread);
		lru_push(t, thread);
	}
	if (err == -EACCES)
		return err;
	call->is_open = fd >= 0 && !err;
	call->process = thread->process;
	call->process->refs++;
	call->client.pid = thread->process->pid;
	call->client.tid = call->n.tid;
	return 0;
}

void process_call_begin(struct call *call)
{
	struct process *p = call->process;

	call->next = p->calls;
	call->link = &p->calls;
	if (p->calls)
		p->calls->link = &call->next;
	p->calls = call;
}

void process_call_end(struct call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	if (call->process->gone) {
		call->supervisor->processes->orphans--;
		pthread_cond_broadcast(&call->supervisor->processes->orphan_ended);
	}
	process_put(call->process);
}

void processes_settle(struct supervisor *s)
{
	struct processes *t = s->processes;
	struct timespec end;

	if (!t->orphans)
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += SETTLE_MS * 1000000L;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	while (t->orphans)
		if (pthread_cond_timedwait(&t->orphan_ended, &s->lock, &end))
			return;
}

bool process_has_call(struct supervisor *s, pid_t pid, pid_t tid)
{
	const struct process *p;
	bool found = false;

	supervisor_lock(s);
	p = process_find(s->processes, pid);
	for (const struct call *call = p ? p->calls : NULL; call && !found; call = call->next)
		found = call->n.tid == tid;
	supervisor_unlock(s);
	return found;
}

/* Under the lock. Returns those known but one, or NULL: no memory. */
static pid_t *list_others(const struct processes *t, pid_t pid, size_t *count)
{
	pid_t *others;
	size_t room = 0;

	for (unsigned i = 0; i < BUCKETS; i++)
		for (const struct process *p = t->all[i]; p; p = p->next)
			room++;
	others = malloc((room + 1) * sizeof(*others));
	*count = 0;
	for (unsigned i = 0; others && i < BUCKETS; i++)
		for (const struct process *p = t->all[i]; p; p = p->next)
			if (p->pid != pid)
				others[(*count)++] = p->pid;
	return others;
}

bool process_shares_memory(struct supervisor *s, pid_t pid)
{
	bool shares = false;
	pid_t *others;
	size_t count;

	supervisor_lock(s);
	others = list_others(s->processes, pid, &count);
	supervisor_unlock(s);
	for (size_t i = 0; others && i < count && !shares; i++)
		shares = syscall(__NR_kcmp, pid, others[i], KCMP_VM, 0, 0) == 0;
	shares |= !others;
	free(others);
	return shares;
}

void process_refuse_shares(struct supervisor *s, const struct share *but)
{
	supervisor_lock(s);
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (const struct process *p = s->processes->all[i]; p; p = p->next) {
			struct share *share = remote_mm_share(p->mm);

			if (share && share != but)
				share_refuse(share, p->pid);
		}
	}
	supervisor_unlock(s);
}
