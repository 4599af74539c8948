/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many address spaces that are bound to a container, and those that outlive a thread or a process. Devices 0 and 1 are
 * dmax; variant: how many bits a PASID has, for the case that uses them up.
 */
#include "accel.h"
#include "ioasid.h"
#include "peer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { CROWD = 40, BUFFER = 2 * PAGE, STACK = 65536, MUCH = 32 << 20 };

static struct accel device;

static uint8_t data[BUFFER]; /* of each process its own */

/* A fill of data with the value by queue n: its status, or -errno. */
static long work(unsigned n, uint32_t pasid, uint8_t value)
{
	struct queue_memory *memory = queue_memory_new(false);
	struct queue q;
	long rc = queue_start(&q, &device, n, pasid, memory, 0);

	if (rc == 0)
		rc = queue_do(&q, DMAX_FILL, 0, address(data), 0, BUFFER, value * 0x0101010101010101u, NULL);
	queue_stop(&q);
	munmap(memory, sizeof(*memory));
	if (rc == DMAX_SUCCESS && (data[0] != value || memcmp(data, data + 1, BUFFER - 1) != 0))
		return -EBADMSG;
	return rc;
}

enum { WORK, IS_ALL, PREPARE };

static struct queue_memory *prepared;

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	(void)socket;
	switch (op) {
	case WORK:
		return work(1, (uint32_t)a, (uint8_t)b);
	case IS_ALL:
		return data[0] == a && memcmp(data, data + 1, BUFFER - 1) == 0;
	case PREPARE: /* one descriptor, which nobody has given to the device yet */
		prepared = (struct queue_memory *)a;
		if (mmap(prepared, sizeof(*prepared), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != prepared)
			return -errno;
		prepared->ring[0] = (struct dmax_descriptor){.operation = DMAX_FILL,
							     .flags = DMAX_FLAG_RECORD,
							     .length = BUFFER,
							     .record = address(&prepared->records[0]),
							     .destination = address(data),
							     .value = b * 0x0101010101010101u};
		return 0;
	}
	return -ENOSYS;
}

static bool begin(struct test *t)
{
	return SAME(t, accel_open(&device, TYPE1V2, 0), 0);
}

static long bind_pid(pid_t pid)
{
	return bind_process(device.rig.container, pid);
}

static long unbind_pid(pid_t pid)
{
	return unbind_process(device.rig.container, pid);
}

/* Each has its own PASID, and its own memory by that; some end, and some are unbound, in no order. */
static void many_processes(struct test *t)
{
	struct peer peers[CROWD];
	long pasids[CROWD];
	uint64_t random = t->seed;

	if (!begin(t))
		return;
	for (unsigned i = 0; i < CROWD; i++) {
		peers[i] = peer_start(serve);
		pasids[i] = bind_pid(peers[i].pid);
		CHECK(t, pasids[i] > 0);
		for (unsigned k = 0; k < i; k++)
			CHECK(t, pasids[k] != pasids[i]);
	}
	for (unsigned i = 0; i < CROWD; i++)
		SAME(t, peer_ask(&peers[i], WORK, (uint64_t)pasids[i], i + 1), DMAX_SUCCESS);
	for (unsigned i = 0; i < CROWD; i++)
		SAME(t, peer_ask(&peers[i], IS_ALL, i + 1, 0), 1);
	for (unsigned i = 0; i < CROWD; i++) {
		unsigned k = i + (unsigned)(random_next(&random) % (CROWD - i));
		struct peer peer = peers[k];
		long pasid = pasids[k];

		peers[k] = peers[i];
		pasids[k] = pasids[i];
		SAME(t, peer_ask(&peer, WORK, (uint64_t)pasid, 0xaa), DMAX_SUCCESS);
		if (i % 2) {
			SAME(t, unbind_pid(peer.pid), 0);
			SAME(t, peer_ask(&peer, WORK, (uint64_t)pasid, 0xbb), -EIO);
			SAME(t, peer_ask(&peer, IS_ALL, 0xaa, 0), 1);
		}
		SAME(t, i % 3 ? peer_end(&peer) : peer_kill(&peer), i % 3 ? 0 : -SIGKILL);
	}
}

