/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How to write a device: a PCI device in software behind a real VFIO device, whose DMA goes through the IOMMU.
 *
 * A model is a structure that says what the device is and has callbacks. A shared object exports it:
 *
 *	const struct iommuse_model *iommuse_get_model(void);
 *
 * and `iommuse run --device ./my_model.so` loads it; nothing has to be linked. docs/writing-a-device.md walks through
 * one.
 *
 * Threads: callbacks of one device never run at the same time; those of different devices do. A callback may use every
 * function of this header, of its own device. It does a bounded amount of work: the driver's accesses wait for it.
 */
#ifndef IOMMUSE_DEVICE_H
#define IOMMUSE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IOMMUSE_DEVICE_API 1

#define IOMMUSE_BARS  6
#define IOMMUSE_AREAS 4

/* Pages of a BAR that the driver maps, and shares with the device: stores of the driver are seen by poll only. */
struct iommuse_area {
	uint32_t offset, length; /* whole pages; ascending and apart */
};

/* All of a BAR that is in no area is trapped: each access is a callback, at once. */
struct iommuse_bar {
	uint32_t size; /* a power of two from 4096 to 1 GiB; 0: there is no such BAR */
	bool wide;     /* 64 bits: the next BAR is its upper half, and must be 0 */
	bool prefetchable;
	struct iommuse_area area[IOMMUSE_AREAS]; /* up to the first without length */
};

/* A setting of the model: --device NAME,key=value. */
struct iommuse_key {
	const char *name;    /* NULL: the list's end */
	const char *value;   /* what it takes, for people: "BYTES"; NULL: nothing, and its value is "" if it is given */
	const char *help;    /* one line */
	const char *initial; /* what it has if it is not given; NULL: nothing */
};

/* A device that exists. */
struct iommuse_device;

enum iommuse_direction {
	IOMMUSE_READ = 1,  /* the device reads memory */
	IOMMUSE_WRITE = 2, /* the device writes memory */
};

#define IOMMUSE_NO_PASID 0U

struct iommuse_model {
	size_t struct_size;             /* sizeof(struct iommuse_model): lets the structure grow */
	uint32_t api_version;           /* IOMMUSE_DEVICE_API */
	const char *name;               /* "ioat" */
	const char *title;              /* one line: what it is */
	const char *example;            /* a command line that can be pasted; may be NULL */
	const struct iommuse_key *keys; /* may be NULL */

	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
	uint8_t revision;
	struct iommuse_bar bar[IOMMUSE_BARS];

	bool intx;             /* has an interrupt pin */
	uint8_t msi_vectors;   /* 0, or a power of two up to 32 */
	uint16_t msix_vectors; /* 0, or up to 2048; its table and pending bits lie in a BAR, where nobody looks at them:
				  in trapped pages, or in one area, so that drivers can map the BAR whole */
	uint8_t msix_bar;
	uint32_t msix_table, msix_pba; /* offsets in that BAR, multiples of 8 */
	uint8_t pasid_bits;            /* 0, or up to 20: capabilities PASID and ATS */
	bool page_requests;            /* capability PRI */

	/*
	 * Makes the state of a device. Returns 0, or -errno after iommuse_say(). What the device's user gave for a key
	 * is told by iommuse_value(). The BARs are not there yet. May be NULL, as destroy.
	 */
	int (*create)(struct iommuse_device *device, void **state);
	void (*destroy)(void *state);

	/*
	 * Brings the device into the state of power-on: at the first open, at VFIO_DEVICE_RESET, and after the last
	 * close. The memory of the areas has just been cleared. No DMA or interrupt of before may come afterwards. May
	 * not be NULL.
	 */
	void (*reset)(void *state);

	/* An access to a trapped part: width is 1, 2, 4 or 8, offset a multiple of it. NULL: reads give 0, writes are
	 * dropped. */
	uint64_t (*read)(void *state, unsigned bar, uint64_t offset, unsigned width);
	void (*write)(void *state, unsigned bar, uint64_t offset, unsigned width, uint64_t value);

