/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/remote_files.h"

#include "base/log.h"
#include "client/file.h"
#include "supervisor/process.h"
#include "supervisor/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NUMBERS_MAX 65536 /* of descriptors that are looked at for a free one */

static struct call *call_of(struct client *client)
{
	return (struct call *)client;
}

static int stat_client_fd(struct call *call, int fd, struct stat *st)
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

	err = stat_client_fd(call, fd, &st);
	if (err)
		return err;
	supervisor_lock(call->supervisor);
	e = standin_find(call->supervisor, &st);
	if (e)
		*file = file_get(e->file);
	supervisor_unlock(call->supervisor);
	return e ? 0 : -EBADFD;
}

/* A descriptor of ours for the client's: by pidfd, or where a container forbids that, by opening the file again. */
static int fetch_fd(struct call *call, int fd)
{
	const int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char path[64];
	int own = (int)syscall(__NR_pidfd_getfd, call->process->pidfd, fd, 0);

	if (own < 0 && (errno == EPERM || errno == ENOSYS)) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, fd);
		own = open(path, O_RDWR | flags);
		if (own < 0 && errno == EACCES)
			own = open(path, O_RDONLY | flags);
	}
	if (own < 0)
		return -errno;
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

	if (stat_client_fd(call, fd, &st) || st.st_dev == call->supervisor->memfd_dev)
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

/* Was the descriptor opened with O_PATH? */
static bool only_names_a_file(const struct call *call, int fd)
{
	char path[64], line[128];
	bool named = false;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)call->n.tid, fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info))
		if (!strncmp(line, "flags:", 6))
			named = strtol(line + 6, NULL, 8) & O_PATH;
	if (info)
		fclose(info);
	return named;
}

int remote_memory_file(struct client *client, int fd, struct memory_file **out)
{
	struct call *call = call_of(client);
	struct memory_file *memory;
	struct file *ours;
	int own = -1;
	int err;

	err = remote_file(client, fd, &ours);
	if (err == -EBADF)
		return err;
	if (!err)
		file_put(ours); /* no memory, and holding it would keep it from ever being closed */
	else if (may_be_memory(call, fd))
		own = fetch_fd(call, fd);
	else if (only_names_a_file(call, fd))
		return -EBADF;
	if (own < -1) {
		if (own == -EMFILE || own == -ENFILE)
			log_error(own, "no descriptor left for the file that process %d maps", (int)client->pid);
		return own == -EMFILE ? -ENFILE : own;
	}
	memory = calloc(1, sizeof(*memory));
	if (!memory) {
		if (own >= 0)
			close(own);
		return -ENOMEM;
	}
	atomic_init(&memory->refs, 1);
	memory->fd = own;
	*out = memory;
	return 0;
}

static bool number_is_free(struct call *call, int number)
{
	struct stat st;

	return stat_client_fd(call, number, &st) == -EBADF;
}

/* Any number is better than none, but only polling is as it should be there: see docs/limits.md. */
static int any_free_number(struct call *call, rlim_t limit)
{
	for (int number = 0; number < NUMBERS_MAX && (rlim_t)number < limit; number++)
		if (number_is_free(call, number))
			return number;
	return -EMFILE;
}

int remote_fd_reserve(struct client *client, struct file *file)
{
	struct call *call = call_of(client);
	struct supervisor *s = call->supervisor;
	struct process *p = call->process;
	struct rlimit limit;
	int found = -EMFILE;

	(void)file;
	if (prlimit(client->tid, RLIMIT_NOFILE, NULL, &limit) < 0)
		limit.rlim_cur = RLIM_INFINITY;
	supervisor_lock(s);
	for (int i = 0; i < QUEUE_FDS && found < 0; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);

		if ((rlim_t)s->queue_fd + (rlim_t)i >= limit.rlim_cur)
			break;
		if (p->queue_fds[i / 64] & bit || !number_is_free(call, s->queue_fd + i))
			continue;
		p->queue_fds[i / 64] |= bit;
		found = s->queue_fd + i;
	}
	supervisor_unlock(s);
	return found < 0 ? any_free_number(call, limit.rlim_cur) : found;
}

static void release_number(struct call *call, int fd)
{
	int i = fd - call->supervisor->queue_fd;

	if (i < 0 || i >= QUEUE_FDS)
		return;
	supervisor_lock(call->supervisor);
	call->process->queue_fds[i / 64] &= ~(UINT64_C(1) << (i % 64));
	supervisor_unlock(call->supervisor);
}

int remote_fd_install(struct client *client, int fd, struct file *file, int o_flags)
{
	struct call *call = call_of(client);
	int client_fd;
	int err;

	err = standin_open_queue(call, file, &client_fd);
	if (err) {
		file_put(file);
		release_number(call, fd);
		return -EMFILE;
	}
	err = notify_put_fd(call->supervisor->listener, &call->n, client_fd, fd, o_flags & O_CLOEXEC);
	release_number(call, fd);
	close(client_fd); /* where the client has none, this is the last, and the queue is closed */
	return err < 0 && err != -ENOENT ? -EMFILE : 0;
}

void remote_fd_unreserve(struct client *client, int fd, struct file *file)
{
	(void)file;
	release_number(call_of(client), fd);
}
