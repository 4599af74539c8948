/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each call, with its first allocation, copy or system call failing, then with its second, and so on until nothing
 * fails any more. A call that failed has left nothing behind: made again it answers as if nothing had been, the ids
 * included, and when all is closed no memory, descriptor or mapping is left.
 *
 *   fail_sweep [NAME]
 */
#define _GNU_SOURCE
#include "fail.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sweep {
	const char *name;
	void (*set_up)(struct world *w);
	void (*call)(struct world *w, struct outcome *out);
	bool stays; /* EFAULT of the reply does not undo it */
};

static const char *wrong_in;
static unsigned wrong, swept;

__attribute__((format(printf, 1, 2))) static void is_wrong(const char *format, ...)
{
	va_list list;

	wrong++;
	printf("%s: ", wrong_in);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
}

/* The calls. Descriptors are kept and not compared, as the process gives any. */

#define STORE(out, value) memcpy((out)->stored, &(value), sizeof(value))

#define SIMPLE(name, command, structure, ...)                                                                          \
	static void name(struct world *w, struct outcome *out)                                                         \
	{                                                                                                              \
		struct structure cmd = {.size = sizeof(cmd), __VA_ARGS__};                                             \
                                                                                                                       \
		out->rc = CALL(w, command, &cmd);                                                                      \
		if (out->rc >= 0)                                                                                      \
			STORE(out, cmd);                                                                               \
	}

SIMPLE(ioas_alloc, IOMMU_IOAS_ALLOC, iommu_ioas_alloc, 0)
SIMPLE(map, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = 7, .ioas_id = w->ioas, .user_va = (uintptr_t)w->memory + 4 * PAGE,
       .length = 4 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(map_automatic, IOMMU_IOAS_MAP, iommu_ioas_map, .flags = 6, .ioas_id = w->ioas, .user_va = (uintptr_t)w->memory,
       .length = 4 * PAGE)
SIMPLE(map_file, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = 7, .ioas_id = w->ioas, .fd = w->memfd,
       .start = 4 * PAGE, .length = 4 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(map_dmabuf, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, .flags = 7, .ioas_id = w->ioas, .fd = w->dmabuf,
       .length = 2 * PAGE, .iova = APERTURE + 32 * PAGE)
SIMPLE(copy, IOMMU_IOAS_COPY, iommu_ioas_copy, .flags = 7, .dst_ioas_id = w->ioas, .src_ioas_id = w->ioas,
       .length = PAGE, .dst_iova = APERTURE + 32 * PAGE, .src_iova = APERTURE + PAGE)
SIMPLE(unmap, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, .ioas_id = w->ioas, .iova = APERTURE, .length = 2 * PAGE)
SIMPLE(unmap_all, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, .ioas_id = w->ioas, .length = UINT64_MAX)
SIMPLE(huge_pages, IOMMU_OPTION, iommu_option, .option_id = IOMMU_OPTION_HUGE_PAGES, .object_id = w->ioas)
SIMPLE(vfio_ioas, IOMMU_VFIO_IOAS, iommu_vfio_ioas, .ioas_id = w->ioas, .op = IOMMU_VFIO_IOAS_SET)
SIMPLE(change_process, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, 0)
SIMPLE(hwpt_alloc, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, .flags = IOMMU_HWPT_ALLOC_NEST_PARENT, .dev_id = w->idev,
       .pt_id = w->ioas)
SIMPLE(set_dirty, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, .flags = 1, .hwpt_id = w->hwpt)
SIMPLE(viommu_alloc, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = w->idev,
       .hwpt_id = w->hwpt)
SIMPLE(vdevice_alloc, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, .viommu_id = w->viommu, .dev_id = w->idev,
       .virt_id = 0x99)
SIMPLE(hw_queue_alloc, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, .viommu_id = w->viommu,
       .type = IOMMU_HW_QUEUE_TYPE_SELFTEST, .nesting_parent_iova = APERTURE, .length = PAGE)
SIMPLE(destroy_hwpt, IOMMU_DESTROY, iommu_destroy, .id = w->hwpt)
SIMPLE(destroy_device, IOMMU_DESTROY, iommu_destroy, .id = w->stdev)
SIMPLE(destroy_ioas, IOMMU_DESTROY, iommu_destroy, .id = w->ioas)

static void iova_ranges(struct world *w, struct outcome *out)
{
	struct iommu_iova_range range[4] = {{0}};
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd), .ioas_id = w->ioas, .num_iovas = 4, .allowed_iovas = (uintptr_t)range};

	out->rc = CALL(w, IOMMU_IOAS_IOVA_RANGES, &cmd);
	if (!out->rc)
		STORE(out, range);
}

