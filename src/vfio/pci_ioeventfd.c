/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VFIO_DEVICE_IOEVENTFD: a client's write to an eventfd writes a register. A thread waits for that; it is there as long
 * as there is one.
 */
#include "abi/vfio.h"
#include "base/thread.h"
#include "client/eventfd.h"
#include "vfio/device_file.h"
#include "vfio/pci_region.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MOST 1000U

/* An eventfd, however many registers it writes: who takes what was written takes it for all of them. */
struct source {
	struct source *next;
	uint64_t number;   /* in epoll; never reused: a stale event finds nothing */
	uint64_t identity; /* 0: not known, so that it is shared with nobody */
	struct eventfd *eventfd;
	unsigned users;
};

struct ioeventfd {
	struct ioeventfd *next;
	unsigned bar, width;
	uint64_t offset, data;
	struct source *source;
};

/* Changed under device.lock and lock. The thread holds lock around a write: what is taken out writes no more. */
struct ioeventfds {
	struct vfio_device *device;
	pthread_mutex_t lock; /* below device.lock, above model_lock */
	struct ioeventfd *first;
	struct source *sources;
	unsigned count;
	uint64_t last_number;
	int epoll, stop;
	pthread_t thread;
};

static void write_register(const struct ioeventfds *all, const struct ioeventfd *one)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < one->width; i++)
		bytes[i] = (uint8_t)(one->data >> 8 * i);
	region_write(all->device, one->bar, one->offset, bytes, one->width, one->width);
}

static void fire(struct ioeventfds *all, uint64_t number)
{
	const struct source *source;

	pthread_mutex_lock(&all->lock);
	for (source = all->sources; source && source->number != number; source = source->next)
		;
	/* Otherwise another source of the same eventfd would find nothing. */
	if (source && source->identity)
		eventfd_drain(source->eventfd);
	for (const struct ioeventfd *one = source ? all->first : NULL; one; one = one->next)
		if (one->source == source)
			write_register(all, one);
	pthread_mutex_unlock(&all->lock);
}

static void *wait_for_writes(void *context)
{
	struct ioeventfds *all = context;

	for (;;) {
		struct epoll_event event;

		if (epoll_wait(all->epoll, &event, 1, -1) != 1)
			continue;
		if (!event.data.u64)
			return NULL;
		fire(all, event.data.u64);
	}
}

static int watch(int epoll, int fd, uint32_t events, uint64_t number)
{
	struct epoll_event event = {.events = events, .data.u64 = number};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -ENOMEM : 0;
}

static int ioeventfds_new(struct vfio_device *device, struct ioeventfds **made)
{
	struct ioeventfds *all = calloc(1, sizeof(*all));
	int rc = -ENFILE;

	if (!all)
		return -ENOMEM;
	all->device = device;
	pthread_mutex_init(&all->lock, NULL);
	all->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (all->epoll < 0)
		goto out_free;
	all->stop = eventfd(0, EFD_CLOEXEC);
	if (all->stop < 0)
		goto out_close_epoll;
	rc = watch(all->epoll, all->stop, EPOLLIN, 0);
	if (!rc)
		rc = thread_start(&all->thread, "iommuse-ioevent", wait_for_writes, all) ? -ENOMEM : 0;
	if (rc)
		goto out_close_stop;
	*made = all;
	return 0;

out_close_stop:
	close(all->stop);
out_close_epoll:
	close(all->epoll);
out_free:
	pthread_mutex_destroy(&all->lock);
	free(all);
	return rc;
}

static void ioeventfds_free(struct ioeventfds *all)
{
	(void)eventfd_write(all->stop, 1);
	pthread_join(all->thread, NULL);
	close(all->stop);
	close(all->epoll);
	pthread_mutex_destroy(&all->lock);
	free(all);
}

static void source_put(struct ioeventfds *all, struct source *source)
{
	struct source **link = &all->sources;

	if (--source->users)
		return;
	while (*link != source)
		link = &(*link)->next;
	*link = source->next;
	(void)epoll_ctl(all->epoll, EPOLL_CTL_DEL, eventfd_fd(source->eventfd), NULL);
	eventfd_free(source->eventfd);
	free(source);
}

/* Takes the eventfd over if it returns 0. */
static int source_get(struct ioeventfds *all, struct eventfd *eventfd, struct source **source)
{
	const uint64_t identity = eventfd_identity(eventfd);
	struct source *s = all->sources;
	int rc;

	while (s && (!identity || s->identity != identity))
		s = s->next;
	if (s) {
		eventfd_free(eventfd);
		s->users++;
		*source = s;
		return 0;
	}
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct source){.next = all->sources,
			     .number = all->last_number + 1,
			     .identity = identity,
			     .eventfd = eventfd,
			     .users = 1};
	rc = watch(all->epoll, eventfd_fd(eventfd), EPOLLIN | EPOLLET, s->number);
	if (rc) {
		free(s);
		return rc;
	}
	all->last_number++;
	all->sources = s;
	*source = s;
	return 0;
}

