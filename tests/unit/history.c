/* SPDX-License-Identifier: BSD-3-Clause */
/* What an IOAS keeps of what was unmapped, and what it says of an IOVA where nothing is mapped. */
#include "ioas/history.h"

#include "abi/iommufd.h"
#include "base/event.h"
#include "client/dmabuf.h"
#include "fake_domain.h"

#include <errno.h>

#define RW   (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define PAGE PAGE_SIZE

static struct memory memory;
static struct ioas_context context;
static struct ioas ioas;
static struct event_stream *events;
static uint64_t began_ns;

/* Records. */

static void keep(struct history *history, iova_t start, iova_t last, uint64_t time, int32_t pid)
{
	history_note(history, &(struct unmapped){.start = start, .last = last, .time_ns = time, .pid = pid});
}

static void the_newest_record_is_found(void)
{
	struct history *history = history_new();
	struct unmapped found;

	CHECK(!history_find(history, 0, &found));
	keep(history, 0x1000, 0x2fff, 1, 10);
	keep(history, 0x2000, 0x2fff, 2, 20);
	CHECK(!history_find(history, 0xfff, &found) && !history_find(history, 0x3000, &found));
	CHECK(history_find(history, 0x1fff, &found) && found.pid == 10);
	CHECK(history_find(history, 0x2000, &found) && found.pid == 20 && found.time_ns == 2 && !found.all);
	CHECK(history_find(history, 0x2fff, &found) && found.pid == 20);
	history_note(history, &(struct unmapped){.last = UINT64_MAX, .time_ns = 3, .pid = 30, .all = true});
	CHECK(history_find(history, 0xfff, &found) && found.pid == 30 && found.all);
	keep(history, 0, 0, 4, 40);
	keep(history, UINT64_MAX, UINT64_MAX, 4, 40);
	CHECK(history_find(history, UINT64_MAX, &found) && found.pid == 40);
	CHECK(history_find(history, 0x1000, &found) && found.pid == 30);
	free(history);
}

static void what_goes_at_once_is_one_record(void)
{
	struct history *history = history_new();
	struct unmapped found;

	for (iova_t iova = 0; iova < 100 * HISTORY_RECORDS; iova++)
		keep(history, iova, iova, 1, 10);
	CHECK_EQ(history->count, 1);
	CHECK(history_find(history, 0, &found) && found.last == 100 * HISTORY_RECORDS - 1);
	keep(history, 100 * HISTORY_RECORDS + 1, 100 * HISTORY_RECORDS + 1, 1, 10); /* not next to it */
	keep(history, 100 * HISTORY_RECORDS + 2, 100 * HISTORY_RECORDS + 2, 2, 10); /* later */
	keep(history, 100 * HISTORY_RECORDS + 3, 100 * HISTORY_RECORDS + 3, 2, 11); /* by another process */
	CHECK_EQ(history->count, 4);
	free(history);
}

static void the_oldest_are_forgotten(void)
{
	struct history *history = history_new();
	struct unmapped found;

	for (uint64_t i = 0; i < HISTORY_RECORDS + 5; i++)
		keep(history, i * 16, i * 16, i, 10);
	CHECK(!history_find(history, UINT64_C(4) * 16, &found));
	for (uint64_t i = 5; i < HISTORY_RECORDS + 5; i++)
		CHECK(history_find(history, i * 16, &found) && found.time_ns == i);
	free(history);
}

/* An IOAS. */

static void ignore(void *arg, const struct event *event, uint64_t lost)
{
	(void)arg;
	(void)event;
	(void)lost;
}

static void begin(bool told)
{
	memory_init(&memory);
	memory.client.pid = 4242;
	ioas_context_init(&context);
	ioas_init(&ioas);
	ioas.context = &context;
	CHECK_EQ(event_stream_new(&events), 0);
	if (told)
		CHECK_EQ(event_stream_listen_to(events, EVENT_DMA_FAULT, ignore, NULL), 0);
	ioas.events = events;
	began_ns = event_time();
}

static void end(void)
{
	ioas_fini(&ioas);
	event_stream_free(events);
	ioas_context_fini(&context);
	memory_fini(&memory);
}

static void map(iova_t iova, uint64_t length, uint8_t prot)
{
	struct ioas_map how = {.client = &memory.client, .length = length, .iova = iova, .fixed = true, .prot = prot};

	CHECK_EQ(ioas_map_user(&ioas, &how, uaddr(MEMORY_AT)), 0);
}

static uint64_t unmap(iova_t start, iova_t last)
{
	uint64_t bytes;

	CHECK_EQ(ioas_unmap(&ioas, &memory.client, start, last, &bytes), 0);
	return bytes;
}

static struct ioas_explanation explain(iova_t iova)
{
	struct ioas_explanation explanation;

	ioas_explain(&ioas, iova, &explanation);
	return explanation;
}

