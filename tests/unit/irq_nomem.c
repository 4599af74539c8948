/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each allocation, thread and descriptor that VFIO_DEVICE_SET_IRQS wants fails in turn: it says so, and the interrupts
 * are as they were, or as after a vector that fails. Linked with --wrap.
 */
#include "irq_device.h"

#include <pthread.h>
#include <sys/resource.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context);

enum { NEVER = -1 };

static int until_failure = NEVER; /* what still succeeds, plus one */

static bool fails(void)
{
	return until_failure != NEVER && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attr, run, context);
}

static struct irq_device d;
static int fds[3];

/* A command, made without the helper's own allocation. */
static int set(uint32_t flags, uint32_t index, uint32_t count)
{
	static union {
		struct vfio_irq_set set;
		char room[sizeof(struct vfio_irq_set) + sizeof(fds)];
	} u;

	u.set = (struct vfio_irq_set){.argsz = sizeof(u), .flags = flags, .index = index, .count = count};
	memcpy(u.room + sizeof(struct vfio_irq_set), fds, sizeof(fds));
	return device_set_irqs(&d.file, &d.client.client, uaddr((uintptr_t)&u));
}

static int set_messages(void)
{
	return set(EVENTFD | TRIGGER, MSIX, 3);
}

/* Vectors without eventfds. */
static int set_nowhere(void)
{
	const int kept[3] = {fds[0], fds[1], fds[2]};
	int rc;

	fds[0] = fds[1] = fds[2] = -1;
	rc = set_messages();
	memcpy(fds, kept, sizeof(fds));
	return rc;
}

static int set_unmask(void)
{
	return set(EVENTFD | UNMASK, INTX, 1);
}

static int set_request(void)
{
	return set(EVENTFD | TRIGGER, REQ, 1);
}

static int next_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	close(fd);
	return fd;
}

/* Returns how often it failed until it did not. */
static int sweep(int (*call)(void), bool intx)
{
	int failures = 0;

	for (;; failures++) {
		int rc, first;

		if (intx)
			CHECK_EQ(set(EVENTFD | TRIGGER, INTX, 1), 0);
		first = next_fd();
		until_failure = failures + 1;
		rc = call();
		if (until_failure > 0) { /* nothing failed */
			until_failure = NEVER;
			CHECK_EQ(rc, 0);
			irq_device_disable(&d);
			return failures;
		}
		until_failure = NEVER;
		CHECK_EQ(rc, -ENOMEM);
		CHECK_EQ(next_fd(), first);
		CHECK_EQ(irq_model_vectors(&d), 0);
		CHECK(!d.device.irqs.unmask && !d.device.irqs.request);
		irq_device_disable(&d);
	}
}

static void without_memory(void)
{
	CHECK_EQ(sweep(set_nowhere, false), 4);  /* data, two arrays, what signals */
	CHECK_EQ(sweep(set_messages, false), 6); /* data, two arrays, three eventfds */
	CHECK_EQ(sweep(set_unmask, true), 6);    /* data, two arrays, the eventfd, what waits for it, its thread */
	CHECK_EQ(sweep(set_request, false), 4);
	for (int i = 1; i <= 2; i++) {
		struct irqs irqs;

		until_failure = i;
		CHECK_EQ(irqs_init(&irqs, &d.model), -ENOMEM);
		until_failure = NEVER;
	}
}

/* With room for ever fewer descriptors. */
static void without_descriptors(int (*call)(void), bool intx)
{
	struct rlimit limit, less;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (rlim_t room = 0;; room++) {
		const int first = next_fd();
		int rc;

		if (intx)
			CHECK_EQ(set(EVENTFD | TRIGGER, INTX, 1), 0);
		less = (struct rlimit){(rlim_t)next_fd() + room, limit.rlim_max};
		CHECK_EQ(setrlimit(RLIMIT_NOFILE, &less), 0);
		rc = call();
		CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
		irq_device_disable(&d);
		CHECK_EQ(next_fd(), first);
		if (!rc)
			return;
		CHECK_EQ(rc, -ENFILE);
	}
}

int main(void)
{
	irq_device_begin(&d);
	for (unsigned i = 0; i < 3; i++)
		fds[i] = irq_eventfd();
	without_memory();
	without_descriptors(set_messages, false);
	without_descriptors(set_unmask, true);
	without_descriptors(set_request, false);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
	irq_device_end(&d);
	return check_result();
}
