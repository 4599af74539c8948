/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which memory is a process's? execve that works, that fails, and while others have the memory; processes with one
 * memory, of which some end, and others that were forked and look the same.
 */
#include "ioasid.h"
#include "peer.h"

#include <alloca.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/userfaultfd.h>

enum { STACK = 65536, MEMBERS = 8 };

static bool is_foreign(struct test *t, int fd)
{
	return SAME(t, ioasid_version(fd), 0) && SAME(t, ioasid_any(fd), -EPERM) && SAME(t, ioasid_free(fd, 1), -EPERM);
}

static int execute(const char *what, int fd, int socket)
{
	char number[16];
	char other[16];

	snprintf(number, sizeof(number), "%d", fd);
	snprintf(other, sizeof(other), "%d", socket);
	execl("/proc/self/exe", "helper", "--helper", what, number, other, (char *)NULL);
	return 126;
}

/* A process that does one thing after the other, as it is told by a pipe. */
enum { ALLOC = 'a', FREE_1 = 'f', OPEN = 'o', FAIL_EXEC = 'x', END = 'e' };

struct order {
	int in[2], out[2];
	int fd;
};

static long obey(const struct order *o, char what)
{
	switch (what) {
	case ALLOC:
		return ioasid_any(o->fd);
	case FREE_1:
		return ioasid_free(o->fd, 1);
	case OPEN:
		return ioasid_open();
	case FAIL_EXEC:
		return ERR(execl("/nowhere/at/all", "nothing", (char *)NULL));
	}
	return -ENOSYS;
}

/* Without a frame that another call at the same place would have as well. */
static int follow(void *context)
{
	const struct order *o = context;
	char what;

	while (read(o->in[0], &what, 1) == 1 && what != END) {
		long rc = obey(o, what);

		if (write(o->out[1], &rc, sizeof(rc)) != sizeof(rc))
			break;
	}
	syscall(SYS_exit_group, 0);
	return 0;
}

static struct order *order_new(int fd)
{
	struct order *o = mmap(NULL, sizeof(*o), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	o->fd = fd;
	if (pipe(o->in) || pipe(o->out))
		abort();
	return o;
}

/* A process of its own in this memory; its stack is of it. */
static pid_t live_here(struct order *o)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return clone(follow, stack + STACK, CLONE_VM | SIGCHLD, o);
}

static pid_t live_apart(struct order *o)
{
	pid_t pid = fork();

	if (pid == 0)
		follow(o);
	return pid;
}

static long ask(const struct order *o, char what)
{
	long rc = -ETIME;

	if (write(o->in[1], &what, 1) != 1 || read(o->out[0], &rc, sizeof(rc)) != sizeof(rc))
		return -EPIPE;
	return rc;
}

static void end(const struct order *o)
{
	(void)!write(o->in[1], &(char){END}, 1);
}

/* What an execve that failed leaves: all as it was, for each thread. */
static void exec_that_fails(struct test *t)
{
	struct order *o;
	int fd = ioasid_open();

	SAME(t, ioasid_any(fd), 1);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		SAME(t, ERR(execl("/nowhere/at/all", "nothing", (char *)NULL)), -ENOENT);
		SAME(t, ERR(execl("/proc/self/cmdline", "nothing", (char *)NULL)), -EACCES);
		SAME(t, ioasid_any(fd), 2);
		SAME(t, ioasid_free(fd, 2), 0);
		SAME(t, ioasid_open(), -EBUSY);
	}
	o = order_new(fd);
	CHECK(t, live_here(o) > 0);
	SAME(t, ask(o, FAIL_EXEC), -ENOENT);
	SAME(t, ask(o, ALLOC), 2);
	SAME(t, ioasid_any(fd), 3);
	SAME(t, ask(o, OPEN), -EBUSY);
	end(o);
}

static _Atomic bool stop;

static void *fail_to_execute(void *context)
{
	(void)context;
	while (!atomic_load(&stop))
		execl("/nowhere/at/all", "nothing", (char *)NULL);
	return NULL;
}

