/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/remote.h"

#include "base/log.h"
#include "supervisor/exec.h"
#include "supervisor/process.h"
#include "supervisor/remote_files.h"

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

struct remote_mm {
	struct mm base;
	bool used;
	int mem; /* /proc/PID/mem: reads nothing once the memory is gone; -1: it could not be opened */
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
		return exec_write_old(call, dst, src, n);
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

void remote_call_end(struct call *call)
{
	if (call->mm)
		mm_put(call->mm);
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
	char path[64];

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
		snprintf(path, sizeof(path), "/proc/%d/mem", (int)call->n.tid);
		mm->mem = open(path, O_RDONLY | O_CLOEXEC);
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
