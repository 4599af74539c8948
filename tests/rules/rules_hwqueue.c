/* SPDX-License-Identifier: BSD-3-Clause */
/* IOMMU_HW_QUEUE_ALLOC: what a queue pins, locks and refuses, in the order of its checks. */
#include "mock.h"

#define TYPE IOMMU_HW_QUEUE_TYPE_SELFTEST

/* A vIOMMU with four pages of memory at AP, mapped page by page in this order. */
struct queues {
	struct mock m;
	uint32_t parent, viommu;
};

static struct queues queues_new(struct rules *t)
{
	struct queues q = {.m = mock_new(t, ioas_new(t), 0)};

	q.parent = hwpt_new(t, q.m.device, q.m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	q.viommu = viommu_new(t, q.m.device, q.parent);
	memory_new(t);
	for (uint64_t i = 0; i < 4; i++)
		EXPECT(t, map_va_at(t, q.m.ioas, RW, MEMORY + i * PAGE, AP + i * PAGE, PAGE), 0);
	return q;
}

static void queues_are_made_in_order_and_destroyed_in_reverse(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t first, second, other;

	EXPECT(t, hw_queue_try(t, q.viommu, 1, AP, PAGE, &second), -EIO);
	EXPECT(t, hw_queue_try(t, q.viommu, 0, AP, PAGE, &first), 0);
	EXPECT(t, hw_queue_try(t, q.viommu, 0, AP + PAGE, PAGE, &other), -EEXIST);
	EXPECT(t, hw_queue_try(t, q.viommu, 1, AP + PAGE, PAGE, &second), 0);
	EXPECT(t, hw_queue_try(t, q.viommu, 1, AP + PAGE, PAGE, &other), -EEXIST);
	EXPECT(t, hw_queue_try(t, q.viommu, 2, AP + PAGE, PAGE, &other), -EINVAL);
	EXPECT(t, destroy(t, first), -EBUSY);
	EXPECT(t, destroy(t, second), 0);
	/* Recorded: whichever goes, the first index is free then, and the second never again. */
	EXPECT(t, hw_queue_try(t, q.viommu, 1, AP, PAGE, &second), -EEXIST);
	EXPECT(t, hw_queue_try(t, q.viommu, 0, AP, PAGE, &other), 0);
	EXPECT(t, destroy(t, first), 0);
	EXPECT(t, destroy(t, other), 0);
	memory_free();
}

static void queues_are_of_their_viommu(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t other = viommu_new(t, q.m.device, q.parent), id;

	hw_queue_new(t, q.viommu, 0, AP, PAGE);
	EXPECT(t, hw_queue_try(t, other, 1, AP, PAGE, &id), -EIO);
	EXPECT(t, hw_queue_try(t, other, 0, AP, PAGE, &id), 0);
	memory_free();
}

static void queue_holds_its_viommu(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t id = hw_queue_new(t, q.viommu, 0, AP, PAGE);

	EXPECT(t, destroy(t, q.viommu), -EBUSY);
	EXPECT(t, destroy(t, q.m.ioas), -EBUSY);
	EXPECT(t, destroy(t, id), 0);
	EXPECT(t, destroy(t, q.viommu), 0);
	memory_free();
}

static void area_of_a_queue_cannot_be_unmapped(struct rules *t)
{
	struct queues q = queues_new(t);
	uint64_t removed = 0;
	uint32_t id = hw_queue_new(t, q.viommu, 0, AP + 2 * PAGE, 8);

	EXPECT(t, unmap(t, q.m.ioas, AP + 2 * PAGE, PAGE, NULL), -EBUSY);
	EXPECT(t, check_map(t, q.parent, AP + 2 * PAGE, PAGE, MEMORY + 2 * PAGE), 0);
	/* Areas below it go, those above stay. */
	EXPECT(t, unmap(t, q.m.ioas, AP + PAGE, 3 * PAGE, &removed), -EBUSY);
	EXPECT_U64(t, removed, 3 * PAGE);
	EXPECT(t, is_unmapped(t, q.m.ioas, AP + PAGE, PAGE), true);
	EXPECT(t, is_unmapped(t, q.m.ioas, AP + 3 * PAGE, PAGE), false);
	EXPECT(t, unmap(t, q.m.ioas, 0, U64_MAX, NULL), -EBUSY);
	EXPECT(t, is_unmapped(t, q.m.ioas, AP, PAGE), true);
	EXPECT(t, destroy(t, id), 0);
	expect_bytes(t, q.m.ioas, 2 * PAGE);
	memory_free();
}

static void area_of_two_queues_is_locked_by_both(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t first = hw_queue_new(t, q.viommu, 0, AP, PAGE), second = hw_queue_new(t, q.viommu, 1, AP, PAGE);

	EXPECT(t, unmap(t, q.m.ioas, AP, PAGE, NULL), -EBUSY);
	EXPECT(t, destroy(t, second), 0);
	EXPECT(t, unmap(t, q.m.ioas, AP, PAGE, NULL), -EBUSY);
	EXPECT(t, destroy(t, first), 0);
	EXPECT(t, unmap(t, q.m.ioas, AP, PAGE, NULL), 0);
	memory_free();
}

static void container_cannot_unmap_it_either(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t ioas = q.m.ioas;
	uint64_t removed = 77;

	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_SET, &ioas), 0);
	hw_queue_new(t, q.viommu, 0, AP + PAGE, PAGE);
	EXPECT(t, container_unmap(t, AP, 4 * PAGE, &removed), -EBUSY);
	EXPECT_U64(t, removed, PAGE);
	memory_free();
}

