/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommuse run --selftest --pin=share: what a program notices when its private memory is made shared memory while it
 * runs, and what happens where that cannot be done. Whether memory was shared is seen from a device, which goes on with
 * it after it was unmapped; memory that is followed is not there any more.
 */
#include "mock.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

enum { PAGES = 16 };
#define LENGTH (PAGES * PAGE)

/* An access on an IOAS with a page table. */
struct system {
	struct device d;
	int access;
};

static bool set_up(struct test *t, struct system *s)
{
	if (!begin_with_device(t, &s->d))
		return false;
	s->access = (int)access_new(s->d.fd, s->d.ioas);
	return CHECK(t, s->access >= 0);
}

static long device_reads(const struct system *s, uint64_t iova)
{
	unsigned char byte = 0;
	struct iommu_test cmd = {.op = OP_ACCESS_RW, .id = (uint32_t)s->access, .q = {iova, 1, address(&byte)}};
	long rc = test_op(s->d.fd, &cmd);

	return rc ? rc : byte;
}

static unsigned char *new_memory(size_t length, unsigned char first)
{
	unsigned char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		exit(2);
	memory[0] = first;
	return memory;
}

static long map(const struct system *s, const void *memory, size_t length, uint64_t iova)
{
	return ioas_map(s->d.fd, s->d.ioas, memory, length, iova);
}

/* Maps new memory, unmaps it, and looks what the device has: the memory where it was shared, else -EFAULT. */
static long try_sharing(struct test *t, const struct system *s, uint64_t iova)
{
	unsigned char *memory = new_memory(PAGE, 0x5a);
	long got;

	SAME(t, map(s, memory, PAGE, iova), 0);
	SAME(t, device_reads(s, iova), 0x5a);
	munmap(memory, PAGE);
	got = device_reads(s, iova);
	SAME(t, ioas_unmap(s->d.fd, s->d.ioas, iova, PAGE), PAGE);
	return got;
}

/* After a failure it is tried again, but not at once. */
static void expect_sharing_soon(struct test *t, const struct system *s)
{
	const uint64_t end = monotonic_ns() + 60000000000u;
	long got;

	do
		got = try_sharing(t, s, FIRST_IOVA);
	while (got != 0x5a && monotonic_ns() < end && !t->failed);
	SAME(t, got, 0x5a);
}

/* Threads. */

struct worker {
	struct test *t;
	const struct system *s;
	pthread_t thread;
	unsigned index;
	unsigned long rounds;
	atomic_bool *stop;
	unsigned char *_Atomic *region;
	unsigned char *last; /* region and word, as the thread before left them */
	unsigned long expected;
	atomic_uint ended;
};

static void *share_again_and_again(void *context)
{
	struct worker *w = context;

	for (unsigned long i = 0; i < w->rounds; i++)
		SAME(w->t, try_sharing(w->t, w->s, FIRST_IOVA + w->index * PAGE), 0x5a);
	return NULL;
}

