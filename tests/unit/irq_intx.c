/* SPDX-License-Identifier: BSD-3-Clause */
/* INTx, which has a level: it is masked when it fires, and fires again when it is unmasked while the pin is asserted.
 */
#include "irq_device.h"

static struct irq_device d;
static int fd;

static int unmask_by(int unmask)
{
	return irq_set(&d, EVENTFD | UNMASK, INTX, 0, 1, &unmask, sizeof(unmask));
}

static bool interrupt_status(void)
{
	return irq_config(&d, PCI_STATUS) & PCI_STATUS_INTERRUPT;
}

static void begin(void)
{
	CHECK_EQ(irq_set_fds(&d, INTX, 0, 1, &fd), 0);
}

static void end(void)
{
	irq_device_disable(&d);
	CHECK_EQ(irq_signals(fd), 0);
	CHECK(!interrupt_status());
}

static void it_is_masked_when_it_fires(void)
{
	begin();
	irq_model_set_intx(&d, true);
	CHECK(interrupt_status());
	CHECK_EQ(irq_signals(fd), 1);
	irq_model_set_intx(&d, true);
	irq_model_set_intx(&d, false);
	CHECK(!interrupt_status());
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 0);
	end();
}

static void unmasking_fires_while_the_pin_is_asserted(void)
{
	const uint8_t yes = 1, no = 0;

	begin();
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set(&d, BOOL | UNMASK, INTX, 0, 1, &no, 1), 0);
	CHECK_EQ(irq_signals(fd), 0);
	CHECK_EQ(irq_set(&d, BOOL | UNMASK, INTX, 0, 1, &yes, 1), 0);
	CHECK_EQ(irq_signals(fd), 1);
	irq_model_set_intx(&d, false);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(irq_signals(fd), 0);
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	end();
}

static unsigned polls;

static bool serve(void *state)
{
	(void)state;
	polls++;
	irq_set_intx(&d.device, false);
	return false;
}

/* The driver has told it in a mapped page. */
static void a_model_looks_before_it_fires_again(void)
{
	int unmask = irq_eventfd();

	d.model.poll = serve;
	begin();
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(polls, 1);
	CHECK_EQ(irq_signals(fd), 0);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(polls, 1); /* the pin is not asserted */
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(unmask_by(unmask), 0);
	CHECK_EQ(eventfd_write(unmask, 1), 0);
	CHECK_EQ(unmask_by(-1), 0);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(polls, 2);
	CHECK_EQ(irq_signals(fd), 0);
	end();
	d.model.poll = NULL;
	close(unmask);
}

static unsigned looks, kicks;

static void look_at_pin(void *state)
{
	(void)state;
	looks++;
	irq_set_intx(&d.device, false);
}

static void count_kick(struct vfio_device *device)
{
	CHECK_EQ(pthread_mutex_trylock(&device->model_lock), 0);
	pthread_mutex_unlock(&device->model_lock);
	kicks++;
}

static void a_model_may_look_at_the_pin_only(void)
{
	static const struct vfio_device_hooks hooks = {.kick = count_kick};

	polls = 0;
	d.model.poll = serve;
	d.model.look_at_pin = look_at_pin;
	begin();
	d.device.hooks = &hooks;
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(looks, 1);
	CHECK_EQ(kicks, 1);
	CHECK_EQ(polls, 0);
	CHECK_EQ(irq_signals(fd), 0);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(looks, 1);
	CHECK_EQ(kicks, 1);
	d.device.hooks = NULL;
	end();
	d.model.poll = NULL;
	d.model.look_at_pin = NULL;
}

static void a_driver_masks(void)
{
	const uint8_t yes = 1, no = 0;

	begin();
	CHECK_EQ(irq_set_none(&d, MASK, INTX, 0, 1), 0);
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 0);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(irq_signals(fd), 1);
	irq_model_set_intx(&d, false);
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(irq_set(&d, BOOL | MASK, INTX, 0, 1, &no, 1), 0);
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(irq_set(&d, BOOL | MASK, INTX, 0, 1, &yes, 1), 0);
	CHECK_EQ(irq_set(&d, EVENTFD | MASK, INTX, 0, 1, &fd, 4), -ENOTTY);
	end();
}

static void a_pin_that_is_asserted_fires_when_intx_is_enabled(void)
{
	irq_model_set_intx(&d, true);
	CHECK(interrupt_status());
	begin();
	CHECK_EQ(irq_signals(fd), 1);
	end();
}

