/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of /dev/ioasid and whose they are: processes that end, devices that go on, cgroups, and threads at once. */
#include "check.h"
#include "fake_client.h"

#include "abi/ioasid.h"
#include "client/mm.h"
#include "ioasid/ioasid.h"
#include "pasid/cgroup.h"
#include "pasid/ioasid.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>

#define THREADS 4

struct world {
	struct ioasid_users users;
	_Atomic uint64_t serial;
};

static void world_init(struct world *w, unsigned bits, uint64_t quota)
{
	memset(w, 0, sizeof(*w));
	CHECK_EQ(ioasid_space_new(bits, &w->users.space), 0);
	w->users.quota = quota;
	w->users.file_serial = &w->serial;
	pthread_mutex_init(&w->users.lock, NULL);
}

static void world_fini(struct world *w)
{
	CHECK(!w->users.first);
	ioasid_space_free(w->users.space);
	pthread_mutex_destroy(&w->users.lock);
}

/* A process; the same memory has the same number. */
static void (*_Atomic while_comparing)(void); /* called once */

static bool same_pid(struct mm *a, struct mm *b)
{
	void (*meanwhile)(void) = atomic_exchange(&while_comparing, NULL);

	if (meanwhile)
		meanwhile();
	return a->pid == b->pid;
}

static const struct mm_ops process_mm_ops = {.release = fake_mm_release, .same = same_pid};

static void process(struct fake *p, uint64_t serial, pid_t pid)
{
	fake_init(p);
	p->mm.ops = &process_mm_ops;
	p->mm.serial = serial;
	p->mm.process = serial;
	p->mm.pid = pid;
	pthread_mutex_init(&p->mm.watch_lock, NULL);
}

static long alloc(struct file *file, struct fake *p, uint32_t min, uint32_t max)
{
	struct ioasid_alloc_request request = {.argsz = sizeof(request), .range = {min, max}};

	memcpy(p->memory, &request, sizeof(request));
	return file->ops->ioctl(file, &p->client, IOASID_REQUEST_ALLOC, fake_at(p, 0));
}

static long any(struct file *file, struct fake *p)
{
	return alloc(file, p, 1, INT_MAX);
}

static long release(struct file *file, struct fake *p, int id)
{
	memcpy(p->memory, &id, sizeof(id));
	return file->ops->ioctl(file, &p->client, IOASID_REQUEST_FREE, fake_at(p, 0));
}

static long info(struct file *file, struct fake *p)
{
	struct ioasid_info about = {.argsz = sizeof(about)};

	memcpy(p->memory, &about, sizeof(about));
	return file->ops->ioctl(file, &p->client, IOASID_GET_INFO, fake_at(p, 0));
}

static void close_file(struct file *file)
{
	file->ops->closed(file);
	file_put(file);
}

static void end_closes_what_the_process_had(void)
{
	struct fake a, b;
	struct file *file, *other;
	struct world w;

	world_init(&w, 4, UINT64_MAX);
	process(&a, 1, 10);
	process(&b, 2, 11);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &other), -EBUSY);
	CHECK_EQ(ioasid_open(&w.users, &b.client, &other), 0);
	CHECK_EQ(any(file, &a), 1);
	CHECK_EQ(any(other, &b), 2);
	CHECK_EQ(any(file, &b), -EPERM);
	CHECK_EQ(release(file, &b, 2), -EPERM);
	CHECK_EQ(release(other, &b, 1), -EACCES);
	CHECK_EQ(info(file, &b), 0);
	mm_announce_gone(&a.mm);
	CHECK_EQ(any(other, &b), 1);
	/* Calls that were on their way. */
	CHECK_EQ(any(file, &a), -EPERM);
	CHECK_EQ(release(file, &a, 1), -EPERM);
	CHECK_EQ(info(file, &a), 0);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &(struct file *){NULL}), -EINVAL);
	close_file(file);
	CHECK_EQ(any(other, &b), 3);
	close_file(other);
	CHECK_EQ(a.mm.refs, 1);
	CHECK_EQ(b.mm.refs, 1);
	world_fini(&w);
}

/* What holds the file is not what holds the PASIDs. */
static void closed_file_that_is_held_is_no_obstacle(void)
{
	struct file *file, *again;
	struct fake a;
	struct world w;

	world_init(&w, 4, UINT64_MAX);
	process(&a, 1, 10);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	CHECK_EQ(any(file, &a), 1);
	file_get(file);
	close_file(file);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &again), 0);
	CHECK(again->serial != file->serial);
	CHECK_EQ(any(again, &a), 1);
	CHECK_EQ(any(file, &a), -EPERM);
	file_put(file);
	CHECK_EQ(any(again, &a), 2);
	close_file(again);
	world_fini(&w);
}

