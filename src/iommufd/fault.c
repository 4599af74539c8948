/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue of page faults that a client answers.
 *
 * A group is queued; a reader takes it off, gives it a cookie and copies it to the client without the lock; then it is
 * delivered, or back at the head if the copy failed. Its answer, or a flush, finds it by its cookie from the beginning
 * of the copy on. Who answers a group that is being read leaves it to the reader, who frees it; so a flush waits for no
 * copy. The device is told the answer under the lock, which is why nobody uses it after a flush.
 */
#include "abi/iommufd.h"
#include "base/event.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/dispatch.h"
#include "iommufd/eventq.h"
#include "iommufd/hwpt.h"

#include <poll.h>
#include <stdlib.h>

/* Faults of a queue that are not answered; a group that would make them more is answered INVALID. */
#define FAULTS_MAX (UINT32_C(1) << 16)

#define RECORD_SIZE sizeof(struct iommu_hwpt_pgfault)

struct group_list {
	struct fault_group *first, **end;
};

struct fault {
	struct eventq queue;
	struct group_list queued;
	struct group_list delivered; /* or being read: those with cookies */
	struct id_table cookies;     /* struct fault_group */
	uint32_t faults;             /* in all of these */
};

static struct fault *fault_of(struct file *file)
{
	return (struct fault *)eventq_of(file);
}

struct fault *fault_get(struct ctx *ctx, uint32_t id)
{
	return (struct fault *)object_get(ctx, id, OBJECT_FAULT);
}

void fault_put(struct fault *fault)
{
	object_put(&fault->queue.object);
}

static void insert(struct group_list *list, struct fault_group **link, struct fault_group *group)
{
	group->next = *link;
	group->link = link;
	*link = group;
	if (group->next)
		group->next->link = &group->next;
	else
		list->end = &group->next;
}

static void take_out(struct group_list *list, struct fault_group *group)
{
	*group->link = group->next;
	if (group->next)
		group->next->link = group->link;
	else
		list->end = group->link;
}

/* Takes the cookie from a group. */
static void forget(struct fault *fault, struct fault_group *group)
{
	id_table_release(&fault->cookies, group->cookie);
	group->cookie = 0;
}

static void free_groups(struct fault_group *group)
{
	struct fault_group *next;

	for (; group; group = next) {
		next = group->next;
		free(group);
	}
}

/* Answers a group that is in no list any more and has no cookie. Returns it if it is to be freed now. */
static struct fault_group *answer(struct fault *fault, struct fault_group *group, uint32_t code)
{
	fault_group_respond(group, code);
	fault->faults -= group->count;
	if (!group->reading)
		return group;
	group->answered = true;
	return NULL;
}

struct file *fault_queue_group(struct domain *domain, struct fault_group *group)
{
	struct fault *fault = ((struct hwpt *)domain->owner)->fault;
	const struct device *device = group->device->owner;
	struct file *changed = NULL;

	pthread_mutex_lock(&fault->queue.lock);
	if (group->count <= FAULTS_MAX - fault->faults) {
		fault->faults += group->count;
		group->device_id = device->object.id;
		insert(&fault->queued, fault->queued.end, group);
		group = NULL;
		changed = eventq_file_get(&fault->queue);
	}
	pthread_mutex_unlock(&fault->queue.lock);
	if (group)
		fault_group_answer(group, IOMMUFD_PAGE_RESP_INVALID);
	return changed;
}

static bool belongs(const struct fault_group *group, const struct domain *domain, const struct iommu_device *device,
		    uint32_t pasid)
{
	return group->domain == domain && (!device || (group->device == device && group->pasid == pasid));
}

struct file *fault_flush(struct fault *fault, struct hwpt *hwpt, struct iommu_device *device, uint32_t pasid)
{
	struct group_list *const lists[] = {&fault->queued, &fault->delivered};
	struct fault_group *answered = NULL;
	struct fault_group *next;
	struct file *changed;

