/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory behind page tables: what is pinned, where it comes from, and what it is after the client has changed its own.
 */
#define _GNU_SOURCE
#include "mock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOWHERE UINT64_C(0x520000000000)

struct pinned {
	uint32_t ioas;
	struct mock m;
	int access; /* what reads and writes it without the client's address space */
};

static struct pinned pinned_new(struct rules *t)
{
	struct pinned p = {.ioas = ioas_new(t)};

	memory_new(t);
	p.m = mock_new(t, p.ioas, 0);
	p.access = mock_access_new(t, p.ioas, 0);
	return p;
}

static void pinned_close(struct rules *t, const struct pinned *p)
{
	EXPECT(t, transport_close(t->transport, p->access), 0);
	memory_free();
}

static int dma(struct rules *t, const struct pinned *p, uint64_t iova, unsigned char *byte, uint32_t flags)
{
	return mock_access_rw(t, p->access, iova, byte, 1, flags);
}

/* Instead of MEMORY's first page: one of a file, which can be held by mapping it. (Private memory is reached through
 * its owner.) The file has to be closed. */
static int shared_memory(struct rules *t)
{
	int fd = memfd_new(t, PAGE);

	EXPECT(t, mmap(AT(MEMORY), PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == AT(MEMORY), true);
	return fd;
}

/* Maps that cannot be pinned. */
struct bad_row {
	int result;
	uint32_t prot;   /* of the map */
	int memory_prot; /* of MEMORY's second page */
	uint64_t va, length;
};

static void map_of_memory_that_cannot_be_pinned(struct rules *t, const void *row)
{
	const struct bad_row *r = row;
	struct pinned p = pinned_new(t);

	mprotect(AT(MEMORY + PAGE), PAGE, r->memory_prot);
	EXPECT(t, map_va_at(t, p.ioas, r->prot, r->va, AP, r->length), r->result);
	if (r->result) {
		EXPECT(t, check_refs(t, MEMORY, PAGE, 0), 0);
		expect_bytes(t, p.ioas, 0);
	} else {
		expect_bytes(t, p.ioas, r->length);
	}
	pinned_close(t, &p);
}

static void pinned_memory_is_counted_by_areas_objects(struct rules *t)
{
	struct pinned p = pinned_new(t);
	uint32_t hwpt = hwpt_new(t, p.m.device, p.ioas, 0), other = ioas_new(t);
	struct mock m2 = mock_new(t, other, 0);

	EXPECT(t, map_va_at(t, p.ioas, RW, MEMORY, AP, 4 * PAGE), 0);
	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 1), 0);
	/* Copies share the pins, a map of the same memory has its own. */
	EXPECT(t, copy_at(t, p.ioas, p.ioas, RW, AP, AP + HUGE, 4 * PAGE), 0);
	EXPECT(t, copy_at(t, other, p.ioas, READ, AP + PAGE, AP, 2 * PAGE), 0);
	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 1), 0);
	EXPECT(t, map_va_at(t, p.ioas, READ, MEMORY, AP + 2 * HUGE, 2 * PAGE), 0);
	EXPECT(t, check_refs(t, MEMORY, 2 * PAGE, 2), 0);
	EXPECT(t, check_refs(t, MEMORY + 2 * PAGE, 2 * PAGE, 1), 0);
	EXPECT(t, unmap(t, p.ioas, AP, 4 * PAGE, NULL), 0);
	EXPECT(t, unmap(t, p.ioas, AP + HUGE, 4 * PAGE, NULL), 0);
	EXPECT(t, check_refs(t, MEMORY, PAGE, 1), 0);
	EXPECT(t, check_refs(t, MEMORY + PAGE, PAGE, 2), 0);
	EXPECT(t, check_refs(t, MEMORY + 2 * PAGE, PAGE, 1), 0);
	EXPECT(t, check_refs(t, MEMORY + 3 * PAGE, PAGE, 0), 0);
	EXPECT(t, check_map(t, m2.hwpt, AP, 2 * PAGE, MEMORY + PAGE), 0);
	EXPECT(t, check_map(t, hwpt, AP + 2 * HUGE, 2 * PAGE, MEMORY), 0);
	pinned_close(t, &p);
}

