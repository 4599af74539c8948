/* SPDX-License-Identifier: BSD-3-Clause */
/* Binding devices, and attaching them and their PASIDs to page tables: what is refused, and what is left then. */
#include "fake_iommu.h"
#include "hwpt/fault.h"

#include <poll.h>
#include <pthread.h>

static void a_device_belongs_to_one_iommufd_and_a_group_too(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a, b;
	struct device *again;
	struct file *other;

	begin();
	CHECK_EQ(iommufd_open(&config, false, &other), 0);
	fake_device_new(&a, &group);
	CHECK_EQ(a.device->object.id, 1);
	CHECK(a.dev.owner == a.device);
	CHECK_EQ(destroy(1), -EBUSY);
	CHECK_EQ(device_bind(ctx, &a.dev, &fake.client, &again), -EBUSY);
	CHECK_EQ(users_of(2), -ENOENT);
	fake_device_init(&b, &group);
	CHECK_EQ(device_bind(ctx_of(other), &b.dev, &fake.client, &b.device), -EPERM);
	fake_device_bind(&b);
	device_unbind(a.device);
	CHECK_EQ(destroy(1), -ENOENT);
	CHECK_EQ(device_bind(ctx_of(other), &a.dev, &fake.client, &a.device), -EPERM);
	device_unbind(b.device);
	CHECK(!b.dev.owner);
	CHECK_EQ(device_bind(ctx_of(other), &a.dev, &fake.client, &a.device), 0);
	fake_device_end(&a);
	iommu_device_fini(&b.dev);
	file_put(other);
	end();
}

static void an_automatic_page_table_lives_as_long_as_it_is_used(void)
{
	struct iommu_group groups[2] = {{.id = 1}, {.id = 2}};
	struct fake_device a, b;
	uint32_t ioas;
	long table;

	begin();
	fake_device_new(&a, &groups[0]);
	fake_device_new(&b, &groups[1]);
	ioas = ioas_alloc();
	table = attach(&a, ioas);
	CHECK_EQ(table, 4);
	CHECK_EQ(attach(&b, ioas), table);
	CHECK_EQ(users_of(4), 2);
	CHECK_EQ(users_of(ioas), 1);
	CHECK_EQ(destroy(4), -EBUSY);
	CHECK_EQ(destroy(ioas), -EBUSY);
	CHECK(&device_hwpt(a.device, NO_PASID)->object == &device_hwpt(b.device, NO_PASID)->object);
	CHECK(iommu_device_domain(&a.dev, NO_PASID) == domain_of(table));
	device_detach(a.device, NO_PASID);
	CHECK(!device_hwpt(a.device, NO_PASID));
	CHECK(!iommu_device_domain(&a.dev, NO_PASID));
	device_detach(a.device, NO_PASID); /* twice is once */
	CHECK_EQ(users_of(4), 1);
	device_detach(b.device, NO_PASID);
	CHECK_EQ(users_of(4), -ENOENT);
	CHECK_EQ(destroy(ioas), 0);
	fake_device_end(&a);
	fake_device_end(&b);
	end();
}

/* One that calls use at that moment stays, and goes next time, or when it is destroyed. */
static void an_automatic_page_table_in_use_by_a_call_stays(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a;
	struct hwpt_paging *used;
	uint32_t ioas;
	long table;

	begin();
	fake_device_new(&a, &group);
	ioas = ioas_alloc();
	table = attach(&a, ioas);
	used = hwpt_paging_get(ctx, (uint32_t)table);
	device_detach(a.device, NO_PASID);
	object_put(&used->common.object);
	CHECK_EQ(attach(&a, ioas), table);
	used = hwpt_paging_get(ctx, (uint32_t)table);
	device_detach(a.device, NO_PASID);
	object_put(&used->common.object);
	CHECK_EQ(destroy(ioas), -EBUSY);
	CHECK_EQ(destroy((uint32_t)table), 0);
	CHECK_EQ(destroy(ioas), 0);
	fake_device_end(&a);
	end();
}

