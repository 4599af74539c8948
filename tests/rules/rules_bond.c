/* SPDX-License-Identifier: BSD-3-Clause */
/* Address spaces of processes bound to a container: VFIO_IOMMU_BIND and UNBIND. */
#define _GNU_SOURCE
#include "bond_device.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARG                                                                                                            \
	{                                                                                                              \
		.bind = {.argsz = sizeof(struct bind_arg), .mode = VFIO_IOMMU_BIND_PROCESS }                           \
	}

static const unsigned long both[] = {VFIO_IOMMU_BIND, VFIO_IOMMU_UNBIND};

/* The structure */

static void structure_is_checked_in_order(struct rules *t)
{
	int group = container_with(t, 1);

	for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
		struct bind_arg c = ARG;

		EXPECT(t, call_on(t, t->fd, both[i], HOLE), -EFAULT);
		EXPECT(t, call_on(t, t->fd, both[i], place(t, &c, 8, 7, PROT_READ | PROT_WRITE, PROT_NONE)), -EFAULT);
		c.bind.argsz = 7;
		EXPECT(t, call_on(t, t->fd, both[i], place_at_end(t, &c, 8, PROT_READ)), -EINVAL);
		c.bind.argsz = 19;
		EXPECT(t, call_on(t, t->fd, both[i], place_at_end(t, &c, 8, PROT_READ)), -EINVAL);
		c.bind.argsz = sizeof(c);
		for (uint32_t mode = 0; mode < 5; mode++) {
			c.bind.mode = mode;
			EXPECT(t, call_on(t, t->fd, both[i], place_at_end(t, &c, 8, PROT_READ)),
			       mode == VFIO_IOMMU_BIND_PROCESS ? -EFAULT : -EINVAL);
		}
		c.bind.mode = VFIO_IOMMU_BIND_PROCESS;
		EXPECT(t, call_on(t, t->fd, both[i], place_at_end(t, &c, 19, PROT_READ)), -EFAULT);
		for (uint32_t flags = 2; flags; flags <<= 1) {
			c.process.flags = flags;
			EXPECT(t, call_on(t, t->fd, both[i], &c), -EINVAL);
			c.process.flags = flags | VFIO_IOMMU_BIND_PID;
			EXPECT(t, call_on(t, t->fd, both[i], &c), -EINVAL);
		}
	}
	device_close(t, group);
}

static void the_answer_is_the_pasid_and_nothing_else(struct rules *t)
{
	struct bind_arg c = ARG, *placed;
	int group = container_with(t, 1);

	c.bind.argsz = 4096;
	c.process.pasid = 12345;
	c.process.pid = -5; /* not looked at */
	placed = place_at_end(t, &c, sizeof(c), PROT_READ | PROT_WRITE);
	EXPECT(t, call_on(t, t->fd, VFIO_IOMMU_BIND, placed), 0);
	EXPECT(t, placed->process.pasid, 1);
	placed->process.pasid = c.process.pasid;
	EXPECT(t, memcmp(placed, &c, sizeof(c)), 0);
	/* UNBIND answers nothing, and does not ask for the PASID. */
	EXPECT(t, call_on(t, t->fd, VFIO_IOMMU_UNBIND, place_at_end(t, &c, sizeof(c), PROT_READ)), 0);
	device_close(t, group);
}

static void an_answer_that_cannot_be_written_leaves_no_bond(struct rules *t)
{
	struct bind_arg c = ARG;
	int group = container_with(t, 1);
	int device = sharing_open(t, group, SHARING_0);

	EXPECT(t, call_on(t, t->fd, VFIO_IOMMU_BIND, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, reaches_me(t, device, 1), false);
	EXPECT(t, unbind_from(t, t->fd, 0), -ESRCH);
	EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, call_on(t, t->fd, VFIO_IOMMU_BIND, place_at_end(t, &c, sizeof(c), PROT_READ)), -EFAULT);
	EXPECT(t, reaches_me(t, device, 1), true);
	EXPECT(t, unbind_from(t, t->fd, 0), 0);
	device_close(t, device);
	device_close(t, group);
}

/* Processes */

