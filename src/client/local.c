/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "client/local.h"

#include "client/cgroup.h"
#include "client/eventfd.h"
#include "client/file.h"
#include "client/local_mm.h"
#include "client/local_region.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The inode number of the initial user namespace: a constant of Linux. */
#define INITIAL_USER_NAMESPACE 4026531837U

/* A memory file, found again by inode and access mode. */
struct local_memory {
	struct memory_file file;
	struct local *local;
	struct local_memory *next;
	dev_t dev;
	ino_t ino;
	int access_mode;
};

static struct local *local_of(struct client *client)
{
	return ((struct local_client *)client)->local;
}

static size_t checked_read(struct client *client, void *dst, uaddr_t src, size_t n)
{
	(void)client;
	return local_mm_copy(dst, (const void *)(uintptr_t)src.va, n);
}

static int checked_copy_out(struct client *client, uaddr_t dst, const void *src, size_t n)
{
	struct iovec from = {(void *)(uintptr_t)src, n};
	struct iovec to = {(void *)(uintptr_t)dst.va, n};

	(void)client;
	return !n || process_vm_writev(getpid(), &from, 1, &to, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

static size_t trusted_read(struct client *client, void *dst, uaddr_t src, size_t n)
{
	(void)client;
	memcpy(dst, (const void *)(uintptr_t)src.va, n);
	return n;
}

static int trusted_copy_out(struct client *client, uaddr_t dst, const void *src, size_t n)
{
	(void)client;
	memcpy((void *)(uintptr_t)dst.va, src, n);
	return 0;
}

static struct mm *local_mm(struct client *client)
{
	return local_of(client)->mm;
}

static int local_file(struct client *client, int fd, struct file **file)
{
	struct local *local = local_of(client);

	return local->files->file(local->files_context, fd, file);
}

static void local_memory_release(struct memory_file *file)
{
	struct local_memory *memory = (struct local_memory *)file;
	struct local *local = memory->local;
	struct local_memory **link;

	pthread_mutex_lock(&local->lock);
	for (link = &local->memory; *link != memory; link = &(*link)->next)
		continue;
	*link = memory->next;
	pthread_mutex_unlock(&local->lock);
	close(file->fd);
	free(memory);
}

void memory_file_put(struct memory_file *file)
{
	if (atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (file->release) {
		file->release(file);
		return;
	}
	if (file->fd >= 0)
		close(file->fd);
	free(file);
}

static int no_memory_file(struct memory_file **file)
{
	struct memory_file *none = calloc(1, sizeof(*none));

	if (!none)
		return -ENOMEM;
	atomic_init(&none->refs, 1);
	none->fd = -1;
	*file = none;
	return 0;
}

static bool get_unless_zero(struct memory_file *file)
{
	unsigned refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&file->refs, &refs, refs + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

/* With the lock held. One with no references is on its way out and does not count. */
static struct local_memory *find_memory(struct local *local, const struct stat *st, int access_mode)
{
	for (struct local_memory *m = local->memory; m; m = m->next)
		if (m->dev == st->st_dev && m->ino == st->st_ino && m->access_mode == access_mode &&
		    get_unless_zero(&m->file))
			return m;
	return NULL;
}

static int add_memory(struct local *local, int fd, const struct stat *st, int access_mode, struct local_memory **out)
{
	struct local_memory *memory = malloc(sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	*memory = (struct local_memory){
		.file = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
			 .release = local_memory_release,
			 .holds = local_mm_holds(local->mm)},
		.local = local,
		.next = local->memory,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.access_mode = access_mode,
	};
	if (memory->file.fd < 0) {
		int err = errno == EMFILE || errno == EINVAL ? ENFILE : errno; /* EINVAL: the limit is 0 */

		free(memory);
		return -err;
	}
	atomic_init(&memory->file.refs, 1);
	local->memory = memory;
	*out = memory;
	return 0;
}

static int local_memory_file(struct client *client, int fd, struct memory_file **file)
{
	struct local *local = local_of(client);
	struct local_memory *memory;
	struct file *ours;
	struct stat st;
	int flags;
	int rc = local_file(client, fd, &ours);

	if (!rc) {
		rc = ours->ops->memory ? ours->ops->memory(ours, file) : no_memory_file(file);
		file_put(ours);
		return rc;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || flags & O_PATH || fstat(fd, &st))
		return -EBADF;
	pthread_mutex_lock(&local->lock);
	memory = find_memory(local, &st, flags & O_ACCMODE);
	rc = memory ? 0 : add_memory(local, fd, &st, flags & O_ACCMODE, &memory);
	pthread_mutex_unlock(&local->lock);
	if (!rc)
		*file = &memory->file;
	return rc;
}

static int local_eventfd(struct client *client, int fd, int *own_fd)
{
	struct file *ours;
	int own;

	if (!local_file(client, fd, &ours)) {
		file_put(ours);
		return -EINVAL;
	}
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return errno == EBADF ? -EBADF : -ENFILE;
	return eventfd_check(own, own_fd);
}

static int local_fd_reserve(struct client *client, struct file *file)
{
	struct local *local = local_of(client);

	return local->files->fd_reserve(local->files_context, file);
}

static int local_fd_install(struct client *client, int fd, struct file *file, int o_flags)
{
	struct local *local = local_of(client);

	return local->files->fd_install(local->files_context, fd, file, o_flags);
}

static void local_fd_unreserve(struct client *client, int fd, struct file *file)
{
	struct local *local = local_of(client);

	local->files->fd_unreserve(local->files_context, fd, file);
}

/* What another process allows would have to be asked of the kernel as if by this one, which nobody needs. */
static int local_find_mm(struct client *client, pid_t pid, struct mm **mm)
{
	struct local *local = local_of(client);

	if (pid == local->pid) {
		*mm = mm_get(local->mm);
		return 0;
	}
	return pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH) ? -ESRCH : -EACCES;
}

/* The thread's effective capabilities, which count only in the initial user namespace. 0 where they cannot be read. */
static uint64_t own_capabilities(void)
{
	unsigned long long effective = 0;
	struct stat ns;
	char line[256];
	FILE *status;

	if (stat("/proc/self/ns/user", &ns) || ns.st_ino != INITIAL_USER_NAMESPACE)
		return 0;
	status = fopen("/proc/thread-self/status", "re");
	if (!status)
		return 0;
	while (fgets(line, sizeof(line), status))
		if (!strncmp(line, "CapEff:", 7))
			effective = strtoull(line + 7, NULL, 16);
	fclose(status);
	return effective;
}

static bool local_capable(struct client *client, int cap)
{
	struct local *local = local_of(client);
	uint64_t capabilities = local->own_capabilities ? own_capabilities() : local->capabilities;

	return capabilities >> cap & 1;
}

static int local_cgroup(struct client *client, char *path, size_t room)
{
	(void)client;
	return cgroup_of(0, path, room);
}

static const struct client_ops checked_ops = {
	.read = checked_read,
	.copy_out = checked_copy_out,
	.mm = local_mm,
	.file = local_file,
	.memory_file = local_memory_file,
	.eventfd = local_eventfd,
	.fd_reserve = local_fd_reserve,
	.fd_install = local_fd_install,
	.fd_unreserve = local_fd_unreserve,
	.region_new = local_region_new,
	.find_mm = local_find_mm,
	.cgroup = local_cgroup,
	.capable = local_capable,
};

static const struct client_ops trusted_ops = {
	.plain = true,
	.read = trusted_read,
	.copy_out = trusted_copy_out,
	.mm = local_mm,
	.file = local_file,
	.memory_file = local_memory_file,
	.eventfd = local_eventfd,
	.fd_reserve = local_fd_reserve,
	.fd_install = local_fd_install,
	.fd_unreserve = local_fd_unreserve,
	.region_new = local_region_new,
	.find_mm = local_find_mm,
	.cgroup = local_cgroup,
	.capable = local_capable,
};

int local_init(struct local *local)
{
	char from = 0;
	char to;
	struct iovec src = {&from, 1};
	struct iovec dst = {&to, 1};

	if (local->kind == LOCAL_CHECKED && process_vm_readv(getpid(), &dst, 1, &src, 1, 0) != 1)
		return -ENOSYS;
	local->mm = local_mm_new(local->kind == LOCAL_TRUSTED);
	if (!local->mm)
		return -ENOMEM;
	pthread_mutex_init(&local->lock, NULL);
	local->memory = NULL;
	local->pid = local->mm->pid;
	return 0;
}

void local_fini(struct local *local)
{
	mm_put(local->mm);
	pthread_mutex_destroy(&local->lock);
}

void local_client_init(struct local_client *client, struct local *local, int fd)
{
	client->client.ops = local->kind == LOCAL_TRUSTED ? &trusted_ops : &checked_ops;
	client->client.pid = local->pid;
	client->client.tid = local->pid;
	client->client.fd = fd;
	client->local = local;
}
