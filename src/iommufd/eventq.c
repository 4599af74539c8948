/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues that a client reads events from. The queue is an object and a file: the object has one user for the file while
 * that is open, and the file pins the iommufd, so the object is always there for it. The object outlives the file.
 */
#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/dispatch.h"
#include "iommufd/object.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#define EVENTS_MAX (UINT32_C(1) << 19)

struct fault {
	struct object object;
};

struct fault_file {
	struct file file;
	struct fault *fault;
};

static struct fault *fault_of(struct file *file)
{
	return ((struct fault_file *)file)->fault;
}

/* Groups of faults come from page tables that a device is attached to; while no group waits, a read gives nothing. */
static ssize_t fault_read(struct file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	(void)file;
	(void)client;
	(void)buf;
	if (pos || count % sizeof(struct iommu_hwpt_pgfault))
		return -ESPIPE;
	return 0;
}

/* Answers name a group by the cookie that it was read with. None was read, so no cookie is known. */
static ssize_t fault_write(struct file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	struct iommu_hwpt_page_response response;

	(void)file;
	if (pos || count % sizeof(response))
		return -ESPIPE;
	if (!count)
		return 0;
	return client_copy_in(client, &response, buf, sizeof(response)) ? -EFAULT : -EINVAL;
}

static unsigned fault_poll(struct file *file)
{
	(void)file;
	return POLLOUT | POLLWRNORM;
}

static void fault_file_release(struct file *file)
{
	struct object *object = &fault_of(file)->object;
	struct file *ctx = &object->ctx->file;

	object_put(object);
	free(file);
	file_put(ctx);
}

static const struct file_ops fault_file_ops = {
	.name = "anon_inode:[iommufd-pgfault]",
	.event_queue = true,
	.read = fault_read,
	.write = fault_write,
	.poll = fault_poll,
	.release = fault_file_release,
};

static void fault_destroy(struct object *object)
{
	free(object);
}

static const struct object_ops fault_ops = {.type = OBJECT_FAULT, .destroy = fault_destroy};

static struct file *fault_file_new(struct fault *fault)
{
	struct fault_file *file = malloc(sizeof(*file));
	struct ctx *ctx = fault->object.ctx;

	if (!file)
		return NULL;
	file_init(&file->file, &fault_file_ops);
	file->file.serial = ctx_file_serial(ctx);
	file->fault = fault;
	object_hold(&fault->object);
	file_get(&ctx->file);
	return &file->file;
}

/* Gives the client a descriptor of the file, and tells it by the way; consumes the file's reference. */
static int fault_open(struct ucmd *ucmd, struct file *file)
{
	struct iommu_fault_alloc *cmd = (void *)ucmd->cmd;
	const struct client_ops *ops = ucmd->client->ops;
	int rc;
	int fd = ops->fd_reserve(ucmd->client, file);

	if (fd < 0) {
		file_put(file);
		return fd;
	}
	cmd->out_fault_fd = (uint32_t)fd;
	rc = ucmd_respond(ucmd);
	if (rc) {
		ops->fd_unreserve(ucmd->client, fd, file);
		file_put(file);
		return rc;
	}
	return ops->fd_install(ucmd->client, fd, file, O_RDWR | O_CLOEXEC);
}

int iommufd_fault_alloc(struct ucmd *ucmd)
{
	struct iommu_fault_alloc *cmd = (void *)ucmd->cmd;
	struct fault *fault;
	struct file *file;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;
	fault = malloc(sizeof(*fault));
	if (!fault)
		return -ENOMEM;
	rc = object_reserve(ucmd, &fault->object, &fault_ops);
	if (rc) {
		fault_destroy(&fault->object);
		return rc;
	}
	file = fault_file_new(fault);
	if (!file)
		return -ENOMEM;
	cmd->out_fault_id = fault->object.id;
	return fault_open(ucmd, file);
}

int iommufd_veventq_alloc(struct ucmd *ucmd)
{
	const struct iommu_veventq_alloc *cmd = (const void *)ucmd->cmd;
	struct object *viommu;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > EVENTS_MAX)
		return -EINVAL;
	viommu = object_get(ucmd->ctx, cmd->viommu_id, OBJECT_VIOMMU);
	if (!viommu)
		return -ENOENT;
	object_put(viommu);
	return -EOPNOTSUPP;
}
