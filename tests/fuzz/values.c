/* SPDX-License-Identifier: BSD-3-Clause */
#include "values.h"

#include "abi/iommufd_test.h"
#include "fuzz.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

/* What the process has open: never closed. */
static int foreign[7];

static const uint64_t extreme[] = {
	0,
	1,
	PAGE - 1,
	PAGE + 1,
	UINT64_MAX,
	UINT64_MAX - 1,
	UINT64_MAX - PAGE + 1,
	UINT64_MAX - PAGE,
	UINT64_C(1) << 63,
	(UINT64_C(1) << 63) - 1,
	UINT64_C(1) << 62,
	UINT64_C(1) << 47,
	UINT64_C(1) << 32,
	INT64_MAX - (PAGE - 1),
};

static uint64_t one_extreme(uint8_t byte)
{
	return extreme[byte % (sizeof(extreme) / sizeof(extreme[0]))];
}

void values_init(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		fuzz_fail("pipe");
	foreign[0] = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	foreign[1] = memfd_create("empty", MFD_CLOEXEC);
	foreign[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	foreign[3] = open("/", O_PATH | O_CLOEXEC);
	foreign[4] = eventfd(0, EFD_CLOEXEC);
	foreign[5] = ends[0];
	foreign[6] = ends[1];
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (foreign[i] < 0)
			fuzz_fail("descriptor %zu", i);
	if (ftruncate(foreign[0], 1 << 20))
		fuzz_fail("ftruncate");
}

static int value_made(const struct world *world, uint8_t byte)
{
	return atomic_load(&world->made[byte % WORLD_MADE]);
}

int value_fd(const struct caller *caller, uint8_t byte)
{
	static const int wrong[] = {-1, INT_MIN, INT_MAX, -100, 1023, 1 << 20, (1 << 20) - 1, 900};
	const struct world *world = caller->world;

	if (byte < 96)
		return foreign[byte % 2];
	if (byte < 160)
		return foreign[byte % (sizeof(foreign) / sizeof(foreign[0]))];
	if (byte < 208)
		return atomic_load(&world->file[byte % WORLD_FILES]);
	if (byte < 240)
		return value_made(world, byte);
	return wrong[byte % (sizeof(wrong) / sizeof(wrong[0]))];
}

/* One of those that were given last, where there is one. */
static uint64_t value_id(const struct world *world, uint8_t kind, uint8_t byte)
{
	static const uint32_t wrong[] = {0, UINT32_MAX, INT32_MAX, UINT32_C(1) << 31, 1000, 255, 64, 63};
	uint32_t id = 0;

	if (byte < 128)
		id = atomic_load(&world->id[kind][byte % WORLD_IDS]);
	else if (byte < 160)
		id = atomic_load(&world->id[byte % ID_KINDS][byte / ID_KINDS % WORLD_IDS]);
	if (id)
		return id;
	if (byte < 192)
		return byte % 6 + 1;
	if (byte < 240)
		return byte % 48;
	return wrong[byte % 8];
}

/* Most often where a mock IOMMU shows something. */
static uint64_t value_iova(uint8_t byte)
{
	if (byte < 64)
		return MOCK_APERTURE_START + byte % 32 * PAGE;
	if (byte < 80)
		return MOCK_APERTURE_START + byte % 16 * (PAGE / 2);
	if (byte < 128)
		return byte % 32 * PAGE;
	if (byte < 160)
		return byte % 32 * PAGE + byte * UINT64_C(37) % PAGE;
	if (byte < 192)
		return (uint64_t)(byte % 32) << 21;
	if (byte < 224)
		return UINT64_MAX - byte % 32 * PAGE + (byte & 32 ? 1 : 0);
	return one_extreme(byte);
}

static uint64_t value_length(uint8_t byte)
{
	if (byte < 128)
		return (byte % 8 + 1) * PAGE;
	if (byte < 144)
		return byte - 127U;
	if (byte < 160)
		return byte % 16 * PAGE + byte * UINT64_C(37) % PAGE;
	if (byte < 192)
		return UINT64_C(1) << (12 + byte % 32);
	return one_extreme(byte);
}

static uint64_t value_va(const struct caller *caller, uint8_t byte)
{
	if (byte < 128)
		return (uintptr_t)caller->arena.view + byte % ARENA_PAGES * PAGE;
	if (byte < 192)
		return (uintptr_t)caller->arena.view + byte * UINT64_C(129);
	return one_extreme(byte);
}

/* Ranges that a caller could allow: most often ascending and apart. */
static uint64_t value_ranges(const struct caller *caller, uint8_t byte, uint8_t seed)
{
	uint64_t at = arena_place_nested(&caller->arena, byte, 8 * 2 * sizeof(uint64_t)), state = seed, next = 0;

	for (unsigned i = 0; i < 16; i++) {
		uint64_t dice = fuzz_random(&state), range[2];
		unsigned char *raw = arena_raw(&caller->arena, at + i * sizeof(range), sizeof(range));

		range[0] = dice % 16 ? next + dice / 16 % 4 * PAGE : value_iova((uint8_t)(dice >> 8));
		range[1] = range[0] + (dice / 64 % 8 + 1) * PAGE - (dice % 64 ? 1 : 0);
		next = range[1] + 1;
		if (raw)
			arena_put(raw, range, sizeof(range));
	}
	return at;
}

/* Words that mean something in what drivers get: numbers of entries, flags, and one identifier. */
static uint64_t value_data(const struct caller *caller, uint8_t byte, uint8_t seed)
{
	uint64_t at = arena_place_nested(&caller->arena, byte, 64), state = seed;
	unsigned char *raw = arena_raw(&caller->arena, at, 64);
	uint32_t word[16];

	for (unsigned i = 0; i < 16; i++) {
		uint64_t dice = fuzz_random(&state);

		word[i] = dice % 64 ? dice / 64 % 5 : (uint32_t)(dice >> 32);
	}
	if (raw)
		arena_put(raw, word, sizeof(word));
	return at;
}

static uint64_t value_type(uint8_t byte)
{
	static const uint32_t types[] = {IOMMU_HWPT_DATA_NONE,       IOMMU_HWPT_DATA_SELFTEST,
					 IOMMU_VIOMMU_TYPE_SELFTEST, IOMMU_VEVENTQ_TYPE_SELFTEST,
					 IOMMU_HWPT_DATA_VTD_S1,     IOMMU_HWPT_DATA_AMD_GUEST};

	return byte < 240 ? types[byte % 6] : byte;
}

static uint64_t value_pasid(uint8_t byte)
{
	static const uint32_t pasids[] = {0, 1, 2, 3, 1023, IOMMU_TEST_PASID_RESERVED, (1U << 20) - 1, 1U << 20};

	return byte < 240 ? pasids[byte % 8] : one_extreme(byte);
}

static uint64_t value_flags(uint8_t byte)
{
	if (byte < 208)
		return byte % 8;
	if (byte < 224)
		return MOCK_FLAGS_ACCESS_SYZ | byte % 2;
	return byte % 2 ? UINT32_MAX : UINT32_C(1) << byte % 32;
}

static uint64_t value_map_flags(uint8_t byte)
{
	return byte < 192 ? byte % 2 + 6U : value_flags(byte);
}

static uint64_t value_count(uint8_t byte)
{
	static const uint32_t large[] = {UINT32_MAX, UINT32_C(1) << 31, UINT32_C(1) << 28, 512, 511, 4096, 17, 16};

	return byte < 224 ? byte % 10 : large[byte % 8];
}

static uint64_t value_small(uint8_t byte)
{
	return byte < 128 ? byte % 4 : byte < 224 ? byte % 12 : byte < 248 ? byte % 32 : one_extreme(byte);
}

uint64_t value_of(const struct caller *caller, const struct member *member, uint8_t byte, uint8_t seed)
{
	switch ((enum member_kind)member->kind) {
	case MEMBER_ID:
		return value_id(caller->world, member->id, byte);
	case MEMBER_MAP_FLAGS:
		return value_map_flags(byte);
	case MEMBER_FLAGS:
		return value_flags(byte);
	case MEMBER_RESERVED:
		return byte < 248 ? 0 : byte;
	case MEMBER_IOVA:
		return value_iova(byte);
	case MEMBER_LENGTH:
		return value_length(byte);
	case MEMBER_START:
		return byte < 128 ? byte % 4 * PAGE : value_iova(byte);
	case MEMBER_VA:
		return value_va(caller, byte);
	case MEMBER_FD:
		return (uint32_t)value_fd(caller, byte);
	case MEMBER_RANGES:
		return value_ranges(caller, byte, seed);
	case MEMBER_DATA:
		return value_data(caller, byte, seed);
	case MEMBER_COUNT:
		return value_count(byte);
	case MEMBER_SMALL:
		return value_small(byte);
	case MEMBER_TYPE:
		return value_type(byte);
	case MEMBER_PASID:
		return value_pasid(byte);
	case MEMBER_MADE:
		return (uint32_t)(byte < 224 ? value_made(caller->world, byte) : value_fd(caller, byte));
	case MEMBER_NONE:
		break;
	}
	return 0;
}

uint64_t value_offset(const struct world *world, uint8_t byte)
{
	uint64_t offset = byte < 64 ? atomic_load(&world->offset[byte % WORLD_OFFSETS]) : 0;

	if (offset)
		return offset;
	return byte < 128 ? byte % 4 * PAGE : one_extreme(byte);
}

uint32_t value_size(const struct command *command, uint8_t byte)
{
	const uint32_t size = command->size;
	const uint32_t wrong[] = {
		0,         1,         4,         command->min - 1U, command->min - 4U,
		size - 4U, size + 4U, size + 8U, command->min,      72,
		4096,      5000,      2 * 4096,  UINT32_MAX,        UINT32_C(1) << 31,
		3 * 4096,
	};

	return byte < 176 ? size : wrong[byte % 16];
}