/* As many as there are PASIDs, of which a bond or a process gets each. */
static void no_pasid_left(struct test *t)
{
	long last = (1l << t->variant) - 1;
	struct peer peers[32] = {{.pid = -1}};
	struct peer one;
	int fd;

	if (!t->variant || last > 32) {
		test_skip(t, "there are more PASIDs than that");
		return;
	}
	if (!begin(t))
		return;
	for (long i = 0; i < last; i++) {
		peers[i] = peer_start(serve);
		CHECK(t, bind_pid(peers[i].pid) > 0);
	}
	one = peer_start(serve); /* before the file is open, which it would keep so */
	fd = ioasid_open();
	for (int i = 0; i < 3; i++) {
		SAME(t, bind_pid(one.pid), -ENOSPC);
		SAME(t, bind_pid(0), -ENOSPC);
		SAME(t, unbind_pid(one.pid), -ESRCH);
		SAME(t, ioasid_any(fd), -ENOSPC);
		CHECK(t, bind_pid(peers[i].pid) > 0); /* it has one */
	}
	SAME(t, unbind_pid(peers[0].pid), 0);
	CHECK(t, bind_pid(one.pid) > 0);
	SAME(t, unbind_pid(one.pid), 0);
	CHECK(t, ioasid_any(fd) > 0);
	SAME(t, bind_pid(one.pid), -ENOSPC);
	SAME(t, ioasid_any(fd), -ENOSPC);
	/* One ends, without UNBIND. */
	SAME(t, peer_kill(&peers[1]), -SIGKILL);
	CHECK(t, bind_pid(one.pid) > 0);
	close(fd);
	CHECK(t, bind_pid(0) > 0);
	SAME(t, bind_pid(peers[0].pid), -ENOSPC);
	/* The end of processes, and of the container, gives back all. */
	SAME(t, peer_end(&one), 0);
	SAME(t, peer_end(&peers[0]), 0);
	for (long i = 2; i < last; i++)
		SAME(t, peer_end(&peers[i]), 0);
	fd = ioasid_open();
	for (long i = 1; i < last; i++)
		CHECK(t, ioasid_any(fd) > 0);
	SAME(t, ioasid_any(fd), -ENOSPC);
	accel_close(&device);
	CHECK(t, ioasid_any(fd) > 0);
}

struct other {
	struct test *t;
	long pasid;
	int go, done;
};

/* A process of its own with the same address space. */
static int go_on(void *context)
{
	struct other *o = context;

	hear(o->go);
	SAME(o->t, bind_pid(0), o->pasid);
	SAME(o->t, work(1, (uint32_t)o->pasid, 0x66), DMAX_SUCCESS);
	if (!o->t->failed) {
		tell(o->done);
		hear(o->go);
	}
	syscall(SYS_exit_group, o->t->failed);
	return 0;
}

/* The process that was bound ends, and its address space goes on in another one. */
static void outlived_by_its_memory(struct test *t)
{
	struct test *shared = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int go[2];
	int done[2];
	pid_t pid;

	*shared = *t;
	SAME(t, ERR(pipe(go)), 0);
	SAME(t, ERR(pipe(done)), 0);
	if (!begin(t))
		return;
	pid = fork();
	if (pid == 0) {
		static struct other o;
		_Alignas(16) static char stack[STACK];
		int child;

		close(go[1]);
		o = (struct other){.t = shared, .pasid = bind_pid(0), .go = go[0], .done = done[1]};
		child = clone(go_on, stack + STACK, CLONE_VM | SIGCHLD, &o);
		CHECK(shared, child > 0);
		SAME(shared, bind_pid(child), o.pasid);
		_exit(shared->failed);
	}
	close(done[1]);
	close(go[0]);
	SAME(t, wait_for(pid), 0);
	tell(go[1]);
	CHECK(t, hear(done[0]));
	tell(go[1]);
	hear(done[0]); /* until it has ended */
	CHECK(t, !shared->failed);
	CHECK(t, bind_pid(0) > 0);
	SAME(t, work(0, (uint32_t)bind_pid(0), 1), DMAX_SUCCESS);
}

/* Stops before the first instruction of the program. */
static int become_cat(void *context)
{
	const struct other *o = context;

	hear(o->go);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		syscall(SYS_exit_group, 77);
	dup2(o->go, STDIN_FILENO);
	dup2(o->done, STDOUT_FILENO);
	execlp("cat", "cat", (char *)NULL);
	syscall(SYS_exit_group, 127);
	return 0;
}

