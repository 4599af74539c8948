/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose memory is it? process_vm_readv and process_vm_writev take a thread id, and execve puts another memory behind
 * it, killing the threads that wait for us, but not before we might have decided to write. So execve is trapped, too,
 * and:
 * - a read counts only if the call is still valid after it: the thread that waited was alive then, so its memory was
 * the old one;
 * - a write is announced in call->writing before call->exec_tried is looked at, and remote_exec() sets exec_tried
 * before it looks at writing: either the write sees the execve, or the execve waits until the write has got hold of the
 * memory. A write that then blocks (a page that the client serves itself) has hold of it, which is why the wait is
 * bounded;
 * - an execve that was let go may take its time, so calls that begin until it is over are told as well;
 * - a write that saw the execve goes through descriptors of the old memory, opened before: /proc/PID/mem, which ignores
 * the protection of pages, after /proc/PID/maps has said that it may be written.
 */
#include "supervisor/remote.h"

#include "base/log.h"
#include "client/file.h"
#include "supervisor/maps.h"
#include "supervisor/process.h"
#include "supervisor/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXEC_WAIT_MS 100
#define NUMBERS_MAX  65536 /* of descriptors that are looked at for a free one */

struct remote_mm {
	struct mm base;
	bool used;
	int mem; /* /proc/PID/mem: reads nothing once the memory is gone; -1: it could not be opened */
};

struct old_memory {
	unsigned refs; /* under the lock */
	int mem, maps;
};

static struct call *call_of(struct client *client)
{
	return (struct call *)client;
}

/* Says once why a process cannot be served. */
static void tell_unreadable(struct call *call, int error)
{
	struct supervisor *s = call->supervisor;
	bool told;

	supervisor_lock(s);
	told = call->process->told;
	call->process->told = true;
	supervisor_unlock(s);
	if (!told)
		log_error(error, "cannot read the memory of process %d: it is not dumpable, or another user's",
			  (int)call->client.pid);
}

static size_t remote_read(struct client *client, void *dst, uaddr_t src, size_t n)
{
	struct call *call = call_of(client);
	struct iovec local = {dst, n};
	struct iovec remote = {(void *)(uintptr_t)src.va, n};
	ssize_t got;

	if (!n)
		return 0;
	got = process_vm_readv(call->n.tid, &local, 1, &remote, 1, 0);
	if (got < 0) {
		if (errno == EPERM)
			tell_unreadable(call, -EPERM);
		return 0;
	}
	return notify_valid(call->supervisor->listener, &call->n) ? (size_t)got : 0;
}

static int write_old_memory(const struct old_memory *old, uaddr_t dst, const void *src, size_t n)
{
	int err = maps_check(old->maps, dst.va, n, MAPS_WRITE);

	if (err)
		return -EFAULT;
	return pwrite(old->mem, src, n, (off_t)dst.va) == (ssize_t)n ? 0 : -EFAULT;
}

static int remote_copy_out(struct client *client, uaddr_t dst, const void *src, size_t n)
{
	struct call *call = call_of(client);
	struct iovec local = {(void *)(uintptr_t)src, n};
	struct iovec remote = {(void *)(uintptr_t)dst.va, n};
	ssize_t put;

	if (!n)
		return 0;
	atomic_store(&call->writing, true);
	if (atomic_load(&call->exec_tried)) {
		atomic_store(&call->writing, false);
		return write_old_memory(call->old_memory, dst, src, n);
	}
	/* A caller that was killed is not there to be written to; its number may be another process's by now. */
	if (!notify_valid(call->supervisor->listener, &call->n)) {
		atomic_store(&call->writing, false);
		return -EFAULT;
	}
	put = process_vm_writev(call->n.tid, &local, 1, &remote, 1, 0);
	atomic_store(&call->writing, false);
	return put == (ssize_t)n ? 0 : -EFAULT;
}

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, flags | O_CLOEXEC);
}

static void old_memory_put(struct old_memory *old)
{
	if (!old || --old->refs)
		return;
	if (old->mem >= 0)
		close(old->mem);
	if (old->maps >= 0)
		close(old->maps);
	free(old);
}

static struct old_memory *old_memory_open(pid_t tid)
{
	struct old_memory *old = calloc(1, sizeof(*old));

