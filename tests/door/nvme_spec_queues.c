/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues: how they are made and go, how they wrap, what happens when one is full, and the interrupts that they make. */
#include "nvme_spec.h"

#include <sys/eventfd.h>
#include <time.h>

enum { BLOCK = 512, FEATURE_QUEUES = 0x07, MANY = 16, DEEP = 4096, VECTORS = 65 };

static void rest(unsigned ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

	nanosleep(&t, NULL);
}

/* 5.21.1.7 */
static void number_of_queues(struct test *t)
{
	struct pair p = {0};
	struct nvme d;
	uint32_t given, most;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.21.1.7: NCQR 65535", nvme_set_feature(&d, FEATURE_QUEUES, 0xffff0000), INVALID_FIELD);
	SPEC(t, "5.21.1.7: NSQR 65535", nvme_set_feature(&d, FEATURE_QUEUES, 0xffff), INVALID_FIELD);
	SPEC(t, "5.21.1.7", nvme_set_feature(&d, FEATURE_QUEUES, 0xfffefffe), OK);
	SPEC(t, "doc, queues: 16; 5.21.1.7", d.result, 15 << 16 | 15);
	SPEC(t, "5.14", nvme_get_feature(&d, FEATURE_QUEUES, 0), OK);
	SPEC(t, "5.21.1.7", d.result, 15 << 16 | 15);
	SPEC(t, "5.21.1.7", nvme_set_feature(&d, FEATURE_QUEUES, 3 << 16 | 5), OK);
	given = d.result;
	SPEC_TRUE(t, "5.21.1.7: one of each at least", (given >> 16) <= 15 && (given & 0xffff) <= 15);
	most = (given >> 16) > (given & 0xffff) ? given >> 16 : given & 0xffff;
	SPEC(t, "5.14", nvme_get_feature(&d, FEATURE_QUEUES, 0), OK);
	SPEC(t, "5.21.1.7: the same for all of them", d.result, (long)given);
	SPEC(t, "5.3", pair_create(&d, &p, most + 2, 4, 4, -1), QUEUE_ID_INVALID);
	SPEC(t, "5.3", pair_create(&d, &p, 1, 4, 4, -1), OK);
	SPEC(t, "5.21.1.7: there is a queue", nvme_set_feature(&d, FEATURE_QUEUES, 1 << 16 | 1), SEQUENCE_ERROR);
	SPEC(t, "5.14", nvme_get_feature(&d, FEATURE_QUEUES, 0), OK);
	SPEC(t, "5.21.1.7", d.result, (long)given);
	nvme_close(&d);
}

struct creation {
	const char *section;
	unsigned id, entries, prp_offset;
	uint32_t cdw11;
	long want, other;
};

static void create(struct nvme *d, unsigned opcode, const void *memory, const struct creation *c)
{
	struct command command = {.opcode = (uint8_t)opcode,
				  .prp1 = nvme_iova(d, memory) + c->prp_offset,
				  .cdw10 = (c->entries - 1) << 16 | c->id,
				  .cdw11 = c->cdw11};
	long rc = nvme_admin(d, &command);

	SPEC_OR(d->t, c->section, rc, c->want, c->other);
	if (rc == OK)
		SPEC(d->t, "5.5, 5.6",
		     queue_delete(d, opcode == ADMIN_CREATE_CQ ? ADMIN_DELETE_CQ : ADMIN_DELETE_SQ, c->id), OK);
}

