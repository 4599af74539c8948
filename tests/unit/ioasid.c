/* SPDX-License-Identifier: BSD-3-Clause */
/* PASIDs and their sets: what sections F.2 and F.3 of the interface promise, and what F.5 says went wrong. */
#include "pasid/ioasid.h"

#include "ioasid_world.h"

/* The space. */

static void a_space_has_1_to_20_bits(void)
{
	struct ioasid_space *space;

	CHECK_EQ(ioasid_space_new(0, &space), -EINVAL);
	CHECK_EQ(ioasid_space_new(21, &space), -EINVAL);
	for (unsigned bits = 1; bits <= 20; bits++) {
		struct ioasid_set *set;

		space = space_of(bits);
		set = set_of(space, 1, ANY_NUMBER);
		CHECK_EQ(usage_of(space).capacity, (1 << bits) - 1);
		CHECK_EQ(alloc_in(set, (1U << bits) - 1, UINT32_MAX), (1 << bits) - 1);
		CHECK_EQ(alloc_in(set, (1U << bits) - 1, UINT32_MAX), -ENOSPC);
		CHECK_EQ(alloc_in(set, 1U << bits, UINT32_MAX), -ENOSPC);
		ioasid_set_end(set);
		ioasid_space_free(space);
	}
}

/* F.2; F.5, 8 */
static void pasid_0_is_never_given_out(void)
{
	struct ioasid_space *space = space_of(3);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	bool held = true;

	CHECK_EQ(alloc_in(set, 0, 0), -ENOSPC);
	for (int i = 1; i < 8; i++)
		CHECK_EQ(alloc_in(set, 0, UINT32_MAX), i);
	CHECK_EQ(alloc_in(set, 0, UINT32_MAX), -ENOSPC);
	CHECK_EQ(ioasid_free(set, 0), -EINVAL);
	CHECK_EQ(ioasid_get(space, NULL, 0), -ENOENT);
	CHECK_EQ(ioasid_bind(space, 1, 0, &held), 0);
	CHECK(!held);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void the_lowest_free_of_the_range_is_given_out(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc_in(set, 5000, 5001), 5000);
	CHECK_EQ(alloc_in(set, 5000, 5001), 5001);
	CHECK_EQ(alloc_in(set, 5000, 5001), -ENOSPC);
	CHECK_EQ(alloc_in(set, 5000, 5002), 5002);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(alloc(set), 3);
	CHECK_EQ(ioasid_free(set, 2), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(alloc(set), 4);
	CHECK_EQ(alloc_in(set, 0xfffff, 0xfffff), 0xfffff);
	CHECK_EQ(alloc_in(set, 0xfffff, UINT32_MAX), -ENOSPC);
	CHECK_EQ(alloc_in(set, 0xffffe, UINT32_MAX), 0xffffe);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void a_range_outside_of_the_space_is_enospc(void)
{
	struct ioasid_space *space = space_of(4);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc_in(set, 16, 16), -ENOSPC);
	CHECK_EQ(alloc_in(set, 0x7fffffff, UINT32_MAX), -ENOSPC);
	CHECK_EQ(alloc_in(set, 15, 16), 15);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* F.5, 9 */
static void each_failure_has_its_own_error(void)
{
	struct ioasid_space *space = space_of(3);
	struct ioasid_set *set = set_of(space, 1, 2), *other = set_of(space, 2, ANY_NUMBER);

	CHECK_EQ(alloc_in(set, 3, 2), -EINVAL);
	CHECK_EQ(alloc_in(set, 8, 9), -ENOSPC);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(alloc(set), -EAGAIN);
	CHECK_EQ(ioasid_free(set, 0), -EINVAL);
	CHECK_EQ(ioasid_free(set, 3), -ENOENT);
	CHECK_EQ(ioasid_free(set, 8), -ENOENT);
	CHECK_EQ(ioasid_free(set, UINT32_MAX), -ENOENT);
	CHECK_EQ(alloc(other), 3);
	CHECK_EQ(ioasid_free(set, 3), -EACCES);
	CHECK_EQ(ioasid_free(other, 1), -EACCES);
	ioasid_set_end(other);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void a_million_are_given_out_and_taken_back(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	uint32_t wrong = 0;

	for (uint32_t i = 1; i < 1U << 20; i++)
		wrong += alloc(set) != i;
	CHECK_EQ(wrong, 0);
	CHECK_EQ(alloc(set), -ENOSPC);
	CHECK_EQ(usage_of(space).in_use, (1 << 20) - 1);
	CHECK_EQ(usage_of(space).available, 0);
	for (uint32_t i = 1; i < 1U << 20; i += 2)
		wrong += ioasid_free(set, i) != 0;
	for (uint32_t i = 1; i < 1U << 20; i += 2)
		wrong += alloc(set) != i;
	CHECK_EQ(wrong, 0);
	CHECK_EQ(alloc(set), -ENOSPC);
	ioasid_set_end(set);
	CHECK_EQ(usage_of(space).in_use, 0);
	set = set_of(space, 1, ANY_NUMBER);
	CHECK_EQ(alloc(set), 1);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* Sets. */

/* F.3; F.5, 1 */
static void a_set_of_an_address_space_needs_its_token(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set;

	CHECK_EQ(ioasid_set_new(space, 0, 0, 1, IOASID_SET_MM, &set), -EINVAL);
	CHECK_EQ(ioasid_set_new(space, 1, 1, 1, IOASID_SET_NULL, &set), -EINVAL);
	CHECK_EQ(ioasid_set_new(space, 1, 1, 1, (enum ioasid_set_type)2, &set), -EINVAL);
	CHECK_EQ(ioasid_set_new(space, 1, 1, 0, IOASID_SET_MM, &set), -EINVAL);
	CHECK_EQ(ioasid_set_new(space, 1, 0, 1, IOASID_SET_MM, &set), -EINVAL); /* of no process */
	CHECK_EQ(ioasid_set_new(space, 0, 1, 1, IOASID_SET_NULL, &set), -EINVAL);
	CHECK(!ioasid_set_of_token(space, 0));
	ioasid_space_free(space);
}

static void a_token_has_one_set(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 7, ANY_NUMBER), *found;

	CHECK_EQ(ioasid_set_new(space, 7, 7, 1, IOASID_SET_MM, &found), -EEXIST);
	found = ioasid_set_of_token(space, 7);
	CHECK(found == set);
	CHECK(!ioasid_set_of_token(space, 8));
	ioasid_set_end(set);
	CHECK(!ioasid_set_of_token(space, 7));
	CHECK_EQ(alloc(found), -EINVAL);
	ioasid_set_put(found);
	ioasid_space_free(space);
}

static void sets_without_a_token_are_as_many_as_wanted(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *a = set_of(space, 0, 1), *b = set_of(space, 0, 1);

	CHECK_EQ(alloc(a), 1);
	CHECK_EQ(alloc(b), 2);
	CHECK_EQ(ioasid_free(a, 2), -EACCES);
	ioasid_set_end(a);
	ioasid_set_end(b);
	ioasid_space_free(space);
}

/* F.5, 12 */
static void a_set_outlives_its_last_pasid(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(count_of(set).current, 0);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* F.5, 14: the record of the owner stays until the last reference goes, and the process may open it again. */
static void what_is_in_use_outlives_its_set_and_a_fresh_one_may_be_made(void)
{
	struct ioasid_space *space = space_of(3);
	struct ioasid_set *set = set_of(space, 7, ANY_NUMBER), *fresh, *found;

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(bind(space, 7, 2), 0);
	ioasid_set_end(set);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	CHECK_EQ(ioasid_state(space, 2), IOASID_FREE_PENDING);
	fresh = set_of(space, 7, ANY_NUMBER);
	CHECK_EQ(alloc(fresh), 1);
	CHECK_EQ(alloc(fresh), 3);
	CHECK_EQ(count_of(fresh).current, 3); /* all that the token has */
	CHECK_EQ(ioasid_find_set(space, 2, &found), 0);
	CHECK(found == set);
	CHECK_EQ(count_of(found).current, 3);
	ioasid_set_put(found);
	CHECK_EQ(ioasid_free(fresh, 2), 0); /* it was freed already */
	CHECK_EQ(bind(space, 7, 2), -EBUSY);
	CHECK_EQ(bind(space, 8, 2), -EACCES);
	ioasid_unbind(space, 2);
	CHECK_EQ(ioasid_state(space, 2), IOASID_FREE);
	CHECK_EQ(ioasid_free(fresh, 2), -ENOENT);
	CHECK_EQ(alloc(fresh), 2);
	ioasid_set_end(fresh);
	ioasid_space_free(space);
}

/* F.5, 4 */
static void a_new_token_inherits_nothing(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *old = set_of(space, 7, ANY_NUMBER), *new;

	CHECK_EQ(alloc(old), 1);
	CHECK_EQ(bind(space, 7, 1), 0);
	ioasid_set_end(old);
	new = set_of(space, 8, ANY_NUMBER);
	CHECK_EQ(ioasid_free(new, 1), -EACCES);
	CHECK_EQ(bind(space, 8, 1), -EACCES);
	CHECK_EQ(count_of(new).current, 0);
	ioasid_unbind(space, 1);
	ioasid_set_end(new);
	ioasid_space_free(space);
}

/* F.3, free_all; F.5, 13: with the last that is freed the set is still used. */
static void the_end_of_a_set_frees_all_that_it_has_and_nothing_else(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *a = set_of(space, 1, ANY_NUMBER), *b = set_of(space, 2, ANY_NUMBER);

	for (int i = 1; i <= 10000; i++)
		CHECK_EQ(alloc(i % 2 ? a : b), i);
	CHECK_EQ(alloc_in(a, 0xfffff, 0xfffff), 0xfffff);
	CHECK_EQ(ioasid_get(space, a, 3), 0);
	CHECK_EQ(ioasid_get(space, a, 0xfffff), 0);
	ioasid_set_end(a);
	CHECK_EQ(count_of(b).current, 5000);
	CHECK_EQ(usage_of(space).in_use, 5002);
	CHECK_EQ(usage_of(space).pending, 2);
	CHECK(ioasid_put(space, 0xfffff));
	CHECK(ioasid_put(space, 3));
	for (int i = 1; i <= 10000; i++)
		CHECK_EQ(ioasid_state(space, (uint32_t)i), i % 2 ? IOASID_FREE : IOASID_IDLE);
	ioasid_set_end(b);
	CHECK_EQ(usage_of(space).in_use, 0);
	CHECK_EQ(usage_of(space).pending, 0);
	ioasid_space_free(space);
}

static void a_set_is_gone_through_in_order(void)
{
	static const uint32_t ids[] = {1, 63, 64, 65, 4095, 4096, 70000, 0xfffff};
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER), *other = set_of(space, 2, ANY_NUMBER);
	uint32_t at = 0;

	CHECK(!ioasid_set_next(set, &at));
	for (size_t i = sizeof(ids) / sizeof(*ids); i-- > 0;)
		CHECK_EQ(alloc_in(set, ids[i], ids[i]), ids[i]);
	CHECK_EQ(alloc(other), 2);
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++, at++) {
		CHECK(ioasid_set_next(set, &at));
		CHECK_EQ(at, ids[i]);
	}
	CHECK(!ioasid_set_next(set, &at));
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	at = 0;
	CHECK(ioasid_set_next(set, &at));
	CHECK_EQ(at, 63); /* what was freed is the set's no more, though it is not free */
	CHECK(ioasid_put(space, 1));
	ioasid_set_end(set);
	ioasid_set_end(other);
	ioasid_space_free(space);
}

static void a_small_space_is_gone_through(void)
{
	struct ioasid_space *space = space_of(1);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	uint32_t at = 0;

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc(set), -ENOSPC);
	CHECK(ioasid_set_next(set, &at));
	CHECK_EQ(at, 1);
	at = 2;
	CHECK(!ioasid_set_next(set, &at));
	at = UINT32_MAX;
	CHECK(!ioasid_set_next(set, &at));
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* States. */

static void an_idle_one_is_free_at_once(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_state(space, 1), IOASID_IDLE);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	CHECK_EQ(ioasid_free(set, 1), -ENOENT);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* F.2: alloc 1, the IOMMU binds 2, KVM 3, a device 4, and all of them let go after it was freed. */
static void it_is_free_when_the_last_reference_goes(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(bind(space, 1, 1), 0);
	CHECK_EQ(ioasid_state(space, 1), IOASID_ACTIVE);
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	CHECK_EQ(ioasid_get(space, NULL, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE_PENDING);
	CHECK(!ioasid_put(space, 1));
	ioasid_unbind(space, 1);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE_PENDING);
	CHECK_EQ(alloc(set), 2);
	CHECK(ioasid_put(space, 1));
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	CHECK_EQ(alloc(set), 1);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void to_free_it_again_while_it_is_in_use_changes_nothing(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(usage_of(space).pending, 1);
	CHECK(!ioasid_put(space, 1));
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK(ioasid_put(space, 1));
	CHECK_EQ(usage_of(space).pending, 0);
	CHECK_EQ(ioasid_free(set, 1), -ENOENT);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* F.3: in this order */
static void get_tells_unknown_pending_and_foreign_ones_apart(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER), *other = set_of(space, 2, ANY_NUMBER);

	CHECK_EQ(ioasid_get(space, set, 1), -ENOENT);
	CHECK_EQ(ioasid_get(space, set, 1U << 20), -ENOENT);
	CHECK_EQ(ioasid_get(space, set, UINT32_MAX), -ENOENT);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_get(space, other, 1), -EACCES);
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_get(space, other, 1), -EBUSY);
	CHECK_EQ(ioasid_get(space, NULL, 1), -EBUSY);
	CHECK(ioasid_put(space, 1));
	ioasid_set_end(set);
	ioasid_set_end(other);
	ioasid_space_free(space);
}

static void put_takes_nobody_elses_reference(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK(!ioasid_put(space, 0));
	CHECK(!ioasid_put(space, 1));
	CHECK(!ioasid_put(space, UINT32_MAX));
	CHECK_EQ(alloc(set), 1);
	CHECK(!ioasid_put(space, 1));
	CHECK_EQ(bind(space, 1, 1), 0);
	CHECK(!ioasid_put(space, 1));
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK(!ioasid_put(space, 1));
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE_PENDING);
	ioasid_unbind(space, 1);
	ioasid_unbind(space, 1);
	ioasid_unbind(space, 0);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void devices_bind_what_the_asking_process_owns_or_nobody(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 7, ANY_NUMBER), *ours = set_of(space, 0, ANY_NUMBER);
	bool held = true;

	CHECK_EQ(ioasid_bind(space, 7, 1, &held), 0);
	CHECK(!held);
	held = true;
	CHECK_EQ(ioasid_bind(space, 7, UINT32_MAX, &held), 0);
	CHECK(!held);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc(ours), 2);
	CHECK_EQ(bind(space, 8, 1), -EACCES);
	CHECK_EQ(bind(space, 7, 2), -EACCES);
	CHECK_EQ(bind(space, 0, 1), -EACCES);
	CHECK_EQ(bind(space, 0, 2), 0);
	CHECK_EQ(bind(space, 7, 1), 0);
	CHECK_EQ(bind(space, 7, 1), 0);
	ioasid_unbind(space, 1);
	CHECK_EQ(ioasid_state(space, 1), IOASID_ACTIVE);
	ioasid_unbind(space, 1);
	CHECK_EQ(ioasid_state(space, 1), IOASID_IDLE);
	CHECK_EQ(bind(space, 7, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(bind(space, 7, 1), -EBUSY);
	ioasid_unbind(space, 1);
	ioasid_unbind(space, 2);
	ioasid_set_end(set);
	ioasid_set_end(ours);
	ioasid_space_free(space);
}

/* Data. */

static unsigned taken;

static bool take(void *data)
{
	taken++;
	return *(bool *)data;
}

static void data_is_found_by_who_owns_it(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER), *other = set_of(space, 2, ANY_NUMBER), *found;
	bool yes = true, no = false;
	void *data = &no;
	uint32_t id;

	CHECK_EQ(ioasid_find(space, set, 1, NULL, &data), -ENOENT);
	CHECK_EQ(ioasid_find_set(space, 1, &found), -ENOENT);
	CHECK_EQ(ioasid_alloc(set, 1, 1, NULL, &yes, &id), 0);
	CHECK_EQ(ioasid_find(space, other, 1, NULL, &data), -EACCES);
	CHECK_EQ(ioasid_find(space, set, 1, NULL, &data), 0);
	CHECK(data == &yes);
	CHECK_EQ(ioasid_find(space, NULL, 1, take, &data), 0);
	CHECK(data == &yes && taken == 1);
	CHECK_EQ(ioasid_find_set(space, 1, &found), 0);
	CHECK(found == set);
	ioasid_set_put(found);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(ioasid_find(space, set, 2, take, &data), 0);
	CHECK(!data && taken == 1);
	CHECK_EQ(ioasid_attach_data(set, 2, &no), 0);
	CHECK_EQ(ioasid_find(space, set, 2, take, &data), 0);
	CHECK(!data && taken == 2);
	ioasid_set_end(set);
	ioasid_set_end(other);
	ioasid_space_free(space);
}

