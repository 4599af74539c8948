/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVMe controller's image is a block device: a loop device, if we may have one. */
#include "fake_disk.h"

#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

static char device[32];

/* Of a file that is gone with it. Returns its descriptor, or -1. */
static int make_device(uint64_t size, uint32_t block)
{
	char path[32] = "/tmp/nvme-image-XXXXXX";
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file = mkstemp(path), fd = -1;
	struct loop_config config = {.fd = (uint32_t)file, .block_size = block, .info.lo_flags = LO_FLAGS_AUTOCLEAR};

	CHECK(file >= 0);
	unlink(path);
	CHECK_EQ(ftruncate(file, (off_t)size), 0);
	/* Another one may take what is free. */
	for (unsigned i = 0; control >= 0 && fd < 0 && i < 100; i++) {
		snprintf(device, sizeof(device), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
		fd = open(device, O_RDWR | O_CLOEXEC);
		if (fd < 0 && errno != EBUSY)
			break;
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config)) {
			close(fd);
			fd = -1;
		}
	}
	close(control);
	close(file);
	return fd;
}

static struct disk *new_disk(const char *aio, const char *block)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));

	memset(d, 0, sizeof(*d));
	d->image = device;
	d->aio = aio;
	d->block = block;
	open_disk(d);
	return d;
}

static void drop_disk(struct disk *d)
{
	close_disk(d);
	free(d);
}

static unsigned identify(struct disk *d)
{
	return status_of(d, 0, (struct nvme_command){.opcode = ADMIN_IDENTIFY, .nsid = 1, .prp1 = DATA});
}

/* What is in a block less than whole cannot be written. */
static void it_ends_with_a_whole_block(const char *aio)
{
	int fd = make_device((1 << 20) + 512, 512);
	struct disk *d = new_disk(aio, "4096");
	uint64_t blocks;

	CHECK_EQ(identify(d), 0);
	memcpy(&blocks, d->memory + DATA, sizeof(blocks));
	CHECK_EQ(blocks, 256);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 255, 1, DATA, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 256, 1, DATA, 0)), NVME_LBA_OUT_OF_RANGE);
	drop_disk(d);
	d = new_disk(aio, "512");
	fill(d, DATA, 512, 1);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 2048, 1, DATA, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 2048, 1, MORE_DATA, 0)), 0);
	CHECK(!memcmp(d->memory + DATA, d->memory + MORE_DATA, 512));
	CHECK_EQ(status_of(d, 1, io(IO_WRITE_ZEROES, 2047, 2, 0, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 2048, 1, MORE_DATA, 0)), 0);
	CHECK_EQ(d->memory[MORE_DATA] | d->memory[MORE_DATA + 511], 0);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
	drop_disk(d);
	close(fd);
}

static void its_blocks_may_be_larger(const char *aio)
{
	static const uint32_t flags[] = {0, IO_DEALLOCATE, IO_FUA};
	int fd = make_device(1 << 20, 4096);
	struct disk *d = new_disk(aio, "512");
	struct nvme_command discard = io(IO_DATASET, 0, 1, LISTS, 0), zeroes = io(IO_WRITE_ZEROES, 1, 3, 0, 0);

	discard.dw10 = 0;
	discard.dw11 = DATASET_DEALLOCATE;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		fill(d, DATA, PAGE, (unsigned)i + 1);
		CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 8, DATA, 0)), 0);
		memcpy(d->memory + LISTS, &(uint64_t[2]){(uint64_t)5 << 32, 2}, 16);
		CHECK_EQ(status_of(d, 1, discard), 0);
		zeroes.dw12 = 2 | flags[i];
		CHECK_EQ(status_of(d, 1, zeroes), 0);
		CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 8, MORE_DATA, 0)), 0);
		memset(d->memory + DATA + 512, 0, 3UL * 512);
		CHECK(!memcmp(d->memory + DATA, d->memory + MORE_DATA, 4UL * 512));
	}
	drop_disk(d);
	close(fd);
}

static void it_may_be_read_only(const char *aio)
{
	int fd = make_device(1 << 20, 512);
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));

	CHECK_EQ(ioctl(fd, BLKROSET, &(int){1}), 0);
	memset(d, 0, sizeof(*d));
	d->image = device;
	d->aio = aio;
	CHECK_EQ(make_disk(d), -EROFS);
	CHECK(strstr(d->said, "readonly"));
	d->readonly = "";
	open_disk(d);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_WRITE, 0, 1, DATA, 0)), NVME_WRITE_PROTECTED);
	drop_disk(d);
	/* Else it would be so for the next file of the device. */
	CHECK_EQ(ioctl(fd, BLKROSET, &(int){0}), 0);
	close(fd);
}

int main(void)
{
	static const char *const ways[] = {"threads", "auto"};
	int fd = make_device(1 << 20, 512);

	if (fd < 0) {
		printf("there is no loop device to be had\n");
		return 77;
	}
	close(fd);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		it_ends_with_a_whole_block(ways[i]);
		its_blocks_may_be_larger(ways[i]);
		it_may_be_read_only(ways[i]);
	}
	return check_result();
}
