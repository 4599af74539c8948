/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/devices.h"

#include "base/log.h"
#include "devices/device.h"
#include "devices/models.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALONE UINT32_MAX

/* Where a device goes. */
struct place {
	bool given; /* else the first address that is free */
	uint16_t segment;
	uint8_t bus, devfn;
	uint32_t group;
	bool grouped;
};

/* Numbers */

static bool hex(const char *text, unsigned digits, unsigned *value)
{
	*value = 0;
	for (unsigned i = 0; i < digits; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			*value = *value * 16 + (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*value = *value * 16 + (unsigned)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			*value = *value * 16 + (unsigned)(c - 'A') + 10;
		else
			return false;
	}
	return true;
}

/* "0000:01:00.0", nothing else. */
static bool parse_address(const char *text, struct place *place)
{
	unsigned segment, bus, device, function;

	if (strlen(text) != 12 || text[4] != ':' || text[7] != ':' || text[10] != '.')
		return false;
	if (!hex(text, 4, &segment) || !hex(text + 5, 2, &bus) || !hex(text + 8, 2, &device) ||
	    !hex(text + 11, 1, &function) || device > 0x1f || function > 7)
		return false;
	place->given = true;
	place->segment = (uint16_t)segment;
	place->bus = (uint8_t)bus;
	place->devfn = (uint8_t)(device << 3 | function);
	return true;
}

static bool parse_group(const char *text, struct place *place)
{
	uint64_t value = 0;

	if (!text[0] || strlen(text) > 10)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
	}
	if (value > INT32_MAX)
		return false;
	place->group = (uint32_t)value;
	place->grouped = true;
	return true;
}

/* Keys */

static int unknown_key(const struct model_device *device, const char *key, const struct why *why)
{
	const struct iommuse_key *keys = device->model.keys;

	why_not(why, 0, "%s has no key \"%s\"; it has addr, group", device->model.name, key);
	for (size_t i = 0; keys && keys[i].name; i++)
		why_more(why, ", %s", keys[i].name);
	return -EINVAL;
}

/* Is it a key without a value? */
static bool takes_none(const struct model_device *device, const char *key)
{
	const struct iommuse_key *keys = device->model.keys;

	for (size_t i = 0; keys && keys[i].name; i++)
		if (!strcmp(keys[i].name, key))
			return !keys[i].value;
	return false;
}

/* value: NULL where the user gave none. */
static int set_key(struct model_device *device, bool *given, const char *key, const char *value, const struct why *why)
{
	const struct iommuse_key *keys = device->model.keys;

	for (size_t i = 0; keys && keys[i].name; i++) {
		if (strcmp(keys[i].name, key))
			continue;
		if (given[i])
			return why_not(why, -EINVAL, "key %s is given twice", key);
		if (value && !keys[i].value)
			return why_not(why, -EINVAL, "key %s takes no value", key);
		given[i] = true;
		device->value[i] = value ? value : "";
		return 0;
	}
	return unknown_key(device, key, why);
}

static int parse_pair(struct model_device *device, bool *given, struct place *place, char *pair, const struct why *why)
{
	char *value = strchr(pair, '=');

	if (!value)
		return takes_none(device, pair) ? set_key(device, given, pair, NULL, why)
						: why_not(why, -EINVAL, "\"%s\" is not KEY=VALUE", pair);
	*value++ = 0;
	if (!strcmp(pair, "addr")) {
		if (place->given)
			return why_not(why, -EINVAL, "key addr is given twice");
		if (!parse_address(value, place))
			return why_not(why, -EINVAL, "addr=%s: an address is like 0000:01:00.0", value);
		return 0;
	}
	if (!strcmp(pair, "group")) {
		if (place->grouped)
			return why_not(why, -EINVAL, "key group is given twice");
		if (!parse_group(value, place))
			return why_not(why, -EINVAL, "group=%s: a group is a number from 0 to %d", value, INT32_MAX);
		return 0;
	}
	return set_key(device, given, pair, value, why);
}

/* rest: what follows the model, or NULL. */
static int parse_pairs(struct model_device *device, struct place *place, char *rest, const struct why *why)
{
	const struct iommuse_key *keys = device->model.keys;
	size_t count = 0;
	bool *given;
	int rc = 0;

	while (keys && keys[count].name)
		count++;
	device->value = calloc(count + 1, sizeof(*device->value));
	given = calloc(count + 1, sizeof(*given));
	if (!device->value || !given) {
		free(given);
		return why_not(why, -ENOMEM, "no memory");
	}
	for (size_t i = 0; i < count; i++)
		device->value[i] = keys[i].initial;
	while (!rc && rest) {
		char *pair = strsep(&rest, ",");

		rc = parse_pair(device, given, place, pair, why);
	}
	free(given);
	return rc;
}

