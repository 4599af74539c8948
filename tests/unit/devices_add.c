/* SPDX-License-Identifier: BSD-3-Clause */
/* What a user says of a device, and which models there can be: devices_add SCRIPT WITHOUT NOTHING OLD, shared objects.
 */
#include "check.h"
#include "devices/devices.h"
#include "devices/models.h"
#include "iommufd/iommufd.h"
#include "iommuse/device.h"
#include "model_script.h"
#include "vfio/device.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SCRIPT = 1, WITHOUT, NOTHING, OLD };

static char **objects;
static struct iommufd_config config;
static struct vfio vfio;
static char why[256];

static int add(const char *text)
{
	strcpy(why, "not set");
	return devices_add(&vfio, text, why, sizeof(why));
}

static int add_script(const char *rest)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%s", objects[SCRIPT], rest);
	return add(text);
}

static void begin(void)
{
	vfio_init(&vfio, &config);
}

static void end(void)
{
	devices_remove(&vfio);
	CHECK(!vfio.devices && !vfio.groups);
	CHECK_EQ(vfio.device_count, 0);
	vfio_fini(&vfio);
}

static const struct vfio_device *last(void)
{
	const struct vfio_device *device = vfio.devices;

	while (device->next)
		device = device->next;
	return device;
}

static void addresses_are_given_in_order(void)
{
	begin();
	CHECK_EQ(add("ioat"), 0);
	CHECK(!strcmp(last()->name, "0000:01:00.0"));
	CHECK_EQ(last()->group->iommu.id, 1);
	CHECK_EQ(add("ioat,addr=0000:02:00.0"), 0);
	CHECK_EQ(add("ioat"), 0);
	CHECK(!strcmp(last()->name, "0000:03:00.0"));
	CHECK_EQ(last()->number, 2);
	CHECK_EQ(add("ioat,addr=00Ff:fE:1f.7,group=33"), 0);
	CHECK(!strcmp(last()->name, "00ff:fe:1f.7"));
	CHECK_EQ(last()->segment, 0xff);
	CHECK_EQ(last()->bus, 0xfe);
	CHECK_EQ(last()->devfn, 0xff);
	CHECK_EQ(last()->group->iommu.id, 33);
	CHECK_EQ(add("ioat,group=33"), 0);
	CHECK(last()->group == vfio_find_group(&vfio, 33));
	CHECK_EQ(add("ioat,group=0"), 0);
	CHECK_EQ(last()->group->iommu.id, 0);
	end();
}

static void all_addresses_can_be_taken(void)
{
	begin();
	for (unsigned i = 1; i < 256; i++)
		CHECK_EQ(add("ioat"), 0);
	CHECK(!strcmp(last()->name, "0000:ff:00.0"));
	CHECK_EQ(add("ioat"), -EEXIST);
	CHECK(strstr(why, "addr="));
	CHECK_EQ(add("ioat,addr=0000:00:01.0"), 0);
	end();
}

