/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of VFIO devices of their own: bound and attached by command. */
#include "device.h"

#include <limits.h>
#include <stddef.h>
#include <sys/mman.h>

struct bind_arg {
	struct vfio_device_bind_iommufd c;
	unsigned char more[200];
};

static void everything_before_bind_is_einval(struct rules *t)
{
	static const unsigned long commands[] = {
		VFIO_DEVICE_GET_INFO,
		VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO,
		VFIO_DEVICE_SET_IRQS,
		VFIO_DEVICE_RESET,
		VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		VFIO_DEVICE_PCI_HOT_RESET,
		VFIO_DEVICE_IOEVENTFD,
		VFIO_DEVICE_FEATURE,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		VFIO_DEVICE_DETACH_IOMMUFD_PT,
		VFIO_GET_API_VERSION,
	};
	const off_t config = (off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40;
	int cdev = cdev_open(t, 0);
	unsigned char byte = 0;
	void *at;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		EXPECT(t, call_on(t, cdev, commands[i], HOLE), -EINVAL);
	EXPECT(t, transport_pread(t->transport, cdev, &byte, 1, config), -EINVAL);
	EXPECT(t, transport_pwrite(t->transport, cdev, &byte, 1, config), -EINVAL);
	EXPECT(t, transport_mmap(t->transport, cdev, PAGE, PROT_READ, MAP_SHARED, 0, &at), -EINVAL);
	device_close(t, cdev);
}

static void a_cdev_is_opened_any_number_of_times(struct rules *t)
{
	int first = cdev_open(t, 0);
	int second = cdev_open(t, 0);
	int third;

	EXPECT(t, bind_cdev(t, second, NULL), 0);
	third = cdev_open(t, 0);
	EXPECT(t, call_on(t, second, VFIO_DEVICE_RESET, NULL), 0);
	EXPECT(t, call_on(t, first, VFIO_DEVICE_RESET, NULL), -EINVAL);
	EXPECT(t, call_on(t, third, VFIO_DEVICE_RESET, NULL), -EINVAL);
	device_close(t, first);
	device_close(t, second);
	device_close(t, third);
}

static void bind_answers_the_id(struct rules *t)
{
	struct vfio_device_bind_iommufd c = {.argsz = offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr),
					     .iommufd = t->fd};
	struct iommu_hw_info info = {.size = sizeof(info)};
	int cdev = cdev_open(t, 0);

	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, place_at_end(t, &c, c.argsz, PROT_READ | PROT_WRITE)), 0);
	info.dev_id = ((const struct vfio_device_bind_iommufd *)(t->scratch + PAGE - c.argsz))->out_devid;
	EXPECT(t, info.dev_id, 1);
	EXPECT(t, call(t, IOMMU_GET_HW_INFO, &info), 0);
	EXPECT(t, destroy(t, info.dev_id), -EBUSY);
	device_close(t, cdev);
	EXPECT(t, destroy(t, info.dev_id), -ENOENT);
}

static void bind_checks_its_structure_first(struct rules *t)
{
	struct bind_arg arg = {.c = {.argsz = 15, .flags = 2, .iommufd = -1}};
	int cdev = cdev_open(t, 0);

	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, HOLE), -EFAULT);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -EINVAL);
	arg.c.argsz = sizeof(arg.c);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, place_at_end(t, &arg, 20, PROT_READ)), -EFAULT);
	arg.c.argsz = sizeof(arg);
	arg.more[199] = 1;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -E2BIG);
	arg.more[199] = 0;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -EINVAL);
	arg.c.flags = 0;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -EINVAL);
	arg.c.iommufd = t->fd;
	arg.c.flags = 2;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -EINVAL);
	arg.c.flags = 0;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), 0);
	device_close(t, cdev);
}

static void bind_of_a_device_of_a_group_is_einval(struct rules *t)
{
	int group = group_new(t, 1);
	int device = get_device_fd(t, group, DEVICE_0);

	EXPECT(t, bind_cdev(t, device, NULL), -EINVAL);
	device_close(t, group);
	EXPECT(t, bind_cdev(t, device, NULL), -EINVAL);
	device_close(t, device);
}

static void bind_while_the_group_is_open_is_ebusy(struct rules *t)
{
	int group = group_open(t, 1);
	int cdev = cdev_open(t, 0);

	EXPECT(t, bind_cdev_to(t, cdev, -1, NULL), -EINVAL);
	EXPECT(t, bind_cdev_to(t, cdev, NO_FD, NULL), -EBUSY);
	EXPECT(t, bind_cdev(t, cdev, NULL), -EBUSY);
	device_close(t, group);
	EXPECT(t, bind_cdev(t, cdev, NULL), 0);
	device_close(t, cdev);
}

