/* SPDX-License-Identifier: BSD-3-Clause */
/* MAP and MAP_FILE: what is checked, in which order, and what is mapped afterwards. Automatic IOVAs: rules_auto.c. */
#include "calls.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* One map into an IOAS that has the page at 0x10000 mapped. Members that are 0 are so in the call. */
struct map_row {
	int result;
	uint32_t flags, reserved;
	bool no_ioas;     /* an id that nothing has */
	bool small_pages; /* the IOAS has an alignment of a page */
	uint64_t va, length, iova;
};

static void map_into_an_ioas(struct rules *t, const void *row)
{
	const struct map_row *r = row;
	uint32_t ioas = ioas_new(t);
	struct iommu_ioas_map c = {.size = sizeof(c),
				   .flags = r->flags,
				   .ioas_id = r->no_ioas ? NO_ID : ioas,
				   .__reserved = r->reserved,
				   .user_va = r->va,
				   .length = r->length,
				   .iova = r->iova};

	EXPECT(t, map_at(t, ioas, 0x10000, PAGE), 0);
	if (r->small_pages)
		EXPECT(t, small_pages(t, ioas), 0);
	EXPECT(t, call(t, IOMMU_IOAS_MAP, &c), r->result);
	/* A call that fails leaves nothing, one that succeeds exactly what was asked for. */
	expect_bytes(t, ioas, PAGE + (r->result ? 0 : r->length));
}

struct file_row {
	int result;
	uint32_t flags;
	bool no_ioas, bad_fd, small_pages;
	uint64_t start, length, iova;
};

static void map_file_into_an_ioas(struct rules *t, const void *row)
{
	const struct file_row *r = row;
	uint32_t ioas = ioas_new(t);
	int fd = memfd_new(t, 16 * PAGE);
	struct iommu_ioas_map_file c = {.size = sizeof(c),
					.flags = r->flags,
					.ioas_id = r->no_ioas ? NO_ID : ioas,
					.fd = r->bad_fd ? -1 : fd,
					.start = r->start,
					.length = r->length,
					.iova = r->iova};

	EXPECT(t, map_at(t, ioas, 0x10000, PAGE), 0);
	if (r->small_pages)
		EXPECT(t, small_pages(t, ioas), 0);
	EXPECT(t, call(t, IOMMU_IOAS_MAP_FILE, &c), r->result);
	expect_bytes(t, ioas, PAGE + (r->result ? 0 : r->length));
	close_plain(t, fd);
}

static void every_unknown_flag_is_eopnotsupp(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	for (int bit = 3; bit < 32; bit++) {
		struct iommu_ioas_map m = {.size = sizeof(m),
					   .flags = FIXED | RW | 1U << bit,
					   .ioas_id = ioas,
					   .length = PAGE,
					   .iova = PAGE};
		struct iommu_ioas_map_file f = {.size = sizeof(f),
						.flags = FIXED | RW | 1U << bit,
						.ioas_id = ioas,
						.length = PAGE,
						.iova = PAGE};

		EXPECT(t, call(t, IOMMU_IOAS_MAP, &m), -EOPNOTSUPP);
		EXPECT(t, call(t, IOMMU_IOAS_MAP_FILE, &f), -EOPNOTSUPP);
	}
	for (int bit = 0; bit < 32; bit++) {
		struct iommu_ioas_map m = {
			.size = sizeof(m), .flags = FIXED | RW, .ioas_id = ioas, .__reserved = 1U << bit};

		EXPECT(t, call(t, IOMMU_IOAS_MAP, &m), -EOPNOTSUPP);
	}
}

static void any_address_is_mapped_without_a_page_table(struct rules *t)
{
	static const uint64_t va[] = {0,
				      1,
				      UINT64_C(0x520000000000),
				      UINT64_C(0x0000800000000000),
				      UINT64_C(0x8000000000000000),
				      UINT64_C(0xffff888000000000),
				      U64_MAX - PAGE};
	uint32_t ioas = ioas_new(t);

	for (size_t i = 0; i < ARRAY_SIZE(va); i++)
		EXPECT(t, map_va_at(t, ioas, RW, va[i], i * PAGE, PAGE), 0);
	expect_bytes(t, ioas, ARRAY_SIZE(va) * PAGE);
}

