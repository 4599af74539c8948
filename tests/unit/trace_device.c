/* SPDX-License-Identifier: BSD-3-Clause */
/* The trace: what a person reads for the commands of VFIO groups and devices, and of their DMA that was blocked. */
#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"
#include "hwpt/device.h"
#include "trace_pen.h"

#include <errno.h>

static struct event device_call(unsigned cmd, int64_t result, const void *arg, size_t size)
{
	struct event event = call(cmd, result, arg, size);

	event.type = EVENT_DEVICE_CALL;
	return event;
}

#define DEVICE_CALL(pen, cmd, type, result, text, ...)                                                                 \
	expect_call(pen,                                                                                               \
		    device_call(cmd, result, &(struct type){.argsz = sizeof(struct type), __VA_ARGS__},                \
				sizeof(struct type)),                                                                  \
		    text, __LINE__)

static void group_commands(void)
{
	struct pen pen = pen_new();
	int32_t container = 5;

	open_file(&pen);
	DEVICE_CALL(&pen, VFIO_GROUP_GET_STATUS, vfio_group_status, 0, "VFIO_GROUP_GET_STATUS -> 0 VIABLE", .flags = 1);
	expect_call(&pen, device_call(VFIO_GROUP_SET_CONTAINER, 0, &container, sizeof(container)),
		    "VFIO_GROUP_SET_CONTAINER container=5 -> 0", __LINE__);
	expect_call(&pen, device_call(VFIO_GROUP_UNSET_CONTAINER, -EINVAL, "", 0),
		    "VFIO_GROUP_UNSET_CONTAINER -> EINVAL", __LINE__);
	expect_call(&pen, device_call(VFIO_GROUP_GET_DEVICE_FD, 6, "0000:01:00.0\0garbage", 21),
		    "VFIO_GROUP_GET_DEVICE_FD device=0000:01:00.0 -> 6", __LINE__);
	/* A name without an end, and one that is not there. */
	expect_call(&pen, device_call(VFIO_GROUP_GET_DEVICE_FD, -ENODEV, "abcd", 3),
		    "VFIO_GROUP_GET_DEVICE_FD device=abc -> ENODEV", __LINE__);
	expect_call(&pen, device_call(VFIO_GROUP_GET_DEVICE_FD, -EFAULT, "", 0),
		    "VFIO_GROUP_GET_DEVICE_FD arg=0x7f00beef0000 -> EFAULT", __LINE__);
	pen_free(&pen);
}

static void device_commands(void)
{
	struct pen pen = pen_new();
	/* Of one eventfd; its structure ends in an array. */
	uint32_t irqs[] = {24, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 2, 0, 1, 9};

	open_file(&pen);
	DEVICE_CALL(&pen, VFIO_DEVICE_GET_INFO, vfio_device_info, 0,
		    "VFIO_DEVICE_GET_INFO -> 0 argsz=24 RESET|PCI regions=9 irqs=5", .flags = 3, .num_regions = 9,
		    .num_irqs = 5);
	DEVICE_CALL(&pen, VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, 0,
		    "VFIO_DEVICE_GET_REGION_INFO index=CONFIG -> 0 argsz=32 READ|WRITE size=4 KiB "
		    "offset=0x70000000000",
		    .index = 7, .flags = 3, .size = 4096, .offset = UINT64_C(7) << 40);
	DEVICE_CALL(&pen, VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, -EINVAL,
		    "VFIO_DEVICE_GET_REGION_INFO index=9 argsz=32 -> EINVAL", .index = 9);
	DEVICE_CALL(&pen, VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, 0,
		    "VFIO_DEVICE_GET_IRQ_INFO index=MSIX -> 0 EVENTFD|NORESIZE count=4", .index = 2, .flags = 9,
		    .count = 4);
	expect_call(&pen, device_call(VFIO_DEVICE_SET_IRQS, 0, irqs, sizeof(irqs)),
		    "VFIO_DEVICE_SET_IRQS index=MSIX DATA_EVENTFD|ACTION_TRIGGER start=0 count=1 fd=9 -> 0", __LINE__);
	irqs[1] = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	expect_call(&pen, device_call(VFIO_DEVICE_SET_IRQS, 0, irqs, sizeof(irqs)),
		    "VFIO_DEVICE_SET_IRQS index=MSIX DATA_NONE|ACTION_TRIGGER start=0 count=1 -> 0", __LINE__);
	expect_call(&pen, device_call(VFIO_DEVICE_RESET, 0, "", 0), "VFIO_DEVICE_RESET -> 0", __LINE__);
	DEVICE_CALL(&pen, VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, 0,
		    "VFIO_DEVICE_BIND_IOMMUFD iommufd=4 -> 0 device=1", .iommufd = 4, .out_devid = 1);
	DEVICE_CALL(&pen, VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, 0,
		    "VFIO_DEVICE_ATTACH_IOMMUFD_PT PASID pasid=3 -> 0 pt=2", .flags = 1, .pasid = 3, .pt_id = 2);
	DEVICE_CALL(&pen, VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, 0,
		    "VFIO_DEVICE_DETACH_IOMMUFD_PT -> 0");
	DEVICE_CALL(&pen, VFIO_DEVICE_FEATURE, vfio_device_feature, -ENOTTY,
		    "VFIO_DEVICE_FEATURE GET|PROBE feature=MIGRATION argsz=8 -> ENOTTY",
		    .flags = VFIO_DEVICE_FEATURE_MIGRATION | VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_PROBE);
	pen_free(&pen);
}

