/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the clients share that drive a device by VFIO: iommuse run --device ioat ... Devices are named by their number,
 * from 0: number N is at 0000:0(N+1):00.0, in group N+1, and /dev/vfio/devices/vfioN is its own node, as they are by
 * default.
 */
#ifndef RIG_H
#define RIG_H

#include "door.h"

enum {
	VFIO_CHECK_EXTENSION = 0x65,
	VFIO_SET_IOMMU,
	VFIO_GROUP_GET_STATUS,
	VFIO_GROUP_SET_CONTAINER,
	VFIO_GROUP_UNSET_CONTAINER,
	VFIO_GROUP_GET_DEVICE_FD,
	VFIO_DEVICE_GET_INFO,
	VFIO_DEVICE_GET_REGION_INFO,
	VFIO_DEVICE_GET_IRQ_INFO,
	VFIO_DEVICE_SET_IRQS,
	VFIO_DEVICE_RESET,
	VFIO_IOMMU_MAP_DMA = 0x71,
	VFIO_IOMMU_UNMAP_DMA,
	VFIO_DEVICE_IOEVENTFD = 0x74,
	VFIO_DEVICE_BIND_IOMMUFD = 0x76,
	VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	VFIO_DEVICE_DETACH_IOMMUFD_PT,
};
enum { IRQ_INTX, IRQ_MSI, IRQ_MSIX, IRQ_ERR, IRQ_REQ };
enum { IRQ_NONE = 1, IRQ_BOOL = 2, IRQ_EVENTFD = 4, IRQ_MASK = 8, IRQ_UNMASK = 16, IRQ_TRIGGER = 32 };
enum { REGION_CONFIG = 7 };

struct vfio_device_info {
	uint32_t argsz, flags, regions, irqs, cap_offset, pad;
};
struct vfio_region_info {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};
struct vfio_irq_info {
	uint32_t argsz, flags, index, count;
};
struct vfio_irq_set {
	uint32_t argsz, flags, index, start, count;
	int32_t fd[8];
};
struct vfio_dma_map {
	uint32_t argsz, flags;
	uint64_t vaddr, iova, size;
};
struct vfio_dma_unmap {
	uint32_t argsz, flags;
	uint64_t iova, size;
};
struct vfio_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
};
struct vfio_attach {
	uint32_t argsz, flags, pt_id;
};

/* The ways to a device. */
enum way {
	TYPE1,   /* its group, and a container of type 1 */
	TYPE1V2, /* the same, version 2 */
	COMPAT,  /* its group, and an iommufd in place of the container */
	CDEV,    /* its own node, and an iommufd */
	WAYS,
};

/* A device that is open, with an address space. Descriptors are -1 where there is none. */
struct rig {
	enum way way;
	unsigned number;
	int container; /* or iommufd */
	int group;
	int device;
	uint32_t ioas;      /* of an iommufd */
	uint32_t device_id; /* CDEV: the device's */
	uint64_t config;
	volatile uint8_t *bar; /* the first page of BAR 0 */
};

/* Each 0 or more, or -errno. rig_open() is the three steps one after the other; where it fails nothing is open. */
long rig_open(struct rig *rig, enum way way, unsigned number);
long rig_open_container(struct rig *rig);
long rig_open_group(struct rig *rig);
long rig_open_device(struct rig *rig);
/* Registers of a device that is open. */
long rig_reach(struct rig *rig);
void rig_close(struct rig *rig);

enum { RIG_READ = 1, RIG_WRITE = 2, RIG_BOTH = 3 }; /* what the device may do */
long rig_map(const struct rig *rig, const void *va, uint64_t length, uint64_t iova, unsigned access);
/* How many bytes went. */
long rig_unmap(const struct rig *rig, uint64_t iova, uint64_t length);

uint32_t config_read(const struct rig *rig, unsigned offset, unsigned width);
void config_write(const struct rig *rig, unsigned offset, unsigned width, uint32_t value);

/* Makes an eventfd the interrupt of a vector; -1: takes it away. */
long irq_set(const struct rig *rig, unsigned index, unsigned vector, int eventfd);
long irq_action(const struct rig *rig, unsigned index, unsigned flags, unsigned start, unsigned count);
long irq_count(const struct rig *rig, unsigned index);
/* Waits for it, and returns the count; 0: nothing comes within ms. */
uint64_t irq_wait(int eventfd, int ms);

/* The engine: descriptors in a ring, one after the other. */

#define ENGINE_IOVA 0x10000000ull
enum { RING = 64, PAGE = 4096 };
enum { OP_COPY = 0, OP_FILL = 1 };
enum { WITH_INTERRUPT = 1, OP_NULL = 0x20 };
enum { CHANNEL_HALTED = 3 };

struct descriptor {
	uint32_t size, control;
	uint64_t source, destination, next;
	uint64_t rest[4];
};

struct engine_memory {
	struct descriptor ring[RING];
	volatile uint64_t completion;
	uint64_t rest[511];
};

struct engine {
	struct rig *rig;
	struct engine_memory *memory;
	uint64_t iova;
	uint32_t given; /* descriptors, since it was started */
};

struct engine_memory *engine_memory_new(bool shared);
/* Maps its memory, lets the device do DMA, and starts it. */
long engine_begin(struct engine *e, struct rig *rig, struct engine_memory *memory);
/* From the channel's reset on. 0 or -ETIMEDOUT. */
long engine_restart(struct engine *e);
void engine_end(struct engine *e); /* frees the memory */
/* Lets descriptors interrupt, once: what a handler of an interrupt does at its end. */
void engine_interrupts(struct engine *e);
/* Waits until it has seen that, and so the line of INTx is low. */
bool engine_has_heard(const struct engine *e);

/* At most RING - 1 before engine_wait(). */
void engine_give(struct engine *e, unsigned op, unsigned flags, uint64_t to, uint64_t from, uint32_t n);
/* Waits until what was given is done: 0; -EIO: it has halted; -ETIMEDOUT. */
long engine_wait(struct engine *e);
/* The same in one. */
long engine_copy(struct engine *e, uint64_t to, uint64_t from, uint32_t n);
uint32_t engine_error(const struct engine *e);
unsigned engine_status(const struct engine *e);

#endif
