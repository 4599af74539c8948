/* SPDX-License-Identifier: BSD-3-Clause */
/* FAULT_QUEUE_ALLOC, and the file of a fault queue that is empty. */
#include "calls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	RECORD = sizeof(struct iommu_hwpt_pgfault),
};

/* A.17 */

static void fault_queue_knows_no_flags(struct rules *t)
{
	for (int bit = 0; bit < 32; bit++) {
		struct iommu_fault_alloc c = {.size = sizeof(c), .flags = 1U << bit};

		EXPECT(t, call(t, IOMMU_FAULT_QUEUE_ALLOC, &c), -EOPNOTSUPP);
	}
	EXPECT(t, ioas_new(t), 1);
}

static void fault_queue_has_an_id_and_a_descriptor(struct rules *t)
{
	struct iommu_fault_alloc c = {.size = sizeof(c), .out_fault_id = 77, .out_fault_fd = 77};
	char buf[RECORD];
	int fd;

	EXPECT(t, call(t, IOMMU_FAULT_QUEUE_ALLOC, &c), 0);
	EXPECT(t, c.out_fault_id, 1);
	fd = (int)c.out_fault_fd;
	EXPECT(t, fd >= 0 && fd != t->fd, true);
	EXPECT(t, transport_read(t->transport, fd, buf, sizeof(buf)), 0);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, transport_read(t->transport, fd, buf, sizeof(buf)), -EBADF);
}