static void nothing_is_counted_without_a_page_table(struct rules *t)
{
	struct rlimit before, none = {0, 0};
	uint32_t ioas = ioas_new(t);

	EXPECT(t, getrlimit(RLIMIT_MEMLOCK, &before), 0);
	none.rlim_max = before.rlim_max;
	EXPECT(t, setrlimit(RLIMIT_MEMLOCK, &none), 0);
	EXPECT(t, map_at(t, ioas, 0, UINT64_C(1) << 40), 0);
	EXPECT(t, setrlimit(RLIMIT_MEMLOCK, &before), 0);
	expect_bytes(t, ioas, UINT64_C(1) << 40);
}

static void any_byte_is_a_boundary_while_the_alignment_is_1(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	EXPECT(t, map_va_at(t, ioas, RW, VA + 1, 0x1001, 1), 0);
	EXPECT(t, map_va_at(t, ioas, RW, VA + 77, 0x1002, 0x333), 0);
	EXPECT(t, map_va_at(t, ioas, RW, VA + 3, 0x1000, 1), 0);
	EXPECT(t, map_va_at(t, ioas, RW, VA, 0x1002 + 0x333, PAGE), 0);
	expect_bytes(t, ioas, 2 + 0x333 + PAGE);
}

/* A map of length bytes at iova while [0x10000, 0x10fff] is taken. */
struct overlap_row {
	int result;
	uint64_t iova, length;
};

static void map_beside_another(struct rules *t, const void *row)
{
	const struct overlap_row *r = row;
	uint32_t ioas = ioas_new(t);
	int fd = memfd_new(t, PAGE);

	EXPECT(t, map_at(t, ioas, 0x10000, PAGE), 0);
	EXPECT(t, map_at(t, ioas, r->iova, r->length), r->result);
	expect_bytes(t, ioas, PAGE + (r->result ? 0 : r->length));
	EXPECT(t, map_at(t, ioas, 0x10000, PAGE), 0);
	EXPECT(t, map_file_at(t, ioas, RW, fd, 0, r->iova, r->length), r->result);
	expect_bytes(t, ioas, PAGE + (r->result ? 0 : r->length));
	close_plain(t, fd);
}

static void map_with_a_misaligned_address_leaves_its_place_free(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	EXPECT(t, small_pages(t, ioas), 0);
	EXPECT(t, map_va_at(t, ioas, RW, VA + 0x800, 0x20000, PAGE), -EINVAL);
	EXPECT(t, map_va_at(t, ioas, RW, VA, 0x20000, PAGE), 0);
	/* The place counts before the address in the page. */
	EXPECT(t, map_va_at(t, ioas, RW, VA + 0x800, 0x20000, PAGE), -EEXIST);
	expect_bytes(t, ioas, PAGE);
}

static void iova_in_the_reply_is_the_one_chosen(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_ioas_map c = {.size = sizeof(c),
				   .flags = FIXED | RW,
				   .ioas_id = ioas,
				   .user_va = VA,
				   .length = PAGE,
				   .iova = 0x345000};
	struct iommu_ioas_map automatic = {
		.size = sizeof(c), .flags = RW, .ioas_id = ioas, .user_va = VA, .length = PAGE, .iova = 0x999999};

	EXPECT(t, call(t, IOMMU_IOAS_MAP, &c), 0);
	EXPECT_U64(t, c.iova, 0x345000);
	EXPECT(t, call(t, IOMMU_IOAS_MAP, &automatic), 0);
	EXPECT_U64(t, automatic.iova, PAGE);
	EXPECT_U64(t, automatic.length, PAGE);
}

/* MAP_FILE */

