/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a file has ends with the address space that opened it, or with its last descriptor, whichever comes first: then
 * its set is given up, at once, even while calls or devices still use the file or its PASIDs. What is left of the file
 * answers for version and information.
 */
#include "ioasid/ioasid.h"

#include "abi/ioasid.h"
#include "base/event.h"
#include "client/file.h"
#include "client/mm.h"
#include "pasid/cgroup.h"
#include "pasid/ioasid.h"

#include <limits.h>
#include <stdlib.h>

#define REPRESENTABLE(pasid) ((pasid) < UINT32_C(1) << IOASID_BITS)

/* A file, and for whom it is. */
struct ioasid_user {
	struct file file;
	struct ioasid_users *users;
	struct mm *mm;
	struct mm_watch watch;
	pthread_mutex_t lock;             /* guards set; above the space's */
	struct ioasid_set *set;           /* NULL: it was given up */
	struct ioasid_user *next, **link; /* link NULL: it has been closed */
	_Atomic bool alone;               /* it is known that its memory has no other */
};

typedef long ioasid_command(struct ioasid_user *user, struct client *client, uaddr_t arg);

static struct ioasid_user *user_of(struct file *file)
{
	return (struct ioasid_user *)file;
}

static void give_up(struct ioasid_user *user)
{
	pthread_mutex_lock(&user->lock);
	if (user->set)
		ioasid_set_end(user->set);
	user->set = NULL;
	pthread_mutex_unlock(&user->lock);
}

static void mm_gone(struct mm_watch *watch)
{
	give_up((struct ioasid_user *)((char *)watch - offsetof(struct ioasid_user, watch)));
}

static bool is_owner(const struct ioasid_user *user, struct client *client)
{
	return mm_same(user->mm, client->ops->mm(client));
}

static long get_api_version(struct ioasid_user *user, struct client *client, uaddr_t arg)
{
	(void)user;
	(void)client;
	(void)arg;
	return IOASID_API_VERSION;
}

static long get_info(struct ioasid_user *user, struct client *client, uaddr_t arg)
{
	struct ioasid_info info;

	(void)user;
	if (client_copy_in(client, &info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info) || info.flags)
		return -EINVAL;
	info.ioasid_bits = IOASID_BITS;
	return client_copy_out(client, arg, &info, sizeof(info));
}

/*
 * The cgroup that a PASID is charged to, or NULL. A client can have it that its cgroup cannot be told: by a path that
 * is too long, or where too much is open. That is no way around a quota. Returns 0, -EAGAIN, -ENOMEM.
 */
static int find_cgroup(const struct ioasid_user *user, struct client *client, struct ioasid_cgroup **cgroup)
{
	const struct ioasid_space *space = user->users->space;
	char path[PATH_MAX];
	int rc;

	*cgroup = NULL;
	if (!ioasid_cgroups(space) || !client->ops->cgroup)
		return 0;
	rc = client->ops->cgroup(client, path, sizeof(path));
	if (!rc)
		*cgroup = ioasid_cgroup_find(space, path);
	if (!rc || rc == -EINVAL || rc == -ENOENT)
		return 0;
	return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE ? -ENOMEM : -EAGAIN;
}

static long request_alloc(struct ioasid_user *user, struct client *client, uaddr_t arg)
{
	struct ioasid_alloc_request request;
	struct ioasid_cgroup *cgroup;
	uint32_t id;
	int rc;

	if (client_copy_in(client, &request, arg, sizeof(request)))
		return -EFAULT;
	if (request.argsz < sizeof(request) || request.flags || request.range.min > request.range.max ||
	    !REPRESENTABLE(request.range.max))
		return -EINVAL;
	if (!is_owner(user, client))
		return -EPERM;
	rc = find_cgroup(user, client, &cgroup);
	if (rc)
		return rc;
	rc = -EPERM;
	pthread_mutex_lock(&user->lock);
	if (user->set)
		rc = ioasid_alloc(user->set, request.range.min, request.range.max, cgroup, NULL, &id);
	pthread_mutex_unlock(&user->lock);
	return rc ? rc : (long)id;
}

static long request_free(struct ioasid_user *user, struct client *client, uaddr_t arg)
{
	int32_t id;
	int rc = -EPERM;

	if (client_copy_in(client, &id, arg, sizeof(id)))
		return -EFAULT;
	if (id <= 0)
		return -EINVAL;
	if (!is_owner(user, client))
		return -EPERM;
	pthread_mutex_lock(&user->lock);
	if (user->set)
		rc = ioasid_free(user->set, (uint32_t)id);
	pthread_mutex_unlock(&user->lock);
	return rc;
}

struct ioasid_entry {
	unsigned cmd;
	size_t size; /* of the argument */
	ioasid_command *handle;
};

static const struct ioasid_entry commands[] = {
	{IOASID_GET_API_VERSION, 0, get_api_version},
	{IOASID_GET_INFO, sizeof(struct ioasid_info), get_info},
	{IOASID_REQUEST_ALLOC, sizeof(struct ioasid_alloc_request), request_alloc},
	{IOASID_REQUEST_FREE, sizeof(int32_t), request_free},
};

static const struct ioasid_entry *find_entry(unsigned cmd)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (commands[i].cmd == cmd)
			return &commands[i];
	return NULL;
}

static void announce_call(const struct ioasid_user *user, struct client *client, unsigned cmd, uint64_t arg,
			  long result)
{
	const struct ioasid_entry *entry = find_entry(cmd);
	struct event event = {.type = EVENT_CALL,
			      .pid = client->pid,
			      .tid = client->tid,
			      .fd = client->fd,
			      .file = user->file.serial,
			      .call = {.cmd = cmd, .result = result, .arg_value = arg}};

	if (entry && result != -EFAULT)
		event.call.arg_size = (uint32_t)client_read(client, event.call.arg, uaddr(arg), entry->size);
	event_announce(user->users->events, &event);
}

