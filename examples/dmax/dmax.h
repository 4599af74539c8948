/* SPDX-License-Identifier: BSD-3-Clause */
/* The accelerator "dmax", for its drivers: what lies where, and what it means. docs/devices/dmax.md explains all of it.
 */
#ifndef DMAX_H
#define DMAX_H

#include <stdint.h>

#define DMAX_VENDOR 0x494d
#define DMAX_DEVICE 0xd3a0

#define DMAX_QUEUES_MAX 8

/* BAR 0: registers of 32 bits, and of 64 where it says so. Read and write them through the file of the device. */
#define DMAX_ID           0x000
#define DMAX_VERSION      0x004
#define DMAX_QUEUES       0x008
#define DMAX_OPERATIONS   0x00c
#define DMAX_MAX_TRANSFER 0x010
#define DMAX_MAX_BATCH    0x014
#define DMAX_MAX_RING     0x018
#define DMAX_CONTROL      0x020
#define DMAX_STATUS       0x024
#define DMAX_ERRORS       0x028

/* Of queue n */
#define DMAX_QUEUE(n)        (0x100 + (n)*0x40)
#define DMAX_Q_BASE          0x00 /* 64 bits */
#define DMAX_Q_SIZE          0x08
#define DMAX_Q_PASID         0x0c
#define DMAX_Q_VECTOR        0x10
#define DMAX_Q_COMMAND       0x14
#define DMAX_Q_STATE         0x18
#define DMAX_Q_ERROR         0x1c
#define DMAX_Q_ERROR_ADDRESS 0x20 /* 64 bits */
#define DMAX_Q_HEAD          0x28
#define DMAX_Q_TAIL          0x2c

/* BAR 2: a page for each queue. Map it. */
#define DMAX_DOORBELL(n) ((n)*0x1000)
#define DMAX_D_TAIL      0x00 /* the driver's */
#define DMAX_D_HEAD      0x04 /* the device's, as the next */
#define DMAX_D_STATE     0x08

#define DMAX_ID_VALUE 0x58414d44 /* "DMAX" */

/* DMAX_CONTROL */
#define DMAX_CONTROL_ENABLE 0x1
#define DMAX_CONTROL_RESET  0x2

/* DMAX_STATUS */
#define DMAX_STATUS_ENABLED 0x1

/* DMAX_Q_PASID */
#define DMAX_PASID_VALID 0x80000000U

/* DMAX_Q_COMMAND */
#define DMAX_COMMAND_START 1
#define DMAX_COMMAND_DRAIN 2
#define DMAX_COMMAND_STOP  3

/* DMAX_Q_STATE and DMAX_D_STATE */
#define DMAX_STATE(value)   ((value)&0xf)
#define DMAX_STATE_DISABLED 0
#define DMAX_STATE_ENABLED  1
#define DMAX_STATE_DRAINING 2
#define DMAX_STATE_HALTED   3
#define DMAX_STATE_WAITING  0x10 /* for a page; beside the others */

/* DMAX_Q_ERROR: one of these, or the status of a descriptor that has no completion record. */
#define DMAX_ERROR_BASE     0x40
#define DMAX_ERROR_SIZE     0x41
#define DMAX_ERROR_PASID    0x42
#define DMAX_ERROR_VECTOR   0x43
#define DMAX_ERROR_DOORBELL 0x44
#define DMAX_ERROR_RING     0x45
#define DMAX_ERROR_RECORD   0x46

/* Vectors of MSI-X */
#define DMAX_VECTOR_ERRORS   0
#define DMAX_VECTOR_QUEUE(n) (1 + (n)) /* after a reset */
#define DMAX_VECTORS         9

/* In memory, at a multiple of its size; numbers are little-endian. */
struct dmax_descriptor {
	uint8_t operation;
	uint8_t reserved0;
	uint16_t flags;
	uint32_t length;      /* bytes; of a batch: descriptors */
	uint64_t record;      /* where its completion record is; with DMAX_FLAG_RECORD */
	uint64_t source;      /* of a batch: its descriptors; of a comparison: one of the two */
	uint64_t destination; /* of a comparison: the other */
	uint64_t value;       /* to fill with; of a checksum: the one of what came before */
	uint64_t reserved1[3];
};

/* operation */
#define DMAX_NOOP     0
#define DMAX_COPY     1
#define DMAX_FILL     2
#define DMAX_COMPARE  3
#define DMAX_CHECKSUM 4
#define DMAX_BATCH    5

/* flags */
#define DMAX_FLAG_RECORD    0x1 /* write a completion record */
#define DMAX_FLAG_INTERRUPT 0x2 /* raise the queue's vector when done */
#define DMAX_FLAG_BLOCK     0x4 /* ask for pages that are missing, and wait */
#define DMAX_FLAG_FENCE     0x8 /* in a batch: only if all before it succeeded */

/* In memory, at a multiple of its size. Clear status before the descriptor is submitted: it is written last. */
struct dmax_record {
	uint8_t status;
	uint8_t access; /* with DMAX_PAGE_FAULT */
	uint16_t reserved0;
	uint32_t done;    /* bytes; of a batch: descriptors that succeeded */
	uint64_t address; /* with DMAX_PAGE_FAULT */
	uint64_t result;  /* of a comparison, a checksum, a batch */
	uint64_t reserved1;
};

/* status */
#define DMAX_SUCCESS      1
#define DMAX_PAGE_FAULT   2
#define DMAX_BAD_OPCODE   3
#define DMAX_BAD_FLAGS    4
#define DMAX_BAD_RESERVED 5
#define DMAX_BAD_LENGTH   6
#define DMAX_BAD_ADDRESS  7
#define DMAX_OVERLAP      8
#define DMAX_NESTED       9
#define DMAX_BATCH_FAILED 10
#define DMAX_ABANDONED    11

/* access */
#define DMAX_ACCESS_READ  1
#define DMAX_ACCESS_WRITE 2

#endif
