/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals that arrive during calls: a call that was done is not done again, and a handler sees nothing of it. */
#include "door.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static volatile sig_atomic_t arrived;

static void count_signal(int number)
{
	(void)number;
	arrived++;
}

/* Until Linux 6.17 a signal between the answer and the waking restarts a call that was done. */
static bool restarts_finished_calls(struct test *t)
{
	struct utsname u;
	unsigned major = 0;
	unsigned minor = 0;

	uname(&u);
	if (sscanf(u.release, "%u.%u", &major, &minor) != 2 || (major == 6 && minor < 17) || major < 6) {
		test_skip(t, "Linux %s restarts calls that are done (fixed in 6.17)", u.release);
		return true;
	}
	return false;
}

static void alarm_every_ms(struct test *t, int flags)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
	struct itimerval ms = {{0, 1000}, {0, 1000}};

	sigemptyset(&action.sa_mask);
	SAME(t, ERR(sigaction(SIGALRM, &action, NULL)), 0);
	SAME(t, ERR(setitimer(ITIMER_REAL, &ms, NULL)), 0);
}

/* Maps until enough signals have come. Returns the calls that ended with EINTR, which must have done nothing. */
static unsigned long map_under_signals(struct test *t, unsigned long signals)
{
	static char buffer[4096];
	int fd = (int)ERR(TEMP_FAILURE_RETRY(open(DEV_IOMMU, O_RDWR)));
	unsigned long interrupted = 0;
	uint64_t iova = 0x1000;
	long rc;

	while ((rc = ioas_alloc(fd)) == -EINTR)
		interrupted++;
	SAME(t, rc, 1);
	while ((unsigned long)arrived < signals) {
		while ((rc = ioas_map(fd, 1, buffer, sizeof(buffer), iova)) == -EINTR)
			interrupted++;
		if (!SAME(t, rc, 0))
			break;
		if (iova % 0x10000 == 0) {
			while ((rc = ioas_unmap(fd, 1, iova, sizeof(buffer))) == -EINTR)
				interrupted++;
			if (!SAME(t, rc, sizeof(buffer)))
				break;
		}
		iova += 0x1000;
	}
	return interrupted;
}

static void handler_with_restart(struct test *t)
{
	if (restarts_finished_calls(t))
		return;
	alarm_every_ms(t, SA_RESTART);
	SAME(t, map_under_signals(t, t->rounds * 5), 0);
}

static void handler_without_restart(struct test *t)
{
	if (restarts_finished_calls(t))
		return;
	alarm_every_ms(t, 0);
	/*
	 * A signal that comes before the supervisor has received the call ends it, with nothing done, and no supervisor
	 * can help that: the kernel waits killably only from then on. What would show a call that was done and then
	 * ended is its EEXIST or ENOENT when it is made again.
	 */
	dprintf(STDOUT_FILENO, "# %s: %lu calls ended with EINTR, by %lu signals\n", t->name,
		map_under_signals(t, t->rounds * 5), (unsigned long)arrived);
}

static void opens_and_closes(struct test *t)
{
	int first;

	if (restarts_finished_calls(t))
		return;
	alarm_every_ms(t, SA_RESTART);
	first = open_iommu();
	close(first);
	while ((unsigned long)arrived < t->rounds * 2) {
		int fd = open_iommu();
		long queue;

		if (!SAME(t, fd, first) || !FRESH(t, fd))
			break;
		queue = fault_queue_alloc(fd, &(uint32_t){0});
		if (!CHECK(t, queue >= 0))
			break;
		close((int)queue);
		if (!SAME(t, object_destroy(fd, 2), 0))
			break;
		close(fd);
	}
}

static void stopped_and_continued(struct test *t)
{
	int memory[2];
	pid_t pid;

	if (restarts_finished_calls(t))
		return;
	SAME(t, ERR(pipe2(memory, O_CLOEXEC)), 0);
	pid = fork();
	if (pid == 0) {
		static char buffer[4096];
		int fd = open_iommu();

		close(memory[1]);
		FRESH(t, fd);
		SAME(t, ERR(fcntl(memory[0], F_SETFL, O_NONBLOCK)), 0);
		for (uint64_t iova = 0x1000; !t->failed; iova += 0x1000) {
			char c;

			SAME(t, ioas_map(fd, 1, buffer, sizeof(buffer), iova), 0);
			if (read(memory[0], &c, 1) == 0)
				break;
		}
		_exit(t->failed);
	}
	close(memory[0]);
	for (unsigned long i = 0; i < t->rounds; i++) {
		int status;

		kill(pid, SIGSTOP);
		if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status)) {
			test_fail(t, "round %lu: the client ended instead of stopping: status %#x", i,
				  (unsigned)status);
			return;
		}
		kill(pid, SIGCONT);
	}
	close(memory[1]);
	SAME(t, wait_for(pid), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"handler_with_restart", handler_with_restart},
		{"handler_without_restart", handler_without_restart},
		{"opens_and_closes", opens_and_closes},
		{"stopped_and_continued", stopped_and_continued},
	};

	return TEST_MAIN(argc, argv, cases);
}