static void what_cannot_be_attached_to(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a;
	uint32_t ioas;
	long table;

	begin();
	fake_device_new(&a, &group);
	ioas = ioas_alloc();
	CHECK_EQ(attach(&a, 99), -ENOENT);
	CHECK_EQ(replace(&a, 99), -ENOENT);
	CHECK_EQ(attach(&a, a.device->object.id), -EINVAL);
	CHECK_EQ(replace(&a, ioas), -EINVAL);
	CHECK_EQ(users_of(ioas), 0);
	CHECK_EQ(users_of(3), -ENOENT);
	table = attach(&a, ioas);
	CHECK_EQ(table, 3);
	CHECK_EQ(attach(&a, ioas), -EBUSY);
	CHECK_EQ(attach(&a, 3), -EBUSY);
	CHECK_EQ(users_of(3), 1);
	CHECK_EQ(replace(&a, 3), 3);
	CHECK_EQ(replace(&a, ioas), 3);
	CHECK_EQ(users_of(3), 1);
	CHECK_EQ(destroy(3), -EBUSY);
	fake_device_end(&a); /* detaches */
	CHECK_EQ(users_of(3), -ENOENT);
	end();
}

static void the_driver_decides_which_automatic_page_table_suits(void)
{
	struct iommu_group groups[3] = {{.id = 1}, {.id = 2}, {.id = 3}};
	struct fake_device d[3];
	uint32_t ioas;
	long first, second;

	begin();
	for (int i = 0; i < 3; i++)
		fake_device_new(&d[i], &groups[i]);
	ioas = ioas_alloc();
	first = attach(&d[0], ioas);
	iommu.refused = domain_of(first);
	iommu.refuse_error = -ENOMEM;
	CHECK_EQ(attach(&d[1], ioas), -ENOMEM);
	CHECK_EQ(users_of(ioas), 1);
	iommu.refuse_error = -EINVAL;
	second = attach(&d[1], ioas);
	CHECK_EQ(second, first + 1);
	CHECK_EQ(users_of(ioas), 2);
	/* The oldest comes first. */
	iommu.refused = NULL;
	CHECK_EQ(attach(&d[2], ioas), first);
	/* One that HWPT_ALLOC made is never chosen. */
	CHECK(hwpt_alloc(d[0].device, ioas, 0) > 0);
	device_detach(d[0].device, NO_PASID);
	device_detach(d[2].device, NO_PASID);
	CHECK_EQ(users_of((uint32_t)first), -ENOENT);
	CHECK_EQ(attach(&d[0], ioas), second);
	for (int i = 0; i < 3; i++)
		fake_device_end(&d[i]);
	end();
}

static void a_page_table_that_cannot_be_made_changes_nothing(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a;
	uint32_t one, two;
	long table;

	begin();
	fake_device_new(&a, &group);
	one = ioas_alloc();
	two = ioas_alloc();
	CHECK_EQ(map(two, 0), 0); /* below what the IOMMU translates */
	iommu.check_error = -ENOMEM;
	CHECK_EQ(attach(&a, one), -ENOMEM);
	iommu.check_error = 0;
	CHECK_EQ(attach(&a, two), -EADDRINUSE);
	/* With replace that comes before that nothing is attached; with attach it comes after that something is. */
	CHECK_EQ(replace(&a, two), -EADDRINUSE);
	table = attach(&a, one);
	CHECK_EQ(attach(&a, two), -EBUSY);
	CHECK_EQ(replace(&a, two), -EADDRINUSE);
	CHECK_EQ(users_of((uint32_t)table), 1);
	CHECK_EQ(users_of(two), 0);
	fake_device_end(&a);
	end();
}

