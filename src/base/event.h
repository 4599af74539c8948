/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One stream of typed events says what happens. Whoever wants to know listens: --verbose, the checker, traces, reports.
 *
 * Announcing costs one predicted branch while nobody listens. A record has a fixed size and a number that is taken
 * while the lock of the object that it speaks of is held, so records of one object are in the order of what happened to
 * it. It goes into a ring of the announcing thread; one consumer orders the records by number. A full ring sets "lost"
 * and never blocks.
 */
#ifndef IOMMUSE_BASE_EVENT_H
#define IOMMUSE_BASE_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_type {
	EVENT_OPEN = 1,    /* a node was opened: file; text names the node */
	EVENT_CLOSE,       /* the last descriptor of file is gone; text names it */
	EVENT_CALL,        /* an ioctl of an iommufd or a container ended: file, call */
	EVENT_DEVICE_CALL, /* an ioctl of a VFIO group or device ended: its numbers mean other commands: file, call */
	EVENT_OBJECT,      /* an object of an iommufd was made: file, object */
	EVENT_DESTROY,     /* an object went: file, object */
	EVENT_MAP,         /* a range was mapped: file, map */
	EVENT_UNMAP,       /* a range was unmapped: file, map */
	EVENT_MESSAGE,     /* something that a person should know: text */
	EVENT_ATTACH,      /* a device or PASID was attached to a page table, hwpt 0: detached: file, attach */
	EVENT_DMA_FAULT,   /* DMA was blocked: dma */
	EVENT_READ,        /* an event queue was read: file, fd, transfer */
	EVENT_WRITE,       /* the same, written */
	EVENT_LOST,        /* made by the stream itself: nothing but the number of lost records; it has no number */
};

/* What is known of an IOVA where DMA was blocked; see event.dma. */
enum event_dma_known {
	EVENT_DMA_IOAS = 1,       /* the device is attached to ioas */
	EVENT_DMA_MAPPED = 2,     /* when the event was made, the IOVA was mapped: by below */
	EVENT_DMA_REVOKED = 4,    /* the memory that is mapped there was taken back by its exporter */
	EVENT_DMA_BELOW = 8,      /* below is the nearest map that lies before it */
	EVENT_DMA_ABOVE = 16,     /* and behind it */
	EVENT_DMA_UNMAPPED = 32,  /* it was mapped until gone_ns, when gone_pid unmapped it */
	EVENT_DMA_ALL = 64,       /* then everything was unmapped */
	EVENT_DMA_DETACHED = 128, /* the device was attached to ioas until gone_ns */
	EVENT_DMA_PROCESS = 256,  /* what is, or was, attached to is the memory of process */
	EVENT_DMA_ENDED = 512,    /* which is gone */
};

#define EVENT_ARG_MAX    96
#define EVENT_RECORD_MAX 40

/* Records that wait for the consumer, for each thread; what comes when there are so many is lost. */
#define EVENT_RING_RECORDS 2048

struct event {
	uint64_t number;  /* order in the stream, from 1; set by event_announce() */
	uint64_t time_ns; /* CLOCK_MONOTONIC; set by event_announce() */
	uint32_t type;    /* enum event_type */
	int32_t pid, tid; /* the client that caused it; 0: none */
	int32_t fd;       /* the client's descriptor, or -1 */
	uint64_t file;    /* serial of the file */
	union {
		struct {
			uint32_t cmd;
			uint32_t arg_size;  /* bytes of arg that are valid */
			int64_t result;     /* 0 or more, or -errno */
			uint64_t arg_value; /* the argument word: a pointer, or a value */
			/* The command's structure as the handler left it. */
			unsigned char arg[EVENT_ARG_MAX];
		} call;
		struct {
			uint32_t id;
			uint32_t kind; /* enum iommufd_object_type */
		} object;
		struct {
			uint32_t ioas;
			uint32_t prot; /* IOMMU_IOAS_MAP_READABLE, _WRITEABLE */
			uint64_t iova, last;
			uint64_t source; /* user address or file offset */
			uint64_t count;  /* areas, where one record stands for several */
			uint64_t bytes;  /* their lengths together; 0: [iova, last] has no gaps, or is everything */
		} map;
		struct {
			uint32_t device; /* id */
			uint32_t hwpt;   /* id; 0: none */
			uint32_t pasid;
		} attach;
		struct {
			uint64_t iova, length; /* of what was not transferred */
			uint64_t below_start, below_last, above_start, above_last;
			uint64_t gone_ns; /* as time_ns */
			uint32_t pasid;
			uint32_t ioas; /* id */
			int32_t gone_pid;
			int32_t process;
			uint16_t known; /* bits of enum event_dma_known */
			uint8_t access; /* enum dma_access */
			uint8_t reason; /* enum dma_fault_reason */
			uint8_t below_prot, above_prot;
			char device[32];
		} dma;
		struct {
			uint32_t queue; /* id */
			uint32_t kind;  /* enum iommufd_object_type */
			int64_t result; /* bytes, or -errno */
			uint32_t size;  /* of the first record; 0: none is known */
			unsigned char record[EVENT_RECORD_MAX];
		} transfer;
		char text[EVENT_ARG_MAX + 24];
	};
};

/* What everybody may look at; event.c has the rest. */
struct event_stream {
	_Atomic uint32_t wanted; /* bit n: somebody listens to records of type n; bit 0: to all */
};

#define EVENTS_ALL UINT32_MAX

/*
 * Called by the consumer's thread, one record at a time, in order. lost: records of the same thread that were dropped
 * just before this one. Where nothing followed them, they come with a record of type EVENT_LOST. It may announce,
 * but not flush.
 */
typedef void event_listener(void *context, const struct event *event, uint64_t lost);

/* A stream without listeners. Returns 0, or -ENOMEM. */
int event_stream_new(struct event_stream **events);

/* Hands the last records to the listeners, ends the consumer and frees the stream; nobody may announce any more. */
void event_stream_free(struct event_stream *events);

/*
 * Adds a listener and starts the consumer's thread with the first. Listeners stay. Thread-safe.
 * Returns 0, or -ENOMEM, -EAGAIN.
 */
int event_stream_listen(struct event_stream *events, event_listener *call, void *context);

/* The same for records of one type and EVENT_LOST: what nobody else listens to is not announced. */
int event_stream_listen_to(struct event_stream *events, enum event_type type, event_listener *call, void *context);

/* Waits until all records announced before the call have been handed to the listeners. Not from a listener. */
void event_stream_flush(struct event_stream *events);

/* The memory that the stream takes, in bytes. */
size_t event_stream_memory(const struct event_stream *events);

/* The clock of time_ns. */
uint64_t event_time(void);

/* Does anybody listen to everything? events may be NULL. */
static inline bool event_wanted(const struct event_stream *events)
{
	return __builtin_expect(events && atomic_load_explicit(&events->wanted, memory_order_relaxed) & 1, 0);
}

/* Does anybody listen to records of the type? */
static inline bool event_wanted_of(const struct event_stream *events, enum event_type type)
{
	return __builtin_expect(events && atomic_load_explicit(&events->wanted, memory_order_relaxed) >> type & 1, 0);
}

/* Does anybody listen to anything? */
static inline bool event_wanted_any(const struct event_stream *events)
{
	return __builtin_expect(events && atomic_load_explicit(&events->wanted, memory_order_relaxed), 0);
}

/*
 * Copies the record into the thread's ring, if somebody listens to its type. Thread-safe, never blocks, never fails.
 * The first call of a thread allocates its ring.
 */
void event_announce(struct event_stream *events, const struct event *event);

#endif
