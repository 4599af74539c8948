/* SPDX-License-Identifier: BSD-3-Clause */
/* A controller's life: registers, enabling, resets of every kind, shutdowns. After each of them it works again. */
#include "nvme_spec.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>

enum { BLOCK = 512, IN_FLIGHT = 120, DATA = 16 << 10 };

static void rest(unsigned ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

	nanosleep(&t, NULL);
}

/* It is enabled: it answers, and reads what it has written. */
static bool works(struct nvme *d)
{
	const size_t before = d->used;
	struct pair p = {0};
	uint8_t *page = nvme_memory(d, PAGE), *data = nvme_memory(d, DATA);
	const uint64_t seed = monotonic_ns();
	struct test *t = d->t;
	bool good = SPEC(t, "5.15", nvme_identify(d, 1, 0, page), OK) &&
		    SPEC(t, "5.3", pair_create(d, &p, 1, 16, 16, -1), OK);

	if (good) {
		pattern_fill(data, DATA, seed);
		good = SPEC(t, "6.15", nvme_move(d, &p, NVM_WRITE, 64, data, DATA, BLOCK), OK);
		memset(data, 0, DATA);
		good = good && SPEC(t, "6.9", nvme_move(d, &p, NVM_READ, 64, data, DATA, BLOCK), OK) &&
		       SPEC_TRUE(t, "6.9", pattern_is(data, DATA, seed)) && SPEC(t, "5.6", pair_delete(d, &p), OK);
	}
	d->used = before;
	return good;
}

/* 3.1.1, 3.1.2, 3.1.5, 3.1.6: what they say before anything is done; what docs/devices/nvme.md says of them. */
static void registers(struct test *t)
{
	struct nvme d;
	uint64_t cap;

	if (!nvme_open_only(&d, t, 0))
		return;
	cap = nvme_get64(&d, REG_CAP);
	SPEC(t, "doc, queues: entries; 3.1.1 MQES", cap & 0xffff, 4095);
	SPEC(t, "doc, queues: contiguous; 3.1.1 CQR", cap >> 16 & 1, 1);
	SPEC_TRUE(t, "3.1.1 TO", (cap >> 24 & 0xff) > 0);
	SPEC(t, "3.1.1 CSS: the NVM command set", cap >> 37 & 1, 1);
	SPEC(t, "doc, pages; 3.1.1 MPSMIN", cap >> 48 & 0xf, 0);
	SPEC(t, "doc, pages; 3.1.1 MPSMAX", cap >> 52 & 0xf, 4);
	SPEC(t, "doc, no controller memory buffer; 3.1.1 PMRS, CMBS", cap >> 56 & 3, 0);
	SPEC(t, "3.1.2 VS", nvme_get(&d, REG_VS), 0x10400);
	SPEC(t, "3.1.5 CC.EN", nvme_get(&d, REG_CC) & CC_EN, 0);
	SPEC(t, "3.1.6 CSTS", nvme_get(&d, REG_CSTS) & 0x1f, 0);
	SPEC(t, "3.1.12 CMBLOC", nvme_get(&d, REG_CMBLOC), 0);
	SPEC(t, "3.1.13 CMBSZ", nvme_get(&d, REG_CMBSZ), 0);
	nvme_close(&d);
}

/* doc: registers that cannot be written show what was stored until the controller looks. */
static void registers_that_are_read_only(struct test *t)
{
	struct nvme d;
	uint64_t cap, start;

	if (!nvme_open(&d, t, 0))
		return;
	cap = nvme_get64(&d, REG_CAP);
	nvme_set64(&d, REG_CAP, ~cap);
	nvme_set(&d, REG_VS, 0);
	nvme_set(&d, REG_CSTS, ~0u);
	start = monotonic_ns();
	while ((nvme_get64(&d, REG_CAP) != cap || nvme_get(&d, REG_VS) != 0x10400 || nvme_get(&d, REG_CSTS) != 1) &&
	       nvme_patience(start))
		;
	SPEC_TRUE(t, "3.1.1 CAP", nvme_get64(&d, REG_CAP) == cap);
	SPEC(t, "3.1.2 VS", nvme_get(&d, REG_VS), 0x10400);
	SPEC(t, "3.1.6 CSTS", nvme_get(&d, REG_CSTS), 1);
	works(&d);
	nvme_close(&d);
}

