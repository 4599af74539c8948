/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses: attaching, reading and writing, pinning, and unmapping what they use. */
#include "mock.h"

#include <string.h>
#include <sys/mman.h>

#define NOWHERE UINT64_C(0x520000000000)
#define PINS    MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES
#define PUT     MOCK_ACCESS_RW_WRITE
#define SLOW    MOCK_ACCESS_RW_SLOW_PATH
#define LIMIT   (UINT64_C(16) << 20)

struct accessing {
	uint32_t ioas;
	int fd;
};

/* An access of an IOAS with 16 pages of MEMORY at AP. */
static struct accessing accessing_new(struct rules *t, uint32_t flags)
{
	struct accessing a = {.ioas = ioas_new(t)};

	memory_new(t);
	EXPECT(t, map_va_at(t, a.ioas, RW, MEMORY, AP, 16 * PAGE), 0);
	a.fd = mock_access_new(t, a.ioas, flags);
	EXPECT(t, a.fd >= 0, true);
	return a;
}

static void accessing_close(struct rules *t, const struct accessing *a)
{
	EXPECT(t, transport_close(t->transport, a->fd), 0);
	memory_free();
}

static void access_holds_its_ioas_until_its_file_is_closed(struct rules *t)
{
	struct accessing a = accessing_new(t, 0);

	EXPECT(t, destroy(t, a.ioas), -EBUSY);
	accessing_close(t, &a);
	EXPECT(t, destroy(t, a.ioas), 0);
}

static void access_is_an_object_that_is_busy(struct rules *t)
{
	uint32_t ioas = ioas_new(t), id = next_id(t);
	int fd = mock_access_new(t, ioas, 0);

	EXPECT(t, destroy(t, id), -EBUSY);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, destroy(t, id), -ENOENT);
}

static void pinning_access_wants_whole_pages(struct rules *t)
{
	uint32_t ioas = ioas_new(t), next;
	int fd;

	EXPECT(t, map_at(t, ioas, AP + 1, 1), 0);
	next = next_id(t);
	EXPECT(t, mock_access_new(t, ioas, PINS), -EADDRINUSE);
	EXPECT(t, next_id(t), next);
	EXPECT_U64(t, alignment(t, ioas), 1);
	fd = mock_access_new(t, ioas, 0);
	EXPECT(t, transport_close(t->transport, fd), 0);
	expect_bytes(t, ioas, 1);
	fd = mock_access_new(t, ioas, PINS);
	EXPECT(t, map_at(t, ioas, AP + 1, 1), -EINVAL);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, map_at(t, ioas, AP + 1, 1), 0);
}

static void access_moves_to_another_ioas(struct rules *t)
{
	struct accessing a = accessing_new(t, 0);
	uint32_t other = ioas_new(t);
	uint64_t word = 0;

	EXPECT(t, map_va_at(t, other, RW, MEMORY + PAGE, AP, PAGE), 0);
	AT(MEMORY)[0] = 1;
	AT(MEMORY + PAGE)[0] = 2;
	EXPECT(t, mock_access_rw(t, a.fd, AP, &word, 1, 0), 0);
	EXPECT_U64(t, word, 1);
	EXPECT(t, mock_access_replace(t, a.fd, a.ioas), 0);
	EXPECT(t, mock_access_replace(t, a.fd, NO_ID), -ENOENT);
	EXPECT(t, mock_access_replace(t, a.fd, 0), -ENOENT);
	EXPECT(t, mock_access_replace(t, a.fd, other), 0);
	EXPECT(t, mock_access_rw(t, a.fd, AP, &word, 1, 0), 0);
	EXPECT_U64(t, word, 2);
	EXPECT(t, destroy(t, a.ioas), 0);
	EXPECT(t, destroy(t, other), -EBUSY);
	accessing_close(t, &a);
}

