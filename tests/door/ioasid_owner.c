/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose PASIDs they are: a file belongs to the address space that opened it, wherever the descriptor goes. */
#include "ioasid.h"
#include "peer.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { STACK = 65536 };

/* What may be done with another's file, of which id is allocated and free is not. */
static bool is_foreign(struct test *t, int fd, long id, long free)
{
	return SAME(t, ioasid_version(fd), 0) && SAME(t, ioasid_bits(fd), 31) && SAME(t, ioasid_any(fd), -EPERM) &&
	       SAME(t, ioasid_alloc(fd, (uint32_t)free, (uint32_t)free), -EPERM) &&
	       SAME(t, ioasid_free(fd, id), -EPERM) && SAME(t, ioasid_free(fd, free), -EPERM);
}

/* Ends a child with what its case has found. */
__attribute__((noreturn)) static void leave(const struct test *t)
{
	_exit(t->failed);
}

static void forked_child(struct test *t)
{
	int fd = ioasid_open();
	pid_t pid;

	SAME(t, ioasid_any(fd), 1);
	pid = fork();
	if (pid == 0) {
		int own;

		is_foreign(t, fd, 1, 2);
		own = ioasid_open();
		CHECK(t, own >= 0);
		SAME(t, ioasid_open(), -EBUSY);
		SAME(t, ioasid_any(own), 2);
		SAME(t, ioasid_free(own, 1), -EACCES);
		is_foreign(t, fd, 1, 3);
		close(fd);
		SAME(t, ioasid_any(own), 3);
		leave(t);
	}
	SAME(t, wait_for(pid), 0);
	/* What the child had is free, what its parent has is not. */
	SAME(t, ioasid_any(fd), 2);
	SAME(t, ioasid_free(fd, 1), 0);
	SAME(t, ioasid_any(fd), 1);
}

/* The child's copy keeps the file open; as long as it is, so is its owner's. */
static void kept_open_by_a_child(struct test *t)
{
	int fd = ioasid_open();
	int go[2];
	pid_t pid;

	SAME(t, ERR(pipe2(go, O_CLOEXEC)), 0);
	SAME(t, ioasid_any(fd), 1);
	pid = fork();
	if (pid == 0) {
		int own;

		close(go[1]);
		hear(go[0]);
		is_foreign(t, fd, 1, 2);
		own = ioasid_open();
		SAME(t, ioasid_any(own), 2);
		leave(t);
	}
	close(fd);
	SAME(t, ioasid_open(), -EBUSY);
	close(go[1]);
	SAME(t, wait_for(pid), 0);
	fd = ioasid_open();
	CHECK(t, fd >= 0);
	SAME(t, ioasid_any(fd), 1);
}

/* The owner exits, and its child has the file: its PASIDs are free although it is open. */
static void outlived_by_a_child(struct test *t)
{
	int go[2];
	int done[2];
	int fd;
	pid_t pid;

	SAME(t, ERR(pipe2(go, O_CLOEXEC)), 0);
	SAME(t, ERR(pipe2(done, O_CLOEXEC)), 0);
	pid = fork();
	if (pid == 0) {
		fd = ioasid_open();
		SAME(t, ioasid_any(fd), 1);
		SAME(t, ioasid_any(fd), 2);
		if (fork() == 0) {
			close(go[1]);
			hear(go[0]);
			is_foreign(t, fd, 1, 3);
			if (!t->failed)
				tell(done[1]);
			_exit(0);
		}
		leave(t);
	}
	close(done[1]);
	SAME(t, wait_for(pid), 0);
	fd = ioasid_open();
	SAME(t, ioasid_any(fd), 1);
	close(go[1]);
	CHECK(t, hear(done[0]));
	hear(done[0]); /* until it is gone */
	SAME(t, ioasid_any(fd), 2);
	SAME(t, ioasid_free(fd, 1), 0);
	SAME(t, ioasid_any(fd), 1);
}

struct helper_args {
	const char *what;
	int fd;
};

static int execute(const char *what, int fd)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", "helper", "--helper", what, number, (char *)NULL);
	return 126;
}

