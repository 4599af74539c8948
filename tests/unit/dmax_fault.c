/* SPDX-License-Identifier: BSD-3-Clause */
/* Page faults of dmax: those that are reported, and those that are waited for. */
#include "fake_dmax.h"

enum { LENGTH = 4 * PAGE };

static void check_fault(struct dmax_record got, unsigned access, uint64_t address, uint32_t done)
{
	CHECK_EQ(got.status, DMAX_PAGE_FAULT);
	CHECK_EQ(got.access, access);
	CHECK_EQ(got.address, address);
	CHECK_EQ(got.done, done);
}

static struct dmax_descriptor copy_of(uint16_t flags)
{
	return (struct dmax_descriptor){.operation = DMAX_COPY,
					.flags = flags | DMAX_FLAG_RECORD,
					.length = LENGTH,
					.record = RECORDS,
					.source = FROM,
					.destination = TO + 8};
}

static void faults_are_reported(void)
{
	struct accelerator a;
	struct dmax_descriptor d = copy_of(0);

	open_started(&a);
	set_rights(&a, 0, TO + 2 * PAGE, IOMMUSE_READ);
	check_fault(run(&a, 0, d), DMAX_ACCESS_WRITE, TO + 2 * PAGE, 2 * PAGE - 8);
	CHECK(!memcmp(a.memory[0] + TO + 8, a.memory[0] + FROM, 2 * PAGE - 8));
	set_rights(&a, 0, FROM + PAGE, IOMMUSE_WRITE);
	check_fault(run(&a, 0, d), DMAX_ACCESS_READ, FROM + PAGE, PAGE);
	set_rights(&a, 0, FROM, 0);
	check_fault(run(&a, 0, d), DMAX_ACCESS_READ, FROM, 0);
	d.operation = DMAX_FILL;
	check_fault(run(&a, 0, d), DMAX_ACCESS_WRITE, TO + 2 * PAGE, 2 * PAGE - 8);
	d.operation = DMAX_CHECKSUM;
	check_fault(run(&a, 0, d), DMAX_ACCESS_READ, FROM, 0);
	CHECK_EQ(a.requested, 0);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 5);
	close_accelerator(&a);
}

static void a_comparison_reports_the_earlier_fault(void)
{
	struct accelerator a;
	struct dmax_descriptor d = copy_of(0);
	struct dmax_record got;

	open_started(&a);
	d.operation = DMAX_COMPARE;
	memcpy(a.memory[0] + TO + 8, a.memory[0] + FROM, LENGTH);
	set_rights(&a, 0, FROM + 2 * PAGE, IOMMUSE_WRITE);
	got = run(&a, 0, d);
	check_fault(got, DMAX_ACCESS_READ, FROM + 2 * PAGE, 2 * PAGE);
	CHECK_EQ(got.result, 2 * PAGE);
	set_rights(&a, 0, TO + PAGE, 0);
	check_fault(run(&a, 0, d), DMAX_ACCESS_READ, TO + PAGE, PAGE - 8);
	/* What can be compared is. */
	a.memory[0][TO + 8 + 100] ^= 1;
	got = run(&a, 0, d);
	CHECK_EQ(got.status, DMAX_SUCCESS);
	CHECK_EQ(got.result, 100);
	close_accelerator(&a);
}

static void a_checksum_reports_what_it_has(void)
{
	struct accelerator a;
	struct dmax_descriptor d = {.operation = DMAX_CHECKSUM, .length = LENGTH, .source = FROM};
	struct dmax_record whole, first;

	open_started(&a);
	whole = run(&a, 0, d);
	set_rights(&a, 0, FROM + 3 * PAGE, 0);
	first = run(&a, 0, d);
	check_fault(first, DMAX_ACCESS_READ, FROM + 3 * PAGE, 3 * PAGE);
	set_rights(&a, 0, FROM + 3 * PAGE, IOMMUSE_READ);
	d.value = first.result;
	d.source = first.address;
	d.length -= first.done;
	CHECK_EQ(run(&a, 0, d).result, whole.result);
	close_accelerator(&a);
}

