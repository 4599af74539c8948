/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/models.h"

#include "devices/device.h"
#include "devices/devices.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PAGE             4096U
#define BAR_MAX          (1U << 30)
#define MSI_VECTORS_MAX  32U
#define MSIX_VECTORS_MAX 2048U
#define MSIX_ENTRY_SIZE  16U

/* The structure as it was first; it has grown since. */
#define MODEL_SIZE_FIRST offsetof(struct iommuse_model, page_response)

const struct iommuse_model *const *devices_models(void)
{
	static const struct iommuse_model *const models[] = {&dmax_model, &ioat_model, &nvme_model, NULL};

	return models;
}

int why_not(const struct why *why, int rc, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	if (why->room)
		vsnprintf(why->text, why->room, format, list);
	va_end(list);
	return rc;
}

void why_more(const struct why *why, const char *format, ...)
{
	size_t length = why->room ? strlen(why->text) : 0;
	va_list list;

	va_start(list, format);
	if (why->room)
		vsnprintf(why->text + length, why->room - length, format, list);
	va_end(list);
}

/* Areas */

static bool in_area(const struct iommuse_bar *bar, uint64_t first, uint64_t end)
{
	for (unsigned i = 0; i < IOMMUSE_AREAS && bar->area[i].length; i++) {
		const struct iommuse_area *area = &bar->area[i];

		if (first < (uint64_t)area->offset + area->length && area->offset < end)
			return true;
	}
	return false;
}

/* Is all of [first, end) in one area? */
static bool is_area(const struct iommuse_bar *bar, uint64_t first, uint64_t end)
{
	for (unsigned i = 0; i < IOMMUSE_AREAS && bar->area[i].length; i++)
		if (first >= bar->area[i].offset && end <= (uint64_t)bar->area[i].offset + bar->area[i].length)
			return true;
	return false;
}

static int check_areas(const struct iommuse_bar *bar, unsigned n, const char *name, const struct why *why)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < IOMMUSE_AREAS && bar->area[i].length; i++) {
		const struct iommuse_area *area = &bar->area[i];

		if (area->offset % PAGE || area->length % PAGE)
			return why_not(why, -EINVAL, "%s: area %u of BAR %u is not whole pages of %u bytes", name, i, n,
				       PAGE);
		if (area->offset < end)
			return why_not(why, -EINVAL, "%s: area %u of BAR %u begins before the end of the one before",
				       name, i, n);
		end = (uint64_t)area->offset + area->length;
		if (end > bar->size)
			return why_not(why, -EINVAL, "%s: area %u of BAR %u ends beyond the BAR", name, i, n);
	}
	return 0;
}

static int check_bars(const struct iommuse_model *model, const char *name, const struct why *why)
{
	for (unsigned i = 0; i < IOMMUSE_BARS; i++) {
		const struct iommuse_bar *bar = &model->bar[i];
		int rc;

		if (!bar->size && (bar->wide || bar->area[0].length))
			return why_not(why, -EINVAL, "%s: BAR %u has no size", name, i);
		if (!bar->size)
			continue;
		if (bar->size < PAGE || bar->size > BAR_MAX || bar->size & (bar->size - 1))
			return why_not(why, -EINVAL,
				       "%s: BAR %u has %u bytes; it takes a power of two from 4096 to 1 GiB", name, i,
				       bar->size);
		if (bar->wide && (i + 1 == IOMMUSE_BARS || model->bar[i + 1].size))
			return why_not(why, -EINVAL, "%s: BAR %u is wide, so there cannot be a BAR %u, its upper half",
				       name, i, i + 1);
		rc = check_areas(bar, i, name, why);
		if (rc)
			return rc;
	}
	return 0;
}

/* Interrupts */

static int check_msix_part(const struct iommuse_model *model, const char *name, const char *what, uint32_t offset,
			   uint32_t size, const struct why *why)
{
	const struct iommuse_bar *bar = &model->bar[model->msix_bar];
	uint64_t end = (uint64_t)offset + size;

	if (offset % 8)
		return why_not(why, -EINVAL, "%s: %s is at %#x, not at a multiple of 8", name, what, offset);
	if (end > bar->size)
		return why_not(why, -EINVAL, "%s: %s is not inside BAR %u", name, what, model->msix_bar);
	/* Drivers map around it, or they map all of it. */
	if (in_area(bar, offset, end) && !is_area(bar, offset, end))
		return why_not(why, -EINVAL,
			       "%s: %s is in an area, and not all of it; it must be in trapped pages, or in one area",
			       name, what);
	return 0;
}

