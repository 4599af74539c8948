/* SPDX-License-Identifier: BSD-3-Clause */
/* What one client does with its descriptors in ways that are its right, and what others keep meanwhile. */
#include "rig.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* A queue is no socket, at any number. */
static void queue_that_is_shut_down(struct test *t)
{
	int fd = open_iommu();

	for (int how = SHUT_RD; how <= SHUT_RDWR; how++) {
		uint32_t id;
		long queue = fault_queue_alloc(fd, &id);
		struct pollfd p = {(int)queue, POLLIN | POLLOUT, 0};
		int low;

		if (!CHECK(t, queue >= 0))
			return;
		SAME(t, ERR(shutdown((int)queue, how)), -ENOTSOCK);
		SAME(t, ERR(poll(&p, 1, 0)), 1);
		SAME(t, p.revents, POLLOUT);
		SAME(t, object_destroy(fd, id), -EBUSY);
		low = dup((int)queue);
		SAME(t, ERR(shutdown(low, how)), -ENOTSOCK);
		SAME(t, object_destroy(fd, id), -EBUSY);
		close((int)queue);
		SAME(t, object_destroy(fd, id), -EBUSY);
		close(low);
		SAME(t, object_destroy(fd, id), 0);
	}
	close(fd);
}

static void link_of_another_name(struct test *t)
{
	const char *folder = getenv("TMPDIR");
	char link[256];
	int fd;
	int copy;

	snprintf(link, sizeof(link), "%s/elsewhere-%d", folder ? folder : "/tmp", (int)getpid());
	SAME(t, ERR(symlink(DEV_IOMMU, link)), 0);
	fd = (int)ERR(open(link, O_RDWR | O_CLOEXEC));
	unlink(link);
	if (!CHECK(t, fd >= 0))
		return;
	copy = dup(fd);
	SAME(t, ioas_alloc(fd), 1);
	SAME(t, ioas_alloc(copy), 2);
	SAME(t, object_destroy(copy, 1), 0);
	SAME(t, object_destroy(fd, 2), 0);
}

/* For the harness to look whether the closes were noticed. */
static void given_away(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds; i++) {
		int fd = open_iommu();

		if (fchown(fd, 12, 12) < 0) {
			test_skip(t, "fchown: %s", strerrorname_np(errno));
			return;
		}
		FRESH(t, fd);
		close(fd);
	}
}

/* A child that opens until nothing is left, and holds that until it is killed. Returns the errno that it met. */
static int open_all(struct test *t, pid_t *pid)
{
	int ready[2];
	int met = 0;

	SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
	*pid = fork();
	if (*pid == 0) {
		int fd;

		do
			fd = open_iommu();
		while (fd >= 0);
		if (write(ready[1], &fd, sizeof(fd)) == sizeof(fd))
			pause();
		_exit(1);
	}
	close(ready[1]);
	SAME(t, ERR(read(ready[0], &met, sizeof(met))), sizeof(met));
	close(ready[0]);
	return met;
}

static void check_in_new_program(struct test *t, int fd)
{
	char number[16];
	pid_t pid = fork();

	if (pid == 0) {
		snprintf(number, sizeof(number), "%d", fd);
		execl(t->program, "limits", "use", number, NULL);
		_exit(127);
	}
	SAME(t, wait_for(pid), 0);
}

/* Exit status 0 where the descriptor is a node's. */
static int use(int fd)
{
	struct stat st;

	if (ioas_alloc(fd) < 1)
		return 1;
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
		return 2;
	return mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? 0 : 3;
}

/* The harness runs it where iommuse itself has few descriptors. */
static void all_opened_by_another(struct test *t)
{
	int fd = (int)ERR(open(DEV_IOMMU, O_RDWR));
	struct rlimit limit;
	pid_t other;
	pid_t pid;

	FRESH(t, fd);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (!SAME(t, limit.rlim_max, 1024) || !SAME(t, open_all(t, &other), -ENFILE))
		return;
	SAME(t, ERR(open(DEV_IOMMU, O_RDWR)), -ENFILE);
	SAME(t, ioas_alloc(fd), 2);
	for (int i = 0; i < 20; i++) {
		pid = fork();
		if (pid == 0)
			_exit(use(fd));
		SAME(t, wait_for(pid), 0);
		check_in_new_program(t, fd);
	}
	kill(other, SIGKILL);
	SAME(t, wait_for(other), -SIGKILL);
}

/* The same where a device has an eventfd for each of a thousand registers. */
static void all_taken_by_a_device(struct test *t)
{
	struct {
		uint32_t argsz, flags;
		uint64_t offset, data;
		int32_t fd;
		uint32_t reserved;
	} cmd = {.argsz = sizeof(cmd), .flags = 1};
	int fd = (int)ERR(open(DEV_IOMMU, O_RDWR));
	struct rig rig;
	long rc = 0;

	FRESH(t, fd);
	if (!SAME(t, rig_open(&rig, CDEV, 0), 0))
		return;
	for (; rc == 0; cmd.offset++) {
		cmd.fd = eventfd(0, EFD_CLOEXEC);
		rc = door_ioctl(rig.device, VFIO_DEVICE_IOEVENTFD, &cmd);
		close(cmd.fd);
	}
	SAME(t, rc, -ENFILE);
	CHECK(t, cmd.offset < 800);
	for (int i = 0; i < 20; i++) {
		SAME(t, ioas_alloc(fd), 2 + 2 * i);
		check_in_new_program(t, fd);
	}
	rig_close(&rig);
	close(fd);
	fd = open_iommu();
	FRESH(t, fd);
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"queue_that_is_shut_down", queue_that_is_shut_down},
		{"link_of_another_name", link_of_another_name},
		{"given_away", given_away},
		{"all_opened_by_another", all_opened_by_another},
		{"all_taken_by_a_device", all_taken_by_a_device},
	};

	if (argc == 3 && strcmp(argv[1], "use") == 0)
		return use(atoi(argv[2]));
	return TEST_MAIN(argc, argv, cases);
}
