/* SPDX-License-Identifier: BSD-3-Clause */
/* The iommufd with a client that does what a real one does rarely: loses memory, changes its mind, lacks rights. */
#include "iommufd/iommufd.h"

#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"
#include "check.h"
#include "fake_client.h"
#include "iommufd/ctx.h"
#include "iommufd/ioas_object.h"
#include "vfio/compat.h"

#include <linux/capability.h>
#include <poll.h>
#include <sys/mman.h>

static struct iommufd_config config = {.selftest = true, .compat = &vfio_compat};
static struct fake fake;
static struct file *file;

static void begin(void)
{
	fake_init(&fake);
	CHECK_EQ(iommufd_open(&config, false, &file), 0);
}

/* All memory and all references are back. */
static void end(void)
{
	file_put(file);
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
	CHECK_EQ(fake.reserved, 0);
}

static long call_by(struct fake *by, unsigned cmd, const void *arg, size_t size)
{
	memcpy(by->memory, arg, size);
	return file->ops->ioctl(file, &by->client, cmd, fake_at(by, 0));
}

/* The structure goes to the beginning of the client's memory, and its answer comes back from there. */
#define CALL(cmd, arg)                                                                                                 \
	({                                                                                                             \
		long rc_ = call_by(&fake, (cmd), &(arg), sizeof(arg));                                                 \
		memcpy(&(arg), fake.memory, sizeof(arg));                                                              \
		rc_;                                                                                                   \
	})

static uint32_t ioas_alloc(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	CHECK_EQ(CALL(IOMMU_IOAS_ALLOC, cmd), 0);
	return cmd.out_ioas_id;
}

static long destroy(uint32_t id)
{
	struct iommu_destroy cmd = {.size = sizeof(cmd), .id = id};

	return CALL(IOMMU_DESTROY, cmd);
}

static long map(uint32_t ioas, uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd), .flags = 7, .ioas_id = ioas, .user_va = 0x1000, .length = 0x1000, .iova = iova};

	return CALL(IOMMU_IOAS_MAP, cmd);
}

static long unmap(uint32_t ioas, uint64_t iova)
{
	struct iommu_ioas_unmap cmd = {.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = 0x1000};

	return CALL(IOMMU_IOAS_UNMAP, cmd);
}

static long rlimit_mode(uint16_t op, uint64_t *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd), .option_id = IOMMU_OPTION_RLIMIT_MODE, .op = op, .val64 = *value};
	long rc = CALL(IOMMU_OPTION, cmd);

	*value = cmd.val64;
	return rc;
}

static void the_rlimit_mode_is_for_the_privileged_and_before_any_object(void)
{
	uint64_t value = 1;

	begin();
	CHECK_EQ(rlimit_mode(IOMMU_OPTION_OP_SET, &value), -EPERM);
	fake.capabilities = UINT64_C(1) << CAP_SYS_RESOURCE;
	CHECK_EQ(rlimit_mode(IOMMU_OPTION_OP_SET, &value), 0);
	value = 9;
	CHECK_EQ(rlimit_mode(IOMMU_OPTION_OP_GET, &value), 0);
	CHECK_EQ(value, 1);
	value = 2;
	CHECK_EQ(rlimit_mode(IOMMU_OPTION_OP_SET, &value), -EINVAL);
	CHECK_EQ(ioas_alloc(), 1);
	CHECK_EQ(rlimit_mode(IOMMU_OPTION_OP_SET, &value), -EBUSY);
	fake.capabilities = 0;
	CHECK_EQ(rlimit_mode(IOMMU_OPTION_OP_SET, &value), -EPERM);
	fake.capabilities = UINT64_C(1) << CAP_SYS_RESOURCE;
	CHECK_EQ(destroy(1), 0);
	value = 0;
	CHECK_EQ(rlimit_mode(IOMMU_OPTION_OP_SET, &value), 0);
	end();
	CHECK_EQ(iommufd_open(&config, true, &file), 0);
	CHECK_EQ(rlimit_mode(IOMMU_OPTION_OP_GET, &value), 0);
	CHECK_EQ(value, 1); /* by way of /dev/vfio/vfio */
	end();
}

