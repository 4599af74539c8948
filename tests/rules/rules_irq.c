/* SPDX-License-Identifier: BSD-3-Clause */
/* E.3: interrupts of a device, VFIO_DEVICE_GET_IRQ_INFO and VFIO_DEVICE_SET_IRQS. */
#include "irq_device.h"

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/mman.h>

#define NONE    VFIO_IRQ_SET_DATA_NONE
#define BOOL    VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK    VFIO_IRQ_SET_ACTION_MASK
#define UNMASK  VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

enum { INTX, MSI, MSIX, ERR, REQ };

#define NO_FD (1 << 20)

/* A device of a case, the only one in it. */
struct dev {
	struct rules *t;
	int fd;
	int event[4];
};

static struct dev dev_new(struct rules *t)
{
	struct dev d = {.t = t, .fd = dev_open(t)};

	for (unsigned i = 0; i < ARRAY_SIZE(d.event); i++)
		d.event[i] = event_new(t);
	dev_command(t, d.fd, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return d;
}

static void dev_end(const struct dev *d)
{
	dev_close(d->t, d->fd);
	for (unsigned i = 0; i < ARRAY_SIZE(d->event); i++)
		close_plain(d->t, d->event[i]);
}

static int set(const struct dev *d, uint32_t flags, uint32_t index, uint32_t start, uint32_t count)
{
	return irqs_set(d->t, d->fd, flags, index, start, count, NULL, 0);
}

static int set_fds(const struct dev *d, uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	return irqs_fds(d->t, d->fd, index, start, count, fds);
}

static int set_fd(const struct dev *d, uint32_t index, uint32_t start, int fd)
{
	return set_fds(d, index, start, 1, &fd);
}

static int set_bool(const struct dev *d, uint32_t action, uint32_t index, uint32_t start, uint8_t value)
{
	return irqs_set(d->t, d->fd, BOOL | action, index, start, 1, &value, 1);
}

static int unmask_by(const struct dev *d, int fd)
{
	return irqs_set(d->t, d->fd, EVENTFD | UNMASK, INTX, 0, 1, &fd, sizeof(fd));
}

static int tear_down(const struct dev *d, uint32_t index)
{
	return set(d, NONE | TRIGGER, index, 0, 0);
}

static void raise_vector(const struct dev *d, unsigned vector)
{
	dev_write(d->t, d->fd, DEVICE_RAISE, vector);
}

static void set_pin(const struct dev *d, bool asserted)
{
	dev_write(d->t, d->fd, DEVICE_INTX, asserted);
}

static uint64_t vectors(const struct dev *d)
{
	return dev_read(d->t, d->fd, DEVICE_VECTORS);
}

/* GET_IRQ_INFO */

static int get_info(const struct dev *d, uint32_t argsz, uint32_t index, struct vfio_irq_info *info)
{
	*info = (struct vfio_irq_info){.argsz = argsz, .index = index};
	return dev_call(d->t, d->fd, VFIO_DEVICE_GET_IRQ_INFO, info);
}

static void info_errors(struct rules *t)
{
	struct dev d = dev_new(t);
	struct vfio_irq_info info = {.argsz = sizeof(info)};

	EXPECT(t, dev_call(t, d.fd, VFIO_DEVICE_GET_IRQ_INFO, HOLE), -EFAULT);
	EXPECT(t, dev_call(t, d.fd, VFIO_DEVICE_GET_IRQ_INFO, place_at_end(t, &info, 15, PROT_READ)), -EFAULT);
	EXPECT(t, dev_call(t, d.fd, VFIO_DEVICE_GET_IRQ_INFO, place_at_end(t, &info, 16, PROT_READ)), -EFAULT);
	EXPECT(t, get_info(&d, 0, INTX, &info), -EINVAL);
	EXPECT(t, get_info(&d, 15, INTX, &info), -EINVAL);
	EXPECT(t, get_info(&d, 16, 5, &info), -EINVAL);
	EXPECT(t, get_info(&d, 16, UINT32_MAX, &info), -EINVAL);
	dev_end(&d);
}

static void info_of_each_kind(struct rules *t)
{
	static const struct {
		uint32_t flags, count;
	} kind[] = {{7, 1}, {9, DEVICE_MSI}, {9, DEVICE_MSIX}, {9, 1}, {9, 1}};
	struct dev d = dev_new(t);
	struct vfio_irq_info info;

	for (uint32_t i = INTX; i <= REQ; i++) {
		EXPECT(t, get_info(&d, 16 + i, i, &info), 0);
		EXPECT(t, info.argsz, 16 + i);
		EXPECT(t, info.flags, kind[i].flags);
		EXPECT(t, info.count, kind[i].count);
	}
	dev_end(&d);
}

/* SET_IRQS: the header */

static void header_errors(struct rules *t)
{
	struct dev d = dev_new(t);
	struct vfio_irq_set header = {.argsz = 20, .flags = NONE | TRIGGER, .index = MSIX};

	EXPECT(t, dev_call(t, d.fd, VFIO_DEVICE_SET_IRQS, HOLE), -EFAULT);
	EXPECT(t, dev_call(t, d.fd, VFIO_DEVICE_SET_IRQS, place_at_end(t, &header, 19, PROT_READ)), -EFAULT);
	header.argsz = 19;
	EXPECT(t, dev_call(t, d.fd, VFIO_DEVICE_SET_IRQS, place_at_end(t, &header, 20, PROT_READ)), -EINVAL);
	EXPECT(t, set(&d, NONE | TRIGGER, 5, 0, 0), -EINVAL);
	EXPECT(t, set(&d, NONE | TRIGGER, UINT32_MAX, 0, 0), -EINVAL);
	EXPECT(t, set(&d, NONE | TRIGGER, MSIX, 0, UINT32_MAX), -EINVAL);
	EXPECT(t, set(&d, NONE | TRIGGER, MSIX, 16, UINT32_MAX - 16), -EINVAL);
	EXPECT(t, set(&d, NONE | TRIGGER | 0x40, MSIX, 0, 0), -EINVAL);
	EXPECT(t, set(&d, NONE | TRIGGER | 0x80000000, MSIX, 0, 0), -EINVAL);
	dev_end(&d);
}

static void range_beyond_the_interrupts_is_einval(struct rules *t)
{
	static const uint32_t counts[] = {1, DEVICE_MSI, DEVICE_MSIX, 1, 1};
	struct dev d = dev_new(t);

	for (uint32_t i = INTX; i <= REQ; i++) {
		EXPECT(t, set(&d, NONE, i, counts[i], 0), -EINVAL); /* without an action */
		EXPECT(t, set(&d, NONE, i, 0, counts[i] + 1), -EINVAL);
		EXPECT(t, set(&d, NONE, i, counts[i] - 1, 1), -ENOTTY);
	}
	dev_end(&d);
}

static void data_has_one_type_and_fits(struct rules *t)
{
	static const int none[2] = {-1, -1};
	struct dev d = dev_new(t);

	EXPECT(t, irqs_set(t, d.fd, TRIGGER, MSI, 0, 1, none, 4), -EINVAL);
	EXPECT(t, irqs_set(t, d.fd, TRIGGER | NONE | BOOL, MSI, 0, 1, none, 4), -EINVAL);
	EXPECT(t, irqs_set(t, d.fd, TRIGGER | BOOL | EVENTFD, MSI, 0, 1, none, 4), -EINVAL);
	EXPECT(t, irqs_set(t, d.fd, BOOL, MSI, 0, 2, none, 1), -EINVAL); /* before the action */
	EXPECT(t, irqs_set(t, d.fd, EVENTFD, MSI, 0, 2, none, 7), -EINVAL);
	EXPECT(t, irqs_set(t, d.fd, EVENTFD, MSI, 0, 2, none, 8), -ENOTTY);
	dev_end(&d);
}

static void data_is_read_before_the_action(struct rules *t)
{
	struct vfio_irq_set header = {.argsz = 4096, .flags = EVENTFD, .index = MSIX, .count = 2};
	struct dev d = dev_new(t);

	EXPECT(t, dev_call(t, d.fd, VFIO_DEVICE_SET_IRQS, place_at_end(t, &header, 20, PROT_READ)), -EFAULT);
	header.count = 0;
	EXPECT(t, dev_call(t, d.fd, VFIO_DEVICE_SET_IRQS, place_at_end(t, &header, 20, PROT_READ)), -ENOTTY);
	dev_end(&d);
}

static void an_action_that_is_not_one_is_enotty(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, set(&d, NONE, INTX, 0, 1), -ENOTTY);
	EXPECT(t, set(&d, NONE | MASK | UNMASK, INTX, 0, 1), -ENOTTY);
	EXPECT(t, set(&d, NONE | MASK | TRIGGER, INTX, 0, 1), -ENOTTY);
	for (uint32_t i = MSI; i <= REQ; i++) {
		EXPECT(t, set(&d, NONE | MASK, i, 0, 1), -ENOTTY);
		EXPECT(t, set(&d, NONE | UNMASK, i, 0, 1), -ENOTTY);
	}
	dev_end(&d);
}

