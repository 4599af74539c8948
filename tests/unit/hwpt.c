/* SPDX-License-Identifier: BSD-3-Clause */
/* Page tables: what IOMMU_HWPT_ALLOC refuses, in which order, and who uses what. */
#include "fake_iommu.h"

static struct iommu_group group = {.id = 1};
static struct fake_device dev;
static uint32_t ioas;

static void begin_with_device(void)
{
	begin();
	fake_device_new(&dev, &group);
	ioas = ioas_alloc();
}

static void end_with_device(void)
{
	fake_device_end(&dev);
	end();
}

/* The lowest id that is free, as an object gets it. */
static uint32_t next_id(void)
{
	uint32_t id = ioas_alloc();

	CHECK_EQ(destroy(id), 0);
	return id;
}

static uint32_t fault_alloc(void)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};

	CHECK_EQ(CALL(IOMMU_FAULT_QUEUE_ALLOC, cmd), 0);
	return cmd.out_fault_id;
}

/* All that is wrong with one, put right one after the other. */
static void what_is_wrong_is_found_in_order(void)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd),
				       .flags = 0x10,
				       .dev_id = 98,
				       .pt_id = 99,
				       .__reserved = 1,
				       .data_len = 4,
				       .fault_id = 97,
				       .__reserved2 = 1};

	begin_with_device();
	iommu.capabilities = 0;
	iommu.check_error = -EPERM;
	CHECK_EQ(map(ioas, 0), 0);
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL);
	cmd.data_type = DATA_TYPE;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -ENOENT);
	cmd.data_len = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL);
	cmd.data_type = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -ENOENT);
	cmd.dev_id = dev.device->object.id;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL);
	cmd.pt_id = cmd.dev_id;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL);
	cmd.pt_id = ioas;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EOPNOTSUPP);
	cmd.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EOPNOTSUPP);
	iommu.capabilities = IOMMU_HW_CAP_DIRTY_TRACKING;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EPERM);
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_NEST_PARENT;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EOPNOTSUPP);
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EPERM);
	iommu.check_error = 0;
	iommu.page_sizes = UINT64_C(1) << 16;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL);
	iommu.page_sizes = PAGE_MASK;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EADDRINUSE);
	cmd.pt_id = ioas_alloc();
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -ENOENT);
	CHECK_EQ(users_of(cmd.pt_id), 0);
	cmd.fault_id = fault_alloc();
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), 0);
	CHECK_EQ(cmd.out_hwpt_id, cmd.fault_id + 1);
	CHECK_EQ(users_of(ioas), 0);
	CHECK_EQ(users_of(cmd.pt_id), 1);
	file_put(fake.installed);
	CHECK_EQ(destroy(cmd.fault_id), -EBUSY);
	CHECK_EQ(destroy(cmd.out_hwpt_id), 0);
	CHECK_EQ(destroy(cmd.fault_id), 0);
	end_with_device();
}

static void what_is_wrong_with_a_nested_one_is_found_in_order(void)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT};
	uint32_t id;
	long automatic;

	begin_with_device();
	automatic = attach(&dev, ioas);
	cmd.dev_id = dev.device->object.id;
	cmd.pt_id = (uint32_t)hwpt_alloc(dev.device, ioas, 0);
	cmd.fault_id = 97;
	id = next_id();
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EOPNOTSUPP); /* flags */
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EOPNOTSUPP); /* no data */
	cmd.data_type = DATA_TYPE + 1;
	cmd.data_len = 4;
	dev.dev.driver = &fake_poor_driver;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EOPNOTSUPP); /* no operation */
	dev.dev.driver = &fake_driver;
	iommu.nested_error = -EPERM;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL); /* no parent */
	cmd.pt_id = (uint32_t)automatic;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL);
	cmd.pt_id = (uint32_t)hwpt_alloc(dev.device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	CHECK_EQ(cmd.pt_id, id);
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL); /* the driver's: another type */
	cmd.data_type = DATA_TYPE;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EPERM);
	iommu.nested_error = 0;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -ENOENT); /* fault_id */
	CHECK_EQ(iommu.nested, 0);
	CHECK_EQ(users_of(cmd.pt_id), 0);
	cmd.flags = IOMMU_HWPT_ALLOC_PASID;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), 0);
	CHECK_EQ(iommu.nested, 1);
	cmd.pt_id = cmd.out_hwpt_id;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EINVAL); /* nested on nested */
	end_with_device();
}

