/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pid can become another process's, and execve gives a process another memory. What was opened below /proc/PID
 * stays with the memory that it was opened on, and says so when that is gone: all that is copied goes through
 * that. /proc/PID/mem ignores how pages are protected, so before a write /proc/PID/maps is asked whether it may be.
 *
 * Shared memory is held by mapping its file here; private memory is followed where it is.
 *
 * A device that shares the process's addresses copies much, for which process_vm_readv and process_vm_writev are
 * faster. They take the number of a process, which means this memory as long as the process lives and has not called
 * execve, which we are told of (but for those by 32-bit calls). So a read counts only if that is so afterwards. A write
 * is announced in writers before it looks at doubtful, which an execve sets before it waits for writers (exec.c); and a
 * pid is not used again at once. Where it is not so, or not known, what was opened serves.
 *
 * While the kernel copies for us it keeps the memory, which may outlive its process by that: then its mappings go when
 * we are done, and with them the last of what the process had open. Who looks whether a device is open waits for that.
 */
#include "supervisor/remote_mm.h"

#include "base/log.h"
#include "client/account.h"
#include "client/holds.h"
#include "client/mm.h"
#include "client/mounts.h"
#include "client/pin.h"
#include "supervisor/memory_id.h"
#include "supervisor/process.h"
#include "supervisor/remote_memory.h"
#include "supervisor/share.h"
#include "supervisor/standin.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/kcmp.h>

#define SETTLE_MS 500

struct remote_mm {
	struct mm base;
	struct supervisor *supervisor;
	bool opened;             /* what could not be opened for want of descriptors is tried again; under the lock */
	bool account_opened;     /* or cannot be: what is pinned already is counted nowhere */
	_Atomic int mem;         /* /proc/PID/mem: reads nothing once the memory is gone; or -ENFILE or -EFAULT */
	_Atomic int maps;        /* /proc/PID/maps, or the same */
	_Atomic int pidfd;       /* of the process, opened before mem; -1: none */
	_Atomic bool supervised; /* each execve of the process sets doubtful before it happens */
	_Atomic bool doubtful;   /* its process may have other memory by now */
	_Atomic unsigned writers;
	_Atomic unsigned users; /* of us, for whom the kernel may keep the memory */
	struct share *share;    /* --pin=share; else NULL */
	struct mounts mounts;
	_Atomic uint64_t limit; /* RLIMIT_MEMLOCK in pages, as last seen */

	/* Its end, and others who have it. */
	struct memory_id id;
	_Atomic pid_t tid;              /* the thread that used it last in a call */
	struct remote_mm *next, **link; /* in supervisor.ending or .unsure; link NULL: in none, else with a reference */
	bool ending;                    /* in the first */
	uint64_t awaited_until;         /* there, by who wants what it had open; 0: by nobody yet. ms */
};

static struct remote_mm *remote_of(struct mm *mm)
{
	return (struct remote_mm *)mm;
}

struct mm *remote_mm_base(struct remote_mm *mm)
{
	return &mm->base;
}

struct share *remote_mm_share(struct remote_mm *mm)
{
	return mm->share;
}

bool remote_mm_opened(const struct remote_mm *mm)
{
	return mm->opened;
}

bool remote_mm_could_open(const struct remote_mm *mm)
{
	return mm->mem >= 0;
}

/* The kernel may keep the memory for us from use() to unuse(). */
static void use(struct remote_mm *mm)
{
	atomic_fetch_add(&mm->users, 1);
}

static void unuse(struct remote_mm *mm)
{
	atomic_fetch_sub(&mm->users, 1);
}

int remote_mm_vma(struct mm *mm, uint64_t va, struct vma *vma)
{
	struct remote_mm *remote = remote_of(mm);
	int rc;

	if (remote->maps < 0)
		return remote->maps;
	use(remote);
	rc = vma_find(remote->maps, va, vma, NULL, 0);
	unuse(remote);
	return rc;
}

/*
 * A byte is written that cannot be read here: only an address space that is gone takes it for nothing, any other says
 * EFAULT. No lock of the memory is taken for that, which a page that a client serves can hold up, as a look at one of
 * its addresses would.
 */
bool remote_mm_gone(const struct remote_mm *mm)
{
	const uintptr_t nowhere = 1;

	return mm->mem < 0 || syscall(SYS_pwrite64, mm->mem, nowhere, (size_t)1, (off_t)0) == 0;
}

