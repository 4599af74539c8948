/* SPDX-License-Identifier: BSD-3-Clause */
/* VFIO_DEVICE_IOEVENTFD: what is wrong is found in order, and a client's write to its eventfd writes the register. */
#include "fake_vfio.h"
#include "own_threads.h"

#include <sys/eventfd.h>

static sem_t written;
static int fd;

static void begin(void)
{
	vfio_begin();
	sem_init(&written, 0, 0);
	model_saw.written = &written;
	fd = eventfd(0, EFD_CLOEXEC);
}

static void end(void)
{
	vfio_end();
	CHECK(!vdev.ioeventfds);
	close(fd);
	sem_destroy(&written);
}

static struct vfio_device_ioeventfd command(uint64_t offset, uint64_t data, int with)
{
	return (struct vfio_device_ioeventfd){.argsz = sizeof(struct vfio_device_ioeventfd),
					      .flags = VFIO_DEVICE_IOEVENTFD_32,
					      .offset = offset,
					      .data = data,
					      .fd = with};
}

static int call(struct vfio_device_ioeventfd cmd)
{
	return COMMAND(device_ioeventfd, cmd);
}

static int set(uint64_t offset, uint64_t data, int with)
{
	return call(command(offset, data, with));
}

static void structure_and_flags_come_first(void)
{
	struct vfio_device_ioeventfd cmd = command(REGION(4), 1, -2);

	begin();
	fake.readable = 27;
	CHECK_EQ(call(cmd), -EFAULT);
	fake.readable = 28; /* the last member is not read */
	cmd = command(REGION(4), 1, fd);
	cmd.argsz = 27;
	CHECK_EQ(call(cmd), -EINVAL);
	cmd.argsz = 28;
	CHECK_EQ(call(cmd), 0);
	fake.readable = sizeof(fake.memory);
	for (uint32_t flags = 0; flags < 64; flags++) {
		cmd = command(REGION(4) + 8, 1, fd);
		cmd.flags = flags;
		CHECK_EQ(call(cmd), flags == 1 || flags == 2 || flags == 4 ? 0 : -EINVAL);
	}
	CHECK_EQ(set(REGION(4) + 16, 1, -2), -EINVAL);
	CHECK_EQ(set(REGION(4) + 16, 1, INT32_MIN), -EINVAL);
	end();
}

static void only_registers_of_bars_are_written(void)
{
	static const uint64_t none[] = {REGION(1),         REGION(3),
					REGION(5),         REGION(6),
					CONFIG + 4,        REGION(8),
					REGION(9),         UINT64_MAX - 3,
					REGION(4) + 0xffd, REGION(4) + 0x1000,
					REGION(5) - 1,     TABLE,
					TABLE - 1,         TABLE + VECTORS * 16 - 1};

	begin();
	for (size_t i = 0; i < ARRAY(none); i++) {
		CHECK_EQ(set(none[i], 1, fd), -EINVAL);
		CHECK_EQ(set(none[i], 1, -1), -EINVAL); /* before it is looked for */
		CHECK_EQ(set(none[i], 1, 1000), -EINVAL);
	}
	CHECK_EQ(set(TABLE - 4, 1, fd), 0);
	CHECK_EQ(set(TABLE + VECTORS * 16, 1, fd), 0);
	CHECK_EQ(set(REGION(4) + 0xffc, 1, fd), 0);
	end();
}

static void a_key_is_there_once(void)
{
	struct vfio_device_ioeventfd cmd = command(REGION(4), 1, fd);

	begin();
	CHECK_EQ(set(REGION(4), 1, -1), -ENODEV);
	CHECK_EQ(set(REGION(4), 1, fd), 0);
	CHECK_EQ(set(REGION(4), 1, fd), -EEXIST);
	CHECK_EQ(set(REGION(4), 1, 1000), -EEXIST); /* before the descriptor */
	CHECK_EQ(set(REGION(4), 2, fd), 0);
	CHECK_EQ(set(REGION(4) + 4, 1, fd), 0);
	CHECK_EQ(set(REGION(2), 1, fd), 0);
	cmd.fd = fd;
	cmd.flags = VFIO_DEVICE_IOEVENTFD_16;
	CHECK_EQ(call(cmd), 0);
	CHECK_EQ(set(REGION(4), 1, -1), 0);
	CHECK_EQ(set(REGION(4), 1, -1), -ENODEV);
	CHECK_EQ(set(REGION(4), UINT64_C(1) << 32 | 1, -1), -ENODEV); /* the data counts whole */
	cmd.fd = -1;
	CHECK_EQ(call(cmd), 0);
	end();
}

