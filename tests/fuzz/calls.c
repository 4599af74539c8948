/* SPDX-License-Identifier: BSD-3-Clause */
#include "calls.h"

#include "abi/ioasid.h"
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
	for (size_t i = 0; i < WORLD_MADE; i++)
		atomic_init(&world->made[i], -1);
	atomic_init(&world->pasids, -1);
	memset(world->id, 0, sizeof(world->id));
	memset(world->offset, 0, sizeof(world->offset));
	world_reopen(world, &world->file[0], false);
	world_reopen(world, &world->file[1], true);
}

/* Does the record mean one of the world's places, and not any number? */
static bool has_place(const struct record *r)
{
	return r->slot % 8 != 7;
}

static bool means_made(const struct record *r)
{
	return r->slot % 8 == 6;
}

/* Where the record's descriptor is kept: the first file most often. */
static _Atomic int *place_of(struct world *world, const struct record *r)
{
	static const uint8_t files[] = {0, 0, 0, 1, 2, 3};

	if (means_made(r))
		return &world->made[r->value[11] % WORLD_MADE];
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
	if (command->op)
		bytes[offsetof(struct iommu_test_cmd, op)] = command->op;
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

/* A new descriptor is kept; an older one in its place is closed. Where arguments change, the number may be any other.
 */
static void keep_descriptor(struct caller *caller, const struct record *r, uint32_t number)
{
	struct world *world = caller->world;

	if (!iommuse_owns(world->system, (int)number)) {
		if (caller->alone)
			fuzz_fail("the descriptor %d that a command made is not ours", (int)number);
		return;
	}
	world_put(world, &world->made[r->value[10] % WORLD_MADE], (int)number);
}

/* Where the test device's virtual IOMMU can be mapped; it has said so in the command's data. */
static void keep_offset(struct caller *caller, const struct record *r, const unsigned char *argument)
{
	struct iommu_viommu_alloc alloc;
	struct iommu_viommu_selftest data;
	unsigned char *raw;

	arena_take(&alloc, argument, sizeof(alloc));
	raw = arena_raw(&caller->arena, alloc.data_uptr, sizeof(data));
	if (!raw)
		return;
	arena_take(&data, raw, sizeof(data));
	atomic_store(&caller->world->offset[r->value[10] % WORLD_OFFSETS], data.out_mmap_offset);
}

/* Remembers what a command has answered. */
static void keep_answer(struct caller *caller, const struct command *command, const struct record *r, uint64_t arg)
{
	const unsigned char *raw = arena_raw(&caller->arena, arg, command->size);
	uint32_t number;

	for (unsigned i = 0; raw && i < IDS_MAX && command->made[i].offset; i++) {
		arena_take(&number, raw + command->made[i].offset, sizeof(number));
		atomic_store(&caller->world->id[command->made[i].id][r->value[10] % WORLD_IDS], number);
		atomic_store(&caller->world->id[ID_ANY][(r->value[10] + i) % WORLD_IDS], number);
	}
	if (command->descriptor) {
		if (!raw)
			fuzz_fail("a descriptor without an argument");
		arena_take(&number, raw + command->descriptor, sizeof(number));
		keep_descriptor(caller, r, number);
	}
	if (raw && command->cmd == IOMMU_VIOMMU_ALLOC)
		keep_offset(caller, r, raw);
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

/* What a command is of whose argument the input chose the test device's op, too. */
static const struct command *op_of(const struct caller *caller, const struct command *command, uint64_t arg)
{
	const unsigned char *raw = arena_raw(&caller->arena, arg, command->size);
	struct iommu_test_cmd test;

	if (!raw || command->cmd != IOMMU_TEST_CMD || command->op)
		return command;
	arena_take(&test, raw, sizeof(test));
	for (size_t i = 0; i < test_ops_count; i++)
		if (test_ops[i].op == test.op)
			return &test_ops[i];
	return command;
}

static void call_command(struct caller *caller, const struct command *command, const struct record *r)
{
	struct law law = {.caller = caller, .fd = fd_of(caller, r), .cmd = command->cmd};
	struct sabotage sabotage;

	law.arg = command->style == COMMAND_VALUE ? r->value[0] % 12U : build(caller, command, r);
	law.command = command = op_of(caller, command, law.arg);
	law_before(&law);
	begin_sabotage(caller, r, &sabotage);
	law.result = iommuse_ioctl(caller->world->system, law.fd, law.cmd, law.arg);
	law.sabotaged = end_sabotage(&sabotage);
	law_after(&law);
	if (!law.result)
		keep_answer(caller, command, r, law.arg);
	else if (law.result > 0 && command->op)
		keep_descriptor(caller, r, (uint32_t)law.result);
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
	if (has_place(r) && !means_made(r) && r->value[0] < 224) {
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
	off_t offset = r->value[1] & 1 ? 0 : (off_t)value_offset(caller->world, r->value[2]);
	struct iommuse *system = caller->world->system;
	int fd = fd_of(caller, r);
	ssize_t rc;

	put_bytes(caller, (uintptr_t)buf, r->value, sizeof(r->value));
	if (r->value[6] < 192) /* an answer to a page fault, more likely */
		put_bytes(caller, (uintptr_t)buf, (const uint32_t[]){r->value[4] % 4U, r->value[5] % 3U, 1, 0}, 16);
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
	if (rc > 0 && ((size_t)rc > count || rc % 4))
		fuzz_fail("read or write of %zu: %zd", count, rc);
	if (rc < 0 && rc != -EBADF && rc != -EINVAL && rc != -ESPIPE && rc != -EFAULT)
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

void caller_unmap(struct caller *caller)
{
	if (caller->region)
		munmap(caller->region, caller->region_length);
	caller->region = NULL;
}

static void call_mmap(struct caller *caller, const struct record *r)
{
	static const size_t lengths[] = {0, 1, 4096, 8192, 1 << 20, SIZE_MAX, SIZE_MAX - 4095, (size_t)1 << 63};
	size_t length = lengths[r->value[0] % 8];
	void *address = NULL;
	int rc = iommuse_mmap(caller->world->system, fd_of(caller, r), length, r->value[1] % 8, r->value[2] % 64,
			      (off_t)value_offset(caller->world, r->value[3]), &address);

	if (!rc && caller->alone && r->value[4] % 2) {
		caller_unmap(caller);
		caller->region = address;
		caller->region_length = length;
	} else if (!rc) {
		munmap(address, length);
	}
	if (rc > 0 || rc < -4095)
		fuzz_fail("mmap: %d", rc);
}

static void open_pasids(struct caller *caller)
{
	int fd = iommuse_open(caller->world->system, "/dev/ioasid", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		world_put(caller->world, &caller->world->pasids, fd);
	else if (fd != -EBUSY && fd != -EMFILE && fd != -ENOMEM)
		fuzz_fail("open of /dev/ioasid: %d", fd);
}

/* The argument of FREE is the first word. */
static void call_pasids(struct caller *caller, const struct record *r)
{
	const uint32_t last = IOASID_REQUEST_FREE - IOASID_GET_API_VERSION;
	const struct ioasid_alloc_request request = {
		.argsz = r->size < 128 ? sizeof(request) : r->size % 24U,
		.flags = r->value[1] == 255,
		.range = {r->value[2], r->value[3] < 128 ? INT32_MAX : r->value[3]},
	};
	struct law law = {.caller = caller,
			  .fd = atomic_load(&caller->world->pasids),
			  .cmd = IOASID_GET_API_VERSION + r->value[0] % (last + 1),
			  .arg = arena_place(&caller->arena, r->place, sizeof(request)),
			  .pasids = true};

	put_bytes(caller, law.arg, &request, sizeof(request));
	if (law.cmd == IOASID_REQUEST_FREE)
		put_bytes(caller, law.arg, (const int32_t[]){(int8_t)r->value[4]}, sizeof(int32_t));
	law_before(&law);
	law.result = iommuse_ioctl(caller->world->system, law.fd, law.cmd, law.arg);
	law_after(&law);
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
							     ARENA_PAGE +
						     (r->value[5] % 2 ? MOCK_APERTURE_START : 0)};

		if (call_well(caller, fd, IOMMU_IOAS_MAP, &map, sizeof(map)))
			return;
	}
}

static int test(struct caller *caller, int fd, struct iommu_test_cmd *cmd, uint32_t op)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return call_well(caller, fd, IOMMU_TEST_CMD, cmd, sizeof(*cmd));
}

/* A page of the arena is mapped, and seen through an access before it is unmapped and not after. */
static void call_look(struct caller *caller, const struct record *r)
{
	const struct member id = {.kind = MEMBER_ID, .id = ID_IOAS};
	const uint32_t ioas = (uint32_t)value_of(caller, &id, r->value[0], 0);
	const uint64_t view = (uintptr_t)caller->arena.view, nested = view + (size_t)ARENA_NESTED * ARENA_PAGE;
	unsigned char *source = caller->arena.raw + (size_t)ARENA_WRITABLE * ARENA_PAGE,
		      *seen = caller->arena.raw + (size_t)ARENA_NESTED * ARENA_PAGE;
	const size_t length = r->value[1] * (size_t)16 + 1;
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
				     .ioas_id = ioas,
				     .user_va = view + (size_t)ARENA_WRITABLE * ARENA_PAGE,
				     .length = ARENA_PAGE};
	struct iommu_test_cmd access = {.id = ioas}, rw = {.access_rw = {.length = length, .uptr = nested}};
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = ioas, .length = ARENA_PAGE};
	int fd = fd_of(caller, r), rc;

	if (!caller->alone || call_well(caller, fd, IOMMU_IOAS_MAP, &map, sizeof(map)))
		return;
	unmap.iova = rw.access_rw.iova = map.iova;
	if (!test(caller, fd, &access, IOMMU_TEST_OP_CREATE_ACCESS)) {
		rw.id = access.create_access.out_access_fd;
		memset(source, r->value[2], ARENA_PAGE);
		memset(seen, ~r->value[2], ARENA_PAGE);
		rc = test(caller, fd, &rw, IOMMU_TEST_OP_ACCESS_RW);
		if (rc || memcmp(source, seen, length) != 0 || seen[length] == source[0])
			fuzz_fail("an access does not see what is mapped: %d", rc);
		memset(seen, ~r->value[2], ARENA_PAGE);
		rw.access_rw.flags = MOCK_ACCESS_RW_WRITE;
		rc = test(caller, fd, &rw, IOMMU_TEST_OP_ACCESS_RW);
		if (rc || memcmp(source, seen, length) != 0 || source[length] != r->value[2])
			fuzz_fail("an access does not write what is mapped: %d", rc);
	}
	rc = call_well(caller, fd, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap));
	if (rc || unmap.length != ARENA_PAGE)
		fuzz_fail("unmap of a page: %d", rc);
	if (!rw.id)
		return;
	if (test(caller, fd, &rw, IOMMU_TEST_OP_ACCESS_RW) != -ENOENT)
		fuzz_fail("an access sees what is mapped no more");
	if (iommuse_close(caller->world->system, (int)rw.id))
		fuzz_fail("close of an access");
}

