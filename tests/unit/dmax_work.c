/* SPDX-License-Identifier: BSD-3-Clause */
/* What dmax does with memory, and what its records say of it. */
#include "fake_dmax.h"

static void check_record(struct dmax_record got, unsigned status, uint32_t done, uint64_t result)
{
	CHECK_EQ(got.status, status);
	CHECK_EQ(got.access, 0);
	CHECK_EQ(got.reserved0, 0);
	CHECK_EQ(got.done, done);
	CHECK_EQ(got.address, 0);
	CHECK_EQ(got.result, result);
	CHECK_EQ(got.reserved1, 0);
}

static void copies_are_whole_and_no_more(void)
{
	static const uint32_t sizes[] = {1, 2, 63, 4095, 4096, 4097, 65535, 65536, 65537, 131072};
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t n = sizes[i];

		memset(a.memory[0] + TO, 0xee, MEMORY - TO);
		check_record(
			run(&a, i,
			    (struct dmax_descriptor){
				    .operation = DMAX_COPY, .length = n, .source = FROM + 3, .destination = TO + 5}),
			DMAX_SUCCESS, n, 0);
		CHECK(!memcmp(a.memory[0] + TO + 5, a.memory[0] + FROM + 3, n));
		CHECK_EQ(a.memory[0][TO + 4], 0xee);
		CHECK_EQ(a.memory[0][TO + 5 + n], 0xee);
	}
	close_accelerator(&a);
}

static void a_fill_repeats_its_eight_bytes(void)
{
	static const uint32_t sizes[] = {1, 7, 8, 9, 4097, 65535, 65536, 65539, 150001};
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t value = UINT64_C(0xfedcba9876543210) * (i + 1);
		unsigned wrong = 0;

		memset(a.memory[0] + TO, 0xee, MEMORY - TO);
		check_record(
			run(&a, i,
			    (struct dmax_descriptor){
				    .operation = DMAX_FILL, .length = sizes[i], .destination = TO + 3, .value = value}),
			DMAX_SUCCESS, sizes[i], 0);
		for (unsigned j = 0; j < sizes[i]; j++)
			wrong += a.memory[0][TO + 3 + j] != (uint8_t)(value >> j % 8 * 8);
		CHECK_EQ(wrong, 0);
		CHECK_EQ(a.memory[0][TO + 2], 0xee);
		CHECK_EQ(a.memory[0][TO + 3 + sizes[i]], 0xee);
	}
	close_accelerator(&a);
}

/* Two queues fill at once, each with its own. */
static void fills_do_not_mix(void)
{
	struct accelerator a;
	unsigned wrong = 0;

	open_started(&a);
	start_with(&a, 1, 1);
	for (unsigned queue = 0; queue < 2; queue++)
		put(&a, queue,
		    (struct dmax_descriptor){.operation = DMAX_FILL,
					     .length = MEMORY - TO,
					     .destination = TO,
					     .value = queue ? UINT64_C(0x2222222222222222) : 0});
	memset(a.memory[0] + TO, 0xee, MEMORY - TO);
	look(&a);
	for (unsigned i = TO; i < MEMORY; i++)
		wrong += a.memory[0][i] != 0 || a.memory[1][i] != 0x22;
	CHECK_EQ(wrong, 0);
	close_accelerator(&a);
}

static void a_comparison_finds_the_first_difference(void)
{
	static const uint32_t differs[] = {0, 1, 4095, 4096, 65535, 65536, 65537, 99999};
	struct accelerator a;
	struct dmax_descriptor d = {.operation = DMAX_COMPARE, .length = 100000, .source = FROM, .destination = TO + 1};

	open_started(&a);
	memcpy(a.memory[0] + TO + 1, a.memory[0] + FROM, 100000);
	check_record(run(&a, 0, d), DMAX_SUCCESS, 100000, 100000);
	for (unsigned i = sizeof(differs) / sizeof(differs[0]); i--;) {
		a.memory[0][TO + 1 + differs[i]] ^= 0x80;
		check_record(run(&a, 1, d), DMAX_SUCCESS, differs[i], differs[i]);
	}
	/* The same memory is the same. */
	d.destination = d.source + 0;
	check_record(run(&a, 2, d), DMAX_SUCCESS, 100000, 100000);
	close_accelerator(&a);
}

