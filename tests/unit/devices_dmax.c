/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dmax driven by VFIO in one process, while its own thread looks for work: address spaces of PASIDs, page requests that
 * a fault queue answers, unmaps, resets and closes during work. The driver sees the memory at another address than the
 * device does, so that the race detector finds races of ours only.
 */
#include "device_driver.h"

#include "../../examples/dmax/dmax.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { PAGE = 4096, RING = 16, BYTES = 1 << 19, SPACES = 2 };

#define DOORBELLS UINT64_C(0x20000000000) /* BAR 2 in the file of the device */
#define WORK_IOVA UINT64_C(0x10000)
#define FROM_IOVA UINT64_C(0x1000000)
#define TO_IOVA   UINT64_C(0x2000000)

/* What the device reaches at WORK_IOVA: a page. */
struct work {
	struct dmax_descriptor ring[RING];
	struct dmax_record record[RING];
};

/* An address space: memory, as the driver and as the device see it. */
struct space {
	uint32_t ioas, table;
	struct work *work;
	uint8_t *from, *to;
	uint8_t *device; /* a page of work, then BYTES of from and BYTES of to */
	size_t size;
};

static struct driver d;
static uint8_t *doorbells;
static struct space space[SPACES];
static uint32_t tail[DMAX_QUEUES_MAX];
static int faults; /* the fault queue */

/* Memory */

static void space_new(struct space *s, unsigned seed)
{
	int fd = memfd_create("memory", MFD_CLOEXEC);
	uint8_t *own;

	s->size = PAGE + 2 * BYTES;
	CHECK_EQ(ftruncate(fd, (off_t)s->size), 0);
	own = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	s->device = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(own != MAP_FAILED && s->device != MAP_FAILED);
	close(fd);
	s->work = (struct work *)(void *)own;
	s->from = own + PAGE;
	s->to = s->from + BYTES;
	for (unsigned i = 0; i < BYTES; i++)
		s->from[i] = (uint8_t)(i * 13 + i / 251 + seed);
}

static void map(const struct space *s, uint64_t iova, size_t offset, size_t length, uint32_t prot)
{
	struct driver in = d;

	in.ioas = s->ioas;
	driver_map(&in, iova, s->device + offset, length, prot);
}

static void unmap(const struct space *s, uint64_t iova, size_t length)
{
	struct driver in = d;

	in.ioas = s->ioas;
	driver_unmap(&in, iova, length);
}

static void map_all(const struct space *s)
{
	map(s, WORK_IOVA, 0, PAGE, DRIVER_BOTH);
	map(s, FROM_IOVA, PAGE, BYTES, IOMMU_IOAS_MAP_READABLE);
	map(s, TO_IOVA, PAGE + BYTES, BYTES, DRIVER_BOTH);
}

/* The device */

