/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * verify_disk DEVICE SECONDS DEPTH [SEED]: writes patterns to a disk and verifies what it reads, DEPTH requests at
 * once, for SECONDS after it has written all of it once; then reads all of it.
 * verify_disk DEVICE write DEPTH: writes all of it again and again, and says "SYNCED N" when the Nth time is on disk.
 * verify_disk DEVICE check DEPTH N: reads all of it, and expects no block of before the Nth time.
 *
 * Each block says where it belongs and how often it was written, and ends with a checksum, so that a block of another
 * place, an old one and a torn one are told apart. Exit status: 0 and a line "VERIFIED ...", or 1 and lines that begin
 * with "WRONG".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/aio_abi.h>
#include <linux/fs.h>

enum {
	BLOCK = 4096,
	WORDS = BLOCK / 8,
	BLOCKS_MAX = 64, /* 256 KiB, the most of one request */
	DEPTH_MAX = 256,
	SECTOR = 512,
	WRONG_MAX = 20,
	WRITTEN_BEFORE = 1 << 24, /* how often at most a block was written before it is written again and again */
};

struct request {
	struct iocb iocb;
	unsigned char *memory, *data; /* data is where in memory it begins: at any sector of a page */
	uint32_t block, count;
};

struct disk {
	int fd;
	aio_context_t aio;
	uint32_t blocks;
	uint64_t *generation; /* of each block: how often it was written */
	bool *busy;           /* a request is at it */
	bool later;           /* a block may have been written more often than that */
	uint64_t random;
	uint64_t reads, writes, flushes, bytes, wrong;
	struct request requests[DEPTH_MAX];
	unsigned depth, in_flight, in_flight_most;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t next_random(struct disk *disk)
{
	return mix(disk->random += UINT64_C(0x9e3779b97f4a7c15));
}

static void fill(uint64_t *word, uint64_t block, uint64_t generation)
{
	uint64_t value = mix(block << 32 ^ generation), sum = 0;

	word[0] = block;
	word[1] = generation;
	for (int i = 2; i < WORDS - 1; i++)
		word[i] = value += UINT64_C(0x9e3779b97f4a7c15);
	for (int i = 0; i < WORDS - 1; i++)
		sum = mix(sum ^ word[i]);
	word[WORDS - 1] = sum;
}

static void wrong(struct disk *disk, const char *what, uint64_t block, uint64_t a, uint64_t b)
{
	if (disk->wrong++ < WRONG_MAX)
		printf("WRONG block %" PRIu64 ": %s (%" PRIu64 ", %" PRIu64 ")\n", block, what, a, b);
}

static void verify(struct disk *disk, const uint64_t *word, uint64_t block)
{
	const uint64_t generation = disk->generation[block];
	uint64_t expected[WORDS];

	fill(expected, word[0], word[1]);
	if (memcmp(word, expected, BLOCK))
		wrong(disk, "torn, or none of ours", block, word[0], word[1]);
	else if (word[0] != block)
		wrong(disk, "another block", block, word[0], word[1]);
	else if (disk->later ? word[1] < generation : word[1] != generation)
		wrong(disk, "another generation", block, word[1], generation);
}

static void submit(struct disk *disk, struct request *request, unsigned opcode)
{
	struct iocb *iocb = &request->iocb;

	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_data = (uintptr_t)request;
	iocb->aio_lio_opcode = (uint16_t)opcode;
	iocb->aio_fildes = (uint32_t)disk->fd;
	if (opcode != IOCB_CMD_FDSYNC) {
		iocb->aio_buf = (uintptr_t)request->data;
		iocb->aio_nbytes = (uint64_t)request->count * BLOCK;
		iocb->aio_offset = (int64_t)request->block * BLOCK;
	}
	if (syscall(SYS_io_submit, disk->aio, 1L, &iocb) != 1) {
		printf("WRONG io_submit: %s\n", strerror(errno));
		exit(1);
	}
	if (++disk->in_flight > disk->in_flight_most)
		disk->in_flight_most = disk->in_flight;
}

/* Of [block, block + count) as much as nobody is at; may be none. */
static uint32_t take(struct disk *disk, uint32_t block, uint32_t count)
{
	uint32_t n = 0;

	while (n < count && block + n < disk->blocks && !disk->busy[block + n])
		disk->busy[block + n++] = true;
	return n;
}

static void begin(struct disk *disk, struct request *request, uint32_t block, uint32_t count, unsigned opcode)
{
	request->block = block;
	request->count = count;
	request->data = request->memory + next_random(disk) % (BLOCK / SECTOR) * SECTOR;
	if (opcode == IOCB_CMD_PWRITE)
		for (uint32_t i = 0; i < count; i++)
			fill((uint64_t *)(request->data + (size_t)i * BLOCK), block + i, ++disk->generation[block + i]);
	else if (opcode == IOCB_CMD_PREAD)
		memset(request->data, 0xee, (size_t)count * BLOCK);
	submit(disk, request, opcode);
}

static void begin_random(struct disk *disk, struct request *request)
{
	const uint32_t wanted = 1 + (uint32_t)(next_random(disk) % BLOCKS_MAX);
	const unsigned opcode = next_random(disk) % 2 ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	uint32_t block, count;

	if (next_random(disk) % 200 == 0) {
		begin(disk, request, 0, 0, IOCB_CMD_FDSYNC);
		return;
	}
	do {
		block = (uint32_t)(next_random(disk) % disk->blocks);
		count = take(disk, block, next_random(disk) % 2 ? wanted : 1);
	} while (!count);
	begin(disk, request, block, count, opcode);
}

static void end(struct disk *disk, const struct io_event *event)
{
	struct request *request = (struct request *)(uintptr_t)event->data;
	const unsigned opcode = request->iocb.aio_lio_opcode;
	const int64_t length = (int64_t)request->count * BLOCK;

	disk->in_flight--;
	if (event->res != length) {
		wrong(disk, "an error of its request", request->block, (uint64_t)-event->res, opcode);
	} else if (opcode == IOCB_CMD_PREAD) {
		for (uint32_t i = 0; i < request->count; i++)
			verify(disk, (uint64_t *)(request->data + (size_t)i * BLOCK), request->block + i);
	}
	disk->reads += opcode == IOCB_CMD_PREAD;
	disk->writes += opcode == IOCB_CMD_PWRITE;
	disk->flushes += opcode == IOCB_CMD_FDSYNC;
	disk->bytes += (uint64_t)length;
	memset(disk->busy + request->block, 0, request->count);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ends what is in flight; each request that ends begins again by next(), until that begins nothing. */
static void run(struct disk *disk, bool (*next)(struct disk *, struct request *))
{
	struct io_event events[DEPTH_MAX];
	long n;

	for (unsigned i = 0; i < disk->depth && next(disk, &disk->requests[i]); i++)
		continue;
	while (disk->in_flight) {
		n = syscall(SYS_io_getevents, disk->aio, 1L, (long)DEPTH_MAX, events, NULL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			printf("WRONG io_getevents: %s\n", strerror(errno));
			exit(1);
		}
		for (long i = 0; i < n; i++) {
			end(disk, &events[i]);
			next(disk, (struct request *)(uintptr_t)events[i].data);
		}
	}
}

static uint32_t next_block;
static double until;

static bool next_in_order(struct disk *disk, struct request *request, unsigned opcode)
{
	const uint32_t count = take(disk, next_block, BLOCKS_MAX);

	if (!count)
		return false;
	begin(disk, request, next_block, count, opcode);
	next_block += count;
	return true;
}

static bool write_next(struct disk *disk, struct request *request)
{
	return next_in_order(disk, request, IOCB_CMD_PWRITE);
}

static bool read_next(struct disk *disk, struct request *request)
{
	return next_in_order(disk, request, IOCB_CMD_PREAD);
}

static bool random_next(struct disk *disk, struct request *request)
{
	if (now() >= until)
		return false;
	begin_random(disk, request);
	return true;
}

static int prepare(struct disk *disk, const char *path)
{
	uint64_t size;

	disk->fd = open(path, O_RDWR | O_DIRECT);
	if (disk->fd < 0 || ioctl(disk->fd, BLKGETSIZE64, &size))
		return -1;
	disk->blocks = (uint32_t)(size / BLOCK);
	disk->generation = calloc(disk->blocks, sizeof(*disk->generation));
	disk->busy = calloc(disk->blocks, sizeof(*disk->busy));
	if (!disk->generation || !disk->busy || disk->blocks < disk->depth * 2 * BLOCKS_MAX)
		return -1;
	for (unsigned i = 0; i < disk->depth; i++) {
		disk->requests[i].memory = mmap(NULL, (BLOCKS_MAX + 1) * BLOCK, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (disk->requests[i].memory == MAP_FAILED)
			return -1;
	}
	return syscall(SYS_io_setup, disk->depth, &disk->aio) ? -1 : 0;
}

static int write_again_and_again(struct disk *disk)
{
	for (uint32_t i = 0; i < disk->blocks; i++)
		disk->generation[i] = WRITTEN_BEFORE;
	for (uint64_t n = 1; !disk->wrong; n++) {
		next_block = 0;
		run(disk, write_next);
		if (fdatasync(disk->fd))
			wrong(disk, "an error of fdatasync", 0, (uint64_t)errno, n);
		else
			printf("SYNCED %" PRIu64 "\n", n);
		fflush(stdout);
	}
	return 1;
}

static int conclude(const struct disk *disk, double start)
{
	if (disk->wrong) {
		printf("WRONG %" PRIu64 " in all\n", disk->wrong);
		return 1;
	}
	printf("VERIFIED %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " flushes, %" PRIu64
	       " MiB in %.1f s, %u at once\n",
	       disk->reads, disk->writes, disk->flushes, disk->bytes >> 20, now() - start, disk->in_flight_most);
	return 0;
}

static int check(struct disk *disk, uint64_t n)
{
	const double start = now();

	disk->later = true;
	for (uint32_t i = 0; i < disk->blocks; i++)
		disk->generation[i] = WRITTEN_BEFORE + n;
	run(disk, read_next);
	return conclude(disk, start);
}

static int write_and_verify(struct disk *disk, double seconds)
{
	const double start = now();

	run(disk, write_next);
	until = now() + seconds;
	run(disk, random_next);
	next_block = 0;
	run(disk, read_next);
	return conclude(disk, start);
}

int main(int argc, char **argv)
{
	static struct disk disk;
	const char *what = argc > 3 ? argv[2] : "";
	const bool checks = !strcmp(what, "check");

	disk.depth = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 0;
	disk.random = argc > 4 && !checks ? strtoull(argv[4], NULL, 0) : (uint64_t)time(NULL);
	if (!disk.depth || disk.depth > DEPTH_MAX || (checks && argc < 5)) {
		fprintf(stderr, "usage: verify_disk DEVICE SECONDS|write DEPTH [SEED] | DEVICE check DEPTH N\n");
		return 2;
	}
	printf("SEED %" PRIu64 "\n", disk.random);
	if (prepare(&disk, argv[1])) {
		printf("WRONG %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	if (!strcmp(what, "write"))
		return write_again_and_again(&disk);
	if (checks)
		return check(&disk, strtoull(argv[4], NULL, 0));
	return write_and_verify(&disk, strtod(what, NULL));
}
