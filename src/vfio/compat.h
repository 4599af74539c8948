/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of a VFIO container, on an iommufd: they work on the IOAS that IOMMU_VFIO_IOAS names. */
#ifndef IOMMUSE_VFIO_COMPAT_H
#define IOMMUSE_VFIO_COMPAT_H

#include "iommufd/iommufd.h"

extern const struct iommufd_compat vfio_compat;

#endif
