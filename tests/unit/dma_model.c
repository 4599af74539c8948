/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What devices do to memory through page tables agrees with a model that knows for each page of IOVAs which page of
 * memory it shows: after any maps, copies, unmaps, splits, attachments and detachments, each byte that DMA reads or
 * writes is the model's, each fault is where the model has one, and what is dirty is what was written.
 *
 * dma_model [SEED [OPERATIONS]]. With IOMMUSE_TEST_LONG in the environment millions of operations.
 */
#include "abi/iommufd.h"
#include "fake_domain.h"
#include "hwpt/device.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PAGE PAGE_SIZE

enum {
	SPACES = 2,
	TABLES = 4, /* those of the first space first */
	PASIDS = 4, /* with none */
	PAGES = 96, /* of IOVAs, from BASE on */
	RUNS = 8,
};

#define BASE UINT64_C(0xffff0000)
#define END  (BASE + PAGES * PAGE)

/* A page of IOVAs. */
struct shown {
	uint32_t area; /* 0: nothing */
	uint32_t page; /* of memory */
	uint8_t prot;
	bool writable; /* the memory may be mapped to be written */
};

static struct memory memory;
static struct ioas_context context;
static struct ioas space[SPACES];
static struct epoch epoch;
static struct iommu_device device;
static struct dma dma;
static struct paging_domain table[TABLES];
static uint8_t buffer[RUNS * PAGE];

static struct {
	struct shown shown[SPACES][PAGES];
	uint8_t bytes[MEMORY_PAGES * PAGE_SIZE];
	int attached[PASIDS]; /* -1: nothing */
	bool there[TABLES], tracked[TABLES], dirty[TABLES][PAGES];
} model;

static const uint32_t pasid_of[PASIDS] = {NO_PASID, 1, 1023, 70000};
static uint64_t seed, operation, state, transfers, whole;
static uint32_t last_area;

static unsigned below(unsigned n)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(state >> 33) % n;
}

static void wrong(const char *what)
{
	printf("FAIL: %s (seed %" PRIu64 ", operation %" PRIu64 ")\n", what, seed, operation);
	exit(1);
}

static void must(bool condition, const char *what)
{
	if (!condition)
		wrong(what);
}

static iova_t iova_of(unsigned page)
{
	return BASE + page * PAGE;
}

static unsigned space_of(unsigned t)
{
	return t / (TABLES / SPACES);
}

/* Maps. */

static uint8_t any_prot(void)
{
	static const uint8_t prots[] = {IOMMU_IOAS_MAP_READABLE, IOMMU_IOAS_MAP_WRITEABLE,
					IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE};

	return prots[below(8) < 6 ? 2 : below(3)];
}

static bool is_free(const struct shown *shown, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		if (shown[i].area)
			return false;
	return true;
}

/* Something else is at a page of a space: what was dirty there is forgotten. */
static void show(unsigned s, unsigned page, struct shown what)
{
	model.shown[s][page] = what;
	for (unsigned t = 0; t < TABLES; t++)
		if (space_of(t) == s)
			model.dirty[t][page] = false;
}

static void map(void)
{
	const unsigned s = below(SPACES), first = below(PAGES), at = below(MEMORY_PAGES);
	unsigned count = 1 + below(below(4) ? 4 : 16);
	struct ioas_map request = {.client = &memory.client,
				   .iova = iova_of(first),
				   .fixed = true,
				   .prot = any_prot(),
				   .account = ACCOUNT_USER};
	int rc;

	count = count < PAGES - first ? count : PAGES - first;
	count = count < MEMORY_PAGES - at ? count : MEMORY_PAGES - at;
	request.length = count * PAGE;
	memory.run = below(3) ? 0 : (1 + below(3)) * PAGE;
	rc = ioas_map_user(&space[s], &request, uaddr(MEMORY_AT + at * PAGE));
	must(rc == (is_free(model.shown[s], first, count) ? 0 : -EEXIST), "a map");
	if (rc)
		return;
	last_area++;
	for (unsigned i = 0; i < count; i++)
		show(s, first + i,
		     (struct shown){.area = last_area,
				    .page = at + i,
				    .prot = request.prot,
				    .writable = request.prot & IOMMU_IOAS_MAP_WRITEABLE});
}

static int expect_copy(unsigned from, unsigned first, unsigned to, unsigned at, unsigned count, uint8_t prot)
{
	for (unsigned i = 0; i < count; i++)
		if (!model.shown[from][first + i].area)
			return -ENOENT;
	if (!is_free(model.shown[to], at, count))
		return -EEXIST;
	for (unsigned i = 0; i < count; i++)
		if (prot & IOMMU_IOAS_MAP_WRITEABLE && !model.shown[from][first + i].writable)
			return -EPERM;
	return 0;
}

