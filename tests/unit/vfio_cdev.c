/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of devices of their own: section E.2 of the interface, and what of C.5 comes by them. */
#include "vfio_world.h"

#include <limits.h>
#include <stddef.h>

static struct world_device *first, *second, *other; /* first and second are of group 1, other is of group 2 */
static uint64_t *memory;
static int iommu, cdev;
static uint32_t ioas;

static void begin(void)
{
	world_begin();
	first = add_device(&world_model, 1, 0, 1);
	second = add_device(&world_model, 1, 1, 1);
	other = add_device(&world_model_without_pasid, 2, 0, 2);
	memory = memory_new();
	iommu = open_iommu();
	cdev = open_cdev(first);
	ioas = ioas_alloc(iommu);
	CHECK_EQ(map(iommu, ioas, memory, IOVA, PAGE), 0);
}

static void end(void)
{
	world_end();
	munmap(memory, PAGE);
}

static uint32_t begin_bound(void)
{
	uint32_t id = 0;

	begin();
	CHECK_EQ(bind_device(cdev, iommu, &id), 0);
	return id;
}

/* A structure that can be read but not written, at the end of what can be read. */
static void *read_only(const void *structure, size_t size)
{
	uint8_t *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	memcpy(page + PAGE - size, structure, size);
	CHECK_EQ(mprotect(page, PAGE, PROT_READ), 0);
	CHECK_EQ(mprotect(page + PAGE, PAGE, PROT_NONE), 0);
	return page + PAGE - size;
}

static void read_only_free(void *structure)
{
	munmap((void *)((uintptr_t)structure & ~(PAGE - 1)), 2 * PAGE);
}

static void before_bind_everything_is_einval(void)
{
	static const unsigned commands[] = {
		VFIO_DEVICE_GET_INFO,
		VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO,
		VFIO_DEVICE_SET_IRQS,
		VFIO_DEVICE_RESET,
		VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		VFIO_DEVICE_FEATURE,
		VFIO_DEVICE_PCI_HOT_RESET,
		VFIO_DEVICE_IOEVENTFD,
		VFIO_GET_API_VERSION,
		VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		VFIO_DEVICE_DETACH_IOMMUFD_PT,
		VFIO_GROUP_GET_STATUS,
		VFIO_MIG_GET_PRECOPY_INFO,
		0,
	};
	struct file_region *region;

	begin();
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		CHECK_EQ(call(cdev, commands[i], NULL), -EINVAL);
	CHECK_EQ(read_fd(cdev, memory, 4, UINT64_C(7) << 40), -EINVAL);
	CHECK_EQ(write_fd(cdev, memory, 4, UINT64_C(7) << 40), -EINVAL);
	CHECK_EQ(mmap_fd(cdev, PAGE, 0, &region), -EINVAL);
	end();
}

static void a_cdev_can_be_opened_any_number_of_times(void)
{
	begin();
	for (int i = 0; i < 10; i++)
		CHECK(open_cdev(first) >= 0);
	CHECK_EQ(bind_device(cdev, iommu, NULL), 0);
	CHECK(open_cdev(first) >= 0);
	CHECK_EQ(bind_device(open_cdev(second), iommu, NULL), 0);
	end();
}

static void bind_tells_the_id_of_the_device(void)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = 16, .iommufd = -1};
	uint32_t hwpt;

	begin();
	cmd.iommufd = iommu;
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &cmd), 0);
	CHECK(cmd.out_devid && cmd.out_devid != ioas);
	CHECK_EQ(hwpt_alloc(iommu, cmd.out_devid, ioas, 0, &hwpt), 0);
	CHECK_EQ(destroy(iommu, cmd.out_devid), -EBUSY);
	CHECK_EQ(destroy(iommu, hwpt), 0);
	CHECK_EQ(atomic_load(&first->counts.opened), 1);
	CHECK(!dma_works(first));
	close_fd(cdev);
	CHECK_EQ(destroy(iommu, cmd.out_devid), -ENOENT);
	end();
}