static int check_msix(const struct iommuse_model *model, const char *name, const struct why *why)
{
	uint32_t table = model->msix_vectors * MSIX_ENTRY_SIZE, pba = (model->msix_vectors + 63U) / 64 * 8;
	int rc;

	if (!model->msix_vectors)
		return 0;
	if (model->msix_vectors > MSIX_VECTORS_MAX)
		return why_not(why, -EINVAL, "%s: %u vectors of MSI-X are more than %u", name, model->msix_vectors,
			       MSIX_VECTORS_MAX);
	if (model->msix_bar >= IOMMUSE_BARS)
		return why_not(why, -EINVAL, "%s: MSI-X is in BAR %u, which there cannot be", name, model->msix_bar);
	rc = check_msix_part(model, name, "the table of MSI-X", model->msix_table, table, why);
	if (!rc)
		rc = check_msix_part(model, name, "MSI-X's pending bits", model->msix_pba, pba, why);
	if (!rc && model->msix_table < (uint64_t)model->msix_pba + pba &&
	    model->msix_pba < (uint64_t)model->msix_table + table)
		rc = why_not(why, -EINVAL, "%s: the table of MSI-X and its pending bits overlap", name);
	return rc;
}

static int check_interrupts(const struct iommuse_model *model, const char *name, const struct why *why)
{
	unsigned msi = model->msi_vectors;

	if (msi > MSI_VECTORS_MAX || msi & (msi - 1))
		return why_not(why, -EINVAL, "%s: %u vectors of MSI; it takes 0, or a power of two up to %u", name, msi,
			       MSI_VECTORS_MAX);
	return check_msix(model, name, why);
}

static int check_keys(const struct iommuse_model *model, const char *name, const struct why *why)
{
	const struct iommuse_key *keys = model->keys;

	for (size_t i = 0; keys && keys[i].name; i++) {
		if (!keys[i].name[0] || strpbrk(keys[i].name, ",="))
			return why_not(why, -EINVAL, "%s: \"%s\" cannot be a key", name, keys[i].name);
		if (!strcmp(keys[i].name, "addr") || !strcmp(keys[i].name, "group"))
			return why_not(why, -EINVAL, "%s: key %s is every model's", name, keys[i].name);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(keys[i].name, keys[j].name))
				return why_not(why, -EINVAL, "%s: there are two keys %s", name, keys[i].name);
	}
	return 0;
}

int model_check(const struct iommuse_model *model, const char *name, const struct why *why)
{
	int rc;

	if (model->struct_size < MODEL_SIZE_FIRST)
		return why_not(why, -EINVAL, "%s: its structure has %zu bytes; %zu are needed", name,
			       model->struct_size, MODEL_SIZE_FIRST);
	if (model->api_version != IOMMUSE_DEVICE_API)
		return why_not(why, -EINVAL, "%s: it is for version %u of iommuse/device.h; this is %u", name,
			       model->api_version, IOMMUSE_DEVICE_API);
	if (!model->name || !model->name[0] || !model->title)
		return why_not(why, -EINVAL, "%s: it has no name or no title", name);
	if (!model->reset)
		return why_not(why, -EINVAL, "%s: it has no reset()", name);
	if (model->class_code >> 24)
		return why_not(why, -EINVAL, "%s: class %#x has more than 24 bits", name, model->class_code);
	if (model->pasid_bits > PASID_BITS)
		return why_not(why, -EINVAL, "%s: a PASID has %u bits at most, not %u", name, PASID_BITS,
			       model->pasid_bits);
	rc = check_bars(model, name, why);
	if (!rc)
		rc = check_interrupts(model, name, why);
	if (!rc)
		rc = check_keys(model, name, why);
	return rc;
}

/* Finding */

static int load(const char *path, struct iommuse_model *model, void **library, const struct why *why)
{
	const struct iommuse_model *(*get)(void);
	const struct iommuse_model *found;
	int rc = -EINVAL;

	*library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!*library)
		return why_not(why, -EINVAL, "cannot load a model: %s", dlerror());
	/* An object pointer is a function's here; POSIX says so, and C does not. */
	*(void **)&get = dlsym(*library, "iommuse_get_model");
	if (!get) {
		why_not(why, 0, "%s: there is no iommuse_get_model() in it", path);
		goto out_close;
	}
	found = get();
	if (!found) {
		why_not(why, 0, "%s: iommuse_get_model() returned nothing", path);
		goto out_close;
	}
	rc = model_check(found, path, why);
	if (rc)
		goto out_close;
	/* It may be shorter, or longer: made for an earlier version, or a later one that this one is a part of. */
	memset(model, 0, sizeof(*model));
	memcpy(model, found, found->struct_size < sizeof(*model) ? found->struct_size : sizeof(*model));
	return 0;

out_close:
	dlclose(*library);
	*library = NULL;
	return rc;
}

int model_find(const char *name, struct iommuse_model *model, void **library, const struct why *why)
{
	const struct iommuse_model *const *models = devices_models();

	*library = NULL;
	if (strchr(name, '/'))
		return load(name, model, library, why);
	for (size_t i = 0; models[i]; i++)
		if (!strcmp(models[i]->name, name)) {
			*model = *models[i];
			return 0;
		}
	why_not(why, 0, "there is no model \"%s\"; there is ", name);
	for (size_t i = 0; models[i]; i++)
		why_more(why, "%s, ", models[i]->name);
	why_more(why, "and what is in a shared object, whose path has a slash");
	return -ENOENT;
}
