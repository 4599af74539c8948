/* SPDX-License-Identifier: BSD-3-Clause */
/* VFIO_DEVICE_GET_IRQ_INFO and VFIO_DEVICE_SET_IRQS: the rules of E.3, in the order of their checks. */
#include "irq_device.h"

#include <sys/mman.h>

static struct irq_device d;

static int get_info(uint32_t argsz, uint32_t index, struct vfio_irq_info *info)
{
	*info = (struct vfio_irq_info){.argsz = argsz, .index = index, .flags = UINT32_MAX, .count = UINT32_MAX};
	return device_get_irq_info(&d.file, &d.client.client, uaddr((uintptr_t)info));
}

static void info_says_what_there_is(void)
{
	static const struct {
		uint32_t index, flags, count;
	} want[] = {{INTX, 1 | 2 | 4, 1}, {MSI, 1 | 8, 8}, {MSIX, 1 | 8, VECTORS}, {ERR, 1 | 8, 1}, {REQ, 1 | 8, 1}};
	struct vfio_irq_info info;

	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(get_info(16, want[i].index, &info), 0);
		CHECK_EQ(info.argsz, 16);
		CHECK_EQ(info.flags, want[i].flags);
		CHECK_EQ(info.count, want[i].count);
	}
	CHECK_EQ(get_info(100, MSI, &info), 0);
	CHECK_EQ(info.argsz, 100);
}

static void info_errors(void)
{
	struct vfio_irq_info info;

	CHECK_EQ(get_info(15, INTX, &info), -EINVAL);
	CHECK_EQ(get_info(16, 5, &info), -EINVAL);
	CHECK_EQ(get_info(16, UINT32_MAX, &info), -EINVAL);
	CHECK_EQ(device_get_irq_info(&d.file, &d.client.client, uaddr(8)), -EFAULT);
	d.device.config.express = 0;
	CHECK_EQ(get_info(16, ERR, &info), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, ERR, 0, 0), -EINVAL);
	d.device.config.express = 0x80;
}

static void a_device_without_interrupts_has_two(void)
{
	struct irqs *irqs = &d.device.irqs;
	struct vfio_irq_info info;
	int fd = irq_eventfd();

	for (uint32_t i = INTX; i <= MSIX; i++) {
		uint32_t count = irqs->count[i];

		irqs->count[i] = 0;
		CHECK_EQ(get_info(16, i, &info), 0);
		CHECK_EQ(info.count, 0);
		CHECK_EQ(irq_set_fds(&d, i, 0, 1, &fd), -EINVAL);
		CHECK_EQ(irq_set_none(&d, TRIGGER, i, 0, 0), -EINVAL);
		irqs->count[i] = count;
	}
	close(fd);
}

static void a_header_is_checked_first(void)
{
	int fd = -7; /* would be no error, or another one */

	CHECK_EQ(device_set_irqs(&d.file, &d.client.client, uaddr(8)), -EFAULT);
	CHECK_EQ(device_set_irqs(&d.file, &d.client.client, uaddr((uintptr_t) & (struct vfio_irq_set){.argsz = 19})),
		 -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, 5, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, UINT32_MAX, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSIX, 0, UINT32_MAX), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSIX, 1, UINT32_MAX - 1), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER | 0x40, MSIX, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER | 0x80000000, MSIX, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSI, 8, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSI, 7, 2), -EINVAL);
	CHECK_EQ(irq_set_fds(&d, INTX, 1, 1, &fd), -EINVAL);
}

static void data_is_of_one_type(void)
{
	int fds[2] = {-1, -1};

	CHECK_EQ(irq_set(&d, TRIGGER, MSI, 0, 1, fds, 4), -EINVAL);
	CHECK_EQ(irq_set(&d, TRIGGER | NONE | BOOL, MSI, 0, 1, fds, 4), -EINVAL);
	CHECK_EQ(irq_set(&d, TRIGGER | BOOL | EVENTFD, MSI, 0, 1, fds, 4), -EINVAL);
	CHECK_EQ(irq_set(&d, BOOL, MSI, 0, 2, fds, 1), -EINVAL);
	CHECK_EQ(irq_set(&d, EVENTFD, MSI, 0, 2, fds, 7), -EINVAL);
	CHECK_EQ(irq_set(&d, EVENTFD, MSI, 0, 2, fds, 8), -ENOTTY);
	CHECK_EQ(irq_set(&d, BOOL, MSI, 0, 2, fds, 2), -ENOTTY);
}

