/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device with two I/O address spaces of one process. Each has a PASID that /dev/ioasid gave out, and different memory
 * at the same addresses; each queue of the device works in one of them. A third PASID, which leads nowhere, shows what
 * a wrong one does.
 *
 *	cc -I include examples/pasid/two_spaces.c examples/dmax/driver.c -o two_spaces
 *	iommuse run --device dmax -- ./two_spaces
 */
#define _GNU_SOURCE
#include "../dmax/driver.h"

#include <abi/ioasid.h>
#include <abi/iommufd.h>
#include <abi/vfio.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define SPACES    2
#define RING      8
#define PASID_MAX 0xfffff

/* What an address space has at IOVA. */
#define IOVA 0x100000UL

struct space {
	struct dmax_descriptor ring[RING];
	struct dmax_record record;
	char text[64], result[64];
};

#define IOVA_OF(member) (IOVA + offsetof(struct space, member))
#define SPACE_BYTES     4096

static int ioasid, iommufd, device;
static uint32_t device_id;
static struct dmax dmax;

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "two_spaces: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

static int call(int fd, unsigned long cmd, void *arg, const char *what)
{
	int rc = ioctl(fd, cmd, arg);

	if (rc < 0)
		fail(what, errno);
	return rc;
}

static int open_node(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(path, errno);
	return fd;
}

static uint32_t allocate_pasid(void)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {.min = 1, .max = PASID_MAX}};

	return (uint32_t)call(ioasid, IOASID_REQUEST_ALLOC, &request, "IOASID_REQUEST_ALLOC");
}

static void free_pasid(uint32_t pasid)
{
	int id = (int)pasid;

	call(ioasid, IOASID_REQUEST_FREE, &id, "IOASID_REQUEST_FREE");
}

static void open_device(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};

	ioasid = open_node("/dev/ioasid");
	iommufd = open_node("/dev/iommu");
	device = open_node("/dev/vfio/devices/vfio0");
	bind.iommufd = iommufd;
	call(device, VFIO_DEVICE_BIND_IOMMUFD, &bind, "VFIO_DEVICE_BIND_IOMMUFD");
	device_id = bind.out_devid;
}

/* Makes an address space with memory at IOVA. Returns its page table, which PASIDs can be attached to. */
static uint32_t make_space(struct space **memory)
{
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct iommu_ioas_map map = {.size = sizeof(map)};
	struct iommu_hwpt_alloc table = {.size = sizeof(table)};

	*memory = mmap(NULL, SPACE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (*memory == MAP_FAILED)
		fail("mmap", errno);
	call(iommufd, IOMMU_IOAS_ALLOC, &ioas, "IOMMU_IOAS_ALLOC");
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	map.ioas_id = ioas.out_ioas_id;
	map.user_va = (uintptr_t)*memory;
	map.length = SPACE_BYTES;
	map.iova = IOVA;
	call(iommufd, IOMMU_IOAS_MAP, &map, "IOMMU_IOAS_MAP");
	table.flags = IOMMU_HWPT_ALLOC_PASID;
	table.dev_id = device_id;
	table.pt_id = ioas.out_ioas_id;
	call(iommufd, IOMMU_HWPT_ALLOC, &table, "IOMMU_HWPT_ALLOC");
	return table.out_hwpt_id;
}

/* pasid 0: what the device does without a PASID. */
static void attach(uint32_t table, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0, .pt_id = table, .pasid = pasid};

	call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

static void detach(uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = pasid};

	call(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach, "VFIO_DEVICE_DETACH_IOMMUFD_PT");
}

/* Has queue n copy the text of its address space. Returns 0 or -errno. */
static int copy(unsigned n, uint32_t pasid, struct space *space)
{
	const struct dmax_descriptor descriptor = {.operation = DMAX_COPY,
						   .flags = DMAX_FLAG_RECORD,
						   .length = sizeof(space->text),
						   .record = IOVA_OF(record),
						   .source = IOVA_OF(text),
						   .destination = IOVA_OF(result)};
	struct dmax_queue queue;
	int rc = dmax_queue_start(&queue, &dmax, n, pasid, space->ring, IOVA_OF(ring), RING);

	if (rc)
		fail("starting a queue", -rc);
	rc = dmax_submit(&queue, &descriptor, &space->record);
	if (!rc)
		rc = dmax_wait(&queue, &space->record);
	if (rc == -EIO)
		printf("queue %u, PASID %u: halted, %s\n", n, pasid,
		       dmax_queue_error(&queue) == DMAX_ERROR_RING ? "its ring cannot be read" : "with another error");
	else if (!rc && space->record.status != DMAX_SUCCESS)
		rc = -EFAULT;
	dmax_queue_stop(&queue);
	return rc;
}

int main(void)
{
	struct space *space[SPACES];
	uint32_t table[SPACES], pasid[SPACES], nowhere;
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	open_device();
	for (unsigned i = 0; i < SPACES; i++) {
		table[i] = make_space(&space[i]);
		pasid[i] = allocate_pasid();
	}
	nowhere = allocate_pasid();
	/* The device itself needs no page table here. If it has one, it has to be one for PASIDs as well. */
	attach(table[0], 0);
	for (unsigned i = 0; i < SPACES; i++)
		attach(table[i], pasid[i]);
	rc = dmax_open(&dmax, device);
	if (rc)
		fail("the device", -rc);

	for (unsigned i = 0; i < SPACES; i++) {
		snprintf(space[i]->text, sizeof(space[i]->text), "this is address space %u", i);
		rc = copy(i, pasid[i], space[i]);
		if (rc)
			fail("copying", -rc);
		printf("queue %u, PASID %u: %#lx holds \"%s\"\n", i, pasid[i], IOVA_OF(result), space[i]->result);
	}
	if (copy(SPACES, nowhere, space[0]) != -EIO) {
		fprintf(stderr, "two_spaces: PASID %u leads somewhere\n", nowhere);
		return EXIT_FAILURE;
	}

	dmax_close(&dmax);
	for (unsigned i = 0; i < SPACES; i++) {
		detach(pasid[i]);
		free_pasid(pasid[i]);
	}
	free_pasid(nowhere);
	return EXIT_SUCCESS;
}