static void allow_iovas(struct world *w, struct outcome *out)
{
	struct iommu_iova_range range[2] = {{APERTURE, APERTURE + 100 * PAGE - 1},
					    {APERTURE + 200 * PAGE, APERTURE + 300 * PAGE - 1}};
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd), .ioas_id = w->ioas, .num_iovas = 2, .allowed_iovas = (uintptr_t)range};

	out->rc = CALL(w, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static void fault_alloc(struct world *w, struct outcome *out)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};

	out->rc = CALL(w, IOMMU_FAULT_QUEUE_ALLOC, &cmd);
	if (out->rc)
		return;
	w->fault_fd = (int)cmd.out_fault_fd;
	STORE(out, cmd.out_fault_id);
}

static void veventq_alloc(struct world *w, struct outcome *out)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = w->viommu, .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 2};

	out->rc = CALL(w, IOMMU_VEVENTQ_ALLOC, &cmd);
	if (out->rc)
		return;
	w->veventq_fd = (int)cmd.out_veventq_fd;
	STORE(out, cmd.out_veventq_id);
}

static void hwpt_nested(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_selftest data = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd),
				       .dev_id = w->idev,
				       .pt_id = w->viommu,
				       .data_type = IOMMU_HWPT_DATA_SELFTEST,
				       .data_len = sizeof(data),
				       .data_uptr = (uintptr_t)&data};

	out->rc = CALL(w, IOMMU_HWPT_ALLOC, &cmd);
	STORE(out, cmd.out_hwpt_id);
}

static void hwpt_fault(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_alloc cmd = {.size = sizeof(cmd),
				       .flags = IOMMU_HWPT_FAULT_ID_VALID,
				       .dev_id = w->idev,
				       .pt_id = w->ioas,
				       .fault_id = w->fault};

	out->rc = CALL(w, IOMMU_HWPT_ALLOC, &cmd);
	STORE(out, cmd.out_hwpt_id);
}

static void hw_info(struct world *w, struct outcome *out)
{
	struct iommu_test_hw_info info = {0};
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd), .dev_id = w->idev, .data_len = sizeof(info), .data_uptr = (uintptr_t)&info};

	out->rc = CALL(w, IOMMU_GET_HW_INFO, &cmd);
	STORE(out, info);
}

/* Its walk's own failures are not told, by design of the ABI: only the result counts. */
static void get_dirty(struct world *w, struct outcome *out)
{
	uint64_t bits[2] = {0};
	struct iommu_hwpt_get_dirty_bitmap cmd = {.size = sizeof(cmd),
						  .hwpt_id = w->hwpt,
						  .iova = APERTURE,
						  .length = 2 * PAGE,
						  .page_size = PAGE,
						  .data = (uintptr_t)bits};

	out->rc = CALL(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static void invalidate_nested(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_invalidate_selftest entry[2] = {{.iotlb_id = 0}, {.iotlb_id = 1}};
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd),
					    .hwpt_id = w->nested,
					    .data_uptr = (uintptr_t)entry,
					    .data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
					    .entry_len = sizeof(*entry),
					    .entry_num = 2};

	out->rc = CALL(w, IOMMU_HWPT_INVALIDATE, &cmd);
}

static void invalidate_viommu(struct world *w, struct outcome *out)
{
	struct iommu_viommu_invalidate_selftest entry[2] = {{.vdev_id = 0x99}, {.vdev_id = 0x99, .cache_id = 1}};
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd),
					    .hwpt_id = w->viommu,
					    .data_uptr = (uintptr_t)entry,
					    .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
					    .entry_len = sizeof(*entry),
					    .entry_num = 2};

	out->rc = CALL(w, IOMMU_HWPT_INVALIDATE, &cmd);
}

static void read_fault(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_pgfault fault[2];

	out->rc = iommuse_read(w->system, w->fault_fd, fault, sizeof(fault));
	if (out->rc > 0)
		STORE(out, fault[0]);
}

static void write_fault(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_page_response response = {.cookie = 1};

	out->rc = iommuse_write(w->system, w->fault_fd, &response, sizeof(response));
}

