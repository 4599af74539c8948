/* SPDX-License-Identifier: BSD-3-Clause */
/* What a VFIO device is, and its resets. */
#include "device.h"

#include <stddef.h>
#include <sys/mman.h>

static void get_info_says_what_there_is(struct rules *t)
{
	struct vfio_device_info c = {.argsz = 15, .cap_offset = 99};
	int cdev = cdev_new(t, 0, NULL);

	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_GET_INFO, HOLE), -EFAULT);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_GET_INFO, &c), -EINVAL);
	c.argsz = 16;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_GET_INFO, &c), 0);
	EXPECT(t, c.argsz, 16);
	EXPECT(t, c.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	EXPECT(t, c.num_regions, VFIO_PCI_NUM_REGIONS);
	EXPECT(t, c.num_irqs, VFIO_PCI_NUM_IRQS);
	EXPECT(t, c.cap_offset, 99);
	c.argsz = 1000;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_GET_INFO, &c), 0);
	EXPECT(t, c.cap_offset, 0);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_GET_INFO, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	device_close(t, cdev);
}

static void a_device_can_be_reset(struct rules *t)
{
	int cdev = cdev_new(t, 0, NULL);

	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_RESET, NULL), 0);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_RESET, HOLE), 0);
	device_close(t, cdev);
}

struct info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device devices[4];
};

static int get_info(struct rules *t, int fd, struct info *info)
{
	*info = (struct info){.head = {.argsz = sizeof(*info)}};
	return call_on(t, fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

static void hot_reset_info_wants_room(struct rules *t)
{
	struct info info = {.head = {.argsz = 11}};
	int cdev = cdev_new(t, 0, NULL);

#define INFO() call_on(t, cdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info)
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, HOLE), -EFAULT);
	EXPECT(t, INFO(), -EINVAL);
	info.head.argsz = 12;
	EXPECT(t, INFO(), -ENOSPC);
	EXPECT(t, info.head.count, 3);
	info.head.argsz = 12 + 3 * 8 - 1;
	EXPECT(t, INFO(), -ENOSPC);
	EXPECT(t, info.devices[0].bus, 0);
	info.head.argsz++;
	EXPECT(t, INFO(), 0);
	EXPECT(t, info.head.count, 3);
	EXPECT(t, info.devices[0].bus, 1);
	device_close(t, cdev);
}

static void hot_reset_info_of_a_group_names_groups(struct rules *t)
{
	int group = group_new(t, 1);
	int device = get_device_fd(t, group, DEVICE_1);
	struct info info;

	EXPECT(t, get_info(t, device, &info), 0);
	EXPECT(t, info.head.flags, 0);
	EXPECT(t, info.head.count, 3);
	EXPECT(t, info.devices[0].group_id, 1);
	EXPECT(t, info.devices[0].devfn, 0);
	EXPECT(t, info.devices[1].group_id, 1);
	EXPECT(t, info.devices[1].devfn, 1);
	EXPECT(t, info.devices[2].group_id, 2);
	EXPECT(t, info.devices[2].devfn, 8);
	EXPECT(t, info.devices[2].bus, 1);
	EXPECT(t, info.devices[2].segment, 0);
	device_close(t, device);
	device_close(t, group);
}

static void hot_reset_info_of_a_cdev_names_ids(struct rules *t)
{
	uint32_t id, id2;
	int cdev = cdev_new(t, 0, &id);
	struct info info;
	int second;

	EXPECT(t, get_info(t, cdev, &info), 0);
	EXPECT(t, info.head.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	EXPECT(t, info.devices[0].devid, id);
	EXPECT(t, info.devices[1].devid, VFIO_PCI_DEVID_OWNED);
	EXPECT(t, info.devices[2].devid, (uint32_t)VFIO_PCI_DEVID_NOT_OWNED);
	second = cdev_new(t, 2, &id2);
	EXPECT(t, get_info(t, cdev, &info), 0);
	EXPECT(t, info.head.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED);
	EXPECT(t, info.devices[2].devid, id2);
	device_close(t, cdev);
	device_close(t, second);
}

static int hot_reset(struct rules *t, int fd, unsigned count, int group1, int group2)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t fds[4];
	} c = {.head = {.argsz = sizeof(c.head), .count = count}, .fds = {group1, group2, group1, group1}};

	return call_on(t, fd, VFIO_DEVICE_PCI_HOT_RESET, &c);
}

