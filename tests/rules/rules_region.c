/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * E.3 and E.6: regions of a PCI device, eventfds that write registers, features. The device is the copy engine, whose
 * BAR 0 has 64 bits of address and 16 KiB that can be mapped, with one vector of MSI-X in it.
 */
#define _GNU_SOURCE
#include "device.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define REGION(index) ((off_t)((uint64_t)(index) << 40))
#define CONFIG        REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define BAR_SIZE      UINT64_C(0x4000)
#define UNUSED        0x2f00 /* registers of BAR 0 that the engine does not look at */

static int dev; /* vfio0, bound to the case's file */

static void begin(struct rules *t)
{
	dev = cdev_new(t, 0, NULL);
}

static void end(struct rules *t)
{
	device_close(t, dev);
}

static int command(struct rules *t, unsigned long cmd, void *arg)
{
	return call_on(t, dev, cmd, arg);
}

static ssize_t rd(struct rules *t, off_t at, void *to, size_t n)
{
	return transport_pread(t->transport, dev, to, n, at);
}

static ssize_t wr(struct rules *t, off_t at, const void *from, size_t n)
{
	return transport_pwrite(t->transport, dev, from, n, at);
}

static uint64_t get(struct rules *t, off_t at, size_t n)
{
	uint64_t value = 0;

	EXPECT(t, rd(t, at, &value, n), n);
	return value;
}

static void put(struct rules *t, off_t at, size_t n, uint64_t value)
{
	EXPECT(t, wr(t, at, &value, n), n);
}

/* Where a capability is. */
static off_t capability(struct rules *t, uint8_t id)
{
	uint64_t at = get(t, CONFIG + PCI_CAPABILITY_LIST, 1);

	for (int n = 0; at && get(t, CONFIG + (off_t)at, 1) != id && n < 48; n++)
		at = get(t, CONFIG + (off_t)at + 1, 1);
	EXPECT(t, at != 0, true);
	return CONFIG + (off_t)at;
}

/* E.3: GET_REGION_INFO */

struct region_row {
	uint32_t index;
	int result;
	uint32_t flags;
	uint64_t size;
};

static void region_info(struct rules *t, const void *row)
{
	const struct region_row *r = row;
	struct vfio_region_info info = {.argsz = sizeof(info), .flags = 0xff, .index = r->index, .size = 1};

	begin(t);
	EXPECT(t, command(t, VFIO_DEVICE_GET_REGION_INFO, &info), r->result);
	if (!r->result) {
		EXPECT_U64(t, info.flags, r->flags);
		EXPECT_U64(t, info.size, r->size);
		EXPECT_U64(t, info.offset, (uint64_t)r->index << 40);
		EXPECT_U64(t, info.index, r->index);
	}
	end(t);
}

static void region_info_reads_32_bytes_and_wants_them(struct rules *t)
{
	struct vfio_region_info info = {.index = 99};

	begin(t);
	EXPECT(t, command(t, VFIO_DEVICE_GET_REGION_INFO, HOLE), -EFAULT);
	for (info.argsz = 0; info.argsz < sizeof(info); info.argsz++)
		EXPECT(t, command(t, VFIO_DEVICE_GET_REGION_INFO, &info), -EINVAL);
	EXPECT(t,
	       command(t, VFIO_DEVICE_GET_REGION_INFO,
		       place_at_end(t, &info, sizeof(info) - 1, PROT_READ | PROT_WRITE)),
	       -EFAULT);
	info.index = 7;
	EXPECT(t, command(t, VFIO_DEVICE_GET_REGION_INFO, place_at_end(t, &info, sizeof(info), PROT_READ)), -EFAULT);
	EXPECT(t, command(t, VFIO_DEVICE_GET_REGION_INFO, place_at_end(t, &info, sizeof(info), PROT_READ | PROT_WRITE)),
	       0);
	end(t);
}

