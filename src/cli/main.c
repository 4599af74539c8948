/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/verb.h"

#include "base/log.h"
#include "iommuse/iommuse.h"
#include "supervisor/launch.h"

#include <stdio.h>
#include <string.h>

static const struct verb {
	const char *name;
	const char *what;
	verb_main *main;
	void (*usage)(void);
} verbs[] = {
	{"run", "run a program that finds /dev/iommu and /dev/vfio", run_main, run_usage},
	{"status", "say what programs under a running iommuse have", status_main, status_usage},
	{"devices", "say which devices run --device can make, and how they are set", devices_main, devices_usage},
	{"doctor", "say whether this machine can, and what to do where it cannot", doctor_main, doctor_usage},
};

#define VERB_COUNT (sizeof(verbs) / sizeof(*verbs))

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static void usage(void)
{
	printf("Linux's I/O address-space system in user space.\n\n"
	       "usage: iommuse VERB [OPTION...] [ARGUMENT...]\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		printf("  %-8s %s\n", verbs[i].name, verbs[i].what);
	printf("\n  iommuse help VERB    how a verb is used\n"
	       "  iommuse --version    the version\n\n"
	       "example: iommuse run --device ioat -- ./my-vfio-program\n");
}

static int help(int argc, char **argv)
{
	const struct verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;

	if (argc > 1 && !verb) {
		log_line("help: no verb '%s': try 'iommuse help'", argv[1]);
		return EXIT_OWN_FAILURE;
	}
	if (verb)
		verb->usage();
	else
		usage();
	return 0;
}

int main(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		usage();
		return EXIT_OWN_FAILURE;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("iommuse %s\n", iommuse_version());
		return 0;
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return help(argc - 1, argv + 1);
	verb = find_verb(argv[1]);
	if (!verb) {
		log_line("no verb '%s': to run a program say 'iommuse run -- PROGRAM', or try 'iommuse help'", argv[1]);
		return EXIT_OWN_FAILURE;
	}
	return verb->main(argc - 1, argv + 1);
}
