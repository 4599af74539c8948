/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the trace knows of the files and their objects it has from the records alone. The consumer of the stream is the
 * only thread that touches it, so nothing is locked. A record about a file or an object that it has not seen coming,
 * because records were lost, is shown as far as it goes and changes nothing.
 */
#include "check/trace.h"

#include "abi/iommufd.h"
#include "base/event.h"
#include "base/line.h"
#include "base/range_map.h"
#include "check/decode.h"
#include "hwpt/device.h"
#include "iommufd/object.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 1000

/* Objects that are shown one by one when their file is closed. */
#define OBJECTS_SHOWN 16

struct traced_object {
	uint32_t id, kind;
	uint64_t maps, bytes;
};

struct traced_file {
	char name[32]; /* of the node */
	int32_t pid, fd;
	struct range_map objects;            /* id -> struct traced_object */
	struct traced_object last_destroyed; /* the call that did it ends later, and names it */
};

struct trace {
	int fd;
	int hurry;        /* an eventfd: readable in a hurry */
	int64_t deadline; /* ms of CLOCK_MONOTONIC; 0: no hurry yet */
	_Atomic uint64_t unwritten;
	uint64_t told;          /* so many of the unwritten lines the reader knows of */
	struct range_map files; /* serial -> struct traced_file */
};

static const char *const kind_names[] = {
	[OBJECT_DEVICE] = "device",     [OBJECT_HWPT_PAGING] = "hwpt",  [OBJECT_HWPT_NESTED] = "nested hwpt",
	[OBJECT_IOAS] = "ioas",         [OBJECT_ACCESS] = "access",     [OBJECT_FAULT] = "fault",
	[OBJECT_VIOMMU] = "viommu",     [OBJECT_VDEVICE] = "vdevice",   [OBJECT_VEVENTQ] = "veventq",
	[OBJECT_HW_QUEUE] = "hw_queue", [OBJECT_SELFTEST] = "selftest",
};

/* Writing */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the output takes a line, or until the wait is over. */
static bool wait_for_reader(struct trace *trace)
{
	struct pollfd fds[] = {{.fd = trace->fd, .events = POLLOUT}, {.fd = trace->hurry, .events = POLLIN}};

	while (!trace->deadline) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return true;
		if (fds[1].revents)
			trace->deadline = now_ms() + PATIENCE_MS;
	}
	for (;;) {
		int64_t left = trace->deadline - now_ms();
		int ready = poll(fds, 1, left > 0 ? (int)left : 0);

		if (ready >= 0 || errno != EINTR)
			return ready > 0;
	}
}

/* Who: "[1234] ", or "[1234/1236] " for a thread that is not the first of its process. */
static void begin(struct line *line, int32_t pid, int32_t tid)
{
	line_start(line);
	if (tid && tid != pid)
		line_add(line, "[%" PRId32 "/%" PRId32 "] ", pid, tid);
	else if (pid)
		line_add(line, "[%" PRId32 "] ", pid);
	else
		line_add(line, "[-] ");
}

static bool write_line(struct trace *trace, struct line *line)
{
	return wait_for_reader(trace) && line_write(line, trace->fd) == 0;
}

/* Before the line comes how many could not be written. */
static void show(struct trace *trace, struct line *line)
{
	uint64_t missing = trace_unwritten(trace) - trace->told;
	bool written = true;
	struct line about;

	if (missing) {
		begin(&about, 0, 0);
		line_add(&about, "%" PRIu64 " line%s missing here: nobody read", missing,
			 missing == 1 ? " is" : "s are");
		written = write_line(trace, &about);
		if (written)
			trace->told += missing;
	}
	if (!written || !write_line(trace, line))
		atomic_fetch_add_explicit(&trace->unwritten, 1, memory_order_relaxed);
}

static void add_file(struct line *line, const struct traced_file *file, uint64_t serial, int32_t fd)
{
	if (file)
		line_add(line, "%s", file->name);
	else
		line_add(line, "file #%" PRIu64, serial);
	if (fd >= 0)
		line_add(line, "(%" PRId32 ")", fd);
}

/* Files and objects */

static void *lookup(const struct range_map *map, uint64_t key)
{
	struct range found;

	return range_map_find(map, key, key, &found) ? found.value : NULL;
}

static void file_free(struct traced_file *file)
{
	struct range_cursor at;

	for (bool more = range_map_first(&file->objects, 0, UINT64_MAX, &at); more; more = range_map_next(&at))
		free(at.range.value);
	range_map_clear(&file->objects);
	free(file);
}

