/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cgroup_mount.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A mount of a hierarchy. */
struct cgroup_mount {
	const char *root; /* what of the hierarchy is mounted */
	const char *place;
	bool counts;
};

/* "\\040" is a space. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static bool has_option(char *options, const char *wanted)
{
	char *rest = options;
	char *option;

	while ((option = strsep(&rest, ",\n")))
		if (!strcmp(option, wanted))
			return true;
	return false;
}

/* A line is "ID PARENT DEVICE ROOT PLACE OPTIONS... - TYPE SOURCE OPTIONS". */
static bool read_mount(char *line, struct cgroup_mount *mount)
{
	enum { ROOT = 3, PLACE = 4, TYPE = 0, OPTIONS = 2, WORDS = 5 };
	char *tail = strstr(line, " - ");
	char *words[WORDS] = {NULL};

	if (!tail)
		return false;
	*tail = '\0';
	tail += strlen(" - ");
	for (int i = 0; i < WORDS; i++)
		words[i] = strsep(&line, " ");
	if (!words[PLACE])
		return false;
	unescape(words[ROOT]);
	unescape(words[PLACE]);
	mount->root = words[ROOT];
	mount->place = words[PLACE];
	for (int i = 0; i <= OPTIONS; i++)
		words[i] = strsep(&tail, " ");
	if (!words[OPTIONS] || (strcmp(words[TYPE], "cgroup") != 0 && strcmp(words[TYPE], "cgroup2") != 0))
		return false;
	mount->counts = !strcmp(words[TYPE], "cgroup2") || has_option(words[OPTIONS], "name=systemd");
	return true;
}

/* How much of the path the place is; 0: it is not below it. */
static size_t length_within(const char *path, const char *place)
{
	size_t length = strlen(place);

	if (strncmp(path, place, length) != 0 || (path[length] && path[length] != '/'))
		return 0;
	return length;
}

int cgroup_find_mount(FILE *mounts, char *path, size_t room)
{
	struct cgroup_mount mount;
	size_t line_room = 0, longest = 0;
	char *line = NULL, *found = NULL;
	bool counts = true;
	int rc = 0;

	while (getline(&line, &line_room, mounts) > 0) {
		size_t length = read_mount(line, &mount) ? length_within(path, mount.place) : 0;
		const char *below = path + length;
		char *here;

		if (!length || length < longest)
			continue;
		if (!strcmp(mount.root, "/"))
			mount.root = *below ? "" : "/";
		if (asprintf(&here, "%s%s", mount.root, below) < 0) {
			rc = -ENOMEM;
			break;
		}
		free(found);
		found = here;
		longest = length;
		counts = mount.counts;
	}
	free(line);
	if (!rc && !counts)
		rc = -EXDEV;
	if (!rc && found && strlen(found) >= room)
		rc = -ENAMETOOLONG;
	if (!rc && found)
		memcpy(path, found, strlen(found) + 1);
	free(found);
	return rc;
}

int cgroup_of_directory(char *path, size_t room)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	int rc;

	if (!mounts)
		return -errno;
	rc = cgroup_find_mount(mounts, path, room);
	fclose(mounts);
	return rc;
}
