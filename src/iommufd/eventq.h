/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues that clients read events from: page faults of devices, events of virtual IOMMUs.
 *
 * A queue is an object and a file: the object has one user for the file while that is open, and the file pins the
 * iommufd, so the object is always there for it. The object outlives the file.
 */
#ifndef IOMMUSE_IOMMUFD_EVENTQ_H
#define IOMMUSE_IOMMUFD_EVENTQ_H

#include "hwpt/fault.h"
#include "iommufd/object.h"

#include <sys/types.h>

struct client;
struct fault;
struct file;
struct file_ops;
struct hwpt;
struct ucmd;
struct viommu;

/* What the queues have in common. */
struct eventq {
	struct object object;
	pthread_mutex_t lock; /* guards the file, and what is queued */
	struct file *file;    /* NULL: it is closed, or not yet open */
};

struct eventq_file;

void eventq_init(struct eventq *queue);
void eventq_fini(struct eventq *queue);

/*
 * Gives the client a descriptor of the queue, writes its number to *fd, a part of the command, and responds. Returns 0,
 * -ENOMEM, -EMFILE, -ENFILE, -EFAULT.
 */
int eventq_open(struct eventq *queue, struct ucmd *ucmd, const struct file_ops *ops, uint32_t *fd);

/* The queue behind a file that eventq_open() made. */
struct eventq *eventq_of(struct file *file);

/* For struct file_ops of a queue. */
void eventq_file_release(struct file *file);

/*
 * Tells who listens of a read or a write (type: EVENT_READ, EVENT_WRITE) and its first record; NULL: there is none, or
 * it is not known.
 */
void eventq_announce(struct file *file, const struct client *client, unsigned type, ssize_t result, const void *record,
		     size_t size);

/* The file, with a reference, or NULL if it is not open; with the lock held. For file_poll_changed() without it. */
struct file *eventq_file_get(struct eventq *queue);

/* Tells who polls the file of a queue; file: from eventq_file_get(), consumed. */
void eventq_changed(struct file *file);

/* The fault queue with one more user, or NULL. */
struct fault *fault_get(struct ctx *ctx, uint32_t id);
void fault_put(struct fault *fault);

/* Queues a group of a domain whose owner is a struct hwpt; for struct domain's fault. */
struct file *fault_queue_group(struct domain *domain, struct fault_group *group);

/*
 * Answers INVALID to the groups of a page table, queued or delivered: all of them (device NULL), as it is destroyed, or
 * those that came by one attachment, of a device (NO_PASID) or of a PASID of it, when that is gone. When it returned
 * nobody uses the device for a group of these. Returns what is to go to eventq_changed(), without locks.
 */
struct file *fault_flush(struct fault *fault, struct hwpt *hwpt, struct iommu_device *device, uint32_t pasid);

/*
 * Queues an event of a virtual IOMMU, by a caller that keeps the iommufd. Never blocks. Returns 0, also where it was
 * lost; -EOPNOTSUPP: no queue of the type.
 */
int viommu_report_event(struct viommu *viommu, uint32_t type, const void *data, size_t length);

#endif
