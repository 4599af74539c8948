/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that means ill: wrong pointers, sizes, ids and descriptors, arguments that another thread changes during the
 * call, descriptors that are closed and replaced during it, and things that nobody does to a device file. No answer is
 * checked but that there is one, and that a well-behaved context is served afterwards.
 */
#include "mock.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum { FIRST_FD = 100, FDS = 12, BUFFER = 1 << 16, CALLERS = 2 };

/* Far from all else, so that the pointers that random words make do not lead into the program itself. */
#define BUFFER_ADDRESS 0x100000000000ull

struct attack {
	_Atomic bool over;
	_Atomic unsigned callers;
	uint64_t seed;
	unsigned long calls;
	_Atomic(uint32_t) *buffer; /* BUFFER bytes, then a read-only page, then nothing */
};

static char *map_buffer(void)
{
	char *memory = mmap((void *)BUFFER_ADDRESS, BUFFER + 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + BUFFER, 4096, PROT_READ) != 0)
		abort();
	return memory;
}

static int some_fd(uint64_t *random)
{
	static const int odd[] = {-1, 0, 99, 1 << 20, INT32_MAX, INT32_MIN};
	uint64_t n = random_next(random) % 32;

	return n < 6 ? odd[n] : FIRST_FD + (int)(n % FDS);
}

static uint64_t some_address(const struct attack *a, uint64_t *random)
{
	static const uint64_t odd[] = {0, 8, 4095, 0x7ffffffff000ull, 0x800000000000ull, 0xffffffff81000000ull, ~0ull};
	uint64_t base = address((const void *)a->buffer);
	uint64_t n = random_next(random) % 24;

	if (n < 7)
		return odd[n];
	if (n < 9)
		return base + BUFFER - random_next(random) % 80; /* into the read-only page */
	if (n < 11)
		return base + BUFFER + 4096 - random_next(random) % 80; /* over the end */
	return base + random_next(random) % (BUFFER - 128);
}

static uint32_t some_word(uint64_t *random)
{
	switch (random_next(random) % 10) {
	case 0:
		return (uint32_t)random_next(random);
	case 1:
		return (uint32_t)1 << random_next(random) % 32;
	case 2:
		return (uint32_t)some_fd(random);
	case 3:
		return (uint32_t)BUFFER_ADDRESS + (uint32_t)(random_next(random) % (BUFFER + 8192));
	case 4:
		return (uint32_t)(BUFFER_ADDRESS >> 32);
	case 5:
		return UINT32_MAX - (uint32_t)(random_next(random) % 3);
	case 6:
		return (uint32_t)(random_next(random) % 80);
	case 7:
		return 0x1000u << random_next(random) % 14;
	default:
		return (uint32_t)(random_next(random) % 4);
	}
}

static uint32_t some_size(uint64_t *random)
{
	static const uint32_t sizes[] = {0,  1,  4,  7,  8,  12, 16, 20,   24,    28,        32,
					 36, 40, 44, 48, 64, 72, 80, 4096, 65536, UINT32_MAX};

	return sizes[random_next(random) % (sizeof(sizes) / sizeof(sizes[0]))];
}

static unsigned long some_command(uint64_t *random)
{
	uint64_t n = random_next(random) % 16;

	if (n == 0)
		return CMD(random_next(random) % 256);
	if (n == 1)
		return (uint32_t)(random_next(random) << 16) | CMD(random_next(random) % 256);
	if (n < 4)
		return CMD(0x64 + random_next(random) % 32);
	if (n < 7)
		return CMD(IOMMU_TEST);
	return CMD(0x80 + random_next(random) % 0x15);
}

/* The size that a structure has, most often. */
static uint32_t size_for(unsigned long command, uint64_t *random)
{
	static const uint8_t sizes[] = {8,  12, 24, 48, 32, 40, 24, 24, 16, 56, 48,
					16, 56, 32, 16, 40, 40, 24, 8,  32, 40};
	unsigned long number = command % 256 - IOMMU_DESTROY;

	if (random_next(random) % 4 == 0)
		return some_size(random);
	return command == CMD(IOMMU_TEST) ? 68 : number < sizeof(sizes) ? sizes[number] : 40;
}

static void write_argument(const struct attack *a, uint64_t at, unsigned long command, uint64_t *random)
{
	uint64_t base = address((const void *)a->buffer);
	uint64_t first = (at - base) / 4;

	if (at < base || at > base + BUFFER - 128)
		return;
	atomic_store(&a->buffer[first], size_for(command, random));
	for (uint64_t i = 1; i < 18; i++)
		atomic_store(&a->buffer[first + i], some_word(random));
	if (command == CMD(IOMMU_TEST))
		atomic_store(&a->buffer[first + 1], (uint32_t)(random_next(random) % 25));
}

