/* SPDX-License-Identifier: BSD-3-Clause */
/* Admin commands: Identify, features, log pages, Abort, asynchronous events, and those that are not there. */
#include "nvme_spec.h"

#include <stdio.h>
#include <time.h>

enum { BLOCK = 512, SETTLE_MS = 40 };

static void rest(unsigned ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000l};

	nanosleep(&t, NULL);
}

/* 1.5: ASCII, filled with spaces. */
static bool is_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	return p[0] != ' ';
}

/* 5.15.2.2, figure 251 */
static void identify_controller(struct test *t)
{
	struct nvme d;
	uint8_t *c;

	if (!nvme_open(&d, t, 0))
		return;
	c = nvme_memory(&d, PAGE);
	memset(c, 0xee, PAGE);
	SPEC(t, "5.15", nvme_identify(&d, 1, 0, c), OK);
	SPEC(t, "figure 251 VID", get16(c), 0x494d);
	SPEC(t, "figure 251 SSVID", get16(c + 2), 0x494d);
	SPEC_TRUE(t, "figure 251 SN", is_text(c + 4, 20));
	SPEC_TRUE(t, "figure 251 MN", is_text(c + 24, 40));
	SPEC_TRUE(t, "figure 251 FR", is_text(c + 64, 8));
	SPEC(t, "doc, mdts: 128K; figure 251 MDTS", c[77], 5);
	SPEC(t, "figure 251 VER", get32(c + 80), 0x10400);
	SPEC(t, "figure 251 CNTRLTYPE: one for I/O, or not told", c[111] <= 1, 1);
	SPEC(t, "doc, what is not there; figure 251 OACS", get16(c + 256), 0);
	SPEC(t, "figure 251 NPSS", c[263] <= 31, 1);
	SPEC(t, "doc, log pages: 64; figure 251 ELPE", c[262], 63);
	SPEC_TRUE(t, "figure 251 FRMW: a slot", (c[260] >> 1 & 7) >= 1);
	SPEC_TRUE(t, "figure 251 WCTEMP, CCTEMP", get16(c + 266) <= get16(c + 268));
	SPEC(t, "figure 251 SANICAP", get32(c + 328), 0);
	SPEC(t, "figure 251 SQES", c[512], 0x66);
	SPEC(t, "figure 251 CQES", c[513], 0x44);
	SPEC(t, "doc, one namespace; figure 251 NN", get32(c + 516), 1);
	SPEC(t, "doc, commands for I/O; figure 251 ONCS: Compare, DSM, Write Zeroes, Verify", get16(c + 520) & 0x8d,
	     0x8d);
	SPEC(t, "doc, not there; figure 251 ONCS: Write Uncorrectable, reservations, timestamp", get16(c + 520) & 0x62,
	     0);
	SPEC(t, "doc, no fused commands; figure 251 FUSES", get16(c + 522), 0);
	SPEC(t, "doc, volatile write cache; figure 251 VWC", c[525] & 1, 1);
	SPEC(t, "doc, atomicity: a block; figure 251 AWUN, AWUPF", get32(c + 526), 0);
	SPEC(t, "doc, SGLs; figure 251 SGLS: at any address", get32(c + 536) & 3, 1);
	SPEC(t, "doc, SGLs; figure 251 SGLS: bit bucket", get32(c + 536) >> 16 & 1, 1);
	SPEC(t, "doc, SGLs; figure 251 SGLS: longer than the data", get32(c + 536) >> 18 & 1, 1);
	SPEC(t, "figure 251 SGLS: no MPTR, no offsets", get32(c + 536) >> 19 & 3, 0);
	SPEC_TRUE(t, "7.9 figure 251 SUBNQN", memcmp(c + 768, "nqn.", 4) == 0 && memchr(c + 768, 0, 224) != NULL);
	SPEC_TRUE(t, "figure 252: power state 0 can be had", !(c[2048 + 3] & 2));
	nvme_close(&d);
}

