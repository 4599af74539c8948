/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that waits for a page of a process's address space which the process itself has to bring, and does not:
 * nobody else is held up, and the end of the process is the end of it. Devices 0 and 1 are dmax.
 */
#include "accel.h"
#include "ioasid.h"
#include "peer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

enum { STALL, ANSWER, EXIT };

static struct accel device;
static int uffd = -1;
static uint8_t *missing;

/* 0, or -errno where the faults of others in this memory cannot be had. */
static long watch_page(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};

	missing = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = address(missing);
	reg.range.len = PAGE;
	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	static struct queue q;
	static unsigned record;
	struct uffdio_zeropage zero = {.range = {address(missing), PAGE}};
	struct pollfd p;
	long rc;

	(void)socket;
	(void)b;
	switch (op) {
	case STALL:
		rc = watch_page();
		if (rc == 0)
			rc = queue_start(&q, &device, 1, (uint32_t)a, queue_memory_new(false), 0);
		if (rc)
			return rc;
		record = queue_give(&q, DMAX_FILL, 0, address(missing) + 8, 0, 100, 0x3131313131313131);
		p = (struct pollfd){.fd = uffd, .events = POLLIN};
		return poll(&p, 1, 20000) == 1 ? 0 : -ETIMEDOUT;
	case ANSWER:
		if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero))
			return -errno;
		rc = queue_wait(&q, record);
		return rc == DMAX_SUCCESS && (missing[7] || missing[8] != 0x31 || missing[107] != 0x31 || missing[108])
			       ? -EBADMSG
			       : rc;
	case EXIT:
		_exit(0);
	}
	return -ENOSYS;
}

/* What others do meanwhile, with another device and with none. */
static void others_are_served(struct test *t)
{
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t start = monotonic_ns();
	int fd = open_iommu();
	struct accel other;
	struct queue q;
	long pasid;

	FRESH(t, fd);
	close(fd);
	fd = ioasid_open();
	CHECK(t, ioasid_any(fd) > 0);
	close(fd);
	if (!SAME(t, accel_open(&other, TYPE1V2, 1), 0))
		return;
	pasid = bind_process(other.rig.container, 0);
	CHECK(t, pasid > 0);
	SAME(t, queue_start(&q, &other, 0, (uint32_t)pasid, queue_memory_new(false), 0), 0);
	for (int i = 0; i < 10; i++)
		SAME(t, queue_copy(&q, p, p + PAGE, PAGE), DMAX_SUCCESS);
	SAME(t, unbind_process(other.rig.container, 0), 0);
	accel_close(&other);
	/* Waiting is for seconds, if there is any. */
	CHECK(t, monotonic_ns() - start < 10000000000ull);
	munmap(p, 2 * PAGE);
}

static bool begin(struct test *t, struct peer *peer, long *pasid)
{
	long rc;

	if (!SAME(t, accel_open(&device, TYPE1V2, 0), 0))
		return false;
	*peer = peer_start(serve);
	*pasid = bind_process(device.rig.container, peer->pid);
	CHECK(t, *pasid > 0);
	rc = peer_ask(peer, STALL, (uint64_t)*pasid, 0);
	if (rc == -EPERM || rc == -ENOSYS || rc == -EINVAL) {
		test_skip(t, "userfaultfd for faults of the kernel: %s", strerrorname_np((int)-rc));
		peer_end(peer);
		return false;
	}
	return SAME(t, rc, 0);
}

/* The device is right again, for others. */
static void finish(struct test *t)
{
	struct queue q;
	long pasid = bind_process(device.rig.container, 0);
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	SAME(t, queue_start(&q, &device, 0, (uint32_t)pasid, queue_memory_new(false), 0), 0);
	SAME(t, queue_copy(&q, p, p + PAGE, PAGE), DMAX_SUCCESS);
	accel_close(&device);
	munmap(p, 2 * PAGE);
}

static void answered(struct test *t)
{
	struct peer peer;
	long pasid;

	if (!begin(t, &peer, &pasid))
		return;
	others_are_served(t);
	SAME(t, peer_ask(&peer, ANSWER, 0, 0), DMAX_SUCCESS);
	SAME(t, peer_end(&peer), 0);
	finish(t);
}

static void killed(struct test *t)
{
	struct peer peer;
	long pasid;

	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		if (!begin(t, &peer, &pasid))
			return;
		if (i == 0)
			others_are_served(t);
		if (i % 2)
			peer_tell(&peer, EXIT, 0, 0);
		SAME(t, i % 2 ? peer_end(&peer) : peer_kill(&peer), i % 2 ? 0 : -SIGKILL);
		finish(t);
	}
}

static void *unbind_it(void *arg)
{
	pid_t pid = *(pid_t *)arg;

	return (void *)(intptr_t)unbind_process(device.rig.container, pid);
}

/* UNBIND has to wait for the device; nobody has to wait for the UNBIND. */
static void unbound(struct test *t)
{
	struct peer peer;
	pthread_t thread;
	void *result;
	long pasid;

	for (int kill_it = 0; kill_it < 2; kill_it++) {
		if (!begin(t, &peer, &pasid))
			return;
		SAME(t, pthread_create(&thread, NULL, unbind_it, &peer.pid), 0);
		others_are_served(t);
		if (kill_it)
			SAME(t, peer_kill(&peer), -SIGKILL);
		else
			peer_ask(&peer, ANSWER, 0, 0); /* success, or nothing any more */
		pthread_join(thread, &result);
		CHECK(t, (intptr_t)result == 0 || (kill_it && (intptr_t)result == -ESRCH));
		if (!kill_it)
			SAME(t, peer_end(&peer), 0);
		finish(t);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"answered", answered},
		{"killed", killed},
		{"unbound", unbound},
	};

	return TEST_MAIN(argc, argv, cases);
}
