/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands as tables: a name for each number, and for each member of its structure a name, and how and where a
 * person reads it. decode.c puts calls into words by them.
 */
#ifndef IOMMUSE_CHECK_COMMAND_H
#define IOMMUSE_CHECK_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind {
	HEX,
	NUMBER,
	BYTES,
	FD,
	OBJECT, /* an id that may be of several kinds of objects */
	ENUM,
	FLAGS,
	TEXT, /* all that is known of the argument, up to a zero */
};

enum field_place {
	IN,     /* before the arrow */
	OUT,    /* after it, where the call answered */
	INOUT,  /* after it where the call answered, else before */
	ALWAYS, /* after it, whatever the result */
};

/* Tables of these end with an element without a name. */
struct name {
	uint64_t value; /* of FLAGS: one bit */
	const char *name;
};

struct field {
	const char *name;
	uint8_t offset, size;     /* in the structure; size 1, 2, 4 or 8 */
	uint8_t kind, place;      /* enum field_kind, enum field_place */
	uint8_t if_set, if_clear; /* shown only where these bits of the command's selector are set and clear */
	bool not_zero;            /* shown only where it is not 0 */
	const struct name *names; /* of ENUM and FLAGS */
};

struct command {
	uint32_t number; /* of an ioctl, or of an op of the test command */
	const char *name;
	uint8_t size;               /* of the structure: the caller's is shown where it is another; 0: never */
	uint8_t selector;           /* offset of the 16 bits of the structure that select fields */
	const struct field *fields; /* of the structure */
	const struct name *values;  /* of an argument that is a value */
};

/* A field: the structure's tag, the member, how it is called and read, and more initialisers. */
#define FIELD(type, member, text, how, ...)                                                                            \
	{                                                                                                              \
		.name = (text), .offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member),   \
		.kind = (how), __VA_ARGS__                                                                             \
	}
#define FLAGS_FIELD(type, member, table) FIELD(type, member, "flags", FLAGS, .not_zero = true, .names = (table))
#define RESERVED_FIELD(type, member)     FIELD(type, member, #member, HEX, .not_zero = true)
#define OUT_ID(type, member, text)       FIELD(type, member, text, NUMBER, .place = OUT)
#define COMMAND(command, text, type, ...)                                                                              \
	{                                                                                                              \
		.number = (command), .name = (text), .size = sizeof(struct type), __VA_ARGS__                          \
	}

extern const struct command iommufd_commands[];
extern const struct command ioasid_commands[];
extern const struct command vfio_commands[];   /* of a container */
extern const struct command device_commands[]; /* of VFIO groups and devices */

/* What is read from event queues and written to them: the first record. number: enum iommufd_object_type. */
extern const struct command read_records[];
extern const struct command write_records[];

/* The ops of IOMMU_TEST_CMD, which have its structure. */
extern const struct command test_ops[];

#endif
