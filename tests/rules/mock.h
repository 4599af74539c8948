/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What cases about page tables and devices share: calls of the test device (IOMMU_TEST_CMD), memory that can be pinned,
 * and a world of objects of every kind, for tables of calls that name them.
 *
 * These programs run with --selftest only.
 */
#ifndef IOMMUSE_TESTS_MOCK_H
#define IOMMUSE_TESTS_MOCK_H

#include "calls.h"

#include "abi/iommufd_test.h"

#include <sys/mman.h>

/* The mock IOMMU translates [AP, AP_LAST]. */
#define AP      UINT64_C(0x1000000)
#define AP_LAST UINT64_C(0x7fffffff)
#define HALF    UINT64_C(2048) /* its smallest page */

/* Memory of the client, at an address that is known when tables are compiled. */
#define MEMORY        UINT64_C(0x530000000000)
#define MEMORY_LENGTH (UINT64_C(16) << 20)
#define AT(address)   ((unsigned char *)(uintptr_t)(address))

/* Makes MEMORY anew: zeroes, private, readable and writable, every page there. */
void memory_new(struct rules *t);
void memory_free(void);

/* A mock device: stdev is its handle for test ops, device its id as an object, hwpt what it is attached to. */
struct mock {
	uint32_t ioas, stdev, device, hwpt;
};

/* A test op; sets the size. */
int test_op(struct rules *t, struct iommu_test_cmd *c);

/* A device with these flags that is attached to the IOAS or page table. mock_new: failure is the case's. */
int mock_try(struct rules *t, uint32_t pt, uint32_t flags, struct mock *m);
struct mock mock_new(struct rules *t, uint32_t pt, uint32_t flags);
int mock_attach(struct rules *t, uint32_t stdev, uint32_t pt); /* instead of what it is attached to */

int pasid_attach(struct rules *t, uint32_t stdev, uint32_t pasid, uint32_t pt);
int pasid_replace(struct rules *t, uint32_t stdev, uint32_t pasid, uint32_t pt);
int pasid_detach(struct rules *t, uint32_t stdev, uint32_t pasid);
/* 0: this page table (0: none) is attached to the PASID. */
int pasid_check(struct rules *t, uint32_t stdev, uint32_t pasid, uint32_t hwpt);

int reserve(struct rules *t, uint32_t ioas, uint64_t start, uint64_t length);
/* 0: the page table translates the range to the memory at va. */
int check_map(struct rules *t, uint32_t hwpt, uint64_t iova, uint64_t length, uint64_t va);
/* As is_free(), where memory that is mapped has to be there. */
bool is_unmapped(struct rules *t, uint32_t ioas, uint64_t iova, uint64_t length);
/* 0: the pages at va are pinned this many times. */
int check_refs(struct rules *t, uint64_t va, uint64_t length, uint32_t refs);
/* How many elements IOVA_RANGES has; of range the first 16. */
uint32_t iova_ranges(struct rules *t, uint32_t ioas, struct iommu_iova_range *range);
/* The one range there is; another number is the case's failure. */
void expect_range(struct rules *t, uint32_t ioas, uint64_t start, uint64_t last);

/* Page tables. The _new ones return the id; failure is the case's. */
int hwpt_try(struct rules *t, struct iommu_hwpt_alloc *c);
uint32_t hwpt_new(struct rules *t, uint32_t device, uint32_t pt, uint32_t flags);
uint32_t hwpt_with_faults(struct rules *t, uint32_t device, uint32_t pt, uint32_t flags, uint32_t fault);
/* On a parent or a vIOMMU. */
int nested_try(struct rules *t, uint32_t device, uint32_t pt, uint32_t flags, uint32_t fault, uint32_t *hwpt);
uint32_t nested_new(struct rules *t, uint32_t device, uint32_t pt);
int check_iotlb(struct rules *t, uint32_t hwpt, uint32_t entry, uint32_t value);

int viommu_try(struct rules *t, uint32_t device, uint32_t hwpt, uint32_t *viommu);
uint32_t viommu_new(struct rules *t, uint32_t device, uint32_t hwpt);
int vdevice_try(struct rules *t, uint32_t viommu, uint32_t device, uint64_t virt_id, uint32_t *vdevice);
uint32_t vdevice_new(struct rules *t, uint32_t viommu, uint32_t device, uint64_t virt_id);
int veventq_try(struct rules *t, uint32_t viommu, uint32_t type, uint32_t depth, uint32_t *id, int *fd);
int hw_queue_try(struct rules *t, uint32_t viommu, uint32_t index, uint64_t iova, uint64_t length, uint32_t *id);
uint32_t hw_queue_new(struct rules *t, uint32_t viommu, uint32_t index, uint64_t iova, uint64_t length);

