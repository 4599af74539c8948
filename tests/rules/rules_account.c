/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Locked memory and its limit, and memory of several processes. These cases need processes of their own, so they run by
 * system calls only, with --memlock=enforce. They give up CAP_IPC_LOCK, which would lift the limit, where they have it.
 */
#define _GNU_SOURCE
#include "mock.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PINS MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES

/* Gives a capability up, or takes it back if the process may have it. */
static int capability(int cap, bool on)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return -errno;
	if (on)
		data[cap / 32].effective |= UINT32_C(1) << cap % 32 & data[cap / 32].permitted;
	else
		data[cap / 32].effective &= ~(UINT32_C(1) << cap % 32);
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

static void limit(struct rules *t, uint64_t pages)
{
	struct rlimit r;

	EXPECT(t, getrlimit(RLIMIT_MEMLOCK, &r), 0);
	r.rlim_cur = pages * PAGE < r.rlim_max ? pages * PAGE : r.rlim_max;
	EXPECT(t, setrlimit(RLIMIT_MEMLOCK, &r), 0);
}

static bool prepared(struct rules *t)
{
	if (transport_kind(t->transport) != TRANSPORT_SYSCALLS) {
		skip(t, "needs processes of its own");
		return false;
	}
	capability(CAP_IPC_LOCK, false);
	limit(t, 8);
	memory_new(t);
	return true;
}

/* Opens this node instead of /dev/iommu. */
static void use_node(struct rules *t, const char *path)
{
	EXPECT(t, transport_close(t->transport, t->fd), 0);
	t->fd = node_open(t, path);
}

static struct mock device_of_new_ioas(struct rules *t)
{
	return mock_new(t, ioas_new(t), 0);
}

static int map_pages(struct rules *t, uint32_t ioas, uint64_t page, uint64_t count)
{
	return map_va_at(t, ioas, RW, MEMORY + page * PAGE, AP + page * PAGE, count * PAGE);
}

/* Runs work in a child and waits; its failures are the case's. */
static void in_child(struct rules *t, void (*work)(struct rules *t, void *arg), void *arg)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		t->failures = 0;
		work(t, arg);
		fflush(stdout);
		_exit(t->failures != 0);
	}
	EXPECT(t, waitpid(pid, &status, 0), pid);
	EXPECT(t, status, 0);
}

static void limit_is_that_of_the_user(struct rules *t)
{
	if (!prepared(t))
		return;
	struct mock m = device_of_new_ioas(t);
	int first = t->fd;

	EXPECT(t, map_pages(t, m.ioas, 0, 8), 0);
	EXPECT(t, map_pages(t, m.ioas, 8, 1), -ENOMEM);
	t->fd = node_open(t, "/dev/iommu");
	EXPECT(t, map_pages(t, device_of_new_ioas(t).ioas, 8, 1), -ENOMEM);
	EXPECT(t, transport_close(t->transport, t->fd), 0);
	t->fd = first;
	EXPECT(t, unmap(t, m.ioas, AP, 8 * PAGE, NULL), 0);
	EXPECT(t, map_pages(t, m.ioas, 0, 4), 0);
	EXPECT(t, map_pages(t, m.ioas, 4, 5), -ENOMEM);
	EXPECT(t, map_pages(t, m.ioas, 4, 4), 0);
	limit(t, 16);
	EXPECT(t, map_pages(t, m.ioas, 8, 8), 0);
	EXPECT(t, destroy(t, m.stdev), 0);
	limit(t, 8);
	m = mock_new(t, ioas_new(t), 0);
	EXPECT(t, map_pages(t, m.ioas, 0, 8), 0);
}

static void child_maps_as_much_as_the_limit(struct rules *t, void *result)
{
	t->fd = node_open(t, result ? "/dev/iommu" : "/dev/vfio/vfio");
	EXPECT(t, map_pages(t, device_of_new_ioas(t).ioas, 0, 8), result ? -ENOMEM : 0);
}

static void limit_is_that_of_the_process(struct rules *t)
{
	if (!prepared(t))
		return;
	use_node(t, "/dev/vfio/vfio");
	struct mock m = device_of_new_ioas(t);

	EXPECT(t, map_pages(t, m.ioas, 0, 8), 0);
	EXPECT(t, map_pages(t, m.ioas, 8, 1), -ENOMEM);
	in_child(t, child_maps_as_much_as_the_limit, NULL);
	EXPECT(t, unmap(t, m.ioas, AP, 8 * PAGE, NULL), 0);
	EXPECT(t, map_pages(t, m.ioas, 8, 8), 0);
}

