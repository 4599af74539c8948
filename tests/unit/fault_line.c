/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrong DMA in one line: what a person reads for each reason and for what is known of the place; bursts; readers that
 * do not read. */
#include "check/fault.h"

#include "base/event.h"
#include "check.h"
#include "hwpt/device.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SECOND UINT64_C(1000000000)
#define NOW    (100 * SECOND)

static struct fault_log *faults;
static int output;

static void expect_text(const char *expected, int line)
{
	char text[1 << 14];
	ssize_t n = pread(output, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = 0;
	check_true(!strcmp(text, expected), expected, __FILE__, line);
	if (strcmp(text, expected) != 0)
		printf("but this: %s", text);
	CHECK(!ftruncate(output, 0) && !lseek(output, 0, SEEK_SET));
}

/* The rest of the one line that is there. */
#define EXPECT_LINE(rest) expect_text("iommuse: 0000:01:00.0" rest "\n", __LINE__)
#define EXPECT_TEXT(text) expect_text(text, __LINE__)

static void begin(void)
{
	output = memfd_create("faults", MFD_CLOEXEC);
	faults = fault_log_new(output);
	CHECK(faults && output >= 0);
}

static void end(void)
{
	fault_log_free(faults);
	close(output);
}

static struct event fault(enum dma_fault_reason reason)
{
	return (struct event){
		.type = EVENT_DMA_FAULT,
		.time_ns = NOW,
		.dma = {.iova = 0x101000,
			.length = 64,
			.access = DMA_WRITE,
			.reason = (uint8_t)reason,
			.ioas = 2,
			.device = "0000:01:00.0"},
	};
}

/* Each a minute after the one before, so that all are shown. */
static void tell(struct event event)
{
	static uint64_t minutes;

	minutes++;
	event.time_ns += minutes * 60 * SECOND;
	if (event.dma.gone_ns)
		event.dma.gone_ns += minutes * 60 * SECOND;
	fault_log_event(faults, &event, 0);
}

static void each_reason_has_words(void)
{
	struct event event = fault(DMA_FAULT_BUS_MASTER);

	begin();
	tell(event);
	EXPECT_LINE(
		": DMA write of 64 bytes to IOVA 0x101000 blocked: bus mastering is off in the PCI command register");
	event.dma.access = DMA_READ;
	event.dma.reason = DMA_FAULT_NO_DOMAIN;
	tell(event);
	EXPECT_LINE(": DMA read of 64 bytes from IOVA 0x101000 blocked: the device is not attached to an IOAS");
	event.dma.pasid = 7;
	event.dma.length = 4096;
	tell(event);
	EXPECT_LINE(" PASID 7: DMA read of 4 KiB from IOVA 0x101000 blocked: the PASID is not attached to an IOAS");
	event.dma.pasid = 0;
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_MAPPED;
	event.dma.below_start = 0x101000;
	event.dma.below_last = 0x101fff;
	event.dma.reason = DMA_FAULT_READ_ONLY;
	tell(event);
	EXPECT_LINE(": DMA read of 4 KiB from IOVA 0x101000 blocked: it is mapped read-only; the map is [0x101000, "
		    "0x101fff]");
	event.dma.reason = DMA_FAULT_WRITE_ONLY;
	tell(event);
	EXPECT_LINE(": DMA read of 4 KiB from IOVA 0x101000 blocked: it is mapped write-only; the map is [0x101000, "
		    "0x101fff]");
	event.dma.reason = DMA_FAULT_MEMORY;
	tell(event);
	EXPECT_LINE(
		": DMA read of 4 KiB from IOVA 0x101000 blocked: the program has unmapped the memory behind it; the "
		"map is [0x101000, 0x101fff]");
	event.dma.reason = 99;
	event.dma.known = 0;
	tell(event);
	EXPECT_LINE(": DMA read of 4 KiB from IOVA 0x101000 blocked: no reason is known");
	end();
}

static void the_nearest_maps_are_told(void)
{
	struct event event = fault(DMA_FAULT_NOT_MAPPED);

	begin();
	event.dma.below_start = 0xf0000;
	event.dma.below_last = 0xfffff;
	event.dma.above_start = 0x103000;
	event.dma.above_last = 0x103fff;
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_BELOW | EVENT_DMA_ABOVE;
	tell(event);
	EXPECT_LINE(
		": DMA write of 64 bytes to IOVA 0x101000 blocked: nothing is mapped there; nearest maps: [0xf0000, "
		"0xfffff] 4 KiB before, [0x103000, 0x103fff] 8 KiB after");
	event.dma.below_last = 0x100fff;
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_BELOW;
	tell(event);
	EXPECT_LINE(": DMA write of 64 bytes to IOVA 0x101000 blocked: nothing is mapped there; nearest map: [0xf0000, "
		    "0x100fff] directly before");
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_ABOVE;
	event.dma.iova = 0x102ffd;
	tell(event);
	EXPECT_LINE(
		": DMA write of 64 bytes to IOVA 0x102ffd blocked: nothing is mapped there; nearest map: [0x103000, "
		"0x103fff] 3 bytes after");
	event.dma.known = EVENT_DMA_IOAS;
	tell(event);
	EXPECT_LINE(
		": DMA write of 64 bytes to IOVA 0x102ffd blocked: nothing is mapped there; nothing at all is mapped "
		"in ioas 2");
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_MAPPED;
	tell(event);
	EXPECT_LINE(
		": DMA write of 64 bytes to IOVA 0x102ffd blocked: nothing was mapped there; the map that is there by "
		"now is [0xf0000, 0x100fff]");
	event.dma.known |= EVENT_DMA_REVOKED;
	tell(event);
	EXPECT_LINE(": DMA write of 64 bytes to IOVA 0x102ffd blocked: its exporter has taken back the buffer that is "
		    "mapped there; the map is [0xf0000, 0x100fff]");
	end();
}

static void what_is_far_is_told_roughly(void)
{
	static const struct {
		uint64_t before;
		const char *text;
	} cases[] = {
		{1, "1 byte"},
		{1025, "1025 bytes"},
		{1048575, "1048575 bytes"},
		{1 << 20, "1 MiB"},
		{(1 << 20) + 1, "over 1 MiB"},
		{(1 << 30) - 1, "over 1023 MiB"},
		{UINT64_C(3) << 30, "3 GiB"},
		{UINT64_C(3) << 40 | 5, "over 3 TiB"},
		{UINT64_C(0xfff) << 50, "4095 PiB"},
	};
	struct event event = fault(DMA_FAULT_NOT_MAPPED);
	char text[256];

	begin();
	event.dma.iova = UINT64_MAX;
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_BELOW;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		event.dma.below_last = UINT64_MAX - 1 - cases[i].before;
		tell(event);
		snprintf(text, sizeof(text),
			 "iommuse: 0000:01:00.0: DMA write of 64 bytes to IOVA 0xffffffffffffffff blocked: nothing is "
			 "mapped there; nearest map: [0x0, 0x%" PRIx64 "] %s before\n",
			 event.dma.below_last, cases[i].text);
		EXPECT_TEXT(text);
	}
	end();
}

