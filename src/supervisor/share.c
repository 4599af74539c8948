/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How memory is exchanged: all other threads of the process are stopped; the descriptor of a memfd is put into the
 * process; its call is let go on, which does nothing on a stand-in, and stops at its end. The memory is copied, the
 * caller is made to map the memfd over it and to close the descriptor, and then to make its call again: what that pins
 * is shared memory now.
 *
 * Nobody may write to the memory meanwhile. Threads of the process stand still; one that waits for an answer of ours is
 * not answered (exchange is held for writing), nor is its memory written by us.
 */
#include "supervisor/share.h"

#include "base/log.h"
#include "base/types.h"
#include "supervisor/process.h"
#include "supervisor/tracer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_NAME       "iommuse-pinned"
#define STOP_TIMEOUT_MS   200
#define WRITE_TIMEOUT_MS  100
#define THREADS_MAX       4096
#define EXCHANGES_DOUBLED 18                  /* from a page on */
#define PAGEMAP_PRESENT   (UINT64_C(3) << 62) /* in memory, or in swap */

struct share *share_new(void)
{
	struct share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	pthread_rwlock_init(&share->exchange, NULL);
	pthread_mutex_init(&share->lock, NULL);
	pthread_mutex_init(&share->answer_lock, NULL);
	LIST_INIT(&share->answers);
	LIST_INIT(&share->memories);
	LIST_INIT(&share->wanted);
	LIST_INIT(&share->refused);
	return share;
}

static void ranges_clear(struct share_ranges *ranges)
{
	struct share_range *range;

	while ((range = LIST_FIRST(ranges))) {
		LIST_REMOVE(range, entries);
		free(range);
	}
}

static void memory_drop(struct share_memory *memory)
{
	LIST_REMOVE(memory, entries);
	close(memory->memfd);
	free(memory);
}

void share_free(struct share *share)
{
	struct share_memory *memory;
	struct share_memory *next;

	if (!share)
		return;
	for (memory = LIST_FIRST(&share->memories); memory; memory = next) {
		next = LIST_NEXT(memory, entries);
		memory_drop(memory);
	}
	ranges_clear(&share->wanted);
	ranges_clear(&share->refused);
	pthread_mutex_destroy(&share->answer_lock);
	pthread_mutex_destroy(&share->lock);
	pthread_rwlock_destroy(&share->exchange);
	free(share);
}

bool share_enter(struct share *share, pid_t tid)
{
	if (!share || (tid && tid == atomic_load(&share->vehicle)))
		return false;
	pthread_rwlock_rdlock(&share->exchange);
	return true;
}

void share_leave(struct share *share, bool entered)
{
	if (entered)
		pthread_rwlock_unlock(&share->exchange);
}

void share_begin_answer(struct share *share, struct share_answer *answer, pid_t tid)
{
	if (!share)
		return;
	answer->tid = tid;
	pthread_mutex_lock(&share->answer_lock);
	LIST_INSERT_HEAD(&share->answers, answer, entries);
	pthread_mutex_unlock(&share->answer_lock);
	answer->entered = share_enter(share, tid);
}

void share_end_answer(struct share *share, struct share_answer *answer)
{
	if (!share)
		return;
	share_leave(share, answer->entered);
	pthread_mutex_lock(&share->answer_lock);
	LIST_REMOVE(answer, entries);
	pthread_mutex_unlock(&share->answer_lock);
}

static bool meets(const struct share_ranges *ranges, uint64_t start, uint64_t end)
{
	const struct share_range *range;

	LIST_FOREACH(range, ranges, entries)
	if (start < range->end && range->start < end)
		return true;
	return false;
}

/* Each exchange takes more than the one before, so that many maps of one region cost few exchanges. */
int share_want(struct share *share, uint64_t start, uint64_t end, uint64_t limit)
{
	struct share_range *range;
	uint64_t more;
	int rc = -ERESTART;

	pthread_mutex_lock(&share->lock);
	more = PAGE_SIZE << (share->exchanges < EXCHANGES_DOUBLED ? share->exchanges : EXCHANGES_DOUBLED);
	if (end - start < more && limit - start >= more)
		end = start + more;
	else if (end - start < more)
		end = limit;
	if (meets(&share->refused, start, end)) {
		rc = 0;
	} else if (!meets(&share->wanted, start, end)) {
		range = malloc(sizeof(*range));
		if (range) {
			range->start = start;
			range->end = end;
			LIST_INSERT_HEAD(&share->wanted, range, entries);
		} else {
			rc = 0;
		}
	}
	pthread_mutex_unlock(&share->lock);
	return rc;
}

