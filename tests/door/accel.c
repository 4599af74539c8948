/* SPDX-License-Identifier: BSD-3-Clause */
#include "accel.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#define PATIENCE_NS 20000000000ull

enum { BAR0 = 0, BAR2 = 2, PCI_COMMAND = 4, MEMORY_AND_MASTER = 6 };

long bind_as(int container, struct vfio_bind_process *bind)
{
	return door_ioctl(container, VFIO_IOMMU_BIND, bind);
}

long unbind_as(int container, struct vfio_bind_process *bind)
{
	return door_ioctl(container, VFIO_IOMMU_UNBIND, bind);
}

static struct vfio_bind_process bind_of(pid_t pid)
{
	return (struct vfio_bind_process){sizeof(struct vfio_bind_process), BIND_PROCESS, pid ? WITH_PID : 0, 0, pid};
}

long bind_process(int container, pid_t pid)
{
	struct vfio_bind_process b = bind_of(pid);
	long rc = bind_as(container, &b);

	return rc ? rc : (long)b.pasid;
}

long unbind_process(int container, pid_t pid)
{
	struct vfio_bind_process b = bind_of(pid);

	return unbind_as(container, &b);
}

uint32_t accel_read(const struct accel *a, unsigned offset)
{
	uint32_t value = 0;

	return pread(a->rig.device, &value, 4, (off_t)(a->registers + offset)) == 4 ? value : ~0u;
}

uint64_t accel_read64(const struct accel *a, unsigned offset)
{
	uint64_t value = 0;

	return pread(a->rig.device, &value, 8, (off_t)(a->registers + offset)) == 8 ? value : ~0ull;
}

void accel_write(const struct accel *a, unsigned offset, uint32_t value)
{
	(void)!pwrite(a->rig.device, &value, 4, (off_t)(a->registers + offset));
}

void accel_write64(const struct accel *a, unsigned offset, uint64_t value)
{
	(void)!pwrite(a->rig.device, &value, 8, (off_t)(a->registers + offset));
}

static long find_region(const struct accel *a, unsigned index, uint64_t *offset)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};
	long rc = door_ioctl(a->rig.device, VFIO_DEVICE_GET_REGION_INFO, &info);

	*offset = info.offset;
	return rc;
}

static long reach(struct accel *a)
{
	uint64_t doorbells = 0;
	long rc = find_region(a, REGION_CONFIG, &a->rig.config);
	void *p;

	if (rc >= 0)
		rc = find_region(a, BAR0, &a->registers);
	if (rc >= 0)
		rc = find_region(a, BAR2, &doorbells);
	if (rc < 0)
		return rc;
	p = mmap(NULL, DMAX_DOORBELL(DMAX_QUEUES_MAX), PROT_READ | PROT_WRITE, MAP_SHARED, a->rig.device,
		 (off_t)doorbells);
	if (p == MAP_FAILED)
		return -errno;
	a->doorbells = p;
	config_write(&a->rig, PCI_COMMAND, 2, MEMORY_AND_MASTER);
	if (accel_read(a, DMAX_ID) != DMAX_ID_VALUE || accel_read(a, DMAX_VERSION) >> 16 != 1)
		return -ENODEV;
	accel_write(a, DMAX_CONTROL, DMAX_CONTROL_RESET);
	accel_write(a, DMAX_CONTROL, DMAX_CONTROL_ENABLE);
	return 0;
}

long accel_open_device(struct accel *a)
{
	long rc = rig_open_device(&a->rig);

	return rc < 0 ? rc : reach(a);
}

long accel_open(struct accel *a, enum way way, unsigned number)
{
	long rc;

	*a = (struct accel){.rig = {.way = way, .number = number, .container = -1, .group = -1, .device = -1}};
	rc = rig_open_container(&a->rig);
	if (rc >= 0)
		rc = rig_open_group(&a->rig);
	if (rc >= 0)
		rc = accel_open_device(a);
	if (rc < 0)
		accel_close(a);
	return rc < 0 ? rc : 0;
}

long accel_join(struct accel *a, const struct accel *other, unsigned number)
{
	char path[32];
	int container = other->rig.container;
	long rc;

	*a = (struct accel){
		.rig = {.way = other->rig.way, .number = number, .container = -1, .group = -1, .device = -1}};
	snprintf(path, sizeof(path), "/dev/vfio/%u", number + 1);
	rc = ERR(open(path, O_RDWR | O_CLOEXEC));
	a->rig.group = (int)rc;
	if (rc >= 0)
		rc = door_ioctl(a->rig.group, VFIO_GROUP_SET_CONTAINER, &container);
	if (rc >= 0)
		rc = accel_open_device(a);
	if (rc < 0)
		accel_close(a);
	return rc < 0 ? rc : 0;
}

