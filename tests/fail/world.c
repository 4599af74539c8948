/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "world.h"

#include "abi/ioasid.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static void must(long rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "set-up: %s: %s\n", what, strerror((int)-rc));
	exit(1);
}

long world_test(struct world *w, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return CALL(w, IOMMU_TEST_CMD, cmd);
}

void world_new(struct world *w)
{
	const int prot = PROT_READ | PROT_WRITE;
	void *shared;

	memset(w, 0, sizeof(*w));
	w->access = w->fault_fd = w->veventq_fd = w->dmabuf = -1;
	w->group = w->device = w->second_device = w->eventfd = w->ioasid = -1;
	w->memory = mmap(NULL, PAGES * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->memfd = memfd_create("memory", MFD_CLOEXEC);
	if (w->memory == MAP_FAILED || w->memfd < 0 || ftruncate(w->memfd, PAGES * PAGE)) {
		perror("memory");
		exit(1);
	}
	shared = mmap(w->memory + SHARED * PAGE, (PAGES - SHARED) * PAGE, prot, MAP_SHARED | MAP_FIXED, w->memfd, 0);
	if (shared == MAP_FAILED) {
		perror("shared memory");
		exit(1);
	}
	for (unsigned i = 0; i < PAGES; i++)
		memset(w->memory + i * PAGE, (int)i + 1, PAGE);
	way_begin(w);
	w->fd = (int)world_open(w, "/dev/iommu", O_RDWR);
	must(w->fd, "open");
}

void world_free(struct world *w)
{
	const int fds[] = {w->fault_fd,      w->veventq_fd, w->access, w->dmabuf, w->device,
			   w->second_device, w->group,      w->fd,     w->ioasid};

	if (w->region)
		munmap(w->region, 2 * PAGE);
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			world_close(w, fds[i]);
	if (w->eventfd >= 0)
		close(w->eventfd);
	way_end(w);
	munmap(w->memory, PAGES * PAGE);
	close(w->memfd);
}

void with_pasids(struct world *w)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {1, 100}};

	w->ioasid = (int)world_open(w, "/dev/ioasid", O_RDWR);
	must(w->ioasid, "/dev/ioasid");
	for (int i = 0; i < 2; i++)
		must(world_ioctl(w, w->ioasid, IOASID_REQUEST_ALLOC, &request), "IOASID_REQUEST_ALLOC");
}

void with_ioas(struct world *w)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	must(CALL(w, IOMMU_IOAS_ALLOC, &cmd), "IOAS_ALLOC");
	w->ioas = cmd.out_ioas_id;
}

void with_other_ioas(struct world *w)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	must(CALL(w, IOMMU_IOAS_ALLOC, &cmd), "IOAS_ALLOC");
	w->other_ioas = cmd.out_ioas_id;
}

void with_map(struct world *w)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = 7,
				     .ioas_id = w->ioas,
				     .user_va = (uintptr_t)w->memory,
				     .length = 2 * PAGE,
				     .iova = APERTURE};

	must(CALL(w, IOMMU_IOAS_MAP, &cmd), "IOAS_MAP");
}

void with_map_file(struct world *w)
{
	struct iommu_ioas_map_file cmd = {.size = sizeof(cmd),
					  .flags = 7,
					  .ioas_id = w->ioas,
					  .fd = w->memfd,
					  .length = 2 * PAGE,
					  .iova = APERTURE + 16 * PAGE};

	must(CALL(w, IOMMU_IOAS_MAP_FILE, &cmd), "IOAS_MAP_FILE");
}

void with_device(struct world *w)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
				     .id = w->ioas,
				     .mock_domain_flags = {.dev_flags = MOCK_FLAGS_DEVICE_PASID}};

	must(world_test(w, &cmd), "MOCK_DOMAIN_FLAGS");
	w->stdev = cmd.mock_domain_flags.out_stdev_id;
	w->idev = cmd.mock_domain_flags.out_idev_id;
	w->hwpt = cmd.mock_domain_flags.out_hwpt_id;
}

static uint32_t hwpt_alloc(struct world *w, uint32_t pt, uint32_t flags, uint32_t fault, int nested)
{
	struct iommu_hwpt_selftest data = {.iotlb = IOMMU_TEST_IOTLB_DEFAULT};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = w->idev, .pt_id = pt, .fault_id = fault};

	if (nested) {
		cmd.data_type = IOMMU_HWPT_DATA_SELFTEST;
		cmd.data_len = sizeof(data);
		cmd.data_uptr = (uintptr_t)&data;
	}
	must(CALL(w, IOMMU_HWPT_ALLOC, &cmd), "HWPT_ALLOC");
	return cmd.out_hwpt_id;
}

static void attach(struct world *w, uint32_t pt)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = w->stdev, .mock_domain_replace = {.pt_id = pt}};

	must(world_test(w, &cmd), "MOCK_DOMAIN_REPLACE");
}

void with_parent(struct world *w)
{
	w->hwpt = hwpt_alloc(w, w->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0, 0);
}

