/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups of VFIO. */
#include "device.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

static void a_group_has_one_opener(struct rules *t)
{
	int group = group_open(t, 1);
	int other = group_open(t, 3);

	EXPECT(t, group_open(t, 1), -EBUSY);
	device_close(t, group);
	group = group_open(t, 1);
	EXPECT(t, group_status(t, group), VFIO_GROUP_FLAGS_VIABLE);
	device_close(t, group);
	device_close(t, other);
}

static void a_group_is_busy_while_a_cdev_of_it_is_bound(struct rules *t)
{
	int cdev = cdev_open(t, 0);
	int group = group_open(t, 1);

	device_close(t, group);
	EXPECT(t, bind_cdev(t, cdev, NULL), 0);
	EXPECT(t, group_open(t, 1), -EBUSY);
	device_close(t, cdev);
	group = group_open(t, 1);
	EXPECT(t, group < 0 ? group : 0, 0);
	device_close(t, group);
}

static void status_has_its_structure_checked(struct rules *t)
{
	struct vfio_group_status c = {.argsz = sizeof(c) - 1, .flags = 77};
	int group = group_open(t, 1);

	EXPECT(t, call_on(t, group, VFIO_GROUP_GET_STATUS, HOLE), -EFAULT);
	EXPECT(t, call_on(t, group, VFIO_GROUP_GET_STATUS, place(t, &c, sizeof(c), 4, PROT_READ, PROT_NONE)), -EFAULT);
	EXPECT(t, call_on(t, group, VFIO_GROUP_GET_STATUS, &c), -EINVAL);
	EXPECT(t, c.flags, 77);
	c.argsz = 100;
	EXPECT(t, call_on(t, group, VFIO_GROUP_GET_STATUS, &c), 0);
	EXPECT(t, c.flags, VFIO_GROUP_FLAGS_VIABLE);
	EXPECT(t, c.argsz, 100);
	EXPECT(t, call_on(t, group, VFIO_GROUP_GET_STATUS, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	device_close(t, group);
}

static void status_says_what_the_group_is(struct rules *t)
{
	int group = group_open(t, 1);
	int device;

	EXPECT(t, group_status(t, group), VFIO_GROUP_FLAGS_VIABLE);
	EXPECT(t, set_container(t, group, t->fd), 0);
	EXPECT(t, group_status(t, group), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	device = get_device_fd(t, group, DEVICE_0);
	EXPECT(t, group_status(t, group), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	EXPECT(t, group_status(t, group), 0);
	device_close(t, device);
	EXPECT(t, group_status(t, group), VFIO_GROUP_FLAGS_VIABLE);
	device_close(t, group);
}

static void set_container_checks_in_order(struct rules *t)
{
	int group = group_open(t, 1);
	int cdev = cdev_open(t, 3);

	EXPECT(t, call_on(t, group, VFIO_GROUP_SET_CONTAINER, HOLE), -EFAULT);
	EXPECT(t, set_container(t, group, -1), -EBADF);
	EXPECT(t, set_container(t, group, NO_FD), -EBADF);
	EXPECT(t, set_container(t, group, group), -EBADFD);
	EXPECT(t, set_container(t, group, cdev), -EBADFD);
	EXPECT(t, set_container(t, group, t->fd), 0);
	EXPECT(t, set_container(t, group, t->fd), -EINVAL);
	EXPECT(t, set_container(t, group, cdev), -EINVAL);
	EXPECT(t, set_container(t, group, NO_FD), -EBADF);
	device_close(t, cdev);
	device_close(t, group);
}

static void any_iommufd_is_a_container(struct rules *t)
{
	int container = node_open(t, "/dev/vfio/vfio");
	int group = group_open(t, 1);
	int device;

	EXPECT(t, set_container(t, group, container), 0);
	EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	EXPECT(t, set_container(t, group, t->fd), 0);
	device = get_device_fd(t, group, DEVICE_0);
	EXPECT(t, device < 0 ? device : 0, 0);
	device_close(t, device);
	device_close(t, group);
	device_close(t, container);
}

static void set_container_makes_an_ioas_where_there_is_none(struct rules *t)
{
	int one = group_open(t, 1);
	int two = group_open(t, 2);
	uint32_t ioas = 0, chosen;

	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &ioas), -ENODEV);
	EXPECT(t, set_container(t, one, t->fd), 0);
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &ioas), 0);
	EXPECT(t, ioas, 1);
	EXPECT(t, set_container(t, two, t->fd), 0);
	ioas = 0;
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &ioas), 0);
	EXPECT(t, ioas, 1);
	EXPECT(t, call_on(t, two, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	chosen = container_new(t);
	EXPECT(t, set_container(t, two, t->fd), 0);
	ioas = 0;
	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_GET, &ioas), 0);
	EXPECT(t, ioas, chosen);
	EXPECT(t, destroy(t, 1), 0);
	device_close(t, one);
	device_close(t, two);
}

