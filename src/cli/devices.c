/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/verb.h"

#include "base/log.h"
#include "devices/devices.h"
#include "devices/models.h"
#include "iommuse/device.h"
#include "supervisor/launch.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const struct iommuse_key common_keys[] = {
	{"addr", "DDDD:BB:DD.F", "its PCI address", "0000:01:00.0, 0000:02:00.0, ... the first that is free"},
	{"group", "N", "its IOMMU group, /dev/vfio/N", "one of its own, from 1"},
	{NULL, NULL, NULL, NULL},
};

void devices_usage(void)
{
	printf("usage: iommuse devices [MODEL]\n\n"
	       "Lists the models that 'iommuse run --device MODEL[,KEY=VALUE...]' can make devices of, with their "
	       "keys.\n"
	       "MODEL: that one only; of your own it is a shared object: './my_model.so'.\n");
}

static void print_keys(const struct iommuse_key *keys)
{
	for (const struct iommuse_key *key = keys; key && key->name; key++) {
		char what[64];

		snprintf(what, sizeof(what), "%s%s%s", key->name, key->value ? "=" : "", key->value ? key->value : "");
		printf("  %-20s %s", what, key->help);
		if (key->initial)
			printf(" (if not given: %s)", key->initial);
		printf("\n");
	}
}

static void print_model(const struct iommuse_model *model)
{
	printf("%s: %s\n", model->name, model->title);
	printf("  PCI %04x:%04x, class %06x", model->vendor, model->device, model->class_code);
	if (model->msix_vectors)
		printf(", %u MSI-X", model->msix_vectors);
	if (model->msi_vectors)
		printf(", %u MSI", model->msi_vectors);
	if (model->intx)
		printf(", INTx");
	if (model->pasid_bits)
		printf(", %u bits of PASID", model->pasid_bits);
	printf("\n");
	print_keys(model->keys);
	print_keys(common_keys);
	if (model->example)
		printf("  example: %s\n", model->example);
}

static int print_one(const char *name)
{
	struct iommuse_model model;
	char why[256] = "";
	void *library;

	if (model_find(name, &model, &library, &(struct why){why, sizeof(why)})) {
		log_line("devices: %s", why);
		return EXIT_OWN_FAILURE;
	}
	print_model(&model);
	if (library)
		dlclose(library);
	return 0;
}

int devices_main(int argc, char **argv)
{
	const char *wanted = argc > 1 ? argv[1] : NULL;

	if (argc == 2 && (!strcmp(wanted, "-h") || !strcmp(wanted, "--help"))) {
		devices_usage();
		return 0;
	}
	if (argc > 2 || (wanted && *wanted == '-')) {
		log_line("devices: takes one model at most: try 'iommuse help devices'");
		return EXIT_OWN_FAILURE;
	}
	if (wanted)
		return print_one(wanted);
	for (const struct iommuse_model *const *model = devices_models(); *model; model++) {
		printf("%s", model == devices_models() ? "" : "\n");
		print_model(*model);
	}
	return 0;
}