/* What a program finds that is executed with the file open, or closed; its maker had PASID 1. */
static int helper(const char *what, int fd)
{
	struct test test = {.name = what};
	struct test *t = &test;
	bool inherits = strcmp(what, "inherits") == 0;
	int own;

	if (inherits)
		is_foreign(t, fd, 1, 2);
	else
		SAME(t, ioasid_version(fd), -EBADF);
	if (strcmp(what, "beside") == 0) { /* its maker lives: by fork and exec */
		own = ioasid_open();
		SAME(t, ioasid_any(own), 2);
		SAME(t, ioasid_free(own, 1), -EACCES);
		return t->failed;
	}
	own = ioasid_open();
	CHECK(t, own >= 0);
	SAME(t, ioasid_open(), -EBUSY);
	/* The address space that had it is no more. */
	SAME(t, ioasid_any(own), 1);
	if (inherits) {
		is_foreign(t, fd, 1, 2);
		close(fd);
	}
	SAME(t, ioasid_any(own), 2);
	SAME(t, ioasid_free(own, 1), 0);
	SAME(t, ioasid_any(own), 1);
	return t->failed;
}

static void executes(struct test *t, const char *what, int flags)
{
	pid_t pid = fork();
	int fd;

	if (pid == 0) {
		fd = (int)ERR(open(DEV_IOASID, O_RDWR | flags));
		if (ioasid_any(fd) != 1)
			_exit(125);
		_exit(execute(what, fd));
	}
	SAME(t, wait_for(pid), 0);
	fd = ioasid_open();
	SAME(t, ioasid_any(fd), 1);
	close(fd);
}

static void exec_closes(struct test *t)
{
	executes(t, "closed", O_CLOEXEC);
}

static void exec_without_close_on_exec(struct test *t)
{
	executes(t, "inherits", 0);
}

static void fork_and_exec(struct test *t)
{
	int fd = ioasid_open();
	pid_t pid;

	SAME(t, ioasid_any(fd), 1);
	pid = fork();
	if (pid == 0)
		_exit(execute("beside", fd));
	SAME(t, wait_for(pid), 0);
	SAME(t, ioasid_any(fd), 2);
}

static void *execute_in_thread(void *arg)
{
	struct helper_args *args = arg;

	_exit(execute(args->what, args->fd));
	return NULL;
}

/* Another thread than the first executes: it becomes the process, with a new address space. */
static void exec_by_a_thread(struct test *t)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct helper_args args = {"inherits", (int)ERR(open(DEV_IOASID, O_RDWR))};
		pthread_t thread;

		if (ioasid_any(args.fd) != 1 || pthread_create(&thread, NULL, execute_in_thread, &args))
			_exit(125);
		pthread_join(thread, NULL);
		_exit(124);
	}
	SAME(t, wait_for(pid), 0);
}

/* Asked of a process that has what it was given. */
enum { TAKE, VERSION, BITS, ALLOC, FREE, OPEN, CLOSE, SEND_BACK };

static long serve(int socket, unsigned op, uint64_t a, uint64_t b)
{
	int fd = (int)a;

	switch (op) {
	case TAKE:
		return receive_descriptor(socket);
	case VERSION:
		return ioasid_version(fd);
	case BITS:
		return ioasid_bits(fd);
	case ALLOC:
		return ioasid_any(fd);
	case FREE:
		return ioasid_free(fd, (long)b);
	case OPEN:
		return ioasid_open();
	case CLOSE:
		return ERR(close(fd));
	case SEND_BACK:
		return send_descriptor(socket, fd);
	}
	return -ENOSYS;
}

static long pass(const struct peer *peer, int fd)
{
	peer_tell(peer, TAKE, 0, 0);
	send_descriptor(peer->socket, fd);
	return peer_answer(peer);
}