/* 5.15.2.1, figure 249 */
static void identify_namespace(struct test *t)
{
	struct nvme d;
	uint8_t *n;

	if (!nvme_open(&d, t, 0))
		return;
	n = nvme_memory(&d, PAGE);
	SPEC(t, "5.15", nvme_identify(&d, 0, 1, n), OK);
	SPEC_TRUE(t, "figure 249 NSZE", get64(n) == (32u << 20) / BLOCK);
	SPEC_TRUE(t, "figure 249 NCAP", get64(n + 8) == get64(n));
	SPEC_TRUE(t, "figure 249 NUSE", get64(n + 16) <= get64(n + 8));
	SPEC(t, "figure 249 FLBAS: the format is one of those", (n[26] & 0xf) <= n[25], 1);
	SPEC(t, "doc, block: 512; figure 249 LBADS", n[128 + 4 * (n[26] & 0xf) + 2], 9);
	SPEC(t, "doc, no metadata; figure 249 MS", get16(n + 128 + 4 * (n[26] & 0xf)), 0);
	SPEC(t, "doc, no metadata; figure 249 MC, DPC, DPS", n[27] | n[28] | n[29], 0);
	SPEC(t, "doc, no reservations; figure 249 RESCAP", n[31], 0);
	SPEC(t, "doc, reads as zeroes; figure 249 DLFEAT", n[33] & 7, 1);
	SPEC(t, "doc, Write Zeroes with DEAC; figure 249 DLFEAT", n[33] >> 3 & 1, 1);
	SPEC(t, "figure 249 NSATTR", n[99] & 1, 0);
	nvme_close(&d);
}

