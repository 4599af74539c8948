/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the user's shell gave to iommuse for the program: signals, limits, descriptors. The program gets it as it was;
 * the launcher and the supervisor change it for themselves and let go of the descriptors, so that their other ends see
 * when the program does.
 */
#ifndef IOMMUSE_SUPERVISOR_INHERITED_H
#define IOMMUSE_SUPERVISOR_INHERITED_H

#include <signal.h>
#include <sys/resource.h>

struct inherited {
	sigset_t mask;
	struct sigaction actions[NSIG];
	struct rlimit open_files;
	int *descriptors; /* above the standard ones, ended by -1 */
};

/* Notes it, before anything is changed; standard descriptors that are closed are filled, for us only. Returns 0, or
 * -errno. */
int inherited_save(struct inherited *inherited);
void inherited_free(struct inherited *inherited);

/* Puts signals and limits back: in the program, before execve. */
void inherited_restore(const struct inherited *inherited);

/* Closes the descriptors, and standard input and output: in the launcher and the supervisor, once the program has its
 * own. */
void inherited_let_go(const struct inherited *inherited);

#endif