	if (!old)
		return NULL;
	old->refs = 1;
	old->mem = open_proc(tid, "mem", O_RDWR);
	old->maps = open_proc(tid, "maps", O_RDONLY);
	return old;
}

static void give_old_memory(struct call *call, struct old_memory *old)
{
	if (call->old_memory)
		return;
	old->refs++;
	call->old_memory = old;
	atomic_store(&call->exec_tried, true);
}

/* Is the execve of a thread over? It is if the thread calls again, or is gone (that of a successful one becomes the
 * leader). */
static bool exec_is_over(const struct process *p, const struct exec *exec, pid_t caller)
{
	char path[64];

	if (exec->tid == caller)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)p->pid, (int)exec->tid);
	return access(path, F_OK) < 0;
}

void remote_call_begin(struct call *call)
{
	struct process *p = call->process;
	struct exec **link = &p->execs;

	while (*link) {
		struct exec *exec = *link;

		if (exec_is_over(p, exec, call->n.tid)) {
			*link = exec->next;
			old_memory_put(exec->memory);
			free(exec);
		} else {
			give_old_memory(call, exec->memory);
			link = &exec->next;
		}
	}
}

void remote_process_end(struct process *p)
{
	while (p->execs) {
		struct exec *exec = p->execs;

		p->execs = exec->next;
		old_memory_put(exec->memory);
		free(exec);
	}
}

/* Under the lock. */
static int begin_exec(struct call *call)
{
	struct process *p = call->process;
	struct exec *exec = calloc(1, sizeof(*exec));

	if (!exec)
		return -ENOMEM;
	exec->tid = call->n.tid;
	exec->memory = old_memory_open(call->n.tid);
	if (!exec->memory) {
		free(exec);
		return -ENOMEM;
	}
	exec->next = p->execs;
	p->execs = exec;
	p->exec_tried = true;
	for (struct call *other = p->calls; other; other = other->next)
		if (other != call)
			give_old_memory(other, exec->memory);
	return 0;
}

static bool others_write(struct call *call)
{
	bool writing = false;

	supervisor_lock(call->supervisor);
	for (struct call *other = call->process->calls; other; other = other->next)
		writing |= other != call && atomic_load(&other->writing);
	supervisor_unlock(call->supervisor);
	return writing;
}

int remote_exec(struct call *call)
{
	struct timespec pause = {.tv_nsec = 100000};
	int err;

	supervisor_lock(call->supervisor);
	err = begin_exec(call);
	supervisor_unlock(call->supervisor);
	for (int i = 0; !err && i < EXEC_WAIT_MS * 10 && others_write(call); i++)
		nanosleep(&pause, NULL);
	return err;
}

void remote_call_end(struct call *call)
{
	if (call->mm)
		mm_put(call->mm);
	old_memory_put(call->old_memory);
}

struct mm *remote_mm_base(struct remote_mm *mm)
{
	return &mm->base;
}

static void remote_mm_release(struct mm *mm)
{
	struct remote_mm *remote = (struct remote_mm *)mm;

	if (remote->mem >= 0)
		close(remote->mem);
	free(remote);
}

static const struct mm_ops remote_mm_ops = {.release = remote_mm_release};

/* A byte is read where nothing is ever mapped: only an address space that is gone reads as empty. */
static bool mm_gone(const struct remote_mm *mm)
{
	char byte;

	return mm->mem < 0 || pread(mm->mem, &byte, 1, (off_t)(INT64_MAX & PAGE_MASK)) == 0;
}

struct remote_mm *remote_mm_new(struct supervisor *s, pid_t pid)
{
	struct remote_mm *mm = calloc(1, sizeof(*mm));

	if (!mm)
		return NULL;
	mm->base.ops = &remote_mm_ops;
	atomic_init(&mm->base.refs, 1);
	mm->base.serial = ++s->mm_serial;
	mm->base.pid = pid;
	mm->mem = -1;
	return mm;
}

/*
 * Looks which memory the process has now: it is opened at its first use, as many processes only call execve. After an
 * execve it may be another one, or the old one where that failed. Under the lock.
 */
