/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses: what they pin, read and write, and how areas are taken away from them. */
#include "ioas/access.h"

#include "abi/iommufd.h"
#include "fake_domain.h"

#define READ  IOMMU_IOAS_MAP_READABLE
#define WRITE IOMMU_IOAS_MAP_WRITEABLE
#define RW    (READ | WRITE)
#define PAGE  PAGE_SIZE

static struct memory memory;
static struct ioas_context context;
static struct ioas ioas, other;
static struct fake_domain domain;

/* An access that remembers one pin. */
struct user {
	struct access access;
	iova_t iova;
	uint64_t length; /* 0: nothing is pinned */
	bool stubborn;   /* does not let go */
	_Atomic unsigned calls;
	iova_t called_iova;
	uint64_t called_length;
};

static struct user user, plain, inner;

static void unpin(struct user *u)
{
	access_unpin(&u->access, u->iova, u->length);
	u->length = 0;
}

static void on_unmap(struct access *access, iova_t iova, uint64_t length)
{
	struct user *u = (struct user *)access;

	atomic_fetch_add(&u->calls, 1);
	u->called_iova = iova;
	u->called_length = length;
	if (u->length && !u->stubborn && iova <= u->iova + (u->length - 1) && u->iova <= iova + (length - 1))
		unpin(u);
}

static const struct access_ops pinning = {.needs_pin_pages = true, .unmap = on_unmap};
static const struct access_ops copying = {.unmap = on_unmap};

static void user_init(struct user *u, const struct access_ops *ops)
{
	memset(u, 0, sizeof(*u));
	access_init(&u->access, ops);
}

static void begin(void)
{
	memory_init(&memory);
	ioas_context_init(&context);
	ioas_init(&ioas);
	ioas_init(&other);
	ioas.context = &context;
	other.context = &context;
	fake_domain_init(&domain, PAGE);
	user_init(&user, &pinning);
	user_init(&plain, &copying);
	user_init(&inner, NULL);
}

static void end(void)
{
	CHECK(!user.access.holding && !plain.access.holding && !inner.access.holding);
	access_fini(&user.access);
	access_fini(&plain.access);
	access_fini(&inner.access);
	CHECK(!ioas.accesses && !ioas.uses && !other.accesses);
	ioas_fini(&ioas);
	ioas_fini(&other);
	ioas_context_fini(&context);
	memory_fini(&memory);
}

static int map_prot(iova_t iova, uint64_t length, uint64_t va, uint8_t prot)
{
	struct ioas_map map = {.client = &memory.client,
			       .length = length,
			       .iova = iova,
			       .fixed = true,
			       .prot = prot,
			       .account = ACCOUNT_USER};

	return ioas_map_user(&ioas, &map, uaddr(va));
}

static int map_at(iova_t iova, uint64_t length, uint64_t va)
{
	return map_prot(iova, length, va, RW);
}

static int64_t unmap(iova_t start, iova_t last)
{
	uint64_t bytes;
	int rc = ioas_unmap(&ioas, &memory.client, start, last, &bytes);

	return rc ? rc : (int64_t)bytes;
}

static int pin(struct user *u, iova_t iova, uint64_t length, unsigned flags, struct access_page *page)
{
	int rc = access_pin(&u->access, iova, length, flags, page);

	if (!rc) {
		u->iova = iova;
		u->length = length;
	}
	return rc;
}

static uint64_t pinned(void)
{
	return atomic_load(&memory.mm.pinned);
}

