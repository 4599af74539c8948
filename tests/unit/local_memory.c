/* SPDX-License-Identifier: BSD-3-Clause */
/* What of this process's memory can be pinned, and what stays when its owner lets go. */
#define _GNU_SOURCE
#include "client/local_mm.h"

#include "check.h"
#include "client/dmabuf.h"
#include "client/holds.h"
#include "client/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/memfd.h>

#define P PAGE_SIZE

static int pin(struct mm *mm, const void *at, uint64_t pages, bool write, struct memory_run *run)
{
	return mm->ops->pin(mm, NULL, uaddr((uintptr_t)at), pages * P, write, run);
}

/* Pins and lets go. */
static int try_pin(struct mm *mm, const void *at, uint64_t pages, bool write)
{
	struct memory_run run = {0};
	int rc = pin(mm, at, pages, write, &run);

	if (!rc)
		hold_put(run.hold);
	return rc;
}

static void *map(int prot, int flags, int fd, uint64_t pages)
{
	void *at = mmap(NULL, pages * P, prot, flags, fd, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static int memfd(uint64_t pages, unsigned flags)
{
	int fd = memfd_create("test", MFD_CLOEXEC | flags);

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, (off_t)(pages * P)), 0);
	return fd;
}

static void access_decides(struct mm *mm)
{
	char *at = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 4);

	CHECK_EQ(try_pin(mm, at, 4, true), 0);
	mprotect(at, 2 * P, PROT_READ);
	CHECK_EQ(try_pin(mm, at, 1, false), 0);
	CHECK_EQ(try_pin(mm, at, 1, true), -EFAULT);
	mprotect(at, P, PROT_NONE);
	CHECK_EQ(try_pin(mm, at, 1, false), -EFAULT);
	CHECK_EQ(try_pin(mm, at, 1, true), -EFAULT);
	munmap(at, 4 * P);
	CHECK_EQ(try_pin(mm, at, 1, false), -EFAULT);
	CHECK_EQ(try_pin(mm, (void *)0, 1, false), -EFAULT);
	CHECK_EQ(mm->ops->pin(mm, NULL, uaddr(UINT64_MAX & PAGE_MASK), P, true, &(struct memory_run){0}), -EFAULT);
	CHECK_EQ(mm->ops->pin(mm, NULL, uaddr(UINT64_C(1) << 63), P, false, &(struct memory_run){0}), -EFAULT);
}

/* A run ends where the mapping does. */
static void runs_end_with_their_mapping(struct mm *mm)
{
	char *at = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 4);
	struct memory_query query = {0};
	struct memory_run run;

	mprotect(at + 2 * P, 2 * P, PROT_READ);
	CHECK_EQ(mm->ops->pin(mm, &query, uaddr((uintptr_t)at), P, true, &run), 0);
	CHECK_EQ(run.length, P);
	CHECK_EQ(mm->ops->pin(mm, &query, uaddr((uintptr_t)at + P), 3 * P, true, &run), 0);
	CHECK_EQ(run.length, P);
	CHECK_EQ(mm->ops->pin(mm, &query, uaddr((uintptr_t)at + 2 * P), 2 * P, true, &run), -EFAULT);
	CHECK_EQ(mm->ops->pin(mm, &query, uaddr((uintptr_t)at + 2 * P), 2 * P, false, &run), 0);
	CHECK_EQ(run.length, 2 * P);
	memory_query_end(&query);
	munmap(at, 4 * P);
}

