/* SPDX-License-Identifier: BSD-3-Clause */
/* The events of the test device: when their queues are ready, and what is read of them. */
#include "mock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/uio.h>

/* A device on a page table with a fault queue. */
static bool begin_with_faults(struct test *t, struct device *d, int *queue)
{
	uint32_t fault;
	long hwpt;

	if (!begin_with_device(t, d))
		return false;
	*queue = (int)fault_queue_alloc(d->fd, &fault);
	hwpt = hwpt_alloc(d, d->ioas, FAULT_ID_VALID, fault);
	return CHECK(t, *queue >= 0) && CHECK(t, hwpt > 0) && SAME(t, attach(d, (uint32_t)hwpt), 0);
}

static void faults_are_ready(struct test *t)
{
	char records[4 * FAULT_RECORD];
	struct device d;
	int queue;

	if (!begin_with_faults(t, &d, &queue))
		return;
	for (unsigned long i = 0; i < t->rounds; i++) {
		if (!SAME(t, ready(t, queue), POLLOUT) || !SAME(t, page_fault(&d, 0), 0) ||
		    !SAME(t, ready(t, queue), POLLIN | POLLOUT) || !SAME(t, page_fault(&d, 1), 0) ||
		    !SAME(t, ERR(read(queue, records, FAULT_RECORD)), FAULT_RECORD) ||
		    !SAME(t, ready(t, queue), POLLIN | POLLOUT) ||
		    !SAME(t, ERR(read(queue, records, sizeof(records))), FAULT_RECORD) ||
		    !SAME(t, ready(t, queue), POLLOUT) || !SAME(t, ERR(read(queue, records, sizeof(records))), 0))
			return;
	}
}

/* More faults than a pipe has room for, were each to have its place there. */
static void many_faults(struct test *t)
{
	enum { COUNT = 6000 };
	static char records[COUNT * FAULT_RECORD];
	struct device d;
	int queue;

	if (!begin_with_faults(t, &d, &queue))
		return;
	for (unsigned i = 0; i < COUNT; i++)
		if (!SAME(t, page_fault(&d, i), 0))
			break;
	SAME(t, ready(t, queue), POLLIN | POLLOUT);
	SAME(t, ERR(read(queue, records, (COUNT - 1) * (size_t)FAULT_RECORD)), (COUNT - 1) * FAULT_RECORD);
	SAME(t, ready(t, queue), POLLIN | POLLOUT);
	SAME(t, ERR(read(queue, records, FAULT_RECORD)), FAULT_RECORD);
	SAME(t, ready(t, queue), POLLOUT);
}

static void faults_wake(struct test *t)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	char record[FAULT_RECORD];
	struct device d;
	int queue, ep, status;
	pid_t pid;

	if (!begin_with_faults(t, &d, &queue))
		return;
	ep = epoll_create1(EPOLL_CLOEXEC);
	SAME(t, ERR(epoll_ctl(ep, EPOLL_CTL_ADD, queue, &event)), 0);
	pid = fork();
	if (pid == 0) {
		struct pollfd p = {queue, POLLIN, 0};

		_exit(poll(&p, 1, -1) == 1 && p.revents == POLLIN ? 0 : 1);
	}
	SAME(t, page_fault(&d, 0), 0);
	SAME(t, ERR(epoll_wait(ep, &event, 1, -1)), 1);
	SAME(t, event.events, EPOLLIN);
	SAME(t, ERR(epoll_wait(ep, &event, 1, 0)), 0);
	SAME(t, page_fault(&d, 1), 0); /* an edge of its own */
	SAME(t, ERR(epoll_wait(ep, &event, 1, 0)), 1);
	status = wait_for(pid);
	SAME(t, status, 0);
	while (read(queue, record, sizeof(record)) > 0)
		;
	SAME(t, page_fault(&d, 2), 0);
	SAME(t, ERR(epoll_wait(ep, &event, 1, 0)), 1);
}

static void faults_by_a_duplicate(struct test *t)
{
	char record[FAULT_RECORD];
	struct device d;
	int queue, copy;
	pid_t pid;

	if (!begin_with_faults(t, &d, &queue))
		return;
	copy = dup(queue);
	SAME(t, ready(t, copy), POLLOUT);
	SAME(t, page_fault(&d, 0), 0);
	SAME(t, ready(t, copy), POLLIN | POLLOUT);
	pid = fork();
	if (pid == 0) {
		SAME(t, ERR(read(queue, record, sizeof(record))), sizeof(record));
		SAME(t, ready(t, copy), POLLOUT);
		_exit(t->failed);
	}
	SAME(t, wait_for(pid), 0);
	SAME(t, ready(t, copy), POLLOUT);
	close(queue);
	SAME(t, page_fault(&d, 1), 0);
	SAME(t, ready(t, copy), POLLIN | POLLOUT);
	close(copy);
	SAME(t, page_fault(&d, 2), 0);
}

