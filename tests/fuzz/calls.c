/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "commands.h"
#include "fuzz.h"
#include "heap.h"
#include "law.h"
#include "values.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/capability.h>

void calls_init(void)
{
	values_init();
}

/* Whoever took a number out of its place is the only one who closes it, but where numbers come from changed arguments.
 */
static void world_put(struct world *world, _Atomic int *place, int fd)
{
	int old = atomic_exchange(place, fd);

	if (old >= 0 && iommuse_close(world->system, old) && world->strict)
		fuzz_fail("close of %d, which is open", old);
}

void world_close(struct world *world, _Atomic int *place)
{
	world_put(world, place, -1);
}

void world_reopen(struct world *world, _Atomic int *place, bool vfio)
{
	int fd = iommuse_open(world->system, vfio ? "/dev/vfio/vfio" : "/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0 && fd != -EMFILE && fd != -ENOMEM)
		fuzz_fail("open: %d", fd);
	world_put(world, place, fd < 0 ? -1 : fd);
}

void world_open(struct world *world, const struct head *head, bool strict)
{
	const struct iommuse_options options = {
		.struct_size = sizeof(options),
		.client = IOMMUSE_CLIENT_CHECKED,
		.selftest = head->selftest & 1,
		.capabilities = head->capable & 1 ? UINT64_C(1) << CAP_SYS_RESOURCE : 0,
	};
	int rc = iommuse_new(&options, &world->system);

	if (rc)
		fuzz_fail("iommuse_new: %d", rc);
	world->strict = strict;
	world->selftest = options.selftest;
	world->capable = options.capabilities;
	for (size_t i = 0; i < WORLD_FILES; i++)
		atomic_init(&world->file[i], -1);
	for (size_t i = 0; i < WORLD_QUEUES; i++)
		atomic_init(&world->queue[i], -1);
	world_reopen(world, &world->file[0], false);
	world_reopen(world, &world->file[1], true);
}

/* Does the record mean one of the world's places, and not any number? */
static bool has_place(const struct record *r)
{
	return r->slot % 8 != 7;
}

static bool means_queue(const struct record *r)
{
	return r->slot % 8 == 6;
}

/* Where the record's descriptor is kept: the first file most often. */
static _Atomic int *place_of(struct world *world, const struct record *r)
{
	static const uint8_t files[] = {0, 0, 0, 1, 2, 3};

	if (means_queue(r))
		return &world->queue[r->value[11] % WORLD_QUEUES];
	return &world->file[files[r->slot % 8 % sizeof(files)]];
}

static int fd_of(struct caller *caller, const struct record *r)
{
	return has_place(r) ? atomic_load(place_of(caller->world, r)) : value_fd(caller, r->value[11]);
}

/* Writes what of the bytes lies in the arena. */
static void put_bytes(struct caller *caller, uint64_t address, const void *bytes, size_t n)
{
	uint64_t at = address - (uintptr_t)caller->arena.view;

	if (at < ARENA_SIZE)
		arena_put(caller->arena.raw + at, bytes, n < ARENA_SIZE - at ? n : ARENA_SIZE - at);
}

/* The structure, and what follows it up to the size that is claimed: zeros, but for the last now and then. */
static uint64_t build(struct caller *caller, const struct command *command, const struct record *r)
{
	static const unsigned char zeros[ARENA_SIZE];
	uint64_t at = arena_place(&caller->arena, r->place, command->size);
	uint32_t size = value_size(command, r->size);
	unsigned char bytes[256] = {0};
	size_t n = 0;

	memcpy(bytes, &size, sizeof(size));
	for (const struct member *m = command->member; n < MEMBERS_MAX && m->kind != MEMBER_NONE; m++, n++) {
		uint64_t value = value_of(caller, m, r->value[n], r->value[11]);

		memcpy(bytes + m->offset, &value, m->width);
	}
	if (size > command->size) {
		put_bytes(caller, at + command->size, zeros, size < ARENA_SIZE ? size - command->size : ARENA_SIZE);
		if (r->value[9] % 3 == 1)
			put_bytes(caller, at + size - 1, "x", 1);
	}
	put_bytes(caller, at, bytes, command->size);
	return at;
}

/* A new queue is kept; an older one in its place is closed. Where arguments change, the number may be any other. */
static void keep_queue(struct caller *caller, const struct record *r, uint64_t arg)
{
	struct world *world = caller->world;
	uint32_t number;
	unsigned char *raw =
		arena_raw(&caller->arena, arg + offsetof(struct iommu_fault_alloc, out_fault_fd), sizeof(number));

	if (!raw)
		fuzz_fail("a fault queue without an argument");
	arena_take(&number, raw, sizeof(number));
	if (!iommuse_owns(world->system, (int)number)) {
		if (caller->alone)
			fuzz_fail("the fault queue's descriptor %d is not ours", (int)number);
		return;
	}
	world_put(world, &world->queue[r->value[10] % WORLD_QUEUES], (int)number);
}

/* What fails during a call. */
struct sabotage {
	bool heap, descriptors;
	struct rlimit limit;
};

static void begin_sabotage(struct caller *caller, const struct record *r, struct sabotage *s)
{
	struct rlimit none;

	s->heap = r->slot >> 3 == 30;
	s->descriptors = caller->alone && r->slot >> 3 == 31;
	if (s->heap)
		heap_fail_after(r->value[9] % 6 + 1U);
	if (!s->descriptors)
		return;
	if (getrlimit(RLIMIT_NOFILE, &s->limit))
		fuzz_fail("getrlimit");
	none = (struct rlimit){0, s->limit.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
}

/* Has something been made to fail? */
static bool end_sabotage(struct sabotage *s)
{
	bool failed = s->heap && heap_failed();

	if (s->descriptors)
		setrlimit(RLIMIT_NOFILE, &s->limit);
	return failed || s->descriptors;
}

static void call_command(struct caller *caller, const struct command *command, const struct record *r)
{
	struct law law = {.caller = caller, .fd = fd_of(caller, r), .cmd = command->cmd, .command = command};
	struct sabotage sabotage;

	law.arg = command->style == COMMAND_VALUE ? r->value[0] % 12U : build(caller, command, r);
	law_before(&law);
	begin_sabotage(caller, r, &sabotage);
	law.result = iommuse_ioctl(caller->world->system, law.fd, law.cmd, law.arg);
	law.sabotaged = end_sabotage(&sabotage);
	law_after(&law);
	if (!law.result && command->cmd == IOMMU_FAULT_QUEUE_ALLOC)
		keep_queue(caller, r, law.arg);
}

/* Any number, with an argument that is a structure of some kind. */
static void call_number(struct caller *caller, const struct record *r)
{
	uint32_t cmd = (uint32_t)r->value[0] | (r->value[2] < 192 ? 0x3b00U : (uint32_t)r->value[1] << 8);
	struct law law = {.caller = caller, .fd = fd_of(caller, r)};

	if (r->value[2] % 4 == 0)
		cmd |= (uint32_t)r->value[3] << 16 | (uint32_t)r->value[4] << 24;
	if (command_exists(cmd))
		cmd ^= 1U << 29; /* one that is beside it */
	law.cmd = cmd;
	law.arg = build(caller, &commands[r->value[5] % COMMANDS_COMMON], r);
	law_before(&law);
	law.result = iommuse_ioctl(caller->world->system, law.fd, law.cmd, law.arg);
	law_after(&law);
}

static void call_open(struct caller *caller, const struct record *r)
{
	static const char *const wrong[] = {"",          "/",         "/dev/iommu/",    "dev/iommu",
					    "/dev/vfio", "/dev/null", "/dev/vfio/vfio2"};
	struct sabotage sabotage;
	int fd;

	begin_sabotage(caller, r, &sabotage);
	if (has_place(r) && !means_queue(r) && r->value[0] < 224) {
		world_reopen(caller->world, place_of(caller->world, r), r->value[0] & 1);
	} else {
		fd = iommuse_open(caller->world->system, wrong[r->value[0] % 7], (int)value_fd(caller, r->value[1]));
		if (fd != -ENOENT && fd != -EMFILE && fd != -ENOMEM)
			fuzz_fail("open of a wrong path: %d", fd);
	}
	end_sabotage(&sabotage);
}

static void call_close(struct caller *caller, const struct record *r)
{
	int fd;

	if (has_place(r)) {
		world_close(caller->world, place_of(caller->world, r));
		return;
	}
	if (!caller->alone)
		return;
	fd = value_fd(caller, r->value[11] < 160 ? r->value[11] : 255);
	if (iommuse_close(caller->world->system, fd) != -EBADF)
		fuzz_fail("close of %d, which is not ours", fd);
}

static void call_read_write(struct caller *caller, const struct record *r)
{
	static const size_t counts[] = {0, 8, 40, 80, 16, 1, 7, 41, 4096, (size_t)1 << 62, SIZE_MAX, SIZE_MAX - 4095};
	size_t count = counts[r->size % (sizeof(counts) / sizeof(counts[0]))];
	void *buf = (void *)(uintptr_t)arena_place(&caller->arena, r->place, count < 4096 ? count : 4096);
	off_t offset = r->value[1] & 1 ? 0 : (off_t)value_offset(r->value[2]);
	struct iommuse *system = caller->world->system;
	int fd = fd_of(caller, r);
	ssize_t rc;

	put_bytes(caller, (uintptr_t)buf, r->value, sizeof(r->value));
	switch (r->value[0] % 4) {
	case 0:
		rc = iommuse_read(system, fd, buf, count);
		break;
	case 1:
		rc = iommuse_write(system, fd, buf, count);
		break;
	case 2:
		rc = iommuse_pread(system, fd, buf, count, offset);
		break;
	default:
		rc = iommuse_pwrite(system, fd, buf, count, offset);
	}
	/* No fault is ever reported, so there is nothing to read or to answer. */
	if (rc != 0 && rc != -EBADF && rc != -EINVAL && rc != -ESPIPE && rc != -EFAULT)
		fuzz_fail("read or write: %zd", rc);
}

static void call_poll(struct caller *caller, const struct record *r)
{
	int fd = fd_of(caller, r),
	    rc = iommuse_poll(caller->world->system, fd, (short)(r->value[0] << 8 | r->value[1]));

	if (rc < 0 && rc != -EBADF)
		fuzz_fail("poll: %d", rc);
	rc = iommuse_owns(caller->world->system, fd);
	if (caller->alone && has_place(r) && rc != (fd >= 0))
		fuzz_fail("owns %d: %d", fd, rc);
}

static void call_mmap(struct caller *caller, const struct record *r)
{
	static const size_t lengths[] = {0, 1, 4096, 8192, 1 << 20, SIZE_MAX, SIZE_MAX - 4095, (size_t)1 << 63};
	size_t length = lengths[r->value[0] % 8];
	void *address = NULL;
	int rc = iommuse_mmap(caller->world->system, fd_of(caller, r), length, r->value[1] % 8, r->value[2] % 64,
			      (off_t)value_offset(r->value[3]), &address);

	if (!rc)
		munmap(address, length);
	if (rc > 0 || rc < -4095)
		fuzz_fail("mmap: %d", rc);
}

/* So many maps that they take more than one node, of a page or two each, with holes or without. */
static void call_map_many(struct caller *caller, const struct record *r)
{
	const struct member id = {.kind = MEMBER_ID}, flags = {.kind = MEMBER_MAP_FLAGS};
	int fd = fd_of(caller, r);

	for (unsigned n = 0; n < r->value[0]; n++) {
		struct iommu_ioas_map map = {.size = sizeof(map),
					     .flags = value_of(caller, &flags, r->value[2] != 0, 0),
					     .ioas_id = (uint32_t)value_of(caller, &id, r->value[1], 0),
					     .length = (1 + r->value[4] % 2) * (uint64_t)ARENA_PAGE,
					     .iova = ((uint64_t)r->value[3] + n * (uint64_t)(r->value[2] % 4)) *
						     ARENA_PAGE};

		if (call_well(caller, fd, IOMMU_IOAS_MAP, &map, sizeof(map)))
			return;
	}
}

void call(struct caller *caller, const struct record *r)
{
	if (r->op < 144)
		call_command(caller, &commands[r->op % COMMANDS_COMMON], r);
	else if (r->op < 192)
		call_command(caller, &commands[r->op % commands_count], r);
	else if (r->op < 204)
		call_number(caller, r);
	else if (r->op < 216)
		call_open(caller, r);
	else if (r->op < 224)
		call_close(caller, r);
	else if (r->op < 240)
		call_read_write(caller, r);
	else if (r->op < 248)
		call_poll(caller, r);
	else if (r->op < 252)
		call_mmap(caller, r);
	else
		call_map_many(caller, r);
}

int call_well(struct caller *caller, int fd, uint32_t cmd, void *argument, size_t size)
{
	unsigned char *raw = caller->arena.raw + 64;
	int rc;

	arena_put(raw, argument, size);
	rc = iommuse_ioctl(caller->world->system, fd, cmd, (uintptr_t)caller->arena.view + 64);
	arena_take(argument, raw, size);
	return rc;
}
