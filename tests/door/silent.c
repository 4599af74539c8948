/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * silent serve FOLDER [once]: mounts a file system there with one file, whatever its name, and serves it. It never
 * answers a FLUSH but that of the process that opened the file: who else closes it hangs until this program is killed.
 * Nor does it answer a READ after SIGUSR1, or after the first one (once), but prints "read". Prints "ready" before
 * that, or "skip: " and why not.
 *
 * silent map FILE: a client that maps the file with IOAS_MAP_FILE, prints the result, and kills itself.
 */
#include "door.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <linux/fuse.h>

enum { ROOT = FUSE_ROOT_ID, FILE_SIZE = 1 << 20, REQUEST_ROOM = 256 << 10 };

struct ioas_map_file {
	uint32_t size, flags, ioas_id;
	int32_t fd;
	uint64_t start, length, iova;
};

union reply {
	struct fuse_init_out init;
	struct fuse_entry_out entry;
	struct fuse_attr_out attr;
	struct fuse_open_out open;
	char page[4096];
};

struct server {
	int fuse;
	uint32_t opener;
	unsigned reads; /* that were answered */
	bool once;      /* one is answered, and no other */
};

static volatile sig_atomic_t mute;

static void be_mute(int number)
{
	(void)number;
	mute = 1;
}

static void describe(struct fuse_attr *attr, uint64_t node)
{
	attr->ino = node;
	attr->nlink = 1;
	attr->mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0666;
	attr->size = node == ROOT ? 0 : FILE_SIZE;
}

/* The size of the reply, or -errno. */
static long fill(struct server *s, const struct fuse_in_header *in, union reply *reply)
{
	switch (in->opcode) {
	case FUSE_INIT:
		reply->init.major = FUSE_KERNEL_VERSION;
		reply->init.minor = 31;
		reply->init.max_write = 4096;
		return sizeof(reply->init);
	case FUSE_LOOKUP:
		reply->entry.nodeid = ROOT + 1;
		reply->entry.entry_valid = reply->entry.attr_valid = 1000;
		describe(&reply->entry.attr, ROOT + 1);
		return sizeof(reply->entry);
	case FUSE_GETATTR:
		reply->attr.attr_valid = 1000;
		describe(&reply->attr.attr, in->nodeid);
		return sizeof(reply->attr);
	case FUSE_OPEN:
		s->opener = in->pid;
		return sizeof(reply->open);
	case FUSE_READ: /* of one page, as nothing is read ahead */
		s->reads++;
		return sizeof(reply->page);
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		return 0;
	default:
		return -ENOSYS;
	}
}

static bool is_answered(const struct server *s, const struct fuse_in_header *in)
{
	return in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET && in->opcode != FUSE_INTERRUPT &&
	       (in->opcode != FUSE_READ || !(mute || (s->once && s->reads))) &&
	       (in->opcode != FUSE_FLUSH || in->pid == s->opener);
}

static int serve_requests(struct server *s)
{
	static _Alignas(struct fuse_in_header) char request[REQUEST_ROOM];
	const struct fuse_in_header *in = (const void *)request;

	for (;;) {
		struct {
			struct fuse_out_header header;
			union reply reply;
		} out = {0};
		long size;

		if (read(s->fuse, request, sizeof(request)) < 0) {
			if (errno == EINTR || errno == ENOENT || errno == EAGAIN)
				continue;
			return errno != ENODEV; /* it was unmounted */
		}
		if (in->opcode == FUSE_READ && mute)
			dprintf(STDOUT_FILENO, "read\n");
		if (!is_answered(s, in))
			continue;
		size = fill(s, in, &out.reply);
		out.header.unique = in->unique;
		out.header.error = size < 0 ? (int32_t)size : 0;
		out.header.len = sizeof(out.header) + (size > 0 ? (uint32_t)size : 0);
		(void)!write(s->fuse, &out, out.header.len);
	}
}

static int serve(const char *folder, bool once)
{
	struct server s = {.fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC), .once = once};
	char options[128];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", s.fuse);
	if (s.fuse < 0 || mount("silent", folder, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
		printf("skip: %s: %s\n", s.fuse < 0 ? "/dev/fuse" : "mount", strerrorname_np(errno));
		return 77;
	}
	signal(SIGUSR1, be_mute);
	dprintf(STDOUT_FILENO, "ready\n");
	return serve_requests(&s);
}

static int map(const char *path)
{
	int fd = open_iommu();
	struct ioas_map_file cmd = {.size = sizeof(cmd),
				    .flags = MAP_RW | MAP_FIXED_IOVA,
				    .ioas_id = (uint32_t)ioas_alloc(fd),
				    .fd = (int)ERR(open(path, O_RDWR | O_CLOEXEC)),
				    .length = 4096,
				    .iova = 0x1000};

	dprintf(STDOUT_FILENO, "%ld\n", door_ioctl(fd, IOMMU_IOAS_MAP_FILE, &cmd));
	kill(getpid(), SIGKILL);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argc == 4 && strcmp(argv[3], "once") == 0);
	if (argc == 3 && strcmp(argv[1], "map") == 0)
		return map(argv[2]);
	return 2;
}
