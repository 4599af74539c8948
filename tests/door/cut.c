/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is pinned stays what it was when its file is cut off, under iommuse run --selftest. */
#include "door.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <linux/falloc.h>

enum { IOMMU_TEST = 0xa0, MOCK_DOMAIN = 2, CREATE_ACCESS = 5, ACCESS_RW = 8, PAGES = 4 };
#define IOVA 0x1000000ull
#define PAGE 4096ull

struct iommu_test {
	uint32_t size, op, id, reserved;
	union {
		uint32_t d[12];
		uint64_t q[6];
	};
	uint32_t last, padding;
};
struct iommu_ioas_map_file {
	uint32_t size, flags, ioas_id;
	int32_t fd;
	uint64_t start, length, iova;
};

struct setup {
	int fd, access, file;
	uint32_t ioas;
	char name[64];
	char *memory;
};

static long test_op(int fd, struct iommu_test *cmd)
{
	cmd->size = offsetof(struct iommu_test, padding);
	return door_ioctl(fd, IOMMU_TEST, cmd);
}

static long rw(const struct setup *s, uint64_t page, char *buf, bool write)
{
	struct iommu_test cmd = {.op = ACCESS_RW, .id = (uint32_t)s->access};

	cmd.q[0] = IOVA + page * PAGE;
	cmd.q[1] = 16;
	cmd.q[2] = address(buf);
	cmd.d[6] = write;
	return test_op(s->fd, &cmd);
}

static bool device_reads(struct test *t, const struct setup *s, uint64_t page, const char *text)
{
	char buf[16] = "";

	return SAME(t, rw(s, page, buf, false), 0) && CHECK(t, !strcmp(buf, text));
}

/* A file in memory, all of it mapped here and at IOVA; by its descriptor or by its address. */
static bool begin(struct test *t, struct setup *s, bool by_descriptor)
{
	struct iommu_test cmd = {.op = MOCK_DOMAIN};
	struct iommu_ioas_map_file map = {
		.size = sizeof(map), .flags = MAP_RW | MAP_FIXED_IOVA, .length = PAGES * PAGE, .iova = IOVA};
	long rc;

	s->fd = open_iommu();
	s->ioas = cmd.id = map.ioas_id = (uint32_t)ioas_alloc(s->fd);
	rc = test_op(s->fd, &cmd);
	if (rc == -ENOTTY || rc == -EOPNOTSUPP) {
		test_skip(t, "no mock devices: %s", strerror((int)-rc));
		return false;
	}
	cmd = (struct iommu_test){.op = CREATE_ACCESS, .id = s->ioas};
	if (!SAME(t, rc, 0) || !SAME(t, test_op(s->fd, &cmd), 0))
		return false;
	s->access = (int)cmd.d[0];
	snprintf(s->name, sizeof(s->name), "/dev/shm/door-cut-XXXXXX");
	s->file = map.fd = mkstemp(s->name);
	if (!CHECK(t, s->file >= 0) || !SAME(t, ERR(ftruncate(s->file, PAGES * PAGE)), 0))
		return false;
	s->memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, s->file, 0);
	if (!CHECK(t, s->memory != MAP_FAILED))
		return false;
	for (unsigned i = 0; i < PAGES; i++)
		snprintf(s->memory + i * PAGE, 16, "page %u", i);
	rc = by_descriptor ? door_ioctl(s->fd, IOMMU_IOAS_MAP_FILE, &map)
			   : ioas_map(s->fd, s->ioas, s->memory, PAGES * PAGE, IOVA);
	return SAME(t, rc, 0);
}

static void end(struct setup *s)
{
	close(s->access);
	munmap(s->memory, PAGES * PAGE);
	close(s->file);
	unlink(s->name);
	close(s->fd);
}

/* Pages first to last have gone from the file: the device has them as they were, and all others are shared. */
static void check_gone(struct test *t, const struct setup *s, unsigned first, unsigned last)
{
	for (unsigned i = 0; i < PAGES; i++) {
		char text[16];

		snprintf(text, sizeof(text), "page %u", i);
		device_reads(t, s, i, text);
		snprintf(text, sizeof(text), "new %u", i);
		if (i < first || i > last) {
			memcpy(s->memory + i * PAGE, text, sizeof(text));
			device_reads(t, s, i, text);
		} else {
			SAME(t, rw(s, i, text, true), 0);
			device_reads(t, s, i, text);
		}
	}
}

static void run(struct test *t, void (*cut)(struct test *t, const struct setup *s), unsigned first, unsigned last)
{
	for (int by_descriptor = 0; by_descriptor < 2; by_descriptor++) {
		struct setup s;

		if (!begin(t, &s, by_descriptor))
			return;
		cut(t, &s);
		check_gone(t, &s, first, last);
		end(&s);
	}
}

static void cut_ftruncate(struct test *t, const struct setup *s)
{
	SAME(t, ERR(ftruncate(s->file, PAGE + 100)), 0);
}

static void by_ftruncate(struct test *t)
{
	run(t, cut_ftruncate, 2, PAGES - 1);
}

static void cut_truncate(struct test *t, const struct setup *s)
{
	SAME(t, ERR(truncate(s->name, 2 * PAGE)), 0);
}

static void by_truncate(struct test *t)
{
	run(t, cut_truncate, 2, PAGES - 1);
}

static void cut_open(struct test *t, const struct setup *s)
{
	int fd = open(s->name, O_RDWR | O_TRUNC | O_CLOEXEC);

	CHECK(t, fd >= 0);
	close(fd);
}

static void by_open(struct test *t)
{
	run(t, cut_open, 0, PAGES - 1);
}

static void cut_punch(struct test *t, const struct setup *s)
{
	SAME(t, ERR(fallocate(s->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE)), 0);
}

static void by_a_hole(struct test *t)
{
	run(t, cut_punch, 1, 1);
}

static void cut_remove(struct test *t, const struct setup *s)
{
	SAME(t, ERR(madvise(s->memory + 2 * PAGE, PAGE, MADV_REMOVE)), 0);
}

static void by_advice(struct test *t)
{
	run(t, cut_remove, 2, 2);
}

/* What is refused cuts nothing; nor does what makes the file longer. */
static void cut_nothing(struct test *t, const struct setup *s)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(t, fd >= 0);
	SAME(t, ERR(ftruncate(fd, 0)), -EINVAL);
	SAME(t, ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE)), -EBADF);
	close(fd);
	SAME(t, ERR(ftruncate(s->file, -1)), -EINVAL);
	SAME(t, ERR(ftruncate(s->file, 2 * PAGES * PAGE)), 0);
	SAME(t, ERR(fallocate(s->file, FALLOC_FL_PUNCH_HOLE, PAGE, PAGE)), -EOPNOTSUPP);
	SAME(t, ERR(fallocate(s->file, 0, PAGE, PAGE)), 0);
	SAME(t, ERR(madvise(s->memory + 1, PAGE, MADV_REMOVE)), -EINVAL);
	SAME(t, ERR(open(s->name, O_RDWR | O_CREAT | O_EXCL | O_TRUNC, 0600)), -EEXIST);
	SAME(t, ERR(truncate("/dev/shm/door-cut-nothing", 0)), -ENOENT);
}

static void by_nothing(struct test *t)
{
	run(t, cut_nothing, PAGES, PAGES);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"by_ftruncate", by_ftruncate}, {"by_truncate", by_truncate}, {"by_open", by_open},
		{"by_a_hole", by_a_hole},       {"by_advice", by_advice},     {"by_nothing", by_nothing},
	};

	return TEST_MAIN(argc, argv, cases);
}
