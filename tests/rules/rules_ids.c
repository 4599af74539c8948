/* SPDX-License-Identifier: BSD-3-Clause */
/* Files, object ids, DESTROY, IOAS_ALLOC: the life of things. */
#include "calls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

static int on_other(struct rules *t, int fd, unsigned long cmd, void *arg)
{
	return transport_ioctl(t->transport, fd, cmd, (uintptr_t)arg);
}

/* A.0: nodes and files */

static void each_open_is_a_context_of_its_own(struct rules *t)
{
	int other = node_open(t, "/dev/iommu");
	struct iommu_ioas_alloc c = {.size = sizeof(c)};
	struct iommu_destroy gone = {.size = sizeof(gone), .id = 1};

	EXPECT(t, ioas_new(t), 1);
	EXPECT(t, on_other(t, other, IOMMU_DESTROY, &gone), -ENOENT);
	EXPECT(t, on_other(t, other, IOMMU_IOAS_ALLOC, &c), 0);
	EXPECT(t, c.out_ioas_id, 1);
	EXPECT(t, on_other(t, other, IOMMU_DESTROY, &gone), 0);
	EXPECT(t, map_at(t, 1, PAGE, PAGE), 0);
	EXPECT(t, transport_close(t->transport, other), 0);
	expect_bytes(t, 1, PAGE);
}

static void any_access_mode_is_enough_for_everything(struct rules *t)
{
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK};
	static const char *const nodes[] = {"/dev/iommu", "/dev/vfio/vfio"};

	for (size_t i = 0; i < ARRAY_SIZE(modes) * ARRAY_SIZE(nodes); i++) {
		struct iommu_ioas_alloc c = {.size = sizeof(c)};
		struct iommu_ioas_map map = {
			.size = sizeof(map), .flags = FIXED | RW, .ioas_id = 1, .user_va = VA, .length = 1};
		int fd = transport_open(t->transport, nodes[i / ARRAY_SIZE(modes)],
					modes[i % ARRAY_SIZE(modes)] | O_CLOEXEC);

		t->about = nodes[i / ARRAY_SIZE(modes)];
		EXPECT(t, fd >= 0, true);
		EXPECT(t, on_other(t, fd, IOMMU_IOAS_ALLOC, &c), 0);
		EXPECT(t, on_other(t, fd, IOMMU_IOAS_MAP, &map), 0);
		EXPECT(t, transport_close(t->transport, fd), 0);
	}
}

static void both_nodes_take_all_commands(struct rules *t)
{
	int fd = node_open(t, "/dev/vfio/vfio");
	struct iommu_ioas_alloc c = {.size = sizeof(c)};
	struct iommu_vfio_ioas get = {.size = sizeof(get)};

	EXPECT(t, on_other(t, fd, VFIO_GET_API_VERSION, NULL), 0);
	EXPECT(t, on_other(t, fd, IOMMU_IOAS_ALLOC, &c), 0);
	EXPECT(t, on_other(t, fd, IOMMU_VFIO_IOAS, &get), -ENODEV);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, call(t, VFIO_GET_API_VERSION, NULL), 0);
}

