/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each block of a disk may hold, as one who writes to it has to expect: its content is of a version, 0 for zeroes,
 * and no two versions are alike. It is shared memory, which outlives whoever writes.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEDGER_BYTES = 1 << 20, LEDGER_BLOCKS = LEDGER_BYTES / 512 };

/* durable <= done <= latest */
struct ledger_block {
	uint32_t durable; /* this version at least is there whatever happens */
	uint32_t done;    /* the last of which the controller said so */
	uint32_t latest;  /* that was given to the controller */
};

struct ledger {
	unsigned block, blocks; /* bytes of one, and how many */
	uint32_t version;       /* the last that was given to any block */
	struct ledger_block of[LEDGER_BLOCKS];
};

/* In a file, or with NULL in memory that children share. NULL: there is none. */
struct ledger *ledger_open(const char *path);

void ledger_fill(const struct ledger *ledger, uint8_t *data, uint32_t lba, uint32_t version);

/* The version of a block, or -1: it is none, or a mixture. */
int64_t ledger_version(const struct ledger *ledger, const uint8_t *data, uint32_t lba);

/*
 * Is the version of each of n blocks one that may be there when all has come to rest? That then is what they hold. What
 * was done may be lost where it is not durable, unless the controller was powered all the time. Says to standard output
 * what is wrong.
 */
bool ledger_settle(struct ledger *ledger, const uint8_t *data, uint32_t lba, uint32_t n, bool powered);

/* In place of that for one that is new: it takes what the blocks hold, which is of some version. */
bool ledger_learn(struct ledger *ledger, const uint8_t *data, uint32_t lba, uint32_t n);

#endif
