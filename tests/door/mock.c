/* SPDX-License-Identifier: BSD-3-Clause */
#include "mock.h"

#include <sys/select.h>

long test_op(int fd, struct iommu_test *cmd)
{
	cmd->size = offsetof(struct iommu_test, padding);
	return door_ioctl(fd, IOMMU_TEST, cmd);
}

long access_new(int fd, uint32_t ioas)
{
	struct iommu_test cmd = {.op = OP_CREATE_ACCESS, .id = ioas};
	long rc = test_op(fd, &cmd);

	return rc ? rc : (long)cmd.d[0];
}

long dmabuf_new(int fd, uint32_t flags)
{
	struct iommu_test cmd = {.op = OP_DMABUF_GET, .d = {(uint32_t)(2 * PAGE), flags}};

	return test_op(fd, &cmd);
}

bool begin_with_access(struct test *t, int *fd)
{
	long access;

	*fd = open_iommu();
	SAME(t, ioas_alloc(*fd), 1);
	access = access_new(*fd, 1);
	if (access == -EOPNOTSUPP || access == -ENOTTY) {
		test_skip(t, "no accesses: %s", strerror((int)-access));
		return false;
	}
	if (!CHECK(t, access >= 0))
		return false;
	close((int)access);
	return true;
}

bool begin_with_device(struct test *t, struct device *d)
{
	struct iommu_test cmd = {.op = OP_MOCK_DOMAIN};
	long rc;

	d->fd = open_iommu();
	d->ioas = cmd.id = (uint32_t)ioas_alloc(d->fd);
	rc = test_op(d->fd, &cmd);
	if (rc == -EOPNOTSUPP || rc == -ENOTTY) {
		test_skip(t, "no mock devices: %s", strerror((int)-rc));
		return false;
	}
	d->stdev = cmd.d[0];
	d->idev = cmd.d[2];
	return SAME(t, rc, 0);
}

long hwpt_alloc(const struct device *d, uint32_t pt, uint32_t flags, uint32_t fault)
{
	uint32_t data[2] = {0};
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = d->idev, .pt_id = pt, .fault_id = fault};
	long rc;

	if (pt != d->ioas) {
		cmd.data_type = DATA_NESTED;
		cmd.data_len = sizeof(data);
		cmd.data_uptr = address(data);
	}
	rc = door_ioctl(d->fd, IOMMU_HWPT_ALLOC, &cmd);
	return rc ? rc : (long)cmd.out_hwpt_id;
}

long attach(const struct device *d, uint32_t pt)
{
	struct iommu_test cmd = {.op = OP_REPLACE, .id = d->stdev, .d = {pt}};

	return test_op(d->fd, &cmd);
}

long page_fault(const struct device *d, uint32_t group)
{
	struct iommu_test cmd = {.op = OP_TRIGGER_IOPF, .d = {d->idev, 0, group, 1, 0x1000}};

	return test_op(d->fd, &cmd);
}

long virtual_event(const struct device *d)
{
	struct iommu_test cmd = {.op = OP_TRIGGER_VEVENT, .d = {d->idev}};

	return test_op(d->fd, &cmd);
}

long viommu_alloc(const struct device *d, uint32_t hwpt, struct viommu_data *data)
{
	struct iommu_viommu_alloc cmd = {.size = sizeof(cmd),
					 .type = TYPE_VIOMMU,
					 .dev_id = d->idev,
					 .hwpt_id = hwpt,
					 .data_len = data ? sizeof(*data) : 0,
					 .data_uptr = address(data)};
	long rc = door_ioctl(d->fd, IOMMU_VIOMMU_ALLOC, &cmd);

	return rc ? rc : (long)cmd.out_viommu_id;
}

int ready(struct test *t, int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI, 0};
	struct timeval now = {0};
	fd_set in, out;
	int rc = poll(&p, 1, 0);

	SAME(t, rc, p.revents != 0);
	if (fd < FD_SETSIZE) {
		FD_ZERO(&in);
		FD_ZERO(&out);
		FD_SET(fd, &in);
		FD_SET(fd, &out);
		CHECK(t, select(fd + 1, &in, &out, NULL, &now) >= 0);
		SAME(t, FD_ISSET(fd, &in) != 0, (p.revents & POLLIN) != 0);
		SAME(t, FD_ISSET(fd, &out) != 0, (p.revents & POLLOUT) != 0);
	}
	return p.revents;
}

long begin_with_viommu(struct test *t, struct device *d, struct viommu_data *data)
{
	long hwpt, viommu;

	if (!begin_with_device(t, d))
		return -ENODEV;
	hwpt = hwpt_alloc(d, d->ioas, NEST_PARENT, 0);
	if (!CHECK(t, hwpt > 0))
		return hwpt;
	viommu = viommu_alloc(d, (uint32_t)hwpt, data);
	CHECK(t, viommu > 0);
	return viommu;
}
