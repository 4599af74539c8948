/* SPDX-License-Identifier: BSD-3-Clause */
/* Guests' numbers of PASIDs. */
#include "pasid/spid.h"

#include "ioasid_world.h"

static void a_number_belongs_to_one_pasid_of_a_set(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *a = set_of(space, 1, ANY_NUMBER), *b = set_of(space, 2, ANY_NUMBER);

	CHECK_EQ(alloc(a), 1);
	CHECK_EQ(alloc(a), 2);
	CHECK_EQ(alloc(b), 3);
	CHECK_EQ(ioasid_attach_spid(a, 1, 10), 0);
	CHECK_EQ(ioasid_attach_spid(a, 2, 10), -EINVAL);
	CHECK_EQ(ioasid_attach_spid(a, 1, 10), -EINVAL);
	CHECK_EQ(ioasid_attach_spid(b, 3, 10), 0);
	CHECK_EQ(ioasid_find_by_spid(a, 10, false), 1);
	CHECK_EQ(ioasid_find_by_spid(b, 10, false), 3);
	CHECK_EQ(ioasid_find_by_spid(b, 11, false), IOASID_INVALID);
	CHECK_EQ(ioasid_attach_spid(a, 1, 11), 0);
	CHECK_EQ(ioasid_find_by_spid(a, 10, false), IOASID_INVALID);
	CHECK_EQ(ioasid_find_by_spid(a, 11, false), 1);
	CHECK_EQ(ioasid_attach_spid(a, 2, 10), 0);
	ioasid_set_end(a);
	ioasid_set_end(b);
	ioasid_space_free(space);
}

/* As the documents have it, and the code had it not. */
static void only_the_owner_attaches_and_detaches(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *a = set_of(space, 1, ANY_NUMBER), *b = set_of(space, 2, ANY_NUMBER);

	CHECK_EQ(ioasid_attach_spid(a, 1, 10), -ENOENT);
	CHECK_EQ(ioasid_attach_spid(a, UINT32_MAX, 10), -ENOENT);
	CHECK_EQ(ioasid_detach_spid(a, 1), -ENOENT);
	CHECK_EQ(alloc(a), 1);
	CHECK_EQ(ioasid_attach_spid(b, 1, 10), -EACCES);
	CHECK_EQ(ioasid_attach_spid(a, 1, 10), 0);
	CHECK_EQ(ioasid_detach_spid(b, 1), -EACCES);
	CHECK_EQ(ioasid_detach_spid(a, 1), 0);
	CHECK_EQ(ioasid_detach_spid(a, 1), -ENOENT);
	ioasid_set_end(a);
	ioasid_set_end(b);
	ioasid_space_free(space);
}

/* F.5, 13 */
static void no_number_is_never_found(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(ioasid_find_by_spid(set, 0, false), IOASID_INVALID);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_attach_spid(set, 1, IOASID_INVALID), -EINVAL);
	CHECK_EQ(ioasid_find_by_spid(set, IOASID_INVALID, true), IOASID_INVALID);
	CHECK_EQ(ioasid_find_by_spid(set, 0, true), IOASID_INVALID);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* F.5, 13 */
static void one_that_was_freed_is_not_found(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_attach_spid(set, 1, 10), 0);
	CHECK_EQ(ioasid_find_by_spid(set, 10, true), 1);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE_PENDING);
	CHECK_EQ(ioasid_find_by_spid(set, 10, true), IOASID_INVALID);
	CHECK_EQ(ioasid_attach_spid(set, 1, 11), -EBUSY);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(ioasid_attach_spid(set, 2, 10), -EINVAL);
	CHECK_EQ(ioasid_detach_spid(set, 1), 0);
	CHECK_EQ(ioasid_attach_spid(set, 2, 10), 0);
	CHECK(ioasid_put(space, 1));
	CHECK_EQ(ioasid_find_by_spid(set, 10, false), 2);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void a_fresh_set_has_none_of_the_old_ones_numbers(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *old = set_of(space, 1, ANY_NUMBER), *fresh;

	CHECK_EQ(alloc(old), 1);
	CHECK_EQ(ioasid_attach_spid(old, 1, 10), 0);
	CHECK_EQ(bind(space, 1, 1), 0);
	ioasid_set_end(old);
	fresh = set_of(space, 1, ANY_NUMBER);
	CHECK_EQ(ioasid_find_by_spid(fresh, 10, true), IOASID_INVALID);
	CHECK_EQ(alloc(fresh), 2);
	CHECK_EQ(ioasid_attach_spid(fresh, 2, 10), 0);
	CHECK_EQ(ioasid_attach_spid(fresh, 1, 11), -EACCES);
	ioasid_unbind(space, 1);
	CHECK_EQ(ioasid_find_by_spid(fresh, 10, false), 2);
	ioasid_set_end(fresh);
	ioasid_space_free(space);
}

static void many_numbers_are_found(void)
{
	enum { MANY = 20000 };
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set[2] = {set_of(space, 1, ANY_NUMBER), set_of(space, 2, ANY_NUMBER)};
	unsigned wrong = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		int64_t id = alloc(set[i % 2]);

		wrong += ioasid_attach_spid(set[i % 2], (uint32_t)id, i / 2 * 0x10001) != 0;
	}
	for (uint32_t i = 0; i < MANY; i++)
		wrong += ioasid_find_by_spid(set[i % 2], i / 2 * 0x10001, false) != i + 1;
	for (uint32_t i = 0; i < MANY; i += 3)
		wrong += ioasid_detach_spid(set[i % 2], i + 1) != 0;
	for (uint32_t i = 0; i < MANY; i++)
		wrong += ioasid_find_by_spid(set[i % 2], i / 2 * 0x10001, false) != (i % 3 ? i + 1 : IOASID_INVALID);
	CHECK_EQ(wrong, 0);
	ioasid_set_end(set[0]);
	CHECK_EQ(ioasid_find_by_spid(set[1], 0x20002, false), 6);
	ioasid_set_end(set[1]);
	ioasid_space_free(space);
}

int main(void)
{
	a_number_belongs_to_one_pasid_of_a_set();
	only_the_owner_attaches_and_detaches();
	no_number_is_never_found();
	one_that_was_freed_is_not_found();
	a_fresh_set_has_none_of_the_old_ones_numbers();
	many_numbers_are_found();
	return check_result();
}
