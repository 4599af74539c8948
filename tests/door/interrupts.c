/* SPDX-License-Identifier: BSD-3-Clause */
/* Interrupts of a device: which eventfds they go to, and clients that do not read them or make it hard to write them.
 */
#include "rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define FULL UINT64_C(0xfffffffffffffffe)

/* A device that does nothing but interrupt. */
static bool begin(struct test *t, struct rig *rig, struct engine *e, unsigned number)
{
	struct engine_memory *memory = engine_memory_new(true);

	return SAME(t, rig_open(rig, CDEV, number), 0) && SAME(t, engine_begin(e, rig, memory), 0);
}

static void end(struct rig *rig, struct engine *e)
{
	rig_close(rig);
	engine_end(e);
}

/* The device interrupts once. */
static bool interrupt(struct test *t, struct engine *e)
{
	engine_interrupts(e);
	engine_give(e, OP_COPY, OP_NULL | WITH_INTERRUPT, 0, 0, 64);
	return SAME(t, engine_wait(e), 0);
}

static void only_eventfds(struct test *t)
{
	int memory = memfd_create("anon_inode:[eventfd]", MFD_CLOEXEC);
	int fd = eventfd(0, EFD_CLOEXEC);
	int file = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct engine e;
	struct rig rig;
	char path[40];
	int names;

	if (!begin(t, &rig, &e, 0))
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	names = open(path, O_PATH | O_CLOEXEC);
	for (unsigned index = IRQ_INTX; index <= IRQ_REQ; index++) {
		if (irq_count(&rig, index) <= 0)
			continue;
		SAME(t, irq_set(&rig, index, 0, 1 << 20), -EBADF);
		SAME(t, irq_set(&rig, index, 0, names), -EBADF);
		SAME(t, irq_set(&rig, index, 0, file), -EINVAL);
		SAME(t, irq_set(&rig, index, 0, memory), -EINVAL);
		SAME(t, irq_set(&rig, index, 0, rig.device), -EINVAL);
		SAME(t, irq_set(&rig, index, 0, rig.container), -EINVAL);
		SAME(t, irq_set(&rig, index, 0, fd), 0);
		SAME(t, irq_action(&rig, index, IRQ_NONE | IRQ_TRIGGER, 0, 1), 0);
		SAME(t, irq_wait(fd, 0), 1);
		SAME(t, irq_action(&rig, index, IRQ_NONE | IRQ_TRIGGER, 0, 0), 0);
	}
	end(&rig, &e);
}

/* An eventfd belongs to whoever has it, not to the number that it was given by. */
static void outlives_its_number(struct test *t)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	int same = dup(fd);
	struct engine e;
	struct rig rig;
	int other;

	if (!begin(t, &rig, &e, 0))
		return;
	SAME(t, irq_set(&rig, IRQ_MSIX, 0, fd), 0);
	close(fd);
	other = eventfd(0, EFD_CLOEXEC);
	SAME(t, other, fd);
	interrupt(t, &e);
	SAME(t, irq_wait(same, 10000), 1);
	SAME(t, irq_wait(other, 0), 0);
	end(&rig, &e);
}

struct own_table {
	struct test *t;
	struct rig *rig;
	int fd; /* the number */
	int waits;
};

/* The thread's number means an eventfd of its own. */
static void *leaves_the_table(void *arg)
{
	struct own_table *o = arg;
	int fd;

	if (!SAME(o->t, ERR(unshare(CLONE_FILES)), 0))
		return NULL;
	close(o->fd);
	fd = eventfd(0, EFD_CLOEXEC);
	SAME(o->t, fd, o->fd);
	SAME(o->t, irq_set(o->rig, IRQ_MSIX, 0, fd), 0);
	SAME(o->t, irq_action(o->rig, IRQ_MSIX, IRQ_NONE | IRQ_TRIGGER, 0, 1), 0);
	SAME(o->t, irq_wait(fd, 0), 1);
	return NULL;
}

