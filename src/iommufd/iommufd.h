/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The iommufd character device: what a system needs to open it, and how floors above add commands to it.
 */
#ifndef IOMMUSE_IOMMUFD_IOMMUFD_H
#define IOMMUSE_IOMMUFD_IOMMUFD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct event_stream;
struct file;
struct ioctl_entry;
struct selftest;
struct vfio;

/* Commands of the same file that are not iommufd's own; found by their whole number. */
struct iommufd_compat {
	const struct ioctl_entry *commands;
	size_t count;
	/* The last reference to an iommufd is gone: no call and no device uses it any more. May be NULL. */
	void (*release)(struct ctx *ctx);
};

/* What all iommufds of a system share; must outlive them. */
struct iommufd_config {
	bool selftest;
	struct event_stream *events;         /* may be NULL */
	struct selftest *selftest_state;     /* the test device's, shared by all; NULL without it */
	_Atomic uint64_t file_serial;        /* the last that was given */
	const struct iommufd_compat *compat; /* may be NULL */
	struct vfio *vfio;                   /* the floor above's; may be NULL */
};

/* mm_accounting: the rlimit mode to begin with, as opened by way of /dev/vfio/vfio. Returns 0 and a file with one
 * reference, or -ENOMEM. */
int iommufd_open(struct iommufd_config *config, bool mm_accounting, struct file **file);

/* The state of a system's test device. Returns 0, or -ENOMEM. All iommufds must have gone before it is freed; it may be
 * NULL then. */
int selftest_new(struct selftest **out);
void selftest_free(struct selftest *selftest);

/* "IOAS_MAP", or NULL for a number that iommufd itself does not have. */
const char *iommufd_command_name(unsigned cmd);

#endif
