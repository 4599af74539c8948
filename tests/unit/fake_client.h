/* SPDX-License-Identifier: BSD-3-Clause */
/* A client whose memory is an array, whose rights are a mask, and whose calls can be made to fail. */
#ifndef IOMMUSE_TESTS_FAKE_CLIENT_H
#define IOMMUSE_TESTS_FAKE_CLIENT_H

#include "client/client.h"
#include "client/file.h"

#include <stdlib.h>

struct fake {
	struct client client;
	struct mm mm;
	uint64_t capabilities;
	unsigned char memory[8192]; /* the client's memory is at its real address */
	size_t readable;            /* from the beginning */
	bool deny_write, deny_fd, deny_install;
	unsigned reads;
	void (*after_read)(struct fake *fake); /* as another thread would */
	struct file *installed;
	int reserved;
	unsigned released_mms;
};

static inline struct fake *fake_of(struct client *client)
{
	return (struct fake *)client;
}

static inline uint64_t fake_at(struct fake *fake, size_t offset)
{
	return (uintptr_t)fake->memory + offset;
}

static size_t fake_read(struct client *client, void *dst, uaddr_t src, size_t n)
{
	struct fake *fake = fake_of(client);
	uint64_t offset = src.va - fake_at(fake, 0);

	fake->reads++;
	if (offset >= fake->readable)
		return 0;
	if (n > fake->readable - offset)
		n = fake->readable - offset;
	memcpy(dst, fake->memory + offset, n);
	if (fake->after_read)
		fake->after_read(fake);
	return n;
}

static int fake_copy_out(struct client *client, uaddr_t dst, const void *src, size_t n)
{
	struct fake *fake = fake_of(client);
	uint64_t offset = dst.va - fake_at(fake, 0);

	if (fake->deny_write || offset > sizeof(fake->memory) || n > sizeof(fake->memory) - offset)
		return -EFAULT;
	memcpy(fake->memory + offset, src, n);
	return 0;
}

static struct mm *fake_mm(struct client *client)
{
	return &fake_of(client)->mm;
}

static int fake_file(struct client *client, int fd, struct file **file)
{
	(void)client;
	(void)file;
	return fd < 0 ? -EBADF : -EBADFD;
}

static int fake_memory_file(struct client *client, int fd, struct memory_file **file)
{
	(void)client;
	if (fd < 0)
		return -EBADF;
	*file = calloc(1, sizeof(**file));
	if (!*file)
		return -ENOMEM;
	atomic_init(&(*file)->refs, 1);
	(*file)->fd = -1;
	return 0;
}

static int fake_fd_reserve(struct client *client, struct file *file)
{
	struct fake *fake = fake_of(client);

	(void)file;
	if (fake->deny_fd)
		return -EMFILE;
	return 10 + fake->reserved++;
}

static int fake_fd_install(struct client *client, int fd, struct file *file, int o_flags)
{
	struct fake *fake = fake_of(client);

	(void)fd;
	(void)o_flags;
	fake->reserved--;
	if (fake->deny_install) {
		file_put(file);
		return -EMFILE;
	}
	fake->installed = file;
	return 0;
}

static void fake_fd_unreserve(struct client *client, int fd, struct file *file)
{
	(void)fd;
	(void)file;
	fake_of(client)->reserved--;
}

static bool fake_capable(struct client *client, int cap)
{
	return fake_of(client)->capabilities >> cap & 1;
}

static void fake_mm_release(struct mm *mm)
{
	((struct fake *)((char *)mm - offsetof(struct fake, mm)))->released_mms++;
}

static const struct client_ops fake_ops = {
	.read = fake_read,
	.copy_out = fake_copy_out,
	.mm = fake_mm,
	.file = fake_file,
	.memory_file = fake_memory_file,
	.fd_reserve = fake_fd_reserve,
	.fd_install = fake_fd_install,
	.fd_unreserve = fake_fd_unreserve,
	.capable = fake_capable,
};

static const struct mm_ops fake_mm_ops = {.release = fake_mm_release};

static inline void fake_init(struct fake *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->client = (struct client){.ops = &fake_ops, .pid = 1, .tid = 1, .fd = 3};
	fake->mm.ops = &fake_mm_ops;
	atomic_init(&fake->mm.refs, 1);
	fake->readable = sizeof(fake->memory);
}

#endif
