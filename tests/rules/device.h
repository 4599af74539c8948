/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups and devices for cases. There are four: 0000:01:00.0 (vfio0) and 0000:01:00.1 (vfio1) of group 1, 0000:01:01.0
 * (vfio2) of group 2 on the same bus, and 0000:02:00.0 (vfio3) of group 3. The case's own file is the iommufd.
 */
#ifndef IOMMUSE_TESTS_RULES_DEVICE_H
#define IOMMUSE_TESTS_RULES_DEVICE_H

#include "calls.h"

#define DEVICE_0 "0000:01:00.0"
#define DEVICE_1 "0000:01:00.1"
#define DEVICE_3 "0000:02:00.0"

extern const char *const rules_devices[];

/* A descriptor that is open nowhere. */
#define NO_FD 1000000

int group_open(struct rules *t, unsigned id);
int cdev_open(struct rules *t, unsigned number);
int call_on(struct rules *t, int fd, unsigned long cmd, void *arg);
/* Closes a descriptor of the system's; a failure is the case's. */
void device_close(struct rules *t, int fd);

/* The flags, or -errno. */
int group_status(struct rules *t, int group);
int set_container(struct rules *t, int group, int container);
int get_device_fd(struct rules *t, int group, const char *name);
/* A group with the case's file as its container. */
int group_new(struct rules *t, unsigned id);

/* Binds to the case's file; id may be NULL. */
int bind_cdev(struct rules *t, int cdev, uint32_t *id);
int bind_cdev_to(struct rules *t, int cdev, int iommufd, uint32_t *id);
/* A file of a device of its own, bound to the case's file. */
int cdev_new(struct rules *t, unsigned number, uint32_t *id);
/* pasid 0: none. */
int attach_cdev(struct rules *t, int cdev, uint32_t pasid, uint32_t *pt);
int detach_cdev(struct rules *t, int cdev, uint32_t pasid);

/* IOVAs that no device can use. */
#define INTERRUPTS UINT64_C(0xfee00000)

int map_interrupts(struct rules *t, uint32_t ioas);
/* Is a device attached to the IOAS? */
bool is_attached(struct rules *t, uint32_t ioas);

#endif
