/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /dev/vfio/ID. Its container is an iommufd, and its devices are attached to the IOAS of that iommufd's VFIO commands.
 * Devices that are open need neither the file of the group nor the container any more.
 */
#include "abi/vfio.h"
#include "base/event.h"
#include "iommufd/ctx.h"
#include "iommufd/ioas_object.h"
#include "vfio/announce.h"
#include "vfio/bond.h"
#include "vfio/device_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

typedef int group_command(struct group_file *file, struct client *client, uaddr_t arg);

static struct group_file *group_file_of(struct file *file)
{
	return (struct group_file *)file;
}

static int get_status(struct group_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_group *group = file->group;
	struct vfio_group_status status;

	if (client_copy_in(client, &status, arg, sizeof(status)))
		return -EFAULT;
	if (status.argsz < sizeof(status))
		return -EINVAL;
	group_settle(file->vfio, group);
	status.flags = 0;
	pthread_mutex_lock(&group->lock);
	if (group->container)
		status.flags = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
	else if (!atomic_load(&group->iommu.owner))
		status.flags = VFIO_GROUP_FLAGS_VIABLE;
	pthread_mutex_unlock(&group->lock);
	return client_copy_out(client, arg, &status, sizeof(status));
}

/* With the lock held. */
static int join(struct vfio_group *group, struct ctx *ctx, struct client *client, struct leftovers *left)
{
	int rc = bonds_add_group(ctx, group, left);

	if (rc)
		return rc;
	rc = compat_ioas_make(ctx, client);
	if (rc) {
		bonds_remove_group(ctx, group, left);
		return rc;
	}
	file_get(&ctx->file);
	group->container = ctx;
	atomic_fetch_add(&ctx->compat_groups, 1);
	return 0;
}

/* A call of a file that was closed meanwhile may come after the group has another opener. */
static int set_ctx(struct group_file *file, struct ctx *ctx, struct client *client)
{
	struct vfio_group *group = file->group;
	struct leftovers left = {0};
	int rc = -EBADFD;

	pthread_mutex_lock(&group->lock);
	if (group->container || group->opener != file)
		rc = -EINVAL;
	else if (ctx)
		rc = join(group, ctx, client, &left);
	pthread_mutex_unlock(&group->lock);
	leftovers_end(&left);
	return rc;
}

static int set_container(struct group_file *file, struct client *client, uaddr_t arg)
{
	struct file *container;
	int32_t fd;
	int rc;

	if (client_copy_in(client, &fd, arg, sizeof(fd)))
		return -EFAULT;
	rc = client->ops->file(client, fd, &container);
	if (rc)
		return rc == -EBADFD ? set_ctx(file, NULL, client) : rc;
	rc = set_ctx(file, ctx_from_file(container), client);
	file_put(container);
	return rc;
}

/* With the lock held. The reference is the caller's, who drops it without. left NULL: devices that are open keep their
 * bonds. */
static struct ctx *take_container(struct vfio_group *group, struct leftovers *left)
{
	struct ctx *ctx = group->container;

	group->container = NULL;
	if (ctx) {
		atomic_fetch_sub(&ctx->compat_groups, 1);
		bonds_remove_group(ctx, group, left);
	}
	return ctx;
}

static int unset_container(struct group_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_group *group = file->group;
	struct leftovers left = {0};
	struct ctx *ctx = NULL;

	(void)client;
	(void)arg;
	pthread_mutex_lock(&group->lock);
	if (group->opener == file)
		ctx = take_container(group, &left);
	pthread_mutex_unlock(&group->lock);
	if (!ctx)
		return -EINVAL;
	leftovers_end(&left);
	file_put(&ctx->file);
	return 0;
}

/* The string, of a page at most. */
static int read_name(struct client *client, uaddr_t arg, char name[PAGE_SIZE])
{
	size_t room = PAGE_SIZE;
	size_t got;

	if (client->ops->plain) {
		room = strnlen((const char *)(uintptr_t)arg.va, PAGE_SIZE);
		if (room < PAGE_SIZE)
			room++;
	}
	got = client_read(client, name, arg, room);
	if (memchr(name, 0, got))
		return 0;
	return got < PAGE_SIZE ? -EFAULT : -EINVAL;
}

/*
 * A device of the group by its name and options, which begin with a space. The only one there is, vf_token, is for
 * devices with virtual functions, which ours are not: so any is refused.
 */
static int find_device(const struct group_file *file, const char *name, struct vfio_device **found)
{
	for (struct vfio_device *device = file->vfio->devices; device; device = device->next) {
		const size_t length = strlen(device->name);
		const char *options = name + length;

		if (device->group != file->group || strncmp(device->name, name, length) != 0)
			continue;
		if (*options && *options != ' ')
			continue;
		*found = device;
		return options[strspn(options, " ")] ? -EINVAL : 0;
	}
	return -ENODEV;
}

/* The container with a reference, or NULL. */
static struct ctx *container_get(struct group_file *file)
{
	struct vfio_group *group = file->group;
	struct ctx *ctx = NULL;

	pthread_mutex_lock(&group->lock);
	if (group->opener == file && group->container) {
		ctx = group->container;
		file_get(&ctx->file);
	}
	pthread_mutex_unlock(&group->lock);
	return ctx;
}

