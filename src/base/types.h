/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses. An address in an I/O address space is an iova_t; an address in a client's memory is a uaddr_t.
 * They are different types so that mixing them up does not compile.
 */
#ifndef IOMMUSE_BASE_TYPES_H
#define IOMMUSE_BASE_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* An I/O virtual address. Ranges are [iova, last], last inclusive, so that the whole space can be said. */
typedef uint64_t iova_t;

/* An address in the memory of a client; never dereferenced but by client/. */
typedef struct {
	uint64_t va;
} uaddr_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE  (UINT64_C(1) << PAGE_SHIFT)
#define PAGE_MASK  (~(PAGE_SIZE - 1))

static inline uaddr_t uaddr(uint64_t va)
{
	return (uaddr_t){va};
}

static inline uaddr_t uaddr_add(uaddr_t a, uint64_t n)
{
	return (uaddr_t){a.va + n};
}

#endif
