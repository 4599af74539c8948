/* SPDX-License-Identifier: BSD-3-Clause */
/* A system with one iommufd and what lies in it: what a call that is made to fail works on. */
#ifndef IOMMUSE_TESTS_WORLD_H
#define IOMMUSE_TESTS_WORLD_H

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"
#include "iommuse/iommuse.h"

#include <stdint.h>

#define PAGE     UINT64_C(4096)
#define APERTURE UINT64_C(0x1000000) /* where the mock IOMMU begins */

struct world {
	struct iommuse *system;
	int fd;
	unsigned char *memory; /* private, PAGES pages */
	int memfd;             /* as long */
	uint32_t ioas, stdev, idev, hwpt;
	uint32_t nested, viommu, vdevice, fault, veventq, pin;
	int fault_fd, veventq_fd, access, dmabuf;
};

enum { PAGES = 64 };

/* What a call gave: its result, and what it stored. */
struct outcome {
	long rc;
	unsigned char stored[128];
};

void world_new(struct world *w);
void world_free(struct world *w);

/* An ioctl; the structure's first size bytes are stored. */
#define CALL(w, cmd, ...) world_ioctl((w), (w)->fd, (cmd), __VA_ARGS__)
long world_ioctl(struct world *w, int fd, unsigned long cmd, void *arg);

/* Steps of set-ups; each ends the program where it fails. */
void with_ioas(struct world *w);
void with_map(struct world *w);      /* two pages at APERTURE */
void with_map_file(struct world *w); /* two pages at APERTURE + 16 pages */
void with_device(struct world *w);   /* attached to an automatic page table */
void with_parent(struct world *w);   /* hwpt is a nesting parent */
void with_viommu(struct world *w);
void with_vdevice(struct world *w);
void with_nested(struct world *w);     /* behind the vIOMMU */
void with_fault_hwpt(struct world *w); /* hwpt takes faults, the device is attached to it */
void with_tracking(struct world *w);   /* hwpt tracks, the device is attached to it */
void with_pasid_hwpt(struct world *w); /* hwpt is for PASIDs, the device is attached to it */
void with_access(struct world *w);
void with_pin(struct world *w);
void with_veventq(struct world *w);
void with_dmabuf(struct world *w);

/* A test op. */
long world_test(struct world *w, struct iommu_test_cmd *cmd);

#endif
