/* SPDX-License-Identifier: BSD-3-Clause */
/* Page tables that show an IOAS: what is pinned and counted, in which order errors come, and that each failure leaves
 * all as it was. */
#define _GNU_SOURCE
#include "abi/iommufd.h"
#include "client/dmabuf.h"
#include "fake_domain.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define READ IOMMU_IOAS_MAP_READABLE
#define RW   (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define PAGE PAGE_SIZE

static struct memory memory;
static struct ioas_context context;
static struct ioas ioas, other;
static struct fake_domain domain, second;

static void each(struct ioas_context *c, void (*visit)(struct ioas *ioas, void *arg), void *arg)
{
	(void)c;
	visit(&ioas, arg);
	visit(&other, arg);
}

static void begin(void)
{
	memory_init(&memory);
	ioas_context_init(&context);
	context.each = each;
	ioas_init(&ioas);
	ioas_init(&other);
	ioas.context = &context;
	other.context = &context;
	fake_domain_init(&domain, PAGE);
	fake_domain_init(&second, PAGE);
}

static void end(void)
{
	CHECK(!ioas.domains && !other.domains);
	ioas_fini(&ioas);
	ioas_fini(&other);
	ioas_context_fini(&context);
	memory_fini(&memory);
}

static int map_at(struct ioas *to, iova_t iova, uint64_t length, uint64_t va)
{
	struct ioas_map map = {.client = &memory.client,
			       .length = length,
			       .iova = iova,
			       .fixed = true,
			       .prot = RW,
			       .account = ACCOUNT_USER};

	return ioas_map_user(to, &map, uaddr(va));
}

static int copy_at(struct ioas *to, iova_t iova, struct ioas *from, iova_t source, uint64_t length, uint8_t prot)
{
	struct ioas_map map = {.client = &memory.client, .length = length, .iova = iova, .fixed = true, .prot = prot};
	struct pieces pieces;
	int rc = ioas_share(from, source, length, &pieces);

	return rc ? rc : ioas_map_pieces(to, &map, &pieces);
}

static int64_t unmap(struct ioas *from, iova_t start, iova_t last)
{
	uint64_t bytes;
	int rc = ioas_unmap(from, &memory.client, start, last, &bytes);

	return rc ? rc : (int64_t)bytes;
}

static uint64_t pinned(void)
{
	CHECK_EQ(atomic_load(&memory.mm.user->locked), atomic_load(&memory.mm.pinned));
	return atomic_load(&memory.mm.pinned);
}

static void nothing_is_looked_at_before_there_is_a_domain(void)
{
	begin();
	CHECK_EQ(map_at(&ioas, 0, 3, 0x123), 0);
	CHECK_EQ(map_at(&ioas, 0x10000, PAGE, UINT64_C(1) << 63), 0);
	CHECK_EQ(atomic_load(&memory.asked), 0);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -EADDRINUSE);
	CHECK_EQ(unmap(&ioas, 0, 2), 3);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -EFAULT);
	CHECK(!ioas.domains);
	CHECK_EQ(ioas.alignment, 1);
	end();
}

