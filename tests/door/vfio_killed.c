/* SPDX-License-Identifier: BSD-3-Clause */
/* Drivers that are killed with SIGKILL wherever they happen to be, while their device copies and interrupts. */
#include "rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

enum { BUFFER = 1 << 18 };

#define BUFFER_IOVA 0x20000000ull

/* A driver in two threads; the second one changes what the first one's device works on. */
struct driver {
	struct rig rig;
	struct engine engine;
	uint8_t *buffer;
	uint64_t seed;
};

static void *change_forever(void *arg)
{
	struct driver *d = arg;
	uint64_t random = d->seed;

	for (;;) {
		uint64_t iova = BUFFER_IOVA + random_next(&random) % 4 * BUFFER;

		switch (random_next(&random) % 6) {
		case 0:
			irq_set(&d->rig, IRQ_MSIX, 0, eventfd(0, EFD_CLOEXEC));
			close_range(100, ~0u, 0);
			break;
		case 1:
			irq_action(&d->rig, IRQ_MSIX, IRQ_NONE | IRQ_TRIGGER, 0, random_next(&random) % 2);
			break;
		case 2:
			door_ioctl(d->rig.device, VFIO_DEVICE_RESET, NULL);
			break;
		case 3:
			config_read(&d->rig, 0, 4);
			break;
		default:
			rig_map(&d->rig, d->buffer, BUFFER, iova, RIG_BOTH);
			rig_unmap(&d->rig, iova, BUFFER);
		}
	}
	return NULL;
}

static void copy_forever(struct driver *d)
{
	uint64_t random = ~d->seed;

	for (;;) {
		for (unsigned i = 0; i < RING / 2; i++)
			engine_give(&d->engine, OP_COPY, WITH_INTERRUPT,
				    BUFFER_IOVA + random_next(&random) % (8 * BUFFER),
				    BUFFER_IOVA + random_next(&random) % (8 * BUFFER),
				    (uint32_t)(random_next(&random) % 20000));
		if (engine_status(&d->engine) == CHANNEL_HALTED)
			engine_restart(&d->engine);
		engine_interrupts(&d->engine);
	}
}

static void drive_until_killed(enum way way, uint64_t seed, int ready)
{
	int fd = eventfd(0, EFD_CLOEXEC); /* that is never read */
	struct driver d = {.seed = seed};
	pthread_t thread;
	void *buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | (seed % 2 ? MAP_SHARED : MAP_PRIVATE),
			    -1, 0);

	if (seed % 3 == 0)
		tell(ready); /* killed while it starts */
	d.buffer = buffer;
	if (rig_open(&d.rig, way, 0) || engine_begin(&d.engine, &d.rig, engine_memory_new(seed % 2)) ||
	    rig_map(&d.rig, buffer, BUFFER, BUFFER_IOVA, RIG_BOTH) || irq_set(&d.rig, IRQ_MSIX, 0, fd) ||
	    pthread_create(&thread, NULL, change_forever, &d))
		_exit(2);
	engine_interrupts(&d.engine);
	if (seed % 3)
		tell(ready);
	copy_forever(&d);
}

/* The next start finds all as it was. */
static bool works(struct test *t, enum way way)
{
	struct engine e;
	struct rig rig;

	if (!SAME(t, rig_open(&rig, way, 0), 0) || !SAME(t, engine_begin(&e, &rig, engine_memory_new(true)), 0))
		return false;
	SAME(t, engine_copy(&e, ENGINE_IOVA + PAGE + 64, ENGINE_IOVA, 64), 0);
	rig_close(&rig);
	engine_end(&e);
	return !t->failed;
}

static void killed(struct test *t)
{
	uint64_t random = t->seed;

	dprintf(STDOUT_FILENO, "# %s: seed %llu, %lu rounds\n", t->name, (unsigned long long)t->seed, t->rounds);
	for (unsigned long i = 0; i < t->rounds; i++) {
		struct timespec moment = {0, (long)(random_next(&random) % 3000000)};
		enum way way = random_next(&random) % WAYS;
		int ready[2];
		pid_t pid;

		SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
		pid = fork();
		if (pid == 0)
			drive_until_killed(way, random, ready[1]);
		close(ready[1]);
		CHECK(t, hear(ready[0]));
		close(ready[0]);
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		if (!SAME(t, wait_for(pid), -SIGKILL) || !works(t, random_next(&random) % WAYS))
			return;
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"killed", killed},
	};

	return TEST_MAIN(argc, argv, cases);
}
