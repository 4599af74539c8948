/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines for a person, and the log that is made of them. */
#include "base/line.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* stderr is what is tested. */
#define EXPECT(condition)                                                                                              \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                         \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

static void expect_file(int fd, const char *expected, int at)
{
	char text[4096];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	EXPECT(n >= 0);
	text[n] = 0;
	if (strcmp(text, expected) != 0) {
		printf("%s:%d: '%s' where '%s' is expected\n", __FILE__, at, text, expected);
		exit(1);
	}
	EXPECT(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
}
#define EXPECT_FILE(fd, expected) expect_file(fd, expected, __LINE__)

static void bytes_are_exact(void)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 bytes"},
		{1, "1 byte"},
		{1023, "1023 bytes"},
		{1024, "1 KiB"},
		{1025, "1025 bytes"},
		{4096, "4 KiB"},
		{1536 * 1024, "1536 KiB"},
		{(1 << 20) - 1, "1048575 bytes"},
		{1 << 20, "1 MiB"},
		{(1 << 20) + 1, "0x100001"},
		{UINT64_C(3) << 30, "3 GiB"},
		{UINT64_C(1) << 63, "8 EiB"},
		{UINT64_MAX, "0xffffffffffffffff"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line line;

		line_start(&line);
		line_add_bytes(&line, cases[i].bytes);
		EXPECT(line.length == strlen(cases[i].text) && !memcmp(line.text, cases[i].text, line.length));
	}
}

static void times_are_short(void)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0 us"},       {999, "0 us"},         {1000, "1 us"},        {999999, "999 us"},
		{1000000, "1 ms"}, {999999999, "999 ms"}, {1000000000, "1.0 s"}, {61499999999, "61.4 s"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line line;

		line_start(&line);
		line_add_time(&line, cases[i].ns);
		line.text[line.length] = 0;
		EXPECT(strcmp(line.text, cases[i].text) == 0);
	}
}

static void a_line_that_is_too_long_is_cut_and_says_so(void)
{
	const size_t most = LINE_BYTES - strlen("...\n");
	int fd = memfd_create("line", MFD_CLOEXEC);
	char expected[LINE_BYTES + 1];
	struct line line;

	EXPECT(fd >= 0);
	for (size_t length = most - 5; length < most + 5; length++) {
		size_t kept = length < most ? length : most;

		memset(expected, 'x', kept);
		snprintf(expected + kept, sizeof(expected) - kept, "%s", length > most ? "...\n" : "\n");
		line_start(&line);
		line_add(&line, "%.*s", (int)(kept / 2), expected);
		for (size_t i = kept / 2; i < length; i++)
			line_add(&line, "x");
		EXPECT(line_write(&line, fd) == 0);
		EXPECT_FILE(fd, expected);
	}
	close(fd);
}

static void a_line_controls_no_terminal(void)
{
	int fd = memfd_create("line", MFD_CLOEXEC);
	struct line line;

	EXPECT(fd >= 0);
	line_start(&line);
	line_add(&line, "%s", "a\n\033[1mb\177\303\244");
	EXPECT(line_write(&line, fd) == 0);
	EXPECT_FILE(fd, "a??[1mb?\303\244\n");
	close(fd);
}

static bool sigpipe_is_blocked(void)
{
	sigset_t set;

	pthread_sigmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, SIGPIPE) == 1;
}

static bool sigpipe_is_pending(void)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, SIGPIPE) == 1;
}

static void a_pipe_that_nobody_reads_raises_no_signal(void)
{
	struct line line;
	sigset_t sigpipe;
	int fds[2];

	EXPECT(pipe2(fds, O_CLOEXEC) == 0);
	close(fds[0]);
	signal(SIGPIPE, SIG_DFL);
	line_start(&line);
	line_add(&line, "x");
	EXPECT(line_write(&line, fds[1]) == -EPIPE);
	EXPECT(!sigpipe_is_blocked() && !sigpipe_is_pending());

	/* Where the signal is blocked it stays so. */
	sigemptyset(&sigpipe);
	sigaddset(&sigpipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &sigpipe, NULL);
	line_start(&line);
	EXPECT(line_write(&line, fds[1]) == -EPIPE);
	EXPECT(sigpipe_is_blocked());
	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_UNBLOCK, &sigpipe, NULL);
	signal(SIGPIPE, SIG_DFL);
	close(fds[1]);
	line_start(&line);
	EXPECT(line_write(&line, -1) == -EBADF);
}

static void the_log_names_the_errno(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	EXPECT(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	log_line("%d file%s", 2, "s");
	EXPECT_FILE(fd, "iommuse: 2 files\n");
	log_error(EACCES, "cannot open %s", "/dev/iommu");
	EXPECT_FILE(fd, "iommuse: cannot open /dev/iommu: EACCES (Permission denied)\n");
	log_error(-ENOENT, "no such thing");
	EXPECT_FILE(fd, "iommuse: no such thing: ENOENT (No such file or directory)\n");
	log_error(-4000, "strange");
	EXPECT_FILE(fd, "iommuse: strange: E? 4000\n");
	close(fd);
}

static void the_log_does_not_wait_for_a_reader_for_ever(void)
{
	static const char page[4096];
	int fds[2];
	ssize_t n;

	EXPECT(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
	do
		n = write(fds[1], page, sizeof(page));
	while (n > 0);
	EXPECT(fcntl(fds[1], F_SETFL, 0) == 0 && dup2(fds[1], STDERR_FILENO) == STDERR_FILENO);
	log_line("nobody reads this");
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	bytes_are_exact();
	times_are_short();
	a_line_that_is_too_long_is_cut_and_says_so();
	a_line_controls_no_terminal();
	a_pipe_that_nobody_reads_raises_no_signal();
	the_log_names_the_errno();
	the_log_does_not_wait_for_a_reader_for_ever();
	return 0;
}
