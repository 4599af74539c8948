/* SPDX-License-Identifier: BSD-3-Clause */
/* What a model can do with its device: devices_ops SCRIPT, a shared object. The test's functions run as its callbacks.
 */
#include "device_driver.h"
#include "model_script.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

enum { PAGES = 64, PAGE = 4096, BYTES = PAGES * PAGE };

#define IOVA      UINT64_C(0x100000) /* of the memory */
#define READ_ONLY UINT64_C(0x200000) /* of its first page */
#define BLIND     UINT64_C(0x300000) /* the same, not to be read */
#define SPLIT     UINT64_C(0x400000) /* of its first two pages, one by one, the second first */
#define NOWHERE   UINT64_C(0x10000000)

static struct model_script *script;
static const char *object;
static struct driver driver;
static uint8_t *memory;

/* Runs a function as a callback: a write to a trapped register. */
static void (*job)(struct iommuse_device *device);

static void do_job(struct iommuse_device *device, uint64_t offset, unsigned width, uint64_t value)
{
	CHECK_EQ(offset, 8);
	CHECK_EQ(width, 8);
	CHECK_EQ(value, 1);
	job(device);
}

static void run(void (*function)(struct iommuse_device *device))
{
	job = function;
	driver_write(&driver, 8, 1);
}

static void begin(void)
{
	*script = (struct model_script){.write = do_job};
	memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < BYTES; i++)
		memory[i] = (uint8_t)(i * 11 + i / 256);
	driver_begin(&driver, object);
	driver_map(&driver, IOVA, memory, BYTES, DRIVER_BOTH);
	driver_map(&driver, READ_ONLY, memory, PAGE, IOMMU_IOAS_MAP_READABLE);
	driver_map(&driver, BLIND, memory, PAGE, IOMMU_IOAS_MAP_WRITEABLE);
	driver_map(&driver, SPLIT, memory + PAGE, PAGE, DRIVER_BOTH);
	driver_map(&driver, SPLIT + PAGE, memory, PAGE, DRIVER_BOTH);
}

static void end(void)
{
	driver_end(&driver);
	munmap(memory, BYTES);
	CHECK_EQ(script->destroyed, 1);
}

static void check_fault(const struct iommuse_fault *fault, uint64_t iova, uint32_t reason)
{
	CHECK_EQ(fault->iova, iova);
	CHECK_EQ(fault->reason, reason);
	CHECK_EQ(fault->pasid, 0);
}

/* Registers and areas */

static uint64_t read_offset(struct iommuse_device *device, uint64_t offset, unsigned width)
{
	(void)device;
	return offset << 8 | width;
}

static void job_areas(struct iommuse_device *device)
{
	uint32_t *area = iommuse_memory(device, 0, SCRIPT_AREA + 16);

	CHECK(area);
	CHECK_EQ(*area, 77);
	*area = 78;
	CHECK(iommuse_memory(device, 0, SCRIPT_AREA + 0x1fff));
	CHECK(!iommuse_memory(device, 0, SCRIPT_AREA - 1));
	CHECK(!iommuse_memory(device, 0, SCRIPT_AREA + 0x2000));
	CHECK(!iommuse_memory(device, 0, UINT64_MAX));
	CHECK(!iommuse_memory(device, 1, 0));
	CHECK(!iommuse_memory(device, 6, 0));
}

static void an_area_is_shared_and_the_rest_is_trapped(void)
{
	volatile uint32_t *area;

	begin();
	area = (volatile uint32_t *)driver_area(&driver, SCRIPT_AREA, 0x2000);
	area[4] = 77;
	run(job_areas);
	CHECK_EQ(area[4], 78);
	munmap((void *)area, 0x2000);
	script->read = read_offset;
	CHECK_EQ(driver_read(&driver, 0x20), 0x2008);
	end();
}

/* DMA */

