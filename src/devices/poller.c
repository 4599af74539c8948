/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/poller.h"

#include "devices/device.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* It goes on looking for so long after it found something, then naps, each time longer. */
#define SPIN_NS      50000
#define NAP_FIRST_NS 20000
#define NAP_LAST_NS  1000000

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool look(struct model_device *device)
{
	bool found;

	pthread_mutex_lock(&device->vfio.model_lock);
	found = device->seen.poll(device);
	pthread_mutex_unlock(&device->vfio.model_lock);
	return found;
}

/* Until it is kicked, which it has been if kicks is not what it was. */
static void nap(struct poller *poller, uint32_t kicks, long ns)
{
	const struct timespec timeout = {.tv_nsec = ns};

	atomic_store(&poller->napping, true);
	if (atomic_load(&poller->kicks) == kicks)
		syscall(SYS_futex, &poller->kicks, FUTEX_WAIT_PRIVATE, kicks, &timeout, NULL, 0);
	atomic_store(&poller->napping, false);
}

static void *run(void *context)
{
	struct model_device *device = context;
	struct poller *poller = &device->poller;
	uint64_t spin_until = 0;
	long ns = NAP_FIRST_NS;

	/* A nap may be late by this; usually 50 us. */
	prctl(PR_SET_TIMERSLACK, 1000);
	while (!atomic_load(&poller->stop)) {
		uint32_t kicks = atomic_load(&poller->kicks);

		if (look(device)) {
			spin_until = 0;
			ns = NAP_FIRST_NS;
			continue;
		}
		if (ns == NAP_FIRST_NS) {
			uint64_t now = now_ns();

			if (!spin_until)
				spin_until = now + SPIN_NS;
			if (now < spin_until) {
				sched_yield();
				continue;
			}
		}
		nap(poller, kicks, ns);
		ns = ns < NAP_LAST_NS / 2 ? 2 * ns : NAP_LAST_NS;
		if (atomic_load(&poller->kicks) != kicks) {
			spin_until = 0;
			ns = NAP_FIRST_NS;
		}
	}
	return NULL;
}

int poller_start(struct model_device *device)
{
	static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	struct poller *poller = &device->poller;
	sigset_t blocked, old;
	int error;

	if (!device->seen.poll)
		return 0;
	atomic_store(&poller->stop, false);
	/* Signals are other threads' business, but for those that this one raises itself: copies are guarded by them.
	 */
	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&blocked, own[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	error = pthread_create(&poller->thread, NULL, run, device);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error)
		return -EAGAIN;
	pthread_setname_np(poller->thread, "iommuse-device");
	poller->running = true;
	return 0;
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
