/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue of page faults: who gets a group, who answers it, and what a client does to it meanwhile. */
#include "fake_device.h"

#include <poll.h>

static const struct iommu_driver driver = {.name = "fake", .page_response = fake_page_response};
static struct iommufd_config config;
static struct fake fake;
static struct client_ops ops; /* the fake client's, but for what a test changes */
static struct file *file;
static struct fake_device one, two;

static void begin(void)
{
	fake_init(&fake);
	ops = fake_ops;
	fake.client.ops = &ops;
	CHECK_EQ(iommufd_open(&config, false, &file), 0);
	fake_device_begin(&one, &driver, file, &fake.client);
	fake_device_begin(&two, &driver, file, &fake.client);
}

static void end(void)
{
	fake_device_end(&one);
	fake_device_end(&two);
	file_put(file);
}

static long call(unsigned cmd, void *arg, size_t size)
{
	long rc;

	memcpy(fake.memory, arg, size);
	rc = file->ops->ioctl(file, &fake.client, cmd, fake_at(&fake, 0));
	memcpy(arg, fake.memory, size);
	return rc;
}

static long destroy(uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return call(IOMMU_DESTROY, &cmd, sizeof(cmd));
}

static uint32_t fault_alloc(struct file **queue)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};

	CHECK_EQ(call(IOMMU_FAULT_QUEUE_ALLOC, &cmd, sizeof(cmd)), 0);
	*queue = fake.installed;
	fake.installed = NULL;
	return cmd.out_fault_id;
}

static int report(struct fake_device *device, uint32_t flags, uint32_t pasid, uint32_t group, uint64_t address)
{
	const struct page_fault fault = {
		.flags = flags, .pasid = pasid, .group = group, .perm = IOMMU_PGFAULT_PERM_WRITE, .address = address};

	return iommu_report_fault(&device->dev, &fault);
}

#define LAST  IOMMU_PGFAULT_FLAGS_LAST_PAGE
#define PASID IOMMU_PGFAULT_FLAGS_PASID_VALID

static struct iommu_hwpt_pgfault *record(unsigned i)
{
	return (struct iommu_hwpt_pgfault *)fake.memory + i;
}

static ssize_t read_faults(struct file *queue, size_t count)
{
	return queue->ops->read(queue, &fake.client, uaddr(fake_at(&fake, 0)), count, 0);
}

#define SIZE sizeof(struct iommu_hwpt_pgfault)

static ssize_t write_answer(struct file *queue, uint32_t cookie, uint32_t code)
{
	const struct iommu_hwpt_page_response response = {.cookie = cookie, .code = code};

	memcpy(fake.memory, &response, sizeof(response));
	return queue->ops->write(queue, &fake.client, uaddr(fake_at(&fake, 0)), sizeof(response), 0);
}

static void attach(struct fake_device *device, uint32_t pasid, struct fake_hwpt *hwpt)
{
	CHECK_EQ(iommu_device_attach(&device->dev, pasid, hwpt ? &hwpt->domain : NULL), 0);
}

/* As whoever detaches does it. */
static void detach(struct fake_device *device, uint32_t pasid, struct fake_hwpt *hwpt)
{
	attach(device, pasid, NULL);
	eventq_changed(fault_flush(hwpt->hwpt.fault, &hwpt->hwpt, &device->dev, pasid));
}

static void check_answer(const struct fake_device *device, unsigned i, uint32_t pasid, uint32_t group, uint32_t code)
{
	CHECK(device->answers > i);
	CHECK_EQ(device->answer[i].pasid, pasid);
	CHECK_EQ(device->answer[i].group, group);
	CHECK_EQ(device->answer[i].code, code);
}

