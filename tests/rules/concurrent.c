/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One file, several threads: one maps and unmaps at fixed IOVAs, one at automatic ones in the same range, one reads
 * (IOVA_RANGES, COPY to another IOAS, DESTROY of what is busy), one makes and ends an IOAS that the second maps into,
 * one opens and closes other files. Each answer has to be one that some order of the calls explains, and the bytes that
 * are mapped at the end the sum of what the threads left.
 *
 *	concurrent [--trusted] [--steps N] [--seed N]
 */
#define _GNU_SOURCE
#include "transport.h"

#include "abi/iommufd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE   UINT64_C(4096)
#define BASE   (UINT64_C(16) << 20) /* of the range that the mappers share */
#define STABLE (UINT64_C(1) << 40)  /* of the area that stays */
#define RW     (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

enum {
	SLOTS = 64,
	WINDOW = 256, /* pages of the shared range */
	STABLE_PAGES = 4,
};

struct shared {
	struct transport *transport;
	int fd;
	uint32_t ioas, copies, fault;
	_Atomic uint32_t victim; /* an IOAS that comes and goes; 0: none now */
	unsigned steps;
	uint64_t seed;
	_Atomic unsigned failures;
};

struct worker {
	struct shared *shared;
	uint64_t rng;
	struct {
		uint64_t iova, length;
	} slot[SLOTS];
	uint64_t done; /* calls that succeeded */
};

