/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose address space a process may bind to a container: those that it could attach to with ptrace, by its own
 * credentials. Device 0 is dmax. Most of it needs a client that is root.
 */
#include "accel.h"
#include "peer.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { NONE = 0, PTRACE = 1 << CAP_SYS_PTRACE, ALL = 0x7fffffff };

/* Asked of callers and of those who are bound. */
enum { BIND, UNBIND, DUMPABLE, USERS, GROUPS, SUPPLEMENTARY, CAPS, NAMESPACE, EXIT };

static struct accel device;

static long set_capabilities(uint64_t permitted, uint64_t effective)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (int i = 0; i < 2; i++) { /* ALL: what it has */
		uint32_t of_half = i ? 0 : ~0u;

		data[i].permitted &= permitted == ALL ? ~0u : (uint32_t)permitted & of_half;
		data[i].effective = data[i].permitted & (effective == ALL ? ~0u : (uint32_t)effective & of_half);
		data[i].inheritable = 0;
	}
	return ERR(syscall(SYS_capset, &header, data));
}

/* Of an address space that may have become one that nobody can look into: what BIND has filled in. */
static long unbind_known(pid_t pid, uint32_t pasid)
{
	struct vfio_bind_process b = {sizeof(b), BIND_PROCESS, WITH_PID, pasid, pid};

	return unbind_as(device.rig.container, &b);
}

#define TRIPLE(r, e, s) ((uint64_t)(r) << 40 | (uint64_t)(e) << 20 | (uint64_t)(s))

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	const gid_t group = (gid_t)a;
	const unsigned r = (unsigned)(a >> 40);
	const unsigned e = (unsigned)(a >> 20) & 0xfffff;
	const unsigned s = (unsigned)a & 0xfffff;

	(void)socket;
	switch (op) {
	case BIND:
		return bind_process(device.rig.container, (pid_t)a);
	case UNBIND:
		return unbind_known((pid_t)a, (uint32_t)b);
	case DUMPABLE:
		return ERR(prctl(PR_SET_DUMPABLE, a));
	case USERS:
		return ERR(setresuid(r, e, s));
	case GROUPS:
		return ERR(setresgid(r, e, s));
	case SUPPLEMENTARY:
		return ERR(setgroups(1, &group));
	case CAPS:
		return set_capabilities(a, b);
	case NAMESPACE:
		return ERR(unshare(CLONE_NEWUSER));
	case EXIT:
		_exit(0);
	}
	return -ENOSYS;
}

/* 0 where there is none. */
static int yama(void)
{
	char text = '0';
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	(void)!read(fd, &text, 1);
	close(fd);
	return text - '0';
}

static bool has_capability(unsigned number)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {{0}};

	return syscall(SYS_capget, &header, data) == 0 && data[0].effective >> number & 1;
}

/* Opens the device, and says whether the case makes sense here. */
static bool begin(struct test *t, bool root)
{
	if (yama() == 1 && root) { /* docs/limits.md: whom a process lets attach, in spite of it, cannot be seen */
		test_skip(t, "Yama forbids ptrace to all who are not above a process");
		return false;
	}
	if (yama() > 1) {
		test_skip(t, "Yama forbids ptrace to all without CAP_SYS_PTRACE");
		return false;
	}
	if (root && (geteuid() != 0 || !has_capability(CAP_SYS_PTRACE) || !has_capability(CAP_SETUID))) {
		test_skip(t, "the client is not root");
		return false;
	}
	return SAME(t, accel_open(&device, TYPE1V2, 0), 0);
}

/* Whether caller binds target; what was bound is unbound again. */
static void expect_asked(struct test *t, const char *what, const struct peer *caller, const struct peer *target,
			 bool allowed)
{
	long rc = caller ? peer_ask(caller, BIND, (uint64_t)target->pid, 0)
			 : bind_process(device.rig.container, target->pid);
	long undone;

	if (rc <= 0) {
		if (allowed || rc != -EACCES)
			test_fail(t, "%s: %s, not %s", what, rc ? strerrorname_np((int)-rc) : "PASID 0",
				  allowed ? "bound" : "EACCES");
		return;
	}
	if (!allowed)
		test_fail(t, "%s: bound, not EACCES", what);
	undone = caller ? peer_ask(caller, UNBIND, (uint64_t)target->pid, (uint64_t)rc)
			: unbind_known(target->pid, (uint32_t)rc);
	if (undone)
		test_fail(t, "%s: UNBIND gives %s", what, strerrorname_np((int)-undone));
}