static const char *kind_name(uint32_t kind)
{
	const char *name = kind < sizeof(kind_names) / sizeof(kind_names[0]) ? kind_names[kind] : NULL;

	return name ? name : "object";
}

/* For decode_call(). */
static const char *kind_of_id(void *context, uint32_t id)
{
	const struct traced_file *file = context;
	const struct traced_object *object = file ? lookup(&file->objects, id) : NULL;

	if (object)
		return kind_name(object->kind);
	if (file && file->last_destroyed.id && file->last_destroyed.id == id)
		return kind_name(file->last_destroyed.kind);
	return NULL;
}

static void remember_file(struct trace *trace, const struct event *event)
{
	struct traced_file *file = calloc(1, sizeof(*file));

	if (!file)
		return;
	memcpy(file->name, event->text, sizeof(file->name) - 1);
	file->pid = event->pid;
	file->fd = event->fd;
	if (range_map_insert(&trace->files, event->file, event->file, file))
		free(file);
}

static void remember_object(struct traced_file *file, const struct event *event)
{
	struct traced_object *object = calloc(1, sizeof(*object));

	if (!object)
		return;
	object->id = event->object.id;
	object->kind = event->object.kind;
	if (range_map_insert(&file->objects, object->id, object->id, object))
		free(object);
}

static void forget_object(struct traced_file *file, const struct event *event)
{
	struct traced_object *object = range_map_remove(&file->objects, event->object.id);

	if (object)
		file->last_destroyed = *object;
	free(object);
}

static uint64_t bytes_of(const struct event *event)
{
	return event->map.bytes ? event->map.bytes : event->map.last - event->map.iova + 1;
}

static uint64_t count_of(const struct event *event)
{
	return event->map.count ? event->map.count : 1;
}

static void count_map(struct traced_object *ioas, const struct event *event)
{
	ioas->maps += count_of(event);
	ioas->bytes += bytes_of(event);
}

/* Less than nothing cannot be left, whatever was lost. */
static void count_unmap(struct traced_object *ioas, const struct event *event)
{
	uint64_t maps = count_of(event), bytes = bytes_of(event);

	if (maps >= ioas->maps || (event->map.iova == 0 && event->map.last == UINT64_MAX)) {
		ioas->maps = 0;
		ioas->bytes = 0;
		return;
	}
	ioas->maps -= maps;
	ioas->bytes -= bytes < ioas->bytes ? bytes : ioas->bytes;
}

/* Lines */

static void show_open(struct trace *trace, const struct event *event)
{
	const int limit = sizeof(event->text);
	struct line line;

	begin(&line, event->pid, event->tid);
	line_add(&line, "open %.*s", limit, event->text);
	if (event->fd >= 0)
		line_add(&line, " -> %" PRId32, event->fd);
	show(trace, &line);
}

static void show_object(struct trace *trace, const struct traced_file *file, const struct traced_object *object)
{
	struct line line;

	begin(&line, file->pid, 0);
	line_add(&line, "    %s %" PRIu32, kind_name(object->kind), object->id);
	if (object->maps) {
		line_add(&line, ": %" PRIu64 " map%s, ", object->maps, object->maps == 1 ? "" : "s");
		line_add_bytes(&line, object->bytes);
	} else if (object->kind == OBJECT_IOAS) {
		line_add(&line, ": no maps");
	}
	show(trace, &line);
}

static void show_objects(struct trace *trace, const struct traced_file *file)
{
	struct range_cursor at;
	struct line line;
	size_t shown = 0;

	for (bool more = range_map_first(&file->objects, 0, UINT64_MAX, &at); more; more = range_map_next(&at)) {
		if (shown == OBJECTS_SHOWN)
			break;
		show_object(trace, file, at.range.value);
		shown++;
	}
	if (shown == file->objects.count)
		return;
	begin(&line, file->pid, 0);
	line_add(&line, "    and %zu more", file->objects.count - shown);
	show(trace, &line);
}

