/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/program.h"

#include "base/log.h"
#include "supervisor/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A descriptor in a message of one int: 0, or the -errno for which there is none. */
static int send_listener(int channel, int listener)
{
	int word = listener < 0 ? listener : 0;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {{0}};
	struct iovec data = {&word, sizeof(word)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (listener >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &listener, sizeof(int));
	}
	return sendmsg(channel, &message, 0) < 0 ? -errno : 0;
}

static int receive_listener(int channel)
{
	int word, listener;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {{0}};
	struct iovec data = {&word, sizeof(word)};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(word))
		return n < 0 ? -errno : -ECHILD;
	if (word < 0)
		return word;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)))
		return -ENFILE;
	memcpy(&listener, CMSG_DATA(&control.header), sizeof(int));
	return listener;
}

static void run_child(const struct program_start *start, int channel, int failed)
{
	int listener, err;

	inherited_restore(start->inherited);
	listener = filter_install(&start->filter);
	/* Without the right to administer the system, the program and its own must give up setuid programs first. */
	if (listener == -EACCES && !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		listener = filter_install(&start->filter);
	err = send_listener(channel, listener);
	if (listener < 0 || err)
		_exit(1);
	close(listener);
	close(channel);
	execvp(start->argv[0], start->argv);
	err = errno;
	(void)!write(failed, &err, sizeof(err));
	_exit(1);
}

void program_explain(int err)
{
	switch (-err) {
	case EBUSY:
		log_line("another supervisor (iommuse itself, a container manager, a sandbox) listens to this "
			 "program's system "
			 "calls already, and Linux allows one: run iommuse outside of it");
		break;
	case ENOSYS:
	case EINVAL:
		log_line("this kernel has no seccomp user notification (Linux 5.9 or later, CONFIG_SECCOMP_FILTER, is "
			 "needed): "
			 "see iommuse doctor");
		break;
	default:
		log_error(err, "the seccomp filter cannot be installed: see iommuse doctor");
	}
}

int program_start(const struct program_start *start, struct program *program)
{
	int channel[2] = {-1, -1};
	int failed[2] = {-1, -1};
	int err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0 || pipe2(failed, O_CLOEXEC) < 0) {
		err = -errno;
		log_error(err, "cannot start the program");
		goto out_close;
	}
	program->pid = fork();
	if (program->pid < 0) {
		err = -errno;
		log_error(err, "cannot start the program");
		goto out_close;
	}
	if (!program->pid) {
		close(channel[0]);
		close(failed[0]);
		run_child(start, channel[1], failed[1]);
	}
	close(channel[1]);
	close(failed[1]);
	channel[1] = failed[1] = -1;
	program->listener = receive_listener(channel[0]);
	err = program->listener < 0 ? program->listener : 0;
	if (err) {
		program_explain(err);
		waitpid(program->pid, NULL, 0);
		goto out_close;
	}
	close(channel[0]);
	program->failed = failed[0];
	return 0;

out_close:
	for (int i = 0; i < 2; i++) {
		if (channel[i] >= 0)
			close(channel[i]);
		if (failed[i] >= 0)
			close(failed[i]);
	}
	return err;
}