void with_viommu(struct world *w)
{
	struct iommu_viommu_selftest data = {.in_data = 1};
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd),
					 .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					 .dev_id = w->idev,
					 .hwpt_id = w->hwpt,
					 .data_len = sizeof(data),
					 .data_uptr = (uintptr_t)&data};

	must(CALL(w, IOMMU_VIOMMU_ALLOC, &cmd), "VIOMMU_ALLOC");
	w->viommu = cmd.out_viommu_id;
	w->region_offset = data.out_mmap_offset;
}

void with_region_mapped(struct world *w)
{
	must(world_map(w, w->fd, 2 * PAGE, w->region_offset, &w->region), "mmap of a region");
}

void with_vdevice(struct world *w)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = w->viommu, .dev_id = w->idev, .virt_id = 0x99};

	must(CALL(w, IOMMU_VDEVICE_ALLOC, &cmd), "VDEVICE_ALLOC");
	w->vdevice = cmd.out_vdevice_id;
}

void with_loose_nested(struct world *w)
{
	w->nested = hwpt_alloc(w, w->viommu, 0, 0, 1);
}

void with_nested(struct world *w)
{
	with_loose_nested(w);
	attach(w, w->nested);
}

void with_fault_queue(struct world *w)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};

	must(CALL(w, IOMMU_FAULT_QUEUE_ALLOC, &cmd), "FAULT_QUEUE_ALLOC");
	w->fault = cmd.out_fault_id;
	w->fault_fd = (int)cmd.out_fault_fd;
}

void with_fault_hwpt(struct world *w)
{
	w->hwpt = hwpt_alloc(w, w->ioas, IOMMU_HWPT_FAULT_ID_VALID, w->fault, 0);
	attach(w, w->hwpt);
}

void with_fault(struct world *w)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_TRIGGER_IOPF,
				     .trigger_iopf = {.dev_id = w->idev, .grpid = 1, .perm = 1, .addr = APERTURE}};

	must(world_test(w, &cmd), "TRIGGER_IOPF");
}

void with_fault_read(struct world *w)
{
	struct iommu_hwpt_pgfault fault;

	must(world_read(w, w->fault_fd, &fault, sizeof(fault)), "read of a fault");
}

void with_to_track(struct world *w)
{
	w->hwpt = hwpt_alloc(w, w->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0, 0);
	attach(w, w->hwpt);
}

void with_tracking(struct world *w)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {.size = sizeof(cmd), .flags = 1};

	with_to_track(w);
	cmd.hwpt_id = w->hwpt;
	must(CALL(w, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), "SET_DIRTY_TRACKING");
}

void with_dirt(struct world *w)
{
	static uint64_t bits = 2;
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DIRTY,
		.id = w->hwpt,
		.dirty = {.iova = APERTURE, .length = 2 * PAGE, .page_size = PAGE, .uptr = (uintptr_t)&bits}};

	must(world_test(w, &cmd), "DIRTY");
}

void with_event(struct world *w)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_TRIGGER_VEVENT, .trigger_vevent = {.dev_id = w->idev}};

	must(world_test(w, &cmd), "TRIGGER_VEVENT");
}

void with_compat(struct world *w)
{
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd), .ioas_id = w->ioas, .op = IOMMU_VFIO_IOAS_SET};

	must(CALL(w, IOMMU_VFIO_IOAS, &cmd), "VFIO_IOAS");
}

void with_version_1(struct world *w)
{
	struct vfio_iommu_type1_dma_map cmd = {.argsz = sizeof(cmd),
					       .flags = 3,
					       .vaddr = (uintptr_t)w->memory,
					       .iova = APERTURE + 32 * PAGE,
					       .size = 4 * PAGE};

	must(CALL(w, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU), "VFIO_SET_IOMMU");
	must(CALL(w, VFIO_IOMMU_MAP_DMA, &cmd), "VFIO_IOMMU_MAP_DMA");
}

void with_other_map(struct world *w)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = 7,
				     .ioas_id = w->other_ioas,
				     .user_va = (uintptr_t)w->memory,
				     .length = 2 * PAGE,
				     .iova = APERTURE};

	must(CALL(w, IOMMU_IOAS_MAP, &cmd), "IOAS_MAP");
}

void with_other_copy(struct world *w)
{
	struct iommu_ioas_copy cmd = {.size = sizeof(cmd),
				      .flags = 7,
				      .dst_ioas_id = w->other_ioas,
				      .src_ioas_id = w->ioas,
				      .length = 2 * PAGE,
				      .dst_iova = APERTURE,
				      .src_iova = APERTURE};

	must(CALL(w, IOMMU_IOAS_COPY, &cmd), "IOAS_COPY");
}

void with_pasid_hwpt(struct world *w)
{
	w->hwpt = hwpt_alloc(w, w->ioas, IOMMU_HWPT_ALLOC_PASID, 0, 0);
	attach(w, w->hwpt);
}

