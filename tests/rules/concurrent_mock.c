/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One file, several threads, and page tables, devices, accesses and queues that come and go while areas are mapped,
 * unmapped and used. Each thread keeps to objects of its own on an IOAS that all share, so its answers are known, but
 * for those that depend on what the others do at that moment. In the end nothing is mapped, pinned or left. With
 * IOMMUSE_TEST_LONG in the environment twenty times as many steps.
 *
 *	concurrent_mock [--trusted | --syscalls] [--steps N] [--seed N]
 */
#define _GNU_SOURCE
#include "mock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOT_PAGES = 8, /* at most */
	SLOTS = 16,
	STABLE_PAGES = 16,
	THREADS = 9,
};

#define WINDOW UINT64_C(0x1000000) /* IOVAs that a thread has for itself */
#define STABLE (AP + 0x40000000)   /* an area that stays */
#define NEST   IOMMU_HWPT_ALLOC_NEST_PARENT
#define PINS   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES

struct worker {
	struct rules t; /* a copy, so that failures are the thread's own */
	uint32_t ioas, spare;
	unsigned char *memory; /* of all threads: SLOTS * SLOT_PAGES pages, then the stable ones */
	uint64_t base, rng;
	unsigned steps;
	void (*step)(struct worker *w);
	struct mock m;
	struct {
		uint64_t length;
	} slot[SLOTS];
};

