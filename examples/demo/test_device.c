/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tour of iommufd with the kernel's test device, as a kernel with CONFIG_IOMMUFD_TEST or "iommuse run --selftest" has
 * it: a device with a page table, reads and writes by I/O address, a dirty bitmap, a page fault and its answer.
 *
 *	cc -I include examples/demo/test_device.c -o test_device
 *
 * The headers in include/abi have the names and numbers of the kernel's. A real device differs in two places only: it
 * is attached by VFIO, and does DMA by itself.
 */
#include <abi/iommufd_test.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE   4096
#define LENGTH (UINT64_C(16) * PAGE)
#define IOVA   UINT64_C(0x2000000) /* the test device's page tables reach from 16 MiB to 2 GiB */

static int iommufd;

/* Each step needs the one before, so the first that fails ends the program. */
static void call(unsigned long cmd, void *arg, const char *what)
{
	if (ioctl(iommufd, cmd, arg) == 0)
		return;
	printf("test_device: %s: %s%s\n", what, strerror(errno), errno == ENOTTY ? ": there is no test device" : "");
	exit(EXIT_FAILURE);
}

static void test(struct iommu_test_cmd *cmd, const char *what)
{
	cmd->size = sizeof(*cmd);
	call(IOMMU_TEST_CMD, cmd, what);
}

static void expect(int truth, const char *what)
{
	printf("test_device: %s: %s\n", what, truth ? "yes" : "NO");
	if (!truth)
		exit(EXIT_FAILURE);
}

static uint32_t make_ioas(void *memory)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_ioas_map map = {.size = sizeof(map), .length = LENGTH, .iova = IOVA};

	call(IOMMU_IOAS_ALLOC, &alloc, "IOMMU_IOAS_ALLOC");
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	map.ioas_id = alloc.out_ioas_id;
	map.user_va = (uintptr_t)memory;
	call(IOMMU_IOAS_MAP, &map, "IOMMU_IOAS_MAP");
	printf("test_device: 64 KiB of memory are at I/O address 0x2000000 of address space %u\n", alloc.out_ioas_id);
	return alloc.out_ioas_id;
}

/* Returns the test's own object; *device is the device's id. */
static uint32_t make_device(uint32_t ioas, uint32_t *device)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas};

	test(&cmd, "IOMMU_TEST_OP_MOCK_DOMAIN");
	*device = cmd.mock_domain.out_idev_id;
	printf("test_device: device %u is attached; iommufd made page table %u for it\n", *device,
	       cmd.mock_domain.out_hwpt_id);
	return cmd.mock_domain.out_stdev_id;
}

/* A page table that remembers what was written, and whose page faults go to a queue; then the device is moved to it. */
static uint32_t make_page_table(uint32_t ioas, uint32_t object, uint32_t device, int *queue)
{
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt), .dev_id = device, .pt_id = ioas};
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = object};

	call(IOMMU_FAULT_QUEUE_ALLOC, &fault, "IOMMU_FAULT_QUEUE_ALLOC");
	*queue = (int)fault.out_fault_fd;
	hwpt.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_FAULT_ID_VALID;
	hwpt.fault_id = fault.out_fault_id;
	call(IOMMU_HWPT_ALLOC, &hwpt, "IOMMU_HWPT_ALLOC");
	cmd.mock_domain_replace.pt_id = hwpt.out_hwpt_id;
	test(&cmd, "IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE");
	printf("test_device: page table %u, with dirty tracking and a fault queue, took its place\n", hwpt.out_hwpt_id);
	return hwpt.out_hwpt_id;
}

/* The test device compares, page by page. */
static void check_page_table(uint32_t hwpt, void *memory)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_MD_CHECK_MAP, .id = hwpt};

	cmd.check_map.iova = IOVA;
	cmd.check_map.length = LENGTH;
	cmd.check_map.uptr = (uintptr_t)memory;
	test(&cmd, "IOMMU_TEST_OP_MD_CHECK_MAP");
	printf("test_device: it leads to the same memory\n");
}

static void dma(uint32_t access, uint32_t flags, void *buffer, size_t length)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_ACCESS_RW, .id = access};

	cmd.access_rw.iova = IOVA + PAGE - 8; /* across the border of two pages */
	cmd.access_rw.length = length;
	cmd.access_rw.uptr = (uintptr_t)buffer;
	cmd.access_rw.flags = flags;
	test(&cmd, "IOMMU_TEST_OP_ACCESS_RW");
}

