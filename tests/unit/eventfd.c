/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Eventfds of clients: which descriptors are some, and that signalling one waits for nobody, both by the kernel's own
 * operations and, where those are refused, by a thread. Linked with --wrap for what a test needs to happen in between.
 */
#include "client/eventfd.h"

#include "check.h"
#include "client/client.h"
#include "client/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FULL UINT64_C(0xfffffffffffffffe) /* the most that a write makes of it */

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static int refused = -1;      /* the system call that is */
static atomic_int fill = -1;  /* this is filled as soon as poll has said that there is room */
static atomic_uint polled;    /* how often that happened */
static atomic_uint submitted; /* system calls */

static void fill_up(int fd)
{
	eventfd_t count;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	(void)eventfd_read(fd, &count);
	CHECK_EQ(eventfd_write(fd, FULL), 0);
	fcntl(fd, F_SETFL, 0);
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int rc = __real_poll(fds, n, timeout);

	if (rc == 1 && atomic_load(&fill) >= 0) {
		fill_up(atomic_load(&fill));
		atomic_fetch_add(&polled, 1);
	}
	return rc;
}

long __wrap_syscall(long number, ...)
{
	long arg[5]; /* none of ours has more */
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 5; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_io_submit)
		atomic_fetch_add(&submitted, 1);
	if (number == refused) {
		errno = ENOSYS;
		return -1;
	}
	return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4]);
}

static int no_file(void *context, int fd, struct file **file)
{
	(void)context;
	(void)fd;
	(void)file;
	return -EBADFD;
}

static struct local_client client;
static struct eventfd_sender *sender;

static int try_fd(int fd)
{
	struct eventfd *e;
	int err = eventfd_new(&client.client, fd, &e);

	if (!err)
		eventfd_free(e);
	return err;
}

/* A client's eventfd, and ours for it. */
static struct eventfd *make(int *fd)
{
	struct eventfd *e = NULL;

	*fd = eventfd(0, EFD_CLOEXEC);
	CHECK_EQ(eventfd_new(&client.client, *fd, &e), 0);
	return e;
}

static unsigned poll_now(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN | POLLOUT};

	(void)__real_poll(&pollfd, 1, 0);
	return (unsigned)pollfd.revents;
}

/* Reads until the sum is there; a thread may be adding. */
static void expect_sum(int fd, uint64_t sum)
{
	uint64_t got = 0, count;

	while (got < sum && !eventfd_read(fd, &count))
		got += count;
	CHECK_EQ(got, sum);
}

static void only_eventfds_are_some(void)
{
	int pipes[2], names, fd = eventfd(0, EFD_CLOEXEC);
	int memory = memfd_create("anon_inode:[eventfd]", MFD_CLOEXEC);
	char path[64];

	CHECK_EQ(try_fd(fd), 0);
	CHECK_EQ(try_fd(-1), -EBADF);
	CHECK_EQ(try_fd(1 << 20), -EBADF);
	CHECK_EQ(try_fd(memory), -EINVAL);
	CHECK_EQ(pipe2(pipes, O_CLOEXEC), 0);
	CHECK_EQ(try_fd(pipes[1]), -EINVAL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	names = open(path, O_PATH | O_CLOEXEC);
	CHECK(names >= 0);
	CHECK_EQ(try_fd(names), -EBADF);
	close(fd);
	CHECK_EQ(try_fd(fd), -EBADF);
	close(names);
	close(pipes[0]);
	close(pipes[1]);
	close(memory);
}

static void none_without_a_descriptor_to_spare(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	int last = fd;
	int next;

	while ((next = fcntl(fd, F_DUPFD_CLOEXEC, 0)) >= 0)
		last = next;
	CHECK_EQ(errno, EMFILE);
	CHECK_EQ(try_fd(fd), -ENFILE);
	for (; last > fd; last--)
		close(last);
	close(fd);
}

static void each_signal_adds_one(void)
{
	int fd;
	struct eventfd *e = make(&fd);

	for (int i = 0; i < 1000; i++)
		eventfd_signal(sender, e);
	expect_sum(fd, 1000);
	eventfd_free(e);
	close(fd);
}

static void it_lives_without_the_clients_descriptor(void)
{
	int fd;
	struct eventfd *e = make(&fd);
	eventfd_t count;

	close(fd);
	eventfd_signal(sender, e);
	CHECK_EQ(eventfd_read(eventfd_fd(e), &count), 0);
	CHECK_EQ(count, 1);
	eventfd_free(e);
}

/* The kernel's own signals do not wait either, and leave it readable. */
static void a_full_one_stays_full(void)
{
	int fd, other;
	struct eventfd *e = make(&fd);
	struct eventfd *second = make(&other);
	eventfd_t count;

	fill_up(fd);
	for (int i = 0; i < 300; i++)
		eventfd_signal(sender, e);
	eventfd_signal(sender, second);
	expect_sum(other, 1);
	CHECK(poll_now(fd) & POLLIN);
	CHECK(!(poll_now(fd) & POLLOUT));
	CHECK_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	CHECK_EQ(eventfd_read(fd, &count), 0);
	CHECK(count >= FULL);
	eventfd_signal(sender, e);
	expect_sum(fd, 1);
	eventfd_free(second);
	eventfd_free(e);
	close(other);
	close(fd);
}

enum { SIGNALS = 5000 };

static void *signal_often(void *context)
{
	for (int i = 0; i < SIGNALS; i++)
		eventfd_signal(sender, context);
	return NULL;
}

static void threads_signal_one(void)
{
	pthread_t threads[4];
	int fd;
	struct eventfd *e = make(&fd);

	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, signal_often, e), 0);
	expect_sum(fd, UINT64_C(4) * SIGNALS);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(poll_now(fd) & POLLIN, 0);
	eventfd_free(e);
	close(fd);
}

