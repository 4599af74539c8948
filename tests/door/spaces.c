/* SPDX-License-Identifier: BSD-3-Clause */
#include "spaces.h"

#include <sys/mman.h>

enum { IOMMU_HWPT_ALLOC = 0x89, WITH_FAULTS = 4, WITH_PASIDS = 8, HAS_PASID = 1 };

struct hwpt_alloc {
	uint32_t size, flags, dev_id, pt_id, out_hwpt_id, reserved, data_type, data_len;
	uint64_t data_uptr;
	uint32_t fault_id, reserved2;
};
struct attach_pasid {
	uint32_t argsz, flags, pt_id, pasid;
};
struct detach_pasid {
	uint32_t argsz, flags, pasid;
};

static long detach_device(int device)
{
	struct detach_pasid c = {sizeof(c), 0, 0};

	return door_ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &c);
}

long spaces_attach(const struct spaces *s, uint64_t pasid, unsigned space)
{
	struct attach_pasid c = {sizeof(c), HAS_PASID, s->hwpt[space], (uint32_t)pasid};

	return door_ioctl(s->a.rig.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &c);
}

long spaces_detach(const struct spaces *s, uint64_t pasid)
{
	struct detach_pasid c = {sizeof(c), HAS_PASID, (uint32_t)pasid};

	return door_ioctl(s->a.rig.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &c);
}

static bool make_space(struct test *t, struct spaces *s, unsigned i)
{
	const size_t queue = (sizeof(struct queue_memory) + PAGE - 1) / PAGE * PAGE;
	struct hwpt_alloc c = {.size = sizeof(c), .flags = WITH_PASIDS, .dev_id = s->a.rig.device_id};
	int fd = s->a.rig.container;
	long ioas = ioas_alloc(fd);

	s->ioas[i] = (uint32_t)ioas;
	s->memory[i] = queue_memory_new(true);
	s->data[i] = mmap(NULL, DATA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	c.pt_id = s->ioas[i];
	if (i == 1 && s->fault_id) {
		c.flags |= WITH_FAULTS;
		c.fault_id = s->fault_id;
	}
	if (!CHECK(t, ioas > 0) || !SAME(t, door_ioctl(fd, IOMMU_HWPT_ALLOC, &c), 0))
		return false;
	s->hwpt[i] = c.out_hwpt_id;
	return SAME(t, ioas_map(fd, s->ioas[i], s->memory[i], queue, RING_IOVA), 0) &&
	       SAME(t, ioas_map(fd, s->ioas[i], s->data[i], DATA_PAGES * PAGE, DATA_IOVA), 0);
}

static bool open_device(struct test *t, struct spaces *s)
{
	*s = (struct spaces){.faults = -1, .a = {.rig = {.way = CDEV, .container = -1, .group = -1, .device = -1}}};
	return SAME(t, rig_open_container(&s->a.rig), 0) && SAME(t, accel_open_device(&s->a), 0) &&
	       SAME(t, detach_device(s->a.rig.device), 0);
}

bool spaces_open(struct test *t, struct spaces *s)
{
	return open_device(t, s) && make_space(t, s, 0) && make_space(t, s, 1);
}

bool spaces_open_with_faults(struct test *t, struct spaces *s)
{
	if (!open_device(t, s))
		return false;
	s->faults = (int)fault_queue_alloc(s->a.rig.container, &s->fault_id);
	return CHECK(t, s->faults >= 0) && make_space(t, s, 0) && make_space(t, s, 1);
}

void spaces_close(struct spaces *s)
{
	if (s->faults >= 0)
		close(s->faults);
	accel_close(&s->a);
	for (unsigned i = 0; i < SPACES; i++) {
		munmap(s->memory[i], sizeof(*s->memory[i]));
		munmap(s->data[i], DATA_PAGES * PAGE);
	}
}

long spaces_work(const struct spaces *s, uint64_t pasid, unsigned space)
{
	uint8_t *data = s->data[space];
	struct queue q;
	long rc = queue_start(&q, &s->a, 0, (uint32_t)pasid, s->memory[space], RING_IOVA);

	if (rc)
		return rc;
	memset(data, 0x42 + (int)space, PAGE);
	memset(data + PAGE, 0, PAGE);
	rc = queue_do(&q, DMAX_COPY, 0, DATA_IOVA + PAGE, DATA_IOVA, PAGE, 0, NULL);
	queue_stop(&q);
	if (rc == DMAX_SUCCESS && memcmp(data, data + PAGE, PAGE) != 0)
		return -EBADMSG;
	return rc;
}
