/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device reaches that shares the addresses of another process: what the process itself would, as long as it
 * lives and has not become another program. By the number of the process, and by what was opened of it.
 */
#define _GNU_SOURCE
#include "supervisor/remote_mm.h"

#include "check.h"
#include "client/holds.h"
#include "supervisor/guard.h"
#include "supervisor/standin.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#define P   PAGE_SIZE
#define BIG (UINT64_C(1) << 20)

/* Of serve.c; nothing runs beside this test. */
void supervisor_lock(struct supervisor *s)
{
	(void)s;
}

void supervisor_unlock(struct supervisor *s)
{
	(void)s;
}

bool standin_has_inode(struct supervisor *s, dev_t dev, ino_t ino)
{
	(void)s;
	(void)dev;
	(void)ino;
	return false;
}

/* What the other process has mapped, made before it was forked off. */
static struct {
	char *private, *touched, *read_only, *write_only, *execute_only, *none, *file, *private_file, *stack, *served,
		*huge;
} m;

/* The other process */

enum {
	CONTROL_READ = 3,
	CONTROL_WRITE = 4,
};

static int served_by = -1; /* a userfaultfd */

static void serve_nothing(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.range = {.start = (uintptr_t)m.served, .len = P},
					.mode = UFFDIO_REGISTER_MODE_MISSING};

	served_by = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (served_by >= 0 && (ioctl(served_by, UFFDIO_API, &api) || ioctl(served_by, UFFDIO_REGISTER, &range))) {
		close(served_by);
		served_by = -1;
	}
}

static void serve(void)
{
	static char page[4096] = "served";
	struct uffdio_copy copy = {.dst = (uintptr_t)m.served, .src = (uintptr_t)page, .len = P};
	struct uffd_msg message;

	(void)!read(served_by, &message, sizeof(message));
	(void)ioctl(served_by, UFFDIO_COPY, &copy);
}

static int share_memory(void *unused)
{
	(void)unused;
	while (pause())
		;
	return 0;
}

static volatile pid_t *sharer; /* shared with this process */

/* Another process in the same memory. */
static void share(void)
{
	static char stack[65536] __attribute__((aligned(64)));

	*sharer = clone(share_memory, stack + sizeof(stack), CLONE_VM | CLONE_PARENT | SIGCHLD, NULL);
}

static sem_t first_may_end;

/* The first thread ends, and with it what the number of the process stands for. */
static void lose_head(void)
{
	char byte;
	struct iovec local = {&byte, 1}, remote = {m.touched, 1};

	sem_post(&first_may_end);
	while (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1)
		usleep(100);
}

static char obey(char what)
{
	switch (what) {
	case 'd':
		prctl(PR_SET_DUMPABLE, 0);
		break;
	case 'e':
		execl("/proc/self/exe", "other", (char *)NULL);
		break;
	case 'f':
		serve_nothing();
		return served_by < 0 ? 'n' : 'f';
	case 'h':
		lose_head();
		break;
	case 's':
		serve();
		break;
	case 'v':
		share();
		break;
	case 'c': /* Are the stores there? */
		return strcmp(m.touched, "stored") ? 'n' : 'c';
	default:
		break;
	}
	return what;
}

static void *obey_all(void *unused)
{
	char what;

	while (read(CONTROL_READ, &what, 1) == 1) {
		what = obey(what);
		(void)!write(CONTROL_WRITE, &what, 1);
	}
	_exit(0);
	return unused;
}

/* A thread of it does what it is told, so that the first one can end. */
static void be_other(int command, int done)
{
	pthread_t thread;

	dup2(command, 100);
	dup2(done, 101);
	dup2(100, CONTROL_READ);
	dup2(101, CONTROL_WRITE);
	for (int fd = CONTROL_WRITE + 1; fd < 128; fd++)
		close(fd);
	sem_init(&first_may_end, 0, 0);
	if (pthread_create(&thread, NULL, obey_all, NULL))
		_exit(1);
	sem_wait(&first_may_end);
	pthread_exit(NULL);
}

struct other {
	struct supervisor s;
	struct remote_mm *remote;
	struct mm *mm;
	pid_t pid;
	int command, done;
};

