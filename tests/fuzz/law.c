/* SPDX-License-Identifier: BSD-3-Clause */
#include "law.h"

#include "abi/ioasid.h"
#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#define FIRST        0x80U
#define WITHOUT_TEST 0x15U
#define WITH_TEST    0x21U

static const int known_errors[] = {
	EPERM,     ENOENT, EFAULT, EBUSY,      EEXIST,     ENODEV, EINVAL, ENOTTY, ENOSPC, E2BIG,  EMSGSIZE,
	EOVERFLOW, EBADF,  EBADFD, EOPNOTSUPP, EADDRINUSE, EBADE,  EIO,    ENXIO,  ESRCH,  EACCES,
};

static _Noreturn void broken(const struct law *law, const char *what)
{
	fuzz_fail("%s: %s (%#x) of descriptor %d, size %u, %zu bytes readable, result %d", what,
		  law->command ? law->command->name : "no command", law->cmd, law->fd, law->size, law->readable,
		  law->result);
}

/* What a command may write beside its argument. */
static void expect_array(struct law *law)
{
	unsigned char bytes[128] = {0};
	const unsigned char *raw = arena_raw(&law->caller->arena, law->arg, law->command->size);
	const struct iommu_ioas_iova_ranges *ranges = (const void *)bytes;
	const struct iommu_hw_info *info = (const void *)bytes;
	const struct iommu_hwpt_get_dirty_bitmap *dirty = (const void *)bytes;
	const struct iommu_viommu_alloc *viommu = (const void *)bytes;
	const struct iommu_test_cmd *test = (const void *)bytes;
	uint64_t lowest;

	if (!raw)
		return;
	memcpy(bytes, raw, law->command->size);
	switch (law->cmd) {
	case IOMMU_IOAS_IOVA_RANGES:
		law->array = ranges->allowed_iovas;
		law->array_size = ranges->num_iovas * sizeof(struct iommu_iova_range);
		break;
	case IOMMU_GET_HW_INFO:
		law->array = info->data_uptr;
		law->array_size = info->data_len;
		break;
	case IOMMU_HWPT_GET_DIRTY_BITMAP:
		law->array = dirty->data;
		/* A bit is of what the lowest bit of the page size says. */
		lowest = dirty->page_size & -dirty->page_size;
		law->array_size = lowest ? dirty->length / lowest / 8 + 1 : 0;
		break;
	case IOMMU_VIOMMU_ALLOC:
		law->array = viommu->data_uptr;
		law->array_size = viommu->data_len;
		break;
	case IOMMU_TEST_CMD:
		if (test->op != IOMMU_TEST_OP_ACCESS_RW)
			break;
		law->array = test->access_rw.uptr;
		law->array_size = test->access_rw.length;
		/* Anything of the arena may be mapped. */
		law->anywhere = test->access_rw.flags & MOCK_ACCESS_RW_WRITE;
	}
}

static bool rest_is_zero(const struct law *law)
{
	size_t from = law->command->size, n = law->size < law->readable ? law->size : law->readable;

	for (size_t i = from; i < n; i++)
		if (*arena_raw(&law->caller->arena, law->arg + i, 1))
			return false;
	return true;
}

void law_before(struct law *law)
{
	const struct caller *caller = law->caller;
	unsigned char *raw;

	if (!caller->alone)
		return;
	law->owned = iommuse_owns(caller->world->system, law->fd);
	for (size_t i = 0; i < WORLD_MADE; i++)
		law->made |= law->fd >= 0 && caller->world->made[i] == law->fd;
	law->readable = arena_readable(&caller->arena, law->arg, ARENA_SIZE);
	raw = arena_raw(&caller->arena, law->arg, sizeof(law->size));
	if (raw)
		memcpy(&law->size, raw, sizeof(law->size));
	if (law->command && law->command->style == COMMAND_SIZED) {
		law->rest_is_zero = rest_is_zero(law);
		expect_array(law);
	}
	memcpy(caller->before, caller->arena.raw, ARENA_SIZE);
}

/* What may have been written no longer counts. */
static void forgive(const struct caller *caller, uint64_t address, uint64_t n)
{
	uint64_t at = address - (uintptr_t)caller->arena.view;

	if (at >= ARENA_SIZE)
		return;
	if (n > ARENA_SIZE - at)
		n = ARENA_SIZE - at;
	memcpy(caller->before + at, caller->arena.raw + at, n);
}

