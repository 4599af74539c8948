/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/ancestry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ANCESTORS_MAX 4096 /* pids that are used again could make a circle */
#define ATTEMPTS_MAX  64   /* ancestors may end as fast as we look */

/* Returns 0; -ESRCH: there is no such process; or what we lack to find out. */
static int find_parent(pid_t pid, pid_t *parent)
{
	char line[512];
	char path[64];
	int number = 0, group = -1;
	char *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -ESRCH;
	/* A name may have brackets: what follows the last one counts. */
	end = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	/* Of one that goes just now the line is whole, but has no parent and no group. */
	if (!end || sscanf(end + 1, " %*c %d %d", &number, &group) != 2 || group < 0)
		return -ESRCH;
	*parent = (pid_t)number;
	return 0;
}

/* As process_descends(), or -ESRCH: who is on the way, *missing, is not there. */
static int climb(pid_t pid, pid_t ancestor, pid_t *missing)
{
	pid_t at = pid;

	for (int i = 0; i < ANCESTORS_MAX; i++) {
		int rc;

		*missing = at;
		rc = find_parent(*missing, &at);
		if (rc)
			return rc;
		if (at <= 0 || at == ancestor)
			return at == ancestor;
	}
	return -ELOOP;
}

/* The children of who ends have another parent before it is gone: if one is still missing, it is kept from us. */
int process_descends(pid_t pid, pid_t ancestor)
{
	pid_t missing = pid, before;

	for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
		int rc;

		before = missing;
		rc = climb(pid, ancestor, &missing);
		if (rc != -ESRCH)
			return rc;
		if (missing == pid || missing == before)
			return 0;
	}
	return -EAGAIN;
}
