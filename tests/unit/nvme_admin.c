/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's admin commands, by what the specification says of each. */
#include "fake_disk.h"

static char image[32];

static struct disk *new_disk(void)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->image = image;
	open_disk(d);
	return d;
}

static void drop_disk(struct disk *d)
{
	close_disk(d);
	free(d);
}

static uint16_t get16(const struct disk *d, unsigned at)
{
	uint16_t value;

	memcpy(&value, d->memory + DATA + at, sizeof(value));
	return value;
}

static uint64_t get64(const struct disk *d, unsigned at)
{
	uint64_t value;

	memcpy(&value, d->memory + DATA + at, sizeof(value));
	return value;
}

static unsigned identify(struct disk *d, unsigned what, uint32_t nsid)
{
	memset(d->memory + DATA, 0xa5, 2UL * PAGE);
	return status_of(d, 0,
			 (struct nvme_command){.opcode = ADMIN_IDENTIFY, .nsid = nsid, .prp1 = DATA, .dw10 = what});
}

static void identify_controller(void)
{
	struct disk *d = new_disk();

	CHECK_EQ(identify(d, 1, 0), 0);
	CHECK_EQ(get16(d, 0), nvme_model.vendor);
	CHECK_EQ(get16(d, 2), nvme_model.subsystem_vendor);
	CHECK_EQ(d->memory[DATA + 77], 5);  /* 128 KiB */
	CHECK_EQ(get64(d, 80), 0x10400);    /* and no times of resume */
	CHECK_EQ(d->memory[DATA + 111], 1); /* I/O */
	CHECK_EQ(get16(d, 256), 0);         /* no optional admin command */
	CHECK_EQ(d->memory[DATA + 512], 0x66);
	CHECK_EQ(d->memory[DATA + 513], 0x44);
	CHECK_EQ(get64(d, 516) & 0xffffffff, 1);
	CHECK_EQ(get16(d, 520), 0x9d);
	CHECK_EQ(d->memory[DATA + 525], 7);
	CHECK(!memcmp(d->memory + DATA + 24, "iommuse NVMe                            ", 40));
	CHECK(!memcmp(d->memory + DATA + 768, "nqn.2014-08.org.nvmexpress:uuid:", 32));
	CHECK_EQ(strlen((char *)d->memory + DATA + 768), 32 + 36);
	for (unsigned i = 4; i < 72; i++)
		CHECK(d->memory[DATA + i] >= ' ' && d->memory[DATA + i] < 0x7f);
	drop_disk(d);
}

static void identify_namespace(void)
{
	struct disk *d = new_disk();

	CHECK_EQ(identify(d, 0, 1), 0);
	CHECK_EQ(get64(d, 0), 2048);
	CHECK_EQ(get64(d, 8), 2048);
	CHECK_EQ(d->memory[DATA + 25], 0); /* one format */
	CHECK_EQ(d->memory[DATA + 99], 0);
	CHECK_EQ(get64(d, 128), 9 << 16);
	CHECK_EQ(identify(d, 0, 0), NVME_INVALID_NAMESPACE);
	CHECK_EQ(identify(d, 0, 2), NVME_INVALID_NAMESPACE);
	CHECK_EQ(identify(d, 0, NVME_ALL_NAMESPACES), NVME_INVALID_NAMESPACE);
	drop_disk(d);
}

static uint64_t eui64_of(const char *serial)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));
	uint64_t eui64, listed;

	memset(d, 0, sizeof(*d));
	d->image = image;
	d->serial = serial;
	open_disk(d);
	CHECK_EQ(identify(d, 0, 1), 0);
	eui64 = get64(d, 120);
	CHECK_EQ(identify(d, 3, 1), 0);
	listed = get64(d, 4);
	CHECK(eui64 && eui64 == listed);
	drop_disk(d);
	return eui64;
}

/* Of one image, too, and always the same. */
static void disks_with_serial_numbers_are_different(void)
{
	CHECK(eui64_of(NULL) == eui64_of(NULL));
	CHECK(eui64_of("a") == eui64_of("a"));
	CHECK(eui64_of("a") != eui64_of(NULL));
	CHECK(eui64_of("a") != eui64_of("b"));
}

