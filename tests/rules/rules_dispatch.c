/* SPDX-License-Identifier: BSD-3-Clause */
/* The dispatch of commands: numbers, the size law, arguments that cannot be read or written. */
#include "calls.h"

#include "abi/iommufd_test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define BAD_POINTERS                                                                                                   \
	((void *[]){NULL, HOLE, (void *)(uintptr_t)(1ULL << 63), (void *)UINTPTR_MAX, (void *)UINT64_C(0x7ffffffffffc)})

/* What a structure of zeros but for its size gets from each command on an empty file. */
static const struct command {
	const char *name;
	unsigned long cmd;
	uint32_t min, size;
	uint32_t second; /* the member after size, where 0 would depend on privilege */
	int zeros;
	bool replies; /* writes the structure back when it succeeds */
} commands[] = {
	{"DESTROY", IOMMU_DESTROY, 8, 8, 0, -ENOENT, false},
	{"IOAS_ALLOC", IOMMU_IOAS_ALLOC, 12, 12, 0, 0, true},
	{"IOAS_ALLOW_IOVAS", IOMMU_IOAS_ALLOW_IOVAS, 24, 24, 0, -ENOENT, false},
	{"IOAS_COPY", IOMMU_IOAS_COPY, 40, 40, 0, -EINVAL, true},
	{"IOAS_IOVA_RANGES", IOMMU_IOAS_IOVA_RANGES, 32, 32, 0, -ENOENT, true},
	{"IOAS_MAP", IOMMU_IOAS_MAP, 40, 40, 0, -EINVAL, true},
	{"IOAS_UNMAP", IOMMU_IOAS_UNMAP, 24, 24, 0, -ENOENT, true},
	{"OPTION", IOMMU_OPTION, 24, 24, 7, -EOPNOTSUPP, true},
	{"VFIO_IOAS", IOMMU_VFIO_IOAS, 12, 12, 0, -ENODEV, true},
	{"HWPT_ALLOC", IOMMU_HWPT_ALLOC, 24, 48, 0, -ENOENT, true},
	{"GET_HW_INFO", IOMMU_GET_HW_INFO, 32, 40, 0, -ENOENT, true},
	{"HWPT_SET_DIRTY_TRACKING", IOMMU_HWPT_SET_DIRTY_TRACKING, 16, 16, 0, -ENOENT, false},
	{"HWPT_GET_DIRTY_BITMAP", IOMMU_HWPT_GET_DIRTY_BITMAP, 48, 48, 0, -ENOENT, false},
	{"HWPT_INVALIDATE", IOMMU_HWPT_INVALIDATE, 32, 32, 0, -ENOENT, true},
	{"FAULT_QUEUE_ALLOC", IOMMU_FAULT_QUEUE_ALLOC, 16, 16, 0, 0, true},
	{"IOAS_MAP_FILE", IOMMU_IOAS_MAP_FILE, 40, 40, 0, -EINVAL, true},
	{"VIOMMU_ALLOC", IOMMU_VIOMMU_ALLOC, 24, 40, 0, -EOPNOTSUPP, true},
	{"VDEVICE_ALLOC", IOMMU_VDEVICE_ALLOC, 24, 24, 0, -ENOENT, true},
	{"IOAS_CHANGE_PROCESS", IOMMU_IOAS_CHANGE_PROCESS, 8, 8, 0, 0, false},
	{"VEVENTQ_ALLOC", IOMMU_VEVENTQ_ALLOC, 28, 32, 0, -EOPNOTSUPP, true},
	{"HW_QUEUE_ALLOC", IOMMU_HW_QUEUE_ALLOC, 40, 40, 0, -EOPNOTSUPP, true},
};

#define FOR_EACH_COMMAND(c) for (const struct command *c = commands; c < commands + ARRAY_SIZE(commands); c++)

struct argument {
	uint32_t size, second;
	unsigned char rest[4200];
};

static struct argument zeros(const struct command *c, uint32_t size)
{
	return (struct argument){.size = size, .second = c->second};
}

