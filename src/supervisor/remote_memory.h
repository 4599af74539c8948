/* SPDX-License-Identifier: BSD-3-Clause */
/* The file behind memory that another process shares, found and mapped here. */
#ifndef IOMMUSE_SUPERVISOR_REMOTE_MEMORY_H
#define IOMMUSE_SUPERVISOR_REMOTE_MEMORY_H

#include <sys/types.h>

struct hold;
struct hold_key;
struct holds;
struct vma;

/* Opens the file at a path of ours, for writing if that may be, if it is the one that is meant; else nothing happens to
 * it. Returns a descriptor that shares nothing, or -ENOENT, -ENFILE. */
int remote_memory_open(const char *path, dev_t dev, ino_t ino);

/* The same of the file that a process has mapped so, under that name in its list of mappings or "". */
int remote_memory_find(pid_t pid, const struct vma *vma, const char *name);

/*
 * Holds what the key says of the file that a process has mapped so, under that name in its list of mappings. known: a
 * descriptor of the file, which is consumed; -1: it is looked for. Returns 0, or -EOPNOTSUPP: it is not to be had,
 * -EFAULT, -ENOMEM, -ENFILE.
 */
int remote_memory_hold(struct holds *holds, pid_t pid, const struct vma *vma, const char *name, int known,
		       const struct hold_key *key, struct hold **hold);

#endif
