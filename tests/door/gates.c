/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A reply that comes late: the process that made the call is gone, and another one has its number, or another program
 * its place. Nothing may be written into those.
 *
 * The caller asks IOVA_RANGES for an array on a page that this process serves. When the page comes at last, the array
 * is written to it, and then the command's struct to an address where the other program has memory of its own.
 */
#include "door.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/sched.h>
#include <linux/userfaultfd.h>

enum { PAGE = 4096, PATTERN = 0xaa, WATCH_NS = 300000000 };
enum { ARRAY, PATH, PAGES }; /* which the caller asks for, and which are served here */

static void *const reply_at = (void *)0x700000000000; /* in every program of this test */

struct caller {
	pid_t pid;
	int socket;           /* our end, for descriptors and to tell it to go on */
	int uffd;             /* of its pages */
	unsigned char *pages; /* their address, there */
	int shared;           /* a file of a page, for the other program to have at reply_at */
	unsigned char *seen;  /* that file, here */
};

static void serve_pages(struct test *t, int socket, unsigned char *pages)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.range = {address(pages), PAGES * PAGE}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK); /* without, poll(2) refuses it */

	if (SAME(t, ERR(ioctl(uffd, UFFDIO_API, &api)), 0) && SAME(t, ERR(ioctl(uffd, UFFDIO_REGISTER, &reg)), 0))
		SAME(t, send_descriptor(socket, uffd), 0);
	close(uffd);
}

static void ask_for_ranges(int fd, unsigned char *pages)
{
	struct iommu_ioas_ranges *cmd =
		mmap(reply_at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	*cmd = (struct iommu_ioas_ranges){
		.size = sizeof(*cmd), .ioas_id = 1, .num_iovas = 1, .iovas = address(pages + (size_t)ARRAY * PAGE)};
	door_ioctl(fd, IOMMU_IOAS_IOVA_RANGES, cmd);
}

static void fill_with_pattern(int shared)
{
	unsigned char *page = mmap(reply_at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, shared, 0);

	memset(page, PATTERN, PAGE);
}

static bool may_serve_faults(struct test *t)
{
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd < 0) {
		test_skip(t, "userfaultfd for faults of the kernel: %s", strerrorname_np(errno));
		return false;
	}
	close(uffd);
	return true;
}

/* Starts a child that runs act, and takes the descriptor that serves its pages. */
static bool start_caller(struct test *t, struct caller *c,
			 void (*act)(struct test *t, const struct caller *c, int socket))
{
	int sockets[2];

	c->pages = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	c->shared = memfd_create("page", 0);
	SAME(t, ERR(ftruncate(c->shared, PAGE)), 0);
	c->seen = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, c->shared, 0);
	SAME(t, ERR(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets)), 0);
	c->pid = fork();
	if (c->pid == 0) {
		serve_pages(t, sockets[1], c->pages);
		act(t, c, sockets[1]);
		_exit(0);
	}
	close(sockets[1]);
	c->socket = sockets[0];
	c->uffd = receive_descriptor(c->socket);
	return CHECK(t, c->uffd >= 0);
}

static void await_fault(struct test *t, const struct caller *c, int page)
{
	struct pollfd p = {c->uffd, POLLIN, 0};
	struct uffd_msg msg;

	SAME(t, ERR(poll(&p, 1, -1)), 1);
	SAME(t, ERR(read(c->uffd, &msg, sizeof(msg))), sizeof(msg));
	SAME(t, (msg.arg.pagefault.address - address(c->pages)) / PAGE, page);
}

static void answer_fault(struct test *t, const struct caller *c, int page, const char *text)
{
	_Alignas(PAGE) static char content[PAGE];
	struct uffdio_copy copy = {
		.dst = address(c->pages + (size_t)page * PAGE), .src = address(content), .len = PAGE};

	snprintf(content, sizeof(content), "%s", text);
	SAME(t, ERR(ioctl(c->uffd, UFFDIO_COPY, &copy)), 0);
}

/* Nothing says that a reply was not written: a written one is there long before the time is up. */
static void expect_untouched(struct test *t, const struct caller *c)
{
	uint64_t end = monotonic_ns() + WATCH_NS;
	int changed = 0;

	while (!changed && monotonic_ns() < end) {
		for (int i = 0; i < PAGE; i++)
			changed += c->seen[i] != PATTERN;
		usleep(1000);
	}
	SAME(t, changed, 0);
}