static void a_number_of_no_process_is_esrch(struct rules *t)
{
	static const int pids[] = {-1, INT32_MIN, INT32_MAX};
	struct bind_arg c = ARG;
	int group = container_with(t, 1);

	c.process.flags = VFIO_IOMMU_BIND_PID;
	for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
		EXPECT(t, call_on(t, t->fd, both[i], &c), -ESRCH);
		for (unsigned j = 0; j < ARRAY_SIZE(pids); j++)
			EXPECT(t, i ? unbind_from(t, t->fd, pids[j]) : bind_to(t, t->fd, pids[j]), -ESRCH);
	}
	device_close(t, group);
}

static void the_process_comes_before_the_iommu(struct rules *t)
{
	EXPECT(t, bind_to(t, t->fd, INT32_MAX), -ESRCH);
	EXPECT(t, unbind_from(t, t->fd, INT32_MAX), -ESRCH);
	EXPECT(t, bind_to(t, t->fd, 0), -EINVAL);
	EXPECT(t, unbind_from(t, t->fd, 0), -EINVAL);
}

static void a_zombie_is_esrch(struct rules *t)
{
	int group = container_with(t, 1);
	siginfo_t info;
	pid_t child = fork();

	if (!child)
		_exit(0);
	waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
	if (transport_kind(t->transport) == TRANSPORT_SYSCALLS)
		EXPECT(t, bind_to(t, t->fd, child), -ESRCH);
	waitpid(child, NULL, 0);
	EXPECT(t, bind_to(t, t->fd, child), -ESRCH);
	device_close(t, group);
}

static void one_s_own_number_is_oneself(struct rules *t)
{
	int group = container_with(t, 1);

	EXPECT(t, bind_to(t, t->fd, getpid()), 1);
	EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, unbind_from(t, t->fd, getpid()), 0);
	EXPECT(t, unbind_from(t, t->fd, 0), -ESRCH);
	device_close(t, group);
}

