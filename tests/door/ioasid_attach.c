/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PASIDs of /dev/ioasid that are attached to page tables of an iommufd: whose may be attached, and when their numbers
 * are free again. Device 0 is dmax.
 */
#include "accel.h"
#include "ioasid.h"
#include "peer.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

enum { IOMMU_HWPT_ALLOC = 0x89, WITH_PASIDS = 8, ATTACH_PASID = 1 };

#define RING_IOVA 0x10000000ull
#define DATA_IOVA 0x20000000ull

struct hwpt_alloc {
	uint32_t size, flags, dev_id, pt_id, out_hwpt_id, reserved, data_type, data_len;
	uint64_t data_uptr;
	uint32_t fault_id, reserved2;
};
struct attach_pasid {
	uint32_t argsz, flags, pt_id, pasid;
};
struct detach_pasid {
	uint32_t argsz, flags, pasid;
};

/* A device that is bound to an iommufd, of which nothing is attached but PASIDs. */
struct bench {
	struct accel a;
	uint32_t ioas[2], hwpt[2];
	struct queue_memory *memory[2]; /* at RING_IOVA of either */
	uint8_t *data[2];               /* two pages at DATA_IOVA of either */
};

static struct bench bench;

static long detach_device(int device)
{
	struct detach_pasid c = {sizeof(c), 0, 0};

	return door_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &c);
}

static long attach(uint64_t pasid, unsigned space)
{
	struct attach_pasid c = {sizeof(c), ATTACH_PASID, bench.hwpt[space], (uint32_t)pasid};

	return door_ioctl(bench.a.rig.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &c);
}

static long detach(uint64_t pasid)
{
	struct detach_pasid c = {sizeof(c), ATTACH_PASID, (uint32_t)pasid};

	return door_ioctl(bench.a.rig.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &c);
}

static bool make_space(struct test *t, unsigned i)
{
	struct hwpt_alloc c = {.size = sizeof(c), .flags = WITH_PASIDS, .dev_id = bench.a.rig.device_id};
	int fd = bench.a.rig.container;
	long ioas = ioas_alloc(fd);

	bench.ioas[i] = (uint32_t)ioas;
	bench.memory[i] = queue_memory_new(true);
	bench.data[i] = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	c.pt_id = bench.ioas[i];
	if (!CHECK(t, ioas > 0) || !SAME(t, door_ioctl(fd, IOMMU_HWPT_ALLOC, &c), 0))
		return false;
	bench.hwpt[i] = c.out_hwpt_id;
	return SAME(t,
		    ioas_map(fd, bench.ioas[i], bench.memory[i], (sizeof(struct queue_memory) + PAGE - 1) / PAGE * PAGE,
			     RING_IOVA),
		    0) &&
	       SAME(t, ioas_map(fd, bench.ioas[i], bench.data[i], 2 * PAGE, DATA_IOVA), 0);
}

static bool open_bench(struct test *t)
{
	struct accel *a = &bench.a;

	*a = (struct accel){.rig = {.way = CDEV, .container = -1, .group = -1, .device = -1}};
	if (!SAME(t, rig_open_container(&a->rig), 0) || !SAME(t, accel_open_device(a), 0) ||
	    !SAME(t, detach_device(a->rig.device), 0))
		return false;
	return make_space(t, 0) && make_space(t, 1);
}

static void close_bench(void)
{
	accel_close(&bench.a);
}

/* A copy in the address space of that PASID: its status, or -errno. */
static long work(uint32_t pasid, unsigned space)
{
	struct queue q;
	long rc = queue_start(&q, &bench.a, 0, pasid, bench.memory[space], RING_IOVA);

	if (rc)
		return rc;
	memset(bench.data[space], 0x42 + (int)space, PAGE);
	memset(bench.data[space] + PAGE, 0, PAGE);
	rc = queue_do(&q, DMAX_COPY, 0, DATA_IOVA + PAGE, DATA_IOVA, PAGE, 0, NULL);
	queue_stop(&q);
	if (rc == DMAX_SUCCESS && memcmp(bench.data[space], bench.data[space] + PAGE, PAGE) != 0)
		return -EBADMSG;
	return rc;
}

/* Other processes: a file of their own, and the device that they share. */
enum { OPEN, CLOSE, ALLOC, FREE, ATTACH, DETACH, EXIT };

