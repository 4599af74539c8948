/* SPDX-License-Identifier: BSD-3-Clause */
/* Who listens hears of each transition of a PASID once, in order of priority, and may leave work for later. */
#include "pasid/notify.h"

#include "ioasid_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

struct listener {
	struct ioasid_notifier notifier;
	struct ioasid_space *space;
	char *log; /* letters; those of several may go to the same */
	char name; /* 0: log the event, else this */
	bool holds;
	struct ioasid_notice last;
};

static void append(char *log, char letter)
{
	size_t n = strlen(log);

	log[n] = letter;
	log[n + 1] = 0;
}

/* One that holds takes a reference when it is bound and drops it when it is not. */
static void listen(struct ioasid_notifier *notifier, enum ioasid_event event, const struct ioasid_notice *notice)
{
	struct listener *listener = (struct listener *)notifier;

	append(listener->log, listener->name ? listener->name : "?AFBU"[event]);
	listener->last = *notice;
	if (listener->holds && event == IOASID_EVENT_BIND)
		CHECK_EQ(ioasid_get_locked(listener->space, notice->set, notice->id), 0);
	if (listener->holds && event == IOASID_EVENT_UNBIND)
		CHECK(!ioasid_put_locked(listener->space, notice->id));
}

static struct listener listener_of(struct ioasid_space *space, char *log)
{
	*log = 0;
	return (struct listener){.notifier.notify = listen, .space = space, .log = log};
}

#define CHECK_LOG(log, want) (check_true(!strcmp(log, want), log, __FILE__, __LINE__), (log)[0] = 0)

static void events_have_the_numbers_of_the_interface(void)
{
	CHECK_EQ(IOASID_EVENT_ALLOC, 1);
	CHECK_EQ(IOASID_EVENT_FREE, 2);
	CHECK_EQ(IOASID_EVENT_BIND, 3);
	CHECK_EQ(IOASID_EVENT_UNBIND, 4);
	CHECK(IOASID_PRIORITY_LAST == 0 && IOASID_PRIORITY_DEVICE > IOASID_PRIORITY_LAST);
	CHECK(IOASID_PRIORITY_IOMMU > IOASID_PRIORITY_DEVICE && IOASID_PRIORITY_CPU > IOASID_PRIORITY_IOMMU);
}

static void each_transition_is_told_once(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener all = listener_of(space, log);
	int data;
	uint32_t id;

	CHECK_EQ(ioasid_register_notifier(space, NULL, &all.notifier), 0);
	CHECK_EQ(ioasid_alloc(set, 5, 5, NULL, &data, &id), 0);
	CHECK_LOG(log, "A");
	CHECK(all.last.id == 5 && all.last.set == set && all.last.data == &data && all.last.spid == IOASID_INVALID);
	CHECK_EQ(bind(space, 1, 5), 0);
	CHECK_LOG(log, "B");
	CHECK_EQ(bind(space, 1, 5), 0); /* a second device */
	ioasid_unbind(space, 5);
	CHECK_LOG(log, "");
	CHECK_EQ(ioasid_free(set, 5), 0);
	CHECK_LOG(log, "F");
	CHECK_EQ(ioasid_free(set, 5), 0);
	CHECK_LOG(log, "");
	ioasid_unbind(space, 5);
	CHECK_LOG(log, "U");
	CHECK_EQ(ioasid_state(space, 5), IOASID_FREE);
	CHECK_EQ(alloc(set), 1);
	CHECK_LOG(log, "A");
	CHECK_EQ(ioasid_free(set, 1), 0); /* nobody has a reference that he would have to drop */
	CHECK_LOG(log, "");
	ioasid_set_end(set);
	CHECK_EQ(ioasid_unregister_notifier(space, &all.notifier), 0);
	ioasid_space_free(space);
}

