/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's registers, doorbells and life. */
#include "fake_disk.h"

static char image[32];

static struct disk *new_disk(void)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->image = image;
	return d;
}

static void settings_are_checked(void)
{
	static const struct {
		const char *image, *size, *block, *mdts, *queues, *serial, *aio;
		int rc;
	} bad[] = {
		{NULL, NULL, NULL, NULL, NULL, NULL, NULL, -EINVAL},
		{"/nowhere/at/all", NULL, NULL, NULL, NULL, NULL, NULL, -ENOENT},
		{"/nowhere/at/all", "1M", NULL, NULL, NULL, NULL, NULL, -ENOENT},
		{"/dev/null", NULL, NULL, NULL, NULL, NULL, NULL, -EINVAL},
		{"/", NULL, NULL, NULL, NULL, NULL, NULL, -EINVAL},
		{image, "1x", NULL, NULL, NULL, NULL, NULL, -EINVAL},
		{image, "K", NULL, NULL, NULL, NULL, NULL, -EINVAL},
		{image, "0", NULL, NULL, NULL, NULL, NULL, -EINVAL},
		{image, "99999999T", NULL, NULL, NULL, NULL, NULL, -EINVAL},
		{image, "2M", NULL, NULL, NULL, NULL, NULL, -EINVAL}, /* it has another */
		{image, NULL, "1024", NULL, NULL, NULL, NULL, -EINVAL},
		{image, NULL, "4K4", NULL, NULL, NULL, NULL, -EINVAL},
		{image, NULL, NULL, "4096", NULL, NULL, NULL, -EINVAL},
		{image, NULL, NULL, "2M", NULL, NULL, NULL, -EINVAL},
		{image, NULL, NULL, "12K", NULL, NULL, NULL, -EINVAL},
		{image, NULL, NULL, NULL, "0", NULL, NULL, -EINVAL},
		{image, NULL, NULL, NULL, "65", NULL, NULL, -EINVAL},
		{image, NULL, NULL, NULL, NULL, "", NULL, -EINVAL},
		{image, NULL, NULL, NULL, NULL, "123456789012345678901", NULL, -EINVAL},
		{image, NULL, NULL, NULL, NULL, " ab", NULL, -EINVAL},
		{image, NULL, NULL, NULL, NULL, "ab ", NULL, -EINVAL},
		{image, NULL, NULL, NULL, NULL, "a\nb", NULL, -EINVAL},
		{image, NULL, NULL, NULL, NULL, "\xc3\xa4", NULL, -EINVAL},
		{image, NULL, NULL, NULL, NULL, NULL, "aio", -EINVAL},
	};
	struct disk *d = new_disk();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		d->image = bad[i].image;
		d->size = bad[i].size;
		d->block = bad[i].block;
		d->mdts = bad[i].mdts;
		d->queues = bad[i].queues;
		d->serial = bad[i].serial;
		d->aio = bad[i].aio;
		d->said[0] = 0;
		if (make_disk(d) != bad[i].rc)
			printf("%zu: %s\n", i, d->said);
		CHECK_EQ(make_disk(d), bad[i].rc);
		CHECK(d->said[0]);
	}
	free(d);
}

static void two_disks_do_not_write_to_one_image(void)
{
	struct disk *a = new_disk(), *b = new_disk();

	CHECK_EQ(make_disk(a), 0);
	CHECK_EQ(make_disk(b), -EBUSY);
	b->readonly = "";
	CHECK_EQ(make_disk(b), -EBUSY);
	nvme_model.destroy(a->state);
	a->readonly = "";
	CHECK_EQ(make_disk(a), 0);
	CHECK_EQ(make_disk(b), 0);
	nvme_model.destroy(a->state);
	nvme_model.destroy(b->state);
	free(a);
	free(b);
}

