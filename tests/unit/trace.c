/* SPDX-License-Identifier: BSD-3-Clause */
/* The trace: what a person reads for each command, file and object; records that make no sense; readers that do not
 * read. */
#include "trace_pen.h"

#include "abi/ioasid.h"
#include "abi/iommufd.h"
#include "abi/iommufd_test.h"
#include "abi/vfio.h"
#include "iommufd/object.h"

#include <errno.h>
#include <pthread.h>

static void object(struct pen *pen, uint32_t id, enum iommufd_object_type kind)
{
	tell(pen, (struct event){.type = EVENT_OBJECT, .file = 7, .fd = 3, .object = {id, kind}});
}

/* A call with the structure that type names, its size filled in, and the members that are given. */
#define CALL(pen, cmd, type, result, text, ...)                                                                        \
	expect_call(pen,                                                                                               \
		    call(cmd, result, &(struct type){.size = sizeof(struct type), __VA_ARGS__}, sizeof(struct type)),  \
		    text, __LINE__)
#define VFIO_CALL(pen, cmd, type, result, text, ...)                                                                   \
	expect_call(pen,                                                                                               \
		    call(cmd, result, &(struct type){.argsz = sizeof(struct type), __VA_ARGS__}, sizeof(struct type)), \
		    text, __LINE__)
#define VALUE_CALL(pen, cmd, value, result, text)                                                                      \
	do {                                                                                                           \
		struct event event_ = call(cmd, result, "", 0);                                                        \
                                                                                                                       \
		event_.call.arg_value = value;                                                                         \
		expect_call(pen, event_, text, __LINE__);                                                              \
	} while (0)