static void copy(void)
{
	const unsigned from = below(SPACES), to = below(SPACES), first = below(PAGES), at = below(PAGES);
	unsigned count = 1 + below(6);
	uint32_t before = 0;
	struct ioas_map request = {.client = &memory.client, .iova = iova_of(at), .fixed = true, .prot = any_prot()};
	struct pieces pieces;
	int rc;

	count = count < PAGES - first ? count : PAGES - first;
	count = count < PAGES - at ? count : PAGES - at;
	request.length = count * PAGE;
	rc = ioas_share(&space[from], iova_of(first), request.length, &pieces);
	if (!rc)
		rc = ioas_map_pieces(&space[to], &request, &pieces);
	must(rc == expect_copy(from, first, to, at, count, request.prot), "a copy");
	for (unsigned i = 0; i < count && !rc; i++) {
		struct shown shown = model.shown[from][first + i];

		if (shown.area != before)
			last_area++;
		before = shown.area;
		shown.area = last_area;
		shown.prot = request.prot;
		show(to, at + i, shown);
	}
}

/* The page after the last of an area. */
static unsigned area_end(const struct shown *shown, unsigned page)
{
	const uint32_t area = shown[page].area;

	while (page < PAGES && shown[page].area == area)
		page++;
	return page;
}

static void unmap(void)
{
	const unsigned s = below(SPACES), first = below(PAGES);
	const struct shown *shown = model.shown[s];
	unsigned end = first + 1 + below(below(4) ? 6 : 40), gone = 0, page = first;
	uint64_t unmapped;
	int rc = 0;

	end = end < PAGES ? end : PAGES;
	if (first && shown[first].area && shown[first].area == shown[first - 1].area)
		rc = -ENOENT;
	while (!rc && page < end) {
		unsigned behind = area_end(shown, page);

		if (!shown[page].area) {
			page++;
		} else if (behind > end) {
			rc = -ENOENT;
		} else {
			for (; page < behind; page++, gone++)
				show(s, page, (struct shown){0});
		}
	}
	must(ioas_unmap(&space[s], &memory.client, iova_of(first), iova_of(end) - 1, &unmapped) == rc, "an unmap");
	must(unmapped == gone * PAGE, "how much an unmap unmaps");
}

/* Page tables and their memory do not change with it. */
static void cut(void)
{
	const unsigned s = below(SPACES), page = 1 + below(PAGES - 1);
	const iova_t address = iova_of(page) - 1;
	struct shown *shown = model.shown[s];
	const uint32_t area = shown[page].area;

	must(!ioas_cut(&space[s], &address, 1), "a cut");
	if (!area || area != shown[page - 1].area)
		return;
	last_area++;
	for (unsigned i = page, end = area_end(shown, page); i < end; i++)
		shown[i].area = last_area;
}

/* Page tables. */

static void add_table(unsigned t)
{
	const struct paging_limits limits = {.aperture_last = UINT64_MAX, .page_sizes = ~(PAGE - 1)};

	memory.run = below(2) ? 0 : 2 * PAGE;
	must(!paging_domain_init(&table[t], NULL, 0, &limits, &space[space_of(t)], &epoch), "a new page table");
	model.there[t] = true;
	model.tracked[t] = false;
	memset(model.dirty[t], 0, sizeof(model.dirty[t]));
}

static void attach(void)
{
	const unsigned p = below(PASIDS), t = below(TABLES);
	const bool detach = !below(4);

	if (!detach && !model.there[t])
		return;
	must(!iommu_device_attach(&device, pasid_of[p], detach ? NULL : &table[t].domain), "an attachment");
	model.attached[p] = detach ? -1 : (int)t;
}

/* Removes one that nothing is attached to, or makes it anew. */
static void change_table(void)
{
	const unsigned t = below(TABLES);

	for (unsigned p = 0; p < PASIDS; p++)
		if (model.attached[p] == (int)t)
			return;
	if (!model.there[t]) {
		add_table(t);
		return;
	}
	paging_domain_fini(&table[t]);
	model.there[t] = false;
}

static void track(void)
{
	const unsigned t = below(TABLES);

	if (!model.there[t])
		return;
	model.tracked[t] = below(4);
	must(!paging_domain_track(&table[t], model.tracked[t]), "tracking");
	memset(model.dirty[t], 0, sizeof(model.dirty[t]));
}

