/* SPDX-License-Identifier: BSD-3-Clause */
/* PASIDs for user space: each command of /dev/ioasid, and each error. One process alone has it, so numbers are known.
 */
#include "ioasid.h"

#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { PAGE = 4096 };

static long call(int fd, unsigned long cmd, void *arg)
{
	return ERR(ioctl(fd, cmd, arg));
}

/* A page, and after it one that nobody may access. */
static uint8_t *page_at_the_end(void)
{
	uint8_t *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + PAGE, PAGE, PROT_NONE))
		abort();
	return p;
}

static void version(struct test *t)
{
	int fd = ioasid_open();

	SAME(t, ioasid_version(fd), 0);
	SAME(t, call(fd, IOASID_GET_API_VERSION, wild_pointer()), 0);
}

static void info(struct test *t)
{
	struct {
		struct ioasid_info info;
		uint32_t beyond[5];
	} r;
	int fd = ioasid_open();

	for (uint32_t argsz = 12; argsz <= 32; argsz += 4) {
		memset(&r, 0xaa, sizeof(r));
		r.info.argsz = argsz;
		r.info.flags = 0;
		SAME(t, call(fd, IOASID_GET_INFO, &r), 0);
		SAME(t, r.info.flags, 0);
		SAME(t, r.info.bits, 31);
		for (int i = 0; i < 5; i++)
			SAME(t, r.beyond[i], 0xaaaaaaaa);
	}
	r.info.argsz = ~0u;
	SAME(t, call(fd, IOASID_GET_INFO, &r), 0);
}

static void info_malformed(struct test *t)
{
	static const uint32_t sizes[] = {0, 1, 4, 8, 11};
	int fd = ioasid_open();

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ioasid_info r = {sizes[i], 0, 77};

		SAME(t, call(fd, IOASID_GET_INFO, &r), -EINVAL);
		SAME(t, r.bits, 77);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		struct ioasid_info r = {sizeof(r), 1u << bit, 77};

		SAME(t, call(fd, IOASID_GET_INFO, &r), -EINVAL);
		SAME(t, r.bits, 77);
	}
}

static void bad_pointers(struct test *t)
{
	uint8_t *end = page_at_the_end() + PAGE;
	uint8_t *constant = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ioasid_alloc_request alloc = {sizeof(alloc), 0, 1, 10};
	struct ioasid_info info = {sizeof(info), 0, 0};
	int fd = ioasid_open();

	for (unsigned cmd = IOASID_GET_INFO; cmd <= IOASID_REQUEST_FREE; cmd++) {
		SAME(t, call(fd, cmd, NULL), -EFAULT);
		SAME(t, call(fd, cmd, wild_pointer()), -EFAULT);
		SAME(t, call(fd, cmd, (void *)-8l), -EFAULT);
		SAME(t, call(fd, cmd, end), -EFAULT);
	}
	/* The structures at the end of what there is, and a byte too far. */
	memcpy(end - sizeof(info), &info, sizeof(info));
	SAME(t, call(fd, IOASID_GET_INFO, end - sizeof(info)), 0);
	memcpy(end - sizeof(alloc), &alloc, sizeof(alloc));
	SAME(t, call(fd, IOASID_REQUEST_ALLOC, end - sizeof(alloc)), 1);
	memset(end - 4, 0, 4);
	memcpy(end - 4, &(int){1}, 4);
	SAME(t, call(fd, IOASID_REQUEST_FREE, end - 4), 0);
	memcpy(end - sizeof(info) + 1, &info, sizeof(info) - 1);
	SAME(t, call(fd, IOASID_GET_INFO, end - sizeof(info) + 1), -EFAULT);
	memcpy(end - sizeof(alloc) + 1, &alloc, sizeof(alloc) - 1);
	SAME(t, call(fd, IOASID_REQUEST_ALLOC, end - sizeof(alloc) + 1), -EFAULT);
	SAME(t, call(fd, IOASID_REQUEST_FREE, end - 3), -EFAULT);
	/* Nothing is written for ALLOC and FREE. */
	memcpy(constant, &alloc, sizeof(alloc));
	memcpy(constant + 64, &(int){1}, 4);
	memcpy(constant + 128, &info, sizeof(info));
	SAME(t, ERR(mprotect(constant, PAGE, PROT_READ)), 0);
	SAME(t, call(fd, IOASID_REQUEST_ALLOC, constant), 1);
	SAME(t, call(fd, IOASID_REQUEST_FREE, constant + 64), 0);
	SAME(t, call(fd, IOASID_GET_INFO, constant + 128), -EFAULT);
	/* A request that could not be read has taken none. */
	SAME(t, ioasid_any(fd), 1);
}