static void a_fault_that_nobody_takes_is_invalid_at_once(void)
{
	struct fake_hwpt deaf;

	begin();
	fake_hwpt_begin(&deaf, &driver, NULL);
	CHECK_EQ(report(&one, LAST, 0, 7, 0x1000), -EINVAL);
	check_answer(&one, 0, NO_PASID, 7, IOMMUFD_PAGE_RESP_INVALID);
	attach(&one, NO_PASID, &deaf);
	CHECK_EQ(report(&one, LAST, 0, 8, 0x1000), -EINVAL);
	check_answer(&one, 1, NO_PASID, 8, IOMMUFD_PAGE_RESP_INVALID);
	CHECK_EQ(report(&one, LAST | PASID, 3, 9, 0x1000), -EINVAL);
	check_answer(&one, 2, 3, 9, IOMMUFD_PAGE_RESP_INVALID);
	/* Partial faults are not answered. */
	CHECK_EQ(report(&one, 0, 0, 9, 0x1000), 0);
	CHECK_EQ(one.answers, 3);
	attach(&one, NO_PASID, NULL);
	end();
}

static void a_group_is_collected_read_whole_and_answered_once(void)
{
	struct fake_hwpt hwpt;
	struct fault *fault;
	struct file *queue;
	uint32_t id;

	begin();
	id = fault_alloc(&queue);
	fault = fault_get(ctx_of(file), id);
	fake_hwpt_begin(&hwpt, &driver, fault);
	attach(&one, NO_PASID, &hwpt);
	CHECK_EQ(queue->ops->poll(queue) & POLLIN, 0);
	CHECK_EQ(report(&one, 0, 0, 1, 0x1000), 0);
	CHECK_EQ(report(&one, 0, 0, 2, 0x2000), 0);
	CHECK_EQ(report(&one, 0, 0, 1, 0x3000), 0);
	CHECK_EQ(queue->ops->poll(queue) & POLLIN, 0);
	CHECK_EQ(read_faults(queue, SIZE), 0);
	CHECK_EQ(report(&one, LAST, 0, 1, 0x4000), 0);
	CHECK_EQ(report(&one, LAST, 0, 2, 0x5000), 0);
	CHECK_EQ(queue->ops->poll(queue), POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);

	CHECK_EQ(read_faults(queue, 0), -EINVAL);
	CHECK_EQ(read_faults(queue, 2 * SIZE), -EINVAL);
	CHECK_EQ(read_faults(queue, 2 * SIZE + 1), -ESPIPE);
	CHECK_EQ(queue->ops->read(queue, &fake.client, uaddr(fake_at(&fake, 0)), SIZE, SIZE), -ESPIPE);
	CHECK_EQ(read_faults(queue, 4 * SIZE), 3 * SIZE);
	for (unsigned i = 0; i < 3; i++) {
		static const uint64_t address[] = {0x1000, 0x3000, 0x4000};

		CHECK_EQ(record(i)->grpid, 1);
		CHECK_EQ(record(i)->flags, i == 2 ? LAST : 0);
		CHECK_EQ(record(i)->addr, address[i]);
		CHECK_EQ(record(i)->cookie, 1);
		CHECK_EQ(record(i)->dev_id, one.device->object.id);
		CHECK_EQ(record(i)->perm, IOMMU_PGFAULT_PERM_WRITE);
		CHECK_EQ(record(i)->length, 0);
		CHECK_EQ(record(i)->__reserved, 0);
	}
	CHECK_EQ(read_faults(queue, 4 * SIZE), 2 * SIZE);
	CHECK_EQ(record(1)->cookie, 2);
	CHECK_EQ(queue->ops->poll(queue) & POLLIN, 0);
	CHECK_EQ(read_faults(queue, 0), 0);

	CHECK_EQ(write_answer(queue, 1, 2), -EINVAL);
	CHECK_EQ(write_answer(queue, 0, 0), -EINVAL);
	CHECK_EQ(write_answer(queue, 3, 0), -EINVAL);
	CHECK_EQ(write_answer(queue, UINT32_MAX, 0), -EINVAL);
	CHECK_EQ(write_answer(queue, 1, IOMMUFD_PAGE_RESP_SUCCESS), 8);
	check_answer(&one, 0, NO_PASID, 1, IOMMUFD_PAGE_RESP_SUCCESS);
	CHECK_EQ(write_answer(queue, 1, IOMMUFD_PAGE_RESP_SUCCESS), -EINVAL);

	/* The lowest cookie that is free. */
	CHECK_EQ(report(&one, LAST, 0, 5, 0), 0);
	CHECK_EQ(read_faults(queue, SIZE), SIZE);
	CHECK_EQ(record(0)->cookie, 1);

	CHECK_EQ(destroy(id), -EBUSY);
	detach(&one, NO_PASID, &hwpt);
	CHECK_EQ(one.answers, 3);
	fault_put(fault);
	CHECK_EQ(destroy(id), -EBUSY);
	file_put(queue);
	CHECK_EQ(destroy(id), 0);
	end();
}

