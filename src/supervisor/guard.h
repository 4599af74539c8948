/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies between memory that its owner may cut off meanwhile: a file of a client's that is mapped here. */
#ifndef IOMMUSE_SUPERVISOR_GUARD_H
#define IOMMUSE_SUPERVISOR_GUARD_H

#include <stddef.h>

/* Once in a process, before the first copy: takes SIGBUS. One that no copy raised ends the process as ever. */
void guard_install(void);

/* Copies n bytes; returns how many came before the first that is not there. Any thread. */
size_t guard_copy(void *dst, const void *src, size_t n);

#endif
