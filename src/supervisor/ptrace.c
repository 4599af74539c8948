/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel asks of a debugger, in its order. All of it can be read below /proc, but for:
 * - whether a process may be dumped. If it has our user and group, a thread of ours without capabilities finds it out;
 * else the owner of its files below /proc says it, who is root where it may not;
 * - what it has allowed itself (PR_SET_PTRACER): it counts as nothing;
 * - other security modules (SELinux, AppArmor): they decide about us.
 */
#include "supervisor/ptrace.h"

#include "base/thread.h"
#include "supervisor/ancestry.h"
#include "supervisor/notify.h"
#include "supervisor/process.h"
#include "supervisor/remote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/kcmp.h>
#include <linux/nsfs.h>

#ifndef NS_GET_PID_FROM_PIDNS
#define NS_GET_PID_FROM_PIDNS _IOR(NSIO, 0x6, int) /* since Linux 6.11 */
#endif

#define OVERFLOW_UID   65534 /* of who has no number in our user namespace */
#define NAMESPACES_MAX 33    /* one in another; the kernel allows 32 */

static bool has_ids(const struct ptrace_rights *target, uid_t uid, gid_t gid)
{
	for (unsigned i = 0; i < 3; i++)
		if (target->uid[i] != uid || target->gid[i] != gid)
			return false;
	return true;
}

static bool yama_allows(const struct ptrace_question *q)
{
	switch (q->scope) {
	case PTRACE_SCOPE_CLASSIC:
		return true;
	case PTRACE_SCOPE_RELATIONAL:
		return q->descends || q->privileged;
	case PTRACE_SCOPE_CAPABILITY:
		return q->privileged;
	default:
		return false;
	}
}

bool ptrace_is_allowed(const struct ptrace_question *q)
{
	const bool covered =
		q->caller.user_namespace == q->target.user_namespace && !(q->target.permitted & ~q->caller.permitted);

	if (q->same)
		return true;
	if (!has_ids(&q->target, q->caller.uid[0], q->caller.gid[0]) && !q->privileged)
		return false;
	if (!q->dumpable && !q->over_memory)
		return false;
	if (!covered && !q->privileged)
		return false;
	return yama_allows(q);
}

/* What the kernel says */

/* errno of who asked for something below /proc. */
static int proc_error(void)
{
	switch (errno) {
	case EMFILE:
	case ENFILE:
		return -ENFILE;
	case ENOMEM:
		return -ENOMEM;
	default:
		return -ESRCH;
	}
}

static FILE *open_status(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	return fopen(path, "re");
}

static bool stat_proc(pid_t tid, const char *name, struct stat *st)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, name);
	return stat(path, st) == 0;
}

/* What is read of one process at once. */
struct task {
	struct ptrace_rights rights;
	uint64_t effective; /* capabilities */
	pid_t tgid;
	bool has_memory; /* it is not a kernel's thread, nor a zombie */
};

/* Returns 0, or -ESRCH, -ENFILE, -ENOMEM. */
static int read_task(const struct supervisor *s, pid_t tid, struct task *task)
{
	FILE *status = open_status(tid);
	char line[256];
	struct stat own, ns;

	if (!status)
		return proc_error();
	memset(task, 0, sizeof(*task));
	while (fgets(line, sizeof(line), status)) {
		struct ptrace_rights *r = &task->rights;

		if (sscanf(line, "Uid: %u %u %u", &r->uid[0], &r->uid[1], &r->uid[2]) == 3 ||
		    sscanf(line, "Gid: %u %u %u", &r->gid[0], &r->gid[1], &r->gid[2]) == 3 ||
		    sscanf(line, "Tgid: %d", &task->tgid) == 1)
			continue;
		if (!strncmp(line, "CapPrm:", 7))
			r->permitted = strtoull(line + 7, NULL, 16);
		else if (!strncmp(line, "CapEff:", 7))
			task->effective = strtoull(line + 7, NULL, 16);
		else if (!strncmp(line, "VmSize:", 7))
			task->has_memory = true;
	}
	fclose(status);
	if (!task->tgid || !stat_proc(tid, "ns/user", &ns))
		ns.st_ino = 0;
	task->rights.user_namespace = ns.st_ino;
	/* Those of a user namespace of ours are what they would be without it. */
	if (s->user_namespace && stat("/proc/self/ns/user", &own) == 0 && ns.st_ino == own.st_ino)
		task->rights.permitted = task->effective = s->ambient;
	return task->tgid ? 0 : -ESRCH;
}

