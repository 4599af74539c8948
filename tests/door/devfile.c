/* SPDX-License-Identifier: BSD-3-Clause */
/* The descriptors of VFIO devices, as descriptors: two devices of model.c are there, each in a group of its own. */
#include "door.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include <linux/kvm.h>

enum {
	VFIO_SET_IOMMU = 0x66,
	VFIO_GROUP_SET_CONTAINER = 0x68,
	VFIO_GROUP_GET_DEVICE_FD = 0x6a,
	VFIO_DEVICE_RESET = 0x6f,
	VFIO_IOMMU_MAP_DMA = 0x71,
	VFIO_IOMMU_UNMAP_DMA = 0x72,
	VFIO_DEVICE_BIND_IOMMUFD = 0x76,
};

#define GROUP   "/dev/vfio/1"
#define CDEV    "/dev/vfio/devices/vfio0"
#define ADDRESS "0000:01:00.0"
#define MIB     (UINT64_C(1) << 20)
#define GIB     (UINT64_C(1) << 30)

/* Where a region begins, and registers of model.c. */
#define REGION(index) ((off_t)(index) << 40)
#define CONFIG        REGION(7)
#define COMMAND       (CONFIG + 4)
enum { SCRATCH = 0x00, AT = 0x08, MEMORY0 = 0x10, MEMORY2 = 0x18, DMA = 0x20, BYTES = 0x28, PAGE_OF_MEMORY = 0x1000 };

struct vfio_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t out_devid;
};

struct vfio_map {
	uint32_t argsz, flags;
	uint64_t vaddr, iova, size;
};

/* A device that is open through its group; device < 0: why not. */
struct opened {
	int container, group, device;
};

static long get_device(int group)
{
	char name[] = ADDRESS;

	return door_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);
}

static void enable(int device)
{
	const uint16_t command = 6; /* memory, and DMA */

	(void)!pwrite(device, &command, sizeof(command), COMMAND);
}

static struct opened open_group(void)
{
	struct opened o = {.container = (int)ERR(open(DEV_VFIO, O_RDWR | O_CLOEXEC)),
			   .group = (int)ERR(open(GROUP, O_RDWR | O_CLOEXEC))};

	o.device = o.group < 0 ? o.group : (int)door_ioctl(o.group, VFIO_GROUP_SET_CONTAINER, &o.container);
	if (!o.device)
		o.device = (int)ERR(ioctl(o.container, CMD(VFIO_SET_IOMMU), 3));
	return o;
}

static struct opened open_device(void)
{
	struct opened o = open_group();

	if (!o.device)
		o.device = (int)get_device(o.group);
	if (o.device >= 0)
		enable(o.device);
	return o;
}

static void close_all(const struct opened *o)
{
	close(o->device);
	close(o->group);
	close(o->container);
}

static long bind_cdev(int cdev, int iommufd)
{
	struct vfio_bind bind = {.argsz = sizeof(bind), .iommufd = iommufd};

	return door_ioctl(cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind);
}

static uint64_t get(int device, off_t at)
{
	uint64_t value = 0;

	return pread(device, &value, sizeof(value), at) == sizeof(value) ? value : UINT64_MAX;
}

static long put(int device, off_t at, uint64_t value)
{
	return ERR(pwrite(device, &value, sizeof(value), at));
}

/* Can the device be had at once? Says how not. */
static bool is_free(struct test *t)
{
	int iommufd = open_iommu();
	int cdev = open(CDEV, O_RDWR);
	bool bound = SAME(t, bind_cdev(cdev, iommufd), 0);
	struct opened o;

	close(cdev);
	close(iommufd);
	o = open_device();
	bound &= CHECK(t, o.device >= 0);
	close_all(&o);
	return bound;
}

/* Reads and writes of the first region reach the device only at numbers that are high. */
static void numbers(struct test *t)
{
	int first = dup(0);
	struct opened o;
	int cdev;

	close(first);
	o = open_device();
	cdev = open(CDEV, O_RDWR);
	SAME(t, o.container, first);
	SAME(t, o.group, first + 1);
	CHECK(t, o.device > 256);
	SAME(t, cdev, o.device + 1);
	CHECK(t, fcntl(o.device, F_GETFD) == FD_CLOEXEC);
	CHECK(t, (fcntl(o.device, F_GETFL) & O_ACCMODE) == O_RDWR);
	close(cdev);
	close_all(&o);
}

