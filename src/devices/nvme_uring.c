/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on an image by io_uring. liburing is loaded when an image is opened, so that nobody needs it who has none:
 * what this file calls of it by name is inline. Without it, or where the kernel refuses, there are threads.
 */
#include "devices/nvme_image.h"

#include <errno.h>

#ifdef HAVE_LIBURING

#include <dlfcn.h>
#include <liburing.h>
#include <stdlib.h>

struct uring {
	struct io_uring ring;
	int fd;
	void *library;
	int (*queue_init)(unsigned entries, struct io_uring *ring, struct io_uring_params *params);
	void (*queue_exit)(struct io_uring *ring);
	int (*submit)(struct io_uring *ring);
	int (*submit_and_wait)(struct io_uring *ring, unsigned count);
};

static int load(struct uring *uring)
{
	uring->library = dlopen("liburing.so.2", RTLD_NOW | RTLD_LOCAL);
	if (!uring->library)
		return -ENOSYS;
	/* An object pointer is a function's here; POSIX says so, and C does not. */
	*(void **)&uring->queue_init = dlsym(uring->library, "io_uring_queue_init_params");
	*(void **)&uring->queue_exit = dlsym(uring->library, "io_uring_queue_exit");
	*(void **)&uring->submit = dlsym(uring->library, "io_uring_submit");
	*(void **)&uring->submit_and_wait = dlsym(uring->library, "io_uring_submit_and_wait");
	if (uring->queue_init && uring->queue_exit && uring->submit && uring->submit_and_wait)
		return 0;
	dlclose(uring->library);
	return -ENOSYS;
}

/* Who may make a ring may still be refused to use it. */
static int try(struct uring *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	int rc;

	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, NULL);
	do
		rc = uring->submit_and_wait(&uring->ring, 1);
	while (rc == -EINTR);
	if (rc < 0)
		return rc;
	io_uring_cq_advance(&uring->ring, 1);
	return 0;
}

static int uring_open(int fd, void **engine)
{
	struct io_uring_params params = {0};
	struct uring *uring = calloc(1, sizeof(*uring));
	int rc;

	if (!uring)
		return -ENOMEM;
	uring->fd = fd;
	rc = load(uring);
	if (rc)
		goto out_free;
	rc = uring->queue_init(IMAGE_DEPTH, &uring->ring, &params);
	if (rc)
		goto out_unload;
	/* RW_CUR_POS came with the operations that are used here (Linux 5.6); a library of before the header's has not
	 * filled in all that inline functions use. */
	if (!(params.features & IORING_FEAT_RW_CUR_POS) || uring->ring.sq.ring_entries < IMAGE_DEPTH) {
		rc = -ENOSYS;
		goto out_exit;
	}
	rc = try(uring);
	if (rc)
		goto out_exit;
	*engine = uring;
	return 0;

out_exit:
	uring->queue_exit(&uring->ring);
out_unload:
	dlclose(uring->library);
out_free:
	free(uring);
	return rc;
}

static void uring_close(void *engine)
{
	struct uring *uring = engine;

	uring->queue_exit(&uring->ring);
	dlclose(uring->library);
	free(uring);
}

static void uring_start(void *engine, struct image_io *io)
{
	struct uring *uring = engine;
	/* There is one for each that may be under way. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	unsigned left = (unsigned)(io->length - io->done);
	uint64_t at = io->offset + io->done;

	switch (io->op) {
	case IMAGE_READ:
		io_uring_prep_read(sqe, uring->fd, io->buffer + io->done, left, at);
		break;
	case IMAGE_WRITE:
		io_uring_prep_write(sqe, uring->fd, io->buffer + io->done, left, at);
		sqe->rw_flags = io->durable ? RWF_DSYNC : 0;
		break;
	case IMAGE_FLUSH:
		io_uring_prep_fsync(sqe, uring->fd, IORING_FSYNC_DATASYNC);
		break;
	default:
		io_uring_prep_fallocate(sqe, uring->fd, io->mode, (off_t)io->offset, (off_t)io->length);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
}

/* Where the kernel has no memory for it now, the next push tries again. */
static void uring_push(void *engine)
{
	struct uring *uring = engine;

	if (io_uring_sq_ready(&uring->ring))
		uring->submit(&uring->ring);
}

static struct image_io *uring_reap(void *engine, bool wait)
{
	struct uring *uring = engine;
	struct image_io *io = NULL;
	struct io_uring_cqe *cqe;
	unsigned head;

	do {
		io_uring_for_each_cqe(&uring->ring, head, cqe)
		{
			io = io_uring_cqe_get_data(cqe);
			io->raw = cqe->res;
			io_uring_cq_advance(&uring->ring, 1);
			return io;
		}
		if (wait)
			uring->submit_and_wait(&uring->ring, 1);
	} while (wait);
	return NULL;
}

#else

static int uring_open(int fd, void **engine)
{
	(void)fd;
	(void)engine;
	return -ENOSYS;
}

#define uring_close NULL
#define uring_start NULL
#define uring_push  NULL
#define uring_reap  NULL

#endif

const struct image_engine image_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.start = uring_start,
	.push = uring_push,
	.reap = uring_reap,
};
