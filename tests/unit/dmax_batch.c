/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches of dmax. */
#include "fake_dmax.h"

static struct dmax_descriptor fill_of(unsigned n)
{
	return (struct dmax_descriptor){.operation = DMAX_FILL,
					.flags = DMAX_FLAG_RECORD,
					.length = 8,
					.record = record_at(n + 1),
					.destination = TO + (uint64_t)n * 8,
					.value = n + 1};
}

static struct dmax_record batch(struct accelerator *a, uint32_t length)
{
	return run(a, 0, (struct dmax_descriptor){.operation = DMAX_BATCH, .length = length, .source = ARRAY});
}

static void a_batch_is_done_in_order(void)
{
	struct accelerator a;
	struct dmax_record got;

	open_started(&a);
	for (unsigned i = 0; i < 1024; i++)
		array_at(&a, 0, ARRAY)[i] = (struct dmax_descriptor){
			.operation = DMAX_FILL, .length = 8, .destination = TO + i * 4, .value = i};
	array_at(&a, 0, ARRAY)[5].flags = DMAX_FLAG_INTERRUPT;
	got = batch(&a, 1024);
	CHECK_EQ(got.status, DMAX_SUCCESS);
	CHECK_EQ(got.done, 1024);
	CHECK_EQ(got.result, 1024);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 1);
	CHECK_EQ(a.raised[1], 1);
	for (unsigned i = 0; i < 1024; i++)
		CHECK_EQ(a.memory[0][TO + i * 4] | a.memory[0][TO + i * 4 + 1] << 8, i);
	close_accelerator(&a);
}

static void failures_are_counted(void)
{
	struct accelerator a;
	struct dmax_record got;

	open_started(&a);
	for (unsigned i = 0; i < 6; i++)
		array_at(&a, 0, ARRAY)[i] = fill_of(i);
	array_at(&a, 0, ARRAY)[2].operation = 200;
	array_at(&a, 0, ARRAY)[4].flags = 0;
	array_at(&a, 0, ARRAY)[4].destination = MEMORY;
	got = batch(&a, 6);
	CHECK_EQ(got.status, DMAX_BATCH_FAILED);
	CHECK_EQ(got.done, 4);
	CHECK_EQ(got.result, 2);
	CHECK_EQ(got.access, 0);
	CHECK_EQ(got.address, 0);
	CHECK_EQ(record(&a, 0, 2)->status, DMAX_SUCCESS);
	CHECK_EQ(record(&a, 0, 3)->status, DMAX_BAD_OPCODE);
	CHECK_EQ(record(&a, 0, 4)->status, DMAX_SUCCESS);
	CHECK_EQ(record(&a, 0, 5)->status, 0);
	CHECK_EQ(record(&a, 0, 6)->status, DMAX_SUCCESS);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_ENABLED);
	close_accelerator(&a);
}

static void a_failed_batch_without_a_record_halts(void)
{
	struct accelerator a;

	open_started(&a);
	array_at(&a, 0, ARRAY)[0] = (struct dmax_descriptor){.operation = 9};
	put(&a, 0, (struct dmax_descriptor){.operation = DMAX_BATCH, .length = 1, .source = ARRAY});
	look(&a);
	CHECK_EQ(error_of(&a, 0), DMAX_BATCH_FAILED);
	close_accelerator(&a);
}

static void a_fence_stops_after_a_failure(void)
{
	struct accelerator a;
	struct dmax_record got;

	open_started(&a);
	for (unsigned i = 0; i < 6; i++)
		array_at(&a, 0, ARRAY)[i] = fill_of(i);
	array_at(&a, 0, ARRAY)[0].flags |= DMAX_FLAG_FENCE;
	array_at(&a, 0, ARRAY)[1].flags |= DMAX_FLAG_FENCE;
	got = batch(&a, 6);
	CHECK_EQ(got.status, DMAX_SUCCESS);
	memset(a.memory[0] + TO, 0, PAGE);
	array_at(&a, 0, ARRAY)[2].length = 0;
	array_at(&a, 0, ARRAY)[4].flags |= DMAX_FLAG_FENCE | DMAX_FLAG_INTERRUPT | 0x100;
	array_at(&a, 0, ARRAY)[5].operation = DMAX_BATCH;
	got = batch(&a, 6);
	CHECK_EQ(got.status, DMAX_BATCH_FAILED);
	CHECK_EQ(got.done, 3);
	CHECK_EQ(got.result, 2);
	CHECK_EQ(record(&a, 0, 3)->status, DMAX_BAD_LENGTH);
	CHECK_EQ(record(&a, 0, 4)->status, DMAX_SUCCESS);
	CHECK_EQ(record(&a, 0, 5)->status, DMAX_ABANDONED);
	CHECK_EQ(record(&a, 0, 5)->done, 0);
	CHECK_EQ(record(&a, 0, 6)->status, DMAX_ABANDONED);
	CHECK_EQ(a.memory[0][TO + 3 * 8], 4);
	CHECK_EQ(a.memory[0][TO + 4 * 8], 0);
	CHECK_EQ(a.raised[1], 1);
	close_accelerator(&a);
}

