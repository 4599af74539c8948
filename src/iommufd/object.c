/* SPDX-License-Identifier: BSD-3-Clause */
#include "iommufd/object.h"

#include "abi/iommufd.h"
#include "base/log.h"
#include "iommufd/ctx.h"

#include <time.h>

/* How often it is looked whether an object is still used, and when a person is told. */
#define PAUSE_MIN_NS 50000L
#define PAUSE_MAX_NS 10000000L
#define PATIENCE_NS  INT64_C(60000000000)

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

int object_new(struct ctx *ctx, struct object *object, const struct object_ops *ops)
{
	object->ops = ops;
	object->ctx = ctx;
	return id_table_reserve(&ctx->objects, ops->type, object, &object->id, &object->slot);
}

int object_reserve(struct ucmd *ucmd, struct object *object, const struct object_ops *ops)
{
	int rc = object_new(ucmd->ctx, object, ops);

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

/* Nobody makes it the compat IOAS any more, as no lookup finds it. */
static void part(struct object *object, struct client *client)
{
	struct ctx *ctx = object->ctx;
	uint32_t compat = object->id;

	atomic_compare_exchange_strong(&ctx->compat_ioas, &compat, 0);
	if (event_wanted(ctx->config->events))
		announce(object, client, EVENT_DESTROY);
}

void object_end(struct object *object, struct client *client)
{
	part(object, client);
	object_abort(object);
}

static int destroy(struct ctx *ctx, struct client *client, uint32_t id)
{
	void *value;
	int rc = id_table_kill(&ctx->objects, id, &value);

	if (rc)
		return rc;
	object_end(value, client);
	return 0;
}

bool object_hide(struct object *object)
{
	return id_hide(object->slot);
}

/* How long somebody has waited for the users of an object. */
struct wait {
	struct timespec pause;
	int64_t waited_ns;
};

#define WAIT_INIT ((struct wait){.pause.tv_nsec = PAUSE_MIN_NS})

static void wait_some(struct wait *wait, uint32_t id)
{
	nanosleep(&wait->pause, NULL);
	if (wait->waited_ns < PATIENCE_NS && wait->waited_ns + wait->pause.tv_nsec >= PATIENCE_NS)
		log_line("object %u is still used by a call: waiting", id);
	wait->waited_ns += wait->pause.tv_nsec;
	if (wait->pause.tv_nsec < PAUSE_MAX_NS)
		wait->pause.tv_nsec *= 2;
}

void object_remove(struct object *object, unsigned users, bool bury)
{
	struct ctx *ctx = object->ctx;
	uint32_t id = object->id;
	struct wait wait = WAIT_INIT;

	while (id_users(object->slot) > users + 1)
		wait_some(&wait, id);
	part(object, NULL);
	object->ops->destroy(object);
	if (bury)
		id_table_bury(&ctx->objects, id);
	else
		id_table_release(&ctx->objects, id);
}

int iommufd_destroy(struct ucmd *ucmd)
{
	const struct iommu_destroy *cmd = (const void *)ucmd->cmd;

	if (ctx_mmap_busy(ucmd->ctx, cmd->id))
		return -EBUSY;
	return destroy(ucmd->ctx, ucmd->client, cmd->id);
}

/* Stores an object that is still used. */
static bool destroy_some(struct ctx *ctx, uint32_t *busy)
{
	bool some = false;

	*busy = 0;
	for (uint32_t id = 1; id_table_next(&ctx->objects, &id); id++) {
		int rc = destroy(ctx, NULL, id);

		some |= !rc;
		if (rc == -EBUSY)
			*busy = id;
	}
	return some;
}

/* No call uses an object any more; but an exporter that takes a dma-buf back looks for it in all IOASes. */
void object_destroy_all(struct ctx *ctx)
{
	struct wait wait = WAIT_INIT;
	uint32_t busy;
	bool some;

	do {
		some = destroy_some(ctx, &busy);
		if (!some && busy)
			wait_some(&wait, busy);
	} while (some || busy);
}
