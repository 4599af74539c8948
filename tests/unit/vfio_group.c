/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups of devices: sections E.1, E.4 and E.5 of the interface. */
#include "vfio_world.h"

static struct world_device *first, *second, *other; /* first and second are of group 1, other is of group 2 */
static uint64_t *memory;

static void begin(void)
{
	world_begin();
	first = add_device(&world_model, 1, 0, 1);
	second = add_device(&world_model, 1, 1, 1);
	other = add_device(&world_model, 2, 0, UINT32_MAX);
	memory = memory_new();
}

static void end(void)
{
	world_end();
	munmap(memory, PAGE);
}

/* A group with a container whose compat IOAS has the memory at IOVA. */
static int group_with(int container)
{
	int group = open_group(1);

	CHECK(group >= 0);
	CHECK_EQ(set_container(group, container), 0);
	return group;
}

static void map_memory(int container)
{
	CHECK_EQ(map(container, (uint32_t)compat_ioas(container), memory, IOVA, PAGE), 0);
}

static void a_device_without_a_group_gets_the_lowest_that_is_free(void)
{
	begin();
	CHECK_EQ(other->device.group->iommu.id, 2);
	CHECK_EQ(first->device.number, 0);
	CHECK_EQ(other->device.number, 2);
	CHECK(vfio_find_device(&world.vfio, "0000:02:00.0") == &other->device);
	CHECK(!vfio_find_device(&world.vfio, "0000:02:00.1"));
	CHECK(!vfio_find_group(&world.vfio, 3));
	end();
}

static void two_devices_at_one_address_are_eexist(void)
{
	struct vfio_device twin = {.model = &world_model, .bus = 2};

	begin();
	CHECK_EQ(vfio_add_device(&world.vfio, &twin, 9), -EEXIST);
	CHECK(!vfio_find_group(&world.vfio, 9));
	end();
}

static void a_group_has_one_opener(void)
{
	int group;

	begin();
	group = open_group(1);
	CHECK(group >= 0);
	CHECK_EQ(open_group(1), -EBUSY);
	CHECK(open_group(2) >= 0);
	close_fd(group);
	CHECK(open_group(1) >= 0);
	end();
}

static void a_descriptor_more_keeps_a_group_open(void)
{
	int group;

	begin();
	group = open_group(1);
	CHECK(dup_fd(group) > group);
	close_fd(group);
	CHECK_EQ(open_group(1), -EBUSY);
	end();
}

static void a_group_with_a_bound_cdev_is_busy(void)
{
	int iommu, cdev, unbound;

	begin();
	iommu = open_iommu();
	unbound = open_cdev(second);
	cdev = open_cdev(first);
	close_fd(open_group(1));
	CHECK_EQ(bind_device(cdev, iommu, NULL), 0);
	CHECK_EQ(open_group(1), -EBUSY);
	close_fd(unbound);
	CHECK_EQ(open_group(1), -EBUSY);
	close_fd(cdev);
	CHECK(open_group(1) >= 0);
	end();
}

