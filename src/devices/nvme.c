/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The controller's registers and its life. Drivers map the registers, so that all is seen late, and all that may be
 * loaded is right at any time:
 *
 * - CSTS follows CC: a driver that changes CC.EN or CC.SHN waits for that.
 * - INTMS shows the mask, and INTMC always 0, so that a store of the same bits is seen. Of both, stored while nobody
 *   looked, INTMS came first.
 * - What drivers store into other registers is taken back when there is nothing else to do.
 */
#include "devices/nvme.h"

#include "devices/device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* BAR 0. Drivers map it whole, the table of MSI-X as well, where nothing looks at what they store. */
#define BAR_SIZE   0x4000U
#define MSIX_TABLE 0x2000U
#define MSIX_PBA   0x3000U

#define READY_TIMEOUT 120U /* CAP.TO, of 500 ms: what the image has to do may take long */
#define MPS_MAX       4U   /* 64 KiB */

/* How many bytes of data are moved in one callback, about. */
#define POLL_BYTES (1 << 20)

#define NUMBER_DIGITS_MAX 19U
#define SERIAL_MAX        20U

/* Registers */

static uint32_t load32(const struct nvme *nvme, unsigned offset)
{
	return __atomic_load_n((const uint32_t *)(const void *)(nvme->registers + offset), __ATOMIC_SEQ_CST);
}

static void store32(struct nvme *nvme, unsigned offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)(void *)(nvme->registers + offset), value, __ATOMIC_SEQ_CST);
}

