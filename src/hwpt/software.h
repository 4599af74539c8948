/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The IOMMU in front of software devices: page tables of any granularity from 4096 bytes on, 57 bits of IOVA, coherent,
 * with dirty tracking and PASIDs; no nesting and no virtual IOMMUs. Its devices cannot use the IOVAs of message
 * signalled interrupts.
 */
#ifndef IOMMUSE_HWPT_SOFTWARE_H
#define IOMMUSE_HWPT_SOFTWARE_H

#include "hwpt/driver.h"
#include "ioas/reserved.h"

/* What a table of five levels translates. */
#define SOFTWARE_IOMMU_LAST ((UINT64_C(1) << 57) - 1)

extern const struct iommu_driver software_iommu;

/* [0xfee00000, 0xfeefffff], for iommu_device.reserved: one span. */
extern const struct iova_span software_iommu_reserved[1];

#endif