/* Places */

static const struct vfio_device *device_at(const struct vfio *vfio, const struct place *place)
{
	for (const struct vfio_device *device = vfio->devices; device; device = device->next)
		if (device->segment == place->segment && device->bus == place->bus && device->devfn == place->devfn)
			return device;
	return NULL;
}

static int find_place(const struct vfio *vfio, struct model_device *device, struct place *place, const struct why *why)
{
	const struct vfio_device *other;

	if (!place->given) {
		place->bus = 1;
		while (device_at(vfio, place) && place->bus < 0xff)
			place->bus++;
	}
	other = device_at(vfio, place);
	if (other && place->given)
		return why_not(why, -EEXIST, "addr=%s: a device is there already: %s", other->name, other->model->name);
	if (other)
		return why_not(why, -EEXIST, "no address 0000:NN:00.0 is free; say one with addr=");
	device->vfio.segment = place->segment;
	device->vfio.bus = place->bus;
	device->vfio.devfn = place->devfn;
	snprintf(device->vfio.name, sizeof(device->vfio.name), "%04x:%02x:%02x.%x", place->segment, place->bus,
		 place->devfn >> 3, place->devfn & 7U);
	return 0;
}

/* Devices */

static void free_device(struct model_device *device)
{
	requests_fini(&device->requests);
	if (device->library)
		dlclose(device->library);
	free(device->value);
	free(device->text);
	free(device->bounce);
	free(device);
}

static int create(struct model_device *device, const struct why *why)
{
	int rc;

	if (!device->model.create)
		return 0;
	why_not(why, 0, "%s", "");
	device->said = why->text;
	device->said_room = why->room;
	rc = device->model.create(&device->vfio.base, &device->state);
	device->said = NULL;
	if (rc > 0)
		rc = -EINVAL;
	/* What it says although nothing is wrong. */
	if (!rc && why->room && why->text[0]) {
		log_line("%s: %s", device->vfio.name, why->text);
		why_not(why, 0, "%s", "");
	}
	if (rc && why->room && !why->text[0])
		why_not(why, 0, "%s: %s", device->model.name, rc == -ENOMEM ? "no memory" : "it cannot be made");
	return rc;
}

/* Makes it known, and alive. */
static int put_in(struct vfio *vfio, struct model_device *device, const struct place *place, const struct why *why)
{
	int rc;

	device->vfio.base.ops = &model_device_ops;
	device->vfio.hooks = &model_device_hooks;
	device->vfio.owner = device;
	model_device_wrap(device);
	rc = vfio_add_device(vfio, &device->vfio, place->grouped ? place->group : ALONE);
	if (rc)
		return why_not(why, rc, "%s", rc == -ENOMEM ? "no memory" : "it cannot be added");
	device->vfio.iommu.page_response = model_device_answer;
	dma_init(&device->borrowing, &device->vfio.iommu);
	if (device->model.page_requests)
		device->vfio.dma.withheld = device->borrowing.withheld = &device->withheld;
	rc = create(device, why);
	if (rc) {
		dma_fini(&device->borrowing);
		vfio_remove_device(vfio, &device->vfio);
	}
	return rc;
}

int devices_add(struct vfio *vfio, const char *text, char *why_text, size_t room)
{
	const struct why why = {.text = why_text, .room = room};
	/* The slots of its DMA have lines of their own. */
	struct model_device *device = aligned_alloc(_Alignof(struct model_device), sizeof(*device));
	struct place place = {0};
	char *name, *rest;
	int rc;

	if (!device)
		return why_not(&why, -ENOMEM, "no memory");
	memset(device, 0, sizeof(*device));
	requests_init(&device->requests);
	device->text = strdup(text);
	device->bounce = malloc(BOUNCE_BYTES);
	if (!device->text || !device->bounce) {
		rc = why_not(&why, -ENOMEM, "no memory");
		goto out_free;
	}
	rest = device->text;
	name = strsep(&rest, ",");
	rc = model_find(name, &device->model, &device->library, &why);
	if (rc)
		goto out_free;
	rc = parse_pairs(device, &place, rest, &why);
	if (rc)
		goto out_free;
	rc = find_place(vfio, device, &place, &why);
	if (rc)
		goto out_free;
	rc = put_in(vfio, device, &place, &why);
	if (rc)
		goto out_free;
	return 0;

out_free:
	free_device(device);
	return rc;
}

void devices_remove(struct vfio *vfio)
{
	while (vfio->devices) {
		struct model_device *device = vfio->devices->owner;

		if (device->model.destroy)
			device->model.destroy(device->state);
		dma_fini(&device->borrowing);
		vfio_remove_device(vfio, &device->vfio);
		free_device(device);
	}
}