static void the_nearest_on_both_sides_are_found(void)
{
	struct ioas_explanation e;

	begin(true);
	e = explain(0x5000);
	CHECK(!e.mapped && !e.has_below && !e.has_above && !e.unmapped);
	map(0x1000, PAGE, IOMMU_IOAS_MAP_READABLE);
	map(0x3000, PAGE, RW);
	map(0x8000, 2 * PAGE, IOMMU_IOAS_MAP_WRITEABLE);
	e = explain(0x5000);
	CHECK(!e.mapped && e.has_below && e.has_above && !e.unmapped);
	CHECK(e.below.start == 0x3000 && e.below.last == 0x3fff && e.below.prot == RW);
	CHECK(e.above.start == 0x8000 && e.above.last == 0x9fff && e.above.prot == IOMMU_IOAS_MAP_WRITEABLE);
	e = explain(0x2fff);
	CHECK(e.has_below && e.below.start == 0x1000 && e.has_above && e.above.start == 0x3000);
	e = explain(0);
	CHECK(!e.has_below && e.has_above && e.above.start == 0x1000);
	e = explain(UINT64_MAX);
	CHECK(e.has_below && e.below.start == 0x8000 && !e.has_above);
	e = explain(0x1fff);
	CHECK(e.mapped && !e.revoked && !e.has_below && !e.has_above && e.below.start == 0x1000);
	end();
}

static void check_unmapped(iova_t iova, int32_t pid, bool all)
{
	struct ioas_explanation e = explain(iova);

	CHECK(e.unmapped && e.last.pid == pid && e.last.all == all);
	CHECK(e.last.time_ns >= began_ns && e.last.time_ns <= event_time());
}

static void what_was_unmapped_is_known(void)
{
	begin(true);
	map(0x1000, PAGE, RW);
	map(0x2000, PAGE, RW);
	map(0x5000, PAGE, RW);
	CHECK_EQ(unmap(0x1000, 0x5fff), 3 * PAGE);
	CHECK_EQ(ioas.history->count, 2);
	check_unmapped(0x1000, 4242, false);
	check_unmapped(0x2fff, 4242, false);
	check_unmapped(0x5000, 4242, false);
	CHECK(!explain(0x3000).unmapped); /* was never mapped */
	/* What is mapped again is not called unmapped. */
	map(0x1000, PAGE, RW);
	CHECK(!explain(0x1000).unmapped);
	memory.client.pid = 17;
	CHECK_EQ(unmap(0, UINT64_MAX), PAGE);
	check_unmapped(0x1000, 17, true);
	check_unmapped(0x2000, 17, true);
	/* Of nothing there is nothing to say. */
	CHECK_EQ(unmap(0, UINT64_MAX), 0);
	CHECK_EQ(ioas.history->count, 3);
	end();
}

static void an_unmap_of_everything_with_a_page_table_counts_each_area(void)
{
	struct fake_domain domain;

	begin(true);
	fake_domain_init(&domain, PAGE);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	map(0x1000, PAGE, RW);
	map(0x5000, PAGE, RW);
	CHECK_EQ(unmap(0, UINT64_MAX), 2 * PAGE);
	check_unmapped(0x1000, 4242, false);
	check_unmapped(0x5000, 4242, false);
	CHECK(!explain(0x3000).unmapped);
	ioas_remove_domain(&ioas, &domain.base);
	end();
}

static void nothing_is_kept_where_nobody_is_told(void)
{
	begin(false);
	map(0x1000, PAGE, RW);
	CHECK(!ioas.history);
	CHECK_EQ(unmap(0x1000, 0x1fff), PAGE);
	CHECK(!explain(0x1000).unmapped);
	end();
}

static uint8_t buffer[PAGE];
static struct dmabuf dmabuf = {.lock = PTHREAD_MUTEX_INITIALIZER, .memory = buffer, .length = sizeof(buffer)};

static void file_release(struct memory_file *file)
{
	free(file);
}

static int dmabuf_file(struct client *client, int fd, struct memory_file **file)
{
	(void)client;
	(void)fd;
	*file = calloc(1, sizeof(**file));
	if (!*file)
		return -ENOMEM;
	atomic_init(&(*file)->refs, 1);
	(*file)->fd = -1;
	(*file)->release = file_release;
	(*file)->dmabuf = &dmabuf;
	return 0;
}

static void each(struct ioas_context *c, void (*visit)(struct ioas *visited, void *arg), void *arg)
{
	(void)c;
	visit(&ioas, arg);
}

static void a_buffer_that_was_taken_back_is_known(void)
{
	static const struct client_ops ops = {.mm = memory_mm, .memory_file = dmabuf_file};
	struct ioas_map how = {.client = &memory.client, .length = PAGE, .iova = 0x1000, .fixed = true, .prot = RW};

	begin(true);
	context.each = each;
	memory.client.ops = &ops;
	CHECK_EQ(ioas_map_file(&ioas, &how, 3, 0), 0);
	CHECK(explain(0x1000).mapped && !explain(0x1000).revoked);
	dmabuf_revoke(&dmabuf, true);
	CHECK(explain(0x1000).mapped && explain(0x1000).revoked);
	dmabuf_revoke(&dmabuf, false);
	CHECK_EQ(unmap(0x1000, 0x1fff), PAGE);
	end();
}

int main(void)
{
	the_newest_record_is_found();
	what_goes_at_once_is_one_record();
	the_oldest_are_forgotten();
	the_nearest_on_both_sides_are_found();
	what_was_unmapped_is_known();
	an_unmap_of_everything_with_a_page_table_counts_each_area();
	nothing_is_kept_where_nobody_is_told();
	a_buffer_that_was_taken_back_is_known();
	return check_result();
}