static void own_child(struct test *t)
{
	struct peer child;

	if (!begin(t, false))
		return;
	child = peer_start(serve);
	expect_asked(t, "a child", NULL, &child, true);
	SAME(t, peer_end(&child), 0);
}

/* A brother is neither above nor below. */
static void brother(struct test *t)
{
	struct peer caller;
	struct peer target;

	if (!begin(t, false))
		return;
	caller = peer_start(serve);
	target = peer_start(serve);
	expect_asked(t, "a brother", &caller, &target, yama() == 0 || has_capability(CAP_SYS_PTRACE));
	SAME(t, peer_end(&caller), 0);
	SAME(t, peer_end(&target), 0);
}

/* Who says that nobody may look into it is bound by privilege only. */
static void not_dumpable(struct test *t)
{
	struct peer child;

	if (!begin(t, false))
		return;
	child = peer_start(serve);
	for (int i = 0; i < 3; i++) {
		SAME(t, peer_ask(&child, DUMPABLE, 0, 0), 0);
		expect_asked(t, "not dumpable", NULL, &child, has_capability(CAP_SYS_PTRACE));
		SAME(t, peer_ask(&child, DUMPABLE, 1, 0), 0);
		expect_asked(t, "dumpable", NULL, &child, true);
	}
	SAME(t, peer_end(&child), 0);
}

/* Its own it may bind always. */
static void not_dumpable_itself(struct test *t)
{
	long rc;

	if (!begin(t, false))
		return;
	SAME(t, ERR(prctl(PR_SET_DUMPABLE, 0)), 0);
	rc = bind_process(device.rig.container, 0);
	if (rc == -EFAULT || rc == -ENOTTY) { /* docs/limits.md */
		test_skip(t, "iommuse may not look at a process that is not dumpable");
		return;
	}
	CHECK(t, rc > 0);
	SAME(t, bind_process(device.rig.container, getpid()), rc);
	SAME(t, unbind_process(device.rig.container, getpid()), 0);
}

/* Bound, and then nobody may look into it any more: who bound it can unbind it. */
static void unbound_when_unreadable(struct test *t)
{
	struct peer child;
	long pasid;

	if (!begin(t, false))
		return;
	child = peer_start(serve);
	pasid = bind_process(device.rig.container, child.pid);
	CHECK(t, pasid > 0);
	SAME(t, peer_ask(&child, DUMPABLE, 0, 0), 0);
	SAME(t, unbind_known(child.pid, (uint32_t)pasid), 0);
	/* Not bound; but who asks may not even know. */
	SAME(t, unbind_known(child.pid, (uint32_t)pasid), has_capability(CAP_SYS_PTRACE) ? -ESRCH : -EACCES);
	SAME(t, peer_end(&child), 0);
}

struct ids {
	const char *what;
	uint64_t caller, target;
	bool allowed;
};

static void by_ids(struct test *t, unsigned which, const struct ids *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct peer caller = peer_start(serve);
		struct peer target = peer_start(serve);

		if (which == GROUPS) {
			SAME(t, peer_ask(&caller, GROUPS, list[i].caller, 0), 0);
			SAME(t, peer_ask(&target, GROUPS, list[i].target, 0), 0);
		}
		SAME(t, peer_ask(&caller, USERS, which == USERS ? list[i].caller : TRIPLE(1000, 1000, 1000), 0), 0);
		SAME(t, peer_ask(&target, USERS, which == USERS ? list[i].target : TRIPLE(1000, 1000, 1000), 0), 0);
		/* A change of user makes a process one that nobody may look into. */
		expect_asked(t, list[i].what, &caller, &target, false);
		SAME(t, peer_ask(&target, DUMPABLE, 1, 0), 0);
		expect_asked(t, list[i].what, &caller, &target, list[i].allowed);
		SAME(t, peer_end(&caller), 0);
		SAME(t, peer_end(&target), 0);
	}
}

