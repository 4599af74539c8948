/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that ask for much, and one that looks how it fares beside them, a verb each:
 *   calls            makes calls, one after the other, until standard input ends or brings something; prints "ready"
 *                    first, and at last the longest, in ns
 *   flood N          N threads send to an event queue without end
 *   reopened N       N nodes that were opened a second time past iommuse, and closed there: stays until it is killed
 * The last two print "ready" when they are at it.
 */
#include "door.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int calls(void)
{
	struct pollfd input = {STDIN_FILENO, POLLIN, 0};
	int fd = open_iommu();
	uint64_t longest = 0;
	long rc = ioas_alloc(fd);

	dprintf(STDOUT_FILENO, "ready\n");
	while (rc >= 0 && poll(&input, 1, 0) == 0) {
		uint64_t start = monotonic_ns();

		rc = option_get(fd, OPTION_RLIMIT_MODE, 0);
		start = monotonic_ns() - start;
		if (start > longest)
			longest = start;
		usleep(200);
	}
	printf("%llu\n", (unsigned long long)longest);
	return rc < 0;
}

static void *send_without_end(void *context)
{
	static char block[65536];
	const int *queue = context;

	for (;;)
		(void)send(*queue, block, sizeof(block), MSG_NOSIGNAL);
	return NULL;
}

static int flood(int count)
{
	uint32_t id;
	int queue = (int)fault_queue_alloc(open_iommu(), &id);
	pthread_t thread;

	if (queue < 0)
		return 1;
	for (int i = 0; i < count; i++)
		pthread_create(&thread, NULL, send_without_end, &queue);
	dprintf(STDOUT_FILENO, "ready\n");
	hear(STDIN_FILENO);
	_exit(0);
}

/* A link of another name, to read: iommuse leaves it to the kernel. */
static int open_past(int fd)
{
	const char *folder = getenv("TMPDIR");
	char target[64];
	char link[256];
	int again;

	snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	snprintf(link, sizeof(link), "%s/again-%d", folder ? folder : "/tmp", (int)getpid());
	if (fchmod(fd, 0666) < 0 || symlink(target, link) < 0)
		return -errno;
	again = (int)ERR(open(link, O_RDONLY | O_CLOEXEC));
	unlink(link);
	return again;
}

static int reopened(int count)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < count; i++) {
		int fd = open_iommu();
		int again = fd < 0 ? fd : open_past(fd);

		if (again < 0) {
			printf("the node %d: %s\n", i, strerrorname_np(-again));
			return 1;
		}
		close(again);
	}
	dprintf(STDOUT_FILENO, "ready\n");
	hear(STDIN_FILENO);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "calls") == 0)
		return calls();
	if (argc == 3 && strcmp(argv[1], "flood") == 0)
		return flood(atoi(argv[2]));
	if (argc == 3 && strcmp(argv[1], "reopened") == 0)
		return reopened(atoi(argv[2]));
	return 2;
}