static long ioasid_ioctl(struct file *file, struct client *client, unsigned cmd, uint64_t arg)
{
	struct ioasid_user *user = user_of(file);
	const struct ioasid_entry *entry = find_entry(cmd);
	long rc = entry ? entry->handle(user, client, uaddr(arg)) : -ENOTTY;

	if (event_wanted(user->users->events))
		announce_call(user, client, cmd, arg, rc);
	return rc;
}

/* From now on its process may open another. */
static void ioasid_closed(struct file *file)
{
	struct ioasid_user *user = user_of(file);

	pthread_mutex_lock(&user->users->lock);
	if (user->link) {
		*user->link = user->next;
		if (user->next)
			user->next->link = user->link;
		user->link = NULL;
	}
	pthread_mutex_unlock(&user->users->lock);
	give_up(user);
}

static void ioasid_release(struct file *file)
{
	struct ioasid_user *user = user_of(file);

	mm_unwatch(user->mm, &user->watch);
	ioasid_closed(file);
	mm_put(user->mm);
	pthread_mutex_destroy(&user->lock);
	free(user);
}

static const struct file_ops ioasid_ops = {
	.name = "/dev/ioasid",
	.ioctl = ioasid_ioctl,
	.closed = ioasid_closed,
	.release = ioasid_release,
};

/* The last that was opened before another one (NULL: the last of all), with a reference for the other's; NULL: none. */
static struct ioasid_user *last_before(struct ioasid_users *users, struct ioasid_user *later)
{
	struct ioasid_user *user;

	pthread_mutex_lock(&users->lock);
	/* A closed one does not know its place any more. */
	user = later && later->link ? later->next : users->first;
	while (user && ((later && user->file.serial >= later->file.serial) || !file_get_live(&user->file)))
		user = user->next;
	pthread_mutex_unlock(&users->lock);
	if (later)
		file_put(&later->file);
	return user;
}

/*
 * What an address space has open that was opened before another one; as last_before(). No lock is held while memory is
 * compared, as processes can make that last.
 */
static struct ioasid_user *find_user(struct ioasid_users *users, struct mm *mm, struct ioasid_user *later)
{
	struct ioasid_user *user = last_before(users, later);

	while (user && (mm_is_gone(user->mm) || !mm_same(user->mm, mm)))
		user = last_before(users, user);
	return user;
}

uint64_t ioasid_token(struct ioasid_users *users, struct mm *mm)
{
	struct ioasid_user *user = find_user(users, mm, NULL);
	uint64_t token = mm->serial;

	/* One that is just being opened may have to go again. */
	while (user && !atomic_load(&user->alone))
		user = find_user(users, mm, user);
	if (user) {
		token = user->mm->serial;
		file_put(&user->file);
	}
	return token;
}

/* Into the list, which is in the order of their serials, the last first. */
static int enter(struct ioasid_users *users, struct ioasid_user *user)
{
	int rc = ioasid_set_new(users->space, user->mm->serial, user->mm->process, users->quota, IOASID_SET_MM,
				&user->set);

	if (rc)
		return rc == -EEXIST ? -EBUSY : rc;
	pthread_mutex_lock(&users->lock);
	user->file.serial = atomic_fetch_add_explicit(users->file_serial, 1, memory_order_relaxed) + 1;
	user->next = users->first;
	user->link = &users->first;
	if (user->next)
		user->next->link = &user->next;
	users->first = user;
	pthread_mutex_unlock(&users->lock);
	return 0;
}

/* Of two processes with one memory that open it at once, the one that came first has it. */
static int check_alone(struct ioasid_users *users, struct ioasid_user *user)
{
	struct ioasid_user *other;

	file_get(&user->file);
	other = find_user(users, user->mm, user);
	if (!other)
		return 0;
	file_put(&other->file);
	return -EBUSY;
}

int ioasid_open(struct ioasid_users *users, struct client *client, struct file **file)
{
	struct mm *mm = client->ops->mm(client);
	struct ioasid_user *user;
	int rc;

	if (mm_is_gone(mm))
		return -EINVAL;
	user = calloc(1, sizeof(*user));
	if (!user)
		return -ENOMEM;
	file_init(&user->file, &ioasid_ops);
	user->users = users;
	user->mm = mm_get(mm);
	user->watch.gone = mm_gone;
	pthread_mutex_init(&user->lock, NULL);
	rc = enter(users, user);
	if (!rc && !mm_watch(mm, &user->watch))
		rc = -EINVAL;
	if (!rc)
		rc = check_alone(users, user);
	if (rc) {
		file_put(&user->file);
		return rc;
	}
	atomic_store(&user->alone, true);
	*file = &user->file;
	return 0;
}

size_t ioasid_usages(struct ioasid_users *users, struct ioasid_usage *usage, size_t room)
{
	size_t count = 0;

	pthread_mutex_lock(&users->lock);
	for (struct ioasid_user *user = users->first; user; user = user->next) {
		struct ioasid_count of_set;

		pthread_mutex_lock(&user->lock);
		if (user->set) {
			ioasid_set_usage(user->set, &of_set);
			if (count < room)
				usage[count] = (struct ioasid_usage){user->mm->pid, of_set.current, of_set.max,
								     of_set.refused};
			count++;
		}
		pthread_mutex_unlock(&user->lock);
	}
	pthread_mutex_unlock(&users->lock);
	return count;
}
