/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An input of the fuzzers of the interface: a head, then records, each of which is a call on one of a few files of one
 * system. The values that a record's bytes stand for are mostly sensible: identifiers and ranges that exist, small
 * windows so that ranges meet; and now and then anything else.
 */
#ifndef IOMMUSE_TEST_FUZZ_CALLS_H
#define IOMMUSE_TEST_FUZZ_CALLS_H

#include "iommuse/iommuse.h"

#include "arena.h"
#include "commands.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD        16
#define RECORDS_MAX   200U
#define WORLD_FILES   4U
#define WORLD_MADE    7U
#define WORLD_IDS     4U
#define WORLD_OFFSETS 4U

struct record {
	uint8_t op;
	uint8_t slot; /* which file; and what fails during the call */
	uint8_t place, size;
	uint8_t value[12];
};

_Static_assert(sizeof(struct record) == RECORD, "records have no holes");

/* The first record of an input. */
struct head {
	uint8_t selftest, capable, tidy;
	uint8_t rest[13];
};

_Static_assert(sizeof(struct head) == RECORD, "the head is a record");

/* A system and what is open in it; -1: nothing. Whoever takes a number out of its place closes it. */
struct world {
	struct iommuse *system;
	_Atomic int file[WORLD_FILES];
	_Atomic int made[WORLD_MADE]; /* by commands: queues, accesses, dma-bufs */
	_Atomic int pasids;           /* /dev/ioasid */
	/* What was answered last, by kind (enum id_kind), and where regions can be mapped; 0: nothing. */
	_Atomic uint32_t id[ID_KINDS][WORLD_IDS];
	_Atomic uint64_t offset[WORLD_OFFSETS];
	bool selftest, capable;
	bool strict; /* nobody changes arguments during calls */
};

/* Who makes calls. */
struct caller {
	struct world *world;
	struct arena arena;
	bool alone; /* nobody else makes calls or changes arguments, so answers are checked, and more can be made to
		       fail */
	unsigned char *before; /* ARENA_SIZE bytes, if alone */
	/* A region that is mapped for longer than the call; NULL: none. */
	void *region;
	size_t region_length;
};

/* Unmaps the caller's region, if there is one. */
void caller_unmap(struct caller *caller);

/* Opens what the process has of its own, for all inputs. */
void calls_init(void);

void world_open(struct world *world, const struct head *head, bool strict);

/* Closes the file in a place, if there is one. */
void world_close(struct world *world, _Atomic int *place);

/* Opens a node and puts it into a place, and closes what was there. */
void world_reopen(struct world *world, _Atomic int *place, bool vfio);

void call(struct caller *caller, const struct record *r);

/* A command with a good argument, for checks. */
int call_well(struct caller *caller, int fd, uint32_t cmd, void *argument, size_t size);

#endif
