/* SPDX-License-Identifier: BSD-3-Clause */
#include "system/system.h"

#include "base/event.h"
#include "client/client.h"
#include "client/file.h"
#include "devices/devices.h"
#include "ioasid/ioasid.h"
#include "iommufd/iommufd.h"
#include "pasid/cgroup.h"
#include "pasid/ioasid.h"
#include "system/nodes.h"
#include "vfio/bond.h"
#include "vfio/compat.h"
#include "vfio/device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct system {
	struct iommufd_config iommufd;
	struct accounts accounts;
	struct ioasid_space *ioasids;
	struct ioasid_users ioasid_users;
	struct vfio vfio;
	struct node *nodes;
};

/* Why something cannot be had, for a person to read. */
__attribute__((format(printf, 2, 3))) static void tell(const struct system_config *config, const char *format, ...)
{
	va_list args;

	if (!config->why || !config->why_size)
		return;
	va_start(args, format);
	vsnprintf(config->why, config->why_size, format, args);
	va_end(args);
}

static int add_devices(struct system *system, const struct system_config *config)
{
	char line[256] = "";
	int rc = 0;

	for (const char *const *text = config->devices; !rc && text && *text; text++)
		rc = devices_add(&system->vfio, *text, line, sizeof(line));
	tell(config, "%s", line);
	return rc;
}

/* "/a/b=17", of which the path may have "=" in it. */
static int add_cgroup(struct ioasid_space *space, const struct system_config *config, const char *text)
{
	const char *sign = strrchr(text, '=');
	char *end = NULL;
	uint64_t max = 0;
	char *path;
	int rc = -EINVAL;

	if (sign && sign[1] >= '0' && sign[1] <= '9') {
		errno = 0;
		max = strtoull(sign + 1, &end, 10);
	}
	if (!end || *end || errno) {
		tell(config, "%s: a quota of PASIDs is a cgroup and a number: /user.slice=100", text);
		return -EINVAL;
	}
	path = strndup(text, (size_t)(sign - text));
	if (!path)
		return -ENOMEM;
	rc = ioasid_cgroup_add(space, path, max);
	if (rc == -EINVAL)
		tell(config, "%s: the path of a cgroup begins with a slash", text);
	else if (rc == -EEXIST)
		tell(config, "%s: the cgroup has a quota of PASIDs already", text);
	free(path);
	return rc;
}

static int make_ioasids(struct system *system, const struct system_config *config)
{
	const unsigned bits = config->pasid_bits ? config->pasid_bits : IOASID_BITS_DEFAULT;
	int rc = ioasid_space_new(bits, &system->ioasids);

	if (rc) {
		if (rc == -EINVAL)
			tell(config, "PASIDs have 1 to %u bits, not %u", IOASID_BITS_MAX, bits);
		return rc;
	}
	for (const char *const *text = config->cgroup_quotas; !rc && text && *text; text++)
		rc = add_cgroup(system->ioasids, config, *text);
	if (rc) {
		ioasid_space_free(system->ioasids);
		return rc;
	}
	system->ioasid_users = (struct ioasid_users){
		.space = system->ioasids,
		.quota = config->pasid_quota ? config->pasid_quota : UINT64_MAX,
		.file_serial = &system->iommufd.file_serial,
		.events = config->events,
	};
	pthread_mutex_init(&system->ioasid_users.lock, NULL);
	return 0;
}

static void free_ioasids(struct system *system)
{
	pthread_mutex_destroy(&system->ioasid_users.lock);
	ioasid_space_free(system->ioasids);
}

int system_new(const struct system_config *config, struct system **system)
{
	struct system *s = malloc(sizeof(*s));
	int rc = -ENOMEM;

	tell(config, "%s", "");
	if (!s)
		return -ENOMEM;
	s->iommufd.selftest = config->selftest;
	s->iommufd.events = config->events;
	s->iommufd.compat = &vfio_compat;
	s->iommufd.vfio = &s->vfio;
	s->iommufd.selftest_state = NULL;
	atomic_init(&s->iommufd.file_serial, 0);
	if (config->selftest && selftest_new(&s->iommufd.selftest_state))
		goto out_free;
	rc = make_ioasids(s, config);
	if (rc)
		goto out_free_selftest;
	vfio_init(&s->vfio, &s->iommufd);
	s->vfio.ioasids = s->ioasids;
	s->vfio.ioasid_users = &s->ioasid_users;
	rc = mm_pasids_new(s->ioasids, &s->vfio.mm_pasids);
	if (!rc)
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
	mm_pasids_free(s->vfio.mm_pasids);
	vfio_fini(&s->vfio);
	free_ioasids(s);
out_free_selftest:
	selftest_free(s->iommufd.selftest_state);
out_free:
	free(s);
	return rc;
}

void system_free(struct system *system)
{
	nodes_free(system->nodes);
	devices_remove(&system->vfio);
	mm_pasids_free(system->vfio.mm_pasids);
	vfio_fini(&system->vfio);
	free_ioasids(system);
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

struct ioasid_space *system_ioasids(struct system *system)
{
	return system->ioasids;
}

struct ioasid_users *system_ioasid_users(struct system *system)
{
	return &system->ioasid_users;
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
static int open_node(struct system *system, const struct node *node, struct client *client, struct file **file)
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
		vfio_settle(&system->vfio);
		return ioasid_open(&system->ioasid_users, client, file);
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
	rc = open_node(system, node, client, file);
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