/* Until the thread that writes waits, or will. */
static void wait_until_polled(unsigned before)
{
	while (atomic_load(&polled) == before)
		sched_yield();
}

/* The client fills it between poll and write: the thread waits then, but nobody waits for it. */
static void one_that_is_filled_in_between_holds_up_no_close(void)
{
	int fd, other;
	struct eventfd *e = make(&fd);
	struct eventfd *second = make(&other);

	for (int i = 0; i < 20; i++) {
		unsigned before = atomic_load(&polled);
		eventfd_t count;

		(void)!read(fd, &count, i ? sizeof(count) : 0);
		atomic_store(&fill, fd);
		eventfd_signal(sender, e);
		wait_until_polled(before);
		atomic_store(&fill, -1);
		eventfd_signal(sender, second);
		eventfd_free(e);
		expect_sum(other, 1);
		CHECK_EQ(eventfd_new(&client.client, fd, &e), 0);
	}
	eventfd_free(second);
	eventfd_free(e);
	close(other);
	close(fd);
}

static void signals_arrive(void)
{
	each_signal_adds_one();
	it_lives_without_the_clients_descriptor();
	a_full_one_stays_full();
	threads_signal_one();
}

static void *hammer(void *context)
{
	int fd = *(int *)context;

	for (int i = 0; i < 20000; i++) {
		eventfd_t count;

		fcntl(fd, F_SETFL, O_NONBLOCK);
		(void)eventfd_write(fd, FULL);
		(void)eventfd_read(fd, &count);
		fcntl(fd, F_SETFL, 0);
	}
	return NULL;
}

/* A client that fills and drains all the time, and changes the flags that it shares. */
static void a_client_that_fills_holds_up_nobody(void)
{
	pthread_t client_thread;
	int fd;
	struct eventfd *e = make(&fd);

	CHECK_EQ(pthread_create(&client_thread, NULL, hammer, &fd), 0);
	for (int i = 0; i < SIGNALS; i++)
		eventfd_signal(sender, e);
	eventfd_free(e);
	pthread_join(client_thread, NULL);
	close(fd);
}

int main(void)
{
	static const struct local_files files = {.file = no_file};
	struct local local = {.kind = LOCAL_CHECKED, .files = &files};

	CHECK_EQ(local_init(&local), 0);
	local_client_init(&client, &local, -1);
	only_eventfds_are_some();
	none_without_a_descriptor_to_spare();

	CHECK_EQ(eventfd_sender_new(&sender), 0);
	if (!atomic_load(&submitted))
		printf("the kernel signals no eventfds for us here\n");
	signals_arrive();
	a_client_that_fills_holds_up_nobody();
	eventfd_sender_free(sender);

	refused = SYS_io_submit;
	CHECK_EQ(eventfd_sender_new(&sender), 0);
	each_signal_adds_one();
	eventfd_sender_free(sender);

	refused = SYS_io_setup;
	atomic_store(&submitted, 0);
	CHECK_EQ(eventfd_sender_new(&sender), 0);
	signals_arrive();
	a_client_that_fills_holds_up_nobody();
	one_that_is_filled_in_between_holds_up_no_close();
	eventfd_sender_free(sender);
	CHECK_EQ(atomic_load(&submitted), 0);

	eventfd_free(NULL);
	eventfd_sender_free(NULL);
	local_fini(&local);
	return check_result();
}
