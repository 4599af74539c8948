/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How memory is exchanged: all other threads of the process are stopped; the descriptor of a memfd is put into the
 * process; the caller is told to make its call again, and stops before it does. The memory is copied, the caller is
 * made to map the memfd over it and to close the descriptor, and then makes its call: what that pins is shared memory
 * now.
 *
 * Nobody may write to the memory meanwhile. Threads of the process stand still; one that waits for an answer of ours is
 * not answered (exchange is held for writing), nor is its memory written by us.
 */
#include "base/log.h"
#include "base/types.h"
#include "supervisor/mappings.h"
#include "supervisor/process.h"
#include "supervisor/share.h"
#include "supervisor/tracer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* A hole behind each part, for mremap to a larger size: it reads as zeroes. */
#define GROWTH           (UINT64_C(1) << 40)
#define MEMORY_NAME      "iommuse-pinned"
#define STOP_ALL_MS      500 /* all threads but the caller */
#define STOP_SLICE_MS    5
#define STOP_CALLER_MS   2000
#define WRITE_TIMEOUT_MS 100
#define THREADS_MAX      4096
#define MEMORIES_MAX     1024                /* of one process: each takes a descriptor of ours */
#define EMPTY_MAX        64                  /* exchanges in a row */
#define PAGEMAP_PRESENT  (UINT64_C(3) << 62) /* in memory, or in swap */

/* Forgets memory that the process has no more; what is still pinned has a hold of its own. */
static void forget_unmapped(struct share *share, pid_t tid)
{
	struct share_memory *memory, *next;
	struct mapping m;

	for (memory = LIST_FIRST(&share->memories); memory; memory = next) {
		FILE *mappings = mappings_open(tid);
		bool mapped = false;
		bool some = false; /* a thread that is being killed has none any more, while others do */

		while (mappings && !mapped && mappings_next(mappings, &m)) {
			some = true;
			mapped = m.ino == memory->ino && m.dev == memory->dev;
		}
		if (mappings)
			fclose(mappings);
		next = LIST_NEXT(memory, entries);
		if (mapped || !some)
			continue;
		LIST_REMOVE(memory, entries);
		share->memory_count--;
		close(memory->memfd);
		free(memory);
	}
}

struct other_thread {
	pid_t tid;
	bool stopped; /* by us, and to be let go */
};

/* An exchange that is under way; all by one thread of ours. */
struct exchange {
	struct supervisor *supervisor;
	struct share *share;
	pid_t pid;
	const struct notification *n;
	struct share_answer *answer;
	struct traced vehicle;
	int memfd;                    /* 0 bytes long at first */
	int client_fd;                /* the same in the process */
	uint64_t length;              /* of the memfd */
	struct other_thread *threads; /* that are known to stand still, or have ended */
	size_t thread_count;
	uint64_t stop_end_ms; /* when they must stand still */
	bool common;          /* another process has the same memory */
	bool answered;        /* the caller makes its call again */
	bool caller_stopped;  /* before it does */
	const char *obstacle;
};

static bool waits_for_us(struct exchange *x, pid_t tid)
{
	return process_has_call(x->supervisor, x->pid, tid) || share_is_held(x->share, tid);
}

static bool is_known(const struct exchange *x, pid_t tid)
{
	for (size_t i = 0; i < x->thread_count; i++)
		if (x->threads[i].tid == tid)
			return true;
	return false;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A first thread that has ended stays there until the others have, and cannot be traced. */
static bool has_ended(const struct exchange *x, pid_t tid)
{
	char path[64], text[512] = "";
	const char *state;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)x->pid, (int)tid);
	stat = fopen(path, "re");
	if (!stat)
		return true;
	text[fread(text, 1, sizeof(text) - 1, stat)] = '\0';
	fclose(stat);
	state = strrchr(text, ')'); /* none: it ended before it was read */
	return !state || (state[1] && (state[2] == 'Z' || state[2] == 'X'));
}