static void who_has_bound_a_device_is_known(void)
{
	bool from_group = true;
	pid_t opener;

	begin();
	CHECK(!vfio_device_opener(&first->device, &opener, &from_group));
	CHECK_EQ(bind_device(cdev, iommu, NULL), 0);
	CHECK(vfio_device_opener(&first->device, &opener, &from_group));
	CHECK_EQ(opener, getpid());
	CHECK(!from_group);
	close_fd(cdev);
	CHECK(!vfio_device_opener(&first->device, &opener, &from_group));
	end();
}

static void bind_checks_its_structure_first(void)
{
	struct {
		struct vfio_device_bind_iommufd cmd;
		uint8_t more[5000];
	} arg = {.cmd = {.argsz = 15, .iommufd = -1}};
	void *short_one;

	begin();
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, NULL), -EFAULT);
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -EINVAL);
	arg.cmd.argsz = sizeof(arg);
	arg.more[4999] = 1;
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -E2BIG);
	arg.more[4999] = 0;
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -EINVAL);
	arg.cmd.iommufd = iommu;
	arg.cmd.flags = 2;
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), -EINVAL);
	/* As long as it says. */
	arg.cmd.flags = 0;
	arg.cmd.argsz = 24;
	short_one = read_only(&arg.cmd, 20);
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, short_one), -EFAULT);
	read_only_free(short_one);
	arg.cmd.argsz = sizeof(arg);
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &arg), 0);
	end();
}

static void bind_while_the_group_is_open_is_ebusy(void)
{
	int group;

	begin();
	group = open_group(1);
	/* Comes before what is wrong with the iommufd, and after what is wrong with the structure. */
	CHECK_EQ(bind_device(cdev, FDS - 1, NULL), -EBUSY);
	CHECK_EQ(bind_device(cdev, -1, NULL), -EINVAL);
	close_fd(group);
	CHECK_EQ(bind_device(cdev, iommu, NULL), 0);
	end();
}

static void bind_of_a_file_of_a_group_is_einval(void)
{
	int group, device;

	begin();
	close_fd(cdev);
	group = open_group(1);
	CHECK_EQ(set_container(group, iommu), 0);
	device = device_fd(group, first);
	CHECK_EQ(bind_device(device, iommu, NULL), -EINVAL);
	close_fd(group);
	CHECK_EQ(bind_device(device, iommu, NULL), -EINVAL);
	/* The group is closed, but the device is not. */
	CHECK_EQ(bind_device(open_cdev(first), iommu, NULL), -EINVAL);
	close_fd(device);
	CHECK_EQ(bind_device(open_cdev(first), iommu, NULL), 0);
	end();
}

static void bind_needs_an_iommufd(void)
{
	begin();
	CHECK_EQ(bind_device(cdev, FDS - 1, NULL), -EBADF);
	CHECK_EQ(bind_device(cdev, cdev, NULL), -EBADFD);
	CHECK_EQ(bind_device(cdev, open_container(), NULL), 0);
	/* What is bound comes before what is no iommufd. */
	CHECK_EQ(bind_device(cdev, FDS - 1, NULL), -EINVAL);
	end();
}

static void a_token_is_einval_as_there_are_no_virtual_functions(void)
{
	const uint8_t uuid[16] = {1};
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd), .flags = VFIO_DEVICE_BIND_FLAG_TOKEN};

	begin();
	cmd.iommufd = FDS - 1;
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &cmd), -EFAULT);
	cmd.token_uuid_ptr = (uintptr_t)uuid;
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, &cmd), -EINVAL);
	CHECK_EQ(bind_device(cdev, iommu, NULL), 0);
	end();
}

static void a_device_is_bound_once(void)
{
	int twin;

	begin();
	twin = open_cdev(first);
	CHECK_EQ(bind_device(cdev, iommu, NULL), 0);
	CHECK_EQ(bind_device(cdev, iommu, NULL), -EINVAL);
	CHECK_EQ(bind_device(twin, iommu, NULL), -EINVAL);
	CHECK_EQ(bind_device(twin, open_iommu(), NULL), -EINVAL);
	CHECK_EQ(call(twin, VFIO_DEVICE_RESET, NULL), -EINVAL);
	CHECK_EQ(bind_device(open_cdev(second), open_iommu(), NULL), -EPERM);
	close_fd(cdev);
	CHECK_EQ(bind_device(twin, iommu, NULL), 0);
	CHECK_EQ(atomic_load(&first->counts.opened), 2);
	end();
}