/* SET_IRQS: messages */

static void eventfds_enable_and_count_0_disables(struct rules *t)
{
	struct dev d = dev_new(t);

	for (uint32_t i = MSI; i <= MSIX; i++) {
		EXPECT(t, set_fds(&d, i, 0, 3, d.event), 0);
		EXPECT_U64(t, vectors(&d), 3);
		for (unsigned k = 0; k < 4; k++)
			raise_vector(&d, k);
		for (unsigned k = 0; k < 4; k++)
			EXPECT_U64(t, eventfd_take(d.event[k]), k < 3);
		EXPECT(t, set_fd(&d, i, 1, -1), 0);
		EXPECT(t, set_fd(&d, i, 2, d.event[3]), 0); /* another one */
		EXPECT_U64(t, vectors(&d), 3);
		for (unsigned k = 0; k < 3; k++)
			raise_vector(&d, k);
		EXPECT_U64(t, eventfd_take(d.event[0]), 1);
		EXPECT_U64(t, eventfd_take(d.event[1]), 0);
		EXPECT_U64(t, eventfd_take(d.event[2]), 0);
		EXPECT_U64(t, eventfd_take(d.event[3]), 1);
		EXPECT(t, tear_down(&d, i), 0);
		raise_vector(&d, 0);
		EXPECT_U64(t, eventfd_take(d.event[0]), 0);
		EXPECT_U64(t, vectors(&d), 0);
	}
	dev_end(&d);
}

