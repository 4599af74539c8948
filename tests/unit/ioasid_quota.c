/* SPDX-License-Identifier: BSD-3-Clause */
/* How many PASIDs a set, a cgroup and the space may have: sections F.3 and F.4 of the interface. */
#include "ioasid_world.h"

#include <string.h>

/* Sets. */

static void a_set_has_at_most_its_quota(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, 3);

	for (int i = 1; i <= 3; i++)
		CHECK_EQ(alloc(set), i);
	CHECK_EQ(alloc(set), -EAGAIN);
	CHECK_EQ(alloc(set), -EAGAIN);
	CHECK_EQ(count_of(set).current, 3);
	CHECK_EQ(count_of(set).max, 3);
	CHECK_EQ(count_of(set).refused, 2);
	CHECK_EQ(ioasid_free(set, 2), 0);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(count_of(set).refused, 2);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void what_is_free_pending_counts(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, 1);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(bind(space, 1, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(alloc(set), -EAGAIN);
	ioasid_unbind(space, 1);
	CHECK_EQ(alloc(set), 1);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* Also where its owner has given up one set and made another. */
static void what_the_set_before_has_left_counts(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, 2), *other;

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(bind(space, 1, 1), 0);
	ioasid_set_end(set);
	set = set_of(space, 1, 2);
	other = set_of(space, 257, 2); /* in the same list */
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(alloc(set), -EAGAIN);
	CHECK_EQ(count_of(set).current, 2);
	CHECK_EQ(count_of(set).refused, 1);
	CHECK_EQ(alloc(other), 3);
	CHECK_EQ(alloc(other), 4);
	ioasid_unbind(space, 1);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc(set), -EAGAIN);
	ioasid_set_end(set);
	ioasid_set_end(other);
	ioasid_space_free(space);
}

/* And where the process has executed another program, or has left one address space to others. */
static void what_another_set_of_the_process_has_counts(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of_process(space, 1, 1, 3), *next, *other;

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(bind(space, 1, 1), 0);
	next = set_of_process(space, 2, 1, 3);
	other = set_of_process(space, 3, 257, 3); /* in the same list */
	CHECK_EQ(alloc(next), 3);
	CHECK_EQ(alloc(next), -EAGAIN);
	CHECK_EQ(alloc(set), -EAGAIN);
	CHECK_EQ(count_of(next).current, 3);
	CHECK_EQ(count_of(next).refused, 1);
	CHECK_EQ(ioasid_free(next, 2), -EACCES); /* its owner is the other nevertheless */
	CHECK_EQ(bind(space, 2, 2), -EACCES);
	ioasid_set_end(set);
	CHECK_EQ(alloc(next), 2);
	CHECK_EQ(alloc(next), -EAGAIN);
	for (int i = 4; i <= 6; i++)
		CHECK_EQ(alloc(other), i);
	ioasid_unbind(space, 1);
	CHECK_EQ(alloc(next), 1);
	CHECK_EQ(alloc(next), -EAGAIN);
	ioasid_set_end(next);
	CHECK_EQ(count_of(other).current, 3);
	ioasid_set_end(other);
	ioasid_space_free(space);
}