static void only_ask(struct test *t, const struct caller *c, int socket)
{
	int fd = open_iommu();

	(void)socket;
	SAME(t, ioas_alloc(fd), 1);
	ask_for_ranges(fd, c->pages);
}

/* A child with this number: -errno where it may not be chosen, or is taken. */
static pid_t fork_as(pid_t number)
{
	struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = address(&number), .set_tid_size = 1};

	return (pid_t)ERR(syscall(SYS_clone3, &args, sizeof(args)));
}

static void number_of_a_killed_caller(struct test *t)
{
	struct caller c;
	pid_t other;
	int ready[2];
	int end[2];

	if (!may_serve_faults(t) || !start_caller(t, &c, only_ask))
		return;
	await_fault(t, &c, ARRAY);
	kill(c.pid, SIGKILL);
	SAME(t, wait_for(c.pid), -SIGKILL);
	SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
	SAME(t, ERR(pipe2(end, O_CLOEXEC)), 0);
	other = fork_as(c.pid);
	if (other == 0) {
		fill_with_pattern(c.shared);
		tell(ready[1]);
		close(end[1]);
		hear(end[0]);
		_exit(0);
	}
	if (other < 0) {
		test_skip(t, "a process with a number of choice: %s", strerrorname_np(-other));
		return;
	}
	SAME(t, other, c.pid);
	CHECK(t, hear(ready[0]));
	answer_fault(t, &c, ARRAY, "");
	expect_untouched(t, &c);
	close(end[1]);
	SAME(t, wait_for(other), 0);
}

struct execution {
	const struct caller *caller;
	int socket;
};

static void *execute(void *context)
{
	const struct execution *e = context;
	char shared[16];
	char socket[16];
	char name[] = "gates";
	char verb[] = "become";
	char *argv[] = {name, verb, shared, socket, NULL};
	char *environment[] = {NULL};

	snprintf(shared, sizeof(shared), "%d", e->caller->shared);
	snprintf(socket, sizeof(socket), "%d", e->socket);
	fcntl(e->socket, F_SETFD, 0);
	execve((const char *)e->caller->pages + (size_t)PATH * PAGE, argv, environment);
	return NULL;
}

/* The program that takes the caller's place. It stays until the other end of the socket is closed. */
static int become(int shared, int socket)
{
	fill_with_pattern(shared);
	tell(socket);
	hear(socket);
	return 0;
}

/* The first thread asks: its number is the one that the new program has. */
static void ask_while_another_executes(struct test *t, const struct caller *c, int socket)
{
	int fd = open_iommu();
	struct execution e = {c, socket};
	pthread_t thread;

	SAME(t, ioas_alloc(fd), 1);
	pthread_create(&thread, NULL, execute, &e);
	hear(socket);
	ask_for_ranges(fd, c->pages);
	tell(socket);
	pthread_join(thread, NULL);
}

/* Waits until the call has got as far as the array, or has failed before. Returns whether it is stalled there. */
static bool await_stall(struct test *t, const struct caller *c)
{
	struct pollfd p[] = {{c->uffd, POLLIN, 0}, {c->socket, POLLIN, 0}};

	SAME(t, ERR(poll(p, 2, -1)), 1);
	if (p[0].revents)
		await_fault(t, c, ARRAY);
	else
		CHECK(t, hear(c->socket));
	return p[0].revents;
}

static void place_of_a_caller_that_executes(struct test *t)
{
	struct caller c;
	bool stalled;

	if (!may_serve_faults(t) || !start_caller(t, &c, ask_while_another_executes))
		return;
	await_fault(t, &c, PATH); /* the kernel has begun the execve */
	tell(c.socket);
	stalled = await_stall(t, &c);
	answer_fault(t, &c, PATH, t->program);
	CHECK(t, hear(c.socket));
	if (stalled)
		answer_fault(t, &c, ARRAY, "");
	expect_untouched(t, &c);
	close(c.socket);
	SAME(t, wait_for(c.pid), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"number_of_a_killed_caller", number_of_a_killed_caller},
		{"place_of_a_caller_that_executes", place_of_a_caller_that_executes},
	};

	if (argc == 4 && strcmp(argv[1], "become") == 0)
		return become(atoi(argv[2]), atoi(argv[3]));
	return TEST_MAIN(argc, argv, cases);
}
