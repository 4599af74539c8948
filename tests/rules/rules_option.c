/* SPDX-License-Identifier: BSD-3-Clause */
/* OPTION, VFIO_IOAS, CHANGE_PROCESS and the alignment. */
#include "calls.h"

#include <linux/capability.h>
#include <sys/mman.h>

#define SET         IOMMU_OPTION_OP_SET
#define GET         IOMMU_OPTION_OP_GET
#define RLIMIT_MODE IOMMU_OPTION_RLIMIT_MODE
#define HUGE_PAGES  IOMMU_OPTION_HUGE_PAGES

static int set_option(struct rules *t, uint32_t id, uint32_t object, uint64_t val)
{
	return option(t, id, SET, object, &val);
}

static uint64_t get_option(struct rules *t, uint32_t id, uint32_t object)
{
	uint64_t val = 0x1234567;

	EXPECT(t, option(t, id, GET, object, &val), 0);
	return val;
}

/* A.10 */

static void reserved_member_of_option_comes_first(struct rules *t)
{
	for (int bit = 0; bit < 16; bit++) {
		struct iommu_option c = {.size = sizeof(c),
					 .option_id = HUGE_PAGES,
					 .op = GET,
					 .__reserved = (uint16_t)(1U << bit),
					 .object_id = NO_ID};

		EXPECT(t, call(t, IOMMU_OPTION, &c), -EOPNOTSUPP);
	}
}

static void unknown_option_is_eopnotsupp(struct rules *t)
{
	static const uint32_t ids[] = {2, 3, 0x80000000, UINT32_MAX};
	uint64_t val = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		for (uint16_t op = 0; op < 3; op++)
			EXPECT(t, option(t, ids[i], op, 0, &val), -EOPNOTSUPP);
}

static void unknown_op_is_eopnotsupp(struct rules *t)
{
	static const uint16_t ops[] = {2, 3, 0x100, UINT16_MAX};
	uint32_t ioas = ioas_new(t);
	uint64_t val = 1;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT(t, option(t, HUGE_PAGES, ops[i], ioas, &val), -EOPNOTSUPP);
		EXPECT(t, option(t, RLIMIT_MODE, ops[i], 0, &val), -EOPNOTSUPP);
	}
}

static void huge_pages_looks_the_object_up_before_the_op(struct rules *t)
{
	uint64_t val = 5;

	EXPECT(t, option(t, HUGE_PAGES, 2, NO_ID, &val), -ENOENT);
	EXPECT(t, option(t, HUGE_PAGES, SET, NO_ID, &val), -ENOENT);
	EXPECT(t, option(t, HUGE_PAGES, GET, 0, &val), -ENOENT);
}

static void option_writes_back_its_value_only(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_option c = {.size = sizeof(c), .option_id = HUGE_PAGES, .op = GET, .object_id = ioas, .val64 = 77};
	struct iommu_option *at = place(t, &c, sizeof(c), 16, PROT_READ, PROT_READ | PROT_WRITE);

	EXPECT(t, call(t, IOMMU_OPTION, at), 0);
	EXPECT_U64(t, at->val64, 1);
	at = place(t, &c, sizeof(c), 16, PROT_READ | PROT_WRITE, PROT_READ);
	EXPECT(t, call(t, IOMMU_OPTION, at), -EFAULT);
}