static void other_failures_are_no_refusals_and_cost_nothing(void)
{
	struct ioasid_space *space = space_of(2);
	struct ioasid_set *set = set_of(space, 1, 4);

	CHECK_EQ(alloc_in(set, 4, 9), -ENOSPC);
	CHECK_EQ(alloc_in(set, 2, 1), -EINVAL);
	for (int i = 1; i <= 3; i++)
		CHECK_EQ(alloc(set), i);
	CHECK_EQ(alloc(set), -ENOSPC);
	CHECK_EQ(count_of(set).current, 3);
	CHECK_EQ(count_of(set).refused, 0);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void a_quota_may_be_made_less_than_what_is_there(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, 6);

	for (int i = 1; i <= 6; i++)
		CHECK_EQ(alloc(set), i);
	ioasid_set_limit(set, 5);
	CHECK_EQ(count_of(set).current, 6);
	CHECK_EQ(count_of(set).max, 5);
	CHECK_EQ(ioasid_free(set, 6), 0);
	CHECK_EQ(alloc(set), -EAGAIN);
	CHECK_EQ(ioasid_free(set, 5), 0);
	CHECK_EQ(alloc(set), 5);
	ioasid_set_limit(set, ANY_NUMBER);
	CHECK_EQ(alloc(set), 6);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* F.5, 11 */
static void the_first_set_takes_nothing_from_others_but_what_it_has(void)
{
	struct ioasid_space *space = space_of(4);
	struct ioasid_set *first = set_of(space, 1, ANY_NUMBER), *second = set_of(space, 2, ANY_NUMBER);

	CHECK_EQ(alloc(second), 1);
	for (int i = 2; i <= 15; i++)
		CHECK_EQ(alloc(first), i);
	CHECK_EQ(alloc(second), -ENOSPC);
	CHECK_EQ(bind(space, 1, 9), 0);
	ioasid_set_end(first);
	for (int i = 2; i <= 15; i++)
		if (i != 9)
			CHECK_EQ(alloc(second), i);
	CHECK_EQ(alloc(second), -ENOSPC);
	ioasid_unbind(space, 9);
	CHECK_EQ(alloc(second), 9);
	ioasid_set_end(second);
	CHECK_EQ(usage_of(space).available, 15);
	ioasid_space_free(space);
}

/* Capacity. */

static void capacity_is_installed_once(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(usage_of(space).capacity, 0xfffff);
	CHECK_EQ(ioasid_install_capacity(space, 0), -EINVAL);
	CHECK_EQ(ioasid_install_capacity(space, 0x100000), -EINVAL);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(ioasid_install_capacity(space, 1), -EBUSY);
	CHECK_EQ(ioasid_install_capacity(space, 3), 0);
	CHECK_EQ(ioasid_install_capacity(space, 4), -EBUSY);
	CHECK_EQ(alloc_in(set, 1000, 2000), 1000);
	CHECK_EQ(alloc(set), -ENOSPC);
	CHECK_EQ(ioasid_free(set, 1000), 0);
	CHECK_EQ(alloc(set), 3);
	CHECK_EQ(usage_of(space).available, 0);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void what_is_reserved_is_kept_from_all_until_it_is_given_back(void)
{
	struct ioasid_space *space = space_of(4);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_reserve_capacity(space, 15), -ENOSPC);
	CHECK_EQ(ioasid_reserve_capacity(space, 4), 4);
	CHECK_EQ(usage_of(space).available, 10);
	CHECK_EQ(ioasid_reserve_capacity(space, 0), 10); /* all that is left */
	CHECK_EQ(ioasid_reserve_capacity(space, 0), 0);
	CHECK_EQ(ioasid_reserve_capacity(space, 1), -ENOSPC);
	CHECK_EQ(usage_of(space).reserved, 14);
	CHECK_EQ(alloc(set), -ENOSPC);
	CHECK_EQ(ioasid_cancel_capacity(space, 15), -EINVAL);
	CHECK_EQ(ioasid_cancel_capacity(space, 2), 2);
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(alloc(set), 3);
	CHECK_EQ(alloc(set), -ENOSPC);
	CHECK_EQ(ioasid_cancel_capacity(space, 12), 12);
	CHECK_EQ(ioasid_cancel_capacity(space, 1), -EINVAL);
	ioasid_set_end(set);
	CHECK_EQ(usage_of(space).available, 15);
	ioasid_space_free(space);
}

static void a_set_gets_what_was_guaranteed_to_it(void)
{
	struct ioasid_space *space = space_of(4);
	struct ioasid_set *set = set_of(space, 1, 10), *other = set_of(space, 2, ANY_NUMBER);

	CHECK_EQ(ioasid_set_reserve(set, 11), -EINVAL);
	CHECK_EQ(ioasid_set_reserve(other, 16), -ENOSPC);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_set_reserve(set, 5), 0);
	CHECK_EQ(usage_of(space).available, 10);
	CHECK_EQ(ioasid_set_reserve(other, 11), -ENOSPC);
	for (int i = 2; i <= 11; i++)
		CHECK_EQ(alloc(other), i);
	CHECK_EQ(alloc(other), -ENOSPC);
	for (int i = 12; i <= 15; i++)
		CHECK_EQ(alloc(set), i);
	CHECK_EQ(alloc(set), -ENOSPC);
	CHECK_EQ(ioasid_free(set, 15), 0);
	CHECK_EQ(alloc(other), -ENOSPC);
	CHECK_EQ(ioasid_set_reserve(set, 0), 0);
	CHECK_EQ(alloc(other), 15);
	ioasid_set_end(other);
	CHECK_EQ(ioasid_set_reserve(set, 10), 0);
	CHECK_EQ(usage_of(space).available, 5);
	ioasid_set_end(set);
	CHECK_EQ(usage_of(space).available, 15);
	ioasid_space_free(space);
}