static void answers_stop_at_the_first_that_is_wrong(void)
{
	struct iommu_hwpt_page_response response[40];
	struct fake_hwpt hwpt;
	struct file *queue;
	struct fault *fault;

	begin();
	fault = fault_get(ctx_of(file), fault_alloc(&queue));
	fake_hwpt_begin(&hwpt, &driver, fault);
	attach(&one, NO_PASID, &hwpt);
	for (uint32_t i = 0; i < 40; i++) {
		CHECK_EQ(report(&one, LAST, 0, i, 0), 0);
		response[i] = (struct iommu_hwpt_page_response){.cookie = i + 1};
	}
	CHECK_EQ(read_faults(queue, 40 * SIZE), 40 * SIZE);
	response[36].code = 9;
	memcpy(fake.memory, response, sizeof(response));
	CHECK_EQ(queue->ops->write(queue, &fake.client, uaddr(fake_at(&fake, 0)), sizeof(response) - 1, 0), -ESPIPE);
	CHECK_EQ(queue->ops->write(queue, &fake.client, uaddr(fake_at(&fake, 0)), sizeof(response), 8), -ESPIPE);
	CHECK_EQ(queue->ops->write(queue, &fake.client, uaddr(fake_at(&fake, 0)), 0, 0), 0);
	CHECK_EQ(one.answers, 0);
	CHECK_EQ(queue->ops->write(queue, &fake.client, uaddr(fake_at(&fake, 0)), sizeof(response), 0), 36 * 8);
	CHECK_EQ(one.answers, 36);
	/* What comes before memory that cannot be read counts. */
	response[37] = response[36] = (struct iommu_hwpt_page_response){.cookie = 38};
	response[36].cookie = 37;
	memcpy(fake.memory, response + 36, 16);
	fake.readable = 12;
	CHECK_EQ(queue->ops->write(queue, &fake.client, uaddr(fake_at(&fake, 0)), 16, 0), 8);
	CHECK_EQ(queue->ops->write(queue, &fake.client, uaddr(fake_at(&fake, 8)), 8, 0), -EFAULT);
	CHECK_EQ(one.answers, 37);
	fake.readable = sizeof(fake.memory);
	detach(&one, NO_PASID, &hwpt);
	CHECK_EQ(one.answers, 40);
	fault_put(fault);
	file_put(queue);
	end();
}

