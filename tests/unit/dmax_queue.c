/* SPDX-License-Identifier: BSD-3-Clause */
/* The registers of dmax, its rings and doorbells, and its states. */
#include "fake_dmax.h"

static const struct dmax_descriptor noop = {.operation = DMAX_NOOP};

static void queues_are_counted(void)
{
	static const char *const bad[] = {"", "0", "9", "10", "4 ", "-1", "x"};
	struct accelerator a = {.base.ops = &fake_ops};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a.queues = bad[i];
		CHECK_EQ(dmax_model.create(&a.base, &a.state), -EINVAL);
	}
	open_accelerator(&a, "1");
	CHECK_EQ(get(&a, DMAX_QUEUES), 1);
	CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_VECTOR), 1);
	CHECK_EQ(get(&a, DMAX_QUEUE(1) + DMAX_Q_VECTOR), 0);
	start_with(&a, 1, 0);
	CHECK_EQ(get(&a, DMAX_QUEUE(1) + DMAX_Q_STATE), 0);
	CHECK_EQ(get64(&a, DMAX_QUEUE(1) + DMAX_Q_BASE), 0);
	close_accelerator(&a);
	open_accelerator(&a, "8");
	CHECK_EQ(get(&a, DMAX_QUEUES), 8);
	start_with(&a, 7, 0);
	CHECK_EQ(state_of(&a, 7), DMAX_STATE_ENABLED);
	close_accelerator(&a);
}

static void registers_are_as_documented(void)
{
	struct accelerator a;

	open_accelerator(&a, "4");
	set(&a, DMAX_CONTROL, DMAX_CONTROL_RESET);
	CHECK_EQ(dmax_model.vendor, DMAX_VENDOR);
	CHECK_EQ(dmax_model.device, DMAX_DEVICE);
	CHECK_EQ(dmax_model.msix_vectors, DMAX_VECTORS);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(get(&a, DMAX_ID), DMAX_ID_VALUE);
		CHECK_EQ(get(&a, DMAX_VERSION), 0x10000);
		CHECK_EQ(get(&a, DMAX_QUEUES), 4);
		CHECK_EQ(get(&a, DMAX_OPERATIONS), 0x3f);
		CHECK_EQ(get(&a, DMAX_MAX_TRANSFER), 0x7fffffff);
		CHECK_EQ(get(&a, DMAX_MAX_BATCH), 1024);
		CHECK_EQ(get(&a, DMAX_MAX_RING), 32768);
		CHECK_EQ(get(&a, 0x1c), 0);
		CHECK_EQ(get(&a, DMAX_CONTROL), 0);
		CHECK_EQ(get(&a, DMAX_STATUS), 0);
		CHECK_EQ(get(&a, DMAX_ERRORS), 0);
		CHECK_EQ(get(&a, 0xfc), 0);
		CHECK_EQ(get(&a, DMAX_QUEUE(8)), 0);
		CHECK_EQ(get(&a, 0x3ffc), 0);
		for (unsigned at = 0; at < 0x4000; at += 4)
			if (at != DMAX_CONTROL && (at < DMAX_QUEUE(0) || at >= DMAX_QUEUE(8)))
				set(&a, at, 0xffffffff);
	}
	set(&a, DMAX_CONTROL, ~(uint32_t)DMAX_CONTROL_RESET);
	CHECK_EQ(get(&a, DMAX_CONTROL), DMAX_CONTROL_ENABLE);
	CHECK_EQ(get(&a, DMAX_STATUS), DMAX_STATUS_ENABLED);
	set(&a, DMAX_CONTROL, 0);
	CHECK_EQ(get(&a, DMAX_STATUS), 0);
	close_accelerator(&a);
}

