/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device as the IOMMU sees it: which domain each of its PASIDs is attached to, and the DMA that it does. It knows
 * nothing of iommufd or VFIO; they attach it.
 */
#ifndef IOMMUSE_HWPT_DEVICE_H
#define IOMMUSE_HWPT_DEVICE_H

#include "base/epoch.h"
#include "hwpt/domain.h"
#include "ioas/reserved.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/uio.h>

struct event_stream;
struct partial_faults;

/* What a device's DMA without a PASID goes by. */
#define NO_PASID 0U

#define PASID_BITS 20U

/* What a PASID is attached to. DMA finds it unchanged; another attachment is another structure. */
struct attached {
	struct domain *domain;
	struct paging_domain *paging; /* NULL: none */
	struct mm *shared;            /* DMA goes to its addresses; NULL: to none's. Without either it is blocked. */
	uint64_t serial;              /* never the same twice in a device */
	struct attached *next;        /* of those that are left behind */
};

/* What was detached last, for who explains a fault. */
struct detached {
	uint64_t time_ns; /* 0: nothing was, or nobody listens to faults */
	uint32_t pasid;
	uint32_t ioas;   /* id; 0: it had none */
	int32_t process; /* whose addresses were shared; 0: nobody's */
};

#define PASID_SLOTS (1U << PASID_BITS / 2)

struct pasid_leaf {
	unsigned used;
	struct pasid_leaf *next; /* of those that are left behind */
	struct attached *_Atomic slot[PASID_SLOTS];
};

/* A radix tree, as there may be a million of them. */
struct pasid_table {
	struct pasid_leaf *_Atomic leaf[PASID_SLOTS];
};

/* Devices that cannot be told apart, and so are attached together. */
struct iommu_group {
	uint32_t id;
	const void *_Atomic owner; /* the one iommufd that may have devices of it; NULL: none */
};

struct iommu_device {
	const struct iommu_driver *driver;
	struct iommu_group *group;
	const char *name;                 /* "0000:01:00.0"; for people to read */
	uint32_t max_pasids;              /* 0: it has none */
	bool can_fault;                   /* it can wait for the answer to a page fault */
	const struct iova_span *reserved; /* IOVAs that it cannot use */
	size_t reserved_count;
	struct event_stream *events; /* may be NULL */
	void *owner;                 /* of the floor above: its struct device, while it is bound */
	/* Hears the answers to page requests, as iommu_driver.page_response does; NULL: it makes none. */
	void (*page_response)(struct iommu_device *device, uint32_t pasid, uint32_t group, uint32_t code);

	pthread_mutex_t lock; /* guards changes of what follows */
	struct detached detached;
	/* Readers are inside an epoch. Without a PASID, and with one; NULL: none so far. */
	struct attached *_Atomic attachment;
	struct pasid_table *_Atomic pasids;
	uint64_t serial;     /* of the last attachment */
	struct epoch *epoch; /* of the iommufd that has it; NULL: none, and all DMA is blocked */
	struct dma *dmas;
	struct partial_faults *faults;
};

void iommu_device_init(struct iommu_device *device, const struct iommu_driver *driver, struct iommu_group *group);
void iommu_device_fini(struct iommu_device *device);

/*
 * The iommufd that has the device from now on; NULL: none any more. Nothing is attached. What was may still be waited
 * for: this waits as well, so that no device thread is inside whom nobody sees any more.
 */
void iommu_device_own(struct iommu_device *device, struct epoch *epoch);

/* What changes of attachments left behind, of devices of one iommufd. Begins as zeroes. */
struct leftovers {
	struct attached *attached;
	struct pasid_leaf *leaves;
	struct epoch *epoch;
};

/*
 * Attaches a domain, in place of another if there is one (NULL: detaches). DMA that begins now uses the new one; DMA in
 * flight may use the old one until leftovers_end(), which waits for it and is called without locks. Asks the driver
 * first, without a lock: the caller attaches one PASID of a device at a time. Returns 0, -EINVAL: no such PASID,
 * -ENOMEM, or what the driver says; a detach does not fail, and what the driver says is not heard.
 */