/* Accesses: the descriptor, or -errno. */
int mock_access_new(struct rules *t, uint32_t ioas, uint32_t flags);
int mock_access_rw(struct rules *t, int access, uint64_t iova, void *buf, uint64_t length, uint32_t flags);
int mock_access_pin(struct rules *t, int access, uint64_t iova, uint64_t length, uint32_t flags, uint32_t *id);
int mock_access_unpin(struct rules *t, int access, uint32_t id);
int mock_access_replace(struct rules *t, int access, uint32_t ioas);

int fault_trigger(struct rules *t, uint32_t device, uint32_t pasid, uint32_t grpid, uint64_t addr);
int vevent_trigger(struct rules *t, uint32_t device);
int check_cache(struct rules *t, uint32_t device, uint32_t entry, uint32_t value);

/* A descriptor, or -errno. */
int mock_dmabuf_new(struct rules *t, uint32_t length);
int mock_dmabuf_revoke(struct rules *t, int fd, uint32_t revoked);

int set_dirty(struct rules *t, uint32_t hwpt, uint32_t flags);
int get_dirty(struct rules *t, uint32_t hwpt, uint32_t flags, uint64_t iova, uint64_t length, uint64_t page_size,
	      void *bitmap);
/* Dirties the pages whose bits are set, as a device's writes would. */
int make_dirty(struct rules *t, uint32_t hwpt, uint64_t iova, uint64_t length, uint64_t page_size, const void *bitmap);

/* The id that the next object gets. */
uint32_t next_id(struct rules *t);

/*
 * The world. In the argument of a row, a word with one of these values becomes the id, or the descriptor, of that
 * object. What is there: an IOAS with three areas of 16 pages, of MEMORY: at AREA (readable and writable), at READ_AREA
 * (readable only) and at WRITE_AREA (writable only); nothing else below HOLE_AREA. All page tables but SPARE are of it.
 */
enum world_id {
	WORLD_FIRST = 0x71d00000,
	IOAS = WORLD_FIRST,
	SPARE,  /* an IOAS with nothing */
	STDEV,  /* a device attached to AUTO; stdev */
	DEVICE, /* the same; id */
	CLEAN_STDEV,
	CLEAN, /* a device without dirty tracking */
	PASID_STDEV,
	PASID_DEVICE, /* a device with PASIDs, attached to PASID_HWPT */
	AUTO,         /* the automatic page table */
	PLAIN,        /* a page table without flags */
	DIRTY,        /* one with dirty tracking */
	PARENT,       /* one to nest on */
	PASID_HWPT,
	NESTED,  /* on PARENT */
	VIOMMU,  /* on PARENT */
	FAULT,   /* a fault queue */
	ACCESS,  /* the descriptor of an access to IOAS that does not pin */
	PINNING, /* of one that does */
	WORLD_LAST
};

#define AREA       (AP + 0x100000)
#define READ_AREA  (AP + 0x200000)
#define WRITE_AREA (AP + 0x300000)
#define HOLE_AREA  (AP + 0x400000)
#define AREA_SIZE  (16 * PAGE)

/* Where rows have their data, in MEMORY; and the memory of AREA; READ_AREA's is at 16 pages, WRITE_AREA's at 32. */
#define DATA (MEMORY + (UINT64_C(8) << 20))

struct world {
	uint32_t id[WORLD_LAST - WORLD_FIRST];
	int fault_fd;
};

#define OBJECT(w, name) ((w)->id[(name)-WORLD_FIRST])

void world_new(struct rules *t, struct world *w);
/* Closes the descriptors. */
void world_close(struct rules *t, struct world *w);

/* A call in the world. A call that fails must leave the id that it would have got free. */
struct world_row {
	int result;
	unsigned long cmd;
	size_t size;
	const void *arg;
	uint32_t data[12]; /* what is at DATA */
};

void call_in_world(struct rules *t, const void *row);

/* A row: what it expects, the command, the structure's type, and its members. */
#define WORLD_DATA(...)                                                                                                \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#define IN_WORLD(rules, name, expected, command, type, words, ...)                                                     \
	ROW(rules, name, call_in_world, struct world_row, .result = (expected), .cmd = (command),                      \
	    .size = sizeof(struct type), .data = words,                                                                \
	    .arg = &(const struct type){.size = sizeof(struct type), __VA_ARGS__})

#endif
