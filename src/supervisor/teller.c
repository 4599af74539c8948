/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/teller.h"

#include "base/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Askers that wait to be let in; others wait for that. */
#define BACKLOG 16

/* Where nothing is to be had for another asker (descriptors, memory), until it is tried again. */
#define PAUSE_NS 100000000

static int listen_as(const struct run_name *run)
{
	struct sockaddr_un address;
	socklen_t length = run_address(run, &address);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, BACKLOG)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int teller_open(struct teller *teller, const char *name, pid_t pid, char *const *argv)
{
	struct run_name *run = &teller->run;

	run->uid = geteuid();
	if (name)
		snprintf(run->name, sizeof(run->name), "%s", name);
	else
		snprintf(run->name, sizeof(run->name), "%d", (int)pid);
	teller->report.name = run->name;
	teller->report.uid = run->uid;
	teller->report.pid = pid;
	report_start(&teller->report, argv);
	teller->socket = listen_as(run);
	return teller->socket < 0 ? teller->socket : 0;
}

static void answer(const struct teller *teller, int asker)
{
	size_t length;
	char *text;

	if (!run_peer_trusted(asker, teller->run.uid))
		return;
	text = report_text(&teller->report, teller->system, RUN_TEXT_BYTES, &length);
	if (text)
		(void)send(asker, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
}

static void *run_teller(void *context)
{
	const struct teller *teller = context;
	struct timespec pause = {.tv_nsec = PAUSE_NS};

	while (!atomic_load(&teller->stop)) {
		int asker = accept4(teller->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (asker >= 0) {
			answer(teller, asker);
			close(asker);
		} else if (errno != EINTR && errno != ECONNABORTED && errno != EINVAL) {
			nanosleep(&pause, NULL);
		}
	}
	return NULL;
}

int teller_start(struct teller *teller, struct system *system)
{
	int err;

	if (teller->socket < 0)
		return 0;
	teller->system = system;
	err = thread_start(&teller->thread, "teller", run_teller, teller);
	teller->runs = !err;
	if (err)
		teller_close(teller);
	return err;
}

void teller_close(struct teller *teller)
{
	if (teller->socket < 0)
		return;
	if (teller->runs) {
		atomic_store(&teller->stop, true);
		shutdown(teller->socket, SHUT_RDWR); /* accept4() ends with EINVAL */
		pthread_join(teller->thread, NULL);
	}
	close(teller->socket);
	teller->socket = -1;
}