static unsigned capability(const struct rig *rig, unsigned id)
{
	unsigned at = config_read(rig, 0x34, 1);

	for (unsigned i = 0; at && i < 48; i++) {
		if (config_read(rig, at, 1) == id)
			return at;
		at = config_read(rig, at + 1, 1);
	}
	return 0;
}

/* 2.1 and docs/devices/nvme.md: configuration space. */
static void configuration(struct test *t)
{
	struct nvme d;
	unsigned msix;

	if (!nvme_open_only(&d, t, 0))
		return;
	SPEC(t, "doc, vendor and device; 2.1.1", config_read(&d.rig, 0, 4), 0xd15c494d);
	SPEC(t, "doc, subsystem; 2.1.17", config_read(&d.rig, 0x2c, 4), 0xd15c494d);
	SPEC(t, "doc, class and revision; 2.1.4, 2.1.5", config_read(&d.rig, 8, 4), 0x01080201);
	SPEC_TRUE(t, "doc, INTx; 2.1.20", config_read(&d.rig, 0x3d, 1) >= 1);
	SPEC(t, "doc, MSI: none", capability(&d.rig, 0x05), 0);
	SAME(t, irq_count(&d.rig, IRQ_INTX), 1);
	SAME(t, irq_count(&d.rig, IRQ_MSI), 0);
	SAME(t, irq_count(&d.rig, IRQ_MSIX), 65);
	msix = capability(&d.rig, 0x11);
	if (SPEC_TRUE(t, "2.4 MSI-X", msix != 0)) {
		SPEC(t, "2.4.2 table size", config_read(&d.rig, msix + 2, 2) & 0x7ff, 64);
		SPEC(t, "2.4.3 table", config_read(&d.rig, msix + 4, 4), 0x2000);
		SPEC(t, "2.4.4 pending bits", config_read(&d.rig, msix + 8, 4), 0x3000);
	}
	SPEC_TRUE(t, "2.5 PCI Express", capability(&d.rig, 0x10) != 0);
	nvme_close(&d);
}

/* 7.6.1, 7.3.2: over and over, without and with commands in between. */
static void enabled_often(struct test *t)
{
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	for (unsigned i = 0; i < 30 && !t->failed; i++) {
		if (i % 3 == 0)
			works(&d);
		SPEC(t, "3.1.5 EN", nvme_disable(&d), 0);
		SPEC(t, "3.1.6 RDY", nvme_get(&d, REG_CSTS) & 0x1f, 0);
		SPEC(t, "7.3.2: AQA, ASQ and ACQ stay", nvme_get(&d, REG_AQA), 31 << 16 | 31);
		SPEC_TRUE(t, "7.3.2", nvme_get64(&d, REG_ASQ) == nvme_iova(&d, d.admin.sq));
		SPEC_TRUE(t, "7.3.2", nvme_get64(&d, REG_ACQ) == nvme_iova(&d, d.admin.cq));
		SPEC(t, "7.6.1", nvme_enable(&d), 0);
	}
	works(&d);
	nvme_close(&d);
}

