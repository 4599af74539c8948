/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random MAP, MAP_FILE, UNMAP, COPY, ALLOW_IOVAS, OPTION and container calls on two address spaces, each answer
 * compared with model.c: result, IOVA chosen, bytes unmapped, and at the end of each seed every area.
 *
 *	model_random [--checked | --syscalls] [--long] [--seed N | --seeds N] [--steps N]
 *
 * Each seed is a pair of spaces of one of several shapes. A failure prints the command that repeats it.
 * --long, or IOMMUSE_TEST_LONG in the environment, is ten times as many seeds.
 */
#define _GNU_SOURCE
#include "model.h"
#include "transport.h"

#include "abi/iommufd.h"
#include "abi/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE    UINT64_C(4096)
#define U64_MAX UINT64_MAX
#define PICK(r, ...)                                                                                                   \
	((const uint64_t[]){__VA_ARGS__}[below((r), sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

enum {
	AREAS = 96, /* where unmaps take over */
};

/* What the addresses of a seed look like. */
struct shape {
	const char *name;
	uint64_t base, unit, units; /* IOVAs: base + [0, units) * unit */
	uint64_t longest;           /* units of a map */
	uint64_t addr_unit;
	bool everywhere;
};

static const struct shape shapes[] = {
	{"pages", 0, PAGE, 64, 6, PAGE, false},
	{"bytes", PAGE, 1, 96, 9, 1, false},
	{"half pages", 0, 0x800, 128, 9, 0x800, false},
	{"mebibytes", UINT64_C(1) << 32, UINT64_C(1) << 20, 64, 6, UINT64_C(1) << 20, false},
	{"the whole space", 0, PAGE, 0, 0, PAGE, true},
	{"the end of the space", U64_MAX - 64 * PAGE + 1, PAGE, 64, 6, PAGE, false},
};

struct run {
	struct transport *transport;
	int fd, file;
	uint64_t seed, rng;
	unsigned step;
	const struct shape *shape;
	uint32_t id[2];
	struct space space[2];
	char what[160]; /* the call that is being compared */
};

static uint64_t next(struct run *r)
{
	uint64_t z = (r->rng += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(struct run *r, uint64_t n)
{
	return n ? next(r) % n : 0;
}

static bool chance(struct run *r, unsigned percent)
{
	return below(r, 100) < percent;
}

static int call(struct run *r, unsigned long cmd, void *arg)
{
	return transport_ioctl(r->transport, r->fd, cmd, (uintptr_t)arg);
}

static bool same(struct run *r, const char *member, uint64_t got, uint64_t wanted)
{
	if (got == wanted)
		return true;
	printf("seed %" PRIu64 " (%s) step %u: %s\n  %s: wanted %" PRId64 " (0x%" PRIx64 "), got %" PRId64
	       " (0x%" PRIx64 ")\n"
	       "  repeat: model_random --seed %" PRIu64 " --steps %u\n",
	       r->seed, r->shape->name, r->step, r->what, member, (int64_t)wanted, wanted, (int64_t)got, got, r->seed,
	       r->step + 1);
	return false;
}

#define SAY(r, ...) snprintf((r)->what, sizeof((r)->what), __VA_ARGS__)

/* Numbers that are worth trying */

static uint64_t anywhere(struct run *r)
{
	uint64_t x = next(r) >> below(r, 64);

	return chance(r, 70) ? x & ~(PAGE - 1) : x;
}

static const struct area *some_area(struct run *r, unsigned s)
{
	return r->space[s].areas ? &r->space[s].area[below(r, r->space[s].areas)] : NULL;
}

static uint64_t some_iova(struct run *r)
{
	const struct shape *shape = r->shape;

	if (chance(r, 2))
		return PICK(r, 0, 1, PAGE, U64_MAX, U64_MAX - 1, U64_MAX - PAGE, U64_MAX - PAGE + 1);
	uint64_t iova = shape->everywhere ? anywhere(r) : shape->base + below(r, shape->units) * shape->unit;

	return chance(r, 3) ? iova + PICK(r, 1, 0x800, U64_MAX) : iova;
}

static uint64_t some_length(struct run *r)
{
	if (chance(r, 2))
		return PICK(r, 0, 1, U64_MAX, U64_MAX - 1, U64_MAX - PAGE, U64_MAX / 2, U64_MAX / 2 - 1);
	if (r->shape->everywhere)
		return anywhere(r) + PICK(r, 0, 0, PAGE);
	uint64_t length = (1 + below(r, r->shape->longest)) * r->shape->unit;

	return chance(r, 3) ? length + PICK(r, 1, 0x800, U64_MAX) : length;
}

static uint64_t some_addr(struct run *r)
{
	if (chance(r, 15))
		return 0;
	if (chance(r, 3))
		return anywhere(r);
	return (1 + below(r, 1 << 16)) * r->shape->addr_unit << (chance(r, 20) ? below(r, 12) : 0);
}

/* The calls: each returns false where the answers differ. */

static bool map(struct run *r, unsigned s)
{
	bool file = chance(r, 10);
	struct request q = {
		.fixed = chance(r, 60), .writable = chance(r, 70), .addr = some_addr(r), .length = some_length(r)};

	if (q.fixed || chance(r, 5))
		q.iova = some_iova(r);
	uint32_t flags = (q.fixed ? IOMMU_IOAS_MAP_FIXED_IOVA : 0) | IOMMU_IOAS_MAP_READABLE |
			 (q.writable ? IOMMU_IOAS_MAP_WRITEABLE : 0);
	struct iommu_ioas_map m = {.size = sizeof(m),
				   .flags = flags,
				   .ioas_id = r->id[s],
				   .user_va = q.addr,
				   .length = q.length,
				   .iova = q.iova};
	struct iommu_ioas_map_file f = {.size = sizeof(f),
					.flags = flags,
					.ioas_id = r->id[s],
					.fd = r->file,
					.start = q.addr,
					.length = q.length,
					.iova = q.iova};

	SAY(r, "%s space %u fixed=%d w=%d addr=%" PRIx64 " length=%" PRIx64 " iova=%" PRIx64, file ? "MAP_FILE" : "MAP",
	    s, q.fixed, q.writable, q.addr, q.length, q.iova);
	int rc = file ? call(r, IOMMU_IOAS_MAP_FILE, &f) : call(r, IOMMU_IOAS_MAP, &m);
	int wanted = file ? model_map_file(&r->space[s], &q) : model_map(&r->space[s], &q);

	return same(r, "result", rc, wanted) && (rc || same(r, "iova", file ? f.iova : m.iova, q.iova));
}

static bool copy(struct run *r, unsigned s)
{
	unsigned from = chance(r, 50) ? s : !s;
	const struct area *a = some_area(r, from);
	struct request q = {
		.fixed = chance(r, 60), .writable = chance(r, 50), .length = some_length(r), .iova = some_iova(r)};
	uint64_t src_iova = some_iova(r);

	if (a && chance(r, 80)) {
		src_iova = a->iova;
		q.length = a->last - a->iova + 1;
		if (chance(r, 30))
			q.length += PICK(r, r->shape->unit, -r->shape->unit, 3 * r->shape->unit);
		if (chance(r, 30))
			src_iova += PICK(r, r->shape->unit, 1, -r->shape->unit);
	}
	struct iommu_ioas_copy c = {.size = sizeof(c),
				    .flags = (q.fixed ? IOMMU_IOAS_MAP_FIXED_IOVA : 0) |
					     (q.writable ? IOMMU_IOAS_MAP_WRITEABLE : IOMMU_IOAS_MAP_READABLE),
				    .dst_ioas_id = r->id[s],
				    .src_ioas_id = r->id[from],
				    .length = q.length,
				    .dst_iova = q.iova,
				    .src_iova = src_iova};

	SAY(r, "COPY space %u to %u fixed=%d w=%d length=%" PRIx64 " src=%" PRIx64 " dst=%" PRIx64, from, s, q.fixed,
	    q.writable, q.length, src_iova, q.iova);
	int rc = call(r, IOMMU_IOAS_COPY, &c);

	return same(r, "result", rc, model_copy(&r->space[s], &r->space[from], &q, src_iova)) &&
	       (rc || same(r, "dst_iova", c.dst_iova, q.iova));
}

static void some_range(struct run *r, unsigned s, uint64_t *iova, uint64_t *length)
{
	const struct area *a = some_area(r, s);

	*iova = some_iova(r);
	*length = some_length(r);
	if (a && chance(r, 80)) {
		*iova = a->iova;
		*length = a->last - a->iova + 1;
		if (chance(r, 30))
			*length += PICK(r, r->shape->unit, -r->shape->unit, 4 * r->shape->unit, 1);
		if (chance(r, 20))
			*iova += PICK(r, r->shape->unit, -r->shape->unit, 1);
	}
}

static bool unmap(struct run *r, unsigned s)
{
	uint64_t iova, length;

	some_range(r, s, &iova, &length);
	if (chance(r, 1)) {
		iova = 0;
		length = U64_MAX;
	}
	struct iommu_ioas_unmap c = {.size = sizeof(c), .ioas_id = r->id[s], .iova = iova, .length = length};

	SAY(r, "UNMAP space %u iova=%" PRIx64 " length=%" PRIx64, s, iova, length);
	int rc = call(r, IOMMU_IOAS_UNMAP, &c);

	return same(r, "result", rc, model_unmap(&r->space[s], iova, &length)) && same(r, "length", c.length, length);
}

/* The container is space 0. */
static bool container_map(struct run *r, unsigned s)
{
	uint32_t flags = (uint32_t)below(r, 4);
	struct request q = {.fixed = true,
			    .writable = flags & VFIO_DMA_MAP_FLAG_WRITE,
			    .addr = some_addr(r),
			    .length = some_length(r),
			    .iova = some_iova(r)};
	struct vfio_iommu_type1_dma_map c = {
		.argsz = sizeof(c), .flags = flags, .vaddr = q.addr, .iova = q.iova, .size = q.length};

	(void)s;
	SAY(r, "MAP_DMA flags=%u vaddr=%" PRIx64 " iova=%" PRIx64 " size=%" PRIx64, flags, q.addr, q.iova, q.length);
	return same(r, "result", call(r, VFIO_IOMMU_MAP_DMA, &c), model_container_map(&r->space[0], &q));
}

static bool container_unmap(struct run *r, unsigned s)
{
	uint64_t iova, size;

	(void)s;
	some_range(r, 0, &iova, &size);
	struct vfio_iommu_type1_dma_unmap c = {.argsz = sizeof(c), .iova = iova, .size = size};

	SAY(r, "UNMAP_DMA iova=%" PRIx64 " size=%" PRIx64, iova, size);
	int rc = call(r, VFIO_IOMMU_UNMAP_DMA, &c);

	return same(r, "result", rc, model_container_unmap(&r->space[0], iova, &size)) && same(r, "size", c.size, size);
}

static bool allow(struct run *r, unsigned s)
{
	struct range ranges[4];
	unsigned count = (unsigned)below(r, 5);

	for (unsigned i = 0; i < count; i++) {
		uint64_t last = some_length(r);

		ranges[i].start = some_iova(r) & ~(PAGE - 1);
		last = last * 4 < last ? last : last * 4;
		ranges[i].last =
			__builtin_add_overflow(ranges[i].start, last, &ranges[i].last) ? U64_MAX : ranges[i].last - 1;
	}
	struct iommu_ioas_allow_iovas c = {
		.size = sizeof(c), .ioas_id = r->id[s], .num_iovas = count, .allowed_iovas = (uintptr_t)ranges};

	SAY(r, "ALLOW_IOVAS space %u count=%u", s, count);
	return same(r, "result", call(r, IOMMU_IOAS_ALLOW_IOVAS, &c), model_allow(&r->space[s], ranges, count));
}

static bool huge_pages(struct run *r, unsigned s)
{
	struct iommu_iova_range range;
	struct iommu_option c = {.size = sizeof(c),
				 .option_id = IOMMU_OPTION_HUGE_PAGES,
				 .op = IOMMU_OPTION_OP_SET,
				 .object_id = r->id[s],
				 .val64 = below(r, 50) ? below(r, 2) : 2};
	struct iommu_ioas_iova_ranges ask = {
		.size = sizeof(ask), .ioas_id = r->id[s], .num_iovas = 1, .allowed_iovas = (uintptr_t)&range};

	SAY(r, "OPTION HUGE_PAGES space %u val=%" PRIu64, s, c.val64);
	return same(r, "result", call(r, IOMMU_OPTION, &c), model_huge_pages(&r->space[s], c.val64)) &&
	       same(r, "ranges", call(r, IOMMU_IOAS_IOVA_RANGES, &ask), 0) &&
	       same(r, "alignment", ask.out_iova_alignment, model_alignment(&r->space[s])) &&
	       same(r, "start", range.start, 0) && same(r, "last", range.last, U64_MAX);
}

static bool set_container(struct run *r)
{
	struct iommu_vfio_ioas c = {.size = sizeof(c), .ioas_id = r->id[0], .op = IOMMU_VFIO_IOAS_SET};

	return same(r, "VFIO_IOAS", call(r, IOMMU_VFIO_IOAS, &c), 0);
}

static bool new_space(struct run *r, unsigned s)
{
	struct iommu_destroy gone = {.size = sizeof(gone), .id = r->id[s]};
	struct iommu_ioas_alloc c = {.size = sizeof(c)};

	SAY(r, "DESTROY and IOAS_ALLOC space %u", s);
	if (r->id[s] && !same(r, "DESTROY", call(r, IOMMU_DESTROY, &gone), 0))
		return false;
	if (!same(r, "IOAS_ALLOC", call(r, IOMMU_IOAS_ALLOC, &c), 0) || !same(r, "id", c.out_ioas_id, s + 1))
		return false;
	r->id[s] = c.out_ioas_id;
	memset(&r->space[s], 0, sizeof(r->space[s]));
	return s != 0 || set_container(r);
}

static const struct {
	bool (*run)(struct run *r, unsigned s);
	unsigned weight;
} calls[] = {{map, 34},  {unmap, 26},    {copy, 16}, {container_map, 8}, {container_unmap, 12},
	     {allow, 1}, {huge_pages, 3}};

static bool step(struct run *r)
{
	unsigned s = chance(r, 70) ? 0 : 1, at = (unsigned)below(r, 100), i = 0;

	if (below(r, 5000) == 0)
		return new_space(r, s);
	for (unsigned full = 0; full < 2; full++)
		if (r->space[full].areas >= AREAS)
			return unmap(r, full);
	while (at >= calls[i].weight)
		at -= calls[i++].weight;
	return calls[i].run(r, s);
}

/* Takes every area out by itself, and then there is nothing. */
static bool audit(struct run *r, unsigned s)
{
	struct space *space = &r->space[s];

	while (space->areas) {
		struct area a = space->area[below(r, space->areas)];
		uint64_t length = a.last - a.iova + 1;
		struct iommu_ioas_unmap c = {.size = sizeof(c), .ioas_id = r->id[s], .iova = a.iova, .length = length};

		if (length == 0 || length == U64_MAX || a.iova == U64_MAX)
			break; /* cannot be said by UNMAP */
		SAY(r, "at the end, space %u: UNMAP iova=%" PRIx64 " length=%" PRIx64, s, a.iova, length);
		if (!same(r, "result", call(r, IOMMU_IOAS_UNMAP, &c), model_unmap(space, a.iova, &length)) ||
		    !same(r, "length", c.length, length))
			return false;
	}
	struct iommu_ioas_unmap all = {.size = sizeof(all), .ioas_id = r->id[s], .iova = 0, .length = U64_MAX};

	SAY(r, "at the end, space %u: UNMAP of everything", s);
	return same(r, "result", call(r, IOMMU_IOAS_UNMAP, &all), 0) &&
	       same(r, "length", all.length, model_bytes(space));
}

static bool run_seed(struct run *r, uint64_t seed, unsigned steps)
{
	r->seed = seed;
	r->rng = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	r->shape = &shapes[seed % (sizeof(shapes) / sizeof(*shapes))];
	r->id[0] = r->id[1] = 0;
	r->fd = transport_open(r->transport, "/dev/iommu", O_RDWR | O_CLOEXEC);
	r->step = 0;
	SAY(r, "open");
	if (r->fd < 0)
		return same(r, "descriptor", (uint64_t)r->fd, 0);
	bool ok = new_space(r, 0) && new_space(r, 1);

	for (; ok && r->step < steps; r->step++)
		ok = step(r);
	ok = ok && audit(r, 0) && audit(r, 1);
	return transport_close(r->transport, r->fd) == 0 && ok;
}

struct options {
	enum transport_kind kind;
	uint64_t first, seeds;
	unsigned steps;
};

static bool options_parse(struct options *o, int argc, char **argv)
{
	bool longer = getenv("IOMMUSE_TEST_LONG");

	*o = (struct options){TRANSPORT_TRUSTED, 1, 1000, 10000};
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--checked"))
			o->kind = TRANSPORT_LIBRARY;
		else if (!strcmp(argv[i], "--syscalls"))
			o->kind = TRANSPORT_SYSCALLS;
		else if (!strcmp(argv[i], "--long"))
			longer = true;
		else if (!strcmp(argv[i], "--seeds") && i + 1 < argc)
			o->seeds = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--steps") && i + 1 < argc)
			o->steps = (unsigned)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
			o->first = strtoull(argv[++i], NULL, 0);
			o->seeds = 1;
			longer = false;
		} else
			return false;
	if (longer)
		o->seeds *= 10;
	return true;
}

int main(int argc, char **argv)
{
	struct options o;
	struct run r = {0};
	unsigned failed = 0;

	if (!options_parse(&o, argc, argv)) {
		fprintf(stderr, "usage: %s [--checked | --syscalls] [--long] [--seed N | --seeds N] [--steps N]\n",
			argv[0]);
		return 2;
	}
	r.file = memfd_create("model", MFD_CLOEXEC);
	int rc = r.file < 0 ? -errno : transport_new(o.kind, false, 0, &r.transport);

	if (rc) {
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-rc));
		return 2;
	}
	printf("seeds %" PRIu64 " to %" PRIu64 ", %u steps each\n", o.first, o.first + o.seeds - 1, o.steps);
	for (uint64_t seed = o.first; seed < o.first + o.seeds && failed < 10; seed++)
		failed += !run_seed(&r, seed, o.steps);
	transport_free(r.transport);
	close(r.file);
	printf("%s: %" PRIu64 " operations, %u seeds failed\n", failed ? "FAILED" : "ok", o.seeds * o.steps, failed);
	return failed != 0;
}