static void faults_in_parts(struct test *t)
{
	char records[2 * FAULT_RECORD];
	struct iovec iov[2] = {{records, FAULT_RECORD}, {records + FAULT_RECORD, FAULT_RECORD}};
	struct device d;
	int queue;

	if (!begin_with_faults(t, &d, &queue))
		return;
	SAME(t, page_fault(&d, 0), 0);
	SAME(t, page_fault(&d, 1), 0);
	SAME(t, ERR(read(queue, records, 0)), -EINVAL);
	SAME(t, ERR(read(queue, records, FAULT_RECORD + 1)), -ESPIPE);
	SAME(t, ERR(read(queue, wild_pointer(), FAULT_RECORD)), -EFAULT);
	SAME(t, ready(t, queue), POLLIN | POLLOUT);
	iov[1].iov_base = wild_pointer();
	SAME(t, ERR(readv(queue, iov, 2)), FAULT_RECORD);
	SAME(t, ready(t, queue), POLLIN | POLLOUT);
	iov[0].iov_len = iov[1].iov_len = 0;
	SAME(t, ERR(readv(queue, iov, 2)), 0);
	SAME(t, ERR(readv(queue, wild_pointer(), 2)), -EFAULT);
	SAME(t, ready(t, queue), POLLIN | POLLOUT);
	SAME(t, ERR(read(queue, records, sizeof(records))), FAULT_RECORD);
	SAME(t, ready(t, queue), POLLOUT);
}

struct reader {
	int queue;
	_Atomic bool end;
	_Atomic unsigned long got;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->end)) {
		struct pollfd p = {r->queue, POLLIN, 0};
		char record[FAULT_RECORD];

		if (poll(&p, 1, 10) == 1 && read(r->queue, record, sizeof(record)) == sizeof(record))
			atomic_fetch_add(&r->got, 1);
	}
	return NULL;
}

/* Whoever waits in poll gets all. */
static void faults_from_threads(struct test *t)
{
	struct reader r = {0};
	pthread_t readers[2];
	struct device d;

	if (!begin_with_faults(t, &d, &r.queue))
		return;
	for (int i = 0; i < 2; i++)
		SAME(t, pthread_create(&readers[i], NULL, read_on, &r), 0);
	for (unsigned long i = 0; i < t->rounds; i++)
		SAME(t, page_fault(&d, (uint32_t)i), 0);
	while (atomic_load(&r.got) < t->rounds)
		usleep(1000);
	atomic_store(&r.end, true);
	for (int i = 0; i < 2; i++)
		pthread_join(readers[i], NULL);
	SAME(t, ready(t, r.queue), POLLOUT);
}

/* A queue of a virtual IOMMU whose device makes events; -errno. */
static long event_queue_new(struct test *t, const struct device *d, uint32_t viommu)
{
	struct iommu_vdevice_alloc device = {
		.size = sizeof(device), .viommu_id = viommu, .dev_id = d->idev, .virt_id = VIRT_ID};
	struct iommu_veventq_alloc queue = {
		.size = sizeof(queue), .viommu_id = viommu, .type = TYPE_VEVENTQ, .depth = 2};
	long nested = hwpt_alloc(d, viommu, 0, 0);
	long rc;

	CHECK(t, nested > 0);
	SAME(t, door_ioctl(d->fd, IOMMU_VDEVICE_ALLOC, &device), 0);
	SAME(t, attach(d, (uint32_t)nested), 0);
	rc = door_ioctl(d->fd, IOMMU_VEVENTQ_ALLOC, &queue);
	return rc ? rc : (long)queue.out_veventq_fd;
}

static void virtual_events_are_ready(struct test *t)
{
	char records[4 * EVENT_RECORD];
	struct device d;
	long viommu = begin_with_viommu(t, &d, NULL);
	long queue;

	if (viommu < 0)
		return;
	queue = event_queue_new(t, &d, (uint32_t)viommu);
	if (!CHECK(t, queue >= 0))
		return;
	for (unsigned long i = 0; i < t->rounds; i++) {
		if (!SAME(t, ready(t, (int)queue), 0) || !SAME(t, ERR(read((int)queue, records, sizeof(records))), 0) ||
		    !SAME(t, ERR(read((int)queue, records, 4)), -EINVAL) ||
		    !SAME(t, ERR(write((int)queue, records, 8)), -EINVAL) || !SAME(t, virtual_event(&d), 0) ||
		    !SAME(t, ready(t, (int)queue), POLLIN) || !SAME(t, virtual_event(&d), 0) ||
		    !SAME(t, virtual_event(&d), 0) ||
		    !SAME(t, ERR(read((int)queue, records, EVENT_RECORD)), EVENT_RECORD) ||
		    !SAME(t, ready(t, (int)queue), POLLIN) ||
		    !SAME(t, ERR(read((int)queue, records, sizeof(records))), EVENT_RECORD + 8) ||
		    !SAME(t, ready(t, (int)queue), 0))
			return;
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"faults_are_ready", faults_are_ready},
		{"many_faults", many_faults},
		{"faults_wake", faults_wake},
		{"faults_by_a_duplicate", faults_by_a_duplicate},
		{"faults_in_parts", faults_in_parts},
		{"faults_from_threads", faults_from_threads},
		{"virtual_events_are_ready", virtual_events_are_ready},
	};

	return TEST_MAIN(argc, argv, cases);
}