static void copy_of_memory_that_cannot_be_pinned_is_efault(struct rules *t)
{
	struct pinned p = pinned_new(t);
	uint32_t bare = ioas_new(t);

	EXPECT(t, map_va_at(t, bare, RW, MEMORY, AP, PAGE), 0);
	EXPECT(t, map_va_at(t, bare, RW, NOWHERE, AP + PAGE, PAGE), 0);
	EXPECT(t, copy_at(t, p.ioas, bare, RW, AP, AP, 2 * PAGE), -EFAULT);
	EXPECT(t, check_refs(t, MEMORY, PAGE, 0), 0);
	expect_bytes(t, p.ioas, 0);
	EXPECT(t, copy_at(t, p.ioas, bare, RW, AP, AP, PAGE), 0);
	EXPECT(t, check_map(t, p.m.hwpt, AP, PAGE, MEMORY), 0);
	pinned_close(t, &p);
}

static void pinned_memory_stays_when_the_client_unmaps_its_own(struct rules *t)
{
	struct pinned p = pinned_new(t);
	unsigned char byte = 0;
	int fd = shared_memory(t);

	AT(MEMORY)[5] = 42;
	EXPECT(t, map_va_at(t, p.ioas, RW, MEMORY, AP, PAGE), 0);
	munmap(AT(MEMORY), PAGE);
	EXPECT(t, dma(t, &p, AP + 5, &byte, MOCK_ACCESS_RW_SLOW_PATH), 0);
	EXPECT(t, byte, 42);
	byte = 43;
	EXPECT(t, dma(t, &p, AP + 5, &byte, MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH), 0);
	byte = 0;
	EXPECT(t, dma(t, &p, AP + 5, &byte, MOCK_ACCESS_RW_SLOW_PATH), 0);
	EXPECT(t, byte, 43);
	EXPECT(t, unmap(t, p.ioas, AP, PAGE, NULL), 0);
	close_plain(t, fd);
	pinned_close(t, &p);
}

static void pinned_memory_is_not_what_the_client_maps_there_later(struct rules *t)
{
	struct pinned p = pinned_new(t);
	int first = shared_memory(t), second;

	AT(MEMORY)[0] = 1;
	EXPECT(t, map_va_at(t, p.ioas, RW, MEMORY, AP, PAGE), 0);
	EXPECT(t, check_map(t, p.m.hwpt, AP, PAGE, MEMORY), 0);
	second = shared_memory(t);
	EXPECT(t, check_map(t, p.m.hwpt, AP, PAGE, MEMORY), -EINVAL);
	close_plain(t, first);
	close_plain(t, second);
	pinned_close(t, &p);
}

static void read_only_map_sees_later_writes_of_its_owner(struct rules *t)
{
	struct pinned p = pinned_new(t);
	unsigned char byte = 0;

	/* Pages that were never written to: all of them the zero page. */
	EXPECT(t,
	       mmap(AT(MEMORY), 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		       AT(MEMORY),
	       true);
	EXPECT(t, AT(MEMORY)[0], 0);
	EXPECT(t, map_va_at(t, p.ioas, READ, MEMORY, AP, 4 * PAGE), 0);
	for (uint64_t i = 0; i < 4; i++) {
		AT(MEMORY)[i * PAGE] = (unsigned char)(i + 1);
		EXPECT(t, dma(t, &p, AP + i * PAGE, &byte, MOCK_ACCESS_RW_SLOW_PATH), 0);
		EXPECT(t, byte, i + 1);
	}
	EXPECT(t, check_map(t, p.m.hwpt, AP, 4 * PAGE, MEMORY), 0);
	pinned_close(t, &p);
}

static void read_only_map_of_memory_that_cannot_be_written(struct rules *t)
{
	struct pinned p = pinned_new(t);

	mprotect(AT(MEMORY), 2 * PAGE, PROT_READ);
	EXPECT(t, map_va_at(t, p.ioas, READ, MEMORY, AP, 2 * PAGE), 0);
	EXPECT(t, check_map(t, p.m.hwpt, AP, 2 * PAGE, MEMORY), 0);
	EXPECT(t, copy_at(t, p.ioas, p.ioas, RW, AP, AP + HUGE, PAGE), -EPERM);
	EXPECT(t, map_va_at(t, p.ioas, WRITE, MEMORY, AP + HUGE, PAGE), -EFAULT);
	pinned_close(t, &p);
}

/* Files */
struct file_row {
	int result;
	uint64_t size, start, length;
	uint32_t prot;
	int open_flags; /* of a descriptor of the same file; 0: the one that made it */
};

static void map_of_a_file(struct rules *t, const void *row)
{
	const struct file_row *r = row;
	struct pinned p = pinned_new(t);
	uint32_t bare = ioas_new(t);
	int fd = memfd_new(t, r->size), use = fd;
	char path[64];
	struct mock m;

	if (r->open_flags >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		use = open(path, r->open_flags | O_CLOEXEC);
	}
	EXPECT(t, map_file_at(t, p.ioas, r->prot, use, r->start, AP, r->length), r->result);
	expect_bytes(t, p.ioas, r->result ? 0 : r->length);
	/* Without a page table it shows when one comes. */
	EXPECT(t, map_file_at(t, bare, r->prot, use, r->start, AP, r->length), 0);
	EXPECT(t, mock_try(t, bare, 0, &m), r->result);
	if (use != fd)
		close_plain(t, use);
	close_plain(t, fd);
	pinned_close(t, &p);
}

static void map_of_files_that_are_no_memory(struct rules *t)
{
	static const char *const paths[] = {"/proc/self/status", "/dev/null", "/dev/zero", "/"};
	struct pinned p = pinned_new(t);
	int pipes[2];

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		EXPECT(t, map_file_at(t, p.ioas, READ, fd, 0, AP, PAGE), -EINVAL);
		close_plain(t, fd);
	}
	EXPECT(t, pipe2(pipes, O_CLOEXEC), 0);
	EXPECT(t, map_file_at(t, p.ioas, READ, pipes[0], 0, AP, PAGE), -EINVAL);
	close_plain(t, pipes[0]);
	close_plain(t, pipes[1]);
	EXPECT(t, map_file_at(t, p.ioas, RW, -1, 0, AP, PAGE), -EBADF);
	expect_bytes(t, p.ioas, 0);
	pinned_close(t, &p);
}

