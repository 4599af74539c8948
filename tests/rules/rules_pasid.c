/* SPDX-License-Identifier: BSD-3-Clause */
/* PASIDs: attaching, replacing and detaching page tables, and faults that come with one. */
#include "mock.h"

#define ON_PASIDS IOMMU_HWPT_ALLOC_PASID
#define FAILING   IOMMU_TEST_PASID_RESERVED

/* A device with PASIDs that is attached to a page table for them, and two more such page tables. */
struct pasids {
	struct mock m;
	uint32_t first, second;
};

static struct pasids pasids_new(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct pasids p = {.m = mock_new(t, ioas, MOCK_FLAGS_DEVICE_PASID)};

	p.first = hwpt_new(t, p.m.device, ioas, ON_PASIDS);
	p.second = hwpt_new(t, p.m.device, ioas, ON_PASIDS);
	EXPECT(t, mock_attach(t, p.m.stdev, hwpt_new(t, p.m.device, ioas, ON_PASIDS)), 0);
	return p;
}

static void pasid_is_attached_replaced_and_detached(struct rules *t)
{
	struct pasids p = pasids_new(t);
	uint32_t stdev = p.m.stdev;

	EXPECT(t, pasid_check(t, stdev, 100, 0), 0);
	EXPECT(t, pasid_attach(t, stdev, 100, p.first), 0);
	EXPECT(t, pasid_check(t, stdev, 100, p.first), 0);
	EXPECT(t, pasid_check(t, stdev, 100, p.second), -EINVAL);
	EXPECT(t, pasid_check(t, stdev, 100, 0), -EINVAL);
	EXPECT(t, pasid_check(t, stdev, 101, 0), 0);
	EXPECT(t, pasid_attach(t, stdev, 100, p.second), -EBUSY);
	EXPECT(t, pasid_check(t, stdev, 100, p.first), 0);
	EXPECT(t, pasid_replace(t, stdev, 100, p.second), 0);
	EXPECT(t, pasid_check(t, stdev, 100, p.second), 0);
	EXPECT(t, pasid_replace(t, stdev, 100, p.second), 0);
	EXPECT(t, pasid_detach(t, stdev, 100), 0);
	EXPECT(t, pasid_check(t, stdev, 100, 0), 0);
	EXPECT(t, pasid_detach(t, stdev, 100), 0);
}

static void pasids_are_users_of_their_page_table(struct rules *t)
{
	struct pasids p = pasids_new(t);

	EXPECT(t, pasid_attach(t, p.m.stdev, 1, p.first), 0);
	EXPECT(t, pasid_attach(t, p.m.stdev, 2, p.first), 0);
	EXPECT(t, destroy(t, p.first), -EBUSY);
	EXPECT(t, pasid_detach(t, p.m.stdev, 1), 0);
	EXPECT(t, destroy(t, p.first), -EBUSY);
	EXPECT(t, pasid_replace(t, p.m.stdev, 2, p.second), 0);
	EXPECT(t, destroy(t, p.first), 0);
	EXPECT(t, destroy(t, p.second), -EBUSY);
	EXPECT(t, pasid_detach(t, p.m.stdev, 2), 0);
	EXPECT(t, destroy(t, p.second), 0);
}

static void pasid_wants_page_tables_made_for_it(struct rules *t)
{
	struct pasids p = pasids_new(t);
	uint32_t plain = hwpt_new(t, p.m.device, p.m.ioas, 0);

	EXPECT(t, pasid_attach(t, p.m.stdev, 1, plain), -EINVAL);
	EXPECT(t, pasid_attach(t, p.m.stdev, 1, p.m.ioas), -EINVAL);
	EXPECT(t, pasid_attach(t, p.m.stdev, 1, p.first), 0);
	EXPECT(t, pasid_replace(t, p.m.stdev, 1, plain), -EINVAL);
	EXPECT(t, pasid_check(t, p.m.stdev, 1, p.first), 0);
	/* As long as a PASID is attached the device's own page table has to be one for PASIDs, too. */
	EXPECT(t, mock_attach(t, p.m.stdev, plain), -EINVAL);
	EXPECT(t, mock_attach(t, p.m.stdev, p.m.ioas), -EINVAL);
	EXPECT(t, mock_attach(t, p.m.stdev, p.second), 0);
	EXPECT(t, pasid_detach(t, p.m.stdev, 1), 0);
	EXPECT(t, mock_attach(t, p.m.stdev, plain), 0);
	EXPECT(t, pasid_attach(t, p.m.stdev, 1, p.first), -EINVAL);
}

