/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver of dmax for the tests, written from docs/devices/dmax.md: queues with and without PASIDs; and the commands
 * that bind address spaces of processes to a container, with definitions of their own.
 */
#ifndef ACCEL_H
#define ACCEL_H

#include "rig.h"

#include "../../examples/dmax/dmax.h"

enum { VFIO_IOMMU_BIND = 0x7a, VFIO_IOMMU_UNBIND };
enum { BIND_PROCESS = 1, WITH_PID = 1 };

struct vfio_bind_process {
	uint32_t argsz, mode, flags, pasid;
	int32_t pid;
};

/* The PASID, or -errno. pid 0: this process. */
long bind_process(int container, pid_t pid);
/* As the caller filled it in. */
long bind_as(int container, struct vfio_bind_process *bind);
long unbind_process(int container, pid_t pid);
long unbind_as(int container, struct vfio_bind_process *bind);

struct accel {
	struct rig rig; /* without the registers in rig.bar */
	uint64_t registers;
	uint8_t *doorbells;
};

/* In a new container, or iommufd. 0, or -errno. */
long accel_open(struct accel *a, enum way way, unsigned number);
/* In the container of another one, which stays the other's: both of type 1. */
long accel_join(struct accel *a, const struct accel *other, unsigned number);
/* From the device on: what it takes once there is a container with its group. */
long accel_open_device(struct accel *a);
void accel_close_device(struct accel *a);
/* accel_join: the container stays. */
void accel_close(struct accel *a);
uint32_t accel_read(const struct accel *a, unsigned offset);
uint64_t accel_read64(const struct accel *a, unsigned offset);
void accel_write(const struct accel *a, unsigned offset, uint32_t value);
void accel_write64(const struct accel *a, unsigned offset, uint64_t value);

enum { QUEUE_SIZE = 64 };

/* What the device sees of a queue: one of these for each. Records are the descriptors' by number. */
struct queue_memory {
	struct dmax_descriptor ring[QUEUE_SIZE];
	struct dmax_record records[QUEUE_SIZE];
};

struct queue {
	const struct accel *a;
	unsigned number;
	struct queue_memory *memory;
	uint64_t iova; /* of memory */
	uint32_t tail;
};

struct queue_memory *queue_memory_new(bool shared);
/* With pasid 0 there is none. The memory's pointer is the address where iova is 0. 0, or -errno: -EINVAL: not started.
 */
long queue_start(struct queue *q, const struct accel *a, unsigned number, uint32_t pasid, struct queue_memory *memory,
		 uint64_t iova);
void queue_stop(struct queue *q);
/* Gives one descriptor, with a record, and does not wait. Returns its record's number. At most QUEUE_SIZE at once. */
unsigned queue_give(struct queue *q, unsigned operation, unsigned flags, uint64_t to, uint64_t from, uint32_t n,
		    uint64_t value);
/* Waits: the status; -EIO: the queue is halted; -ETIMEDOUT. */
long queue_wait(struct queue *q, unsigned record);
bool queue_is_done(const struct queue *q, unsigned record);
/* Both. *record, unless NULL: what the device wrote. */
long queue_do(struct queue *q, unsigned operation, unsigned flags, uint64_t to, uint64_t from, uint32_t n,
	      uint64_t value, struct dmax_record *record);
long queue_copy(struct queue *q, void *to, const void *from, uint32_t n);
uint32_t queue_error(const struct queue *q);

#endif