/* The header ends where memory does. */
static void data_is_read_before_the_action(void)
{
	struct vfio_irq_set set = {.argsz = 1 << 20, .flags = EVENTFD, .index = MSIX, .count = VECTORS};
	char *pages = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *at = pages + PAGE_SIZE - sizeof(set);

	munmap(pages + PAGE_SIZE, PAGE_SIZE);
	memcpy(at, &set, sizeof(set));
	CHECK_EQ(device_set_irqs(&d.file, &d.client.client, uaddr((uintptr_t)at)), -EFAULT);
	set.count = 0;
	memcpy(at, &set, sizeof(set));
	CHECK_EQ(device_set_irqs(&d.file, &d.client.client, uaddr((uintptr_t)at)), -ENOTTY);
	munmap(pages, PAGE_SIZE);
}

static void an_action_is_one(void)
{
	int fd = irq_eventfd();

	CHECK_EQ(irq_set(&d, NONE, INTX, 0, 1, NULL, 0), -ENOTTY);
	CHECK_EQ(irq_set_none(&d, MASK | UNMASK, INTX, 0, 1), -ENOTTY);
	CHECK_EQ(irq_set_none(&d, MASK | UNMASK | TRIGGER, INTX, 0, 1), -ENOTTY);
	CHECK_EQ(irq_set(&d, EVENTFD | TRIGGER | MASK, MSIX, 0, 1, &fd, 4), -ENOTTY);
	for (uint32_t i = MSI; i <= REQ; i++) {
		CHECK_EQ(irq_set_none(&d, MASK, i, 0, 1), -ENOTTY);
		CHECK_EQ(irq_set_none(&d, UNMASK, i, 0, 1), -ENOTTY);
	}
	close(fd);
}

static bool msi_shown(void)
{
	return irq_config(&d, MSI_AT + 2) & 1;
}

static bool msix_shown(void)
{
	return irq_config(&d, MSIX_AT + 3) & 0x80;
}

static void an_eventfd_enables_a_mode_that_config_space_shows(void)
{
	int fds[3] = {irq_eventfd(), -1, irq_eventfd()};

	CHECK_EQ(irq_model_vectors(&d), 0);
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 3, fds), 0);
	CHECK_EQ(irq_model_vectors(&d), 3);
	CHECK(msix_shown() && !msi_shown());
	for (unsigned i = 0; i < 4; i++)
		irq_model_raise(&d, i);
	irq_model_raise(&d, UINT32_MAX);
	CHECK_EQ(irq_signals(fds[0]), 1);
	CHECK_EQ(irq_signals(fds[2]), 1);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSIX, 0, 0), 0);
	CHECK(!msix_shown());
	CHECK_EQ(irq_model_vectors(&d), 0);
	irq_model_raise(&d, 0);
	CHECK_EQ(irq_signals(fds[0]), 0);

	CHECK_EQ(irq_set_fds(&d, MSI, 0, 3, fds), 0);
	CHECK(msi_shown() && !msix_shown());
	irq_model_raise(&d, 2);
	CHECK_EQ(irq_signals(fds[2]), 1);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSI, 0, 0), 0);
	CHECK_EQ(irq_config(&d, MSI_AT + 2), 0);
	close(fds[0]);
	close(fds[2]);
}

static void messages_need_a_bus_master(void)
{
	int fd = irq_eventfd();

	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 1, &fd), 0);
	irq_set_command(&d, 0);
	irq_model_raise(&d, 0);
	CHECK_EQ(irq_signals(fd), 0);
	irq_set_command(&d, PCI_COMMAND_MASTER);
	irq_model_raise(&d, 0);
	CHECK_EQ(irq_signals(fd), 1);
	irq_device_disable(&d);
	close(fd);
}

static void one_mode_at_a_time(void)
{
	int fd = irq_eventfd();
	const uint32_t modes[] = {INTX, MSI, MSIX};

	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(irq_set_fds(&d, modes[i], 0, 1, &fd), 0);
		for (unsigned k = 0; k < 3; k++) {
			if (k == i)
				continue;
			CHECK_EQ(irq_set_fds(&d, modes[k], 0, 1, &fd), -EINVAL);
			CHECK_EQ(irq_set_none(&d, TRIGGER, modes[k], 0, 0), -EINVAL);
			CHECK_EQ(irq_set_none(&d, TRIGGER, modes[k], 0, 1), -EINVAL);
		}
		CHECK_EQ(irq_set_none(&d, TRIGGER, modes[i], 0, 0), 0);
	}
	close(fd);
}