	pthread_mutex_lock(&fault->queue.lock);
	for (unsigned i = 0; i < 2; i++) {
		for (struct fault_group *group = lists[i]->first; group; group = next) {
			next = group->next;
			if (!belongs(group, hwpt->domain, device, pasid))
				continue;
			take_out(lists[i], group);
			if (group->cookie)
				forget(fault, group);
			group = answer(fault, group, IOMMUFD_PAGE_RESP_INVALID);
			if (!group)
				continue;
			group->next = answered;
			answered = group;
		}
	}
	changed = eventq_file_get(&fault->queue);
	pthread_mutex_unlock(&fault->queue.lock);
	free_groups(answered);
	return changed;
}

/*
 * Takes the first group off the queue, with a cookie, to be copied into room bytes. NULL: there is none, *rc 0; or *rc
 * is -EINVAL: it does not fit, or -ENOMEM, -EBUSY: no cookie.
 */
static struct fault_group *read_begin(struct fault *fault, size_t room, uint32_t *cookie, int *rc)
{
	struct fault_group *group;
	struct id_slot *slot;

	*rc = 0;
	pthread_mutex_lock(&fault->queue.lock);
	group = fault->queued.first;
	if (!group)
		goto out_unlock;
	if (group->count * RECORD_SIZE > room)
		*rc = -EINVAL;
	else
		*rc = id_table_reserve(&fault->cookies, 1, group, cookie, &slot);
	if (*rc) {
		group = NULL;
		goto out_unlock;
	}
	id_publish(slot);
	take_out(&fault->queued, group);
	insert(&fault->delivered, &fault->delivered.first, group);
	group->cookie = *cookie;
	group->reading = true;
out_unlock:
	pthread_mutex_unlock(&fault->queue.lock);
	return group;
}

/* A group that was answered meanwhile goes to *answered. */
static void read_end(struct fault *fault, struct fault_group *group, bool copied, struct fault_group **answered)
{
	pthread_mutex_lock(&fault->queue.lock);
	group->reading = false;
	if (group->answered) {
		group->next = *answered;
		*answered = group;
	} else if (!copied) {
		forget(fault, group);
		take_out(&fault->delivered, group);
		insert(&fault->queued, &fault->queued.first, group);
	}
	pthread_mutex_unlock(&fault->queue.lock);
}

static struct iommu_hwpt_pgfault record_of(const struct fault_group *group, uint32_t index, uint32_t cookie)
{
	const struct page_fault *fault = &group->fault[index];

	return (struct iommu_hwpt_pgfault){.flags = fault->flags,
					   .dev_id = group->device_id,
					   .pasid = fault->pasid,
					   .grpid = fault->group,
					   .perm = fault->perm,
					   .addr = fault->address,
					   .cookie = cookie};
}

/* The group is kept by its reader, but has its cookie only until it is answered. */
static int copy_group(struct client *client, uaddr_t to, const struct fault_group *group, uint32_t cookie)
{
	struct iommu_hwpt_pgfault record[16];
	uint32_t n = 0;

	for (uint32_t i = 0; i < group->count; i++) {
		record[n++] = record_of(group, i, cookie);
		if (n < sizeof(record) / sizeof(*record) && i + 1 < group->count)
			continue;
		if (client_copy_out(client, to, record, n * RECORD_SIZE))
			return -EFAULT;
		to = uaddr_add(to, n * RECORD_SIZE);
		n = 0;
	}
	return 0;
}

/* Only whole groups are read. One that is not read, or is back in the queue, does not count. */
static ssize_t read_groups(struct file *file, struct client *client, uaddr_t buf, size_t count,
			   struct iommu_hwpt_pgfault *first)
{
	struct fault *fault = fault_of(file);
	struct fault_group *answered = NULL;
	struct fault_group *group;
	uint32_t cookie = 0;
	bool changed = false;
	size_t done = 0;
	int rc;

	while ((group = read_begin(fault, count - done, &cookie, &rc))) {
		const size_t size = group->count * RECORD_SIZE;

		changed = true;
		if (!done)
			*first = record_of(group, 0, cookie);
		rc = copy_group(client, uaddr_add(buf, done), group, cookie);
		read_end(fault, group, rc == 0, &answered);
		if (rc)
			break;
		done += size;
	}
	free_groups(answered);
	if (changed)
		file_poll_changed(file);
	return done ? (ssize_t)done : rc;
}

