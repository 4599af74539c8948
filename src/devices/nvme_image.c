/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/nvme_image.h"

#include "devices/nvme_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE_BYTES 65536U
#define AT_ONCE_NS    100000U     /* for all between two pushes, about */
#define LONG_NS       5000000U    /* one that took longer took long */
#define WARY_NS       1000000000U /* for so long */

struct image {
	const struct image_engine *ops;
	void *engine;
	int fd;
	int witness;   /* or -1 */
	uint64_t size; /* when it was opened */
	uint64_t identity;
	bool grows;
	unsigned count, reads;          /* that are under way, and how many of them are reads ... */
	unsigned waiting;               /* or have not begun yet */
	struct image_ios under_way;     /* in the order in which they came */
	struct image_io *at_once;       /* done already */
	struct image_io *flush;         /* under way, or NULL: no other is then, and none waits otherwise */
	uint64_t spent;                 /* ns, on those since the last push */
	uint64_t wary_until;            /* ns: nothing is written at once before */
	bool cannot_zero, cannot_punch; /* the file system cannot */
	int lost;                       /* 0, or -errno of the first flush that failed */
	unsigned losses;                /* times that something was lost */
};

struct why {
	char *text;
	size_t room;
};

__attribute__((format(printf, 3, 4))) static int say(const struct why *why, int rc, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(why->text, why->room, format, list);
	va_end(list);
	return rc;
}

/* Opening */

/* Puts a file's name on disk. Some file systems refuse that, and some directories cannot be opened: then nobody can. */
static void settle_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd;

	if (!directory)
		return;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(directory);
}

/* Makes it, with its size, under its name, and that on disk, as flushes are later of what is in it; or not at all. */
static int make(const struct image_options *options, const struct why *why)
{
	int fd = open(options->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666), rc;

	if (fd < 0)
		return say(why, -errno, "cannot make %s: %s", options->path, strerror(errno));
	if (!ftruncate(fd, (off_t)options->size)) {
		fsync(fd);
		settle_name(options->path);
		return fd;
	}
	rc = say(why, -errno, "cannot make %s of %" PRIu64 " bytes: %s", options->path, options->size, strerror(errno));
	close(fd);
	unlink(options->path);
	return rc;
}

/* The kernel opens a block device for writing that takes no writes. Returns a descriptor. */
static int open_for(const struct image_options *options)
{
	int fd = open(options->path, (options->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC), is_read_only = 0;

	if (fd < 0)
		return -errno;
	if (options->read_only || ioctl(fd, BLKROGET, &is_read_only) || !is_read_only)
		return fd;
	close(fd);
	return -EROFS;
}

/* Returns a descriptor. */
static int open_file(const struct image_options *options, struct stat *st, const struct why *why)
{
	int fd;

	if (stat(options->path, st)) {
		if (errno == ENOENT && options->size && !options->read_only)
			fd = make(options, why);
		else
			return say(why, -errno, "image=%s: %s%s", options->path, strerror(errno),
				   errno == ENOENT && !options->read_only ? "; it is made where size= is given" : "");
	} else if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode)) {
		return say(why, -EINVAL, "image=%s: it is neither a file nor a block device", options->path);
	} else {
		fd = open_for(options);
		if (fd < 0)
			return say(why, fd, "image=%s: %s%s", options->path, strerror(-fd),
				   options->read_only ? "" : "; perhaps it can be had readonly");
	}
	if (fd >= 0)
		fstat(fd, st);
	return fd;
}

static int lock(struct image *image, const struct image_options *options, const struct why *why)
{
	pid_t owner = 0;
	int rc = image_lock(image->fd, options->read_only ? LOCK_SH : LOCK_EX, &owner);

	if (rc != -EBUSY)
		return rc ? say(why, rc, "image=%s: %s", options->path, strerror(-rc)) : 0;
	if (!owner || owner == getpid())
		return say(why, rc, "image=%s: another device uses it", options->path);
	return say(why, rc, "image=%s: process %d uses it", options->path, (int)owner);
}

