/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may look into whom: ptrace(2), "Ptrace access mode checking", case by case. */
#include "supervisor/ptrace.h"

#include "check.h"
#include "supervisor/process.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#define SOME (UINT64_C(1) << CAP_NET_RAW)
#define MORE (SOME | UINT64_C(1) << CAP_KILL)

enum { OUTER = 1, INNER = 2 }; /* user namespaces */

#define IDS(real, effective, saved)                                                                                    \
	{                                                                                                              \
		real, effective, saved                                                                                 \
	}
#define ALL(id) IDS(id, id, id)

#define RIGHTS(uids, gids, caps, namespace)                                                                            \
	{                                                                                                              \
		.uid = uids, .gid = gids, .permitted = (caps), .user_namespace = (namespace)                           \
	}
#define USER(id) RIGHTS(ALL(id), ALL(id), 0, OUTER)

/* Without capabilities. */
#define CALLER     .caller = USER(1000)
#define TARGET     .target = USER(1000)
#define DUMPABLE   .dumpable = true
#define PRIVILEGED .privileged = true, .over_memory = true
#define DESCENDS   .descends = true
#define USUAL      CALLER, TARGET, DUMPABLE
#define RELATIONAL .scope = PTRACE_SCOPE_RELATIONAL
#define CAPABILITY .scope = PTRACE_SCOPE_CAPABILITY
#define NO_ATTACH  .scope = PTRACE_SCOPE_NO_ATTACH

#define CALLER_IS(uids, gids, caps, namespace) .caller = RIGHTS(IDS uids, IDS gids, caps, namespace), DUMPABLE
#define TARGET_IS(uids, gids, caps, namespace) .target = RIGHTS(IDS uids, IDS gids, caps, namespace), DUMPABLE

#define OURS (1000, 1000, 1000)

static const struct {
	const char *what;
	struct ptrace_question q;
	bool allowed;
} cases[] = {
	{"the same user", {USUAL}, true},
	{"oneself, whatever else", {.same = true, CALLER, .target = USER(0), NO_ATTACH}, true},
	{"another user", {CALLER, .target = USER(1001), DUMPABLE}, false},
	{"another user, by privilege", {CALLER, .target = USER(1001), DUMPABLE, PRIVILEGED}, true},
	{"root is a user, too", {.caller = USER(0), TARGET, DUMPABLE}, false},
	{"another real user", {CALLER, TARGET_IS((1, 1000, 1000), OURS, 0, OUTER)}, false},
	{"another effective user", {CALLER, TARGET_IS((1000, 0, 1000), OURS, 0, OUTER)}, false},
	{"another saved user", {CALLER, TARGET_IS((1000, 1000, 0), OURS, 0, OUTER)}, false},
	{"another real group", {CALLER, TARGET_IS(OURS, (1, 1000, 1000), 0, OUTER)}, false},
	{"another effective group", {CALLER, TARGET_IS(OURS, (1000, 0, 1000), 0, OUTER)}, false},
	{"another saved group", {CALLER, TARGET_IS(OURS, (1000, 1000, 0), 0, OUTER)}, false},
	{"another group, by privilege", {CALLER, TARGET_IS(OURS, (1000, 1000, 0), 0, OUTER), PRIVILEGED}, true},
	{"one's effective and saved ids", {CALLER_IS((1000, 0, 0), (1000, 0, 0), 0, OUTER), TARGET}, true},
	{"one's real user", {CALLER_IS((0, 1000, 1000), OURS, 0, OUTER), TARGET}, false},
	{"one's real group", {CALLER_IS(OURS, (0, 1000, 1000), 0, OUTER), TARGET}, false},
	{"not dumpable", {CALLER, TARGET}, false},
	{"not dumpable, by privilege", {CALLER, TARGET, PRIVILEGED}, true},
	{"not dumpable, from outside, by privilege inside", {CALLER, TARGET, .privileged = true}, false},
	{"a capability that the caller has not", {CALLER, TARGET_IS(OURS, OURS, SOME, OUTER)}, false},
	{"the same capabilities",
	 {.caller = RIGHTS(IDS OURS, IDS OURS, SOME, OUTER), TARGET_IS(OURS, OURS, SOME, OUTER)},
	 true},
	{"fewer capabilities",
	 {.caller = RIGHTS(IDS OURS, IDS OURS, MORE, OUTER), TARGET_IS(OURS, OURS, SOME, OUTER)},
	 true},
	{"more capabilities",
	 {.caller = RIGHTS(IDS OURS, IDS OURS, SOME, OUTER), TARGET_IS(OURS, OURS, MORE, OUTER)},
	 false},
	{"more capabilities, by privilege", {CALLER, TARGET_IS(OURS, OURS, MORE, OUTER), PRIVILEGED}, true},
	{"another user namespace", {CALLER, TARGET_IS(OURS, OURS, 0, INNER)}, false},
	{"another user namespace, by privilege", {CALLER, TARGET_IS(OURS, OURS, 0, INNER), PRIVILEGED}, true},
	{"a stranger, relational", {USUAL, RELATIONAL}, false},
	{"a descendant, relational", {USUAL, RELATIONAL, DESCENDS}, true},
	{"a stranger by privilege, relational", {USUAL, RELATIONAL, PRIVILEGED}, true},
	{"another user's descendant, relational",
	 {CALLER, .target = USER(1001), DUMPABLE, RELATIONAL, DESCENDS},
	 false},
	{"a descendant, by capability only", {USUAL, CAPABILITY, DESCENDS}, false},
	{"by privilege, by capability only", {USUAL, CAPABILITY, PRIVILEGED}, true},
	{"nobody may", {USUAL, NO_ATTACH, DESCENDS, PRIVILEGED}, false},
	{"a scope that nobody knows", {USUAL, .scope = 4, DESCENDS, PRIVILEGED}, false},
};

