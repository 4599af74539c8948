/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_wrong WAY [COUNT]: a driver that makes each mistake once, or one of them COUNT times. What is said of them is
 * for its caller to look at.
 */
#include "rig.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { BUFFER = 1 << 16 };

#define FROM_IOVA 0x20000000ull
#define TO_IOVA   0x30000000ull
#define HOLE_IOVA 0x40000000ull
#define GONE_IOVA 0x50000000ull

static struct rig rig;
static struct engine engine;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "vfio_wrong: %s\n", what);
	exit(1);
}

static void *buffer_new(int flags)
{
	void *p = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	must(p != MAP_FAILED, "no memory");
	return p;
}

/* No reason has more than four within a second: those would only be counted. */
static void wrong(uint64_t to, uint64_t from)
{
	must(engine_copy(&engine, to, from, 100) == -EIO, "a wrong copy does not fail");
	must(!engine_restart(&engine), "the engine does not start again");
}

static void map_nothing_or_too_little(void)
{
	wrong(TO_IOVA, HOLE_IOVA);
	wrong(FROM_IOVA + BUFFER + PAGE, FROM_IOVA);
	wrong(TO_IOVA, FROM_IOVA + BUFFER - 40);
	wrong(FROM_IOVA, TO_IOVA);
}

static void unmap_too_early(void)
{
	void *hole = buffer_new(MAP_SHARED);

	must(!rig_map(&rig, hole, BUFFER, HOLE_IOVA, RIG_BOTH), "a map");
	must(!engine_copy(&engine, TO_IOVA, HOLE_IOVA + 16, 100), "a copy from it");
	must(rig_unmap(&rig, HOLE_IOVA, BUFFER) == BUFFER, "an unmap");
	wrong(TO_IOVA, HOLE_IOVA + 16);
	munmap(hole, BUFFER);
}

static void free_too_early(void)
{
	void *gone = buffer_new(MAP_PRIVATE);

	memset(gone, 1, BUFFER);
	must(!rig_map(&rig, gone, BUFFER, GONE_IOVA, RIG_BOTH), "a map");
	must(!engine_copy(&engine, TO_IOVA, GONE_IOVA, 100), "a copy from it");
	munmap(gone, BUFFER);
	wrong(TO_IOVA, GONE_IOVA);
}

static void forget_to_set_up(void)
{
	struct vfio_attach detach = {.argsz = sizeof(detach)};

	config_write(&rig, 4, 2, 2);
	must(engine_copy(&engine, TO_IOVA, FROM_IOVA, 100) == -EIO, "DMA without bus mastering");
	if (rig.way != CDEV)
		return;
	config_write(&rig, 4, 2, 6);
	must(!engine_restart(&engine), "the engine does not start again");
	must(!ioctl(rig.device, _IO(';', VFIO_DEVICE_DETACH_IOMMUFD_PT), &detach), "a detach");
	must(engine_copy(&engine, TO_IOVA, FROM_IOVA, 100) == -EIO, "DMA without an address space");
}

int main(int argc, char **argv)
{
	const int count = argc > 2 ? atoi(argv[2]) : 0;

	must(argc > 1 && !rig_open(&rig, (enum way)atoi(argv[1]), 0), "the device cannot be opened");
	must(!engine_begin(&engine, &rig, engine_memory_new(true)), "the engine does not start");
	must(!rig_map(&rig, buffer_new(MAP_SHARED), BUFFER, FROM_IOVA, RIG_READ), "a map");
	must(!rig_map(&rig, buffer_new(MAP_SHARED), BUFFER, TO_IOVA, RIG_BOTH), "a map");
	for (int i = 0; i < count; i++)
		wrong(TO_IOVA, HOLE_IOVA);
	if (count)
		return 0;
	map_nothing_or_too_little();
	unmap_too_early();
	free_too_early();
	forget_to_set_up();
	return 0;
}