static void an_object_goes_if_its_id_cannot_be_told(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};
	struct iommu_fault_alloc fault = {.size = sizeof(fault)};

	begin();
	fake.deny_write = true;
	CHECK_EQ(CALL(IOMMU_IOAS_ALLOC, cmd), -EFAULT);
	CHECK_EQ(CALL(IOMMU_FAULT_QUEUE_ALLOC, fault), -EFAULT);
	CHECK(!fake.installed);
	CHECK_EQ(fake.reserved, 0);
	fake.deny_write = false;
	fake.deny_fd = true;
	CHECK_EQ(CALL(IOMMU_FAULT_QUEUE_ALLOC, fault), -EMFILE);
	fake.deny_fd = false;
	fake.deny_install = true;
	CHECK_EQ(CALL(IOMMU_FAULT_QUEUE_ALLOC, fault), -EMFILE);
	CHECK(id_table_empty(&ctx_of(file)->objects));
	CHECK_EQ(ioas_alloc(), 1);
	end();
}

static void a_map_and_an_unmap_are_not_undone(void)
{
	uint32_t ioas;

	begin();
	ioas = ioas_alloc();
	fake.deny_write = true;
	CHECK_EQ(map(ioas, 0x1000), -EFAULT);
	fake.deny_write = false;
	CHECK_EQ(map(ioas, 0x1000), -EEXIST);
	fake.deny_write = true;
	CHECK_EQ(unmap(ioas, 0x1000), -EFAULT);
	fake.deny_write = false;
	CHECK_EQ(unmap(ioas, 0x1000), -ENOENT);
	end();
}

static void grow_size(struct fake *by)
{
	const uint32_t size = 4096;

	memcpy(by->memory, &size, sizeof(size));
}

/* The size that was checked is the size that is answered to, and the structure that was checked is the one that is
 * used. */
static void an_argument_that_changes_during_the_call_changes_nothing(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	begin();
	memset(fake.memory, 0xaa, sizeof(fake.memory));
	fake.after_read = grow_size;
	CHECK_EQ(call_by(&fake, IOMMU_IOAS_ALLOC, &cmd, sizeof(cmd)), 0);
	fake.after_read = NULL;
	memcpy(&cmd, fake.memory, sizeof(cmd));
	CHECK_EQ(cmd.size, sizeof(cmd));
	CHECK_EQ(cmd.out_ioas_id, 1);
	for (size_t i = sizeof(cmd); i < sizeof(fake.memory); i++)
		if (fake.memory[i] != 0xaa)
			CHECK_EQ(i, -1);
	end();
}

static void a_structure_is_read_once(void)
{
	uint32_t ioas;

	begin();
	ioas = ioas_alloc();
	fake.reads = 0;
	CHECK_EQ(map(ioas, 0x1000), 0);
	CHECK_EQ(fake.reads, 1);
	CHECK_EQ(unmap(ioas, 0x1000), 0);
	CHECK_EQ(fake.reads, 2);
	end();
}

/* A call whose argument lies at the end of the client's memory, with as many bytes before the end. */
static long call_at_end(unsigned cmd, const void *arg, size_t size)
{
	const size_t at = sizeof(fake.memory) - size;

	memcpy(fake.memory + at, arg, size);
	return file->ops->ioctl(file, &fake.client, cmd, fake_at(&fake, at));
}