static void what_cannot_be_written_to_the_client_is_first_again(void)
{
	struct fake_hwpt hwpt;
	struct file *queue;
	struct fault *fault;

	begin();
	fault = fault_get(ctx_of(file), fault_alloc(&queue));
	fake_hwpt_begin(&hwpt, &driver, fault);
	attach(&one, NO_PASID, &hwpt);
	for (uint32_t i = 0; i < 2; i++)
		CHECK_EQ(report(&one, LAST, 0, i, 0), 0);
	fake.deny_write = true;
	CHECK_EQ(read_faults(queue, 2 * SIZE), -EFAULT);
	fake.deny_write = false;
	CHECK_EQ(write_answer(queue, 1, 0), -EINVAL);
	/* The second is the one that fails: the end of the memory. */
	CHECK_EQ(queue->ops->read(queue, &fake.client, uaddr(fake_at(&fake, sizeof(fake.memory) - SIZE - 8)), 2 * SIZE,
				  0),
		 SIZE);
	CHECK_EQ(read_faults(queue, 2 * SIZE), SIZE);
	CHECK_EQ(record(0)->grpid, 1);
	CHECK_EQ(record(0)->cookie, 2);
	CHECK_EQ(one.answers, 0);
	detach(&one, NO_PASID, &hwpt);
	fault_put(fault);
	file_put(queue);
	end();
}

static void a_pasid_has_its_own_domain_or_that_of_a_nested_device(void)
{
	struct fake_hwpt rid, pasid;
	struct file *queue;
	struct fault *fault;

	begin();
	fault = fault_get(ctx_of(file), fault_alloc(&queue));
	fake_hwpt_begin(&rid, &driver, fault);
	fake_hwpt_begin(&pasid, &driver, fault);
	attach(&one, NO_PASID, &rid);
	attach(&one, 3, &pasid);
	CHECK_EQ(report(&one, LAST | PASID, 3, 1, 0), 0);
	CHECK_EQ(report(&one, LAST | PASID, 4, 2, 0), -EINVAL);
	rid.domain.nested = &fake_nested_ops;
	CHECK_EQ(report(&one, LAST | PASID, 4, 3, 0), 0);
	CHECK_EQ(report(&one, LAST, 0, 4, 0), 0);
	CHECK_EQ(one.answers, 1);
	CHECK_EQ(read_faults(queue, 3 * SIZE), 3 * SIZE);
	CHECK_EQ(record(0)->pasid, 3);
	CHECK_EQ(record(0)->flags, LAST | PASID);
	CHECK_EQ(record(2)->flags, LAST);

	/* Each attachment takes its own along. */
	detach(&one, 3, &pasid);
	CHECK_EQ(one.answers, 2);
	check_answer(&one, 1, 3, 1, IOMMUFD_PAGE_RESP_INVALID);
	detach(&one, NO_PASID, &rid);
	CHECK_EQ(one.answers, 4);
	fault_put(fault);
	file_put(queue);
	end();
}

static void a_flush_answers_what_is_queued_and_delivered_of_one_page_table(void)
{
	struct fake_hwpt old, other;
	struct file *queue;
	struct fault *fault;

	begin();
	fault = fault_get(ctx_of(file), fault_alloc(&queue));
	fake_hwpt_begin(&old, &driver, fault);
	fake_hwpt_begin(&other, &driver, fault);
	attach(&one, NO_PASID, &old);
	attach(&two, NO_PASID, &other);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK_EQ(report(&one, LAST, 0, i, 0), 0);
		CHECK_EQ(report(&two, LAST, 0, i, 0), 0);
	}
	CHECK_EQ(read_faults(queue, 3 * SIZE), 3 * SIZE);
	detach(&one, NO_PASID, &old);
	CHECK_EQ(one.answers, 3);
	CHECK_EQ(two.answers, 0);
	CHECK_EQ(write_answer(queue, 1, 0), -EINVAL);
	CHECK_EQ(write_answer(queue, 2, 0), 8);
	CHECK_EQ(write_answer(queue, 3, 0), -EINVAL);
	CHECK_EQ(read_faults(queue, 3 * SIZE), 2 * SIZE);
	attach(&two, NO_PASID, NULL);
	eventq_changed(fault_flush(fault, &other.hwpt, NULL, NO_PASID));
	CHECK_EQ(two.answers, 3);
	fault_put(fault);
	file_put(queue);
	end();
}

/* What happens while a group is copied to the client. */
static struct file *busy_queue;
static struct fake_hwpt busy_hwpt;
static void (*meanwhile)(void);

