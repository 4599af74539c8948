/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of runs, the sockets that have them, and who may use those. */
#include "check.h"

#include "supervisor/run_name.h"

#include <string.h>
#include <unistd.h>

static void names_are_simple(void)
{
	char longest[RUN_NAME_MAX + 2];

	for (const char *const *name = (const char *const[]){"a", "1", "4711", "my-test_2.old", "Z", NULL}; *name;
	     name++)
		check_true(run_name_valid(*name), *name, __FILE__, __LINE__);
	for (const char *const *name =
		     (const char *const[]){"", "-a", ".a", "_a", "a/b", "a b", "a\n", "a\033[1m", "\xc3\xa4", NULL};
	     *name; name++)
		check_true(!run_name_valid(*name), *name, __FILE__, __LINE__);
	memset(longest, 'a', sizeof(longest));
	longest[RUN_NAME_MAX] = '\0';
	CHECK(run_name_valid(longest));
	longest[RUN_NAME_MAX] = 'a';
	longest[RUN_NAME_MAX + 1] = '\0';
	CHECK(!run_name_valid(longest));
}

static void an_address_is_abstract_and_has_user_and_name(void)
{
	struct run_name run = {.uid = 4294967294U};
	struct sockaddr_un address;
	socklen_t length;

	memset(run.name, 'a', RUN_NAME_MAX);
	length = run_address(&run, &address);
	CHECK(length <= sizeof(address));
	CHECK_EQ(address.sun_path[0], 0);
	strcpy(run.name, "b");
	length = run_address(&run, &address);
	CHECK_EQ(length, sizeof(address.sun_family) + 1 + strlen("iommuse/4294967294/b"));
	CHECK(!memcmp(address.sun_path + 1, "iommuse/4294967294/b", strlen("iommuse/4294967294/b")));
}

static void what_is_shown_is_understood(void)
{
	struct run_name run;

	CHECK(run_of_shown("@iommuse/1000/a.b-c", &run));
	CHECK_EQ(run.uid, 1000);
	CHECK(!strcmp(run.name, "a.b-c"));
	for (const char *const *shown =
		     (const char *const[]){"", "@", "iommuse/1000/a", "@iommuse/1000/", "@iommuse/1000/a@",
					   "@iommuse/a/a", "@iommuse//a", "@iommuse/01/a", "@iommuse/+1/a",
					   "@iommuse/ 1/a", "@iommuse/-1/a", "@iommuse/1000/a/b",
					   "@iommuse/4294968296/a", "@iommuse/1000 /a", NULL};
	     *shown; shown++)
		check_true(!run_of_shown(*shown, &run), *shown, __FILE__, __LINE__);
}

static void this_user_is_trusted_and_no_other(void)
{
	int ends[2];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	CHECK(run_peer_trusted(ends[0], geteuid()));
	CHECK_EQ(run_peer_trusted(ends[0], geteuid() + 1), geteuid() == 0);
	close(ends[1]);
	close(ends[0]);
	CHECK(!run_peer_trusted(ends[0], geteuid()));
}

int main(void)
{
	names_are_simple();
	an_address_is_abstract_and_has_user_and_name();
	what_is_shown_is_understood();
	this_user_is_trusted_and_no_other();
	return check_result();
}