static void an_image_is_made_where_there_is_none(void)
{
	struct disk *d = new_disk();
	char path[40];
	struct stat st;

	snprintf(path, sizeof(path), "%s-made", image);
	d->image = path;
	CHECK_EQ(make_disk(d), -ENOENT);
	d->size = "3M";
	d->readonly = "";
	CHECK_EQ(make_disk(d), -ENOENT);
	d->readonly = NULL;
	CHECK_EQ(make_disk(d), 0);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_size, 3 << 20);
	nvme_model.destroy(d->state);
	CHECK_EQ(make_disk(d), 0); /* it has the size */
	nvme_model.destroy(d->state);
	unlink(path);
	free(d);
}

static void registers_are_there_before_a_driver_looks(void)
{
	struct disk *d = new_disk();

	CHECK_EQ(make_disk(d), 0);
	d->open = true;
	nvme_model.reset(d->state);
	CHECK_EQ(get32(d, NVME_CAP), 4095 | 1 << 16 | 120U << 24);
	CHECK_EQ(get32(d, NVME_CAP + 4), 1 << 5 | 4 << 20);
	CHECK_EQ(get32(d, NVME_VS), 0x10400);
	CHECK_EQ(get32(d, NVME_CSTS), 0);
	close_disk(d);
	free(d);
}

static void registers_that_are_constant_stay_so(void)
{
	struct disk *d = new_disk();

	open_disk(d);
	set32(d, NVME_CAP, 1);
	set32(d, NVME_CAP + 4, 2);
	set32(d, NVME_VS, 3);
	set32(d, NVME_CSTS, 4);
	set32(d, NVME_NSSR, 0x4e564d65);
	for (unsigned at = NVME_CMBLOC; at <= NVME_CMBSTS; at += 4)
		set32(d, at, at);
	look(d);
	CHECK_EQ(get32(d, NVME_CAP), 4095 | 1 << 16 | 120U << 24);
	CHECK_EQ(get32(d, NVME_CAP + 4), 1 << 5 | 4 << 20);
	CHECK_EQ(get32(d, NVME_VS), 0x10400);
	CHECK_EQ(get32(d, NVME_CSTS), CSTS_RDY);
	CHECK_EQ(get32(d, NVME_NSSR), 0);
	for (unsigned at = NVME_CMBLOC; at <= NVME_CMBSTS; at += 4)
		CHECK_EQ(get32(d, at), 0);
	close_disk(d);
	free(d);
}

static const struct {
	uint32_t cc, aqa, asq, acq;
} refused[] = {
	{CC_GOOD | 1 << CC_CSS_SHIFT, 0x70007, ADMIN_SQ, ADMIN_CQ},
	{CC_GOOD | 1 << CC_AMS_SHIFT, 0x70007, ADMIN_SQ, ADMIN_CQ},
	{CC_GOOD | 5 << CC_MPS_SHIFT, 0x70007, 0, 0},
	{CC_GOOD, 0x70000, ADMIN_SQ, ADMIN_CQ},
	{CC_GOOD, 0x00007, ADMIN_SQ, ADMIN_CQ},
	{CC_GOOD, 0x70007, ADMIN_SQ + 64, ADMIN_CQ},
	{CC_GOOD, 0x70007, ADMIN_SQ, ADMIN_CQ + 16},
	{CC_GOOD | 1 << CC_MPS_SHIFT, 0x70007, ADMIN_SQ, ADMIN_CQ},
};

#define REFUSED (sizeof(refused) / sizeof(refused[0]))

static void enable_so(struct disk *d, size_t i)
{
	set32(d, NVME_AQA, refused[i].aqa);
	set32(d, NVME_ASQ, refused[i].asq);
	set32(d, NVME_ACQ, refused[i].acq);
	set32(d, NVME_CC, refused[i].cc);
}

static void a_wrong_configuration_is_fatal(void)
{
	struct disk *d = new_disk();

	open_disk(d);
	for (size_t i = 0; i < REFUSED; i++) {
		disable(d);
		enable_so(d, i);
		wait_status(d, CSTS_CFS, CSTS_CFS);
		ring_tail(d, 0, 1);
		look(d);
		CHECK_EQ(get32(d, NVME_CSTS), CSTS_CFS);
	}
	disable(d);
	enable(d);
	make_queue(d, 1, ENTRIES, ENTRIES);
	close_disk(d);
	free(d);
}

