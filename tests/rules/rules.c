/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "rules.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	SCRATCH_PAGES = 4,
	DEVICES_MAX = 8,
};

/* Far from both ends of the address space, so that an argument of 4 GiB lies in it. */
#define SCRATCH ((void *)UINT64_C(0x510000000000))

const char *result_name(int64_t value, char *buf)
{
	const char *name = value < 0 && value > -4096 ? strerrorname_np((int)-value) : NULL;

	if (name)
		return name;
	if (value >= -4096 && value < 4096)
		snprintf(buf, 24, "%" PRId64, value);
	else
		snprintf(buf, 24, "0x%" PRIx64, (uint64_t)value);
	return buf;
}

bool expect(struct rules *t, const char *file, int line, const char *what, uint64_t got, uint64_t wanted)
{
	char a[24], b[24];
	const char *base = strrchr(file, '/');

	if (got == wanted)
		return true;
	t->failures++;
	printf("# %s:%d: %s%s%s: wanted %s, got %s\n", base ? base + 1 : file, line, t->about ? t->about : "",
	       t->about ? ": " : "", what, result_name((int64_t)wanted, a), result_name((int64_t)got, b));
	return false;
}

void skip(struct rules *t, const char *why)
{
	t->skipped = why;
}

void *place(struct rules *t, const void *data, size_t n, size_t first, int before, int after)
{
	unsigned char *at = t->scratch + PAGE - first;

	mprotect(t->scratch, SCRATCH_PAGES * PAGE, PROT_READ | PROT_WRITE);
	memset(t->scratch, 0, SCRATCH_PAGES * PAGE);
	memcpy(at, data, n);
	mprotect(t->scratch, PAGE, before);
	mprotect(t->scratch + PAGE, PAGE, after);
	mprotect(t->scratch + 2 * PAGE, (SCRATCH_PAGES - 2) * PAGE, PROT_NONE);
	return at;
}

void *place_at_end(struct rules *t, const void *data, size_t n, int prot)
{
	return place(t, data, n, n, prot, PROT_NONE);
}

struct options {
	enum transport_kind kind;
	bool selftest, list;
	uint64_t quota;
	const char *device[DEVICES_MAX + 1]; /* ended by NULL */
	int devices;
	char **names; /* the cases to run; all where there is none */
	int count;
};

static int options_parse(struct options *o, int argc, char **argv)
{
	int i = 1;

	*o = (struct options){.kind = TRANSPORT_LIBRARY};
	for (; i < argc && !strncmp(argv[i], "--", 2); i++)
		if (!strcmp(argv[i], "--library"))
			o->kind = TRANSPORT_LIBRARY;
		else if (!strcmp(argv[i], "--syscalls"))
			o->kind = TRANSPORT_SYSCALLS;
		else if (!strcmp(argv[i], "--selftest"))
			o->selftest = true;
		else if (!strcmp(argv[i], "--device") && i + 1 < argc && o->devices < DEVICES_MAX)
			o->device[o->devices++] = argv[++i];
		else if (!strcmp(argv[i], "--quota") && i + 1 < argc)
			o->quota = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--list"))
			o->list = true;
		else
			return -EINVAL;
	o->names = argv + i;
	o->count = argc - i;
	return 0;
}

static bool wanted(const struct options *o, const struct rule_case *c)
{
	for (int i = 0; i < o->count; i++)
		if (!strcmp(o->names[i], c->name))
			return true;
	return o->count == 0;
}

static void run_case(struct rules *t, const struct rule_case *c)
{
	t->failures = 0;
	t->skipped = NULL;
	t->about = NULL;
	t->fd = transport_open(t->transport, "/dev/iommu", O_RDWR | O_CLOEXEC);
	if (t->fd < 0) {
		EXPECT(t, t->fd, 0);
		return;
	}
	if (c->run)
		c->run(t);
	else
		c->run_row(t, c->row);
	if (t->fd >= 0)
		EXPECT(t, transport_close(t->transport, t->fd), 0);
}

static const char *verdict(const struct rules *t)
{
	return t->failures ? "FAILED" : t->skipped ? "skipped" : "ok";
}

static int run_all(struct rules *t, const struct options *o, const struct rule_case *cases, size_t count)
{
	unsigned passed = 0, failed = 0, skipped = 0;

	for (size_t i = 0; i < count; i++) {
		if (!wanted(o, &cases[i]))
			continue;
		run_case(t, &cases[i]);
		failed += t->failures != 0;
		skipped += !t->failures && t->skipped;
		passed += !t->failures && !t->skipped;
		printf("%s  %s  %s%s%s\n", cases[i].rules, cases[i].name, verdict(t), t->skipped ? ": " : "",
		       t->skipped ? t->skipped : "");
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed || passed + skipped == 0;
}

int rules_main(int argc, char **argv, const struct rule_case *cases, size_t count)
{
	return rules_main_devices(argc, argv, cases, count, NULL);
}

int rules_main_devices(int argc, char **argv, const struct rule_case *cases, size_t count, const char *const *devices)
{
	struct options o;
	struct rules t = {0};

	if (options_parse(&o, argc, argv)) {
		fprintf(stderr,
			"usage: %s [--library | --syscalls] [--selftest] [--device DEVICE] [--quota N] "
			"[--list] [CASE...]\n",
			argv[0]);
		return 2;
	}
	if (o.list) {
		for (size_t i = 0; i < count; i++)
			printf("%s  %s\n", cases[i].rules, cases[i].name);
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	t.selftest = o.selftest;
	t.quota = o.quota;
	t.scratch = mmap(SCRATCH, SCRATCH_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			 -1, 0);
	if (o.device[0])
		devices = o.device;
	const struct transport_options more = {.devices = devices, .pasid_quota = o.quota};
	int rc = t.scratch == MAP_FAILED ? -errno : transport_new_with(o.kind, o.selftest, 0, &more, &t.transport);

	if (rc) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-rc));
		return 2;
	}
	rc = run_all(&t, &o, cases, count);
	transport_free(t.transport);
	munmap(t.scratch, SCRATCH_PAGES * PAGE);
	return rc;
}