static void read_vevent(struct world *w, struct outcome *out)
{
	uint32_t record[8];

	out->rc = iommuse_read(w->system, w->veventq_fd, record, sizeof(record));
}

static void vfio_map(struct world *w, struct outcome *out)
{
	struct vfio_iommu_type1_dma_map cmd = {.argsz = sizeof(cmd),
					       .flags = 3,
					       .vaddr = (uintptr_t)w->memory,
					       .iova = APERTURE + 32 * PAGE,
					       .size = PAGE};

	out->rc = CALL(w, VFIO_IOMMU_MAP_DMA, &cmd);
}

static void vfio_unmap_middle(struct world *w, struct outcome *out)
{
	struct vfio_iommu_type1_dma_unmap cmd = {.argsz = sizeof(cmd), .iova = APERTURE + 33 * PAGE, .size = PAGE};

	out->rc = CALL(w, VFIO_IOMMU_UNMAP_DMA, &cmd);
}

static void vfio_info(struct world *w, struct outcome *out)
{
	unsigned char room[128] = {0};
	uint32_t argsz = sizeof(room);

	memcpy(room, &argsz, sizeof(argsz));
	out->rc = CALL(w, VFIO_IOMMU_GET_INFO, room);
	STORE(out, room);
}

static void open_node(struct world *w, struct outcome *out)
{
	int fd = iommuse_open(w->system, "/dev/vfio/vfio", O_RDWR);

	out->rc = fd < 0 ? fd : 0;
	if (fd >= 0)
		iommuse_close(w->system, fd);
}

#define TEST(name, number, member, ...)                                                                                \
	static void name(struct world *w, struct outcome *out)                                                         \
	{                                                                                                              \
		struct iommu_test_cmd cmd = {.op = (number), .member, __VA_ARGS__};                                    \
                                                                                                                       \
		out->rc = world_test(w, &cmd);                                                                         \
		if (out->rc >= 0)                                                                                      \
			STORE(out, cmd);                                                                               \
	}

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

/* The set-ups. */

#define SET_UP(name, ...)                                                                                              \
	static void name(struct world *w)                                                                              \
	{                                                                                                              \
		void (*const steps[])(struct world *) = {__VA_ARGS__};                                                 \
                                                                                                                       \
		for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)                                            \
			steps[i](w);                                                                                   \
	}

static void set_compat(struct world *w)
{
	struct outcome out;

	vfio_ioas(w, &out);
}

static void version_1(struct world *w)
{
	struct vfio_iommu_type1_dma_map cmd = {.argsz = sizeof(cmd),
					       .flags = 3,
					       .vaddr = (uintptr_t)w->memory,
					       .iova = APERTURE + 32 * PAGE,
					       .size = 4 * PAGE};

	iommuse_ioctl(w->system, w->fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU);
	CALL(w, VFIO_IOMMU_MAP_DMA, &cmd);
}

static void trigger(struct world *w)
{
	struct outcome out;

	trigger_iopf(w, &out);
}

static void read_it(struct world *w)
{
	struct outcome out;

	read_fault(w, &out);
}

static void vtrigger(struct world *w)
{
	struct outcome out;

	trigger_vevent(w, &out);
}

static void nothing(struct world *w)
{
	(void)w;
}

SET_UP(plain, with_ioas)
SET_UP(mapped, with_ioas, with_map)
SET_UP(device, with_ioas, with_device)
SET_UP(device_mapped, with_ioas, with_map, with_map_file, with_device)
SET_UP(table, with_ioas, with_map, with_device, with_parent)
SET_UP(to_track, with_ioas, with_map, with_device, with_tracking)
SET_UP(pasid_table, with_ioas, with_map, with_device, with_pasid_hwpt)
SET_UP(virtual, with_ioas, with_map, with_device, with_parent, with_viommu)
SET_UP(virtual_device, with_ioas, with_map, with_device, with_parent, with_viommu, with_vdevice)
SET_UP(nested, with_ioas, with_map, with_device, with_parent, with_viommu, with_vdevice, with_nested)
SET_UP(events, with_ioas, with_device, with_parent, with_viommu, with_vdevice, with_nested, with_veventq)
SET_UP(events_waiting, with_ioas, with_device, with_parent, with_viommu, with_vdevice, with_nested, with_veventq,
       vtrigger)