static uint64_t below(struct worker *w, uint64_t n)
{
	uint64_t z = (w->rng += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % n;
}

static bool one_of(int rc, int a, int b, int c)
{
	return rc == 0 || rc == a || rc == b || rc == c;
}

/* Areas of its own come and go; each of these calls works whatever the others do. */
static void map_and_unmap(struct worker *w)
{
	uint64_t at = below(w, SLOTS), iova = w->base + at * SLOT_PAGES * PAGE, removed = 0;
	uint64_t va = (uintptr_t)w->memory + at * SLOT_PAGES * PAGE;

	if (w->slot[at].length) {
		EXPECT(&w->t, unmap(&w->t, w->ioas, iova, w->slot[at].length, &removed), 0);
		EXPECT_U64(&w->t, removed, w->slot[at].length);
		w->slot[at].length = 0;
	} else {
		w->slot[at].length = (1 + below(w, SLOT_PAGES)) * PAGE;
		EXPECT(&w->t, map_va_at(&w->t, w->ioas, below(w, 4) ? RW : READ, va, iova, w->slot[at].length), 0);
	}
}

static void unmap_all(struct worker *w)
{
	for (uint64_t at = 0; at < SLOTS; at++)
		if (w->slot[at].length)
			EXPECT(&w->t, unmap(&w->t, w->ioas, w->base + at * SLOT_PAGES * PAGE, w->slot[at].length, NULL),
			       0);
}

static void devices_come_and_go(struct worker *w)
{
	struct mock m = mock_new(&w->t, w->ioas, 0);
	uint32_t hwpt = hwpt_new(&w->t, m.device, w->ioas, 0);

	EXPECT(&w->t, mock_attach(&w->t, m.stdev, hwpt), 0);
	EXPECT(&w->t,
	       check_map(&w->t, hwpt, STABLE, STABLE_PAGES * PAGE, (uintptr_t)w->memory + SLOTS * SLOT_PAGES * PAGE),
	       0);
	if (below(w, 2))
		EXPECT(&w->t, mock_attach(&w->t, m.stdev, w->ioas), 0);
	if (below(w, 2))
		EXPECT(&w->t, mock_attach(&w->t, m.stdev, w->spare), 0);
	EXPECT(&w->t, destroy(&w->t, m.stdev), 0);
	EXPECT(&w->t, destroy(&w->t, hwpt), 0);
}

static void pages_are_dirtied(struct worker *w)
{
	uint32_t hwpt = hwpt_new(&w->t, w->m.device, w->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	uint16_t some = (uint16_t)below(w, 0x10000), got = 0;

	EXPECT(&w->t, set_dirty(&w->t, hwpt, IOMMU_HWPT_DIRTY_TRACKING_ENABLE), 0);
	EXPECT(&w->t, make_dirty(&w->t, hwpt, STABLE, STABLE_PAGES * PAGE, PAGE, &some), 0);
	EXPECT(&w->t, get_dirty(&w->t, hwpt, 0, STABLE, STABLE_PAGES * PAGE, PAGE, &got), 0);
	EXPECT(&w->t, (got & some) == some, true);
	EXPECT(&w->t, destroy(&w->t, hwpt), 0);
}

/* With what the area is known to show, so that the pages are looked at while they are pinned. */
static int pin_and_compare(struct worker *w, int access, uint64_t iova, uint32_t *pin)
{
	struct iommu_test_cmd c = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = (uint32_t)access,
		.access_pages = {.iova = iova, .length = PAGE, .uptr = (uintptr_t)w->memory + (iova - AP) % WINDOW}};
	int rc = test_op(&w->t, &c);

	*pin = c.access_pages.out_access_pages_id;
	return rc;
}

static void areas_of_others_are_accessed(struct worker *w)
{
	int access = mock_access_new(&w->t, w->ioas, below(w, 2) ? PINS : 0), rc;
	unsigned char bytes[64];
	uint32_t pin;

	EXPECT(&w->t, access >= 0, true);
	for (int i = 0; i < 8; i++) {
		uint64_t iova = AP + below(w, 2) * WINDOW + below(w, SLOTS * SLOT_PAGES) * PAGE;

		rc = mock_access_rw(&w->t, access, iova, bytes, sizeof(bytes), (uint32_t)below(w, 2) * 4);
		EXPECT(&w->t, one_of(rc, -ENOENT, -EINVAL, 0), true);
		rc = pin_and_compare(w, access, iova, &pin);
		EXPECT(&w->t, one_of(rc, -ENOENT, -EINVAL, -EOPNOTSUPP), true);
		if (!rc && below(w, 2)) {
			rc = mock_access_unpin(&w->t, access, pin);
			EXPECT(&w->t, one_of(rc, -ENOENT, 0, 0), true);
		}
	}
	if (below(w, 2))
		EXPECT(&w->t, mock_access_replace(&w->t, access, w->spare), 0);
	EXPECT(&w->t, transport_close(w->t.transport, access), 0);
}

static void faults_are_answered(struct worker *w)
{
	struct iommu_hwpt_pgfault record[2];
	struct iommu_hwpt_page_response response = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	uint32_t fault, hwpt;
	int fd;

	EXPECT(&w->t, fault_new(&w->t, &fault, &fd), 0);
	hwpt = hwpt_with_faults(&w->t, w->m.device, w->ioas, 0, fault);
	EXPECT(&w->t, mock_attach(&w->t, w->m.stdev, hwpt), 0);
	EXPECT(&w->t, fault_trigger(&w->t, w->m.device, 0, 1, AP), 0);
	EXPECT(&w->t, fault_trigger(&w->t, w->m.device, 0, 2, AP), 0);
	EXPECT(&w->t, transport_read(w->t.transport, fd, record, sizeof(*record)), sizeof(*record));
	response.cookie = record[0].cookie;
	EXPECT(&w->t, transport_write(w->t.transport, fd, &response, sizeof(response)), sizeof(response));
	EXPECT(&w->t, mock_attach(&w->t, w->m.stdev, w->ioas), 0);
	EXPECT(&w->t, transport_read(w->t.transport, fd, record, sizeof(*record)), 0);
	EXPECT(&w->t, transport_close(w->t.transport, fd), 0);
	EXPECT(&w->t, destroy(&w->t, hwpt), 0);
	EXPECT(&w->t, destroy(&w->t, fault), 0);
}

static void queues_lock_the_stable_area(struct worker *w)
{
	uint32_t parent = hwpt_new(&w->t, w->m.device, w->ioas, NEST);
	uint32_t viommu = viommu_new(&w->t, w->m.device, parent);
	uint32_t vdevice = vdevice_new(&w->t, viommu, w->m.device, 1), queue;

	queue = hw_queue_new(&w->t, viommu, 0, STABLE, PAGE);
	EXPECT(&w->t, unmap(&w->t, w->ioas, STABLE, STABLE_PAGES * PAGE, NULL), -EBUSY);
	EXPECT(&w->t, destroy(&w->t, queue), 0);
	EXPECT(&w->t, destroy(&w->t, vdevice), 0);
	EXPECT(&w->t, destroy(&w->t, viommu), 0);
	EXPECT(&w->t, destroy(&w->t, parent), 0);
}

static void copies_and_buffers(struct worker *w)
{
	int fd = mock_dmabuf_new(&w->t, 4 * (uint32_t)PAGE);

	EXPECT(&w->t, copy_at(&w->t, w->ioas, w->ioas, READ, STABLE, w->base, 4 * PAGE), 0);
	EXPECT(&w->t, copy_at(&w->t, w->spare, w->ioas, READ, STABLE, w->base, 2 * PAGE), 0);
	EXPECT(&w->t, map_file_at(&w->t, w->ioas, RW, fd, 0, w->base + HUGE, 4 * PAGE), 0);
	EXPECT(&w->t, mock_dmabuf_revoke(&w->t, fd, 1), 0);
	EXPECT(&w->t, unmap(&w->t, w->ioas, w->base, 4 * PAGE, NULL), 0);
	EXPECT(&w->t, unmap(&w->t, w->spare, w->base, 2 * PAGE, NULL), 0);
	EXPECT(&w->t, unmap(&w->t, w->ioas, w->base + HUGE, 4 * PAGE, NULL), 0);
	EXPECT(&w->t, transport_close(w->t.transport, fd), 0);
}

/* A file of its own, closed with all that is in it. */
static void files_are_closed(struct worker *w)
{
	struct rules t = w->t;
	uint32_t pin, fault;
	int access, fd;

	t.fd = node_open(&t, "/dev/iommu");
	struct mock m = mock_new(&t, ioas_new(&t), 0);

	EXPECT(&t, map_va_at(&t, m.ioas, RW, (uintptr_t)w->memory, AP, 4 * PAGE), 0);
	access = mock_access_new(&t, m.ioas, PINS);
	EXPECT(&t, mock_access_pin(&t, access, AP, PAGE, 0, &pin), 0);
	EXPECT(&t, fault_new(&t, &fault, &fd), 0);
	EXPECT(&t, mock_attach(&t, m.stdev, hwpt_with_faults(&t, m.device, m.ioas, 0, fault)), 0);
	EXPECT(&t, fault_trigger(&t, m.device, 0, 1, AP), 0);
	if (below(w, 2))
		EXPECT(&t, transport_close(t.transport, t.fd), 0);
	else
		t.fd = -1 - t.fd; /* later */
	EXPECT(&t, transport_close(t.transport, fd), 0);
	EXPECT(&t, transport_close(t.transport, access), 0);
	if (t.fd < 0)
		EXPECT(&t, transport_close(t.transport, -1 - t.fd), 0);
	w->t.failures = t.failures;
}

static void *work(void *argument)
{
	struct worker *w = argument;

	for (unsigned i = 0; i < w->steps && w->t.failures < 20; i++)
		w->step(w);
	unmap_all(w);
	return NULL;
}

static void (*const steps[THREADS])(struct worker *w) = {
	map_and_unmap,       map_and_unmap,
	devices_come_and_go, pages_are_dirtied,
	faults_are_answered, areas_of_others_are_accessed,
	copies_and_buffers,  queues_lock_the_stable_area,
	files_are_closed,
};

static unsigned run(struct rules *t, unsigned count, uint64_t seed)
{
	const uint64_t pages = SLOTS * SLOT_PAGES + STABLE_PAGES;
	unsigned char *memory = aligned_alloc(PAGE, pages * PAGE);
	uint32_t ioas = ioas_new(t), spare = ioas_new(t);
	struct worker w[THREADS];
	pthread_t thread[THREADS];

	memset(memory, 1, pages * PAGE);
	EXPECT(t, map_va_at(t, ioas, RW, (uintptr_t)memory + SLOTS * SLOT_PAGES * PAGE, STABLE, STABLE_PAGES * PAGE),
	       0);
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.t = *t,
				       .ioas = ioas,
				       .spare = spare,
				       .memory = memory,
				       .base = AP + i * WINDOW,
				       .rng = seed * THREADS + i,
				       .steps = i < 2 ? 20 * count : count,
				       .step = steps[i]};
		w[i].m = mock_new(t, ioas, 0);
		w[i].t.failures = 0;
	}
	for (unsigned i = 0; i < THREADS; i++)
		EXPECT(t, pthread_create(&thread[i], NULL, work, &w[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		t->failures += w[i].t.failures;
		EXPECT(t, destroy(t, w[i].m.stdev), 0);
	}
	expect_bytes(t, ioas, STABLE_PAGES * PAGE);
	expect_bytes(t, spare, 0);
	EXPECT(t, check_refs(t, (uintptr_t)memory, pages * PAGE, 0), 0);
	EXPECT(t, destroy(t, ioas), 0);
	EXPECT(t, destroy(t, spare), 0);
	free(memory);
	return t->failures;
}

int main(int argc, char **argv)
{
	enum transport_kind kind = TRANSPORT_LIBRARY;
	struct rules t = {.selftest = true};
	unsigned count = getenv("IOMMUSE_TEST_LONG") ? 20000 : 1000;
	uint64_t seed = 1;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--trusted"))
			kind = TRANSPORT_TRUSTED;
		else if (!strcmp(argv[i], "--syscalls"))
			kind = TRANSPORT_SYSCALLS;
		else if (!strcmp(argv[i], "--steps") && i + 1 < argc)
			count = (unsigned)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 0);
		else
			return 2;
	if (transport_new(kind, true, 0, &t.transport))
		return 2;
	t.fd = node_open(&t, "/dev/iommu");
	run(&t, count, seed);
	EXPECT(&t, transport_close(t.transport, t.fd), 0);
	transport_free(t.transport);
	printf("%u failures\n", t.failures);
	return t.failures != 0;
}
