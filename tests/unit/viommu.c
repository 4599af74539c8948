/* SPDX-License-Identifier: BSD-3-Clause */
/* Virtual IOMMUs: what is refused, in Linux's order, who goes with whom, and their events and queues. */
#include "client/memory.h"
#include "fake_iommu.h"
#include "iommufd/eventq.h"

#include <poll.h>
#include <pthread.h>

#define VIOMMU_TYPE 5U
#define QUEUE_TYPE  6U
#define EVENT_TYPE  7U

static struct {
	int init_error, vdevice_error, queue_error;
	unsigned viommus, vdevices, queues; /* that there are */
	uint64_t data;                      /* where the client's was */
	uint8_t *host;                      /* of the last queue's first page */
} virtual;

static int viommu_init(struct viommu *viommu, struct iommu_device *dev, const struct user_data *data)
{
	CHECK(dev->owner && viommu->hwpt->nest_parent && viommu->object.ctx == ctx);
	virtual.data = data ? data->at.va : 0;
	if (!virtual.init_error)
		virtual.viommus++;
	return virtual.init_error;
}

static void viommu_gone(struct viommu *viommu)
{
	CHECK(!viommu->vdevices && !viommu->veventqs);
	virtual.viommus--;
}

static int vdevice_init(struct vdevice *vdevice)
{
	CHECK(vdevice->device && vdevice->viommu);
	if (!virtual.vdevice_error)
		virtual.vdevices++;
	return virtual.vdevice_error;
}

static void vdevice_gone(struct vdevice *vdevice)
{
	CHECK(vdevice->device);
	virtual.vdevices--;
}

static size_t queue_size(struct viommu *viommu, uint32_t type)
{
	(void)viommu;
	return type == QUEUE_TYPE ? sizeof(struct hw_queue) + 64 : 0;
}

static int queue_init(struct hw_queue *queue, uint32_t index)
{
	CHECK_EQ(index, 1);
	virtual.host = queue->page->host;
	if (!virtual.queue_error)
		virtual.queues++;
	return virtual.queue_error;
}

static void queue_gone(struct hw_queue *queue)
{
	(void)queue;
	virtual.queues--;
}

static const struct viommu_ops viommu_ops = {.size = sizeof(struct viommu) + 64,
					     .init = viommu_init,
					     .destroy = viommu_gone,
					     .vdevice_init = vdevice_init,
					     .vdevice_destroy = vdevice_gone,
					     .hw_queue_size = queue_size,
					     .hw_queue_init = queue_init,
					     .hw_queue_destroy = queue_gone};
static const struct viommu_ops plain_ops = {.size = sizeof(struct viommu), .init = viommu_init, .destroy = viommu_gone};

static const struct viommu_ops *viommu_of(const struct iommu_device *dev, uint32_t type)
{
	(void)dev;
	if (type == VIOMMU_TYPE + 1)
		return &plain_ops;
	return type == VIOMMU_TYPE ? &viommu_ops : NULL;
}

/* All memory can be pinned, and none is looked at. */
static int pin_anything(struct mm *mm, struct memory_query *query, uaddr_t va, uint64_t length, bool write,
			struct memory_run *run)
{
	(void)mm;
	(void)query;
	(void)write;
	*run = (struct memory_run){.length = length, .host = (uint8_t *)(uintptr_t)va.va};
	return 0;
}

static struct iommu_driver driver, other_driver;
static struct mm_ops mm_ops;
static struct iommu_group groups[3];
static struct fake_device one, two, foreign;
static uint32_t ioas, parent;

static void device_begin(struct fake_device *d, const struct iommu_driver *of, struct iommu_group *group)
{
	memset(d, 0, sizeof(*d));
	iommu_device_init(&d->dev, of, group);
	d->dev.name = "fake device";
	fake_device_bind(d);
}