static void file_of_any_kind_is_taken_without_a_page_table(struct rules *t)
{
	int pipe_fd[2],
		fd[] = {memfd_new(t, PAGE), open("/dev/null", O_RDONLY | O_CLOEXEC), open("/", O_RDONLY | O_CLOEXEC)};
	uint32_t ioas = ioas_new(t);

	EXPECT(t, pipe2(pipe_fd, O_CLOEXEC), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		EXPECT(t, map_file_at(t, ioas, RW, fd[i], 0, i * PAGE, PAGE), 0);
		close_plain(t, fd[i]);
	}
	EXPECT(t, map_file_at(t, ioas, RW, pipe_fd[0], 0, 10 * PAGE, PAGE), 0);
	EXPECT(t, map_file_at(t, ioas, RW, pipe_fd[1], 0, 11 * PAGE, PAGE), 0);
	/* A file of the system's own is one, too. */
	EXPECT(t, map_file_at(t, ioas, RW, t->fd, 0, 12 * PAGE, PAGE), 0);
	close_plain(t, pipe_fd[0]);
	close_plain(t, pipe_fd[1]);
	expect_bytes(t, ioas, 6 * PAGE);
}

static void descriptor_that_is_no_open_file_is_ebadf(struct rules *t)
{
	int path = open("/", O_PATH | O_CLOEXEC), gone = memfd_new(t, PAGE);
	uint32_t ioas = ioas_new(t);
	const int fd[] = {-1, INT32_MIN, INT32_MAX, 1 << 20, gone};

	close_plain(t, gone);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		EXPECT(t, map_file_at(t, ioas, RW, fd[i], 0, PAGE, PAGE), -EBADF);
	EXPECT(t, map_file_at(t, ioas, RW, path, 0, PAGE, PAGE), -EBADF);
	close_plain(t, path);
	expect_bytes(t, ioas, 0);
}

static void map_beyond_the_end_of_the_file_is_taken_without_a_page_table(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	int fd = memfd_new(t, PAGE);

	EXPECT(t, map_file_at(t, ioas, RW, fd, 64 * PAGE, 0, 64 * PAGE), 0);
	close_plain(t, fd);
	expect_bytes(t, ioas, 64 * PAGE);
}

static void map_of_a_file_outlives_its_descriptor(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	int fd = memfd_new(t, PAGE);

	EXPECT(t, map_file_at(t, ioas, RW, fd, 0, 0, PAGE), 0);
	close_plain(t, fd);
	EXPECT(t, copy_at(t, ioas, ioas, RW, 0, PAGE, PAGE), 0);
	expect_bytes(t, ioas, 2 * PAGE);
}

static void writability_of_a_file_map_is_the_flag_not_the_open_mode(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	EXPECT(t, map_file_at(t, ioas, WRITE, fd, 0, 0, PAGE), 0);
	EXPECT(t, map_file_at(t, ioas, READ, fd, 0, 0x10000, PAGE), 0);
	EXPECT(t, copy_at(t, ioas, ioas, RW, 0, 0x20000, PAGE), 0);
	EXPECT(t, copy_at(t, ioas, ioas, RW, 0x10000, 0x30000, PAGE), -EPERM);
	close_plain(t, fd);
}

#define MAP(rules, name, ...)      ROW(rules, name, map_into_an_ioas, struct map_row, __VA_ARGS__)
#define FILE_MAP(rules, name, ...) ROW(rules, name, map_file_into_an_ioas, struct file_row, __VA_ARGS__)
#define BESIDE(rules, name, result, iova, length)                                                                      \
	ROW(rules, name, map_beside_another, struct overlap_row, result, iova, length)

