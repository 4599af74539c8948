/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Model "ioat": Intel's CBDMA copy engine of version 3, with one channel.
 *
 * Drivers map its registers, so what they store is seen when poll() looks, which may be late; and what they load is
 * what was there before. Each register is therefore kept such that a driver finds it right whenever it looks:
 *
 * - CHANCMD: a bit stays set until the command is done; drivers that care wait for that. A reset makes all that was
 *   commanded before it void.
 * - CHAINADDR and DMACOUNT are replaced, once taken, by values that no driver stores there; so a store of the same
 *   value is seen too. A chain address counts from the next store to DMACOUNT on.
 * - CHANSTS: a driver that has asked for completions in memory, errors included, and for no interrupt at errors, learns
 *   from memory how the channel is, and gives the register some microseconds to follow a command: DPDK's does. There it
 *   shows what that command will have led to, before it was given: SUSPENDED while nothing is to be done (then it can
 *   be stopped and started), ARMED after an error (then it can be reset and started again). Other drivers find the
 *   usual: HALTED after an error or a reset, DONE, SUSPENDED. As they do not look at a channel halted by a reset again
 *   once they have seen it so, HALTED becomes SUSPENDED soon after.
 */
#include "devices/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* BAR 0. Drivers map it whole, the table of MSI-X as well, where nothing looks at what they store. */
#define BAR_SIZE   0x4000U
#define MSIX_TABLE 0x3000U
#define MSIX_PBA   0x3800U

enum {
	CHANCNT = 0x00,
	XFERCAP = 0x01,
	INTRCTRL = 0x03,
	ATTNSTATUS = 0x04,
	CBVER = 0x08,
	DMACAP = 0x10,
	CHANCTRL = 0x80,
	CHANCMD = 0x84,
	DMACOUNT = 0x86,
	CHANSTS = 0x88,
	CHAINADDR = 0x90,
	CHANCMP = 0x98,
	CDAR = 0xa0,
	CHANERR = 0xa8,
	CHANERRMASK = 0xac,
};

enum {
	INTRCTRL_MASTER = 0x01, /* interrupts are enabled */
	INTRCTRL_STATUS = 0x02,
	INTRCTRL_INT = 0x04,
	INTRCTRL_MSIX = 0x08,

	CAP_FILL = 0x40,

	CTRL_REARM = 0x01, /* one more interrupt may come */
	CTRL_ERR_COMPLETION = 0x04,
	CTRL_ERR_INTERRUPT = 0x10,

	CMD_SUSPEND = 0x04,
	CMD_ABORT = 0x08,
	CMD_RESUME = 0x10,
	CMD_RESET = 0x20,

	STS_ACTIVE = 0,
	STS_DONE = 1,
	STS_SUSPENDED = 2,
	STS_HALTED = 3,
	STS_ARMED = 4,

	ERR_SOURCE = 0x1,
	ERR_DESTINATION = 0x2,
	ERR_ALIGNMENT = 0x8, /* of a descriptor */
	ERR_CHAIN = 0x10,    /* the chain's address */
	ERR_READ = 0x100,    /* a descriptor cannot be read */
	ERR_CONTROL = 0x400,
	ERR_LENGTH = 0x800,
	ERR_COMPLETION = 0x1000,

	CONTROL_INTERRUPT = 0x1,
	CONTROL_COMPLETION = 0x8, /* write the status to memory */
	CONTROL_NULL = 0x20,
	CONTROL_OP_SHIFT = 24,

	OP_COPY = 0,
	OP_FILL = 1,
};

#define XFERCAP_BITS     20U
#define DESCRIPTOR_ALIGN 64U
#define NO_CHAIN         UINT64_MAX

/* How much is done in one callback. */
#define POLL_DESCRIPTORS 64U
#define POLL_BYTES       (1U << 20)

#define FILL_BYTES 4096U

