/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unlike iommufd's own commands these have no law of sizes: each reads the least that it needs, refuses less and
 * ignores more, and says EINVAL to what it does not know. In version 1 (VFIO_TYPE1_IOMMU) an unmap may cut what was
 * mapped in one piece; the sign of version 1 is that huge pages are disabled, which nothing here ever takes back.
 */
#include "vfio/compat.h"

#include "abi/iommufd.h"
#include "abi/vfio.h"
#include "hwpt/software.h"
#include "iommufd/ctx.h"
#include "iommufd/ioas_object.h"
#include "vfio/bond.h"

#include <stdlib.h>
#include <string.h>

/* Reads the structure into cmd, so that events show it. */
static int read_structure(struct ucmd *ucmd, size_t size)
{
	if (client_copy_in(ucmd->client, ucmd->cmd, ucmd->arg, size))
		return -EFAULT;
	ucmd->cmd_size = (uint32_t)size;
	return 0;
}

static int get_api_version(struct ucmd *ucmd)
{
	(void)ucmd;
	return VFIO_API_VERSION;
}

static int has_coherent_dma(struct ctx *ctx)
{
	struct ioas_object *ioas = compat_ioas_get(ctx);
	bool coherent;

	if (!ioas)
		return -ENODEV;
	coherent = ioas_coherent(&ioas->ioas);
	ioas_put(ioas);
	return coherent;
}

static int check_extension(struct ucmd *ucmd)
{
	static const uint64_t extensions[] = {VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL};

	if (ucmd->arg.va == VFIO_DMA_CC_IOMMU)
		return has_coherent_dma(ucmd->ctx);
	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++)
		if (extensions[i] == ucmd->arg.va)
			return 1;
	return 0;
}