static void begin_virtual(void)
{
	begin();
	memset(&virtual, 0, sizeof(virtual));
	mm_ops = fake_mm_ops;
	mm_ops.pin = pin_anything;
	fake.mm.ops = &mm_ops;
	driver = fake_driver;
	driver.viommu = viommu_of;
	other_driver = fake_poor_driver;
	device_begin(&one, &driver, &groups[0]);
	device_begin(&two, &driver, &groups[1]);
	device_begin(&foreign, &other_driver, &groups[2]);
	ioas = ioas_alloc();
	parent = (uint32_t)hwpt_alloc(one.device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
}

static void end_virtual(void)
{
	fake_device_end(&one);
	fake_device_end(&two);
	fake_device_end(&foreign);
	end();
	CHECK_EQ(virtual.viommus, 0);
	CHECK_EQ(virtual.vdevices, 0);
	CHECK_EQ(virtual.queues, 0);
}

static long viommu_alloc(uint32_t flags, uint32_t type, uint32_t dev_id, uint32_t hwpt_id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .type = type, .dev_id = dev_id, .hwpt_id = hwpt_id};
	long rc = CALL(IOMMU_VIOMMU_ALLOC, cmd);

	return rc ? rc : cmd.out_viommu_id;
}

static uint32_t viommu_new(uint32_t type)
{
	long id = viommu_alloc(0, type, one.device->object.id, parent);

	CHECK(id > 0);
	return (uint32_t)id;
}

static long vdevice_alloc(uint32_t viommu, uint32_t dev_id, uint64_t virt_id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = viommu, .dev_id = dev_id, .virt_id = virt_id};
	long rc = CALL(IOMMU_VDEVICE_ALLOC, cmd);

	return rc ? rc : cmd.out_vdevice_id;
}

static long veventq_alloc(uint32_t viommu, uint32_t type, uint32_t depth, struct file **queue)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd), .viommu_id = viommu, .type = type, .veventq_depth = depth};
	long rc = CALL(IOMMU_VEVENTQ_ALLOC, cmd);

	*queue = fake.installed;
	fake.installed = NULL;
	return rc ? rc : cmd.out_veventq_id;
}

static long queue_alloc(uint32_t viommu, uint32_t flags, uint32_t type, uint64_t iova, uint64_t length)
{
	struct iommu_hw_queue_alloc cmd = {.size = sizeof(cmd),
					   .flags = flags,
					   .viommu_id = viommu,
					   .type = type,
					   .index = 1,
					   .nesting_parent_iova = iova,
					   .length = length};
	long rc = CALL(IOMMU_HW_QUEUE_ALLOC, cmd);

	return rc ? rc : cmd.out_hw_queue_id;
}

static long map_at(uint64_t va, uint64_t length, uint64_t iova, uint32_t flags)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = flags | IOMMU_IOAS_MAP_FIXED_IOVA,
				     .ioas_id = ioas,
				     .user_va = va,
				     .length = length,
				     .iova = iova};

	return CALL(IOMMU_IOAS_MAP, cmd);
}

static long unmap_at(uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap cmd = {.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length};

	return CALL(IOMMU_IOAS_UNMAP, cmd);
}