static void a_guarantee_ends_with_its_set_though_a_pasid_is_in_use(void)
{
	struct ioasid_space *space = space_of(4);
	struct ioasid_set *set = set_of(space, 1, 10), *same;

	CHECK_EQ(ioasid_set_reserve(set, 10), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(bind(space, 1, 1), 0);
	ioasid_set_end(set);
	CHECK_EQ(usage_of(space).available, 14);
	CHECK_EQ(ioasid_find_set(space, 1, &same), 0);
	CHECK_EQ(ioasid_set_reserve(same, 1), -EINVAL);
	ioasid_set_put(same);
	ioasid_unbind(space, 1);
	CHECK_EQ(usage_of(space).available, 15);
	ioasid_space_free(space);
}

/* Cgroups. */

static struct ioasid_cgroup *cgroup_of(struct ioasid_space *space, const char *path, uint64_t max)
{
	CHECK_EQ(ioasid_cgroup_add(space, path, max), 0);
	return ioasid_cgroup_find(space, path);
}

static struct ioasid_count usage_in(struct ioasid_space *space, const struct ioasid_cgroup *cgroup)
{
	struct ioasid_count count;

	ioasid_cgroup_usage(space, cgroup, &count);
	return count;
}

static void the_nearest_cgroup_that_has_a_quota_is_found(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_cgroup *a, *abc, *ab, *root, *last;

	CHECK(!ioasid_cgroups(space) && !ioasid_cgroup_find(space, "/a"));
	abc = cgroup_of(space, "/a/b/c", 1);
	a = cgroup_of(space, "/a", 2);
	CHECK(abc->parent == a && !a->parent);
	ab = cgroup_of(space, "/a/b/", 3);
	CHECK(abc->parent == ab && ab->parent == a);
	CHECK(!strcmp(ab->path, "/a/b"));
	CHECK(ioasid_cgroup_find(space, "/a/b/c/d/e") == abc);
	CHECK(ioasid_cgroup_find(space, "/a/b/cc") == ab);
	CHECK(ioasid_cgroup_find(space, "/a/bb") == a);
	CHECK(ioasid_cgroup_find(space, "/a/") == a);
	CHECK(!ioasid_cgroup_find(space, "/aa") && !ioasid_cgroup_find(space, "/"));
	root = cgroup_of(space, "/", 4);
	last = cgroup_of(space, "/x", 5);
	CHECK(root && a->parent == root && last->parent == root && !root->parent);
	CHECK(ab->parent == a && abc->parent == ab);
	CHECK(ioasid_cgroup_find(space, "/aa") == root && ioasid_cgroup_find(space, "/") == root);
	CHECK(ioasid_cgroups(space) == abc && abc->next == a && a->next == ab && ab->next == root);
	CHECK(root && root->next == last && !last->next);
	ioasid_space_free(space);
}

static void a_cgroup_is_added_once_and_by_an_absolute_path(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set;

	CHECK_EQ(ioasid_cgroup_add(space, "", 1), -EINVAL);
	CHECK_EQ(ioasid_cgroup_add(space, "a", 1), -EINVAL);
	CHECK_EQ(ioasid_cgroup_add(space, "/a//b", 1), -EINVAL);
	CHECK_EQ(ioasid_cgroup_add(space, "/a", 1), 0);
	CHECK_EQ(ioasid_cgroup_add(space, "/a", 1), -EEXIST);
	CHECK_EQ(ioasid_cgroup_add(space, "/a/", 1), -EEXIST);
	CHECK_EQ(ioasid_cgroup_add(space, "/", 1), 0);
	CHECK_EQ(ioasid_cgroup_add(space, "/", 1), -EEXIST);
	set = set_of(space, 1, ANY_NUMBER);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_cgroup_add(space, "/b", 1), -EBUSY); /* who is charged does not change any more */
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void a_charge_goes_up_and_is_refused_by_any(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_cgroup *top = cgroup_of(space, "/t", 4), *middle = cgroup_of(space, "/t/m", 3);
	struct ioasid_cgroup *low = cgroup_of(space, "/t/m/l", 2);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc_charged(set, low), 1);
	CHECK_EQ(alloc_charged(set, low), 2);
	CHECK_EQ(alloc_charged(set, low), -EAGAIN);
	CHECK(top->current == 2 && middle->current == 2 && low->current == 2);
	CHECK(!top->refused && !middle->refused && low->refused == 1);
	CHECK_EQ(alloc_charged(set, middle), 3);
	CHECK_EQ(alloc_charged(set, middle), -EAGAIN);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK(top->current == 2 && middle->current == 2 && low->current == 1);
	CHECK_EQ(alloc_charged(set, middle), 1);
	CHECK_EQ(alloc_charged(set, low), -EAGAIN); /* by the middle one, and the lower one is not charged */
	CHECK(top->current == 3 && middle->current == 3 && low->current == 1);
	CHECK(!top->refused && middle->refused == 2 && low->refused == 1);
	CHECK_EQ(alloc_charged(set, top), 4);
	CHECK_EQ(alloc_charged(set, top), -EAGAIN);
	CHECK_EQ(ioasid_free(set, 2), 0);
	CHECK_EQ(alloc_charged(set, low), 2);
	CHECK_EQ(alloc_charged(set, NULL), 5);
	CHECK_EQ(count_of(set).refused, 0);
	ioasid_set_end(set);
	CHECK(!top->current && !middle->current && !low->current);
	ioasid_space_free(space);
}