/* In a region of a device, or beyond all of them. */
static void read_or_write_register(int fd, uint64_t at, uint64_t *random)
{
	off_t position = (off_t)(random_next(random) % 12) << 40 | (off_t)(random_next(random) % 0x5000);
	struct iovec parts[2] = {{(void *)(uintptr_t)at, random_next(random) % 70}, {(void *)(uintptr_t)at, 4}};
	void *memory;

	switch (random_next(random) % 8) {
	case 0:
		memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, position & ~(off_t)0xfff);
		if (memory != MAP_FAILED)
			munmap(memory, 4096);
		break;
	case 1:
		(void)!pwritev(fd, parts, 2, position);
		break;
	case 2:
		(void)!preadv(fd, parts, 2, position);
		break;
	case 3:
	case 4:
	case 5:
		(void)!pread(fd, parts[0].iov_base, parts[0].iov_len, position);
		break;
	default:
		(void)!pwrite(fd, parts[0].iov_base, parts[0].iov_len, position);
	}
}

/* What is done to queues, most of all. */
static void read_or_write(int fd, uint64_t at, uint64_t *random)
{
	void *memory = (void *)(uintptr_t)at;
	size_t count = random_next(random) % 4 ? random_next(random) % 100 : some_size(random);

	fcntl(fd, F_SETFL, O_NONBLOCK); /* a queue, or anything that was put in its place */
	if (random_next(random) % 2)
		(void)!read(fd, memory, count);
	else
		(void)!write(fd, memory, count < BUFFER ? count : BUFFER);
}

static void *calls_at_random(void *arg)
{
	struct attack *a = arg;
	uint64_t random = a->seed + 1000 * (1 + (uint64_t)atomic_fetch_add(&a->callers, 1));

	for (unsigned long i = 0; i < a->calls; i++) {
		uint64_t at = some_address(a, &random) & ~(random_next(&random) % 4 ? 3ull : 0ull);
		unsigned long command = some_command(&random);
		int fd = some_fd(&random);

		write_argument(a, at & ~3ull, command, &random);
		if (random_next(&random) % 16 == 0 && fd >= FIRST_FD)
			read_or_write(fd, at, &random);
		else if (random_next(&random) % 8 == 0 && fd >= FIRST_FD)
			read_or_write_register(fd, at, &random);
		else
			ioctl(fd, command, at);
		if (i % 512 == 0) /* queues that the calls made */
			close_range(FIRST_FD + FDS, ~0u, 0);
	}
	return NULL;
}

static void *changes_arguments(void *arg)
{
	struct attack *a = arg;
	uint64_t random = a->seed + 1;

	while (!atomic_load(&a->over))
		atomic_store(&a->buffer[random_next(&random) % (BUFFER / 4)],
			     random_next(&random) % 8 ? some_word(&random) : some_size(&random));
	return NULL;
}

/* With an IOAS, and a device on it where there are any. */
static int open_with_device(void)
{
	struct iommu_test cmd = {.op = OP_MOCK_DOMAIN, .id = 1};
	int fd = open(DEV_IOMMU, O_RDWR);

	if (fd < 0)
		return fd;
	ioas_alloc(fd);
	test_op(fd, &cmd);
	return fd;
}

/* Something else that a context makes, or a negative number. */
static int some_queue(int fd, uint64_t *random)
{
	uint32_t id;

	switch (random_next(random) % 3) {
	case 0:
		return (int)access_new(fd, 1);
	case 1:
		return (int)dmabuf_new(fd, 0);
	default:
		return (int)fault_queue_alloc(fd, &id);
	}
}

/* A group or a device, or a negative number. other: a descriptor that may be of a group, or of a context. */
static int some_device(int other, uint64_t *random)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t id;
	} bind = {sizeof(bind), 0, other, 0};
	char address[] = "0000:01:00.0";
	int group, fd;

	switch (random_next(random) % 4) {
	case 0:
		return open("/dev/vfio/1", O_RDWR);
	case 1:
		return ioctl(other, CMD(0x6a), address);
	case 2:
		group = open("/dev/vfio/1", O_RDWR);
		ioctl(group, CMD(0x68), &other);
		fd = ioctl(group, CMD(0x6a), address);
		close(group);
		return fd;
	default:
		fd = open("/dev/vfio/devices/vfio0", O_RDWR);
		ioctl(fd, CMD(0x76), &bind);
		return fd;
	}
}

