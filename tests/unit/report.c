/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run tells of itself, where that is much, long or not fit to be printed. */
#include "check.h"

#include "supervisor/report.h"
#include "system/system.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUOTAS 300
#define ROOM   65536

static char *quotas[QUOTAS + 1];

static void quotas_new(size_t count, const char *rest)
{
	for (size_t i = 0; i < count; i++)
		CHECK(asprintf(&quotas[i], "/%03zu%s=%zu", i, rest, i) > 0);
}

static void quotas_free(void)
{
	for (size_t i = 0; quotas[i]; i++) {
		free(quotas[i]);
		quotas[i] = NULL;
	}
}

static struct system *system_with(const char *const *devices)
{
	const struct system_config config = {
		.devices = devices,
		.pasid_bits = 4,
		.pasid_quota = UINT64_MAX,
		.cgroup_quotas = (const char *const *)quotas,
	};
	struct system *system = NULL;

	CHECK_EQ(system_new(&config, &system), 0);
	return system;
}

static char *told(const struct report *report, const char *const *devices, size_t room)
{
	struct system *system = system_with(devices);
	size_t length = 0;
	char *text = system ? report_text(report, system, room, &length) : NULL;

	CHECK(text);
	CHECK(text && strlen(text) == length && length < room);
	if (system)
		system_free(system);
	return text ? text : calloc(1, 1);
}

static struct report report_of(char *const *argv)
{
	struct report report = {.name = "a-name", .pid = 17, .uid = 1000, .pasid_bits = 4};

	report_start(&report, argv);
	return report;
}

static bool has(const char *text, const char *part)
{
	if (strstr(text, part))
		return true;
	printf("'%s' is not in:\n%s", part, text);
	return false;
}

static void it_begins_with_the_run(void)
{
	char *argv[] = {(char[]){"./a"}, (char[]){"--b c"}, NULL};
	const struct report report = report_of(argv);
	char *text = told(&report, NULL, ROOM);

	CHECK(has(text, "name      a-name\nprocess   17 of user 1000\nprogram   ./a --b c\nsince     20"));
	CHECK(has(text, "\nPASIDs    0 of 15 in use (4 bits)\n"));
	CHECK(!strstr(text, "cgroup"));
	CHECK(!strstr(text, "device"));
	free(text);
}

static void what_would_control_a_terminal_is_not_told(void)
{
	char *argv[] = {(char[]){"a\nname b"}, (char[]){"\033[1m\177\t"}, (char[]){"\303\244"}, NULL};
	const struct report report = report_of(argv);

	CHECK(!strcmp(report.program, "a?name b ?[1m?? \303\244"));
}

static void a_long_command_line_is_cut(void)
{
	char longest[300];
	char *argv[] = {(char[]){"program"}, longest, (char[]){"more"}, NULL};
	struct report report;

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	report = report_of(argv);
	CHECK_EQ(strlen(report.program), sizeof(report.program) - 1);
	CHECK(!strcmp(report.program + sizeof(report.program) - 5, "x..."));
	/* One that just fits is not. */
	longest[sizeof(report.program) - sizeof("program ")] = '\0';
	argv[2] = NULL;
	report = report_of(argv);
	CHECK_EQ(strlen(report.program), sizeof(report.program) - 1);
	CHECK(!strcmp(report.program + sizeof(report.program) - 5, "xxxx"));
}

static void rows_are_in_columns(void)
{
	static const char *const devices[] = {"ioat", "ioat,group=9", NULL};
	const struct report report = report_of((char *[]){NULL});
	char *text;

	quotas_new(2, "/a b");
	text = told(&report, devices, ROOM);
	CHECK(has(text, "\n\n"
			"  current   maximum   refused  cgroup\n"
			"        0         0         0  /000/a b\n"
			"        0         1         0  /001/a b\n"
			"\n"
			"device        model  opened by\n"
			"0000:01:00.0  ioat   nobody\n"
			"0000:02:00.0  ioat   nobody\n"));
	free(text);
	quotas_free();
}

static void of_many_the_rest_is_counted(void)
{
	const struct report report = report_of((char *[]){NULL});
	char *text;

	quotas_new(QUOTAS, "");
	text = told(&report, NULL, ROOM);
	CHECK(has(text, "        0       255         0  /255\nand 44 more\n"));
	CHECK(!strstr(text, "/256"));
	free(text);
	quotas_free();
}

static void what_does_not_fit_is_cut_after_a_line(void)
{
	const struct report report = report_of((char *[]){NULL});
	char *whole, *text;

	quotas_new(QUOTAS, "/of/a/long/path");
	whole = told(&report, NULL, ROOM);
	for (size_t room = 4000; room < 4100; room++) {
		size_t length;

		text = told(&report, NULL, room);
		length = strlen(text);
		CHECK(length > 5 && !strcmp(text + length - 5, "\n...\n"));
		CHECK(length + 60 > room);
		CHECK(length > 5 && !strncmp(strstr(text, "\n\n"), strstr(whole, "\n\n"), 2000));
		free(text);
	}
	free(whole);
	quotas_free();
}

int main(void)
{
	it_begins_with_the_run();
	what_would_control_a_terminal_is_not_told();
	a_long_command_line_is_cut();
	rows_are_in_columns();
	of_many_the_rest_is_counted();
	what_does_not_fit_is_cut_after_a_line();
	return check_result();
}