int iommu_device_set(struct iommu_device *device, uint32_t pasid, struct domain *domain, struct leftovers *left);
void leftovers_end(struct leftovers *left);

/* Both: after it returned no DMA of the PASID uses the old one. */
int iommu_device_attach(struct iommu_device *device, uint32_t pasid, struct domain *domain);

/* What a PASID is attached to, or NULL. Takes no lock; the caller holds the device's, or sees to it that nothing is
 * attached meanwhile. */
struct domain *iommu_device_domain(struct iommu_device *device, uint32_t pasid);

/* DMA. A struct dma is one thread's way through the IOMMU: its slot of the epoch and its IOTLB. */

#define IOTLB_ENTRIES 64U

/* The translation may be looked at while the attachment is the PASID's, and is valid while its serial is the same. */
struct iotlb_entry {
	iova_t start, last;
	uint64_t attachment; /* serial */
	uint64_t serial;     /* of the translation */
	struct translation *translation;
};

struct dma {
	struct epoch_slot slot;
	struct iommu_device *device;
	struct dma *next, **link;      /* in the device */
	struct dma_withheld *withheld; /* keeps what may yet be mended; NULL: all faults are announced at once */
	struct iotlb_entry entry[IOTLB_ENTRIES];
};

void dma_init(struct dma *dma, struct iommu_device *device);
void dma_fini(struct dma *dma);

enum dma_access {
	DMA_READ = 1,  /* the device reads memory */
	DMA_WRITE = 2, /* the device writes memory */
};

/* Why DMA was blocked. */
enum dma_fault_reason {
	DMA_FAULT_NO_DOMAIN = 1, /* the device, or the PASID, is not attached */
	DMA_FAULT_NOT_MAPPED,
	DMA_FAULT_READ_ONLY,
	DMA_FAULT_WRITE_ONLY,
	DMA_FAULT_MEMORY,       /* mapped, but the memory behind it is gone */
	DMA_FAULT_BUS_MASTER,   /* the driver has not let the device do DMA (PCI command register) */
	DMA_FAULT_PAGE_REQUEST, /* the process has no such memory, or may not access it so, or is gone */
};

struct dma_fault {
	uint32_t pasid;
	enum dma_fault_reason reason;
	enum dma_access access;
	iova_t iova; /* of the first byte that failed */
};

/* A fault in an address space that somebody serves page faults of: announced if it is not mended. */
struct dma_withheld {
	struct dma_fault fault;
	uint64_t length; /* of what is not transferred; 0: there is none */
};

/* Of addresses that are shared so many bytes are copied at once, as each piece takes some system calls. A detach waits
 * for a piece. */
#define DMA_SHARED_BYTES 1048576U

/* A run of memory behind IOVAs. */
struct dma_run {
	uint64_t length;
	uint8_t *host;     /* NULL: by the owner's mm */
	struct hold *hold; /* for memory_copy() */
	struct mm *mm;
	uaddr_t va;  /* in mm; this and shared only where host is NULL */
	bool shared; /* by mm's load and store */
};

/*
 * Translates [iova, iova + length - 1] into runs, at most room of them. Between dma_begin() and dma_end() they stay
 * valid: an unmap waits. Do not wait for anybody in between. Marks written pages dirty. Stores how many runs and
 * returns how many bytes they cover: fewer than length where room ran out (fault->reason 0) or at a fault. A fault is
 * announced by dma_report(), after dma_end().
 */
static inline void dma_begin(struct dma *dma)
{
	epoch_enter(&dma->slot);
}

static inline void dma_end(struct dma *dma)
{
	epoch_leave(&dma->slot);
}

/* By what is not in sight: dma_translate() is for callers. */
uint64_t dma_translate_anew(struct dma *dma, uint32_t pasid, iova_t iova, uint64_t length, enum dma_access access,
			    struct dma_run *run, size_t room, size_t *count, struct dma_fault *fault);

