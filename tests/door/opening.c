/* SPDX-License-Identifier: BSD-3-Clause */
/* Every way to open a node gives a context of its own, with the access mode and the flags that were asked for. */
#include "door.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct open_how_copy { /* struct open_how of linux/openat2.h */
	uint64_t flags, mode, resolve;
};
enum { RESOLVE_SYMLINKS_NOT = 0x04, RESOLVE_BELOW = 0x08 };

static long openat2_call(int dir, const char *path, uint64_t flags, uint64_t resolve, size_t size)
{
	struct open_how_copy how = {.flags = flags, .resolve = resolve};

	return ERR(syscall(SYS_openat2, dir, path, &how, size));
}

/* fd is open with these flags and is a new context; leaves it open. */
static void check_open(struct test *t, const char *how, long fd, int flags)
{
	long got;

	if (fd < 0) {
		test_fail(t, "%s: %s", how, strerrorname_np((int)-fd));
		return;
	}
	got = ERR(fcntl((int)fd, F_GETFL));
	if (got < 0 || (got & (O_ACCMODE | O_NONBLOCK)) != (flags & (O_ACCMODE | O_NONBLOCK)))
		test_fail(t, "%s: F_GETFL is %#lx, opened with %#x", how, got, (unsigned)flags);
	got = ERR(fcntl((int)fd, F_GETFD));
	if (got != (flags & O_CLOEXEC ? FD_CLOEXEC : 0))
		test_fail(t, "%s: F_GETFD is %ld, opened with %#x", how, got, (unsigned)flags);
	got = ioas_alloc((int)fd);
	if (got != 1)
		test_fail(t, "%s: the first object of a new context is %ld", how, got);
}

static void flags_of_open(struct test *t)
{
	static const int flags[] = {
		O_RDWR,
		O_RDONLY,
		O_WRONLY,
		O_RDWR | O_CLOEXEC,
		O_RDONLY | O_CLOEXEC,
		O_WRONLY | O_CLOEXEC,
		O_RDWR | O_NONBLOCK,
		O_RDONLY | O_NONBLOCK,
		O_RDWR | O_NONBLOCK | O_CLOEXEC,
		O_RDWR | O_CREAT,
		O_RDONLY | O_CREAT,
		O_RDWR | O_TRUNC,
		O_RDWR | O_APPEND,
		O_WRONLY | O_CREAT | O_TRUNC,
		O_RDWR | O_NOCTTY | O_NOFOLLOW | O_SYNC,
	};
	static const char *const nodes[] = {DEV_IOMMU, DEV_VFIO};
	char how[64];

	for (size_t n = 0; n < 2; n++)
		for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			snprintf(how, sizeof(how), "open(%s, %#x)", nodes[n], (unsigned)flags[i]);
			check_open(t, how, ERR(open(nodes[n], flags[i], 0600)), flags[i]);
			snprintf(how, sizeof(how), "SYS_open(%s, %#x)", nodes[n], (unsigned)flags[i]);
			check_open(t, how, ERR(syscall(SYS_open, nodes[n], flags[i], 0600)), flags[i]);
		}
	check_open(t, "creat", ERR(creat(DEV_IOMMU, 0600)), O_WRONLY);
	check_open(t, "SYS_creat", ERR(syscall(SYS_creat, DEV_IOMMU, 0600)), O_WRONLY);
}

static void relative_paths(struct test *t)
{
	int dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	check_open(t, "openat(/dev, iommu)", ERR(openat(dev, "iommu", O_RDWR)), O_RDWR);
	check_open(t, "openat(/dev, iommu) read-only", ERR(openat(dev, "iommu", O_RDONLY)), O_RDONLY);
	check_open(t, "openat(/dev, vfio/vfio)", ERR(openat(dev, "vfio/vfio", O_RDWR)), O_RDWR);
	check_open(t, "openat(/, dev/iommu)", ERR(openat(root, "dev/iommu", O_RDWR)), O_RDWR);
	check_open(t, "openat(bad, /dev/iommu)", ERR(openat(-7, DEV_IOMMU, O_RDWR)), O_RDWR);
	SAME(t, ERR(openat(-7, "iommu", O_RDWR)), -EBADF);
	SAME(t, ERR(openat(root, "iommu", O_RDWR)), -ENOENT);
	SAME(t, ERR(chdir("/dev")), 0);
	check_open(t, "iommu in /dev", ERR(open("iommu", O_RDWR)), O_RDWR);
	check_open(t, "iommu in /dev, read-only", ERR(open("iommu", O_RDONLY)), O_RDONLY);
	check_open(t, "./vfio/../iommu", ERR(open("./vfio/../iommu", O_RDWR)), O_RDWR);
}