/* F.5-14: the next file has a set of its own, and nobody gets what a device still uses. */
static void device_goes_on_with_a_pasid(void)
{
	struct file *file;
	bool held = false;
	struct fake a;
	struct world w;

	world_init(&w, 4, UINT64_MAX);
	process(&a, 1, 10);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	CHECK_EQ(any(file, &a), 1);
	CHECK_EQ(any(file, &a), 2);
	CHECK_EQ(ioasid_bind(w.users.space, 1, 1, &held), 0);
	CHECK(held);
	CHECK_EQ(release(file, &a, 1), 0);
	CHECK_EQ(release(file, &a, 1), 0);
	CHECK_EQ(alloc(file, &a, 1, 1), -ENOSPC);
	CHECK_EQ(ioasid_bind(w.users.space, 1, 2, &held), 0);
	close_file(file);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	CHECK_EQ(any(file, &a), 3);
	/* The close has freed it. */
	CHECK_EQ(release(file, &a, 2), 0);
	ioasid_unbind(w.users.space, 2);
	CHECK_EQ(any(file, &a), 2);
	mm_announce_gone(&a.mm);
	close_file(file);
	ioasid_unbind(w.users.space, 1);
	world_fini(&w);
}

/* A device that the next program has kept open is no way to more than the process may have. */
static void what_the_program_before_has_left_counts(void)
{
	struct file *file, *next;
	bool held = false;
	struct fake a, b;
	struct world w;

	world_init(&w, 4, 2);
	process(&a, 1, 10);
	process(&b, 2, 10);
	b.mm.process = a.mm.process;
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	CHECK_EQ(any(file, &a), 1);
	CHECK_EQ(any(file, &a), 2);
	CHECK_EQ(ioasid_bind(w.users.space, 1, 1, &held), 0);
	mm_announce_gone(&a.mm);
	CHECK_EQ(ioasid_open(&w.users, &b.client, &next), 0);
	CHECK_EQ(any(next, &b), 2);
	CHECK_EQ(any(next, &b), -EAGAIN);
	CHECK_EQ(release(next, &b, 1), -EACCES); /* it counts, and is none of its own */
	ioasid_unbind(w.users.space, 1);
	CHECK_EQ(any(next, &b), 1);
	CHECK_EQ(any(next, &b), -EAGAIN);
	close_file(file);
	close_file(next);
	world_fini(&w);
}

/* A process that lives in another one's memory is no other. */
static void shared_memory_is_one_process(void)
{
	struct file *file, *other;
	struct fake a, b;
	struct world w;

	world_init(&w, 4, UINT64_MAX);
	process(&a, 1, 10);
	process(&b, 2, 10);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	CHECK_EQ(ioasid_open(&w.users, &b.client, &other), -EBUSY);
	CHECK_EQ(any(file, &b), 1);
	CHECK_EQ(release(file, &b, 1), 0);
	CHECK_EQ(ioasid_token(&w.users, &a.mm), 1);
	CHECK_EQ(ioasid_token(&w.users, &b.mm), 1);
	close_file(file);
	CHECK_EQ(ioasid_token(&w.users, &b.mm), 2);
	CHECK_EQ(ioasid_open(&w.users, &b.client, &file), 0);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &other), -EBUSY);
	close_file(file);
	world_fini(&w);
}

static void usage_is_told(void)
{
	struct ioasid_usage usage[4];
	struct file *file, *other;
	struct fake a, b;
	struct world w;

	world_init(&w, 10, 3);
	process(&a, 1, 10);
	process(&b, 2, 11);
	CHECK_EQ(ioasid_usages(&w.users, usage, 4), 0);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	for (int i = 1; i <= 3; i++)
		CHECK_EQ(any(file, &a), i);
	CHECK_EQ(any(file, &a), -EAGAIN);
	CHECK_EQ(any(file, &a), -EAGAIN);
	CHECK_EQ(ioasid_usages(&w.users, NULL, 0), 1);
	CHECK_EQ(ioasid_usages(&w.users, usage, 4), 1);
	CHECK_EQ(usage[0].pid, 10);
	CHECK_EQ(usage[0].current, 3);
	CHECK_EQ(usage[0].max, 3);
	CHECK_EQ(usage[0].refused, 2);
	CHECK_EQ(ioasid_open(&w.users, &b.client, &other), 0);
	CHECK_EQ(any(other, &b), 4);
	CHECK_EQ(ioasid_usages(&w.users, usage, 1), 2);
	CHECK_EQ(ioasid_usages(&w.users, usage, 4), 2);
	mm_announce_gone(&a.mm);
	CHECK_EQ(ioasid_usages(&w.users, usage, 4), 1);
	CHECK_EQ(usage[0].pid, 11);
	CHECK_EQ(usage[0].current, 1);
	close_file(other);
	CHECK_EQ(ioasid_usages(&w.users, usage, 4), 0);
	close_file(file);
	world_fini(&w);
}