/* A thread whose own memory is to be shared counts as stopped while another's is. */
static void threads_share_at_once(struct test *t)
{
	struct worker w[4];
	struct system s;

	if (!set_up(t, &s))
		return;
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct worker){.t = t, .s = &s, .index = i, .rounds = t->rounds};
		pthread_create(&w[i].thread, NULL, share_again_and_again, &w[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(w[i].thread, NULL);
}

/* Each thread has a word that nobody else writes: whatever it wrote it finds again. */
static void *write_and_look(void *context)
{
	struct worker *w = context;
	unsigned char *region = NULL;
	unsigned long expected = 0;

	while (!atomic_load(w->stop)) {
		unsigned char *now = atomic_load(w->region);
		volatile unsigned long *word = (void *)(now + w->index * PAGE);

		if (now != region)
			expected = *word;
		region = now;
		if (*word != expected) {
			test_fail(w->t, "thread %u finds %lu, and wrote %lu", w->index, *word, expected);
			return NULL;
		}
		*word = ++expected;
		if (w->index % 2 && expected % 64 == 0)
			option_get(w->s->d.fd, OPTION_HUGE_PAGES, w->s->d.ioas); /* answered while it waits */
	}
	return NULL;
}

static void nothing_written_is_lost(struct test *t)
{
	unsigned char *_Atomic region = new_memory(LENGTH, 0);
	atomic_bool stop = false;
	struct worker w[8];
	struct system s;

	if (!set_up(t, &s))
		return;
	for (unsigned i = 0; i < 8; i++) {
		w[i] = (struct worker){.t = t, .s = &s, .index = i, .stop = &stop, .region = &region};
		pthread_create(&w[i].thread, NULL, write_and_look, &w[i]);
	}
	for (unsigned long round = 0; round < t->rounds && !t->failed; round++) {
		unsigned char *memory = atomic_load(&region);

		SAME(t, map(&s, memory, LENGTH, FIRST_IOVA), 0);
		sched_yield();
		SAME(t, ioas_unmap(s.d.fd, s.d.ioas, FIRST_IOVA, LENGTH), LENGTH);
		atomic_store(&region, new_memory(LENGTH, 0)); /* the old one stays: somebody may be writing */
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(w[i].thread, NULL);
}

/* Threads that end, each after it has made its successor and waited in a call. */
static void *pass_on(void *context)
{
	struct worker *w = context;
	pthread_t successor;

	for (unsigned i = 0; i < 100; i++) {
		unsigned char *now = atomic_load(w->region);
		volatile unsigned long *word = (void *)(now + w->index * PAGE);

		if (now != w->last)
			w->expected = *word;
		w->last = now;
		if (*word != w->expected)
			test_fail(w->t, "chain %u finds %lu, and wrote %lu", w->index, *word, w->expected);
		*word = ++w->expected;
	}
	if (atomic_load(w->stop) || pthread_create(&successor, NULL, pass_on, w))
		atomic_store(&w->ended, 1);
	else
		pthread_detach(successor);
	option_get(w->s->d.fd, OPTION_HUGE_PAGES, w->s->d.ioas);
	return NULL;
}

static void threads_come_and_go(struct test *t)
{
	unsigned char *_Atomic region = new_memory(LENGTH, 0);
	atomic_bool stop = false;
	struct worker w[4];
	struct system s;

	if (!set_up(t, &s))
		return;
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct worker){.t = t, .s = &s, .index = i, .stop = &stop, .region = &region};
		pthread_create(&w[i].thread, NULL, pass_on, &w[i]);
		pthread_detach(w[i].thread);
	}
	for (unsigned long round = 0; round < t->rounds && !t->failed; round++) {
		SAME(t, map(&s, atomic_load(&region), LENGTH, FIRST_IOVA), 0);
		sched_yield();
		SAME(t, ioas_unmap(s.d.fd, s.d.ioas, FIRST_IOVA, LENGTH), LENGTH);
		atomic_store(&region, new_memory(LENGTH, 0));
	}
	SAME(t, try_sharing(t, &s, FIRST_IOVA), 0x5a);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 4; i++)
		while (!atomic_load(&w[i].ended))
			sched_yield();
}

static volatile sig_atomic_t arrived;

static void count_signal(int number)
{
	(void)number;
	arrived++;
}

static void do_nothing(int number)
{
	(void)number;
}

/* Signals that queue, from outside, and a timer: none is lost, and no command ends with EINTR or is done twice. */
static void signals_arrive_once(struct test *t)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	struct sigaction tick = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
	struct itimerval ms = {{0, 1000}, {0, 1000}};
	int count = (int)t->rounds * 10;
	pid_t parent = getpid();
	struct system s;
	pid_t sender;

	if (!set_up(t, &s))
		return;
	arrived = 0;
	sigaction(SIGRTMIN, &action, NULL);
	sigaction(SIGALRM, &tick, NULL);
	sender = fork();
	if (!sender) {
		for (int i = 0; i < count; i++) {
			while (sigqueue(parent, SIGRTMIN, (union sigval){.sival_int = i}) && errno == EAGAIN)
				usleep(100);
			if (i % 4 == 0)
				usleep(200);
		}
		_exit(0);
	}
	setitimer(ITIMER_REAL, &ms, NULL);
	while (arrived < count && !t->failed)
		SAME(t, try_sharing(t, &s, FIRST_IOVA), 0x5a);
	SAME(t, wait_for(sender), 0);
	SAME(t, try_sharing(t, &s, FIRST_IOVA), 0x5a);
	SAME(t, arrived, count);
}

