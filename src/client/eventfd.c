/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "client/eventfd.h"

#include "client/client.h"
#include "client/eventfd_sender.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

bool eventfd_is_at(const char *path)
{
	static const char name[] = "anon_inode:[eventfd]";
	char target[sizeof(name)];

	return readlink(path, target, sizeof(target)) == sizeof(name) - 1 && !memcmp(target, name, sizeof(name) - 1);
}

int eventfd_check(int fd, int *own_fd)
{
	int flags = fcntl(fd, F_GETFL);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (flags >= 0 && !(flags & O_PATH) && eventfd_is_at(path)) {
		*own_fd = fd;
		return 0;
	}
	close(fd);
	return flags < 0 || flags & O_PATH ? -EBADF : -EINVAL; /* O_PATH: it only names a file */
}

int eventfd_new(struct client *client, int fd, struct eventfd **eventfd)
{
	struct eventfd *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	err = client->ops->eventfd(client, fd, &e->fd);
	if (err) {
		free(e);
		return err;
	}
	*eventfd = e;
	return 0;
}

void eventfd_free(struct eventfd *eventfd)
{
	struct eventfd_sender *sender;

	if (!eventfd)
		return;
	sender = atomic_load(&eventfd->sender);
	if (sender)
		eventfd_sender_forget(sender, eventfd);
	close(eventfd->fd);
	free(eventfd);
}

int eventfd_fd(const struct eventfd *eventfd)
{
	return eventfd->fd;
}

void eventfd_drain(const struct eventfd *eventfd)
{
	uint64_t count;
	struct iovec to = {&count, sizeof(count)};

	(void)!preadv2(eventfd->fd, &to, 1, -1, RWF_NOWAIT);
}

uint64_t eventfd_identity(const struct eventfd *eventfd)
{
	static const char key[] = "eventfd-id:";
	char path[64], info[512];
	const char *found;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", eventfd->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, info, sizeof(info) - 1);
	close(fd);
	info[n > 0 ? n : 0] = '\0';
	found = strstr(info, key);
	/* They begin with 0. */
	return found ? strtoull(found + strlen(key), NULL, 10) + 1 : 0;
}