static void registers_of_a_queue_are_as_documented(void)
{
	static const uint64_t after_reset[] = {0, 0, 2, 0, 0, 0, 0, 0};
	const unsigned at = DMAX_QUEUE(1);
	struct accelerator a;

	open_accelerator(&a, "4");
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(get64(&a, at + 8 * i), after_reset[i]);
	for (unsigned i = 0x18; i < 0x40; i += 4)
		set(&a, at + i, 0xffffffff);
	set64(&a, at + DMAX_Q_BASE, UINT64_C(0x123456789abcdef0));
	set64(&a, at + DMAX_Q_SIZE, UINT64_C(0xffffffffeeeeeeee));
	set(&a, at + DMAX_Q_VECTOR, 0xdddddddd);
	CHECK_EQ(get64(&a, at + DMAX_Q_BASE), UINT64_C(0x123456789abcdef0));
	CHECK_EQ(get(&a, at + DMAX_Q_BASE + 4), 0x12345678);
	CHECK_EQ(get(&a, at + DMAX_Q_SIZE), 0xeeeeeeee);
	CHECK_EQ(get(&a, at + DMAX_Q_PASID), 0xffffffff);
	CHECK_EQ(get64(&a, at + DMAX_Q_VECTOR), 0xdddddddd);
	for (unsigned i = 0x18; i < 0x40; i += 4)
		CHECK_EQ(get(&a, at + i), 0);
	set(&a, at + DMAX_Q_BASE + 4, 0x87654321);
	set(&a, at + DMAX_Q_BASE, 0x40);
	CHECK_EQ(get64(&a, at + DMAX_Q_BASE), UINT64_C(0x8765432100000040));
	close_accelerator(&a);
}

static void small_accesses_read_only(void)
{
	struct accelerator a;

	open_accelerator(&a, "4");
	CHECK_EQ(dmax_model.read(a.state, 0, 0, 1), 'D');
	CHECK_EQ(dmax_model.read(a.state, 0, 3, 1), 'X');
	CHECK_EQ(dmax_model.read(a.state, 0, 2, 2), 'A' | 'X' << 8);
	CHECK_EQ(get64(&a, DMAX_ID), DMAX_ID_VALUE | UINT64_C(0x10000) << 32);
	dmax_model.write(a.state, 0, DMAX_CONTROL, 1, 0);
	dmax_model.write(a.state, 0, DMAX_CONTROL, 2, 0);
	CHECK_EQ(get(&a, DMAX_CONTROL), DMAX_CONTROL_ENABLE);
	close_accelerator(&a);
}

static void a_wrong_configuration_does_not_start(void)
{
	static const struct {
		uint64_t base;
		uint32_t size, pasid, vector;
		unsigned error;
	} cases[] = {
		{RING, 2, 0, 0, 0},
		{RING, 32768, DMAX_PASID_VALID | 0xfffff, 8, 0},
		{RING + 32, 3, 1, 9, DMAX_ERROR_BASE},
		{UINT64_MAX - 127, 2, 0, 0, 0},
		{UINT64_MAX - 63, 2, 0, 0, DMAX_ERROR_BASE},
		{RING, 0, 1, 9, DMAX_ERROR_SIZE},
		{RING, 1, 1, 9, DMAX_ERROR_SIZE},
		{RING, 3, 1, 9, DMAX_ERROR_SIZE},
		{RING, 65536, 1, 9, DMAX_ERROR_SIZE},
		{RING, 0x80000000, 1, 9, DMAX_ERROR_SIZE},
		{RING, 16, 1, 9, DMAX_ERROR_PASID},
		{RING, 16, DMAX_PASID_VALID, 9, DMAX_ERROR_PASID},
		{RING, 16, DMAX_PASID_VALID | 0x100001, 9, DMAX_ERROR_PASID},
		{RING, 16, 0, 9, DMAX_ERROR_VECTOR},
		{RING, 16, 0, UINT32_MAX, DMAX_ERROR_VECTOR},
	};
	struct accelerator a;

	open_accelerator(&a, "4");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned at = DMAX_QUEUE(2), error = cases[i].error;

		set64(&a, at + DMAX_Q_BASE, cases[i].base);
		set(&a, at + DMAX_Q_SIZE, cases[i].size);
		set(&a, at + DMAX_Q_PASID, cases[i].pasid);
		set(&a, at + DMAX_Q_VECTOR, cases[i].vector);
		command(&a, 2, DMAX_COMMAND_START);
		CHECK_EQ(error_of(&a, 2), error);
		CHECK_EQ(get64(&a, at + DMAX_Q_ERROR_ADDRESS), 0);
		CHECK_EQ(state_of(&a, 2), error ? DMAX_STATE_DISABLED : DMAX_STATE_ENABLED);
		CHECK_EQ(get(&a, DMAX_ERRORS), error ? 4 : 0);
		look(&a);
		CHECK_EQ(a.raised[0], 0);
		command(&a, 2, DMAX_COMMAND_STOP);
		CHECK_EQ(error_of(&a, 2), 0);
	}
	close_accelerator(&a);
}

