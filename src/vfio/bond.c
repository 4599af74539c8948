/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bond is BOUND: attached to all devices that are bonded with its container. When its address space is gone it is
 * LEAVING: detached, while device threads may still use it, which nobody waits for; then it is DEAD: nothing but the
 * number of a process, so that UNBIND can say that it was bound.
 *
 * Without a group there is no IOMMU, and so no bond.
 *
 * UNBIND takes a bond out of the list and waits for device threads itself. Either way the PASID is held until then.
 *
 * BIND reserves the PASID, tells the client, and only then makes the bond. What it has looked at before, without the
 * lock meanwhile, it looks at again.
 */
#include "vfio/bond.h"

#include "abi/vfio.h"
#include "hwpt/software.h"
#include "hwpt/sva.h"
#include "vfio/mm_pasid.h"

#include <stdlib.h>

#define DEAD_MAX 1024 /* of a container; older ones are forgotten */

enum bond_state {
	BOUND,
	LEAVING,
	DEAD,
};

struct bond {
	struct bond *next;
	enum bond_state state;
	pid_t pid;              /* as who made it calls the process */
	struct mm_pasid *pasid; /* with a reference; NULL: it is dead */
	struct sva_domain sva;
	bool forgotten; /* it is leaving or dead, and nobody is to find it any more */
	struct leftovers left;
	uint64_t period; /* of the container's epoch, in which the last device thread leaves */
};

/* Of a container: its compat_state. */
struct bonds {
	struct ctx *ctx;
	struct mm_pasids *all;
	struct bonds *next, **link;
	bool iommu_set;
	struct bond *first;
};

static struct mm_pasids *pasids_of(const struct ctx *ctx)
{
	return ctx->config->vfio ? ctx->config->vfio->mm_pasids : NULL;
}

static struct bonds *bonds_of(const struct ctx *ctx)
{
	return atomic_load_explicit(&ctx->compat_state, memory_order_acquire);
}

/* With the lock held. NULL: no memory. */
static struct bonds *bonds_make(struct ctx *ctx, struct mm_pasids *all)
{
	struct bonds *bonds = bonds_of(ctx);

	if (bonds)
		return bonds;
	bonds = calloc(1, sizeof(*bonds));
	if (!bonds)
		return NULL;
	bonds->ctx = ctx;
	bonds->all = all;
	bonds->next = all->bonds;
	bonds->link = &all->bonds;
	if (bonds->next)
		bonds->next->link = &bonds->next;
	all->bonds = bonds;
	atomic_store_explicit(&ctx->compat_state, bonds, memory_order_release);
	return bonds;
}

int bonds_set_iommu(struct ctx *ctx)
{
	struct mm_pasids *all = pasids_of(ctx);
	struct bonds *bonds;

	if (!all)
		return 0;
	mm_pasids_lock(all);
	bonds = bonds_make(ctx, all);
	if (bonds)
		bonds->iommu_set = true;
	mm_pasids_unlock(all);
	return bonds ? 0 : -ENOMEM;
}

static struct vfio_device *next_bonded(const struct bonds *bonds, struct vfio_device *device)
{
	while (device && !(device->bonds == bonds && device->bonded))
		device = device->next;
	return device;
}

static struct vfio_device *first_bonded(const struct bonds *bonds)
{
	return next_bonded(bonds, bonds->ctx->config->vfio->devices);
}

/* Attaching all devices to a bond, or one device to all bonds: all or none. What is undone leaves leftovers too. */

static void detach_bond(const struct bonds *bonds, const struct bond *bond, struct leftovers *left)
{
	for (struct vfio_device *device = first_bonded(bonds); device; device = next_bonded(bonds, device->next))
		iommu_device_set(&device->iommu, bond->pasid->pasid, NULL, left);
}