void accel_close_device(struct accel *a)
{
	if (a->doorbells)
		munmap(a->doorbells, DMAX_DOORBELL(DMAX_QUEUES_MAX));
	a->doorbells = NULL;
	if (a->rig.device >= 0)
		close(a->rig.device);
	a->rig.device = -1;
}

void accel_close(struct accel *a)
{
	accel_close_device(a);
	rig_close(&a->rig);
}

struct queue_memory *queue_memory_new(bool shared)
{
	void *p = mmap(NULL, sizeof(struct queue_memory), PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

static unsigned reg(const struct queue *q, unsigned offset)
{
	return DMAX_QUEUE(q->number) + offset;
}

static uint32_t *doorbell(const struct queue *q, unsigned offset)
{
	return (uint32_t *)(void *)(q->a->doorbells + DMAX_DOORBELL(q->number) + offset);
}

long queue_start(struct queue *q, const struct accel *a, unsigned number, uint32_t pasid, struct queue_memory *memory,
		 uint64_t iova)
{
	*q = (struct queue){.a = a, .number = number, .memory = memory, .iova = iova ? iova : address(memory)};
	accel_write64(a, reg(q, DMAX_Q_BASE), q->iova + offsetof(struct queue_memory, ring));
	accel_write(a, reg(q, DMAX_Q_SIZE), QUEUE_SIZE);
	accel_write(a, reg(q, DMAX_Q_PASID), pasid ? DMAX_PASID_VALID | pasid : 0);
	accel_write(a, reg(q, DMAX_Q_COMMAND), DMAX_COMMAND_START);
	if (DMAX_STATE(accel_read(a, reg(q, DMAX_Q_STATE))) != DMAX_STATE_ENABLED)
		return -EINVAL;
	return 0;
}

void queue_stop(struct queue *q)
{
	accel_write(q->a, reg(q, DMAX_Q_COMMAND), DMAX_COMMAND_STOP);
}

uint32_t queue_error(const struct queue *q)
{
	return accel_read(q->a, reg(q, DMAX_Q_ERROR));
}

unsigned queue_give(struct queue *q, unsigned operation, unsigned flags, uint64_t to, uint64_t from, uint32_t n,
		    uint64_t value)
{
	unsigned i = q->tail % QUEUE_SIZE;

	__atomic_store_n(&q->memory->records[i].status, 0, __ATOMIC_RELAXED);
	q->memory->ring[i] = (struct dmax_descriptor){.operation = (uint8_t)operation,
						      .flags = (uint16_t)(flags | DMAX_FLAG_RECORD),
						      .length = n,
						      .record = q->iova + offsetof(struct queue_memory, records[i]),
						      .source = from,
						      .destination = to,
						      .value = value};
	__atomic_store_n(doorbell(q, DMAX_D_TAIL), ++q->tail, __ATOMIC_RELEASE);
	return i;
}

bool queue_is_done(const struct queue *q, unsigned record)
{
	return __atomic_load_n(&q->memory->records[record].status, __ATOMIC_ACQUIRE) != 0;
}

long queue_wait(struct queue *q, unsigned record)
{
	static const struct timespec moment = {0, 20000};
	uint64_t start = monotonic_ns();

	while (!queue_is_done(q, record)) {
		uint64_t took = monotonic_ns() - start;

		if (DMAX_STATE(__atomic_load_n(doorbell(q, DMAX_D_STATE), __ATOMIC_ACQUIRE)) == DMAX_STATE_HALTED)
			return -EIO;
		if (took > PATIENCE_NS)
			return -ETIMEDOUT;
		if (took < 50000)
			sched_yield();
		else
			nanosleep(&moment, NULL);
	}
	return q->memory->records[record].status;
}

long queue_do(struct queue *q, unsigned operation, unsigned flags, uint64_t to, uint64_t from, uint32_t n,
	      uint64_t value, struct dmax_record *record)
{
	unsigned i = queue_give(q, operation, flags, to, from, n, value);
	long rc = queue_wait(q, i);

	if (record)
		*record = q->memory->records[i];
	return rc;
}

long queue_copy(struct queue *q, void *to, const void *from, uint32_t n)
{
	return queue_do(q, DMAX_COPY, 0, address(to), address(from), n, 0, NULL);
}