/* 5.15.1, 6.1.4, 6.1.6 */
static void identify_what_is_not(struct test *t)
{
	static const unsigned reserved[] = {0x04, 0x05, 0x06, 0x07, 0x0f, 0x10, 0x11, 0x12,
					    0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x80, 0xff};
	struct nvme d;
	uint8_t *page;

	if (!nvme_open(&d, t, 0))
		return;
	page = nvme_memory(&d, PAGE);
	for (unsigned i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		SPEC(t, "5.15.1: CNS that is not there", nvme_identify(&d, reserved[i], 1, page), INVALID_FIELD);
	SPEC(t, "5.15.2.1: NSID 0", nvme_identify(&d, 0, 0, page), INVALID_NAMESPACE);
	SPEC(t, "5.15.2.1: NSID above NN", nvme_identify(&d, 0, 2, page), INVALID_NAMESPACE);
	SPEC(t, "5.15.2.1: all, without namespace management", nvme_identify(&d, 0, ~0u, page), INVALID_NAMESPACE);
	SPEC(t, "5.15.2.4: NSID 0", nvme_identify(&d, 3, 0, page), INVALID_NAMESPACE);
	SPEC(t, "5.15.2.4: NSID above NN", nvme_identify(&d, 3, 2, page), INVALID_NAMESPACE);
	SPEC_OR(t, "5.15.2.4: all", nvme_identify(&d, 3, ~0u, page), INVALID_NAMESPACE, INVALID_FIELD);
	SPEC(t, "5.15.2.3: FFFFFFFEh", nvme_identify(&d, 2, ~0u - 1, page), INVALID_NAMESPACE);
	SPEC(t, "5.15.2.3: FFFFFFFFh", nvme_identify(&d, 2, ~0u, page), INVALID_NAMESPACE);
	nvme_close(&d);
}

/* 5.15.2.3, 5.15.2.4 */
static void identify_lists(struct test *t)
{
	uint8_t *page, *n, *at;
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	page = nvme_memory(&d, PAGE);
	n = nvme_memory(&d, PAGE);
	memset(page, 0xee, PAGE);
	SPEC(t, "5.15.2.3", nvme_identify(&d, 2, 0, page), OK);
	SPEC(t, "5.15.2.3", get32(page), 1);
	SPEC_TRUE(t, "5.15.2.3", bytes_are(page + 4, PAGE - 4, 0));
	memset(page, 0xee, PAGE);
	SPEC(t, "5.15.2.3: above NSID", nvme_identify(&d, 2, 1, page), OK);
	SPEC_TRUE(t, "5.15.2.3", bytes_are(page, PAGE, 0));
	memset(page, 0xee, PAGE);
	SPEC(t, "5.15.2.4", nvme_identify(&d, 3, 1, page), OK);
	SPEC(t, "5.15", nvme_identify(&d, 0, 1, n), OK);
	SPEC_TRUE(t, "5.15.2.4: there is one", page[0] != 0);
	for (at = page; at < page + PAGE - 4 && at[0]; at += 4 + at[1]) {
		static const uint8_t length[4] = {0, 8, 16, 16};

		if (!SPEC_TRUE(t, "figure 253 NIDT", at[0] <= 3) || !SPEC(t, "figure 253 NIDL", at[1], length[at[0]]))
			break;
		if (at[0] == 1)
			SPEC_TRUE(t, "figure 253, 249: EUI64", memcmp(at + 4, n + 120, 8) == 0);
		if (at[0] == 2)
			SPEC_TRUE(t, "figure 253, 249: NGUID", memcmp(at + 4, n + 104, 16) == 0);
		SPEC_TRUE(t, "figure 253 NID", !bytes_are(at + 4, at[1], 0));
	}
	nvme_close(&d);
}

/* 4.3, 4.4: where an admin command's data go. */
static void identify_to_where(struct test *t)
{
	struct nvme d;
	uint8_t *page, *plain;

	if (!nvme_open(&d, t, 0))
		return;
	plain = nvme_memory(&d, PAGE);
	page = nvme_memory(&d, 2 * PAGE);
	SPEC(t, "5.15", nvme_identify(&d, 1, 0, plain), OK);
	for (unsigned offset = 0; offset < PAGE; offset += offset < 64 ? 4 : 764) {
		struct command c = {.opcode = ADMIN_IDENTIFY, .cdw10 = 1};

		memset(page, 0x11, 2 * PAGE);
		command_point(&d, &c, page + offset, PAGE, NULL);
		SPEC(t, "4.3", nvme_admin(&d, &c), OK);
		SPEC_TRUE(t, "4.3", memcmp(page + offset, plain, PAGE) == 0);
		SPEC_TRUE(t, "4.3: no byte before", bytes_are(page, offset, 0x11));
		SPEC_TRUE(t, "4.3: no byte after", bytes_are(page + offset + PAGE, PAGE - offset, 0x11));
	}
	{
		struct command c = {.opcode = ADMIN_IDENTIFY, .cdw10 = 1, .prp1 = NOWHERE};

		SPEC(t, "doc, errors: not mapped", nvme_admin(&d, &c), DATA_TRANSFER_ERROR);
		command_point(&d, &c, page + 512, PAGE, NULL);
		c.prp2 = NOWHERE;
		SPEC(t, "doc, errors: not mapped", nvme_admin(&d, &c), DATA_TRANSFER_ERROR);
		c.prp2 = nvme_iova(&d, page + PAGE) + 8;
		SPEC_OR(t, "4.3: PRP2 within a page", nvme_admin(&d, &c), PRP_OFFSET_INVALID, INVALID_FIELD);
		command_point(&d, &c, page, PAGE, NULL);
		for (unsigned psdt = 1; psdt < 4; psdt++) {
			c.flags = (uint8_t)(psdt << 6);
			SPEC(t, "4.2 PSDT: PRPs, for admin commands", nvme_admin(&d, &c), INVALID_FIELD);
		}
		for (unsigned fuse = 1; fuse < 4; fuse++) {
			c.flags = (uint8_t)fuse;
			SPEC(t, "6.2 FUSE: not supported", nvme_admin(&d, &c), INVALID_FIELD);
		}
	}
	nvme_close(&d);
}

struct feature {
	const char *section;
	unsigned id;
	uint32_t select; /* what is in Dword 11 when it is asked for */
	uint32_t value, mask;
};

/* What docs/devices/nvme.md lists. */
static const struct feature FEATURES[] = {
	{"5.21.1.1 arbitration", 0x01, 0, 0x03020104, 0xffffff07},
	{"5.21.1.2 power management", 0x02, 0, 0, 0x1f},
	{"5.21.1.4 temperature threshold, over", 0x04, 0, 350, 0xffff},
	{"5.21.1.4 temperature threshold, under", 0x04, 1 << 20, 1 << 20 | 250, 0xffff},
	{"5.21.1.5 error recovery", 0x05, 0, 0x1234, 0xffff},
	{"5.21.1.6 volatile write cache", 0x06, 0, 0, 1},
	{"5.21.1.6 volatile write cache", 0x06, 0, 1, 1},
	{"5.21.1.8 interrupt coalescing", 0x08, 0, 0x0a05, 0xffff},
	{"5.21.1.9 interrupt vector", 0x09, 3, 1 << 16 | 3, 1 << 16 | 0xffff},
	{"5.21.1.10 write atomicity", 0x0a, 0, 1, 1},
	{"5.21.1.11 asynchronous events", 0x0b, 0, 0x1f, 0x1f},
};
enum { FEATURE_COUNT = sizeof(FEATURES) / sizeof(FEATURES[0]) };

/* 5.21.1.5: error recovery is of a namespace, all else of the controller. */
static long set_feature(struct nvme *d, const struct feature *f, uint32_t value, bool save)
{
	struct command c = {.opcode = ADMIN_SET_FEATURES, .cdw10 = f->id | (uint32_t)save << 31, .cdw11 = value};

	if (f->id == 0x05)
		c.nsid = 1;
	return nvme_admin(d, &c);
}

static long get_feature(struct nvme *d, const struct feature *f, unsigned which)
{
	struct command c = {.opcode = ADMIN_GET_FEATURES, .cdw10 = f->id | which << 8, .cdw11 = f->select};

	if (f->id == 0x05)
		c.nsid = 1;
	return nvme_admin(d, &c);
}

/* 5.14, 5.21, 7.8: set, got, not saved, and what it was after a reset. */
static void features(struct test *t)
{
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	for (unsigned i = 0; i < FEATURE_COUNT; i++) {
		const struct feature *f = &FEATURES[i];
		uint32_t first;

		SPEC(t, f->section, get_feature(&d, f, 0), OK);
		first = d.result & f->mask;
		SPEC(t, f->section, set_feature(&d, f, f->value, false), OK);
		SPEC(t, f->section, get_feature(&d, f, 0), OK);
		SPEC(t, f->section, d.result & f->mask, (long)(f->value & f->mask));
		SPEC(t, "doc, none can be saved; 5.21 SV", set_feature(&d, f, f->value, true), NOT_SAVEABLE);
		SPEC(t, "7.3.2", nvme_disable(&d), 0);
		SPEC(t, "7.6.1", nvme_enable(&d), 0);
		SPEC(t, f->section, get_feature(&d, f, 0), OK);
		SPEC(t, "7.8: what it was, after a reset", d.result & f->mask, (long)first);
	}
	nvme_close(&d);
}

/* 5.14.1, figure 188 */
static void features_selected(struct test *t)
{
	struct nvme d;
	uint8_t *c;

	if (!nvme_open(&d, t, 0))
		return;
	c = nvme_memory(&d, PAGE);
	SPEC(t, "5.15", nvme_identify(&d, 1, 0, c), OK);
	if (!(get16(c + 520) >> 4 & 1)) {
		test_skip(t, "the controller has no Select field (ONCS)");
		return;
	}
	for (unsigned i = 0; i < FEATURE_COUNT; i++) {
		const struct feature *f = &FEATURES[i];
		uint32_t first;

		SPEC(t, f->section, get_feature(&d, f, 0), OK);
		first = d.result & f->mask;
		SPEC(t, f->section, set_feature(&d, f, f->value, false), OK);
		SPEC(t, "5.14.1: default", get_feature(&d, f, 1), OK);
		if (i == 0)
			SPEC(t, "5.14.1: default", d.result & f->mask, (long)first);
		SPEC(t, "5.14.1: saved: is the default", get_feature(&d, f, 2), OK);
		SPEC(t, "5.14.1: capabilities", get_feature(&d, f, 3), OK);
		SPEC(t, "doc, none can be saved; figure 189", d.result & 1, 0);
		SPEC(t, "figure 189: of a namespace", d.result >> 1 & 1, f->id == 5);
		SPEC(t, "figure 189: changeable", d.result >> 2 & 1, 1);
		SPEC(t, "5.14.1: SEL reserved", get_feature(&d, f, 4), INVALID_FIELD);
	}
	nvme_close(&d);
}

/* 5.21.1, figure 272 */
static void features_that_are_not(struct test *t)
{
	static const unsigned ids[] = {0x00, 0x03, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
				       0x17, 0x18, 0x19, 0x77, 0x78, 0x7f, 0x80, 0x81, 0x82, 0x83, 0x84, 0xc0, 0xff};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		SPEC(t, "5.14: FID that is not there", nvme_get_feature(&d, ids[i], 0), INVALID_FIELD);
		SPEC(t, "5.21: FID that is not there", nvme_set_feature(&d, ids[i], 0), INVALID_FIELD);
	}
	SPEC(t, "5.21.1.2: PS above NPSS", nvme_set_feature(&d, 0x02, 31), INVALID_FIELD);
	SPEC(t, "5.21.1.9: IV above those there are", nvme_set_feature(&d, 0x09, 65), INVALID_FIELD);
	SPEC(t, "5.21.1.9: IV above those there are", nvme_get_feature(&d, 0x09, 0xffff), INVALID_FIELD);
	SPEC(t, "5.21.1.4: THSEL reserved", nvme_set_feature(&d, 0x04, 2 << 20 | 300), INVALID_FIELD);
	SPEC(t, "5.21.1.4: THSEL reserved", nvme_get_feature(&d, 0x04, 3 << 20), INVALID_FIELD);
	{
		struct command c = {.opcode = ADMIN_SET_FEATURES, .nsid = 1, .cdw10 = 0x01, .cdw11 = 7};

		SPEC(t, "5.21: a namespace, of what is the controller's", nvme_admin(&d, &c), NOT_NAMESPACE_SPECIFIC);
		c.cdw10 = 0x05;
		c.nsid = 2;
		SPEC(t, "6.1.4: NSID above NN", nvme_admin(&d, &c), INVALID_NAMESPACE);
		c.opcode = ADMIN_GET_FEATURES;
		SPEC(t, "6.1.4: NSID above NN", nvme_admin(&d, &c), INVALID_NAMESPACE);
		c.nsid = ~0u;
		SPEC_OR(t, "5.14: of all namespaces", nvme_admin(&d, &c), INVALID_NAMESPACE, INVALID_FIELD);
		c.opcode = ADMIN_SET_FEATURES;
		c.cdw11 = 0;
		SPEC(t, "5.21: for all namespaces", nvme_admin(&d, &c), OK);
	}
	nvme_close(&d);
}

