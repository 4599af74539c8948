/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls of /dev/iommu that benchmarks make, of a trusted client in the same process. What fails ends the program.
 */
#ifndef IOMMUSE_TESTS_BENCH_CALLS_H
#define IOMMUSE_TESTS_BENCH_CALLS_H

#include <stdint.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* A system with the test device, and an iommufd, which are the calls' from then on. */
void calls_begin(void);
void calls_end(void);

void call(unsigned long cmd, void *arg, const char *name);

uint32_t ioas_new(void);
void destroy(uint32_t id);
void map(uint32_t ioas, uint64_t iova, const char *at, uint64_t length);
void unmap(uint32_t ioas, uint64_t iova, uint64_t length);

/* A device that is attached to an IOAS. Returns its number; *bound (may be NULL) gets that by which iommufd knows it.
 */
uint32_t attach(uint32_t ioas, uint32_t *bound);

#endif