static void alloc_malformed(struct test *t)
{
	static const struct ioasid_alloc_request bad[] = {
		{0, 0, 1, 10},
		{1, 0, 1, 10},
		{8, 0, 1, 10},
		{12, 0, 1, 10},
		{15, 0, 1, 10},
		{16, 1, 1, 10},
		{16, 0x80000000, 1, 10},
		{16, ~0u, 1, 10},
		{16, 0, 2, 1},
		{16, 0, 0x7fffffff, 1},
		{16, 0, 1, 0},
		{16, 0, 1, 0x80000000},
		{16, 0, 1, ~0u},
		{16, 0, 0x80000000, 0x80000000},
		{16, 0, 0x80000000, ~0u},
		{16, 0, ~0u, ~0u},
		{16, 0, ~0u, 1},
	};
	int fd = ioasid_open();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ioasid_alloc_request r = bad[i];
		long rc = call(fd, IOASID_REQUEST_ALLOC, &r);

		if (rc != -EINVAL)
			test_fail(t, "argsz %u flags %#x min %#x max %#x gives %ld, not -EINVAL", r.argsz, r.flags,
				  r.min, r.max, rc);
	}
	SAME(t, ioasid_any(fd), 1);
}

/* More than the structure that is known may follow it. */
static void alloc_longer(struct test *t)
{
	struct {
		struct ioasid_alloc_request r;
		uint32_t beyond[4];
	} r = {{sizeof(r), 0, 5, 6}, {~0u, ~0u, ~0u, ~0u}};
	int fd = ioasid_open();

	SAME(t, call(fd, IOASID_REQUEST_ALLOC, &r), 5);
	r.r.argsz = ~0u;
	SAME(t, call(fd, IOASID_REQUEST_ALLOC, &r), 6);
	SAME(t, r.r.min, 5);
	SAME(t, r.r.max, 6);
	SAME(t, r.beyond[0], ~0u);
}

/* PASID 0 says that there is none. */
static void zero_is_never_given(struct test *t)
{
	int fd = ioasid_open();
	long rc = ioasid_alloc(fd, 0, 0);
	bool refused;

	CHECK(t, rc == -EINVAL || rc == -ENOSPC);
	rc = ioasid_alloc(fd, 0, 10);
	refused = rc == -EINVAL;
	dprintf(STDOUT_FILENO, "# %s: a range from 0 to 10 gives %ld\n", t->name, rc);
	CHECK(t, refused || rc == 1);
	SAME(t, ioasid_any(fd), refused ? 1 : 2);
}

static void range_of_one(struct test *t)
{
	int fd = ioasid_open();

	SAME(t, ioasid_alloc(fd, 77, 77), 77);
	SAME(t, ioasid_alloc(fd, 77, 77), -ENOSPC);
	SAME(t, ioasid_free(fd, 77), 0);
	SAME(t, ioasid_alloc(fd, 77, 77), 77);
}

/* variant: how many bits the space has; 0: 20 */
static long space(const struct test *t)
{
	return 1l << (t->variant ? t->variant : 20);
}

static void edge_of_the_space(struct test *t)
{
	uint32_t end = (uint32_t)space(t);
	int fd = ioasid_open();

	SAME(t, ioasid_alloc(fd, end, end), -ENOSPC);
	SAME(t, ioasid_alloc(fd, end, ANY_LAST), -ENOSPC);
	SAME(t, ioasid_alloc(fd, ANY_LAST, ANY_LAST), -ENOSPC);
	SAME(t, ioasid_alloc(fd, end - 1, end), end - 1);
	SAME(t, ioasid_alloc(fd, end - 1, ANY_LAST), -ENOSPC);
	SAME(t, ioasid_alloc(fd, end - 2, ANY_LAST), end - 2);
	SAME(t, ioasid_alloc(fd, 1, ANY_LAST), 1);
	SAME(t, ioasid_free(fd, end - 1), 0);
	SAME(t, ioasid_alloc(fd, end - 1, end - 1), end - 1);
}

static void lowest_first(struct test *t)
{
	static const int freed[] = {7, 3, 100, 64, 63, 1, 2};
	static const int again[] = {1, 2, 3, 7, 63, 64, 100, 201};
	int fd = ioasid_open();

	for (int i = 1; i <= 200; i++)
		SAME(t, ioasid_any(fd), i);
	for (size_t i = 0; i < sizeof(freed) / sizeof(freed[0]); i++)
		SAME(t, ioasid_free(fd, freed[i]), 0);
	SAME(t, ioasid_alloc(fd, 4, 10), 7);
	SAME(t, ioasid_free(fd, 7), 0);
	SAME(t, ioasid_alloc(fd, 64, 90), 64);
	SAME(t, ioasid_alloc(fd, 64, 90), -ENOSPC);
	SAME(t, ioasid_free(fd, 64), 0);
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		SAME(t, ioasid_any(fd), again[i]);
}