static void devices_and_disks(struct mm *mm)
{
	int zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	char path[] = "disk-XXXXXX";
	int disk = mkstemp(path);
	char *at;

	at = map(PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 2);
	CHECK_EQ(try_pin(mm, at, 2, true), 0);
	munmap(at, 2 * P);
	at = map(PROT_READ | PROT_WRITE, MAP_SHARED, zero, 2);
	CHECK_EQ(try_pin(mm, at, 2, true), 0);
	munmap(at, 2 * P);
	CHECK(disk >= 0);
	unlink(path);
	CHECK_EQ(ftruncate(disk, 2 * (off_t)P), 0);
	at = map(PROT_READ | PROT_WRITE, MAP_SHARED, disk, 4);
	CHECK_EQ(try_pin(mm, at, 2, true), -EFAULT);
	CHECK_EQ(try_pin(mm, at, 2, false), 0);
	CHECK_EQ(try_pin(mm, at + P, 2, false), -EFAULT);
	munmap(at, 4 * P);
	at = map(PROT_READ | PROT_WRITE, MAP_PRIVATE, disk, 4);
	CHECK_EQ(try_pin(mm, at, 2, true), 0);
	CHECK_EQ(try_pin(mm, at + 2 * P, 1, true), -EFAULT);
	munmap(at, 4 * P);
	close(disk);
	close(zero);
}

/* The kernel's own data page is no memory. */
static void no_kernel_pages(struct mm *mm)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned long start;

	while (maps && fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "[vvar]") || sscanf(line, "%lx", &start) != 1)
			continue;
		CHECK_EQ(mm->ops->pin(mm, NULL, uaddr(start), P, false, &(struct memory_run){0}), -EFAULT);
	}
	if (maps)
		fclose(maps);
}

static void no_secret_memory(struct mm *mm)
{
	int fd = (int)syscall(447 /* memfd_secret */, 0);
	char *at;

	if (fd < 0) {
		printf("no memfd_secret here\n");
		return;
	}
	CHECK_EQ(ftruncate(fd, (off_t)P), 0);
	at = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED) {
		CHECK_EQ(try_pin(mm, at, 1, true), -EFAULT);
		CHECK_EQ(try_pin(mm, at, 1, false), -EFAULT);
		munmap(at, P);
	}
	close(fd);
}

/* Reads and writes a byte of a run as a device would. */
static void check_byte(const struct memory_run *run, uint64_t at, char want)
{
	char byte = 0;

	CHECK_EQ(memory_copy(run->hold, &byte, run->host + at, 1), 1);
	CHECK_EQ(byte, want);
}

static void shared_memory_is_held(struct mm *mm, int fd, int flags)
{
	char *at = map(PROT_READ | PROT_WRITE, flags, fd, 4);
	struct memory_run run, again;

	at[2 * P] = 'a';
	CHECK_EQ(pin(mm, at + P, 2, true, &run), 0);
	CHECK(run.hold != NULL);
	CHECK_EQ(run.length, 2 * P);
	CHECK_EQ(pin(mm, at, 4, false, &again), 0);
	CHECK(again.hold == run.hold);
	CHECK(run.host == again.host + P);
	hold_put(again.hold);
	check_byte(&run, P, 'a');
	CHECK_EQ(memory_copy(run.hold, run.host + P, "b", 1), 1);
	CHECK_EQ(at[2 * P], 'b');
	munmap(at, 4 * P);
	check_byte(&run, P, 'b');
	hold_put(run.hold);
}

static void all_shared_memory_is_held(struct mm *mm)
{
	int fd = memfd(4, 0);

	shared_memory_is_held(mm, fd, MAP_SHARED);
	shared_memory_is_held(mm, -1, MAP_SHARED | MAP_ANONYMOUS);
	close(fd);
	fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	if (fd >= 0 && !ftruncate(fd, 2 << 20)) {
		void *at = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (at != MAP_FAILED) {
			munmap(at, 2 << 20);
			shared_memory_is_held(mm, fd, MAP_SHARED);
		} else {
			printf("no huge pages here\n");
		}
	}
	close(fd);
}

/* A mapping that cannot be written gives a hold that cannot; one that can takes its own. */
static void a_hold_for_reading_is_not_one_for_writing(struct mm *mm)
{
	int fd = memfd(2, 0);
	char *ro = map(PROT_READ, MAP_SHARED, fd, 2);
	char *rw = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2);
	struct memory_run read, write, file;
	struct memory_file memory = {.fd = fd};

	CHECK_EQ(pin(mm, ro, 2, true, &read), -EFAULT);
	CHECK_EQ(pin(mm, ro, 2, false, &read), 0);
	CHECK_EQ(pin(mm, rw, 2, true, &write), 0);
	CHECK(read.hold != write.hold);
	CHECK(read.hold->ino == write.hold->ino && read.hold->dev == write.hold->dev);
	CHECK_EQ(memory_copy(write.hold, write.host, "x", 1), 1);
	check_byte(&read, 0, 'x');
	memory.holds = local_mm_holds(mm);
	CHECK_EQ(memory_file_pin(&memory, P, P, true, &file), 0);
	CHECK(file.hold == write.hold);
	CHECK(file.host == write.host + P);
	hold_put(file.hold);
	hold_put(read.hold);
	hold_put(write.hold);
	munmap(ro, 2 * P);
	munmap(rw, 2 * P);
	close(fd);
}

