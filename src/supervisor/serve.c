/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/serve.h"

#include "base/event.h"
#include "base/log.h"
#include "check/fault.h"
#include "check/trace.h"
#include "client/holds.h"
#include "pasid/ioasid.h"
#include "supervisor/guard.h"
#include "supervisor/inherited.h"
#include "supervisor/launch.h"
#include "supervisor/notify.h"
#include "supervisor/pool.h"
#include "supervisor/process.h"
#include "supervisor/program.h"
#include "supervisor/remote_mm.h"
#include "supervisor/shadow.h"
#include "supervisor/standin.h"
#include "supervisor/supervisor.h"
#include "supervisor/sysfs.h"
#include "supervisor/sysfs_live.h"
#include "supervisor/teller.h"
#include "supervisor/tree.h"
#include "vfio/device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The window lies below this number, whatever the limit: a table of descriptors is as long as its highest number. */
#define WINDOW_FD_LIMIT 4096

#define CANNOT_BE_ASKED "'iommuse status' will not find this run"

struct server {
	struct supervisor s;
	const struct launch_options *options;
	struct program program;
	struct tree tree;         /* that programs see below /sys; without a root: nothing */
	struct trace *trace;      /* NULL: nobody wants to see */
	struct fault_log *faults; /* NULL: there are no devices */
	struct teller teller;     /* who asks about this run is told by it */
	pid_t launcher;
	int channel; /* to the launcher */
	int signals;
	bool ended; /* the program has, and the launcher knows */
	bool gone;  /* nothing runs any more */
};

void supervisor_lock(struct supervisor *s)
{
	pthread_mutex_lock(&s->lock);
}

void supervisor_unlock(struct supervisor *s)
{
	pthread_mutex_unlock(&s->lock);
}

void supervisor_drain(struct supervisor *s)
{
	struct epoll_event events[32];
	int n;

	do {
		n = epoll_wait(s->epoll, events, 32, 0);
		for (int i = 0; i < n; i++) {
			struct watch *watch = events[i].data.ptr;

			watch->ready(s, watch);
		}
	} while (n == 32);
	remote_mms_announce(s);
	standins_test_suspects(s);
}

static void report(struct server *server, int what, int value)
{
	struct pollfd p = {.fd = server->s.listener};
	struct launch_report r = {.what = what, .value = value};

	r.last = what == REPORT_FAILED || (poll(&p, 1, 0) > 0 && p.revents & POLLHUP);
	/* The name is free when the launcher returns. */
	if (r.last)
		teller_close(&server->teller);
	(void)send(server->channel, &r, sizeof(r), MSG_NOSIGNAL);
}

/* Returns after how many ms there is more to do, or -1: only when something happens. */
static int drain_and_drop(struct supervisor *s)
{
	struct standin *closed;
	int timeout;

	supervisor_lock(s);
	supervisor_drain(s);
	closed = standins_take_closed(s);
	timeout = standins_test_timeout(s);
	if ((s->ending || s->unsure) && (timeout < 0 || timeout > REMOTE_MM_TEST_MS))
		timeout = REMOTE_MM_TEST_MS;
	supervisor_unlock(s);
	standins_drop(s, closed);
	return timeout;
}

/* What happened so far is shown before the launcher returns, if somebody reads it. */
static void show_events(struct server *server)
{
	if (server->trace)
		trace_hurry(server->trace);
	if (server->s.events)
		event_stream_flush(server->s.events);
	if (server->faults)
		fault_log_settle(server->faults);
}

/* From now on nobody waits for our output, and whoever reads the program's shall see its end. */
static void let_go_of_output(const struct server *server)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	if (!server->options->verbose)
		dup2(null, STDERR_FILENO);
	close(null);
}

/* The launcher has stopped with the program, and not everybody who lets that one go on sees to both. */
static void wake_launcher(const struct server *server)
{
	if (getppid() == server->launcher)
		kill(server->launcher, SIGCONT);
}

