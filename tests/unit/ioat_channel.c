/* SPDX-License-Identifier: BSD-3-Clause */
/* The copy engine's registers, for a driver that waits for each command. */
#include "fake_engine.h"

static void version_is_checked(void)
{
	static const char *const bad[] = {"", "3", "3.", "3.1", "3.5", "3.33", "2.3", "3,3"};
	struct engine e = {.base.ops = &fake_ops};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.version = bad[i];
		CHECK_EQ(ioat_model.create(&e.base, &e.state), -EINVAL);
	}
	open_engine(&e, "3.4");
	CHECK_EQ(e.area[CBVER], 0x34);
	CHECK_EQ(e.area[CHANCNT], 1);
	CHECK_EQ(e.area[XFERCAP], 20);
	close_engine(&e);
}

static void registers_that_are_constant_stay_so(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	set8(&e, CBVER, 0x99);
	set8(&e, CHANCNT, 4);
	set8(&e, XFERCAP, 0);
	look(&e);
	CHECK_EQ(e.area[CBVER], 0x33);
	CHECK_EQ(e.area[CHANCNT], 1);
	CHECK_EQ(e.area[XFERCAP], 20);
	close_engine(&e);
}

static void a_chain_is_done_up_to_its_count(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT);
	put(&e, 0, COPY, 0, TO, FROM, 1000);
	put(&e, 1, COPY, COMPLETION, TO + 1000, FROM + 1000, 24);
	put(&e, 2, COPY, COMPLETION, TO + 2000, FROM + 2000, 1);
	look(&e);
	CHECK_EQ(status(&e), 0);
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK_EQ(status(&e), entry_at(1) | DONE);
	CHECK_EQ(get64(&e, CHANSTS), entry_at(1) | DONE);
	CHECK(copied(&e, TO, FROM, 1024));
	CHECK_EQ(e.memory[TO + 2000], 0);
	set16(&e, DMACOUNT, 3);
	look(&e);
	CHECK_EQ(get64(&e, CHANSTS), entry_at(2) | DONE);
	CHECK(copied(&e, TO + 2000, FROM + 2000, 1));
	close_engine(&e);
}

static void a_fill_repeats_its_eight_bytes(void)
{
	static const uint32_t sizes[] = {1, 7, 8, 50, 89, 4095, 4096, 4097, 20000};
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned wrong = 0;

		memset(e.memory + TO, 0, READ_ONLY - TO);
		put(&e, i, FILL, 0, TO + 3, UINT64_C(0xfedcba9876543210), sizes[i]);
		set16(&e, DMACOUNT, (uint16_t)(i + 1));
		look(&e);
		CHECK_EQ(state_of(&e), DONE);
		for (unsigned j = 0; j < sizes[i]; j++)
			wrong += e.memory[TO + 3 + j] != (uint8_t)(UINT64_C(0xfedcba9876543210) >> j % 8 * 8);
		CHECK_EQ(wrong, 0);
		CHECK_EQ(e.memory[TO + 2] | e.memory[TO + 3 + sizes[i]], 0);
	}
	close_engine(&e);
}

static void counts_go_round(void)
{
	struct engine e;
	uint16_t count = 0;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT | ERR_COMPLETION);
	for (unsigned i = 0; i < RING_ENTRIES; i++)
		put(&e, i, COPY, NOTHING | COMPLETION, 0, 0, 1);
	for (unsigned i = 0; i < 140000; i += 7) {
		count += 7;
		set16(&e, DMACOUNT, count);
		look(&e);
		if (status(&e) != (entry_at(i + 6) | DONE))
			break;
	}
	CHECK_EQ(status(&e), entry_at(139999) | DONE);
	close_engine(&e);
}

struct bad {
	uint32_t size, control;
	uint64_t source, destination;
	uint32_t error;
};