static void what_is_not_enabled_cannot_be_torn_down(void)
{
	CHECK_EQ(irq_set_none(&d, TRIGGER, INTX, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSI, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSIX, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSIX, 0, 1), -EINVAL);
}

static void no_eventfds_enable_nothing(void)
{
	CHECK_EQ(irq_set_fds(&d, MSI, 0, 0, NULL), -ERANGE);
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 0, NULL), -ERANGE);
	CHECK_EQ(irq_set_fds(&d, MSIX, 3, 0, NULL), 0); /* three vectors that go nowhere */
	CHECK_EQ(irq_model_vectors(&d), 3);
	irq_model_raise(&d, 0);
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 0, NULL), 0);
	CHECK_EQ(irq_model_vectors(&d), 3);
	irq_device_disable(&d);
}

static void vectors_beyond_those_enabled_are_einval(void)
{
	int fds[2] = {irq_eventfd(), irq_eventfd()};
	int none[2] = {-1, -1};

	for (uint32_t index = MSI; index <= MSIX; index++) {
		CHECK_EQ(irq_set_fds(&d, index, 0, 2, fds), 0);
		CHECK_EQ(irq_set_fds(&d, index, 2, 1, fds), -EINVAL);
		CHECK_EQ(irq_set_fds(&d, index, 5, 2, none), 0);
		CHECK_EQ(irq_set_fds(&d, index, 1, 2, fds), -EINVAL); /* vector 1 is gone with it, 0 is not */
		irq_model_raise(&d, 0);
		irq_model_raise(&d, 1);
		irq_model_raise(&d, 2);
		CHECK_EQ(irq_signals(fds[0]), 1);
		CHECK_EQ(irq_signals(fds[1]), 0);
		CHECK_EQ(irq_set_none(&d, TRIGGER, index, 0, 8), 0);
		CHECK_EQ(irq_signals(fds[0]), 1);
		irq_device_disable(&d);
	}
	close(fds[0]);
	close(fds[1]);
}

static void a_vector_is_replaced_and_removed(void)
{
	int first = irq_eventfd(), second = irq_eventfd(), none = -5;

	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 1, &first), 0);
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 1, &second), 0);
	irq_model_raise(&d, 0);
	CHECK_EQ(irq_signals(first), 0);
	CHECK_EQ(irq_signals(second), 1);
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 1, &none), 0);
	irq_model_raise(&d, 0);
	CHECK_EQ(irq_signals(second), 0);
	CHECK_EQ(irq_model_vectors(&d), 1);
	irq_device_disable(&d);
	close(first);
	close(second);
}

static void a_vector_that_fails_undoes_its_call(void)
{
	int memory = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int good[4] = {irq_eventfd(), irq_eventfd(), irq_eventfd(), irq_eventfd()};
	int bad[3] = {good[0], memory, good[3]};
	int closed[2] = {good[3], 1 << 20};

	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 3, bad), -EINVAL);
	CHECK(!msix_shown());
	CHECK_EQ(irq_model_vectors(&d), 0);
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 2, closed), -EBADF);
	CHECK_EQ(irq_model_vectors(&d), 0);

	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 4, good), 0);
	CHECK_EQ(irq_set_fds(&d, MSIX, 1, 2, closed), -EBADF);
	CHECK_EQ(irq_model_vectors(&d), 4);
	for (unsigned i = 0; i < 4; i++)
		irq_model_raise(&d, i);
	CHECK_EQ(irq_signals(good[0]), 1);
	CHECK_EQ(irq_signals(good[1]), 0); /* what was there before is gone as well */
	CHECK_EQ(irq_signals(good[2]), 0);
	CHECK_EQ(irq_signals(good[3]), 1);
	irq_device_disable(&d);
	close(memory);
	for (unsigned i = 0; i < 4; i++)
		close(good[i]);
}

