/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's image where the system calls on it fail or take long. */
#include "caught_calls.h"
#include "devices/nvme.h"
#include "fake_disk.h"

#include <time.h>

#define ALWAYS      1000000U
#define LARGE_PAGES 20U

static char image[32];

static struct disk *new_disk(void)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->image = image;
	d->aio = "threads";
	open_disk(d);
	return d;
}

static void drop_disk(struct disk *d)
{
	close_disk(d);
	free(d);
}

static unsigned discard(struct disk *d, uint64_t lba, uint32_t blocks)
{
	struct nvme_command command = io(IO_DATASET, 0, 1, DATA, 0);

	memcpy(d->memory + DATA, &(uint64_t[2]){(uint64_t)blocks << 32, lba}, 16);
	command.dw10 = 0;
	command.dw11 = DATASET_DEALLOCATE;
	return status_of(d, 1, command);
}

/* They are so large that none is done at once. All their data are in one page. */
static void hold_writes(struct disk *d)
{
	for (unsigned page = 0; page < LARGE_PAGES; page++)
		memcpy(d->memory + LISTS + 8UL * page, &(uint64_t){DATA}, 8);
	hold_calls(SYS_pwritev2);
	for (unsigned i = 0; i < 2; i++)
		put(d, 1, io(IO_WRITE, i * 8UL * LARGE_PAGES, 8 * LARGE_PAGES, DATA, LISTS));
	ring(d, 1);
	look(d);
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	CHECK_EQ(stat(path, &st), 0);
	return st.st_ino;
}

/* Where the file system can say that of a directory. */
static void a_new_image_has_its_name_on_disk(void)
{
	static const int errors[] = {0, EINVAL, EIO};
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));
	char directory[] = "/tmp/nvme-images-XXXXXX", path[64], before[4096];
	struct stat st;

	CHECK(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/made", directory);
	CHECK(getcwd(before, sizeof(before)));
	memset(d, 0, sizeof(*d));
	d->size = "1M";
	d->aio = "threads";
	for (size_t i = 0; i < 2 * sizeof(errors) / sizeof(errors[0]); i++) {
		unsigned made = calls_made(SYS_fsync);

		if (i % 2)
			CHECK_EQ(chdir(directory), 0);
		d->image = i % 2 ? "made" : path;
		fail_calls(SYS_fsync, errors[i / 2], errors[i / 2] ? ALWAYS : 0);
		CHECK_EQ(make_disk(d), 0);
		CHECK(calls_made(SYS_fsync) > made);
		CHECK_EQ(file_of_call(SYS_fsync), inode_of(directory));
		CHECK_EQ(stat(path, &st), 0);
		CHECK_EQ(st.st_size, 1 << 20);
		nvme_model.destroy(d->state);
		/* One that is there has it. */
		made = calls_made(SYS_fsync);
		CHECK_EQ(make_disk(d), 0);
		CHECK_EQ(calls_made(SYS_fsync), made);
		nvme_model.destroy(d->state);
		CHECK_EQ(chdir(before), 0);
		unlink(path);
	}
	fail_calls(SYS_fsync, 0, 0);
	rmdir(directory);
	free(d);
}

/* The file system cannot, which is found out once. */
static void no_room_is_taken_by_a_discard(void)
{
	struct disk *d;
	struct stat st;

	CHECK_EQ(truncate(image, 0), 0);
	CHECK_EQ(truncate(image, (1 << 20) - 100), 0);
	d = new_disk();
	fail_calls(SYS_fallocate, EOPNOTSUPP, 1);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(discard(d, 0, 2048), 0);
		CHECK_EQ(stat(image, &st), 0);
		CHECK_EQ(st.st_blocks, 0);
		CHECK_EQ(st.st_size, (1 << 20) - 100);
	}
	CHECK_EQ(calls_made(SYS_fallocate), 1);
	drop_disk(d);
}

