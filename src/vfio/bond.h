/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bonds: address spaces of processes that are bound to a container (VFIO_IOMMU_BIND, as proposed for Linux in 2018).
 * Each is one PASID on all devices that are open through groups of the container, those that are opened later too. The
 * PASID is the address space's own: it is the same in all containers of the system.
 *
 * A bond ends by UNBIND, with its address space, or with the last group and device of the container. Its PASID is
 * nobody else's before every device has let go of it.
 */
#ifndef IOMMUSE_VFIO_BOND_H
#define IOMMUSE_VFIO_BOND_H

#include "iommufd/ctx.h"
#include "vfio/device.h"

/* The PASIDs of address spaces of a system. Returns 0 or -ENOMEM. All containers must have gone before they are freed;
 * NULL is none. */
int mm_pasids_new(struct ioasid_space *ioasids, struct mm_pasids **pasids);
void mm_pasids_free(struct mm_pasids *all);

/* The commands: entries of vfio_compat. */
int vfio_iommu_bind(struct ucmd *ucmd);
int vfio_iommu_unbind(struct ucmd *ucmd);

/* VFIO_SET_IOMMU was done. Returns 0 or -ENOMEM. */
int bonds_set_iommu(struct ctx *ctx);

/*
 * A group joins a container, or leaves it. Devices of it that are open in the container get all bonds. Where it leaves
 * they lose them; left NULL: just its file was closed, and they keep them. Returns 0, or -ENODEV: there are bonds, and
 * a device of the group cannot share addresses; -EOVERFLOW: or cannot use a PASID that high; -ENOMEM. With group.lock
 * held; what is left is to be ended without.
 */
int bonds_add_group(struct ctx *ctx, struct vfio_group *group, struct leftovers *left);
void bonds_remove_group(struct ctx *ctx, struct vfio_group *group, struct leftovers *left);

/* A device is opened through a group of the container, and attached: gets all bonds, or none and -errno. And it is
 * closed: loses them; when this returns none of its DMA uses them. */
int bonds_add_device(struct ctx *ctx, struct vfio_device *device);
void bonds_remove_device(struct ctx *ctx, struct vfio_device *device);

/* What is told of a bond. */
struct bond_usage {
	uint64_t container; /* the serial of its file */
	uint32_t group;     /* the first of its groups */
	uint32_t pasid;
	pid_t pid; /* of the process, in the pid namespace of this one */
};

/* Stores at most room of them, those of a container together, and returns how many there are. */
size_t bonds_usages(const struct vfio *vfio, struct bond_usage *usage, size_t room);

/* iommufd_compat.release */
void bonds_release(struct ctx *ctx);

#endif
