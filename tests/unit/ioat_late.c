/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What DPDK's driver does with the copy engine: it finds the status in memory, and waits for a command some
 * microseconds only. The engine may look at all of it much later, or at each step.
 */
#include "fake_engine.h"

#define BY_MEMORY (ABORT | ERR_COMPLETION)

static void stop(struct engine *e)
{
	unsigned state = state_of(e);

	set8(e, CHANCMD, state == ACTIVE || state == DONE ? SUSPEND : RESET);
	CHECK(state_of(e) == SUSPENDED || state_of(e) == HALTED);
}

static void stopping_and_starting_is_not_waited_for(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	set8(&e, CHANCMD, SUSPEND);
	look(&e);
	set8(&e, CHANCMD, RESET);
	look(&e);
	CHECK_EQ(e.area[CHANCMD], 0);
	wait_for(&e, SUSPENDED);
	/* The engine looks once, after all of it; the second round has the same counts as the first. */
	for (unsigned round = 0; round < 3; round++) {
		start(&e, RING, BY_MEMORY);
		CHECK(state_of(&e) != HALTED);
		stop(&e);
		start(&e, RING, BY_MEMORY);
		CHECK(state_of(&e) != HALTED);
		memset(e.memory + TO, 0, 100);
		put(&e, 0, COPY, COMPLETION, TO, FROM + round, 100);
		memset(e.memory + STATUS, 0, 8);
		set16(&e, DMACOUNT, 1);
		while (!status(&e))
			ioat_model.poll(e.state);
		CHECK_EQ(status(&e), entry_at(0) | DONE);
		CHECK(copied(&e, TO, FROM + round, 100));
		stop(&e);
	}
	close_engine(&e);
}

static void what_was_counted_before_a_stop_is_not_done_after_it(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	wait_for(&e, SUSPENDED);
	start(&e, RING, BY_MEMORY);
	put(&e, 0, COPY, COMPLETION, TO, FROM, 100);
	set16(&e, DMACOUNT, 1);
	look(&e);
	memset(e.memory + TO, 0, 100);
	/* The same count again means nothing. */
	stop(&e);
	look(&e);
	start(&e, RING, BY_MEMORY);
	look(&e);
	CHECK_EQ(e.memory[TO + 1], 0);
	/* Nor does one that is void by the reset. */
	set16(&e, DMACOUNT, 3);
	stop(&e);
	look(&e);
	set64(&e, CHAINADDR, RING);
	look(&e);
	CHECK_EQ(e.memory[TO + 1], 0);
	close_engine(&e);
}

/* As the driver recovers from an error: the engine looks once, after all of it. */
static void recover(struct engine *e, uint64_t chain, uint16_t count)
{
	CHECK_EQ(status(e) & 7, HALTED);
	CHECK(get32(e, CHANERR));
	set8(e, CHANCMD, RESET);
	start(e, chain, BY_MEMORY);
	CHECK_EQ(get64(e, CHANSTS), ARMED);
	set16(e, DMACOUNT, count);
}

static void recovering_is_not_waited_for(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	wait_for(&e, SUSPENDED);
	start(&e, RING, BY_MEMORY);
	/* 0, 7, 14 and 15 of 16 fail. */
	for (unsigned i = 0; i < 16; i++)
		put(&e, i, COPY, COMPLETION, TO + i * 64, i == 0 || i == 7 || i >= 14 ? NOWHERE : FROM + i * 64, 64);
	set16(&e, DMACOUNT, 16);
	look(&e);
	CHECK_EQ(status(&e), HALTED);
	recover(&e, entry_at(1), 15);
	while (status(&e) != (entry_at(6) | HALTED))
		ioat_model.poll(e.state);
	CHECK_EQ(get32(&e, CHANERR), 1);
	/* It has counted more before it saw the error. */
	set16(&e, DMACOUNT, 20);
	look(&e);
	recover(&e, entry_at(8), 8);
	while (status(&e) != (entry_at(13) | HALTED))
		ioat_model.poll(e.state);
	recover(&e, entry_at(15), 1);
	while (status(&e) != HALTED)
		ioat_model.poll(e.state);
	recover(&e, entry_at(16), 0);
	wait_for(&e, SUSPENDED);
	CHECK_EQ(get32(&e, CHANERR), 0);
	for (unsigned i = 0; i < 16; i++)
		CHECK(i == 0 || i == 7 || i >= 14 ? !e.memory[TO + i * 64 + 1]
						  : copied(&e, TO + i * 64, FROM + i * 64, 64));
	stop(&e);
	close_engine(&e);
}

/* Where the engine looks between the steps, it does what was counted for the new chain only. */
static void recovering_may_be_looked_at(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	wait_for(&e, SUSPENDED);
	start(&e, RING, BY_MEMORY);
	put(&e, 0, COPY, COMPLETION, TO, NOWHERE, 64);
	put(&e, 1, COPY, COMPLETION, TO + 64, FROM + 64, 64);
	put(&e, 2, COPY, COMPLETION, TO + 128, FROM + 128, 64);
	set16(&e, DMACOUNT, 2);
	look(&e);
	set16(&e, DMACOUNT, 3);
	look(&e);
	set8(&e, CHANCMD, RESET);
	look(&e);
	start(&e, entry_at(1), BY_MEMORY);
	look(&e);
	CHECK_EQ(get64(&e, CHANSTS), ARMED);
	CHECK_EQ(e.memory[TO + 65], 0);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(status(&e), entry_at(1) | DONE);
	CHECK(copied(&e, TO + 64, FROM + 64, 64));
	CHECK_EQ(e.memory[TO + 129], 0);
	close_engine(&e);
}

/* A stop that comes before what was counted is looked at makes that void; one during the work is waited for. */
static void a_command_comes_before_what_is_to_be_done(void)
{
	struct engine e;

	open_engine(&e, "3.4");
	wait_for(&e, SUSPENDED);
	start(&e, RING, BY_MEMORY);
	put(&e, 0, COPY, COMPLETION, TO, FROM, 64);
	set16(&e, DMACOUNT, 1);
	stop(&e);
	while (ioat_model.poll(e.state) || state_of(&e) != SUSPENDED)
		continue;
	CHECK_EQ(e.area[CHANCMD], 0);
	close_engine(&e);
}

int main(void)
{
	stopping_and_starting_is_not_waited_for();
	what_was_counted_before_a_stop_is_not_done_after_it();
	recovering_is_not_waited_for();
	recovering_may_be_looked_at();
	a_command_comes_before_what_is_to_be_done();
	return check_result();
}
