/* SPDX-License-Identifier: BSD-3-Clause */
/* Event queues of virtual IOMMUs: records, losses, and what an event needs to come to a queue. */
#include "mock.h"

#include <poll.h>
#include <string.h>

#define EVENTS IOMMU_VEVENTQ_TYPE_SELFTEST
#define LOST   IOMMU_VEVENTQ_FLAG_LOST_EVENTS
#define VIRT   UINT32_C(0x99)

enum {
	HEADER = sizeof(struct iommufd_vevent_header),
	RECORD = HEADER + sizeof(struct iommu_viommu_event_selftest),
};

/* A device behind a vIOMMU, attached to a nested page table of it, and a queue. */
struct eventful {
	struct mock m;
	uint32_t viommu, nested, vdevice, queue;
	int fd;
};

static struct eventful eventful_new(struct rules *t, uint32_t depth)
{
	struct eventful e = {.m = mock_new(t, ioas_new(t), 0)};

	e.viommu = viommu_new(t, e.m.device, hwpt_new(t, e.m.device, e.m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT));
	e.vdevice = vdevice_new(t, e.viommu, e.m.device, VIRT);
	e.nested = nested_new(t, e.m.device, e.viommu);
	EXPECT(t, mock_attach(t, e.m.stdev, e.nested), 0);
	EXPECT(t, veventq_try(t, e.viommu, EVENTS, depth, &e.queue, &e.fd), 0);
	return e;
}

static void trigger(struct rules *t, const struct eventful *e, int count)
{
	while (count-- > 0)
		EXPECT(t, vevent_trigger(t, e->m.device), 0);
}

/* Reads with this much room and expects these words. */
static void expect_words(struct rules *t, const struct eventful *e, size_t room, const uint32_t *words, size_t count)
{
	uint32_t got[64];

	memset(got, 0xee, sizeof(got));
	EXPECT(t, transport_read(t->transport, e->fd, got, room), count * sizeof(*words));
	for (size_t i = 0; i < count; i++)
		EXPECT(t, got[i], words[i]);
	EXPECT(t, got[count], 0xeeeeeeee);
}

#define READS(t, e, room, ...)                                                                                         \
	do {                                                                                                           \
		static const uint32_t words_[] = {__VA_ARGS__};                                                        \
		expect_words((t), (e), (room), words_, ARRAY_SIZE(words_));                                            \
	} while (0)
#define EVENT(sequence) 0, (sequence), VIRT
#define LOSS(sequence)  LOST, (sequence)

static void queue_close(struct rules *t, const struct eventful *e)
{
	EXPECT(t, transport_close(t->transport, e->fd), 0);
}

static void events_are_numbered_from_0(struct rules *t)
{
	struct eventful e = eventful_new(t, 8);

	trigger(t, &e, 3);
	READS(t, &e, 200, EVENT(0), EVENT(1), EVENT(2));
	trigger(t, &e, 1);
	READS(t, &e, 200, EVENT(3));
	queue_close(t, &e);
}

static void read_takes_as_many_events_as_fit(struct rules *t)
{
	struct eventful e = eventful_new(t, 8);

	trigger(t, &e, 4);
	READS(t, &e, 2 * RECORD - 1, EVENT(0));
	READS(t, &e, 2 * RECORD, EVENT(1), EVENT(2));
	READS(t, &e, RECORD, EVENT(3));
	queue_close(t, &e);
}

static void read_of_less_than_an_event(struct rules *t)
{
	struct eventful e = eventful_new(t, 8);
	unsigned char buf[RECORD];

	for (int pending = 0; pending < 2; pending++) {
		for (size_t room = 0; room < HEADER; room++)
			EXPECT(t, transport_read(t->transport, e.fd, buf, room), -EINVAL);
		for (size_t room = HEADER; room < RECORD; room++)
			EXPECT(t, transport_read(t->transport, e.fd, buf, room), pending ? -EINVAL : 0);
		trigger(t, &e, 1);
	}
	EXPECT(t, transport_pread(t->transport, e.fd, buf, RECORD, RECORD), -ESPIPE);
	EXPECT(t, transport_write(t->transport, e.fd, buf, RECORD), -EINVAL);
	READS(t, &e, 100, EVENT(0), EVENT(1));
	EXPECT(t, transport_read(t->transport, e.fd, buf, RECORD), 0);
	EXPECT(t, transport_read(t->transport, e.fd, HOLE, RECORD), 0);
	queue_close(t, &e);
}

static void read_that_cannot_be_written_leaves_the_event(struct rules *t)
{
	struct eventful e = eventful_new(t, 8);
	unsigned char none[2 * RECORD] = {0};
	uint32_t *at;

	trigger(t, &e, 3);
	EXPECT(t, transport_read(t->transport, e.fd, HOLE, RECORD), -EFAULT);
	at = place(t, none, sizeof(none), RECORD, PROT_READ | PROT_WRITE, PROT_NONE);
	EXPECT(t, transport_read(t->transport, e.fd, at, 2 * RECORD), RECORD);
	EXPECT(t, at[1], 0);
	READS(t, &e, 100, EVENT(1), EVENT(2));
	queue_close(t, &e);
}

static void events_that_are_lost_leave_a_header(struct rules *t)
{
	struct eventful e = eventful_new(t, 2);

	trigger(t, &e, 3);
	READS(t, &e, 100, EVENT(0), EVENT(1), LOSS(2));
	trigger(t, &e, 5);
	READS(t, &e, 100, EVENT(3), EVENT(4), LOSS(7));
	trigger(t, &e, 1);
	READS(t, &e, 100, EVENT(8));
	queue_close(t, &e);
}