static void namespaces_are_listed(void)
{
	struct disk *d = new_disk();

	CHECK_EQ(identify(d, 2, 0), 0);
	CHECK_EQ(get64(d, 0), 1);
	CHECK_EQ(identify(d, 2, 1), 0);
	CHECK_EQ(get64(d, 0), 0);
	CHECK_EQ(identify(d, 2, 0xfffffffe), NVME_INVALID_NAMESPACE);
	CHECK_EQ(identify(d, 2, 0xffffffff), NVME_INVALID_NAMESPACE);
	CHECK_EQ(identify(d, 3, 1), 0);
	CHECK_EQ(get16(d, 0), 0x0801); /* EUI-64 */
	CHECK_EQ(get16(d, 12), 0);
	CHECK_EQ(identify(d, 3, 2), NVME_INVALID_NAMESPACE);
	CHECK_EQ(identify(d, 0x10, 0), NVME_INVALID_FIELD);
	CHECK_EQ(identify(d, 0xff, 1), NVME_INVALID_FIELD);
	drop_disk(d);
}

static void identify_goes_to_two_pages(void)
{
	struct disk *d = new_disk();
	struct nvme_command command = {
		.opcode = ADMIN_IDENTIFY, .prp1 = DATA + 0xffc, .prp2 = DATA + 0x3000, .dw10 = 1};

	memset(d->memory + DATA, 0xa5, 5UL * PAGE);
	CHECK_EQ(status_of(d, 0, command), 0);
	CHECK_EQ(get16(d, 0xffc), nvme_model.vendor);
	CHECK_EQ(d->memory[DATA + 0xffb], 0xa5);
	CHECK_EQ(d->memory[DATA + 0x1000], 0xa5);
	CHECK_EQ(d->memory[DATA + 0x3000 + 77 - 4], 5);
	CHECK_EQ(d->memory[DATA + 0x3ffc], 0xa5);
	command.prp2 += 8;
	CHECK_EQ(status_of(d, 0, command), NVME_PRP_INVALID_OFFSET);
	command.prp1 = DATA + 2;
	CHECK_EQ(status_of(d, 0, command), NVME_PRP_INVALID_OFFSET);
	command.prp1 = READ_ONLY;
	CHECK_EQ(status_of(d, 0, command), NVME_DATA_TRANSFER_ERROR);
	drop_disk(d);
}

/* Queues */

static void queues_are_checked(void)
{
	struct disk *d = new_disk();
	struct nvme_command cq = cq_command(2, ENTRIES), sq = sq_command(2, ENTRIES);

#define EXPECT(what, change, status)                                                                                   \
	do {                                                                                                           \
		struct nvme_command command = what;                                                                    \
		command.change;                                                                                        \
		CHECK_EQ(status_of(d, 0, command), status);                                                            \
	} while (0)

	EXPECT(cq, dw10 = 0 | 15 << 16, NVME_INVALID_QUEUE_ID);
	EXPECT(cq, dw10 = 17 | 15 << 16, NVME_INVALID_QUEUE_ID);
	EXPECT(cq, dw10 = 1 | 15 << 16, NVME_INVALID_QUEUE_ID); /* it exists */
	EXPECT(cq, dw10 = 2, NVME_INVALID_QUEUE_SIZE);
	EXPECT(cq, dw10 = 2 | 4096U << 16, NVME_INVALID_QUEUE_SIZE);
	EXPECT(cq, prp1 += 16, NVME_PRP_INVALID_OFFSET);
	EXPECT(cq, dw11 = 2 | 2 << 16, NVME_INVALID_FIELD); /* not contiguous */
	EXPECT(cq, dw11 = 3 | 65 << 16, NVME_INVALID_VECTOR);
	EXPECT(sq, dw11 = 1 | 2 << 16, NVME_CQ_INVALID);
	EXPECT(cq, dw11 = 3 | 64 << 16, 0);
	EXPECT(sq, dw11 = 1, NVME_INVALID_QUEUE_ID);
	EXPECT(sq, dw11 = 1 | 17 << 16, NVME_INVALID_QUEUE_ID);
	EXPECT(sq, dw11 = 1 | 3 << 16, NVME_CQ_INVALID);
	EXPECT(sq, dw10 = 0 | 15 << 16, NVME_INVALID_QUEUE_ID);
	EXPECT(sq, dw10 = 17 | 15 << 16, NVME_INVALID_QUEUE_ID);
	EXPECT(sq, dw10 = 1 | 15 << 16, NVME_INVALID_QUEUE_ID);
	EXPECT(sq, dw10 = 2, NVME_INVALID_QUEUE_SIZE);
	EXPECT(sq, prp1 += 64, NVME_PRP_INVALID_OFFSET);
	EXPECT(sq, dw11 = 2 << 16, NVME_INVALID_FIELD);
	EXPECT(sq, dw11 = 1 | 2 << 16, 0);
	drop_disk(d);
}

