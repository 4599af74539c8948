/* SPDX-License-Identifier: BSD-3-Clause */
/* The library's descriptors, where a file has several of them: it is closed with the last, and once. */
#include "system/fd_table.h"

#include "check.h"
#include "client/file.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>

static unsigned closed, released;

static void count_closed(struct file *file)
{
	(void)file;
	closed++;
}

static void count_released(struct file *file)
{
	(void)file;
	released++;
}

static const struct file_ops ops = {.name = "counted", .closed = count_closed, .release = count_released};
static struct system *made_system;
static struct fd_table table;
static struct file file;

static void set_up(void)
{
	closed = released = 0;
	file_init(&file, &ops);
	CHECK_EQ(system_new(&(struct system_config){.memlock = MEMLOCK_OFF}, &made_system), 0);
	CHECK_EQ(fd_table_init(&table, made_system), 0);
}

static void tear_down(void)
{
	fd_table_fini(&table);
	system_free(made_system);
}

static int give(void)
{
	int fd = fd_table_reserve(&table);

	CHECK(fd >= 0);
	CHECK_EQ(fd_table_hold(&file), 0);
	fd_table_install(&table, fd, file_get(&file), O_RDWR);
	return fd;
}

static void the_last_of_several_closes_the_file(void)
{
	int one, two;

	set_up();
	one = give();
	two = give();
	CHECK(one != two);
	CHECK_EQ(fd_table_close(&table, one), 0);
	CHECK_EQ(closed, 0);
	CHECK_EQ(fd_table_close(&table, two), 0);
	CHECK_EQ(closed, 1);
	CHECK_EQ(fd_table_hold(&file), -ENOENT);
	CHECK_EQ(released, 0);
	file_put(&file);
	CHECK_EQ(released, 1);
	tear_down();
}

static void what_is_held_for_another_descriptor_stays_open(void)
{
	int one, two;

	set_up();
	one = give();
	CHECK_EQ(fd_table_hold(&file), 0);
	CHECK_EQ(fd_table_close(&table, one), 0);
	CHECK_EQ(closed, 0);
	two = give();
	fd_table_release(&table, &file);
	CHECK_EQ(closed, 0);
	CHECK_EQ(fd_table_hold(&file), 0);
	CHECK_EQ(fd_table_close(&table, two), 0);
	fd_table_release(&table, &file); /* that descriptor did not come */
	CHECK_EQ(closed, 1);
	file_put(&file);
	CHECK_EQ(released, 1);
	tear_down();
}

static void what_never_had_a_descriptor_is_not_closed(void)
{
	set_up();
	CHECK_EQ(fd_table_hold(&file), 0);
	fd_table_release(&table, &file);
	CHECK_EQ(closed, 0);
	CHECK_EQ(fd_table_close(&table, give()), 0);
	CHECK_EQ(closed, 1);
	file_put(&file);
	tear_down();
}

static void what_the_table_still_has_is_closed_with_it(void)
{
	set_up();
	give();
	give();
	file_put(&file);
	tear_down();
	CHECK_EQ(closed, 1);
	CHECK_EQ(released, 1);
}

int main(void)
{
	the_last_of_several_closes_the_file();
	what_is_held_for_another_descriptor_stays_open();
	what_never_had_a_descriptor_is_not_closed();
	what_the_table_still_has_is_closed_with_it();
	return check_result();
}
