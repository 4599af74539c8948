/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside an IOAS: reservations and their owners, allowed ranges, the choice of an IOVA, alignment, cuts, sharing of
 * pages. */
#include "ioas/ioas.h"

#include "abi/iommufd.h"
#include "check.h"
#include "fake_client.h"

#define RW  (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define MIB (UINT64_C(1) << 20)

static struct fake fake;

static int map_at(struct ioas *ioas, iova_t iova, uint64_t length, uint64_t va)
{
	struct ioas_map map = {.client = &fake.client, .length = length, .iova = iova, .fixed = true, .prot = RW};

	return ioas_map_user(ioas, &map, uaddr(va));
}

/* The IOVA chosen, or -errno. */
static int64_t map_anywhere(struct ioas *ioas, uint64_t length, uint64_t va)
{
	struct ioas_map map = {.client = &fake.client, .length = length, .prot = RW};
	int rc = ioas_map_user(ioas, &map, uaddr(va));

	return rc ? rc : (int64_t)map.iova;
}

static int64_t unmap(struct ioas *ioas, iova_t start, iova_t last)
{
	uint64_t bytes;
	int rc = ioas_unmap(ioas, &fake.client, start, last, &bytes);

	return rc ? rc : (int64_t)bytes;
}

static int allow(struct ioas *ioas, const struct iova_span *span, size_t count)
{
	struct range_map allowed = RANGE_MAP_INIT;
	int rc;

	for (size_t i = 0; i < count; i++)
		CHECK_EQ(range_map_insert(&allowed, span[i].start, span[i].last, &allowed), 0);
	rc = ioas_allow(ioas, &allowed);
	range_map_clear(&allowed);
	return rc;
}

static void usable_is(struct ioas *ioas, const struct iova_span *want, size_t count, int line)
{
	struct iova_span span[8];
	uint64_t alignment;

	check_equal((int64_t)ioas_usable(ioas, span, 8, &alignment), (int64_t)count, "usable spans", __FILE__, line);
	for (size_t i = 0; i < count; i++) {
		check_equal((int64_t)span[i].start, (int64_t)want[i].start, "start", __FILE__, line);
		check_equal((int64_t)span[i].last, (int64_t)want[i].last, "last", __FILE__, line);
	}
}
#define USABLE(ioas, ...)                                                                                              \
	usable_is(ioas, (const struct iova_span[]){__VA_ARGS__},                                                       \
		  sizeof((const struct iova_span[]){__VA_ARGS__}) / sizeof(struct iova_span), __LINE__)

static void reservations_overlap_and_go_with_their_owner(void)
{
	struct ioas ioas;
	int a;
	int b;

	ioas_init(&ioas);
	USABLE(&ioas, {0, UINT64_MAX});
	CHECK_EQ(ioas_reserve(&ioas, 100, 199, &a), 0);
	CHECK_EQ(ioas_reserve(&ioas, 150, 299, &b), 0);
	CHECK_EQ(ioas_reserve(&ioas, 120, 130, &b), 0); /* inside another */
	CHECK_EQ(ioas_reserve(&ioas, 300, 399, &a), 0); /* touches another */
	CHECK_EQ(ioas_reserve(&ioas, 0, 9, &a), 0);
	USABLE(&ioas, {10, 99}, {400, UINT64_MAX});
	ioas_unreserve(&ioas, &a);
	USABLE(&ioas, {0, 119}, {131, 149}, {300, UINT64_MAX});
	CHECK_EQ(map_at(&ioas, 130, 1, 0), -EINVAL);
	CHECK_EQ(map_at(&ioas, 131, 19, 0), 0);
	CHECK_EQ(map_at(&ioas, 149, 2, 0), -EINVAL); /* reserved comes before mapped */
	CHECK_EQ(map_at(&ioas, 149, 1, 0), -EEXIST);
	ioas_unreserve(&ioas, &b);
	USABLE(&ioas, {0, UINT64_MAX});
	CHECK_EQ(map_at(&ioas, 150, 1, 0), 0);
	CHECK_EQ(ioas_reserve(&ioas, 0, 131, &a), -EADDRINUSE);
	CHECK_EQ(ioas_reserve(&ioas, 0, UINT64_MAX, &a), -EADDRINUSE);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 20);
	CHECK_EQ(ioas_reserve(&ioas, 0, UINT64_MAX, &a), 0);
	USABLE(&ioas);
	CHECK_EQ(ioas_reserve(&ioas, 5, UINT64_MAX, &b), 0);
	ioas_unreserve(&ioas, &a);
	USABLE(&ioas, {0, 4});
	ioas_fini(&ioas);
}