static void job_copy(struct iommuse_device *device)
{
	uint8_t bytes[100];
	struct iommuse_fault fault;

	CHECK_EQ(iommuse_dma_read(device, 0, IOVA + 50, bytes, sizeof(bytes), NULL), 0);
	CHECK(!memcmp(bytes, memory + 50, sizeof(bytes)));
	CHECK_EQ(iommuse_dma_write(device, 0, IOVA + 8192, bytes, sizeof(bytes), &fault), 0);
	CHECK(!memcmp(bytes, memory + 8192, sizeof(bytes)));
	CHECK_EQ(iommuse_dma_copy(device, 0, IOVA + BYTES / 2, IOVA, BYTES / 2, &fault), 0);
	CHECK(!memcmp(memory, memory + BYTES / 2, BYTES / 2));
	/* Of several pieces, and to the same memory at another IOVA. */
	CHECK_EQ(iommuse_dma_copy(device, 0, IOVA + 5 * PAGE, SPLIT + 100, 2 * PAGE - 200, &fault), 0);
	CHECK(!memcmp(memory + 5 * PAGE, memory + PAGE + 100, PAGE - 100));
	CHECK(!memcmp(memory + 6 * PAGE - 100, memory, PAGE - 100));
	memory[PAGE - 1] = 1;
	CHECK_EQ(iommuse_dma_copy(device, 0, SPLIT + PAGE + 1, READ_ONLY, PAGE - 1, &fault), 0);
	CHECK_EQ(iommuse_dma_copy(device, 0, IOVA, IOVA + 1, 0, &fault), 0);
}

static void job_fault(struct iommuse_device *device)
{
	struct iommuse_fault fault = {0};
	uint8_t bytes[2 * PAGE];

	memset(bytes, 0x55, sizeof(bytes));
	CHECK_EQ(iommuse_dma_read(device, 0, NOWHERE, bytes, 1, NULL), -EFAULT);
	CHECK_EQ(iommuse_dma_read(device, 0, READ_ONLY + PAGE - 1, bytes, 2, &fault), -EFAULT);
	check_fault(&fault, READ_ONLY + PAGE, IOMMUSE_FAULT_NOT_MAPPED);
	CHECK_EQ(bytes[0], memory[PAGE - 1]);
	CHECK_EQ(iommuse_dma_read(device, 0, BLIND, bytes, 1, &fault), -EFAULT);
	check_fault(&fault, BLIND, IOMMUSE_FAULT_WRITE_ONLY);
	CHECK_EQ(iommuse_dma_write(device, 0, READ_ONLY + 5, bytes, 1, &fault), -EFAULT);
	check_fault(&fault, READ_ONLY + 5, IOMMUSE_FAULT_READ_ONLY);
	CHECK_EQ(iommuse_dma_copy(device, 0, IOVA + PAGE, NOWHERE, 8, &fault), -EFAULT);
	check_fault(&fault, NOWHERE, IOMMUSE_FAULT_NOT_MAPPED);
	CHECK_EQ(iommuse_dma_copy(device, 0, READ_ONLY, IOVA + PAGE, 8, &fault), -EFAULT);
	check_fault(&fault, READ_ONLY, IOMMUSE_FAULT_READ_ONLY);
	/* What comes before is copied: from the end of one map, and to it. */
	memset(memory + PAGE, 0, 8192);
	CHECK_EQ(iommuse_dma_copy(device, 0, IOVA + PAGE, READ_ONLY + 96, PAGE, &fault), -EFAULT);
	check_fault(&fault, READ_ONLY + PAGE, IOMMUSE_FAULT_NOT_MAPPED);
	CHECK(!memcmp(memory + PAGE, memory + 96, PAGE - 96));
	CHECK_EQ(memory[PAGE + PAGE - 96], 0);
	CHECK_EQ(iommuse_dma_copy(device, 0, UINT64_MAX - 3, IOVA, 100, &fault), -EFAULT);
	CHECK_EQ(iommuse_dma_copy(device, 0, IOVA, UINT64_MAX - 3, 100, NULL), -EFAULT);
	CHECK_EQ(iommuse_dma_read(device, 5, IOVA, bytes, 1, &fault), -EFAULT);
	CHECK_EQ(fault.pasid, 5);
	CHECK_EQ(fault.reason, IOMMUSE_FAULT_NO_DOMAIN);
}

static void job_no_master(struct iommuse_device *device)
{
	struct iommuse_mapping mapping;
	struct iommuse_fault fault = {0};
	uint8_t byte;

	CHECK_EQ(iommuse_dma_read(device, 0, IOVA, &byte, 1, &fault), -EFAULT);
	check_fault(&fault, IOVA, IOMMUSE_FAULT_BUS_MASTER);
	CHECK_EQ(iommuse_dma_write(device, 0, IOVA + 1, &byte, 1, &fault), -EFAULT);
	check_fault(&fault, IOVA + 1, IOMMUSE_FAULT_BUS_MASTER);
	CHECK_EQ(iommuse_dma_copy(device, 0, IOVA + 2, IOVA + 3, 1, &fault), -EFAULT);
	check_fault(&fault, IOVA + 3, IOMMUSE_FAULT_BUS_MASTER);
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA + 4, 1, IOMMUSE_READ, &mapping, &fault), -EFAULT);
	check_fault(&fault, IOVA + 4, IOMMUSE_FAULT_BUS_MASTER);
}

