/* SPDX-License-Identifier: BSD-3-Clause */
/* A trace whose lines are compared, and calls that it shows. */
#ifndef IOMMUSE_TESTS_TRACE_PEN_H
#define IOMMUSE_TESTS_TRACE_PEN_H

#include "check/trace.h"

#include "base/event.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

/* A trace into a file that is read back. */
struct pen {
	struct trace *trace;
	int fd;
};

static struct pen pen_new(void)
{
	struct pen pen = {.fd = memfd_create("trace", MFD_CLOEXEC)};

	EXPECT(pen.fd >= 0 && trace_new(pen.fd, &pen.trace) == 0);
	return pen;
}

static void pen_free(struct pen *pen)
{
	trace_free(pen->trace);
	close(pen->fd);
}

/* Compares what was written since the last time. */
static void expect_text(struct pen *pen, const char *expected, int line)
{
	static char text[1 << 16];
	ssize_t n = pread(pen->fd, text, sizeof(text) - 1, 0);

	EXPECT(n >= 0);
	text[n] = 0;
	if (strcmp(text, expected) != 0) {
		fprintf(stderr, "%s:%d: the trace says\n%swhere this is expected\n%s", __FILE__, line, text, expected);
		exit(1);
	}
	/* The duplicate has the same position. */
	EXPECT(ftruncate(pen->fd, 0) == 0 && lseek(pen->fd, 0, SEEK_SET) == 0);
}
#define EXPECT_TEXT(pen, expected) expect_text(pen, expected, __LINE__)

static void tell(struct pen *pen, struct event event)
{
	if (!event.pid)
		event.pid = event.tid = 1234;
	trace_event(pen->trace, &event, 0);
}

/* File 7 is /dev/iommu, opened as descriptor 3. */
static void open_file(struct pen *pen)
{
	tell(pen, (struct event){.type = EVENT_OPEN, .file = 7, .fd = 3, .text = "/dev/iommu"});
	EXPECT_TEXT(pen, "[1234] open /dev/iommu -> 3\n");
}

static struct event call(uint32_t cmd, int64_t result, const void *arg, size_t size)
{
	struct event event = {
		.type = EVENT_CALL,
		.file = 7,
		.fd = 3,
		.call = {.cmd = cmd, .result = result, .arg_size = (uint32_t)size, .arg_value = 0x7f00beef0000},
	};

	EXPECT(size <= sizeof(event.call.arg));
	memcpy(event.call.arg, arg, size);
	return event;
}

static void expect_call(struct pen *pen, struct event event, const char *text, int line)
{
	char expected[512];

	snprintf(expected, sizeof(expected), "[1234] /dev/iommu(3) %s\n", text);
	tell(pen, event);
	expect_text(pen, expected, line);
}

#endif