static void check_written(const struct law *law)
{
	const struct caller *caller = law->caller;
	const struct command *command = law->command;

	if (command && command->style == COMMAND_ARGSZ)
		forgive(caller, law->arg, law->size > command->size ? law->size : command->size);
	else if (command && command->style == COMMAND_SIZED)
		forgive(caller, law->arg, law->size < command->size ? law->size : command->size);
	if (law->pasids)
		forgive(caller, law->arg, sizeof(struct ioasid_info));
	forgive(caller, law->array, law->array_size);
	if (!law->anywhere && memcmp(caller->before, caller->arena.raw, ARENA_SIZE) != 0)
		broken(law, "memory beside the answer changed");
}

/* What the law of sizes says: 0: the handler decides, 1: EFAULT or E2BIG. */
static int expected(const struct law *law)
{
	const uint32_t nr = (law->cmd & 0xff) - FIRST;
	const struct command *command = law->command;

	if (!law->owned)
		return -EBADF;
	if (law->pasids)
		return 0;
	if (law->made)
		return -ENOTTY;
	if (nr >= (law->caller->world->selftest ? WITH_TEST : WITHOUT_TEST))
		return command && command->style != COMMAND_SIZED ? 0 : -ENOTTY;
	if (law->readable < sizeof(law->size))
		return -EFAULT;
	if (!command)
		return -ENOTTY;
	if (law->size < command->min)
		return -EINVAL;
	if (law->size > command->size && !law->rest_is_zero)
		return law->readable < law->size ? 1 : -E2BIG;
	return law->readable < law->size ? -EFAULT : 0;
}

static void check_law_of_sizes(const struct law *law)
{
	int wanted = expected(law);

	if (wanted == 1 && law->result != -EFAULT && law->result != -E2BIG)
		broken(law, "neither EFAULT nor E2BIG");
	if (wanted < 0 && law->result != wanted)
		broken(law, "not what the law of sizes says");
	if (!wanted && (law->result == -ENOTTY || law->result == -E2BIG) &&
	    !(law->command && law->command->style == COMMAND_ARGSZ))
		broken(law, "against the law of sizes");
}

/* An answer that could not be given is no success. */
static void check_answer(const struct law *law)
{
	const struct command *command = law->command;
	size_t from, to;

	if (law->result || !command || !command->answers)
		return;
	from = command->answer_from;
	to = law->size < command->answer_to ? law->size : command->answer_to;
	if (arena_writable(&law->caller->arena, law->arg + from, to - from) < to - from)
		broken(law, "success without an answer");
}

static bool known(int error)
{
	for (size_t i = 0; i < sizeof(known_errors) / sizeof(known_errors[0]); i++)
		if (known_errors[i] == -error)
			return true;
	return false;
}

static bool may_be_positive(const struct law *law)
{
	if (law->pasids)
		return law->result < 1 << 20;
	if (!law->command)
		return false;
	if (law->command->style == COMMAND_VALUE)
		return law->result == 1;
	/* Here the descriptor is the result. */
	return law->cmd == IOMMU_TEST_CMD && (law->command->op == IOMMU_TEST_OP_DMABUF_GET || !law->caller->alone);
}

/* These refuse what is too long, or the second domain of a PASID, as if memory ran out. */
static bool wants_memory(const struct law *law)
{
	/* A hardware queue that is longer than any is refused so. */
	return (law->cmd == IOMMU_TEST_CMD || law->cmd == IOMMU_HW_QUEUE_ALLOC) && law->result == -ENOMEM;
}

void law_after(struct law *law)
{
	const uint32_t removal[] = {IOMMU_IOAS_UNMAP, IOMMU_DESTROY};

	if (law->result > 0 && !may_be_positive(law))
		broken(law, "positive");
	for (size_t i = 0; i < 2; i++)
		if (law->cmd == removal[i] && law->result == -ENOMEM)
			broken(law, "removal wants memory");
	if (law->result < 0 && !known(law->result) &&
	    !(law->result == -ENOMEM || law->result == -EMFILE || law->result == -ENFILE))
		broken(law, "an error that no command has");
	if (!law->caller->alone)
		return;
	if (law->result < 0 && !known(law->result) && !law->sabotaged && !wants_memory(law))
		broken(law, "memory or descriptors ran out by themselves");
	check_written(law);
	check_answer(law);
	if (!law->sabotaged || !law->owned)
		check_law_of_sizes(law);
}
