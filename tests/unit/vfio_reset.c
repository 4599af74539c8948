/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device of a file is, and its resets: of section E.3 of the interface. */
#include "vfio_world.h"

#include <stddef.h>

/* Bus 1 has one and two of group 1 and three of group 3; bus 2 has far, of group 2. */
static struct world_device *one, *two, *three, *far_away;

static void begin(void)
{
	world_begin();
	one = add_device(&world_model, 1, 0, 1);
	far_away = add_device(&world_model, 2, 0, 2);
	two = add_device(&world_model, 1, 1, 1);
	three = add_device(&world_model, 1, 8, 3);
}

static int bound(struct world_device *device, int iommu, uint32_t *id)
{
	int fd = open_cdev(device);

	CHECK_EQ(bind_device(fd, iommu, id), 0);
	return fd;
}

static int of_group(uint32_t id, int container, const struct world_device *device, int *group)
{
	int fd;

	*group = open_group(id);
	CHECK_EQ(set_container(*group, container), 0);
	fd = device_fd(*group, device);
	CHECK(fd >= 0);
	return fd;
}

static void get_info_says_what_there_is(void)
{
	struct vfio_device_info info = {.argsz = 15, .num_irqs = 99, .cap_offset = 99, .pad = 99};
	int fd;

	begin();
	fd = bound(one, open_iommu(), NULL);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_INFO, NULL), -EFAULT);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	CHECK_EQ(info.num_irqs, 99);
	info.argsz = 16;
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	CHECK_EQ(info.argsz, 16);
	CHECK_EQ(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	CHECK_EQ(info.num_regions, 9);
	CHECK_EQ(info.num_irqs, 5);
	CHECK_EQ(info.cap_offset, 99);
	info.argsz = 20;
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	CHECK_EQ(info.cap_offset, 0);
	CHECK_EQ(info.pad, 99);
	info.argsz = 1000;
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	CHECK_EQ(info.pad, 0);
	world_end();
}

static void reset_resets_this_device(void)
{
	int fd;

	begin();
	fd = bound(one, open_iommu(), NULL);
	bound(three, open_iommu(), NULL);
	one->device.memory[0][AREA - 1] = 1;
	CHECK_EQ(atomic_load(&one->counts.resets), 1);
	CHECK_EQ(call(fd, VFIO_DEVICE_RESET, NULL), 0);
	CHECK_EQ(atomic_load(&one->counts.resets), 2);
	CHECK_EQ(atomic_load(&three->counts.resets), 1);
	CHECK_EQ(one->device.memory[0][AREA - 1], 0);
	world_end();
}

struct info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device devices[5];
};

static void check_entry(const struct info *info, unsigned i, const struct world_device *device, uint32_t id)
{
	CHECK_EQ(info->devices[i].devid, id);
	CHECK_EQ(info->devices[i].segment, device->device.segment);
	CHECK_EQ(info->devices[i].bus, device->device.bus);
	CHECK_EQ(info->devices[i].devfn, device->device.devfn);
}

static void hot_reset_info_checks_its_structure(void)
{
	struct info info = {.head = {.argsz = 11, .count = 99}};
	int fd;

	begin();
	fd = bound(one, open_iommu(), NULL);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL), -EFAULT);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -EINVAL);
	CHECK_EQ(info.head.count, 99);
	info.head.argsz = 12;
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -ENOSPC);
	CHECK_EQ(info.head.count, 3);
	info.devices[0].devfn = 99;
	info.head.argsz = 12 + 3 * 8 - 1;
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -ENOSPC);
	CHECK_EQ(info.devices[0].devfn, 99);
	info.head.argsz = 12 + 3 * 8;
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	CHECK_EQ(info.head.argsz, 12 + 3 * 8);
	CHECK_EQ(info.devices[3].devfn, 0);
	world_end();
}

static void hot_reset_info_of_a_group_names_groups(void)
{
	struct info info = {.head = {.argsz = sizeof(info)}};
	int fd, group;

	begin();
	fd = of_group(1, open_iommu(), one, &group);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	CHECK_EQ(info.head.flags, 0);
	CHECK_EQ(info.head.count, 3);
	check_entry(&info, 0, one, 1);
	check_entry(&info, 1, two, 1);
	check_entry(&info, 2, three, 3);
	world_end();
}