static void show_close(struct trace *trace, const struct traced_file *file, const struct event *event)
{
	const int limit = sizeof(event->text);
	struct line line;

	begin(&line, event->pid || !file ? event->pid : file->pid, event->tid);
	line_add(&line, "close ");
	if (file || !event->text[0])
		add_file(&line, file, event->file, event->fd >= 0 || !file ? event->fd : file->fd);
	else
		line_add(&line, "%.*s", limit, event->text); /* an event queue, an access */
	if (file && file->objects.count)
		line_add(&line, ", with %zu object%s alive:", file->objects.count, file->objects.count == 1 ? "" : "s");
	else if (file && file->name[0] == '/')
		line_add(&line, ", with nothing alive"); /* an event queue never has anything */
	show(trace, &line);
	if (file)
		show_objects(trace, file);
}

static void show_call(struct trace *trace, struct traced_file *file, const struct event *event)
{
	struct line line;

	begin(&line, event->pid, event->tid);
	add_file(&line, file, event->file, event->fd);
	line_add(&line, " ");
	decode_call(&line, event, kind_of_id, file);
	show(trace, &line);
}

/* The descriptor that the event has is the queue's. */
static void show_transfer(struct trace *trace, const struct traced_file *file, const struct event *event)
{
	struct line line;

	begin(&line, event->pid, event->tid);
	add_file(&line, file, event->file, file ? file->fd : -1);
	line_add(&line, " ");
	decode_transfer(&line, event);
	show(trace, &line);
}

/* The call that did it ends later, so this comes before its line. What goes with a closed file is not worth a line. */
static void show_attach(struct trace *trace, const struct traced_file *file, const struct event *event)
{
	struct line line;

	if (!file && !event->attach.hwpt)
		return;
	begin(&line, event->pid || !file ? event->pid : file->pid, event->tid);
	add_file(&line, file, event->file, event->fd >= 0 || !file ? event->fd : file->fd);
	line_add(&line, " device %" PRIu32, event->attach.device);
	if (event->attach.pasid)
		line_add(&line, " PASID %" PRIu32, event->attach.pasid);
	if (event->attach.hwpt)
		line_add(&line, " is attached to hwpt %" PRIu32, event->attach.hwpt);
	else
		line_add(&line, " is detached");
	show(trace, &line);
}

static const char *reason_name(uint32_t reason)
{
	static const char *const names[] = {
		[DMA_FAULT_NO_DOMAIN] = "NO_DOMAIN",       [DMA_FAULT_NOT_MAPPED] = "NOT_MAPPED",
		[DMA_FAULT_READ_ONLY] = "READ_ONLY",       [DMA_FAULT_WRITE_ONLY] = "WRITE_ONLY",
		[DMA_FAULT_MEMORY] = "MEMORY_IS_GONE",     [DMA_FAULT_BUS_MASTER] = "NO_BUS_MASTER",
		[DMA_FAULT_PAGE_REQUEST] = "PAGE_REQUEST",
	};
	const char *name = reason < sizeof(names) / sizeof(names[0]) ? names[reason] : NULL;

	return name ? name : "?";
}

static void add_map(struct line *line, const char *name, uint64_t start, uint64_t last, uint8_t prot)
{
	line_add(line, " %s=[0x%" PRIx64 ", 0x%" PRIx64 "] %s%s", name, start, last,
		 prot & IOMMU_IOAS_MAP_READABLE ? "r" : "", prot & IOMMU_IOAS_MAP_WRITEABLE ? "w" : "");
}

/* What is known of the place. */
static void add_place(struct line *line, const struct event *event)
{
	const uint32_t known = event->dma.known;

	if (known & EVENT_DMA_IOAS)
		line_add(line, " ioas=%" PRIu32, event->dma.ioas);
	if (known & EVENT_DMA_PROCESS && !(known & EVENT_DMA_DETACHED))
		line_add(line, " process=%" PRId32 "%s", event->dma.process, known & EVENT_DMA_ENDED ? " ENDED" : "");
	if (known & EVENT_DMA_REVOKED)
		line_add(line, " REVOKED");
	if (known & (EVENT_DMA_MAPPED | EVENT_DMA_BELOW))
		add_map(line, known & EVENT_DMA_MAPPED ? "map" : "below", event->dma.below_start, event->dma.below_last,
			event->dma.below_prot);
	if (known & EVENT_DMA_ABOVE)
		add_map(line, "above", event->dma.above_start, event->dma.above_last, event->dma.above_prot);
	if (!(known & (EVENT_DMA_UNMAPPED | EVENT_DMA_DETACHED)))
		return;
	if (known & EVENT_DMA_DETACHED && known & EVENT_DMA_PROCESS)
		line_add(line, " detached from process %" PRId32 " ", event->dma.process);
	else if (known & EVENT_DMA_DETACHED)
		line_add(line, " detached from ioas %" PRIu32 " ", event->dma.ioas);
	else
		line_add(line, known & EVENT_DMA_ALL ? " all unmapped " : " unmapped ");
	line_add_time(line, event->time_ns > event->dma.gone_ns ? event->time_ns - event->dma.gone_ns : 0);
	line_add(line, " ago");
	if (event->dma.gone_pid)
		line_add(line, " by %" PRId32, event->dma.gone_pid);
}

