/* SPDX-License-Identifier: BSD-3-Clause */
/* The address space of this process, as memory for DMA. */
#ifndef IOMMUSE_CLIENT_LOCAL_MM_H
#define IOMMUSE_CLIENT_LOCAL_MM_H

#include "client/client.h"

/*
 * Trusted: memory is reached by the client's own pointers, and what is cut off a file is the client's fault. Else it is
 * reached only through the kernel, which says so where nothing is there.
 */
struct mm *local_mm_new(bool trusted);

/* Where mappings of the client's files are held; lives as long as the address space. */
struct holds *local_mm_holds(struct mm *mm);

/* Copies as far as memory is there on both sides; returns how many bytes came. */
size_t local_mm_copy(void *dst, const void *src, size_t n);

#endif