static void a_running_queue_keeps_its_configuration(void)
{
	const unsigned at = DMAX_QUEUE(0);
	struct accelerator a;

	open_started(&a);
	set64(&a, at + DMAX_Q_BASE, 0);
	set64(&a, at + DMAX_Q_SIZE, 0);
	set(&a, at + DMAX_Q_VECTOR, 0);
	CHECK_EQ(get64(&a, at + DMAX_Q_BASE), RING);
	CHECK_EQ(get64(&a, at + DMAX_Q_SIZE), RING_ENTRIES);
	CHECK_EQ(get(&a, at + DMAX_Q_VECTOR), 1);
	put(&a, 0, noop);
	look(&a);
	command(&a, 0, DMAX_COMMAND_START);
	command(&a, 0, 0);
	command(&a, 0, 4);
	command(&a, 0, UINT32_MAX);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 1);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_ENABLED);
	close_accelerator(&a);
}

static void a_ring_goes_round(void)
{
	struct accelerator a;
	unsigned n = 0;

	open_started(&a);
	while (n < 1000) {
		unsigned some = 1 + n % RING_ENTRIES;

		for (unsigned i = 0; i < some; i++)
			put(&a, 0,
			    (struct dmax_descriptor){.operation = DMAX_FILL,
						     .length = 8,
						     .destination = TO + (uint64_t)(n + i) * 8,
						     .value = n + i + 1});
		look(&a);
		n += some;
		CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), n);
		CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_HEAD), n);
		CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_TAIL), n);
	}
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(a.memory[0][TO + i * 8] | a.memory[0][TO + i * 8 + 1] << 8, i + 1);
	close_accelerator(&a);
}

static void a_doorbell_out_of_the_ring_halts(void)
{
	static const uint32_t wrong[] = {3 + RING_ENTRIES + 1, 2, 0, UINT32_MAX, 0x80000003};
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (unsigned j = 0; j < 3; j++)
			put(&a, 0, noop);
		look(&a);
		*door(&a, 0, DMAX_D_TAIL) = 3; /* nothing new */
		look(&a);
		CHECK_EQ(state_of(&a, 0), DMAX_STATE_ENABLED);
		*door(&a, 0, DMAX_D_TAIL) = wrong[i];
		look(&a);
		CHECK_EQ(state_of(&a, 0), DMAX_STATE_HALTED);
		CHECK_EQ(error_of(&a, 0), DMAX_ERROR_DOORBELL);
		CHECK_EQ(get(&a, DMAX_ERRORS), 1);
		CHECK_EQ(a.raised[DMAX_VECTOR_ERRORS], i + 1);
		*door(&a, 0, DMAX_D_TAIL) = 4;
		look(&a);
		CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 3);
		command(&a, 0, DMAX_COMMAND_START);
		CHECK_EQ(error_of(&a, 0), 0);
		CHECK_EQ(*door(&a, 0, DMAX_D_TAIL) | *door(&a, 0, DMAX_D_HEAD), 0);
	}
	close_accelerator(&a);
}

/* Back behind the tail before, though still ahead of the head. */
static void a_doorbell_that_goes_back_halts(void)
{
	struct accelerator a;

	open_started(&a);
	put(&a, 0, (struct dmax_descriptor){.operation = DMAX_FILL, .length = 0x7fffffff, .destination = HUGE_MEMORY});
	put(&a, 0, noop);
	CHECK(dmax_model.poll(a.state));
	*door(&a, 0, DMAX_D_TAIL) = 1;
	look(&a);
	CHECK_EQ(error_of(&a, 0), DMAX_ERROR_DOORBELL);
	CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_TAIL), 2);
	close_accelerator(&a);
}

static void what_drivers_store_to_heads_is_nothing(void)
{
	struct accelerator a;

	open_started(&a);
	memset(a.doorbells + 4, 0xff, PAGE - 4);
	put(&a, 0, noop);
	look(&a);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 1);
	CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_STATE), DMAX_STATE_ENABLED);
	command(&a, 0, DMAX_COMMAND_STOP);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DISABLED);
	close_accelerator(&a);
}