/* As of block devices whose blocks are larger. */
static void zeroes_are_written_where_a_place_cannot_be_made_zeroes(void)
{
	struct disk *d = new_disk();
	const uint8_t zeroes[PAGE] = {0};
	uint8_t found[PAGE];
	unsigned made;

	for (unsigned i = 0; i < 3; i++) {
		fill(d, DATA, PAGE, i + 1);
		CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 8, DATA, 0)), 0);
		made = calls_made(SYS_fallocate);
		fail_calls(SYS_fallocate, EINVAL, 1);
		CHECK_EQ(discard(d, 0, 8), 0);
		fail_calls(SYS_fallocate, EINVAL, 1);
		CHECK_EQ(status_of(d, 1, io(IO_WRITE_ZEROES, 0, 8, 0, 0)), 0);
		CHECK_EQ(calls_made(SYS_fallocate), made + 2);
		read_image(image, 0, found, PAGE);
		CHECK(!memcmp(found, zeroes, PAGE));
	}
	drop_disk(d);
}

/* Many disks, as it takes a thread that looks idle and has just been woken for another operation. */
static void an_operation_that_takes_long_holds_up_no_other(void)
{
	for (unsigned round = 0; round < 20; round++) {
		struct disk *d = new_disk();
		struct nvme_completion completion = {0};
		struct nvme_command fua = io(IO_WRITE, round, 1, DATA, 0);
		time_t limit = time(NULL) + 20;

		fua.dw12 |= IO_FUA;
		CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
		hold_calls(SYS_fdatasync);
		put(d, 1, io(IO_FLUSH, 0, 1, 0, 0));
		put(d, 1, fua);
		ring(d, 1);
		while (!peek(d, 1, &completion) && time(NULL) < limit) {
			nvme_model.poll(d->state);
			sched_yield();
		}
		CHECK_EQ(completion.cid, d->cid);
		release_calls(SYS_fdatasync);
		CHECK_EQ(get(d, 1).status >> 1, 0);
		CHECK_EQ(get(d, 1).status >> 1, 0);
		drop_disk(d);
		if (time(NULL) >= limit)
			break;
	}
}

static struct nvme_command write_cache(bool on)
{
	return (struct nvme_command){.opcode = ADMIN_SET_FEATURES, .dw10 = FEATURE_WRITE_CACHE, .dw11 = on};
}

static bool cache_is_on(struct disk *d)
{
	return run(d, 0, (struct nvme_command){.opcode = ADMIN_GET_FEATURES, .dw10 = FEATURE_WRITE_CACHE}).result;
}

static void what_is_cached_goes_to_disk_when_the_cache_is_switched_off(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;
	unsigned made;

	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 1, DATA, 0)), 0);
	made = calls_made(SYS_fdatasync);
	CHECK_EQ(status_of(d, 0, write_cache(true)), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made);
	CHECK_EQ(status_of(d, 0, write_cache(false)), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 1);
	CHECK_EQ(status_of(d, 0, write_cache(false)), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 1);
	CHECK(!cache_is_on(d));
	CHECK_EQ(status_of(d, 0, write_cache(true)), 0);
	CHECK(cache_is_on(d));
	fail_calls(SYS_fdatasync, EIO, 1);
	CHECK_EQ(status_of(d, 0, write_cache(false)), NVME_WRITE_FAULT);
	CHECK(cache_is_on(d));

	/* A reset does not wait for it. */
	hold_calls(SYS_fdatasync);
	put(d, 0, write_cache(false));
	put(d, 0, write_cache(true));
	ring(d, 0);
	look(d);
	CHECK(!peek(d, 0, &completion));
	disable(d);
	set_admin_queue(d);
	set32(d, NVME_CC, CC_GOOD);
	look(d);
	CHECK_EQ(get32(d, NVME_CSTS), 0);
	release_calls(SYS_fdatasync);
	wait_status(d, CSTS_RDY, CSTS_RDY);
	CHECK(cache_is_on(d));
	CHECK(!peek(d, 0, &completion));
	drop_disk(d);
}

static void writes_under_way_are_on_disk_without_a_cache(void)
{
	struct disk *d = new_disk();
	unsigned made;

	hold_writes(d);
	CHECK_EQ(status_of(d, 0, write_cache(false)), 0);
	made = calls_made(SYS_fdatasync);
	release_calls(SYS_pwritev2);
	CHECK_EQ(get(d, 1).status >> 1, 0);
	CHECK_EQ(get(d, 1).status >> 1, 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 2);
	drop_disk(d);
}

