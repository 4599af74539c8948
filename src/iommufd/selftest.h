/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The test device: a mock IOMMU, mock devices behind it, and the ops of IOMMU_TEST_CMD that make them, use them, and
 * look at what they see. It is for tests, and does what Linux's does.
 */
#ifndef IOMMUSE_IOMMUFD_SELFTEST_H
#define IOMMUSE_IOMMUFD_SELFTEST_H

#include "abi/iommufd_test.h"
#include "hwpt/device.h"
#include "iommufd/hwpt.h"
#include "iommufd/viommu.h"

struct access;
struct access_page;
struct memory_run;

/* What all iommufds of a system share of it. */
struct selftest {
	pthread_mutex_t lock; /* guards ctxs; a leaf */
	struct ctx *ctxs;
	_Atomic uint32_t memory_limit; /* bytes; kept, as nothing here needs memory in proportion to what is mapped */
	_Atomic uint32_t devices;      /* that there ever were */
};

/* All iommufds are known, as a page may be pinned by any of them. */
void selftest_add_ctx(struct ctx *ctx);
void selftest_remove_ctx(struct ctx *ctx);

/* The one after ctx (NULL: the first), with a reference; consumes that of ctx. NULL: there are no more. */
struct ctx *selftest_next_ctx(struct selftest *selftest, struct ctx *ctx);

/* A nested domain: nothing but an IOTLB, whose entries tests compare. */
struct mock_nested {
	struct domain domain;
	struct viommu *viommu; /* NULL: directly on its parent. The page table keeps it. */
	_Atomic uint32_t iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

/* Behind which virtual device it was when a domain of a virtual IOMMU was to be attached. */
struct mock_virtual {
	const struct domain *domain; /* compared only */
	uint64_t virt_id;
};

/* The object is what tests destroy; the device that is bound belongs to it. */
struct mock_device {
	struct object object;
	struct iommu_device dev;
	struct iommu_group group; /* of its own */
	struct device *device;    /* NULL: not bound yet */
	bool no_dirty;
	char name[24];
	_Atomic uint32_t cache[MOCK_DEV_CACHE_NUM];
	pthread_mutex_t lock; /* a leaf; guards what follows */
	bool refuse;          /* the next domain on IOMMU_TEST_PASID_RESERVED */
	/* Of the domain that is attached, and of the one that was asked for last. */
	struct mock_virtual attached, asked;
};

static inline struct mock_device *mock_device(const struct iommu_device *dev)
{
	return (struct mock_device *)((char *)(uintptr_t)dev - offsetof(struct mock_device, dev));
}

extern const struct iommu_driver mock_driver;

/* selftest_driver.c; NULL: another driver's */
struct mock_nested *mock_nested(struct domain *domain);

/* selftest_viommu.c */
const struct viommu_ops *mock_viommu_ops(const struct iommu_device *dev, uint32_t type);
/* The number of the virtual device of a device. Returns 0, or -ENOENT: it has none there. */
int mock_virt_id(struct viommu *viommu, const struct device *device, uint64_t *virt_id);

/* selftest_memory.c: which memory something is. */
struct place {
	const struct mm *mm; /* NULL: it is no user memory */
	uint64_t va;         /* in mm */
	const uint8_t *host; /* NULL: not reached from here */
	const struct hold *hold;
};

struct place place_of_page(const struct access_page *page);
/* The run's byte at offset, whose run begins at va. */
struct place place_of_run(const struct mm *mm, uint64_t va, const struct memory_run *run, uint64_t offset);
/*
 * What a paging domain shows at iova, and how many bytes of it follow. Returns false: nothing. The hold is the
 * caller's to put.
 */
bool place_of_iova(struct paging_domain *domain, iova_t iova, struct place *place, uint64_t *length);
bool place_same(const struct place *a, const struct place *b);

/* The ops, by the file that has them. */

/* selftest_device.c */
int test_mock_domain(struct ucmd *ucmd);
int test_mock_domain_flags(struct ucmd *ucmd);
int test_mock_domain_replace(struct ucmd *ucmd);
int test_pasid_attach(struct ucmd *ucmd);
int test_pasid_replace(struct ucmd *ucmd);
int test_pasid_detach(struct ucmd *ucmd);
int test_pasid_check_hwpt(struct ucmd *ucmd);
int test_dev_check_cache(struct ucmd *ucmd);
int test_trigger_iopf(struct ucmd *ucmd);
int test_trigger_vevent(struct ucmd *ucmd);

/* selftest_access.c */
int test_create_access(struct ucmd *ucmd);
int test_access_pages(struct ucmd *ucmd);
int test_destroy_access_pages(struct ucmd *ucmd);
int test_access_rw(struct ucmd *ucmd);
int test_access_replace_ioas(struct ucmd *ucmd);

/* selftest_check.c */
int test_add_reserved(struct ucmd *ucmd);
int test_md_check_map(struct ucmd *ucmd);
int test_md_check_refs(struct ucmd *ucmd);
int test_md_check_iotlb(struct ucmd *ucmd);
int test_dirty(struct ucmd *ucmd);
int test_set_temp_memory_limit(struct ucmd *ucmd);

/* selftest_dmabuf.c */
int test_dmabuf_get(struct ucmd *ucmd);
int test_dmabuf_revoke(struct ucmd *ucmd);

#endif