static void file_is_pinned_whatever_becomes_of_it(struct rules *t)
{
	struct pinned p = pinned_new(t);
	int fd = memfd_new(t, 4 * PAGE);
	unsigned char byte = 'x';

	EXPECT(t, pwrite(fd, &byte, 1, (off_t)(3 * PAGE)), 1);
	EXPECT(t, map_file_at(t, p.ioas, RW, fd, 0, AP, 4 * PAGE), 0);
	byte = 0;
	EXPECT(t, dma(t, &p, AP + 3 * PAGE, &byte, MOCK_ACCESS_RW_SLOW_PATH), 0);
	EXPECT(t, byte, 'x');
	byte = 'y';
	EXPECT(t, dma(t, &p, AP + PAGE, &byte, MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH), 0);
	EXPECT(t, pread(fd, &byte, 1, (off_t)PAGE), 1);
	EXPECT(t, byte, 'y');
	close_plain(t, fd);
	EXPECT(t, dma(t, &p, AP + 3 * PAGE, &byte, MOCK_ACCESS_RW_SLOW_PATH), 0);
	EXPECT(t, byte, 'x');
	expect_bytes(t, p.ioas, 4 * PAGE);
	pinned_close(t, &p);
}

static void file_shows_the_same_memory_as_its_mapping(struct rules *t)
{
	struct pinned p = pinned_new(t);
	int fd = memfd_new(t, 4 * PAGE);
	void *at = mmap(AT(MEMORY), 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);

	EXPECT(t, at == AT(MEMORY), true);
	memset(AT(MEMORY), 1, 4 * PAGE);
	EXPECT(t, map_file_at(t, p.ioas, RW, fd, PAGE, AP, 3 * PAGE), 0);
	EXPECT(t, check_map(t, p.m.hwpt, AP, 3 * PAGE, MEMORY + PAGE), 0);
	EXPECT(t, check_map(t, p.m.hwpt, AP, 3 * PAGE, MEMORY), -EINVAL);
	EXPECT(t, map_va_at(t, p.ioas, RW, MEMORY, AP + HUGE, 4 * PAGE), 0);
	EXPECT(t, check_map(t, p.m.hwpt, AP + HUGE, 4 * PAGE, MEMORY), 0);
	close_plain(t, fd);
	pinned_close(t, &p);
}

/* H.3, and the fixtures that map at each alignment. */
static void maps_of_all_alignments(struct rules *t)
{
	struct pinned p = pinned_new(t);
	const uint64_t buf = MEMORY + HUGE;

	for (uint64_t start = 0; start < 4 * PAGE; start += HALF)
		for (uint64_t end = start + HALF; end <= 4 * PAGE; end += HALF) {
			EXPECT(t, map_va_at(t, p.ioas, RW, buf + start, AP + start, end - start), 0);
			EXPECT(t, check_map(t, p.m.hwpt, AP + start, end - start, buf + start), 0);
			EXPECT(t, check_refs(t, buf + start / PAGE * PAGE, PAGE, 1), 0);
			EXPECT(t, copy_at(t, p.ioas, p.ioas, RW, AP + start, AP + HUGE, HALF), 0);
			EXPECT(t, check_map(t, p.m.hwpt, AP + HUGE, HALF, buf + start), 0);
			expect_bytes(t, p.ioas, end - start + HALF);
			EXPECT(t, check_refs(t, buf, 4 * PAGE, 0), 0);
		}
	pinned_close(t, &p);
}

