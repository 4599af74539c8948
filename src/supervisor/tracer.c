/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/tracer.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Whoever has lost patience within a call has lost the thread's registers. */
#define CALL_TIMEOUT_MS 60000

struct run {
	void *(*run)(void *);
	void *context;
	pid_t tid;
};

static void *run_thread(void *context)
{
	struct run *run = context;

	run->tid = gettid();
	return run->run(run->context);
}

int tracer_run(pthread_mutex_t *reaping, void *(*run)(void *), void *context)
{
	struct run r = {.run = run, .context = context};
	pthread_t thread;
	int err;

	pthread_mutex_lock(reaping);
	err = -pthread_create(&thread, NULL, run_thread, &r);
	if (!err) {
		pthread_join(thread, NULL);
		/* The kernel lets go of what was traced a little after the thread can be joined. */
		while (!tgkill(getpid(), r.tid, 0))
			sched_yield();
	}
	pthread_mutex_unlock(reaping);
	return err;
}

int tracer_seize(pid_t tid, unsigned long options, bool stop)
{
	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)(options | PTRACE_O_TRACESYSGOOD)) < 0)
		return -errno;
	if (stop && ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return -errno;
	return 0;
}

void tracer_interrupt(pid_t tid)
{
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Stores how a thread stopped: signal, PTRACE_EVENT_* above it. Returns 0, -EAGAIN: it has not, or -ESRCH. The end of a
 * thread is looked at and left: of a child of ours it is news for who waits for children. */
static int poll_status(pid_t tid, int *status)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)tid, &info, WSTOPPED | WNOHANG | __WALL) < 0)
		return errno == EINTR ? -EAGAIN : -ESRCH;
	*status = info.si_status;
	if (info.si_pid)
		return 0;
	if (waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0)
		return errno == EINTR ? -EAGAIN : -ESRCH;
	/* It also tells of a thread that stopped just now. */
	return info.si_pid && info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED ? -ESRCH : -EAGAIN;
}

/* Waiting has no timeout; a thread that was asked to stop most often has within microseconds. */
static int wait_status(pid_t tid, unsigned timeout_ms, int *status)
{
	struct timespec pause = {.tv_nsec = 20000};
	const uint64_t end = now_ms() + timeout_ms;
	int err;

	while ((err = poll_status(tid, status)) == -EAGAIN) {
		if (now_ms() > end)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 1000000)
			pause.tv_nsec *= 2;
	}
	return err;
}

int tracer_wait(pid_t tid, unsigned timeout_ms, int *event)
{
	int status;
	int err;

	for (;;) {
		err = wait_status(tid, timeout_ms, &status);
		if (err)
			return err;
		*event = status >> 8;
		if (*event)
			return 0;
		if (ptrace(PTRACE_CONT, tid, NULL, (void *)(uintptr_t)status) < 0)
			return -errno;
	}
}

bool tracer_has_stopped(pid_t tid)
{
	unsigned long message;

	return ptrace(PTRACE_GETEVENTMSG, tid, NULL, &message) == 0;
}

#ifdef __x86_64__

#define SYSCALL_LENGTH 2

/* What calls return within the kernel that are to be restarted: the first and the last. */
#define ERESTARTSYS           512
#define ERESTART_RESTARTBLOCK 516

bool tracer_can_repeat(pid_t tid, uint64_t ip)
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
	thread->stop = false;
	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0 ||
	    ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(thread->signals), &thread->signals) < 0)
		return -errno;
	memcpy(thread->regs, &regs, sizeof(regs));
	if (!tracer_can_repeat(tid, regs.rip)) /* or it is being killed */
		return ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0 ? -errno : -EINVAL;
	return ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(all), &all) < 0 ? -errno : 0;
}

/* Runs to the next entry to or exit from a system call. */
static int step(struct traced *thread)
{
	int status;
	int err;

	do {
		if (ptrace(PTRACE_SYSCALL, thread->tid, NULL, NULL) < 0)
			return -errno;
		err = wait_status(thread->tid, CALL_TIMEOUT_MS, &status);
		thread->stop |= !err && status == SIGSTOP;
	} while (!err && status != (SIGTRAP | 0x80));
	return err;
}

static int64_t make_call(struct traced *thread, struct user_regs_struct regs)
{
	int err = 0;

	if (ptrace(PTRACE_SETREGS, thread->tid, NULL, &regs) < 0)
		return -errno;
	err = step(thread);
	if (!err)
		err = step(thread);
	if (!err && ptrace(PTRACE_GETREGS, thread->tid, NULL, &regs) < 0)
		err = -errno;
	return err ? err : (int64_t)regs.rax;
}

int64_t tracer_call(struct traced *thread, long nr, const uint64_t argument[6])
{
	struct user_regs_struct regs = stopped_with(thread);
	int64_t result;

	regs.rip -= SYSCALL_LENGTH;
	regs.orig_rax = UINT64_MAX; /* it is in no system call that could be restarted */
	regs.rax = (uint64_t)nr;
	regs.rdi = argument[0];
	regs.rsi = argument[1];
	regs.rdx = argument[2];
	regs.r10 = argument[3];
	regs.r8 = argument[4];
	regs.r9 = argument[5];
	/* Although signals wait, a process that is stopped, or goes on, has its calls restarted. */
	do
		result = make_call(thread, regs);
	while (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK);
	return result;
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
	if (thread->stop)
		syscall(__NR_tkill, thread->tid, SIGSTOP);
}

#else

bool tracer_can_repeat(pid_t tid, uint64_t ip)
{
	(void)tid;
	(void)ip;
	return false;
}

/* Where registers have other names, memory stays private. */
int tracer_begin(pid_t tid, struct traced *thread)
{
	(void)tid;
	(void)thread;
	return -EOPNOTSUPP;
}

int64_t tracer_call(struct traced *thread, long nr, const uint64_t argument[6])
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
