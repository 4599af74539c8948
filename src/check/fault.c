/* SPDX-License-Identifier: BSD-3-Clause */
#include "check/fault.h"

#include "base/event.h"
#include "base/line.h"
#include "hwpt/device.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)

/* The log waits for its reader for that long, and not at all once it did so in vain. */
#define PATIENCE_MS 1000

/* Devices times reasons. One that finds no place takes that of the one that has been quiet for longest. */
#define BURSTS 64

/* The faults of a device for one reason. */
struct burst {
	char device[sizeof(((struct event *)0)->dma.device)];
	uint8_t reason;
	unsigned shown;    /* since begin_ns */
	uint64_t begin_ns; /* of the second; 0: the burst is nobody's */
	uint64_t more;     /* that were only counted */
	/* Of the last of them. */
	uint64_t last_iova;
	uint32_t last_pasid;
	uint16_t last_known;
};

/* The lock is a leaf. Only the consumer of events and who settles take it, so that it may be held while writing. */
struct fault_log {
	pthread_mutex_t lock;
	int fd;
	bool unread;
	uint64_t lost;
	struct burst burst[BURSTS];
};

/* Words */

/* Of the one that has the number now; "" where there is none. */
static void name_of(int32_t pid, char *name, size_t room)
{
	char path[32];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, name, room - 1);
		close(fd);
	}
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	/* It is the process's to choose. */
	for (char *c = name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

static void add_process(struct line *line, const struct event *event)
{
	char name[32] = "";

	line_add(line, "process %" PRId32, event->dma.process);
	if (!(event->dma.known & (EVENT_DMA_ENDED | EVENT_DMA_DETACHED)))
		name_of(event->dma.process, name, sizeof(name));
	if (name[0])
		line_add(line, " (%s)", name);
}

static const char *reason_of(const struct event *event)
{
	const bool mapped = event->dma.known & EVENT_DMA_MAPPED;

	switch ((enum dma_fault_reason)event->dma.reason) {
	case DMA_FAULT_NO_DOMAIN:
		return event->dma.pasid ? "the PASID is not attached to an IOAS"
					: "the device is not attached to an IOAS";
	case DMA_FAULT_NOT_MAPPED:
		if (event->dma.known & EVENT_DMA_REVOKED)
			return "its exporter has taken back the buffer that is mapped there";
		return mapped ? "nothing was mapped there" : "nothing is mapped there";
	case DMA_FAULT_READ_ONLY:
		return mapped ? "it is mapped read-only" : "it was mapped read-only";
	case DMA_FAULT_WRITE_ONLY:
		return mapped ? "it is mapped write-only" : "it was mapped write-only";
	case DMA_FAULT_MEMORY:
		return "the program has unmapped the memory behind it";
	case DMA_FAULT_BUS_MASTER:
		return "bus mastering is off in the PCI command register";
	case DMA_FAULT_PAGE_REQUEST:
		if (event->dma.known & EVENT_DMA_ENDED)
			return "the process has ended, or executes another program";
		return "the process has no such memory, or may not access it so";
	}
	return "no reason is known";
}

static void add_age(struct line *line, const struct event *event)
{
	line_add_time(line, event->time_ns > event->dma.gone_ns ? event->time_ns - event->dma.gone_ns : 0);
	line_add(line, " ago");
}

/* From a MiB on roughly: as whole MiB, GiB or TiB. */
static void add_distance(struct line *line, uint64_t bytes, const char *where)
{
	uint64_t unit = UINT64_C(1) << 20;

	if (bytes >= unit) {
		while (bytes / 1024 >= unit && unit < UINT64_C(1) << 40)
			unit *= 1024;
		if (bytes % unit)
			line_add(line, "over ");
		bytes -= bytes % unit;
	}
	if (bytes)
		line_add_bytes(line, bytes);
	else
		line_add(line, "directly");
	line_add(line, " %s", where);
}

static void add_nearest(struct line *line, const struct event *event)
{
	const bool below = event->dma.known & EVENT_DMA_BELOW, above = event->dma.known & EVENT_DMA_ABOVE;

	if (!below && !above) {
		line_add(line, "; nothing at all is mapped in ioas %" PRIu32, event->dma.ioas);
		return;
	}
	line_add(line, "; nearest map%s: ", below && above ? "s" : "");
	if (below) {
		line_add(line, "[0x%" PRIx64 ", 0x%" PRIx64 "] ", event->dma.below_start, event->dma.below_last);
		add_distance(line, event->dma.iova - event->dma.below_last - 1, "before");
	}
	if (above) {
		line_add(line, "%s[0x%" PRIx64 ", 0x%" PRIx64 "] ", below ? ", " : "", event->dma.above_start,
			 event->dma.above_last);
		add_distance(line, event->dma.above_start - event->dma.iova, "after");
	}
}

/* How what was mapped there, or attached, went. */
static void add_past(struct line *line, const struct event *event)
{
	const uint32_t known = event->dma.known;

	if (known & EVENT_DMA_DETACHED) {
		line_add(line, "; it was attached to ");
		if (known & EVENT_DMA_PROCESS)
			add_process(line, event);
		else if (event->dma.ioas)
			line_add(line, "ioas %" PRIu32, event->dma.ioas);
		else
			line_add(line, "a page table");
		line_add(line, " until ");
		add_age(line, event);
	} else if (known & EVENT_DMA_ALL) {
		line_add(line, "; everything was unmapped ");
		add_age(line, event);
		if (event->dma.gone_pid)
			line_add(line, " by process %" PRId32, event->dma.gone_pid);
	} else if (known & EVENT_DMA_UNMAPPED) {
		line_add(line, "; it was mapped until ");
		add_age(line, event);
		if (event->dma.gone_pid)
			line_add(line, " (unmapped by process %" PRId32 ")", event->dma.gone_pid);
	}
}

static void add_explanation(struct line *line, const struct event *event)
{
	if (event->dma.reason == DMA_FAULT_BUS_MASTER)
		return;
	if (event->dma.known & EVENT_DMA_MAPPED)
		line_add(line, "; the map%s is [0x%" PRIx64 ", 0x%" PRIx64 "]",
			 event->dma.reason == DMA_FAULT_NOT_MAPPED && !(event->dma.known & EVENT_DMA_REVOKED)
				 ? " that is there by now"
				 : "",
			 event->dma.below_start, event->dma.below_last);
	else if (event->dma.known & EVENT_DMA_IOAS)
		add_nearest(line, event);
	add_past(line, event);
}

static void add_device(struct line *line, const char *device)
{
	line_add(line, "%.*s", (int)sizeof(((struct burst *)0)->device), device[0] ? device : "a device");
}

static void describe(struct line *line, const struct event *event)
{
	const bool write = event->dma.access & DMA_WRITE;
	const bool process = event->dma.known & EVENT_DMA_PROCESS && !(event->dma.known & EVENT_DMA_DETACHED);

	add_device(line, event->dma.device);
	if (event->dma.pasid)
		line_add(line, " PASID %" PRIu32, event->dma.pasid);
	if (process) {
		line_add(line, " of ");
		add_process(line, event);
	}
	line_add(line, ": DMA %s of ", write ? "write" : "read");
	line_add_bytes(line, event->dma.length);
	line_add(line, " %s %s 0x%" PRIx64 " blocked: %s", write ? "to" : "from", process ? "address" : "IOVA",
		 event->dma.iova, reason_of(event));
	add_explanation(line, event);
}

/* Writing */

static void begin(struct line *line)
{
	line_start(line);
	line_add(line, "iommuse: ");
}

static void show(struct fault_log *log, struct line *line)
{
	struct pollfd out = {.fd = log->fd, .events = POLLOUT};

	log->unread = poll(&out, 1, log->unread ? 0 : PATIENCE_MS) == 0;
	if (!log->unread)
		line_write(line, log->fd);
}

static void show_more(struct fault_log *log, struct burst *burst)
{
	const uint16_t process = burst->last_known & EVENT_DMA_DETACHED ? 0 : burst->last_known & EVENT_DMA_PROCESS;
	const struct event event = {.dma = {.reason = burst->reason,
					    .pasid = burst->last_pasid,
					    .known = burst->last_known & EVENT_DMA_ENDED}};
	struct line line;

	if (!burst->more)
		return;
	begin(&line);
	add_device(&line, burst->device);
	line_add(&line, ": ... and %" PRIu64 " more (%s), the last at %s 0x%" PRIx64, burst->more, reason_of(&event),
		 process ? "address" : "IOVA", burst->last_iova);
	burst->more = 0;
	show(log, &line);
}

static void show_lost(struct fault_log *log)
{
	struct line line;

	if (!log->lost)
		return;
	begin(&line);
	line_add(&line, "%" PRIu64 " event%s came too fast to be told; wrong DMA may be among them", log->lost,
		 log->lost == 1 ? "" : "s");
	log->lost = 0;
	show(log, &line);
}

static struct burst *burst_of(struct fault_log *log, const struct event *event)
{
	struct burst *quiet = &log->burst[0];

	for (struct burst *b = log->burst; b < log->burst + BURSTS; b++) {
		if (b->begin_ns && b->reason == event->dma.reason &&
		    !memcmp(b->device, event->dma.device, sizeof(b->device)))
			return b;
		if (b->begin_ns < quiet->begin_ns)
			quiet = b;
	}
	show_more(log, quiet);
	*quiet = (struct burst){.reason = event->dma.reason};
	memcpy(quiet->device, event->dma.device, sizeof(quiet->device));
	return quiet;
}

static void tell(struct fault_log *log, const struct event *event)
{
	struct burst *burst = burst_of(log, event);
	struct line line;

	if (!burst->begin_ns || event->time_ns - burst->begin_ns >= NS_PER_S) {
		show_more(log, burst);
		burst->begin_ns = event->time_ns ? event->time_ns : 1;
		burst->shown = 0;
	}
	if (burst->shown == FAULT_LINES) {
		burst->more++;
		burst->last_iova = event->dma.iova;
		burst->last_pasid = event->dma.pasid;
		burst->last_known = event->dma.known;
		return;
	}
	burst->shown++;
	begin(&line);
	describe(&line, event);
	show(log, &line);
}

void fault_log_event(void *context, const struct event *event, uint64_t lost)
{
	struct fault_log *log = context;

	pthread_mutex_lock(&log->lock);
	log->lost += lost;
	if (event->type == EVENT_DMA_FAULT)
		tell(log, event);
	pthread_mutex_unlock(&log->lock);
}

void fault_log_settle(struct fault_log *log)
{
	pthread_mutex_lock(&log->lock);
	for (struct burst *b = log->burst; b < log->burst + BURSTS; b++)
		show_more(log, b);
	show_lost(log);
	pthread_mutex_unlock(&log->lock);
}

struct fault_log *fault_log_new(int fd)
{
	struct fault_log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	pthread_mutex_init(&log->lock, NULL);
	log->fd = fd;
	return log;
}

void fault_log_free(struct fault_log *log)
{
	if (!log)
		return;
	pthread_mutex_destroy(&log->lock);
	free(log);
}
