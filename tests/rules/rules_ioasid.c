/* SPDX-License-Identifier: BSD-3-Clause */
/* PASIDs for user space. */
#define _GNU_SOURCE
#include "rules.h"

#include "abi/ioasid.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define IOASID "/dev/ioasid"
#define LAST   ((UINT32_C(1) << 20) - 1)

static int ioasid_open(struct rules *t)
{
	return transport_open(t->transport, IOASID, O_RDWR | O_CLOEXEC);
}

static void ioasid_close(struct rules *t, int fd)
{
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static int call_on(struct rules *t, int fd, unsigned long cmd, void *arg)
{
	return transport_ioctl(t->transport, fd, cmd, (uintptr_t)arg);
}

static int alloc(struct rules *t, int fd, uint32_t min, uint32_t max)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {min, max}};

	return call_on(t, fd, IOASID_REQUEST_ALLOC, &request);
}

static int allocate_any(struct rules *t, int fd)
{
	return alloc(t, fd, 1, INT_MAX);
}

static int release(struct rules *t, int fd, int id)
{
	return call_on(t, fd, IOASID_REQUEST_FREE, &id);
}

static void a_process_has_one_file(struct rules *t)
{
	int fd = ioasid_open(t);

	EXPECT(t, ioasid_open(t), -EBUSY);
	EXPECT(t, transport_open(t->transport, IOASID, O_RDONLY), -EBUSY);
	EXPECT(t, allocate_any(t, fd), 1);
	for (int i = 0; i < 100; i++) {
		ioasid_close(t, fd);
		fd = ioasid_open(t);
		EXPECT(t, fd < 0 ? fd : 0, 0);
		EXPECT(t, ioasid_open(t), -EBUSY);
	}
	ioasid_close(t, fd);
}

static void any_access_mode_will_do(struct rules *t)
{
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		int fd = transport_open(t->transport, IOASID, modes[i]);

		EXPECT(t, allocate_any(t, fd), 1);
		EXPECT(t, release(t, fd, 1), 0);
		ioasid_close(t, fd);
	}
}

static void version_is_0(struct rules *t)
{
	int fd = ioasid_open(t);

	EXPECT(t, call_on(t, fd, IOASID_GET_API_VERSION, NULL), 0);
	EXPECT(t, call_on(t, fd, IOASID_GET_API_VERSION, HOLE), 0);
	ioasid_close(t, fd);
}

static void info_that_cannot_be_read_is_efault(struct rules *t)
{
	struct ioasid_info info = {.argsz = 11, .flags = 1};
	int fd = ioasid_open(t);

	EXPECT(t, call_on(t, fd, IOASID_GET_INFO, HOLE), -EFAULT);
	for (size_t first = 1; first < sizeof(info); first++)
		EXPECT(t,
		       call_on(t, fd, IOASID_GET_INFO,
			       place(t, &info, sizeof(info), first, PROT_READ | PROT_WRITE, PROT_NONE)),
		       -EFAULT);
	ioasid_close(t, fd);
}

static void info_is_checked(struct rules *t)
{
	int fd = ioasid_open(t);

	for (uint32_t argsz = 0; argsz < sizeof(struct ioasid_info); argsz++) {
		struct ioasid_info info = {.argsz = argsz, .ioasid_bits = 77};

		EXPECT(t, call_on(t, fd, IOASID_GET_INFO, &info), -EINVAL);
		EXPECT(t, info.ioasid_bits, 77);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		struct ioasid_info info = {.argsz = sizeof(info), .flags = UINT32_C(1) << bit, .ioasid_bits = 77};

		EXPECT(t, call_on(t, fd, IOASID_GET_INFO, &info), -EINVAL);
		EXPECT(t, info.ioasid_bits, 77);
	}
	ioasid_close(t, fd);
}

static void info_says_31_bits(struct rules *t)
{
	struct ioasid_info info = {.argsz = sizeof(info), .ioasid_bits = 77};
	const struct ioasid_info *answer;
	int fd = ioasid_open(t);

	answer = place_at_end(t, &info, sizeof(info), PROT_READ | PROT_WRITE);
	EXPECT(t, call_on(t, fd, IOASID_GET_INFO, (void *)(uintptr_t)answer), 0);
	EXPECT(t, answer->ioasid_bits, 31);
	EXPECT(t, answer->flags, 0);
	EXPECT(t, answer->argsz, sizeof(info));
	info.argsz = UINT32_MAX;
	answer = place_at_end(t, &info, sizeof(info), PROT_READ | PROT_WRITE);
	EXPECT(t, call_on(t, fd, IOASID_GET_INFO, (void *)(uintptr_t)answer), 0);
	EXPECT(t, answer->ioasid_bits, 31);
	ioasid_close(t, fd);
}

