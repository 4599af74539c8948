/* SPDX-License-Identifier: BSD-3-Clause */
/* A dma-buf that the test device exports: memory of this process, which no client can map, and which can be revoked. */
#include "client/dmabuf.h"

#include "client/file.h"
#include "iommufd/ctx.h"
#include "iommufd/selftest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LENGTH_MAX (512 * PAGE_SIZE)

struct test_dmabuf {
	struct file file;
	struct dmabuf dmabuf;
};

/* What importers hold. */
struct import {
	struct memory_file memory;
	struct file *file;
};

static void import_release(struct memory_file *memory)
{
	struct import *import = (struct import *)memory;

	file_put(import->file);
	free(import);
}

static int dmabuf_memory(struct file *file, struct memory_file **memory)
{
	struct import *import = calloc(1, sizeof(*import));

	if (!import)
		return -ENOMEM;
	atomic_init(&import->memory.refs, 1);
	import->memory.fd = -1;
	import->memory.release = import_release;
	import->memory.dmabuf = &((struct test_dmabuf *)file)->dmabuf;
	import->file = file_get(file);
	*memory = &import->memory;
	return 0;
}

static int dmabuf_mmap(struct file *file, struct client *client, uint64_t length, int prot, int flags, uint64_t offset,
		       struct file_region **region)
{
	(void)file;
	(void)client;
	(void)length;
	(void)prot;
	(void)flags;
	(void)offset;
	(void)region;
	return -EINVAL;
}

static void dmabuf_release(struct file *file)
{
	struct test_dmabuf *buf = (struct test_dmabuf *)file;

	munmap(buf->dmabuf.memory, buf->dmabuf.length);
	pthread_mutex_destroy(&buf->dmabuf.lock);
	free(buf);
}

static const struct file_ops dmabuf_file_ops = {
	.name = "/dmabuf:",
	.mmap = dmabuf_mmap,
	.memory = dmabuf_memory,
	.release = dmabuf_release,
};

static struct file *dmabuf_new(struct ctx *ctx, uint64_t length)
{
	struct test_dmabuf *buf = calloc(1, sizeof(*buf));

	if (!buf)
		return NULL;
	buf->dmabuf.memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf->dmabuf.memory == MAP_FAILED) {
		free(buf);
		return NULL;
	}
	buf->dmabuf.length = length;
	pthread_mutex_init(&buf->dmabuf.lock, NULL);
	file_init(&buf->file, &dmabuf_file_ops);
	buf->file.serial = ctx_file_serial(ctx);
	return &buf->file;
}

/* The descriptor is the call's result. */
int test_dmabuf_get(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;
	const uint64_t length = (cmd->dmabuf_get.length + PAGE_SIZE - 1) & PAGE_MASK;
	const struct client_ops *ops = ucmd->client->ops;
	struct file *file;
	int fd;
	int rc;

	if (!length || length > LENGTH_MAX)
		return -EINVAL;
	file = dmabuf_new(ucmd->ctx, length);
	if (!file)
		return -ENOMEM;
	fd = ops->fd_reserve(ucmd->client, file);
	if (fd < 0) {
		file_put(file);
		return fd;
	}
	rc = ops->fd_install(ucmd->client, fd, file, O_RDWR | (int)(cmd->dmabuf_get.open_flags & O_CLOEXEC));
	return rc ? rc : fd;
}

int test_dmabuf_revoke(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;
	struct file *file;
	int rc = ucmd->client->ops->file(ucmd->client, cmd->dmabuf_revoke.dmabuf_fd, &file);

	if (rc)
		return rc == -EBADFD ? -EINVAL : rc;
	if (file->ops == &dmabuf_file_ops)
		dmabuf_revoke(&((struct test_dmabuf *)file)->dmabuf, cmd->dmabuf_revoke.revoked);
	else
		rc = file->ops->memory ? -EOPNOTSUPP : -EINVAL;
	file_put(file);
	return rc;
}