static void limit_of_the_user_is_for_all_processes(struct rules *t)
{
	if (!prepared(t))
		return;
	EXPECT(t, map_pages(t, device_of_new_ioas(t).ioas, 0, 8), 0);
	in_child(t, child_maps_as_much_as_the_limit, t);
}

static void mode_can_be_chosen(struct rules *t)
{
	uint64_t mode = 1;

	if (!prepared(t))
		return;
	if (!transport_capable(t->transport, CAP_SYS_RESOURCE))
		return skip(t, "needs CAP_SYS_RESOURCE");
	EXPECT(t, option(t, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET, 0, &mode), 0);
	EXPECT(t, map_pages(t, device_of_new_ioas(t).ioas, 0, 8), 0);
	in_child(t, child_maps_as_much_as_the_limit, NULL);
}

static void page_counts_once_for_each_map(struct rules *t)
{
	if (!prepared(t))
		return;
	struct mock a = device_of_new_ioas(t), b = device_of_new_ioas(t);

	EXPECT(t, map_pages(t, a.ioas, 0, 4), 0);
	EXPECT(t, copy_at(t, b.ioas, a.ioas, RW, AP, AP, 4 * PAGE), 0);
	EXPECT(t, copy_at(t, b.ioas, a.ioas, RW, AP, AP + HUGE, 2 * PAGE), 0);
	hwpt_new(t, a.device, a.ioas, 0);
	EXPECT(t, map_va_at(t, b.ioas, READ, MEMORY, AP + 2 * HUGE, 4 * PAGE), 0);
	EXPECT(t, map_va_at(t, b.ioas, READ, MEMORY, AP + 3 * HUGE, PAGE), -ENOMEM);
	/* The copy keeps what it has. */
	EXPECT(t, unmap(t, a.ioas, AP, 4 * PAGE, NULL), 0);
	EXPECT(t, map_va_at(t, b.ioas, READ, MEMORY, AP + 3 * HUGE, PAGE), -ENOMEM);
	EXPECT(t, unmap(t, b.ioas, AP, 4 * PAGE, NULL), 0);
	EXPECT(t, map_va_at(t, b.ioas, READ, MEMORY, AP + 3 * HUGE, 2 * PAGE), 0);
	EXPECT(t, map_va_at(t, b.ioas, READ, MEMORY, AP + 4 * HUGE, PAGE), -ENOMEM);
}

static void parts_of_a_page_count_as_one(struct rules *t)
{
	if (!prepared(t))
		return;
	struct mock m = device_of_new_ioas(t);

	limit(t, 1);
	EXPECT(t, map_va_at(t, m.ioas, RW, MEMORY, AP, HALF), 0);
	EXPECT(t, map_va_at(t, m.ioas, RW, MEMORY + HALF, AP + HALF, HALF), -ENOMEM);
	limit(t, 2);
	EXPECT(t, map_va_at(t, m.ioas, RW, MEMORY + HALF, AP + HALF, HALF), 0);
}

static void nothing_counts_before_it_is_pinned(struct rules *t)
{
	if (!prepared(t))
		return;
	struct mock m = device_of_new_ioas(t), other;
	uint32_t ioas = ioas_new(t);
	struct iommu_hwpt_alloc c = {.dev_id = m.device, .pt_id = ioas};

	EXPECT(t, map_pages(t, ioas, 0, 9), 0);
	EXPECT(t, mock_try(t, ioas, 0, &other), -ENOMEM);
	EXPECT(t, hwpt_try(t, &c), -ENOMEM);
	EXPECT(t, mock_attach(t, m.stdev, ioas), -ENOMEM);
	EXPECT(t, pasid_check(t, m.stdev, 0, m.hwpt), 0);
	expect_range(t, ioas, 0, U64_MAX);
	EXPECT(t, map_pages(t, m.ioas, 0, 8), 0);
	EXPECT(t, unmap(t, m.ioas, AP, 8 * PAGE, NULL), 0);
	limit(t, 9);
	EXPECT(t, hwpt_try(t, &c), 0);
	EXPECT(t, map_pages(t, m.ioas, 0, 1), -ENOMEM);
	EXPECT(t, destroy(t, c.out_hwpt_id), 0);
	EXPECT(t, map_pages(t, m.ioas, 0, 1), 0);
}