/* Runs in a child, which ends then. Returns how. */
static int in_child(int (*run)(struct rules *t, int arg), struct rules *t, int arg)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (!child) {
		t->failures = 0;
		status = run(t, arg);
		fflush(stdout);
		_exit(t->failures ? 99 : status);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

/* A child that waits until it is killed. Its memory is that of its parent as it was. */
static pid_t child_new(int dumpable)
{
	int ready[2];
	char byte;
	pid_t child;

	if (pipe(ready))
		return -1;
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_DUMPABLE, dumpable);
		if (write(ready[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		child = -1;
	close(ready[0]);
	return child;
}

static void child_end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void another_process_is_bound_by_its_number(struct rules *t)
{
	static volatile uint64_t word;
	int group, device;
	uint64_t value;
	pid_t child;

	if (!has_processes(t))
		return;
	group = container_with(t, 1);
	device = sharing_open(t, group, SHARING_0);
	word = 1;
	child = child_new(1);
	word = 2;
	EXPECT(t, bind_to(t, t->fd, child), 1);
	EXPECT(t, dma_load(t, device, 1, &word, &value), 0);
	EXPECT(t, value, 1);
	EXPECT(t, bind_to(t, t->fd, 0), 2);
	EXPECT(t, dma_load(t, device, 2, &word, &value), 0);
	EXPECT(t, value, 2);
	/* The copy that the fork shares is the child's own once somebody writes. */
	EXPECT(t, dma_store(t, device, 1, &word, 3), 0);
	EXPECT(t, word, 2);
	EXPECT(t, dma_load(t, device, 1, &word, &value), 0);
	EXPECT(t, value, 3);
	EXPECT(t, unbind_from(t, t->fd, child), 0);
	EXPECT(t, dma_load(t, device, 1, &word, &value), NO_DOMAIN);
	EXPECT(t, unbind_from(t, t->fd, child), -ESRCH);
	EXPECT(t, unbind_from(t, t->fd, 0), 0);
	child_end(child);
	device_close(t, device);
	device_close(t, group);
}

/* Another user tries, who has got the container by inheritance. */
static int bind_as_nobody(struct rules *t, int pid)
{
	if (setgid(65533) || setuid(65533))
		return 97;
	prctl(PR_SET_DUMPABLE, 1);
	return -bind_to(t, t->fd, pid);
}

static int bind_plainly(struct rules *t, int pid)
{
	return -bind_to(t, t->fd, pid);
}

static void who_may_not_look_into_a_process_may_not_bind_it(struct rules *t)
{
	const bool root = !getuid();
	pid_t child;
	int group;

	if (!has_processes(t)) {
		EXPECT(t, 1, 1);
		return;
	}
	group = container_with(t, 1);
	child = child_new(0);
	if (root)
		EXPECT(t, in_child(bind_as_nobody, t, getpid()), EACCES);
	else
		EXPECT(t, in_child(bind_plainly, t, child), EACCES);
	child_end(child);
	device_close(t, group);
}

static void library_binds_nobody_else(struct rules *t)
{
	int group;
	pid_t child;

	if (transport_kind(t->transport) == TRANSPORT_SYSCALLS) {
		skip(t, "that is for other clients");
		return;
	}
	group = container_with(t, 1);
	child = child_new(1);
	EXPECT(t, bind_to(t, t->fd, child), -EACCES);
	EXPECT(t, unbind_from(t, t->fd, child), -EACCES);
	child_end(child);
	device_close(t, group);
}

/* Containers */

static void a_container_without_an_iommu_is_einval(struct rules *t)
{
	static const unsigned types[] = {VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU};

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		int container = node_open(t, "/dev/vfio/vfio");
		int group;

		EXPECT(t, bind_to(t, container, 0), -EINVAL);
		group = group_open(t, 1);
		EXPECT(t, set_container(t, group, container), 0);
		EXPECT(t, bind_to(t, container, 0), -EINVAL);
		EXPECT(t, transport_ioctl(t->transport, container, VFIO_SET_IOMMU, types[i]), 0);
		EXPECT(t, bind_to(t, container, 0), 1);
		EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
		EXPECT(t, bind_to(t, container, 0), -EINVAL);
		EXPECT(t, unbind_from(t, container, 0), -EINVAL);
		EXPECT(t, set_container(t, group, container), 0);
		EXPECT(t, unbind_from(t, container, 0), -ESRCH);
		EXPECT(t, bind_to(t, container, 0), 1);
		device_close(t, group);
		device_close(t, container);
	}
}

static void a_bond_is_on_all_devices(struct rules *t)
{
	int group = container_with(t, 1), late;
	int device[3] = {sharing_open(t, group, SHARING_0), -1, -1};

	EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, reaches_me(t, device[0], 1), true);
	EXPECT(t, reaches_me(t, device[0], 2), false);
	device[1] = sharing_open(t, group, SHARING_1);
	EXPECT(t, reaches_me(t, device[1], 1), true);
	late = group_new(t, 2);
	device[2] = sharing_open(t, late, SHARING_2);
	EXPECT(t, reaches_me(t, device[2], 1), true);
	EXPECT(t, unbind_from(t, t->fd, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(t, reaches_me(t, device[i], 1), false);
		device_close(t, device[i]);
	}
	device_close(t, late);
	device_close(t, group);
}

static void a_group_that_is_removed_loses_its_bonds(struct rules *t)
{
	int group = container_with(t, 1), other = group_new(t, 2);
	int device = sharing_open(t, group, SHARING_0);
	int kept = sharing_open(t, other, SHARING_2);

	EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, call_on(t, group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	EXPECT(t, reaches_me(t, device, 1), false);
	EXPECT(t, reaches_me(t, kept, 1), true);
	EXPECT(t, set_container(t, group, t->fd), 0);
	EXPECT(t, reaches_me(t, device, 1), true);
	device_close(t, device);
	device = sharing_open(t, group, SHARING_0);
	EXPECT(t, reaches_me(t, device, 1), true);
	EXPECT(t, unbind_from(t, t->fd, 0), 0);
	device_close(t, kept);
	device_close(t, device);
	device_close(t, other);
	device_close(t, group);
}

static void to_bind_again_counts_nothing(struct rules *t)
{
	int group = container_with(t, 1);

	for (int i = 0; i < 3; i++)
		EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, unbind_from(t, t->fd, 0), 0);
	EXPECT(t, unbind_from(t, t->fd, 0), -ESRCH);
	EXPECT(t, bind_to(t, t->fd, 0), 1);
	device_close(t, group);
}

static void the_pasid_is_the_same_in_all_containers(struct rules *t)
{
	int group = container_with(t, 1);
	int container = node_open(t, "/dev/vfio/vfio");
	int other = group_open(t, 2);

	EXPECT(t, set_container(t, other, container), 0);
	EXPECT(t, transport_ioctl(t->transport, container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, bind_to(t, container, 0), 1);
	EXPECT(t, unbind_from(t, t->fd, 0), 0);
	EXPECT(t, unbind_from(t, t->fd, 0), -ESRCH);
	EXPECT(t, bind_to(t, t->fd, 0), 1);
	device_close(t, container);
	device_close(t, other);
	device_close(t, group);
}

static void a_closed_container_ends_its_bonds(struct rules *t)
{
	int container, group, device;

	for (int i = 0; i < 3; i++) {
		container = node_open(t, "/dev/vfio/vfio");
		group = group_open(t, 1);
		EXPECT(t, set_container(t, group, container), 0);
		EXPECT(t, transport_ioctl(t->transport, container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
		device = sharing_open(t, group, SHARING_0);
		EXPECT(t, reaches_me(t, device, 1), false);
		EXPECT(t, bind_to(t, container, 0), 1);
		EXPECT(t, reaches_me(t, device, 1), true);
		device_close(t, container);
		device_close(t, device);
		device_close(t, group);
	}
}

/* What has no PASID goes on as it was. */
static void maps_go_on_beside_bonds(struct rules *t)
{
	static _Alignas(4096) volatile uint64_t page[PAGE / 8];
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
					       .vaddr = (uintptr_t)page,
					       .iova = 0x100000,
					       .size = PAGE};
	volatile void *iova = (void *)(uintptr_t)map.iova;
	int group = container_with(t, 1);
	int device = sharing_open(t, group, SHARING_0);
	uint64_t value;

	page[0] = 11;
	EXPECT(t, call_on(t, t->fd, VFIO_IOMMU_MAP_DMA, &map), 0);
	EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, dma_load(t, device, 0, iova, &value), 0);
	EXPECT(t, value, 11);
	EXPECT(t, dma_load(t, device, 1, iova, &value), PAGE_REQUEST_FAIL);
	EXPECT(t, dma_store(t, device, 1, page, 12), 0);
	EXPECT(t, dma_load(t, device, 0, iova, &value), 0);
	EXPECT(t, value, 12);
	EXPECT(t, container_unmap(t, map.iova, PAGE, NULL), 0);
	EXPECT(t, dma_load(t, device, 0, iova, &value) != 0, 1);
	EXPECT(t, dma_load(t, device, 1, page, &value), 0);
	EXPECT(t, value, 12);
	EXPECT(t, call_on(t, t->fd, VFIO_IOMMU_MAP_DMA, &map), 0);
	EXPECT(t, unbind_from(t, t->fd, 0), 0);
	EXPECT(t, dma_load(t, device, 1, page, &value), NO_DOMAIN);
	EXPECT(t, dma_load(t, device, 0, iova, &value), 0);
	device_close(t, device);
	device_close(t, group);
}

static void memory_is_the_process_s_own(struct rules *t)
{
	unsigned char *memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int group = container_with(t, 1);
	int device = sharing_open(t, group, SHARING_0);
	uint64_t value;

	EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, dma_load(t, device, 1, memory, &value), 0); /* was never touched */
	EXPECT(t, value, 0);
	EXPECT(t, dma_store(t, device, 1, memory + PAGE, 5), 0);
	EXPECT(t, memory[PAGE], 5);
	mprotect(memory, PAGE, PROT_READ);
	EXPECT(t, dma_load(t, device, 1, memory, &value), 0);
	EXPECT(t, dma_store(t, device, 1, memory, 5), PAGE_REQUEST_FAIL);
	mprotect(memory, PAGE, PROT_NONE);
	EXPECT(t, dma_load(t, device, 1, memory, &value), PAGE_REQUEST_FAIL);
	munmap(memory + 2 * PAGE, PAGE);
	EXPECT(t, dma_load(t, device, 1, memory + 2 * PAGE, &value), PAGE_REQUEST_FAIL);
	munmap(memory, 2 * PAGE);
	device_close(t, device);
	device_close(t, group);
}

/* Devices that cannot */

static void a_device_that_cannot_share_is_enodev(struct rules *t)
{
	static const unsigned cannot[] = {4, 5};

	for (unsigned i = 0; i < ARRAY_SIZE(cannot); i++) {
		int container = node_open(t, "/dev/vfio/vfio");
		int group = group_open(t, 1), other = group_open(t, cannot[i]);

		EXPECT(t, set_container(t, group, container), 0);
		EXPECT(t, transport_ioctl(t->transport, container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
		EXPECT(t, bind_to(t, container, 0), 1);
		EXPECT(t, set_container(t, other, container), -ENODEV);
		EXPECT(t, unbind_from(t, container, 0), 0);
		EXPECT(t, set_container(t, other, container), 0);
		EXPECT(t, bind_to(t, container, 0), -ENODEV);
		EXPECT(t, unbind_from(t, container, 0), -ESRCH);
		device_close(t, other);
		EXPECT(t, bind_to(t, container, 0), 1);
		device_close(t, group);
		device_close(t, container);
	}
}

/* The device of group 3 has PASIDs 1 to 3. */
static void pasids_of_few_bits_run_out(struct rules *t)
{
	int group, few, container;
	pid_t child[5];

	if (!has_processes(t))
		return;
	group = container_with(t, 1);
	for (int i = 0; i < 5; i++)
		child[i] = child_new(1);
	for (int i = 0; i < 3; i++)
		EXPECT(t, bind_to(t, t->fd, child[i]), i + 1);
	container = node_open(t, "/dev/vfio/vfio");
	few = group_open(t, 3);
	EXPECT(t, set_container(t, few, container), 0);
	EXPECT(t, transport_ioctl(t->transport, container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	EXPECT(t, bind_to(t, container, child[3]), -ENOSPC);
	EXPECT(t, bind_to(t, container, child[2]), 3);
	EXPECT(t, bind_to(t, t->fd, child[3]), 4);
	EXPECT(t, bind_to(t, container, child[3]), -EOVERFLOW);
	EXPECT(t, unbind_from(t, t->fd, child[1]), 0);
	EXPECT(t, bind_to(t, container, child[4]), 2);
	EXPECT(t, call_on(t, few, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	EXPECT(t, set_container(t, few, t->fd), -EOVERFLOW);
	EXPECT(t, unbind_from(t, t->fd, child[3]), 0);
	EXPECT(t, set_container(t, few, t->fd), 0);
	device_close(t, few);
	device_close(t, container);
	device_close(t, group);
	for (int i = 0; i < 5; i++)
		child_end(child[i]);
}

/* The end of a process */

/* Waits until the PASID is another's to have, which nobody does anything for. */
static void await_pasid(struct rules *t, int container, int pasid)
{
	int got;

	while ((got = bind_to(t, container, 0)) != pasid) {
		EXPECT(t, got < 0 ? got : 0, 0);
		if (got < 0)
			return;
		EXPECT(t, unbind_from(t, container, 0), 0);
		sched_yield();
	}
}

static void a_process_that_ends_ends_its_bond(struct rules *t)
{
	int group, device;
	uint64_t value;
	pid_t child;

	if (!has_processes(t))
		return;
	group = container_with(t, 1);
	device = sharing_open(t, group, SHARING_0);
	child = child_new(1);
	EXPECT(t, bind_to(t, t->fd, child), 1);
	EXPECT(t, dma_load(t, device, 1, &group, &value), 0);
	child_end(child);
	EXPECT(t, dma_load(t, device, 1, &group, &value) != 0, 1);
	await_pasid(t, t->fd, 1);
	EXPECT(t, reaches_me(t, device, 1), true);
	EXPECT(t, unbind_from(t, t->fd, child), 0);
	EXPECT(t, unbind_from(t, t->fd, child), -ESRCH);
	EXPECT(t, reaches_me(t, device, 1), true);
	device_close(t, device);
	device_close(t, group);
}

static int bind_and_exec(struct rules *t, int arg)
{
	(void)arg;
	EXPECT(t, bind_to(t, t->fd, 0), 1);
	execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
	return 96;
}

static void a_process_that_executes_ends_its_bond(struct rules *t)
{
	int group, device;
	uint64_t value;

	if (!has_processes(t))
		return;
	group = container_with(t, 1);
	device = sharing_open(t, group, SHARING_0);
	EXPECT(t, in_child(bind_and_exec, t, 0), 7);
	EXPECT(t, dma_load(t, device, 1, &group, &value) != 0, 1);
	await_pasid(t, t->fd, 1);
	device_close(t, device);
	device_close(t, group);
}

static int use_parents_bond(struct rules *t, int device)
{
	static volatile uint64_t word;
	uint64_t value;

	word = 2;
	EXPECT(t, dma_load(t, device, 1, &word, &value), 0);
	EXPECT(t, value, 0);
	EXPECT(t, unbind_from(t, t->fd, 0), -ESRCH);
	EXPECT(t, bind_to(t, t->fd, 0), 2);
	EXPECT(t, dma_load(t, device, 2, &word, &value), 0);
	EXPECT(t, value, 2);
	return 0;
}

static void a_forked_process_shares_nothing(struct rules *t)
{
	int group, device;

	if (!has_processes(t))
		return;
	group = container_with(t, 1);
	device = sharing_open(t, group, SHARING_0);
	EXPECT(t, bind_to(t, t->fd, 0), 1);
	EXPECT(t, in_child(use_parents_bond, t, device), 0);
	EXPECT(t, reaches_me(t, device, 1), true);
	device_close(t, device);
	device_close(t, group);
}

static const struct rule_case cases[] = {
	CASE("G.1-1a,G.1-1b,G.1-1c,G.1-1d,G.1-1e,G.1-1f", structure_is_checked_in_order),
	CASE("G.1-5a,G.1-5b", the_answer_is_the_pasid_and_nothing_else),
	CASE("G.3-1", an_answer_that_cannot_be_written_leaves_no_bond),
	CASE("G.1-2a", a_number_of_no_process_is_esrch),
	CASE("G.1-3a", the_process_comes_before_the_iommu),
	CASE("G.1-2b", a_zombie_is_esrch),
	CASE("G.1-2d", one_s_own_number_is_oneself),
	CASE("G.1-2d,G.2-6", another_process_is_bound_by_its_number),
	CASE("G.1-2c", who_may_not_look_into_a_process_may_not_bind_it),
	CASE("G.1-2c", library_binds_nobody_else),
	CASE("G.1-3b,G.2-9", a_container_without_an_iommu_is_einval),
	CASE("G.2-1,G.2-2,G.3-8", a_bond_is_on_all_devices),
	CASE("G.2-3", a_group_that_is_removed_loses_its_bonds),
	CASE("G.1-6,G.1-7", to_bind_again_counts_nothing),
	CASE("G.3-2,G.4-1", the_pasid_is_the_same_in_all_containers),
	CASE("G.2-4", a_closed_container_ends_its_bonds),
	CASE("G.2-7", maps_go_on_beside_bonds),
	CASE("G.4-3", memory_is_the_process_s_own),
	CASE("G.3-5,G.1-4", a_device_that_cannot_share_is_enodev),
	CASE("G.4-1,G.4-2", pasids_of_few_bits_run_out),
	CASE("G.2-5,G.3-3,G.3-7", a_process_that_ends_ends_its_bond),
	CASE("G.2-8", a_process_that_executes_ends_its_bond),
	CASE("G.2-6", a_forked_process_shares_nothing),
};

int main(int argc, char **argv)
{
	return rules_main_devices(argc, argv, cases, ARRAY_SIZE(cases), NULL);
}