static void *changes_descriptors(void *arg)
{
	struct attack *a = arg;
	uint64_t random = a->seed + 2;

	while (!atomic_load(&a->over)) {
		int number = FIRST_FD + (int)(random_next(&random) % FDS);
		int fd;

		switch (random_next(&random) % 10) {
		case 0:
			close(number);
			continue;
		case 1:
			fd = memfd_create("door", MFD_CLOEXEC);
			break;
		case 2:
			fd = dup(FIRST_FD + (int)(random_next(&random) % FDS));
			break;
		case 3:
			fd = open(DEV_VFIO, O_RDONLY);
			break;
		case 4:
			fd = some_queue(FIRST_FD + (int)(random_next(&random) % FDS), &random);
			break;
		case 5:
		case 6:
			fd = some_device(FIRST_FD + (int)(random_next(&random) % FDS), &random);
			break;
		default:
			fd = open_with_device();
		}
		if (fd >= 0) {
			dup2(fd, number);
			close(fd);
		}
	}
	return NULL;
}

static void random_calls(struct test *t)
{
	struct attack a = {.seed = t->seed, .calls = t->rounds * 50};
	pthread_t callers[CALLERS];
	pthread_t others[2];

	dprintf(STDOUT_FILENO, "# %s: seed %llu, %lu calls\n", t->name, (unsigned long long)a.seed, a.calls * CALLERS);
	a.buffer = (void *)map_buffer();
	SAME(t, pthread_create(&others[0], NULL, changes_arguments, &a), 0);
	SAME(t, pthread_create(&others[1], NULL, changes_descriptors, &a), 0);
	for (int i = 0; i < CALLERS; i++)
		SAME(t, pthread_create(&callers[i], NULL, calls_at_random, &a), 0);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	atomic_store(&a.over, true);
	for (int i = 0; i < 2; i++)
		pthread_join(others[i], NULL);
	FRESH(t, open_iommu());
}

/* Random calls in a process that is killed, or whose memory goes, in the middle of it all. */
static void random_calls_that_end(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds / 10 + 1; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct attack a = {.seed = t->seed + i, .calls = 300};
			pthread_t thread;
			char *memory = map_buffer();

			a.buffer = (void *)memory;
			pthread_create(&thread, NULL, changes_descriptors, &a);
			calls_at_random(&a);
			if (i % 3 == 0)
				_exit(0);
			if (i % 3 == 1)
				abort();
			/* The arguments vanish under two callers. */
			a.calls = 1000;
			pthread_create(&thread, NULL, calls_at_random, &a);
			munmap(memory, BUFFER);
			_exit(0);
		}
		wait_for(pid);
	}
	FRESH(t, open_iommu());
}

/* What nobody does to a device. Some of it Linux allows, some not; the context is not touched by any of it. */
static void abuse(int fd, const char *self)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct timespec times[2] = {{1, 0}, {2, 0}};
	char byte = 'x';
	int in;

	fcntl(fd, F_SETLEASE, F_RDLCK);
	fcntl(fd, F_SETLEASE, F_WRLCK);
	fcntl(fd, F_SETLK, &lock);
	fcntl(fd, F_OFD_SETLK, &lock);
	fcntl(fd, F_NOTIFY, DN_ACCESS | DN_MULTISHOT);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, O_ASYNC | O_APPEND | O_NONBLOCK);
	flock(fd, LOCK_EX | LOCK_NB);
	futimens(fd, times);
	fsetxattr(fd, "user.x", "y", 1, 0);
	fsetxattr(fd, "trusted.x", "y", 1, 0);
	ftruncate(fd, 1ll << 40);
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	fsync(fd);
	write(fd, &byte, 1);
	pwrite(fd, &byte, 1, 7ll << 40);
	pread(fd, &byte, 1, 7ll << 40);
	lseek(fd, 1 << 20, SEEK_SET);
	in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	sendfile(fd, in, NULL, 100);
	copy_file_range(in, NULL, fd, NULL, 100, 0);
	close(in);
	in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	inotify_add_watch(in, self, IN_ALL_EVENTS);
	close(in);
	in = open(self, O_RDONLY | O_CLOEXEC);
	close(in);
	(void)mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE, fd, 0);
}

