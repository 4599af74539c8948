/* SPDX-License-Identifier: BSD-3-Clause */
/* VFIO_DEVICE_FEATURE: which features there are, and what is wrong is found in order. */
#include "fake_vfio.h"

#include <sys/eventfd.h>

#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

static int feature(uint32_t flags, uint32_t argsz, uint64_t payload)
{
	struct {
		uint32_t argsz, flags; /* struct vfio_device_feature */
		uint64_t payload;
	} cmd = {.argsz = argsz, .flags = flags, .payload = payload};

	return COMMAND(device_feature, cmd);
}

static void flags_are_checked_in_order(void)
{
	vfio_begin();
	fake.readable = 7;
	CHECK_EQ(feature(0, 16, 0), -EFAULT);
	fake.readable = sizeof(fake.memory);
	for (uint32_t argsz = 0; argsz < 8; argsz++)
		CHECK_EQ(feature(77 | SET | PROBE, argsz, 0), -EINVAL);
	/* A flag that is not known, both operations: before the feature. */
	for (uint32_t flag = 1U << 19; flag; flag <<= 1)
		CHECK_EQ(feature(77 | flag, 8, 0), -EINVAL);
	CHECK_EQ(feature(77 | GET | SET, 8, 0), -EINVAL);
	CHECK_EQ(feature(77 | GET | SET | PROBE, 8, 0), -ENOTTY);
	CHECK_EQ(feature(77, 8, 0), -ENOTTY);
	CHECK_EQ(feature(77 | GET, 8, 0), -ENOTTY);
	vfio_end();
}

static void what_the_device_lacks_is_enotty(void)
{
	static const uint32_t operations[] = {0, GET, SET, PROBE, PROBE | GET, PROBE | SET, PROBE | GET | SET};

	vfio_begin();
	for (uint32_t id = 0; id < 0x10000; id = id < 20 ? id + 1 : id * 2 + 1) {
		if (id >= VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY && id <= VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)
			continue;
		for (size_t i = 0; i < ARRAY(operations); i++)
			CHECK_EQ(feature(id | operations[i], 64, 0),
				 id == VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 ? -EINVAL : -ENOTTY);
	}
	vfio_end();
}

static void a_probe_does_nothing(void)
{
	vfio_begin();
	for (uint32_t id = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY; id <= VFIO_DEVICE_FEATURE_LOW_POWER_EXIT; id++) {
		CHECK_EQ(feature(id | PROBE, 8, 0), 0);
		CHECK_EQ(feature(id | PROBE | SET, 8, 0), 0); /* without a payload */
		CHECK_EQ(feature(id | PROBE | GET, 8, 0), -EINVAL);
		CHECK_EQ(feature(id | PROBE | GET | SET, 8, 0), -EINVAL);
		CHECK_EQ(feature(id | GET, 8, 0), -EINVAL);
		CHECK_EQ(feature(id, 8, 0), -EINVAL);
		CHECK(!vdev.low_power);
	}
	vfio_end();
}

static void low_power_is_entered_once(void)
{
	vfio_begin();
	CHECK_EQ(feature(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | SET, 8, 0), 0);
	CHECK_EQ(feature(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET, 8, 0), 0);
	CHECK_EQ(feature(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET, 8, 0), -EINVAL);
	CHECK_EQ(get(REGION(4), 4), 0); /* it wakes up for that */
	CHECK_EQ(feature(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT | SET, 8, 0), 0);
	CHECK_EQ(feature(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY | SET, 8, 0), 0);
	vfio_end();
	CHECK(!vdev.low_power);
}

static void wakeup_needs_an_eventfd(void)
{
	const uint32_t flags = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP | SET;
	const int fd = eventfd(0, EFD_CLOEXEC);
	int other[2];

	vfio_begin();
	CHECK_EQ(pipe(other), 0);
	CHECK_EQ(feature(flags, 15, (uint32_t)fd), -EINVAL);
	fake.readable = 15;
	CHECK_EQ(feature(flags, 16, (uint32_t)fd), -EFAULT);
	fake.readable = sizeof(fake.memory);
	CHECK_EQ(feature(flags, 16, UINT32_MAX), -EINVAL);
	CHECK_EQ(feature(flags, 16, (uint32_t)fd | UINT64_C(1) << 32), -EINVAL);
	CHECK_EQ(feature(flags, 16, 1000), -EBADF);
	CHECK_EQ(feature(flags, 16, (uint32_t)other[0]), -EINVAL);
	CHECK(!vdev.low_power);
	CHECK_EQ(feature(flags, 16, (uint32_t)fd), 0);
	CHECK(vdev.low_power);
	CHECK_EQ(feature(flags, 16, (uint32_t)fd), -EINVAL);
	vfio_end();
	close(fd);
	close(other[0]);
	close(other[1]);
}

int main(void)
{
	flags_are_checked_in_order();
	what_the_device_lacks_is_enotty();
	a_probe_does_nothing();
	low_power_is_entered_once();
	wakeup_needs_an_eventfd();
	return check_result();
}