/* A process that is stopped by SIGSTOP while memory is exchanged stays so until SIGCONT. */
static void a_stop_is_kept(struct test *t)
{
	int ready[2];
	struct system s;
	pid_t pid;

	if (!set_up(t, &s) || pipe2(ready, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		tell(ready[1]);
		for (;;)
			try_sharing(t, &s, FIRST_IOVA);
	}
	hear(ready[0]);
	for (unsigned long i = 0; i < 5 * t->rounds; i++) {
		int status = 0;

		kill(pid, SIGSTOP);
		SAME(t, ERR(waitpid(pid, &status, WUNTRACED)), pid);
		if (!CHECK(t, WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP))
			break;
		kill(pid, SIGCONT);
		if (i % 2)
			usleep(i % 16 * 50);
	}
	kill(pid, SIGKILL);
	SAME(t, wait_for(pid), -SIGKILL);
}

static void *share_in_the_end(void *context)
{
	struct worker *w = context;
	char state = 0;

	/* Until the first thread is a zombie. */
	while (state != 'Z') {
		char text[256] = "";
		FILE *f = fopen("/proc/self/stat", "re");

		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
		state = strrchr(text, ')')[2];
	}
	for (unsigned long i = 0; i < 4; i++)
		SAME(w->t, try_sharing(w->t, w->s, FIRST_IOVA), 0x5a);
	_exit(w->t->failed);
}

static void first_thread_has_ended(struct test *t)
{
	struct system s;
	struct worker w = {.t = t, .s = &s};
	pid_t pid;

	if (!set_up(t, &s))
		return;
	pid = fork();
	if (!pid) {
		pthread_create(&w.thread, NULL, share_in_the_end, &w);
		pthread_exit(NULL);
	}
	SAME(t, wait_for(pid), 0);
}

/* What cannot be stopped. */

static int wait_for_byte(void *context)
{
	char c;

	return read(*(int *)context, &c, 1) == 1 ? 0 : 1;
}

/* As vfork: the thread waits for its child, and for no signal. */
static void *wait_for_child(void *context)
{
	static char stack[65536] __attribute__((aligned(16)));

	clone(wait_for_byte, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, context);
	return NULL;
}

static void thread_that_does_not_stop(struct test *t)
{
	pthread_t vforker, caller[6];
	atomic_bool stop = false;
	unsigned char *_Atomic region = new_memory(LENGTH, 0);
	struct worker w[6];
	int to_child[2];
	struct system s;

	if (!set_up(t, &s) || pipe2(to_child, O_CLOEXEC))
		return;
	for (unsigned i = 0; i < 6; i++) {
		w[i] = (struct worker){.t = t, .s = &s, .index = i, .stop = &stop, .region = &region};
		pthread_create(&caller[i], NULL, write_and_look, &w[i]);
	}
	pthread_create(&vforker, NULL, wait_for_child, &to_child[0]);
	while (try_sharing(t, &s, FIRST_IOVA) != -EFAULT && !t->failed)
		; /* until it waits */
	SAME(t, try_sharing(t, &s, FIRST_IOVA), -EFAULT);
	tell(to_child[1]);
	pthread_join(vforker, NULL);
	expect_sharing_soon(t, &s);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 6; i++)
		pthread_join(caller[i], NULL);
}

static void process_of_the_same_memory(struct test *t)
{
	static char stack[65536] __attribute__((aligned(16)));
	int to_child[2];
	struct system s;
	int pid;

	if (!set_up(t, &s) || pipe2(to_child, O_CLOEXEC))
		return;
	pid = clone(wait_for_byte, stack + sizeof(stack), CLONE_VM | SIGCHLD, &to_child[0]);
	SAME(t, try_sharing(t, &s, FIRST_IOVA), -EFAULT);
	tell(to_child[1]);
	SAME(t, wait_for(pid), 0);
}

static void traced_already(struct test *t)
{
	int ready[2], go[2];
	struct system s;
	pid_t pid;

	if (!set_up(t, &s) || pipe2(ready, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
		return;
	pid = fork();
	if (!pid) {
		tell(ready[1]);
		hear(go[0]);
		SAME(t, try_sharing(t, &s, FIRST_IOVA), -EFAULT);
		_exit(t->failed);
	}
	hear(ready[0]);
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL)) {
		test_skip(t, "ptrace: %s", strerrorname_np(errno));
		kill(pid, SIGKILL);
	}
	tell(go[1]);
	if (!t->skip[0])
		SAME(t, wait_for(pid), 0);
}

/* A filter of the program's own that kills for what it would be made to do. */
static void filter_of_its_own(struct test *t)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};
	struct system s;
	pid_t pid;

	if (!set_up(t, &s))
		return;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
			_exit(2);
		SAME(t, try_sharing(t, &s, FIRST_IOVA), -EFAULT);
		_exit(t->failed);
	}
	SAME(t, wait_for(pid), 0);
}

