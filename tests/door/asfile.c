/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node and a descriptor of it are to every system call that is not ioctl. */
#include "door.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include <linux/capability.h>

static const char *const nodes[] = {DEV_IOMMU, DEV_VFIO};

static bool is_device(struct test *t, const struct stat *st)
{
	bool type = CHECK(t, S_ISCHR(st->st_mode));

	return SAME(t, st->st_size, 0) && type;
}

static void stat_by_path(struct test *t)
{
	int dev = open("/dev", O_PATH | O_DIRECTORY);

	for (size_t n = 0; n < 2; n++) {
		const char *relative = nodes[n] + strlen("/dev/");
		struct stat st = {0};
		struct stat other = {0};
		struct statx stx = {0};

		SAME(t, ERR(stat(nodes[n], &st)), 0);
		if (!is_device(t, &st))
			continue;
		SAME(t, ERR(lstat(nodes[n], &other)), 0);
		SAME(t, other.st_rdev, st.st_rdev);
		SAME(t, ERR(fstatat(dev, relative, &other, 0)), 0);
		SAME(t, other.st_rdev, st.st_rdev);
		SAME(t, ERR(statx(AT_FDCWD, nodes[n], 0, STATX_BASIC_STATS, &stx)), 0);
		CHECK(t, S_ISCHR(stx.stx_mode));
		SAME(t, makedev(stx.stx_rdev_major, stx.stx_rdev_minor), st.st_rdev);
	}
}

static void stat_by_descriptor(struct test *t)
{
	static const int modes[] = {O_RDWR, O_RDONLY, O_WRONLY};

	for (size_t n = 0; n < 2; n++)
		for (int i = 0; i < 3; i++) {
			struct stat by_path = {0};
			struct stat st = {0};
			struct statx stx = {0};
			int fd = open(nodes[n], modes[i]);

			SAME(t, ERR(stat(nodes[n], &by_path)), 0);
			SAME(t, ERR(fstat(fd, &st)), 0);
			if (!is_device(t, &st))
				continue;
			/* A shell with noclobber looks whether what it opened is what it saw. */
			SAME(t, st.st_ino, by_path.st_ino);
			SAME(t, st.st_dev, by_path.st_dev);
			memset(&st, 0, sizeof(st));
			SAME(t, ERR(fstatat(fd, "", &st, AT_EMPTY_PATH)), 0);
			is_device(t, &st);
			SAME(t, ERR(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx)), 0);
			CHECK(t, S_ISCHR(stx.stx_mode));
		}
}

/* A miscellaneous device; the container's minor number is fixed. */
static void device_numbers(struct test *t)
{
	for (size_t n = 0; n < 2; n++) {
		struct stat by_path = {0};
		struct stat st = {0};
		struct statx stx = {0};
		int fd = open(nodes[n], O_RDWR);

		SAME(t, ERR(stat(nodes[n], &by_path)), 0);
		SAME(t, ERR(fstat(fd, &st)), 0);
		SAME(t, major(st.st_rdev), 10);
		/* docs/limits.md: in a namespace, the path has the number of what lies in the node's place. */
		if (!CHECK(t, by_path.st_rdev == st.st_rdev || by_path.st_rdev == makedev(1, 3)))
			continue;
		by_path.st_rdev = st.st_rdev;
		SAME(t, ERR(fstatat(fd, "", &st, AT_EMPTY_PATH)), 0);
		SAME(t, st.st_rdev, by_path.st_rdev);
		SAME(t, ERR(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx)), 0);
		SAME(t, makedev(stx.stx_rdev_major, stx.stx_rdev_minor), by_path.st_rdev);
		if (n == 1)
			SAME(t, minor(by_path.st_rdev), 196);
	}
}

/* fstat is looked at by the door for every file: others must get the kernel's own answer. */
static void stat_of_others(struct test *t)
{
	struct stat st;
	int pipes[2];
	int fd = open("/proc/self/exe", O_RDONLY);

	SAME(t, ERR(fstat(fd, &st)), 0);
	CHECK(t, S_ISREG(st.st_mode) && st.st_size > 1000);
	SAME(t, ERR(fstat(987654, &st)), -EBADF);
	SAME(t, ERR(fstatat(fd, "", &st, 0)), -ENOENT);
	SAME(t, ERR(syscall(SYS_fstat, fd, wild_pointer())), -EFAULT);
	SAME(t, ERR(pipe(pipes)), 0);
	SAME(t, ERR(fstat(pipes[0], &st)), 0);
	CHECK(t, S_ISFIFO(st.st_mode));
	fd = open_iommu();
	SAME(t, ERR(syscall(SYS_fstat, fd, wild_pointer())), -EFAULT);
}

