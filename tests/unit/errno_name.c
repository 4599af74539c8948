/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/errno_name.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static int failed;

static void is(int error, const char *expected)
{
	const char *name = errno_name(error);

	if (strcmp(name, expected) != 0) {
		printf("errno_name(%d) is \"%s\", not \"%s\"\n", error, name, expected);
		failed++;
	}
}

/* Names that clients see most, typed with their numbers in Linux. */
static void known_numbers_have_their_names(void)
{
	is(1, "EPERM");
	is(2, "ENOENT");
	is(7, "E2BIG");
	is(9, "EBADF");
	is(11, "EAGAIN");
	is(12, "ENOMEM");
	is(14, "EFAULT");
	is(16, "EBUSY");
	is(17, "EEXIST");
	is(19, "ENODEV");
	is(22, "EINVAL");
	is(25, "ENOTTY");
	is(28, "ENOSPC");
	is(29, "ESPIPE");
	is(35, "EDEADLK");
	is(75, "EOVERFLOW");
	is(77, "EBADFD");
	is(90, "EMSGSIZE");
	is(95, "EOPNOTSUPP");
	is(98, "EADDRINUSE");
	is(133, "EHWPOISON");
}

static void both_signs_name_the_same(void)
{
	for (int error = 1; error < 200; error++)
		is(-error, errno_name(error));
}

static void other_numbers_have_no_name(void)
{
	is(0, "0");
	is(41, "E?");
	is(58, "E?");
	is(134, "E?");
	is(4096, "E?");
	is(INT_MAX, "E?");
	is(-INT_MAX, "E?");
	is(INT_MIN, "E?");
}

#ifdef __GLIBC__
/* libc has a table of its own, which calls EOPNOTSUPP by its other name. */
static void libc_has_the_same_names(void)
{
	for (int error = 1; error < 200; error++) {
		const char *name = strerrorname_np(error);

		if (error != EOPNOTSUPP)
			is(error, name ? name : "E?");
	}
}
#endif

int main(void)
{
	known_numbers_have_their_names();
	both_signs_name_the_same();
	other_numbers_have_no_name();
#ifdef __GLIBC__
	libc_has_the_same_names();
#endif
	return failed ? 1 : 0;
}
