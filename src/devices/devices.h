/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices of a system: models, made into devices by what a user says: "ioat,addr=0000:04:00.0,group=7". */
#ifndef IOMMUSE_DEVICES_DEVICES_H
#define IOMMUSE_DEVICES_DEVICES_H

#include <stddef.h>

struct iommuse_model;
struct vfio;

/* The models that are built in, ended by NULL. */
const struct iommuse_model *const *devices_models(void);

/*
 * Adds a device. text: MODEL[,key=value...]; MODEL is the name of one that is built in, or the path of a shared object,
 * with a slash in it. Keys of every model: addr (default: 0000:01:00.0, 0000:02:00.0, ... the first that is free) and
 * group (default: its own). Returns 0, or -errno with why it is not, a line for people, in why: -EINVAL, -EEXIST,
 * -ENOMEM, -ENOENT: no such model, or what the model's create() says.
 */
int devices_add(struct vfio *vfio, const char *text, char *why, size_t room);

/* Removes them all. No file of them is open. */
void devices_remove(struct vfio *vfio);

#endif