static void permission(struct test *t)
{
	for (size_t n = 0; n < 2; n++) {
		SAME(t, ERR(access(nodes[n], F_OK)), 0);
		SAME(t, ERR(access(nodes[n], R_OK | W_OK)), 0);
		SAME(t, ERR(faccessat(AT_FDCWD, nodes[n], R_OK | W_OK, AT_EACCESS)), 0);
	}
}

static void name_of_descriptor(struct test *t)
{
	for (size_t n = 0; n < 2; n++)
		for (int i = 0; i < 2; i++) {
			int fd = open(nodes[n], i ? O_RDONLY : O_RDWR);
			char link[64];
			char target[PATH_MAX] = "";

			snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
			CHECK(t, readlink(link, target, sizeof(target) - 1) > 0);
			if (strcmp(target, nodes[n]) != 0)
				test_fail(t, "%s reads as %s, not %s", link, target, nodes[n]);
		}
}

static void flags_of_descriptor(struct test *t)
{
	int fd = open(DEV_IOMMU, O_RDWR);
	int on = 1;

	SAME(t, ERR(fcntl(fd, F_GETFL)) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
	SAME(t, ERR(fcntl(fd, F_SETFL, O_NONBLOCK)), 0);
	SAME(t, ERR(fcntl(fd, F_GETFL)) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	SAME(t, ERR(fcntl(fd, F_SETFL, 0)), 0);
	SAME(t, ERR(ioctl(fd, FIONBIO, &on)), 0);
	SAME(t, ERR(fcntl(fd, F_GETFL)) & (O_ACCMODE | O_NONBLOCK), O_RDWR | O_NONBLOCK);
	SAME(t, ERR(ioctl(fd, FIOCLEX)), 0);
	SAME(t, ERR(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	FRESH(t, fd);
}

static void read_and_write(struct test *t)
{
	static const int modes[] = {O_RDWR, O_RDONLY, O_WRONLY, O_RDWR | O_NONBLOCK};

	for (size_t n = 0; n < 2; n++)
		for (int i = 0; i < 4; i++) {
			int fd = open(nodes[n], modes[i]);
			int reads = (modes[i] & O_ACCMODE) == O_WRONLY ? -EBADF : -EINVAL;
			int writes = (modes[i] & O_ACCMODE) == O_RDONLY ? -EBADF : -EINVAL;
			char buf[8] = "1234567";
			struct iovec iov = {buf, sizeof(buf)};

			SAME(t, ERR(read(fd, buf, sizeof(buf))), reads);
			SAME(t, ERR(read(fd, buf, 0)), reads);
			SAME(t, ERR(readv(fd, &iov, 1)), reads);
			SAME(t, ERR(write(fd, buf, sizeof(buf))), writes);
			SAME(t, ERR(writev(fd, &iov, 1)), writes);
			FRESH(t, fd);
		}
}

/* docs/limits.md: the door sees no position; what it can do is to keep nothing. */
static void reads_nothing(struct test *t, long rc)
{
	CHECK(t, rc == -EINVAL || rc == 0);
}

static void writes_nothing(struct test *t, long rc)
{
	CHECK(t, rc == -EINVAL || rc == -ENOSPC || rc == -EPERM);
}

static void read_and_write_at_a_position(struct test *t)
{
	for (size_t n = 0; n < 2; n++) {
		int fd = open(nodes[n], O_RDWR);
		char buf[8] = "1234567";
		struct iovec iov = {buf, sizeof(buf)};

		writes_nothing(t, ERR(pwrite(fd, buf, sizeof(buf), 0)));
		writes_nothing(t, ERR(pwrite(fd, buf, sizeof(buf), 8)));
		writes_nothing(t, ERR(pwritev(fd, &iov, 1, 8)));
		writes_nothing(t, ERR(pwrite(fd, buf, sizeof(buf), 7ll << 40)));
		reads_nothing(t, ERR(pread(fd, buf, sizeof(buf), 0)));
		reads_nothing(t, ERR(pread(fd, buf, sizeof(buf), 8)));
		reads_nothing(t, ERR(preadv(fd, &iov, 1, 8)));
		reads_nothing(t, ERR(pread(fd, buf, sizeof(buf), 7ll << 40)));
		FRESH(t, fd);
	}
}

static void size_cannot_be_changed(struct test *t)
{
	for (size_t n = 0; n < 2; n++) {
		int fd = open(nodes[n], O_RDWR);
		struct stat st;

		SAME(t, ERR(ftruncate(fd, 4096)), -EINVAL);
		SAME(t, ERR(ftruncate(fd, 0)), -EINVAL);
		SAME(t, ERR(fallocate(fd, 0, 0, 4096)), -ENODEV);
		SAME(t, ERR(fstat(fd, &st)), 0);
		SAME(t, st.st_size, 0);
		FRESH(t, fd);
	}
}

static long map(int fd, int prot, int flags, off_t offset)
{
	void *p = mmap(NULL, 4096, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, 4096);
	return 0;
}

static void memory_map(struct test *t)
{
	int fd = open_iommu();
	int vfio = open(DEV_VFIO, O_RDWR);

	SAME(t, map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0), -ENXIO);
	SAME(t, map(fd, PROT_READ, MAP_SHARED, 0), -ENXIO);
	SAME(t, map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 4096), -ENXIO);
	SAME(t, map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 1ll << 40), -ENXIO);
	SAME(t, map(fd, PROT_READ | PROT_EXEC, MAP_SHARED, 0), -EPERM);
	SAME(t, map(vfio, PROT_READ | PROT_WRITE, MAP_SHARED, 0), -ENXIO);
	FRESH(t, fd);
	FRESH(t, vfio);
}

static void private_memory_map(struct test *t)
{
	int fd = open_iommu();

	SAME(t, map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0), -EINVAL);
	SAME(t, map(fd, PROT_READ, MAP_PRIVATE, 0), -EINVAL);
	FRESH(t, fd);
}