static void few_numbers(struct test *t)
{
	const struct rlimit few = {24, 24};
	struct opened o;

	SAME(t, ERR(setrlimit(RLIMIT_NOFILE, &few)), 0);
	o = open_device();
	CHECK(t, o.device >= 0 && o.device < 24);
	SAME(t, get(o.device, CONFIG) & 0xffffffff, 0x56781234);
	close_all(&o);
	is_free(t);
}

static void no_number(struct test *t)
{
	struct opened o = open_group();
	struct rlimit limit, none;

	SAME(t, o.device, 0);
	getrlimit(RLIMIT_NOFILE, &limit);
	none = (struct rlimit){(rlim_t)o.group + 1, limit.rlim_max};
	SAME(t, ERR(setrlimit(RLIMIT_NOFILE, &none)), 0);
	SAME(t, ERR(dup(0)), -EMFILE);
	SAME(t, get_device(o.group), -EMFILE);
	SAME(t, ERR(setrlimit(RLIMIT_NOFILE, &limit)), 0);
	close(o.group);
	close(o.container);
	is_free(t);
}

static void shown_as(struct test *t)
{
	struct opened o = open_device();
	struct stat st = {0};
	int cdev = open(CDEV, O_RDWR);

	SAME(t, ERR(fstat(o.group, &st)), 0);
	CHECK(t, S_ISCHR(st.st_mode));
	SAME(t, minor(st.st_rdev), 1);
	SAME(t, ERR(fstat(cdev, &st)), 0);
	CHECK(t, S_ISCHR(st.st_mode));
	SAME(t, minor(st.st_rdev), 0);
	SAME(t, st.st_size, 0);
	SAME(t, ERR(fstat(o.device, &st)), 0);
	SAME(t, st.st_mode & S_IFMT, 0);
	SAME(t, st.st_size, 0);
	close(cdev);
	close_all(&o);
}

static bool lists(const char *folder, const char *name)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)))
		found = !strcmp(entry->d_name, name);
	if (dir)
		closedir(dir);
	return found;
}

static void shown_in_folders(struct test *t)
{
	static const char *const nodes[] = {GROUP, "/dev/vfio/2", CDEV, "/dev/vfio/devices/vfio1", DEV_VFIO};
	static const char *const folders[] = {"/dev/vfio", "/dev/vfio/devices", "/dev/vfio/"};
	struct stat st;

	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		SAME(t, ERR(stat(nodes[i], &st)), 0);
		CHECK(t, S_ISCHR(st.st_mode));
		SAME(t, ERR(access(nodes[i], R_OK | W_OK)), 0);
	}
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		SAME(t, ERR(stat(folders[i], &st)), 0);
		CHECK(t, S_ISDIR(st.st_mode));
		SAME(t, ERR(access(folders[i], R_OK | X_OK)), 0);
	}
	CHECK(t, lists("/dev/vfio", "1") && lists("/dev/vfio", "2") && lists("/dev/vfio", "vfio"));
	CHECK(t, lists("/dev/vfio", "devices") && !lists("/dev/vfio", "3"));
	CHECK(t, lists("/dev/vfio/devices", "vfio0") && lists("/dev/vfio/devices", "vfio1"));
	CHECK(t, !lists("/dev/vfio/devices", "vfio2"));
	SAME(t, ERR(open("/dev/vfio/3", O_RDWR)), -ENOENT);
	SAME(t, ERR(open("/dev/vfio/devices/vfio2", O_RDWR)), -ENOENT);
}