static int open_first(struct group_file *file, struct device_file *opened, struct client *client)
{
	struct ctx *ctx = container_get(file);
	int rc = -EINVAL;

	if (ctx)
		rc = device_file_open(opened, ctx, client);
	else
		device_give_back(opened);
	if (!rc)
		atomic_store_explicit(&opened->bound, true, memory_order_release);
	if (ctx)
		file_put(&ctx->file);
	return rc;
}

static int open_again(struct group_file *file)
{
	struct ctx *ctx = container_get(file);

	if (!ctx)
		return -EINVAL;
	file_put(&ctx->file);
	return 0;
}

/* The file that has the device open, or a new one that has taken it. */
static int find_file(struct vfio_device *device, struct device_file **file, bool *first)
{
	int rc = device_user_get(device, file);

	*first = !rc && !*file;
	if (rc)
		return rc;
	if (*first)
		*file = device_file_new(device, true);
	if (!*file)
		return -ENOMEM;
	if (*first)
		rc = device_take(*file);
	else if (!(*file)->from_group)
		rc = -EBUSY;
	if (rc)
		file_put(&(*file)->file);
	return rc;
}

/* Others find the file from then on. */
static int install(struct device_file *opened, struct client *client, int fd)
{
	int rc;

	file_get(&opened->file);
	rc = client->ops->fd_install(client, fd, &opened->file, O_RDWR | O_CLOEXEC);
	device_opened(opened);
	file_put(&opened->file);
	return rc ? rc : fd;
}

/* Returns the descriptor, or -errno; -EEXIST: it is to be tried once more. */
static int give_descriptor(struct group_file *file, struct vfio_device *device, struct client *client)
{
	const struct client_ops *ops = client->ops;
	struct device_file *opened;
	bool first;
	int fd;
	int rc = find_file(device, &opened, &first);

	if (rc)
		return rc;
	fd = rc = ops->fd_reserve(client, &opened->file);
	if (fd < 0)
		goto out_put;
	rc = first ? open_first(file, opened, client) : open_again(file);
	if (rc)
		goto out_unreserve;
	if (first && event_wanted(device->vfio->config->events))
		vfio_announce_device(device->vfio->config->events, &opened->file, client, fd, device->name);
	return install(opened, client, fd);

out_unreserve:
	ops->fd_unreserve(client, fd, &opened->file);
out_put:
	if (fd < 0 && first)
		device_give_back(opened);
	/* Its last descriptor went just now; file_ops->closed() may still come. */
	if (fd == -ENOENT && !first) {
		atomic_store(&opened->closed, true);
		rc = -EEXIST;
	}
	file_put(&opened->file);
	return rc;
}

static int get_device_fd(struct group_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_device *device;
	char name[PAGE_SIZE];
	int rc = read_name(client, arg, name);

	if (!rc)
		rc = find_device(file, name, &device);
	if (rc)
		return rc;
	group_settle(file->vfio, file->group);
	do
		rc = give_descriptor(file, device, client);
	while (rc == -EEXIST);
	return rc;
}

struct group_entry {
	unsigned cmd;
	group_command *handle;
};

static const struct group_entry commands[] = {
	{VFIO_GROUP_GET_STATUS, get_status},
	{VFIO_GROUP_SET_CONTAINER, set_container},
	{VFIO_GROUP_UNSET_CONTAINER, unset_container},
	{VFIO_GROUP_GET_DEVICE_FD, get_device_fd},
};

static long group_ioctl(struct file *f, struct client *client, unsigned cmd, uint64_t arg)
{
	struct group_file *file = group_file_of(f);
	const struct group_entry *entry = NULL;
	long rc = -ENOTTY;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands) && !entry; i++)
		if (commands[i].cmd == cmd)
			entry = &commands[i];
	if (entry)
		rc = entry->handle(file, client, uaddr(arg));
	if (event_wanted(file->vfio->config->events))
		vfio_announce_call(file->vfio->config->events, f, client, cmd, arg, rc);
	return rc;
}

/* Possibly under locks of who has found it out. */
static void group_closed(struct file *file)
{
	atomic_store(&group_file_of(file)->closed, true);
}

static void group_release(struct file *f)
{
	struct group_file *file = group_file_of(f);
	struct vfio_group *group = file->group;
	struct ctx *ctx = NULL;

	pthread_mutex_lock(&group->lock);
	if (group->opener == file) {
		group->opener = NULL;
		ctx = take_container(group, NULL);
	}
	pthread_mutex_unlock(&group->lock);
	free(file);
	if (ctx)
		file_put(&ctx->file);
}

const struct file_ops group_file_ops = {
	.name = "/dev/vfio/group",
	.ioctl = group_ioctl,
	.closed = group_closed,
	.release = group_release,
};

int vfio_group_open(struct vfio *vfio, struct vfio_group *group, struct file **file)
{
	struct group_file *made = calloc(1, sizeof(*made));
	struct ctx *left = NULL;
	int rc = 0;

	if (!made)
		return -ENOMEM;
	file_init(&made->file, &group_file_ops);
	made->file.serial = atomic_fetch_add_explicit(&vfio->config->file_serial, 1, memory_order_relaxed) + 1;
	made->vfio = vfio;
	made->group = group;
	group_settle(vfio, group);
	pthread_mutex_lock(&group->lock);
	if (atomic_load(&group->cdevs) || group_is_open(group)) {
		rc = -EBUSY;
	} else {
		left = take_container(group, NULL);
		group->opener = made;
	}
	pthread_mutex_unlock(&group->lock);
	if (left)
		file_put(&left->file);
	if (rc) {
		free(made);
		return rc;
	}
	*file = &made->file;
	return 0;
}
