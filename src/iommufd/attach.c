/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attaching devices, and PASIDs of them, to page tables.
 *
 * All of it happens under the context's attach_lock, which is above the locks of IOASes; but page tables are made and
 * ended without it, as that asks clients for their memory. So an automatic page table is made beside the lock, and what
 * another thread made meanwhile is preferred.
 *
 * An automatic page table goes with the last user. Lookups under the lock use one for a moment only, and users are
 * dropped under the lock, so that none is missed. A call that uses one by its id while the last attachment goes makes
 * it stay: the next detachment or DESTROY ends it. (As on Linux.)
 */
#include "base/event.h"
#include "iommufd/ctx.h"
#include "iommufd/eventq.h"
#include "iommufd/hwpt.h"
#include "iommufd/igroup.h"

#include <stdlib.h>

static bool is_member(const struct group_attachment *attachment, const struct device *device)
{
	for (const struct member *m = attachment->members; m; m = m->next)
		if (m->device == device)
			return true;
	return false;
}

static void announce(const struct device *device, uint32_t pasid, const struct hwpt *hwpt)
{
	struct ctx *ctx = device->object.ctx;
	struct event event = {.type = EVENT_ATTACH,
			      .fd = -1,
			      .file = ctx->file.serial,
			      .attach = {.device = device->object.id, .pasid = pasid}};

	if (!event_wanted(ctx->config->events))
		return;
	if (hwpt)
		event.attach.hwpt = hwpt->object.id;
	event_announce(ctx->config->events, &event);
}

/* Reserves what the device cannot use; without a PASID only. */
static int reserve(struct device *device, struct ioas_object *ioas)
{
	const struct iommu_device *dev = device->dev;

	for (size_t i = 0; i < dev->reserved_count; i++) {
		int rc = ioas_reserve(&ioas->ioas, dev->reserved[i].start, dev->reserved[i].last, device);

		if (rc) {
			ioas_unreserve(&ioas->ioas, device);
			return rc;
		}
	}
	return 0;
}

static void unreserve(struct device *device, struct ioas_object *ioas)
{
	if (device->dev->reserved_count)
		ioas_unreserve(&ioas->ioas, device);
}

static bool has_pasids(const struct igroup *igroup)
{
	struct range found;

	return range_map_find(&igroup->attachments, NO_PASID + 1, UINT64_MAX, &found);
}

/* PASIDs go together only with page tables that were made for them. */
static int check_pasid_rule(const struct igroup *igroup, uint32_t pasid, bool compatible)
{
	const struct group_attachment *rid;

	if (pasid == NO_PASID)
		return !compatible && has_pasids(igroup) ? -EINVAL : 0;
	if (!compatible)
		return -EINVAL;
	rid = igroup_attachment(igroup, NO_PASID);
	return rid && !rid->hwpt->pasid_compatible ? -EINVAL : 0;
}

/* What a change leaves to be done without the lock. */
struct leftover {
	struct leftovers threads; /* of devices, to be waited for: they may use what was attached until then */
	struct object *gone;      /* to be ended; whoever ends a page table waits as well */
	struct file *changed;     /* its readers are to be told */
};

static void leftover_end(struct leftover *left)
{
	leftovers_end(&left->threads);
	eventq_changed(left->changed);
	if (left->gone)
		object_end(left->gone, NULL);
}

/* A device without PASIDs cannot use one: nothing is done with it then. */
static int set_domain(struct device *device, uint32_t pasid, struct hwpt *hwpt, struct leftover *left)
{
	struct iommu_device *dev = device->dev;

	if (pasid != NO_PASID && !dev->max_pasids)
		return 0;
	if (hwpt->domain->driver != dev->driver)
		return -EINVAL;
	if (pasid != NO_PASID && pasid >= dev->max_pasids)
		return -EINVAL;
	if (hwpt->fault && !dev->can_fault)
		return -EOPNOTSUPP;
	return iommu_device_set(dev, pasid, hwpt->domain, &left->threads);
}

/* A change does this to one page table at most, so to one queue. */
static void flush(struct device *device, uint32_t pasid, struct hwpt *hwpt, struct leftover *left)
{
	struct file *changed = hwpt->fault ? fault_flush(hwpt->fault, hwpt, device->dev, pasid) : NULL;

	if (!left->changed)
		left->changed = changed;
	else if (changed)
		file_put(changed);
}

static void clear_domain(struct device *device, uint32_t pasid, struct hwpt *hwpt, struct leftover *left)
{
	if (pasid == NO_PASID || device->dev->max_pasids)
		iommu_device_set(device->dev, pasid, NULL, &left->threads);
	flush(device, pasid, hwpt, left);
}