static void pages_of_a_queue_are_pinned(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t id = hw_queue_new(t, q.viommu, 0, AP, PAGE);

	EXPECT(t, check_refs(t, MEMORY, PAGE, 1), 0);
	EXPECT(t, destroy(t, id), 0);
	EXPECT(t, check_refs(t, MEMORY, PAGE, 1), 0);
	memory_free();
}

/* The internal access wants whole pages of the whole IOAS. */
static void queue_raises_the_alignment(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t id;

	EXPECT_U64(t, alignment(t, q.m.ioas), HALF);
	id = hw_queue_new(t, q.viommu, 0, AP, PAGE);
	EXPECT_U64(t, alignment(t, q.m.ioas), PAGE);
	EXPECT(t, map_va_at(t, q.m.ioas, RW, MEMORY, AP + 0x10000, HALF), -EINVAL);
	EXPECT(t, destroy(t, id), 0);
	EXPECT_U64(t, alignment(t, q.m.ioas), HALF);
	EXPECT(t, map_va_at(t, q.m.ioas, RW, MEMORY, AP + 0x10000, HALF), 0);
	EXPECT(t, hw_queue_try(t, q.viommu, 0, AP, PAGE, &id), -EADDRINUSE);
	EXPECT(t, hw_queue_try(t, q.viommu, 2, AP + 0x20000, PAGE, &id), -EADDRINUSE);
	EXPECT(t, unmap(t, q.m.ioas, AP + 0x10000, HALF, NULL), 0);
	EXPECT(t, hw_queue_try(t, q.viommu, 0, AP, PAGE, &id), 0);
	memory_free();
}

static void memory_of_a_queue_is_contiguous(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t id, next;

	/* Backwards, so no two pages follow each other in memory. */
	for (uint64_t i = 0; i < 4; i++)
		EXPECT(t, map_va_at(t, q.m.ioas, RW, MEMORY + (16 - 2 * i) * PAGE, AP + (16 + i) * PAGE, PAGE), 0);
	next = next_id(t);
	EXPECT(t, hw_queue_try(t, q.viommu, 0, AP + 16 * PAGE, 2 * PAGE, &id), -EFAULT);
	EXPECT(t, hw_queue_try(t, q.viommu, 0, AP + 17 * PAGE - 4, 8, &id), -EFAULT);
	EXPECT(t, next_id(t), next);
	EXPECT(t, unmap(t, q.m.ioas, AP + 16 * PAGE, PAGE, NULL), 0);
	EXPECT(t, hw_queue_try(t, q.viommu, 0, AP + 17 * PAGE, PAGE, &id), 0);
	memory_free();
}

static void queue_may_begin_at_any_byte(struct rules *t)
{
	struct queues q = queues_new(t);
	uint32_t id = hw_queue_new(t, q.viommu, 0, AP + 100, 8);

	EXPECT(t, unmap(t, q.m.ioas, AP, PAGE, NULL), -EBUSY);
	EXPECT(t, destroy(t, id), 0);
	EXPECT(t, unmap(t, q.m.ioas, AP, PAGE, NULL), 0);
	memory_free();
}

