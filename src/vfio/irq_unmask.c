/* SPDX-License-Identifier: BSD-3-Clause */
#include "vfio/irq_unmask.h"

#include "base/thread.h"
#include "client/eventfd.h"
#include "vfio/device.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct irq_unmask {
	struct vfio_device *device;
	struct eventfd *eventfd;
	int stop, epoll;
	pthread_t thread;
};

static void *wait_for_writes(void *context)
{
	struct irq_unmask *u = context;

	for (;;) {
		struct epoll_event event;

		if (epoll_wait(u->epoll, &event, 1, -1) != 1)
			continue;
		if (event.data.fd == u->stop)
			return NULL;
		eventfd_drain(u->eventfd);
		irq_unmask_intx(u->device);
	}
}

static int watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -ENOMEM : 0;
}

int irq_unmask_new(struct vfio_device *device, struct eventfd *writes, struct irq_unmask **unmask)
{
	struct irq_unmask *u = malloc(sizeof(*u));
	int err = -ENFILE;

	if (!u)
		return -ENOMEM;
	u->device = device;
	u->eventfd = writes;
	u->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (u->epoll < 0)
		goto out_free;
	u->stop = eventfd(0, EFD_CLOEXEC);
	if (u->stop < 0)
		goto out_close_epoll;
	err = watch(u->epoll, u->stop, EPOLLIN);
	if (!err)
		err = watch(u->epoll, eventfd_fd(writes), EPOLLIN | EPOLLET);
	if (!err)
		err = thread_start(&u->thread, "iommuse-unmask", wait_for_writes, u) ? -ENOMEM : 0;
	if (err)
		goto out_close_stop;
	*unmask = u;
	return 0;

out_close_stop:
	close(u->stop);
out_close_epoll:
	close(u->epoll);
out_free:
	free(u);
	return err;
}

void irq_unmask_free(struct irq_unmask *unmask)
{
	if (!unmask)
		return;
	(void)eventfd_write(unmask->stop, 1);
	pthread_join(unmask->thread, NULL);
	close(unmask->stop);
	close(unmask->epoll);
	eventfd_free(unmask->eventfd);
	free(unmask);
}