/* A place to be in, and to list: only a namespace can give it. */
static void directory_of_nodes(struct test *t)
{
	static const char *const entries[][2] = {{"/dev", "iommu"}, {"/dev/vfio", "vfio"}};

	SAME(t, ERR(open("/dev/vfio", O_RDWR)), -EISDIR);
	SAME(t, ERR(chdir("/dev/vfio")), 0);
	check_open(t, "../iommu in /dev/vfio", ERR(open("../iommu", O_RDWR)), O_RDWR);
	check_open(t, "vfio in /dev/vfio", ERR(open("vfio", O_RDWR)), O_RDWR);
	for (size_t i = 0; i < 2; i++) {
		DIR *dir = opendir(entries[i][0]);
		bool found = false;

		for (struct dirent *d; dir && (d = readdir(dir));)
			if (strcmp(d->d_name, entries[i][1]) == 0)
				found = true;
		if (dir)
			closedir(dir);
		CHECK(t, found);
	}
}

static void odd_paths(struct test *t)
{
	static const char *const paths[] = {
		"//dev/iommu",        "/dev//iommu",        "/./dev/././iommu",
		"/dev/../dev/iommu",  "/dev/vfio/../iommu", "/../dev/iommu",
		"/proc/../dev/iommu", "/dev/vfio//vfio",    "/proc/self/root/dev/iommu",
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		check_open(t, paths[i], ERR(open(paths[i], O_RDWR)), O_RDWR);
		check_open(t, paths[i], ERR(open(paths[i], O_RDONLY)), O_RDONLY);
	}
	memset(path, '/', sizeof(path));
	memcpy(path + sizeof(path) - sizeof("dev/iommu"), "dev/iommu", sizeof("dev/iommu"));
	check_open(t, "a path of 4095 bytes", ERR(open(path, O_RDWR)), O_RDWR);
}

static void with_openat2(struct test *t)
{
	const size_t size = sizeof(struct open_how_copy);
	int dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	long fd = openat2_call(AT_FDCWD, DEV_IOMMU, O_RDWR, 0, size);

	if (fd == -ENOSYS) {
		test_skip(t, "no openat2");
		return;
	}
	check_open(t, "openat2", fd, O_RDWR);
	check_open(t, "openat2, read-only", openat2_call(AT_FDCWD, DEV_IOMMU, O_RDONLY, 0, size), O_RDONLY);
	check_open(t, "openat2, O_CLOEXEC", openat2_call(AT_FDCWD, DEV_VFIO, O_RDWR | O_CLOEXEC, 0, size),
		   O_RDWR | O_CLOEXEC);
	check_open(t, "openat2, O_NONBLOCK", openat2_call(dev, "iommu", O_RDWR | O_NONBLOCK, 0, size),
		   O_RDWR | O_NONBLOCK);
	check_open(t, "openat2 beneath /dev", openat2_call(dev, "iommu", O_RDWR, RESOLVE_BELOW, size), O_RDWR);
	check_open(t, "openat2 without symlinks", openat2_call(AT_FDCWD, DEV_IOMMU, O_RDWR, RESOLVE_SYMLINKS_NOT, size),
		   O_RDWR);
	SAME(t, openat2_call(dev, DEV_IOMMU, O_RDWR, RESOLVE_BELOW, size), -EXDEV);
	SAME(t, openat2_call(AT_FDCWD, DEV_IOMMU, O_RDWR, 1ull << 60, size), -EINVAL);
	SAME(t, openat2_call(AT_FDCWD, DEV_IOMMU, O_RDWR | 1ull << 40, 0, size), -EINVAL);
	SAME(t, openat2_call(AT_FDCWD, DEV_IOMMU, O_RDWR, 0, 8), -EINVAL);
	SAME(t, ERR(syscall(SYS_openat2, AT_FDCWD, DEV_IOMMU, wild_pointer(), size)), -EFAULT);
}