static int attach_bond(const struct bonds *bonds, struct bond *bond, struct leftovers *left)
{
	struct vfio_device *device;
	unsigned attached = 0;
	int rc = 0;

	for (device = first_bonded(bonds); device && !rc; device = next_bonded(bonds, device->next)) {
		rc = iommu_device_set(&device->iommu, bond->pasid->pasid, &bond->sva.domain, left);
		attached += !rc;
	}
	if (!rc)
		return 0;
	for (device = first_bonded(bonds); attached; device = next_bonded(bonds, device->next), attached--)
		iommu_device_set(&device->iommu, bond->pasid->pasid, NULL, left);
	return rc;
}

static struct bond *next_bound(struct bond *bond)
{
	while (bond && bond->state != BOUND)
		bond = bond->next;
	return bond;
}

static void detach_device(const struct bonds *bonds, struct vfio_device *device, struct leftovers *left)
{
	for (struct bond *bond = next_bound(bonds->first); bond; bond = next_bound(bond->next))
		iommu_device_set(&device->iommu, bond->pasid->pasid, NULL, left);
	device->bonded = false;
}

/* The caller marks it as bonded. */
static int attach_device(const struct bonds *bonds, struct vfio_device *device, struct leftovers *left)
{
	unsigned attached = 0;
	struct bond *bond;
	int rc = 0;

	for (bond = next_bound(bonds->first); bond && !rc; bond = next_bound(bond->next)) {
		rc = iommu_device_set(&device->iommu, bond->pasid->pasid, &bond->sva.domain, left);
		attached += !rc;
	}
	if (!rc)
		return 0;
	for (bond = next_bound(bonds->first); attached; bond = next_bound(bond->next), attached--)
		iommu_device_set(&device->iommu, bond->pasid->pasid, NULL, left);
	return rc;
}

/* What a bond has, when nothing is attached to it any more. */
static void bond_fini(struct bond *bond)
{
	bond->left.epoch = NULL; /* nobody is to be waited for */
	leftovers_end(&bond->left);
	sva_domain_fini(&bond->sva);
	mm_pasid_put(bond->pasid);
	bond->pasid = NULL;
}

static void leave(const struct bonds *bonds, struct bond *bond)
{
	detach_bond(bonds, bond, &bond->left);
	bond->period = epoch_defer(&bonds->ctx->epoch);
	bond->state = LEAVING;
}

/* Returns whether a bond is still leaving. */
static bool purge(const struct bonds *bonds, struct bond **link)
{
	unsigned dead = 0;
	bool leaving = false;

	while (*link) {
		struct bond *bond = *link;

		if (bond->state == BOUND && mm_is_gone(bond->pasid->mm))
			leave(bonds, bond);
		if (bond->state == LEAVING && epoch_passed(&bonds->ctx->epoch, bond->period)) {
			bond_fini(bond);
			bond->state = DEAD;
		}
		leaving |= bond->state == LEAVING;
		if (bond->state == DEAD && (bond->forgotten || ++dead > DEAD_MAX)) {
			*link = bond->next;
			free(bond);
		} else {
			link = &bond->next;
		}
	}
	return leaving;
}

bool bonds_purge(struct mm_pasids *all)
{
	bool leaving = false;

	for (struct bonds *bonds = all->bonds; bonds; bonds = bonds->next)
		leaving |= purge(bonds, &bonds->first);
	return leaving;
}

/* Devices and groups */

/* Lowers *limit to what the device can use. -ENODEV: it has no PASIDs, or cannot wait for pages. */
static int check_device(const struct vfio_device *device, uint32_t *limit)
{
	if (!device->iommu.max_pasids || !device->iommu.can_fault)
		return -ENODEV;
	if (device->iommu.max_pasids < *limit)
		*limit = device->iommu.max_pasids;
	return 0;
}

/* The first PASID that is too high for a device of the container. */
static int check_devices(const struct bonds *bonds, uint32_t *limit)
{
	int rc = 0;

	*limit = UINT32_C(1) << PASID_BITS;
	for (const struct vfio_device *device = bonds->ctx->config->vfio->devices; device && !rc; device = device->next)
		if (device->group->bonds == bonds || (device->bonds == bonds && device->bonded))
			rc = check_device(device, limit);
	return rc;
}