static char tell(struct other *o, char what)
{
	char reply = 0;

	CHECK_EQ(write(o->command, &what, 1), 1);
	CHECK_EQ(read(o->done, &reply, 1), 1);
	return reply;
}

static void start(struct other *o, bool supervised)
{
	const struct system_config config = {.memlock = MEMLOCK_OFF};
	int command[2] = {-1, -1};
	int done[2] = {-1, -1};

	memset(o, 0, sizeof(*o));
	CHECK(!pipe(command) && !pipe(done));
	o->pid = fork();
	if (!o->pid)
		be_other(command[0], done[1]);
	close(command[0]);
	close(done[1]);
	o->command = command[1];
	o->done = done[0];
	CHECK_EQ(system_new(&config, &o->s.system), 0);
	o->s.holds = holds_new(guard_copy);
	tell(o, 'x');
	o->remote = remote_mm_new(&o->s, o->pid, NULL);
	remote_mm_open(o->remote, o->pid);
	if (supervised)
		remote_mm_supervise(o->remote);
	o->mm = remote_mm_base(o->remote);
}

static void stop(struct other *o)
{
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
	close(o->command);
	close(o->done);
	remote_mms_announce(&o->s);
	CHECK(!o->s.ending);
	mm_put(o->mm);
	holds_put(o->s.holds);
	system_free(o->s.system);
}

/* Memory */

