/* SPDX-License-Identifier: BSD-3-Clause */
/* An NVMe controller where the liburing that is found is too old for the header that it was compiled with. */
#include "fake_disk.h"

int main(void)
{
	struct disk *d = aligned_alloc(_Alignof(struct disk), sizeof(*d));
	char image[32];

	make_image(image, 1 << 20);
	memset(d, 0, sizeof(*d));
	d->image = image;
	d->aio = "io_uring";
	CHECK_EQ(make_disk(d), -ENOSYS);
	printf("%s\n", d->said);
	d->aio = "auto";
	open_disk(d);
	CHECK_EQ(status_of(d, 1, io(IO_FLUSH, 0, 1, 0, 0)), 0);
	CHECK_EQ(status_of(d, 1, io(IO_READ, 0, 1, DATA, 0)), 0);
	close_disk(d);
	free(d);
	unlink(image);
	return check_result();
}
