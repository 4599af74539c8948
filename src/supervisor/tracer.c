/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/tracer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#define CALL_TIMEOUT_MS 2000

int tracer_seize(pid_t tid, unsigned long options, bool stop)
{
	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(options | PTRACE_O_TRACESYSGOOD)) < 0)
		return -errno;
	if (stop && ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return -errno;
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* waitpid() has no timeout; a thread that was asked to stop most often has within microseconds. */
static int wait_status(pid_t tid, unsigned timeout_ms, int *status)
{
	struct timespec pause = {.tv_nsec = 20000};
	const uint64_t end = now_ms() + timeout_ms;

	for (;;) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);

		if (got == tid)
			return WIFSTOPPED(*status) ? 0 : -ESRCH;
		if (got < 0 && errno != EINTR)
			return -ESRCH;
		if (now_ms() > end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 1000000)
			pause.tv_nsec *= 2;
	}
}

int tracer_wait(pid_t tid, unsigned timeout_ms, int *event)
{
	int status;
	int err;

	for (;;) {
		err = wait_status(tid, timeout_ms, &status);
		if (err)
			return err;
		*event = status >> 16;
		if (*event)
			return 0;
		if (ptrace(PTRACE_CONT, tid, NULL, (void *)(uintptr_t)WSTOPSIG(status)) < 0)
			return -errno;
	}
}

#ifdef __x86_64__

#define SYSCALL_LENGTH 2

static bool stands_behind_syscall(pid_t tid, uint64_t ip)
{
	static const unsigned char syscall_code[SYSCALL_LENGTH] = {0x0f, 0x05};
	unsigned char code[SYSCALL_LENGTH];
	struct iovec local = {code, sizeof(code)};
	struct iovec remote = {(void *)(uintptr_t)(ip - SYSCALL_LENGTH), sizeof(code)};

	return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)sizeof(code) &&
	       !memcmp(code, syscall_code, sizeof(code));
}

_Static_assert(sizeof(struct user_regs_struct) == sizeof(((struct traced *)NULL)->regs), "the registers fit");

static struct user_regs_struct stopped_with(const struct traced *thread)
{
	struct user_regs_struct regs;

	memcpy(&regs, thread->regs, sizeof(regs));
	return regs;
}

int tracer_begin(pid_t tid, struct traced *thread)
{
	struct user_regs_struct regs;
	uint64_t all = UINT64_MAX;

	thread->tid = tid;
	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0 ||
	    ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(thread->signals), &thread->signals) < 0)
		return -errno;
	memcpy(thread->regs, &regs, sizeof(regs));
	if (!stands_behind_syscall(tid, regs.rip))
		return -EINVAL;
	return ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(all), &all) < 0 ? -errno : 0;
}

/* Runs to the next entry to or exit from a system call. */
static int step(pid_t tid)
{
	int status;
	int err;

	do {
		if (ptrace(PTRACE_SYSCALL, tid, NULL, NULL) < 0)
			return -errno;
		err = wait_status(tid, CALL_TIMEOUT_MS, &status);
	} while (!err && WSTOPSIG(status) != (SIGTRAP | 0x80));
	return err;
}

int64_t tracer_call(const struct traced *thread, long nr, const uint64_t argument[6])
{
	struct user_regs_struct regs = stopped_with(thread);
	int err;

	regs.rip -= SYSCALL_LENGTH;
	regs.orig_rax = UINT64_MAX; /* it is in no system call that could be restarted */
	regs.rax = (uint64_t)nr;
	regs.rdi = argument[0];
	regs.rsi = argument[1];
	regs.rdx = argument[2];
	regs.r10 = argument[3];
	regs.r8 = argument[4];
	regs.r9 = argument[5];
	if (ptrace(PTRACE_SETREGS, thread->tid, NULL, &regs) < 0)
		return -errno;
	err = step(thread->tid);
	if (!err)
		err = step(thread->tid);
	if (!err && ptrace(PTRACE_GETREGS, thread->tid, NULL, &regs) < 0)
		err = -errno;
	return err ? err : (int64_t)regs.rax;
}

void tracer_end(const struct traced *thread, bool again)
{
	struct user_regs_struct regs = stopped_with(thread);

	if (again) {
		regs.rax = regs.orig_rax;
		regs.rip -= SYSCALL_LENGTH;
	}
	regs.orig_rax = UINT64_MAX;
	ptrace(PTRACE_SETREGS, thread->tid, NULL, &regs);
	ptrace(PTRACE_SETSIGMASK, thread->tid, (void *)sizeof(thread->signals), &thread->signals);
}

#else

/* Where registers have other names, memory stays private. */
int tracer_begin(pid_t tid, struct traced *thread)
{
	(void)tid;
	(void)thread;
	return -EOPNOTSUPP;
}

int64_t tracer_call(const struct traced *thread, long nr, const uint64_t argument[6])
{
	(void)thread;
	(void)nr;
	(void)argument;
	return -EOPNOTSUPP;
}

void tracer_end(const struct traced *thread, bool again)
{
	(void)thread;
	(void)again;
}

#endif

void tracer_detach(pid_t tid)
{
	ptrace(PTRACE_DETACH, tid, NULL, NULL);
}
