/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three processes. The launcher is what the user started: it stays in the foreground, passes signals on, and exits as
 * the program does. The supervisor is its child, with the overlay and all threads; it outlives the launcher while
 * anything runs that was started below the program. The program is the supervisor's child, so that it may be looked at
 * where only descendants may be, and in the launcher's process group, so that the terminal is its own.
 *
 * The launcher learns over a socket which process the program is and how it ended. Should the supervisor die, the
 * program becomes the launcher's own child.
 */
#include "supervisor/launch.h"

#include "base/log.h"
#include "supervisor/inherited.h"
#include "supervisor/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH};

struct launcher {
	struct inherited inherited;
	int channel;
	int signals;
	pid_t supervisor;
	pid_t program; /* 0: not started yet */
	int status;    /* to exit with */
};

/* From now on the signals that the program shall get wait in the descriptor. What the user ignores stays ignored. */
static int hold_signals(struct launcher *l)
{
	sigset_t held;

	sigemptyset(&held);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		if (l->inherited.actions[passed_on[i]].sa_handler != SIG_IGN)
			sigaddset(&held, passed_on[i]);
	sigprocmask(SIG_BLOCK, &held, NULL);
	l->signals = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
	return l->signals < 0 ? -errno : 0;
}

static bool is_stopped(pid_t pid)
{
	char path[64];
	char state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(f);
	return state == 'T';
}

static void pass_signals_on(const struct launcher *l)
{
	struct signalfd_siginfo info;

	while (read(l->signals, &info, sizeof(info)) == sizeof(info)) {
		/* What the terminal sends, the program gets from the terminal. */
		if (info.ssi_code > 0)
			continue;
		/* A shell continues the whole group: then the program goes on already. */
		if (info.ssi_signo != SIGCONT || is_stopped(l->program))
			kill(l->program, (int)info.ssi_signo);
	}
}

static int status_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? EXIT_SIGNAL_BASE + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* The supervisor is gone without a word. The program, if there is one, is ours to wait for. */
static void outlive_supervisor(struct launcher *l)
{
	int status;
	pid_t pid;

	l->status = EXIT_OWN_FAILURE;
	if (!l->program)
		return; /* it has said why */
	log_line("the supervisor was killed: programs under it get ENOSYS from the calls that it served");
	do
		pid = waitpid(l->program, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (pid > 0)
		l->status = status_of(status);
}

/* Stops as the program has stopped, so that the shell sees it. Where the terminal stopped both, that is over by now. */
static void stop_too(const struct launcher *l)
{
	if (is_stopped(l->program))
		raise(SIGSTOP);
}

/* Returns false once the status to exit with is known. */
static bool hear(struct launcher *l)
{
	struct launch_report report;
	ssize_t n = recv(l->channel, &report, sizeof(report), 0);

	if (n < 0 && errno == EINTR)
		return true;
	if (n != sizeof(report)) {
		outlive_supervisor(l);
		return false;
	}
	/* Not every init reaps what is left to it. */
	if (report.last)
		waitpid(l->supervisor, NULL, 0);
	switch (report.what) {
	case REPORT_STARTED:
		l->program = report.value;
		return true;
	case REPORT_STOPPED:
		stop_too(l);
		return true;
	case REPORT_ENDED:
		l->status = status_of(report.value);
		return false;
	case REPORT_FAILED:
		l->status = report.value;
		return false;
	}
	return true;
}

static void wait_for_end(struct launcher *l)
{
	struct pollfd p[] = {{.fd = l->channel, .events = POLLIN}, {.events = POLLIN}};

	for (;;) {
		/* Signals that come before the program is there wait for it. */
		p[1].fd = l->program ? l->signals : -1;
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			pass_signals_on(l);
		if (p[0].revents && !hear(l))
			return;
	}
}

/* Returns 0 in the launcher, or -errno. */
static int start_supervisor(struct launcher *l, const struct launch_options *options, char **argv)
{
	int channel[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
		return -errno;
	l->supervisor = fork();
	if (l->supervisor < 0)
		return -errno;
	if (!l->supervisor) {
		close(channel[0]);
		close(l->signals);
		_exit(serve(options, &l->inherited, argv, channel[1]));
	}
	close(channel[1]);
	l->channel = channel[0];
	return 0;
}

int launch(const struct launch_options *options, char **argv)
{
	struct launcher l = {.status = EXIT_OWN_FAILURE};
	int err;

	err = inherited_save(&l.inherited);
	if (!err)
		err = hold_signals(&l);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (!err)
		err = start_supervisor(&l, options, argv);
	if (err) {
		log_error(err, "cannot start the supervisor");
		return EXIT_OWN_FAILURE;
	}
	inherited_let_go(&l.inherited);
	wait_for_end(&l);
	inherited_free(&l.inherited);
	return l.status;
}
