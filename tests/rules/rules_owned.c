/* SPDX-License-Identifier: BSD-3-Clause */
/* PASIDs of /dev/ioasid that are attached to page tables. */
#define _GNU_SOURCE
#include "bond_device.h"

#include "abi/ioasid.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Two devices, attached to page tables for PASIDs, and a file that PASIDs come from. */
struct owned {
	int ioasids, cdev[2];
	uint32_t ioas, hwpt[2]; /* hwpt: made for the first device */
};

static uint32_t hwpt_for(struct rules *t, uint32_t device, uint32_t ioas)
{
	struct iommu_hwpt_alloc c = {
		.size = sizeof(c), .flags = IOMMU_HWPT_ALLOC_PASID, .dev_id = device, .pt_id = ioas};

	EXPECT(t, call_on(t, t->fd, IOMMU_HWPT_ALLOC, &c), 0);
	return c.out_hwpt_id;
}

static struct owned owned_new(struct rules *t)
{
	struct owned o = {.ioasids = node_open(t, "/dev/ioasid"), .ioas = ioas_new(t)};
	uint32_t id[2];

	for (unsigned i = 0; i < 2; i++)
		o.cdev[i] = cdev_new(t, i ? 2 : 0, &id[i]);
	for (unsigned i = 0; i < 2; i++)
		o.hwpt[i] = hwpt_for(t, id[0], o.ioas);
	return o;
}

static void owned_end(struct rules *t, const struct owned *o)
{
	for (unsigned i = 0; i < 2; i++)
		if (o->cdev[i] >= 0)
			device_close(t, o->cdev[i]);
	device_close(t, o->ioasids);
}

static int attach(struct rules *t, const struct owned *o, unsigned device, int pasid, unsigned hwpt)
{
	uint32_t pt = o->hwpt[hwpt];

	return attach_cdev(t, o->cdev[device], (uint32_t)pasid, &pt);
}

static int pasid_in(struct rules *t, const struct owned *o, uint32_t min, uint32_t max)
{
	struct ioasid_alloc_request c = {.argsz = sizeof(c), .range = {min, max}};

	return call_on(t, o->ioasids, IOASID_REQUEST_ALLOC, &c);
}

static int pasid_free(struct rules *t, const struct owned *o, int pasid)
{
	return call_on(t, o->ioasids, IOASID_REQUEST_FREE, &pasid);
}

/* Can somebody have it? */
static bool can_be_had(struct rules *t, const struct owned *o, int pasid)
{
	const int got = pasid_in(t, o, (uint32_t)pasid, (uint32_t)pasid);

	if (got == -ENOSPC)
		return false;
	EXPECT(t, got, pasid);
	EXPECT(t, pasid_free(t, o, pasid), 0);
	return true;
}

static void a_pasid_stays_while_it_is_attached(struct rules *t)
{
	struct owned o = owned_new(t);
	int pasid = pasid_in(t, &o, 1, 100);

	EXPECT(t, pasid, 1);
	EXPECT(t, attach(t, &o, 0, pasid, 0), 0);
	EXPECT(t, attach(t, &o, 1, pasid, 0), 0);
	EXPECT(t, pasid_free(t, &o, pasid), 0);
	EXPECT(t, pasid_free(t, &o, pasid), 0);
	EXPECT(t, can_be_had(t, &o, pasid), false);
	EXPECT(t, detach_cdev(t, o.cdev[0], 1), 0);
	EXPECT(t, can_be_had(t, &o, pasid), false);
	EXPECT(t, detach_cdev(t, o.cdev[0], 1), 0); /* was done already */
	EXPECT(t, can_be_had(t, &o, pasid), false);
	EXPECT(t, detach_cdev(t, o.cdev[1], 1), 0);
	EXPECT(t, can_be_had(t, &o, pasid), true);
	owned_end(t, &o);
}

static void a_pasid_that_is_not_freed_stays_its_owner_s(struct rules *t)
{
	struct owned o = owned_new(t);
	int pasid = pasid_in(t, &o, 1, 100);

	for (int i = 0; i < 3; i++) {
		EXPECT(t, attach(t, &o, 0, pasid, 0), 0);
		EXPECT(t, detach_cdev(t, o.cdev[0], (uint32_t)pasid), 0);
	}
	EXPECT(t, can_be_had(t, &o, pasid), false);
	EXPECT(t, pasid_free(t, &o, pasid), 0);
	EXPECT(t, can_be_had(t, &o, pasid), true);
	owned_end(t, &o);
}