/* Makes the call and undoes what must not add up: the descriptors of fault queues. */
static int attempt(struct rules *t, const struct command *c, void *arg)
{
	int rc = call(t, c->cmd, arg);
	struct iommu_fault_alloc reply;

	t->about = c->name;
	if (rc == 0 && arg && c->cmd == IOMMU_FAULT_QUEUE_ALLOC) {
		memcpy(&reply, arg, sizeof(reply));
		transport_close(t->transport, (int)reply.out_fault_fd);
	}
	return rc;
}

/* A.0.1: the number */

static bool is_container_command(unsigned nr)
{
	return (nr >= 0x64 && nr <= 0x66) || (nr >= 0x70 && nr <= 0x72) || nr == 0x7a || nr == 0x7b;
}

static void numbers_below_0x80_are_enotty_and_the_pointer_is_not_touched(struct rules *t)
{
	for (unsigned nr = 0; nr < 0x80; nr++) {
		struct argument arg = {.size = sizeof(arg)};

		if (is_container_command(nr))
			continue;
		EXPECT(t, call(t, _IO(';', nr), &arg), -ENOTTY);
		EXPECT(t, call(t, _IO(';', nr), NULL), -ENOTTY);
		EXPECT(t, call(t, _IO(';', nr), HOLE), -ENOTTY);
	}
}

static void numbers_above_the_table_are_enotty_and_the_pointer_is_not_touched(struct rules *t)
{
	for (unsigned nr = t->selftest ? 0xa1 : 0x95; nr <= 0xff; nr++) {
		struct argument arg = {.size = sizeof(arg)};

		EXPECT(t, call(t, _IO(';', nr), &arg), -ENOTTY);
		EXPECT(t, call(t, _IO(';', nr), NULL), -ENOTTY);
	}
}

static void holes_of_the_table_read_the_size_and_are_enotty(struct rules *t)
{
	if (!t->selftest) {
		skip(t, "only a system with IOMMU_TEST_CMD has holes in its table");
		return;
	}
	for (unsigned nr = 0x95; nr < 0xa0; nr++) {
		struct argument arg = {.size = sizeof(arg)};

		EXPECT(t, call(t, _IO(';', nr), &arg), -ENOTTY);
		EXPECT(t, call(t, _IO(';', nr), NULL), -EFAULT);
	}
}

static void test_command_exists_with_selftest_only(struct rules *t)
{
	struct argument arg = {.size = 67};

	EXPECT(t, call(t, IOMMU_TEST_CMD, &arg), t->selftest ? -EINVAL : -ENOTTY);
	EXPECT(t, call(t, IOMMU_TEST_CMD, NULL), t->selftest ? -EFAULT : -ENOTTY);
	arg.size = 80;
	arg.rest[71] = 1;
	EXPECT(t, call(t, IOMMU_TEST_CMD, &arg), t->selftest ? -E2BIG : -ENOTTY);
}

static void size_and_direction_in_the_number_make_it_another_command(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	{
		struct argument arg = zeros(c, c->size);

		t->about = c->name;
		EXPECT(t, call(t, c->cmd | _IOC(_IOC_READ | _IOC_WRITE, 0, 0, 0), &arg), -ENOTTY);
		EXPECT(t, call(t, c->cmd | _IOC(_IOC_WRITE, 0, 0, 0), &arg), -ENOTTY);
		EXPECT(t, call(t, c->cmd | _IOC(0, 0, 0, c->size), &arg), -ENOTTY);
		EXPECT(t, call(t, c->cmd | _IOC(_IOC_READ, 0, 0, c->size), NULL), -EFAULT);
	}
	t->about = "container";
	EXPECT(t, call(t, VFIO_GET_API_VERSION | _IOC(_IOC_READ, 0, 0, 4), NULL), -ENOTTY);
	EXPECT(t, call(t, VFIO_CHECK_EXTENSION | _IOC(_IOC_WRITE, 0, 0, 8), NULL), -ENOTTY);
}