static void region_info_tells_how_long_it_is(struct rules *t)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header cap;
		uint8_t more[8];
	} answer;

	begin(t);
	for (uint32_t argsz = sizeof(answer.info); argsz <= sizeof(answer); argsz++) {
		const bool fits = argsz >= 40;

		memset(&answer, 0x77, sizeof(answer));
		answer.info.argsz = argsz;
		answer.info.index = 0;
		EXPECT(t, command(t, VFIO_DEVICE_GET_REGION_INFO, &answer), 0);
		EXPECT_U64(t, answer.info.argsz, fits ? argsz : 40);
		EXPECT_U64(t, answer.info.cap_offset, fits ? 32 : 0);
		EXPECT_U64(t, answer.info.flags & VFIO_REGION_INFO_FLAG_CAPS, VFIO_REGION_INFO_FLAG_CAPS);
		EXPECT_U64(t, answer.cap.id, fits ? VFIO_REGION_INFO_CAP_MSIX_MAPPABLE : 0x7777);
		EXPECT_U64(t, answer.cap.version, fits ? 1 : 0x7777);
		EXPECT_U64(t, answer.cap.next, fits ? 0 : 0x77777777);
		EXPECT_U64(t, answer.more[0], 0x77);
	}
	answer.info.argsz = 40;
	EXPECT(t, command(t, VFIO_DEVICE_GET_REGION_INFO, place(t, &answer, 40, 32, PROT_READ | PROT_WRITE, PROT_READ)),
	       -EFAULT);
	end(t);
}

/* E.3: read and write */

static void index_that_is_no_region_is_einval(struct rules *t)
{
	static const unsigned none[] = {
		1,    2,       3, 4, 5, VFIO_PCI_ROM_REGION_INDEX, VFIO_PCI_VGA_REGION_INDEX, VFIO_PCI_NUM_REGIONS,
		0x10, 0x7fffff};
	uint64_t value = 0;

	begin(t);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		EXPECT(t, rd(t, REGION(none[i]), &value, 4), -EINVAL);
		EXPECT(t, wr(t, REGION(none[i]), &value, 4), -EINVAL);
	}
	end(t);
}

static void bars_are_sized_by_writing_ones(struct rules *t)
{
	begin(t);
	for (off_t bar = CONFIG + PCI_BASE_ADDRESS_0; bar <= CONFIG + PCI_BASE_ADDRESS_5; bar += 4) {
		const uint64_t was = get(t, bar, 4);

		put(t, bar, 4, UINT32_MAX);
		EXPECT_U64(t, get(t, bar, 4),
			   bar == CONFIG + PCI_BASE_ADDRESS_0   ? 0xffffc004
			   : bar == CONFIG + PCI_BASE_ADDRESS_1 ? 0xffffffff
								: 0);
		put(t, bar, 4, was);
		EXPECT_U64(t, get(t, bar, 4), was);
	}
	put(t, CONFIG + PCI_ROM_ADDRESS, 4, UINT32_MAX);
	EXPECT_U64(t, get(t, CONFIG + PCI_ROM_ADDRESS, 4), 0);
	end(t);
}