static const struct rule_case cases[] = {
	CASE("A.5-1a,A.8-1", every_unknown_flag_is_eopnotsupp),
	MAP("A.5-1b", unknown_flag_comes_before_overflow, -EOPNOTSUPP, 8 | RW, .length = U64_MAX),
	MAP("A.5-1b", reserved_member_comes_before_overflow, -EOPNOTSUPP, FIXED | RW, 1, .length = U64_MAX),
	MAP("A.5-1b", reserved_member_comes_before_missing_rights, -EOPNOTSUPP, FIXED, 1, .length = PAGE),
	MAP("A.5-1b", reserved_member_comes_before_the_id, -EOPNOTSUPP, FIXED | RW, 1, .no_ioas = true, .length = PAGE),
	MAP("A.5-2a", fixed_iova_of_the_last_byte_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = 1, .iova = U64_MAX),
	MAP("A.5-2b", last_byte_as_iova_is_eoverflow_without_fixed, -EOVERFLOW, RW, .length = 1, .iova = U64_MAX),
	MAP("A.5-2c", largest_length_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = U64_MAX),
	MAP("A.5-2d", largest_iova_comes_before_missing_rights, -EOVERFLOW, FIXED, .length = PAGE, .iova = U64_MAX),
	MAP("A.5-2d", largest_length_comes_before_missing_rights, -EOVERFLOW, 0, .length = U64_MAX),
	MAP("A.5-2d", largest_length_comes_before_the_id, -EOVERFLOW, FIXED | RW, .no_ioas = true, .length = U64_MAX),
	MAP("A.5-3a", map_without_rights_is_einval, -EINVAL, FIXED, .length = PAGE),
	MAP("A.5-3a", automatic_map_without_rights_is_einval, -EINVAL, 0, .length = PAGE),
	MAP("A.5-3b", missing_rights_come_before_the_id, -EINVAL, FIXED, .no_ioas = true, .length = PAGE),
	MAP("A.5-3c", readable_alone_is_enough, 0, FIXED | READ, .length = PAGE),
	MAP("A.5-3c", writeable_alone_is_enough, 0, FIXED | WRITE, .length = PAGE),
	MAP("A.5-4", absent_ioas_is_enoent, -ENOENT, FIXED | RW, .no_ioas = true, .length = PAGE),
	MAP("A.5-4b", absent_ioas_comes_before_the_wrapping_address, -ENOENT, FIXED | RW, .no_ioas = true,
	    .va = U64_MAX, .length = PAGE),
	MAP("A.5-4b", absent_ioas_comes_before_the_length, -ENOENT, FIXED | RW, .no_ioas = true, .length = 0),
	MAP("A.5-5a", address_that_wraps_is_eoverflow, -EOVERFLOW, FIXED | RW, .va = U64_MAX - 1, .length = PAGE),
	MAP("A.5-5b", address_whose_end_is_2_to_the_64_is_eoverflow, -EOVERFLOW, FIXED | RW, .va = U64_MAX - PAGE + 1,
	    .length = PAGE),
	MAP("A.5-5b", address_whose_end_is_the_last_byte_is_taken, 0, FIXED | RW, .va = U64_MAX - PAGE, .length = PAGE),
	MAP("A.5-5c", wrapping_address_comes_before_the_overlap, -EOVERFLOW, FIXED | RW, .va = U64_MAX, .length = PAGE,
	    .iova = 0x10000),
	MAP("A.5-5c", wrapping_address_comes_before_too_large_a_length, -EOVERFLOW, FIXED | RW, .va = U64_MAX,
	    .length = U64_MAX - 1),
	MAP("A.5-6a", length_0_is_einval, -EINVAL, FIXED | RW, .length = 0),
	MAP("A.5-6a", automatic_length_0_is_einval, -EINVAL, RW, .length = 0),
	MAP("A.5-6a", length_0_at_the_last_address_is_einval, -EINVAL, FIXED | RW, .va = U64_MAX, .length = 0),
	MAP("A.5-6b", length_in_the_last_page_of_sizes_is_einval, -EINVAL, FIXED | RW, .length = U64_MAX - PAGE + 1),
	MAP("A.5-6b", length_of_all_but_a_byte_is_einval, -EINVAL, FIXED | RW, .length = U64_MAX - 1),
	MAP("A.5-6c", largest_length_that_fits_reaches_the_overlap, -EEXIST, FIXED | RW, .length = U64_MAX - PAGE),
	MAP("A.5-8a", length_that_is_no_multiple_of_the_alignment_is_einval, -EINVAL, FIXED | RW, .small_pages = true,
	    .length = PAGE + 1),
	MAP("A.5-8a", length_below_the_alignment_is_einval, -EINVAL, FIXED | RW, .small_pages = true, .length = 1),
	MAP("A.5-8b", misaligned_length_comes_before_the_overlap, -EINVAL, FIXED | RW, .small_pages = true, .length = 1,
	    .iova = 0x10000),
	MAP("A.5-8b", misaligned_length_comes_before_the_wrapping_iova, -EINVAL, FIXED | RW, .small_pages = true,
	    .length = PAGE + 1, .iova = U64_MAX - PAGE + 1),
	MAP("A.5-8c", misaligned_length_comes_before_the_automatic_overflow, -EINVAL, RW, .small_pages = true,
	    .length = U64_MAX / 2),
	MAP("A.5-9a", iova_that_is_no_multiple_of_the_alignment_is_einval, -EINVAL, FIXED | RW, .small_pages = true,
	    .length = PAGE, .iova = 0x20800),
	MAP("A.5-9a", misaligned_iova_comes_before_the_overlap, -EINVAL, FIXED | RW, .small_pages = true,
	    .length = PAGE, .iova = 0x10800),
	MAP("A.5-9a", misaligned_iova_comes_before_the_wrap, -EINVAL, FIXED | RW, .small_pages = true, .length = PAGE,
	    .iova = U64_MAX - 1),
	MAP("A.5-9b", iova_that_wraps_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = 3, .iova = U64_MAX - 1),
	MAP("A.5-9b", iova_that_wraps_by_a_page_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = 2 * PAGE,
	    .iova = U64_MAX - PAGE + 1),
	MAP("A.5-9c", iova_may_end_at_the_last_byte, 0, FIXED | RW, .length = 2, .iova = U64_MAX - 1),
	MAP("A.5-9c", iova_may_end_at_the_last_page, 0, FIXED | RW, .small_pages = true, .length = PAGE,
	    .iova = U64_MAX - PAGE + 1),
	MAP("A.5-9d", iova_0_is_taken, 0, FIXED | RW, .length = PAGE, .iova = 0),
	BESIDE("A.5-9f,A.8-9", map_over_a_map_is_eexist, -EEXIST, 0x10000, PAGE),
	BESIDE("A.5-9f,A.8-9", map_of_the_first_byte_of_another_is_eexist, -EEXIST, 0xf000, PAGE + 1),
	BESIDE("A.5-9f,A.8-9", map_of_the_last_byte_of_another_is_eexist, -EEXIST, 0x10fff, 1),
	BESIDE("A.5-9f,A.8-9", map_inside_another_is_eexist, -EEXIST, 0x10800, 1),
	BESIDE("A.5-9f,A.8-9", map_around_another_is_eexist, -EEXIST, 0xf000, 3 * PAGE),
	BESIDE("A.5-9g,A.8-9", map_that_ends_before_another_is_taken, 0, 0xf000, PAGE),
	BESIDE("A.5-9g,A.8-9", map_that_begins_after_another_is_taken, 0, 0x11000, PAGE),
	MAP("A.5-10b", address_whose_offset_breaks_the_alignment_is_einval, -EINVAL, FIXED | RW, .small_pages = true,
	    .va = VA + 0x800, .length = PAGE, .iova = 0x20000),
	MAP("A.5-10b", address_beside_a_page_by_a_byte_is_einval, -EINVAL, FIXED | RW, .small_pages = true,
	    .va = VA + 1, .length = PAGE, .iova = 0x20000),
	CASE("A.5-10c", map_with_a_misaligned_address_leaves_its_place_free),
	CASE("A.5-12a", any_address_is_mapped_without_a_page_table),
	CASE("A.5-12b,A.20-5", nothing_is_counted_without_a_page_table),
	CASE("A.5-13", any_byte_is_a_boundary_while_the_alignment_is_1),
	CASE("A.5-14", iova_in_the_reply_is_the_one_chosen),

	FILE_MAP("A.8-1", file_unknown_flag_comes_before_overflow, -EOPNOTSUPP, 8 | RW, .length = U64_MAX),
	FILE_MAP("A.8-2", file_largest_iova_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = 1, .iova = U64_MAX),
	FILE_MAP("A.8-2", file_largest_iova_is_eoverflow_without_fixed, -EOVERFLOW, RW, .length = 1, .iova = U64_MAX),
	FILE_MAP("A.8-2", file_largest_length_comes_before_missing_rights, -EOVERFLOW, FIXED, .length = U64_MAX),
	FILE_MAP("A.8-3", file_without_rights_is_einval, -EINVAL, FIXED, .length = PAGE),
	FILE_MAP("A.8-3", file_missing_rights_come_before_the_id, -EINVAL, FIXED, .no_ioas = true, .length = PAGE),
	FILE_MAP("A.8-4", file_absent_ioas_comes_before_the_descriptor, -ENOENT, FIXED | RW, .no_ioas = true,
		 .bad_fd = true, .length = PAGE),
	FILE_MAP("A.8-4", file_absent_ioas_comes_before_the_length, -ENOENT, FIXED | RW, .no_ioas = true, .length = 0),
	FILE_MAP("A.8-5", file_length_0_is_einval, -EINVAL, FIXED | RW, .length = 0),
	FILE_MAP("A.8-5", file_length_0_comes_before_the_descriptor, -EINVAL, FIXED | RW, .bad_fd = true, .length = 0),
	FILE_MAP("A.8-6", file_start_that_wraps_is_eoverflow, -EOVERFLOW, FIXED | RW, .start = U64_MAX, .length = 2),
	FILE_MAP("A.8-6", file_start_that_wraps_comes_before_the_descriptor, -EOVERFLOW, FIXED | RW, .bad_fd = true,
		 .start = U64_MAX, .length = PAGE),
	FILE_MAP("A.8-6b", file_may_end_at_the_last_offset, 0, FIXED | RW, .start = U64_MAX - PAGE + 1, .length = PAGE),
	FILE_MAP("A.8-7", file_bad_descriptor_is_ebadf, -EBADF, FIXED | RW, .bad_fd = true, .length = PAGE),
	FILE_MAP("A.8-7b", file_bad_descriptor_comes_before_the_overlap, -EBADF, FIXED | RW, .bad_fd = true,
		 .length = PAGE, .iova = 0x10000),
	FILE_MAP("A.8-7b", file_bad_descriptor_comes_before_too_large_a_length, -EBADF, FIXED | RW, .bad_fd = true,
		 .length = U64_MAX - 1),
	FILE_MAP("A.8-8", file_length_in_the_last_page_of_sizes_is_einval, -EINVAL, FIXED | RW,
		 .length = U64_MAX - PAGE + 1),
	FILE_MAP("A.8-9", file_misaligned_length_is_einval, -EINVAL, FIXED | RW, .small_pages = true,
		 .length = PAGE + 1),
	FILE_MAP("A.8-9", file_misaligned_iova_is_einval, -EINVAL, FIXED | RW, .small_pages = true, .length = PAGE,
		 .iova = 0x20800),
	FILE_MAP("A.8-9", file_misaligned_start_is_einval, -EINVAL, FIXED | RW, .small_pages = true, .start = 0x800,
		 .length = PAGE, .iova = 0x20000),
	FILE_MAP("A.8-9", file_iova_that_wraps_is_eoverflow, -EOVERFLOW, FIXED | RW, .length = 3, .iova = U64_MAX - 1),
	CASE("A.8-10", file_of_any_kind_is_taken_without_a_page_table),
	CASE("A.8-7", descriptor_that_is_no_open_file_is_ebadf),
	CASE("A.8-11", map_beyond_the_end_of_the_file_is_taken_without_a_page_table),
	CASE("A.8-12", map_of_a_file_outlives_its_descriptor),
	CASE("A.8-13,A.5-10a", writability_of_a_file_map_is_the_flag_not_the_open_mode),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
