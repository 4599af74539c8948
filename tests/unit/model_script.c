/* SPDX-License-Identifier: BSD-3-Clause */
#include "model_script.h"

__attribute__((visibility("default"))) extern struct model_script model_script;
struct model_script model_script;

static int create(struct iommuse_device *device, void **state)
{
	*state = device;
	return model_script.create ? model_script.create(device) : 0;
}

static void destroy(void *state)
{
	(void)state;
	model_script.destroyed++;
}

static void reset(void *state)
{
	if (model_script.reset)
		model_script.reset(state);
}

static uint64_t read_register(void *state, unsigned bar, uint64_t offset, unsigned width)
{
	(void)bar;
	return model_script.read ? model_script.read(state, offset, width) : 0;
}

static void write_register(void *state, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	(void)bar;
	if (model_script.write)
		model_script.write(state, offset, width, value);
}

static bool poll_work(void *state)
{
	return model_script.poll && model_script.poll(state);
}

#ifdef REQUESTS
static void page_response(void *state, uint32_t pasid, uint32_t group, bool success)
{
	if (model_script.page_response)
		model_script.page_response(state, pasid, group, success);
}
#endif

const struct iommuse_model *iommuse_get_model(void)
{
	static const struct iommuse_key keys[] = {
		{"size", "BYTES", "of nothing", "4096"},
		{"colour", "NAME", "of nothing", NULL},
		{NULL, NULL, NULL, NULL},
	};
	static const struct iommuse_model model = {
		.struct_size = sizeof(model),
		.api_version = IOMMUSE_DEVICE_API,
		.name = "script",
		.title = "what a test says",
		.keys = keys,
		.vendor = 0x1234,
		.device = 0x5678,
		.class_code = 0xff0000,
		.bar = {{.size = 0x4000, .area = {{.offset = SCRIPT_AREA, .length = 0x2000}}}},
		.intx = true,
		.msi_vectors = 1,
		.msix_vectors = SCRIPT_VECTORS,
		.msix_table = 0x3000,
		.msix_pba = 0x3800,
#ifdef REQUESTS
		.pasid_bits = 20,
		.page_requests = true,
		.page_response = page_response,
#endif
		.create = create,
		.destroy = destroy,
		.reset = reset,
		.read = read_register,
		.write = write_register,
		.poll = poll_work,
	};

	return &model;
}
