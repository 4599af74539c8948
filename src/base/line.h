/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A line of text for a person: a bounded buffer that takes printf-like pieces, allocates nothing and is written with
 * one write(2). What does not fit is cut, and the line says so. Bytes that would control a terminal become '?'.
 */
#ifndef IOMMUSE_BASE_LINE_H
#define IOMMUSE_BASE_LINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES 1024

struct line {
	size_t length;
	bool cut;
	char text[LINE_BYTES];
};

static inline void line_start(struct line *line)
{
	line->length = 0;
	line->cut = false;
}

/* Appends. */
void line_add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
void line_add_list(struct line *line, const char *format, va_list list) __attribute__((format(printf, 2, 0)));

/* Appends a number of bytes, exactly: "4 KiB", "100 bytes", 0x100001 where it is large and no multiple of 1 KiB. */
void line_add_bytes(struct line *line, uint64_t bytes);

/* Appends how long something took or is ago: "50 us", "12 ms", "3.4 s". */
void line_add_time(struct line *line, uint64_t ns);

/*
 * Ends the line and writes it. Raises no SIGPIPE, whatever the process does with that signal. Returns 0, or -errno of
 * write(2): the line or its rest has not been written. Blocks where fd does.
 */
int line_write(struct line *line, int fd);

#endif
