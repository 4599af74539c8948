/* SPDX-License-Identifier: BSD-3-Clause */
/* The way to iommuse as a program that it serves, and failures inside of the process that serves. */
#define _GNU_SOURCE
#include "cases.h"
#include "control.h"
#include "fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

const unsigned way_modes = 1;
static struct control *control;

static long result_of(long rc)
{
	return rc < 0 ? -errno : rc;
}

static void map_control(void)
{
	const char *path = getenv(CONTROL_VARIABLE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	control = fd < 0 ? NULL : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!control || control == MAP_FAILED || !atomic_load(&control->serving)) {
		printf("nothing can be made to fail here\n");
		exit(1);
	}
	close(fd);
}

const char *way_mode_name(unsigned which)
{
	(void)which;
	return "served";
}

void way_choose(unsigned which)
{
	(void)which;
	map_control();
}

unsigned way_mode(void)
{
	return 0;
}

void way_begin(struct world *w)
{
	(void)w;
}

void way_end(struct world *w)
{
	(void)w;
}

long world_open(struct world *w, const char *path, int flags)
{
	(void)w;
	return result_of(open(path, flags | O_CLOEXEC));
}

long world_ioctl(struct world *w, int fd, unsigned long cmd, void *arg)
{
	(void)w;
	return result_of(ioctl(fd, cmd, arg));
}

long world_read(struct world *w, int fd, void *buf, size_t count)
{
	(void)w;
	return result_of(read(fd, buf, count));
}

long world_write(struct world *w, int fd, const void *buf, size_t count)
{
	(void)w;
	return result_of(write(fd, buf, count));
}

long world_pread(struct world *w, int fd, void *buf, size_t count, uint64_t offset)
{
	(void)w;
	return result_of(pread(fd, buf, count, (off_t)offset));
}

long world_pwrite(struct world *w, int fd, const void *buf, size_t count, uint64_t offset)
{
	(void)w;
	return result_of(pwrite(fd, buf, count, (off_t)offset));
}

long world_map(struct world *w, int fd, size_t length, uint64_t offset, void **address)
{
	(void)w;
	*address = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	return *address == MAP_FAILED ? -errno : 0;
}

long world_poll(struct world *w, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	(void)w;
	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

long world_close(struct world *w, int fd)
{
	(void)w;
	return result_of(close(fd));
}

/* VmPin, in KiB. */
uint64_t way_pinned(void)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *line;

	close(fd);
	text[length < 0 ? 0 : length] = '\0';
	line = strstr(text, "VmPin:");
	return line ? strtoull(line + 6, NULL, 10) : UINT64_MAX;
}

void fail_arm(unsigned n)
{
	memset(control->failed, 0, sizeof(control->failed));
	atomic_store(&control->until, n);
	atomic_store(&control->tid, gettid());
}

const char *fail_disarm(void)
{
	static char failed[sizeof(control->failed)];

	atomic_store(&control->tid, 0);
	atomic_store(&control->until, 0);
	memcpy(failed, control->failed, sizeof(failed));
	return *failed ? failed : NULL;
}

/* A call that iommuse sees and that does nothing: what was closed before has gone after it. */
static void nudge(void)
{
	atomic_store(&control->tid, gettid());
	atomic_store(&control->count, 1);
	ioctl(-1, IOMMU_IOAS_ALLOC, NULL);
	atomic_store(&control->tid, 0);
}

size_t fail_live_blocks(void)
{
	nudge();
	return (size_t)atomic_load(&control->blocks);
}

size_t fail_open_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	size_t count = 0;

	while (fds && readdir(fds))
		count++;
	if (fds)
		closedir(fds);
	nudge();
	return count + atomic_load(&control->descriptors);
}

/* Those of iommuse are not known here. */
size_t fail_mappings(void)
{
	return 0;
}

/* What only a program that is served does. */

static void nothing_before(struct world *w)
{
	(void)w;
}

static void queue_with_fault(struct world *w)
{
	with_ioas(w);
	with_device(w);
	with_fault_queue(w);
	with_fault_hwpt(w);
	with_fault(w);
}

static void file_held(struct world *w)
{
	with_ioas(w);
	with_map_file(w);
	with_device(w);
}

static void read_vector(struct world *w, struct outcome *out)
{
	struct iommu_hwpt_pgfault fault;
	struct iovec parts[2] = {{&fault, sizeof(fault)}, {NULL, 0}};

	out->rc = result_of(readv(w->fault_fd, parts, 2));
	if (out->rc > 0)
		STORE(out, fault);
}