static void a_model_copies_by_dma(void)
{
	begin();
	run(job_copy);
	run(job_fault);
	driver_command(&driver, COMMAND_MEMORY);
	run(job_no_master);
	end();
}

/* Borrowed memory */

static void job_borrow(struct iommuse_device *device)
{
	struct iommuse_mapping a, b, c, d, e;
	struct iommuse_fault fault;
	uint8_t byte;

	CHECK_EQ(iommuse_dma_map(device, 0, IOVA, 0, IOMMUSE_READ, &a, &fault), -EINVAL);
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA, 65537, IOMMUSE_READ, &a, &fault), -EINVAL);
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA, 1, 0, &a, &fault), -EINVAL);
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA, 1, 4, &a, &fault), -EINVAL);
	CHECK_EQ(iommuse_dma_map(device, 0, NOWHERE, 1, IOMMUSE_READ, &a, &fault), -EFAULT);
	check_fault(&fault, NOWHERE, IOMMUSE_FAULT_NOT_MAPPED);
	CHECK_EQ(iommuse_dma_map(device, 0, READ_ONLY, 1, IOMMUSE_WRITE, &a, NULL), -EFAULT);
	CHECK_EQ(iommuse_dma_map(device, 0, READ_ONLY + PAGE - 1, 2, IOMMUSE_READ, &a, &fault), -EFAULT);
	check_fault(&fault, READ_ONLY + PAGE, IOMMUSE_FAULT_NOT_MAPPED);

	/* In place, up to four; all else works meanwhile. */
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA + 3, 65536, IOMMUSE_READ, &a, &fault), 0);
	CHECK(a.memory == memory + 3);
	CHECK_EQ(a.length, 65536);
	CHECK_EQ(a.iova, IOVA + 3);
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA + PAGE, 8, (enum iommuse_direction)3, &b, &fault), 0);
	CHECK(b.memory == memory + PAGE);
	CHECK_EQ(iommuse_dma_map(device, 0, SPLIT + PAGE - 8, 16, (enum iommuse_direction)3, &c, &fault), 0);
	CHECK(!memcmp(c.memory, memory + 2 * PAGE - 8, 8));
	CHECK(!memcmp((uint8_t *)c.memory + 8, memory, 8));
	CHECK_EQ(iommuse_dma_map(device, 0, SPLIT + PAGE - 8, 16, IOMMUSE_WRITE, &d, &fault), 0);
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA, 1, IOMMUSE_READ, &e, &fault), -EBUSY);
	CHECK_EQ(iommuse_dma_read(device, 0, IOVA + 9, &byte, 1, &fault), 0);
	CHECK_EQ(byte, memory[9]);
	CHECK_EQ(iommuse_dma_read(device, 0, NOWHERE, &byte, 1, &fault), -EFAULT);
	CHECK_EQ(iommuse_dma_copy(device, 0, IOVA + 20 * PAGE, IOVA, PAGE, &fault), 0);

	/* A copy is written back. */
	memset(c.memory, 0xcc, 16);
	CHECK(memory[0] != 0xcc);
	iommuse_dma_unmap(device, &c);
	CHECK_EQ(memory[0], 0xcc);
	CHECK_EQ(memory[7], 0xcc);
	CHECK_EQ(memory[2 * PAGE - 1], 0xcc);
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA + PAGE, 1, IOMMUSE_WRITE, &e, &fault), 0);
	iommuse_dma_unmap(device, &e);
	iommuse_dma_unmap(device, &e); /* twice is harmless */
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA + PAGE, 1, IOMMUSE_WRITE, &e, &fault), 0);
	memset(d.memory, 0xdd, 16);
	/* The rest is given back by the end of the callback. */
}

static void job_borrow_again(struct iommuse_device *device)
{
	struct iommuse_mapping mapping;

	CHECK_EQ(memory[0], 0xdd);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(iommuse_dma_map(device, 0, IOVA, 8, IOMMUSE_READ, &mapping, NULL), 0);
	CHECK_EQ(iommuse_dma_map(device, 0, IOVA, 8, IOMMUSE_READ, &mapping, NULL), -EBUSY);
}

