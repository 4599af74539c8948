/* SPDX-License-Identifier: BSD-3-Clause */
/* The ops of IOMMU_TEST_CMD. What `id` is differs from one to the next. */
#include "check/command.h"

#include "abi/iommufd_test.h"

#define T(member, text, how, ...) FIELD(iommu_test_cmd, member, text, how, __VA_ARGS__)
#define OP(op, fields_)           COMMAND(IOMMU_TEST_OP_##op, #op, iommu_test_cmd, .fields = (fields_))

static const struct field add_reserved[] = {
	T(id, "ioas", NUMBER),
	T(add_reserved.start, "start", HEX),
	T(add_reserved.length, "length", BYTES),
	{0},
};

static const struct field mock_domain[] = {
	T(id, "pt", OBJECT),
	T(mock_domain.out_stdev_id, "stdev", NUMBER, .place = OUT),
	T(mock_domain.out_hwpt_id, "hwpt", NUMBER, .place = OUT),
	T(mock_domain.out_idev_id, "idev", NUMBER, .place = OUT),
	{0},
};

static const struct name device_flags[] = {
	{MOCK_FLAGS_DEVICE_NO_DIRTY, "NO_DIRTY"},
	{MOCK_FLAGS_DEVICE_PASID, "PASID"},
	{0},
};

static const struct field mock_domain_flags[] = {
	T(id, "pt", OBJECT),
	T(mock_domain_flags.dev_flags, "flags", FLAGS, .not_zero = true, .names = device_flags),
	T(mock_domain_flags.out_stdev_id, "stdev", NUMBER, .place = OUT),
	T(mock_domain_flags.out_hwpt_id, "hwpt", NUMBER, .place = OUT),
	T(mock_domain_flags.out_idev_id, "idev", NUMBER, .place = OUT),
	{0},
};

static const struct field mock_domain_replace[] = {
	T(id, "stdev", NUMBER),
	T(mock_domain_replace.pt_id, "pt", OBJECT, .place = INOUT),
	{0},
};

static const struct field check_map[] = {
	T(id, "hwpt", NUMBER),
	T(check_map.iova, "iova", HEX),
	T(check_map.length, "length", BYTES),
	T(check_map.uptr, "va", HEX),
	{0},
};

static const struct field check_refs[] = {
	T(check_refs.length, "length", BYTES),
	T(check_refs.uptr, "va", HEX),
	T(check_refs.refs, "refs", NUMBER),
	{0},
};

static const struct name create_access_flags[] = {
	{MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, "NEEDS_PIN_PAGES"},
	{0},
};

static const struct field create_access[] = {
	T(id, "ioas", NUMBER),
	T(create_access.flags, "flags", FLAGS, .not_zero = true, .names = create_access_flags),
	T(create_access.out_access_fd, "fd", FD, .place = OUT),
	{0},
};

static const struct field destroy_access_pages[] = {
	T(id, "fd", FD),
	T(destroy_access_pages.access_pages_id, "pages", NUMBER),
	{0},
};

static const struct name access_pages_flags[] = {
	{MOCK_FLAGS_ACCESS_WRITE, "WRITE"},
	{MOCK_FLAGS_ACCESS_SYZ, "SYZ"},
	{0},
};

static const struct field access_pages[] = {
	T(id, "fd", FD),
	T(access_pages.flags, "flags", FLAGS, .not_zero = true, .names = access_pages_flags),
	T(access_pages.iova, "iova", HEX),
	T(access_pages.length, "length", BYTES),
	T(access_pages.uptr, "va", HEX),
	T(access_pages.out_access_pages_id, "pages", NUMBER, .place = OUT),
	{0},
};

static const struct name access_rw_flags[] = {
	{MOCK_ACCESS_RW_WRITE, "WRITE"},
	{MOCK_ACCESS_RW_SLOW_PATH, "SLOW_PATH"},
	{0},
};

static const struct field access_rw[] = {
	T(id, "fd", FD),
	T(access_rw.flags, "flags", FLAGS, .not_zero = true, .names = access_rw_flags),
	T(access_rw.iova, "iova", HEX),
	T(access_rw.length, "length", BYTES),
	T(access_rw.uptr, "va", HEX),
	{0},
};

static const struct field memory_limit[] = {
	T(memory_limit.limit, "limit", NUMBER),
	{0},
};

static const struct field access_replace_ioas[] = {
	T(id, "fd", FD),
	T(access_replace_ioas.ioas_id, "ioas", NUMBER),
	{0},
};