static void registers(struct test *t)
{
	struct opened o = open_device();
	uint64_t value = 0;
	uint8_t bytes[4] = {0};
	uint8_t from[] = {1, 2, 5};
	struct iovec given[] = {{&from[0], 1}, {&from[1], 1}, {from, 0}, {&from[2], 1}};
	struct iovec parts[] = {{&bytes[0], 1}, {&bytes[1], 1}, {NULL, 0}, {&bytes[2], 1}, {&bytes[3], 1}};

	SAME(t, put(o.device, SCRATCH, 0x1122334455667788), 8);
	SAME(t, get(o.device, SCRATCH), 0x1122334455667788);
	SAME(t, get(o.device, CONFIG) & 0xffffffff, 0x56781234);
	/* Each part is an access of its own, where the one before ended. */
	SAME(t, ERR(pwritev(o.device, given, 4, BYTES)), 3);
	SAME(t, ERR(preadv(o.device, parts, 5, BYTES)), 4);
	CHECK(t, !memcmp(bytes, "\1\2\5\0", 4));
	SAME(t, ERR(preadv2(o.device, parts, 2, CONFIG, 0)), 2);
	CHECK(t, !memcmp(bytes, "\x34\x12", 2));
	SAME(t, ERR(preadv2(o.device, parts, 2, CONFIG, RWF_NOWAIT)), -EOPNOTSUPP);
	SAME(t, ERR(pread(o.device, &value, 8, -1)), -EINVAL);
	SAME(t, ERR(pread(o.device, &value, 8, REGION(12))), -EINVAL);
	SAME(t, ERR(pread(o.device, &value, 8, REGION(5))), -EINVAL);
	SAME(t, ERR(pread(o.device, wild_pointer(), 4, CONFIG)), -EFAULT);
	close_all(&o);
}

static uint64_t *map(int device, int prot, off_t offset, size_t length)
{
	return mmap(NULL, length, prot, MAP_SHARED, device, offset);
}

static void memory_is_shared(struct test *t)
{
	struct opened o = open_device();
	uint64_t *small = map(o.device, PROT_READ | PROT_WRITE, PAGE_OF_MEMORY, 4096);
	uint64_t *large = map(o.device, PROT_READ | PROT_WRITE, REGION(2), GIB);

	if (!CHECK(t, small != MAP_FAILED && large != MAP_FAILED))
		return;
	small[1] = 77;
	put(o.device, AT, PAGE_OF_MEMORY + 8);
	SAME(t, get(o.device, MEMORY0), 77);
	SAME(t, get(o.device, PAGE_OF_MEMORY + 8), 77);
	put(o.device, PAGE_OF_MEMORY + 16, 78);
	SAME(t, small[2], 78);
	large[GIB / 8 - 1] = 79;
	put(o.device, AT, GIB - 8);
	SAME(t, get(o.device, MEMORY2), 79);
	SAME(t, get(o.device, REGION(2) + (off_t)GIB - 8), 79);
	munmap(large, GIB);
	/* The mappings are what keeps the device, and their end sets it free. */
	close_all(&o);
	SAME(t, small[1], 77);
	munmap(small, 4096);
	is_free(t);
}

static void mappings_that_are_refused(struct test *t)
{
	struct opened o = open_device();

	CHECK(t, map(o.device, PROT_READ, 0, 4096) == MAP_FAILED && errno == EINVAL);
	CHECK(t, map(o.device, PROT_READ, PAGE_OF_MEMORY, 8192) == MAP_FAILED && errno == EINVAL);
	CHECK(t, map(o.device, PROT_READ, CONFIG, 4096) == MAP_FAILED && errno == EINVAL);
	CHECK(t, map(o.device, PROT_READ, REGION(1), 4096) == MAP_FAILED && errno == EINVAL);
	CHECK(t, map(o.device, PROT_READ, REGION(9), 4096) == MAP_FAILED && errno == EINVAL);
	CHECK(t, mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, o.device, PAGE_OF_MEMORY) == MAP_FAILED && errno == EINVAL);
	close_all(&o);
}

static void cut_off(struct test *t)
{
	struct opened o = open_device();
	uint64_t *large = map(o.device, PROT_READ | PROT_WRITE, REGION(2), GIB);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", o.device);
	large[0] = 5;
	SAME(t, ERR(ftruncate(o.device, 0)), -EINVAL);
	SAME(t, ERR(ftruncate(o.device, REGION(16))), -EINVAL);
	CHECK(t, truncate(path, 0) < 0);
	SAME(t, ERR(fallocate(o.device, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, REGION(2), 4096)), -ENODEV);
	SAME(t, ERR(madvise(large, 4096, MADV_REMOVE)), -ENODEV);
	SAME(t, ERR(open(path, O_RDWR | O_TRUNC)), -ENXIO);
	CHECK(t, fcntl(o.device, F_ADD_SEALS, F_SEAL_WRITE) < 0);
	SAME(t, ERR(madvise(large, GIB, MADV_DONTNEED)), 0);
	SAME(t, get(o.device, MEMORY2), 5);
	SAME(t, large[0], 5);
	close_all(&o);
}

