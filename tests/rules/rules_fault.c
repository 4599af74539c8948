/* SPDX-License-Identifier: BSD-3-Clause */
/* Fault queues that are not empty: records, cookies, answers, and what happens to faults whose page table goes. */
#include "mock.h"

#include <poll.h>
#include <string.h>
#include <sys/mman.h>

enum {
	RECORD = sizeof(struct iommu_hwpt_pgfault),
	ANSWER = sizeof(struct iommu_hwpt_page_response),
};

/* A device on a page table whose faults go to a queue. */
struct faulting {
	struct mock m;
	uint32_t hwpt, fault;
	int fd;
};

static struct faulting faulting_new(struct rules *t)
{
	struct faulting f = {.m = mock_new(t, ioas_new(t), 0)};

	EXPECT(t, fault_new(t, &f.fault, &f.fd), 0);
	f.hwpt = hwpt_with_faults(t, f.m.device, f.m.ioas, 0, f.fault);
	EXPECT(t, mock_attach(t, f.m.stdev, f.hwpt), 0);
	return f;
}

static void faulting_close(struct rules *t, const struct faulting *f)
{
	EXPECT(t, transport_close(t->transport, f->fd), 0);
}

/* Faults of groups 1 to count. */
static void trigger(struct rules *t, const struct faulting *f, uint32_t count)
{
	for (uint32_t i = 1; i <= count; i++)
		EXPECT(t, fault_trigger(t, f->m.device, 0, i, AP + i * PAGE), 0);
}

static ssize_t fetch(struct rules *t, const struct faulting *f, void *records, size_t count)
{
	return transport_read(t->transport, f->fd, records, count * RECORD);
}

static ssize_t answer(struct rules *t, const struct faulting *f, uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response response = {cookie, code};

	return transport_write(t->transport, f->fd, &response, ANSWER);
}

static int events(struct rules *t, const struct faulting *f)
{
	return transport_poll(t->transport, f->fd, POLLIN | POLLOUT);
}