/* A driver may set them when it has seen what Identify says. */
static void entries_have_sizes_when_queues_are_made(void)
{
	struct disk *d = new_disk();

	disable(d);
	set_admin_queue(d);
	set32(d, NVME_CC, CC_EN);
	wait_status(d, CSTS_RDY, CSTS_RDY);
	CHECK_EQ(status_of(d, 0, cq_command(1, ENTRIES)), NVME_INVALID_QUEUE_SIZE);
	set32(d, NVME_CC, CC_EN | CQE_SHIFT << CC_IOCQES_SHIFT);
	CHECK_EQ(status_of(d, 0, cq_command(1, ENTRIES)), 0);
	CHECK_EQ(status_of(d, 0, sq_command(1, ENTRIES)), NVME_INVALID_QUEUE_SIZE);
	set32(d, NVME_CC, CC_GOOD);
	CHECK_EQ(status_of(d, 0, sq_command(1, ENTRIES)), 0);
	drop_disk(d);
}

static unsigned delete_queue(struct disk *d, uint8_t opcode, unsigned id)
{
	return status_of(d, 0, (struct nvme_command){.opcode = opcode, .dw10 = id});
}

static void queues_are_deleted_in_their_order(void)
{
	struct disk *d = new_disk();

	CHECK_EQ(delete_queue(d, ADMIN_DELETE_CQ, 1), NVME_INVALID_QUEUE_DELETION);
	CHECK_EQ(delete_queue(d, ADMIN_DELETE_CQ, 0), NVME_INVALID_QUEUE_ID);
	CHECK_EQ(delete_queue(d, ADMIN_DELETE_SQ, 0), NVME_INVALID_QUEUE_ID);
	CHECK_EQ(delete_queue(d, ADMIN_DELETE_SQ, 2), NVME_INVALID_QUEUE_ID);
	CHECK_EQ(delete_queue(d, ADMIN_DELETE_SQ, 99), NVME_INVALID_QUEUE_ID);
	CHECK_EQ(delete_queue(d, ADMIN_DELETE_SQ, 1), 0);
	CHECK_EQ(delete_queue(d, ADMIN_DELETE_SQ, 1), NVME_INVALID_QUEUE_ID);
	CHECK_EQ(delete_queue(d, ADMIN_DELETE_CQ, 1), 0);
	CHECK_EQ(delete_queue(d, ADMIN_DELETE_CQ, 1), NVME_INVALID_QUEUE_ID);
	make_queue(d, 1, ENTRIES, ENTRIES);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	drop_disk(d);
}

/* What was fetched is completed before the queue is gone. */
static void a_queue_is_deleted_after_its_commands(void)
{
	struct disk *d = new_disk();

	for (unsigned round = 0; round < 50; round++) {
		const struct nvme_command gone = {.opcode = ADMIN_DELETE_SQ, .dw10 = 1};
		struct nvme_completion completion;
		unsigned n = 0;

		for (unsigned i = 0; i < 4; i++)
			put(d, 1, io(i % 2 ? IO_WRITE : IO_FLUSH, i, 1, DATA, 0));
		ring(d, 1);
		nvme_model.poll(d->state);
		put(d, 0, gone);
		ring(d, 0);
		CHECK_EQ(get(d, 0).status >> 1, 0);
		while (peek(d, 1, &completion)) {
			CHECK_EQ(completion.status >> 1, 0);
			take(d, 1);
			n++;
		}
		CHECK_EQ(n, 4);
		CHECK_EQ(delete_queue(d, ADMIN_DELETE_CQ, 1), 0);
		make_queue(d, 1, ENTRIES, ENTRIES);
	}
	drop_disk(d);
}

/* Features */

static struct nvme_completion feature(struct disk *d, uint8_t opcode, uint32_t dw10, uint32_t dw11)
{
	uint32_t nsid = (dw10 & 0xff) == FEATURE_ERROR_RECOVERY;

