/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asks about a run (iommuse status) is answered by a thread of its own, which waits for nobody: the answer is one
 * message that the kernel keeps for the asker, and each asker is let go before the next. So an asker that does not read
 * costs what its own process can have open.
 *
 * Only the user of the run and root are answered. From a user namespace of ours root is not told from other users: it
 * asks as the user.
 */
#ifndef IOMMUSE_SUPERVISOR_TELLER_H
#define IOMMUSE_SUPERVISOR_TELLER_H

#include "supervisor/report.h"
#include "supervisor/run_name.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct teller {
	int socket; /* -1: nobody can ask */
	bool runs;  /* there is a thread */
	_Atomic bool stop;
	pthread_t thread;
	struct run_name run;
	struct report report;
	struct system *system;
};

/* Takes the name; NULL: pid's number. Before the process enters a namespace. Returns 0, -EADDRINUSE, or -errno. */
int teller_open(struct teller *teller, const char *name, pid_t pid, char *const *argv);

/* Begins to answer. Returns 0 or -errno: then nobody can ask. */
int teller_start(struct teller *teller, struct system *system);

/* Gives up the name. May be called again. */
void teller_close(struct teller *teller);

#endif
