/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process has mapped, asked through an open /proc/PID/maps, which stays with the memory it was opened on. */
#ifndef IOMMUSE_SUPERVISOR_MAPS_H
#define IOMMUSE_SUPERVISOR_MAPS_H

#include <stdint.h>

#define MAPS_READ  1U
#define MAPS_WRITE 2U

/* May all of [start, start + length) be accessed so? Returns 0, or -EFAULT, or -errno of the question. */
int maps_check(int maps, uint64_t start, uint64_t length, unsigned access);

#endif
