/* SPDX-License-Identifier: BSD-3-Clause */
/* From a byte of an input to the value that it stands for. */
#ifndef IOMMUSE_TEST_FUZZ_VALUES_H
#define IOMMUSE_TEST_FUZZ_VALUES_H

#include "calls.h"
#include "commands.h"

/* Opens the descriptors that are not the system's. */
void values_init(void);

/* A descriptor of any kind: of the system, of the process, closed, or no number at all. */
int value_fd(const struct caller *caller, uint8_t byte);

/* The value of a member. Fills what it points to. */
uint64_t value_of(const struct caller *caller, const struct member *member, uint8_t byte, uint8_t seed);

/* An offset in a file: one of a region, if there is any. */
uint64_t value_offset(const struct world *world, uint8_t byte);

/* The size that the caller claims for a structure. */
uint32_t value_size(const struct command *command, uint8_t byte);

#endif