/* 3.1.5 MPS: everything with pages of each size. */
static void pages_of_each_size(struct test *t)
{
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	for (unsigned mps = 0; mps <= 4 && !t->failed; mps++) {
		SPEC(t, "3.1.5 EN", nvme_disable(&d), 0);
		d.mps = mps;
		SPEC(t, "3.1.5 MPS", nvme_enable(&d), 0);
		works(&d);
		/* 4.3: from within one page to within the next. */
		data = nvme_memory(&d, 2 * ((size_t)PAGE << mps));
		memset(data, 0x5a, 2 * ((size_t)PAGE << mps));
		data += ((size_t)PAGE << mps) - 512;
		{
			struct command c = {.opcode = ADMIN_IDENTIFY, .cdw10 = 1};

			command_point(&d, &c, data, PAGE, NULL);
			SPEC(t, "4.3", nvme_admin(&d, &c), OK);
			SPEC(t, "5.15 figure 251: MDTS is of 4096 bytes at least", data[77] >= 1, 1);
			SPEC(t, "5.15 figure 251 VID", get16(data), 0x494d);
			SPEC_TRUE(t, "4.3: no byte before", bytes_are(data - 512, 512, 0x5a));
			SPEC_TRUE(t, "4.3: no byte after", bytes_are(data + PAGE, 512, 0x5a));
			c = (struct command){.opcode = ADMIN_CREATE_CQ, .cdw10 = 15 << 16 | 1, .cdw11 = 1};
			c.prp1 = nvme_iova(&d, data + 512) + PAGE;
			if (mps)
				SPEC_OR(t, "5.3 PRP1: aligned to CC.MPS", nvme_admin(&d, &c), PRP_OFFSET_INVALID,
					INVALID_FIELD);
		}
	}
	nvme_close(&d);
}

/* 3.1.5, 3.1.8: undefined, so that it may be ready, fail, or wait; but a reset must help. */
static void enabled_badly(struct test *t)
{
	static const struct {
		const char *what;
		uint32_t cc, aqa;
		uint64_t asq, acq;
	} cases[] = {
		{"MPS of 2^27", CC_ENTRY_SIZES | 15 << 7, 0x1f001f, ARENA_IOVA, ARENA_IOVA + 0x10000},
		{"MPS one above MPSMAX", CC_ENTRY_SIZES | 5 << 7, 0x1f001f, ARENA_IOVA, ARENA_IOVA + 0x10000},
		{"CSS reserved", CC_ENTRY_SIZES | 3 << 4, 0x1f001f, ARENA_IOVA, ARENA_IOVA + 0x10000},
		{"AMS reserved", CC_ENTRY_SIZES | 5 << 11, 0x1f001f, ARENA_IOVA, ARENA_IOVA + 0x10000},
		{"AQA 0", CC_ENTRY_SIZES, 0, ARENA_IOVA, ARENA_IOVA + 0x10000},
		{"ASQS 0", CC_ENTRY_SIZES, 0x1f0000, ARENA_IOVA, ARENA_IOVA + 0x10000},
		{"reserved bits of AQA", CC_ENTRY_SIZES, 0xf01ff01f, ARENA_IOVA, ARENA_IOVA + 0x10000},
		{"queues at the end of the world", CC_ENTRY_SIZES, 0xfff0fff, ~0ull, ~0ull},
		{"queues nowhere", CC_ENTRY_SIZES, 0x1f001f, NOWHERE, NOWHERE},
		{"queues unaligned", CC_ENTRY_SIZES, 0x1f001f, ARENA_IOVA + 8, ARENA_IOVA + 0x10008},
		{"all bits of CC", ~0u & ~(3u << 14), 0x1f001f, ARENA_IOVA, ARENA_IOVA + 0x10000},
	};
	struct nvme d;

	if (!nvme_open_only(&d, t, 0))
		return;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]) && !t->failed; i++) {
		nvme_set(&d, REG_AQA, cases[i].aqa);
		nvme_set64(&d, REG_ASQ, cases[i].asq);
		nvme_set64(&d, REG_ACQ, cases[i].acq);
		nvme_set(&d, REG_CC, cases[i].cc | CC_EN);
		for (unsigned k = 0; k < 200 && !(nvme_get(&d, REG_CSTS) & (CSTS_RDY | CSTS_CFS)); k++)
			rest(1);
		nvme_ring_sq(&d, 0, 1);
		rest(2);
		/* What every driver does: it looks at RDY alone. */
		nvme_set(&d, REG_CC, 0);
		SPEC_TRUE(t, "3.1.6 RDY", nvme_status(&d, CSTS_RDY, 0, 20000));
		if (nvme_get(&d, REG_CSTS) & CSTS_CFS)
			nvme_status(&d, CSTS_CFS, 0, 20000);
		SPEC(t, "7.6.1", nvme_enable(&d), 0);
		if (!works(&d) || !SPEC(t, "7.3.2", nvme_disable(&d), 0))
			test_fail(t, "after it was enabled with %s", cases[i].what);
	}
	nvme_close(&d);
}