static char *map(int prot, int flags, int fd, uint64_t n)
{
	char *at = mmap(NULL, n, prot, flags, fd, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static void make_memory(void)
{
	const int rw = PROT_READ | PROT_WRITE, anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	int fd = memfd_create("other", MFD_CLOEXEC);

	CHECK(fd >= 0 && !ftruncate(fd, 2 * (off_t)P));
	m.private = map(rw, anonymous, -1, BIG);
	m.touched = map(rw, anonymous, -1, 4 * P);
	memset(m.touched, 't', 4 * P);
	m.read_only = map(rw, anonymous, -1, 2 * P);
	memcpy(m.read_only, "read only", 10);
	CHECK(!mprotect(m.read_only, 2 * P, PROT_READ));
	m.write_only = map(PROT_WRITE, anonymous, -1, P);
	m.execute_only = map(PROT_EXEC, anonymous, -1, P);
	m.file = map(rw, MAP_SHARED, fd, 4 * P);
	memcpy(m.file + P, "file", 5);
	m.private_file = map(rw, MAP_PRIVATE, fd, 4 * P);
	m.none = map(PROT_NONE, anonymous, -1, 64 * P);
	munmap(m.none + 2 * P, 62 * P);
	m.stack = mmap(m.none + 60 * P, P, rw, anonymous | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	CHECK(m.stack == m.none + 60 * P);
	m.served = map(rw, anonymous, -1, P);
	m.huge = map(rw, anonymous, -1, 8 * BIG);
	(void)madvise(m.huge, 8 * BIG, MADV_HUGEPAGE);
	close(fd);
}

static size_t load(struct other *o, void *to, const char *from, size_t n)
{
	return o->mm->ops->load(o->mm, to, uaddr((uintptr_t)from), n);
}

static size_t store(struct other *o, const char *to, const void *from, size_t n)
{
	return o->mm->ops->store(o->mm, uaddr((uintptr_t)to), from, n);
}

static bool may(struct other *o, const char *at, bool write)
{
	return o->mm->ops->may(o->mm, uaddr((uintptr_t)at), write);
}

static char bytes[8 * BIG];

static void what_the_process_may_access_is(struct other *o)
{
	CHECK_EQ(load(o, bytes, m.private, BIG), BIG); /* of which nothing was touched */
	CHECK(!bytes[0] && !memcmp(bytes, bytes + 1, BIG - 1));
	memset(bytes, 'n', BIG);
	CHECK_EQ(store(o, m.private + 3, bytes, BIG - 3), BIG - 3);
	memset(bytes, 0, BIG);
	CHECK_EQ(load(o, bytes, m.private, BIG), BIG);
	CHECK(!bytes[2] && bytes[3] == 'n' && bytes[BIG - 1] == 'n');
	/* What was common with this process since the fork is copied when it is written. */
	CHECK_EQ(store(o, m.touched, "stored", 7), 7);
	CHECK(m.touched[0] == 't' && !m.private[3]);
	CHECK_EQ(tell(o, 'c'), 'c');
	CHECK_EQ(load(o, bytes, m.read_only, 10), 10);
	CHECK(!strcmp(bytes, "read only"));
	CHECK_EQ(load(o, bytes, m.file + P, 5), 5);
	CHECK(!strcmp(bytes, "file"));
	CHECK_EQ(store(o, m.private_file + P, "private", 8), 8);
	CHECK_EQ(store(o, m.file, "stored", 7), 7);
	CHECK(!strcmp(m.file, "stored") && !strcmp(m.file + P, "file"));
	CHECK_EQ(store(o, m.write_only, "w", 1), 1);
	memset(bytes, 'h', 8 * BIG);
	CHECK_EQ(store(o, m.huge + 5, bytes, 8 * BIG - 5), 8 * BIG - 5);
	CHECK_EQ(load(o, bytes, m.huge, 8 * BIG), 8 * BIG);
	CHECK(!bytes[4] && bytes[5] == 'h');
	CHECK_EQ(load(o, bytes, m.stack, P), P);
	CHECK(may(o, m.private, true) && may(o, m.private, false) && may(o, m.read_only, false));
}

static void what_it_may_not_is_not(struct other *o)
{
	CHECK_EQ(store(o, m.read_only, "no", 3), 0);
	CHECK_EQ(load(o, bytes, m.write_only, 1), 0);
	CHECK_EQ(load(o, bytes, m.execute_only, 1), 0);
	CHECK_EQ(store(o, m.execute_only, "no", 3), 0);
	CHECK_EQ(load(o, bytes, m.none, 1), 0);
	CHECK_EQ(store(o, m.none, "no", 3), 0);
	CHECK_EQ(load(o, bytes, NULL, 1), 0);
	CHECK_EQ(store(o, NULL, "no", 3), 0);
	CHECK_EQ(load(o, bytes, (char *)UINTPTR_MAX, 1), 0);
	CHECK_EQ(store(o, (char *)UINTPTR_MAX, "no", 3), 0);
	CHECK_EQ(load(o, bytes, (char *)UINT64_C(0xffff800000000000), 1), 0);
	/* Beyond the end of the file. */
	CHECK_EQ(load(o, bytes, m.file + 2 * P, 1), 0);
	CHECK_EQ(store(o, m.file + 2 * P, "no", 3), 0);
	CHECK_EQ(load(o, bytes, m.file + P, 2 * P), P);
	CHECK_EQ(store(o, m.file + 2 * P - 2, "no", 3), 2);
	CHECK_EQ(load(o, bytes, m.private_file + 2 * P - 1, 2), 1);
	/* A stack grows for the process alone. */
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(store(o, m.stack - 8, "no", 3), 0);
		CHECK_EQ(load(o, bytes, m.stack - 8, 16), 0);
		CHECK(!may(o, m.stack - 8, true));
	}
	CHECK(!may(o, m.read_only, true) && !may(o, m.none, false) && !may(o, NULL, false));
}

static void pages_of_a_server_are_waited_for(struct other *o);

static void a_process_is_reached(bool supervised, bool headless, bool dumpable)
{
	struct other o;

	start(&o, supervised);
	if (headless)
		tell(&o, 'h');
	if (!dumpable)
		tell(&o, 'd');
	what_the_process_may_access_is(&o);
	what_it_may_not_is_not(&o);
	/* What was opened does not wait for who serves a page. */
	if (supervised && !headless && dumpable)
		pages_of_a_server_are_waited_for(&o);
	stop(&o);
}

/* Its end */

static void expect_gone(struct other *o)
{
	memset(bytes, 7, 16);
	CHECK_EQ(load(o, bytes, m.touched, 16), 0);
	CHECK_EQ(store(o, m.touched, "no", 3), 0);
	CHECK(!may(o, m.touched, false));
}

static void exec(struct other *o, bool told)
{
	if (told)
		remote_mm_expect_end(o->remote);
	tell(o, 'e');
}

static void a_program_that_is_replaced_is_gone(bool supervised, bool told)
{
	struct other o;

	start(&o, supervised);
	CHECK_EQ(load(&o, bytes, m.touched, 16), 16);
	exec(&o, told);
	expect_gone(&o);
	stop(&o);
}

static void a_process_that_has_ended_is_gone(bool supervised, bool waited_for)
{
	struct other o;

	start(&o, supervised);
	CHECK_EQ(store(&o, m.touched, "stored", 7), 7);
	kill(o.pid, SIGKILL);
	waitid(P_PID, (id_t)o.pid, &(siginfo_t){0}, WEXITED | (waited_for ? 0 : WNOWAIT));
	expect_gone(&o);
	stop(&o);
}

/* Then the number stands for another memory, or for none. */
static void memory_that_another_process_shares_stays(bool supervised, bool ends)
{
	struct other o;

	start(&o, supervised);
	tell(&o, 'v');
	CHECK(*sharer > 0);
	CHECK_EQ(store(&o, m.touched, "stored", 7), 7);
	if (ends) {
		kill(o.pid, SIGKILL);
		waitpid(o.pid, NULL, 0);
	} else {
		exec(&o, true);
	}
	CHECK_EQ(load(&o, bytes, m.touched, 7), 7);
	CHECK(!strcmp(bytes, "stored"));
	CHECK_EQ(store(&o, m.touched, "again", 6), 6);
	CHECK_EQ(load(&o, bytes, m.touched, 7), 7);
	CHECK(!strcmp(bytes, "again"));
	CHECK_EQ(store(&o, m.read_only, "no", 3), 0);
	CHECK(may(&o, m.touched, true));
	kill(*sharer, SIGKILL);
	waitpid(*sharer, NULL, 0);
	expect_gone(&o);
	stop(&o);
}

/* Nobody would be told of its end. */
static void memory_that_nobody_uses_is_let_go(void (*expect)(struct remote_mm *mm))
{
	struct other o;

	start(&o, true);
	expect(o.remote);
	remote_mms_announce(&o.s);
	CHECK(o.s.ending == o.remote || o.s.unsure == o.remote);
	mm_put(o.mm);
	o.s.unsure_due = 0;
	remote_mms_announce(&o.s);
	CHECK(!o.s.ending && !o.s.unsure);
	o.remote = remote_mm_new(&o.s, o.pid, NULL);
	o.mm = remote_mm_base(o.remote);
	stop(&o);
}

/* Who copies waits for the page, and an execve for who writes. */

static void *store_served(void *context)
{
	CHECK_EQ(store(context, m.served + 6, "!", 2), 2);
	return NULL;
}

static void pages_of_a_server_are_waited_for(struct other *o)
{
	pthread_t thread;

	if (tell(o, 'f') != 'f')
		return; /* nobody may serve what the kernel touches */
	CHECK(!remote_mm_is_written(o->remote));
	CHECK(may(o, m.served, true));
	CHECK(!pthread_create(&thread, NULL, store_served, o));
	while (!remote_mm_is_written(o->remote))
		sched_yield();
	tell(o, 's');
	pthread_join(thread, NULL);
	CHECK(!remote_mm_is_written(o->remote));
	CHECK_EQ(load(o, bytes, m.served, 8), 8);
	CHECK(!memcmp(bytes, "served!", 8));
}

int main(int argc, char **argv)
{
	/* What the other process becomes. */
	if (argc && !strcmp(argv[0], "other")) {
		(void)!write(CONTROL_WRITE, "e", 1);
		pause();
	}
	guard_install();
	sharer = (volatile pid_t *)map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, P);
	make_memory();
	for (unsigned supervised = 0; supervised < 2; supervised++) {
		a_process_is_reached(supervised, false, true);
		a_process_is_reached(supervised, false, false);
		a_process_is_reached(supervised, true, true);
		a_program_that_is_replaced_is_gone(supervised, true);
		a_process_that_has_ended_is_gone(supervised, true);
		a_process_that_has_ended_is_gone(supervised, false);
		memory_that_another_process_shares_stays(supervised, false);
		memory_that_another_process_shares_stays(supervised, true);
	}
	a_program_that_is_replaced_is_gone(false, false);
	memory_that_nobody_uses_is_let_go(remote_mm_expect_end);
	memory_that_nobody_uses_is_let_go(remote_mm_be_unsure);
	return check_result();
}