static void the_end_of_a_set_tells_of_what_is_in_use(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener all = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier(space, NULL, &all.notifier), 0);
	for (int i = 1; i <= 4; i++)
		CHECK_EQ(alloc(set), i);
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	CHECK_EQ(ioasid_get(space, set, 2), 0);
	CHECK_EQ(ioasid_get(space, set, 4), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_LOG(log, "AAAAF");
	ioasid_set_end(set);
	CHECK_LOG(log, "FF");
	CHECK(ioasid_put(space, 1) && ioasid_put(space, 2) && ioasid_put(space, 4));
	CHECK_LOG(log, "");
	CHECK_EQ(ioasid_unregister_notifier(space, &all.notifier), 0);
	ioasid_space_free(space);
}

static void a_set_has_listeners_of_its_own(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER), *other = set_of(space, 2, ANY_NUMBER);
	char log[32];
	struct listener own = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier(space, set, &own.notifier), 0);
	CHECK_EQ(alloc(other), 1);
	CHECK_LOG(log, "");
	CHECK_EQ(alloc(set), 2);
	CHECK_EQ(bind(space, 1, 2), 0);
	ioasid_set_end(set);
	CHECK_LOG(log, "ABF");
	ioasid_unbind(space, 2);
	CHECK_LOG(log, "U");
	CHECK_EQ(ioasid_unregister_notifier(space, &own.notifier), 0);
	ioasid_set_end(other);
	ioasid_space_free(space);
}

static void processors_are_told_first_and_then_iommus_and_devices(void)
{
	static const struct {
		enum ioasid_priority priority;
		char name;
	} order[] = {
		{IOASID_PRIORITY_LAST, '4'},   {IOASID_PRIORITY_IOMMU, '2'}, {IOASID_PRIORITY_CPU, '1'},
		{IOASID_PRIORITY_DEVICE, '3'}, {IOASID_PRIORITY_IOMMU, '2'}, {IOASID_PRIORITY_CPU, '1'},
	};
	enum { N = sizeof(order) / sizeof(*order) };
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 9, ANY_NUMBER);
	struct listener listener[3 * N];
	char log[32];

	for (int i = 0; i < 3 * N; i++) {
		listener[i] = listener_of(space, log);
		listener[i].notifier.priority = order[i % N].priority;
		listener[i].name = order[i % N].name;
		if (i < 2 * N)
			CHECK_EQ(ioasid_register_notifier(space, i < N ? set : NULL, &listener[i].notifier), 0);
		else
			CHECK_EQ(ioasid_register_notifier_mm(space, 9, &listener[i].notifier), 0);
	}
	CHECK_EQ(alloc(set), 1);
	CHECK_LOG(log, "111111222222333444");
	for (int i = 0; i < 3 * N; i++)
		CHECK_EQ(ioasid_unregister_notifier(space, &listener[i].notifier), 0);
	ioasid_set_end(set);
	ioasid_space_free(space);
}

/* As what was before is not told again. */
static void sets_are_listened_to_while_they_are_empty(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener own = listener_of(space, log);

	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_register_notifier(space, set, &own.notifier), -EBUSY);
	CHECK_EQ(ioasid_register_notifier_mm(space, 1, &own.notifier), -EBUSY);
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_register_notifier(space, set, &own.notifier), -EBUSY);
	CHECK(ioasid_put(space, 1));
	CHECK_EQ(ioasid_register_notifier(space, set, &own.notifier), 0);
	CHECK_EQ(ioasid_unregister_notifier(space, &own.notifier), 0);
	CHECK_EQ(ioasid_unregister_notifier(space, &own.notifier), -ENOENT);
	CHECK_LOG(log, "");
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void nobody_listens_twice(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener one = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier(space, NULL, &one.notifier), 0);
	CHECK_EQ(ioasid_register_notifier(space, NULL, &one.notifier), -EBUSY);
	CHECK_EQ(ioasid_register_notifier(space, set, &one.notifier), -EBUSY);
	CHECK_EQ(ioasid_register_notifier_mm(space, 1, &one.notifier), -EBUSY);
	CHECK_EQ(alloc(set), 1);
	CHECK_LOG(log, "A");
	CHECK_EQ(ioasid_unregister_notifier(space, &one.notifier), 0);
	CHECK_EQ(alloc(set), 2);
	CHECK_LOG(log, "");
	ioasid_set_end(set);
	ioasid_space_free(space);
}