static void what_is_read_with_fua_is_on_disk(void)
{
	static const uint8_t opcodes[] = {IO_READ, IO_COMPARE, IO_VERIFY};
	struct disk *d = new_disk();

	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 8, 8, DATA, 0)), 0);
	for (size_t i = 0; i < sizeof(opcodes); i++) {
		struct nvme_command command = io(opcodes[i], 8, 8, DATA, 0);
		unsigned made = calls_made(SYS_fdatasync);

		CHECK_EQ(status_of(d, 1, command), 0);
		CHECK_EQ(calls_made(SYS_fdatasync), made);
		command.dw12 |= IO_FUA;
		CHECK_EQ(status_of(d, 1, command), 0);
		CHECK_EQ(calls_made(SYS_fdatasync), made + 1);
		fail_calls(SYS_fdatasync, ENOMEM, 1);
		CHECK_EQ(status_of(d, 1, command), NVME_INTERNAL_ERROR);
	}
	drop_disk(d);
}

static void what_is_discarded_stays_so_without_a_cache(void)
{
	struct disk *d = new_disk();
	unsigned made = calls_made(SYS_fdatasync);

	CHECK_EQ(discard(d, 0, 8), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made);
	CHECK_EQ(status_of(d, 0, write_cache(false)), 0);
	made = calls_made(SYS_fdatasync);
	CHECK_EQ(discard(d, 0, 8), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 1);
	CHECK_EQ(discard(d, 0, 0), 0);
	CHECK_EQ(calls_made(SYS_fdatasync), made + 1);
	drop_disk(d);
}

static unsigned delete_sq(struct disk *d, unsigned id)
{
	return status_of(d, 0, (struct nvme_command){.opcode = ADMIN_DELETE_SQ, .dw10 = id});
}

static void a_queue_is_there_until_its_commands_have_ended(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;
	uint16_t cid;

	for (unsigned round = 0; round < 3; round++) {
		hold_writes(d);
		put(d, 0, (struct nvme_command){.opcode = ADMIN_DELETE_SQ, .dw10 = 1});
		cid = d->cid;
		ring(d, 0);
		look(d);
		CHECK(!peek(d, 0, &completion));
		CHECK_EQ(delete_sq(d, 1), NVME_INVALID_QUEUE_ID);
		CHECK_EQ(status_of(d, 0, sq_command(1, ENTRIES)), NVME_INVALID_QUEUE_ID);
		CHECK_EQ(status_of(d, 0, (struct nvme_command){.opcode = ADMIN_DELETE_CQ, .dw10 = 1}),
			 NVME_INVALID_QUEUE_DELETION);
		/* What is rung for now is not fetched. */
		put(d, 1, io(IO_READ, 0, 1, DATA, 0));
		ring(d, 1);
		look(d);
		CHECK(!peek(d, 0, &completion));
		release_calls(SYS_pwritev2);
		completion = get(d, 0);
		CHECK_EQ(completion.cid, cid);
		CHECK_EQ(completion.status >> 1, 0);
		for (unsigned i = 0; i < 2; i++)
			CHECK_EQ(get(d, 1).status >> 1, 0);
		CHECK(!peek(d, 1, &completion));
		CHECK_EQ(status_of(d, 0, (struct nvme_command){.opcode = ADMIN_DELETE_CQ, .dw10 = 1}), 0);
		make_queue(d, 1, ENTRIES, ENTRIES);
		look(d);
		CHECK(!peek(d, 1, &completion));
	}
	drop_disk(d);
}

/* The driver looks when it is told that the queue is gone, which is not later. */
static void take_all_of_queue_1(struct disk *d, unsigned vector)
{
	struct nvme_completion completion;

	while (!vector && peek(d, 1, &completion)) {
		CHECK_EQ(completion.status >> 1, 0);
		take(d, 1);
	}
}