static void by_enable(struct nvme *d)
{
	SPEC(d->t, "7.3.2", nvme_disable(d), 0);
}

static void by_vfio(struct nvme *d)
{
	SAME(d->t, door_ioctl(d->rig.device, VFIO_DEVICE_RESET, NULL), 0);
}

static void by_function_level_reset(struct nvme *d)
{
	const unsigned at = capability(&d->rig, 0x10);

	config_write(&d->rig, at + 8, 2, config_read(&d->rig, at + 8, 2) | 1 << 15);
	rest(100); /* PCI Express: what the driver has to wait */
}

static void by_normal_shutdown(struct nvme *d)
{
	nvme_set(d, REG_CC, nvme_get(d, REG_CC) | CC_SHN_NORMAL);
	SPEC_TRUE(d->t, "3.1.6 SHST", nvme_status(d, CSTS_SHST, CSTS_SHUT_DOWN, 20000));
	nvme_set(d, REG_CC, 0);
	SPEC_TRUE(d->t, "3.1.6 RDY, SHST", nvme_status(d, CSTS_RDY | CSTS_SHST, 0, 20000));
}

static void by_abrupt_shutdown(struct nvme *d)
{
	nvme_set(d, REG_CC, nvme_get(d, REG_CC) | CC_SHN_ABRUPT);
	SPEC_TRUE(d->t, "3.1.6 SHST", nvme_status(d, CSTS_SHST, CSTS_SHUT_DOWN, 20000));
	nvme_set(d, REG_CC, 0);
	SPEC_TRUE(d->t, "3.1.6 RDY, SHST", nvme_status(d, CSTS_RDY | CSTS_SHST, 0, 20000));
}

/* Commands in flight when it comes, twelve times: nothing is written afterwards, and all works again. */
static void resets(struct test *t, void (*how)(struct nvme *), bool forgets_registers)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct pair p = {0};
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	pair_create(&d, &p, 1, 128, 128, 0);
	SAME(t, irq_set(&d.rig, IRQ_MSIX, 0, fd), 0);
	data = nvme_memory(&d, (size_t)IN_FLIGHT * DATA);
	for (unsigned round = 0; round < 12 && !t->failed; round++) {
		uint64_t *lists = nvme_memory(&d, PAGE);

		if (round)
			SPEC(t, "5.3", pair_create(&d, &p, 1, 128, 128, 0), OK);
		for (unsigned i = 0; i < IN_FLIGHT; i++) {
			struct command c = nvme_transfer(&d, i % 4 ? NVM_READ : NVM_WRITE, 1024 + i * (DATA / BLOCK),
							 DATA / BLOCK);

			command_point(&d, &c, data + (size_t)i * DATA, DATA, lists + i * 4);
			pair_put(&p, &c);
		}
		nvme_ring_sq(&d, 1, p.tail);
		for (unsigned i = 0; i < round * 5 && !pair_has(&p); i++)
			sched_yield();
		how(&d);
		SPEC(t, "7.3.2, 3.1.6", nvme_get(&d, REG_CSTS) & 0xf, 0);
		if (forgets_registers)
			SPEC(t, "7.3.2, 3.1.5", nvme_get(&d, REG_CC), 0);
		memset(data, 0xa5, (size_t)IN_FLIGHT * DATA);
		memset(p.cq, 0xa5, 128 * sizeof(*p.cq));
		irq_wait(fd, 0);
		rest(10);
		SPEC(t, "doc, reset: no interrupt afterwards", irq_wait(fd, 0), 0);
		SPEC_TRUE(t, "doc, reset: no DMA afterwards", bytes_are(p.cq, 128 * sizeof(*p.cq), 0xa5));
		config_write(&d.rig, 4, 2, 6);
		SPEC(t, "7.6.1", nvme_enable(&d), 0);
		works(&d);
		SPEC_TRUE(t, "doc, reset: no DMA afterwards", bytes_are(p.cq, 128 * sizeof(*p.cq), 0xa5));
		SPEC_TRUE(t, "doc, reset: no DMA afterwards", bytes_are(data, (size_t)IN_FLIGHT * DATA, 0xa5));
		d.used -= PAGE;
	}
	nvme_close(&d);
}