static void memory_is_borrowed_until_the_end_of_the_callback(void)
{
	begin();
	run(job_borrow);
	run(job_borrow_again);
	driver_unmap(&driver, IOVA, BYTES);
	end();
}

static atomic_bool borrowed, unmapping, unmapped;

static void job_hold(struct iommuse_device *device)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	struct iommuse_mapping mapping;

	CHECK_EQ(iommuse_dma_map(device, 0, IOVA, 8, IOMMUSE_WRITE, &mapping, NULL), 0);
	atomic_store(&borrowed, true);
	while (!atomic_load(&unmapping))
		sched_yield();
	nanosleep(&moment, NULL); /* so that an unmap that does not wait is noticed */
	CHECK(!atomic_load(&unmapped));
	memset(mapping.memory, 0xee, 8);
	iommuse_dma_unmap(device, &mapping);
}

static void *unmap_while_borrowed(void *context)
{
	(void)context;
	while (!atomic_load(&borrowed))
		sched_yield();
	atomic_store(&unmapping, true);
	driver_unmap(&driver, IOVA, BYTES);
	atomic_store(&unmapped, true);
	return NULL;
}

static void an_unmap_waits_for_what_is_borrowed(void)
{
	pthread_t thread;

	begin();
	CHECK_EQ(pthread_create(&thread, NULL, unmap_while_borrowed, NULL), 0);
	run(job_hold);
	pthread_join(thread, NULL);
	CHECK_EQ(memory[7], 0xee);
	end();
}

/* Interrupts */

static unsigned vectors;

static void job_interrupt(struct iommuse_device *device)
{
	vectors = iommuse_vectors(device);
	iommuse_raise(device, 2);
	iommuse_raise(device, SCRIPT_VECTORS);
	iommuse_set_intx(device, true);
}

static void job_deassert(struct iommuse_device *device)
{
	iommuse_set_intx(device, false);
}

/* It may come from another thread. */
static uint64_t signals(int fd)
{
	eventfd_t count = 0;

	CHECK_EQ(eventfd_read(fd, &count), 0);
	return count;
}

static void a_model_interrupts(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	begin();
	run(job_interrupt);
	CHECK_EQ(vectors, 0);
	run(job_deassert);
	driver_irq(&driver, VFIO_PCI_INTX_IRQ_INDEX, 0, fd);
	run(job_interrupt);
	CHECK_EQ(vectors, 0);
	CHECK_EQ(signals(fd), 1);
	run(job_deassert);
	driver_irq_none(&driver, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_TRIGGER, 0);
	driver_irq(&driver, VFIO_PCI_MSIX_IRQ_INDEX, 2, fd);
	run(job_interrupt);
	CHECK_EQ(vectors, 3);
	CHECK_EQ(signals(fd), 1);
	end();
	close(fd);
}

/* Looking for work */

static atomic_uint polls, wanted_polls;
static atomic_int open_polls;

static bool count_polls(struct iommuse_device *device)
{
	CHECK(iommuse_memory(device, 0, SCRIPT_AREA));
	atomic_fetch_add(&polls, 1);
	if (atomic_load(&wanted_polls)) {
		atomic_fetch_sub(&wanted_polls, 1);
		return true;
	}
	return false;
}

static void job_nothing(struct iommuse_device *device)
{
	(void)device;
}

static void wait_for_polls(unsigned n)
{
	unsigned begin_at = atomic_load(&polls);

	while (atomic_load(&polls) - begin_at < n)
		sched_yield();
}

static void a_device_is_polled_while_it_is_open(void)
{
	unsigned before;

	begin();
	script->write = do_job;
	driver_close(&driver);
	script->poll = count_polls;
	driver_open(&driver);
	wait_for_polls(20);
	atomic_store(&wanted_polls, 10000);
	wait_for_polls(10000);
	run(job_nothing);
	wait_for_polls(1);
	driver_close(&driver);
	before = atomic_load(&polls);
	CHECK_EQ(usleep(5000), 0);
	CHECK_EQ(atomic_load(&polls), before);
	driver_open(&driver);
	wait_for_polls(3);
	end();
}