static void an_idle_kind_cannot_be_torn_down_or_fired(struct rules *t)
{
	struct dev d = dev_new(t);

	for (uint32_t i = INTX; i <= REQ; i++) {
		EXPECT(t, tear_down(&d, i), -EINVAL);
		EXPECT(t, set(&d, NONE | TRIGGER, i, 0, 1), -EINVAL);
	}
	for (uint32_t i = INTX; i <= MSIX; i++)
		EXPECT(t, set_bool(&d, TRIGGER, i, 0, 1), -EINVAL);
	dev_end(&d);
}

static void one_kind_at_a_time(struct rules *t)
{
	struct dev d = dev_new(t);

	for (uint32_t i = INTX; i <= MSIX; i++) {
		EXPECT(t, set_fd(&d, i, 0, d.event[0]), 0);
		for (uint32_t k = INTX; k <= MSIX; k++) {
			if (k == i)
				continue;
			EXPECT(t, set_fd(&d, k, 0, d.event[1]), -EINVAL);
			EXPECT(t, set_fd(&d, k, 0, NO_FD), -EINVAL); /* before the descriptor */
			EXPECT(t, tear_down(&d, k), -EINVAL);
		}
		EXPECT(t, tear_down(&d, i), 0);
	}
	dev_end(&d);
}

static void vectors_beyond_those_enabled_are_einval(struct rules *t)
{
	static const int none[2] = {-1, -1};
	struct dev d = dev_new(t);

	for (uint32_t i = MSI; i <= MSIX; i++) {
		EXPECT(t, set_fds(&d, i, 0, 2, d.event), 0);
		EXPECT(t, set_fd(&d, i, 2, d.event[2]), -EINVAL);
		EXPECT(t, set_fd(&d, i, 2, NO_FD), -EINVAL);
		EXPECT(t, set_fds(&d, i, 1, 2, none), 0);
		EXPECT_U64(t, vectors(&d), 2);
		EXPECT(t, tear_down(&d, i), 0);
	}
	dev_end(&d);
}

static void no_vectors_on_an_idle_kind_are_erange(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, set_fds(&d, MSI, 0, 0, d.event), -ERANGE);
	EXPECT(t, set_fds(&d, MSIX, 0, 0, d.event), -ERANGE);
	EXPECT_U64(t, vectors(&d), 0);
	EXPECT(t, set_fds(&d, MSIX, 3, 0, d.event), 0);
	EXPECT_U64(t, vectors(&d), 3);
	EXPECT(t, set_fds(&d, MSIX, 0, 0, d.event), 0);
	EXPECT_U64(t, vectors(&d), 3);
	dev_end(&d);
}

