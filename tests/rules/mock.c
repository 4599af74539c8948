/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "mock.h"

#include <fcntl.h>
#include <string.h>

void memory_new(struct rules *t)
{
	void *at = mmap(AT(MEMORY), MEMORY_LENGTH, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);

	EXPECT(t, at == AT(MEMORY), true);
}

void memory_free(void)
{
	munmap(AT(MEMORY), MEMORY_LENGTH);
}

int test_op(struct rules *t, struct iommu_test_cmd *c)
{
	c->size = sizeof(*c);
	return call(t, IOMMU_TEST_CMD, c);
}

int mock_try(struct rules *t, uint32_t pt, uint32_t flags, struct mock *m)
{
	struct iommu_test_cmd c = {.op = flags ? IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS : IOMMU_TEST_OP_MOCK_DOMAIN, .id = pt};

	if (flags)
		c.mock_domain_flags.dev_flags = flags;
	int rc = test_op(t, &c);

	*m = (struct mock){.ioas = pt,
			   .stdev = c.mock_domain.out_stdev_id,
			   .device = c.mock_domain.out_idev_id,
			   .hwpt = c.mock_domain.out_hwpt_id};
	return rc;
}

struct mock mock_new(struct rules *t, uint32_t pt, uint32_t flags)
{
	struct mock m;

	EXPECT(t, mock_try(t, pt, flags, &m), 0);
	return m;
}

int mock_attach(struct rules *t, uint32_t stdev, uint32_t pt)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = stdev, .mock_domain_replace = {pt}};

	return test_op(t, &c);
}

int pasid_attach(struct rules *t, uint32_t stdev, uint32_t pasid, uint32_t pt)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_PASID_ATTACH, .id = stdev, .pasid_attach = {pasid, pt}};

	return test_op(t, &c);
}

int pasid_replace(struct rules *t, uint32_t stdev, uint32_t pasid, uint32_t pt)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_PASID_REPLACE, .id = stdev, .pasid_replace = {pasid, pt}};

	return test_op(t, &c);
}

int pasid_detach(struct rules *t, uint32_t stdev, uint32_t pasid)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_PASID_DETACH, .id = stdev, .pasid_detach = {pasid}};

	return test_op(t, &c);
}

int pasid_check(struct rules *t, uint32_t stdev, uint32_t pasid, uint32_t hwpt)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_PASID_CHECK_HWPT, .id = stdev, .pasid_check = {pasid, hwpt}};

	return test_op(t, &c);
}

int reserve(struct rules *t, uint32_t ioas, uint64_t start, uint64_t length)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_ADD_RESERVED, .id = ioas, .add_reserved = {start, length}};

	return test_op(t, &c);
}

int check_map(struct rules *t, uint32_t hwpt, uint64_t iova, uint64_t length, uint64_t va)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_MD_CHECK_MAP, .id = hwpt, .check_map = {iova, length, va}};

	return test_op(t, &c);
}

int check_refs(struct rules *t, uint64_t va, uint64_t length, uint32_t refs)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_MD_CHECK_REFS, .check_refs = {length, va, refs}};

	return test_op(t, &c);
}

bool is_unmapped(struct rules *t, uint32_t ioas, uint64_t iova, uint64_t length)
{
	int rc = map_va_at(t, ioas, RW, MEMORY, iova, length);

	if (rc) {
		EXPECT(t, rc, -EEXIST);
		return false;
	}
	EXPECT(t, unmap(t, ioas, iova, length, NULL), 0);
	return true;
}

uint32_t iova_ranges(struct rules *t, uint32_t ioas, struct iommu_iova_range *range)
{
	struct iommu_ioas_iova_ranges c = {
		.size = sizeof(c), .ioas_id = ioas, .num_iovas = 16, .allowed_iovas = (uintptr_t)range};

	EXPECT(t, call(t, IOMMU_IOAS_IOVA_RANGES, &c), 0);
	return c.num_iovas;
}

