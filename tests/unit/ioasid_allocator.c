/* SPDX-License-Identifier: BSD-3-Clause */
/* PASIDs whose numbers come from elsewhere: the rules of section F.3 of the interface. */
#include "pasid/allocator.h"

#include "ioasid_world.h"

/* Gives out what it is told to, and notes what it was asked and what came back. */
struct host {
	uint32_t next, min, max, freed;
	unsigned gave, took;
};

static uint32_t give(uint32_t min, uint32_t max, void *opaque)
{
	struct host *host = opaque;

	host->gave++;
	host->min = min;
	host->max = max;
	return host->next;
}

static void take(uint32_t id, void *opaque)
{
	struct host *host = opaque;

	host->took++;
	host->freed = id;
}

static uint32_t give_otherwise(uint32_t min, uint32_t max, void *opaque)
{
	return give(min, max, opaque);
}

static struct ioasid_allocator allocator_of(struct host *host)
{
	return (struct ioasid_allocator){.alloc = give, .free = take, .opaque = host};
}

static void numbers_come_from_it_and_go_back(void)
{
	struct ioasid_space *space = space_of(8);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	struct host host = {.next = 77};
	struct ioasid_allocator allocator = allocator_of(&host);

	CHECK_EQ(ioasid_register_allocator(space, &allocator), 0);
	CHECK_EQ(alloc_in(set, 0, UINT32_MAX), 77);
	CHECK(host.min == 1 && host.max == 255);
	CHECK_EQ(ioasid_state(space, 77), IOASID_IDLE);
	CHECK_EQ(ioasid_get(space, set, 77), 0);
	CHECK_EQ(ioasid_free(set, 77), 0);
	CHECK_EQ(host.took, 0);
	CHECK(ioasid_put(space, 77));
	CHECK(host.took == 1 && host.freed == 77);
	CHECK_EQ(alloc(set), 77);
	ioasid_set_end(set);
	CHECK(host.gave == 2 && host.took == 2);
	CHECK_EQ(ioasid_unregister_allocator(space, &allocator), 0);
	ioasid_space_free(space);
}

static void it_has_none(void)
{
	struct ioasid_space *space = space_of(8);
	struct ioasid_set *set = set_of(space, 1, 1);
	struct host host = {.next = IOASID_INVALID};
	struct ioasid_allocator allocator = allocator_of(&host);

	CHECK_EQ(ioasid_register_allocator(space, &allocator), 0);
	CHECK_EQ(alloc(set), -ENOSPC);
	CHECK_EQ(alloc_in(set, 256, 300), -ENOSPC);
	CHECK(host.gave == 1 && host.took == 0);
	host.next = 5;
	CHECK_EQ(alloc(set), 5);
	CHECK_EQ(alloc(set), -EAGAIN);
	CHECK(host.gave == 2 && host.took == 0);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void what_cannot_be_used_is_given_back(void)
{
	static const uint32_t wrong[] = {0, 9, 21, 256, UINT32_MAX - 1};
	struct ioasid_space *space = space_of(8);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	struct host host = {.next = 15};
	struct ioasid_allocator allocator = allocator_of(&host);

	CHECK_EQ(ioasid_register_allocator(space, &allocator), 0);
	CHECK_EQ(alloc_in(set, 10, 20), 15);
	CHECK_EQ(alloc_in(set, 10, 20), -ENOSPC); /* again: what is in use is not given back, as it is */
	CHECK_EQ(host.took, 0);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		host.next = wrong[i];
		CHECK_EQ(alloc_in(set, 10, 20), -ENOSPC);
		CHECK_EQ(host.took, i + 1);
		CHECK_EQ(host.freed, wrong[i]);
	}
	CHECK_EQ(count_of(set).current, 1);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void the_first_does_not_come_while_others_are_in_use(void)
{
	struct ioasid_space *space = space_of(8);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	struct host host = {.next = 5};
	struct ioasid_allocator a = allocator_of(&host), b = allocator_of(&host);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_register_allocator(space, &a), -EAGAIN);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_register_allocator(space, &a), 0);
	CHECK_EQ(alloc(set), 5);
	CHECK_EQ(ioasid_register_allocator(space, &b), 0);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void one_is_registered_once_and_whole(void)
{
	struct ioasid_space *space = space_of(8);
	struct host host = {.next = 5};
	struct ioasid_allocator a = allocator_of(&host), b = a;

	b.free = NULL;
	CHECK_EQ(ioasid_register_allocator(space, &b), -EINVAL);
	CHECK_EQ(ioasid_unregister_allocator(space, &a), -ENOENT);
	CHECK_EQ(ioasid_register_allocator(space, &a), 0);
	CHECK_EQ(ioasid_register_allocator(space, &a), -EEXIST);
	CHECK_EQ(ioasid_unregister_allocator(space, &a), 0);
	CHECK_EQ(ioasid_unregister_allocator(space, &a), -ENOENT);
	ioasid_space_free(space);
}

static void the_first_is_asked_and_then_one_with_the_same_functions(void)
{
	struct ioasid_space *space = space_of(8);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	struct host host[3] = {{.next = 10}, {.next = 20}, {.next = 30}};
	struct ioasid_allocator first = allocator_of(&host[0]), other = allocator_of(&host[1]);
	struct ioasid_allocator same = allocator_of(&host[2]);

	other.alloc = give_otherwise;
	CHECK_EQ(ioasid_register_allocator(space, &first), 0);
	CHECK_EQ(ioasid_register_allocator(space, &other), 0);
	CHECK_EQ(ioasid_register_allocator(space, &same), 0);
	CHECK_EQ(alloc(set), 10);
	CHECK_EQ(ioasid_unregister_allocator(space, &first), 0);
	CHECK_EQ(alloc(set), 30);
	CHECK_EQ(ioasid_free(set, 10), 0); /* they share their numbers */
	CHECK_EQ(host[2].freed, 10);
	CHECK_EQ(ioasid_unregister_allocator(space, &same), -EBUSY); /* the other has others */
	CHECK_EQ(ioasid_unregister_allocator(space, &other), 0);
	CHECK_EQ(ioasid_register_allocator(space, &other), 0);
	CHECK_EQ(ioasid_free(set, 30), 0);
	CHECK_EQ(ioasid_unregister_allocator(space, &same), 0);
	CHECK_EQ(alloc(set), 20);
	ioasid_set_end(set);
	CHECK(host[0].took == 0 && host[1].took == 1 && host[2].took == 2);
	ioasid_space_free(space);
}

static void after_the_last_the_space_gives_them_out_itself(void)
{
	struct ioasid_space *space = space_of(8);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	struct host host = {.next = 50};
	struct ioasid_allocator allocator = allocator_of(&host);

	CHECK_EQ(ioasid_register_allocator(space, &allocator), 0);
	CHECK_EQ(alloc(set), 50);
	CHECK_EQ(ioasid_unregister_allocator(space, &allocator), -EBUSY);
	CHECK_EQ(ioasid_free(set, 50), 0);
	CHECK_EQ(ioasid_unregister_allocator(space, &allocator), 0);
	CHECK_EQ(alloc(set), 1);
	ioasid_set_end(set);
	CHECK(host.gave == 1 && host.took == 1);
	ioasid_space_free(space);
}

int main(void)
{
	numbers_come_from_it_and_go_back();
	it_has_none();
	what_cannot_be_used_is_given_back();
	the_first_does_not_come_while_others_are_in_use();
	one_is_registered_once_and_whole();
	the_first_is_asked_and_then_one_with_the_same_functions();
	after_the_last_the_space_gives_them_out_itself();
	return check_result();
}
