/* SPDX-License-Identifier: BSD-3-Clause */
/* The test device's files and memory. */
#include "mock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int lowest_free(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void file_without_a_node(struct test *t, int file)
{
	struct epoll_event event = {.events = EPOLLIN};
	int ep = epoll_create1(EPOLL_CLOEXEC);
	char path[64];
	char byte = 0;
	struct stat st;

	SAME(t, ERR(read(file, &byte, 1)), -EINVAL);
	SAME(t, ERR(write(file, &byte, 1)), -EINVAL);
	SAME(t, ready(t, file), POLLIN | POLLOUT);
	SAME(t, ERR(epoll_ctl(ep, EPOLL_CTL_ADD, file, &event)), -EPERM);
	SAME(t, ERR(fstat(file, &st)), 0);
	SAME(t, st.st_mode, 0600);
	SAME(t, st.st_size, 0);
	SAME(t, ERR(ftruncate(file, 4096)), -EINVAL);
	CHECK(t, mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED);
	SAME(t, errno, ENODEV);
	SAME(t, ioas_alloc(file), -ENOTTY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	SAME(t, ERR(open(path, O_RDWR)), -ENXIO);
	SAME(t, ERR(open(path, O_RDONLY)), -ENXIO);
	close(ep);
}

static void access_is_a_file(struct test *t)
{
	int fd;
	long access;

	if (!begin_with_access(t, &fd))
		return;
	access = access_new(fd, 1);
	file_without_a_node(t, (int)access);
	SAME(t, ERR(fcntl((int)access, F_GETFD)), FD_CLOEXEC);
	SAME(t, ERR(fcntl((int)access, F_GETFL)) & O_ACCMODE, O_RDWR);
}

static void dmabuf_is_a_file(struct test *t)
{
	int fd;
	long dmabuf;
	int lowest;

	if (!begin_with_access(t, &fd))
		return;
	lowest = lowest_free();
	dmabuf = dmabuf_new(fd, O_CLOEXEC);
	if (dmabuf == -EOPNOTSUPP) {
		test_skip(t, "no dma-bufs");
		return;
	}
	SAME(t, dmabuf, lowest);
	SAME(t, ioas_alloc((int)dmabuf), -ENOTTY);
	SAME(t, ERR(fcntl((int)dmabuf, F_GETFD)), FD_CLOEXEC);
	close((int)dmabuf);
	dmabuf = dmabuf_new(fd, 0);
	SAME(t, dmabuf, lowest);
	SAME(t, ERR(fcntl((int)dmabuf, F_GETFD)), 0);
}

static void access_at_the_lowest_number(struct test *t)
{
	int fd;
	int copies[4];

	if (!begin_with_access(t, &fd))
		return;
	for (int i = 0; i < 4; i++)
		copies[i] = dup(0);
	close(copies[1]);
	close(copies[3]);
	SAME(t, access_new(fd, 1), copies[1]);
	SAME(t, access_new(fd, 1), copies[3]);
	SAME(t, access_new(fd, 1), copies[3] + 1);
}

/* An access uses its IOAS. */
static void access_until_closed(struct test *t)
{
	int fd;

	if (!begin_with_access(t, &fd))
		return;
	SAME(t, object_destroy(fd, 1), 0);
	for (unsigned long i = 0; i < t->rounds; i++) {
		long ioas = ioas_alloc(fd);
		long access = access_new(fd, (uint32_t)ioas);

		if (!CHECK(t, access >= 0) || !SAME(t, object_destroy(fd, (uint32_t)ioas), -EBUSY) ||
		    !SAME(t, ERR(close((int)access)), 0) || !SAME(t, object_destroy(fd, (uint32_t)ioas), 0))
			return;
	}
}

static void access_until_all_are_closed(struct test *t)
{
	int sockets[2];
	int hold[2];
	int fd, access;
	pid_t pid;

	if (!begin_with_access(t, &fd))
		return;
	SAME(t, ERR(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets)), 0);
	SAME(t, ERR(pipe2(hold, O_CLOEXEC)), 0);
	access = (int)access_new(fd, 1);
	SAME(t, send_descriptor(sockets[0], access), 0);
	close(access);
	SAME(t, object_destroy(fd, 1), -EBUSY);
	access = receive_descriptor(sockets[1]);
	SAME(t, object_destroy(fd, 1), -EBUSY);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		hear(hold[0]);
		_exit(0);
	}
	close(access);
	SAME(t, object_destroy(fd, 1), -EBUSY);
	close(hold[1]);
	SAME(t, wait_for(pid), 0);
	SAME(t, object_destroy(fd, 1), 0);
}

/* The reply cannot be written: neither a descriptor nor an access is left. */
static void unwritable_reply(struct test *t)
{
	struct iommu_test *cmd = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd, before;

	if (!begin_with_access(t, &fd))
		return;
	*cmd = (struct iommu_test){.size = offsetof(struct iommu_test, padding), .op = OP_CREATE_ACCESS, .id = 1};
	SAME(t, ERR(mprotect(cmd, PAGE, PROT_READ)), 0);
	before = count_descriptors();
	for (unsigned long i = 0; i < t->rounds / 4 + 1; i++)
		if (!SAME(t, door_ioctl(fd, IOMMU_TEST, cmd), -EFAULT))
			break;
	SAME(t, count_descriptors(), before);
	SAME(t, object_destroy(fd, 1), 0);
}