/* A page table that a child makes pins what its parent mapped. */
static void memory_of_another(struct test *t)
{
	struct iommu_test cmd = {.op = OP_MOCK_DOMAIN};
	unsigned char *memory = new_memory(PAGE, 0x21);
	struct system s;
	pid_t pid;

	s.d.fd = open_iommu();
	s.d.ioas = cmd.id = (uint32_t)ioas_alloc(s.d.fd);
	SAME(t, map(&s, memory, PAGE, FIRST_IOVA), 0);
	pid = fork();
	if (!pid) {
		SAME(t, test_op(s.d.fd, &cmd), 0);
		s.access = (int)access_new(s.d.fd, s.d.ioas);
		SAME(t, device_reads(&s, FIRST_IOVA), 0x21);
		_exit(t->failed);
	}
	SAME(t, wait_for(pid), 0);
}

/* Children. */

enum { FORK, FORK_BY_CLONE3, FORK_AND_WAIT, WAYS };

static pid_t make_child(int way)
{
	struct clone_args args = {.exit_signal = SIGCHLD};

	if (way == FORK)
		return fork();
	if (way == FORK_BY_CLONE3)
		return (pid_t)syscall(__NR_clone3, &args, sizeof(args));
	return (pid_t)syscall(__NR_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
}

/* The child's memory is its own: it finds what was there, and nobody else sees what it writes. */
static int live_as_child(unsigned char *memory)
{
	bool same = memory[0] == 1 && memory[2 * PAGE] == 3 && memory[3 * PAGE] == 0;
	pid_t pid;

	if (mprotect(memory + PAGE, PAGE, PROT_READ | PROT_WRITE))
		return 2;
	same &= memory[PAGE] == 2;
	memory[0] = 0x71;
	memory[3 * PAGE] = 0x72;
	pid = fork();
	if (!pid) {
		same &= memory[0] == 0x71 && memory[PAGE] == 2;
		memory[0] = 0x73;
		_exit(!same);
	}
	same &= wait_for(pid) == 0 && memory[0] == 0x71;
	return !same;
}

static void children_have_their_own(struct test *t)
{
	unsigned char *memory = new_memory(LENGTH, 1);
	unsigned char *_Atomic region = new_memory(LENGTH, 0);
	atomic_bool stop = false;
	struct worker w = {.t = t, .stop = &stop, .region = &region};
	struct system s;
	char name[] = "true";
	pid_t spawned = 0;

	memory[PAGE] = 2;
	memory[2 * PAGE] = 3;
	if (!set_up(t, &s))
		return;
	w.s = &s;
	pthread_create(&w.thread, NULL, write_and_look, &w);
	SAME(t, map(&s, memory, LENGTH, FIRST_IOVA), 0);
	SAME(t, ERR(mprotect(memory + PAGE, PAGE, PROT_NONE)), 0);
	SAME(t, ERR(mprotect(memory + 2 * PAGE, PAGE, PROT_READ)), 0);
	for (int way = 0; way < WAYS; way++) {
		pid_t pid = make_child(way);

		if (!pid)
			_exit(live_as_child(memory));
		SAME(t, wait_for(pid), 0);
		SAME(t, memory[0], 1);
		SAME(t, memory[3 * PAGE], 0);
		SAME(t, device_reads(&s, FIRST_IOVA), 1);
		SAME(t, device_reads(&s, FIRST_IOVA + PAGE), 2);
	}
	SAME(t, posix_spawn(&spawned, "/bin/true", NULL, NULL, (char *[]){name, NULL}, NULL), 0);
	SAME(t, wait_for(spawned), 0);
	memory[4 * PAGE] = 0x44;
	SAME(t, device_reads(&s, FIRST_IOVA + 4 * PAGE), 0x44);
	atomic_store(&stop, true);
	pthread_join(w.thread, NULL);
}

/* It tells a tracer nothing; nobody waits for what does not come. */
static void fork_that_fails(struct test *t)
{
	unsigned char *memory = new_memory(PAGE, 1);
	uint64_t start;
	struct system s;

	if (!set_up(t, &s))
		return;
	SAME(t, map(&s, memory, PAGE, FIRST_IOVA), 0);
	start = monotonic_ns();
	for (int i = 0; i < 8; i++)
		SAME(t, ERR(syscall(__NR_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0)), -EINVAL);
	CHECK(t, monotonic_ns() - start < 8000000000u);
}

/* What there is to be exchanged. */

static unsigned pages_present(unsigned char *memory, size_t pages)
{
	unsigned char *present = malloc(pages);
	unsigned count = 0;

	if (!present || mincore(memory, pages * PAGE, present))
		exit(2);
	for (size_t i = 0; i < pages; i++)
		count += present[i] & 1;
	free(present);
	return count;
}

static void what_was_never_touched_is_not_copied(struct test *t)
{
	const size_t length = 512ul << 20;
	unsigned char *memory = new_memory(length, 0x11);
	struct system s;
	pid_t pid;

	if (!set_up(t, &s))
		return;
	madvise(memory, length, MADV_NOHUGEPAGE);
	memory[length / 2] = 0x12;
	memory[length - 1] = 0x13;
	SAME(t, map(&s, memory, length, FIRST_IOVA), 0);
	SAME(t, device_reads(&s, FIRST_IOVA + length / 2), 0x12);
	CHECK(t, pages_present(memory, length / PAGE) <= 16);
	pid = fork();
	if (!pid)
		_exit(memory[0] != 0x11 || memory[length - 1] != 0x13 || pages_present(memory, length / PAGE) > 64);
	SAME(t, wait_for(pid), 0);
	munmap(memory, length);
	SAME(t, device_reads(&s, FIRST_IOVA + length - 1), 0x13);
}

static unsigned mappings_within(const unsigned char *memory, size_t length)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start, end;
	unsigned count = 0;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2)
			count += start < address(memory) + length && end > address(memory);
	if (maps)
		fclose(maps);
	return count;
}