/* The attachment that device is to join; a new one has no member and is in no group yet. */
static struct group_attachment *attachment_for(struct device *device, uint32_t pasid, struct hwpt *hwpt)
{
	struct group_attachment *attachment = igroup_attachment(device->igroup, pasid);

	if (attachment)
		return attachment;
	attachment = malloc(sizeof(*attachment));
	if (!attachment)
		return NULL;
	*attachment = (struct group_attachment){.pasid = pasid, .hwpt = hwpt};
	if (range_map_insert(&device->igroup->attachments, pasid, pasid, attachment)) {
		free(attachment);
		return NULL;
	}
	return attachment;
}

static void attachment_release(struct igroup *igroup, struct group_attachment *attachment)
{
	if (attachment->members)
		return;
	range_map_remove(&igroup->attachments, attachment->pasid);
	free(attachment);
}

/* What is wrong with attaching to hwpt (NULL: a new automatic one) whatever the device's driver says. */
static int check_attach(struct device *device, uint32_t pasid, const struct hwpt *hwpt)
{
	const struct group_attachment *attachment = igroup_attachment(device->igroup, pasid);

	if (!attachment)
		return 0;
	if (is_member(attachment, device))
		return -EBUSY;
	return attachment->hwpt != hwpt ? -EINVAL : 0;
}

/* The ways to change what is attached, with the lock held. */
typedef int change_fn(struct device *device, uint32_t pasid, struct hwpt *hwpt, struct leftover *left);

static int attach(struct device *device, uint32_t pasid, struct hwpt *hwpt, struct leftover *left)
{
	struct group_attachment *attachment;
	struct member *member;
	int rc = check_attach(device, pasid, hwpt);

	if (rc)
		return rc;
	member = malloc(sizeof(*member));
	if (!member)
		return -ENOMEM;
	if (pasid == NO_PASID)
		rc = reserve(device, hwpt_ioas(hwpt));
	if (rc)
		goto out_free;
	attachment = igroup_attachment(device->igroup, pasid);
	if (!attachment)
		rc = check_pasid_rule(device->igroup, pasid, hwpt->pasid_compatible);
	if (rc)
		goto out_unreserve;
	rc = -ENOMEM;
	attachment = attachment_for(device, pasid, hwpt);
	if (!attachment)
		goto out_unreserve;
	rc = set_domain(device, pasid, hwpt, left);
	if (rc)
		goto out_release;
	*member = (struct member){.next = attachment->members, .device = device};
	attachment->members = member;
	object_hold(&hwpt->object);
	announce(device, pasid, hwpt);
	return 0;

out_release:
	attachment_release(device->igroup, attachment);
out_unreserve:
	if (pasid == NO_PASID)
		unreserve(device, hwpt_ioas(hwpt));
out_free:
	free(member);
	return rc;
}

static int reserve_members(const struct group_attachment *attachment, struct ioas_object *ioas)
{
	for (const struct member *m = attachment->members; m; m = m->next) {
		int rc = reserve(m->device, ioas);

		if (!rc)
			continue;
		for (const struct member *done = attachment->members; done != m; done = done->next)
			unreserve(done->device, ioas);
		return rc;
	}
	return 0;
}

static void unreserve_members(const struct group_attachment *attachment, struct ioas_object *ioas)
{
	for (const struct member *m = attachment->members; m; m = m->next)
		unreserve(m->device, ioas);
}

/* Back from hwpt, and so do not wait for its owner's answers. */
static void take_back(struct device *device, const struct group_attachment *attachment, struct hwpt *hwpt,
		      struct leftover *left)
{
	if (set_domain(device, attachment->pasid, attachment->hwpt, left))
		clear_domain(device, attachment->pasid, hwpt, left);
	else
		flush(device, attachment->pasid, hwpt, left);
}

/*
 * All members, or none: those that were changed go back. One that cannot even go back stays without a domain, so that
 * its DMA is blocked; it counts as attached to the old one.
 */
static int set_domains(const struct group_attachment *attachment, struct hwpt *hwpt, struct leftover *left)
{
	for (const struct member *m = attachment->members; m; m = m->next) {
		int rc = set_domain(m->device, attachment->pasid, hwpt, left);

		if (!rc)
			continue;
		for (const struct member *done = attachment->members; done != m; done = done->next)
			take_back(done->device, attachment, hwpt, left);
		return rc;
	}
	return 0;
}