static void a_viommu_is_refused_in_order(void)
{
	uint32_t dev;
	uint32_t plain;
	long viommu;

	begin_virtual();
	dev = one.device->object.id;
	plain = (uint32_t)hwpt_alloc(one.device, ioas, 0);
	CHECK_EQ(viommu_alloc(1, VIOMMU_TYPE, 99, 99), -EOPNOTSUPP);
	CHECK_EQ(viommu_alloc(0, IOMMU_VIOMMU_TYPE_DEFAULT, 99, 99), -EOPNOTSUPP);
	CHECK_EQ(viommu_alloc(0, 1, 99, 99), -ENOENT);
	CHECK_EQ(viommu_alloc(0, 1, ioas, 99), -ENOENT);
	CHECK_EQ(viommu_alloc(0, 1, dev, 99), -EOPNOTSUPP);
	CHECK_EQ(viommu_alloc(0, VIOMMU_TYPE, foreign.device->object.id, 99), -EOPNOTSUPP);
	CHECK_EQ(viommu_alloc(0, VIOMMU_TYPE, dev, 99), -ENOENT);
	CHECK_EQ(viommu_alloc(0, VIOMMU_TYPE, dev, ioas), -ENOENT);
	virtual.init_error = -EINVAL;
	CHECK_EQ(viommu_alloc(0, VIOMMU_TYPE, dev, plain), -EINVAL);
	virtual.init_error = -EOPNOTSUPP;
	CHECK_EQ(viommu_alloc(0, VIOMMU_TYPE, dev, plain), -EINVAL);
	CHECK_EQ(viommu_alloc(0, VIOMMU_TYPE, dev, parent), -EOPNOTSUPP);
	virtual.init_error = 0;
	CHECK_EQ(users_of(parent), 0);
	fake.deny_write = true;
	CHECK_EQ(viommu_alloc(0, VIOMMU_TYPE, dev, parent), -EFAULT);
	fake.deny_write = false;
	CHECK_EQ(virtual.viommus, 0);
	CHECK_EQ(users_of(parent), 0);
	viommu = viommu_alloc(0, VIOMMU_TYPE, dev, parent);
	CHECK_EQ(viommu, plain + 1);
	CHECK_EQ(virtual.data, 0);
	CHECK_EQ(users_of(parent), 1);
	CHECK_EQ(users_of(dev), 1);
	CHECK_EQ(destroy(parent), -EBUSY);
	CHECK_EQ(destroy((uint32_t)viommu), 0);
	CHECK_EQ(virtual.viommus, 0);
	CHECK_EQ(destroy(parent), 0);
	end_virtual();
}

static void the_client_s_data_goes_to_the_driver(void)
{
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd), .type = VIOMMU_TYPE, .data_len = 8, .data_uptr = 0x1234};

	begin_virtual();
	cmd.dev_id = one.device->object.id;
	cmd.hwpt_id = parent;
	CHECK_EQ(CALL(IOMMU_VIOMMU_ALLOC, cmd), 0);
	CHECK_EQ(virtual.data, 0x1234);
	end_virtual();
}

static void a_vdevice_is_refused_in_order(void)
{
	uint32_t viommu, other;
	long vdevice;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	other = viommu_new(VIOMMU_TYPE);
	CHECK_EQ(vdevice_alloc(99, 99, 1), -ENOENT);
	CHECK_EQ(vdevice_alloc(parent, one.device->object.id, 1), -ENOENT);
	CHECK_EQ(vdevice_alloc(viommu, 99, 1), -ENOENT);
	CHECK_EQ(vdevice_alloc(viommu, foreign.device->object.id, 1), -EINVAL);
	virtual.vdevice_error = -EPERM;
	CHECK_EQ(vdevice_alloc(viommu, one.device->object.id, 1), -EPERM);
	virtual.vdevice_error = 0;
	fake.deny_write = true;
	CHECK_EQ(vdevice_alloc(viommu, one.device->object.id, 1), -EFAULT);
	fake.deny_write = false;
	CHECK_EQ(virtual.vdevices, 0);
	vdevice = vdevice_alloc(viommu, one.device->object.id, UINT64_MAX);
	CHECK_EQ(vdevice, other + 1);
	CHECK_EQ(users_of(viommu), 1);
	CHECK_EQ(users_of(one.device->object.id), 1);
	/* The device has one, whatever vIOMMU and number. */
	virtual.vdevice_error = -EPERM;
	CHECK_EQ(vdevice_alloc(other, one.device->object.id, 2), -EEXIST);
	CHECK_EQ(vdevice_alloc(viommu, two.device->object.id, UINT64_MAX), -EPERM);
	virtual.vdevice_error = 0;
	CHECK_EQ(vdevice_alloc(viommu, two.device->object.id, UINT64_MAX), -EEXIST);
	CHECK_EQ(virtual.vdevices, 1);
	CHECK_EQ(vdevice_alloc(other, two.device->object.id, UINT64_MAX), vdevice + 1);
	CHECK_EQ(destroy(viommu), -EBUSY);
	CHECK_EQ(destroy((uint32_t)vdevice), 0);
	CHECK(!one.device->vdevice);
	CHECK_EQ(vdevice_alloc(viommu, one.device->object.id, 1), vdevice);
	CHECK_EQ(destroy((uint32_t)vdevice), 0);
	CHECK_EQ(destroy(viommu), 0);
	end_virtual();
}

