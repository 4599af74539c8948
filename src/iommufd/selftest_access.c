/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accesses of the test device. An access is an object and a file, which is what ops name it by; it goes when the file
 * does. The file pins the iommufd, so the object never outlives it.
 */
#include "abi/iommufd.h"
#include "client/file.h"
#include "client/memory.h"
#include "ioas/access.h"
#include "iommufd/ctx.h"
#include "iommufd/selftest.h"

#include <fcntl.h>
#include <stdlib.h>

#define LENGTH_MAX (UINT64_C(16) << 20)

/*
 * What is pinned. It is in the list from before the pages are pinned until after they are unpinned, so that who is
 * asked to let a range go finds all that meets it, and waits for what another thread is at. No client memory is touched
 * meanwhile but what pinning itself touches.
 */
struct pin_item {
	struct pin_item *next;
	uint64_t serial; /* never used again */
	uint32_t id;
	bool busy;  /* being pinned or unpinned, by who set it */
	bool named; /* has its id */
	iova_t iova;
	uint64_t length;
};

struct test_access {
	struct object object; /* one more user until the file goes */
	struct file file;
	struct access access;
	pthread_mutex_t attach_lock; /* guards ioas; above all locks of IOASes and accesses */
	struct ioas_object *ioas;    /* attached to it, and holds a user of it; NULL: detached */
	pthread_mutex_t lock;        /* a leaf; guards what follows */
	pthread_cond_t idle;         /* an item is busy no more, or gone */
	struct pin_item *items;
	uint64_t next_serial;
	uint32_t next_id;
};

static struct test_access *access_of_file(struct file *file)
{
	return (struct test_access *)((char *)file - offsetof(struct test_access, file));
}

static struct test_access *access_of(struct access *access)
{
	return (struct test_access *)((char *)access - offsetof(struct test_access, access));
}

/* Takes an item out of the list. With the lock held. */
static void drop_item(struct test_access *a, struct pin_item *item)
{
	struct pin_item **link = &a->items;

	while (*link != item)
		link = &(*link)->next;
	*link = item->next;
	free(item);
	pthread_cond_broadcast(&a->idle);
}

/* Unpins an item that nobody is at, and ends it. With the lock held, which it drops meanwhile. */
static void unpin_item(struct test_access *a, struct pin_item *item)
{
	item->busy = true;
	pthread_mutex_unlock(&a->lock);
	access_unpin(&a->access, item->iova, item->length);
	pthread_mutex_lock(&a->lock);
	drop_item(a, item);
}

/* With the lock held. */
static struct pin_item *find_item(struct test_access *a, uint64_t serial)
{
	struct pin_item *item = a->items;

	while (item && item->serial != serial)
		item = item->next;
	return item;
}

static struct pin_item *find_named(struct test_access *a, uint32_t id)
{
	struct pin_item *item = a->items;

	while (item && (!item->named || item->busy || item->id != id))
		item = item->next;
	return item;
}

static struct pin_item *find_range(struct test_access *a, iova_t iova, iova_t last)
{
	struct pin_item *item = a->items;

	while (item && (item->iova > last || item->iova + (item->length - 1) < iova))
		item = item->next;
	return item;
}

static void access_unmap(struct access *access, iova_t iova, uint64_t length)
{
	struct test_access *a = access_of(access);
	struct pin_item *item;

	pthread_mutex_lock(&a->lock);
	while ((item = find_range(a, iova, iova + (length - 1))))
		if (item->busy)
			pthread_cond_wait(&a->idle, &a->lock);
		else
			unpin_item(a, item);
	pthread_mutex_unlock(&a->lock);
}

static const struct access_ops rw_ops = {.unmap = access_unmap};
static const struct access_ops pin_ops = {.needs_pin_pages = true, .unmap = access_unmap};

