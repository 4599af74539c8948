/* SPDX-License-Identifier: BSD-3-Clause */
/* Address spaces bound to containers: section G of the interface. */
#include "bond_world.h"

static struct person *me, *peer;
static int container, group;

static void begin(void)
{
	bond_world_begin();
	me = person_new(10);
	peer = person_new(11);
	container = container_with(1, &group);
}

static void end(void)
{
	bond_world_end();
}

static void a_bond_is_on_all_devices_of_the_container(void)
{
	long pasid;
	int other;

	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	pasid = bind_by(me, container, 0);
	CHECK_EQ(pasid, 1);
	CHECK(at_pasid(bw.first, 1) == me);
	CHECK(!at_pasid(bw.second, 1)); /* not open */
	CHECK(device_fd(group, bw.second) >= 0);
	CHECK(at_pasid(bw.second, 1) == me);
	other = open_group(2);
	CHECK(!at_pasid(bw.other, 1));
	CHECK_EQ(set_container(other, container), 0);
	CHECK(device_fd(other, bw.other) >= 0);
	CHECK(at_pasid(bw.other, 1) == me);
	CHECK(!at_pasid(bw.first, 2));
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK(!at_pasid(bw.first, 1) && !at_pasid(bw.second, 1) && !at_pasid(bw.other, 1));
	end();
}