static void fault_queue_without_a_free_descriptor_is_emfile_and_undone(struct rules *t)
{
	struct rlimit before, few;
	uint32_t id;
	int next, fd;

	/* The lowest free descriptor tells where the limit has to be. */
	next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close_plain(t, next);
	EXPECT(t, getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){(rlim_t)next, before.rlim_max};
	EXPECT(t, setrlimit(RLIMIT_NOFILE, &few), 0);
	EXPECT(t, fault_new(t, &id, &fd), -EMFILE);
	EXPECT(t, setrlimit(RLIMIT_NOFILE, &before), 0);
	EXPECT(t, destroy(t, 1), -ENOENT);
	EXPECT(t, fault_new(t, &id, &fd), 0);
	EXPECT(t, id, 1);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void descriptor_of_a_queue_is_close_on_exec_and_read_write(struct rules *t)
{
	uint32_t id;
	int fd;

	if (transport_kind(t->transport) != TRANSPORT_SYSCALLS) {
		skip(t, "a descriptor of the library has no flags");
		return;
	}
	EXPECT(t, fault_new(t, &id, &fd), 0);
	EXPECT(t, fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT(t, fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void queue_lives_until_its_last_descriptor_is_closed(struct rules *t)
{
	uint32_t id;
	int fd, copy;
	char buf[RECORD];

	if (transport_kind(t->transport) != TRANSPORT_SYSCALLS) {
		skip(t, "a descriptor of the library cannot be duplicated");
		return;
	}
	EXPECT(t, fault_new(t, &id, &fd), 0);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, fd); /* docs/limits.md: at low numbers the door does not see the read */
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, destroy(t, id), -EBUSY);
	EXPECT(t, transport_read(t->transport, copy, buf, sizeof(buf)), 0);
	EXPECT(t, transport_close(t->transport, copy), 0);
	EXPECT(t, destroy(t, id), 0);
}

/* C.7 */

struct transfer_row {
	ssize_t result;
	size_t count;
	off_t offset; /* -1: read or write */
	void *buf;    /* NULL: one that is large enough */
	uint32_t cookie, code;
};

static void read_of_an_empty_queue(struct rules *t, const void *row)
{
	const struct transfer_row *r = row;
	unsigned char room[4096];
	void *buf = r->buf ? r->buf : room;
	uint32_t id;
	int fd;

	EXPECT(t, fault_new(t, &id, &fd), 0);
	for (int i = 0; i < 2; i++)
		EXPECT(t,
		       r->offset < 0 ? transport_read(t->transport, fd, buf, r->count)
				     : transport_pread(t->transport, fd, buf, r->count, r->offset),
		       r->result);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void write_to_an_empty_queue(struct rules *t, const void *row)
{
	const struct transfer_row *r = row;
	struct iommu_hwpt_page_response responses[8] = {{r->cookie, r->code}, {1, 0}};
	void *buf = r->buf ? r->buf : responses;
	uint32_t id;
	int fd;

	EXPECT(t, fault_new(t, &id, &fd), 0);
	for (int i = 0; i < 2; i++)
		EXPECT(t,
		       r->offset < 0 ? transport_write(t->transport, fd, buf, r->count)
				     : transport_pwrite(t->transport, fd, buf, r->count, r->offset),
		       r->result);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void poll_of_an_empty_queue_says_writable(struct rules *t)
{
	uint32_t id;
	int fd;

	EXPECT(t, fault_new(t, &id, &fd), 0);
	EXPECT(t, transport_poll(t->transport, fd, POLLIN | POLLOUT | POLLPRI), POLLOUT);
	EXPECT(t, transport_poll(t->transport, fd, POLLIN), 0);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void queue_takes_no_ioctl(struct rules *t)
{
	struct iommu_ioas_alloc c = {.size = sizeof(c)};
	uint32_t id;
	int fd;

	EXPECT(t, fault_new(t, &id, &fd), 0);
	EXPECT(t, transport_ioctl(t->transport, fd, IOMMU_IOAS_ALLOC, (uintptr_t)&c), -ENOTTY);
	EXPECT(t, transport_ioctl(t->transport, fd, IOMMU_IOAS_ALLOC, 0), -ENOTTY);
	EXPECT(t, transport_ioctl(t->transport, fd, VFIO_GET_API_VERSION, 0), -ENOTTY);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void closing_the_queue_keeps_the_object(struct rules *t)
{
	uint32_t id, other;
	int fd;

	EXPECT(t, fault_new(t, &id, &fd), 0);
	EXPECT(t, transport_close(t->transport, fd), 0);
	EXPECT(t, ioas_new(t), id + 1); /* its id is still taken */
	EXPECT(t, destroy(t, id), 0);
	EXPECT(t, fault_new(t, &other, &fd), 0);
	EXPECT(t, other, id);
	EXPECT(t, transport_close(t->transport, fd), 0);
}

static void queues_are_independent(struct rules *t)
{
	uint32_t id[3];
	int fd[3];

	for (int i = 0; i < 3; i++)
		EXPECT(t, fault_new(t, &id[i], &fd[i]), 0);
	EXPECT(t, transport_close(t->transport, fd[1]), 0);
	EXPECT(t, destroy(t, id[0]), -EBUSY);
	EXPECT(t, destroy(t, id[1]), 0);
	EXPECT(t, destroy(t, id[2]), -EBUSY);
	EXPECT(t, transport_close(t->transport, fd[0]), 0);
	EXPECT(t, transport_close(t->transport, fd[2]), 0);
}

#define TRANSFER(rules, name, f, r, n, o, ...)                                                                         \
	ROW(rules, name, f, struct transfer_row, .result = (r), .count = (n), .offset = (o), ##__VA_ARGS__)
#define READS(rules, name, ...)  TRANSFER(rules, name, read_of_an_empty_queue, __VA_ARGS__)
#define WRITES(rules, name, ...) TRANSFER(rules, name, write_to_an_empty_queue, __VA_ARGS__)

static const struct rule_case cases[] = {
	CASE("A.17-1", fault_queue_knows_no_flags),
	CASE("A.17-2a", fault_queue_has_an_id_and_a_descriptor),
	CASE("A.17-3", fault_queue_without_a_free_descriptor_is_emfile_and_undone),
	CASE("A.17-2b", descriptor_of_a_queue_is_close_on_exec_and_read_write),
	CASE("A.1-2a,A.17-4", queue_lives_until_its_last_descriptor_is_closed),
	READS("C.7-1", read_of_one_record_is_0, 0, RECORD, -1),
	READS("C.7-1", read_of_many_records_is_0, 0, 100 * RECORD, -1),
	READS("C.7-1", read_of_no_bytes_is_0, 0, 0, -1),
	READS("C.7-2", read_of_one_byte_is_espipe, -ESPIPE, 1, -1),
	READS("C.7-2", read_of_a_byte_less_than_a_record_is_espipe, -ESPIPE, RECORD - 1, -1),
	READS("C.7-2", read_of_a_byte_more_than_a_record_is_espipe, -ESPIPE, RECORD + 1, -1),
	READS("C.7-2", read_of_8_bytes_is_espipe, -ESPIPE, 8, -1),
	READS("C.7-3", read_at_an_offset_is_espipe, -ESPIPE, RECORD, 40),
	READS("C.7-3", read_at_a_large_offset_is_espipe, -ESPIPE, RECORD, 1L << 40),
	READS("C.7-3b", read_at_offset_0_is_espipe, -ESPIPE, RECORD, 0),
	READS("C.7-4", read_into_nowhere_is_0, 0, RECORD, -1, .buf = HOLE),
	WRITES("C.7-5", write_of_no_bytes_is_0, 0, 0, -1),
	WRITES("C.7-6", write_of_7_bytes_is_espipe, -ESPIPE, 7, -1),
	WRITES("C.7-6", write_of_9_bytes_is_espipe, -ESPIPE, 9, -1),
	WRITES("C.7-6", write_at_an_offset_is_espipe, -ESPIPE, 8, 8),
	WRITES("C.7-3b", write_at_offset_0_is_espipe, -ESPIPE, 8, 0),
	WRITES("C.7-7", write_from_nowhere_is_efault, -EFAULT, 8, -1, .buf = HOLE),
	WRITES("C.7-8", write_of_an_unknown_code_is_einval, -EINVAL, 8, -1, .cookie = 1, .code = 2),
	WRITES("C.7-9", write_of_an_unknown_cookie_is_einval, -EINVAL, 8, -1, .cookie = 1, .code = 0),
	WRITES("C.7-9", write_of_cookie_0_is_einval, -EINVAL, 8, -1, .cookie = 0, .code = 1),
	WRITES("C.7-9", write_of_several_unknown_cookies_is_einval, -EINVAL, 64, -1, .cookie = UINT32_MAX, .code = 0),
	CASE("C.7-10", poll_of_an_empty_queue_says_writable),
	CASE("C.7-11", queue_takes_no_ioctl),
	CASE("C.7-12", closing_the_queue_keeps_the_object),
	CASE("A.1-2a", queues_are_independent),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