static void what_was_there_before_is_told(void)
{
	struct event event = fault(DMA_FAULT_NOT_MAPPED);

	begin();
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_ABOVE | EVENT_DMA_UNMAPPED;
	event.dma.above_start = 0x103000;
	event.dma.above_last = 0x103fff;
	event.dma.gone_ns = NOW - 12 * SECOND / 1000 - 5;
	event.dma.gone_pid = 4242;
	tell(event);
	EXPECT_LINE(
		": DMA write of 64 bytes to IOVA 0x101000 blocked: nothing is mapped there; nearest map: [0x103000, "
		"0x103fff] 8 KiB after; it was mapped until 12 ms ago (unmapped by process 4242)");
	event.dma.gone_ns = NOW - 61 * SECOND - 400 * SECOND / 1000;
	event.dma.gone_pid = 0;
	tell(event);
	EXPECT_LINE(
		": DMA write of 64 bytes to IOVA 0x101000 blocked: nothing is mapped there; nearest map: [0x103000, "
		"0x103fff] 8 KiB after; it was mapped until 61.4 s ago");
	event.dma.known = EVENT_DMA_IOAS | EVENT_DMA_UNMAPPED | EVENT_DMA_ALL;
	event.dma.gone_ns = NOW - 17000;
	event.dma.gone_pid = 9;
	tell(event);
	EXPECT_LINE(
		": DMA write of 64 bytes to IOVA 0x101000 blocked: nothing is mapped there; nothing at all is mapped "
		"in ioas 2; everything was unmapped 17 us ago by process 9");
	event = fault(DMA_FAULT_NO_DOMAIN);
	event.dma.known = EVENT_DMA_DETACHED;
	event.dma.gone_ns = NOW - 3 * SECOND;
	tell(event);
	EXPECT_LINE(": DMA write of 64 bytes to IOVA 0x101000 blocked: the device is not attached to an IOAS; it was "
		    "attached to ioas 2 until 3.0 s ago");
	end();
}

