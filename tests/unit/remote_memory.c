/* SPDX-License-Identifier: BSD-3-Clause */
/* What of another process's memory can be pinned, and what stays when it lets go, ends, or becomes another program. */
#define _GNU_SOURCE
#include "supervisor/remote_mm.h"

#include "check.h"
#include "client/holds.h"
#include "supervisor/guard.h"
#include "supervisor/process.h"
#include "supervisor/standin.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

#define P PAGE_SIZE

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

/* What the other process has mapped, made before it was forked off: the addresses are good only there. */
struct memory {
	char *private, *read_only, *none, *gone, *memfd, *closed, *anonymous, *named, *disk, *private_disk;
	int memfd_fd, disk_fd;
};

struct other {
	struct supervisor s;
	struct remote_mm *remote;
	struct mm *mm;
	pid_t pid;
	int command, done;
};

static char *map(int prot, int flags, int fd, uint64_t pages)
{
	char *at = mmap(NULL, pages * P, prot, flags, fd, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static void set_text(char *at, const char *text)
{
	memcpy(at, text, strlen(text) + 1);
}

static char *map_memfd(int *fd)
{
	*fd = memfd_create("other", MFD_CLOEXEC);
	CHECK_EQ(ftruncate(*fd, 4 * (off_t)P), 0);
	return map(PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 6);
}

static void make_memory(struct memory *m)
{
	const int rw = PROT_READ | PROT_WRITE;
	char disk[] = "disk-XXXXXX", named[] = "/dev/shm/iommuse-test-XXXXXX";
	int fd;

	m->private = map(rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 4);
	set_text(m->private + P, "private");
	m->read_only = map(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 2);
	m->none = map(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 2);
	m->gone = map(rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 2);
	m->memfd = map_memfd(&m->memfd_fd);
	m->closed = map_memfd(&fd);
	close(fd);
	m->anonymous = map(rw, MAP_SHARED | MAP_ANONYMOUS, -1, 4);
	fd = mkstemp(named);
	CHECK(fd >= 0 && !ftruncate(fd, 4 * (off_t)P));
	m->named = map(rw, MAP_SHARED, fd, 4);
	close(fd);
	m->disk_fd = mkstemp(disk);
	unlink(disk);
	CHECK(m->disk_fd >= 0 && !ftruncate(m->disk_fd, 2 * (off_t)P));
	m->disk = map(rw, MAP_SHARED, m->disk_fd, 4);
	m->private_disk = map(rw, MAP_PRIVATE, m->disk_fd, 4);
	set_text(m->memfd + P, "memfd");
	set_text(m->closed + P, "closed");
	set_text(m->anonymous + P, "anonymous");
	set_text(m->named + P, named);
	munmap(m->gone, 2 * P); /* last, or its place is another's */
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	(void)syscall(SYS_capset, &header, data);
}

/* The other process: does what it is told. */
static void be_other(const struct memory *m, int command, int done)
{
	char what;

	while (read(command, &what, 1) == 1) {
		if (what == 't')
			(void)!ftruncate(m->memfd_fd, (off_t)P);
		else if (what == 'u')
			munmap(m->memfd, 6 * P);
		else if (what == 'c')
			drop_capabilities();
		else if (what == 'e')
			execl("/proc/self/exe", "other", (char *)NULL);
		(void)!write(done, &what, 1);
	}
	_exit(0);
}

static void tell(struct other *o, char what)
{
	char reply;

	CHECK_EQ(write(o->command, &what, 1), 1);
	CHECK_EQ(read(o->done, &reply, 1), 1);
}

static void start(struct other *o, const struct memory *m)
{
	const struct system_config config = {.memlock = MEMLOCK_ENFORCE};
	int command[2] = {-1, -1};
	int done[2] = {-1, -1};

	memset(o, 0, sizeof(*o));
	CHECK(!pipe(command) && !pipe(done));
	o->pid = fork();
	if (!o->pid) {
		dup2(command[0], STDIN_FILENO);
		dup2(done[1], STDOUT_FILENO);
		close(command[1]);
		close(done[0]);
		be_other(m, STDIN_FILENO, STDOUT_FILENO);
	}
	close(command[0]);
	close(done[1]);
	o->command = command[1];
	o->done = done[0];
	CHECK_EQ(system_new(&config, &o->s.system), 0);
	o->s.holds = holds_new(guard_copy);
	o->remote = remote_mm_new(&o->s, o->pid, NULL);
	remote_mm_open(o->remote, o->pid);
	o->mm = remote_mm_base(o->remote);
}

static void stop(struct other *o)
{
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
	close(o->command);
	close(o->done);
	mm_put(o->mm);
	holds_put(o->s.holds);
	system_free(o->s.system);
}

static int pin(struct other *o, const char *at, uint64_t pages, bool write, struct memory_run *run)
{
	return o->mm->ops->pin(o->mm, NULL, uaddr((uintptr_t)at), pages * P, write, run);
}

static int try_pin(struct other *o, const char *at, uint64_t pages, bool write)
{
	struct memory_run run = {0};
	int rc = pin(o, at, pages, write, &run);

	if (!rc)
		hold_put(run.hold);
	return rc;
}

static void what_pinning_refuses(struct other *o, const struct memory *m)
{
	CHECK_EQ(try_pin(o, m->private, 4, true), 0);
	CHECK_EQ(try_pin(o, m->read_only, 2, false), 0);
	CHECK_EQ(try_pin(o, m->read_only, 2, true), -EFAULT);
	CHECK_EQ(try_pin(o, m->none, 2, false), -EFAULT);
	CHECK_EQ(try_pin(o, m->gone, 2, false), -EFAULT);
	CHECK_EQ(try_pin(o, m->memfd, 4, true), 0);
	CHECK_EQ(try_pin(o, m->memfd, 5, true), -EFAULT);
	CHECK_EQ(try_pin(o, m->disk, 2, true), -EFAULT);
	CHECK_EQ(try_pin(o, m->disk, 2, false), 0);
	CHECK_EQ(try_pin(o, m->private_disk, 2, true), 0);
	CHECK_EQ(try_pin(o, m->private_disk + P, 2, true), -EFAULT);
}

static void private_memory_is_followed(struct other *o, const struct memory *m)
{
	const uaddr_t at = uaddr((uintptr_t)m->private + P);
	struct memory_run run;
	char buf[32] = "";

	CHECK_EQ(pin(o, m->private, 4, true, &run), 0);
	CHECK(!run.host && !run.hold && run.length == 4 * P);
	CHECK_EQ(o->mm->ops->read(o->mm, buf, at, 8), 8);
	CHECK(!strcmp(buf, "private"));
	CHECK_EQ(o->mm->ops->write(o->mm, at, "written", 8), 8);
	CHECK_EQ(o->mm->ops->read(o->mm, buf, at, 8), 8);
	CHECK(!strcmp(buf, "written"));
	CHECK(!strcmp(m->private + P, "private")); /* in this process it is another page */
	CHECK_EQ(o->mm->ops->write(o->mm, uaddr((uintptr_t)m->read_only), "no", 3), 0);
	CHECK_EQ(o->mm->ops->read(o->mm, buf, uaddr((uintptr_t)m->gone), 3), 0);
	CHECK_EQ(o->mm->ops->write(o->mm, uaddr((uintptr_t)m->gone), "no", 3), 0);
	CHECK_EQ(o->mm->ops->read(o->mm, buf, uaddr(UINT64_MAX - 1), 2), 0);
	CHECK_EQ(o->mm->ops->write(o->mm, uaddr(UINT64_MAX - 1), "no", 2), 0);
}

static void shared_memory_is_held(struct other *o, const char *at, const char *content)
{
	struct memory_run run, again;
	char buf[64] = "";

	CHECK_EQ(pin(o, at, 2, true, &run), 0);
	if (!run.hold) {
		printf("%s memory is not held here\n", content);
		CHECK(geteuid() != 0 && !run.host);
		return;
	}
	CHECK_EQ(memory_copy(run.hold, buf, run.host + P, strlen(content) + 1), strlen(content) + 1);
	CHECK(!strcmp(buf, content));
	CHECK_EQ(memory_copy(run.hold, run.host, "from here", 10), 10);
	CHECK(!strcmp(at, "from here")); /* it is shared with this process, too */
	CHECK_EQ(pin(o, at + P, 3, false, &again), 0);
	CHECK(again.hold == run.hold && again.host == run.host + P);
	hold_put(again.hold);
	hold_put(run.hold);
}

static void held_memory_survives(struct other *o, const struct memory *m)
{
	static char buf[4 * 4096];
	struct memory_run run;

	CHECK_EQ(pin(o, m->memfd, 4, true, &run), 0);
	CHECK(run.hold != NULL);
	tell(o, 'u');
	CHECK_EQ(try_pin(o, m->memfd, 4, true), -EFAULT);
	CHECK_EQ(memory_copy(run.hold, buf, run.host, 4 * P), 4 * P);
	CHECK(!strcmp(buf + P, "memfd"));
	tell(o, 't');
	CHECK_EQ(memory_copy(run.hold, buf, run.host, 4 * P), P);
	CHECK_EQ(memory_copy(run.hold, run.host + P, buf, P), 0);
	hold_put(run.hold);
}

static bool run_has(const struct memory_run *run, uint64_t page, const char *text)
{
	char buf[32] = "";

	return memory_copy(run->hold, buf, run->host + page * P, sizeof(buf)) == sizeof(buf) && !strcmp(buf, text);
}

/* What goes out of a file while it is pinned stays there for who has it pinned, once. */
static void cut_memory_stays(struct other *o)
{
	struct memory_file file = {.holds = o->s.holds};
	struct memory_run run, again;
	struct stat st;
	char *at = map_memfd(&file.fd);

	for (int i = 0; i < 4; i++)
		sprintf(at + (uint64_t)i * P, "page %d", i);
	CHECK_EQ(fallocate(file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * P, P), 0);
	CHECK_EQ(memory_file_pin(&file, 0, 4 * P, true, &run), 0);
	CHECK(!fstat(file.fd, &st));
	CHECK(holds_any(o->s.holds) && holds_file(o->s.holds, st.st_dev, st.st_ino));
	CHECK(!holds_file(o->s.holds, st.st_dev, st.st_ino + 1));
	holds_cut(o->s.holds, file.fd, st.st_dev, st.st_ino, P, 4 * P);
	CHECK_EQ(ftruncate(file.fd, (off_t)P), 0);
	CHECK(run_has(&run, 0, "page 0"));
	CHECK(run_has(&run, 1, "page 1"));
	CHECK(run_has(&run, 2, ""));
	CHECK(run_has(&run, 3, "page 3"));
	set_text(at, "shared");
	CHECK(run_has(&run, 0, "shared"));
	CHECK_EQ(memory_copy(run.hold, run.host + 3 * P, "written", 8), 8);
	CHECK(run_has(&run, 3, "written"));
	/* The file grows again, with other pages, and loses those. */
	CHECK_EQ(ftruncate(file.fd, 4 * (off_t)P), 0);
	set_text(at + P, "new");
	CHECK_EQ(memory_file_pin(&file, 0, 4 * P, true, &again), 0);
	CHECK(again.hold != run.hold);
	CHECK(run_has(&again, 1, "new") && run_has(&run, 1, "page 1"));
	holds_cut(o->s.holds, file.fd, st.st_dev, st.st_ino, 0, 4 * P);
	CHECK_EQ(ftruncate(file.fd, 0), 0);
	CHECK(run_has(&again, 1, "new") && run_has(&run, 1, "page 1"));
	CHECK(run_has(&again, 0, "shared") && run_has(&run, 0, "shared") && run_has(&run, 3, "written"));
	hold_put(run.hold);
	hold_put(again.hold);
	CHECK(!holds_file(o->s.holds, st.st_dev, st.st_ino));
	munmap(at, 6 * P);
	close(file.fd);
}

static void a_program_that_is_replaced_is_gone(struct other *o, const struct memory *m)
{
	char byte;

	CHECK(!remote_mm_gone(o->remote));
	CHECK_EQ(write(o->command, "e", 1), 1);
	CHECK_EQ(read(o->done, &byte, 1), 1); /* of main() */
	CHECK(remote_mm_gone(o->remote));
	CHECK_EQ(try_pin(o, m->private, 1, false), -EFAULT);
	CHECK_EQ(o->mm->ops->read(o->mm, &byte, uaddr((uintptr_t)m->private), 1), 0);
	CHECK_EQ(o->mm->ops->write(o->mm, uaddr((uintptr_t)m->private), "x", 1), 0);
}

static void a_process_that_has_ended_is_gone(struct other *o, const struct memory *m)
{
	const uint64_t limit = o->mm->ops->memlock_limit(o->mm);
	struct memory_run run;
	char buf[16];

	CHECK_EQ(pin(o, m->named, 4, true, &run), 0);
	kill(o->pid, SIGKILL);
	waitpid(o->pid, NULL, 0);
	CHECK(remote_mm_gone(o->remote));
	CHECK_EQ(try_pin(o, m->private, 1, false), -EFAULT);
	CHECK_EQ(try_pin(o, m->named, 1, false), -EFAULT);
	CHECK_EQ(o->mm->ops->read(o->mm, buf, uaddr((uintptr_t)m->private), 1), 0);
	CHECK_EQ(o->mm->ops->write(o->mm, uaddr((uintptr_t)m->private), "x", 1), 0);
	CHECK_EQ(memory_copy(run.hold, buf, run.host + P, 8), 8);
	CHECK(!memcmp(buf, "/dev/shm", 8));
	hold_put(run.hold);
	CHECK_EQ(o->mm->ops->memlock_limit(o->mm), limit);
}

static void its_account_is_its_users(struct other *o)
{
	struct rlimit limit;

	CHECK(o->mm->accounts && o->mm->user);
	CHECK_EQ(o->mm->user->uid, getuid());
	CHECK(!getrlimit(RLIMIT_MEMLOCK, &limit));
	limit.rlim_cur = 5 * P < limit.rlim_max ? 5 * P : limit.rlim_max;
	CHECK_EQ(prlimit(o->pid, RLIMIT_MEMLOCK, &limit, NULL), 0);
	CHECK_EQ(o->mm->ops->memlock_limit(o->mm), limit.rlim_cur / P);
	CHECK_EQ(account_charge(o->mm, ACCOUNT_USER, 6), -ENOMEM);
}

/* A number may be another thread's by the time that its memory is opened. */
static void a_thread_of_another_process_shows_nothing(struct other *o)
{
	struct remote_view view;

	remote_view_open(&view, o->pid, o->pid);
	CHECK(view.pidfd >= 0 && view.mem >= 0 && view.maps >= 0);
	remote_view_close(&view);
	remote_view_open(&view, o->pid, getpid());
	CHECK_EQ(view.mem, -EFAULT);
	CHECK_EQ(view.maps, -EFAULT);
	remote_view_close(&view);
}

static void capabilities_are_kept_until_they_may_change(struct other *o)
{
	struct call call = {.supervisor = &o->s, .n = {.tid = o->pid}};
	uint64_t before;

	o->s.epoll = epoll_create1(EPOLL_CLOEXEC);
	CHECK_EQ(processes_new(&o->s.processes), 0);
	CHECK_EQ(process_identify(&o->s, &call, -1), 0);
	process_call_begin(&call);
	before = process_capabilities(&call);
	CHECK(!before == (geteuid() != 0 || !process_in_initial_namespace(0)));
	tell(o, 'c');
	CHECK_EQ(process_capabilities(&call), before);
	process_forget_capabilities(&call, false);
	CHECK_EQ(process_capabilities(&call), 0);
	process_call_end(&call);
	processes_free(o->s.processes);
	close(o->s.epoll);
}

int main(int argc, char **argv)
{
	struct memory m;
	struct other o;

	/* What the other process becomes. */
	if (argc && !strcmp(argv[0], "other")) {
		(void)!write(STDOUT_FILENO, "e", 1);
		pause();
	}
	guard_install();
	make_memory(&m);
	start(&o, &m);
	what_pinning_refuses(&o, &m);
	private_memory_is_followed(&o, &m);
	shared_memory_is_held(&o, m.memfd, "memfd");
	shared_memory_is_held(&o, m.closed, "closed");
	shared_memory_is_held(&o, m.anonymous, "anonymous");
	shared_memory_is_held(&o, m.named, m.named + P);
	its_account_is_its_users(&o);
	held_memory_survives(&o, &m);
	cut_memory_stays(&o);
	a_program_that_is_replaced_is_gone(&o, &m);
	stop(&o);
	start(&o, &m);
	a_thread_of_another_process_shows_nothing(&o);
	capabilities_are_kept_until_they_may_change(&o);
	a_process_that_has_ended_is_gone(&o, &m);
	stop(&o);
	unlink(m.named + P);
	return check_result();
}