static void record_says_all_of_a_fault(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r;
	struct iommu_test_cmd c = {
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = {f.m.device, 0, 0x1ff, IOMMU_PGFAULT_PERM_WRITE | IOMMU_PGFAULT_PERM_PRIV, AP + 0x123}};

	memset(&r, 0xff, sizeof(r));
	EXPECT(t, test_op(t, &c), 0);
	EXPECT(t, fetch(t, &f, &r, 1), RECORD);
	EXPECT(t, r.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	EXPECT(t, r.dev_id, f.m.device);
	EXPECT(t, r.pasid, 0);
	EXPECT(t, r.grpid, 0x1ff);
	EXPECT(t, r.perm, IOMMU_PGFAULT_PERM_WRITE | IOMMU_PGFAULT_PERM_PRIV);
	EXPECT(t, r.__reserved, 0);
	EXPECT_U64(t, r.addr, AP + 0x123);
	EXPECT(t, r.length, 0);
	EXPECT(t, r.cookie, 1);
	faulting_close(t, &f);
}

static void groups_come_in_order_as_many_as_fit(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r[8];

	trigger(t, &f, 5);
	EXPECT(t, fetch(t, &f, r, 2), 2 * RECORD);
	EXPECT(t, r[0].grpid, 1);
	EXPECT(t, r[1].grpid, 2);
	EXPECT(t, fetch(t, &f, r, 8), 3 * RECORD);
	EXPECT(t, r[0].grpid, 3);
	EXPECT(t, r[2].grpid, 5);
	EXPECT(t, fetch(t, &f, r, 8), 0);
	faulting_close(t, &f);
}

static void cookies_are_the_smallest_that_are_free(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r[4];

	trigger(t, &f, 3);
	EXPECT(t, fetch(t, &f, r, 3), 3 * RECORD);
	for (uint32_t i = 0; i < 3; i++)
		EXPECT(t, r[i].cookie, i + 1);
	EXPECT(t, answer(t, &f, 2, IOMMUFD_PAGE_RESP_SUCCESS), ANSWER);
	EXPECT(t, answer(t, &f, 2, IOMMUFD_PAGE_RESP_SUCCESS), -EINVAL);
	trigger(t, &f, 2);
	EXPECT(t, fetch(t, &f, r, 2), 2 * RECORD);
	EXPECT(t, r[0].cookie, 2);
	EXPECT(t, r[1].cookie, 4);
	EXPECT(t, answer(t, &f, 1, IOMMUFD_PAGE_RESP_INVALID), ANSWER);
	EXPECT(t, answer(t, &f, 4, IOMMUFD_PAGE_RESP_SUCCESS), ANSWER);
	faulting_close(t, &f);
}

/* Each fault of the test device ends its group, also where the next has the same number. */
static void same_number_twice_is_two_groups(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r[2];

	EXPECT(t, fault_trigger(t, f.m.device, 0, 9, AP), 0);
	EXPECT(t, fault_trigger(t, f.m.device, 0, 9, AP + PAGE), 0);
	EXPECT(t, fetch(t, &f, r, 2), 2 * RECORD);
	EXPECT(t, r[0].cookie, 1);
	EXPECT(t, r[1].cookie, 2);
	EXPECT_U64(t, r[1].addr, AP + PAGE);
	faulting_close(t, &f);
}

static void poll_follows_the_queue(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r;

	EXPECT(t, events(t, &f), POLLOUT);
	trigger(t, &f, 2);
	EXPECT(t, events(t, &f), POLLIN | POLLOUT);
	EXPECT(t, fetch(t, &f, &r, 1), RECORD);
	EXPECT(t, events(t, &f), POLLIN | POLLOUT);
	EXPECT(t, fetch(t, &f, &r, 1), RECORD);
	EXPECT(t, events(t, &f), POLLOUT);
	faulting_close(t, &f);
}

static void read_without_room_for_what_is_there_is_einval(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r;

	trigger(t, &f, 1);
	EXPECT(t, fetch(t, &f, &r, 0), -EINVAL);
	EXPECT(t, transport_read(t->transport, f.fd, &r, 39), -ESPIPE);
	EXPECT(t, transport_read(t->transport, f.fd, &r, 41), -ESPIPE);
	EXPECT(t, transport_pread(t->transport, f.fd, &r, RECORD, RECORD), -ESPIPE);
	EXPECT(t, fetch(t, &f, &r, 1), RECORD);
	faulting_close(t, &f);
}

static void read_that_cannot_be_written_leaves_the_group_at_the_head(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r[2], *at;
	unsigned char none[2 * RECORD] = {0};

	trigger(t, &f, 3);
	EXPECT(t, fetch(t, &f, HOLE, 1), -EFAULT);
	/* The first group fits before the page that cannot be written. */
	at = place(t, none, sizeof(none), RECORD, PROT_READ | PROT_WRITE, PROT_NONE);
	EXPECT(t, fetch(t, &f, at, 2), RECORD);
	EXPECT(t, at->grpid, 1);
	EXPECT(t, fetch(t, &f, r, 2), 2 * RECORD);
	EXPECT(t, r[0].grpid, 2);
	EXPECT(t, r[1].grpid, 3);
	faulting_close(t, &f);
}

static void answers_are_taken_up_to_the_first_that_is_wrong(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r[4];
	struct iommu_hwpt_page_response many[] = {{3, 0}, {1, 1}, {9, 0}, {2, 0}}, code[] = {{2, 0}, {4, 2}};
	void *at;

	trigger(t, &f, 4);
	EXPECT(t, fetch(t, &f, r, 4), 4 * RECORD);
	EXPECT(t, transport_write(t->transport, f.fd, many, sizeof(many)), 2 * ANSWER);
	EXPECT(t, transport_write(t->transport, f.fd, code, sizeof(code)), ANSWER);
	EXPECT(t, transport_write(t->transport, f.fd, code + 1, ANSWER), -EINVAL);
	trigger(t, &f, 1);
	EXPECT(t, fetch(t, &f, r, 1), RECORD);
	EXPECT(t, r[0].cookie, 1);
	at = place(t, (struct iommu_hwpt_page_response[]){{4, 0}, {1, 0}}, 2 * ANSWER, ANSWER, PROT_READ, PROT_NONE);
	EXPECT(t, transport_write(t->transport, f.fd, at, 2 * ANSWER), ANSWER);
	EXPECT(t, answer(t, &f, 1, IOMMUFD_PAGE_RESP_SUCCESS), ANSWER);
	faulting_close(t, &f);
}

static void code_comes_before_the_cookie(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r;

	trigger(t, &f, 1);
	EXPECT(t, answer(t, &f, 1, IOMMUFD_PAGE_RESP_SUCCESS), -EINVAL); /* not read yet */
	EXPECT(t, fetch(t, &f, &r, 1), RECORD);
	EXPECT(t, answer(t, &f, 1, 2), -EINVAL);
	EXPECT(t, answer(t, &f, 1, IOMMUFD_PAGE_RESP_INVALID), ANSWER);
	faulting_close(t, &f);
}

/* How a page table can leave a device. */
static int by_replace(struct rules *t, const struct faulting *f)
{
	return mock_attach(t, f->m.stdev, f->m.ioas);
}

static int by_unbinding(struct rules *t, const struct faulting *f)
{
	return destroy(t, f->m.stdev);
}

static void faults_are_answered_when_their_page_table_leaves(struct rules *t)
{
	static int (*const ways[])(struct rules *, const struct faulting *) = {by_replace, by_unbinding};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct faulting f = faulting_new(t);
		struct iommu_hwpt_pgfault r = {0};

		trigger(t, &f, 3);
		EXPECT(t, fetch(t, &f, &r, 1), RECORD);
		EXPECT(t, ways[i](t, &f), 0);
		EXPECT(t, events(t, &f), POLLOUT);
		EXPECT(t, fetch(t, &f, &r, 1), 0);
		EXPECT(t, answer(t, &f, r.cookie, IOMMUFD_PAGE_RESP_SUCCESS), -EINVAL);
		EXPECT(t, destroy(t, f.hwpt), 0);
		faulting_close(t, &f);
		EXPECT(t, destroy(t, f.fault), 0);
	}
}

