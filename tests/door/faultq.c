/* SPDX-License-Identifier: BSD-3-Clause */
/* The descriptor of a fault queue that has nothing in it. */
#include "door.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { RECORD = 40, RESPONSE = 8 };

/* A context with a queue. The queue's id is 1. */
static int open_queue(struct test *t, int *fd)
{
	uint32_t id;
	long queue;

	*fd = open_iommu();
	queue = fault_queue_alloc(*fd, &id);
	if (CHECK(t, queue >= 0))
		SAME(t, id, 1);
	return (int)queue;
}

static void check_empty(struct test *t, int queue)
{
	char buf[2 * RECORD];
	struct pollfd p = {queue, POLLIN | POLLOUT, 0};

	SAME(t, ERR(read(queue, buf, RECORD)), 0);
	SAME(t, ERR(read(queue, buf, sizeof(buf))), 0);
	SAME(t, ERR(read(queue, buf, 0)), 0);
	SAME(t, ERR(read(queue, buf, RECORD - 1)), -ESPIPE);
	SAME(t, ERR(read(queue, buf, 1)), -ESPIPE);
	SAME(t, ERR(pread(queue, buf, RECORD, RECORD)), -ESPIPE);
	SAME(t, ERR(poll(&p, 1, 0)), 1);
	SAME(t, p.revents, POLLOUT);
	p.events = POLLIN;
	SAME(t, ERR(poll(&p, 1, 0)), 0);
}

/* docs/limits.md: below the numbers whose reads are trapped, an empty queue is a socket without data. */
static void check_empty_elsewhere(struct test *t, int queue)
{
	char buf[2 * RECORD];
	struct pollfd p = {queue, POLLIN | POLLOUT, 0};
	long rc = ERR(read(queue, buf, RECORD));

	CHECK(t, rc == 0 || rc == -EAGAIN);
	SAME(t, ERR(poll(&p, 1, 0)), 1);
	SAME(t, p.revents, POLLOUT);
}

static void nothing_to_read(struct test *t)
{
	int fd;
	int queue = open_queue(t, &fd);

	check_empty(t, queue);
	SAME(t, ERR(read(queue, wild_pointer(), RECORD)), 0);
	SAME(t, ERR(lseek(queue, 0, SEEK_CUR)), -ESPIPE);
	SAME(t, ERR(fcntl(queue, F_GETFD)), FD_CLOEXEC);
	SAME(t, ioas_alloc(queue), -ENOTTY);
	SAME(t, isatty(queue), 0);
}

/* The flag changes nothing. docs/limits.md: it is set where Linux does not set it. */
static void blocking_or_not(struct test *t)
{
	int fd;
	int queue = open_queue(t, &fd);

	SAME(t, ERR(fcntl(queue, F_GETFL)) & O_ACCMODE, O_RDWR);
	SAME(t, ERR(fcntl(queue, F_SETFL, O_NONBLOCK)), 0);
	SAME(t, ERR(fcntl(queue, F_GETFL)) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	check_empty(t, queue);
	SAME(t, ERR(fcntl(queue, F_SETFL, 0)), 0);
	check_empty(t, queue);
}

static void vectors(struct test *t)
{
	int fd;
	int queue = open_queue(t, &fd);
	char buf[RECORD];
	struct iovec iov = {buf, RECORD};

	SAME(t, ERR(readv(queue, &iov, 1)), 0);
	SAME(t, ERR(preadv(queue, &iov, 1, RECORD)), -ESPIPE);
	iov.iov_len = RECORD - 1;
	SAME(t, ERR(readv(queue, &iov, 1)), -ESPIPE);
}

static void answers_to_nothing(struct test *t)
{
	int fd;
	int queue = open_queue(t, &fd);
	uint32_t response[4] = {1, 0, 2, 0};

	SAME(t, ERR(write(queue, response, RESPONSE)), -EINVAL);
	SAME(t, ERR(write(queue, response, sizeof(response))), -EINVAL);
	SAME(t, ERR(write(queue, response, RESPONSE - 1)), -ESPIPE);
	SAME(t, ERR(write(queue, response, 0)), 0);
	SAME(t, ERR(write(queue, wild_pointer(), RESPONSE)), -EFAULT);
	SAME(t, ERR(pwrite(queue, response, RESPONSE, RESPONSE)), -ESPIPE);
	response[1] = 2;
	SAME(t, ERR(write(queue, response, RESPONSE)), -EINVAL);
	check_empty(t, queue);
}

static void epoll_waits(struct test *t)
{
	int fd;
	int queue = open_queue(t, &fd);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};

	SAME(t, ERR(epoll_ctl(ep, EPOLL_CTL_ADD, queue, &event)), 0);
	SAME(t, ERR(epoll_wait(ep, &event, 1, 0)), 1);
	SAME(t, event.events, EPOLLOUT);
	event.events = EPOLLIN;
	SAME(t, ERR(epoll_ctl(ep, EPOLL_CTL_MOD, queue, &event)), 0);
	SAME(t, ERR(epoll_wait(ep, &event, 1, 0)), 0);
}

