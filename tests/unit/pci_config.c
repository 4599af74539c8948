/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space: what a driver reads, and which bits of it a write changes. */
#include "vfio/pci_config.h"
#include "check.h"

#include <string.h>

static const struct iommuse_model full = {
	.vendor = 0x8086,
	.device = 0x2021,
	.subsystem_vendor = 0x1234,
	.subsystem_device = 0x5678,
	.class_code = 0x088001,
	.revision = 0x7,
	.bar = {[0] = {.size = 0x4000, .wide = true},
		[2] = {.size = 0x1000},
		[4] = {.size = 0x100000, .wide = true, .prefetchable = true}},
	.intx = true,
	.msi_vectors = 8,
	.msix_vectors = 17,
	.msix_bar = 4,
	.msix_table = 0x2000,
	.msix_pba = 0x3000,
	.pasid_bits = 20,
	.page_requests = true,
};

static const struct iommuse_model bare = {.vendor = 1, .device = 2};

static struct pci_config config, before;

static uint32_t rd(unsigned offset, unsigned n)
{
	return pci_config_read(&config, offset, n);
}

static void wr(unsigned offset, unsigned n, uint32_t value)
{
	pci_config_write(&config, offset, n, value);
}

static void begin(const struct iommuse_model *model)
{
	memset(&config, 0xa5, sizeof(config));
	pci_config_init(&config, model);
}

static void header_says_what_the_model_is(void)
{
	begin(&full);
	CHECK_EQ(rd(0x00, 4), 0x20218086);
	CHECK_EQ(rd(0x08, 4), 0x08800107);
	CHECK_EQ(rd(0x0c, 4), 0x00000010); /* cache line of 64 bytes; latency 0, header 0, no BIST */
	CHECK_EQ(rd(0x2c, 4), 0x56781234);
	CHECK_EQ(rd(0x3c, 4), 0x00000100); /* pin A */
	CHECK_EQ(rd(0x30, 4), 0);          /* no ROM */
	CHECK_EQ(rd(0x06, 2), 0x10);       /* capabilities */
	CHECK_EQ(rd(0x01, 1), 0x80);
	CHECK_EQ(rd(0x02, 2), 0x2021);
	CHECK_EQ(config.size, 4096);
	begin(&bare);
	CHECK_EQ(rd(0x3d, 1), 0);
	CHECK_EQ(rd(0x04, 2), 0); /* nothing to decode */
}

static void identity_and_status_are_read_only(void)
{
	static const unsigned offsets[] = {0x00, 0x06, 0x08, 0x28, 0x2c, 0x30, 0x34, 0x38};

	begin(&full);
	before = config;
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		wr(offsets[i], offsets[i] == 6 ? 2 : 4, 0xffffffff);
		wr(offsets[i], offsets[i] == 6 ? 2 : 4, 0);
	}
	wr(0x0d, 1, 0xff);
	wr(0x0e, 2, 0xffff);
	wr(0x3d, 1, 0xff);
	CHECK(!memcmp(config.byte, before.byte, sizeof(config.byte)));
}

static void command_is_there_for_all_threads(void)
{
	begin(&full);
	CHECK_EQ(rd(4, 2), 2); /* memory is decoded */
	CHECK_EQ(atomic_load(&config.command), 2);
	wr(4, 2, 0xffff);
	CHECK_EQ(rd(4, 2), 0x0546);
	CHECK_EQ(atomic_load(&config.command), 0x0546);
	wr(5, 1, 0); /* a half */
	CHECK_EQ(atomic_load(&config.command), 0x0046);
	wr(4, 1, 4);
	CHECK_EQ(atomic_load(&config.command), 4);
	wr(4, 4, 0xffff0000); /* with status */
	CHECK_EQ(rd(4, 4), 0x00100000);
	CHECK_EQ(atomic_load(&config.command), 0);
	wr(0x0c, 4, 0xffffffff);
	CHECK_EQ(rd(0x0c, 4), 0xff);
	wr(0x3c, 2, 0xffff);
	CHECK_EQ(rd(0x3c, 2), 0x01ff);
}

static void bars_tell_their_sizes(void)
{
	static const uint32_t sizes[6] = {0xffffc004, 0xffffffff, 0xfffff000, 0, 0xfff0000c, 0xffffffff};
	struct pci_window window = {0};

	begin(&full);
	pci_config_place(&config, &full, &window);
	before = config;
	for (unsigned i = 0; i < 6; i++) {
		const uint32_t was = rd(0x10 + 4 * i, 4);

		wr(0x10 + 4 * i, 4, 0xffffffff);
		CHECK_EQ(rd(0x10 + 4 * i, 4), sizes[i]);
		wr(0x10 + 4 * i, 4, was);
		CHECK_EQ(rd(0x10 + 4 * i, 4), was);
	}
	/* In parts. */
	wr(0x13, 1, 0xab);
	wr(0x10, 2, 0xffff);
	CHECK_EQ(rd(0x10, 4) & 0xff00ffff, 0xab00c004);
	pci_config_reset(&config, &full);
	CHECK(!memcmp(config.byte, before.byte, sizeof(config.byte)));
}

