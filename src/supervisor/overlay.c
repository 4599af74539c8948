/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tmpfs is mounted on /dev, and each entry of the old /dev appears in it again: links as they were,
 * everything else bound. Two entries are special. /dev/ptmx looks for "pts" beside itself in the mount that it is
 * reached by, so it is a link into a bind of the whole old /dev. And the place of a node of ours is a bind of the old
 * /dev/null, so that it is a character device to whoever looks at it; opening it is trapped. The id of that mount says
 * later which node a descriptor means that was opened past us.
 */
#include "supervisor/overlay.h"

#include "supervisor/graft.h"
#include "supervisor/tree.h"
#include "system/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#define OLD_DEV ".host" /* the old /dev, in the new one */

struct place {
	const struct node *node;
	uint64_t mount;
};

struct overlay {
	bool traps;
	bool user_namespace;
	int tree;
	dev_t null; /* what lies in a node's place */
	struct place *places;
	unsigned place_count;
};

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static bool has_sys_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	return syscall(__NR_capget, &header, data) == 0 &&
	       data[CAP_SYS_ADMIN / 32].effective & 1U << (CAP_SYS_ADMIN % 32);
}

/* Becomes the owner of a mount namespace: as it stands where it may, in a user namespace where it may not. */
static int enter_namespaces(bool *user_namespace, const char **step)
{
	unsigned uid = geteuid();
	unsigned gid = getegid();
	char map[64];
	int err;

	*user_namespace = !has_sys_admin();
	*step = *user_namespace ? "making a user and mount namespace" : "making a mount namespace";
	if (unshare(CLONE_NEWNS | (*user_namespace ? CLONE_NEWUSER : 0)) < 0)
		return -errno;
	if (*user_namespace) {
		*step = "mapping the user into the namespace";
		err = write_file("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "%u %u 1", uid, uid);
		if (!err || err == -ENOENT)
			err = write_file("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "%u %u 1", gid, gid);
		if (!err)
			err = write_file("/proc/self/gid_map", map);
		if (err)
			return err;
	}
	*step = "keeping mounts from spreading";
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ? -errno : 0;
}

/* The first word of a node's path below /dev: "vfio" of "/dev/vfio/vfio". */
static bool is_ours(const struct node *nodes, const char *name)
{
	size_t length = strlen(name);

	for (; nodes->path; nodes++) {
		const char *below = nodes->path + strlen("/dev/");

		if (!strncmp(below, name, length) && (!below[length] || below[length] == '/'))
			return true;
	}
	return false;
}

static int make_folders(int new, const char *below)
{
	char folder[64];

	for (const char *slash = strchr(below, '/'); slash; slash = strchr(slash + 1, '/')) {
		int err;

		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - below), below);
		err = graft_make(new, folder, true);
		if (err && err != -EEXIST)
			return err;
	}
	return 0;
}

static int place_node(struct overlay *o, int old, int new, const struct node *node)
{
	const char *below = node->path + strlen("/dev/");
	struct statx x;
	int err = make_folders(new, below);

	if (!err)
		err = graft_make(new, below, false);
	if (!err)
		err = graft_bind(old, "null", new, below);
	if (err)
		return err;
	if (statx(new, below, 0, STATX_MNT_ID | STATX_BASIC_STATS, &x) < 0)
		return -errno;
	o->null = makedev(x.stx_rdev_major, x.stx_rdev_minor);
	o->places[o->place_count++] = (struct place){node, x.stx_mnt_id};
	return 0;
}

static int place_nodes(struct overlay *o, int old, int new, const struct node *nodes)
{
	size_t count = 0;
	int err = 0;

	while (nodes[count].path)
		count++;
	o->places = calloc(count + 1, sizeof(*o->places));
	if (!o->places)
		return -ENOMEM;
	for (size_t i = 0; i < count && !err; i++)
		err = place_node(o, old, new, &nodes[i]);
	return err;
}