/* 5.14.1.2 */
static void smart(struct nvme *d, struct test *t)
{
	uint8_t *before = nvme_memory(d, PAGE), *after = nvme_memory(d, PAGE), *data = nvme_memory(d, 1 << 20);
	struct pair p = {0};

	SPEC(t, "5.14.1.2", nvme_log(d, 2, 0, before, 512, false), OK);
	SPEC(t, "figure 196: no warnings", before[0], 0);
	SPEC_TRUE(t, "figure 196: temperature in Kelvin", get16(before + 1) > 250 && get16(before + 1) < 350);
	SPEC_TRUE(t, "figure 196: spare", before[3] <= 100 && before[4] <= 100 && before[3] >= before[4]);
	SPEC(t, "5.3", pair_create(d, &p, 1, 16, 16, -1), OK);
	for (unsigned i = 0; i < 10; i++) {
		SPEC(t, "6.15", nvme_move(d, &p, NVM_WRITE, 2000, data, 128 << 10, BLOCK), OK);
		SPEC(t, "6.9", nvme_move(d, &p, NVM_READ, 2000, data, 128 << 10, BLOCK), OK);
		SPEC(t, "6.9", nvme_move(d, &p, NVM_READ, 2000, data, 128 << 10, BLOCK), OK);
	}
	SPEC(t, "5.14.1.2", nvme_log(d, 2, 0, after, 512, false), OK);
	/* In units of 1000 blocks of 512 bytes, rounded up: 2560 and 5120 of them. */
	SPEC_TRUE(t, "figure 196: data units read",
		  get64(after + 32) - get64(before + 32) >= 5 && get64(after + 32) - get64(before + 32) <= 6);
	SPEC_TRUE(t, "figure 196: data units written",
		  get64(after + 48) - get64(before + 48) >= 2 && get64(after + 48) - get64(before + 48) <= 3);
	SPEC(t, "figure 196: read commands", get64(after + 64) - get64(before + 64), 20);
	SPEC(t, "figure 196: write commands", get64(after + 80) - get64(before + 80), 10);
}

