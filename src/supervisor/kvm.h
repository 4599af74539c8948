/* SPDX-License-Identifier: BSD-3-Clause */
/* KVM is told of VFIO's groups and devices, and knows its own kernel's only. */
#ifndef IOMMUSE_SUPERVISOR_KVM_H
#define IOMMUSE_SUPERVISOR_KVM_H

#include "supervisor/calls.h"

/* KVM_SET_DEVICE_ATTR on a descriptor that is not ours. */
call_handler kvm_set_device_attr;

#endif
