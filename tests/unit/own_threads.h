/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads of this process. One that was joined is still there for a moment. */
#ifndef IOMMUSE_TESTS_OWN_THREADS_H
#define IOMMUSE_TESTS_OWN_THREADS_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline unsigned own_threads_now(const char *name)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned count = 0;

	for (const struct dirent *task; tasks && (task = readdir(tasks));) {
		char path[300], found[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(found, sizeof(found), file))
			count += !strncmp(found, name, strlen(name)) && found[strlen(name)] == '\n';
		fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return count;
}

/* How many have that name, at last: as many as that, or after 10 s. */
static inline unsigned own_threads(const char *name, unsigned wanted)
{
	unsigned count = own_threads_now(name);

	for (unsigned ms = 0; count != wanted && ms < 10000; ms++) {
		usleep(1000);
		count = own_threads_now(name);
	}
	return count;
}

#endif