static void info_that_cannot_be_written_is_efault(struct rules *t)
{
	struct ioasid_info info = {.argsz = sizeof(info)};
	int fd = ioasid_open(t);

	EXPECT(t, call_on(t, fd, IOASID_GET_INFO, place_at_end(t, &info, sizeof(info), PROT_READ)), -EFAULT);
	ioasid_close(t, fd);
}

static void request_that_cannot_be_read_is_efault(struct rules *t)
{
	struct ioasid_alloc_request request = {.argsz = 15, .flags = 1, .range = {2, 1}};
	int fd = ioasid_open(t);

	EXPECT(t, call_on(t, fd, IOASID_REQUEST_ALLOC, HOLE), -EFAULT);
	for (size_t first = 1; first < sizeof(request); first++)
		EXPECT(t,
		       call_on(t, fd, IOASID_REQUEST_ALLOC,
			       place(t, &request, sizeof(request), first, PROT_READ, PROT_NONE)),
		       -EFAULT);
	EXPECT(t, allocate_any(t, fd), 1);
	ioasid_close(t, fd);
}

static void request_is_checked(struct rules *t)
{
	int fd = ioasid_open(t);

	for (uint32_t argsz = 0; argsz < sizeof(struct ioasid_alloc_request); argsz++) {
		struct ioasid_alloc_request request = {.argsz = argsz, .range = {1, 100}};

		EXPECT(t, call_on(t, fd, IOASID_REQUEST_ALLOC, &request), -EINVAL);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		struct ioasid_alloc_request request = {
			.argsz = sizeof(request), .flags = UINT32_C(1) << bit, .range = {1, 100}};

		EXPECT(t, call_on(t, fd, IOASID_REQUEST_ALLOC, &request), -EINVAL);
	}
	EXPECT(t, allocate_any(t, fd), 1);
	ioasid_close(t, fd);
}

static void range_that_is_none_is_einval(struct rules *t)
{
	static const struct ioasid_request_range ranges[] = {
		{2, 1},
		{1, 0},
		{INT_MAX, 1},
		{1, UINT32_C(1) << 31},
		{1, UINT32_MAX},
		{UINT32_C(1) << 31, UINT32_C(1) << 31},
		{UINT32_MAX, UINT32_MAX},
		{UINT32_MAX, 1},
	};
	int fd = ioasid_open(t);

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		EXPECT(t, alloc(t, fd, ranges[i].min, ranges[i].max), -EINVAL);
	EXPECT(t, allocate_any(t, fd), 1);
	ioasid_close(t, fd);
}

static void lowest_of_the_range_comes_first(struct rules *t)
{
	int fd = ioasid_open(t);

	EXPECT(t, alloc(t, fd, 1, INT_MAX), 1);
	EXPECT(t, alloc(t, fd, 3, 4), 3);
	EXPECT(t, allocate_any(t, fd), 2);
	EXPECT(t, alloc(t, fd, 3, 4), 4);
	EXPECT(t, alloc(t, fd, 3, 4), -ENOSPC);
	EXPECT(t, allocate_any(t, fd), 5);
	EXPECT(t, release(t, fd, 3), 0);
	EXPECT(t, release(t, fd, 1), 0);
	EXPECT(t, alloc(t, fd, 2, INT_MAX), 3);
	EXPECT(t, allocate_any(t, fd), 1);
	EXPECT(t, alloc(t, fd, 1000, 1000), 1000);
	EXPECT(t, allocate_any(t, fd), 6);
	ioasid_close(t, fd);
}