static void replacing_is_all_or_nothing(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a, b, c;
	uint32_t one, two;
	long table, other;

	begin();
	fake_device_new(&a, &group);
	fake_device_new(&b, &group);
	fake_device_new(&c, &group);
	one = ioas_alloc();
	two = ioas_alloc();
	table = attach(&a, one);
	CHECK_EQ(attach(&b, one), table);
	other = hwpt_alloc(a.device, two, 0);
	CHECK_EQ(attach(&c, (uint32_t)other), -EINVAL); /* than the group's */
	CHECK_EQ(replace(&c, (uint32_t)other), -EINVAL);
	iommu.refused = domain_of(other);
	iommu.refuse_error = -EPERM;
	for (int i = 0; i < 2; i++) {
		iommu.refuse = i ? &a.dev : &b.dev;
		CHECK_EQ(replace(&a, (uint32_t)other), -EPERM);
		CHECK(iommu_device_domain(&a.dev, NO_PASID) == domain_of(table));
		CHECK(iommu_device_domain(&b.dev, NO_PASID) == domain_of(table));
		CHECK_EQ(users_of((uint32_t)table), 2);
		CHECK_EQ(users_of((uint32_t)other), 0);
	}
	iommu.refused = NULL;
	CHECK_EQ(replace(&a, (uint32_t)other), other);
	CHECK(iommu_device_domain(&b.dev, NO_PASID) == domain_of(other));
	CHECK_EQ(users_of((uint32_t)other), 2);
	CHECK_EQ(users_of((uint32_t)table), -ENOENT);
	CHECK_EQ(users_of(one), 0);
	CHECK_EQ(attach(&c, (uint32_t)other), other);
	fake_device_end(&a);
	CHECK_EQ(users_of((uint32_t)other), 2);
	fake_device_end(&b);
	fake_device_end(&c);
	CHECK_EQ(destroy((uint32_t)other), 0);
	end();
}

static struct iommu_device *faulting;

static void fault_now(void)
{
	const struct page_fault fault = {.flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE};

	CHECK_EQ(iommu_report_fault(faulting, &fault), 0);
}

/* What it faulted meanwhile has no answer to wait for; the queue outlives the device. */
static void a_device_that_goes_back_leaves_no_fault(void)
{
	struct iommu_group group = {.id = 1};
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};
	struct iommu_hwpt_alloc other = {.size = sizeof(other), .flags = IOMMU_HWPT_FAULT_ID_VALID};
	struct fake_device a, b;
	long table;

	begin();
	fake_device_new(&a, &group);
	fake_device_new(&b, &group);
	a.dev.can_fault = b.dev.can_fault = true;
	other.dev_id = a.device->object.id;
	other.pt_id = ioas_alloc();
	table = attach(&a, other.pt_id);
	CHECK_EQ(attach(&b, (uint32_t)table), table);
	CHECK_EQ(CALL(IOMMU_FAULT_QUEUE_ALLOC, fault), 0);
	other.fault_id = fault.out_fault_id;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, other), 0);
	iommu.refused = domain_of(other.out_hwpt_id);
	iommu.refuse_error = -EPERM;
	iommu.refuse = &a.dev; /* b is asked before */
	iommu.refusing = fault_now;
	faulting = &b.dev;
	CHECK_EQ(replace(&a, other.out_hwpt_id), -EPERM);
	CHECK_EQ(fake.installed->ops->poll(fake.installed) & POLLIN, 0);
	fake_device_end(&a);
	fake_device_end(&b);
	CHECK_EQ(destroy(other.out_hwpt_id), 0);
	file_put(fake.installed);
	end();
}

static unsigned told;

/* To tell a client that its queue changed takes as long as it likes. */
static void tell(struct file *changed)
{
	int rc = pthread_mutex_trylock(&ctx->attach_lock);

	(void)changed;
	CHECK_EQ(rc, 0);
	if (!rc)
		pthread_mutex_unlock(&ctx->attach_lock);
	told++;
}