static void many_reservations_keep_their_union(void)
{
	struct ioas ioas;
	int owner[2];
	uint64_t alignment;

	ioas_init(&ioas);
	for (uint64_t i = 100; i--;)
		CHECK_EQ(ioas_reserve(&ioas, i * 1000, i * 1000 + 499 + (i % 2) * 500, &owner[i % 3 == 0]), 0);
	/* A hole behind each even one, as the odd ones reach to the next, and one behind all. */
	CHECK_EQ(ioas_usable(&ioas, NULL, 0, &alignment), 51);
	CHECK(reserved_meets(&ioas.reserved, 1999, 1999));
	CHECK(!reserved_meets(&ioas.reserved, 2500, 2999));
	ioas_unreserve(&ioas, &owner[0]);
	ioas_unreserve(&ioas, &owner[1]);
	USABLE(&ioas, {0, UINT64_MAX});
	ioas_fini(&ioas);
}

static void allowed_restricts_choice_and_reservation_but_no_fixed_map(void)
{
	const struct iova_span two[] = {{0x10000, 0x10fff}, {0x20000, 0x21fff}};
	const struct iova_span touching[] = {{0x10000, 0x10fff}, {0x11000, 0x11fff}};
	struct ioas ioas;
	int owner;

	ioas_init(&ioas);
	CHECK_EQ(ioas_reserve(&ioas, 0x21000, 0x22fff, &owner), 0);
	CHECK_EQ(allow(&ioas, two, 2), -EADDRINUSE);
	CHECK_EQ(map_anywhere(&ioas, 0x1000, 0), 0x1000); /* the refused list did not come */
	ioas_unreserve(&ioas, &owner);
	CHECK_EQ(allow(&ioas, two, 2), 0);
	CHECK_EQ(ioas_reserve(&ioas, 0x10fff, 0x1ffff, &owner), -EADDRINUSE);
	CHECK_EQ(ioas_reserve(&ioas, 0x11000, 0x1ffff, &owner), 0);
	CHECK_EQ(map_anywhere(&ioas, 0x2000, 0), 0x20000);
	CHECK_EQ(map_anywhere(&ioas, 0x1000, 0), 0x10000);
	CHECK_EQ(map_anywhere(&ioas, 0x1000, 0), -ENOSPC);
	CHECK_EQ(map_at(&ioas, 0x30000, 0x1000, 0), 0);
	CHECK_EQ(unmap(&ioas, 0x10000, 0x21fff), 0x3000);
	ioas_unreserve(&ioas, &owner);
	CHECK_EQ(allow(&ioas, touching, 2), 0);
	CHECK_EQ(map_anywhere(&ioas, 0x2000, 0), 0x10000); /* across the seam */
	CHECK_EQ(allow(&ioas, NULL, 0), 0);
	CHECK_EQ(map_anywhere(&ioas, 0x1000, 0), 0x2000);
	ioas_fini(&ioas);
}

