/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One iommufd and what lies in it: what a call that is made to fail works on. Calls reach iommuse in one of two ways,
 * of which a program is linked with one: through the library (library.c), or as system calls (door.c).
 */
#ifndef IOMMUSE_TESTS_WORLD_H
#define IOMMUSE_TESTS_WORLD_H

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"

#include <stddef.h>
#include <stdint.h>

#define PAGE     UINT64_C(4096)
#define APERTURE UINT64_C(0x1000000) /* where the mock IOMMU begins */

struct world {
	struct iommuse *system; /* the library's */
	int fd;
	unsigned char *memory; /* PAGES pages: private, but for those from SHARED on, which are memfd's */
	int memfd;             /* as long */
	uint32_t ioas, other_ioas, stdev, idev, hwpt, other_hwpt;
	uint32_t nested, viommu, vdevice, fault, veventq, hw_queue, pin;
	int fault_fd, veventq_fd, access, dmabuf;
	int group, device, second_device, eventfd;
	int ioasid;
	uint64_t region_offset; /* of the vIOMMU, two pages */
	void *region;           /* where it, or two pages of a device, are mapped, or NULL */
};

enum { PAGES = 64, SHARED = 48 };

/* The way to iommuse. Those that return a long: a result, or -errno. */
extern const unsigned way_modes; /* in which it can be used; each is swept */
const char *way_mode_name(unsigned which);
void way_choose(unsigned which);
unsigned way_mode(void);
void way_begin(struct world *w);
void way_end(struct world *w);
long world_open(struct world *w, const char *path, int flags);
long world_ioctl(struct world *w, int fd, unsigned long cmd, void *arg);
long world_read(struct world *w, int fd, void *buf, size_t count);
long world_write(struct world *w, int fd, const void *buf, size_t count);
long world_pread(struct world *w, int fd, void *buf, size_t count, uint64_t offset);
long world_pwrite(struct world *w, int fd, const void *buf, size_t count, uint64_t offset);
long world_map(struct world *w, int fd, size_t length, uint64_t offset, void **address);
long world_poll(struct world *w, int fd);
long world_close(struct world *w, int fd);
uint64_t way_pinned(void); /* what is counted as pinned */

void world_new(struct world *w);
void world_free(struct world *w);

/* An ioctl of the iommufd. */
#define CALL(w, cmd, ...) world_ioctl((w), (w)->fd, (cmd), __VA_ARGS__)

/* A test op. */
long world_test(struct world *w, struct iommu_test_cmd *cmd);

/* What the state is, as far as other calls tell without changing it. */
enum { PRINT_MAX = 256 };
struct print {
	unsigned count;
	struct {
		const char *what;
		uint64_t value;
	} item[PRINT_MAX];
};
void world_print(struct world *w, struct print *print);

/* Steps of set-ups; each ends the program where it fails. */
void with_ioas(struct world *w);
void with_pasids(struct world *w);     /* 1 and 2 of /dev/ioasid */
void with_other_ioas(struct world *w); /* without a page table */
void with_map(struct world *w);        /* two pages at APERTURE */
void with_map_file(struct world *w);   /* two pages at APERTURE + 16 pages */
void with_device(struct world *w);     /* attached to an automatic page table */
void with_parent(struct world *w);     /* hwpt is a nesting parent */
void with_viommu(struct world *w);     /* with a region */
void with_region_mapped(struct world *w);
void with_vdevice(struct world *w);
void with_loose_nested(struct world *w); /* behind the vIOMMU */
void with_nested(struct world *w);       /* the same, and the device is attached to it */
void with_fault_queue(struct world *w);
void with_fault_hwpt(struct world *w); /* hwpt takes faults, the device is attached to it */
void with_fault(struct world *w);
void with_fault_read(struct world *w);
void with_to_track(struct world *w); /* hwpt can track, the device is attached to it */
void with_tracking(struct world *w); /* the same, and it tracks */
void with_dirt(struct world *w);     /* the second page */
void with_event(struct world *w);
void with_compat(struct world *w);     /* the IOAS is that of the container */
void with_version_1(struct world *w);  /* and is of version 1, with four pages at APERTURE + 32 pages */
void with_other_map(struct world *w);  /* two pages at APERTURE of the other IOAS */
void with_other_copy(struct world *w); /* of the two pages at APERTURE to the other IOAS */
void with_pasid_hwpt(struct world *w); /* hwpt is for PASIDs, the device is attached to it */
void with_other_hwpt(struct world *w); /* for PASIDs */
void with_pasid(struct world *w);      /* hwpt is attached to PASID 7 */
void with_access(struct world *w);
void with_pin(struct world *w);
void with_veventq(struct world *w);
void with_hw_queue(struct world *w);
void with_dmabuf(struct world *w);
void with_dmabuf_map(struct world *w); /* two pages at APERTURE + 24 pages */
void with_group(struct world *w);
void with_container(struct world *w); /* which is the iommufd */
void with_group_device(struct world *w);
void with_sharing_group(struct world *w);     /* of a device that can share addresses */
void with_sharing_container(struct world *w); /* which is the iommufd, for BIND */
void with_sharing_device(struct world *w);
void with_bond(struct world *w);
void with_registers(struct world *w); /* of the device, mapped */
void with_cdev(struct world *w);
void with_cdev_bound(struct world *w);
void with_cdev_attached(struct world *w); /* to the IOAS */
void with_eventfd(struct world *w);

#endif
