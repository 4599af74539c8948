/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads that do anything at once on the same descriptors of the library. What each answer may be is checked; that
 * nothing else goes wrong is for the sanitizers.
 */
#include "iommuse/iommuse.h"

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* Maps lie in slots, and whole slots are unmapped, so that no unmap bisects a map: it would not tell what it did
 * before. */
enum { THREADS = 4, STEPS = 20000, SLOT = 0x4000 };

static struct iommuse *sys;
static _Atomic int shared_fd;

struct worker {
	unsigned random;
	unsigned index;
	uint64_t mapped, unmapped; /* bytes */
};

static unsigned below(struct worker *w, unsigned n)
{
	w->random = w->random * 1103515245 + 12345;
	return (w->random >> 8) % n;
}

static int call(int fd, unsigned long cmd, void *arg)
{
	return iommuse_ioctl(sys, fd, cmd, (uintptr_t)arg);
}

static int one_of(int rc, const int *allowed, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rc == allowed[i])
			return 1;
	printf("answer %d\n", rc);
	return 0;
}
#define ONE_OF(rc, ...)                                                                                                \
	CHECK(one_of((rc), (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

static void map(struct worker *w, int fd, uint32_t ioas)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = 6 | below(w, 2),
				     .ioas_id = ioas,
				     .user_va = 0x10000,
				     .length = 0x1000 * (1 + below(w, 4)),
				     .iova = SLOT * (1 + below(w, 64))};
	int rc = call(fd, IOMMU_IOAS_MAP, &cmd);

	ONE_OF(rc, 0, -EEXIST, -ENOENT, -EBADF, -ENOTTY);
	if (!rc)
		w->mapped += cmd.length;
}

static void unmap(struct worker *w, int fd, uint32_t ioas, int all)
{
	struct iommu_ioas_unmap cmd = {.size = sizeof(cmd),
				       .ioas_id = ioas,
				       .iova = all ? 0 : SLOT * (1 + below(w, 64)),
				       .length = all ? UINT64_MAX : SLOT * (1 + below(w, 4))};
	int rc = call(fd, IOMMU_IOAS_UNMAP, &cmd);

	ONE_OF(rc, 0, -ENOENT, -EBADF);
	if (!rc)
		w->unmapped += cmd.length;
}

static void copy(struct worker *w, int fd, uint32_t from, uint32_t to)
{
	struct iommu_ioas_copy cmd = {.size = sizeof(cmd),
				      .flags = 7,
				      .src_ioas_id = from,
				      .dst_ioas_id = to,
				      .length = 0x1000,
				      .src_iova = SLOT * (1 + below(w, 64)),
				      .dst_iova = SLOT * (1 + below(w, 64))};
	int rc = call(fd, IOMMU_IOAS_COPY, &cmd);

	ONE_OF(rc, 0, -ENOENT, -EEXIST, -EBADF);
	if (!rc)
		w->mapped += cmd.length;
}

static void destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	ONE_OF(call(fd, IOMMU_DESTROY, &cmd), 0, -ENOENT, -EBUSY, -EBADF, -ENOTTY);
}

static uint32_t alloc(int fd)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	int rc = call(fd, IOMMU_IOAS_ALLOC, &cmd);

	ONE_OF(rc, 0, -EBADF, -ENOTTY);
	return rc ? 0 : cmd.out_ioas_id;
}

