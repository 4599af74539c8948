/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes to a disk that is reset, or whose driver is killed, while many commands are in flight: each block then has
 * what it had or what it was to have, and what was done is there.
 *
 * nvme_client write FILE SEED: writes until it is killed, and keeps the ledger in FILE.
 * nvme_client check FILE IMAGE: does the image hold what the ledger says? This one needs no iommuse.
 */
#include "disk.h"
#include "ledger.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

enum { SCRIBBLE = 0xee };

/* One who has many commands in flight, at most one for each block. */
struct writer {
	struct disk disk;
	struct ledger *ledger;
	uint64_t random;
	unsigned flight;
	bool flushing;
	struct job {
		bool busy, fua;
		uint8_t opcode;
		uint32_t lba, n;
	} job[DISK_SLOTS];
	bool taken[LEDGER_BLOCKS];
	uint32_t before_flush[LEDGER_BLOCKS]; /* what was done when it was given */
};

static uint8_t *data_of(struct writer *w, unsigned slot)
{
	return w->disk.memory->slot[slot].data;
}

static bool take_blocks(struct writer *w, struct job *job)
{
	job->n = 1 + (uint32_t)(random_next(&w->random) % (DISK_TRANSFER / w->ledger->block));
	job->lba = (uint32_t)(random_next(&w->random) % (w->ledger->blocks - job->n + 1));
	for (uint32_t i = 0; i < job->n; i++)
		if (w->taken[job->lba + i])
			return false;
	for (uint32_t i = 0; i < job->n; i++)
		w->taken[job->lba + i] = true;
	return true;
}

static void prepare_write(struct writer *w, unsigned slot)
{
	struct job *job = &w->job[slot];
	uint32_t version = ++w->ledger->version;

	for (uint32_t i = 0; i < job->n; i++) {
		w->ledger->of[job->lba + i].latest = version;
		ledger_fill(w->ledger, data_of(w, slot) + (size_t)i * w->ledger->block, job->lba + i, version);
	}
}

static void give(struct writer *w, unsigned slot)
{
	struct job *job = &w->job[slot];
	unsigned kind = (unsigned)(random_next(&w->random) % 16);

	if (kind == 0 && !w->flushing) {
		*job = (struct job){.opcode = DISK_FLUSH};
		w->flushing = true;
		for (unsigned i = 0; i < w->ledger->blocks; i++)
			w->before_flush[i] = w->ledger->of[i].done;
	} else {
		*job = (struct job){.opcode = kind < 4 ? DISK_READ : DISK_WRITE, .fua = kind == 15};
		if (!take_blocks(w, job))
			return;
	}
	if (job->opcode == DISK_WRITE)
		prepare_write(w, slot);
	job->busy = true;
	w->flight++;
	disk_give(&w->disk, slot, job->opcode, job->lba, job->n, job->fua);
}

static void note_written(struct writer *w, const struct job *job)
{
	for (uint32_t i = 0; i < job->n; i++) {
		struct ledger_block *b = &w->ledger->of[job->lba + i];

		b->done = b->latest;
		if (job->fua)
			b->durable = b->done;
	}
}

static bool right_read(struct writer *w, unsigned slot)
{
	const struct job *job = &w->job[slot];
	bool good = true;

	for (uint32_t i = 0; i < job->n; i++)
		good &= ledger_version(w->ledger, data_of(w, slot) + (size_t)i * w->ledger->block, job->lba + i) ==
			w->ledger->of[job->lba + i].done;
	return good;
}

/* Returns 0, or what is wrong. */
static long note(struct writer *w, unsigned slot, unsigned status)
{
	struct job *job = &w->job[slot];

	if (slot >= DISK_SLOTS || !job->busy)
		return -EBADMSG;
	job->busy = false;
	w->flight--;
	if (status)
		return -EIO;
	for (uint32_t i = 0; i < job->n; i++)
		w->taken[job->lba + i] = false;
	if (job->opcode == DISK_READ)
		return right_read(w, slot) ? 0 : -EILSEQ;
	if (job->opcode == DISK_WRITE)
		note_written(w, job);
	if (job->opcode == DISK_FLUSH) {
		w->flushing = false;
		for (unsigned i = 0; i < w->ledger->blocks; i++)
			if (w->ledger->of[i].durable < w->before_flush[i])
				w->ledger->of[i].durable = w->before_flush[i];
	}
	return 0;
}

/* Takes what is done. Returns how many, or what is wrong. */
static long reap(struct writer *w)
{
	unsigned status = 0;
	long n = 0, rc = 0;
	int slot;

	while (!rc && (slot = disk_take(&w->disk, &status)) >= 0) {
		rc = note(w, (unsigned)slot, status);
		n++;
	}
	return rc ? rc : n;
}