static void interrupts_come_where_they_are_asked_for(void)
{
	struct accelerator a;
	struct dmax_descriptor d = {.operation = DMAX_FILL,
				    .flags = DMAX_FLAG_INTERRUPT | DMAX_FLAG_RECORD,
				    .length = 8,
				    .record = RECORDS,
				    .destination = TO};

	open_accelerator(&a, "4");
	set(&a, DMAX_QUEUE(3) + DMAX_Q_VECTOR, 7);
	start_with(&a, 3, 2);
	put(&a, 3, d);
	look(&a);
	CHECK_EQ(a.raised[7], 1);
	CHECK_EQ(a.last_write, RECORDS);
	CHECK_EQ(a.last_write_size, 1);
	put(&a, 3, noop);
	look(&a);
	CHECK_EQ(a.raised[7], 1);
	d.length = 0;
	put(&a, 3, d);
	look(&a);
	CHECK_EQ(a.raised[7], 2);
	CHECK_EQ(record(&a, 2, 0)->status, DMAX_BAD_LENGTH);
	CHECK_EQ(a.raised[4] | a.raised[0], 0);
	start_with(&a, 1, 1);
	d.flags = DMAX_FLAG_INTERRUPT;
	d.length = 1;
	put(&a, 1, d);
	look(&a);
	CHECK_EQ(a.raised[DMAX_VECTOR_QUEUE(1)], 1);
	close_accelerator(&a);
}

static void a_failure_without_a_record_halts(void)
{
	struct accelerator a;

	open_started(&a);
	put(&a, 0, noop);
	put(&a, 0, (struct dmax_descriptor){.operation = 77, .flags = DMAX_FLAG_INTERRUPT});
	put(&a, 0, noop);
	look(&a);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_HALTED);
	CHECK_EQ(error_of(&a, 0), DMAX_BAD_OPCODE);
	CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), 0);
	CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_HEAD), 1);
	CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_TAIL), 3);
	CHECK_EQ(a.raised[0], 1);
	CHECK_EQ(a.raised[1], 0);
	command(&a, 0, DMAX_COMMAND_START);
	put(&a, 0,
	    (struct dmax_descriptor){.operation = DMAX_COPY, .length = 64, .source = FROM, .destination = MEMORY - 32});
	look(&a);
	CHECK_EQ(error_of(&a, 0), DMAX_PAGE_FAULT);
	CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), MEMORY);
	command(&a, 0, DMAX_COMMAND_START);
	CHECK_EQ(error_of(&a, 0), 0);
	CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), 0);
	put(&a, 0, (struct dmax_descriptor){.operation = DMAX_FILL, .length = 1, .destination = MEMORY});
	look(&a);
	CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), MEMORY);
	command(&a, 0, DMAX_COMMAND_STOP);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DISABLED);
	CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), 0);
	CHECK_EQ(get(&a, DMAX_ERRORS), 0);
	close_accelerator(&a);
}

static void a_record_that_cannot_be_written_halts(void)
{
	static const uint64_t wrong[] = {RECORDS + 1, RECORDS + 16, MEMORY, UINT64_MAX - 31};
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		put(&a, 0,
		    (struct dmax_descriptor){.operation = DMAX_NOOP, .flags = DMAX_FLAG_RECORD, .record = wrong[i]});
		if (wrong[i] > HUGE_MEMORY)
			continue;
		look(&a);
		CHECK_EQ(error_of(&a, 0), DMAX_ERROR_RECORD);
		CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), wrong[i]);
		CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 0);
		command(&a, 0, DMAX_COMMAND_START);
	}
	look(&a);
	CHECK_EQ(error_of(&a, 0), 0);
	close_accelerator(&a);
}

static void a_ring_that_cannot_be_read_halts(void)
{
	struct accelerator a;

	open_started(&a);
	set_rights(&a, 0, RING, 0);
	put(&a, 0, noop);
	look(&a);
	CHECK_EQ(error_of(&a, 0), DMAX_ERROR_RING);
	CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), RING);
	CHECK_EQ(a.requested, 0);
	set_rights(&a, 0, RING, IOMMUSE_READ);
	command(&a, 0, DMAX_COMMAND_START);
	put(&a, 0, noop);
	look(&a);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 1);
	close_accelerator(&a);
}

/* What can be read of it is carried out before. */
static void a_ring_that_can_be_read_in_part_halts_there(void)
{
	struct accelerator a;

	open_accelerator(&a, "4");
	set64(&a, DMAX_QUEUE(0) + DMAX_Q_BASE, RING + PAGE - 5 * sizeof(noop));
	set(&a, DMAX_QUEUE(0) + DMAX_Q_SIZE, RING_ENTRIES);
	command(&a, 0, DMAX_COMMAND_START);
	set_rights(&a, 0, RING + PAGE, IOMMUSE_WRITE);
	*door(&a, 0, DMAX_D_TAIL) = 7;
	look(&a);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 5);
	CHECK_EQ(error_of(&a, 0), DMAX_ERROR_RING);
	CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), RING + PAGE);
	close_accelerator(&a);
}