/* The process that was bound executes another program, and its address space goes on in another one. */
static void left_to_another(struct test *t)
{
	static _Alignas(16) char stack[STACK];
	struct other o;
	int go[2];
	int done[2];
	pid_t child;
	int status = 0;
	long theirs;

	SAME(t, ERR(pipe2(go, O_CLOEXEC)), 0);
	SAME(t, ERR(pipe2(done, O_CLOEXEC)), 0);
	if (!begin(t))
		return;
	o = (struct other){.t = t, .go = go[0], .done = done[1]};
	child = clone(become_cat, stack + STACK, CLONE_VM | SIGCHLD, &o);
	close(go[0]);
	close(done[1]);
	CHECK(t, child > 0);
	o.pasid = bind_pid(child);
	CHECK(t, o.pasid > 0);
	SAME(t, bind_pid(0), o.pasid);
	tell(go[1]);
	SAME(t, waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		test_skip(t, "no process can be traced here");
		return;
	}
	CHECK(t, WIFSTOPPED(status));
	theirs = bind_pid(child);
	CHECK(t, theirs > 0 && theirs != o.pasid);
	SAME(t, ERR(ptrace(PTRACE_DETACH, child, NULL, NULL)), 0);
	tell(go[1]); /* by the program */
	CHECK(t, hear(done[0]));
	SAME(t, bind_pid(child), theirs);
	SAME(t, work(0, (uint32_t)theirs, 1), -EIO);
	SAME(t, bind_pid(0), o.pasid);
	SAME(t, work(0, (uint32_t)o.pasid, 2), DMAX_SUCCESS);
	SAME(t, unbind_pid(child), 0);
	SAME(t, work(0, (uint32_t)o.pasid, 3), DMAX_SUCCESS);
	close(go[1]);
	SAME(t, wait_for(child), 0);
	SAME(t, work(0, (uint32_t)o.pasid, 4), DMAX_SUCCESS);
}

static void *go_on_alone(void *arg)
{
	struct other *o = arg;

	usleep(20000);
	SAME(o->t, work(1, (uint32_t)o->pasid, 0x44), DMAX_SUCCESS);
	SAME(o->t, bind_pid(0), o->pasid);
	SAME(o->t, unbind_pid(0), 0);
	SAME(o->t, work(1, (uint32_t)o->pasid, 0x45), -EIO);
	o->pasid = bind_pid(0);
	SAME(o->t, work(1, (uint32_t)o->pasid, 0x46), DMAX_SUCCESS);
	_exit(o->t->failed);
}

static void first_thread_ends(struct test *t)
{
	pid_t pid;

	if (!begin(t))
		return;
	pid = fork();
	if (pid == 0) {
		static struct other o;
		pthread_t thread;

		o = (struct other){.t = t, .pasid = bind_pid(0)};
		SAME(t, pthread_create(&thread, NULL, go_on_alone, &o), 0);
		pthread_exit(NULL);
	}
	SAME(t, wait_for(pid), 0);
}

struct waiting {
	_Atomic pid_t tid;
	_Atomic long pasid; /* that its process has been bound to by now */
};

static void *wait_and_work(void *arg)
{
	struct waiting *w = arg;

	w->tid = (pid_t)syscall(SYS_gettid);
	while (!w->pasid)
		usleep(1000);
	_exit(w->pasid < 0 || work(1, (uint32_t)w->pasid, 0x47) != DMAX_SUCCESS);
}

/* Of a process: the other threads go on. */
static bool first_thread_has_ended(pid_t pid)
{
	char path[40], text[512] = "";
	const char *rest;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	rest = strrchr(text, ')');
	return rest && !strncmp(rest, ") Z", 3);
}

/* The first one's number is of no use then. */
static void bound_by_another_thread(struct test *t)
{
	struct waiting *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	long pasid;

	if (!begin(t))
		return;
	pid = fork();
	if (pid == 0) {
		pthread_t thread;

		SAME(t, pthread_create(&thread, NULL, wait_and_work, w), 0);
		pthread_exit(NULL);
	}
	while (!w->tid || !first_thread_has_ended(pid))
		usleep(1000);
	SAME(t, bind_pid(pid), -ESRCH);
	pasid = bind_pid(w->tid);
	CHECK(t, pasid > 0);
	SAME(t, bind_pid(w->tid), pasid);
	SAME(t, unbind_pid(w->tid), 0);
	SAME(t, unbind_pid(w->tid), -ESRCH);
	w->pasid = bind_pid(w->tid);
	SAME(t, wait_for(pid), 0);
	munmap(w, PAGE);
}