/* Of another one, and of itself. */
static void batches_in_batches_are_refused(void)
{
	struct accelerator a;
	struct dmax_record got;

	open_started(&a);
	array_at(&a, 0, ARRAY)[0] = (struct dmax_descriptor){.operation = DMAX_BATCH,
							     .flags = DMAX_FLAG_RECORD,
							     .length = 1,
							     .record = record_at(1),
							     .source = ARRAY};
	got = batch(&a, 1);
	CHECK_EQ(got.status, DMAX_BATCH_FAILED);
	CHECK_EQ(got.done, 0);
	CHECK_EQ(got.result, 0);
	CHECK_EQ(record(&a, 0, 1)->status, DMAX_NESTED);
	/* The ring as an array: the batch is its own second descriptor. */
	put(&a, 0,
	    (struct dmax_descriptor){.operation = DMAX_BATCH,
				     .flags = DMAX_FLAG_RECORD,
				     .length = RING_ENTRIES,
				     .record = record_at(2),
				     .source = RING});
	look(&a);
	CHECK_EQ(record(&a, 0, 2)->status, DMAX_BATCH_FAILED);
	CHECK_EQ(record(&a, 0, 2)->done, RING_ENTRIES - 2);
	CHECK_EQ(record(&a, 0, 0)->status, DMAX_NESTED);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 2);
	close_accelerator(&a);
}

static void an_array_that_ends_is_a_page_fault(void)
{
	struct accelerator a;
	struct dmax_record got;

	open_started(&a);
	for (unsigned i = 0; i < 2; i++) {
		struct dmax_descriptor *array = array_at(&a, 0, MEMORY - PAGE);

		array[62] = fill_of(0);
		array[63] = fill_of(1);
		array[63 - i].operation = i ? 50 : DMAX_NOOP;
		got = run(&a, 0,
			  (struct dmax_descriptor){
				  .operation = DMAX_BATCH, .length = 4, .source = MEMORY - 2 * sizeof(*array)});
		CHECK_EQ(got.status, DMAX_PAGE_FAULT);
		CHECK_EQ(got.access, DMAX_ACCESS_READ);
		CHECK_EQ(got.address, MEMORY);
		CHECK_EQ(got.done, 2 - i);
		CHECK_EQ(got.result, i ? 0 : 2);
	}
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 2);
	close_accelerator(&a);
}

static void an_array_can_be_waited_for(void)
{
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = ARRAY + PAGE - 2 * sizeof(struct dmax_descriptor);

		set_rights(&a, 0, ARRAY + PAGE, 0);
		for (unsigned j = 0; j < 4; j++)
			array_at(&a, 0, at)[j] = fill_of(j);
		memset(record(&a, 0, 0), 0, 32);
		put(&a, 0,
		    (struct dmax_descriptor){.operation = DMAX_BATCH,
					     .flags = DMAX_FLAG_RECORD | DMAX_FLAG_BLOCK,
					     .length = 4,
					     .record = record_at(0),
					     .source = at});
		look(&a);
		CHECK_EQ(state_of(&a, 0), DMAX_STATE_ENABLED | DMAX_STATE_WAITING);
		CHECK_EQ(a.requested, 1);
		CHECK_EQ(a.request[0].address, ARRAY + PAGE);
		CHECK_EQ(record(&a, 0, 2)->status, DMAX_SUCCESS);
		CHECK_EQ(record(&a, 0, 0)->status, 0);
		set_rights(&a, 0, ARRAY + PAGE, IOMMUSE_READ);
		respond(&a, 0, i == 0);
		look(&a);
		CHECK_EQ(record(&a, 0, 0)->status, i ? DMAX_PAGE_FAULT : DMAX_SUCCESS);
		CHECK_EQ(record(&a, 0, 0)->done, i ? 2 : 4);
		CHECK_EQ(record(&a, 0, 0)->result, i ? 2 : 4);
		CHECK_EQ(record(&a, 0, 0)->address, i ? ARRAY + PAGE : 0);
		CHECK_EQ(record(&a, 0, 0)->access, i ? DMAX_ACCESS_READ : 0);
	}
	close_accelerator(&a);
}

