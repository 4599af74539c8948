/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/ioas_object.h"

#include "abi/iommufd.h"
#include "iommufd/dispatch.h"

#include <stdlib.h>

#include <linux/capability.h>

#define MAP_FLAGS  (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)
#define PROT_FLAGS (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)

/* An IOAS is allowed or reports so many ranges without memory being taken for them. */
#define FEW_RANGES 16

static void ioas_destroy(struct object *object)
{
	struct ioas_object *ioas = (struct ioas_object *)object;

	ioas_fini(&ioas->ioas);
	free(ioas);
}

static const struct object_ops ioas_ops = {.type = OBJECT_IOAS, .destroy = ioas_destroy};

int ioas_object_new(struct ctx *ctx, struct ioas_object **ioas)
{
	struct ioas_object *made = malloc(sizeof(*made));
	int rc;

	if (!made)
		return -ENOMEM;
	ioas_init(&made->ioas);
	rc = object_new(ctx, &made->object, &ioas_ops);
	if (rc) {
		ioas_destroy(&made->object);
		return rc;
	}
	made->ioas.events = ctx->config->events;
	made->ioas.file = ctx->file.serial;
	made->ioas.id = made->object.id;
	made->ioas.context = &ctx->ioases;
	made->hwpts = NULL;
	*ioas = made;
	return 0;
}

int iommufd_ioas_alloc(struct ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = (void *)ucmd->cmd;
	struct ioas_object *ioas;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;
	rc = ioas_object_new(ucmd->ctx, &ioas);
	if (rc)
		return rc;
	ucmd->created = &ioas->object;
	cmd->out_ioas_id = ioas->object.id;
	return ucmd_respond(ucmd);
}

/* Copies out how many ranges there are and where, as far as the client has room. */
static int report_ranges(struct ucmd *ucmd, struct ioas *ioas, struct iova_span *span, size_t room)
{
	struct iommu_ioas_iova_ranges *cmd = (void *)ucmd->cmd;
	const size_t max = cmd->num_iovas;
	size_t total = ioas_usable(ioas, span, room < max ? room : max, &cmd->out_iova_alignment);
	size_t count = total < max ? total : max;
	int rc;

	if (count > room)
		return -EAGAIN;
	if (count && client_copy_out(ucmd->client, uaddr(cmd->allowed_iovas), span, count * sizeof(*span)))
		return -EFAULT;
	cmd->num_iovas = (uint32_t)total;
	rc = ucmd_respond(ucmd);
	if (rc)
		return rc;
	return max < total ? -EMSGSIZE : 0;
}

static int report_all_ranges(struct ucmd *ucmd, struct ioas *ioas)
{
	const struct iommu_ioas_iova_ranges *cmd = (const void *)ucmd->cmd;
	struct iova_span few[FEW_RANGES];
	struct iova_span *span = few;
	size_t room = FEW_RANGES;
	uint64_t alignment;
	int rc;

	_Static_assert(sizeof(struct iova_span) == sizeof(struct iommu_iova_range), "spans are copied out as they are");
	for (;;) {
		rc = report_ranges(ucmd, ioas, span, room);
		if (span != few)
			free(span);
		if (rc != -EAGAIN)
			return rc;
		/* More came since, or than fit in few. */
		room = ioas_usable(ioas, NULL, 0, &alignment);
		room = room < cmd->num_iovas ? room : cmd->num_iovas;
		span = reallocarray(NULL, room + 1, sizeof(*span));
		if (!span)
			return -ENOMEM;
	}
}

int iommufd_ioas_iova_ranges(struct ucmd *ucmd)
{
	const struct iommu_ioas_iova_ranges *cmd = (const void *)ucmd->cmd;
	struct ioas_object *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = ioas_get(ucmd->ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	rc = report_all_ranges(ucmd, &ioas->ioas);
	ioas_put(ioas);
	return rc;
}

/* Adds the ranges that could be read, as far as they are good. */
static int add_allowed(struct range_map *allowed, const struct iommu_iova_range *range, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int rc;

		if (range[i].start >= range[i].last)
			return -EINVAL;
		rc = range_map_insert(allowed, range[i].start, range[i].last, allowed);
		if (rc)
			return rc == -EEXIST ? -EINVAL : rc;
	}
	return 0;
}

static int read_allowed(struct ucmd *ucmd, struct range_map *allowed)
{
	const struct iommu_ioas_allow_iovas *cmd = (const void *)ucmd->cmd;
	struct iommu_iova_range range[FEW_RANGES];
	uaddr_t at = uaddr(cmd->allowed_iovas);

	for (size_t left = cmd->num_iovas; left;) {
		size_t want = left < FEW_RANGES ? left : FEW_RANGES;
		size_t got = client_read(ucmd->client, range, at, want * sizeof(*range)) / sizeof(*range);
		int rc = add_allowed(allowed, range, got);

		if (rc)
			return rc;
		if (got < want)
			return -EFAULT;
		at = uaddr_add(at, want * sizeof(*range));
		left -= want;
	}
	return 0;
}

