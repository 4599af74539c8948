/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each allocation, thread and descriptor that VFIO_DEVICE_IOEVENTFD wants fails in turn: it says so, and all is as
 * before. Linked with --wrap.
 */
#include "fake_vfio.h"
#include "own_threads.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context);
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __real_eventfd(unsigned count, int flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_eventfd(unsigned count, int flags);

enum { NEVER = -1 };

static int until_failure = NEVER; /* what still succeeds, plus one */

static bool fails(int error)
{
	if (until_failure == NEVER || --until_failure)
		return false;
	errno = error;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails(ENOMEM) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails(ENOMEM) ? NULL : __real_calloc(count, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context)
{
	return fails(EAGAIN) ? EAGAIN : __real_pthread_create(thread, attr, run, context);
}

int __wrap_epoll_create1(int flags)
{
	return fails(EMFILE) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	return op == EPOLL_CTL_ADD && fails(ENOSPC) ? -1 : __real_epoll_ctl(epoll, op, fd, event);
}

int __wrap_eventfd(unsigned count, int flags)
{
	return fails(EMFILE) ? -1 : __real_eventfd(count, flags);
}

static unsigned entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int set(uint64_t data, int fd)
{
	struct vfio_device_ioeventfd cmd = {.argsz = sizeof(cmd),
					    .flags = VFIO_DEVICE_IOEVENTFD_32,
					    .offset = REGION(TRAPPED_BAR),
					    .data = data,
					    .fd = fd};

	return COMMAND(device_ioeventfd, cmd);
}

/* Adds one with each failure, until there is none. Returns how many there were. */
static int fail_each(uint64_t data, int fd)
{
	const unsigned fds = entries("/proc/self/fd"), threads = vdev.ioeventfds != NULL;
	int n = 0, rc;

	do {
		until_failure = ++n;
		rc = set(data, fd);
		until_failure = NEVER;
		CHECK(rc == 0 || rc == -ENOMEM || rc == -ENFILE);
		if (rc) {
			CHECK_EQ(entries("/proc/self/fd"), fds);
			CHECK_EQ(own_threads("iommuse-ioevent", threads), threads);
			CHECK_EQ(set(data, -1), -ENODEV);
		}
	} while (rc && n < 100);
	return n - 1;
}

int main(void)
{
	int fd, other;

	vfio_begin();
	fd = eventfd(0, EFD_CLOEXEC);
	other = eventfd(0, EFD_CLOEXEC);
	CHECK(fail_each(1, fd) >= 7);    /* with its thread */
	CHECK(fail_each(2, other) >= 3); /* one more */
	CHECK(fail_each(3, fd) >= 2);    /* of an eventfd that is there */
	CHECK(vdev.ioeventfds != NULL);
	CHECK_EQ(set(1, -1), 0);
	CHECK_EQ(set(2, -1), 0);
	CHECK_EQ(set(3, -1), 0);
	CHECK(!vdev.ioeventfds);
	close(fd);
	close(other);
	vfio_end();
	return check_result();
}