static void many_maps_take_few_exchanges(struct test *t)
{
	const size_t length = 1024 * PAGE;
	unsigned char *memory = new_memory(length, 0);
	struct system s;

	if (!set_up(t, &s))
		return;
	for (size_t i = 0; i < 1024; i++) {
		memory[i * PAGE] = (unsigned char)i;
		SAME(t, map(&s, memory + i * PAGE, PAGE, FIRST_IOVA + i * 2 * PAGE), 0);
	}
	CHECK(t, mappings_within(memory, length) <= 12);
	munmap(memory, length);
	for (size_t i = 0; i < 1024; i++)
		SAME(t, device_reads(&s, FIRST_IOVA + i * 2 * PAGE), (unsigned char)i);
}

static void holes_and_protections(struct test *t)
{
	unsigned char *memory = new_memory(LENGTH, 1);
	struct iommu_ioas_map read_only = {
		sizeof(read_only), MAP_FIXED_IOVA | MAP_READABLE, 0, 0, address(memory), 5 * PAGE, FIRST_IOVA};
	struct system s;

	if (!set_up(t, &s))
		return;
	for (size_t i = 0; i < PAGES; i++)
		memory[i * PAGE] = (unsigned char)(i + 1);
	munmap(memory + 5 * PAGE, PAGE);
	mprotect(memory + 2 * PAGE, 2 * PAGE, PROT_READ);
	mprotect(memory + 8 * PAGE, PAGE, PROT_NONE);
	SAME(t, map(&s, memory, LENGTH, FIRST_IOVA), -EFAULT);
	SAME(t, map(&s, memory, 5 * PAGE, FIRST_IOVA), -EFAULT); /* to be written */
	SAME(t, map(&s, memory + 7 * PAGE, 3 * PAGE, FIRST_IOVA), -EFAULT);
	read_only.ioas_id = s.d.ioas;
	SAME(t, door_ioctl(s.d.fd, IOMMU_IOAS_MAP, &read_only), 0);
	SAME(t, map(&s, memory + 9 * PAGE, 7 * PAGE, FIRST_IOVA + 9 * PAGE), 0);
	mprotect(memory, 5 * PAGE, PROT_READ | PROT_WRITE);
	mprotect(memory + 8 * PAGE, PAGE, PROT_READ);
	for (size_t i = 0; i < PAGES; i++)
		if (i != 5)
			SAME(t, memory[i * PAGE], i + 1);
	memory[3 * PAGE] = 0x33;
	munmap(memory, LENGTH);
	SAME(t, device_reads(&s, FIRST_IOVA + 3 * PAGE), 0x33);
	SAME(t, device_reads(&s, FIRST_IOVA + 10 * PAGE), 11);
}

/* Wherever it is killed, nothing stays, which the harness counts, and others are served. */