static void a_vector_that_fails_undoes_its_call(struct rules *t)
{
	struct dev d = dev_new(t);
	int bad[3] = {d.event[0], NO_FD, d.event[1]};

	EXPECT(t, set_fds(&d, MSIX, 0, 3, bad), -EBADF);
	EXPECT_U64(t, vectors(&d), 0);
	EXPECT(t, set_fd(&d, MSI, 0, d.event[0]), 0); /* so the kind is idle again */
	EXPECT(t, tear_down(&d, MSI), 0);
	EXPECT(t, set_fds(&d, MSIX, 0, 4, d.event), 0);
	bad[1] = t->fd;
	EXPECT(t, set_fds(&d, MSIX, 1, 3, bad), -EINVAL);
	EXPECT_U64(t, vectors(&d), 4);
	for (unsigned i = 0; i < 4; i++)
		raise_vector(&d, i);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	EXPECT_U64(t, eventfd_take(d.event[1]), 0);
	EXPECT_U64(t, eventfd_take(d.event[2]), 0); /* gone, as the one before it */
	EXPECT_U64(t, eventfd_take(d.event[3]), 1);
	dev_end(&d);
}

static void software_fires(struct rules *t)
{
	static const uint8_t bools[3] = {0, 1, 200};
	struct dev d = dev_new(t);

	dev_command(t, d.fd, PCI_COMMAND_MEMORY);
	EXPECT(t, set_fds(&d, MSIX, 0, 3, d.event), 0);
	EXPECT(t, set(&d, NONE | TRIGGER, MSIX, 0, 2), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	EXPECT_U64(t, eventfd_take(d.event[1]), 1);
	EXPECT_U64(t, eventfd_take(d.event[2]), 0);
	EXPECT(t, irqs_set(t, d.fd, BOOL | TRIGGER, MSIX, 0, 3, bools, 3), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 0);
	EXPECT_U64(t, eventfd_take(d.event[1]), 1);
	EXPECT_U64(t, eventfd_take(d.event[2]), 1);
	dev_end(&d);
}

static void messages_need_a_bus_master(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, set_fd(&d, MSIX, 0, d.event[0]), 0);
	dev_command(t, d.fd, PCI_COMMAND_MEMORY);
	raise_vector(&d, 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 0);
	dev_command(t, d.fd, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	raise_vector(&d, 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	dev_end(&d);
}

static void descriptors_that_are_no_eventfds(struct rules *t)
{
	struct dev d = dev_new(t);
	int memory = memfd_new(t, PAGE);

	for (uint32_t i = INTX; i <= REQ; i++) {
		EXPECT(t, set_fd(&d, i, 0, NO_FD), -EBADF);
		EXPECT(t, set_fd(&d, i, 0, memory), -EINVAL);
		EXPECT(t, set_fd(&d, i, 0, t->fd), -EINVAL);
		EXPECT(t, set_fd(&d, i, 0, d.fd), -EINVAL);
	}
	close_plain(t, memory);
	dev_end(&d);
}

static void a_full_eventfd_holds_up_nobody(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, set_fds(&d, MSIX, 0, 2, d.event), 0);
	EXPECT(t, eventfd_write(d.event[0], UINT64_MAX - 1), 0);
	EXPECT(t, fcntl(d.event[0], F_SETFL, 0), 0); /* a write would wait */
	for (unsigned i = 0; i < 10; i++) {
		raise_vector(&d, 0);
		raise_vector(&d, 1);
	}
	EXPECT_U64(t, eventfd_take(d.event[1]), 10);
	EXPECT(t, eventfd_take(d.event[0]) >= UINT64_MAX - 1, 1);
	dev_end(&d);
}

/* SET_IRQS: INTx */

static void intx_is_one(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, set_fds(&d, INTX, 0, 0, d.event), -EINVAL);
	EXPECT(t, set(&d, NONE | MASK, INTX, 0, 1), -EINVAL); /* idle */
	EXPECT(t, set(&d, NONE | UNMASK, INTX, 0, 1), -EINVAL);
	EXPECT(t, set_fd(&d, INTX, 0, d.event[0]), 0);
	EXPECT(t, set(&d, NONE | MASK, INTX, 0, 0), -EINVAL);
	EXPECT(t, set(&d, NONE | UNMASK, INTX, 0, 0), -EINVAL);
	EXPECT(t, set_bool(&d, TRIGGER, INTX, 0, 0), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 0);
	EXPECT(t, set_bool(&d, TRIGGER, INTX, 0, 1), 0);
	EXPECT(t, set(&d, NONE | TRIGGER, INTX, 0, 1), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 2);
	EXPECT_U64(t, vectors(&d), 0);
	EXPECT(t, tear_down(&d, INTX), 0);
	EXPECT(t, tear_down(&d, INTX), -EINVAL);
	dev_end(&d);
}