/* The caller's real one has to be all of the other's. */
static const struct ids ids[] = {
	{"the same", TRIPLE(1000, 1000, 1000), TRIPLE(1000, 1000, 1000), true},
	{"another", TRIPLE(1000, 1000, 1000), TRIPLE(1001, 1001, 1001), false},
	{"another saved", TRIPLE(1000, 1000, 1000), TRIPLE(1000, 1000, 1001), false},
	{"another effective", TRIPLE(1000, 1000, 1000), TRIPLE(1000, 1001, 1000), false},
	{"another real", TRIPLE(1000, 1000, 1000), TRIPLE(1001, 1000, 1000), false},
	{"the caller's real", TRIPLE(1000, 1001, 1001), TRIPLE(1000, 1000, 1000), true},
	{"the caller's effective", TRIPLE(1001, 1000, 1000), TRIPLE(1000, 1000, 1000), false},
};

static void users(struct test *t)
{
	if (begin(t, true))
		by_ids(t, USERS, ids, sizeof(ids) / sizeof(ids[0]));
}

static void groups(struct test *t)
{
	if (begin(t, true))
		by_ids(t, GROUPS, ids, sizeof(ids) / sizeof(ids[0]));
}

/* Other groups than these do not matter. */
static void supplementary_groups(struct test *t)
{
	struct peer caller;
	struct peer target;

	if (!begin(t, true))
		return;
	caller = peer_start(serve);
	target = peer_start(serve);
	SAME(t, peer_ask(&caller, SUPPLEMENTARY, 1005, 0), 0);
	SAME(t, peer_ask(&target, SUPPLEMENTARY, 1006, 0), 0);
	SAME(t, peer_ask(&caller, USERS, TRIPLE(1000, 1000, 1000), 0), 0);
	SAME(t, peer_ask(&target, USERS, TRIPLE(1000, 1000, 1000), 0), 0);
	SAME(t, peer_ask(&target, DUMPABLE, 1, 0), 0);
	expect_asked(t, "other supplementary groups", &caller, &target, true);
	SAME(t, peer_end(&caller), 0);
	SAME(t, peer_end(&target), 0);
}

static void root_and_others(struct test *t)
{
	struct peer user;
	struct peer root;

	if (!begin(t, true))
		return;
	user = peer_start(serve);
	root = peer_start(serve);
	SAME(t, peer_ask(&user, USERS, TRIPLE(1000, 1000, 1000), 0), 0);
	expect_asked(t, "root's, by a user", &user, &root, false);
	expect_asked(t, "a user's, by root", &root, &user, true);
	expect_asked(t, "a user's, by who started it", NULL, &user, true);
	SAME(t, peer_end(&user), 0);
	SAME(t, peer_end(&root), 0);
}

struct caps {
	const char *what;
	uint64_t permitted, effective; /* the caller's */
	uint64_t theirs;
	bool dumpable, same_user, allowed;
};

/* Without CAP_SYS_PTRACE nobody binds one with more capabilities than its own. */
static void capabilities(struct test *t)
{
	static const struct caps list[] = {
		{"all by none", NONE, NONE, ALL, true, true, false},
		{"none by none", NONE, NONE, NONE, true, true, true},
		{"none by none, not dumpable", NONE, NONE, NONE, false, true, false},
		{"none by none, another user", NONE, NONE, NONE, true, false, false},
		{"all by CAP_SYS_PTRACE", PTRACE, PTRACE, ALL, true, true, true},
		{"all by CAP_SYS_PTRACE, not dumpable", PTRACE, PTRACE, ALL, false, true, true},
		{"another user by CAP_SYS_PTRACE", PTRACE, PTRACE, NONE, true, false, true},
		{"another user by CAP_SYS_PTRACE, not dumpable", PTRACE, PTRACE, NONE, false, false, true},
		{"another user by CAP_SYS_PTRACE that is permitted only", PTRACE, NONE, NONE, true, false, false},
		{"all by all that are permitted only", ALL, NONE, ALL, true, true, true},
		{"all by all that are permitted only, not dumpable", ALL, NONE, ALL, false, true, false},
		{"another user by all others", ALL & ~PTRACE, ALL & ~PTRACE, NONE, true, false, false},
		{"none by all others, not dumpable", ALL & ~PTRACE, ALL & ~PTRACE, NONE, false, true, false},
	};

	if (!begin(t, true))
		return;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct peer caller = peer_start(serve);
		struct peer target = peer_start(serve);

		SAME(t, peer_ask(&caller, CAPS, list[i].permitted, list[i].effective), 0);
		SAME(t, peer_ask(&target, CAPS, list[i].theirs, list[i].theirs), 0);
		if (!list[i].same_user) {
			peer_end(&target);
			target = peer_start(serve);
			SAME(t, peer_ask(&target, USERS, TRIPLE(1000, 1000, 1000), 0), 0);
		}
		SAME(t, peer_ask(&target, DUMPABLE, list[i].dumpable, 0), 0);
		expect_asked(t, list[i].what, &caller, &target, list[i].allowed);
		SAME(t, peer_end(&caller), 0);
		SAME(t, peer_end(&target), 0);
	}
}

