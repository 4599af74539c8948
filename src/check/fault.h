/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wrong DMA is told at once, in one line: which device, what it wanted where, why it was blocked, and what is known of
 * that place. A listener of the event stream, for EVENT_DMA_FAULT.
 *
 *	iommuse: 0000:01:00.0: DMA write of 64 bytes to IOVA 0x101000 blocked: nothing is mapped there; ...
 *
 * Of a device and a reason no more than FAULT_LINES are shown within a second; the others are counted.
 */
#ifndef IOMMUSE_CHECK_FAULT_H
#define IOMMUSE_CHECK_FAULT_H

#include <stdint.h>

struct event;
struct fault_log;

#define FAULT_LINES 4

/* Lines go to fd, which stays the caller's. NULL: no memory. */
struct fault_log *fault_log_new(int fd);

/* The stream must be gone. */
void fault_log_free(struct fault_log *log);

/* The listener; its context is the log. */
void fault_log_event(void *context, const struct event *event, uint64_t lost);

/* Tells what was only counted so far. From any thread. */
void fault_log_settle(struct fault_log *log);

#endif
