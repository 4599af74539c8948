/* SPDX-License-Identifier: BSD-3-Clause */
/* Who shares a context and how long it lives: dup, fork, exec, descriptors that are passed, and the last close. */
#include "door.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* An object that is made through one descriptor is destroyed through the other. */
static bool shared(struct test *t, int a, int b)
{
	long id = ioas_alloc(a);

	return CHECK(t, id > 0) && SAME(t, object_destroy(b, (uint32_t)id), 0) &&
	       SAME(t, object_destroy(a, (uint32_t)id), -ENOENT);
}

static void duplicates(struct test *t)
{
	int fd = open_iommu();
	int other = open_iommu();

	FRESH(t, other);
	shared(t, fd, dup(fd));
	shared(t, dup2(fd, 100), fd);
	shared(t, fd, dup3(fd, 101, O_CLOEXEC));
	shared(t, fd, fcntl(fd, F_DUPFD, 200));
	shared(t, fcntl(fd, F_DUPFD_CLOEXEC, 200), 100);
	/* Over another context, which goes. */
	SAME(t, dup2(fd, other), other);
	shared(t, fd, other);
}

static void one_duplicate_keeps_it(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds; i++) {
		int fd = open_iommu();
		int copy = dup(fd);

		if (!FRESH(t, fd) || !SAME(t, ERR(close(fd)), 0) || !SAME(t, ioas_alloc(copy), 2) ||
		    !SAME(t, open_iommu(), fd) || !FRESH(t, fd) || !SAME(t, ioas_alloc(copy), 3))
			return;
		close(fd);
		close(copy);
	}
}

static void forked_child(struct test *t)
{
	int fd = open_iommu();
	pid_t pid;

	FRESH(t, fd);
	pid = fork();
	if (pid == 0) {
		SAME(t, ioas_alloc(fd), 2);
		SAME(t, object_destroy(fd, 1), 0);
		close(fd);
		_exit(t->failed);
	}
	SAME(t, wait_for(pid), 0);
	SAME(t, object_destroy(fd, 2), 0);
	FRESH(t, fd);
}

/* The child goes on alone when its parent has closed, and when its parent is gone. */
static void child_outlives_parent(struct test *t)
{
	int go[2];
	int done[2];
	pid_t pid;

	SAME(t, ERR(pipe2(go, O_CLOEXEC)), 0);
	SAME(t, ERR(pipe2(done, O_CLOEXEC)), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open_iommu();

		FRESH(t, fd);
		if (fork() == 0) {
			close(go[1]);
			close(done[0]);
			hear(go[0]);
			if (ioas_alloc(fd) == 2)
				tell(done[1]);
			_exit(0);
		}
		_exit(t->failed);
	}
	SAME(t, wait_for(pid), 0);
	close(done[1]);
	close(go[1]);
	CHECK(t, hear(done[0]));
}

struct borrowed {
	int fd;
	struct iommu_ioas_alloc cmd;
};

static int alloc_and_exit(void *context)
{
	struct borrowed *b = context;

	return syscall(SYS_ioctl, b->fd, CMD(IOMMU_IOAS_ALLOC), &b->cmd) == 0 ? 0 : 1;
}

/* A child of vfork(2) in all but the stack: it uses its parent's memory while the parent waits. */
static void vforked_child(struct test *t)
{
	_Alignas(16) static char stack[65536];
	struct borrowed b = {open_iommu(), {.size = sizeof(b.cmd)}};

	FRESH(t, b.fd);
	for (int i = 0; i < 10; i++) {
		int pid = clone(alloc_and_exit, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &b);

		if (!SAME(t, wait_for(pid), 0) || !SAME(t, b.cmd.out_ioas_id, i + 2))
			return;
	}
}

/* Executes this program again to do what helper() below does, and returns how it ended. */
static int execute(struct test *t, const char *what, int fd)
{
	char number[16];
	pid_t pid = fork();

	snprintf(number, sizeof(number), "%d", fd);
	if (pid == 0) {
		execl(t->program, "helper", "--helper", what, number, (char *)NULL);
		_exit(126);
	}
	return wait_for(pid);
}

/* The exit status is the result of the first IOAS_ALLOC, or 100 + errno. */
static int helper(const char *what, int fd)
{
	long id;

	if (strcmp(what, "exec") == 0) { /* once more */
		char number[16];

		snprintf(number, sizeof(number), "%d", fd);
		execl("/proc/self/exe", "helper", "--helper", "alloc", number, (char *)NULL);
		return 126;
	}
	id = ioas_alloc(fd);
	return (int)(id < 0 ? 100 - id : id);
}

static void across_exec(struct test *t)
{
	int keeps = open(DEV_IOMMU, O_RDWR);
	int closes = open(DEV_IOMMU, O_RDWR | O_CLOEXEC);
	int copy;

	FRESH(t, keeps);
	FRESH(t, closes);
	SAME(t, execute(t, "alloc", keeps), 2);
	SAME(t, execute(t, "exec", keeps), 3);
	SAME(t, execute(t, "alloc", closes), 100 + EBADF);
	copy = dup(closes);
	SAME(t, execute(t, "alloc", copy), 2);
	SAME(t, ERR(fcntl(keeps, F_SETFD, FD_CLOEXEC)), 0);
	SAME(t, execute(t, "alloc", keeps), 100 + EBADF);
	SAME(t, ioas_alloc(keeps), 4);
	SAME(t, ioas_alloc(closes), 3);
}