/* Of what came later. */
enum {
	OP_LATER = 206, /* and the next ones, for a command each */
	OP_PASIDS_OPEN = 217,
	OP_PASIDS_CLOSE = 218,
	OP_PASIDS = 219,
};

void call(struct caller *caller, const struct record *r)
{
	const size_t commands_kept = commands_count - COMMANDS_LATER;

	if (r->op < 84)
		call_command(caller, &commands[r->op % COMMANDS_COMMON], r);
	else if (r->op < 144)
		call_command(caller, &commands[COMMANDS_COMMON + r->op % (commands_kept - COMMANDS_COMMON)], r);
	else if (r->op < 192)
		call_command(caller, &test_ops[r->op % test_ops_count], r);
	else if (r->op < 204)
		call_number(caller, r);
	else if (r->op >= OP_LATER && r->op < OP_LATER + COMMANDS_LATER)
		call_command(caller, &commands[commands_kept + r->op - OP_LATER], r);
	else if (r->op == OP_PASIDS_OPEN)
		open_pasids(caller);
	else if (r->op == OP_PASIDS_CLOSE)
		world_close(caller->world, &caller->world->pasids);
	else if (r->op == OP_PASIDS)
		call_pasids(caller, r);
	else if (r->op < 216)
		call_open(caller, r);
	else if (r->op < 224)
		call_close(caller, r);
	else if (r->op < 240)
		call_read_write(caller, r);
	else if (r->op < 248)
		call_poll(caller, r);
	else if (r->op < 250)
		call_mmap(caller, r);
	else if (r->op < 253)
		call_look(caller, r);
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
