/* SPDX-License-Identifier: BSD-3-Clause */
/* The public functions: a system whose only client is this process. */
#define _GNU_SOURCE
#include "iommuse/iommuse.h"

#include "client/file.h"
#include "client/local.h"
#include "system/fd_table.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* As much as one read or write transfers. */
#define COUNT_MAX ((size_t)(INT_MAX & PAGE_MASK))

struct iommuse {
	struct system *system;
	struct local local;
	struct fd_table fds;
};

static int owned_file(void *context, int fd, struct file **file)
{
	struct iommuse *system = context;
	struct fd_slot *slot = fd_table_enter(&system->fds, fd);

	if (!slot)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EBADFD;
	*file = file_get(slot->file);
	fd_table_leave(&system->fds, fd, slot);
	return 0;
}

static int reserve_fd(void *context, struct file *file)
{
	struct iommuse *system = context;
	int fd = fd_table_hold(file);

	if (fd)
		return fd;
	fd = fd_table_reserve(&system->fds);
	if (fd < 0)
		fd_table_release(&system->fds, file);
	return fd;
}

static int install_fd(void *context, int fd, struct file *file, int o_flags)
{
	struct iommuse *system = context;

	fd_table_install(&system->fds, fd, file, o_flags);
	return 0;
}

static void unreserve_fd(void *context, int fd, struct file *file)
{
	struct iommuse *system = context;

	fd_table_unreserve(&system->fds, fd);
	fd_table_release(&system->fds, file);
}

static const struct local_files owned_files = {
	.file = owned_file,
	.fd_reserve = reserve_fd,
	.fd_install = install_fd,
	.fd_unreserve = unreserve_fd,
};

/* A caller that was compiled against another version has a shorter structure, or a longer one whose rest must be zero.
 */
static int read_options(const struct iommuse_options *given, struct iommuse_options *options)
{
	*options = (struct iommuse_options){.struct_size = sizeof(*options), .own_capabilities = 1};
	if (!given)
		return 0;
	if (given->struct_size < sizeof(given->struct_size))
		return -EINVAL;
	for (size_t i = sizeof(*options); i < given->struct_size; i++)
		if (((const char *)given)[i])
			return -EINVAL;
	options->own_capabilities = 0;
	memcpy(options, given, given->struct_size < sizeof(*options) ? given->struct_size : sizeof(*options));
	if (options->client != IOMMUSE_CLIENT_CHECKED && options->client != IOMMUSE_CLIENT_TRUSTED)
		return -EINVAL;
	return 0;
}

int iommuse_new(const struct iommuse_options *given, struct iommuse **out)
{
	struct system_config config = {.memlock = MEMLOCK_OFF};
	struct iommuse_options options;
	struct iommuse *system;
	int rc = read_options(given, &options);

	if (rc)
		return rc;
	system = malloc(sizeof(*system));
	if (!system)
		return -ENOMEM;
	system->local.kind = options.client == IOMMUSE_CLIENT_TRUSTED ? LOCAL_TRUSTED : LOCAL_CHECKED;
	system->local.own_capabilities = options.own_capabilities;
	system->local.capabilities = options.capabilities;
	system->local.files = &owned_files;
	system->local.files_context = system;
	rc = local_init(&system->local);
	if (rc)
		goto out_free;
	config.selftest = options.selftest;
	config.devices = options.devices;
	config.pasid_bits = options.pasid_bits;
	config.pasid_quota = options.pasid_quota;
	config.why = options.why;
	config.why_size = options.why_size;
	rc = system_new(&config, &system->system);
	if (rc)
		goto out_fini_local;
	rc = account_open(system->local.mm, system_accounts(system->system), getuid());
	if (rc)
		goto out_free_system;
	rc = fd_table_init(&system->fds, system->system);
	if (rc)
		goto out_free_system;
	*out = system;
	return 0;

out_free_system:
	system_free(system->system);
out_fini_local:
	local_fini(&system->local);
out_free:
	free(system);
	return rc;
}

void iommuse_free(struct iommuse *system)
{
	fd_table_fini(&system->fds);
	system_free(system->system);
	local_fini(&system->local);
	free(system);
}

int iommuse_open(struct iommuse *system, const char *path, int flags)
{
	struct local_client client;
	struct file *file;
	int fd = fd_table_reserve(&system->fds);
	int rc;

	if (fd < 0)
		return fd;
	local_client_init(&client, &system->local, fd);
	rc = system_open(system->system, &client.client, path, flags, &file);
	if (rc) {
		fd_table_unreserve(&system->fds, fd);
		return rc;
	}
	(void)fd_table_hold(file); /* nobody has closed what nobody has */
	fd_table_install(&system->fds, fd, file, flags);
	return fd;
}

int iommuse_owns(struct iommuse *system, int fd)
{
	struct fd_slot *slot = fd_table_enter(&system->fds, fd);

	if (slot)
		fd_table_leave(&system->fds, fd, slot);
	return slot != NULL;
}

int iommuse_ioctl(struct iommuse *system, int fd, unsigned long cmd, uintptr_t arg)
{
	struct fd_slot *slot = fd_table_enter(&system->fds, fd);
	struct local_client client;
	long rc = -ENOTTY;

	if (!slot)
		return -EBADF;
	local_client_init(&client, &system->local, fd);
	if (slot->file->ops->ioctl)
		rc = slot->file->ops->ioctl(slot->file, &client.client, (unsigned)cmd, arg);
	fd_table_leave(&system->fds, fd, slot);
	return (int)rc;
}