static void pinning_access_that_cannot_move_stays(struct rules *t)
{
	struct accessing a = accessing_new(t, PINS);
	uint32_t bad = ioas_new(t), good = ioas_new(t), pin;

	EXPECT(t, map_at(t, bad, 1, 1), 0);
	EXPECT(t, mock_access_pin(t, a.fd, AP, PAGE, 0, &pin), 0);
	EXPECT(t, mock_access_replace(t, a.fd, bad), -EADDRINUSE);
	EXPECT(t, destroy(t, bad), 0);
	EXPECT(t, mock_access_unpin(t, a.fd, pin), 0);
	/* Moving drops what is pinned. */
	EXPECT(t, mock_access_pin(t, a.fd, AP, PAGE, 0, &pin), 0);
	EXPECT(t, check_refs(t, MEMORY, PAGE, 1), 0);
	EXPECT(t, mock_access_replace(t, a.fd, good), 0);
	EXPECT(t, check_refs(t, MEMORY, PAGE, 0), 0);
	EXPECT(t, mock_access_unpin(t, a.fd, pin), -ENOENT);
	EXPECT_U64(t, alignment(t, a.ioas), 1);
	EXPECT_U64(t, alignment(t, good), PAGE);
	accessing_close(t, &a);
}

static void access_reads_and_writes_any_bytes(struct rules *t)
{
	static const uint32_t ways[] = {0, SLOW};
	static const uint64_t at[] = {0, 1, 100, PAGE - 3, 5 * PAGE + 77};
	static const uint64_t lengths[] = {1, 7, 4096, 3 * 4096 + 5};
	static unsigned char buf[5 * 4096], expected[16 * 4096];
	struct accessing a = accessing_new(t, 0);
	unsigned char *memory = AT(MEMORY);

	for (size_t i = 0; i < sizeof(expected); i++)
		memory[i] = expected[i] = (unsigned char)(i * 37 + i / PAGE);
	for (size_t w = 0; w < ARRAY_SIZE(ways) * ARRAY_SIZE(at) * ARRAY_SIZE(lengths); w++) {
		uint32_t way = ways[w % 2];
		uint64_t from = at[w / 2 % ARRAY_SIZE(at)], length = lengths[w / 2 / ARRAY_SIZE(at)];

		memset(buf, 0xaa, sizeof(buf));
		EXPECT(t, mock_access_rw(t, a.fd, AP + from, buf, length, way), 0);
		EXPECT(t, memcmp(buf, expected + from, length), 0);
		EXPECT(t, buf[length], 0xaa);
		memset(buf, (int)w, length);
		memset(expected + from, (int)w, length);
		EXPECT(t, mock_access_rw(t, a.fd, AP + from, buf, length, way | PUT), 0);
		EXPECT(t, memcmp(memory, expected, sizeof(expected)), 0);
	}
	accessing_close(t, &a);
}

static void access_crosses_areas(struct rules *t)
{
	struct accessing a = accessing_new(t, 0);
	unsigned char buf[64];

	/* Areas of any bytes: 10 of one page, then 20 of another. */
	EXPECT(t, map_va_at(t, a.ioas, READ, MEMORY + PAGE + 5, 1000, 10), 0);
	EXPECT(t, map_va_at(t, a.ioas, RW, MEMORY + 9 * PAGE - 10, 1010, 20), 0);
	memset(AT(MEMORY + PAGE + 5), 'a', 10);
	memset(AT(MEMORY + 9 * PAGE - 10), 'b', 20);
	EXPECT(t, mock_access_rw(t, a.fd, 1005, buf, 25, 0), 0);
	EXPECT(t, memcmp(buf, "aaaaabbbbbbbbbbbbbbbbbbbb", 25), 0);
	EXPECT(t, mock_access_rw(t, a.fd, 1005, buf, 26, 0), -ENOENT);
	EXPECT(t, mock_access_rw(t, a.fd, 999, buf, 5, 0), -ENOENT);
	EXPECT(t, mock_access_rw(t, a.fd, 1009, buf, 2, PUT), -EPERM);
	EXPECT(t, mock_access_rw(t, a.fd, 1010, buf, 20, PUT), 0);
	accessing_close(t, &a);
}

