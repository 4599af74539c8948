/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Most descriptors are the lowest number that is free, as in Linux: that the kernel chooses it leaves no moment in
 * which another thread could take it. Event queues and devices have numbers of a window, at which their reads and
 * writes are trapped, where one is left. Elsewhere only polling is as it should be, and of a device what lies at high
 * positions: see docs/limits.md.
 */
#include "supervisor/remote_give.h"

#include "client/file.h"
#include "client/vma.h"
#include "supervisor/remote_files.h"
#include "supervisor/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define NUMBERS_MAX    65536 /* of descriptors that are looked at for a free one */
#define RESERVED_FLAGS (O_RDWR | O_CLOEXEC)

static struct call *call_of(struct client *client)
{
	return (struct call *)client;
}

static bool number_is_free(struct call *call, int number)
{
	struct stat st;

	return remote_fd_stat(call, number, &st) == -EBADF;
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

/* A number of the window, kept from others until it is released, or -EMFILE. */
static int window_number(struct call *call, rlim_t limit)
{
	struct supervisor *s = call->supervisor;
	struct process *p = call->process;
	int found = -EMFILE;

	supervisor_lock(s);
	for (int i = 0; i < WINDOW_FDS && found < 0; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);

		if ((rlim_t)s->window_fd + (rlim_t)i >= limit)
			break;
		if (p->window_fds[i / 64] & bit || !number_is_free(call, s->window_fd + i))
			continue;
		p->window_fds[i / 64] |= bit;
		found = s->window_fd + i;
	}
	supervisor_unlock(s);
	return found;
}

static void release_window_number(struct call *call, int fd)
{
	int i = fd - call->supervisor->window_fd;

	if (i < 0 || i >= WINDOW_FDS)
		return;
	supervisor_lock(call->supervisor);
	call->process->window_fds[i / 64] &= ~(UINT64_C(1) << (i % 64));
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

/* Gives the client a descriptor of a file that nobody finds by it yet. Returns the number, or -errno. */
static int place(struct call *call, struct file *file)
{
	struct standin *e;
	int client_fd, number;
	int err = standin_make(call, NULL, file, RESERVED_FLAGS, &e, &client_fd);

	if (err)
		return err;
	number = notify_put_fd(call->supervisor->listener, &call->n, client_fd, NOTIFY_ANY_FD,
			       RESERVED_FLAGS & O_CLOEXEC);
	close(client_fd);
	if (number < 0) {
		standin_abandon(call->supervisor, e);
		return -EMFILE;
	}
	call->reserved = (struct fd_reservation){.standin = e, .number = number, .fd = -1};
	return number;
}

/* Takes back what has been reserved, as far as the client does not have it. */
static void let_go(struct call *call, const struct fd_reservation *r)
{
	if (r->fd >= 0)
		close(r->fd);
	if (!r->again)
		standin_abandon(call->supervisor, r->standin);
}

/*
 * A device needs its stand-in before the client has the descriptor: its memory is there. No reply is to be written, so
 * the client gets it last of all, and what fails before that leaves nothing behind.
 */
static int reserve_device(struct call *call, struct file *file, rlim_t limit)
{
	struct fd_reservation r = {0};
	int err = 0;

	if (call->reserved.standin)
		return -ENFILE;
	r.again = !standin_claim(call->supervisor, file);
	if (r.again)
		r.fd = standin_open_another(call->supervisor, file, &r.standin);
	else
		err = standin_make(call, NULL, file, RESERVED_FLAGS, &r.standin, &r.fd);
	if (err)
		standin_unclaim(call->supervisor, file);
	if (err || r.fd < 0)
		return err ? err : r.fd;
	r.number = window_number(call, limit);
	if (r.number < 0)
		r.number = any_free_number(call, limit);
	if (r.number < 0) {
		let_go(call, &r);
		return r.number;
	}
	call->reserved = r;
	return r.number;
}

/*
 * What was placed cannot be taken back from the client: only a reply that cannot be written would make that necessary,
 * so then a number is chosen, and the client gets the descriptor when it has it, too, if the number is free still.
 * Event queues always do, and devices.
 */
int remote_fd_reserve(struct client *client, struct file *file)
{
	struct call *call = call_of(client);
	rlim_t limit = number_limit(call);
	int number = -EMFILE;

	if (file->ops->device)
		return reserve_device(call, file, limit);
	if (file->ops->event_queue)
		number = window_number(call, limit);
	if (number >= 0)
		return number;
	return !call->reserved.standin && reply_is_writable(call) ? place(call, file) : any_free_number(call, limit);
}

static struct fd_reservation take_reservation(struct call *call, int fd)
{
	struct fd_reservation r = call->reserved;

	if (!r.standin || r.number != fd)
		return (struct fd_reservation){0};
	call->reserved = (struct fd_reservation){0};
	return r;
}

/* The flags of what the client has already were not known when it was placed. */
static void correct_flags(struct call *call, const struct fd_reservation *r, int o_flags)
{
	int client_fd;

	if ((o_flags & (O_ACCMODE | O_CLOEXEC)) == RESERVED_FLAGS)
		return;
	client_fd = standin_open_again(call->supervisor, r->standin, o_flags);
	if (client_fd < 0)
		return;
	(void)notify_put_fd(call->supervisor->listener, &call->n, client_fd, r->number, o_flags & O_CLOEXEC);
	close(client_fd);
}

/*
 * Gives the client a descriptor now, at a number that was told. Consumes the reference: where it fails the file is gone
 * when this returns, as what it belongs to goes then.
 */
static int give(struct call *call, struct fd_reservation *r, struct file *file, int o_flags)
{
	struct supervisor *s = call->supervisor;
	int err = -EMFILE;

	if (number_is_free(call, r->number))
		err = notify_put_fd(s->listener, &call->n, r->fd, r->number, o_flags & O_CLOEXEC);
	if (err < 0 && err != -ENOENT) {
		let_go(call, r);
		file_put(file);
		return -EMFILE;
	}
	close(r->fd);
	if (r->again)
		file_put(file); /* of the descriptors' one reference there is one already */
	else
		standin_publish(s, r->standin, true); /* which finds it closed where the client is gone */
	return 0;
}

int remote_fd_install(struct client *client, int fd, struct file *file, int o_flags)
{
	struct call *call = call_of(client);
	struct fd_reservation r = take_reservation(call, fd);
	int err = 0;

	if (r.standin && r.fd < 0) {
		correct_flags(call, &r, o_flags);
		standin_publish(call->supervisor, r.standin, true);
		return 0;
	}
	if (!r.standin) {
		r.number = fd;
		err = standin_make(call, NULL, file, o_flags, &r.standin, &r.fd);
	}
	if (err) {
		file_put(file);
		err = -EMFILE;
	} else {
		err = give(call, &r, file, o_flags);
	}
	release_window_number(call, fd);
	return err;
}

void remote_fd_unreserve(struct client *client, int fd, struct file *file)
{
	struct call *call = call_of(client);
	struct fd_reservation r = take_reservation(call, fd);

	(void)file;
	if (r.standin)
		let_go(call, &r);
	release_window_number(call, fd);
}

int remote_fd_open(struct call *call, bool device, int own, int o_flags)
{
	int number = device ? window_number(call, number_limit(call)) : -EMFILE;
	int given = notify_put_fd(call->supervisor->listener, &call->n, own, number < 0 ? NOTIFY_ANY_FD : number,
				  o_flags & O_CLOEXEC);

	if (number >= 0)
		release_window_number(call, number);
	return given;
}
