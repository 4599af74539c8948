/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects of an iommufd: named by an id, counted by users.
 *
 * An object comes in three steps: its id is reserved, the object is filled, and it is published; until then no lookup
 * finds it. It has one user for being there; whoever depends on it, and each call that works on it, is one more, and it
 * is destroyed only at one. Destroying never fails: what it needs is there from the beginning.
 */
#ifndef IOMMUSE_IOMMUFD_OBJECT_H
#define IOMMUSE_IOMMUFD_OBJECT_H

#include "base/id_table.h"

#include <stdbool.h>
#include <stdint.h>

struct client;
struct ctx;
struct ucmd;

/* The kind in events. */
enum iommufd_object_type {
	OBJECT_ANY,
	OBJECT_DEVICE,
	OBJECT_HWPT_PAGING,
	OBJECT_HWPT_NESTED,
	OBJECT_IOAS,
	OBJECT_ACCESS,
	OBJECT_FAULT,
	OBJECT_VIOMMU,
	OBJECT_VDEVICE,
	OBJECT_VEVENTQ,
	OBJECT_HW_QUEUE,
	OBJECT_SELFTEST,
};

struct object;

struct object_ops {
	enum iommufd_object_type type;
	/* Frees the object. Its id is not yet free. */
	void (*destroy)(struct object *object);
};

struct object {
	const struct object_ops *ops;
	struct ctx *ctx;
	struct id_slot *slot;
	uint32_t id;
};

/* Reserves an id for an object of this call; the call's end publishes or destroys it. Returns 0, -ENOMEM, or -EBUSY: no
 * id is free. */
int object_reserve(struct ucmd *ucmd, struct object *object, const struct object_ops *ops);

/* The same for an object that is made beside a call, or with others by one: its maker publishes or aborts it. */
int object_new(struct ctx *ctx, struct object *object, const struct object_ops *ops);

void object_publish(struct object *object, struct client *client);

/* Destroys an object that was not published. */
void object_abort(struct object *object);

/*
 * Takes a live object out of sight, so that no lookup finds it and DESTROY is -ENOENT. Returns false if it is not
 * live: not yet, or not any more, and whoever makes or destroys it goes on. For who keeps it from being freed.
 */
bool object_hide(struct object *object);

/*
 * Destroys a hidden object, on which nothing depends, once the calls that found it before have left it. These may wait
 * for their clients, and this waits for them: no lock may be held that they take. users: of the caller's, besides its
 * being there. bury: its id stays taken.
 */
void object_remove(struct object *object, unsigned users, bool bury);

/* Finds an object and adds a user. Returns NULL: there is none of this id and type. */
struct object *object_get(struct ctx *ctx, uint32_t id, enum iommufd_object_type type);

static inline void object_hold(struct object *object)
{
	id_hold(object->slot);
}

static inline void object_put(struct object *object)
{
	id_put(object->slot);
}

/*
 * Drops a user. True: it was the last beside the one for being there; the object is out of sight then, and the caller
 * ends it, without locks.
 */
static inline bool object_put_last(struct object *object)
{
	return id_put_last(object->slot);
}

/* Destroys an object that was taken out of sight. client: may be NULL. */
void object_end(struct object *object, struct client *client);

/* Destroys all objects, those without dependants first. Waits for who still looks at one. */
void object_destroy_all(struct ctx *ctx);

int iommufd_destroy(struct ucmd *ucmd);

#endif