static void map_that_fails_leaves_the_counters(struct rules *t)
{
	if (!prepared(t))
		return;
	struct mock m = device_of_new_ioas(t);

	for (int i = 0; i < 5; i++) {
		EXPECT(t, map_va_at(t, m.ioas, RW, MEMORY + MEMORY_LENGTH - 4 * PAGE, AP, 5 * PAGE), -EFAULT);
		EXPECT(t, map_pages(t, m.ioas, 0, 64), -ENOMEM);
	}
	EXPECT(t, map_pages(t, m.ioas, 0, 8), 0);
	EXPECT(t, map_va_at(t, m.ioas, RW, MEMORY, AP, PAGE), -EEXIST);
}

static void capability_lifts_the_limit(struct rules *t)
{
	if (!prepared(t))
		return;
	if (!transport_capable(t->transport, CAP_IPC_LOCK))
		return skip(t, "needs CAP_IPC_LOCK");
	struct mock m = device_of_new_ioas(t);
	uint32_t with = ioas_new(t), without = ioas_new(t);

	/* What counts is who maps, not who attaches. */
	EXPECT(t, map_pages(t, without, 0, 9), 0);
	capability(CAP_IPC_LOCK, true);
	EXPECT(t, map_pages(t, m.ioas, 0, 64), 0);
	EXPECT(t, map_pages(t, with, 0, 9), 0);
	EXPECT(t, mock_attach(t, m.stdev, without), -ENOMEM);
	capability(CAP_IPC_LOCK, false);
	EXPECT(t, mock_attach(t, m.stdev, with), 0);
	EXPECT(t, map_pages(t, with, 9, 8), 0);
	EXPECT(t, map_pages(t, with, 17, 1), -ENOMEM);
}

static void accesses_count_as_well(struct rules *t)
{
	if (!prepared(t))
		return;
	uint32_t ioas = ioas_new(t), pin, other;
	int access = mock_access_new(t, ioas, PINS);

	EXPECT(t, map_pages(t, ioas, 0, 16), 0);
	EXPECT(t, mock_access_pin(t, access, AP, 6 * PAGE, 0, &pin), 0);
	EXPECT(t, mock_access_pin(t, access, AP + 4 * PAGE, 5 * PAGE, 0, &other), -ENOMEM);
	EXPECT(t, mock_access_pin(t, access, AP + 4 * PAGE, 4 * PAGE, 0, &other), 0);
	EXPECT(t, mock_access_unpin(t, access, pin), 0);
	EXPECT(t, mock_access_pin(t, access, AP + 8 * PAGE, 4 * PAGE, 0, &pin), 0);
	EXPECT(t, transport_close(t->transport, access), 0);
	EXPECT(t, map_pages(t, device_of_new_ioas(t).ioas, 0, 8), 0);
}

static void buffers_and_files(struct rules *t)
{
	if (!prepared(t))
		return;
	struct mock m = device_of_new_ioas(t);
	int fd = memfd_new(t, 16 * PAGE), buffer = mock_dmabuf_new(t, 64 * (uint32_t)PAGE);

	EXPECT(t, map_file_at(t, m.ioas, RW, buffer, 0, AP, 64 * PAGE), 0);
	EXPECT(t, map_file_at(t, m.ioas, RW, fd, 0, AP + HUGE, 9 * PAGE), -ENOMEM);
	EXPECT(t, map_file_at(t, m.ioas, RW, fd, 0, AP + HUGE, 8 * PAGE), 0);
	EXPECT(t, map_pages(t, m.ioas, 64, 1), -ENOMEM);
	close_plain(t, fd);
	EXPECT(t, transport_close(t->transport, buffer), 0);
}

