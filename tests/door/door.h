/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the door's client programs share: a few calls of /dev/iommu with definitions of their own, and a runner of
 * cases. A client is an ordinary program: it would give the same answers on a Linux that has these devices.
 *
 * Results are in one form: 0 or more, or -errno. A case runs in a child process, so that all that it opened is gone
 * when the next one starts. The runner prints "ok NAME", "not ok NAME" or "skip NAME: reason" for each.
 */
#ifndef DOOR_H
#define DOOR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEV_IOMMU "/dev/iommu"
#define DEV_VFIO  "/dev/vfio/vfio"

/* Commands: type ';', no size or direction in the number. */
#define CMD(nr) _IO(';', nr)
enum {
	VFIO_GET_API_VERSION = 0x64,
	IOMMU_DESTROY = 0x80,
	IOMMU_IOAS_ALLOC,
	IOMMU_IOAS_ALLOW_IOVAS,
	IOMMU_IOAS_COPY,
	IOMMU_IOAS_IOVA_RANGES,
	IOMMU_IOAS_MAP,
	IOMMU_IOAS_UNMAP,
	IOMMU_OPTION,
	IOMMU_VFIO_IOAS,
	IOMMU_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMU_IOAS_MAP_FILE,
};
enum { MAP_FIXED_IOVA = 1, MAP_WRITEABLE = 2, MAP_READABLE = 4, MAP_RW = MAP_WRITEABLE | MAP_READABLE };
enum { OPTION_RLIMIT_MODE = 0, OPTION_HUGE_PAGES = 1, OPTION_SET = 0, OPTION_GET = 1 };

struct iommu_destroy {
	uint32_t size, id;
};
struct iommu_ioas_alloc {
	uint32_t size, flags, out_ioas_id;
};
struct iommu_iova_range {
	uint64_t start, last;
};
struct iommu_ioas_ranges { /* ALLOW_IOVAS without the last member, and IOVA_RANGES */
	uint32_t size, ioas_id, num_iovas, reserved;
	uint64_t iovas, out_iova_alignment;
};
struct iommu_ioas_copy {
	uint32_t size, flags, dst_ioas_id, src_ioas_id;
	uint64_t length, dst_iova, src_iova;
};
struct iommu_ioas_map {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t user_va, length, iova;
};
struct iommu_ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};
struct iommu_option {
	uint32_t size, option_id;
	uint16_t op, reserved;
	uint32_t object_id;
	uint64_t val64;
};
struct iommu_fault_alloc {
	uint32_t size, flags, out_fault_id, out_fault_fd;
};

/* errno of a call that returned -1, in one form with its result. */
#define ERR(call)                                                                                                      \
	({                                                                                                             \
		long result_ = (long)(call);                                                                           \
		result_ == -1 ? -(long)errno : result_;                                                                \
	})

static inline uint64_t address(const volatile void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* ioctl(2) with a command of type ';'. */
long door_ioctl(int fd, unsigned nr, void *arg);

/* The node read-write and close-on-exec. */
int open_iommu(void);

/* The new object's id, or -errno. */
long ioas_alloc(int fd);
long ioas_map(int fd, uint32_t ioas, const void *va, uint64_t length, uint64_t iova);
long ioas_map_anywhere(int fd, uint32_t ioas, const void *va, uint64_t length, uint64_t *iova);
/* The number of bytes that went, or -errno. */
long ioas_unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t length);
long object_destroy(int fd, uint32_t id);
long option_get(int fd, uint32_t option, uint32_t object);
/* The descriptor of the queue, or -errno. */
long fault_queue_alloc(int fd, uint32_t *id);

/* A context is new if its first object gets id 1, and fd is one of those that share it if a second gets the next id. */
#define FRESH(t, fd) SAME(t, ioas_alloc(fd), 1)

struct test {
	const char *name;
	const char *program; /* to be executed again */
	unsigned long rounds;
	uint64_t seed;
	unsigned variant; /* a program's own */
	bool failed;
	unsigned said; /* failures that were printed: the first few of a case tell enough */
	char skip[160];
};

struct test_case {
	const char *name;
	void (*run)(struct test *t);
};

/* Fails the case, and says so, unless got is want. Returns whether it is. */
#define SAME(t, got, want)  test_same(t, __FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK(t, condition) test_check(t, __FILE__, __LINE__, #condition, (condition))
bool test_same(struct test *t, const char *file, int line, const char *what, long long got, long long want);
bool test_check(struct test *t, const char *file, int line, const char *what, bool good);
__attribute__((format(printf, 2, 3))) void test_fail(struct test *t, const char *format, ...);
__attribute__((format(printf, 2, 3))) void test_skip(struct test *t, const char *format, ...);

/*
 * Runs the cases that argv names, or all of them. Options: --rounds N, --seed N and --variant N go into struct test.
 * Returns the exit status: 0, or 1 where a case failed.
 */
int test_main(int argc, char **argv, const struct test_case *cases, size_t count);
#define TEST_MAIN(argc, argv, cases) test_main(argc, argv, cases, sizeof(cases) / sizeof((cases)[0]))

/* The exit status of a child, or -signal. */
int wait_for(pid_t pid);

/* One byte through a pipe: how processes wait for one another here. Returns false at the end of the file. */
void tell(int fd);
bool hear(int fd);

/* A generator of random numbers with a state of its own (splitmix64). */
uint64_t random_next(uint64_t *state);

uint64_t monotonic_ns(void);

/* An address where nothing is. */
void *wild_pointer(void);

/* The number of open descriptors of this process. */
int count_descriptors(void);

/* Passes a descriptor through a socket, with SCM_RIGHTS. Both return 0 or more, or -errno. */
int send_descriptor(int socket, int fd);
int receive_descriptor(int socket);

#endif
