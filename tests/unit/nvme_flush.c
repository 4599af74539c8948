/* SPDX-License-Identifier: BSD-3-Clause */
/* Flushes of the NVMe controller's image that come together, or with writes that are to be on disk. */
#include "caught_calls.h"
#include "devices/nvme.h"
#include "fake_disk.h"

#define ROUNDS 20U

static char image[32];

static struct disk *new_disk(const char *aio)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->image = image;
	d->aio = aio;
	open_disk(d);
	return d;
}

static void drop_disk(struct disk *d)
{
	close_disk(d);
	free(d);
}

static void put_flushes(struct disk *d, unsigned n)
{
	while (n--)
		put(d, 1, io(IO_FLUSH, 0, 1, 0, 0));
	ring(d, 1);
	look(d);
}

static void wait_for_calls(unsigned n)
{
	while (calls_made(SYS_fdatasync) < n)
		sched_yield();
}

static unsigned next_status(struct disk *d)
{
	return get(d, 1).status >> 1 & STATUS_CODE;
}

static void flushes_that_come_during_one_share_the_next(void)
{
	struct disk *d = new_disk("threads");
	unsigned made = calls_made(SYS_fdatasync);
	struct nvme_completion completion;

	hold_calls(SYS_fdatasync);
	put_flushes(d, 1);
	put_flushes(d, 3);
	CHECK_EQ(nvme_model.poll(d->state), false);
	CHECK(!peek(d, 1, &completion));
	release_calls(SYS_fdatasync);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(next_status(d), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 2);
	/* Nothing is left of that. */
	put_flushes(d, 1);
	CHECK_EQ(next_status(d), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 3);
	drop_disk(d);
}

/* The last comes while the second and the third are under way as one. */
static void a_flush_is_not_done_by_one_that_began_before_it_came(void)
{
	struct disk *d = new_disk("threads");
	unsigned made = calls_made(SYS_fdatasync);
	struct nvme_completion completion;

	hold_calls(SYS_fdatasync);
	put_flushes(d, 3);
	wait_for_calls(made + 1);
	release_calls(SYS_fdatasync);
	hold_calls(SYS_fdatasync);
	CHECK_EQ(next_status(d), 0);
	while (calls_made(SYS_fdatasync) == made + 1)
		nvme_model.poll(d->state);
	put_flushes(d, 1);
	CHECK(!peek(d, 1, &completion));
	release_calls(SYS_fdatasync);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(next_status(d), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 3);
	drop_disk(d);
}

/* The kernel tells one of several at once. */
static void what_was_lost_is_told_to_flushes_that_came_together(void)
{
	static const struct {
		int error;
		unsigned status;
	} errors[] = {{EIO, NVME_WRITE_FAULT}, {ENOSPC, NVME_CAPACITY_EXCEEDED}};

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct disk *d = new_disk("threads");
		unsigned made = calls_made(SYS_fdatasync);

		hold_calls(SYS_fdatasync);
		put_flushes(d, 3);
		wait_for_calls(made + 1);
		release_and_fail_first(SYS_fdatasync, errors[round % 2].error);
		for (unsigned i = 0; i < 3; i++)
			CHECK_EQ(next_status(d), errors[round % 2].status);
		drop_disk(d);
	}
}

static void a_failure_that_loses_nothing_is_told_to_those_it_was_for(void)
{
	struct disk *d = new_disk("threads");
	unsigned made = calls_made(SYS_fdatasync);

	hold_calls(SYS_fdatasync);
	put_flushes(d, 3);
	wait_for_calls(made + 1);
	fail_calls(SYS_fdatasync, ENOMEM, 1);
	release_calls(SYS_fdatasync);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(next_status(d), i ? NVME_INTERNAL_ERROR : 0);
	put_flushes(d, 1);
	CHECK_EQ(next_status(d), 0);
	drop_disk(d);
}

static void flushes_that_wait_do_not_begin_after_a_reset(void)
{
	struct disk *d = new_disk("threads");
	unsigned made = calls_made(SYS_fdatasync);
	struct nvme_completion completion;

	hold_calls(SYS_fdatasync);
	put_flushes(d, 4);
	disable(d);
	set_admin_queue(d);
	set32(d, NVME_CC, CC_GOOD);
	look(d);
	CHECK_EQ(get32(d, NVME_CSTS), 0);
	release_calls(SYS_fdatasync);
	wait_status(d, CSTS_RDY, CSTS_RDY);
	CHECK(!peek(d, 1, &completion));
	CHECK_EQ(calls_made(SYS_fdatasync), made + 1);
	make_queue(d, 1, ENTRIES, ENTRIES);
	put_flushes(d, 2);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(next_status(d), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 3);
	/* Nor when the device goes. */
	hold_calls(SYS_fdatasync);
	put_flushes(d, 4);
	release_calls(SYS_fdatasync);
	drop_disk(d);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 4);
}

/* In any order, with commands of all kinds. */
static void many_flushes_end(void)
{
	static const char *const ways[] = {"threads", "auto"};

	for (size_t way = 0; way < 2; way++) {
		struct disk *d = new_disk(ways[way]);

		for (unsigned round = 0; round < 40; round++) {
			for (unsigned i = 0; i < ENTRIES - 1; i++) {
				unsigned kind = (round + i) * 7 / 3 % 5;
				struct nvme_command command = io(kind < 2   ? IO_FLUSH
								 : kind < 4 ? IO_WRITE
									    : IO_READ,
								 i, 1, DATA, 0);

				command.dw12 |= kind == 3 ? IO_FUA : 0;
				put(d, 1, command);
				if (i == round % ENTRIES) {
					ring(d, 1);
					nvme_model.poll(d->state);
				}
			}
			ring(d, 1);
			for (unsigned i = 0; i < ENTRIES - 1; i++)
				CHECK_EQ(next_status(d), 0);
		}
		drop_disk(d);
	}
}

int main(void)
{
	if (!catch_calls()) {
		printf("the kernel lets no calls be caught\n");
		return 77;
	}
	make_image(image, 1 << 20);
	flushes_that_come_during_one_share_the_next();
	a_flush_is_not_done_by_one_that_began_before_it_came();
	what_was_lost_is_told_to_flushes_that_came_together();
	a_failure_that_loses_nothing_is_told_to_those_it_was_for();
	flushes_that_wait_do_not_begin_after_a_reset();
	many_flushes_end();
	unlink(image);
	return check_result();
}
