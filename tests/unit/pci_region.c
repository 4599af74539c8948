/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions of a device: what is told of them, reads and writes in natural widths, and what can be mapped. */
#include "fake_vfio.h"

#include <sys/mman.h>

struct info_row {
	uint32_t index;
	int result;
	uint32_t flags;
	uint64_t size;
	uint32_t caps; /* bytes */
};

#define RW VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE

static const struct info_row rows[] = {
	{0, 0, RW | VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS, 0x8000, 16 + 2 * 16},
	{1, 0, 0, 0, 0},
	{2, 0, RW | VFIO_REGION_INFO_FLAG_MMAP, 0x4000, 0},
	{3, 0, 0, 0, 0},
	{4, 0, RW, 0x1000, 0},
	{5, 0, 0, 0, 0},
	{VFIO_PCI_ROM_REGION_INDEX, 0, 0, 0, 0},
	{VFIO_PCI_CONFIG_REGION_INDEX, 0, RW, 4096, 0},
	{VFIO_PCI_VGA_REGION_INDEX, -EINVAL, 0, 0, 0},
	{9, -EINVAL, 0, 0, 0},
	{UINT32_MAX, -EINVAL, 0, 0, 0},
};

static void get_region_info_tells_of_each_index(void)
{
	vfio_begin();
	for (size_t i = 0; i < ARRAY(rows); i++) {
		const struct info_row *row = &rows[i];
		struct vfio_region_info info = {.argsz = sizeof(info), .flags = 0x55, .index = row->index, .size = 77};

		CHECK_EQ(COMMAND(device_get_region_info, info), row->result);
		if (row->result)
			continue;
		CHECK_EQ(info.flags, row->flags);
		CHECK_EQ(info.size, row->size);
		CHECK_EQ(info.offset, (uint64_t)row->index << 40);
		CHECK_EQ(info.argsz, sizeof(info) + row->caps);
		CHECK_EQ(info.cap_offset, 0);
	}
	vfio_end();
}

static void get_region_info_needs_its_structure(void)
{
	struct vfio_region_info info = {.argsz = sizeof(info) - 1, .index = 99};

	vfio_begin();
	CHECK_EQ(COMMAND(device_get_region_info, info), -EINVAL);
	info.argsz = 0;
	CHECK_EQ(COMMAND(device_get_region_info, info), -EINVAL);
	fake.readable = sizeof(info) - 1;
	CHECK_EQ(COMMAND(device_get_region_info, info), -EFAULT);
	fake.readable = sizeof(fake.memory);
	info = (struct vfio_region_info){.argsz = 0x100, .index = 4};
	fake.deny_write = true;
	CHECK_EQ(COMMAND(device_get_region_info, info), -EFAULT);
	info.index = 0;
	CHECK_EQ(COMMAND(device_get_region_info, info), -EFAULT);
	vfio_end();
}