/* Against a table of one's own. */
static void random_ranges(struct test *t)
{
	enum { MOST = 250 };
	bool mine[MOST + 1] = {false};
	uint64_t random = t->seed;
	int fd = ioasid_open();

	dprintf(STDOUT_FILENO, "# %s: seed %llu\n", t->name, (unsigned long long)t->seed);
	for (unsigned long i = 0; i < t->rounds * 10 && !t->failed; i++) {
		uint32_t min = 1 + (uint32_t)(random_next(&random) % MOST);
		uint32_t max = min + (uint32_t)(random_next(&random) % (MOST + 1 - min));
		uint32_t want = min;

		if (random_next(&random) % 2) {
			SAME(t, ioasid_free(fd, min), mine[min] ? 0 : -ENOENT);
			mine[min] = false;
			continue;
		}
		while (want <= max && mine[want])
			want++;
		SAME(t, ioasid_alloc(fd, min, max), want > max ? -ENOSPC : (long)want);
		if (want <= max)
			mine[want] = true;
	}
}

static void free_errors(struct test *t)
{
	int fd = ioasid_open();
	long rc;

	SAME(t, ioasid_free(fd, 0), -EINVAL);
	SAME(t, ioasid_free(fd, -1), -EINVAL);
	SAME(t, ioasid_free(fd, -77), -EINVAL);
	SAME(t, ioasid_free(fd, INT32_MIN), -EINVAL);
	SAME(t, ioasid_free(fd, 1), -ENOENT);
	SAME(t, ioasid_free(fd, space(t) - 1), -ENOENT);
	/* Beyond the space nobody can have allocated it; whether it can be represented is a matter of view. */
	rc = ioasid_free(fd, space(t));
	dprintf(STDOUT_FILENO, "# %s: the first beyond the space gives %ld\n", t->name, rc);
	CHECK(t, rc == -EINVAL || rc == -ENOENT);
	rc = ioasid_free(fd, INT32_MAX);
	CHECK(t, rc == -EINVAL || rc == -ENOENT);
	SAME(t, ioasid_any(fd), 1);
	SAME(t, ioasid_free(fd, 2), -ENOENT);
	SAME(t, ioasid_free(fd, 1), 0);
	SAME(t, ioasid_free(fd, 1), -ENOENT);
	SAME(t, ioasid_any(fd), 1);
}

static void unknown_commands(struct test *t)
{
	static const unsigned others[] = {0x3b64, 0x3b81, 0x5401, 0, 0x6900, 0x6963, 0x6968, 0x6969, 0x69ff};
	int fd = ioasid_open();

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (SAME(t, call(fd, others[i], NULL), -ENOTTY))
			SAME(t, call(fd, others[i], wild_pointer()), -ENOTTY);
	/* The same number with a size and a direction is another command. */
	SAME(t, call(fd, _IOR('i', 101, struct ioasid_info), &(struct ioasid_info){12, 0, 0}), -ENOTTY);
	SAME(t, call(fd, _IOWR('i', 102, struct ioasid_alloc_request), &(struct ioasid_alloc_request){16, 0, 1, 9}),
	     -ENOTTY);
	SAME(t, ioasid_any(fd), 1);
	/* Nor does another node know these. */
	fd = open_iommu();
	SAME(t, ioasid_version(fd), -ENOTTY);
	SAME(t, ioasid_any(fd), -ENOTTY);
}

static void one_open_of_a_process(struct test *t)
{
	int fd = ioasid_open();

	CHECK(t, fd >= 0);
	SAME(t, ioasid_open(), -EBUSY);
	SAME(t, ERR(open(DEV_IOASID, O_RDONLY)), -EBUSY);
	SAME(t, ERR(openat(AT_FDCWD, "/dev/../dev/ioasid", O_RDWR)), -EBUSY);
	SAME(t, ioasid_any(fd), 1);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		SAME(t, ERR(close(fd)), 0);
		fd = ioasid_open();
		CHECK(t, fd >= 0);
		SAME(t, ioasid_open(), -EBUSY);
		SAME(t, ioasid_any(fd), 1);
		SAME(t, ioasid_any(fd), 2);
	}
}