static void run(void *(*body)(void *), struct worker *worker)
{
	pthread_t thread[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		worker[i] = (struct worker){.random = i + 1, .index = i};
		CHECK_EQ(pthread_create(&thread[i], NULL, body, &worker[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void *map_and_unmap(void *context)
{
	struct worker *w = context;

	for (int i = 0; i < STEPS; i++) {
		uint32_t ioas = 1 + below(w, 2);

		switch (below(w, 8)) {
		case 0:
		case 1:
		case 2:
			map(w, shared_fd, ioas);
			break;
		case 3:
			copy(w, shared_fd, ioas, 3 - ioas);
			break;
		case 4:
			unmap(w, shared_fd, ioas, below(w, 64) == 0);
			break;
		default:
			unmap(w, shared_fd, ioas, 0);
		}
	}
	return NULL;
}

/* All that was mapped and not unmapped is there in the end. */
static void bytes_are_neither_lost_nor_made(void)
{
	struct worker worker[THREADS];
	struct worker last = {.random = 1};
	uint64_t balance = 0;

	shared_fd = iommuse_open(sys, "/dev/iommu", O_RDWR);
	CHECK_EQ(alloc(shared_fd), 1);
	CHECK_EQ(alloc(shared_fd), 2);
	run(map_and_unmap, worker);
	unmap(&last, shared_fd, 1, 1);
	unmap(&last, shared_fd, 2, 1);
	for (int i = 0; i < THREADS; i++)
		balance += worker[i].mapped - worker[i].unmapped;
	CHECK_EQ(balance, last.unmapped);
	CHECK_EQ(iommuse_close(sys, shared_fd), 0);
}

static void use_compat(struct worker *w, int fd, uint32_t id)
{
	struct iommu_vfio_ioas vfio = {.size = sizeof(vfio), .ioas_id = id, .op = (uint16_t)below(w, 3)};
	struct vfio_iommu_type1_dma_map map_dma = {
		.argsz = sizeof(map_dma), .flags = 3, .iova = 0x1000 * below(w, 256), .size = 0x1000};
	struct vfio_iommu_type1_dma_unmap unmap_dma = {
		.argsz = sizeof(unmap_dma), .iova = 0x1000 * below(w, 256), .size = 0x4000};

	ONE_OF(call(fd, IOMMU_VFIO_IOAS, &vfio), 0, -ENOENT, -ENODEV, -EBADF);
	ONE_OF(call(fd, VFIO_IOMMU_MAP_DMA, &map_dma), 0, -EEXIST, -ENODEV, -EBADF);
	ONE_OF(call(fd, VFIO_IOMMU_UNMAP_DMA, &unmap_dma), 0, -ENOENT, -ENODEV, -EBADF);
	ONE_OF(iommuse_ioctl(sys, fd, VFIO_SET_IOMMU, 1 + 2 * below(w, 2)), 0, -EADDRINUSE, -ENODEV, -EBADF);
}

static void use_queue(int fd)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	char buf[80];
	int rc = call(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);
	int queue = (int)cmd.out_fault_fd;

	ONE_OF(rc, 0, -EBADF, -ENOTTY);
	if (rc)
		return;
	CHECK_EQ(iommuse_read(sys, queue, buf, sizeof(buf)), 0);
	CHECK_EQ(iommuse_poll(sys, queue, POLLIN | POLLOUT), POLLOUT);
	CHECK_EQ(iommuse_close(sys, queue), 0);
	destroy(fd, cmd.out_fault_id);
}

static void use_options(struct worker *w, int fd, uint32_t id)
{
	struct iommu_option option = {.size = sizeof(option),
				      .option_id = IOMMU_OPTION_HUGE_PAGES,
				      .op = (uint16_t)below(w, 2),
				      .object_id = id,
				      .val64 = below(w, 2)};
	struct iommu_iova_range range[2] = {{0x100000, 0x1fffff}, {0x300000, 0x3fffff}};
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow), .ioas_id = id, .num_iovas = below(w, 3), .allowed_iovas = (uintptr_t)range};
	struct iommu_ioas_change_process change = {.size = sizeof(change)};

	ONE_OF(call(fd, IOMMU_OPTION, &option), 0, -ENOENT, -EADDRINUSE, -EBADF);
	ONE_OF(call(fd, IOMMU_IOAS_ALLOW_IOVAS, &allow), 0, -ENOENT, -EBADF);
	ONE_OF(call(fd, IOMMU_IOAS_CHANGE_PROCESS, &change), 0, -EINVAL, -EBADF);
}

static void *do_anything(void *context)
{
	struct worker *w = context;

	for (int i = 0; i < STEPS / 4; i++) {
		int fd = shared_fd;
		uint32_t id = 1 + below(w, 6);

		switch (below(w, 9)) {
		case 0:
			alloc(fd);
			break;
		case 1:
			destroy(fd, id);
			break;
		case 2:
		case 3:
			map(w, fd, id);
			break;
		case 4:
			unmap(w, fd, id, below(w, 2) == 0);
			break;
		case 5:
			use_compat(w, fd, id);
			break;
		case 6:
			use_queue(fd);
			break;
		case 7:
			use_options(w, fd, id);
			break;
		default:
			copy(w, fd, id, 1 + below(w, 6));
		}
	}
	return NULL;
}

static void anything_at_once(void)
{
	struct worker worker[THREADS];

	shared_fd = iommuse_open(sys, "/dev/vfio/vfio", O_RDWR);
	run(do_anything, worker);
	CHECK_EQ(iommuse_close(sys, shared_fd), 0);
}

/* One opens and closes what the others use: the number that they have may be closed by now, or be that of a queue. */
static void *close_under_the_others(void *context)
{
	struct worker *w = context;

	for (int i = 0; i < STEPS / 8; i++) {
		if (w->index == 0) {
			int fd = iommuse_open(sys, "/dev/iommu", O_RDWR);

			CHECK(fd >= 0);
			CHECK_EQ(iommuse_close(sys, atomic_exchange(&shared_fd, fd)), 0);
		} else {
			int fd = shared_fd;
			uint32_t id = alloc(fd);

			if (id)
				map(w, fd, id);
			use_queue(fd);
		}
	}
	return NULL;
}

static void a_close_comes_between_calls(void)
{
	struct worker worker[THREADS];
	int fd;

	shared_fd = iommuse_open(sys, "/dev/iommu", O_RDWR);
	run(close_under_the_others, worker);
	CHECK_EQ(iommuse_close(sys, shared_fd), 0);
	CHECK_EQ(iommuse_close(sys, shared_fd), -EBADF);
	CHECK(!iommuse_owns(sys, shared_fd));
	fd = dup(0); /* the numbers are all back */
	CHECK(fd >= 0 && fd < 16);
	close(fd);
}

int main(void)
{
	struct iommuse_options options = {.struct_size = sizeof(options), .client = IOMMUSE_CLIENT_TRUSTED};

	CHECK_EQ(iommuse_new(&options, &sys), 0);
	bytes_are_neither_lost_nor_made();
	anything_at_once();
	a_close_comes_between_calls();
	iommuse_free(sys);
	return check_result();
}