static void another_type_is_enotty(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	{
		struct argument arg = zeros(c, c->size);

		t->about = c->name;
		EXPECT(t, call(t, _IO('x', _IOC_NR(c->cmd)), &arg), -ENOTTY);
		EXPECT(t, call(t, _IO(0, _IOC_NR(c->cmd)), &arg), -ENOTTY);
	}
	EXPECT(t, call(t, _IO('x', 0x64), NULL), -ENOTTY);
	EXPECT(t, call(t, 0x5401 /* TCGETS */, NULL), -ENOTTY);
}

static void another_type_reads_the_size_first(struct rules *t)
{
	if (transport_kind(t->transport) == TRANSPORT_SYSCALLS) {
		skip(t, "ioctls of other types do not reach iommuse");
		return;
	}
	EXPECT(t, call(t, _IO('x', 0x81), NULL), -EFAULT);
}

static void upper_half_of_the_command_word_is_ignored(struct rules *t)
{
	struct iommu_ioas_alloc c = {.size = sizeof(c)};

	EXPECT(t, call(t, IOMMU_IOAS_ALLOC | 1UL << 32, &c), 0);
	EXPECT(t, c.out_ioas_id, 1);
	EXPECT(t, call(t, VFIO_GET_API_VERSION | 0xffffffffUL << 32, NULL), 0);
}

/* A.0.1: the pointer and the size */

static void size_that_cannot_be_read_is_efault(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	{
		struct argument arg = zeros(c, c->size);

		for (size_t i = 0; i < ARRAY_SIZE(BAD_POINTERS); i++)
			EXPECT(t, attempt(t, c, BAD_POINTERS[i]), -EFAULT);
		for (size_t readable = 0; readable < 4; readable++)
			EXPECT(t, attempt(t, c, place(t, &arg, c->size, readable, PROT_READ | PROT_WRITE, PROT_NONE)),
			       -EFAULT);
	}
}

static void size_below_the_minimum_is_einval(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	for (uint32_t size = 0; size < c->min; size++) {
		struct argument arg = zeros(c, size);

		EXPECT(t, attempt(t, c, &arg), -EINVAL);
	}
}

static void size_below_the_minimum_is_einval_before_the_rest_is_read(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	{
		struct argument arg = zeros(c, c->min - 1);

		EXPECT(t, attempt(t, c, place(t, &arg, c->size, 4, PROT_READ | PROT_WRITE, PROT_NONE)), -EINVAL);
	}
}

static void minimum_and_every_size_up_to_the_full_one_are_taken(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	for (uint32_t size = c->min; size <= c->size; size++) {
		struct argument arg = zeros(c, size);

		EXPECT(t, attempt(t, c, &arg), c->zeros);
	}
}

static void no_byte_beyond_the_given_size_is_read(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	for (uint32_t size = c->min; size <= c->size; size += 4) {
		struct argument arg = zeros(c, size);

		EXPECT(t, attempt(t, c, place_at_end(t, &arg, size, PROT_READ | PROT_WRITE)), c->zeros);
	}
}

static void members_beyond_a_short_size_count_as_zero(struct rules *t)
{
	struct iommu_hwpt_alloc hwpt = {.size = 24, .data_len = 8};
	struct iommu_viommu_alloc viommu = {.size = 24, .type = 1, .data_len = 8};
	struct iommu_veventq_alloc veventq = {.size = 28, .type = 1, .veventq_depth = 1, .__reserved = 1};

	/* Read, data_len without data_type would be EINVAL and __reserved EOPNOTSUPP. */
	EXPECT(t, call(t, IOMMU_HWPT_ALLOC, &hwpt), -ENOENT);
	EXPECT(t, call(t, IOMMU_VIOMMU_ALLOC, &viommu), -ENOENT);
	EXPECT(t, call(t, IOMMU_VEVENTQ_ALLOC, &veventq), -ENOENT);
	hwpt.size = 32;
	veventq.size = 32;
	EXPECT(t, call(t, IOMMU_HWPT_ALLOC, &hwpt), -EINVAL);
	EXPECT(t, call(t, IOMMU_VEVENTQ_ALLOC, &veventq), -EOPNOTSUPP);
}

