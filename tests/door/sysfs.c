/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program sees of two devices below /sys and /dev/vfio, by each way to ask: 0000:01:00.0 in group 1, vfio0, and
 * 0000:00:04.0 in group 7, vfio1.
 */
#include "rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <linux/openat2.h>

#define PCI     "/sys/bus/pci/devices"
#define ADDRESS "0000:01:00.0"
#define DEVICE  PCI "/" ADDRESS
#define REAL    "/sys/devices/iommuse/pci0000:01/" ADDRESS
#define GROUPS  "/sys/kernel/iommu_groups"

/* What a file says, as a string; the empty one where it cannot be read. */
static const char *contents(int dir, const char *path)
{
	static __thread char text[8192];
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void check_text(struct test *t, const char *what, const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		test_fail(t, "%s: '%s', not '%s'", what, got, want);
}

static void check_file(struct test *t, int dir, const char *path, const char *want)
{
	check_text(t, path, contents(dir, path), want);
}

static void attributes(struct test *t)
{
	static const struct {
		const char *path, *text;
	} files[] = {
		{DEVICE "/vendor", "0x8086\n"},
		{DEVICE "/device", "0x2021\n"},
		{DEVICE "/class", "0x088000\n"},
		{DEVICE "/driver_override", "(null)\n"},
		{DEVICE "/numa_node", "-1\n"},
		{DEVICE "/vfio-dev/vfio0/dev", "511:0\n"},
		{PCI "/0000:00:04.0/vfio-dev/vfio1/dev", "511:1\n"},
		{REAL "/vendor", "0x8086\n"},
		{"/sys/bus/pci/drivers/vfio-pci/" ADDRESS "/vendor", "0x8086\n"},
		{GROUPS "/1/devices/" ADDRESS "/vendor", "0x8086\n"},
		{GROUPS "/7/devices/0000:00:04.0/vendor", "0x8086\n"},
		{GROUPS "/7/type", "DMA-FQ\n"},
		{GROUPS "/1/reserved_regions", "0x00000000fee00000 0x00000000feefffff msi\n"},
		{"/sys/class/vfio/7/dev", "510:7\n"},
		{"/sys/class/vfio-dev/vfio1/dev", "511:1\n"},
		{"/sys/class/iommu/iommuse0/devices/" ADDRESS "/vendor", "0x8086\n"},
		{"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n"},
		{DEVICE "/driver/module/initstate", "live\n"},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		check_file(t, AT_FDCWD, files[i].path, files[i].text);
}

/* Is name in the directory? Counts all but "." and "..". */
static bool lists(struct test *t, const char *path, const char *name, unsigned char type, int *count)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool found = false;

	*count = 0;
	if (!dir) {
		test_fail(t, "%s cannot be listed: errno %d", path, errno);
		return false;
	}
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		++*count;
		found |= !strcmp(entry->d_name, name) && (!type || entry->d_type == type);
	}
	closedir(dir);
	return found;
}

static void listings(struct test *t)
{
	static const struct {
		const char *path, *name;
		unsigned char type;
		int count; /* 0: any */
	} dirs[] = {
		{PCI, ADDRESS, DT_LNK, 2},
		{PCI "/", "0000:00:04.0", DT_LNK, 2},
		{DEVICE, "config", DT_REG, 0},
		{DEVICE, "vfio-dev", DT_DIR, 0},
		{DEVICE "/vfio-dev", "vfio0", DT_DIR, 1},
		{GROUPS, "7", DT_DIR, 2},
		{GROUPS "/7/devices", "0000:00:04.0", DT_LNK, 1},
		{"/dev/vfio", "vfio", 0, 4},
		{"/dev/vfio", "7", 0, 4},
		{"/dev/vfio", "devices", DT_DIR, 4},
		{"/dev/vfio/devices", "vfio1", 0, 2},
		{"/sys/class/vfio-dev", "vfio0", DT_LNK, 2},
		{"/sys/class/vfio", "1", DT_LNK, 2},
		{"/sys/class", "vfio", DT_DIR, 0},
		{"/sys/class", "mem", DT_DIR, 0},
		{"/sys/module", "vfio_pci", DT_DIR, 0},
		{"/sys/module", "kernel", DT_DIR, 0},
		{"/sys/devices", "iommuse", DT_DIR, 0},
		{"/sys/devices", "virtual", DT_DIR, 0},
		{"/sys/bus/pci/drivers", "vfio-pci", DT_DIR, 0},
		{"/sys/bus/pci", "drivers_probe", DT_REG, 0},
		{"/sys/kernel", "iommu_groups", DT_DIR, 0},
		{"/sys/kernel", "mm", DT_DIR, 0},
		{"/sys", "bus", DT_DIR, 0},
	};
	int count;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		if (!lists(t, dirs[i].path, dirs[i].name, dirs[i].type, &count))
			test_fail(t, "%s does not list %s", dirs[i].path, dirs[i].name);
		if (dirs[i].count && count != dirs[i].count)
			test_fail(t, "%s lists %d entries, not %d", dirs[i].path, count, dirs[i].count);
	}
}