static void bind_that_cannot_tell_the_id_has_not_bound(void)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd)};
	void *arg;

	begin();
	cmd.iommufd = iommu;
	arg = read_only(&cmd, sizeof(cmd));
	CHECK_EQ(call(cdev, VFIO_DEVICE_BIND_IOMMUFD, arg), -EFAULT);
	read_only_free(arg);
	CHECK_EQ(call(cdev, VFIO_DEVICE_RESET, NULL), -EINVAL);
	CHECK_EQ(atomic_load(&first->counts.closing), 1);
	CHECK(!first->device.user);
	close_fd(open_group(1));
	atomic_store(&world.deny_region, true);
	CHECK_EQ(bind_device(cdev, iommu, NULL), -ENFILE);
	atomic_store(&world.deny_region, false);
	close_fd(open_group(1));
	CHECK_EQ(bind_device(cdev, open_iommu(), NULL), 0);
	end();
}

static void attach_checks_in_order(void)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = 11, .flags = 2};
	void *short_one;

	begin_bound();
	cmd.pt_id = 1000;
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL), -EFAULT);
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd), -EINVAL);
	cmd.argsz = 12;
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd), -EINVAL);
	cmd.flags = VFIO_DEVICE_ATTACH_PASID;
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd), -EINVAL);
	cmd.argsz = 16;
	short_one = read_only(&cmd, 12);
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, short_one), -EFAULT);
	read_only_free(short_one);
	cmd.argsz = 12;
	cmd.flags = 0;
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd), -ENOENT);
	end();
}

static void attach_tells_the_page_table(void)
{
	uint32_t id = begin_bound();
	uint32_t pt = ioas;

	CHECK_EQ(attach(cdev, &pt), 0);
	CHECK(pt != ioas && pt != id);
	CHECK(dma_works(first));
	CHECK(!dma_works(second));
	CHECK_EQ(destroy(iommu, pt), -EBUSY);
	CHECK_EQ(detach(cdev), 0);
	CHECK(!dma_works(first));
	pt = id;
	CHECK_EQ(attach(cdev, &pt), -EINVAL);
	end();
}

static void attach_again_replaces(void)
{
	uint32_t id = begin_bound();
	uint32_t empty = ioas_alloc(iommu);
	uint32_t pt = ioas, hwpt;

	CHECK_EQ(attach(cdev, &pt), 0);
	CHECK_EQ(hwpt_alloc(iommu, id, empty, 0, &hwpt), 0);
	CHECK_EQ(attach(cdev, &hwpt), 0);
	CHECK(!dma_works(first));
	CHECK_EQ(destroy(iommu, pt), -ENOENT);
	pt = 1000;
	CHECK_EQ(attach(cdev, &pt), -ENOENT);
	pt = ioas;
	CHECK_EQ(attach(cdev, &pt), 0);
	CHECK(dma_works(first));
	CHECK_EQ(destroy(iommu, hwpt), 0);
	end();
}

static void attach_that_cannot_tell_the_page_table_detaches(void)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd)};
	uint32_t pt;
	void *arg;

	begin_bound();
	pt = cmd.pt_id = ioas;
	arg = read_only(&cmd, sizeof(cmd));
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, arg), -EFAULT);
	CHECK(!dma_works(first));
	CHECK_EQ(attach(cdev, &pt), 0);
	/* As a replacement, too. */
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, arg), -EFAULT);
	CHECK(!dma_works(first));
	read_only_free(arg);
	end();
}

