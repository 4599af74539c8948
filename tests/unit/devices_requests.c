/* SPDX-License-Identifier: BSD-3-Clause */
/* A model that asks for pages: devices_requests REQUESTS SCRIPT, two shared objects. Who is asked, and which answers
 * come back. */
#include "device_driver.h"
#include "model_script.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

enum { PASID = 9, GROUPS = 512, PASIDS = IOMMU_HWPT_ALLOC_PASID };

#define ADDRESS UINT64_C(0x12345000)

static struct model_script *script;
static struct driver driver;
static struct {
	uint32_t fault, hwpt, plain_hwpt, device;
	int fd;
} queue;

/* The model */

static void (*job)(struct iommuse_device *device);
static bool in_callback;

static void do_job(struct iommuse_device *device, uint64_t offset, unsigned width, uint64_t value)
{
	(void)offset;
	(void)width;
	(void)value;
	in_callback = true;
	job(device);
	in_callback = false;
}

static void run(void (*function)(struct iommuse_device *device))
{
	job = function;
	driver_write(&driver, 8, 1);
}

static struct {
	atomic_uint count;
	atomic_uint granted[GROUPS], refused[GROUPS];
	atomic_uint pasid; /* of the last */
} answers;

static void (*on_answer)(struct iommuse_device *device, uint32_t group);

static void hear_answer(struct iommuse_device *device, uint32_t pasid, uint32_t group, bool success)
{
	CHECK(!in_callback);
	CHECK(group < GROUPS);
	atomic_store(&answers.pasid, pasid);
	atomic_fetch_add(success ? &answers.granted[group] : &answers.refused[group], 1);
	if (on_answer)
		on_answer(device, group);
	atomic_fetch_add(&answers.count, 1);
}

static void wait_for_answers(unsigned n)
{
	while (atomic_load(&answers.count) < n)
		sched_yield();
	CHECK_EQ(atomic_load(&answers.count), n);
}

static void forget_answers(void)
{
	memset(&answers, 0, sizeof(answers));
}

/* The driver */

static void alloc_hwpt(uint32_t flags, uint32_t *id)
{
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc),
					 .flags = flags,
					 .dev_id = queue.device,
					 .pt_id = driver.ioas,
					 .fault_id = queue.fault};

	CHECK_EQ(driver_call(&driver, driver.iommufd, IOMMU_HWPT_ALLOC, &alloc), 0);
	*id = alloc.out_hwpt_id;
}

static void attach(uint32_t pasid, uint32_t hwpt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = pasid ? VFIO_DEVICE_ATTACH_PASID : 0, .pt_id = hwpt, .pasid = pasid};

	CHECK_EQ(driver_call(&driver, driver.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd), 0);
}

static void detach(uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = pasid ? VFIO_DEVICE_DETACH_PASID : 0, .pasid = pasid};

	CHECK_EQ(driver_call(&driver, driver.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd), 0);
}

/* The device, and its PASID, are attached to a page table that has a queue. */
static void begin(const char *object)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};

	*script = (struct model_script){.write = do_job, .page_response = hear_answer};
	on_answer = NULL;
	forget_answers();
	driver_new(&driver, object);
	driver.iommufd = iommuse_open(driver.system, "/dev/iommu", O_RDWR);
	driver.device = iommuse_open(driver.system, "/dev/vfio/devices/vfio0", O_RDWR);
	bind.iommufd = driver.iommufd;
	CHECK_EQ(driver_call(&driver, driver.device, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	CHECK_EQ(driver_call(&driver, driver.iommufd, IOMMU_IOAS_ALLOC, &ioas), 0);
	CHECK_EQ(driver_call(&driver, driver.iommufd, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	driver.ioas = ioas.out_ioas_id;
	queue.device = bind.out_devid;
	queue.fault = fault.out_fault_id;
	queue.fd = (int)fault.out_fault_fd;
	alloc_hwpt((uint32_t)PASIDS | (uint32_t)IOMMU_HWPT_FAULT_ID_VALID, &queue.hwpt);
	alloc_hwpt(PASIDS, &queue.plain_hwpt);
	attach(0, queue.hwpt);
	attach(PASID, queue.hwpt);
	driver_command(&driver, COMMAND_MEMORY | COMMAND_MASTER);
}

static void end(void)
{
	driver_close(&driver);
	CHECK_EQ(iommuse_close(driver.system, queue.fd), 0);
	iommuse_free(driver.system);
}

/* Waits for one. */
static struct iommu_hwpt_pgfault next_fault(void)
{
	struct iommu_hwpt_pgfault fault = {0};
	ssize_t n;

	while (!(n = iommuse_read(driver.system, queue.fd, &fault, sizeof(fault))))
		sched_yield();
	CHECK_EQ(n, sizeof(fault));
	return fault;
}

static ssize_t respond(uint32_t cookie, uint32_t code)
{
	const struct iommu_hwpt_page_response response = {.cookie = cookie, .code = code};

	return iommuse_write(driver.system, queue.fd, &response, sizeof(response));
}

static void expect_none(void)
{
	struct iommu_hwpt_pgfault fault;

	CHECK_EQ(iommuse_read(driver.system, queue.fd, &fault, sizeof(fault)), 0);
}

enum { GRANT = IOMMUFD_PAGE_RESP_SUCCESS, REFUSE = IOMMUFD_PAGE_RESP_INVALID };

/* Tests */

static void job_ask(struct iommuse_device *device)
{
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, IOMMUSE_READ | IOMMUSE_WRITE, 511), 0);
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, IOMMUSE_READ, 511), -EBUSY);
	CHECK_EQ(iommuse_page_request(device, 0, ADDRESS + 4096, IOMMUSE_READ, 3), 0);
}