static void maps_survive_small_batches(struct rules *t)
{
	struct pinned p = pinned_new(t);
	struct iommu_test_cmd limit = {.op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, .memory_limit = {12}};

	EXPECT(t, test_op(t, &limit), 0);
	EXPECT(t, map_va_at(t, p.ioas, RW, MEMORY, AP, 512 * PAGE), 0);
	EXPECT(t, check_map(t, p.m.hwpt, AP, 512 * PAGE, MEMORY), 0);
	EXPECT(t, check_refs(t, MEMORY, 512 * PAGE, 1), 0);
	uint32_t hwpt = hwpt_new(t, p.m.device, p.ioas, 0);

	EXPECT(t, check_map(t, hwpt, AP, 512 * PAGE, MEMORY), 0);
	EXPECT(t, map_va_at(t, p.ioas, RW, MEMORY + MEMORY_LENGTH - 256 * PAGE, AP + 2 * HUGE, 257 * PAGE), -EFAULT);
	expect_bytes(t, p.ioas, 512 * PAGE);
	EXPECT(t, check_refs(t, MEMORY, 512 * PAGE, 0), 0);
	limit.memory_limit.limit = 65536;
	EXPECT(t, test_op(t, &limit), 0);
	pinned_close(t, &p);
}

#define NO_DATA                 WORLD_DATA(0)
#define BAD(rules, name, ...)   ROW(rules, name, map_of_memory_that_cannot_be_pinned, struct bad_row, __VA_ARGS__)
#define FILES(rules, name, ...) ROW(rules, name, map_of_a_file, struct file_row, __VA_ARGS__)
#define CHECK_MAP(rules, name, result, hwpt, at, bytes, va)                                                            \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, NO_DATA, .op = IOMMU_TEST_OP_MD_CHECK_MAP,       \
		 .id = (hwpt), .check_map = {at, bytes, va})
#define CHECK_REFS(rules, name, result, bytes, va, count)                                                              \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, NO_DATA, .op = IOMMU_TEST_OP_MD_CHECK_REFS,      \
		 .check_refs = {bytes, va, count})
#define LIMIT(rules, name, result, pages)                                                                              \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, NO_DATA,                                         \
		 .op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, .memory_limit = {pages})
#define SOME_PROT (PROT_READ | PROT_WRITE)

