/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls that are made to fail, each with what it works on. */
#ifndef IOMMUSE_TESTS_CASES_H
#define IOMMUSE_TESTS_CASES_H

#include "world.h"

#include <stddef.h>

/* What a call gave: its result, and what it stored. */
struct outcome {
	long rc;
	unsigned char stored[128];
};

enum {
	STAYS = 1,  /* EFAULT of the reply does not undo it */
	PARTLY = 2, /* what it does to memory may be done in part */
	GIVES = 4,  /* a descriptor, that a served client keeps where the reply cannot be written */
};

struct sweep {
	const char *name;
	void (*set_up)(struct world *w);
	void (*call)(struct world *w, struct outcome *out);
	unsigned flags;
};

/* Each ended by one without a name. */
extern const struct sweep iommufd_sweeps[], test_sweeps[], device_sweeps[], ioasid_sweeps[], bond_sweeps[];
extern const struct sweep way_sweeps[]; /* what there is of the way itself */

#define STORE(out, value) memcpy((out)->stored, &(value), sizeof(value))

/* A call whose structure is all that there is to it. */
#define SIMPLE(name, command, structure, ...)                                                                          \
	static void name(struct world *w, struct outcome *out)                                                         \
	{                                                                                                              \
		struct structure cmd = {.size = sizeof(cmd), __VA_ARGS__};                                             \
                                                                                                                       \
		out->rc = CALL(w, command, &cmd);                                                                      \
		if (out->rc >= 0)                                                                                      \
			STORE(out, cmd);                                                                               \
	}

#define TEST(name, number, member, ...)                                                                                \
	static void name(struct world *w, struct outcome *out)                                                         \
	{                                                                                                              \
		struct iommu_test_cmd cmd = {.op = (number), .member, __VA_ARGS__};                                    \
                                                                                                                       \
		out->rc = world_test(w, &cmd);                                                                         \
		if (out->rc >= 0)                                                                                      \
			STORE(out, cmd);                                                                               \
	}

#endif
