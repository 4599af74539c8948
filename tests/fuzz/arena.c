/* SPDX-License-Identifier: BSD-3-Clause */
#include "arena.h"

#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

/* Where nothing is, on either side: what is mapped for DMA from an argument on, and is longer, reaches no memory of the
 * process's own. */
#define AROUND (UINT64_C(1) << 36)

static const uint8_t protections[ARENA_PAGES] = {
	[ARENA_ARGUMENT] = PROT_READ | PROT_WRITE, [ARENA_ARGUMENT + 1] = PROT_READ | PROT_WRITE,
	[ARENA_WRITABLE] = PROT_READ | PROT_WRITE, [ARENA_READABLE] = PROT_READ,
	[ARENA_NESTED] = PROT_READ | PROT_WRITE,   [ARENA_NESTED + 1] = PROT_READ | PROT_WRITE,
};

/* Where nothing of a process ever is. */
static const uint64_t nowhere[] = {
	0,
	1,
	0x10,
	0x7ffffffff000,
	0x800000000000,
	0xdead000000000000,
	0xffffffff81000000,
	UINT64_MAX - 4095,
	UINT64_MAX - 3,
};

void arena_make(struct arena *arena)
{
	int fd = memfd_create("arena", MFD_CLOEXEC);
	unsigned char *around;

	if (fd < 0 || ftruncate(fd, ARENA_SIZE))
		fuzz_fail("no memory for arguments");
	around = mmap(NULL, 2 * AROUND, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (around == MAP_FAILED)
		fuzz_fail("no addresses around the arguments");
	arena->raw = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	arena->view = mmap(around + AROUND, ARENA_SIZE, PROT_NONE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (arena->raw == MAP_FAILED || arena->view == MAP_FAILED)
		fuzz_fail("no memory for arguments");
	close(fd);
	for (size_t i = 0; i < ARENA_PAGES; i++)
		if (mprotect(arena->view + i * ARENA_PAGE, ARENA_PAGE, protections[i]))
			fuzz_fail("no memory for arguments");
}

static size_t accessible(const struct arena *arena, uint64_t address, size_t max, uint8_t protection)
{
	uint64_t base = (uintptr_t)arena->view;
	size_t n = 0;

	while (n < max) {
		uint64_t at = address + n - base;

		if (at >= ARENA_SIZE || !(protections[at / ARENA_PAGE] & protection))
			return n;
		n += ARENA_PAGE - at % ARENA_PAGE;
	}
	return max;
}

size_t arena_readable(const struct arena *arena, uint64_t address, size_t max)
{
	return accessible(arena, address, max, PROT_READ);
}

size_t arena_writable(const struct arena *arena, uint64_t address, size_t max)
{
	return accessible(arena, address, max, PROT_WRITE);
}

unsigned char *arena_raw(const struct arena *arena, uint64_t address, size_t n)
{
	uint64_t at = address - (uintptr_t)arena->view;

	return at < ARENA_SIZE && n <= ARENA_SIZE - at ? arena->raw + at : NULL;
}

void arena_put(unsigned char *raw, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(raw + i, ((const unsigned char *)bytes)[i], __ATOMIC_RELAXED);
}

void arena_take(void *bytes, const unsigned char *raw, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)bytes)[i] = __atomic_load_n(raw + i, __ATOMIC_RELAXED);
}

static uint64_t page(const struct arena *arena, unsigned number)
{
	return (uintptr_t)arena->view + (uint64_t)number * ARENA_PAGE;
}

static uint64_t place_badly(const struct arena *arena, uint8_t which, size_t n)
{
	size_t beyond = which / 8 % 7 * 4; /* a part that is on the other side of an edge */

	switch (which % 8) {
	case 0:
		return page(arena, ARENA_READABLE) + 64;
	case 1:
		return page(arena, ARENA_READABLE) + beyond - n;
	case 2:
		return page(arena, ARENA_HOLE) + beyond - n;
	case 3:
		return page(arena, ARENA_HOLE) - 2;
	case 4:
		return page(arena, ARENA_HOLE_2) + beyond - n;
	case 5:
		return page(arena, ARENA_HOLE) + 64;
	default:
		return nowhere[which / 8 % (sizeof(nowhere) / sizeof(nowhere[0]))];
	}
}

uint64_t arena_place(const struct arena *arena, uint8_t which, size_t n)
{
	if (which < 160)
		return page(arena, ARENA_ARGUMENT) + 64;
	if (which < 176)
		return page(arena, ARENA_ARGUMENT + 1) - which % 16 * 4;
	if (which < 184)
		return page(arena, ARENA_ARGUMENT) + 64 + which % 8;
	if (which < 192)
		return page(arena, ARENA_HOLE) - n;
	return place_badly(arena, which, n);
}

uint64_t arena_place_nested(const struct arena *arena, uint8_t which, size_t n)
{
	if (which < 160)
		return page(arena, ARENA_NESTED);
	if (which < 176)
		return page(arena, ARENA_NESTED) + which % 16;
	if (which < 184)
		return page(arena, ARENA_END) - n;
	if (which < 188)
		return page(arena, ARENA_ARGUMENT) + 64;
	return place_badly(arena, which, n);
}