int remote_mm_is_still(const struct remote_mm *mm, pid_t tid)
{
	return remote_mm_gone(mm) ? 0 : memory_has_origin(mm->mem, &mm->id, tid);
}

/* Is it the memory of a thread of any process, which waits for us in a call? Returns as remote_mm_is_still() does. */
static int is_of(const struct remote_mm *mm, pid_t tid)
{
	int rc = remote_mm_is_still(mm, tid);

	return rc > 0 ? memory_has_stack(mm->mem, tid) : rc;
}

static bool has_process(const struct remote_mm *mm)
{
	struct pollfd exit = {.fd = mm->pidfd, .events = POLLIN};

	return mm->pidfd >= 0 && poll(&exit, 1, 0) == 0;
}

/* Of two that may be the same. While the processes of both have what they had, the kernel knows. */
static bool compare(const struct remote_mm *x, const struct remote_mm *y)
{
	const pid_t tid = atomic_load(&y->tid);
	long different;

	if (remote_mm_gone(x) || remote_mm_gone(y))
		return false;
	different = syscall(__NR_kcmp, x->base.pid, tid, KCMP_VM, 0, 0);
	if (different < 0 && errno != ESRCH)
		return false;
	if (atomic_load(&y->doubtful) && remote_mm_is_still(y, tid) != 1)
		return false;
	if (!atomic_load(&x->doubtful))
		return !different;
	if (has_process(x) && remote_mm_is_still(x, x->base.pid) == 1)
		return !different;
	return is_of(x, tid) == 1;
}

/* Asked for a client's address space, b, of which a thread waits in a call, or whose process was found by its number.
 */
static bool remote_same(struct mm *a, struct mm *b)
{
	struct remote_mm *x = remote_of(a), *y = remote_of(b);
	bool same;

	/* To ask may take as long as their processes like, so it is not asked of strangers. What one process has had
	 * one after the other is not the same. An id is there, and stays, when the memory is open. */
	if (a->pid == b->pid || x->mem < 0 || y->mem < 0 || !memory_ids_equal(&x->id, &y->id))
		return false;
	use(x);
	same = compare(x, y);
	unuse(x);
	return same;
}

static void leave_list(struct remote_mm *mm)
{
	if (!mm->link)
		return;
	*mm->link = mm->next;
	if (mm->next)
		mm->next->link = mm->link;
	mm->link = NULL;
	mm->ending = false;
	mm->awaited_until = 0;
	mm_put(&mm->base);
}

static void enter_list(struct remote_mm *mm, struct remote_mm **list)
{
	mm_get(&mm->base);
	mm->next = *list;
	mm->link = list;
	if (mm->next)
		mm->next->link = &mm->next;
	*list = mm;
}

void remote_mm_expect_end(struct remote_mm *mm)
{
	atomic_store(&mm->doubtful, true);
	if (mm->ending)
		return;
	leave_list(mm);
	enter_list(mm, &mm->supervisor->ending);
	mm->ending = true;
}

void remote_mm_be_unsure(struct remote_mm *mm)
{
	atomic_store(&mm->doubtful, true);
	if (!mm->link)
		enter_list(mm, &mm->supervisor->unsure);
}

void remote_mm_expect_no_end(struct remote_mm *mm)
{
	atomic_store(&mm->doubtful, false);
	leave_list(mm);
}

