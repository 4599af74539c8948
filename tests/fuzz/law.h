/* SPDX-License-Identifier: BSD-3-Clause */
/* What holds for each answer to an ioctl, whatever the command does. */
#ifndef IOMMUSE_TEST_FUZZ_LAW_H
#define IOMMUSE_TEST_FUZZ_LAW_H

#include "calls.h"
#include "commands.h"

struct law {
	struct caller *caller;
	int fd;
	uint32_t cmd;
	const struct command *command; /* NULL: the number is no command */
	uint64_t arg;
	int result;
	bool sabotaged; /* something was made to fail during the call */
	bool pasids;    /* a command of /dev/ioasid, on such a file or on none */

	/* law_before() sets it: what the argument's first bytes are. */
	bool owned, made;
	uint32_t size;
	size_t readable;
	bool rest_is_zero;          /* of a longer structure, as far as can be seen */
	uint64_t array, array_size; /* what may be written elsewhere */
	bool anywhere;              /* everything may */
};

/* Looks at the argument, before the call. */
void law_before(struct law *law);

/* Checks the result, and that nothing but the answer was written. */
void law_after(struct law *law);

#endif
