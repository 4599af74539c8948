/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dma-buf: memory of an exporter that is mapped by descriptor and that the exporter may take back. Importers are
 * told; after dmabuf_revoke() none of them uses the memory.
 */
#ifndef IOMMUSE_CLIENT_DMABUF_H
#define IOMMUSE_CLIENT_DMABUF_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* May not call dmabuf_leave() when it is told. */
struct dmabuf_importer {
	/* The memory is to be taken back: the importer begins no use of it any more. */
	void (*revoke)(struct dmabuf_importer *importer);
	/* Then, once for all importers of the same user, which all know by then: returns when none of them uses the
	 * memory any more. May be NULL. */
	void (*hide)(struct dmabuf_importer *importer);
	const void *user;
	bool told; /* the dma-buf's own */
	struct dmabuf_importer *next, **link;
};

struct dmabuf {
	pthread_mutex_t lock; /* guards what follows; held while importers are told */
	bool revoked;
	struct dmabuf_importer *importers;
	uint8_t *memory;
	uint64_t length;
};

/* Returns 0 or -ENODEV: revoked; then it is not an importer. */
int dmabuf_join(struct dmabuf *dmabuf, struct dmabuf_importer *importer);
void dmabuf_leave(struct dmabuf *dmabuf, struct dmabuf_importer *importer);

/* Takes the memory back, or gives it out again (which restores no mapping). Takes effect before it returns. */
void dmabuf_revoke(struct dmabuf *dmabuf, bool revoked);

#endif