	return run(d, 0, (struct nvme_command){.opcode = opcode, .nsid = nsid, .dw10 = dw10, .dw11 = dw11});
}

static unsigned set_feature(struct disk *d, uint32_t dw10, uint32_t dw11)
{
	return feature(d, ADMIN_SET_FEATURES, dw10, dw11).status >> 1 & STATUS_CODE;
}

static uint32_t get_feature(struct disk *d, uint32_t dw10, uint32_t dw11)
{
	struct nvme_completion completion = feature(d, ADMIN_GET_FEATURES, dw10, dw11);

	CHECK_EQ(completion.status >> 1, 0);
	return completion.result;
}

static void features_are_kept(void)
{
	static const struct {
		uint8_t id;
		uint32_t initial, value;
	} kept[] = {
		{FEATURE_ARBITRATION, 7, 0x01020304}, {FEATURE_ERROR_RECOVERY, 0, 0x1234}, {FEATURE_WRITE_CACHE, 1, 0},
		{FEATURE_COALESCING, 0, 0x0305},      {FEATURE_ATOMICITY, 0, 1},           {FEATURE_EVENTS, 0, 0x1f},
	};
	struct disk *d = new_disk();

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		CHECK_EQ(get_feature(d, kept[i].id, 0), kept[i].initial);
		CHECK_EQ(set_feature(d, kept[i].id, kept[i].value), 0);
		CHECK_EQ(get_feature(d, kept[i].id, 0), kept[i].value);
		CHECK_EQ(get_feature(d, kept[i].id | 1 << 8, 0), kept[i].initial);
		CHECK_EQ(get_feature(d, kept[i].id | 2 << 8, 0), kept[i].initial);
		CHECK_EQ(get_feature(d, kept[i].id | 3 << 8, 0) & 5, 4);
		CHECK_EQ(set_feature(d, kept[i].id | 1U << 31, kept[i].value), NVME_FEATURE_NOT_SAVEABLE);
	}
	CHECK_EQ(set_feature(d, FEATURE_POWER, 0), 0);
	CHECK_EQ(set_feature(d, FEATURE_POWER, 1), NVME_INVALID_FIELD);
	CHECK_EQ(set_feature(d, 0x00, 0), NVME_INVALID_FIELD);
	CHECK_EQ(set_feature(d, 0x0d, 0), NVME_INVALID_FIELD);
	CHECK_EQ(feature(d, ADMIN_GET_FEATURES, 0x0d, 0).status >> 1 & STATUS_CODE, NVME_INVALID_FIELD);
	CHECK_EQ(feature(d, ADMIN_GET_FEATURES, 1 | 4 << 8, 0).status >> 1 & STATUS_CODE, NVME_INVALID_FIELD);
	drop_disk(d);
}

static void features_have_a_namespace_or_none(void)
{
	static const struct {
		uint8_t id;
		uint32_t nsid;
		unsigned set, get;
	} scope[] = {
		{FEATURE_ARBITRATION, 0, 0, 0},
		{FEATURE_ARBITRATION, 1, NVME_FEATURE_NOT_OF_NAMESPACE, 0},
		{FEATURE_ARBITRATION, 2, NVME_INVALID_NAMESPACE, NVME_INVALID_NAMESPACE},
		{FEATURE_ARBITRATION, NVME_ALL_NAMESPACES, 0, 0},
		{FEATURE_ERROR_RECOVERY, 0, NVME_INVALID_NAMESPACE, NVME_INVALID_NAMESPACE},
		{FEATURE_ERROR_RECOVERY, 1, 0, 0},
		{FEATURE_ERROR_RECOVERY, 2, NVME_INVALID_NAMESPACE, NVME_INVALID_NAMESPACE},
		{FEATURE_ERROR_RECOVERY, NVME_ALL_NAMESPACES, 0, NVME_INVALID_NAMESPACE},
		{FEATURE_LBA_RANGES, 1, NVME_INVALID_FIELD, NVME_INVALID_FIELD},
		{FEATURE_WRITE_CACHE, 1, 0, 0}, /* so says QEMU */
		{FEATURE_WRITE_CACHE, 2, NVME_INVALID_NAMESPACE, NVME_INVALID_NAMESPACE},
	};
	struct disk *d = new_disk();

	for (size_t i = 0; i < sizeof(scope) / sizeof(scope[0]); i++) {
		struct nvme_command command = {.nsid = scope[i].nsid, .dw10 = scope[i].id};

		command.opcode = ADMIN_SET_FEATURES;
		CHECK_EQ(status_of(d, 0, command), scope[i].set);
		command.opcode = ADMIN_GET_FEATURES;
		CHECK_EQ(status_of(d, 0, command), scope[i].get);
	}
	drop_disk(d);
}