static void hot_reset_info_of_a_cdev_names_ids(void)
{
	const uint32_t owned = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	struct info info = {.head = {.argsz = sizeof(info)}};
	uint32_t id, id3;
	int iommu, fd, fd3;

	begin();
	iommu = open_iommu();
	fd = bound(one, iommu, &id);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	CHECK_EQ(info.head.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	CHECK_EQ(info.head.count, 3);
	check_entry(&info, 0, one, id);
	check_entry(&info, 1, two, VFIO_PCI_DEVID_OWNED);
	check_entry(&info, 2, three, (uint32_t)VFIO_PCI_DEVID_NOT_OWNED);
	fd3 = bound(three, open_iommu(), NULL);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	CHECK_EQ(info.head.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
	check_entry(&info, 2, three, (uint32_t)VFIO_PCI_DEVID_NOT_OWNED);
	close_fd(fd3);
	bound(three, iommu, &id3);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	CHECK_EQ(info.head.flags, owned);
	check_entry(&info, 2, three, id3);
	fd = bound(far_away, iommu, &id);
	CHECK_EQ(call(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	CHECK_EQ(info.head.count, 1);
	CHECK_EQ(info.head.flags, owned);
	check_entry(&info, 0, far_away, id);
	world_end();
}

static long hot_reset(int fd, unsigned count, int group1, int group2)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t fds[5];
	} arg = {.head = {.argsz = sizeof(arg.head), .count = count}, .fds = {group1, group2, group1, group1, group1}};

	return call(fd, VFIO_DEVICE_PCI_HOT_RESET, &arg);
}

static void hot_reset_of_a_group_needs_all_groups_of_the_bus(void)
{
	int iommu, fd, group1, group2, group3;

	begin();
	iommu = open_iommu();
	fd = of_group(1, iommu, one, &group1);
	group2 = open_group(2);
	group3 = open_group(3);
	CHECK_EQ(hot_reset(fd, 0, -1, -1), -EINVAL);
	CHECK_EQ(hot_reset(fd, 1, group1, -1), -EINVAL);
	CHECK_EQ(hot_reset(fd, 2, group1, group2), -EINVAL);
	CHECK_EQ(hot_reset(fd, 2, group1, FDS - 1), -EBADF);
	CHECK_EQ(hot_reset(fd, 2, group1, -1), -EBADF);
	CHECK_EQ(hot_reset(fd, 2, group1, iommu), -EINVAL);
	CHECK_EQ(hot_reset(fd, 2, group1, fd), -EINVAL);
	CHECK_EQ(hot_reset(fd, 4, group1, group3), -EINVAL);
	CHECK_EQ(hot_reset(fd, UINT32_MAX, group1, group3), -EINVAL);
	CHECK_EQ(atomic_load(&one->counts.resets), 1);
	CHECK_EQ(hot_reset(fd, 2, group3, group1), 0);
	CHECK_EQ(hot_reset(fd, 3, group1, group3), 0);
	CHECK_EQ(atomic_load(&one->counts.resets), 3);
	CHECK_EQ(atomic_load(&two->counts.resets), 0);
	CHECK_EQ(atomic_load(&three->counts.resets), 0);
	CHECK(device_fd(group1, two) >= 0);
	CHECK_EQ(hot_reset(fd, 2, group1, group3), 0);
	CHECK_EQ(atomic_load(&two->counts.resets), 2);
	world_end();
}

static void hot_reset_of_a_cdev_needs_all_devices_of_the_bus(void)
{
	int iommu, fd, fd3, far_fd, group;

	begin();
	iommu = open_iommu();
	fd = bound(one, iommu, NULL);
	far_fd = bound(far_away, iommu, NULL);
	group = open_group(3);
	CHECK_EQ(hot_reset(fd, 1, group, -1), -EINVAL);
	CHECK_EQ(hot_reset(fd, 0, -1, -1), -EINVAL);
	close_fd(group);
	fd3 = bound(three, open_iommu(), NULL);
	CHECK_EQ(hot_reset(fd, 0, -1, -1), -EINVAL);
	CHECK_EQ(hot_reset(far_fd, 0, -1, -1), 0);
	CHECK_EQ(atomic_load(&far_away->counts.resets), 2);
	close_fd(fd3);
	bound(three, iommu, NULL);
	one->device.memory[0][3] = 3;
	/* Nobody has two, whose group is the iommufd's. */
	CHECK_EQ(hot_reset(fd, 0, -1, -1), 0);
	CHECK_EQ(atomic_load(&one->counts.resets), 2);
	CHECK_EQ(atomic_load(&two->counts.resets), 0);
	CHECK_EQ(atomic_load(&three->counts.resets), 4);
	CHECK_EQ(one->device.memory[0][3], 0);
	world_end();
}

static void hot_reset_checks_its_structure(void)
{
	struct vfio_pci_hot_reset *arg;
	uint8_t *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd, group;

	begin();
	fd = of_group(2, open_iommu(), far_away, &group);
	CHECK_EQ(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
	CHECK_EQ(call(fd, VFIO_DEVICE_PCI_HOT_RESET, NULL), -EFAULT);
	arg = (void *)(pages + PAGE - 12);
	*arg = (struct vfio_pci_hot_reset){.argsz = 11, .count = 1};
	CHECK_EQ(call(fd, VFIO_DEVICE_PCI_HOT_RESET, arg), -EINVAL);
	*arg = (struct vfio_pci_hot_reset){.argsz = 12, .flags = 1, .count = 1};
	CHECK_EQ(call(fd, VFIO_DEVICE_PCI_HOT_RESET, arg), -EINVAL);
	*arg = (struct vfio_pci_hot_reset){.argsz = 12, .count = 1};
	CHECK_EQ(call(fd, VFIO_DEVICE_PCI_HOT_RESET, arg), -EFAULT);
	/* The length that is said does not count. */
	arg = (void *)(pages + PAGE - 16);
	*arg = (struct vfio_pci_hot_reset){.argsz = 12, .count = 1};
	memcpy(arg + 1, &group, sizeof(group));
	CHECK_EQ(call(fd, VFIO_DEVICE_PCI_HOT_RESET, arg), 0);
	world_end();
	munmap(pages, 2 * PAGE);
}

int main(void)
{
	get_info_says_what_there_is();
	reset_resets_this_device();
	hot_reset_info_checks_its_structure();
	hot_reset_info_of_a_group_names_groups();
	hot_reset_info_of_a_cdev_names_ids();
	hot_reset_of_a_group_needs_all_groups_of_the_bus();
	hot_reset_of_a_cdev_needs_all_devices_of_the_bus();
	hot_reset_checks_its_structure();
	return check_result();
}