static int copy_out_with_others(struct client *client, uaddr_t dst, const void *src, size_t n)
{
	void (*others)(void) = meanwhile;

	meanwhile = NULL;
	if (others)
		others();
	return fake_copy_out(client, dst, src, n);
}

static void detach_meanwhile(void)
{
	detach(&one, NO_PASID, &busy_hwpt);
}

static void detach_and_fail(void)
{
	detach(&one, NO_PASID, &busy_hwpt);
	fake.deny_write = true;
}

static void answer_meanwhile(void)
{
	CHECK_EQ(write_answer(busy_queue, 1, IOMMUFD_PAGE_RESP_SUCCESS), 8);
}

static void answer_and_fail(void)
{
	answer_meanwhile();
	fake.deny_write = true;
}

static void a_group_that_is_being_read_can_be_flushed_and_answered(void)
{
	static const struct {
		void (*meanwhile)(void);
		ssize_t result;
		uint32_t code;
	} cases[] = {{detach_meanwhile, SIZE, IOMMUFD_PAGE_RESP_INVALID},
		     {detach_and_fail, -EFAULT, IOMMUFD_PAGE_RESP_INVALID},
		     {answer_meanwhile, SIZE, IOMMUFD_PAGE_RESP_SUCCESS},
		     {answer_and_fail, -EFAULT, IOMMUFD_PAGE_RESP_SUCCESS}};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fault *fault;

		begin();
		ops.copy_out = copy_out_with_others;
		fault = fault_get(ctx_of(file), fault_alloc(&busy_queue));
		fake_hwpt_begin(&busy_hwpt, &driver, fault);
		attach(&one, NO_PASID, &busy_hwpt);
		CHECK_EQ(report(&one, LAST, 0, 1, 0), 0);
		meanwhile = cases[i].meanwhile;
		CHECK_EQ(read_faults(busy_queue, SIZE), cases[i].result);
		fake.deny_write = false;
		CHECK_EQ(one.answers, 1);
		check_answer(&one, 0, NO_PASID, 1, cases[i].code);
		CHECK_EQ(read_faults(busy_queue, SIZE), 0);
		CHECK_EQ(write_answer(busy_queue, 1, 0), -EINVAL);
		detach(&one, NO_PASID, &busy_hwpt);
		CHECK_EQ(one.answers, 1);
		fault_put(fault);
		file_put(busy_queue);
		end();
	}
}

static void a_device_cannot_keep_memory_without_end(void)
{
	struct fake_hwpt hwpt;
	struct file *queue;
	struct fault *fault;
	unsigned answers;

	begin();
	fault = fault_get(ctx_of(file), fault_alloc(&queue));
	fake_hwpt_begin(&hwpt, &driver, fault);
	attach(&one, NO_PASID, &hwpt);
	for (uint32_t i = 0; i < PARTIAL_FAULTS_MAX; i++)
		CHECK_EQ(report(&one, 0, 0, i & 1, i), 0);
	CHECK_EQ(report(&one, 0, 0, 0, 0), -ENOMEM);
	CHECK_EQ(report(&one, LAST, 0, 0, 0), 0);
	CHECK_EQ(report(&one, 0, 0, 0, 0), 0);
	CHECK_EQ(read_faults(queue, SIZE), -EINVAL);
	detach(&one, NO_PASID, &hwpt);
	CHECK_EQ(one.answers, 1);
	attach(&one, NO_PASID, &hwpt);
	for (uint32_t i = 0; i < 1U << 16; i++)
		CHECK_EQ(report(&one, LAST, 0, 7, 0), 0);
	CHECK_EQ(one.answers, 1);
	CHECK_EQ(report(&one, LAST, 0, 8, 0), 0);
	check_answer(&one, 1, NO_PASID, 8, IOMMUFD_PAGE_RESP_INVALID);
	detach(&one, NO_PASID, &hwpt);
	/* Of large groups there are fewer. */
	attach(&one, NO_PASID, &hwpt);
	answers = one.answers;
	for (uint32_t i = 1; i <= 1U << 16; i++)
		CHECK_EQ(report(&one, i % 1024 ? 0 : LAST, 0, 9, 0), 0);
	CHECK_EQ(one.answers, answers);
	CHECK_EQ(report(&one, LAST, 0, 10, 0), 0);
	CHECK_EQ(one.answers, answers + 1);
	detach(&one, NO_PASID, &hwpt);
	CHECK_EQ(one.answers, answers + 1 + 64);
	fault_put(fault);
	file_put(queue);
	end();
}