/* A directory of our own to make links and files in. */
static bool enter_scratch(struct test *t)
{
	char path[PATH_MAX];
	const char *tmp = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/door-XXXXXX", tmp ? tmp : "/tmp");
	return CHECK(t, mkdtemp(path) != NULL) && SAME(t, ERR(chdir(path)), 0);
}

static void leave_scratch(void)
{
	char path[PATH_MAX];

	if (getcwd(path, sizeof(path)) && chdir("/") == 0)
		rmdir(path);
}

static void symbolic_links(struct test *t)
{
	static const char *const links[][2] = {
		{"/dev/iommu", "link"}, {"link", "to-link"}, {"/dev", "dev"}, {"/proc/self/cwd/dev/iommu", "by-proc"}};
	const size_t count = sizeof(links) / sizeof(links[0]);

	if (!enter_scratch(t))
		return;
	for (size_t i = 0; i < count; i++)
		SAME(t, ERR(symlink(links[i][0], links[i][1])), 0);
	check_open(t, "a symlink", ERR(open("link", O_RDWR)), O_RDWR);
	check_open(t, "a symlink, read-only", ERR(open("link", O_RDONLY)), O_RDONLY);
	check_open(t, "a symlink to a symlink", ERR(open("to-link", O_RDWR | O_CLOEXEC)), O_RDWR | O_CLOEXEC);
	check_open(t, "below a symlink", ERR(open("dev/iommu", O_RDWR | O_NOFOLLOW)), O_RDWR);
	check_open(t, "through /proc/self/cwd", ERR(open("by-proc", O_RDWR)), O_RDWR);
	SAME(t, ERR(open("link", O_RDWR | O_NOFOLLOW)), -ELOOP);
	SAME(t, ERR(open("link", O_RDWR | O_CREAT | O_EXCL, 0600)), -EEXIST);
	SAME(t, openat2_call(AT_FDCWD, "link", O_RDWR, RESOLVE_SYMLINKS_NOT, sizeof(struct open_how_copy)), -ELOOP);
	for (size_t i = 0; i < count; i++)
		unlink(links[i][1]);
	leave_scratch();
}