/* 5.3, figures 151 to 153 */
static void completion_queues_that_cannot_be(struct test *t)
{
	static const struct creation cases[] = {
		{"5.3 QID 0", 0, 16, 0, 1, QUEUE_ID_INVALID, QUEUE_ID_INVALID},
		{"5.3 QID above those allocated", 17, 16, 0, 1, QUEUE_ID_INVALID, QUEUE_ID_INVALID},
		{"5.3 QID 65535", 65535, 16, 0, 1, QUEUE_ID_INVALID, QUEUE_ID_INVALID},
		{"5.3 QID in use", 1, 16, 0, 1, QUEUE_ID_INVALID, QUEUE_ID_INVALID},
		{"5.3 QSIZE of one entry", 2, 1, 0, 1, QUEUE_SIZE_INVALID, QUEUE_SIZE_INVALID},
		{"5.3 QSIZE above MQES", 2, 4097, 0, 1, QUEUE_SIZE_INVALID, QUEUE_SIZE_INVALID},
		{"5.3 QSIZE 65536", 2, 65536, 0, 1, QUEUE_SIZE_INVALID, QUEUE_SIZE_INVALID},
		{"5.3 PC 0 with CAP.CQR", 2, 16, 0, 0, INVALID_FIELD, INVALID_FIELD},
		{"5.3 IV above those there are", 2, 16, 0, 65 << 16 | 3, VECTOR_INVALID, VECTOR_INVALID},
		{"5.3 IV 65535", 2, 16, 0, 0xffff0003, VECTOR_INVALID, VECTOR_INVALID},
		{"5.3 PRP1 within a page", 2, 16, 64, 1, PRP_OFFSET_INVALID, INVALID_FIELD},
		{"5.3 QSIZE of two entries", 2, 2, 0, 1, OK, OK},
		{"5.3 QSIZE of MQES", 2, 4096, 0, 1, OK, OK},
		{"5.3 the last QID", 16, 16, 0, 1, OK, OK},
		{"5.3 the last IV", 2, 16, 0, 64 << 16 | 3, OK, OK},
		{"5.3 IV that others have", 2, 16, 0, 3, OK, OK},
	};
	struct pair p = {0};
	struct nvme d;
	void *memory;

	if (!nvme_open(&d, t, 0))
		return;
	memory = nvme_memory(&d, 1 << 16);
	SPEC(t, "5.3", pair_create(&d, &p, 1, 4, 4, 0), OK);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		create(&d, ADMIN_CREATE_CQ, memory, &cases[i]);
	nvme_close(&d);
}

/* 5.4, figures 155 to 157 */
static void submission_queues_that_cannot_be(struct test *t)
{
	static const struct creation cases[] = {
		{"5.4 QID 0", 0, 16, 0, 1 << 16 | 1, QUEUE_ID_INVALID, QUEUE_ID_INVALID},
		{"5.4 QID above those allocated", 17, 16, 0, 1 << 16 | 1, QUEUE_ID_INVALID, QUEUE_ID_INVALID},
		{"5.4 QID 65535", 65535, 16, 0, 1 << 16 | 1, QUEUE_ID_INVALID, QUEUE_ID_INVALID},
		{"5.4 QID in use", 1, 16, 0, 1 << 16 | 1, QUEUE_ID_INVALID, QUEUE_ID_INVALID},
		{"5.4 QSIZE of one entry", 2, 1, 0, 1 << 16 | 1, QUEUE_SIZE_INVALID, QUEUE_SIZE_INVALID},
		{"5.4 QSIZE above MQES", 2, 4097, 0, 1 << 16 | 1, QUEUE_SIZE_INVALID, QUEUE_SIZE_INVALID},
		{"5.4 QSIZE 65536", 2, 65536, 0, 1 << 16 | 1, QUEUE_SIZE_INVALID, QUEUE_SIZE_INVALID},
		{"5.4 PC 0 with CAP.CQR", 2, 16, 0, 1 << 16, INVALID_FIELD, INVALID_FIELD},
		{"5.4 CQID of none", 2, 16, 0, 2 << 16 | 1, CQ_INVALID, CQ_INVALID},
		{"5.4 CQID 0", 2, 16, 0, 1, QUEUE_ID_INVALID, CQ_INVALID},
		{"5.4 CQID above those allocated", 2, 16, 0, 17 << 16 | 1, QUEUE_ID_INVALID, CQ_INVALID},
		{"5.4 CQID 65535", 2, 16, 0, 0xffff0001, QUEUE_ID_INVALID, CQ_INVALID},
		{"5.4 PRP1 within a page", 2, 16, 64, 1 << 16 | 1, PRP_OFFSET_INVALID, INVALID_FIELD},
		{"5.4 QSIZE of two entries", 2, 2, 0, 1 << 16 | 1, OK, OK},
		{"5.4 QSIZE of MQES", 2, 4096, 0, 1 << 16 | 1, OK, OK},
		{"5.4 the last QID", 16, 16, 0, 1 << 16 | 1, OK, OK},
		{"5.4 QPRIO, which is for weighted round robin", 2, 16, 0, 1 << 16 | 2 << 1 | 1, OK, OK},
	};
	struct pair p = {0};
	struct nvme d;
	void *memory;

	if (!nvme_open(&d, t, 0))
		return;
	memory = nvme_memory(&d, 1 << 18);
	SPEC(t, "5.3", pair_create(&d, &p, 1, 4, 4, 0), OK);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		create(&d, ADMIN_CREATE_SQ, memory, &cases[i]);
	nvme_close(&d);
}