static void the_descriptor_is_an_eventfd(void)
{
	int other[2];

	begin();
	CHECK_EQ(pipe(other), 0);
	CHECK_EQ(set(REGION(4), 1, 1000), -EBADF);
	CHECK_EQ(set(REGION(4), 1, other[1]), -EINVAL);
	CHECK(!vdev.ioeventfds); /* and no thread */
	CHECK_EQ(set(REGION(4), 1, fd), 0);
	CHECK_EQ(set(REGION(4), 2, 1000), -EBADF);
	close(other[0]);
	close(other[1]);
	end();
}

static void there_are_a_thousand(void)
{
	begin();
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(set(REGION(4), i, fd), 0);
	CHECK_EQ(set(REGION(4), 1000, fd), -ENOSPC);
	CHECK_EQ(set(REGION(4), 1000, 1000), -ENOSPC); /* before the descriptor */
	CHECK_EQ(set(REGION(4), 999, fd), -EEXIST);
	CHECK_EQ(set(REGION(4), 1000, -1), -ENODEV);
	CHECK_EQ(set(REGION(4), 500, -1), 0);
	CHECK_EQ(set(REGION(4), 1000, fd), 0);
	end();
}

/* Waits for count writes and returns the bits of their data. */
static uint64_t wait_for(unsigned count)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < count; i++)
		sem_wait(&written);
	pthread_mutex_lock(&vdev.model_lock);
	CHECK_EQ(model_saw.count, count);
	for (unsigned i = 0; i < model_saw.count; i++)
		seen |= model_saw.made[i].value;
	model_saw.count = 0;
	pthread_mutex_unlock(&vdev.model_lock);
	return seen;
}

static void a_write_to_it_writes_the_register(void)
{
	struct vfio_device_ioeventfd narrow;

	begin();
	CHECK_EQ(set(REGION(4) + 0x10, 0x11223344, fd), 0);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQ(eventfd_write(fd, i + 1), 0);
		CHECK_EQ(wait_for(1), 0x11223344);
		CHECK_EQ(model_saw.made[0].bar, 4);
		CHECK_EQ(model_saw.made[0].offset, 0x10);
		CHECK_EQ(model_saw.made[0].width, 4);
		CHECK(model_saw.made[0].write);
	}
	CHECK(atomic_load(&model_saw.kicks) >= 99); /* it follows the write */
	/* What was written before counts, and is taken. */
	CHECK_EQ(set(REGION(4) + 0x10, 0x11223344, -1), 0);
	CHECK_EQ(eventfd_write(fd, 3), 0);
	narrow = command(REGION(4) + 1, 0xff55, fd);
	narrow.flags = VFIO_DEVICE_IOEVENTFD_8;
	CHECK_EQ(call(narrow), 0);
	CHECK_EQ(wait_for(1), 0x55);
	CHECK_EQ(model_saw.made[0].width, 1);
	/* Two of one eventfd. */
	CHECK_EQ(set(REGION(4), 0xf00, fd), 0);
	CHECK_EQ(eventfd_write(fd, 1), 0);
	CHECK_EQ(wait_for(2), 0xf55);
	/* Of a register that is not aligned, as there are widths. */
	narrow.fd = -1;
	CHECK_EQ(call(narrow), 0);
	CHECK_EQ(set(REGION(4), 0xf00, -1), 0);
	CHECK_EQ(set(REGION(4) + 3, 0x04030201, fd), 0);
	CHECK_EQ(eventfd_write(fd, 1), 0);
	CHECK_EQ(wait_for(3), 0x01 | 0x0302 | 0x04);
	end();
}