static void longer_structure_with_zeros_is_taken(struct rules *t)
{
	static const uint32_t more[] = {1, 4, 8, 64, 4096};

	FOR_EACH_COMMAND(c)
	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		struct argument arg = zeros(c, c->size + more[i]);

		EXPECT(t, attempt(t, c, &arg), c->zeros);
	}
}

static void longer_structure_with_more_than_zeros_is_e2big(struct rules *t)
{
	static const uint32_t more[] = {1, 4, 8, 64, 4096};

	FOR_EACH_COMMAND(c)
	for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
		struct argument first = zeros(c, c->size + more[i]), last = first;

		((unsigned char *)&first)[c->size] = 0xff;
		((unsigned char *)&last)[c->size + more[i] - 1] = 1;
		EXPECT(t, attempt(t, c, &first), -E2BIG);
		EXPECT(t, attempt(t, c, &last), -E2BIG);
	}
}

static void tail_may_lie_in_the_next_page(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	{
		struct argument arg = zeros(c, c->size + 100);

		EXPECT(t, attempt(t, c, place(t, &arg, c->size + 100, c->size, PROT_READ | PROT_WRITE, PROT_READ)),
		       c->zeros);
		((unsigned char *)&arg)[c->size + 99] = 1;
		EXPECT(t, attempt(t, c, place(t, &arg, c->size + 100, c->size, PROT_READ | PROT_WRITE, PROT_READ)),
		       -E2BIG);
	}
}

static void tail_that_cannot_be_read_is_efault(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	for (uint32_t readable = 0; readable < 16; readable += 5) {
		struct argument arg = zeros(c, c->size + 16);

		EXPECT(t, attempt(t, c, place_at_end(t, &arg, c->size + readable, PROT_READ | PROT_WRITE)), -EFAULT);
	}
}

static void size_of_4_gib_with_a_tail_that_ends_is_efault(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	{
		struct argument arg = zeros(c, UINT32_MAX);

		EXPECT(t, attempt(t, c, place_at_end(t, &arg, c->size, PROT_READ | PROT_WRITE)), -EFAULT);
		EXPECT(t, attempt(t, c, place(t, &arg, c->size, c->size, PROT_READ | PROT_WRITE, PROT_READ)), -EFAULT);
	}
}

static void tail_is_e2big_when_the_byte_comes_before_what_cannot_be_read(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	{
		struct argument arg = zeros(c, UINT32_MAX);

		((unsigned char *)&arg)[c->size + 7] = 1;
		EXPECT(t, attempt(t, c, place_at_end(t, &arg, c->size + 8, PROT_READ | PROT_WRITE)), -E2BIG);
		arg.size = c->size + 9;
		EXPECT(t, attempt(t, c, place_at_end(t, &arg, c->size + 8, PROT_READ | PROT_WRITE)), -E2BIG);
	}
}

static void body_that_cannot_be_read_is_efault(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	for (uint32_t readable = 4; readable < c->size; readable++) {
		struct argument arg = zeros(c, c->size);

		EXPECT(t, attempt(t, c, place(t, &arg, c->size, readable, PROT_READ | PROT_WRITE, PROT_NONE)), -EFAULT);
	}
}

static void structure_may_begin_at_any_byte_and_cross_pages(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	for (uint32_t first = 1; first < c->size; first++) {
		struct argument arg = zeros(c, c->size);
		void *at = place(t, &arg, c->size, first, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE);

		EXPECT(t, attempt(t, c, at), c->zeros);
	}
}

/* A.0.1-6: the reply */

static void reply_has_no_more_bytes_than_the_structure(struct rules *t)
{
	struct argument arg = {.size = 12 + 100};

	/* The tail can be read but not written. */
	EXPECT(t, call(t, IOMMU_IOAS_ALLOC, place(t, &arg, 112, 12, PROT_READ | PROT_WRITE, PROT_READ)), 0);
	EXPECT(t, destroy(t, 1), 0);
}