static void users_of_page_tables(void)
{
	long parent, nested;

	begin_with_device();
	parent = hwpt_alloc(dev.device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	nested = hwpt_alloc_nested(dev.device, (uint32_t)parent, 0);
	CHECK_EQ(users_of(ioas), 1);
	CHECK_EQ(users_of((uint32_t)parent), 1);
	CHECK_EQ(destroy(ioas), -EBUSY);
	CHECK_EQ(destroy((uint32_t)parent), -EBUSY);
	CHECK_EQ(attach(&dev, (uint32_t)nested), nested);
	CHECK(iommu_device_domain(&dev.dev, NO_PASID) == domain_of(nested));
	CHECK_EQ(users_of((uint32_t)nested), 1);
	CHECK_EQ(users_of((uint32_t)parent), 1);
	CHECK_EQ(destroy((uint32_t)nested), -EBUSY);
	CHECK_EQ(replace(&dev, (uint32_t)parent), parent);
	CHECK_EQ(destroy((uint32_t)nested), 0);
	CHECK_EQ(destroy((uint32_t)parent), -EBUSY);
	device_detach(dev.device, NO_PASID);
	CHECK_EQ(destroy((uint32_t)parent), 0);
	CHECK_EQ(destroy(ioas), 0);
	end_with_device();
}

static void nested_page_tables_reserve_in_their_parents_ioas(void)
{
	static const struct iova_span reserved = {0x100000, 0x100fff};
	struct ioas_object *object;
	long parent, nested;

	begin_with_device();
	dev.dev.reserved = &reserved;
	dev.dev.reserved_count = 1;
	parent = hwpt_alloc(dev.device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	nested = hwpt_alloc_nested(dev.device, (uint32_t)parent, 0);
	CHECK_EQ(attach(&dev, (uint32_t)nested), nested);
	object = ioas_get(ctx, ioas);
	for (int i = 0; i < 3; i++) {
		struct range_map allowed = RANGE_MAP_INIT;

		CHECK_EQ(range_map_insert(&allowed, reserved.start, reserved.last, &allowed), 0);
		CHECK_EQ(ioas_allow(&object->ioas, &allowed), i < 2 ? -EADDRINUSE : 0);
		range_map_clear(&allowed);
		if (i == 0)
			CHECK_EQ(replace(&dev, (uint32_t)parent), parent);
		else
			device_detach(dev.device, NO_PASID);
	}
	ioas_put(object);
	end_with_device();
}

static void behind_a_virtual_iommu(void)
{
	struct iommu_viommu_alloc alloc = {.size = sizeof(alloc), .type = DATA_TYPE};
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate), .data_type = 5, .entry_len = 4, .entry_num = 3, .data_uptr = 1};
	struct iommu_group other_group = {.id = 2};
	struct fake_device other;
	uint32_t viommu;
	long parent, nested;

	begin_with_device();
	fake_device_new(&other, &other_group);
	other.dev.driver = &fake_poor_driver;
	parent = hwpt_alloc(dev.device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	alloc.dev_id = dev.device->object.id;
	alloc.hwpt_id = (uint32_t)parent;
	CHECK_EQ(CALL(IOMMU_VIOMMU_ALLOC, alloc), 0);
	viommu = alloc.out_viommu_id;
	CHECK_EQ(hwpt_alloc_nested(other.device, viommu, IOMMU_HWPT_ALLOC_NEST_PARENT), -EINVAL);
	CHECK_EQ(hwpt_alloc_nested(dev.device, viommu, IOMMU_HWPT_ALLOC_NEST_PARENT), -EOPNOTSUPP);
	CHECK_EQ(hwpt_alloc(dev.device, viommu, 0), -EOPNOTSUPP);
	nested = hwpt_alloc_nested(dev.device, viommu, 0);
	CHECK(nested > 0);
	CHECK_EQ(users_of(viommu), 1);
	CHECK_EQ(users_of((uint32_t)parent), 1);
	CHECK_EQ(destroy(viommu), -EBUSY);

	invalidate.hwpt_id = viommu;
	CHECK_EQ(CALL(IOMMU_HWPT_INVALIDATE, invalidate), -EIO);
	CHECK_EQ(invalidate.entry_num, 3);

	CHECK_EQ(attach(&dev, (uint32_t)nested), nested);
	fake_device_end(&dev);
	CHECK_EQ(destroy((uint32_t)nested), 0);
	CHECK_EQ(destroy(viommu), 0);
	CHECK_EQ(destroy((uint32_t)parent), 0);
	fake_device_end(&other);
	end();
}

static void an_answer_that_cannot_be_written_undoes_it(void)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd), .flags = IOMMU_HWPT_FAULT_ID_VALID};
	uint32_t id;

	begin_with_device();
	cmd.dev_id = dev.device->object.id;
	cmd.pt_id = ioas;
	cmd.fault_id = fault_alloc();
	id = next_id();
	fake.deny_write = true;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), -EFAULT);
	fake.deny_write = false;
	CHECK_EQ(users_of(ioas), 0);
	CHECK_EQ(users_of(cmd.fault_id), 1); /* its file */
	CHECK_EQ(next_id(), id);
	file_put(fake.installed);
	end_with_device();
}

