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
#include <time.h>
#include <unistd.h>

#define REAP_MS 500

/* What the launcher keeps for itself: what cannot be caught, what its own faults raise, and what its terminal does to
 * it. */
static const int kept[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP,
			   SIGABRT, SIGSYS,  SIGCHLD, SIGTTIN, SIGTTOU, SIGXFSZ, SIGURG};

/* What the terminal sends to the whole group: the program gets it from there. */
static const int from_terminal[] = {SIGINT, SIGQUIT, SIGTSTP, SIGWINCH, SIGHUP, SIGCONT};

static bool is_in(const int *list, size_t count, int signal)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == signal)
			return true;
	return false;
}

#define IS_IN(list, signal) is_in(list, sizeof(list) / sizeof(*(list)), signal)

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
	for (int signal = 1; signal < NSIG; signal++)
		if (!IS_IN(kept, signal) && l->inherited.actions[signal].sa_handler != SIG_IGN)
			sigaddset(&held, signal);
	sigprocmask(SIG_BLOCK, &held, NULL);
	/* SIGCHLD ignored would take our children's status from us. */
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
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

/* Stops this process as a signal does that is held otherwise, so that the shell sees which. */
static void stop_by(int signal)
{
	sigset_t this;

	sigemptyset(&this);
	sigaddset(&this, signal);
	raise(signal);
	sigprocmask(SIG_UNBLOCK, &this, NULL);
	sigprocmask(SIG_BLOCK, &this, NULL);
}

static void pass_signals_on(const struct launcher *l)
{
	struct signalfd_siginfo info;

	while (read(l->signals, &info, sizeof(info)) == sizeof(info)) {
		/* We were to go on because the program did. */
		if (info.ssi_signo == SIGCONT && info.ssi_pid == (uint32_t)l->supervisor)
			continue;
		if (info.ssi_code > 0 && info.ssi_signo == SIGTSTP)
			stop_by(SIGTSTP);
		if (info.ssi_code > 0 && IS_IN(from_terminal, (int)info.ssi_signo))
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
	if (!l->program) {
		if (waitpid(l->supervisor, &status, 0) == l->supervisor && WIFSIGNALED(status))
			log_line("the supervisor was killed by signal %d before the program was started",
				 WTERMSIG(status));
		return; /* else it has said why */
	}
	log_line("the supervisor was killed: programs under it get ENOSYS from the calls that it served");
	do
		pid = waitpid(l->program, &status, 0);
	while (pid < 0 && errno == EINTR);
	if (pid > 0)
		l->status = status_of(status);
}

/* Stops as the program has stopped, so that the shell sees it. Where the terminal stopped both, that is over by now. */
static void stop_too(const struct launcher *l, int signal)
{
	if (is_stopped(l->program))
		stop_by(signal == SIGTSTP ? SIGTSTP : SIGSTOP);
}

/* Not every init reaps what is left to it. But a thread of the supervisor may hang in a file server's hands: no long
 * wait. */
static void reap_supervisor(const struct launcher *l)
{
	struct timespec pause = {.tv_nsec = 1000000};

	for (int ms = 0; ms < REAP_MS && !waitpid(l->supervisor, NULL, WNOHANG); ms++)
		nanosleep(&pause, NULL);
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
	if (report.last)
		reap_supervisor(l);
	switch (report.what) {
	case REPORT_STARTED:
		l->program = report.value;
		return true;
	case REPORT_STOPPED:
		stop_too(l, report.value);
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
