/* SPDX-License-Identifier: BSD-3-Clause */
#include "set_ups.h"

#include <stddef.h>

#define SET_UP(name, ...)                                                                                              \
	void name(struct world *w)                                                                                     \
	{                                                                                                              \
		set_up *const steps[] = {__VA_ARGS__};                                                                 \
                                                                                                                       \
		for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)                                            \
			steps[i](w);                                                                                   \
	}

void nothing(struct world *w)
{
	(void)w;
}

SET_UP(plain, with_ioas)
SET_UP(mapped, with_ioas, with_map)
SET_UP(file_mapped, with_ioas, with_map_file)
SET_UP(device, with_ioas, with_device)
SET_UP(device_mapped, with_ioas, with_map, with_map_file, with_device)
SET_UP(table, with_ioas, with_map, with_device, with_parent)
SET_UP(to_track, with_ioas, with_map, with_device, with_to_track)
SET_UP(pasid_table, with_ioas, with_map, with_device, with_pasid_hwpt)
SET_UP(pasid_attached, with_ioas, with_map, with_device, with_other_hwpt, with_pasid_hwpt, with_pasid)
SET_UP(virtual, with_ioas, with_map, with_device, with_parent, with_viommu)
SET_UP(virtual_device, with_ioas, with_map, with_device, with_parent, with_viommu, with_vdevice)
SET_UP(virtual_faults, with_ioas, with_map, with_device, with_fault_queue, with_parent, with_viommu, with_vdevice)
SET_UP(queued, with_ioas, with_map, with_device, with_parent, with_viommu, with_hw_queue)
SET_UP(nested_loose, with_ioas, with_map, with_device, with_parent, with_viommu, with_vdevice, with_loose_nested)
SET_UP(nested, with_ioas, with_map, with_device, with_parent, with_viommu, with_vdevice, with_nested)
SET_UP(events, with_ioas, with_device, with_parent, with_viommu, with_vdevice, with_nested, with_veventq)
SET_UP(events_waiting, with_ioas, with_device, with_parent, with_viommu, with_vdevice, with_nested, with_veventq,
       with_event)
SET_UP(faults, with_ioas, with_map, with_device, with_fault_queue, with_fault_hwpt)
SET_UP(faults_waiting, with_ioas, with_map, with_device, with_fault_queue, with_fault_hwpt, with_fault)
SET_UP(faults_read, with_ioas, with_map, with_device, with_fault_queue, with_fault_hwpt, with_fault, with_fault_read)
SET_UP(tracking, with_ioas, with_map, with_device, with_tracking)
SET_UP(tracking_dirty, with_ioas, with_map, with_device, with_tracking, with_dirt)
SET_UP(accessing, with_ioas, with_map, with_access)
SET_UP(accessing_file, with_ioas, with_map_file, with_access)
SET_UP(pinned, with_ioas, with_map, with_access, with_pin)
SET_UP(pinned_other, with_ioas, with_other_ioas, with_map, with_access, with_pin)
SET_UP(compat, with_ioas, with_device, with_compat)
SET_UP(compat_v1, with_ioas, with_compat, with_version_1, with_device)
SET_UP(buffer, with_ioas, with_device, with_dmabuf)
SET_UP(buffer_mapped, with_ioas, with_device, with_dmabuf, with_dmabuf_map)
SET_UP(two_spaces, with_ioas, with_other_ioas, with_map, with_map_file, with_device)
SET_UP(from_other, with_ioas, with_other_ioas, with_device, with_other_map)
SET_UP(spaces_shared, with_ioas, with_other_ioas, with_map, with_device, with_other_copy)
SET_UP(virtual_mapped, with_ioas, with_map, with_device, with_parent, with_viommu, with_region_mapped)
SET_UP(group, with_ioas, with_group)
SET_UP(group_contained, with_ioas, with_group, with_container)
SET_UP(group_opened, with_ioas, with_map, with_group, with_container, with_group_device, with_eventfd)
SET_UP(registers_mapped, with_group, with_container, with_group_device, with_registers)
SET_UP(cdev, with_ioas, with_map, with_cdev)
SET_UP(cdev_bound, with_ioas, with_map, with_cdev, with_cdev_bound)
SET_UP(cdev_attached, with_ioas, with_map, with_cdev, with_cdev_bound, with_cdev_attached)
SET_UP(pasids, with_pasids)
SET_UP(sharing_group, with_ioas, with_sharing_group)
SET_UP(sharing, with_ioas, with_sharing_group, with_sharing_container, with_sharing_device)
SET_UP(sharing_closed, with_ioas, with_sharing_group, with_sharing_container, with_bond)
SET_UP(sharing_bound, with_ioas, with_sharing_group, with_sharing_container, with_sharing_device, with_bond)
