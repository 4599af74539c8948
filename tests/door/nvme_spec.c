/* SPDX-License-Identifier: BSD-3-Clause */
#include "nvme_spec.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#define PATIENCE_NS 20000000000ull
enum { PCI_COMMAND = 4, MEMORY_AND_MASTER = 6, ADMIN_ENTRIES = 32, LARGEST_PAGE = 1 << 16 };

_Static_assert(sizeof(struct command) == 64 && sizeof(struct completion) == 16, "sizes of entries");

bool spec_same(struct test *t, const char *file, int line, const char *section, const char *what, long got, long want,
	       long other)
{
	const char *slash = strrchr(file, '/');
	char expected[64];

	if (got == want || got == other)
		return true;
	snprintf(expected, sizeof(expected), want == other ? "0x%lx" : "0x%lx or 0x%lx", want, other);
	test_fail(t, "%s:%d: %s: %s is %s0x%lx, not %s", slash ? slash + 1 : file, line, section, what,
		  got < 0 ? "-" : "", got < 0 ? -got : got, expected);
	return false;
}

uint32_t nvme_get(const struct nvme *d, unsigned reg)
{
	return *(volatile uint32_t *)(d->bar + reg);
}

uint64_t nvme_get64(const struct nvme *d, unsigned reg)
{
	return *(volatile uint64_t *)(d->bar + reg);
}

void nvme_set(const struct nvme *d, unsigned reg, uint32_t value)
{
	__atomic_store_n((volatile uint32_t *)(d->bar + reg), value, __ATOMIC_SEQ_CST);
}

void nvme_set64(const struct nvme *d, unsigned reg, uint64_t value)
{
	__atomic_store_n((volatile uint64_t *)(d->bar + reg), value, __ATOMIC_SEQ_CST);
}

static void *map_bar(const struct rig *rig)
{
	struct vfio_region_info bar = {.argsz = sizeof(bar), .index = 0};
	void *memory;

	if (door_ioctl(rig->device, VFIO_DEVICE_GET_REGION_INFO, &bar) < 0 || bar.size < BAR_SIZE)
		return NULL;
	memory = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, rig->device, (off_t)bar.offset);
	return memory == MAP_FAILED ? NULL : memory;
}

/* An even seed: memory that is the process's own. */
bool nvme_open_only(struct nvme *d, struct test *t, unsigned number)
{
	const int kind = t->seed % 2 ? MAP_SHARED : MAP_PRIVATE;

	*d = (struct nvme){.t = t};
	if (!SAME(t, rig_open(&d->rig, t->variant % WAYS, number), 0))
		return false;
	d->bar = map_bar(&d->rig);
	d->arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | kind, -1, 0);
	if (!CHECK(t, d->bar && d->arena != MAP_FAILED) ||
	    !SAME(t, rig_map(&d->rig, d->arena, ARENA_SIZE, ARENA_IOVA, RIG_BOTH), 0))
		return false;
	config_write(&d->rig, PCI_COMMAND, 2, MEMORY_AND_MASTER);
	d->stride = 4u << (nvme_get64(d, REG_CAP) >> 32 & 0xf);
	d->admin = (struct pair){.entries = ADMIN_ENTRIES, .cq_entries = ADMIN_ENTRIES};
	/* Where they may be with pages of any size. */
	d->admin.sq = (struct command *)d->arena;
	d->admin.cq = (struct completion *)(d->arena + LARGEST_PAGE);
	d->used = 2 * LARGEST_PAGE;
	return true;
}

bool nvme_open(struct nvme *d, struct test *t, unsigned number)
{
	return nvme_open_only(d, t, number) && SAME(t, nvme_enable(d), 0);
}

void nvme_close(struct nvme *d)
{
	if (d->bar)
		munmap((void *)d->bar, BAR_SIZE);
	rig_close(&d->rig);
	if (d->arena && d->arena != MAP_FAILED)
		munmap(d->arena, ARENA_SIZE);
}

void *nvme_memory(struct nvme *d, size_t bytes)
{
	const size_t page = (size_t)PAGE << d->mps;
	void *p;

	d->used = (d->used + page - 1) / page * page;
	p = d->arena + d->used;
	d->used += bytes;
	if (d->used > ARENA_SIZE)
		abort();
	memset(p, 0, bytes);
	return p;
}

uint64_t nvme_iova(const struct nvme *d, const volatile void *p)
{
	return ARENA_IOVA + (uint64_t)((const volatile uint8_t *)p - d->arena);
}

bool nvme_patience(uint64_t since_ns)
{
	static const struct timespec moment = {0, 20000};

	if (monotonic_ns() - since_ns < 50000)
		sched_yield();
	else
		nanosleep(&moment, NULL);
	return monotonic_ns() - since_ns < PATIENCE_NS;
}

