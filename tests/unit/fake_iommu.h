/* SPDX-License-Identifier: BSD-3-Clause */
/* An IOMMU that refuses on demand, devices behind it, and calls on an iommufd by a fake client. */
#ifndef IOMMUSE_TESTS_FAKE_IOMMU_H
#define IOMMUSE_TESTS_FAKE_IOMMU_H

#include "abi/iommufd.h"
#include "check.h"
#include "fake_client.h"
#include "hwpt/device.h"
#include "iommufd/ctx.h"
#include "iommufd/device.h"
#include "iommufd/dispatch.h"
#include "iommufd/hwpt.h"
#include "iommufd/viommu.h"

#define APERTURE_FIRST UINT64_C(0x10000)
#define APERTURE_LAST  UINT64_C(0xffffffffffff)

#define DATA_TYPE 0x77U

static struct {
	uint64_t capabilities;
	uint64_t page_sizes;
	int check_error;                   /* of paging_check */
	int nested_error;                  /* of nested_new */
	const struct domain *refused;      /* attaching it is refuse_error */
	const struct iommu_device *refuse; /* only this device; NULL: all */
	int refuse_error;
	void (*refusing)(void); /* as a device that was attached just before; NULL: nothing */
	unsigned nested;        /* that there are */
	atomic_uint attached, detached;
	uint32_t invalidated; /* requests that will succeed */
} iommu;

static uint64_t fake_capabilities(const struct iommu_device *dev)
{
	(void)dev;
	return iommu.capabilities;
}

static int fake_hw_info(const struct iommu_device *dev, uint32_t *type, void *data, size_t room, size_t *length)
{
	static const unsigned char info[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

	(void)dev;
	if (*type && *type != DATA_TYPE)
		return -EOPNOTSUPP;
	*type = DATA_TYPE;
	memcpy(data, info, room < sizeof(info) ? room : sizeof(info));
	*length = sizeof(info);
	return 0;
}

static int fake_paging_check(const struct iommu_device *dev, uint32_t flags, const struct user_data *data,
			     struct paging_limits *limits)
{
	(void)dev;
	CHECK(!(flags & IOMMU_HWPT_FAULT_ID_VALID));
	if (data->type)
		return -EOPNOTSUPP;
	if (iommu.check_error)
		return iommu.check_error;
	*limits = (struct paging_limits){.aperture_first = APERTURE_FIRST,
					 .aperture_last = APERTURE_LAST,
					 .page_sizes = iommu.page_sizes,
					 .coherent = true};
	return 0;
}

static void fake_nested_free(struct domain *domain)
{
	iommu.nested--;
	free(domain);
}

static int fake_nested_invalidate(struct domain *domain, const struct user_array *array, uint32_t *done)
{
	(void)domain;
	if (array->type != DATA_TYPE)
		return -EINVAL;
	*done = array->count < iommu.invalidated ? array->count : iommu.invalidated;
	return *done < array->count ? -EOPNOTSUPP : 0;
}

static const struct nested_ops fake_nested_ops = {.free = fake_nested_free, .invalidate = fake_nested_invalidate};
static const struct iommu_driver fake_driver;

static int fake_nested_new(struct iommu_device *dev, struct domain *parent, struct viommu *viommu, uint32_t flags,
			   const struct user_data *data, struct domain **domain)
{
	CHECK(dev && parent && !parent->nested);
	CHECK(!(flags & IOMMU_HWPT_FAULT_ID_VALID));
	(void)viommu;
	if (data->type != DATA_TYPE)
		return -EINVAL;
	if (iommu.nested_error)
		return iommu.nested_error;
	*domain = calloc(1, sizeof(**domain));
	**domain = (struct domain){.driver = &fake_driver, .nested = &fake_nested_ops, .flags = flags};
	iommu.nested++;
	return 0;
}

static int fake_attach_check(struct iommu_device *dev, uint32_t pasid, const struct domain *domain,
			     const struct domain *old)
{
	(void)pasid;
	(void)old;
	if (!domain) {
		atomic_fetch_add(&iommu.detached, 1);
		return 0;
	}
	if (domain == iommu.refused && (!iommu.refuse || iommu.refuse == dev)) {
		if (iommu.refusing)
			iommu.refusing();
		return iommu.refuse_error;
	}
	atomic_fetch_add(&iommu.attached, 1);
	return 0;
}

static int fake_viommu_init(struct viommu *viommu, struct iommu_device *dev, const struct user_data *data)
{
	(void)viommu;
	(void)dev;
	(void)data;
	return 0;
}

static int fake_viommu_invalidate(struct viommu *viommu, const struct user_array *array, uint32_t *done)
{
	(void)viommu;
	*done = array->count;
	return array->count ? -EIO : 0;
}

static const struct viommu_ops *fake_viommu(const struct iommu_device *dev, uint32_t type)
{
	static const struct viommu_ops ops = {
		.size = sizeof(struct viommu), .init = fake_viommu_init, .invalidate = fake_viommu_invalidate};

	(void)dev;
	return type == DATA_TYPE ? &ops : NULL;
}

static const struct iommu_driver fake_driver = {
	.name = "fake",
	.capabilities = fake_capabilities,
	.hw_info = fake_hw_info,
	.paging_check = fake_paging_check,
	.nested_new = fake_nested_new,
	.attach_check = fake_attach_check,
	.viommu = fake_viommu,
};

/* One that can do nothing beyond page tables. */
static const struct iommu_driver fake_poor_driver = {
	.name = "poor",
	.capabilities = fake_capabilities,
	.paging_check = fake_paging_check,
};

static struct iommufd_config config;
static struct fake fake;
static struct file *file;
static struct ctx *ctx;

static inline void begin(void)
{
	fake_init(&fake);
	memset(&iommu, 0, sizeof(iommu));
	iommu.page_sizes = PAGE_MASK;
	iommu.capabilities = IOMMU_HW_CAP_DIRTY_TRACKING;
	CHECK_EQ(iommufd_open(&config, false, &file), 0);
	ctx = ctx_of(file);
}

/* All memory and all references are back. */
static inline void end(void)
{
	file_put(file);
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
	CHECK_EQ(iommu.nested, 0);
}

/* The structure goes to the beginning of the client's memory, and its answer comes back from there. */
#define CALL(cmd, arg)                                                                                                 \
	({                                                                                                             \
		memcpy(fake.memory, &(arg), sizeof(arg));                                                              \
		long rc_ = file->ops->ioctl(file, &fake.client, (cmd), fake_at(&fake, 0));                             \
		memcpy(&(arg), fake.memory, sizeof(arg));                                                              \
		rc_;                                                                                                   \
	})

static inline uint32_t ioas_alloc(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	CHECK_EQ(CALL(IOMMU_IOAS_ALLOC, cmd), 0);
	return cmd.out_ioas_id;
}

static inline long destroy(uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return CALL(IOMMU_DESTROY, cmd);
}

static inline long map(uint32_t ioas, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd), .flags = 7, .ioas_id = ioas, .user_va = 0x1000, .length = 0x1000, .iova = iova};

	return CALL(IOMMU_IOAS_MAP, cmd);
}