static void bind_twice_is_einval(struct rules *t)
{
	int cdev = cdev_new(t, 0, NULL);

	EXPECT(t, bind_cdev(t, cdev, NULL), -EINVAL);
	EXPECT(t, bind_cdev_to(t, cdev, NO_FD, NULL), -EINVAL);
	device_close(t, cdev);
}

static void bind_with_a_token_is_einval(struct rules *t)
{
	unsigned char uuid[16] = {1};
	struct vfio_device_bind_iommufd c = {
		.argsz = sizeof(c), .flags = VFIO_DEVICE_BIND_FLAG_TOKEN, .iommufd = NO_FD};
	int cdev = cdev_open(t, 0);

	c.token_uuid_ptr = (uintptr_t)HOLE;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &c), -EFAULT);
	c.token_uuid_ptr = (uintptr_t)uuid;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, &c), -EINVAL);
	device_close(t, cdev);
}

static void bind_needs_an_iommufd(struct rules *t)
{
	int container = node_open(t, "/dev/vfio/vfio");
	int cdev = cdev_open(t, 0);

	EXPECT(t, bind_cdev_to(t, cdev, NO_FD, NULL), -EBADF);
	EXPECT(t, bind_cdev_to(t, cdev, cdev, NULL), -EBADFD);
	EXPECT(t, bind_cdev_to(t, cdev, container, NULL), 0);
	device_close(t, container);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_RESET, NULL), 0);
	device_close(t, cdev);
}

static void bind_of_a_bound_device_is_einval(struct rules *t)
{
	int first = cdev_new(t, 0, NULL);
	int second = cdev_open(t, 0);

	EXPECT(t, bind_cdev_to(t, second, NO_FD, NULL), -EBADF);
	EXPECT(t, bind_cdev(t, second, NULL), -EINVAL);
	device_close(t, first);
	EXPECT(t, bind_cdev(t, second, NULL), 0);
	device_close(t, second);
}

static void bind_of_another_iommufds_group_is_eperm(struct rules *t)
{
	int first = cdev_new(t, 0, NULL);
	int another = node_open(t, "/dev/iommu");
	int second = cdev_open(t, 1);

	EXPECT(t, bind_cdev_to(t, second, another, NULL), -EPERM);
	EXPECT(t, bind_cdev(t, second, NULL), 0);
	device_close(t, first);
	device_close(t, second);
	device_close(t, another);
}

static void bind_that_cannot_answer_is_undone(struct rules *t)
{
	struct vfio_device_bind_iommufd c = {.argsz = sizeof(c), .iommufd = t->fd};
	int cdev = cdev_open(t, 0);
	int group;

	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_BIND_IOMMUFD, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_RESET, NULL), -EINVAL);
	EXPECT(t, destroy(t, 1), -ENOENT);
	group = group_open(t, 1);
	EXPECT(t, group_status(t, group), VFIO_GROUP_FLAGS_VIABLE);
	device_close(t, group);
	EXPECT(t, bind_cdev(t, cdev, NULL), 0);
	device_close(t, cdev);
}

static void attach_checks_its_structure(struct rules *t)
{
	struct vfio_device_attach_iommufd_pt c = {.argsz = 11, .pt_id = NO_ID};
	int cdev = cdev_new(t, 0, NULL);

#define ATTACH() call_on(t, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &c)
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, HOLE), -EFAULT);
	EXPECT(t, ATTACH(), -EINVAL);
	c.argsz = 12;
	c.flags = 2;
	EXPECT(t, ATTACH(), -EINVAL);
	c.flags = VFIO_DEVICE_ATTACH_PASID;
	EXPECT(t, ATTACH(), -EINVAL);
	c.argsz = 16;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, place_at_end(t, &c, 12, PROT_READ)), -EFAULT);
	c.argsz = 12;
	c.flags = 0;
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, place_at_end(t, &c, 12, PROT_READ)), -ENOENT);
	device_close(t, cdev);
}