static void access_modes(struct test *t)
{
	int iommufd = open_iommu();
	int reader = open(CDEV, O_RDONLY);
	int writer = open("/dev/vfio/devices/vfio1", O_WRONLY);
	uint64_t value = 6;

	SAME(t, get(reader, CONFIG), UINT64_MAX); /* it is not bound */
	SAME(t, bind_cdev(reader, iommufd), 0);
	SAME(t, bind_cdev(writer, iommufd), 0);
	SAME(t, get(reader, CONFIG) & 0xffffffff, 0x56781234);
	SAME(t, ERR(pwrite(reader, &value, 2, COMMAND)), -EBADF);
	SAME(t, ERR(pwrite(reader, &value, 8, SCRATCH)), -EBADF);
	CHECK(t, map(reader, PROT_READ | PROT_WRITE, REGION(2), 4096) == MAP_FAILED && errno == EACCES);
	CHECK(t, map(reader, PROT_READ, REGION(2), 4096) != MAP_FAILED);
	SAME(t, ERR(pread(writer, &value, 8, CONFIG)), -EBADF);
	SAME(t, ERR(pwrite(writer, &value, 2, COMMAND)), 2);
	SAME(t, put(writer, SCRATCH, 1), 8);
	CHECK(t, map(writer, PROT_WRITE, REGION(2), 4096) == MAP_FAILED && errno == EACCES);
}

static void two_descriptors(struct test *t)
{
	struct opened o = open_device();
	int second = (int)get_device(o.group);
	uint64_t *memory = map(second, PROT_READ | PROT_WRITE, PAGE_OF_MEMORY, 4096);
	struct stat a = {0};
	struct stat b = {0};

	if (!CHECK(t, second >= 0 && second != o.device && memory != MAP_FAILED))
		return;
	put(o.device, SCRATCH, 5);
	SAME(t, get(second, SCRATCH), 5);
	fstat(o.device, &a);
	fstat(second, &b);
	SAME(t, a.st_ino, b.st_ino);
	close(o.device);
	SAME(t, get(second, SCRATCH), 5);
	memory[0] = 6;
	put(second, AT, PAGE_OF_MEMORY);
	SAME(t, get(second, MEMORY0), 6);
	close(second);
	o.device = (int)get_device(o.group);
	SAME(t, get(o.device, SCRATCH), 5); /* there is the mapping yet */
	munmap(memory, 4096);
	close(o.device);
	o.device = (int)get_device(o.group);
	enable(o.device);
	SAME(t, get(o.device, SCRATCH), 0);
	close_all(&o);
	is_free(t);
}

struct closer {
	int group;
	unsigned number;
	unsigned long rounds;
};

/* Each one closes what the other is about to get another descriptor of. Whatever it gets is one device with one memory.
 */
static void *open_and_close(void *argument)
{
	const struct closer *closer = argument;
	const uint64_t word = 8 * closer->number;

	for (unsigned long i = 1; i <= closer->rounds; i++) {
		long device = get_device(closer->group);
		uint64_t *memory;
		uint64_t seen;

		if (device < 0)
			return (void *)-device;
		enable((int)device);
		memory = map((int)device, PROT_READ | PROT_WRITE, PAGE_OF_MEMORY, 4096);
		if (memory == MAP_FAILED)
			return (void *)(long)errno;
		memory[closer->number] = i;
		seen = get((int)device, PAGE_OF_MEMORY + (off_t)word);
		if (i % 2)
			munmap(memory, 4096);
		close((int)device);
		if (i % 2 == 0)
			munmap(memory, 4096);
		if (seen != i)
			return (void *)EPROTO;
	}
	return NULL;
}

static void closed_beside(struct test *t)
{
	struct opened o = open_group();
	struct closer closers[3];
	pthread_t threads[3];

	SAME(t, o.device, 0);
	for (unsigned i = 0; i < 3; i++) {
		closers[i] = (struct closer){.group = o.group, .number = i, .rounds = t->rounds};
		pthread_create(&threads[i], NULL, open_and_close, &closers[i]);
	}
	for (int i = 0; i < 3; i++) {
		void *error;

		pthread_join(threads[i], &error);
		SAME(t, -(long)error, 0);
	}
	close(o.group);
	close(o.container);
	is_free(t);
}

