/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls as a person reads them: the names and the members of each command. */
#ifndef IOMMUSE_CHECK_DECODE_H
#define IOMMUSE_CHECK_DECODE_H

#include <stdint.h>

struct event;
struct line;

/* What the id of an object is, as "ioas", or NULL where nobody knows. */
typedef const char *decode_kind(void *context, uint32_t id);

/* Appends an EVENT_CALL or EVENT_DEVICE_CALL: "IOAS_MAP ioas=1 READABLE va=0x7f1200000000 length=4 KiB -> 0
 * iova=0x1000". */
void decode_call(struct line *line, const struct event *event, decode_kind *kind, void *context);

/* Appends an EVENT_READ or EVENT_WRITE: "read fault=5 -> 40 device=3 perm=WRITE addr=0x1000 grpid=1 cookie=1". */
void decode_transfer(struct line *line, const struct event *event);

#endif