static void attach_answers_the_page_table(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint32_t pt = ioas, id;
	int cdev = cdev_new(t, 0, &id);

	EXPECT(t, is_attached(t, ioas), false);
	EXPECT(t, attach_cdev(t, cdev, 0, &pt), 0);
	EXPECT(t, pt == ioas, false);
	EXPECT(t, is_attached(t, ioas), true);
	EXPECT(t, destroy(t, pt), -EBUSY);
	EXPECT(t, attach_cdev(t, cdev, 0, &id), -EINVAL);
	EXPECT(t, detach_cdev(t, cdev, 0), 0);
	EXPECT(t, is_attached(t, ioas), false);
	EXPECT(t, destroy(t, pt), -ENOENT);
	device_close(t, cdev);
}

static void attach_again_replaces(struct rules *t)
{
	uint32_t one = ioas_new(t), two = ioas_new(t);
	uint32_t pt = one, none = NO_ID;
	int cdev = cdev_new(t, 0, NULL);

	EXPECT(t, attach_cdev(t, cdev, 0, &pt), 0);
	EXPECT(t, attach_cdev(t, cdev, 0, &none), -ENOENT);
	EXPECT(t, is_attached(t, one), true);
	pt = two;
	EXPECT(t, attach_cdev(t, cdev, 0, &pt), 0);
	EXPECT(t, is_attached(t, one), false);
	EXPECT(t, is_attached(t, two), true);
	EXPECT(t, map_interrupts(t, one), 0);
	pt = one;
	EXPECT(t, attach_cdev(t, cdev, 0, &pt), -EADDRINUSE);
	EXPECT(t, is_attached(t, two), true);
	device_close(t, cdev);
}

static void attach_that_cannot_answer_detaches(struct rules *t)
{
	uint32_t ioas = ioas_new(t);
	uint32_t pt = ioas;
	struct vfio_device_attach_iommufd_pt c = {.argsz = sizeof(c), .pt_id = ioas};
	int cdev = cdev_new(t, 0, NULL);

	for (int i = 0; i < 2; i++) {
		EXPECT(t, call_on(t, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, place_at_end(t, &c, sizeof(c), PROT_READ)),
		       -EFAULT);
		EXPECT(t, is_attached(t, ioas), false);
		pt = ioas;
		EXPECT(t, attach_cdev(t, cdev, 0, &pt), 0);
	}
	device_close(t, cdev);
}

static void attach_of_a_pasid_that_cannot_answer_detaches_the_device(struct rules *t)
{
	struct vfio_device_attach_iommufd_pt c = {.argsz = sizeof(c), .flags = VFIO_DEVICE_ATTACH_PASID, .pasid = 5};
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_PASID};
	int cdev = cdev_new(t, 0, &hwpt.dev_id);

	hwpt.pt_id = ioas_new(t);
	EXPECT(t, call(t, IOMMU_HWPT_ALLOC, &hwpt), 0);
	c.pt_id = hwpt.out_hwpt_id;
	EXPECT(t, attach_cdev(t, cdev, 0, &c.pt_id), 0);
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, is_attached(t, hwpt.pt_id), false);
	EXPECT(t, destroy(t, c.pt_id), -EBUSY);
	EXPECT(t, detach_cdev(t, cdev, 5), 0);
	EXPECT(t, destroy(t, c.pt_id), 0);
	device_close(t, cdev);
}

static void detach_checks_its_structure_and_succeeds(struct rules *t)
{
	struct vfio_device_detach_iommufd_pt c = {.argsz = 7};
	int cdev = cdev_new(t, 0, NULL);

#define DETACH(size) call_on(t, cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, place_at_end(t, &c, (size), PROT_READ))
	EXPECT(t, call_on(t, cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, HOLE), -EFAULT);
	EXPECT(t, DETACH(8), -EINVAL);
	c.argsz = 8;
	c.flags = 2;
	EXPECT(t, DETACH(8), -EINVAL);
	c.flags = VFIO_DEVICE_DETACH_PASID;
	EXPECT(t, DETACH(8), -EINVAL);
	c.argsz = 12;
	EXPECT(t, DETACH(8), -EFAULT);
	c.pasid = UINT32_MAX;
	EXPECT(t, DETACH(12), 0);
	c.argsz = 8;
	c.flags = 0;
	EXPECT(t, DETACH(8), 0);
	device_close(t, cdev);
}

static void a_device_of_a_group_is_not_attached_by_command(struct rules *t)
{
	int group = group_new(t, 1);
	int device = get_device_fd(t, group, DEVICE_0);

	EXPECT(t, call_on(t, device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, HOLE), -ENOTTY);
	EXPECT(t, call_on(t, device, VFIO_DEVICE_DETACH_IOMMUFD_PT, HOLE), -ENOTTY);
	device_close(t, device);
	device_close(t, group);
}