static void faults_of_other_devices_stay(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct mock other = mock_new(t, f.hwpt, 0);
	struct iommu_hwpt_pgfault r[2];

	EXPECT(t, fault_trigger(t, f.m.device, 0, 1, AP), 0);
	EXPECT(t, fault_trigger(t, other.device, 0, 1, AP), 0);
	EXPECT(t, fault_trigger(t, f.m.device, 0, 2, AP), 0);
	EXPECT(t, mock_attach(t, f.m.stdev, f.m.ioas), 0);
	EXPECT(t, fetch(t, &f, r, 2), RECORD);
	EXPECT(t, r[0].dev_id, other.device);
	EXPECT(t, answer(t, &f, r[0].cookie, IOMMUFD_PAGE_RESP_SUCCESS), ANSWER);
	faulting_close(t, &f);
}

static void faults_of_what_takes_none_are_nobodys(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct mock plain = mock_new(t, f.m.ioas, 0);
	struct iommu_hwpt_pgfault r;

	EXPECT(t, fault_trigger(t, plain.device, 0, 1, AP), 0);
	EXPECT(t, fault_trigger(t, f.m.device, 5, 1, AP), 0);
	EXPECT(t, fetch(t, &f, &r, 1), 0);
	faulting_close(t, &f);
}

static void page_tables_share_a_queue(struct rules *t)
{
	struct faulting f = faulting_new(t);
	uint32_t hwpt = hwpt_with_faults(t, f.m.device, f.m.ioas, 0, f.fault);
	struct mock other = mock_new(t, hwpt, 0);
	struct iommu_hwpt_pgfault r[2];

	EXPECT(t, fault_trigger(t, other.device, 0, 1, AP), 0);
	EXPECT(t, fault_trigger(t, f.m.device, 0, 1, AP), 0);
	EXPECT(t, fetch(t, &f, r, 2), 2 * RECORD);
	EXPECT(t, r[0].dev_id, other.device);
	EXPECT(t, r[1].dev_id, f.m.device);
	faulting_close(t, &f);
}

