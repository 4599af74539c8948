/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mock devices. One is made by an op that binds and attaches it at once, and it goes when its object is destroyed,
 * which clients may do.
 */
#include "iommufd/device.h"

#include "abi/iommufd.h"
#include "hwpt/fault.h"
#include "iommufd/ctx.h"
#include "iommufd/eventq.h"
#include "iommufd/selftest.h"

#include <stdio.h>
#include <stdlib.h>

#define DEVICE_FLAGS ((uint32_t)MOCK_FLAGS_DEVICE_NO_DIRTY | (uint32_t)MOCK_FLAGS_DEVICE_PASID)

static struct iommu_test_cmd *cmd_of(struct ucmd *ucmd)
{
	return (struct iommu_test_cmd *)ucmd->cmd;
}

/* Also of one that was not made completely. */
static void mock_destroy(struct object *object)
{
	struct mock_device *mock = (struct mock_device *)object;

	if (mock->device) {
		device_detach(mock->device, NO_PASID);
		device_unbind(mock->device);
	}
	iommu_device_fini(&mock->dev);
	pthread_mutex_destroy(&mock->lock);
	free(mock);
}

static const struct object_ops mock_ops = {.type = OBJECT_SELFTEST, .destroy = mock_destroy};

static struct mock_device *mock_new(struct iommufd_config *config, uint32_t flags)
{
	struct mock_device *mock = calloc(1, sizeof(*mock));
	uint32_t number;

