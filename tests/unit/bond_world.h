/* SPDX-License-Identifier: BSD-3-Clause */
/* A system of devices that can share addresses, and processes that are only address spaces, to be bound to them. */
#ifndef IOMMUSE_TESTS_BOND_WORLD_H
#define IOMMUSE_TESTS_BOND_WORLD_H

#include "vfio_world.h"

#include "client/mm.h"
#include "pasid/ioasid.h"
#include "vfio/bond.h"
#include "vfio/mm_pasid.h"

#include <sched.h>

#define PEOPLE      8
#define PASID_SPACE 6U /* bits */

/* A process. */
struct person {
	struct mm mm;
	pid_t pid;
	int find;        /* what find_mm() of it says */
	uint64_t memory; /* whose number is the same, who lives in the same memory */
	atomic_uint released;
};

static struct {
	struct person person[PEOPLE];
	struct world_device *first, *second, *other, *low, *lame; /* of groups 1, 1, 2, 3 and 4 */
	struct ioasid_space *ioasids;
	void (*_Atomic while_copying)(void); /* called once, within the next copy to a client */
	void (*_Atomic while_comparing)(void);
	atomic_bool deny_copy;
} bw;

static void person_release(struct mm *mm)
{
	atomic_fetch_add(&((struct person *)mm)->released, 1);
}

static bool person_same(struct mm *a, struct mm *b)
{
	void (*meanwhile)(void) = atomic_exchange(&bw.while_comparing, NULL);

	if (meanwhile)
		meanwhile();
	return ((struct person *)a)->memory == ((struct person *)b)->memory;
}

/* Each address has a value of its own, and of the process. */
static size_t person_load(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	if (mm_is_gone(mm))
		return 0;
	for (size_t i = 0; i < n; i++)
		((unsigned char *)dst)[i] = (unsigned char)(src.va + i + ((struct person *)mm)->memory);
	return n;
}

static size_t person_store(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	(void)dst;
	(void)src;
	return mm_is_gone(mm) ? 0 : n;
}

static const struct mm_ops person_ops = {
	.release = person_release,
	.read = person_load,
	.write = person_store,
	.load = person_load,
	.store = person_store,
	.same = person_same,
};

/* A process of that number, in a slot that nobody has. */
static inline void person_init(struct person *person, pid_t pid)
{
	memset(person, 0, sizeof(*person));
	person->mm.ops = &person_ops;
	person->mm.serial = 100 + (uint64_t)(person - bw.person);
	person->mm.pid = pid;
	atomic_init(&person->mm.refs, 1);
	pthread_mutex_init(&person->mm.watch_lock, NULL);
	person->pid = pid;
	person->memory = person->mm.serial;
}

/* Exits: nobody finds it any more. */
static inline void person_end(struct person *person)
{
	person->find = -ESRCH;
	mm_announce_gone(&person->mm);
}

static inline struct person *person_new(pid_t pid)
{
	for (unsigned i = 0; i < PEOPLE; i++) {
		if (bw.person[i].mm.ops)
			continue;
		person_init(&bw.person[i], pid);
		return &bw.person[i];
	}
	abort();
}

/* Calls of a process */

struct person_client {
	struct local_client local;
	struct client_ops ops;
	struct person *person;
};

static struct mm *client_person_mm(struct client *client)
{
	return &((struct person_client *)client)->person->mm;
}

static int client_find_person(struct client *client, pid_t pid, struct mm **mm)
{
	int rc = -ESRCH;

	(void)client;
	for (unsigned i = 0; i < PEOPLE; i++) {
		if (bw.person[i].pid != pid || !bw.person[i].mm.ops || (rc != -ESRCH && bw.person[i].find))
			continue;
		rc = bw.person[i].find;
		if (!rc)
			*mm = mm_get(&bw.person[i].mm);
		if (!rc)
			break;
	}
	return rc;
}

static int client_copy_to_person(struct client *client, uaddr_t dst, const void *src, size_t n)
{
	void (*meanwhile)(void) = atomic_exchange(&bw.while_copying, NULL);

	(void)client;
	if (meanwhile)
		meanwhile();
	if (atomic_load(&bw.deny_copy))
		return -EFAULT;
	memcpy((void *)(uintptr_t)dst.va, src, n);
	return 0;
}

static inline long call_by(struct person *person, int fd, unsigned cmd, void *arg)
{
	struct person_client client = {.person = person};
	struct file *file;
	long rc = world_file(NULL, fd, &file);

	if (rc)
		return rc;
	local_client_init(&client.local, &world.local, fd);
	client.ops = *client.local.client.ops;
	client.ops.mm = client_person_mm;
	client.ops.find_mm = client_find_person;
	client.ops.copy_out = client_copy_to_person;
	client.local.client.ops = &client.ops;
	client.local.client.pid = person->pid;
	rc = file->ops->ioctl(file, &client.local.client, cmd, (uintptr_t)arg);
	file_put(file);
	return rc;
}