/* While one thread tries, the others' calls are its process's own. */
static void exec_that_fails_beside_calls(struct test *t)
{
	pthread_t thread;
	int fd = ioasid_open();

	SAME(t, pthread_create(&thread, NULL, fail_to_execute, NULL), 0);
	for (unsigned long i = 0; i < t->rounds * 20 && !t->failed; i++) {
		SAME(t, ioasid_any(fd), 1);
		SAME(t, ioasid_free(fd, 1), 0);
		SAME(t, ioasid_open(), -EBUSY);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	SAME(t, ioasid_any(fd), 1);
}

/* What is executed while another process has the memory that is left. */
static int helper_beside(struct test *t, int fd, const struct order *o)
{
	int own;

	is_foreign(t, fd);
	own = ioasid_open();
	SAME(t, ioasid_any(own), 2);
	/* The memory lives, and it is its file. */
	SAME(t, ask(o, ALLOC), 3);
	SAME(t, ask(o, OPEN), -EBUSY);
	SAME(t, ioasid_free(own, 1), -EACCES);
	is_foreign(t, fd);
	SAME(t, ask(o, FREE_1), 0);
	SAME(t, ioasid_any(own), 1);
	SAME(t, ioasid_free(own, 1), 0);
	end(o);
	SAME(t, wait(NULL) > 0, 1);
	SAME(t, ioasid_any(own), 1);
	SAME(t, ioasid_any(own), 3);
	return t->failed;
}

static void exec_leaves_the_memory_to_others(struct test *t)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct order *o = order_new((int)ERR(open(DEV_IOASID, O_RDWR)));
		int pipes[2] = {o->in[1], o->out[0]};
		char text[32];

		if (ioasid_any(o->fd) != 1 || live_here(o) < 0)
			_exit(125);
		snprintf(text, sizeof(text), "%d %d", pipes[0], pipes[1]);
		setenv("PIPES", text, 1);
		_exit(execute("beside", o->fd, 0));
	}
	SAME(t, wait_for(pid), 0);
	SAME(t, ioasid_any(ioasid_open()), 1);
}

/* Wherever in a page the stack is that the call is made with. */
static void opens_at_any_depth(struct test *t)
{
	for (size_t bytes = 16; bytes <= 4096; bytes += 16) {
		volatile char *deeper = alloca(16); /* of the frame, so they add up */
		int fd = ioasid_open();

		*deeper = 0;
		SAME(t, fd < 0 ? fd : 0, 0);
		close(fd);
	}
}

/* Of several that live in one memory, the ones that are left are its owner; a forked one never is. */
static void who_is_left_of_one_memory(struct test *t)
{
	struct order *outside[2];
	pid_t pid;
	int go[2];
	int own;

	SAME(t, ERR(pipe(go)), 0);
	for (int i = 0; i < 2; i++)
		outside[i] = order_new(-1);
	SAME(t, prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = fork();
	if (pid == 0) {
		outside[0]->fd = outside[1]->fd = ioasid_open();
		SAME(t, ioasid_any(outside[0]->fd), 1);
		/* The same at first sight: what they were made from, and where they go on. */
		live_here(outside[0]);
		live_apart(outside[1]);
		hear(go[0]);
		_exit(t->failed);
	}
	SAME(t, ask(outside[0], ALLOC), 2);
	SAME(t, ask(outside[1], ALLOC), -EPERM);
	tell(go[1]);
	SAME(t, wait_for(pid), 0);
	opens_at_any_depth(t);
	own = ioasid_open();
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		SAME(t, ask(outside[0], FREE_1), 0);
		SAME(t, ask(outside[0], FREE_1), -ENOENT);
		SAME(t, ask(outside[1], FREE_1), -EPERM);
		SAME(t, ask(outside[1], ALLOC), -EPERM);
		SAME(t, ioasid_any(own), 1);
		SAME(t, ask(outside[0], FREE_1), -EACCES);
		SAME(t, ioasid_free(own, 1), 0);
		SAME(t, ioasid_free(own, 2), -EACCES);
		SAME(t, ask(outside[0], ALLOC), 1);
	}
	end(outside[0]);
	SAME(t, wait(NULL) > 0, 1);
	/* The file is open still, by the forked one, and nobody's. */
	SAME(t, ioasid_any(own), 1);
	SAME(t, ioasid_any(own), 2);
	SAME(t, ask(outside[1], ALLOC), -EPERM);
	end(outside[1]);
	SAME(t, wait(NULL) > 0, 1);
}

/* Each program that is executed by the one before finds all free. */
static int helper_again(struct test *t, int fd, int left)
{
	int own;

	if (fd >= 0) {
		is_foreign(t, fd);
		close(fd);
	}
	own = (int)ERR(open(DEV_IOASID, O_RDWR));
	SAME(t, ioasid_any(own), 1);
	SAME(t, ioasid_any(own), 2);
	if (t->failed || !left)
		return t->failed;
	return execute("again", own, left - 1);
}

