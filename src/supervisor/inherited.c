/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/inherited.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A descriptor of ours must not take the number of a standard one that the program has closed, nor be seen there by it.
 */
static void fill_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			(void)!open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int list_descriptors(int **list)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	size_t count = 0;
	int *all = NULL;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		int *larger;

		if (fd <= STDERR_FILENO || fd == dirfd(dir))
			continue;
		larger = realloc(all, (count + 2) * sizeof(*all));
		if (!larger)
			break;
		all = larger;
		all[count++] = fd;
		all[count] = -1;
	}
	closedir(dir);
	if (entry) {
		free(all);
		return -ENOMEM;
	}
	*list = all;
	return 0;
}

int inherited_save(struct inherited *inherited)
{
	*inherited = (struct inherited){0};
	sigprocmask(SIG_SETMASK, NULL, &inherited->mask);
	for (int i = 1; i < NSIG; i++)
		sigaction(i, NULL, &inherited->actions[i]);
	getrlimit(RLIMIT_NOFILE, &inherited->open_files);
	fill_standard();
	return list_descriptors(&inherited->descriptors);
}

void inherited_free(struct inherited *inherited)
{
	free(inherited->descriptors);
}

void inherited_restore(const struct inherited *inherited)
{
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &inherited->actions[i], NULL);
	setrlimit(RLIMIT_NOFILE, &inherited->open_files);
	sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
}

void inherited_let_go(const struct inherited *inherited)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (const int *fd = inherited->descriptors; fd && *fd >= 0; fd++)
		close(*fd);
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
}
