/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/line.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What a line ends with, where it was cut and where it was not. */
#define CUT_END "...\n"
#define END     "\n"

/* Room for the text, so that an end always fits. */
#define TEXT_BYTES (LINE_BYTES - (sizeof(CUT_END) - 1))

void line_add_list(struct line *line, const char *format, va_list list)
{
	size_t room = TEXT_BYTES - line->length;
	int n = vsnprintf(line->text + line->length, room + 1, format, list);

	if (n < 0)
		return;
	if ((size_t)n > room) {
		line->cut = true;
		line->length = TEXT_BYTES;
	} else {
		line->length += (size_t)n;
	}
}

void line_add(struct line *line, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	line_add_list(line, format, list);
	va_end(list);
}

void line_add_bytes(struct line *line, uint64_t bytes)
{
	static const char units[][4] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t count = bytes;
	int unit = -1;

	for (; count && count % 1024 == 0; count /= 1024)
		unit++;
	if (unit >= 0)
		line_add(line, "%" PRIu64 " %s", count, units[unit]);
	else if (bytes < 1024 * 1024)
		line_add(line, "%" PRIu64 " byte%s", bytes, bytes == 1 ? "" : "s");
	else
		line_add(line, "0x%" PRIx64, bytes);
}

void line_add_time(struct line *line, uint64_t ns)
{
	if (ns < 1000000)
		line_add(line, "%" PRIu64 " us", ns / 1000);
	else if (ns < 1000000000)
		line_add(line, "%" PRIu64 " ms", ns / 1000000);
	else
		line_add(line, "%" PRIu64 ".%" PRIu64 " s", ns / 1000000000, ns % 1000000000 / 100000000);
}

static void line_end(struct line *line)
{
	const char *end = line->cut ? CUT_END : END;

	for (size_t i = 0; i < line->length; i++) {
		unsigned char c = (unsigned char)line->text[i];

		if (c < ' ' || c == 0x7f)
			line->text[i] = '?';
	}
	memcpy(line->text + line->length, end, strlen(end));
	line->length += strlen(end);
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

int line_write(struct line *line, int fd)
{
	const struct timespec no_time = {0};
	sigset_t sigpipe, old;
	int error;

	line_end(line);
	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &sigpipe, &old);
	error = write_all(fd, line->text, line->length);
	if (!sigismember(&old, SIGPIPE)) {
		/* It was not blocked, so none was pending: what is pending now is from this write. */
		if (error == -EPIPE)
			sigtimedwait(&sigpipe, NULL, &no_time);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	return error;
}
