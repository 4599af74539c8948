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
	MEMBER_START, /* in a file */
	MEMBER_VA,
	MEMBER_FD,
	MEMBER_RANGES, /* address of an array */
	MEMBER_DATA,   /* address of something */
	MEMBER_COUNT,
	MEMBER_SMALL,
	MEMBER_TYPE, /* of a page table, a virtual IOMMU, a queue, or of their data */
	MEMBER_PASID,
	MEMBER_MADE, /* the descriptor of an access, a queue or a dma-buf */
};

/* What identifiers are of; those that were given last are kept apart. */
enum id_kind {
	ID_ANY,
	ID_IOAS,
	ID_HWPT,
	ID_DEVICE,
	ID_MOCK, /* what the test device calls a device */
	ID_FAULT,
	ID_VIOMMU,
	ID_VDEVICE,
	ID_KINDS,
};

struct member {
	uint8_t kind; /* enum member_kind */
	uint8_t offset, width;
	uint8_t id; /* enum id_kind */
};

/* Where an answer has an identifier. */
struct made_id {
	uint8_t id, offset;
};

enum command_style {
	COMMAND_SIZED, /* size first, law of sizes */
	COMMAND_ARGSZ, /* argsz first, no such law */
	COMMAND_VALUE, /* the argument is a number */
};

#define MEMBERS_MAX 10
#define IDS_MAX     3

struct command {
	const char *name;
	uint32_t cmd;
	uint8_t style; /* enum command_style */
	uint8_t op;    /* of the test device; 0: another command */
	uint8_t size, min;
	bool answers;                   /* on success, copies something back */
	uint8_t answer_from, answer_to; /* the bytes that must be writable for that */
	struct member member[MEMBERS_MAX];
	struct made_id made[IDS_MAX];
	uint8_t descriptor; /* where an answer has one, else 0 */
};

extern const struct command commands[];
extern const size_t commands_count;

/* The test device's ops. */
extern const struct command test_ops[];
extern const size_t test_ops_count;

/* So many of the first are those of which programs make most use. */
#define COMMANDS_COMMON 12U

/* So many of the last came when there were inputs already, whose meaning depends on how many the others are. */
#define COMMANDS_LATER 2U

bool command_exists(uint32_t cmd);

#endif
