/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An open file of a device: got from a group, or /dev/vfio/devices/vfioN. What the commands of a PCI device need, which
 * are in pci_*.c and irq.c; group.c and cdev.c make the file and bind it.
 */
#ifndef IOMMUSE_VFIO_DEVICE_FILE_H
#define IOMMUSE_VFIO_DEVICE_FILE_H

#include "base/range_map.h"
#include "client/client.h"
#include "client/file.h"
#include "vfio/device.h"

struct device_file {
	struct file file;
	struct vfio_device *device;
	bool from_group;        /* opened through it; its ctx is the container */
	_Atomic bool bound;     /* may be used: set once */
	_Atomic bool opening;   /* it is not yet decided whether it opens the device */
	struct ctx *ctx;        /* that it is bound to, with a reference to its file */
	struct device *iommufd; /* the object in it */
	_Atomic bool closed;    /* the last descriptor is gone: nobody else gets one */
	bool awaited;           /* in vain, by vfio_settle(); guarded by device.user_lock */
	struct range_map held;  /* PASIDs of /dev/ioasid that are attached; guarded by device.lock */
	_Atomic pid_t opener;   /* the process that opened the device by it; 0: not yet */
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
 * user.c. Who is just opening or closing a device is waited for, so that a client who closes and goes on finds it
 * closed; but for a while only, as their client can make it last. All without locks.
 */

/* Waits like that for those that are closing devices of a group. */
void group_settle(struct vfio *vfio, const struct vfio_group *group);
/* Stores the file that has the device, with a reference; NULL: none. Returns 0; -EBUSY: the wait was too long. */
int device_user_get(struct vfio_device *device, struct device_file **user);
/* Takes the device for a file that is to open it. Returns 0; -EEXIST: another one has it; -EBUSY. */
int device_take(struct device_file *file);
bool device_is_taken(struct device_file *file);
/* The file has opened it, and has a descriptor or is about to be closed. */
void device_opened(struct device_file *file);
/* It is not open, or not any more. */
void device_give_back(struct device_file *file);

/*
 * Opens what was taken, or gives it back: binds it to an iommufd, of whose file the file gets a reference, attaches it
 * to the compat IOAS where it is from a group, and starts it. Returns 0; what device_bind() and device_attach() say;
 * -ENODEV: no compat IOAS; -ENOMEM, -ENFILE, -EAGAIN. The release of the file undoes it.
 */
int device_file_open(struct device_file *file, struct ctx *ctx, struct client *client);
/* Undoes it, but that it is taken. Returns the iommufd, of whose file the reference is the caller's. */
struct ctx *device_file_shut(struct device_file *file);

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

/* cdev.c: gives back the PASIDs that were attached and are not any more. With device.lock held. */
void cdev_release_pasids(struct device_file *file);

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