static ssize_t fault_read(struct file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	struct iommu_hwpt_pgfault first;
	ssize_t rc = pos || count % RECORD_SIZE ? -ESPIPE : read_groups(file, client, buf, count, &first);

	eventq_announce(file, client, EVENT_READ, rc, rc > 0 ? &first : NULL, sizeof(first));
	return rc;
}

/* Returns 0 or -EINVAL: an unknown code or cookie. */
static int respond(struct fault *fault, const struct iommu_hwpt_page_response *response)
{
	void *value;
	int rc;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS && response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	pthread_mutex_lock(&fault->queue.lock);
	rc = id_table_kill(&fault->cookies, response->cookie, &value);
	if (!rc) {
		struct fault_group *group = value;

		take_out(&fault->delivered, group);
		forget(fault, group);
		value = answer(fault, group, response->code);
	}
	pthread_mutex_unlock(&fault->queue.lock);
	if (rc)
		return -EINVAL;
	free(value);
	return 0;
}

/* *known: *first has been read. */
static ssize_t write_responses(struct file *file, struct client *client, uaddr_t buf, size_t count,
			       struct iommu_hwpt_page_response *first, bool *known)
{
	struct iommu_hwpt_page_response response[32];
	size_t done = 0;
	int rc = 0;

	while (!rc && done < count) {
		size_t want = count - done < sizeof(response) ? count - done : sizeof(response);
		size_t got = client_read(client, response, uaddr_add(buf, done), want);

		if (!*known && got >= sizeof(*response)) {
			*first = response[0];
			*known = true;
		}
		for (size_t i = 0; !rc && i < got / sizeof(*response); i++) {
			rc = respond(fault_of(file), &response[i]);
			if (!rc)
				done += sizeof(*response);
		}
		if (!rc && got < want)
			rc = -EFAULT;
	}
	return done ? (ssize_t)done : rc;
}

static ssize_t fault_write(struct file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	struct iommu_hwpt_page_response first;
	bool known = false;
	ssize_t rc = pos || count % sizeof(first) ? -ESPIPE : write_responses(file, client, buf, count, &first, &known);

	eventq_announce(file, client, EVENT_WRITE, rc, known ? &first : NULL, sizeof(first));
	return rc;
}

static unsigned fault_poll(struct file *file)
{
	struct fault *fault = fault_of(file);
	unsigned events = POLLOUT | POLLWRNORM;

	pthread_mutex_lock(&fault->queue.lock);
	if (fault->queued.first)
		events |= POLLIN | POLLRDNORM;
	pthread_mutex_unlock(&fault->queue.lock);
	return events;
}

static const struct file_ops fault_file_ops = {
	.name = "anon_inode:[iommufd-pgfault]",
	.event_queue = true,
	.read = fault_read,
	.write = fault_write,
	.poll = fault_poll,
	.release = eventq_file_release,
};

/* No page table uses it, so no group is left. */
static void fault_destroy(struct object *object)
{
	struct fault *fault = (struct fault *)object;

	id_table_clear(&fault->cookies);
	eventq_fini(&fault->queue);
	free(fault);
}

static const struct object_ops fault_ops = {.type = OBJECT_FAULT, .destroy = fault_destroy};

int iommufd_fault_alloc(struct ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = (void *)ucmd->cmd;
	struct fault *fault;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;
	fault = calloc(1, sizeof(*fault));
	if (!fault)
		return -ENOMEM;
	eventq_init(&fault->queue);
	id_table_init(&fault->cookies);
	fault->queued.end = &fault->queued.first;
	fault->delivered.end = &fault->delivered.first;
	rc = object_reserve(ucmd, &fault->queue.object, &fault_ops);
	if (rc) {
		fault_destroy(&fault->queue.object);
		return rc;
	}
	cmd->out_fault_id = fault->queue.object.id;
	return eventq_open(&fault->queue, ucmd, &fault_file_ops, &cmd->out_fault_fd);
}
