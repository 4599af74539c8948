/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/eventq.h"

#include "abi/iommufd.h"
#include "base/event.h"
#include "client/client.h"
#include "iommufd/ctx.h"
#include "iommufd/object.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct eventq_file {
	struct file file;
	struct eventq *queue;
};

void eventq_init(struct eventq *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	queue->file = NULL;
}

void eventq_fini(struct eventq *queue)
{
	pthread_mutex_destroy(&queue->lock);
}

struct eventq *eventq_of(struct file *file)
{
	return ((struct eventq_file *)file)->queue;
}

void eventq_file_release(struct file *file)
{
	struct eventq *queue = eventq_of(file);
	struct file *ctx = &queue->object.ctx->file;

	pthread_mutex_lock(&queue->lock);
	queue->file = NULL;
	pthread_mutex_unlock(&queue->lock);
	object_put(&queue->object);
	free(file);
	file_put(ctx);
}

/* A file without references is about to be released, by a thread that waits for the lock. */
struct file *eventq_file_get(struct eventq *queue)
{
	struct file *file = queue->file;

	return file && file_get_live(file) ? file : NULL;
}

void eventq_changed(struct file *file)
{
	if (!file)
		return;
	file_poll_changed(file);
	file_put(file);
}

void eventq_announce(struct file *file, const struct client *client, unsigned type, ssize_t result, const void *record,
		     size_t size)
{
	const struct eventq *queue = eventq_of(file);
	const struct ctx *ctx = queue->object.ctx;
	struct event event;

	if (!event_wanted(ctx->config->events))
		return;
	event = (struct event){
		.type = type,
		.pid = client->pid,
		.tid = client->tid,
		.fd = client->fd,
		.file = ctx->file.serial,
		.transfer = {.queue = queue->object.id, .kind = queue->object.ops->type, .result = result}};
	if (record) {
		event.transfer.size = (uint32_t)size;
		memcpy(event.transfer.record, record, size);
	}
	event_announce(ctx->config->events, &event);
}

static struct file *file_new(struct eventq *queue, const struct file_ops *ops)
{
	struct eventq_file *file = malloc(sizeof(*file));
	struct ctx *ctx = queue->object.ctx;

	if (!file)
		return NULL;
	file_init(&file->file, ops);
	file->file.serial = ctx_file_serial(ctx);
	file->queue = queue;
	object_hold(&queue->object);
	file_get(&ctx->file);
	pthread_mutex_lock(&queue->lock);
	queue->file = &file->file;
	pthread_mutex_unlock(&queue->lock);
	return &file->file;
}

int eventq_open(struct eventq *queue, struct ucmd *ucmd, const struct file_ops *file_ops, uint32_t *fd)
{
	const struct client_ops *ops = ucmd->client->ops;
	struct file *file = file_new(queue, file_ops);
	int reserved;
	int rc;

	if (!file)
		return -ENOMEM;
	reserved = ops->fd_reserve(ucmd->client, file);
	if (reserved < 0) {
		file_put(file);
		return reserved;
	}
	*fd = (uint32_t)reserved;
	rc = ucmd_respond(ucmd);
	if (rc) {
		ops->fd_unreserve(ucmd->client, reserved, file);
		file_put(file);
		return rc;
	}
	return ops->fd_install(ucmd->client, reserved, file, O_RDWR | O_CLOEXEC);
}
