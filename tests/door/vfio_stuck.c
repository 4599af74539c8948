/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_stuck FILE: a driver's device reads memory that is a file of a server that does not answer (silent serve), and
 * the driver closes the device. Its parent looks whether others are served, and ends; the driver stays until the end of
 * its standard input.
 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

enum { NEVER_IOVA = 0x20000000, COUNT = 0x86 };

/* While memory is read for the device nothing of the process's can be unmapped, and what is mapped is not closed. */
static void unmap_registers(struct rig *rig, uint8_t *instead)
{
	munmap((void *)rig->bar, PAGE);
	rig->bar = instead;
}

static long drive(struct rig *rig, const char *path)
{
	static uint8_t registers[PAGE];
	struct engine engine;
	long rc = rig_open(rig, CDEV, 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *page;

	if (rc >= 0)
		rc = engine_begin(&engine, rig, engine_memory_new(true));
	if (rc < 0)
		return rc;
	page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	rc = rig_map(rig, page, PAGE, NEVER_IOVA, RIG_READ);
	if (rc < 0)
		return rc;
	/* It was read to be mapped, and is to be read again. */
	madvise(page, PAGE, MADV_DONTNEED);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	unmap_registers(rig, registers);
	engine_give(&engine, OP_COPY, 0, engine.iova + offsetof(struct engine_memory, rest), NEVER_IOVA, 8);
	if (pwrite(rig->device, registers + COUNT, 2, COUNT) != 2)
		return -errno;
	rig->bar = NULL;
	usleep(200000);
	if (engine.memory->completion)
		return -EIO;
	rig_close(rig);
	return 0;
}

static void be_a_driver(const char *path, int parent)
{
	struct rig rig;
	long rc = drive(&rig, path);

	(void)!write(parent, &rc, sizeof(rc));
	(void)!read(STDIN_FILENO, &rc, 1);
	_exit(0);
}

int main(int argc, char **argv)
{
	struct test t = {.name = "vfio_stuck"};
	int parent[2];
	struct rig rig;
	long rc = 1;
	int iommu;

	if (argc != 2 || pipe2(parent, O_CLOEXEC))
		return 2;
	if (fork() == 0)
		be_a_driver(argv[1], parent[1]);
	close(parent[1]);
	(void)!read(parent[0], &rc, sizeof(rc));
	SAME(&t, rc, 0);
	for (int i = 0; i < 100; i++) {
		iommu = open_iommu();
		FRESH(&t, iommu);
		close(iommu);
		usleep(1000);
	}
	CHECK(&t, rig_open(&rig, CDEV, 0) < 0);
	CHECK(&t, rig_open(&rig, COMPAT, 0) < 0);
	SAME(&t, rig_open(&rig, COMPAT, 1), 0);
	rig_close(&rig);
	return t.failed;
}