/* 5.5, 5.6 */
static void deletions_that_cannot_be(struct test *t)
{
	static const unsigned wrong[] = {0, 2, 16, 17, 65535};
	struct pair p = {0};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 4, 4, 0), OK);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		SPEC(t, "5.5 QID", queue_delete(&d, ADMIN_DELETE_CQ, wrong[i]), QUEUE_ID_INVALID);
		SPEC(t, "5.6 QID", queue_delete(&d, ADMIN_DELETE_SQ, wrong[i]), QUEUE_ID_INVALID);
	}
	SPEC(t, "5.5: it is in use", queue_delete(&d, ADMIN_DELETE_CQ, 1), QUEUE_DELETION_INVALID);
	SPEC(t, "5.6", queue_delete(&d, ADMIN_DELETE_SQ, 1), OK);
	SPEC(t, "5.6: it is gone", queue_delete(&d, ADMIN_DELETE_SQ, 1), QUEUE_ID_INVALID);
	SPEC(t, "5.5", queue_delete(&d, ADMIN_DELETE_CQ, 1), OK);
	SPEC(t, "5.5: it is gone", queue_delete(&d, ADMIN_DELETE_CQ, 1), QUEUE_ID_INVALID);
	nvme_close(&d);
}

/* 4.1.3: many submission queues with one completion queue, of other numbers. */
static void one_completion_queue_for_many(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair first = {0}, others[8];
	unsigned seen[9] = {0};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &first, 16, 16, 256, -1), OK);
	for (unsigned i = 0; i < 8; i++) {
		others[i] = (struct pair){.id = i + 1, .cq_id = 16, .entries = 16};
		others[i].sq = nvme_memory(&d, PAGE);
		SPEC(t, "5.4", sq_create(&d, &others[i]), OK);
		for (unsigned k = 0; k < 15; k++)
			pair_put(&others[i], &flush);
	}
	for (unsigned i = 0; i < 8; i++)
		nvme_ring_sq(&d, i + 1, others[i].tail);
	for (unsigned i = 0; i < 8 * 15 && !t->failed; i++) {
		struct completion c;

		SPEC(t, "6.8", pair_wait(&d, &first, &c), 0);
		SPEC(t, "6.8", completion_status(&c), OK);
		if (SPEC_TRUE(t, "4.6 SQID", c.sq_id >= 1 && c.sq_id <= 8))
			seen[c.sq_id]++;
	}
	for (unsigned i = 1; i <= 8; i++)
		SPEC(t, "4.6 SQID", seen[i], 15);
	SPEC(t, "5.5: in use", queue_delete(&d, ADMIN_DELETE_CQ, 16), QUEUE_DELETION_INVALID);
	for (unsigned i = 1; i <= 8; i++)
		SPEC(t, "5.6", queue_delete(&d, ADMIN_DELETE_SQ, i), OK);
	SPEC(t, "5.5: in use", queue_delete(&d, ADMIN_DELETE_CQ, 16), QUEUE_DELETION_INVALID);
	SPEC(t, "5.5", pair_delete(&d, &first), OK);
	nvme_close(&d);
}

