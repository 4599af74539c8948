/* SPDX-License-Identifier: BSD-3-Clause */
/* The records of event queues. */
#include "check/command.h"

#include "abi/iommufd.h"
#include "iommufd/object.h"

static const struct name fault_perms[] = {
	{IOMMU_PGFAULT_PERM_READ, "READ"},
	{IOMMU_PGFAULT_PERM_WRITE, "WRITE"},
	{IOMMU_PGFAULT_PERM_EXEC, "EXEC"},
	{IOMMU_PGFAULT_PERM_PRIV, "PRIV"},
	{0},
};

static const struct field page_fault[] = {
	FIELD(iommu_hwpt_pgfault, dev_id, "device", NUMBER, .place = OUT),
	FIELD(iommu_hwpt_pgfault, pasid, "pasid", NUMBER, .place = OUT, .not_zero = true),
	FIELD(iommu_hwpt_pgfault, perm, "perm", FLAGS, .place = OUT, .not_zero = true, .names = fault_perms),
	FIELD(iommu_hwpt_pgfault, addr, "addr", HEX, .place = OUT),
	FIELD(iommu_hwpt_pgfault, grpid, "grpid", NUMBER, .place = OUT),
	FIELD(iommu_hwpt_pgfault, cookie, "cookie", NUMBER, .place = OUT),
	{0},
};

static const struct name response_codes[] = {
	{IOMMUFD_PAGE_RESP_SUCCESS, "SUCCESS"},
	{IOMMUFD_PAGE_RESP_INVALID, "INVALID"},
	{0},
};

static const struct field page_response[] = {
	FIELD(iommu_hwpt_page_response, cookie, "cookie", NUMBER),
	FIELD(iommu_hwpt_page_response, code, "code", ENUM, .names = response_codes),
	{0},
};

static const struct name vevent_flags[] = {
	{IOMMU_VEVENTQ_FLAG_LOST_EVENTS, "LOST_EVENTS"},
	{0},
};

static const struct field vevent[] = {
	FIELD(iommufd_vevent_header, flags, "flags", FLAGS, .place = OUT, .not_zero = true, .names = vevent_flags),
	FIELD(iommufd_vevent_header, sequence, "sequence", NUMBER, .place = OUT),
	{0},
};

const struct command read_records[] = {
	{.number = OBJECT_FAULT, .name = "fault", .fields = page_fault},
	{.number = OBJECT_VEVENTQ, .name = "veventq", .fields = vevent},
	{0},
};

const struct command write_records[] = {
	{.number = OBJECT_FAULT, .name = "fault", .fields = page_response},
	{0},
};