static void what_lies_behind_a_structure_matters_only_as_its_size_says(void)
{
	struct {
		struct iommu_hwpt_alloc cmd;
		unsigned char tail[64];
	} arg = {.cmd = {.size = 24}};

	begin();
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, 24), -ENOENT);
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, 23), -EFAULT);
	arg.cmd.size = 23;
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, 4), -EINVAL);
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, 3), -EFAULT);
	arg.cmd.size = 48;
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, 24), -EFAULT);
	arg.cmd.size = sizeof(arg);
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, sizeof(arg)), -ENOENT);
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, sizeof(arg) - 1), -EFAULT);
	arg.tail[20] = 1;
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, sizeof(arg) - 1), -E2BIG); /* met before the end of the memory */
	arg.cmd.size = UINT32_MAX;
	CHECK_EQ(call_at_end(IOMMU_HWPT_ALLOC, &arg, 48), -EFAULT);
	/* In the range of commands, but none: known only once there is a size. */
	CHECK_EQ(call_at_end(_IO(';', 0x9f), &arg, 4), -ENOTTY);
	CHECK_EQ(call_at_end(_IO(';', 0x9f), &arg, 3), -EFAULT);
	CHECK_EQ(call_at_end(_IOW(';', 0x85, int), &arg, 3), -EFAULT);
	CHECK_EQ(call_at_end(_IOW(';', 0x85, int), &arg, 4), -ENOTTY);
	CHECK_EQ(call_at_end(_IO(';', 0xa1), &arg, 0), -ENOTTY);
	CHECK_EQ(call_at_end(_IO(';', 0x7f), &arg, 0), -ENOTTY);
	end();
}

static void the_test_command_exists_with_the_selftest_only(void)
{
	struct iommu_test_cmd cmd = {.size = sizeof(cmd), .op = 99};

	begin();
	CHECK_EQ(CALL(IOMMU_TEST_CMD, cmd), -EOPNOTSUPP);
	cmd.size = 67;
	CHECK_EQ(CALL(IOMMU_TEST_CMD, cmd), -EINVAL);
	config.selftest = false;
	CHECK_EQ(CALL(IOMMU_TEST_CMD, cmd), -ENOTTY);
	CHECK_EQ(call_at_end(IOMMU_TEST_CMD, &cmd, 0), -ENOTTY); /* and is not read */
	config.selftest = true;
	end();
}

static void an_invalidation_always_tells_what_was_done(void)
{
	struct iommu_hwpt_invalidate cmd = {.size = sizeof(cmd), .entry_num = 5};

	begin();
	CHECK_EQ(CALL(IOMMU_HWPT_INVALIDATE, cmd), -EINVAL);
	CHECK_EQ(cmd.entry_num, 0);
	cmd.entry_num = 5;
	cmd.__reserved = 1;
	CHECK_EQ(CALL(IOMMU_HWPT_INVALIDATE, cmd), -EOPNOTSUPP);
	CHECK_EQ(cmd.entry_num, 0);
	cmd = (struct iommu_hwpt_invalidate){
		.size = sizeof(cmd), .entry_num = 1 << 19, .entry_len = 4096, .data_uptr = 1, .hwpt_id = 1};
	CHECK_EQ(CALL(IOMMU_HWPT_INVALIDATE, cmd), -ENOENT);
	CHECK_EQ(cmd.entry_num, 0);
	CHECK_EQ(ioas_alloc(), 1);
	CHECK_EQ(CALL(IOMMU_HWPT_INVALIDATE, cmd), -EINVAL); /* of the wrong kind */
	fake.deny_write = true;
	CHECK_EQ(CALL(IOMMU_HWPT_INVALIDATE, cmd), -EFAULT);
	fake.deny_write = false;
	end();
}