struct dump_probe {
	pid_t tid;
	bool refused;
};

/* kcmp asks whether we may read, which Yama has no say in; but where it is kept from us (in a container) that tells
 * nothing, and what is not mapped is read: who may, finds that out. */
static bool is_refused(pid_t tid)
{
	char byte;
	struct iovec local = {&byte, 1};
	struct iovec remote = {NULL, 1};

	if (syscall(__NR_kcmp, getpid(), tid, KCMP_VM, 0, 0) >= 0)
		return false;
	return process_vm_readv(tid, &local, 1, &remote, 1, 0) < 0 && errno == EPERM;
}

static void *probe_dumpable(void *context)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	struct dump_probe *probe = context;

	if (syscall(__NR_capget, &header, data) == 0) {
		data[0].effective = data[1].effective = 0;
		syscall(__NR_capset, &header, data);
	}
	probe->refused = is_refused(probe->tid);
	return NULL;
}

static bool is_dumpable(pid_t tid, const struct ptrace_rights *rights)
{
	struct dump_probe probe = {.tid = tid};
	struct stat st;
	pthread_t thread;

	if (!has_ids(rights, getuid(), getgid()))
		return stat_proc(tid, "stat", &st) && st.st_uid == rights->uid[1] && st.st_gid == rights->gid[1];
	if (thread_start(&thread, "iommuse-probe", probe_dumpable, &probe))
		return false;
	pthread_join(thread, NULL);
	return !probe.refused;
}

/* Has a process CAP_SYS_PTRACE in the user namespace of another? It has in all that are inside of its own if it has it
 * there, or is the owner of the outermost of them. */
static bool has_ptrace_in(const struct task *caller, pid_t target)
{
	const bool capable = caller->effective >> CAP_SYS_PTRACE & 1;
	char path[64];
	struct stat st;
	uid_t owner = 0;
	bool owned = false, found = false;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)target);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; fd >= 0 && i < NAMESPACES_MAX && !found; i++) {
		int parent = -1;

		if (fstat(fd, &st) == 0 && st.st_ino == caller->rights.user_namespace) {
			found = true;
		} else {
			owned = ioctl(fd, NS_GET_OWNER_UID, &owner) == 0 && owner == caller->rights.uid[1];
			parent = ioctl(fd, NS_GET_PARENT);
		}
		close(fd);
		fd = parent;
	}
	if (fd >= 0)
		close(fd);
	return found && (capable || owned);
}

/*
 * Memory that may not be dumped is of the user namespace in which its program was started, as are its files below
 * /proc: they are its root's. Where that is our own root, or nobody that we know, it may be any namespace around the
 * process's own one.
 */
static bool has_ptrace_over(const struct task *caller, pid_t target)
{
	struct stat own, st;

	if (caller->effective >> CAP_SYS_PTRACE & 1 && stat("/proc/self/ns/user", &own) == 0 &&
	    own.st_ino == caller->rights.user_namespace)
		return true;
	return stat_proc(target, "stat", &st) && st.st_uid && st.st_uid != OVERFLOW_UID;
}

static int read_scope(void)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = PTRACE_SCOPE_CLASSIC;

	if (!f)
		return errno == ENOENT ? PTRACE_SCOPE_CLASSIC : PTRACE_SCOPE_NO_ATTACH;
	if (fscanf(f, "%d", &scope) != 1)
		scope = PTRACE_SCOPE_NO_ATTACH;
	fclose(f);
	return scope;
}

/* The number of a process of the client's, in its namespace of them, in ours. Returns 0 or -ESRCH. */