static void program_ended(struct server *server, int status)
{
	if (server->ended)
		return;
	server->ended = true;
	drain_and_drop(&server->s);
	standins_settle(&server->s, 0);
	show_events(server);
	report(server, REPORT_ENDED, status);
	wake_launcher(server);
	let_go_of_output(server);
}

static void exec_failed(struct server *server, int error)
{
	const char *name = strerror(error);

	log_line("%s: %s", server->s.argv0, name);
	server->ended = true;
	waitpid(server->program.pid, NULL, 0);
	report(server, REPORT_FAILED, error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

/* The program's execve has failed or worked. */
static void exec_decided(struct server *server)
{
	int error;
	ssize_t n = read(server->program.failed, &error, sizeof(error));

	if (n == sizeof(error))
		exec_failed(server, error);
	close(server->program.failed);
	server->program.failed = -1;
}

static void reap(struct server *server)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(server->signals, &info, sizeof(info)) > 0)
		;
	pthread_mutex_lock(&server->s.reaping);
	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD)) > 0) {
		if (pid != server->program.pid)
			continue;
		if (WIFSTOPPED(status)) {
			report(server, REPORT_STOPPED, WSTOPSIG(status));
			continue;
		}
		if (WIFCONTINUED(status)) {
			wake_launcher(server);
			continue;
		}
		if (server->program.failed >= 0)
			exec_decided(server);
		program_ended(server, status);
	}
	pthread_mutex_unlock(&server->s.reaping);
}

/* Serves until the filter has no process any more. */
static void run(struct server *server)
{
	enum { LISTENER, SIGNALS, WATCHES, EXEC };
	struct pollfd p[] = {
		[LISTENER] = {.fd = server->s.listener},
		[SIGNALS] = {.fd = server->signals, .events = POLLIN},
		[WATCHES] = {.fd = server->s.epoll, .events = POLLIN},
		[EXEC] = {.events = POLLIN},
	};
	int timeout = -1;

	do {
		p[EXEC].fd = server->program.failed;
		if (poll(p, sizeof(p) / sizeof(*p), timeout) < 0 && errno != EINTR)
			break;
		timeout = drain_and_drop(&server->s);
		if (p[EXEC].revents && server->program.failed >= 0)
			exec_decided(server);
		if (p[SIGNALS].revents)
			reap(server);
	} while (!(p[LISTENER].revents & (POLLHUP | POLLERR)));
	if (!server->ended) {
		int status;

		if (waitpid(server->program.pid, &status, 0) == server->program.pid)
			program_ended(server, status);
	}
	drain_and_drop(&server->s);
	standins_settle(&server->s, 0);
	show_events(server);
}

/* The capabilities that the program would have outside of a user namespace of ours: what execve leaves it. */
static uint64_t capabilities_over_exec(void)
{
	uint64_t mask = 0;

	if (!process_in_initial_namespace(0))
		return 0;
	if (process_status(getpid(), geteuid() ? "CapAmb" : "CapBnd", 16, &mask))
		return 0;
	return mask;
}

static void do_nothing(int signal)
{
	(void)signal;
}

/* The supervisor's own signals and limits; the program gets back what was inherited. */
static int set_up_process(struct server *server)
{
	static const int ignored[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP,   SIGTTIN, SIGTTOU,
				      SIGUSR1, SIGALRM, SIGIO,   SIGXFSZ, SIGXCPU, SIGVTALRM, SIGPROF};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct sigaction interrupt = {.sa_handler = do_nothing}; /* calls workers of the pool back */
	sigset_t child;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		sigaction(ignored[i], &ignore, NULL);
	sigaction(SIGUSR2, &interrupt, NULL);
	/* SIGCHLD ignored would reap the program behind our back. */
	sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	server->signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	return server->signals < 0 ? -errno : 0;
}

