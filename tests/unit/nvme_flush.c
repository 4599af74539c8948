/* SPDX-License-Identifier: BSD-3-Clause */
/* Flushes of the NVMe controller's image that come together, or with writes that are to be on disk. */
#include "caught_calls.h"
#include "devices/nvme.h"
#include "fake_disk.h"

#include <linux/kcmp.h>

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

static void wait_for_calls(int number, unsigned n)
{
	while (calls_made(number) < n)
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
	wait_for_calls(SYS_fdatasync, made + 1);
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
		wait_for_calls(SYS_fdatasync, made + 1);
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
	wait_for_calls(SYS_fdatasync, made + 1);
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

static struct nvme_command durable_write(uint64_t lba)
{
	struct nvme_command command = io(IO_WRITE, lba, 1, DATA, 0);

	command.dw12 |= IO_FUA;
	return command;
}

/* The kernel has told another that was under way, and that has not been looked at yet. */
static void what_another_was_told_of_is_known(void)
{
	static const struct {
		int error;
		unsigned status;
	} errors[] = {{EIO, NVME_WRITE_FAULT}, {ENOSPC, NVME_CAPACITY_EXCEEDED}};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct disk *d = new_disk("threads");
		unsigned status = errors[i].status;

		fail_calls(SYS_sync_file_range, errors[i].error, 1);
		CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 1, DATA, 0)), 0);
		CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
		CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), status);
		CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), status);
		CHECK_EQ(status_of(d, 1, durable_write(0)), 0);
		fail_calls(SYS_sync_file_range, errors[i].error, 1);
		CHECK_EQ(status_of(d, 1, durable_write(0)), status);
		CHECK_EQ(status_of(d, 1, durable_write(0)), 0);
		drop_disk(d);
	}
}

/* Whoever is told, and whoever is looked at first. */
static void what_was_lost_is_told_to_all_that_were_under_way(void)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct disk *d = new_disk("threads");
		unsigned flushes = calls_made(SYS_fdatasync), writes = calls_made(SYS_pwritev2);

		hold_calls(SYS_fdatasync);
		hold_calls(SYS_pwritev2);
		put(d, 1, durable_write(0));
		put(d, 1, durable_write(1));
		put_flushes(d, 2);
		wait_for_calls(SYS_fdatasync, flushes + 1);
		wait_for_calls(SYS_pwritev2, writes + 2);
		if (round % 2)
			release_and_fail_first(SYS_fdatasync, EIO);
		else
			fail_calls(SYS_sync_file_range, EIO, 1);
		release_calls(SYS_fdatasync);
		CHECK_EQ(next_status(d), NVME_WRITE_FAULT);
		release_calls(SYS_pwritev2);
		for (unsigned i = 0; i < 3; i++)
			CHECK_EQ(next_status(d), NVME_WRITE_FAULT);
		CHECK_EQ(status_of(d, 1, durable_write(0)), 0);
		drop_disk(d);
	}
}

/* A duplicate would be told of a loss instead. */
static bool opened_apart(int a, int b)
{
	long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);

	return a != b && order != 0; /* also where it is forbidden to ask */
}

static void the_file_is_asked_by_a_descriptor_of_its_own(void)
{
	static const int errors[] = {0, EIO, ENOSYS};
	struct stat st;

	CHECK_EQ(stat(image, &st), 0);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		bool never = errors[i] == ENOSYS;
		unsigned made = calls_made(SYS_sync_file_range);
		struct disk *d;

		/* What went wrong before is not the driver's; what can never be asked is not. */
		fail_calls(SYS_sync_file_range, errors[i], never ? 2 : 1);
		d = new_disk("threads");
		CHECK_EQ(file_of_call(SYS_sync_file_range), st.st_ino);
		CHECK_EQ(calls_made(SYS_sync_file_range), made + (errors[i] ? 2 : 1));
		made = calls_made(SYS_sync_file_range);
		CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
		CHECK(never ||
		      opened_apart(descriptor_of_call(SYS_fdatasync), descriptor_of_call(SYS_sync_file_range)));
		CHECK_EQ(status_of(d, 1, durable_write(0)), 0);
		CHECK_EQ(calls_made(SYS_sync_file_range), made + (never ? 0 : 2));
		drop_disk(d);
	}
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
	what_another_was_told_of_is_known();
	what_was_lost_is_told_to_all_that_were_under_way();
	the_file_is_asked_by_a_descriptor_of_its_own();
	many_flushes_end();
	unlink(image);
	return check_result();
}