static void unbinding_a_device_buries_its_vdevice(void)
{
	uint32_t viommu;
	long vdevice;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	vdevice = vdevice_alloc(viommu, one.device->object.id, 1);
	CHECK_EQ(vdevice_alloc(viommu, two.device->object.id, 2), vdevice + 1);
	fake_device_end(&one);
	CHECK_EQ(virtual.vdevices, 1);
	CHECK_EQ(destroy((uint32_t)vdevice), -ENOENT);
	CHECK_EQ(users_of(viommu), 1);
	/* The device's id is free again, the vDevice's is not. */
	device_begin(&one, &driver, &groups[0]);
	CHECK_EQ(one.device->object.id, 1);
	CHECK_EQ(vdevice_alloc(viommu, one.device->object.id, 1), vdevice + 2);
	/* One that a client destroyed leaves nothing. */
	CHECK_EQ(destroy((uint32_t)vdevice + 2), 0);
	fake_device_end(&one);
	device_begin(&one, &driver, &groups[0]);
	CHECK_EQ(vdevice_alloc(viommu, one.device->object.id, 1), vdevice + 2);
	/* None comes to a device that is going. */
	CHECK_EQ(destroy((uint32_t)vdevice + 2), 0);
	one.device->unbinding = true;
	CHECK_EQ(vdevice_alloc(viommu, one.device->object.id, 1), -ENOENT);
	end_virtual();
}

#define HEADER sizeof(struct iommufd_vevent_header)

static ssize_t read_events(struct file *queue, size_t count)
{
	return queue->ops->read(queue, &fake.client, uaddr(fake_at(&fake, 0)), count, 0);
}

static int report(uint32_t viommu, uint32_t type, uint32_t data)
{
	struct viommu *v = viommu_get(ctx, viommu);
	int rc = viommu_report_event(v, type, &data, sizeof(data));

	object_put(&v->object);
	return rc;
}

/* Of flags, sequence and, where it is an event, its data. */
static void check_words(const uint32_t *want, unsigned n)
{
	CHECK(!memcmp(fake.memory, want, n * sizeof(*want)));
}

