/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What programs see below /dev: our nodes among the machine's own. With namespaces, a mount namespace holds a /dev in
 * which everything of the machine's is bound, and a place for each node of ours, and a tree that is there besides;
 * without, there is nothing to see, and who asks is trapped.
 */
#ifndef IOMMUSE_SUPERVISOR_OVERLAY_H
#define IOMMUSE_SUPERVISOR_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct node;
struct overlay;
struct tree;

enum overlay_mode {
	OVERLAY_AUTO,
	OVERLAY_NAMESPACE,
	OVERLAY_TRAP,
};

/*
 * Sets up the overlay for this process and those that it starts from now on; the process must have one thread. tree may
 * be NULL. Returns 0, or -errno with *step naming what was refused. With OVERLAY_AUTO it falls back to traps.
 */
int overlay_new(enum overlay_mode mode, const struct node *nodes, struct tree *tree, struct overlay **overlay,
		const char **step);
void overlay_free(struct overlay *overlay);

bool overlay_traps(const struct overlay *overlay);
bool overlay_has_user_namespace(const struct overlay *overlay);

/* An unattached mount for stand-ins, which the caller owns from now on; -1: there is none. */
int overlay_take_tree(struct overlay *overlay);

/*
 * Is this descriptor of a thread's the place of a node, opened natively? st is its fstat. Returns 0 with the node and
 * the O_* flags it was opened with, or -ENOENT.
 */
int overlay_placeholder(const struct overlay *overlay, pid_t tid, int fd, const struct stat *st,
			const struct node **node, int *flags);

/* May this process make a user and mount namespace? 0, or -errno. Tries it in a child. */
int overlay_try_namespace(void);

#endif