static void access_destroy(struct object *object)
{
	struct test_access *a = (struct test_access *)object;

	if (a->ioas) {
		access_detach(&a->access);
		ioas_put(a->ioas);
	}
	access_fini(&a->access);
	pthread_cond_destroy(&a->idle);
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->attach_lock);
	free(a);
}

static const struct object_ops access_object_ops = {.type = OBJECT_ACCESS, .destroy = access_destroy};

static void access_release(struct file *file)
{
	struct test_access *a = access_of_file(file);
	struct ctx *ctx = a->object.ctx;

	object_hide(&a->object);
	object_remove(&a->object, 1, false);
	file_put(&ctx->file);
}

static const struct file_ops access_file_ops = {
	.name = "anon_inode:[iommufd_test_access]",
	.release = access_release,
};

/* The access behind a descriptor, with a reference to its file. Returns 0 or -EBADFD. */
static int access_get(struct ucmd *ucmd, struct test_access **a)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;
	struct file *file;

	if (ucmd->client->ops->file(ucmd->client, (int)cmd->id, &file))
		return -EBADFD;
	if (file->ops != &access_file_ops) {
		file_put(file);
		return -EBADFD;
	}
	*a = access_of_file(file);
	return 0;
}

static struct test_access *access_new(bool needs_pin)
{
	struct test_access *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	file_init(&a->file, &access_file_ops);
	access_init(&a->access, needs_pin ? &pin_ops : &rw_ops);
	pthread_mutex_init(&a->attach_lock, NULL);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->idle, NULL);
	return a;
}

static int access_join(struct ctx *ctx, struct test_access *a, uint32_t ioas_id)
{
	struct ioas_object *ioas = ioas_get(ctx, ioas_id);
	int rc;

	if (!ioas)
		return -ENOENT;
	rc = access_attach(&a->access, &ioas->ioas);
	if (rc)
		ioas_put(ioas);
	else
		a->ioas = ioas;
	return rc;
}