static void check_link(struct test *t, int dir, const char *path, const char *want)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(dir, path, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	check_text(t, path, text, want);
}

static void check_real(struct test *t, const char *path, const char *want)
{
	char *real = realpath(path, NULL);

	check_text(t, path, real ? real : "", want);
	free(real);
}

static void links(struct test *t)
{
	char text[8];

	check_link(t, AT_FDCWD, DEVICE, "../../../devices/iommuse/pci0000:01/" ADDRESS);
	check_link(t, AT_FDCWD, DEVICE "/driver", "../../../../bus/pci/drivers/vfio-pci");
	check_link(t, AT_FDCWD, PCI "/../devices//" ADDRESS "/./iommu_group", "../../../../kernel/iommu_groups/1");
	check_real(t, DEVICE "/driver", "/sys/bus/pci/drivers/vfio-pci");
	check_real(t, DEVICE "/driver/module", "/sys/module/vfio_pci");
	check_real(t, DEVICE "/subsystem", "/sys/bus/pci");
	check_real(t, DEVICE "/iommu_group", GROUPS "/1");
	check_real(t, DEVICE "/iommu_group/devices/" ADDRESS "/vfio-dev/vfio0/subsystem", "/sys/class/vfio-dev");
	check_real(t, DEVICE "/..", "/sys/devices/iommuse/pci0000:01");
	SAME(t, ERR(readlink(DEVICE "/driver", text, 5)), 5);
	SAME(t, ERR(readlink(DEVICE "/driver", text, 0)), -EINVAL);
	SAME(t, ERR(readlink(DEVICE "/driver", wild_pointer(), 5)), -EFAULT);
	SAME(t, ERR(readlink(DEVICE "/vendor", text, 5)), -EINVAL);
	SAME(t, ERR(readlink(DEVICE "/driver/", text, 5)), -EINVAL);
	SAME(t, ERR(readlink(DEVICE "/nothing", text, 5)), -ENOENT);
}