static void readers_of_faults_are_told_without_locks(void)
{
	struct iommu_group group = {.id = 1};
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};
	struct iommu_hwpt_alloc table = {.size = sizeof(table), .flags = IOMMU_HWPT_FAULT_ID_VALID};
	struct fake_device a;
	long other;

	begin();
	fake_device_new(&a, &group);
	a.dev.can_fault = true;
	CHECK_EQ(CALL(IOMMU_FAULT_QUEUE_ALLOC, fault), 0);
	atomic_store(&fake.installed->poll_changed, tell);
	table.dev_id = a.device->object.id;
	table.pt_id = ioas_alloc();
	table.fault_id = fault.out_fault_id;
	CHECK_EQ(CALL(IOMMU_HWPT_ALLOC, table), 0);
	CHECK_EQ(attach(&a, table.out_hwpt_id), table.out_hwpt_id);
	faulting = &a.dev;
	fault_now();
	CHECK_EQ(told, 1);
	other = replace(&a, table.pt_id);
	CHECK(other > 0);
	CHECK_EQ(told, 2);
	CHECK_EQ(replace(&a, table.out_hwpt_id), table.out_hwpt_id);
	fault_now();
	CHECK_EQ(told, 3);
	device_detach(a.device, NO_PASID);
	CHECK_EQ(told, 4);
	CHECK_EQ(fake.installed->ops->poll(fake.installed) & POLLIN, 0);
	fake_device_end(&a);
	CHECK_EQ(destroy(table.out_hwpt_id), 0);
	file_put(fake.installed);
	end();
}

static bool is_usable(uint32_t id, iova_t iova)
{
	struct ioas_object *ioas = ioas_get(ctx, id);
	struct iova_span span[8];
	uint64_t alignment;
	size_t n = ioas_usable(&ioas->ioas, span, 8, &alignment);
	bool usable = false;

	for (size_t i = 0; i < n; i++)
		usable |= span[i].start <= iova && iova <= span[i].last;
	ioas_put(ioas);
	return usable;
}

static void what_devices_cannot_use_is_reserved(void)
{
	static const struct iova_span reserved[2][2] = {{{0x100000, 0x100fff}, {0x200000, 0x200fff}},
							{{0x300000, 0x300fff}, {0x400000, 0x400fff}}};
	struct iommu_group group = {.id = 1};
	struct fake_device d[2];
	uint32_t one, two;
	long table, other, sibling;

	begin();
	for (int i = 0; i < 2; i++) {
		fake_device_new(&d[i], &group);
		d[i].dev.reserved = reserved[i];
		d[i].dev.reserved_count = 2;
	}
	one = ioas_alloc();
	two = ioas_alloc();
	CHECK_EQ(map(two, 0x200000), 0);
	CHECK_EQ(attach(&d[0], two), -EADDRINUSE);
	CHECK(is_usable(two, 0x100000));
	CHECK_EQ(users_of(two), 0);
	table = attach(&d[0], one);
	CHECK_EQ(table, 5);
	CHECK(!is_usable(one, 0x100000) && !is_usable(one, 0x200fff) && is_usable(one, 0x300000));
	CHECK_EQ(attach(&d[1], one), table);
	CHECK(!is_usable(one, 0x300000));

	/* A failed replace, to another IOAS or within the same, keeps them, and leaves none behind. */
	iommu.page_sizes = PAGE_MASK;
	sibling = hwpt_alloc(d[0].device, one, 0);
	iommu.refused = domain_of(sibling);
	iommu.refuse_error = -EPERM;
	CHECK_EQ(replace(&d[0], (uint32_t)sibling), -EPERM);
	CHECK(!is_usable(one, 0x100000) && !is_usable(one, 0x400000));
	CHECK_EQ(destroy((uint32_t)sibling), 0);

	{
		struct iommu_ioas_unmap unmap = {.size = sizeof(unmap), .ioas_id = two, .length = UINT64_MAX};

		CHECK_EQ(CALL(IOMMU_IOAS_UNMAP, unmap), 0);
	}
	other = hwpt_alloc(d[0].device, two, 0);
	iommu.refused = domain_of(other);
	CHECK_EQ(replace(&d[0], (uint32_t)other), -EPERM);
	CHECK(is_usable(two, 0x100000) && is_usable(two, 0x400000));
	iommu.refused = NULL;
	CHECK_EQ(replace(&d[0], (uint32_t)other), other);
	CHECK(!is_usable(two, 0x100000) && !is_usable(two, 0x400000));
	CHECK(is_usable(one, 0x100000) && is_usable(one, 0x400000));
	device_detach(d[0].device, NO_PASID);
	CHECK(is_usable(two, 0x100000) && !is_usable(two, 0x400000));
	fake_device_end(&d[0]);
	fake_device_end(&d[1]);
	CHECK(is_usable(two, 0x400000));
	end();
}