static void memory_map_of_others(struct test *t)
{
	int fd = memfd_create("door", 0);

	SAME(t, ERR(ftruncate(fd, 4096)), 0);
	SAME(t, map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, 0), 0);
	SAME(t, map(fd, PROT_READ, MAP_PRIVATE, 0), 0);
	SAME(t, map(-1, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, 0), 0);
	SAME(t, map(-1, PROT_READ, MAP_SHARED, 0), -EBADF);
	SAME(t, map(987654, PROT_READ, MAP_SHARED, 0), -EBADF);
}

static void no_terminal(struct test *t)
{
	int fd = open_iommu();

	SAME(t, isatty(fd), 0);
	SAME(t, errno, ENOTTY);
	FRESH(t, fd);
}

static void ready_at_once(struct test *t)
{
	for (size_t n = 0; n < 2; n++) {
		int fd = open(nodes[n], O_RDWR);
		int ep = epoll_create1(0);
		struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI, 0};
		struct epoll_event event = {.events = EPOLLIN};
		struct timeval none = {0};
		fd_set r;
		fd_set w;

		SAME(t, ERR(poll(&p, 1, 0)), 1);
		SAME(t, p.revents, POLLIN | POLLOUT);
		FD_ZERO(&r);
		FD_ZERO(&w);
		FD_SET(fd, &r);
		FD_SET(fd, &w);
		SAME(t, ERR(select(fd + 1, &r, &w, NULL, &none)), 2);
		SAME(t, ERR(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event)), -EPERM);
	}
}

static void strange_ioctls(struct test *t)
{
	int fd = open_iommu();
	int pipes[2];
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	SAME(t, door_ioctl(fd, IOMMU_DESTROY, NULL), -EFAULT);
	SAME(t, door_ioctl(fd, IOMMU_DESTROY, (void *)~0xfffull), -EFAULT);
	SAME(t, door_ioctl(fd, 0xff, NULL), -ENOTTY);
	SAME(t, door_ioctl(fd, 0, NULL), -ENOTTY);
	SAME(t, door_ioctl(fd, 0x7f, NULL), -ENOTTY);
	SAME(t, ERR(ioctl(fd, _IOWR(';', IOMMU_IOAS_ALLOC, int), &cmd)), -ENOTTY);
	SAME(t, ERR(ioctl(fd, _IO('Z', 1), &cmd)), -ENOTTY);
	/* The kernel takes the command and the descriptor as 32-bit words. */
	SAME(t, ERR(syscall(SYS_ioctl, 0x7700000000ull | (unsigned)fd, 0x3300000000ull | CMD(IOMMU_IOAS_ALLOC), &cmd)),
	     0);
	SAME(t, cmd.out_ioas_id, 1);
	SAME(t, ioas_alloc(-1), -EBADF);
	SAME(t, ioas_alloc(987654), -EBADF);
	SAME(t, ioas_alloc(open("/", O_RDONLY)), -ENOTTY);
	SAME(t, ioas_alloc(memfd_create("door", 0)), -ENOTTY);
	SAME(t, ERR(pipe(pipes)), 0);
	SAME(t, ioas_alloc(pipes[0]), -ENOTTY);
	close(fd);
	SAME(t, ioas_alloc(fd), -EBADF);
	fd = open(DEV_VFIO, O_RDONLY);
	SAME(t, door_ioctl(fd, VFIO_GET_API_VERSION, NULL), 0);
	FRESH(t, fd);
}

