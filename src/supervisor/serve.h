/* SPDX-License-Identifier: BSD-3-Clause */
/* The supervisor's process: sets up, starts the program, serves until nothing runs any more that was started below it.
 */
#ifndef IOMMUSE_SUPERVISOR_SERVE_H
#define IOMMUSE_SUPERVISOR_SERVE_H

#include <stdbool.h>

struct inherited;
struct launch_options;

/* What the supervisor tells the launcher. */
struct launch_report {
	enum {
		REPORT_STARTED, /* value: the program's process */
		REPORT_STOPPED, /* value: the signal */
		REPORT_ENDED,   /* value: the status of waitpid */
		REPORT_FAILED,  /* value: the status to exit with */
	} what;
	int value;
	bool last; /* nothing runs any more: the supervisor ends, too */
};

/* The life of the supervisor. Returns what its process exits with. */
int serve(const struct launch_options *options, const struct inherited *inherited, char **argv, int channel);

#endif
