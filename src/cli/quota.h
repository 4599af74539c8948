/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotas of PASIDs as they are given on the command line. */
#ifndef IOMMUSE_CLI_QUOTA_H
#define IOMMUSE_CLI_QUOTA_H

#include <stddef.h>
#include <stdint.h>

/* A whole number in decimal that is neither less than min nor more than max. Returns 0 or -EINVAL. */
int number_of(const char *text, uint64_t min, uint64_t max, uint64_t *number);

/*
 * "PATH=N", where PATH is a cgroup's as /proc/PID/cgroup has it, or that of its directory where the hierarchy is
 * mounted: the second becomes the first. Returns 0 and a text "PATH=N" that the caller frees, or -errno after a
 * message.
 */
int cgroup_quota_of(const char *text, char **quota);

#endif