static void queues_are_counted_before_there_are_any(void)
{
	struct disk *d = new_disk();

	CHECK_EQ(set_feature(d, FEATURE_QUEUES, 3 | 3 << 16), NVME_SEQUENCE_ERROR);
	disable(d);
	enable(d);
	CHECK_EQ(feature(d, ADMIN_SET_FEATURES, FEATURE_QUEUES, 3 | 3 << 16).result, 15 | 15 << 16);
	CHECK_EQ(set_feature(d, FEATURE_QUEUES, 0xffff), NVME_INVALID_FIELD);
	CHECK_EQ(set_feature(d, FEATURE_QUEUES, 0xffff0000), NVME_INVALID_FIELD);
	CHECK_EQ(get_feature(d, FEATURE_QUEUES, 0), 15 | 15 << 16);
	drop_disk(d);
}

static void vectors_have_settings(void)
{
	struct disk *d = new_disk();

	CHECK_EQ(set_feature(d, FEATURE_VECTOR, 64 | 1 << 16), 0);
	CHECK_EQ(get_feature(d, FEATURE_VECTOR, 64), 64 | 1 << 16);
	CHECK_EQ(get_feature(d, FEATURE_VECTOR, 3), 3);
	CHECK_EQ(set_feature(d, FEATURE_VECTOR, 65), NVME_INVALID_FIELD);
	drop_disk(d);
}

/* Events and aborts */

static void put_event_request(struct disk *d)
{
	put(d, 0, (struct nvme_command){.opcode = ADMIN_ASYNC_EVENT});
}

static void a_temperature_over_its_threshold_is_told(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;

	CHECK_EQ(get_feature(d, FEATURE_TEMPERATURE, 0), 343);
	CHECK_EQ(get_feature(d, FEATURE_TEMPERATURE, 1 << 20), 0);
	CHECK_EQ(set_feature(d, FEATURE_TEMPERATURE, 1 << 16 | 300), NVME_INVALID_FIELD);
	CHECK_EQ(set_feature(d, FEATURE_TEMPERATURE, 300), 0); /* nobody wants to know */
	put_event_request(d);
	ring(d, 0);
	look(d);
	CHECK(!peek(d, 0, &completion));
	CHECK_EQ(set_feature(d, FEATURE_TEMPERATURE, 343), 0);
	CHECK_EQ(set_feature(d, FEATURE_EVENTS, 2), 0);
	put(d, 0, (struct nvme_command){.opcode = ADMIN_SET_FEATURES, .dw10 = FEATURE_TEMPERATURE, .dw11 = 310});
	ring(d, 0);
	completion = get(d, 0);
	CHECK_EQ(completion.status >> 1, 0);
	completion = get(d, 0);
	CHECK_EQ(completion.result, 0x020101);
	drop_disk(d);
}

static void requests_for_events_are_few(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;

	for (unsigned i = 0; i < 4; i++)
		put_event_request(d);
	ring(d, 0);
	look(d);
	CHECK(!peek(d, 0, &completion));
	CHECK_EQ(status_of(d, 0, (struct nvme_command){.opcode = ADMIN_ASYNC_EVENT}), NVME_TOO_MANY_EVENT_REQUESTS);
	drop_disk(d);
}

static void only_requests_for_events_can_be_aborted(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;
	uint16_t cid;

	put_event_request(d);
	cid = d->cid;
	put_event_request(d);
	ring(d, 0);
	look(d);
	put(d, 0, (struct nvme_command){.opcode = ADMIN_ABORT, .dw10 = (uint32_t)cid << 16});
	ring(d, 0);
	completion = get(d, 0);
	CHECK_EQ(completion.cid, cid);
	CHECK_EQ(completion.status >> 1, NVME_ABORT_REQUESTED);
	completion = get(d, 0);
	CHECK_EQ(completion.status >> 1, 0);
	CHECK_EQ(completion.result, 0);
	completion = run(d, 0, (struct nvme_command){.opcode = ADMIN_ABORT, .dw10 = (uint32_t)cid << 16});
	CHECK_EQ(completion.status >> 1, 0);
	CHECK_EQ(completion.result, 1);
	completion = run(d, 0, (struct nvme_command){.opcode = ADMIN_ABORT, .dw10 = 1 | 7 << 16});
	CHECK_EQ(completion.result, 1);
	drop_disk(d);
}

