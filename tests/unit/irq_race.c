/* SPDX-License-Identifier: BSD-3-Clause */
/* A device interrupts while clients change where to, and close: nothing is lost that is set all the time. */
#include "irq_device.h"

#include <sched.h>

enum { ROUNDS = 1500, LONG = 20 };

static struct irq_device d;
static atomic_bool over;
static atomic_uint raised;

static void *raise_all(void *context)
{
	(void)context;
	while (!atomic_load(&over)) {
		for (unsigned i = 0; i < 4; i++)
			irq_model_raise(&d, i);
		atomic_fetch_add(&raised, 1);
	}
	return NULL;
}

static void *toggle_intx(void *context)
{
	(void)context;
	for (bool asserted = true; !atomic_load(&over); asserted = !asserted) {
		irq_model_set_intx(&d, asserted);
		irq_set_command(&d, asserted ? PCI_COMMAND_MASTER : PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
		sched_yield();
	}
	return NULL;
}

/* An error is one that another client's call explains. */
static void check_race(int rc)
{
	CHECK(rc == 0 || rc == -EINVAL || rc == -EBUSY || rc == -EBADF);
}

static void *set_all(void *context)
{
	unsigned rounds = getenv("IOMMUSE_TEST_LONG") ? ROUNDS * LONG : ROUNDS;
	int fds[4] = {irq_eventfd(), irq_eventfd(), -1, irq_eventfd()};
	int bad[2] = {fds[0], 1 << 20};

	(void)context;
	for (unsigned i = 0; i < rounds; i++) {
		uint32_t mode = i % 3;

		check_race(irq_set_fds(&d, mode, 0, mode ? 4 : 1, fds));
		check_race(irq_set_none(&d, TRIGGER, mode, 0, 1));
		if (mode) {
			check_race(irq_set_fds(&d, mode, 1, 2, fds));
			check_race(irq_set_fds(&d, mode, 2, 2, bad));
		} else {
			check_race(irq_set(&d, EVENTFD | UNMASK, INTX, 0, 1, &fds[1], 4));
			(void)eventfd_write(fds[1], 1);
			check_race(irq_set_none(&d, MASK, INTX, 0, 1));
			check_race(irq_set_none(&d, UNMASK, INTX, 0, 1));
		}
		check_race(irq_set_fds(&d, REQ, 0, 1, fds));
		if (i % 16 == 0)
			irq_device_disable(&d);
		check_race(irq_set_none(&d, TRIGGER, mode, 0, 0));
	}
	for (unsigned i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return NULL;
}

static void clients_change_what_is_signalled(void)
{
	pthread_t models[2], clients[2];

	CHECK_EQ(pthread_create(&models[0], NULL, raise_all, NULL), 0);
	CHECK_EQ(pthread_create(&models[1], NULL, toggle_intx, NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&clients[i], NULL, set_all, NULL), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(clients[i], NULL);
	atomic_store(&over, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(models[i], NULL);
	irq_device_disable(&d);
}

/* While other vectors come and go, each interrupt of one that stays is there. */
static void none_is_lost(void)
{
	int stays = irq_eventfd(), other = irq_eventfd(), none = -1;
	int fds[4] = {stays, other, other, other};
	pthread_t model;

	irq_set_command(&d, PCI_COMMAND_MASTER);
	CHECK_EQ(irq_set_fds(&d, MSIX, 0, 4, fds), 0);
	atomic_store(&over, false);
	atomic_store(&raised, 0);
	CHECK_EQ(pthread_create(&model, NULL, raise_all, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		CHECK_EQ(irq_set_fds(&d, MSIX, 1, 1, &none), 0);
		CHECK_EQ(irq_set_fds(&d, MSIX, 1, 1, &other), 0);
	}
	atomic_store(&over, true);
	pthread_join(model, NULL);
	CHECK_EQ(irq_signals(stays), atomic_load(&raised));
	irq_device_disable(&d);
	close(stays);
	close(other);
}

int main(void)
{
	irq_device_begin(&d);
	clients_change_what_is_signalled();
	none_is_lost();
	irq_device_end(&d);
	return check_result();
}
