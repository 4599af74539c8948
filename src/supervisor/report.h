/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run tells about itself, for a person to read. */
#ifndef IOMMUSE_SUPERVISOR_REPORT_H
#define IOMMUSE_SUPERVISOR_REPORT_H

#include <stddef.h>
#include <sys/types.h>

struct system;

/* What does not change. */
struct report {
	const char *name;
	pid_t pid;
	uid_t uid;
	unsigned pasid_bits;
	char since[32];
	char program[256]; /* its command line, or the beginning of that */
};

/* Fills since with the time that it is, and program. */
void report_start(struct report *report, char *const *argv);

/* Returns a text of at most room - 1 bytes, which the caller frees, and stores its length; NULL: no memory. Takes no
 * lock that is held while somebody waits. Any thread. */
char *report_text(const struct report *report, struct system *system, size_t room, size_t *length);

#endif