/* What only the supervisor does, once the program has been forked off. */
static void detach(struct supervisor *s, const struct inherited *inherited)
{
	struct rlimit limit = inherited->open_files;

	setpgid(0, 0); /* the terminal's signals are not for us */
	guard_install();
	inherited_let_go(inherited);
	(void)!chdir("/");
	umask(0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	s->fd_limit = limit.rlim_cur < INT_MAX ? (int)limit.rlim_cur : INT_MAX;
}

/* Under another listener, the paths that the overlay makes would be that one's already. */
static int check_nesting(void)
{
	uint64_t mode;
	int err;

	if (process_status(getpid(), "Seccomp", 10, &mode) || mode != 2)
		return 0;
	err = filter_probe();
	if (err)
		program_explain(err);
	return err;
}

/* After a message, where it fails. */
static int make_system(struct supervisor *s, const struct launch_options *options)
{
	char why[256];
	const struct system_config config = {
		.selftest = options->selftest,
		.memlock = options->memlock,
		.events = s->events,
		.devices = options->devices,
		.pasid_bits = options->pasid_bits,
		.pasid_quota = options->pasid_quota,
		.cgroup_quotas = options->cgroup_quotas,
		.why = why,
		.why_size = sizeof(why),
	};
	int err = system_new(&config, &s->system);

	s->devices = !err && system_vfio(s->system)->device_count;
	if (err && *why)
		log_line("%s", why);
	else if (err)
		log_error(err, "the supervisor cannot start");
	return err;
}

/* What programs see of the devices; nothing without any. */
static int describe_devices(struct server *server)
{
	struct tree *tree = &server->tree;
	const struct sysfs_config config = {
		.vfio = system_vfio(server->s.system),
		.nodes = system_nodes(server->s.system),
		.keep_pci = server->options->keep_pci,
	};

	if (!config.vfio->device_count)
		return 0;
	tree_init(tree);
	if (!tree->error)
		sysfs_describe(tree, &config);
	if (tree->error)
		log_error(tree->error, "cannot describe the devices");
	return tree->error;
}

/* What is left to do when the overlay is there: where no namespace shows the devices, files are made for them. */
static int show_devices(struct server *server)
{
	struct supervisor *s = &server->s;
	mode_t mask;
	int err = 0;

	if (!server->tree.root)
		return 0;
	if (s->trap_paths) {
		sysfs_describe_nodes(&server->tree, system_nodes(s->system));
		mask = umask(0);
		err = shadow_new(&server->tree, &s->shadow);
		umask(mask);
	}
	if (!err)
		err = sysfs_live_new(system_vfio(s->system), s->shadow ? shadow_root(s->shadow) : "", &s->live);
	if (err == -ENOENT) /* there is no /sys */
		err = 0;
	if (err)
		log_error(err, "cannot make files for what programs shall see below /sys");
	return err;
}

static int set_up_overlay(struct server *server)
{
	struct supervisor *s = &server->s;
	const char *step;
	mode_t mask;
	int err;

	s->ambient = capabilities_over_exec();
	err = describe_devices(server);
	if (err)
		return err;
	mask = umask(0);
	err = overlay_new(server->options->overlay, system_nodes(s->system), server->tree.root ? &server->tree : NULL,
			  &s->overlay, &step);
	umask(mask);
	if (err) {
		log_error(err, "%s is refused here; --overlay=trap does without (iommuse doctor says more)", step);
		return err;
	}
	s->trap_paths = overlay_traps(s->overlay);
	s->user_namespace = overlay_has_user_namespace(s->overlay);
	return show_devices(server);
}

static int start_program(struct server *server, struct program_start *start)
{
	struct supervisor *s = &server->s;
	rlim_t limit = start->inherited->open_files.rlim_cur;
	int err;

	limit = limit < WINDOW_FD_LIMIT ? limit : WINDOW_FD_LIMIT;
	s->window_fd = (int)(limit > 2 * WINDOW_FDS ? limit - WINDOW_FDS : limit / 2);
	start->filter = (struct filter_config){
		.paths = s->trap_paths,
		.forks = s->pin == PIN_SHARE,
		.credentials = !s->user_namespace,
		.positions = s->devices,
		.window_fd = s->window_fd,
		.window_fd_count = WINDOW_FDS,
	};
	err = program_start(start, &server->program);
	if (err)
		return err;
	s->listener = server->program.listener;
	s->argv0 = start->argv[0];
	notify_prepare(s->listener);
	return 0;
}

/* Whoever gave the run a name shall find it by that. Returns 0, or -errno after a message. */
static int take_name(struct server *server, char **argv)
{
	const char *name = server->options->name;
	const unsigned bits = server->options->pasid_bits;
	int err = teller_open(&server->teller, name, getppid(), argv);

	server->teller.report.pasid_bits = bits ? bits : IOASID_BITS_DEFAULT;
	if (err == -EADDRINUSE && name) {
		log_line("the name '%s' is taken: 'iommuse status %s' says by what", name, name);
		return err;
	}
	if (err)
		log_error(err, CANNOT_BE_ASKED);
	return 0;
}

static bool has_devices(const struct launch_options *options)
{
	return options->devices && options->devices[0];
}

static int start_trace(struct server *server)
{
	int err = trace_new(STDERR_FILENO, &server->trace);

	return err ? err : event_stream_listen(server->s.events, trace_event, server->trace);
}

static int start_fault_log(struct server *server)
{
	server->faults = fault_log_new(STDERR_FILENO);
	if (!server->faults)
		return -ENOMEM;
	return event_stream_listen_to(server->s.events, EVENT_DMA_FAULT, fault_log_event, server->faults);
}

/* What the models of devices say. */
static void tell_message(void *context, const struct event *event, uint64_t lost)
{
	(void)context;
	(void)lost;
	log_line("%s", event->text);
}

static int start_to_serve(struct server *server)
{
	struct supervisor *s = &server->s;
	int err;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		return -errno;
	s->holds = holds_new(guard_copy);
	if (!s->holds)
		return -ENOMEM;
	err = processes_new(&s->processes);
	if (!err)
		err = standins_new(s, overlay_take_tree(s->overlay), &s->standins);
	if (!err && server->options->verbose)
		err = start_trace(server);
	if (!err && has_devices(server->options))
		err = start_fault_log(server);
	if (!err && has_devices(server->options) && !server->options->verbose)
		err = event_stream_listen_to(s->events, EVENT_MESSAGE, tell_message, NULL);
	if (!err)
		err = pool_start(s);
	if (err)
		return err;
	err = teller_start(&server->teller, s->system);
	if (err)
		log_error(err, CANNOT_BE_ASKED);
	return 0;
}

int serve(const struct launch_options *options, const struct inherited *inherited, char **argv, int channel)
{
	struct server server = {.options = options,
				.launcher = getppid(),
				.channel = channel,
				.program = {.failed = -1},
				.teller = {.socket = -1}};
	struct program_start start = {.argv = argv, .inherited = inherited};
	struct supervisor *s = &server.s;
	int err;

	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->reaping, NULL);
	s->selftest = options->selftest;
	s->pin = options->pin;
	if (s->pin == PIN_SHARE && !filter_wait_killable()) {
		log_line("--pin=share needs Linux 5.19: private memory is followed");
		s->pin = PIN_FOLLOW;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	err = set_up_process(&server);
	if (!err && (options->verbose || has_devices(options)))
		err = event_stream_new(&s->events);
	if (err) {
		log_error(err, "the supervisor cannot start");
		goto out_report;
	}
	err = take_name(&server, argv);
	if (!err)
		err = make_system(s, options);
	if (err)
		goto out_report;
	err = check_nesting();
	if (!err)
		err = set_up_overlay(&server);
	if (!err)
		err = start_program(&server, &start);
	if (err)
		goto out_report;
	report(&server, REPORT_STARTED, server.program.pid);
	detach(s, inherited);
	err = start_to_serve(&server);
	if (err) {
		log_error(err, "the supervisor cannot start");
		kill(server.program.pid, SIGKILL);
		goto out_report;
	}
	run(&server);
	shadow_remove(s->shadow);
	return 0;

out_report:
	shadow_remove(s->shadow);
	report(&server, REPORT_FAILED, EXIT_OWN_FAILURE);
	return EXIT_OWN_FAILURE;
}
