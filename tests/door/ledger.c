/* SPDX-License-Identifier: BSD-3-Clause */
#include "ledger.h"

#include "door.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

struct ledger *ledger_open(const char *path)
{
	int flags = MAP_SHARED, fd = -1;
	void *memory;

	if (path) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
		if (fd < 0 || ftruncate(fd, sizeof(struct ledger)))
			return NULL;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	memory = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

static uint64_t word(uint32_t lba, uint32_t version, unsigned i)
{
	uint64_t state = (uint64_t)lba << 32 | version;

	return version ? state ^ i * UINT64_C(0x9e3779b97f4a7c15) : 0;
}

void ledger_fill(const struct ledger *ledger, uint8_t *data, uint32_t lba, uint32_t version)
{
	for (unsigned i = 0; i < ledger->block / 8; i++)
		memcpy(data + i * sizeof(uint64_t), &(uint64_t){word(lba, version, i)}, sizeof(uint64_t));
}

int64_t ledger_version(const struct ledger *ledger, const uint8_t *data, uint32_t lba)
{
	uint64_t found;

	memcpy(&found, data, sizeof(found)); /* the first word has the version as it is */
	for (unsigned i = 0; i < ledger->block / 8; i++) {
		uint64_t want = word(lba, (uint32_t)found, i);

		if (memcmp(data + i * sizeof(want), &want, sizeof(want)))
			return -1;
	}
	return (int64_t)(uint32_t)found;
}

static bool may_be(const struct ledger_block *b, int64_t version, bool powered)
{
	if (version == b->done || version == b->latest)
		return true;
	return !powered && version >= b->durable && version < b->done;
}

bool ledger_settle(struct ledger *ledger, const uint8_t *data, uint32_t lba, uint32_t n, bool powered)
{
	unsigned wrong = 0;

	for (uint32_t i = 0; i < n; i++, lba++) {
		struct ledger_block *b = &ledger->of[lba];
		int64_t version = ledger_version(ledger, data + (size_t)i * ledger->block, lba);

		if (may_be(b, version, powered))
			b->done = b->latest = (uint32_t)version;
		else if (!wrong++)
			dprintf(STDOUT_FILENO, "# block %u has version %lld; durable %u, done %u, latest %u\n", lba,
				(long long)version, b->durable, b->done, b->latest);
	}
	return !wrong;
}

bool ledger_learn(struct ledger *ledger, const uint8_t *data, uint32_t lba, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, lba++) {
		int64_t version = ledger_version(ledger, data + (size_t)i * ledger->block, lba);

		if (version < 0)
			return false;
		ledger->of[lba] = (struct ledger_block){(uint32_t)version, (uint32_t)version, (uint32_t)version};
		if (ledger->version < version)
			ledger->version = (uint32_t)version;
	}
	return true;
}