static void areas_are_told_where_there_is_room(void)
{
	struct {
		struct vfio_region_info info;
		struct {
			struct vfio_info_cap_header header;
			uint32_t nr_areas, reserved;
		} sparse;
		struct vfio_region_sparse_mmap_area areas[3];
	} answer;
	const uint32_t whole = sizeof(answer.info) + sizeof(answer.sparse) + 2 * sizeof(*answer.areas);

	vfio_begin();
	for (uint32_t argsz = sizeof(answer.info); argsz < sizeof(answer); argsz++) {
		memset(&answer, 0xee, sizeof(answer));
		answer.info.argsz = argsz;
		answer.info.index = 0;
		CHECK_EQ(COMMAND(device_get_region_info, answer), 0);
		CHECK_EQ(answer.info.argsz, argsz < whole ? whole : argsz);
		CHECK_EQ(answer.info.cap_offset, argsz < whole ? 0 : sizeof(answer.info));
		CHECK_EQ(answer.areas[2].offset, 0xeeeeeeeeeeeeeeee);
		if (argsz < whole) {
			CHECK_EQ(answer.sparse.nr_areas, 0xeeeeeeee);
			continue;
		}
		CHECK_EQ(answer.sparse.header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
		CHECK_EQ(answer.sparse.header.version, 1);
		CHECK_EQ(answer.sparse.header.next, 0);
		CHECK_EQ(answer.sparse.nr_areas, 2);
		CHECK_EQ(answer.areas[0].offset, 0x1000);
		CHECK_EQ(answer.areas[0].size, 0x2000);
		CHECK_EQ(answer.areas[1].offset, 0x6000);
		CHECK_EQ(answer.areas[1].size, 0x1000);
	}
	vfio_end();
}

static void vectors_in_mapped_pages_are_said_to_be(void)
{
	struct iommuse_model mapped = fake_model;
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header first;
		uint8_t rest[120];
	} answer = {.info = {.argsz = sizeof(answer)}};

	vfio_begin();
	mapped.bar[0] = (struct iommuse_bar){.size = 0x8000, .area = {{0, 0x8000}}};
	vdev.model = &mapped;
	CHECK_EQ(COMMAND(device_get_region_info, answer), 0);
	CHECK_EQ(answer.info.cap_offset, 32);
	CHECK_EQ(answer.first.id, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	CHECK_EQ(answer.first.next, 0);
	/* With another one before it. */
	mapped.bar[0].area[0] = (struct iommuse_area){0x2000, 0x2000};
	CHECK_EQ(COMMAND(device_get_region_info, answer), 0);
	CHECK_EQ(answer.first.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	CHECK_EQ(answer.first.next, 32 + 32);
	CHECK_EQ(answer.rest[24], VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	/* Not all of them. */
	mapped.msix_vectors = 300;
	mapped.bar[0].area[0].length = 0x2000;
	CHECK_EQ(COMMAND(device_get_region_info, answer), 0);
	CHECK_EQ(answer.first.next, 0);
	vdev.model = &fake_model;
	vfio_end();
}

/* [offset, offset + n) of the BAR that is all trapped. */
static void expect_widths(uint64_t offset, const unsigned *widths, size_t count, bool write)
{
	CHECK_EQ(model_saw.count, count);
	for (size_t i = 0; i < count && i < model_saw.count; i++) {
		const struct access_made *made = &model_saw.made[i];

		CHECK_EQ(made->write, write);
		CHECK_EQ(made->bar, TRAPPED_BAR);
		CHECK_EQ(made->offset, offset);
		CHECK_EQ(made->width, widths[i]);
		if (write)
			for (unsigned b = 0; b < made->width; b++)
				CHECK_EQ(made->value >> 8 * b & 0xff, (offset + b) & 0xff);
		offset += widths[i];
	}
	model_saw.count = 0;
}

struct width_row {
	uint64_t offset;
	size_t n, count;
	unsigned widths[6];
};

static const struct width_row widths[] = {
	{0, 1, 1, {1}},           {0, 4, 1, {4}},         {0, 8, 1, {8}},
	{4, 8, 2, {4, 4}},        {2, 8, 3, {2, 4, 2}},   {1, 15, 4, {1, 2, 4, 8}},
	{8, 15, 4, {8, 4, 2, 1}}, {0x1f8, 16, 2, {8, 8}}, /* across two pieces */
	{0x1fe, 4, 2, {2, 2}},    {0x1ff, 2, 2, {1, 1}},  {0xffd, 3, 2, {1, 2}},
};

static void accesses_have_the_width_that_the_offset_allows(void)
{
	vfio_begin();
	for (size_t i = 0; i < ARRAY(widths); i++) {
		const struct width_row *row = &widths[i];

		model_saw.answer = 0x8877665544332211;
		CHECK_EQ(rd(REGION(TRAPPED_BAR) + row->offset, 0, row->n), row->n);
		CHECK_EQ(fake.memory[0], 0x11);
		expect_widths(row->offset, row->widths, row->count, false);
		for (size_t b = 0; b < row->n; b++)
			fake.memory[100 + b] = (unsigned char)(row->offset + b);
		CHECK_EQ(wr(REGION(TRAPPED_BAR) + row->offset, 100, row->n), row->n);
		expect_widths(row->offset, row->widths, row->count, true);
		CHECK(atomic_exchange(&model_saw.kicks, 0) > 0);
	}
	vfio_end();
}

static void bars_end_where_they_end(void)
{
	vfio_begin();
	CHECK_EQ(rd(REGION(4) + 0x1000, 0, 4), -EINVAL);
	CHECK_EQ(wr(REGION(4) + 0x1000, 0, 4), -EINVAL);
	CHECK_EQ(rd(REGION(4) + (REGION(1) - 1), 0, 4), -EINVAL);
	CHECK_EQ(rd(REGION(4) + 0xffc, 0, 100), 4);
	CHECK_EQ(wr(REGION(4) + 0xffc, 0, 100), 4);
	CHECK_EQ(rd(REGION(2) + 0x3fff, 0, SIZE_MAX), 1);
	CHECK_EQ(rd(REGION(1), 0, 4), -EINVAL); /* there is none */
	CHECK_EQ(rd(REGION(3), 0, 4), -EINVAL); /* an upper half */
	CHECK_EQ(rd(REGION(VFIO_PCI_ROM_REGION_INDEX), 0, 4), -EINVAL);
	CHECK_EQ(wr(REGION(VFIO_PCI_ROM_REGION_INDEX), 0, 4), -EINVAL);
	CHECK_EQ(rd(REGION(VFIO_PCI_VGA_REGION_INDEX) + 0xa0000, 0, 4), -EINVAL);
	for (uint64_t index = 9; index; index <<= 1) {
		CHECK_EQ(rd(REGION(index % (1U << 24)), 0, 4), index % (1U << 24) ? -EINVAL : 4);
		CHECK_EQ(wr(REGION(index % (1U << 24)), 0, 4), index % (1U << 24) ? -EINVAL : 4);
	}
	CHECK_EQ(rd(UINT64_MAX, 0, 4), -EINVAL);
	CHECK_EQ(rd(REGION(9), 0, 0), 0);
	CHECK_EQ(wr(REGION(9), 0, 0), 0);
	vfio_end();
}

static void memory_that_is_not_decoded_is_eio(void)
{
	vfio_begin();
	CHECK_EQ(get(REGION(4), 4), 0); /* it is from the beginning */
	put(CONFIG + 4, 2, PCI_COMMAND_MASTER);
	model_saw.count = 0;
	CHECK_EQ(rd(REGION(4), 0, 4), -EIO);
	CHECK_EQ(wr(REGION(4), 0, 4), -EIO);
	CHECK_EQ(rd(REGION(2), 0, 4), -EIO);
	CHECK_EQ(wr(REGION(2), 0, 4), -EIO);
	CHECK_EQ(rd(REGION(4) + 0x1000, 0, 4), -EINVAL);
	CHECK_EQ(model_saw.count, 0);
	CHECK_EQ(rd(REGION(0) + TABLE, 0, 16), 16); /* VFIO's own */
	put(CONFIG + 4, 2, PCI_COMMAND_MEMORY);
	CHECK_EQ(rd(REGION(4), 0, 4), 4);
	put(CONFIG + vdev.config.pm + PCI_PM_CTRL, 2, 3);
	CHECK_EQ(rd(REGION(4), 0, 4), -EIO);
	put(CONFIG + vdev.config.pm + PCI_PM_CTRL, 2, 0);
	CHECK_EQ(rd(REGION(4), 0, 4), 4);
	vfio_end();
}

static void vectors_read_as_ones_and_are_not_written(void)
{
	vfio_begin();
	memset(fake.memory, 0x33, 256);
	CHECK_EQ(wr(REGION(0) + TABLE - 8, 0, 8 + VECTORS * 16 + 8), 8 + VECTORS * 16 + 8);
	CHECK_EQ(model_saw.count, 2);
	CHECK_EQ(model_saw.made[0].offset, TABLE - 8);
	CHECK_EQ(model_saw.made[1].offset, TABLE + VECTORS * 16);
	model_saw.count = 0;
	CHECK_EQ(rd(REGION(0) + TABLE - 8, 0, 8 + VECTORS * 16 + 8), 8 + VECTORS * 16 + 8);
	for (size_t i = 0; i < 8 + VECTORS * 16 + 8; i++)
		CHECK_EQ(fake.memory[i], i >= 8 && i < 8 + VECTORS * 16 ? 0xff : 0);
	model_saw.count = 0;
	/* None is pending. */
	memset(fake.memory, 0x33, 256);
	CHECK_EQ(wr(REGION(0) + PBA, 0, 8), 8);
	CHECK_EQ(get(REGION(0) + PBA, 8), 0);
	CHECK_EQ(model_saw.count, 0);
	(void)get(REGION(0) + PBA + 8, 8);
	CHECK_EQ(model_saw.count, 1);
	vfio_end();
}

static void areas_are_memory(void)
{
	vfio_begin();
	put(REGION(0) + 0x1ffc, 8, 0x1122334455667788); /* to its end and beyond its middle */
	CHECK_EQ(get(REGION(0) + 0x1ffc, 8), 0x1122334455667788);
	CHECK_EQ(vdev.memory[0][0x1ffc], 0x88);
	CHECK_EQ(model_saw.count, 0);
	vdev.memory[2][0x3fff] = 0x5a;
	CHECK_EQ(get(REGION(2) + 0x3fff, 1), 0x5a);
	memset(fake.memory, 0xc3, 0x1800);
	CHECK_EQ(wr(REGION(2) + 1, 0, 0x1800), 0x1800);
	CHECK_EQ(vdev.memory[2][0], 0);
	CHECK_EQ(vdev.memory[2][1], 0xc3);
	CHECK_EQ(vdev.memory[2][0x1800], 0xc3);
	CHECK_EQ(vdev.memory[2][0x1801], 0);
	CHECK(atomic_load(&model_saw.kicks) > 0);
	CHECK_EQ(get(REGION(0) + 0xfff, 2), 0); /* trapped, then memory */
	CHECK_EQ(model_saw.count, 1);
	/* Another driver's stores are not there. */
	pthread_mutex_lock(&vdev.lock);
	device_stop(&vdev);
	CHECK_EQ(device_start(dfile, &fake.client), 0);
	pthread_mutex_unlock(&vdev.lock);
	CHECK_EQ(get(REGION(2) + 0x3fff, 1), 0);
	vfio_end();
}

static void a_model_without_callbacks_reads_as_zero(void)
{
	struct iommuse_model dull = fake_model;

	vfio_begin();
	dull.read = NULL;
	dull.write = NULL;
	vdev.model = &dull;
	put(REGION(4), 4, 0xffffffff);
	CHECK_EQ(get(REGION(4), 4), 0);
	vdev.model = &fake_model;
	vfio_end();
}

static void what_cannot_be_copied_is_efault(void)
{
	vfio_begin();
	fake.readable = 6;
	CHECK_EQ(wr(REGION(4), 0, 8), -EFAULT); /* no half of an access is made */
	CHECK_EQ(model_saw.count, 0);
	CHECK_EQ(wr(REGION(4) + 4, 0, 8), -EFAULT); /* what came before is */
	CHECK_EQ(model_saw.count, 1);
	CHECK_EQ(model_saw.made[0].width, 4);
	fake.readable = 0;
	CHECK_EQ(wr(CONFIG + 4, 0, 2), -EFAULT);
	CHECK_EQ(vfio_device_command(&vdev), PCI_COMMAND_MEMORY);
	fake.readable = sizeof(fake.memory);
	fake.deny_write = true;
	CHECK_EQ(rd(REGION(4), 0, 4), -EFAULT);
	CHECK_EQ(rd(REGION(2), 0, 4), -EFAULT);
	CHECK_EQ(rd(CONFIG, 0, 4), -EFAULT);
	vfio_end();
}

static void config_is_read_and_written_in_parts(void)
{
	static unsigned char whole[4096];

	vfio_begin();
	CHECK_EQ(rd(CONFIG, 0, 4096), 4096);
	memcpy(whole, fake.memory, 4096);
	for (unsigned i = 0; i < 20000; i++) {
		const size_t offset = (i * 7) % 4096;
		const size_t n = i % 9 < 4096 - offset ? i % 9 : 4096 - offset;

		CHECK_EQ(rd(CONFIG + offset, 0, n), n);
		CHECK(!memcmp(fake.memory, whole + offset, n));
	}
	/* Across a register that can be written and one that cannot. */
	memset(fake.memory, 0xff, 8);
	CHECK_EQ(wr(CONFIG + 3, 0, 7), 7);
	CHECK_EQ(get(CONFIG, 4), 0x56781234);
	CHECK_EQ(get(CONFIG + 4, 2), 0x546);
	/* Nothing beyond the end, and then nothing at all. */
	CHECK_EQ(rd(CONFIG + 4096, 0, 1), -EFAULT);
	CHECK_EQ(rd(CONFIG + 4094, 0, 4), -EFAULT);
	CHECK_EQ(rd(CONFIG, 0, 4097), -EFAULT);
	CHECK_EQ(wr(CONFIG + 4092, 0, 8), -EFAULT);
	CHECK_EQ(wr(CONFIG + 1, 0, SIZE_MAX), -EFAULT);
	CHECK_EQ(rd(CONFIG + (REGION(1) - 1), 0, SIZE_MAX), -EFAULT);
	vfio_end();
}

static void set_mode(int mode, uint32_t enabled)
{
	pthread_mutex_lock(&vdev.irqs.lock);
	vdev.irqs.mode = mode;
	vdev.irqs.enabled = enabled;
	pthread_mutex_unlock(&vdev.irqs.lock);
}

static void config_says_which_interrupts_vfio_has_enabled(void)
{
	uint64_t msi, msix;

	vfio_begin();
	msi = CONFIG + vdev.config.msi + PCI_MSI_FLAGS;
	msix = CONFIG + vdev.config.msix + PCI_MSIX_FLAGS;
	CHECK_EQ(get(msi, 2), 0x86);
	CHECK_EQ(get(msix, 2), VECTORS - 1);
	put(msi, 2, 0xffff);
	put(msix, 2, 0xffff);
	CHECK_EQ(get(msi, 2), 0x86);
	CHECK_EQ(get(msix, 2), VECTORS - 1);
	set_mode(VFIO_PCI_MSIX_IRQ_INDEX, 2);
	CHECK_EQ(get(msix, 2), 0x8000 | (VECTORS - 1));
	CHECK_EQ(get(msix + 1, 1), 0x80);
	put(msix, 2, 0);
	CHECK_EQ(get(msix, 2), 0x8000 | (VECTORS - 1));
	/* As many vectors as there are enabled, as a power of two. */
	for (uint32_t enabled = 1; enabled <= 8; enabled++) {
		const unsigned most = enabled > 4 ? 3 : enabled > 2 ? 2 : enabled > 1;

		set_mode(VFIO_PCI_MSI_IRQ_INDEX, enabled);
		put(msi, 2, 0x0071);
		CHECK_EQ(get(msi, 2), 0x87U | most << 4);
		CHECK_EQ(get(msix, 2), VECTORS - 1);
		put(msi, 1, 1);
		CHECK_EQ(get(msi, 2), 0x87);
	}
	set_mode(-1, 0);
	CHECK_EQ(get(msi, 2), 0x86);
	vdev.irqs.asserted = true;
	CHECK_EQ(get(CONFIG + PCI_STATUS, 2), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	vdev.irqs.asserted = false;
	CHECK_EQ(get(CONFIG + PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	vfio_end();
}

static void a_function_level_reset_keeps_what_the_driver_set(void)
{
	uint64_t control;

	vfio_begin();
	control = CONFIG + vdev.config.express + PCI_EXP_DEVCTL;
	put(CONFIG + 4, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put(CONFIG + 0x10, 4, 0x40000000);
	put(REGION(2), 4, 0x12345678);
	put(CONFIG + vdev.config.pm + PCI_PM_CTRL, 2, 3);
	put(control, 2, 0x2930);
	CHECK_EQ(model_saw.resets, 0);
	put(control, 2, 0xa930);
	CHECK_EQ(model_saw.resets, 1);
	CHECK_EQ(get(control, 2), 0x2930);
	CHECK_EQ(get(CONFIG + 4, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK_EQ(get(CONFIG + 0x10, 4), 0x40000000);
	CHECK_EQ(get(CONFIG + vdev.config.pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET);
	CHECK_EQ(get(REGION(2), 4), 0);
	put(control + 1, 1, 0x80);
	CHECK_EQ(model_saw.resets, 2);
	put(control, 4, 0x8000);
	CHECK_EQ(model_saw.resets, 3);
	put(control + 2, 2, 0x8000); /* status */
	put(control, 1, 0x80);
	CHECK_EQ(model_saw.resets, 3);
	/* Not of who has it open no more. */
	vdev.user = NULL;
	put(control, 2, 0x8000);
	CHECK_EQ(model_saw.resets, 3);
	vfio_end();
}

struct map_row {
	uint64_t offset, length;
	int result;
};

static const struct map_row maps[] = {
	{REGION(0) + 0x1000, 0x1000, 0},
	{REGION(0) + 0x1000, 0x2000, 0},
	{REGION(0) + 0x2000, 0x1000, 0},
	{REGION(0) + 0x6000, 0x1000, 0},
	{REGION(2), 0x4000, 0},
	{REGION(2), 1, 0},
	{REGION(0), 0x1000, -EINVAL}, /* trapped */
	{REGION(0), 0x8000, -EINVAL},
	{REGION(0) + 0x2000, 0x2000, -EINVAL}, /* in part */
	{REGION(0) + 0x3000, 0x1000, -EINVAL}, /* vectors */
	{REGION(0) + 0x1000, 0x6000, -EINVAL}, /* over what is trapped */
	{REGION(0) + 0x1800, 0x800, -EINVAL},
	{REGION(2), 0x4001, -EINVAL},
	{REGION(2) + 0x3000, 0x2000, -EINVAL},
	{REGION(2) + 0x4000, 0x1000, -EINVAL},
	{REGION(2), UINT64_MAX, -EINVAL},
	{REGION(2), 0, -EINVAL},
	{REGION(1), 0x1000, -EINVAL},
	{REGION(3), 0x1000, -EINVAL},
	{REGION(4), 0x1000, -EINVAL},
	{REGION(6), 0x1000, -EINVAL},
	{CONFIG, 0x1000, -EINVAL},
	{REGION(8), 0x1000, -EINVAL},
	{REGION(9), 0x1000, -EINVAL},
	{UINT64_MAX & ~UINT64_C(0xfff), 0x1000, -EINVAL},
};

static void areas_are_what_can_be_mapped(void)
{
	static const int others[] = {0, MAP_PRIVATE, MAP_PRIVATE | MAP_FIXED};

	vfio_begin();
	for (size_t i = 0; i < ARRAY(maps); i++) {
		const struct map_row *row = &maps[i];
		struct file_region *region = NULL;

		for (size_t k = 0; k < ARRAY(others); k++)
			CHECK_EQ(device_mmap(dfile, &fake.client, row->length, PROT_READ, others[k], row->offset,
					     &region),
				 -EINVAL);
		CHECK_EQ(device_mmap(dfile, &fake.client, row->length, PROT_READ | PROT_WRITE, MAP_SHARED, row->offset,
				     &region),
			 row->result);
		if (row->result)
			continue;
		CHECK(region == vdev.region[row->offset >> 40]);
		CHECK_EQ(region->offset, row->offset & ~UINT64_C(0xffffffffff));
		CHECK_EQ(region->length, vdev.model->bar[row->offset >> 40].size);
		file_region_put(region);
	}
	vfio_end();
}

static uint64_t seed = 0x2545f4914f6cdd1d;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 8;
}

/* Reads and writes of any place and length: nothing is touched beyond what there is, and what is fixed stays. */
static void random_accesses_do_no_harm(void)
{
	static unsigned char before[4096];

	vfio_begin();
	memcpy(before, vdev.config.byte, sizeof(before));
	for (unsigned i = 0; i < 100000; i++) {
		const uint64_t index = any() % 10;
		const uint64_t sizes[] = {0x8000, 0, 0x4000, 0, 0x1000, 0, 0, 4096, 0, 0};
		const uint64_t offset = any() % 4 ? any() % (sizes[index] + 16) : any() & 0xffffffffff;
		const size_t n = any() % 4 ? any() % 17 : any() % 5000;
		ssize_t rc;

		model_saw.count = 0;
		for (size_t b = 0; b < 16; b++)
			fake.memory[b] = (unsigned char)any();
		/* The device stays awake, mostly. */
		if (index == 7 && any() % 8)
			fake.memory[0] |= 2;
		rc = any() % 2 ? rd(REGION(index) + offset, 0, n) : wr(REGION(index) + offset, 0, n);
		CHECK(rc == -EINVAL || rc == -EFAULT || rc == -EIO || (rc >= 0 && (size_t)rc <= n));
		if (rc > 0)
			CHECK(offset + (uint64_t)rc <= sizes[index]);
	}
	for (unsigned i = 0; i < 4096; i++)
		CHECK_EQ((vdev.config.byte[i] ^ before[i]) & ~vdev.config.writable[i], 0);
	for (unsigned i = 0; i < 0x1000; i++) /* trapped pages have no memory */
		CHECK_EQ(vdev.memory[0][i], 0);
	vfio_end();
}

int main(void)
{
	get_region_info_tells_of_each_index();
	get_region_info_needs_its_structure();
	areas_are_told_where_there_is_room();
	vectors_in_mapped_pages_are_said_to_be();
	accesses_have_the_width_that_the_offset_allows();
	bars_end_where_they_end();
	memory_that_is_not_decoded_is_eio();
	vectors_read_as_ones_and_are_not_written();
	areas_are_memory();
	a_model_without_callbacks_reads_as_zero();
	what_cannot_be_copied_is_efault();
	config_is_read_and_written_in_parts();
	config_says_which_interrupts_vfio_has_enabled();
	a_function_level_reset_keeps_what_the_driver_set();
	areas_are_what_can_be_mapped();
	random_accesses_do_no_harm();
	return check_result();
}