static void queue_is_held_by_its_page_tables(struct rules *t)
{
	struct faulting f = faulting_new(t);

	faulting_close(t, &f);
	EXPECT(t, destroy(t, f.fault), -EBUSY);
	EXPECT(t, fault_trigger(t, f.m.device, 0, 1, AP), 0);
	EXPECT(t, mock_attach(t, f.m.stdev, f.m.ioas), 0);
	EXPECT(t, destroy(t, f.fault), -EBUSY);
	EXPECT(t, destroy(t, f.hwpt), 0);
	EXPECT(t, destroy(t, f.fault), 0);
}

static void faults_of_a_nested_page_table(struct rules *t)
{
	struct faulting f = faulting_new(t);
	uint32_t parent = hwpt_new(t, f.m.device, f.m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT), nested;
	struct iommu_hwpt_pgfault r;

	EXPECT(t, nested_try(t, f.m.device, parent, IOMMU_HWPT_FAULT_ID_VALID, f.fault, &nested), 0);
	EXPECT(t, mock_attach(t, f.m.stdev, nested), 0);
	trigger(t, &f, 1);
	EXPECT(t, fetch(t, &f, &r, 1), RECORD);
	EXPECT(t, r.dev_id, f.m.device);
	EXPECT(t, answer(t, &f, r.cookie, IOMMUFD_PAGE_RESP_SUCCESS), ANSWER);
	faulting_close(t, &f);
}

static void iommufd_can_be_closed_with_faults_pending(struct rules *t)
{
	struct faulting f = faulting_new(t);
	struct iommu_hwpt_pgfault r[2];

	trigger(t, &f, 2);
	EXPECT(t, fetch(t, &f, r, 1), RECORD);
	EXPECT(t, transport_close(t->transport, t->fd), 0);
	t->fd = -1;
	/* The queue's file keeps the context, and with it device and page table. */
	EXPECT(t, fetch(t, &f, r, 2), RECORD);
	EXPECT(t, answer(t, &f, 2, IOMMUFD_PAGE_RESP_SUCCESS), ANSWER);
	faulting_close(t, &f);
}

#define IOPF(rules, name, result, device)                                                                              \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, WORLD_DATA(0), .op = IOMMU_TEST_OP_TRIGGER_IOPF, \
		 .trigger_iopf = {device, 0, 1, 1, AP})

static const struct rule_case cases[] = {
	IOPF("H-15", fault_of_an_absent_device_is_enoent, -ENOENT, NO_ID),
	IOPF("H-15", fault_of_a_handle_is_enoent, -ENOENT, STDEV),
	IOPF("H-15,C.7-17", fault_that_nobody_takes_is_0, 0, DEVICE),
	CASE("C.7-13a", record_says_all_of_a_fault),
	CASE("C.7-13b", groups_come_in_order_as_many_as_fit),
	CASE("C.7-14", cookies_are_the_smallest_that_are_free),
	CASE("C.7-13c", same_number_twice_is_two_groups),
	CASE("C.7-13d", poll_follows_the_queue),
	CASE("C.7-13e,C.7-2,C.7-3", read_without_room_for_what_is_there_is_einval),
	CASE("C.7-13f", read_that_cannot_be_written_leaves_the_group_at_the_head),
	CASE("C.7-15", answers_are_taken_up_to_the_first_that_is_wrong),
	CASE("C.7-15,C.7-9", code_comes_before_the_cookie),
	CASE("C.7-16,C.3-6", faults_are_answered_when_their_page_table_leaves),
	CASE("C.7-16", faults_of_other_devices_stay),
	CASE("C.7-17", faults_of_what_takes_none_are_nobodys),
	CASE("C.7-17", page_tables_share_a_queue),
	CASE("C.7-19,A.1-2a", queue_is_held_by_its_page_tables),
	CASE("C.7-18", faults_of_a_nested_page_table),
	CASE("A.1-6", iommufd_can_be_closed_with_faults_pending),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