static void address_space_commands(void)
{
	struct pen pen = pen_new();

	open_file(&pen);
	CALL(&pen, IOMMU_IOAS_ALLOC, iommu_ioas_alloc, 0, "IOAS_ALLOC -> 0 ioas=1", .out_ioas_id = 1);
	CALL(&pen, IOMMU_IOAS_ALLOC, iommu_ioas_alloc, -EOPNOTSUPP, "IOAS_ALLOC flags=0x8 -> EOPNOTSUPP", .flags = 8);
	CALL(&pen, IOMMU_IOAS_MAP, iommu_ioas_map, 0,
	     "IOAS_MAP ioas=1 READABLE|WRITEABLE|FIXED_IOVA va=0x7f1200000000 length=4 KiB iova=0x1000000 -> 0",
	     .flags = 7, .ioas_id = 1, .user_va = 0x7f1200000000, .length = 4096, .iova = 0x1000000);
	CALL(&pen, IOMMU_IOAS_MAP, iommu_ioas_map, -EEXIST,
	     "IOAS_MAP ioas=1 READABLE|FIXED_IOVA va=0x1000 length=2 MiB iova=0x0 -> EEXIST", .flags = 5, .ioas_id = 1,
	     .user_va = 0x1000, .length = 2 << 20);
	CALL(&pen, IOMMU_IOAS_MAP, iommu_ioas_map, 0,
	     "IOAS_MAP ioas=1 WRITEABLE va=0x1000 length=100 bytes -> 0 iova=0x5000", .flags = 2, .ioas_id = 1,
	     .user_va = 0x1000, .length = 100, .iova = 0x5000);
	CALL(&pen, IOMMU_IOAS_MAP, iommu_ioas_map, -EOPNOTSUPP,
	     "IOAS_MAP ioas=1 READABLE|0x18 __reserved=0x9 va=0x0 length=1 byte -> EOPNOTSUPP", .flags = 0x1c,
	     .ioas_id = 1, .__reserved = 9, .length = 1);
	CALL(&pen, IOMMU_IOAS_MAP, iommu_ioas_map, -EOPNOTSUPP,
	     "IOAS_MAP ioas=1 flags=0x18 va=0x0 length=1 TiB -> EOPNOTSUPP", .flags = 0x18, .ioas_id = 1,
	     .length = UINT64_C(1) << 40);
	CALL(&pen, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, -EBADF,
	     "IOAS_MAP_FILE ioas=1 READABLE fd=-1 start=0x2000 length=0 bytes -> EBADF", .flags = 4, .ioas_id = 1,
	     .fd = -1, .start = 0x2000);
	CALL(&pen, IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, 0,
	     "IOAS_MAP_FILE ioas=1 READABLE fd=5 start=0x0 length=1025 KiB -> 0 iova=0x1000", .flags = 4, .ioas_id = 1,
	     .fd = 5, .length = 1025 * 1024, .iova = 0x1000);
	CALL(&pen, IOMMU_IOAS_COPY, iommu_ioas_copy, 0,
	     "IOAS_COPY dst_ioas=2 src_ioas=1 READABLE length=0x100001 src_iova=0x1000 -> 0 dst_iova=0x3000",
	     .flags = 4, .dst_ioas_id = 2, .src_ioas_id = 1, .length = 0x100001, .src_iova = 0x1000,
	     .dst_iova = 0x3000);
	CALL(&pen, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, 0, "IOAS_UNMAP ioas=1 iova=0x0 -> 0 length=8 KiB", .ioas_id = 1,
	     .length = 8192);
	CALL(&pen, IOMMU_IOAS_UNMAP, iommu_ioas_unmap, -ENOENT,
	     "IOAS_UNMAP ioas=1 iova=0x1000 length=0xffffffffffffffff -> ENOENT", .ioas_id = 1, .iova = 0x1000,
	     .length = UINT64_MAX);
	CALL(&pen, IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, -EMSGSIZE,
	     "IOAS_IOVA_RANGES ioas=1 ranges=0x7000 -> EMSGSIZE num=1 alignment=1 byte", .ioas_id = 1, .num_iovas = 1,
	     .allowed_iovas = 0x7000, .out_iova_alignment = 1);
	CALL(&pen, IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, -ENOENT,
	     "IOAS_IOVA_RANGES ioas=1 num=4 ranges=0x7000 -> ENOENT", .ioas_id = 1, .num_iovas = 4,
	     .allowed_iovas = 0x7000);
	CALL(&pen, IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, -EADDRINUSE,
	     "IOAS_ALLOW_IOVAS ioas=1 num=2 ranges=0x7000 -> EADDRINUSE", .ioas_id = 1, .num_iovas = 2,
	     .allowed_iovas = 0x7000);
	CALL(&pen, IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, -EINVAL, "IOAS_CHANGE_PROCESS -> EINVAL", );
	CALL(&pen, IOMMU_OPTION, iommu_option, -EPERM, "OPTION op=SET option=RLIMIT_MODE value=1 -> EPERM",
	     .option_id = IOMMU_OPTION_RLIMIT_MODE, .op = IOMMU_OPTION_OP_SET, .val64 = 1);
	CALL(&pen, IOMMU_OPTION, iommu_option, 0, "OPTION op=GET option=HUGE_PAGES object=1 -> 0 value=1",
	     .option_id = IOMMU_OPTION_HUGE_PAGES, .op = IOMMU_OPTION_OP_GET, .object_id = 1, .val64 = 1);
	CALL(&pen, IOMMU_OPTION, iommu_option, -EOPNOTSUPP, "OPTION op=2 option=0x12345678 value=0 -> EOPNOTSUPP",
	     .option_id = 0x12345678, .op = 2);
	CALL(&pen, IOMMU_VFIO_IOAS, iommu_vfio_ioas, 0, "VFIO_IOAS op=GET -> 0 ioas=4", .ioas_id = 4);
	CALL(&pen, IOMMU_VFIO_IOAS, iommu_vfio_ioas, -ENOENT, "VFIO_IOAS op=SET ioas=4 -> ENOENT", .ioas_id = 4,
	     .op = IOMMU_VFIO_IOAS_SET);
	CALL(&pen, IOMMU_VFIO_IOAS, iommu_vfio_ioas, 0, "VFIO_IOAS op=CLEAR -> 0", .op = IOMMU_VFIO_IOAS_CLEAR);
	CALL(&pen, IOMMU_DESTROY, iommu_destroy, -ENOENT, "DESTROY id=9 -> ENOENT", .id = 9);
	pen_free(&pen);
}