/* Stops a thread that does not wait for us. One that begins to does not stop before its answer: the end of our thread
 * lets go of it. */
static int stop_thread(struct exchange *x, struct other_thread *thread)
{
	const pid_t tid = thread->tid;
	int event;
	int err;

	if (waits_for_us(x, tid))
		return 0;
	err = tracer_seize(tid, 0, true);
	if (err == -EPERM && has_ended(x, tid))
		return 0;
	if (err == -EPERM)
		x->obstacle = "it is traced already";
	while (!err) {
		err = tracer_wait(tid, STOP_SLICE_MS, &event);
		thread->stopped = !err;
		if (err != -ETIMEDOUT)
			break;
		if (waits_for_us(x, tid) || has_ended(x, tid))
			return 0;
		if (now_ms() < x->stop_end_ms)
			err = 0;
	}
	return err == -ESRCH ? 0 : err;
}

/* Stops those that are listed and were not before. */
static int stop_listed(struct exchange *x, DIR *tasks, bool *some)
{
	const struct dirent *entry;
	int err = 0;

	while (!err && (entry = readdir(tasks))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0 || tid == x->n->tid || is_known(x, tid))
			continue;
		if (x->thread_count == THREADS_MAX)
			return -E2BIG;
		*some = true;
		x->threads[x->thread_count] = (struct other_thread){.tid = tid};
		err = now_ms() < x->stop_end_ms ? stop_thread(x, &x->threads[x->thread_count]) : -ETIMEDOUT;
		x->thread_count++;
	}
	return err;
}

/* Stops all threads but the caller. One that waits, or has ended, may have made another one after the list was begun:
 * only a list without any that is new is complete. */
static int stop_others(struct exchange *x)
{
	char path[64];
	bool some = true;
	int err = 0;

	x->stop_end_ms = now_ms() + STOP_ALL_MS;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)x->pid);
	while (some && !err) {
		DIR *tasks = opendir(path);

		if (!tasks)
			return -errno;
		some = false;
		err = stop_listed(x, tasks, &some);
		closedir(tasks);
	}
	return err;
}

/* Copies what there is of the process's memory; what was never touched stays a hole. */
static int copy_memory(struct exchange *x, uint64_t start, uint64_t end, uint8_t *to)
{
	char path[64];
	int pagemap;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)x->n->tid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	while (start < end && !err) {
		uint64_t entry[512];
		uint64_t pages = (end - start) / PAGE_SIZE;
		size_t count = pages < 512 ? (size_t)pages : 512;
		size_t bytes = count * sizeof(*entry);

		if (pagemap < 0 ||
		    pread(pagemap, entry, bytes, (off_t)(start / PAGE_SIZE * sizeof(*entry))) != (ssize_t)bytes)
			memset(entry, 0xff, bytes);
		for (size_t i = 0, n; i < count && !err; i += n) {
			bool present = entry[i] & PAGEMAP_PRESENT;
			struct iovec local, remote;

			for (n = 1; i + n < count && !(entry[i + n] & PAGEMAP_PRESENT) == !present; n++)
				;
			local = (struct iovec){to + i * PAGE_SIZE, n * PAGE_SIZE};
			remote = (struct iovec){(void *)(uintptr_t)(start + i * PAGE_SIZE), n * PAGE_SIZE};
			if (present &&
			    process_vm_readv(x->n->tid, &local, 1, &remote, 1, 0) != (ssize_t)(n * PAGE_SIZE))
				err = -EFAULT;
		}
		start += count * PAGE_SIZE;
		to += count * PAGE_SIZE;
	}
	if (pagemap >= 0)
		close(pagemap);
	return err;
}

