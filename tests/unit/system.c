/* SPDX-License-Identifier: BSD-3-Clause */
/* What a system is made with that a person wrote: quotas of PASIDs. */
#include "check.h"

#include "pasid/cgroup.h"
#include "pasid/ioasid.h"
#include "system/system.h"

#include <errno.h>
#include <string.h>

static int make(const char *const *quotas, char *why, size_t size, struct system **system)
{
	const struct system_config config = {
		.memlock = MEMLOCK_OFF, .cgroup_quotas = quotas, .why = why, .why_size = size};

	return system_new(&config, system);
}

static void quotas_of_cgroups(void)
{
	static const char *const quotas[] = {"/a=5", "/a/b=c=0", "/=18446744073709551614", NULL};
	const struct ioasid_cgroup *cgroup;
	struct system *system = NULL;
	char why[128] = "before";

	CHECK_EQ(make(quotas, why, sizeof(why), &system), 0);
	CHECK_EQ(why[0], 0);
	cgroup = ioasid_cgroup_find(system_ioasids(system), "/a/x");
	CHECK(cgroup && !strcmp(cgroup->path, "/a"));
	CHECK_EQ(cgroup->max, 5);
	cgroup = ioasid_cgroup_find(system_ioasids(system), "/a/b=c");
	CHECK(cgroup && !strcmp(cgroup->path, "/a/b=c"));
	CHECK_EQ(cgroup->max, 0);
	CHECK(cgroup->parent && !strcmp(cgroup->parent->path, "/a"));
	cgroup = ioasid_cgroup_find(system_ioasids(system), "/b");
	CHECK(cgroup && cgroup->max == UINT64_MAX - 1);
	system_free(system);
}

static void quotas_that_make_no_sense(void)
{
	static const struct {
		const char *first, *second;
		int rc;
		const char *why;
	} wrong[] = {
		{"/a", NULL, -EINVAL, "/a: a quota of PASIDs is a cgroup and a number: /user.slice=100"},
		{"/a=", NULL, -EINVAL, "/a=: a quota of PASIDs is a cgroup and a number: /user.slice=100"},
		{"/a=-1", NULL, -EINVAL, "/a=-1: a quota of PASIDs is a cgroup and a number: /user.slice=100"},
		{"/a= 1", NULL, -EINVAL, "/a= 1: a quota of PASIDs is a cgroup and a number: /user.slice=100"},
		{"/a=1x", NULL, -EINVAL, "/a=1x: a quota of PASIDs is a cgroup and a number: /user.slice=100"},
		{"/a=18446744073709551616", NULL, -EINVAL,
		 "/a=18446744073709551616: a quota of PASIDs is a cgroup and a number: /user.slice=100"},
		{"a=1", NULL, -EINVAL, "a=1: the path of a cgroup begins with a slash"},
		{"=1", NULL, -EINVAL, "=1: the path of a cgroup begins with a slash"},
		{"/a=1", "/a=2", -EEXIST, "/a=2: the cgroup has a quota of PASIDs already"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *const quotas[] = {wrong[i].first, wrong[i].second, NULL};
		struct system *system = NULL;
		char why[128] = "";

		CHECK_EQ(make(quotas, why, sizeof(why), &system), wrong[i].rc);
		CHECK(!strcmp(why, wrong[i].why));
		if (strcmp(why, wrong[i].why) != 0)
			printf("%s\n", why);
		CHECK_EQ(make(quotas, NULL, 0, &system), wrong[i].rc);
	}
}

int main(void)
{
	quotas_of_cgroups();
	quotas_that_make_no_sense();
	return check_result();
}
