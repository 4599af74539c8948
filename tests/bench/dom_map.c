/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What maps, copies and accesses cost where a page table shows the I/O address space, in one process with a trusted
 * client, each figure beside its target.
 *
 *   bench-dom_map [--smoke] [--only=TEXT]
 *
 * Medians of the rounds. Exit status 1 where a target is missed. --smoke: a few operations of each kind, and no
 * verdict.
 * --only: the rows whose names have this in them.
 */
#define _GNU_SOURCE
#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"
#include "base/epoch.h"
#include "client/local.h"
#include "client/memory.h"
#include "hwpt/domain.h"
#include "ioas/access.h"
#include "iommuse/iommuse.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE       PAGE_SIZE
#define MIB        (UINT64_C(1) << 20)
#define GIB        (UINT64_C(1) << 30)
#define IOVA       GIB
#define ROUNDS_MAX 301

static struct {
	unsigned pairs, many, rounds;
	bool smoke;
	const char *only; /* NULL: all */
} scale = {.pairs = 1000, .many = 100000, .rounds = 301};

/* What a row works on. */
static struct iommuse *sys;
static int fd;
static uint32_t ioas, other;
static char *private, *shared; /* memory of 1 GiB each */
static char *from;             /* which of them is mapped */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "bench-dom_map: %s went wrong\n", what);
	exit(2);
}

static int call(unsigned long cmd, void *arg)
{
	return iommuse_ioctl(sys, fd, cmd, (uintptr_t)arg);
}

static uint32_t ioas_new(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	must(!call(IOMMU_IOAS_ALLOC, &alloc), "IOAS_ALLOC");
	return alloc.out_ioas_id;
}

static void destroy(uint32_t id)
{
	struct iommu_destroy d = {.size = sizeof(d), .id = id};

	must(!call(IOMMU_DESTROY, &d), "DESTROY");
}

/* Returns the number of the device. */
static uint32_t attach(uint32_t id)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd), .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = id};

	must(!call(IOMMU_TEST_CMD, &cmd), "MOCK_DOMAIN");
	return cmd.mock_domain.out_stdev_id;
}

static void map(uint32_t id, uint64_t iova, const char *at, uint64_t length)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = id,
		.user_va = (uintptr_t)at,
		.length = length,
		.iova = iova,
	};

	must(!call(IOMMU_IOAS_MAP, &m), "IOAS_MAP");
}

static void unmap(uint32_t id, uint64_t iova, uint64_t length)
{
	struct iommu_ioas_unmap u = {.size = sizeof(u), .ioas_id = id, .iova = iova, .length = length};

	must(!call(IOMMU_IOAS_UNMAP, &u), "IOAS_UNMAP");
}

static void copy(void)
{
	struct iommu_ioas_copy c = {
		.size = sizeof(c),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_FIXED_IOVA,
		.dst_ioas_id = other,
		.src_ioas_id = ioas,
		.length = PAGE,
		.dst_iova = IOVA,
		.src_iova = IOVA,
	};

	must(!call(IOMMU_IOAS_COPY, &c), "IOAS_COPY");
}

/* A row measures one round, after its preparation. Nanoseconds for one. */

static double pairs(uint64_t length)
{
	double begin = now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		map(ioas, IOVA, from, length);
		unmap(ioas, IOVA, length);
	}
	return (now() - begin) / scale.pairs;
}

static double one_page(void)
{
	return pairs(PAGE);
}

static double two_mib(void)
{
	return pairs(2 * MIB);
}

static double one_gib(void)
{
	return pairs(GIB);
}

static void prepare_private(void)
{
	from = private;
	attach(ioas);
}

static void prepare_shared(void)
{
	from = shared;
	attach(ioas);
}

static void prepare_held(void)
{
	prepare_shared();
	map(ioas, IOVA / 2, shared + PAGE, PAGE);
}

static void prepare_copy(void)
{
	prepare_private();
	attach(other);
	map(ioas, IOVA, from, PAGE);
}