static void set_stays_when_the_value_cannot_be_written_back(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_option c = {.size = sizeof(c), .option_id = HUGE_PAGES, .op = SET, .object_id = ioas, .val64 = 0};

	EXPECT(t, call(t, IOMMU_OPTION, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT_U64(t, get_option(t, HUGE_PAGES, ioas), 0);
}

static void rlimit_mode_is_of_no_object(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint64_t val = 0;

	for (uint16_t op = 0; op < 3; op++)
		EXPECT(t, option(t, RLIMIT_MODE, op, ioas, &val), -EOPNOTSUPP);
	EXPECT(t, option(t, RLIMIT_MODE, GET, NO_ID, &val), -EOPNOTSUPP);
	EXPECT_U64(t, get_option(t, RLIMIT_MODE, 0), 0);
}

/* Makes the case's file one whose client has CAP_SYS_RESOURCE, or one whose client has not; false where that cannot be.
 */
static bool with_capability(struct rules *t, bool wanted, struct transport **before)
{
	*before = t->transport;
	if (transport_kind(t->transport) == TRANSPORT_SYSCALLS) {
		if (transport_capable(t->transport, CAP_SYS_RESOURCE) == wanted)
			return true;
		skip(t, wanted ? "needs CAP_SYS_RESOURCE" : "needs a process without CAP_SYS_RESOURCE");
		return false;
	}
	EXPECT(t, transport_close(t->transport, t->fd), 0);
	EXPECT(t,
	       transport_new(TRANSPORT_LIBRARY, t->selftest, wanted ? UINT64_C(1) << CAP_SYS_RESOURCE : 0,
			     &t->transport),
	       0);
	t->fd = node_open(t, "/dev/iommu");
	return true;
}

static void back_to(struct rules *t, struct transport *before)
{
	if (t->transport == before)
		return;
	EXPECT(t, transport_close(t->transport, t->fd), 0);
	transport_free(t->transport);
	t->transport = before;
	t->fd = node_open(t, "/dev/iommu");
}

static void rlimit_mode_is_not_set_without_the_capability(struct rules *t)
{
	struct transport *before;

	if (!with_capability(t, false, &before))
		return;
	for (uint64_t val = 0; val < 3; val++)
		EXPECT(t, set_option(t, RLIMIT_MODE, 0, val), -EPERM);
	/* Before what is busy; after what is not supported. */
	uint32_t ioas = ioas_new(t);

	EXPECT(t, set_option(t, RLIMIT_MODE, 0, 2), -EPERM);
	EXPECT(t, set_option(t, RLIMIT_MODE, ioas, 0), -EOPNOTSUPP);
	EXPECT_U64(t, get_option(t, RLIMIT_MODE, 0), 0);
	back_to(t, before);
}

static void rlimit_mode_is_set_while_there_is_no_object(struct rules *t)
{
	struct transport *before;

	if (!with_capability(t, true, &before))
		return;
	EXPECT(t, set_option(t, RLIMIT_MODE, 0, 1), 0);
	EXPECT_U64(t, get_option(t, RLIMIT_MODE, 0), 1);
	EXPECT(t, set_option(t, RLIMIT_MODE, 0, 2), -EINVAL);
	EXPECT(t, set_option(t, RLIMIT_MODE, 0, U64_MAX), -EINVAL);
	EXPECT_U64(t, get_option(t, RLIMIT_MODE, 0), 1);
	EXPECT(t, set_option(t, RLIMIT_MODE, 0, 0), 0);
	EXPECT_U64(t, get_option(t, RLIMIT_MODE, 0), 0);
	uint32_t ioas = ioas_new(t);

	EXPECT(t, set_option(t, RLIMIT_MODE, 0, 1), -EBUSY);
	EXPECT(t, set_option(t, RLIMIT_MODE, 0, 2), -EBUSY); /* the value is looked at last */
	EXPECT(t, destroy(t, ioas), 0);
	EXPECT(t, set_option(t, RLIMIT_MODE, 0, 1), 0);
	back_to(t, before);
}

static void huge_pages_off_and_on_again(struct rules *t)
{
	uint32_t ioas = ioas_new(t), other = ioas_new(t);

	EXPECT_U64(t, get_option(t, HUGE_PAGES, ioas), 1);
	EXPECT(t, set_option(t, HUGE_PAGES, ioas, 1), 0);
	for (int i = 0; i < 2; i++) {
		EXPECT(t, set_option(t, HUGE_PAGES, ioas, 0), 0);
		EXPECT_U64(t, get_option(t, HUGE_PAGES, ioas), 0);
		EXPECT_U64(t, alignment(t, ioas), PAGE);
	}
	EXPECT_U64(t, get_option(t, HUGE_PAGES, other), 1);
	EXPECT(t, set_option(t, HUGE_PAGES, ioas, 1), 0);
	EXPECT_U64(t, get_option(t, HUGE_PAGES, ioas), 1);
	EXPECT_U64(t, alignment(t, ioas), 1);
	EXPECT(t, map_at(t, ioas, 1, 1), 0);
}

static void huge_pages_takes_0_and_1_only(struct rules *t)
{
	static const uint64_t vals[] = {2, 3, UINT64_C(1) << 32, U64_MAX};
	uint32_t ioas = ioas_new(t);

	for (size_t i = 0; i < ARRAY_SIZE(vals); i++)
		EXPECT(t, set_option(t, HUGE_PAGES, ioas, vals[i]), -EINVAL);
	EXPECT_U64(t, get_option(t, HUGE_PAGES, ioas), 1);
	EXPECT(t, set_option(t, HUGE_PAGES, ioas, 0), 0);
	EXPECT(t, set_option(t, HUGE_PAGES, ioas, 2), -EINVAL);
	EXPECT_U64(t, get_option(t, HUGE_PAGES, ioas), 0);
}

struct area_row {
	int result;
	uint64_t va, iova, length;
};

static void huge_pages_off_with_a_map(struct rules *t, const void *row)
{
	const struct area_row *r = row;
	uint32_t ioas = ioas_new(t);

	EXPECT(t, map_va_at(t, ioas, RW, VA, 0x100000, PAGE), 0);
	EXPECT(t, map_va_at(t, ioas, RW, r->va, r->iova, r->length), 0);
	EXPECT(t, set_option(t, HUGE_PAGES, ioas, 0), r->result);
	EXPECT_U64(t, get_option(t, HUGE_PAGES, ioas), r->result != 0);
	EXPECT_U64(t, alignment(t, ioas), r->result ? 1 : PAGE);
	/* Nothing is in the way once the map is gone. */
	EXPECT(t, unmap(t, ioas, r->iova, r->length, NULL), 0);
	EXPECT(t, set_option(t, HUGE_PAGES, ioas, 0), 0);
}

/* A.11 */

static int vfio_ioas_raw(struct rules *t, uint16_t op, uint16_t reserved, uint32_t ioas)
{
	struct iommu_vfio_ioas c = {.size = sizeof(c), .ioas_id = ioas, .op = op, .__reserved = reserved};

	return call(t, IOMMU_VFIO_IOAS, &c);
}

static void reserved_member_of_vfio_ioas_comes_first(struct rules *t)
{
	for (int bit = 0; bit < 16; bit++)
		for (uint16_t op = 0; op < 4; op++)
			EXPECT(t, vfio_ioas_raw(t, op, (uint16_t)(1U << bit), NO_ID), -EOPNOTSUPP);
}

static void unknown_op_of_vfio_ioas_is_eopnotsupp(struct rules *t)
{
	EXPECT(t, vfio_ioas_raw(t, 3, 0, NO_ID), -EOPNOTSUPP);
	EXPECT(t, vfio_ioas_raw(t, UINT16_MAX, 0, NO_ID), -EOPNOTSUPP);
}

static void get_without_a_compat_ioas_is_enodev(struct rules *t)
{
	uint32_t id = ioas_new(t);

	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), -ENODEV);
	EXPECT(t, vfio_ioas_raw(t, IOMMU_VFIO_IOAS_CLEAR, 0, 0), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), -ENODEV);
}