/* The processor time of the device's thread, in ns; 0: it is not told. */
static uint64_t poller_time(void)
{
	DIR *tasks = opendir("/proc/self/task");
	uint64_t time = 0;

	for (const struct dirent *task; tasks && (task = readdir(tasks));) {
		char path[300], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (!fgets(name, sizeof(name), file))
			name[0] = 0;
		fclose(file);
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", task->d_name);
		file = !strcmp(name, "iommuse-device\n") ? fopen(path, "re") : NULL;
		if (file && fscanf(file, "%" SCNu64, &time) != 1)
			time = 0;
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return time;
}

static atomic_bool waking;
static uint64_t waking_time; /* in ns */

/* Wakes up as often as a device that rests most, and does nothing else. */
static void *wake_up(void *context)
{
	const struct timespec nap = {.tv_nsec = 8000000};
	struct timespec used;

	prctl(PR_SET_TIMERSLACK, 1000);
	while (atomic_load(&waking))
		nanosleep(&nap, NULL);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	waking_time = (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
	return context;
}

/* Of the engine, which has registers to look at. Where the machine is busy, waking up may cost more for a while: that
 * alone may then take the most that is allowed, and no device rests longer. */
static void an_idle_device_takes_half_a_percent_of_a_processor(void)
{
	const struct timespec time = {.tv_sec = getenv("IOMMUSE_TEST_LONG") ? 10 : 1};
	double percent = 100, woken = 0;
	/* Sanitizers make each look dearer, and naps have an end. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	const double most = 5;
#else
	const double most = 0.5;
#endif

	driver_begin(&driver, "ioat");
	CHECK_EQ(usleep(400000), 0); /* it is tired only after a while */
	for (unsigned i = 0; i < 20 && percent > most && percent > 2 * woken; i++) {
		uint64_t before = poller_time();
		pthread_t thread;

		atomic_store(&waking, true);
		CHECK_EQ(pthread_create(&thread, NULL, wake_up, NULL), 0);
		nanosleep(&time, NULL);
		percent = (double)(poller_time() - before) / (double)time.tv_sec / 1e7;
		atomic_store(&waking, false);
		pthread_join(thread, NULL);
		woken = (double)waking_time / (double)time.tv_sec / 1e7;
		printf("idle: %.3f %% of a processor, and %.3f %% just to wake up\n", percent, woken);
	}
	CHECK(percent <= most || percent <= 2 * woken);
	driver_end(&driver);
}

/* Who wants a register, or a reset, has it although the model is busy. */
static bool always_busy(struct iommuse_device *device)
{
	(void)device;
	atomic_fetch_add(&polls, 1);
	for (unsigned i = 0; i < 1000; i++)
		atomic_fetch_add(&open_polls, 1);
	return true;
}

static void a_busy_model_keeps_nobody_waiting(void)
{
	begin();
	driver_close(&driver);
	script->poll = always_busy;
	driver_open(&driver);
	for (unsigned i = 0; i < 200; i++) {
		run(job_nothing);
		CHECK_EQ(driver_call(&driver, driver.device, VFIO_DEVICE_RESET, NULL), 0);
	}
	end();
}

/* Resets */

static atomic_uint resets;

static void count_reset(struct iommuse_device *device)
{
	uint32_t *area = iommuse_memory(device, 0, SCRIPT_AREA);

	atomic_fetch_add(&resets, 1);
	CHECK(!area || !*area);
}

static void a_model_is_reset_at_each_end(void)
{
	volatile uint32_t *area;

	begin();
	driver_close(&driver);
	script->reset = count_reset;
	atomic_store(&resets, 0);
	driver_open(&driver);
	CHECK_EQ(atomic_load(&resets), 1);
	area = (volatile uint32_t *)driver_area(&driver, SCRIPT_AREA, PAGE);
	*area = 5;
	CHECK_EQ(driver_call(&driver, driver.device, VFIO_DEVICE_RESET, NULL), 0);
	CHECK_EQ(*area, 0);
	CHECK_EQ(atomic_load(&resets), 2);
	munmap((void *)area, PAGE);
	driver_close(&driver);
	CHECK_EQ(atomic_load(&resets), 3);
	driver_open(&driver);
	end();
	CHECK_EQ(atomic_load(&resets), 5);
}

int main(int argc, char **argv)
{
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;

	CHECK(library);
	if (!library)
		return check_result();
	object = argv[1];
	script = dlsym(library, "model_script");
	an_area_is_shared_and_the_rest_is_trapped();
	a_model_copies_by_dma();
	memory_is_borrowed_until_the_end_of_the_callback();
	an_unmap_waits_for_what_is_borrowed();
	a_model_interrupts();
	a_device_is_polled_while_it_is_open();
	an_idle_device_takes_half_a_percent_of_a_processor();
	a_busy_model_keeps_nobody_waiting();
	a_model_is_reset_at_each_end();
	dlclose(library);
	return check_result();
}