bool share_is_wanted(struct share *share)
{
	bool wanted;

	pthread_mutex_lock(&share->lock);
	wanted = !LIST_EMPTY(&share->wanted);
	pthread_mutex_unlock(&share->lock);
	return wanted;
}

int share_find(struct share *share, dev_t dev, ino_t ino)
{
	struct share_memory *memory;
	int fd = -1;

	pthread_mutex_lock(&share->lock);
	LIST_FOREACH(memory, &share->memories, entries)
	if (memory->dev == dev && memory->ino == ino)
		fd = fcntl(memory->memfd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&share->lock);
	return fd;
}

/* One line of /proc/PID/maps. */
struct vma {
	uint64_t start, end;
	char perms[5];
	uint64_t inode;
	char name[32]; /* cut off */
};

static bool next_vma(FILE *maps, struct vma *vma)
{
	char line[8192];

	while (fgets(line, sizeof(line), maps)) {
		vma->name[0] = '\0';
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*s %" SCNu64 " %31s", &vma->start, &vma->end,
			   vma->perms, &vma->inode, vma->name) >= 4)
			return true;
	}
	return false;
}

static FILE *open_maps(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	return fopen(path, "re");
}

/* Forgets memory that the process has no more; what is still pinned has a hold of its own. */
static void forget_unmapped(struct share *share, pid_t pid)
{
	struct share_memory *memory, *next;
	struct vma vma;

	for (memory = LIST_FIRST(&share->memories); memory; memory = next) {
		FILE *maps = open_maps(pid);
		bool mapped = !maps;

		while (maps && !mapped && next_vma(maps, &vma))
			mapped = vma.inode == memory->ino;
		if (maps)
			fclose(maps);
		next = LIST_NEXT(memory, entries);
		if (!mapped)
			memory_drop(memory);
	}
}

/* An exchange that is under way; all by one thread of ours. */
struct exchange {
	struct supervisor *supervisor;
	struct share *share;
	pid_t pid;
	const struct notification *n;
	struct traced vehicle;
	int memfd;       /* 0 bytes long at first */
	int client_fd;   /* the same in the process */
	uint64_t length; /* of the memfd */
	pid_t *stopped;
	size_t stopped_count;
	bool answered, done;
	const char *obstacle;
};

static bool waits_for_us(struct exchange *x, pid_t tid)
{
	const struct share_answer *answer;
	bool waits = process_has_call(x->supervisor, x->pid, tid);

	pthread_mutex_lock(&x->share->answer_lock);
	LIST_FOREACH(answer, &x->share->answers, entries)
	waits |= answer->tid == tid;
	pthread_mutex_unlock(&x->share->answer_lock);
	return waits;
}

static bool is_stopped(const struct exchange *x, pid_t tid)
{
	for (size_t i = 0; i < x->stopped_count; i++)
		if (x->stopped[i] == tid)
			return true;
	return false;
}

/* Stops a thread that does not wait for us. */
static int stop_thread(struct exchange *x, pid_t tid)
{
	int event;
	int err;

	if (waits_for_us(x, tid))
		return 0;
	err = tracer_seize(tid, 0, true);
	if (err == -ESRCH)
		return 0;
	if (!err)
		err = tracer_wait(tid, STOP_TIMEOUT_MS, &event);
	if (err == -ESRCH || (err == -ETIMEDOUT && waits_for_us(x, tid)))
		return 0; /* the end of our thread lets go of it */
	if (!err)
		x->stopped[x->stopped_count++] = tid;
	return err;
}

/* Stops all threads but the caller, until none is new. */
static int stop_others(struct exchange *x)
{
	char path[64];
	bool again = true;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)x->pid);
	while (again && !err) {
		DIR *tasks = opendir(path);
		const struct dirent *entry;

		if (!tasks)
			return -errno;
		again = false;
		while (!err && (entry = readdir(tasks))) {
			pid_t tid = atoi(entry->d_name);
			size_t before = x->stopped_count;

			if (tid <= 0 || tid == x->n->tid || is_stopped(x, tid))
				continue;
			err = before == THREADS_MAX ? -E2BIG : stop_thread(x, tid);
			again |= x->stopped_count > before;
		}
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

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)x->pid);
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
			if (present && process_vm_readv(x->pid, &local, 1, &remote, 1, 0) != (ssize_t)(n * PAGE_SIZE))
				err = -EFAULT;
		}
		start += count * PAGE_SIZE;
		to += count * PAGE_SIZE;
	}
	if (pagemap >= 0)
		close(pagemap);
	return err;
}

