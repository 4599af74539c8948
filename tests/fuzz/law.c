/* SPDX-License-Identifier: BSD-3-Clause */
#include "law.h"

#include "abi/iommufd.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#define FIRST        0x80U
#define WITHOUT_TEST 0x15U
#define WITH_TEST    0x21U

static const int known_errors[] = {
	EPERM,  ENOENT, EFAULT,   EBUSY,     EEXIST, ENODEV, EINVAL,     ENOTTY,
	ENOSPC, E2BIG,  EMSGSIZE, EOVERFLOW, EBADF,  EBADFD, EOPNOTSUPP, EADDRINUSE,
};

static _Noreturn void broken(const struct law *law, const char *what)
{
	fuzz_fail("%s: %s (%#x) of descriptor %d, size %u, %zu bytes readable, result %d", what,
		  law->command ? law->command->name : "no command", law->cmd, law->fd, law->size, law->readable,
		  law->result);
}

/* There is one range at most, as nothing reserves any. */
static void expect_ranges(struct law *law)
{
	struct iommu_ioas_iova_ranges asked;
	const unsigned char *raw = arena_raw(&law->caller->arena, law->arg, sizeof(asked));

	if (!raw)
		return;
	memcpy(&asked, raw, sizeof(asked));
	law->array = asked.allowed_iovas;
	law->array_size = asked.num_iovas ? sizeof(struct iommu_iova_range) : 0;
}

void law_before(struct law *law)
{
	const struct caller *caller = law->caller;
	unsigned char *raw;

	if (!caller->alone)
		return;
	law->owned = iommuse_owns(caller->world->system, law->fd);
	for (size_t i = 0; i < WORLD_QUEUES; i++)
		law->queue |= law->fd >= 0 && caller->world->queue[i] == law->fd;
	law->readable = arena_readable(&caller->arena, law->arg, ARENA_SIZE);
	raw = arena_raw(&caller->arena, law->arg, sizeof(law->size));
	if (raw)
		memcpy(&law->size, raw, sizeof(law->size));
	if (law->cmd == IOMMU_IOAS_IOVA_RANGES)
		expect_ranges(law);
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
	forgive(caller, law->array, law->array_size);
	if (memcmp(caller->before, caller->arena.raw, ARENA_SIZE) != 0)
		broken(law, "memory beside the answer changed");
}

/* The rest of a longer structure: is it zero, as far as can be seen? */
static bool rest_is_zero(const struct law *law)
{
	size_t from = law->command->size, n = law->size < law->readable ? law->size : law->readable;

	for (size_t i = from; i < n; i++)
		if (*arena_raw(&law->caller->arena, law->arg + i, 1))
			return false;
	return true;
}

/* What the law of sizes says: 0: the handler decides, 1: EFAULT or E2BIG. */
static int expected(const struct law *law)
{
	const uint32_t nr = (law->cmd & 0xff) - FIRST;
	const struct command *command = law->command;

	if (!law->owned)
		return -EBADF;
	if (law->queue)
		return -ENOTTY;
	if (nr >= (law->caller->world->selftest ? WITH_TEST : WITHOUT_TEST))
		return command && command->style != COMMAND_SIZED ? 0 : -ENOTTY;
	if (law->readable < sizeof(law->size))
		return -EFAULT;
	if (!command)
		return -ENOTTY;
	if (law->size < command->min)
		return -EINVAL;
	if (law->size > command->size && !rest_is_zero(law))
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

void law_after(struct law *law)
{
	const uint32_t removal[] = {IOMMU_IOAS_UNMAP, IOMMU_DESTROY};

	if (law->result > 0 && !(law->command && law->command->style == COMMAND_VALUE && law->result == 1))
		broken(law, "positive");
	for (size_t i = 0; i < 2; i++)
		if (law->cmd == removal[i] && law->result == -ENOMEM)
			broken(law, "removal wants memory");
	if (law->result < 0 && !known(law->result) &&
	    !(law->result == -ENOMEM || law->result == -EMFILE || law->result == -ENFILE))
		broken(law, "an error that no command has");
	if (!law->caller->alone)
		return;
	if (law->result < 0 && !known(law->result) && !law->sabotaged)
		broken(law, "memory or descriptors ran out by themselves");
	check_written(law);
	check_answer(law);
	if (!law->sabotaged || !law->owned)
		check_law_of_sizes(law);
}
