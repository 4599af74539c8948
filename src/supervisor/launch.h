/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a program under a supervisor. */
#ifndef IOMMUSE_SUPERVISOR_LAUNCH_H
#define IOMMUSE_SUPERVISOR_LAUNCH_H

#include "supervisor/overlay.h"
#include "supervisor/supervisor.h"
#include "system/system.h"

#include <stdbool.h>

/* Exit status of iommuse itself, as env(1) has it. */
enum {
	EXIT_OWN_FAILURE = 125,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNAL_BASE = 128,
};

struct launch_options {
	enum overlay_mode overlay;
	enum memlock_policy memlock;
	enum pin_mode pin;
	const char *const *devices; /* what --device was given, in order, ended by NULL; NULL: none */
	bool keep_pci;              /* the machine's own PCI devices stay visible beside them */
	bool selftest;
	bool verbose;
	const char *name;                 /* by which `iommuse status` finds it; NULL: its process number */
	unsigned pasid_bits;              /* 0: the default */
	uint64_t pasid_quota;             /* of each process; UINT64_MAX: none */
	const char *const *cgroup_quotas; /* "PATH=N", ended by NULL; NULL: none */
};

/*
 * Runs argv[0] with its arguments and returns the status to exit with. Must be called by a process with one thread.
 * When it returns, what the program has left running in the background is served on by a process of its own.
 */
int launch(const struct launch_options *options, char **argv);

#endif