static void node_says_how_locked_memory_counts(struct rules *t)
{
	int fd = node_open(t, "/dev/vfio/vfio");
	struct iommu_option vfio = {.size = sizeof(vfio), .op = IOMMU_OPTION_OP_GET, .val64 = 7}, iommu = vfio;

	EXPECT(t, on_other(t, fd, IOMMU_OPTION, &vfio), 0);
	EXPECT_U64(t, vfio.val64, 1);
	EXPECT(t, call(t, IOMMU_OPTION, &iommu), 0);
	EXPECT_U64(t, iommu.val64, 0);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void read_and_write_are_einval(struct rules *t)
{
	char buf[64] = {0};

	EXPECT(t, transport_read(t->transport, t->fd, buf, sizeof(buf)), -EINVAL);
	EXPECT(t, transport_write(t->transport, t->fd, buf, sizeof(buf)), -EINVAL);
}

static void read_and_write_at_a_position_are_einval(struct rules *t)
{
	char buf[64] = {0};

	if (transport_kind(t->transport) == TRANSPORT_SYSCALLS) {
		skip(t, "docs/limits.md: the door sees no read at a position");
		return;
	}
	EXPECT(t, transport_pread(t->transport, t->fd, buf, sizeof(buf), 4096), -EINVAL);
	EXPECT(t, transport_pwrite(t->transport, t->fd, buf, sizeof(buf), 4096), -EINVAL);
}

static void poll_says_ready_at_once(struct rules *t)
{
	EXPECT(t, transport_poll(t->transport, t->fd, POLLIN | POLLOUT | POLLPRI), POLLIN | POLLOUT);
}

static void mmap_wants_shared_then_no_exec_then_an_offered_region(struct rules *t)
{
	void *at;

#define TRY(prot, flags, offset) transport_mmap(t->transport, t->fd, PAGE, (prot), (flags), (offset), &at)
	EXPECT(t, TRY(PROT_READ, MAP_PRIVATE, 0), -EINVAL);
	EXPECT(t, TRY(PROT_READ | PROT_EXEC, MAP_PRIVATE, 0), -EINVAL);
	EXPECT(t, TRY(PROT_READ | PROT_EXEC, MAP_SHARED, 0), -EPERM);
	EXPECT(t, TRY(PROT_READ | PROT_WRITE, MAP_SHARED, 0), -ENXIO);
	EXPECT(t, TRY(PROT_READ | PROT_WRITE, MAP_SHARED, PAGE), -ENXIO);
#undef TRY
}

/* A.0.2: ids */

static void first_id_is_1_and_the_next_ones_follow(struct rules *t)
{
	for (uint32_t id = 1; id <= 100; id++)
		EXPECT(t, ioas_new(t), id);
}

static void lowest_free_id_is_used_again_at_once(struct rules *t)
{
	for (uint32_t id = 1; id <= 5; id++)
		ioas_new(t);
	EXPECT(t, destroy(t, 4), 0);
	EXPECT(t, destroy(t, 2), 0);
	EXPECT(t, ioas_new(t), 2);
	EXPECT(t, ioas_new(t), 4);
	EXPECT(t, ioas_new(t), 6);
}

static void all_types_share_one_space_of_ids(struct rules *t)
{
	uint32_t fault;
	int fd;

	EXPECT(t, ioas_new(t), 1);
	EXPECT(t, fault_new(t, &fault, &fd), 0);
	EXPECT(t, fault, 2);
	EXPECT(t, ioas_new(t), 3);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, destroy(t, 2), 0);
	EXPECT(t, ioas_new(t), 2);
}

static void call_that_fails_uses_no_id_up(struct rules *t)
{
	struct iommu_ioas_alloc c = {.size = sizeof(c), .flags = 1};
	struct iommu_fault_alloc f = {.size = sizeof(f), .flags = 1};

	EXPECT(t, call(t, IOMMU_IOAS_ALLOC, &c), -EOPNOTSUPP);
	EXPECT(t, call(t, IOMMU_FAULT_QUEUE_ALLOC, &f), -EOPNOTSUPP);
	EXPECT(t, ioas_new(t), 1);
}

static const uint32_t absent[] = {0, 2, 3, NO_ID, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};

static void id_that_no_object_has_is_enoent(struct rules *t)
{
	ioas_new(t);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		uint64_t val = 1;
		uint32_t id = absent[i];
		struct iommu_ioas_iova_ranges ranges = {.size = sizeof(ranges), .ioas_id = id};

		EXPECT(t, destroy(t, id), -ENOENT);
		EXPECT(t, map_at(t, id, PAGE, PAGE), -ENOENT);
		EXPECT(t, unmap(t, id, PAGE, PAGE, NULL), -ENOENT);
		EXPECT(t, copy_at(t, 1, id, RW, PAGE, PAGE, PAGE), -ENOENT);
		EXPECT(t, allow(t, id, NULL, 0), -ENOENT);
		EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &ranges), -ENOENT);
		EXPECT(t, map_file_at(t, id, RW, 0, 0, PAGE, PAGE), -ENOENT);
		EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, id, &val), -ENOENT);
		EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_SET, &id), -ENOENT);
	}
}