static uint64_t prot_of(const char *perms)
{
	return (uint64_t)((perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0) |
			  (perms[2] == 'x' ? PROT_EXEC : 0));
}

/* [start, end) is one mapping, or a part of one. */
static int exchange_part(struct exchange *x, uint64_t start, uint64_t end, uint64_t prot)
{
	const uint64_t length = end - start;
	const uint64_t offset = x->length;
	const uint64_t argument[6] = {start, length, prot, MAP_SHARED | MAP_FIXED, (uint64_t)x->client_fd, offset};
	uint8_t *memory;
	int err;

	if (ftruncate(x->memfd, (off_t)(offset + length)))
		return -errno;
	x->length += length;
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
static bool can_be_shared(const struct vma *vma)
{
	return vma->perms[3] == 'p' && !vma->inode && vma->perms[0] == 'r' &&
	       (!vma->name[0] || !strcmp(vma->name, "[heap]") || !strncmp(vma->name, "[anon:", 6));
}

static int exchange_range(struct exchange *x, const struct share_range *range)
{
	FILE *maps = open_maps(x->pid);
	struct vma vma;
	int err = 0;

	if (!maps)
		return -errno;
	while (!err && next_vma(maps, &vma) && vma.start < range->end) {
		uint64_t start = vma.start > range->start ? vma.start : range->start;
		uint64_t end = vma.end < range->end ? vma.end : range->end;

		if (start < end && can_be_shared(&vma))
			err = exchange_part(x, start, end, prot_of(vma.perms));
	}
	fclose(maps);
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
	LIST_INSERT_HEAD(&x->share->memories, memory, entries);
}

/* Takes what is wanted; refuses it where failed. With the lock held. */
static void settle_wanted(struct share *share, bool failed)
{
	struct share_range *range;

	while ((range = LIST_FIRST(&share->wanted))) {
		LIST_REMOVE(range, entries);
		if (failed)
			LIST_INSERT_HEAD(&share->refused, range, entries);
		else
			free(range);
	}
}

/* The caller has stopped at the end of a call that did nothing. */
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
	tracer_call(&x->vehicle, __NR_close, close_argument);
	tracer_end(&x->vehicle, true);
	atomic_store(&x->share->vehicle, 0);
	return err;
}