static void a_queue_is_gone_after_its_last_completion(void)
{
	struct disk *d = new_disk();

	d->vectors = VECTORS;
	d->on_raise = take_all_of_queue_1;
	for (unsigned round = 0; round < 12; round++) {
		hold_writes(d);
		put(d, 0, (struct nvme_command){.opcode = ADMIN_DELETE_SQ, .dw10 = 1});
		ring(d, 0);
		look(d);
		CHECK_EQ(d->queue[1].head, 0);
		release_calls(SYS_pwritev2);
		CHECK_EQ(get(d, 0).status >> 1, 0);
		CHECK_EQ(d->queue[1].head, 2);
		CHECK_EQ(status_of(d, 0, (struct nvme_command){.opcode = ADMIN_DELETE_CQ, .dw10 = 1}), 0);
		make_queue(d, 1, ENTRIES, ENTRIES);
	}
	drop_disk(d);
}

/* By the driver, or by VFIO with a queue that is being deleted. */
static void nothing_of_before_a_reset_comes_after_it(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;

	for (unsigned round = 0; round < 4; round++) {
		fill(d, DATA, 512, round);
		hold_writes(d);
		if (round % 2) {
			put(d, 0, (struct nvme_command){.opcode = ADMIN_DELETE_SQ, .dw10 = 1});
			ring(d, 0);
			look(d);
			memset(d->area, 0, sizeof(d->area));
			nvme_model.reset(d->state);
		} else {
			disable(d);
		}
		CHECK_EQ(get32(d, NVME_CSTS), 0);
		fill(d, DATA, 512, 99);
		set_admin_queue(d);
		memset(d->memory + d->queue[1].cq, 0, PAGE);
		set32(d, NVME_CC, CC_GOOD);
		look(d);
		CHECK_EQ(get32(d, NVME_CSTS), 0);
		release_calls(SYS_pwritev2);
		wait_status(d, CSTS_RDY, CSTS_RDY);
		look(d);
		CHECK(!peek(d, 0, &completion));
		CHECK_EQ(d->memory[d->queue[1].cq + 14], 0);
		make_queue(d, 1, ENTRIES, ENTRIES);
		CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, MORE_DATA, 0)), 0);
		fill(d, DATA, 512, round);
		CHECK(!memcmp(d->memory + DATA, d->memory + MORE_DATA, 512));
	}
	drop_disk(d);
}

static void a_shutdown_waits_for_what_is_under_way(void)
{
	struct disk *d = new_disk();
	unsigned made;

	hold_writes(d);
	made = calls_made(SYS_fdatasync);
	hold_calls(SYS_fdatasync);
	set32(d, NVME_CC, CC_GOOD | 1 << CC_SHN_SHIFT);
	look(d);
	CHECK_EQ(get32(d, NVME_CSTS), CSTS_RDY | CSTS_SHST_OCCURRING);
	CHECK_EQ(calls_made(SYS_fdatasync), made);
	release_calls(SYS_pwritev2);
	CHECK_EQ(get(d, 1).status >> 1, 0);
	CHECK_EQ(get(d, 1).status >> 1, 0);
	while (calls_made(SYS_fdatasync) == made)
		nvme_model.poll(d->state);
	look(d);
	CHECK_EQ(get32(d, NVME_CSTS), CSTS_RDY | CSTS_SHST_OCCURRING);
	/* A reset forgets it, and waits for it. */
	disable(d);
	set_admin_queue(d);
	set32(d, NVME_CC, CC_GOOD);
	look(d);
	CHECK_EQ(get32(d, NVME_CSTS), 0);
	release_calls(SYS_fdatasync);
	wait_status(d, ~0U, CSTS_RDY);
	set32(d, NVME_CC, CC_GOOD | 1 << CC_SHN_SHIFT);
	wait_status(d, ~0U, CSTS_RDY | CSTS_SHST_COMPLETE);
	drop_disk(d);
}