void expect_range(struct rules *t, uint32_t ioas, uint64_t start, uint64_t last)
{
	struct iommu_iova_range range[16] = {{0, 0}};

	EXPECT(t, iova_ranges(t, ioas, range), 1);
	EXPECT_U64(t, range[0].start, start);
	EXPECT_U64(t, range[0].last, last);
}

int hwpt_try(struct rules *t, struct iommu_hwpt_alloc *c)
{
	c->size = sizeof(*c);
	return call(t, IOMMU_HWPT_ALLOC, c);
}

uint32_t hwpt_new(struct rules *t, uint32_t device, uint32_t pt, uint32_t flags)
{
	struct iommu_hwpt_alloc c = {.flags = flags, .dev_id = device, .pt_id = pt};

	EXPECT(t, hwpt_try(t, &c), 0);
	return c.out_hwpt_id;
}

uint32_t hwpt_with_faults(struct rules *t, uint32_t device, uint32_t pt, uint32_t flags, uint32_t fault)
{
	struct iommu_hwpt_alloc c = {
		.flags = flags | IOMMU_HWPT_FAULT_ID_VALID, .dev_id = device, .pt_id = pt, .fault_id = fault};

	EXPECT(t, hwpt_try(t, &c), 0);
	return c.out_hwpt_id;
}

int nested_try(struct rules *t, uint32_t device, uint32_t pt, uint32_t flags, uint32_t fault, uint32_t *hwpt)
{
	const struct iommu_hwpt_selftest data = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};
	struct iommu_hwpt_alloc c = {.flags = flags,
				     .dev_id = device,
				     .pt_id = pt,
				     .data_type = IOMMU_HWPT_DATA_SELFTEST,
				     .data_len = sizeof(data),
				     .data_uptr = (uintptr_t)&data,
				     .fault_id = fault};
	int rc = hwpt_try(t, &c);

	*hwpt = c.out_hwpt_id;
	return rc;
}

uint32_t nested_new(struct rules *t, uint32_t device, uint32_t pt)
{
	uint32_t hwpt;

	EXPECT(t, nested_try(t, device, pt, 0, 0, &hwpt), 0);
	return hwpt;
}

int check_iotlb(struct rules *t, uint32_t hwpt, uint32_t entry, uint32_t value)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_MD_CHECK_IOTLB, .id = hwpt, .check_iotlb = {entry, value}};

	return test_op(t, &c);
}

int viommu_try(struct rules *t, uint32_t device, uint32_t hwpt, uint32_t *viommu)
{
	struct iommu_viommu_alloc c = {
		.size = sizeof(c), .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = device, .hwpt_id = hwpt};
	int rc = call(t, IOMMU_VIOMMU_ALLOC, &c);

	*viommu = c.out_viommu_id;
	return rc;
}

uint32_t viommu_new(struct rules *t, uint32_t device, uint32_t hwpt)
{
	uint32_t viommu;

	EXPECT(t, viommu_try(t, device, hwpt, &viommu), 0);
	return viommu;
}

int vdevice_try(struct rules *t, uint32_t viommu, uint32_t device, uint64_t virt_id, uint32_t *vdevice)
{
	struct iommu_vdevice_alloc c = {.size = sizeof(c), .viommu_id = viommu, .dev_id = device, .virt_id = virt_id};
	int rc = call(t, IOMMU_VDEVICE_ALLOC, &c);

	*vdevice = c.out_vdevice_id;
	return rc;
}

uint32_t vdevice_new(struct rules *t, uint32_t viommu, uint32_t device, uint64_t virt_id)
{
	uint32_t vdevice;

	EXPECT(t, vdevice_try(t, viommu, device, virt_id, &vdevice), 0);
	return vdevice;
}

int veventq_try(struct rules *t, uint32_t viommu, uint32_t type, uint32_t depth, uint32_t *id, int *fd)
{
	struct iommu_veventq_alloc c = {.size = sizeof(c), .viommu_id = viommu, .type = type, .veventq_depth = depth};
	int rc = call(t, IOMMU_VEVENTQ_ALLOC, &c);

	*id = c.out_veventq_id;
	*fd = rc ? -1 : (int)c.out_veventq_fd;
	return rc;
}