	if (!mock)
		return NULL;
	number = atomic_fetch_add(&config->selftest_state->devices, 1);
	snprintf(mock->name, sizeof(mock->name), "iommufd_mock%u", number);
	pthread_mutex_init(&mock->lock, NULL);
	mock->group.id = number;
	mock->no_dirty = flags & MOCK_FLAGS_DEVICE_NO_DIRTY;
	for (int i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		atomic_init(&mock->cache[i], IOMMU_TEST_DEV_CACHE_DEFAULT);
	iommu_device_init(&mock->dev, &mock_driver, &mock->group);
	mock->dev.name = mock->name;
	mock->dev.max_pasids = flags & MOCK_FLAGS_DEVICE_PASID ? UINT32_C(1) << MOCK_PASID_WIDTH : 0;
	mock->dev.can_fault = true;
	mock->dev.events = config->events;
	return mock;
}

/* The ids are those of the test's object, of the device, and of a page table, in this order. */
static int mock_domain(struct ucmd *ucmd, uint32_t flags)
{
	struct iommu_test_cmd *cmd = cmd_of(ucmd);
	struct mock_device *mock;
	uint32_t pt_id = cmd->id;
	int rc;

	if (flags & ~DEVICE_FLAGS)
		return -EINVAL;
	/* See ioas_choose_iova(). */
	atomic_store(&ucmd->ctx->ioases.no_huge_pages, true);
	mock = mock_new(ucmd->ctx->config, flags);
	if (!mock)
		return -ENOMEM;
	rc = object_reserve(ucmd, &mock->object, &mock_ops);
	if (rc) {
		mock_destroy(&mock->object);
		return rc;
	}
	rc = device_bind(ucmd->ctx, &mock->dev, ucmd->client, &mock->device);
	if (rc)
		return rc;
	rc = device_attach(mock->device, NO_PASID, &pt_id);
	if (rc)
		return rc;
	cmd->mock_domain.out_stdev_id = mock->object.id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = mock->device->object.id;
	return ucmd_respond(ucmd);
}

int test_mock_domain(struct ucmd *ucmd)
{
	return mock_domain(ucmd, 0);
}

int test_mock_domain_flags(struct ucmd *ucmd)
{
	return mock_domain(ucmd, cmd_of(ucmd)->mock_domain_flags.dev_flags);
}

/* With one more user, or NULL. */
static struct mock_device *mock_get(struct ucmd *ucmd)
{
	return (struct mock_device *)object_get(ucmd->ctx, cmd_of(ucmd)->id, OBJECT_SELFTEST);
}

int test_mock_domain_replace(struct ucmd *ucmd)
{
	struct mock_device *mock = mock_get(ucmd);
	int rc;

	if (!mock)
		return -ENOENT;
	rc = device_replace(mock->device, NO_PASID, &cmd_of(ucmd)->mock_domain_replace.pt_id);
	if (!rc)
		rc = ucmd_respond(ucmd);
	object_put(&mock->object);
	return rc;
}

int test_pasid_attach(struct ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = cmd_of(ucmd);
	const uint32_t pasid = cmd->pasid_attach.pasid;
	struct mock_device *mock = mock_get(ucmd);
	int rc;

	if (!mock)
		return -ENOENT;
	rc = device_attach(mock->device, pasid, &cmd->pasid_attach.pt_id);
	if (!rc) {
		rc = ucmd_respond(ucmd);
		if (rc)
			device_detach(mock->device, pasid);
	}
	object_put(&mock->object);
	return rc;
}

int test_pasid_replace(struct ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = cmd_of(ucmd);
	struct mock_device *mock = mock_get(ucmd);
	int rc;

	if (!mock)
		return -ENOENT;
	rc = device_replace(mock->device, cmd->pasid_replace.pasid, &cmd->pasid_replace.pt_id);
	if (!rc)
		rc = ucmd_respond(ucmd);
	object_put(&mock->object);
	return rc;
}

int test_pasid_detach(struct ucmd *ucmd)
{
	struct mock_device *mock = mock_get(ucmd);

	if (!mock)
		return -ENOENT;
	device_detach(mock->device, cmd_of(ucmd)->pasid_detach.pasid);
	object_put(&mock->object);
	return 0;
}

static int check_hwpt(struct ucmd *ucmd, const struct hwpt *attached)
{
	const uint32_t id = cmd_of(ucmd)->pasid_check.hwpt_id;
	struct object *object;
	int rc = -EINVAL;

	if (!id)
		return attached ? -EINVAL : 0;
	object = object_get(ucmd->ctx, id, OBJECT_ANY);
	if (!object)
		return -ENOENT;
	if (attached && object == &attached->object)
		rc = 0;
	object_put(object);
	return rc;
}

int test_pasid_check_hwpt(struct ucmd *ucmd)
{
	struct mock_device *mock = mock_get(ucmd);
	int rc;

	if (!mock)
		return -ENOENT;
	/* What is attached is compared only, and may be another one meanwhile. */
	rc = check_hwpt(ucmd, device_hwpt(mock->device, cmd_of(ucmd)->pasid_check.pasid));
	object_put(&mock->object);
	return rc;
}

/* The mock device behind a bound device, with one more user of the latter. Returns 0, -ENOENT, or -EINVAL: it is none
 * of ours. */
static int bound_get(struct ucmd *ucmd, uint32_t id, struct device **device)
{
	*device = device_get(ucmd->ctx, id);
	if (!*device)
		return -ENOENT;
	if ((*device)->dev->driver == &mock_driver)
		return 0;
	object_put(&(*device)->object);
	return -EINVAL;
}

int test_dev_check_cache(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = cmd_of(ucmd);
	const uint32_t id = cmd->check_dev_cache.id;
	struct device *device;
	int rc = bound_get(ucmd, cmd->id, &device);

	if (rc)
		return rc;
	if (id > MOCK_DEV_CACHE_ID_MAX ||
	    atomic_load(&mock_device(device->dev)->cache[id]) != cmd->check_dev_cache.cache)
		rc = -EINVAL;
	object_put(&device->object);
	return rc;
}

/* What becomes of the fault, who triggers it does not learn. */
int test_trigger_iopf(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = cmd_of(ucmd);
	const struct page_fault fault = {
		.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE |
			 (cmd->trigger_iopf.pasid == NO_PASID ? 0 : IOMMU_PGFAULT_FLAGS_PASID_VALID),
		.pasid = cmd->trigger_iopf.pasid,
		.group = cmd->trigger_iopf.grpid,
		.perm = cmd->trigger_iopf.perm,
		.address = cmd->trigger_iopf.addr,
	};
	struct device *device;
	int rc = bound_get(ucmd, cmd->trigger_iopf.dev_id, &device);

	if (rc)
		return rc;
	iommu_report_fault(device->dev, &fault);
	object_put(&device->object);
	return 0;
}

/*
 * The virtual IOMMU that a device is behind, with one more user, and the number that it has there. While attachments
 * cannot change, the page table keeps the virtual IOMMU. NULL: none.
 */
static struct viommu *viommu_of(struct ctx *ctx, struct mock_device *mock, uint64_t *virt_id)
{
	struct viommu *viommu = NULL;
	struct mock_nested *nested;
	struct domain *domain;

	pthread_mutex_lock(&ctx->attach_lock);
	domain = iommu_device_domain(&mock->dev, NO_PASID);
	nested = domain ? mock_nested(domain) : NULL;
	if (nested)
		viommu = nested->viommu;
	if (viommu) {
		pthread_mutex_lock(&mock->lock);
		*virt_id = mock->asked.domain == domain ? mock->asked.virt_id : mock->attached.virt_id;
		pthread_mutex_unlock(&mock->lock);
		object_hold(&viommu->object);
	}
	pthread_mutex_unlock(&ctx->attach_lock);
	return viommu;
}

int test_trigger_vevent(struct ucmd *ucmd)
{
	struct iommu_viommu_event_selftest event;
	struct viommu *viommu;
	struct device *device;
	uint64_t virt_id = 0;
	int rc = bound_get(ucmd, cmd_of(ucmd)->trigger_vevent.dev_id, &device);

	if (rc)
		return rc;
	viommu = viommu_of(ucmd->ctx, mock_device(device->dev), &virt_id);
	if (viommu && virt_id) {
		event.virt_id = (uint32_t)virt_id;
		rc = viommu_report_event(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, &event, sizeof(event));
	} else {
		rc = -ENOENT;
	}
	if (viommu)
		object_put(&viommu->object);
	object_put(&device->object);
	return rc;
}