static void private_memory_is_where_it_is(struct mm *mm, bool trusted)
{
	char *at = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 2);
	struct memory_run run;
	char byte = 0;

	at[P] = 'p';
	CHECK_EQ(pin(mm, at, 2, true, &run), 0);
	CHECK(run.hold == NULL);
	CHECK(run.host == (trusted ? (uint8_t *)at : NULL));
	CHECK_EQ(mm->ops->read(mm, &byte, uaddr((uintptr_t)at + P), 1), 1);
	CHECK_EQ(byte, 'p');
	CHECK_EQ(mm->ops->write(mm, uaddr((uintptr_t)at + P), "q", 1), 1);
	CHECK_EQ(at[P], 'q');
	munmap(at, 2 * P);
}

/* What only a checked client may do without harm. */
static void checked_memory_may_go(struct mm *mm)
{
	char *at = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 2);
	int fd = memfd(4, 0);
	char *shared = map(PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4);
	char buf[8192] = {0};
	struct memory_run run;

	munmap(at + P, P);
	CHECK_EQ(mm->ops->read(mm, buf, uaddr((uintptr_t)at + P - 8), 16), 8);
	CHECK_EQ(mm->ops->write(mm, uaddr((uintptr_t)at + P - 8), buf, 16), 8);
	CHECK_EQ(mm->ops->read(mm, buf, uaddr((uintptr_t)at + P), 16), 0);
	munmap(at, P);
	CHECK_EQ(pin(mm, shared, 4, true, &run), 0);
	CHECK_EQ(ftruncate(fd, (off_t)P), 0);
	CHECK_EQ(memory_copy(run.hold, buf, run.host, P), P);
	CHECK_EQ(memory_copy(run.hold, buf, run.host + P, P), 0);
	CHECK_EQ(memory_copy(run.hold, run.host + P, buf, P), 0);
	CHECK_EQ(memory_copy(run.hold, buf, run.host + P - 8, 16), 8);
	CHECK_EQ(memory_copy(run.hold, run.host + P - 8, buf, 16), 8);
	CHECK_EQ(try_pin(mm, shared, 1, true), 0);
	CHECK_EQ(try_pin(mm, shared, 2, true), -EFAULT);
	hold_put(run.hold);
	munmap(shared, 4 * P);
	close(fd);
}

