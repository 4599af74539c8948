/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks that are counted and go on: a program ends with "return check_result();". Thread-safe. */
#ifndef IOMMUSE_TESTS_CHECK_H
#define IOMMUSE_TESTS_CHECK_H

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

static atomic_uint checks_made, checks_failed;

static inline void check_true(int condition, const char *what, const char *file, int line)
{
	atomic_fetch_add(&checks_made, 1);
	if (condition)
		return;
	atomic_fetch_add(&checks_failed, 1);
	printf("%s:%d: %s\n", file, line, what);
}

static inline void check_equal(int64_t got, int64_t want, const char *what, const char *file, int line)
{
	atomic_fetch_add(&checks_made, 1);
	if (got == want)
		return;
	atomic_fetch_add(&checks_failed, 1);
	printf("%s:%d: %s is %" PRId64 " (%#" PRIx64 "), not %" PRId64 " (%#" PRIx64 ")\n", file, line, what, got,
	       (uint64_t)got, want, (uint64_t)want);
}

#define CHECK(condition)    check_true((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_EQ(got, want) check_equal((int64_t)(got), (int64_t)(want), #got, __FILE__, __LINE__)

static inline int check_result(void)
{
	printf("%u checks, %u failed\n", atomic_load(&checks_made), atomic_load(&checks_failed));
	return atomic_load(&checks_failed) || !atomic_load(&checks_made);
}

#endif
