/* SPDX-License-Identifier: BSD-3-Clause */
#include "system/system.h"

#include "base/event.h"
#include "client/client.h"
#include "client/file.h"
#include "iommufd/iommufd.h"
#include "vfio/compat.h"

#include <stdlib.h>
#include <string.h>

struct system {
	struct iommufd_config iommufd;
	struct accounts accounts;
};

/* Linux gives /dev/iommu the first dynamic minor number of the misc devices that is free; the other one is fixed. */
enum {
	MISC_MAJOR = 10,
	IOMMU_MINOR = 256,
	VFIO_MINOR = 196,
};

static const struct node nodes[] = {
	{.path = "/dev/iommu", .mode = 0660, .major = MISC_MAJOR, .minor = IOMMU_MINOR},
	{.path = "/dev/vfio/vfio", .mode = 0666, .major = MISC_MAJOR, .minor = VFIO_MINOR},
	{.path = NULL},
};

int system_new(const struct system_config *config, struct system **system)
{
	struct system *s = malloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->iommufd.selftest = config->selftest;
	s->iommufd.events = config->events;
	s->iommufd.compat = &vfio_compat;
	s->iommufd.selftest_state = NULL;
	if (config->selftest && selftest_new(&s->iommufd.selftest_state)) {
		free(s);
		return -ENOMEM;
	}
	atomic_init(&s->iommufd.file_serial, 0);
	accounts_init(&s->accounts, config->memlock);
	*system = s;
	return 0;
}

void system_free(struct system *system)
{
	selftest_free(system->iommufd.selftest_state);
	accounts_fini(&system->accounts);
	free(system);
}

struct accounts *system_accounts(struct system *system)
{
	return &system->accounts;
}

const struct node *system_nodes(const struct system *system)
{
	(void)system;
	return nodes;
}

static const struct node *find_node(const char *path)
{
	for (const struct node *node = nodes; node->path; node++)
		if (!strcmp(node->path, path))
			return node;
	return NULL;
}

/* What is opened by way of VFIO's node accounts as VFIO does. */
int system_open(struct system *system, struct client *client, const char *path, int flags, struct file **file)
{
	const struct node *node = find_node(path);
	int rc;

	(void)flags; /* no access mode is refused, and none matters */
	if (!node)
		return -ENOENT;
	rc = iommufd_open(&system->iommufd, node->minor == VFIO_MINOR, file);
	if (!rc && event_wanted(system->iommufd.events)) {
		struct event event = {.type = EVENT_OPEN,
				      .pid = client->pid,
				      .tid = client->tid,
				      .fd = client->fd,
				      .file = (*file)->serial};

		strncpy(event.text, node->path, sizeof(event.text) - 1);
		event_announce(system->iommufd.events, &event);
	}
	return rc;
}

void system_closed(struct system *system, struct file *file)
{
	if (event_wanted(system->iommufd.events)) {
		struct event event = {.type = EVENT_CLOSE, .fd = -1, .file = file->serial};

		strncpy(event.text, file->ops->name, sizeof(event.text) - 1);
		event_announce(system->iommufd.events, &event);
	}
	if (file->ops->closed)
		file->ops->closed(file);
	file_put(file);
}
