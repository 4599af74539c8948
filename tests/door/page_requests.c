/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages that a device asks for, in the address space of a PASID: its fault queue, the answers, and what the device then
 * does. */
#include "spaces.h"

#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>

#define HOLE_IOVA 0x30000000ull

enum { PASID = 77, OTHER_PASID = 78 };
enum { PASID_VALID = 1, LAST_PAGE = 2, PERM_READ = 1, PERM_WRITE = 2, SUCCESS = 0, INVALID = 1 };

struct fault {
	uint32_t flags, dev_id, pasid, grpid, perm, reserved;
	uint64_t addr;
	uint32_t length, cookie;
};
struct answer {
	uint32_t cookie, code;
};

static struct spaces spaces;
static struct queue queue;
static uint8_t *hole; /* what comes to be at HOLE_IOVA: two pages */

/* PASID with the space that has a fault queue. */
static bool begin(struct test *t)
{
	hole = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return spaces_open_with_faults(t, &spaces) && SAME(t, spaces_attach(&spaces, PASID, 1), 0) &&
	       SAME(t, queue_start(&queue, &spaces.a, 0, PASID, spaces.memory[1], RING_IOVA), 0);
}

static long map_hole(unsigned first, unsigned pages)
{
	return ioas_map(spaces.a.rig.container, spaces.ioas[1], hole + first * PAGE, pages * PAGE,
			HOLE_IOVA + first * PAGE);
}

static bool wait_for_fault(struct test *t, struct fault *f)
{
	struct pollfd p = {.fd = spaces.faults, .events = POLLIN};

	return SAME(t, poll(&p, 1, 20000), 1) && SAME(t, ERR(read(spaces.faults, f, sizeof(*f))), sizeof(*f));
}