static void passed_on(struct test *t)
{
	struct peer peer = peer_start(serve);
	int fd = ioasid_open();
	uint64_t theirs;
	uint64_t own;

	SAME(t, ioasid_any(fd), 1);
	theirs = (uint64_t)pass(&peer, fd);
	SAME(t, peer_ask(&peer, VERSION, theirs, 0), 0);
	SAME(t, peer_ask(&peer, BITS, theirs, 0), 31);
	SAME(t, peer_ask(&peer, ALLOC, theirs, 0), -EPERM);
	SAME(t, peer_ask(&peer, FREE, theirs, 1), -EPERM);
	SAME(t, peer_ask(&peer, FREE, theirs, 2), -EPERM);
	/* What it was given is not its one open. */
	own = (uint64_t)peer_ask(&peer, OPEN, 0, 0);
	SAME(t, peer_ask(&peer, ALLOC, own, 0), 2);
	SAME(t, peer_ask(&peer, FREE, own, 1), -EACCES);
	SAME(t, ioasid_free(fd, 2), -EACCES);
	/* The owner gets it back after it has closed its own. */
	close(fd);
	SAME(t, ioasid_open(), -EBUSY);
	peer_tell(&peer, SEND_BACK, theirs, 0);
	fd = receive_descriptor(peer.socket);
	CHECK(t, fd >= 0);
	SAME(t, peer_answer(&peer), 0);
	SAME(t, peer_ask(&peer, CLOSE, theirs, 0), 0);
	SAME(t, ioasid_any(fd), 3);
	SAME(t, ioasid_free(fd, 1), 0);
	SAME(t, peer_end(&peer), 0);
	SAME(t, ioasid_any(fd), 1);
	SAME(t, ioasid_any(fd), 2);
}

/* In a message that nobody has read yet the file is open, and when that goes so does the file. */
static void kept_by_a_message(struct test *t)
{
	for (unsigned long i = 0; i < t->rounds && !t->failed; i++) {
		int sockets[2];
		int fd = ioasid_open();

		SAME(t, ERR(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, sockets)), 0);
		SAME(t, ioasid_any(fd), 1);
		SAME(t, send_descriptor(sockets[0], fd), 0);
		close(fd);
		SAME(t, ioasid_open(), -EBUSY);
		if (i % 2) {
			fd = receive_descriptor(sockets[1]);
			SAME(t, ioasid_any(fd), 2);
			close(fd);
		}
		close(sockets[0]);
		close(sockets[1]);
		fd = ioasid_open();
		SAME(t, ioasid_any(fd), 1);
		close(fd);
	}
}

/* The owner dies while another has its file. */
static void owner_dies(struct test *t)
{
	for (int kill_it = 0; kill_it < 2; kill_it++) {
		struct peer peer = peer_start(serve);
		uint64_t theirs = (uint64_t)peer_ask(&peer, OPEN, 0, 0);
		int own = ioasid_open();
		int fd;

		SAME(t, peer_ask(&peer, ALLOC, theirs, 0), 1);
		SAME(t, ioasid_any(own), 2);
		peer_tell(&peer, SEND_BACK, theirs, 0);
		fd = receive_descriptor(peer.socket);
		SAME(t, peer_answer(&peer), 0);
		is_foreign(t, fd, 1, 3);
		SAME(t, ioasid_free(own, 1), -EACCES);
		SAME(t, kill_it ? peer_kill(&peer) : peer_end(&peer), kill_it ? -SIGKILL : 0);
		SAME(t, ioasid_free(own, 1), -ENOENT);
		SAME(t, ioasid_any(own), 1);
		is_foreign(t, fd, 1, 3);
		close(fd);
		SAME(t, ioasid_free(own, 1), 0);
		close(own);
	}
}

struct sharer {
	struct test *t;
	int fd, first;
	unsigned own; /* how many it has got */
};

static void *allocate_some(void *arg)
{
	struct sharer *s = arg;

	SAME(s->t, ioasid_open(), -EBUSY);
	for (unsigned i = 0; i < 50; i++) {
		long id = ioasid_any(s->fd);

		if (!CHECK(s->t, id > 0))
			break;
		s->own += ioasid_free(s->fd, id) == 0;
	}
	s->first = (int)ioasid_any(s->fd);
	return NULL;
}