/* The old one loses the users that the members were, but for one, which is the caller's. */
static void move_members(struct group_attachment *attachment, struct hwpt *hwpt, struct leftover *left)
{
	struct hwpt *old = attachment->hwpt;

	for (const struct member *m = attachment->members; m; m = m->next) {
		flush(m->device, attachment->pasid, old, left);
		object_hold(&hwpt->object);
		if (m->next)
			object_put(&old->object);
		announce(m->device, attachment->pasid, hwpt);
	}
	attachment->hwpt = hwpt;
}

/* With the lock held. Returns what the caller is to end without it, or NULL. */
static struct object *drop_user(struct hwpt *hwpt)
{
	const bool automatic = hwpt->object.ops->type == OBJECT_HWPT_PAGING && ((struct hwpt_paging *)hwpt)->automatic;

	if (automatic && object_put_last(&hwpt->object))
		return &hwpt->object;
	if (!automatic)
		object_put(&hwpt->object);
	return NULL;
}

static int replace(struct device *device, uint32_t pasid, struct hwpt *hwpt, struct leftover *left)
{
	struct group_attachment *attachment = igroup_attachment(device->igroup, pasid);
	struct ioas_object *from, *to = hwpt_ioas(hwpt);
	struct hwpt *old;
	bool other_ioas;
	int rc = 0;

	if (!attachment || !is_member(attachment, device))
		return -EINVAL;
	if (attachment->hwpt == hwpt) {
		/* Another call may be about to wait for those that still use what it replaced. */
		left->threads.epoch = &device->object.ctx->epoch;
		return 0;
	}
	from = hwpt_ioas(attachment->hwpt);
	other_ioas = pasid == NO_PASID && from != to;
	if (other_ioas)
		rc = reserve_members(attachment, to);
	if (rc)
		return rc;
	rc = check_pasid_rule(device->igroup, pasid, hwpt->pasid_compatible);
	if (!rc)
		rc = set_domains(attachment, hwpt, left);
	if (rc) {
		if (other_ioas)
			unreserve_members(attachment, to);
		return rc;
	}
	if (other_ioas)
		unreserve_members(attachment, from);
	old = attachment->hwpt;
	move_members(attachment, hwpt, left);
	left->gone = drop_user(old);
	return 0;
}

static int change_hwpt(struct device *device, uint32_t pasid, struct hwpt *hwpt, change_fn *change)
{
	struct ctx *ctx = device->object.ctx;
	struct leftover left = {0};
	int rc;

	pthread_mutex_lock(&ctx->attach_lock);
	rc = change(device, pasid, hwpt, &left);
	pthread_mutex_unlock(&ctx->attach_lock);
	leftover_end(&left);
	return rc;
}

/*
 * Tries the automatic page tables of an IOAS, oldest first. Returns true if one was right, or wrong in another way than
 * not to suit the device.
 */
static bool change_automatic(struct device *device, uint32_t pasid, struct ioas_object *ioas, change_fn *change,
			     uint32_t *id, struct leftover *left, int *rc)
{
	for (struct hwpt_paging *at = ioas->hwpts; at; at = at->next) {
		struct object *object = &at->common.object;

		if (!object_get(object->ctx, object->id, OBJECT_HWPT_PAGING))
			continue; /* it is just going */
		*rc = change(device, pasid, &at->common, left);
		object_put(object);
		if (*rc == -EINVAL)
			continue;
		*id = object->id;
		return true;
	}
	return false;
}

/*
 * Attaching looks first whether the device could be attached to a new page table, as that comes before what may be
 * wrong with one. Reservations are only tried: nothing of this device is reserved there while it is not attached.
 */
static int check_new(struct device *device, uint32_t pasid, struct ioas_object *ioas, change_fn *change)
{
	int rc;

	if (change != attach)
		return 0;
	rc = check_attach(device, pasid, NULL);
	if (!rc && pasid == NO_PASID) {
		rc = reserve(device, ioas);
		if (!rc)
			unreserve(device, ioas);
	}
	return rc ? rc : check_pasid_rule(device->igroup, pasid, false);
}

