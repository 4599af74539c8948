/* SPDX-License-Identifier: BSD-3-Clause */
/* What kind of file system a mapped file lies on: the answers of a /proc/PID/mountinfo, kept. */
#ifndef IOMMUSE_CLIENT_MOUNTS_H
#define IOMMUSE_CLIENT_MOUNTS_H

#include <pthread.h>
#include <sys/types.h>

enum mount_kind {
	MOUNT_NONE,   /* mounted nowhere: the kernel's own, such as memfds and shared anonymous memory */
	MOUNT_MEMORY, /* tmpfs, hugetlbfs */
	MOUNT_DISK,   /* any other, whose pages are written back */
	MOUNT_DAX,    /* files are the memory of the device itself */
};

#define MOUNTS_KEPT 8

struct mounts {
	pthread_mutex_t lock; /* guards what follows; a leaf */
	pid_t pid;            /* whose; 0: this process's */
	unsigned count, next;
	struct {
		dev_t dev;
		enum mount_kind kind;
	} kept[MOUNTS_KEPT];
};

void mounts_init(struct mounts *mounts, pid_t pid);
void mounts_fini(struct mounts *mounts);

enum mount_kind mounts_kind(struct mounts *mounts, dev_t dev);

#endif
