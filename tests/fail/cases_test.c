/* SPDX-License-Identifier: BSD-3-Clause */
/* The ops of the test device. */
#define _GNU_SOURCE
#include "cases.h"
#include "set_ups.h"

#include <fcntl.h>
#include <string.h>

TEST(add_reserved, IOMMU_TEST_OP_ADD_RESERVED, id = w->ioas,
     .add_reserved = {.start = APERTURE + 900 * PAGE, .length = PAGE})
TEST(mock_domain, IOMMU_TEST_OP_MOCK_DOMAIN, id = w->ioas, 0)
TEST(replace_ioas, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, id = w->stdev, .mock_domain_replace = {.pt_id = w->ioas})
TEST(pasid_attach, IOMMU_TEST_OP_PASID_ATTACH, id = w->stdev, .pasid_attach = {.pasid = 7, .pt_id = w->hwpt})
TEST(check_map, IOMMU_TEST_OP_MD_CHECK_MAP, id = w->hwpt,
     .check_map = {.iova = APERTURE, .length = 2 * PAGE, .uptr = (uintptr_t)w->memory})
TEST(check_refs, IOMMU_TEST_OP_MD_CHECK_REFS, id = 0,
     .check_refs = {.length = PAGE, .uptr = (uintptr_t)w->memory, .refs = 1})
TEST(pin_pages, IOMMU_TEST_OP_ACCESS_PAGES, id = (uint32_t)w->access,
     .access_pages = {.iova = APERTURE, .length = 2 * PAGE, .uptr = (uintptr_t)w->memory})
TEST(access_unpin, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, id = (uint32_t)w->access,
     .destroy_access_pages = {.access_pages_id = w->pin})
TEST(access_read, IOMMU_TEST_OP_ACCESS_RW, id = (uint32_t)w->access,
     .access_rw = {.iova = APERTURE, .length = PAGE + 5, .uptr = (uintptr_t)w->memory + 8 * PAGE})
TEST(access_write, IOMMU_TEST_OP_ACCESS_RW, id = (uint32_t)w->access,
     .access_rw = {.iova = APERTURE,
		   .length = PAGE + 5,
		   .uptr = (uintptr_t)w->memory + 8 * PAGE,
		   .flags = MOCK_ACCESS_RW_WRITE})
TEST(access_replace, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, id = (uint32_t)w->access, .access_replace_ioas = {.ioas_id = 1})
TEST(mark_dirty, IOMMU_TEST_OP_DIRTY, id = w->hwpt,
     .dirty = {.iova = APERTURE, .length = 2 * PAGE, .page_size = PAGE, .uptr = (uintptr_t)w->memory})
TEST(trigger_iopf, IOMMU_TEST_OP_TRIGGER_IOPF, id = 0,
     .trigger_iopf = {.dev_id = w->idev, .grpid = 1, .perm = 1, .addr = APERTURE})
TEST(trigger_vevent, IOMMU_TEST_OP_TRIGGER_VEVENT, id = 0, .trigger_vevent = {.dev_id = w->idev})
TEST(memory_limit, IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, id = 0, .memory_limit = {.limit = 65536})
TEST(revoke, IOMMU_TEST_OP_DMABUF_REVOKE, id = 0, .dmabuf_revoke = {.dmabuf_fd = w->dmabuf, .revoked = 1})
TEST(mock_domain_pasid, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, id = w->ioas,
     .mock_domain_flags = {.dev_flags = MOCK_FLAGS_DEVICE_PASID})
TEST(replace_hwpt, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, id = w->stdev, .mock_domain_replace = {.pt_id = w->hwpt})
TEST(replace_nested, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, id = w->stdev, .mock_domain_replace = {.pt_id = w->nested})
TEST(replace_other, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, id = w->stdev, .mock_domain_replace = {.pt_id = w->other_ioas})
TEST(pasid_replace, IOMMU_TEST_OP_PASID_REPLACE, id = w->stdev, .pasid_replace = {.pasid = 7, .pt_id = w->other_hwpt})
TEST(pasid_detach, IOMMU_TEST_OP_PASID_DETACH, id = w->stdev, .pasid_detach = {.pasid = 7})
TEST(pasid_check, IOMMU_TEST_OP_PASID_CHECK_HWPT, id = w->stdev, .pasid_check = {.pasid = 7, .hwpt_id = w->hwpt})
TEST(check_map_file, IOMMU_TEST_OP_MD_CHECK_MAP, id = w->hwpt,
     .check_map = {.iova = APERTURE + 16 * PAGE, .length = 2 * PAGE, .uptr = (uintptr_t)w->memory + SHARED * PAGE})
TEST(check_iotlb, IOMMU_TEST_OP_MD_CHECK_IOTLB, id = w->nested,
     .check_iotlb = {.id = 1, .iotlb = IOMMU_TEST_IOTLB_DEFAULT})
TEST(check_cache, IOMMU_TEST_OP_DEV_CHECK_CACHE, id = w->idev,
     .check_dev_cache = {.id = 1, .cache = IOMMU_TEST_DEV_CACHE_DEFAULT})
TEST(pin_to_write, IOMMU_TEST_OP_ACCESS_PAGES, id = (uint32_t)w->access,
     .access_pages = {
	     .flags = MOCK_FLAGS_ACCESS_WRITE, .iova = APERTURE, .length = 2 * PAGE, .uptr = (uintptr_t)w->memory})
TEST(pin_file, IOMMU_TEST_OP_ACCESS_PAGES, id = (uint32_t)w->access,
     .access_pages = {.iova = APERTURE + 16 * PAGE, .length = PAGE, .uptr = (uintptr_t)w->memory + SHARED * PAGE})
