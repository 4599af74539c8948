/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtual machine monitor tells KVM which groups and devices its guest has, and takes it for an error where KVM does
 * not know one. What KVM does with it (coherency of caches, and who may see the machine) means nothing for a device
 * that is software: so the answer is that all is well.
 */
#include "supervisor/kvm.h"

#include "client/file.h"
#include "supervisor/remote_files.h"
#include "vfio/device_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>

/* Other devices of KVM number their attributes as they like. */
static bool is_vfio_device(const struct call *call)
{
	char path[64], link[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, (int)call->n.args[0]);
	n = readlink(path, link, sizeof(link) - 1);
	if (n <= 0)
		return false;
	link[n] = '\0';
	return !strcmp(link, "anon_inode:kvm-vfio");
}

static bool is_ours(struct call *call, int fd)
{
	struct file *file;
	bool ours;

	if (remote_file(&call->client, fd, &file))
		return false;
	ours = file->ops == &group_file_ops || file->ops == &device_file_ops;
	file_put(file);
	return ours;
}

int64_t kvm_set_device_attr(struct call *call)
{
	struct kvm_device_attr attr;
	int32_t fd;

	if (client_copy_in(&call->client, &attr, uaddr(call->n.args[2]), sizeof(attr)) || attr.flags ||
	    attr.group != KVM_DEV_VFIO_GROUP ||
	    (attr.attr != KVM_DEV_VFIO_GROUP_ADD && attr.attr != KVM_DEV_VFIO_GROUP_DEL) || !is_vfio_device(call) ||
	    client_copy_in(&call->client, &fd, uaddr(attr.addr), sizeof(fd)) || !is_ours(call, fd))
		return CALL_CONTINUE;
	return 0;
}
