/* SPDX-License-Identifier: BSD-3-Clause */
/* Which nodes a system has: three that are always there, and those of its devices. */
#ifndef IOMMUSE_SYSTEM_NODES_H
#define IOMMUSE_SYSTEM_NODES_H

struct node;
struct vfio;

/* Makes the list, ended by a node without a path. Returns it, or NULL: no memory. Freed with nodes_free(). */
struct node *nodes_new(const struct vfio *vfio);
void nodes_free(struct node *nodes);

#endif