static inline struct iotlb_entry *iotlb_entry(struct dma *dma, uint32_t pasid, iova_t iova)
{
	return &dma->entry[(unsigned)(iova >> 12 ^ iova >> 18 ^ pasid * 7) % IOTLB_ENTRIES];
}

/* What the mapping's prot must have: IOMMU_IOAS_MAP_WRITEABLE and _READABLE. */
static inline uint32_t dma_prot(enum dma_access access)
{
	return (access & DMA_WRITE) | (access & DMA_READ) << 2;
}

/* One run that the IOTLB has. */
static inline bool dma_translate_cached(struct dma *dma, const struct attached *attached, uint32_t pasid, iova_t iova,
					uint64_t length, enum dma_access access, struct dma_run *run)
{
	const struct iotlb_entry *entry = iotlb_entry(dma, pasid, iova);
	const struct translation *translation;
	const struct ioas_mapping *mapping;

	if (!attached || entry->attachment != attached->serial || iova < entry->start || iova > entry->last ||
	    length - 1 > entry->last - iova)
		return false;
	translation = entry->translation;
	mapping = &translation->mapping;
	if (atomic_load(&translation->serial) != entry->serial || !mapping->host ||
	    (mapping->prot & dma_prot(access)) != dma_prot(access))
		return false;
	if (access & DMA_WRITE && atomic_load_explicit(&attached->paging->tracking, memory_order_acquire))
		return false;
	run->length = length;
	run->host = mapping->host + (iova - mapping->start);
	run->hold = mapping->hold;
	run->mm = NULL;
	return true;
}

static inline uint64_t dma_translate(struct dma *dma, uint32_t pasid, iova_t iova, uint64_t length,
				     enum dma_access access, struct dma_run *run, size_t room, size_t *count,
				     struct dma_fault *fault)
{
	if (__builtin_expect(pasid == NO_PASID && room &&
				     dma_translate_cached(dma, atomic_load(&dma->device->attachment), pasid, iova,
							  length, access, run),
			     1)) {
		*count = 1;
		fault->reason = 0;
		return length;
	}
	return dma_translate_anew(dma, pasid, iova, length, access, run, room, count, fault);
}

/*
 * Announces a fault as an event with what is known of its IOVA; length: of what is not transferred. For who translates,
 * or blocks DMA, by himself: dma_read() and its like do it. Costs nothing where nobody listens. Not between this dma's
 * dma_begin() and dma_end(), as it takes the device's lock and the IOAS's; where another dma of the thread is inside,
 * nobody may be giving the device another owner, which waits for threads with its lock held. Where dma->withheld is
 * set and there may be an answer to a page request, it is kept there, and what was there before is announced.
 */
void dma_report(const struct dma *dma, const struct dma_fault *fault, uint64_t length);

/* The same for what was withheld, if anything was; it is not any more. */
void dma_report_withheld(const struct dma *dma, struct dma_withheld *withheld);

/*
 * Copies n bytes by DMA. Memory of another process is copied in pieces of at most a page, or
 * DMA_SHARED_BYTES where its addresses are shared, each in its own begin and end. Returns 0, or -EFAULT with *fault
 * (may be NULL): what came before is transferred. A fault is announced.
 */
int dma_read(struct dma *dma, uint32_t pasid, iova_t iova, void *to, size_t n, struct dma_fault *fault);
int dma_write(struct dma *dma, uint32_t pasid, iova_t iova, const void *from, size_t n, struct dma_fault *fault);

/* The same for scattered IOVAs (iov_base is the IOVA), to or from one buffer. */
int dma_readv(struct dma *dma, uint32_t pasid, const struct iovec *iova, int count, void *to, struct dma_fault *fault);
int dma_writev(struct dma *dma, uint32_t pasid, const struct iovec *iova, int count, const void *from,
	       struct dma_fault *fault);

#endif