/* Nobody looks while it is disabled: CSTS.RDY is 0, so the driver does not wait. */
static void who_was_refused_may_try_again_at_once(void)
{
	struct disk *d = new_disk();

	open_disk(d);
	for (size_t i = 0; i < REFUSED; i++) {
		disable(d);
		enable_so(d, i);
		wait_status(d, CSTS_CFS, CSTS_CFS);
		/* As it was refused: it is again. */
		set32(d, NVME_CC, refused[i].cc & ~(unsigned)CC_EN);
		enable_so(d, i);
		look(d);
		CHECK_EQ(get32(d, NVME_CSTS), CSTS_CFS);
		set32(d, NVME_CC, CC_GOOD & ~(unsigned)CC_EN);
		set_admin_queue(d);
		set32(d, NVME_CC, CC_GOOD);
		look(d);
		CHECK_EQ(get32(d, NVME_CSTS), CSTS_RDY);
		if (get32(d, NVME_CSTS) != CSTS_RDY)
			break;
		make_queue(d, 1, ENTRIES, ENTRIES);
		CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	}
	close_disk(d);
	free(d);
}

/* It was enabled before, and the driver waits until it is not. */
static void a_controller_that_failed_later_stays_so(void)
{
	struct disk *d = new_disk();

	open_disk(d);
	disable(d);
	set_admin_queue(d);
	set32(d, NVME_ASQ, NOWHERE);
	set32(d, NVME_CC, CC_GOOD);
	wait_status(d, CSTS_RDY, CSTS_RDY);
	ring_tail(d, 0, 1);
	wait_status(d, CSTS_CFS, CSTS_CFS);
	set32(d, NVME_ASQ, ADMIN_SQ);
	look(d);
	CHECK_EQ(get32(d, NVME_CSTS), CSTS_CFS | CSTS_RDY);
	close_disk(d);
	free(d);
}

static void queues_that_cannot_be_reached_are_fatal(void)
{
	static const uint64_t places[][4] = {
		{NOWHERE, ADMIN_CQ, 0, 0},
		{ADMIN_SQ, READ_ONLY, 0, 0},
		{ADMIN_SQ, ADMIN_CQ, NOWHERE, QUEUES},
		{ADMIN_SQ, ADMIN_CQ, QUEUES, READ_ONLY},
	};
	struct disk *d = new_disk();

	open_disk(d);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		unsigned queue = places[i][2] ? 1 : 0;

		disable(d);
		set_admin_queue(d);
		set32(d, NVME_ASQ, (uint32_t)places[i][0]);
		set32(d, NVME_ACQ, (uint32_t)places[i][1]);
		set32(d, NVME_CC, CC_GOOD);
		wait_status(d, CSTS_RDY, CSTS_RDY);
		if (queue) {
			struct nvme_command cq = cq_command(1, ENTRIES), sq = sq_command(1, ENTRIES);

			sq.prp1 = places[i][2];
			cq.prp1 = places[i][3];
			CHECK_EQ(status_of(d, 0, cq), 0);
			CHECK_EQ(status_of(d, 0, sq), 0);
		}
		ring_tail(d, queue, 1);
		wait_status(d, CSTS_CFS, CSTS_CFS);
		CHECK_EQ(get32(d, NVME_CSTS), CSTS_CFS | CSTS_RDY);
		ring_tail(d, 0, 3);
		look(d);
	}
	disable(d);
	enable(d);
	make_queue(d, 1, ENTRIES, ENTRIES);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	close_disk(d);
	free(d);
}

