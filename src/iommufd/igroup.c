/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/igroup.h"

#include "iommufd/ctx.h"

#include <stdlib.h>

/* The group is this iommufd's from its first device to its last. */
static int igroup_new(struct ctx *ctx, struct iommu_group *group, struct igroup **igroup)
{
	const void *nobody = NULL;
	struct igroup *g = malloc(sizeof(*g));

	if (!g)
		return -ENOMEM;
	if (!atomic_compare_exchange_strong(&group->owner, &nobody, ctx)) {
		free(g);
		return -EPERM;
	}
	g->group = group;
	g->devices = NULL;
	g->attachments = RANGE_MAP_INIT;
	g->next = ctx->igroups;
	ctx->igroups = g;
	*igroup = g;
	return 0;
}

int igroup_join(struct ctx *ctx, struct device *device)
{
	struct igroup *igroup = ctx->igroups;

	while (igroup && igroup->group != device->dev->group)
		igroup = igroup->next;
	if (!igroup) {
		int rc = igroup_new(ctx, device->dev->group, &igroup);

		if (rc)
			return rc;
	}
	for (const struct device *other = igroup->devices; other; other = other->next)
		if (other->dev == device->dev)
			return -EBUSY;
	device->igroup = igroup;
	device->next = igroup->devices;
	igroup->devices = device;
	return 0;
}

void igroup_leave(struct ctx *ctx, struct device *device)
{
	struct igroup *igroup = device->igroup;
	struct device **at = &igroup->devices;
	struct igroup **link = &ctx->igroups;

	while (*at != device)
		at = &(*at)->next;
	*at = device->next;
	if (igroup->devices)
		return;
	while (*link != igroup)
		link = &(*link)->next;
	*link = igroup->next;
	atomic_store(&igroup->group->owner, NULL);
	range_map_clear(&igroup->attachments);
	free(igroup);
}