/* Could a device have all bonds? */
static int check_bonds(const struct bonds *bonds, const struct vfio_device *device)
{
	for (const struct bond *bond = next_bound(bonds->first); bond; bond = next_bound(bond->next)) {
		uint32_t limit = UINT32_MAX;
		int rc = check_device(device, &limit);

		if (rc)
			return rc;
		if (bond->pasid->pasid >= limit)
			return -EOVERFLOW;
	}
	return 0;
}

static bool has_members(const struct bonds *bonds)
{
	for (const struct vfio_group *group = bonds->ctx->config->vfio->groups; group; group = group->next)
		if (group->bonds == bonds)
			return true;
	return first_bonded(bonds);
}

/* A page table is there as soon as there is a group. */
static bool has_iommu(const struct bonds *bonds)
{
	return bonds && bonds->iommu_set && has_members(bonds);
}

/* The last bonds go with the last group, or with its last device where that is open longer. */
static void end_bonds(struct bonds *bonds)
{
	if (has_members(bonds))
		return;
	for (struct bond *bond = bonds->first; bond; bond = bond->next) {
		if (bond->state == BOUND)
			leave(bonds, bond);
		bond->forgotten = true;
	}
	if (bonds_purge(bonds->all))
		sem_post(&bonds->all->wake);
}

static struct vfio_device *next_unbonded(const struct bonds *bonds, const struct vfio_group *group,
					 struct vfio_device *device)
{
	while (device && (device->group != group || device->bonds != bonds || device->bonded))
		device = device->next;
	return device;
}

/* Gives bonds to the devices of a group that are open already, but for those that kept them when its file was closed.
 * They are marked when all have them, so that what is undone is what was done. */
static int attach_group(struct bonds *bonds, const struct vfio_group *group, struct leftovers *left)
{
	struct vfio_device *first = next_unbonded(bonds, group, bonds->ctx->config->vfio->devices);
	struct vfio_device *device;
	unsigned attached = 0;
	int rc = 0;

	for (device = first; device && !rc; device = next_unbonded(bonds, group, device->next)) {
		rc = attach_device(bonds, device, left);
		attached += !rc;
	}
	for (device = first; attached; device = next_unbonded(bonds, group, device->next), attached--) {
		if (rc)
			detach_device(bonds, device, left);
		else
			device->bonded = true;
	}
	return rc;
}

static int add_group(struct bonds *bonds, struct vfio_group *group, struct leftovers *left)
{
	int rc = 0;

	for (const struct vfio_device *device = bonds->ctx->config->vfio->devices; device && !rc; device = device->next)
		if (device->group == group)
			rc = check_bonds(bonds, device);
	if (!rc)
		rc = attach_group(bonds, group, left);
	if (!rc)
		group->bonds = bonds;
	return rc;
}

int bonds_add_group(struct ctx *ctx, struct vfio_group *group, struct leftovers *left)
{
	struct mm_pasids *all = pasids_of(ctx);
	struct bonds *bonds;
	int rc = -ENOMEM;

	if (!all)
		return 0;
	mm_pasids_lock(all);
	bonds_purge(all);
	bonds = bonds_make(ctx, all);
	if (bonds)
		rc = add_group(bonds, group, left);
	mm_pasids_unlock(all);
	return rc;
}

void bonds_remove_group(struct ctx *ctx, struct vfio_group *group, struct leftovers *left)
{
	struct mm_pasids *all = pasids_of(ctx);
	struct bonds *bonds;

	if (!all)
		return;
	mm_pasids_lock(all);
	bonds = group->bonds;
	group->bonds = NULL;
	for (struct vfio_device *device = first_bonded(bonds); device && left;
	     device = next_bonded(bonds, device->next))
		if (device->group == group)
			detach_device(bonds, device, left);
	end_bonds(bonds);
	mm_pasids_unlock(all);
	if (left)
		left->epoch = &ctx->epoch; /* others may have detached and not waited */
}