int hw_queue_try(struct rules *t, uint32_t viommu, uint32_t index, uint64_t iova, uint64_t length, uint32_t *id)
{
	struct iommu_hw_queue_alloc c = {.size = sizeof(c),
					 .viommu_id = viommu,
					 .type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
					 .index = index,
					 .nesting_parent_iova = iova,
					 .length = length};
	int rc = call(t, IOMMU_HW_QUEUE_ALLOC, &c);

	*id = c.out_hw_queue_id;
	return rc;
}

uint32_t hw_queue_new(struct rules *t, uint32_t viommu, uint32_t index, uint64_t iova, uint64_t length)
{
	uint32_t id;

	EXPECT(t, hw_queue_try(t, viommu, index, iova, length, &id), 0);
	return id;
}

int mock_access_new(struct rules *t, uint32_t ioas, uint32_t flags)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_CREATE_ACCESS, .id = ioas, .create_access = {.flags = flags}};
	int rc = test_op(t, &c);

	return rc ? rc : (int)c.create_access.out_access_fd;
}

int mock_access_rw(struct rules *t, int access, uint64_t iova, void *buf, uint64_t length, uint32_t flags)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_ACCESS_RW,
				   .id = (uint32_t)access,
				   .access_rw = {iova, length, (uintptr_t)buf, flags}};

	return test_op(t, &c);
}

int mock_access_pin(struct rules *t, int access, uint64_t iova, uint64_t length, uint32_t flags, uint32_t *id)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_ACCESS_PAGES,
				   .id = (uint32_t)access,
				   .access_pages = {.flags = flags, .iova = iova, .length = length}};
	int rc = test_op(t, &c);

	*id = c.access_pages.out_access_pages_id;
	return rc;
}

int mock_access_unpin(struct rules *t, int access, uint32_t id)
{
	struct iommu_test_cmd c = {
		.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, .id = (uint32_t)access, .destroy_access_pages = {id}};

	return test_op(t, &c);
}

int mock_access_replace(struct rules *t, int access, uint32_t ioas)
{
	struct iommu_test_cmd c = {
		.op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, .id = (uint32_t)access, .access_replace_ioas = {ioas}};

	return test_op(t, &c);
}

int fault_trigger(struct rules *t, uint32_t device, uint32_t pasid, uint32_t grpid, uint64_t addr)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_TRIGGER_IOPF,
				   .trigger_iopf = {device, pasid, grpid, IOMMU_PGFAULT_PERM_READ, addr}};

	return test_op(t, &c);
}

int vevent_trigger(struct rules *t, uint32_t device)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_TRIGGER_VEVENT, .trigger_vevent = {device}};

	return test_op(t, &c);
}

int check_cache(struct rules *t, uint32_t device, uint32_t entry, uint32_t value)
{
	struct iommu_test_cmd c = {
		.op = IOMMU_TEST_OP_DEV_CHECK_CACHE, .id = device, .check_dev_cache = {entry, value}};

	return test_op(t, &c);
}

int mock_dmabuf_new(struct rules *t, uint32_t length)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_DMABUF_GET, .dmabuf_get = {length, O_CLOEXEC | O_RDWR}};

	return test_op(t, &c);
}

int mock_dmabuf_revoke(struct rules *t, int fd, uint32_t revoked)
{
	struct iommu_test_cmd c = {.op = IOMMU_TEST_OP_DMABUF_REVOKE, .dmabuf_revoke = {fd, revoked}};

	return test_op(t, &c);
}

int set_dirty(struct rules *t, uint32_t hwpt, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking c = {.size = sizeof(c), .flags = flags, .hwpt_id = hwpt};

	return call(t, IOMMU_HWPT_SET_DIRTY_TRACKING, &c);
}

int get_dirty(struct rules *t, uint32_t hwpt, uint32_t flags, uint64_t iova, uint64_t length, uint64_t page_size,
	      void *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap c = {.size = sizeof(c),
						.hwpt_id = hwpt,
						.flags = flags,
						.iova = iova,
						.length = length,
						.page_size = page_size,
						.data = (uintptr_t)bitmap};

	return call(t, IOMMU_HWPT_GET_DIRTY_BITMAP, &c);
}