static int file = -1;

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	(void)socket;
	switch (op) {
	case OPEN:
		file = ioasid_open();
		return file < 0 ? file : 0;
	case CLOSE:
		return ERR(close(file));
	case ALLOC:
		return ioasid_any(file);
	case FREE:
		return ioasid_free(file, (long)a);
	case ATTACH:
		return attach(a, (unsigned)b);
	case DETACH:
		return detach(a);
	case EXIT:
		_exit(0);
	}
	return -ENOSYS;
}

static void own(struct test *t)
{
	int fd;
	long one;
	long two;

	if (!open_bench(t))
		return;
	fd = ioasid_open();
	one = ioasid_any(fd);
	two = ioasid_any(fd);
	SAME(t, attach((uint64_t)one, 0), 0);
	SAME(t, attach((uint64_t)two, 1), 0);
	for (int i = 0; i < 5; i++) {
		SAME(t, work((uint32_t)one, 0), DMAX_SUCCESS);
		SAME(t, work((uint32_t)two, 1), DMAX_SUCCESS);
	}
	/* To the other space, and back. */
	SAME(t, attach((uint64_t)one, 1), 0);
	SAME(t, work((uint32_t)one, 1), DMAX_SUCCESS);
	SAME(t, attach((uint64_t)one, 0), 0);
	SAME(t, detach((uint64_t)two), 0);
	SAME(t, work((uint32_t)two, 1), -EIO);
	SAME(t, work((uint32_t)one, 0), DMAX_SUCCESS);
	SAME(t, detach((uint64_t)one), 0);
	SAME(t, work((uint32_t)one, 0), -EIO);
	SAME(t, ioasid_free(fd, one), 0);
	SAME(t, ioasid_free(fd, two), 0);
	close_bench();
}

static void of_another(struct test *t)
{
	struct peer peer;
	int fd;
	long theirs;

	if (!open_bench(t))
		return;
	peer = peer_start(serve);
	SAME(t, peer_ask(&peer, OPEN, 0, 0), 0);
	theirs = peer_ask(&peer, ALLOC, 0, 0);
	/* Whether one has a file of one's own or none. */
	SAME(t, attach((uint64_t)theirs, 0), -EACCES);
	fd = ioasid_open();
	SAME(t, attach((uint64_t)theirs, 0), -EACCES);
	SAME(t, work((uint32_t)theirs, 0), -EIO);
	/* It is the caller that counts, not who opened the device. */
	SAME(t, peer_ask(&peer, ATTACH, (uint64_t)theirs, 0), 0);
	SAME(t, work((uint32_t)theirs, 0), DMAX_SUCCESS);
	SAME(t, attach((uint64_t)theirs, 1), -EACCES);
	SAME(t, work((uint32_t)theirs, 0), DMAX_SUCCESS);
	SAME(t, peer_ask(&peer, DETACH, (uint64_t)theirs, 0), 0);
	/* Freed, it is nobody's. */
	SAME(t, peer_ask(&peer, FREE, (uint64_t)theirs, 0), 0);
	SAME(t, attach((uint64_t)theirs, 0), 0);
	SAME(t, work((uint32_t)theirs, 0), DMAX_SUCCESS);
	SAME(t, detach((uint64_t)theirs), 0);
	SAME(t, peer_end(&peer), 0);
	close(fd);
	close_bench();
}

/* As Linux has it, where nobody allocates any. */
static void of_nobody(struct test *t)
{
	static const uint32_t pasids[] = {1, 2, 77, 0xfffff};

	if (!open_bench(t))
		return;
	for (int with_file = 0; with_file < 2; with_file++) {
		int fd = with_file ? ioasid_open() : -1;

		for (size_t i = 0; i < sizeof(pasids) / sizeof(pasids[0]); i++) {
			SAME(t, attach(pasids[i], 0), 0);
			SAME(t, work(pasids[i], 0), DMAX_SUCCESS);
		}
		for (size_t i = 0; i < sizeof(pasids) / sizeof(pasids[0]); i++) {
			SAME(t, detach(pasids[i]), 0);
			SAME(t, work(pasids[i], 0), -EIO);
		}
		close(fd);
	}
	SAME(t, attach(0x100000, 0), -EINVAL); /* the device has 20 bits */
	SAME(t, attach(1ull << 31, 0), -ENOSPC);
	SAME(t, attach(0xffffffff, 0), -ENOSPC);
	close_bench();
}