int bonds_add_device(struct ctx *ctx, struct vfio_device *device)
{
	struct mm_pasids *all = pasids_of(ctx);
	struct leftovers left = {0};
	struct bonds *bonds;
	int rc = 0;

	if (!all)
		return 0;
	mm_pasids_lock(all);
	bonds = bonds_of(ctx);
	/* Its group may have left the container just now. */
	if (bonds && device->group->bonds == bonds) {
		rc = check_bonds(bonds, device);
		if (!rc)
			rc = attach_device(bonds, device, &left);
		device->bonded = !rc;
	}
	device->bonds = rc ? NULL : bonds;
	mm_pasids_unlock(all);
	leftovers_end(&left);
	return rc;
}

void bonds_remove_device(struct ctx *ctx, struct vfio_device *device)
{
	struct mm_pasids *all = pasids_of(ctx);
	struct leftovers left = {0};
	struct bonds *bonds;

	if (!all)
		return;
	mm_pasids_lock(all);
	bonds = device->bonds;
	device->bonds = NULL;
	if (bonds && device->bonded)
		detach_device(bonds, device, &left);
	if (bonds)
		end_bonds(bonds);
	mm_pasids_unlock(all);
	left.epoch = &ctx->epoch;
	leftovers_end(&left);
}

/* The first group of a container, or of a device that is open in it. */
static uint32_t first_group(const struct bonds *bonds)
{
	const struct vfio_device *device = first_bonded(bonds);
	uint32_t first = device ? device->group->iommu.id : UINT32_MAX;

	for (const struct vfio_group *group = bonds->ctx->config->vfio->groups; group; group = group->next)
		if (group->bonds == bonds && group->iommu.id < first)
			first = group->iommu.id;
	return first;
}

size_t bonds_usages(const struct vfio *vfio, struct bond_usage *usage, size_t room)
{
	struct mm_pasids *all = vfio->mm_pasids;
	size_t count = 0;

	if (!all)
		return 0;
	mm_pasids_lock(all);
	for (const struct bonds *bonds = all->bonds; bonds; bonds = bonds->next)
		for (struct bond *bond = next_bound(bonds->first); bond; bond = next_bound(bond->next)) {
			if (mm_is_gone(bond->pasid->mm))
				continue;
			if (count < room)
				usage[count] = (struct bond_usage){
					.container = bonds->ctx->file.serial,
					.group = first_group(bonds),
					.pasid = bond->pasid->pasid,
					.pid = bond->pasid->mm->pid,
				};
			count++;
		}
	mm_pasids_unlock(all);
	return count;
}

/* Nobody else knows the container: no group has it, and no device is open in it. */
void bonds_release(struct ctx *ctx)
{
	struct bonds *bonds = bonds_of(ctx);
	struct mm_pasids *all;

	if (!bonds)
		return;
	all = bonds->all;
	mm_pasids_lock(all);
	*bonds->link = bonds->next;
	if (bonds->next)
		bonds->next->link = bonds->link;
	while (bonds->first) {
		struct bond *bond = bonds->first;

		bonds->first = bond->next;
		if (bond->pasid)
			bond_fini(bond);
		free(bond);
	}
	mm_pasids_unlock(all);
	free(bonds);
}

/* The commands */

/* Both commands take the same structure. Stores the number of the process; 0: the caller itself. */
static int read_process(struct ucmd *ucmd, pid_t *pid)
{
	const size_t head = sizeof(struct vfio_iommu_type1_bind);
	const struct vfio_iommu_type1_bind *bind = (const void *)ucmd->cmd;
	struct vfio_iommu_type1_bind_process process;

	if (client_copy_in(ucmd->client, ucmd->cmd, ucmd->arg, head))
		return -EFAULT;
	ucmd->cmd_size = (uint32_t)head;
	if (bind->argsz < head || bind->mode != VFIO_IOMMU_BIND_PROCESS || bind->argsz < head + sizeof(process))
		return -EINVAL;
	if (client_copy_in(ucmd->client, &process, uaddr_add(ucmd->arg, head), sizeof(process)))
		return -EFAULT;
	memcpy(ucmd->cmd + head, &process, sizeof(process));
	ucmd->cmd_size = (uint32_t)(head + sizeof(process));
	if (process.flags & ~(uint32_t)VFIO_IOMMU_BIND_PID)
		return -EINVAL;
	*pid = process.flags & VFIO_IOMMU_BIND_PID ? process.pid : 0;
	return process.flags & VFIO_IOMMU_BIND_PID && process.pid <= 0 ? -ESRCH : 0;
}