/* The mode is looked at before the eventfds. */
static void another_mode_is_said_before_a_bad_eventfd(void)
{
	int fd = irq_eventfd(), bad = 1 << 20;

	CHECK_EQ(irq_set_fds(&d, MSI, 0, 1, &fd), 0);
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 1, &bad), -EINVAL);
	CHECK_EQ(irq_set_fds(&d, INTX, 0, 1, &bad), -EINVAL);
	CHECK_EQ(irq_set_fds(&d, MSI, 1, 1, &bad), -EINVAL); /* beyond those enabled */
	irq_device_disable(&d);
	close(fd);
}

static void software_fires(void)
{
	int fds[3] = {irq_eventfd(), irq_eventfd(), irq_eventfd()};
	const uint8_t bools[3] = {1, 0, 7};

	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 3, fds), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSIX, 1, 2), 0);
	CHECK_EQ(irq_signals(fds[0]), 0);
	CHECK_EQ(irq_signals(fds[1]), 1);
	CHECK_EQ(irq_signals(fds[2]), 1);
	CHECK_EQ(irq_set(&d, BOOL | TRIGGER, MSIX, 0, 3, bools, 3), 0);
	CHECK_EQ(irq_signals(fds[0]), 1);
	CHECK_EQ(irq_signals(fds[1]), 0);
	CHECK_EQ(irq_signals(fds[2]), 1);
	irq_device_disable(&d);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
}

static void intx_is_one(void)
{
	int fd = irq_eventfd(), none = -9, bad = 1 << 20, file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK_EQ(irq_set_fds(&d, INTX, 0, 0, NULL), -EINVAL);
	CHECK_EQ(irq_set_fds(&d, INTX, 0, 1, &bad), -EBADF);
	CHECK_EQ(irq_set_fds(&d, INTX, 0, 1, &file), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, INTX, 0, 1), -EINVAL);
	CHECK_EQ(irq_set_none(&d, MASK, INTX, 0, 1), -EINVAL);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), -EINVAL);
	CHECK_EQ(irq_set_fds(&d, INTX, 0, 1, &none), 0); /* enabled, without an eventfd */
	CHECK_EQ(irq_model_vectors(&d), 0);
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_set_fds(&d, INTX, 0, 1, &fd), 0);
	CHECK_EQ(irq_signals(fd), 0);
	CHECK_EQ(irq_set_none(&d, MASK, INTX, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set_fds(&d, INTX, 0, 1, &bad), -EBADF); /* and stays as it is */
	CHECK_EQ(irq_set_none(&d, TRIGGER, INTX, 0, 1), 0);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set_none(&d, TRIGGER, INTX, 0, 0), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, INTX, 0, 0), -EINVAL);
	irq_device_disable(&d);
	close(file);
	close(fd);
}

static void error_and_request_are_single(uint32_t index, struct eventfd **where)
{
	int fd = irq_eventfd(), other = irq_eventfd(), minus = -1, below = -2, bad = 1 << 20;
	const uint8_t yes = 1, no = 0;

	CHECK_EQ(irq_set_none(&d, TRIGGER, index, 0, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, index, 0, 1), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, index, 1, 0), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, index, 0, 2), -EINVAL);
	CHECK_EQ(irq_set(&d, BOOL | TRIGGER, index, 0, 0, NULL, 0), -EINVAL);
	CHECK_EQ(irq_set_fds(&d, index, 0, 0, NULL), -EINVAL);
	CHECK_EQ(irq_set(&d, BOOL | TRIGGER, index, 0, 1, &yes, 1), 0);
	CHECK_EQ(irq_set_fds(&d, index, 0, 1, &minus), 0);
	CHECK_EQ(irq_set_fds(&d, index, 0, 1, &below), -EINVAL);
	CHECK_EQ(irq_set_fds(&d, index, 0, 1, &bad), -EBADF);
	CHECK_EQ(irq_set_fds(&d, index, 0, 1, &fd), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, index, 0, 1), 0);
	CHECK_EQ(irq_set(&d, BOOL | TRIGGER, index, 0, 1, &no, 1), 0);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set(&d, BOOL | TRIGGER, index, 0, 1, &yes, 1), 0);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set_fds(&d, index, 0, 1, &bad), -EBADF);
	CHECK(*where);
	CHECK_EQ(irq_set_fds(&d, index, 0, 1, &other), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, index, 0, 1), 0);
	CHECK_EQ(irq_signals(fd), 0);
	CHECK_EQ(irq_signals(other), 1);
	CHECK_EQ(irq_set_none(&d, TRIGGER, index, 0, 0), 0);
	CHECK(!*where);
	CHECK_EQ(irq_set_fds(&d, index, 0, 1, &fd), 0);
	CHECK_EQ(irq_set_fds(&d, index, 0, 1, &minus), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, index, 0, 1), -EINVAL);
	close(fd);
	close(other);
}