static void access_has_transferred_what_comes_before_the_error(struct rules *t)
{
	static unsigned char buf[3 * 4096];
	struct accessing a = accessing_new(t, 0);

	EXPECT(t, map_va_at(t, a.ioas, READ, MEMORY + 32 * PAGE, AP + 16 * PAGE, PAGE), 0);
	memset(buf, 7, sizeof(buf));
	EXPECT(t, mock_access_rw(t, a.fd, AP + 15 * PAGE, buf, 2 * PAGE, PUT), -EPERM);
	EXPECT(t, AT(MEMORY + 15 * PAGE)[0], 7);
	EXPECT(t, AT(MEMORY + 16 * PAGE - 1)[0], 7);
	EXPECT(t, AT(MEMORY + 32 * PAGE)[0], 0);
	memset(AT(MEMORY + 15 * PAGE), 8, PAGE);
	EXPECT(t, unmap(t, a.ioas, AP + 16 * PAGE, PAGE, NULL), 0);
	EXPECT(t, mock_access_rw(t, a.fd, AP + 15 * PAGE, buf, 2 * PAGE, PUT), -ENOENT);
	EXPECT(t, AT(MEMORY + 15 * PAGE)[0], 7);
	accessing_close(t, &a);
}

/* B.2: without a page table the address is resolved when it is used. */
static void access_sees_the_memory_of_the_time(struct rules *t)
{
	struct accessing a = accessing_new(t, 0);
	unsigned char byte = 0;

	munmap(AT(MEMORY), PAGE);
	EXPECT(t, mock_access_rw(t, a.fd, AP, &byte, 1, 0), -EFAULT);
	EXPECT(t, mock_access_rw(t, a.fd, AP, &byte, 1, SLOW), -EFAULT);
	EXPECT(t,
	       mmap(AT(MEMORY), PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		       AT(MEMORY),
	       true);
	AT(MEMORY)[0] = 55;
	EXPECT(t, mock_access_rw(t, a.fd, AP, &byte, 1, 0), 0);
	EXPECT(t, byte, 55);
	mprotect(AT(MEMORY), PAGE, PROT_READ);
	EXPECT(t, mock_access_rw(t, a.fd, AP, &byte, 1, 0), 0);
	EXPECT(t, mock_access_rw(t, a.fd, AP, &byte, 1, PUT), -EFAULT);
	accessing_close(t, &a);
}

/* Pins */
static void pins_count_once_for_each_page(struct rules *t)
{
	struct accessing a = accessing_new(t, PINS);
	uint32_t first, second, third;

	EXPECT(t, mock_access_pin(t, a.fd, AP, 4 * PAGE, PUT, &first), 0);
	EXPECT(t, mock_access_pin(t, a.fd, AP + 2 * PAGE, 4 * PAGE, 0, &second), 0);
	EXPECT(t, mock_access_pin(t, a.fd, AP + 10 * PAGE, PAGE, 0, &third), 0);
	EXPECT(t, first, 0);
	EXPECT(t, second, 1);
	EXPECT(t, third, 2);
	EXPECT(t, check_refs(t, MEMORY, 6 * PAGE, 1), 0);
	EXPECT(t, check_refs(t, MEMORY + 10 * PAGE, PAGE, 1), 0);
	EXPECT(t, check_refs(t, MEMORY + 6 * PAGE, 4 * PAGE, 0), 0);
	EXPECT(t, mock_access_unpin(t, a.fd, first), 0);
	EXPECT(t, check_refs(t, MEMORY, 2 * PAGE, 0), 0);
	EXPECT(t, check_refs(t, MEMORY + 2 * PAGE, 4 * PAGE, 1), 0);
	EXPECT(t, mock_access_unpin(t, a.fd, first), -ENOENT);
	EXPECT(t, mock_access_unpin(t, a.fd, second), 0);
	EXPECT(t, mock_access_unpin(t, a.fd, third), 0);
	EXPECT(t, check_refs(t, MEMORY, 16 * PAGE, 0), 0);
	accessing_close(t, &a);
}

static void pins_that_fail_leave_nothing(struct rules *t)
{
	struct accessing a = accessing_new(t, PINS);
	uint32_t pin;

	EXPECT(t, map_va_at(t, a.ioas, READ, MEMORY + 16 * PAGE, AP + 16 * PAGE, PAGE), 0);
	EXPECT(t, map_va_at(t, a.ioas, RW, NOWHERE, AP + 17 * PAGE, PAGE), 0);
	EXPECT(t, mock_access_pin(t, a.fd, AP, 17 * PAGE, PUT, &pin), -EPERM);
	EXPECT(t, mock_access_pin(t, a.fd, AP, 18 * PAGE, 0, &pin), -EFAULT);
	EXPECT(t, mock_access_pin(t, a.fd, AP + 17 * PAGE, 2 * PAGE, 0, &pin), -EFAULT);
	EXPECT(t, mock_access_pin(t, a.fd, AP - PAGE, 2 * PAGE, 0, &pin), -ENOENT);
	EXPECT(t, check_refs(t, MEMORY, 17 * PAGE, 0), 0);
	EXPECT(t, mock_access_pin(t, a.fd, AP, 17 * PAGE, 0, &pin), 0);
	EXPECT(t, pin, 0);
	EXPECT(t, check_refs(t, MEMORY, 17 * PAGE, 1), 0);
	accessing_close(t, &a);
}

static void pins_are_compared_with_memory(struct rules *t)
{
	struct accessing a = accessing_new(t, PINS);
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_ACCESS_PAGES,
				   .id = (uint32_t)a.fd,
				   .access_pages = {.iova = AP, .length = 4 * PAGE, .uptr = MEMORY}};

	EXPECT(t, test_op(t, &c), 0);
	c.access_pages.uptr = MEMORY + PAGE;
	EXPECT(t, test_op(t, &c), -EBADE);
	EXPECT(t, mock_access_unpin(t, a.fd, 0), 0);
	EXPECT(t, check_refs(t, MEMORY, 16 * PAGE, 0), 0);
	accessing_close(t, &a);
}

