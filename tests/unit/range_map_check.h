/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks the invariants that are told at the top of src/base/range_map.c. */
#ifndef IOMMUSE_TEST_RANGE_MAP_CHECK_H
#define IOMMUSE_TEST_RANGE_MAP_CHECK_H

#include "base/range_map.h"

/* Returns NULL where all hold, or what does not. */
const char *range_map_check(const struct range_map *map);

#endif
