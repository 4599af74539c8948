/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/share.h"

#include "base/log.h"
#include "base/types.h"
#include "supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EXCHANGES_DOUBLED 18 /* from a page on */
#define RETRY_NS          UINT64_C(1000000000)
#define RETRIES_DOUBLED   12

/* A device that writes all the time must not keep an exchange from beginning. */
static int init_exchange(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;
	int err;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	err = -pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return err;
}

struct share *share_new(void)
{
	struct share *share = calloc(1, sizeof(*share));

	if (!share)
		return NULL;
	if (init_exchange(&share->exchange)) {
		free(share);
		return NULL;
	}
	pthread_mutex_init(&share->lock, NULL);
	pthread_mutex_init(&share->answer_lock, NULL);
	LIST_INIT(&share->answers);
	LIST_INIT(&share->memories);
	LIST_INIT(&share->wanted);
	return share;
}

static void clear_wanted(struct share *share)
{
	struct share_range *range;

	while ((range = LIST_FIRST(&share->wanted))) {
		LIST_REMOVE(range, entries);
		free(range);
	}
}

void share_free(struct share *share)
{
	struct share_memory *memory;

	if (!share)
		return;
	while ((memory = LIST_FIRST(&share->memories))) {
		LIST_REMOVE(memory, entries);
		close(memory->memfd);
		free(memory);
	}
	clear_wanted(share);
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

void share_hold(struct share *share, struct share_answer *answer, pid_t tid)
{
	answer->tid = tid;
	answer->held = true;
	pthread_mutex_lock(&share->answer_lock);
	LIST_INSERT_HEAD(&share->answers, answer, entries);
	pthread_mutex_unlock(&share->answer_lock);
}

void share_release(struct share *share, struct share_answer *answer)
{
	if (!answer->held)
		return;
	answer->held = false;
	pthread_mutex_lock(&share->answer_lock);
	LIST_REMOVE(answer, entries);
	pthread_mutex_unlock(&share->answer_lock);
}

bool share_is_held(struct share *share, pid_t tid)
{
	const struct share_answer *answer;
	bool held = false;

	pthread_mutex_lock(&share->answer_lock);
	LIST_FOREACH(answer, &share->answers, entries)
	held |= answer->tid == tid;
	pthread_mutex_unlock(&share->answer_lock);
	return held;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool is_wanted(const struct share *share, uint64_t start, uint64_t end)
{
	const struct share_range *range;

	LIST_FOREACH(range, &share->wanted, entries)
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

	if (now_ns() < atomic_load(&share->retry_ns))
		return 0;
	pthread_mutex_lock(&share->lock);
	more = PAGE_SIZE << (share->exchanges < EXCHANGES_DOUBLED ? share->exchanges : EXCHANGES_DOUBLED);
	if (end - start < more && limit - start >= more)
		end = start + more;
	else if (end - start < more)
		end = limit;
	if (!is_wanted(share, start, end)) {
		range = malloc(sizeof(*range));
		if (range) {
			range->start = start;
			range->end = end;
			LIST_INSERT_HEAD(&share->wanted, range, entries);
			atomic_store(&share->is_wanting, true);
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

void share_settle(struct share *share, bool failed)
{
	unsigned doubled;

	clear_wanted(share);
	atomic_store(&share->is_wanting, false);
	if (failed) {
		doubled = share->failures < RETRIES_DOUBLED ? share->failures++ : RETRIES_DOUBLED;
		atomic_store(&share->retry_ns, now_ns() + (RETRY_NS << doubled));
	} else {
		share->failures = 0;
	}
}

/* Without the lock, which is below the one that the caller holds. What is wanted goes with the next exchange. */
void share_refuse(struct share *share, pid_t pid)
{
	if (!atomic_load(&share->is_wanting))
		return;
	atomic_store(&share->retry_ns, now_ns() + RETRY_NS);
	share_tell(share, pid, -EBUSY, "another process has it mapped");
}

void share_note_common(struct share *share)
{
	atomic_store(&share->common, true);
}

void share_tell(struct share *share, pid_t pid, int err, const char *obstacle)
{
	if (!atomic_exchange(&share->told, true))
		log_error(err, "private memory of process %d is followed, not shared (--pin=share): %s", (int)pid,
			  obstacle);
}

/* Ours is one more than we have. */
bool share_has_own_filter(pid_t tid)
{
	uint64_t theirs, ours;

	return !process_status(getpid(), "Seccomp_filters", 10, &ours) &&
	       !process_status(tid, "Seccomp_filters", 10, &theirs) && theirs > ours + 1;
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