static void a_fault_queue_is_an_object_and_a_file_that_pins_the_iommufd(void)
{
	struct iommu_fault_alloc cmd = {.size = sizeof(cmd)};
	struct iommu_hwpt_page_response response = {.cookie = 1};
	struct file *queue;
	uaddr_t buf;

	begin();
	CHECK_EQ(ioas_alloc(), 1);
	CHECK_EQ(CALL(IOMMU_FAULT_QUEUE_ALLOC, cmd), 0);
	CHECK_EQ(cmd.out_fault_id, 2);
	CHECK_EQ(cmd.out_fault_fd, 10);
	queue = fake.installed;
	buf = uaddr(fake_at(&fake, 0));
	if (!queue)
		abort();
	CHECK(queue->ops->event_queue);
	CHECK(!strcmp(queue->ops->name, "anon_inode:[iommufd-pgfault]"));
	CHECK(queue->serial && queue->serial != file->serial);
	CHECK_EQ(destroy(2), -EBUSY);
	CHECK_EQ(queue->ops->read(queue, &fake.client, buf, 40, 0), 0);
	CHECK_EQ(queue->ops->read(queue, &fake.client, buf, 0, 0), 0);
	CHECK_EQ(queue->ops->read(queue, &fake.client, buf, 39, 0), -ESPIPE);
	CHECK_EQ(queue->ops->read(queue, &fake.client, buf, 40, 40), -ESPIPE);
	CHECK_EQ(queue->ops->write(queue, &fake.client, buf, 0, 0), 0);
	CHECK_EQ(queue->ops->write(queue, &fake.client, buf, 7, 0), -ESPIPE);
	CHECK_EQ(queue->ops->write(queue, &fake.client, buf, 8, 8), -ESPIPE);
	memcpy(fake.memory, &response, sizeof(response));
	CHECK_EQ(queue->ops->write(queue, &fake.client, buf, 8, 0), -EINVAL);
	CHECK_EQ(queue->ops->write(queue, &fake.client, uaddr(8), 8, 0), -EFAULT);
	CHECK_EQ(queue->ops->poll(queue) & (POLLIN | POLLOUT), POLLOUT);
	CHECK(!queue->ops->ioctl && !queue->ops->mmap);
	CHECK_EQ(atomic_load(&file->refs), 2);
	file_put(queue);
	CHECK_EQ(atomic_load(&file->refs), 1);
	CHECK_EQ(destroy(2), 0);

	CHECK_EQ(CALL(IOMMU_FAULT_QUEUE_ALLOC, cmd), 0);
	CHECK_EQ(map(1, 0x1000), 0);
	file_put(file); /* the queue's file still pins it */
	CHECK_EQ(atomic_load(&fake.mm.refs), 2);
	file_put(fake.installed);
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
}

static int mmap_of(uint64_t length, int prot, int flags, uint64_t offset)
{
	struct file_region *region;

	return file->ops->mmap(file, &fake.client, length, prot, flags, offset, &region);
}

static void nothing_is_there_to_be_mapped(void)
{
	begin();
	CHECK_EQ(mmap_of(100, PROT_EXEC, MAP_PRIVATE, 0), -EINVAL);
	CHECK_EQ(mmap_of(4096, PROT_EXEC, MAP_PRIVATE, 0), -EINVAL);
	CHECK_EQ(mmap_of(4096, PROT_EXEC, MAP_SHARED, 0), -EPERM);
	CHECK_EQ(mmap_of(4096, PROT_READ, MAP_SHARED, 0), -ENXIO);
	CHECK_EQ(mmap_of(4096, PROT_READ, MAP_SHARED_VALIDATE, 4096), -ENXIO);
	end();
}

/* Objects of a kind of one's own, each of which may use another. */
struct chained {
	struct object object;
	struct chained *uses;
	uint32_t *gone;
};

static void chained_destroy(struct object *object)
{
	struct chained *chained = (struct chained *)object;

	chained->gone[chained->gone[0]++] = object->id;
	if (chained->uses)
		object_put(&chained->uses->object);
	free(chained);
}

static struct chained *chained_new(struct ucmd *ucmd, struct chained *uses, uint32_t *gone)
{
	static const struct object_ops ops = {.type = OBJECT_SELFTEST, .destroy = chained_destroy};
	struct chained *chained = calloc(1, sizeof(*chained));

