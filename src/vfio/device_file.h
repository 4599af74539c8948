/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open file of a device: got from a group, or /dev/vfio/devices/vfioN. What the commands of a PCI device need, which
 * are in pci_*.c and irq.c; group.c and cdev.c make the file and bind it.
 */
#ifndef IOMMUSE_VFIO_DEVICE_FILE_H
#define IOMMUSE_VFIO_DEVICE_FILE_H

#include "client/client.h"
#include "client/file.h"
#include "vfio/device.h"

struct device_file {
	struct file file;
	struct vfio_device *device;
	bool from_group;        /* opened through it; its ctx is the container */
	_Atomic bool bound;     /* may be used: set once, under device.lock */
	struct ctx *ctx;        /* that it is bound to, with a reference to its file */
	struct device *iommufd; /* the object in it */
	_Atomic bool closed;    /* the last descriptor is gone: nobody else gets one */
};

static inline struct device_file *device_file_of(struct file *file)
{
	return (struct device_file *)file;
}

/* /dev/vfio/ID, opened. Nothing but its group's opener may do anything with the group. */
struct group_file {
	struct file file;
	struct vfio *vfio;
	struct vfio_group *group;
	_Atomic bool closed; /* the last descriptor is gone: the group can be opened again */
};

/* With group.lock held. */
static inline bool group_is_open(const struct vfio_group *group)
{
	return group->opener && !atomic_load(&group->opener->closed);
}

/* A file for a device; nobody has it open by that. Returns NULL: no memory. */
struct device_file *device_file_new(struct vfio_device *device, bool from_group);

/*
 * Waits until who has just closed the device's file has given the device back, so that a client who closes and goes on
 * finds it closed; for a while only, as a call that its client delays keeps the file. With device.lock held, which is
 * dropped meanwhile.
 */
void device_settle(struct vfio_device *device);
/* The same for all devices of a group, without locks. */
void group_settle(struct vfio *vfio, const struct vfio_group *group);

/*
 * Binds to an iommufd, of whose file the file of the device gets a reference; attaches to the compat IOAS where it is
 * from a group; and starts the device. With device.lock held, device.user NULL. Returns 0, what device_bind() and
 * device_attach() say, -ENODEV: no compat IOAS; -ENOMEM, -ENFILE. The release of the file undoes it.
 */
int device_file_open(struct device_file *file, struct ctx *ctx, struct client *client);
/* Undoes it, with device.lock held; the reference to the iommufd stays. */
void device_file_shut(struct device_file *file);

/* The operations of device files, for client/file.h; group files compare with them to know theirs. */
extern const struct file_ops device_file_ops;
extern const struct file_ops group_file_ops;

/* A command of a device: arg is where its structure is, or the value itself. Returns 0 or more, or -errno. Called
 * without locks, the file bound. */
typedef int device_command(struct device_file *file, struct client *client, uaddr_t arg);

device_command device_get_info, device_get_region_info, device_reset, device_get_pci_hot_reset_info,
	device_pci_hot_reset, device_ioeventfd, device_feature; /* pci_*.c, feature.c */
device_command device_get_irq_info, device_set_irqs;            /* irq.c */
device_command cdev_bind, cdev_attach, cdev_detach;             /* cdev.c; cdev_bind of a file that is not bound */

/* pci_region.c: read, write and mmap of a bound file. */
ssize_t device_read(struct device_file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos);
ssize_t device_write(struct device_file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos);
int device_mmap(struct device_file *file, struct client *client, uint64_t length, int prot, int flags, uint64_t offset,
		struct file_region **region);

/*
 * pci.c: the device comes to life for a file: memory for the areas, interrupts disabled, configuration space and model
 * reset. With device.lock held. Returns 0, -ENOMEM, -ENFILE, -EAGAIN: no thread. Closing takes all of it back, and
 * resets the model; the device is still attached then, and detached after it.
 */
int device_start(struct device_file *file, struct client *client);
void device_stop(struct vfio_device *device);

/* pci_ioeventfd.c: no eventfd writes a register any more. With device.lock held, model_lock not. */
void device_forget_ioeventfds(struct vfio_device *device);

/* pci.c: as VFIO_DEVICE_RESET does, with device.lock held. */
void device_reset_now(struct vfio_device *device);

#endif
