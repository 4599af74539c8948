/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same calls by several threads on the same files, while another thread changes the arguments and one closes and
 * opens the files. No answer is predictable; but nothing crashes, waits for ever or stays behind.
 */
#include "calls.h"
#include "fuzz.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define CALLERS 3U

#ifdef __SANITIZE_THREAD__
/* Two DMAs to the same bytes of a client: in which order they come is not for us to say. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
	return "race:local_mm_copy\n";
}
#endif

static struct caller callers[CALLERS];

/* What the threads of one input share. */
struct run {
	struct world world;
	const uint8_t *records;
	size_t count;
	_Atomic unsigned working; /* callers that are not done */
	_Atomic unsigned ready;   /* threads that have started */
};

struct thread {
	pthread_t id;
	struct run *run;
	unsigned number;
};

static void start_together(struct run *run)
{
	atomic_fetch_add(&run->ready, 1);
	while (atomic_load(&run->ready) < CALLERS + 2)
		sched_yield();
}

/* Each begins at another record. */
static void *make_calls(void *context)
{
	struct thread *thread = context;
	struct run *run = thread->run;
	struct caller *caller = &callers[thread->number];
	size_t offset = run->count * thread->number / CALLERS;
	struct record r;

	start_together(run);
	for (size_t n = 0; n < run->count; n++) {
		memcpy(&r, run->records + (n + offset) % run->count * RECORD, RECORD);
		call(caller, &r);
	}
	atomic_fetch_sub(&run->working, 1);
	return NULL;
}

/* Numbers that mean something where they land: small ones most of all. */
static void *change_arguments(void *context)
{
	struct thread *thread = context;
	struct run *run = thread->run;
	uint64_t state = run->count;

	start_together(run);
	while (atomic_load(&run->working)) {
		uint64_t dice = fuzz_random(&state);
		struct arena *arena = &callers[dice % CALLERS].arena;
		size_t page = dice / 4 % 4 ? 0 : dice / 16 % ARENA_PAGES;
		uint32_t value = dice / 256 % 8 ? (uint32_t)(dice >> 32) % 64 : (uint32_t)(dice >> 32);

		arena_put(arena->raw + page * ARENA_PAGE + 64 + dice / 4096 % 12 * 4, &value, sizeof(value));
		if (dice / 65536 % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static void *close_and_open(void *context)
{
	struct thread *thread = context;
	struct run *run = thread->run;
	uint64_t state = run->count;

	start_together(run);
	while (atomic_load(&run->working)) {
		uint64_t dice = fuzz_random(&state);

		if (dice % 4 == 0)
			world_close(&run->world, &run->world.made[dice / 4 % WORLD_MADE]);
		else
			world_reopen(&run->world, &run->world.file[dice / 4 % WORLD_FILES], dice / 64 % 2);
		for (size_t n = dice / 1024 % 64; n; n--)
			sched_yield();
	}
	return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	calls_init();
	for (size_t i = 0; i < CALLERS; i++)
		arena_make(&callers[i].arena);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void *(*const parts[CALLERS + 2])(void *) = {make_calls, make_calls, make_calls, change_arguments,
							    close_and_open};
	struct run run = {.records = data + RECORD, .count = size / RECORD, .working = CALLERS};
	struct thread threads[CALLERS + 2];
	struct head head;

	if (run.count < 2 || run.count > RECORDS_MAX)
		return 0;
	run.count--;
	memcpy(&head, data, RECORD);
	world_open(&run.world, &head, false);
	for (unsigned i = 0; i < CALLERS; i++)
		callers[i].world = &run.world;
	for (unsigned i = 0; i < CALLERS + 2; i++) {
		threads[i] = (struct thread){.run = &run, .number = i};
		if (pthread_create(&threads[i].id, NULL, parts[i], &threads[i]))
			fuzz_fail("pthread_create");
	}
	for (unsigned i = 0; i < CALLERS + 2; i++)
		pthread_join(threads[i].id, NULL);
	iommuse_free(run.world.system);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	return fuzz_mutate_records(data, size, max_size, RECORD, seed);
}
