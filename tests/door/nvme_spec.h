/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver of NVM Express controllers, of its own: from the NVM Express Base Specification 1.4 and docs/devices/nvme.md
 * alone. What it is told about by the clients beside it, it looks up there; checks name the section that they show
 * ("doc" for the second).
 *
 * All memory that the controller may reach is one arena at ARENA_IOVA. Statuses are status code type << 8 | status
 * code.
 */
#ifndef NVME_SPEC_H
#define NVME_SPEC_H

#include "rig.h"

#define ARENA_IOVA 0x10000000ull
#define NOWHERE    0x7fff0000000ull /* nothing is mapped there */
enum { ARENA_SIZE = 4 << 20, BAR_SIZE = 0x4000 };

enum {
	REG_CAP = 0x00,
	REG_VS = 0x08,
	REG_INTMS = 0x0c,
	REG_INTMC = 0x10,
	REG_CC = 0x14,
	REG_CSTS = 0x1c,
	REG_AQA = 0x24,
	REG_ASQ = 0x28,
	REG_ACQ = 0x30,
	REG_CMBLOC = 0x38,
	REG_CMBSZ = 0x3c,
	REG_DOORBELLS = 0x1000,
};
enum { CC_EN = 1, CC_SHN_NORMAL = 1 << 14, CC_SHN_ABRUPT = 2 << 14, CC_ENTRY_SIZES = 6 << 16 | 4 << 20 };
enum { CSTS_RDY = 1, CSTS_CFS = 2, CSTS_SHST = 3 << 2, CSTS_SHUT_DOWN = 2 << 2 };

enum {
	ADMIN_DELETE_SQ = 0x00,
	ADMIN_CREATE_SQ = 0x01,
	ADMIN_GET_LOG_PAGE = 0x02,
	ADMIN_DELETE_CQ = 0x04,
	ADMIN_CREATE_CQ = 0x05,
	ADMIN_IDENTIFY = 0x06,
	ADMIN_ABORT = 0x08,
	ADMIN_SET_FEATURES = 0x09,
	ADMIN_GET_FEATURES = 0x0a,
	ADMIN_ASYNC_EVENT = 0x0c,
};
enum {
	NVM_FLUSH = 0x00,
	NVM_WRITE = 0x01,
	NVM_READ = 0x02,
	NVM_WRITE_UNCORRECTABLE = 0x04,
	NVM_COMPARE = 0x05,
	NVM_WRITE_ZEROES = 0x08,
	NVM_DSM = 0x09,
	NVM_VERIFY = 0x0c,
};

/* Figures 126 to 130 of the specification. */
enum {
	OK = 0x00,
	INVALID_OPCODE = 0x01,
	INVALID_FIELD = 0x02,
	DATA_TRANSFER_ERROR = 0x04,
	ABORT_REQUESTED = 0x07,
	SQ_DELETED = 0x08,
	INVALID_NAMESPACE = 0x0b,
	SEQUENCE_ERROR = 0x0c,
	SGL_SEGMENT_INVALID = 0x0d,
	SGL_NUMBER_INVALID = 0x0e,
	SGL_LENGTH_INVALID = 0x0f,
	SGL_TYPE_INVALID = 0x11,
	PRP_OFFSET_INVALID = 0x13,
	SGL_OFFSET_INVALID = 0x16,
	WRITE_PROTECTED = 0x20,
	LBA_OUT_OF_RANGE = 0x80,
	CQ_INVALID = 0x100,
	QUEUE_ID_INVALID = 0x101,
	QUEUE_SIZE_INVALID = 0x102,
	EVENT_LIMIT_EXCEEDED = 0x105,
	VECTOR_INVALID = 0x108,
	LOG_PAGE_INVALID = 0x109,
	QUEUE_DELETION_INVALID = 0x10c,
	NOT_SAVEABLE = 0x10d,
	NOT_CHANGEABLE = 0x10e,
	NOT_NAMESPACE_SPECIFIC = 0x10f,
	COMPARE_FAILURE = 0x285,
};

enum { PSDT_SGL = 1 << 6 };

