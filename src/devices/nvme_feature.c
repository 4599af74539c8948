/* SPDX-License-Identifier: BSD-3-Clause */
/* Features (5.13, 5.21): most are kept for the driver and change nothing. None is saved. */
#include "devices/nvme.h"

#define SAVE (1U << 31)

enum {
	SELECT_CURRENT,
	SELECT_DEFAULT,
	SELECT_SAVED,
	SELECT_CAPABILITIES,

	CAPABILITY_NAMESPACE = 2,
	CAPABILITY_CHANGEABLE = 4,

	THRESHOLD_UNDER = 1,

	EVENT_TEMPERATURE = 1 << 1, /* of those that are wanted */
};

static const struct nvme_features initial = {
	.arbitration = 7, /* no limit of a burst */
	.over = NVME_WARM,
	.write_cache = true,
};

void nvme_features_init(struct nvme *nvme)
{
	nvme->features = initial;
}

/* Temperature (5.21.1.4). Sensor 0 is the composite temperature, and the only one. */

static bool no_threshold(uint32_t dw11)
{
	uint32_t sensor = dw11 >> 16 & 0xf, type = dw11 >> 20 & 3;

	return (sensor != 0 && sensor != 0xf) || type > THRESHOLD_UNDER;
}

static uint16_t set_temperature(struct nvme *nvme, uint32_t dw11)
{
	struct nvme_features *features = &nvme->features;

	if (no_threshold(dw11))
		return NVME_INVALID_FIELD;
	if ((dw11 >> 20 & 3) == THRESHOLD_UNDER)
		features->under = (uint16_t)dw11;
	else
		features->over = (uint16_t)dw11;
	if (features->events & EVENT_TEMPERATURE &&
	    (NVME_TEMPERATURE >= features->over || NVME_TEMPERATURE <= features->under))
		nvme_event(nvme, EVENT_HEALTH, HEALTH_TEMPERATURE);
	return NVME_SUCCESS;
}

/*
 * Volatile write cache (5.21.1.6). Writes that complete after the command are on disk, and so is what was in the cache:
 * drivers send no flush where there is none.
 */
static uint16_t set_write_cache(struct nvme *nvme, const struct nvme_command *command)
{
	struct nvme_cache_flush *flush = &nvme->cache_flush;
	bool before = nvme->features.write_cache;

	nvme->features.write_cache = command->dw11 & 1;
	if (nvme->read_only || !before || nvme->features.write_cache)
		return NVME_SUCCESS;
	flush->io.op = IMAGE_FLUSH;
	flush->under_way = true;
	flush->forgotten = false;
	flush->command = *command;
	image_start(nvme->image, &flush->io);
	return NVME_LATER;
}

void nvme_cache_flushed(struct nvme *nvme)
{
	struct nvme_cache_flush *flush = &nvme->cache_flush;
	uint16_t status = NVME_SUCCESS;

	flush->under_way = false;
	if (flush->forgotten || nvme->state != NVME_READY)
		return;
	if (flush->io.result) {
		nvme->features.write_cache = true;
		status = nvme_noted(nvme, 0, &flush->command, nvme_image_status(&flush->io));
	}
	nvme_complete(nvme, &nvme->sq[0], flush->command.cid, status, 0);
}

/* 5.21.1.7. Numbers are one less than they mean. */
static uint16_t set_queues(struct nvme *nvme, uint32_t dw11, uint32_t *result)
{
	if ((dw11 & 0xffff) == 0xffff || dw11 >> 16 == 0xffff)
		return NVME_INVALID_FIELD;
	for (unsigned i = 1; i <= nvme->queues; i++)
		if (nvme->cq[i].exists || nvme->sq[i].exists)
			return NVME_SEQUENCE_ERROR;
	*result = (nvme->queues - 1) | (nvme->queues - 1) << 16;
	return NVME_SUCCESS;
}

static uint16_t set_vector(struct nvme *nvme, uint32_t dw11)
{
	uint32_t vector = dw11 & 0xffff;

	if (vector >= NVME_VECTORS)
		return NVME_INVALID_FIELD;
	nvme->features.uncoalesced[vector] = dw11 >> 16 & 1;
	return NVME_SUCCESS;
}

static bool of_namespace(const struct nvme_command *command)
{
	return (command->dw10 & 0xff) == FEATURE_ERROR_RECOVERY;
}

static bool exists(uint32_t feature)
{
	return feature >= FEATURE_ARBITRATION && feature <= FEATURE_EVENTS && feature != FEATURE_LBA_RANGES;
}