/* Unless the driver has stored something else meanwhile. */
static void replace32(struct nvme *nvme, unsigned offset, uint32_t old, uint32_t value)
{
	__atomic_compare_exchange_n((uint32_t *)(void *)(nvme->registers + offset), &old, value, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* In halves, as some drivers store it. */
static uint64_t load64(const struct nvme *nvme, unsigned offset)
{
	return load32(nvme, offset) | (uint64_t)load32(nvme, offset + 4) << 32;
}

uint32_t nvme_config(const struct nvme *nvme)
{
	return load32(nvme, NVME_CC);
}

static void show_status(struct nvme *nvme, uint32_t status)
{
	nvme->status = status;
	store32(nvme, NVME_CSTS, status);
}

static void keep(struct nvme *nvme, unsigned offset, uint32_t value)
{
	if (load32(nvme, offset) != value)
		store32(nvme, offset, value);
}

/* What drivers cannot change. */
static void mend(struct nvme *nvme)
{
	const uint64_t cap = (uint64_t)(NVME_ENTRIES_MAX - 1) << CAP_MQES_SHIFT | UINT64_C(1) << CAP_CQR_SHIFT |
			     (uint64_t)READY_TIMEOUT << CAP_TO_SHIFT | UINT64_C(1) << CAP_CSS_SHIFT |
			     (uint64_t)MPS_MAX << CAP_MPSMAX_SHIFT;

	keep(nvme, NVME_CAP, (uint32_t)(cap & UINT32_MAX));
	keep(nvme, NVME_CAP + 4, (uint32_t)(cap >> 32));
	keep(nvme, NVME_VS, NVME_VERSION);
	keep(nvme, NVME_CSTS, nvme->status);
	/* There is no reset of the subsystem, no buffer for a boot or for the controller. */
	keep(nvme, NVME_NSSR, 0);
	for (unsigned at = NVME_CMBLOC; at <= NVME_CMBSTS; at += 4)
		keep(nvme, at, 0);
}

static void watch_mask(struct nvme *nvme)
{
	uint32_t set = load32(nvme, NVME_INTMS), clear = load32(nvme, NVME_INTMC);

	if (set == nvme->interrupt_mask && !clear)
		return;
	nvme->interrupt_mask = (nvme->interrupt_mask | set) & ~clear;
	nvme->pin_news = true;
	replace32(nvme, NVME_INTMS, set, nvme->interrupt_mask);
	replace32(nvme, NVME_INTMC, clear, 0);
}

/* Life */

void nvme_fail(struct nvme *nvme)
{
	nvme->state = NVME_FATAL;
	show_status(nvme, nvme->status | CSTS_CFS);
}

/* A controller level reset (7.3.2). The admin queue's registers stay. */
static void reset_controller(struct nvme *nvme)
{
	nvme->state = NVME_OFF;
	nvme_queues_forget(nvme);
	nvme_requests_forget(nvme);
	nvme_features_init(nvme);
	nvme->events = (struct nvme_events){0};
	nvme->shutdown = NVME_UP;
	nvme->interrupt_mask = 0;
	nvme->pin_news = false;
	nvme->asserted = false;
	iommuse_set_intx(nvme->device, false);
	store32(nvme, NVME_INTMS, 0);
	store32(nvme, NVME_INTMC, 0);
	image_push(nvme->image);
	show_status(nvme, 0);
}

/* What a driver enables the controller with, read once. */
struct setup {
	uint32_t config;
	unsigned page_shift;
	uint32_t sq_size, cq_size;
	uint64_t sq, cq;
};

static struct setup load_setup(const struct nvme *nvme, uint32_t config)
{
	uint32_t aqa = load32(nvme, NVME_AQA);

	return (struct setup){.config = config,
			      .page_shift = NVME_PAGE_SHIFT + (config >> CC_MPS_SHIFT & 0xf),
			      .sq_size = (aqa & 0xfff) + 1,
			      .cq_size = (aqa >> 16 & 0xfff) + 1,
			      .sq = load64(nvme, NVME_ASQ),
			      .cq = load64(nvme, NVME_ACQ)};
}

/* Can the controller be enabled so? (3.1.5, 3.1.8 to 3.1.10) */
static bool valid(const struct setup *setup)
{
	if (setup->config >> CC_CSS_SHIFT & 7 || setup->config >> CC_AMS_SHIFT & 7 ||
	    setup->page_shift > NVME_PAGE_SHIFT + MPS_MAX || setup->sq_size < 2 || setup->cq_size < 2)
		return false;
	return !((setup->sq | setup->cq) & ((1U << setup->page_shift) - 1));
}

static void enable(struct nvme *nvme, uint32_t config)
{
	const struct setup setup = load_setup(nvme, config);

	if (!valid(&setup)) {
		nvme_fail(nvme);
		return;
	}
	nvme->page_shift = setup.page_shift;
	nvme_cq_init(nvme, 0, setup.cq, setup.cq_size);
	nvme->cq[0].interrupts = true;
	nvme_sq_init(nvme, 0, setup.sq, setup.sq_size, &nvme->cq[0]);
	nvme->state = NVME_READY;
	show_status(nvme, CSTS_RDY);
}

static void begin_flush(struct nvme *nvme)
{
	nvme->flushing = true;
	nvme->flush.op = IMAGE_FLUSH;
	image_start(nvme->image, &nvme->flush);
	image_push(nvme->image);
}

void nvme_shutdown_flushed(struct nvme *nvme)
{
	const struct nvme_command none = {.cid = NVME_NO_COMMAND, .nsid = NVME_NSID};

	nvme->flushing = false;
	if (!nvme->flush.result)
		return;
	/* There is no status for it: who looks finds it in the logs. */
	nvme_noted(nvme, NVME_NO_COMMAND, &none, nvme_image_status(&nvme->flush));
	if (!nvme->told_of_flush)
		iommuse_say(nvme->device, "the image could not be written to its disk at a shutdown");
	nvme->told_of_flush = true;
}

/* A shutdown (7.6.2): what was begun ends, then all is on disk. Returns whether anything changed. */
static bool shut_down(struct nvme *nvme, bool wanted)
{
	enum nvme_shutdown before = nvme->shutdown;

	switch (before) {
	case NVME_UP:
		if (wanted)
			nvme->shutdown = NVME_GOING_DOWN;
		break;
	case NVME_GOING_DOWN:
		if (nvme_image_busy(nvme))
			break;
		nvme->shutdown = NVME_SYNCING;
		if (!nvme->read_only)
			begin_flush(nvme);
		break;
	case NVME_SYNCING:
		if (!nvme->flushing)
			nvme->shutdown = NVME_DOWN;
		break;
	case NVME_DOWN:
		if (!wanted)
			nvme->shutdown = NVME_UP;
		break;
	}
	if (nvme->shutdown == before)
		return false;
	show_status(nvme, (nvme->status & (CSTS_RDY | CSTS_CFS)) | (nvme->shutdown == NVME_DOWN ? CSTS_SHST_COMPLETE
								    : nvme->shutdown == NVME_UP ? 0
												: CSTS_SHST_OCCURRING));
	return true;
}

/*
 * A driver that was refused need not wait before it enables the controller again: CSTS.RDY is 0 all the time. So CC.EN
 * may be 1 whenever it is looked at; but what was refused has changed then, which is allowed only in between (3.1.5).
 */
static bool enabled_anew(const struct nvme *nvme, uint32_t config)
{
	struct setup setup;

	if (!(config & CC_EN) || nvme->state != NVME_FATAL || nvme->status & CSTS_RDY)
		return false;
	setup = load_setup(nvme, config);
	return valid(&setup);
}

/* Does what CC says. Returns whether anything changed. */
static bool obey(struct nvme *nvme)
{
	uint32_t config = nvme_config(nvme);
	bool changed = false;

	if (enabled_anew(nvme, config)) {
		reset_controller(nvme);
		/* The driver may be about to change more. */
		config = nvme_config(nvme);
		changed = true;
	}
	if (!(config & CC_EN) && nvme->state != NVME_OFF) {
		reset_controller(nvme);
		changed = true;
	} else if (config & CC_EN && nvme->state == NVME_OFF && !nvme_image_busy(nvme)) {
		enable(nvme, config);
		changed = true;
	}
	return changed | shut_down(nvme, config >> CC_SHN_SHIFT & 3);
}

static bool nvme_poll(void *state)
{
	struct nvme *nvme = state;
	bool found;

	if (!nvme->registers)
		return false;
	nvme->budget = POLL_BYTES;
	found = obey(nvme);
	found |= nvme_reap(nvme);
	if (nvme->state == NVME_READY) {
		found |= nvme_take_doorbells(nvme);
		if (nvme->shutdown == NVME_UP)
			found |= nvme_fetch(nvme);
	}
	image_push(nvme->image);
	/* What is in the page cache is there already. */
	found |= nvme_reap(nvme);
	if (nvme->state == NVME_READY) {
		watch_mask(nvme);
		nvme_events_send(nvme);
		found |= nvme_post(nvme);
	}
	if (found)
		return true;
	mend(nvme);
	if (nvme->state == NVME_READY) {
		nvme_check_doorbells(nvme);
		/* The driver may have changed between messages and the pin. */
		nvme->pin_news = true;
	}
	return false;
}

/* By a thread that may be anybody's, and what a thread began by io_uring ends only where it runs. */
static void nvme_look_at_pin(void *state)
{
	struct nvme *nvme = state;

	if (nvme->state != NVME_READY)
		return;
	nvme_take_doorbells(nvme);
	watch_mask(nvme);
	nvme_post(nvme);
}

/* The device */

static void nvme_reset(void *state)
{
	struct nvme *nvme = state;

	if (nvme->state == NVME_READY && nvme->shutdown != NVME_DOWN)
		nvme->counts.unsafe_shutdowns++;
	nvme->registers = iommuse_memory(nvme->device, 0, 0);
	nvme->shutdown = NVME_UP;
	if (!nvme->registers) {
		nvme->state = NVME_OFF;
		nvme_requests_forget(nvme);
		image_push(nvme->image);
		return;
	}
	reset_controller(nvme);
	mend(nvme);
}

/* "4096", "512K", "10G". */
static bool parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	uint64_t value = 0;
	size_t digits = 0;

	for (; text[digits] >= '0' && text[digits] <= '9' && digits < NUMBER_DIGITS_MAX; digits++)
		value = value * 10 + (uint64_t)(text[digits] - '0');
	if (digits && text[digits]) {
		const char *unit = strchr(units, text[digits]);

		if (!unit || text[digits + 1] || value >> (63 - 10 * (unit - units + 1)))
			return false;
		value <<= 10 * (unit - units + 1);
	}
	*size = value;
	return digits && value && value <= INT64_MAX;
}

static bool parse_number(const char *text, uint64_t least, uint64_t most, unsigned *value)
{
	uint64_t wide;

	if (!parse_size(text, &wide) || wide < least || wide > most)
		return false;
	*value = (unsigned)wide;
	return true;
}

static int refuse(struct nvme *nvme, const char *why)
{
	iommuse_say(nvme->device, why);
	return -EINVAL;
}

/* The image's part of what the user said. */
static int parse_image(struct nvme *nvme, struct image_options *options)
{
	const char *size = iommuse_value(nvme->device, "size");

	*options = (struct image_options){.path = iommuse_value(nvme->device, "image"),
					  .read_only = iommuse_value(nvme->device, "readonly"),
					  .engine = iommuse_value(nvme->device, "aio")};
	nvme->read_only = options->read_only;
	if (!options->path)
		return refuse(nvme, "it needs image=FILE");
	if (size && !parse_size(size, &options->size))
		return refuse(nvme, "size is a number of bytes, or of K, M, G or T");
	return 0;
}

/* Drivers take it for text, filled up with blanks. */
static bool is_serial(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return n && n <= SERIAL_MAX && text[0] != ' ' && text[n - 1] != ' ';
}

static int parse(struct nvme *nvme)
{
	const char *serial = iommuse_value(nvme->device, "serial");
	unsigned block, bytes;

	if (!parse_number(iommuse_value(nvme->device, "block"), 512, 4096, &block) || (block != 512 && block != 4096))
		return refuse(nvme, "block is 512 or 4096");
	if (!parse_number(iommuse_value(nvme->device, "mdts"), 1U << (NVME_PAGE_SHIFT + NVME_MDTS_MIN),
			  1U << (NVME_PAGE_SHIFT + NVME_MDTS_MAX), &bytes) ||
	    bytes & (bytes - 1))
		return refuse(nvme, "mdts is a power of two from 8K to 1M");
	if (!parse_number(iommuse_value(nvme->device, "queues"), 1, NVME_QUEUES_MAX, &nvme->queues))
		return refuse(nvme, "queues is from 1 to 64");
	if (serial && !is_serial(serial))
		return refuse(nvme, "serial has from 1 to 20 characters of ASCII, and no blank at either end");
	nvme->block_shift = (unsigned)__builtin_ctz(block);
	nvme->mdts = (unsigned)__builtin_ctz(bytes) - NVME_PAGE_SHIFT;
	if (serial)
		snprintf(nvme->serial, sizeof(nvme->serial), "%s", serial);
	return 0;
}

static int open_image(struct nvme *nvme)
{
	struct image_options options;
	char why[200];
	uint64_t size, rest;
	int rc = parse_image(nvme, &options);

	if (rc)
		return rc;
	rc = image_open(&options, &nvme->image, why, sizeof(why));
	if (rc) {
		iommuse_say(nvme->device, why);
		return rc;
	}
	size = image_size(nvme->image);
	rest = size & ((1U << nvme->block_shift) - 1);
	nvme->blocks = (size >> nvme->block_shift) + (rest && image_grows(nvme->image));
	if (!nvme->blocks) {
		image_close(nvme->image);
		return refuse(nvme, "the block device has less than a block");
	}
	/* Those who see one image by two controllers may take them for one disk, or refuse it. */
	nvme->eui64 = image_identity(nvme->image);
	for (const char *c = nvme->serial; *c; c++)
		nvme->eui64 = (nvme->eui64 ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	if (!nvme->serial[0])
		snprintf(nvme->serial, sizeof(nvme->serial), "%016llx",
			 (unsigned long long)image_identity(nvme->image));
	return 0;
}

static int nvme_create(struct iommuse_device *device, void **state)
{
	struct nvme *nvme = calloc(1, sizeof(*nvme));
	struct timespec now;
	int rc;

	if (!nvme)
		return -ENOMEM;
	nvme->device = device;
	clock_gettime(CLOCK_MONOTONIC, &now);
	nvme->made_at = (uint64_t)now.tv_sec;
	rc = parse(nvme);
	if (rc)
		goto out_free;
	rc = open_image(nvme);
	if (rc)
		goto out_free;
	rc = nvme_requests_init(nvme);
	if (rc)
		goto out_close;
	*state = nvme;
	return 0;

out_close:
	image_close(nvme->image);
out_free:
	free(nvme);
	return rc;
}

static void nvme_destroy(void *state)
{
	struct nvme *nvme = state;

	image_close(nvme->image);
	nvme_requests_fini(nvme);
	free(nvme);
}

static const struct iommuse_key keys[] = {
	{"image", "FILE", "what is on the disk: a file, or a block device", NULL},
	{"size", "BYTES", "of an image that is made if there is none; with K, M, G or T", NULL},
	{"readonly", NULL, "the image is not written to", NULL},
	{"block", "512|4096", "bytes of a logical block", "512"},
	{"mdts", "BYTES", "of the largest transfer, from 8K to 1M", "128K"},
	{"queues", "N", "pairs of queues for I/O that drivers can have, up to 64", "16"},
	{"serial", "TEXT", "serial number, up to 20 characters; it comes from the image otherwise", NULL},
	{"aio", "auto|io_uring|threads", "how the image is read and written", "auto"},
	{NULL, NULL, NULL, NULL},
};

const struct iommuse_model nvme_model = {
	.struct_size = sizeof(struct iommuse_model),
	.api_version = IOMMUSE_DEVICE_API,
	.name = "nvme",
	.title = "a disk: NVM Express 1.4, with an image behind it",
	.example = "iommuse run --device nvme,image=disk.img,size=1G -- "
		   "qemu-img convert -n -O raw other.img nvme://0000:01:00.0/1",
	.keys = keys,
	.vendor = NVME_VENDOR,
	.device = NVME_DEVICE,
	.subsystem_vendor = NVME_VENDOR,
	.subsystem_device = NVME_DEVICE,
	.class_code = 0x010802,
	.revision = 0x01,
	.bar = {[0] = {.size = BAR_SIZE, .wide = true, .area = {{.offset = 0, .length = BAR_SIZE}}}},
	.intx = true,
	.msix_vectors = NVME_VECTORS,
	.msix_bar = 0,
	.msix_table = MSIX_TABLE,
	.msix_pba = MSIX_PBA,
	.create = nvme_create,
	.destroy = nvme_destroy,
	.reset = nvme_reset,
	.poll = nvme_poll,
	.look_at_pin = nvme_look_at_pin,
};