static void a_domain_shows_what_is_mapped_before_and_after(void)
{
	begin();
	CHECK_EQ(map_at(&ioas, 0x10000, 2 * PAGE, MEMORY_AT + 3 * PAGE), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(pinned(), 2);
	CHECK(domain_host(&domain, 0x11004) == memory.bytes + 4 * PAGE + 4);
	CHECK_EQ(map_at(&ioas, 0x20000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(pinned(), 3);
	CHECK(domain_host(&domain, 0x20fff) == memory.bytes + 0xfff);
	/* The same address a second time is counted a second time. */
	CHECK_EQ(map_at(&ioas, 0x30000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(pinned(), 4);
	CHECK_EQ(ioas_context_pins(&context, &memory.mm, uaddr(MEMORY_AT + 5)), 2);
	CHECK_EQ(ioas_add_domain(&ioas, &second.base), 0);
	CHECK_EQ(pinned(), 4);
	CHECK_EQ(second.count, 3);
	CHECK_EQ(unmap(&ioas, 0x20000, 0x20fff), PAGE);
	CHECK_EQ(pinned(), 3);
	CHECK(!domain_has(&domain, 0x20000) && !domain_has(&second, 0x20000));
	CHECK_EQ(atomic_load(&domain.flushes), 1);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(domain.count, 0);
	CHECK_EQ(atomic_load(&domain.flushes), 2);
	CHECK_EQ(pinned(), 3);
	ioas_remove_domain(&ioas, &second.base);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(ioas.areas.count, 2);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 3 * PAGE);
	end();
}

static void copies_share_pins_and_what_was_found_stays(void)
{
	begin();
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(ioas_add_domain(&other, &second.base), 0);
	CHECK_EQ(map_at(&ioas, 0x10000, 8 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(atomic_load(&memory.asked), 1);
	CHECK_EQ(pinned(), 8);
	CHECK_EQ(copy_at(&other, 0x90000, &ioas, 0x12000, 3 * PAGE, READ), 0);
	CHECK_EQ(atomic_load(&memory.asked), 1);
	CHECK_EQ(pinned(), 8);
	CHECK(domain_host(&second, 0x91000) == memory.bytes + 3 * PAGE);
	CHECK_EQ(ioas_context_pins(&context, &memory.mm, uaddr(MEMORY_AT + 3 * PAGE)), 1);
	CHECK_EQ(unmap(&ioas, 0x10000, 0x17fff), 8 * PAGE);
	CHECK_EQ(pinned(), 3);
	memory.bad = MEMORY_AT + 3 * PAGE; /* is not asked again */
	CHECK_EQ(copy_at(&ioas, 0x10000, &other, 0x91000, 2 * PAGE, RW), 0);
	CHECK(domain_host(&domain, 0x10000) == memory.bytes + 3 * PAGE);
	CHECK_EQ(unmap(&other, 0, UINT64_MAX), 3 * PAGE);
	CHECK_EQ(pinned(), 2);
	CHECK(domain_host(&domain, 0x10000) == memory.bytes + 3 * PAGE);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 2 * PAGE);
	CHECK_EQ(atomic_load(&memory.held), 0);
	ioas_remove_domain(&ioas, &domain.base);
	ioas_remove_domain(&other, &second.base);
	end();
}

static void a_copy_pins_what_is_missing_around_what_is_pinned(void)
{
	begin();
	CHECK_EQ(map_at(&other, 0, 10 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(copy_at(&ioas, 0x10000, &other, 3 * PAGE, PAGE, RW), 0);
	CHECK_EQ(copy_at(&ioas, 0x20000, &other, 6 * PAGE, 2 * PAGE, RW), 0);
	CHECK_EQ(pinned(), 3);
	CHECK_EQ(copy_at(&ioas, 0x30000, &other, 2 * PAGE, 7 * PAGE, RW), 0);
	CHECK_EQ(pinned(), 7);
	CHECK_EQ(atomic_load(&memory.asked), 5);
	for (uint64_t i = 0; i < 7; i++)
		CHECK(domain_host(&domain, 0x30000 + i * PAGE) == memory.bytes + (2 + i) * PAGE);
	CHECK_EQ(unmap(&ioas, 0x30000, 0x36fff), 7 * PAGE);
	CHECK_EQ(pinned(), 3);
	memory.bad = MEMORY_AT + 8 * PAGE;
	CHECK_EQ(copy_at(&ioas, 0x30000, &other, 2 * PAGE, 7 * PAGE, RW), -EFAULT);
	CHECK_EQ(pinned(), 3);
	memory.bad = 0;
	memory.limit = 6;
	CHECK_EQ(copy_at(&ioas, 0x30000, &other, 2 * PAGE, 7 * PAGE, RW), -ENOMEM);
	CHECK_EQ(pinned(), 3);
	CHECK_EQ(atomic_load(&memory.held), 2);
	memory.limit = 7;
	CHECK_EQ(copy_at(&ioas, 0x30000, &other, 2 * PAGE, 7 * PAGE, RW), 0);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 10 * PAGE);
	CHECK_EQ(pinned(), 0);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(unmap(&other, 0, UINT64_MAX), 10 * PAGE);
	end();
}

static void errors_of_the_place_come_before_those_of_the_memory(void)
{
	begin();
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(map_at(&ioas, 0x10000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(ioas_reserve(&ioas, 0x50000, 0x50fff, &ioas), 0);
	CHECK_EQ(map_at(&ioas, 0x20000, PAGE + 1, 0), -EINVAL);
	CHECK_EQ(map_at(&ioas, 0x20001, PAGE, 0), -EINVAL);
	CHECK_EQ(map_at(&ioas, UINT64_MAX - PAGE + 1, 2 * PAGE, 0), -EOVERFLOW);
	CHECK_EQ(map_at(&ioas, 0x50000, PAGE, 0), -EINVAL);
	CHECK_EQ(map_at(&ioas, 0x10000, PAGE, 0), -EEXIST);
	CHECK_EQ(map_at(&ioas, 0x20000, PAGE, 1), -EINVAL); /* the offset in its page */
	CHECK_EQ(map_at(&ioas, 0x20000, PAGE, 0), -EFAULT);
	memory.limit = 2;
	CHECK_EQ(map_at(&ioas, 0x10000, 2 * PAGE, MEMORY_AT), -EEXIST);
	CHECK_EQ(map_at(&ioas, 0x20000, 2 * PAGE, MEMORY_AT), -ENOMEM);
	CHECK_EQ(map_at(&ioas, 0x20000, 2 * PAGE, MEMORY_AT + 63 * PAGE), -EFAULT); /* before it is counted */
	CHECK_EQ(pinned(), 1);
	CHECK_EQ(map_at(&ioas, 0x20000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(ioas.areas.count, 2);
	CHECK_EQ(domain.maps, 2);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 2 * PAGE);
	ioas_remove_domain(&ioas, &domain.base);
	end();
}

static void a_full_page_table_undoes_the_map(void)
{
	begin();
	memory.run = PAGE;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &second.base), 0);
	for (unsigned i = 1; i <= 4; i++) {
		second.fail_at = i;
		CHECK_EQ(map_at(&ioas, 0x10000, 4 * PAGE, MEMORY_AT), -ENOMEM);
		CHECK_EQ(domain.count + second.count, 0);
		CHECK_EQ(ioas.areas.count, 0);
		CHECK_EQ(pinned(), 0);
		CHECK(!atomic_load(&domain.stale) && !atomic_load(&second.stale));
	}
	CHECK_EQ(map_at(&ioas, 0x10000, 4 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(domain.count, 4); /* each run is of another hold */
	second.fail_at = 3;
	CHECK_EQ(copy_at(&ioas, 0x20000, &ioas, 0x10000, 4 * PAGE, RW), -ENOMEM);
	CHECK_EQ(domain.count, 4);
	CHECK_EQ(second.count, 4);
	CHECK_EQ(pinned(), 4);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 4 * PAGE);
	ioas_remove_domain(&ioas, &domain.base);
	ioas_remove_domain(&ioas, &second.base);
	end();
}

static void a_domain_that_cannot_be_filled_leaves_no_trace(void)
{
	begin();
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(map_at(&ioas, 0x10000 * (i + 1), PAGE, MEMORY_AT + i * PAGE), 0);
	domain.base.aperture_first = 0x1000;
	memory.bad = MEMORY_AT + 3 * PAGE;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -EFAULT);
	CHECK_EQ(pinned(), 0);
	memory.bad = 0;
	memory.limit = 4;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -ENOMEM);
	CHECK_EQ(pinned(), 0);
	memory.limit = UINT64_MAX;
	domain.fail_at = 4;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -ENOMEM);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(domain.count, 0);
	CHECK(!atomic_load(&domain.stale));
	CHECK_EQ(ioas.reserved.count, 0);
	CHECK_EQ(ioas.alignment, 1);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(ioas.alignment, PAGE);
	second.fail_at = 2;
	CHECK_EQ(ioas_add_domain(&ioas, &second.base), -ENOMEM);
	CHECK_EQ(pinned(), 5);
	CHECK_EQ(domain.count, 5);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(ioas.reserved.count, 0);
	end();
}

static void the_aperture_is_all_that_can_be_used(void)
{
	struct iova_span span[4];
	struct range_map allowed = RANGE_MAP_INIT;
	uint64_t alignment;

	begin();
	domain.base.aperture_first = 0x10000;
	domain.base.aperture_last = 0xfffff;
	CHECK_EQ(map_at(&ioas, 0xf000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -EADDRINUSE);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), PAGE);
	CHECK_EQ(map_at(&ioas, 0x100000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -EADDRINUSE);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), PAGE);
	CHECK_EQ(range_map_insert(&allowed, 0x20000, 0x1fffff, &allowed), 0);
	CHECK_EQ(ioas_allow(&ioas, &allowed), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -EADDRINUSE);
	CHECK_EQ(ioas_allow(&ioas, &allowed), 0);
	range_map_clear(&allowed);
	CHECK_EQ(ioas.reserved.count, 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(ioas_usable(&ioas, span, 4, &alignment), 1);
	CHECK_EQ(alignment, PAGE);
	CHECK_EQ(span[0].start, 0x10000);
	CHECK_EQ(span[0].last, 0xfffff);
	CHECK_EQ(map_at(&ioas, 0xf000, 2 * PAGE, MEMORY_AT), -EINVAL);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(ioas_usable(&ioas, span, 4, &alignment), 1);
	CHECK_EQ(alignment, 1);
	CHECK_EQ(span[0].start, 0);
	end();
}

static void the_largest_of_the_smallest_pages_aligns_everything(void)
{
	begin();
	fake_domain_init(&domain, 2048);
	fake_domain_init(&second, 2 * PAGE);
	CHECK_EQ(ioas_add_domain(&ioas, &second.base), -EINVAL);
	fake_domain_init(&second, PAGE);
	second.base.page_sizes = PAGE | 4 * PAGE;
	second.base.coherent = false;
	CHECK_EQ(ioas_page_sizes(&ioas), -PAGE);
	CHECK(ioas_coherent(&ioas));
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(ioas.alignment, 2048);
	CHECK_EQ(ioas_page_sizes(&ioas), -PAGE);
	CHECK_EQ(map_at(&ioas, 0x10800, 2048, MEMORY_AT + 2048), 0);
	CHECK_EQ(map_at(&ioas, 0x11000, 2048, MEMORY_AT + 1024), -EINVAL);
	/* Two pages are met by what begins in the middle of one. */
	CHECK_EQ(map_at(&ioas, 0x20000, PAGE, MEMORY_AT + 2048), 0);
	CHECK_EQ(pinned(), 3);
	CHECK(domain_host(&domain, 0x20000) == memory.bytes + 2048);
	CHECK_EQ(ioas_add_domain(&ioas, &second.base), -EADDRINUSE);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 2048 + PAGE);
	CHECK_EQ(ioas_add_domain(&ioas, &second.base), 0);
	CHECK_EQ(ioas.alignment, PAGE);
	CHECK_EQ(ioas_page_sizes(&ioas), PAGE | 4 * PAGE);
	CHECK(!ioas_coherent(&ioas));
	ioas_remove_domain(&ioas, &second.base);
	CHECK_EQ(ioas.alignment, 2048);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), 0);
	CHECK_EQ(ioas.alignment, PAGE);
	ioas_enable_huge_pages(&ioas);
	CHECK_EQ(map_at(&ioas, 0x10000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), -EINVAL);
	CHECK(ioas_huge_pages(&ioas));
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(ioas.alignment, 1);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), 0);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), 0);
	end();
}