/* 5.6, 7.3.3: no completion comes after that of the deletion. */
static void deleted_with_commands(struct test *t)
{
	struct pair p = {0};
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	data = nvme_memory(&d, 1 << 20);
	for (unsigned round = 0; round < 10 && !t->failed; round++) {
		uint64_t *lists = nvme_memory(&d, PAGE);
		struct completion c;
		unsigned taken = 0;
		bool seen[63] = {0};

		SPEC(t, "5.3", pair_create(&d, &p, 3, 64, 64, -1), OK);
		p.next_id = 0;
		for (unsigned i = 0; i < 63; i++) {
			struct command read = nvme_transfer(&d, NVM_READ, i * 32, 32);

			command_point(&d, &read, data + i * (32 * BLOCK), 32 * BLOCK, lists + i * 4);
			pair_put(&p, &read);
		}
		nvme_ring_sq(&d, 3, p.tail);
		rest(round % 2);
		SPEC(t, "5.6", queue_delete(&d, ADMIN_DELETE_SQ, 3), OK);
		while (pair_take(&d, &p, &c)) {
			taken++;
			SPEC_OR(t, "5.6", completion_status(&c), OK, SQ_DELETED);
			if (SPEC_TRUE(t, "4.6 CID", c.id < 63 && !seen[c.id]))
				seen[c.id] = true;
		}
		memset(data, 0x77, 1 << 20);
		rest(5);
		SPEC_TRUE(t, "7.3.3: none afterwards", !pair_has(&p));
		SPEC_TRUE(t, "7.3.3: no data afterwards", bytes_are(data, 1 << 20, 0x77));
		SPEC_TRUE(t, "5.6", taken <= 63);
		SPEC(t, "5.5", queue_delete(&d, ADMIN_DELETE_CQ, 3), OK);
		d.used -= PAGE;
	}
	nvme_close(&d);
}

/* 4.1, 4.6: the head that completions tell, the phase tag, and commands' identifiers of all values. */
static void two_entries(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair p = {.next_id = 65500};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 2, 2, -1), OK);
	for (unsigned i = 0; i < 100 && !t->failed; i++) {
		uint16_t id = pair_give(&d, &p, &flush);
		struct completion c;

		SPEC(t, "4.1.1", pair_wait(&d, &p, &c), 0);
		SPEC(t, "4.6 CID", c.id, id);
		SPEC(t, "4.6 SQHD", c.sq_head, p.tail);
		SPEC(t, "4.6 SQID", c.sq_id, 1);
		SPEC(t, "6.8", completion_status(&c), OK);
	}
	nvme_close(&d);
}

/* The same with the most entries, full each time. */
static void most_entries(struct test *t)
{
	struct command verify = {.opcode = NVM_FLUSH, .nsid = 1};
	static bool seen[65536];
	struct pair p = {0};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, DEEP, DEEP, -1), OK);
	for (unsigned round = 0; round < 3 && !t->failed; round++) {
		const uint16_t first = p.next_id;

		verify = nvme_transfer(&d, NVM_VERIFY, round, 1);
		for (unsigned i = 0; i < DEEP - 1; i++)
			pair_put(&p, &verify);
		nvme_ring_sq(&d, 1, p.tail);
		for (unsigned i = 0; i < DEEP - 1 && !t->failed; i++) {
			struct completion c;

			SPEC(t, "4.1.1", pair_wait(&d, &p, &c), 0);
			SPEC(t, "6.14", completion_status(&c), OK);
			SPEC_TRUE(t, "4.6 CID", (uint16_t)(c.id - first) < DEEP - 1 && !seen[c.id]);
			seen[c.id] = true;
		}
		rest(2);
		SPEC_TRUE(t, "4.6: no more", !pair_has(&p));
	}
	nvme_close(&d);
}