/* Each page of both sides is missing, and comes when it is asked for. */
static void work_goes_on_where_it_stopped(void)
{
	static const uint8_t operations[] = {DMAX_COPY, DMAX_FILL, DMAX_COMPARE, DMAX_CHECKSUM};
	static const unsigned pages[] = {9, 5, 9, 4};
	struct accelerator a;

	open_accelerator(&a, "4");
	start_with(&a, 2, 1);
	for (unsigned i = 0; i < 4; i++) {
		struct dmax_descriptor d = copy_of(DMAX_FLAG_BLOCK);
		unsigned asked = 0;

		for (unsigned page = 0; page < 5; page++) {
			set_rights(&a, 1, FROM + page * PAGE, 0);
			set_rights(&a, 1, TO + page * PAGE, 0);
		}
		d.operation = operations[i];
		record(&a, 1, 0)->status = 0;
		put(&a, 2, d);
		for (look(&a); a.requested && asked < 100; look(&a)) {
			CHECK_EQ(a.requested, 1);
			CHECK_EQ(a.request[0].pasid, 1);
			CHECK_EQ(state_of(&a, 2), DMAX_STATE_ENABLED | DMAX_STATE_WAITING);
			CHECK_EQ(record(&a, 1, 0)->status, 0);
			set_rights(&a, 1, a.request[0].address,
				   a.rights[1][a.request[0].address / PAGE] | (uint8_t)a.request[0].access);
			respond(&a, 0, true);
			CHECK_EQ(state_of(&a, 2), DMAX_STATE_ENABLED);
			asked++;
		}
		CHECK_EQ(asked, pages[i]);
		CHECK_EQ(record(&a, 1, 0)->status, DMAX_SUCCESS);
		CHECK_EQ(record(&a, 1, 0)->done, operations[i] == DMAX_COMPARE ? record(&a, 1, 0)->result : LENGTH);
		CHECK_EQ(record(&a, 1, 0)->address, 0);
		CHECK_EQ(record(&a, 1, 0)->access, 0);
		if (operations[i] != DMAX_FILL)
			continue;
		memcpy(a.memory[1] + TO + 8, a.memory[1] + FROM, LENGTH);
	}
	close_accelerator(&a);
}

/* In the middle of the eight bytes. */
static void a_fill_goes_on_with_the_right_byte(void)
{
	struct accelerator a;
	unsigned wrong = 0;

	open_started(&a);
	set_rights(&a, 0, TO + PAGE, 0);
	put(&a, 0,
	    (struct dmax_descriptor){.operation = DMAX_FILL,
				     .flags = DMAX_FLAG_BLOCK,
				     .length = 2 * PAGE,
				     .destination = TO + 3,
				     .value = UINT64_C(0xfedcba9876543210)});
	look(&a);
	set_rights(&a, 0, TO + PAGE, IOMMUSE_WRITE);
	respond(&a, 0, true);
	look(&a);
	for (unsigned i = 0; i < 2 * PAGE; i++)
		wrong += a.memory[0][TO + 3 + i] != (uint8_t)(UINT64_C(0xfedcba9876543210) >> i % 8 * 8);
	CHECK_EQ(wrong, 0);
	close_accelerator(&a);
}

static void a_refusal_ends_it(void)
{
	struct accelerator a;

	open_started(&a);
	set_rights(&a, 0, TO + PAGE, IOMMUSE_READ);
	put(&a, 0, copy_of(DMAX_FLAG_BLOCK));
	look(&a);
	CHECK_EQ(a.request[0].address, TO + PAGE);
	CHECK_EQ(a.request[0].access, IOMMUSE_WRITE);
	CHECK_EQ(record(&a, 0, 0)->status, 0);
	/* An answer that nobody waits for. */
	dmax_model.page_response(a.state, 0, a.request[0].group ^ 1, true);
	dmax_model.page_response(a.state, 0, 511, true);
	dmax_model.page_response(a.state, 0, UINT32_MAX, false);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_ENABLED | DMAX_STATE_WAITING);
	respond(&a, 0, false);
	look(&a);
	check_fault(*record(&a, 0, 0), DMAX_ACCESS_WRITE, TO + PAGE, PAGE - 8);
	CHECK_EQ(*door(&a, 0, DMAX_D_HEAD), 1);
	close_accelerator(&a);
}

static void pages_are_not_asked_for_in_vain(void)
{
	static const uint32_t reasons[] = {IOMMUSE_FAULT_PAGE_REQUEST, IOMMUSE_FAULT_NOT_MAPPED};
	struct accelerator a;

	open_started(&a);
	set_rights(&a, 0, FROM, 0);
	for (unsigned i = 0; i < 2; i++) {
		a.reason = reasons[i];
		a.refusal = i ? -EINVAL : 0;
		check_fault(run(&a, 0, copy_of(DMAX_FLAG_BLOCK)), DMAX_ACCESS_READ, FROM, 0);
		CHECK_EQ(a.requested, 0);
	}
	a.refusal = 0;
	a.bus_master = false;
	put(&a, 0, copy_of(DMAX_FLAG_BLOCK));
	look(&a);
	CHECK_EQ(error_of(&a, 0), DMAX_ERROR_RING);
	CHECK_EQ(a.requested, 0);
	close_accelerator(&a);
}

static void a_page_that_never_comes_is_given_up(void)
{
	struct accelerator a;
	unsigned asked = 0;

	open_started(&a);
	set_rights(&a, 0, FROM + PAGE, 0);
	put(&a, 0, copy_of(DMAX_FLAG_BLOCK));
	for (look(&a); a.requested && asked < 100; look(&a)) {
		respond(&a, 0, true);
		asked++;
	}
	CHECK_EQ(asked, 16);
	check_fault(*record(&a, 0, 0), DMAX_ACCESS_READ, FROM + PAGE, PAGE);
	close_accelerator(&a);
}

