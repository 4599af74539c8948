/* SPDX-License-Identifier: BSD-3-Clause */
/* Files below /sys that say what a device is now: its configuration space. */
#ifndef IOMMUSE_SUPERVISOR_SYSFS_LIVE_H
#define IOMMUSE_SUPERVISOR_SYSFS_LIVE_H

struct sysfs_live;
struct vfio;

/* root: the path below which /sys is that programs see. Returns 0, or -errno: -ENOMEM, and why a file cannot be opened.
 */
int sysfs_live_new(struct vfio *vfio, const char *root, struct sysfs_live **out);

/* Writes into the files what is so now. A device that keeps others waiting for long is left as it was. live may be
 * NULL. */
void sysfs_live_refresh(struct sysfs_live *live);

#endif
