/* SPDX-License-Identifier: BSD-3-Clause */
/* What the library adds to the system: its options, its descriptors, and how it reaches its caller's memory and files.
 */
#include "iommuse/iommuse.h"

#include "abi/ioasid.h"
#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct iommuse *new_system(uint32_t client, uint64_t capabilities)
{
	struct iommuse_options options = {
		.struct_size = sizeof(options), .client = client, .capabilities = capabilities};
	struct iommuse *system = NULL;

	CHECK_EQ(iommuse_new(&options, &system), 0);
	return system;
}

static int call(struct iommuse *system, int fd, unsigned long cmd, void *arg)
{
	return iommuse_ioctl(system, fd, cmd, (uintptr_t)arg);
}

static uint32_t ioas_alloc(struct iommuse *system, int fd)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	CHECK_EQ(call(system, fd, IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

static int lowest_free_descriptor(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void options_of_other_versions_are_understood_or_refused(void)
{
	struct {
		struct iommuse_options options;
		uint64_t more;
	} newer = {.options = {.struct_size = sizeof(newer)}};
	struct iommuse *system;

	CHECK_EQ(iommuse_new(NULL, &system), 0);
	iommuse_free(system);
	CHECK_EQ(iommuse_new(&newer.options, &system), 0);
	iommuse_free(system);
	newer.more = 1;
	CHECK_EQ(iommuse_new(&newer.options, &system), -EINVAL);
	newer.options.struct_size = offsetof(struct iommuse_options, selftest);
	CHECK_EQ(iommuse_new(&newer.options, &system), 0);
	iommuse_free(system);
	newer.options.client = 2;
	CHECK_EQ(iommuse_new(&newer.options, &system), -EINVAL);
	newer.options.struct_size = 4;
	CHECK_EQ(iommuse_new(&newer.options, &system), -EINVAL);
}

static void a_descriptor_is_a_number_that_nothing_else_has(void)
{
	struct iommuse *system = new_system(IOMMUSE_CLIENT_CHECKED, 0);
	int lowest = lowest_free_descriptor();
	int fd = iommuse_open(system, "/dev/iommu", O_RDWR);
	int other = iommuse_open(system, "/dev/vfio/vfio", O_RDWR);
	char byte;

	CHECK_EQ(fd, lowest);
	CHECK(other > fd);
	CHECK(iommuse_owns(system, fd) && iommuse_owns(system, other));
	CHECK(!iommuse_owns(system, 0) && !iommuse_owns(system, -1) && !iommuse_owns(system, 1 << 30));
	CHECK(lowest_free_descriptor() > other);
	CHECK(read(fd, &byte, 1) < 0 && errno == EBADF); /* it is no file of the process's */
	CHECK_EQ(iommuse_close(system, fd), 0);
	CHECK_EQ(iommuse_close(system, fd), -EBADF);
	CHECK_EQ(iommuse_ioctl(system, fd, IOMMU_DESTROY, 0), -EBADF);
	CHECK_EQ(lowest_free_descriptor(), lowest);
	CHECK_EQ(iommuse_open(system, "/dev/iommuse", O_RDWR), -ENOENT);
	CHECK_EQ(iommuse_open(system, "", O_RDWR), -ENOENT);
	CHECK_EQ(lowest_free_descriptor(), lowest);
	CHECK_EQ(ioas_alloc(system, other), 1);
	iommuse_free(system); /* closes the other one */
	CHECK_EQ(lowest_free_descriptor(), lowest - 1);
}

static void each_open_is_an_iommufd_of_its_own(void)
{
	struct iommuse *system = new_system(IOMMUSE_CLIENT_CHECKED, 0);
	int one = iommuse_open(system, "/dev/iommu", O_RDONLY);
	int two = iommuse_open(system, "/dev/iommu", O_WRONLY);

	CHECK_EQ(ioas_alloc(system, one), 1);
	CHECK_EQ(ioas_alloc(system, one), 2);
	CHECK_EQ(ioas_alloc(system, two), 1);
	iommuse_free(system);
}

static void a_checked_client_may_pass_bad_pointers(void)
{
	struct iommuse *system = new_system(IOMMUSE_CLIENT_CHECKED, 0);
	int fd = iommuse_open(system, "/dev/iommu", O_RDWR);
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_ioas_alloc *cmd = (struct iommu_ioas_alloc *)(pages + 4096 - sizeof(*cmd));

	munmap(pages + 4096, 4096);
	CHECK_EQ(call(system, fd, IOMMU_IOAS_ALLOC, NULL), -EFAULT);
	CHECK_EQ(iommuse_ioctl(system, fd, IOMMU_IOAS_ALLOC, UINTPTR_MAX), -EFAULT);
	CHECK_EQ(call(system, fd, IOMMU_IOAS_ALLOC, pages + 4096), -EFAULT);
	cmd->size = sizeof(*cmd);
	CHECK_EQ(call(system, fd, IOMMU_IOAS_ALLOC, cmd), 0); /* up to the end of what is there */
	CHECK_EQ(cmd->out_ioas_id, 1);
	cmd->size = sizeof(*cmd) + 8;
	CHECK_EQ(call(system, fd, IOMMU_IOAS_ALLOC, cmd), -EFAULT);
	cmd->size = sizeof(*cmd);
	mprotect(pages, 4096, PROT_READ);
	CHECK_EQ(call(system, fd, IOMMU_IOAS_ALLOC, cmd), -EFAULT);
	munmap(pages, 4096);
	CHECK_EQ(ioas_alloc(system, fd), 2);
	iommuse_free(system);
}

static int set_rlimit_mode(struct iommuse *system)
{
	struct iommu_option cmd = {.size = sizeof(cmd), .op = IOMMU_OPTION_OP_SET, .val64 = 1};
	int fd = iommuse_open(system, "/dev/iommu", O_RDWR);
	int rc = call(system, fd, IOMMU_OPTION, &cmd);

	iommuse_free(system);
	return rc;
}

static void capabilities_are_those_that_are_given(void)
{
	CHECK_EQ(set_rlimit_mode(new_system(IOMMUSE_CLIENT_CHECKED, 0)), -EPERM);
	CHECK_EQ(set_rlimit_mode(new_system(IOMMUSE_CLIENT_CHECKED, ~(UINT64_C(1) << CAP_SYS_RESOURCE))), -EPERM);
	CHECK_EQ(set_rlimit_mode(new_system(IOMMUSE_CLIENT_CHECKED, UINT64_C(1) << CAP_SYS_RESOURCE)), 0);
}

static int map_file(struct iommuse *system, int fd, int file, uint64_t iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd), .flags = 7, .ioas_id = 1, .fd = file, .length = 0x1000, .iova = iova};

	return call(system, fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

static void a_file_costs_one_descriptor_however_often_it_is_mapped(void)
{
	struct iommuse *system = new_system(IOMMUSE_CLIENT_TRUSTED, 0);
	int fd = iommuse_open(system, "/dev/iommu", O_RDWR);
	int memory = memfd_create("test", MFD_CLOEXEC);
	int path = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int lowest = lowest_free_descriptor();

	CHECK_EQ(ioas_alloc(system, fd), 1);
	for (uint64_t i = 0; i < 100; i++)
		CHECK_EQ(map_file(system, fd, memory, i << 12), 0);
	CHECK(lowest_free_descriptor() <= lowest + 1);
	CHECK_EQ(map_file(system, fd, -1, 0x200000), -EBADF);
	CHECK_EQ(map_file(system, fd, lowest + 10, 0x200000), -EBADF);
	CHECK_EQ(map_file(system, fd, path, 0x200000), -EBADF);
	CHECK_EQ(map_file(system, fd, memory, 0), -EEXIST);
	CHECK_EQ(map_file(system, fd, fd, 0x200000),
		 0); /* a file that is no memory: found out when it is to be pinned */
	close(memory);
	iommuse_close(system, fd);
	CHECK_EQ(lowest_free_descriptor(), fd);
	close(path);
	iommuse_free(system);
}

static void only_queues_can_be_read(void)
{
	struct iommuse *system = new_system(IOMMUSE_CLIENT_CHECKED, 0);
	int fd = iommuse_open(system, "/dev/iommu", O_RDWR);
	int blind = iommuse_open(system, "/dev/iommu", O_WRONLY);
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	char buf[80];
	int queue;

	CHECK_EQ(iommuse_read(system, fd, buf, 8), -EINVAL);
	CHECK_EQ(iommuse_write(system, fd, buf, 8), -EINVAL);
	CHECK_EQ(iommuse_read(system, blind, buf, 8), -EBADF);
	CHECK_EQ(iommuse_poll(system, fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
	CHECK_EQ(call(system, fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd), 0);
	queue = (int)cmd.out_fault_fd;
	CHECK(iommuse_owns(system, queue));
	CHECK_EQ(iommuse_read(system, queue, buf, 80), 0);
	CHECK_EQ(iommuse_read(system, queue, buf, 8), -ESPIPE);
	CHECK_EQ(iommuse_pread(system, queue, buf, 40, 0), -ESPIPE);
	CHECK_EQ(iommuse_pread(system, queue, buf, 40, -1), -EINVAL);
	CHECK_EQ(iommuse_pwrite(system, queue, buf, 8, 0), -ESPIPE);
	CHECK_EQ(iommuse_pread(system, fd, buf, 40, 0), -EINVAL);
	CHECK_EQ(iommuse_write(system, queue, NULL, 8), -EFAULT);
	CHECK_EQ(iommuse_ioctl(system, queue, IOMMU_DESTROY, 0), -ENOTTY);
	CHECK_EQ(iommuse_poll(system, queue, POLLIN | POLLOUT), POLLOUT);
	CHECK_EQ(iommuse_close(system, fd), 0);
	CHECK_EQ(iommuse_poll(system, queue, POLLIN | POLLOUT), POLLOUT); /* the queue outlives the descriptor */
	iommuse_free(system);
}

static void nothing_can_be_mapped_yet_and_wrong_requests_are_told_apart(void)
{
	struct iommuse *system = new_system(IOMMUSE_CLIENT_CHECKED, 0);
	int fd = iommuse_open(system, "/dev/iommu", O_RDWR);
	int read_only = iommuse_open(system, "/dev/iommu", O_RDONLY);
	void *address;

	CHECK_EQ(iommuse_mmap(system, fd, 4096, PROT_READ, MAP_SHARED, 0, &address), -ENXIO);
	CHECK(address == MAP_FAILED);
	CHECK_EQ(iommuse_mmap(system, fd, 1, PROT_READ | PROT_WRITE, MAP_SHARED, 4096, &address), -ENXIO);
	CHECK_EQ(iommuse_mmap(system, fd, 0, PROT_READ, MAP_SHARED, 0, &address), -EINVAL);
	CHECK_EQ(iommuse_mmap(system, fd, 4096, PROT_READ, MAP_SHARED, 100, &address), -EINVAL);
	CHECK_EQ(iommuse_mmap(system, fd, 4096, PROT_READ, MAP_PRIVATE, 0, &address), -EINVAL);
	CHECK_EQ(iommuse_mmap(system, fd, 4096, PROT_EXEC, MAP_SHARED, 0, &address), -EPERM);
	CHECK_EQ(iommuse_mmap(system, read_only, 4096, PROT_WRITE, MAP_SHARED, 0, &address), -EACCES);
	CHECK_EQ(iommuse_mmap(system, read_only, 4096, PROT_READ, MAP_SHARED, 0, &address), -ENXIO);
	CHECK_EQ(iommuse_mmap(system, fd, SIZE_MAX, PROT_READ, MAP_SHARED, 0, &address), -ENOMEM);
	CHECK_EQ(iommuse_mmap(system, -1, 4096, PROT_READ, MAP_SHARED, 0, &address), -EBADF);
	iommuse_free(system);
}

static uint32_t mock_device(struct iommuse *system, int fd, uint32_t ioas)
{
	struct iommu_test_cmd cmd = {
		.size = offsetof(struct iommu_test_cmd, last) + 4, .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas};

	CHECK_EQ(call(system, fd, IOMMU_TEST_CMD, &cmd), 0);
	return cmd.mock_domain.out_idev_id;
}

/* A virtual IOMMU with a part of the file that can be mapped. */
static uint32_t mock_viommu(struct iommuse *system, int fd, struct iommu_viommu_selftest *data)
{
	uint32_t ioas = ioas_alloc(system, fd);
	uint32_t idev = mock_device(system, fd, ioas);
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .flags = IOMMU_HWPT_ALLOC_NEST_PARENT, .dev_id = idev, .pt_id = ioas};
	struct iommu_viommu_alloc viommu = {.size = sizeof(viommu),
					    .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					    .dev_id = idev,
					    .data_len = sizeof(*data),
					    .data_uptr = (uintptr_t)data};

	CHECK_EQ(call(system, fd, IOMMU_HWPT_ALLOC, &hwpt), 0);
	viommu.hwpt_id = hwpt.out_hwpt_id;
	CHECK_EQ(call(system, fd, IOMMU_VIOMMU_ALLOC, &viommu), 0);
	return viommu.out_viommu_id;
}

static void what_is_mapped_keeps_its_owner(void)
{
	struct iommuse_options options = {.struct_size = sizeof(options), .selftest = 1};
	struct iommu_viommu_selftest data = {.in_data = 0x1234};
	struct iommuse *system = NULL;
	struct iommu_destroy destroy = {.size = sizeof(destroy)};
	const int shared = PROT_READ | PROT_WRITE;
	void *one, *other;
	int fd;

	CHECK_EQ(iommuse_new(&options, &system), 0);
	fd = iommuse_open(system, "/dev/iommu", O_RDWR);
	destroy.id = mock_viommu(system, fd, &data);
	CHECK_EQ(iommuse_mmap(system, fd, 4096, shared, MAP_SHARED, (off_t)data.out_mmap_offset, &one), -ENXIO);
	CHECK_EQ(iommuse_mmap(system, fd, 8192, shared, MAP_SHARED, (off_t)data.out_mmap_offset, &one), 0);
	CHECK_EQ(iommuse_mmap(system, fd, 8192, PROT_READ, MAP_SHARED, (off_t)data.out_mmap_offset, &other), 0);
	CHECK_EQ(*(uint32_t *)one, 0x1234);
	((uint32_t *)one)[2047] = 5;
	CHECK_EQ(((uint32_t *)other)[2047], 5);
	CHECK_EQ(call(system, fd, IOMMU_DESTROY, &destroy), -EBUSY);
	munmap(one, 8192);
	CHECK_EQ(call(system, fd, IOMMU_DESTROY, &destroy), -EBUSY);
	munmap(other, 4096);
	CHECK_EQ(call(system, fd, IOMMU_DESTROY, &destroy), -EBUSY);
	munmap((char *)other + 4096, 4096);
	CHECK_EQ(call(system, fd, IOMMU_DESTROY, &destroy), 0);
	CHECK_EQ(iommuse_mmap(system, fd, 8192, shared, MAP_SHARED, (off_t)data.out_mmap_offset, &one), -ENXIO);
	iommuse_free(system);
}

static void pasids_are_as_many_as_were_asked_for(void)
{
	char why[128] = "before";
	struct iommuse_options options = {.struct_size = sizeof(options),
					  .pasid_bits = 21,
					  .pasid_quota = 2,
					  .why = why,
					  .why_size = sizeof(why)};
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {1, INT_MAX}};
	struct iommuse *system = NULL;
	int fd;

	CHECK_EQ(iommuse_new(&options, &system), -EINVAL);
	CHECK(!strcmp(why, "PASIDs have 1 to 20 bits, not 21"));
	options.pasid_bits = 3;
	CHECK_EQ(iommuse_new(&options, &system), 0);
	CHECK_EQ(why[0], 0);
	fd = iommuse_open(system, "/dev/ioasid", O_RDWR);
	CHECK_EQ(iommuse_open(system, "/dev/ioasid", O_RDWR), -EBUSY);
	CHECK_EQ(call(system, fd, IOASID_REQUEST_ALLOC, &request), 1);
	request.range.min = 7;
	CHECK_EQ(call(system, fd, IOASID_REQUEST_ALLOC, &request), 7);
	CHECK_EQ(call(system, fd, IOASID_REQUEST_ALLOC, &request), -EAGAIN);
	CHECK_EQ(call(system, fd, IOASID_REQUEST_FREE, &(int){1}), 0);
	CHECK_EQ(call(system, fd, IOASID_REQUEST_ALLOC, &request), -ENOSPC);
	CHECK_EQ(iommuse_close(system, fd), 0);
	fd = iommuse_open(system, "/dev/ioasid", O_RDWR);
	CHECK_EQ(call(system, fd, IOASID_REQUEST_ALLOC, &request), 7);
	iommuse_free(system);
}

int main(void)
{
	options_of_other_versions_are_understood_or_refused();
	a_descriptor_is_a_number_that_nothing_else_has();
	each_open_is_an_iommufd_of_its_own();
	a_checked_client_may_pass_bad_pointers();
	capabilities_are_those_that_are_given();
	a_file_costs_one_descriptor_however_often_it_is_mapped();
	only_queues_can_be_read();
	nothing_can_be_mapped_yet_and_wrong_requests_are_told_apart();
	what_is_mapped_keeps_its_owner();
	pasids_are_as_many_as_were_asked_for();
	return check_result();
}
