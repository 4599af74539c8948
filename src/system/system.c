/* SPDX-License-Identifier: BSD-3-Clause */
#include "system/system.h"

#include "base/event.h"
#include "client/client.h"
#include "client/file.h"
#include "devices/devices.h"
#include "iommufd/iommufd.h"
#include "system/nodes.h"
#include "vfio/compat.h"
#include "vfio/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct system {
	struct iommufd_config iommufd;
	struct accounts accounts;
	struct vfio vfio;
	struct node *nodes;
};

static int add_devices(struct system *system, const struct system_config *config)
{
	char line[256] = "";
	int rc = 0;

	for (const char *const *text = config->devices; !rc && text && *text; text++)
		rc = devices_add(&system->vfio, *text, line, sizeof(line));
	if (config->why && config->why_size)
		snprintf(config->why, config->why_size, "%s", line);
	return rc;
}

int system_new(const struct system_config *config, struct system **system)
{
	struct system *s = malloc(sizeof(*s));
	int rc = -ENOMEM;

	if (config->why && config->why_size)
		*config->why = 0;
	if (!s)
		return -ENOMEM;
	s->iommufd.selftest = config->selftest;
	s->iommufd.events = config->events;
	s->iommufd.compat = &vfio_compat;
	s->iommufd.selftest_state = NULL;
	atomic_init(&s->iommufd.file_serial, 0);
	if (config->selftest && selftest_new(&s->iommufd.selftest_state))
		goto out_free;
	vfio_init(&s->vfio, &s->iommufd);
	rc = add_devices(s, config);
	if (rc)
		goto out_remove_devices;
	rc = -ENOMEM;
	s->nodes = nodes_new(&s->vfio);
	if (!s->nodes)
		goto out_remove_devices;
	accounts_init(&s->accounts, config->memlock);
	*system = s;
	return 0;

out_remove_devices:
	devices_remove(&s->vfio);
	vfio_fini(&s->vfio);
	selftest_free(s->iommufd.selftest_state);
out_free:
	free(s);
	return rc;
}

void system_free(struct system *system)
{
	nodes_free(system->nodes);
	devices_remove(&system->vfio);
	vfio_fini(&system->vfio);
	selftest_free(system->iommufd.selftest_state);
	accounts_fini(&system->accounts);
	free(system);
}

struct vfio *system_vfio(struct system *system)
{
	return &system->vfio;
}

struct accounts *system_accounts(struct system *system)
{
	return &system->accounts;
}

const struct node *system_nodes(const struct system *system)
{
	return system->nodes;
}

static const struct node *find_node(const struct system *system, const char *path)
{
	for (const struct node *node = system->nodes; node->path; node++)
		if (!strcmp(node->path, path))
			return node;
	return NULL;
}

/* What is opened by way of VFIO's node accounts as VFIO does. */
static int open_node(struct system *system, const struct node *node, struct file **file)
{
	switch (node->kind) {
	case NODE_IOMMU:
	case NODE_CONTAINER:
		return iommufd_open(&system->iommufd, node->kind == NODE_CONTAINER, file);
	case NODE_GROUP:
		return vfio_group_open(&system->vfio, node->what, file);
	case NODE_CDEV:
		return vfio_cdev_open(&system->vfio, node->what, file);
	case NODE_IOASID:
		break;
	}
	return -ENOENT;
}

int system_open(struct system *system, struct client *client, const char *path, int flags, struct file **file)
{
	const struct node *node = find_node(system, path);
	int rc;

	(void)flags; /* no access mode is refused, and none matters */
	if (!node)
		return -ENOENT;
	rc = open_node(system, node, file);
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
