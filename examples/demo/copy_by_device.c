/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small driver over VFIO for a PCI device that copies memory: Intel's DMA engine, 8086:2021. It finds the device
 * below /sys, opens its group, maps two buffers for it and has one copied to the other. Then it does what a wrong
 * driver does: it unmaps a buffer and gives the device its address once more.
 *
 *	cc -I include examples/demo/copy_by_device.c -o copy_by_device
 *	iommuse run --device ioat -- ./copy_by_device 0000:01:00.0
 *
 * The header in include/abi has the names and numbers of the kernel's linux/vfio.h.
 */
#include <abi/vfio.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define LENGTH 65536

/* Where the device finds what. */
#define WORK_IOVA 0x10000UL
#define FROM_IOVA 0x100000UL
#define TO_IOVA   0x200000UL

/* Registers of the engine and its channel, and what is in them. */
enum {
	INTRCTRL = 0x03,
	CHANCTRL = 0x80,
	CHANCMD = 0x84,
	DMACOUNT = 0x86,
	CHANSTS = 0x88,
	CHAINADDR = 0x90,
	CHANCMP = 0x98,
	CHANERR = 0xa8,
	CHANCMD_RESET = 0x20,
	CHANSTS_STATE = 7,
	CHANSTS_HALTED = 3,
	CHANCTRL_TELL_ERRORS = 0x1c,
	COPY_WITH_INTERRUPT_AND_COMPLETION = 0x09,
};

struct descriptor {
	uint32_t size, control;
	uint64_t from, to, next, unused[4];
};

/* Memory that the driver and the device work in together. */
struct work {
	struct descriptor descriptor[2];
	volatile uint64_t completion;
};

static int container, device;
static volatile uint8_t *registers;

static _Noreturn void fail(const char *what)
{
	printf("copy_by_device: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int call(int fd, unsigned long cmd, const void *arg, const char *what)
{
	int rc = ioctl(fd, cmd, arg);

	if (rc < 0)
		fail(what);
	return rc;
}

static int open_group(const char *address)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", address);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		fail(path);
	target[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	printf("copy_by_device: %s is in %s\n", address, path);
	return fd;
}

static void open_device(const char *address)
{
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = VFIO_PCI_BAR0_REGION_INDEX};
	struct vfio_region_info config = {.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX};
	uint16_t memory_and_master = 6;
	uint16_t ids[2];
	int group;

	container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (container < 0)
		fail("/dev/vfio/vfio");
	group = open_group(address);
	call(group, VFIO_GROUP_SET_CONTAINER, &container, "VFIO_GROUP_SET_CONTAINER");
	call(container, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU, "VFIO_SET_IOMMU");
	device = call(group, VFIO_GROUP_GET_DEVICE_FD, address, "VFIO_GROUP_GET_DEVICE_FD");
	call(device, VFIO_DEVICE_GET_REGION_INFO, &bar, "VFIO_DEVICE_GET_REGION_INFO");
	call(device, VFIO_DEVICE_GET_REGION_INFO, &config, "VFIO_DEVICE_GET_REGION_INFO");
	if (pread(device, ids, sizeof(ids), (off_t)config.offset) != sizeof(ids))
		fail("reading configuration space");
	printf("copy_by_device: it is a %04x:%04x\n", ids[0], ids[1]);
	if (pwrite(device, &memory_and_master, 2, (off_t)config.offset + 4) != 2)
		fail("writing configuration space");
	registers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)bar.offset);
	if (registers == MAP_FAILED)
		fail("mapping the registers");
}

static void *map(uint64_t length, uint64_t iova, const char *what)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					       .vaddr = (uintptr_t)memory,
					       .iova = iova,
					       .size = length};

	if (memory == MAP_FAILED)
		fail("mmap");
	call(container, VFIO_IOMMU_MAP_DMA, &map, "VFIO_IOMMU_MAP_DMA");
	printf("copy_by_device: %s is at I/O address %#lx\n", what, (unsigned long)iova);
	return memory;
}