static bool has_fault(void)
{
	struct pollfd p = {.fd = spaces.faults, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void give_answer(struct test *t, const struct fault *f, uint32_t code)
{
	struct answer a = {f->cookie, code};

	SAME(t, ERR(write(spaces.faults, &a, sizeof(a))), sizeof(a));
}

static void expect_fault(struct test *t, const struct fault *f, uint64_t at, uint32_t perm)
{
	SAME(t, f->flags, PASID_VALID | LAST_PAGE);
	SAME(t, f->dev_id, spaces.a.rig.device_id);
	SAME(t, f->pasid, PASID);
	SAME(t, f->perm & 3, perm);
	SAME(t, f->addr / PAGE, at / PAGE);
	SAME(t, f->length, 0);
	SAME(t, f->reserved, 0);
}

/* The page is there when the answer comes: the operation goes on where it was. */
static void answered(struct test *t)
{
	struct fault f;
	unsigned record;

	if (!begin(t))
		return;
	memset(spaces.data[1], 0x5c, 2 * PAGE);
	record = queue_give(&queue, DMAX_COPY, DMAX_FLAG_BLOCK, HOLE_IOVA, DATA_IOVA, 2 * PAGE, 0);
	for (unsigned i = 0; i < 2; i++) {
		if (!wait_for_fault(t, &f))
			return;
		expect_fault(t, &f, HOLE_IOVA + i * PAGE, PERM_WRITE);
		CHECK(t, !queue_is_done(&queue, record));
		SAME(t, map_hole(i, 1), 0);
		give_answer(t, &f, SUCCESS);
	}
	SAME(t, queue_wait(&queue, record), DMAX_SUCCESS);
	CHECK(t, memcmp(hole, spaces.data[1], 2 * PAGE) == 0);
	SAME(t, ioas_unmap(spaces.a.rig.container, spaces.ioas[1], HOLE_IOVA, PAGE), PAGE);
	record = queue_give(&queue, DMAX_CHECKSUM, DMAX_FLAG_BLOCK, 0, HOLE_IOVA + 100, 200, 0);
	if (!wait_for_fault(t, &f))
		return;
	expect_fault(t, &f, HOLE_IOVA, PERM_READ);
	SAME(t, map_hole(0, 1), 0);
	give_answer(t, &f, SUCCESS);
	SAME(t, queue_wait(&queue, record), DMAX_SUCCESS);
	CHECK(t, !has_fault());
	spaces_close(&spaces);
}

static void refused(struct test *t)
{
	struct dmax_record r;
	struct fault f;
	unsigned record;

	if (!begin(t))
		return;
	SAME(t, map_hole(0, 1), 0);
	record = queue_give(&queue, DMAX_FILL, DMAX_FLAG_BLOCK, HOLE_IOVA + 10, 0, PAGE, 0x4444444444444444);
	if (!wait_for_fault(t, &f))
		return;
	expect_fault(t, &f, HOLE_IOVA + PAGE, PERM_WRITE);
	give_answer(t, &f, INVALID);
	SAME(t, queue_wait(&queue, record), DMAX_PAGE_FAULT);
	r = queue.memory->records[record];
	SAME(t, r.address, HOLE_IOVA + PAGE);
	SAME(t, r.access, DMAX_ACCESS_WRITE);
	SAME(t, r.done, PAGE - 10);
	CHECK(t, hole[10] == 0x44 && hole[PAGE - 1] == 0x44 && hole[PAGE] == 0);
	/* The answer was one; it is not taken twice. */
	SAME(t, ERR(write(spaces.faults, &(struct answer){f.cookie, SUCCESS}, 8)), -EINVAL);
	SAME(t, queue_do(&queue, DMAX_COPY, 0, HOLE_IOVA, DATA_IOVA, PAGE, 0, NULL), DMAX_SUCCESS);
	spaces_close(&spaces);
}

/* Who does not want to wait is told, and nobody is asked. */
static void not_asked(struct test *t)
{
	struct dmax_record r;

	if (!begin(t))
		return;
	for (int i = 0; i < 3; i++) {
		SAME(t, queue_do(&queue, DMAX_COPY, 0, DATA_IOVA, HOLE_IOVA, 64, 0, &r), DMAX_PAGE_FAULT);
		SAME(t, r.address, HOLE_IOVA);
		SAME(t, r.access, DMAX_ACCESS_READ);
		CHECK(t, !has_fault());
	}
	/* Nor where no queue is there for it. */
	SAME(t, spaces_attach(&spaces, OTHER_PASID, 0), 0);
	queue_stop(&queue);
	SAME(t, queue_start(&queue, &spaces.a, 0, OTHER_PASID, spaces.memory[0], RING_IOVA), 0);
	SAME(t, queue_do(&queue, DMAX_COPY, DMAX_FLAG_BLOCK, DATA_IOVA, HOLE_IOVA, 64, 0, &r), DMAX_PAGE_FAULT);
	CHECK(t, !has_fault());
	spaces_close(&spaces);
}

/* While one queue waits, the other goes on. */
static void others_go_on(struct test *t)
{
	struct queue other;
	struct fault f;
	unsigned record;

	if (!begin(t))
		return;
	SAME(t, spaces_attach(&spaces, OTHER_PASID, 0), 0);
	SAME(t, queue_start(&other, &spaces.a, 1, OTHER_PASID, spaces.memory[0], RING_IOVA), 0);
	record = queue_give(&queue, DMAX_FILL, DMAX_FLAG_BLOCK, HOLE_IOVA, 0, PAGE, 1);
	if (!wait_for_fault(t, &f))
		return;
	for (unsigned long i = 0; i < t->rounds; i++)
		SAME(t, queue_do(&other, DMAX_COPY, 0, DATA_IOVA, DATA_IOVA + PAGE, PAGE, 0, NULL), DMAX_SUCCESS);
	CHECK(t, !queue_is_done(&queue, record));
	SAME(t, map_hole(0, 2), 0);
	give_answer(t, &f, SUCCESS);
	SAME(t, queue_wait(&queue, record), DMAX_SUCCESS);
	spaces_close(&spaces);
}

/* A success that brings no page is believed some times, not for ever. */
static void answers_that_are_not_true(struct test *t)
{
	struct fault f;
	unsigned record;
	unsigned asked = 0;

	if (!begin(t))
		return;
	record = queue_give(&queue, DMAX_FILL, DMAX_FLAG_BLOCK, HOLE_IOVA, 0, PAGE, 1);
	while (asked < 100) {
		struct pollfd p = {.fd = spaces.faults, .events = POLLIN};

		if (queue_is_done(&queue, record))
			break;
		if (poll(&p, 1, 1) != 1)
			continue;
		SAME(t, ERR(read(spaces.faults, &f, sizeof(f))), sizeof(f));
		give_answer(t, &f, SUCCESS);
		asked++;
	}
	SAME(t, asked, 16);
	SAME(t, queue_wait(&queue, record), DMAX_PAGE_FAULT);
	spaces_close(&spaces);
}

/* What was asked is answered when the PASID is detached, and when the queue's file goes. */
static void detached_while_waiting(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct fault f;

		if (!begin(t))
			return;
		queue_give(&queue, DMAX_FILL, DMAX_FLAG_BLOCK, HOLE_IOVA, 0, PAGE, 1);
		if (i % 2 && !wait_for_fault(t, &f))
			return;
		if (i % 3 == 0) {
			/* The record cannot be written, then. */
			SAME(t, spaces_detach(&spaces, PASID), 0);
			if (i % 2)
				SAME(t, ERR(write(spaces.faults, &(struct answer){f.cookie, SUCCESS}, 8)), -EINVAL);
			CHECK(t, !has_fault());
			SAME(t, spaces_attach(&spaces, PASID, 0), 0);
			queue_stop(&queue);
			SAME(t, spaces_work(&spaces, PASID, 0), DMAX_SUCCESS);
		} else if (i % 3 == 1) {
			queue_stop(&queue);
			if (i % 2)
				give_answer(t, &f, SUCCESS); /* which means nothing any more */
			SAME(t, spaces_work(&spaces, PASID, 1), DMAX_SUCCESS);
		}
		spaces_close(&spaces);
		munmap(hole, 2 * PAGE);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"answered", answered},
		{"refused", refused},
		{"not_asked", not_asked},
		{"others_go_on", others_go_on},
		{"answers_that_are_not_true", answers_that_are_not_true},
		{"detached_while_waiting", detached_while_waiting},
	};

	return TEST_MAIN(argc, argv, cases);
}