static struct world *asked_world;
static struct fake *owner;

static void ask_for_the_token(void)
{
	CHECK_EQ(ioasid_token(&asked_world->users, &owner->mm), 1);
}

/* A process of the same memory tries to open another one: what the first has is its own all the while. */
static void token_is_the_owners(void)
{
	struct file *file, *other;
	struct world w;
	struct fake a, b;

	world_init(&w, 4, UINT64_MAX);
	process(&a, 1, 10);
	process(&b, 2, 10);
	asked_world = &w;
	owner = &a;
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	while_comparing = ask_for_the_token;
	CHECK_EQ(ioasid_open(&w.users, &b.client, &other), -EBUSY);
	CHECK(!while_comparing);
	CHECK_EQ(ioasid_token(&w.users, &b.mm), 1);
	close_file(file);
	world_fini(&w);
}

static struct file *compared;

static void close_compared(void)
{
	close_file(compared);
}

/* One that is closed while it is compared does not hide those that were opened before it. */
static void search_goes_on_from_what_was_closed(void)
{
	struct file *file, *other, *none;
	struct fake a, b, c, d;
	struct world w;

	world_init(&w, 4, UINT64_MAX);
	process(&a, 1, 10);
	process(&b, 2, 11);
	process(&c, 3, 12);
	process(&d, 4, 10);
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	CHECK_EQ(ioasid_open(&w.users, &b.client, &other), 0);
	CHECK_EQ(ioasid_open(&w.users, &c.client, &compared), 0);
	while_comparing = close_compared;
	CHECK_EQ(ioasid_open(&w.users, &d.client, &none), -EBUSY);
	CHECK(!while_comparing);
	CHECK_EQ(ioasid_token(&w.users, &d.mm), 1);
	CHECK_EQ(ioasid_token(&w.users, &c.mm), 3);
	close_file(file);
	CHECK_EQ(ioasid_open(&w.users, &d.client, &file), 0);
	close_file(file);
	close_file(other);
	CHECK_EQ(a.mm.refs, 1);
	CHECK_EQ(c.mm.refs, 1);
	world_fini(&w);
}

static unsigned asked;
static const char *cgroup_path;
static int cgroup_error;

static int tell_cgroup(struct client *client, char *path, size_t room)
{
	(void)client;
	asked++;
	if (!cgroup_path)
		return cgroup_error;
	snprintf(path, room, "%s", cgroup_path);
	return 0;
}

static void cgroup_is_charged(void)
{
	struct client_ops ops = fake_ops;
	struct file *file;
	struct world w;
	struct fake a;

	ops.cgroup = tell_cgroup;
	world_init(&w, 4, UINT64_MAX);
	process(&a, 1, 10);
	a.client.ops = &ops;
	CHECK_EQ(ioasid_open(&w.users, &a.client, &file), 0);
	cgroup_path = "/a/b/c";
	CHECK_EQ(any(file, &a), 1);
	CHECK_EQ(asked, 0);
	CHECK_EQ(release(file, &a, 1), 0);
	CHECK_EQ(ioasid_cgroup_add(w.users.space, "/a/b", 2), 0);
	CHECK_EQ(any(file, &a), 1);
	CHECK_EQ(asked, 1);
	/* What is charged to a cgroup is its own when the process has moved. */
	cgroup_path = "/elsewhere";
	CHECK_EQ(any(file, &a), 2);
	cgroup_path = "/a/b";
	CHECK_EQ(any(file, &a), 3);
	CHECK_EQ(any(file, &a), -EAGAIN);
	CHECK_EQ(release(file, &a, 2), 0);
	CHECK_EQ(any(file, &a), -EAGAIN);
	/* That it cannot be told is no way around the quota. */
	cgroup_path = NULL;
	cgroup_error = -ENAMETOOLONG;
	CHECK_EQ(any(file, &a), -EAGAIN);
	cgroup_error = -ESRCH;
	CHECK_EQ(any(file, &a), -EAGAIN);
	cgroup_error = -EMFILE;
	CHECK_EQ(any(file, &a), -ENOMEM);
	/* Who has none has no quota, nor whose none can be asked for. */
	cgroup_error = -EINVAL;
	CHECK_EQ(any(file, &a), 2);
	ops.cgroup = NULL;
	CHECK_EQ(any(file, &a), 4);
	CHECK_EQ(ioasid_cgroups(w.users.space)->current, 2);
	CHECK_EQ(ioasid_cgroups(w.users.space)->refused, 2);
	close_file(file);
	CHECK_EQ(ioasid_cgroups(w.users.space)->current, 0);
	world_fini(&w);
}

