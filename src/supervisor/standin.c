/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When is a stand-in closed? The kernel tells of every close by inotify, but that is a hint: the client may have opened
 * its descriptor again, and equal events merge. Certain is a write lease, which the kernel grants only where no other
 * description of the inode exists, be it a descriptor, a duplicate, one in flight in a message, or a mapping. So on a
 * hint we take a lease on our own description and drop it again. This needs our description to be counted as an open
 * file is, which the one that memfd_create returns is not: it is opened a second time and the first is closed.
 *
 * The hint comes early: the kernel tells of a close before it takes the file off the counts that a lease looks at. So a
 * stand-in whose lease is refused stays suspect. For FRESH_MS it is tested with each call that comes in, as a program
 * that closes and then calls shall find it closed, and after that some more times.
 *
 * An event queue is a socket pair, as it needs a poll that waits. Its last close hangs up our end.
 *
 * The description that a client gets stands at the highest offset there is, so that read and write of even one byte
 * fail with EINVAL, as on a character device that has neither.
 */
#include "supervisor/standin.h"

#include "client/file.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/mount.h>

#define BUCKETS       256U
#define MAX_OFFSET    INT64_MAX
#define FRESH_MS      20
#define STALE_MS      100
#define TESTS_MAX     16 /* of one that is not fresh any more: then it is open, and its next close brings a hint */
#define TESTS_AT_ONCE 64
#define RESERVED_FDS  256 /* that clients cannot make us use up by opening files */

struct standins {
	struct watch watch; /* of inotify */
	int inotify;
	int tree;
	_Atomic unsigned next_directory;
	struct standin *by_inode[BUCKETS];
	struct standin *by_watch[BUCKETS];
	struct suspects fresh, stale;
	uint64_t stale_test_ns; /* when stale ones are tested next */
	struct standin *closed;
	struct standin *_Atomic dropping; /* taken, not dropped yet; changed under the lock */
	pthread_cond_t dropped;
};

static void inotify_ready(struct supervisor *s, struct watch *watch);
static void queue_hung_up(struct supervisor *s, struct watch *watch);

static dev_t memfd_device(void)
{
	int fd = memfd_create("", MFD_CLOEXEC);
	struct stat st = {0};

	if (fd >= 0) {
		(void)fstat(fd, &st);
		close(fd);
	}
	return st.st_dev;
}

int standins_new(struct supervisor *s, int tree, struct standins **table)
{
	struct standins *t = calloc(1, sizeof(*t));
	struct epoll_event event = {.events = EPOLLIN};
	int err;

	if (!t)
		return -ENOMEM;
	t->tree = tree;
	pthread_cond_init(&t->dropped, NULL);
	TAILQ_INIT(&t->fresh);
	TAILQ_INIT(&t->stale);
	t->watch.ready = inotify_ready;
	t->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (t->inotify < 0) {
		err = -errno;
		goto out_free;
	}
	event.data.ptr = &t->watch;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, t->inotify, &event) < 0) {
		err = -errno;
		goto out_close_inotify;
	}
	s->memfd_dev = memfd_device();
	*table = t;
	return 0;

out_close_inotify:
	close(t->inotify);
out_free:
	free(t);
	return err;
}

static struct standin **inode_bucket(struct standins *t, ino_t ino)
{
	return &t->by_inode[ino % BUCKETS];
}

static struct standin **watch_bucket(struct standins *t, int wd)
{
	return &t->by_watch[(unsigned)wd % BUCKETS];
}

struct standin *standin_find(struct supervisor *s, const struct stat *st)
{
	for (struct standin *e = *inode_bucket(s->standins, st->st_ino); e; e = e->next_inode)
		if (e->ino == st->st_ino && e->dev == st->st_dev)
			return e;
	return NULL;
}

static struct standin *find_watch(struct standins *t, int wd)
{
	for (struct standin *e = *watch_bucket(t, wd); e; e = e->next_watch)
		if (e->inotify == wd)
			return e;
	return NULL;
}