static void from_directories(struct test *t)
{
	static const char *const below[] = {"vendor",
					    "./vendor",
					    "../" ADDRESS "/vendor",
					    "driver/" ADDRESS "/vendor",
					    "subsystem/devices/" ADDRESS "//vendor",
					    "vfio-dev/../vendor",
					    "vfio-dev/vfio0/device/vendor"};
	int device = (int)ERR(open(DEVICE, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int pci = (int)ERR(open("/sys/bus/pci", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int class = (int)ERR(open("/sys/class", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct stat st;

	CHECK(t, device >= 0 && pci >= 0 && class >= 0);
	for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++)
		check_file(t, device, below[i], "0x8086\n");
	check_file(t, pci, "devices/" ADDRESS "/vendor", "0x8086\n");
	check_file(t, pci, "../../devices/iommuse/pci0000:01/" ADDRESS "/vendor", "0x8086\n");
	check_link(t, device, "iommu_group", "../../../../kernel/iommu_groups/1");
	SAME(t, ERR(fstatat(device, "driver", &st, AT_SYMLINK_NOFOLLOW)), 0);
	CHECK(t, S_ISLNK(st.st_mode));
	SAME(t, ERR(fstatat(device, "driver", &st, 0)), 0);
	CHECK(t, S_ISDIR(st.st_mode));
	SAME(t, ERR(faccessat(device, "config", R_OK, 0)), 0);
	SAME(t, ERR(openat(device, "nothing", O_RDONLY)), -ENOENT);
	SAME(t, ERR(openat(device, "vendor/..", O_RDONLY)), -ENOTDIR);
	/* From what is ours to what is the machine's. */
	check_text(t, "lo", contents(class, "net/lo/address"), contents(AT_FDCWD, "/sys/class/net/lo/address"));
	CHECK(t, *contents(class, "../kernel/fscaps"));
	CHECK(t, *contents(device, "../../../../kernel/fscaps"));
	SAME(t, ERR(fchdir(device)), 0);
	check_file(t, AT_FDCWD, "vendor", "0x8086\n");
	check_file(t, AT_FDCWD, "../" ADDRESS "/vfio-dev/vfio0/dev", "511:0\n");
	SAME(t, ERR(fchdir(pci)), 0);
	check_file(t, AT_FDCWD, "devices/" ADDRESS "/vendor", "0x8086\n");
	CHECK(t, *contents(AT_FDCWD, "../../kernel/fscaps"));
	SAME(t, ERR(chdir("/sys/kernel")), 0);
	check_file(t, AT_FDCWD, "iommu_groups/1/type", "DMA-FQ\n");
	close(device);
	close(pci);
	close(class);
	SAME(t, ERR(chdir("/")), 0);
}

static void questions(struct test *t)
{
	struct statx x;
	struct stat st;
	char text[4];
	long rc;

	SAME(t, ERR(stat(DEVICE, &st)), 0);
	CHECK(t, S_ISDIR(st.st_mode));
	SAME(t, ERR(lstat(DEVICE, &st)), 0);
	CHECK(t, S_ISLNK(st.st_mode));
	SAME(t, ERR(lstat(DEVICE "/", &st)), 0);
	CHECK(t, S_ISDIR(st.st_mode));
	SAME(t, ERR(stat(DEVICE "/config", &st)), 0);
	CHECK(t, S_ISREG(st.st_mode) && (st.st_size == 4096 || st.st_size == 256));
	SAME(t, ERR(stat(DEVICE "/resource0", &st)), 0);
	CHECK(t, st.st_size == 16384);
	SAME(t, ERR(stat(DEVICE "/vendor/", &st)), -ENOTDIR);
	SAME(t, ERR(stat(DEVICE "/vendor/x", &st)), -ENOTDIR);
	SAME(t, ERR(stat(DEVICE "/nothing", &st)), -ENOENT);
	SAME(t, ERR(stat(PCI "/0000:07:00.0/vendor", &st)), -ENOENT);
	SAME(t, ERR(stat(DEVICE, wild_pointer())), -EFAULT);
	SAME(t, ERR(statx(AT_FDCWD, DEVICE, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x)), 0);
	CHECK(t, S_ISLNK(x.stx_mode));
	SAME(t, ERR(statx(AT_FDCWD, DEVICE, 0, STATX_BASIC_STATS, &x)), 0);
	CHECK(t, S_ISDIR(x.stx_mode));
	SAME(t, ERR(statx(AT_FDCWD, DEVICE, 0, 1U << 31, &x)), -EINVAL);
	SAME(t, ERR(access(DEVICE "/vendor", R_OK)), 0);
	SAME(t, ERR(access(DEVICE "/vendor", X_OK)), -EACCES);
	SAME(t, ERR(access(DEVICE, R_OK | X_OK)), 0);
	SAME(t, ERR(access(DEVICE "/max_vfs", F_OK)), -ENOENT);
	SAME(t, ERR(access("/sys/module/vfio_pci", F_OK)), 0);
	SAME(t, ERR(syscall(__NR_faccessat2, AT_FDCWD, DEVICE "/vendor", R_OK, AT_EACCESS)), 0);
	rc = ERR(getxattr(DEVICE, "system.posix_acl_access", text, sizeof(text)));
	CHECK(t, rc == -EOPNOTSUPP || rc == -ENODATA);
	SAME(t, ERR(lgetxattr(DEVICE "/nothing", "user.x", text, sizeof(text))), -ENOENT);
	SAME(t, ERR(stat("/dev/vfio", &st)), 0);
	CHECK(t, S_ISDIR(st.st_mode));
	SAME(t, ERR(stat("/dev/vfio/devices", &st)), 0);
	CHECK(t, S_ISDIR(st.st_mode));
}

static void opens(struct test *t)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
	int fd;

	SAME(t, ERR(open(DEVICE "/vendor", O_RDONLY | O_DIRECTORY)), -ENOTDIR);
	SAME(t, ERR(open(DEVICE, O_RDONLY | O_NOFOLLOW)), -ELOOP);
	SAME(t, ERR(open(DEVICE, O_RDWR)), -EISDIR);
	SAME(t, ERR(open(DEVICE "/vendor", O_RDWR | O_CREAT | O_EXCL, 0600)), -EEXIST);
	SAME(t, ERR(open(DEVICE "/nothing", O_RDONLY)), -ENOENT);
	SAME(t, ERR(open(GROUPS "/2", O_RDONLY)), -ENOENT);
	SAME(t, ERR(open(PCI "/../drivers/vfio-pci/nothing/vendor", O_RDONLY)), -ENOENT);
	fd = (int)ERR(syscall(__NR_openat2, AT_FDCWD, DEVICE "/class", &how, sizeof(how)));
	CHECK(t, fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	fd = (int)ERR(open(DEVICE "/class", O_RDONLY));
	CHECK(t, fd >= 0 && fcntl(fd, F_GETFD) == 0 && (fcntl(fd, F_GETFL) & ~0100000) == O_RDONLY);
	close(fd);
	fd = (int)ERR(open(DEVICE, O_PATH | O_DIRECTORY | O_CLOEXEC));
	CHECK(t, fd >= 0);
	check_file(t, fd, "vendor", "0x8086\n");
	close(fd);
}

static void configuration_space(struct test *t)
{
	int fd = (int)ERR(open(DEVICE "/config", O_RDONLY | O_CLOEXEC));
	uint8_t config[4096], second[4];
	ssize_t n = ERR(pread(fd, config, sizeof(config), 0));
	const uint8_t *map;

	CHECK(t, n == 4096 || n == 256);
	CHECK(t, config[0] == 0x86 && config[1] == 0x80 && config[2] == 0x21 && config[3] == 0x20);
	CHECK(t, config[0x34] >= 0x40); /* the list of capabilities */
	SAME(t, ERR(pread(fd, second, 4, config[0x34])), 4);
	CHECK(t, !memcmp(second, config + config[0x34], 4));
	map = mmap(NULL, 256, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(t, map != MAP_FAILED && !memcmp(map, config, 256));
	close(fd);
}

static unsigned command_register(struct test *t)
{
	int fd = (int)ERR(open(DEVICE "/config", O_RDONLY | O_CLOEXEC));
	uint16_t command = 0xffff;

	SAME(t, ERR(pread(fd, &command, 2, 4)), 2);
	close(fd);
	return command;
}

/* What a driver writes is there for the next who opens the file. */
static void configuration_space_as_it_is(struct test *t)
{
	const unsigned memory = 2, master = 4;
	struct rig rig;

	CHECK(t, !(command_register(t) & master));
	if (!SAME(t, rig_open(&rig, CDEV, 0), 0))
		return;
	config_write(&rig, 4, 2, memory | master);
	SAME(t, command_register(t), memory | master);
	config_write(&rig, 4, 2, memory);
	SAME(t, command_register(t), memory);
	config_write(&rig, 4, 2, memory | master);
	rig_close(&rig);
	SAME(t, command_register(t), memory);
}

static void writes(struct test *t)
{
	static const char *const files[] = {DEVICE "/driver_override",
					    DEVICE "/reset",
					    DEVICE "/driver/unbind",
					    "/sys/bus/pci/drivers/vfio-pci/bind",
					    "/sys/bus/pci/drivers/vfio-pci/new_id",
					    "/sys/bus/pci/drivers_probe"};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		int fd = (int)ERR(open(files[i], O_WRONLY | O_TRUNC | O_CLOEXEC));

		if (fd < 0)
			test_fail(t, "%s: errno %d", files[i], -fd);
		SAME(t, ERR(write(fd, "vfio-pci\n", 9)), 9);
		close(fd);
	}
	check_file(t, AT_FDCWD, DEVICE "/driver_override", "vfio-pci\n");
	if (geteuid())
		SAME(t, ERR(open(DEVICE "/vendor", O_WRONLY)), -EACCES);
}

/* Links of the program's own, into the tree, and beside it. */
static void links_from_elsewhere(struct test *t)
{
	char folder[] = "/tmp/door-sysfs-XXXXXX";
	int fd;

	CHECK(t, mkdtemp(folder) && chdir(folder) == 0);
	SAME(t, ERR(symlink(DEVICE, "device")), 0);
	SAME(t, ERR(symlink("device/driver", "driver")), 0);
	SAME(t, ERR(symlink(PCI, "devices")), 0);
	SAME(t, ERR(symlink("/dev/vfio", "nodes")), 0);
	SAME(t, ERR(symlink("loop", "loop")), 0);
	SAME(t, ERR(symlink("/etc", "etc")), 0);
	check_file(t, AT_FDCWD, "device/vendor", "0x8086\n");
	check_file(t, AT_FDCWD, "driver/" ADDRESS "/vendor", "0x8086\n");
	check_file(t, AT_FDCWD, "devices/" ADDRESS "/vendor", "0x8086\n");
	check_file(t, AT_FDCWD, "devices/../../../kernel/iommu_groups/1/type", "DMA-FQ\n");
	check_link(t, AT_FDCWD, "device", DEVICE);
	CHECK(t, *contents(AT_FDCWD, "etc/passwd"));
	SAME(t, ERR(open("loop/vendor", O_RDONLY)), -ELOOP);
	SAME(t, ERR(open("device/nothing", O_RDONLY)), -ENOENT);
	fd = (int)ERR(open("nodes/vfio", O_RDWR | O_CLOEXEC));
	SAME(t, door_ioctl(fd, VFIO_GET_API_VERSION, NULL), 0);
	close(fd);
	fd = (int)ERR(open("nodes", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	close((int)ERR(openat(fd, "devices/vfio0", O_RDWR | O_CLOEXEC)));
	close(fd);
	CHECK(t, !unlink("device") && !unlink("driver") && !unlink("devices") && !unlink("nodes") && !unlink("loop") &&
			 !unlink("etc") && !chdir("/") && !rmdir(folder));
}

static void names_in_proc(struct test *t)
{
	char path[64];
	int fd = (int)ERR(open(DEVICE "/vfio-dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check_link(t, AT_FDCWD, path, REAL "/vfio-dev");
	snprintf(path, sizeof(path), "/proc/%d/fd/%d/vfio0/dev", (int)getpid(), fd);
	check_file(t, AT_FDCWD, path, "511:0\n");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/../vendor", fd);
	check_file(t, AT_FDCWD, path, "0x8086\n");
	snprintf(path, sizeof(path), "/proc/thread-self/root" DEVICE "/vendor");
	check_file(t, AT_FDCWD, path, "0x8086\n");
	close(fd);
}

static void nodes_by_directory(struct test *t)
{
	int dir = (int)ERR(open("/dev/vfio", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct stat st;
	char path[32];
	int fd = (int)ERR(openat(dir, "vfio", O_RDWR | O_CLOEXEC));

	SAME(t, door_ioctl(fd, VFIO_GET_API_VERSION, NULL), 0);
	close(fd);
	fd = (int)ERR(openat(dir, "devices/vfio1", O_RDWR | O_CLOEXEC));
	SAME(t, ERR(fstat(fd, &st)), 0);
	CHECK(t, S_ISCHR(st.st_mode) && st.st_rdev == makedev(511, 1));
	close(fd);
	SAME(t, ERR(fstatat(dir, "7", &st, 0)), 0);
	CHECK(t, S_ISCHR(st.st_mode));
	SAME(t, ERR(openat(dir, "8", O_RDWR)), -ENOENT);
	close(dir);
	/* A mere path opens nothing, and leads there. */
	dir = (int)ERR(open("/dev/vfio/vfio", O_PATH | O_CLOEXEC));
	CHECK(t, dir >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	fd = (int)ERR(open(path, O_RDWR | O_CLOEXEC));
	SAME(t, door_ioctl(fd, VFIO_GET_API_VERSION, NULL), 0);
	close(fd);
	close(dir);
}

static void long_paths(struct test *t)
{
	char path[PATH_MAX + 1] = "/sys";
	size_t length = strlen(path);

	while (length + 2 + strlen("/bus/pci/devices/" ADDRESS "/vendor") < PATH_MAX - 1) {
		memcpy(path + length, "/.", 2);
		length += 2;
	}
	snprintf(path + length, sizeof(path) - length, "/bus/pci/devices/" ADDRESS "/vendor");
	check_file(t, AT_FDCWD, path, "0x8086\n");
	memset(path, 'x', sizeof(path) - 1);
	memcpy(path, DEVICE "/", strlen(DEVICE "/"));
	path[strlen(DEVICE "/") + NAME_MAX] = '\0';
	SAME(t, ERR(open(path, O_RDONLY)), -ENOENT);
	path[strlen(DEVICE "/") + NAME_MAX] = 'x';
	path[strlen(DEVICE "/") + NAME_MAX + 1] = '\0';
	SAME(t, ERR(open(path, O_RDONLY)), -ENAMETOOLONG);
}

static void a_full_table(struct test *t)
{
	struct rlimit limit, few;

	getrlimit(RLIMIT_NOFILE, &limit);
	few = limit;
	few.rlim_cur = 3;
	SAME(t, ERR(setrlimit(RLIMIT_NOFILE, &few)), 0);
	SAME(t, ERR(open(DEVICE "/vendor", O_RDONLY)), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &limit);
	check_file(t, AT_FDCWD, DEVICE "/vendor", "0x8086\n");
}

static void below_a_chroot(struct test *t)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (chroot("/sys") != 0 || chdir("/") != 0)
			_exit(77);
		check_file(t, AT_FDCWD, "/bus/pci/devices/" ADDRESS "/vendor", "0x8086\n");
		check_file(t, AT_FDCWD, "../../bus/pci/devices/" ADDRESS "/vendor", "0x8086\n");
		SAME(t, ERR(open(DEVICE "/vendor", O_RDONLY)), -ENOENT);
		_exit(t->failed);
	}
	status = wait_for(pid);
	if (status == 77)
		test_skip(t, "chroot is not permitted");
	else
		SAME(t, status, 0);
}

static void *look_again_and_again(void *arg)
{
	struct test *t = arg;

	for (unsigned long i = 0; i < t->rounds; i++) {
		int count;

		check_file(t, AT_FDCWD, DEVICE "/vendor", "0x8086\n");
		CHECK(t, lists(t, PCI, ADDRESS, DT_LNK, &count) && count == 2);
		CHECK(t, access("/sys/module/vfio_pci", F_OK) == 0);
	}
	return NULL;
}

static void many_at_once(struct test *t)
{
	pthread_t threads[8];

	for (size_t i = 0; i < 8; i++)
		SAME(t, pthread_create(&threads[i], NULL, look_again_and_again, t), 0);
	for (size_t i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"attributes", attributes},
		{"listings", listings},
		{"links", links},
		{"from_directories", from_directories},
		{"questions", questions},
		{"opens", opens},
		{"configuration_space", configuration_space},
		{"configuration_space_as_it_is", configuration_space_as_it_is},
		{"writes", writes},
		{"links_from_elsewhere", links_from_elsewhere},
		{"names_in_proc", names_in_proc},
		{"nodes_by_directory", nodes_by_directory},
		{"long_paths", long_paths},
		{"a_full_table", a_full_table},
		{"below_a_chroot", below_a_chroot},
		{"many_at_once", many_at_once},
	};

	return TEST_MAIN(argc, argv, cases);
}