static void page_table_commands(void)
{
	struct pen pen = pen_new();

	open_file(&pen);
	CALL(&pen, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, 0, "HWPT_ALLOC device=2 pt=1 NEST_PARENT|PASID -> 0 hwpt=3",
	     .flags = 9, .dev_id = 2, .pt_id = 1, .out_hwpt_id = 3, .fault_id = 77);
	CALL(&pen, IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, -ENOENT,
	     "HWPT_ALLOC device=2 pt=1 FAULT_ID_VALID data_type=SELFTEST data_len=8 bytes data=0x7000 fault=5 -> "
	     "ENOENT",
	     .flags = IOMMU_HWPT_FAULT_ID_VALID, .dev_id = 2, .pt_id = 1, .data_type = IOMMU_HWPT_DATA_SELFTEST,
	     .data_len = 8, .data_uptr = 0x7000, .fault_id = 5);
	CALL(&pen, IOMMU_GET_HW_INFO, iommu_hw_info, 0,
	     "GET_HW_INFO device=2 data=0x7000 -> 0 data_len=24 bytes type=INTEL_VTD max_pasid_log2=20 "
	     "capabilities=DIRTY_TRACKING",
	     .dev_id = 2, .data_uptr = 0x7000, .data_len = 24, .out_data_type = 1, .out_max_pasid_log2 = 20,
	     .out_capabilities = 1);
	CALL(&pen, IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, -ENOENT,
	     "HWPT_SET_DIRTY_TRACKING hwpt=3 ENABLE -> ENOENT", .flags = 1, .hwpt_id = 3);
	CALL(&pen, IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, 0,
	     "HWPT_GET_DIRTY_BITMAP hwpt=3 NO_CLEAR iova=0x1000 length=1 GiB page_size=4 KiB bitmap=0x7000 -> 0",
	     .flags = 1, .hwpt_id = 3, .iova = 0x1000, .length = 1 << 30, .page_size = 4096, .data = 0x7000);
	CALL(&pen, IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, -EINVAL,
	     "HWPT_INVALIDATE hwpt=3 data_type=VTD_S1 data=0x7000 entry_len=24 bytes -> EINVAL done=1", .hwpt_id = 3,
	     .data_uptr = 0x7000, .entry_len = 24, .entry_num = 1);
	CALL(&pen, IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, 0, "FAULT_QUEUE_ALLOC -> 0 fault=2 fd=9",
	     .out_fault_id = 2, .out_fault_fd = 9);
	CALL(&pen, IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, 0,
	     "VIOMMU_ALLOC type=SELFTEST device=2 hwpt=3 -> 0 viommu=4", .type = IOMMU_VIOMMU_TYPE_SELFTEST,
	     .dev_id = 2, .hwpt_id = 3, .out_viommu_id = 4);
	CALL(&pen, IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, -EEXIST,
	     "VDEVICE_ALLOC viommu=4 device=2 virt_id=0x99 -> EEXIST", .viommu_id = 4, .dev_id = 2, .virt_id = 0x99);
	CALL(&pen, IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, 0,
	     "VEVENTQ_ALLOC viommu=4 type=SELFTEST depth=8 -> 0 veventq=5 fd=10", .viommu_id = 4,
	     .type = IOMMU_VEVENTQ_TYPE_SELFTEST, .veventq_depth = 8, .out_veventq_id = 5, .out_veventq_fd = 10);
	CALL(&pen, IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, 0,
	     "HW_QUEUE_ALLOC viommu=4 type=TEGRA241_CMDQV index=1 iova=0x1000 length=64 KiB -> 0 hw_queue=6",
	     .viommu_id = 4, .type = 1, .index = 1, .nesting_parent_iova = 0x1000, .length = 65536,
	     .out_hw_queue_id = 6);
	pen_free(&pen);
}

static void test_commands(void)
{
	struct pen pen = pen_new();

	open_file(&pen);
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, 0, "TEST_CMD MOCK_DOMAIN pt=1 -> 0 stdev=2 hwpt=3 idev=4",
	     .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = 1,
	     .mock_domain = {.out_stdev_id = 2, .out_hwpt_id = 3, .out_idev_id = 4});
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, -EOPNOTSUPP,
	     "TEST_CMD ACCESS_RW fd=5 WRITE|0x2 iova=0x1000 length=16 MiB va=0x7000 -> EOPNOTSUPP",
	     .op = IOMMU_TEST_OP_ACCESS_RW, .id = 5,
	     .access_rw = {.iova = 0x1000, .length = 16 << 20, .uptr = 0x7000, .flags = 3});
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, 0, "TEST_CMD PASID_REPLACE stdev=2 pasid=100 -> 0 pt=7",
	     .op = IOMMU_TEST_OP_PASID_REPLACE, .id = 2, .pasid_replace = {.pasid = 100, .pt_id = 7});
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, 0,
	     "TEST_CMD TRIGGER_IOPF device=4 grpid=7 perm=READ|PRIV addr=0x5000 -> 0", .op = IOMMU_TEST_OP_TRIGGER_IOPF,
	     .trigger_iopf = {.dev_id = 4, .grpid = 7, .perm = 9, .addr = 0x5000});
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, -ENODEV,
	     "TEST_CMD TRIGGER_IOPF device=4 pasid=100 grpid=7 addr=0x5000 -> ENODEV", .op = IOMMU_TEST_OP_TRIGGER_IOPF,
	     .trigger_iopf = {.dev_id = 4, .pasid = 100, .grpid = 7, .addr = 0x5000});
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, 0,
	     "TEST_CMD DIRTY hwpt=3 iova=0x1000 length=64 KiB page_size=4 KiB bitmap=0x7000 -> 0 dirty=3",
	     .op = IOMMU_TEST_OP_DIRTY, .id = 3,
	     .dirty = {.iova = 0x1000, .length = 65536, .page_size = 4096, .uptr = 0x7000, .out_nr_dirty = 3});
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, 0, "TEST_CMD CREATE_ACCESS ioas=1 NEEDS_PIN_PAGES -> 0 fd=5",
	     .op = IOMMU_TEST_OP_CREATE_ACCESS, .id = 1, .create_access = {.flags = 1, .out_access_fd = 5});
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, 0,
	     "TEST_CMD ACCESS_PAGES fd=5 WRITE iova=0x1000 length=4 KiB va=0x7000 -> 0 pages=2",
	     .op = IOMMU_TEST_OP_ACCESS_PAGES, .id = 5,
	     .access_pages = {.flags = 1, .iova = 0x1000, .length = 4096, .uptr = 0x7000, .out_access_pages_id = 2});
	CALL(&pen, IOMMU_TEST_CMD, iommu_test_cmd, -EOPNOTSUPP, "TEST_CMD op=99 -> EOPNOTSUPP", .op = 99);
	expect_call(&pen, call(IOMMU_TEST_CMD, -EFAULT, "", 0), "TEST_CMD arg=0x7f00beef0000 -> EFAULT", __LINE__);
	pen_free(&pen);
}