static void bar_without_memory_decode_is_eio(struct rules *t)
{
	uint64_t value = 0;

	begin(t);
	EXPECT_U64(t, get(t, CONFIG + PCI_COMMAND, 2), PCI_COMMAND_MEMORY); /* enabled by who opens it */
	EXPECT(t, rd(t, REGION(0), &value, 4), 4);
	put(t, CONFIG + PCI_COMMAND, 2, 0);
	EXPECT(t, rd(t, REGION(0), &value, 4), -EIO);
	EXPECT(t, wr(t, REGION(0) + UNUSED, &value, 4), -EIO);
	EXPECT(t, rd(t, REGION(0) + (off_t)BAR_SIZE, &value, 4), -EINVAL);
	EXPECT(t, rd(t, REGION(1), &value, 4), -EINVAL);
	put(t, CONFIG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	EXPECT(t, rd(t, REGION(0), &value, 4), 4);
	end(t);
}

static void sleeping_device_is_eio(struct rules *t)
{
	uint64_t value;
	off_t control;

	begin(t);
	control = capability(t, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	put(t, control, 2, 3);
	EXPECT_U64(t, get(t, control, 2) & PCI_PM_CTRL_STATE_MASK, 3);
	EXPECT(t, rd(t, REGION(0), &value, 4), -EIO);
	put(t, control, 2, 1); /* there is no such state */
	EXPECT_U64(t, get(t, control, 2) & PCI_PM_CTRL_STATE_MASK, 3);
	put(t, control, 2, 0);
	EXPECT(t, rd(t, REGION(0), &value, 4), 4);
	end(t);
}

static void config_is_accessed_in_any_width(struct rules *t)
{
	unsigned char all[256], part[16];

	begin(t);
	EXPECT(t, rd(t, CONFIG, all, sizeof(all)), sizeof(all));
	EXPECT_U64(t, all[0] | all[1] << 8, 0x8086);
	for (size_t at = 0; at < 240; at++)
		for (size_t n = 0; n < 16; n++) {
			EXPECT(t, rd(t, CONFIG + (off_t)at, part, n), n);
			EXPECT(t, memcmp(part, all + at, n), 0);
		}
	put(t, CONFIG + PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_DISABLE >> 8);
	EXPECT_U64(t, get(t, CONFIG + PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	put(t, CONFIG + 3, 7, UINT64_MAX); /* from the device's id to its class */
	EXPECT_U64(t, get(t, CONFIG, 4), 0x20218086);
	EXPECT_U64(t, get(t, CONFIG + PCI_CLASS_REVISION, 4), 0x08800004);
	end(t);
}

static void config_beyond_its_end_is_efault(struct rules *t)
{
	unsigned char bytes[8] = {0};

	begin(t);
	EXPECT(t, rd(t, CONFIG + 4096, bytes, 1), -EFAULT);
	EXPECT(t, rd(t, CONFIG + 4092, bytes, 8), -EFAULT);
	EXPECT(t, wr(t, CONFIG + 4096, bytes, 1), -EFAULT);
	EXPECT(t, wr(t, CONFIG + 4095, bytes, 2), -EFAULT);
	EXPECT(t, rd(t, CONFIG + 4088, bytes, 8), 8);
	end(t);
}

static void bar_beyond_its_end_is_einval(struct rules *t)
{
	unsigned char bytes[32];

	begin(t);
	EXPECT(t, rd(t, REGION(0) + (off_t)BAR_SIZE, bytes, 1), -EINVAL);
	EXPECT(t, wr(t, REGION(0) + (off_t)BAR_SIZE, bytes, 1), -EINVAL);
	EXPECT(t, rd(t, REGION(0) + (off_t)BAR_SIZE - 7, bytes, sizeof(bytes)), 7);
	EXPECT(t, wr(t, REGION(0) + (off_t)BAR_SIZE - 7, bytes, sizeof(bytes)), 7);
	end(t);
}

static void nothing_is_read_or_written_with_success(struct rules *t)
{
	begin(t);
	EXPECT(t, rd(t, REGION(77), HOLE, 0), 0);
	EXPECT(t, wr(t, REGION(77), HOLE, 0), 0);
	end(t);
}

static void memory_that_cannot_be_accessed_is_efault(struct rules *t)
{
	const uint64_t value = UINT64_MAX;
	unsigned char *at;

	begin(t);
	EXPECT(t, rd(t, REGION(0), HOLE, 8), -EFAULT);
	EXPECT(t, rd(t, CONFIG, HOLE, 8), -EFAULT);
	EXPECT(t, wr(t, REGION(0) + UNUSED, HOLE, 8), -EFAULT);
	EXPECT(t, wr(t, CONFIG + PCI_BASE_ADDRESS_0, HOLE, 4), -EFAULT);
	put(t, REGION(0) + UNUSED, 8, 0);
	at = place_at_end(t, &value, 6, PROT_READ); /* the last two bytes cannot be read */
	EXPECT(t, wr(t, REGION(0) + UNUSED, at, 8), -EFAULT);
	EXPECT_U64(t, get(t, REGION(0) + UNUSED, 8), 0);
	end(t);
}

static void vectors_read_as_ones(struct rules *t)
{
	off_t table, pending;

	begin(t);
	table = REGION(0) + (off_t)(get(t, capability(t, PCI_CAP_ID_MSIX) + PCI_MSIX_TABLE, 4) & ~UINT64_C(7));
	pending = REGION(0) + (off_t)(get(t, capability(t, PCI_CAP_ID_MSIX) + PCI_MSIX_PBA, 4) & ~UINT64_C(7));
	EXPECT_U64(t, get(t, table, 8), UINT64_MAX);
	put(t, table + 8, 8, 0);
	EXPECT_U64(t, get(t, table + 8, 8), UINT64_MAX);
	EXPECT_U64(t, get(t, table + 16, 8), 0);
	EXPECT_U64(t, get(t, pending, 8), 0);
	end(t);
}

static void interrupts_are_not_enabled_by_config(struct rules *t)
{
	const uint16_t ones = UINT16_MAX;
	off_t msi, msix;

	begin(t);
	msi = capability(t, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS;
	msix = capability(t, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
	put(t, msi, 2, ones);
	put(t, msix, 2, ones);
	EXPECT_U64(t, get(t, msi, 2), PCI_MSI_FLAGS_64BIT);
	EXPECT_U64(t, get(t, msix, 2), 0);
	end(t);
}

static void config_shows_what_is_enabled(struct rules *t)
{
	struct {
		uint32_t argsz, flags, index, start, count; /* struct vfio_irq_set */
		int32_t fd;
	} irqs = {.argsz = sizeof(irqs), .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER};
	off_t msi, msix;

	begin(t);
	msi = capability(t, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS;
	msix = capability(t, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
	irqs.fd = eventfd(0, EFD_CLOEXEC);
	irqs.index = VFIO_PCI_MSIX_IRQ_INDEX;
	irqs.count = 1;
	EXPECT(t, command(t, VFIO_DEVICE_SET_IRQS, &irqs), 0);
	EXPECT_U64(t, get(t, msix, 2), PCI_MSIX_FLAGS_ENABLE);
	put(t, msix, 2, 0);
	EXPECT_U64(t, get(t, msix, 2), PCI_MSIX_FLAGS_ENABLE);
	irqs.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	irqs.count = 0;
	EXPECT(t, command(t, VFIO_DEVICE_SET_IRQS, &irqs), 0);
	EXPECT_U64(t, get(t, msix, 2), 0);
	irqs.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	irqs.index = VFIO_PCI_MSI_IRQ_INDEX;
	irqs.count = 1;
	EXPECT(t, command(t, VFIO_DEVICE_SET_IRQS, &irqs), 0);
	put(t, msi, 2, PCI_MSI_FLAGS_ENABLE);
	EXPECT_U64(t, get(t, msi, 2), PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_ENABLE);
	close(irqs.fd);
	end(t);
}

static void reset_by_config_keeps_config(struct rules *t)
{
	off_t control;

	begin(t);
	control = capability(t, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
	put(t, CONFIG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put(t, REGION(0) + UNUSED, 8, 0x1234);
	put(t, control, 2, get(t, control, 2) | PCI_EXP_DEVCTL_BCR_FLR);
	EXPECT_U64(t, get(t, control, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
	EXPECT_U64(t, get(t, REGION(0) + UNUSED, 8), 0);
	EXPECT_U64(t, get(t, CONFIG + PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put(t, REGION(0) + UNUSED, 8, 0x1234);
	EXPECT(t, command(t, VFIO_DEVICE_RESET, NULL), 0);
	EXPECT_U64(t, get(t, REGION(0) + UNUSED, 8), 0);
	EXPECT_U64(t, get(t, CONFIG + PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	end(t);
	begin(t); /* anew */
	EXPECT_U64(t, get(t, CONFIG + PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	end(t);
}

/* E.3: mmap */

struct map_row {
	int result;
	int flags;
	off_t offset;
	size_t length;
};

static void map(struct rules *t, const void *row)
{
	const struct map_row *r = row;
	void *at = NULL;

	begin(t);
	EXPECT(t, transport_mmap(t->transport, dev, r->length, PROT_READ | PROT_WRITE, r->flags, r->offset, &at),
	       r->result);
	if (!r->result)
		EXPECT(t, munmap(at, r->length), 0);
	end(t);
}

static void mapped_bar_is_the_bar(struct rules *t)
{
	volatile uint32_t *bar;
	void *at;

	begin(t);
	EXPECT(t, transport_mmap(t->transport, dev, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, REGION(0), &at), 0);
	bar = at;
	bar[UNUSED / 4] = 0x12345678;
	EXPECT_U64(t, get(t, REGION(0) + UNUSED, 4), 0x12345678);
	put(t, REGION(0) + UNUSED + 4, 4, 0x9abcdef0);
	EXPECT_U64(t, bar[UNUSED / 4 + 1], 0x9abcdef0);
	EXPECT(t, munmap(at, BAR_SIZE), 0);
	end(t);
}

/* E.3: IOEVENTFD */

static struct vfio_device_ioeventfd ioeventfd(uint64_t offset, int fd)
{
	return (struct vfio_device_ioeventfd){.argsz = sizeof(struct vfio_device_ioeventfd),
					      .flags = VFIO_DEVICE_IOEVENTFD_32,
					      .offset = offset,
					      .data = 0xfeedf00d,
					      .fd = fd};
}

static int set(struct rules *t, uint64_t offset, int fd)
{
	struct vfio_device_ioeventfd cmd = ioeventfd(offset, fd);

	return command(t, VFIO_DEVICE_IOEVENTFD, &cmd);
}

static void ioeventfd_reads_28_bytes_and_wants_them(struct rules *t)
{
	const int fd = eventfd(0, EFD_CLOEXEC);
	struct vfio_device_ioeventfd cmd = ioeventfd(UNUSED, fd);

	begin(t);
	EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, HOLE), -EFAULT);
	EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, place_at_end(t, &cmd, 27, PROT_READ)), -EFAULT);
	for (cmd.argsz = 0; cmd.argsz < 28; cmd.argsz++)
		EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, &cmd), -EINVAL);
	EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, place_at_end(t, &cmd, 28, PROT_READ)), 0);
	close(fd);
	end(t);
}

static void ioeventfd_has_one_width_and_no_fd_below_minus_1(struct rules *t)
{
	const int fd = eventfd(0, EFD_CLOEXEC);

	begin(t);
	for (uint32_t flags = 0; flags < 0x80; flags++) {
		struct vfio_device_ioeventfd cmd = ioeventfd(UNUSED, fd);

		cmd.flags = flags;
		/* 8 bytes are not to be had, as in Linux. */
		EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, &cmd),
		       flags == 1 || flags == 2 || flags == 4 ? 0 : -EINVAL);
	}
	EXPECT(t, set(t, UNUSED + 8, -2), -EINVAL);
	close(fd);
	end(t);
}

static void ioeventfd_is_for_registers_of_bars(struct rules *t)
{
	static const uint64_t none[] = {UINT64_C(1) << 40,
					UINT64_C(6) << 40,
					UINT64_C(7) << 40,
					UINT64_C(8) << 40,
					UINT64_C(9) << 40,
					UINT64_MAX - 7,
					BAR_SIZE,
					BAR_SIZE - 3,
					0x3000,
					0x300c,
					0x2ffd};
	const int fd = eventfd(0, EFD_CLOEXEC);

	begin(t);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		EXPECT(t, set(t, none[i], fd), -EINVAL);
		EXPECT(t, set(t, none[i], -1), -EINVAL);
	}
	EXPECT(t, set(t, 0x2ffc, fd), 0);
	EXPECT(t, set(t, 0x3010, fd), 0);
	close(fd);
	end(t);
}

static void ioeventfd_is_added_once_and_removed_once(struct rules *t)
{
	const int fd = eventfd(0, EFD_CLOEXEC);

	begin(t);
	EXPECT(t, set(t, UNUSED, -1), -ENODEV);
	EXPECT(t, set(t, UNUSED, fd), 0);
	EXPECT(t, set(t, UNUSED, fd), -EEXIST);
	EXPECT(t, set(t, UNUSED, NO_FD), -EEXIST);
	EXPECT(t, set(t, UNUSED + 4, fd), 0);
	EXPECT(t, set(t, UNUSED, -1), 0);
	EXPECT(t, set(t, UNUSED, -1), -ENODEV);
	close(fd);
	end(t);
}

static void ioeventfd_wants_an_eventfd(struct rules *t)
{
	int other[2];

	begin(t);
	EXPECT(t, pipe2(other, O_CLOEXEC), 0);
	EXPECT(t, set(t, UNUSED, NO_FD), -EBADF);
	EXPECT(t, set(t, UNUSED, other[0]), -EINVAL);
	EXPECT(t, set(t, UNUSED, -1), -ENODEV);
	close(other[0]);
	close(other[1]);
	end(t);
}

static void ioeventfds_are_a_thousand(struct rules *t)
{
	const int fd = eventfd(0, EFD_CLOEXEC);
	struct vfio_device_ioeventfd cmd = ioeventfd(UNUSED, fd);

	begin(t);
	for (cmd.data = 0; cmd.data < 1000; cmd.data++)
		if (!EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, &cmd), 0))
			break;
	EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, &cmd), -ENOSPC);
	cmd.fd = NO_FD;
	EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, &cmd), -ENOSPC);
	cmd.data = 3;
	EXPECT(t, command(t, VFIO_DEVICE_IOEVENTFD, &cmd), -EEXIST);
	close(fd);
	end(t);
}

static int64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void writing_the_eventfd_writes_the_register(struct rules *t)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	const int64_t late = seconds() + 20;

	begin(t);
	EXPECT(t, set(t, UNUSED, fd), 0);
	for (int i = 0; i < 3; i++) {
		EXPECT(t, eventfd_write(fd, 1), 0);
		while (get(t, REGION(0) + UNUSED, 4) != 0xfeedf00d && seconds() < late && !t->failures)
			;
		EXPECT_U64(t, get(t, REGION(0) + UNUSED, 8), 0xfeedf00d);
		put(t, REGION(0) + UNUSED, 4, 0);
	}
	EXPECT(t, set(t, UNUSED, -1), 0);
	EXPECT(t, eventfd_write(fd, 1), 0);
	EXPECT_U64(t, get(t, REGION(0) + UNUSED, 4), 0);
	close(fd);
	end(t);
}

