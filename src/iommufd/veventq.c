/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queues of a virtual IOMMU's events, one for each type.
 *
 * An event that finds the queue full is lost: its number is taken, and a header without an event, which has the number
 * of the last that was lost, stands at the end of the queue. It goes when an event is queued behind it, as the reader
 * sees by the numbers then that some are missing.
 */
#include "abi/iommufd.h"
#include "base/event.h"
#include "client/file.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/eventq.h"
#include "iommufd/viommu.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#define EVENTS_MAX (UINT32_C(1) << 19)

struct vevent {
	struct vevent *next;
	size_t size;                         /* of the header and what follows it */
	struct iommufd_vevent_header header; /* the payload follows */
	unsigned char payload[];
};

#define HEADER_SIZE sizeof(struct iommufd_vevent_header)

struct veventq {
	struct eventq queue;
	struct viommu *viommu; /* holds a user of it */
	struct veventq *next;  /* in the vIOMMU */
	uint32_t type;
	uint32_t depth;

	uint32_t count;    /* events that are queued, or being read */
	uint32_t sequence; /* of the next event */
	struct vevent *first, **end;
	bool lost; /* a header for lost events is behind the last one */
	struct iommufd_vevent_header lost_header;
};

static struct veventq *veventq_of(struct file *file)
{
	return (struct veventq *)eventq_of(file);
}

/* With the vIOMMU's veventqs_lock held. */
static struct veventq *find(struct viommu *viommu, uint32_t type)
{
	struct veventq *veventq = viommu->veventqs;

	while (veventq && veventq->type != type)
		veventq = veventq->next;
	return veventq;
}

static struct vevent *vevent_new(const void *data, size_t length)
{
	struct vevent *vevent = malloc(sizeof(*vevent) + length);

	if (!vevent)
		return NULL;
	vevent->next = NULL;
	vevent->size = HEADER_SIZE + length;
	vevent->header.flags = 0;
	if (length)
		memcpy(vevent->payload, data, length);
	return vevent;
}

/* vevent NULL: it is lost. With the lock held. */
static void add(struct veventq *veventq, struct vevent *vevent)
{
	struct iommufd_vevent_header *header = vevent ? &vevent->header : &veventq->lost_header;

	header->sequence = veventq->sequence;
	veventq->sequence = (veventq->sequence + 1) & INT_MAX;
	veventq->lost = !vevent;
	if (!vevent)
		return;
	*veventq->end = vevent;
	veventq->end = &vevent->next;
	veventq->count++;
}

int viommu_report_event(struct viommu *viommu, uint32_t type, const void *data, size_t length)
{
	struct file *changed = NULL;
	struct veventq *veventq;

	pthread_mutex_lock(&viommu->veventqs_lock);
	veventq = find(viommu, type);
	if (veventq) {
		pthread_mutex_lock(&veventq->queue.lock);
		add(veventq, veventq->count < veventq->depth ? vevent_new(data, length) : NULL);
		changed = eventq_file_get(&veventq->queue);
		pthread_mutex_unlock(&veventq->queue.lock);
	}
	pthread_mutex_unlock(&viommu->veventqs_lock);
	eventq_changed(changed);
	return veventq ? 0 : -EOPNOTSUPP;
}

/*
 * Takes what is first off the queue, to be copied into room bytes: an event, or the header for lost ones (*vevent
 * NULL), in *lost. Returns its size, 0: there is none, or -EINVAL: it does not fit.
 */
static ssize_t read_begin(struct veventq *veventq, size_t room, struct vevent **vevent,
			  struct iommufd_vevent_header *lost)
{
	size_t size = 0;

	pthread_mutex_lock(&veventq->queue.lock);
	*vevent = veventq->first;
	*lost = veventq->lost_header;
	if (*vevent)
		size = (*vevent)->size;
	else if (veventq->lost)
		size = HEADER_SIZE;
	if (size && size <= room) {
		if (*vevent) {
			veventq->first = (*vevent)->next;
			if (!veventq->first)
				veventq->end = &veventq->first;
		} else {
			veventq->lost = false;
		}
	}
	pthread_mutex_unlock(&veventq->queue.lock);
	return size <= room ? (ssize_t)size : -EINVAL;
}

/* What could not be copied is first again; but a header for lost events only where nothing came meanwhile. */
static void read_end(struct veventq *veventq, struct vevent *vevent, const struct iommufd_vevent_header *lost,
		     bool copied)
{
	pthread_mutex_lock(&veventq->queue.lock);
	if (copied && vevent) {
		veventq->count--;
	} else if (!copied && vevent) {
		vevent->next = veventq->first;
		if (!veventq->first)
			veventq->end = &vevent->next;
		veventq->first = vevent;
	} else if (!copied && !veventq->first && !veventq->lost && lost->sequence == veventq->lost_header.sequence) {
		veventq->lost = true;
	}
	pthread_mutex_unlock(&veventq->queue.lock);
	if (copied)
		free(vevent);
}