static void unmap_asks_accesses_to_let_go(struct rules *t)
{
	struct accessing a = accessing_new(t, PINS);
	uint32_t pin[3];
	int other = mock_access_new(t, a.ioas, PINS);

	EXPECT(t, map_va_at(t, a.ioas, RW, MEMORY + 16 * PAGE, AP + 16 * PAGE, PAGE), 0);
	EXPECT(t, mock_access_pin(t, a.fd, AP, PAGE, 0, &pin[0]), 0);
	EXPECT(t, mock_access_pin(t, a.fd, AP + 16 * PAGE, PAGE, 0, &pin[1]), 0);
	EXPECT(t, mock_access_pin(t, other, AP + 3 * PAGE, PAGE, 0, &pin[2]), 0);
	EXPECT(t, unmap(t, a.ioas, AP, 16 * PAGE, NULL), 0);
	EXPECT(t, mock_access_unpin(t, a.fd, pin[0]), -ENOENT);
	EXPECT(t, mock_access_unpin(t, other, pin[2]), -ENOENT);
	EXPECT(t, check_refs(t, MEMORY, 16 * PAGE, 0), 0);
	EXPECT(t, check_refs(t, MEMORY + 16 * PAGE, PAGE, 1), 0);
	EXPECT(t, mock_access_pin(t, a.fd, AP, PAGE, 0, &pin[0]), -ENOENT);
	EXPECT(t, mock_access_unpin(t, a.fd, pin[1]), 0);
	EXPECT(t, transport_close(t->transport, other), 0);
	accessing_close(t, &a);
}

static void closing_an_access_drops_its_pins(struct rules *t)
{
	struct accessing a = accessing_new(t, PINS);
	uint32_t pin;

	EXPECT(t, mock_access_pin(t, a.fd, AP, 4 * PAGE, PUT, &pin), 0);
	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 1), 0);
	EXPECT(t, transport_close(t->transport, a.fd), 0);
	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 0), 0);
	EXPECT(t, destroy(t, a.ioas), 0);
	memory_free();
}