/* They do not stand in each other's way. */
static void all_kinds_together(void)
{
	int fds[3] = {irq_eventfd(), irq_eventfd(), irq_eventfd()};

	CHECK_EQ(irq_set_fds(&d, ERR, 0, 1, &fds[0]), 0);
	CHECK_EQ(irq_set_fds(&d, REQ, 0, 1, &fds[1]), 0);
	CHECK_EQ(irq_set_fds(&d, MSI, 0, 1, &fds[2]), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSI, 0, 0), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, ERR, 0, 1), 0);
	CHECK_EQ(irq_signals(fds[0]), 1);
	irq_device_disable(&d);
	CHECK_EQ(irq_set_none(&d, TRIGGER, ERR, 0, 1), -EINVAL);
	CHECK_EQ(irq_set_none(&d, TRIGGER, REQ, 0, 1), -EINVAL);
	for (unsigned i = 0; i < 3; i++)
		close(fds[i]);
}

/* One eventfd for all of as many as there can be. */
static void all_vectors(void)
{
	int fd = irq_eventfd();
	int *fds = malloc(VECTORS * sizeof(*fds));

	for (unsigned i = 0; i < VECTORS; i++)
		fds[i] = i % 16 ? -1 : fd; /* each is a descriptor of ours */
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, VECTORS, fds), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSIX, 0, VECTORS), 0);
	CHECK_EQ(irq_signals(fd), VECTORS / 16);
	irq_device_disable(&d);
	CHECK_EQ(irq_model_vectors(&d), 0);
	free(fds);
	close(fd);
}

static void a_full_eventfd_holds_up_no_other(void)
{
	int fds[2] = {irq_eventfd(), irq_eventfd()};
	struct pollfd pollfd = {.fd = fds[0], .events = POLLIN};

	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 2, fds), 0);
	CHECK_EQ(eventfd_write(fds[0], UINT64_C(0xfffffffffffffffe)), 0);
	CHECK_EQ(fcntl(fds[0], F_SETFL, 0), 0); /* a write would wait */
	for (unsigned i = 0; i < 100; i++) {
		irq_model_raise(&d, 0);
		irq_model_raise(&d, 1);
	}
	CHECK_EQ(irq_signals(fds[1]), 100);
	CHECK_EQ(poll(&pollfd, 1, 0), 1);
	CHECK(pollfd.revents & POLLIN);
	irq_device_disable(&d);
	close(fds[0]);
	close(fds[1]);
}

static void nothing_is_set_on_a_file_that_is_closed(void)
{
	int fd = irq_eventfd();

	d.file.closed = true;
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 1, &fd), -ENODEV);
	d.file.closed = false;
	close(fd);
}

static int next_fd(void)
{
	int fd = irq_eventfd();

	close(fd);
	return fd;
}

int main(void)
{
	int first;

	irq_device_begin(&d);
	CHECK_EQ(irq_set_none(&d, TRIGGER, MSIX, 0, 0), -EINVAL);
	first = next_fd();
	info_says_what_there_is();
	info_errors();
	a_device_without_interrupts_has_two();
	a_header_is_checked_first();
	data_is_of_one_type();
	data_is_read_before_the_action();
	an_action_is_one();
	an_eventfd_enables_a_mode_that_config_space_shows();
	messages_need_a_bus_master();
	one_mode_at_a_time();
	what_is_not_enabled_cannot_be_torn_down();
	no_eventfds_enable_nothing();
	vectors_beyond_those_enabled_are_einval();
	a_vector_is_replaced_and_removed();
	a_vector_that_fails_undoes_its_call();
	another_mode_is_said_before_a_bad_eventfd();
	software_fires();
	intx_is_one();
	error_and_request_are_single(ERR, &d.device.irqs.error);
	error_and_request_are_single(REQ, &d.device.irqs.request);
	all_kinds_together();
	all_vectors();
	a_full_eventfd_holds_up_no_other();
	nothing_is_set_on_a_file_that_is_closed();
	CHECK_EQ(next_fd(), first); /* nothing is left */
	irq_device_end(&d);
	return check_result();
}