/* The second of a group finds the memory in the way: nothing of the group moves. */
static void a_clash_of_one_device_keeps_the_group_where_it_is(void)
{
	static const struct iova_span first = {0x100000, 0x100fff}, second = {0x300000, 0x300fff};
	struct iommu_group group = {.id = 1};
	struct fake_device a, b;
	uint32_t one, two;
	struct ioas_object *ioas;
	struct range_map allowed = RANGE_MAP_INIT;
	long table, other;

	begin();
	fake_device_new(&a, &group);
	fake_device_new(&b, &group);
	a.dev.reserved = &first;
	b.dev.reserved = &second;
	a.dev.reserved_count = b.dev.reserved_count = 1;
	one = ioas_alloc();
	two = ioas_alloc();
	table = attach(&a, one);
	CHECK_EQ(attach(&b, one), table);
	other = hwpt_alloc(a.device, two, 0);
	for (int i = 0; i < 2; i++) {
		const struct iova_span *in_the_way = i ? &first : &second;

		CHECK_EQ(range_map_insert(&allowed, in_the_way->start, in_the_way->last, &allowed), 0);
		ioas = ioas_get(ctx, two);
		CHECK_EQ(ioas_allow(&ioas->ioas, &allowed), 0);
		ioas_put(ioas);
		range_map_clear(&allowed);
		CHECK_EQ(replace(&a, (uint32_t)other), -EADDRINUSE);
		CHECK_EQ(replace(&b, (uint32_t)other), -EADDRINUSE);
		CHECK(is_usable(two, first.start) && is_usable(two, second.start));
		CHECK(!is_usable(one, first.start) && !is_usable(one, second.start));
		CHECK_EQ(users_of((uint32_t)table), 2);
	}
	fake_device_end(&a);
	fake_device_end(&b);
	end();
}

static long pasid_attach(struct fake_device *d, uint32_t pasid, long id)
{
	uint32_t pt_id = (uint32_t)id;
	int rc = device_attach(d->device, pasid, &pt_id);

	return rc ? rc : (long)pt_id;
}

static long pasid_replace(struct fake_device *d, uint32_t pasid, long id)
{
	uint32_t pt_id = (uint32_t)id;
	int rc = device_replace(d->device, pasid, &pt_id);

	return rc ? rc : (long)pt_id;
}

static void pasids_want_page_tables_made_for_them(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a;
	uint32_t ioas;
	long plain, first, second;

	begin();
	fake_device_new(&a, &group);
	a.dev.max_pasids = 1U << 20;
	ioas = ioas_alloc();
	plain = hwpt_alloc(a.device, ioas, 0);
	first = hwpt_alloc(a.device, ioas, IOMMU_HWPT_ALLOC_PASID);
	second = hwpt_alloc(a.device, ioas, IOMMU_HWPT_ALLOC_PASID);
	CHECK_EQ(pasid_attach(&a, 1, 99), -ENOENT);
	CHECK_EQ(pasid_attach(&a, 1, plain), -EINVAL);
	CHECK_EQ(pasid_attach(&a, 1, ioas), -EINVAL); /* automatic ones are not */
	CHECK_EQ(users_of(ioas), 3);
	CHECK_EQ(attach(&a, (uint32_t)plain), plain);
	CHECK_EQ(pasid_attach(&a, 1, first), -EINVAL);
	CHECK_EQ(replace(&a, (uint32_t)first), first);
	CHECK_EQ(pasid_attach(&a, 1, first), first);
	CHECK_EQ(users_of((uint32_t)first), 2);
	CHECK(iommu_device_domain(&a.dev, 1) == domain_of(first));
	CHECK_EQ(pasid_attach(&a, 1, first), -EBUSY);
	CHECK_EQ(pasid_attach(&a, 1, second), -EBUSY);
	CHECK_EQ(pasid_attach(&a, 1U << 20, first), -EINVAL);
	CHECK_EQ(pasid_attach(&a, (1U << 20) - 1, first), first);
	CHECK_EQ(pasid_replace(&a, 2, second), -EINVAL);
	CHECK_EQ(pasid_replace(&a, 1, plain), -EINVAL);
	CHECK_EQ(pasid_replace(&a, 1, first), first);
	CHECK_EQ(pasid_replace(&a, 1, second), second);
	CHECK(&device_hwpt(a.device, 1)->object == object_get(ctx, (uint32_t)second, OBJECT_ANY));
	object_put(&device_hwpt(a.device, 1)->object);
	CHECK_EQ(users_of((uint32_t)first), 2);
	CHECK_EQ(users_of((uint32_t)second), 1);
	/* The device itself stays on one of them, or on nothing. */
	CHECK_EQ(replace(&a, (uint32_t)plain), -EINVAL);
	CHECK_EQ(replace(&a, ioas), -EINVAL);
	device_detach(a.device, NO_PASID);
	CHECK_EQ(attach(&a, (uint32_t)plain), -EINVAL);
	CHECK_EQ(attach(&a, ioas), -EINVAL);
	CHECK_EQ(users_of((uint32_t)plain), 0);
	CHECK_EQ(destroy((uint32_t)second), -EBUSY);
	device_detach(a.device, 1);
	CHECK_EQ(destroy((uint32_t)second), 0);
	fake_device_end(&a); /* detaches the other PASID */
	CHECK_EQ(users_of((uint32_t)first), 0);
	end();
}