SET_UP(faults, with_ioas, with_map, with_device, with_fault_hwpt)
SET_UP(faults_waiting, with_ioas, with_map, with_device, with_fault_hwpt, trigger)
SET_UP(faults_read, with_ioas, with_map, with_device, with_fault_hwpt, trigger, read_it)
SET_UP(tracking, with_ioas, with_map, with_device, with_tracking)
SET_UP(accessing, with_ioas, with_map, with_access)
SET_UP(pinned, with_ioas, with_map, with_access, with_pin)
SET_UP(compat, with_ioas, with_device, set_compat)
SET_UP(compat_v1, with_ioas, set_compat, version_1, with_device)
SET_UP(buffer, with_ioas, with_device, with_dmabuf)

static const struct sweep sweeps[] = {
	{"open", nothing, open_node, false},
	{"IOAS_ALLOC", nothing, ioas_alloc, false},
	{"IOAS_MAP", plain, map, true},
	{"IOAS_MAP with a page table", device, map, true},
	{"IOAS_MAP automatic with a page table", device, map_automatic, true},
	{"IOAS_MAP while tracking", tracking, map, true},
	{"IOAS_MAP_FILE", plain, map_file, true},
	{"IOAS_MAP_FILE with a page table", device, map_file, true},
	{"IOAS_MAP_FILE of a dma-buf", buffer, map_dmabuf, true},
	{"IOAS_COPY", mapped, copy, true},
	{"IOAS_COPY with a page table", device_mapped, copy, true},
	{"IOAS_UNMAP", mapped, unmap, true},
	{"IOAS_UNMAP with a page table", device_mapped, unmap, true},
	{"IOAS_UNMAP of all", device_mapped, unmap_all, true},
	{"IOAS_UNMAP of what is pinned", pinned, unmap, true},
	{"IOAS_IOVA_RANGES", device, iova_ranges, false},
	{"IOAS_ALLOW_IOVAS", device, allow_iovas, false},
	{"OPTION", plain, huge_pages, true},
	{"VFIO_IOAS", plain, vfio_ioas, false},
	{"IOAS_CHANGE_PROCESS", plain, change_process, false},
	{"HWPT_ALLOC", device_mapped, hwpt_alloc, false},
	{"HWPT_ALLOC nested", virtual_device, hwpt_nested, false},
	{"HWPT_ALLOC with faults", faults, hwpt_fault, false},
	{"GET_HW_INFO", device, hw_info, false},
	{"HWPT_SET_DIRTY_TRACKING", to_track, set_dirty, false},
	{"HWPT_GET_DIRTY_BITMAP", tracking, get_dirty, false},
	{"HWPT_INVALIDATE", nested, invalidate_nested, false},
	{"HWPT_INVALIDATE of a vIOMMU", nested, invalidate_viommu, false},
	{"FAULT_QUEUE_ALLOC", nothing, fault_alloc, false},
	{"VIOMMU_ALLOC", table, viommu_alloc, false},
	{"VDEVICE_ALLOC", virtual, vdevice_alloc, false},
	{"VEVENTQ_ALLOC", virtual, veventq_alloc, false},
	{"HW_QUEUE_ALLOC", virtual, hw_queue_alloc, false},
	{"DESTROY of a page table", table, destroy_hwpt, false},
	{"DESTROY of a device", device_mapped, destroy_device, false},
	{"DESTROY of an IOAS", mapped, destroy_ioas, false},
	{"read of faults", faults_waiting, read_fault, false},
	{"write of answers", faults_read, write_fault, false},
	{"read of events", events_waiting, read_vevent, false},
	{"VFIO_IOMMU_MAP_DMA", compat, vfio_map, false},
	{"VFIO_IOMMU_UNMAP_DMA cutting", compat_v1, vfio_unmap_middle, true},
	{"VFIO_IOMMU_GET_INFO", compat, vfio_info, false},
	{"TEST ADD_RESERVED", plain, add_reserved, false},
	{"TEST MOCK_DOMAIN", mapped, mock_domain, false},
	{"TEST MOCK_DOMAIN_REPLACE", tracking, replace_ioas, false},
	{"TEST PASID_ATTACH", pasid_table, pasid_attach, false},
	{"TEST MD_CHECK_MAP", device_mapped, check_map, false},
	{"TEST MD_CHECK_REFS", device_mapped, check_refs, false},
	{"TEST CREATE_ACCESS", mapped, create_access, false},
	{"TEST ACCESS_PAGES", accessing, access_pages, false},
	{"TEST DESTROY_ACCESS_PAGES", pinned, access_unpin, false},
	{"TEST ACCESS_RW read", accessing, access_read, false},
	{"TEST ACCESS_RW write", accessing, access_write, false},
	{"TEST ACCESS_REPLACE_IOAS", pinned, access_replace, false},
	{"TEST DIRTY", tracking, mark_dirty, false},
	{"TEST TRIGGER_IOPF", faults, trigger_iopf, false},
	{"TEST TRIGGER_VEVENT", events, trigger_vevent, false},
	{"TEST SET_TEMP_MEMORY_LIMIT", nothing, memory_limit, false},
	{"TEST DMABUF_GET", nothing, dmabuf_get, false},
	{"TEST DMABUF_REVOKE", buffer, revoke, false},
};