#define CHECK_WORDS(...)                                                                                               \
	check_words((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void an_event_queue_is_refused_in_order(void)
{
	struct iommu_veventq_alloc cmd = {.size = sizeof(cmd), .viommu_id = 99, .type = EVENT_TYPE};
	struct file *queue, *second;
	uint32_t viommu;
	long id;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	cmd.flags = 1;
	CHECK_EQ(CALL(IOMMU_VEVENTQ_ALLOC, cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	cmd.__reserved = 1;
	CHECK_EQ(CALL(IOMMU_VEVENTQ_ALLOC, cmd), -EOPNOTSUPP);
	CHECK_EQ(veventq_alloc(99, IOMMU_VEVENTQ_TYPE_DEFAULT, 0, &queue), -EOPNOTSUPP);
	CHECK_EQ(veventq_alloc(99, EVENT_TYPE, 0, &queue), -EINVAL);
	CHECK_EQ(veventq_alloc(99, EVENT_TYPE, (1U << 19) + 1, &queue), -EINVAL);
	CHECK_EQ(veventq_alloc(99, EVENT_TYPE, 1U << 19, &queue), -ENOENT);
	fake.deny_fd = true;
	CHECK_EQ(veventq_alloc(viommu, EVENT_TYPE, 1, &queue), -EMFILE);
	fake.deny_fd = false;
	fake.deny_write = true;
	CHECK_EQ(veventq_alloc(viommu, EVENT_TYPE, 1, &queue), -EFAULT);
	fake.deny_write = false;
	fake.deny_install = true;
	CHECK_EQ(veventq_alloc(viommu, EVENT_TYPE, 1, &queue), -EMFILE);
	fake.deny_install = false;
	CHECK_EQ(report(viommu, EVENT_TYPE, 1), -EOPNOTSUPP);
	CHECK_EQ(users_of(viommu), 0);
	id = veventq_alloc(viommu, EVENT_TYPE, 1U << 19, &queue);
	CHECK(id > 0);
	CHECK_EQ(veventq_alloc(viommu, EVENT_TYPE, 1, &second), -EEXIST);
	CHECK_EQ(veventq_alloc(viommu, EVENT_TYPE + 1, 1, &second), id + 1);
	CHECK_EQ(report(viommu, EVENT_TYPE + 2, 1), -EOPNOTSUPP);
	CHECK_EQ(destroy((uint32_t)id), -EBUSY);
	CHECK_EQ(destroy(viommu), -EBUSY);
	file_put(queue);
	file_put(second);
	CHECK_EQ(report(viommu, EVENT_TYPE, 1), 0);
	CHECK_EQ(destroy((uint32_t)id), 0);
	CHECK_EQ(report(viommu, EVENT_TYPE, 1), -EOPNOTSUPP);
	end_virtual();
}

static void events_are_numbered_and_losses_are_told(void)
{
	struct file *queue;
	uint32_t viommu;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	CHECK(veventq_alloc(viommu, EVENT_TYPE, 2, &queue) > 0);
	CHECK_EQ(queue->ops->poll(queue), 0);
	CHECK(!queue->ops->write);
	CHECK_EQ(read_events(queue, 100), 0);
	CHECK_EQ(read_events(queue, HEADER - 1), -EINVAL);
	CHECK_EQ(queue->ops->read(queue, &fake.client, uaddr(fake_at(&fake, 0)), 0, 8), -ESPIPE);
	for (uint32_t i = 0; i < 4; i++)
		CHECK_EQ(report(viommu, EVENT_TYPE, 100 + i), 0);
	CHECK_EQ(queue->ops->poll(queue), POLLIN | POLLRDNORM);
	CHECK_EQ(read_events(queue, HEADER + 3), -EINVAL);
	CHECK_EQ(read_events(queue, 2 * HEADER + 4), HEADER + 4);
	CHECK_WORDS(0, 0, 100);
	CHECK_EQ(read_events(queue, 100), 2 * HEADER + 4);
	CHECK_WORDS(0, 1, 101, IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 3);
	CHECK_EQ(queue->ops->poll(queue), 0);
	/* An event behind the header takes its place: the numbers tell. */
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(report(viommu, EVENT_TYPE, 200 + i), 0);
	CHECK_EQ(read_events(queue, HEADER + 4), HEADER + 4);
	CHECK_EQ(report(viommu, EVENT_TYPE, 203), 0);
	CHECK_EQ(read_events(queue, 100), 2 * (HEADER + 4));
	CHECK_WORDS(0, 5, 201, 0, 7, 203);
	CHECK_EQ(read_events(queue, 100), 0);
	file_put(queue);
	end_virtual();
}

static void an_event_that_cannot_be_copied_is_first_again(void)
{
	struct file *queue;
	uint32_t viommu;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	CHECK(veventq_alloc(viommu, EVENT_TYPE, 1, &queue) > 0);
	CHECK_EQ(report(viommu, EVENT_TYPE, 1), 0);
	CHECK_EQ(report(viommu, EVENT_TYPE, 2), 0);
	fake.deny_write = true;
	CHECK_EQ(read_events(queue, 100), -EFAULT);
	fake.deny_write = false;
	CHECK_EQ(read_events(queue, HEADER + 4), HEADER + 4);
	CHECK_WORDS(0, 0, 1);
	fake.deny_write = true;
	CHECK_EQ(read_events(queue, 100), -EFAULT);
	fake.deny_write = false;
	CHECK_EQ(read_events(queue, 100), HEADER);
	CHECK_WORDS(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 1);
	/* What is left when the end comes goes with it. */
	CHECK_EQ(report(viommu, EVENT_TYPE, 1), 0);
	file_put(queue);
	end_virtual();
}

static void a_queue_in_memory_is_refused_in_order(void)
{
	uint32_t viommu, plain;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	plain = viommu_new(VIOMMU_TYPE + 1);
	CHECK_EQ(queue_alloc(99, 1, QUEUE_TYPE, 0, 0), -EOPNOTSUPP);
	CHECK_EQ(queue_alloc(99, 0, IOMMU_HW_QUEUE_TYPE_DEFAULT, 0, 0), -EOPNOTSUPP);
	CHECK_EQ(queue_alloc(99, 0, QUEUE_TYPE, 0, 0), -EINVAL);
	CHECK_EQ(queue_alloc(99, 0, QUEUE_TYPE, UINT64_MAX, 2), -EOVERFLOW);
	CHECK_EQ(queue_alloc(99, 0, QUEUE_TYPE, UINT64_MAX, 1), -ENOENT);
	CHECK_EQ(queue_alloc(plain, 0, QUEUE_TYPE, 0, 1), -EOPNOTSUPP);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE + 1, 0, 1), -EOPNOTSUPP);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 4095, UINT64_MAX - 4095), -ENOMEM);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x10000, 1), -ENOENT);
	CHECK_EQ(map_at(0x100000, 0x2000, 0x10000, IOMMU_IOAS_MAP_READABLE), 0);
	CHECK_EQ(map_at(0x110000, 0x1000, 0x12000, IOMMU_IOAS_MAP_READABLE), 0);
	CHECK_EQ(map_at(0x120000, 0x1000, 0x20000, IOMMU_IOAS_MAP_WRITEABLE), 0);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x13000, 1), -ENOENT);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x12000, 0x1001), -ENOENT);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x20000, 1), -EPERM);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x11000, 0x2000), -EFAULT);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x11fff, 2), -EFAULT);
	virtual.queue_error = -EIO;
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x10000, 0x2000), -EIO);
	virtual.queue_error = 0;
	fake.deny_write = true;
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x10000, 0x2000), -EFAULT);
	fake.deny_write = false;
	/* Nothing is left of all these. */
	CHECK_EQ(virtual.queues, 0);
	CHECK_EQ(users_of(viommu), 0);
	CHECK_EQ(users_of(ioas), 1);
	CHECK_EQ(unmap_at(0, UINT64_MAX), 0);
	end_virtual();
}

