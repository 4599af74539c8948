/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of each command: the size of its structure, and what its members mean, so that sensible values are
 * drawn for them. */
#ifndef IOMMUSE_TEST_FUZZ_COMMANDS_H
#define IOMMUSE_TEST_FUZZ_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum member_kind {
	MEMBER_NONE,
	MEMBER_ID,
	MEMBER_MAP_FLAGS,
	MEMBER_FLAGS,
	MEMBER_RESERVED,
	MEMBER_IOVA,
	MEMBER_LENGTH,
	MEMBER_VA,
	MEMBER_FD,
	MEMBER_RANGES, /* address of an array */
	MEMBER_DATA,   /* address of something */
	MEMBER_COUNT,
	MEMBER_SMALL,
};

struct member {
	uint8_t kind; /* enum member_kind */
	uint8_t offset, width;
};

enum command_style {
	COMMAND_SIZED, /* size first, law of sizes */
	COMMAND_ARGSZ, /* argsz first, no such law */
	COMMAND_VALUE, /* the argument is a number */
};

#define MEMBERS_MAX 10

struct command {
	const char *name;
	uint32_t cmd;
	uint8_t style; /* enum command_style */
	uint8_t size, min;
	bool answers;                   /* on success, copies something back */
	uint8_t answer_from, answer_to; /* the bytes that must be writable for that */
	struct member member[MEMBERS_MAX];
};

extern const struct command commands[];
extern const size_t commands_count;

/* So many of the first are those of which programs make most use. */
#define COMMANDS_COMMON 12U

bool command_exists(uint32_t cmd);

#endif