/* E.6 */

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

struct feature_row {
	int result;
	uint32_t flags, argsz;
};

static void feature(struct rules *t, const void *row)
{
	const struct feature_row *r = row;
	uint32_t cmd[16] = {r->argsz, r->flags};

	begin(t);
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, cmd), r->result);
	end(t);
}

static int feature_call(struct rules *t, uint32_t flags)
{
	struct vfio_device_feature cmd = {.argsz = sizeof(cmd), .flags = flags};

	return command(t, VFIO_DEVICE_FEATURE, &cmd);
}

static void feature_that_cannot_be_read_is_efault(struct rules *t)
{
	const uint64_t zero = 0;

	begin(t);
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, HOLE), -EFAULT);
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, place_at_end(t, &zero, 7, PROT_READ)), -EFAULT);
	end(t);
}

static void features_of_other_devices_are_enotty(struct rules *t)
{
	static const uint32_t ids[] = {VFIO_DEVICE_FEATURE_MIGRATION,        VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				       VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,    VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
				       VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
				       VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,     VFIO_DEVICE_FEATURE_BUS_MASTER,
				       VFIO_DEVICE_FEATURE_DMA_BUF};

	begin(t);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		EXPECT(t, feature_call(t, ids[i] | PROBE), -ENOTTY);
		EXPECT(t, feature_call(t, ids[i] | PROBE | GET | SET), -ENOTTY);
		EXPECT(t, feature_call(t, ids[i] | GET), -ENOTTY);
		EXPECT(t, feature_call(t, ids[i] | SET), -ENOTTY);
		EXPECT(t, feature_call(t, ids[i]), -ENOTTY);
	}
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | PROBE), -EINVAL);
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 | SET), -EINVAL);
	end(t);
}