static void to_replace_holds_it_once(struct rules *t)
{
	struct owned o = owned_new(t);
	int pasid = pasid_in(t, &o, 1, 100);

	EXPECT(t, attach(t, &o, 0, pasid, 0), 0);
	EXPECT(t, attach(t, &o, 0, pasid, 1), 0);
	EXPECT(t, attach(t, &o, 0, pasid, 1), 0);
	EXPECT(t, pasid_free(t, &o, pasid), 0);
	EXPECT(t, attach(t, &o, 0, pasid, 0), 0); /* it is this device's still */
	EXPECT(t, can_be_had(t, &o, pasid), false);
	EXPECT(t, attach(t, &o, 1, pasid, 0), -EBUSY);
	EXPECT(t, detach_cdev(t, o.cdev[0], (uint32_t)pasid), 0);
	EXPECT(t, can_be_had(t, &o, pasid), true);
	owned_end(t, &o);
}

static void what_fails_holds_nothing(struct rules *t)
{
	struct owned o = owned_new(t);
	int pasid = pasid_in(t, &o, 1, 100);
	uint32_t none = 12345, plain = o.ioas;

	EXPECT(t, attach_cdev(t, o.cdev[0], (uint32_t)pasid, &none), -ENOENT);
	EXPECT(t, attach_cdev(t, o.cdev[0], (uint32_t)pasid, &plain), -EINVAL);
	EXPECT(t, pasid_free(t, &o, pasid), 0);
	EXPECT(t, can_be_had(t, &o, pasid), true);
	pasid = pasid_in(t, &o, 1, 100);
	EXPECT(t, attach(t, &o, 0, pasid, 0), 0);
	EXPECT(t, attach_cdev(t, o.cdev[0], (uint32_t)pasid, &none), -ENOENT);
	EXPECT(t, attach_cdev(t, o.cdev[0], (uint32_t)pasid, &plain), -EINVAL);
	EXPECT(t, pasid_free(t, &o, pasid), 0);
	EXPECT(t, can_be_had(t, &o, pasid), false);
	EXPECT(t, detach_cdev(t, o.cdev[0], (uint32_t)pasid), 0);
	EXPECT(t, can_be_had(t, &o, pasid), true);
	owned_end(t, &o);
}

static void a_device_that_is_closed_gives_them_back(struct rules *t)
{
	struct owned o = owned_new(t);
	int pasid[3];

	for (int i = 0; i < 3; i++) {
		pasid[i] = pasid_in(t, &o, 1, 100);
		EXPECT(t, attach(t, &o, 0, pasid[i], 0), 0);
		EXPECT(t, pasid_free(t, &o, pasid[i]), 0);
		EXPECT(t, can_be_had(t, &o, pasid[i]), false);
	}
	device_close(t, o.cdev[0]);
	o.cdev[0] = -1;
	for (int i = 0; i < 3; i++)
		EXPECT(t, can_be_had(t, &o, pasid[i]), true);
	owned_end(t, &o);
}

static void a_file_that_is_closed_frees_what_is_not_attached(struct rules *t)
{
	struct owned o = owned_new(t);
	int pasid = pasid_in(t, &o, 1, 100);

	EXPECT(t, pasid_in(t, &o, 1, 100), 2);
	EXPECT(t, attach(t, &o, 0, pasid, 0), 0);
	device_close(t, o.ioasids);
	o.ioasids = node_open(t, "/dev/ioasid");
	EXPECT(t, can_be_had(t, &o, pasid), false);
	EXPECT(t, can_be_had(t, &o, 2), true);
	EXPECT(t, pasid_free(t, &o, pasid), 0);
	EXPECT(t, detach_cdev(t, o.cdev[0], (uint32_t)pasid), 0);
	EXPECT(t, can_be_had(t, &o, pasid), true);
	owned_end(t, &o);
}