static void a_reset_forgets_queues_and_features(void)
{
	struct disk *d = new_disk();
	const struct nvme_command cache = {.opcode = ADMIN_SET_FEATURES, .dw10 = FEATURE_WRITE_CACHE};
	const struct nvme_command ask = {.opcode = ADMIN_GET_FEATURES, .dw10 = FEATURE_WRITE_CACHE};

	open_disk(d);
	CHECK_EQ(run(d, 0, ask).result, 1);
	CHECK_EQ(status_of(d, 0, cache), 0);
	CHECK_EQ(run(d, 0, ask).result, 0);
	disable(d);
	enable(d);
	CHECK_EQ(run(d, 0, ask).result, 1);
	make_queue(d, 1, ENTRIES, ENTRIES);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	close_disk(d);
	free(d);
}

/* Commands are under way at each of the resets, of both kinds. */
static void a_reset_may_come_at_any_time(void)
{
	struct disk *d = new_disk();

	open_disk(d);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < ENTRIES - 1; i++)
			put(d, 1, io(i % 2 ? IO_WRITE : IO_READ, i, 1, DATA + i * PAGE, 0));
		ring(d, 1);
		for (unsigned i = 0; i < round % 4; i++)
			nvme_model.poll(d->state);
		if (round % 3) {
			disable(d);
		} else {
			memset(d->area, 0, sizeof(d->area));
			nvme_model.reset(d->state);
			CHECK_EQ(get32(d, NVME_CSTS), 0);
		}
		memset(d->memory + d->queue[1].cq, 0, PAGE);
		look(d);
		CHECK_EQ(d->memory[d->queue[1].cq + 14], 0);
		enable(d);
		make_queue(d, 1, ENTRIES, ENTRIES);
		CHECK_EQ(status_of(d, 1, io(IO_READ, 3, 1, DATA, 0)), 0);
	}
	close_disk(d);
	free(d);
}

static void a_shutdown_is_told_when_it_is_complete(void)
{
	struct disk *d = new_disk();

	open_disk(d);
	for (unsigned kind = 1; kind <= 2; kind++) {
		put(d, 1, io(IO_WRITE, 0, 1, DATA, 0));
		ring(d, 1);
		nvme_model.poll(d->state);
		set32(d, NVME_CC, CC_GOOD | kind << CC_SHN_SHIFT);
		wait_status(d, 3 << 2, CSTS_SHST_COMPLETE);
		CHECK_EQ(get32(d, NVME_CSTS), CSTS_RDY | CSTS_SHST_COMPLETE);
		CHECK_EQ(get(d, 1).status, 1);
		put(d, 1, io(IO_READ, 0, 1, DATA, 0));
		ring(d, 1);
		look(d);
		CHECK_EQ(d->memory[d->queue[1].cq + 16 + 14], 0); /* nothing is fetched any more */
		disable(d);
		enable(d);
		make_queue(d, 1, ENTRIES, ENTRIES);
	}
	close_disk(d);
	free(d);
}

/* Doorbells */

static struct nvme_command event_request(void)
{
	return (struct nvme_command){.opcode = ADMIN_ASYNC_EVENT};
}

static struct nvme_command log_command(unsigned page, unsigned bytes)
{
	return (struct nvme_command){.opcode = ADMIN_GET_LOG_PAGE, .prp1 = DATA, .dw10 = page | (bytes / 4 - 1) << 16};
}

static void expect_event(struct disk *d, uint32_t event)
{
	struct nvme_completion completion = get(d, 0);

	CHECK_EQ(completion.status >> 1, 0);
	CHECK_EQ(completion.result, event);
}