/* [start, end) is one mapping, or a part of one. */
static int exchange_part(struct exchange *x, uint64_t start, uint64_t end, uint64_t prot)
{
	const uint64_t length = end - start;
	const uint64_t offset = x->length;
	const uint64_t argument[6] = {start, length, prot, MAP_SHARED | MAP_FIXED, (uint64_t)x->client_fd, offset};
	uint8_t *memory;
	int err;

	x->length += length + GROWTH;
	if (ftruncate(x->memfd, (off_t)x->length)) { /* more than a file may have */
		x->length -= GROWTH;
		if (ftruncate(x->memfd, (off_t)x->length))
			return -errno;
	}
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, x->memfd, (off_t)offset);
	if (memory == MAP_FAILED)
		return -errno;
	err = copy_memory(x, start, end, memory);
	munmap(memory, length);
	if (!err && tracer_call(&x->vehicle, __NR_mmap, argument) != (int64_t)start)
		err = -ENOMEM;
	return err;
}

/* Only private memory without a file behind it, and not a stack that grows. */
static bool can_be_shared(const struct mapping *m)
{
	return m->perms[3] == 'p' && !m->ino && m->perms[0] == 'r' &&
	       (!m->name[0] || !strcmp(m->name, "[heap]") || !strncmp(m->name, "[anon:", 6));
}

static int exchange_range(struct exchange *x, const struct share_range *range)
{
	FILE *mappings = mappings_open(x->n->tid);
	struct mapping m;
	int err = 0;

	if (!mappings)
		return -errno;
	while (!err && mappings_next(mappings, &m) && m.start < range->end) {
		uint64_t start = m.start > range->start ? m.start : range->start;
		uint64_t end = m.end < range->end ? m.end : range->end;

		if (start < end && can_be_shared(&m))
			err = exchange_part(x, start, end, (uint64_t)mapping_prot(&m));
	}
	fclose(mappings);
	return err;
}

static void remember_memory(struct exchange *x)
{
	struct share_memory *memory = malloc(sizeof(*memory));
	struct stat st;

	if (!memory || fstat(x->memfd, &st)) {
		free(memory);
		return;
	}
	*memory = (struct share_memory){.memfd = x->memfd, .dev = st.st_dev, .ino = st.st_ino};
	x->memfd = -1;
	x->share->memory_count++;
	LIST_INSERT_HEAD(&x->share->memories, memory, entries);
}

/* The caller has stopped before it makes its call again. */
static int exchange_all(struct exchange *x)
{
	const uint64_t close_argument[6] = {(uint64_t)x->client_fd};
	const struct share_range *range;
	int err = tracer_begin(x->n->tid, &x->vehicle);

	if (err)
		return err;
	atomic_store(&x->share->vehicle, x->n->tid);
	LIST_FOREACH(range, &x->share->wanted, entries)
	if (!err)
		err = exchange_range(x, range);
	if (tracer_call(&x->vehicle, __NR_close, close_argument) == -ESRCH)
		err = -ESRCH; /* it is being killed, which looks like other errors before */
	tracer_end(&x->vehicle, true);
	atomic_store(&x->share->vehicle, 0);
	return err;
}

/* What is known before anything is done. */
static int check_exchange(struct exchange *x)
{
	x->obstacle = "it shares its memory with another process";
	if (atomic_load(&x->share->common) || x->common)
		return -EBUSY;
	x->obstacle = "it has a seccomp filter of its own";
	if (share_has_own_filter(x->n->tid))
		return -EPERM;
	x->obstacle = "its call cannot be made again";
	if (!tracer_can_repeat(x->n->tid, x->n->ip))
		return -EOPNOTSUPP;
	x->obstacle = "there are too many pieces of it";
	return x->share->memory_count >= MEMORIES_MAX ? -EMFILE : 0;
}