static void range_without_a_free_one_is_enospc(struct rules *t)
{
	int fd = ioasid_open(t);

	EXPECT(t, alloc(t, fd, LAST + 1, LAST + 1), -ENOSPC);
	EXPECT(t, alloc(t, fd, LAST + 1, INT_MAX), -ENOSPC);
	EXPECT(t, alloc(t, fd, INT_MAX, INT_MAX), -ENOSPC);
	EXPECT(t, alloc(t, fd, LAST, INT_MAX), LAST);
	EXPECT(t, alloc(t, fd, LAST, INT_MAX), -ENOSPC);
	EXPECT(t, alloc(t, fd, 7, 7), 7);
	EXPECT(t, alloc(t, fd, 7, 7), -ENOSPC);
	EXPECT(t, release(t, fd, 7), 0);
	EXPECT(t, alloc(t, fd, 7, 7), 7);
	ioasid_close(t, fd);
}

static void pasid_0_is_never_given_out(struct rules *t)
{
	int fd = ioasid_open(t);

	EXPECT(t, alloc(t, fd, 0, 0), -ENOSPC);
	EXPECT(t, alloc(t, fd, 0, 1), 1);
	EXPECT(t, alloc(t, fd, 0, 1), -ENOSPC);
	EXPECT(t, alloc(t, fd, 0, INT_MAX), 2);
	ioasid_close(t, fd);
}

static void request_is_not_written(struct rules *t)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {1, 100}};
	int id = 1;
	int fd = ioasid_open(t);

	EXPECT(t, call_on(t, fd, IOASID_REQUEST_ALLOC, place_at_end(t, &request, sizeof(request), PROT_READ)), 1);
	EXPECT(t, call_on(t, fd, IOASID_REQUEST_FREE, place_at_end(t, &id, sizeof(id), PROT_READ)), 0);
	request.argsz = UINT32_MAX;
	EXPECT(t, call_on(t, fd, IOASID_REQUEST_ALLOC, place_at_end(t, &request, sizeof(request), PROT_READ)), 1);
	ioasid_close(t, fd);
}

static void free_that_cannot_be_read_is_efault(struct rules *t)
{
	int id = 0;
	int fd = ioasid_open(t);

	EXPECT(t, call_on(t, fd, IOASID_REQUEST_FREE, HOLE), -EFAULT);
	for (size_t first = 1; first < sizeof(id); first++)
		EXPECT(t, call_on(t, fd, IOASID_REQUEST_FREE, place(t, &id, sizeof(id), first, PROT_READ, PROT_NONE)),
		       -EFAULT);
	ioasid_close(t, fd);
}

static void free_of_no_pasid_is_einval(struct rules *t)
{
	int fd = ioasid_open(t);

	EXPECT(t, release(t, fd, 0), -EINVAL);
	EXPECT(t, release(t, fd, -1), -EINVAL);
	EXPECT(t, release(t, fd, INT_MIN), -EINVAL);
	ioasid_close(t, fd);
}

static void free_of_what_nobody_has_is_enoent(struct rules *t)
{
	int fd = ioasid_open(t);

	EXPECT(t, release(t, fd, 1), -ENOENT);
	EXPECT(t, release(t, fd, LAST), -ENOENT);
	EXPECT(t, release(t, fd, LAST + 1), -ENOENT);
	EXPECT(t, release(t, fd, INT_MAX), -ENOENT);
	EXPECT(t, allocate_any(t, fd), 1);
	EXPECT(t, release(t, fd, 2), -ENOENT);
	EXPECT(t, release(t, fd, 1), 0);
	EXPECT(t, release(t, fd, 1), -ENOENT);
	EXPECT(t, allocate_any(t, fd), 1);
	ioasid_close(t, fd);
}

static void other_commands_are_enotty(struct rules *t)
{
	static const unsigned long commands[] = {
		_IO(IOASID_TYPE, IOASID_BASE - 1),
		_IO(IOASID_TYPE, IOASID_BASE + 4),
		_IO(IOASID_TYPE, 0),
		_IO(IOASID_TYPE, 255),
		_IO(';', 0x64),
		_IO(';', 0x81),
		_IOR(IOASID_TYPE, IOASID_BASE + 1, struct ioasid_info),
		_IOWR(IOASID_TYPE, IOASID_BASE + 2, struct ioasid_alloc_request),
		_IOW(IOASID_TYPE, IOASID_BASE + 3, int),
	};
	int fd = ioasid_open(t);

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		EXPECT(t, call_on(t, fd, commands[i], HOLE), -ENOTTY);
	EXPECT(t, allocate_any(t, fd), 1);
	EXPECT(t, call_on(t, t->fd, IOASID_GET_API_VERSION, NULL), -ENOTTY);
	ioasid_close(t, fd);
}