/* Many times, as some operations are tried in more than one way. */
static void errors_of_the_image_have_a_status(void)
{
	static const struct {
		int error;
		unsigned read, write;
	} errors[] = {
		{EIO, NVME_READ_ERROR, NVME_WRITE_FAULT},
		{EROFS, NVME_READ_ERROR, NVME_WRITE_FAULT},
		{ENOSPC, 0, NVME_CAPACITY_EXCEEDED},
		{EDQUOT, 0, NVME_CAPACITY_EXCEEDED},
		{EFBIG, 0, NVME_CAPACITY_EXCEEDED},
		{ENOMEM, NVME_INTERNAL_ERROR, NVME_INTERNAL_ERROR},
		{ETIMEDOUT, NVME_READ_ERROR, NVME_WRITE_FAULT},
	};
	struct disk *d = new_disk();

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int error = errors[i].error;
		struct nvme_command fua = io(IO_WRITE, 0, 1, DATA, 0);

		fua.dw12 |= IO_FUA;
		if (errors[i].read) {
			fail_calls(SYS_preadv2, error, ALWAYS);
			CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), errors[i].read);
			CHECK_EQ(status_of(d, 1, io(IO_COMPARE, 0, 1, DATA, 0)), errors[i].read);
			CHECK_EQ(status_of(d, 1, io(IO_VERIFY, 0, 1, DATA, 0)), errors[i].read);
			fail_calls(SYS_preadv2, 0, 0);
		}
		fail_calls(SYS_pwrite64, error, ALWAYS);
		fail_calls(SYS_pwritev2, error, ALWAYS);
		fail_calls(SYS_fallocate, error, ALWAYS);
		CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 1, DATA, 0)), errors[i].write);
		CHECK_EQ(status_of(d, 1, fua), errors[i].write);
		CHECK_EQ(status_of(d, 1, io(IO_WRITE_ZEROES, 0, 1, 0, 0)), errors[i].write);
		CHECK_EQ(discard(d, 0, 1), errors[i].write);
		fail_calls(SYS_pwrite64, 0, 0);
		fail_calls(SYS_pwritev2, 0, 0);
		fail_calls(SYS_fallocate, 0, 0);
	}
	drop_disk(d);
}

static void what_was_interrupted_goes_on(void)
{
	static const int calls[] = {SYS_preadv2, SYS_pwrite64, SYS_pwritev2, SYS_fdatasync, SYS_fallocate};
	struct disk *d = new_disk();

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		for (unsigned n = 0; n < 2; n++) {
			struct nvme_command fua = io(IO_WRITE, 0, 1, DATA, 0);

			fua.dw12 |= IO_FUA;
			fail_calls(calls[i], n ? EINTR : EAGAIN, 5);
			CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
			CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 1, DATA, 0)), 0);
			CHECK_EQ(status_of(d, 1, fua), 0);
			CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
			CHECK_EQ(status_of(d, 1, io(IO_WRITE_ZEROES, 0, 1, 0, 0)), 0);
			CHECK_EQ(discard(d, 0, 1), 0);
			fail_calls(calls[i], 0, 0);
		}
	}
	drop_disk(d);
}

/* The kernel tells of it once. */
static void what_was_lost_is_told_to_all(void)
{
	struct disk *d = new_disk();
	struct nvme_command fua = io(IO_WRITE, 0, 1, DATA, 0);

	fua.dw12 |= IO_FUA;
	fail_calls(SYS_fdatasync, ENOMEM, 1);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), NVME_INTERNAL_ERROR);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
	fail_calls(SYS_fdatasync, EIO, 1);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), NVME_WRITE_FAULT);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), NVME_WRITE_FAULT);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	CHECK_EQ(status_of(d, 1, fua), 0);
	drop_disk(d);

	d = new_disk();
	fail_calls(SYS_pwritev2, ENOSPC, 1);
	CHECK_EQ(status_of(d, 1, fua), NVME_CAPACITY_EXCEEDED);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
	fail_calls(SYS_pwritev2, EIO, 1);
	CHECK_EQ(status_of(d, 1, fua), NVME_WRITE_FAULT);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), NVME_WRITE_FAULT);
	drop_disk(d);
}

static void a_shutdown_that_fails_is_logged(void)
{
	struct disk *d = new_disk();
	const struct nvme_command log = {
		.opcode = ADMIN_GET_LOG_PAGE, .nsid = NVME_ALL_NAMESPACES, .prp1 = DATA, .dw10 = LOG_ERROR | 15 << 16};
	uint16_t entry[8];

	fail_calls(SYS_fdatasync, EIO, 1);
	set32(d, NVME_CC, CC_GOOD | 1 << CC_SHN_SHIFT);
	wait_status(d, 3 << 2, CSTS_SHST_COMPLETE);
	CHECK(d->said[0]);
	disable(d);
	enable(d);
	CHECK_EQ(status_of(d, 0, log), 0);
	memcpy(entry, d->memory + DATA, sizeof(entry));
	CHECK_EQ(entry[0], 1);
	CHECK_EQ(entry[4], 0xffff);
	CHECK_EQ(entry[5], 0xffff);
	CHECK_EQ(entry[6] >> 1 & STATUS_CODE, NVME_WRITE_FAULT);
	/* Who uses the disk cannot make it be said again and again. */
	d->said[0] = 0;
	set32(d, NVME_CC, CC_GOOD | 1 << CC_SHN_SHIFT);
	wait_status(d, 3 << 2, CSTS_SHST_COMPLETE);
	CHECK(!d->said[0]);
	drop_disk(d);
}

