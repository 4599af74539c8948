/* SPDX-License-Identifier: BSD-3-Clause */
/* The IOAS as an object, and the one that VFIO's commands work on. */
#ifndef IOMMUSE_IOMMUFD_IOAS_OBJECT_H
#define IOMMUSE_IOMMUFD_IOAS_OBJECT_H

#include "ioas/ioas.h"
#include "iommufd/ctx.h"
#include "iommufd/object.h"

struct hwpt_paging;

struct ioas_object {
	struct object object;
	struct ioas ioas;
	/* The automatic page tables, oldest first; guarded by the context's attach_lock. */
	struct hwpt_paging *hwpts;
};

/* Returns the IOAS with one more user, or NULL. */
static inline struct ioas_object *ioas_get(struct ctx *ctx, uint32_t id)
{
	return (struct ioas_object *)object_get(ctx, id, OBJECT_IOAS);
}

static inline void ioas_put(struct ioas_object *ioas)
{
	object_put(&ioas->object);
}

/* The IOAS of VFIO's commands with one more user, or NULL where there is none. */
struct ioas_object *compat_ioas_get(struct ctx *ctx);

/* Makes one where there is none. Returns 0, -ENOMEM, or -EBUSY: no id is free. */
int compat_ioas_make(struct ctx *ctx, struct client *client);

/* An IOAS that nobody finds yet: its maker publishes or aborts it. Returns 0, -ENOMEM, -EBUSY. */
int ioas_object_new(struct ctx *ctx, struct ioas_object **ioas);

/* Whose account the memory that a client maps now goes to: an enum account_mode. */
uint8_t ctx_account(struct ctx *ctx, struct client *client);

#endif