/* 5.14 (Get Log Page), figures 191 to 198 */
static void logs(struct test *t)
{
	struct nvme d;
	uint8_t *log, *again, *c;

	if (!nvme_open(&d, t, 0))
		return;
	log = nvme_memory(&d, 2 * PAGE);
	again = nvme_memory(&d, 2 * PAGE);
	c = nvme_memory(&d, PAGE);
	smart(&d, t);
	memset(log, 0xee, PAGE);
	SPEC(t, "5.14.1.1", nvme_log(&d, 1, 0, log, PAGE, true), OK);
	SPEC(t, "5.14.1.3", nvme_log(&d, 3, 0, log, 512, false), OK);
	SPEC(t, "5.15", nvme_identify(&d, 1, 0, c), OK);
	SPEC(t, "figure 199 AFI: slot 1", log[0] & 7, 1);
	SPEC_TRUE(t, "figure 199 FRS1", memcmp(log + 8, c + 64, 8) == 0);
	memset(log, 0xee, PAGE);
	SPEC(t, "5.14.1.4", nvme_log(&d, 4, 0, log, PAGE, false), OK);
	SPEC_TRUE(t, "5.14.1.4: nothing has changed", bytes_are(log, PAGE, 0));
	for (unsigned id = 0; id < 256; id++)
		if (id < 1 || id > 4)
			SPEC(t, "5.14: LID that is not there", nvme_log(&d, id, 0, log, 512, false), LOG_PAGE_INVALID);

	/* NUMD and offsets */
	memset(log, 0xee, PAGE);
	SPEC(t, "5.14 NUMD: of one dword", nvme_log(&d, 3, 0, log, 4, false), OK);
	SPEC(t, "5.14 NUMD: of one dword", log[0] & 7, 1);
	SPEC_TRUE(t, "5.14 NUMD: no byte after", bytes_are(log + 4, PAGE - 4, 0xee));
	memset(log, 0xee, 2 * PAGE);
	SPEC(t, "5.14 NUMD: longer than the log", nvme_log(&d, 3, 0, log, PAGE + 1024, false), OK);
	SPEC_TRUE(t, "5.14 NUMD: no byte after", bytes_are(log + PAGE + 1024, PAGE - 1024, 0xee));
	SPEC_TRUE(t, "figure 199 FRS1", memcmp(log + 8, c + 64, 8) == 0);
	if (c[261] >> 2 & 1) {
		SPEC(t, "5.14 LPO", nvme_log(&d, 3, 8, again, 8, false), OK);
		SPEC_TRUE(t, "5.14 LPO", memcmp(again, c + 64, 8) == 0);
		SPEC(t, "5.14 LPO: beyond the log", nvme_log(&d, 3, 1 << 20, again, 8, false), INVALID_FIELD);
		SPEC(t, "5.14 LPO: beyond the log", nvme_log(&d, 2, 516, again, 8, false), INVALID_FIELD);
		SPEC(t, "5.14 LPO: beyond 64 bits", nvme_log(&d, 2, ~3ull, again, 8, false), INVALID_FIELD);
		SPEC(t, "5.14 LPO: over the end", nvme_log(&d, 2, 508, again, 512, false), OK);
	}
	{
		struct command get = {
			.opcode = ADMIN_GET_LOG_PAGE, .nsid = 1, .prp1 = nvme_iova(&d, log), .cdw10 = 127 << 16 | 2};

		SPEC(t, "5.14: of a namespace, unless LPA has that", nvme_admin(&d, &get),
		     c[261] & 1 ? OK : INVALID_FIELD);
		get.nsid = 2;
		SPEC_OR(t, "6.1.4: NSID above NN", nvme_admin(&d, &get), INVALID_NAMESPACE, INVALID_FIELD);
		get.nsid = 0;
		SPEC(t, "5.14.1.2: NSID 0", nvme_admin(&d, &get), OK);
		get.prp1 = NOWHERE;
		SPEC(t, "doc, errors: not mapped", nvme_admin(&d, &get), DATA_TRANSFER_ERROR);
	}
	nvme_close(&d);
}

