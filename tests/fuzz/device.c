/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls on a device: regions read, written and mapped anywhere, and all its commands, with memory that ends where it
 * should not and allocations that fail. What cannot be written stays, the next open is as the first, and nothing is
 * left behind.
 */
#define _GNU_SOURCE
#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "fuzz.h"
#include "heap.h"
#include "iommuse/iommuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE        4096U
#define RECORDS_MAX 64U
#define CONFIG      REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define REGION(i)   ((off_t)((uint64_t)(i) << 40))
#define IOVA        UINT64_C(0x100000)

enum { EVENTFDS = 2 };

struct record {
	uint8_t op, region, where, fail;
	uint8_t width, cmd, flags, pad;
	uint64_t offset;
	uint8_t bytes[16];
};

static struct {
	uint8_t *memory; /* a page that can be read and written, then one that can be read, then none */
	struct iommuse *system;
	int iommu, device, event[EVENTFDS];
	uint32_t ioas;
	uint8_t first[PAGE]; /* configuration space as it was at first */
} f;

static unsigned entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	if (!dir)
		fuzz_fail("%s", path);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static long call(int fd, unsigned long cmd, void *arg)
{
	return iommuse_ioctl(f.system, fd, cmd, (uintptr_t)arg);
}

static void must(long got, long wanted, const char *what)
{
	if (got != wanted)
		fuzz_fail("%s: %ld, not %ld", what, got, wanted);
}