static uint64_t sum(struct accelerator *a, uint32_t length, uint64_t value)
{
	struct dmax_record got = run(
		a, 0,
		(struct dmax_descriptor){.operation = DMAX_CHECKSUM, .length = length, .source = FROM, .value = value});

	CHECK_EQ(got.status, DMAX_SUCCESS);
	CHECK_EQ(got.done, length);
	return got.result;
}

/* The first are those of RFC 3720, B.4. */
static void checksums_are_crc32c(void)
{
	struct accelerator a;
	uint8_t *from = a.memory[0] + FROM;

	open_started(&a);
	memset(from, 0, 32);
	CHECK_EQ(sum(&a, 32, 0), 0x8a9136aa);
	memset(from, 0xff, 32);
	CHECK_EQ(sum(&a, 32, 0), 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		from[i] = (uint8_t)i;
	CHECK_EQ(sum(&a, 32, 0), 0x46dd794e);
	for (unsigned i = 0; i < 32; i++)
		from[i] = (uint8_t)(31 - i);
	CHECK_EQ(sum(&a, 32, 0), 0x113fdb5c);
	for (unsigned i = 0; i < 9; i++)
		from[i] = (uint8_t)('1' + i);
	CHECK_EQ(sum(&a, 9, 0), 0xe3069283);
	CHECK_EQ(sum(&a, 1, 0), 0x90f599e3);
	close_accelerator(&a);
}

static void checksums_go_on_from_others(void)
{
	struct accelerator a;
	uint64_t whole, first;

	open_started(&a);
	whole = sum(&a, 130000, 0);
	CHECK(!(whole >> 32));
	first = sum(&a, 77777, 0);
	memmove(a.memory[0] + FROM, a.memory[0] + FROM + 77777, 130000 - 77777);
	CHECK_EQ(sum(&a, 130000 - 77777, first | UINT64_C(0xabcd) << 32), whole);
	close_accelerator(&a);
}

static void nothing_is_done_by_a_noop(void)
{
	struct accelerator a;
	struct dmax_descriptor d = {.operation = DMAX_NOOP,
				    .flags = DMAX_FLAG_BLOCK,
				    .length = UINT32_MAX,
				    .source = UINT64_MAX,
				    .destination = 1,
				    .value = 2};

	open_started(&a);
	check_record(run(&a, 0, d), DMAX_SUCCESS, 0, 0);
	d.flags = 0;
	put(&a, 0, d);
	look(&a);
	CHECK_EQ(get(&a, DMAX_QUEUE(0) + DMAX_Q_HEAD), 2);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_ENABLED);
	close_accelerator(&a);
}