bool nvme_status(const struct nvme *d, uint32_t mask, uint32_t want, unsigned ms)
{
	uint64_t start = monotonic_ns();

	while ((nvme_get(d, REG_CSTS) & mask) != want) {
		nvme_patience(start);
		if (monotonic_ns() - start > ms * 1000000ull)
			return (nvme_get(d, REG_CSTS) & mask) == want;
	}
	return true;
}

static void pair_reset(struct pair *p)
{
	p->tail = p->head = 0;
	p->phase = 1;
	memset(p->sq, 0, p->entries * sizeof(*p->sq));
	memset(p->cq, 0, p->cq_entries * sizeof(*p->cq));
}

long nvme_start(struct nvme *d, uint32_t cc)
{
	uint64_t start = monotonic_ns();
	uint32_t csts;

	nvme_set(d, REG_CC, cc | CC_EN);
	while (!((csts = nvme_get(d, REG_CSTS)) & (CSTS_RDY | CSTS_CFS)))
		if (!nvme_patience(start))
			return -ETIMEDOUT;
	return csts & CSTS_CFS ? -EIO : 0;
}

long nvme_enable(struct nvme *d)
{
	pair_reset(&d->admin);
	d->events = 0;
	nvme_set(d, REG_AQA, (d->admin.cq_entries - 1) << 16 | (d->admin.entries - 1));
	nvme_set64(d, REG_ASQ, nvme_iova(d, d->admin.sq));
	nvme_set64(d, REG_ACQ, nvme_iova(d, d->admin.cq));
	return nvme_start(d, CC_ENTRY_SIZES | d->mps << 7);
}

long nvme_disable(struct nvme *d)
{
	nvme_set(d, REG_CC, nvme_get(d, REG_CC) & ~(uint32_t)(CC_EN | CC_SHN_NORMAL | CC_SHN_ABRUPT));
	return nvme_status(d, CSTS_RDY | CSTS_CFS, 0, 20000) ? 0 : -ETIMEDOUT;
}

void nvme_ring_sq(const struct nvme *d, unsigned id, uint32_t value)
{
	nvme_set(d, REG_DOORBELLS + 2 * id * d->stride, value);
}

void nvme_ring_cq(const struct nvme *d, unsigned id, uint32_t value)
{
	nvme_set(d, REG_DOORBELLS + (2 * id + 1) * d->stride, value);
}

uint16_t pair_put(struct pair *p, const struct command *command)
{
	struct command *entry = &p->sq[p->tail];

	*entry = *command;
	entry->id = p->next_id++;
	p->tail = (p->tail + 1) % p->entries;
	return entry->id;
}

uint16_t pair_give(const struct nvme *d, struct pair *p, const struct command *command)
{
	uint16_t id = pair_put(p, command);

	nvme_ring_sq(d, p->id, p->tail);
	return id;
}

bool pair_has(const struct pair *p)
{
	return (__atomic_load_n(&p->cq[p->head].status, __ATOMIC_ACQUIRE) & 1) == p->phase;
}

bool pair_take(struct nvme *d, struct pair *p, struct completion *out)
{
	if (!pair_has(p))
		return false;
	*out = p->cq[p->head];
	p->head = (p->head + 1) % p->cq_entries;
	if (p->head == 0)
		p->phase ^= 1;
	SPEC(d->t, "4.6", out->reserved, 0);
	SPEC_TRUE(d->t, "4.6", out->sq_id != p->id || out->sq_head < p->entries);
	return true;
}

long pair_wait(struct nvme *d, struct pair *p, struct completion *out)
{
	uint64_t start = monotonic_ns();

	while (!pair_take(d, p, out))
		if (!nvme_patience(start) || (nvme_get(d, REG_CSTS) & CSTS_CFS && !pair_has(p)))
			return -ETIMEDOUT;
	nvme_ring_cq(d, p->cq_id, p->head);
	return 0;
}

long pair_await(struct nvme *d, struct pair *p, uint16_t id)
{
	struct completion c;

	for (;;) {
		if (pair_wait(d, p, &c) < 0)
			return -ETIMEDOUT;
		d->result = c.result;
		if (c.id == id)
			return completion_status(&c);
		d->events++;
		d->event = c.result;
	}
}

long pair_do(struct nvme *d, struct pair *p, const struct command *command)
{
	return pair_await(d, p, pair_give(d, p, command));
}

long nvme_admin(struct nvme *d, const struct command *command)
{
	return pair_do(d, &d->admin, command);
}

long cq_create(struct nvme *d, const struct pair *p, int vector)
{
	struct command c = {.opcode = ADMIN_CREATE_CQ, .prp1 = nvme_iova(d, p->cq)};

	c.cdw10 = (p->cq_entries - 1) << 16 | p->cq_id;
	c.cdw11 = vector < 0 ? 1 : (uint32_t)vector << 16 | 3;
	return nvme_admin(d, &c);
}