static void renew_mm(struct call *call)
{
	struct process *p = call->process;
	struct remote_mm *mm = p->mm;

	if (mm->used && !p->exec_tried)
		return;
	if (mm->used && mm_gone(mm)) {
		mm = remote_mm_new(call->supervisor, p->pid);
		if (!mm)
			return;
		mm_put(&p->mm->base);
		p->mm = mm;
	}
	if (!mm->used) {
		mm->used = true;
		mm->mem = open_proc(call->n.tid, "mem", O_RDONLY);
	}
	p->exec_tried = p->execs || mm->mem < 0;
}

static struct mm *remote_client_mm(struct client *client)
{
	struct call *call = call_of(client);

	if (call->mm)
		return call->mm;
	supervisor_lock(call->supervisor);
	renew_mm(call);
	call->mm = mm_get(&call->process->mm->base);
	supervisor_unlock(call->supervisor);
	return call->mm;
}

static int stat_client_fd(struct call *call, int fd, struct stat *st)
{
	char path[64];

	if (fd < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, fd);
	if (process_stat(AT_FDCWD, path, st))
		return -EBADF;
	return notify_valid(call->supervisor->listener, &call->n) ? 0 : -EBADF;
}

static int remote_file(struct client *client, int fd, struct file **file)
{
	struct call *call = call_of(client);
	struct standin *e;
	struct stat st;
	int err;

	err = stat_client_fd(call, fd, &st);
	if (err)
		return err;
	supervisor_lock(call->supervisor);
	e = standin_find(call->supervisor, &st);
	if (e)
		*file = file_get(e->file);
	supervisor_unlock(call->supervisor);
	return e ? 0 : -EBADFD;
}

/* A descriptor of ours for the client's: by pidfd, or where a container forbids that, by opening the file again. */
static int fetch_fd(struct call *call, int fd)
{
	const int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char path[64];
	int own = (int)syscall(__NR_pidfd_getfd, call->process->pidfd, fd, 0);

	if (own < 0 && (errno == EPERM || errno == ENOSYS)) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)call->n.tid, fd);
		own = open(path, O_RDWR | flags);
		if (own < 0 && errno == EACCES)
			own = open(path, O_RDONLY | flags);
	}
	if (own < 0)
		return -errno;
	if (fcntl(own, F_GETFL) & O_PATH) {
		close(own);
		return -EBADF; /* it only names a file */
	}
	return own;
}

/*
 * Can memory be mapped from the file? Linux takes any file here, and finds out when the memory is used. But to close a
 * file of a file server asks the server, who may never answer: such a file is not held. What is no mount's is the
 * kernel's own: a memfd.
 */
static bool may_be_memory(struct call *call, int fd)
{
	char path[64], line[1024];
	struct stat st;
	bool memory = true;
	FILE *mounts;

	if (stat_client_fd(call, fd, &st) || st.st_dev == call->supervisor->memfd_dev)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)call->n.tid);
	mounts = fopen(path, "re");
	while (mounts && fgets(line, sizeof(line), mounts)) {
		unsigned major_number, minor_number;
		const char *type = strstr(line, " - ");

		if (sscanf(line, "%*d %*d %u:%u", &major_number, &minor_number) != 2 || !type ||
		    makedev(major_number, minor_number) != st.st_dev)
			continue;
		memory = !strncmp(type, " - tmpfs ", 9) || !strncmp(type, " - hugetlbfs ", 13);
		break;
	}
	if (mounts)
		fclose(mounts);
	return memory;
}

/* Was the descriptor opened with O_PATH? */
static bool only_names_a_file(const struct call *call, int fd)
{
	char path[64], line[128];
	bool named = false;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)call->n.tid, fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info))
		if (!strncmp(line, "flags:", 6))
			named = strtol(line + 6, NULL, 8) & O_PATH;
	if (info)
		fclose(info);
	return named;
}

static int remote_memory_file(struct client *client, int fd, struct memory_file **out)
{
	struct call *call = call_of(client);
	struct memory_file *memory;
	struct file *ours;
	int own = -1;
	int err;

	err = remote_file(client, fd, &ours);
	if (err == -EBADF)
		return err;
	if (!err)
		file_put(ours); /* no memory, and holding it would keep it from ever being closed */
	else if (may_be_memory(call, fd))
		own = fetch_fd(call, fd);
	else if (only_names_a_file(call, fd))
		return -EBADF;
	if (own < -1) {
		if (own == -EMFILE || own == -ENFILE)
			log_error(own, "no descriptor left for the file that process %d maps", (int)client->pid);
		return own == -EMFILE ? -ENFILE : own;
	}
	memory = calloc(1, sizeof(*memory));
	if (!memory) {
		if (own >= 0)
			close(own);
		return -ENOMEM;
	}
	atomic_init(&memory->refs, 1);
	memory->fd = own;
	*out = memory;
	return 0;
}