static void unset_container_needs_one(struct rules *t)
{
	int group = group_open(t, 1);

	EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
	EXPECT(t, set_container(t, group, t->fd), 0);
	EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
	device_close(t, group);
}

static void unset_container_leaves_open_devices_attached(struct rules *t)
{
	int group = group_new(t, 1);
	int device = get_device_fd(t, group, DEVICE_0);

	EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	EXPECT(t, call_on(t, device, VFIO_DEVICE_RESET, NULL), 0);
	EXPECT(t, is_attached(t, 1), true);
	device_close(t, device);
	EXPECT(t, is_attached(t, 1), false);
	device_close(t, group);
}

static void an_unknown_command_of_a_group_is_enotty(struct rules *t)
{
	int group = group_open(t, 1);

	EXPECT(t, call_on(t, group, VFIO_GET_API_VERSION, NULL), -ENOTTY);
	EXPECT(t, call_on(t, group, VFIO_DEVICE_GET_INFO, HOLE), -ENOTTY);
	EXPECT(t, call_on(t, group, VFIO_IOMMU_MAP_DMA, HOLE), -ENOTTY);
	device_close(t, group);
}

static void the_name_is_a_string_of_a_page_at_most(struct rules *t)
{
	int group = group_new(t, 1);
	static char name[PAGE + 1];
	int device;

	EXPECT(t, get_device_fd(t, group, HOLE), -EFAULT);
	/* It ends where nothing can be read. */
	EXPECT(t, get_device_fd(t, group, place_at_end(t, DEVICE_0, 12, PROT_READ)), -EFAULT);
	device = get_device_fd(t, group, place_at_end(t, DEVICE_0, 13, PROT_READ));
	EXPECT(t, device < 0 ? device : 0, 0);
	device_close(t, device);
	memset(name, ' ', PAGE);
	memcpy(name, DEVICE_0, 12);
	EXPECT(t, get_device_fd(t, group, name), -EINVAL);
	name[PAGE - 1] = 0;
	device = get_device_fd(t, group, name);
	EXPECT(t, device < 0 ? device : 0, 0);
	device_close(t, device);
	device_close(t, group);
}

struct name_row {
	const char *name;
	int result;
};

static void get_device_by_name(struct rules *t, const void *row)
{
	const struct name_row *r = row;
	int group = group_new(t, 1);
	int device = get_device_fd(t, group, r->name);

	EXPECT(t, device < 0 ? device : 0, r->result);
	if (device >= 0)
		device_close(t, device);
	device_close(t, group);
}

static void a_device_needs_a_container(struct rules *t)
{
	int group = group_open(t, 1);

	EXPECT(t, get_device_fd(t, group, DEVICE_3), -ENODEV);
	EXPECT(t, get_device_fd(t, group, DEVICE_0), -EINVAL);
	device_close(t, group);
}

