/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver.h"

#include <abi/vfio.h>

#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BAR_REGISTERS VFIO_PCI_BAR0_REGION_INDEX
#define BAR_DOORBELLS VFIO_PCI_BAR2_REGION_INDEX

#define PCI_COMMAND           4
#define PCI_MEMORY_AND_MASTER 6

#define LOOKS  100
#define NAP_NS 50000

static int get(const struct dmax *dmax, uint64_t offset, uint32_t *value)
{
	ssize_t n = pread(dmax->device, value, sizeof(*value), (off_t)(dmax->registers + offset));

	return n == sizeof(*value) ? 0 : n < 0 ? -errno : -EIO;
}

static int set(const struct dmax *dmax, uint64_t offset, uint32_t value)
{
	ssize_t n = pwrite(dmax->device, &value, sizeof(value), (off_t)(dmax->registers + offset));

	return n == sizeof(value) ? 0 : n < 0 ? -errno : -EIO;
}

static int find_region(int device, uint32_t index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){.argsz = sizeof(*info), .index = index};
	return ioctl(device, VFIO_DEVICE_GET_REGION_INFO, info) ? -errno : 0;
}

/* Lets the device answer, and do DMA. */
static int enable_pci(int device)
{
	struct vfio_region_info config;
	uint16_t command = PCI_MEMORY_AND_MASTER;
	int rc = find_region(device, VFIO_PCI_CONFIG_REGION_INDEX, &config);

	if (rc)
		return rc;
	if (pwrite(device, &command, sizeof(command), (off_t)config.offset + PCI_COMMAND) != sizeof(command))
		return -EIO;
	return 0;
}

static int reset(struct dmax *dmax)
{
	uint32_t id, version;
	int rc = get(dmax, DMAX_ID, &id);

	if (!rc)
		rc = get(dmax, DMAX_VERSION, &version);
	if (!rc && (id != DMAX_ID_VALUE || version >> 16 != 1))
		rc = -ENODEV;
	if (!rc)
		rc = get(dmax, DMAX_QUEUES, &dmax->queues);
	if (!rc)
		rc = set(dmax, DMAX_CONTROL, DMAX_CONTROL_RESET);
	if (!rc)
		rc = set(dmax, DMAX_CONTROL, DMAX_CONTROL_ENABLE);
	return rc;
}

int dmax_open(struct dmax *dmax, int device)
{
	struct vfio_region_info registers, doorbells;
	void *memory;
	int rc;

	*dmax = (struct dmax){.device = device};
	rc = find_region(device, BAR_REGISTERS, &registers);
	if (!rc)
		rc = find_region(device, BAR_DOORBELLS, &doorbells);
	if (!rc)
		rc = enable_pci(device);
	if (rc)
		return rc;
	dmax->registers = registers.offset;
	rc = reset(dmax);
	if (rc)
		return rc;
	memory = mmap(NULL, doorbells.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)doorbells.offset);
	if (memory == MAP_FAILED)
		return -errno;
	dmax->doorbells = memory;
	dmax->doorbells_size = doorbells.size;
	return 0;
}

void dmax_close(struct dmax *dmax)
{
	set(dmax, DMAX_CONTROL, DMAX_CONTROL_RESET);
	munmap(dmax->doorbells, dmax->doorbells_size);
}

int dmax_queue_start(struct dmax_queue *queue, struct dmax *dmax, unsigned number, uint32_t pasid,
		     struct dmax_descriptor *ring, uint64_t address, uint32_t size)
{
	const struct {
		uint32_t offset, value;
	} registers[] = {
		{DMAX_Q_BASE, (uint32_t)address},
		{DMAX_Q_BASE + 4, (uint32_t)(address >> 32)},
		{DMAX_Q_SIZE, size},
		{DMAX_Q_PASID, pasid ? DMAX_PASID_VALID | pasid : 0},
		{DMAX_Q_COMMAND, DMAX_COMMAND_START},
	};
	uint32_t state;
	int rc;

	if (number >= dmax->queues)
		return -ENODEV;
	for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		rc = set(dmax, DMAX_QUEUE(number) + registers[i].offset, registers[i].value);
		if (rc)
			return rc;
	}
	rc = get(dmax, DMAX_QUEUE(number) + DMAX_Q_STATE, &state);
	if (rc)
		return rc;
	if (DMAX_STATE(state) != DMAX_STATE_ENABLED)
		return -EINVAL;
	*queue = (struct dmax_queue){.dmax = dmax,
				     .number = number,
				     .ring = ring,
				     .size = size,
				     .doorbell = dmax->doorbells + DMAX_DOORBELL(number)};
	return 0;
}

void dmax_queue_stop(struct dmax_queue *queue)
{
	set(queue->dmax, DMAX_QUEUE(queue->number) + DMAX_Q_COMMAND, DMAX_COMMAND_STOP);
}

static uint32_t *doorbell(const struct dmax_queue *queue, unsigned offset)
{
	return (uint32_t *)(void *)(queue->doorbell + offset);
}

int dmax_submit(struct dmax_queue *queue, const struct dmax_descriptor *descriptor, struct dmax_record *record)
{
	if (queue->tail - __atomic_load_n(doorbell(queue, DMAX_D_HEAD), __ATOMIC_ACQUIRE) >= queue->size)
		return -EAGAIN;
	__atomic_store_n(&record->status, 0, __ATOMIC_RELAXED);
	queue->ring[queue->tail % queue->size] = *descriptor;
	/* The device sees the descriptor, and the cleared record, when it sees this. */
	__atomic_store_n(doorbell(queue, DMAX_D_TAIL), ++queue->tail, __ATOMIC_RELEASE);
	return 0;
}

int dmax_wait(const struct dmax_queue *queue, const struct dmax_record *record)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	unsigned looks = 0;

	while (!__atomic_load_n(&record->status, __ATOMIC_ACQUIRE)) {
		uint32_t state = __atomic_load_n(doorbell(queue, DMAX_D_STATE), __ATOMIC_ACQUIRE);

		if (DMAX_STATE(state) == DMAX_STATE_HALTED)
			return -EIO;
		/* What is short is there soon, and what is long leaves the processor to others. */
		if (looks++ < LOOKS)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
	return 0;
}

uint32_t dmax_queue_error(const struct dmax_queue *queue)
{
	uint32_t error = 0;

	get(queue->dmax, DMAX_QUEUE(queue->number) + DMAX_Q_ERROR, &error);
	return error;
}
