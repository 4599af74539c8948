/* SPDX-License-Identifier: BSD-3-Clause */
/* A small client that is linked in several ways: opens, allocates, maps, unmaps, closes. Prints "ok" or what failed. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct alloc {
	uint32_t size, flags, id;
};
struct map {
	uint32_t size, flags, ioas, reserved;
	uint64_t va, length, iova;
};
struct unmap {
	uint32_t size, ioas;
	uint64_t iova, length;
};

static int failed(const char *what)
{
	printf("%s: errno %d\n", what, errno);
	return 1;
}

int main(void)
{
	static char buffer[4096];
	struct alloc alloc = {.size = sizeof(alloc)};
	struct map map = {.size = sizeof(map),
			  .flags = 7,
			  .va = (uint64_t)(uintptr_t)buffer,
			  .length = sizeof(buffer),
			  .iova = 0x1000};
	struct unmap unmap = {.size = sizeof(unmap), .length = UINT64_MAX};
	int fd = open("/dev/iommu", O_RDWR);

	if (fd < 0)
		return failed("open");
	if (ioctl(fd, _IO(';', 0x81), &alloc) != 0)
		return failed("IOAS_ALLOC");
	map.ioas = alloc.id;
	unmap.ioas = alloc.id;
	if (alloc.id != 1 || ioctl(fd, _IO(';', 0x85), &map) != 0)
		return failed("IOAS_MAP");
	if (ioctl(fd, _IO(';', 0x85), &map) != -1 || errno != EEXIST)
		return failed("IOAS_MAP again");
	if (ioctl(fd, _IO(';', 0x86), &unmap) != 0 || unmap.length != sizeof(buffer))
		return failed("IOAS_UNMAP");
	if (close(fd) != 0)
		return failed("close");
	puts("ok");
	return 0;
}
