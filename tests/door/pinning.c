/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an IOVA means after the memory behind it was mapped with a page table: whatever the owner does with its
 * addresses, Linux goes on with the pages as they were. Devices are looked at through an access of the test device,
 * which reads and writes what the page table has pinned.
 *
 *   pinning --pin follow|share [NAME...]: as in the option of that name; the cases know what differs.
 */
#include "door.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { IOMMU_TEST_CMD = 0xa0, MOCK_DOMAIN = 2, CREATE_ACCESS = 5, ACCESS_RW = 8, DESTROY_WRITE = 1 };
enum { PAGE = 4096, PAGES = 16, LENGTH = PAGES * PAGE };
#define HUGE_LENGTH (2UL << 20)
#define IOVA        0x1000000UL

struct test_cmd {
	uint32_t size, op, id, reserved;
	union {
		uint64_t q[6];
		uint32_t d[12];
	};
	uint32_t last, pad;
};

enum kind { PRIVATE, HEAP, SHARED, MEMFD, FILE_MAP, HUGE, KINDS };
static const char *const kind_name[] = {"private", "heap", "shared", "memfd", "map_file", "hugetlb"};

static bool sharing;    /* --pin=share */
static bool by_mapping; /* the files of mappings can be opened (CAP_CHECKPOINT_RESTORE) */

/* An iommufd with a device attached to an IOAS, an access on it, and memory mapped at IOVA. */
struct setup {
	int fd, access, memfd;
	uint32_t ioas;
	enum kind kind;
	size_t length;
	unsigned char *memory;
};

static long test_op(int fd, struct test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return door_ioctl(fd, IOMMU_TEST_CMD, cmd);
}

static long rw(const struct setup *s, uint64_t offset, void *buf, size_t n, bool write)
{
	struct test_cmd cmd = {.op = ACCESS_RW, .id = (uint32_t)s->access};

	cmd.q[0] = IOVA + offset;
	cmd.q[1] = n;
	cmd.q[2] = address(buf);
	cmd.d[6] = write;
	return test_op(s->fd, &cmd);
}

/* The byte that a device reads at an offset, or -errno. */
static long device_reads(const struct setup *s, uint64_t offset)
{
	unsigned char byte = 0;
	long rc = rw(s, offset, &byte, 1, false);

	return rc ? rc : byte;
}

static long device_writes(const struct setup *s, uint64_t offset, unsigned char byte)
{
	return rw(s, offset, &byte, 1, true);
}

static bool open_system(struct test *t, struct setup *s)
{
	struct test_cmd cmd = {.op = MOCK_DOMAIN};
	long rc;

	s->fd = open_iommu();
	rc = ioas_alloc(s->fd);
	if (!CHECK(t, rc > 0))
		return false;
	s->ioas = (uint32_t)rc;
	cmd.id = s->ioas;
	rc = test_op(s->fd, &cmd);
	if (rc == -ENOTTY) {
		test_skip(t, "there is no test device: iommuse run --selftest");
		return false;
	}
	if (!SAME(t, rc, 0))
		return false;
	cmd = (struct test_cmd){.op = CREATE_ACCESS, .id = s->ioas};
	if (!SAME(t, test_op(s->fd, &cmd), 0))
		return false;
	s->access = (int)cmd.d[0];
	return true;
}

static bool make_memory(struct test *t, struct setup *s)
{
	int flags = s->kind == PRIVATE ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	s->length = s->kind == HUGE ? HUGE_LENGTH : LENGTH;
	s->memfd = -1;
	if (s->kind == HEAP) {
		s->memory = aligned_alloc(PAGE, LENGTH);
	} else {
		if (s->kind == SHARED)
			flags |= MAP_ANONYMOUS;
		else if (s->kind != PRIVATE)
			s->memfd = memfd_create("pinning", MFD_CLOEXEC | (s->kind == HUGE ? MFD_HUGETLB : 0));
		if (s->memfd >= 0 && ftruncate(s->memfd, (off_t)s->length))
			return test_skip(t, "no memory of this kind: %s", strerror(errno)), false;
		s->memory = mmap(NULL, s->length, PROT_READ | PROT_WRITE, flags, s->memfd, 0);
		if (s->memory == MAP_FAILED) {
			test_skip(t, "no memory of this kind: %s", strerror(errno));
			return false;
		}
	}
	for (size_t i = 0; i < s->length; i += PAGE)
		memset(s->memory + i, 0x10 + (int)(i / PAGE % 64), PAGE);
	return true;
}