static void a_device_that_is_closed_loses_them_and_the_next_open_gets_them(void)
{
	int device;

	begin();
	device = device_fd(group, bw.first);
	CHECK(device_fd(group, bw.second) >= 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(bind_by(peer, container, 0), 2);
	close_fd(device);
	CHECK(!at_pasid(bw.first, 1) && !at_pasid(bw.first, 2));
	CHECK(at_pasid(bw.second, 1) == me && at_pasid(bw.second, 2) == peer);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK(!at_pasid(bw.first, 1));
	CHECK(at_pasid(bw.first, 2) == peer);
	end();
}

static void a_device_of_its_own_file_is_no_part_of_it(void)
{
	int cdev;

	begin();
	CHECK_EQ(bind_by(me, container, 0), 1);
	cdev = open_cdev(bw.other);
	CHECK_EQ(bind_device(cdev, container, NULL), 0);
	CHECK(!at_pasid(bw.other, 1));
	end();
}

static void the_pasid_is_the_address_space_s(void)
{
	int second;

	begin();
	second = container_with(2, NULL);
	CHECK_EQ(bind_by(peer, container, 0), 1);
	CHECK_EQ(bind_by(me, container, 0), 2);
	CHECK_EQ(bind_by(me, second, 0), 2);
	CHECK_EQ(bind_by(me, second, me->pid), 2);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK_EQ(unbind_by(peer, container, 0), 0);
	CHECK_EQ(bind_by(me, container, 0), 2); /* it has it by the second container */
	CHECK_EQ(unbind_by(me, second, 0), 0);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	end();
}

static void two_processes_in_one_memory_are_one(void)
{
	begin();
	peer->memory = me->memory;
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(bind_by(peer, container, 0), 1);
	CHECK_EQ(unbind_by(peer, container, 0), 0);
	CHECK_EQ(unbind_by(me, container, 0), -ESRCH);
	end();
}

static void bind_third_meanwhile(void)
{
	struct person *third = person_new(12);

	CHECK_EQ(bind_by(third, container, 0), 2);
	CHECK_EQ(unbind_by(peer, container, 11), 0);
}

/* A process can make it take long to be compared with another one. */
static void others_go_on_while_memory_is_compared(void)
{
	begin();
	CHECK_EQ(bind_by(peer, container, 0), 1);
	bw.while_comparing = bind_third_meanwhile;
	CHECK_EQ(bind_by(me, container, 0), 1);
	end();
}

static void bind_me(void)
{
	CHECK_EQ(bind_by(me, container, 0), 2);
}

static void unbind_me(void)
{
	CHECK_EQ(unbind_by(me, container, 0), 0);
}

static void one_of_the_same_memory_comes_or_goes_meanwhile(void)
{
	struct person *twin;

	begin();
	twin = person_new(70);
	twin->memory = me->memory;
	CHECK_EQ(bind_by(peer, container, 0), 1);
	bw.while_comparing = bind_me;
	CHECK_EQ(bind_by(twin, container, 0), 2);
	/* It is gone again when it was found. */
	bw.while_comparing = unbind_me;
	CHECK_EQ(bind_by(twin, container, 0), 2);
	CHECK(!bw.while_comparing);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK_EQ(unbind_by(twin, container, 0), -ESRCH);
	end();
}

static void to_bind_again_counts_nothing(void)
{
	begin();
	for (int i = 0; i < 3; i++)
		CHECK_EQ(bind_by(me, container, i == 1 ? me->pid : 0), 1);
	CHECK_EQ(bind_by(peer, container, me->pid), 1);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK_EQ(unbind_by(me, container, 0), -ESRCH);
	end();
}

static void there_has_to_be_an_iommu(void)
{
	int empty, fd;

	bond_world_begin();
	me = person_new(10);
	empty = open_container();
	CHECK_EQ(bind_by(me, empty, 0), -EINVAL);
	CHECK_EQ(unbind_by(me, empty, 0), -EINVAL);
	fd = open_group(1);
	CHECK_EQ(set_container(fd, empty), 0);
	CHECK_EQ(bind_by(me, empty, 0), -EINVAL);
	CHECK_EQ(call(empty, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU), 0);
	CHECK_EQ(bind_by(me, empty, 0), 1);
	CHECK_EQ(call(fd, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(bind_by(me, empty, 0), -EINVAL);
	CHECK_EQ(unbind_by(me, empty, 0), -EINVAL);
	CHECK_EQ(set_container(fd, empty), 0);
	CHECK_EQ(unbind_by(me, empty, 0), -ESRCH);
	CHECK_EQ(unbind_by(me, empty, me->pid), -ESRCH);
	bond_world_end();
}

static void devices_have_to_be_able_to(void)
{
	int lame;

	begin();
	lame = open_group(4);
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(set_container(lame, container), -ENODEV);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK_EQ(set_container(lame, container), 0);
	CHECK_EQ(bind_by(me, container, 0), -ENODEV);
	CHECK(device_fd(lame, bw.lame) >= 0);
	CHECK_EQ(bind_by(me, container, 0), -ENODEV);
	CHECK_EQ(call(lame, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	end();
}

static void a_pasid_can_be_too_high(void)
{
	struct person *others[3];
	int low, small;

	begin();
	for (int i = 0; i < 3; i++) {
		others[i] = person_new(20 + i);
		CHECK_EQ(bind_by(others[i], container, 0), i + 1);
	}
	low = open_group(3);
	CHECK_EQ(bind_by(me, container, 0), 4);
	CHECK_EQ(set_container(low, container), -EOVERFLOW);
	small = open_container();
	CHECK_EQ(set_container(low, small), 0);
	CHECK_EQ(call(small, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	CHECK_EQ(bind_by(me, small, 0), -EOVERFLOW);
	CHECK_EQ(bind_by(others[2], small, 0), 3);
	CHECK_EQ(bind_by(peer, small, 0), -ENOSPC);
	CHECK_EQ(unbind_by(others[0], container, 0), 0);
	CHECK_EQ(bind_by(peer, small, 0), 1);
	end();
}

static void pasids_can_run_out(void)
{
	const uint32_t all = 1U << PASID_SPACE;
	struct ioasid_set *set;
	uint32_t pasid;

	begin();
	CHECK_EQ(ioasid_set_new(bw.ioasids, 5, 5, UINT64_MAX, IOASID_SET_MM, &set), 0);
	for (uint32_t i = 1; i < all; i++)
		CHECK_EQ(ioasid_alloc(set, 1, all - 1, NULL, NULL, &pasid), 0);
	CHECK_EQ(bind_by(me, container, 0), -ENOSPC);
	CHECK_EQ(ioasid_free(set, 9), 0);
	CHECK_EQ(bind_by(me, container, 0), 9);
	ioasid_set_end(set);
	end();
}

static void a_group_that_leaves_loses_them(void)
{
	int device, device2, other;

	begin();
	other = open_group(2);
	CHECK_EQ(set_container(other, container), 0);
	device = device_fd(group, bw.first);
	device2 = device_fd(group, bw.second);
	CHECK(device >= 0 && device2 >= 0 && device_fd(other, bw.other) >= 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK(!at_pasid(bw.first, 1) && !at_pasid(bw.second, 1));
	CHECK(at_pasid(bw.other, 1) == me);
	CHECK_EQ(set_container(group, container), 0);
	CHECK(at_pasid(bw.first, 1) == me && at_pasid(bw.second, 1) == me);
	close_fd(device2);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK_EQ(set_container(group, container), 0);
	CHECK(!at_pasid(bw.first, 1));
	end();
}

static void the_last_group_takes_all_bonds_with_it(void)
{
	int device;

	begin();
	device = device_fd(group, bw.first);
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(bind_by(peer, container, 0), 2);
	person_end(peer);
	await_forgotten(peer);
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	CHECK(!at_pasid(bw.first, 1));
	await_no_pasids();
	CHECK_EQ(unbind_by(me, container, 0), -EINVAL);
	CHECK_EQ(set_container(group, container), 0);
	CHECK(!at_pasid(bw.first, 1));
	CHECK_EQ(unbind_by(me, container, 0), -ESRCH);
	CHECK_EQ(unbind_by(me, container, peer->pid), -ESRCH);
	/* Its device is the last, where that is open longer than its file. */
	CHECK_EQ(bind_by(me, container, 0), 1);
	close_fd(group);
	CHECK_EQ(bind_by(me, container, 0), 1);
	close_fd(device);
	await_no_pasids();
	CHECK_EQ(bind_by(me, container, 0), -EINVAL);
	CHECK_EQ(set_container(open_group(1), container), 0);
	CHECK_EQ(unbind_by(me, container, 0), -ESRCH);
	end();
}

/* As a device needs neither the file of its group nor the container to go on. */
static void a_group_whose_file_is_closed_keeps_them(void)
{
	int device;

	begin();
	device = device_fd(group, bw.first);
	CHECK_EQ(bind_by(me, container, 0), 1);
	close_fd(group);
	CHECK(at_pasid(bw.first, 1) == me);
	CHECK_EQ(bind_by(peer, container, 0), 2);
	CHECK(at_pasid(bw.first, 2) == peer);
	close_fd(container);
	CHECK(at_pasid(bw.first, 1) == me);
	close_fd(device);
	CHECK(!at_pasid(bw.first, 1) && !at_pasid(bw.first, 2));
	end();
}

static void a_container_that_is_closed_drops_them(void)
{
	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	for (int fd = 0; fd < FDS; fd++)
		close_fd(fd);
	CHECK(!at_pasid(bw.first, 1));
	CHECK_EQ(atomic_load(&me->mm.refs), 1);
	end();
}

static void an_answer_that_cannot_be_given_leaves_nothing(void)
{
	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK_EQ(bind_by(peer, container, 0), 1);
	atomic_store(&bw.deny_copy, true);
	CHECK_EQ(bind_by(me, container, 0), -EFAULT);
	CHECK_EQ(bind_by(peer, container, 0), -EFAULT);
	atomic_store(&bw.deny_copy, false);
	CHECK(!at_pasid(bw.first, 2));
	CHECK(at_pasid(bw.first, 1) == peer);
	CHECK_EQ(unbind_by(me, container, 0), -ESRCH);
	CHECK_EQ(unbind_by(peer, container, 0), 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	end();
}

/* While BIND tells the PASID */

static void bind_meanwhile(void)
{
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK(at_pasid(bw.first, 1) == me);
}

static void bind_and_unbind_meanwhile(void)
{
	CHECK(!at_pasid(bw.first, 1));
	bind_meanwhile();
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK_EQ(bind_by(peer, container, 0), 2); /* 1 is taken */
}

static void leave_meanwhile(void)
{
	CHECK_EQ(call(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
}

static void end_meanwhile(void)
{
	person_end(me);
}

static void others_may_come_in_between(void)
{
	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	bw.while_copying = bind_meanwhile;
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	CHECK_EQ(unbind_by(me, container, 0), -ESRCH);
	bw.while_copying = bind_and_unbind_meanwhile;
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK(at_pasid(bw.first, 1) == me && at_pasid(bw.first, 2) == peer);
	CHECK_EQ(unbind_by(me, container, 0), 0);
	bw.while_copying = leave_meanwhile;
	CHECK_EQ(bind_by(me, container, 0), -EINVAL);
	CHECK(!at_pasid(bw.first, 1));
	CHECK_EQ(set_container(group, container), 0);
	bw.while_copying = end_meanwhile;
	CHECK_EQ(bind_by(peer, container, me->pid), -ESRCH);
	CHECK(!at_pasid(bw.first, 1));
	end();
}

/* The end of an address space */

static void who_wants_pasids_need_not_wait_for_the_thread_that_ends_bonds(void)
{
	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	person_end(me);
	vfio_settle(&world.vfio);
	mm_pasids_lock(world.vfio.mm_pasids);
	CHECK(!world.vfio.mm_pasids->first);
	mm_pasids_unlock(world.vfio.mm_pasids);
	CHECK(!at_pasid(bw.first, 1));
	end();
}

static void the_end_of_an_address_space_ends_its_bonds(void)
{
	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK_EQ(bind_by(me, container, 0), 1);
	CHECK_EQ(bind_by(me, container_with(2, NULL), 0), 1);
	person_end(me);
	await_no_pasids(); /* nobody calls */
	CHECK(!at_pasid(bw.first, 1));
	CHECK_EQ(bind_by(peer, container, 0), 1);
	CHECK(at_pasid(bw.first, 1) == peer);
	CHECK_EQ(bind_by(me, container, 0), -EINVAL);
	end();
}

/* A device that is at work keeps the number, and nobody waits for it. */
static void a_pasid_is_reused_only_when_every_device_has_let_go(void)
{
	struct dma *dma;

	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	dma = &bw.first->device.dma;
	CHECK_EQ(bind_by(me, container, 0), 1);
	dma_begin(dma);
	person_end(me);
	CHECK_EQ(bind_by(peer, container, 0), 2);
	CHECK(!at_pasid(bw.first, 1));
	CHECK(at_pasid(bw.first, 2) == peer);
	CHECK_EQ(set_container(open_group(2), container), 0);
	dma_end(dma);
	do {
		mm_pasids_lock(world.vfio.mm_pasids);
		CHECK(world.vfio.mm_pasids->first != NULL);
		dma = world.vfio.mm_pasids->first->next ? dma : NULL;
		mm_pasids_unlock(world.vfio.mm_pasids);
		sched_yield();
	} while (dma);
	CHECK_EQ(unbind_by(peer, container, 0), 0);
	CHECK_EQ(bind_by(peer, container, 0), 1);
	end();
}

static void a_dead_process_is_unbound_once_by_its_number(void)
{
	begin();
	CHECK_EQ(bind_by(peer, container, me->pid), 1);
	person_end(me);
	await_no_pasids();
	CHECK_EQ(unbind_by(peer, container, 12), -ESRCH);
	CHECK_EQ(unbind_by(peer, container, me->pid), 0);
	CHECK_EQ(unbind_by(peer, container, me->pid), -ESRCH);
	end();
}

static void a_dead_process_is_unbound_while_a_device_works(void)
{
	struct dma *dma;

	begin();
	CHECK(device_fd(group, bw.first) >= 0);
	CHECK(device_fd(group, bw.second) >= 0);
	dma = &bw.first->device.dma;
	CHECK_EQ(bind_by(me, container, 0), 1);
	dma_begin(dma);
	person_end(me);
	mm_pasids_lock(world.vfio.mm_pasids);
	CHECK(bonds_purge(world.vfio.mm_pasids));
	mm_pasids_unlock(world.vfio.mm_pasids);
	dma_end(dma);
	CHECK_EQ(unbind_by(peer, container, me->pid), 0);
	CHECK_EQ(unbind_by(peer, container, me->pid), -ESRCH);
	await_no_pasids();
	end();
}

static void who_lives_under_a_number_wins_over_who_did(void)
{
	struct person *heir;

	begin();
	CHECK_EQ(bind_by(me, container, 0), 1);
	person_end(me);
	await_no_pasids();
	heir = person_new(me->pid);
	/* He is not bound, so it is the other one. */
	CHECK_EQ(unbind_by(peer, container, me->pid), 0);
	CHECK_EQ(unbind_by(peer, container, me->pid), -ESRCH);
	CHECK_EQ(bind_by(heir, container, 0), 1);
	person_end(heir);
	await_no_pasids();
	heir = person_new(me->pid);
	CHECK_EQ(bind_by(heir, container, 0), 1);
	CHECK_EQ(unbind_by(peer, container, me->pid), 0);
	CHECK_EQ(unbind_by(peer, container, me->pid), -ESRCH);
	end();
}

/* What was bound can be unbound by its number, whatever it allows by now; but not in place of another one. */
static void a_process_that_may_not_be_looked_into_is_unbound(void)
{
	begin();
	peer->find = -EACCES;
	CHECK_EQ(bind_by(me, container, peer->pid), -EACCES);
	CHECK_EQ(unbind_by(me, container, peer->pid), -EACCES);
	CHECK_EQ(bind_by(peer, container, 0), 1);
	CHECK_EQ(unbind_by(me, container, peer->pid), 0);
	CHECK_EQ(unbind_by(peer, container, 0), -ESRCH);
	end();
}

static void the_dead_are_forgotten_in_the_end(void)
{
	struct person *many;

	begin();
	many = person_new(1000);
	for (int i = 0; i < 1030; i++) {
		person_init(many, 1000 + i);
		CHECK_EQ(bind_by(many, container, 0), 1);
		person_end(many);
		await_forgotten(many);
	}
	CHECK_EQ(unbind_by(me, container, 1000), -ESRCH);
	CHECK_EQ(unbind_by(me, container, 1005), -ESRCH);
	CHECK_EQ(unbind_by(me, container, 1006), 0);
	CHECK_EQ(unbind_by(me, container, 2029), 0);
	end();
}

/* Others */

static void a_pasid_of_a_bond_is_nobody_s_to_attach(void)
{
	uint32_t ioas, id, hwpt;
	int iommu, cdev;

	begin();
	CHECK_EQ(bind_by(me, container, 0), 1);
	iommu = open_iommu();
	cdev = open_cdev(bw.other);
	CHECK_EQ(bind_device(cdev, iommu, &id), 0);
	ioas = ioas_alloc(iommu);
	CHECK_EQ(hwpt_alloc(iommu, id, ioas, IOMMU_HWPT_ALLOC_PASID, &hwpt), 0);
	CHECK_EQ(attach_pasid(cdev, 1, &hwpt), -EACCES);
	CHECK_EQ(attach_pasid(cdev, 2, &hwpt), 0);
	end();
}

int main(void)
{
	a_bond_is_on_all_devices_of_the_container();
	a_device_that_is_closed_loses_them_and_the_next_open_gets_them();
	a_device_of_its_own_file_is_no_part_of_it();
	the_pasid_is_the_address_space_s();
	two_processes_in_one_memory_are_one();
	others_go_on_while_memory_is_compared();
	one_of_the_same_memory_comes_or_goes_meanwhile();
	to_bind_again_counts_nothing();
	there_has_to_be_an_iommu();
	devices_have_to_be_able_to();
	a_pasid_can_be_too_high();
	pasids_can_run_out();
	a_group_that_leaves_loses_them();
	the_last_group_takes_all_bonds_with_it();
	a_group_whose_file_is_closed_keeps_them();
	a_container_that_is_closed_drops_them();
	an_answer_that_cannot_be_given_leaves_nothing();
	others_may_come_in_between();
	who_wants_pasids_need_not_wait_for_the_thread_that_ends_bonds();
	the_end_of_an_address_space_ends_its_bonds();
	a_pasid_is_reused_only_when_every_device_has_let_go();
	a_dead_process_is_unbound_once_by_its_number();
	a_dead_process_is_unbound_while_a_device_works();
	who_lives_under_a_number_wins_over_who_did();
	a_process_that_may_not_be_looked_into_is_unbound();
	the_dead_are_forgotten_in_the_end();
	a_pasid_of_a_bond_is_nobody_s_to_attach();
	return check_result();
}
