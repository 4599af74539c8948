/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of the NVM Express Base Specification, revision 1.4, as far as the model "nvme" has to do with them. */
#ifndef IOMMUSE_DEVICES_NVME_SPEC_H
#define IOMMUSE_DEVICES_NVME_SPEC_H

#include <stdint.h>

/* Registers (3.1). */
enum {
	NVME_CAP = 0x00,
	NVME_VS = 0x08,
	NVME_INTMS = 0x0c,
	NVME_INTMC = 0x10,
	NVME_CC = 0x14,
	NVME_CSTS = 0x1c,
	NVME_NSSR = 0x20,
	NVME_AQA = 0x24,
	NVME_ASQ = 0x28,
	NVME_ACQ = 0x30,
	NVME_CMBLOC = 0x38,
	NVME_CMBSTS = 0x58,
	NVME_DOORBELLS = 0x1000,
};

enum {
	CAP_MQES_SHIFT = 0,
	CAP_CQR_SHIFT = 16,
	CAP_TO_SHIFT = 24, /* of 500 ms */
	CAP_CSS_SHIFT = 37,
	CAP_MPSMAX_SHIFT = 52,

	CC_EN = 1 << 0,
	CC_CSS_SHIFT = 4,
	CC_MPS_SHIFT = 7,
	CC_AMS_SHIFT = 11,
	CC_SHN_SHIFT = 14,
	CC_IOSQES_SHIFT = 16,
	CC_IOCQES_SHIFT = 20,

	CSTS_RDY = 1 << 0,
	CSTS_CFS = 1 << 1,
	CSTS_SHST_OCCURRING = 1 << 2,
	CSTS_SHST_COMPLETE = 2 << 2,
};

#define NVME_VERSION 0x00010400U

#define SQE_SHIFT 6U
#define CQE_SHIFT 4U

/* A command (4.2). */
struct nvme_command {
	uint8_t opcode;
	uint8_t flags; /* FUSE, PSDT */
	uint16_t cid;
	uint32_t nsid;
	uint32_t dw2, dw3;
	uint64_t metadata;
	uint64_t prp1, prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

_Static_assert(sizeof(struct nvme_command) == 1U << SQE_SHIFT, "size of a command");

enum {
	COMMAND_FUSE = 0x03,
	COMMAND_PSDT_SHIFT = 6,

	OPCODE_TO_DEVICE = 1, /* data are */
};

/* A completion (4.6). */
struct nvme_completion {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id;
	uint16_t cid;
	uint16_t status; /* bit 0: phase */
};

_Static_assert(sizeof(struct nvme_completion) == 1U << CQE_SHIFT, "size of a completion");

/* Status: the code, its type in bits 8 to 10 (4.6.1), and flags. */
enum nvme_status {
	NVME_SUCCESS = 0x000,
	NVME_INVALID_OPCODE = 0x001,
	NVME_INVALID_FIELD = 0x002,
	NVME_DATA_TRANSFER_ERROR = 0x004,
	NVME_INTERNAL_ERROR = 0x006,
	NVME_ABORT_REQUESTED = 0x007,
	NVME_INVALID_NAMESPACE = 0x00b,
	NVME_SEQUENCE_ERROR = 0x00c,
	NVME_SGL_INVALID_SEGMENT = 0x00d,
	NVME_SGL_INVALID_COUNT = 0x00e,
	NVME_SGL_INVALID_LENGTH = 0x00f,
	NVME_SGL_INVALID_TYPE = 0x011,
	NVME_PRP_INVALID_OFFSET = 0x013,
	NVME_WRITE_PROTECTED = 0x020,
	NVME_LBA_OUT_OF_RANGE = 0x080,
	NVME_CAPACITY_EXCEEDED = 0x081,
	/* Of a command. */
	NVME_CQ_INVALID = 0x100,
	NVME_INVALID_QUEUE_ID = 0x101,
	NVME_INVALID_QUEUE_SIZE = 0x102,
	NVME_TOO_MANY_EVENT_REQUESTS = 0x105,
	NVME_INVALID_VECTOR = 0x108,
	NVME_INVALID_LOG_PAGE = 0x109,
	NVME_INVALID_QUEUE_DELETION = 0x10c,
	NVME_FEATURE_NOT_SAVEABLE = 0x10d,
	NVME_FEATURE_NOT_OF_NAMESPACE = 0x10f,
	/* Of the medium. */
	NVME_WRITE_FAULT = 0x280,
	NVME_READ_ERROR = 0x281,
	NVME_COMPARE_FAILURE = 0x285,
	/* Not a status: the command goes on. */
	NVME_LATER = 0xffff,
};

enum {
	STATUS_CODE = 0x07ff, /* and its type */
	STATUS_MORE = 0x2000, /* there is an entry in the error log */
	STATUS_DNR = 0x4000,  /* do not retry */
};

/* Commands (5, 6). */
enum {
	ADMIN_DELETE_SQ = 0x00,
	ADMIN_CREATE_SQ = 0x01,
	ADMIN_GET_LOG_PAGE = 0x02,
	ADMIN_DELETE_CQ = 0x04,
	ADMIN_CREATE_CQ = 0x05,
	ADMIN_IDENTIFY = 0x06,
	ADMIN_ABORT = 0x08,
	ADMIN_SET_FEATURES = 0x09,
	ADMIN_GET_FEATURES = 0x0a,
	ADMIN_ASYNC_EVENT = 0x0c,

	IO_FLUSH = 0x00,
	IO_WRITE = 0x01,
	IO_READ = 0x02,
	IO_COMPARE = 0x05,
	IO_WRITE_ZEROES = 0x08,
	IO_DATASET = 0x09,
	IO_VERIFY = 0x0c,

	IO_FUA = 1U << 30,       /* in dw12 */
	IO_DEALLOCATE = 1 << 25, /* in dw12 of write zeroes */
	DATASET_DEALLOCATE = 1 << 2,
};

#define NVME_ALL_NAMESPACES 0xffffffffU
#define NVME_NO_COMMAND     0xffffU /* of an error that is of none: its queue, and its number */

/* Asynchronous events (5.2). */
enum {
	EVENT_ERROR = 0,
	EVENT_HEALTH = 1,
	EVENT_TYPES,

	ERROR_INVALID_DOORBELL = 0,
	ERROR_INVALID_DOORBELL_VALUE = 1,
	HEALTH_TEMPERATURE = 1,
};

/* Log pages (5.14.1). */
enum {
	LOG_ERROR = 1,
	LOG_HEALTH = 2,
	LOG_FIRMWARE = 3,
	LOG_CHANGED_NAMESPACES = 4,
};

/* Features (5.21.1). */
enum {
	FEATURE_ARBITRATION = 0x01,
	FEATURE_POWER = 0x02,
	FEATURE_LBA_RANGES = 0x03,
	FEATURE_TEMPERATURE = 0x04,
	FEATURE_ERROR_RECOVERY = 0x05,
	FEATURE_WRITE_CACHE = 0x06,
	FEATURE_QUEUES = 0x07,
	FEATURE_COALESCING = 0x08,
	FEATURE_VECTOR = 0x09,
	FEATURE_ATOMICITY = 0x0a,
	FEATURE_EVENTS = 0x0b,
};

#endif
