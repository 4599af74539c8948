/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts a tree among the machine's directories, by mounts: for a process with a mount namespace of its own. */
#ifndef IOMMUSE_SUPERVISOR_GRAFT_H
#define IOMMUSE_SUPERVISOR_GRAFT_H

#include <stdbool.h>

struct tree_entry;

/* Makes an empty entry to bind on. Returns 0 or -errno. */
int graft_make(int dir, const char *name, bool folder);

/* Binds an entry of a directory, with what is mounted in it, on one of another. Returns 0 or -errno. */
int graft_bind(int from_dir, const char *from, int to_dir, const char *to);

/* Makes an entry of the directory old appear in new. What cannot be shown is left out, as what is not there. */
void graft_entry(int old, int new, const char *name);

/*
 * Makes a directory of a tree appear at path, where the machine has one. A directory that lacks an entry of the tree's
 * is covered by a tmpfs, in which everything is bound that was there. Returns 0 or -errno.
 */
int graft_tree(const struct tree_entry *dir, const char *path);

#endif