/* What may come of it: no memory, no descriptor, no file, or memory of the client that cannot be reached. */
static bool is_expected(const char *failed, long rc)
{
	/* A descriptor that says nothing of itself is a bad one, or of no memory. */
	if ((rc == -EBADF || rc == -EINVAL) && (!strncmp(failed, "fstat", 5) || !strncmp(failed, "fcntl", 5)))
		return true;
	return rc == -ENOMEM || rc == -EFAULT || rc == -EMFILE || rc == -ENFILE || rc == -ENOSPC;
}

static bool differ(const struct outcome *a, const struct outcome *b)
{
	return a->rc != b->rc || memcmp(a->stored, b->stored, sizeof(a->stored)) != 0;
}

/* Returns whether something failed. */
static bool run(const struct sweep *sweep, unsigned n, const struct outcome *good)
{
	struct outcome out = {0};
	struct outcome again = {0};
	const char *failed;
	struct world w;

	world_new(&w);
	sweep->set_up(&w);
	fail_arm(n);
	sweep->call(&w, &out);
	failed = fail_disarm();
	if (failed && out.rc < 0 && out.rc != good->rc) {
		if (!is_expected(failed, out.rc))
			is_wrong("%s number %u failed: %s", failed, n, strerrorname_np((int)-out.rc));
		if (!(sweep->stays && out.rc == -EFAULT)) {
			sweep->call(&w, &again);
			if (differ(&again, good))
				is_wrong("%s number %u failed, then the call answered %ld, not %ld, or stored "
					 "something else",
					 failed, n, again.rc, good->rc);
		}
	} else if (out.rc != good->rc) {
		is_wrong("%s number %u failed: %ld, not %ld", failed ? failed : "nothing,", n, out.rc, good->rc);
	}
	world_free(&w);
	return failed;
}

static void sweep_one(const struct sweep *sweep)
{
	struct outcome good = {0};
	size_t blocks, descriptors, mappings;
	struct world w;
	unsigned n = 1;

	wrong_in = sweep->name;
	world_new(&w);
	sweep->set_up(&w);
	sweep->call(&w, &good);
	world_free(&w);
	if (good.rc < 0)
		is_wrong("the call answers %ld where nothing fails", good.rc);
	blocks = fail_live_blocks();
	descriptors = fail_open_descriptors();
	mappings = fail_mappings();
	while (run(sweep, n, &good)) {
		if (fail_live_blocks() != blocks || fail_open_descriptors() != descriptors)
			is_wrong("number %u failed: %zd blocks and %zd descriptors are left", n,
				 (ssize_t)(fail_live_blocks() - blocks),
				 (ssize_t)(fail_open_descriptors() - descriptors));
		blocks = fail_live_blocks();
		descriptors = fail_open_descriptors();
		n++;
	}
	if (fail_mappings() > mappings + 4) /* libc's own heaps may have grown */
		is_wrong("%zd mappings are left", (ssize_t)(fail_mappings() - mappings));
	printf("%s: %u\n", sweep->name, n - 1);
	swept += n - 1;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(*sweeps); i++)
		if (argc < 2 || !strcmp(argv[1], sweeps[i].name))
			sweep_one(&sweeps[i]);
	printf("%u failures in %zu calls, %u wrong\n", swept, sizeof(sweeps) / sizeof(*sweeps), wrong);
	return wrong || !swept;
}