static ssize_t read_events(struct file *file, struct client *client, uaddr_t buf, size_t count,
			   struct iommufd_vevent_header *first)
{
	struct veventq *veventq = veventq_of(file);
	struct iommufd_vevent_header lost;
	struct vevent *vevent;
	size_t done = 0;
	bool changed = false;
	ssize_t size;

	if (count < HEADER_SIZE)
		return -EINVAL;
	while ((size = read_begin(veventq, count - done, &vevent, &lost)) > 0) {
		const struct iommufd_vevent_header *header = vevent ? &vevent->header : &lost;
		int rc = client_copy_out(client, uaddr_add(buf, done), header, (size_t)size);

		changed = true;
		if (!done)
			*first = *header;
		read_end(veventq, vevent, &lost, rc == 0);
		if (rc) {
			size = rc;
			break;
		}
		done += (size_t)size;
	}
	if (changed)
		file_poll_changed(file);
	return done ? (ssize_t)done : size;
}

static ssize_t veventq_read(struct file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	struct iommufd_vevent_header first;
	ssize_t rc = pos ? -ESPIPE : read_events(file, client, buf, count, &first);

	eventq_announce(file, client, EVENT_READ, rc, rc > 0 ? &first : NULL, sizeof(first));
	return rc;
}

static unsigned veventq_poll(struct file *file)
{
	struct veventq *veventq = veventq_of(file);
	unsigned events;

	pthread_mutex_lock(&veventq->queue.lock);
	events = veventq->first || veventq->lost ? POLLIN | POLLRDNORM : 0;
	pthread_mutex_unlock(&veventq->queue.lock);
	return events;
}

static const struct file_ops veventq_file_ops = {
	.name = "anon_inode:[iommufd-viommu-event]",
	.event_queue = true,
	.read = veventq_read,
	.poll = veventq_poll,
	.release = eventq_file_release,
};

static void veventq_free(struct veventq *veventq)
{
	struct vevent *next;

	for (struct vevent *vevent = veventq->first; vevent; vevent = next) {
		next = vevent->next;
		free(vevent);
	}
	eventq_fini(&veventq->queue);
	free(veventq);
}

static void veventq_destroy(struct object *object)
{
	struct veventq *veventq = (struct veventq *)object;
	struct viommu *viommu = veventq->viommu;
	struct veventq **link = &viommu->veventqs;

	pthread_mutex_lock(&viommu->veventqs_lock);
	while (*link != veventq)
		link = &(*link)->next;
	*link = veventq->next;
	pthread_mutex_unlock(&viommu->veventqs_lock);
	veventq_free(veventq);
	object_put(&viommu->object);
}

static const struct object_ops veventq_ops = {.type = OBJECT_VEVENTQ, .destroy = veventq_destroy};

/* Returns a queue that consumes a user of the vIOMMU with ucmd->created, or -errno and consumes nothing. */
static int veventq_new(struct ucmd *ucmd, struct viommu *viommu, uint32_t type, uint32_t depth, struct veventq **made)
{
	struct veventq *veventq = calloc(1, sizeof(*veventq));
	int rc;

	if (!veventq)
		return -ENOMEM;
	eventq_init(&veventq->queue);
	veventq->viommu = viommu;
	veventq->type = type;
	veventq->depth = depth;
	veventq->end = &veventq->first;
	veventq->lost_header.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	pthread_mutex_lock(&viommu->veventqs_lock);
	rc = find(viommu, type) ? -EEXIST : object_reserve(ucmd, &veventq->queue.object, &veventq_ops);
	if (!rc) {
		veventq->next = viommu->veventqs;
		viommu->veventqs = veventq;
	}
	pthread_mutex_unlock(&viommu->veventqs_lock);
	if (rc)
		veventq_free(veventq);
	else
		*made = veventq;
	return rc;
}

int iommufd_veventq_alloc(struct ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = (void *)ucmd->cmd;
	struct viommu *viommu;
	struct veventq *veventq;
	int rc;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > EVENTS_MAX)
		return -EINVAL;
	viommu = viommu_get(ucmd->ctx, cmd->viommu_id);
	if (!viommu)
		return -ENOENT;
	rc = veventq_new(ucmd, viommu, cmd->type, cmd->veventq_depth, &veventq);
	if (rc) {
		object_put(&viommu->object);
		return rc;
	}
	cmd->out_veventq_id = veventq->queue.object.id;
	return eventq_open(&veventq->queue, ucmd, &veventq_file_ops, &cmd->out_veventq_fd);
}