static void faults_want_a_device_that_waits(void)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd), .flags = IOMMU_HWPT_FAULT_ID_VALID};
	uint32_t table;

	begin_with_device();
	cmd.dev_id = dev.device->object.id;
	cmd.pt_id = ioas;
	cmd.fault_id = fault_alloc();
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, cmd), 0);
	table = cmd.out_hwpt_id;
	CHECK(domain_of(table)->fault != NULL);
	CHECK_EQ(attach(&dev, table), -EOPNOTSUPP);
	CHECK_EQ(users_of(table), 0);
	dev.dev.can_fault = true;
	CHECK_EQ(attach(&dev, table), table);
	CHECK_EQ(users_of(cmd.fault_id), 2);
	file_put(fake.installed);
	end_with_device();
}

static void invalidations_tell_how_many_were_done(void)
{
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd), .__reserved = 1, .entry_num = 5};
	long parent, nested;

	begin_with_device();
	parent = hwpt_alloc(dev.device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	nested = hwpt_alloc_nested(dev.device, (uint32_t)parent, 0);
#define INVALIDATE(count)                                                                                              \
	({                                                                                                             \
		cmd.entry_num = (count);                                                                               \
		CALL(IOMMU_HWPT_INVALIDATE, cmd);                                                                      \
	})
	cmd.hwpt_id = 99;
	CHECK_EQ(INVALIDATE(5), -EOPNOTSUPP);
	CHECK_EQ(cmd.entry_num, 0);
	cmd.__reserved = 0;
	CHECK_EQ(INVALIDATE(5), -EINVAL);
	cmd.data_uptr = fake_at(&fake, 4096);
	CHECK_EQ(INVALIDATE(5), -EINVAL);
	cmd.entry_len = 4097;
	CHECK_EQ(INVALIDATE(5), -EINVAL);
	cmd.entry_len = 8;
	CHECK_EQ(INVALIDATE((1U << 19) + 1), -EINVAL);
	CHECK_EQ(INVALIDATE(5), -ENOENT);
	cmd.hwpt_id = (uint32_t)parent;
	CHECK_EQ(INVALIDATE(5), -EINVAL);
	cmd.hwpt_id = (uint32_t)nested;
	CHECK_EQ(INVALIDATE(5), -EINVAL); /* the type */
	cmd.data_type = DATA_TYPE;
	iommu.invalidated = 3;
	CHECK_EQ(INVALIDATE(5), -EOPNOTSUPP);
	CHECK_EQ(cmd.entry_num, 3);
	CHECK_EQ(INVALIDATE(2), 0);
	CHECK_EQ(cmd.entry_num, 2);
	cmd.entry_len = 0;
	cmd.data_uptr = 0;
	CHECK_EQ(INVALIDATE(0), 0);
	fake.deny_write = true;
	CHECK_EQ(INVALIDATE(5), -EFAULT);
	fake.deny_write = false;
	end_with_device();
}

int main(void)
{
	what_is_wrong_is_found_in_order();
	what_is_wrong_with_a_nested_one_is_found_in_order();
	users_of_page_tables();
	nested_page_tables_reserve_in_their_parents_ioas();
	behind_a_virtual_iommu();
	an_answer_that_cannot_be_written_undoes_it();
	faults_want_a_device_that_waits();
	invalidations_tell_how_many_were_done();
	return check_result();
}