static void attach(uint32_t table, uint32_t pasid)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0, .pt_id = table, .pasid = pasid};

	CHECK_EQ(driver_call(&d, d.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
}

static void detach(uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = pasid};

	CHECK_EQ(driver_call(&d, d.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
}

static void set(unsigned offset, uint32_t value)
{
	CHECK_EQ(iommuse_pwrite(d.system, d.device, &value, 4, (off_t)offset), 4);
}

static uint32_t get(unsigned offset)
{
	uint32_t value = 0;

	CHECK_EQ(iommuse_pread(d.system, d.device, &value, 4, (off_t)offset), 4);
	return value;
}

static uint32_t *door(unsigned queue, unsigned offset)
{
	return (uint32_t *)(void *)(doorbells + DMAX_DOORBELL(queue) + offset);
}

static uint32_t state_of(unsigned queue)
{
	return __atomic_load_n(door(queue, DMAX_D_STATE), __ATOMIC_ACQUIRE);
}

static void start(unsigned queue, uint32_t pasid)
{
	unsigned at = DMAX_QUEUE(queue);

	driver_write(&d, at + DMAX_Q_BASE, WORK_IOVA);
	set(at + DMAX_Q_SIZE, RING);
	set(at + DMAX_Q_PASID, pasid ? DMAX_PASID_VALID | pasid : 0);
	set(at + DMAX_Q_COMMAND, DMAX_COMMAND_START);
	CHECK_EQ(get(at + DMAX_Q_STATE), DMAX_STATE_ENABLED);
	tail[queue] = 0;
}

/* PASIDs 1 and 2 lead to one space each; what has no PASID leads to the first one. */
static void begin(void)
{
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};

	driver_new(&d, "dmax");
	d.iommufd = iommuse_open(d.system, "/dev/iommu", O_RDWR);
	d.device = iommuse_open(d.system, "/dev/vfio/devices/vfio0", O_RDWR);
	bind.iommufd = d.iommufd;
	CHECK_EQ(driver_call(&d, d.device, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	CHECK_EQ(driver_call(&d, d.iommufd, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	faults = (int)fault.out_fault_fd;
	for (unsigned i = 0; i < SPACES; i++) {
		struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
		struct iommu_hwpt_alloc table = {.size = sizeof(table),
						 .flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
						 .dev_id = bind.out_devid,
						 .fault_id = fault.out_fault_id};

		CHECK_EQ(driver_call(&d, d.iommufd, IOMMU_IOAS_ALLOC, &alloc), 0);
		space[i].ioas = table.pt_id = alloc.out_ioas_id;
		CHECK_EQ(driver_call(&d, d.iommufd, IOMMU_HWPT_ALLOC, &table), 0);
		space[i].table = table.out_hwpt_id;
		space_new(&space[i], i);
		map_all(&space[i]);
	}
	attach(space[0].table, 0);
	for (unsigned i = 0; i < SPACES; i++)
		attach(space[i].table, 1 + i);
	doorbells = (uint8_t *)(uintptr_t)driver_area(&d, DOORBELLS, DMAX_QUEUES_MAX * PAGE);
	driver_command(&d, COMMAND_MEMORY | COMMAND_MASTER);
	set(DMAX_CONTROL, DMAX_CONTROL_ENABLE);
}

static void end(void)
{
	munmap(doorbells, DMAX_QUEUES_MAX * (size_t)PAGE);
	CHECK_EQ(iommuse_close(d.system, faults), 0);
	driver_end(&d);
	for (unsigned i = 0; i < SPACES; i++) {
		munmap(space[i].work, space[i].size);
		munmap(space[i].device, space[i].size);
	}
}

/* Work */

static struct dmax_record *submit(const struct space *s, unsigned queue, struct dmax_descriptor descriptor)
{
	unsigned n = tail[queue] % RING;

	descriptor.flags |= DMAX_FLAG_RECORD;
	descriptor.record = WORK_IOVA + offsetof(struct work, record) + n * sizeof(struct dmax_record);
	__atomic_store_n(&s->work->record[n].status, 0, __ATOMIC_RELAXED);
	s->work->ring[n] = descriptor;
	__atomic_store_n(door(queue, DMAX_D_TAIL), ++tail[queue], __ATOMIC_RELEASE);
	return &s->work->record[n];
}

static struct dmax_descriptor copy_of(uint16_t flags, uint32_t offset, uint32_t length)
{
	return (struct dmax_descriptor){.operation = DMAX_COPY,
					.flags = flags,
					.length = length,
					.source = FROM_IOVA + offset,
					.destination = TO_IOVA + offset};
}

/* Returns the status; 0: the queue was halted instead. */
static unsigned wait_for(unsigned queue, const struct dmax_record *record)
{
	for (;;) {
		unsigned status = __atomic_load_n(&record->status, __ATOMIC_ACQUIRE);

		if (status || DMAX_STATE(state_of(queue)) == DMAX_STATE_HALTED)
			return status;
		sched_yield();
	}
}

static bool arrived(const struct space *s, uint32_t offset, uint32_t length)
{
	return !memcmp(s->to + offset, s->from + offset, length);
}

static void queues_work_in_their_address_spaces(void)
{
	begin();
	for (unsigned i = 0; i < SPACES; i++)
		start(i, 1 + i);
	start(3, 0);
	for (unsigned round = 0; round < 50; round++) {
		struct dmax_record *record[SPACES];

		for (unsigned i = 0; i < SPACES; i++) {
			memset(space[i].to, 0, BYTES);
			for (unsigned n = 0; n < 8; n++)
				record[i] = submit(&space[i], i, copy_of(0, n * BYTES / 8, BYTES / 8));
		}
		for (unsigned i = 0; i < SPACES; i++) {
			CHECK_EQ(wait_for(i, record[i]), DMAX_SUCCESS);
			CHECK(arrived(&space[i], 0, BYTES));
			while (__atomic_load_n(door(i, DMAX_D_HEAD), __ATOMIC_ACQUIRE) != tail[i])
				sched_yield();
		}
	}
	end();
}

static void interrupts_come_by_vector(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), errors = eventfd(0, EFD_CLOEXEC);
	eventfd_t value;

	begin();
	start(1, 2);
	driver_irq(&d, VFIO_PCI_MSIX_IRQ_INDEX, DMAX_VECTOR_QUEUE(1), fd);
	driver_irq(&d, VFIO_PCI_MSIX_IRQ_INDEX, DMAX_VECTOR_ERRORS, errors);
	for (unsigned i = 0; i < 50; i++) {
		const struct dmax_record *record = submit(&space[1], 1, copy_of(DMAX_FLAG_INTERRUPT, 0, PAGE));

		CHECK_EQ(eventfd_read(fd, &value), 0);
		CHECK_EQ(value, 1);
		CHECK_EQ(wait_for(1, record), DMAX_SUCCESS);
	}
	__atomic_store_n(door(1, DMAX_D_TAIL), tail[1] + RING + 1, __ATOMIC_RELEASE);
	CHECK_EQ(eventfd_read(errors, &value), 0);
	CHECK_EQ(get(DMAX_QUEUE(1) + DMAX_Q_ERROR), DMAX_ERROR_DOORBELL);
	end();
	close(fd);
	close(errors);
}

/* Page requests */

static struct iommu_hwpt_pgfault next_fault(void)
{
	struct iommu_hwpt_pgfault fault = {0};
	ssize_t n = 0;

	while (!n) {
		n = iommuse_read(d.system, faults, &fault, sizeof(fault));
		sched_yield();
	}
	CHECK_EQ(n, sizeof(fault));
	return fault;
}

static void answer(const struct iommu_hwpt_pgfault *fault, bool success)
{
	struct iommu_hwpt_page_response response = {
		.cookie = fault->cookie,
		.code = success ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID,
	};

	CHECK_EQ(iommuse_write(d.system, faults, &response, sizeof(response)), sizeof(response));
}

/* The whole flow, of each kind of queue: the page is missing, is asked for, comes, and the rest of the work is done. */
static void missing_pages_are_asked_for(void)
{
	begin();
	for (unsigned pasid = 0; pasid <= SPACES; pasid++) {
		const struct space *s = &space[pasid ? pasid - 1 : 0];
		const struct dmax_record *record;
		struct iommu_hwpt_pgfault fault;

		start(pasid, pasid);
		memset(s->to, 0, BYTES);
		unmap(s, TO_IOVA, BYTES);
		map(s, TO_IOVA, PAGE + BYTES, PAGE, DRIVER_BOTH);
		record = submit(s, pasid, copy_of(DMAX_FLAG_BLOCK, 0, BYTES));
		fault = next_fault();
		CHECK_EQ(fault.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE | (pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0));
		CHECK_EQ(fault.pasid, pasid);
		CHECK_EQ(fault.perm, IOMMU_PGFAULT_PERM_WRITE);
		CHECK_EQ(fault.addr & ~(uint64_t)(PAGE - 1), TO_IOVA + PAGE);
		while (!(state_of(pasid) & DMAX_STATE_WAITING))
			sched_yield();
		CHECK(arrived(s, 0, PAGE));
		CHECK_EQ(s->to[PAGE + 1], 0);
		map(s, TO_IOVA + PAGE, 2 * PAGE + BYTES, BYTES - PAGE, DRIVER_BOTH);
		answer(&fault, true);
		CHECK_EQ(wait_for(pasid, record), DMAX_SUCCESS);
		CHECK_EQ(record->done, BYTES);
		CHECK(arrived(s, 0, BYTES));
	}
	end();
}

static void a_refused_page_ends_the_work(void)
{
	const struct dmax_record *record;
	struct iommu_hwpt_pgfault fault;

	begin();
	start(0, 2);
	unmap(&space[1], FROM_IOVA, BYTES);
	record = submit(&space[1], 0, copy_of(DMAX_FLAG_BLOCK, 100, PAGE));
	fault = next_fault();
	CHECK_EQ(fault.perm, IOMMU_PGFAULT_PERM_READ);
	answer(&fault, false);
	CHECK_EQ(wait_for(0, record), DMAX_PAGE_FAULT);
	CHECK_EQ(record->address, FROM_IOVA + 100);
	CHECK_EQ(record->access, DMAX_ACCESS_READ);
	CHECK_EQ(record->done, 0);
	/* And so does a detach, which answers for who has not. */
	record = submit(&space[1], 0, copy_of(DMAX_FLAG_BLOCK, 100, PAGE));
	fault = next_fault();
	detach(2);
	CHECK_EQ(wait_for(0, record), 0);
	CHECK_EQ(get(DMAX_QUEUE(0) + DMAX_Q_ERROR), DMAX_ERROR_RECORD);
	end();
}

static void a_queue_that_waits_is_stopped_and_reset(void)
{
	begin();
	unmap(&space[0], TO_IOVA, BYTES);
	for (unsigned round = 0; round < 60; round++) {
		const struct dmax_record *record;
		struct iommu_hwpt_pgfault fault;

		start(0, 1);
		record = submit(&space[0], 0, copy_of(DMAX_FLAG_BLOCK, 0, PAGE));
		if (round % 2)
			fault = next_fault();
		if (round % 3 == 0) {
			set(DMAX_QUEUE(0) + DMAX_Q_COMMAND, DMAX_COMMAND_STOP);
		} else if (round % 3 == 1) {
			set(DMAX_CONTROL, DMAX_CONTROL_RESET);
		} else {
			CHECK_EQ(driver_call(&d, d.device, VFIO_DEVICE_RESET, NULL), 0);
			driver_command(&d, COMMAND_MEMORY | COMMAND_MASTER);
		}
		set(DMAX_CONTROL, DMAX_CONTROL_ENABLE);
		if (round % 2)
			answer(&fault, round % 4 == 1);
		else
			while (iommuse_read(d.system, faults, &fault, sizeof(fault)) > 0)
				answer(&fault, round % 4 == 2);
		CHECK_EQ(get(DMAX_QUEUE(0) + DMAX_Q_STATE), DMAX_STATE_DISABLED);
		CHECK_EQ(record->status, 0);
	}
	map(&space[0], TO_IOVA, PAGE + BYTES, BYTES, DRIVER_BOTH);
	start(0, 1);
	CHECK_EQ(wait_for(0, submit(&space[0], 0, copy_of(DMAX_FLAG_BLOCK, 0, BYTES))), DMAX_SUCCESS);
	end();
}

/* Against others */

static atomic_bool stop;

/* Maps and unmaps what the device is about to write. */
static void *remap(void *context)
{
	(void)context;
	while (!atomic_load(&stop)) {
		unmap(&space[0], TO_IOVA, BYTES);
		map(&space[0], TO_IOVA, PAGE + BYTES, BYTES, DRIVER_BOTH);
	}
	return NULL;
}

/* Serves the fault queue, saying yes: the page may come soon. */
static void *serve(void *context)
{
	struct iommu_hwpt_pgfault fault;

	(void)context;
	while (!atomic_load(&stop)) {
		if (iommuse_read(d.system, faults, &fault, sizeof(fault)) > 0)
			answer(&fault, true);
		sched_yield();
	}
	return NULL;
}

static void unmapping_during_work_is_a_fault_or_none(void)
{
	pthread_t mapper, server;
	unsigned statuses[16] = {0};

	begin();
	start(0, 1);
	atomic_store(&stop, false);
	CHECK_EQ(pthread_create(&mapper, NULL, remap, NULL), 0);
	CHECK_EQ(pthread_create(&server, NULL, serve, NULL), 0);
	for (unsigned round = 0; round < 300; round++) {
		const struct dmax_record *record =
			submit(&space[0], 0, copy_of(round % 2 ? DMAX_FLAG_BLOCK : 0, 0, BYTES));

		statuses[wait_for(0, record) % 16]++;
		if (record->status == DMAX_PAGE_FAULT) {
			CHECK_EQ(record->access, DMAX_ACCESS_WRITE);
			CHECK_EQ(record->address, TO_IOVA + record->done);
		}
	}
	atomic_store(&stop, true);
	pthread_join(mapper, NULL);
	pthread_join(server, NULL);
	CHECK_EQ(statuses[DMAX_SUCCESS] + statuses[DMAX_PAGE_FAULT], 300);
	CHECK_EQ(wait_for(0, submit(&space[0], 0, copy_of(0, 0, BYTES))), DMAX_SUCCESS);
	CHECK(arrived(&space[0], 0, BYTES));
	end();
}

static void a_reset_during_work_ends_it(void)
{
	begin();
	for (unsigned round = 0; round < 100; round++) {
		start(0, 1);
		for (unsigned i = 0; i < RING; i++)
			submit(&space[0], 0, copy_of(0, 0, BYTES));
		if (round % 2) {
			CHECK_EQ(driver_call(&d, d.device, VFIO_DEVICE_RESET, NULL), 0);
			driver_command(&d, COMMAND_MEMORY | COMMAND_MASTER);
		} else {
			set(DMAX_CONTROL, DMAX_CONTROL_RESET);
		}
		/* From now on nothing is written. */
		memset(space[0].to, 0, BYTES);
		CHECK_EQ(*door(0, DMAX_D_TAIL) | *door(0, DMAX_D_STATE), 0);
		set(DMAX_CONTROL, DMAX_CONTROL_ENABLE);
		CHECK_EQ(get(DMAX_QUEUE(0) + DMAX_Q_STATE), DMAX_STATE_DISABLED);
		CHECK_EQ(space[0].to[1], 0);
	}
	end();
}

static void a_close_during_work_ends_it(void)
{
	for (unsigned round = 0; round < 20; round++) {
		begin();
		start(0, 1);
		for (unsigned i = 0; i < RING; i++)
			submit(&space[0], 0, copy_of(round % 2 ? DMAX_FLAG_BLOCK : 0, 0, BYTES));
		if (round % 2)
			unmap(&space[0], TO_IOVA, BYTES);
		end();
	}
}

int main(void)
{
	queues_work_in_their_address_spaces();
	interrupts_come_by_vector();
	missing_pages_are_asked_for();
	a_refused_page_ends_the_work();
	a_queue_that_waits_is_stopped_and_reset();
	unmapping_during_work_is_a_fault_or_none();
	a_reset_during_work_ends_it();
	a_close_during_work_ends_it();
	return check_result();
}
