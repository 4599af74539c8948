/* SPDX-License-Identifier: BSD-3-Clause */
/* dma-bufs of the test device: mapping them, and what is left when their exporter takes them back. */
#include "mock.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define PINS MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES

struct buffer {
	uint32_t ioas;
	struct mock m;
	int fd;
};

static struct buffer buffer_new(struct rules *t, uint32_t pages)
{
	struct buffer b = {.ioas = ioas_new(t)};

	b.m = mock_new(t, b.ioas, 0);
	b.fd = mock_dmabuf_new(t, pages * (uint32_t)PAGE);
	EXPECT(t, b.fd >= 0, true);
	return b;
}

static void buffer_close(struct rules *t, const struct buffer *b)
{
	EXPECT(t, transport_close(t->transport, b->fd), 0);
}

static void buffers_have_whole_pages(struct rules *t)
{
	static const struct {
		uint32_t length;
		int result;
		uint64_t pages;
	} rows[] = {{0, -EINVAL, 0},      {1, 0, 1},
		    {4096, 0, 1},         {4097, 0, 2},
		    {512 * 4096, 0, 512}, {512 * 4096 + 1, -EINVAL, 0}};
	uint32_t ioas = ioas_new(t);

	mock_new(t, ioas, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int fd = mock_dmabuf_new(t, rows[i].length);

		EXPECT(t, fd >= 0 ? 0 : fd, rows[i].result);
		if (fd < 0)
			continue;
		EXPECT(t, map_file_at(t, ioas, RW, fd, 0, AP, (rows[i].pages + 1) * PAGE), -EINVAL);
		EXPECT(t, map_file_at(t, ioas, RW, fd, 0, AP, rows[i].pages * PAGE), 0);
		expect_bytes(t, ioas, rows[i].pages * PAGE);
		EXPECT(t, transport_close(t->transport, fd), 0);
	}
}

static void buffer_is_mapped_in_parts(struct rules *t)
{
	struct buffer b = buffer_new(t, 8);

	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, 8 * PAGE), 0);
	EXPECT(t, map_file_at(t, b.ioas, READ, b.fd, 2 * PAGE, AP + HUGE, 3 * PAGE), 0);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 7 * PAGE, AP + 2 * HUGE, 2 * PAGE), -EINVAL);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 8 * PAGE, AP + 2 * HUGE, PAGE), -EINVAL);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, PAGE), -EEXIST);
	EXPECT(t, unmap(t, b.ioas, AP, 4 * PAGE, NULL), -ENOENT);
	expect_bytes(t, b.ioas, 11 * PAGE);
	buffer_close(t, &b);
}

static void buffer_outlives_its_descriptor(struct rules *t)
{
	struct buffer b = buffer_new(t, 4);
	uint32_t hwpt;

	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, 4 * PAGE), 0);
	buffer_close(t, &b);
	hwpt = hwpt_new(t, b.m.device, b.ioas, 0);
	EXPECT(t, destroy(t, hwpt), 0);
	expect_bytes(t, b.ioas, 4 * PAGE);
}

static void revoked_buffer_is_enodev_and_its_areas_stay(struct rules *t)
{
	struct buffer b = buffer_new(t, 4);

	memory_new(t);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, 4 * PAGE), 0);
	EXPECT(t, mock_dmabuf_revoke(t, b.fd, 1), 0);
	EXPECT(t, is_unmapped(t, b.ioas, AP, PAGE), false);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP + HUGE, PAGE), -ENODEV);
	EXPECT(t, unmap(t, b.ioas, AP, 4 * PAGE, NULL), 0);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, PAGE), -ENODEV);
	EXPECT(t, mock_dmabuf_revoke(t, b.fd, 1), 0);
	EXPECT(t, mock_dmabuf_revoke(t, b.fd, 0), 0);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, 4 * PAGE), 0);
	expect_bytes(t, b.ioas, 4 * PAGE);
	memory_free();
	buffer_close(t, &b);
}

static void areas_of_a_buffer_that_comes_back_can_be_unmapped(struct rules *t)
{
	struct buffer b = buffer_new(t, 4);
	uint32_t other = ioas_new(t);
	struct mock m2 = mock_new(t, other, 0);

	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, 4 * PAGE), 0);
	EXPECT(t, map_file_at(t, other, RW, b.fd, 0, AP, PAGE), 0);
	EXPECT(t, mock_dmabuf_revoke(t, b.fd, 1), 0);
	EXPECT(t, mock_dmabuf_revoke(t, b.fd, 0), 0);
	expect_bytes(t, b.ioas, 4 * PAGE);
	EXPECT(t, destroy(t, m2.stdev), 0);
	EXPECT(t, destroy(t, other), 0);
	buffer_close(t, &b);
}