/* Until count commands are done, and then leaves as many in flight as there can be. */
static long write_some(struct writer *w, unsigned long count)
{
	uint64_t start = monotonic_ns();

	for (unsigned long done = 0;;) {
		long n = reap(w);

		if (n < 0)
			return n;
		done += (unsigned long)n;
		for (unsigned slot = 0; slot < DISK_SLOTS; slot++)
			if (!w->job[slot].busy)
				give(w, slot);
		disk_ring(&w->disk);
		if (done >= count)
			return 0;
		if (n)
			start = monotonic_ns();
		else if (!disk_patience(start))
			return -ETIMEDOUT;
	}
}

/* What was in flight is forgotten, and what it would read or write is not what it was. */
static void abandon(struct writer *w)
{
	memset(w->job, 0, sizeof(w->job));
	memset(w->taken, 0, sizeof(w->taken));
	w->flight = 0;
	w->flushing = false;
	memset(w->disk.memory->slot, SCRIBBLE, sizeof(w->disk.memory->slot));
}

static bool is_scribble(const struct writer *w)
{
	const uint8_t *p = (const uint8_t *)w->disk.memory->slot;

	return p[0] == SCRIBBLE && !memcmp(p, p + 1, sizeof(w->disk.memory->slot) - 1);
}

/* Reads the whole disk, and settles what it holds or learns it. */
static long look(struct writer *w, bool learn)
{
	const unsigned n = DISK_TRANSFER / w->ledger->block;
	uint64_t start = monotonic_ns();
	unsigned status;
	bool good = true;

	for (unsigned slot = 0; slot < DISK_SLOTS; slot++)
		disk_give(&w->disk, slot, DISK_READ, (uint64_t)slot * n, n, false);
	disk_ring(&w->disk);
	for (unsigned left = DISK_SLOTS; left;) {
		int slot = disk_take(&w->disk, &status);

		if (slot < 0 && !disk_patience(start))
			return -ETIMEDOUT;
		if (slot < 0)
			continue;
		if (status)
			return -EIO;
		if (learn)
			good &= ledger_learn(w->ledger, data_of(w, (unsigned)slot), (uint32_t)slot * n, n);
		else
			good &= ledger_settle(w->ledger, data_of(w, (unsigned)slot), (uint32_t)slot * n, n, true);
		left--;
	}
	return good ? 0 : -EILSEQ;
}

/* Makes the disk usable, once it is open, and looks at it. */
static long begin(struct writer *w)
{
	bool first = !w->ledger->block;
	long rc = disk_enable(&w->disk);

	_Static_assert(DISK_SLOTS * DISK_TRANSFER == LEDGER_BYTES, "a transfer for each slot is the disk");
	if (rc)
		return rc;
	if (w->disk.blocks * w->disk.block != LEDGER_BYTES)
		return -EINVAL;
	w->ledger->block = w->disk.block;
	w->ledger->blocks = (unsigned)w->disk.blocks;
	return look(w, first);
}

static bool writer_open(struct test *t, struct writer *w, struct ledger *ledger, enum way way)
{
	*w = (struct writer){.ledger = ledger, .random = t->seed};
	return SAME(t, disk_open(&w->disk, way, 0), 0) && SAME(t, begin(w), 0);
}

static void wait_a_little(uint64_t *random, uint64_t most_ns)
{
	struct timespec moment = {0, (long)(random_next(random) % most_ns)};

	nanosleep(&moment, NULL);
}

/* What happens to the controller. All but a shutdown end what is in flight. Returns 0 or an error. */
typedef long blow(struct writer *w);

static long reset(struct writer *w)
{
	return door_ioctl(w->disk.rig.device, VFIO_DEVICE_RESET, NULL);
}

/* By the capability of PCI Express: there the control register is 8 bytes on. */
static long function_level_reset(struct writer *w)
{
	unsigned at = config_read(&w->disk.rig, 0x34, 1);

	while (at && config_read(&w->disk.rig, at, 1) != 0x10)
		at = config_read(&w->disk.rig, at + 1, 1);
	if (!at || !(config_read(&w->disk.rig, at + 4, 4) & 1 << 28))
		return -ENODEV;
	config_write(&w->disk.rig, at + 8, 2, config_read(&w->disk.rig, at + 8, 2) | 1 << 15);
	return 0;
}

static long disable(struct writer *w)
{
	return disk_disable(&w->disk);
}

/* All DMA fails, of which the controller may die. */
static long stop_master(struct writer *w)
{
	config_write(&w->disk.rig, 4, 2, 2);
	wait_a_little(&w->random, 200000);
	return disk_disable(&w->disk);
}

/* What was done before its end is durable. */
static long shut_down(struct writer *w)
{
	long rc = disk_shut_down(&w->disk);

	if (!rc)
		rc = reap(w);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < w->ledger->blocks; i++)
		w->ledger->of[i].durable = w->ledger->of[i].done;
	return disk_disable(&w->disk);
}

