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
 * An event queue is a pipe, as it needs a poll that waits (queue.c). Its last close hangs up our end.
 *
 * The description that a client gets stands at the highest offset there is, so that read and write of even one byte
 * fail with EINVAL, as on a character device that has neither.
 *
 * A file whose parts clients may map is a memfd of fixed size, all holes, which nobody can truncate under those who
 * have it mapped. Any other is empty for ever.
 */
#include "supervisor/standin.h"

#include "base/thread.h"
#include "client/file.h"
#include "supervisor/queue.h"
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
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/mount.h>

#define BUCKETS       256U
#define MAX_OFFSET    INT64_MAX
#define MAPPED_SIZE   (INT64_C(1) << 44) /* of a file whose parts can be mapped */
#define FRESH_MS      20
#define STALE_MS      100
#define TESTS_MAX     16 /* of one that is not fresh any more: then it is open, and its next close brings a hint */
#define TESTS_AT_ONCE 64
#define PATIENCE_MS   1000 /* for what is being dropped */
#define PASIDS_MS     200

struct standins {
	struct watch watch; /* of inotify */
	int inotify;
	int tree;
	struct queues queues;
	_Atomic unsigned next_directory;
	struct standin *by_inode[BUCKETS];
	struct standin *by_watch[BUCKETS];
	struct suspects fresh, stale;
	uint64_t stale_test_ns; /* when stale ones are tested next */
	struct standin *closed;
	struct standin *_Atomic dropping; /* taken, not dropped yet; changed under the lock */
	uint64_t taken;                   /* how many ever */
	pthread_cond_t dropped;
	pthread_cond_t given; /* a file is not FILE_BEING_GIVEN any more */
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
	pthread_condattr_t attr;
	int err;

	if (!t)
		return -ENOMEM;
	t->tree = tree;
	queues_init(&t->queues);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->dropped, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&t->given, NULL);
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

bool standin_has_inode(struct supervisor *s, dev_t dev, ino_t ino)
{
	const struct stat st = {.st_dev = dev, .st_ino = ino};
	bool found;

	supervisor_lock(s);
	found = standin_find(s, &st);
	supervisor_unlock(s);
	return found;
}

static int own_duplicate(const struct standin *e)
{
	int fd = fcntl(e->own, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* Under the lock. */
static struct standin *find_file(const struct standins *t, const struct file *file)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct standin *e = t->by_inode[i]; e; e = e->next_inode)
			if (e->file == file)
				return e;
	return NULL;
}

int standin_open_own(struct call *call, const struct file *file)
{
	struct supervisor *s = call->supervisor;
	const struct standin *e = call->reserved.standin;
	int fd;

	supervisor_lock(s);
	if (!e || e->file != file)
		e = find_file(s->standins, file);
	fd = e ? own_duplicate(e) : -ENOENT;
	supervisor_unlock(s);
	return fd;
}

static struct standin *find_watch(struct standins *t, int wd)
{
	for (struct standin *e = *watch_bucket(t, wd); e; e = e->next_watch)
		if (e->inotify == wd)
			return e;
	return NULL;
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
		queue_hide(&t->queues, e->queue);
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
			if (!e->queue)
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

/* Nothing else is watched for. One that is closed before it is published hangs up again. */
static void queue_hung_up(struct supervisor *s, struct watch *watch)
{
	struct standin *e = (struct standin *)watch;

	if (e->published)
		retire(s, e);
}

struct standin *standins_take_closed(struct supervisor *s)
{
	struct standins *t = s->standins;
	struct standin *list = t->closed;

