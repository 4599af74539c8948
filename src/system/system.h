/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A system: the nodes that exist, what they are opened with, and what all files of it share. Behind it the
 * character devices; before it either the library (library.c) or the supervisor.
 */
#ifndef IOMMUSE_SYSTEM_SYSTEM_H
#define IOMMUSE_SYSTEM_SYSTEM_H

#include "client/account.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct event_stream;
struct file;
struct ioasid_space;
struct ioasid_users;
struct system;
struct vfio;

struct system_config {
	bool selftest;
	enum memlock_policy memlock;
	struct event_stream *events; /* may be NULL; must outlive the system */
	/* What devices_add() takes, ended by NULL; may be NULL. */
	const char *const *devices;
	unsigned pasid_bits;  /* 0: IOASID_BITS_DEFAULT */
	uint64_t pasid_quota; /* of each process; 0 or UINT64_MAX: none */
	/* "PATH=N": how many PASIDs a cgroup and all below it may have; ended by NULL; may be NULL. */
	const char *const *cgroup_quotas;
	/* Gets a line that says what cannot be had and why: a device, a quota; empty where something else failed. May
	 * be NULL. */
	char *why;
	size_t why_size;
};

/* Returns 0, -ENOMEM, or why a device could not be added. */
int system_new(const struct system_config *config, struct system **system);

/* All files must have been put, and all address spaces with an account of its. */
void system_free(struct system *system);

/* Locked memory, counted for all address spaces of the system's clients. */
struct accounts *system_accounts(struct system *system);

/* The devices behind VFIO. */
struct vfio *system_vfio(struct system *system);

/* PASIDs, and who has /dev/ioasid open. */
struct ioasid_space *system_ioasids(struct system *system);
struct ioasid_users *system_ioasid_users(struct system *system);

enum node_kind {
	NODE_IOMMU,
	NODE_CONTAINER,
	NODE_IOASID,
	NODE_GROUP,
	NODE_CDEV,
};

/* A node, as a program sees it below "/". Nodes do not change while a system lives. */
struct node {
	const char *path; /* "/dev/iommu" */
	unsigned mode;    /* permission bits */
	unsigned major, minor;
	enum node_kind kind;
	void *what; /* its vfio_group or vfio_device; NULL: it has none */
};

/* The nodes of a system, ended by one without a path. */
const struct node *system_nodes(const struct system *system);

/* Opens a node by its exact path. Returns 0 and a file with one reference, or -errno: -ENOENT no such node, -ENOMEM,
 * and for a group what vfio_group_open() says. */
int system_open(struct system *system, struct client *client, const char *path, int flags, struct file **file);

/* The last descriptor of the file has gone: announces it and drops the descriptors' reference. */
void system_closed(struct system *system, struct file *file);

#endif