	if (!chained)
		abort();
	CHECK_EQ(object_reserve(ucmd, &chained->object, &ops), 0);
	chained->uses = uses;
	chained->gone = gone;
	if (uses)
		object_hold(&uses->object);
	object_publish(&chained->object, ucmd->client);
	return chained;
}

static void leaves_go_first_whatever_their_ids(void)
{
	uint32_t gone[8] = {1};
	struct ucmd ucmd = {.client = &fake.client};
	struct chained *one;

	begin();
	ucmd.ctx = ctx_of(file);
	one = chained_new(&ucmd, NULL, gone);
	chained_new(&ucmd, chained_new(&ucmd, one, gone), gone);
	chained_new(&ucmd, one, gone);
	CHECK_EQ(destroy(1), -EBUSY);
	CHECK_EQ(destroy(2), -EBUSY);
	end();
	CHECK_EQ(gone[0], 5);
	CHECK_EQ(gone[1], 3);
	CHECK_EQ(gone[2], 4);
	CHECK_EQ(gone[3], 2);
	CHECK_EQ(gone[4], 1);
}

static void files_pass_to_another_process_and_memory_does_not(void)
{
	struct iommu_ioas_map_file cmd = {.size = sizeof(cmd), .flags = 7, .fd = 5, .length = 0x1000, .iova = 0x8000};
	struct iommu_ioas_change_process change = {.size = sizeof(change)};
	static struct fake other;
	uint32_t ioas;

	begin();
	fake_init(&other);
	CHECK_EQ(CALL(IOMMU_IOAS_CHANGE_PROCESS, change), 0);
	ioas = ioas_alloc();
	cmd.ioas_id = ioas;
	CHECK_EQ(CALL(IOMMU_IOAS_MAP_FILE, cmd), 0);
	cmd.fd = -1;
	CHECK_EQ(CALL(IOMMU_IOAS_MAP_FILE, cmd), -EBADF);
	cmd.length = 0;
	CHECK_EQ(CALL(IOMMU_IOAS_MAP_FILE, cmd), -EINVAL); /* before the descriptor */
	CHECK_EQ(map(ioas, 0x1000), 0);
	CHECK_EQ(call_by(&other, IOMMU_IOAS_CHANGE_PROCESS, &change, sizeof(change)), -EINVAL);
	CHECK_EQ(atomic_load(&other.mm.refs), 1);
	CHECK_EQ(unmap(ioas, 0x1000), 0);
	CHECK_EQ(atomic_load(&fake.mm.refs), 2);
	CHECK_EQ(call_by(&other, IOMMU_IOAS_CHANGE_PROCESS, &change, sizeof(change)), 0);
	CHECK_EQ(atomic_load(&fake.mm.refs), 1);
	CHECK_EQ(atomic_load(&other.mm.refs), 2);
	change.__reserved = 1;
	CHECK_EQ(CALL(IOMMU_IOAS_CHANGE_PROCESS, change), -EOPNOTSUPP);
	end();
	CHECK_EQ(atomic_load(&other.mm.refs), 1);
}

static void more_ranges_than_there_is_room_for_are_counted(void)
{
	struct iommu_ioas_iova_ranges cmd = {.size = sizeof(cmd), .num_iovas = 40};
	struct iommu_iova_range range[40];
	struct ioas_object *ioas;

	begin();
	cmd.ioas_id = ioas_alloc();
	cmd.allowed_iovas = fake_at(&fake, 1024);
	ioas = ioas_get(ctx_of(file), cmd.ioas_id);
	for (uint64_t i = 0; i < 30; i++)
		CHECK_EQ(ioas_reserve(&ioas->ioas, 0x1000 + i * 0x10000, 0xffff + i * 0x10000, ioas), 0);
	CHECK_EQ(CALL(IOMMU_IOAS_IOVA_RANGES, cmd), 0);
	CHECK_EQ(cmd.num_iovas, 31);
	memcpy(range, fake.memory + 1024, sizeof(range));
	CHECK_EQ(range[29].start, 29 * 0x10000);
	CHECK_EQ(range[29].last, 29 * 0x10000 + 0xfff);
	CHECK_EQ(range[30].last, UINT64_MAX);
	memset(fake.memory + 1024, 0, sizeof(range));
	cmd.num_iovas = 20;
	CHECK_EQ(CALL(IOMMU_IOAS_IOVA_RANGES, cmd), -EMSGSIZE);
	CHECK_EQ(cmd.num_iovas, 31);
	memcpy(range, fake.memory + 1024, sizeof(range));
	CHECK_EQ(range[19].last, 19 * 0x10000 + 0xfff);
	CHECK_EQ(range[20].last, 0);
	ioas_put(ioas);
	end();
}