static void last_close(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct opened o = open_device();
		int iommufd = open_iommu();
		int cdev, other;

		CHECK(t, o.device >= 0);
		other = dup(o.device);
		put(o.device, SCRATCH, i + 1);
		close(o.device);
		cdev = open(CDEV, O_RDWR);
		SAME(t, bind_cdev(cdev, iommufd), -EBUSY); /* its group is open */
		close(o.group);
		close(o.container);
		SAME(t, get(other, CONFIG) & 0xffffffff, 0x56781234);
		close(other);
		SAME(t, bind_cdev(cdev, iommufd), 0);
		SAME(t, ERR(open(GROUP, O_RDWR)), -EBUSY);
		enable(cdev);
		SAME(t, get(cdev, SCRATCH), 0);
		close(cdev);
		close(iommufd);
	}
}

static void duplicates(struct test *t)
{
	struct opened o = open_device();
	int high = fcntl(o.device, F_DUPFD_CLOEXEC, o.device);
	int low = dup(o.device);
	pid_t child;

	put(o.device, SCRATCH, 5);
	SAME(t, get(high, SCRATCH), 5);
	SAME(t, get(low, CONFIG) & 0xffffffff, 0x56781234);
	SAME(t, door_ioctl(low, VFIO_DEVICE_RESET, NULL), 0);
	SAME(t, get(high, SCRATCH), 0);
	child = fork();
	if (!child)
		_exit(put(high, SCRATCH, 6) != 8);
	SAME(t, wait_for(child), 0);
	SAME(t, get(o.device, SCRATCH), 6);
	close(low);
	close(high);
	close_all(&o);
	is_free(t);
}

static void passed_on(struct test *t)
{
	struct opened o = open_device();
	int sockets[2];
	pid_t child;

	SAME(t, ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)), 0);
	put(o.device, SCRATCH, 5);
	child = fork();
	if (!child) {
		int device;
		bool good;

		close_all(&o);
		device = receive_descriptor(sockets[1]);
		good = device >= 0 && (get(device, CONFIG) & 0xffffffff) == 0x56781234;
		tell(sockets[1]);
		good = hear(sockets[1]) && good; /* now it is the last one */
		good = good && map(device, PROT_READ, REGION(2), 4096) != MAP_FAILED;
		good = good && door_ioctl(device, VFIO_DEVICE_RESET, NULL) == 0;
		_exit(!good);
	}
	close(sockets[1]);
	SAME(t, send_descriptor(sockets[0], o.device), 0);
	CHECK(t, hear(sockets[0]));
	close_all(&o);
	tell(sockets[0]);
	SAME(t, wait_for(child), 0);
	is_free(t);
}

static void use_for_ever(int ready)
{
	struct opened o = open_device();
	uint64_t *memory = map(o.device, PROT_READ | PROT_WRITE, PAGE_OF_MEMORY, 4096);

	if (o.device < 0 || memory == MAP_FAILED)
		_exit(1);
	tell(ready);
	for (uint64_t i = 0;; i++) {
		int second = (int)get_device(o.group);

		memory[0] = i;
		put(o.device, SCRATCH, i);
		door_ioctl(second, VFIO_DEVICE_RESET, NULL);
		get(second, CONFIG);
		close(second);
	}
}

static void killed(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds / 2 + 1 && !t->failed; i++) {
		int pipe_ends[2];
		pid_t child;

		SAME(t, ERR(pipe(pipe_ends)), 0);
		child = fork();
		if (!child)
			use_for_ever(pipe_ends[1]);
		close(pipe_ends[1]);
		CHECK(t, hear(pipe_ends[0]));
		close(pipe_ends[0]);
		usleep((unsigned)(random_next(&t->seed) % 3000));
		kill(child, SIGKILL);
		SAME(t, wait_for(child), -SIGKILL);
		is_free(t);
	}
}