static void a_pasid_that_the_driver_refuses_is_not_attached(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a;
	uint32_t ioas;
	long first, second;

	begin();
	fake_device_new(&a, &group);
	a.dev.max_pasids = 16;
	ioas = ioas_alloc();
	first = hwpt_alloc(a.device, ioas, IOMMU_HWPT_ALLOC_PASID);
	second = hwpt_alloc(a.device, ioas, IOMMU_HWPT_ALLOC_PASID);
	iommu.refused = domain_of(first);
	iommu.refuse_error = -ENOMEM;
	CHECK_EQ(pasid_attach(&a, 3, first), -ENOMEM);
	CHECK(!device_hwpt(a.device, 3));
	CHECK_EQ(pasid_attach(&a, 3, second), second);
	CHECK_EQ(pasid_replace(&a, 3, first), -ENOMEM);
	CHECK(iommu_device_domain(&a.dev, 3) == domain_of(second));
	CHECK_EQ(users_of((uint32_t)first), 0);
	fake_device_end(&a);
	end();
}

static void a_device_without_pasids_does_nothing_with_one(void)
{
	struct iommu_group group = {.id = 1};
	struct fake_device a;
	long table;

	begin();
	fake_device_new(&a, &group);
	table = hwpt_alloc(a.device, ioas_alloc(), IOMMU_HWPT_ALLOC_PASID);
	CHECK_EQ(pasid_attach(&a, 3, table), table);
	CHECK_EQ(users_of((uint32_t)table), 1);
	CHECK(!iommu_device_domain(&a.dev, 3));
	CHECK(device_hwpt(a.device, 3));
	device_detach(a.device, 3);
	CHECK_EQ(users_of((uint32_t)table), 0);
	fake_device_end(&a);
	end();
}

static void another_drivers_page_table_is_refused(void)
{
	struct iommu_group groups[2] = {{.id = 1}, {.id = 2}};
	struct fake_device a, b;
	uint32_t ioas;
	long table;

	begin();
	fake_device_new(&a, &groups[0]);
	fake_device_new(&b, &groups[1]);
	b.dev.driver = &fake_poor_driver;
	ioas = ioas_alloc();
	table = attach(&a, ioas);
	CHECK_EQ(attach(&b, (uint32_t)table), -EINVAL);
	CHECK_EQ(attach(&b, ioas), table + 1);
	fake_device_end(&a);
	fake_device_end(&b);
	end();
}

static long hw_info(const struct fake_device *d, struct iommu_hw_info *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->dev_id = d->device->object.id;
	cmd->data_uptr = fake_at(&fake, 4096);
	memset(fake.memory + 4096, 0xee, 4096);
	return CALL(IOMMU_GET_HW_INFO, *cmd);
}

