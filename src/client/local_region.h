/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of our files that this process can map: client_ops->region_new() for it. */
#ifndef IOMMUSE_CLIENT_LOCAL_REGION_H
#define IOMMUSE_CLIENT_LOCAL_REGION_H

#include <stdint.h>

struct client;
struct file;
struct file_region;

int local_region_new(struct client *client, struct file *file, uint64_t offset, uint64_t length,
		     struct file_region **region);

#endif