/* For so long a reset shows, and a count that was there together with a reset must not change to be the one after. */
#define RESET_SHOWS_NS 5000000U
#define SETTLE_NS      1000000U

struct descriptor {
	uint32_t size, control;
	uint64_t source; /* or the pattern */
	uint64_t destination, next;
	uint64_t reserved[4];
};

struct ioat {
	struct iommuse_device *device;
	uint8_t version;
	uint8_t *registers; /* NULL: the device is not open */

	/* The channel. */
	bool halted; /* by an error */
	bool suspended;
	uint64_t next;         /* descriptor; NO_CHAIN: there is no chain */
	uint64_t completed;    /* descriptor; 0: none of this chain */
	uint16_t done, wanted; /* descriptors of the chain, modulo 2^16 */
	uint16_t idle_count;   /* DMACOUNT while nothing new was stored there */
	uint32_t errors;

	bool settling;
	uint16_t settling_count;
	uint64_t settled_at;     /* ns */
	uint64_t shown_until;    /* a reset's status; 0: it is not shown */
	uint8_t interrupt_shown; /* INTRCTRL as we set it */
	bool pending, asserted;

	uint8_t fill[FILL_BYTES];
};

/* Registers */

static uint8_t load8(const struct ioat *ioat, unsigned offset)
{
	return __atomic_load_n(ioat->registers + offset, __ATOMIC_SEQ_CST);
}

static uint16_t load16(const struct ioat *ioat, unsigned offset)
{
	return __atomic_load_n((const uint16_t *)(const void *)(ioat->registers + offset), __ATOMIC_SEQ_CST);
}

static uint32_t load32(const struct ioat *ioat, unsigned offset)
{
	return __atomic_load_n((const uint32_t *)(const void *)(ioat->registers + offset), __ATOMIC_SEQ_CST);
}

static uint64_t load64(const struct ioat *ioat, unsigned offset)
{
	return __atomic_load_n((const uint64_t *)(const void *)(ioat->registers + offset), __ATOMIC_SEQ_CST);
}

static void store8(struct ioat *ioat, unsigned offset, uint8_t value)
{
	__atomic_store_n(ioat->registers + offset, value, __ATOMIC_SEQ_CST);
}

static void store32(struct ioat *ioat, unsigned offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(ioat->registers + offset), value, __ATOMIC_SEQ_CST);
}

static void store64(struct ioat *ioat, unsigned offset, uint64_t value)
{
	__atomic_store_n((uint64_t *)(void *)(ioat->registers + offset), value, __ATOMIC_SEQ_CST);
}

