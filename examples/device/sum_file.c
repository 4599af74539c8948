/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver of the device "checksum" (checksum.c), over VFIO's file of the device and an iommufd. It has a file summed,
 * then tries a wrong address.
 *
 *	cc -I include examples/device/sum_file.c -o sum_file
 *	iommuse run --device ./checksum.so -- ./sum_file FILE
 *
 * The headers in include/abi have the names and numbers of the kernel's linux/vfio.h and linux/iommufd.h.
 */
#include "checksum.h"

#include <abi/iommufd.h>
#include <abi/vfio.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096UL
#define IOVA 0x100000UL

static int iommufd, device;
static uint64_t registers; /* where BAR 0 is in the file of the device */
static volatile uint32_t *doorbell;
static int interrupt;
static uint32_t rung;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "sum_file: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void call(int fd, unsigned long cmd, void *arg, const char *what)
{
	if (ioctl(fd, cmd, arg) < 0)
		fail(what);
}

static uint64_t get(uint64_t offset)
{
	uint64_t value;

	if (pread(device, &value, sizeof(value), (off_t)(registers + offset)) != sizeof(value))
		fail("reading a register");
	return value;
}

static void set(uint64_t offset, uint64_t value)
{
	if (pwrite(device, &value, sizeof(value), (off_t)(registers + offset)) != sizeof(value))
		fail("writing a register");
}

/* Binds the device to an iommufd and attaches it to an empty address space, whose id it returns. */
static uint32_t open_device(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach)};

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		fail("/dev/iommu");
	device = open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC);
	if (device < 0)
		fail("/dev/vfio/devices/vfio0");
	bind.iommufd = iommufd;
	call(device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "VFIO_DEVICE_BIND_IOMMUFD");
	call(iommufd, IOMMU_IOAS_ALLOC, &alloc, "IOMMU_IOAS_ALLOC");
	attach.pt_id = alloc.out_ioas_id;
	call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	return alloc.out_ioas_id;
}

static void map_file(const char *path, uint32_t ioas, uint64_t *length)
{
	struct iommu_ioas_map map = {.size = sizeof(map), .ioas_id = ioas, .iova = IOVA};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *memory;

	if (fd < 0 || fstat(fd, &st))
		fail(path);
	*length = (uint64_t)st.st_size;
	if (!*length)
		return;
	map.length = (*length + PAGE - 1) & ~(PAGE - 1);
	memory = mmap(NULL, map.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || read(fd, memory, *length) != (ssize_t)*length)
		fail(path);
	close(fd);
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
	map.user_va = (uintptr_t)memory;
	call(iommufd, IOMMU_IOAS_MAP, &map, "IOMMU_IOAS_MAP");
}

/* Memory and DMA are let through, the doorbell is mapped, and vector 0 of MSI-X adds to an eventfd. */
static void reach_device(void)
{
	_Alignas(struct vfio_irq_set) char room[sizeof(struct vfio_irq_set) + sizeof(int32_t)] = {0};
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
	struct vfio_region_info config = {.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX};
	struct vfio_irq_set *irqs = (struct vfio_irq_set *)room;
	uint16_t memory_and_master = 6;

	call(device, VFIO_DEVICE_GET_REGION_INFO, &config, "VFIO_DEVICE_GET_REGION_INFO");
	if (pwrite(device, &memory_and_master, 2, (off_t)config.offset + 4) != 2)
		fail("writing configuration space");
	call(device, VFIO_DEVICE_GET_REGION_INFO, &bar, "VFIO_DEVICE_GET_REGION_INFO");
	registers = bar.offset;
	doorbell = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)(registers + CHECKSUM_DOORBELL));
	if (doorbell == MAP_FAILED)
		fail("mapping the doorbell");
	interrupt = eventfd(0, EFD_CLOEXEC);
	*irqs = (struct vfio_irq_set){.argsz = sizeof(room),
				      .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				      .index = VFIO_PCI_MSIX_IRQ_INDEX,
				      .count = 1};
	memcpy(irqs->data, &interrupt, sizeof(interrupt));
	call(device, VFIO_DEVICE_SET_IRQS, irqs, "VFIO_DEVICE_SET_IRQS");
}

/* Returns CHECKSUM_DONE or CHECKSUM_ERROR. */
static uint64_t sum(uint64_t iova, uint64_t length)
{
	uint64_t count;

	set(CHECKSUM_ADDRESS, iova);
	set(CHECKSUM_LENGTH, length);
	*doorbell = ++rung;
	if (read(interrupt, &count, sizeof(count)) != sizeof(count))
		fail("waiting for the interrupt");
	return get(CHECKSUM_STATUS);
}

int main(int argc, char **argv)
{
	uint64_t length;

	if (argc != 2) {
		fprintf(stderr, "usage: sum_file FILE\n");
		return EXIT_FAILURE;
	}
	map_file(argv[1], open_device(), &length);
	reach_device();
	if (sum(IOVA, length) != CHECKSUM_DONE)
		return EXIT_FAILURE;
	printf("%08lx %s\n", (unsigned long)get(CHECKSUM_RESULT), argv[1]);
	if (sum(0, 1) == CHECKSUM_ERROR)
		printf("nothing is at %#lx\n", (unsigned long)get(CHECKSUM_FAULT));
	return EXIT_SUCCESS;
}