static void each_case(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_equal(ptrace_is_allowed(&cases[i].q), cases[i].allowed, cases[i].what, __FILE__, __LINE__);
}

/* Real processes: what is found out about them. */

static struct mm own, others;
static pid_t opened;
static bool hides, caller_ends;
static volatile sig_atomic_t *hidden; /* shared with children */

int process_open_mm(struct supervisor *s, pid_t pid, pid_t tid, int alive, struct mm **mm)
{
	(void)s;
	(void)tid;
	(void)alive;
	opened = pid;
	if (hides)
		kill(pid, SIGUSR1);
	while (hides && !*hidden)
		sched_yield();
	*mm = mm_get(&others);
	return 0;
}

bool notify_valid(int listener, const struct notification *n)
{
	(void)listener;
	(void)n;
	return !caller_ends;
}

static struct mm *own_mm(struct client *client)
{
	(void)client;
	return &own;
}

static struct supervisor supervisor;

/* What iommuse, which this process is, answers another one. */
static int find_for(pid_t caller, pid_t pid)
{
	static const struct client_ops ops = {.mm = own_mm};
	struct call call = {
		.supervisor = &supervisor, .client = {.ops = &ops, .pid = caller, .tid = caller}, .n.tid = caller};
	struct mm *mm;
	int rc = remote_find_mm(&call.client, pid, &mm);

	return rc ? rc : mm == &own ? 1 : 0;
}

static int find(pid_t pid)
{
	return find_for(getpid(), pid);
}

enum {
	PLAIN,
	NOT_DUMPABLE,
	ZOMBIE,
	RESTING, /* its capabilities are permitted, but not in effect */
};

static void rest(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(__NR_capget, &header, data) == 0) {
		data[0].effective = data[1].effective = 0;
		syscall(__NR_capset, &header, data);
	}
}