/* Unless the driver has stored something else meanwhile. */
static bool replace8(struct ioat *ioat, unsigned offset, uint8_t old, uint8_t value)
{
	return __atomic_compare_exchange_n(ioat->registers + offset, &old, value, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static bool replace16(struct ioat *ioat, unsigned offset, uint16_t old, uint16_t value)
{
	return __atomic_compare_exchange_n((uint16_t *)(void *)(ioat->registers + offset), &old, value, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static bool replace64(struct ioat *ioat, unsigned offset, uint64_t old, uint64_t value)
{
	return __atomic_compare_exchange_n((uint64_t *)(void *)(ioat->registers + offset), &old, value, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Does the driver look for the status in memory only? */
static bool by_memory(const struct ioat *ioat)
{
	return (load16(ioat, CHANCTRL) & (CTRL_ERR_COMPLETION | CTRL_ERR_INTERRUPT)) == CTRL_ERR_COMPLETION;
}

static void show(struct ioat *ioat, unsigned status)
{
	ioat->shown_until = 0;
	store64(ioat, CHANSTS, status == STS_ARMED ? STS_ARMED : ioat->completed | status);
}

static unsigned shown(const struct ioat *ioat)
{
	return load64(ioat, CHANSTS) & 7;
}

/* Interrupts */

static void fire(struct ioat *ioat)
{
	uint8_t control = load8(ioat, INTRCTRL);
	bool message = iommuse_vectors(ioat->device);

	if (!ioat->pending || !(load16(ioat, CHANCTRL) & CTRL_REARM))
		return;
	if (!(control & INTRCTRL_MASTER) && !(message && control & INTRCTRL_MSIX))
		return;
	__atomic_fetch_and((uint16_t *)(void *)(ioat->registers + CHANCTRL), (uint16_t)~CTRL_REARM, __ATOMIC_SEQ_CST);
	ioat->pending = false;
	store32(ioat, ATTNSTATUS, 1);
	ioat->interrupt_shown = control | INTRCTRL_STATUS | INTRCTRL_INT;
	replace8(ioat, INTRCTRL, control, ioat->interrupt_shown);
	if (message) {
		iommuse_raise(ioat->device, 0);
		return;
	}
	ioat->asserted = true;
	iommuse_set_intx(ioat->device, true);
}

static void interrupt(struct ioat *ioat)
{
	ioat->pending = true;
	fire(ioat);
}

static void deassert(struct ioat *ioat)
{
	if (!ioat->asserted)
		return;
	ioat->asserted = false;
	store32(ioat, ATTNSTATUS, 0);
	iommuse_set_intx(ioat->device, false);
}

/* The driver is done with an interrupt when it asks for the next one, or writes the interrupt control. */
static void watch_interrupts(struct ioat *ioat)
{
	if (ioat->asserted && (load16(ioat, CHANCTRL) & CTRL_REARM || load8(ioat, INTRCTRL) != ioat->interrupt_shown))
		deassert(ioat);
	if (ioat->pending)
		fire(ioat);
}

/* Status in memory. Returns error bits. */
static uint32_t write_status(struct ioat *ioat, unsigned status)
{
	uint64_t value = ioat->completed | status, at = load64(ioat, CHANCMP);

	if (at % sizeof(value) || iommuse_dma_write(ioat->device, IOMMUSE_NO_PASID, at, &value, sizeof(value), NULL))
		return ERR_COMPLETION;
	return 0;
}

static void halt(struct ioat *ioat, uint32_t errors)
{
	uint16_t control = load16(ioat, CHANCTRL);
	bool memory = by_memory(ioat);

	ioat->halted = true;
	ioat->next = NO_CHAIN;
	ioat->wanted = ioat->done;
	/* When it finds in memory that the channel is halted, it can start it again. */
	if (memory) {
		store32(ioat, CHANERR, ioat->errors | errors);
		show(ioat, STS_ARMED);
	}
	if (control & CTRL_ERR_COMPLETION && !(errors & ERR_COMPLETION))
		errors |= write_status(ioat, STS_HALTED);
	ioat->errors |= errors;
	store32(ioat, CHANERR, ioat->errors);
	if (!memory)
		show(ioat, STS_HALTED);
	if (control & CTRL_ERR_INTERRUPT && errors & ~load32(ioat, CHANERRMASK))
		interrupt(ioat);
}

/* Descriptors */

static uint32_t side(const struct descriptor *descriptor, const struct iommuse_fault *fault)
{
	if (fault->reason == IOMMUSE_FAULT_READ_ONLY)
		return ERR_DESTINATION;
	if (fault->reason == IOMMUSE_FAULT_WRITE_ONLY)
		return ERR_SOURCE;
	return fault->iova - descriptor->source < descriptor->size ? ERR_SOURCE : ERR_DESTINATION;
}

static uint32_t do_copy(struct ioat *ioat, const struct descriptor *descriptor)
{
	struct iommuse_fault fault;

	if (iommuse_dma_copy(ioat->device, IOMMUSE_NO_PASID, descriptor->destination, descriptor->source,
			     descriptor->size, &fault))
		return side(descriptor, &fault);
	return 0;
}

static uint32_t do_fill(struct ioat *ioat, const struct descriptor *descriptor)
{
	uint32_t used = descriptor->size < FILL_BYTES ? descriptor->size : FILL_BYTES;

	for (uint32_t i = 0; i < used; i++)
		ioat->fill[i] = (uint8_t)(descriptor->source >> i % 8 * 8);
	for (uint32_t at = 0; at < descriptor->size; at += FILL_BYTES) {
		uint32_t n = descriptor->size - at < FILL_BYTES ? descriptor->size - at : FILL_BYTES;

		if (iommuse_dma_write(ioat->device, IOMMUSE_NO_PASID, descriptor->destination + at, ioat->fill, n,
				      NULL))
			return ERR_DESTINATION;
	}
	return 0;
}

/* Returns error bits. */
static uint32_t execute(struct ioat *ioat, const struct descriptor *descriptor)
{
	uint32_t op = descriptor->control >> CONTROL_OP_SHIFT;

	if (op != OP_COPY && op != OP_FILL)
		return ERR_CONTROL;
	if (descriptor->control & CONTROL_NULL)
		return 0;
	if (!descriptor->size || descriptor->size > 1U << XFERCAP_BITS)
		return ERR_LENGTH;
	return op == OP_COPY ? do_copy(ioat, descriptor) : do_fill(ioat, descriptor);
}

/* After a descriptor. Returns error bits. */
static uint32_t complete(struct ioat *ioat, const struct descriptor *descriptor)
{
	bool last = ioat->done == ioat->wanted, memory = by_memory(ioat);
	uint32_t errors = 0;

	store64(ioat, CDAR, ioat->completed);
	/* When it finds in memory that all is done, it can stop the channel. */
	if (memory && last)
		show(ioat, STS_SUSPENDED);
	if (descriptor->control & CONTROL_COMPLETION)
		errors = write_status(ioat, last ? STS_DONE : STS_ACTIVE);
	if (errors)
		return errors;
	if (!memory)
		show(ioat, last ? STS_DONE : STS_ACTIVE);
	if (descriptor->control & CONTROL_INTERRUPT)
		interrupt(ioat);
	return 0;
}

/* One descriptor. Returns how many bytes it was about. */
static uint32_t step(struct ioat *ioat)
{
	uint64_t at = ioat->next;
	struct descriptor descriptor;
	uint32_t errors;

	if (at % DESCRIPTOR_ALIGN) {
		halt(ioat, ioat->completed ? ERR_ALIGNMENT : ERR_CHAIN);
		return 0;
	}
	if (iommuse_dma_read(ioat->device, IOMMUSE_NO_PASID, at, &descriptor, sizeof(descriptor), NULL)) {
		halt(ioat, ERR_READ);
		return 0;
	}
	errors = execute(ioat, &descriptor);
	if (!errors) {
		ioat->done++;
		ioat->completed = at;
		ioat->next = descriptor.next;
		errors = complete(ioat, &descriptor);
	}
	if (errors)
		halt(ioat, errors);
	return descriptor.size;
}

static bool run(struct ioat *ioat)
{
	uint64_t bytes = 0;
	unsigned count = 0;

	/* A command comes first. */
	while (ioat->done != ioat->wanted && !ioat->suspended && !load8(ioat, CHANCMD) && count < POLL_DESCRIPTORS &&
	       bytes < POLL_BYTES) {
		bytes += step(ioat);
		count++;
	}
	return count;
}

/* Doorbell */

/* What no driver stores after count: not one of the next thousands of counts, nor one of a new chain's first. */
static uint16_t nothing_new(uint16_t count)
{
	uint16_t far = (uint16_t)(count + 0x8000U);

	return far <= 0x1000 ? (uint16_t)(count + 0x4000U) : far;
}

/* Has what was stored together with a reset been there long enough? */
static bool settled(struct ioat *ioat, uint16_t count)
{
	if (ioat->settling && count == ioat->settling_count && now_ns() < ioat->settled_at)
		return false;
	ioat->settling = false;
	return true;
}

/* Takes what was stored into DMACOUNT, and into CHAINADDR before it. */
static bool take_count(struct ioat *ioat)
{
	uint16_t count = load16(ioat, DMACOUNT);
	uint64_t chain = load64(ioat, CHAINADDR);

	/* What a driver stores after a command is not taken before the command; it is seen here if they are. */
	if (count == ioat->idle_count || load8(ioat, CHANCMD) || !settled(ioat, count))
		return false;
	if (ioat->halted || (chain == NO_CHAIN && ioat->next == NO_CHAIN)) {
		replace16(ioat, DMACOUNT, count, ioat->idle_count);
		return false;
	}
	if (!replace16(ioat, DMACOUNT, count, nothing_new(count)))
		return true;
	ioat->idle_count = nothing_new(count);
	ioat->wanted = count;
	if (chain != NO_CHAIN) {
		replace64(ioat, CHAINADDR, chain, NO_CHAIN);
		ioat->next = chain;
		ioat->done = 0;
		ioat->completed = 0;
		ioat->suspended = false;
	}
	if (!ioat->suspended)
		show(ioat, ioat->done != ioat->wanted ? STS_ACTIVE : by_memory(ioat) ? STS_SUSPENDED : STS_DONE);
	return true;
}

/* Commands */

/* The driver may know that nothing more comes, and store any count next. */
static void forget_count(struct ioat *ioat)
{
	if (replace16(ioat, DMACOUNT, ioat->idle_count, 0))
		ioat->idle_count = 0;
}

static void clear_channel(struct ioat *ioat)
{
	ioat->halted = false;
	ioat->suspended = false;
	ioat->next = NO_CHAIN;
	ioat->completed = 0;
	ioat->done = 0;
	ioat->wanted = 0;
	ioat->errors = 0;
	ioat->pending = false;
	deassert(ioat);
	store32(ioat, CHANERR, 0);
	store64(ioat, CDAR, 0);
}

static void show_reset(struct ioat *ioat)
{
	if (!by_memory(ioat))
		show(ioat, STS_HALTED);
	else if (shown(ioat) == STS_HALTED || shown(ioat) == STS_ARMED)
		show(ioat, STS_ARMED);
	else
		show(ioat, STS_SUSPENDED);
	ioat->shown_until = now_ns() + RESET_SHOWS_NS;
}

static void reset_channel(struct ioat *ioat)
{
	uint16_t count = load16(ioat, DMACOUNT);
	uint64_t chain = load64(ioat, CHAINADDR);

	clear_channel(ioat);
	ioat->settling = false;
	if (count == ioat->idle_count) {
		forget_count(ioat);
	} else if (chain == NO_CHAIN) {
		/* Stored before the reset: after it comes a chain's address first. */
		if (replace16(ioat, DMACOUNT, count, 0))
			ioat->idle_count = 0;
	} else {
		ioat->settling = true;
		ioat->settling_count = count;
		ioat->settled_at = now_ns() + SETTLE_NS;
	}
	show_reset(ioat);
}

static bool obey(struct ioat *ioat)
{
	uint8_t command = load8(ioat, CHANCMD);

	if (!command)
		return false;
	if (command & CMD_RESET) {
		reset_channel(ioat);
	} else if (command & CMD_ABORT) {
		ioat->wanted = ioat->done;
		ioat->next = NO_CHAIN;
		ioat->halted = true;
		show(ioat, STS_HALTED);
	} else if (command & CMD_SUSPEND && !ioat->halted) {
		ioat->suspended = true;
		forget_count(ioat);
		show(ioat, STS_SUSPENDED);
	} else if (command & CMD_RESUME) {
		ioat->suspended = false;
	}
	/* Last: until then the driver waits. Another command may have come. */
	replace8(ioat, CHANCMD, command, 0);
	return true;
}

/* What drivers store into registers that they cannot change, or by which they clear bits. */
static void mend(struct ioat *ioat)
{
	uint32_t errors = load32(ioat, CHANERR);

	if (errors != ioat->errors) {
		ioat->errors &= ~errors;
		store32(ioat, CHANERR, ioat->errors);
	}
	if (load8(ioat, CHANCNT) != 1)
		store8(ioat, CHANCNT, 1);
	if (load8(ioat, XFERCAP) != XFERCAP_BITS)
		store8(ioat, XFERCAP, XFERCAP_BITS);
	if (load8(ioat, CBVER) != ioat->version)
		store8(ioat, CBVER, ioat->version);
	if (load32(ioat, DMACAP) != CAP_FILL)
		store32(ioat, DMACAP, CAP_FILL);
}

/* It is over when it was there long enough, or a chain follows for a driver that looks there for what comes of it. */
static void end_reset(struct ioat *ioat)
{
	if (!ioat->shown_until)
		return;
	if (now_ns() >= ioat->shown_until || (!by_memory(ioat) && load64(ioat, CHAINADDR) != NO_CHAIN))
		show(ioat, STS_SUSPENDED);
}

static bool ioat_poll(void *state)
{
	struct ioat *ioat = state;
	bool found;

	if (!ioat->registers)
		return false;
	found = obey(ioat);
	mend(ioat);
	watch_interrupts(ioat);
	end_reset(ioat);
	found |= take_count(ioat);
	found |= run(ioat);
	return found;
}

/* The device */

static void ioat_reset(void *state)
{
	struct ioat *ioat = state;

	ioat->registers = iommuse_memory(ioat->device, 0, 0);
	ioat->asserted = false;
	if (!ioat->registers)
		return;
	ioat->idle_count = 0;
	ioat->settling = false;
	clear_channel(ioat);
	store64(ioat, CHAINADDR, NO_CHAIN);
	mend(ioat);
	show_reset(ioat);
	iommuse_set_intx(ioat->device, false);
}

static int ioat_create(struct iommuse_device *device, void **state)
{
	const char *version = iommuse_value(device, "version");
	struct ioat *ioat;

	if (strlen(version) != 3 || version[0] != '3' || version[1] != '.' || version[2] < '2' || version[2] > '4') {
		iommuse_say(device, "version is 3.2, 3.3 or 3.4");
		return -EINVAL;
	}
	ioat = calloc(1, sizeof(*ioat));
	if (!ioat)
		return -ENOMEM;
	ioat->device = device;
	ioat->version = (uint8_t)(0x30 + (version[2] - '0'));
	*state = ioat;
	return 0;
}

static const struct iommuse_key keys[] = {
	{"version", "3.2|3.3|3.4", "of the registers; DPDK handles errors from 3.4 on", "3.3"},
	{NULL, NULL, NULL, NULL},
};

const struct iommuse_model ioat_model = {
	.struct_size = sizeof(struct iommuse_model),
	.api_version = IOMMUSE_DEVICE_API,
	.name = "ioat",
	.title = "a copy engine: Intel CBDMA of Skylake Xeons",
	.example = "echo dmadev_autotest | iommuse run --device ioat -- "
		   "dpdk-test --no-huge -m 512 --iova-mode=va -l 0,1",
	.keys = keys,
	.vendor = 0x8086,
	.device = 0x2021,
	.subsystem_vendor = 0x8086,
	.subsystem_device = 0x0000,
	.class_code = 0x088000,
	.revision = 0x04,
	.bar = {[0] = {.size = BAR_SIZE, .wide = true, .area = {{.offset = 0, .length = BAR_SIZE}}}},
	.intx = true,
	.msi_vectors = 1,
	.msix_vectors = 1,
	.msix_bar = 0,
	.msix_table = MSIX_TABLE,
	.msix_pba = MSIX_PBA,
	.create = ioat_create,
	.destroy = free,
	.reset = ioat_reset,
	.poll = ioat_poll,
};