static void full_table(struct test *t)
{
	int fd, copy;
	int last = -1;

	if (!begin_with_access(t, &fd))
		return;
	while ((copy = dup(fd)) >= 0)
		last = copy;
	for (int i = 0; i < 10; i++)
		SAME(t, access_new(fd, 1), -EMFILE);
	SAME(t, object_destroy(fd, 1), 0);
	SAME(t, ioas_alloc(fd), 1);
	close(last);
	SAME(t, access_new(fd, 1), last);
}

struct opener {
	struct test *t;
	unsigned long rounds;
	_Atomic bool end;
};

/* Another thread's descriptors stay its own. */
static void *open_and_look(void *arg)
{
	struct opener *o = arg;

	while (!atomic_load(&o->end)) {
		int fds[2];
		char byte = 'x';

		if (pipe2(fds, O_CLOEXEC) < 0)
			continue;
		if (!SAME(o->t, ERR(write(fds[1], &byte, 1)), 1) || !SAME(o->t, ERR(read(fds[0], &byte, 1)), 1) ||
		    !SAME(o->t, ERR(close(fds[0])), 0) || !SAME(o->t, ERR(close(fds[1])), 0))
			break;
	}
	return NULL;
}

static void beside_a_thread_that_opens(struct test *t)
{
	struct opener o = {.t = t};
	pthread_t thread;
	int fd;

	if (!begin_with_access(t, &fd))
		return;
	SAME(t, pthread_create(&thread, NULL, open_and_look, &o), 0);
	for (unsigned long i = 0; i < t->rounds; i++) {
		long access = access_new(fd, 1);

		if (!CHECK(t, access >= 0) || !SAME(t, object_destroy(fd, 1), -EBUSY) ||
		    !SAME(t, ERR(close((int)access)), 0))
			break;
	}
	atomic_store(&o.end, true);
	pthread_join(thread, NULL);
	SAME(t, object_destroy(fd, 1), 0);
}

struct closer {
	int number;
	_Atomic bool end;
};

static void *close_it(void *arg)
{
	struct closer *c = arg;

	while (!atomic_load(&c->end))
		close(c->number);
	return NULL;
}

/* A descriptor that is closed before the command that makes it is over leaves nothing open. */
static void closed_by_another_thread(struct test *t)
{
	struct closer c = {.number = -1};
	pthread_t thread;
	long access;
	int fd;

	if (!begin_with_access(t, &fd))
		return;
	c.number = lowest_free();
	SAME(t, pthread_create(&thread, NULL, close_it, &c), 0);
	for (unsigned long i = 0; i < t->rounds; i++) {
		access = access_new(fd, 1);
		if (!CHECK(t, access >= 0))
			break;
		if (access != c.number) /* the last one was not closed yet */
			close((int)access);
	}
	atomic_store(&c.end, true);
	pthread_join(thread, NULL);
	close(c.number);
	SAME(t, object_destroy(fd, 1), 0);
}

static void *map(int fd, uint64_t length, uint64_t offset)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
}

static void region_is_shared(struct test *t)
{
	struct viommu_data data = {.in_data = 0x1234};
	struct device d;
	long viommu = begin_with_viommu(t, &d, &data);
	uint32_t *one, *other;
	pid_t pid;

	if (viommu < 0)
		return;
	SAME(t, data.out_mmap_length, 2 * PAGE);
	CHECK(t, map(d.fd, PAGE, data.out_mmap_offset) == MAP_FAILED);
	CHECK(t, map(d.fd, 2 * PAGE, data.out_mmap_offset + PAGE) == MAP_FAILED);
	one = map(d.fd, 2 * PAGE, data.out_mmap_offset);
	other = map(d.fd, 2 * PAGE, data.out_mmap_offset);
	if (!CHECK(t, one != MAP_FAILED) || !CHECK(t, other != MAP_FAILED))
		return;
	SAME(t, one[0], 0x1234);
	one[2 * PAGE / 4 - 1] = 77;
	SAME(t, other[2 * PAGE / 4 - 1], 77);
	pid = fork();
	if (pid == 0) {
		one[1] = 78;
		_exit(0);
	}
	SAME(t, wait_for(pid), 0);
	SAME(t, other[1], 78);
}