static void reset_by_enable(struct test *t)
{
	resets(t, by_enable, false);
}

static void reset_by_vfio(struct test *t)
{
	resets(t, by_vfio, true);
}

static void reset_by_function_level_reset(struct test *t)
{
	struct nvme d;
	unsigned at;
	bool offered;

	if (!nvme_open_only(&d, t, 0))
		return;
	at = capability(&d.rig, 0x10);
	offered = at && config_read(&d.rig, at + 4, 4) >> 28 & 1;
	nvme_close(&d);
	if (offered)
		resets(t, by_function_level_reset, true);
	else
		test_skip(t, "the device has no function level reset");
}

static void normal_shutdown(struct test *t)
{
	resets(t, by_normal_shutdown, false);
}

static void abrupt_shutdown(struct test *t)
{
	resets(t, by_abrupt_shutdown, false);
}

/* 3.1.6 SHST, 7.6.2: it stays shut down until a reset, and all that was written is there then. */
static void written_before_a_shutdown(struct test *t)
{
	struct pair p = {0};
	struct nvme d;
	uint8_t *data;

	if (!nvme_open(&d, t, 0))
		return;
	data = nvme_memory(&d, 1 << 16);
	pair_create(&d, &p, 1, 16, 16, -1);
	for (unsigned i = 0; i < 8; i++) {
		struct command event = {.opcode = ADMIN_ASYNC_EVENT};

		if (i == 0)
			pair_give(&d, &d.admin, &event); /* 5.2: has no completion when it is shut down */
		pattern_fill(data, 1 << 16, i);
		SPEC(t, "6.15", nvme_move(&d, &p, NVM_WRITE, 4096 + i * 128, data, 1 << 16, BLOCK), OK);
	}
	nvme_set(&d, REG_CC, nvme_get(&d, REG_CC) | CC_SHN_NORMAL);
	SPEC_TRUE(t, "3.1.6 SHST", nvme_status(&d, CSTS_SHST, CSTS_SHUT_DOWN, 20000));
	rest(5);
	SPEC(t, "3.1.6 SHST", nvme_get(&d, REG_CSTS) & CSTS_SHST, CSTS_SHUT_DOWN);
	SPEC_TRUE(t, "7.6.2", !pair_has(&d.admin));
	SPEC(t, "7.3.2", nvme_disable(&d), 0);
	SPEC(t, "3.1.6 SHST", nvme_get(&d, REG_CSTS) & CSTS_SHST, 0);
	SPEC(t, "7.6.1", nvme_enable(&d), 0);
	pair_create(&d, &p, 1, 16, 16, -1);
	for (unsigned i = 0; i < 8; i++) {
		SPEC(t, "6.9", nvme_move(&d, &p, NVM_READ, 4096 + i * 128, data, 1 << 16, BLOCK), OK);
		SPEC_TRUE(t, "7.6.2", pattern_is(data, 1 << 16, i));
	}
	nvme_close(&d);
}