long sq_create(struct nvme *d, const struct pair *p)
{
	struct command c = {.opcode = ADMIN_CREATE_SQ, .prp1 = nvme_iova(d, p->sq)};

	c.cdw10 = (p->entries - 1) << 16 | p->id;
	c.cdw11 = p->cq_id << 16 | 1;
	return nvme_admin(d, &c);
}

/* Memory that the pair had before is used again. */
long pair_create(struct nvme *d, struct pair *p, unsigned id, unsigned entries, unsigned cq_entries, int vector)
{
	long rc;

	if (!p->sq || p->entries < entries || p->cq_entries < cq_entries) {
		p->sq = nvme_memory(d, entries * sizeof(struct command));
		p->cq = nvme_memory(d, cq_entries * sizeof(struct completion));
	}
	p->id = p->cq_id = id;
	p->entries = entries;
	p->cq_entries = cq_entries;
	pair_reset(p);
	rc = cq_create(d, p, vector);
	return rc ? rc : sq_create(d, p);
}

long queue_delete(struct nvme *d, unsigned opcode, unsigned id)
{
	struct command c = {.opcode = (uint8_t)opcode, .cdw10 = id};

	return nvme_admin(d, &c);
}

long pair_delete(struct nvme *d, struct pair *p)
{
	long rc = queue_delete(d, ADMIN_DELETE_SQ, p->id);

	return rc ? rc : queue_delete(d, ADMIN_DELETE_CQ, p->cq_id);
}

long nvme_identify(struct nvme *d, unsigned cns, uint32_t nsid, void *page)
{
	struct command c = {.opcode = ADMIN_IDENTIFY, .nsid = nsid, .prp1 = nvme_iova(d, page), .cdw10 = cns};

	return nvme_admin(d, &c);
}

long nvme_get_feature(struct nvme *d, unsigned id, uint32_t cdw11)
{
	struct command c = {.opcode = ADMIN_GET_FEATURES, .cdw10 = id, .cdw11 = cdw11};

	return nvme_admin(d, &c);
}

long nvme_set_feature(struct nvme *d, unsigned id, uint32_t value)
{
	struct command c = {.opcode = ADMIN_SET_FEATURES, .cdw10 = id, .cdw11 = value};

	return nvme_admin(d, &c);
}

long nvme_log(struct nvme *d, unsigned id, uint64_t offset, void *to, uint32_t bytes, bool retain)
{
	const uint32_t dwords = bytes / 4 - 1;
	struct command c = {.opcode = ADMIN_GET_LOG_PAGE, .nsid = ~0u};

	command_point(d, &c, to, bytes, NULL);
	c.cdw10 = dwords << 16 | (retain ? 1u << 15 : 0) | id;
	c.cdw11 = dwords >> 16;
	c.cdw12 = (uint32_t)offset;
	c.cdw13 = (uint32_t)(offset >> 32);
	return nvme_admin(d, &c);
}

struct command nvme_transfer(const struct nvme *d, unsigned opcode, uint64_t lba, uint32_t blocks)
{
	(void)d;
	return (struct command){.opcode = (uint8_t)opcode,
				.nsid = 1,
				.cdw10 = (uint32_t)lba,
				.cdw11 = (uint32_t)(lba >> 32),
				.cdw12 = blocks - 1};
}

void command_point(const struct nvme *d, struct command *command, const void *data, uint32_t bytes, uint64_t *list)
{
	const uint32_t page = (uint32_t)PAGE << d->mps;
	const uint64_t from = nvme_iova(d, data);
	uint64_t next = (from / page + 1) * page;
	const uint64_t last = from + bytes - 1;

	command->prp1 = from;
	command->prp2 = 0;
	if (next > last)
		return;
	if (next + page > last) {
		command->prp2 = next;
		return;
	}
	if (!list)
		abort();
	command->prp2 = nvme_iova(d, list);
	for (; next <= last; next += page)
		*list++ = next;
}

long nvme_move(struct nvme *d, struct pair *p, unsigned opcode, uint64_t lba, const void *data, uint32_t bytes,
	       unsigned block)
{
	struct command c = nvme_transfer(d, opcode, lba, bytes / block);
	const size_t before = d->used;
	long rc;

	command_point(d, &c, data, bytes, nvme_memory(d, PAGE));
	rc = pair_do(d, p, &c);
	d->used = before;
	return rc;
}

static uint8_t pattern_byte(size_t i, uint64_t seed)
{
	return (uint8_t)((i + seed * 7919) * 2654435761u >> 13);
}

void pattern_fill(void *to, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)to)[i] = pattern_byte(i, seed);
}

bool pattern_is(const void *at, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		if (((const uint8_t *)at)[i] != pattern_byte(i, seed))
			return false;
	return true;
}

bool bytes_are(const volatile void *at, size_t n, uint8_t byte)
{
	for (size_t i = 0; i < n; i++)
		if (((const volatile uint8_t *)at)[i] != byte)
			return false;
	return true;
}