/* Returns the id, or -errno. */
static inline long hwpt_alloc(struct device *device, uint32_t pt_id, uint32_t flags)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = device->object.id, .pt_id = pt_id};
	long rc = CALL(IOMMU_HWPT_ALLOC, cmd);

	return rc ? rc : (long)cmd.out_hwpt_id;
}

static inline long hwpt_alloc_nested(struct device *device, uint32_t pt_id, uint32_t flags)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd),
				       .flags = flags,
				       .dev_id = device->object.id,
				       .pt_id = pt_id,
				       .data_type = DATA_TYPE,
				       .data_len = 4,
				       .data_uptr = fake_at(&fake, 4096)};
	long rc = CALL(IOMMU_HWPT_ALLOC, cmd);

	return rc ? rc : (long)cmd.out_hwpt_id;
}

struct fake_device {
	struct iommu_device dev;
	struct device *device;
};

static inline void fake_device_init(struct fake_device *d, struct iommu_group *group)
{
	memset(d, 0, sizeof(*d));
	iommu_device_init(&d->dev, &fake_driver, group);
	d->dev.name = "fake device";
}

static inline void fake_device_bind(struct fake_device *d)
{
	CHECK_EQ(device_bind(ctx, &d->dev, &fake.client, &d->device), 0);
}

static inline void fake_device_new(struct fake_device *d, struct iommu_group *group)
{
	fake_device_init(d, group);
	fake_device_bind(d);
}

static inline void fake_device_end(struct fake_device *d)
{
	device_unbind(d->device);
	iommu_device_fini(&d->dev);
}

/* Attaches and replaces without a PASID; return the id of the page table, or -errno. */
static inline long attach(struct fake_device *d, uint32_t id)
{
	int rc = device_attach(d->device, NO_PASID, &id);

	return rc ? rc : (long)id;
}

static inline long replace(struct fake_device *d, uint32_t id)
{
	int rc = device_replace(d->device, NO_PASID, &id);

	return rc ? rc : (long)id;
}

/* How many use an object, but for its being there and this look. */
static inline long users_of(uint32_t id)
{
	struct object *object = object_get(ctx, id, OBJECT_ANY);
	long users;

	if (!object)
		return -ENOENT;
	users = (long)id_users(object->slot) - 2;
	object_put(object);
	return users;
}

static inline struct domain *domain_of(long id)
{
	struct object *object = object_get(ctx, (uint32_t)id, OBJECT_ANY);
	struct domain *domain = object ? ((struct hwpt *)object)->domain : NULL;

	if (object)
		object_put(object);
	return domain;
}

#endif