static int change_ioas(struct device *device, uint32_t pasid, struct ioas_object *ioas, change_fn *change, uint32_t *id)
{
	static const struct user_data none;
	struct ctx *ctx = device->object.ctx;
	struct hwpt_paging *hwpt, *made;
	struct leftover left = {0};
	int rc;

	pthread_mutex_lock(&ctx->attach_lock);
	if (change_automatic(device, pasid, ioas, change, id, &left, &rc))
		goto out_unlock;
	rc = check_new(device, pasid, ioas, change);
	pthread_mutex_unlock(&ctx->attach_lock);
	leftovers_end(&left.threads); /* of what was tried and taken back */
	if (rc)
		goto out_left;
	rc = hwpt_paging_new(ctx, ioas, device, 0, true, &none, &made);
	if (rc)
		goto out_left;
	hwpt = made;
	pthread_mutex_lock(&ctx->attach_lock);
	if (!change_automatic(device, pasid, ioas, change, id, &left, &rc)) {
		rc = change(device, pasid, &hwpt->common, &left);
		if (!rc) {
			*id = hwpt->common.object.id;
			hwpt_publish_automatic(hwpt);
			made = NULL;
		}
	}
	pthread_mutex_unlock(&ctx->attach_lock);
	leftover_end(&left);
	if (made)
		object_abort(&made->common.object);
	return rc;

out_unlock:
	pthread_mutex_unlock(&ctx->attach_lock);
out_left:
	leftover_end(&left);
	return rc;
}

static int change_table(struct device *device, uint32_t pasid, uint32_t *pt_id, change_fn *change)
{
	struct object *table = object_get(device->object.ctx, *pt_id, OBJECT_ANY);
	int rc;

	if (!table)
		return -ENOENT;
	switch (table->ops->type) {
	case OBJECT_HWPT_PAGING:
	case OBJECT_HWPT_NESTED:
		rc = change_hwpt(device, pasid, (struct hwpt *)table, change);
		break;
	case OBJECT_IOAS:
		rc = change_ioas(device, pasid, (struct ioas_object *)table, change, pt_id);
		break;
	default:
		rc = -EINVAL;
		break;
	}
	object_put(table);
	return rc;
}

int device_attach(struct device *device, uint32_t pasid, uint32_t *pt_id)
{
	return change_table(device, pasid, pt_id, attach);
}

int device_replace(struct device *device, uint32_t pasid, uint32_t *pt_id)
{
	return change_table(device, pasid, pt_id, replace);
}

/* With the lock held. */
static void detach(struct device *device, struct group_attachment *attachment, struct leftover *left)
{
	struct member **at = &attachment->members;
	struct hwpt *hwpt = attachment->hwpt;
	const uint32_t pasid = attachment->pasid;
	struct member *member;

	while ((*at)->device != device)
		at = &(*at)->next;
	member = *at;
	clear_domain(device, pasid, hwpt, left);
	if (pasid == NO_PASID)
		unreserve(device, hwpt_ioas(hwpt));
	*at = member->next;
	free(member);
	attachment_release(device->igroup, attachment);
	announce(device, pasid, NULL);
	left->gone = drop_user(hwpt);
}

void device_detach(struct device *device, uint32_t pasid)
{
	struct ctx *ctx = device->object.ctx;
	struct group_attachment *attachment;
	/* Waits in any case, as another call may have detached it and not waited yet. */
	struct leftover left = {.threads.epoch = &ctx->epoch};

	pthread_mutex_lock(&ctx->attach_lock);
	attachment = igroup_attachment(device->igroup, pasid);
	if (attachment && is_member(attachment, device))
		detach(device, attachment, &left);
	pthread_mutex_unlock(&ctx->attach_lock);
	leftover_end(&left);
}

/* The PASID of the next attachment of a device from *pasid on. */
static bool next_pasid(struct device *device, uint32_t *pasid)
{
	struct ctx *ctx = device->object.ctx;
	struct range_cursor at;
	bool found = false;

	pthread_mutex_lock(&ctx->attach_lock);
	for (bool more = range_map_first(&device->igroup->attachments, *pasid, UINT32_MAX, &at); more && !found;
	     more = range_map_next(&at)) {
		const struct group_attachment *attachment = at.range.value;

		*pasid = attachment->pasid;
		found = is_member(attachment, device);
	}
	pthread_mutex_unlock(&ctx->attach_lock);
	return found;
}

void device_detach_all(struct device *device)
{
	for (uint32_t pasid = NO_PASID; next_pasid(device, &pasid);)
		device_detach(device, pasid);
}

struct hwpt *device_hwpt(struct device *device, uint32_t pasid)
{
	struct ctx *ctx = device->object.ctx;
	const struct group_attachment *attachment;
	struct hwpt *hwpt = NULL;

	pthread_mutex_lock(&ctx->attach_lock);
	attachment = igroup_attachment(device->igroup, pasid);
	if (attachment && is_member(attachment, device))
		hwpt = attachment->hwpt;
	pthread_mutex_unlock(&ctx->attach_lock);
	return hwpt;
}