/* The address space is another one after exec; what was mapped from the old one is still in the IOAS. */
static void maps_outlive_exec(struct test *t)
{
	static char buffer[8192];
	int fd = open(DEV_IOMMU, O_RDWR);

	FRESH(t, fd);
	SAME(t, ioas_map(fd, 1, buffer, sizeof(buffer), 0x10000), 0);
	SAME(t, execute(t, "alloc", fd), 2);
	SAME(t, ioas_map(fd, 1, buffer, 4096, 0x11000), -EEXIST);
	SAME(t, ioas_unmap(fd, 1, 0x10000, sizeof(buffer)), sizeof(buffer));
}

static void passed_to_another_process(struct test *t)
{
	int sockets[2];
	int received;
	pid_t pid;

	SAME(t, ERR(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets)), 0);
	pid = fork();
	if (pid == 0) { /* opens after the fork: shares nothing yet */
		int fd = open_iommu();

		close(sockets[0]);
		FRESH(t, fd);
		SAME(t, send_descriptor(sockets[1], fd), 0);
		close(fd);
		_exit(t->failed);
	}
	close(sockets[1]);
	SAME(t, wait_for(pid), 0);
	/* In flight, with the sender gone, until here. */
	received = receive_descriptor(sockets[0]);
	if (CHECK(t, received >= 0)) {
		SAME(t, ioas_alloc(received), 2);
		shared(t, received, dup(received));
	}
}

static void kept_by_a_message(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds / 4 + 1; i++) {
		int sockets[2];
		int fd = open_iommu();
		int other;

		SAME(t, ERR(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets)), 0);
		FRESH(t, fd);
		SAME(t, send_descriptor(sockets[0], fd), 0);
		close(fd);
		other = open_iommu();
		FRESH(t, other);
		fd = receive_descriptor(sockets[1]);
		if (!SAME(t, ioas_alloc(fd), 2))
			return;
		/* A message that nobody reads goes with its socket. */
		SAME(t, send_descriptor(sockets[0], fd), 0);
		close(fd);
		close(other);
		close(sockets[0]);
		close(sockets[1]);
	}
}

static void taken_with_pidfd_getfd(struct test *t)
{
	int hold[2];
	int ready[2];
	int pidfd;
	long fd;
	pid_t pid;

	SAME(t, ERR(pipe2(hold, O_CLOEXEC)), 0);
	SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		fd = dup2(open_iommu(), 77);
		FRESH(t, (int)fd);
		tell(ready[1]);
		hear(hold[0]);
		SAME(t, ioas_alloc((int)fd), 3);
		_exit(t->failed);
	}
	hear(ready[0]);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	fd = ERR(syscall(SYS_pidfd_getfd, pidfd, 77, 0));
	if (fd < 0) {
		kill(pid, SIGKILL);
		wait_for(pid);
		test_skip(t, "pidfd_getfd: %s", strerrorname_np((int)-fd));
		return;
	}
	SAME(t, ioas_alloc((int)fd), 2);
	close(hold[1]);
	SAME(t, wait_for(pid), 0);
	SAME(t, ioas_alloc((int)fd), 4);
}

/* Two processes, each with contexts of its own and one in common, in turns. */
static void common_and_own(struct test *t)
{
	enum { TURNS = 50 };
	int common = open_iommu();
	int to_child[2];
	int to_parent[2];
	int own;
	pid_t pid;

	SAME(t, ERR(pipe2(to_child, O_CLOEXEC)), 0);
	SAME(t, ERR(pipe2(to_parent, O_CLOEXEC)), 0);
	pid = fork();
	own = open_iommu();
	for (int i = 0; i < TURNS; i++) {
		if (pid == 0)
			hear(to_child[0]);
		if (!SAME(t, ioas_alloc(common), 2 * i + 1 + (pid == 0)) || !SAME(t, ioas_alloc(own), i + 1))
			break;
		tell(pid ? to_child[1] : to_parent[1]);
		if (pid)
			hear(to_parent[0]);
	}
	if (pid == 0)
		_exit(t->failed);
	close(to_child[1]);
	SAME(t, wait_for(pid), 0);
	SAME(t, ioas_alloc(common), 2 * TURNS + 1);
}

static void close_range_closes(struct test *t)
{
	int fd = open_iommu();
	int copy = fcntl(fd, F_DUPFD, 300);

	FRESH(t, fd);
	SAME(t, ERR(syscall(SYS_close_range, 300, 400, 0)), 0);
	SAME(t, ioas_alloc(copy), -EBADF);
	SAME(t, ioas_alloc(fd), 2);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"duplicates", duplicates},
		{"one_duplicate_keeps_it", one_duplicate_keeps_it},
		{"forked_child", forked_child},
		{"child_outlives_parent", child_outlives_parent},
		{"vforked_child", vforked_child},
		{"across_exec", across_exec},
		{"maps_outlive_exec", maps_outlive_exec},
		{"passed_to_another_process", passed_to_another_process},
		{"kept_by_a_message", kept_by_a_message},
		{"taken_with_pidfd_getfd", taken_with_pidfd_getfd},
		{"common_and_own", common_and_own},
		{"close_range_closes", close_range_closes},
	};

	if (argc == 4 && strcmp(argv[1], "--helper") == 0)
		return helper(argv[2], atoi(argv[3]));
	return TEST_MAIN(argc, argv, cases);
}