static void data_is_attached_once_and_by_the_owner(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER), *other = set_of(space, 2, ANY_NUMBER);
	int a, b;
	void *data;

	CHECK_EQ(ioasid_attach_data(set, 1, &a), -ENOENT);
	CHECK_EQ(ioasid_detach_data(set, 1, &data), -ENOENT);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_detach_data(set, 1, &data), -ENOENT);
	CHECK_EQ(ioasid_attach_data(other, 1, &a), -EACCES);
	CHECK_EQ(ioasid_attach_data(set, 1, &a), 0);
	CHECK_EQ(ioasid_attach_data(set, 1, &b), -EBUSY);
	CHECK_EQ(ioasid_detach_data(other, 1, &data), -EACCES);
	CHECK_EQ(ioasid_detach_data(set, 1, &data), 0);
	CHECK(data == &a);
	CHECK_EQ(ioasid_attach_data(set, 1, &b), 0);
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_detach_data(set, 1, NULL), 0);
	CHECK_EQ(ioasid_attach_data(set, 1, &b), -EBUSY);
	CHECK(ioasid_put(space, 1));
	ioasid_set_end(set);
	ioasid_set_end(other);
	ioasid_space_free(space);
}

static void data_does_not_come_back_with_the_number(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	void *data = set;
	uint32_t id;

	CHECK_EQ(ioasid_alloc(set, 1, 1, NULL, set, &id), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_find(space, set, 1, NULL, &data), 0);
	CHECK(!data);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

int main(void)
{
	a_space_has_1_to_20_bits();
	pasid_0_is_never_given_out();
	the_lowest_free_of_the_range_is_given_out();
	a_range_outside_of_the_space_is_enospc();
	each_failure_has_its_own_error();
	a_million_are_given_out_and_taken_back();
	a_set_of_an_address_space_needs_its_token();
	a_token_has_one_set();
	sets_without_a_token_are_as_many_as_wanted();
	a_set_outlives_its_last_pasid();
	what_is_in_use_outlives_its_set_and_a_fresh_one_may_be_made();
	a_new_token_inherits_nothing();
	the_end_of_a_set_frees_all_that_it_has_and_nothing_else();
	a_set_is_gone_through_in_order();
	a_small_space_is_gone_through();
	an_idle_one_is_free_at_once();
	it_is_free_when_the_last_reference_goes();
	to_free_it_again_while_it_is_in_use_changes_nothing();
	get_tells_unknown_pending_and_foreign_ones_apart();
	put_takes_nobody_elses_reference();
	devices_bind_what_the_asking_process_owns_or_nobody();
	data_is_found_by_who_owns_it();
	data_is_attached_once_and_by_the_owner();
	data_does_not_come_back_with_the_number();
	return check_result();
}
