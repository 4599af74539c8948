/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each call, with its first allocation, copy or system call failing, then with its second, and so on until nothing
 * fails any more. A call that failed has left nothing behind: what other calls tell of the state is as before, made
 * again it answers as if nothing had been, the ids included, and when all is closed no memory, descriptor or mapping is
 * left.
 *
 *   fail_sweep [NAME | PART/PARTS]
 */
#define _GNU_SOURCE
#include "cases.h"
#include "fail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is closed is let go of a little later by who serves. */
enum { SETTLE_TRIES = 2000, SETTLE_US = 200 };

/* How often what is left must be left once more, to be a leak. */
enum { AGAIN = 3 };

/* What does very much, as look at all processes, is not made to fail at each of it. */
enum { ALL_UP_TO = 40 };

static const char *wrong_in;
static unsigned calls, failures, wrong;

__attribute__((format(printf, 1, 2))) static void is_wrong(const char *format, ...)
{
	va_list list;

	wrong++;
	printf("%s: ", wrong_in);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
}

/* What may come of it: no memory, no descriptor, no file, or memory of the client that cannot be reached. */
static bool is_expected(const char *failed, long rc)
{
	/* A descriptor that says nothing of itself is a bad one, or of no memory. */
	if ((rc == -EBADF || rc == -EINVAL) && (!strncmp(failed, "fstat", 5) || !strncmp(failed, "fcntl", 5)))
		return true;
	/* A path that cannot be read is left to the kernel, for which nothing need be there. */
	if (rc == -ENOENT && !strcmp(failed, "process_vm_readv"))
		return true;
	/* It cannot be told whether a region is mapped. */
	if (rc == -EBUSY && (!strncmp(failed, "fopen", 5) || !strcmp(failed, "opendir") || !strcmp(failed, "getline")))
		return true;
	/* Positions of stand-ins, which cannot fail but here. */
	if (rc == -EIO && (!strncmp(failed, "lseek", 5) || !strncmp(failed, "fstat", 5)))
		return true;
	return rc == -ENOMEM || rc == -EFAULT || rc == -EMFILE || rc == -ENFILE || rc == -ENOSPC;
}

static bool differ(const struct outcome *a, const struct outcome *b)
{
	return a->rc != b->rc || memcmp(a->stored, b->stored, sizeof(a->stored)) != 0;
}

static bool is_content(const char *what)
{
	return !strcmp(what, "what an access reads") || !strcmp(what, "dirty bits") || !strcmp(what, "an IOTLB") ||
	       !strcmp(what, "a device's cache");
}

static bool is_other(const struct sweep *sweep, const struct print *before, const struct print *after, unsigned i)
{
	return before->item[i].value != after->item[i].value &&
	       !(sweep->flags & PARTLY && is_content(before->item[i].what));
}

static bool is_as_before(const struct sweep *sweep, const struct print *before, const struct print *after)
{
	bool same = before->count == after->count;

	for (unsigned i = 0; i < before->count && same; i++)
		same = !is_other(sweep, before, after, i);
	return same;
}

/* What a process had that ended within the call is let go of a little later too. */
static void print_settled(const struct sweep *sweep, struct world *w, const struct print *before, struct print *after)
{
	world_print(w, after);
	for (unsigned i = 0; i < SETTLE_TRIES && !is_as_before(sweep, before, after); i++) {
		usleep(SETTLE_US);
		world_print(w, after);
	}
}

static void compare_prints(const struct sweep *sweep, const struct print *before, const struct print *after,
			   const char *failed, unsigned n)
{
	if (before->count != after->count)
		is_wrong("%s number %u failed: %u facts, not %u", failed, n, after->count, before->count);
	for (unsigned i = 0; i < before->count && i < after->count; i++)
		if (is_other(sweep, before, after, i))
			is_wrong("%s number %u failed: fact %u, %s, is %" PRIx64 ", not %" PRIx64, failed, n, i,
				 before->item[i].what, after->item[i].value, before->item[i].value);
}

/* A call that failed, and did so because of what was made to fail. */
static void check_failure(const struct sweep *sweep, struct world *w, const struct outcome *out,
			  const struct outcome *good, const struct print *before, const char *failed, unsigned n)
{
	struct outcome again = {0};
	struct print after;

	if (!is_expected(failed, out->rc))
		is_wrong("%s number %u failed: %ld", failed, n, out->rc);
	if (sweep->flags & STAYS && out->rc == -EFAULT)
		return;
	print_settled(sweep, w, before, &after);
	compare_prints(sweep, before, &after, failed, n);
	sweep->call(w, &again);
	if (differ(&again, good))
		is_wrong("%s number %u failed, then the call answered %ld, not %ld, or stored something else", failed,
			 n, again.rc, good->rc);
}