static void others_go_on_while_one_waits(void)
{
	struct accelerator a;

	open_started(&a);
	start_with(&a, 1, 1);
	set_rights(&a, 0, FROM, 0);
	put(&a, 0, copy_of(DMAX_FLAG_BLOCK));
	look(&a);
	CHECK_EQ(a.requested, 1);
	put(&a, 1, copy_of(DMAX_FLAG_BLOCK));
	look(&a);
	CHECK_EQ(record(&a, 1, 0)->status, DMAX_SUCCESS);
	CHECK_EQ(record(&a, 0, 0)->status, 0);
	/* And both can wait. */
	set_rights(&a, 1, FROM, 0);
	record(&a, 1, 0)->status = 0;
	put(&a, 1, copy_of(DMAX_FLAG_BLOCK));
	look(&a);
	CHECK_EQ(a.requested, 2);
	CHECK(a.request[0].group != a.request[1].group);
	set_rights(&a, 0, FROM, IOMMUSE_READ);
	set_rights(&a, 1, FROM, IOMMUSE_READ);
	respond(&a, 1, true);
	look(&a);
	CHECK_EQ(record(&a, 1, 0)->status, DMAX_SUCCESS);
	CHECK_EQ(record(&a, 0, 0)->status, 0);
	respond(&a, 0, true);
	look(&a);
	CHECK_EQ(record(&a, 0, 0)->status, DMAX_SUCCESS);
	close_accelerator(&a);
}

/* Stopped while they wait, again and again: answers come late, or never. */
static void late_answers_mean_nothing(void)
{
	struct accelerator a;

	open_started(&a);
	set_rights(&a, 0, FROM, 0);
	for (unsigned i = 0; i < 30; i++) {
		put(&a, 0, copy_of(DMAX_FLAG_BLOCK));
		look(&a);
		CHECK_EQ(a.requested, i + 1);
		CHECK_EQ(state_of(&a, 0), DMAX_STATE_ENABLED | DMAX_STATE_WAITING);
		if (i % 2) {
			command(&a, 0, DMAX_COMMAND_STOP);
			CHECK_EQ(state_of(&a, 0), DMAX_STATE_DISABLED);
		} else {
			set(&a, DMAX_CONTROL, DMAX_CONTROL_RESET);
			set(&a, DMAX_CONTROL, DMAX_CONTROL_ENABLE);
		}
		start_with(&a, 0, 0);
	}
	put(&a, 0, copy_of(DMAX_FLAG_BLOCK));
	look(&a);
	while (a.requested > 1) {
		respond(&a, 0, a.requested % 2);
		look(&a);
		CHECK_EQ(record(&a, 0, 0)->status, 0);
	}
	set_rights(&a, 0, FROM, IOMMUSE_READ);
	respond(&a, 0, true);
	look(&a);
	CHECK_EQ(record(&a, 0, 0)->status, DMAX_SUCCESS);
	CHECK_EQ(record(&a, 0, 0)->done, LENGTH);
	close_accelerator(&a);
}

static void a_queue_that_waits_can_drain(void)
{
	struct accelerator a;

	open_started(&a);
	set_rights(&a, 0, FROM, 0);
	put(&a, 0, copy_of(DMAX_FLAG_BLOCK));
	look(&a);
	command(&a, 0, DMAX_COMMAND_DRAIN);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DRAINING | DMAX_STATE_WAITING);
	/* An answer counts while the device is disabled, and is worked on afterwards. */
	set(&a, DMAX_CONTROL, 0);
	respond(&a, 0, false);
	look(&a);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DRAINING);
	CHECK_EQ(record(&a, 0, 0)->status, 0);
	set(&a, DMAX_CONTROL, DMAX_CONTROL_ENABLE);
	look(&a);
	CHECK_EQ(record(&a, 0, 0)->status, DMAX_PAGE_FAULT);
	CHECK_EQ(state_of(&a, 0), DMAX_STATE_DISABLED);
	close_accelerator(&a);
}

static void pasids_are_apart(void)
{
	struct accelerator a;

	open_accelerator(&a, "4");
	start_with(&a, 0, 1);
	start_with(&a, 1, 2);
	start_with(&a, 2, SPACES);
	put(&a, 0, copy_of(0));
	put(&a, 1, copy_of(0));
	look(&a);
	*door(&a, 2, DMAX_D_TAIL) = 1;
	look(&a);
	CHECK(!memcmp(a.memory[1] + TO + 8, a.memory[1] + FROM, LENGTH));
	CHECK(!memcmp(a.memory[2] + TO + 8, a.memory[2] + FROM, LENGTH));
	CHECK(memcmp(a.memory[1] + TO + 8, a.memory[2] + TO + 8, LENGTH));
	CHECK_EQ(a.memory[0][TO + 8] | a.memory[0][TO + 9], 0);
	CHECK_EQ(error_of(&a, 2), DMAX_ERROR_RING);
	close_accelerator(&a);
}

int main(void)
{
	faults_are_reported();
	a_comparison_reports_the_earlier_fault();
	a_checksum_reports_what_it_has();
	work_goes_on_where_it_stopped();
	a_fill_goes_on_with_the_right_byte();
	a_refusal_ends_it();
	pages_are_not_asked_for_in_vain();
	a_page_that_never_comes_is_given_up();
	others_go_on_while_one_waits();
	late_answers_mean_nothing();
	a_queue_that_waits_can_drain();
	pasids_are_apart();
	return check_result();
}