/* With exchange held for writing and the lock. */
static int stop_and_exchange(struct exchange *x)
{
	int event;
	int err = check_exchange(x);

	if (err)
		return notify_valid(x->supervisor->listener, x->n) ? err : -ESRCH;
	x->obstacle = "not all of its threads could be stopped";
	err = stop_others(x);
	if (err)
		return notify_valid(x->supervisor->listener, x->n) ? err : -ESRCH;
	x->obstacle = "it is traced already";
	err = tracer_seize(x->n->tid, 0, true);
	if (err)
		return notify_valid(x->supervisor->listener, x->n) ? err : -ESRCH;
	x->obstacle = "it has no descriptor free";
	x->client_fd = notify_put_fd(x->supervisor->listener, x->n, x->memfd, NOTIFY_ANY_FD, true);
	if (x->client_fd < 0)
		return x->client_fd == -ENOENT ? -ESRCH : x->client_fd;
	x->obstacle = "its memory could not be exchanged";
	x->answered = true;
	share_release(x->share, x->answer);
	notify_repeat(x->supervisor->listener, x->n);
	err = tracer_wait(x->n->tid, STOP_CALLER_MS, &event);
	if (err)
		return err;
	x->caller_stopped = true;
	err = exchange_all(x);
	if (err || x->length) {
		x->share->empty_exchanges = 0;
		return err;
	}
	/* It was shared, or unmapped, after it was wanted. But nobody makes a call again without end. */
	return ++x->share->empty_exchanges < EMPTY_MAX ? 0 : -EAGAIN;
}

static int lock_exchange(struct share *share)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec += WRITE_TIMEOUT_MS * 1000000L;
	if (end.tv_nsec >= 1000000000L) {
		end.tv_nsec -= 1000000000L;
		end.tv_sec++;
	}
	return -pthread_rwlock_timedwrlock(&share->exchange, &end);
}

static int exchange_wanted(struct exchange *x)
{
	struct share *share = x->share;
	int err = 0;

	pthread_mutex_lock(&share->lock);
	if (!LIST_EMPTY(&share->wanted)) { /* else another thread's exchange was quicker */
		forget_unmapped(share, x->n->tid);
		err = stop_and_exchange(x);
		if (x->length)
			remember_memory(x);
		share_settle(share, err);
		share->exchanges++;
	}
	pthread_mutex_unlock(&share->lock);
	for (size_t i = 0; i < x->thread_count; i++)
		if (x->threads[i].stopped)
			tracer_detach(x->threads[i].tid);
	if (x->caller_stopped)
		tracer_detach(x->n->tid);
	return err;
}

static void *exchange_thread(void *context)
{
	struct exchange *x = context;
	struct share *share = x->share;
	int err;

	x->obstacle = "a write to its memory does not end";
	err = lock_exchange(share);
	if (!err) {
		err = exchange_wanted(x);
		pthread_rwlock_unlock(&share->exchange);
	} else {
		pthread_mutex_lock(&share->lock);
		share_settle(share, true);
		pthread_mutex_unlock(&share->lock);
		if (!notify_valid(x->supervisor->listener, x->n))
			err = -ESRCH;
	}
	if (err && err != -ESRCH && err != -EAGAIN)
		share_tell(share, x->pid, err, x->obstacle);
	return NULL;
}

bool share_and_restart(struct supervisor *s, struct share *share, pid_t pid, const struct notification *n,
		       struct share_answer *answer)
{
	struct exchange x = {.supervisor = s, .share = share, .pid = pid, .n = n, .answer = answer};

	x.common = process_shares_memory(s, pid);
	x.memfd = memfd_create(MEMORY_NAME, MFD_CLOEXEC);
	x.threads = malloc(THREADS_MAX * sizeof(*x.threads));
	if (x.memfd < 0 || !x.threads || tracer_run(&s->reaping, exchange_thread, &x)) {
		pthread_mutex_lock(&share->lock);
		share_settle(share, true);
		pthread_mutex_unlock(&share->lock);
	}
	if (x.memfd >= 0)
		close(x.memfd);
	free(x.threads);
	return x.answered;
}