static void an_iova_is_aligned_as_its_source_up_to_a_huge_page(void)
{
	struct ioas ioas;

	ioas_init(&ioas);
	CHECK_EQ(map_anywhere(&ioas, 4 * MIB, 0), 2 * MIB);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 4 * MIB);
	CHECK_EQ(map_anywhere(&ioas, 4 * MIB, 0x7f0000000000), 2 * MIB);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 4 * MIB);
	CHECK_EQ(map_anywhere(&ioas, 4 * MIB, 0x7f0000010000), 0x10000); /* the lowest bit of the source */
	CHECK_EQ(map_anywhere(&ioas, 0x3000, 0x7f0000000000), 0x4000);   /* the next power of two */
	CHECK_EQ(map_anywhere(&ioas, 0x1000, 0x7f0000000800), 0x1800);
	CHECK_EQ(map_anywhere(&ioas, 1, 0x7f0000000123), 0x1123);
	CHECK_EQ(map_anywhere(&ioas, 0x800, 0x7f0000000000), 0x2800);
	CHECK_EQ(map_anywhere(&ioas, UINT64_MAX / 2, 0), -EOVERFLOW);
	CHECK_EQ(map_anywhere(&ioas, UINT64_MAX / 2 - 1, 0), 0x600000);
	ioas_fini(&ioas);
}

static void the_first_page_the_last_page_and_a_gap_of_one_byte_are_not_chosen(void)
{
	struct ioas ioas;

	ioas_init(&ioas);
	CHECK_EQ(map_at(&ioas, 0x1000, UINT64_MAX - 0x3000 + 1, 0), 0); /* to the byte before the last two pages */
	CHECK_EQ(map_anywhere(&ioas, 0x1001, 0), -ENOSPC);
	CHECK_EQ(map_anywhere(&ioas, 0x1000, 0), (int64_t)(UINT64_MAX - 0x1fff));
	CHECK_EQ(map_anywhere(&ioas, 1, 0), -ENOSPC);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), (int64_t)(UINT64_MAX - 0x3000 + 1 + 0x1000));
	CHECK_EQ(map_at(&ioas, 0x1000, 0x1000, 0), 0);
	CHECK_EQ(map_at(&ioas, 0x2001, 0x1000, 0), 0);
	CHECK_EQ(map_anywhere(&ioas, 1, 0), 0x3001);
	ioas_fini(&ioas);
}

static void alignment_rises_only_over_what_is_aligned(void)
{
	struct ioas ioas;

	ioas_init(&ioas);
	CHECK(ioas_huge_pages(&ioas));
	CHECK_EQ(map_at(&ioas, 0x1000, 0x1800, 0), 0);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), -EADDRINUSE);
	CHECK(ioas_huge_pages(&ioas));
	CHECK_EQ(map_at(&ioas, 0x4000, 0x10, 0), 0); /* still by bytes */
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 0x1810);
	CHECK_EQ(map_at(&ioas, 0x1000, 0x1000, 0x800), 0);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), -EADDRINUSE); /* the source's offset in its page */
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 0x1000);
	CHECK_EQ(map_at(&ioas, 0x1000, 0x2000, 0x5000), 0);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), 0);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), 0);
	CHECK_EQ(map_at(&ioas, 0x4000, 0x800, 0), -EINVAL);
	CHECK_EQ(map_at(&ioas, 0x4800, 0x1000, 0), -EINVAL);
	CHECK_EQ(map_at(&ioas, 0x4000, 0x1000, 0x800), -EINVAL);
	CHECK_EQ(map_at(&ioas, 0x2000, 0x1000, 0x800), -EEXIST); /* taken comes before misaligned */
	CHECK_EQ(map_anywhere(&ioas, 0x1000, 0x800), -EINVAL);
	CHECK_EQ(map_anywhere(&ioas, 0x1000, 0), 0x3000);
	ioas_enable_huge_pages(&ioas);
	CHECK_EQ(map_at(&ioas, 0x8001, 1, 7), 0);
	ioas_fini(&ioas);
}

static int cut(struct ioas *ioas, iova_t address)
{
	return ioas_cut(ioas, &address, 1);
}

