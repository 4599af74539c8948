/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls one after the other: each answer keeps the laws that hold for all, and nothing is left behind. */
#include "abi/iommufd.h"
#include "calls.h"
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static struct caller caller;
static unsigned char before[ARENA_SIZE];

static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		fuzz_fail("/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void expect(int result, int wanted, const char *what)
{
	if (result != wanted)
		fuzz_fail("%s: %d, not %d", what, result, wanted);
}

static bool made_any(enum id_kind kind)
{
	uint32_t ids = 0;

	for (size_t i = 0; i < WORLD_IDS; i++)
		ids |= atomic_load(&caller.world->id[kind][i]);
	return ids;
}

/* What is mapped goes whole and at once. */
static void unmap_all(int fd, uint32_t id)
{
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = id, .length = UINT64_MAX};
	int rc = call_well(&caller, fd, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap));

	if (rc == -ENOENT || (rc == -EBUSY && made_any(ID_VIOMMU))) /* a hardware queue keeps its memory */
		return;
	expect(rc, 0, "unmap of everything");
	unmap.length = UINT64_MAX;
	expect(call_well(&caller, fd, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap)), 0, "unmap of nothing");
	expect(unmap.length != 0, 0, "unmap of everything left something");
}

/* Destroys what can be; returns how many are left. */
static unsigned destroy_some(int fd, uint32_t last_id)
{
	unsigned left = 0;

	for (uint32_t id = 1; id <= last_id; id++) {
		struct iommu_destroy destroy = {.size = sizeof(destroy), .id = id};
		int rc;

		unmap_all(fd, id);
		rc = call_well(&caller, fd, IOMMU_DESTROY, &destroy, sizeof(destroy));
		if (rc == -EBUSY)
			left++;
		else if (rc != -ENOENT)
			expect(rc, 0, "destroy");
	}
	return left;
}

/* Without what has descriptors, each object of the file can be destroyed, those that others stand on after these, and
 * then it has none. */
static void empty(int fd, uint32_t last_id)
{
	struct iommu_option option = {.size = sizeof(option), .option_id = IOMMU_OPTION_RLIMIT_MODE, .val64 = 1};
	unsigned left = UINT32_MAX, last;

	do {
		last = left;
		left = destroy_some(fd, last_id);
	} while (left && left < last);
	expect((int)left, 0, "objects that cannot be destroyed");
	/* The number of a virtual device whose device went first is never free again. */
	if (made_any(ID_VDEVICE))
		return;
	expect(call_well(&caller, fd, IOMMU_OPTION, &option, sizeof(option)), caller.world->capable ? 0 : -EPERM,
	       "option of a file without objects");
}

/* A new file knows nothing of what was before. */
static void check_fresh(struct world *world)
{
	struct iommu_iova_range *range = (void *)(caller.arena.raw + ARENA_NESTED * ARENA_PAGE);
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_ioas_iova_ranges ranges = {.size = sizeof(ranges), .num_iovas = 1};
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
				     .length = UINT64_MAX - ARENA_PAGE};
	struct iommu_vfio_ioas compat = {.size = sizeof(compat), .op = IOMMU_VFIO_IOAS_GET};
	int fd;

	world_reopen(world, &world->file[0], false);
	fd = world->file[0];
	expect(call_well(&caller, fd, IOMMU_VFIO_IOAS, &compat, sizeof(compat)), -ENODEV, "compat IOAS of a new file");
	expect(call_well(&caller, fd, IOMMU_IOAS_ALLOC, &alloc, sizeof(alloc)), 0, "ioas");
	expect((int)alloc.out_ioas_id, 1, "first id");
	ranges.ioas_id = map.ioas_id = 1;
	ranges.allowed_iovas = (uintptr_t)caller.arena.view + ARENA_NESTED * ARENA_PAGE;
	expect(call_well(&caller, fd, IOMMU_IOAS_IOVA_RANGES, &ranges, sizeof(ranges)), 0, "ranges");
	if (ranges.num_iovas != 1 || ranges.out_iova_alignment != 1 || range->start || range->last != UINT64_MAX)
		fuzz_fail("a new IOAS is not the whole space");
	expect(call_well(&caller, fd, IOMMU_IOAS_MAP, &map, sizeof(map)), 0, "map of nearly all");
	expect(call_well(&caller, fd, IOMMU_IOAS_MAP, &map, sizeof(map)), -EEXIST, "map of the same");
	unmap_all(fd, 1);
}

static void close_tidily(struct world *world, uint32_t last_id)
{
	for (size_t i = 0; i < WORLD_MADE; i++)
		world_close(world, &world->made[i]);
	caller_unmap(&caller);
	for (size_t i = 0; i < WORLD_FILES; i++) {
		if (world->file[i] >= 0)
			empty(world->file[i], last_id);
		world_close(world, &world->file[i]);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	calls_init();
	arena_make(&caller.arena);
	caller.alone = true;
	caller.before = before;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned descriptors = count_descriptors();
	size_t count = size / RECORD;
	struct world world;
	struct head head;
	struct record r;

	if (!count || count > RECORDS_MAX)
		return 0;
	memcpy(&head, data, RECORD);
	memset(caller.arena.raw, 0xa5, ARENA_SIZE);
	world_open(&world, &head, true);
	caller.world = &world;
	for (size_t n = 1; n < count; n++) {
		memcpy(&r, data + n * RECORD, RECORD);
		call(&caller, &r);
	}
	if (head.tidy & 1)
		close_tidily(&world, (uint32_t)count * IDS_MAX);
	check_fresh(&world);
	caller_unmap(&caller);
	iommuse_free(world.system);
	if (count_descriptors() != descriptors)
		fuzz_fail("%u descriptors before, %u after", descriptors, count_descriptors());
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_records(data, size, max_size, RECORD, seed);
}