static uint64_t address_of(unsigned bar)
{
	return rd(0x10 + 4 * bar, 4) & ~15U;
}

static void bars_lie_apart(void)
{
	static const struct iommuse_model large = {.bar = {{.size = 0x80000000}, {.size = 0x10000000}}};
	struct pci_window window = {0};
	uint64_t low, high;

	begin(&full);
	CHECK_EQ(address_of(0), 0);
	pci_config_place(&config, &full, &window);
	low = address_of(2);
	high = config.address[4];
	CHECK_EQ(high, (uint64_t)rd(0x24, 4) << 32 | address_of(4));
	CHECK(high >> 32 && !(high % 0x100000) && !(config.address[0] % 0x4000));
	CHECK(config.address[0] + 0x4000 <= high);
	CHECK(low && !(low % 0x1000));
	begin(&full);
	pci_config_place(&config, &full, &window);
	CHECK_EQ(address_of(2), low + 0x1000);
	CHECK(config.address[0] >= high + 0x100000);
	/* What has no room has no address. */
	begin(&large);
	pci_config_place(&config, &large, &window);
	CHECK_EQ(config.address[0], 0);
	CHECK(config.address[1] >= low && !(config.address[1] % 0x10000000));
	for (unsigned i = 0; i < 2; i++) {
		begin(&large);
		pci_config_place(&config, &large, &window);
	}
	CHECK_EQ(config.address[1], 0);
	CHECK_EQ(config.byte[0x10], 0);
}

/* Walks the chain and stores where each of them is. */
static unsigned walk(unsigned at[256])
{
	unsigned count = 0;

	memset(at, 0, 256 * sizeof(*at));
	for (unsigned offset = rd(0x34, 1); offset; offset = rd(offset + 1, 1)) {
		CHECK(offset >= 0x40 && offset < 0x100 && !(offset % 4));
		CHECK(!at[rd(offset, 1)]);
		at[rd(offset, 1)] = offset;
		if (count++ > 48)
			break;
	}
	return count;
}

static void capabilities_are_those_of_the_model(void)
{
	unsigned at[256];

	begin(&full);
	CHECK_EQ(walk(at), 4);
	CHECK(at[1] && at[5] && at[0x10] && at[0x11]);
	CHECK_EQ(at[1], config.pm);
	CHECK_EQ(at[5], config.msi);
	CHECK_EQ(at[0x10], config.express);
	CHECK_EQ(at[0x11], config.msix);
	CHECK_EQ(rd(config.msi + 2, 2), 0x0086); /* 64 bits, 8 vectors */
	CHECK_EQ(rd(config.msix + 2, 2), 16);
	CHECK_EQ(rd(config.msix + 4, 4), 0x2004);
	CHECK_EQ(rd(config.msix + 8, 4), 0x3004);
	CHECK_EQ(rd(config.express + 2, 2), 2);        /* endpoint */
	CHECK(rd(config.express + 4, 4) & 0x10000000); /* it can be reset */
	begin(&bare);
	CHECK_EQ(walk(at), 2);
	CHECK(at[1] && at[0x10] && !config.msi && !config.msix);
	CHECK_EQ(rd(0x100, 4), 0);
}

/* Where an extended capability is; 0: there is none. */
static unsigned extended(unsigned id)
{
	for (unsigned offset = 0x100, n = 0; offset && n < 1000; offset = rd(offset, 4) >> 20, n++)
		if ((rd(offset, 4) & 0xffff) == id)
			return offset;
	return 0;
}

static void extended_capabilities_are_those_of_the_model(void)
{
	const struct iommuse_model requests = {.page_requests = true}, pasids = {.pasid_bits = 5};

	begin(&full);
	CHECK_EQ(extended(0x0f), config.ats);
	CHECK_EQ(extended(0x13), config.pri);
	CHECK_EQ(extended(0x1b), config.pasid);
	CHECK(config.ats && config.pri && config.pasid);
	CHECK_EQ(rd(config.pasid + 4U, 2), 20 << 8);
	before = config;
	for (unsigned offset = 0x100; offset < 4096; offset += 4)
		wr(offset, 4, 0xffffffff);
	CHECK(!memcmp(config.byte, before.byte, sizeof(config.byte)));
	begin(&requests);
	CHECK(extended(0x0f) && extended(0x13) && !extended(0x1b) && !config.pasid);
	begin(&pasids);
	CHECK(extended(0x0f) && !extended(0x13) && extended(0x1b) && !config.pri);
}