static void publish(struct supervisor *s, struct standin *e)
{
	struct standins *t = s->standins;
	struct standin **head;

	supervisor_lock(s);
	head = inode_bucket(t, e->ino);
	e->next_inode = *head;
	*head = e;
	if (e->inotify >= 0) {
		head = watch_bucket(t, e->inotify);
		e->next_watch = *head;
		*head = e;
	}
	supervisor_unlock(s);
}

/* The last descriptor has gone. Under the lock. */
static void retire(struct supervisor *s, struct standin *e)
{
	struct standins *t = s->standins;
	struct standin **p;

	for (p = inode_bucket(t, e->ino); *p != e; p = &(*p)->next_inode)
		;
	*p = e->next_inode;
	if (e->inotify >= 0) {
		for (p = watch_bucket(t, e->inotify); *p != e; p = &(*p)->next_watch)
			;
		*p = e->next_watch;
	} else {
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, e->own, NULL);
	}
	e->next_closed = t->closed;
	t->closed = e;
	system_closed(s->system, file_get(e->file));
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void suspect(struct standins *t, struct standin *e)
{
	if (e->suspect)
		TAILQ_REMOVE(e->suspect, e, suspects);
	e->suspect = &t->fresh;
	e->suspected_ns = now_ns();
	e->tests = 0;
	TAILQ_INSERT_TAIL(e->suspect, e, suspects);
}

static void suspect_all(struct standins *t)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct standin *e = t->by_inode[i]; e; e = e->next_inode)
			if (e->node)
				suspect(t, e);
}

static bool is_closed(const struct standin *e)
{
	int rc = fcntl(e->own, F_SETLEASE, F_WRLCK);

	/* Without CAP_LEASE the file must be ours, and a client may have given it away. */
	if (rc < 0 && errno == EACCES && fchown(e->own, geteuid(), (gid_t)-1) == 0)
		rc = fcntl(e->own, F_SETLEASE, F_WRLCK);
	if (rc < 0)
		return false;
	fcntl(e->own, F_SETLEASE, F_UNLCK);
	return true;
}

/* Those that were not closed go to the end of a list: still fresh, not any more, or believed to be open. */
static void test_some(struct supervisor *s, struct suspects *list)
{
	struct standins *t = s->standins;
	struct standin *last = TAILQ_LAST(list, suspects);
	uint64_t now = now_ns();

	for (int i = 0; i < TESTS_AT_ONCE && !TAILQ_EMPTY(list); i++) {
		struct standin *e = TAILQ_FIRST(list);

		TAILQ_REMOVE(list, e, suspects);
		e->suspect = NULL;
		if (is_closed(e)) {
			retire(s, e);
		} else if (now - e->suspected_ns < FRESH_MS * UINT64_C(1000000)) {
			e->suspect = &t->fresh;
		} else if (e->tests++ < TESTS_MAX) {
			e->suspect = &t->stale;
		}
		if (e->suspect)
			TAILQ_INSERT_TAIL(e->suspect, e, suspects);
		if (e == last)
			break;
	}
}

void standins_test_suspects(struct supervisor *s)
{
	struct standins *t = s->standins;
	uint64_t now;

	if (!TAILQ_EMPTY(&t->fresh))
		test_some(s, &t->fresh);
	if (TAILQ_EMPTY(&t->stale))
		return;
	now = now_ns();
	if (now < t->stale_test_ns)
		return;
	t->stale_test_ns = now + STALE_MS * UINT64_C(1000000);
	test_some(s, &t->stale);
}

int standins_test_timeout(const struct supervisor *s)
{
	if (!TAILQ_EMPTY(&s->standins->fresh))
		return FRESH_MS / 2;
	return TAILQ_EMPTY(&s->standins->stale) ? -1 : STALE_MS;
}