static void an_error_halts_the_channel_until_a_reset(void)
{
	static const struct bad bad[] = {
		{64, COPY << 24, NOWHERE, TO, 0x1},           {64, COPY << 24, FROM, NOWHERE, 0x2},
		{64, COPY << 24, FROM, READ_ONLY, 0x2},       {64, COPY << 24, MEMORY - 32, TO, 0x1},
		{64, FILL << 24, 0, READ_ONLY - 8, 0x2},      {64, 2U << 24, FROM, TO, 0x400},
		{64, 0x87U << 24 | NOTHING, FROM, TO, 0x400}, {0, COPY << 24, FROM, TO, 0x800},
		{(1 << 20) + 1, COPY << 24, FROM, TO, 0x800},
	};
	struct engine e;

	open_engine(&e, "3.3");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set8(&e, CHANCMD, RESET);
		look(&e);
		CHECK_EQ(e.area[CHANCMD], 0);
		CHECK_EQ(state_of(&e), HALTED);
		CHECK_EQ(get32(&e, CHANERR), 0);
		memset(e.memory + TO, 0, 64);
		start(&e, RING, ABORT);
		put(&e, 0, COPY, COMPLETION, TO, FROM, 64);
		put(&e, 1, bad[i].control >> 24, bad[i].control & 0xff, bad[i].destination, bad[i].source, bad[i].size);
		put(&e, 2, FILL, COMPLETION, TO, 0, 64);
		set16(&e, DMACOUNT, 3);
		look(&e);
		CHECK_EQ(get64(&e, CHANSTS), entry_at(0) | HALTED);
		CHECK_EQ(get32(&e, CHANERR), bad[i].error);
		CHECK_EQ(status(&e), entry_at(0) | ACTIVE); /* it has asked for no errors there */
		set16(&e, DMACOUNT, 5);
		look(&e);
		CHECK_EQ(state_of(&e), HALTED);
		CHECK(copied(&e, TO, FROM, 64));
	}
	close_engine(&e);
}

static void addresses_of_a_chain_are_checked(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING + 32, ABORT | ERR_COMPLETION | ERR_INTERRUPT);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0x10);
	CHECK_EQ(status(&e), HALTED);
	CHECK_EQ(get64(&e, CHANSTS), HALTED);

	set8(&e, CHANCMD, RESET);
	look(&e);
	start(&e, NOWHERE, ABORT | ERR_COMPLETION | ERR_INTERRUPT);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0x100);

	set8(&e, CHANCMD, RESET);
	look(&e);
	start(&e, RING, ABORT | ERR_COMPLETION | ERR_INTERRUPT);
	put(&e, 0, COPY, 0, TO, FROM, 8);
	entry(&e, 0)->next = entry_at(1) + 1;
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0x8);
	CHECK_EQ(status(&e), entry_at(0) | HALTED);
	entry(&e, 0)->next = entry_at(1);

	set8(&e, CHANCMD, RESET);
	look(&e);
	start(&e, RING, ABORT | ERR_COMPLETION);
	set64(&e, CHANCMP, READ_ONLY);
	put(&e, 0, COPY, COMPLETION, TO, FROM, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0x1000);
	close_engine(&e);
}

static void a_driver_clears_errors_by_writing_them(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT);
	put(&e, 0, COPY, 0, TO, NOWHERE, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 1);
	memcpy(e.area + CHANERR, &(uint32_t){2}, 4);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 1);
	memcpy(e.area + CHANERR, &(uint32_t){3}, 4);
	look(&e);
	CHECK_EQ(get32(&e, CHANERR), 0);
	CHECK_EQ(state_of(&e), HALTED);
	close_engine(&e);
}

/*
 * A driver that waits for each command, and finds the status in a register: each copy is a chain of one descriptor
 * whose next is itself, with the same address and count as the last time.
 */
static void the_same_chain_is_done_again(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	set8(&e, CHANCMD, RESET);
	look(&e);
	CHECK_EQ(state_of(&e), HALTED);
	wait_for(&e, SUSPENDED); /* so that it finds no error where it looks before the engine has */
	entry(&e, 0)->next = entry_at(0);
	for (unsigned i = 0; i < 3; i++) {
		unsigned count = i == 2 ? 65535 : 1;

		memset(e.memory + TO, 0, 100);
		put(&e, 0, COPY, 0, TO, FROM + i, 100);
		set64(&e, CHAINADDR, RING);
		set16(&e, CHANCTRL, REARM | ABORT);
		set16(&e, DMACOUNT, (uint16_t)count);
		CHECK_EQ(state_of(&e), SUSPENDED);
		look(&e);
		CHECK_EQ(get64(&e, CHANSTS), entry_at(0) | DONE);
		CHECK(copied(&e, TO, FROM + i, 100));
		set8(&e, CHANCMD, SUSPEND);
		look(&e);
		CHECK_EQ(e.area[CHANCMD], 0);
		CHECK_EQ(state_of(&e), SUSPENDED);
	}
	close_engine(&e);
}

static void a_suspended_channel_goes_on_when_resumed(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT);
	put(&e, 0, COPY, 0, TO, FROM, 8);
	put(&e, 1, COPY, 0, TO + 8, FROM + 8, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	set8(&e, CHANCMD, SUSPEND);
	look(&e);
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK_EQ(state_of(&e), SUSPENDED);
	CHECK_EQ(e.memory[TO + 8] | e.memory[TO + 9], 0);
	set8(&e, CHANCMD, 0x10);
	look(&e);
	CHECK_EQ(get64(&e, CHANSTS), entry_at(1) | DONE);
	CHECK(copied(&e, TO, FROM, 16));
	close_engine(&e);
}