struct bind_arg {
	uint32_t argsz, mode;
	struct vfio_iommu_type1_bind_process process;
};

/* pid 0: none is given. Returns the PASID, or -errno. */
static inline long bind_by(struct person *person, int container, pid_t pid)
{
	struct bind_arg arg = {.argsz = sizeof(arg),
			       .mode = VFIO_IOMMU_BIND_PROCESS,
			       .process = {.flags = pid ? VFIO_IOMMU_BIND_PID : 0, .pasid = 7777, .pid = pid}};
	long rc = call_by(person, container, VFIO_IOMMU_BIND, &arg);

	return rc ? rc : arg.process.pasid;
}

static inline long unbind_by(struct person *person, int container, pid_t pid)
{
	struct bind_arg arg = {.argsz = sizeof(arg),
			       .mode = VFIO_IOMMU_BIND_PROCESS,
			       .process = {.flags = pid ? VFIO_IOMMU_BIND_PID : 0, .pid = pid}};

	return call_by(person, container, VFIO_IOMMU_UNBIND, &arg);
}

/* Whose memory a PASID of a device is; NULL: nobody's. */
static inline struct person *at_pasid(struct world_device *device, uint32_t pasid)
{
	const struct domain *domain = iommu_device_domain(&device->device.iommu, pasid);

	return domain ? (struct person *)domain->shared : NULL;
}

static inline void no_pasids_are_left(void)
{
	bool left = true;

	while (left) {
		mm_pasids_lock(world.vfio.mm_pasids);
		left = bonds_purge(world.vfio.mm_pasids);
		left |= world.vfio.mm_pasids->first != NULL;
		mm_pasids_unlock(world.vfio.mm_pasids);
		sched_yield();
	}
}

/* Waits until another thread has done it, which is on its way. */
static inline void await_no_pasids(void)
{
	bool left = true;

	while (left) {
		mm_pasids_lock(world.vfio.mm_pasids);
		left = world.vfio.mm_pasids->first != NULL;
		mm_pasids_unlock(world.vfio.mm_pasids);
		sched_yield();
	}
}

/* The same: nobody knows the process any more. */
static inline void await_forgotten(struct person *person)
{
	while (atomic_load(&person->mm.refs) != 1)
		sched_yield();
}

/* Devices and containers */

static struct iommuse_model sharing_model, low_model, lame_model;

static inline void bond_world_begin(void)
{
	memset(&bw, 0, sizeof(bw));
	world_begin();
	sharing_model = low_model = lame_model = world_model;
	sharing_model.page_requests = low_model.page_requests = true;
	low_model.pasid_bits = 2;
	CHECK_EQ(ioasid_space_new(PASID_SPACE, &bw.ioasids), 0);
	CHECK_EQ(mm_pasids_new(bw.ioasids, &world.vfio.mm_pasids), 0);
	world.vfio.ioasids = bw.ioasids;
	world.config.vfio = &world.vfio;
	bw.first = add_device(&sharing_model, 1, 0, 1);
	bw.second = add_device(&sharing_model, 1, 1, 1);
	bw.other = add_device(&sharing_model, 2, 0, 2);
	bw.low = add_device(&low_model, 3, 0, 3);
	bw.lame = add_device(&lame_model, 4, 0, 4);
}

static inline void bond_world_end(void)
{
	uint32_t all = 1U << PASID_SPACE, pasid;
	struct ioasid_set *set;

	for (int fd = 0; fd < FDS; fd++)
		close_fd(fd);
	no_pasids_are_left();
	/* No PASID was lost. */
	CHECK_EQ(ioasid_set_new(bw.ioasids, 1, 1, UINT64_MAX, IOASID_SET_MM, &set), 0);
	for (uint32_t i = 1; i < all; i++)
		CHECK_EQ(ioasid_alloc(set, 1, all - 1, NULL, NULL, &pasid), 0);
	CHECK_EQ(ioasid_alloc(set, 1, all - 1, NULL, NULL, &pasid), -ENOSPC);
	ioasid_set_end(set);
	mm_pasids_free(world.vfio.mm_pasids);
	for (unsigned i = 0; i < PEOPLE; i++)
		if (bw.person[i].mm.ops)
			CHECK_EQ(atomic_load(&bw.person[i].mm.refs), 1);
	world_end();
	ioasid_space_free(bw.ioasids);
}

/* A container with an IOMMU, and the group in it. */
static inline int container_with(uint32_t group, int *group_fd)
{
	int container = open_container();
	int fd = open_group(group);

	CHECK_EQ(set_container(fd, container), 0);
	CHECK_EQ(call(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	if (group_fd)
		*group_fd = fd;
	return container;
}

#endif