static int set_iommu(struct ucmd *ucmd)
{
	struct ioas_object *ioas;
	int rc = 0;

	if (ucmd->arg.va != VFIO_TYPE1_IOMMU && ucmd->arg.va != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	ioas = compat_ioas_get(ucmd->ctx);
	if (!ioas)
		return -ENODEV;
	if (ucmd->arg.va == VFIO_TYPE1_IOMMU)
		rc = ioas_disable_huge_pages(&ioas->ioas);
	ioas_put(ioas);
	return rc ? rc : bonds_set_iommu(ucmd->ctx);
}

static int map_dma(struct ucmd *ucmd)
{
	const struct vfio_iommu_type1_dma_map *cmd = (const void *)ucmd->cmd;
	struct ioas_object *ioas;
	struct ioas_map map;
	int rc = read_structure(ucmd, sizeof(*cmd));

	if (rc)
		return rc;
	if (cmd->argsz < sizeof(*cmd) || cmd->flags & ~(uint32_t)(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		return -EINVAL;
	ioas = compat_ioas_get(ucmd->ctx);
	if (!ioas)
		return -ENODEV;
	map.client = ucmd->client;
	map.length = cmd->size;
	map.iova = cmd->iova;
	map.fixed = true;
	map.prot = 0; /* no right at all is accepted */
	if (cmd->flags & VFIO_DMA_MAP_FLAG_READ)
		map.prot |= IOMMU_IOAS_MAP_READABLE;
	if (cmd->flags & VFIO_DMA_MAP_FLAG_WRITE)
		map.prot |= IOMMU_IOAS_MAP_WRITEABLE;
	map.account = ctx_account(ucmd->ctx, ucmd->client);
	rc = ioas_map_user(&ioas->ioas, &map, uaddr(cmd->vaddr));
	ioas_put(ioas);
	return rc;
}

/* The end first. No cut is needed before address 0. */
static int cut_edges(struct ioas *ioas, const struct vfio_iommu_type1_dma_unmap *cmd)
{
	const iova_t edges[] = {cmd->iova + cmd->size - 1, cmd->iova - 1};

	return ioas_cut(ioas, edges, cmd->iova ? 2 : 1);
}

static int unmap_range(struct ucmd *ucmd, struct ioas *ioas, uint64_t *unmapped)
{
	const struct vfio_iommu_type1_dma_unmap *cmd = (const void *)ucmd->cmd;
	iova_t last;

	*unmapped = 0;
	if (cmd->flags & VFIO_DMA_UNMAP_FLAG_ALL)
		return ioas_unmap(ioas, ucmd->client, 0, UINT64_MAX, unmapped);
	if (!cmd->size)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->iova, cmd->size - 1, &last))
		return -EOVERFLOW;
	return ioas_unmap(ioas, ucmd->client, cmd->iova, last, unmapped);
}

/* How much went is told even where unmapping stopped with an error, but not where it did not begin. */
static int unmap_from(struct ucmd *ucmd, struct ioas *ioas)
{
	struct vfio_iommu_type1_dma_unmap *cmd = (void *)ucmd->cmd;
	const bool all = cmd->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	uint64_t unmapped;
	int rc = 0;

	if (all && (cmd->iova || cmd->size))
		return -EINVAL;
	if (!all && !ioas_huge_pages(ioas))
		rc = cut_edges(ioas, cmd);
	if (rc)
		return rc;
	rc = unmap_range(ucmd, ioas, &unmapped);
	cmd->size = unmapped;
	return client_copy_out(ucmd->client, ucmd->arg, cmd, sizeof(*cmd)) ? -EFAULT : rc;
}

static int unmap_dma(struct ucmd *ucmd)
{
	const struct vfio_iommu_type1_dma_unmap *cmd = (const void *)ucmd->cmd;
	struct ioas_object *ioas;
	int rc = read_structure(ucmd, sizeof(*cmd));

	if (rc)
		return rc;
	if (cmd->argsz < sizeof(*cmd) || cmd->flags & ~(uint32_t)VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	ioas = compat_ioas_get(ucmd->ctx);
	if (!ioas)
		return -ENODEV;
	rc = unmap_from(ucmd, &ioas->ioas);
	ioas_put(ioas);
	return rc;
}

/* What GET_INFO gives the client behind the structure itself: the capabilities, each at a multiple of 8. */
struct caps {
	struct vfio_iommu_type1_info_dma_avail avail;
	uint32_t pad;
	struct vfio_iommu_type1_info_cap_iova_range ranges; /* followed by iova_ranges[] */
};

#define AVAIL_AT  sizeof(struct vfio_iommu_type1_info)
#define RANGES_AT (AVAIL_AT + offsetof(struct caps, ranges))

/* Only what fits into the client's room is written, each capability whole, each range whole. */
static int copy_caps_out(struct ucmd *ucmd, uint32_t room, const struct iova_span *span, size_t count)
{
	const struct vfio_iommu_type1_info_dma_avail avail = {
		.header = {.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			   .version = 1,
			   .next = room >= RANGES_AT ? RANGES_AT : 0},
		.avail = UINT32_MAX,
	};
	const struct vfio_iommu_type1_info_cap_iova_range ranges = {
		.header = {.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1},
		.nr_iovas = (uint32_t)count,
	};
	size_t fit = room > RANGES_AT + sizeof(ranges) ? (room - RANGES_AT - sizeof(ranges)) / sizeof(*span) : 0;
	int rc = 0;

	_Static_assert(sizeof(struct iova_span) == sizeof(struct vfio_iova_range), "spans are copied out as they are");
	if (room >= AVAIL_AT + sizeof(avail))
		rc = client_copy_out(ucmd->client, uaddr_add(ucmd->arg, AVAIL_AT), &avail, sizeof(avail));
	if (!rc && fit && count)
		rc = client_copy_out(ucmd->client, uaddr_add(ucmd->arg, RANGES_AT + sizeof(ranges)), span,
				     (fit < count ? fit : count) * sizeof(*span));
	if (!rc && room >= RANGES_AT + sizeof(ranges) + count * sizeof(*span))
		rc = client_copy_out(ucmd->client, uaddr_add(ucmd->arg, RANGES_AT), &ranges, sizeof(ranges));
	return rc;
}

/* All spans that are not reserved, in memory that the caller frees. */
static int usable_spans(struct ioas *ioas, struct iova_span **span, size_t *count, uint64_t *alignment)
{
	size_t room = 0;

	*span = NULL;
	for (;;) {
		*count = ioas_usable(ioas, *span, room, alignment);
		if (*count <= room)
			return 0;
		free(*span);
		room = *count;
		*span = malloc(room * sizeof(**span));
		if (!*span)
			return -ENOMEM;
	}
}

/* Leaves of n spans what is in [first, last]. Returns how many there are. */
static size_t clip(struct iova_span *span, size_t n, iova_t first, iova_t last)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const struct iova_span clipped = {.start = span[i].start > first ? span[i].start : first,
						  .last = span[i].last < last ? span[i].last : last};

		if (clipped.start <= clipped.last)
			span[kept++] = clipped;
	}
	return kept;
}

