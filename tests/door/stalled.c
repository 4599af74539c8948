/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stalled WHAT COUNT: COUNT threads make a call whose memory is served by userfaultfd, which this program does not
 * answer. WHAT: argument, reply, array, path, stat. When all of them are stalled it looks whether another context of
 * its own is served, prints "stalled", and waits for its standard input: "a" answers the faults and checks the results,
 * the end of the file ends the program. The harness kills it as well, and looks how others fare meanwhile.
 *
 * Exit status 77 where this process may not serve the kernel's faults.
 */
#include "door.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

enum { PAGE = 4096, MOST = 256 };

struct stall {
	const char *what;
	unsigned char *page;
	int fd;
	long result;
	pthread_t thread;
};

/* What the page holds once it is there. */
static void fill(const struct stall *s, unsigned char *page)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
	struct iommu_iova_range range = {0, ~0ull - 1};

	memset(page, 0, PAGE);
	if (strcmp(s->what, "argument") == 0 || strcmp(s->what, "reply") == 0)
		memcpy(page, &alloc, sizeof(alloc));
	else if (strcmp(s->what, "array") == 0)
		memcpy(page, &range, sizeof(range));
	else if (strcmp(s->what, "path") == 0)
		memcpy(page, DEV_IOMMU, sizeof(DEV_IOMMU));
}

static void *make_the_call(void *arg)
{
	struct stall *s = arg;

	if (strcmp(s->what, "path") == 0) {
		s->result = ERR(open((const char *)s->page, O_RDWR | O_CLOEXEC));
	} else if (strcmp(s->what, "stat") == 0) {
		s->result = ERR(fstat(s->fd, (void *)s->page));
	} else if (strcmp(s->what, "array") == 0) {
		struct iommu_ioas_ranges cmd = {.size = 24,
						.ioas_id = 1,
						.num_iovas = 1,
						.iovas = address(s->page)}; /* without the last member */

		s->result = door_ioctl(s->fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
	} else {
		s->result = door_ioctl(s->fd, IOMMU_IOAS_ALLOC, s->page);
	}
	return NULL;
}

static int open_userfaultfd(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		printf("skip: userfaultfd for faults of the kernel: %s\n", strerrorname_np(errno));
		exit(77);
	}
	if (ioctl(fd, UFFDIO_API, &api) != 0) {
		printf("skip: UFFDIO_API: %s\n", strerrorname_np(errno));
		exit(77);
	}
	return fd;
}

static void watch_pages(int uffd, struct stall *stalls, int count, bool protect)
{
	struct uffdio_register reg = {
		.range = {address(stalls[0].page), (uint64_t)count * PAGE},
		.mode = protect ? UFFDIO_REGISTER_MODE_WP : UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_writeprotect wp = {.range = reg.range, .mode = UFFDIO_WRITEPROTECT_MODE_WP};

	for (int i = 0; protect && i < count; i++)
		fill(&stalls[i], stalls[i].page);
	if (ioctl(uffd, UFFDIO_REGISTER, &reg) != 0 || (protect && ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) != 0)) {
		printf("skip: UFFDIO_REGISTER: %s\n", strerrorname_np(errno));
		exit(77);
	}
}

/* Waits until each of the pages has been asked for. */
static void await_faults(int uffd, const struct stall *stalls, int count)
{
	bool seen[MOST] = {false};
	int left = count;

	while (left > 0) {
		struct pollfd p = {uffd, POLLIN, 0};
		struct uffd_msg msg;
		uint64_t page;

		poll(&p, 1, -1);
		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg) || msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		page = (msg.arg.pagefault.address - address(stalls[0].page)) / PAGE;
		if (page < (uint64_t)count && !seen[page]) {
			seen[page] = true;
			left--;
		}
	}
}

static void answer(int uffd, struct stall *s, bool protect)
{
	_Alignas(PAGE) static unsigned char content[PAGE];
	struct uffdio_writeprotect wp = {.range = {address(s->page), PAGE}};
	struct uffdio_copy copy = {.dst = address(s->page), .src = address(content), .len = PAGE};

	fill(s, content);
	if (protect)
		ioctl(uffd, UFFDIO_WRITEPROTECT, &wp);
	else
		ioctl(uffd, UFFDIO_COPY, &copy);
}

static void check_result(struct test *t, const struct stall *s)
{
	const struct iommu_ioas_alloc *alloc = (const void *)s->page;
	const struct stat *st = (const void *)s->page;

	if (strcmp(s->what, "path") == 0) {
		if (CHECK(t, s->result >= 0))
			FRESH(t, (int)s->result);
		return;
	}
	SAME(t, s->result, 0);
	if (strcmp(s->what, "stat") == 0)
		CHECK(t, S_ISCHR(st->st_mode));
	else if (strcmp(s->what, "array") == 0)
		SAME(t, ioas_alloc(s->fd), 2);
	else
		SAME(t, alloc->out_ioas_id, 1);
}

/* Another context is served, and so are those whose call is stalled, as far as the call does not hold them up in Linux.
 */
static void check_others(struct test *t, const struct stall *stalls, int count)
{
	int other = open_iommu();

	FRESH(t, other);
	SAME(t, ioas_map(other, 1, t, sizeof(*t), 0x1000), 0);
	close(other);
	for (int i = 0; i < count; i++)
		SAME(t, option_get(stalls[i].fd, OPTION_RLIMIT_MODE, 0), 0);
}

int main(int argc, char **argv)
{
	static struct stall stalls[MOST];
	struct test t = {.name = "stalled"};
	int count = argc == 3 ? atoi(argv[2]) : 0;
	bool protect;
	char order = 0;
	int uffd;
	unsigned char *pages;

	if (count < 1 || count > MOST)
		return 2;
	t.name = argv[1];
	protect = strcmp(argv[1], "reply") == 0;
	uffd = open_userfaultfd();
	pages = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < count; i++) {
		stalls[i] = (struct stall){.what = argv[1], .page = pages + (size_t)i * PAGE, .fd = open_iommu()};
		if (strcmp(argv[1], "array") == 0)
			FRESH(&t, stalls[i].fd);
	}
	watch_pages(uffd, stalls, count, protect);
	for (int i = 0; i < count; i++)
		pthread_create(&stalls[i].thread, NULL, make_the_call, &stalls[i]);
	await_faults(uffd, stalls, count);
	check_others(&t, stalls, count);
	dprintf(STDOUT_FILENO, t.failed ? "failed\n" : "stalled\n");
	if (read(STDIN_FILENO, &order, 1) == 1 && order == 'a') {
		for (int i = 0; i < count; i++) {
			answer(uffd, &stalls[i], protect);
			pthread_join(stalls[i].thread, NULL);
			check_result(&t, &stalls[i]);
		}
	}
	/* With an end of the file the process ends while its calls are stalled. */
	_exit(t.failed);
}