/* What numbers mean depends on whose command it is. */
static void device_commands_with_numbers_of_a_container(void)
{
	struct pen pen = pen_new();

	open_file(&pen);
	DEVICE_CALL(&pen, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, vfio_pci_hot_reset_info, -ENOSPC,
		    "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO argsz=12 -> ENOSPC count=2", .count = 2);
	DEVICE_CALL(&pen, VFIO_DEVICE_PCI_HOT_RESET, vfio_pci_hot_reset, 0, "VFIO_DEVICE_PCI_HOT_RESET groups=1 -> 0",
		    .count = 1);
	DEVICE_CALL(&pen, VFIO_DEVICE_IOEVENTFD, vfio_device_ioeventfd, 0,
		    "VFIO_DEVICE_IOEVENTFD width=32 offset=0x80 data=0x1 fd=7 -> 0", .flags = 4, .offset = 0x80,
		    .data = 1, .fd = 7);
	expect_call(&pen, device_call(VFIO_IOMMU_UNMAP_DMA, -ENOTTY, "", 0),
		    "ioctl 0x3b72 arg=0x7f00beef0000 -> ENOTTY", __LINE__);
	expect_call(&pen, device_call(IOMMU_TEST_CMD, -ENOTTY, "", 0), "ioctl 0x3ba0 arg=0x7f00beef0000 -> ENOTTY",
		    __LINE__);
	pen_free(&pen);
}

static void blocked_dma_is_told(void)
{
	static const char *const reasons[] = {
		"?",          "NO_DOMAIN",      "NOT_MAPPED",    "READ_ONLY",
		"WRITE_ONLY", "MEMORY_IS_GONE", "NO_BUS_MASTER", "PAGE_REQUEST",
		"?",
	};
	struct pen pen = pen_new();
	struct event event = {
		.type = EVENT_DMA_FAULT,
		.time_ns = 5000000000,
		.dma = {.iova = 0x1000, .length = 4096, .access = DMA_WRITE, .device = "0000:01:00.0"},
	};
	char text[128];

	for (size_t reason = 0; reason < sizeof(reasons) / sizeof(reasons[0]); reason++) {
		event.dma.reason = (uint8_t)reason;
		trace_event(pen.trace, &event, 0);
		snprintf(text, sizeof(text), "[-] 0000:01:00.0 DMA write iova=0x1000 length=4 KiB -> %s\n",
			 reasons[reason]);
		EXPECT_TEXT(&pen, text);
	}
	/* A name without an end. */
	memset(event.dma.device, 'x', sizeof(event.dma.device));
	event.dma.reason = DMA_FAULT_NO_DOMAIN;
	event.dma.access = DMA_READ;
	event.dma.pasid = 3;
	event.dma.length = 8;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[-] xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx DMA read pasid=3 iova=0x1000 length=8 bytes -> "
			  "NO_DOMAIN\n");
	pen_free(&pen);
}

static void the_place_of_blocked_dma_is_told(void)
{
	struct pen pen = pen_new();
	struct event event = {
		.type = EVENT_DMA_FAULT,
		.time_ns = 5000000000,
		.dma = {.iova = 0x3000,
			.length = 8,
			.access = DMA_READ,
			.reason = DMA_FAULT_NOT_MAPPED,
			.ioas = 2,
			.below_start = 0x1000,
			.below_last = 0x1fff,
			.below_prot = IOMMU_IOAS_MAP_READABLE,
			.above_start = 0x5000,
			.above_last = 0x5fff,
			.above_prot = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
			.gone_ns = 4988000000,
			.gone_pid = 42,
			.known = EVENT_DMA_IOAS | EVENT_DMA_BELOW | EVENT_DMA_ABOVE | EVENT_DMA_UNMAPPED,
			.device = "0000:01:00.0"},
	};

	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[-] 0000:01:00.0 DMA read iova=0x3000 length=8 bytes -> NOT_MAPPED ioas=2 below=[0x1000, "
			  "0x1fff] r above=[0x5000, 0x5fff] rw unmapped 12 ms ago by 42\n");
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_UNMAPPED | EVENT_DMA_ALL;
	event.dma.gone_pid = 0;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen,
		    "[-] 0000:01:00.0 DMA read iova=0x3000 length=8 bytes -> NOT_MAPPED ioas=2 all unmapped 12 ms "
		    "ago\n");
	event.dma.known = EVENT_DMA_DETACHED;
	event.dma.reason = DMA_FAULT_NO_DOMAIN;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen,
		    "[-] 0000:01:00.0 DMA read iova=0x3000 length=8 bytes -> NO_DOMAIN detached from ioas 2 12 ms "
		    "ago\n");
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_MAPPED | EVENT_DMA_REVOKED;
	event.dma.reason = DMA_FAULT_NOT_MAPPED;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[-] 0000:01:00.0 DMA read iova=0x3000 length=8 bytes -> NOT_MAPPED ioas=2 REVOKED "
			  "map=[0x1000, 0x1fff] r\n");
	event.dma.process = 77;
	event.dma.known = EVENT_DMA_PROCESS;
	event.dma.reason = DMA_FAULT_PAGE_REQUEST;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[-] 0000:01:00.0 DMA read iova=0x3000 length=8 bytes -> PAGE_REQUEST process=77\n");
	event.dma.known |= EVENT_DMA_ENDED;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[-] 0000:01:00.0 DMA read iova=0x3000 length=8 bytes -> PAGE_REQUEST process=77 ENDED\n");
	event.dma.known = EVENT_DMA_PROCESS | EVENT_DMA_DETACHED;
	event.dma.reason = DMA_FAULT_NO_DOMAIN;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[-] 0000:01:00.0 DMA read iova=0x3000 length=8 bytes -> NO_DOMAIN detached from process 77 "
			  "12 ms ago\n");
	pen_free(&pen);
}

int main(void)
{
	group_commands();
	device_commands();
	device_commands_with_numbers_of_a_container();
	blocked_dma_is_told();
	the_place_of_blocked_dma_is_told();
	return 0;
}