static void accesses_refuse_buffers(struct rules *t)
{
	struct buffer b = buffer_new(t, 4);
	int rw = mock_access_new(t, b.ioas, 0), pins = mock_access_new(t, b.ioas, PINS);
	unsigned char byte = 0;
	uint32_t pin;

	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, 4 * PAGE), 0);
	EXPECT(t, mock_access_rw(t, rw, AP, &byte, 1, 0), -EINVAL);
	EXPECT(t, mock_access_rw(t, rw, AP, &byte, 1, MOCK_ACCESS_RW_WRITE), -EINVAL);
	EXPECT(t, mock_access_rw(t, rw, AP, &byte, 1, MOCK_ACCESS_RW_SLOW_PATH), -EINVAL);
	EXPECT(t, mock_access_pin(t, pins, AP, PAGE, 0, &pin), -EINVAL);
	EXPECT(t, transport_close(t->transport, rw), 0);
	EXPECT(t, transport_close(t->transport, pins), 0);
	buffer_close(t, &b);
}

static void buffers_are_not_cut(struct rules *t)
{
	struct buffer b = buffer_new(t, 4);
	uint32_t ioas = b.ioas;
	uint64_t removed;

	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_SET, &ioas), 0);
	EXPECT(t, small_pages(t, ioas), 0);
	EXPECT(t, map_file_at(t, ioas, RW, b.fd, 0, AP, 4 * PAGE), 0);
	EXPECT(t, container_unmap(t, AP + PAGE, PAGE, &removed), -EOPNOTSUPP);
	EXPECT(t, container_unmap(t, AP, 4 * PAGE, &removed), 0);
	EXPECT_U64(t, removed, 4 * PAGE);
	buffer_close(t, &b);
}

static void buffers_keep_the_process(struct rules *t)
{
	struct buffer b = buffer_new(t, 4);
	struct iommu_ioas_change_process c = {.size = sizeof(c)};

	EXPECT(t, call(t, IOMMU_IOAS_CHANGE_PROCESS, &c), 0);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, 4 * PAGE), 0);
	EXPECT(t, call(t, IOMMU_IOAS_CHANGE_PROCESS, &c), -EINVAL);
	buffer_close(t, &b);
}

static void buffers_are_copied(struct rules *t)
{
	struct buffer b = buffer_new(t, 4);
	uint32_t other = ioas_new(t);

	EXPECT(t, map_file_at(t, b.ioas, READ, b.fd, 0, AP, 4 * PAGE), 0);
	EXPECT(t, copy_at(t, other, b.ioas, READ, AP, AP, 4 * PAGE), 0);
	EXPECT(t, copy_at(t, other, b.ioas, RW, AP, AP + HUGE, 4 * PAGE), -EPERM);
	expect_bytes(t, other, 4 * PAGE);
	buffer_close(t, &b);
}

static void automatic_place_of_a_buffer_is_that_of_its_offset(struct rules *t)
{
	struct buffer b = buffer_new(t, 16);
	struct iommu_ioas_map_file c = {
		.size = sizeof(c), .flags = RW, .ioas_id = b.ioas, .fd = b.fd, .start = 4 * PAGE, .length = 8 * PAGE};

	/* Aligned to the lowest bit of the offset, 4 pages, and not to the 8 of the length. */
	EXPECT(t, map_at(t, ioas_new(t), AP, PAGE), 0);
	EXPECT(t, map_file_at(t, b.ioas, RW, b.fd, 0, AP, PAGE), 0);
	EXPECT(t, call(t, IOMMU_IOAS_MAP_FILE, &c), 0);
	EXPECT_U64(t, c.iova, AP + 4 * PAGE);
	buffer_close(t, &b);
}

static void revoke_wants_a_buffer_of_the_test_device(struct rules *t)
{
	int fd = memfd_new(t, PAGE);

	EXPECT(t, mock_dmabuf_revoke(t, -1, 1), -EBADF);
	EXPECT(t, mock_dmabuf_revoke(t, fd, 1) < 0, true);
	close_plain(t, fd);
}

static const struct rule_case cases[] = {
	CASE("A.8-16,A.8-16b,H-22", buffers_have_whole_pages),
	CASE("A.8-16,A.8-16b", buffer_is_mapped_in_parts),
	CASE("A.8-12", buffer_outlives_its_descriptor),
	CASE("A.8-16c,H-23", revoked_buffer_is_enodev_and_its_areas_stay),
	CASE("A.8-16c,H-23", areas_of_a_buffer_that_comes_back_can_be_unmapped),
	CASE("A.8-16d", accesses_refuse_buffers),
	CASE("A.8-16e,B.7-8", buffers_are_not_cut),
	CASE("A.8-16f,A.12-3", buffers_keep_the_process),
	CASE("A.8-16", buffers_are_copied),
	CASE("A.6-13c", automatic_place_of_a_buffer_is_that_of_its_offset),
	CASE("H-23b", revoke_wants_a_buffer_of_the_test_device),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