static void set_get_and_clear(struct rules *t)
{
	uint32_t a = ioas_new(t), b = ioas_new(t), id = 77;

	EXPECT(t, vfio_ioas_raw(t, IOMMU_VFIO_IOAS_SET, 0, a), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), 0);
	EXPECT(t, id, a);
	EXPECT(t, vfio_ioas_raw(t, IOMMU_VFIO_IOAS_SET, 0, b), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), 0);
	EXPECT(t, id, b);
	EXPECT(t, vfio_ioas_raw(t, IOMMU_VFIO_IOAS_SET, 0, NO_ID), -ENOENT);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), 0);
	EXPECT(t, id, b);
	EXPECT(t, vfio_ioas_raw(t, IOMMU_VFIO_IOAS_CLEAR, 0, NO_ID), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), -ENODEV);
	EXPECT(t, vfio_ioas_raw(t, IOMMU_VFIO_IOAS_CLEAR, 0, 0), 0);
}

static void set_holds_no_reference(struct rules *t)
{
	uint32_t ioas = container_new(t), id;

	EXPECT(t, destroy(t, ioas), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), -ENODEV);
}

static void compat_ioas_is_of_its_file(struct rules *t)
{
	int other = node_open(t, "/dev/iommu");
	struct iommu_vfio_ioas get = {.size = sizeof(get)};

	container_new(t);
	EXPECT(t, transport_ioctl(t->transport, other, IOMMU_VFIO_IOAS, (uintptr_t)&get), -ENODEV);
	EXPECT(t, transport_close(t->transport, other), 0);
}

/* A.12 */

static int change_process(struct rules *t, uint32_t reserved)
{
	struct iommu_ioas_change_process c = {.size = sizeof(c), .__reserved = reserved};

	return call(t, IOMMU_IOAS_CHANGE_PROCESS, &c);
}

static void change_process_looks_at_the_reserved_member(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	EXPECT(t, change_process(t, 1), -EOPNOTSUPP);
	EXPECT(t, map_at(t, ioas, 0, PAGE), 0);
	EXPECT(t, change_process(t, 0x80000000), -EOPNOTSUPP);
}