static void a_cut_makes_two_areas_over_the_same_pages(void)
{
	struct ioas ioas;
	struct range range;
	const struct area *area;

	ioas_init(&ioas);
	CHECK_EQ(map_at(&ioas, 0x10000, 0x4000, 0x7000800), 0);
	CHECK_EQ(cut(&ioas, 0xffff), 0);
	CHECK_EQ(cut(&ioas, 0x10000), 0); /* the first byte is not cut off */
	CHECK_EQ(cut(&ioas, 0x13fff), 0);
	CHECK_EQ(ioas.areas.count, 1);
	CHECK_EQ(cut(&ioas, 0x10fff), 0);
	CHECK_EQ(cut(&ioas, 0x12345), 0);
	CHECK_EQ(ioas.areas.count, 3);
	CHECK(range_map_find(&ioas.areas, 0x12346, 0x12346, &range));
	CHECK_EQ(range.start, 0x12346);
	CHECK_EQ(range.last, 0x13fff);
	area = range.value;
	CHECK_EQ(area_source(area), 0x7000800 + 0x2346);
	CHECK_EQ(area->prot, RW);
	CHECK_EQ(atomic_load(&area->pages->refs), 3);
	CHECK_EQ(unmap(&ioas, 0x11000, 0x12345), 0x1346);
	CHECK_EQ(unmap(&ioas, 0x10000, 0x12345), 0x1000);
	CHECK_EQ(atomic_load(&area->pages->refs), 1);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 0x1cba);
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
	ioas_fini(&ioas);
}

static void a_cut_keeps_to_the_alignment_and_earlier_cuts_stay(void)
{
	const iova_t good_then_bad[] = {0x11fff, 0x10800};
	struct ioas ioas;

	ioas_init(&ioas);
	CHECK_EQ(map_at(&ioas, 0x10000, 0x4000, 0), 0);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), 0);
	CHECK_EQ(ioas_cut(&ioas, good_then_bad, 2), -EINVAL);
	CHECK_EQ(unmap(&ioas, 0x12000, 0x13fff), 0x2000);
	ioas_fini(&ioas);
}

static void an_unmap_stops_at_what_it_would_bisect(void)
{
	struct ioas ioas;
	uint64_t bytes = 7;

	ioas_init(&ioas);
	for (iova_t i = 1; i <= 3; i++)
		CHECK_EQ(map_at(&ioas, i * 0x10000, 0x1000, 0), 0);
	CHECK_EQ(ioas_unmap(&ioas, &fake.client, 0x10000, 0x30ffe, &bytes), -ENOENT);
	CHECK_EQ(bytes, 0x2000);
	CHECK_EQ(ioas.areas.count, 1);
	CHECK_EQ(ioas_unmap(&ioas, &fake.client, 0x10000, 0x2ffff, &bytes), 0);
	CHECK_EQ(bytes, 0);
	CHECK_EQ(unmap(&ioas, 0x30001, UINT64_MAX), -ENOENT);
	CHECK_EQ(unmap(&ioas, 0x30000, UINT64_MAX), 0x1000);
	CHECK_EQ(map_at(&ioas, UINT64_MAX, 1, 0), 0);
	CHECK_EQ(map_at(&ioas, 0, 1, 0), 0);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 2);
	ioas_fini(&ioas);
}