/* With a reference. */
static int find_mm(struct client *client, pid_t pid, struct mm **mm)
{
	if (pid)
		return client->ops->find_mm(client, pid, mm);
	*mm = mm_get(client->ops->mm(client));
	return 0;
}

/* A bond that nobody sees yet. With the lock held. */
static int reserve(struct bonds *bonds, struct mm *mm, struct bond **out)
{
	struct bond *bond;
	uint32_t limit;
	int rc;

	if (!has_iommu(bonds))
		return -EINVAL;
	rc = check_devices(bonds, &limit);
	if (rc)
		return rc;
	bond = calloc(1, sizeof(*bond));
	if (!bond)
		return -ENOMEM;
	rc = mm_pasid_get(bonds->all, mm, limit, &bond->pasid);
	if (rc) {
		free(bond);
		return rc;
	}
	sva_domain_init(&bond->sva, &software_iommu, bond->pasid->mm);
	*out = bond;
	return 0;
}

/* The same for the memory of a client's process, whose PASID may be known by another address space. Takes the lock. */
static int look_and_reserve(struct bonds *bonds, struct mm_pasids *all, struct mm *mm, struct bond **bond)
{
	uint64_t made = 0;
	struct mm *known;
	bool settled;
	int rc = 0;

	do {
		known = mm_pasids_look(all, mm, &made);
		mm_pasids_lock(all);
		bonds_purge(all);
		settled = known ? mm_pasid_find(all, known) != NULL : made == all->made;
		if (settled)
			rc = reserve(bonds, known ? known : mm, bond);
		mm_pasids_unlock(all);
		if (known) {
			mm_put(known);
			made = 0;
		}
	} while (!settled);
	return rc;
}

static bool is_bound(const struct bonds *bonds, const struct mm_pasid *pasid)
{
	const struct bond *bond = next_bound(bonds->first);

	while (bond && bond->pasid != pasid)
		bond = next_bound(bond->next);
	return bond;
}

/* A process that has the number from now on is the one that is meant by it. */
static void forget_dead(struct bonds *bonds, pid_t pid)
{
	struct bond **link = &bonds->first;

	while (*link) {
		struct bond *bond = *link;

		if (bond->state == LEAVING && bond->pid == pid)
			bond->forgotten = true;
		if (bond->state != DEAD || bond->pid != pid) {
			link = &bond->next;
			continue;
		}
		*link = bond->next;
		free(bond);
	}
}

/* Returns 0 also where the address space has a bond already; stores whether this one is made. With the lock held. */
static int publish(struct bonds *bonds, struct bond *bond, bool *made, struct leftovers *left)
{
	uint32_t limit;
	int rc;

	if (is_bound(bonds, bond->pasid))
		return 0;
	if (!has_iommu(bonds))
		return -EINVAL;
	rc = check_devices(bonds, &limit);
	if (!rc && bond->pasid->pasid >= limit)
		rc = -EOVERFLOW;
	if (!rc && mm_is_gone(bond->pasid->mm))
		rc = -ESRCH;
	if (!rc)
		rc = attach_bond(bonds, bond, left);
	if (rc)
		return rc;
	forget_dead(bonds, bond->pid);
	bond->next = bonds->first;
	bonds->first = bond;
	*made = true;
	return 0;
}

