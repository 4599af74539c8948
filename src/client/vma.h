/* SPDX-License-Identifier: BSD-3-Clause */
/* What an address space has mapped, asked through an open /proc/PID/maps, which stays with the memory it was opened on.
 */
#ifndef IOMMUSE_CLIENT_VMA_H
#define IOMMUSE_CLIENT_VMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VMA_READ  1U
#define VMA_WRITE 2U

struct mounts;

/* One mapping. */
struct vma {
	uint64_t start, last;
	uint64_t offset; /* of start, in the file */
	dev_t dev;
	ino_t ino;       /* 0: no file */
	unsigned access; /* VMA_* */
	bool shared;
};

/*
 * The mapping at an address. Where name is given it gets the path that the list of mappings shows, or "" where there is
 * none or size bytes are too few. Returns 0, -EFAULT: nothing is there, or it cannot be told; -ENOMEM.
 */
int vma_find(int maps, uint64_t at, struct vma *vma, char *name, size_t size);

/* Does the kernel answer for one mapping (Linux 6.11)? Else vma_find() reads the list. maps is this process's. */
bool vma_query_known(int maps);

/* May all of [start, start + length) be accessed so? Returns 0, or as vma_find() does. */
int vma_check(int maps, uint64_t start, uint64_t length, unsigned access);

/*
 * Would pinning take it, as far as the mapping tells? That there is memory behind it is another question. mounts are
 * those of the process. Returns 0, -EFAULT, or -EOPNOTSUPP: fsdax.
 */
int vma_pinnable(const struct vma *vma, struct mounts *mounts, bool write);

#endif
