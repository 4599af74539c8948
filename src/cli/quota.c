/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/quota.h"

#include "base/log.h"
#include "cli/cgroup_mount.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int number_of(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno || *end || *number < min || *number > max ? -EINVAL : 0;
}

/* Drops what says nothing: "//", "/./", "/" at the end. Returns false where it goes up, is not absolute, or no cgroup
 * can have it. */
static bool clean(char *path)
{
	const char *word = path;
	char *to = path;

	if (*path != '/' || strchr(path, '\n'))
		return false;
	while (*word) {
		size_t length;

		word += strspn(word, "/");
		length = strcspn(word, "/");
		if (length == 2 && !strncmp(word, "..", 2))
			return false;
		if (length && !(length == 1 && *word == '.')) {
			*to++ = '/';
			memmove(to, word, length);
			to += length;
		}
		word += length;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
	return true;
}

int cgroup_quota_of(const char *text, char **quota)
{
	const char *equals = strrchr(text, '=');
	char path[PATH_MAX];
	uint64_t most;
	int rc;

	if (!equals || number_of(equals + 1, 0, UINT64_MAX - 1, &most)) {
		log_line("run: --pasid-quota=%s: after the cgroup and '=' comes a number", text);
		return -EINVAL;
	}
	if (snprintf(path, sizeof(path), "%.*s", (int)(equals - text), text) >= (int)sizeof(path) || !clean(path)) {
		log_line("run: --pasid-quota=%s: the cgroup is an absolute path, as /proc/self/cgroup has it", text);
		return -EINVAL;
	}
	rc = cgroup_of_directory(path, sizeof(path));
	if (rc == -EXDEV) {
		log_line("run: --pasid-quota=%s: this is a cgroup of a hierarchy that does not count: "
			 "'man iommuse-run' says which does",
			 text);
		return rc;
	}
	if (rc) {
		log_error(rc, "run: --pasid-quota=%s: cannot tell which cgroup this is", text);
		return rc;
	}
	if (asprintf(quota, "%s=%" PRIu64, path, most) >= 0)
		return 0;
	log_error(-ENOMEM, "run");
	return -ENOMEM;
}