/* doc, errors: CSTS.CFS, and a reset. which: of the admin queues, then of a pair for I/O. */
static void queues_that_are_not_mapped(struct test *t)
{
	struct nvme d;

	if (!nvme_open_only(&d, t, 0))
		return;
	for (unsigned which = 0; which < 4 && !t->failed; which++) {
		struct command identify = {.opcode = ADMIN_IDENTIFY, .cdw10 = 1, .prp1 = ARENA_IOVA + (1 << 20)};
		struct pair p = {0};

		SPEC(t, "7.6.1", nvme_enable(&d), 0);
		if (which < 2) {
			SPEC(t, "7.3.2", nvme_disable(&d), 0);
			nvme_set64(&d, which ? REG_ACQ : REG_ASQ, NOWHERE);
			nvme_start(&d, CC_ENTRY_SIZES); /* it may fail now, or when it looks */
			pair_give(&d, &d.admin, &identify);
		} else {
			struct command create = {.opcode = which == 2 ? ADMIN_CREATE_SQ : ADMIN_CREATE_CQ,
						 .cdw10 = 3 << 16 | 2,
						 .cdw11 = which == 2 ? 1 << 16 | 1 : 1,
						 .prp1 = NOWHERE};

			SPEC(t, "5.3", pair_create(&d, &p, 1, 4, 4, -1), OK);
			SPEC(t, "5.3, 5.4", nvme_admin(&d, &create), OK);
			if (which == 3) {
				p.id = p.cq_id = 2;
				SPEC(t, "5.4", sq_create(&d, &p), OK);
			}
			nvme_ring_sq(&d, 2, 1);
		}
		SPEC_TRUE(t, "doc, errors; 3.1.6 CFS", nvme_status(&d, CSTS_CFS, CSTS_CFS, 20000));
		SPEC(t, "7.3.2", nvme_disable(&d), 0);
		SPEC(t, "7.6.1", nvme_enable(&d), 0);
		works(&d);
		SPEC(t, "7.3.2", nvme_disable(&d), 0);
	}
	nvme_close(&d);
}

/* A driver that waits for nothing, and then for what it has to. */
static void enabled_hastily(struct test *t)
{
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	for (unsigned round = 0; round < 20 && !t->failed; round++) {
		for (unsigned i = 0; i < 50; i++) {
			nvme_set(&d, REG_CC, i % 2 ? CC_ENTRY_SIZES : CC_ENTRY_SIZES | CC_EN);
			if (round % 4 == 0)
				nvme_ring_sq(&d, 0, i % 30 + 1);
			if (i % 7 == 0)
				sched_yield();
		}
		rest(round % 3);
		SPEC(t, "3.1.6 RDY", nvme_disable(&d), 0);
		SPEC(t, "7.6.1", nvme_enable(&d), 0);
		works(&d);
	}
	nvme_close(&d);
}

/* The same device, opened by one after the other. */
static void opened_again(struct test *t)
{
	for (unsigned i = 0; i < 5 && !t->failed; i++) {
		struct nvme d;

		if (!nvme_open_only(&d, t, 0))
			return;
		SPEC(t, "3.1.5", nvme_get(&d, REG_CC), 0);
		SPEC(t, "3.1.6", nvme_get(&d, REG_CSTS), 0);
		SPEC(t, "7.6.1", nvme_enable(&d), 0);
		works(&d);
		nvme_close(&d);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"registers", registers},
		{"registers_that_are_read_only", registers_that_are_read_only},
		{"configuration", configuration},
		{"enabled_often", enabled_often},
		{"pages_of_each_size", pages_of_each_size},
		{"enabled_badly", enabled_badly},
		{"reset_by_enable", reset_by_enable},
		{"reset_by_vfio", reset_by_vfio},
		{"reset_by_function_level_reset", reset_by_function_level_reset},
		{"normal_shutdown", normal_shutdown},
		{"abrupt_shutdown", abrupt_shutdown},
		{"written_before_a_shutdown", written_before_a_shutdown},
		{"queues_that_are_not_mapped", queues_that_are_not_mapped},
		{"enabled_hastily", enabled_hastily},
		{"opened_again", opened_again},
	};

	return TEST_MAIN(argc, argv, cases);
}