static void device_open(void)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = f.iommu};
	struct vfio_device_attach_iommufd_pt attach = {.argsz = 12, .pt_id = f.ioas};
	uint8_t config[PAGE];

	f.device = iommuse_open(f.system, "/dev/vfio/devices/vfio0", O_RDWR);
	if (f.device < 0)
		fuzz_fail("open: %d", f.device);
	must(call(f.device, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0, "bind");
	must(call(f.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0, "attach");
	must(iommuse_pread(f.system, f.device, config, PAGE, CONFIG), PAGE, "configuration space");
	if (!f.first[0])
		memcpy(f.first, config, PAGE);
	if (memcmp(config, f.first, PAGE))
		fuzz_fail("configuration space is not as it was at first");
}

/* Everything can be done still. */
static void device_close(void)
{
	static const uint8_t command = 2;
	uint8_t config[PAGE], byte;

	must(iommuse_pread(f.system, f.device, config, PAGE, CONFIG), PAGE, "configuration space");
	if (memcmp(config, f.first, 4) || memcmp(config + 8, f.first + 8, 4) ||
	    memcmp(config + 0x14 + 4, f.first + 0x18, 36))
		fuzz_fail("what cannot be written has changed");
	if (config[0x44] & 3) {
		byte = 8;
		must(iommuse_pwrite(f.system, f.device, &byte, 1, CONFIG + 0x44), 1, "waking up");
	}
	must(iommuse_pwrite(f.system, f.device, &command, 1, CONFIG + 4), 1, "command");
	must(iommuse_pread(f.system, f.device, &byte, 1, REGION(0)), 1, "register");
	must(iommuse_close(f.system, f.device), 0, "close");
}

static void world_open(void)
{
	static const char *const devices[] = {"ioat", NULL};
	const struct iommuse_options options = {.struct_size = sizeof(options), .devices = devices};
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_ioas_map map = {.size = sizeof(map), .flags = 7, .length = PAGE, .iova = IOVA};

	must(iommuse_new(&options, &f.system), 0, "system");
	f.iommu = iommuse_open(f.system, "/dev/iommu", O_RDWR);
	must(call(f.iommu, IOMMU_IOAS_ALLOC, &alloc), 0, "ioas");
	f.ioas = map.ioas_id = alloc.out_ioas_id;
	map.user_va = (uintptr_t)f.memory;
	must(call(f.iommu, IOMMU_IOAS_MAP, &map), 0, "map");
	for (size_t i = 0; i < EVENTFDS; i++)
		f.event[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	device_open();
}

static void world_close(void)
{
	device_close();
	device_open();
	must(iommuse_close(f.system, f.device), 0, "close");
	for (size_t i = 0; i < EVENTFDS; i++)
		close(f.event[i]);
	iommuse_free(f.system);
}

/* A place for n bytes; *good: all of it can be written. */
static uint8_t *place(const struct record *r, size_t n, bool *good)
{
	*good = false;
	switch (r->where % 8) {
	case 0:
		return f.memory + PAGE - n / 2; /* the rest can be read */
	case 1:
		return f.memory + 2 * PAGE - n / 2; /* the rest cannot */
	case 2:
		return NULL;
	default:
		*good = true;
		return f.memory + PAGE - n;
	}
}

/* Most places are in the region. */
static off_t position(const struct record *r)
{
	static const uint64_t size[] = {0x4000, 0, 0, 0, 0, 0, 0, PAGE, 0xc0000, 0};
	unsigned region = r->region % 16;
	uint64_t offset = r->offset;

	if (region >= sizeof(size) / sizeof(*size))
		region = region % 2 ? VFIO_PCI_CONFIG_REGION_INDEX : 0;
	if (size[region] && r->flags % 8)
		offset %= r->flags % 4 == 1 ? 0x80 : size[region];
	return REGION(region) + (off_t)(offset & 0x7fffffffff);
}

static void access_region(const struct record *r, bool write)
{
	const size_t n = r->flags & 0x80 ? r->offset % PAGE / 2 : r->width % 20;
	const off_t pos = position(r);
	bool good;
	uint8_t *at = place(r, n, &good);
	ssize_t rc;

	if (good && write)
		memcpy(at, r->bytes, n < sizeof(r->bytes) ? n : sizeof(r->bytes));
	rc = write ? iommuse_pwrite(f.system, f.device, at, n, pos) : iommuse_pread(f.system, f.device, at, n, pos);
	if (rc > (ssize_t)n || (rc < 0 && rc != -EINVAL && rc != -EFAULT && rc != -EIO))
		fuzz_fail("access of %zu bytes at %#llx: %zd", n, (unsigned long long)pos, rc);
	if (rc == -EFAULT && good && pos >> 40 != VFIO_PCI_CONFIG_REGION_INDEX)
		fuzz_fail("good memory is EFAULT");
}

static void map_region(const struct record *r)
{
	const off_t pos = position(r) & ~(off_t)(PAGE - 1);
	const size_t n = r->width % 6 * PAGE + r->width / 128;
	void *at;
	int rc = iommuse_mmap(f.system, f.device, n, PROT_READ | PROT_WRITE, r->cmd % 4 ? MAP_SHARED : MAP_PRIVATE, pos,
			      &at);

	if (rc)
		return;
	memcpy((uint8_t *)at + r->offset % (PAGE - sizeof(r->bytes)), r->bytes, sizeof(r->bytes));
	munmap(at, n);
}

static void command(const struct record *r)
{
	static const unsigned long commands[] = {VFIO_DEVICE_GET_INFO,
						 VFIO_DEVICE_GET_REGION_INFO,
						 VFIO_DEVICE_GET_IRQ_INFO,
						 VFIO_DEVICE_SET_IRQS,
						 VFIO_DEVICE_SET_IRQS,
						 VFIO_DEVICE_RESET,
						 VFIO_DEVICE_IOEVENTFD,
						 VFIO_DEVICE_IOEVENTFD,
						 VFIO_DEVICE_FEATURE,
						 VFIO_DEVICE_PCI_HOT_RESET,
						 VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
						 VFIO_DEVICE_DETACH_IOMMUFD_PT,
						 VFIO_DEVICE_BIND_IOMMUFD};
	const unsigned long cmd = commands[r->cmd % (sizeof(commands) / sizeof(*commands))];
	uint32_t words[16] = {sizeof(words), r->flags & 0x3f, r->region % 12, r->width % 4, r->offset % 5};
	bool good;
	uint8_t *at;

	memcpy(words + 5, r->bytes, sizeof(r->bytes));
	words[5] = (uint32_t)f.event[r->bytes[0] % EVENTFDS];
	if (cmd == VFIO_DEVICE_IOEVENTFD) {
		const uint64_t offset = (uint64_t)position(r);

		words[1] &= 0xf;
		memcpy(words + 2, &offset, sizeof(offset));
		words[4] = r->bytes[1] % 4;
		words[5] = 0;
		words[6] = r->bytes[2] % 4 ? (uint32_t)f.event[r->bytes[0] % EVENTFDS] : UINT32_MAX;
	} else if (cmd == VFIO_DEVICE_FEATURE) {
		words[1] = r->bytes[1] % 16 | (r->bytes[2] & 7U) << 16;
		words[2] = (uint32_t)f.event[0];
		words[3] = 0;
	}
	if (r->flags & 0x80)
		words[r->width % 16] = (uint32_t)r->offset;
	at = place(r, sizeof(words), &good);
	if (good)
		memcpy(at, words, sizeof(words));
	(void)call(f.device, cmd, at);
}

static void step(const struct record *r)
{
	switch (r->op % 16) {
	case 0:
		device_close();
		device_open();
		break;
	case 1:
		(void)eventfd_write(f.event[r->cmd % EVENTFDS], r->width);
		break;
	case 2:
		map_region(r);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		access_region(r, false);
		break;
	case 7:
	case 8:
	case 9:
	case 10:
		access_region(r, true);
		break;
	default:
		heap_fail_after(r->fail % 8 ? 0 : 1 + r->fail / 32U);
		command(r);
		(void)heap_failed();
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	f.memory = mmap(NULL, 3 * (size_t)PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f.memory == MAP_FAILED || mprotect(f.memory + PAGE, PAGE, PROT_READ) ||
	    mprotect(f.memory + 2 * (size_t)PAGE, PAGE, PROT_NONE))
		fuzz_fail("memory");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
	struct record r;

	if (size / sizeof(r) > RECORDS_MAX)
		return 0;
	world_open();
	for (size_t n = 0; n < size / sizeof(r); n++) {
		memcpy(&r, data + n * sizeof(r), sizeof(r));
		step(&r);
	}
	world_close();
	if (entries("/proc/self/fd") != descriptors)
		fuzz_fail("%u descriptors before, %u after", descriptors, entries("/proc/self/fd"));
	/* One that was joined is still there for a moment. */
	for (unsigned ms = 0; ms < 10000 && entries("/proc/self/task") != threads; ms++)
		usleep(1000);
	if (entries("/proc/self/task") != threads)
		fuzz_fail("%u threads before, %u after", threads, entries("/proc/self/task"));
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_records(data, size, max_size, sizeof(struct record), seed);
}