/* FREE of one that a device uses: 0, as often as one likes; but the number is nobody's before the detach. */
static void freed_while_attached(struct test *t)
{
	int fd;
	uint64_t pasid;

	if (!open_bench(t))
		return;
	fd = ioasid_open();
	pasid = (uint64_t)ioasid_any(fd);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		SAME(t, attach(pasid, 0), 0);
		SAME(t, ioasid_free(fd, (long)pasid), 0);
		SAME(t, ioasid_free(fd, (long)pasid), 0);
		SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
		CHECK(t, ioasid_any(fd) != (long)pasid);
		SAME(t, ioasid_free(fd, (long)pasid + 1), 0);
		SAME(t, work((uint32_t)pasid, 0), DMAX_SUCCESS);
		SAME(t, detach(pasid), 0);
		SAME(t, ioasid_free(fd, (long)pasid), -ENOENT);
		SAME(t, ioasid_any(fd), (long)pasid);
	}
	close_bench();
}

/* A close frees what is detached, and what is not when it is. */
static void closed_while_attached(struct test *t)
{
	struct peer peer;
	int fd;
	uint64_t pasid;

	if (!open_bench(t))
		return;
	peer = peer_start(serve);
	SAME(t, peer_ask(&peer, OPEN, 0, 0), 0);
	fd = ioasid_open();
	pasid = (uint64_t)ioasid_any(fd);
	SAME(t, attach(pasid, 0), 0);
	close(fd);
	/* Neither another process nor the same with a new file gets it. */
	CHECK(t, peer_ask(&peer, ALLOC, 0, 0) != (long)pasid);
	fd = ioasid_open();
	CHECK(t, fd >= 0);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
	SAME(t, work((uint32_t)pasid, 0), DMAX_SUCCESS);
	SAME(t, detach(pasid), 0);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), (long)pasid);
	/* The end of the device's file is a detach. */
	SAME(t, attach(pasid, 0), 0);
	SAME(t, ioasid_free(fd, (long)pasid), 0);
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
	SAME(t, peer_end(&peer), 0);
	close_bench();
	SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), (long)pasid);
}

/* Their owner exits or is killed while a device that others have uses them. */
static void exits_while_attached(struct test *t)
{
	int fd;

	if (!open_bench(t))
		return;
	fd = ioasid_open();
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct peer peer = peer_start(serve);
		uint64_t pasid;

		SAME(t, peer_ask(&peer, OPEN, 0, 0), 0);
		pasid = (uint64_t)peer_ask(&peer, ALLOC, 0, 0);
		SAME(t, peer_ask(&peer, ATTACH, pasid, 0), 0);
		SAME(t, ioasid_free(fd, (long)pasid), -EACCES);
		SAME(t, i % 2 ? peer_kill(&peer) : peer_end(&peer), i % 2 ? -SIGKILL : 0);
		SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), -ENOSPC);
		SAME(t, work((uint32_t)pasid, 0), DMAX_SUCCESS);
		SAME(t, detach(pasid), 0);
		SAME(t, ioasid_alloc(fd, (uint32_t)pasid, (uint32_t)pasid), (long)pasid);
		SAME(t, ioasid_free(fd, (long)pasid), 0);
	}
	close_bench();
}

/* Everything goes at once with one process, whatever it was at. */
static void all_at_once(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		pid_t pid = fork();
		int fd;

		if (pid == 0) {
			if (!open_bench(t))
				_exit(1);
			fd = ioasid_open();
			for (uint64_t k = 1; k < 5; k++)
				if (ioasid_any(fd) != (long)k || attach(k, k % 2))
					_exit(2);
			ioasid_free(fd, 2);
			if (i % 3 == 1)
				close(fd);
			raise(i % 2 ? SIGKILL : SIGTERM);
		}
		SAME(t, wait_for(pid), i % 2 ? -SIGKILL : -SIGTERM);
		fd = ioasid_open();
		for (int k = 1; k < 6; k++)
			SAME(t, ioasid_any(fd), k);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"own", own},
		{"of_another", of_another},
		{"of_nobody", of_nobody},
		{"freed_while_attached", freed_while_attached},
		{"closed_while_attached", closed_while_attached},
		{"exits_while_attached", exits_while_attached},
		{"all_at_once", all_at_once},
	};

	return TEST_MAIN(argc, argv, cases);
}
