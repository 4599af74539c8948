/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of our files that clients can map: the operation of client/client.h for it. */
#ifndef IOMMUSE_SUPERVISOR_REGION_H
#define IOMMUSE_SUPERVISOR_REGION_H

#include "supervisor/supervisor.h"

int remote_region_new(struct client *client, struct file *file, uint64_t offset, uint64_t length,
		      struct file_region **region);

#endif
