/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a call costs through `iommuse run`, beside the least that its mechanism can cost, and what starting a program
 * costs.
 *
 *   bench-door IOMMUSE
 *
 * The least is measured with a supervisor of this file: it receives a notification, reads 40 bytes of the client, looks
 * up which file the descriptor is, writes the 40 bytes back and answers. A client under it and a client under iommuse
 * take turns, a batch each, so that both meet the same noise; the figures are medians of the batches, the ratio is the
 * median of the rounds' ratios. Exit status 1 where a target is missed, 77 where the kernel does not let us measure.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS _IOW('!', 4, uint64_t)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1 << 5)
#endif

enum { BATCH = 2000, ROUNDS = 25, STARTS = 50, ARGUMENT = 40, SKIPPED = 77 };
enum { IOAS_ALLOC = 0x81, IOAS_MAP = 0x85, IOAS_UNMAP = 0x86, OPTION = 0x87 };
static const double ratio_target = 1.25;
static const double start_target_ms = 15;

struct map {
	uint32_t size, flags, ioas, reserved;
	uint64_t va, length, iova;
};
struct unmap {
	uint32_t size, ioas;
	uint64_t iova, length;
};
struct option {
	uint32_t size, id;
	uint16_t op, reserved;
	uint32_t object;
	uint64_t value;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, size_t count)
{
	double sorted[STARTS > ROUNDS ? STARTS : ROUNDS];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), compare);
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench-door: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void call(int fd, unsigned nr, void *arg)
{
	if (ioctl(fd, _IO(';', nr), arg) != 0) {
		dprintf(STDERR_FILENO, "bench-door: ioctl %#x: %s\n", nr, strerror(errno));
		_exit(1);
	}
}

/* The clients. A batch is ordered by its letter: 'o' IOMMU_OPTION, 'm' maps and unmaps in turn, 'b' the bare call. */

static double run_batch(int fd, uint32_t ioas, char kind)
{
	static char buffer[4096];
	double start = now_ns();

	for (int i = 0; i < BATCH; i++) {
		struct map map = {.size = sizeof(map),
				  .flags = 7,
				  .ioas = ioas,
				  .va = (uintptr_t)buffer,
				  .length = 4096,
				  .iova = 4096};
		struct unmap unmap = {.size = sizeof(unmap), .ioas = ioas, .iova = 4096, .length = 4096};
		struct option option = {.size = sizeof(option), .op = 1};

		if (kind == 'o')
			call(fd, OPTION, &option);
		else if (kind == 'm' && i % 2)
			call(fd, IOAS_UNMAP, &unmap);
		else
			call(fd, IOAS_MAP, &map);
	}
	return (now_ns() - start) / BATCH;
}

static void serve_batches(int fd, uint32_t ioas, int orders, int results)
{
	char kind;

	while (read(orders, &kind, 1) == 1) {
		double ns = run_batch(fd, ioas, kind);

		if (write(results, &ns, sizeof(ns)) != sizeof(ns))
			_exit(1);
	}
}

static int client_of_iommuse(void)
{
	uint32_t alloc[3] = {sizeof(alloc), 0, 0};
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		perror("bench-door: /dev/iommu");
		return 1;
	}
	call(fd, IOAS_ALLOC, alloc);
	serve_batches(fd, alloc[2], STDIN_FILENO, STDOUT_FILENO);
	return 0;
}

/* The bare supervisor. */

static int install_filter(void)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ';' << 8, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(program) / sizeof(program[0]), program};
	long fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
	if (fd < 0 && errno == EINVAL)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	return (int)(fd < 0 ? -errno : fd);
}

static void send_fd(int socket, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&(char){'x'}, 1};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(socket, &msg, 0) < 0)
		die("sendmsg");
}

static int receive_fd(int socket)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&(char){0}, 1};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd;

	if (recvmsg(socket, &msg, 0) <= 0 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The 40 bytes in and out, and which file it is. Returns the error that the client sees. */
static int answer(const struct seccomp_notif *request, int fd_dir)
{
	char argument[ARGUMENT];
	char name[16];
	struct iovec local = {argument, ARGUMENT};
	struct iovec remote = {(void *)(uintptr_t)request->data.args[2], ARGUMENT};
	struct stat st;

	if (process_vm_readv((pid_t)request->pid, &local, 1, &remote, 1, 0) != ARGUMENT)
		return -EFAULT;
	snprintf(name, sizeof(name), "%d", (int)request->data.args[0]);
	if (fstatat(fd_dir, name, &st, 0) != 0)
		return -EBADF;
	if (process_vm_writev((pid_t)request->pid, &local, 1, &remote, 1, 0) != ARGUMENT)
		return -EFAULT;
	return 0;
}

static void supervise(int listener, pid_t client)
{
	struct seccomp_notif request;
	struct seccomp_notif_resp response;
	char path[64];
	int fd_dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)client);
	fd_dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	for (;;) {
		memset(&request, 0, sizeof(request));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) != 0) {
			if (errno == EINTR)
				continue;
			_exit(0); /* the client is gone */
		}
		memset(&response, 0, sizeof(response));
		response.id = request.id;
		response.error = answer(&request, fd_dir);
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	}
}

static _Noreturn void client_of_bare(int socket, int orders, int results)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int listener = install_filter();

	if (listener < 0) {
		fprintf(stderr, "bench-door: skipped: seccomp notification: %s\n", strerror(-listener));
		_exit(SKIPPED);
	}
	send_fd(socket, listener);
	close(listener);
	close(socket);
	serve_batches(fd, 0, orders, results);
	_exit(0);
}