/* 5.14.1.1: what a command that failed leaves, the newest first, where its completion says that there is more. */
static void log_of_errors(struct test *t)
{
	struct command read;
	struct pair p = {0};
	struct completion c;
	uint64_t newest, before;
	struct nvme d;
	uint8_t *log;

	if (!nvme_open(&d, t, 0))
		return;
	log = nvme_memory(&d, PAGE);
	SPEC(t, "5.3", pair_create(&d, &p, 3, 16, 16, -1), OK);
	for (unsigned round = 0; round < 70 && !t->failed; round++) {
		SPEC(t, "5.14.1.1", nvme_log(&d, 1, 0, log, PAGE, true), OK);
		before = get64(log);
		read = nvme_transfer(&d, NVM_READ, 0x123 + round, 1);
		read.prp1 = NOWHERE;
		pair_give(&d, &p, &read);
		SPEC(t, "6.9", pair_wait(&d, &p, &c), 0);
		SPEC(t, "doc, errors: not mapped", completion_status(&c), DATA_TRANSFER_ERROR);
		SPEC(t, "5.14.1.1", nvme_log(&d, 1, 0, log, PAGE, false), OK);
		if (!(c.status >> 14 & 1) && get64(log) == before)
			continue;
		SPEC(t, "figure 195: error count", get64(log) - before, 1);
		SPEC(t, "figure 195: SQID", get16(log + 8), 3);
		SPEC(t, "figure 195: CID", get16(log + 10), c.id);
		SPEC(t, "figure 195: status", get16(log + 12) >> 1 & 0x7ff, DATA_TRANSFER_ERROR);
		SPEC(t, "figure 195: LBA", get64(log + 16), 0x123 + round);
		SPEC(t, "figure 195: NSID", get32(log + 24), 1);
	}
	newest = get64(log);
	for (unsigned i = 1; i < 64; i++) {
		const uint64_t count = get64(log + (size_t)i * 64);

		SPEC_TRUE(t, "figure 195: in order", count < newest && (count || bytes_are(log + i * 64, 64, 0)));
		newest = count ? count : 1;
	}
	nvme_close(&d);
}

static void give_event(struct nvme *d)
{
	struct command c = {.opcode = ADMIN_ASYNC_EVENT};

	pair_give(d, &d->admin, &c);
}

/* The next asynchronous event, or -ETIMEDOUT. */
static long wait_event(struct nvme *d)
{
	struct completion c;

	if (pair_wait(d, &d->admin, &c) < 0)
		return -ETIMEDOUT;
	SPEC(d->t, "5.2", completion_status(&c), OK);
	return c.result;
}

