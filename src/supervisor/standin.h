/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stand-ins: the real file behind each descriptor that a client holds of ours. One inode for each open, so the inode
 * says which file is meant, and dup, fork, exec, SCM_RIGHTS and exit are the kernel's own business.
 */
#ifndef IOMMUSE_SUPERVISOR_STANDIN_H
#define IOMMUSE_SUPERVISOR_STANDIN_H

#include "supervisor/supervisor.h"

#include <sys/queue.h>

/* What file.descriptors says. Under the lock. */
enum {
	FILE_NEW,
	FILE_BEING_GIVEN, /* a device: whoever wants another descriptor of it waits for the first */
	FILE_GIVEN,       /* and perhaps closed since, or not to be had */
};

TAILQ_HEAD(suspects, standin);

struct standin {
	struct watch watch; /* of an event queue's pipe */
	struct standin *next_inode, *next_watch, *next_closed, *next_dropping;
	struct supervisor *supervisor; /* of who drops it */
	dev_t dev;
	ino_t ino;
	int own;             /* our only description of the file, or our end of the queue's pipe */
	int inotify;         /* watch descriptor, or -1 for an event queue */
	struct queue *queue; /* NULL: not an event queue */
	bool published;
	bool awaited;   /* by who asked for PASIDs, and not to be again */
	uint64_t taken; /* in the order in which they were taken */
	/* Where a description of it was closed, perhaps the last, the list of suspects that it is in. */
	struct suspects *suspect;
	TAILQ_ENTRY(standin) suspects;
	uint64_t suspected_ns;
	unsigned tests;
	int open_flags;
	pid_t opener;            /* the process that opened it */
	const char *name;        /* in the tree, or as a memfd: "dev/vfio/vfio", or "anon_inode:[...]" */
	unsigned directory;      /* where the file lies in the tree, from 1; 0: it is a memfd */
	struct file *file;       /* the descriptors' reference, once it is published */
	const struct node *node; /* NULL: the file has none */
};

/* tree: an unattached mount to make files in, owned from now on; -1: memfds serve. Returns 0, or -errno. */
int standins_new(struct supervisor *s, int tree, struct standins **table);

/*
 * Makes a stand-in for a file that was just opened with O_* flags, through node where it has one, and a descriptor of
 * it to give to the client, which the caller closes once given. Consumes a reference to the file when it succeeds.
 * Returns 0, or -errno: -ENFILE, -ENOMEM.
 */
int standin_open(struct call *call, const struct node *node, struct file *file, int flags, int *client_fd);

/*
 * The same in two steps. Nobody finds the file by a stand-in that is not published, and its close is nobody's. To
 * publish consumes the reference. given: the client has the descriptor already.
 */
int standin_make(struct call *call, const struct node *node, struct file *file, int flags, struct standin **out,
		 int *client_fd);
void standin_publish(struct supervisor *s, struct standin *e, bool given);
void standin_abandon(struct supervisor *s, struct standin *e);

/* Another descriptor for the client, opened with other flags; before it is published, and not of an event queue.
 * Returns it, or -errno. */
int standin_open_again(struct supervisor *s, struct standin *e, int flags);

/* Claims to give a file its first descriptor; false: another has. Who has makes a stand-in and publishes or abandons
 * it, or gives the claim back. Without the lock. */
bool standin_claim(struct supervisor *s, struct file *file);
void standin_unclaim(struct supervisor *s, struct file *file);

/* Another descriptor of a file that clients have, or are just given, opened as the others are: while it is open, the
 * file is not closed. Returns it with the stand-in, or -errno: -ENOENT: they have no more. Without the lock. */
int standin_open_another(struct supervisor *s, const struct file *file, struct standin **out);

/* A duplicate of our description of a file that clients have, or that this call is about to give to one. Returns it,
 * or -errno: -ENOENT: they have no more. Without the lock. */
int standin_open_own(struct call *call, const struct file *file);

/* The stand-in with this inode, or NULL. Under the lock. */
struct standin *standin_find(struct supervisor *s, const struct stat *st);

/* Is this a stand-in's inode? Without the lock. */
bool standin_has_inode(struct supervisor *s, dev_t dev, ino_t ino);

/* The stand-ins that the last drain found closed, off the table. Under the lock. */
struct standin *standins_take_closed(struct supervisor *s);

/* Drops what is left of stand-ins that were taken; devices may still be dropped when it returns. Without the lock: it
 * may take long. */
void standins_drop(struct supervisor *s, struct standin *list);

/*
 * Waits until other threads have dropped what a process has opened and closed (0: any process): a call that follows a
 * close finds everything free that the closed file held. For a while only, as the process can make that last. Without
 * the lock.
 */
void standins_settle(struct supervisor *s, pid_t opener);

/* The same for what anybody had closed by now, before PASIDs are given out that it may have used; for each a while
 * once, as it may last for ever. Without the lock. */
void standins_settle_pasids(struct supervisor *s);

/* Tests some of those that may have been closed by now. Under the lock. */
void standins_test_suspects(struct supervisor *s);

/* After how long standins_test_suspects() should be called again, in ms; -1: not without a new close. Under the lock.
 */
int standins_test_timeout(const struct supervisor *s);

#endif