static void the_process_whose_addresses_are_shared_is_told(void)
{
	struct event event = fault(DMA_FAULT_PAGE_REQUEST);
	char text[256], name[32] = "";

	begin();
	event.dma.pasid = 5;
	event.dma.known = EVENT_DMA_PROCESS;
	event.dma.process = INT32_MAX; /* which has no name */
	tell(event);
	EXPECT_LINE(
		" PASID 5 of process 2147483647: DMA write of 64 bytes to address 0x101000 blocked: the process has "
		"no such memory, or may not access it so");
	/* A name is the process's to choose. */
	event.dma.process = getpid();
	CHECK(!prctl(PR_GET_NAME, name));
	CHECK(!prctl(PR_SET_NAME, "a\033[2J\nb"));
	tell(event);
	snprintf(text, sizeof(text),
		 "iommuse: 0000:01:00.0 PASID 5 of process %d (a?[2J): DMA write of 64 bytes to address 0x101000 "
		 "blocked: the process has no such memory, or may not access it so\n",
		 (int)getpid());
	CHECK(!prctl(PR_SET_NAME, name));
	EXPECT_TEXT(text);
	/* Nor is the number its own any more. */
	event.dma.known = EVENT_DMA_PROCESS | EVENT_DMA_ENDED;
	tell(event);
	snprintf(text, sizeof(text),
		 "iommuse: 0000:01:00.0 PASID 5 of process %d: DMA write of 64 bytes to address 0x101000 blocked: the "
		 "process has ended, or executes another program\n",
		 (int)getpid());
	EXPECT_TEXT(text);
	event = fault(DMA_FAULT_NO_DOMAIN);
	event.dma.pasid = 5;
	event.dma.known = EVENT_DMA_PROCESS | EVENT_DMA_DETACHED;
	event.dma.process = 77;
	event.dma.gone_ns = NOW - 3 * SECOND;
	tell(event);
	EXPECT_LINE(" PASID 5: DMA write of 64 bytes to IOVA 0x101000 blocked: the PASID is not attached to an IOAS; "
		    "it was attached to process 77 until 3.0 s ago");
	end();
}

static void a_burst_is_a_few_lines_and_a_count(void)
{
	struct event event = fault(DMA_FAULT_BUS_MASTER);

	begin();
	for (unsigned i = 0; i < 1238; i++) {
		event.dma.iova++;
		event.time_ns++;
		fault_log_event(faults, &event, 0);
	}
	EXPECT_TEXT(
		"iommuse: 0000:01:00.0: DMA write of 64 bytes to IOVA 0x101001 blocked: bus mastering is off in the "
		"PCI command register\n"
		"iommuse: 0000:01:00.0: DMA write of 64 bytes to IOVA 0x101002 blocked: bus mastering is off in the "
		"PCI command register\n"
		"iommuse: 0000:01:00.0: DMA write of 64 bytes to IOVA 0x101003 blocked: bus mastering is off in the "
		"PCI command register\n"
		"iommuse: 0000:01:00.0: DMA write of 64 bytes to IOVA 0x101004 blocked: bus mastering is off in the "
		"PCI command register\n");
	/* Another reason, and another device, have lines of their own. */
	event.dma.reason = DMA_FAULT_NO_DOMAIN;
	fault_log_event(faults, &event, 0);
	EXPECT_LINE(": DMA write of 64 bytes to IOVA 0x1014d6 blocked: the device is not attached to an IOAS");
	event.dma.device[6] = '2';
	fault_log_event(faults, &event, 0);
	EXPECT_TEXT(
		"iommuse: 0000:02:00.0: DMA write of 64 bytes to IOVA 0x1014d6 blocked: the device is not attached to "
		"an IOAS\n");
	event = fault(DMA_FAULT_BUS_MASTER);
	event.time_ns += 2 * SECOND;
	fault_log_event(faults, &event, 0);
	fault_log_event(faults, &event, 0);
	EXPECT_TEXT(
		"iommuse: 0000:01:00.0: ... and 1234 more (bus mastering is off in the PCI command register), the last "
		"at IOVA 0x1014d6\n"
		"iommuse: 0000:01:00.0: DMA write of 64 bytes to IOVA 0x101000 blocked: bus mastering is off in the "
		"PCI command register\n"
		"iommuse: 0000:01:00.0: DMA write of 64 bytes to IOVA 0x101000 blocked: bus mastering is off in the "
		"PCI command register\n");
	fault_log_settle(faults);
	EXPECT_TEXT("");
	end();
}