/* Each op has a name, and no two have the same. */
static void every_command_has_a_name(void)
{
	struct pen pen = pen_new();
	char text[256];

	for (uint32_t op = IOMMU_TEST_OP_ADD_RESERVED; op <= IOMMU_TEST_OP_DMABUF_REVOKE; op++) {
		struct iommu_test_cmd cmd = {.size = sizeof(cmd), .op = op};

		tell(&pen, call(IOMMU_TEST_CMD, -ENOENT, &cmd, sizeof(cmd)));
	}
	for (uint32_t nr = IOMMUFD_CMD_DESTROY; nr <= IOMMUFD_CMD_HW_QUEUE_ALLOC; nr++)
		tell(&pen, call(_IO(';', nr), -ENOENT, "", 0));
	EXPECT(lseek(pen.fd, 0, SEEK_SET) == 0);
	FILE *file = fdopen(dup(pen.fd), "r");
	unsigned lines = 0;

	EXPECT(file);
	while (fgets(text, sizeof(text), file)) {
		lines++;
		EXPECT(!strstr(text, "op=") && !strstr(text, "ioctl"));
	}
	fclose(file);
	EXPECT(lines == IOMMU_TEST_OP_DMABUF_REVOKE + IOMMUFD_CMD_HW_QUEUE_ALLOC - IOMMUFD_CMD_DESTROY + 1);
	pen_free(&pen);
}

struct bind_call {
	uint32_t argsz, mode;
	struct vfio_iommu_type1_bind_process process;
};

static void container_commands(void)
{
	struct pen pen = pen_new();

	open_file(&pen);
	VALUE_CALL(&pen, VFIO_GET_API_VERSION, 0, 0, "VFIO_GET_API_VERSION -> 0");
	VALUE_CALL(&pen, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU, 1, "VFIO_CHECK_EXTENSION TYPE1v2_IOMMU -> 1");
	VALUE_CALL(&pen, VFIO_CHECK_EXTENSION, UINT64_MAX, 0, "VFIO_CHECK_EXTENSION 0xffffffffffffffff -> 0");
	VALUE_CALL(&pen, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU, -EINVAL, "VFIO_SET_IOMMU NOIOMMU_IOMMU -> EINVAL");
	VFIO_CALL(&pen, VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, 0,
		  "VFIO_IOMMU_GET_INFO -> 0 argsz=24 PGSIZES|CAPS pgsizes=0xfffffffffffff000", .flags = 3,
		  .iova_pgsizes = 0xfffffffffffff000);
	VFIO_CALL(&pen, VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map, 0,
		  "VFIO_IOMMU_MAP_DMA READ|WRITE va=0x7000 size=4 KiB iova=0x0 -> 0", .flags = 3, .vaddr = 0x7000,
		  .size = 4096);
	VFIO_CALL(&pen, VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, -ENOENT,
		  "VFIO_IOMMU_UNMAP_DMA ALL iova=0x0 -> ENOENT size=0 bytes", .flags = VFIO_DMA_UNMAP_FLAG_ALL);
	expect_call(&pen,
		    call(VFIO_IOMMU_BIND, 0, &(struct bind_call){.argsz = 20, .mode = 1, .process = {.pasid = 7}}, 20),
		    "VFIO_IOMMU_BIND mode=PROCESS -> 0 pasid=7", __LINE__);
	expect_call(&pen,
		    call(VFIO_IOMMU_BIND, -EACCES,
			 &(struct bind_call){.argsz = 20, .mode = 1, .process = {.flags = 1, .pasid = 7, .pid = 77}},
			 20),
		    "VFIO_IOMMU_BIND mode=PROCESS PID pid=77 -> EACCES", __LINE__);
	expect_call(&pen,
		    call(VFIO_IOMMU_UNBIND, -ESRCH,
			 &(struct bind_call){.argsz = 24, .mode = 1, .process = {.flags = 1, .pid = -1}}, 20),
		    "VFIO_IOMMU_UNBIND argsz=24 mode=PROCESS PID pid=-1 -> ESRCH", __LINE__);
	VALUE_CALL(&pen, VFIO_IOMMU_DIRTY_PAGES, 0x7000, -ENOTTY, "VFIO_IOMMU_DIRTY_PAGES arg=0x7000 -> ENOTTY");
	pen_free(&pen);
}

