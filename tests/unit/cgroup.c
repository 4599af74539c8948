/* SPDX-License-Identifier: BSD-3-Clause */
/* Which cgroup a process is in, by what machines of several kinds list. */
#include "check.h"

#include "client/cgroup.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int choose(const char *text, char *path, size_t room)
{
	FILE *list = *text ? fmemopen((void *)(uintptr_t)text, strlen(text), "r") : fopen("/dev/null", "r");
	int rc;

	if (!list)
		return -ENOMEM;
	rc = cgroup_choose(list, path, room);
	fclose(list);
	return rc;
}

static void expect(const char *text, const char *wanted, int line)
{
	char path[256] = "nothing";
	int rc = choose(text, path, sizeof(path));

	check_equal(rc, 0, text, __FILE__, line);
	check_true(!strcmp(path, wanted), path, __FILE__, line);
}
#define EXPECT_PATH(text, wanted) expect(text, wanted, __LINE__)

static void the_unified_hierarchy_alone_counts(void)
{
	EXPECT_PATH("0::/user.slice/user-1000.slice/session-3.scope\n", "/user.slice/user-1000.slice/session-3.scope");
	EXPECT_PATH("0::/\n", "/");
	EXPECT_PATH("0::/", "/");
	/* A client in a cgroup namespace is where it is, as seen from here. */
	EXPECT_PATH("0::/../../other.scope\n", "/../../other.scope");
	EXPECT_PATH("0::/a:b=c d\n", "/a:b=c d");
}

static void without_it_systemds_counts(void)
{
	EXPECT_PATH("12:pids:/user.slice/user-0.slice\n"
		    "11:cpu,cpuacct:/user.slice\n"
		    "2:freezer:/\n"
		    "1:name=systemd:/user.slice/user-0.slice/session-1.scope\n",
		    "/user.slice/user-0.slice/session-1.scope");
	EXPECT_PATH("9:name=systemd:/\n"
		    "8:pids:/\n"
		    "4:memory:/jobs/7\n"
		    "0::/\n",
		    "/");
	EXPECT_PATH("9:name=systemd:/a/b\n0::/\n", "/a/b");
	EXPECT_PATH("9:pids,name=systemd:/no\n8:name=systemd:/yes\n", "/yes");
}

static void the_unified_one_counts_more_where_it_is_used(void)
{
	EXPECT_PATH("3:cpuset:/docker/12ab\n"
		    "1:name=systemd:/docker/12ab\n"
		    "0::/system.slice/containerd.service\n",
		    "/system.slice/containerd.service");
	EXPECT_PATH("0::/first\n1:name=systemd:/second\n", "/first");
}

static void else_the_first_counts(void)
{
	EXPECT_PATH("5:memory:/lxc/one\n4:cpu:/lxc/two\n3:name=elogind:/3\n", "/lxc/one");
	EXPECT_PATH("5:memory:/lxc/one\n0::/\n", "/lxc/one");
	EXPECT_PATH("0::/\n5:memory:/lxc/one\n", "/lxc/one");
}

static void what_is_no_list_has_none(void)
{
	char path[16];

	CHECK_EQ(choose("", path, sizeof(path)), -EINVAL);
	CHECK_EQ(choose("\n", path, sizeof(path)), -EINVAL);
	CHECK_EQ(choose("0:/a\n", path, sizeof(path)), -EINVAL);
	CHECK_EQ(choose("0::\n", path, sizeof(path)), -EINVAL);
	CHECK_EQ(choose("0::a\n", path, sizeof(path)), -EINVAL);
}

static void a_path_that_is_too_long_is_not_cut(void)
{
	char path[8];

	CHECK_EQ(choose("0::/234567\n", path, sizeof(path)), 0);
	CHECK(!strcmp(path, "/234567"));
	CHECK_EQ(choose("0::/2345678\n", path, sizeof(path)), -ENAMETOOLONG);
	/* Not the shorter one of a hierarchy that does not count, either. */
	CHECK_EQ(choose("5:memory:/a\n0::/2345678\n", path, sizeof(path)), -ENAMETOOLONG);
}

static void this_thread_has_one(void)
{
	char own[4096], same[4096], path[4096];

	CHECK_EQ(cgroup_of(0, own, sizeof(own)), 0);
	CHECK_EQ(*own, '/');
	CHECK_EQ(cgroup_of((pid_t)syscall(SYS_gettid), same, sizeof(same)), 0);
	CHECK(!strcmp(own, same));
	CHECK_EQ(cgroup_of(0x7fffffff, path, sizeof(path)), -ENOENT);
}

int main(void)
{
	the_unified_hierarchy_alone_counts();
	without_it_systemds_counts();
	the_unified_one_counts_more_where_it_is_used();
	else_the_first_counts();
	what_is_no_list_has_none();
	a_path_that_is_too_long_is_not_cut();
	this_thread_has_one();
	return check_result();
}