static void an_address_space_is_listened_to_before_it_has_a_set(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set, *other;
	char log[32];
	struct listener mm = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier_mm(space, 0, &mm.notifier), -EINVAL);
	CHECK_EQ(ioasid_register_notifier_mm(space, 5, &mm.notifier), 0);
	CHECK_EQ(ioasid_register_notifier_mm(space, 5, &mm.notifier), -EBUSY);
	other = set_of(space, 4, ANY_NUMBER);
	CHECK_EQ(alloc(other), 1);
	CHECK_LOG(log, "");
	set = set_of(space, 5, ANY_NUMBER);
	CHECK_EQ(alloc(set), 2);
	CHECK_LOG(log, "A");
	CHECK_EQ(bind(space, 5, 2), 0);
	ioasid_set_end(set);
	CHECK_LOG(log, "BF");
	set = set_of(space, 5, ANY_NUMBER); /* a fresh one, and what is left of the old one */
	CHECK_EQ(alloc(set), 3);
	ioasid_unbind(space, 2);
	CHECK_LOG(log, "AU");
	CHECK_EQ(ioasid_unregister_notifier(space, &mm.notifier), 0);
	CHECK_EQ(alloc(set), 2);
	CHECK_LOG(log, "");
	ioasid_set_end(set);
	ioasid_set_end(other);
	ioasid_space_free(space);
}

static void a_listener_to_an_address_space_may_leave_before_there_is_a_set(void)
{
	struct ioasid_space *space = space_of(20);
	char log[32];
	struct listener mm = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier_mm(space, 5, &mm.notifier), 0);
	CHECK_EQ(ioasid_unregister_notifier(space, &mm.notifier), 0);
	CHECK_EQ(ioasid_unregister_notifier(space, &mm.notifier), -ENOENT);
	ioasid_space_free(space);
}

static void a_set_stays_for_who_listens_to_it(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener own = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier(space, set, &own.notifier), 0);
	ioasid_set_end(set);
	CHECK_EQ(count_of(set).current, 0);
	CHECK_EQ(ioasid_unregister_notifier(space, &own.notifier), 0);
	ioasid_space_free(space);
}

/* Guests' numbers. */

static void a_guests_number_makes_it_active(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener all = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier(space, NULL, &all.notifier), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_attach_spid(set, 1, 77), 0);
	CHECK_LOG(log, "AB");
	CHECK_EQ(all.last.spid, 77);
	CHECK_EQ(ioasid_state(space, 1), IOASID_ACTIVE);
	CHECK_EQ(bind(space, 1, 1), 0);
	ioasid_unbind(space, 1);
	CHECK_LOG(log, "");
	CHECK_EQ(ioasid_detach_spid(set, 1), 0);
	CHECK_LOG(log, "U");
	CHECK_EQ(all.last.spid, 77);
	CHECK_EQ(ioasid_state(space, 1), IOASID_IDLE);
	ioasid_set_end(set);
	CHECK_EQ(ioasid_unregister_notifier(space, &all.notifier), 0);
	ioasid_space_free(space);
}

/* BIND and UNBIND take turns, and in between the number does not change. */
static void another_number_is_another_binding(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener all = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier(space, NULL, &all.notifier), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(bind(space, 1, 1), 0);
	CHECK_LOG(log, "AB");
	CHECK_EQ(all.last.spid, IOASID_INVALID);
	CHECK_EQ(ioasid_attach_spid(set, 1, 0), 0);
	CHECK_LOG(log, "UB");
	CHECK_EQ(all.last.spid, 0);
	CHECK_EQ(ioasid_attach_spid(set, 1, 8), 0);
	CHECK_LOG(log, "UB");
	CHECK_EQ(all.last.spid, 8);
	CHECK_EQ(ioasid_find_by_spid(set, 0, false), IOASID_INVALID);
	CHECK_EQ(ioasid_detach_spid(set, 1), 0);
	CHECK_LOG(log, "UB");
	CHECK_EQ(all.last.spid, IOASID_INVALID);
	ioasid_unbind(space, 1);
	CHECK_LOG(log, "U");
	ioasid_set_end(set);
	CHECK_EQ(ioasid_unregister_notifier(space, &all.notifier), 0);
	ioasid_space_free(space);
}