/* 4.1.1: a completion queue that is full takes no more until the driver has taken one. */
static void full_completion_queue(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair p = {0}, other = {0};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 64, 4, -1), OK);
	SPEC(t, "5.3", pair_create(&d, &other, 2, 4, 4, -1), OK);
	for (unsigned round = 0; round < 3 && !t->failed; round++) {
		uint64_t start = monotonic_ns();
		unsigned at = (p.head + 2) % 4;
		const unsigned phase = p.phase ^ (p.head >= 2);
		struct completion c;

		for (unsigned i = 0; i < 63; i++)
			pair_put(&p, &flush);
		nvme_ring_sq(&d, 1, p.tail);
		while ((__atomic_load_n(&p.cq[at].status, __ATOMIC_ACQUIRE) & 1) != phase && nvme_patience(start))
			;
		at = (at + 1) % 4;
		rest(10);
		SPEC(t, "4.1.1: one entry stays free", p.cq[at].status & 1, p.phase ^ (p.head < 1));
		SPEC(t, "4.1.1: nobody else waits", pair_do(&d, &other, &flush), OK);
		for (unsigned i = 0; i < 63 && !t->failed; i++) {
			if (i < 60 && i % 3 == 0) { /* three in one */
				for (unsigned k = 0; k < 2; k++, i++) {
					start = monotonic_ns();
					while (!pair_has(&p) && nvme_patience(start))
						;
					SPEC_TRUE(t, "4.1.1", pair_take(&d, &p, &c));
					SPEC(t, "6.8", completion_status(&c), OK);
				}
			}
			SPEC(t, "4.1.1", pair_wait(&d, &p, &c), 0);
			SPEC(t, "6.8", completion_status(&c), OK);
		}
		rest(2);
		SPEC_TRUE(t, "4.6: no more", !pair_has(&p));
	}
	nvme_close(&d);
}

/* 5.6: nobody takes what has completed, and the queue is deleted all the same. */
static void deleted_while_full(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair p = {0};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	for (unsigned round = 0; round < 5 && !t->failed; round++) {
		struct completion c;

		SPEC(t, "5.3", pair_create(&d, &p, 1, 64, 2, -1), OK);
		for (unsigned i = 0; i < 63; i++)
			pair_put(&p, &flush);
		nvme_ring_sq(&d, 1, p.tail);
		rest(round * 2);
		SPEC(t, "5.6", queue_delete(&d, ADMIN_DELETE_SQ, 1), OK);
		while (pair_take(&d, &p, &c))
			SPEC_OR(t, "5.6", completion_status(&c), OK, SQ_DELETED);
		SPEC(t, "5.5", queue_delete(&d, ADMIN_DELETE_CQ, 1), OK);
	}
	nvme_close(&d);
}