/* Bytes that the image writes now. */
static uint64_t bytes_being_written(const struct disk *d)
{
	const struct nvme *nvme = d->state;
	uint64_t n = 0;

	for (unsigned i = 0; i < NVME_REQUESTS; i++)
		if (nvme->request[i].sq && nvme->request[i].io.op == IMAGE_WRITE)
			n += nvme->request[i].io.length;
	return n;
}

/* The image cannot make zeroes by itself, and is slow. */
static void zeroes_are_not_all_written_in_one_look(void)
{
	struct disk *d = new_disk();

	fail_calls(SYS_fallocate, EOPNOTSUPP, 2);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE_ZEROES, 0, 1, 0, 0)), 0);
	hold_calls(SYS_pwritev2);
	for (unsigned i = 0; i < ENTRIES - 1; i++)
		put(d, 1, io(IO_WRITE_ZEROES, 0, 2048, 0, 0));
	ring(d, 1);
	nvme_model.poll(d->state);
	CHECK(bytes_being_written(d) && bytes_being_written(d) <= 1 << 20);
	release_calls(SYS_pwritev2);
	for (unsigned i = 0; i < ENTRIES - 1; i++)
		CHECK_EQ(get(d, 1).status >> 1, 0);
	drop_disk(d);
}

/* The image cannot discard, so each range is done at once. */
static void not_all_is_discarded_in_one_look(void)
{
	struct disk *d = new_disk();
	const struct nvme *nvme = d->state;

	fail_calls(SYS_fallocate, EOPNOTSUPP, 1);
	CHECK_EQ(discard(d, 0, 1), 0);
	for (unsigned i = 0; i < 256; i++)
		memcpy(d->memory + DATA + 16UL * i, &(uint64_t[2]){(uint64_t)1 << 32, i}, 16);
	for (unsigned i = 0; i < ENTRIES - 1; i++) {
		struct nvme_command command = io(IO_DATASET, 0, 1, DATA, 0);

		command.dw10 = 255;
		command.dw11 = DATASET_DEALLOCATE;
		put(d, 1, command);
	}
	ring(d, 1);
	nvme_model.poll(d->state);
	CHECK(nvme->under_way > ENTRIES / 2);
	for (unsigned i = 0; i < ENTRIES - 1; i++)
		CHECK_EQ(get(d, 1).status >> 1, 0);
	drop_disk(d);
}

/* What is read at once, too. */
static void not_all_is_read_in_one_look(void)
{
	static const char *const ways[] = {"threads", "auto"};

	for (size_t i = 0; i < 2; i++) {
		struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));
		const struct nvme *nvme;

		memset(d, 0, sizeof(*d));
		d->image = image;
		d->aio = ways[i];
		d->mdts = "1M";
		open_disk(d);
		nvme = d->state;
		for (unsigned page = 0; page < 256; page++)
			memcpy(d->memory + LISTS + 8UL * page, &(uint64_t){DATA}, 8);
		for (unsigned q = 2; q <= 4; q++)
			make_queue(d, q, ENTRIES, ENTRIES);
		for (unsigned q = 1; q <= 4; q++) {
			for (unsigned n = 0; n < ENTRIES - 1; n++)
				put(d, q, io(IO_READ, 0, 2048, DATA, LISTS));
			ring(d, q);
		}
		nvme_model.poll(d->state);
		CHECK(nvme->under_way && nvme->under_way < ENTRIES);
		for (unsigned q = 1; q <= 4; q++)
			for (unsigned n = 0; n < ENTRIES - 1; n++)
				CHECK_EQ(get(d, q).status >> 1, 0);
		drop_disk(d);
	}
}

