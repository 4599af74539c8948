/* SPDX-License-Identifier: BSD-3-Clause */
/* Each allocation, and the thread, that BIND, a group and a device want fails in turn: it says so, and nothing has
 * changed. Linked with --wrap. */
#include "bond_world.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context);

enum { NEVER = 0 };

static _Thread_local int until_failure = NEVER;

static bool fails(void)
{
	return until_failure != NEVER && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attr, run, context);
}

static struct person *me, *peer;
static int container, group;

static void begin(void)
{
	bond_world_begin();
	me = person_new(10);
	peer = person_new(11);
	container = container_with(1, &group);
}

static void bind(void)
{
	long rc = -ENOMEM;
	int nth;

	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK(device_fd(group, bw.second) >= 0);
	for (nth = 1; rc == -ENOMEM; nth++) {
		until_failure = nth;
		rc = bind_by(me, container, 0);
		until_failure = NEVER;
		if (rc != -ENOMEM)
			break;
		CHECK(!at_pasid(bw.first, 1) && !at_pasid(bw.second, 1));
		CHECK(!world.vfio.mm_pasids->first);
		CHECK_EQ(atomic_load(&me->mm.refs), 1);
		CHECK_EQ(unbind_by(me, container, 0), -ESRCH);
	}
	CHECK_EQ(rc, 1);
	CHECK(nth > 5);
	CHECK(at_pasid(bw.first, 1) == me && at_pasid(bw.second, 1) == me);
	bond_world_end();
}

static void open_device(void)
{
	int fd = -ENOMEM, nth;

	begin();
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(bind_by(peer, container, 0), 2);
	for (nth = 1; fd == -ENOMEM; nth++) {
		until_failure = nth;
		fd = device_fd(group, bw.first);
		until_failure = NEVER;
		if (fd < 0)
			CHECK(!at_pasid(bw.first, 1) && !at_pasid(bw.first, 2));
		if (fd == -ENFILE || fd == -EMFILE)
			fd = -ENOMEM;
	}
	CHECK(fd >= 0);
	CHECK(nth > 5);
	CHECK(at_pasid(bw.first, 1) == me && at_pasid(bw.first, 2) == peer);
	bond_world_end();
}

/* Two devices of it are open, and get two bonds each. */
static void join(void)
{
	long rc = -ENOMEM;
	int nth;

	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK(device_fd(group, bw.second) >= 0);
	CHECK_EQ(set_container(open_group(2), container), 0);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(bind_by(peer, container, 0), 2);
	for (nth = 1; rc == -ENOMEM; nth++) {
		until_failure = nth;
		rc = set_container(group, container);
		until_failure = NEVER;
		for (uint32_t pasid = 1; pasid < 3; pasid++) {
			CHECK(!at_pasid(bw.first, pasid) == !!rc);
			CHECK(!at_pasid(bw.second, pasid) == !!rc);
		}
	}
	CHECK_EQ(rc, 0);
	CHECK(nth > 4);
	bond_world_end();
}

/* One device kept its bonds when the group's file was closed, and two were opened just then. */
static void join_again(void)
{
	struct world_device *third;
	struct vfio_group *its;
	struct leftovers left;
	struct ctx *ctx;
	int rc = -ENOMEM;
	int nth;

	bond_world_begin();
	me = person_new(10);
	peer = person_new(11);
	third = add_device(&sharing_model, 1, 2, 1);
	container = container_with(1, &group);
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(bind_by(peer, container, 0), 2);
	its = bw.first->device.group;
	ctx = its->container;
	bonds_remove_group(ctx, its, NULL);
	CHECK_EQ(bonds_add_device(ctx, &bw.second->device), 0);
	CHECK_EQ(bonds_add_device(ctx, &third->device), 0);
	for (nth = 1; rc == -ENOMEM; nth++) {
		left = (struct leftovers){0};
		until_failure = nth;
		rc = bonds_add_group(ctx, its, &left);
		until_failure = NEVER;
		leftovers_end(&left);
		for (uint32_t pasid = 1; pasid < 3; pasid++) {
			CHECK(at_pasid(bw.first, pasid));
			CHECK(!at_pasid(bw.second, pasid) == !!rc);
			CHECK(!at_pasid(third, pasid) == !!rc);
		}
	}
	CHECK_EQ(rc, 0);
	CHECK(nth > 4);
	bonds_remove_device(ctx, &bw.second->device);
	bonds_remove_device(ctx, &third->device);
	CHECK(at_pasid(bw.first, 1) && !at_pasid(bw.second, 1) && !at_pasid(third, 1));
	bond_world_end();
}

static void set_up_container(void)
{
	long rc = -ENOMEM;
	int file;

	begin();
	file = open_container();
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	for (int nth = 1; rc == -ENOMEM; nth++) {
		until_failure = nth;
		rc = set_container(group, file);
		until_failure = NEVER;
	}
	CHECK_EQ(rc, 0);
	CHECK_EQ(call(file, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	CHECK_EQ(bind_by(me, file, 0), 1);
	bond_world_end();
}

int main(void)
{
	bind();
	open_device();
	join();
	join_again();
	set_up_container();
	return check_result();
}
