/* SPDX-License-Identifier: BSD-3-Clause */
/* The IOMMU in front of software devices: what it says of a device, and which page tables it takes. */
#include "hwpt/software.h"
#include "fake_iommu.h"

static struct iommu_group group = {.id = 1};
static struct fake_device dev;
static uint32_t ioas;

static void begin_with_software(uint32_t max_pasids, bool can_fault)
{
	begin();
	memset(&dev, 0, sizeof(dev));
	iommu_device_init(&dev.dev, &software_iommu, &group);
	dev.dev.name = "0000:01:00.0";
	dev.dev.max_pasids = max_pasids;
	dev.dev.can_fault = can_fault;
	dev.dev.reserved = software_iommu_reserved;
	dev.dev.reserved_count = 1;
	fake_device_bind(&dev);
	ioas = ioas_alloc();
}

static void end_with_software(void)
{
	fake_device_end(&dev);
	end();
}

static void hw_info(uint64_t capabilities, unsigned pasid_bits)
{
	struct iommu_hw_info info = {.size = sizeof(info), .dev_id = dev.device->object.id};

	info.data_uptr = fake_at(&fake, 4096);
	info.data_len = 4;
	CHECK_EQ(CALL(IOMMU_GET_HW_INFO, info), 0);
	CHECK_EQ(info.out_data_type, IOMMU_HW_INFO_TYPE_NONE);
	CHECK_EQ(info.data_len, 0);
	CHECK_EQ(info.out_capabilities, capabilities);
	CHECK_EQ(info.out_max_pasid_log2, pasid_bits);
}

static void says_what_a_device_can_do(void)
{
	begin_with_software(0, false);
	hw_info(IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, 0);
	end_with_software();
	begin_with_software(1U << 20, false);
	hw_info(IOMMU_HW_CAP_DIRTY_TRACKING, 20);
	end_with_software();
	begin_with_software(0, true);
	hw_info(IOMMU_HW_CAP_DIRTY_TRACKING, 0);
	end_with_software();
}

static void takes_page_tables_without_nesting(void)
{
	struct iommu_viommu_alloc viommu = {.size = sizeof(viommu), .type = DATA_TYPE};
	long id;

	begin_with_software(1U << 20, false);
	for (uint32_t flags = 0; flags < 32; flags++) {
		const bool known = !(flags & ~(uint32_t)(IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID));

		id = hwpt_alloc(dev.device, ioas, flags);
		if (known)
			CHECK_EQ(destroy((uint32_t)id), 0);
		else
			CHECK(id == -EOPNOTSUPP || (flags & IOMMU_HWPT_FAULT_ID_VALID && id == -ENOENT));
	}
	CHECK_EQ(hwpt_alloc_nested(dev.device, ioas, 0), -EOPNOTSUPP);
	id = hwpt_alloc(dev.device, ioas, 0);
	CHECK_EQ(hwpt_alloc_nested(dev.device, (uint32_t)id, 0), -EOPNOTSUPP);
	viommu.dev_id = dev.device->object.id;
	viommu.hwpt_id = (uint32_t)id;
	CHECK_EQ(CALL(IOMMU_VIOMMU_ALLOC, viommu), -EOPNOTSUPP);
	end_with_software();
}

static void leaves_the_addresses_of_messages_and_the_aperture(void)
{
	static const struct iommu_iova_range want[2] = {{0, 0xfedfffff}, {0xfef00000, (UINT64_C(1) << 57) - 1}};
	struct iommu_ioas_iova_ranges ranges = {.size = sizeof(ranges), .num_iovas = 2};

	begin_with_software(0, false);
	CHECK(attach(&dev, ioas) > 0);
	ranges.ioas_id = ioas;
	ranges.allowed_iovas = fake_at(&fake, 4096);
	CHECK_EQ(CALL(IOMMU_IOAS_IOVA_RANGES, ranges), 0);
	CHECK_EQ(ranges.num_iovas, 2);
	CHECK_EQ(ranges.out_iova_alignment, 4096);
	CHECK(!memcmp(fake.memory + 4096, want, sizeof(want)));
	device_detach(dev.device, NO_PASID);
	end_with_software();
}

static void refuses_page_tables_of_another_driver(void)
{
	struct iommu_group other_group = {.id = 2};
	struct fake_device other;
	long id;

	begin_with_software(1U << 20, false);
	fake_device_new(&other, &other_group);
	id = hwpt_alloc(other.device, ioas, 0);
	CHECK_EQ(attach(&dev, (uint32_t)id), -EINVAL);
	/* It gets one of its own beside it. */
	CHECK_EQ(attach(&other, (uint32_t)id), id);
	CHECK(attach(&dev, ioas) != id);
	device_detach(other.device, NO_PASID);
	fake_device_end(&other);
	device_detach(dev.device, NO_PASID);
	end_with_software();
}

int main(void)
{
	says_what_a_device_can_do();
	takes_page_tables_without_nesting();
	leaves_the_addresses_of_messages_and_the_aperture();
	refuses_page_tables_of_another_driver();
	return check_result();
}
