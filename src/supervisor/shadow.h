/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree that programs see although no mount shows it: it lies in a directory of ours, and calls that name a path in it
 * are answered from there. Descriptors of its files and directories are the kernel's own, so what is done to them is
 * native. A name is a path as programs see it; a place is where we find it.
 */
#ifndef IOMMUSE_SUPERVISOR_SHADOW_H
#define IOMMUSE_SUPERVISOR_SHADOW_H

#include "supervisor/supervisor.h"

#include <limits.h>

struct shadow;
struct tree;

#define SHADOW_PATH_MAX (2 * PATH_MAX)

/*
 * Makes the tree, which must outlive it, in a directory below $XDG_RUNTIME_DIR, /dev/shm, $TMPDIR or /tmp that
 * only this user reaches, and removes what killed supervisors have left there. umask must be 0. Returns 0 or -errno.
 */
int shadow_new(struct tree *tree, struct shadow **out);

/* Removes its files. Calls that are answered still may use it. shadow may be NULL. */
void shadow_remove(const struct shadow *shadow);

/* Where a program has a descriptor in the tree, its name is not its place: replaces one by the other. shadow may be
 * NULL. Returns whether it was one. */
bool shadow_name(const struct shadow *shadow, char *path);

struct shadow_target {
	int error;                   /* -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -ENAMETOOLONG */
	char name[SHADOW_PATH_MAX];  /* without links; empty: not found out */
	char place[SHADOW_PATH_MAX]; /* in the tree, or of the machine */
	bool machine;                /* of the machine */
};

/* Resolves a client's path. follow: the last word, too. Returns whether its target is not what the kernel would find.
 * shadow_path.c. */
bool shadow_find(struct call *call, int dirfd, const char *path, bool follow, struct shadow_target *target);

/* For shadow_path.c. */
const struct tree *shadow_tree(const struct shadow *shadow);
const char *shadow_root(const struct shadow *shadow);

/* Answers a call that names a path, or lets it go on. shadow_calls.c. */
int64_t shadow_call(struct call *call);

#endif