struct rival {
	const char *what;
	int orders, results;
	pid_t pid;
};

static void make_pipes(int orders[2], int results[2])
{
	if (pipe2(orders, O_CLOEXEC) != 0 || pipe2(results, O_CLOEXEC) != 0)
		die("pipe");
}

static _Noreturn void bare(int orders, int results)
{
	int sockets[2];
	int listener;
	int status = 0;
	pid_t client;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
		die("socketpair");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	client = fork();
	if (client == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sockets[0]);
		client_of_bare(sockets[1], orders, results);
	}
	close(orders);
	close(results);
	close(sockets[1]);
	listener = receive_fd(sockets[0]);
	if (listener >= 0)
		supervise(listener, client);
	waitpid(client, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static _Noreturn void execute_served(const char *iommuse, int orders, int results)
{
	char self[4096] = "";

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("/proc/self/exe");
	dup2(orders, STDIN_FILENO);
	dup2(results, STDOUT_FILENO);
	execl(iommuse, "iommuse", "run", "--", self, "--client", (char *)NULL);
	die(iommuse);
}

static struct rival start(const char *what, const char *iommuse)
{
	struct rival r = {.what = what};
	int orders[2];
	int results[2];

	make_pipes(orders, results);
	r.pid = fork();
	if (r.pid < 0)
		die("fork");
	if (r.pid == 0) {
		close(orders[1]);
		close(results[0]);
		if (!iommuse)
			bare(orders[0], results[1]);
		execute_served(iommuse, orders[0], results[1]);
	}
	close(orders[0]);
	close(results[1]);
	r.orders = orders[1];
	r.results = results[0];
	return r;
}

static double batch(struct rival *r, char kind)
{
	double ns = 0;
	int status = 0;

	if (write(r->orders, &kind, 1) == 1 && read(r->results, &ns, sizeof(ns)) == sizeof(ns))
		return ns;
	waitpid(r->pid, &status, 0);
	fprintf(stderr, "bench-door: %s ended with status %#x\n", r->what, (unsigned)status);
	exit(WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED ? SKIPPED : 1);
}

static void stop(struct rival *r)
{
	close(r->orders);
	close(r->results);
	waitpid(r->pid, NULL, 0);
}

static bool print_ratio(const char *what, const double *ns, const double *least)
{
	double ratios[ROUNDS];
	double ratio;

	for (int i = 0; i < ROUNDS; i++)
		ratios[i] = ns[i] / least[i];
	ratio = median(ratios, ROUNDS);
	printf("%-44s %8.0f ns %8.2f times bare   target %.2f   %s\n", what, median(ns, ROUNDS), ratio, ratio_target,
	       ratio <= ratio_target ? "met" : "MISSED");
	return ratio <= ratio_target;
}

static bool measure_calls(const char *iommuse)
{
	struct rival b = start("the bare supervisor", NULL);
	struct rival i = start("iommuse", iommuse);
	double least[ROUNDS];
	double option[ROUNDS];
	double map[ROUNDS];
	bool met;

	batch(&b, 'b');
	batch(&i, 'o');
	for (int round = 0; round < ROUNDS; round++) {
		double before = batch(&b, 'b');

		option[round] = batch(&i, 'o');
		least[round] = batch(&b, 'b');
		map[round] = batch(&i, 'm');
		least[round] = (before + least[round]) / 2;
	}
	stop(&b);
	stop(&i);
	printf("%-44s %8.0f ns\n", "bare: 40 bytes in and out, one lookup", median(least, ROUNDS));
	met = print_ratio("IOMMU_OPTION, get, through iommuse run", option, least);
	return print_ratio("IOMMU_IOAS_MAP, _UNMAP, each, the same", map, least) && met;
}

static double time_of(char *const *argv)
{
	double begin = now_ns();
	int status = -1;
	pid_t pid;

	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid ||
	    status != 0) {
		fprintf(stderr, "bench-door: %s: status %#x\n", argv[0], (unsigned)status);
		exit(1);
	}
	return (now_ns() - begin) / 1e6;
}

static bool measure_starts(char *iommuse)
{
	char program[] = "/bin/true";
	char run[] = "run";
	char end[] = "--";
	char *plain[] = {program, NULL};
	char *served[] = {iommuse, run, end, program, NULL};
	double without[STARTS];
	double with[STARTS];
	double more;

	for (int i = 0; i < STARTS; i++) {
		without[i] = time_of(plain);
		with[i] = time_of(served);
	}
	more = median(with, STARTS) - median(without, STARTS);
	printf("%-44s %8.2f ms %8.2f ms more       target %.0f     %s\n", "iommuse run -- /bin/true",
	       median(with, STARTS), more, start_target_ms, more <= start_target_ms ? "met" : "MISSED");
	return more <= start_target_ms;
}

int main(int argc, char **argv)
{
	bool met;

	if (argc != 2)
		return 2;
	if (strcmp(argv[1], "--client") == 0)
		return client_of_iommuse();
	printf("The door: medians of %d batches of %d calls, of %d starts\n", ROUNDS, BATCH, STARTS);
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	met = measure_calls(argv[1]);
	return measure_starts(argv[1]) && met ? 0 : 1;
}