/* 5.2, figures 146 to 148: each doorbell that is wrong, once it may be told. */
static void wrong_doorbells(struct test *t)
{
	enum { NO_SUCH_QUEUE = 0x010000, NO_SUCH_VALUE = 0x010100 };
	static const struct {
		const char *what;
		unsigned id, cq;
		uint32_t value;
		long want;
	} cases[] = {
		{"5.2: the tail of no queue", 7, 0, 1, NO_SUCH_QUEUE},
		{"5.2: the head of no queue", 7, 1, 1, NO_SUCH_QUEUE},
		{"5.2: the last queue, which there is not", 16, 0, 1, NO_SUCH_QUEUE},
		{"5.2: a tail out of range", 1, 0, 8, NO_SUCH_VALUE},
		{"5.2: a tail far out of range", 1, 0, 0xffff, NO_SUCH_VALUE},
		{"5.2: a tail far out of range", 1, 0, 0x7fffffff, NO_SUCH_VALUE},
		{"5.2: a tail far out of range", 1, 0, 0x10000, NO_SUCH_VALUE},
		{"5.2: a head out of range", 1, 1, 8, NO_SUCH_VALUE},
		{"5.2: a head beyond what has completed", 1, 1, 3, NO_SUCH_VALUE},
	};
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair p = {0};
	struct nvme d;
	uint8_t *log;

	if (!nvme_open(&d, t, 0))
		return;
	log = nvme_memory(&d, PAGE);
	SPEC(t, "5.3", pair_create(&d, &p, 1, 8, 8, -1), OK);
	SPEC(t, "6.8", pair_do(&d, &p, &flush), OK);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]) && !t->failed; i++) {
		give_event(&d);
		if (cases[i].cq)
			nvme_ring_cq(&d, cases[i].id, cases[i].value);
		else
			nvme_ring_sq(&d, cases[i].id, cases[i].value);
		SPEC(t, cases[i].what, wait_event(&d), cases[i].want);
		SPEC(t, "5.14: clears it", nvme_log(&d, 1, 0, log, PAGE, false), OK);
		SPEC(t, "doc, errors: no effect", pair_do(&d, &p, &flush), OK);
	}
	nvme_close(&d);
}

/* doc, where it differs: a doorbell of all bits is not seen. */
static void doorbell_of_all_bits(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair p = {0};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 8, 8, -1), OK);
	give_event(&d);
	nvme_ring_sq(&d, 1, ~0u);
	nvme_ring_cq(&d, 1, ~0u);
	rest(SETTLE_MS);
	SPEC_TRUE(t, "doc, where it differs", !pair_has(&d.admin));
	SPEC(t, "doc, where it differs", pair_do(&d, &p, &flush), OK);
	SPEC(t, "doc, where it differs", d.events, 0);
	nvme_close(&d);
}

/* doc: "the same as before" is wrong as well. */
static void same_doorbell(struct test *t)
{
	struct command flush = {.opcode = NVM_FLUSH, .nsid = 1};
	struct pair p = {0};
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	SPEC(t, "5.3", pair_create(&d, &p, 1, 8, 8, -1), OK);
	SPEC(t, "6.8", pair_do(&d, &p, &flush), OK);
	rest(SETTLE_MS);
	give_event(&d);
	rest(SETTLE_MS);
	nvme_ring_sq(&d, 1, p.tail);
	SPEC(t, "doc, errors; 5.2", wait_event(&d), 0x010100);
	SPEC(t, "doc, errors: no effect", pair_do(&d, &p, &flush), OK);
	nvme_close(&d);
}

/* 5.2: an event of a kind is told once, until its log page was read without Retain Asynchronous Event. */
static void events_are_masked(struct test *t)
{
	struct nvme d;
	uint8_t *log;

	if (!nvme_open(&d, t, 0))
		return;
	log = nvme_memory(&d, PAGE);
	give_event(&d);
	nvme_ring_sq(&d, 5, 1);
	SPEC(t, "5.2", wait_event(&d), 0x010000);
	give_event(&d);
	nvme_ring_sq(&d, 6, 2);
	rest(SETTLE_MS);
	SPEC_TRUE(t, "5.2: masked", !pair_has(&d.admin));
	SPEC(t, "5.14 RAE", nvme_log(&d, 1, 0, log, PAGE, true), OK);
	rest(SETTLE_MS);
	SPEC_TRUE(t, "5.14 RAE: it stays masked", !pair_has(&d.admin) && d.events == 0);
	SPEC(t, "5.14 RAE", nvme_log(&d, 1, 0, log, PAGE, false), OK);
	if (d.events == 0 && !pair_has(&d.admin)) {
		nvme_ring_sq(&d, 7, 3);
		SPEC(t, "5.2", wait_event(&d), 0x010000);
	} else {
		SPEC(t, "5.2", d.events ? (long)d.event : wait_event(&d), 0x010000);
	}
	nvme_close(&d);
}

