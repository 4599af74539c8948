/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the harness needs of a program, a verb each:
 *   exit N, signal N    end so
 *   calls N             N calls on a context of its own; prints the longest and all together, in ns
 *   state               prints what a program can see of how it was started
 *   signals             prints "ready", then the name of each signal that arrives; ends with 7 after SIGTERM
 *   answer              opens the node; then, for each byte of standard input, prints what a few calls answer
 *   refuse NR COMMAND   executes COMMAND where system call NR fails with EPERM
 *   lifetimes           a life of contexts with known marks between, for --verbose
 */
#include "door.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int end_by_signal(int number)
{
	struct rlimit none = {0, 0};
	sigset_t all;

	setrlimit(RLIMIT_CORE, &none);
	signal(number, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	raise(number);
	return 99;
}

static int make_calls(unsigned long count)
{
	static char buffer[4096];
	uint64_t longest = 0;
	uint64_t start = monotonic_ns();
	int fd = open_iommu();
	long rc = ioas_alloc(fd);

	for (unsigned long i = 0; i < count && rc >= 0; i++) {
		uint64_t before = monotonic_ns();
		uint64_t took;

		rc = i % 2 ? ioas_unmap(fd, 1, 0x1000, sizeof(buffer))
			   : ioas_map(fd, 1, buffer, sizeof(buffer), 0x1000);
		took = monotonic_ns() - before;
		if (took > longest)
			longest = took;
	}
	printf("%llu %llu\n", (unsigned long long)longest, (unsigned long long)(monotonic_ns() - start));
	return rc < 0;
}

static void print_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0)
			printf("fd %d flags %d mode %#x\n", fd, flags, (unsigned)fcntl(fd, F_GETFL));
	}
}

static void print_signals(void)
{
	for (int number = 1; number < 65; number++) {
		struct sigaction action;
		sigset_t mask;

		sigprocmask(SIG_BLOCK, NULL, &mask);
		if (sigaction(number, NULL, &action) == 0)
			printf("signal %d %s%s\n", number, action.sa_handler == SIG_IGN ? "ignored" : "default",
			       sigismember(&mask, number) > 0 ? " blocked" : "");
	}
}

static void print_limits(void)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit;

		if (getrlimit((__rlimit_resource_t)i, &limit) == 0)
			printf("limit %d %llu %llu\n", i, (unsigned long long)limit.rlim_cur,
			       (unsigned long long)limit.rlim_max);
	}
}

static int print_state(int argc, char **argv)
{
	char path[4096];
	int signal_of_parent = -1;
	mode_t mask = umask(0);

	umask(mask);
	for (int i = 0; i < argc; i++)
		printf("argument %d %s\n", i, argv[i]);
	for (char **e = environ; *e; e++)
		printf("environment %s\n", *e);
	printf("cwd %s\n", getcwd(path, sizeof(path)));
	printf("umask %#o\n", mask);
	printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
	printf("ids %d %d %d %d\n", (int)getuid(), (int)geteuid(), (int)getgid(), (int)getegid());
	printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
	prctl(PR_GET_PDEATHSIG, &signal_of_parent);
	printf("death signal %d\n", signal_of_parent);
	printf("subreaper %d\n", (prctl(PR_GET_CHILD_SUBREAPER, &signal_of_parent), signal_of_parent));
	print_descriptors();
	print_signals();
	print_limits();
	return 0;
}

static volatile sig_atomic_t terminated;

static void name_signal(int number)
{
	const char *name = sigabbrev_np(number);

	dprintf(STDOUT_FILENO, "%s\n", name ? name : "?");
	if (number == SIGTERM)
		terminated = 1;
}

static int print_signals_that_arrive(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};
	struct sigaction action = {.sa_handler = name_signal};
	sigset_t mask;
	sigset_t old;

	sigemptyset(&action.sa_mask);
	sigfillset(&action.sa_mask);
	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&mask, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &mask, &old);
	dprintf(STDOUT_FILENO, "ready %d\n", (int)getpid());
	while (!terminated)
		sigsuspend(&old);
	return 7;
}

static const char *name_of(long rc)
{
	return rc >= 0 ? "ok" : strerrorname_np((int)-rc);
}

static int answer(void)
{
	int fd = open_iommu();

	dprintf(STDOUT_FILENO, "ready %d %s\n", (int)getpid(), name_of(ioas_alloc(fd)));
	while (hear(STDIN_FILENO)) {
		struct stat st;
		int other = open_iommu();

		dprintf(STDOUT_FILENO, "ioctl %s open %s stat %s\n", name_of(ioas_alloc(fd)), name_of(other),
			name_of(ERR(fstat(fd, &st))));
		if (other >= 0)
			close(other);
	}
	return 0;
}

static int refuse(unsigned number, char **command)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 99;
	execv(command[0], command);
	return 99;
}

/* Marks are IOAS_MAPs of n bytes in a context that stays; the harness reads what --verbose says between them. */
static void mark(int fd, uint64_t n)
{
	static char buffer[4096];

	ioas_map(fd, 1, buffer, n, n * 0x10000);
}

static int lifetimes(void)
{
	int marks = open_iommu();
	int fd;
	int copy;
	pid_t pid;

	ioas_alloc(marks);
	fd = open_iommu();
	copy = dup(fd);
	close(fd);
	mark(marks, 1101);
	close(copy);
	mark(marks, 1102); /* between the two: one context closed */
	fd = open_iommu();
	pid = fork();
	if (pid == 0) {
		for (;;)
			pause();
	}
	close(fd);
	mark(marks, 1103); /* nothing closed: the child has it */
	kill(pid, SIGKILL);
	wait_for(pid);
	mark(marks, 1104); /* one closed */
	fd = open_iommu();
	dup2(marks, fd);
	mark(marks, 1105); /* one closed */
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	unsigned long number = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;

	if (strcmp(verb, "exit") == 0)
		return (int)number;
	if (strcmp(verb, "signal") == 0)
		return end_by_signal((int)number);
	if (strcmp(verb, "calls") == 0)
		return make_calls(number);
	if (strcmp(verb, "state") == 0)
		return print_state(argc, argv);
	if (strcmp(verb, "signals") == 0)
		return print_signals_that_arrive();
	if (strcmp(verb, "answer") == 0)
		return answer();
	if (strcmp(verb, "refuse") == 0 && argc > 3)
		return refuse((unsigned)number, argv + 3);
	if (strcmp(verb, "lifetimes") == 0)
		return lifetimes();
	return 2;
}
