/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each allocation of a run of operations fails in turn, also the thread: what fails leaves all as it was, charges and
 * numbers included, and what is there is freed and ended without memory.
 */
#include "ioasid_world.h"

#include <pthread.h>
#include <string.h>

static unsigned left, blocks; /* allocations until one fails; those that are not freed */

static int fails(void)
{
	return left && !--left;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
char *__real_strndup(const char *text, size_t n);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
void __real_free(void *memory);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
char *__wrap_strndup(const char *text, size_t n);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
void __wrap_free(void *memory);

static void *count(void *memory)
{
	blocks += memory ? 1 : 0;
	return memory;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : count(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : count(__real_calloc(n, size));
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails() ? NULL : count(__real_strndup(text, n));
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attributes, run, context);
}

void __wrap_free(void *memory)
{
	blocks -= memory ? 1 : 0;
	__real_free(memory);
}

static uint32_t give(uint32_t min, uint32_t max, void *opaque)
{
	unsigned *given = opaque;

	(void)min;
	++*given;
	return max;
}

static void take(uint32_t id, void *opaque)
{
	unsigned *given = opaque;

	(void)id;
	--*given;
}

static void hear(struct ioasid_notifier *notifier, enum ioasid_event event, const struct ioasid_notice *notice)
{
	(void)notifier;
	(void)event;
	(void)notice;
}

/* Far apart, so that each needs memory of its own. */
static void allocate_many(struct ioasid_space *space, struct ioasid_set *set, struct ioasid_cgroup *cgroup)
{
	unsigned have = 0;

	for (uint32_t i = 1; i < 8; i++) {
		uint32_t id = 0;
		int rc = ioasid_alloc(set, i << 16, UINT32_MAX, cgroup, NULL, &id);

		CHECK(rc == 0 || rc == -ENOMEM);
		CHECK(rc || id == i << 16);
		have += rc ? 0 : 1;
		CHECK_EQ(ioasid_state(space, i << 16), rc ? IOASID_FREE : IOASID_IDLE);
	}
	CHECK_EQ(usage_of(space).in_use, have);
	CHECK_EQ(usage_of(space).available, 0xfffff - have);
	CHECK_EQ(count_of(set).current, have);
	CHECK_EQ(count_of(set).refused, 0);
	CHECK(!cgroup || cgroup->current == have);
}

static void number_many(struct ioasid_set *set)
{
	for (uint32_t i = 1; i < 100; i++) {
		uint32_t id;
		int rc = ioasid_alloc(set, i, i, NULL, NULL, &id);

		CHECK(rc == 0 || rc == -ENOMEM);
		rc = rc ? rc : ioasid_attach_spid(set, i, 1000 + i);
		CHECK(rc == 0 || rc == -ENOMEM);
		CHECK_EQ(ioasid_find_by_spid(set, 1000 + i, false), rc ? IOASID_INVALID : i);
	}
}

static void allocate_elsewhere(struct ioasid_space *space, struct ioasid_set *set)
{
	unsigned given = 0;
	struct ioasid_allocator allocator = {.alloc = give, .free = take, .opaque = &given};
	uint32_t id;
	int rc;

	CHECK_EQ(ioasid_register_allocator(space, &allocator), 0);
	rc = ioasid_alloc(set, 1, 0x81234, NULL, NULL, &id);
	CHECK(rc == 0 || rc == -ENOMEM);
	CHECK_EQ(given, rc ? 0 : 1);
	CHECK(rc || !ioasid_free(set, id));
	CHECK_EQ(given, 0);
	CHECK_EQ(ioasid_unregister_allocator(space, &allocator), 0);
}

static void use(struct ioasid_space *space)
{
	struct ioasid_notifier listener = {.notify = hear};
	struct ioasid_set *set;
	int rc = ioasid_cgroup_add(space, "/a", 100);

	CHECK(rc == 0 || rc == -ENOMEM);
	rc = ioasid_register_notifier(space, NULL, &listener);
	CHECK(rc == 0 || rc == -EAGAIN);
	rc = ioasid_set_new(space, 1, 1, ANY_NUMBER, IOASID_SET_MM, &set);
	CHECK(rc == 0 || rc == -ENOMEM);
	if (!rc) {
		allocate_elsewhere(space, set);
		allocate_many(space, set, ioasid_cgroup_find(space, "/a"));
		number_many(set);
		left = 1; /* no memory any more */
		ioasid_set_end(set);
		left = 0;
		CHECK_EQ(usage_of(space).in_use, 0);
		CHECK(!ioasid_cgroups(space) || !ioasid_cgroups(space)->current);
	}
	ioasid_unregister_notifier(space, &listener);
}

/* One chunk of records is kept, and the one that PASID 0 would be in. */
static void what_is_free_needs_no_memory(void)
{
	enum { MANY = 100000 };
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set;
	unsigned empty = blocks;

	set = set_of(space, 1, ANY_NUMBER);
	for (uint32_t i = 1; i <= MANY; i++)
		CHECK_EQ(alloc(set), i);
	CHECK(blocks > empty + MANY / 1000);
	for (uint32_t i = 1; i <= MANY; i++)
		CHECK_EQ(ioasid_free(set, i), 0);
	ioasid_set_end(set);
	CHECK(blocks <= empty + 2);
	ioasid_space_free(space);
}

int main(void)
{
	unsigned before = blocks, n, failed = 0;

	what_is_free_needs_no_memory();
	CHECK_EQ(blocks, before);
	for (n = 1; n < 160; n++) {
		struct ioasid_space *space;
		int rc;

		left = n;
		rc = ioasid_space_new(20, &space);
		CHECK(rc == 0 || rc == -ENOMEM);
		if (!rc) {
			use(space);
			left = 0;
			ioasid_space_free(space);
		}
		failed += rc ? 1 : 0;
		CHECK_EQ(blocks, before);
	}
	CHECK_EQ(failed, 3);
	return check_result();
}