static void status_says_viable_and_container_set(void)
{
	int group, container, device;

	begin();
	group = open_group(1);
	container = open_iommu();
	CHECK_EQ(status(group), VFIO_GROUP_FLAGS_VIABLE);
	CHECK_EQ(set_container(group, container), 0);
	CHECK_EQ(status(group), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	device = device_fd(group, first);
	CHECK_EQ(status(group), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	/* Its devices' DMA is somebody's now. */
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(status(group), 0);
	close_fd(device);
	CHECK_EQ(status(group), VFIO_GROUP_FLAGS_VIABLE);
	end();
}

struct info {
	struct vfio_iommu_type1_info info;
	struct vfio_iommu_type1_info_dma_avail avail;
	uint32_t pad;
	struct vfio_iommu_type1_info_cap_iova_range ranges;
	struct vfio_iova_range range[4];
};

static uint32_t ask_ranges(int container, struct info *info)
{
	*info = (struct info){.info.argsz = sizeof(*info)};
	CHECK_EQ(call(container, VFIO_IOMMU_GET_INFO, info), 0);
	return info->ranges.nr_iovas;
}

static void expect_ranges_of_devices(int container)
{
	struct info info;

	CHECK_EQ(ask_ranges(container, &info), 2);
	CHECK_EQ(info.range[0].start, 0);
	CHECK_EQ(info.range[0].end, 0xfedfffff);
	CHECK_EQ(info.range[1].start, 0xfef00000);
	CHECK_EQ(info.range[1].end, (UINT64_C(1) << 57) - 1);
}

/* A driver may ask before it opens a device, and choose its IOVAs by that. */
static void a_container_shows_what_devices_of_its_groups_can_use(void)
{
	int group, container, device;
	struct info info;

	begin();
	container = open_iommu();
	group = group_with(container);
	expect_ranges_of_devices(container);
	device = device_fd(group, first);
	expect_ranges_of_devices(container);
	close_fd(device);
	expect_ranges_of_devices(container);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(ask_ranges(container, &info), 1);
	CHECK_EQ(info.range[0].end, UINT64_MAX);
	CHECK_EQ(set_container(group, container), 0);
	expect_ranges_of_devices(container);
	close_fd(group);
	CHECK_EQ(ask_ranges(container, &info), 1);
	end();
}

static void status_checks_its_structure(void)
{
	struct vfio_group_status cmd = {.argsz = sizeof(cmd) - 1, .flags = 77};
	int group;

	begin();
	group = open_group(1);
	CHECK_EQ(call(group, VFIO_GROUP_GET_STATUS, NULL), -EFAULT);
	CHECK_EQ(call(group, VFIO_GROUP_GET_STATUS, &cmd), -EINVAL);
	CHECK_EQ(cmd.flags, 77);
	cmd.argsz = 100;
	CHECK_EQ(call(group, VFIO_GROUP_GET_STATUS, &cmd), 0);
	CHECK_EQ(cmd.flags, VFIO_GROUP_FLAGS_VIABLE);
	CHECK_EQ(cmd.argsz, 100);
	end();
}

static void set_container_checks_in_order(void)
{
	int group, container, cdev;

	begin();
	group = open_group(1);
	container = open_iommu();
	cdev = open_cdev(other);
	CHECK_EQ(call(group, VFIO_GROUP_SET_CONTAINER, NULL), -EFAULT);
	CHECK_EQ(set_container(group, -1), -EBADF);
	CHECK_EQ(set_container(group, FDS - 1), -EBADF);
	CHECK_EQ(set_container(group, group), -EBADFD);
	CHECK_EQ(set_container(group, cdev), -EBADFD);
	CHECK_EQ(set_container(group, container), 0);
	CHECK_EQ(set_container(group, container), -EINVAL);
	CHECK_EQ(set_container(group, cdev), -EINVAL);
	CHECK_EQ(set_container(group, FDS - 1), -EBADF);
	end();
}

static void set_container_makes_the_compat_ioas_where_there_is_none(void)
{
	int one, two, container, another;
	uint32_t ioas;

	begin();
	one = open_group(1);
	two = open_group(2);
	container = open_container();
	another = open_iommu();
	ioas = ioas_alloc(another);
	CHECK_EQ(compat_ioas(container), -ENODEV);
	CHECK_EQ(set_container(one, container), 0);
	CHECK_EQ(compat_ioas(container), 1);
	CHECK_EQ(set_container(two, container), 0);
	CHECK_EQ(compat_ioas(container), 1);
	CHECK_EQ(call(two, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	/* One that a client has chosen stays. */
	CHECK_EQ(compat_set(another, IOMMU_VFIO_IOAS_SET, ioas), 0);
	CHECK_EQ(set_container(two, another), 0);
	CHECK_EQ(compat_ioas(another), ioas);
	/* An ordinary IOAS; a new one takes its place. */
	CHECK_EQ(destroy(another, ioas), 0);
	CHECK_EQ(compat_ioas(another), -ENODEV);
	CHECK_EQ(call(two, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(set_container(two, another), 0);
	CHECK(compat_ioas(another) > 0);
	end();
}

static void unset_container_does_not_ask_for_open_devices(void)
{
	int group, container, device;

	begin();
	group = open_group(1);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
	container = open_iommu();
	CHECK_EQ(set_container(group, container), 0);
	map_memory(container);
	device = device_fd(group, first);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
	CHECK(dma_works(first));
	CHECK_EQ(call(device, VFIO_DEVICE_RESET, NULL), 0);
	CHECK_EQ(device_fd(group, first), -EINVAL);
	end();
}

static void an_unknown_command_is_enotty(void)
{
	int group;

	begin();
	group = open_group(1);
	CHECK_EQ(call(group, VFIO_DEVICE_GET_INFO, NULL), -ENOTTY);
	CHECK_EQ(call(group, VFIO_GET_API_VERSION, NULL), -ENOTTY);
	CHECK_EQ(call(group, 0, NULL), -ENOTTY);
	CHECK_EQ(read_fd(group, memory, 1, 0), -EINVAL);
	CHECK_EQ(write_fd(group, memory, 1, 0), -EINVAL);
	end();
}

static long get_device(int group, const char *name)
{
	return call(group, VFIO_GROUP_GET_DEVICE_FD, name);
}

static void a_device_is_found_by_its_name_and_options(void)
{
	static const struct {
		const char *name;
		long result; /* 0: a descriptor */
	} cases[] = {
		{"", -ENODEV},
		{"0000:01:00.2", -ENODEV},
		{"0000:02:00.0", -ENODEV}, /* of another group */
		{"0000:01:00.", -ENODEV},
		{" 0000:01:00.0", -ENODEV},
		{"0000:01:00.00", -ENODEV},
		{"0000:01:00.0\t", -ENODEV},
		{"0000:01:00.0,", -ENODEV},
		{"0000:01:00.0 x", -EINVAL},
		{"0000:01:00.0   vf_token=", -EINVAL},
		{"0000:01:00.0 vf_token=12345678-1234-1234-1234-123456789ab", -EINVAL},
		{"0000:01:00.0 vf_token=12345678-1234-1234-1234-123456789abc", -EINVAL},
		{"0000:01:00.0 vf_token=12345678-1234-1234-1234-123456789abc vf_token=", -EINVAL},
		{"0000:01:00.0", 0},
		{"0000:01:00.1", 0},
		{"0000:01:00.0 ", 0},
		{"0000:01:00.0    ", 0},
	};
	int group;

	begin();
	group = group_with(open_iommu());
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		long rc = get_device(group, cases[i].name);

		if (cases[i].result)
			CHECK_EQ(rc, cases[i].result);
		else
			CHECK(rc >= 0);
		close_fd((int)rc);
	}
	end();
}

static void the_name_is_a_string_of_a_page_at_most(void)
{
	char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int group;

	begin();
	group = group_with(open_iommu());
	CHECK_EQ(mprotect(pages + 2 * PAGE, PAGE, PROT_NONE), 0);
	CHECK_EQ(get_device(group, NULL), -EFAULT);
	memset(pages, ' ', 2 * PAGE);
	memcpy(pages, first->device.name, strlen(first->device.name));
	CHECK_EQ(get_device(group, pages), -EINVAL);
	pages[PAGE] = 0;
	CHECK_EQ(get_device(group, pages), -EINVAL);
	pages[PAGE - 1] = 0;
	CHECK(get_device(group, pages) >= 0);
	/* It ends where nothing is readable. */
	memcpy(pages + 2 * PAGE - 4, "0000", 4);
	CHECK_EQ(get_device(group, pages + 2 * PAGE - 4), -EFAULT);
	memcpy(pages + 2 * PAGE - 13, first->device.name, 13);
	CHECK(get_device(group, pages + 2 * PAGE - 13) >= 0);
	end();
	munmap(pages, 3 * PAGE);
}

static void a_device_needs_a_container(void)
{
	int group;

	begin();
	group = open_group(1);
	CHECK_EQ(device_fd(group, other), -ENODEV);
	atomic_store(&world.deny_reserve, true);
	CHECK_EQ(device_fd(group, first), -EMFILE);
	atomic_store(&world.deny_reserve, false);
	CHECK_EQ(device_fd(group, first), -EINVAL);
	end();
}

static void a_device_is_attached_to_the_compat_ioas(void)
{
	int group, container, device;
	uint32_t ioas;

	begin();
	container = open_iommu();
	group = group_with(container);
	ioas = (uint32_t)compat_ioas(container);
	CHECK_EQ(compat_set(container, IOMMU_VFIO_IOAS_CLEAR, 0), 0);
	CHECK_EQ(device_fd(group, first), -ENODEV);
	CHECK_EQ(compat_set(container, IOMMU_VFIO_IOAS_SET, ioas), 0);
	/* What the device cannot use is in use. */
	CHECK_EQ(map(container, ioas, memory, 0xfee00000, PAGE), 0);
	CHECK_EQ(device_fd(group, first), -EADDRINUSE);
	CHECK_EQ(atomic_load(&first->counts.resets), 0);
	CHECK_EQ(destroy(container, ioas), 0);
	ioas = ioas_alloc(container);
	CHECK_EQ(compat_set(container, IOMMU_VFIO_IOAS_SET, ioas), 0);
	device = device_fd(group, first);
	CHECK(device >= 0);
	CHECK_EQ(world.o_flags, O_RDWR | O_CLOEXEC);
	CHECK_EQ(map(container, ioas, memory, 0xfee00000, PAGE), -EINVAL);
	CHECK(!dma_works(first));
	map_memory(container);
	CHECK(dma_works(first));
	CHECK(!dma_works(second));
	CHECK_EQ(destroy(container, ioas), -EBUSY);
	close_fd(device);
	CHECK(!dma_works(first));
	CHECK(atomic_load(&first->counts.closing_works));
	CHECK_EQ(destroy(container, ioas), 0);
	end();
}

static void a_group_is_one_iommufds(void)
{
	int group, device;

	begin();
	group = group_with(open_iommu());
	device = device_fd(group, first);
	CHECK(device >= 0);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(set_container(group, open_iommu()), 0);
	CHECK_EQ(device_fd(group, second), -EPERM);
	close_fd(device);
	CHECK(device_fd(group, second) >= 0);
	end();
}

static void a_device_that_is_open_is_shared(void)
{
	struct file *a = NULL, *b = NULL;
	int group, one, two;

	begin();
	group = group_with(open_iommu());
	one = device_fd(group, first);
	CHECK_EQ(atomic_load(&first->counts.resets), 1);
	first->device.memory[0][5] = 5;
	two = device_fd(group, first);
	CHECK(two >= 0 && two != one);
	CHECK_EQ(world_file(NULL, one, &a), 0);
	CHECK_EQ(world_file(NULL, two, &b), 0);
	CHECK(a && a == b);
	if (a)
		file_put(a);
	if (b)
		file_put(b);
	CHECK_EQ(atomic_load(&first->counts.resets), 1);
	close_fd(one);
	CHECK_EQ(first->device.memory[0][5], 5);
	CHECK_EQ(call(two, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL), -ENOTTY);
	close_fd(two);
	CHECK_EQ(atomic_load(&first->counts.resets), 2);
	CHECK(!first->device.user);
	CHECK(device_fd(group, first) >= 0);
	CHECK_EQ(atomic_load(&first->counts.resets), 3);
	CHECK_EQ(first->device.memory[0][5], 0);
	end();
}

static void who_has_a_device_open_is_known(void)
{
	bool from_group = true;
	pid_t opener = 1;
	int group, one;

	begin();
	CHECK(!vfio_device_opener(&first->device, &opener, &from_group));
	CHECK_EQ(opener, 0);
	CHECK(!from_group);
	group = group_with(open_iommu());
	CHECK(!vfio_device_opener(&first->device, &opener, &from_group));
	one = device_fd(group, first);
	CHECK(vfio_device_opener(&first->device, &opener, &from_group));
	CHECK_EQ(opener, getpid());
	CHECK(from_group);
	CHECK(!vfio_device_opener(&second->device, &opener, &from_group));
	close_fd(one);
	CHECK(!vfio_device_opener(&first->device, &opener, &from_group));
	end();
}

static void what_goes_wrong_leaves_the_device_closed(void)
{
	int group;

	begin();
	group = group_with(open_iommu());
	atomic_store(&world.deny_region, true);
	CHECK_EQ(device_fd(group, first), -ENFILE);
	atomic_store(&world.deny_region, false);
	CHECK(!first->device.user);
	CHECK(!atomic_load(&first->device.group->iommu.owner));
	atomic_store(&world.deny_poll, true);
	CHECK_EQ(device_fd(group, first), -EAGAIN);
	atomic_store(&world.deny_poll, false);
	CHECK(!first->device.user && !first->device.memory[0]);
	atomic_store(&world.deny_install, true);
	CHECK_EQ(device_fd(group, first), -EMFILE);
	atomic_store(&world.deny_install, false);
	CHECK(!first->device.user);
	CHECK(!atomic_load(&first->device.group->iommu.owner));
	CHECK(device_fd(group, first) >= 0);
	end();
}

static void a_device_outlives_its_group_and_container(void)
{
	int group, container, device;

	begin();
	container = open_iommu();
	group = group_with(container);
	map_memory(container);
	device = device_fd(group, first);
	close_fd(group);
	close_fd(container);
	CHECK(dma_works(first));
	CHECK_EQ(call(device, VFIO_DEVICE_RESET, NULL), 0);
	/* The group is free, but its devices' DMA is not. */
	group = open_group(1);
	CHECK_EQ(status(group), 0);
	CHECK_EQ(set_container(group, open_iommu()), 0);
	CHECK_EQ(device_fd(group, second), -EPERM);
	/* Who opens it again shares it. */
	close_fd(device_fd(group, first));
	CHECK(dma_works(first));
	close_fd(device);
	CHECK(!dma_works(first));
	CHECK(device_fd(group, second) >= 0);
	end();
}

static void files_are_closed_in_any_order(void)
{
	static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 0, 3, 2},
					{2, 3, 0, 1}, {1, 3, 0, 2}, {3, 0, 2, 1}};

	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		int fds[4];

		begin();
		fds[0] = open_container();
		fds[1] = group_with(fds[0]);
		map_memory(fds[0]);
		fds[2] = device_fd(fds[1], first);
		fds[3] = device_fd(fds[1], second);
		for (int n = 0; n < 4; n++)
			close_fd(fds[orders[i][n]]);
		CHECK(!first->device.user && !second->device.user);
		CHECK(!atomic_load(&first->device.group->iommu.owner));
		CHECK(open_group(1) >= 0);
		end();
	}
}

/* The call that closes a group's last descriptor under another that is at work with it. */
static int closing_group, closed_group;

static void close_and_open_the_group(void)
{
	world.after_reserve = NULL;
	close_fd(closing_group);
	closed_group = open_group(1);
	CHECK_EQ(set_container(closed_group, open_iommu()), 0);
}

static void a_call_of_a_closed_group_does_nothing_to_its_next_opener(void)
{
	begin();
	closing_group = group_with(open_iommu());
	world.after_reserve = close_and_open_the_group;
	CHECK_EQ(device_fd(closing_group, first), -EINVAL);
	CHECK(closed_group >= 0);
	CHECK(!first->device.user);
	CHECK_EQ(open_group(1), -EBUSY);
	CHECK(device_fd(closed_group, first) >= 0);
	end();
}

int main(void)
{
	a_device_without_a_group_gets_the_lowest_that_is_free();
	two_devices_at_one_address_are_eexist();
	a_group_has_one_opener();
	a_descriptor_more_keeps_a_group_open();
	a_group_with_a_bound_cdev_is_busy();
	status_says_viable_and_container_set();
	a_container_shows_what_devices_of_its_groups_can_use();
	status_checks_its_structure();
	set_container_checks_in_order();
	set_container_makes_the_compat_ioas_where_there_is_none();
	unset_container_does_not_ask_for_open_devices();
	an_unknown_command_is_enotty();
	a_device_is_found_by_its_name_and_options();
	the_name_is_a_string_of_a_page_at_most();
	a_device_needs_a_container();
	a_device_is_attached_to_the_compat_ioas();
	a_group_is_one_iommufds();
	a_device_that_is_open_is_shared();
	who_has_a_device_open_is_known();
	what_goes_wrong_leaves_the_device_closed();
	a_device_outlives_its_group_and_container();
	files_are_closed_in_any_order();
	a_call_of_a_closed_group_does_nothing_to_its_next_opener();
	return check_result();
}