static void a_device_is_attached_to_the_ioas_of_the_container(struct rules *t)
{
	int group = group_new(t, 1);
	uint32_t ioas = 0;
	int device;

	EXPECT(t, vfio_ioas(t, IOMMU_VFIO_IOAS_CLEAR, &ioas), 0);
	EXPECT(t, get_device_fd(t, group, DEVICE_0), -ENODEV);
	ioas = container_new(t);
	EXPECT(t, map_interrupts(t, ioas), 0);
	EXPECT(t, get_device_fd(t, group, DEVICE_0), -EADDRINUSE);
	EXPECT(t, unmap(t, ioas, INTERRUPTS, PAGE, NULL), 0);
	device = get_device_fd(t, group, DEVICE_0);
	EXPECT(t, device < 0 ? device : 0, 0);
	EXPECT(t, is_attached(t, ioas), true);
	EXPECT(t, is_attached(t, 1), false);
	EXPECT(t, destroy(t, ioas), -EBUSY);
	device_close(t, device);
	EXPECT(t, destroy(t, ioas), 0);
	device_close(t, group);
}

static void the_descriptor_is_closed_by_exec(struct rules *t)
{
	int group = group_new(t, 1);
	int device = get_device_fd(t, group, DEVICE_0);

	EXPECT(t, fcntl(device, F_GETFD), FD_CLOEXEC);
	if (transport_kind(t->transport) == TRANSPORT_SYSCALLS)
		EXPECT(t, fcntl(device, F_GETFL) & O_ACCMODE, O_RDWR);
	device_close(t, device);
	device_close(t, group);
}

static void without_a_free_descriptor_it_is_emfile(struct rules *t)
{
	int group = group_new(t, 1);
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit before, few;
	int device;

	/* The lowest free descriptor tells where the limit has to be. */
	close_plain(t, next);
	EXPECT(t, getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){(rlim_t)next, before.rlim_max};
	EXPECT(t, setrlimit(RLIMIT_NOFILE, &few), 0);
	EXPECT(t, get_device_fd(t, group, "0000:77:00.0"), -ENODEV);
	EXPECT(t, get_device_fd(t, group, DEVICE_0), -EMFILE);
	EXPECT(t, setrlimit(RLIMIT_NOFILE, &before), 0);
	device = get_device_fd(t, group, DEVICE_0);
	EXPECT(t, device < 0 ? device : 0, 0);
	device_close(t, device);
	device_close(t, group);
}

/* A register that keeps what is written: PCI's interrupt line. */
#define LINE ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40 | 0x3c)

static uint8_t line(struct rules *t, int device)
{
	uint8_t value = 0;

	EXPECT(t, transport_pread(t->transport, device, &value, 1, LINE), 1);
	return value;
}

static void a_device_that_is_open_is_shared(struct rules *t)
{
	const uint8_t value = 77;
	int group = group_new(t, 1);
	int one = get_device_fd(t, group, DEVICE_0);
	const uint8_t initial = line(t, one);
	int two;

	EXPECT(t, transport_pwrite(t->transport, one, &value, 1, LINE), 1);
	two = get_device_fd(t, group, DEVICE_0);
	EXPECT(t, two == one, false);
	EXPECT(t, line(t, two), value);
	device_close(t, one);
	EXPECT(t, line(t, two), value);
	one = get_device_fd(t, group, DEVICE_0);
	device_close(t, two);
	EXPECT(t, line(t, one), value);
	device_close(t, one);
	one = get_device_fd(t, group, DEVICE_0);
	EXPECT(t, line(t, one), initial);
	device_close(t, one);
	device_close(t, group);
}

static void a_group_is_one_iommufds(struct rules *t)
{
	int group = group_new(t, 1);
	int device = get_device_fd(t, group, DEVICE_0);
	int another = node_open(t, "/dev/iommu");

	EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	EXPECT(t, set_container(t, group, another), 0);
	EXPECT(t, get_device_fd(t, group, DEVICE_1), -EPERM);
	device_close(t, device);
	device = get_device_fd(t, group, DEVICE_1);
	EXPECT(t, device < 0 ? device : 0, 0);
	device_close(t, device);
	device_close(t, group);
	device_close(t, another);
}