static void what_is_wrong_is_told(void)
{
	static const struct {
		struct dmax_descriptor d;
		uint8_t status;
	} wrong[] = {
		{{.operation = 6}, DMAX_BAD_OPCODE},
		{{.operation = 255, .flags = 0xfff0, .reserved0 = 1}, DMAX_BAD_OPCODE},
		{{.operation = DMAX_NOOP, .flags = 0x10}, DMAX_BAD_FLAGS},
		{{.operation = DMAX_NOOP, .flags = 0x8000, .reserved0 = 1}, DMAX_BAD_FLAGS},
		{{.operation = DMAX_NOOP, .flags = DMAX_FLAG_FENCE}, DMAX_BAD_FLAGS},
		{{.operation = DMAX_NOOP, .reserved0 = 1}, DMAX_BAD_RESERVED},
		{{.operation = DMAX_COPY, .reserved1 = {1}}, DMAX_BAD_RESERVED},
		{{.operation = DMAX_COPY, .length = 1, .reserved1 = {0, 1}}, DMAX_BAD_RESERVED},
		{{.operation = DMAX_COPY, .length = 1, .reserved1 = {0, 0, UINT64_C(1) << 63}}, DMAX_BAD_RESERVED},
		{{.operation = DMAX_COPY, .source = UINT64_MAX}, DMAX_BAD_LENGTH},
		{{.operation = DMAX_FILL}, DMAX_BAD_LENGTH},
		{{.operation = DMAX_COMPARE, .length = 0x80000000}, DMAX_BAD_LENGTH},
		{{.operation = DMAX_CHECKSUM, .length = UINT32_MAX}, DMAX_BAD_LENGTH},
		{{.operation = DMAX_BATCH}, DMAX_BAD_LENGTH},
		{{.operation = DMAX_BATCH, .length = 1025}, DMAX_BAD_LENGTH},
		{{.operation = DMAX_COPY, .length = 2, .source = UINT64_MAX}, DMAX_BAD_ADDRESS},
		{{.operation = DMAX_COPY, .length = 2, .destination = UINT64_MAX}, DMAX_BAD_ADDRESS},
		{{.operation = DMAX_FILL, .length = 0x7fffffff, .destination = UINT64_MAX - 1000}, DMAX_BAD_ADDRESS},
		{{.operation = DMAX_COMPARE, .length = 2, .destination = UINT64_MAX}, DMAX_BAD_ADDRESS},
		{{.operation = DMAX_CHECKSUM, .length = 2, .source = UINT64_MAX}, DMAX_BAD_ADDRESS},
		{{.operation = DMAX_BATCH, .length = 1, .source = 32}, DMAX_BAD_ADDRESS},
		{{.operation = DMAX_BATCH, .length = 2, .source = UINT64_MAX - 63}, DMAX_BAD_ADDRESS},
		{{.operation = DMAX_COPY, .length = 1, .source = FROM, .destination = FROM}, DMAX_OVERLAP},
		{{.operation = DMAX_COPY, .length = 9, .source = FROM, .destination = FROM + 8}, DMAX_OVERLAP},
		{{.operation = DMAX_COPY, .length = 9, .source = FROM + 8, .destination = FROM}, DMAX_OVERLAP},
		{{.operation = DMAX_COPY, .length = 0x7fffffff, .destination = 0x7ffffffe}, DMAX_OVERLAP},
	};
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint8_t before[64];

		memcpy(before, a.memory[0] + FROM, sizeof(before));
		check_record(run(&a, i, wrong[i].d), wrong[i].status, 0, 0);
		CHECK(!memcmp(before, a.memory[0] + FROM, sizeof(before)));
	}
	/* The next to these are right. */
	check_record(run(&a, 0,
			 (struct dmax_descriptor){
				 .operation = DMAX_COPY, .length = 8, .source = FROM, .destination = FROM + 8}),
		     DMAX_SUCCESS, 8, 0);
	check_record(run(&a, 0,
			 (struct dmax_descriptor){.operation = DMAX_FILL, .length = 2, .destination = UINT64_MAX - 1}),
		     DMAX_SUCCESS, 2, 0);
	check_record(
		run(&a, 0, (struct dmax_descriptor){.operation = DMAX_NOOP, .source = 1, .destination = 2, .value = 3}),
		DMAX_SUCCESS, 0, 0);
	CHECK_EQ(error_of(&a, 0), 0);
	close_accelerator(&a);
}

/* Polls until the record is written. Returns how often; no poll moves more than it should. */
static unsigned polls(struct accelerator *a, uint64_t most)
{
	unsigned n = 0;

	while (!record(a, 0, 0)->status && n < 100000) {
		a->moved = 0;
		CHECK(dmax_model.poll(a->state));
		CHECK(a->moved <= most);
		n++;
	}
	return n;
}