struct command {
	uint8_t opcode, flags;
	uint16_t id;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct completion {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id;
	uint16_t id, status; /* with the phase tag */
};

/* A submission queue and a completion queue, which may be another pair's as well. */
struct pair {
	unsigned id, cq_id;
	unsigned entries, cq_entries;
	struct command *sq;
	struct completion *cq;
	unsigned tail, head, phase;
	uint16_t next_id;
};

struct nvme {
	struct test *t;
	struct rig rig;
	volatile uint8_t *bar;
	uint8_t *arena;
	size_t used; /* bytes of the arena */
	unsigned mps;
	unsigned stride; /* of doorbells */
	struct pair admin;
	uint32_t result; /* of the last command that was waited for */
	unsigned events; /* asynchronous ones that came meanwhile */
	uint32_t event;  /* the last of them */
};

/* Fails the case unless got is want, or other: statuses, and what else is better seen in base 16. */
#define SPEC(t, section, got, want)           spec_same(t, __FILE__, __LINE__, section, #got, (long)(got), want, want)
#define SPEC_OR(t, section, got, want, other) spec_same(t, __FILE__, __LINE__, section, #got, (long)(got), want, other)
#define SPEC_TRUE(t, section, condition)                                                                               \
	((condition) ? true                                                                                            \
		     : (test_fail(t, "%s:%d: %s: not so: %s", __FILE_NAME__, __LINE__, section, #condition), false))
#ifndef __FILE_NAME__
#define __FILE_NAME__ __FILE__
#endif
bool spec_same(struct test *t, const char *file, int line, const char *section, const char *what, long got, long want,
	       long other);

/* Opens a device, with an arena: the controller is as after a reset. False: it failed, and the case has. */
bool nvme_open_only(struct nvme *d, struct test *t, unsigned number);
/* And enables it. */
bool nvme_open(struct nvme *d, struct test *t, unsigned number);
void nvme_close(struct nvme *d);

/* Whole pages (CC.MPS) of the arena that hold zeroes. There is no way to give them back but nvme_close(). */
void *nvme_memory(struct nvme *d, size_t bytes);
uint64_t nvme_iova(const struct nvme *d, const volatile void *p);

uint32_t nvme_get(const struct nvme *d, unsigned reg);
uint64_t nvme_get64(const struct nvme *d, unsigned reg);
void nvme_set(const struct nvme *d, unsigned reg, uint32_t value);
void nvme_set64(const struct nvme *d, unsigned reg, uint64_t value);

/* Lets the controller work; false: it had enough time (20 s). */
bool nvme_patience(uint64_t since_ns);
/* Waits for bits of CSTS, ms at most. Returns whether they came. */
bool nvme_status(const struct nvme *d, uint32_t mask, uint32_t want, unsigned ms);
/* 0, -EIO: CFS, -ETIMEDOUT. nvme_start() leaves AQA, ASQ and ACQ as they are. */
long nvme_start(struct nvme *d, uint32_t cc);
long nvme_enable(struct nvme *d);
long nvme_disable(struct nvme *d);

void nvme_ring_sq(const struct nvme *d, unsigned id, uint32_t value);
void nvme_ring_cq(const struct nvme *d, unsigned id, uint32_t value);

/* The command's id. The second tells the controller. */
uint16_t pair_put(struct pair *p, const struct command *command);
uint16_t pair_give(const struct nvme *d, struct pair *p, const struct command *command);
bool pair_has(const struct pair *p);
/* Takes a completion without telling the controller. */
bool pair_take(struct nvme *d, struct pair *p, struct completion *out);
/* Waits for one, and tells. 0 or -ETIMEDOUT. */
long pair_wait(struct nvme *d, struct pair *p, struct completion *out);
/* The status of a command, or -ETIMEDOUT. Other completions must be of asynchronous events. */
long pair_do(struct nvme *d, struct pair *p, const struct command *command);
long pair_await(struct nvme *d, struct pair *p, uint16_t id);
long nvme_admin(struct nvme *d, const struct command *command);

static inline unsigned completion_status(const struct completion *c)
{
	return c->status >> 1 & 0x7ff;
}

/* Memory for queues of an id, and the controller's. vector -1: no interrupts. Status, or -errno. */
long pair_create(struct nvme *d, struct pair *p, unsigned id, unsigned entries, unsigned cq_entries, int vector);
long pair_delete(struct nvme *d, struct pair *p);
long cq_create(struct nvme *d, const struct pair *p, int vector);
long sq_create(struct nvme *d, const struct pair *p);
long queue_delete(struct nvme *d, unsigned opcode, unsigned id);

/* The same with one page, in one. */
long nvme_identify(struct nvme *d, unsigned cns, uint32_t nsid, void *page);
long nvme_get_feature(struct nvme *d, unsigned id, uint32_t cdw11);
long nvme_set_feature(struct nvme *d, unsigned id, uint32_t value);
/* bytes: a multiple of 4. */
long nvme_log(struct nvme *d, unsigned id, uint64_t offset, void *to, uint32_t bytes, bool retain);

/* A command that moves blocks of the arena, by PRPs. list: a page or more for a list of them, or NULL. */
struct command nvme_transfer(const struct nvme *d, unsigned opcode, uint64_t lba, uint32_t blocks);
void command_point(const struct nvme *d, struct command *command, const void *data, uint32_t bytes, uint64_t *list);
/* A transfer of whole blocks, and its status. */
long nvme_move(struct nvme *d, struct pair *p, unsigned opcode, uint64_t lba, const void *data, uint32_t bytes,
	       unsigned block);

/* Bytes that tell where they are. */
void pattern_fill(void *to, size_t n, uint64_t seed);
bool pattern_is(const void *at, size_t n, uint64_t seed);
bool bytes_are(const volatile void *at, size_t n, uint8_t byte);

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static inline uint64_t get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

#endif
