/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/verb.h"

#include "base/log.h"
#include "cli/quota.h"
#include "pasid/ioasid.h"
#include "supervisor/launch.h"
#include "supervisor/run_name.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct choice {
	const char *name;
	int value;
};

static const struct choice overlays[] = {
	{"auto", OVERLAY_AUTO}, {"namespace", OVERLAY_NAMESPACE}, {"trap", OVERLAY_TRAP}, {NULL, 0}};

static const struct choice memlocks[] = {
	{"report", MEMLOCK_REPORT}, {"enforce", MEMLOCK_ENFORCE}, {"off", MEMLOCK_OFF}, {NULL, 0}};

static const struct choice pins[] = {{"follow", PIN_FOLLOW}, {"share", PIN_SHARE}, {NULL, 0}};

enum {
	OPTION_OVERLAY = 256,
	OPTION_MEMLOCK,
	OPTION_PIN,
	OPTION_DEVICE,
	OPTION_KEEP_PCI,
	OPTION_SELFTEST,
	OPTION_NAME,
	OPTION_PASID_BITS,
	OPTION_PASID_QUOTA,
};

static const struct option long_options[] = {
	{"overlay", required_argument, NULL, OPTION_OVERLAY},
	{"memlock", required_argument, NULL, OPTION_MEMLOCK},
	{"pin", required_argument, NULL, OPTION_PIN},
	{"device", required_argument, NULL, OPTION_DEVICE},
	{"keep-pci", no_argument, NULL, OPTION_KEEP_PCI},
	{"selftest", no_argument, NULL, OPTION_SELFTEST},
	{"name", required_argument, NULL, OPTION_NAME},
	{"pasid-bits", required_argument, NULL, OPTION_PASID_BITS},
	{"pasid-quota", required_argument, NULL, OPTION_PASID_QUOTA},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

void run_usage(void)
{
	printf("usage: iommuse run [OPTION...] -- PROGRAM [ARG...]\n\n"
	       "Runs PROGRAM, and all that it starts, with /dev/iommu and /dev/vfio of Linux 7.2, and /dev/ioasid.\n\n"
	       "  --device=MODEL[,KEY=VALUE...]   add a VFIO device; repeatable. MODEL is a name that 'iommuse "
	       "devices'\n"
	       "                                  lists, or the path of a shared object, with a slash in it\n"
	       "  --keep-pci                      show the machine's own PCI devices beside them\n"
	       "  --overlay=auto|namespace|trap   how the nodes appear: in a mount namespace, or by answering\n"
	       "                                  each question about their paths; auto takes the first that works\n"
	       "  --selftest                      switch on IOMMU_TEST_CMD, as CONFIG_IOMMUFD_TEST does\n"
	       "  --memlock=report|enforce|off    count locked memory as Linux would and say so; refuse as Linux\n"
	       "                                  would; neither\n"
	       "  --pin=follow|share              find private memory in the program when a device uses it, or make\n"
	       "                                  it shared with iommuse, so that it stays when it is unmapped\n"
	       "  --pasid-bits=N                  there are 2^N PASIDs, 0 not given out; N is 1 to 20, and 20 if not "
	       "given\n"
	       "  --pasid-quota=N                 a process may have N PASIDs of /dev/ioasid\n"
	       "  --pasid-quota=CGROUP=N          the processes of a cgroup and all below it may have N; repeatable.\n"
	       "                                  CGROUP is a path as /proc/PID/cgroup has it, or a directory below\n"
	       "                                  /sys/fs/cgroup\n"
	       "  --name=NAME                     the name that 'iommuse status' finds this run by, else its process\n"
	       "                                  number\n"
	       "  -v, --verbose                   print one line a call, decoded, on standard error\n"
	       "  -h, --help                      print this\n\n"
	       "Exit status: the program's own, 128+N where signal N ended it, 125 where iommuse failed,\n"
	       "126 where PROGRAM cannot be executed, 127 where it is not found.\n");
}

static int choose(const char *option, const struct choice *choices, const char *name)
{
	char known[128] = "";
	size_t length = 0;

	for (const struct choice *c = choices; c->name; c++) {
		if (!strcmp(c->name, name))
			return c->value;
		length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s", length ? ", " : "", c->name);
	}
	log_line("run: --%s has no '%s': it is one of %s", option, name, known);
	return -1;
}

/* Options that may be given more than once; each has room for all. */
struct lists {
	const char **devices;
	char **quotas; /* each allocated */
};

static void add_device(const char **devices, const char *text)
{
	while (*devices)
		devices++;
	*devices = text;
}

/* The next return 0, or -1 after a message. */

static int set_name(struct launch_options *options, const char *name)
{
	if (!run_name_valid(name)) {
		log_line("run: --name=%s: a name has letters, digits, '-', '_' and '.', begins with none of the last "
			 "three, and is at most %d long",
			 name, RUN_NAME_MAX);
		return -1;
	}
	if (!name[strspn(name, "0123456789")]) {
		log_line("run: --name=%s: a number would be that of a process", name);
		return -1;
	}
	options->name = name;
	return 0;
}

static int set_pasid_bits(struct launch_options *options, const char *value)
{
	uint64_t bits;

	if (number_of(value, 1, IOASID_BITS_MAX, &bits)) {
		log_line("run: --pasid-bits=%s: it is a number from 1 to %u", value, IOASID_BITS_MAX);
		return -1;
	}
	options->pasid_bits = (unsigned)bits;
	return 0;
}

static int set_quota(struct launch_options *options, char **quotas, const char *value)
{
	if (strchr(value, '=')) {
		while (*quotas)
			quotas++;
		return cgroup_quota_of(value, quotas) ? -1 : 0;
	}
	if (number_of(value, 1, UINT64_MAX - 1, &options->pasid_quota)) {
		log_line("run: --pasid-quota=%s: say N, which is 1 or more, for each process, or CGROUP=N", value);
		return -1;
	}
	return 0;
}

static int apply(struct launch_options *options, const struct lists *lists, int option, const char *value)
{
	int chosen;

	switch (option) {
	case OPTION_OVERLAY:
		chosen = choose("overlay", overlays, value);
		options->overlay = chosen < 0 ? OVERLAY_AUTO : (enum overlay_mode)chosen;
		return chosen < 0 ? -1 : 0;
	case OPTION_MEMLOCK:
		chosen = choose("memlock", memlocks, value);
		options->memlock = chosen < 0 ? MEMLOCK_REPORT : (enum memlock_policy)chosen;
		return chosen < 0 ? -1 : 0;
	case OPTION_PIN:
		chosen = choose("pin", pins, value);
		options->pin = chosen < 0 ? PIN_FOLLOW : (enum pin_mode)chosen;
		return chosen < 0 ? -1 : 0;
	case OPTION_DEVICE:
		add_device(lists->devices, value);
		return 0;
	case OPTION_KEEP_PCI:
		options->keep_pci = true;
		return 0;
	case OPTION_SELFTEST:
		options->selftest = true;
		return 0;
	case OPTION_NAME:
		return set_name(options, value);
	case OPTION_PASID_BITS:
		return set_pasid_bits(options, value);
	case OPTION_PASID_QUOTA:
		return set_quota(options, lists->quotas, value);
	case 'v':
		options->verbose = true;
		return 0;
	default:
		return -1;
	}
}

/* Returns the index of the program, or -1 with the status to exit with. */
static int parse(int argc, char **argv, struct launch_options *options, const struct lists *lists, int *status)
{
	int option;

	opterr = 0;
	*status = EXIT_OWN_FAILURE;
	while ((option = getopt_long(argc, argv, "+:vh", long_options, NULL)) != -1) {
		if (option == 'h') {
			run_usage();
			*status = 0;
			return -1;
		}
		if (option == '?' || option == ':') {
			log_line("run: %s '%s': try 'iommuse help run'",
				 option == ':' ? "no value for" : "unknown option", argv[optind - 1]);
			return -1;
		}
		if (apply(options, lists, option, optarg) < 0)
			return -1;
	}
	if (optind < argc)
		return optind;
	log_line("run: no program given: say 'iommuse run -- PROGRAM [ARG...]'");
	return -1;
}

static void free_lists(struct lists *lists)
{
	for (char **quota = lists->quotas; quota && *quota; quota++)
		free(*quota);
	free(lists->quotas);
	free(lists->devices);
}

int run_main(int argc, char **argv)
{
	/* No more than arguments. */
	struct lists lists = {
		.devices = calloc((size_t)argc, sizeof(*lists.devices)),
		.quotas = calloc((size_t)argc, sizeof(*lists.quotas)),
	};
	struct launch_options options = {
		.overlay = OVERLAY_AUTO,
		.memlock = MEMLOCK_REPORT,
		.pin = PIN_FOLLOW,
		.devices = lists.devices,
		.pasid_quota = UINT64_MAX,
		.cgroup_quotas = (const char *const *)lists.quotas,
	};
	int status = EXIT_OWN_FAILURE;
	int program;

	if (!lists.devices || !lists.quotas) {
		log_error(-ENOMEM, "run");
	} else {
		program = parse(argc, argv, &options, &lists, &status);
		if (program >= 0)
			status = launch(&options, argv + program);
	}
	free_lists(&lists);
	return status;
}
