/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What differs between IOMMUs: a driver says what its page tables can do, and may refuse. The mock IOMMU of the test
 * device is one; the software IOMMU of other devices is another.
 */
#ifndef IOMMUSE_HWPT_DRIVER_H
#define IOMMUSE_HWPT_DRIVER_H

#include "base/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct domain;
struct iommu_device;
struct viommu;
struct viommu_ops;

/* A structure of the client's for a driver, of a type that only the driver knows. */
struct user_data {
	struct client *client;
	uint32_t type; /* 0: none */
	uint32_t length;
	uaddr_t at;
};

/*
 * Copies it into a structure of size bytes of which the first version had min. Returns 0, or in this order -EINVAL:
 * another type, shorter than min, or longer than size; -EFAULT. What it has not is 0. (include/linux/iommu.h)
 */
int user_data_copy(const struct user_data *data, uint32_t type, void *to, size_t size, size_t min);

/* An array of requests of the client's. */
struct user_array {
	struct client *client;
	uint32_t type;
	uint32_t entry_length, count;
	uaddr_t at;
};

/* Copies an entry of an array, by the same rules. */
int user_array_copy(const struct user_array *array, uint32_t index, uint32_t type, void *to, size_t size, size_t min);

/* Copies all entries at once into count structures of size bytes: -EINVAL: another type; -EFAULT, -E2BIG: an entry is
 * longer, and not zero there. */
int user_array_copy_all(const struct user_array *array, uint32_t type, void *to, size_t size);

/* Of a paging domain that is to be made. */
struct paging_limits {
	iova_t aperture_first, aperture_last;
	uint64_t page_sizes;
	bool coherent;
};

struct iommu_driver {
	const char *name;

	/* IOMMU_HW_CAP_* of a device. */
	uint64_t (*capabilities)(const struct iommu_device *device);

	/*
	 * Information of a type (in: what is asked for, 0: the default; out: what it is). Stores at most room bytes and
	 * the real length. -EOPNOTSUPP: another type. NULL: none.
	 */
	int (*hw_info)(const struct iommu_device *device, uint32_t *type, void *data, size_t room, size_t *length);

	/*
	 * Checks a paging domain with IOMMU_HWPT_ALLOC_* (without FAULT_ID_VALID) and the client's data, and says its
	 * limits. -EOPNOTSUPP, -EINVAL, -EFAULT. flags_known: false where Linux's driver has no operation for flags, so
	 * that none and no data are accepted.
	 */
	int (*paging_check)(const struct iommu_device *device, uint32_t flags, const struct user_data *data,
			    struct paging_limits *limits);

	/* Makes a domain nested on a paging one (viommu NULL) or behind a virtual IOMMU. NULL: -EOPNOTSUPP. */
	int (*nested_new)(struct iommu_device *device, struct domain *parent, struct viommu *viommu, uint32_t flags,
			  const struct user_data *data, struct domain **domain);

	/* May the domain be attached (domain NULL: is detached) in place of old? Called before anything changes.
	 * Optional. */
	int (*attach_check)(struct iommu_device *device, uint32_t pasid, const struct domain *domain,
			    const struct domain *old);

	/* The answer to a group of page faults: IOMMUFD_PAGE_RESP_*. Called with locks held: wakes who waits for it and
	 * does nothing else. Optional. */
	void (*page_response)(struct iommu_device *device, uint32_t pasid, uint32_t group, uint32_t code);

	/* What a virtual IOMMU of this type can do; NULL: there is none. */
	const struct viommu_ops *(*viommu)(const struct iommu_device *device, uint32_t type);
};

/* What a nested domain's driver does; struct domain points to it. */
struct nested_ops {
	void (*free)(struct domain *domain);
	/* Does requests until one is wrong; stores how many are done. NULL: -EOPNOTSUPP. */
	int (*invalidate)(struct domain *domain, const struct user_array *array, uint32_t *done);
};

#endif