static void low_power_is_entered_once_and_left(struct rules *t)
{
	begin(t);
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET | PROBE), 0);
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET), 0); /* the probe did nothing */
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET), -EINVAL);
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | SET), 0);
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | SET), 0);
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET), 0);
	end(t);
	begin(t); /* whoever opens it finds it awake */
	EXPECT(t, feature_call(t, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET), 0);
	end(t);
}

static void wakeup_is_an_eventfd(struct rules *t)
{
	struct {
		uint32_t argsz, flags; /* struct vfio_device_feature */
		struct vfio_device_low_power_entry_with_wakeup entry;
	} cmd = {.argsz = sizeof(cmd), .flags = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | SET};
	const int fd = eventfd(0, EFD_CLOEXEC);
	int other[2];

	begin(t);
	EXPECT(t, pipe2(other, O_CLOEXEC), 0);
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, place_at_end(t, &cmd, 15, PROT_READ)), -EFAULT);
	cmd.entry.wakeup_eventfd = -1;
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, &cmd), -EINVAL);
	cmd.entry.wakeup_eventfd = NO_FD;
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, &cmd), -EBADF);
	cmd.entry.wakeup_eventfd = other[0];
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, &cmd), -EINVAL);
	cmd.entry.wakeup_eventfd = fd;
	cmd.entry.reserved = 1;
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, &cmd), -EINVAL);
	cmd.entry.reserved = 0;
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, &cmd), 0);
	EXPECT(t, command(t, VFIO_DEVICE_FEATURE, &cmd), -EINVAL);
	close(other[0]);
	close(other[1]);
	close(fd);
	end(t);
}