static bool knows_pidfds_of_threads(void)
{
	int fd = (int)syscall(434, gettid(), O_EXCL); /* pidfd_open, PIDFD_THREAD */

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void own_descriptor_table(struct test *t)
{
	struct own_table o = {.t = t, .fd = eventfd(0, EFD_CLOEXEC)};
	pthread_t thread;
	struct engine e;
	struct rig rig;

	if (!knows_pidfds_of_threads()) {
		test_skip(t, "the kernel has no pidfds of threads (Linux 6.9)");
		return;
	}
	if (!begin(t, &rig, &e, 0))
		return;
	o.rig = &rig;
	SAME(t, pthread_create(&thread, NULL, leaves_the_table, &o), 0);
	pthread_join(thread, NULL);
	SAME(t, irq_wait(o.fd, 0), 0);
	end(&rig, &e);
}

struct hostile {
	int fd;
	atomic_bool over;
};

/* Fills it and empties it, and makes who would write wait, or not. */
static void *fill_and_empty(void *arg)
{
	struct hostile *h = arg;

	while (!atomic_load(&h->over)) {
		eventfd_t count;

		fcntl(h->fd, F_SETFL, O_NONBLOCK);
		(void)eventfd_write(h->fd, FULL);
		fcntl(h->fd, F_SETFL, 0);
		sched_yield();
		fcntl(h->fd, F_SETFL, O_NONBLOCK);
		(void)eventfd_read(h->fd, &count);
	}
	return NULL;
}

/* The device of a client that fights it, and one beside it. */
static void fights(struct test *t)
{
	struct hostile hostile = {.fd = eventfd(0, EFD_CLOEXEC)};
	int fd = eventfd(0, EFD_CLOEXEC);
	struct engine fought, beside;
	struct rig rigs[2];
	pthread_t thread;

	if (!begin(t, &rigs[0], &fought, 0) || !begin(t, &rigs[1], &beside, 1))
		return;
	SAME(t, irq_set(&rigs[1], IRQ_MSIX, 0, fd), 0);
	SAME(t, pthread_create(&thread, NULL, fill_and_empty, &hostile), 0);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		SAME(t, irq_set(&rigs[0], IRQ_MSIX, 0, hostile.fd), 0);
		for (unsigned k = 0; k < 10; k++) {
			interrupt(t, &fought);
			interrupt(t, &beside);
			SAME(t, irq_wait(fd, 10000), 1);
		}
		SAME(t, irq_action(&rigs[0], IRQ_MSIX, IRQ_NONE | IRQ_TRIGGER, 0, 0), 0);
	}
	atomic_store(&hostile.over, true);
	pthread_join(thread, NULL);
	end(&rigs[0], &fought);
	end(&rigs[1], &beside);
}

static long unmask_by(const struct rig *rig, int fd)
{
	struct vfio_irq_set set = {24, IRQ_EVENTFD | IRQ_UNMASK, IRQ_INTX, 0, 1, {fd}};

	return door_ioctl(rig->device, VFIO_DEVICE_SET_IRQS, &set);
}

static void unmasked_by_eventfd(struct test *t)
{
	int fd = eventfd(0, EFD_CLOEXEC), unmask = eventfd(0, EFD_CLOEXEC);
	struct engine e;
	struct rig rig;

	if (!begin(t, &rig, &e, 0))
		return;
	if (irq_count(&rig, IRQ_INTX) != 1) {
		test_skip(t, "the device has no INTx");
		return;
	}
	SAME(t, irq_set(&rig, IRQ_INTX, 0, fd), 0);
	SAME(t, unmask_by(&rig, unmask), 0);
	SAME(t, unmask_by(&rig, unmask), -EBUSY);
	engine_interrupts(&e);
	engine_give(&e, OP_COPY, OP_NULL | WITH_INTERRUPT, 0, 0, 64);
	SAME(t, irq_wait(fd, 10000), 1);
	for (unsigned i = 0; i < 20 && !t->failed; i++) { /* the line is high still */
		SAME(t, ERR(eventfd_write(unmask, 1)), 0);
		SAME(t, irq_wait(fd, 10000), 1);
	}
	SAME(t, engine_wait(&e), 0);
	end(&rig, &e);
}

/* Leaves eventfds that are full, one that unmasks, and is gone at once. */
static void set_and_wait(struct test *t, int ready)
{
	int full = eventfd(0, EFD_CLOEXEC), unmask = eventfd(0, EFD_CLOEXEC);
	struct engine e;
	struct rig rig;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!begin(t, &rig, &e, 0))
		_exit(1);
	(void)eventfd_write(full, FULL);
	(void)eventfd_write(unmask, FULL);
	if (irq_set(&rig, IRQ_REQ, 0, full) || irq_set(&rig, IRQ_INTX, 0, full) || unmask_by(&rig, unmask))
		_exit(1);
	tell(ready);
	for (;;)
		interrupt(t, &e);
}

static void killed_with_full_ones(struct test *t)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	for (unsigned long i = 0; i < 10 && !t->failed; i++) {
		struct engine e;
		struct rig rig;
		int ready[2];
		pid_t pid;

		SAME(t, pipe2(ready, O_CLOEXEC), 0);
		pid = fork();
		if (pid == 0)
			set_and_wait(t, ready[1]);
		close(ready[1]);
		CHECK(t, hear(ready[0]));
		close(ready[0]);
		kill(pid, SIGKILL);
		SAME(t, wait_for(pid), -SIGKILL);
		if (!begin(t, &rig, &e, 0))
			return;
		SAME(t, irq_set(&rig, IRQ_MSIX, 0, fd), 0);
		interrupt(t, &e);
		SAME(t, irq_wait(fd, 10000), 1);
		end(&rig, &e);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"only_eventfds", only_eventfds},
		{"outlives_its_number", outlives_its_number},
		{"own_descriptor_table", own_descriptor_table},
		{"fights", fights},
		{"unmasked_by_eventfd", unmasked_by_eventfd},
		{"killed_with_full_ones", killed_with_full_ones},
	};

	return TEST_MAIN(argc, argv, cases);
}
