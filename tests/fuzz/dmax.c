/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver of dmax that does anything: registers, doorbells and descriptors of all kinds, pages that come and go,
 * answers that are late or wrong, resets at any moment. Whatever it does, states and counts are what they can be, no
 * poll does too much, and after a reset the device works.
 */
#include "../unit/fake_dmax.h"

#include "fuzz.h"

#define RECORDS_MAX 256U

/* What all queues may move in a poll: the data, which comparisons read twice, and descriptors and records. */
#define POLL_MOST ((2U << 20) + 8 * 64 * 2 * 64 * 8)

struct record {
	uint8_t op, queue, operation, small;
	uint16_t flags, offset;
	uint32_t length, value;
	uint64_t source, destination;
};

static struct accelerator a;

static void must(bool good, const char *what, unsigned queue)
{
	if (!good)
		fuzz_fail("queue %u: %s", queue, what);
}

/* Most addresses are near something. */
static uint64_t place(uint64_t raw)
{
	switch (raw >> 56 & 7) {
	case 0:
		return raw;
	case 1:
		return UINT64_MAX - (raw & 0xffff);
	case 2:
		return HUGE_MEMORY + (raw & 0xffffffff);
	case 3:
		return ARRAY + (raw & 0x3f) * 64;
	case 4:
		return RING + (raw & 0x3f) * 64;
	default:
		return raw % MEMORY;
	}
}

static void describe(const struct record *r, struct dmax_descriptor *d)
{
	*d = (struct dmax_descriptor){.operation = r->operation % 8 ? r->operation % 8 - 1 : r->operation,
				      .flags = r->flags & (r->flags & 0x100 ? 0xffff : 0xf),
				      .length = r->small % 4 ? r->length % 20000 : r->length,
				      .record = RECORDS + (uint64_t)(r->value % 64) * (r->small & 0x40 ? 31 : 32),
				      .source = place(r->source),
				      .destination = place(r->destination),
				      .value = r->value};
	d->reserved0 = r->small == 0xff;
	d->reserved1[r->value % 3] = r->small == 0xfe;
}

static void check_queue(unsigned queue)
{
	const unsigned at = DMAX_QUEUE(queue);
	uint32_t state = get(&a, at + DMAX_Q_STATE), error = get(&a, at + DMAX_Q_ERROR);
	uint32_t outstanding = get(&a, at + DMAX_Q_TAIL) - get(&a, at + DMAX_Q_HEAD);
	bool runs = DMAX_STATE(state) == DMAX_STATE_ENABLED || DMAX_STATE(state) == DMAX_STATE_DRAINING;

	must(DMAX_STATE(state) <= DMAX_STATE_HALTED, "no such state", queue);
	must(!(state & ~(0xfU | DMAX_STATE_WAITING)), "no such state", queue);
	must(!(state & DMAX_STATE_WAITING) || runs, "waits, and does not run", queue);
	must(!runs || !error, "runs, with an error", queue);
	must(DMAX_STATE(state) != DMAX_STATE_HALTED || error, "halted without an error", queue);
	must((error >= 2 && error <= DMAX_ABANDONED) || (error >= DMAX_ERROR_BASE && error <= DMAX_ERROR_RECORD) ||
		     !error,
	     "no such error", queue);
	must(!runs || outstanding <= get(&a, at + DMAX_Q_SIZE), "more than the ring has", queue);
}

static void poll_device(void)
{
	a.moved = 0;
	dmax_model.poll(a.state);
	if (a.moved > POLL_MOST)
		fuzz_fail("%llu bytes in a poll", (unsigned long long)a.moved);
}

static void answer(const struct record *r)
{
	if (r->small % 4 == 0 || !a.requested) {
		dmax_model.page_response(a.state, r->length, r->value % 520, r->flags & 1);
		return;
	}
	if (r->flags & 2)
		set_rights(&a, a.request[0].pasid % SPACES, a.request[0].address % MEMORY, 3);
	respond(&a, r->value % a.requested, r->flags & 1);
}

static void step(const struct record *r)
{
	const unsigned queue = r->queue % DMAX_QUEUES_MAX, space = r->queue / 8 % SPACES;
	static const uint8_t widths[] = {4, 8, 4, 8, 1, 2};
	unsigned width = widths[r->small % sizeof(widths)];

	switch (r->op % 16) {
	case 0:
		dmax_model.write(a.state, 0, r->offset % 0x340 / width * width, width, r->source);
		break;
	case 1:
		command(&a, queue, r->value % 5);
		break;
	case 2:
		start_with(&a, queue, r->value % (SPACES + 1));
		break;
	case 3:
	case 4:
		*door(&a, queue, r->small % 8 ? DMAX_D_TAIL : r->offset % PAGE / 4 * 4) += r->value % 12;
		break;
	case 5:
		*door(&a, queue, DMAX_D_TAIL) = r->value;
		break;
	case 6:
	case 7:
	case 8:
		describe(r, array_at(&a, space, RING) + r->offset % RING_ENTRIES);
		break;
	case 9:
		describe(r, array_at(&a, space, ARRAY) + r->offset % 64);
		break;
	case 10:
		set_rights(&a, space, r->source % MEMORY, r->small % 4);
		break;
	case 11:
		answer(r);
		break;
	case 12:
		set(&a, DMAX_CONTROL, r->small % 8 ? 1 : r->small / 8 % 4);
		a.bus_master = r->small % 16;
		a.refusal = r->small % 32 ? 0 : -EINVAL;
		a.reason = r->small & 0x20 ? IOMMUSE_FAULT_PAGE_REQUEST : IOMMUSE_FAULT_NOT_MAPPED;
		break;
	case 13:
		if (r->small % 8)
			break;
		memset(a.doorbells, 0, sizeof(a.doorbells));
		a.requested = 0;
		dmax_model.reset(a.state);
		break;
	default:
		poll_device();
	}
	if (a.requested == REQUESTS)
		respond(&a, 0, true);
}

/* After all that a reset brings it back. */
static void use_again(void)
{
	struct dmax_record got;

	memset(a.rights, 3, sizeof(a.rights));
	a.bus_master = true;
	set(&a, DMAX_CONTROL, DMAX_CONTROL_RESET);
	set(&a, DMAX_CONTROL, DMAX_CONTROL_ENABLE);
	start_with(&a, 0, 0);
	got = run(&a, 0, (struct dmax_descriptor){.operation = DMAX_FILL, .length = 9, .destination = TO, .value = 1});
	if (got.status != DMAX_SUCCESS || get(&a, DMAX_ERRORS))
		fuzz_fail("after a reset it does not work");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record r;

	if (size / sizeof(r) > RECORDS_MAX)
		return 0;
	open_accelerator(&a, "8");
	for (size_t n = 0; n < size / sizeof(r); n++) {
		memcpy(&r, data + n * sizeof(r), sizeof(r));
		step(&r);
		for (unsigned queue = 0; queue < DMAX_QUEUES_MAX; queue++)
			check_queue(queue);
	}
	use_again();
	close_accelerator(&a);
	if (atomic_load(&checks_failed))
		fuzz_fail("the device did what no device may");
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_records(data, size, max_size, sizeof(struct record), seed);
}