/* 4.13: all queues at once, each with commands of its own, and nobody's are lost or another's. */
static void many_at_once(struct test *t)
{
	struct pair pairs[MANY] = {0};
	unsigned done[MANY] = {0}, put[MANY] = {0};
	uint64_t state = t->seed, start = monotonic_ns();
	unsigned left = MANY * 200;
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	data = nvme_memory(&d, MANY * 32 * PAGE);
	for (unsigned i = 0; i < MANY; i++)
		SPEC(t, "5.3", pair_create(&d, &pairs[i], MANY - i, 33, 40 + i, -1), OK);
	for (unsigned i = 0; i < MANY * 32; i++)
		pattern_fill(data + (size_t)i * PAGE, PAGE, i);
	while (left && !t->failed && nvme_patience(start)) {
		unsigned k = (unsigned)(random_next(&state) % MANY), give = (unsigned)(random_next(&state) % 8);
		const unsigned before = done[k];
		struct pair *p = &pairs[k];
		const unsigned tail = p->tail;
		struct completion c;

		for (; give && put[k] < 200 && put[k] - done[k] < 32; give--, put[k]++) {
			const unsigned slot = k * 32 + put[k] % 32;
			struct command move = nvme_transfer(&d, put[k] < 100 ? NVM_WRITE : NVM_COMPARE, slot * 8, 8);

			command_point(&d, &move, data + (size_t)slot * PAGE, PAGE, NULL);
			if (put[k] == 100 && done[k] < 100) /* what it wrote has to be there */
				break;
			pair_put(p, &move);
		}
		if (p->tail != tail)
			nvme_ring_sq(&d, p->id, p->tail);
		while (pair_take(&d, p, &c)) {
			SPEC(t, "6.15, 6.6", completion_status(&c), OK);
			SPEC(t, "4.6 SQID", c.sq_id, p->id);
			done[k]++;
			left--;
			start = monotonic_ns();
		}
		if (done[k] != before)
			nvme_ring_cq(&d, p->id, p->head);
	}
	SPEC(t, "4.1: all have completed", left, 0);
	nvme_close(&d);
}

/*
 * How many of a long queue's commands complete before another queue's only one. Both have one completion queue, which
 * tells that whenever the driver looks.
 */
static unsigned completed_before(struct nvme *d, struct pair *p, struct pair *other, uint8_t *data, uint64_t *list)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct command read = nvme_transfer(d, NVM_READ, 0, 256);
	unsigned before = 0;

	command_point(d, &read, data, 256 * BLOCK, list);
	for (unsigned i = 0; i < 1000; i++)
		pair_put(p, &read);
	pair_put(other, &flush);
	nvme_ring_sq(d, p->id, p->tail);
	nvme_ring_sq(d, other->id, other->tail);
	for (unsigned i = 0; i < 1001 && !d->t->failed; i++) {
		struct completion c = {0};

		SPEC(d->t, "6.8, 6.9", pair_wait(d, p, &c), 0);
		SPEC(d->t, "6.8, 6.9", completion_status(&c), OK);
		if (c.sq_id == other->id)
			before = i;
	}
	return before;
}

/* 4.13, doc, queues: served in turn. The driver may be interrupted between two doorbells: one time of many is enough.
 */
static void in_turn(struct test *t)
{
	struct pair p = {0}, other = {.id = 2, .cq_id = 1, .entries = 16};
	unsigned least = 1000;
	uint64_t *list;
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 1024, 1024, -1), OK);
	other.sq = nvme_memory(&d, PAGE);
	SPEC(t, "5.4", sq_create(&d, &other), OK);
	data = nvme_memory(&d, 256 * BLOCK);
	list = nvme_memory(&d, PAGE);
	for (unsigned i = 0; i < 20 && least > 500 && !t->failed; i++) {
		const unsigned before = completed_before(&d, &p, &other, data, list);

		least = before < least ? before : least;
	}
	SPEC_TRUE(t, "doc, queues: are served in turn", least <= 500);
	nvme_close(&d);
}

