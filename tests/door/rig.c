/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#define PATIENCE_NS 20000000000ull

long rig_open_container(struct rig *rig)
{
	const bool iommufd = rig->way == COMPAT || rig->way == CDEV;
	long rc;

	rig->container = (int)ERR(open(iommufd ? DEV_IOMMU : DEV_VFIO, O_RDWR | O_CLOEXEC));
	if (rig->container < 0)
		return rig->container;
	if (rig->way != CDEV)
		return 0;
	rc = ioas_alloc(rig->container);
	rig->ioas = (uint32_t)rc;
	return rc < 0 ? rc : 0;
}

/* Which IOAS of an iommufd the container's commands mean. */
static long compat_ioas(struct rig *rig)
{
	struct {
		uint32_t size, ioas_id;
		uint16_t op, reserved;
	} ioas = {sizeof(ioas), 0, 0, 0};
	long rc = door_ioctl(rig->container, IOMMU_VFIO_IOAS, &ioas);

	rig->ioas = ioas.ioas_id;
	return rc;
}

long rig_open_group(struct rig *rig)
{
	char path[32];
	long rc;

	if (rig->way == CDEV)
		return 0;
	snprintf(path, sizeof(path), "/dev/vfio/%u", rig->number + 1);
	rig->group = (int)ERR(open(path, O_RDWR | O_CLOEXEC));
	if (rig->group < 0)
		return rig->group;
	rc = door_ioctl(rig->group, VFIO_GROUP_SET_CONTAINER, &rig->container);
	if (rc < 0)
		return rc;
	if (rig->way == COMPAT)
		return compat_ioas(rig);
	return ERR(ioctl(rig->container, CMD(VFIO_SET_IOMMU), rig->way == TYPE1 ? 1 : 3));
}