static void a_device_outlives_its_group_and_container(struct rules *t)
{
	int container = node_open(t, "/dev/vfio/vfio");
	int group = group_open(t, 1);
	int device, second;

	EXPECT(t, set_container(t, group, container), 0);
	device = get_device_fd(t, group, DEVICE_0);
	device_close(t, group);
	device_close(t, container);
	EXPECT(t, call_on(t, device, VFIO_DEVICE_RESET, NULL), 0);
	group = group_open(t, 1);
	EXPECT(t, group_status(t, group), 0);
	EXPECT(t, set_container(t, group, t->fd), 0);
	EXPECT(t, get_device_fd(t, group, DEVICE_1), -EPERM);
	device_close(t, device);
	second = get_device_fd(t, group, DEVICE_1);
	EXPECT(t, second < 0 ? second : 0, 0);
	device_close(t, second);
	device_close(t, group);
}

#define UUID                            "12345678-1234-1234-1234-123456789abc"
#define NAME(rules, name, text, result) ROW(rules, name, get_device_by_name, struct name_row, (text), (result))

static const struct rule_case cases[] = {
	CASE("E.1-1", a_group_has_one_opener),
	CASE("E.1-2", a_group_is_busy_while_a_cdev_of_it_is_bound),
	CASE("E.1-3", status_has_its_structure_checked),
	CASE("E.1-4", status_says_what_the_group_is),
	CASE("A.1-9,E.1-5", set_container_checks_in_order),
	CASE("D.0-1,E.1-5b", any_iommufd_is_a_container),
	CASE("D.0-5,E.1-6", set_container_makes_an_ioas_where_there_is_none),
	CASE("E.1-7", unset_container_needs_one),
	CASE("E.1-7b", unset_container_leaves_open_devices_attached),
	CASE("E.1-8", the_name_is_a_string_of_a_page_at_most),
	NAME("E.1-9", no_name, "", -ENODEV),
	NAME("E.1-9", name_of_no_device, "0000:01:00.2", -ENODEV),
	NAME("E.1-9", name_of_another_group, "0000:02:00.0", -ENODEV),
	NAME("E.1-9", name_cut_off, "0000:01:00.", -ENODEV),
	NAME("E.1-9", name_after_a_space, " 0000:01:00.0", -ENODEV),
	NAME("E.1-9", name_that_goes_on, "0000:01:00.00", -ENODEV),
	NAME("E.1-9", name_and_tab, "0000:01:00.0\t", -ENODEV),
	NAME("E.1-9", name_alone, "0000:01:00.1", 0),
	NAME("E.1-9b", name_and_spaces, "0000:01:00.0   ", 0),
	NAME("E.1-9b", name_and_garbage, "0000:01:00.0 x", -EINVAL),
	NAME("E.1-9b", name_and_half_a_token, "0000:01:00.0 vf_token=1234", -EINVAL),
	NAME("E.1-9b", name_and_two_tokens, "0000:01:00.0 vf_token=" UUID " vf_token=" UUID, -EINVAL),
	NAME("E.4-1", name_and_token, "0000:01:00.0 vf_token=" UUID, -EINVAL),
	CASE("E.1-10", a_device_needs_a_container),
	CASE("E.1-11", a_device_is_attached_to_the_ioas_of_the_container),
	CASE("E.1-12", the_descriptor_is_closed_by_exec),
	CASE("E.1-12b", without_a_free_descriptor_it_is_emfile),
	CASE("E.1-13", a_device_that_is_open_is_shared),
	CASE("C.4-4,E.1-14", a_group_is_one_iommufds),
	CASE("E.1-15", an_unknown_command_of_a_group_is_enotty),
	CASE("A.1-8,E.1-16", a_device_outlives_its_group_and_container),
};

int main(int argc, char **argv)
{
	return rules_main_devices(argc, argv, cases, ARRAY_SIZE(cases), rules_devices);
}