static void detach_checks_its_structure_only(void)
{
	struct vfio_device_detach_iommufd_pt cmd = {.argsz = 7};
	uint32_t pt;

	begin_bound();
	pt = ioas;
	CHECK_EQ(call(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, NULL), -EFAULT);
	CHECK_EQ(call(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd), -EINVAL);
	cmd.argsz = 8;
	cmd.flags = 2;
	CHECK_EQ(call(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd), -EINVAL);
	cmd.flags = VFIO_DEVICE_DETACH_PASID;
	CHECK_EQ(call(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd), -EINVAL);
	cmd.flags = 0;
	CHECK_EQ(call(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd), 0);
	CHECK_EQ(detach_pasid(cdev, 5), 0);
	CHECK_EQ(detach_pasid(cdev, UINT32_MAX), 0);
	CHECK_EQ(attach(cdev, &pt), 0);
	/* No PASID is the device itself. */
	CHECK_EQ(detach_pasid(cdev, 0), 0);
	CHECK(dma_works(first));
	CHECK_EQ(call(cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd), 0);
	CHECK(!dma_works(first));
	end();
}

static int peeks(uint32_t pasid)
{
	uint64_t value;

	return !dma_peek(&first->device, pasid, IOVA, &value);
}

static void a_pasid_is_attached_of_its_own(void)
{
	uint32_t id = begin_bound();
	uint32_t plain = ioas, pt;

	CHECK_EQ(hwpt_alloc(iommu, id, ioas, IOMMU_HWPT_ALLOC_PASID, &pt), 0);
	CHECK_EQ(attach_pasid(cdev, UINT32_C(1) << 31, &pt), -ENOSPC);
	CHECK_EQ(attach_pasid(cdev, UINT32_MAX, &pt), -ENOSPC);
	CHECK_EQ(attach_pasid(cdev, 0, &pt), -EINVAL);
	CHECK_EQ(attach_pasid(cdev, 256, &pt), -EINVAL);
	CHECK_EQ(attach_pasid(cdev, INT_MAX, &pt), -EINVAL);
	CHECK_EQ(attach_pasid(cdev, 7, &plain), -EINVAL);
	CHECK_EQ(attach_pasid(cdev, 7, &pt), 0);
	CHECK_EQ(attach_pasid(cdev, 255, &pt), 0);
	CHECK(peeks(7) && peeks(255) && !peeks(8) && !peeks(NO_PASID));
	CHECK_EQ(attach(cdev, &plain), -EINVAL);
	CHECK_EQ(attach(cdev, &pt), 0);
	CHECK(peeks(NO_PASID));
	CHECK_EQ(detach_pasid(cdev, 7), 0);
	CHECK(!peeks(7) && peeks(255) && peeks(NO_PASID));
	CHECK_EQ(detach(cdev), 0);
	CHECK(peeks(255) && !peeks(NO_PASID));
	close_fd(cdev);
	CHECK(!peeks(255));
	CHECK_EQ(destroy(iommu, pt), 0);
	end();
}

static void a_pasid_that_is_attached_is_replaced(void)
{
	uint32_t id = begin_bound();
	uint32_t empty = ioas_alloc(iommu);
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = VFIO_DEVICE_ATTACH_PASID, .pasid = 7};
	uint32_t pt, none;
	void *arg;

	CHECK_EQ(hwpt_alloc(iommu, id, ioas, IOMMU_HWPT_ALLOC_PASID, &pt), 0);
	CHECK_EQ(hwpt_alloc(iommu, id, empty, IOMMU_HWPT_ALLOC_PASID, &none), 0);
	CHECK_EQ(attach_pasid(cdev, 7, &none), 0);
	CHECK(!peeks(7));
	CHECK_EQ(attach(cdev, &pt), 0);
	/* The device itself is detached then, the PASID is not. */
	cmd.pt_id = pt;
	arg = read_only(&cmd, sizeof(cmd));
	CHECK_EQ(call(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, arg), -EFAULT);
	read_only_free(arg);
	CHECK(peeks(7) && !peeks(NO_PASID));
	CHECK_EQ(destroy(iommu, none), 0);
	end();
}

