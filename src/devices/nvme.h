/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model "nvme": a controller of NVM Express 1.4 with one namespace, which an image holds. Section numbers in comments
 * are of the Base Specification, revision 1.4.
 *
 * A command is fetched when its queue has a place for its completion, and a request is free if it may need one; so
 * nothing that a driver does makes us keep more than was allocated in the beginning. Commands that take time
 * (NVME_LATER) have a request until the image is done with them. A reset does not wait for those: it forgets whose they
 * were, and the controller is not enabled again before they are gone.
 */
#ifndef IOMMUSE_DEVICES_NVME_H
#define IOMMUSE_DEVICES_NVME_H

#include "devices/nvme_image.h"
#include "devices/nvme_spec.h"
#include "iommuse/device.h"

#define NVME_VENDOR      0x494dU /* nobody's */
#define NVME_DEVICE      0xd15cU
#define NVME_QUEUES_MAX  64U   /* for I/O; of either kind */
#define NVME_ENTRIES_MAX 4096U /* of a queue */
#define NVME_REQUESTS    256U
#define NVME_FETCH       16U /* commands at once */
#define NVME_STAGED      16U /* completions at once */
#define NVME_SPANS       257U
#define NVME_PAGE_SHIFT  12U /* the smallest page, the unit of MDTS */
#define NVME_MDTS_MIN    1U  /* 0 would say that there is no limit */
#define NVME_MDTS_MAX    8U
#define NVME_EVENTS_MAX  4U
#define NVME_ERRORS      64U /* in the log */
#define NVME_VECTORS     (NVME_QUEUES_MAX + 1)
#define NVME_NSID        1U
#define NVME_BELL_SILENT 0xffffffffU /* what no driver rings */
#define NVME_TEMPERATURE 310U        /* kelvin */
#define NVME_WARM        343U
#define NVME_HOT         373U
#define NVME_IDENTIFY    4096U

_Static_assert(NVME_REQUESTS + 2 <= IMAGE_DEPTH, "and two flushes");

/* Memory of the driver's, in pieces. */
struct nvme_span {
	uint64_t iova;
	uint32_t length;
	bool nowhere; /* what would go there is dropped */
};

struct nvme_spans {
	unsigned count;
	struct nvme_span span[NVME_SPANS];
};

struct nvme_cq {
	bool exists;
	uint16_t id;
	uint32_t size, head, tail; /* tail: behind what is staged */
	bool phase;
	uint64_t base;
	bool interrupts;
	uint16_t vector;
	unsigned users;    /* submission queues */
	unsigned promised; /* places for completions of commands that were fetched */
	unsigned staged_count;
	bool news; /* completions were posted, and nobody was told */
	struct nvme_completion staged[NVME_STAGED];
};

struct nvme_sq {
	bool exists;
	uint16_t id;
	uint32_t size, head, tail;
	uint64_t base;
	struct nvme_cq *cq;
	unsigned under_way; /* requests */
	bool deleting;      /* by a command that waits for them */
	uint16_t deleting_cid;
};

struct nvme;
struct nvme_request;

/* What comes next when an operation on the image is done. Returns a status, or NVME_LATER after another operation. */
typedef uint16_t nvme_step(struct nvme *nvme, struct nvme_request *request);

struct nvme_request {
	struct image_io io; /* first */
	struct nvme_request *next_free;
	struct nvme_sq *sq; /* NULL: a reset came */
	struct nvme_command command;
	nvme_step *step;
	uint64_t at, end; /* of a long one: what is to be done still, in bytes */
	unsigned range;   /* the next of a list */
	bool discarded;   /* of the ranges, one */
	uint8_t *buffer;
	struct nvme_spans spans;
};

struct nvme_error {
	uint64_t count;
	uint16_t sq_id, cid, status;
	uint64_t lba;
	uint32_t nsid;
};

/* What may be told once: then not until the log page is read. */
struct nvme_events {
	uint8_t pending[EVENT_TYPES]; /* a bit for each kind of a type */
	bool masked[EVENT_TYPES];
	unsigned requests;
	uint16_t cid[NVME_EVENTS_MAX];
};

struct nvme_counts {
	uint64_t blocks_read, blocks_written; /* of 512 bytes */
	uint64_t reads, writes;
	uint64_t unsafe_shutdowns;
	uint64_t media_errors, errors;
};

struct nvme_features {
	uint32_t arbitration, error_recovery, coalescing, atomicity, events;
	uint16_t over, under; /* temperature, kelvin */
	bool write_cache;
	bool uncoalesced[NVME_VECTORS];
};

/* What was written before the write cache is switched off goes to disk. No admin command is fetched meanwhile. */
struct nvme_cache_flush {
	struct image_io io;
	bool under_way;
	bool forgotten; /* a reset came */
	struct nvme_command command;
};

enum nvme_state {
	NVME_OFF,
	NVME_READY,
	NVME_FATAL, /* until a reset */
};

/* By CC.SHN; nothing is fetched but while it is up. */
enum nvme_shutdown {
	NVME_UP,
	NVME_GOING_DOWN, /* commands are under way */
	NVME_SYNCING,
	NVME_DOWN,
};

struct nvme {
	struct iommuse_device *device;
	struct image *image;
	uint8_t *registers; /* NULL: the device is not open */

	/* As it was made. */
	unsigned block_shift;
	uint64_t blocks;
	unsigned mdts;   /* log2, of pages of 4 KiB */
	unsigned queues; /* for I/O */
	bool read_only;
	char serial[21];
	uint64_t eui64; /* of the namespace */