static void unmap(uint64_t iova)
{
	struct vfio_iommu_type1_dma_unmap unmap = {.argsz = sizeof(unmap), .iova = iova, .size = LENGTH};

	call(container, VFIO_IOMMU_UNMAP_DMA, &unmap, "VFIO_IOMMU_UNMAP_DMA");
}

/* MSI-X vector 0 of the device adds to an eventfd. */
static int take_interrupts(void)
{
	_Alignas(struct vfio_irq_set) char room[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	struct vfio_irq_set *set = (struct vfio_irq_set *)room;
	int32_t fd = eventfd(0, EFD_CLOEXEC);

	*set = (struct vfio_irq_set){.argsz = sizeof(room),
				     .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				     .index = VFIO_PCI_MSIX_IRQ_INDEX,
				     .count = 1};
	memcpy(set->data, &fd, sizeof(fd));
	call(device, VFIO_DEVICE_SET_IRQS, set, "VFIO_DEVICE_SET_IRQS");
	registers[INTRCTRL] = 1;
	return fd;
}

static volatile uint64_t *register64(unsigned offset)
{
	return (volatile uint64_t *)(registers + offset);
}

static void start_channel(struct work *work)
{
	registers[CHANCMD] = CHANCMD_RESET;
	while (registers[CHANCMD] & CHANCMD_RESET)
		usleep(100);
	work->descriptor[0].next = WORK_IOVA + sizeof(struct descriptor);
	work->descriptor[1].next = WORK_IOVA;
	*register64(CHANCMP) = WORK_IOVA + offsetof(struct work, completion);
	*register64(CHAINADDR) = WORK_IOVA;
	*(volatile uint16_t *)(registers + CHANCTRL) = CHANCTRL_TELL_ERRORS | 1;
}

/* Gives the device its nth descriptor, and waits until it interrupts, as it does at an error, too. */
static int copy(struct work *work, unsigned nth, int interrupt)
{
	struct descriptor *d = &work->descriptor[nth - 1];
	struct pollfd p = {.fd = interrupt, .events = POLLIN};

	d->size = LENGTH;
	d->control = COPY_WITH_INTERRUPT_AND_COMPLETION;
	d->from = FROM_IOVA;
	d->to = TO_IOVA;
	__atomic_store_n((volatile uint16_t *)(registers + DMACOUNT), (uint16_t)nth, __ATOMIC_RELEASE);
	if (poll(&p, 1, 10000) != 1 || read(interrupt, &(uint64_t){0}, 8) != 8) {
		printf("copy_by_device: no interrupt comes\n");
		exit(EXIT_FAILURE);
	}
	*(volatile uint16_t *)(registers + CHANCTRL) = CHANCTRL_TELL_ERRORS | 1;
	return (*register64(CHANSTS) & CHANSTS_STATE) == CHANSTS_HALTED ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct work *work;
	char *from, *to;
	int interrupt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	open_device(argc > 1 ? argv[1] : "0000:01:00.0");
	work = map(4096, WORK_IOVA, "what driver and device share");
	from = map(LENGTH, FROM_IOVA, "a text");
	to = map(LENGTH, TO_IOVA, "an empty buffer");
	strcpy(from, "carried by a device");
	interrupt = take_interrupts();
	start_channel(work);
	if (copy(work, 1, interrupt) < 0 || strcmp(from, to) != 0) {
		printf("copy_by_device: the copy went wrong\n");
		return EXIT_FAILURE;
	}
	printf("copy_by_device: the device has copied and interrupted; the buffer says: \"%s\"\n", to);
	unmap(TO_IOVA);
	printf("copy_by_device: the buffer is unmapped. Now a mistake: the device is given its address again\n");
	if (copy(work, 2, interrupt) == 0) {
		printf("copy_by_device: the device wrote to what is not there\n");
		return EXIT_FAILURE;
	}
	printf("copy_by_device: the device has halted, with error %#x\n", *(volatile uint32_t *)(registers + CHANERR));
	return EXIT_SUCCESS;
}