static void ioasid_calls(void)
{
	struct pen pen = pen_new();

	open_file(&pen);
	expect_call(&pen, call(IOASID_GET_API_VERSION, 0, "", 0), "IOASID_GET_API_VERSION -> 0", __LINE__);
	VFIO_CALL(&pen, IOASID_GET_INFO, ioasid_info, 0, "IOASID_GET_INFO -> 0 bits=31", .ioasid_bits = 31);
	VFIO_CALL(&pen, IOASID_REQUEST_ALLOC, ioasid_alloc_request, 5, "IOASID_REQUEST_ALLOC min=1 max=100 -> 5",
		  .range = {1, 100});
	VFIO_CALL(&pen, IOASID_REQUEST_ALLOC, ioasid_alloc_request, -EINVAL,
		  "IOASID_REQUEST_ALLOC flags=0x8 min=0 max=0 -> EINVAL", .flags = 8);
	expect_call(&pen, call(IOASID_REQUEST_FREE, -ENOENT, &(int32_t){5}, 4), "IOASID_REQUEST_FREE pasid=5 -> ENOENT",
		    __LINE__);
	expect_call(&pen, call(IOASID_REQUEST_FREE, -EINVAL, &(int32_t){-1}, 4),
		    "IOASID_REQUEST_FREE pasid=-1 -> EINVAL", __LINE__);
	VALUE_CALL(&pen, IOASID_REQUEST_FREE, 0x7000, -EFAULT, "IOASID_REQUEST_FREE arg=0x7000 -> EFAULT");
	pen_free(&pen);
}

static void calls_that_make_no_sense(void)
{
	struct iommu_ioas_map map = {.size = 36, .flags = 4, .ioas_id = 1, .user_va = 0x7000, .length = 4096};
	struct pen pen = pen_new();
	struct event event;

	open_file(&pen);
	/* As much as there is of a structure is shown, and how long its sender thought it was. */
	expect_call(&pen, call(IOMMU_IOAS_MAP, -EINVAL, &map, sizeof(map)),
		    "IOAS_MAP size=36 ioas=1 READABLE va=0x7000 length=4 KiB -> EINVAL", __LINE__);
	expect_call(&pen, call(IOMMU_IOAS_MAP, -EINVAL, &map, 20), "IOAS_MAP size=36 ioas=1 READABLE -> EINVAL",
		    __LINE__);
	expect_call(&pen, call(IOMMU_IOAS_MAP, -EINVAL, &map, 3), "IOAS_MAP -> EINVAL", __LINE__);
	VALUE_CALL(&pen, IOMMU_IOAS_MAP, 0, -EFAULT, "IOAS_MAP arg=0x0 -> EFAULT");
	VALUE_CALL(&pen, 0xdeadbeef, 0x7000, -ENOTTY, "ioctl 0xdeadbeef arg=0x7000 -> ENOTTY");
	VALUE_CALL(&pen, 0, 0, -4095, "ioctl 0x0 arg=0x0 -> -4095");
	VALUE_CALL(&pen, 0, 0, INT64_MIN, "ioctl 0x0 arg=0x0 -> -9223372036854775808");
	/* A size that the record cannot have. */
	event = call(IOMMU_IOAS_ALLOC, 0, &(struct iommu_ioas_alloc){.size = 12, .out_ioas_id = 1}, 12);
	event.call.arg_size = UINT32_MAX;
	expect_call(&pen, event, "IOAS_ALLOC -> 0 ioas=1", __LINE__);
	/* A file and a thread that nobody knows. */
	event.file = 8;
	event.fd = -1;
	event.pid = 5;
	event.tid = 6;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[5/6] file #8 IOAS_ALLOC -> 0 ioas=1\n");
	pen_free(&pen);
}

