/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses, from inside: what the kernel's own users of an I/O address space do has no ioctl. */
#include "abi/iommufd.h"
#include "base/epoch.h"
#include "bench.h"
#include "client/local.h"
#include "hwpt/domain.h"
#include "ioas/access.h"

#define MIB    (UINT64_C(1) << 20)
#define IOVA   (UINT64_C(1) << 30)
#define LENGTH (128 * MIB)
#define PARTS  16U

static struct {
	struct local local;
	struct local_client client;
	struct ioas_context context;
	struct ioas ioas;
	struct access access;
	struct epoch epoch;
	struct paging_domain domain;
	bool domain_there;
} in;

static char *from, *bounce;
static const struct access_ops no_pins = {.needs_pin_pages = false};

static void begin(void)
{
	struct ioas_map m = {.length = LENGTH,
			     .iova = IOVA,
			     .fixed = true,
			     .prot = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};

	from = aligned_alloc(PAGE_SIZE, LENGTH);
	bounce = aligned_alloc(PAGE_SIZE, MIB);
	bench_must(from && bounce, "malloc");
	memset(from, 1, LENGTH);
	memset(bounce, 1, MIB);
	in.local.kind = LOCAL_TRUSTED;
	bench_must(!local_init(&in.local), "local_init");
	local_client_init(&in.client, &in.local, -1);
	ioas_context_init(&in.context);
	ioas_init(&in.ioas);
	in.ioas.context = &in.context;
	m.client = &in.client.client;
	bench_must(!ioas_map_user(&in.ioas, &m, uaddr((uintptr_t)from)), "ioas_map_user");
	access_init(&in.access, &no_pins);
	bench_must(!access_attach(&in.access, &in.ioas), "access_attach");
	epoch_init(&in.epoch);
}

static void begin_with_domain(void)
{
	const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = PAGE_MASK};

	begin();
	bench_must(!paging_domain_init(&in.domain, NULL, 0, &limits, &in.ioas, &in.epoch), "paging_domain_init");
	in.domain_there = true;
}

static void end(void)
{
	access_detach(&in.access);
	access_fini(&in.access);
	if (in.domain_there)
		paging_domain_fini(&in.domain);
	ioas_fini(&in.ioas);
	ioas_context_fini(&in.context);
	epoch_fini(&in.epoch);
	local_fini(&in.local);
	memset(&in, 0, sizeof(in));
	free(from);
	free(bounce);
}

static double rw_page(void)
{
	double begin_at = bench_now();

	for (unsigned i = 0; i < scale.pairs; i++)
		bench_must(!access_rw(&in.access, IOVA, bounce, PAGE_SIZE, i & 1), "access_rw");
	return (bench_now() - begin_at) / scale.pairs;
}

/*
 * Of the time of memcpy(), in percent, n bytes after n bytes: each of parts of the memory by the one while another part
 * is copied by the other, in turns, as the machine is not always equally fast. What is copied was used so long ago that
 * no cache has it.
 */
static double rw_of_memcpy(uint64_t n)
{
	const uint64_t part = LENGTH / PARTS;
	double plain = 0, access = 0;

	for (unsigned turn = 0; turn < PARTS; turn++) {
		const uint64_t at = turn * part, other = (turn + PARTS / 2) % PARTS * part;
		double began = bench_now(), middle;

		for (uint64_t i = 0; i < part; i += n)
			memcpy(bounce, from + at + i, n);
		middle = bench_now();
		plain += middle - began;
		for (uint64_t i = 0; i < part; i += n)
			bench_must(!access_rw(&in.access, IOVA + other + i, bounce, n, 0), "access_rw");
		access += bench_now() - middle;
	}
	return access / plain * 100;
}

static double rw_cold(void)
{
	return rw_of_memcpy(PAGE_SIZE);
}

static double rw_large(void)
{
	return rw_of_memcpy(MIB);
}

const struct bench_row access_rows[] = {
	{"access reads or writes 4 KiB", begin, rw_page, end, 120, "ns", "409 ns", false, false},
	{"access reads or writes 4 KiB that a domain pinned", begin_with_domain, rw_page, end, 120, "ns", "409 ns",
	 false, false},
	{"access reads 4 KiB out of cache, of memcpy()", begin, rw_cold, end, 115, "%", "-", false, true},
	{"access reads 1 MiB, of memcpy()", begin, rw_large, end, 110, "%", "-", false, true},
	{"the same where a domain pinned it", begin_with_domain, rw_large, end, 110, "%", "-", false, true},
	{0},
};
