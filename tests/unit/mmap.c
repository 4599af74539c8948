/* SPDX-License-Identifier: BSD-3-Clause */
/* Regions of an iommufd that clients map: where they are, who may map them, and that a mapped one keeps its owner. */
#include "check.h"
#include "fake_client.h"
#include "iommufd/iommufd.h"

#include "abi/iommufd.h"
#include "iommufd/ctx.h"
#include "iommufd/mmap.h"
#include "iommufd/object.h"

#include <sys/mman.h>

static struct iommufd_config config;
static struct fake fake;
static struct client_ops ops;
static struct file *file;

struct fake_region {
	struct file_region region;
	bool mapped;
};

static unsigned regions;
static int region_error;
static uint64_t withdrawn; /* the offset of the last that was */

static bool region_mapped(struct file_region *region)
{
	struct mmaps *mmaps = &ctx_of(file)->mmaps;

	/* It takes long. */
	CHECK_EQ(pthread_mutex_trylock(&mmaps->lock), 0);
	pthread_mutex_unlock(&mmaps->lock);
	return ((struct fake_region *)region)->mapped;
}

static void region_withdraw(struct file_region *region)
{
	withdrawn = region->offset;
}

static void region_release(struct file_region *region)
{
	regions--;
	free(region->memory);
	free(region);
}

static int region_new(struct client *client, struct file *of, uint64_t offset, uint64_t length,
		      struct file_region **region)
{
	struct fake_region *made;

	CHECK(client == &fake.client && of == file);
	if (region_error)
		return region_error;
	made = calloc(1, sizeof(*made));
	made->region = (struct file_region){.refs = 1,
					    .offset = offset,
					    .length = length,
					    .memory = calloc(1, length),
					    .fd = -1,
					    .mapped = region_mapped,
					    .withdraw = region_withdraw,
					    .release = region_release};
	regions++;
	*region = &made->region;
	return 0;
}

/* An object with a region. */
struct owner {
	struct object object;
	struct file_region *region;
};

static void owner_destroy(struct object *object)
{
	struct owner *owner = (struct owner *)object;

	if (owner->region)
		ctx_mmap_remove(object->ctx, owner->region);
	free(owner);
}

static const struct object_ops owner_ops = {.type = OBJECT_VIOMMU, .destroy = owner_destroy};

static struct owner *owner_new(uint64_t pages)
{
	struct owner *owner = calloc(1, sizeof(*owner));

	CHECK_EQ(object_new(ctx_of(file), &owner->object, &owner_ops), 0);
	CHECK_EQ(ctx_mmap_add(ctx_of(file), &fake.client, &owner->object, pages * PAGE_SIZE, &owner->region), 0);
	object_publish(&owner->object, &fake.client);
	return owner;
}

static void begin(void)
{
	fake_init(&fake);
	ops = fake_ops;
	ops.region_new = region_new;
	fake.client.ops = &ops;
	CHECK_EQ(iommufd_open(&config, false, &file), 0);
}

static void end(void)
{
	file_put(file);
	CHECK_EQ(regions, 0);
}

static long destroy(const struct object *object)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = object->id};

	memcpy(fake.memory, &cmd, sizeof(cmd));
	return file->ops->ioctl(file, &fake.client, IOMMU_DESTROY, fake_at(&fake, 0));
}

static int map(uint64_t length, int prot, int flags, uint64_t offset)
{
	struct file_region *region = NULL;
	int rc = file->ops->mmap(file, &fake.client, length, prot, flags, offset, &region);

	CHECK(rc || (region && region->offset == offset && region->length == length));
	if (!rc)
		file_region_put(region);
	return rc;
}

static void a_mapping_is_refused_in_order(void)
{
	struct owner *owner;

	begin();
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_READ, MAP_SHARED, PAGE_SIZE), -ENXIO);
	owner = owner_new(2);
	CHECK_EQ(map(2 * PAGE_SIZE + 1, PROT_EXEC, MAP_PRIVATE, 0), -EINVAL);
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_EXEC, MAP_PRIVATE, 0), -EINVAL);
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_EXEC, MAP_SHARED, 0), -EPERM);
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_READ, MAP_SHARED, 0), -ENXIO);
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_READ, MAP_SHARED, 2 * PAGE_SIZE), -ENXIO);
	CHECK_EQ(map(PAGE_SIZE, PROT_READ, MAP_SHARED, 2 * PAGE_SIZE), -ENXIO);
	CHECK_EQ(map(PAGE_SIZE, PROT_READ, MAP_SHARED, PAGE_SIZE), -ENXIO);
	CHECK_EQ(map(3 * PAGE_SIZE, PROT_READ, MAP_SHARED, PAGE_SIZE), -ENXIO);
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_READ, MAP_SHARED, PAGE_SIZE), 0);
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, PAGE_SIZE), 0);
	/* Its owner is out of sight. */
	CHECK(object_hide(&owner->object));
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_READ, MAP_SHARED, PAGE_SIZE), -ENXIO);
	object_abort(&owner->object);
	CHECK_EQ(map(2 * PAGE_SIZE, PROT_READ, MAP_SHARED, PAGE_SIZE), -ENXIO);
	end();
}

