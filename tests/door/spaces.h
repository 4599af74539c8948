/* SPDX-License-Identifier: BSD-3-Clause */
/* A device with I/O address spaces of an iommufd, to which only its PASIDs are attached. */
#ifndef SPACES_H
#define SPACES_H

#include "accel.h"

#define RING_IOVA 0x10000000ull
#define DATA_IOVA 0x20000000ull

enum { SPACES = 2, DATA_PAGES = 2 };

struct spaces {
	struct accel a;
	uint32_t ioas[SPACES], hwpt[SPACES];
	struct queue_memory *memory[SPACES]; /* at RING_IOVA of each */
	uint8_t *data[SPACES];               /* DATA_PAGES at DATA_IOVA of each */
	uint32_t fault_id;                   /* of hwpt[1], or 0 */
	int faults;                          /* its queue, or -1 */
};

bool spaces_open(struct test *t, struct spaces *s);
/* Page faults of the second space go to a queue. */
bool spaces_open_with_faults(struct test *t, struct spaces *s);
void spaces_close(struct spaces *s);
long spaces_attach(const struct spaces *s, uint64_t pasid, unsigned space);
long spaces_detach(const struct spaces *s, uint64_t pasid);
/* A copy in a space by queue 0 with that PASID: its status, or -errno. */
long spaces_work(const struct spaces *s, uint64_t pasid, unsigned space);

#endif