void with_other_hwpt(struct world *w)
{
	w->other_hwpt = hwpt_alloc(w, w->ioas, IOMMU_HWPT_ALLOC_PASID, 0, 0);
}

void with_pasid(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_PASID_ATTACH, .id = w->stdev, .pasid_attach = {.pasid = 7, .pt_id = w->hwpt}};

	must(world_test(w, &cmd), "PASID_ATTACH");
}

void with_access(struct world *w)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_CREATE_ACCESS,
				     .id = w->ioas,
				     .create_access = {.flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES}};

	must(world_test(w, &cmd), "CREATE_ACCESS");
	w->access = (int)cmd.create_access.out_access_fd;
}

void with_pin(struct world *w)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_ACCESS_PAGES,
				     .id = (uint32_t)w->access,
				     .access_pages = {.iova = APERTURE, .length = PAGE, .uptr = (uintptr_t)w->memory}};

	must(world_test(w, &cmd), "ACCESS_PAGES");
	w->pin = cmd.access_pages.out_access_pages_id;
}

void with_veventq(struct world *w)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = w->viommu, .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 2};

	must(CALL(w, IOMMU_VEVENTQ_ALLOC, &cmd), "VEVENTQ_ALLOC");
	w->veventq = cmd.out_veventq_id;
	w->veventq_fd = (int)cmd.out_veventq_fd;
}

void with_hw_queue(struct world *w)
{
	struct iommu_hw_queue_alloc cmd = {.size = sizeof(cmd),
					   .viommu_id = w->viommu,
					   .type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
					   .nesting_parent_iova = APERTURE,
					   .length = PAGE};

	must(CALL(w, IOMMU_HW_QUEUE_ALLOC, &cmd), "HW_QUEUE_ALLOC");
	w->hw_queue = cmd.out_hw_queue_id;
}

void with_dmabuf(struct world *w)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_DMABUF_GET,
				     .dmabuf_get = {.length = 2 * PAGE, .open_flags = O_RDWR}};

	w->dmabuf = (int)world_test(w, &cmd);
	must(w->dmabuf, "DMABUF_GET");
}

void with_dmabuf_map(struct world *w)
{
	struct iommu_ioas_map_file cmd = {.size = sizeof(cmd),
					  .flags = 7,
					  .ioas_id = w->ioas,
					  .fd = w->dmabuf,
					  .length = 2 * PAGE,
					  .iova = APERTURE + 24 * PAGE};

	must(CALL(w, IOMMU_IOAS_MAP_FILE, &cmd), "IOAS_MAP_FILE of a dma-buf");
}

void with_group(struct world *w)
{
	w->group = (int)world_open(w, "/dev/vfio/1", O_RDWR);
	must(w->group, "open of a group");
}

void with_container(struct world *w)
{
	must(world_ioctl(w, w->group, VFIO_GROUP_SET_CONTAINER, &w->fd), "GROUP_SET_CONTAINER");
}

void with_group_device(struct world *w)
{
	char name[] = "0000:01:00.0";

	w->device = (int)world_ioctl(w, w->group, VFIO_GROUP_GET_DEVICE_FD, name);
	must(w->device, "GROUP_GET_DEVICE_FD");
}

void with_sharing_group(struct world *w)
{
	w->group = (int)world_open(w, "/dev/vfio/2", O_RDWR);
	must(w->group, "open of a group");
}

void with_sharing_container(struct world *w)
{
	with_container(w);
	must(CALL(w, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), "VFIO_SET_IOMMU");
}

void with_sharing_device(struct world *w)
{
	char name[] = "0000:02:00.0";

	w->device = (int)world_ioctl(w, w->group, VFIO_GROUP_GET_DEVICE_FD, name);
	must(w->device, "GROUP_GET_DEVICE_FD");
}

void with_bond(struct world *w)
{
	struct {
		struct vfio_iommu_type1_bind bind;
		struct vfio_iommu_type1_bind_process process;
	} cmd = {.bind = {.argsz = sizeof(cmd), .mode = VFIO_IOMMU_BIND_PROCESS}};

	must(CALL(w, VFIO_IOMMU_BIND, &cmd), "VFIO_IOMMU_BIND");
}

void with_registers(struct world *w)
{
	must(world_map(w, w->device, 2 * PAGE, 0, &w->region), "mmap of a device");
}

void with_cdev(struct world *w)
{
	w->device = (int)world_open(w, "/dev/vfio/devices/vfio0", O_RDWR);
	must(w->device, "open of a device");
}

void with_cdev_bound(struct world *w)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd), .iommufd = w->fd};

	must(world_ioctl(w, w->device, VFIO_DEVICE_BIND_IOMMUFD, &cmd), "DEVICE_BIND_IOMMUFD");
}

void with_cdev_attached(struct world *w)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd), .pt_id = w->ioas};

	must(world_ioctl(w, w->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd), "DEVICE_ATTACH_IOMMUFD_PT");
}

void with_eventfd(struct world *w)
{
	w->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(w->eventfd, "eventfd");
}