struct seen {
	unsigned table;
	iova_t iova, last;
	bool dirty[PAGES];
	iova_t next;
};

static int see(void *arg, iova_t start, iova_t last)
{
	struct seen *seen = arg;

	must(start >= seen->next && start >= seen->iova && start <= last && last <= seen->last, "a run of dirty pages");
	seen->next = last + 1;
	for (iova_t iova = start; iova <= last; iova = (iova | (PAGE - 1)) + 1)
		seen->dirty[(iova - BASE) / PAGE] = true;
	return 0;
}

static void read_dirty(void)
{
	const unsigned t = below(TABLES);
	const bool clear = below(2);
	struct seen seen = {.table = t};

	if (!model.there[t])
		return;
	seen.iova = BASE + below(PAGES * (unsigned)PAGE);
	seen.last = seen.iova + below((unsigned)(END - seen.iova));
	must(!paging_domain_dirty(&table[t], seen.iova, seen.last, clear, see, &seen), "reading what is dirty");
	for (unsigned i = (unsigned)((seen.iova - BASE) / PAGE); i <= (seen.last - BASE) / PAGE; i++) {
		must(seen.dirty[i] == model.dirty[t][i], "what is dirty");
		if (clear)
			model.dirty[t][i] = false;
	}
}

/* DMA. */

/* Why nothing of a page is transferred; 0: it is. */
static enum dma_fault_reason refusal(const struct shown *shown, iova_t iova, enum dma_access access)
{
	const struct shown *page = &shown[(iova - BASE) / PAGE];

	if (iova < BASE || iova >= END || !page->area)
		return DMA_FAULT_NOT_MAPPED;
	if (access == DMA_WRITE && !(page->prot & IOMMU_IOAS_MAP_WRITEABLE))
		return DMA_FAULT_READ_ONLY;
	if (access == DMA_READ && !(page->prot & IOMMU_IOAS_MAP_READABLE))
		return DMA_FAULT_WRITE_ONLY;
	return 0;
}

/* How many bytes go, and why no more. */
static size_t expect(unsigned p, iova_t iova, size_t n, enum dma_access access, enum dma_fault_reason *reason)
{
	const struct shown *shown;
	size_t done = 0;

	*reason = DMA_FAULT_NO_DOMAIN;
	if (model.attached[p] < 0)
		return 0;
	shown = model.shown[space_of((unsigned)model.attached[p])];
	while (done < n && !(*reason = refusal(shown, iova + done, access)))
		done += PAGE - (iova + done) % PAGE;
	if (done < n)
		return done;
	*reason = 0;
	return n;
}

static uint8_t *modelled(unsigned p, iova_t iova)
{
	const struct shown *shown = model.shown[space_of((unsigned)model.attached[p])];

	return &model.bytes[shown[(iova - BASE) / PAGE].page * PAGE + iova % PAGE];
}

/* A device may have written there. */
static void mark(unsigned p, iova_t iova, uint64_t n)
{
	const int t = model.attached[p];

	for (uint64_t i = 0; i < n && model.tracked[t]; i++)
		model.dirty[t][(iova + i - BASE) / PAGE] = true;
}

static void transfer(void)
{
	const unsigned p = below(PASIDS);
	const iova_t iova = BASE + below(PAGES * (unsigned)PAGE);
	const size_t n = 1 + below(below(3) ? 64 : 4 * (unsigned)PAGE);
	const enum dma_access access = below(2) ? DMA_READ : DMA_WRITE;
	struct dma_fault fault;
	enum dma_fault_reason reason;
	size_t done = expect(p, iova, n, access, &reason);
	int rc;

	if (access == DMA_READ) {
		memset(buffer, 0x55, n);
		rc = dma_read(&dma, pasid_of[p], iova, buffer, n, &fault);
	} else {
		for (size_t i = 0; i < n; i++)
			buffer[i] = (uint8_t)(operation + i * 7);
		rc = dma_write(&dma, pasid_of[p], iova, buffer, n, &fault);
	}
	transfers++;
	whole += !rc;
	must(rc == (reason ? -EFAULT : 0) && fault.reason == reason, "the result of DMA");
	must(!rc || (fault.iova == iova + done && fault.pasid == pasid_of[p]), "where DMA ends");
	for (size_t i = 0; i < done; i++) {
		uint8_t *byte = modelled(p, iova + i);

		if (access == DMA_WRITE)
			*byte = buffer[i];
		else
			must(buffer[i] == *byte, "what DMA reads");
	}
	if (access == DMA_WRITE)
		mark(p, iova, done);
}