static void busy_until_closed(struct test *t)
{
	int fd = open_iommu();

	for (unsigned long i = 0; i < t->rounds; i++) {
		uint32_t id;
		long queue = fault_queue_alloc(fd, &id);

		if (!CHECK(t, queue >= 0) || !SAME(t, id, 1) || !SAME(t, object_destroy(fd, 1), -EBUSY) ||
		    !SAME(t, ERR(close((int)queue)), 0) || !SAME(t, object_destroy(fd, 1), 0))
			return;
	}
}

static void busy_until_all_are_closed(struct test *t)
{
	int sockets[2];
	int hold[2];
	int fd;
	int queue = open_queue(t, &fd);
	int copy = dup(queue);
	pid_t pid;

	close(queue);
	SAME(t, object_destroy(fd, 1), -EBUSY);
	SAME(t, ERR(pipe2(hold, O_CLOEXEC)), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		hear(hold[0]);
		_exit(0);
	}
	close(copy);
	SAME(t, object_destroy(fd, 1), -EBUSY);
	close(hold[1]);
	SAME(t, wait_for(pid), 0);
	SAME(t, object_destroy(fd, 1), 0);

	queue = (int)fault_queue_alloc(fd, &(uint32_t){0});
	SAME(t, ERR(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets)), 0);
	SAME(t, send_descriptor(sockets[0], queue), 0);
	close(queue);
	SAME(t, object_destroy(fd, 1), -EBUSY);
	queue = receive_descriptor(sockets[1]);
	SAME(t, object_destroy(fd, 1), -EBUSY);
	close(queue);
	SAME(t, object_destroy(fd, 1), 0);
}

/* Whatever number the door chose, the queue is the same behind another one. */
static void behind_another_number(struct test *t)
{
	int fd;
	int queue = open_queue(t, &fd);

	SAME(t, dup2(queue, 0), 0);
	close(queue);
	check_empty_elsewhere(t, 0);
	SAME(t, dup2(0, 20), 20);
	close(0);
	check_empty_elsewhere(t, 20);
	SAME(t, object_destroy(fd, 1), -EBUSY);
	close(20);
	SAME(t, object_destroy(fd, 1), 0);
}

static void outlives_the_context(struct test *t)
{
	int fd;
	int queue = open_queue(t, &fd);
	int other;

	close(fd);
	check_empty(t, queue);
	other = open_iommu();
	FRESH(t, other);
	close(queue);
	SAME(t, ioas_alloc(other), 2);
}

static void small_table(struct test *t)
{
	struct rlimit limit = {64, 64};
	int fd = open_iommu();
	uint32_t id;
	long queue;

	SAME(t, ERR(setrlimit(RLIMIT_NOFILE, &limit)), 0);
	queue = fault_queue_alloc(fd, &id);
	if (SAME(t, queue < 0 ? queue : 0, 0))
		check_empty_elsewhere(t, (int)queue);
}

static void full_table(struct test *t)
{
	int fd = open_iommu();
	uint32_t id;
	int last = -1;
	int copy;
	long queue;

	while ((copy = dup(fd)) >= 0)
		last = copy;
	for (int i = 0; i < 10; i++)
		SAME(t, fault_queue_alloc(fd, &id), -EMFILE);
	FRESH(t, fd); /* no object is left of the failed ones */
	close(last);
	queue = fault_queue_alloc(fd, &id);
	SAME(t, queue, last);
	SAME(t, id, 2);
}

/* The reply cannot be written: neither a descriptor nor an object is left. */
static void unwritable_reply(struct test *t)
{
	struct iommu_fault_alloc *cmd = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_iommu();
	int before;

	*cmd = (struct iommu_fault_alloc){.size = sizeof(*cmd)};
	SAME(t, ERR(mprotect(cmd, 4096, PROT_READ)), 0);
	before = count_descriptors();
	for (unsigned long i = 0; i < t->rounds / 4 + 1; i++)
		if (!SAME(t, door_ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, cmd), -EFAULT))
			break;
	SAME(t, count_descriptors(), before);
	FRESH(t, fd);
}

static void many_queues(struct test *t)
{
	enum { COUNT = 50 };
	int fd = open_iommu();
	long queues[COUNT];

	for (int i = 0; i < COUNT; i++) {
		uint32_t id;

		queues[i] = fault_queue_alloc(fd, &id);
		if (!CHECK(t, queues[i] >= 0) || !SAME(t, id, i + 1))
			return;
	}
	for (int i = 0; i < COUNT; i++)
		check_empty(t, (int)queues[i]);
	for (int i = COUNT - 1; i >= 0; i -= 2) {
		close((int)queues[i]);
		SAME(t, object_destroy(fd, (uint32_t)i + 1), 0);
		SAME(t, object_destroy(fd, (uint32_t)i), -EBUSY);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"nothing_to_read", nothing_to_read},
		{"blocking_or_not", blocking_or_not},
		{"vectors", vectors},
		{"answers_to_nothing", answers_to_nothing},
		{"epoll_waits", epoll_waits},
		{"busy_until_closed", busy_until_closed},
		{"busy_until_all_are_closed", busy_until_all_are_closed},
		{"behind_another_number", behind_another_number},
		{"outlives_the_context", outlives_the_context},
		{"small_table", small_table},
		{"full_table", full_table},
		{"unwritable_reply", unwritable_reply},
		{"many_queues", many_queues},
	};

	return TEST_MAIN(argc, argv, cases);
}