static double copies(void)
{
	double begin = now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		copy();
		unmap(other, IOVA, PAGE);
	}
	return (now() - begin) / scale.pairs;
}

static void prepare_vfio(void)
{
	struct iommu_vfio_ioas set = {.size = sizeof(set), .ioas_id = ioas, .op = IOMMU_VFIO_IOAS_SET};

	prepare_private();
	must(!call(IOMMU_VFIO_IOAS, &set), "VFIO_IOAS");
}

static double vfio(void)
{
	double begin = now();

	for (unsigned i = 0; i < scale.pairs; i++) {
		struct vfio_iommu_type1_dma_map m = {.argsz = sizeof(m),
						     .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
						     .vaddr = (uintptr_t)from,
						     .iova = IOVA,
						     .size = PAGE};
		struct vfio_iommu_type1_dma_unmap u = {.argsz = sizeof(u), .iova = IOVA, .size = PAGE};

		must(!call(VFIO_IOMMU_MAP_DMA, &m), "MAP_DMA");
		must(!call(VFIO_IOMMU_UNMAP_DMA, &u), "UNMAP_DMA");
	}
	return (now() - begin) / scale.pairs;
}

static void prepare_many(void)
{
	for (unsigned i = 0; i < scale.many; i++)
		map(ioas, IOVA + i * PAGE, private + i * PAGE, PAGE);
}

static double attach_many(void)
{
	double begin = now();
	uint32_t device = attach(ioas);
	double took = now() - begin;

	destroy(device);
	return took / scale.many;
}

/* Accesses are of the inside: their rows have an IOAS of their own. */

static struct inside {
	struct local local;
	struct local_client client;
	struct ioas_context context;
	struct ioas ioas;
	struct access access;
	struct epoch epoch;
	struct paging_domain domain;
	bool domain_there;
} in;

static char *bounce;
static const struct access_ops no_pins = {.needs_pin_pages = false};

static void inside_begin(void)
{
	struct ioas_map m = {.length = 64 * MIB,
			     .iova = IOVA,
			     .fixed = true,
			     .prot = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};

	in.local.kind = LOCAL_TRUSTED;
	must(!local_init(&in.local), "local_init");
	local_client_init(&in.client, &in.local, -1);
	ioas_context_init(&in.context);
	ioas_init(&in.ioas);
	in.ioas.context = &in.context;
	m.client = &in.client.client;
	must(!ioas_map_user(&in.ioas, &m, uaddr((uintptr_t)from)), "ioas_map_user");
	access_init(&in.access, &no_pins);
	must(!access_attach(&in.access, &in.ioas), "access_attach");
	epoch_init(&in.epoch);
}

static void prepare_access(void)
{
	from = private;
	inside_begin();
}

static void prepare_access_domain(void)
{
	const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = PAGE_MASK};

	prepare_access();
	must(!paging_domain_init(&in.domain, NULL, 0, &limits, &in.ioas, &in.epoch), "paging_domain_init");
	in.domain_there = true;
}

static void inside_end(void)
{
	if (!in.local.mm)
		return;
	access_detach(&in.access);
	access_fini(&in.access);
	if (in.domain_there)
		paging_domain_fini(&in.domain);
	ioas_fini(&in.ioas);
	ioas_context_fini(&in.context);
	epoch_fini(&in.epoch);
	local_fini(&in.local);
	memset(&in, 0, sizeof(in));
}

static double rw_page(void)
{
	double begin = now();

	for (unsigned i = 0; i < scale.pairs; i++)
		must(!access_rw(&in.access, IOVA, bounce, PAGE, i & 1), "access_rw");
	return (now() - begin) / scale.pairs;
}

/* How much longer than a plain copy, in percent: 1 MiB after 1 MiB of more than caches hold. */
static double rw_large(void)
{
	const unsigned count = scale.smoke ? 4 : 64;
	double begin = now();
	double plain;

	for (unsigned i = 0; i < count; i++)
		memcpy(bounce, from + i * MIB, MIB);
	plain = now() - begin;
	begin = now();
	for (unsigned i = 0; i < count; i++)
		must(!access_rw(&in.access, IOVA + i * MIB, bounce, MIB, 0), "access_rw");
	return (now() - begin) / plain * 100;
}