TEST(access_read_slow, IOMMU_TEST_OP_ACCESS_RW, id = (uint32_t)w->access,
     .access_rw = {.iova = APERTURE,
		   .length = PAGE + 5,
		   .uptr = (uintptr_t)w->memory + 8 * PAGE,
		   .flags = MOCK_ACCESS_RW_SLOW_PATH})
TEST(access_write_file, IOMMU_TEST_OP_ACCESS_RW, id = (uint32_t)w->access,
     .access_rw = {.iova = APERTURE + 16 * PAGE,
		   .length = PAGE + 5,
		   .uptr = (uintptr_t)w->memory + 8 * PAGE,
		   .flags = MOCK_ACCESS_RW_WRITE})
TEST(access_other, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, id = (uint32_t)w->access,
     .access_replace_ioas = {.ioas_id = w->other_ioas})

static void create_access(struct world *w, struct outcome *out)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_CREATE_ACCESS, .id = w->ioas, .create_access = {.flags = 1}};

	out->rc = world_test(w, &cmd);
	if (!out->rc)
		w->access = (int)cmd.create_access.out_access_fd;
}

static void dmabuf_get(struct world *w, struct outcome *out)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_DMABUF_GET,
				     .dmabuf_get = {.length = PAGE, .open_flags = O_RDWR}};
	long fd = world_test(w, &cmd);

	out->rc = fd < 0 ? fd : 0;
	if (fd >= 0)
		w->dmabuf = (int)fd;
}

/* A number of pins is used up also where the reply cannot be written. */
static void access_pages(struct world *w, struct outcome *out)
{
	pin_pages(w, out);
	memset(out->stored, 0, sizeof(out->stored));
}

static void pin_file_pages(struct world *w, struct outcome *out)
{
	pin_file(w, out);
	memset(out->stored, 0, sizeof(out->stored));
}

static void pin_pages_to_write(struct world *w, struct outcome *out)
{
	pin_to_write(w, out);
	memset(out->stored, 0, sizeof(out->stored));
}

const struct sweep test_sweeps[] = {
	{"TEST ADD_RESERVED", plain, add_reserved, 0},
	{"TEST MOCK_DOMAIN", mapped, mock_domain, 0},
	{"TEST MOCK_DOMAIN of files", file_mapped, mock_domain, 0},
	{"TEST MOCK_DOMAIN beside another", device_mapped, mock_domain, 0},
	{"TEST MOCK_DOMAIN_FLAGS", mapped, mock_domain_pasid, 0},
	{"TEST MOCK_DOMAIN_REPLACE", tracking, replace_ioas, STAYS},
	{"TEST MOCK_DOMAIN_REPLACE with a page table", table, replace_hwpt, STAYS},
	{"TEST MOCK_DOMAIN_REPLACE with a nested one", nested_loose, replace_nested, STAYS},
	{"TEST MOCK_DOMAIN_REPLACE with another IOAS", two_spaces, replace_other, STAYS},
	{"TEST MOCK_DOMAIN_REPLACE of one that takes faults", faults_waiting, replace_ioas, STAYS},
	{"TEST PASID_ATTACH", pasid_table, pasid_attach, 0},
	{"TEST PASID_REPLACE", pasid_attached, pasid_replace, STAYS},
	{"TEST PASID_DETACH", pasid_attached, pasid_detach, 0},
	{"TEST PASID_CHECK_HWPT", pasid_attached, pasid_check, 0},
	{"TEST MD_CHECK_MAP", device_mapped, check_map, 0},
	{"TEST MD_CHECK_MAP of a file", device_mapped, check_map_file, 0},
	{"TEST MD_CHECK_REFS", device_mapped, check_refs, 0},
	{"TEST MD_CHECK_IOTLB", nested, check_iotlb, 0},
	{"TEST DEV_CHECK_CACHE", virtual_device, check_cache, 0},
	{"TEST CREATE_ACCESS", mapped, create_access, GIVES},
	{"TEST ACCESS_PAGES", accessing, access_pages, 0},
	{"TEST ACCESS_PAGES to write", accessing, pin_pages_to_write, 0},
	{"TEST ACCESS_PAGES of a file", accessing_file, pin_file_pages, 0},
	{"TEST DESTROY_ACCESS_PAGES", pinned, access_unpin, 0},
	{"TEST ACCESS_RW read", accessing, access_read, PARTLY},
	{"TEST ACCESS_RW read slowly", accessing, access_read_slow, PARTLY},
	{"TEST ACCESS_RW write", accessing, access_write, PARTLY},
	{"TEST ACCESS_RW write of a file", accessing_file, access_write_file, PARTLY},
	{"TEST ACCESS_REPLACE_IOAS", pinned, access_replace, 0},
	{"TEST ACCESS_REPLACE_IOAS with another", pinned_other, access_other, 0},
	{"TEST DIRTY", tracking, mark_dirty, PARTLY},
	{"TEST TRIGGER_IOPF", faults, trigger_iopf, 0},
	{"TEST TRIGGER_VEVENT", events, trigger_vevent, 0},
	{"TEST SET_TEMP_MEMORY_LIMIT", nothing, memory_limit, 0},
	{"TEST DMABUF_GET", nothing, dmabuf_get, 0},
	{"TEST DMABUF_REVOKE", buffer, revoke, 0},
	{"TEST DMABUF_REVOKE of one that is mapped", buffer_mapped, revoke, 0},
	{0},
};