/* F.5, 15 */
static void what_was_charged_is_given_back_to_the_same_cgroup(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_cgroup *before = cgroup_of(space, "/before", 9), *after = cgroup_of(space, "/after", 9);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER), *fresh;

	CHECK_EQ(alloc_charged(set, before), 1);
	CHECK_EQ(alloc_charged(set, before), 2);
	CHECK_EQ(alloc_charged(set, after), 3); /* the process was moved */
	CHECK(before->current == 2 && after->current == 1);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK(before->current == 1 && after->current == 1);
	CHECK_EQ(bind(space, 1, 2), 0);
	ioasid_set_end(set); /* it has died, but a device uses one */
	CHECK(before->current == 1 && after->current == 0);
	fresh = set_of(space, 2, ANY_NUMBER);
	CHECK_EQ(alloc_charged(fresh, after), 1);
	ioasid_unbind(space, 2);
	CHECK(before->current == 0 && after->current == 1);
	ioasid_set_end(fresh);
	ioasid_space_free(space);
}

/* F.5, 13 and 15 */
static void a_refused_allocation_is_not_charged(void)
{
	struct ioasid_space *space = space_of(2);
	struct ioasid_cgroup *cgroup = cgroup_of(space, "/c", 9);
	struct ioasid_set *set = set_of(space, 1, 2), *other = set_of(space, 2, ANY_NUMBER);

	CHECK_EQ(alloc_charged(set, cgroup), 1);
	CHECK_EQ(alloc_charged(set, cgroup), 2);
	CHECK_EQ(alloc_charged(set, cgroup), -EAGAIN); /* by the set */
	CHECK_EQ(alloc_charged(other, cgroup), 3);
	CHECK_EQ(alloc_charged(other, cgroup), -ENOSPC);
	CHECK(cgroup->current == 3 && cgroup->refused == 0);
	CHECK(count_of(set).refused == 1 && count_of(other).refused == 0);
	ioasid_set_end(set);
	ioasid_set_end(other);
	CHECK_EQ(cgroup->current, 0);
	ioasid_space_free(space);
}

