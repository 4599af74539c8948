/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/remote_files.h"

#include "base/log.h"
#include "client/eventfd.h"
#include "client/file.h"
#include "supervisor/process.h"
#include "supervisor/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static struct call *call_of(struct client *client)
{
	return (struct call *)client;
}

int remote_fd_stat(struct call *call, int fd, struct stat *st)
{
	char path[64];

	if (fd < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, fd);
	if (process_stat(AT_FDCWD, path, st))
		return -EBADF;
	return notify_valid(call->supervisor->listener, &call->n) ? 0 : -EBADF;
}

int remote_file(struct client *client, int fd, struct file **file)
{
	struct call *call = call_of(client);
	struct standin *e;
	struct stat st;
	int err;

	err = remote_fd_stat(call, fd, &st);
	if (err)
		return err;
	supervisor_lock(call->supervisor);
	e = standin_find(call->supervisor, &st);
	if (e)
		*file = file_get(e->file);
	supervisor_unlock(call->supervisor);
	return e ? 0 : -EBADFD;
}

/*
 * A duplicate of a client's descriptor, or -errno. A thread may have a table of its own, and the first one be gone: it
 * is asked itself, where Linux has pidfds of threads (6.9).
 */
static int duplicate_fd(struct call *call, int fd)
{
	int thread = call->n.tid == call->process->pid ? -1 : (int)syscall(__NR_pidfd_open, call->n.tid, PIDFD_THREAD);
	int own;

	if (thread >= 0 && !notify_valid(call->supervisor->listener, &call->n)) {
		close(thread); /* of another one by now */
		return -ESRCH;
	}
	own = (int)syscall(__NR_pidfd_getfd, thread >= 0 ? thread : call->process->pidfd, fd, 0);
	if (own < 0)
		own = -errno;
	if (thread >= 0)
		close(thread);
	return own;
}

/* A descriptor of ours for the client's: by pidfd, or where a container forbids that, by opening the file again. */
static int fetch_fd(struct call *call, int fd)
{
	const int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char path[64];
	int own = duplicate_fd(call, fd);

	if (own == -EPERM || own == -ENOSYS) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, fd);
		own = open(path, O_RDWR | flags);
		if (own < 0 && errno == EACCES)
			own = open(path, O_RDONLY | flags);
		own = own < 0 ? -errno : own;
	}
	if (own < 0)
		return own;
	if (fcntl(own, F_GETFL) & O_PATH) {
		close(own);
		return -EBADF; /* it only names a file */
	}
	return own;
}

/*
 * Can memory be mapped from the file? Linux takes any file here, and finds out when the memory is used. But to close a
 * file of a file server asks the server, who may never answer: such a file is not held. What is no mount's is the
 * kernel's own: a memfd.
 */
static bool may_be_memory(struct call *call, int fd)
{
	char path[64], line[1024];
	struct stat st;
	bool memory = true;
	FILE *mounts;

	if (remote_fd_stat(call, fd, &st) || st.st_dev == call->supervisor->memfd_dev)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)call->n.tid);
	mounts = fopen(path, "re");
	while (mounts && fgets(line, sizeof(line), mounts)) {
		unsigned major_number, minor_number;
		const char *type = strstr(line, " - ");

		if (sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) != 2 || !type ||
		    makedev(major_number, minor_number) != st.st_dev)
			continue;
		memory = !strncmp(type, " - tmpfs ", 9) || !strncmp(type, " - hugetlbfs ", 13);
		break;
	}
	if (mounts)
		fclose(mounts);
	return memory;
}

int remote_fd_flags(const struct call *call, int fd)
{
	char path[64], line[128];
	int flags = -EBADF;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)call->n.tid, fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info))
		if (!strncmp(line, "flags:", 6))
			flags = (int)strtol(line + 6, NULL, 8);
	if (info)
		fclose(info);
	return flags;
}

static int memory_of(int fd, struct memory_file **out)
{
	struct memory_file *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	atomic_init(&memory->refs, 1);
	memory->fd = fd;
	*out = memory;
	return 0;
}

/* A file of ours is a dma-buf or no memory; to hold it would keep it from ever being closed. Consumes the reference. */
static int memory_of_ours(struct file *file, struct memory_file **out)
{
	int err = file->ops->memory ? file->ops->memory(file, out) : memory_of(-1, out);

	file_put(file);
	return err;
}

int remote_memory_file(struct client *client, int fd, struct memory_file **out)
{
	struct call *call = call_of(client);
	struct file *ours;
	int own = -1;
	int err;

	err = remote_file(client, fd, &ours);
	if (err == -EBADF)
		return err;
	if (!err)
		return memory_of_ours(ours, out);
	if (may_be_memory(call, fd))
		own = fetch_fd(call, fd);
	else if (remote_fd_flags(call, fd) & O_PATH) /* it only names a file, or is gone */
		return -EBADF;
	if (own < -1) {
		if (own == -EMFILE || own == -ENFILE)
			log_error(own, "no descriptor left for the file that process %d maps", (int)client->pid);
		return own == -EMFILE ? -ENFILE : own;
	}
	err = memory_of(own, out);
	if (!err)
		(*out)->holds = call->supervisor->holds;
	else if (own >= 0)
		close(own);
	return err;
}

/* What is none is not fetched: to close it might ask a file server. An eventfd cannot be opened again, so only a pidfd
 * gives it. */
int remote_eventfd(struct client *client, int fd, int *own_fd)
{
	struct call *call = call_of(client);
	char path[64];
	struct stat st;
	int own;
	int err = remote_fd_stat(call, fd, &st);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, fd);
	if (!eventfd_is_at(path))
		return remote_fd_flags(call, fd) & O_PATH ? -EBADF : -EINVAL;
	own = duplicate_fd(call, fd);
	if (own >= 0 && !supervisor_has_room(call->supervisor, own)) {
		close(own);
		return -ENFILE;
	}
	if (own >= 0)
		return eventfd_check(own, own_fd);
	if (own == -EBADF || own == -ESRCH)
		return -EBADF;
	err = own == -EMFILE || own == -ENFILE ? -ENFILE : -EPERM;
	log_error(own, "process %d gets no interrupts: its eventfd cannot be had, by pidfd_getfd", (int)client->pid);
	return err;
}
