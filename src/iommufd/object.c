/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/object.h"

#include "abi/iommufd.h"
#include "iommufd/ctx.h"

static void announce(const struct object *object, const struct client *client, enum event_type type)
{
	struct ctx *ctx = object->ctx;
	struct event event = {.type = type,
			      .pid = client ? client->pid : 0,
			      .tid = client ? client->tid : 0,
			      .fd = client ? client->fd : -1,
			      .file = ctx->file.serial,
			      .object = {.id = object->id, .kind = object->ops->type}};

	event_announce(ctx->config->events, &event);
}

int object_reserve(struct ucmd *ucmd, struct object *object, const struct object_ops *ops)
{
	object->ops = ops;
	object->ctx = ucmd->ctx;
	int rc = id_table_reserve(&ucmd->ctx->objects, ops->type, object, &object->id, &object->slot);

	if (!rc)
		ucmd->created = object;
	return rc;
}

/* Announced while nobody else can find it, so that its end cannot be announced before. */
void object_publish(struct object *object, struct client *client)
{
	if (event_wanted(object->ctx->config->events))
		announce(object, client, EVENT_OBJECT);
	id_publish(object->slot);
}

void object_abort(struct object *object)
{
	struct ctx *ctx = object->ctx;
	uint32_t id = object->id;

	object->ops->destroy(object);
	id_table_release(&ctx->objects, id);
}

struct object *object_get(struct ctx *ctx, uint32_t id, enum iommufd_object_type type)
{
	return id_table_get(&ctx->objects, id, type);
}

static int destroy(struct ctx *ctx, struct client *client, uint32_t id)
{
	uint32_t compat = id;
	void *value;
	int rc = id_table_kill(&ctx->objects, id, &value);

	if (rc)
		return rc;
	/* Nobody makes it the compat IOAS any more, as no lookup finds it. */
	atomic_compare_exchange_strong(&ctx->compat_ioas, &compat, 0);
	if (event_wanted(ctx->config->events))
		announce(value, client, EVENT_DESTROY);
	object_abort(value);
	return 0;
}

int iommufd_destroy(struct ucmd *ucmd)
{
	const struct iommu_destroy *cmd = (const void *)ucmd->cmd;

	return destroy(ucmd->ctx, ucmd->client, cmd->id);
}

void object_destroy_all(struct ctx *ctx)
{
	bool some = true;

	while (some) {
		some = false;
		for (uint32_t id = 1; id_table_next(&ctx->objects, &id); id++)
			some |= destroy(ctx, NULL, id) == 0;
	}
}