static void the_lowest_free_offset_is_taken(void)
{
	struct owner *a, *b, *c, *d, *e;

	begin();
	a = owner_new(1);
	b = owner_new(2);
	c = owner_new(1);
	CHECK_EQ(a->region->offset, 1 * PAGE_SIZE);
	CHECK_EQ(b->region->offset, 2 * PAGE_SIZE);
	CHECK_EQ(c->region->offset, 4 * PAGE_SIZE);
	CHECK_EQ(destroy(&b->object), 0);
	d = owner_new(3);
	e = owner_new(2);
	CHECK_EQ(d->region->offset, 5 * PAGE_SIZE);
	CHECK_EQ(e->region->offset, 2 * PAGE_SIZE);
	CHECK_EQ(destroy(&a->object), 0);
	a = owner_new(2);
	CHECK_EQ(a->region->offset, 8 * PAGE_SIZE);
	a = owner_new(1);
	CHECK_EQ(a->region->offset, PAGE_SIZE);
	CHECK_EQ(regions, 5);
	end();
}

static void what_cannot_be_made_leaves_nothing(void)
{
	struct file_region *region;
	struct owner *owner;

	begin();
	owner = owner_new(1);
	region_error = -ENFILE;
	CHECK_EQ(ctx_mmap_add(ctx_of(file), &fake.client, &owner->object, PAGE_SIZE, &region), -ENFILE);
	region_error = 0;
	CHECK_EQ(ctx_mmap_add(ctx_of(file), &fake.client, &owner->object, 0, &region), -EINVAL);
	CHECK_EQ(ctx_mmap_add(ctx_of(file), &fake.client, &owner->object, 1, &region), -EINVAL);
	CHECK_EQ(ctx_mmap_add(ctx_of(file), &fake.client, &owner->object, PAGE_MASK, &region), -ENOMEM);
	owner = owner_new(1);
	CHECK_EQ(owner->region->offset, 2 * PAGE_SIZE);
	end();
}

static void a_mapped_region_keeps_its_owner_until_the_iommufd_closes(void)
{
	struct owner *owner, *other;

	begin();
	owner = owner_new(1);
	other = owner_new(1);
	((struct fake_region *)owner->region)->mapped = true;
	CHECK_EQ(destroy(&owner->object), -EBUSY);
	CHECK_EQ(destroy(&other->object), 0);
	((struct fake_region *)owner->region)->mapped = false;
	CHECK_EQ(destroy(&owner->object), 0);
	owner = owner_new(1);
	((struct fake_region *)owner->region)->mapped = true;
	end();
}

/* Between the two steps of mmap its owner may be destroyed, and its offset be another's. */
static void a_region_that_is_just_being_mapped_stays(void)
{
	struct file_region *region;
	struct owner *owner;

	begin();
	owner = owner_new(1);
	CHECK_EQ(file->ops->mmap(file, &fake.client, PAGE_SIZE, PROT_READ, MAP_SHARED, PAGE_SIZE, &region), 0);
	withdrawn = 0;
	CHECK_EQ(destroy(&owner->object), 0);
	CHECK_EQ(regions, 1);
	CHECK_EQ(withdrawn, PAGE_SIZE);
	owner = owner_new(1);
	CHECK_EQ(owner->region->offset, PAGE_SIZE);
	*(char *)region->memory = 1;
	CHECK_EQ(*(char *)owner->region->memory, 0);
	file_region_put(region);
	CHECK_EQ(regions, 1);
	end();
}

int main(void)
{
	a_mapping_is_refused_in_order();
	the_lowest_free_offset_is_taken();
	what_cannot_be_made_leaves_nothing();
	a_mapped_region_keeps_its_owner_until_the_iommufd_closes();
	a_region_that_is_just_being_mapped_stays();
	return check_result();
}