static ssize_t read_slot(struct iommuse *system, int fd, struct fd_slot *slot, uaddr_t buf, size_t count, uint64_t pos)
{
	const struct file_ops *ops = slot->file->ops;
	struct local_client client;

	if ((slot->o_flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (!ops->read || count > SSIZE_MAX)
		return -EINVAL;
	local_client_init(&client, &system->local, fd);
	return ops->read(slot->file, &client.client, buf, count < COUNT_MAX ? count : COUNT_MAX, pos);
}

static ssize_t write_slot(struct iommuse *system, int fd, struct fd_slot *slot, uaddr_t buf, size_t count, uint64_t pos)
{
	const struct file_ops *ops = slot->file->ops;
	struct local_client client;

	if ((slot->o_flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (!ops->write || count > SSIZE_MAX)
		return -EINVAL;
	local_client_init(&client, &system->local, fd);
	return ops->write(slot->file, &client.client, buf, count < COUNT_MAX ? count : COUNT_MAX, pos);
}

ssize_t iommuse_read(struct iommuse *system, int fd, void *buf, size_t count)
{
	struct fd_slot *slot = fd_table_enter(&system->fds, fd);
	ssize_t rc;

	if (!slot)
		return -EBADF;
	rc = read_slot(system, fd, slot, uaddr((uintptr_t)buf), count, 0);
	fd_table_leave(&system->fds, fd, slot);
	return rc;
}

ssize_t iommuse_write(struct iommuse *system, int fd, const void *buf, size_t count)
{
	struct fd_slot *slot = fd_table_enter(&system->fds, fd);
	ssize_t rc;

	if (!slot)
		return -EBADF;
	rc = write_slot(system, fd, slot, uaddr((uintptr_t)buf), count, 0);
	fd_table_leave(&system->fds, fd, slot);
	return rc;
}

/* An event queue is a stream: it has no positions, not even 0. */
ssize_t iommuse_pread(struct iommuse *system, int fd, void *buf, size_t count, off_t offset)
{
	struct fd_slot *slot = offset < 0 ? NULL : fd_table_enter(&system->fds, fd);
	ssize_t rc = -ESPIPE;

	if (offset < 0)
		return -EINVAL;
	if (!slot)
		return -EBADF;
	if (!slot->file->ops->event_queue)
		rc = read_slot(system, fd, slot, uaddr((uintptr_t)buf), count, (uint64_t)offset);
	fd_table_leave(&system->fds, fd, slot);
	return rc;
}

ssize_t iommuse_pwrite(struct iommuse *system, int fd, const void *buf, size_t count, off_t offset)
{
	struct fd_slot *slot = offset < 0 ? NULL : fd_table_enter(&system->fds, fd);
	ssize_t rc = -ESPIPE;

	if (offset < 0)
		return -EINVAL;
	if (!slot)
		return -EBADF;
	if (!slot->file->ops->event_queue)
		rc = write_slot(system, fd, slot, uaddr((uintptr_t)buf), count, (uint64_t)offset);
	fd_table_leave(&system->fds, fd, slot);
	return rc;
}

int iommuse_poll(struct iommuse *system, int fd, short events)
{
	struct fd_slot *slot = fd_table_enter(&system->fds, fd);
	unsigned ready = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

	if (!slot)
		return -EBADF;
	if (slot->file->ops->poll)
		ready = slot->file->ops->poll(slot->file);
	fd_table_leave(&system->fds, fd, slot);
	return (int)(ready & ((unsigned short)events | POLLERR | POLLHUP));
}

static int mmap_slot(struct iommuse *system, int fd, struct fd_slot *slot, size_t length, int prot, int flags,
		     off_t offset, void **address)
{
	struct file_region *region = NULL;
	const struct file_ops *ops = slot->file->ops;
	const int access_mode = slot->o_flags & O_ACCMODE;
	const bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	uint64_t pages = ((uint64_t)length + PAGE_SIZE - 1) & PAGE_MASK;
	struct local_client client;
	int rc;

	if (!pages)
		return -ENOMEM;
	if (__builtin_add_overflow((uint64_t)offset, pages, &(uint64_t){0}))
		return -EOVERFLOW;
	if (access_mode == O_WRONLY || (shared && prot & PROT_WRITE && access_mode != O_RDWR))
		return -EACCES;
	if (!ops->mmap)
		return -ENODEV;
	local_client_init(&client, &system->local, fd);
	rc = ops->mmap(slot->file, &client.client, pages, prot, flags, (uint64_t)offset, &region);
	if (rc)
		return rc;
	*address = mmap(NULL, pages, prot, flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE), region->fd,
			(off_t)(region->fd_offset + (uint64_t)offset - region->offset));
	rc = *address == MAP_FAILED ? -errno : 0;
	file_region_put(region);
	return rc;
}

int iommuse_mmap(struct iommuse *system, int fd, size_t length, int prot, int flags, off_t offset, void **address)
{
	struct fd_slot *slot;
	int rc;

	*address = MAP_FAILED;
	if ((uint64_t)offset & ~PAGE_MASK)
		return -EINVAL;
	slot = fd_table_enter(&system->fds, fd);
	if (!slot)
		return -EBADF;
	rc = length ? mmap_slot(system, fd, slot, length, prot, flags, offset, address) : -EINVAL;
	fd_table_leave(&system->fds, fd, slot);
	return rc;
}

int iommuse_close(struct iommuse *system, int fd)
{
	return fd_table_close(&system->fds, fd);
}

const char *iommuse_version(void)
{
	return IOMMUSE_VERSION;
}
