/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose memory is it? process_vm_readv and process_vm_writev take a thread id, and execve puts another memory behind
 * it, killing the threads that wait for us, but not before we might have decided to write. So execve is trapped, too,
 * and:
 * - a read counts only if the call is still valid after it: the thread that waited was alive then, so its memory was
 * the old one;
 * - a write is announced in call->writing before call->exec_tried is looked at, and exec_let_go() sets exec_tried
 * before it looks at writing: either the write sees the execve, or the execve waits until the write has got hold of the
 * memory. A write that then blocks (a page that the client serves itself) has hold of it, which is why the wait is
 * bounded;
 * - an execve that was let go may take its time, so calls that begin until it is over are told as well;
 * - a write that saw the execve goes through descriptors of the old memory, opened before: /proc/PID/mem, which ignores
 * the protection of pages, after /proc/PID/maps has said that it may be written.
 * Writes of devices that share the process's addresses are announced in the same way (remote_mm.c).
 */
#include "supervisor/exec.h"

#include "client/vma.h"
#include "supervisor/remote_mm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define EXEC_WAIT_MS 100

/* An execve that was let go, and the memory that its process had. */
struct exec {
	struct exec *next;
	pid_t tid;
	struct memory_id id; /* of the memory */
	struct old_memory *memory;
};

struct old_memory {
	unsigned refs; /* under the lock */
	int mem, maps;
};

static int open_proc(pid_t pid, pid_t tid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, name);
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

static struct old_memory *old_memory_open(pid_t pid, pid_t tid)
{
	struct old_memory *old = calloc(1, sizeof(*old));

	if (!old)
		return NULL;
	old->refs = 1;
	old->mem = open_proc(pid, tid, "mem", O_RDWR);
	old->maps = open_proc(pid, tid, "maps", O_RDONLY);
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

/* Another address space is the process's from now on. */
static int replace_mm(struct supervisor *s, struct process *p)
{
	struct remote_mm *mm = remote_mm_new(s, p->pid, p->mm);

	if (!mm)
		return -ENOMEM;
	remote_mm_expect_end(p->mm);
	mm_put(remote_mm_base(p->mm));
	p->mm = mm;
	return 0;
}

/* Under the lock. is: as remote_mm_is_still() says; what cannot be told stays as it was. */
static void decide(struct supervisor *s, struct process *p, int is)
{
	if (!is)
		is = replace_mm(s, p);
	else if (is > 0)
		remote_mm_expect_no_end(p->mm);
	p->exec_tried = is < 0;
}

/* While an execve is under way both are possible, and a call that began before it has the old one. */
static bool is_open_question(const struct process *p)
{
	return p->exec_tried && !p->execs;
}

void exec_settle(struct call *call)
{
	struct supervisor *s = call->supervisor;
	struct process *p = call->process;
	struct remote_mm *mm = NULL;
	int is;

	supervisor_lock(s);
	if (is_open_question(p) && !remote_mm_opened(p->mm)) {
		decide(s, p, 0);
	} else if (is_open_question(p)) {
		mm = p->mm;
		mm_get(remote_mm_base(mm));
	}
	supervisor_unlock(s);
	if (!mm)
		return;
	is = remote_mm_is_still(mm, call->n.tid);
	supervisor_lock(s);
	if (is_open_question(p) && p->mm == mm)
		decide(s, p, is);
	supervisor_unlock(s);
	mm_put(remote_mm_base(mm));
}

void exec_call_begin(struct call *call)
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

void exec_process_end(struct process *p)
{
	while (p->execs) {
		struct exec *exec = p->execs;

		p->execs = exec->next;
		old_memory_put(exec->memory);
		free(exec);
	}
}

bool exec_may_end(const struct process *p, const struct memory_id *id)
{
	for (const struct exec *exec = p->execs; exec; exec = exec->next)
		if (!id->auxv || !exec->id.auxv || memory_ids_equal(&exec->id, id))
			return true;
	return false;
}

/* Under the lock. */
static int begin_exec(struct call *call, const struct memory_id *id)
{
	struct process *p = call->process;
	struct exec *exec = calloc(1, sizeof(*exec));

	if (!exec)
		return -ENOMEM;
	exec->tid = call->n.tid;
	exec->id = *id;
	exec->memory = old_memory_open(p->pid, call->n.tid);
	if (!exec->memory) {
		free(exec);
		return -ENOMEM;
	}
	exec->next = p->execs;
	p->execs = exec;
	p->exec_tried = true;
	if (remote_mm_opened(p->mm))
		remote_mm_expect_end(p->mm);
	for (struct call *other = p->calls; other; other = other->next)
		if (other != call)
			give_old_memory(other, exec->memory);
	return 0;
}

static bool others_write(struct call *call)
{
	bool writing;

	supervisor_lock(call->supervisor);
	writing = remote_mm_is_written(call->process->mm);
	for (struct call *other = call->process->calls; other; other = other->next)
		writing |= other != call && atomic_load(&other->writing);
	supervisor_unlock(call->supervisor);
	return writing;
}

int exec_let_go(struct call *call)
{
	struct timespec pause = {.tv_nsec = 100000};
	struct memory_id id;
	int err;

	(void)memory_id_read(call->n.tid, &id);
	supervisor_lock(call->supervisor);
	err = begin_exec(call, &id);
	supervisor_unlock(call->supervisor);
	for (int i = 0; !err && i < EXEC_WAIT_MS * 10 && others_write(call); i++)
		nanosleep(&pause, NULL);
	return err;
}

void exec_call_end(struct call *call)
{
	old_memory_put(call->old_memory);
}

int exec_write_old(const struct call *call, uaddr_t dst, const void *src, size_t n)
{
	const struct old_memory *old = call->old_memory;

	if (vma_check(old->maps, dst.va, n, VMA_WRITE))
		return -EFAULT;
	return pwrite(old->mem, src, n, (off_t)dst.va) == (ssize_t)n ? 0 : -EFAULT;
}