/* Lays a tmpfs over /dev with the whole old /dev, and what is mounted in it, in its folder OLD_DEV. */
static int cover_dev(void)
{
	int tree = (int)syscall(__NR_open_tree, AT_FDCWD, "/dev", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	int err = 0;

	if (tree < 0)
		return -errno;
	if (mount("iommuse", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755") < 0 ||
	    mkdir("/dev/" OLD_DEV, 0755) < 0 ||
	    syscall(__NR_move_mount, tree, "", AT_FDCWD, "/dev/" OLD_DEV, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		err = -errno;
	close(tree);
	return err;
}

static int graft_dev(struct overlay *o, const struct node *nodes)
{
	struct dirent *entry;
	DIR *old;
	int new, err;

	err = cover_dev();
	if (err)
		return err;
	new = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (new < 0)
		return -errno;
	old = opendir("/dev/" OLD_DEV);
	if (!old) {
		err = -errno;
		goto out_close;
	}
	while ((entry = readdir(old))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || is_ours(nodes, entry->d_name))
			continue;
		if (!strcmp(entry->d_name, "ptmx"))
			(void)!symlinkat(OLD_DEV "/ptmx", new, entry->d_name);
		else
			graft_entry(dirfd(old), new, entry->d_name);
	}
	err = place_nodes(o, dirfd(old), new, nodes);
	closedir(old);
out_close:
	close(new);
	return err;
}

static void fill(int tree)
{
	int fd = openat(tree, "full", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)!write(fd, "", 1);
	close(fd);
}

/* A tmpfs that is attached nowhere, for stand-ins. Its only page is taken, so that no client can write into them. */
static int make_tree(void)
{
	int fs = (int)syscall(__NR_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int tree = -1;

	if (fs < 0)
		return -errno;
	if (syscall(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "size", "4k", 0) == 0 &&
	    syscall(__NR_fsconfig, fs, FSCONFIG_SET_STRING, "nr_inodes", "4000000", 0) == 0 &&
	    syscall(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		tree = (int)syscall(__NR_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (tree < 0)
		tree = -errno;
	else
		fill(tree);
	close(fs);
	return tree;
}

static int set_up_namespace(struct overlay *o, const struct node *nodes, struct tree *tree, const char **step)
{
	int err = enter_namespaces(&o->user_namespace, step);

	if (err)
		return err;
	*step = "covering /dev";
	err = graft_dev(o, nodes);
	if (err)
		return err;
	*step = "covering /sys";
	err = tree ? graft_tree(tree_dir(tree, "/sys"), "/sys") : 0;
	if (err && err != -ENOENT) /* where there is no /sys, nobody looks there */
		return err;
	/* A kernel without fsmount (before Linux 5.2) serves with memfds. */
	o->tree = make_tree();
	if (o->tree < 0)
		o->tree = -1;
	return 0;
}

int overlay_try_namespace(void)
{
	bool user_namespace;
	const char *step;
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child)
		_exit(-enter_namespaces(&user_namespace, &step));
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int overlay_new(enum overlay_mode mode, const struct node *nodes, struct tree *tree, struct overlay **overlay,
		const char **step)
{
	struct overlay *o = calloc(1, sizeof(*o));
	int err = 0;

	*step = "allocating memory";
	if (!o)
		return -ENOMEM;
	o->tree = -1;
	/* Half a namespace cannot be left again, so a child tries first. */
	if (mode == OVERLAY_TRAP || (mode == OVERLAY_AUTO && overlay_try_namespace()))
		o->traps = true;
	else
		err = set_up_namespace(o, nodes, tree, step);
	if (err) {
		free(o->places);
		free(o);
		return err;
	}
	*overlay = o;
	return 0;
}

void overlay_free(struct overlay *overlay)
{
	if (overlay->tree >= 0)
		close(overlay->tree);
	free(overlay->places);
	free(overlay);
}

bool overlay_traps(const struct overlay *overlay)
{
	return overlay->traps;
}

bool overlay_has_user_namespace(const struct overlay *overlay)
{
	return overlay->user_namespace;
}

int overlay_take_tree(struct overlay *overlay)
{
	int tree = overlay->tree;

	overlay->tree = -1;
	return tree;
}

/* "flags" (octal) and "mnt_id" (decimal) of /proc/TID/fdinfo/FD. */
static int read_fdinfo(pid_t tid, int fd, int *flags, uint64_t *mount)
{
	char path[64];
	char line[128];
	FILE *info;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)tid, fd);
	info = fopen(path, "re");
	if (!info)
		return -ENOENT;
	while (fgets(line, sizeof(line), info)) {
		if (!strncmp(line, "flags:", 6)) {
			*flags = (int)strtol(line + 6, NULL, 8);
			found |= 1;
		} else if (!strncmp(line, "mnt_id:", 7)) {
			*mount = strtoull(line + 7, NULL, 10);
			found |= 2;
		}
	}
	fclose(info);
	return found == 3 ? 0 : -ENOENT;
}

int overlay_placeholder(const struct overlay *overlay, pid_t tid, int fd, const struct stat *st,
			const struct node **node, int *flags)
{
	uint64_t mount;

	if (!overlay->place_count || !S_ISCHR(st->st_mode) || st->st_rdev != overlay->null ||
	    read_fdinfo(tid, fd, flags, &mount) || *flags & O_PATH)
		return -ENOENT;
	for (unsigned i = 0; i < overlay->place_count; i++) {
		if (overlay->places[i].mount == mount) {
			*node = overlay->places[i].node;
			return 0;
		}
	}
	return -ENOENT;
}