static void a_pin_says_nothing_while_messages_are_enabled(void)
{
	CHECK_EQ(irq_set_fds(&d, MSI, 0, 1, &fd), 0);
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 0);
	end();
}

static void the_command_register_disables(void)
{
	begin();
	irq_set_command(&d, PCI_COMMAND_INTX_DISABLE);
	irq_model_set_intx(&d, true);
	CHECK(interrupt_status());
	CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	CHECK_EQ(irq_set_none(&d, TRIGGER, INTX, 0, 1), 0);
	CHECK_EQ(irq_signals(fd), 0);
	irq_set_command(&d, 0);
	CHECK_EQ(irq_signals(fd), 1);
	irq_device_disable(&d);

	irq_set_command(&d, PCI_COMMAND_INTX_DISABLE);
	begin();
	irq_model_set_intx(&d, false);
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 0);
	irq_set_command(&d, 0);
	CHECK_EQ(irq_signals(fd), 1);
	end();
}

static void an_eventfd_unmasks(void)
{
	int unmask = irq_eventfd();

	begin();
	CHECK_EQ(unmask_by(unmask), 0);
	CHECK_EQ(unmask_by(unmask), -EBUSY);
	for (unsigned i = 0; i < 100; i++) {
		irq_model_set_intx(&d, true);
		CHECK_EQ(irq_wait(fd), 1);
		CHECK_EQ(eventfd_write(unmask, 1), 0);
		CHECK_EQ(irq_wait(fd), 1); /* still asserted */
		irq_model_set_intx(&d, false);
		CHECK_EQ(eventfd_write(unmask, i + 1), 0);
		irq_model_set_intx(&d, true);
		CHECK_EQ(irq_wait(fd), 1);
		irq_model_set_intx(&d, false);
		CHECK_EQ(irq_set_none(&d, UNMASK, INTX, 0, 1), 0);
	}
	CHECK_EQ(unmask_by(-3), 0);
	CHECK_EQ(unmask_by(-1), 0);
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(eventfd_write(unmask, 1), 0);
	CHECK_EQ(irq_signals(unmask), 1); /* it is the client's alone again */
	CHECK_EQ(unmask_by(unmask), 0);
	end();
	close(unmask);
}

static void a_write_before_it_was_set_counts(void)
{
	int unmask = irq_eventfd();

	begin();
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(eventfd_write(unmask, 1), 0);
	CHECK_EQ(unmask_by(unmask), 0);
	CHECK_EQ(irq_wait(fd), 1);
	end();
	close(unmask);
}

static void what_unmasks_is_an_eventfd(void)
{
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK_EQ(unmask_by(file), -EINVAL); /* nothing is enabled */
	begin();
	CHECK_EQ(unmask_by(file), -EINVAL);
	CHECK_EQ(unmask_by(1 << 20), -EBADF);
	CHECK(!d.device.irqs.unmask);
	end();
	close(file);
}

/* Its counter is full, and its description can wait: the thread that waits for it ends all the same. */
static void a_client_that_fills_what_unmasks_holds_up_nothing(void)
{
	int unmask = irq_eventfd();

	begin();
	CHECK_EQ(eventfd_write(unmask, UINT64_C(0xfffffffffffffffe)), 0);
	CHECK_EQ(fcntl(unmask, F_SETFL, 0), 0);
	irq_model_set_intx(&d, true);
	CHECK_EQ(irq_signals(fd), 1);
	CHECK_EQ(unmask_by(unmask), 0);
	CHECK_EQ(irq_wait(fd), 1);
	end();
	close(unmask);
}

int main(void)
{
	irq_device_begin(&d);
	fd = irq_eventfd();
	irq_set_command(&d, 0);
	it_is_masked_when_it_fires();
	unmasking_fires_while_the_pin_is_asserted();
	a_model_looks_before_it_fires_again();
	a_model_may_look_at_the_pin_only();
	a_driver_masks();
	a_pin_that_is_asserted_fires_when_intx_is_enabled();
	a_pin_says_nothing_while_messages_are_enabled();
	the_command_register_disables();
	an_eventfd_unmasks();
	a_write_before_it_was_set_counts();
	what_unmasks_is_an_eventfd();
	a_client_that_fills_what_unmasks_holds_up_nothing();
	close(fd);
	irq_device_end(&d);
	return check_result();
}
