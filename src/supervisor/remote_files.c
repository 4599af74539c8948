/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/remote_files.h"

#include "base/log.h"
#include "client/eventfd.h"
#include "client/file.h"
#include "client/vma.h"
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

#define NUMBERS_MAX    65536 /* of descriptors that are looked at for a free one */
#define RESERVED_FLAGS (O_RDWR | O_CLOEXEC)

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
	int err = stat_client_fd(call, fd, &st);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, fd);
	if (!eventfd_is_at(path))
		return remote_fd_flags(call, fd) & O_PATH ? -EBADF : -EINVAL;
	own = (int)syscall(__NR_pidfd_getfd, call->process->pidfd, fd, 0);
	if (own >= 0)
		return eventfd_check(own, own_fd);
	if (errno == EBADF || errno == ESRCH)
		return -EBADF;
	err = errno == EMFILE || errno == ENFILE ? -ENFILE : -EPERM;
	log_error(errno, "process %d gets no interrupts: its eventfd cannot be had, by pidfd_getfd", (int)client->pid);
	return err;
}

static bool number_is_free(struct call *call, int number)
{
	struct stat st;

	return stat_client_fd(call, number, &st) == -EBADF;
}

static int any_free_number(struct call *call, rlim_t limit)
{
	for (int number = 0; number < NUMBERS_MAX && (rlim_t)number < limit; number++)
		if (number_is_free(call, number))
			return number;
	return -EMFILE;
}

static rlim_t number_limit(const struct call *call)
{
	struct rlimit limit;

	return prlimit(call->n.tid, RLIMIT_NOFILE, NULL, &limit) < 0 ? RLIM_INFINITY : limit.rlim_cur;
}

/* A number at which reads and writes are trapped, or -EMFILE. */
static int queue_number(struct call *call, rlim_t limit)
{
	struct supervisor *s = call->supervisor;
	struct process *p = call->process;
	int found = -EMFILE;

	supervisor_lock(s);
	for (int i = 0; i < QUEUE_FDS && found < 0; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);

		if ((rlim_t)s->queue_fd + (rlim_t)i >= limit)
			break;
		if (p->queue_fds[i / 64] & bit || !number_is_free(call, s->queue_fd + i))
			continue;
		p->queue_fds[i / 64] |= bit;
		found = s->queue_fd + i;
	}
	supervisor_unlock(s);
	return found;
}

static void release_queue_number(struct call *call, int fd)
{
	int i = fd - call->supervisor->queue_fd;

	if (i < 0 || i >= QUEUE_FDS)
		return;
	supervisor_lock(call->supervisor);
	call->process->queue_fds[i / 64] &= ~(UINT64_C(1) << (i % 64));
	supervisor_unlock(call->supervisor);
}

/* Will the reply reach the client, as far as can be said? Its structure begins with its size. */
static bool reply_is_writable(struct call *call)
{
	uaddr_t reply = uaddr(call->n.args[2]);
	uint32_t size = 0;
	char path[64];
	int maps, err;

	if (client_copy_in(&call->client, &size, reply, sizeof(size)) || !size)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)call->n.tid);
	maps = open(path, O_RDONLY | O_CLOEXEC);
	if (maps < 0)
		return false;
	err = vma_check(maps, reply.va, size < PAGE_SIZE ? size : PAGE_SIZE, VMA_WRITE);
	close(maps);
	return !err;
}

/*
 * Gives the client a descriptor of a file that nobody finds by it yet, at the lowest free number as Linux does: that
 * the kernel chooses it leaves no moment in which another thread could take it. Returns the number, or -errno.
 */
static int place(struct call *call, struct file *file)
{
	struct standin *e;
	int client_fd;
	int err = standin_make(call, NULL, file, RESERVED_FLAGS, &e, &client_fd);

	if (err)
		return err;
	e->number = notify_put_fd(call->supervisor->listener, &call->n, client_fd, NOTIFY_ANY_FD,
				  RESERVED_FLAGS & O_CLOEXEC);
	close(client_fd);
	if (e->number < 0) {
		standin_abandon(call->supervisor, e);
		return -EMFILE;
	}
	call->placed = e;
	return e->number;
}

/*
 * What was placed cannot be taken back from the client: only a reply that cannot be written would make that necessary,
 * so then a number is chosen, and the client gets the descriptor when it has it, too, if the number is free still.
 * Event queues always do, as they have numbers of their own where there are any left; elsewhere only polling is as it
 * should be: see docs/limits.md.
 */
int remote_fd_reserve(struct client *client, struct file *file)
{
	struct call *call = call_of(client);
	rlim_t limit = number_limit(call);
	int number = file->ops->event_queue ? queue_number(call, limit) : -EMFILE;

	if (number >= 0)
		return number;
	return !call->placed && reply_is_writable(call) ? place(call, file) : any_free_number(call, limit);
}

static struct standin *take_placed(struct call *call, int fd)
{
	struct standin *e = call->placed;

	if (!e || e->number != fd)
		return NULL;
	call->placed = NULL;
	return e;
}

/* Its flags were not known when it was placed. */
static void correct_flags(struct call *call, struct standin *e, int o_flags)
{
	int client_fd;

	if ((o_flags & (O_ACCMODE | O_CLOEXEC)) == RESERVED_FLAGS)
		return;
	client_fd = standin_open_again(call->supervisor, e, o_flags);
	if (client_fd < 0)
		return;
	(void)notify_put_fd(call->supervisor->listener, &call->n, client_fd, e->number, o_flags & O_CLOEXEC);
	close(client_fd);
}

/*
 * Gives the client a descriptor now, at a number that was told. Consumes the reference: where it fails the file is gone
 * when this returns, as what it belongs to goes then.
 */
static int put(struct call *call, int fd, struct file *file, int o_flags)
{
	struct supervisor *s = call->supervisor;
	struct standin *e = NULL;
	int err = number_is_free(call, fd) ? 0 : -EMFILE;
	int client_fd;

	if (!err)
		err = standin_make(call, NULL, file, o_flags, &e, &client_fd);
	if (!err) {
		err = notify_put_fd(s->listener, &call->n, client_fd, fd, o_flags & O_CLOEXEC);
		close(client_fd);
	}
	if (err >= 0 || (e && err == -ENOENT)) {
		standin_publish(s, e, true); /* which finds it closed where the client is gone */
		return 0;
	}
	if (e)
		standin_abandon(s, e);
	file_put(file);
	return -EMFILE;
}

int remote_fd_install(struct client *client, int fd, struct file *file, int o_flags)
{
	struct call *call = call_of(client);
	struct standin *e = take_placed(call, fd);
	int err;

	if (e) {
		correct_flags(call, e, o_flags);
		standin_publish(call->supervisor, e, true);
		return 0;
	}
	err = put(call, fd, file, o_flags);
	release_queue_number(call, fd);
	return err;
}

void remote_fd_unreserve(struct client *client, int fd, struct file *file)
{
	struct call *call = call_of(client);
	struct standin *e = take_placed(call, fd);

	(void)file;
	if (e)
		standin_abandon(call->supervisor, e);
	else
		release_queue_number(call, fd);
}
