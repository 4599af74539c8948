/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver of a controller of NVM Express, over VFIO: iommuse run --device nvme,... It polls, and has many commands in
 * flight. Each has a slot, whose number is the command's and which has memory for its data.
 */
#ifndef DISK_H
#define DISK_H

#include "rig.h"

enum { DISK_QUEUES = 2, DISK_ENTRIES = 64, DISK_SLOTS = 64, DISK_TRANSFER = 16384 };
enum { DISK_FLUSH = 0, DISK_WRITE = 1, DISK_READ = 2 };

struct disk_command {
	uint8_t opcode, flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved, metadata, prp1, prp2;
	uint32_t dw[6]; /* from 10 on */
};

struct disk_completion {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, cid, status;
};

struct disk_slot {
	uint8_t data[DISK_TRANSFER];
	uint64_t list[PAGE / 8]; /* of pages */
};

struct disk_memory {
	struct disk_command sq[DISK_QUEUES + 1][DISK_ENTRIES];
	struct disk_completion cq[DISK_QUEUES + 1][PAGE / 16];
	uint8_t identify[PAGE];
	struct disk_slot slot[DISK_SLOTS];
};

struct disk {
	struct rig rig;
	volatile uint8_t *bar; /* with the doorbells */
	struct disk_memory *memory;
	struct disk_queue {
		unsigned tail, head;
		uint16_t phase;
	} queue[DISK_QUEUES + 1]; /* pairs; 0: for administration */
	unsigned block;           /* bytes */
	uint64_t blocks;
};

/* Each 0, or -errno; -EIO: an error that the controller reports. Where the first fails nothing is open. */
long disk_open(struct disk *disk, enum way way, unsigned number);
/* From a controller in any state to one that has queues. */
long disk_enable(struct disk *disk);
/* A controller level reset, by CC.EN. */
long disk_disable(struct disk *disk);
/* A normal shutdown, by CC.SHN. */
long disk_shut_down(struct disk *disk);
void disk_close(struct disk *disk);

/* A slot's command goes to the queue that its number says. n: blocks of at most DISK_TRANSFER bytes. */
void disk_give(struct disk *disk, unsigned slot, uint8_t opcode, uint64_t lba, unsigned n, bool fua);
void disk_ring(struct disk *disk);
/* The slot of a command that is done, or -1: none is; status: 0 is success. */
int disk_take(struct disk *disk, unsigned *status);

/* Lets the device work; false: it had enough time. */
bool disk_patience(uint64_t since);

#endif