static void a_member_can_wait(void)
{
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < 3; i++)
		array_at(&a, 0, ARRAY)[i] = fill_of(i);
	array_at(&a, 0, ARRAY)[1].flags |= DMAX_FLAG_BLOCK;
	array_at(&a, 0, ARRAY)[1].destination = TO + PAGE;
	for (unsigned i = 0; i < 2; i++) {
		set_rights(&a, 0, TO + PAGE, IOMMUSE_READ);
		memset(record(&a, 0, 0), 0, 4 * sizeof(struct dmax_record));
		put(&a, 0,
		    (struct dmax_descriptor){.operation = DMAX_BATCH,
					     .flags = DMAX_FLAG_RECORD,
					     .length = 3,
					     .record = RECORDS,
					     .source = ARRAY});
		look(&a);
		CHECK_EQ(a.requested, 1);
		CHECK_EQ(a.request[0].access, IOMMUSE_WRITE);
		CHECK_EQ(record(&a, 0, 3)->status, 0);
		if (i)
			set_rights(&a, 0, TO + PAGE, IOMMUSE_WRITE);
		respond(&a, 0, i);
		look(&a);
		CHECK_EQ(record(&a, 0, 2)->status, i ? DMAX_SUCCESS : DMAX_PAGE_FAULT);
		CHECK_EQ(record(&a, 0, 2)->address, i ? 0 : TO + PAGE);
		CHECK_EQ(record(&a, 0, 2)->access, i ? 0 : DMAX_ACCESS_WRITE);
		CHECK_EQ(record(&a, 0, 3)->status, DMAX_SUCCESS);
		CHECK_EQ(record(&a, 0, 0)->status, i ? DMAX_SUCCESS : DMAX_BATCH_FAILED);
		CHECK_EQ(record(&a, 0, 0)->done, 2 + i);
	}
	close_accelerator(&a);
}

static void a_members_record_that_cannot_be_written_halts(void)
{
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < 3; i++)
		array_at(&a, 0, ARRAY)[i] = fill_of(i);
	array_at(&a, 0, ARRAY)[1].record = 8;
	put(&a, 0,
	    (struct dmax_descriptor){.operation = DMAX_BATCH,
				     .flags = DMAX_FLAG_RECORD,
				     .length = 3,
				     .record = RECORDS,
				     .source = ARRAY});
	look(&a);
	CHECK_EQ(error_of(&a, 0), DMAX_ERROR_RECORD);
	CHECK_EQ(get64(&a, DMAX_QUEUE(0) + DMAX_Q_ERROR_ADDRESS), 8);
	CHECK_EQ(record(&a, 0, 0)->status, 0);
	CHECK_EQ(a.memory[0][TO + 16], 0);
	/* Nothing of it is left. */
	command(&a, 0, DMAX_COMMAND_START);
	array_at(&a, 0, ARRAY)[0].record = record_at(4);
	array_at(&a, 0, ARRAY)[1].record = record_at(5);
	CHECK_EQ(batch(&a, 3).done, 3);
	close_accelerator(&a);
}

static void a_batch_is_stopped_in_the_middle(void)
{
	struct accelerator a;

	open_started(&a);
	for (unsigned i = 0; i < 1000; i++)
		array_at(&a, 0, ARRAY)[i] = (struct dmax_descriptor){
			.operation = DMAX_FILL, .length = 1, .destination = TO + i, .value = 1};
	put(&a, 0,
	    (struct dmax_descriptor){.operation = DMAX_BATCH,
				     .flags = DMAX_FLAG_RECORD,
				     .length = 1000,
				     .record = RECORDS,
				     .source = ARRAY});
	CHECK(dmax_model.poll(a.state));
	command(&a, 0, DMAX_COMMAND_STOP);
	CHECK(!dmax_model.poll(a.state));
	CHECK_EQ(record(&a, 0, 0)->status, 0);
	CHECK_EQ(a.memory[0][TO], 1);
	CHECK_EQ(a.memory[0][TO + 999], 0);
	command(&a, 0, DMAX_COMMAND_START);
	CHECK_EQ(batch(&a, 1000).done, 1000);
	CHECK_EQ(a.memory[0][TO + 999], 1);
	close_accelerator(&a);
}

int main(void)
{
	a_batch_is_done_in_order();
	failures_are_counted();
	a_failed_batch_without_a_record_halts();
	a_fence_stops_after_a_failure();
	batches_in_batches_are_refused();
	an_array_that_ends_is_a_page_fault();
	an_array_can_be_waited_for();
	a_member_can_wait();
	a_members_record_that_cannot_be_written_halts();
	a_batch_is_stopped_in_the_middle();
	return check_result();
}