/* Nothing that was read for later is left when it starts anew. */
static void a_restart_reads_the_ring_again(void)
{
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < 8; i++)
		array_at(&a, 0, RING)[i] = (struct dmax_descriptor){.operation = DMAX_FILL,
								    .length = i ? 8 : 4 << 20,
								    .destination = i ? TO : HUGE_MEMORY,
								    .value = 1};
	*door(&a, 0, DMAX_D_TAIL) = 8;
	CHECK(dmax_model.poll(a.state));
	command(&a, 0, DMAX_COMMAND_STOP);
	command(&a, 0, DMAX_COMMAND_START);
	for (unsigned i = 0; i < 8; i++)
		put(&a, 0,
		    (struct dmax_descriptor){.operation = DMAX_FILL, .length = 8, .destination = TO, .value = 2});
	look(&a);
	CHECK_EQ(a.memory[0][TO], 2);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 8);
	close_accelerator(&a);
}

static void a_queue_drains(void)
{
	struct accelerator a;

	open_started(&a);
	command(&a, 0, DMAX_COMMAND_DRAIN);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DISABLED);
	CHECK_EQ(a.raised[1], 1);
	command(&a, 0, DMAX_COMMAND_DRAIN);
	CHECK_EQ(a.raised[1], 1);
	command(&a, 0, DMAX_COMMAND_START);
	put(&a, 0, (struct dmax_descriptor){.operation = DMAX_FILL, .length = 4 << 20, .destination = HUGE_MEMORY});
	put(&a, 0, noop);
	command(&a, 0, DMAX_COMMAND_DRAIN);
	put(&a, 0, noop);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DRAINING);
	CHECK(dmax_model.poll(a.state));
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DRAINING);
	command(&a, 0, DMAX_COMMAND_START);
	set(&a, DMAX_QUEUE(0) + DMAX_Q_SIZE, 0);
	CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_SIZE), RING_ENTRIES);
	look(&a);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DISABLED);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 2);
	CHECK_EQ(a.raised[1], 2);
	/* What is wrong in the doorbell is found by the last look. */
	command(&a, 0, DMAX_COMMAND_START);
	*door(&a, 0, DMAX_D_TAIL) = RING_ENTRIES + 1;
	command(&a, 0, DMAX_COMMAND_DRAIN);
	CHECK_EQ(error_of(&a, 0), DMAX_ERROR_DOORBELL);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_HALTED);
	close_accelerator(&a);
}

/* What was read of the ring before is not what is there after a restart. */
static void a_queue_that_was_drained_reads_the_ring_again(void)
{
	struct accelerator a;

	open_started(&a);
	for (uint8_t value = 1; value <= 2; value++) {
		for (unsigned i = 0; i < 4; i++)
			put(&a, 0,
			    (struct dmax_descriptor){
				    .operation = DMAX_FILL, .length = 8, .destination = TO, .value = value});
		command(&a, 0, DMAX_COMMAND_DRAIN);
		look(&a);
		CHECK_EQ(state_of(&a, 0), DMAX_STATE_DISABLED);
		CHECK_EQ(a.memory[0][TO], value);
		command(&a, 0, DMAX_COMMAND_START);
	}
	close_accelerator(&a);
}

static void a_stop_drops_what_is_under_way(void)
{
	struct accelerator a;

	open_started(&a);
	put(&a, 0,
	    (struct dmax_descriptor){.operation = DMAX_FILL,
				     .flags = DMAX_FLAG_RECORD | DMAX_FLAG_INTERRUPT,
				     .length = 4 << 20,
				     .record = RECORDS,
				     .destination = HUGE_MEMORY});
	CHECK(dmax_model.poll(a.state));
	command(&a, 0, DMAX_COMMAND_STOP);
	a.moved = 0;
	CHECK(!dmax_model.poll(a.state));
	CHECK_EQ(a.moved, 0);
	CHECK_EQ(record(&a, 0, 0)->status, 0);
	CHECK_EQ(a.raised[1], 0);
	/* It begins anew. */
	command(&a, 0, DMAX_COMMAND_START);
	put(&a, 0, noop);
	look(&a);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 1);
	close_accelerator(&a);
}