static bool there_is_io_uring(void)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));
	bool there;

	memset(d, 0, sizeof(*d));
	d->image = image;
	d->aio = "io_uring";
	there = !make_disk(d);
	if (there)
		nvme_model.destroy(d->state);
	else
		printf("%s: nothing is done by it\n", d->said);
	free(d);
	return there;
}

/* number: of the system call that gives an error */
static void io_uring_may_be_refused(int number)
{
	static const int errors[] = {EPERM, ENOSYS, ENOMEM, EINVAL};
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->image = image;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		d->aio = "io_uring";
		fail_calls(number, errors[i], ALWAYS);
		CHECK_EQ(make_disk(d), -errors[i]);
		CHECK(!strncmp(d->said, "io_uring: ", 10));
		d->aio = "auto";
		CHECK_EQ(make_disk(d), 0);
		nvme_model.destroy(d->state);
	}
	open_disk(d);
	fail_calls(number, 0, 0);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
	drop_disk(d);
}

static void what_the_kernel_does_not_take_now_it_takes_later(void)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));
	unsigned made = calls_made(SYS_io_uring_enter);

	memset(d, 0, sizeof(*d));
	d->image = image;
	d->aio = "io_uring";
	open_disk(d);
	fail_calls(SYS_io_uring_enter, EAGAIN, 5);
	for (unsigned i = 0; i < 4; i++)
		put(d, 1, io(i ? IO_WRITE : IO_FLUSH, i, 1, DATA, 0));
	ring(d, 1);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(get(d, 1).status >> 1, 0);
	CHECK(calls_made(SYS_io_uring_enter) > made + 5);
	drop_disk(d);
}

static void *poll_once(void *context)
{
	struct disk *d = context;

	nvme_model.poll(d->state);
	return context;
}

/* As the one that polls does when the device is closed. The blocks are in no cache. */
static void a_thread_may_end_before_what_it_began(void)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));
	pthread_t thread;
	int fd;

	memset(d, 0, sizeof(*d));
	d->image = image;
	d->aio = "io_uring";
	open_disk(d);
	for (unsigned round = 0; round < 5; round++) {
		fd = open(image, O_RDWR | O_CLOEXEC);
		CHECK(!fsync(fd) && !posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		close(fd);
		for (unsigned i = 0; i < 12; i++)
			put(d, 1, io(IO_READ, i * 128UL, 8, DATA + i * PAGE, 0));
		ring(d, 1);
		CHECK_EQ(pthread_create(&thread, NULL, poll_once, d), 0);
		pthread_join(thread, NULL);
		for (unsigned i = 0; i < 12; i++)
			CHECK_EQ(get(d, 1).status >> 1, 0);
	}
	drop_disk(d);
}

int main(void)
{
	if (!catch_calls()) {
		printf("the kernel lets no calls be caught\n");
		return 77;
	}
	make_image(image, 1 << 20);
	a_new_image_has_its_name_on_disk();
	no_room_is_taken_by_a_discard();
	zeroes_are_written_where_a_place_cannot_be_made_zeroes();
	an_operation_that_takes_long_holds_up_no_other();
	what_is_cached_goes_to_disk_when_the_cache_is_switched_off();
	writes_under_way_are_on_disk_without_a_cache();
	what_is_read_with_fua_is_on_disk();
	what_is_discarded_stays_so_without_a_cache();
	a_queue_is_there_until_its_commands_have_ended();
	a_queue_is_gone_after_its_last_completion();
	nothing_of_before_a_reset_comes_after_it();
	a_shutdown_waits_for_what_is_under_way();
	errors_of_the_image_have_a_status();
	what_was_interrupted_goes_on();
	what_was_lost_is_told_to_all();
	a_shutdown_that_fails_is_logged();
	zeroes_are_not_all_written_in_one_look();
	not_all_is_discarded_in_one_look();
	not_all_is_read_in_one_look();
	if (there_is_io_uring()) {
		io_uring_may_be_refused(SYS_io_uring_setup);
		io_uring_may_be_refused(SYS_io_uring_enter);
		what_the_kernel_does_not_take_now_it_takes_later();
		a_thread_may_end_before_what_it_began();
	}
	unlink(image);
	return check_result();
}