static void a_pasid_of_a_device_without_is_attached_to_no_effect(void)
{
	uint32_t id, pt;
	int file;

	begin();
	file = open_cdev(other);
	CHECK_EQ(bind_device(file, iommu, &id), 0);
	CHECK_EQ(hwpt_alloc(iommu, id, ioas, IOMMU_HWPT_ALLOC_PASID, &pt), 0);
	CHECK_EQ(attach_pasid(file, 7, &pt), 0);
	CHECK_EQ(destroy(iommu, pt), -EBUSY);
	CHECK_EQ(detach_pasid(file, 7), 0);
	CHECK_EQ(destroy(iommu, pt), 0);
	end();
}

static void an_unknown_command_is_enotty(void)
{
	begin_bound();
	CHECK_EQ(call(cdev, VFIO_GET_API_VERSION, NULL), -ENOTTY);
	CHECK_EQ(call(cdev, VFIO_IOMMU_UNMAP_DMA, NULL), -ENOTTY);
	CHECK_EQ(call(cdev, VFIO_GROUP_GET_STATUS, NULL), -ENOTTY);
	end();
}

static void a_device_is_stopped_before_it_is_detached(void)
{
	uint32_t pt;

	begin_bound();
	pt = ioas;
	CHECK_EQ(attach(cdev, &pt), 0);
	/* The device keeps its iommufd. */
	close_fd(iommu);
	CHECK(dma_works(first));
	first->device.memory[0][77] = 1;
	close_fd(cdev);
	CHECK(atomic_load(&first->counts.closing_works));
	CHECK(!dma_works(first));
	CHECK_EQ(atomic_load(&first->counts.resets), 2);
	end();
}

/* Which its client can make last. A call that wanted it would not return. */
static void nobody_else_waits_for_a_call_of_who_has_the_device(void)
{
	int twin, neighbour, far_group;

	begin_bound();
	twin = open_cdev(first);
	neighbour = open_cdev(second);
	far_group = open_group(2);
	pthread_mutex_lock(&first->device.lock);
	CHECK_EQ(open_group(1), -EBUSY);
	CHECK_EQ(bind_device(twin, iommu, NULL), -EINVAL);
	CHECK_EQ(bind_device(neighbour, open_iommu(), NULL), -EPERM);
	CHECK_EQ(bind_device(neighbour, iommu, NULL), 0);
	CHECK_EQ(status(far_group), VFIO_GROUP_FLAGS_VIABLE);
	close_fd(twin);
	close_fd(neighbour);
	pthread_mutex_unlock(&first->device.lock);
	end();
}

static void an_area_is_mapped_from_the_file(void)
{
	struct file_region *region = NULL;

	begin_bound();
	CHECK_EQ(mmap_fd(cdev, AREA, 0, &region), 0);
	if (!region)
		return;
	CHECK_EQ(region->offset, 0);
	CHECK_EQ(region->length, BAR);
	((volatile uint8_t *)region->memory)[AREA - 1] = 9;
	CHECK_EQ(first->device.memory[0][AREA - 1], 9);
	/* The client has it longer than the device. */
	close_fd(cdev);
	CHECK_EQ(((volatile uint8_t *)region->memory)[AREA - 1], 0);
	file_region_put(region);
	end();
}

int main(void)
{
	before_bind_everything_is_einval();
	a_cdev_can_be_opened_any_number_of_times();
	bind_tells_the_id_of_the_device();
	who_has_bound_a_device_is_known();
	bind_checks_its_structure_first();
	bind_while_the_group_is_open_is_ebusy();
	bind_of_a_file_of_a_group_is_einval();
	bind_needs_an_iommufd();
	a_token_is_einval_as_there_are_no_virtual_functions();
	a_device_is_bound_once();
	bind_that_cannot_tell_the_id_has_not_bound();
	attach_checks_in_order();
	attach_tells_the_page_table();
	attach_again_replaces();
	attach_that_cannot_tell_the_page_table_detaches();
	detach_checks_its_structure_only();
	a_pasid_is_attached_of_its_own();
	a_pasid_that_is_attached_is_replaced();
	a_pasid_of_a_device_without_is_attached_to_no_effect();
	an_unknown_command_is_enotty();
	a_device_is_stopped_before_it_is_detached();
	nobody_else_waits_for_a_call_of_who_has_the_device();
	an_area_is_mapped_from_the_file();
	return check_result();
}