/* By an access, which is how a driver in the kernel reads and writes by I/O address. */
static void show_dma(uint32_t ioas, const char *memory)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_CREATE_ACCESS, .id = ioas};
	char text[] = "written by I/O address", back[sizeof(text)];

	test(&cmd, "IOMMU_TEST_OP_CREATE_ACCESS");
	dma(cmd.create_access.out_access_fd, MOCK_ACCESS_RW_WRITE, text, sizeof(text));
	expect(!strcmp(memory + PAGE - 8, text), "what was written by I/O address is in the memory");
	dma(cmd.create_access.out_access_fd, 0, back, sizeof(back));
	expect(!strcmp(back, text), "reading by I/O address finds it");
	close((int)cmd.create_access.out_access_fd);
}

/* The test device does not write by itself: an op says which pages it would have written. */
static void show_dirty(uint32_t hwpt)
{
	const uint64_t written = 1 << 0 | 1 << 5 | 1 << 10;
	struct iommu_hwpt_set_dirty_tracking set = {.size = sizeof(set), .hwpt_id = hwpt};
	struct iommu_hwpt_get_dirty_bitmap get = {.size = sizeof(get), .hwpt_id = hwpt, .iova = IOVA};
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_DIRTY, .id = hwpt};
	uint64_t bitmap = 0;

	set.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	call(IOMMU_HWPT_SET_DIRTY_TRACKING, &set, "IOMMU_HWPT_SET_DIRTY_TRACKING");
	cmd.dirty.iova = IOVA;
	cmd.dirty.length = get.length = LENGTH;
	cmd.dirty.page_size = get.page_size = PAGE;
	cmd.dirty.uptr = (uintptr_t)&written;
	get.data = (uintptr_t)&bitmap;
	test(&cmd, "IOMMU_TEST_OP_DIRTY");
	call(IOMMU_HWPT_GET_DIRTY_BITMAP, &get, "IOMMU_HWPT_GET_DIRTY_BITMAP");
	printf("test_device: the device wrote to pages 0, 5 and 10: the dirty bitmap is %#x\n", (unsigned)bitmap);
	expect(bitmap == written, "these are the bits of those pages");
	bitmap = 0; /* bits are set in it, never cleared */
	call(IOMMU_HWPT_GET_DIRTY_BITMAP, &get, "IOMMU_HWPT_GET_DIRTY_BITMAP");
	expect(bitmap == 0, "having been read, they are clear");
}

static void show_fault(int queue, uint32_t device)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_TRIGGER_IOPF};
	struct iommu_hwpt_page_response answer = {.code = IOMMUFD_PAGE_RESP_SUCCESS};
	struct iommu_hwpt_pgfault fault;

	cmd.trigger_iopf.dev_id = device;
	cmd.trigger_iopf.perm = IOMMU_PGFAULT_PERM_WRITE;
	cmd.trigger_iopf.addr = IOVA + LENGTH;
	test(&cmd, "IOMMU_TEST_OP_TRIGGER_IOPF");
	expect(read(queue, &fault, sizeof(fault)) == sizeof(fault), "a page fault is in the queue");
	printf("test_device: device %u wants to write to %#llx, where nothing is\n", fault.dev_id,
	       (unsigned long long)fault.addr);
	answer.cookie = fault.cookie;
	expect(write(queue, &answer, sizeof(answer)) == sizeof(answer), "the queue takes the answer");
}

int main(void)
{
	char *memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .iova = IOVA, .length = LENGTH};
	uint32_t object, device, hwpt;
	int queue;

	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0 || memory == MAP_FAILED) {
		printf("test_device: %s: %s\n", memory == MAP_FAILED ? "mmap" : "/dev/iommu", strerror(errno));
		return EXIT_FAILURE;
	}
	unmap.ioas_id = make_ioas(memory);
	object = make_device(unmap.ioas_id, &device);
	hwpt = make_page_table(unmap.ioas_id, object, device, &queue);
	check_page_table(hwpt, memory);
	show_dma(unmap.ioas_id, memory);
	show_dirty(hwpt);
	show_fault(queue, device);
	call(IOMMU_IOAS_UNMAP, &unmap, "IOMMU_IOAS_UNMAP");
	printf("test_device: unmapped %llu bytes\n", (unsigned long long)unmap.length);
	return EXIT_SUCCESS; /* what is left goes with the descriptors */
}
