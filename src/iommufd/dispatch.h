/* SPDX-License-Identifier: BSD-3-Clause */
/* The way of an ioctl to its handler. */
#ifndef IOMMUSE_IOMMUFD_DISPATCH_H
#define IOMMUSE_IOMMUFD_DISPATCH_H

#include "base/types.h"

#include <stdint.h>

struct client;
struct file;
struct ucmd;

long iommufd_ioctl(struct file *file, struct client *client, unsigned cmd, uint64_t arg);

/* Is the rest of a client's structure that is longer than ours zero? Returns 0, -E2BIG, or -EFAULT, whichever is met
 * first. */
int iommufd_check_zero(struct client *client, uaddr_t at, uint64_t n);

/* The handlers, by the file that has them. */

/* ioas.c */
int iommufd_ioas_alloc(struct ucmd *ucmd);
int iommufd_ioas_allow_iovas(struct ucmd *ucmd);
int iommufd_ioas_copy(struct ucmd *ucmd);
int iommufd_ioas_iova_ranges(struct ucmd *ucmd);
int iommufd_ioas_map(struct ucmd *ucmd);
int iommufd_ioas_map_file(struct ucmd *ucmd);
int iommufd_ioas_unmap(struct ucmd *ucmd);

/* process.c */
int iommufd_ioas_change_process(struct ucmd *ucmd);

/* option.c */
int iommufd_option(struct ucmd *ucmd);

/* vfio_ioas.c */
int iommufd_vfio_ioas(struct ucmd *ucmd);

/* hwpt.c */
int iommufd_hwpt_alloc(struct ucmd *ucmd);
int iommufd_hwpt_set_dirty_tracking(struct ucmd *ucmd);
int iommufd_hwpt_get_dirty_bitmap(struct ucmd *ucmd);
int iommufd_hwpt_invalidate(struct ucmd *ucmd);

/* device.c */
int iommufd_get_hw_info(struct ucmd *ucmd);

/* viommu.c */
int iommufd_viommu_alloc(struct ucmd *ucmd);

/* vdevice.c */
int iommufd_vdevice_alloc(struct ucmd *ucmd);

/* hw_queue.c */
int iommufd_hw_queue_alloc(struct ucmd *ucmd);

/* fault.c */
int iommufd_fault_alloc(struct ucmd *ucmd);

/* veventq.c */
int iommufd_veventq_alloc(struct ucmd *ucmd);

/* test.c */
int iommufd_test(struct ucmd *ucmd);

#endif