int test_create_access(struct ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = (void *)ucmd->cmd;
	const struct client_ops *ops = ucmd->client->ops;
	const uint32_t flags = cmd->create_access.flags;
	struct ctx *ctx = ucmd->ctx;
	struct test_access *a;
	int rc;
	int fd;

	if (flags & ~(uint32_t)MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return -EOPNOTSUPP;
	a = access_new(flags);
	if (!a)
		return -ENOMEM;
	rc = object_reserve(ucmd, &a->object, &access_object_ops);
	if (rc) {
		access_destroy(&a->object);
		return rc;
	}
	a->file.serial = ctx_file_serial(ctx);
	fd = ops->fd_reserve(ucmd->client, &a->file);
	if (fd < 0)
		return fd;
	rc = access_join(ctx, a, cmd->id);
	if (rc)
		goto out_unreserve;
	cmd->create_access.out_access_fd = (uint32_t)fd;
	rc = ucmd_respond(ucmd);
	if (rc)
		goto out_unreserve;
	/* From here on it is the file's to destroy. */
	ucmd->created = NULL;
	object_hold(&a->object);
	object_publish(&a->object, ucmd->client);
	file_get(&ctx->file);
	return ops->fd_install(ucmd->client, fd, &a->file, O_RDWR | O_CLOEXEC);

out_unreserve:
	ops->fd_unreserve(ucmd->client, fd, &a->file);
	return rc;
}

/* For fuzzers, which do not know IOVAs: the number of an area, and an offset in it. */
static iova_t iova_of_nth_area(struct test_access *a, uint64_t code)
{
	uint32_t nth = (uint32_t)code;
	struct range_cursor c;
	iova_t iova = 0;

	pthread_mutex_lock(&a->attach_lock);
	if (a->ioas) {
		struct ioas *ioas = &a->ioas->ioas;

		pthread_mutex_lock(&ioas->lock);
		for (bool more = range_map_first(&ioas->areas, 0, UINT64_MAX, &c); more; more = range_map_next(&c)) {
			if (nth--)
				continue;
			iova = c.range.start + (code >> 32);
			break;
		}
		pthread_mutex_unlock(&ioas->lock);
	}
	pthread_mutex_unlock(&a->attach_lock);
	return iova;
}

/* Are the pinned pages those at va? Returns 0, -EFAULT, -EBADE. */
static int compare_pages(struct client *client, uint64_t va, const struct access_page *page, uint64_t count)
{
	struct mm *mm = client->ops->mm(client);
	struct memory_query query = {0};
	int rc = va % PAGE_SIZE ? -EBADE : 0;

	for (uint64_t i = 0; i < count && !rc; i++) {
		const uint64_t at = va + i * PAGE_SIZE;
		const struct place pinned = place_of_page(&page[i]);
		struct memory_run run;
		struct place place;

		rc = mm->ops->pin(mm, &query, uaddr(at), PAGE_SIZE, false, &run);
		if (rc)
			break;
		place = place_of_run(mm, at, &run, 0);
		if (!place_same(&pinned, &place))
			rc = -EBADE;
		hold_put(run.hold);
	}
	memory_query_end(&query);
	return rc;
}

/* Has an item for what is going to be pinned; NULL: no memory. */
static struct pin_item *new_item(struct test_access *a, iova_t iova, uint64_t length)
{
	struct pin_item *item = malloc(sizeof(*item));

	if (!item)
		return NULL;
	*item = (struct pin_item){.busy = true, .iova = iova, .length = length};
	pthread_mutex_lock(&a->lock);
	item->serial = a->next_serial++;
	item->next = a->items;
	a->items = item;
	pthread_mutex_unlock(&a->lock);
	return item;
}

/* What is pinned gets its id, and others may unpin it from now on. */
static uint32_t name_item(struct test_access *a, struct pin_item *item)
{
	uint32_t id;

	pthread_mutex_lock(&a->lock);
	id = item->id = a->next_id++;
	item->named = true;
	item->busy = false;
	pthread_cond_broadcast(&a->idle);
	pthread_mutex_unlock(&a->lock);
	return id;
}

/* Ends an item, unless it was unmapped meanwhile. */
static void end_item(struct test_access *a, uint64_t serial)
{
	struct pin_item *item;

	pthread_mutex_lock(&a->lock);
	item = find_item(a, serial);
	if (item && !item->busy)
		unpin_item(a, item);
	pthread_mutex_unlock(&a->lock);
}

/* Pins, compares and answers. item: ends with a failure. */
static int pin_item(struct ucmd *ucmd, struct test_access *a, struct pin_item *item, struct access_page *page,
		    uint64_t count)
{
	struct iommu_test_cmd *cmd = (void *)ucmd->cmd;
	const unsigned flags = cmd->access_pages.flags & MOCK_FLAGS_ACCESS_WRITE ? ACCESS_WRITE : 0;
	const uint64_t va = cmd->access_pages.uptr, serial = item->serial;
	int rc = access_pin(&a->access, item->iova, item->length, flags, page);

	if (!rc && va) {
		rc = compare_pages(ucmd->client, va - item->iova % PAGE_SIZE, page, count);
		if (rc)
			access_unpin(&a->access, item->iova, item->length);
	}
	if (rc) {
		pthread_mutex_lock(&a->lock);
		drop_item(a, item);
		pthread_mutex_unlock(&a->lock);
		return rc;
	}
	cmd->access_pages.out_access_pages_id = name_item(a, item);
	rc = ucmd_respond(ucmd);
	if (rc)
		end_item(a, serial);
	return rc;
}

static int pin_pages(struct ucmd *ucmd, struct test_access *a, iova_t iova)
{
	const uint64_t length = ((const struct iommu_test_cmd *)ucmd->cmd)->access_pages.length;
	const uint64_t count = (length + iova % PAGE_SIZE + PAGE_SIZE - 1) / PAGE_SIZE;
	struct access_page *page;
	struct pin_item *item;
	int rc;

	if (!length)
		return -EINVAL;
	if (iova + (length - 1) < iova)
		return -EOVERFLOW;
	page = malloc(count * sizeof(*page));
	item = page ? new_item(a, iova, length) : NULL;
	rc = item ? pin_item(ucmd, a, item, page, count) : -ENOMEM;
	free(page);
	return rc;
}

int test_access_pages(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;
	const uint32_t flags = cmd->access_pages.flags;
	iova_t iova = cmd->access_pages.iova;
	struct test_access *a;
	int rc;

	if (cmd->access_pages.length > LENGTH_MAX)
		return -ENOMEM;
	if (flags & ~((uint32_t)MOCK_FLAGS_ACCESS_WRITE | (uint32_t)MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;
	rc = access_get(ucmd, &a);
	if (rc)
		return rc;
	if (a->access.ops != &pin_ops) {
		rc = -EOPNOTSUPP;
	} else {
		if (flags & MOCK_FLAGS_ACCESS_SYZ)
			iova = iova_of_nth_area(a, iova);
		rc = pin_pages(ucmd, a, iova);
	}
	file_put(&a->file);
	return rc;
}

int test_destroy_access_pages(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;
	struct pin_item *item;
	struct test_access *a;
	int rc = access_get(ucmd, &a);

	if (rc)
		return rc;
	pthread_mutex_lock(&a->lock);
	item = find_named(a, cmd->destroy_access_pages.access_pages_id);
	if (item)
		unpin_item(a, item);
	else
		rc = -ENOENT;
	pthread_mutex_unlock(&a->lock);
	file_put(&a->file);
	return rc;
}

static int read_write(struct ucmd *ucmd, struct test_access *a)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;
	const uaddr_t at = uaddr(cmd->access_rw.uptr);
	const bool write = cmd->access_rw.flags & MOCK_ACCESS_RW_WRITE;
	const size_t length = cmd->access_rw.length;
	void *buf = malloc(length ? length : 1);
	int rc = 0;

	if (!buf)
		return -ENOMEM;
	if (write)
		rc = client_copy_in(ucmd->client, buf, at, length);
	if (!rc)
		rc = access_rw(&a->access, cmd->access_rw.iova, buf, length, write ? ACCESS_WRITE : 0);
	if (!rc && !write)
		rc = client_copy_out(ucmd->client, at, buf, length);
	free(buf);
	return rc;
}

/* The slow path of Linux has no counterpart here. */
int test_access_rw(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;
	struct test_access *a;
	int rc;

	if (cmd->access_rw.length > LENGTH_MAX)
		return -ENOMEM;
	if (cmd->access_rw.flags & ~((uint32_t)MOCK_ACCESS_RW_WRITE | (uint32_t)MOCK_ACCESS_RW_SLOW_PATH))
		return -EOPNOTSUPP;
	rc = access_get(ucmd, &a);
	if (rc)
		return rc;
	rc = read_write(ucmd, a);
	file_put(&a->file);
	return rc;
}

int test_access_replace_ioas(struct ucmd *ucmd)
{
	const struct iommu_test_cmd *cmd = (const void *)ucmd->cmd;
	struct ioas_object *ioas;
	struct test_access *a;
	int rc = access_get(ucmd, &a);

	if (rc)
		return rc;
	/* An access stays with the objects of its own iommufd. */
	ioas = ioas_get(a->object.ctx, cmd->access_replace_ioas.ioas_id);
	if (!ioas) {
		file_put(&a->file);
		return -ENOENT;
	}
	pthread_mutex_lock(&a->attach_lock);
	rc = access_replace(&a->access, &ioas->ioas);
	if (!rc) {
		struct ioas_object *old = a->ioas;

		a->ioas = ioas;
		ioas = old;
	}
	pthread_mutex_unlock(&a->attach_lock);
	ioas_put(ioas);
	file_put(&a->file);
	return rc;
}
