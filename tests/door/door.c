/* SPDX-License-Identifier: BSD-3-Clause */
#include "door.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

enum { CASE_SECONDS = 120, MOST_SAID = 8, STATUS_FAILED = 1, STATUS_SKIPPED = 77 };

long door_ioctl(int fd, unsigned nr, void *arg)
{
	return ERR(ioctl(fd, CMD(nr), arg));
}

int open_iommu(void)
{
	return (int)ERR(open(DEV_IOMMU, O_RDWR | O_CLOEXEC));
}

long ioas_alloc(int fd)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	long rc = door_ioctl(fd, IOMMU_IOAS_ALLOC, &cmd);

	return rc ? rc : (long)cmd.out_ioas_id;
}

long ioas_map(int fd, uint32_t ioas, const void *va, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = MAP_RW | MAP_FIXED_IOVA,
				     .ioas_id = ioas,
				     .user_va = address(va),
				     .length = length,
				     .iova = iova};

	return door_ioctl(fd, IOMMU_IOAS_MAP, &cmd);
}

long ioas_map_anywhere(int fd, uint32_t ioas, const void *va, uint64_t length, uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd), .flags = MAP_RW, .ioas_id = ioas, .user_va = address(va), .length = length};
	long rc = door_ioctl(fd, IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;
	return rc;
}

long ioas_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length};
	long rc = door_ioctl(fd, IOMMU_IOAS_UNMAP, &cmd);

	return rc ? rc : (long)cmd.length;
}

long object_destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return door_ioctl(fd, IOMMU_DESTROY, &cmd);
}

long option_get(int fd, uint32_t option, uint32_t object)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd), .option_id = option, .op = OPTION_GET, .object_id = object, .val64 = ~0ull};
	long rc = door_ioctl(fd, IOMMU_OPTION, &cmd);

	return rc ? rc : (long)cmd.val64;
}

long fault_queue_alloc(int fd, uint32_t *id)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	long rc = door_ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	*id = cmd.out_fault_id;
	return rc ? rc : (long)cmd.out_fault_fd;
}

static void print_value(char *out, size_t size, long long value)
{
	const char *name = value < 0 && value > -4096 ? strerrorname_np((int)-value) : NULL;

	if (name)
		snprintf(out, size, "-%s", name);
	else
		snprintf(out, size, "%lld", value);
}

bool test_same(struct test *t, const char *file, int line, const char *what, long long got, long long want)
{
	const char *slash = strrchr(file, '/');
	char g[32];
	char w[32];

	if (got == want)
		return true;
	print_value(g, sizeof(g), got);
	print_value(w, sizeof(w), want);
	test_fail(t, "%s:%d: %s is %s, not %s", slash ? slash + 1 : file, line, what, g, w);
	return false;
}

bool test_check(struct test *t, const char *file, int line, const char *what, bool good)
{
	const char *slash = strrchr(file, '/');

	if (!good)
		test_fail(t, "%s:%d: not so: %s", slash ? slash + 1 : file, line, what);
	return good;
}

void test_fail(struct test *t, const char *format, ...)
{
	char text[512];
	va_list args;

	t->failed = true;
	if (t->said++ == MOST_SAID)
		dprintf(STDOUT_FILENO, "# %s: and so on\n", t->name);
	if (t->said > MOST_SAID)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDOUT_FILENO, "# %s: %s\n", t->name, text);
}

void test_skip(struct test *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(t->skip, sizeof(t->skip), format, args);
	va_end(args);
}

int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1000 - errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Returns whether the case did not fail. */
static bool run_case(struct test *t, const struct test_case *c)
{
	int status;
	pid_t pid = fork();

	t->name = c->name;
	if (pid == 0) {
		alarm(CASE_SECONDS);
		c->run(t);
		if (t->skip[0] && !t->failed)
			dprintf(STDOUT_FILENO, "skip %s: %s\n", c->name, t->skip);
		_exit(t->failed ? STATUS_FAILED : (t->skip[0] ? STATUS_SKIPPED : 0));
	}
	status = pid < 0 ? -1 : wait_for(pid);
	if (status == 0)
		dprintf(STDOUT_FILENO, "ok %s\n", c->name);
	else if (status == STATUS_FAILED)
		dprintf(STDOUT_FILENO, "not ok %s\n", c->name);
	else if (status != STATUS_SKIPPED)
		dprintf(STDOUT_FILENO, "not ok %s: ended with %d\n", c->name, status);
	return status == 0 || status == STATUS_SKIPPED;
}

static bool selected(int argc, char **argv, const char *name)
{
	bool any = false;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0) {
			i++;
			continue;
		}
		any = true;
		if (strcmp(argv[i], name) == 0)
			return true;
	}
	return !any;
}

int test_main(int argc, char **argv, const struct test_case *cases, size_t count)
{
	struct test base = {.program = "/proc/self/exe", .rounds = 200, .seed = 1};
	bool good = true;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--rounds") == 0)
			base.rounds = strtoul(argv[i + 1], NULL, 0);
		if (strcmp(argv[i], "--seed") == 0)
			base.seed = strtoull(argv[i + 1], NULL, 0);
		if (strcmp(argv[i], "--variant") == 0)
			base.variant = (unsigned)strtoul(argv[i + 1], NULL, 0);
	}
	for (size_t i = 0; i < count; i++) {
		struct test t = base;

		if (selected(argc, argv, cases[i].name) && !run_case(&t, &cases[i]))
			good = false;
	}
	return good ? 0 : 1;
}

void tell(int fd)
{
	while (write(fd, "x", 1) < 0 && errno == EINTR)
		;
}

bool hear(int fd)
{
	ssize_t n;
	char c;

	do
		n = read(fd, &c, 1);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void *wild_pointer(void)
{
	return (void *)8;
}

int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (!dir)
		return -errno;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

int send_descriptor(int socket, int fd)
{
	char byte = 'x';
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &msg, 0) < 0 ? -errno : 0;
}

int receive_descriptor(int socket)
{
	char byte;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(socket, &msg, 0) < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (!c)
		return -ENOMSG;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}