static void *share_forever(void *context)
{
	struct worker *w = context;

	for (;;)
		try_sharing(w->t, w->s, FIRST_IOVA + w->index * PAGE);
	return NULL;
}

static void live_until_killed(struct test *t, int ready)
{
	struct worker w[3];
	struct system s;

	if (!set_up(t, &s))
		_exit(2);
	for (unsigned i = 0; i < 3; i++) {
		w[i] = (struct worker){.t = t, .s = &s, .index = i};
		if (i)
			pthread_create(&w[i].thread, NULL, share_forever, &w[i]);
	}
	tell(ready);
	share_forever(&w[0]);
}

static void killed_meanwhile(struct test *t)
{
	uint64_t random = t->seed;
	struct system s;

	if (!set_up(t, &s))
		return;
	dprintf(STDOUT_FILENO, "# seed %llu\n", (unsigned long long)t->seed);
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		int ready[2];
		pid_t pid;

		SAME(t, ERR(pipe2(ready, O_CLOEXEC)), 0);
		pid = fork();
		if (!pid)
			live_until_killed(t, ready[1]);
		close(ready[1]);
		CHECK(t, hear(ready[0]));
		close(ready[0]);
		usleep((useconds_t)(random_next(&random) % 5000));
		kill(pid, SIGKILL);
		SAME(t, wait_for(pid), -SIGKILL);
		SAME(t, try_sharing(t, &s, FIRST_IOVA), 0x5a);
	}
}

/* Not a case: ends by SIGKILL of its own, for who waits for it. */
static void *kill_after(void *context)
{
	usleep(*(useconds_t *)context);
	kill(getpid(), SIGKILL);
	return NULL;
}

static int die(const char *after_us, const char *idle_threads)
{
	useconds_t after = (useconds_t)atoi(after_us), hour = 3600000000U;
	struct test t = {.name = "die"};
	pthread_t thread;
	int fds[2], rc = pipe2(fds, O_CLOEXEC);

	for (int i = atoi(idle_threads); i && !rc; i--)
		rc = pthread_create(&thread, NULL, kill_after, &hour);
	if (rc || pthread_create(&thread, NULL, kill_after, &after))
		return 2;
	live_until_killed(&t, fds[1]);
	return 3;
}

/* As realloc() does with a large block: what is new is zero, and its own. */
static void memory_that_grows(struct test *t)
{
	struct system s;
	unsigned char *memory[2];

	if (!set_up(t, &s))
		return;
	for (int i = 0; i < 2; i++) {
		memory[i] = new_memory(LENGTH, (unsigned char)(0x21 + i));
		SAME(t, map(&s, memory[i], LENGTH, FIRST_IOVA + (uint64_t)i * LENGTH), 0);
	}
	for (int i = 0; i < 2; i++) {
		memory[i] = mremap(memory[i], LENGTH, 16 * LENGTH, MREMAP_MAYMOVE);
		if (!CHECK(t, memory[i] != MAP_FAILED))
			return;
		for (size_t at = LENGTH; at < 16 * LENGTH; at += PAGE)
			SAME(t, memory[i][at]++, 0);
	}
	for (int i = 0; i < 2; i++)
		SAME(t, device_reads(&s, FIRST_IOVA + (uint64_t)i * LENGTH), memory[i][0]);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"threads_share_at_once", threads_share_at_once},
		{"nothing_written_is_lost", nothing_written_is_lost},
		{"threads_come_and_go", threads_come_and_go},
		{"signals_arrive_once", signals_arrive_once},
		{"a_stop_is_kept", a_stop_is_kept},
		{"first_thread_has_ended", first_thread_has_ended},
		{"thread_that_does_not_stop", thread_that_does_not_stop},
		{"process_of_the_same_memory", process_of_the_same_memory},
		{"traced_already", traced_already},
		{"filter_of_its_own", filter_of_its_own},
		{"memory_of_another", memory_of_another},
		{"children_have_their_own", children_have_their_own},
		{"fork_that_fails", fork_that_fails},
		{"what_was_never_touched_is_not_copied", what_was_never_touched_is_not_copied},
		{"many_maps_take_few_exchanges", many_maps_take_few_exchanges},
		{"holes_and_protections", holes_and_protections},
		{"killed_meanwhile", killed_meanwhile},
		{"memory_that_grows", memory_that_grows},
	};

	if (argc == 4 && !strcmp(argv[1], "--die"))
		return die(argv[2], argv[3]);
	return TEST_MAIN(argc, argv, cases);
}