static void an_area_is_written_too(void)
{
	begin();
	CHECK_EQ(set(REGION(2) + 8, 0xabcd, fd), 0);
	CHECK_EQ(set(REGION(4), 1, fd), 0); /* tells when: they are served in turn */
	CHECK_EQ(eventfd_write(fd, 1), 0);
	CHECK_EQ(wait_for(1), 1);
	CHECK_EQ(set(REGION(2) + 8, 0xabcd, -1), 0); /* waits for one under way */
	CHECK_EQ(set(REGION(4), 1, -1), 0);
	CHECK(!vdev.ioeventfds);
	end();
}

/* What is removed, or not decoded, is not written. */
static void nothing_is_written_without_it(void)
{
	int second = eventfd(0, EFD_CLOEXEC);

	begin();
	CHECK_EQ(set(REGION(4), 1, fd), 0);
	CHECK_EQ(set(REGION(4), 2, second), 0);
	CHECK_EQ(set(REGION(4), 1, -1), 0);
	CHECK_EQ(eventfd_write(fd, 1), 0);
	CHECK_EQ(eventfd_write(second, 1), 0);
	CHECK_EQ(wait_for(1), 2);
	/* The one that wakes up last is served when memory is decoded again. */
	put(CONFIG + 4, 2, 0);
	CHECK_EQ(set(REGION(4), 4, fd), 0); /* a write waits there */
	CHECK_EQ(set(REGION(4), 4, -1), 0);
	put(CONFIG + 4, 2, PCI_COMMAND_MEMORY);
	CHECK_EQ(eventfd_write(second, 1), 0);
	CHECK_EQ(wait_for(1), 2);
	close(second);
	end();
}

static void expect_threads(unsigned count)
{
	CHECK_EQ(own_threads("iommuse-ioevent", count), count);
}

static void its_thread_is_there_while_it_is_needed(void)
{
	begin();
	expect_threads(0);
	CHECK_EQ(set(REGION(4), 1, fd), 0);
	CHECK_EQ(set(REGION(4), 2, fd), 0);
	expect_threads(1);
	CHECK_EQ(set(REGION(4), 1, -1), 0);
	expect_threads(1);
	CHECK_EQ(set(REGION(4), 2, -1), 0);
	expect_threads(0);
	CHECK_EQ(set(REGION(4), 2, fd), 0);
	end();
	expect_threads(0);
}

static atomic_bool stop;

static void *write_all_the_time(void *context)
{
	(void)context;
	while (!atomic_load(&stop))
		(void)eventfd_write(fd, 1);
	return NULL;
}

/* They come and go while a client writes. */
static void removing_races_with_writing(void)
{
	pthread_t writer;

	begin();
	others_lock = true;
	model_saw.written = NULL;
	atomic_store(&stop, false);
	CHECK_EQ(pthread_create(&writer, NULL, write_all_the_time, NULL), 0);
	for (unsigned i = 0; i < 300; i++) {
		CHECK_EQ(set(REGION(4), 1, fd), 0);
		CHECK_EQ(set(REGION(2), 2, fd), 0);
		CHECK_EQ(set(REGION(4), 1, -1), 0);
		pthread_mutex_lock(&vdev.model_lock);
		model_saw.count = 0;
		pthread_mutex_unlock(&vdev.model_lock);
		CHECK_EQ(set(REGION(2), 2, -1), 0);
		CHECK_EQ(model_saw.count, 0);
	}
	CHECK_EQ(set(REGION(4), 1, fd), 0);
	vfio_end();
	atomic_store(&stop, true);
	pthread_join(writer, NULL);
	others_lock = false;
	close(fd);
}

int main(void)
{
	structure_and_flags_come_first();
	only_registers_of_bars_are_written();
	a_key_is_there_once();
	the_descriptor_is_an_eventfd();
	there_are_a_thousand();
	a_write_to_it_writes_the_register();
	an_area_is_written_too();
	nothing_is_written_without_it();
	its_thread_is_there_while_it_is_needed();
	removing_races_with_writing();
	return check_result();
}
