/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include "base/errno_name.h"
#include "base/line.h"

#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 1000

__attribute__((format(printf, 2, 0))) static void start(struct line *line, const char *format, va_list list)
{
	line_start(line);
	line_add(line, "iommuse: ");
	line_add_list(line, format, list);
}

static void finish(struct line *line)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&out, 1, PATIENCE_MS) != 0)
		line_write(line, STDERR_FILENO);
}

void log_line(const char *format, ...)
{
	struct line line;
	va_list list;

	va_start(list, format);
	start(&line, format, list);
	va_end(list);
	finish(&line);
}

void log_error(int error, const char *format, ...)
{
	const char *text;
	struct line line;
	va_list list;

	if (error < 0)
		error = -error;
	text = strerrordesc_np(error);
	va_start(list, format);
	start(&line, format, list);
	va_end(list);
	line_add(&line, ": %s", errno_name(error));
	if (text)
		line_add(&line, " (%s)", text);
	else
		line_add(&line, " %d", error);
	finish(&line);
}