static long open_cdev(struct rig *rig)
{
	struct vfio_bind bind = {sizeof(bind), 0, rig->container, 0};
	struct vfio_attach attach = {sizeof(attach), 0, rig->ioas};
	char path[40];
	long rc;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", rig->number);
	rig->device = (int)ERR(open(path, O_RDWR | O_CLOEXEC));
	if (rig->device < 0)
		return rig->device;
	rc = door_ioctl(rig->device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	rig->device_id = bind.out_devid;
	return rc < 0 ? rc : door_ioctl(rig->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

long rig_open_device(struct rig *rig)
{
	char name[16];
	long rc;

	if (rig->way == CDEV)
		return open_cdev(rig);
	snprintf(name, sizeof(name), "0000:%02x:00.0", rig->number + 1);
	rc = door_ioctl(rig->group, VFIO_GROUP_GET_DEVICE_FD, name);
	rig->device = (int)rc;
	return rc < 0 ? rc : 0;
}

long rig_reach(struct rig *rig)
{
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = 0};
	struct vfio_region_info config = {.argsz = sizeof(config), .index = REGION_CONFIG};
	long rc = door_ioctl(rig->device, VFIO_DEVICE_GET_REGION_INFO, &config);
	void *memory;

	if (rc >= 0)
		rc = door_ioctl(rig->device, VFIO_DEVICE_GET_REGION_INFO, &bar);
	if (rc < 0)
		return rc;
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, rig->device, (off_t)bar.offset);
	if (memory == MAP_FAILED)
		return -errno;
	rig->config = config.offset;
	rig->bar = memory;
	return 0;
}

long rig_open(struct rig *rig, enum way way, unsigned number)
{
	long rc;

	*rig = (struct rig){.way = way, .number = number, .container = -1, .group = -1, .device = -1};
	rc = rig_open_container(rig);
	if (rc >= 0)
		rc = rig_open_group(rig);
	if (rc >= 0)
		rc = rig_open_device(rig);
	if (rc >= 0)
		rc = rig_reach(rig);
	if (rc < 0)
		rig_close(rig);
	return rc;
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void rig_close(struct rig *rig)
{
	if (rig->bar)
		munmap((void *)rig->bar, PAGE);
	rig->bar = NULL;
	close_one(&rig->device);
	close_one(&rig->group);
	close_one(&rig->container);
}

long rig_map(const struct rig *rig, const void *va, uint64_t length, uint64_t iova, unsigned access)
{
	struct vfio_dma_map map = {sizeof(map), access, address(va), iova, length};
	struct iommu_ioas_map ioas_map = {.size = sizeof(ioas_map),
					  .flags = MAP_FIXED_IOVA | (access & RIG_READ ? MAP_READABLE : 0) |
						   (access & RIG_WRITE ? MAP_WRITEABLE : 0),
					  .ioas_id = rig->ioas,
					  .user_va = address(va),
					  .length = length,
					  .iova = iova};

	if (rig->way == TYPE1 || rig->way == TYPE1V2)
		return door_ioctl(rig->container, VFIO_IOMMU_MAP_DMA, &map);
	return door_ioctl(rig->container, IOMMU_IOAS_MAP, &ioas_map);
}

long rig_unmap(const struct rig *rig, uint64_t iova, uint64_t length)
{
	struct vfio_dma_unmap unmap = {sizeof(unmap), 0, iova, length};
	long rc;

	if (rig->way != TYPE1 && rig->way != TYPE1V2)
		return ioas_unmap(rig->container, rig->ioas, iova, length);
	rc = door_ioctl(rig->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
	return rc < 0 ? rc : (long)unmap.size;
}

uint32_t config_read(const struct rig *rig, unsigned offset, unsigned width)
{
	uint32_t value = 0;

	return pread(rig->device, &value, width, (off_t)(rig->config + offset)) == (ssize_t)width ? value : ~0u;
}

void config_write(const struct rig *rig, unsigned offset, unsigned width, uint32_t value)
{
	(void)!pwrite(rig->device, &value, width, (off_t)(rig->config + offset));
}

long irq_set(const struct rig *rig, unsigned index, unsigned vector, int eventfd)
{
	struct vfio_irq_set set = {20 + sizeof(int32_t), IRQ_EVENTFD | IRQ_TRIGGER, index, vector, 1, {eventfd}};

	return door_ioctl(rig->device, VFIO_DEVICE_SET_IRQS, &set);
}

long irq_action(const struct rig *rig, unsigned index, unsigned flags, unsigned start, unsigned count)
{
	struct vfio_irq_set set = {20, flags, index, start, count, {0}};

	return door_ioctl(rig->device, VFIO_DEVICE_SET_IRQS, &set);
}

long irq_count(const struct rig *rig, unsigned index)
{
	struct vfio_irq_info info = {sizeof(info), 0, index, 0};
	long rc = door_ioctl(rig->device, VFIO_DEVICE_GET_IRQ_INFO, &info);

	return rc < 0 ? rc : (long)info.count;
}

uint64_t irq_wait(int eventfd, int ms)
{
	struct pollfd p = {.fd = eventfd, .events = POLLIN};
	uint64_t count = 0;

	if (poll(&p, 1, ms) != 1 || read(eventfd, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}

/* Registers of the engine and of its one channel. */
enum {
	INTRCTRL = 0x03,
	ATTNSTATUS = 0x04,
	CHANCTRL = 0x80,
	CHANCMD = 0x84,
	DMACOUNT = 0x86,
	CHANSTS = 0x88,
	CHAINADDR = 0x90,
	CHANCMP = 0x98,
	CHANERR = 0xa8,
};
enum { MASTER_INTERRUPT_ENABLE = 1, INTERRUPT_REARM = 1, ON_ERROR = 0x1c, RESET = 0x20 };
enum { UPDATE_COMPLETION = 8, PCI_COMMAND = 4, MEMORY_AND_MASTER = 6 };

static volatile uint16_t *reg16(const struct engine *e, unsigned offset)
{
	return (volatile uint16_t *)(e->rig->bar + offset);
}

static volatile uint32_t *reg32(const struct engine *e, unsigned offset)
{
	return (volatile uint32_t *)(e->rig->bar + offset);
}

static volatile uint64_t *reg64(const struct engine *e, unsigned offset)
{
	return (volatile uint64_t *)(e->rig->bar + offset);
}

/* Lets the device work; false: it had enough time. */
static bool have_patience(uint64_t since)
{
	static const struct timespec moment = {0, 20000};

	if (monotonic_ns() - since < 50000)
		sched_yield();
	else
		nanosleep(&moment, NULL);
	return monotonic_ns() - since < PATIENCE_NS;
}

unsigned engine_status(const struct engine *e)
{
	return (unsigned)*reg64(e, CHANSTS) & 7;
}

uint32_t engine_error(const struct engine *e)
{
	return *reg32(e, CHANERR);
}

long engine_restart(struct engine *e)
{
	uint64_t start = monotonic_ns();
	struct engine_memory *memory = e->memory;

	e->rig->bar[CHANCMD] = RESET;
	while (e->rig->bar[CHANCMD] & RESET)
		if (!have_patience(start))
			return -ETIMEDOUT;
	*reg32(e, CHANERR) = *reg32(e, CHANERR);
	memset(memory, 0, sizeof(*memory));
	for (unsigned i = 0; i < RING; i++)
		memory->ring[i].next = e->iova + (i + 1) % RING * sizeof(struct descriptor);
	e->given = 0;
	*reg64(e, CHANCMP) = e->iova + offsetof(struct engine_memory, completion);
	*reg64(e, CHAINADDR) = e->iova;
	*reg16(e, CHANCTRL) = ON_ERROR;
	return 0;
}

struct engine_memory *engine_memory_new(bool shared)
{
	void *memory = mmap(NULL, sizeof(struct engine_memory), PROT_READ | PROT_WRITE,
			    MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	_Static_assert(sizeof(struct engine_memory) == 2 * PAGE, "whole pages");
	if (memory == MAP_FAILED)
		abort();
	return memory;
}

long engine_begin(struct engine *e, struct rig *rig, struct engine_memory *memory)
{
	long rc = rig_map(rig, memory, sizeof(*memory), ENGINE_IOVA, RIG_BOTH);

	*e = (struct engine){.rig = rig, .memory = memory, .iova = ENGINE_IOVA};
	if (rc < 0)
		return rc;
	config_write(rig, PCI_COMMAND, 2, MEMORY_AND_MASTER);
	return engine_restart(e);
}

void engine_end(struct engine *e)
{
	munmap(e->memory, sizeof(struct engine_memory));
}

void engine_interrupts(struct engine *e)
{
	*reg16(e, CHANCTRL) = ON_ERROR | INTERRUPT_REARM;
	e->rig->bar[INTRCTRL] = MASTER_INTERRUPT_ENABLE;
}

bool engine_has_heard(const struct engine *e)
{
	uint64_t start = monotonic_ns();

	while (*reg32(e, ATTNSTATUS))
		if (!have_patience(start))
			return false;
	return true;
}

void engine_give(struct engine *e, unsigned op, unsigned flags, uint64_t to, uint64_t from, uint32_t n)
{
	struct descriptor *d = &e->memory->ring[e->given % RING];

	d->size = n;
	d->control = op << 24 | flags | UPDATE_COMPLETION;
	d->source = from;
	d->destination = to;
	e->given++;
	__atomic_store_n(reg16(e, DMACOUNT), (uint16_t)e->given, __ATOMIC_RELEASE);
}

/* What the completion says once all is done: where the last descriptor is. */
static uint64_t last_given(const struct engine *e)
{
	return e->iova + (e->given - 1) % RING * sizeof(struct descriptor);
}

long engine_wait(struct engine *e)
{
	uint64_t start = monotonic_ns();

	while ((__atomic_load_n(&e->memory->completion, __ATOMIC_ACQUIRE) & ~UINT64_C(0x3f)) != last_given(e)) {
		if (engine_status(e) == CHANNEL_HALTED && engine_error(e)) /* it is halted after a reset, too */
			return -EIO;
		if (!have_patience(start))
			return -ETIMEDOUT;
	}
	if ((e->memory->completion & 7) == CHANNEL_HALTED)
		return -EIO;
	e->memory->completion = 0; /* a descriptor of the next round may be the same one */
	return 0;
}

long engine_copy(struct engine *e, uint64_t to, uint64_t from, uint32_t n)
{
	engine_give(e, OP_COPY, 0, to, from, n);
	return engine_wait(e);
}