static void reply_keeps_the_other_members(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_ioas_map c = {
		.size = sizeof(c), .flags = RW, .ioas_id = ioas, .user_va = VA + 5, .length = 77, .iova = 99};
	struct iommu_ioas_map before = c;

	EXPECT(t, call(t, IOMMU_IOAS_MAP, &c), 0);
	before.iova = c.iova;
	EXPECT(t, memcmp(&c, &before, sizeof(c)), 0);
}

static void read_only_argument_is_efault_where_there_is_a_reply(struct rules *t)
{
	FOR_EACH_COMMAND(c)
	{
		struct argument arg = zeros(c, c->size);
		int wanted = c->zeros == 0 && c->replies ? -EFAULT : c->zeros;

		if (c->cmd == IOMMU_HWPT_INVALIDATE)
			continue; /* replies when it fails, too: A.16 */
		EXPECT(t, attempt(t, c, place_at_end(t, &arg, c->size, PROT_READ)), wanted);
	}
}

static void read_only_argument_is_taken_where_there_is_no_reply(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_ioas_allow_iovas allowed = {.size = sizeof(allowed), .ioas_id = ioas};
	struct iommu_vfio_ioas set = {.size = sizeof(set), .ioas_id = ioas, .op = IOMMU_VFIO_IOAS_SET};
	struct iommu_vfio_ioas clear = {.size = sizeof(clear), .op = IOMMU_VFIO_IOAS_CLEAR};
	struct iommu_destroy gone = {.size = sizeof(gone), .id = ioas};

	EXPECT(t, call(t, IOMMU_IOAS_ALLOW_IOVAS, place_at_end(t, &allowed, sizeof(allowed), PROT_READ)), 0);
	EXPECT(t, call(t, IOMMU_VFIO_IOAS, place_at_end(t, &set, sizeof(set), PROT_READ)), 0);
	EXPECT(t, call(t, IOMMU_VFIO_IOAS, place_at_end(t, &clear, sizeof(clear), PROT_READ)), 0);
	EXPECT(t, call(t, IOMMU_DESTROY, place_at_end(t, &gone, sizeof(gone), PROT_READ)), 0);
}

/* A.0.3: what stays when the reply cannot be written */