static long map_file(const struct setup *s)
{
	struct {
		uint32_t size, flags, ioas;
		int32_t fd;
		uint64_t start, length, iova;
	} cmd = {sizeof(cmd), MAP_FIXED_IOVA | MAP_RW, s->ioas, s->memfd, 0, s->length, IOVA};

	return door_ioctl(s->fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

static bool set_up(struct test *t, struct setup *s, enum kind kind)
{
	*s = (struct setup){.kind = kind};
	if (!open_system(t, s) || !make_memory(t, s))
		return false;
	if (!SAME(t, kind == FILE_MAP ? map_file(s) : ioas_map(s->fd, s->ioas, s->memory, s->length, IOVA), 0))
		return false;
	SAME(t, device_reads(s, PAGE), 0x11);
	return true;
}

static bool is_private(const struct setup *s)
{
	return s->kind == PRIVATE || s->kind == HEAP;
}

/* Does the device keep the pages as they were, as on Linux? Private memory only where it is shared, and anonymous
 * shared memory, which has neither a name nor a descriptor, only where mappings can be opened (docs/limits.md). */
static bool keeps(const struct setup *s)
{
	if (s->kind == SHARED)
		return by_mapping;
	return !is_private(s) || sharing;
}

static bool may_open_mappings(void)
{
	unsigned char *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)address(page),
		 (unsigned long)address(page) + PAGE);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	munmap(page, PAGE);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void expect_old(struct test *t, const struct setup *s)
{
	SAME(t, device_reads(s, PAGE), 0x11);
	SAME(t, device_writes(s, PAGE, 0x77), 0);
	SAME(t, device_reads(s, PAGE), 0x77);
	SAME(t, device_reads(s, PAGE + 1), 0x11);
	SAME(t, device_reads(s, s->length - 1), 0x10 + (int)(s->length / PAGE - 1) % 64);
}

static void after_nothing(struct test *t, struct setup *s)
{
	s->memory[PAGE] = 0x55;
	SAME(t, device_reads(s, PAGE), 0x55);
	SAME(t, device_writes(s, 2 * PAGE, 0x66), 0);
	SAME(t, s->memory[2 * PAGE], 0x66);
}

static void after_munmap(struct test *t, struct setup *s)
{
	munmap(s->memory, s->length);
	if (keeps(s))
		expect_old(t, s);
	else
		SAME(t, device_reads(s, PAGE), -EFAULT);
}

static void after_new_memory_there(struct test *t, struct setup *s)
{
	unsigned char *now =
		mmap(s->memory, s->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	CHECK(t, now == s->memory);
	if (!keeps(s)) { /* docs/deviations.md: what is followed is what lies there now */
		SAME(t, device_reads(s, PAGE), 0);
		return;
	}
	expect_old(t, s);
	SAME(t, now[PAGE], 0);
	/* A second map is of the new memory. */
	now[PAGE] = 0x33;
	SAME(t, ioas_map(s->fd, s->ioas, now, LENGTH, IOVA + 64 * HUGE_LENGTH), 0);
	SAME(t, device_reads(s, 64 * HUGE_LENGTH + PAGE), 0x33);
	SAME(t, device_reads(s, PAGE), 0x77);
}

static void after_mremap(struct test *t, struct setup *s)
{
	unsigned char *moved;

	if (s->kind == HUGE)
		return;
	moved = mremap(s->memory, s->length, s->length, MREMAP_MAYMOVE | MREMAP_FIXED,
		       mmap(NULL, s->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	if (!CHECK(t, moved != MAP_FAILED))
		return;
	if (!keeps(s)) {
		SAME(t, device_reads(s, PAGE), -EFAULT);
		return;
	}
	expect_old(t, s);
	SAME(t, moved[PAGE], 0x77);
	moved[PAGE] = 0x78;
	SAME(t, device_reads(s, PAGE), 0x78);
}

static void after_dontneed(struct test *t, struct setup *s)
{
	madvise(s->memory, s->length, MADV_DONTNEED);
	if (!keeps(s)) { /* what is followed is private memory that is zero now, or shared memory that stays */
		SAME(t, device_reads(s, PAGE), is_private(s) ? 0 : 0x11);
		return;
	}
	expect_old(t, s);
	if (!is_private(s)) /* docs/deviations.md: what is made shared is not zero then */
		SAME(t, s->memory[PAGE], 0x77);
}

static void after_truncate(struct test *t, struct setup *s)
{
	if (s->memfd < 0)
		return;
	SAME(t, ERR(ftruncate(s->memfd, 0)), 0);
	expect_old(t, s);
	SAME(t, ERR(ftruncate(s->memfd, (off_t)s->length)), 0);
	SAME(t, s->memory[PAGE], 0); /* new pages, which the device does not have */
	SAME(t, device_reads(s, PAGE), 0x77);
}

/* A child's writes are its own where memory is private, the parent's go on to be the device's. */
static void after_fork(struct test *t, struct setup *s)
{
	int to_child[2] = {-1, -1};
	int to_parent[2] = {-1, -1};
	pid_t child;

	if (!CHECK(t, !pipe(to_child) && !pipe(to_parent)))
		return;
	child = fork();
	if (!child) {
		bool same = s->memory[PAGE] == 0x11;

		s->memory[PAGE] = 0x44;
		tell(to_parent[1]);
		hear(to_child[0]);
		same &= s->memory[2 * PAGE] == (is_private(s) ? 0x12 : 0x66);
		same &= s->memory[PAGE] == 0x44;
		_exit(same ? 0 : 1);
	}
	hear(to_parent[0]);
	SAME(t, device_reads(s, PAGE), is_private(s) ? 0x11 : 0x44);
	SAME(t, s->memory[PAGE], is_private(s) ? 0x11 : 0x44);
	s->memory[2 * PAGE] = 0x66;
	SAME(t, device_reads(s, 2 * PAGE), 0x66);
	SAME(t, device_writes(s, 3 * PAGE, 0x67), 0);
	SAME(t, s->memory[3 * PAGE], 0x67);
	tell(to_child[1]);
	SAME(t, wait_for(child), 0);
}

static const struct {
	const char *name;
	void (*run)(struct test *t, struct setup *s);
} what[] = {
	{"nothing", after_nothing}, {"munmap", after_munmap},     {"new_memory", after_new_memory_there},
	{"mremap", after_mremap},   {"dontneed", after_dontneed}, {"truncate", after_truncate},
	{"fork", after_fork},
};

static void each_kind(struct test *t, size_t which)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct test one = *t;
		struct setup s;

		one.skip[0] = '\0';
		if (kind == HEAP && which != 0 && which != 6)
			continue; /* the allocator would lose its own */
		if (set_up(&one, &s, (enum kind)kind))
			what[which].run(&one, &s);
		if (one.skip[0])
			printf("    %s %s: skipped: %s\n", what[which].name, kind_name[kind], one.skip);
		if (one.failed)
			test_fail(t, "%s after %s", kind_name[kind], what[which].name);
	}
}

#define EACH(index, name)                                                                                              \
	static void name(struct test *t)                                                                               \
	{                                                                                                              \
		each_kind(t, index);                                                                                   \
	}
EACH(0, nothing)
EACH(1, munmap_)
EACH(2, new_memory)
EACH(3, mremap_)
EACH(4, dontneed)
EACH(5, truncate_)
EACH(6, fork_)

/* The owner is a child, which maps its memory and goes; the parent looks. */
static void owner_goes(struct test *t, bool exec)
{
	for (int kind = 0; kind < HUGE; kind++) {
		struct setup s = {.kind = (enum kind)kind};
		int to_parent[2] = {-1, -1};
		int to_child[2] = {-1, -1};
		pid_t child;

		if (kind == HEAP)
			continue;
		if (!open_system(t, &s) || !CHECK(t, !pipe2(to_parent, O_CLOEXEC) && !pipe2(to_child, O_CLOEXEC)))
			return;
		s.length = LENGTH;
		child = fork();
		if (!child) {
			struct test mine = *t;

			if (!make_memory(&mine, &s))
				_exit(1);
			if ((kind == FILE_MAP ? map_file(&s) : ioas_map(s.fd, s.ioas, s.memory, s.length, IOVA)) != 0)
				_exit(2);
			tell(to_parent[1]);
			hear(to_child[0]);
			if (exec)
				execl("/bin/sleep", "sleep", "1000", NULL);
			_exit(0);
		}
		close(to_parent[1]);
		if (!CHECK(t, hear(to_parent[0])))
			return;
		SAME(t, device_reads(&s, PAGE), 0x11);
		tell(to_child[1]);
		if (exec) /* close-on-exec ends the pipe */
			CHECK(t, !hear(to_parent[0]) || true);
		else
			SAME(t, wait_for(child), 0);
		for (int i = 0; exec && i < 1000; i++) {
			char path[64], name[64] = "";
			FILE *f;

			snprintf(path, sizeof(path), "/proc/%d/comm", (int)child);
			f = fopen(path, "re");
			if (f && fgets(name, sizeof(name), f) && !strcmp(name, "sleep\n"))
				i = 1000;
			if (f)
				fclose(f);
			usleep(1000);
		}
		if (!keeps(&s))
			SAME(t, device_reads(&s, PAGE), -EFAULT);
		else
			expect_old(t, &s);
		if (exec) {
			kill(child, SIGKILL);
			wait_for(child);
		}
		close(s.access);
		close(s.fd);
	}
}

static void exit_of_owner(struct test *t)
{
	owner_goes(t, false);
}

static void exec_of_owner(struct test *t)
{
	owner_goes(t, true);
}

/* Threads go on while memory is exchanged: one computes, one sleeps, one is in a call of /dev/iommu, others write what
 * is being mapped. Nothing that they write is lost. */
struct busy {
	struct setup *s;
	atomic_bool stop;
	atomic_ulong *counter;
};

static void *busy_counter(void *context)
{
	struct busy *b = context;

	while (!atomic_load(&b->stop))
		atomic_fetch_add(b->counter, 1);
	return NULL;
}

static void *busy_sleeper(void *context)
{
	struct busy *b = context;

	while (!atomic_load(&b->stop))
		usleep(500);
	return NULL;
}

static void *busy_caller(void *context)
{
	struct busy *b = context;

	while (!atomic_load(&b->stop))
		option_get(b->s->fd, OPTION_HUGE_PAGES, b->s->ioas);
	return NULL;
}

static void threads_go_on(struct test *t)
{
	static void *(*const run[])(void *) = {busy_counter, busy_counter, busy_counter, busy_counter,
					       busy_sleeper, busy_caller,  busy_caller};
	enum { COUNT = sizeof(run) / sizeof(run[0]) };
	struct busy busy[COUNT];
	pthread_t thread[COUNT];
	struct setup s = {0};

	if (!open_system(t, &s))
		return;
	s.memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < COUNT; i++) {
		busy[i] = (struct busy){.s = &s, .counter = (atomic_ulong *)(void *)(s.memory + (size_t)i * PAGE)};
		pthread_create(&thread[i], NULL, run[i], &busy[i]);
	}
	for (unsigned long round = 0; round < (t->rounds ? t->rounds : 20); round++) {
		unsigned long before = atomic_load(busy[0].counter);
		unsigned long seen = 0;

		if (!SAME(t, ioas_map(s.fd, s.ioas, s.memory, LENGTH, IOVA), 0))
			break;
		SAME(t, rw(&s, 0, &seen, sizeof(seen), false), 0);
		CHECK(t, seen >= before); /* what a thread wrote stays written */
		CHECK(t, atomic_load(busy[0].counter) >= seen);
		SAME(t, ioas_unmap(s.fd, s.ioas, IOVA, LENGTH), LENGTH);
	}
	for (int i = 0; i < COUNT; i++) {
		atomic_store(&busy[i].stop, true);
		pthread_join(thread[i], NULL);
	}
}

static const struct test_case cases[] = {
	{"nothing", nothing},
	{"munmap", munmap_},
	{"new_memory", new_memory},
	{"mremap", mremap_},
	{"dontneed", dontneed},
	{"truncate", truncate_},
	{"fork", fork_},
	{"exit", exit_of_owner},
	{"exec", exec_of_owner},
	{"threads", threads_go_on},
};

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--pin")) {
		sharing = !strcmp(argv[2], "share");
		argv[2] = argv[0];
		argc -= 2;
		argv += 2;
	}
	by_mapping = may_open_mappings();
	return TEST_MAIN(argc, argv, cases);
}