static void a_queue_in_memory_keeps_its_pages_until_it_goes(void)
{
	uint32_t viommu;
	long queue;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	CHECK_EQ(map_at(0x100000, 0x200000, 0x1000000, IOMMU_IOAS_MAP_READABLE), 0);
	queue = queue_alloc(viommu, 0, QUEUE_TYPE, 0x1001800, 0x1000);
	CHECK_EQ(queue, viommu + 1);
	CHECK_EQ((uintptr_t) virtual.host, 0x101000);
	CHECK_EQ(users_of(viommu), 1);
	CHECK_EQ(users_of(ioas), 2);
	/* Its access has the next id, and is not for clients. */
	CHECK_EQ(destroy((uint32_t)queue + 1), -EBUSY);
	CHECK_EQ(queue_alloc(viommu, 0, QUEUE_TYPE, 0x1000000, 0x200000), queue + 2);
	CHECK_EQ(destroy(viommu), -EBUSY);
	CHECK_EQ(unmap_at(0x1000000, 0x200000), -EBUSY);
	CHECK_EQ(destroy((uint32_t)queue), 0);
	CHECK_EQ(users_of((uint32_t)queue + 1), -ENOENT);
	CHECK_EQ(unmap_at(0x1000000, 0x200000), -EBUSY);
	CHECK_EQ(destroy((uint32_t)queue + 2), 0);
	CHECK_EQ(unmap_at(0x1000000, 0x200000), 0);
	CHECK_EQ(users_of(ioas), 1);
	end_virtual();
}