static void ioas_whose_id_cannot_be_told_is_undone(struct rules *t)
{
	struct iommu_ioas_alloc c = {.size = sizeof(c)};

	EXPECT(t, call(t, IOMMU_IOAS_ALLOC, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, destroy(t, 1), -ENOENT);
	EXPECT(t, ioas_new(t), 1);
}

static void fault_queue_that_cannot_be_told_is_undone(struct rules *t)
{
	struct iommu_fault_alloc c = {.size = sizeof(c)};
	uint32_t id;
	int before, after;

	EXPECT(t, fault_new(t, &id, &before), 0);
	EXPECT(t, transport_close(t->transport, before), 0);
	EXPECT(t, destroy(t, id), 0);
	EXPECT(t, call(t, IOMMU_FAULT_QUEUE_ALLOC, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, destroy(t, id), -ENOENT);
	EXPECT(t, fault_new(t, &id, &after), 0);
	EXPECT(t, id, 1);
	EXPECT(t, after, before); /* no descriptor was left behind */
	EXPECT(t, transport_close(t->transport, after), 0);
}

static void map_stays_when_the_reply_cannot_be_written(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_ioas_map c = {
		.size = sizeof(c), .flags = FIXED | RW, .ioas_id = ioas, .user_va = VA, .length = PAGE, .iova = PAGE};

	EXPECT(t, call(t, IOMMU_IOAS_MAP, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, call(t, IOMMU_IOAS_MAP, place_at_end(t, &c, sizeof(c), PROT_READ)), -EEXIST);
	expect_bytes(t, ioas, PAGE);
}

static void map_file_stays_when_the_reply_cannot_be_written(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct iommu_ioas_map_file c = {
		.size = sizeof(c), .flags = FIXED | RW, .ioas_id = ioas, .fd = fd, .length = PAGE, .iova = PAGE};

	EXPECT(t, call(t, IOMMU_IOAS_MAP_FILE, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	expect_bytes(t, ioas, PAGE);
	close_plain(t, fd);
}

static void copy_stays_when_the_reply_cannot_be_written(struct rules *t)
{
	uint32_t ioas = ioas_new(t), dst = ioas_new(t);
	struct iommu_ioas_copy c = {.size = sizeof(c),
				    .flags = FIXED | RW,
				    .dst_ioas_id = dst,
				    .src_ioas_id = ioas,
				    .length = PAGE,
				    .dst_iova = PAGE,
				    .src_iova = PAGE};

	EXPECT(t, map_at(t, ioas, PAGE, PAGE), 0);
	EXPECT(t, call(t, IOMMU_IOAS_COPY, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	expect_bytes(t, dst, PAGE);
}

static void unmap_stays_when_the_reply_cannot_be_written(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_ioas_unmap c = {.size = sizeof(c), .ioas_id = ioas, .iova = PAGE, .length = PAGE};

	EXPECT(t, map_at(t, ioas, PAGE, PAGE), 0);
	EXPECT(t, call(t, IOMMU_IOAS_UNMAP, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, unmap(t, ioas, PAGE, PAGE, NULL), -ENOENT);
}

static const struct rule_case cases[] = {
	CASE("A.0.1-1a", numbers_below_0x80_are_enotty_and_the_pointer_is_not_touched),
	CASE("A.0.1-1b", numbers_above_the_table_are_enotty_and_the_pointer_is_not_touched),
	CASE("A.0.1-2b,A.0.1-3a", holes_of_the_table_read_the_size_and_are_enotty),
	CASE("A.0.1-1c", test_command_exists_with_selftest_only),
	CASE("A.0.1-3b,A.0.1-1d", size_and_direction_in_the_number_make_it_another_command),
	CASE("A.0.1-3c", another_type_is_enotty),
	CASE("A.0.1-2c", another_type_reads_the_size_first),
	CASE("A.0.1-1e", upper_half_of_the_command_word_is_ignored),
	CASE("A.0.1-2a", size_that_cannot_be_read_is_efault),
	CASE("A.0.1-4a", size_below_the_minimum_is_einval),
	CASE("A.0.1-4b", size_below_the_minimum_is_einval_before_the_rest_is_read),
	CASE("A.0.1-4c,A.0.5-1", minimum_and_every_size_up_to_the_full_one_are_taken),
	CASE("A.0.1-5a", no_byte_beyond_the_given_size_is_read),
	CASE("A.0.1-5b", members_beyond_a_short_size_count_as_zero),
	CASE("A.0.1-5c", longer_structure_with_zeros_is_taken),
	CASE("A.0.1-5d,A.0.5-1", longer_structure_with_more_than_zeros_is_e2big),
	CASE("A.0.1-5c,A.0.1-5d", tail_may_lie_in_the_next_page),
	CASE("A.0.1-5e", tail_that_cannot_be_read_is_efault),
	CASE("A.0.1-5e", size_of_4_gib_with_a_tail_that_ends_is_efault),
	CASE("A.0.1-5f", tail_is_e2big_when_the_byte_comes_before_what_cannot_be_read),
	CASE("A.0.1-5g", body_that_cannot_be_read_is_efault),
	CASE("A.0.1-5h", structure_may_begin_at_any_byte_and_cross_pages),
	CASE("A.0.1-6a", reply_has_no_more_bytes_than_the_structure),
	CASE("A.0.1-6b", reply_keeps_the_other_members),
	CASE("A.0.1-6c", read_only_argument_is_efault_where_there_is_a_reply),
	CASE("A.0.1-6d", read_only_argument_is_taken_where_there_is_no_reply),
	CASE("A.0.3-1,A.0.1-7", ioas_whose_id_cannot_be_told_is_undone),
	CASE("A.0.3-2,A.0.1-7", fault_queue_that_cannot_be_told_is_undone),
	CASE("A.0.3-3", map_stays_when_the_reply_cannot_be_written),
	CASE("A.0.3-4", map_file_stays_when_the_reply_cannot_be_written),
	CASE("A.0.3-5", copy_stays_when_the_reply_cannot_be_written),
	CASE("A.0.3-6", unmap_stays_when_the_reply_cannot_be_written),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