static void a_cut_splits_what_is_shown(void)
{
	const iova_t in_the_middle[] = {0x11fff};
	const iova_t again[] = {0x10fff};

	begin();
	CHECK_EQ(map_at(&ioas, 0x10000, 8 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(ioas_cut(&ioas, in_the_middle, 1), -EINVAL);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(ioas_disable_huge_pages(&ioas), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	domain.fail_at = 1;
	CHECK_EQ(ioas_cut(&ioas, in_the_middle, 1), -ENOMEM);
	CHECK_EQ(ioas.areas.count, 1);
	domain.fail_at = 0;
	domain.maps = 0;
	CHECK_EQ(ioas_cut(&ioas, in_the_middle, 1), 0);
	CHECK_EQ(domain.splits, 1);
	CHECK_EQ(domain.maps, 0);
	CHECK_EQ(pinned(), 8);
	CHECK_EQ(unmap(&ioas, 0x12000, 0x17fff), 6 * PAGE);
	CHECK_EQ(pinned(), 2);
	CHECK(domain_host(&domain, 0x11000) == memory.bytes + PAGE);
	CHECK(!domain_has(&domain, 0x12000));
	CHECK_EQ(ioas_cut(&ioas, again, 1), 0);
	CHECK_EQ(unmap(&ioas, 0x10000, 0x10fff), PAGE);
	CHECK_EQ(pinned(), 1);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), PAGE);
	CHECK_EQ(pinned(), 0);
	ioas_remove_domain(&ioas, &domain.base);
	end();
}

/* What changed while memory was looked for without the lock. */

static void *remove_domain(void *arg)
{
	ioas_remove_domain(&ioas, &domain.base);
	return arg;
}

static void remove_domain_meanwhile(struct memory *m)
{
	pthread_t remover;

	m->on_pin = NULL;
	pthread_create(&remover, NULL, remove_domain, NULL);
	pthread_join(remover, NULL);
}

static void a_map_notices_that_the_domain_went_meanwhile(void)
{
	begin();
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	memory.on_pin = remove_domain_meanwhile;
	CHECK_EQ(map_at(&ioas, 0x10000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), PAGE);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	memory.on_pin = remove_domain_meanwhile;
	CHECK_EQ(map_at(&ioas, 0x20000, PAGE, UINT64_C(1) << 40), 0); /* not looked at any more */
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), PAGE);
	end();
}

