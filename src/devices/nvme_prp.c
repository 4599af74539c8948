/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a command's data are: by physical region pages (4.3) or scatter gather lists (4.4), which a hostile driver may
 * have made. All that is read of them is read once, and bounded: PRP lists by the length of the data, as each page of a
 * list but the first has more than its pointer to the next; SGLs by a number of descriptors.
 */
#include "devices/nvme.h"

#define PRP_SIZE    sizeof(uint64_t)
#define PRP_AT_ONCE 64U

#define SGL_DESCRIPTORS 1024U
#define SGL_AT_ONCE     16U
#define SGL_ALIGNMENT   8U /* of a segment */

/* Bytes that take as long as a descriptor does, or a shorter piece of data, about. */
#define PIECE_COST 256U

enum {
	SGL_DATA = 0x0,
	SGL_BIT_BUCKET = 0x1,
	SGL_SEGMENT = 0x2,
	SGL_LAST_SEGMENT = 0x3,
};

struct sgl_descriptor {
	uint64_t address;
	uint32_t length;
	uint8_t reserved[3];
	uint8_t id; /* subtype, type */
};

_Static_assert(sizeof(struct sgl_descriptor) == 16, "size of a descriptor");

static bool add(struct nvme_spans *spans, uint64_t iova, uint32_t length, bool nowhere)
{
	struct nvme_span *last = spans->count ? &spans->span[spans->count - 1] : NULL;

	if (last && last->nowhere == nowhere && (nowhere || last->iova + last->length == iova)) {
		last->length += length;
		return true;
	}
	if (spans->count == NVME_SPANS)
		return false;
	spans->span[spans->count++] = (struct nvme_span){.iova = iova, .length = length, .nowhere = nowhere};
	return true;
}

static uint16_t read_memory(struct nvme *nvme, uint64_t iova, void *to, size_t n)
{
	if (iommuse_dma_read(nvme->device, IOMMUSE_NO_PASID, iova, to, n, NULL))
		return NVME_DATA_TRANSFER_ERROR;
	return NVME_SUCCESS;
}

/* PRPs */

/* Some entries of a list at a time. */
struct prp_list {
	uint64_t next; /* IOVA of what is to be read */
	unsigned have, at;
	uint64_t entry[PRP_AT_ONCE];
};

/* The next entry; wanted: how many are, at least. */
static uint16_t next_entry(struct nvme *nvme, struct prp_list *list, uint32_t wanted, uint64_t *entry)
{
	if (list->at == list->have) {
		uint32_t page = nvme_page_size(nvme);
		uint32_t n = (uint32_t)((page - (list->next & (page - 1))) / PRP_SIZE);

		n = n < wanted ? n : wanted;
		n = n < PRP_AT_ONCE ? n : PRP_AT_ONCE;
		if (read_memory(nvme, list->next, list->entry, n * PRP_SIZE))
			return NVME_DATA_TRANSFER_ERROR;
		list->next += n * PRP_SIZE;
		list->have = n;
		list->at = 0;
	}
	*entry = list->entry[list->at++];
	return NVME_SUCCESS;
}

/* Is the next entry the last of its page? */
static bool last_of_page(const struct nvme *nvme, const struct prp_list *list)
{
	uint64_t behind = list->next - (list->have - list->at) * PRP_SIZE + PRP_SIZE;

	return !(behind & (nvme_page_size(nvme) - 1));
}

/* n bytes, from the start of a page on. */
static uint16_t find_by_list(struct nvme *nvme, uint64_t at, uint32_t n, struct nvme_spans *spans)
{
	uint32_t page = nvme_page_size(nvme);
	struct prp_list list = {.next = at};

	if (at % PRP_SIZE)
		return NVME_PRP_INVALID_OFFSET;
	while (n) {
		uint32_t left = (n - 1) / page + 1, part = n < page ? n : page;
		bool chain = left > 1 && last_of_page(nvme, &list);
		uint64_t entry;
		uint16_t status = next_entry(nvme, &list, left, &entry);

		if (status)
			return status;
		if (entry & (page - 1))
			return NVME_PRP_INVALID_OFFSET;
		if (chain) {
			list = (struct prp_list){.next = entry};
			continue;
		}
		if (!add(spans, entry, part, false))
			return NVME_INVALID_FIELD;
		n -= part;
	}
	return NVME_SUCCESS;
}

static uint16_t find_by_prp(struct nvme *nvme, const struct nvme_command *command, uint32_t n, struct nvme_spans *spans)
{
	uint32_t page = nvme_page_size(nvme);
	uint32_t part = page - (uint32_t)(command->prp1 & (page - 1));

	if (command->prp1 & 3)
		return NVME_PRP_INVALID_OFFSET;
	part = part < n ? part : n;
	add(spans, command->prp1, part, false);
	n -= part;
	if (!n)
		return NVME_SUCCESS;
	if (n > page)
		return find_by_list(nvme, command->prp2, n, spans);
	if (command->prp2 & (page - 1))
		return NVME_PRP_INVALID_OFFSET;
	add(spans, command->prp2, n, false);
	return NVME_SUCCESS;
}

/* SGLs */

/* A segment that is looked at. */
struct sgl_segment {
	uint64_t iova;
	uint32_t left; /* descriptors */
	bool last;     /* of all segments */
};

struct sgl_walk {
	struct nvme_spans *spans;
	uint32_t n;      /* bytes that are wanted still */
	unsigned budget; /* descriptors */
	bool to_device;  /* the data; then bit buckets do not count */
	struct sgl_segment segment;
};

