/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotas as they are written on the command line, and cgroups by their directories. */
#include "check.h"

#include "cli/cgroup_mount.h"
#include "cli/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char version_1[] =
	"23 22 0:21 / /sys rw - sysfs sysfs rw\n"
	"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
	"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:1 - cgroup cgroup rw,memory\n"
	"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n"
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

static const char version_2[] = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

/* What a container may see: a part of a hierarchy; and names that are escaped. */
static const char parts[] = "29 23 0:26 /docker/12 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
			    "30 23 0:26 /a\\040b /mnt/with\\040space rw - cgroup2 cgroup2 rw\n"
			    "31 23 0:27 / /mnt/unnamed rw - cgroup cgroup rw,name=systemdx\n"
			    "a line\n"
			    "32 - cgroup\n";

static void expect(const char *mounts, const char *path, int wanted_rc, const char *wanted, int line)
{
	FILE *file = fmemopen((void *)(uintptr_t)mounts, strlen(mounts), "r");
	char there[64];
	int rc;

	CHECK(file);
	if (!file)
		return;
	snprintf(there, sizeof(there), "%s", path);
	rc = cgroup_find_mount(file, there, sizeof(there));
	check_equal(rc, wanted_rc, path, __FILE__, line);
	check_true(rc || !strcmp(there, wanted), there, __FILE__, line);
	fclose(file);
}
#define EXPECT_PATH(mounts, path, wanted) expect(mounts, path, 0, wanted, __LINE__)

static void a_directory_is_its_cgroup(void)
{
	EXPECT_PATH(version_2, "/sys/fs/cgroup/user.slice/a", "/user.slice/a");
	EXPECT_PATH(version_2, "/sys/fs/cgroup", "/");
	EXPECT_PATH(version_1, "/sys/fs/cgroup/systemd/a/b", "/a/b");
	EXPECT_PATH(version_1, "/sys/fs/cgroup/unified/a", "/a");
	EXPECT_PATH(version_1, "/sys/fs/cgroup/unified", "/");
	EXPECT_PATH(parts, "/sys/fs/cgroup/x", "/docker/12/x");
	EXPECT_PATH(parts, "/sys/fs/cgroup", "/docker/12");
	EXPECT_PATH(parts, "/mnt/with space/c", "/a b/c");
}

static void any_other_path_stays(void)
{
	EXPECT_PATH(version_2, "/user.slice", "/user.slice");
	EXPECT_PATH(version_2, "/sys/fs/cgroups/a", "/sys/fs/cgroups/a");
	EXPECT_PATH(version_1, "/sys/fs/cgroup/a", "/sys/fs/cgroup/a");
	EXPECT_PATH(version_1, "/", "/");
	EXPECT_PATH(parts, "/32", "/32");
}

static void a_hierarchy_that_does_not_count_is_refused(void)
{
	expect(version_1, "/sys/fs/cgroup/memory/a", -EXDEV, "", __LINE__);
	expect(version_1, "/sys/fs/cgroup/memory", -EXDEV, "", __LINE__);
	expect(parts, "/mnt/unnamed/a", -EXDEV, "", __LINE__);
}

static void what_becomes_too_long_is_refused(void)
{
	char path[20] = "/sys/fs/cgroup/abcd";
	FILE *file = fmemopen((void *)(uintptr_t)parts, strlen(parts), "r");

	CHECK(file);
	if (!file)
		return;
	CHECK_EQ(cgroup_find_mount(file, path, 15), -ENAMETOOLONG);
	rewind(file);
	CHECK_EQ(cgroup_find_mount(file, path, 16), 0);
	CHECK(!strcmp(path, "/docker/12/abcd"));
	fclose(file);
}

static void a_number_is_decimal_and_within(void)
{
	uint64_t number;

	CHECK_EQ(number_of("1", 1, 20, &number), 0);
	CHECK_EQ(number, 1);
	CHECK_EQ(number_of("20", 1, 20, &number), 0);
	CHECK_EQ(number, 20);
	CHECK_EQ(number_of("18446744073709551614", 0, UINT64_MAX - 1, &number), 0);
	for (const char *const *text = (const char *const[]){"", "0", "21", "-1", "+1", " 1", "1 ", "0x1", "1k",
							     "18446744073709551617", NULL};
	     *text; text++)
		check_equal(number_of(*text, 1, 20, &number), -EINVAL, *text, __FILE__, __LINE__);
}

static void a_quota_is_a_clean_path_and_a_number(void)
{
	static const struct {
		const char *text, *wanted; /* NULL: refused */
	} cases[] = {
		{"/a=1", "/a=1"},
		{"/=0", "/=0"},
		{"//a/./b//=007", "/a/b=7"},
		{"/a=b=5", "/a=b=5"},
		{"/..a/b..=5", "/..a/b..=5"},
		{"/a", NULL},
		{"/a=", NULL},
		{"/a=x", NULL},
		{"/a=-1", NULL},
		{"/a=18446744073709551615", NULL}, /* would be none */
		{"=5", NULL},
		{"a=5", NULL},
		{"/a/..=5", NULL},
		{"/../a=5", NULL},
		{"/a\nb=5", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *quota = NULL;
		int rc = cgroup_quota_of(cases[i].text, &quota);

		check_equal(rc, cases[i].wanted ? 0 : -EINVAL, cases[i].text, __FILE__, __LINE__);
		check_true(rc || (cases[i].wanted && !strcmp(quota, cases[i].wanted)), cases[i].text, __FILE__,
			   __LINE__);
		free(quota);
	}
}

int main(void)
{
	a_directory_is_its_cgroup();
	any_other_path_stays();
	a_hierarchy_that_does_not_count_is_refused();
	what_becomes_too_long_is_refused();
	a_number_is_decimal_and_within();
	a_quota_is_a_clean_path_and_a_number();
	return check_result();
}