static unsigned held_at_flush;

static void look_at_holds(struct fake_domain *d)
{
	(void)d;
	held_at_flush = atomic_load(&memory.held);
}

static void memory_is_kept_until_devices_have_let_go(void)
{
	begin();
	domain.on_flush = look_at_holds;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	for (iova_t i = 1; i <= 3; i++)
		CHECK_EQ(map_at(&ioas, i * 0x10000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(unmap(&ioas, 0x10000, 0x20fff), 2 * PAGE);
	CHECK_EQ(held_at_flush, 3);
	CHECK_EQ(atomic_load(&domain.flushes), 1); /* once for the call */
	CHECK_EQ(atomic_load(&memory.held), 1);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(held_at_flush, 1);
	CHECK_EQ(atomic_load(&memory.held), 0);
	end();
}

/* A file of eight pages. */

static int file_fd;

static int plain_file(struct client *client, int fd, struct memory_file **file)
{
	(void)client;
	(void)fd;
	*file = calloc(1, sizeof(**file));
	if (!*file)
		return -ENOMEM;
	atomic_init(&(*file)->refs, 1);
	(*file)->fd = fcntl(file_fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

static const struct client_ops file_client_ops = {.mm = memory_mm, .memory_file = plain_file};

static int map_file(iova_t iova, uint64_t start, uint64_t length, uint8_t account)
{
	struct ioas_map map = {.client = &memory.client,
			       .length = length,
			       .iova = iova,
			       .fixed = true,
			       .prot = RW,
			       .account = account};

	return ioas_map_file(&ioas, &map, 7, start);
}

static int change_owner(struct mm *to)
{
	struct owner_change change = OWNER_CHANGE_INIT;
	int rc = owner_change_add(&change, &ioas);

	if (!rc)
		rc = owner_change_add(&change, &other);
	if (!rc)
		rc = owner_change_commit(&change, &context, to);
	owner_change_end(&change);
	return rc;
}

static void pages_of_a_file_pass_to_another_process(void)
{
	static struct memory to;

	begin();
	memory_init(&to);
	memory.client.ops = &file_client_ops;
	file_fd = memfd_create("memory", MFD_CLOEXEC);
	CHECK_EQ(ftruncate(file_fd, 8 * PAGE), 0);
	CHECK_EQ(map_file(0x10000, 0, 4 * PAGE, ACCOUNT_USER), 0);
	CHECK_EQ(map_file(0x20000, 2 * PAGE, 2 * PAGE, ACCOUNT_MM), 0);
	CHECK_EQ(map_file(0x30000, 4 * PAGE, 2 * PAGE, ACCOUNT_NONE), 0);
	CHECK_EQ(change_owner(&to.mm), 0); /* nothing is pinned */
	CHECK_EQ(change_owner(&memory.mm), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(ioas_add_domain(&other, &second.base), 0);
	CHECK_EQ(copy_at(&other, 0, &ioas, 0x11000, 2 * PAGE, READ), 0);
	CHECK_EQ(atomic_load(&memory.mm.pinned), 8);
	CHECK_EQ(atomic_load(&memory.mm.user->locked), 4);
	CHECK_EQ(atomic_load(&memory.mm.locked), 2);
	to.limit = 3;
	CHECK_EQ(change_owner(&to.mm), -ENOMEM);
	CHECK_EQ(atomic_load(&to.mm.pinned), 0);
	CHECK_EQ(atomic_load(&memory.mm.pinned), 8);
	to.limit = 4;
	CHECK_EQ(change_owner(&to.mm), 0);
	CHECK_EQ(change_owner(&to.mm), 0);
	CHECK_EQ(atomic_load(&memory.mm.pinned), 0);
	CHECK_EQ(atomic_load(&memory.mm.user->locked), 0);
	CHECK_EQ(atomic_load(&to.mm.pinned), 8);
	CHECK_EQ(atomic_load(&to.mm.user->locked), 4);
	CHECK_EQ(atomic_load(&to.mm.locked), 2);
	CHECK_EQ(unmap(&ioas, 0x10000, 0x13fff), 4 * PAGE);
	CHECK_EQ(atomic_load(&to.mm.pinned), 6);
	memory.client.ops = &memory_client_ops;
	CHECK_EQ(map_at(&other, 0x50000, PAGE, MEMORY_AT), 0);
	CHECK_EQ(change_owner(&memory.mm), -EINVAL);
	CHECK_EQ(atomic_load(&to.mm.pinned), 6);
	ioas_remove_domain(&ioas, &domain.base);
	ioas_remove_domain(&other, &second.base);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 4 * PAGE);
	CHECK_EQ(unmap(&other, 0, UINT64_MAX), 3 * PAGE);
	close(file_fd);
	memory_fini(&to);
	end();
}

static void a_file_is_looked_at_when_it_is_pinned(void)
{
	begin();
	memory.client.ops = &file_client_ops;
	file_fd = memfd_create("memory", MFD_CLOEXEC);
	CHECK_EQ(ftruncate(file_fd, 8 * PAGE), 0);
	CHECK_EQ(map_file(0x10000, 6 * PAGE, 3 * PAGE, ACCOUNT_USER), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -EINVAL); /* beyond the end */
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(ftruncate(file_fd, 9 * PAGE), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(pinned(), 3);
	CHECK_EQ(map_file(0x20000, 9 * PAGE, PAGE, ACCOUNT_USER), -EINVAL);
	close(file_fd);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 3 * PAGE);
	ioas_remove_domain(&ioas, &domain.base);
	end();
}

/* A dma-buf of two pages. */

static uint8_t buffer[2 * PAGE];
static struct dmabuf dmabuf = {.lock = PTHREAD_MUTEX_INITIALIZER, .memory = buffer, .length = sizeof(buffer)};
static unsigned files_released;

static void release_file(struct memory_file *file)
{
	files_released++;
	free(file);
}

static int dmabuf_file(struct client *client, int fd, struct memory_file **file)
{
	(void)client;
	(void)fd;
	*file = calloc(1, sizeof(**file));
	if (!*file)
		return -ENOMEM;
	atomic_init(&(*file)->refs, 1);
	(*file)->fd = -1;
	(*file)->release = release_file;
	(*file)->dmabuf = &dmabuf;
	return 0;
}

static const struct client_ops dmabuf_client_ops = {.mm = memory_mm, .memory_file = dmabuf_file};

static int map_dmabuf(iova_t iova, uint64_t start, uint64_t length)
{
	struct ioas_map map = {
		.client = &memory.client, .length = length, .iova = iova, .fixed = true, .prot = RW, .account = 1};

	return ioas_map_file(&ioas, &map, 7, start);
}

static void a_revoked_buffer_leaves_the_page_tables_for_good(void)
{
	const iova_t middle = 0x10fff;
	struct owner_change change = OWNER_CHANGE_INIT;

	begin();
	memory.client.ops = &dmabuf_client_ops;
	files_released = 0;
	CHECK_EQ(map_dmabuf(0x10000, 0, 3 * PAGE), -EINVAL);
	CHECK_EQ(map_dmabuf(0x10000, PAGE, 2 * PAGE), -EINVAL);
	CHECK_EQ(map_dmabuf(0x10000, 3 * PAGE, PAGE), -EINVAL);
	CHECK_EQ(files_released, 3);
	CHECK_EQ(map_dmabuf(0x10000, 0, 2 * PAGE), 0);
	CHECK_EQ(ioas_cut(&ioas, &middle, 1), -EOPNOTSUPP);
	CHECK_EQ(owner_change_add(&change, &ioas), -EINVAL);
	owner_change_end(&change);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(ioas_add_domain(&other, &second.base), 0);
	CHECK_EQ(copy_at(&other, 0x20000, &ioas, 0x11000, PAGE, READ), 0);
	CHECK_EQ(pinned(), 0);
	CHECK(domain_host(&domain, 0x11008) == buffer + PAGE + 8);
	CHECK(domain_host(&second, 0x20008) == buffer + PAGE + 8);
	dmabuf_revoke(&dmabuf, true);
	CHECK_EQ(domain.count + second.count, 0);
	CHECK(!atomic_load(&domain.stale) && !atomic_load(&second.stale));
	CHECK_EQ(ioas.areas.count, 1);
	CHECK_EQ(map_dmabuf(0x30000, 0, PAGE), -ENODEV);
	dmabuf_revoke(&dmabuf, false);
	CHECK_EQ(domain.count, 0);
	ioas_remove_domain(&ioas, &domain.base);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(domain.count, 0);
	CHECK_EQ(map_dmabuf(0x30000, 0, PAGE), 0);
	CHECK_EQ(domain.count, 1);
	CHECK_EQ(unmap(&ioas, 0, UINT64_MAX), 3 * PAGE);
	CHECK_EQ(unmap(&other, 0, UINT64_MAX), PAGE);
	CHECK(!dmabuf.importers);
	CHECK_EQ(files_released, 6);
	ioas_remove_domain(&ioas, &domain.base);
	ioas_remove_domain(&other, &second.base);
	end();
}

/* Another thread finds no lock held while the client is asked for memory, which it can delay. */
static void take_all_locks(struct memory *m)
{
	(void)m;
	for (size_t i = 0; i < PIN_LOCKS; i++) {
		CHECK_EQ(pthread_mutex_trylock(&context.pin_lock[i]), 0);
		pthread_mutex_unlock(&context.pin_lock[i]);
	}
	CHECK_EQ(pthread_mutex_trylock(&ioas.lock), 0);
	pthread_mutex_unlock(&ioas.lock);
}

static void no_lock_is_held_while_memory_is_found(void)
{
	begin();
	memory.on_pin = take_all_locks;
	memory.run = PAGE;
	CHECK_EQ(map_at(&ioas, 0x10000, 2 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(map_at(&ioas, 0x20000, 2 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(atomic_load(&memory.asked), 4);
	CHECK_EQ(pinned(), 4);
	ioas_remove_domain(&ioas, &domain.base);
	end();
}

/* What was pinned before loses its other user while the rest is looked for, which then is not there. */
static void unmap_the_other(struct memory *m)
{
	m->on_pin = NULL;
	CHECK_EQ(unmap(&other, 0, UINT64_MAX), PAGE);
}

static void what_is_found_in_part_goes_with_its_last_user(void)
{
	begin();
	CHECK_EQ(ioas_add_domain(&other, &second.base), 0);
	CHECK_EQ(map_at(&ioas, 0x10000, 3 * PAGE, MEMORY_AT), 0);
	CHECK_EQ(copy_at(&other, 0x20000, &ioas, 0x11000, PAGE, READ), 0);
	CHECK_EQ(pinned(), 1);
	memory.bad = MEMORY_AT + 2 * PAGE;
	memory.on_pin = unmap_the_other;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), -EFAULT);
	CHECK_EQ(pinned(), 0);
	CHECK_EQ(atomic_load(&memory.held), 0);
	memory.bad = 0;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	CHECK_EQ(pinned(), 3);
	ioas_remove_domain(&ioas, &domain.base);
	ioas_remove_domain(&other, &second.base);
	end();
}

/* However often it is mapped. */
static void a_buffer_is_looked_for_once(void)
{
	begin();
	memory.client.ops = &dmabuf_client_ops;
	CHECK_EQ(ioas_add_domain(&ioas, &domain.base), 0);
	for (iova_t iova = PAGE; iova <= 64 * PAGE; iova += PAGE)
		CHECK_EQ(map_dmabuf(iova, 0, PAGE), 0);
	atomic_store(&domain.flushes, 0);
	dmabuf_revoke(&dmabuf, true);
	CHECK_EQ(domain.count, 0);
	CHECK_EQ(atomic_load(&domain.flushes), 1);
	dmabuf_revoke(&dmabuf, false);
	ioas_remove_domain(&ioas, &domain.base);
	end();
}

int main(void)
{
	nothing_is_looked_at_before_there_is_a_domain();
	a_domain_shows_what_is_mapped_before_and_after();
	copies_share_pins_and_what_was_found_stays();
	a_copy_pins_what_is_missing_around_what_is_pinned();
	errors_of_the_place_come_before_those_of_the_memory();
	a_full_page_table_undoes_the_map();
	a_domain_that_cannot_be_filled_leaves_no_trace();
	the_aperture_is_all_that_can_be_used();
	the_largest_of_the_smallest_pages_aligns_everything();
	a_cut_splits_what_is_shown();
	a_map_notices_that_the_domain_went_meanwhile();
	memory_is_kept_until_devices_have_let_go();
	pages_of_a_file_pass_to_another_process();
	a_file_is_looked_at_when_it_is_pinned();
	a_revoked_buffer_leaves_the_page_tables_for_good();
	a_buffer_is_looked_for_once();
	no_lock_is_held_while_memory_is_found();
	what_is_found_in_part_goes_with_its_last_user();
	return check_result();
}