static int search_pid(ino_t namespace, pid_t pid, pid_t *found)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	*found = 0;
	while (proc && !*found && (entry = readdir(proc))) {
		const pid_t candidate = (pid_t)strtol(entry->d_name, NULL, 10);
		const char *last;
		char line[256];
		struct stat st;
		FILE *status;

		if (candidate <= 0 || !stat_proc(candidate, "ns/pid", &st) || st.st_ino != namespace)
			continue;
		status = open_status(candidate);
		while (status && fgets(line, sizeof(line), status)) {
			last = strrchr(line, '\t');
			if (!strncmp(line, "NSpid:", 6) && last && strtol(last, NULL, 10) == pid)
				*found = candidate;
		}
		if (status)
			fclose(status);
	}
	if (proc)
		closedir(proc);
	return *found ? 0 : -ESRCH;
}

static int own_pid(pid_t client, pid_t pid, pid_t *own)
{
	struct stat ours, theirs;
	char path[64];
	int fd, found, error;

	*own = pid;
	if (stat("/proc/self/ns/pid", &ours) || !stat_proc(client, "ns/pid", &theirs))
		return proc_error();
	if (ours.st_ino == theirs.st_ino)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)client);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return proc_error();
	found = ioctl(fd, NS_GET_PID_FROM_PIDNS, pid);
	error = found < 0 ? errno : 0;
	close(fd);
	if (!error) {
		*own = found;
		return 0;
	}
	return error == ENOTTY ? search_pid(theirs.st_ino, pid, own) : -ESRCH;
}

/* May the client? Stores what was read of the target. Returns 0, -EACCES, -ESRCH, -ENFILE, -ENOMEM. */
static int check(const struct call *call, pid_t pid, struct task *target)
{
	struct ptrace_question q;
	struct task caller;
	int rc = read_task(call->supervisor, call->n.tid, &caller);

	if (!rc)
		rc = read_task(call->supervisor, pid, target);
	if (rc)
		return rc;
	q = (struct ptrace_question){
		.same = syscall(__NR_kcmp, call->n.tid, pid, KCMP_VM, 0, 0) == 0,
		.caller = caller.rights,
		.target = target->rights,
		.privileged = has_ptrace_in(&caller, pid),
		.scope = read_scope(),
	};
	q.over_memory = q.privileged && has_ptrace_over(&caller, pid);
	q.dumpable = q.over_memory || is_dumpable(pid, &target->rights);
	q.descends = q.scope == PTRACE_SCOPE_RELATIONAL &&
		     (target->tgid == caller.tgid || process_descends(target->tgid, caller.tgid) > 0);
	/* Of a target that has ended meanwhile not all could be read. */
	if (!ptrace_is_allowed(&q)) {
		rc = read_task(call->supervisor, pid, target);
		return rc ? rc : target->has_memory ? -EACCES : -ESRCH;
	}
	/* The client's number may have been another one's. */
	return notify_valid(call->supervisor->listener, &call->n) ? 0 : -ESRCH;
}

/*
 * It is asked again when the memory is open: the process may have executed another program meanwhile, which has rights
 * that the client has not (a set-user-ID one).
 */
static int check_and_open(const struct call *call, pid_t pid, pid_t tgid, int pidfd, struct mm **mm)
{
	struct task target;
	int rc = check(call, pid, &target);

	if (!rc)
		rc = target.tgid == tgid ? process_open_mm(call->supervisor, tgid, pid, pidfd, mm) : -ESRCH;
	if (rc)
		return rc;
	rc = check(call, pid, &target);
	if (!rc && target.tgid != tgid)
		rc = -ESRCH;
	if (rc)
		mm_put(*mm);
	return rc;
}

int remote_find_mm(struct client *client, pid_t pid, struct mm **mm)
{
	struct call *call = (struct call *)client;
	struct task target;
	int pidfd;
	int rc = pid > 0 ? own_pid(call->n.tid, pid, &pid) : -ESRCH;

	if (!rc)
		rc = read_task(call->supervisor, pid, &target);
	if (rc)
		return rc;
	if (!target.has_memory)
		return -ESRCH;
	/* Ours is nobody's to look into: a client could have us do anything. */
	if (target.tgid == getpid())
		return -EACCES;
	if (target.tgid == call->client.pid) {
		*mm = mm_get(client->ops->mm(client));
		return 0;
	}
	/* What is looked at from here on is one process's. */
	pidfd = (int)syscall(__NR_pidfd_open, target.tgid, 0);
	if (pidfd < 0)
		return proc_error();
	rc = check_and_open(call, pid, target.tgid, pidfd, mm);
	close(pidfd);
	return rc;
}