static void wrong_doorbells_are_told(void)
{
	static const struct {
		unsigned queue;
		bool head;
		uint32_t value, event;
	} bad[] = {
		{2, false, 1, 0x010000},          {2, true, 1, 0x010000},        {64, false, 0, 0x010000},
		{65, false, 0, 0x010000},         {511, true, 5, 0x010000},      {1, false, ENTRIES, 0x010100},
		{1, false, 0, 0x010100},          {1, true, ENTRIES, 0x010100},  {1, true, 0, 0x010100},
		{1, true, 1, 0x010100},           {1, false, 0x10001, 0x010100}, {0, true, 7, 0x010100},
		{1, false, 0xfffffffe, 0x010100},
	};
	struct disk *d = new_disk();
	struct nvme_completion completion;

	open_disk(d);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(d, 0, event_request());
		ring(d, 0);
		look(d);
		CHECK(!peek(d, 0, &completion));
		set32(d, NVME_DOORBELLS + 8 * bad[i].queue + 4 * bad[i].head, bad[i].value);
		for (unsigned n = 0; n < 100; n++)
			nvme_model.poll(d->state);
		expect_event(d, bad[i].event);
		/* It is told once, until the log page was read. */
		put(d, 0, event_request());
		ring(d, 0);
		set32(d, NVME_DOORBELLS + 8 * bad[i].queue + 4 * bad[i].head, bad[i].value);
		for (unsigned n = 0; n < 100; n++)
			nvme_model.poll(d->state);
		CHECK(!peek(d, 0, &completion));
		CHECK_EQ(status_of(d, 0, log_command(LOG_ERROR, 64)), 0);
		CHECK(!peek(d, 0, &completion));
		ring_tail(d, 3, 1);
		for (unsigned n = 0; n < 100; n++)
			nvme_model.poll(d->state);
		expect_event(d, 0x010000);
		CHECK_EQ(status_of(d, 0, log_command(LOG_ERROR, 64)), 0);
	}
	CHECK_EQ(get32(d, NVME_CSTS), CSTS_RDY);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	close_disk(d);
	free(d);
}

/* Two fifths of what the completion queue takes, so that it is full and goes round at every place. */
static void nothing_is_fetched_without_a_place_for_its_completion(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;
	unsigned done = 0;

	open_disk(d);
	make_queue(d, 2, 32, 3);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 5; i++)
			put(d, 2, io(IO_READ, i, 1, DATA, 0));
		ring(d, 2);
		for (unsigned i = 0; i < 5; i++) {
			completion = get(d, 2);
			CHECK_EQ(completion.status >> 1, 0);
			CHECK_EQ(completion.sq_id, 2);
			done++;
		}
		CHECK(!peek(d, 2, &completion));
	}
	CHECK_EQ(done, 250);
	CHECK_EQ(completion.status >> 1 & 0x7ff, 0);
	close_disk(d);
	free(d);
}

/* Interrupts */

static void a_queue_has_its_own_vector(void)
{
	struct disk *d = new_disk();

	open_disk(d);
	d->vectors = VECTORS;
	memset(d->raised, 0, sizeof(d->raised));
	make_queue(d, 3, ENTRIES, ENTRIES);
	CHECK_EQ(d->raised[0], 2);
	CHECK_EQ(status_of(d, 3, io(IO_FLUSH, 0, 1, 0, 0)), 0);
	CHECK_EQ(d->raised[3], 1);
	CHECK_EQ(d->raised[1], 0);
	CHECK(!d->asserted);
	/* One that wants none. */
	struct nvme_command quiet = cq_command(2, ENTRIES);

	quiet.dw11 = 1 | 2 << 16;
	CHECK_EQ(status_of(d, 0, quiet), 0);
	CHECK_EQ(status_of(d, 0, sq_command(2, ENTRIES)), 0);
	d->queue[2] = d->queue[3];
	d->queue[2].sq = QUEUES + 4 * PAGE;
	d->queue[2].cq = QUEUES + 5 * PAGE;
	d->queue[2].tail = d->queue[2].head = 0;
	CHECK_EQ(status_of(d, 2, io(IO_FLUSH, 0, 1, 0, 0)), 0);
	CHECK_EQ(d->raised[2], 0);
	close_disk(d);
	free(d);
}

