/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tree of directories, files and links that programs shall see in place of the machine's own, or among them. It is
 * only a description: tree_lay() makes it real in a directory.
 */
#ifndef IOMMUSE_SUPERVISOR_TREE_H
#define IOMMUSE_SUPERVISOR_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum tree_kind {
	TREE_DIR,
	TREE_FILE,
	TREE_LINK,
};

struct tree_entry {
	struct tree_entry *parent, *next;
	struct tree_entry *first; /* what is in a directory */
	enum tree_kind kind;
	bool whole;    /* a directory: of the machine's, nothing is in it */
	bool merged;   /* a directory that the machine has, too, and ... */
	bool real;     /* ... whose listing is right as it is there: see tree_compare() */
	mode_t mode;   /* a file's */
	char *content; /* a file's bytes, NULL: all are 0; what a link says */
	size_t size;
	char name[];
};

/* Of what is added, an allocation that fails is kept in error: -ENOMEM. Later calls do nothing then. */
struct tree {
	struct tree_entry *root;
	int error;
};

void tree_init(struct tree *tree);
void tree_fini(struct tree *tree);

/*
 * Add something; what is there already stays as it is. tree_dir() takes an absolute path and makes what is missing of
 * it, into which the machine's entries are merged.
 */
struct tree_entry *tree_dir(struct tree *tree, const char *path);
void tree_file(struct tree *tree, struct tree_entry *dir, const char *name, mode_t mode, const void *content,
	       size_t size);
void tree_text(struct tree *tree, struct tree_entry *dir, const char *name, mode_t mode, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* to: an absolute path; the link says it relative to dir, as links in sysfs do. */
void tree_link(struct tree *tree, struct tree_entry *dir, const char *name, const char *to);

/* An entry of a directory by its name, which has that length; NULL: none. */
struct tree_entry *tree_child(const struct tree_entry *dir, const char *name, size_t length);

/* The absolute path of an entry. Returns its length, or -ENAMETOOLONG. */
int tree_path(const struct tree_entry *entry, char *path, size_t size);

/* Shows an entry of the machine's directory old in the directory new. */
typedef void tree_show(int old, int new, const char *name);

/* Makes a symbolic link of the directory old again in new; where that cannot be, there is none. */
void tree_copy_link(int old, int new, const char *name);

/*
 * Fills the directory behind the descriptor new with what a directory of the tree has, and, by show, with what the
 * machine's directory behind old has besides, unless the listing of that is right (real); old -1: nothing. umask must
 * be 0. Returns 0 or -errno.
 */
int tree_lay(const struct tree_entry *dir, int new, int old, tree_show *show);

/* Finds out, for each directory, whether the machine's, behind old, is there and has all its entries as what they are.
 */
void tree_compare(struct tree_entry *dir, int old);

#endif