	t->closed = NULL;
	for (struct standin *e = list; e; e = e->next_closed) {
		e->taken = ++t->taken;
		e->next_dropping = t->dropping;
		t->dropping = e;
	}
	return list;
}

/* "<directory>/dev/vfio/vfio" with every folder of it made, or removed again. Returns 0, or -errno. */
static int make_folders(int tree, const struct standin *e, char *name, size_t size)
{
	snprintf(name, size, "%u/%s", e->directory, e->name);
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

static void remove_folders(int tree, const struct standin *e)
{
	char name[128];

	snprintf(name, sizeof(name), "%u/%s", e->directory, e->name);
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

/* Opens a file in the tree so that /proc shows the node's own path for it. */
static int open_in_tree(const struct standins *t, const struct standin *e, int flags)
{
	char folder[16];
	int root, fd;

	snprintf(folder, sizeof(folder), "%u", e->directory);
	root = (int)syscall(__NR_open_tree, t->tree, folder, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (root < 0)
		return -errno;
	fd = openat(root, e->name, status_flags(flags));
	if (fd < 0)
		fd = -errno;
	close(root);
	return fd;
}

/* Opens the file of a descriptor of ours once more. */
static int open_again(int own, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
	fd = open(path, status_flags(flags));
	return fd < 0 ? -errno : fd;
}

/* A file in the tree. Returns 0 with e->own, or -errno. */
static int make_in_tree(struct standins *t, struct standin *e)
{
	char name[128];
	int err;

	e->directory = atomic_fetch_add(&t->next_directory, 1) + 1;
	err = make_folders(t->tree, e, name, sizeof(name));
	if (!err)
		e->own = openat(t->tree, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (!err && e->own < 0)
		err = -errno;
	if (err)
		remove_folders(t->tree, e);
	return err;
}

static int make_memfd(struct standin *e, bool mapped)
{
	int first = memfd_create(e->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (first < 0)
		return -errno;
	e->own = open_again(first, O_RDWR);
	/* Where RLIMIT_FSIZE forbids the size, nothing can be mapped. */
	if (e->own >= 0 && mapped)
		(void)!ftruncate(first, MAPPED_SIZE);
	(void)fcntl(first, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	close(first);
	return e->own < 0 ? e->own : 0;
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
	if (e->queue) {
		queue_put(e->queue);
	} else {
		close(e->own);
		if (e->directory)
			remove_folders(t->tree, e);
	}
	free(e);
}

/* What the client cannot be blamed for is our own shortage: to the client, that of the system. */
static int own_shortage(int err)
{
	return err == -EMFILE || err == -ENOSPC ? -ENFILE : err;
}

/* A description for the client, at the highest offset there is. */
static int open_for_client(const struct standins *t, const struct standin *e, int flags)
{
	int fd = e->directory ? open_in_tree(t, e, flags) : open_again(e->own, flags);
	int err;

	if (fd < 0 || lseek(fd, MAX_OFFSET, SEEK_SET) >= 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int make_file(struct supervisor *s, struct standin *e, int *client_fd)
{
	struct standins *t = s->standins;
	/* What the test device makes can be mapped. */
	const bool mapped = e->file->ops->device || (s->selftest && e->file->ops->mmap);
	struct stat st = {0};
	int err = t->tree >= 0 && !mapped ? make_in_tree(t, e) : make_memfd(e, mapped);

	if (err)
		return err;
	*client_fd = supervisor_has_room(s, e->own) ? open_for_client(t, e, e->open_flags) : -ENFILE;
	err = *client_fd < 0 ? *client_fd : add_watch(t, e);
	/* Mode 0 keeps ordinary clients from opening the inode a second time behind our back. */
	if (!err && (fchmod(e->own, 0) < 0 || fstat(e->own, &st) < 0))
		err = -errno;
	if (err) {
		if (*client_fd >= 0)
			close(*client_fd);
		close(e->own);
		if (e->directory)
			remove_folders(t->tree, e);
		return err;
	}
	e->dev = st.st_dev;
	e->ino = st.st_ino;
	return 0;
}

static int make_queue(struct supervisor *s, struct standin *e, int *client_fd)
{
	struct epoll_event event = {.data.ptr = &e->watch}; /* of hanging up it tells unasked */
	struct stat st = {0};
	int err = queue_new(e->file, &e->queue, client_fd);

	if (err)
		return err;
	e->own = queue_end(e->queue);
	e->inotify = -1;
	e->watch.ready = queue_hung_up;
	if (!supervisor_has_room(s, e->own))
		err = -ENFILE;
	else if (fstat(*client_fd, &st) < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, e->own, &event) < 0)
		err = -errno;
	if (err) {
		close(*client_fd);
		queue_put(e->queue);
		return err;
	}
	e->dev = st.st_dev;
	e->ino = st.st_ino;
	return 0;
}

int standin_make(struct call *call, const struct node *node, struct file *file, int flags, struct standin **out,
		 int *client_fd)
{
	struct standin *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	e->node = node;
	e->name = node ? node->path + 1 : file->ops->name;
	e->file = file;
	e->opener = call->client.pid;
	e->open_flags = flags;
	err = file->ops->event_queue ? make_queue(call->supervisor, e, client_fd)
				     : make_file(call->supervisor, e, client_fd);
	if (err) {
		free(e);
		return own_shortage(err);
	}
	*out = e;
	return 0;
}

static void set_given(struct standins *t, struct file *file, unsigned given)
{
	atomic_store_explicit(&file->descriptors, given, memory_order_relaxed);
	pthread_cond_broadcast(&t->given);
}

bool standin_claim(struct supervisor *s, struct file *file)
{
	unsigned expected = FILE_NEW;
	bool claimed;

	supervisor_lock(s);
	claimed = atomic_compare_exchange_strong(&file->descriptors, &expected, FILE_BEING_GIVEN);
	supervisor_unlock(s);
	return claimed;
}

void standin_unclaim(struct supervisor *s, struct file *file)
{
	supervisor_lock(s);
	set_given(s->standins, file, FILE_NEW);
	supervisor_unlock(s);
}

void standin_publish(struct supervisor *s, struct standin *e, bool given)
{
	struct standins *t = s->standins;
	struct standin **head;

	if (e->queue)
		queue_show(&t->queues, e->queue);
	supervisor_lock(s);
	e->published = true;
	set_given(t, e->file, FILE_GIVEN);
	head = inode_bucket(t, e->ino);
	e->next_inode = *head;
	*head = e;
	if (!e->queue) {
		head = watch_bucket(t, e->inotify);
		e->next_watch = *head;
		*head = e;
		if (given)
			suspect(t, e); /* what was told of it before, nobody heard */
	}
	supervisor_unlock(s);
}

int standin_open(struct call *call, const struct node *node, struct file *file, int flags, int *client_fd)
{
	struct standin *e;
	int err = standin_make(call, node, file, flags, &e, client_fd);

	if (!err)
		standin_publish(call->supervisor, e, false);
	return err;
}

static int open_more(const struct standins *t, const struct standin *e, int flags)
{
	int fd;

	if (e->queue)
		return -ENXIO;
	(void)fchmod(e->own, 0600);
	fd = open_for_client(t, e, flags);
	(void)fchmod(e->own, 0);
	return fd;
}

int standin_open_again(struct supervisor *s, struct standin *e, int flags)
{
	int fd = open_more(s->standins, e, flags);

	if (fd >= 0)
		e->open_flags = flags;
	return fd;
}

/* Under the lock, so that nobody finds it closed just then. */
int standin_open_another(struct supervisor *s, const struct file *file, struct standin **out)
{
	struct standin *e;
	int fd = -ENOENT;

	supervisor_lock(s);
	while (atomic_load_explicit(&file->descriptors, memory_order_relaxed) == FILE_BEING_GIVEN)
		pthread_cond_wait(&s->standins->given, &s->lock);
	e = find_file(s->standins, file);
	if (e)
		fd = open_more(s->standins, e, e->open_flags);
	supervisor_unlock(s);
	if (fd >= 0 && !supervisor_has_room(s, fd)) {
		close(fd);
		fd = -ENFILE;
	}
	*out = e;
	return own_shortage(fd);
}

void standin_abandon(struct supervisor *s, struct standin *e)
{
	supervisor_lock(s);
	if (e->queue)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, e->own, NULL);
	else
		inotify_rm_watch(s->standins->inotify, e->inotify);
	set_given(s->standins, e->file, FILE_GIVEN);
	supervisor_unlock(s);
	discard(s->standins, e);
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

static void drop(struct supervisor *s, struct standin *e)
{
	file_put(e->file);
	dropped(s, e);
	discard(s->standins, e);
}

static void *drop_device(void *standin)
{
	struct standin *e = standin;

	drop(e->supervisor, e);
	return NULL;
}

/* The close of a device waits for its DMA, and that for memory which a client provides when it likes: nobody else shall
 * wait for it. Returns false where there is no thread for it. */
static bool drop_beside(struct supervisor *s, struct standin *e)
{
	pthread_t thread;

	e->supervisor = s;
	if (thread_start(&thread, "iommuse-close", drop_device, e))
		return false;
	pthread_detach(thread);
	return true;
}

void standins_drop(struct supervisor *s, struct standin *list)
{
	while (list) {
		struct standin *e = list;

		list = e->next_closed;
		if (!e->file->ops->device || !drop_beside(s, e))
			drop(s, e);
	}
}

static struct timespec time_in(unsigned ms)
{
	const uint64_t ns = now_ns() + ms * UINT64_C(1000000);

	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

static bool is_dropping(const struct standins *t, pid_t opener)
{
	for (const struct standin *e = t->dropping; e; e = e->next_dropping)
		if (!opener || e->opener == opener)
			return true;
	return false;
}

void standins_settle(struct supervisor *s, pid_t opener)
{
	struct standins *t = s->standins;
	struct timespec end;

	if (!t->dropping)
		return;
	end = time_in(PATIENCE_MS);
	supervisor_lock(s);
	while (is_dropping(t, opener))
		if (pthread_cond_timedwait(&t->dropped, &s->lock, &end))
			break;
	supervisor_unlock(s);
}

static bool is_to_be_awaited(const struct standins *t, uint64_t taken)
{
	const struct standin *e = t->dropping;

	while (e && (e->awaited || e->taken > taken))
		e = e->next_dropping;
	return e;
}

void standins_settle_pasids(struct supervisor *s)
{
	struct standins *t = s->standins;
	struct timespec end;
	uint64_t taken;

	if (!t->dropping)
		return;
	end = time_in(PASIDS_MS);
	supervisor_lock(s);
	taken = t->taken;
	while (is_to_be_awaited(t, taken))
		if (pthread_cond_timedwait(&t->dropped, &s->lock, &end))
			break;
	for (struct standin *e = t->dropping; e; e = e->next_dropping)
		e->awaited |= e->taken <= taken;
	supervisor_unlock(s);
}