static void region_keeps_its_owner(struct test *t)
{
	struct viommu_data data = {0};
	struct device d;
	long viommu = begin_with_viommu(t, &d, &data);
	int hold[2];
	pid_t pid;
	char *one, *other;

	if (viommu < 0)
		return;
	SAME(t, ERR(pipe2(hold, O_CLOEXEC)), 0);
	one = map(d.fd, 2 * PAGE, data.out_mmap_offset);
	other = map(d.fd, 2 * PAGE, data.out_mmap_offset);
	if (!CHECK(t, one != MAP_FAILED) || !CHECK(t, other != MAP_FAILED))
		return;
	SAME(t, object_destroy(d.fd, (uint32_t)viommu), -EBUSY);
	munmap(one, 2 * PAGE);
	SAME(t, object_destroy(d.fd, (uint32_t)viommu), -EBUSY);
	munmap(other, PAGE);
	SAME(t, object_destroy(d.fd, (uint32_t)viommu), -EBUSY);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		hear(hold[0]);
		_exit(0);
	}
	munmap(other + PAGE, PAGE);
	SAME(t, object_destroy(d.fd, (uint32_t)viommu), -EBUSY);
	close(hold[1]);
	SAME(t, wait_for(pid), 0);
	SAME(t, object_destroy(d.fd, (uint32_t)viommu), 0);
	CHECK(t, map(d.fd, 2 * PAGE, data.out_mmap_offset) == MAP_FAILED);
	SAME(t, errno, ENXIO);
}

/* The next one at the same place is empty, and nobody truncates one that is mapped. */
static void region_by_region(struct test *t)
{
	struct device d;
	long hwpt;

	if (!begin_with_device(t, &d))
		return;
	hwpt = hwpt_alloc(&d, d.ioas, NEST_PARENT, 0);
	for (unsigned long i = 0; i < t->rounds / 10 + 2; i++) {
		struct viommu_data data = {.in_data = (uint32_t)i + 1};
		long viommu = viommu_alloc(&d, (uint32_t)hwpt, &data);
		uint32_t *memory = map(d.fd, 2 * PAGE, data.out_mmap_offset);
		char path[64];

		if (!CHECK(t, viommu > 0) || !CHECK(t, memory != MAP_FAILED))
			return;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", d.fd);
		(void)!truncate(path, 0);
		(void)!ftruncate(d.fd, 0);
		SAME(t, memory[0], i + 1);
		SAME(t, memory[PAGE / 4], 0);
		memory[PAGE / 4] = 5;
		munmap(memory, 2 * PAGE);
		if (!SAME(t, object_destroy(d.fd, (uint32_t)viommu), 0))
			return;
	}
}

/* A mapping keeps the file open. */
static void region_outlives_descriptors(struct test *t)
{
	struct viommu_data data = {.in_data = 9};
	struct device d;
	long viommu = begin_with_viommu(t, &d, &data);
	volatile uint32_t *memory;

	if (viommu < 0)
		return;
	memory = map(d.fd, 2 * PAGE, data.out_mmap_offset);
	if (!CHECK(t, memory != MAP_FAILED))
		return;
	close(d.fd);
	for (int i = 0; i < 20; i++) {
		int other = open_iommu();

		FRESH(t, other);
		close(other);
	}
	SAME(t, memory[0], 9);
	memory[1] = 3;
	munmap((void *)memory, 2 * PAGE);
}

/* In kB; -errno. */
static long status_field(const char *path, const char *field)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long value = -ENODATA;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			value = strtol(line + strlen(field), NULL, 10);
	fclose(f);
	return value;
}

static void status_says_what_is_pinned(struct test *t)
{
	enum { PAGES = 6 };
	void *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char own[64], thread[80];
	const char *const paths[] = {"/proc/self/status", "/proc/thread-self/status", own, thread};
	struct device d;
	long locked;

	if (!begin_with_device(t, &d))
		return;
	snprintf(own, sizeof(own), "/proc/%d/status", (int)getpid());
	snprintf(thread, sizeof(thread), "/proc/%d/task/%d/status", (int)getpid(), (int)getpid());
	SAME(t, ERR(mlock(memory, PAGE)), 0);
	locked = status_field(own, "VmLck:");
	SAME(t, status_field(own, "VmPin:"), 0);
	SAME(t, ioas_map(d.fd, d.ioas, memory, PAGES * PAGE, FIRST_IOVA), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		SAME(t, status_field(paths[i], "VmPin:"), PAGES * 4);
		SAME(t, status_field(paths[i], "VmLck:"), locked);
		SAME(t, status_field(paths[i], "Pid:"), getpid());
	}
	SAME(t, ioas_unmap(d.fd, d.ioas, FIRST_IOVA, PAGES * PAGE), PAGES * PAGE);
	SAME(t, status_field(own, "VmPin:"), 0);
	SAME(t, status_field("/proc/1/status", "VmPin:"), 0);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"access_is_a_file", access_is_a_file},
		{"dmabuf_is_a_file", dmabuf_is_a_file},
		{"access_at_the_lowest_number", access_at_the_lowest_number},
		{"access_until_closed", access_until_closed},
		{"access_until_all_are_closed", access_until_all_are_closed},
		{"unwritable_reply", unwritable_reply},
		{"full_table", full_table},
		{"beside_a_thread_that_opens", beside_a_thread_that_opens},
		{"closed_by_another_thread", closed_by_another_thread},
		{"region_is_shared", region_is_shared},
		{"region_keeps_its_owner", region_keeps_its_owner},
		{"region_by_region", region_by_region},
		{"region_outlives_descriptors", region_outlives_descriptors},
		{"status_says_what_is_pinned", status_says_what_is_pinned},
	};

	return TEST_MAIN(argc, argv, cases);
}
