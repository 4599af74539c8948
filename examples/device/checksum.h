/* SPDX-License-Identifier: BSD-3-Clause */
/* The device "checksum", for its model and for its driver: what lies where in BAR 0. */
#ifndef CHECKSUM_H
#define CHECKSUM_H

#define CHECKSUM_VENDOR 0x1234
#define CHECKSUM_DEVICE 0xadd5

/* The first page: registers of 8 bytes. */
#define CHECKSUM_ADDRESS 0x00 /* write: I/O address of the memory */
#define CHECKSUM_LENGTH  0x08 /* write: bytes */
#define CHECKSUM_STATUS  0x10 /* read, as the rest */
#define CHECKSUM_RESULT  0x18 /* Adler-32 of the memory */
#define CHECKSUM_FAULT   0x20 /* the first I/O address that could not be read */

/* The second page, which the driver maps: storing there a number other than the one before starts the work. */
#define CHECKSUM_DOORBELL 0x1000

/* CHECKSUM_STATUS */
#define CHECKSUM_IDLE  0
#define CHECKSUM_BUSY  1
#define CHECKSUM_DONE  2
#define CHECKSUM_ERROR 3

#endif