static void job_ask_wrongly(struct iommuse_device *device)
{
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, IOMMUSE_READ, GROUPS), -EINVAL);
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, IOMMUSE_READ, UINT32_MAX), -EINVAL);
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, 0, 1), -EINVAL);
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, 4, 1), -EINVAL);
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, 7, 1), -EINVAL);
}

static void the_driver_answers(const char *object)
{
	struct iommu_hwpt_pgfault first, second;

	begin(object);
	run(job_ask_wrongly);
	run(job_ask);
	first = next_fault();
	CHECK_EQ(first.flags, IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	CHECK_EQ(first.pasid, PASID);
	CHECK_EQ(first.grpid, 511);
	CHECK_EQ(first.perm, IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE);
	CHECK_EQ(first.addr, ADDRESS);
	CHECK_EQ(first.dev_id, queue.device);
	second = next_fault();
	CHECK_EQ(second.flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	CHECK_EQ(second.grpid, 3);
	CHECK_EQ(second.perm, IOMMU_PGFAULT_PERM_READ);
	CHECK_EQ(second.addr, ADDRESS + 4096);
	CHECK_EQ(atomic_load(&answers.count), 0);
	CHECK_EQ(respond(second.cookie, REFUSE), sizeof(struct iommu_hwpt_page_response));
	wait_for_answers(1);
	CHECK_EQ(answers.refused[3], 1);
	CHECK_EQ(answers.pasid, 0);
	CHECK_EQ(respond(first.cookie, GRANT), sizeof(struct iommu_hwpt_page_response));
	wait_for_answers(2);
	CHECK_EQ(answers.granted[511], 1);
	CHECK_EQ(answers.pasid, PASID);
	expect_none();
	end();
}

static void job_ask_pasid(struct iommuse_device *device)
{
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, IOMMUSE_READ, 511), 0);
	CHECK_EQ(iommuse_page_request(device, 0, ADDRESS, IOMMUSE_READ, 3), -EBUSY);
}

/* Without a queue, without an attachment, or with one that ends. */
static void who_cannot_answer_refuses(const char *object)
{
	begin(object);
	attach(0, queue.plain_hwpt);
	attach(PASID, queue.plain_hwpt);
	run(job_ask);
	wait_for_answers(2);
	CHECK(answers.refused[511] == 1 && answers.refused[3] == 1);
	detach(PASID);
	run(job_ask);
	wait_for_answers(4);
	CHECK(answers.refused[511] == 2 && answers.refused[3] == 2);
	attach(0, queue.hwpt);
	attach(PASID, queue.hwpt);
	run(job_ask);
	CHECK_EQ(next_fault().grpid, 511);
	detach(PASID); /* what is delivered */
	wait_for_answers(5);
	CHECK_EQ(answers.refused[511], 3);
	CHECK_EQ(next_fault().grpid, 3);
	run(job_ask_pasid); /* the other one still waits */
	wait_for_answers(6);
	attach(0, queue.plain_hwpt);
	wait_for_answers(7);
	CHECK_EQ(answers.refused[3], 3);
	expect_none();
	end();
}

static void job_ask_one(struct iommuse_device *device)
{
	CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, IOMMUSE_READ, 3), 0);
}

