/* SPDX-License-Identifier: BSD-3-Clause */
/* What a case begins with: steps of world.h, one after the other. */
#ifndef IOMMUSE_TESTS_SET_UPS_H
#define IOMMUSE_TESTS_SET_UPS_H

#include "world.h"

typedef void set_up(struct world *w);

extern set_up nothing, virtual_mapped, plain, mapped, file_mapped, device, device_mapped, table, to_track, pasid_table,
	pasid_attached, virtual, virtual_device, virtual_faults, queued, nested_loose, nested, events, events_waiting,
	faults, faults_waiting, faults_read, tracking, tracking_dirty, accessing, accessing_file, pinned, pinned_other,
	compat, compat_v1, buffer, buffer_mapped, two_spaces, from_other, spaces_shared, group, group_contained,
	group_opened, registers_mapped, cdev, cdev_bound, cdev_attached, pasids, sharing_group, sharing, sharing_closed,
	sharing_bound;

#endif
