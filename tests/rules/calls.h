/* SPDX-License-Identifier: BSD-3-Clause */
/* The calls that many cases make, on the case's own file. All return what the call did: -errno, or 0 and more. */
#ifndef IOMMUSE_TESTS_CALLS_H
#define IOMMUSE_TESTS_CALLS_H

#include "rules.h"

#include "abi/iommufd.h"
#include "abi/vfio.h"

#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA
#define WRITE IOMMU_IOAS_MAP_WRITEABLE
#define READ  IOMMU_IOAS_MAP_READABLE
#define RW    (READ | WRITE)

/* An address of client memory for maps that nothing looks at. */
#define VA UINT64_C(0x10000000)
/* An id that no object has. */
#define NO_ID UINT32_C(0x7fffffff)

int call(struct rules *t, unsigned long cmd, void *arg);
/* With a number instead of a pointer. */
int call_value(struct rules *t, unsigned long cmd, uintptr_t value);

/* Returns the id; a failure is the case's. */
uint32_t ioas_new(struct rules *t);
int destroy(struct rules *t, uint32_t id);

int map_at(struct rules *t, uint32_t ioas, uint64_t iova, uint64_t length);
int map_va_at(struct rules *t, uint32_t ioas, uint32_t prot, uint64_t va, uint64_t iova, uint64_t length);
/* Without a fixed IOVA. */
int map_auto(struct rules *t, uint32_t ioas, uint64_t va, uint64_t length, uint64_t *iova);
int copy_at(struct rules *t, uint32_t dst, uint32_t src, uint32_t prot, uint64_t src_iova, uint64_t dst_iova,
	    uint64_t length);
/* removed may be NULL. */
int unmap(struct rules *t, uint32_t ioas, uint64_t iova, uint64_t length, uint64_t *removed);
int map_file_at(struct rules *t, uint32_t ioas, uint32_t prot, int fd, uint64_t start, uint64_t iova, uint64_t length);
/* A memfd of this length; a failure is the case's. */
int memfd_new(struct rules *t, uint64_t length);

int allow(struct rules *t, uint32_t ioas, const struct iommu_iova_range *ranges, uint32_t count);
int option(struct rules *t, uint32_t option_id, uint16_t op, uint32_t object_id, uint64_t *val);
/* Switches huge pages off: the alignment is then a page. */
int small_pages(struct rules *t, uint32_t ioas);
/* The alignment that IOVA_RANGES answers. */
uint64_t alignment(struct rules *t, uint32_t ioas);

int vfio_ioas(struct rules *t, uint16_t op, uint32_t *ioas);
/* A new IOAS that container commands work on. */
uint32_t container_new(struct rules *t);
int container_map(struct rules *t, uint64_t iova, uint64_t size);
int container_unmap(struct rules *t, uint64_t iova, uint64_t size, uint64_t *removed);

/* A fault queue: its id and its descriptor. */
int fault_new(struct rules *t, uint32_t *id, int *fd);

/* Is no byte of [iova, iova+length-1] mapped? Tried by mapping it, and undone. */
bool is_free(struct rules *t, uint32_t ioas, uint64_t iova, uint64_t length);
/* Is it exactly this many bytes that are mapped in the IOAS? Unmaps them all. */
void expect_bytes(struct rules *t, uint32_t ioas, uint64_t bytes);

/* Closes a descriptor of the process's own. */
void close_plain(struct rules *t, int fd);

/* Opens another file of the same system. */
int node_open(struct rules *t, const char *path);

#endif