static void object_of_another_type_is_enoent(struct rules *t)
{
	uint32_t ioas = ioas_new(t), id;
	struct iommu_ioas_iova_ranges ranges = {.size = sizeof(ranges)};
	uint64_t val = 1;
	int fd;

	EXPECT(t, fault_new(t, &id, &fd), 0);
	ranges.ioas_id = id;
	EXPECT(t, map_at(t, ioas, PAGE, PAGE), 0);
	EXPECT(t, map_at(t, id, PAGE, PAGE), -ENOENT);
	EXPECT(t, unmap(t, id, 0, U64_MAX, NULL), -ENOENT);
	EXPECT(t, copy_at(t, ioas, id, RW, PAGE, 2 * PAGE, PAGE), -ENOENT);
	EXPECT(t, copy_at(t, id, ioas, RW, PAGE, 2 * PAGE, PAGE), -ENOENT);
	EXPECT(t, allow(t, id, NULL, 0), -ENOENT);
	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &ranges), -ENOENT);
	EXPECT(t, map_file_at(t, id, RW, 0, 0, PAGE, PAGE), -ENOENT);
	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, id, &val), -ENOENT);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_SET, &id), -ENOENT);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

/* A.1: DESTROY and close */

static void destroy_of_what_is_not_there_is_enoent(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	EXPECT(t, destroy(t, 0), -ENOENT);
	EXPECT(t, destroy(t, ioas), 0);
	EXPECT(t, destroy(t, ioas), -ENOENT);
}

static void ioas_with_maps_is_destroyed_with_them(struct rules *t)
{
	uint32_t ioas = ioas_new(t);

	EXPECT(t, map_at(t, ioas, PAGE, PAGE), 0);
	EXPECT(t, map_at(t, ioas, 8 * PAGE, PAGE), 0);
	EXPECT(t, destroy(t, ioas), 0);
	EXPECT(t, ioas_new(t), ioas);
	expect_bytes(t, ioas, 0);
}

static void copies_outlive_the_ioas_they_came_from(struct rules *t)
{
	uint32_t src = ioas_new(t), dst = ioas_new(t);

	EXPECT(t, map_at(t, src, PAGE, 2 * PAGE), 0);
	EXPECT(t, copy_at(t, dst, src, RW, PAGE, PAGE, 2 * PAGE), 0);
	EXPECT(t, destroy(t, src), 0);
	EXPECT(t, copy_at(t, dst, dst, RW, PAGE, 8 * PAGE, PAGE), 0);
	expect_bytes(t, dst, 3 * PAGE);
}

static void fault_queue_is_busy_while_its_file_is_open(struct rules *t)
{
	uint32_t id;
	int fd;

	EXPECT(t, fault_new(t, &id, &fd), 0);
	EXPECT(t, destroy(t, id), -EBUSY);
	EXPECT(t, destroy(t, id), -EBUSY);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, destroy(t, id), 0);
	EXPECT(t, destroy(t, id), -ENOENT);
}

static void compat_ioas_that_is_destroyed_is_forgotten(struct rules *t)
{
	uint32_t ioas = container_new(t), other = ioas_new(t), id = 0;

	EXPECT(t, destroy(t, other), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), 0);
	EXPECT(t, id, ioas);
	EXPECT(t, destroy(t, ioas), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), -ENODEV);
	EXPECT(t, container_map(t, PAGE, PAGE), -ENODEV);
	/* Nor is it the one that gets the same id. */
	EXPECT(t, ioas_new(t), ioas);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &id), -ENODEV);
}

static void close_ends_all_objects(struct rules *t)
{
	for (int round = 0; round < 3; round++) {
		int fd = node_open(t, "/dev/iommu");
		struct iommu_ioas_alloc c = {.size = sizeof(c)};

		for (uint32_t id = 1; id <= 10; id++) {
			EXPECT(t, on_other(t, fd, IOMMU_IOAS_ALLOC, &c), 0);
			EXPECT(t, c.out_ioas_id, id);
		}
		EXPECT(t, transport_close(t->transport, fd), 0);
		EXPECT(t, on_other(t, fd, IOMMU_IOAS_ALLOC, &c), -EBADF);
	}
}

