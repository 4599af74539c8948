/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The trace that `iommuse run --verbose` shows: a line a call, one for each open and close, and after a close what was
 * alive then, object by object. A listener of the event stream.
 *
 * Nobody has to read it: a call never waits for the trace, as only the stream's consumer does, and that no longer than
 * a second once trace_hurry() was called.
 */
#ifndef IOMMUSE_CHECK_TRACE_H
#define IOMMUSE_CHECK_TRACE_H

#include <stdint.h>

struct event;
struct trace;

/* Lines go to a duplicate of fd. Returns 0, or -ENOMEM, -EBADF, -EMFILE. */
int trace_new(int fd, struct trace **trace);

/* The stream must be gone. */
void trace_free(struct trace *trace);

/* The listener; its context is the trace. */
void trace_event(void *context, const struct event *event, uint64_t lost);

/*
 * The end is near: from now on the trace waits for its reader for a second in all. Call it before event_stream_free(),
 * from any thread.
 */
void trace_hurry(struct trace *trace);

/* How many lines could not be written so far. */
uint64_t trace_unwritten(const struct trace *trace);

#endif
