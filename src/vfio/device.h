/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A VFIO device: a PCI device whose registers are a model's (include/iommuse/device.h), in a group, behind the software
 * IOMMU. It exists as long as the system; clients open it through its group or through a file of its own (cdev).
 *
 * Open means: bound to an iommufd by the one file that has it (struct device_file). Through a group that is one file
 * for all who ask for the device; its last close closes the device. The memory of the BARs' areas belongs to that file.
 *
 * Locks, outermost first: vfio_group.lock, vfio_device.lock, vfio_device.model_lock, irqs.lock. Binding, attaching and
 * detaching take the iommufd's locks and wait for device threads, and so do resets: a client can make that last. Of
 * these locks only device.lock is held then, which none but calls of the file that has the device take, or that is
 * about to; and no callback of a model takes it. vfio_device.user_lock is a leaf.
 */
#ifndef IOMMUSE_VFIO_DEVICE_H
#define IOMMUSE_VFIO_DEVICE_H

#include "hwpt/device.h"
#include "iommuse/device.h"
#include "vfio/irq.h"
#include "vfio/pci_config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bonds;
struct client;
struct ctx;
struct device;
struct device_file;
struct event_stream;
struct file;
struct file_region;
struct group_file;
struct ioeventfds;
struct ioasid_space;
struct ioasid_users;
struct iommufd_config;
struct mm_pasids;
struct vfio_device;

struct vfio_group {
	struct iommu_group iommu; /* id: its number below /dev/vfio */
	struct vfio_group *next;
	pthread_mutex_t lock;      /* guards what follows */
	struct group_file *opener; /* that has /dev/vfio/ID open; NULL: nobody */
	struct ctx *container;     /* with a reference to its file; NULL: none is set */
	_Atomic unsigned cdevs;    /* devices of it that are bound through files of their own; less also without lock */
	struct bonds *bonds;       /* the container's; guarded by mm_pasids.lock */
};

/* What the floor above does for a device. Called with device.lock held. */
struct vfio_device_hooks {
	/* Its memory is there, it was reset: the model may be polled. Returns 0, or -EAGAIN: then it is not open. */
	int (*opened)(struct vfio_device *device);
	void (*closing)(struct vfio_device *device); /* returns when no callback runs or will run but reset */
	/* Something was written, or the pin is about to be unmasked: poll soon. From any thread. */
	void (*kick)(struct vfio_device *device);
};

struct vfio_device {
	struct iommuse_device base; /* what the model knows */
	const struct iommuse_model *model;
	void *state; /* the model's */
	const struct vfio_device_hooks *hooks;
	void *owner; /* of the floor above */
	struct vfio *vfio;
	struct vfio_group *group;
	struct vfio_device *next;
	char name[16];    /* "0000:01:00.0" */
	uint16_t segment; /* of its address: 0000 */
	uint8_t bus, devfn;
	unsigned number; /* N of vfioN */
	struct iommu_device iommu;

	pthread_mutex_t lock;

	/* Guarded by user_lock. */
	pthread_mutex_t user_lock;
	struct device_file *user;    /* that has it open, or is opening it; NULL: nobody. Its release takes the lock */
	pthread_cond_t user_changed; /* user is NULL, or has opened the device */

	/* Guarded by lock. */
	bool low_power; /* the driver has said that it may sleep */
	struct ioeventfds *ioeventfds;

	/* Guarded by mm_pasids.lock. */
	struct bonds *bonds; /* of the container that it is open in; NULL: it is not open through its group */
	bool bonded;         /* it has them all */

	/* Guarded by model_lock, which is held around each callback. */
	pthread_mutex_t model_lock;
	struct dma dma;                           /* of whoever is in a callback */
	struct pci_config config;                 /* the command register may be read without the lock: pci_command() */
	uint8_t *memory[IOMMUSE_BARS];            /* of the BAR's areas, at the BAR's offsets; NULL: closed, or none */
	struct file_region *region[IOMMUSE_BARS]; /* that it is in, with a reference */

	struct irqs irqs;
};

static inline void vfio_device_kick(struct vfio_device *device)
{
	if (device->hooks && device->hooks->kick)
		device->hooks->kick(device);
}

/* The devices of a system. They are all added before the first is opened. */
struct vfio {
	struct iommufd_config *config; /* events, serials of files */
	struct vfio_group *groups;     /* ascending */
	struct vfio_device *devices;   /* in the order they were added */
	unsigned device_count;
	struct pci_window window; /* addresses of their BARs */
	struct ioasid_space *ioasids;
	struct ioasid_users *ioasid_users; /* NULL: without /dev/ioasid */
	struct mm_pasids *mm_pasids;       /* bond.h */
};

void vfio_init(struct vfio *vfio, struct iommufd_config *config);
/* All files must have been put. Devices have been removed by who added them. */
void vfio_fini(struct vfio *vfio);

/*
 * Adds a device that its caller owns: model, hooks, owner, base, name, segment, bus and devfn are set. group:
 * UINT32_MAX: one of its own, the lowest free from 1. The model's create() comes after. Returns 0; -EEXIST: the address
 * is taken; -ENOMEM.
 */
int vfio_add_device(struct vfio *vfio, struct vfio_device *device, uint32_t group);
/* After destroy() of the model. */
void vfio_remove_device(struct vfio *vfio, struct vfio_device *device);

struct vfio_group *vfio_find_group(struct vfio *vfio, uint32_t id);
struct vfio_device *vfio_find_device(struct vfio *vfio, const char *name);

/* Has PASIDs given back: waits for a while for those that are just closing devices, once for each, and takes them from
 * processes that have ended. Without locks. */
void vfio_settle(struct vfio *vfio);

/* Opens /dev/vfio/ID: -EBUSY: it is open, or a device of it is bound through a file of its own; -ENOMEM. */
int vfio_group_open(struct vfio *vfio, struct vfio_group *group, struct file **file);

/* Opens /dev/vfio/devices/vfioN: -ENOMEM. */
int vfio_cdev_open(struct vfio *vfio, struct vfio_device *device, struct file **file);

/* Which process has it open, or is about to, or had it open when others got the descriptor; 0: that is not known yet.
 * Does not wait for anybody. Returns false: nobody has. */
bool vfio_device_opener(struct vfio_device *device, pid_t *opener, bool *from_group);

/* Brings what configuration space says of interrupts up to date, before it is looked at. With model_lock held. */
void vfio_device_refresh_config(struct vfio_device *device);

/* PCI_COMMAND as it is now. From any thread. */
static inline uint16_t vfio_device_command(const struct vfio_device *device)
{
	return atomic_load_explicit(&device->config.command, memory_order_relaxed);
}

#endif
