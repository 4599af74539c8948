/* SPDX-License-Identifier: BSD-3-Clause */
/* Allocations that fail on demand. The linker wraps the allocator: see meson.build. */
#ifndef IOMMUSE_TEST_FUZZ_HEAP_H
#define IOMMUSE_TEST_FUZZ_HEAP_H

#include <stdbool.h>

/* Of this thread's allocations from now on, the one of that number fails; 0: none. */
void heap_fail_after(unsigned number);

/* Has one failed since? Ends what heap_fail_after() began. */
bool heap_failed(void);

#endif