int iommufd_ioas_allow_iovas(struct ucmd *ucmd)
{
	const struct iommu_ioas_allow_iovas *cmd = (const void *)ucmd->cmd;
	struct range_map allowed = RANGE_MAP_INIT;
	struct ioas_object *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = ioas_get(ucmd->ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	rc = read_allowed(ucmd, &allowed);
	if (!rc)
		rc = ioas_allow(&ioas->ioas, &allowed);
	range_map_clear(&allowed);
	ioas_put(ioas);
	return rc;
}

/* To ask for a capability costs a client more than the map: nobody asks where nothing is counted. */
uint8_t ctx_account(struct ctx *ctx, struct client *client)
{
	if (account_wanted(client->ops->mm(client)) && client_capable(client, CAP_IPC_LOCK))
		return ACCOUNT_NONE;
	return atomic_load_explicit(&ctx->mm_accounting, memory_order_relaxed) ? ACCOUNT_MM : ACCOUNT_USER;
}

static int map_init(struct ioas_map *map, const struct ucmd *ucmd, uint32_t flags, iova_t iova, uint64_t length)
{
	if (flags & ~(uint32_t)MAP_FLAGS)
		return -EOPNOTSUPP;
	if (iova == UINT64_MAX || length == UINT64_MAX)
		return -EOVERFLOW;
	if (!(flags & PROT_FLAGS))
		return -EINVAL;
	map->client = ucmd->client;
	map->length = length;
	map->iova = iova;
	map->fixed = flags & IOMMU_IOAS_MAP_FIXED_IOVA;
	map->prot = flags & PROT_FLAGS;
	map->account = ctx_account(ucmd->ctx, ucmd->client);
	return 0;
}

int iommufd_ioas_map(struct ucmd *ucmd)
{
	struct iommu_ioas_map *cmd = (void *)ucmd->cmd;
	struct ioas_map map;
	struct ioas_object *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	rc = map_init(&map, ucmd, cmd->flags, cmd->iova, cmd->length);
	if (rc)
		return rc;
	ioas = ioas_get(ucmd->ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	rc = ioas_map_user(&ioas->ioas, &map, uaddr(cmd->user_va));
	if (!rc) {
		cmd->iova = map.iova;
		rc = ucmd_respond(ucmd);
	}
	ioas_put(ioas);
	return rc;
}

int iommufd_ioas_map_file(struct ucmd *ucmd)
{
	struct iommu_ioas_map_file *cmd = (void *)ucmd->cmd;
	struct ioas_map map;
	struct ioas_object *ioas;
	int rc;

	rc = map_init(&map, ucmd, cmd->flags, cmd->iova, cmd->length);
	if (rc)
		return rc;
	ioas = ioas_get(ucmd->ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	rc = ioas_map_file(&ioas->ioas, &map, cmd->fd, cmd->start);
	if (!rc) {
		cmd->iova = map.iova;
		rc = ucmd_respond(ucmd);
	}
	ioas_put(ioas);
	return rc;
}

/* The source is let go before the destination is looked up: what is copied is held by the pieces. */
static int share_source(struct ucmd *ucmd, struct pieces *pieces)
{
	const struct iommu_ioas_copy *cmd = (const void *)ucmd->cmd;
	struct ioas_object *source = ioas_get(ucmd->ctx, cmd->src_ioas_id);
	int rc;

	if (!source)
		return -ENOENT;
	rc = ioas_share(&source->ioas, cmd->src_iova, cmd->length, pieces);
	ioas_put(source);
	return rc;
}

int iommufd_ioas_copy(struct ucmd *ucmd)
{
	struct iommu_ioas_copy *cmd = (void *)ucmd->cmd;
	struct pieces pieces;
	struct ioas_map map;
	struct ioas_object *destination;
	int rc;

	if (cmd->flags & ~(uint32_t)MAP_FLAGS)
		return -EOPNOTSUPP;
	if (cmd->length == UINT64_MAX || cmd->src_iova == UINT64_MAX || cmd->dst_iova == UINT64_MAX)
		return -EOVERFLOW;
	if (!(cmd->flags & PROT_FLAGS))
		return -EINVAL;
	rc = share_source(ucmd, &pieces);
	if (rc)
		return rc;
	destination = ioas_get(ucmd->ctx, cmd->dst_ioas_id);
	if (!destination) {
		pieces_drop(&pieces);
		return -ENOENT;
	}
	map.client = ucmd->client;
	map.length = cmd->length;
	map.iova = cmd->dst_iova;
	map.fixed = cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA;
	map.prot = cmd->flags & PROT_FLAGS;
	rc = ioas_map_pieces(&destination->ioas, &map, &pieces);
	if (!rc) {
		cmd->dst_iova = map.iova;
		rc = ucmd_respond(ucmd);
	}
	ioas_put(destination);
	return rc;
}

/* As IOMMU_IOAS_UNMAP has it: everything is the one range that may be empty. */
static int unmap(struct ucmd *ucmd, struct ioas *ioas, uint64_t *unmapped)
{
	const struct iommu_ioas_unmap *cmd = (const void *)ucmd->cmd;
	iova_t last;
	int rc;

	if (!cmd->iova && cmd->length == UINT64_MAX)
		return ioas_unmap(ioas, ucmd->client, 0, UINT64_MAX, unmapped);
	if (cmd->iova == UINT64_MAX || cmd->length == UINT64_MAX)
		return -EOVERFLOW;
	if (!cmd->length)
		return -EINVAL;
	if (__builtin_add_overflow(cmd->iova, cmd->length - 1, &last))
		return -EOVERFLOW;
	rc = ioas_unmap(ioas, ucmd->client, cmd->iova, last, unmapped);
	return rc || *unmapped ? rc : -ENOENT;
}

int iommufd_ioas_unmap(struct ucmd *ucmd)
{
	struct iommu_ioas_unmap *cmd = (void *)ucmd->cmd;
	struct ioas_object *ioas = ioas_get(ucmd->ctx, cmd->ioas_id);
	uint64_t unmapped;
	int rc;

	if (!ioas)
		return -ENOENT;
	rc = unmap(ucmd, &ioas->ioas, &unmapped);
	if (!rc) {
		cmd->length = unmapped;
		rc = ucmd_respond(ucmd);
	}
	ioas_put(ioas);
	return rc;
}
