/* SPDX-License-Identifier: BSD-3-Clause */
/* A liburing of before 2.2 for an image to load: it fills in of a ring only what its own functions need. */
#include <linux/io_uring.h>

#define VISIBLE __attribute__((visibility("default")))

VISIBLE int io_uring_queue_init_params(unsigned entries, void *ring, struct io_uring_params *params);
VISIBLE void io_uring_queue_exit(void *ring);
VISIBLE int io_uring_submit(void *ring);
VISIBLE int io_uring_submit_and_wait(void *ring, unsigned count);

int io_uring_queue_init_params(unsigned entries, void *ring, struct io_uring_params *params)
{
	(void)ring;
	params->sq_entries = entries;
	params->features = ~0U;
	return 0;
}

void io_uring_queue_exit(void *ring)
{
	(void)ring;
}

int io_uring_submit(void *ring)
{
	(void)ring;
	return 0;
}

int io_uring_submit_and_wait(void *ring, unsigned count)
{
	(void)ring;
	return (int)count;
}