static void intx_has_a_level(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, set_fd(&d, INTX, 0, d.event[0]), 0);
	set_pin(&d, true);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	set_pin(&d, true);
	set_pin(&d, false);
	set_pin(&d, true);
	EXPECT_U64(t, eventfd_take(d.event[0]), 0); /* masked */
	EXPECT(t, set(&d, NONE | UNMASK, INTX, 0, 1), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1); /* asserted still */
	EXPECT(t, set_bool(&d, UNMASK, INTX, 0, 0), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 0);
	set_pin(&d, false);
	EXPECT(t, set_bool(&d, UNMASK, INTX, 0, 1), 0);
	EXPECT(t, set_bool(&d, MASK, INTX, 0, 0), 0);
	set_pin(&d, true);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	set_pin(&d, false);
	EXPECT(t, set(&d, NONE | UNMASK, INTX, 0, 1), 0);
	EXPECT(t, set(&d, NONE | MASK, INTX, 0, 1), 0);
	set_pin(&d, true);
	EXPECT_U64(t, eventfd_take(d.event[0]), 0);
	dev_end(&d);
}

static void an_eventfd_unmasks_intx(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, unmask_by(&d, d.event[1]), -EINVAL); /* idle */
	EXPECT(t, set_fd(&d, INTX, 0, d.event[0]), 0);
	EXPECT(t, unmask_by(&d, NO_FD), -EBADF);
	EXPECT(t, unmask_by(&d, t->fd), -EINVAL);
	EXPECT(t, unmask_by(&d, d.event[1]), 0);
	EXPECT(t, unmask_by(&d, d.event[2]), -EBUSY);
	set_pin(&d, true);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	for (unsigned i = 0; i < 5; i++) {
		EXPECT(t, eventfd_write(d.event[1], 1), 0);
		EXPECT_U64(t, eventfd_await(d.event[0]), 1);
	}
	EXPECT(t, unmask_by(&d, -1), 0);
	EXPECT(t, eventfd_write(d.event[1], 1), 0);
	EXPECT_U64(t, eventfd_take(d.event[1]), 1); /* nobody else takes it */
	EXPECT(t, irqs_set(t, d.fd, EVENTFD | MASK, INTX, 0, 1, &d.event[1], 4), -ENOTTY);
	dev_end(&d);
}

static void intx_without_an_eventfd(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, set_fd(&d, INTX, 0, -7), 0);
	set_pin(&d, true);
	EXPECT(t, set_fd(&d, MSI, 0, d.event[0]), -EINVAL); /* it is enabled */
	EXPECT(t, set_fd(&d, INTX, 0, d.event[0]), 0);
	EXPECT(t, set(&d, NONE | UNMASK, INTX, 0, 1), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	dev_end(&d);
}