/* QEMU's driver says a namespace where it switches the cache off, which is the controller's. */
static bool may_say_namespace(const struct nvme_command *command)
{
	return of_namespace(command) || (command->dw10 & 0xff) == FEATURE_WRITE_CACHE;
}

/* A namespace is said for features of one; others' are the controller's. */
static uint16_t check(const struct nvme_command *command, bool set)
{
	uint32_t nsid = command->nsid;

	if (!exists(command->dw10 & 0xff))
		return NVME_INVALID_FIELD;
	if (nsid == NVME_NSID)
		return set && !may_say_namespace(command) ? NVME_FEATURE_NOT_OF_NAMESPACE : NVME_SUCCESS;
	if (of_namespace(command))
		return set && nsid == NVME_ALL_NAMESPACES ? NVME_SUCCESS : NVME_INVALID_NAMESPACE;
	return nsid && nsid != NVME_ALL_NAMESPACES ? NVME_INVALID_NAMESPACE : NVME_SUCCESS;
}

uint16_t nvme_set_feature(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	struct nvme_features *features = &nvme->features;
	uint16_t status = check(command, true);
	uint32_t value = command->dw11;

	if (status)
		return status;
	if (command->dw10 & SAVE)
		return NVME_FEATURE_NOT_SAVEABLE;
	switch (command->dw10 & 0xff) {
	case FEATURE_ARBITRATION:
		features->arbitration = value;
		break;
	case FEATURE_POWER:
		return value & 0x1f ? NVME_INVALID_FIELD : NVME_SUCCESS;
	case FEATURE_TEMPERATURE:
		return set_temperature(nvme, value);
	case FEATURE_ERROR_RECOVERY:
		features->error_recovery = value & 0xffff;
		break;
	case FEATURE_WRITE_CACHE:
		return set_write_cache(nvme, command);
	case FEATURE_QUEUES:
		return set_queues(nvme, value, result);
	case FEATURE_COALESCING:
		features->coalescing = value & 0xffff;
		break;
	case FEATURE_VECTOR:
		return set_vector(nvme, value);
	case FEATURE_ATOMICITY:
		features->atomicity = value & 1;
		break;
	case FEATURE_EVENTS:
		features->events = value;
		break;
	default:
		return NVME_INVALID_FIELD;
	}
	return NVME_SUCCESS;
}

static uint16_t value_of(const struct nvme *nvme, const struct nvme_features *features,
			 const struct nvme_command *command, uint32_t *result)
{
	uint32_t dw11 = command->dw11;

	switch (command->dw10 & 0xff) {
	case FEATURE_ARBITRATION:
		*result = features->arbitration;
		break;
	case FEATURE_POWER:
		*result = 0;
		break;
	case FEATURE_TEMPERATURE:
		if (no_threshold(dw11))
			return NVME_INVALID_FIELD;
		*result = (dw11 >> 20 & 3) == THRESHOLD_UNDER ? features->under : features->over;
		break;
	case FEATURE_ERROR_RECOVERY:
		*result = features->error_recovery;
		break;
	case FEATURE_WRITE_CACHE:
		*result = features->write_cache;
		break;
	case FEATURE_QUEUES:
		*result = (nvme->queues - 1) | (nvme->queues - 1) << 16;
		break;
	case FEATURE_COALESCING:
		*result = features->coalescing;
		break;
	case FEATURE_VECTOR:
		dw11 &= 0xffff;
		if (dw11 >= NVME_VECTORS)
			return NVME_INVALID_FIELD;
		*result = dw11 | (uint32_t)features->uncoalesced[dw11] << 16;
		break;
	case FEATURE_ATOMICITY:
		*result = features->atomicity;
		break;
	case FEATURE_EVENTS:
		*result = features->events;
		break;
	default:
		return NVME_INVALID_FIELD;
	}
	return NVME_SUCCESS;
}

uint16_t nvme_get_feature(struct nvme *nvme, const struct nvme_command *command, uint32_t *result)
{
	unsigned select = command->dw10 >> 8 & 7;
	uint16_t status = check(command, false);

	if (status)
		return status;
	switch (select) {
	case SELECT_CURRENT:
		return value_of(nvme, &nvme->features, command, result);
	case SELECT_DEFAULT:
	case SELECT_SAVED: /* the default, where none was saved */
		return value_of(nvme, &initial, command, result);
	case SELECT_CAPABILITIES:
		status = value_of(nvme, &initial, command, result);
		*result = CAPABILITY_CHANGEABLE;
		if (of_namespace(command))
			*result |= CAPABILITY_NAMESPACE;
		if (status)
			*result = 0;
		return status;
	default:
		return NVME_INVALID_FIELD;
	}
}