/* What a virtual machine monitor does: its guest may reach one device by DMA of another. */
static void memory_for_dma(struct test *t)
{
	struct opened o = open_device();
	uint64_t *memory = map(o.device, PROT_READ | PROT_WRITE, REGION(2), 2 * MIB);
	struct vfio_map cmd = {
		.argsz = sizeof(cmd), .flags = 3, .vaddr = address(memory), .iova = MIB, .size = 2 * MIB};

	SAME(t, door_ioctl(o.container, VFIO_IOMMU_MAP_DMA, &cmd), 0);
	put(o.device, AT, MIB + 4096);
	put(o.device, DMA, 0x1234567812345678);
	SAME(t, memory[512], 0x1234567812345678);
	memory[512] = 9;
	SAME(t, get(o.device, DMA), 9);
	/* That it is mapped keeps nothing open. */
	munmap(memory, 2 * MIB);
	close(o.device);
	close(o.group);
	is_free(t);
	close(o.container);
}

static void plain_poll(struct test *t)
{
	struct opened o = open_device();
	struct pollfd p = {.fd = o.device, .events = POLLIN | POLLOUT};
	int epoll = epoll_create1(0);

	SAME(t, poll(&p, 1, 0), 1);
	SAME(t, p.revents, POLLIN | POLLOUT);
	SAME(t, ERR(epoll_ctl(epoll, EPOLL_CTL_ADD, o.device, &(struct epoll_event){.events = EPOLLIN})), -EPERM);
	close_all(&o);
}

static long tell_kvm(int kvm_device, uint32_t attribute, int fd)
{
	int32_t argument = fd;
	struct kvm_device_attr attr = {.group = KVM_DEV_VFIO_GROUP, .attr = attribute, .addr = address(&argument)};

	return ERR(ioctl(kvm_device, KVM_SET_DEVICE_ATTR, &attr));
}

static void told_to_kvm(struct test *t)
{
	struct kvm_create_device create = {.type = KVM_DEV_TYPE_VFIO};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int machine = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	struct opened o;
	int cdev;

	if (machine < 0 || ioctl(machine, KVM_CREATE_DEVICE, &create) < 0) {
		test_skip(t, "no KVM here: %s", strerror(errno));
		return;
	}
	o = open_device();
	cdev = open("/dev/vfio/devices/vfio1", O_RDWR);
	SAME(t, tell_kvm((int)create.fd, KVM_DEV_VFIO_GROUP_ADD, o.group), 0);
	SAME(t, tell_kvm((int)create.fd, KVM_DEV_VFIO_GROUP_DEL, o.group), 0);
	SAME(t, tell_kvm((int)create.fd, KVM_DEV_VFIO_GROUP_ADD, cdev), 0);
	SAME(t, tell_kvm((int)create.fd, KVM_DEV_VFIO_GROUP_ADD, o.container), -EINVAL);
	CHECK(t, tell_kvm((int)create.fd, KVM_DEV_VFIO_GROUP_ADD, kvm) < 0);
	CHECK(t, tell_kvm((int)create.fd, 9, o.group) < 0);
	CHECK(t, tell_kvm(machine, KVM_DEV_VFIO_GROUP_ADD, o.group) < 0);
	close(cdev);
	close_all(&o);
}

/* More than there are high numbers. */
static void many(struct test *t)
{
	enum { COUNT = 200 };
	int cdev[COUNT];
	int low = 0;

	for (int i = 0; i < COUNT; i++) {
		cdev[i] = (int)ERR(open(CDEV, O_RDWR));
		CHECK(t, cdev[i] >= 0);
		low += cdev[i] < COUNT;
	}
	SAME(t, low, COUNT - 128);
	for (int i = 0; i < COUNT; i++)
		close(cdev[i]);
	is_free(t);
}

static const struct test_case cases[] = {
	{"numbers", numbers},
	{"few_numbers", few_numbers},
	{"no_number", no_number},
	{"shown_as", shown_as},
	{"shown_in_folders", shown_in_folders},
	{"registers", registers},
	{"memory_is_shared", memory_is_shared},
	{"mappings_that_are_refused", mappings_that_are_refused},
	{"cut_off", cut_off},
	{"access_modes", access_modes},
	{"two_descriptors", two_descriptors},
	{"closed_beside", closed_beside},
	{"last_close", last_close},
	{"duplicates", duplicates},
	{"passed_on", passed_on},
	{"killed", killed},
	{"memory_for_dma", memory_for_dma},
	{"plain_poll", plain_poll},
	{"told_to_kvm", told_to_kvm},
	{"many", many},
};

int main(int argc, char **argv)
{
	return TEST_MAIN(argc, argv, cases);
}