static uint16_t enter_segment(struct sgl_walk *walk, const struct sgl_descriptor *descriptor)
{
	if (!descriptor->length || descriptor->length % sizeof(*descriptor) || descriptor->address % SGL_ALIGNMENT)
		return NVME_SGL_INVALID_SEGMENT;
	walk->segment = (struct sgl_segment){.iova = descriptor->address,
					     .left = (uint32_t)(descriptor->length / sizeof(*descriptor)),
					     .last = descriptor->id >> 4 == SGL_LAST_SEGMENT};
	return NVME_SUCCESS;
}

/* One that is in a segment, or alone. in_last: of the last segment. */
static uint16_t take_descriptor(struct sgl_walk *walk, const struct sgl_descriptor *descriptor, bool in_last,
				bool at_end)
{
	uint32_t part = descriptor->length < walk->n ? descriptor->length : walk->n;
	bool bucket = descriptor->id >> 4 == SGL_BIT_BUCKET;

	if (bucket && walk->to_device)
		part = 0;
	if (descriptor->id & 0xf) /* an offset in memory of the controller, or a fabric's */
		return NVME_SGL_INVALID_TYPE;
	switch (descriptor->id >> 4) {
	case SGL_DATA:
	case SGL_BIT_BUCKET:
		if (at_end && !in_last)
			return NVME_SGL_INVALID_SEGMENT;
		if (part && !add(walk->spans, descriptor->address, part, bucket))
			return NVME_SGL_INVALID_COUNT;
		walk->n -= part;
		return NVME_SUCCESS;
	case SGL_SEGMENT:
	case SGL_LAST_SEGMENT:
		if (in_last)
			return NVME_SGL_INVALID_SEGMENT;
		if (!at_end)
			return NVME_SGL_INVALID_COUNT;
		return enter_segment(walk, descriptor);
	default:
		return NVME_SGL_INVALID_TYPE;
	}
}

/* A part of a segment: at most to its end. */
static uint16_t walk_some(struct nvme *nvme, struct sgl_walk *walk)
{
	struct sgl_descriptor descriptor[SGL_AT_ONCE];
	struct sgl_segment segment = walk->segment;
	unsigned n = segment.left < SGL_AT_ONCE ? segment.left : SGL_AT_ONCE;
	uint16_t status;

	if (n > walk->budget)
		return NVME_SGL_INVALID_COUNT;
	walk->budget -= n;
	nvme->budget -= n * PIECE_COST;
	status = read_memory(nvme, segment.iova, descriptor, n * sizeof(*descriptor));
	walk->segment.iova += n * sizeof(*descriptor);
	walk->segment.left -= n;
	for (unsigned i = 0; !status && i < n; i++)
		status = take_descriptor(walk, &descriptor[i], segment.last, i + 1 == segment.left);
	return status;
}

static uint16_t find_by_sgl(struct nvme *nvme, const struct nvme_command *command, uint32_t n, struct nvme_spans *spans)
{
	struct sgl_walk walk = {
		.spans = spans, .n = n, .budget = SGL_DESCRIPTORS, .to_device = command->opcode & OPCODE_TO_DEVICE};
	struct sgl_descriptor first = {
		.address = command->prp1, .length = (uint32_t)command->prp2, .id = (uint8_t)(command->prp2 >> 56)};
	/* A first that is a segment is as the end of one; data are alone, as in a last. */
	bool data = first.id >> 4 < SGL_SEGMENT;
	uint16_t status = take_descriptor(&walk, &first, data, true);

	while (!status && walk.n && walk.segment.left)
		status = walk_some(nvme, &walk);
	if (!status && walk.n)
		status = NVME_SGL_INVALID_LENGTH;
	return status;
}

uint16_t nvme_find_data(struct nvme *nvme, const struct nvme_command *command, uint32_t n, struct nvme_spans *spans)
{
	spans->count = 0;
	if (command->flags >> COMMAND_PSDT_SHIFT)
		return find_by_sgl(nvme, command, n, spans);
	return find_by_prp(nvme, command, n, spans);
}

/* Copying */

static uint16_t copy(struct nvme *nvme, const struct nvme_spans *spans, uint32_t skip, uint8_t *buffer, uint32_t n,
		     bool to_memory)
{
	for (unsigned i = 0; n && i < spans->count; i++) {
		const struct nvme_span *span = &spans->span[i];
		uint32_t part = span->length - skip;
		uint64_t iova = span->iova + skip;
		int rc = 0;

		if (skip >= span->length) {
			skip -= span->length;
			continue;
		}
		skip = 0;
		part = part < n ? part : n;
		if (to_memory && !span->nowhere)
			rc = iommuse_dma_write(nvme->device, IOMMUSE_NO_PASID, iova, buffer, part, NULL);
		else if (!to_memory && !span->nowhere)
			rc = iommuse_dma_read(nvme->device, IOMMUSE_NO_PASID, iova, buffer, part, NULL);
		if (part < PIECE_COST)
			nvme->budget -= PIECE_COST;
		if (rc)
			return NVME_DATA_TRANSFER_ERROR;
		buffer += part;
		n -= part;
	}
	return NVME_SUCCESS;
}

uint16_t nvme_from_memory(struct nvme *nvme, const struct nvme_spans *spans, uint32_t skip, void *to, uint32_t n)
{
	return copy(nvme, spans, skip, to, n, false);
}

uint16_t nvme_to_memory(struct nvme *nvme, const struct nvme_spans *spans, uint32_t skip, const void *from, uint32_t n)
{
	/* copy() only reads it then. */
	return copy(nvme, spans, skip, (uint8_t *)(uintptr_t)from, n, true);
}