static void an_unknown_command_of_a_device_is_enotty(struct rules *t)
{
	int cdev = cdev_new(t, 0, NULL);

	EXPECT(t, call_on(t, cdev, VFIO_GET_API_VERSION, HOLE), -ENOTTY);
	EXPECT(t, call_on(t, cdev, VFIO_GROUP_GET_STATUS, HOLE), -ENOTTY);
	EXPECT(t, call_on(t, cdev, VFIO_IOMMU_UNMAP_DMA, HOLE), -ENOTTY);
	device_close(t, cdev);
}

static void closing_detaches_and_unbinds(struct rules *t)
{
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_PASID};
	int cdev = cdev_new(t, 0, &hwpt.dev_id);
	uint32_t pt;

	hwpt.pt_id = ioas_new(t);
	EXPECT(t, call(t, IOMMU_HWPT_ALLOC, &hwpt), 0);
	pt = hwpt.out_hwpt_id;
	EXPECT(t, attach_cdev(t, cdev, 0, &pt), 0);
	EXPECT(t, attach_cdev(t, cdev, 9, &pt), 0);
	device_close(t, cdev);
	EXPECT(t, destroy(t, hwpt.dev_id), -ENOENT);
	EXPECT(t, destroy(t, pt), 0);
	EXPECT(t, destroy(t, hwpt.pt_id), 0);
}

static void pasids_that_cannot_be_attached(struct rules *t)
{
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_PASID};
	struct vfio_device_attach_iommufd_pt c = {.argsz = sizeof(c), .flags = VFIO_DEVICE_ATTACH_PASID};
	int cdev = cdev_new(t, 0, &hwpt.dev_id);

	c.pt_id = hwpt.pt_id = ioas_new(t);
	EXPECT(t, call(t, IOMMU_HWPT_ALLOC, &hwpt), 0);
	c.pasid = 5;
	EXPECT(t, ATTACH(), -EINVAL); /* an automatic page table is not made for PASIDs */
	c.pt_id = hwpt.out_hwpt_id;
	c.pasid = 0;
	EXPECT(t, ATTACH(), -EINVAL);
	c.pasid = UINT32_C(1) << 31;
	EXPECT(t, ATTACH(), -ENOSPC);
	c.pasid = UINT32_MAX;
	EXPECT(t, ATTACH(), -ENOSPC);
	EXPECT(t, destroy(t, c.pt_id), 0);
	device_close(t, cdev);
}

static const struct rule_case cases[] = {
	CASE("E.2-1", a_cdev_is_opened_any_number_of_times),
	CASE("E.2-2", everything_before_bind_is_einval),
	CASE("E.2-3", bind_answers_the_id),
	CASE("E.2-3b", bind_checks_its_structure_first),
	CASE("E.2-3c", bind_of_a_device_of_a_group_is_einval),
	CASE("E.2-3d", bind_while_the_group_is_open_is_ebusy),
	CASE("E.2-3e", bind_twice_is_einval),
	CASE("E.2-3f,E.4-1", bind_with_a_token_is_einval),
	CASE("A.1-9,E.2-3g", bind_needs_an_iommufd),
	CASE("E.2-3h", bind_of_a_bound_device_is_einval),
	CASE("C.4-4,E.2-3i", bind_of_another_iommufds_group_is_eperm),
	CASE("E.2-3j", bind_that_cannot_answer_is_undone),
	CASE("E.2-4", attach_checks_its_structure),
	CASE("E.2-4b", attach_answers_the_page_table),
	CASE("C.2-1,E.2-4c", attach_again_replaces),
	CASE("E.2-4d", attach_that_cannot_answer_detaches),
	CASE("E.2-4d", attach_of_a_pasid_that_cannot_answer_detaches_the_device),
	CASE("E.2-4e", pasids_that_cannot_be_attached),
	CASE("E.2-5", detach_checks_its_structure_and_succeeds),
	CASE("E.2-6", a_device_of_a_group_is_not_attached_by_command),
	CASE("E.2-7", an_unknown_command_of_a_device_is_enotty),
	CASE("E.2-8", closing_detaches_and_unbinds),
};

int main(int argc, char **argv)
{
	return rules_main_devices(argc, argv, cases, ARRAY_SIZE(cases), rules_devices);
}