static void close_frees_all(struct rules *t)
{
	for (int i = 0; i < 20; i++) {
		int fd = ioasid_open(t);

		for (int id = 1; id <= 3; id++)
			EXPECT(t, allocate_any(t, fd), id);
		EXPECT(t, alloc(t, fd, LAST, LAST), LAST);
		ioasid_close(t, fd);
	}
}

static void file_has_no_data(struct rules *t)
{
	int fd = ioasid_open(t);
	char byte = 0;
	void *at;

	EXPECT(t, transport_read(t->transport, fd, &byte, 1), -EINVAL);
	EXPECT(t, transport_write(t->transport, fd, &byte, 1), -EINVAL);
	EXPECT(t, transport_poll(t->transport, fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
	EXPECT(t, transport_mmap(t->transport, fd, PAGE, PROT_READ, MAP_SHARED, 0, &at), -ENODEV);
	ioasid_close(t, fd);
}

static void quota_is_eagain(struct rules *t)
{
	unsigned count = 0;
	int fd;

	if (!t->quota) {
		skip(t, "needs a quota");
		return;
	}
	fd = ioasid_open(t);
	while (count < t->quota && EXPECT(t, allocate_any(t, fd), count + 1))
		count++;
	EXPECT(t, allocate_any(t, fd), -EAGAIN);
	EXPECT(t, alloc(t, fd, 1, 1), -EAGAIN);
	EXPECT(t, alloc(t, fd, LAST + 1, INT_MAX), -EAGAIN);
	EXPECT(t, alloc(t, fd, 2, 1), -EINVAL);
	EXPECT(t, release(t, fd, 1), 0);
	EXPECT(t, alloc(t, fd, 2, 2), -ENOSPC);
	EXPECT(t, alloc(t, fd, LAST, LAST), LAST);
	EXPECT(t, allocate_any(t, fd), -EAGAIN);
	ioasid_close(t, fd);
	fd = ioasid_open(t);
	EXPECT(t, allocate_any(t, fd), 1);
	ioasid_close(t, fd);
}

/* Those that follow need another process, so the library cannot show them. */

static bool has_processes(struct rules *t)
{
	if (transport_kind(t->transport) == TRANSPORT_SYSCALLS)
		return true;
	skip(t, "needs another process");
	return false;
}

/* What a child found, and how it ended. */
static void child_ends(struct rules *t, pid_t pid, int wanted)
{
	int status = 0;

	EXPECT(t, waitpid(pid, &status, 0), pid);
	EXPECT(t, status, wanted);
}

static void expect_foreign(struct rules *t, int fd)
{
	struct ioasid_alloc_request request = {.argsz = 15};
	struct ioasid_info info = {.argsz = sizeof(info)};

	EXPECT(t, call_on(t, fd, IOASID_GET_API_VERSION, NULL), 0);
	EXPECT(t, call_on(t, fd, IOASID_GET_INFO, &info), 0);
	EXPECT(t, info.ioasid_bits, 31);
	EXPECT(t, allocate_any(t, fd), -EPERM);
	EXPECT(t, release(t, fd, 1), -EPERM);
	EXPECT(t, release(t, fd, 77), -EPERM);
	EXPECT(t, call_on(t, fd, IOASID_REQUEST_ALLOC, &request), -EINVAL);
	EXPECT(t, call_on(t, fd, IOASID_REQUEST_ALLOC, HOLE), -EFAULT);
	EXPECT(t, release(t, fd, 0), -EINVAL);
	EXPECT(t, call_on(t, fd, IOASID_REQUEST_FREE, HOLE), -EFAULT);
}

static void a_child_has_its_own(struct rules *t)
{
	pid_t pid;
	int fd;

	if (!has_processes(t))
		return;
	fd = ioasid_open(t);
	EXPECT(t, allocate_any(t, fd), 1);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int own = ioasid_open(t);

		expect_foreign(t, fd);
		EXPECT(t, ioasid_open(t), -EBUSY);
		EXPECT(t, allocate_any(t, own), 2);
		EXPECT(t, release(t, own, 1), -EACCES);
		EXPECT(t, alloc(t, own, 1, 1), -ENOSPC);
		fflush(stdout);
		_exit((int)t->failures);
	}
	child_ends(t, pid, 0);
	EXPECT(t, allocate_any(t, fd), 2);
	ioasid_close(t, fd);
}

/* Sends a descriptor, or receives one. */
static int pass(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	char byte = 0;
	struct iovec part = {&byte, 1};
	struct msghdr m = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&m);

	if (fd < 0) {
		if (recvmsg(socket, &m, 0) != 1 || !(head = CMSG_FIRSTHDR(&m)))
			return -1;
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
		return fd;
	}
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return (int)sendmsg(socket, &m, 0);
}