static void the_largest_are_done_piece_by_piece(void)
{
	static const uint8_t operations[] = {DMAX_COPY, DMAX_FILL};
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < 2; i++) {
		memset(record(&a, 0, 0), 0, 32);
		put(&a, 0,
		    (struct dmax_descriptor){.operation = operations[i],
					     .flags = DMAX_FLAG_RECORD,
					     .length = 0x7fffffff,
					     .record = RECORDS,
					     .source = HUGE_MEMORY,
					     .destination = HUGE_MEMORY * 2});
		CHECK(polls(&a, (1 << 20) + 4096) >= 2048);
		check_record(*record(&a, 0, 0), DMAX_SUCCESS, 0x7fffffff, 0);
	}
	close_accelerator(&a);
}

/* Those that end early have looked at as much. */
static void a_poll_of_short_work_is_short(void)
{
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < 1024; i++)
		array_at(&a, 0, ARRAY)[i] = (struct dmax_descriptor){
			.operation = DMAX_COMPARE, .length = 1 << 20, .source = FROM, .destination = HUGE_MEMORY};
	put(&a, 0,
	    (struct dmax_descriptor){.operation = DMAX_BATCH,
				     .flags = DMAX_FLAG_RECORD,
				     .length = 1024,
				     .record = RECORDS,
				     .source = ARRAY});
	memset(a.memory[0] + FROM, 1, 65536);
	CHECK(polls(&a, (2 << 20) + 65536) >= 64);
	CHECK_EQ(record(&a, 0, 0)->done, 1024);
	close_accelerator(&a);
}

static void no_queue_waits_for_another_one(void)
{
	struct accelerator a;

	open_accelerator(&a, "8");
	for (unsigned i = 0; i < 8; i++)
		start_with(&a, i, i % SPACES);
	for (unsigned i = 0; i < 7; i++)
		array_at(&a, i % SPACES, RING)[0] = (struct dmax_descriptor){
			.operation = DMAX_COPY, .length = 0x7fffffff, .source = HUGE_MEMORY, .destination = 0};
	for (unsigned space = 0; space < SPACES; space++)
		array_at(&a, space, RING)[0].destination = HUGE_MEMORY * 4;
	for (unsigned i = 0; i < 7; i++)
		*door(&a, i, DMAX_D_TAIL) = 1;
	CHECK(dmax_model.poll(a.state));
	set64(&a, DMAX_QUEUE(7) + DMAX_Q_BASE, ARRAY); /* ignored: it is enabled */
	command(&a, 7, DMAX_COMMAND_STOP);
	set64(&a, DMAX_QUEUE(7) + DMAX_Q_BASE, ARRAY);
	command(&a, 7, DMAX_COMMAND_START);
	array_at(&a, 7 % SPACES, ARRAY)[0] =
		(struct dmax_descriptor){.operation = DMAX_NOOP, .flags = DMAX_FLAG_RECORD, .record = record_at(0)};
	*door(&a, 7, DMAX_D_TAIL) = 1;
	a.moved = 0;
	CHECK(dmax_model.poll(a.state));
	CHECK_EQ(record(&a, 7 % SPACES, 0)->status, DMAX_SUCCESS);
	CHECK(a.moved <= (1 << 20) + 4096);
	for (unsigned i = 0; i < 7; i++)
		CHECK_EQ(*door(&a, i, DMAX_D_HEAD), 0);
	close_accelerator(&a);
}

int main(void)
{
	copies_are_whole_and_no_more();
	a_fill_repeats_its_eight_bytes();
	fills_do_not_mix();
	a_comparison_finds_the_first_difference();
	checksums_are_crc32c();
	checksums_go_on_from_others();
	nothing_is_done_by_a_noop();
	what_is_wrong_is_told();
	the_largest_are_done_piece_by_piece();
	a_poll_of_short_work_is_short();
	no_queue_waits_for_another_one();
	return check_result();
}