	enum nvme_state state;
	unsigned page_shift;
	enum nvme_shutdown shutdown;
	uint32_t status;         /* CSTS as shown */
	uint32_t interrupt_mask; /* of the pin */
	bool asserted;
	bool pin_news;  /* what the pin depends on has changed */
	int64_t budget; /* bytes of data that this callback may still move, or what takes as long */
	unsigned bells_checked;
	unsigned turn; /* the submission queue that is asked first */

	struct nvme_sq sq[NVME_QUEUES_MAX + 1];
	struct nvme_cq cq[NVME_QUEUES_MAX + 1];
	unsigned sq_count;   /* for I/O, that exist */
	unsigned last_queue; /* the highest number that there was */

	struct nvme_features features;
	struct nvme_events events;
	struct nvme_counts counts;
	struct nvme_error error[NVME_ERRORS];
	unsigned error_next;
	uint64_t made_at; /* seconds, of the monotonic clock */

	struct nvme_request *request;
	struct nvme_request *free_requests;
	unsigned free_count, under_way;
	struct image_io flush; /* of a shutdown */
	bool flushing;         /* it is under way */
	bool told_of_flush;    /* that one failed */
	struct nvme_cache_flush cache_flush;
	uint8_t *buffers; /* of the requests */
};

static inline uint32_t nvme_page_size(const struct nvme *nvme)
{
	return 1U << nvme->page_shift;
}

static inline uint32_t nvme_transfer_max(const struct nvme *nvme)
{
	return 1U << (NVME_PAGE_SHIFT + nvme->mdts);
}

static inline bool nvme_image_busy(const struct nvme *nvme)
{
	return nvme->under_way || nvme->flushing || nvme->cache_flush.under_way;
}

/* nvme.c */

/* CC as it is now: sizes of entries may be set when the controller is enabled. */
uint32_t nvme_config(const struct nvme *nvme);

/* The flush of a shutdown is done. */
void nvme_shutdown_flushed(struct nvme *nvme);

/* Nothing goes on until the driver resets the controller (CSTS.CFS). */
void nvme_fail(struct nvme *nvme);

/* nvme_queue.c */

void nvme_queues_forget(struct nvme *nvme);
void nvme_sq_init(struct nvme *nvme, unsigned id, uint64_t base, uint32_t size, struct nvme_cq *cq);
void nvme_cq_init(struct nvme *nvme, unsigned id, uint64_t base, uint32_t size);
void nvme_sq_fini(struct nvme *nvme, struct nvme_sq *sq);
void nvme_cq_fini(struct nvme *nvme, struct nvme_cq *cq);

/* Takes what the driver rang. Returns whether it rang. */
bool nvme_take_doorbells(struct nvme *nvme);

/* Looks at some doorbells of queues that do not exist. */
void nvme_check_doorbells(struct nvme *nvme);

/* Fetches commands and begins them. Returns whether there were any. */
bool nvme_fetch(struct nvme *nvme);

/* Completes a command, for whose completion a place was promised. */
void nvme_complete(struct nvme *nvme, struct nvme_sq *sq, uint16_t cid, uint16_t status, uint32_t result);

/* Is there a place that nobody was promised? */
bool nvme_cq_has_room(const struct nvme_cq *cq);

/* Writes all completions to memory and sends interrupts. Returns whether there were any. */
bool nvme_post(struct nvme *nvme);

/* nvme_prp.c */

/* Where n bytes of a command's data are. Returns a status. */
uint16_t nvme_find_data(struct nvme *nvme, const struct nvme_command *command, uint32_t n, struct nvme_spans *spans);
/* Copies n bytes, from the skip-th of the spans on. Both return a status. */
uint16_t nvme_from_memory(struct nvme *nvme, const struct nvme_spans *spans, uint32_t skip, void *to, uint32_t n);
uint16_t nvme_to_memory(struct nvme *nvme, const struct nvme_spans *spans, uint32_t skip, const void *from, uint32_t n);

/* nvme_admin.c */

/* Returns a status, or NVME_LATER where it will be completed some time. */
uint16_t nvme_admin(struct nvme *nvme, const struct nvme_command *command, uint32_t *result);
void nvme_features_init(struct nvme *nvme);
/* Tells the driver, as soon as it wants to know. */
void nvme_event(struct nvme *nvme, unsigned type, unsigned kind);
void nvme_events_send(struct nvme *nvme);

/* nvme_feature.c */
uint16_t nvme_set_feature(struct nvme *nvme, const struct nvme_command *command, uint32_t *result);
uint16_t nvme_get_feature(struct nvme *nvme, const struct nvme_command *command, uint32_t *result);
/* The write cache's contents are on disk, or are not. */
void nvme_cache_flushed(struct nvme *nvme);

/* nvme_identify.c */
uint16_t nvme_identify(struct nvme *nvme, const struct nvme_command *command);

/* nvme_log.c */
uint16_t nvme_get_log(struct nvme *nvme, const struct nvme_command *command);
/* Notes an error. Returns the status with what says so. */
uint16_t nvme_log_error(struct nvme *nvme, uint16_t sq_id, const struct nvme_command *command, uint16_t status);

/* nvme_io.c */

/* What to tell of an operation that failed. */
uint16_t nvme_image_status(const struct image_io *io);
/* Notes it where it is of a kind to be logged. Returns the status with what says so. */
uint16_t nvme_noted(struct nvme *nvme, uint16_t sq_id, const struct nvme_command *command, uint16_t status);
/* There is a request for it. */
uint16_t nvme_io(struct nvme *nvme, struct nvme_sq *sq, const struct nvme_command *command);
int nvme_requests_init(struct nvme *nvme);
void nvme_requests_fini(struct nvme *nvme);
/* Requests under way are nobody's any more. */
void nvme_requests_forget(struct nvme *nvme);
/* Goes on with what the image is done with. Returns whether there was anything. */
bool nvme_reap(struct nvme *nvme);

#endif