/* What depends on something goes before it, whatever the ids. */
static void the_iommufd_closes_with_everything_alive(void)
{
	struct file *queue;
	uint32_t viommu;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	CHECK_EQ(map_at(0x100000, 0x1000, 0x1000000, IOMMU_IOAS_MAP_READABLE), 0);
	CHECK(queue_alloc(viommu, 0, QUEUE_TYPE, 0x1000000, 0x1000) > 0);
	CHECK(vdevice_alloc(viommu, one.device->object.id, 1) > 0);
	CHECK(vdevice_alloc(viommu, two.device->object.id, 2) > 0);
	CHECK(veventq_alloc(viommu, EVENT_TYPE, 1, &queue) > 0);
	CHECK_EQ(report(viommu, EVENT_TYPE, 1), 0);
	fake_device_end(&one);
	fake_device_end(&two);
	fake_device_end(&foreign);
	file_put(file);
	CHECK_EQ(virtual.viommus, 1);
	CHECK_EQ(read_events(queue, 100), HEADER + 4);
	file_put(queue);
	CHECK_EQ(virtual.viommus, 0);
	CHECK_EQ(virtual.vdevices, 0);
	CHECK_EQ(virtual.queues, 0);
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
}

static _Atomic uint32_t bound; /* the id of the device; 0: the end */
static atomic_uint made;

static long call_by(struct fake *by, unsigned cmd, void *arg, size_t size)
{
	long rc;

	memcpy(by->memory, arg, size);
	rc = file->ops->ioctl(file, &by->client, cmd, fake_at(by, 0));
	memcpy(arg, by->memory, size);
	return rc;
}

/* Makes vDevices, and destroys them if they are still there. */
static void *come_and_go(void *viommu)
{
	struct fake *by = malloc(sizeof(*by));
	uint32_t dev_id;

	fake_init(by);
	while ((dev_id = atomic_load(&bound))) {
		struct iommu_vdevice_alloc cmd = {
			.size = sizeof(cmd), .viommu_id = *(const uint32_t *)viommu, .dev_id = dev_id, .virt_id = 1};
		struct iommu_destroy gone = {.size = sizeof(gone)};
		long rc = call_by(by, IOMMU_VDEVICE_ALLOC, &cmd, sizeof(cmd));

		CHECK(rc == 0 || rc == -ENOENT || rc == -EEXIST);
		if (rc)
			continue;
		atomic_fetch_add(&made, 1);
		gone.id = cmd.out_vdevice_id;
		rc = call_by(by, IOMMU_DESTROY, &gone, sizeof(gone));
		CHECK(rc == 0 || rc == -ENOENT);
	}
	free(by);
	return NULL;
}

static void a_vdevice_can_be_destroyed_while_its_device_is_unbound(void)
{
	pthread_t thread[2];
	uint32_t viommu;

	begin_virtual();
	viommu = viommu_new(VIOMMU_TYPE);
	atomic_store(&bound, one.device->object.id);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, come_and_go, &viommu), 0);
	while (atomic_load(&made) < 300) {
		fake_device_end(&one);
		device_begin(&one, &driver, &groups[0]);
		atomic_store(&bound, one.device->object.id);
	}
	atomic_store(&bound, 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	CHECK(!one.device->vdevice);
	CHECK_EQ(virtual.vdevices, 0);
	CHECK_EQ(users_of(viommu), 0);
	end_virtual();
}

int main(void)
{
	a_viommu_is_refused_in_order();
	the_client_s_data_goes_to_the_driver();
	a_vdevice_is_refused_in_order();
	unbinding_a_device_buries_its_vdevice();
	an_event_queue_is_refused_in_order();
	events_are_numbered_and_losses_are_told();
	an_event_that_cannot_be_copied_is_first_again();
	a_queue_in_memory_is_refused_in_order();
	a_queue_in_memory_keeps_its_pages_until_it_goes();
	the_iommufd_closes_with_everything_alive();
	a_vdevice_can_be_destroyed_while_its_device_is_unbound();
	return check_result();
}