static void exec_again_and_again(struct test *t)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(execute("again", -1, (int)t->rounds));
	SAME(t, wait_for(pid), 0);
}

/* Threads that call while one executes: none of them makes the new program an owner. */
static void *allocate_on(void *context)
{
	const int fd = *(const int *)context;

	for (;;) {
		long id = ioasid_any(fd);

		if (id > 0)
			ioasid_free(fd, id);
	}
	return NULL;
}

static void exec_beside_calls(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			static int fd;
			pthread_t thread;

			fd = (int)ERR(open(DEV_IOASID, O_RDWR));
			for (int k = 0; k < 3; k++)
				pthread_create(&thread, NULL, allocate_on, &fd);
			for (unsigned k = 0; k < 1 + i % 5; k++)
				ioasid_any(fd);
			_exit(execute("again", fd, 0));
		}
		SAME(t, wait_for(pid), 0);
	}
}

/*
 * A program that keeps who asks which memory it has waiting: where its random bytes lie, a page never comes. It has
 * tried to execute before, so that it is to be asked.
 */
static void *be_stuck(void *context)
{
	const int ready = *(const int *)context;
	uint64_t page = getauxval(AT_RANDOM) & ~UINT64_C(4095);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.range = {page, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	int fd = ioasid_open();
	char what = 'n';

	if (uffd >= 0 && ioctl(uffd, UFFDIO_API, &api) == 0 && ioasid_any(fd) == 1) {
		execl("/nowhere/at/all", "nothing", (char *)NULL);
		if (mmap((void *)(uintptr_t)page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 -1, 0) != MAP_FAILED &&
		    ioctl(uffd, UFFDIO_REGISTER, &range) == 0)
			what = 'y';
	}
	(void)!write(ready, &what, 1);
	for (;;)
		ioasid_free(fd, 1);
	return NULL;
}

__attribute__((noreturn)) static int helper_stuck(int ready)
{
	pthread_t thread;

	pthread_create(&thread, NULL, be_stuck, &ready);
	for (;;)
		pause();
}

static void memory_that_never_comes(struct test *t)
{
	char what = 'n';
	int ready[2];
	pid_t pid;

	SAME(t, ERR(pipe(ready)), 0);
	pid = fork();
	if (pid == 0)
		_exit(execute("stuck", ready[1], 0));
	SAME(t, read(ready[0], &what, 1), 1);
	if (what != 'y')
		test_skip(t, "userfaultfd is not permitted");
	for (unsigned long i = 0; what == 'y' && i < t->rounds && !t->failed; i++) {
		int fd = ioasid_open();

		SAME(t, ioasid_open(), -EBUSY);
		SAME(t, ioasid_any(fd), 2);
		SAME(t, ioasid_free(fd, 1), -EACCES);
		close(fd);
		SAME(t, execl("/nowhere/at/all", "nothing", (char *)NULL), -1);
		SAME(t, ERR(close(open(DEV_IOMMU, O_RDWR))), 0);
	}
	SAME(t, ERR(kill(pid, SIGKILL)), 0);
	SAME(t, wait_for(pid), -SIGKILL);
	SAME(t, ioasid_any(ioasid_open()), 1);
}

static int helper(char **argv)
{
	struct test test = {.name = argv[2]};
	int fd = atoi(argv[3]);
	struct order o;

	if (!strcmp(argv[2], "stuck"))
		return helper_stuck(fd);
	if (!strcmp(argv[2], "again"))
		return helper_again(&test, fd, atoi(argv[4]));
	if (sscanf(getenv("PIPES"), "%d %d", &o.in[1], &o.out[0]) != 2)
		return 124;
	return helper_beside(&test, fd, &o);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"exec_that_fails", exec_that_fails},
		{"exec_that_fails_beside_calls", exec_that_fails_beside_calls},
		{"exec_leaves_the_memory_to_others", exec_leaves_the_memory_to_others},
		{"who_is_left_of_one_memory", who_is_left_of_one_memory},
		{"exec_again_and_again", exec_again_and_again},
		{"exec_beside_calls", exec_beside_calls},
		{"memory_that_never_comes", memory_that_never_comes},
	};

	if (argc == 5 && !strcmp(argv[1], "--helper"))
		return helper(argv);
	return TEST_MAIN(argc, argv, cases);
}