/* B.2: who pins a page keeps it when a page table that had it as well goes, and the other way round. */
static void pins_outlive_page_tables_and_page_tables_pins(struct rules *t)
{
	struct accessing a = accessing_new(t, PINS);
	struct mock m = mock_new(t, a.ioas, 0);
	uint32_t pin;
	unsigned char byte = 9;

	EXPECT(t, mock_access_pin(t, a.fd, AP, 4 * PAGE, PUT, &pin), 0);
	EXPECT(t, check_refs(t, MEMORY, 16 * PAGE, 1), 0);
	EXPECT(t, destroy(t, m.stdev), 0);
	EXPECT(t, check_refs(t, MEMORY, 4 * PAGE, 1), 0);
	EXPECT(t, check_refs(t, MEMORY + 4 * PAGE, 12 * PAGE, 0), 0);
	EXPECT(t, mock_access_rw(t, a.fd, AP, &byte, 1, PUT), 0);
	EXPECT(t, AT(MEMORY)[0], 9);
	m = mock_new(t, a.ioas, 0);
	EXPECT(t, check_map(t, m.hwpt, AP, 16 * PAGE, MEMORY), 0);
	EXPECT(t, mock_access_unpin(t, a.fd, pin), 0);
	EXPECT(t, check_refs(t, MEMORY, 16 * PAGE, 1), 0);
	accessing_close(t, &a);
}

#define TEST_OP(rules, name, result, what, ...)                                                                        \
	IN_WORLD(rules, name, result, IOMMU_TEST_CMD, iommu_test_cmd, WORLD_DATA(0), .op = (what), __VA_ARGS__)
#define NEW(rules, name, result, ioas, bits)                                                                           \
	TEST_OP(rules, name, result, IOMMU_TEST_OP_CREATE_ACCESS, .id = (ioas), .create_access = {.flags = (bits)})
#define TRANSFER(rules, name, result, access, at, bytes, from, bits)                                                   \
	TEST_OP(rules, name, result, IOMMU_TEST_OP_ACCESS_RW, .id = (access), .access_rw = {at, bytes, from, bits})
#define PIN(rules, name, result, access, at, bytes, bits)                                                              \
	TEST_OP(rules, name, result, IOMMU_TEST_OP_ACCESS_PAGES, .id = (access),                                       \
		.access_pages = {.iova = (at), .length = (bytes), .flags = (bits)})