static void strike(struct test *t, blow *with)
{
	struct ledger *ledger = ledger_open(NULL);
	static struct writer w;
	unsigned long in_flight = 0;

	dprintf(STDOUT_FILENO, "# %s: seed %llu, %lu rounds\n", t->name, (unsigned long long)t->seed, t->rounds);
	if (!writer_open(t, &w, ledger, t->variant % WAYS))
		return;
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		SAME(t, write_some(&w, random_next(&w.random) % 300), 0);
		if (random_next(&w.random) % 2)
			wait_a_little(&w.random, 200000);
		SAME(t, with(&w), 0);
		in_flight += w.flight;
		abandon(&w);
		SAME(t, disk_enable(&w.disk), 0);
		CHECK(t, is_scribble(&w));
		SAME(t, look(&w, false), 0);
	}
	dprintf(STDOUT_FILENO, "# %s: %lu commands were in flight\n", t->name, in_flight);
	disk_close(&w.disk);
}

static void is_reset(struct test *t)
{
	strike(t, reset);
}

static void function_is_reset(struct test *t)
{
	strike(t, function_level_reset);
}

static void is_disabled(struct test *t)
{
	strike(t, disable);
}

static void is_no_master(struct test *t)
{
	strike(t, stop_master);
}

static void is_shut_down(struct test *t)
{
	strike(t, shut_down);
}

/* As any of them, one after the other. */
static long anything(struct writer *w)
{
	static blow *const blows[] = {reset, function_level_reset, disable, stop_master, shut_down};

	return blows[random_next(&w->random) % (sizeof(blows) / sizeof(blows[0]))](w);
}

static void is_struck_by_anything(struct test *t)
{
	strike(t, anything);
}

static void write_until_killed(struct test *t, struct ledger *ledger, enum way way, int ready)
{
	static struct writer w;

	if (t->seed % 4 == 0)
		tell(ready); /* killed while it starts */
	if (!writer_open(t, &w, ledger, way) || !SAME(t, write_some(&w, t->seed % 300), 0))
		_exit(2);
	if (t->seed % 4)
		tell(ready);
	while (SAME(t, write_some(&w, 1000), 0))
		;
	_exit(3);
}

static void driver_is_killed(struct test *t)
{
	struct ledger *ledger = ledger_open(NULL);
	static struct writer w;
	uint64_t random = t->seed;

	dprintf(STDOUT_FILENO, "# %s: seed %llu, %lu rounds\n", t->name, (unsigned long long)t->seed, t->rounds);
	/* Who learns what the disk holds is not killed meanwhile. */
	if (!writer_open(t, &w, ledger, CDEV))
		return;
	disk_close(&w.disk);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		int ready[2];
		pid_t pid;

		t->seed = random_next(&random);
		SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
		pid = fork();
		if (pid == 0)
			write_until_killed(t, ledger, random_next(&random) % WAYS, ready[1]);
		close(ready[1]);
		CHECK(t, hear(ready[0]));
		close(ready[0]);
		wait_a_little(&random, 3000000);
		kill(pid, SIGKILL);
		SAME(t, wait_for(pid), -SIGKILL);
		if (writer_open(t, &w, ledger, random_next(&random) % WAYS))
			disk_close(&w.disk);
	}
}

static int write_forever(const char *path, uint64_t seed)
{
	struct test t = {.name = "write", .seed = seed};
	struct ledger *ledger = ledger_open(path);
	static struct writer w;

	if (!ledger || !writer_open(&t, &w, ledger, seed % WAYS) || !SAME(&t, write_some(&w, seed % 300), 0))
		return 1;
	dprintf(STDOUT_FILENO, "writes\n");
	while (SAME(&t, write_some(&w, 1000), 0))
		;
	return 1;
}

static int check_image(const char *path, const char *image)
{
	struct ledger *ledger = ledger_open(path);
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	const uint8_t *data = mmap(NULL, LEDGER_BYTES, PROT_READ, MAP_SHARED, fd, 0);

	if (!ledger || data == MAP_FAILED)
		return 2;
	/* Without a block size none was written to. */
	return ledger->block && !ledger_settle(ledger, data, 0, ledger->blocks, false);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"is_reset", is_reset},
		{"function_is_reset", function_is_reset},
		{"is_disabled", is_disabled},
		{"is_no_master", is_no_master},
		{"is_shut_down", is_shut_down},
		{"is_struck_by_anything", is_struck_by_anything},
		{"driver_is_killed", driver_is_killed},
	};

	if (argc == 4 && !strcmp(argv[1], "write"))
		return write_forever(argv[2], strtoull(argv[3], NULL, 0));
	if (argc == 4 && !strcmp(argv[1], "check"))
		return check_image(argv[2], argv[3]);
	return TEST_MAIN(argc, argv, cases);
}