struct runner {
	struct world *w;
	struct fake own;
	uint64_t serial;
	bool dies;
};

static void *run(void *context)
{
	struct runner *r = context;

	for (int round = 0; round < 300; round++) {
		struct file *file;

		process(&r->own, r->serial + (uint64_t)round * THREADS, (pid_t)(r->serial + (uint64_t)round * THREADS));
		CHECK_EQ(ioasid_open(&r->w->users, &r->own.client, &file), 0);
		for (int i = 0; i < 4; i++) {
			long id = any(file, &r->own);

			CHECK(id > 0 || id == -ENOSPC);
			if (id > 0 && i % 2)
				CHECK_EQ(release(file, &r->own, (int)id), 0);
		}
		if (r->dies)
			mm_announce_gone(&r->own.mm);
		close_file(file);
		/* Who looks for the users of other memory has a reference for a moment. */
		while (atomic_load(&r->own.mm.refs) > 1)
			sched_yield();
	}
	return NULL;
}

static void processes_at_once(void)
{
	static struct runner runners[THREADS];
	pthread_t threads[THREADS];
	struct world w;

	world_init(&w, 3, UINT64_MAX);
	for (int i = 0; i < THREADS; i++) {
		runners[i] = (struct runner){.w = &w, .serial = (uint64_t)i + 1, .dies = i & 1};
		CHECK_EQ(pthread_create(&threads[i], NULL, run, &runners[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	world_fini(&w);
}

struct end_race {
	struct fake threads_of[2];
	struct file *file;
	pthread_barrier_t start;
};

/* A thread allocates while another executes a program, or closes. */
struct caller {
	struct end_race *race;
	struct fake *as;
};

static void *call_on(void *context)
{
	struct caller *c = context;

	pthread_barrier_wait(&c->race->start);
	for (;;) {
		long id = any(c->race->file, c->as);

		if (id == -EPERM)
			break;
		CHECK(id > 0 || id == -ENOSPC);
		if (id > 0) {
			long rc = release(c->race->file, c->as, (int)id);

			CHECK(rc == 0 || rc == -EPERM);
		}
	}
	return NULL;
}

static bool same_always(struct mm *a, struct mm *b)
{
	(void)a;
	(void)b;
	return true;
}

static void end_races_with_calls(void)
{
	static const struct mm_ops ops = {.release = fake_mm_release, .same = same_always};

	for (int round = 0; round < 200; round++) {
		struct end_race race;
		struct caller callers[2];
		pthread_t threads[2];
		struct world w;

		world_init(&w, 3, UINT64_MAX);
		pthread_barrier_init(&race.start, NULL, 3);
		for (int i = 0; i < 2; i++) {
			process(&race.threads_of[i], (uint64_t)i + 1, 10);
			race.threads_of[i].mm.ops = &ops;
			callers[i] = (struct caller){&race, &race.threads_of[i]};
		}
		CHECK_EQ(ioasid_open(&w.users, &race.threads_of[0].client, &race.file), 0);
		for (int i = 0; i < 2; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, call_on, &callers[i]), 0);
		pthread_barrier_wait(&race.start);
		if (round & 1)
			mm_announce_gone(&race.threads_of[0].mm);
		else
			race.file->ops->closed(race.file);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		if (round & 1)
			race.file->ops->closed(race.file);
		file_put(race.file);
		pthread_barrier_destroy(&race.start);
		world_fini(&w);
	}
}

int main(void)
{
	end_closes_what_the_process_had();
	closed_file_that_is_held_is_no_obstacle();
	device_goes_on_with_a_pasid();
	what_the_program_before_has_left_counts();
	shared_memory_is_one_process();
	usage_is_told();
	token_is_the_owners();
	search_goes_on_from_what_was_closed();
	cgroup_is_charged();
	processes_at_once();
	end_races_with_calls();
	return check_result();
}