static const struct rule_case cases[] = {
	BAD("A.5-11", map_of_nothing_is_efault, -EFAULT, RW, SOME_PROT, NOWHERE, PAGE),
	BAD("A.5-11", map_that_ends_in_nothing_is_efault, -EFAULT, RW, SOME_PROT, MEMORY + MEMORY_LENGTH - PAGE,
	    2 * PAGE),
	BAD("A.5-11", map_of_an_address_that_cannot_be_is_efault, -EFAULT, RW, SOME_PROT, UINT64_C(0xffff800000000000),
	    PAGE),
	BAD("A.5-11,B.3-1", map_for_writing_of_what_is_read_only_is_efault, -EFAULT, RW, PROT_READ, MEMORY + PAGE,
	    PAGE),
	BAD("A.5-11,B.3-1", map_for_writing_only_of_what_is_read_only_is_efault, -EFAULT, WRITE, PROT_READ, MEMORY,
	    2 * PAGE),
	BAD("B.3-1", map_for_reading_of_what_is_read_only_is_taken, 0, READ, PROT_READ, MEMORY, 2 * PAGE),
	BAD("A.5-11", map_of_what_cannot_be_accessed_is_efault, -EFAULT, READ, PROT_NONE, MEMORY, 2 * PAGE),
	CASE("B.2-1,A.7-15,A.20-4", pinned_memory_is_counted_by_areas_objects),
	CASE("A.7-16", copy_of_memory_that_cannot_be_pinned_is_efault),
	CASE("B.2-2", pinned_memory_stays_when_the_client_unmaps_its_own),
	CASE("B.2-2", pinned_memory_is_not_what_the_client_maps_there_later),
	CASE("B.3-2", read_only_map_sees_later_writes_of_its_owner),
	CASE("B.3-1", read_only_map_of_memory_that_cannot_be_written),
	FILES("A.8-15", whole_file_is_taken, 0, 4 * PAGE, 0, 4 * PAGE, RW, -1),
	FILES("A.8-15", file_whose_last_page_is_not_whole_is_einval, -EINVAL, 3 * PAGE + 1, 3 * PAGE, PAGE, RW, -1),
	FILES("A.8-15", file_beyond_its_end_is_einval, -EINVAL, 4 * PAGE, 4 * PAGE, PAGE, RW, -1),
	FILES("A.8-15", file_across_its_end_is_einval, -EINVAL, 4 * PAGE, 0, 5 * PAGE, RW, -1),
	FILES("A.8-15", empty_file_is_einval, -EINVAL, 0, 0, PAGE, RW, -1),
	FILES("A.8-13", file_that_is_open_for_reading_is_taken_for_writing, 0, PAGE, 0, PAGE, RW, O_RDONLY),
	FILES("A.8-13", file_that_is_open_for_writing_is_taken_for_reading, 0, PAGE, 0, PAGE, READ, O_WRONLY),
	CASE("A.8-15", map_of_files_that_are_no_memory),
	CASE("A.8-15,B.2-2", file_is_pinned_whatever_becomes_of_it),
	CASE("A.8-15", file_shows_the_same_memory_as_its_mapping),
	CASE("H-3", maps_of_all_alignments),
	CASE("B.8-1,H-9", maps_survive_small_batches),
	CHECK_MAP("H-3", check_of_an_area_is_0, 0, PLAIN, AREA, AREA_SIZE, MEMORY),
	CHECK_MAP("H-3", check_of_a_part_of_an_area_is_0, 0, PLAIN, AREA + HALF, HALF, MEMORY + HALF),
	CHECK_MAP("H-3b", check_of_other_memory_is_einval, -EINVAL, PLAIN, AREA, PAGE, MEMORY + PAGE),
	CHECK_MAP("H-3b", check_of_a_hole_is_einval, -EINVAL, PLAIN, HOLE_AREA, PAGE, MEMORY),
	CHECK_MAP("H-3c", check_of_a_misaligned_iova_is_einval, -EINVAL, PLAIN, AREA + 1, PAGE, MEMORY),
	CHECK_MAP("H-3c", check_of_a_misaligned_length_is_einval, -EINVAL, PLAIN, AREA, PAGE + 1, MEMORY),
	CHECK_MAP("H-3c", check_of_a_misaligned_address_is_einval, -EINVAL, PLAIN, AREA, PAGE, MEMORY + 1),
	CHECK_MAP("H-3c", check_that_wraps_is_einval, -EINVAL, PLAIN, AREA, 2 * PAGE, U64_MAX - PAGE + 1),
	CHECK_MAP("H-3d", check_of_no_memory_is_efault, -EFAULT, PLAIN, AREA, PAGE, NOWHERE),
	CHECK_MAP("H-3e", check_of_an_absent_page_table_is_enoent, -ENOENT, NO_ID, AREA, PAGE, MEMORY),
	CHECK_MAP("H-3e", check_of_an_ioas_is_enoent, -ENOENT, IOAS, AREA, PAGE, MEMORY),
	CHECK_REFS("H-4", refs_of_what_is_pinned_once, 0, AREA_SIZE, MEMORY, 1),
	CHECK_REFS("H-4", refs_of_what_is_not_pinned, 0, PAGE, MEMORY + 3 * AREA_SIZE, 0),
	CHECK_REFS("H-4", refs_that_differ_are_eio, -EIO, PAGE, MEMORY, 2),
	CHECK_REFS("H-4", refs_that_differ_in_the_last_page_are_eio, -EIO, AREA_SIZE + PAGE, MEMORY + 2 * AREA_SIZE, 1),
	CHECK_REFS("H-4", refs_of_no_bytes_are_any, 0, 0, MEMORY, 7),
	CHECK_REFS("H-4", refs_of_a_misaligned_address_are_einval, -EINVAL, PAGE, MEMORY + HALF, 1),
	CHECK_REFS("H-4", refs_of_a_misaligned_length_are_einval, -EINVAL, HALF, MEMORY, 1),
	LIMIT("H-9", limit_below_the_smallest_is_einval, -EINVAL, 11),
	LIMIT("H-9", limit_of_0_is_einval, -EINVAL, 0),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