static void show_dma_fault(struct trace *trace, const struct event *event)
{
	const int limit = sizeof(event->dma.device);
	struct line line;

	begin(&line, event->pid, event->tid);
	line_add(&line, "%.*s DMA %s", limit, event->dma.device, event->dma.access & DMA_WRITE ? "write" : "read");
	if (event->dma.pasid)
		line_add(&line, " pasid=%" PRIu32, event->dma.pasid);
	line_add(&line, " iova=0x%" PRIx64 " length=", event->dma.iova);
	line_add_bytes(&line, event->dma.length);
	line_add(&line, " -> %s", reason_name(event->dma.reason));
	add_place(&line, event);
	show(trace, &line);
}

static void show_message(struct trace *trace, const struct event *event)
{
	const int limit = sizeof(event->text);
	struct line line;

	begin(&line, event->pid, event->tid);
	line_add(&line, "%.*s", limit, event->text);
	show(trace, &line);
}

static void show_lost(struct trace *trace, uint64_t lost)
{
	struct line line;

	begin(&line, 0, 0);
	line_add(&line, "%" PRIu64 " event%s lost: the trace was read too slowly", lost, lost == 1 ? " was" : "s were");
	show(trace, &line);
}

static void object_event(struct traced_file *file, const struct event *event)
{
	struct traced_object *ioas;

	switch (event->type) {
	case EVENT_OBJECT:
		remember_object(file, event);
		return;
	case EVENT_DESTROY:
		forget_object(file, event);
		return;
	case EVENT_MAP:
	case EVENT_UNMAP:
		ioas = lookup(&file->objects, event->map.ioas);
		if (ioas && event->type == EVENT_MAP)
			count_map(ioas, event);
		else if (ioas)
			count_unmap(ioas, event);
		return;
	default:
		return;
	}
}

void trace_event(void *context, const struct event *event, uint64_t lost)
{
	struct trace *trace = context;
	struct traced_file *file = lookup(&trace->files, event->file);

	if (lost)
		show_lost(trace, lost);
	switch (event->type) {
	case EVENT_OPEN:
		show_open(trace, event);
		remember_file(trace, event);
		return;
	case EVENT_CLOSE:
		show_close(trace, file, event);
		if (file)
			file_free(range_map_remove(&trace->files, event->file));
		return;
	case EVENT_CALL:
	case EVENT_DEVICE_CALL:
		show_call(trace, file, event);
		if (file && event->fd >= 0)
			file->fd = event->fd;
		return;
	case EVENT_MESSAGE:
		show_message(trace, event);
		return;
	case EVENT_ATTACH:
		show_attach(trace, file, event);
		return;
	case EVENT_READ:
	case EVENT_WRITE:
		show_transfer(trace, file, event);
		return;
	case EVENT_DMA_FAULT:
		show_dma_fault(trace, event);
		return;
	default:
		if (file)
			object_event(file, event);
		return;
	}
}

int trace_new(int fd, struct trace **trace)
{
	struct trace *t = calloc(1, sizeof(*t));
	int error;

	if (!t)
		return -ENOMEM;
	t->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (t->fd < 0) {
		error = -errno;
		goto out_free;
	}
	t->hurry = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->hurry < 0) {
		error = -errno;
		goto out_close;
	}
	*trace = t;
	return 0;

out_close:
	close(t->fd);
out_free:
	free(t);
	return error;
}

void trace_free(struct trace *trace)
{
	struct range_cursor at;

	if (!trace)
		return;
	for (bool more = range_map_first(&trace->files, 0, UINT64_MAX, &at); more; more = range_map_next(&at))
		file_free(at.range.value);
	range_map_clear(&trace->files);
	close(trace->hurry);
	close(trace->fd);
	free(trace);
}

void trace_hurry(struct trace *trace)
{
	eventfd_write(trace->hurry, 1);
}

uint64_t trace_unwritten(const struct trace *trace)
{
	return atomic_load_explicit(&trace->unwritten, memory_order_relaxed);
}
