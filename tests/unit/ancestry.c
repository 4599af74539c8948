/* SPDX-License-Identifier: BSD-3-Clause */
/* Who descends from whom, also while those between them end. What happens between two looks is put there. */
#include "supervisor/ancestry.h"

#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINKS 4

/* Of whoever is looked at next; 0: nobody. */
static struct {
	pid_t ends;   /* it ends first, and is waited for */
	pid_t hidden; /* it is not shown */
	pid_t going;  /* it is shown once as the kernel shows one that it is about to forget */
	int error;    /* we lack something, always */
	unsigned looks;
} script;

/* What fopen() is where files are large. */
FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

FILE *__wrap_fopen64(const char *path, const char *mode)
{
	pid_t pid = 0;

	if (sscanf(path, "/proc/%d/stat", &pid) != 1)
		return __real_fopen64(path, mode);
	script.looks++;
	if (script.error || (script.hidden && script.hidden == pid)) {
		errno = script.error ? script.error : ENOENT;
		return NULL;
	}
	if (script.going && script.going == pid) {
		static char line[] = "1 (going) X 0 -1 -1 0 -1\n";

		script.going = 0;
		return fmemopen(line, strlen(line), "r");
	}
	if (script.ends && script.ends == pid) {
		script.ends = 0;
		end(pid);
	}
	return __real_fopen64(path, mode);
}

/* Each the parent of the next; all wait for the end. */
static void start(pid_t chain[LINKS])
{
	int fds[2];
	pid_t first;

	CHECK_EQ(pipe(fds), 0);
	first = fork();
	if (!first) {
		for (unsigned i = 0; i < LINKS; i++) {
			const pid_t self = getpid();

			if (write(fds[1], &self, sizeof(self)) != sizeof(self))
				_exit(1);
			if (i + 1 < LINKS && fork())
				break;
		}
		alarm(100);
		for (;;)
			pause();
	}
	for (unsigned i = 0; i < LINKS; i++)
		CHECK_EQ(read(fds[0], &chain[i], sizeof(chain[i])), (int)sizeof(chain[i]));
	close(fds[0]);
	close(fds[1]);
	CHECK_EQ(chain[0], first);
	script.looks = 0;
}

/* The first that is left has become ours. */
static void stop(const pid_t chain[LINKS], unsigned from)
{
	memset(&script, 0, sizeof(script));
	for (unsigned i = from; i < LINKS; i++)
		end(chain[i]);
}

static void descendants_are_found(void)
{
	pid_t chain[LINKS];

	start(chain);
	for (unsigned i = 0; i < LINKS; i++) {
		CHECK_EQ(process_descends(chain[i], getpid()), 1);
		CHECK_EQ(process_descends(getpid(), chain[i]), 0);
		CHECK_EQ(process_descends(chain[i], chain[i]), 0);
	}
	CHECK_EQ(process_descends(chain[3], chain[1]), 1);
	CHECK_EQ(process_descends(chain[1], chain[3]), 0);
	CHECK_EQ(process_descends(1, getpid()), 0);
	stop(chain, 0);
	CHECK_EQ(process_descends(chain[3], getpid()), 0);
}

/* Its children have become ours by then. */
static void an_ancestor_that_ends_meanwhile_hides_nobody(void)
{
	pid_t chain[LINKS];

	start(chain);
	script.ends = chain[0];
	CHECK_EQ(process_descends(chain[3], getpid()), 1);
	CHECK_EQ(script.ends, 0);
	script.ends = chain[1];
	CHECK_EQ(process_descends(chain[3], getpid()), 1);
	CHECK_EQ(script.ends, 0);
	stop(chain, 2);
}

static void an_ancestor_that_goes_just_now_hides_nobody(void)
{
	pid_t chain[LINKS];

	start(chain);
	script.going = chain[1];
	CHECK_EQ(process_descends(chain[3], getpid()), 1);
	CHECK_EQ(script.going, 0);
	stop(chain, 0);
}

static void one_that_ends_meanwhile_descends_from_nobody(void)
{
	pid_t chain[LINKS];

	start(chain);
	script.ends = chain[0];
	CHECK_EQ(process_descends(chain[0], getpid()), 0);
	stop(chain, 1);
}

/* As by a /proc that shows nobody else's processes. */
static void an_ancestor_that_is_not_shown_is_looked_for_twice(void)
{
	pid_t chain[LINKS];

	start(chain);
	script.hidden = chain[1];
	CHECK_EQ(process_descends(chain[2], getpid()), 0);
	CHECK_EQ(script.looks, 4);
	stop(chain, 0);
}

static void what_we_lack_is_said(void)
{
	static const int errors[] = {EMFILE, ENFILE, ENOMEM};
	pid_t chain[LINKS];

	start(chain);
	for (unsigned i = 0; i < 3; i++) {
		script.error = errors[i];
		CHECK_EQ(process_descends(chain[3], getpid()), -errors[i]);
	}
	stop(chain, 0);
}

int main(void)
{
	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	descendants_are_found();
	an_ancestor_that_ends_meanwhile_hides_nobody();
	an_ancestor_that_goes_just_now_hides_nobody();
	one_that_ends_meanwhile_descends_from_nobody();
	an_ancestor_that_is_not_shown_is_looked_for_twice();
	what_we_lack_is_said();
	return check_result();
}