static void container_counts_as_its_file_does(struct rules *t)
{
	static const char *const nodes[] = {"/dev/iommu", "/dev/vfio/vfio"};

	if (!prepared(t))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		struct vfio_iommu_type1_dma_map c = {.argsz = sizeof(c),
						     .flags = VFIO_DMA_MAP_FLAG_READ,
						     .vaddr = MEMORY,
						     .iova = AP,
						     .size = 9 * PAGE};

		use_node(t, nodes[i]);
		mock_new(t, container_new(t), 0);
		EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, &c), -ENOMEM);
		c.size = 8 * PAGE;
		EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, &c), 0);
		c.iova = AP + HUGE;
		EXPECT(t, call(t, VFIO_IOMMU_MAP_DMA, &c), -ENOMEM);
	}
}

/* A.12 */
static int change_process(struct rules *t)
{
	struct iommu_ioas_change_process c = {.size = sizeof(c)};

	return call(t, IOMMU_IOAS_CHANGE_PROCESS, &c);
}

static void child_takes_the_memory_over(struct rules *t, void *arg)
{
	uint32_t ioas = *(uint32_t *)arg;

	limit(t, 7);
	EXPECT(t, change_process(t), -ENOMEM);
	limit(t, 8);
	EXPECT(t, change_process(t), 0);
	EXPECT(t, change_process(t), 0);
	EXPECT(t, map_pages(t, ioas, 32, 1), -ENOMEM);
}

static void child_has_no_room_for_the_memory(struct rules *t, void *arg)
{
	(void)arg;
	limit(t, 7);
	EXPECT(t, change_process(t), -ENOMEM);
}

static void memory_of_files_moves_to_the_caller(struct rules *t)
{
	if (!prepared(t))
		return;
	use_node(t, "/dev/vfio/vfio");
	struct mock m = device_of_new_ioas(t);
	int fd = memfd_new(t, 16 * PAGE);

	EXPECT(t, map_file_at(t, m.ioas, RW, fd, 0, AP + HUGE, 8 * PAGE), 0);
	EXPECT(t, map_file_at(t, m.ioas, RW, fd, 8 * PAGE, AP, PAGE), -ENOMEM);
	in_child(t, child_has_no_room_for_the_memory, NULL);
	EXPECT(t, map_file_at(t, m.ioas, RW, fd, 8 * PAGE, AP, PAGE), -ENOMEM);
	in_child(t, child_takes_the_memory_over, &m.ioas);
	EXPECT(t, map_file_at(t, m.ioas, RW, fd, 8 * PAGE, AP, 8 * PAGE), 0);
	EXPECT(t, map_pages(t, m.ioas, 16, 1), -ENOMEM);
	close_plain(t, fd);
}

/* B.3: memory of another process */
struct shared {
	struct mock m;
	uint32_t bare; /* an IOAS without a page table */
	int access;
	int to_child[2], to_parent[2];
};

static void tell(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(99);
}

static bool hear(int fd)
{
	char c;

	return read(fd, &c, 1) == 1;
}

/* In a child: maps memory of its own, which it then keeps until it is told to go. Shared memory is a file's: other
 * kinds cannot be held by everybody. */