/* Whichever is answered first. */
static void a_reset_forgets(const char *object)
{
	struct iommu_hwpt_pgfault before, after, last;

	begin(object);
	run(job_ask_one);
	before = next_fault();
	CHECK_EQ(driver_call(&driver, driver.device, VFIO_DEVICE_RESET, NULL), 0);
	run(job_ask_one); /* the group is free again */
	after = next_fault();
	CHECK(after.grpid != before.grpid);
	respond(after.cookie, REFUSE);
	wait_for_answers(1);
	CHECK_EQ(answers.refused[3], 1);
	run(job_ask_one);
	last = next_fault();
	CHECK(last.grpid != before.grpid);
	respond(before.cookie, REFUSE);
	respond(last.cookie, GRANT);
	wait_for_answers(2);
	CHECK_EQ(answers.granted[3], 1);
	CHECK_EQ(answers.refused[3], 1);
	run(job_ask_one);
	last = next_fault();
	CHECK_EQ(last.grpid, 3);
	respond(last.cookie, REFUSE);
	wait_for_answers(3);
	/* And so does the end. */
	run(job_ask_one);
	next_fault();
	driver_close(&driver);
	CHECK_EQ(atomic_load(&answers.count), 3);
	CHECK_EQ(iommuse_close(driver.system, queue.fd), 0);
	iommuse_free(driver.system);
}

static void job_ask_all(struct iommuse_device *device)
{
	for (uint32_t group = 0; group < GROUPS; group++)
		CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS + group, IOMMUSE_READ, group), 0);
}

/* What was forgotten keeps its number until it is answered, and others wait for that. */
static void all_groups_are_forgotten_at_once(const char *object)
{
	struct iommu_hwpt_pgfault first, fault;

	begin(object);
	run(job_ask_all);
	first = next_fault();
	for (uint32_t i = 1; i < GROUPS; i++)
		next_fault();
	CHECK_EQ(driver_call(&driver, driver.device, VFIO_DEVICE_RESET, NULL), 0);
	driver_command(&driver, COMMAND_MEMORY | COMMAND_MASTER);
	run(job_ask_one);
	for (unsigned i = 0; i < 1000; i++) {
		sched_yield();
		expect_none();
	}
	respond(first.cookie, REFUSE);
	fault = next_fault();
	CHECK_EQ(fault.grpid, first.grpid);
	respond(fault.cookie, GRANT);
	wait_for_answers(1);
	CHECK_EQ(answers.granted[3], 1);
	detach(PASID);
	run(job_ask_one);
	wait_for_answers(2);
	CHECK_EQ(answers.refused[3], 1);
	end();
}

static void ask_again(struct iommuse_device *device, uint32_t group)
{
	if (atomic_load(&answers.granted[group]) == 1)
		CHECK_EQ(iommuse_page_request(device, PASID, ADDRESS, IOMMUSE_READ, group), 0);
}

static void all_groups_wait_at_once(const char *object)
{
	begin(object);
	on_answer = ask_again;
	run(job_ask_all);
	for (unsigned round = 0; round < 2; round++) {
		for (uint32_t group = 0; group < GROUPS; group++) {
			struct iommu_hwpt_pgfault fault = next_fault();

			CHECK_EQ(fault.grpid, group); /* in their order */
			respond(fault.cookie, GRANT);
		}
	}
	wait_for_answers(2 * GROUPS);
	for (uint32_t group = 0; group < GROUPS; group++)
		CHECK_EQ(answers.granted[group], 2);
	end();
}

static int refusal;

static void job_refused(struct iommuse_device *device)
{
	CHECK_EQ(iommuse_page_request(device, 0, ADDRESS, IOMMUSE_READ, 0), refusal);
}

static void who_may_not_do_dma_cannot_ask(const char *object)
{
	begin(object);
	driver_command(&driver, COMMAND_MEMORY);
	refusal = -EFAULT;
	run(job_refused);
	expect_none();
	end();
}

/* A model without page requests. */
static void who_never_asks_cannot(const char *object, struct model_script *its_script)
{
	*its_script = (struct model_script){.write = do_job};
	driver_begin(&driver, object);
	refusal = -EOPNOTSUPP;
	run(job_refused);
	driver_end(&driver);
}

int main(int argc, char **argv)
{
	void *library = argc > 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	void *other = argc > 2 ? dlopen(argv[2], RTLD_NOW | RTLD_LOCAL) : NULL;

	CHECK(library && other);
	if (!library || !other)
		return check_result();
	script = dlsym(library, "model_script");
	the_driver_answers(argv[1]);
	who_cannot_answer_refuses(argv[1]);
	a_reset_forgets(argv[1]);
	all_groups_are_forgotten_at_once(argv[1]);
	all_groups_wait_at_once(argv[1]);
	who_may_not_do_dma_cannot_ask(argv[1]);
	who_never_asks_cannot(argv[2], dlsym(other, "model_script"));
	dlclose(library);
	dlclose(other);
	return check_result();
}