static void an_access_is_in_one_ioas_at_a_time(void)
{
	begin();
	CHECK_EQ(map_at(0x10001, 1, MEMORY_AT), 0);
	CHECK_EQ(access_replace(&user.access, &ioas), -ENOENT);
	CHECK_EQ(access_attach(&user.access, &ioas), -EADDRINUSE);
	CHECK_EQ(access_attach(&plain.access, &ioas), 0);
	CHECK_EQ(ioas.alignment, 1);
	CHECK_EQ(access_attach(&user.access, &other), 0);
	CHECK_EQ(access_attach(&user.access, &other), -EINVAL);
	CHECK_EQ(other.alignment, PAGE);
	CHECK_EQ(access_replace(&user.access, &ioas), -EADDRINUSE);
	CHECK_EQ(other.alignment, PAGE);
	CHECK_EQ(user.calls, 0);
	CHECK_EQ(access_replace(&user.access, &other), 0);
	CHECK_EQ(user.calls, 0);
	CHECK_EQ(unmap(0, UINT64_MAX), 1);
	CHECK_EQ(access_replace(&user.access, &ioas), 0);
	CHECK_EQ(user.calls, 1);
	CHECK_EQ(user.called_iova, 0);
	CHECK_EQ(user.called_length, UINT64_MAX);
	CHECK_EQ(other.alignment, 1);
	CHECK_EQ(ioas.alignment, PAGE);
	CHECK_EQ(access_replace(&user.access, &other), 0);
	CHECK_EQ(access_replace(&user.access, &ioas), 0);
	access_detach(&user.access);
	CHECK_EQ(user.calls, 4);
	CHECK_EQ(ioas.alignment, 1);
	access_detach(&user.access);
	CHECK_EQ(user.calls, 4);
	access_detach(&plain.access);
	end();
}

static void pins_are_counted_and_let_go(void)
{
	struct access_page page[4];

	begin();
	CHECK_EQ(access_attach(&user.access, &ioas), 0);
	CHECK_EQ(map_at(0x10000, 2 * PAGE, MEMORY_AT + PAGE), 0);
	CHECK_EQ(map_at(0x12000, 2 * PAGE, MEMORY_AT + 8 * PAGE), 0);
	CHECK_EQ(map_prot(0x14000, PAGE, MEMORY_AT, READ), 0);
	CHECK_EQ(map_prot(0x15000, PAGE, MEMORY_AT, WRITE), 0);
	CHECK_EQ(map_at(0x20000, PAGE, MEMORY_AT + 63 * PAGE), 0);
	CHECK_EQ(map_at(0x21000, PAGE, MEMORY_AT + 64 * PAGE), 0);
	CHECK_EQ(pin(&user, 0x10000, 0, 0, NULL), -EINVAL);
	CHECK_EQ(pin(&user, UINT64_MAX, 2, 0, NULL), -EOVERFLOW);
	CHECK_EQ(pin(&plain, 0x10000, PAGE, 0, NULL), -EINVAL);
	CHECK_EQ(pin(&inner, 0x10000, PAGE, 0, NULL), -ENOENT);
	CHECK_EQ(pin(&user, 0xf000, 2 * PAGE, 0, NULL), -ENOENT);
	CHECK_EQ(pin(&user, 0x10800, PAGE, 0, NULL), -EINVAL);
	CHECK_EQ(pin(&user, 0x11000, 4 * PAGE, ACCESS_WRITE, page), -EPERM);
	CHECK_EQ(pin(&user, 0x15000, PAGE, 0, page), -EPERM);
	CHECK_EQ(pin(&user, 0x20000, 2 * PAGE, 0, page), -EFAULT);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(atomic_load(&memory.held), 0);
	CHECK_EQ(pin(&user, 0x11000, 3 * PAGE, ACCESS_WRITE, page), 0);
	CHECK_EQ(pinned(), 3);
	CHECK(page[0].host == memory.bytes + 2 * PAGE && page[1].host == memory.bytes + 8 * PAGE);
	CHECK(page[2].host == memory.bytes + 9 * PAGE && page[2].index == 1);
	memory.limit = 3;
	CHECK_EQ(access_pin(&user.access, 0x10000, PAGE, 0, page), -ENOMEM);
	CHECK_EQ(access_pin(&user.access, 0x11000, PAGE, 0, page), 0);
	CHECK_EQ(pinned(), 3);
	access_unpin(&user.access, 0x11000, PAGE);
	CHECK_EQ(pinned(), 3);
	unpin(&user);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(unmap(0, UINT64_MAX), 8 * PAGE);
	CHECK_EQ(user.calls, 0);
	access_detach(&user.access);
	end();
}