static void power_has_two_states(void)
{
	begin(&full);
	CHECK(pci_config_decodes(&config));
	for (unsigned state = 1; state <= 2; state++) {
		wr(config.pm + 4, 2, state);
		CHECK_EQ(rd(config.pm + 4, 2), 8);
	}
	wr(config.pm + 4, 2, 0xffff);
	CHECK_EQ(rd(config.pm + 4, 4), 0xb); /* without power management events */
	CHECK(!pci_config_decodes(&config));
	wr(config.pm + 4, 1, 1);
	CHECK_EQ(rd(config.pm + 4, 2), 0xb);
	wr(config.pm + 4, 4, 0);
	CHECK_EQ(rd(config.pm + 4, 2), 8);
	CHECK(pci_config_decodes(&config));
	wr(4, 2, 4);
	CHECK(!pci_config_decodes(&config));
}

static void msi_keeps_what_its_message_is(void)
{
	begin(&full);
	wr(config.msi + 2, 2, 0xffff);
	CHECK_EQ(rd(config.msi + 2, 2), 0x00f6); /* VFIO enables it */
	wr(config.msi + 4, 4, 0xfee01007);
	wr(config.msi + 8, 4, 0x12345678);
	wr(config.msi + 12, 4, 0xffffabcd);
	CHECK_EQ(rd(config.msi + 4, 4), 0xfee01004);
	CHECK_EQ(rd(config.msi + 8, 4), 0x12345678);
	CHECK_EQ(rd(config.msi + 12, 4), 0xabcd);
	before = config;
	for (unsigned offset = 0; offset < 12; offset += 4)
		wr(config.msix + offset, 4, 0xffffffff);
	CHECK(!memcmp(config.byte, before.byte, sizeof(config.byte)));
}

static void express_lets_write_what_concerns_the_device_alone(void)
{
	begin(&full);
	before = config;
	wr(config.express + 8U, 2, 0xffff);
	CHECK_EQ(rd(config.express + 8U, 2), 0x79ff); /* the bit that resets reads as 0 */
	wr(config.express + 0x28U, 2, 0xffff);
	CHECK_EQ(rd(config.express + 0x28U, 2), 0x1f);
	for (unsigned offset = 0xa; offset < 0x3c; offset += 2)
		if (offset != 0x28)
			wr(config.express + offset, 2, 0xffff);
	memcpy(before.byte + config.express + 8, config.byte + config.express + 8, 2);
	memcpy(before.byte + config.express + 0x28, config.byte + config.express + 0x28, 2);
	CHECK(!memcmp(config.byte, before.byte, sizeof(config.byte)));
}

static void restored_is_what_the_driver_set_but_for_power(void)
{
	begin(&full);
	wr(4, 2, 6);
	wr(0x10, 4, 0x40000000);
	before = config;
	wr(config.pm + 4, 2, 3);
	pci_config_restore(&config);
	CHECK(!memcmp(config.byte, before.byte, sizeof(config.byte)));
	CHECK_EQ(atomic_load(&config.command), 6);
}

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint32_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

/* Whatever is written: what is not writable stays, and reads of all widths agree. */
static void random_writes_change_writable_bits_only(void)
{
	struct pci_window window = {0};

	begin(&full);
	pci_config_place(&config, &full, &window);
	before = config;
	for (unsigned i = 0; i < 200000; i++) {
		const unsigned n = 1U << any() % 3;
		const unsigned offset = (any() % (any() % 8 ? 0x140 : 4096)) & ~(n - 1);
		const uint32_t value = any();

		wr(offset, n, value);
		if (n == 4)
			CHECK_EQ(rd(offset, 4), rd(offset, 2) | rd(offset + 2, 1) << 16 | rd(offset + 3, 1) << 24);
	}
	for (unsigned i = 0; i < 4096; i++)
		CHECK_EQ((config.byte[i] ^ before.byte[i]) & ~config.writable[i], 0);
	CHECK_EQ(atomic_load(&config.command), rd(4, 2));
	CHECK((rd(config.pm + 4, 1) & 3) % 3 == 0);
	CHECK(!memcmp(config.writable, before.writable, sizeof(config.writable)));
	pci_config_reset(&config, &full);
	CHECK(!memcmp(config.byte, before.byte, sizeof(config.byte)));
	CHECK_EQ(atomic_load(&config.command), 2);
}

int main(void)
{
	header_says_what_the_model_is();
	identity_and_status_are_read_only();
	command_is_there_for_all_threads();
	bars_tell_their_sizes();
	bars_lie_apart();
	capabilities_are_those_of_the_model();
	extended_capabilities_are_those_of_the_model();
	power_has_two_states();
	msi_keeps_what_its_message_is();
	express_lets_write_what_concerns_the_device_alone();
	restored_is_what_the_driver_set_but_for_power();
	random_writes_change_writable_bits_only();
	return check_result();
}