/* With exchange held for writing and the lock. */
static int stop_and_exchange(struct exchange *x)
{
	int event;
	int err;

	x->obstacle = "it shares its memory with another process";
	if (process_shares_memory(x->supervisor, x->pid))
		return -EBUSY;
	x->obstacle = "not all of its threads could be stopped";
	err = stop_others(x);
	if (err)
		return err;
	x->obstacle = "it is traced already";
	err = tracer_seize(x->n->tid, 0, true);
	if (err)
		return err;
	x->obstacle = "it has no descriptor free";
	x->client_fd = notify_put_fd(x->supervisor->listener, x->n, x->memfd, NOTIFY_ANY_FD, true);
	if (x->client_fd < 0)
		return x->client_fd;
	x->obstacle = "its memory could not be exchanged";
	x->answered = true;
	notify_continue(x->supervisor->listener, x->n);
	err = tracer_wait(x->n->tid, STOP_TIMEOUT_MS * 10, &event);
	return err ? err : exchange_all(x);
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

static void *exchange_thread(void *context)
{
	struct exchange *x = context;
	struct share *share = x->share;
	int err;

	x->obstacle = "a write to its memory does not end";
	err = lock_exchange(share);
	if (!err) {
		pthread_mutex_lock(&share->lock);
		forget_unmapped(share, x->pid);
		err = stop_and_exchange(x);
		if (x->length)
			remember_memory(x);
		settle_wanted(share, err);
		share->exchanges++;
		pthread_mutex_unlock(&share->lock);
		for (size_t i = 0; i < x->stopped_count; i++)
			tracer_detach(x->stopped[i]);
		if (x->answered)
			tracer_detach(x->n->tid);
		pthread_rwlock_unlock(&share->exchange);
	} else {
		pthread_mutex_lock(&share->lock);
		settle_wanted(share, true);
		pthread_mutex_unlock(&share->lock);
	}
	if (err && !share->told) {
		share->told = true;
		log_error(err, "private memory of process %d is followed, not shared (--pin=share): %s", (int)x->pid,
			  x->obstacle);
	}
	x->done = !err;
	return NULL;
}

/* Runs with a thread that may trace, while nobody else waits for the children that it traces. */
static int run_tracing(struct supervisor *s, void *(*run)(void *), void *context)
{
	pthread_t thread;
	int err;

	pthread_mutex_lock(&s->reaping);
	err = -pthread_create(&thread, NULL, run, context);
	if (!err)
		pthread_join(thread, NULL);
	pthread_mutex_unlock(&s->reaping);
	return err;
}

bool share_and_restart(struct supervisor *s, struct share *share, pid_t pid, const struct notification *n)
{
	struct exchange x = {.supervisor = s, .share = share, .pid = pid, .n = n};

	x.memfd = memfd_create(MEMORY_NAME, MFD_CLOEXEC);
	x.stopped = malloc(THREADS_MAX * sizeof(*x.stopped));
	if (x.memfd < 0 || !x.stopped || run_tracing(s, exchange_thread, &x)) {
		pthread_mutex_lock(&share->lock);
		settle_wanted(share, true);
		pthread_mutex_unlock(&share->lock);
	}
	if (x.memfd >= 0)
		close(x.memfd);
	free(x.stopped);
	return x.answered;
}

/* A fork: the child's mappings of our memory become private memory with the same content. */

struct fork_call {
	struct supervisor *supervisor;
	struct share *share;
	const struct notification *n;
	bool answered;
};

static bool is_ours(const struct vma *vma)
{
	return vma->perms[3] == 's' && vma->inode &&
	       !strncmp(vma->name, "/memfd:" MEMORY_NAME, sizeof("/memfd:" MEMORY_NAME) - 1);
}

/* Puts private memory in place of a mapping of a stopped child. */
static int privatize(const struct traced *child, pid_t parent, const struct vma *vma)
{
	const uint64_t length = vma->end - vma->start;
	const uint64_t map[6] = {vma->start, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				 UINT64_MAX, 0};
	const uint64_t protect[6] = {vma->start, length, prot_of(vma->perms)};
	uint8_t *piece = malloc(1 << 20);
	int err = piece ? 0 : -ENOMEM;

	if (!err && tracer_call(child, __NR_mmap, map) != (int64_t)vma->start)
		err = -ENOMEM;
	for (uint64_t done = 0, n; done < length && !err; done += n) {
		struct iovec here = {piece, 0};
		struct iovec there = {(void *)(uintptr_t)(vma->start + done), 0};

		n = length - done < (1 << 20) ? length - done : (1 << 20);
		here.iov_len = there.iov_len = n;
		if (process_vm_readv(parent, &here, 1, &there, 1, 0) != (ssize_t)n ||
		    process_vm_writev(child->tid, &here, 1, &there, 1, 0) != (ssize_t)n)
			err = -EFAULT;
	}
	if (!err && protect[2] != (PROT_READ | PROT_WRITE))
		tracer_call(child, __NR_mprotect, protect);
	free(piece);
	return err;
}

static int privatize_all(pid_t tid, pid_t parent)
{
	FILE *maps = open_maps(tid);
	struct traced child;
	struct vma vma;
	int err;

	if (!maps)
		return -errno;
	err = tracer_begin(tid, &child);
	if (!err) {
		while (!err && next_vma(maps, &vma))
			if (is_ours(&vma))
				err = privatize(&child, parent, &vma);
		tracer_end(&child, false);
	}
	fclose(maps);
	return err;
}

static void *fork_thread(void *context)
{
	struct fork_call *f = context;
	const unsigned long events = PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE;
	unsigned long child = 0;
	int event;
	int err = tracer_seize(f->n->tid, events, false);

	if (err)
		return NULL;
	f->answered = true;
	notify_continue(f->supervisor->listener, f->n);
	err = tracer_wait(f->n->tid, STOP_TIMEOUT_MS * 10, &event);
	if (!err && (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_CLONE) &&
	    !ptrace(PTRACE_GETEVENTMSG, f->n->tid, NULL, &child) && child) {
		err = tracer_wait((pid_t)child, STOP_TIMEOUT_MS * 10, &event);
		if (!err)
			err = privatize_all((pid_t)child, f->n->tid);
		if (err && err != -ESRCH)
			log_error(err, "process %d shares with its parent what the parent has pinned (--pin=share)",
				  (int)child);
		tracer_detach((pid_t)child);
	}
	tracer_detach(f->n->tid);
	return NULL;
}

bool share_fork(struct supervisor *s, struct share *share, const struct notification *n)
{
	struct fork_call f = {.supervisor = s, .share = share, .n = n};
	bool some;

	pthread_mutex_lock(&share->lock);
	some = !LIST_EMPTY(&share->memories);
	pthread_mutex_unlock(&share->lock);
	if (some)
		run_tracing(s, fork_thread, &f);
	return f.answered;
}