static void the_pin_is_up_while_there_are_completions(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;

	open_disk(d);
	CHECK(!d->asserted);
	put(d, 1, io(IO_FLUSH, 0, 1, 0, 0));
	put(d, 1, io(IO_FLUSH, 0, 1, 0, 0));
	ring(d, 1);
	while (!peek(d, 1, &completion))
		nvme_model.poll(d->state);
	CHECK(d->asserted);
	while (d->memory[d->queue[1].cq + 30] == 0)
		nvme_model.poll(d->state);
	take(d, 1);
	look(d);
	CHECK(d->asserted);
	set32(d, NVME_INTMS, 1);
	look(d);
	CHECK(!d->asserted);
	CHECK_EQ(get32(d, NVME_INTMS), 1);
	set32(d, NVME_INTMC, 1);
	look(d);
	CHECK(d->asserted);
	CHECK_EQ(get32(d, NVME_INTMS), 0);
	CHECK_EQ(get32(d, NVME_INTMC), 0);
	take(d, 1);
	look(d);
	CHECK(!d->asserted);
	close_disk(d);
	free(d);
}

/* A driver that unmasks the pin does not wait for work, nor does work need the thread that it does that by. */
static void who_looks_at_the_pin_begins_nothing(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;

	open_disk(d);
	put(d, 1, io(IO_FLUSH, 0, 1, 0, 0));
	ring(d, 1);
	while (!peek(d, 1, &completion))
		nvme_model.poll(d->state);
	nvme_model.look_at_pin(d->state);
	CHECK(d->asserted);
	take(d, 1);
	put(d, 1, io(IO_READ, 0, 1, DATA, 0));
	ring(d, 1);
	d->copies = 0;
	nvme_model.look_at_pin(d->state);
	CHECK(!d->asserted);
	CHECK_EQ(d->copies, 0);
	CHECK_EQ(get(d, 1).status >> 1, 0);
	put(d, 1, io(IO_FLUSH, 0, 1, 0, 0));
	ring(d, 1);
	while (!peek(d, 1, &completion))
		nvme_model.poll(d->state);
	set32(d, NVME_INTMS, 1);
	nvme_model.look_at_pin(d->state);
	CHECK(!d->asserted);
	set32(d, NVME_INTMC, 1);
	nvme_model.look_at_pin(d->state);
	CHECK(d->asserted);
	disable(d);
	nvme_model.look_at_pin(d->state);
	CHECK(!d->asserted);
	close_disk(d);
	free(d);
}

static void the_pin_comes_up_where_messages_were_disabled(void)
{
	struct disk *d = new_disk();
	struct nvme_completion completion;

	open_disk(d);
	d->vectors = VECTORS;
	put(d, 1, io(IO_FLUSH, 0, 1, 0, 0));
	ring(d, 1);
	while (!peek(d, 1, &completion))
		nvme_model.poll(d->state);
	look(d);
	CHECK(!d->asserted);
	d->vectors = 0;
	look(d);
	look(d);
	CHECK(d->asserted);
	d->vectors = VECTORS;
	look(d);
	look(d);
	CHECK(!d->asserted);
	close_disk(d);
	free(d);
}

int main(void)
{
	make_image(image, 1 << 20);
	settings_are_checked();
	two_disks_do_not_write_to_one_image();
	an_image_is_made_where_there_is_none();
	registers_are_there_before_a_driver_looks();
	registers_that_are_constant_stay_so();
	a_wrong_configuration_is_fatal();
	who_was_refused_may_try_again_at_once();
	a_controller_that_failed_later_stays_so();
	queues_that_cannot_be_reached_are_fatal();
	a_reset_forgets_queues_and_features();
	a_reset_may_come_at_any_time();
	a_shutdown_is_told_when_it_is_complete();
	wrong_doorbells_are_told();
	nothing_is_fetched_without_a_place_for_its_completion();
	a_queue_has_its_own_vector();
	the_pin_is_up_while_there_are_completions();
	who_looks_at_the_pin_begins_nothing();
	the_pin_comes_up_where_messages_were_disabled();
	unlink(image);
	return check_result();
}
