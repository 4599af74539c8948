/* SPDX-License-Identifier: BSD-3-Clause */
/* The lock (flock) of an image. */
#ifndef IOMMUSE_DEVICES_NVME_LOCK_H
#define IOMMUSE_DEVICES_NVME_LOCK_H

#include <sys/types.h>

/*
 * Locks a file, with LOCK_SH or LOCK_EX of <sys/file.h>. Waits for who has it and was killed, as the kernel ends what
 * it had under way first. Returns 0, also where the file system has no locks; or -EBUSY, with who has it; 0: not known.
 */
int image_lock(int fd, int kind, pid_t *owner);

#endif