static int bind(struct ucmd *ucmd, struct mm_pasids *all, struct mm *mm, pid_t pid)
{
	struct vfio_iommu_type1_bind_process *process = (void *)(ucmd->cmd + sizeof(struct vfio_iommu_type1_bind));
	const size_t at = sizeof(struct vfio_iommu_type1_bind) + offsetof(struct vfio_iommu_type1_bind_process, pasid);
	struct bonds *bonds = bonds_of(ucmd->ctx);
	struct leftovers left = {0};
	bool made = false;
	struct bond *bond = NULL;
	int rc;

	rc = look_and_reserve(bonds, all, mm, &bond);
	if (rc)
		return rc;
	bond->pid = pid;
	process->pasid = bond->pasid->pasid;
	rc = client_copy_out(ucmd->client, uaddr_add(ucmd->arg, at), &process->pasid, sizeof(process->pasid));
	mm_pasids_lock(all);
	if (!rc)
		rc = publish(bonds, bond, &made, &left);
	mm_pasids_unlock(all);
	leftovers_end(&left);
	if (made)
		return 0;
	mm_pasids_lock(all);
	bond_fini(bond);
	mm_pasids_unlock(all);
	free(bond);
	return rc;
}

int vfio_iommu_bind(struct ucmd *ucmd)
{
	struct mm_pasids *all = pasids_of(ucmd->ctx);
	struct mm *mm;
	pid_t pid;
	int rc = read_process(ucmd, &pid);

	if (!rc)
		rc = find_mm(ucmd->client, pid, &mm);
	if (rc)
		return rc;
	if (mm_is_gone(mm))
		rc = pid ? -ESRCH : -EINVAL;
	else
		rc = all ? bind(ucmd, all, mm, pid ? pid : ucmd->client->pid) : -EINVAL;
	mm_put(mm);
	return rc;
}

/* By its address space, as its PASID knows it (known; NULL: not at all), or else (mm NULL, or not bound) by its number,
 * which is then that of a process that is gone, or that the caller may not look into: mm tells which. Returns where it
 * is linked. */
static struct bond **find_bond(struct bonds *bonds, const struct mm *known, const struct mm *mm, pid_t pid)
{
	const struct mm_pasid *pasid = known ? mm_pasid_find(bonds->all, known) : NULL;
	struct bond **link;

	for (link = &bonds->first; pasid && *link; link = &(*link)->next)
		if ((*link)->state == BOUND && (*link)->pasid == pasid)
			return link;
	for (link = &bonds->first; pid && *link; link = &(*link)->next)
		if ((*link)->pid == pid && !(*link)->forgotten && ((*link)->state != BOUND || !mm))
			return link;
	return NULL;
}

/* mm NULL: it was not found. Returns 0; -EINVAL: the container has no IOMMU; -ESRCH: there is no such bond. */
static int unbind(struct bonds *bonds, struct mm *mm, pid_t pid)
{
	struct mm_pasids *all = bonds->all;
	struct leftovers left = {0};
	struct bond *ended = NULL;
	struct mm *known = NULL;
	struct bond **link;
	uint64_t made = 0;
	int rc;

	if (mm)
		known = mm_pasids_look(all, mm, &made);
	mm_pasids_lock(all);
	bonds_purge(all);
	link = find_bond(bonds, known, mm, pid);
	rc = link ? 0 : has_iommu(bonds) ? -ESRCH : -EINVAL;
	if (link && (*link)->state == LEAVING) {
		(*link)->forgotten = true;
	} else if (link) {
		ended = *link;
		*link = ended->next;
		if (ended->state == BOUND)
			detach_bond(bonds, ended, &left);
	}
	mm_pasids_unlock(all);
	if (known)
		mm_put(known);
	if (rc)
		return rc;
	left.epoch = &bonds->ctx->epoch;
	leftovers_end(&left);
	if (ended && ended->pasid) {
		mm_pasids_lock(all);
		bond_fini(ended);
		mm_pasids_unlock(all);
	}
	free(ended);
	return 0;
}

int vfio_iommu_unbind(struct ucmd *ucmd)
{
	struct bonds *bonds;
	struct mm *mm;
	pid_t pid;
	int found, rc = read_process(ucmd, &pid);

	if (rc)
		return rc;
	found = find_mm(ucmd->client, pid, &mm);
	bonds = bonds_of(ucmd->ctx);
	rc = bonds ? unbind(bonds, found ? NULL : mm, pid) : -EINVAL;
	if (!found)
		mm_put(mm);
	return rc && found ? found : rc;
}