static void things_nobody_does(struct test *t)
{
	for (int i = 0; i < 20; i++) {
		int fd = (int)ERR(open(i % 3 ? DEV_IOMMU : DEV_VFIO, i % 2 ? O_RDWR : O_RDONLY));
		char self[64];

		FRESH(t, fd);
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		abuse(fd, self);
		if (!SAME(t, ioas_alloc(fd), 2) || !SAME(t, open_iommu() >= 0, true))
			break;
		if (i % 4 == 0)
			close(fd);
	}
}

static void things_nobody_does_to_a_device(struct test *t)
{
	for (int i = 0; i < 20; i++) {
		int iommufd = open_iommu();
		struct {
			uint32_t argsz, flags;
			int32_t iommufd;
			uint32_t id;
		} bind = {sizeof(bind), 0, iommufd, 0};
		int device = (int)ERR(open("/dev/vfio/devices/vfio0", O_RDWR));
		uint16_t vendor = 0;
		char self[64];

		if (!SAME(t, ERR(ioctl(device, CMD(0x76), &bind)), 0))
			break;
		snprintf(self, sizeof(self), "/proc/self/fd/%d", device);
		abuse(device, self);
		SAME(t, pread(device, &vendor, sizeof(vendor), (off_t)7 << 40), 2);
		SAME(t, vendor, 0x8086);
		close(device);
		close(iommufd);
	}
}

/* The mode of the file is not the way to keep others out of a context that is open. */
static void change_of_mode(struct test *t)
{
	struct stat before;
	int fd = open_iommu();
	int other;

	SAME(t, ERR(fstat(fd, &before)), 0);
	FRESH(t, fd);
	fchmod(fd, 0);
	fchown(fd, (uid_t)-1, (gid_t)-1);
	SAME(t, ioas_alloc(fd), 2);
	fchmod(fd, before.st_mode & 07777); /* as root it was the node itself */
	other = open_iommu();
	FRESH(t, other);
}

static void flood_of_descriptors(struct test *t)
{
	enum { MOST = 3000 };
	struct rlimit limit;
	int fds[MOST];
	int count;

	SAME(t, ERR(getrlimit(RLIMIT_NOFILE, &limit)), 0);
	limit.rlim_cur = limit.rlim_max < MOST + 20 ? limit.rlim_max : MOST + 20;
	SAME(t, ERR(setrlimit(RLIMIT_NOFILE, &limit)), 0);
	for (count = 0; count < MOST; count++) {
		fds[count] = open_iommu();
		if (fds[count] < 0)
			break;
	}
	if (count < MOST && fds[count] != -EMFILE && fds[count] != -ENFILE)
		test_fail(t, "open number %d: %s", count, strerrorname_np(-fds[count]));
	CHECK(t, count >= 100);
	for (int i = 0; i < count; i += 100)
		FRESH(t, fds[i]);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	FRESH(t, open_iommu());
}

static void flood_of_objects(struct test *t)
{
	static char buffer[4096];
	int fd = open_iommu();

	for (uint32_t i = 1; i <= 2000; i++) {
		if (!SAME(t, ioas_alloc(fd), i) || !SAME(t, ioas_map(fd, i, buffer, sizeof(buffer), 0x1000), 0))
			return;
	}
}

/* As many of something as there are descriptors for, and again when they are closed. */
static void flood(struct test *t, int (*make)(int fd))
{
	enum { MOST = 3000 };
	struct rlimit limit;
	struct device d;
	int fds[MOST];
	int count;

	if (!begin_with_device(t, &d))
		return;
	SAME(t, ERR(getrlimit(RLIMIT_NOFILE, &limit)), 0);
	limit.rlim_cur = limit.rlim_max < MOST + 20 ? limit.rlim_max : MOST + 20;
	SAME(t, ERR(setrlimit(RLIMIT_NOFILE, &limit)), 0);
	for (count = 0; count < MOST; count++) {
		fds[count] = make(d.fd);
		if (fds[count] < 0)
			break;
	}
	if (count < MOST && fds[count] != -EMFILE && fds[count] != -ENFILE)
		test_fail(t, "number %d: %s", count, strerrorname_np(-fds[count]));
	CHECK(t, count >= 100);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	CHECK(t, make(d.fd) >= 0);
	FRESH(t, open_iommu());
}

static int make_access(int fd)
{
	return (int)access_new(fd, 1);
}

static int make_dmabuf(int fd)
{
	return (int)dmabuf_new(fd, 0);
}

static int make_queue(int fd)
{
	uint32_t id;

	return (int)fault_queue_alloc(fd, &id);
}

