/* SPDX-License-Identifier: BSD-3-Clause */
/* What a thread's memory consists of, as /proc/TID/maps lists it. (The list of a first thread that has ended is empty,
 * so it is asked for by a thread that lives.) */
#ifndef IOMMUSE_SUPERVISOR_MAPPINGS_H
#define IOMMUSE_SUPERVISOR_MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct mapping {
	uint64_t start, end; /* exclusive */
	char perms[5];       /* "rwxp", or - and s */
	uint64_t offset;     /* in the file */
	dev_t dev;
	ino_t ino;
	char name[32]; /* cut off */
};

/* Returns NULL with errno. To be closed with fclose(). */
FILE *mappings_open(pid_t tid);

bool mappings_next(FILE *mappings, struct mapping *mapping);

/* PROT_* */
int mapping_prot(const struct mapping *mapping);

#endif