int make_dirty(struct rules *t, uint32_t hwpt, uint64_t iova, uint64_t length, uint64_t page_size, const void *bitmap)
{
	struct iommu_test_cmd c = {
		.op = IOMMU_TEST_OP_DIRTY, .id = hwpt, .dirty = {0, iova, length, page_size, (uintptr_t)bitmap, 0}};

	return test_op(t, &c);
}

uint32_t next_id(struct rules *t)
{
	uint32_t id = ioas_new(t);

	EXPECT(t, destroy(t, id), 0);
	return id;
}

static void areas_new(struct rules *t, uint32_t ioas)
{
	EXPECT(t, map_va_at(t, ioas, RW, MEMORY, AREA, AREA_SIZE), 0);
	EXPECT(t, map_va_at(t, ioas, READ, MEMORY + AREA_SIZE, READ_AREA, AREA_SIZE), 0);
	EXPECT(t, map_va_at(t, ioas, WRITE, MEMORY + 2 * AREA_SIZE, WRITE_AREA, AREA_SIZE), 0);
}

void world_new(struct rules *t, struct world *w)
{
	uint32_t ioas = ioas_new(t);
	struct mock m = mock_new(t, ioas, 0);

	memory_new(t);
	areas_new(t, ioas);
	OBJECT(w, IOAS) = ioas;
	OBJECT(w, SPARE) = ioas_new(t);
	OBJECT(w, STDEV) = m.stdev;
	OBJECT(w, DEVICE) = m.device;
	OBJECT(w, AUTO) = m.hwpt;
	OBJECT(w, PLAIN) = hwpt_new(t, m.device, ioas, 0);
	OBJECT(w, DIRTY) = hwpt_new(t, m.device, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	OBJECT(w, PARENT) = hwpt_new(t, m.device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	OBJECT(w, PASID_HWPT) = hwpt_new(t, m.device, ioas, IOMMU_HWPT_ALLOC_PASID);
	OBJECT(w, NESTED) = nested_new(t, m.device, OBJECT(w, PARENT));
	OBJECT(w, VIOMMU) = viommu_new(t, m.device, OBJECT(w, PARENT));
	m = mock_new(t, ioas, MOCK_FLAGS_DEVICE_NO_DIRTY);
	OBJECT(w, CLEAN_STDEV) = m.stdev;
	OBJECT(w, CLEAN) = m.device;
	m = mock_new(t, OBJECT(w, PASID_HWPT), MOCK_FLAGS_DEVICE_PASID);
	OBJECT(w, PASID_STDEV) = m.stdev;
	OBJECT(w, PASID_DEVICE) = m.device;
	EXPECT(t, fault_new(t, &OBJECT(w, FAULT), &w->fault_fd), 0);
	OBJECT(w, ACCESS) = (uint32_t)mock_access_new(t, ioas, 0);
	OBJECT(w, PINNING) = (uint32_t)mock_access_new(t, ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
}

void world_close(struct rules *t, struct world *w)
{
	EXPECT(t, transport_close(t->transport, w->fault_fd), 0);
	EXPECT(t, transport_close(t->transport, (int)OBJECT(w, ACCESS)), 0);
	EXPECT(t, transport_close(t->transport, (int)OBJECT(w, PINNING)), 0);
	memory_free();
}

void call_in_world(struct rules *t, const void *row)
{
	const struct world_row *r = row;
	struct world w = {.fault_fd = -1};
	uint32_t arg[32];

	world_new(t, &w);
	memcpy(arg, r->arg, r->size);
	for (size_t i = 1; i < r->size / sizeof(*arg); i++)
		if (arg[i] >= WORLD_FIRST && arg[i] < WORLD_LAST)
			arg[i] = w.id[arg[i] - WORLD_FIRST];
	memcpy(AT(DATA), r->data, sizeof(r->data));
	uint32_t next = next_id(t);

	EXPECT(t, call(t, r->cmd, arg), r->result);
	if (r->result < 0)
		EXPECT(t, next_id(t), next);
	world_close(t, &w);
}