/* With device.lock held. */
static void take_out(struct vfio_device *device, struct ioeventfd **link)
{
	struct ioeventfds *all = device->ioeventfds;
	struct ioeventfd *one = *link;

	pthread_mutex_lock(&all->lock);
	*link = one->next;
	all->count--;
	source_put(all, one->source);
	pthread_mutex_unlock(&all->lock);
	free(one);
	if (!all->count) {
		device->ioeventfds = NULL;
		ioeventfds_free(all);
	}
}

void device_forget_ioeventfds(struct vfio_device *device)
{
	while (device->ioeventfds)
		take_out(device, &device->ioeventfds->first);
}

/* Where it is linked; NULL: there is none. */
static struct ioeventfd **find(struct ioeventfds *all, const struct ioeventfd *wanted)
{
	if (!all)
		return NULL;
	for (struct ioeventfd **link = &all->first; *link; link = &(*link)->next) {
		const struct ioeventfd *one = *link;

		if (one->bar == wanted->bar && one->offset == wanted->offset && one->data == wanted->data &&
		    one->width == wanted->width)
			return link;
	}
	return NULL;
}

static int check_room(struct ioeventfds *all, const struct ioeventfd *wanted)
{
	if (find(all, wanted))
		return -EEXIST;
	return all && all->count >= MOST ? -ENOSPC : 0;
}

/* With device.lock held; takes the eventfd over if it returns 0. */
static int put_in(struct vfio_device *device, const struct ioeventfd *wanted, struct eventfd *eventfd)
{
	struct ioeventfds *all = device->ioeventfds;
	struct ioeventfd *one;
	int rc = check_room(all, wanted);

	if (rc)
		return rc;
	one = malloc(sizeof(*one));
	if (!one)
		return -ENOMEM;
	*one = *wanted;
	if (!all)
		rc = ioeventfds_new(device, &all);
	if (rc)
		goto out_free;
	pthread_mutex_lock(&all->lock);
	rc = source_get(all, eventfd, &one->source);
	if (!rc) {
		one->next = all->first;
		all->first = one;
		all->count++;
	}
	pthread_mutex_unlock(&all->lock);
	if (rc)
		goto out_end;
	device->ioeventfds = all;
	return 0;

out_end:
	if (!all->count)
		ioeventfds_free(all);
out_free:
	free(one);
	return rc;
}

static int remove_one(struct vfio_device *device, const struct ioeventfd *wanted)
{
	struct ioeventfd **link;

	pthread_mutex_lock(&device->lock);
	link = find(device->ioeventfds, wanted);
	if (link)
		take_out(device, link);
	pthread_mutex_unlock(&device->lock);
	return link ? 0 : -ENODEV;
}

/* The descriptor is looked up without the lock, but after what is wrong without it. */
static int add_one(struct vfio_device *device, struct client *client, const struct ioeventfd *wanted, int fd)
{
	struct eventfd *eventfd;
	int rc;

	pthread_mutex_lock(&device->lock);
	rc = check_room(device->ioeventfds, wanted);
	pthread_mutex_unlock(&device->lock);
	if (!rc)
		rc = eventfd_new(client, fd, &eventfd);
	if (rc)
		return rc;
	pthread_mutex_lock(&device->lock);
	rc = put_in(device, wanted, eventfd);
	pthread_mutex_unlock(&device->lock);
	if (rc)
		eventfd_free(eventfd);
	return rc;
}

/* Finds the register; -EINVAL: it is none that may be written so. */
static int find_register(const struct iommuse_model *model, const struct vfio_device_ioeventfd *cmd,
			 struct ioeventfd *wanted)
{
	const uint64_t index = cmd->offset >> REGION_SHIFT;

	wanted->offset = cmd->offset & REGION_MASK;
	wanted->data = cmd->data;
	wanted->width = cmd->flags;
	if (index >= IOMMUSE_BARS || wanted->offset + wanted->width > model->bar[index].size)
		return -EINVAL;
	wanted->bar = (unsigned)index;
	if (region_in_vectors(model, wanted->bar, wanted->offset, wanted->width))
		return -EINVAL;
	/* As in Linux, which lacks what it takes. */
	return wanted->width == 8 ? -EINVAL : 0;
}

int device_ioeventfd(struct device_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_device *device = file->device;
	struct vfio_device_ioeventfd cmd = {0};
	struct ioeventfd wanted = {0};
	const size_t min = offsetof(struct vfio_device_ioeventfd, reserved);
	int rc;

	if (client_copy_in(client, &cmd, arg, min))
		return -EFAULT;
	if (cmd.argsz < min || cmd.flags & ~(uint32_t)VFIO_DEVICE_IOEVENTFD_SIZE_MASK ||
	    __builtin_popcount(cmd.flags) != 1 || cmd.fd < -1)
		return -EINVAL;
	rc = find_register(device->model, &cmd, &wanted);
	if (rc)
		return rc;
	return cmd.fd < 0 ? remove_one(device, &wanted) : add_one(device, client, &wanted, cmd.fd);
}