static int check_file(struct image *image, const struct image_options *options, const struct why *why)
{
	int rc = lock(image, options, why);
	off_t end;

	if (rc)
		return rc;
	end = lseek(image->fd, 0, SEEK_END);
	if (end <= 0)
		return say(why, -EINVAL, "image=%s: it is empty", options->path);
	image->size = (uint64_t)end;
	if (options->size && options->size != image->size)
		return say(why, -EINVAL,
			   "image=%s: it has %" PRIu64 " bytes, not the %" PRIu64 " of size=", options->path,
			   image->size, options->size);
	return 0;
}

static int open_engine(struct image *image, const struct image_options *options, const struct why *why)
{
	static const struct image_engine *const engines[] = {&image_uring, &image_threads};
	bool automatic = !strcmp(options->engine, "auto");
	int rc = 0;

	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		image->ops = engines[i];
		if (!automatic && strcmp(options->engine, image->ops->name))
			continue;
		rc = image->ops->open(image->fd, &image->engine);
		if (!rc)
			return 0;
		say(why, rc, "%s: %s", image->ops->name, strerror(-rc));
	}
	return rc ? rc : say(why, -EINVAL, "there is no way to do I/O called %s", options->engine);
}

/* FNV-1a */
static uint64_t hash(uint64_t hash, uint64_t value)
{
	for (unsigned i = 0; i < sizeof(value); i++)
		hash = (hash ^ (value >> i * 8 & 0xff)) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t identify(const struct stat *st)
{
	uint64_t basis = UINT64_C(0xcbf29ce484222325);

	if (S_ISBLK(st->st_mode))
		return hash(basis, st->st_rdev);
	return hash(hash(basis, st->st_dev), st->st_ino);
}

/*
 * Returns 0, or -errno: what could not be written since the last time. The range is behind all that there is, so that
 * nothing is waited for.
 */
static int ask(int witness)
{
	return sync_file_range(witness, INT64_MAX - 4095, 1, SYNC_FILE_RANGE_WAIT_BEFORE) ? -errno : 0;
}

/* Returns a descriptor, or -1 where there cannot be one. What was lost before is told by the image's own. */
static int open_witness(int fd)
{
	char path[32];
	int witness;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	witness = open(path, O_RDONLY | O_CLOEXEC);
	if (witness < 0 || !ask(witness) || !ask(witness))
		return witness;
	close(witness);
	return -1;
}

int image_open(const struct image_options *options, struct image **result, char *text, size_t room)
{
	const struct why why = {.text = text, .room = room};
	struct image *image = calloc(1, sizeof(*image));
	struct stat st;
	int rc;

	if (!image)
		return say(&why, -ENOMEM, "no memory");
	image->fd = open_file(options, &st, &why);
	if (image->fd < 0) {
		rc = image->fd;
		goto out_free;
	}
	rc = check_file(image, options, &why);
	if (!rc)
		rc = open_engine(image, options, &why);
	if (rc)
		goto out_close;
	image->witness = options->read_only ? -1 : open_witness(image->fd);
	image->identity = identify(&st);
	image->grows = !S_ISBLK(st.st_mode);
	TAILQ_INIT(&image->under_way);
	*result = image;
	return 0;

out_close:
	close(image->fd);
out_free:
	free(image);
	return rc;
}

uint64_t image_size(const struct image *image)
{
	return image->size;
}

bool image_grows(const struct image *image)
{
	return image->grows;
}

uint64_t image_identity(const struct image *image)
{
	return image->identity;
}

/* Operations */

/* How fallocate() may do it that has not failed before; 0: in no way. */
static int find_mode(const struct image *image, const struct image_io *io)
{
	bool zero = io->op == IMAGE_ZERO && !image->cannot_zero, punch = !image->cannot_punch;

	if (punch && (io->op == IMAGE_DISCARD || io->unmap || !zero))
		return FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
	return zero ? FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE : 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Both return whether it was done. */
static bool write_at_once(const struct image *image, struct image_io *io, uint64_t now)
{
	if (io->durable || now < image->wary_until)
		return false;
	io->raw = pwrite(image->fd, io->buffer, io->length, (off_t)io->offset);
	if (io->raw < 0)
		io->raw = -errno;
	return true;
}

/* Where it is in the page cache. Of several, io_uring takes less time for each. */
static bool read_at_once(const struct image *image, struct image_io *io)
{
	const struct iovec all = {.iov_base = io->buffer, .iov_len = io->length};

	if (image->count > 1)
		return false;
	io->raw = preadv2(image->fd, &all, 1, (off_t)io->offset, RWF_NOWAIT);
	return io->raw > 0;
}

static bool do_at_once(struct image *image, struct image_io *io)
{
	uint64_t begin, end;
	bool done;

	/* Without a mode fallocate() would take room. */
	io->raw = -EOPNOTSUPP;
	if (io->op == IMAGE_ZERO || io->op == IMAGE_DISCARD)
		return !io->mode;
	if (io->op == IMAGE_FLUSH || io->length > AT_ONCE_BYTES || image->spent > AT_ONCE_NS)
		return false;
	begin = now_ns();
	done = io->op == IMAGE_WRITE ? write_at_once(image, io, begin) : read_at_once(image, io);
	end = now_ns();
	image->spent += end - begin;
	if (done && end - begin > LONG_NS)
		image->wary_until = end + WARY_NS;
	return done;
}

/* Is one of them a read of what the other one changes? */
static bool are_in_conflict(const struct image_io *a, const struct image_io *b)
{
	if ((a->op == IMAGE_READ) == (b->op == IMAGE_READ))
		return false;
	return a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

/* Finds out what it is to wait for. A flush has no bytes, and waits for one that began before. */
static void enter(struct image *image, struct image_io *io)
{
	const struct image_io *other;

	io->waits_for = 0;
	if (io->op == IMAGE_READ ? image->reads < image->count : image->reads)
		TAILQ_FOREACH (other, &image->under_way, under_way)
			io->waits_for += are_in_conflict(other, io);
	if (io->op == IMAGE_FLUSH && image->flush)
		io->waits_for = 1;
	TAILQ_INSERT_TAIL(&image->under_way, io, under_way);
	image->count++;
	image->reads += io->op == IMAGE_READ;
	image->waiting += io->waits_for > 0;
}

static void begin(struct image *image, struct image_io *io)
{
	if (io->op == IMAGE_FLUSH)
		image->flush = io;
	if (do_at_once(image, io)) {
		io->next = image->at_once;
		image->at_once = io;
	} else {
		image->ops->start(image->engine, io);
	}
}

/* Those that came before it began have ended with it. Begins one for all others. Returns whether there are any. */
static bool leave_flush(struct image *image, const struct image_io *flush)
{
	struct image_io *io;

	image->flush = NULL;
	if (!image->waiting)
		return false;
	TAILQ_FOREACH (io, &image->under_way, under_way) {
		if (io->op != IMAGE_FLUSH || !io->waits_for)
			continue;
		if (image->flush && !io->joined) {
			io->joined = true;
			continue;
		}
		io->waits_for = 0;
		image->waiting--;
		if (io->joined) {
			io->raw = flush->raw;
			io->next = image->at_once;
			image->at_once = io;
		} else {
			begin(image, io);
		}
	}
	return image->flush;
}

/* Begins those that waited for nothing else. Returns whether there are any. */
static bool leave(struct image *image, struct image_io *io)
{
	struct image_io *other = io;
	bool any = false;

	while (image->waiting && (other = TAILQ_NEXT(other, under_way))) {
		if (!are_in_conflict(io, other) || --other->waits_for)
			continue;
		image->waiting--;
		begin(image, other);
		any = true;
	}
	TAILQ_REMOVE(&image->under_way, io, under_way);
	image->count--;
	image->reads -= io->op == IMAGE_READ;
	return io == image->flush ? leave_flush(image, io) : any;
}

void image_start(struct image *image, struct image_io *io)
{
	io->result = 0;
	io->done = 0;
	io->cancelled = false;
	io->joined = false;
	io->losses = image->losses;
	io->mode = find_mode(image, io);
	enter(image, io);
	if (!io->waits_for)
		begin(image, io);
}

void image_cancel(struct image *image)
{
	struct image_io *io;

	TAILQ_FOREACH (io, &image->under_way, under_way) {
		if (!io->waits_for)
			continue;
		io->waits_for = 0;
		io->cancelled = true;
		io->next = image->at_once;
		image->at_once = io;
	}
	image->waiting = 0;
}

void image_push(struct image *image)
{
	image->spent = 0;
	if (image->count)
		image->ops->push(image->engine);
}

static bool unsupported(int64_t raw)
{
	return raw == -EOPNOTSUPP || raw == -ENOSYS || raw == -ENODEV;
}

/* After fallocate(). Returns whether to try in another way. */
static bool allocated(struct image *image, struct image_io *io)
{
	if (io->mode && unsupported(io->raw)) {
		if (io->mode & FALLOC_FL_ZERO_RANGE)
			image->cannot_zero = true;
		if (io->mode & FALLOC_FL_PUNCH_HOLE)
			image->cannot_punch = true;
		io->mode = find_mode(image, io);
		if (io->mode)
			return true;
	} else if (io->mode && io->raw != -EINVAL) {
		io->result = (int)io->raw;
		return false;
	}
	/* EINVAL: a block device does it with whole blocks of its own, which may be larger; elsewhere it may. */
	io->result = io->op == IMAGE_ZERO ? -EOPNOTSUPP : 0;
	return false;
}

/* Whether what is left of a read lies behind the end that the file had: there are zeroes. */
static bool read_past_end(const struct image *image, struct image_io *io)
{
	if (io->offset + io->done < image->size)
		return false;
	memset(io->buffer + io->done, 0, io->length - io->done);
	return true;
}

/* After bytes came or went. Returns whether some are left. */
static bool transferred(const struct image *image, struct image_io *io)
{
	if (io->raw < 0) {
		io->result = (int)io->raw;
		return false;
	}
	io->done += (uint64_t)io->raw;
	if (io->done >= io->length)
		return false;
	if (!io->raw) {
		if (io->op == IMAGE_WRITE || !read_past_end(image, io))
			io->result = -EIO;
		return false;
	}
	return true;
}

/*
 * Where the kernel could not write what is in the page cache it drops that, and says so to one who asks. So nobody is
 * told afterwards that all is on disk, nor whose operation was under way at that time.
 */
static void note_loss(struct image *image, struct image_io *io)
{
	bool flush = io->op == IMAGE_FLUSH, write = io->op == IMAGE_WRITE && io->durable;
	int rc;

	/* Of one that joined another all is known. */
	if ((!flush && !write) || io->joined)
		return;
	rc = image->witness < 0 ? 0 : ask(image->witness);
	if (flush ? io->raw < 0 && io->raw != -ENOMEM : io->raw == -EIO)
		rc = (int)io->raw;
	image->losses += rc != 0;
	if (!image->lost)
		image->lost = rc;
	if (io->raw >= 0 && (flush ? image->lost != 0 : io->losses != image->losses))
		io->raw = image->lost;
}

/* The kernel gives up what a thread began by io_uring if the thread ends before it: ECANCELED, and EFAULT for a read.
 */
static bool interrupted(int64_t raw)
{
	return raw == -EINTR || raw == -EAGAIN || raw == -ECANCELED || raw == -EFAULT;
}

/* Returns whether it is to go on. */
static bool ended(struct image *image, struct image_io *io)
{
	if (io->cancelled) {
		io->result = -ECANCELED;
		return false;
	}
	if (interrupted(io->raw))
		return true;
	note_loss(image, io);
	switch (io->op) {
	case IMAGE_READ:
	case IMAGE_WRITE:
		return transferred(image, io);
	case IMAGE_ZERO:
	case IMAGE_DISCARD:
		return allocated(image, io);
	default:
		io->result = (int)io->raw;
		return false;
	}
}

static struct image_io *reap(struct image *image, bool wait)
{
	struct image_io *io = image->at_once;

	if (!io)
		return image->ops->reap(image->engine, wait);
	image->at_once = io->next;
	return io;
}

struct image_io *image_reap(struct image *image)
{
	struct image_io *io = NULL;
	bool again = false;

	while (image->count && (io = reap(image, false))) {
		if (!ended(image, io)) {
			again |= leave(image, io);
			break;
		}
		image->ops->start(image->engine, io);
		again = true;
	}
	if (again)
		image->ops->push(image->engine);
	return io;
}

void image_close(struct image *image)
{
	image->ops->push(image->engine);
	/* Those that wait never begin. */
	for (unsigned left = image->count - image->waiting; left; left--)
		reap(image, true);
	image->ops->close(image->engine);
	if (image->witness >= 0)
		close(image->witness);
	close(image->fd);
	free(image);
}