/* F.4: as when max is 5 and 6 are there; and F.5, 15: each refusal is counted. */
static void a_cgroup_may_have_more_than_its_quota_and_gets_no_more(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_cgroup *cgroup = cgroup_of(space, "/c", 6);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	for (int i = 1; i <= 6; i++)
		CHECK_EQ(alloc_charged(set, cgroup), i);
	ioasid_cgroup_limit(space, cgroup, 5);
	CHECK_EQ(usage_in(space, cgroup).current, 6);
	CHECK_EQ(usage_in(space, cgroup).max, 5);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(alloc_charged(set, cgroup), -EAGAIN);
	CHECK_EQ(usage_in(space, cgroup).refused, 3);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(alloc_charged(set, cgroup), -EAGAIN);
	CHECK_EQ(ioasid_free(set, 2), 0);
	CHECK_EQ(alloc_charged(set, cgroup), 1);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void a_quota_of_zero_allows_nothing(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_cgroup *cgroup = cgroup_of(space, "/c", 0), *below = cgroup_of(space, "/c/d", UINT64_MAX);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK_EQ(alloc_charged(set, cgroup), -EAGAIN);
	CHECK_EQ(alloc_charged(set, below), -EAGAIN);
	CHECK_EQ(cgroup->refused, 2);
	CHECK_EQ(below->refused, 0);
	CHECK_EQ(alloc(set), 1);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* F.5, 15: what is given to one is not taken from the space, and not twice from it for one below another. */
static void quotas_of_cgroups_reserve_nothing(void)
{
	struct ioasid_space *space = space_of(4);
	struct ioasid_cgroup *cgroup = cgroup_of(space, "/c", 15);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);

	CHECK(cgroup_of(space, "/c/d", 15) != cgroup);
	CHECK(cgroup_of(space, "/e", ANY_NUMBER) != cgroup);
	CHECK_EQ(usage_of(space).available, 15);
	for (int i = 1; i <= 15; i++)
		CHECK_EQ(alloc(set), i);
	CHECK_EQ(alloc_charged(set, cgroup), -ENOSPC);
	CHECK_EQ(cgroup->current, 0);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

int main(void)
{
	a_set_has_at_most_its_quota();
	what_is_free_pending_counts();
	what_the_set_before_has_left_counts();
	what_another_set_of_the_process_has_counts();
	other_failures_are_no_refusals_and_cost_nothing();
	a_quota_may_be_made_less_than_what_is_there();
	the_first_set_takes_nothing_from_others_but_what_it_has();
	capacity_is_installed_once();
	what_is_reserved_is_kept_from_all_until_it_is_given_back();
	a_set_gets_what_was_guaranteed_to_it();
	a_guarantee_ends_with_its_set_though_a_pasid_is_in_use();
	the_nearest_cgroup_that_has_a_quota_is_found();
	a_cgroup_is_added_once_and_by_an_absolute_path();
	a_charge_goes_up_and_is_refused_by_any();
	what_was_charged_is_given_back_to_the_same_cgroup();
	a_refused_allocation_is_not_charged();
	a_cgroup_may_have_more_than_its_quota_and_gets_no_more();
	a_quota_of_zero_allows_nothing();
	quotas_of_cgroups_reserve_nothing();
	return check_result();
}