/* 5.2, figure 251 AERL; 5.1: Abort is the only way to end them. */
static void too_many_events(struct test *t)
{
	struct completion c;
	struct nvme d;
	uint16_t first;
	unsigned most;
	uint8_t *page;

	if (!nvme_open(&d, t, 0))
		return;
	page = nvme_memory(&d, PAGE);
	SPEC(t, "5.15", nvme_identify(&d, 1, 0, page), OK);
	most = page[259] + 1u;
	first = d.admin.next_id;
	for (unsigned i = 0; i < most; i++)
		give_event(&d);
	{
		struct command event = {.opcode = ADMIN_ASYNC_EVENT};
		struct command abort = {.opcode = ADMIN_ABORT};

		SPEC(t, "5.2: one above AERL", nvme_admin(&d, &event), EVENT_LIMIT_EXCEEDED);
		SPEC(t, "5.2: none has completed", d.events, 0);
		abort.cdw10 = (uint32_t)first << 16;
		pair_give(&d, &d.admin, &abort);
		for (unsigned i = 0; i < 2; i++) { /* the aborted one and Abort, in the order that 5.1 wants */
			SPEC(t, "5.1", pair_wait(&d, &d.admin, &c), 0);
			if (c.id == first) {
				SPEC(t, "5.1", completion_status(&c), ABORT_REQUESTED);
				SPEC(t, "5.1: it comes first", i, 0);
			} else {
				SPEC(t, "5.1", completion_status(&c), OK);
				SPEC(t, "doc, Abort; 5.1: it was aborted", c.result & 1, 0);
			}
		}
		SPEC(t, "5.1", nvme_admin(&d, &abort), OK);
		SPEC(t, "5.1: there is no such command", d.result & 1, 1);
		abort.cdw10 = 0x12340000 | 5;
		SPEC_OR(t, "5.1: there is no such queue", nvme_admin(&d, &abort), OK, INVALID_FIELD);
		SPEC(t, "5.1: there is no such queue", d.result & 1, 1);
		pair_give(&d, &d.admin, &event); /* there is room for one */
		SPEC(t, "5.2: one above AERL", nvme_admin(&d, &event), EVENT_LIMIT_EXCEEDED);
	}
	nvme_close(&d);
}

/* doc: Invalid Command Opcode. */
static void commands_that_are_not(struct test *t)
{
	struct nvme d;

	if (!nvme_open(&d, t, 0))
		return;
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		struct command c = {.opcode = (uint8_t)opcode, .nsid = opcode & 1 ? 1 : 0};
		const bool known = opcode <= 0x0c && (0x1777u >> opcode & 1);

		if (!known)
			SPEC(t, "doc, what it does; figure 139", nvme_admin(&d, &c), INVALID_OPCODE);
		if (t->failed) {
			test_fail(t, "that was opcode 0x%x", opcode);
			break;
		}
	}
	nvme_close(&d);
}

/* 4.1.2, with the largest admin queues of 4096 entries, and the smallest. */
static void admin_queues_of_other_sizes(struct test *t)
{
	static const unsigned sizes[][2] = {{2, 2}, {2, 4096}, {4096, 2}, {4096, 4096}, {3, 5}};
	struct nvme d;
	uint8_t *page;

	if (!nvme_open_only(&d, t, 0))
		return;
	page = nvme_memory(&d, PAGE);
	d.admin.sq = nvme_memory(&d, 4096 * sizeof(struct command));
	d.admin.cq = nvme_memory(&d, 4096 * sizeof(struct completion));
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !t->failed; i++) {
		d.admin.entries = sizes[i][0];
		d.admin.cq_entries = sizes[i][1];
		SPEC(t, "3.1.8", nvme_enable(&d), 0);
		for (unsigned k = 0; k < 50 && !t->failed; k++)
			SPEC(t, "3.1.8, 5.15", nvme_identify(&d, k % 3, k % 3 == 0, page), OK);
		SPEC(t, "7.3.2", nvme_disable(&d), 0);
	}
	nvme_close(&d);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"identify_controller", identify_controller},
		{"identify_namespace", identify_namespace},
		{"identify_what_is_not", identify_what_is_not},
		{"identify_lists", identify_lists},
		{"identify_to_where", identify_to_where},
		{"features", features},
		{"features_selected", features_selected},
		{"features_that_are_not", features_that_are_not},
		{"logs", logs},
		{"log_of_errors", log_of_errors},
		{"wrong_doorbells", wrong_doorbells},
		{"doorbell_of_all_bits", doorbell_of_all_bits},
		{"same_doorbell", same_doorbell},
		{"events_are_masked", events_are_masked},
		{"too_many_events", too_many_events},
		{"commands_that_are_not", commands_that_are_not},
		{"admin_queues_of_other_sizes", admin_queues_of_other_sizes},
	};

	return TEST_MAIN(argc, argv, cases);
}