static void map_own_memory(struct rules *t, struct shared *s, uint32_t ioas, int flags)
{
	int fd = memfd_new(t, PAGE);

	EXPECT(t, mmap(AT(MEMORY), PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == AT(MEMORY), true);
	AT(MEMORY)[0] = 77;
	EXPECT(t, map_pages(t, ioas, 0, 1), 0);
	tell(s->to_parent[1]);
	hear(s->to_child[0]);
}

static pid_t child_with_memory(struct rules *t, struct shared *s, uint32_t ioas, int flags)
{
	EXPECT(t, pipe2(s->to_child, O_CLOEXEC), 0);
	EXPECT(t, pipe2(s->to_parent, O_CLOEXEC), 0);
	pid_t pid = fork();

	if (pid == 0) {
		t->failures = 0;
		close(s->to_child[1]);
		map_own_memory(t, s, ioas, flags);
		fflush(stdout);
		_exit(t->failures != 0);
	}
	EXPECT(t, hear(s->to_parent[0]), true);
	return pid;
}

static void let_go(struct rules *t, struct shared *s, pid_t pid)
{
	int status = -1;

	close_plain(t, s->to_child[0]);
	close_plain(t, s->to_child[1]);
	close_plain(t, s->to_parent[0]);
	close_plain(t, s->to_parent[1]);
	EXPECT(t, waitpid(pid, &status, 0), pid);
	EXPECT(t, status, 0);
}

static struct shared shared_new(struct rules *t)
{
	struct shared s = {.m = device_of_new_ioas(t), .bare = ioas_new(t)};

	s.access = mock_access_new(t, s.bare, 0);
	return s;
}

static void memory_of_a_process_that_is_gone(struct rules *t)
{
	if (!prepared(t))
		return;
	struct shared s = shared_new(t);
	unsigned char byte = 0;
	pid_t pid = child_with_memory(t, &s, s.bare, MAP_PRIVATE);

	EXPECT(t, mock_access_rw(t, s.access, AP, &byte, 1, 0), 0);
	EXPECT(t, byte, 77);
	EXPECT(t, AT(MEMORY)[0], 0);
	let_go(t, &s, pid);
	EXPECT(t, mock_access_rw(t, s.access, AP, &byte, 1, 0), -EFAULT);
	EXPECT(t, mock_attach(t, s.m.stdev, s.bare), -EFAULT);
	EXPECT(t, pasid_check(t, s.m.stdev, 0, s.m.hwpt), 0);
	expect_bytes(t, s.bare, PAGE);
	EXPECT(t, transport_close(t->transport, s.access), 0);
}

static void memory_that_is_pinned_outlives_its_process(struct rules *t)
{
	if (!prepared(t))
		return;
	struct shared s = shared_new(t);
	unsigned char byte = 0;
	pid_t pid = child_with_memory(t, &s, s.bare, MAP_SHARED);

	EXPECT(t, mock_attach(t, s.m.stdev, s.bare), 0);
	let_go(t, &s, pid);
	EXPECT(t, mock_access_rw(t, s.access, AP, &byte, 1, MOCK_ACCESS_RW_SLOW_PATH), 0);
	EXPECT(t, byte, 77);
	byte = 78;
	EXPECT(t, mock_access_rw(t, s.access, AP, &byte, 1, MOCK_ACCESS_RW_SLOW_PATH | MOCK_ACCESS_RW_WRITE), 0);
	EXPECT(t, mock_access_rw(t, s.access, AP, &byte, 1, MOCK_ACCESS_RW_SLOW_PATH), 0);
	EXPECT(t, byte, 78);
	expect_bytes(t, s.bare, PAGE);
	EXPECT(t, transport_close(t->transport, s.access), 0);
}

static void map_is_of_the_process_that_made_it(struct rules *t)
{
	if (!prepared(t))
		return;
	struct shared s = shared_new(t);
	unsigned char byte = 0;
	pid_t pid = child_with_memory(t, &s, s.m.ioas, MAP_PRIVATE);

	/* The copy is of the child's memory as well. */
	AT(MEMORY)[0] = 1;
	EXPECT(t, check_map(t, s.m.hwpt, AP, PAGE, MEMORY), -EINVAL);
	EXPECT(t, copy_at(t, s.bare, s.m.ioas, RW, AP, AP, PAGE), 0);
	EXPECT(t, mock_access_rw(t, s.access, AP, &byte, 1, 0), 0);
	EXPECT(t, byte, 77);
	let_go(t, &s, pid);
	EXPECT(t, transport_close(t->transport, s.access), 0);
}

/* A.0.4: a mapping that a child inherits is one more. */
static void region_that_a_child_has_mapped_is_busy(struct rules *t)
{
	struct shared s;
	struct iommu_viommu_selftest data = {0};
	struct iommu_viommu_alloc c = {.size = sizeof(c),
				       .type = IOMMU_VIOMMU_TYPE_SELFTEST,
				       .data_len = sizeof(data),
				       .data_uptr = (uintptr_t)&data};
	uint32_t *at = NULL;

	if (!prepared(t))
		return;
	struct mock m = device_of_new_ioas(t);

	c.dev_id = m.device;
	c.hwpt_id = hwpt_new(t, m.device, m.ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	EXPECT(t, call(t, IOMMU_VIOMMU_ALLOC, &c), 0);
	if (!EXPECT(t,
		    transport_mmap(t->transport, t->fd, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				   (off_t)data.out_mmap_offset, (void **)&at),
		    0))
		return;
	EXPECT(t, pipe2(s.to_child, O_CLOEXEC), 0);
	EXPECT(t, pipe2(s.to_parent, O_CLOEXEC), 0);
	pid_t pid = fork();

	if (pid == 0) {
		close(s.to_child[1]);
		at[0] = 5;
		tell(s.to_parent[1]);
		hear(s.to_child[0]);
		_exit(0);
	}
	hear(s.to_parent[0]);
	EXPECT(t, at[0], 5);
	EXPECT(t, munmap(at, 2 * PAGE), 0);
	EXPECT(t, destroy(t, c.out_viommu_id), -EBUSY);
	let_go(t, &s, pid);
	EXPECT(t, destroy(t, c.out_viommu_id), 0);
}

static void answer_faults(struct rules *t, void *fd)
{
	struct iommu_hwpt_pgfault record[2];
	struct iommu_hwpt_page_response response = {.code = IOMMUFD_PAGE_RESP_SUCCESS};

	EXPECT(t, read(*(int *)fd, record, sizeof(record)), sizeof(record));
	response.cookie = record[1].cookie;
	EXPECT(t, write(*(int *)fd, &response, sizeof(response)), sizeof(response));
}

/* A queue that a child reads: what it leaves is the parent's. */
static void faults_are_answered_by_another_process(struct rules *t)
{
	struct iommu_hwpt_pgfault record;
	struct iommu_hwpt_page_response response = {.code = IOMMUFD_PAGE_RESP_SUCCESS, .cookie = 1};
	uint32_t fault;
	int fd;

	if (!prepared(t))
		return;
	struct mock m = device_of_new_ioas(t);

	EXPECT(t, fault_new(t, &fault, &fd), 0);
	EXPECT(t, mock_attach(t, m.stdev, hwpt_with_faults(t, m.device, m.ioas, 0, fault)), 0);
	for (uint32_t i = 1; i < 4; i++)
		EXPECT(t, fault_trigger(t, m.device, 0, i, AP), 0);
	in_child(t, answer_faults, &fd);
	EXPECT(t, read(fd, &record, sizeof(record)), sizeof(record));
	EXPECT(t, record.grpid, 3);
	EXPECT(t, record.cookie, 2);
	EXPECT(t, write(fd, &response, sizeof(response)), sizeof(response));
	EXPECT(t, transport_close(t->transport, fd), 0);
}

/* A child has the iommufd, and ends: nothing of its parent's ends with it. */
static void end_at_once(struct rules *t, void *arg)
{
	EXPECT(t, destroy(t, *(uint32_t *)arg), -EBUSY);
	EXPECT(t, map_pages(t, *(uint32_t *)arg, 40, 1), 0);
}

static void objects_outlive_a_child(struct rules *t)
{
	if (!prepared(t))
		return;
	struct mock m = device_of_new_ioas(t);

	EXPECT(t, map_pages(t, m.ioas, 0, 1), 0);
	in_child(t, end_at_once, &m.ioas);
	EXPECT(t, check_map(t, m.hwpt, AP, PAGE, MEMORY), 0);
	expect_bytes(t, m.ioas, 2 * PAGE);
}

static const struct rule_case cases[] = {
	CASE("A.20-2", limit_is_that_of_the_user),
	CASE("A.20-3", limit_is_that_of_the_process),
	CASE("A.20-2", limit_of_the_user_is_for_all_processes),
	CASE("A.20-1,A.20-3,A.10-4e", mode_can_be_chosen),
	CASE("A.20-4", page_counts_once_for_each_map),
	CASE("A.20-7", parts_of_a_page_count_as_one),
	CASE("A.20-5,A.13-5g", nothing_counts_before_it_is_pinned),
	CASE("A.20-6", map_that_fails_leaves_the_counters),
	CASE("A.20-1", capability_lifts_the_limit),
	CASE("A.20-8", accesses_count_as_well),
	CASE("A.20-9", buffers_and_files),
	CASE("D.2-6h,A.0-4", container_counts_as_its_file_does),
	CASE("A.12-5", memory_of_files_moves_to_the_caller),
	CASE("B.3-3", memory_of_a_process_that_is_gone),
	CASE("B.3-3", memory_that_is_pinned_outlives_its_process),
	CASE("A.0.4-5", region_that_a_child_has_mapped_is_busy),
	CASE("C.7-15", faults_are_answered_by_another_process),
	CASE("A.1-5", objects_outlive_a_child),
	CASE("B.3-4", map_is_of_the_process_that_made_it),
};

int main(int argc, char **argv)
{
	return rules_main(argc, argv, cases, ARRAY_SIZE(cases));
}