static void the_command_register_disables_intx(struct rules *t)
{
	struct dev d = dev_new(t);

	EXPECT(t, set_fd(&d, INTX, 0, d.event[0]), 0);
	dev_command(t, d.fd, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	set_pin(&d, true);
	EXPECT(t, set(&d, NONE | UNMASK, INTX, 0, 1), 0);
	EXPECT(t, set(&d, NONE | TRIGGER, INTX, 0, 1), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 0);
	dev_command(t, d.fd, PCI_COMMAND_MEMORY);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	dev_end(&d);
}

/* SET_IRQS: ERR and REQ */

static void single(struct rules *t, const void *row)
{
	uint32_t index = *(const uint32_t *)row;
	struct dev d = dev_new(t);

	EXPECT(t, irqs_set(t, d.fd, BOOL | TRIGGER, index, 0, 0, NULL, 0), -EINVAL);
	EXPECT(t, set_fds(&d, index, 0, 0, d.event), -EINVAL);
	EXPECT(t, set_bool(&d, TRIGGER, index, 0, 1), 0); /* nobody is told */
	EXPECT(t, set_fd(&d, index, 0, -1), 0);
	EXPECT(t, set_fd(&d, index, 0, -2), -EINVAL);
	EXPECT(t, set_fd(&d, index, 0, d.event[0]), 0);
	EXPECT(t, set(&d, NONE | TRIGGER, index, 0, 1), 0);
	EXPECT(t, set_bool(&d, TRIGGER, index, 0, 1), 0);
	EXPECT(t, set_bool(&d, TRIGGER, index, 0, 0), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 2);
	EXPECT(t, set_fd(&d, index, 0, NO_FD), -EBADF); /* and stays */
	EXPECT(t, set(&d, NONE | TRIGGER, index, 0, 1), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	EXPECT(t, set_fd(&d, index, 0, d.event[1]), 0);
	EXPECT(t, set_fd(&d, MSIX, 0, d.event[2]), 0); /* beside it */
	EXPECT(t, set(&d, NONE | TRIGGER, index, 0, 1), 0);
	EXPECT_U64(t, eventfd_take(d.event[0]), 0);
	EXPECT_U64(t, eventfd_take(d.event[1]), 1);
	EXPECT(t, tear_down(&d, index), 0);
	EXPECT(t, tear_down(&d, index), -EINVAL);
	EXPECT(t, set_fd(&d, index, 0, d.event[1]), 0);
	EXPECT(t, set_fd(&d, index, 0, -1), 0);
	EXPECT(t, set(&d, NONE | TRIGGER, index, 0, 1), -EINVAL);
	dev_end(&d);
}

static void the_last_close_disables_all(struct rules *t)
{
	struct dev d = dev_new(t);
	int again;

	EXPECT(t, set_fd(&d, INTX, 0, d.event[0]), 0);
	EXPECT(t, unmask_by(&d, d.event[1]), 0);
	EXPECT(t, set_fd(&d, REQ, 0, d.event[0]), 0);
	set_pin(&d, true);
	dev_close(t, d.fd);
	EXPECT_U64(t, eventfd_take(d.event[0]), 1);
	again = dev_open(t);
	d.fd = again;
	EXPECT(t, tear_down(&d, INTX), -EINVAL);
	EXPECT(t, tear_down(&d, REQ), -EINVAL);
	EXPECT(t, set_fd(&d, MSI, 0, d.event[2]), 0);
	EXPECT(t, eventfd_write(d.event[1], 1), 0);
	EXPECT_U64(t, eventfd_take(d.event[1]), 1);
	dev_end(&d);
}

static const struct rule_case cases[] = {
	CASE("E.3-30", info_errors),
	CASE("E.3-31", info_of_each_kind),
	CASE("E.3-32a", header_errors),
	CASE("E.3-32b", range_beyond_the_interrupts_is_einval),
	CASE("E.3-33a,E.3-33b", data_has_one_type_and_fits),
	CASE("E.3-33c", data_is_read_before_the_action),
	CASE("E.3-34", an_action_that_is_not_one_is_enotty),
	CASE("E.3-35a,E.3-35b", eventfds_enable_and_count_0_disables),
	CASE("E.3-35c", an_idle_kind_cannot_be_torn_down_or_fired),
	CASE("E.3-36", one_kind_at_a_time),
	CASE("E.3-37", vectors_beyond_those_enabled_are_einval),
	CASE("E.3-38a", no_vectors_on_an_idle_kind_are_erange),
	CASE("E.3-39", a_vector_that_fails_undoes_its_call),
	CASE("E.3-40", software_fires),
	CASE("E.3-41", messages_need_a_bus_master),
	CASE("E.3-42", descriptors_that_are_no_eventfds),
	CASE("E.3-43", a_full_eventfd_holds_up_nobody),
	CASE("E.3-44a", intx_is_one),
	CASE("E.3-44b", intx_has_a_level),
	CASE("E.3-44c,E.3-44d", an_eventfd_unmasks_intx),
	CASE("E.3-44e", intx_without_an_eventfd),
	CASE("E.3-44f", the_command_register_disables_intx),
	ROW("E.3-45", error_is_single, single, uint32_t, ERR),
	ROW("E.3-45", request_is_single, single, uint32_t, REQ),
	CASE("E.3-46", the_last_close_disables_all),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