struct row {
	const char *name;
	void (*prepare)(void);
	double (*round)(void);
	double target;
	const char *unit;
	unsigned rounds; /* 0: as all */
};

static const struct row rows[] = {
	{"map + unmap, 4 KiB of private memory", prepare_private, one_page, 1500, "ns", 0},
	{"map + unmap, 2 MiB of private memory", prepare_private, two_mib, 1500, "ns", 0},
	{"map + unmap, 1 GiB of private memory", prepare_private, one_gib, 1500, "ns", 0},
	{"map + unmap, 4 KiB of shared memory", prepare_shared, one_page, 8000, "ns", 31},
	{"map + unmap, 4 KiB of shared memory, held already", prepare_held, one_page, 1500, "ns", 0},
	{"copy + unmap, 4 KiB", prepare_copy, copies, 1500, "ns", 0},
	{"VFIO_IOMMU_MAP_DMA + _UNMAP_DMA, 4 KiB", prepare_vfio, vfio, 1500, "ns", 0},
	{"attach to 100,000 maps, each", prepare_many, attach_many, 100, "ns", 15},
	{"access reads or writes 4 KiB", prepare_access, rw_page, 120, "ns", 0},
	{"access reads or writes 4 KiB that a domain pinned", prepare_access_domain, rw_page, 120, "ns", 0},
	{"access reads 1 MiB, of the time of memcpy()", prepare_access, rw_large, 110, "%", 31},
	{"the same where a domain pinned it", prepare_access_domain, rw_large, 110, "%", 31},
};

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Each row has a file of its own: with it go the devices. */
static double median_of(const struct row *row)
{
	const unsigned rounds = scale.smoke || !row->rounds ? scale.rounds : row->rounds;
	double ns[ROUNDS_MAX];

	fd = iommuse_open(sys, "/dev/iommu", O_RDWR | O_CLOEXEC);
	must(fd >= 0, "open of /dev/iommu");
	ioas = ioas_new();
	other = ioas_new();
	row->prepare();
	for (unsigned i = 0; i < rounds; i++)
		ns[i] = row->round();
	inside_end();
	iommuse_close(sys, fd);
	qsort(ns, rounds, sizeof(ns[0]), compare_doubles);
	return ns[rounds / 2];
}

static bool time_rows(void)
{
	bool missed = false;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		double figure;

		if (scale.only && !strstr(row->name, scale.only))
			continue;
		figure = median_of(row);
		printf("%-54s | %7.1f %-5s | %5.0f | %s\n", row->name, figure, row->unit, row->target,
		       scale.smoke             ? "smoke"
		       : figure <= row->target ? "ok"
					       : "MISSED");
		fflush(stdout);
		missed |= !scale.smoke && figure > row->target;
	}
	return missed;
}

static void memory_new(void)
{
	int memfd = memfd_create("bench", MFD_CLOEXEC);

	must(memfd >= 0 && !ftruncate(memfd, (off_t)GIB), "memfd_create");
	private = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	shared = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, memfd, 0);
	bounce = malloc(MIB);
	must(private != MAP_FAILED && shared != MAP_FAILED && bounce, "memory");
	memset(private, 1, 64 * MIB);
	memset(bounce, 1, MIB);
	close(memfd);
}

int main(int argc, char **argv)
{
	const struct iommuse_options options = {
		.struct_size = sizeof(options), .client = IOMMUSE_CLIENT_TRUSTED, .selftest = 1};
	bool missed;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--smoke"))
			scale.smoke = true;
		else if (!strncmp(argv[i], "--only=", 7))
			scale.only = argv[i] + 7;
	if (scale.smoke) {
		scale.pairs = 20;
		scale.many = 300;
		scale.rounds = 3;
	}
	memory_new();
	must(!iommuse_new(&options, &sys), "iommuse_new");
	missed = time_rows();
	iommuse_free(sys);
	free(bounce);
	return missed;
}