#define BAR_FLAGS                                                                                                      \
	(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP |                       \
	 VFIO_REGION_INFO_FLAG_CAPS)
#define REGION_INFO(rules, name, ...) ROW(rules, name, region_info, struct region_row, __VA_ARGS__)
#define MAP(rules, name, ...)         ROW(rules, name, map, struct map_row, __VA_ARGS__)
#define FEATURE(rules, name, ...)     ROW(rules, name, feature, struct feature_row, __VA_ARGS__)

#define ENTRY VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY

static const struct rule_case cases[] = {
	CASE("E.3-2a", region_info_reads_32_bytes_and_wants_them),
	REGION_INFO("E.3-2b,E.3-2c", region_of_a_bar, 0, 0, BAR_FLAGS, BAR_SIZE),
	REGION_INFO("E.3-2c", region_of_an_upper_half_is_empty, 1, 0, 0, 0),
	REGION_INFO("E.3-2c", region_of_no_bar_is_empty, 5, 0, 0, 0),
	REGION_INFO("E.3-2b,E.3-2d", region_of_no_rom_is_empty, VFIO_PCI_ROM_REGION_INDEX, 0, 0, 0),
	REGION_INFO("E.3-2b,E.3-2e", region_of_config, VFIO_PCI_CONFIG_REGION_INDEX, 0,
		    VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE, 4096),
	REGION_INFO("E.3-2f", region_of_vga_is_einval, .index = VFIO_PCI_VGA_REGION_INDEX, .result = -EINVAL),
	REGION_INFO("E.3-2f", region_beyond_the_last_is_einval, .index = VFIO_PCI_NUM_REGIONS, .result = -EINVAL),
	REGION_INFO("E.3-2f", region_far_beyond_the_last_is_einval, .index = UINT32_MAX, .result = -EINVAL),
	CASE("E.3-2g,E.3-2h", region_info_tells_how_long_it_is),

	CASE("E.3-5a", ioeventfd_reads_28_bytes_and_wants_them),
	CASE("E.3-5b,E.3-5d", ioeventfd_has_one_width_and_no_fd_below_minus_1),
	CASE("E.3-5c", ioeventfd_is_for_registers_of_bars),
	CASE("E.3-5e", ioeventfd_is_added_once_and_removed_once),
	CASE("E.3-5f", ioeventfds_are_a_thousand),
	CASE("E.3-5g", ioeventfd_wants_an_eventfd),
	CASE("E.3-5h", writing_the_eventfd_writes_the_register),

	CASE("E.3-6a", index_that_is_no_region_is_einval),
	CASE("E.3-6b", bars_are_sized_by_writing_ones),
	CASE("E.3-6c", bar_without_memory_decode_is_eio),
	CASE("E.3-6c", sleeping_device_is_eio),
	CASE("E.3-6d", config_is_accessed_in_any_width),
	CASE("E.3-6e", config_beyond_its_end_is_efault),
	CASE("E.3-6f", bar_beyond_its_end_is_einval),
	CASE("E.3-6g", nothing_is_read_or_written_with_success),
	CASE("E.3-6h", memory_that_cannot_be_accessed_is_efault),
	CASE("E.3-6i", vectors_read_as_ones),
	CASE("E.3-6j", interrupts_are_not_enabled_by_config),
	CASE("E.3-6j", config_shows_what_is_enabled),
	CASE("E.3-6k", reset_by_config_keeps_config),

	MAP("E.3-7a", map_of_no_region_is_einval, -EINVAL, MAP_SHARED, REGION(9), PAGE),
	MAP("E.3-7b", map_that_is_not_shared_is_einval, -EINVAL, MAP_PRIVATE, REGION(0), PAGE),
	MAP("E.3-7c", map_of_rom_is_einval, -EINVAL, MAP_SHARED, REGION(VFIO_PCI_ROM_REGION_INDEX), PAGE),
	MAP("E.3-7c", map_of_config_is_einval, -EINVAL, MAP_SHARED, CONFIG, PAGE),
	MAP("E.3-7c", map_of_vga_is_einval, -EINVAL, MAP_SHARED, REGION(VFIO_PCI_VGA_REGION_INDEX), PAGE),
	MAP("E.3-7c", map_of_no_bar_is_einval, -EINVAL, MAP_SHARED, REGION(1), PAGE),
	MAP("E.3-7d", map_beyond_the_bar_is_einval, -EINVAL, MAP_SHARED, REGION(0) + (off_t)BAR_SIZE, PAGE),
	MAP("E.3-7d", map_across_the_end_of_the_bar_is_einval, -EINVAL, MAP_SHARED, REGION(0) + 0x3000, 2 * PAGE),
	MAP("E.3-7e", map_of_a_page, 0, MAP_SHARED, REGION(0) + 0x1000, PAGE),
	MAP("E.3-7e", map_of_less_than_a_page, 0, MAP_SHARED, REGION(0) + 0x3000, 100),
	CASE("E.3-7e", mapped_bar_is_the_bar),

	CASE("E.6-1a", feature_that_cannot_be_read_is_efault),
	FEATURE("E.6-1a", feature_shorter_than_its_head_is_einval, -EINVAL, ENTRY | SET, 7),
	FEATURE("E.6-1b", flags_that_are_not_known_are_einval, -EINVAL, ENTRY | SET | PROBE << 1, 8),
	FEATURE("E.6-1b", flags_that_are_not_known_come_before_the_feature, -EINVAL, 0x7777 | 1U << 31, 8),
	FEATURE("E.6-1c", get_and_set_without_probe_is_einval, -EINVAL, 0x7777 | GET | SET, 8),
	FEATURE("E.6-1d", feature_that_is_not_known_is_enotty, -ENOTTY, 0x7777 | GET, 8),
	FEATURE("E.6-1d", probe_of_a_feature_that_is_not_known_is_enotty, -ENOTTY, 0xffff | PROBE | GET | SET, 8),
	FEATURE("E.6-1e", operation_that_a_feature_has_not_is_einval, -EINVAL, ENTRY | GET, 8),
	FEATURE("E.6-1e", probe_of_an_operation_that_a_feature_has_not_is_einval, -EINVAL, ENTRY | PROBE | GET | SET,
		8),
	FEATURE("E.6-1f", probe_without_an_operation, 0, ENTRY | PROBE, 8),
	FEATURE("E.6-1f", probe_needs_no_payload, 0, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | PROBE | SET, 8),
	FEATURE("E.6-1g", neither_get_nor_set_nor_probe_is_einval, -EINVAL, ENTRY, 8),
	FEATURE("E.6-1h", payload_that_is_short_is_einval, -EINVAL,
		VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | SET, 15),
	CASE("E.6-2a", features_of_other_devices_are_enotty),
	CASE("E.6-3a,E.6-1f", low_power_is_entered_once_and_left),
	CASE("E.6-3b", wakeup_is_an_eventfd),
};

int main(int argc, char **argv)
{
	return rules_main_devices(argc, argv, cases, ARRAY_SIZE(cases), rules_devices);
}