static uint64_t next(struct worker *w)
{
	uint64_t z = (w->rng += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(struct worker *w, uint64_t n)
{
	return next(w) % n;
}

static int call(struct worker *w, unsigned long cmd, void *arg)
{
	int rc = transport_ioctl(w->shared->transport, w->shared->fd, cmd, (uintptr_t)arg);

	w->done += rc == 0;
	return rc;
}

static void check(struct worker *w, const char *what, int64_t got, bool allowed)
{
	if (allowed)
		return;
	if (atomic_fetch_add(&w->shared->failures, 1) < 20)
		printf("# %s: got %" PRId64 "\n", what, got);
}

static int unmap(struct worker *w, uint32_t ioas, uint64_t iova, uint64_t *length)
{
	struct iommu_ioas_unmap c = {.size = sizeof(c), .ioas_id = ioas, .iova = iova, .length = *length};
	int rc = call(w, IOMMU_IOAS_UNMAP, &c);

	*length = c.length;
	return rc;
}

static int copy(struct worker *w, uint32_t dst, uint64_t dst_iova, uint64_t src_iova, uint64_t length)
{
	struct iommu_ioas_copy c = {.size = sizeof(c),
				    .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				    .dst_ioas_id = dst,
				    .src_ioas_id = w->shared->ioas,
				    .length = length,
				    .dst_iova = dst_iova,
				    .src_iova = src_iova};

	return call(w, IOMMU_IOAS_COPY, &c);
}

/* Ends the area of a slot: it is there as it was mapped. */
static void drop(struct worker *w, unsigned at)
{
	uint64_t length = w->slot[at].length;
	int rc = unmap(w, w->shared->ioas, w->slot[at].iova, &length);

	check(w, "unmap of an own area", rc, rc == 0);
	check(w, "length of an own area", (int64_t)length, length == w->slot[at].length);
	w->slot[at].length = 0;
}

static void *map_fixed(void *argument)
{
	struct worker *w = argument;

	for (unsigned i = 0; i < w->shared->steps; i++) {
		unsigned at = (unsigned)below(w, SLOTS);
		struct iommu_ioas_map c = {.size = sizeof(c),
					   .flags = IOMMU_IOAS_MAP_FIXED_IOVA | RW,
					   .ioas_id = w->shared->ioas,
					   .user_va = PAGE,
					   .length = (1 + below(w, 3)) * PAGE,
					   .iova = BASE + below(w, WINDOW) * PAGE};

		if (w->slot[at].length) {
			drop(w, at);
			continue;
		}
		int rc = call(w, IOMMU_IOAS_MAP, &c);

		check(w, "map at a fixed IOVA", rc, rc == 0 || rc == -EEXIST);
		if (rc == 0) {
			w->slot[at].iova = c.iova;
			w->slot[at].length = c.length;
		}
	}
	return NULL;
}

/* No area of this thread overlaps the new one. */
static void check_own(struct worker *w, uint64_t iova, uint64_t length)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (w->slot[i].length)
			check(w, "automatic IOVA over an own area", (int64_t)iova,
			      iova >= w->slot[i].iova + w->slot[i].length || w->slot[i].iova >= iova + length);
	check(w, "automatic IOVA outside what is allowed", (int64_t)iova,
	      iova >= BASE && iova + length <= BASE + WINDOW * PAGE);
}

static void map_into_victim(struct worker *w)
{
	struct iommu_ioas_map c = {.size = sizeof(c),
				   .flags = RW,
				   .ioas_id = atomic_load(&w->shared->victim),
				   .user_va = PAGE,
				   .length = PAGE};

	if (c.ioas_id == 0)
		return;
	int rc = call(w, IOMMU_IOAS_MAP, &c);

	check(w, "map into an IOAS that may be gone", rc, rc == 0 || rc == -ENOENT);
}

static void *map_automatic(void *argument)
{
	struct worker *w = argument;

	for (unsigned i = 0; i < w->shared->steps; i++) {
		unsigned at = (unsigned)below(w, SLOTS);
		struct iommu_ioas_map c = {
			.size = sizeof(c), .flags = RW, .ioas_id = w->shared->ioas, .length = (1 + below(w, 4)) * PAGE};

		map_into_victim(w);
		if (w->slot[at].length) {
			drop(w, at);
			continue;
		}
		int rc = call(w, IOMMU_IOAS_MAP, &c);

		check(w, "map at an automatic IOVA", rc, rc == 0 || rc == -ENOSPC);
		if (rc == 0) {
			check_own(w, c.iova, c.length);
			w->slot[at].iova = c.iova;
			w->slot[at].length = c.length;
		}
	}
	return NULL;
}

static void read_ranges(struct worker *w)
{
	struct iommu_iova_range range = {1, 1};
	struct iommu_ioas_iova_ranges c = {
		.size = sizeof(c), .ioas_id = w->shared->ioas, .num_iovas = 1, .allowed_iovas = (uintptr_t)&range};
	int rc = call(w, IOMMU_IOAS_IOVA_RANGES, &c);

	check(w, "IOVA_RANGES", rc, rc == 0 && c.num_iovas == 1 && range.start == 0 && range.last == UINT64_MAX);
}

static void *read_and_copy(void *argument)
{
	struct worker *w = argument;
	const uint32_t own = w->shared->copies;

	for (unsigned i = 0; i < w->shared->steps; i++) {
		struct iommu_destroy busy = {.size = sizeof(busy), .id = w->shared->fault};
		uint64_t length = STABLE_PAGES * PAGE;

		read_ranges(w);
		int rc = copy(w, own, 0, STABLE, length);

		check(w, "copy of what stays", rc, rc == 0);
		rc = copy(w, own, STABLE, BASE + below(w, WINDOW) * PAGE, (1 + below(w, 2)) * PAGE);
		check(w, "copy of what comes and goes", rc, rc == 0 || rc == -ENOENT);
		length = UINT64_MAX;
		rc = unmap(w, own, 0, &length);
		check(w, "unmap of the copies", rc, rc == 0 && length >= STABLE_PAGES * PAGE);
		rc = call(w, IOMMU_DESTROY, &busy);
		check(w, "DESTROY of a queue that is open", rc, rc == -EBUSY);
	}
	return NULL;
}

static void *make_and_end(void *argument)
{
	struct worker *w = argument;

	for (unsigned i = 0; i < w->shared->steps; i++) {
		struct iommu_ioas_alloc c = {.size = sizeof(c)};
		struct iommu_destroy gone = {.size = sizeof(gone)};
		int rc = call(w, IOMMU_IOAS_ALLOC, &c);

		check(w, "IOAS_ALLOC", rc, rc == 0);
		gone.id = c.out_ioas_id;
		atomic_store(&w->shared->victim, c.out_ioas_id);
		read_ranges(w);
		do {
			rc = call(w, IOMMU_DESTROY, &gone);
			check(w, "DESTROY of an IOAS in use by a call", rc, rc == 0 || rc == -EBUSY);
		} while (rc == -EBUSY);
		atomic_store(&w->shared->victim, 0);
	}
	return NULL;
}

static void *open_and_close(void *argument)
{
	struct worker *w = argument;
	struct transport *transport = w->shared->transport;

	for (unsigned i = 0; i < w->shared->steps / 4; i++) {
		struct iommu_ioas_alloc c = {.size = sizeof(c)};
		struct iommu_fault_alloc f = {.size = sizeof(f)};
		char record[40];
		int fd = transport_open(transport, i & 1 ? "/dev/vfio/vfio" : "/dev/iommu", O_RDWR | O_CLOEXEC);

		check(w, "open", fd, fd >= 0);
		int rc = transport_ioctl(transport, fd, IOMMU_IOAS_ALLOC, (uintptr_t)&c);

		check(w, "IOAS_ALLOC of another file", rc, rc == 0 && c.out_ioas_id == 1);
		rc = transport_ioctl(transport, fd, IOMMU_FAULT_QUEUE_ALLOC, (uintptr_t)&f);
		check(w, "FAULT_QUEUE_ALLOC of another file", rc, rc == 0 && f.out_fault_id == 2);
		rc = transport_close(transport, fd);
		check(w, "close", rc, rc == 0);
		rc = (int)transport_read(transport, (int)f.out_fault_fd, record, sizeof(record));
		check(w, "read of the queue of a closed file", rc, rc == 0);
		rc = transport_close(transport, (int)f.out_fault_fd);
		check(w, "close of the queue", rc, rc == 0);
		w->done++;
	}
	return NULL;
}

static void prepare(struct worker *w)
{
	struct shared *s = w->shared;
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_iova_range window = {BASE, BASE + WINDOW * PAGE - 1};
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};

	check(w, "IOAS_ALLOC", 0, call(w, IOMMU_IOAS_ALLOC, &alloc) == 0);
	s->ioas = alloc.out_ioas_id;
	check(w, "IOAS_ALLOC", 0, call(w, IOMMU_IOAS_ALLOC, &alloc) == 0);
	s->copies = alloc.out_ioas_id;
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow), .ioas_id = s->ioas, .num_iovas = 1, .allowed_iovas = (uintptr_t)&window};
	struct iommu_ioas_map stable = {.size = sizeof(stable),
					.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RW,
					.ioas_id = s->ioas,
					.length = STABLE_PAGES * PAGE,
					.iova = STABLE};

	check(w, "ALLOW_IOVAS", 0, call(w, IOMMU_IOAS_ALLOW_IOVAS, &allow) == 0);
	check(w, "MAP", 0, call(w, IOMMU_IOAS_MAP, &stable) == 0);
	check(w, "FAULT_QUEUE_ALLOC", 0, call(w, IOMMU_FAULT_QUEUE_ALLOC, &fault) == 0);
	s->fault = fault.out_fault_id;
}