static void a_number_that_goes_with_its_pasid_is_told(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener all = listener_of(space, log);

	CHECK_EQ(ioasid_register_notifier(space, NULL, &all.notifier), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_attach_spid(set, 1, 77), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_LOG(log, "ABU");
	CHECK_EQ(all.last.spid, 77);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	CHECK_EQ(ioasid_find_by_spid(set, 77, false), IOASID_INVALID);
	ioasid_set_end(set);
	CHECK_EQ(ioasid_unregister_notifier(space, &all.notifier), 0);
	ioasid_space_free(space);
}

/* Listeners and references. */

static void a_listener_takes_and_drops_references(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	char log[32];
	struct listener kvm = listener_of(space, log);

	kvm.holds = true;
	CHECK_EQ(ioasid_register_notifier(space, set, &kvm.notifier), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(bind(space, 1, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE_PENDING);
	ioasid_unbind(space, 1);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	CHECK_LOG(log, "ABFU");
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_attach_spid(set, 1, 3), 0);
	CHECK_EQ(ioasid_detach_spid(set, 1), 0);
	CHECK_LOG(log, "ABU");
	ioasid_set_end(set);
	CHECK_EQ(usage_of(space).in_use, 0);
	CHECK_EQ(ioasid_unregister_notifier(space, &kvm.notifier), 0);
	ioasid_space_free(space);
}

/* F.5, 13 and 16: nobody gets a reference to one that was freed, not even who is just told of it. */
struct late {
	struct ioasid_notifier notifier;
	struct ioasid_space *space;
	int rc;
};

static void get_late(struct ioasid_notifier *notifier, enum ioasid_event event, const struct ioasid_notice *notice)
{
	struct late *late = (struct late *)notifier;

	if (event == IOASID_EVENT_FREE || event == IOASID_EVENT_UNBIND)
		late->rc = ioasid_get_locked(late->space, notice->set, notice->id);
}

static void what_was_freed_is_not_taken_again(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	struct late late = {.notifier.notify = get_late, .space = space};

	CHECK_EQ(ioasid_register_notifier(space, NULL, &late.notifier), 0);
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_get(space, set, 1), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(late.rc, -EBUSY);
	CHECK(ioasid_put(space, 1));
	late.rc = 0;
	CHECK_EQ(alloc(set), 1);
	CHECK_EQ(ioasid_attach_spid(set, 1, 5), 0);
	CHECK_EQ(ioasid_free(set, 1), 0);
	CHECK_EQ(late.rc, -EBUSY);
	CHECK_EQ(ioasid_state(space, 1), IOASID_FREE);
	ioasid_set_end(set);
	CHECK_EQ(ioasid_unregister_notifier(space, &late.notifier), 0);
	ioasid_space_free(space);
}

/* The queue. F.5, 16: what takes time is done later, in order, and the PASID is not free before. */

struct driver {
	struct ioasid_notifier notifier;
	struct ioasid_space *space;
	struct ioasid_set *set;
	pthread_mutex_t gate; /* the work waits for it */
	struct job {
		struct ioasid_work work;
		struct driver *driver;
		uint32_t id;
	} job[8];
	unsigned jobs;
	uint32_t done[8];
	_Atomic unsigned did;
};

static void let_go(struct ioasid_work *work)
{
	struct job *job = (struct job *)work;
	struct driver *driver = job->driver;

	pthread_mutex_lock(&driver->gate);
	pthread_mutex_unlock(&driver->gate);
	driver->done[atomic_fetch_add(&driver->did, 1)] = job->id;
	CHECK_EQ(ioasid_detach_spid(driver->set, job->id), 0);
	CHECK(ioasid_put(driver->space, job->id));
}

static void hear(struct ioasid_notifier *notifier, enum ioasid_event event, const struct ioasid_notice *notice)
{
	struct driver *driver = (struct driver *)notifier;
	struct job *job = &driver->job[driver->jobs];

	if (event != IOASID_EVENT_FREE)
		return;
	driver->jobs++;
	*job = (struct job){.work.run = let_go, .driver = driver, .id = notice->id};
	CHECK(ioasid_queue(driver->space, &job->work));
}

static void start(struct driver *driver, struct ioasid_space *space, struct ioasid_set *set)
{
	*driver = (struct driver){.notifier.notify = hear, .space = space, .set = set};
	pthread_mutex_init(&driver->gate, NULL);
	CHECK_EQ(ioasid_register_notifier(space, set, &driver->notifier), 0);
	for (uint32_t i = 1; i <= 8; i++) {
		CHECK_EQ(alloc(set), i);
		CHECK_EQ(ioasid_get(space, set, i), 0);
		CHECK_EQ(ioasid_attach_spid(set, i, 100 + i), 0);
	}
}

static void slow_work_is_done_later_and_in_order(void)
{
	static const uint32_t order[] = {3, 1, 8, 2, 4, 5, 6, 7};
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	struct driver driver;

	start(&driver, space, set);
	pthread_mutex_lock(&driver.gate);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(ioasid_free(set, order[i]), 0);
	ioasid_set_end(set);
	CHECK_EQ(driver.jobs, 8);
	CHECK_EQ(atomic_load(&driver.did), 0);
	CHECK_EQ(usage_of(space).pending, 8);
	pthread_mutex_unlock(&driver.gate);
	ioasid_flush(space);
	CHECK_EQ(atomic_load(&driver.did), 8);
	CHECK(!memcmp(driver.done, order, sizeof(order)));
	CHECK_EQ(usage_of(space).in_use, 0);
	CHECK_EQ(ioasid_unregister_notifier(space, &driver.notifier), 0);
	ioasid_space_free(space);
	pthread_mutex_destroy(&driver.gate);
}

static void the_end_of_the_space_waits_for_the_queue(void)
{
	struct ioasid_space *space = space_of(20);
	struct ioasid_set *set = set_of(space, 1, ANY_NUMBER);
	struct driver driver;

	start(&driver, space, set);
	ioasid_set_end(set);
	CHECK_EQ(ioasid_unregister_notifier(space, &driver.notifier), 0);
	ioasid_space_free(space);
	CHECK_EQ(atomic_load(&driver.did), 8);
	pthread_mutex_destroy(&driver.gate);
}

struct again {
	struct ioasid_work work;
	struct ioasid_space *space;
	unsigned left, ran;
};

static void run_again(struct ioasid_work *work)
{
	struct again *again = (struct again *)work;

	again->ran++;
	if (again->left && again->left--)
		CHECK(ioasid_queue(again->space, work));
}

static void work_may_queue_itself_and_is_done_without_a_thread_too(void)
{
	struct ioasid_space *space = space_of(20);
	struct again again = {.work.run = run_again, .space = space, .left = 5};

	CHECK(ioasid_queue(space, &again.work));
	CHECK(!ioasid_queue(space, &again.work));
	ioasid_flush(space);
	CHECK_EQ(again.ran, 1);
	ioasid_space_free(space);
	CHECK_EQ(again.ran, 6);
}

int main(void)
{
	events_have_the_numbers_of_the_interface();
	each_transition_is_told_once();
	the_end_of_a_set_tells_of_what_is_in_use();
	a_set_has_listeners_of_its_own();
	processors_are_told_first_and_then_iommus_and_devices();
	sets_are_listened_to_while_they_are_empty();
	nobody_listens_twice();
	an_address_space_is_listened_to_before_it_has_a_set();
	a_listener_to_an_address_space_may_leave_before_there_is_a_set();
	a_set_stays_for_who_listens_to_it();
	a_guests_number_makes_it_active();
	another_number_is_another_binding();
	a_number_that_goes_with_its_pasid_is_told();
	a_listener_takes_and_drops_references();
	what_was_freed_is_not_taken_again();
	slow_work_is_done_later_and_in_order();
	the_end_of_the_space_waits_for_the_queue();
	work_may_queue_itself_and_is_done_without_a_thread_too();
	return check_result();
}
