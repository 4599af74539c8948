/* SPDX-License-Identifier: BSD-3-Clause */
/* A VFIO device of the tests' own model (irq_model.c), opened through its own node. */
#ifndef IOMMUSE_TESTS_IRQ_DEVICE_H
#define IOMMUSE_TESTS_IRQ_DEVICE_H

#include "calls.h"

#include <sys/eventfd.h>

/* Registers of its BAR 0, of 8 bytes. */
enum {
	DEVICE_INTX = 0,    /* the level of the pin */
	DEVICE_RAISE = 8,   /* raises this vector */
	DEVICE_VECTORS = 16 /* how many are enabled */
};
enum { DEVICE_MSI = 8, DEVICE_MSIX = 2048 };

/* Opens it, bound to the case's file; a failure is the case's. */
int dev_open(struct rules *t);
int dev_call(struct rules *t, int device, unsigned long cmd, void *arg);
void dev_close(struct rules *t, int device);

void dev_write(struct rules *t, int device, unsigned reg, uint64_t value);
uint64_t dev_read(struct rules *t, int device, unsigned reg);
/* The command register. */
void dev_command(struct rules *t, int device, uint16_t command);

/* VFIO_DEVICE_SET_IRQS with size bytes of data. */
int irqs_set(struct rules *t, int device, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
	     const void *data, size_t size);
/* Sets eventfds. */
int irqs_fds(struct rules *t, int device, uint32_t index, uint32_t start, uint32_t count, const int *fds);
/* Without data: VFIO_IRQ_SET_ACTION_*. */
int irqs_act(struct rules *t, int device, uint32_t action, uint32_t index, uint32_t start, uint32_t count);

int event_new(struct rules *t);
/* How often it was signalled since it was asked last. */
uint64_t eventfd_take(int fd);
/* The same where that is going to happen. */
uint64_t eventfd_await(int fd);

#endif