/* Returns what failed, or NULL. */
static const char *run(const struct sweep *sweep, unsigned n, const struct outcome *good, const struct print *before)
{
	struct outcome out = {0};
	const char *failed;
	struct world w;

	world_new(&w);
	sweep->set_up(&w);
	fail_arm(n);
	sweep->call(&w, &out);
	failed = fail_disarm();
	if (failed && out.rc < 0 && out.rc != good->rc)
		check_failure(sweep, &w, &out, good, before, failed, n);
	else if (out.rc != good->rc)
		is_wrong("%s number %u failed: %ld, not %ld", failed ? failed : "nothing,", n, out.rc, good->rc);
	world_free(&w);
	return failed;
}

static bool is_left(size_t blocks, size_t descriptors)
{
	return fail_live_blocks() > blocks || fail_open_descriptors() > descriptors;
}

static void settle(size_t blocks, size_t descriptors)
{
	for (unsigned i = 0; i < SETTLE_TRIES && is_left(blocks, descriptors); i++)
		usleep(SETTLE_US);
}

/* Of mappings: libc's own heaps may have grown. ASan keeps what was freed for a while, mappings and all. */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH 1024U
#else
#define GROWTH 4U
#endif

static void sweep_one(const struct sweep *sweep)
{
	struct outcome good = {0};
	size_t blocks, descriptors, mappings;
	const char *failed;
	struct print before;
	struct world w;
	unsigned n = 1, count = 0;

	wrong_in = sweep->name;
	world_new(&w);
	sweep->set_up(&w);
	sweep->call(&w, &good);
	world_free(&w);
	/* Of another world that is the same: to ask in the one that fails would leave less to fail. */
	world_new(&w);
	sweep->set_up(&w);
	world_print(&w, &before);
	world_free(&w);
	if (good.rc == -EPERM) {
		printf("%s, %s: not permitted\n", way_mode_name(way_mode()), sweep->name);
		return;
	}
	if (good.rc < 0) {
		is_wrong("the call answers %ld where nothing fails", good.rc);
		return;
	}
	blocks = fail_live_blocks();
	descriptors = fail_open_descriptors();
	mappings = fail_mappings();
	while ((failed = run(sweep, n, &good, &before))) {
		settle(blocks, descriptors);
		/* A thread that was started meanwhile, for long calls, stays: what leaks does so each time. */
		for (int i = 0; i < AGAIN && is_left(blocks, descriptors); i++) {
			blocks = fail_live_blocks();
			descriptors = fail_open_descriptors();
			run(sweep, n, &good, &before);
			settle(blocks, descriptors);
		}
		if (is_left(blocks, descriptors) && !(sweep->flags & GIVES && !strcmp(failed, "process_vm_writev")))
			is_wrong("%s number %u failed: %zd blocks and %zd descriptors are left", failed, n,
				 (ssize_t)(fail_live_blocks() - blocks),
				 (ssize_t)(fail_open_descriptors() - descriptors));
		blocks = fail_live_blocks();
		descriptors = fail_open_descriptors();
		n += 1 + n / ALL_UP_TO;
		count++;
	}
	if (fail_mappings() > mappings + GROWTH)
		is_wrong("%zd mappings are left", (ssize_t)(fail_mappings() - mappings));
	printf("%s, %s: %u\n", way_mode_name(way_mode()), sweep->name, count);
	calls++;
	failures += count;
}

static void sweep_all(const struct sweep *sweeps, const char *only)
{
	unsigned part = 0, parts = 1;

	if (only && sscanf(only, "%u/%u", &part, &parts) == 2 && parts)
		only = NULL;
	for (unsigned i = 0; sweeps[i].name; i++)
		if (only ? !strcmp(only, sweeps[i].name) : i % parts == part)
			sweep_one(&sweeps[i]);
}

int main(int argc, char **argv)
{
	for (unsigned mode = 0; mode < way_modes; mode++) {
		way_choose(mode);
		sweep_all(way_sweeps, argc < 2 ? NULL : argv[1]);
		sweep_all(iommufd_sweeps, argc < 2 ? NULL : argv[1]);
		sweep_all(test_sweeps, argc < 2 ? NULL : argv[1]);
		sweep_all(device_sweeps, argc < 2 ? NULL : argv[1]);
		sweep_all(ioasid_sweeps, argc < 2 ? NULL : argv[1]);
		sweep_all(bond_sweeps, argc < 2 ? NULL : argv[1]);
	}
	printf("%u failures in %u calls, %u wrong\n", failures, calls, wrong);
	return wrong || !failures;
}