static void access_modes(struct test *t)
{
	static const int flags[] = {O_RDONLY,
				    O_WRONLY,
				    O_RDWR,
				    O_RDONLY | O_CLOEXEC,
				    O_RDWR | O_NONBLOCK,
				    O_RDWR | O_CREAT,
				    O_RDWR | O_APPEND,
				    O_WRONLY | O_CREAT | O_TRUNC};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		int fd = (int)ERR(open(DEV_IOASID, flags[i], 0600));

		if (fd < 0) {
			test_fail(t, "open with %#x: %s", (unsigned)flags[i], strerrorname_np(-fd));
			continue;
		}
		SAME(t, ERR(fcntl(fd, F_GETFL)) & (O_ACCMODE | O_NONBLOCK), flags[i] & (O_ACCMODE | O_NONBLOCK));
		SAME(t, ERR(fcntl(fd, F_GETFD)), flags[i] & O_CLOEXEC ? FD_CLOEXEC : 0);
		SAME(t, ioasid_version(fd), 0);
		SAME(t, ioasid_bits(fd), 31);
		SAME(t, ioasid_any(fd), 1);
		SAME(t, ioasid_free(fd, 1), 0);
		close(fd);
	}
}

/* A failed open leaves nothing behind, and a refused one takes no number. */
static void refused_opens(struct test *t)
{
	int fd;

	SAME(t, ERR(open(DEV_IOASID, O_RDWR | O_CREAT | O_EXCL, 0600)), -EEXIST);
	SAME(t, ERR(open(DEV_IOASID, O_RDWR | O_DIRECTORY)), -ENOTDIR);
	fd = ioasid_open();
	CHECK(t, fd >= 0);
	SAME(t, ioasid_open(), -EBUSY);
	SAME(t, dup(fd), fd + 1);
}

static void as_a_file(struct test *t)
{
	struct stat st = {0};
	struct stat by_path = {0};
	struct pollfd p;
	char byte = 0;
	int fd;

	SAME(t, ERR(access(DEV_IOASID, R_OK | W_OK)), 0);
	SAME(t, ERR(stat(DEV_IOASID, &by_path)), 0);
	CHECK(t, S_ISCHR(by_path.st_mode));
	SAME(t, by_path.st_mode & 07777, 0666);
	fd = ioasid_open();
	SAME(t, ERR(fstat(fd, &st)), 0);
	CHECK(t, S_ISCHR(st.st_mode));
	SAME(t, st.st_mode & 07777, 0666);
	SAME(t, major(st.st_rdev), 10);
	SAME(t, minor(st.st_rdev), 129);
	SAME(t, st.st_size, 0);
	SAME(t, st.st_ino, by_path.st_ino);
	SAME(t, ERR(read(fd, &byte, 1)), -EINVAL);
	SAME(t, ERR(write(fd, &byte, 1)), -EINVAL);
	p = (struct pollfd){.fd = fd, .events = POLLIN | POLLOUT};
	SAME(t, poll(&p, 1, 0), 1);
	SAME(t, p.revents, POLLIN | POLLOUT);
}

static void not_mapped(struct test *t)
{
	int fd = ioasid_open();

	CHECK(t, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK(t, mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) == MAP_FAILED);
	SAME(t, ioasid_any(fd), 1);
}

static void closed_frees_all(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		int fd = ioasid_open();

		for (int k = 1; k <= 50; k++)
			SAME(t, ioasid_any(fd), k);
		SAME(t, ioasid_alloc(fd, 200, 200), 200);
		close(fd);
	}
}

static void duplicates(struct test *t)
{
	int fd = ioasid_open();
	int copy = dup(fd);

	SAME(t, ioasid_any(fd), 1);
	SAME(t, ioasid_any(copy), 2);
	SAME(t, ioasid_free(copy, 1), 0);
	SAME(t, dup2(copy, 100), 100);
	close(fd);
	SAME(t, ioasid_open(), -EBUSY);
	close(copy);
	SAME(t, ioasid_open(), -EBUSY);
	SAME(t, ioasid_any(100), 1);
	SAME(t, ioasid_free(100, 2), 0);
	close(100);
	fd = ioasid_open();
	CHECK(t, fd >= 0);
	SAME(t, ioasid_any(fd), 1);
	/* Another file in its place closes it. */
	SAME(t, dup2(STDIN_FILENO, fd), fd);
	fd = ioasid_open();
	SAME(t, ioasid_any(fd), 1);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"version", version},
		{"info", info},
		{"info_malformed", info_malformed},
		{"bad_pointers", bad_pointers},
		{"alloc_malformed", alloc_malformed},
		{"alloc_longer", alloc_longer},
		{"zero_is_never_given", zero_is_never_given},
		{"range_of_one", range_of_one},
		{"edge_of_the_space", edge_of_the_space},
		{"lowest_first", lowest_first},
		{"random_ranges", random_ranges},
		{"free_errors", free_errors},
		{"unknown_commands", unknown_commands},
		{"one_open_of_a_process", one_open_of_a_process},
		{"access_modes", access_modes},
		{"refused_opens", refused_opens},
		{"as_a_file", as_a_file},
		{"not_mapped", not_mapped},
		{"closed_frees_all", closed_frees_all},
		{"duplicates", duplicates},
	};

	return TEST_MAIN(argc, argv, cases);
}