static void what_was_counted_is_told_in_the_end(void)
{
	struct event event = fault(DMA_FAULT_NO_DOMAIN);

	begin();
	for (unsigned i = 0; i < FAULT_LINES + 1; i++)
		fault_log_event(faults, &event, 0);
	CHECK(!ftruncate(output, 0) && !lseek(output, 0, SEEK_SET));
	fault_log_event(faults, &(struct event){.type = EVENT_LOST}, 3);
	fault_log_settle(faults);
	EXPECT_TEXT("iommuse: 0000:01:00.0: ... and 1 more (the device is not attached to an IOAS), the last at IOVA "
		    "0x101000\n"
		    "iommuse: 3 events came too fast to be told; wrong DMA may be among them\n");
	fault_log_settle(faults);
	EXPECT_TEXT("");
	end();
}

static void what_was_counted_is_of_a_pasid(void)
{
	struct event event = fault(DMA_FAULT_NO_DOMAIN);

	begin();
	event.dma.pasid = 3;
	event.dma.known = EVENT_DMA_PROCESS | EVENT_DMA_DETACHED; /* which is no address any more */
	for (unsigned i = 0; i < FAULT_LINES + 1; i++)
		fault_log_event(faults, &event, 0);
	event = fault(DMA_FAULT_PAGE_REQUEST);
	event.dma.pasid = 4;
	event.dma.known = EVENT_DMA_PROCESS | EVENT_DMA_ENDED;
	for (unsigned i = 0; i < FAULT_LINES + 1; i++)
		fault_log_event(faults, &event, 0);
	CHECK(!ftruncate(output, 0) && !lseek(output, 0, SEEK_SET));
	fault_log_settle(faults);
	EXPECT_TEXT("iommuse: 0000:01:00.0: ... and 1 more (the PASID is not attached to an IOAS), the last at IOVA "
		    "0x101000\n"
		    "iommuse: 0000:01:00.0: ... and 1 more (the process has ended, or executes another program), the "
		    "last at address 0x101000\n");
	end();
}

/* More devices than there is room for: nothing is lost but that lines come more often. */
static void very_many_devices(void)
{
	struct event event = fault(DMA_FAULT_NO_DOMAIN);
	static char text[1 << 17];
	char name[80];
	ssize_t n;

	begin();
	for (unsigned i = 0; i < 600; i++) {
		memset(event.dma.device, 0, sizeof(event.dma.device));
		snprintf(event.dma.device, sizeof(event.dma.device), "device %u", i / 6);
		event.time_ns++;
		fault_log_event(faults, &event, 0);
	}
	fault_log_settle(faults);
	n = pread(output, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "iommuse: device %u: ... and 2 more (", i);
		CHECK(strstr(text, name));
	}
	end();
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void a_reader_that_does_not_read_is_waited_for_once(void)
{
	struct event event = fault(DMA_FAULT_NO_DOMAIN);
	int64_t start;
	int fds[2];

	CHECK(!pipe2(fds, O_CLOEXEC | O_NONBLOCK));
	while (write(fds[1], "x", 1) == 1)
		;
	faults = fault_log_new(fds[1]);
	start = now_ms();
	for (unsigned i = 0; i < 20; i++)
		tell(event);
	CHECK(now_ms() - start < 15000);
	close(fds[0]);
	tell(event); /* SIGPIPE would end the test */
	fault_log_free(faults);
	close(fds[1]);
}

int main(void)
{
	each_reason_has_words();
	the_nearest_maps_are_told();
	what_is_far_is_told_roughly();
	what_was_there_before_is_told();
	the_process_whose_addresses_are_shared_is_told();
	a_burst_is_a_few_lines_and_a_count();
	what_was_counted_is_told_in_the_end();
	what_was_counted_is_of_a_pasid();
	very_many_devices();
	a_reader_that_does_not_read_is_waited_for_once();
	return check_result();
}