static const struct rule_case cases[] = {
	NEW("H-5", access_with_an_unknown_flag_is_eopnotsupp, -EOPNOTSUPP, IOAS, 2),
	NEW("H-5", access_flags_come_before_the_ioas, -EOPNOTSUPP, NO_ID, 2),
	NEW("H-5", access_of_an_absent_ioas_is_enoent, -ENOENT, NO_ID, 0),
	NEW("H-5", access_of_a_page_table_is_enoent, -ENOENT, PLAIN, PINS),
	CASE("A.1-2b,B.5-1,H-5", access_holds_its_ioas_until_its_file_is_closed),
	CASE("A.1-2d", access_is_an_object_that_is_busy),
	CASE("B.5-1c,H-5", pinning_access_wants_whole_pages),
	CASE("B.5-1d,H-11", access_moves_to_another_ioas),
	CASE("B.5-1e,H-11", pinning_access_that_cannot_move_stays),
	TRANSFER("H-8", transfer_of_no_access_is_ebadfd, -EBADFD, UINT32_MAX, AREA, 1, DATA, 0),
	TRANSFER("H-8", transfer_with_an_unknown_flag_is_eopnotsupp, -EOPNOTSUPP, ACCESS, AREA, 1, DATA, 2),
	TRANSFER("H-8", transfer_of_too_much_is_enomem, -ENOMEM, ACCESS, AREA, LIMIT + 1, DATA, 0),
	TRANSFER("H-8", transfer_from_nowhere_is_efault, -EFAULT, ACCESS, AREA, 1, NOWHERE, PUT),
	TRANSFER("H-8", transfer_to_nowhere_is_efault, -EFAULT, ACCESS, AREA, 1, NOWHERE, 0),
	TRANSFER("B.5-3a", transfer_of_no_bytes_is_einval, -EINVAL, ACCESS, AREA, 0, DATA, 0),
	TRANSFER("B.5-3b", transfer_that_wraps_is_eoverflow, -EOVERFLOW, ACCESS, U64_MAX, 2, DATA, 0),
	TRANSFER("B.5-3c", transfer_of_a_hole_is_enoent, -ENOENT, ACCESS, HOLE_AREA, 1, DATA, 0),
	TRANSFER("B.5-3c", transfer_into_a_hole_is_enoent, -ENOENT, ACCESS, AREA + AREA_SIZE - 1, 2, DATA, PUT),
	TRANSFER("B.5-3d", write_of_what_is_readable_is_eperm, -EPERM, ACCESS, READ_AREA, 1, DATA, PUT),
	TRANSFER("B.5-3d", read_of_what_is_writable_is_eperm, -EPERM, ACCESS, WRITE_AREA, 1, DATA, 0),
	TRANSFER("B.5-3d", read_of_what_is_readable_is_taken, 0, ACCESS, READ_AREA, PAGE, DATA, SLOW),
	TRANSFER("B.5-3d", write_of_what_is_writable_is_taken, 0, ACCESS, WRITE_AREA, PAGE, DATA, PUT),
	TRANSFER("B.5-3d", write_by_a_pinning_access_is_taken, 0, PINNING, AREA, PAGE, DATA, PUT),
	CASE("B.5-3", access_reads_and_writes_any_bytes),
	CASE("B.5-3,B.5-3c,B.5-3d", access_crosses_areas),
	CASE("B.5-3e", access_has_transferred_what_comes_before_the_error),
	CASE("B.2-3,B.5-3f", access_sees_the_memory_of_the_time),
	PIN("H-7", pin_of_no_access_is_ebadfd, -EBADFD, UINT32_MAX, AREA, PAGE, 0),
	PIN("H-7", pin_of_an_access_that_does_not_is_eopnotsupp, -EOPNOTSUPP, ACCESS, AREA, PAGE, 0),
	PIN("H-7", pin_with_an_unknown_flag_is_eopnotsupp, -EOPNOTSUPP, PINNING, AREA, PAGE, 4),
	PIN("H-7", pin_of_too_much_is_enomem, -ENOMEM, PINNING, AREA, LIMIT + 1, 0),
	PIN("B.5-2a", pin_of_no_bytes_is_einval, -EINVAL, PINNING, AREA, 0, 0),
	PIN("B.5-2b", pin_that_wraps_is_eoverflow, -EOVERFLOW, PINNING, U64_MAX - PAGE + 1, PAGE + 1, 0),
	PIN("B.5-2c", pin_of_a_hole_is_enoent, -ENOENT, PINNING, HOLE_AREA, PAGE, 0),
	PIN("B.5-2c", pin_into_a_hole_is_enoent, -ENOENT, PINNING, AREA, AREA_SIZE + 1, 0),
	PIN("B.5-2d", pin_for_writing_of_what_is_readable_is_eperm, -EPERM, PINNING, READ_AREA, PAGE, 1),
	PIN("B.5-2d", pin_for_reading_of_what_is_writable_is_eperm, -EPERM, PINNING, WRITE_AREA, PAGE, 0),
	PIN("B.5-2d", pin_for_writing_of_what_is_writable_is_taken, 0, PINNING, WRITE_AREA, PAGE, 1),
	PIN("B.5-2d", pin_for_reading_of_what_is_readable_is_taken, 0, PINNING, READ_AREA, PAGE, 0),
	CASE("B.5-2e,H-6,H-7", pins_count_once_for_each_page),
	CASE("B.5-2", pins_that_fail_leave_nothing),
	CASE("H-7b", pins_are_compared_with_memory),
	CASE("A.9-14,B.5-4", unmap_asks_accesses_to_let_go),
	CASE("B.5-4", closing_an_access_drops_its_pins),
	CASE("B.2-1", pins_outlive_page_tables_and_page_tables_pins),
	TEST_OP("H-6", unpin_of_nothing_is_enoent, -ENOENT, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, .id = PINNING,
		.destroy_access_pages = {7}),
	TEST_OP("H-6", unpin_of_no_access_is_ebadfd, -EBADFD, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, .id = UINT32_MAX,
		.destroy_access_pages = {0}),
	TEST_OP("H-11", move_of_no_access_is_ebadfd, -EBADFD, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, .id = UINT32_MAX,
		.access_replace_ioas = {IOAS}),
	TEST_OP("H-11", move_to_a_page_table_is_enoent, -ENOENT, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, .id = ACCESS,
		.access_replace_ioas = {PLAIN}),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