static void shared_pieces_lie_behind_each_other_and_outlive_the_source(void)
{
	struct ioas_map map = {.client = &fake.client, .length = 0x9800, .iova = 0x100000, .fixed = true, .prot = RW};
	struct ioas source;
	struct ioas target;
	struct pieces pieces;
	struct range range;

	ioas_init(&source);
	ioas_init(&target);
	for (iova_t i = 0; i < 10; i++)
		CHECK_EQ(map_at(&source, i * 0x1000, 0x1000, 0x50000 + i * 0x2000), 0);
	CHECK_EQ(ioas_share(&source, 0x400, 0, &pieces), -EINVAL);
	CHECK_EQ(ioas_share(&source, 0x400, UINT64_MAX, &pieces), -EOVERFLOW);
	CHECK_EQ(ioas_share(&source, 0x400, 0x9c01, &pieces), -ENOENT);
	CHECK_EQ(ioas_share(&source, 0xa000, 1, &pieces), -ENOENT);
	CHECK_EQ(ioas_share(&source, 0x400, 0x9800, &pieces), 0);
	CHECK_EQ(pieces.count, 10);
	ioas_fini(&source);
	CHECK_EQ(map_at(&target, 0x107000, 1, 0), 0);
	CHECK_EQ(ioas_map_pieces(&target, &map, &pieces), -EEXIST);
	CHECK_EQ(target.areas.count, 1); /* the pieces before it are gone again */
	CHECK_EQ(atomic_load(&fake.mm.refs), 2);
	ioas_fini(&target);

	ioas_init(&source);
	ioas_init(&target);
	CHECK_EQ(map_at(&source, 0, 0x1000, 0x50000), 0);
	CHECK_EQ(map_at(&source, 0x1000, 0x1000, 0x90000), 0);
	CHECK_EQ(ioas_share(&source, 0x800, 0x1000, &pieces), 0);
	map.length = 0x1000;
	CHECK_EQ(ioas_map_pieces(&target, &map, &pieces), 0);
	ioas_fini(&source);
	CHECK(range_map_find(&target.areas, 0x100800, 0x100800, &range));
	CHECK_EQ(range.start, 0x100800);
	CHECK_EQ(range.last, 0x100fff);
	CHECK_EQ(area_source(range.value), 0x90000);
	CHECK(range_map_find(&target.areas, 0x100000, 0x100000, &range));
	CHECK_EQ(area_source(range.value), 0x50800);
	ioas_fini(&target);
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
}

static void a_writable_copy_of_read_only_pages_is_refused_after_all_else(void)
{
	struct ioas_map map = {
		.client = &fake.client, .length = 0x1000, .fixed = true, .prot = IOMMU_IOAS_MAP_READABLE};
	struct ioas ioas;
	struct pieces pieces;

	ioas_init(&ioas);
	CHECK_EQ(ioas_map_user(&ioas, &map, uaddr(0)), 0);
	map.prot = RW;
	CHECK_EQ(ioas_share(&ioas, 0, 0x1000, &pieces), 0);
	CHECK_EQ(ioas_map_pieces(&ioas, &map, &pieces), -EEXIST);
	map.iova = 0x1000;
	CHECK_EQ(ioas_share(&ioas, 0, 0x1000, &pieces), 0);
	CHECK_EQ(ioas_map_pieces(&ioas, &map, &pieces), -EPERM);
	CHECK_EQ(ioas.areas.count, 1);
	ioas_fini(&ioas);
}

static void what_cannot_be_pages_is_refused(void)
{
	struct ioas ioas;

	ioas_init(&ioas);
	CHECK_EQ(map_at(&ioas, 0, 0, 0), -EINVAL);
	CHECK_EQ(map_at(&ioas, 0, 2, UINT64_MAX), -EOVERFLOW);
	CHECK_EQ(map_at(&ioas, 0, 1, UINT64_MAX), -EOVERFLOW); /* the end counts, not the last byte */
	CHECK_EQ(map_at(&ioas, 0, UINT64_MAX - PAGE_SIZE + 1, 0), -EINVAL);
	CHECK_EQ(map_at(&ioas, 0, UINT64_MAX - PAGE_SIZE, 0), 0);
	CHECK_EQ(map_at(&ioas, UINT64_MAX, 2, 0), -EOVERFLOW);
	ioas_fini(&ioas);
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
}

int main(void)
{
	fake_init(&fake);
	reservations_overlap_and_go_with_their_owner();
	many_reservations_keep_their_union();
	allowed_restricts_choice_and_reservation_but_no_fixed_map();
	an_iova_is_aligned_as_its_source_up_to_a_huge_page();
	the_first_page_the_last_page_and_a_gap_of_one_byte_are_not_chosen();
	alignment_rises_only_over_what_is_aligned();
	a_cut_makes_two_areas_over_the_same_pages();
	a_cut_keeps_to_the_alignment_and_earlier_cuts_stay();
	an_unmap_stops_at_what_it_would_bisect();
	shared_pieces_lie_behind_each_other_and_outlive_the_source();
	a_writable_copy_of_read_only_pages_is_refused_after_all_else();
	what_cannot_be_pages_is_refused();
	return check_result();
}
