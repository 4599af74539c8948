/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * System calls of this thread, and of threads that it starts afterwards, which are counted, held up or made to fail:
 * the kernel asks a thread of ours about each (seccomp). What io_uring does is not among them; and a call of a thread
 * that uses it may be asked about twice, if io_uring has news for the thread meanwhile: the first answer is lost then.
 */
#ifndef IOMMUSE_TESTS_CAUGHT_CALLS_H
#define IOMMUSE_TESTS_CAUGHT_CALLS_H

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAUGHT = 9, HELD_MAX = 64 };

struct caught_call {
	int number;
	unsigned count;
	int fd;     /* of the last one, whose first argument is a descriptor */
	ino_t file; /* that is its */
	int error;  /* of the next ones */
	unsigned failing;
	bool hold;
	unsigned held;
	uint64_t id[HELD_MAX];
};

static struct {
	pthread_mutex_t lock; /* guards what follows */
	struct caught_call call[CAUGHT];
	int listener;
} caught = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.call = {{.number = SYS_fdatasync},
		 {.number = SYS_fsync},
		 {.number = SYS_fallocate},
		 {.number = SYS_pwrite64},
		 {.number = SYS_preadv2},
		 {.number = SYS_pwritev2},
		 {.number = SYS_sync_file_range},
		 {.number = SYS_io_uring_setup},
		 {.number = SYS_io_uring_enter}},
};

static inline struct caught_call *caught_call(int number)
{
	for (unsigned i = 0; i < CAUGHT; i++)
		if (caught.call[i].number == number)
			return &caught.call[i];
	abort();
}

static inline void answer_call(uint64_t id, int error)
{
	struct seccomp_notif_resp answer = {
		.id = id, .error = -error, .flags = error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	ioctl(caught.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

/* By a call that ThreadSanitizer does not know: it would not see that who uses the descriptor waits. */
static inline ino_t file_of(int fd)
{
	struct statx st;

	return syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_INO, &st) ? 0 : st.stx_ino;
}

static inline void *answer_calls(void *context)
{
	int listener;

	pthread_mutex_lock(&caught.lock);
	listener = caught.listener;
	pthread_mutex_unlock(&caught.lock);
	for (;;) {
		struct seccomp_notif asked = {0};
		struct caught_call *call;

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked)) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			return context;
		}
		pthread_mutex_lock(&caught.lock);
		call = caught_call(asked.data.nr);
		call->count++;
		call->fd = (int)asked.data.args[0];
		call->file = file_of(call->fd);
		if (call->hold && call->held < HELD_MAX) {
			call->id[call->held++] = asked.id;
		} else {
			answer_call(asked.id, call->failing ? call->error : 0);
			call->failing -= call->failing != 0;
		}
		pthread_mutex_unlock(&caught.lock);
	}
}

/* Begins. Returns whether the kernel lets us. */
static inline bool catch_calls(void)
{
	struct sock_filter filter[CAUGHT + 3] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = {.len = CAUGHT + 3, .filter = filter};
	pthread_t thread;

	for (unsigned i = 0; i < CAUGHT; i++)
		filter[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)caught.call[i].number,
							     (uint8_t)(CAUGHT - i), 0);
	filter[CAUGHT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[CAUGHT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return false;
	pthread_mutex_lock(&caught.lock);
	/* It begins when there is a listener, and its own calls are not caught. */
	CHECK_EQ(pthread_create(&thread, NULL, answer_calls, NULL), 0);
	caught.listener =
		(int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	pthread_mutex_unlock(&caught.lock);
	return caught.listener >= 0;
}

static inline unsigned calls_made(int number)
{
	unsigned count;

	pthread_mutex_lock(&caught.lock);
	count = caught_call(number)->count;
	pthread_mutex_unlock(&caught.lock);
	return count;
}

static inline int descriptor_of_call(int number)
{
	int fd;

	pthread_mutex_lock(&caught.lock);
	fd = caught_call(number)->fd;
	pthread_mutex_unlock(&caught.lock);
	return fd;
}

static inline ino_t file_of_call(int number)
{
	ino_t file;

	pthread_mutex_lock(&caught.lock);
	file = caught_call(number)->file;
	pthread_mutex_unlock(&caught.lock);
	return file;
}

/* So many, from the next on. */
static inline void fail_calls(int number, int error, unsigned times)
{
	pthread_mutex_lock(&caught.lock);
	caught_call(number)->error = error;
	caught_call(number)->failing = times;
	pthread_mutex_unlock(&caught.lock);
}

static inline void hold_calls(int number)
{
	pthread_mutex_lock(&caught.lock);
	caught_call(number)->hold = true;
	pthread_mutex_unlock(&caught.lock);
}

/* Those that were held go on, and the first of them has an error at the end. */
static inline void release_and_fail_first(int number, int error)
{
	struct caught_call *call = caught_call(number);

	pthread_mutex_lock(&caught.lock);
	call->hold = false;
	for (unsigned i = call->held; i--;)
		answer_call(call->id[i], i ? 0 : error);
	call->held = 0;
	pthread_mutex_unlock(&caught.lock);
}

/* Those that were held go on. */
static inline void release_calls(int number)
{
	release_and_fail_first(number, 0);
}

#endif