/* Log pages */

static struct nvme_command log_command(unsigned page, unsigned bytes, uint64_t offset)
{
	return (struct nvme_command){.opcode = ADMIN_GET_LOG_PAGE,
				     .nsid = NVME_ALL_NAMESPACES,
				     .prp1 = DATA,
				     .dw10 = page | (bytes / 4 - 1) << 16,
				     .dw12 = (uint32_t)offset,
				     .dw13 = (uint32_t)(offset >> 32)};
}

static void errors_are_logged_the_newest_first(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;

	CHECK_EQ(status_of(d, 0, log_command(LOG_ERROR, 4096, 0)), 0);
	CHECK_EQ(get64(d, 0), 0);
	for (unsigned i = 0; i < 70; i++) {
		completion = run(d, 1, io(IO_READ, i, 1, READ_ONLY, 0));
		CHECK_EQ(completion.status >> 1, NVME_DATA_TRANSFER_ERROR | STATUS_MORE);
	}
	memset(d->memory + DATA, 0xa5, 2UL * PAGE);
	CHECK_EQ(status_of(d, 0, log_command(LOG_ERROR, 4096, 0)), 0);
	CHECK_EQ(get64(d, 0), 70);
	CHECK_EQ(get16(d, 8), 1);
	CHECK_EQ(get16(d, 10), completion.cid);
	CHECK_EQ(get16(d, 12) >> 1 & STATUS_CODE, NVME_DATA_TRANSFER_ERROR);
	CHECK_EQ(get64(d, 16), 69);
	CHECK_EQ(get64(d, 24) & 0xffffffff, 1);
	CHECK_EQ(get64(d, 63 * 64), 7);
	CHECK_EQ(d->memory[DATA + PAGE], 0xa5);
	memset(d->memory + DATA, 0xa5, 2UL * PAGE);
	CHECK_EQ(status_of(d, 0, log_command(LOG_ERROR, 64, 128)), 0);
	CHECK_EQ(get64(d, 0), 68);
	CHECK_EQ(d->memory[DATA + 64], 0xa5);
	drop_disk(d);
}

static void what_was_done_is_counted(void)
{
	struct disk *d = new_disk();

	for (unsigned i = 0; i < 31; i++)
		memcpy(d->memory + LISTS + 8UL * i, &(uint64_t){DATA}, 8);
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 256, DATA, LISTS)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 1, DATA, 0)), 0);
	CHECK_EQ(status_of(d, 0, log_command(LOG_HEALTH, 512, 0)), 0);
	CHECK_EQ(d->memory[DATA], 0);
	CHECK_EQ(get16(d, 1), 310);
	CHECK_EQ(get64(d, 32), 3); /* thousands of blocks */
	CHECK_EQ(get64(d, 48), 1);
	CHECK_EQ(get64(d, 64), 10);
	CHECK_EQ(get64(d, 80), 1);
	CHECK_EQ(get64(d, 144), 0);
	CHECK_EQ(get64(d, 176), 0);
	drop_disk(d);
}