static void inotify_ready(struct supervisor *s, struct watch *watch)
{
	struct standins *t = s->standins;
	char buf[4096] __attribute__((aligned(8)));
	ssize_t n;

	(void)watch;
	while ((n = read(t->inotify, buf, sizeof(buf))) > 0) {
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *event = (const struct inotify_event *)p;
			struct standin *e = find_watch(t, event->wd);

			if (event->mask & IN_Q_OVERFLOW)
				suspect_all(t);
			else if (e && event->mask & IN_CLOSE)
				suspect(t, e);
			p += sizeof(*event) + event->len;
		}
	}
}

/* Nothing else is watched for: what a client sends past us stays in the socket. */
static void queue_hung_up(struct supervisor *s, struct watch *watch)
{
	retire(s, (struct standin *)watch);
}

struct standin *standins_take_closed(struct supervisor *s)
{
	struct standins *t = s->standins;
	struct standin *list = t->closed;

	t->closed = NULL;
	for (struct standin *e = list; e; e = e->next_closed) {
		e->next_dropping = t->dropping;
		t->dropping = e;
	}
	return list;
}

/* "<directory>/dev/vfio/vfio" with every folder of it made, or removed again. Returns 0, or -errno. */
static int make_folders(int tree, unsigned directory, const char *path, char *name, size_t size)
{
	snprintf(name, size, "%u%s", directory, path);
	for (char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		int made;

		*slash = '\0';
		made = mkdirat(tree, name, 0755);
		*slash = '/';
		if (made < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static void remove_folders(int tree, unsigned directory, const char *path)
{
	char name[128];

	snprintf(name, sizeof(name), "%u%s", directory, path);
	unlinkat(tree, name, 0);
	for (char *slash = strrchr(name, '/'); slash; slash = strrchr(name, '/')) {
		*slash = '\0';
		unlinkat(tree, name, AT_REMOVEDIR);
	}
}

/* The flags of an open that stay with the description. */
static int status_flags(int flags)
{
	return (flags & (O_ACCMODE | O_NONBLOCK)) | O_CLOEXEC | O_NOCTTY;
}

/* A file in the tree: the client's description of it shows the node's own path in /proc. */
static int open_in_tree(struct standins *t, struct standin *e, int *client_fd)
{
	char name[128];
	char folder[16];
	int err, root;

	e->directory = atomic_fetch_add(&t->next_directory, 1) + 1;
	err = make_folders(t->tree, e->directory, e->node->path, name, sizeof(name));
	if (err)
		goto out_remove;
	e->own = openat(t->tree, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (e->own < 0) {
		err = -errno;
		goto out_remove;
	}
	snprintf(folder, sizeof(folder), "%u", e->directory);
	root = (int)syscall(__NR_open_tree, t->tree, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (root < 0) {
		err = -errno;
		goto out_close;
	}
	*client_fd = openat(root, e->node->path + 1, status_flags(e->open_flags));
	err = *client_fd < 0 ? -errno : 0;
	close(root);
	if (err)
		goto out_close;
	return 0;

out_close:
	close(e->own);
out_remove:
	remove_folders(t->tree, e->directory, e->node->path);
	return err;
}

static int open_memfd(struct standin *e, int *client_fd)
{
	char path[64];
	int first = memfd_create(e->node->path, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (first < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", first);
	e->own = open(path, O_RDWR | O_CLOEXEC);
	*client_fd = e->own < 0 ? -1 : open(path, status_flags(e->open_flags));
	err = *client_fd < 0 ? -errno : 0;
	(void)fcntl(first, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL); /* empty for ever */
	close(first);
	if (err && e->own >= 0)
		close(e->own);
	return err;
}

static int add_watch(struct standins *t, struct standin *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", e->own);
	e->inotify = inotify_add_watch(t->inotify, path, IN_CLOSE);
	return e->inotify < 0 ? -errno : 0;
}

static void discard(struct standins *t, struct standin *e)
{
	close(e->own);
	if (e->node && t->tree >= 0)
		remove_folders(t->tree, e->directory, e->node->path);
	free(e);
}

/* What the client cannot be blamed for is our own shortage: to the client, that of the system. */
static int own_shortage(int err)
{
	return err == -EMFILE || err == -ENOSPC ? -ENFILE : err;
}

/* Descriptors are given out lowest first, so the number says how many there are. */
static bool has_room(const struct supervisor *s, int fd)
{
	return s->fd_limit > 2 * RESERVED_FDS ? fd < s->fd_limit - RESERVED_FDS : true;
}

int standin_open(struct call *call, const struct node *node, struct file *file, int flags, int *client_fd)
{
	struct supervisor *s = call->supervisor;
	struct standins *t = s->standins;
	struct standin *e = calloc(1, sizeof(*e));
	struct stat st = {0};
	int err;

	if (!e)
		return -ENOMEM;
	e->node = node;
	e->file = file;
	e->open_flags = flags;
	e->opener = call->client.pid;
	err = t->tree >= 0 ? open_in_tree(t, e, client_fd) : open_memfd(e, client_fd);
	if (err) {
		free(e);
		return own_shortage(err);
	}
	if (!has_room(s, e->own)) {
		close(*client_fd);
		discard(t, e);
		return -ENFILE;
	}
	err = add_watch(t, e);
	/* Mode 0 keeps ordinary clients from opening the inode a second time behind our back. */
	if (!err && (fchmod(e->own, 0) < 0 || fstat(e->own, &st) < 0 || lseek(*client_fd, MAX_OFFSET, SEEK_SET) < 0))
		err = -errno;
	if (err) {
		close(*client_fd);
		discard(t, e);
		return own_shortage(err);
	}
	e->dev = st.st_dev;
	e->ino = st.st_ino;
	publish(s, e);
	return 0;
}

int standin_open_queue(struct call *call, struct file *file, int *client_fd)
{
	struct supervisor *s = call->supervisor;
	struct standin *e = calloc(1, sizeof(*e));
	struct epoll_event event = {0}; /* of hanging up it tells unasked */
	struct stat st = {0};
	int pair[2];

	if (!e)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		free(e);
		return own_shortage(-errno);
	}
	e->file = file;
	e->inotify = -1;
	e->open_flags = O_RDWR;
	e->opener = call->client.pid;
	e->own = pair[0];
	if (!has_room(s, e->own)) {
		close(pair[1]);
		discard(s->standins, e);
		return -ENFILE;
	}
	e->watch.ready = queue_hung_up;
	event.data.ptr = &e->watch;
	if (fstat(pair[1], &st) < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, e->own, &event) < 0) {
		int err = -errno;

		close(pair[1]);
		discard(s->standins, e);
		return own_shortage(err);
	}
	e->dev = st.st_dev;
	e->ino = st.st_ino;
	publish(s, e);
	*client_fd = pair[1];
	return 0;
}

static void dropped(struct supervisor *s, struct standin *e)
{
	struct standins *t = s->standins;
	struct standin *first;

	supervisor_lock(s);
	first = t->dropping;
	if (first == e) {
		t->dropping = e->next_dropping;
	} else {
		while (first->next_dropping != e)
			first = first->next_dropping;
		first->next_dropping = e->next_dropping;
	}
	pthread_cond_broadcast(&t->dropped);
	supervisor_unlock(s);
}

void standins_drop(struct supervisor *s, struct standin *list)
{
	while (list) {
		struct standin *e = list;

		list = e->next_closed;
		file_put(e->file);
		dropped(s, e);
		discard(s->standins, e);
	}
}

static bool is_dropping(const struct standins *t, pid_t opener)
{
	for (const struct standin *e = t->dropping; e; e = e->next_dropping)
		if (e->opener == opener)
			return true;
	return false;
}

void standins_settle(struct supervisor *s, pid_t opener)
{
	struct standins *t = s->standins;

	if (!t->dropping)
		return;
	supervisor_lock(s);
	while (is_dropping(t, opener))
		pthread_cond_wait(&t->dropped, &s->lock);
	supervisor_unlock(s);
}