static void an_ioas_in_use_is_busy_and_the_compat_pointer_goes_with_it(void)
{
	struct iommu_vfio_ioas cmd = {.size = sizeof(cmd), .op = IOMMU_VFIO_IOAS_SET};
	struct ioas_object *ioas;

	begin();
	cmd.ioas_id = ioas_alloc();
	CHECK_EQ(CALL(IOMMU_VFIO_IOAS, cmd), 0);
	ioas = compat_ioas_get(ctx_of(file));
	CHECK(ioas && ioas->object.id == 1);
	CHECK_EQ(destroy(1), -EBUSY);
	ioas_put(ioas);
	CHECK_EQ(destroy(1), 0);
	CHECK_EQ(ioas_alloc(), 1); /* the id again, but not the compat IOAS */
	cmd.op = IOMMU_VFIO_IOAS_GET;
	CHECK_EQ(CALL(IOMMU_VFIO_IOAS, cmd), -ENODEV);
	end();
}

static void a_failed_container_unmap_still_tells_its_size(void)
{
	struct iommu_vfio_ioas set = {.size = sizeof(set), .op = IOMMU_VFIO_IOAS_SET};
	struct vfio_iommu_type1_dma_unmap cmd = {.argsz = sizeof(cmd), .iova = 0x1000, .size = 0x2800};

	begin();
	set.ioas_id = ioas_alloc();
	CHECK_EQ(CALL(IOMMU_VFIO_IOAS, set), 0);
	CHECK_EQ(map(1, 0x1000), 0);
	CHECK_EQ(map(1, 0x3000), 0);
	CHECK_EQ(CALL(VFIO_IOMMU_UNMAP_DMA, cmd), -ENOENT);
	CHECK_EQ(cmd.size, 0x1000);
	fake.deny_write = true;
	CHECK_EQ(CALL(VFIO_IOMMU_UNMAP_DMA, cmd), -EFAULT);
	fake.deny_write = false;
	/* Version 1: the cut is refused before anything is told. */
	memset(fake.memory, 0, sizeof(fake.memory));
	CHECK_EQ(file->ops->ioctl(file, &fake.client, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	cmd = (struct vfio_iommu_type1_dma_unmap){.argsz = sizeof(cmd), .iova = 0x3000, .size = 0x800};
	CHECK_EQ(CALL(VFIO_IOMMU_UNMAP_DMA, cmd), -EINVAL);
	CHECK_EQ(cmd.size, 0x800);
	cmd.size = 0;
	CHECK_EQ(CALL(VFIO_IOMMU_UNMAP_DMA, cmd), -EINVAL);
	cmd.size = 0x1000;
	CHECK_EQ(CALL(VFIO_IOMMU_UNMAP_DMA, cmd), 0);
	CHECK_EQ(cmd.size, 0x1000);
	end();
}

/* What happened, as a listener was told. */
struct seen {
	struct event event[64];
	size_t count;
};

static void see(void *context, const struct event *event, uint64_t lost)
{
	struct seen *seen = context;

	CHECK_EQ(lost, 0);
	if (seen->count < sizeof(seen->event) / sizeof(*seen->event))
		seen->event[seen->count++] = *event;
}

static void types_are(const struct seen *seen, const enum event_type *type, size_t count)
{
	CHECK_EQ(seen->count, count);
	for (size_t i = 0; i < count && i < seen->count; i++) {
		CHECK_EQ(seen->event[i].type, type[i]);
		CHECK_EQ(seen->event[i].number, i + 1);
		CHECK_EQ(seen->event[i].file, seen->event[0].file);
	}
}

static void events_tell_what_happened_and_who_did_it(void)
{
	static const enum event_type types[] = {
		EVENT_OBJECT, EVENT_CALL,                /* an IOAS */
		EVENT_MAP,    EVENT_CALL,                /* two maps */
		EVENT_MAP,    EVENT_CALL, EVENT_CALL,    /* and one that fails */
		EVENT_UNMAP,  EVENT_CALL,                /* both at once */
		EVENT_MAP,    EVENT_CALL, EVENT_DESTROY, /* with the file */
	};
	struct iommu_ioas_unmap cmd = {.size = sizeof(cmd), .length = UINT64_MAX};
	struct event_stream *events;
	static struct seen seen;
	const struct event *event;

	CHECK_EQ(event_stream_new(&events), 0);
	CHECK_EQ(event_stream_listen(events, see, &seen), 0);
	config.events = events;
	begin();
	cmd.ioas_id = ioas_alloc();
	CHECK_EQ(map(cmd.ioas_id, 0x1000), 0);
	CHECK_EQ(map(cmd.ioas_id, 0x5000), 0);
	CHECK_EQ(map(cmd.ioas_id, 0x5000), -EEXIST);
	CHECK_EQ(CALL(IOMMU_IOAS_UNMAP, cmd), 0);
	CHECK_EQ(map(cmd.ioas_id, 0x7000), 0);
	end();
	config.events = NULL;
	event_stream_free(events);
	types_are(&seen, types, sizeof(types) / sizeof(*types));
	event = &seen.event[0];
	CHECK(event->object.id == 1 && event->object.kind == OBJECT_IOAS && event->pid == 1 && event->fd == 3);
	event = &seen.event[4];
	CHECK(event->map.ioas == 1 && event->map.prot == 6 && event->map.iova == 0x5000 && event->map.last == 0x5fff);
	CHECK(event->map.source == 0x1000 && event->map.count == 1);
	event = &seen.event[6];
	CHECK(event->call.cmd == IOMMU_IOAS_MAP && event->call.result == -EEXIST && event->call.arg_size == 40);
	event = &seen.event[7];
	CHECK(event->map.count == 2 && event->map.ioas == 1);
	event = &seen.event[8];
	CHECK_EQ(((const struct iommu_ioas_unmap *)(const void *)event->call.arg)->length, 0x2000);
	event = &seen.event[11];
	CHECK(event->object.id == 1 && event->pid == 0 && event->fd == -1);
}

int main(void)
{
	events_tell_what_happened_and_who_did_it();
	the_rlimit_mode_is_for_the_privileged_and_before_any_object();
	an_object_goes_if_its_id_cannot_be_told();
	a_map_and_an_unmap_are_not_undone();
	an_argument_that_changes_during_the_call_changes_nothing();
	a_structure_is_read_once();
	what_lies_behind_a_structure_matters_only_as_its_size_says();
	the_test_command_exists_with_the_selftest_only();
	an_invalidation_always_tells_what_was_done();
	a_fault_queue_is_an_object_and_a_file_that_pins_the_iommufd();
	nothing_is_there_to_be_mapped();
	leaves_go_first_whatever_their_ids();
	files_pass_to_another_process_and_memory_does_not();
	more_ranges_than_there_is_room_for_are_counted();
	an_ioas_in_use_is_busy_and_the_compat_pointer_goes_with_it();
	a_failed_container_unmap_still_tells_its_size();
	return check_result();
}