static bool number_is_free(struct call *call, int number)
{
	struct stat st;

	return stat_client_fd(call, number, &st) == -EBADF;
}

/* Any number is better than none, but only polling is as it should be there: see docs/limits.md. */
static int any_free_number(struct call *call, rlim_t limit)
{
	for (int number = 0; number < NUMBERS_MAX && (rlim_t)number < limit; number++)
		if (number_is_free(call, number))
			return number;
	return -EMFILE;
}

static int remote_fd_reserve(struct client *client, struct file *file)
{
	struct call *call = call_of(client);
	struct supervisor *s = call->supervisor;
	struct process *p = call->process;
	struct rlimit limit;
	int found = -EMFILE;

	(void)file;
	if (prlimit(client->tid, RLIMIT_NOFILE, NULL, &limit) < 0)
		limit.rlim_cur = RLIM_INFINITY;
	supervisor_lock(s);
	for (int i = 0; i < QUEUE_FDS && found < 0; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);

		if ((rlim_t)s->queue_fd + (rlim_t)i >= limit.rlim_cur)
			break;
		if (p->queue_fds[i / 64] & bit || !number_is_free(call, s->queue_fd + i))
			continue;
		p->queue_fds[i / 64] |= bit;
		found = s->queue_fd + i;
	}
	supervisor_unlock(s);
	return found < 0 ? any_free_number(call, limit.rlim_cur) : found;
}

static void release_number(struct call *call, int fd)
{
	int i = fd - call->supervisor->queue_fd;

	if (i < 0 || i >= QUEUE_FDS)
		return;
	supervisor_lock(call->supervisor);
	call->process->queue_fds[i / 64] &= ~(UINT64_C(1) << (i % 64));
	supervisor_unlock(call->supervisor);
}

static int remote_fd_install(struct client *client, int fd, struct file *file, int o_flags)
{
	struct call *call = call_of(client);
	int client_fd;
	int err;

	err = standin_open_queue(call, file, &client_fd);
	if (err) {
		file_put(file);
		release_number(call, fd);
		return -EMFILE;
	}
	err = notify_put_fd(call->supervisor->listener, &call->n, client_fd, fd, o_flags & O_CLOEXEC);
	release_number(call, fd);
	close(client_fd); /* where the client has none, this is the last, and the queue is closed */
	return err < 0 && err != -ENOENT ? -EMFILE : 0;
}

static void remote_fd_unreserve(struct client *client, int fd, struct file *file)
{
	(void)file;
	release_number(call_of(client), fd);
}

static bool remote_capable(struct client *client, int cap)
{
	return process_capabilities(call_of(client)->supervisor, client->tid) >> cap & 1;
}

static const struct client_ops remote_ops = {
	.read = remote_read,
	.copy_out = remote_copy_out,
	.mm = remote_client_mm,
	.file = remote_file,
	.memory_file = remote_memory_file,
	.fd_reserve = remote_fd_reserve,
	.fd_install = remote_fd_install,
	.fd_unreserve = remote_fd_unreserve,
	.capable = remote_capable,
};

void remote_client_init(struct call *call)
{
	call->client.ops = &remote_ops;
	call->client.fd = -1;
}

ssize_t remote_string(struct call *call, uaddr_t src, char *dst, size_t size)
{
	size_t done = 0;

	while (done < size) {
		/* Most paths are short: ask for little first, and never across a page that need not be there. */
		size_t want = done ? size - done : 256;
		size_t page = PAGE_SIZE - (src.va + done) % PAGE_SIZE;
		size_t got;
		char *end;

		want = want < page ? want : page;
		want = want < size - done ? want : size - done;
		got = client_read(&call->client, dst + done, uaddr_add(src, done), want);
		end = memchr(dst + done, '\0', got);
		if (end)
			return end - dst;
		if (got < want)
			return -EFAULT;
		done += got;
	}
	return -ENAMETOOLONG;
}