/* Any bytes at all: for the sanitizers. */
static void noise(void)
{
	struct pen pen = pen_new();
	uint32_t random = 1;

	for (int i = 0; i < 20000; i++) {
		struct event event;
		unsigned char *p = (unsigned char *)&event;

		for (size_t n = 0; n < sizeof(event); n++) {
			random = random * 1664525 + 1013904223;
			p[n] = random >> 24;
		}
		event.type %= EVENT_LOST + 2;
		event.file %= 4;
		if (event.type == EVENT_CALL && i % 2)
			event.call.cmd = _IO(';', 0x60 + event.call.cmd % 0x50);
		trace_event(pen.trace, &event, i % 100 == 0);
	}
	EXPECT(trace_unwritten(pen.trace) == 0);
	pen_free(&pen);
}

static void text_cannot_control_the_terminal(void)
{
	struct pen pen = pen_new();
	struct event event = {.type = EVENT_MESSAGE, .text = "a\033[2Jb\nc"};
	char expected[300];

	tell(&pen, event);
	EXPECT_TEXT(&pen, "[1234] a?[2Jb?c\n");
	/* A text without an end. */
	memset(event.text, 'x', sizeof(event.text));
	tell(&pen, event);
	snprintf(expected, sizeof(expected), "[1234] %.*s\n", (int)sizeof(event.text), event.text);
	EXPECT_TEXT(&pen, expected);
	event.type = EVENT_OPEN;
	event.fd = -1;
	tell(&pen, event);
	snprintf(expected, sizeof(expected), "[1234] open %.*s\n", (int)sizeof(event.text), event.text);
	EXPECT_TEXT(&pen, expected);
	pen_free(&pen);
}

static void map(struct pen *pen, uint32_t type, uint32_t ioas, uint64_t iova, uint64_t last, uint64_t n, uint64_t bytes)
{
	tell(pen, (struct event){.type = type,
				 .file = 7,
				 .fd = 3,
				 .map = {.ioas = ioas, .iova = iova, .last = last, .count = n, .bytes = bytes}});
}

static void a_close_says_what_was_alive(void)
{
	struct pen pen = pen_new();

	open_file(&pen);
	object(&pen, 1, OBJECT_IOAS);
	object(&pen, 2, OBJECT_FAULT);
	object(&pen, 3, OBJECT_IOAS);
	object(&pen, 4, OBJECT_IOAS);
	map(&pen, EVENT_MAP, 1, 0x1000, 0x1fff, 0, 0);
	map(&pen, EVENT_MAP, 1, 0x8000, 0x9fff, 1, 0);
	map(&pen, EVENT_MAP, 1, 0x20000, 0x23fff, 2, 0);
	map(&pen, EVENT_MAP, 3, 0, 0xfff, 1, 0);
	map(&pen, EVENT_MAP, 4, 0, 0xfff, 1, 0);
	map(&pen, EVENT_MAP, 99, 0, 0xfff, 1, 0); /* no such object */
	map(&pen, EVENT_MAP, 2, 0, 0xfff, 1, 0);
	map(&pen, EVENT_UNMAP, 2, 0, 0xfff, 7, 0);
	/* Two areas with a gap between them. */
	map(&pen, EVENT_UNMAP, 1, 0x1000, 0x9fff, 2, 0x3000);
	map(&pen, EVENT_UNMAP, 3, 0, UINT64_MAX, 1, 0);
	tell(&pen, (struct event){.type = EVENT_DESTROY, .file = 7, .fd = 3, .object = {4, OBJECT_IOAS}});
	EXPECT_TEXT(&pen, "");
	/* The call that destroyed it ends after the object. */
	CALL(&pen, IOMMU_DESTROY, iommu_destroy, 0, "DESTROY ioas=4 -> 0", .id = 4);
	CALL(&pen, IOMMU_DESTROY, iommu_destroy, -EBUSY, "DESTROY fault=2 -> EBUSY", .id = 2);
	/* Nobody closes: the last descriptor went with its process. */
	tell(&pen, (struct event){.type = EVENT_CLOSE, .file = 7, .fd = -1});
	EXPECT_TEXT(&pen, "[1234] close /dev/iommu(3), with 3 objects alive:\n"
			  "[1234]     ioas 1: 2 maps, 16 KiB\n"
			  "[1234]     fault 2\n"
			  "[1234]     ioas 3: no maps\n");
	tell(&pen, (struct event){.type = EVENT_OPEN, .file = 8, .fd = 9, .text = "anon_inode:[iommufd-pgfault]"});
	tell(&pen, (struct event){.type = EVENT_CLOSE, .file = 8, .fd = -1});
	EXPECT_TEXT(&pen, "[1234] open anon_inode:[iommufd-pgfault] -> 9\n"
			  "[1234] close anon_inode:[iommufd-pgfault](9)\n");
	/* What comes after the close changes nothing. */
	object(&pen, 1, OBJECT_IOAS);
	tell(&pen, (struct event){.type = EVENT_CLOSE, .file = 7, .fd = -1});
	EXPECT_TEXT(&pen, "[1234] close file #7\n");
	tell(&pen, (struct event){.type = EVENT_CLOSE, .file = 9, .fd = -1, .text = "anon_inode:[iommufd-veventq]"});
	EXPECT_TEXT(&pen, "[1234] close anon_inode:[iommufd-veventq]\n");
	open_file(&pen);
	tell(&pen, (struct event){.type = EVENT_CLOSE, .file = 7, .fd = 3});
	EXPECT_TEXT(&pen, "[1234] close /dev/iommu(3), with nothing alive\n");
	pen_free(&pen);
}