/* 7.5.1: a vector for each queue, one that two have, and none. */
static void message_interrupts(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair pairs[4] = {0};
	static const int vectors[4] = {1, 64, 1, -1};
	struct nvme d;
	struct {
		uint32_t argsz, flags, index, start, count;
		int32_t fds[VECTORS];
	} set = {sizeof(set), IRQ_EVENTFD | IRQ_TRIGGER, IRQ_MSIX, 0, VECTORS, {0}};
	const int32_t *fds = set.fds;

	if (!nvme_open_only(&d, t, 0))
		return;
	for (unsigned i = 0; i < VECTORS; i++)
		set.fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	SAME(t, door_ioctl(d.rig.device, VFIO_DEVICE_SET_IRQS, &set), 0);
	SPEC(t, "7.6.1", nvme_enable(&d), 0);
	for (unsigned i = 0; i < 4; i++)
		SPEC(t, "5.3", pair_create(&d, &pairs[i], i + 1, 16, 16, vectors[i]), OK);
	SPEC_TRUE(t, "7.5.1: vector 0 is the admin queue's", irq_wait(fds[0], 10000) > 0);
	for (unsigned round = 0; round < 20 && !t->failed; round++) {
		const unsigned k = round % 4;
		struct completion c;

		pair_give(&d, &pairs[k], &flush);
		if (vectors[k] >= 0)
			SPEC(t, "7.5.1", irq_wait(fds[vectors[k]], 20000), 1);
		SPEC(t, "6.8", pair_wait(&d, &pairs[k], &c), 0);
		if (vectors[k] >= 0)
			SPEC_TRUE(t, "7.5.1: the entry comes before the interrupt", completion_status(&c) == OK);
		if (!round) /* The admin queue's last one may have come after its entry, but not after this. */
			irq_wait(fds[0], 0);
	}
	rest(10);
	for (unsigned i = 0; i < VECTORS; i++)
		SPEC(t, "7.5.1: nobody else's", irq_wait(fds[i], 0), 0);
	SAME(t, irq_action(&d.rig, IRQ_MSIX, IRQ_NONE | IRQ_TRIGGER, 0, 0), 0);
	SPEC(t, "6.8: polled", pair_do(&d, &pairs[0], &flush), OK);
	nvme_close(&d);
}

/* A controller that has had nothing to do for longer and longer. The driver does nothing but wait for its interrupt. */
static void after_a_rest(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pair p = {0};
	struct nvme d;

	if (!nvme_open_only(&d, t, 0))
		return;
	SAME(t, irq_set(&d.rig, IRQ_MSIX, 0, fd), 0);
	SPEC(t, "7.6.1", nvme_enable(&d), 0);
	SPEC(t, "5.3", pair_create(&d, &p, 1, 4, 4, 0), OK);
	for (unsigned ms = 1; ms < 1000 && !t->failed; ms *= 3) {
		struct completion c;

		rest(ms);
		irq_wait(fd, 0);
		pair_give(&d, &p, &flush);
		SPEC_TRUE(t, "7.5.1", irq_wait(fd, 20000) > 0);
		SPEC_TRUE(t, "4.6", pair_take(&d, &p, &c));
		SPEC(t, "6.8", completion_status(&c), OK);
		nvme_ring_cq(&d, 1, p.head);
	}
	nvme_close(&d);
}

/* Waits until the line is low, where all has been taken. Returns whether it is. */
static bool line_falls(const struct nvme *d, int fd)
{
	uint64_t start = monotonic_ns();

	do {
		irq_wait(fd, 0);
		irq_action(&d->rig, IRQ_INTX, IRQ_NONE | IRQ_UNMASK, 0, 1);
		if (!irq_wait(fd, 20))
			return true;
	} while (nvme_patience(start));
	return false;
}

