/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linked with iommuse itself: a call of the client that asked for it is handled by a thread that is armed, from when it
 * was received until it is answered.
 */
#define _GNU_SOURCE
#include "control.h"
#include "fail.h"

#include "supervisor/calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct control *control;
static _Thread_local bool armed;

__attribute__((constructor)) static void map_control(void)
{
	const char *path = getenv(CONTROL_VARIABLE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return;
	at = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return;
	control = at;
	atomic_store(&control->serving, 1);
	fail_count_at(&control->blocks);
}

void __real_call_handle(struct supervisor *s, const struct notification *n);
void __wrap_call_handle(struct supervisor *s, const struct notification *n);
void __real_notify_answer(int listener, const struct notification *n, int64_t result);
void __wrap_notify_answer(int listener, const struct notification *n, int64_t result);
void __real_notify_continue(int listener, const struct notification *n);
void __wrap_notify_continue(int listener, const struct notification *n);

/* Says what has failed, and how many functions may still succeed. */
static void tell(const char *failed, unsigned left)
{
	if (failed)
		snprintf(control->failed, sizeof(control->failed), "%s", failed);
	atomic_store(&control->until, left);
}

static void leave(void)
{
	unsigned left = fail_left();

	if (!armed)
		return;
	armed = false;
	tell(fail_disarm(), left);
	if (atomic_exchange(&control->count, 0))
		atomic_store(&control->descriptors, fail_open_descriptors());
}

/* A call that was not answered: the client makes it again, or has gone on past us, and another one may be armed. */
static void finish(void)
{
	const char *failed;

	if (!armed)
		return;
	armed = false;
	failed = fail_disarm();
	if (failed)
		tell(failed, 0);
}

void __wrap_call_handle(struct supervisor *s, const struct notification *n)
{
	fail_count_here();
	if (control && atomic_load(&control->tid) == n->tid) {
		armed = true;
		fail_arm(atomic_load(&control->until));
	}
	__real_call_handle(s, n);
	finish();
}

void __wrap_notify_answer(int listener, const struct notification *n, int64_t result)
{
	leave();
	__real_notify_answer(listener, n, result);
}

void __wrap_notify_continue(int listener, const struct notification *n)
{
	leave();
	__real_notify_continue(listener, n);
}