/* Interrupts */

static void an_interrupt_comes_when_it_is_armed(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	e.vectors = 1;
	set8(&e, INTRCTRL, 0x08);
	start(&e, RING, ABORT | REARM);
	for (unsigned i = 0; i < 4; i++)
		put(&e, i, COPY, i == 1 ? 0 : INTERRUPT, TO, FROM, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(e.raised, 1);
	CHECK_EQ(get16(&e, CHANCTRL), ABORT);
	set16(&e, CHANCTRL, ABORT | REARM);
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK_EQ(e.raised, 1); /* the descriptor asks for none */
	set16(&e, DMACOUNT, 3);
	look(&e);
	CHECK_EQ(e.raised, 2);
	set16(&e, DMACOUNT, 4);
	look(&e);
	CHECK_EQ(e.raised, 2); /* not armed: it is kept */
	set16(&e, CHANCTRL, ABORT | REARM);
	look(&e);
	CHECK_EQ(e.raised, 3);
	CHECK(!e.asserted);
	close_engine(&e);
}

static void an_interrupt_is_to_be_enabled(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	start(&e, RING, ABORT | REARM);
	put(&e, 0, COPY, INTERRUPT, TO, FROM, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK(!e.asserted);
	set8(&e, INTRCTRL, 0x08); /* of MSI-X only */
	look(&e);
	CHECK(!e.asserted);
	set8(&e, INTRCTRL, 0x01);
	look(&e);
	CHECK(e.asserted);
	CHECK_EQ(e.area[INTRCTRL], 0x07);
	CHECK_EQ(e.raised, 0);
	close_engine(&e);
}

static void the_pin_is_let_go_when_the_driver_has_seen_it(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	set8(&e, INTRCTRL, 0x01);
	for (unsigned i = 0; i < 3; i++)
		put(&e, i, COPY, INTERRUPT, TO, FROM, 8);
	start(&e, RING, ABORT | REARM);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK(e.asserted);
	set16(&e, CHANCTRL, ABORT | REARM);
	look(&e);
	CHECK(!e.asserted);
	set16(&e, DMACOUNT, 2);
	look(&e);
	CHECK(e.asserted);
	set8(&e, INTRCTRL, 0x01);
	look(&e);
	CHECK(!e.asserted);
	set16(&e, CHANCTRL, ABORT | REARM);
	set16(&e, DMACOUNT, 3);
	look(&e);
	CHECK(e.asserted);
	set8(&e, CHANCMD, RESET);
	look(&e);
	CHECK(!e.asserted);
	close_engine(&e);
}

static void an_error_interrupts_where_asked_for(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	e.vectors = 1;
	set8(&e, INTRCTRL, 0x01);
	start(&e, RING, ABORT | REARM | ERR_INTERRUPT);
	put(&e, 0, COPY, 0, TO, NOWHERE, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	CHECK_EQ(e.raised, 1);
	close_engine(&e);
}

static void a_reset_of_the_device_forgets_all(void)
{
	struct engine e;

	open_engine(&e, "3.3");
	set8(&e, INTRCTRL, 0x01);
	start(&e, RING, ABORT | REARM);
	put(&e, 0, COPY, INTERRUPT, TO, FROM, 8);
	set16(&e, DMACOUNT, 1);
	look(&e);
	set16(&e, DMACOUNT, 9);
	memset(e.area, 0, sizeof(e.area));
	ioat_model.reset(e.state);
	CHECK(!e.asserted);
	CHECK_EQ(e.area[CBVER], 0x33);
	CHECK_EQ(state_of(&e), HALTED);
	memset(e.memory + TO, 0, 8);
	look(&e);
	CHECK_EQ(e.memory[TO + 1], 0);
	close_engine(&e);
}

int main(void)
{
	version_is_checked();
	registers_that_are_constant_stay_so();
	a_chain_is_done_up_to_its_count();
	a_fill_repeats_its_eight_bytes();
	counts_go_round();
	an_error_halts_the_channel_until_a_reset();
	addresses_of_a_chain_are_checked();
	a_driver_clears_errors_by_writing_them();
	the_same_chain_is_done_again();
	a_suspended_channel_goes_on_when_resumed();
	an_interrupt_comes_when_it_is_armed();
	an_interrupt_is_to_be_enabled();
	the_pin_is_let_go_when_the_driver_has_seen_it();
	an_error_interrupts_where_asked_for();
	a_reset_of_the_device_forgets_all();
	return check_result();
}