#define QUEUE(rules, name, result, viommu, at, bytes, ...)                                                             \
	IN_WORLD(rules, name, result, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, WORLD_DATA(0),                       \
		 .viommu_id = (viommu), .nesting_parent_iova = (at), .length = (bytes), __VA_ARGS__)

static const struct rule_case cases[] = {
	QUEUE("A.17-8a", queue_flags_come_before_the_length, -EOPNOTSUPP, VIOMMU, AREA, 0, .type = TYPE, .flags = 1),
	QUEUE("A.17-8a", queue_default_type_comes_before_the_length, -EOPNOTSUPP, VIOMMU, AREA, 0, .type = 0),
	QUEUE("A.17-8b", queue_length_comes_before_the_viommu, -EINVAL, NO_ID, AREA, 0, .type = TYPE),
	QUEUE("A.17-8c", queue_wrap_comes_before_the_viommu, -EOVERFLOW, NO_ID, U64_MAX, 2, .type = TYPE),
	QUEUE("A.17-8d", queue_of_a_page_table_is_enoent, -ENOENT, PARENT, AREA, PAGE, .type = TYPE),
	QUEUE("A.17-8d", queue_viommu_comes_before_the_type, -ENOENT, NO_ID, AREA, PAGE, .type = 77),
	QUEUE("A.17-8f", queue_of_another_type_is_eopnotsupp, -EOPNOTSUPP, VIOMMU, AREA, PAGE, .type = 77),
	QUEUE("A.17-8f", queue_type_comes_before_the_size, -EOPNOTSUPP, VIOMMU, 1, U64_MAX, .type = 77),
	QUEUE("A.17-8g", queue_whose_size_overflows_is_erange, -ERANGE, VIOMMU, 1, U64_MAX, .type = TYPE),
	QUEUE("A.17-8h", queue_in_a_hole_is_enoent, -ENOENT, VIOMMU, HOLE_AREA, PAGE, .type = TYPE),
	QUEUE("A.17-8h", queue_that_ends_in_a_hole_is_enoent, -ENOENT, VIOMMU, AREA + AREA_SIZE - PAGE, 2 * PAGE,
	      .type = TYPE),
	QUEUE("A.17-8h", queue_memory_comes_before_the_index, -ENOENT, VIOMMU, HOLE_AREA, PAGE, .type = TYPE,
	      .index = 2),
	QUEUE("A.17-8i", queue_that_cannot_be_read_is_eperm, -EPERM, VIOMMU, WRITE_AREA, PAGE, .type = TYPE),
	QUEUE("A.17-8i", queue_rights_come_before_the_index, -EPERM, VIOMMU, WRITE_AREA, PAGE, .type = TYPE,
	      .index = 2),
	QUEUE("A.17-8i", queue_that_cannot_be_written_is_taken, 0, VIOMMU, READ_AREA, PAGE, .type = TYPE),
	QUEUE("A.17-8j", queue_of_an_index_that_is_not_there_is_einval, -EINVAL, VIOMMU, AREA, PAGE, .type = TYPE,
	      .index = 2),
	QUEUE("A.17-8k", queue_out_of_order_is_eio, -EIO, VIOMMU, AREA, PAGE, .type = TYPE, .index = 1),
	CASE("A.17-8k,A.17-8l,A.17-8m", queues_are_made_in_order_and_destroyed_in_reverse),
	CASE("A.17-8l", queues_are_of_their_viommu),
	CASE("A.1-2f,A.17-8n", queue_holds_its_viommu),
	CASE("A.9-13,A.17-8e", area_of_a_queue_cannot_be_unmapped),
	CASE("A.9-13", area_of_two_queues_is_locked_by_both),
	CASE("A.9-13,D.2-20", container_cannot_unmap_it_either),
	CASE("A.17-8e,B.2-1", pages_of_a_queue_are_pinned),
	CASE("A.17-8o,A.18-4", queue_raises_the_alignment),
	CASE("A.17-8p", memory_of_a_queue_is_contiguous),
	CASE("A.17-8e", queue_may_begin_at_any_byte),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
