/* SPDX-License-Identifier: BSD-3-Clause */
/* The start of the program: filter, listener, exec. */
#ifndef IOMMUSE_SUPERVISOR_PROGRAM_H
#define IOMMUSE_SUPERVISOR_PROGRAM_H

#include "supervisor/filter.h"

#include <sys/types.h>

struct inherited;

struct program_start {
	char **argv;
	struct filter_config filter;
	const struct inherited *inherited;
};

/* A program that was started, or the reason that it was not. */
struct program {
	pid_t pid;
	int listener;
	int failed; /* becomes readable: the program's execve has failed (an errno follows), or worked (end of file) */
};

/*
 * Starts the program; its execve waits for the supervisor to serve. Returns 0, or -errno after a message.
 */
int program_start(const struct program_start *start, struct program *program);

/* Says why a filter could not be installed, and what to do. */
void program_explain(int err);

#endif