static void pasid_of_a_nested_page_table(struct rules *t)
{
	struct pasids p = pasids_new(t);
	uint32_t parent = hwpt_new(t, p.m.device, p.m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | ON_PASIDS), nested, plain;

	EXPECT(t, nested_try(t, p.m.device, parent, ON_PASIDS, 0, &nested), 0);
	EXPECT(t, nested_try(t, p.m.device, parent, 0, 0, &plain), 0);
	EXPECT(t, pasid_attach(t, p.m.stdev, 5, plain), -EINVAL);
	EXPECT(t, pasid_attach(t, p.m.stdev, 5, nested), 0);
	EXPECT(t, pasid_check(t, p.m.stdev, 5, nested), 0);
	EXPECT(t, pasid_replace(t, p.m.stdev, 5, p.first), 0);
	EXPECT(t, destroy(t, nested), 0);
	EXPECT(t, pasid_detach(t, p.m.stdev, 5), 0);
}

/* A page table whose set is refused leaves the one before, on both the device and the books. */
static void pasid_whose_page_table_is_refused_keeps_the_old_one(struct rules *t)
{
	struct pasids p = pasids_new(t);

	EXPECT(t, pasid_attach(t, p.m.stdev, FAILING, p.first), 0);
	EXPECT(t, pasid_replace(t, p.m.stdev, FAILING, p.second), -ENOMEM);
	EXPECT(t, pasid_check(t, p.m.stdev, FAILING, p.first), 0);
	EXPECT(t, destroy(t, p.second), 0);
	EXPECT(t, destroy(t, p.first), -EBUSY);
	EXPECT(t, pasid_detach(t, p.m.stdev, FAILING), 0);
	EXPECT(t, destroy(t, p.first), 0);
}

static void detach_resets_the_pasid_that_fails(struct rules *t)
{
	struct pasids p = pasids_new(t);

	for (int i = 0; i < 3; i++) {
		EXPECT(t, pasid_attach(t, p.m.stdev, FAILING, p.first), 0);
		EXPECT(t, pasid_detach(t, p.m.stdev, FAILING), 0);
	}
}

static void devices_have_pasids_of_their_own(struct rules *t)
{
	struct pasids p = pasids_new(t);
	struct mock other = mock_new(t, p.second, MOCK_FLAGS_DEVICE_PASID);

	EXPECT(t, pasid_attach(t, p.m.stdev, 1, p.first), 0);
	EXPECT(t, pasid_check(t, other.stdev, 1, 0), 0);
	EXPECT(t, pasid_attach(t, other.stdev, 1, p.second), 0);
	EXPECT(t, pasid_check(t, p.m.stdev, 1, p.first), 0);
	EXPECT(t, pasid_detach(t, p.m.stdev, 1), 0);
	EXPECT(t, pasid_check(t, other.stdev, 1, p.second), 0);
	EXPECT(t, pasid_detach(t, other.stdev, 1), 0);
}

/* PASID 0 is what a device uses without PASIDs. */
static void pasid_0_is_the_device_itself(struct rules *t)
{
	struct pasids p = pasids_new(t);

	EXPECT(t, pasid_attach(t, p.m.stdev, 0, p.first), -EBUSY);
	EXPECT(t, pasid_replace(t, p.m.stdev, 0, p.first), 0);
	EXPECT(t, pasid_check(t, p.m.stdev, 0, p.first), 0);
}