static void a_close_does_not_list_a_thousand_objects(void)
{
	struct pen pen = pen_new();
	char expected[2000];
	size_t n;

	open_file(&pen);
	for (uint32_t id = 1; id <= 1000; id++)
		object(&pen, id, id % 2 ? OBJECT_VEVENTQ : (enum iommufd_object_type)1000);
	n = (size_t)snprintf(expected, sizeof(expected), "[1234] close /dev/iommu(3), with 1000 objects alive:\n");
	for (int id = 1; id <= 16; id++)
		n += (size_t)snprintf(expected + n, sizeof(expected) - n, "[1234]     %s %d\n",
				      id % 2 ? "veventq" : "object", id);
	snprintf(expected + n, sizeof(expected) - n, "[1234]     and 984 more\n");
	tell(&pen, (struct event){.type = EVENT_CLOSE, .file = 7, .fd = -1});
	EXPECT_TEXT(&pen, expected);
	/* A file that is never closed, with objects. */
	open_file(&pen);
	object(&pen, 1, OBJECT_IOAS);
	open_file(&pen);
	pen_free(&pen);
}

static void attachments_are_told(void)
{
	struct pen pen = pen_new();
	struct event event = {.type = EVENT_ATTACH, .file = 7, .fd = -1, .attach = {.device = 5, .hwpt = 6}};

	tell(&pen, event);
	EXPECT_TEXT(&pen, "[1234] file #7 device 5 is attached to hwpt 6\n");
	event.attach.hwpt = 0;
	tell(&pen, event); /* with its file, which is closed */
	EXPECT_TEXT(&pen, "");
	event.attach.hwpt = 6;
	open_file(&pen);
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) device 5 is attached to hwpt 6\n");
	event.attach.pasid = 9;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) device 5 PASID 9 is attached to hwpt 6\n");
	event.attach.hwpt = 0;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) device 5 PASID 9 is detached\n");
	event.attach.pasid = 0;
	trace_event(pen.trace, &event, 0);
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) device 5 is detached\n");
	pen_free(&pen);
}

static void transfer(struct pen *pen, struct event event, const void *record, size_t size)
{
	event.file = 7;
	event.fd = 3968;
	event.transfer.size = (uint32_t)size;
	EXPECT(size <= sizeof(event.transfer.record));
	memcpy(event.transfer.record, record, size);
	tell(pen, event);
}

static void event_queues_are_told(void)
{
	const struct iommu_hwpt_pgfault fault = {
		.flags = 3, .dev_id = 4, .pasid = 9, .grpid = 7, .perm = 2, .addr = 0x5000, .cookie = 1};
	const struct iommu_hwpt_page_response good = {.cookie = 1}, bad = {.cookie = 2, .code = 7};
	const struct iommufd_vevent_header lost = {.flags = 1, .sequence = 12}, header = {.sequence = 13};
	struct pen pen = pen_new();

	transfer(&pen, (struct event){.type = EVENT_READ, .transfer = {5, OBJECT_FAULT, 40, 0, {0}}}, &fault,
		 sizeof(fault));
	EXPECT_TEXT(&pen,
		    "[1234] file #7 read fault=5 -> 40 device=4 pasid=9 perm=WRITE addr=0x5000 grpid=7 cookie=1\n");
	open_file(&pen);
	transfer(&pen, (struct event){.type = EVENT_READ, .transfer = {5, OBJECT_FAULT, 0, 0, {0}}}, "", 0);
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) read fault=5 -> 0\n");
	transfer(&pen, (struct event){.type = EVENT_WRITE, .transfer = {5, OBJECT_FAULT, 8, 0, {0}}}, &good,
		 sizeof(good));
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) write fault=5 cookie=1 code=SUCCESS -> 8\n");
	transfer(&pen, (struct event){.type = EVENT_WRITE, .transfer = {5, OBJECT_FAULT, -EINVAL, 0, {0}}}, &bad,
		 sizeof(bad));
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) write fault=5 cookie=2 code=7 -> EINVAL\n");
	transfer(&pen, (struct event){.type = EVENT_WRITE, .transfer = {5, OBJECT_FAULT, -EFAULT, 0, {0}}}, "", 0);
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) write fault=5 -> EFAULT\n");
	transfer(&pen, (struct event){.type = EVENT_READ, .transfer = {6, OBJECT_VEVENTQ, 24, 0, {0}}}, &lost,
		 sizeof(lost));
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) read veventq=6 -> 24 LOST_EVENTS sequence=12\n");
	transfer(&pen, (struct event){.type = EVENT_READ, .transfer = {6, OBJECT_VEVENTQ, 12, 0, {0}}}, &header,
		 sizeof(header));
	EXPECT_TEXT(&pen, "[1234] /dev/iommu(3) read veventq=6 -> 12 sequence=13\n");
	pen_free(&pen);
}