	/*
	 * Looks for work: at doorbells in areas, at what is left to do. Returns whether it found any; then it is called
	 * again soon. While it finds none it is called less and less often, down to once in some milliseconds; a write
	 * to a trapped part wakes it at once. Called only while the device is open. May be NULL.
	 */
	bool (*poll)(void *state);

	/* The answer to iommuse_page_request(). Called some time after it, not within it. May be NULL. */
	void (*page_response)(void *state, uint32_t pasid, uint32_t group, bool success);

	/*
	 * The driver is about to unmask the interrupt pin, which is asserted, and may have said in an area that it need
	 * not be. Sees to the pin and begins no work: a thread of the driver's waits for it, and poll is called soon.
	 * NULL: poll is called instead.
	 */
	void (*look_at_pin)(void *state);
};

/* A DMA that went wrong. */
struct iommuse_fault {
	uint64_t iova; /* of the first byte that failed */
	uint32_t pasid;
	uint32_t reason; /* enum iommuse_fault_reason */
};

enum iommuse_fault_reason {
	IOMMUSE_FAULT_NO_DOMAIN = 1, /* nothing is attached */
	IOMMUSE_FAULT_NOT_MAPPED,
	IOMMUSE_FAULT_READ_ONLY,
	IOMMUSE_FAULT_WRITE_ONLY,
	IOMMUSE_FAULT_MEMORY,     /* mapped, but the memory behind it is gone */
	IOMMUSE_FAULT_BUS_MASTER, /* the driver has not let the device do DMA (PCI command register) */
	/* The PASID is a process's, which has no such memory, or may not access it so, or is gone. The page was asked
	 * for already. */
	IOMMUSE_FAULT_PAGE_REQUEST,
};

/* Memory borrowed by iommuse_dma_map(). */
struct iommuse_mapping {
	void *memory;
	uint64_t length;
	uint64_t iova;
	uint32_t pasid, direction;
	void *own; /* not the model's */
};

/* How the functions below are reached: a model needs no library. */
struct iommuse_device_ops {
	size_t struct_size;
	const char *(*value)(struct iommuse_device *device, const char *key);
	void *(*area)(struct iommuse_device *device, unsigned bar, uint64_t offset);
	int (*dma_read)(struct iommuse_device *device, uint32_t pasid, uint64_t iova, void *to, size_t n,
			struct iommuse_fault *fault);
	int (*dma_write)(struct iommuse_device *device, uint32_t pasid, uint64_t iova, const void *from, size_t n,
			 struct iommuse_fault *fault);
	int (*dma_copy)(struct iommuse_device *device, uint32_t pasid, uint64_t to, uint64_t from, size_t n,
			struct iommuse_fault *fault);
	int (*dma_map)(struct iommuse_device *device, uint32_t pasid, uint64_t iova, size_t n,
		       enum iommuse_direction direction, struct iommuse_mapping *mapping, struct iommuse_fault *fault);
	void (*dma_unmap)(struct iommuse_device *device, struct iommuse_mapping *mapping);
	void (*raise)(struct iommuse_device *device, unsigned vector);
	void (*set_intx)(struct iommuse_device *device, bool asserted);
	unsigned (*vectors)(struct iommuse_device *device);
	void (*say)(struct iommuse_device *device, const char *text);
	int (*page_request)(struct iommuse_device *device, uint32_t pasid, uint64_t address, uint32_t access,
			    uint32_t group);
};

struct iommuse_device {
	const struct iommuse_device_ops *ops;
};

/* What the user gave for a key, or its initial value; NULL: neither. Valid while the device lives. */
static inline const char *iommuse_value(struct iommuse_device *device, const char *key)
{
	return device->ops->value(device, key);
}

/* The memory of an area, from an offset of its BAR on; NULL: the device is not open, or no area is there. Valid until
 * the next reset. */
static inline void *iommuse_memory(struct iommuse_device *device, unsigned bar, uint64_t offset)
{
	return device->ops->area(device, bar, offset);
}