static void flood_of_accesses(struct test *t)
{
	flood(t, make_access);
}

static void flood_of_dmabufs(struct test *t)
{
	flood(t, make_dmabuf);
}

static void flood_of_queues(struct test *t)
{
	flood(t, make_queue);
}

/* A device at work: page tables come and go, accesses copy, faults are read and answered. */

enum { WORKERS = 4, WORK_PAGES = 64 };

struct work {
	struct device device;
	int access, queue, report; /* a byte for each round goes to report */
	uint32_t fault_id;
	char *memory;
};

static void work_on_tables(struct work *w)
{
	long hwpt = hwpt_alloc(&w->device, w->device.ioas, FAULT_ID_VALID, w->fault_id);

	if (hwpt < 0)
		return;
	attach(&w->device, (uint32_t)hwpt);
	attach(&w->device, w->device.ioas);
	object_destroy(w->device.fd, (uint32_t)hwpt);
}

static void work_on_accesses(struct work *w, bool write)
{
	struct iommu_test cmd = {.op = OP_ACCESS_RW,
				 .id = (uint32_t)w->access,
				 .q = {FIRST_IOVA, WORK_PAGES * PAGE, address(w->memory + WORK_PAGES * PAGE), write}};

	test_op(w->device.fd, &cmd);
}

static void work_on_faults(struct work *w)
{
	uint32_t answer[2] = {0};
	char record[FAULT_RECORD];

	page_fault(&w->device, 1);
	if (read(w->queue, record, sizeof(record)) != sizeof(record))
		return;
	memcpy(answer, record + FAULT_RECORD - sizeof(uint32_t), sizeof(uint32_t));
	(void)!write(w->queue, answer, sizeof(answer));
}

static void work_on_maps(struct work *w)
{
	ioas_map(w->device.fd, w->device.ioas, w->memory, WORK_PAGES * PAGE, FIRST_IOVA);
	ioas_unmap(w->device.fd, w->device.ioas, FIRST_IOVA, WORK_PAGES * PAGE);
}

static void *worker(void *arg)
{
	static _Atomic unsigned number;
	const unsigned me = atomic_fetch_add(&number, 1) % WORKERS;
	struct work *w = arg;

	for (unsigned i = 0;; i++) {
		if (me == 0)
			work_on_tables(w);
		else if (me == 1)
			work_on_accesses(w, i % 2);
		else if (me == 2)
			work_on_faults(w);
		else
			work_on_maps(w);
		tell(w->report);
	}
	return NULL;
}

static void work_until_killed(struct test *t, int report)
{
	struct work w = {.report = report};
	pthread_t thread;

	if (!begin_with_device(t, &w.device))
		_exit(1);
	w.memory = mmap(NULL, 2 * WORK_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w.access = (int)access_new(w.device.fd, w.device.ioas);
	w.queue = (int)fault_queue_alloc(w.device.fd, &w.fault_id);
	fcntl(w.queue, F_SETFL, O_NONBLOCK);
	for (int i = 1; i < WORKERS; i++)
		pthread_create(&thread, NULL, worker, &w);
	worker(&w);
}

static void killed_at_work(struct test *t)
{
	uint64_t random = t->seed;
	struct device d;

	if (!begin_with_device(t, &d))
		return;
	for (unsigned long i = 0; i < t->rounds / 2 + 1; i++) {
		uint64_t rounds = random_next(&random) % 60;
		int report[2];
		pid_t pid;

		SAME(t, ERR(pipe(report)), 0);
		pid = fork();
		if (pid == 0) {
			close(report[0]);
			work_until_killed(t, report[1]);
		}
		close(report[1]);
		for (bool alive = true; rounds && alive; rounds--)
			alive = hear(report[0]);
		kill(pid, SIGKILL);
		SAME(t, wait_for(pid), -SIGKILL);
		close(report[0]);
	}
	FRESH(t, open_iommu());
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"random_calls", random_calls},
		{"random_calls_that_end", random_calls_that_end},
		{"things_nobody_does", things_nobody_does},
		{"things_nobody_does_to_a_device", things_nobody_does_to_a_device},
		{"change_of_mode", change_of_mode},
		{"flood_of_descriptors", flood_of_descriptors},
		{"flood_of_objects", flood_of_objects},
		{"flood_of_accesses", flood_of_accesses},
		{"flood_of_dmabufs", flood_of_dmabufs},
		{"flood_of_queues", flood_of_queues},
		{"killed_at_work", killed_at_work},
	};

	return TEST_MAIN(argc, argv, cases);
}
