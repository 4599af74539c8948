/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/poller.h"

#include "base/thread.h"
#include "devices/device.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* It goes on looking for so long after it found something, then naps, each time longer. */
#define SPIN_NS      50000
#define NAP_FIRST_NS 20000
#define NAP_NS       1000000

/* After so many naps of NAP_NS they become so long that looking takes 0.4 % of a processor: what it takes to wake up is
 * very different from machine to machine. */
#define NAPS         100
#define NAP_LAST_NS  8000000
#define NAP_PER_COST 250

struct rest {
	uint64_t spin_until; /* 0: it is to be set */
	uint64_t nap;        /* ns, of the next; 0: it is not tired yet */
	unsigned naps;       /* of NAP_NS or more */
	uint64_t used;       /* processor time up to the last nap */
	uint64_t cost;       /* of one, about */
};

static uint64_t ns_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool look(struct model_device *device)
{
	bool found;

	pthread_mutex_lock(&device->vfio.model_lock);
	found = device->seen.poll(device);
	pthread_mutex_unlock(&device->vfio.model_lock);
	return (device->model.page_requests && requests_ask(device)) || found;
}

/* Until it is kicked, which it has been if kicks is not what it was. */
static void nap(struct poller *poller, uint32_t kicks, uint64_t ns)
{
	const struct timespec timeout = {.tv_nsec = (long)ns};

	atomic_store(&poller->napping, true);
	if (atomic_load(&poller->kicks) == kicks)
		syscall(SYS_futex, &poller->kicks, FUTEX_WAIT_PRIVATE, kicks, &timeout, NULL, 0);
	atomic_store(&poller->napping, false);
}

/* Is it to look again at once? */
static bool spin(struct rest *rest)
{
	uint64_t now;

	if (rest->nap)
		return false;
	now = ns_of(CLOCK_MONOTONIC);
	if (!rest->spin_until)
		rest->spin_until = now + SPIN_NS;
	return now < rest->spin_until;
}

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most)
{
	return value < least ? least : value > most ? most : value;
}

/* How long the next nap is. */
static uint64_t tire(struct rest *rest)
{
	uint64_t used;

	rest->nap = rest->nap ? clamp(rest->nap * 2, 0, NAP_NS) : NAP_FIRST_NS;
	if (rest->nap < NAP_NS || ++rest->naps < NAPS)
		return rest->nap;
	used = ns_of(CLOCK_THREAD_CPUTIME_ID);
	if (rest->naps > NAPS)
		rest->cost = rest->cost ? (7 * rest->cost + used - rest->used) / 8 : used - rest->used;
	rest->used = used;
	return clamp(rest->cost * NAP_PER_COST, NAP_NS, NAP_LAST_NS);
}

static void *run(void *context)
{
	struct model_device *device = context;
	struct poller *poller = &device->poller;
	struct rest rest = {0};

	/* A nap may be late by this; usually 50 us. */
	prctl(PR_SET_TIMERSLACK, 1000);
	while (!atomic_load(&poller->stop)) {
		uint32_t kicks = atomic_load(&poller->kicks);
		bool found = look(device);

		if (!found && spin(&rest)) {
			sched_yield();
			continue;
		}
		if (!found)
			nap(poller, kicks, tire(&rest));
		if (found || atomic_load(&poller->kicks) != kicks)
			rest = (struct rest){.cost = rest.cost};
	}
	return NULL;
}

int poller_start(struct model_device *device)
{
	struct poller *poller = &device->poller;
	int rc;

	if (!device->seen.poll)
		return 0;
	atomic_store(&poller->stop, false);
	rc = thread_start(&poller->thread, "iommuse-device", run, device);
	if (!rc)
		poller->running = true;
	return rc;
}

void poller_kick(struct model_device *device)
{
	struct poller *poller = &device->poller;

	atomic_fetch_add(&poller->kicks, 1);
	if (atomic_load(&poller->napping))
		syscall(SYS_futex, &poller->kicks, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void poller_stop(struct model_device *device)
{
	struct poller *poller = &device->poller;

	if (!poller->running)
		return;
	atomic_store(&poller->stop, true);
	poller_kick(device);
	pthread_join(poller->thread, NULL);
	poller->running = false;
}