/* The privilege that counts is the client's in the initial user namespace, which is what its own status shows. */
static bool has_capability(unsigned bit)
{
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long long mask = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "CapEff:", 7) == 0)
			mask = strtoull(line + 7, NULL, 16);
	if (file)
		fclose(file);
	return mask >> bit & 1;
}

static void privilege(struct test *t)
{
	bool may = has_capability(CAP_SYS_RESOURCE);
	int fd = open_iommu();
	int vfio = open(DEV_VFIO, O_RDWR);
	struct iommu_option cmd = {.size = sizeof(cmd), .option_id = OPTION_RLIMIT_MODE, .op = OPTION_SET, .val64 = 1};

	SAME(t, option_get(fd, OPTION_RLIMIT_MODE, 0), 0);
	SAME(t, option_get(vfio, OPTION_RLIMIT_MODE, 0), 1);
	SAME(t, door_ioctl(fd, IOMMU_OPTION, &cmd), may ? 0 : -EPERM);
	SAME(t, option_get(fd, OPTION_RLIMIT_MODE, 0), may ? 1 : 0);
	FRESH(t, fd);
	SAME(t, door_ioctl(fd, IOMMU_OPTION, &cmd), may ? -EBUSY : -EPERM);
}

/* Sets or clears a capability that the thread may have. */
static int set_capability(unsigned bit, bool on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[bit / 32].effective &= ~(1U << (bit % 32));
	data[bit / 32].effective |= on ? 1U << (bit % 32) : 0;
	return ERR(syscall(SYS_capset, &header, data));
}

/* A privilege that is dropped, or taken back, counts from the next call on. */
static void privilege_comes_and_goes(struct test *t)
{
	struct iommu_option cmd = {.size = sizeof(cmd), .option_id = OPTION_RLIMIT_MODE, .op = OPTION_SET, .val64 = 1};
	int fd = open_iommu();

	if (!has_capability(CAP_SYS_RESOURCE))
		return;
	for (int i = 0; i < 3; i++) {
		SAME(t, door_ioctl(fd, IOMMU_OPTION, &cmd), 0);
		SAME(t, door_ioctl(fd, IOMMU_OPTION, &cmd), 0);
		SAME(t, set_capability(CAP_SYS_RESOURCE, false), 0);
		SAME(t, door_ioctl(fd, IOMMU_OPTION, &cmd), -EPERM);
		SAME(t, door_ioctl(fd, IOMMU_OPTION, &cmd), -EPERM);
		SAME(t, set_capability(CAP_SYS_RESOURCE, true), 0);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"stat_by_path", stat_by_path},
		{"stat_by_descriptor", stat_by_descriptor},
		{"device_numbers", device_numbers},
		{"stat_of_others", stat_of_others},
		{"permission", permission},
		{"name_of_descriptor", name_of_descriptor},
		{"flags_of_descriptor", flags_of_descriptor},
		{"read_and_write", read_and_write},
		{"read_and_write_at_a_position", read_and_write_at_a_position},
		{"size_cannot_be_changed", size_cannot_be_changed},
		{"memory_map", memory_map},
		{"private_memory_map", private_memory_map},
		{"memory_map_of_others", memory_map_of_others},
		{"no_terminal", no_terminal},
		{"ready_at_once", ready_at_once},
		{"strange_ioctls", strange_ioctls},
		{"privilege", privilege},
		{"privilege_comes_and_goes", privilege_comes_and_goes},
	};

	return TEST_MAIN(argc, argv, cases);
}
