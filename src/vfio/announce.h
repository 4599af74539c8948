/* SPDX-License-Identifier: BSD-3-Clause */
/* What groups and devices say of themselves. All are to be called where event_wanted(), without locks. */
#ifndef IOMMUSE_VFIO_ANNOUNCE_H
#define IOMMUSE_VFIO_ANNOUNCE_H

#include "client/client.h"

struct event_stream;
struct file;

/* A command ended. What it shows of the structure is read from the client once more. */
void vfio_announce_call(struct event_stream *events, const struct file *file, struct client *client, unsigned cmd,
			uint64_t arg, long result);

/* A file came to be that no node was opened for: VFIO_GROUP_GET_DEVICE_FD. name: "0000:01:00.0" */
void vfio_announce_device(struct event_stream *events, const struct file *file, const struct client *client, int fd,
			  const char *name);

#endif
