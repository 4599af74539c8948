/* SPDX-License-Identifier: BSD-3-Clause */
/* Which process descends from which. */
#ifndef IOMMUSE_SUPERVISOR_ANCESTRY_H
#define IOMMUSE_SUPERVISOR_ANCESTRY_H

#include <sys/types.h>

/*
 * Is a process a descendant of another one, which is there? Those between them may end meanwhile: their children get
 * another parent, which may be a descendant as well. Returns 1; 0, also where it is gone, or does not see who is
 * between; -EAGAIN, -ELOOP, -EMFILE, -ENFILE, -ENOMEM: it cannot be told now.
 */
int process_descends(pid_t pid, pid_t ancestor);

#endif