static void hardware_is_told_as_far_as_there_is_room(void)
{
	struct iommu_group group = {.id = 1};
	struct iommu_hw_info cmd = {0};
	struct fake_device a;

	begin();
	fake_device_new(&a, &group);
	a.dev.max_pasids = 1U << 20;
	CHECK_EQ(hw_info(&a, &cmd), 0);
	CHECK_EQ(cmd.data_len, 16);
	CHECK_EQ(cmd.out_data_type, DATA_TYPE);
	CHECK_EQ(cmd.out_max_pasid_log2, 20);
	CHECK_EQ(cmd.out_capabilities, IOMMU_HW_CAP_DIRTY_TRACKING);
	CHECK_EQ(fake.memory[4096], 0xee);

	cmd = (struct iommu_hw_info){.data_len = 4, .in_data_type = 5}; /* not looked at */
	CHECK_EQ(hw_info(&a, &cmd), 0);
	CHECK_EQ(cmd.data_len, 16);
	CHECK_EQ(fake.memory[4099], 4);
	CHECK_EQ(fake.memory[4100], 0xee);

	a.dev.max_pasids = 0;
	cmd = (struct iommu_hw_info){.flags = 1, .data_len = 40, .in_data_type = DATA_TYPE};
	CHECK_EQ(hw_info(&a, &cmd), 0);
	CHECK_EQ(cmd.data_len, 16);
	CHECK_EQ(cmd.out_max_pasid_log2, 0);
	CHECK_EQ(fake.memory[4096 + 15], 16);
	CHECK_EQ(fake.memory[4096 + 16], 0);
	CHECK_EQ(fake.memory[4096 + 39], 0);
	CHECK_EQ(fake.memory[4096 + 40], 0xee);

	cmd = (struct iommu_hw_info){.flags = 1, .in_data_type = 5};
	CHECK_EQ(hw_info(&a, &cmd), -EOPNOTSUPP);
	cmd = (struct iommu_hw_info){.flags = 2};
	CHECK_EQ(hw_info(&a, &cmd), -EOPNOTSUPP);
	for (int i = 0; i < 3; i++) {
		cmd = (struct iommu_hw_info){0};
		cmd.__reserved[i] = 1;
		CHECK_EQ(hw_info(&a, &cmd), -EOPNOTSUPP);
	}
	cmd = (struct iommu_hw_info){.data_len = 8192}; /* more than the client has */
	CHECK_EQ(hw_info(&a, &cmd), -EFAULT);
	cmd = (struct iommu_hw_info){.size = sizeof(cmd), .dev_id = 99};
	CHECK_EQ(CALL(IOMMU_GET_HW_INFO, cmd), -ENOENT);

	a.dev.driver = &fake_poor_driver;
	cmd = (struct iommu_hw_info){.flags = 1, .in_data_type = 5, .data_len = 4};
	CHECK_EQ(hw_info(&a, &cmd), 0);
	CHECK_EQ(cmd.data_len, 0);
	CHECK_EQ(cmd.out_data_type, 0);
	CHECK_EQ(fake.memory[4099], 0);
	a.dev.driver = &fake_driver;
	fake_device_end(&a);
	end();
}

int main(void)
{
	a_device_belongs_to_one_iommufd_and_a_group_too();
	an_automatic_page_table_lives_as_long_as_it_is_used();
	an_automatic_page_table_in_use_by_a_call_stays();
	what_cannot_be_attached_to();
	the_driver_decides_which_automatic_page_table_suits();
	a_page_table_that_cannot_be_made_changes_nothing();
	replacing_is_all_or_nothing();
	a_device_that_goes_back_leaves_no_fault();
	readers_of_faults_are_told_without_locks();
	what_devices_cannot_use_is_reserved();
	a_clash_of_one_device_keeps_the_group_where_it_is();
	pasids_want_page_tables_made_for_them();
	a_pasid_that_the_driver_refuses_is_not_attached();
	a_device_without_pasids_does_nothing_with_one();
	another_drivers_page_table_is_refused();
	hardware_is_told_as_far_as_there_is_room();
	return check_result();
}