/*
 * A container with groups shows what their devices can use, also before one is open: drivers choose IOVAs by that once,
 * QEMU's for NVMe among them.
 */
static int usable_by_groups(struct ctx *ctx, struct iova_span **span, size_t *count)
{
	const struct iova_span *reserved = &software_iommu_reserved[0];
	struct iova_span *twice;
	size_t below;

	if (!atomic_load(&ctx->compat_groups))
		return 0;
	twice = reallocarray(*span, 2 * *count + 1, sizeof(**span));
	if (!twice)
		return -ENOMEM;
	*span = twice;
	memcpy(twice + *count, twice, *count * sizeof(*twice));
	below = clip(twice, *count, 0, reserved->start - 1);
	memmove(twice + below, twice + *count, *count * sizeof(*twice));
	*count = below + clip(twice + below, *count, reserved->last + 1, SOFTWARE_IOMMU_LAST);
	return 0;
}

static int report_info(struct ucmd *ucmd, struct ioas *ioas)
{
	struct vfio_iommu_type1_info *info = (void *)ucmd->cmd;
	const uint32_t room = info->argsz;
	const uint64_t page_sizes = ioas_page_sizes(ioas);
	struct iova_span *span;
	uint64_t alignment;
	size_t count;
	size_t total;
	int rc = usable_spans(ioas, &span, &count, &alignment);

	if (!rc)
		rc = usable_by_groups(ucmd->ctx, &span, &count);
	if (!rc)
		rc = copy_caps_out(ucmd, room, span, count);
	free(span);
	if (rc)
		return rc;
	total = RANGES_AT + sizeof(struct vfio_iommu_type1_info_cap_iova_range) + count * sizeof(*span);
	info->argsz = (uint32_t)total;
	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info->iova_pgsizes = page_sizes > alignment ? page_sizes : alignment;
	info->cap_offset = room >= total ? AVAIL_AT : 0;
	info->pad = 0;
	ucmd->cmd_size = sizeof(*info);
	return client_copy_out(ucmd->client, ucmd->arg, info, room < sizeof(*info) ? room : sizeof(*info));
}

static int get_info(struct ucmd *ucmd)
{
	const struct vfio_iommu_type1_info *info = (const void *)ucmd->cmd;
	const size_t least = offsetof(struct vfio_iommu_type1_info, cap_offset);
	struct ioas_object *ioas;
	int rc = read_structure(ucmd, least);

	if (rc)
		return rc;
	if (info->argsz < least)
		return -EINVAL;
	ioas = compat_ioas_get(ucmd->ctx);
	if (!ioas)
		return -ENODEV;
	rc = report_info(ucmd, &ioas->ioas);
	ioas_put(ioas);
	return rc;
}

static const struct ioctl_entry commands[] = {
	{.cmd = VFIO_GET_API_VERSION, .name = "VFIO_GET_API_VERSION", .handle = get_api_version},
	{.cmd = VFIO_CHECK_EXTENSION, .name = "VFIO_CHECK_EXTENSION", .handle = check_extension},
	{.cmd = VFIO_SET_IOMMU, .name = "VFIO_SET_IOMMU", .handle = set_iommu},
	{.cmd = VFIO_IOMMU_GET_INFO, .name = "VFIO_IOMMU_GET_INFO", .handle = get_info},
	{.cmd = VFIO_IOMMU_MAP_DMA, .name = "VFIO_IOMMU_MAP_DMA", .handle = map_dma},
	{.cmd = VFIO_IOMMU_UNMAP_DMA, .name = "VFIO_IOMMU_UNMAP_DMA", .handle = unmap_dma},
	{.cmd = VFIO_IOMMU_BIND, .name = "VFIO_IOMMU_BIND", .handle = vfio_iommu_bind},
	{.cmd = VFIO_IOMMU_UNBIND, .name = "VFIO_IOMMU_UNBIND", .handle = vfio_iommu_unbind},
};

const struct iommufd_compat vfio_compat = {
	.commands = commands,
	.count = sizeof(commands) / sizeof(*commands),
	.release = bonds_release,
};
