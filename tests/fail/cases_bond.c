/* SPDX-License-Identifier: BSD-3-Clause */
/* Address spaces bound to a container, by a process that binds itself. */
#include "cases.h"
#include "set_ups.h"

#include <string.h>
#include <unistd.h>

struct bind_arg {
	struct vfio_iommu_type1_bind bind;
	struct vfio_iommu_type1_bind_process process;
};

#define ARG(...)                                                                                                       \
	{                                                                                                              \
		.bind = {.argsz = sizeof(struct bind_arg), .mode = VFIO_IOMMU_BIND_PROCESS}, .process = {              \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

static void bind(struct world *w, struct outcome *out)
{
	struct bind_arg cmd = ARG(0);

	out->rc = CALL(w, VFIO_IOMMU_BIND, &cmd);
	if (out->rc >= 0)
		STORE(out, cmd);
}

static void bind_by_number(struct world *w, struct outcome *out)
{
	struct bind_arg cmd = ARG(.flags = VFIO_IOMMU_BIND_PID, .pid = getpid());

	out->rc = CALL(w, VFIO_IOMMU_BIND, &cmd);
}

static void unbind(struct world *w, struct outcome *out)
{
	struct bind_arg cmd = ARG(0);

	out->rc = CALL(w, VFIO_IOMMU_UNBIND, &cmd);
}

static void set_container(struct world *w, struct outcome *out)
{
	out->rc = world_ioctl(w, w->group, VFIO_GROUP_SET_CONTAINER, &w->fd);
}

static void open_device(struct world *w, struct outcome *out)
{
	char name[] = "0000:02:00.0";
	long fd = world_ioctl(w, w->group, VFIO_GROUP_GET_DEVICE_FD, name);

	if (fd >= 0)
		w->device = (int)fd;
	out->rc = fd < 0 ? fd : 0;
}

const struct sweep bond_sweeps[] = {
	{"GROUP_SET_CONTAINER of devices that share addresses", sharing_group, set_container, 0},
	{"VFIO_IOMMU_BIND", sharing, bind, 0},
	{"VFIO_IOMMU_BIND by number", sharing, bind_by_number, 0},
	{"VFIO_IOMMU_UNBIND", sharing_bound, unbind, 0},
	{"GROUP_GET_DEVICE_FD with bonds", sharing_closed, open_device, 0},
	{0},
};