static void context_lives_while_a_fault_queue_is_open(struct rules *t)
{
	uint32_t id;
	int fd;
	char record[40];

	EXPECT(t, fault_new(t, &id, &fd), 0);
	EXPECT(t, transport_close(t->transport, t->fd), 0);
	EXPECT(t, transport_read(t->transport, fd, record, sizeof(record)), 0);
	EXPECT(t, transport_poll(t->transport, fd, POLLIN | POLLOUT), POLLOUT);
	EXPECT(t, transport_close(t->transport, fd), 0);
	t->fd = node_open(t, "/dev/iommu");
	EXPECT(t, ioas_new(t), 1);
}

/* A.2: IOAS_ALLOC */

static void ioas_alloc_knows_no_flags(struct rules *t)
{
	for (int bit = 0; bit < 32; bit++) {
		struct iommu_ioas_alloc c = {.size = sizeof(c), .flags = 1U << bit};

		EXPECT(t, call(t, IOMMU_IOAS_ALLOC, &c), -EOPNOTSUPP);
	}
}

static void ioas_alloc_ignores_what_the_answer_held(struct rules *t)
{
	struct iommu_ioas_alloc c = {.size = sizeof(c), .out_ioas_id = 77};

	EXPECT(t, call(t, IOMMU_IOAS_ALLOC, &c), 0);
	EXPECT(t, c.out_ioas_id, 1);
}

static void new_ioas_is_empty_and_has_huge_pages(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	struct iommu_iova_range range[2] = {{7, 7}, {7, 7}};
	struct iommu_ioas_iova_ranges c = {
		.size = sizeof(c), .ioas_id = ioas, .num_iovas = 2, .allowed_iovas = (uintptr_t)range};
	uint64_t val = 7;

	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), 0);
	EXPECT(t, c.num_iovas, 1);
	EXPECT_U64(t, c.out_iova_alignment, 1);
	EXPECT_U64(t, range[0].start, 0);
	EXPECT_U64(t, range[0].last, U64_MAX);
	EXPECT(t, option(t, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_GET, ioas, &val), 0);
	EXPECT_U64(t, val, 1);
	expect_bytes(t, ioas, 0);
}

static const struct rule_case cases[] = {
	CASE("A.0-1", each_open_is_a_context_of_its_own),
	CASE("A.0-2", any_access_mode_is_enough_for_everything),
	CASE("A.0-3,D.0-1", both_nodes_take_all_commands),
	CASE("A.0-4,A.10-4a", node_says_how_locked_memory_counts),
	CASE("A.0-5", read_and_write_are_einval),
	CASE("A.0-5", read_and_write_at_a_position_are_einval),
	CASE("A.0-6", poll_says_ready_at_once),
	CASE("A.0.4-1,A.0.4-2,A.0.4-3", mmap_wants_shared_then_no_exec_then_an_offered_region),
	CASE("A.0.2-1", first_id_is_1_and_the_next_ones_follow),
	CASE("A.0.2-2", lowest_free_id_is_used_again_at_once),
	CASE("A.0.2-3", all_types_share_one_space_of_ids),
	CASE("A.0.2-4,A.0.1-7", call_that_fails_uses_no_id_up),
	CASE("A.0.2-5,A.1-1,A.3-2,A.4-2,A.5-4,A.7-4,A.8-4,A.9-1,A.10-5a,A.11-3b", id_that_no_object_has_is_enoent),
	CASE("A.0.2-6,A.7-7b", object_of_another_type_is_enoent),
	CASE("A.1-1", destroy_of_what_is_not_there_is_enoent),
	CASE("A.1-3", ioas_with_maps_is_destroyed_with_them),
	CASE("A.7-14", copies_outlive_the_ioas_they_came_from),
	CASE("A.1-2a,A.17-4", fault_queue_is_busy_while_its_file_is_open),
	CASE("A.1-4,D.0-4,A.11-3c", compat_ioas_that_is_destroyed_is_forgotten),
	CASE("A.1-5", close_ends_all_objects),
	CASE("A.1-6", context_lives_while_a_fault_queue_is_open),
	CASE("A.2-1", ioas_alloc_knows_no_flags),
	CASE("A.2-2", ioas_alloc_ignores_what_the_answer_held),
	CASE("A.2-3,A.18-1", new_ioas_is_empty_and_has_huge_pages),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