static void bad_text_is_refused(void)
{
	static const struct {
		const char *text;
		int rc;
		const char *why; /* part of it */
	} bad[] = {
		{"", -ENOENT, "ioat"},
		{"floppy", -ENOENT, "\"floppy\""},
		{"ioat ", -ENOENT, "ioat"},
		{"ioat,", -EINVAL, "KEY=VALUE"},
		{"ioat,addr", -EINVAL, "\"addr\""},
		{"ioat,addr=", -EINVAL, "0000:01:00.0"},
		{"ioat,addr=01:00.0", -EINVAL, "addr=01:00.0"},
		{"ioat,addr=0000:01:00.8", -EINVAL, "addr="},
		{"ioat,addr=0000:01:20.0", -EINVAL, "addr="},
		{"ioat,addr=0000:01:00.00", -EINVAL, "addr="},
		{"ioat,addr=0000:g1:00.0", -EINVAL, "addr="},
		{"ioat,addr=0000-01:00.0", -EINVAL, "addr="},
		{"ioat,addr= 000:01:00.0", -EINVAL, "addr="},
		{"ioat,addr=0000:01:00.0,addr=0000:01:00.0", -EINVAL, "twice"},
		{"ioat,group=", -EINVAL, "group="},
		{"ioat,group=-1", -EINVAL, "group=-1"},
		{"ioat,group=1x", -EINVAL, "group=1x"},
		{"ioat,group=2147483648", -EINVAL, "group="},
		{"ioat,group=18446744073709551616", -EINVAL, "group="},
		{"ioat,group=1,group=1", -EINVAL, "twice"},
		{"ioat,version", -EINVAL, "version"},
		{"ioat,version=9", -EINVAL, "version"},
		{"ioat,version=3.3,version=3.3", -EINVAL, "version"},
		{"ioat,versions=3.3", -EINVAL, "addr, group, version"},
		{"ioat,=3", -EINVAL, "addr, group, version"},
		{"nvme", -EINVAL, "image=FILE"},
		{"nvme,image", -EINVAL, "\"image\" is not KEY=VALUE"},
		{"nvme,readonly=1", -EINVAL, "readonly takes no value"},
		{"nvme,readonly=", -EINVAL, "readonly takes no value"},
		{"nvme,readonly,readonly", -EINVAL, "twice"},
		{"nvme,readonly,image=/no/such", -ENOENT, "/no/such"},
		{"./no/such.so", -EINVAL, "no/such.so"},
		{"/dev/null", -EINVAL, "/dev/null"},
		{"ioat,addr=0000:05:00.0", -EEXIST, "addr=0000:05:00.0: a device is there already: ioat"},
	};

	begin();
	CHECK_EQ(add("ioat,addr=0000:05:00.0"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_EQ(add(bad[i].text), bad[i].rc);
		if (!strstr(why, bad[i].why)) {
			printf("%s: %s\n", bad[i].text, why);
			CHECK(!"says why");
		}
	}
	CHECK_EQ(vfio.device_count, 1);
	/* No room to say it. */
	CHECK_EQ(devices_add(&vfio, "floppy", why, 1), -ENOENT);
	CHECK_EQ(why[0], 0);
	CHECK_EQ(devices_add(&vfio, "floppy", NULL, 0), -ENOENT);
	end();
}

static const char *seen_size, *seen_colour, *seen_other;

static int look_at_keys(struct iommuse_device *device)
{
	seen_size = iommuse_value(device, "size");
	seen_colour = iommuse_value(device, "colour");
	seen_other = iommuse_value(device, "other");
	CHECK(!iommuse_memory(device, 0, SCRIPT_AREA));
	return 0;
}

static int refuse(struct iommuse_device *device)
{
	iommuse_say(device, "no luck");
	return -EDOM;
}

static int refuse_silently(struct iommuse_device *device)
{
	(void)device;
	return -ERANGE;
}

static void a_model_can_be_loaded(void)
{
	void *library = dlopen(objects[SCRIPT], RTLD_NOW | RTLD_LOCAL);
	struct model_script *script = dlsym(library, "model_script");

	begin();
	script->create = look_at_keys;
	CHECK_EQ(add_script(""), 0);
	CHECK(seen_size && !strcmp(seen_size, "4096"));
	CHECK(!seen_colour && !seen_other);
	CHECK(!strcmp(last()->model->name, "script"));
	CHECK_EQ(add_script(",colour=blue=green,size="), 0);
	CHECK(seen_size && !strcmp(seen_size, ""));
	CHECK(seen_colour && !strcmp(seen_colour, "blue=green"));
	CHECK(!strcmp(last()->name, "0000:02:00.0"));
	CHECK_EQ(add_script(",shape=round"), -EINVAL);
	CHECK(strstr(why, "addr, group, size, colour"));
	script->create = refuse;
	CHECK_EQ(add_script(""), -EDOM);
	CHECK(!strcmp(why, "script: no luck"));
	script->create = refuse_silently;
	CHECK_EQ(add_script(""), -ERANGE);
	CHECK(strstr(why, "script"));
	CHECK_EQ(vfio.device_count, 2);
	CHECK_EQ(script->destroyed, 0);
	end();
	CHECK_EQ(script->destroyed, 2);
	dlclose(library);
}

static void what_is_no_model_is_not_loaded(void)
{
	begin();
	CHECK_EQ(add(objects[WITHOUT]), -EINVAL);
	CHECK(strstr(why, "iommuse_get_model()"));
	CHECK_EQ(add(objects[NOTHING]), -EINVAL);
	CHECK(strstr(why, "nothing"));
	CHECK_EQ(add(objects[OLD]), -EINVAL);
	CHECK(strstr(why, "version 77"));
	end();
}

/* Models that there cannot be */

static void reset(void *state)
{
	(void)state;
}

static struct iommuse_model good(void)
{
	return (struct iommuse_model){
		.struct_size = sizeof(struct iommuse_model),
		.api_version = IOMMUSE_DEVICE_API,
		.name = "m",
		.title = "a model",
		.class_code = 0xffffff,
		.bar = {[0] = {.size = 0x8000,
			       .wide = true,
			       .area = {{0x1000, 0x1000}, {0x2000, 0x1000}, {0x4000, 0x1000}, {0x7000, 0x1000}}},
			[5] = {.size = 1U << 30}},
		.msi_vectors = 32,
		.msix_vectors = 256,
		.msix_table = 0x5000,
		.msix_pba = 0x6000,
		.pasid_bits = 20,
		.reset = reset,
	};
}

static void expect(const struct iommuse_model *model, const char *part)
{
	CHECK_EQ(model_check(model, "m", &(struct why){why, sizeof(why)}), part ? -EINVAL : 0);
	if (part && !strstr(why, part)) {
		printf("%s: not \"%s\"\n", part, why);
		CHECK(!"says why");
	}
}

#define EXPECT(part, ...)                                                                                              \
	do {                                                                                                           \
		struct iommuse_model model = good();                                                                   \
                                                                                                                       \
		__VA_ARGS__;                                                                                           \
		expect(&model, part);                                                                                  \
	} while (0)

static void numbers_of_a_model_are_checked(void)
{
	EXPECT(NULL, (void)model);
	EXPECT(NULL, model.struct_size += 8);
	EXPECT(NULL, model.struct_size = offsetof(struct iommuse_model, page_response));
	EXPECT("bytes", model.struct_size = offsetof(struct iommuse_model, page_response) - 1);
	EXPECT("version 0", model.api_version = 0);
	EXPECT("version 2", model.api_version = 2);
	EXPECT("name", model.name = NULL);
	EXPECT("name", model.name = "");
	EXPECT("title", model.title = NULL);
	EXPECT("reset", model.reset = NULL);
	EXPECT("24 bits", model.class_code = 0x1000000);
	EXPECT("PASID", model.pasid_bits = 21);
	EXPECT("MSI", model.msi_vectors = 3);
	EXPECT("MSI", model.msi_vectors = 64);
	EXPECT(NULL, model.msi_vectors = 0);
	EXPECT(NULL, model.msix_vectors = 0; model.msix_table = 1; model.msix_bar = 9);
}

static void bars_of_a_model_are_checked(void)
{
	EXPECT("BAR 5", model.bar[5].size = 2048);
	EXPECT("BAR 5", model.bar[5].size = 0x3000);
	EXPECT("BAR 5", model.bar[5].size = 1U << 31);
	EXPECT("BAR 5 is wide", model.bar[5].wide = true);
	EXPECT("BAR 1", model.bar[1].size = 4096);
	EXPECT("BAR 3 has no size", model.bar[3].wide = true);
	EXPECT("BAR 3 has no size", model.bar[3].area[0].length = 4096);
	EXPECT("area 1", model.bar[0].area[1].offset = 0x1000);
	EXPECT("area 1", model.bar[0].area[1].offset = 0x2800);
	EXPECT("area 2", model.bar[0].area[2].length = 0x800);
	EXPECT("area 2", model.bar[0].area[2].offset = 0);
	EXPECT("area 3", model.bar[0].area[3].length = 0x2000);
	EXPECT("area 3", model.bar[0].area[3].offset = 0xfffff000; model.bar[0].area[3].length = 0xfffff000);
	EXPECT(NULL, model.bar[0].area[2].length = 0; model.bar[0].area[3].offset = 5);
}

static void vectors_of_a_model_are_checked(void)
{
	EXPECT("MSI-X", model.msix_vectors = 2049);
	EXPECT("BAR 6", model.msix_bar = 6);
	EXPECT("BAR 2", model.msix_bar = 2);
	EXPECT("table", model.msix_table = 0x5004);
	EXPECT("table", model.msix_table = 0x7ff8);
	EXPECT("table", model.msix_table = 0xfffffff8);
	EXPECT("table", model.msix_table = 0x3800);
	EXPECT(NULL, model.msix_table = 0x4000);
	EXPECT("table", model.msix_vectors = 257; model.msix_table = 0x3000);
	EXPECT("pending", model.msix_pba = 0x1ff0);
	EXPECT(NULL, model.msix_pba = 0x1800);
	EXPECT("pending", model.msix_pba = 0x8000);
	EXPECT("overlap", model.msix_pba = 0x5ff8);
	EXPECT(NULL, model.msix_vectors = 255; model.msix_pba = 0x5ff0);
}

static void keys_of_a_model_are_checked(void)
{
	static const struct iommuse_key twice[] = {{.name = "a"}, {.name = "b"}, {.name = "a"}, {.name = NULL}};
	static const struct iommuse_key common[] = {{.name = "addr"}, {.name = NULL}};
	static const struct iommuse_key comma[] = {{.name = "a,b"}, {.name = NULL}};
	static const struct iommuse_key empty[] = {{.name = ""}, {.name = NULL}};

	EXPECT("two keys a", model.keys = twice);
	EXPECT("addr", model.keys = common);
	EXPECT("a,b", model.keys = comma);
	EXPECT("\"\"", model.keys = empty);
}

static void built_in_models_are_good(void)
{
	const struct iommuse_model *const *models = devices_models();

	CHECK(models[0]);
	for (size_t i = 0; models[i]; i++) {
		expect(models[i], NULL);
		CHECK(models[i]->example && strstr(models[i]->example, models[i]->name));
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	objects = argv;
	addresses_are_given_in_order();
	all_addresses_can_be_taken();
	bad_text_is_refused();
	a_model_can_be_loaded();
	what_is_no_model_is_not_loaded();
	numbers_of_a_model_are_checked();
	bars_of_a_model_are_checked();
	vectors_of_a_model_are_checked();
	keys_of_a_model_are_checked();
	built_in_models_are_good();
	return check_result();
}
