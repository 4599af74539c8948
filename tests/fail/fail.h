/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Failures on demand: the nth allocation, copy from or to the client, or system call that a thread makes inside of the
 * library fails. The linker puts these functions in place of libc's (--wrap), so nothing of the library is changed.
 */
#ifndef IOMMUSE_TESTS_FAIL_H
#define IOMMUSE_TESTS_FAIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What the calling thread does from now on fails once, at the nth function that can fail, n from 1. */
void fail_arm(unsigned n);

/* Ends that. Returns what failed, or NULL: there were fewer. */
const char *fail_disarm(void);

/* How far that is: functions that still succeed, plus one; 0: not armed, or it has failed. */
unsigned fail_left(void);

/* From now on, blocks are counted there, and only those of threads that ask for it. */
void fail_count_at(_Atomic long *counter);
void fail_count_here(void);

/* Blocks of memory that were allocated and not freed, in all threads. */
size_t fail_live_blocks(void);

/* Descriptors that are open, and mappings of this process. */
size_t fail_open_descriptors(void);
size_t fail_mappings(void);

#endif