static void store_stat(struct outcome *out, const struct stat *st)
{
	const uint64_t facts[] = {st->st_mode, st->st_rdev, st->st_nlink};

	if (!out->rc)
		STORE(out, facts);
}

static void stat_node(struct world *w, struct outcome *out)
{
	struct stat st;

	(void)w;
	out->rc = result_of(stat("/dev/iommu", &st));
	store_stat(out, &st);
}

static void stat_descriptor(struct world *w, struct outcome *out)
{
	struct stat st;

	out->rc = result_of(fstat(w->fd, &st));
	store_stat(out, &st);
}

static void access_node(struct world *w, struct outcome *out)
{
	(void)w;
	out->rc = result_of(access("/dev/iommu", R_OK));
}

static void open_status(struct world *w, struct outcome *out)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	(void)w;
	out->rc = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
}

static void cut_file(struct world *w, struct outcome *out)
{
	out->rc = result_of(ftruncate(w->memfd, (SHARED + 8) * (off_t)PAGE));
}

static void punch_file(struct world *w, struct outcome *out)
{
	out->rc = result_of(fallocate(w->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)PAGE, (off_t)PAGE));
}

static void remove_pages(struct world *w, struct outcome *out)
{
	out->rc = result_of(madvise(w->memory + SHARED * PAGE, PAGE, MADV_REMOVE));
}

/*
 * One after the other, by a process that was never seen before. A step that failed is made once more, and then does not
 * fail. Returns the first error, or that which stayed with the step above it.
 */
static long first_steps(struct world *w)
{
	const int all = 7;
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct iommu_test_cmd device = {.op = IOMMU_TEST_OP_MOCK_DOMAIN, .size = sizeof(device)};
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .flags = (uint32_t)all,
				     .user_va = (uintptr_t)w->memory + (SHARED - 2) * PAGE,
				     .length = 4 * PAGE,
				     .iova = APERTURE};
	struct iommu_ioas_map_file file = {.size = sizeof(file),
					   .flags = (uint32_t)all,
					   .fd = w->memfd,
					   .length = PAGE,
					   .iova = APERTURE + 8 * PAGE};
	long first = 0;
	int fd = -1;

	for (int step = 0, tries = 0; step < 5; tries++) {
		long rc;

		if (step == 0)
			rc = fd = (int)world_open(w, "/dev/iommu", O_RDWR);
		else if (step == 1)
			rc = world_ioctl(w, fd, IOMMU_IOAS_ALLOC, &ioas);
		else if (step == 2)
			rc = world_ioctl(w, fd, IOMMU_TEST_CMD, &device);
		else if (step == 3)
			rc = world_ioctl(w, fd, IOMMU_IOAS_MAP, &map);
		else
			rc = world_ioctl(w, fd, IOMMU_IOAS_MAP_FILE, &file);
		if (first == -EFAULT && tries && rc == -EEXIST)
			rc = 0; /* the reply was what failed, which does not undo it */
		map.ioas_id = file.ioas_id = device.id = ioas.out_ioas_id;
		if (rc < 0 && tries)
			return rc - 1000 * (step + 1);
		if (rc < 0) {
			first = rc;
			continue;
		}
		step++;
		tries = -1;
	}
	return ioas.out_ioas_id == 1 ? first : -EINVAL;
}

static void new_process(struct world *w, struct outcome *out)
{
	long *result = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	*result = -ECHILD;
	pid = fork();
	if (!pid) {
		if (atomic_load(&control->tid))
			atomic_store(&control->tid, gettid());
		*result = first_steps(w);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	out->rc = *result;
	munmap(result, PAGE);
}

static void new_program(struct world *w, struct outcome *out)
{
	int status = 0;
	pid_t pid = fork();

	(void)w;
	if (!pid) {
		if (atomic_load(&control->tid))
			atomic_store(&control->tid, gettid());
		execl("/bin/true", "true", NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	out->rc = WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

const struct sweep way_sweeps[] = {
	{"a new process", nothing_before, new_process, 0},
	{"a new program", nothing_before, new_program, 0},
	{"readv of faults", queue_with_fault, read_vector, 0},
	{"stat", nothing_before, stat_node, 0},
	{"fstat", nothing_before, stat_descriptor, 0},
	{"access", nothing_before, access_node, 0},
	{"open of status", file_held, open_status, 0},
	{"ftruncate of memory", file_held, cut_file, 0},
	{"fallocate of memory", file_held, punch_file, 0},
	{"madvise of memory", file_held, remove_pages, 0},
	{0},
};