/* 7.5.1, 3.1.3, 3.1.4: the line is high while there are completions that the driver has not taken, unless masked. */
static void line_interrupt(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pair p = {0};
	struct completion c;
	struct nvme d;

	if (!nvme_open_only(&d, t, 0))
		return;
	SAME(t, irq_set(&d.rig, IRQ_INTX, 0, fd), 0);
	SPEC(t, "7.6.1", nvme_enable(&d), 0);
	SPEC(t, "5.3", pair_create(&d, &p, 1, 16, 16, 0), OK);
	for (unsigned i = 0; i < 5 && !t->failed; i++) {
		SPEC_TRUE(t, "7.5.1.1: all has been taken", line_falls(&d, fd));
		pair_give(&d, &p, &flush);
		SPEC(t, "7.5.1", irq_wait(fd, 20000), 1);
		SPEC_TRUE(t, "7.5.1: the entry comes before the interrupt", pair_take(&d, &p, &c));
		SAME(t, irq_action(&d.rig, IRQ_INTX, IRQ_NONE | IRQ_UNMASK, 0, 1), 0);
		SPEC(t, "7.5.1.1: the controller was not told", irq_wait(fd, 20000), 1);
		nvme_ring_cq(&d, 1, p.head);
	}
	SPEC_TRUE(t, "7.5.1.1: all has been taken", line_falls(&d, fd));
	nvme_set(&d, REG_INTMS, 1);
	rest(20);
	SPEC(t, "3.1.3", nvme_get(&d, REG_INTMS), 1);
	for (unsigned i = 0; i < 3; i++) /* it may look at the mask only now */
		SPEC(t, "6.8", pair_do(&d, &p, &flush), OK);
	SPEC_TRUE(t, "7.5.1.1: all has been taken", line_falls(&d, fd));
	pair_give(&d, &p, &flush);
	SPEC(t, "3.1.3: masked", irq_wait(fd, 50), 0);
	nvme_set(&d, REG_INTMC, 1);
	SPEC(t, "3.1.4: no more", irq_wait(fd, 20000), 1);
	SPEC(t, "doc, INTMC; 3.1.3", nvme_get(&d, REG_INTMS), 0);
	SPEC(t, "doc, INTMC", nvme_get(&d, REG_INTMC), 0);
	SPEC(t, "6.8", pair_wait(&d, &p, &c), 0);
	nvme_close(&d);
}

/* 2.1.3, 2.1.4 ID and IS: PCI's own mask of the line, and whether it is high. */
static void line_that_pci_disables(struct test *t)
{
	enum { COMMAND = 4, STATUS = 6, INTERRUPT_DISABLE = 1 << 10, INTERRUPT_STATUS = 1 << 3 };
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pair p = {0};
	struct completion c;
	struct nvme d;
	uint64_t start;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 16, 16, 0), OK);
	SAME(t, irq_set(&d.rig, IRQ_INTX, 0, fd), 0);
	SPEC_TRUE(t, "7.5.1.1: all has been taken", line_falls(&d, fd));
	config_write(&d.rig, COMMAND, 2, 6 | INTERRUPT_DISABLE);
	pair_give(&d, &p, &flush);
	SPEC(t, "2.1.3 ID", irq_wait(fd, 50), 0);
	start = monotonic_ns();
	while (!(config_read(&d.rig, STATUS, 2) & INTERRUPT_STATUS) && nvme_patience(start))
		;
	SPEC(t, "2.1.4 IS", config_read(&d.rig, STATUS, 2) & INTERRUPT_STATUS, INTERRUPT_STATUS);
	config_write(&d.rig, COMMAND, 2, 6);
	SPEC(t, "2.1.3 ID: no more", irq_wait(fd, 20000), 1);
	SPEC(t, "6.8", pair_wait(&d, &p, &c), 0);
	start = monotonic_ns();
	while (config_read(&d.rig, STATUS, 2) & INTERRUPT_STATUS && nvme_patience(start))
		;
	SPEC(t, "2.1.4 IS", config_read(&d.rig, STATUS, 2) & INTERRUPT_STATUS, 0);
	nvme_close(&d);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"number_of_queues", number_of_queues},
		{"completion_queues_that_cannot_be", completion_queues_that_cannot_be},
		{"submission_queues_that_cannot_be", submission_queues_that_cannot_be},
		{"deletions_that_cannot_be", deletions_that_cannot_be},
		{"one_completion_queue_for_many", one_completion_queue_for_many},
		{"deleted_with_commands", deleted_with_commands},
		{"two_entries", two_entries},
		{"most_entries", most_entries},
		{"full_completion_queue", full_completion_queue},
		{"deleted_while_full", deleted_while_full},
		{"many_at_once", many_at_once},
		{"in_turn", in_turn},
		{"message_interrupts", message_interrupts},
		{"after_a_rest", after_a_rest},
		{"line_interrupt", line_interrupt},
		{"line_that_pci_disables", line_that_pci_disables},
	};

	return TEST_MAIN(argc, argv, cases);
}
