/* SPDX-License-Identifier: BSD-3-Clause */
/* What dmax does with memory. */
#include "devices/dmax.h"

#include <string.h>

/* CRC-32C, its bits reversed. */
#define POLYNOMIAL 0x82f63b78U

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Checks */

static bool beyond_last(uint64_t address, uint64_t length)
{
	return address + (length - 1) < address;
}

static enum dmax_status check_memory(const struct dmax_descriptor *d)
{
	bool source = d->operation != DMAX_FILL;
	bool destination = d->operation != DMAX_CHECKSUM;

	if (!d->length || d->length > DMAX_TRANSFER_MAX)
		return DMAX_BAD_LENGTH;
	if (source && beyond_last(d->source, d->length))
		return DMAX_BAD_ADDRESS;
	if (destination && beyond_last(d->destination, d->length))
		return DMAX_BAD_ADDRESS;
	if (d->operation == DMAX_COPY &&
	    (d->source - d->destination < d->length || d->destination - d->source < d->length))
		return DMAX_OVERLAP;
	return DMAX_UNDER_WAY;
}

static enum dmax_status check_batch(const struct dmax_descriptor *d)
{
	if (!d->length || d->length > DMAX_BATCH_MAX)
		return DMAX_BAD_LENGTH;
	if (d->source % sizeof(*d) || beyond_last(d->source, d->length * sizeof(*d)))
		return DMAX_BAD_ADDRESS;
	return DMAX_UNDER_WAY;
}

enum dmax_status dmax_work_check(const struct dmax_descriptor *d, bool in_batch)
{
	if (d->operation >= DMAX_OPERATIONS)
		return DMAX_BAD_OPCODE;
	if (in_batch && d->operation == DMAX_BATCH)
		return DMAX_NESTED;
	if (d->flags & ~FLAGS || (d->flags & FLAG_FENCE && !in_batch))
		return DMAX_BAD_FLAGS;
	if (d->reserved0 || d->reserved1[0] || d->reserved1[1] || d->reserved1[2])
		return DMAX_BAD_RESERVED;
	if (d->operation == DMAX_NOOP)
		return DMAX_UNDER_WAY;
	return d->operation == DMAX_BATCH ? check_batch(d) : check_memory(d);
}

/* Memory */

/* How many of n bytes from address on come before a fault. */
static uint32_t before(const struct iommuse_fault *fault, uint64_t address, uint32_t n)
{
	return fault->iova - address < n ? (uint32_t)(fault->iova - address) : 0;
}

static void failed(struct dmax_work *work, const struct iommuse_fault *fault, uint32_t access, uint32_t *reason)
{
	work->address = fault->iova;
	work->access = access;
	*reason = fault->reason;
}

static void copy(struct dmax *dmax, struct dmax_work *work, uint32_t pasid, uint32_t n, uint32_t *reason)
{
	uint64_t from = work->descriptor.source + work->done, to = work->descriptor.destination + work->done;
	struct iommuse_fault fault;

	if (!iommuse_dma_copy(dmax->device, pasid, to, from, n, &fault)) {
		work->done += n;
	} else if (fault.iova - to < n) {
		work->done += before(&fault, to, n);
		failed(work, &fault, IOMMUSE_WRITE, reason);
	} else {
		work->done += before(&fault, from, n);
		failed(work, &fault, IOMMUSE_READ, reason);
	}
}

static void fill_with(struct dmax *dmax, uint64_t value)
{
	if (dmax->fill_value == value)
		return;
	dmax->fill_value = value;
	for (size_t i = 0; i < sizeof(dmax->fill); i += sizeof(value))
		memcpy(dmax->fill + i, &value, sizeof(value));
}

static void fill(struct dmax *dmax, struct dmax_work *work, uint32_t pasid, uint32_t n, uint32_t *reason)
{
	uint64_t to = work->descriptor.destination + work->done;
	const uint8_t *from = dmax->fill + work->done % sizeof(dmax->fill_value);
	struct iommuse_fault fault;

	fill_with(dmax, work->descriptor.value);
	if (!iommuse_dma_write(dmax->device, pasid, to, from, n, &fault)) {
		work->done += n;
		return;
	}
	work->done += before(&fault, to, n);
	failed(work, &fault, IOMMUSE_WRITE, reason);
}

