/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks the runs of iommuse that this machine has what goes on in them. */
#include "cli/verb.h"

#include "base/log.h"
#include "supervisor/launch.h"
#include "supervisor/run_name.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define EXIT_NO_RUN 1

/* How long a run may take to let us in, and to answer. */
#define PATIENCE_S 2

/* Of the flags that /proc/net/unix shows: the socket listens. */
#define LISTENS 0x10000UL

struct runs {
	struct run_name *run;
	size_t count;
};

void status_usage(void)
{
	printf("usage: iommuse status [NAME]\n\n"
	       "Says of each iommuse that runs programs of yours what they have: PASIDs of /dev/ioasid, quotas, "
	       "devices.\n"
	       "NAME: of that one only: what 'iommuse run --name' was given, or its process number. root is told\n"
	       "of the runs of all users.\n"
	       "Exit status: 0, or 1 where there is no such run, or one gives no answer.\n");
}

static int add_run(struct runs *runs, const struct run_name *run)
{
	struct run_name *larger = reallocarray(runs->run, runs->count + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	runs->run = larger;
	runs->run[runs->count++] = *run;
	return 0;
}

/* A line is "Num: RefCount Protocol Flags Type St Inode Path". */
static bool run_of_line(char *line, struct run_name *run)
{
	unsigned long flags;
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	return sscanf(line, "%*s %*s %*s %lx %*s %*s %*s %n", &flags, &path) == 1 && path && flags & LISTENS &&
	       run_of_shown(line + path, run);
}

static int compare(const void *a, const void *b)
{
	const struct run_name *first = a, *second = b;

	if (first->uid != second->uid)
		return first->uid < second->uid ? -1 : 1;
	return strverscmp(first->name, second->name);
}

/* Finds those that this user may ask, of any name or of one. Returns 0 or -errno. */
static int find_runs(struct runs *runs, const char *name)
{
	FILE *sockets = fopen("/proc/net/unix", "re");
	size_t room = 0;
	char *line = NULL;
	int rc = 0;

	if (!sockets)
		return -errno;
	while (!rc && getline(&line, &room, sockets) > 0) {
		struct run_name run;

		if (run_of_line(line, &run) && (run.uid == geteuid() || !geteuid()) &&
		    (!name || !strcmp(run.name, name)))
			rc = add_run(runs, &run);
	}
	free(line);
	fclose(sockets);
	if (runs->count)
		qsort(runs->run, runs->count, sizeof(*runs->run), compare);
	return rc;
}

/* Returns 0, or -errno: -EPERM: somebody else has the name. */
static int reach(int fd, const struct run_name *run)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	struct sockaddr_un address;
	socklen_t length = run_address(run, &address);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (struct sockaddr *)&address, length))
		return -errno;
	return run_peer_trusted(fd, run->uid) ? 0 : -EPERM;
}

/* Returns how many bytes were told, or -errno: -ECONNREFUSED, -ECONNRESET: the run has ended; -EPERM: somebody else has
 * its name. */
static ssize_t ask(const struct run_name *run, char *text, size_t room)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = reach(fd, run);
	if (!n) {
		n = recv(fd, text, room, 0);
		n = n < 0 ? -errno : n;
	}
	close(fd);
	return n;
}

/* As the run's user: where a run is in a user namespace of its own it does not know root. */
static ssize_t ask_as(const struct run_name *run, char *text, size_t room)
{
	uid_t real, effective, saved;
	bool changed;
	ssize_t n;

	if (getresuid(&real, &effective, &saved))
		return -errno;
	changed = effective != run->uid && !setresuid(run->uid, run->uid, effective);
	n = ask(run, text, room);
	if (changed && setresuid(real, effective, saved))
		return -errno;
	return n;
}

/* The run's user could have put anything there. */
static void print_clean(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		putchar((c < ' ' && c != '\n') || c == 0x7f ? '?' : c);
	}
	if (length && text[length - 1] != '\n')
		putchar('\n');
}

/* Its second line says what a run's process is. */
static bool is_of_process(const char *text, long pid)
{
	const char *line = strchr(text, '\n');
	long said;

	return line && sscanf(line, " process %ld of user", &said) == 1 && said == pid;
}

/* pid: 0, or the run's process. Returns 0 where it has told, or -errno; -ESRCH: it is another process's. */
static int show(const struct run_name *run, long pid, bool first)
{
	char *text = calloc(1, RUN_TEXT_BYTES + 1);
	ssize_t n = text ? ask_as(run, text, RUN_TEXT_BYTES) : -ENOMEM;

	if (n > 0 && pid && !is_of_process(text, pid))
		n = -ESRCH;
	if (n > 0) {
		if (!first)
			putchar('\n');
		print_clean(text, (size_t)n);
	}
	free(text);
	return n > 0 ? 0 : n ? (int)n : -ENODATA;
}

/* Says why there is no answer. Returns whether that is a failure: a run that has ended meanwhile is none. */
static bool explain(const struct run_name *run, const char *name, int error)
{
	switch (-error) {
	case ECONNREFUSED:
	case ECONNRESET:
		return false;
	case EPERM:
		if (name)
			log_line("status: another user has taken the name of %s", run->name);
		return name;
	case EAGAIN:
		log_line("status: %s does not answer: is it stopped?", run->name);
		return true;
	case ENODATA:
		log_line("status: %s will not tell us: ask as user %u", run->name, run->uid);
		return true;
	default:
		log_error(error, "status: cannot ask %s", run->name);
		return true;
	}
}

/* pid: 0, or they are all that there are, and the one with this process is meant. */
static int show_all(const struct runs *runs, const char *name, long pid)
{
	bool failed = false;
	size_t shown = 0;

	for (size_t i = 0; i < runs->count; i++) {
		int rc = show(&runs->run[i], pid, !shown);

		if (!rc)
			shown++;
		else if (!pid && explain(&runs->run[i], name, rc))
			failed = true;
	}
	if (failed)
		return EXIT_NO_RUN;
	if (shown)
		return fflush(stdout) ? EXIT_OWN_FAILURE : 0;
	if (name)
		log_line("status: no iommuse runs by the name '%s'", name);
	else
		log_line("status: no iommuse runs");
	return EXIT_NO_RUN;
}

int status_main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	struct runs runs = {0};
	long pid = 0;
	int rc;

	if (argc == 2 && (!strcmp(name, "-h") || !strcmp(name, "--help"))) {
		status_usage();
		return 0;
	}
	if (argc > 2 || (name && !run_name_valid(name))) {
		log_line("status: takes the name of one run at most: try 'iommuse help status'");
		return EXIT_OWN_FAILURE;
	}
	rc = find_runs(&runs, name);
	if (!rc && name && !runs.count && !name[strspn(name, "0123456789")]) {
		pid = strtol(name, NULL, 10);
		rc = find_runs(&runs, NULL);
	}
	if (rc)
		log_error(rc, "status: cannot list the runs");
	rc = rc ? EXIT_OWN_FAILURE : show_all(&runs, name, pid);
	free(runs.run);
	return rc;
}