/* At any moment: it is bound, or is none any more. */
static void bound_while_it_ends(struct test *t)
{
	if (!begin(t))
		return;
	for (unsigned long i = 0; i < 20 * t->rounds && !t->failed; i++) {
		pid_t pid = fork();
		long rc;

		if (pid == 0) {
			if (i % 2)
				execl("/bin/true", "true", (char *)NULL);
			_exit(0);
		}
		usleep((unsigned)(random_next(&t->seed) % 1500));
		rc = bind_pid(pid);
		CHECK(t, rc > 0 || rc == -ESRCH);
		SAME(t, wait_for(pid), 0);
		rc = unbind_pid(pid);
		CHECK(t, rc == 0 || rc == -ESRCH);
	}
}

/* Memory is reached while its process does not run. */
static void stopped_process(struct test *t)
{
	struct queue_memory *place = (struct queue_memory *)0x200000000000; /* where nobody has anything */
	struct dmax_record r = {0};
	struct iovec here = {&r, sizeof(r)};
	struct iovec there = {&place->records[0], sizeof(r)};
	struct peer peer;
	struct queue q;
	long pasid;

	if (!begin(t))
		return;
	peer = peer_start(serve);
	pasid = bind_pid(peer.pid);
	SAME(t, peer_ask(&peer, PREPARE, address(place), 0x77), 0);
	kill(peer.pid, SIGSTOP);
	SAME(t, ERR(waitid(P_PID, (id_t)peer.pid, &(siginfo_t){0}, WSTOPPED | WNOWAIT)), 0);
	SAME(t, bind_pid(peer.pid), pasid);
	SAME(t, queue_start(&q, &device, 2, (uint32_t)pasid, place, 0), 0);
	__atomic_store_n((uint32_t *)(void *)(device.doorbells + DMAX_DOORBELL(2)), 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 20000 && !r.status; i++) {
		if (process_vm_readv(peer.pid, &here, 1, &there, 1, 0) != sizeof(r))
			break;
		usleep(1000);
	}
	SAME(t, r.status, DMAX_SUCCESS);
	kill(peer.pid, SIGCONT);
	SAME(t, peer_ask(&peer, IS_ALL, 0x77, 0), 1);
	SAME(t, peer_end(&peer), 0);
}

/* In two containers at once: what ends it ends it in both. */
static void bound_twice_and_ends(struct test *t)
{
	struct accel second;

	if (!begin(t) || !SAME(t, accel_open(&second, TYPE1, 1), 0))
		return;
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		struct peer peer = peer_start(serve);
		long one = bind_pid(peer.pid);
		long two = bind_process(second.rig.container, peer.pid);

		CHECK(t, one > 0 && two > 0);
		SAME(t, peer_ask(&peer, WORK, (uint64_t)one, 0x12), DMAX_SUCCESS);
		if (i % 3 == 1) {
			SAME(t, unbind_pid(peer.pid), 0);
			SAME(t, unbind_pid(peer.pid), -ESRCH);
			SAME(t, bind_process(second.rig.container, peer.pid), two);
		}
		SAME(t, i % 2 ? peer_kill(&peer) : peer_end(&peer), i % 2 ? -SIGKILL : 0);
		SAME(t, work(0, (uint32_t)one, 1), -EIO);
	}
	accel_close(&second);
}

/* With so much memory that it takes a while to go. */
static void wait_with_memory(int ready)
{
	uint8_t *memory = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(2);
	memset(memory, 1, MUCH);
	tell(ready);
	for (;;)
		pause();
}

/* Whoever is asked for while it ends is there, or is not. */
static void bound_while_it_is_killed(struct test *t)
{
	if (!begin(t))
		return;
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		int ready[2];
		pid_t pid;
		long rc;

		SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
		pid = fork();
		if (pid == 0)
			wait_with_memory(ready[1]);
		close(ready[1]);
		CHECK(t, hear(ready[0]));
		close(ready[0]);
		kill(pid, SIGKILL);
		do
			rc = bind_pid(pid);
		while (rc > 0);
		SAME(t, rc, -ESRCH);
		SAME(t, wait_for(pid), -SIGKILL);
	}
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"many_processes", many_processes},
		{"no_pasid_left", no_pasid_left},
		{"outlived_by_its_memory", outlived_by_its_memory},
		{"left_to_another", left_to_another},
		{"first_thread_ends", first_thread_ends},
		{"bound_by_another_thread", bound_by_another_thread},
		{"bound_while_it_ends", bound_while_it_ends},
		{"stopped_process", stopped_process},
		{"bound_twice_and_ends", bound_twice_and_ends},
		{"bound_while_it_is_killed", bound_while_it_is_killed},
	};

	return TEST_MAIN(argc, argv, cases);
}
