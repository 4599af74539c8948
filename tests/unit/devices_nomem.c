/* SPDX-License-Identifier: BSD-3-Clause */
/* A device is added with each allocation made to fail in turn: then it is not there, and nothing is left of it. */
#include "check.h"
#include "devices/devices.h"
#include "iommufd/iommufd.h"
#include "vfio/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned left, blocks; /* allocations until one fails; those that are not freed */

static int fails(void)
{
	return left && !--left;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t n);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

static void *count(void *memory)
{
	blocks += memory ? 1 : 0;
	return memory;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : count(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : count(__real_calloc(n, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
	return fails() ? NULL : count(__real_aligned_alloc(alignment, n));
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : count(__real_strdup(text));
}

void __wrap_free(void *memory)
{
	blocks -= memory ? 1 : 0;
	__real_free(memory);
}

static void add_without_memory(const char *text)
{
	struct iommufd_config config = {.events = NULL};
	unsigned n, before;
	struct vfio vfio;
	char why[64];
	int rc = -ENOMEM;

	vfio_init(&vfio, &config);
	before = blocks;
	for (n = 1; rc; n++) {
		left = n;
		rc = devices_add(&vfio, text, why, sizeof(why));
		if (!rc)
			break;
		CHECK_EQ(rc, -ENOMEM);
		CHECK_EQ(blocks, before);
		CHECK(!vfio.devices && !vfio.groups);
		CHECK(strstr(why, "memory"));
	}
	left = 0;
	CHECK(n > 5);
	devices_remove(&vfio);
	CHECK_EQ(blocks, before);
	vfio_fini(&vfio);
}

int main(void)
{
	char path[] = "/tmp/devices-nomem-XXXXXX", text[80];
	int fd = mkstemp(path);

	CHECK_EQ(ftruncate(fd, 1 << 20), 0);
	close(fd);
	add_without_memory("ioat,group=5,version=3.4");
	snprintf(text, sizeof(text), "nvme,image=%s,aio=threads", path);
	add_without_memory(text);
	unlink(path);
	return check_result();
}