/* A file of the same name elsewhere is a file. */
static void other_files_are_left_alone(struct test *t)
{
	struct stat st;
	long fd;
	char c = 0;

	if (!enter_scratch(t))
		return;
	SAME(t, ERR(mkdir("dev", 0700)), 0);
	fd = ERR(open("dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600));
	if (CHECK(t, fd >= 0)) {
		SAME(t, ERR(write((int)fd, "abc", 3)), 3);
		SAME(t, ERR(pread((int)fd, &c, 1, 2)), 1);
		SAME(t, c, 'c');
		SAME(t, ERR(fstat((int)fd, &st)), 0);
		CHECK(t, S_ISREG(st.st_mode));
		SAME(t, ioas_alloc((int)fd), -ENOTTY);
	}
	SAME(t, ERR(open("dev/iommus", O_RDWR)), -ENOENT);
	SAME(t, ERR(unlink("dev/iommu")), 0);
	SAME(t, ERR(open("dev/iommu", O_RDWR)), -ENOENT);
	SAME(t, ERR(rmdir("dev")), 0);
	leave_scratch();
	SAME(t, ERR(open("/dev/iommuX", O_RDWR)), -ENOENT);
	SAME(t, ERR(open("/dev/iomm", O_RDWR)), -ENOENT);
	fd = ERR(open("/dev/null", O_RDWR));
	SAME(t, ioas_alloc((int)fd), -ENOTTY);
	SAME(t, ERR(open("/proc/self/fd/987654", O_RDWR)), -ENOENT);
}

/* Opens the descriptor fd by its path: prefix, number if it is not 0, rest, fd. */
static void open_again(struct test *t, const char *prefix, long number, const char *rest, int fd, int flags)
{
	char text[16] = "";
	char path[64];

	if (number)
		snprintf(text, sizeof(text), "%ld", number);
	snprintf(path, sizeof(path), "%s%s%s/%d", prefix, text, rest, fd);
	check_open(t, path, ERR(open(path, flags)), flags);
}

static void through_proc(struct test *t)
{
	int fd = open_iommu();
	int write_only = open(DEV_IOMMU, O_WRONLY);
	char path[64];

	FRESH(t, fd);
	for (int i = 0; i < 2; i++) {
		int flags = i ? O_RDONLY : O_RDWR | O_CLOEXEC;

		open_again(t, "/proc/self", 0, "/fd", fd, flags);
		open_again(t, "/dev", 0, "/fd", fd, flags);
		open_again(t, "/proc/thread-self", 0, "/fd", fd, flags);
		open_again(t, "/proc/", getpid(), "/fd", fd, flags);
		open_again(t, "/proc/self/task/", getpid(), "/fd", fd, flags);
		/* Access modes do not add up: the node is opened anew. */
		open_again(t, "/proc/self", 0, "/fd", write_only, flags);
	}
	snprintf(path, sizeof(path), "%d", fd);
	SAME(t, ERR(chdir("/proc/self/fd")), 0);
	check_open(t, "relative to /proc/self/fd", ERR(open(path, O_RDWR)), O_RDWR);
	/* The first is still what it was. */
	SAME(t, ioas_alloc(fd), 2);
}

/* Another process's descriptor, opened by its path, is a new context too. */
static void through_proc_of_another(struct test *t)
{
	int fd = open_iommu();
	int hold[2];
	pid_t pid;

	FRESH(t, fd);
	SAME(t, ERR(pipe2(hold, O_CLOEXEC)), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		hear(hold[0]);
		_exit(0);
	}
	close(hold[0]);
	open_again(t, "/proc/", pid, "/fd", fd, O_RDWR);
	open_again(t, "/proc/", pid, "/fd", fd, O_RDONLY);
	close(hold[1]);
	SAME(t, wait_for(pid), 0);
	SAME(t, ioas_alloc(fd), 2);
}

static void through_o_path(struct test *t)
{
	struct stat st;
	long fd = ERR(open(DEV_IOMMU, O_PATH));

	if (!CHECK(t, fd >= 0))
		return;
	SAME(t, ioas_alloc((int)fd), -EBADF);
	SAME(t, ERR(fstat((int)fd, &st)), 0);
	CHECK(t, S_ISCHR(st.st_mode));
	open_again(t, "/proc/self", 0, "/fd", (int)fd, O_RDWR);
	open_again(t, "/proc/self", 0, "/fd", (int)fd, O_RDONLY);
}

static void refused(struct test *t)
{
	static char path[PATH_MAX + 2];

	SAME(t, ERR(open(DEV_IOMMU, O_RDWR | O_CREAT | O_EXCL, 0600)), -EEXIST);
	SAME(t, ERR(open(DEV_IOMMU, O_RDONLY | O_CREAT | O_EXCL, 0600)), -EEXIST);
	SAME(t, ERR(open(DEV_IOMMU, O_RDWR | O_DIRECTORY)), -ENOTDIR);
	SAME(t, ERR(open(DEV_IOMMU, O_RDONLY | O_DIRECTORY)), -ENOTDIR);
	SAME(t, ERR(open(DEV_IOMMU, O_RDWR | O_TMPFILE, 0600)), -ENOTDIR);
	SAME(t, ERR(open(DEV_IOMMU "/", O_RDWR)), -ENOTDIR);
	SAME(t, ERR(open(DEV_IOMMU "/x", O_RDWR)), -ENOTDIR);
	SAME(t, ERR(open("", O_RDWR)), -ENOENT);
	SAME(t, ERR(syscall(SYS_openat, AT_FDCWD, wild_pointer(), O_RDWR)), -EFAULT);
	memset(path, '/', sizeof(path) - 1);
	SAME(t, ERR(open(path, O_RDWR)), -ENAMETOOLONG);
}

static void lowest_number(struct test *t)
{
	int a = open_iommu();
	int b = open_iommu();
	int c = open_iommu();

	CHECK(t, a < b && b < c);
	close(b);
	SAME(t, open_iommu(), b);
	close(a);
	SAME(t, ERR(open(DEV_IOMMU, O_RDONLY)), a);
	close(0);
	SAME(t, open_iommu(), 0);
	FRESH(t, 0);
	FRESH(t, a);
	FRESH(t, b);
}

static void full_table(struct test *t)
{
	struct rlimit limit = {32, 32};
	int last = -1;
	int fd;

	SAME(t, ERR(setrlimit(RLIMIT_NOFILE, &limit)), 0);
	while ((fd = dup(STDIN_FILENO)) >= 0)
		last = fd;
	SAME(t, open_iommu(), -EMFILE);
	SAME(t, ERR(open(DEV_IOMMU, O_RDONLY)), -EMFILE);
	close(last);
	SAME(t, open_iommu(), last);
	FRESH(t, last);
	SAME(t, open_iommu(), -EMFILE);
}

static void many_at_once(struct test *t)
{
	enum { COUNT = 200 };
	int fds[COUNT];

	for (int i = 0; i < COUNT; i++) {
		fds[i] = (int)ERR(open(i % 2 ? DEV_IOMMU : DEV_VFIO, i % 3 ? O_RDWR : O_RDONLY));
		if (fds[i] < 0) {
			test_fail(t, "open number %d: %s", i, strerrorname_np(-fds[i]));
			return;
		}
	}
	for (int n = 1; n <= 2; n++)
		for (int i = 0; i < COUNT; i++)
			if (!SAME(t, ioas_alloc(fds[i]), n))
				return;
}

/* The same number again and again: nothing of the context before is left. */
static void close_and_open(struct test *t)
{
	int first = open_iommu();

	close(first);
	for (unsigned long i = 0; i < t->rounds; i++) {
		int fd = (int)ERR(open(i % 2 ? DEV_IOMMU : DEV_VFIO, i % 3 ? O_RDWR : O_RDONLY));

		if (!SAME(t, fd, first) || !FRESH(t, fd) || !SAME(t, ERR(close(fd)), 0))
			return;
	}
}

static void below_a_chroot(struct test *t)
{
	pid_t pid;

	if (!enter_scratch(t))
		return;
	pid = fork();
	if (pid == 0) {
		if (chroot("/dev") != 0)
			_exit(77);
		check_open(t, "/iommu below /dev", ERR(open("/iommu", O_RDWR)), O_RDWR);
		SAME(t, ERR(open(DEV_IOMMU, O_RDWR)), -ENOENT);
		_exit(t->failed);
	}
	switch (wait_for(pid)) {
	case 0:
		break;
	case 77:
		test_skip(t, "chroot is not permitted");
		break;
	default:
		t->failed = true;
	}
	if (!t->skip[0]) {
		pid = fork();
		if (pid == 0) {
			SAME(t, ERR(chroot(".")), 0);
			SAME(t, ERR(open(DEV_IOMMU, O_RDWR)), -ENOENT);
			SAME(t, ERR(open(DEV_IOMMU, O_RDONLY)), -ENOENT);
			_exit(t->failed);
		}
		SAME(t, wait_for(pid), 0);
	}
	leave_scratch();
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"flags_of_open", flags_of_open},
		{"relative_paths", relative_paths},
		{"directory_of_nodes", directory_of_nodes},
		{"odd_paths", odd_paths},
		{"with_openat2", with_openat2},
		{"symbolic_links", symbolic_links},
		{"other_files_are_left_alone", other_files_are_left_alone},
		{"through_proc", through_proc},
		{"through_proc_of_another", through_proc_of_another},
		{"through_o_path", through_o_path},
		{"refused", refused},
		{"lowest_number", lowest_number},
		{"full_table", full_table},
		{"many_at_once", many_at_once},
		{"close_and_open", close_and_open},
		{"below_a_chroot", below_a_chroot},
	};

	return TEST_MAIN(argc, argv, cases);
}