/* Faults of a PASID go to the queue of the page table that is attached to it. */
static void faults_of_pasids_are_routed_by_them(struct rules *t)
{
	struct pasids p = pasids_new(t);
	struct iommu_hwpt_pgfault record;
	struct iommu_hwpt_page_response response = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	uint32_t fault[2], hwpt[2];
	int fd[2];

	for (int i = 0; i < 2; i++) {
		EXPECT(t, fault_new(t, &fault[i], &fd[i]), 0);
		hwpt[i] = hwpt_with_faults(t, p.m.device, p.m.ioas, ON_PASIDS, fault[i]);
		EXPECT(t, pasid_attach(t, p.m.stdev, 7 + (uint32_t)i, hwpt[i]), 0);
	}
	EXPECT(t, fault_trigger(t, p.m.device, 8, 3, AP + PAGE), 0);
	EXPECT(t, transport_read(t->transport, fd[0], &record, sizeof(record)), 0);
	EXPECT(t, transport_read(t->transport, fd[1], &record, sizeof(record)), sizeof(record));
	EXPECT(t, record.flags, IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	EXPECT(t, record.pasid, 8);
	EXPECT(t, record.grpid, 3);
	EXPECT(t, record.dev_id, p.m.device);
	EXPECT_U64(t, record.addr, AP + PAGE);
	response.cookie = record.cookie;
	EXPECT(t, transport_write(t->transport, fd[0], &response, sizeof(response)), -EINVAL);
	EXPECT(t, transport_write(t->transport, fd[1], &response, sizeof(response)), sizeof(response));
	/* A PASID that is not attached, and the device itself: nobody is told. */
	EXPECT(t, fault_trigger(t, p.m.device, 9, 4, AP), 0);
	EXPECT(t, fault_trigger(t, p.m.device, 0, 5, AP), 0);
	for (int i = 0; i < 2; i++) {
		EXPECT(t, transport_read(t->transport, fd[i], &record, sizeof(record)), 0);
		EXPECT(t, pasid_detach(t, p.m.stdev, 7 + (uint32_t)i), 0);
		EXPECT(t, transport_close(t->transport, fd[i]), 0);
	}
}

static void faults_of_a_pasid_that_is_detached_are_answered(struct rules *t)
{
	struct pasids p = pasids_new(t);
	struct iommu_hwpt_pgfault record = {0};
	struct iommu_hwpt_page_response response = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	uint32_t fault, hwpt;
	int fd;

	EXPECT(t, fault_new(t, &fault, &fd), 0);
	hwpt = hwpt_with_faults(t, p.m.device, p.m.ioas, ON_PASIDS, fault);
	EXPECT(t, pasid_attach(t, p.m.stdev, 1, hwpt), 0);
	EXPECT(t, fault_trigger(t, p.m.device, 1, 1, AP), 0);
	EXPECT(t, fault_trigger(t, p.m.device, 1, 2, AP), 0);
	EXPECT(t, transport_read(t->transport, fd, &record, sizeof(record)), sizeof(record));
	EXPECT(t, pasid_detach(t, p.m.stdev, 1), 0);
	EXPECT(t, transport_read(t->transport, fd, &record, sizeof(record)), 0);
	response.cookie = record.cookie;
	EXPECT(t, transport_write(t->transport, fd, &response, sizeof(response)), -EINVAL);
	EXPECT(t, destroy(t, hwpt), 0);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

#define PASID_OP(rules, name, result, what, member, handle, number, ...)                                               \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, WORLD_DATA(0), .op = (what), .id = (handle),     \
		 .member = {number, ##__VA_ARGS__})
#define ATTACH(rules, name, result, ...)                                                                               \
	PASID_OP(rules, name, result, IOMMU_TEST_OP_PASID_ATTACH, pasid_attach, __VA_ARGS__)
#define REPLACE(rules, name, result, ...)                                                                              \
	PASID_OP(rules, name, result, IOMMU_TEST_OP_PASID_REPLACE, pasid_replace, __VA_ARGS__)
#define CHECK(rules, name, result, ...)                                                                                \
	PASID_OP(rules, name, result, IOMMU_TEST_OP_PASID_CHECK_HWPT, pasid_check, __VA_ARGS__)
#define DETACH(rules, name, result, ...)                                                                               \
	PASID_OP(rules, name, result, IOMMU_TEST_OP_PASID_DETACH, pasid_detach, __VA_ARGS__)

static const struct rule_case cases[] = {
	ATTACH("C.5-1,H-18", pasid_attach_is_taken, 0, PASID_STDEV, 1, PASID_HWPT),
	ATTACH("C.5-1", pasid_attach_of_the_largest_pasid_is_taken, 0, PASID_STDEV, (1 << 20) - 1, PASID_HWPT),
	ATTACH("C.5-2,H-18", pasid_attach_of_a_pasid_that_is_too_large_is_einval, -EINVAL, PASID_STDEV, 1 << 20,
	       PASID_HWPT),
	ATTACH("C.5-3", pasid_attach_of_a_plain_page_table_is_einval, -EINVAL, PASID_STDEV, 1, PLAIN),
	ATTACH("C.5-3", pasid_attach_of_an_ioas_is_einval, -EINVAL, PASID_STDEV, 1, IOAS),
	ATTACH("C.5-4", pasid_attach_of_a_device_on_a_plain_page_table_is_einval, -EINVAL, STDEV, 1, PASID_HWPT),
	ATTACH("C.5-5,H-18", pasid_attach_of_nothing_is_enoent, -ENOENT, PASID_STDEV, 1, NO_ID),
	ATTACH("C.5-5", pasid_attach_of_a_device_is_einval, -EINVAL, PASID_STDEV, 1, DEVICE),
	ATTACH("C.5-5", pasid_attach_page_table_comes_before_the_pasid, -ENOENT, PASID_STDEV, 1 << 20, NO_ID),
	ATTACH("H-18", pasid_attach_without_a_device_is_enoent, -ENOENT, NO_ID, 1, PASID_HWPT),
	ATTACH("C.5-6", pasid_attach_of_pasid_0_is_ebusy, -EBUSY, PASID_STDEV, 0, PASID_HWPT),
	REPLACE("C.5-7,H-19", pasid_replace_of_what_is_not_attached_is_einval, -EINVAL, PASID_STDEV, 1, PASID_HWPT),
	REPLACE("C.5-5,H-19", pasid_replace_by_nothing_is_enoent, -ENOENT, PASID_STDEV, 1, NO_ID),
	REPLACE("H-19", pasid_replace_without_a_device_is_enoent, -ENOENT, NO_ID, 1, PASID_HWPT),
	DETACH("C.5-8,H-20", pasid_detach_of_what_is_not_attached_is_0, 0, PASID_STDEV, 1),
	DETACH("H-20", pasid_detach_without_a_device_is_enoent, -ENOENT, NO_ID, 1),
	CHECK("H-21", pasid_check_of_nothing_is_0, 0, PASID_STDEV, 1, 0),
	CHECK("H-21", pasid_check_of_pasid_0_is_the_page_table_of_the_device, 0, PASID_STDEV, 0, PASID_HWPT),
	CHECK("H-21", pasid_check_of_another_page_table_is_einval, -EINVAL, PASID_STDEV, 0, PLAIN),
	CHECK("H-21", pasid_check_of_an_absent_page_table_is_enoent, -ENOENT, PASID_STDEV, 1, NO_ID),
	CHECK("H-21", pasid_check_without_a_device_is_enoent, -ENOENT, NO_ID, 1, 0),
	CASE("C.5-1,C.5-7,C.5-8,C.5-9", pasid_is_attached_replaced_and_detached),
	CASE("C.5-10,A.1-2e", pasids_are_users_of_their_page_table),
	CASE("C.5-3,C.5-4,C.5-11", pasid_wants_page_tables_made_for_it),
	CASE("C.5-3", pasid_of_a_nested_page_table),
	CASE("C.5-12,H-19", pasid_whose_page_table_is_refused_keeps_the_old_one),
	CASE("H-20", detach_resets_the_pasid_that_fails),
	CASE("C.5-1", devices_have_pasids_of_their_own),
	CASE("C.5-6", pasid_0_is_the_device_itself),
	CASE("C.7-17,H-15b", faults_of_pasids_are_routed_by_them),
	CASE("C.7-16", faults_of_a_pasid_that_is_detached_are_answered),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
