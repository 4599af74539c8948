/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/notify.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <fcntl.h>
#include <linux/seccomp.h>

/* Linux 6.6; older headers lack it. */
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      _IOW(SECCOMP_IOC_MAGIC, 4, uint64_t)
#endif

void notify_prepare(int listener)
{
	/* The waker and the woken are never busy at once, so both may stay on one processor: a fifth of the latency. */
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

/* A worker may be called back by a signal; that is for its receive only. */
static int retry_ioctl(int listener, unsigned long command, void *arg)
{
	int rc;

	do
		rc = ioctl(listener, command, arg);
	while (rc < 0 && errno == EINTR);
	return rc;
}

int notify_receive(int listener, struct notification *n)
{
	/* Room for fields that newer kernels append; the request must be zero. */
	union {
		struct seccomp_notif notif;
		unsigned char room[256];
	} u;

	memset(&u, 0, sizeof(u));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &u.notif) < 0)
		return -errno;
	n->id = u.notif.id;
	n->tid = (pid_t)u.notif.pid;
	n->nr = u.notif.data.nr;
	n->ip = u.notif.data.instruction_pointer;
	for (int i = 0; i < 6; i++)
		n->args[i] = u.notif.data.args[i];
	return 0;
}

bool notify_valid(int listener, const struct notification *n)
{
	uint64_t id = n->id;

	return retry_ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static void send_response(int listener, const struct seccomp_notif_resp *resp)
{
	union {
		struct seccomp_notif_resp resp;
		unsigned char room[128];
	} u;

	memset(&u, 0, sizeof(u));
	u.resp = *resp;
	(void)retry_ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &u.resp);
}

void notify_answer(int listener, const struct notification *n, int64_t result)
{
	struct seccomp_notif_resp resp = {.id = n->id};

	if (result < 0)
		resp.error = (int)result;
	else
		resp.val = result;
	send_response(listener, &resp);
}

void notify_continue(int listener, const struct notification *n)
{
	send_response(listener, &(struct seccomp_notif_resp){
					.id = n->id,
					.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
				});
}

/* What the kernel itself has a call return that a signal keeps from beginning; a program never sees it. */
#define ERESTARTNOINTR 513

void notify_repeat(int listener, const struct notification *n)
{
	notify_answer(listener, n, -ERESTARTNOINTR);
}

int notify_put_fd(int listener, const struct notification *n, int fd, int number, bool cloexec)
{
	struct seccomp_notif_addfd add = {
		.id = n->id,
		.flags = number == NOTIFY_ANY_FD ? 0 : SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (unsigned)fd,
		.newfd = number == NOTIFY_ANY_FD ? 0 : (unsigned)number,
		.newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	int put = retry_ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);

	return put < 0 ? -errno : put;
}