static void run(struct shared *s)
{
	static void *(*const bodies[])(void *) = {map_fixed, map_automatic, read_and_copy, make_and_end,
						  open_and_close};
	enum {
		WORKERS = sizeof(bodies) / sizeof(*bodies),
	};
	struct worker workers[WORKERS] = {0};
	pthread_t thread[WORKERS];
	uint64_t left = STABLE_PAGES * PAGE, length = UINT64_MAX;

	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i].shared = s;
		workers[i].rng = s->seed * WORKERS + i;
	}
	prepare(&workers[0]);
	for (unsigned i = 0; i < WORKERS; i++)
		check(&workers[i], "pthread_create", 0, pthread_create(&thread[i], NULL, bodies[i], &workers[i]) == 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		pthread_join(thread[i], NULL);
		check(&workers[i], "a thread that did nothing", 0, workers[i].done > 0);
		for (unsigned j = 0; j < SLOTS; j++)
			left += workers[i].slot[j].length;
	}
	int rc = unmap(&workers[0], s->ioas, 0, &length);

	check(&workers[0], "unmap of everything at the end", rc, rc == 0);
	check(&workers[0], "bytes at the end", (int64_t)length, length == left);
}

int main(int argc, char **argv)
{
	struct shared s = {.steps = 20000, .seed = 1};
	enum transport_kind kind = TRANSPORT_LIBRARY;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--trusted"))
			kind = TRANSPORT_TRUSTED;
		else if (!strcmp(argv[i], "--syscalls"))
			kind = TRANSPORT_SYSCALLS;
		else if (!strcmp(argv[i], "--steps") && i + 1 < argc)
			s.steps = (unsigned)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			s.seed = strtoull(argv[++i], NULL, 0);
		else {
			fprintf(stderr, "usage: %s [--trusted | --syscalls] [--steps N] [--seed N]\n", argv[0]);
			return 2;
		}
	int rc = transport_new(kind, false, 0, &s.transport);

	if (rc == 0)
		s.fd = rc = transport_open(s.transport, "/dev/iommu", O_RDWR | O_CLOEXEC);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-rc));
		return 2;
	}
	printf("seed %" PRIu64 ", %u steps\n", s.seed, s.steps);
	run(&s);
	transport_close(s.transport, s.fd);
	transport_free(s.transport);
	printf("%s: %u failures\n", s.failures ? "FAILED" : "ok", s.failures);
	return s.failures != 0;
}