/* Each byte of a run is where the model has it. */
static void look(void)
{
	const unsigned p = below(PASIDS);
	const iova_t iova = BASE + below(PAGES * (unsigned)PAGE);
	const enum dma_access access = below(2) ? DMA_READ : DMA_WRITE;
	const uint64_t length = 1 + below(5 * (unsigned)PAGE);
	struct dma_run run[RUNS];
	struct dma_fault fault;
	enum dma_fault_reason reason;
	const size_t room = 1 + below(RUNS);
	uint64_t at = 0, covered, wanted = expect(p, iova, length, access, &reason);
	size_t count;

	dma_begin(&dma);
	covered = dma_translate(&dma, pasid_of[p], iova, length, access, run, room, &count, &fault);
	must(count <= room && covered <= wanted && (covered == wanted || (!fault.reason && count == room)),
	     "what a translation covers");
	for (size_t i = 0; i < count; at += run[i++].length) {
		const ptrdiff_t from = modelled(p, iova + at) - model.bytes;

		must(run[i].length && (run[i].host ? run[i].host - memory.bytes == from
						   : run[i].va.va == MEMORY_AT + (uint64_t)from),
		     "where a run is");
		must(modelled(p, iova + at + run[i].length - 1) - model.bytes == from + (ptrdiff_t)run[i].length - 1,
		     "how long a run is");
	}
	must(at == covered, "how much runs cover");
	dma_end(&dma);
	if (access == DMA_WRITE)
		mark(p, iova, covered);
}

static void write_by_cpu(void)
{
	const unsigned at = below(MEMORY_PAGES * (unsigned)PAGE);

	memory.bytes[at] = model.bytes[at] = (uint8_t)operation;
}

static void operate(void)
{
	static void (*const kind[])(void) = {
		map,  map,  map,  copy, unmap,      unmap,    cut,      attach,   change_table, track,
		look, look, look, look, read_dirty, transfer, transfer, transfer, transfer,     write_by_cpu,
	};

	kind[below(sizeof(kind) / sizeof(kind[0]))]();
	if (operation % 1024 == 0)
		must(!memcmp(memory.bytes, model.bytes, sizeof(model.bytes)), "memory that nobody wrote");
}

static void begin(void)
{
	memory_init(&memory);
	memset(&model, 0, sizeof(model));
	memory.remote = seed % 2;
	epoch_init(&epoch);
	ioas_context_init(&context);
	for (unsigned s = 0; s < SPACES; s++) {
		ioas_init(&space[s]);
		space[s].context = &context;
		must(!ioas_disable_huge_pages(&space[s]), "small pages");
	}
	for (unsigned t = 0; t < TABLES; t++)
		add_table(t);
	iommu_device_init(&device, NULL, NULL);
	iommu_device_own(&device, &epoch);
	dma_init(&dma, &device);
	for (unsigned p = 0; p < PASIDS; p++)
		model.attached[p] = -1;
}

static void end(void)
{
	for (unsigned p = 0; p < PASIDS; p++)
		iommu_device_attach(&device, pasid_of[p], NULL);
	dma_fini(&dma);
	iommu_device_own(&device, NULL);
	iommu_device_fini(&device);
	for (unsigned t = 0; t < TABLES; t++)
		if (model.there[t])
			paging_domain_fini(&table[t]);
	for (unsigned s = 0; s < SPACES; s++)
		ioas_fini(&space[s]);
	ioas_context_fini(&context);
	epoch_fini(&epoch);
	memory_fini(&memory);
}

static void run_seed(uint64_t operations)
{
	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	state = seed;
	begin();
	for (operation = 1; operation <= operations; operation++)
		operate();
	end();
	/* Enough of what is tried is there. */
	CHECK(whole > transfers / 8);
	printf("%" PRIu64 " of %" PRIu64 " transfers were whole\n", whole, transfers);
	whole = transfers = 0;
}

int main(int argc, char **argv)
{
	uint64_t operations = getenv("IOMMUSE_TEST_LONG") ? 2000000 : 40000;

	if (argc > 2)
		operations = strtoull(argv[2], NULL, 0);
	if (argc > 1) {
		seed = strtoull(argv[1], NULL, 0);
		run_seed(operations);
		return check_result();
	}
	for (seed = 1; seed <= 4; seed++)
		run_seed(operations);
	seed = (uint64_t)time(NULL);
	run_seed(operations);
	return check_result();
}