/* In a user namespace one has all capabilities, but only there; who made it has them there, too. */
static void user_namespaces(struct test *t)
{
	struct peer inside;
	struct peer outside;

	if (yama() == 1) {
		test_skip(t, "Yama forbids ptrace to all who are not above a process");
		return;
	}
	if (!begin(t, false))
		return;
	inside = peer_start(serve);
	outside = peer_start(serve);
	SAME(t, peer_ask(&inside, CAPS, NONE, NONE), 0);
	SAME(t, peer_ask(&outside, CAPS, NONE, NONE), 0);
	if (peer_ask(&inside, NAMESPACE, 0, 0)) {
		test_skip(t, "no user namespace can be made here");
		peer_end(&inside);
		peer_end(&outside);
		return;
	}
	SAME(t, peer_ask(&inside, DUMPABLE, 1, 0), 0);
	expect_asked(t, "inside, by its user outside", &outside, &inside, true);
	expect_asked(t, "outside, by one inside", &inside, &outside, false);
	/* Its program was started outside, where its user has no capability. */
	SAME(t, peer_ask(&inside, DUMPABLE, 0, 0), 0);
	expect_asked(t, "inside and not dumpable, by its user outside", &outside, &inside, false);
	SAME(t, peer_end(&inside), 0);
	SAME(t, peer_end(&outside), 0);
}

/* The permission was decided at BIND: what the caller loses later takes no bond away. */
static void lost_later(struct test *t)
{
	struct peer caller;
	struct peer target;
	long pasid;

	if (!begin(t, true))
		return;
	caller = peer_start(serve);
	target = peer_start(serve);
	pasid = peer_ask(&caller, BIND, (uint64_t)target.pid, 0);
	CHECK(t, pasid > 0);
	SAME(t, peer_ask(&caller, USERS, TRIPLE(1000, 1000, 1000), 0), 0);
	SAME(t, peer_ask(&caller, BIND, (uint64_t)target.pid, 0), -EACCES);
	SAME(t, bind_process(device.rig.container, target.pid), pasid);
	SAME(t, unbind_process(device.rig.container, target.pid), 0);
	SAME(t, unbind_process(device.rig.container, target.pid), -ESRCH);
	SAME(t, peer_end(&caller), 0);
	SAME(t, peer_end(&target), 0);
}

/* A process above this one that has a name, or 0. */
static pid_t find_above(const char *name)
{
	pid_t pid = getpid();

	while (pid > 1) {
		char path[40];
		char text[256] = "";
		char *end;
		int parent = 0;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return 0;
		(void)!read(fd, text, sizeof(text) - 1);
		close(fd);
		end = strrchr(text, ')');
		if (!end || sscanf(end, ") %*c %d", &parent) != 1)
			return 0;
		*end = '\0';
		if (!strcmp(strchr(text, '(') + 1, name))
			return pid;
		pid = parent;
	}
	return 0;
}

/* iommuse would write to its own memory for who asks, whatever that one may do himself. */
static void iommuse_itself(struct test *t)
{
	const pid_t pid = find_above("iommuse");

	CHECK(t, pid > 1);
	if (!begin(t, false))
		return;
	SAME(t, bind_process(device.rig.container, pid), -EACCES);
	SAME(t, unbind_process(device.rig.container, pid), -EACCES);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"own_child", own_child},
		{"brother", brother},
		{"not_dumpable", not_dumpable},
		{"not_dumpable_itself", not_dumpable_itself},
		{"unbound_when_unreadable", unbound_when_unreadable},
		{"users", users},
		{"groups", groups},
		{"supplementary_groups", supplementary_groups},
		{"root_and_others", root_and_others},
		{"capabilities", capabilities},
		{"user_namespaces", user_namespaces},
		{"lost_later", lost_later},
		{"iommuse_itself", iommuse_itself},
	};

	return TEST_MAIN(argc, argv, cases);
}