static void files(struct mm *mm)
{
	struct memory_file file = {.fd = memfd(4, MFD_ALLOW_SEALING), .holds = local_mm_holds(mm)};
	struct memory_run run, again;
	char path[64];
	int pipes[2];
	int rw = file.fd;

	CHECK_EQ(memory_file_pin(&file, 0, 4 * P, true, &run), 0);
	CHECK_EQ(run.length, 4 * P);
	CHECK_EQ(memory_file_pin(&file, P, P, false, &again), 0);
	CHECK(again.hold == run.hold && again.host == run.host + P);
	hold_put(again.hold);
	hold_put(run.hold);
	CHECK_EQ(memory_file_pin(&file, P, 4 * P, false, &run), -EINVAL);
	CHECK_EQ(memory_file_pin(&file, 4 * P, P, false, &run), -EINVAL);
	CHECK_EQ(memory_file_pin(&file, UINT64_MAX & PAGE_MASK, P, false, &run), -EINVAL);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", rw);
	file.fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_EQ(memory_file_pin(&file, 0, 4 * P, true, &run), 0);
	CHECK_EQ(memory_copy(run.hold, run.host, "w", 1), 1);
	hold_put(run.hold);
	CHECK_EQ(fcntl(rw, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CHECK_EQ(memory_file_pin(&file, 0, 4 * P, true, &run), -EFAULT);
	CHECK_EQ(memory_file_pin(&file, 0, 4 * P, false, &run), 0);
	check_byte(&run, 0, 'w');
	hold_put(run.hold);
	close(file.fd);
	close(rw);
	file.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CHECK_EQ(memory_file_pin(&file, 0, P, false, &run), -EINVAL);
	close(file.fd);
	CHECK_EQ(pipe2(pipes, O_CLOEXEC), 0);
	file.fd = pipes[0];
	CHECK_EQ(memory_file_pin(&file, 0, P, false, &run), -EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	file.fd = -1;
	CHECK_EQ(memory_file_pin(&file, 0, P, false, &run), -EINVAL);
}

static unsigned told;

/* A child has memory of its own, whether it keeps its parent's descriptors or not. */
static void a_child_is_another_process(struct mm *mm, bool closes)
{
	char *at = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 2);
	int status = -1;
	pid_t pid;

	CHECK_EQ(try_pin(mm, at, 2, true), 0);
	munmap(at + P, P);
	pid = fork();
	if (!pid) {
		bool well = true;

		if (closes)
			for (int fd = 3; fd < 100; fd++)
				close(fd);
		munmap(at, P);
		for (int i = 0; i < 2; i++) {
			well = well && try_pin(mm, at, 1, true) == -EFAULT;
			well = well && mmap(at + P, P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
					    -1, 0) == at + P;
			well = well && try_pin(mm, at + P, 1, true) == 0;
			munmap(at + P, P);
		}
		_exit(!well);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(try_pin(mm, at, 1, true), 0);
	munmap(at, P);
}

static void count_revoke(struct dmabuf_importer *importer)
{
	(void)importer;
	told++;
}

static void dmabufs(void)
{
	static uint8_t memory[8192];
	struct dmabuf dmabuf = {.memory = memory, .length = sizeof(memory)};
	struct dmabuf_importer a = {.revoke = count_revoke}, b = {.revoke = count_revoke};
	struct memory_file file = {.fd = -1, .dmabuf = &dmabuf};
	struct memory_run run;

	pthread_mutex_init(&dmabuf.lock, NULL);
	CHECK_EQ(dmabuf_join(&dmabuf, &a), 0);
	CHECK_EQ(dmabuf_join(&dmabuf, &b), 0);
	CHECK_EQ(memory_file_pin(&file, P, P, true, &run), 0);
	CHECK(run.host == memory + P && !run.hold);
	CHECK_EQ(memory_file_pin(&file, P, 2 * P, true, &run), -EINVAL);
	dmabuf_leave(&dmabuf, &a);
	dmabuf_revoke(&dmabuf, true);
	dmabuf_revoke(&dmabuf, true);
	CHECK_EQ(told, 1);
	CHECK_EQ(dmabuf_join(&dmabuf, &a), -ENODEV);
	CHECK_EQ(memory_file_pin(&file, P, P, true, &run), -ENODEV);
	dmabuf_revoke(&dmabuf, false);
	CHECK_EQ(memory_file_pin(&file, P, P, true, &run), 0);
	dmabuf_leave(&dmabuf, &b);
	pthread_mutex_destroy(&dmabuf.lock);
}

int main(void)
{
	for (int trusted = 0; trusted < 2; trusted++) {
		struct mm *mm = local_mm_new(trusted);

		if (!mm)
			return 1;
		access_decides(mm);
		runs_end_with_their_mapping(mm);
		devices_and_disks(mm);
		no_kernel_pages(mm);
		no_secret_memory(mm);
		all_shared_memory_is_held(mm);
		a_hold_for_reading_is_not_one_for_writing(mm);
		private_memory_is_where_it_is(mm, trusted);
		files(mm);
		a_child_is_another_process(mm, false);
		a_child_is_another_process(mm, true);
		if (!trusted)
			checked_memory_may_go(mm);
		mm_put(mm);
	}
	dmabufs();
	return check_result();
}