static void hot_reset_checks_its_structure(struct rules *t)
{
	struct vfio_pci_hot_reset c = {.argsz = 11};
	int cdev = cdev_new(t, 3, NULL);

	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_PCI_HOT_RESET, HOLE), -EFAULT);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_PCI_HOT_RESET, &c), -EINVAL);
	c.argsz = 12;
	c.flags = 1;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_PCI_HOT_RESET, &c), -EINVAL);
	c.flags = 0;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_PCI_HOT_RESET, &c), 0);
	device_close(t, cdev);
}

static void hot_reset_of_a_group_needs_all_groups(struct rules *t)
{
	struct vfio_pci_hot_reset c = {.argsz = 12, .count = 1};
	int one = group_new(t, 1), two = group_open(t, 2), three = group_open(t, 3);
	int device = get_device_fd(t, one, DEVICE_0);

	EXPECT(t, hot_reset(t, device, 0, -1, -1), -EINVAL);
	EXPECT(t, hot_reset(t, device, 4, one, two), -EINVAL);
	EXPECT(t, call_on(t, device, VFIO_DEVICE_PCI_HOT_RESET, place_at_end(t, &c, 12, PROT_READ)), -EFAULT);
	EXPECT(t, hot_reset(t, device, 2, one, NO_FD), -EBADF);
	EXPECT(t, hot_reset(t, device, 2, one, t->fd), -EINVAL);
	EXPECT(t, hot_reset(t, device, 2, one, device), -EINVAL);
	EXPECT(t, hot_reset(t, device, 1, one, -1), -EINVAL);
	EXPECT(t, hot_reset(t, device, 2, one, three), -EINVAL);
	EXPECT(t, hot_reset(t, device, 2, two, one), 0);
	EXPECT(t, hot_reset(t, device, 3, one, two), 0);
	device_close(t, device);
	device_close(t, one);
	device_close(t, two);
	device_close(t, three);
}

static void hot_reset_of_a_cdev_needs_all_devices(struct rules *t)
{
	int cdev = cdev_new(t, 0, NULL);
	int another = node_open(t, "/dev/iommu");
	int three = group_open(t, 3);
	int second = cdev_open(t, 2);

	EXPECT(t, hot_reset(t, cdev, 1, three, -1), -EINVAL);
	EXPECT(t, hot_reset(t, cdev, 0, -1, -1), -EINVAL);
	EXPECT(t, bind_cdev_to(t, second, another, NULL), 0);
	EXPECT(t, hot_reset(t, cdev, 0, -1, -1), -EINVAL);
	device_close(t, second);
	second = cdev_new(t, 2, NULL);
	EXPECT(t, hot_reset(t, cdev, 0, -1, -1), 0);
	device_close(t, second);
	device_close(t, cdev);
	device_close(t, three);
	device_close(t, another);
}

static const struct rule_case cases[] = {
	CASE("E.3-1", get_info_says_what_there_is),
	CASE("E.3-10", a_device_can_be_reset),
	CASE("E.3-11", hot_reset_info_wants_room),
	CASE("E.3-11b", hot_reset_info_of_a_group_names_groups),
	CASE("E.3-11c", hot_reset_info_of_a_cdev_names_ids),
	CASE("E.3-12", hot_reset_checks_its_structure),
	CASE("E.3-12b", hot_reset_of_a_group_needs_all_groups),
	CASE("E.3-12c", hot_reset_of_a_cdev_needs_all_devices),
};

int main(int argc, char **argv)
{
	return rules_main_devices(argc, argv, cases, ARRAY_SIZE(cases), rules_devices);
}