/* What only the list has is let go: others may keep the memory for as long as they like, and nobody wants to know. */
static void announce(struct remote_mm *mm)
{
	struct remote_mm *next;

	for (; mm; mm = next) {
		next = mm->next;
		if (atomic_load(&mm->base.refs) == 1) {
			leave_list(mm);
		} else if (remote_mm_gone(mm)) {
			mm_announce_gone(&mm->base);
			/* Who was its last user may still be at work on its end. */
			if (!atomic_load(&mm->users))
				leave_list(mm);
		}
	}
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void remote_mms_announce(struct supervisor *s)
{
	uint64_t now;

	announce(s->ending);
	if (!s->unsure)
		return;
	now = now_ms();
	if (now < s->unsure_due)
		return;
	s->unsure_due = now + REMOTE_MM_TEST_MS;
	announce(s->unsure);
}

static bool is_to_be_awaited(struct remote_mm *mm)
{
	uint64_t now;

	if (!atomic_load(&mm->users))
		return false;
	now = now_ms();
	if (!mm->awaited_until)
		mm->awaited_until = now + SETTLE_MS;
	return now < mm->awaited_until;
}

void remote_mms_settle(struct supervisor *s)
{
	const struct timespec pause = {.tv_nsec = 100000};
	struct remote_mm *mm = s->ending;

	while (mm) {
		if (!is_to_be_awaited(mm)) {
			mm = mm->next;
			continue;
		}
		supervisor_unlock(s);
		nanosleep(&pause, NULL);
		supervisor_lock(s);
		mm = s->ending;
	}
}

/* The process itself is asked to read: what it cannot, nobody pins. A process that has the number by now does no harm.
 */
static int remote_backed(const struct pin_source *source, uint64_t page, bool write)
{
	char byte;
	struct iovec local = {&byte, 1};
	struct iovec remote = {(void *)(uintptr_t)page, 1};

	(void)write;
	if (process_vm_readv(source->mm->pid, &local, 1, &remote, 1, 0) == 1)
		return 0;
	/* The first thread of a process may have ended before the others. */
	if (errno == ESRCH && pread(remote_of(source->mm)->mem, &byte, 1, (off_t)page) == 1)
		return 0;
	return -EFAULT;
}

/* Of a process that is being killed no descriptor can be had any more, while its memory may still be there. */
static bool is_dying(pid_t pid)
{
	char path[64], target[8];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return readlink(path, target, sizeof(target)) < 0;
}

static int remote_hold(const struct pin_source *source, const struct vma *vma, uint64_t va, uint64_t length, bool write,
		       struct hold **hold)
{
	struct remote_mm *mm = remote_of(source->mm);
	const struct hold_key key = {
		.dev = vma->dev,
		.ino = vma->ino,
		.offset = vma->offset + (va - vma->start),
		.length = length,
		.writable = write,
		.cut = true,
	};
	enum mount_kind kind = mounts_kind(source->mounts, vma->dev);
	char name[PATH_MAX];
	struct vma now;
	int rc;

	/* To hold what a device shows would keep it open. */
	if (standin_has_inode(mm->supervisor, vma->dev, vma->ino))
		return -EOPNOTSUPP;
	/* To open, and even to close, a file of any other kind can take as long as its server likes. */
	if (kind != MOUNT_NONE && kind != MOUNT_MEMORY)
		return -EOPNOTSUPP;
	rc = vma_find(source->maps, va, &now, name, sizeof(name));
	if (rc)
		return rc;
	rc = remote_memory_hold(source->holds, mm->base.pid, vma, name,
				mm->share ? share_find(mm->share, vma->dev, vma->ino) : -1, &key, hold);
	if (rc == -EOPNOTSUPP && !is_dying(mm->base.pid) && !atomic_exchange(&mm->supervisor->told_not_held, true))
		log_line("process %d shares memory (%s) that cannot be opened here: DMA follows it only as long as it "
			 "is mapped at the same place",
			 (int)mm->base.pid, *name ? name : "without a name");
	return rc;
}

/* Private memory without a file, and not a stack that grows: what can be shared. */
static bool is_sharable(const struct vma *vma, const char *name)
{
	return !vma->shared && !vma->ino && (!*name || !strcmp(name, "[heap]") || !strncmp(name, "[anon:", 6));
}

/* What was found may be followed only. Returns 0, or -ERESTART: it is to be shared first. */
static int want_shared(struct remote_mm *mm, uint64_t va, uint64_t length)
{
	char name[64];
	struct vma vma;

	if (vma_find(mm->maps, va, &vma, name, sizeof(name)) || !is_sharable(&vma, name))
		return 0;
	return share_want(mm->share, va, va + length, vma.last + 1);
}

static int remote_pin(struct mm *mm, struct memory_query *query, uaddr_t va, uint64_t length, bool write,
		      struct memory_run *run)
{
	struct remote_mm *remote = remote_of(mm);
	const struct pin_source source = {
		.mm = mm,
		.maps = remote->maps,
		.mounts = &remote->mounts,
		.holds = remote->supervisor->holds,
		.backed = remote_backed,
		.hold = remote_hold,
	};

	int rc = source.maps;

	if (rc < 0)
		return rc;
	use(remote);
	rc = pin_from(&source, query, va.va, length, write, run);
	if (!rc && remote->share && !run->hold)
		rc = want_shared(remote, va.va, run->length);
	unuse(remote);
	return rc;
}

static size_t read_opened(const struct remote_mm *mm, void *dst, uaddr_t src, size_t n)
{
	ssize_t got = pread(mm->mem, dst, n, (off_t)src.va);

	return got < 0 ? 0 : (size_t)got;
}

static size_t remote_mm_read(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	struct remote_mm *remote = remote_of(mm);

	use(remote);
	n = read_opened(remote, dst, src, n);
	unuse(remote);
	return n;
}

/* How many of n bytes the process may access so itself: VMA_*. */
static size_t accessible_bytes(const struct remote_mm *mm, uint64_t va, size_t n, unsigned access)
{
	size_t bytes = 0;

	while (bytes < n) {
		struct vma vma;

		if (vma_find(mm->maps, va + bytes, &vma, NULL, 0) || !(vma.access & access))
			break;
		bytes = vma.last - va < n ? vma.last - va + 1 : n;
	}
	return bytes;
}

/* While nothing of it is being exchanged. */
static size_t write_opened(const struct remote_mm *mm, uaddr_t dst, const void *src, size_t n)
{
	ssize_t put;

	n = accessible_bytes(mm, dst.va, n, VMA_WRITE);
	put = n ? pwrite(mm->mem, src, n, (off_t)dst.va) : 0;
	return put < 0 ? 0 : (size_t)put;
}

static size_t remote_mm_write(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	struct remote_mm *remote = remote_of(mm);
	bool entered = share_enter(remote->share, 0);

	use(remote);
	n = write_opened(remote, dst, src, n);
	unuse(remote);
	share_leave(remote->share, entered);
	return n;
}

/* Sharing addresses */

/* May the number mean this memory, as far as can be told for nothing? */
static bool is_numbered(const struct remote_mm *mm)
{
	return mm->supervised && !mm->doubtful && mm->pidfd >= 0;
}

/* Does it? */
static bool is_current(const struct remote_mm *mm)
{
	return is_numbered(mm) && has_process(mm);
}

/* Returns -1 where the process's number cannot be used. */
static ssize_t read_numbered(const struct remote_mm *mm, void *dst, uaddr_t src, size_t n)
{
	const struct iovec to = {dst, n};
	const struct iovec from = {(void *)(uintptr_t)src.va, n};
	ssize_t got = process_vm_readv(mm->base.pid, &to, 1, &from, 1, 0);

	/* What is wrong with the process may be right with what was opened: it is not dumpable any more, or its first
	 * thread has ended. */
	if ((got >= 0 || errno == EFAULT) && is_current(mm))
		return got < 0 ? 0 : got;
	/* It may be another process's. */
	if (got > 0)
		memset(dst, 0, (size_t)got);
	return -1;
}

static size_t remote_mm_load(struct mm *mm, void *dst, uaddr_t src, size_t n)
{
	struct remote_mm *remote = remote_of(mm);
	ssize_t got;

	use(remote);
	got = is_numbered(remote) ? read_numbered(remote, dst, src, n) : -1;
	if (got < 0) {
		n = accessible_bytes(remote, src.va, n, VMA_READ);
		got = n ? (ssize_t)read_opened(remote, dst, src, n) : 0;
	}
	unuse(remote);
	return (size_t)got;
}

/* Returns -1 where the process's number cannot be used. */
static ssize_t write_numbered(struct remote_mm *mm, uaddr_t dst, const void *src, size_t n)
{
	const struct iovec from = {(void *)(uintptr_t)src, n};
	const struct iovec to = {(void *)(uintptr_t)dst.va, n};
	ssize_t put = -1;

	atomic_fetch_add(&mm->writers, 1);
	if (is_current(mm)) {
		put = process_vm_writev(mm->base.pid, &from, 1, &to, 1, 0);
		if (put < 0 && errno == EFAULT)
			put = 0;
	}
	atomic_fetch_sub(&mm->writers, 1);
	return put;
}

static size_t remote_mm_store(struct mm *mm, uaddr_t dst, const void *src, size_t n)
{
	struct remote_mm *remote = remote_of(mm);
	bool entered = share_enter(remote->share, 0);
	ssize_t put;

	use(remote);
	put = is_numbered(remote) ? write_numbered(remote, dst, src, n) : -1;
	n = put < 0 ? write_opened(remote, dst, src, n) : (size_t)put;
	unuse(remote);
	share_leave(remote->share, entered);
	return n;
}

static bool remote_mm_may(struct mm *mm, uaddr_t va, bool write)
{
	struct remote_mm *remote = remote_of(mm);
	bool may;

	use(remote);
	may = remote->maps >= 0 && !vma_check(remote->maps, va.va, 1, write ? VMA_WRITE : VMA_READ);
	unuse(remote);
	return may;
}

void remote_mm_supervise(struct remote_mm *mm)
{
	mm->supervised = true;
}

bool remote_mm_is_written(const struct remote_mm *mm)
{
	return atomic_load(&mm->writers);
}

/* Of a process that has ended, the last that was seen. */
static uint64_t remote_memlock_limit(struct mm *mm)
{
	struct remote_mm *remote = remote_of(mm);
	struct rlimit limit;

	if (!remote_mm_gone(remote) && !prlimit(mm->pid, RLIMIT_MEMLOCK, NULL, &limit))
		atomic_store(&remote->limit,
			     limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur >> PAGE_SHIFT);
	return atomic_load(&remote->limit);
}

static void remote_mm_release(struct mm *mm)
{
	struct remote_mm *remote = remote_of(mm);

	if (remote->mem >= 0)
		close(remote->mem);
	if (remote->maps >= 0)
		close(remote->maps);
	if (remote->pidfd >= 0)
		close(remote->pidfd);
	share_free(remote->share);
	pthread_mutex_destroy(&mm->watch_lock);
	mounts_fini(&remote->mounts);
	free(remote);
}

static const struct mm_ops remote_mm_ops = {
	.release = remote_mm_release,
	.pin = remote_pin,
	.read = remote_mm_read,
	.write = remote_mm_write,
	.load = remote_mm_load,
	.store = remote_mm_store,
	.may = remote_mm_may,
	.same = remote_same,
	.memlock_limit = remote_memlock_limit,
};

struct remote_mm *remote_mm_new(struct supervisor *s, pid_t pid, const struct remote_mm *before)
{
	struct remote_mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return NULL;
	mm->base.ops = &remote_mm_ops;
	atomic_init(&mm->base.refs, 1);
	pthread_mutex_init(&mm->base.watch_lock, NULL);
	mm->base.serial = ++s->mm_serial;
	mm->base.process = before ? before->base.process : mm->base.serial;
	mm->base.pid = pid;
	mm->supervisor = s;
	mm->mem = -EFAULT;
	mm->maps = -EFAULT;
	mm->pidfd = -1;
	if (s->pin == PIN_SHARE)
		mm->share = share_new();
	mounts_init(&mm->mounts, pid);
	atomic_init(&mm->limit, UINT64_MAX);
	atomic_init(&mm->tid, pid);
	return mm;
}

/* Of a thread of that process only: its number may be another one's by now. */
static int open_proc(pid_t pid, pid_t tid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE ? -ENFILE : -EFAULT;
	return fd;
}

/* Locked memory is the real user's. Where that cannot be told, or there is no memory, nothing is counted. */
static void open_account(struct remote_mm *mm, pid_t tid)
{
	struct accounts *accounts = system_accounts(mm->supervisor->system);
	uint64_t uid;

	if (accounts->policy != MEMLOCK_OFF && !process_status(tid, "Uid", 10, &uid))
		(void)account_open(&mm->base, accounts, (uid_t)uid);
}

void remote_mm_used_by(struct remote_mm *mm, pid_t tid)
{
	atomic_store(&mm->tid, tid);
}

void remote_view_open(struct remote_view *view, pid_t pid, pid_t tid)
{
	view->tid = tid;
	view->pidfd = (int)syscall(__NR_pidfd_open, pid, 0);
	(void)memory_id_read(tid, &view->id);
	view->mem = open_proc(pid, tid, "mem", O_RDWR);
	view->maps = open_proc(pid, tid, "maps", O_RDONLY);
}

static void close_opened(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void remote_view_close(struct remote_view *view)
{
	close_opened(&view->pidfd);
	close_opened(&view->mem);
	close_opened(&view->maps);
}

/* Takes a descriptor where there is none so far. */
static void adopt(_Atomic int *place, int *fd)
{
	if (*place >= 0)
		return;
	*place = *fd;
	*fd = -1;
}

void remote_mm_adopt(struct remote_mm *mm, struct remote_view *view)
{
	adopt(&mm->pidfd, &view->pidfd);
	if (mm->mem < 0)
		mm->id = view->id;
	adopt(&mm->mem, &view->mem);
	adopt(&mm->maps, &view->maps);
	if (!mm->account_opened)
		open_account(mm, view->tid);
	mm->account_opened = true;
	mm->opened = mm->mem != -ENFILE && mm->maps != -ENFILE;
}

void remote_mm_open(struct remote_mm *mm, pid_t tid)
{
	struct remote_view view;

	remote_view_open(&view, mm->base.pid, tid);
	remote_mm_adopt(mm, &view);
	remote_view_close(&view);
}