static void an_access_and_a_domain_share_pins(void)
{
	struct access_page page;

	begin();
	CHECK_EQ(access_attach(&user.access, &ioas), 0);
	CHECK_EQ(map_at(0x10000, 4 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(pin(&user, 0x11000, PAGE, 0, &page), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(pinned(), 4);
	CHECK(domain_host(&domain, 0x11000) == page.host);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(pinned(), 1);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	unpin(&user);
	CHECK_EQ(pinned(), 4);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(pinned(), 0);
	access_detach(&user.access);
	end();
}

static void an_unmap_tells_accesses_first(void)
{
	begin();
	CHECK_EQ(access_attach(&user.access, &ioas), 0);
	CHECK_EQ(access_attach(&plain.access, &ioas), 0);
	CHECK_EQ(access_attach(&inner.access, &ioas), 0);
	for (iova_t i = 1; i <= 3; i++)
		CHECK_EQ(map_at(i * 0x10000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(pin(&user, 0x20000, PAGE, 0, NULL), 0);
	CHECK_EQ(unmap(0x10000, 0x10fff), PAGE);
	CHECK_EQ(user.calls + plain.calls, 0);
	CHECK_EQ(map_at(0x10000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(unmap(0, UINT64_MAX), 3 * PAGE);
	CHECK_EQ(user.calls, 1);
	CHECK_EQ(plain.calls, 1);
	CHECK_EQ(user.called_iova, 0x20000);
	CHECK_EQ(user.called_length, PAGE);
	CHECK_EQ(pinned(), 0);
	access_detach(&user.access);
	access_detach(&plain.access);
	access_detach(&inner.access);
	end();
}

static void who_does_not_let_go_is_asked_often_but_not_for_ever(void)
{
	char byte;

	begin();
	CHECK_EQ(access_attach(&user.access, &ioas), 0);
	CHECK_EQ(map_at(0x10000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(map_at(0x20000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(pin(&user, 0x20000, PAGE, 0, NULL), 0);
	user.stubborn = true;
	CHECK_EQ(unmap(0, UINT64_MAX), -EDEADLOCK);
	CHECK_EQ(user.calls, 101);
	CHECK_EQ(ioas.areas.count, 1);
	CHECK_EQ(pinned(), 1);
	/* It is going: nothing new may use it. */
	CHECK_EQ(access_pin(&user.access, 0x20000, PAGE, 0, NULL), -EINVAL);
	CHECK_EQ(access_rw(&user.access, 0x20000, &byte, 1, 0), -EINVAL);
	CHECK_EQ(ioas_cut(&ioas, (const iova_t[]){0x207ff}, 1), -EBUSY);
	user.stubborn = false;
	CHECK_EQ(unmap(0, UINT64_MAX), PAGE);
	access_detach(&user.access);
	end();
}

static void an_internal_access_locks_areas(void)
{
	begin();
	CHECK_EQ(access_attach(&inner.access, &ioas), 0);
	CHECK_EQ(ioas.alignment, PAGE);
	for (iova_t i = 1; i <= 3; i++)
		CHECK_EQ(map_at(i * 0x10000, 2 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(pin(&inner, 0x20000, PAGE, 0, NULL), 0);
	CHECK_EQ(unmap(0x20000, 0x20fff), -EBUSY); /* before it is seen to be a part only */
	CHECK_EQ(unmap(0, UINT64_MAX), -EBUSY);
	CHECK_EQ(ioas.areas.count, 2);
	CHECK_EQ(ioas_cut(&ioas, (const iova_t[]){0x20fff}, 1), -EINVAL);
	unpin(&inner);
	CHECK_EQ(ioas_cut(&ioas, (const iova_t[]){0x20fff}, 1), 0);
	CHECK_EQ(unmap(0, UINT64_MAX), 4 * PAGE);
	access_detach(&inner.access);
	end();
}

static void bytes_are_copied_up_to_the_first_error(void)
{
	uint8_t buf[4 * PAGE];

	begin();
	CHECK_EQ(access_attach(&plain.access, &ioas), 0);
	memory.bytes[0x100] = 1;
	memory.bytes[0x101] = 2;
	memory.bytes[0x3000] = 3;
	CHECK_EQ(map_at(7, 2, MEMORY_AT + 0x100), 0);
	CHECK_EQ(map_prot(9, 1, MEMORY_AT + 0x3000, READ), 0);
	CHECK_EQ(map_prot(10, 1, MEMORY_AT + 0x3001, WRITE), 0);
	CHECK_EQ(map_at(20, 8, MEMORY_AT + 64 * PAGE - 4), 0);
	CHECK_EQ(access_rw(&plain.access, 7, buf, 0, 0), -EINVAL);
	CHECK_EQ(access_rw(&plain.access, UINT64_MAX, buf, 2, 0), -EOVERFLOW);
	CHECK_EQ(access_rw(&user.access, 7, buf, 1, 0), -ENOENT);
	CHECK_EQ(access_rw(&plain.access, 6, buf, 1, 0), -ENOENT);
	CHECK_EQ(access_rw(&plain.access, 7, buf, 3, 0), 0);
	CHECK(buf[0] == 1 && buf[1] == 2 && buf[2] == 3);
	memset(buf, 9, sizeof(buf));
	CHECK_EQ(access_rw(&plain.access, 8, buf, 3, 0), -EPERM);
	CHECK(buf[0] == 2 && buf[1] == 3 && buf[2] == 9);
	CHECK_EQ(access_rw(&plain.access, 7, buf + 8, 3, ACCESS_WRITE), -EPERM);
	CHECK(memory.bytes[0x100] == 9 && memory.bytes[0x101] == 9 && memory.bytes[0x3000] == 3);
	CHECK_EQ(access_rw(&plain.access, 10, buf, 1, ACCESS_WRITE), 0);
	CHECK_EQ(access_rw(&plain.access, 10, buf, 2, ACCESS_WRITE), -ENOENT);
	memset(memory.bytes + 64 * PAGE - 4, 5, 4);
	CHECK_EQ(access_rw(&plain.access, 20, buf, 8, 0), -EFAULT);
	CHECK(buf[3] == 5 && buf[4] == 9);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(unmap(0, UINT64_MAX), 12);
	access_detach(&plain.access);
	end();
}

static void what_is_pinned_is_read_where_it_was_found(void)
{
	uint8_t buf[4 * PAGE];

	begin();
	CHECK_EQ(access_attach(&user.access, &ioas), 0);
	for (unsigned i = 0; i < 5; i++)
		memory.bytes[i * PAGE] = (uint8_t)(i + 1);
	CHECK_EQ(map_at(0x10000, 4 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(pin(&user, 0x11000, 2 * PAGE, 0, NULL), 0);
	CHECK_EQ(access_rw(&user.access, 0x10000, buf, 4 * PAGE, 0), 0);
	CHECK_EQ(atomic_load(&memory.copied), 2);
	CHECK(buf[0] == 1 && buf[PAGE] == 2 && buf[2 * PAGE] == 3 && buf[3 * PAGE] == 4);
	memory.bad = MEMORY_AT + 2 * PAGE; /* the owner has unmapped it */
	CHECK_EQ(access_rw(&user.access, 0x12ff0, buf, 16, ACCESS_WRITE), 0);
	CHECK_EQ(access_rw(&user.access, 0x12ff0, buf, 17, 0), -EFAULT);
	unpin(&user);
	CHECK_EQ(access_rw(&user.access, 0x12ff0, buf, 16, 0), -EFAULT);
	memory.bad = 0;
	memory.remote = true;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(access_rw(&user.access, 0x10000, buf, 4 * PAGE, 0), 0);
	CHECK_EQ(atomic_load(&memory.held), 1);
	ioas_remove_domain(&ioas, &domain.base);
	access_detach(&user.access);
	end();
}

/* Threads. */

static _Atomic bool in_copy, let_copy_end, unmapped;

static void wait_in_copy(struct memory *m)
{
	(void)m;
	atomic_store(&in_copy, true);
	while (!atomic_load(&let_copy_end))
		sched_yield();
	CHECK(!atomic_load(&unmapped));
}

static void *copy_slowly(void *arg)
{
	uint8_t buf[16];

	CHECK_EQ(access_rw(&plain.access, 0x10000, buf, sizeof(buf), 0), 0);
	return arg;
}

static void *unmap_it(void *arg)
{
	CHECK_EQ(unmap(0x10000, 0x10fff), PAGE);
	atomic_store(&unmapped, true);
	return arg;
}

static void *detach_it(void *arg)
{
	access_detach(&plain.access);
	atomic_store(&unmapped, true);
	return arg;
}

/* What takes away what a copy uses has to wait: it is seen to wait before the copy may end. */
static void waits_for_a_copy(void *(*take_away)(void *))
{
	pthread_t copier, taker;
	unsigned waiting = 0;

	begin();
	atomic_store(&in_copy, false);
	atomic_store(&let_copy_end, false);
	atomic_store(&unmapped, false);
	CHECK_EQ(access_attach(&plain.access, &ioas), 0);
	CHECK_EQ(map_at(0x10000, PAGE, MEMORY_AT), 0);
	memory.on_copy = wait_in_copy;
	pthread_create(&copier, NULL, copy_slowly, NULL);
	while (!atomic_load(&in_copy))
		sched_yield();
	pthread_create(&taker, NULL, take_away, NULL);
	while (!waiting) {
		pthread_mutex_lock(&ioas.lock);
		waiting = ioas.waiting;
		pthread_mutex_unlock(&ioas.lock);
		sched_yield();
	}
	CHECK(!atomic_load(&unmapped));
	atomic_store(&let_copy_end, true);
	pthread_join(taker, NULL);
	pthread_join(copier, NULL);
	CHECK(atomic_load(&unmapped));
	access_detach(&plain.access);
	unmap(0, UINT64_MAX);
	end();
}

enum { ROUNDS = 3000 };
static _Atomic bool over;

/* What each answer may be, in any order of what the threads do. */
static void *read_and_write(void *arg)
{
	uint8_t buf[3 * PAGE] = {0};

	for (unsigned i = 0; !atomic_load(&over); i++) {
		int rc = access_rw(&plain.access, 0x10800 + i % 4 * PAGE, buf, sizeof(buf), i % 2 ? ACCESS_WRITE : 0);

		CHECK(!rc || rc == -ENOENT || rc == -EINVAL);
	}
	return arg;
}

static pthread_mutex_t pin_lock = PTHREAD_MUTEX_INITIALIZER; /* as a user with a list of pins has */

static void unmap_locked(struct access *access, iova_t iova, uint64_t length)
{
	pthread_mutex_lock(&pin_lock);
	on_unmap(access, iova, length);
	pthread_mutex_unlock(&pin_lock);
}

static const struct access_ops locking = {.needs_pin_pages = true, .unmap = unmap_locked};

static void *pin_and_unpin(void *arg)
{
	for (unsigned i = 0; !atomic_load(&over); i++) {
		int rc = 0;

		pthread_mutex_lock(&pin_lock);
		if (user.length && i % 3 == 0)
			unpin(&user);
		if (!user.length)
			rc = pin(&user, 0x10000 + i % 4 * PAGE, (1 + i % 3) * PAGE, 0, NULL);
		pthread_mutex_unlock(&pin_lock);
		CHECK(!rc || rc == -ENOENT || rc == -EINVAL);
	}
	return arg;
}

static void *add_and_remove(void *arg)
{
	while (!atomic_load(&over)) {
		CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
		ioas_remove_domain(&ioas, &domain.base);
	}
	return arg;
}

static void *map_and_unmap(void *arg)
{
	const iova_t iova = *(const iova_t *)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		CHECK_EQ(map_at(iova, 2 * PAGE, MEMORY_AT + (iova & 0xffff)), 0);
		CHECK_EQ(unmap(iova, iova + 2 * PAGE - 1), 2 * PAGE);
	}
	return arg;
}

static void all_at_once(void)
{
	const iova_t at[2] = {0x10000, 0x12000};
	pthread_t mapper[2], worker[3];

	begin();
	user_init(&user, &locking);
	atomic_store(&over, false);
	CHECK_EQ(access_attach(&user.access, &ioas), 0);
	CHECK_EQ(access_attach(&plain.access, &ioas), 0);
	CHECK_EQ(map_at(0x14000, 4 * PAGE, MEMORY_AT), 0);
	pthread_create(&worker[0], NULL, read_and_write, NULL);
	pthread_create(&worker[1], NULL, pin_and_unpin, NULL);
	pthread_create(&worker[2], NULL, add_and_remove, NULL);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&mapper[i], NULL, map_and_unmap, (void *)(uintptr_t)&at[i]);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(mapper[i], NULL);
	atomic_store(&over, true);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(worker[i], NULL);
	access_detach(&user.access);
	access_detach(&plain.access);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(unmap(0, UINT64_MAX), 4 * PAGE);
	end();
}

int main(void)
{
	an_access_is_in_one_ioas_at_a_time();
	pins_are_counted_and_let_go();
	an_access_and_a_domain_share_pins();
	an_unmap_tells_accesses_first();
	who_does_not_let_go_is_asked_often_but_not_for_ever();
	an_internal_access_locks_areas();
	bytes_are_copied_up_to_the_first_error();
	what_is_pinned_is_read_where_it_was_found();
	waits_for_a_copy(unmap_it);
	waits_for_a_copy(detach_it);
	all_at_once();
	return check_result();
}
