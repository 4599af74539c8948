/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lets a program that knows nothing of iommuse use it in its own process: its open, close, ioctl, read, write and poll
 * end here (it is compiled with these names for them), and go to the library where they are about /dev/iommu or a
 * descriptor that came from it.
 */
#include "iommuse/iommuse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int probe_open(const char *path, int flags, ...);
int probe_close(int fd);
int probe_ioctl(int fd, unsigned long cmd, ...);
ssize_t probe_read(int fd, void *buf, size_t count);
ssize_t probe_write(int fd, const void *buf, size_t count);
int probe_poll(struct pollfd *fds, nfds_t count, int timeout);

static struct iommuse *instance;

static void close_system(void)
{
	iommuse_free(instance);
}

static struct iommuse *the_system(void)
{
	static const struct iommuse_options options = {
		.struct_size = sizeof(options), .selftest = 1, .own_capabilities = 1};
	int rc;

	if (instance)
		return instance;
	rc = iommuse_new(&options, &instance);
	if (rc) {
		fprintf(stderr, "iommuse_new: %s\n", strerror(-rc));
		exit(2);
	}
	atexit(close_system);
	return instance;
}

static long answer(long rc)
{
	if (rc >= 0)
		return rc;
	errno = (int)-rc;
	return -1;
}

int probe_open(const char *path, int flags, ...)
{
	va_list list;
	int mode;

	if (!strcmp(path, "/dev/iommu") || !strcmp(path, "/dev/vfio/vfio"))
		return (int)answer(iommuse_open(the_system(), path, flags));
	va_start(list, flags);
	mode = flags & O_CREAT ? va_arg(list, int) : 0;
	va_end(list);
	return open(path, flags, mode);
}

int probe_close(int fd)
{
	return iommuse_owns(the_system(), fd) ? (int)answer(iommuse_close(instance, fd)) : close(fd);
}

int probe_ioctl(int fd, unsigned long cmd, ...)
{
	va_list list;
	void *arg;

	va_start(list, cmd);
	arg = va_arg(list, void *);
	va_end(list);
	if (iommuse_owns(the_system(), fd))
		return (int)answer(iommuse_ioctl(instance, fd, cmd, (uintptr_t)arg));
	return ioctl(fd, cmd, arg);
}

ssize_t probe_read(int fd, void *buf, size_t count)
{
	return iommuse_owns(the_system(), fd) ? answer(iommuse_read(instance, fd, buf, count)) : read(fd, buf, count);
}

ssize_t probe_write(int fd, const void *buf, size_t count)
{
	return iommuse_owns(the_system(), fd) ? answer(iommuse_write(instance, fd, buf, count)) : write(fd, buf, count);
}

/* What is polled is either all the system's, in which case nothing is waited for, or none of it. */
int probe_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int ready = 0;

	if (!count || !iommuse_owns(the_system(), fds[0].fd))
		return poll(fds, count, timeout);
	for (nfds_t i = 0; i < count; i++) {
		int rc = iommuse_poll(instance, fds[i].fd, fds[i].events);

		fds[i].revents = (short)(rc < 0 ? POLLNVAL : rc);
		ready += fds[i].revents != 0;
	}
	return ready;
}
