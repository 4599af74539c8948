/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Table tests of the ABI's rules. A case names the rules of rules.tsv that it checks; each case gets a file of its own.
 *
 *	rules_map                  all cases through the library
 *	rules_map --syscalls       all cases by system calls (under iommuse run)
 *	rules_map --list           the cases, with their rules, without running them
 *	rules_map NAME...          only these cases
 *	--selftest                 the system has IOMMU_TEST_CMD
 *	--device DEVICE            the library has this device; may be given again
 *	--quota N                  a process may have N PASIDs of /dev/ioasid
 */
#ifndef IOMMUSE_TESTS_RULES_H
#define IOMMUSE_TESTS_RULES_H

#include "transport.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGE    UINT64_C(4096)
#define HUGE    (UINT64_C(2) << 20)
#define U64_MAX UINT64_MAX

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct rules {
	struct transport *transport;
	bool selftest;
	uint64_t quota;         /* of PASIDs; 0: none */
	int fd;                 /* /dev/iommu, opened for this case */
	unsigned char *scratch; /* the pages of place() */
	unsigned failures;      /* of this case */
	const char *skipped;    /* why this case could not run */
	const char *about;      /* which of the things a case loops over; shown with a failure */
};

struct rule_case {
	const char *rules; /* "A.5-9c" or "A.5-9c,A.7-8" */
	const char *name;
	void (*run)(struct rules *t);
	void (*run_row)(struct rules *t, const void *row);
	const void *row;
};

/* A case that is a function, and one that is a row of values for a function. */
#define CASE(rules, function)                                                                                          \
	{                                                                                                              \
		(rules), #function, (function), NULL, NULL                                                             \
	}
#define ROW(rules, name, function, type, ...)                                                                          \
	{                                                                                                              \
		(rules), #name, NULL, (function), &(const type)                                                        \
		{                                                                                                      \
			__VA_ARGS__                                                                                    \
		}                                                                                                      \
	}

int rules_main(int argc, char **argv, const struct rule_case *cases, size_t count);
/* With devices: what transport_options has. */
int rules_main_devices(int argc, char **argv, const struct rule_case *cases, size_t count, const char *const *devices);

/* The value of an errno (negative) or a number, for people. buf has room for 24 bytes. */
const char *result_name(int64_t value, char *buf);

bool expect(struct rules *t, const char *file, int line, const char *what, uint64_t got, uint64_t wanted);

/* Counts a failure and says so where the values differ; evaluates to whether they are equal. */
#define EXPECT(t, got, wanted)                                                                                         \
	expect((t), __FILE__, __LINE__, #got, (uint64_t)(int64_t)(got), (uint64_t)(int64_t)(wanted))
#define EXPECT_U64(t, got, wanted) expect((t), __FILE__, __LINE__, #got, (got), (wanted))

void skip(struct rules *t, const char *why);

/*
 * Copies n bytes of data to where the first `first` of them end one page and the rest begin the next; then gives these
 * pages the protections before and after (PROT_*). The page after those two cannot be read. n may be up to a page.
 */
void *place(struct rules *t, const void *data, size_t n, size_t first, int before, int after);

/* The same, with all of data in one page of this protection, and the next one not readable. */
void *place_at_end(struct rules *t, const void *data, size_t n, int prot);

/* Where nothing is mapped. */
#define HOLE ((void *)UINT64_C(0x520000000000))

#endif