static void nothing_is_done_while_it_is_disabled(void)
{
	struct accelerator a;

	open_started(&a);
	put(&a, 0, (struct dmax_descriptor){.operation = DMAX_FILL, .length = 4 << 20, .destination = HUGE_MEMORY});
	CHECK(dmax_model.poll(a.state));
	set(&a, DMAX_CONTROL, 0);
	a.moved = 0;
	CHECK(!dmax_model.poll(a.state));
	command(&a, 0, DMAX_COMMAND_DRAIN);
	CHECK(!dmax_model.poll(a.state));
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DRAINING);
	start_with(&a, 1, 0);
	command(&a, 1, DMAX_COMMAND_DRAIN);
	CHECK_EQ(state_of(&a, 1), DMAX_STATE_DRAINING);
	CHECK_EQ(a.moved, 0);
	CHECK_EQ(a.raised[1] | a.raised[2], 0);
	set(&a, DMAX_CONTROL, DMAX_CONTROL_ENABLE);
	look(&a);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 1);
	CHECK_EQ(a.raised[1], 1);
	CHECK_EQ(a.raised[2], 1);
	close_accelerator(&a);
}

static void check_power_on(struct accelerator *a)
{
	unsigned wrong = 0;

	CHECK_EQ(get(a, DMAX_ERRORS), 0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(state_of(a, i), DMAX_STATE_DISABLED);
		CHECK_EQ(get64(a, DMAX_QUEUE(i) + DMAX_Q_BASE), 0);
		CHECK_EQ(get64(a, DMAX_QUEUE(i) + DMAX_Q_SIZE), 0);
		CHECK_EQ(get(a, DMAX_QUEUE(i) + DMAX_Q_VECTOR), i + 1);
	}
	for (unsigned i = 0; i < sizeof(a->doorbells); i++)
		wrong += a->doorbells[i];
	CHECK_EQ(wrong, 0);
	a->moved = 0;
	CHECK(!dmax_model.poll(a->state));
	set(a, DMAX_CONTROL, DMAX_CONTROL_ENABLE);
	CHECK(!dmax_model.poll(a->state));
	CHECK_EQ(a->moved, 0);
}

static void a_reset_ends_everything(void)
{
	struct accelerator a;

	for (unsigned by = 0; by < 2; by++) {
		open_started(&a);
		start_with(&a, 1, 1);
		start_with(&a, 2, 2);
		memset(a.doorbells + DMAX_DOORBELL(7), 0xaa, PAGE);
		put(&a, 0,
		    (struct dmax_descriptor){.operation = DMAX_FILL, .length = 4 << 20, .destination = HUGE_MEMORY});
		put(&a, 1, (struct dmax_descriptor){.operation = 99});
		put(&a, 2,
		    (struct dmax_descriptor){
			    .operation = DMAX_FILL, .flags = DMAX_FLAG_BLOCK, .length = 1, .destination = MEMORY});
		CHECK(dmax_model.poll(a.state));
		CHECK_EQ(get(&a, DMAX_ERRORS), 2);
		CHECK_EQ(a.requested, 1);
		if (by) {
			memset(a.doorbells, 0, sizeof(a.doorbells));
			a.requested = 0;
			dmax_model.reset(a.state);
		} else {
			set(&a, DMAX_CONTROL, DMAX_CONTROL_RESET | DMAX_CONTROL_ENABLE);
		}
		CHECK_EQ(get(&a, DMAX_CONTROL), 0);
		check_power_on(&a);
		if (!by)
			respond(&a, 0, true);
		check_power_on(&a);
		start_with(&a, 0, 0);
		CHECK_EQ(run(&a, 0, (struct dmax_descriptor){.operation = DMAX_FILL, .length = 1, .destination = TO})
				 .status,
			 DMAX_SUCCESS);
		close_accelerator(&a);
	}
}

int main(void)
{
	queues_are_counted();
	registers_are_as_documented();
	registers_of_a_queue_are_as_documented();
	small_accesses_read_only();
	a_wrong_configuration_does_not_start();
	a_running_queue_keeps_its_configuration();
	a_ring_goes_round();
	a_doorbell_out_of_the_ring_halts();
	a_doorbell_that_goes_back_halts();
	what_drivers_store_to_heads_is_nothing();
	interrupts_come_where_they_are_asked_for();
	a_failure_without_a_record_halts();
	a_record_that_cannot_be_written_halts();
	a_ring_that_cannot_be_read_halts();
	a_ring_that_can_be_read_in_part_halts_there();
	a_restart_reads_the_ring_again();
	a_queue_drains();
	a_queue_that_was_drained_reads_the_ring_again();
	a_stop_drops_what_is_under_way();
	nothing_is_done_while_it_is_disabled();
	a_reset_ends_everything();
	return check_result();
}