static void owner_that_ends_frees_all(struct rules *t)
{
	if (!has_processes(t))
		return;
	for (int by_signal = 0; by_signal < 2; by_signal++) {
		int sockets[2] = {-1, -1};
		int fd, own;
		pid_t pid;

		EXPECT(t, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			fd = ioasid_open(t);
			if (allocate_any(t, fd) != 1 || alloc(t, fd, LAST, LAST) != LAST)
				_exit(100);
			pass(sockets[1], fd);
			if (by_signal)
				pause();
			_exit(0);
		}
		fd = pass(sockets[0], -1);
		if (by_signal)
			kill(pid, SIGKILL);
		child_ends(t, pid, by_signal ? SIGKILL : 0);
		/* The file is open still. */
		own = ioasid_open(t);
		EXPECT(t, release(t, own, 1), -ENOENT);
		EXPECT(t, allocate_any(t, own), 1);
		EXPECT(t, alloc(t, own, LAST, LAST), LAST);
		expect_foreign(t, fd);
		ioasid_close(t, own);
		ioasid_close(t, fd);
		close(sockets[0]);
		close(sockets[1]);
	}
}

/* The program that is executed asks what its maker's file is to it. */
static void file_is_foreign_after_exec(struct rules *t)
{
	const char *given = getenv("IOASID_FD");
	char number[16];
	pid_t pid;
	int fd;

	if (!has_processes(t))
		return;
	if (given) {
		fd = atoi(given);
		expect_foreign(t, fd);
		int own = ioasid_open(t);

		EXPECT(t, allocate_any(t, own), 1);
		EXPECT(t, transport_close(t->transport, fd), 0);
		EXPECT(t, allocate_any(t, own), 2);
		ioasid_close(t, own);
		return;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fd = transport_open(t->transport, IOASID, O_RDWR);
		if (allocate_any(t, fd) != 1)
			_exit(100);
		snprintf(number, sizeof(number), "%d", fd);
		setenv("IOASID_FD", number, 1);
		execl("/proc/self/exe", "rules", "--syscalls", __func__, (char *)NULL);
		_exit(101);
	}
	child_ends(t, pid, 0);
	fd = ioasid_open(t);
	EXPECT(t, allocate_any(t, fd), 1);
	ioasid_close(t, fd);
}

static const struct rule_case cases[] = {
	CASE("F.1-1a", a_process_has_one_file),
	CASE("F.1-1b", any_access_mode_will_do),
	CASE("F.1-1c", file_has_no_data),
	CASE("F.1-2", version_is_0),
	CASE("F.1-3a", info_that_cannot_be_read_is_efault),
	CASE("F.1-3b", info_is_checked),
	CASE("F.1-3c", info_says_31_bits),
	CASE("F.1-3d", info_that_cannot_be_written_is_efault),
	CASE("F.1-4a", request_that_cannot_be_read_is_efault),
	CASE("F.1-4b", request_is_checked),
	CASE("F.1-4c", range_that_is_none_is_einval),
	CASE("F.1-4d", lowest_of_the_range_comes_first),
	CASE("F.1-4e", range_without_a_free_one_is_enospc),
	CASE("F.1-4f", pasid_0_is_never_given_out),
	CASE("F.1-4g,F.1-5d", request_is_not_written),
	CASE("F.1-4h", quota_is_eagain),
	CASE("F.1-5a", free_that_cannot_be_read_is_efault),
	CASE("F.1-5b", free_of_no_pasid_is_einval),
	CASE("F.1-5c,F.1-5d", free_of_what_nobody_has_is_enoent),
	CASE("F.1-6", other_commands_are_enotty),
	CASE("F.1-7a", close_frees_all),
	CASE("F.1-7b", owner_that_ends_frees_all),
	CASE("F.1-8a,F.1-8b,F.1-5e", a_child_has_its_own),
	CASE("F.1-8a,F.1-8c", file_is_foreign_after_exec),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