static void losses_are_told(void)
{
	struct pen pen = pen_new();

	trace_event(pen.trace, &(struct event){.type = EVENT_LOST}, 1);
	EXPECT_TEXT(&pen, "[-] 1 event was lost: the trace was read too slowly\n");
	trace_event(pen.trace, &(struct event){.type = EVENT_MESSAGE, .text = "hello"}, 12);
	EXPECT_TEXT(&pen, "[-] 12 events were lost: the trace was read too slowly\n[-] hello\n");
	pen_free(&pen);
}

static void a_reader_that_left_costs_lines_and_nothing_else(void)
{
	struct trace *trace;
	int fds[2];

	EXPECT(pipe2(fds, O_CLOEXEC) == 0);
	EXPECT(trace_new(fds[1], &trace) == 0);
	close(fds[0]);
	close(fds[1]);
	/* SIGPIPE would end the test. */
	for (int i = 0; i < 10; i++)
		trace_event(trace, &(struct event){.type = EVENT_MESSAGE, .text = "hello"}, 0);
	EXPECT(trace_unwritten(trace) == 10);
	trace_free(trace);
	EXPECT(trace_new(-1, &trace) == -EBADF);
}

static void a_reader_that_comes_back_learns_what_it_missed(void)
{
	const struct event hello = {.type = EVENT_MESSAGE, .text = "hello"};
	char text[65536 + 1];
	struct trace *trace;
	int fds[2];

	EXPECT(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
	EXPECT(trace_new(fds[1], &trace) == 0);
	while (write(fds[1], text, 4096) > 0)
		;
	trace_hurry(trace);
	trace_event(trace, &hello, 0);
	trace_event(trace, &hello, 0);
	EXPECT(trace_unwritten(trace) == 2);
	while (read(fds[0], text, sizeof(text)) > 0)
		;
	trace_event(trace, &hello, 0);
	trace_event(trace, &hello, 0);
	memset(text, 0, sizeof(text));
	EXPECT(read(fds[0], text, sizeof(text) - 1) > 0);
	EXPECT(!strcmp(text, "[-] 2 lines are missing here: nobody read\n[-] hello\n[-] hello\n"));
	EXPECT(trace_unwritten(trace) == 2);
	trace_free(trace);
	close(fds[0]);
	close(fds[1]);
}

static void *hurry(void *trace)
{
	trace_hurry(trace);
	return NULL;
}

static void a_reader_that_does_not_read_is_not_waited_for_in_the_end(void)
{
	struct event_stream *events;
	struct trace *trace;
	pthread_t thread;
	int fds[2];

	EXPECT(pipe2(fds, O_CLOEXEC) == 0);
	EXPECT(trace_new(fds[1], &trace) == 0);
	EXPECT(event_stream_new(&events) == 0 && event_stream_listen(events, trace_event, trace) == 0);
	/* More than a pipe takes. */
	for (int i = 0; i < EVENT_RING_RECORDS; i++) {
		struct event event = {.type = EVENT_MESSAGE, .pid = 1};

		memset(event.text, 'x', sizeof(event.text));
		event_announce(events, &event);
	}
	EXPECT(pthread_create(&thread, NULL, hurry, trace) == 0);
	event_stream_free(events);
	pthread_join(thread, NULL);
	EXPECT(trace_unwritten(trace) > 0);
	trace_free(trace);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	address_space_commands();
	page_table_commands();
	test_commands();
	every_command_has_a_name();
	container_commands();
	ioasid_calls();
	calls_that_make_no_sense();
	noise();
	text_cannot_control_the_terminal();
	a_close_says_what_was_alive();
	a_close_does_not_list_a_thousand_objects();
	attachments_are_told();
	event_queues_are_told();
	losses_are_told();
	a_reader_that_left_costs_lines_and_nothing_else();
	a_reader_that_comes_back_learns_what_it_missed();
	a_reader_that_does_not_read_is_not_waited_for_in_the_end();
	return 0;
}