static uint32_t same(const uint8_t *a, const uint8_t *b, uint32_t n)
{
	uint32_t i = 0;

	if (!memcmp(a, b, n))
		return n;
	while (a[i] == b[i])
		i++;
	return i;
}

/* Reads up to n bytes. Returns how many; less than n: with *fault. */
static uint32_t read_some(struct dmax *dmax, uint32_t pasid, uint64_t address, void *to, uint32_t n,
			  struct iommuse_fault *fault)
{
	if (!iommuse_dma_read(dmax->device, pasid, address, to, n, fault))
		return n;
	return before(fault, address, n);
}

static void compare(struct dmax *dmax, struct dmax_work *work, uint32_t pasid, uint32_t n, uint32_t *reason)
{
	struct iommuse_fault fault_a, fault_b;
	uint32_t got_a, got_b, equal;

	got_a = read_some(dmax, pasid, work->descriptor.source + work->done, dmax->a, n, &fault_a);
	got_b = got_a ? read_some(dmax, pasid, work->descriptor.destination + work->done, dmax->b, got_a, &fault_b) : 0;
	equal = same(dmax->a, dmax->b, got_b);
	work->done += equal;
	work->result = work->done;
	if (equal < got_b)
		work->status = DMAX_SUCCESS;
	else if (got_b < got_a)
		failed(work, &fault_b, IOMMUSE_READ, reason);
	else if (got_a < n)
		failed(work, &fault_a, IOMMUSE_READ, reason);
}

static uint32_t crc_update(const uint32_t table[8][256], uint32_t crc, const uint8_t *at, size_t n)
{
	for (; n >= 8; n -= 8, at += 8) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		word ^= crc;
		crc = 0;
		for (unsigned i = 0; i < 8; i++)
			crc ^= table[7 - i][word >> i * 8 & 0xff];
	}
	for (; n; n--, at++)
		crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
	return crc;
}

static void checksum(struct dmax *dmax, struct dmax_work *work, uint32_t pasid, uint32_t n, uint32_t *reason)
{
	uint32_t sum = work->done ? (uint32_t)work->result : (uint32_t)work->descriptor.value;
	struct iommuse_fault fault;
	uint32_t got;

	got = read_some(dmax, pasid, work->descriptor.source + work->done, dmax->a, n, &fault);
	work->result = (uint32_t)~crc_update((const uint32_t(*)[256])dmax->crc, ~sum, dmax->a, got);
	work->done += got;
	if (got < n)
		failed(work, &fault, IOMMUSE_READ, reason);
}

uint32_t dmax_work_step(struct dmax *dmax, struct dmax_work *work, uint32_t pasid, uint32_t most, uint32_t *reason)
{
	static void (*const steps[])(struct dmax *, struct dmax_work *, uint32_t, uint32_t, uint32_t *) = {
		[DMAX_COPY] = copy,
		[DMAX_FILL] = fill,
		[DMAX_COMPARE] = compare,
		[DMAX_CHECKSUM] = checksum,
	};
	const struct dmax_descriptor *descriptor = &work->descriptor;
	uint32_t n = least(descriptor->length - work->done, most);

	*reason = 0;
	if (descriptor->operation == DMAX_NOOP) {
		work->status = DMAX_SUCCESS;
		return 0;
	}
	if (descriptor->operation != DMAX_COPY)
		n = least(n, DMAX_PIECE);
	steps[descriptor->operation](dmax, work, pasid, n, reason);
	if (!*reason && work->done == descriptor->length)
		work->status = DMAX_SUCCESS;
	return n;
}

void dmax_work_init(struct dmax *dmax)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		dmax->crc[0][i] = crc;
	}
	for (unsigned n = 1; n < 8; n++)
		for (unsigned i = 0; i < 256; i++) {
			uint32_t crc = dmax->crc[n - 1][i];

			dmax->crc[n][i] = crc >> 8 ^ dmax->crc[0][crc & 0xff];
		}
}