static unsigned changes;

static void count_change(struct file *queue)
{
	(void)queue;
	changes++;
}

static void who_polls_is_told(void)
{
	struct fake_hwpt hwpt;
	struct file *queue;
	struct fault *fault;

	begin();
	fault = fault_get(ctx_of(file), fault_alloc(&queue));
	atomic_store(&queue->poll_changed, count_change);
	fake_hwpt_begin(&hwpt, &driver, fault);
	attach(&one, NO_PASID, &hwpt);
	changes = 0;
	CHECK_EQ(report(&one, LAST, 0, 1, 0), 0);
	CHECK_EQ(changes, 1);
	CHECK_EQ(read_faults(queue, SIZE), SIZE);
	CHECK_EQ(changes, 2);
	CHECK_EQ(read_faults(queue, SIZE), 0);
	CHECK_EQ(changes, 2);
	CHECK_EQ(report(&one, LAST, 0, 1, 0), 0);
	changes = 0;
	detach(&one, NO_PASID, &hwpt);
	CHECK_EQ(changes, 1);
	/* Nobody is told of a queue that is closed; its groups wait for nobody. */
	attach(&one, NO_PASID, &hwpt);
	file_put(queue);
	CHECK_EQ(report(&one, LAST, 0, 1, 0), 0);
	CHECK_EQ(changes, 1);
	detach(&one, NO_PASID, &hwpt);
	CHECK_EQ(one.answers, 3);
	fault_put(fault);
	end();
}

static void what_a_device_began_to_report_ends_with_its_iommufd(void)
{
	struct fake_hwpt hwpt;
	struct file *queue;
	struct fault *fault;

	begin();
	fault = fault_get(ctx_of(file), fault_alloc(&queue));
	fake_hwpt_begin(&hwpt, &driver, fault);
	attach(&one, NO_PASID, &hwpt);
	CHECK_EQ(report(&one, 0, 0, 1, 0x1000), 0);
	detach(&one, NO_PASID, &hwpt);
	device_unbind(one.device);
	CHECK_EQ(device_bind(ctx_of(file), &one.dev, &fake.client, &one.device), 0);
	attach(&one, NO_PASID, &hwpt);
	CHECK_EQ(report(&one, LAST, 0, 1, 0x2000), 0);
	CHECK_EQ(read_faults(queue, 4 * SIZE), SIZE);
	CHECK_EQ(record(0)->addr, 0x2000);
	detach(&one, NO_PASID, &hwpt);
	file_put(queue);
	fault_put(fault);
	end();
}

int main(void)
{
	a_fault_that_nobody_takes_is_invalid_at_once();
	a_group_is_collected_read_whole_and_answered_once();
	answers_stop_at_the_first_that_is_wrong();
	what_cannot_be_written_to_the_client_is_first_again();
	a_pasid_has_its_own_domain_or_that_of_a_nested_device();
	a_flush_answers_what_is_queued_and_delivered_of_one_page_table();
	a_group_that_is_being_read_can_be_flushed_and_answered();
	a_device_cannot_keep_memory_without_end();
	who_polls_is_told();
	what_a_device_began_to_report_ends_with_its_iommufd();
	return check_result();
}