static const struct field dirty[] = {
	T(id, "hwpt", NUMBER),
	T(dirty.flags, "flags", HEX, .not_zero = true),
	T(dirty.iova, "iova", HEX),
	T(dirty.length, "length", BYTES),
	T(dirty.page_size, "page_size", BYTES),
	T(dirty.uptr, "bitmap", HEX),
	T(dirty.out_nr_dirty, "dirty", NUMBER, .place = OUT),
	{0},
};

static const struct field check_iotlb[] = {
	T(id, "hwpt", NUMBER),
	T(check_iotlb.id, "entry", NUMBER),
	T(check_iotlb.iotlb, "iotlb", HEX),
	{0},
};

static const struct name fault_perms[] = {
	{IOMMU_PGFAULT_PERM_READ, "READ"},
	{IOMMU_PGFAULT_PERM_WRITE, "WRITE"},
	{IOMMU_PGFAULT_PERM_EXEC, "EXEC"},
	{IOMMU_PGFAULT_PERM_PRIV, "PRIV"},
	{0},
};

static const struct field trigger_iopf[] = {
	T(trigger_iopf.dev_id, "device", NUMBER),
	T(trigger_iopf.pasid, "pasid", NUMBER, .not_zero = true),
	T(trigger_iopf.grpid, "grpid", NUMBER),
	T(trigger_iopf.perm, "perm", FLAGS, .not_zero = true, .names = fault_perms),
	T(trigger_iopf.addr, "addr", HEX),
	{0},
};

static const struct field check_dev_cache[] = {
	T(id, "idev", NUMBER),
	T(check_dev_cache.id, "entry", NUMBER),
	T(check_dev_cache.cache, "cache", HEX),
	{0},
};

static const struct field trigger_vevent[] = {
	T(trigger_vevent.dev_id, "device", NUMBER),
	{0},
};

static const struct field pasid_attach[] = {
	T(id, "stdev", NUMBER),
	T(pasid_attach.pasid, "pasid", NUMBER),
	T(pasid_attach.pt_id, "pt", OBJECT, .place = INOUT),
	{0},
};

static const struct field pasid_detach[] = {
	T(id, "stdev", NUMBER),
	T(pasid_detach.pasid, "pasid", NUMBER),
	{0},
};

static const struct field pasid_check[] = {
	T(id, "stdev", NUMBER),
	T(pasid_check.pasid, "pasid", NUMBER),
	T(pasid_check.hwpt_id, "hwpt", NUMBER),
	{0},
};

static const struct field dmabuf_get[] = {
	T(dmabuf_get.length, "length", BYTES),
	T(dmabuf_get.open_flags, "open_flags", HEX),
	{0},
};

static const struct field dmabuf_revoke[] = {
	T(dmabuf_revoke.dmabuf_fd, "fd", FD),
	T(dmabuf_revoke.revoked, "revoked", NUMBER),
	{0},
};

const struct command test_ops[] = {
	OP(ADD_RESERVED, add_reserved),
	OP(MOCK_DOMAIN, mock_domain),
	OP(MD_CHECK_MAP, check_map),
	OP(MD_CHECK_REFS, check_refs),
	OP(CREATE_ACCESS, create_access),
	OP(DESTROY_ACCESS_PAGES, destroy_access_pages),
	OP(ACCESS_PAGES, access_pages),
	OP(ACCESS_RW, access_rw),
	OP(SET_TEMP_MEMORY_LIMIT, memory_limit),
	OP(MOCK_DOMAIN_REPLACE, mock_domain_replace),
	OP(ACCESS_REPLACE_IOAS, access_replace_ioas),
	OP(MOCK_DOMAIN_FLAGS, mock_domain_flags),
	OP(DIRTY, dirty),
	OP(MD_CHECK_IOTLB, check_iotlb),
	OP(TRIGGER_IOPF, trigger_iopf),
	OP(DEV_CHECK_CACHE, check_dev_cache),
	OP(TRIGGER_VEVENT, trigger_vevent),
	OP(PASID_ATTACH, pasid_attach),
	OP(PASID_REPLACE, pasid_attach), /* the same members at the same places */
	OP(PASID_DETACH, pasid_detach),
	OP(PASID_CHECK_HWPT, pasid_check),
	OP(DMABUF_GET, dmabuf_get),
	OP(DMABUF_REVOKE, dmabuf_revoke),
	{0},
};