static void a_pasid_that_nobody_has_is_anybody_s(struct rules *t)
{
	struct owned o = owned_new(t);

	EXPECT(t, attach(t, &o, 0, 55, 0), 0);
	EXPECT(t, can_be_had(t, &o, 55), true);
	EXPECT(t, pasid_in(t, &o, 55, 55), 55);
	EXPECT(t, attach(t, &o, 0, 55, 1), 0); /* from now on it is held */
	EXPECT(t, pasid_free(t, &o, 55), 0);
	EXPECT(t, can_be_had(t, &o, 55), false);
	EXPECT(t, detach_cdev(t, o.cdev[0], 55), 0);
	EXPECT(t, can_be_had(t, &o, 55), true);
	owned_end(t, &o);
}

static void arguments_come_before_owners(struct rules *t)
{
	struct owned o = owned_new(t);
	struct vfio_device_attach_iommufd_pt c = {
		.argsz = sizeof(c), .flags = VFIO_DEVICE_ATTACH_PASID, .pt_id = o.hwpt[0], .pasid = 1U << 31};

	EXPECT(t, call_on(t, o.cdev[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &c), -ENOSPC);
	c.pasid = UINT32_MAX;
	EXPECT(t, call_on(t, o.cdev[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &c), -ENOSPC);
	c.pasid = 0;
	EXPECT(t, call_on(t, o.cdev[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &c), -EINVAL);
	c.pasid = INT32_MAX; /* nobody's, and more than the device has */
	EXPECT(t, call_on(t, o.cdev[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &c), -EINVAL);
	owned_end(t, &o);
}

static void a_pasid_of_a_bond_is_eacces(struct rules *t)
{
	struct owned o = owned_new(t);
	int container = node_open(t, "/dev/vfio/vfio");
	int group = group_open(t, 3);
	uint32_t none = 12345;

	EXPECT(t, set_container(t, group, container), 0);
	EXPECT(t, transport_ioctl(t->transport, container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	EXPECT(t, bind_to(t, container, 0), 1);
	EXPECT(t, attach(t, &o, 0, 1, 0), -EACCES);
	EXPECT(t, attach_cdev(t, o.cdev[0], 1, &none), -EACCES);
	EXPECT(t, pasid_free(t, &o, 1), -EACCES);
	EXPECT(t, pasid_in(t, &o, 1, 100), 2);
	EXPECT(t, unbind_from(t, container, 0), 0);
	EXPECT(t, attach(t, &o, 0, 1, 0), 0);
	device_close(t, group);
	device_close(t, container);
	owned_end(t, &o);
}

static void a_pasid_of_another_process_is_eacces(struct rules *t)
{
	struct owned o;
	uint32_t none = 12345;
	int pasid, status;
	pid_t child;

	if (!has_processes(t))
		return;
	o = owned_new(t);
	pasid = pasid_in(t, &o, 1, 100);
	EXPECT(t, attach(t, &o, 0, pasid, 0), 0);
	fflush(stdout);
	child = fork();
	if (!child) {
		t->failures = 0;
		EXPECT(t, attach(t, &o, 0, pasid, 1), -EACCES);
		EXPECT(t, attach(t, &o, 1, pasid, 0), -EACCES);
		EXPECT(t, attach_cdev(t, o.cdev[1], (uint32_t)pasid, &none), -EACCES);
		EXPECT(t, attach(t, &o, 1, pasid + 1, 0), 0);
		fflush(stdout);
		_exit(t->failures ? 1 : 0);
	}
	waitpid(child, &status, 0);
	EXPECT(t, status, 0);
	EXPECT(t, attach(t, &o, 1, pasid, 0), 0);
	owned_end(t, &o);
}

static const struct rule_case cases[] = {
	CASE("C.5-13,F.1-5f,C.5-14", a_pasid_stays_while_it_is_attached),
	CASE("F.1-5f,C.5-14", a_pasid_that_is_not_freed_stays_its_owner_s),
	CASE("C.5-15", to_replace_holds_it_once),
	CASE("C.5-16", what_fails_holds_nothing),
	CASE("C.5-17", a_device_that_is_closed_gives_them_back),
	CASE("F.1-5f,C.5-14", a_file_that_is_closed_frees_what_is_not_attached),
	CASE("C.5-18", a_pasid_that_nobody_has_is_anybody_s),
	CASE("C.5-19", arguments_come_before_owners),
	CASE("C.5-20,G.4-4", a_pasid_of_a_bond_is_eacces),
	CASE("C.5-21", a_pasid_of_another_process_is_eacces),
};

int main(int argc, char **argv)
{
	return rules_main_devices(argc, argv, cases, ARRAY_SIZE(cases), NULL);
}