/* Can be looked into until it gets SIGUSR1. */
static _Noreturn void live(void)
{
	sigset_t hide;
	int number;

	sigemptyset(&hide);
	sigaddset(&hide, SIGUSR1);
	while (sigwait(&hide, &number) || number != SIGUSR1)
		continue;
	prctl(PR_SET_DUMPABLE, 0);
	*hidden = 1;
	for (;;)
		pause();
}

static pid_t child_of(uid_t uid, int kind)
{
	sigset_t blocked;
	int ready[2];
	char byte;
	pid_t pid;

	CHECK_EQ(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (uid && (setgid(uid) || setuid(uid)))
			_exit(1);
		if (kind == RESTING)
			rest();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&blocked);
		sigaddset(&blocked, SIGUSR1);
		sigprocmask(SIG_BLOCK, &blocked, NULL);
		prctl(PR_SET_DUMPABLE, kind == NOT_DUMPABLE ? 0 : 1);
		if (kind != ZOMBIE && write(ready[1], "", 1) == 1)
			live();
		_exit(0);
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), kind == ZOMBIE ? 0 : 1);
	close(ready[0]);
	if (kind == ZOMBIE) {
		siginfo_t info;

		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* For a process of that user; of this one, it is resting. */
static int found_by(uid_t uid, pid_t pid)
{
	pid_t caller = child_of(uid, uid ? PLAIN : RESTING);
	int rc = find_for(caller, pid);

	end(caller);
	return rc;
}

static void who_is_there(void)
{
	pid_t child;

	CHECK_EQ(find(getpid()), -EACCES); /* iommuse itself, also for root */
	CHECK_EQ(find(0), -ESRCH);
	CHECK_EQ(find(-1), -ESRCH);
	CHECK_EQ(find(INT32_MAX), -ESRCH);
	if (getpid() != 2 && !access("/proc/2/status", F_OK) && access("/proc/2/exe", F_OK))
		CHECK_EQ(find(2), -ESRCH); /* a kernel's thread */
	child = child_of(0, ZOMBIE);
	CHECK_EQ(find(child), -ESRCH);
	end(child);
	child = child_of(0, PLAIN);
	CHECK_EQ(find(child), 0);
	CHECK_EQ(opened, child);
	CHECK_EQ(find_for(child, child), 1);
	end(child);
	child = child_of(0, NOT_DUMPABLE);
	CHECK_EQ(find(child), getuid() ? -EACCES : 0);
	end(child);
}

static void users_of_the_machine(void)
{
	pid_t child = child_of(1000, PLAIN);
	unsigned refs;

	CHECK_EQ(found_by(1000, child), 0);
	refs = atomic_load(&others.refs);
	CHECK_EQ(found_by(1001, child), -EACCES);
	CHECK_EQ(found_by(1000, getpid()), -EACCES);
	end(child);
	child = child_of(1000, NOT_DUMPABLE);
	CHECK_EQ(found_by(1000, child), -EACCES);
	end(child);
	/* As one that executes a program with more rights just before its memory is opened. */
	child = child_of(1000, PLAIN);
	hides = true;
	CHECK_EQ(found_by(1000, child), -EACCES);
	CHECK_EQ(opened, child);
	hides = false;
	CHECK_EQ(atomic_load(&others.refs), refs);
	end(child);
	/* What was read was perhaps not about the caller. */
	child = child_of(1000, PLAIN);
	caller_ends = true;
	CHECK_EQ(found_by(1000, child), -ESRCH);
	caller_ends = false;
	end(child);
	/* What is root's by its files anyway. */
	child = child_of(0, PLAIN);
	CHECK_EQ(found_by(0, child), 0);
	end(child);
	child = child_of(0, NOT_DUMPABLE);
	CHECK_EQ(found_by(0, child), -EACCES);
	CHECK_EQ(find(child), 0); /* by privilege */
	end(child);
}

int main(void)
{
	hidden = mmap(NULL, sizeof(*hidden), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(hidden != MAP_FAILED);
	each_case();
	who_is_there();
	if (!getuid())
		users_of_the_machine();
	return check_result();
}
