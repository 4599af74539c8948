/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An ordinary client of iommufd: makes an I/O address space, maps memory into it, copies the mapping into a second one,
 * and takes it out again. It includes nothing but libc and knows of nothing but the kernel's interface, of which it has
 * its own definitions as older systems lack the header.
 *
 *	cc map_memory.c -o map_memory
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct destroy {
	uint32_t size, id;
};
struct ioas_alloc {
	uint32_t size, flags, out_ioas_id;
};
struct iova_range {
	uint64_t start, last;
};
struct ioas_iova_ranges {
	uint32_t size, ioas_id, num_iovas, reserved;
	uint64_t allowed_iovas, out_iova_alignment;
};
struct ioas_map {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t user_va, length, iova;
};
struct ioas_copy {
	uint32_t size, flags, dst_ioas_id, src_ioas_id;
	uint64_t length, dst_iova, src_iova;
};
struct ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};

#define DESTROY     _IO(';', 0x80)
#define IOAS_ALLOC  _IO(';', 0x81)
#define IOAS_COPY   _IO(';', 0x83)
#define IOVA_RANGES _IO(';', 0x84)
#define IOAS_MAP    _IO(';', 0x85)
#define IOAS_UNMAP  _IO(';', 0x86)

#define FIXED_IOVA 1
#define WRITEABLE  2
#define READABLE   4

#define MIB (1024 * 1024)

static int call(int fd, unsigned long cmd, void *arg, const char *what)
{
	if (ioctl(fd, cmd, arg) == 0)
		return 0;
	printf("map_memory: %s: %s\n", what, strerror(errno));
	return -1;
}

static int show_ranges(int fd, uint32_t ioas)
{
	struct iova_range range;
	struct ioas_iova_ranges get = {
		.size = sizeof(get), .ioas_id = ioas, .num_iovas = 1, .allowed_iovas = (uintptr_t)&range};

	if (call(fd, IOVA_RANGES, &get, "IOMMU_IOAS_IOVA_RANGES"))
		return -1;
	printf("map_memory: address space %u takes I/O addresses %#llx to %#llx\n", ioas,
	       (unsigned long long)range.start, (unsigned long long)range.last);
	return 0;
}

static int run(int fd, void *memory)
{
	struct ioas_alloc first = {.size = sizeof(first)}, second = {.size = sizeof(second)};

	if (call(fd, IOAS_ALLOC, &first, "IOMMU_IOAS_ALLOC") || show_ranges(fd, first.out_ioas_id))
		return -1;

	struct ioas_map map = {.size = sizeof(map),
			       .flags = FIXED_IOVA | READABLE | WRITEABLE,
			       .ioas_id = first.out_ioas_id,
			       .user_va = (uintptr_t)memory,
			       .length = 2 * MIB,
			       .iova = 0x10000000};
	if (call(fd, IOAS_MAP, &map, "IOMMU_IOAS_MAP"))
		return -1;
	printf("map_memory: 2 MiB at %p are at I/O address %#llx\n", memory, (unsigned long long)map.iova);

	if (ioctl(fd, IOAS_MAP, &map) != -1 || errno != EEXIST) {
		printf("map_memory: the same I/O address was mapped twice\n");
		return -1;
	}
	printf("map_memory: mapping there again fails, as it must: %s\n", strerror(EEXIST));

	if (call(fd, IOAS_ALLOC, &second, "IOMMU_IOAS_ALLOC"))
		return -1;
	struct ioas_copy copy = {.size = sizeof(copy),
				 .flags = READABLE,
				 .dst_ioas_id = second.out_ioas_id,
				 .src_ioas_id = first.out_ioas_id,
				 .length = MIB,
				 .src_iova = 0x10000000};
	if (call(fd, IOAS_COPY, &copy, "IOMMU_IOAS_COPY"))
		return -1;
	printf("map_memory: the first MiB is in address space %u too, read-only, at %#llx\n", second.out_ioas_id,
	       (unsigned long long)copy.dst_iova);

	struct ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = first.out_ioas_id, .iova = 0x10000000, .length = 2 * MIB};
	if (call(fd, IOAS_UNMAP, &unmap, "IOMMU_IOAS_UNMAP"))
		return -1;
	printf("map_memory: unmapped %llu bytes\n", (unsigned long long)unmap.length);

	struct destroy destroy = {.size = sizeof(destroy), .id = first.out_ioas_id};
	return call(fd, DESTROY, &destroy, "IOMMU_DESTROY"); /* the second one goes with the descriptor */
}

int main(void)
{
	void *memory = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (memory == MAP_FAILED || fd < 0) {
		printf("map_memory: %s: %s\n", fd < 0 ? "/dev/iommu" : "mmap", strerror(errno));
		return EXIT_FAILURE;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("map_memory: opened /dev/iommu\n");

	int status = run(fd, memory);

	close(fd);
	munmap(memory, 2 * MIB);
	return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