static void header_of_a_loss_needs_its_own_room_only(struct rules *t)
{
	struct eventful e = eventful_new(t, 1);

	trigger(t, &e, 2);
	READS(t, &e, RECORD + HEADER - 1, EVENT(0));
	READS(t, &e, HEADER, LOSS(1));
	EXPECT(t, transport_poll(t->transport, e.fd, POLLIN | POLLOUT), 0);
	queue_close(t, &e);
}

/* An event that has room takes the header away; only the gap in the numbers says what was lost. */
static void header_of_a_loss_vanishes_with_the_next_event(struct rules *t)
{
	struct eventful e = eventful_new(t, 2);

	trigger(t, &e, 4);
	READS(t, &e, RECORD, EVENT(0));
	trigger(t, &e, 1);
	READS(t, &e, 100, EVENT(1), EVENT(4));
	trigger(t, &e, 4);
	READS(t, &e, 2 * RECORD, EVENT(5), EVENT(6));
	trigger(t, &e, 1);
	READS(t, &e, 100, EVENT(9));
	queue_close(t, &e);
}

static void poll_follows_the_queue(struct rules *t)
{
	struct eventful e = eventful_new(t, 1);

	EXPECT(t, transport_poll(t->transport, e.fd, POLLIN | POLLOUT), 0);
	trigger(t, &e, 2);
	EXPECT(t, transport_poll(t->transport, e.fd, POLLIN | POLLOUT), POLLIN);
	READS(t, &e, RECORD, EVENT(0));
	EXPECT(t, transport_poll(t->transport, e.fd, POLLIN | POLLOUT), POLLIN);
	READS(t, &e, RECORD, LOSS(1));
	EXPECT(t, transport_poll(t->transport, e.fd, POLLIN | POLLOUT), 0);
	queue_close(t, &e);
}

static void event_needs_a_queue_of_its_type(struct rules *t)
{
	struct eventful e = eventful_new(t, 4);
	uint32_t id;
	int fd;

	queue_close(t, &e);
	EXPECT(t, destroy(t, e.queue), 0);
	EXPECT(t, vevent_trigger(t, e.m.device), -EOPNOTSUPP);
	EXPECT(t, veventq_try(t, e.viommu, IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 4, &id, &fd), 0);
	EXPECT(t, vevent_trigger(t, e.m.device), -EOPNOTSUPP);
	EXPECT(t, transport_close(t->transport, fd), 0);
	/* A queue whose file is closed takes events. */
	EXPECT(t, veventq_try(t, e.viommu, EVENTS, 4, &id, &fd), 0);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, vevent_trigger(t, e.m.device), 0);
	EXPECT(t, destroy(t, id), 0);
}

static void event_needs_a_virtual_device_and_its_page_table(struct rules *t)
{
	struct eventful e = eventful_new(t, 4);

	EXPECT(t, mock_attach(t, e.m.stdev, e.m.ioas), 0);
	EXPECT(t, vevent_trigger(t, e.m.device), -ENOENT);
	EXPECT(t, mock_attach(t, e.m.stdev, e.nested), 0);
	EXPECT(t, vevent_trigger(t, e.m.device), 0);
	EXPECT(t, vevent_trigger(t, e.m.stdev), -ENOENT);
	EXPECT(t, vevent_trigger(t, NO_ID), -ENOENT);
	EXPECT(t, mock_attach(t, e.m.stdev, e.m.ioas), 0);
	EXPECT(t, destroy(t, e.vdevice), 0);
	EXPECT(t, mock_attach(t, e.m.stdev, e.nested), -ENOENT);
	vdevice_new(t, e.viommu, e.m.device, 0);
	EXPECT(t, vevent_trigger(t, e.m.device), -ENOENT);
	READS(t, &e, 100, EVENT(0));
	queue_close(t, &e);
}

static void queue_is_empty_for_its_next_owner(struct rules *t)
{
	struct eventful e = eventful_new(t, 4);

	trigger(t, &e, 3);
	queue_close(t, &e);
	EXPECT(t, destroy(t, e.queue), 0);
	EXPECT(t, veventq_try(t, e.viommu, EVENTS, 4, &e.queue, &e.fd), 0);
	EXPECT(t, transport_poll(t->transport, e.fd, POLLIN), 0);
	trigger(t, &e, 1);
	READS(t, &e, 100, EVENT(0));
	queue_close(t, &e);
}

static void iommufd_can_be_closed_with_events_pending(struct rules *t)
{
	struct eventful e = eventful_new(t, 4);

	trigger(t, &e, 2);
	EXPECT(t, transport_close(t->transport, t->fd), 0);
	t->fd = -1;
	READS(t, &e, 100, EVENT(0), EVENT(1));
	queue_close(t, &e);
}

static const struct rule_case cases[] = {
	CASE("C.8-1", events_are_numbered_from_0),
	CASE("C.8-2", read_takes_as_many_events_as_fit),
	CASE("C.8-2,C.8-3,C.8-4", read_of_less_than_an_event),
	CASE("C.8-5", read_that_cannot_be_written_leaves_the_event),
	CASE("C.8-6", events_that_are_lost_leave_a_header),
	CASE("C.8-6", header_of_a_loss_needs_its_own_room_only),
	CASE("C.8-7", header_of_a_loss_vanishes_with_the_next_event),
	CASE("C.8-8", poll_follows_the_queue),
	CASE("C.8-9,H-17", event_needs_a_queue_of_its_type),
	CASE("C.8-9,H-17", event_needs_a_virtual_device_and_its_page_table),
	CASE("C.8-1", queue_is_empty_for_its_next_owner),
	CASE("A.1-6", iommufd_can_be_closed_with_events_pending),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