static void threads_share(struct test *t)
{
	enum { THREADS = 4 };
	struct sharer sharers[THREADS];
	pthread_t threads[THREADS];
	int fd = ioasid_open();
	unsigned seen = 0;

	for (int i = 0; i < THREADS; i++) {
		sharers[i] = (struct sharer){.t = t, .fd = fd};
		SAME(t, pthread_create(&threads[i], NULL, allocate_some, &sharers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		SAME(t, sharers[i].own, 50);
		if (CHECK(t, sharers[i].first > 0 && sharers[i].first < 31))
			seen |= 1u << sharers[i].first;
	}
	SAME(t, __builtin_popcount(seen), THREADS);
	/* Each of them is any thread's. */
	for (int i = 0; i < THREADS; i++)
		SAME(t, ioasid_free(fd, sharers[i].first), 0);
	SAME(t, ioasid_any(fd), 1);
}

static void *open_and_end(void *arg)
{
	int *fd = arg;

	*fd = ioasid_open();
	ioasid_any(*fd);
	return NULL;
}

/* The thread that opened it ends: it is the process's. */
static void opened_by_a_thread(struct test *t)
{
	pthread_t thread;
	int fd = -1;

	SAME(t, pthread_create(&thread, NULL, open_and_end, &fd), 0);
	pthread_join(thread, NULL);
	SAME(t, ioasid_open(), -EBUSY);
	SAME(t, ioasid_any(fd), 2);
	SAME(t, ioasid_free(fd, 1), 0);
	SAME(t, ioasid_any(fd), 1);
}

static void *go_on_alone(void *arg)
{
	struct sharer *s = arg;

	/* Until the first thread is a zombie. */
	for (int i = 0; i < 1000; i++) {
		char path[64];
		char stat[128] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
		fd = open(path, O_RDONLY);
		(void)!read(fd, stat, sizeof(stat) - 1);
		close(fd);
		if (strstr(stat, ") Z "))
			break;
		usleep(1000);
	}
	SAME(s->t, ioasid_any(s->fd), 2);
	SAME(s->t, ioasid_open(), -EBUSY);
	SAME(s->t, ioasid_free(s->fd, 1), 0);
	close(s->fd);
	s->fd = ioasid_open();
	SAME(s->t, ioasid_any(s->fd), 1);
	_exit(s->t->failed);
}

/* The process goes on without its first thread. */
static void first_thread_ends(struct test *t)
{
	pid_t pid = fork();

	if (pid == 0) {
		static struct sharer s;
		pthread_t thread;

		s = (struct sharer){.t = t, .fd = ioasid_open()};
		SAME(t, ioasid_any(s.fd), 1);
		SAME(t, pthread_create(&thread, NULL, go_on_alone, &s), 0);
		pthread_exit(NULL);
	}
	SAME(t, wait_for(pid), 0);
}

struct borrower {
	struct test *t;
	int fd, go, done;
	bool outlives;
};

/* A process of its own with the same address space. */
static int borrow(void *context)
{
	struct borrower *b = context;

	if (b->outlives)
		hear(b->go);
	SAME(b->t, syscall(SYS_ioctl, b->fd, IOASID_GET_API_VERSION, NULL), 0);
	SAME(b->t, ioasid_open(), -EBUSY);
	SAME(b->t, ioasid_any(b->fd), 2);
	SAME(b->t, ioasid_free(b->fd, 1), 0);
	SAME(b->t, ioasid_any(b->fd), 1);
	if (b->outlives && !b->t->failed)
		tell(b->done);
	syscall(SYS_exit_group, b->t->failed);
	return 0;
}

/* A child of vfork(2) in all but the stack. */
static void child_of_vfork(struct test *t)
{
	_Alignas(16) static char stack[STACK];
	struct borrower b = {.t = t, .fd = ioasid_open()};
	int pid;

	SAME(t, ioasid_any(b.fd), 1);
	pid = clone(borrow, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &b);
	SAME(t, wait_for(pid), 0);
	/* Its end is not the end of the address space. */
	SAME(t, ioasid_any(b.fd), 3);
	SAME(t, ioasid_free(b.fd, 1), 0);
	SAME(t, ioasid_free(b.fd, 2), 0);
}

/* The address space goes on in a child when the process that opened the file has ended. */
static void child_of_the_same_memory(struct test *t)
{
	struct test *shared = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int go[2];
	int done[2];
	pid_t pid;

	*shared = *t;
	SAME(t, ERR(pipe(go)), 0);
	SAME(t, ERR(pipe(done)), 0);
	pid = fork();
	if (pid == 0) {
		static struct borrower b;
		_Alignas(16) static char stack[STACK];

		close(go[1]);
		b = (struct borrower){.t = shared, .fd = ioasid_open(), .go = go[0], .done = done[1], .outlives = true};
		SAME(shared, ioasid_any(b.fd), 1);
		CHECK(shared, clone(borrow, stack + STACK, CLONE_VM | SIGCHLD, &b) > 0);
		_exit(shared->failed);
	}
	close(done[1]);
	close(go[0]);
	SAME(t, wait_for(pid), 0);
	close(go[1]);
	CHECK(t, hear(done[0]));
	hear(done[0]); /* until it has ended */
	CHECK(t, !shared->failed);
	pid = ioasid_open();
	SAME(t, ioasid_any(pid), 1);
}

static int execute_borrowed(void *context)
{
	struct helper_args *args = context;

	syscall(SYS_exit_group, execute(args->what, args->fd));
	return 0;
}

/* vfork and exec: the parent has what it had. */
static void vfork_and_exec(struct test *t)
{
	_Alignas(16) static char stack[STACK];
	struct helper_args args = {"beside", ioasid_open()};
	int pid;

	SAME(t, ioasid_any(args.fd), 1);
	pid = clone(execute_borrowed, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &args);
	SAME(t, wait_for(pid), 0);
	SAME(t, ioasid_any(args.fd), 2);
	SAME(t, ioasid_free(args.fd, 1), 0);
}

static void taken_with_pidfd_getfd(struct test *t)
{
	struct peer peer = peer_start(serve);
	uint64_t theirs = (uint64_t)peer_ask(&peer, OPEN, 0, 0);
	int pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	int own = ioasid_open();
	long fd = ERR(syscall(SYS_pidfd_getfd, pidfd, (int)theirs, 0));

	if (fd < 0) {
		peer_kill(&peer);
		test_skip(t, "pidfd_getfd: %s", strerrorname_np((int)-fd));
		return;
	}
	SAME(t, peer_ask(&peer, ALLOC, theirs, 0), 1);
	is_foreign(t, (int)fd, 1, 2);
	SAME(t, ioasid_any(own), 2);
	SAME(t, peer_ask(&peer, CLOSE, theirs, 0), 0);
	SAME(t, peer_ask(&peer, OPEN, 0, 0), -EBUSY);
	close((int)fd);
	CHECK(t, peer_ask(&peer, OPEN, 0, 0) >= 0);
	SAME(t, peer_end(&peer), 0);
}

/* A process that is not dumpable, or of whom nobody may read memory, is an owner as any. */
static void not_dumpable(struct test *t)
{
	int fd = ioasid_open();

	SAME(t, ERR(prctl(PR_SET_DUMPABLE, 0)), 0);
	if (ioasid_bits(fd) < 0) { /* docs/limits.md: it cannot be looked at without privilege */
		test_skip(t, "iommuse may not look at a process that is not dumpable");
		return;
	}
	SAME(t, ioasid_any(fd), 1);
	SAME(t, ioasid_open(), -EBUSY);
	close(fd);
	fd = ioasid_open();
	SAME(t, ioasid_any(fd), 1);
}

int main(int argc, char **argv)
{
	static const struct test_case cases[] = {
		{"forked_child", forked_child},
		{"kept_open_by_a_child", kept_open_by_a_child},
		{"outlived_by_a_child", outlived_by_a_child},
		{"exec_closes", exec_closes},
		{"exec_without_close_on_exec", exec_without_close_on_exec},
		{"fork_and_exec", fork_and_exec},
		{"exec_by_a_thread", exec_by_a_thread},
		{"passed_on", passed_on},
		{"kept_by_a_message", kept_by_a_message},
		{"owner_dies", owner_dies},
		{"threads_share", threads_share},
		{"opened_by_a_thread", opened_by_a_thread},
		{"first_thread_ends", first_thread_ends},
		{"child_of_vfork", child_of_vfork},
		{"child_of_the_same_memory", child_of_the_same_memory},
		{"vfork_and_exec", vfork_and_exec},
		{"taken_with_pidfd_getfd", taken_with_pidfd_getfd},
		{"not_dumpable", not_dumpable},
	};

	if (argc == 4 && strcmp(argv[1], "--helper") == 0)
		return helper(argv[2], atoi(argv[3]));
	return TEST_MAIN(argc, argv, cases);
}