static void log_pages_are_checked(void)
{
	struct disk *d = new_disk();
	struct nvme_command command;

	CHECK_EQ(status_of(d, 0, log_command(LOG_FIRMWARE, 512, 0)), 0);
	CHECK_EQ(d->memory[DATA], 1);
	CHECK_EQ(d->memory[DATA + 8], IOMMUSE_VERSION[0]);
	CHECK_EQ(status_of(d, 0, log_command(LOG_CHANGED_NAMESPACES, 4096, 0)), 0);
	CHECK_EQ(get64(d, 0), 0);
	CHECK_EQ(status_of(d, 0, log_command(0, 512, 0)), NVME_INVALID_LOG_PAGE);
	CHECK_EQ(status_of(d, 0, log_command(0xc0, 512, 0)), NVME_INVALID_LOG_PAGE);
	CHECK_EQ(status_of(d, 0, log_command(LOG_HEALTH, 512, 2)), NVME_INVALID_FIELD);
	CHECK_EQ(status_of(d, 0, log_command(LOG_HEALTH, 512, 516)), NVME_INVALID_FIELD);
	CHECK_EQ(status_of(d, 0, log_command(LOG_HEALTH, 512, UINT64_MAX - 3)), NVME_INVALID_FIELD);
	CHECK_EQ(status_of(d, 0, log_command(LOG_HEALTH, 512, 512)), 0);
	CHECK_EQ(status_of(d, 0, log_command(LOG_HEALTH, 131076, 0)), NVME_INVALID_FIELD);
	CHECK_EQ(status_of(d, 0, log_command(LOG_HEALTH, 8192, 0)), 0); /* beyond its end nothing is given */
	command = log_command(LOG_HEALTH, 512, 0);
	command.nsid = 0;
	CHECK_EQ(status_of(d, 0, command), 0);
	command.nsid = 1; /* it is of no namespace */
	CHECK_EQ(status_of(d, 0, command), NVME_INVALID_FIELD);
	command.nsid = 2;
	CHECK_EQ(status_of(d, 0, command), NVME_INVALID_NAMESPACE);
	drop_disk(d);
}

/* What is asked for needs a list of PRPs, although what there is of it would not. */
static void a_log_page_may_be_shorter_than_its_list(void)
{
	struct disk *d = new_disk();
	struct nvme_command command = log_command(LOG_CHANGED_NAMESPACES, 12288, 0);
	const uint64_t list[3] = {DATA + 0x3000, DATA + 0x5000, DATA + 0x1000};

	command.prp1 = DATA + 0x800;
	command.prp2 = LISTS;
	memset(d->memory + DATA, 0xa5, 6UL * PAGE);
	memcpy(d->memory + LISTS, list, sizeof(list));
	CHECK_EQ(status_of(d, 0, command), 0);
	CHECK(!memcmp(d->memory + LISTS, list, sizeof(list)));
	CHECK_EQ(d->memory[DATA + 0x7ff], 0xa5);
	CHECK_EQ(get64(d, 0x800), 0);
	CHECK_EQ(get64(d, 0xff8), 0);
	CHECK_EQ(d->memory[DATA + 0x1000], 0xa5);
	CHECK_EQ(get64(d, 0x3000), 0);
	CHECK_EQ(get64(d, 0x37f8), 0);
	CHECK_EQ(d->memory[DATA + 0x3800], 0xa5);
	drop_disk(d);
}

/* What there is not */

static void other_commands_are_refused(void)
{
	static const uint8_t other[] = {0x03, 0x07, 0x0d, 0x10, 0x11, 0x14, 0x15,
					0x18, 0x1c, 0x7c, 0x80, 0x81, 0x84, 0xff};
	struct disk *d = new_disk();
	struct nvme_completion completion;

	for (size_t i = 0; i < sizeof(other); i++) {
		completion = run(d, 0, (struct nvme_command){.opcode = other[i], .nsid = 1});
		CHECK_EQ(completion.status >> 1, NVME_INVALID_OPCODE | STATUS_DNR);
	}
	CHECK_EQ(status_of(d, 0, (struct nvme_command){.opcode = ADMIN_IDENTIFY, .flags = 1, .dw10 = 1, .prp1 = DATA}),
		 NVME_INVALID_FIELD);
	CHECK_EQ(status_of(d, 0,
			   (struct nvme_command){.opcode = ADMIN_IDENTIFY, .flags = 0x40, .dw10 = 1, .prp1 = DATA}),
		 NVME_INVALID_FIELD);
	drop_disk(d);
}

int main(void)
{
	make_image(image, 1 << 20);
	identify_controller();
	identify_namespace();
	namespaces_are_listed();
	disks_with_serial_numbers_are_different();
	identify_goes_to_two_pages();
	queues_are_checked();
	entries_have_sizes_when_queues_are_made();
	queues_are_deleted_in_their_order();
	a_queue_is_deleted_after_its_commands();
	features_are_kept();
	features_have_a_namespace_or_none();
	queues_are_counted_before_there_are_any();
	vectors_have_settings();
	a_temperature_over_its_threshold_is_told();
	requests_for_events_are_few();
	only_requests_for_events_can_be_aborted();
	errors_are_logged_the_newest_first();
	what_was_done_is_counted();
	log_pages_are_checked();
	a_log_page_may_be_shorter_than_its_list();
	other_commands_are_refused();
	unlink(image);
	return check_result();
}