/*
 * Copies n bytes by DMA. fault may be NULL. Returns 0, or -EFAULT with *fault: what came before is transferred. The
 * user of the device is told at once what went wrong.
 */
static inline int iommuse_dma_read(struct iommuse_device *device, uint32_t pasid, uint64_t iova, void *to, size_t n,
				   struct iommuse_fault *fault)
{
	return device->ops->dma_read(device, pasid, iova, to, n, fault);
}

static inline int iommuse_dma_write(struct iommuse_device *device, uint32_t pasid, uint64_t iova, const void *from,
				    size_t n, struct iommuse_fault *fault)
{
	return device->ops->dma_write(device, pasid, iova, from, n, fault);
}

/* From memory to memory, in one step where both are mapped here. They must not overlap. fault->iova lies in the one
 * that failed. */
static inline int iommuse_dma_copy(struct iommuse_device *device, uint32_t pasid, uint64_t to, uint64_t from, size_t n,
				   struct iommuse_fault *fault)
{
	return device->ops->dma_copy(device, pasid, to, from, n, fault);
}

/*
 * Borrows the memory behind [iova, iova + n - 1], n at most 64 KiB, until iommuse_dma_unmap() or the end of the
 * callback, whichever comes first. An unmap by the driver waits for that, so keep it short. Where the memory is not in
 * one piece, or is not mapped here, mapping->memory is a copy, written back by iommuse_dma_unmap(). Returns 0; -EFAULT:
 * with *fault; -EINVAL: n or direction; -ENOMEM; -EBUSY: four are borrowed already.
 */
static inline int iommuse_dma_map(struct iommuse_device *device, uint32_t pasid, uint64_t iova, size_t n,
				  enum iommuse_direction direction, struct iommuse_mapping *mapping,
				  struct iommuse_fault *fault)
{
	return device->ops->dma_map(device, pasid, iova, n, direction, mapping, fault);
}

static inline void iommuse_dma_unmap(struct iommuse_device *device, struct iommuse_mapping *mapping)
{
	device->ops->dma_unmap(device, mapping);
}

/*
 * Sends a message signalled interrupt: a vector of MSI-X or MSI, whichever the driver enabled. Nothing comes where
 * neither is enabled, or where the device may not do DMA (PCI command register). Never waits.
 */
static inline void iommuse_raise(struct iommuse_device *device, unsigned vector)
{
	device->ops->raise(device, vector);
}

/* The level of the interrupt pin. It interrupts while MSI and MSI-X are disabled. */
static inline void iommuse_set_intx(struct iommuse_device *device, bool asserted)
{
	device->ops->set_intx(device, asserted);
}

/* How many vectors of MSI-X or MSI the driver enabled; 0: none. */
static inline unsigned iommuse_vectors(struct iommuse_device *device)
{
	return device->ops->vectors(device);
}

/*
 * Asks for a page (PRI): the driver, or the process that the PASID belongs to, is to make it accessible. access: bits
 * of enum iommuse_direction. group: the model's number for it, below 512 and not one that waits for its answer; the
 * driver sees another one while a request that a reset forgot has that. The answer is a call of page_response(); a
 * reset forgets what was asked for. Returns 0; -EINVAL: group or access;
 * -EBUSY: the group waits already; -EOPNOTSUPP: the model has no page requests; -EFAULT: the driver has not let the
 * device do DMA (PCI command register), of which the user is told.
 */
static inline int iommuse_page_request(struct iommuse_device *device, uint32_t pasid, uint64_t address, uint32_t access,
				       uint32_t group)
{
	return device->ops->page_request(device, pasid, address, access, group);
}

/* Tells the user of the device something: one line, without its name and a newline. */
static inline void iommuse_say(struct iommuse_device *device, const char *text)
{
	device->ops->say(device, text);
}

/* What a shared object exports, also where it is compiled to hide what it does not say to export. */
__attribute__((visibility("default"))) const struct iommuse_model *iommuse_get_model(void);

#ifdef __cplusplus
}
#endif

#endif