static void change_process_without_maps_is_taken(struct rules *t)
{
	EXPECT(t, change_process(t, 0), 0);
	ioas_new(t);
	EXPECT(t, change_process(t, 0), 0);
}

static void change_process_with_memory_of_a_process_is_einval(struct rules *t)
{
	uint32_t ioas = ioas_new(t), other = ioas_new(t);

	EXPECT(t, map_at(t, ioas, 0, PAGE), 0);
	EXPECT(t, change_process(t, 0), -EINVAL);
	EXPECT(t, copy_at(t, other, ioas, RW, 0, 0, PAGE), 0);
	EXPECT(t, destroy(t, ioas), 0);
	EXPECT(t, change_process(t, 0), -EINVAL); /* any IOAS of the file */
	EXPECT(t, unmap(t, other, 0, PAGE, NULL), 0);
	EXPECT(t, change_process(t, 0), 0);
}

static void change_process_with_files_only_is_taken(struct rules *t)
{
	uint32_t ioas = ioas_new(t), other = ioas_new(t);
	int fd = memfd_new(t, 4 * PAGE);

	EXPECT(t, map_file_at(t, ioas, RW, fd, 0, 0, PAGE), 0);
	EXPECT(t, map_file_at(t, ioas, READ, fd, PAGE, PAGE, PAGE), 0);
	EXPECT(t, copy_at(t, other, ioas, RW, 0, 0, PAGE), 0);
	EXPECT(t, change_process(t, 0), 0);
	EXPECT(t, map_at(t, other, 0x100000, 1), 0);
	EXPECT(t, change_process(t, 0), -EINVAL);
	expect_bytes(t, ioas, 2 * PAGE);
	close_plain(t, fd);
}

#define WITH_MAP(rules, name, ...) ROW(rules, name, huge_pages_off_with_a_map, struct area_row, __VA_ARGS__)

static const struct rule_case cases[] = {
	CASE("A.10-1", reserved_member_of_option_comes_first),
	CASE("A.10-2", unknown_option_is_eopnotsupp),
	CASE("A.10-3", unknown_op_is_eopnotsupp),
	CASE("A.10-5a,A.10-5b", huge_pages_looks_the_object_up_before_the_op),
	CASE("A.10-6", option_writes_back_its_value_only),
	CASE("A.10-7", set_stays_when_the_value_cannot_be_written_back),
	CASE("A.10-4a,A.10-4b", rlimit_mode_is_of_no_object),
	CASE("A.10-4c", rlimit_mode_is_not_set_without_the_capability),
	CASE("A.10-4d,A.10-4e,A.10-4f", rlimit_mode_is_set_while_there_is_no_object),
	CASE("A.10-8a,A.10-8b,A.10-8f,A.18-2,A.18-3", huge_pages_off_and_on_again),
	CASE("A.10-8c", huge_pages_takes_0_and_1_only),
	WITH_MAP("A.10-8d", huge_pages_off_with_aligned_maps, 0, VA, 0, PAGE),
	WITH_MAP("A.10-8e", huge_pages_off_with_a_misaligned_iova_is_eaddrinuse, -EADDRINUSE, VA, 0x800, PAGE),
	WITH_MAP("A.10-8e", huge_pages_off_with_a_misaligned_length_is_eaddrinuse, -EADDRINUSE, VA, 0, PAGE + 1),
	WITH_MAP("A.10-8e", huge_pages_off_with_a_misaligned_address_is_eaddrinuse, -EADDRINUSE, VA + 0x800, 0, PAGE),
	WITH_MAP("A.10-8e", huge_pages_off_with_a_misaligned_last_map_is_eaddrinuse, -EADDRINUSE, VA, 0x200001, PAGE),
	CASE("A.11-1", reserved_member_of_vfio_ioas_comes_first),
	CASE("A.11-2", unknown_op_of_vfio_ioas_is_eopnotsupp),
	CASE("A.11-3a", get_without_a_compat_ioas_is_enodev),
	CASE("A.11-4a,A.11-3b,A.11-5", set_get_and_clear),
	CASE("A.11-4b", set_holds_no_reference),
	CASE("A.11-4c", compat_ioas_is_of_its_file),
	CASE("A.12-1", change_process_looks_at_the_reserved_member),
	CASE("A.12-2", change_process_without_maps_is_taken),
	CASE("A.12-3", change_process_with_memory_of_a_process_is_einval),
	CASE("A.12-4", change_process_with_files_only_is_taken),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
