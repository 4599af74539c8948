/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of ids: lowest free first, the three steps, users, tombstones. */
#include "base/id_table.h"

#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t reserve(struct id_table *table, void *value)
{
	struct id_slot *slot;
	uint32_t id = 0;

	CHECK_EQ(id_table_reserve(table, 1, value, &id, &slot), 0);
	return id;
}

static uint32_t add(struct id_table *table, void *value)
{
	struct id_slot *slot;
	uint32_t id = 0;

	CHECK_EQ(id_table_reserve(table, 1, value, &id, &slot), 0);
	id_publish(slot);
	return id;
}

static void drop(struct id_table *table, uint32_t id)
{
	void *value;

	CHECK_EQ(id_table_kill(table, id, &value), 0);
	id_table_release(table, id);
}

static void an_id_is_found_only_when_published(void)
{
	struct id_table table;
	struct id_slot *slot;
	uint32_t id;
	int value;
	void *killed;

	id_table_init(&table);
	CHECK(id_table_empty(&table));
	CHECK(!id_table_get(&table, 0, ID_ANY));
	CHECK(!id_table_get(&table, 1, ID_ANY));
	CHECK(!id_table_get(&table, UINT32_MAX, ID_ANY));
	CHECK_EQ(id_table_reserve(&table, 7, &value, &id, &slot), 0);
	CHECK_EQ(id, 1);
	CHECK(!id_table_empty(&table));
	CHECK(!id_table_get(&table, 1, ID_ANY));
	CHECK_EQ(id_table_kill(&table, 1, &killed), -ENOENT);
	id_publish(slot);
	CHECK(id_table_get(&table, 1, 7) == &value);
	CHECK(!id_table_get(&table, 1, 6));
	CHECK_EQ(id_users(slot), 2);
	CHECK_EQ(id_table_kill(&table, 1, &killed), -EBUSY);
	id_put(slot);
	CHECK_EQ(id_table_kill(&table, 1, &killed), 0);
	CHECK(killed == &value);
	CHECK(!id_table_get(&table, 1, ID_ANY));
	CHECK_EQ(reserve(&table, NULL), 2); /* what is killed is not yet free */
	id_table_release(&table, 1);
	CHECK_EQ(reserve(&table, NULL), 1);
	id_table_clear(&table);
}

static void the_last_user_takes_an_id_out_of_sight(void)
{
	struct id_table table;
	struct id_slot *slot;
	uint32_t id;

	id_table_init(&table);
	CHECK_EQ(id_table_reserve(&table, 7, &table, &id, &slot), 0);
	id_hold(slot);
	id_hold(slot);
	CHECK(!id_put_last(slot)); /* not even published */
	CHECK_EQ(id_users(slot), 2);
	id_publish(slot);
	CHECK(id_table_get(&table, 1, 7) == &table);
	CHECK(!id_put_last(slot));
	CHECK_EQ(id_users(slot), 2);
	CHECK(id_put_last(slot));
	CHECK_EQ(id_users(slot), 1);
	CHECK(!id_table_get(&table, 1, ID_ANY));
	id_table_release(&table, 1);
	CHECK(id_table_empty(&table));
	id_table_clear(&table);
}

static void a_tombstone_is_neither_found_nor_given_again(void)
{
	struct id_table table;
	void *value;

	id_table_init(&table);
	add(&table, &table);
	CHECK_EQ(id_table_kill(&table, 1, &value), 0);
	id_table_bury(&table, 1);
	CHECK(!id_table_get(&table, 1, ID_ANY));
	CHECK_EQ(id_table_kill(&table, 1, &value), -ENOENT);
	CHECK_EQ(add(&table, &table), 2);
	CHECK(!id_table_empty(&table));
	id_table_clear(&table);
}

static void walking_meets_live_ids_in_order(void)
{
	struct id_table table;
	uint32_t id = 0;

	id_table_init(&table);
	CHECK(!id_table_next(&table, &id));
	for (int i = 0; i < 200; i++)
		add(&table, &table);
	reserve(&table, NULL);
	for (uint32_t i = 2; i <= 199; i++)
		drop(&table, i);
	CHECK(id_table_next(&table, &id) && id == 1);
	id = 2;
	CHECK(id_table_next(&table, &id) && id == 200);
	id = 201;
	CHECK(!id_table_next(&table, &id));
	id_table_clear(&table);
}

/* Three levels of the tree, against an array. */
static void the_lowest_free_id_is_given(void)
{
	enum { IDS = 20000 };
	static char taken[IDS + 2];
	struct id_table table;
	uint32_t live = 0;
	unsigned random = 1;

	id_table_init(&table);
	memset(taken, 0, sizeof(taken));
	for (int step = 0; step < 400000; step++) {
		random = random * 1103515245 + 12345;
		uint32_t pick = 1 + (random >> 8) % IDS;
		int grow = live < IDS && (step < IDS || (random >> 4) % 2);

		if (grow) {
			uint32_t lowest = 1;

			/* The model's search is only made where it is short, or now and then. */
			if (live > 100 && step % 512) {
				uint32_t id = add(&table, &table);

				CHECK(id <= IDS && !taken[id]);
				taken[id] = 1;
				live++;
				continue;
			}
			while (taken[lowest])
				lowest++;
			CHECK_EQ(add(&table, &table), lowest);
			taken[lowest] = 1;
			live++;
		} else if (taken[pick]) {
			drop(&table, pick);
			taken[pick] = 0;
			live--;
		}
	}
	for (uint32_t id = 1; id <= IDS; id++)
		CHECK(!!id_table_get(&table, id, 1) == taken[id]);
	id_table_clear(&table);
}

int main(void)
{
	an_id_is_found_only_when_published();
	the_last_user_takes_an_id_out_of_sight();
	a_tombstone_is_neither_found_nor_given_again();
	walking_meets_live_ids_in_order();
	the_lowest_free_id_is_given();
	return check_result();
}
