/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Regions of a device: its BARs and its configuration space, by read and write in the widths that the offset allows, or
 * mapped. What is copied from or to a client goes through a buffer, so that no lock is held meanwhile.
 */
#include "vfio/pci_region.h"

#include "abi/vfio.h"
#include "vfio/device_file.h"

#include <errno.h>
#include <sys/mman.h>

/* Bytes that are copied at once; a multiple of the largest width, so that cutting changes no width. */
#define PIECE 512U

/* The area that an offset is in; NULL: it is trapped. */
static const struct iommuse_area *find_area(const struct iommuse_bar *bar, uint64_t offset)
{
	for (const struct iommuse_area *area = bar->area; area < bar->area + IOMMUSE_AREAS && area->length; area++)
		if (offset >= area->offset && offset - area->offset < area->length)
			return area;
	return NULL;
}

static bool in_vectors(const struct iommuse_model *model, unsigned bar, uint64_t offset)
{
	return model->msix_vectors && bar == model->msix_bar && offset >= model->msix_table &&
	       offset - model->msix_table < 16U * model->msix_vectors;
}

static bool in_pending(const struct iommuse_model *model, unsigned bar, uint64_t offset)
{
	return model->msix_vectors && bar == model->msix_bar && offset >= model->msix_pba &&
	       offset - model->msix_pba < (model->msix_vectors + 63U) / 64 * 8;
}

bool region_in_vectors(const struct iommuse_model *model, unsigned bar, uint64_t offset, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		if (in_vectors(model, bar, offset + i))
			return true;
	return false;
}

/* The width of the access at an offset that has n bytes to go. */
static unsigned natural_width(uint64_t offset, size_t n, unsigned most)
{
	unsigned width = most;

	while (width > n || offset % width)
		width /= 2;
	return width;
}

static uint64_t load(const uint8_t *from, unsigned width)
{
	switch (width) {
	case 1:
		return __atomic_load_n(from, __ATOMIC_RELAXED);
	case 2:
		return __atomic_load_n((const uint16_t *)(const void *)from, __ATOMIC_RELAXED);
	case 4:
		return __atomic_load_n((const uint32_t *)(const void *)from, __ATOMIC_RELAXED);
	default:
		return __atomic_load_n((const uint64_t *)(const void *)from, __ATOMIC_RELAXED);
	}
}

/* What the client stored before is seen by a device that sees this. */
static void store(uint8_t *to, unsigned width, uint64_t value)
{
	switch (width) {
	case 1:
		__atomic_store_n(to, (uint8_t)value, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((uint16_t *)(void *)to, (uint16_t)value, __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((uint32_t *)(void *)to, (uint32_t)value, __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n((uint64_t *)(void *)to, value, __ATOMIC_RELEASE);
	}
}

/* With model_lock held. VFIO keeps the vectors for itself; none of them is ever pending. */
static int bar_read(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned width, uint64_t *value)
{
	const struct iommuse_model *model = device->model;

	*value = UINT64_MAX;
	if (in_vectors(model, bar, offset))
		return 0;
	if (!pci_config_decodes(&device->config))
		return -EIO;
	*value = 0;
	if (in_pending(model, bar, offset))
		return 0;
	if (!find_area(&model->bar[bar], offset)) {
		if (model->read)
			*value = model->read(device->state, bar, offset, width);
	} else if (device->memory[bar]) {
		*value = load(device->memory[bar] + offset, width);
	}
	return 0;
}

static int bar_write(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned width, uint64_t value)
{
	const struct iommuse_model *model = device->model;

	if (in_vectors(model, bar, offset))
		return 0;
	if (!pci_config_decodes(&device->config))
		return -EIO;
	if (in_pending(model, bar, offset))
		return 0;
	if (!find_area(&model->bar[bar], offset)) {
		if (model->write)
			model->write(device->state, bar, offset, width, value);
	} else if (device->memory[bar]) {
		store(device->memory[bar] + offset, width, value);
	}
	return 0;
}

/* Reads a piece of a BAR. */
static int read_piece(struct vfio_device *device, unsigned bar, uint64_t offset, uint8_t *to, size_t n)
{
	int rc = 0;

	pthread_mutex_lock(&device->model_lock);
	for (size_t done = 0; done < n && !rc;) {
		const unsigned width = natural_width(offset + done, n - done, 8);
		uint64_t value;

		rc = bar_read(device, bar, offset + done, width, &value);
		for (unsigned i = 0; i < width; i++)
			to[done + i] = (uint8_t)(value >> 8 * i);
		done += width;
	}
	pthread_mutex_unlock(&device->model_lock);
	return rc;
}

int region_write(struct vfio_device *device, unsigned bar, uint64_t offset, const uint8_t *from, size_t n, size_t got)
{
	int rc = 0;

	pthread_mutex_lock(&device->model_lock);
	for (size_t done = 0; done < n && !rc;) {
		const unsigned width = natural_width(offset + done, n - done, 8);
		uint64_t value = 0;

		if (width > got - done) {
			rc = -EFAULT;
			break;
		}
		for (unsigned i = 0; i < width; i++)
			value |= (uint64_t)from[done + i] << 8 * i;
		rc = bar_write(device, bar, offset + done, width, value);
		done += width;
	}
	pthread_mutex_unlock(&device->model_lock);
	vfio_device_kick(device);
	return rc;
}

/* Bytes up to the end of the piece that an offset is in. */
static size_t piece_length(uint64_t offset, size_t n)
{
	const size_t room = PIECE - offset % PIECE;

	return n < room ? n : room;
}

static ssize_t read_bar(struct vfio_device *device, struct client *client, unsigned bar, uaddr_t buf, size_t count,
			uint64_t offset)
{
	const uint32_t size = device->model->bar[bar].size;
	uint8_t piece[PIECE];

	if (offset >= size)
		return -EINVAL;
	if (count > size - offset)
		count = size - offset;
	for (size_t done = 0, n; done < count; done += n) {
		int rc;

		n = piece_length(offset + done, count - done);
		rc = read_piece(device, bar, offset + done, piece, n);
		if (!rc)
			rc = client_copy_out(client, uaddr_add(buf, done), piece, n);
		if (rc)
			return rc;
	}
	return (ssize_t)count;
}

static ssize_t write_bar(struct vfio_device *device, struct client *client, unsigned bar, uaddr_t buf, size_t count,
			 uint64_t offset)
{
	const uint32_t size = device->model->bar[bar].size;
	uint8_t piece[PIECE];

	if (offset >= size)
		return -EINVAL;
	if (count > size - offset)
		count = size - offset;
	for (size_t done = 0, n; done < count; done += n) {
		size_t got;
		int rc;

		n = piece_length(offset + done, count - done);
		got = client_read(client, piece, uaddr_add(buf, done), n);
		rc = region_write(device, bar, offset + done, piece, n, got);
		if (rc)
			return rc;
	}
	return (ssize_t)count;
}

/* Configuration space */

static void set_bits(struct pci_config *config, unsigned offset, uint8_t bits, bool set)
{
	config->byte[offset] = (uint8_t)(set ? config->byte[offset] | bits : config->byte[offset] & ~bits);
}

/* MSI: at most as many vectors as VFIO has enabled are in use. */
static void limit_msi(struct pci_config *config, uint32_t enabled)
{
	uint8_t *control = &config->byte[config->msi + PCI_MSI_FLAGS];
	const unsigned most = enabled > 1 ? 32U - (unsigned)__builtin_clz(enabled - 1) : 0;

	if ((unsigned)(*control >> 4 & 7) > most)
		*control = (uint8_t)((*control & 0x8f) | most << 4);
}

void vfio_device_refresh_config(struct vfio_device *device)
{
	struct pci_config *config = &device->config;
	struct irqs *irqs = &device->irqs;
	uint32_t enabled;
	bool asserted;
	int mode;

	pthread_mutex_lock(&irqs->lock);
	mode = irqs->mode;
	enabled = irqs->enabled;
	asserted = irqs->asserted;
	pthread_mutex_unlock(&irqs->lock);
	set_bits(config, PCI_STATUS, PCI_STATUS_INTERRUPT, asserted);
	if (config->msi) {
		set_bits(config, config->msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, mode == VFIO_PCI_MSI_IRQ_INDEX);
		limit_msi(config, mode == VFIO_PCI_MSI_IRQ_INDEX ? enabled : 0);
	}
	if (config->msix)
		set_bits(config, config->msix + PCI_MSIX_FLAGS + 1U, PCI_MSIX_FLAGS_ENABLE >> 8,
			 mode == VFIO_PCI_MSIX_IRQ_INDEX);
}

/* Is [offset, offset + n) written, and does it contain the byte at? Stores what it gets. */
static bool writes_byte(unsigned offset, unsigned n, uint32_t value, unsigned at, uint8_t *byte)
{
	if (at < offset || at - offset >= n)
		return false;
	*byte = (uint8_t)(value >> 8 * (at - offset));
	return true;
}

/* A reset is for who has the device open: a call that was made before it was closed may come late. */
static void reset_function(struct device_file *file)
{
	struct vfio_device *device = file->device;

	pthread_mutex_lock(&device->lock);
	if (device_is_taken(file))
		device_reset_now(device);
	pthread_mutex_unlock(&device->lock);
}

static void config_write(struct device_file *file, unsigned offset, unsigned n, uint32_t value)
{
	struct vfio_device *device = file->device;
	struct pci_config *config = &device->config;
	const unsigned control = config->express + PCI_EXP_DEVCTL + 1;
	uint16_t before, after;
	uint8_t byte;

	pthread_mutex_lock(&device->model_lock);
	before = vfio_device_command(device);
	pci_config_write(config, offset, n, value);
	after = vfio_device_command(device);
	if ((before ^ after) & PCI_COMMAND_INTX_DISABLE)
		irq_intx_disabled(device);
	vfio_device_refresh_config(device);
	pthread_mutex_unlock(&device->model_lock);
	if (before != after)
		vfio_device_kick(device);
	if (config->express && writes_byte(offset, n, value, control, &byte) && byte & PCI_EXP_DEVCTL_BCR_FLR >> 8)
		reset_function(file);
}

static ssize_t read_config(struct vfio_device *device, struct client *client, uaddr_t buf, size_t count,
			   uint64_t offset)
{
	uint8_t piece[PCI_CONFIG_SIZE];
	int rc;

	if (offset >= device->config.size || count > device->config.size - offset)
		return -EFAULT;
	pthread_mutex_lock(&device->model_lock);
	vfio_device_refresh_config(device);
	memcpy(piece, device->config.byte + offset, count);
	pthread_mutex_unlock(&device->model_lock);
	rc = client_copy_out(client, buf, piece, count);
	return rc ? rc : (ssize_t)count;
}

static ssize_t write_config(struct device_file *file, struct client *client, uaddr_t buf, size_t count, uint64_t offset)
{
	const uint32_t size = file->device->config.size;
	uint8_t piece[PCI_CONFIG_SIZE];
	size_t got;

	if (offset >= size || count > size - offset)
		return -EFAULT;
	got = client_read(client, piece, buf, count);
	for (size_t done = 0; done < count;) {
		const unsigned width = natural_width(offset + done, count - done, 4);
		uint32_t value = 0;

		if (width > got - done)
			return -EFAULT;
		for (unsigned i = 0; i < width; i++)
			value |= (uint32_t)piece[done + i] << 8 * i;
		config_write(file, (unsigned)(offset + done), width, value);
		done += width;
	}
	return (ssize_t)count;
}

ssize_t device_read(struct device_file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	const uint64_t index = pos >> REGION_SHIFT;

	if (!count)
		return 0;
	if (index < IOMMUSE_BARS)
		return read_bar(file->device, client, (unsigned)index, buf, count, pos & REGION_MASK);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return read_config(file->device, client, buf, count, pos & REGION_MASK);
	return -EINVAL;
}

ssize_t device_write(struct device_file *file, struct client *client, uaddr_t buf, size_t count, uint64_t pos)
{
	const uint64_t index = pos >> REGION_SHIFT;

	if (!count)
		return 0;
	if (index < IOMMUSE_BARS)
		return write_bar(file->device, client, (unsigned)index, buf, count, pos & REGION_MASK);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return write_config(file, client, buf, count, pos & REGION_MASK);
	return -EINVAL;
}

/* Mapping */

int device_mmap(struct device_file *file, struct client *client, uint64_t length, int prot, int flags, uint64_t offset,
		struct file_region **region)
{
	struct vfio_device *device = file->device;
	const uint64_t index = offset >> REGION_SHIFT;
	const uint64_t start = offset & REGION_MASK;
	const struct iommuse_area *area;
	int rc = -EINVAL;

	(void)client;
	(void)prot;
	if (index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (index >= IOMMUSE_BARS || start % PAGE_SIZE)
		return -EINVAL;
	area = find_area(&device->model->bar[index], start);
	if (!area || !length || length > area->offset + (uint64_t)area->length - start)
		return -EINVAL;
	pthread_mutex_lock(&device->model_lock);
	if (device->region[index]) {
		*region = file_region_get(device->region[index]);
		rc = 0;
	}
	pthread_mutex_unlock(&device->model_lock);
	return rc;
}

/* VFIO_DEVICE_GET_REGION_INFO */

struct region_caps {
	struct vfio_info_cap_header *last; /* NULL: none */
	uint32_t length;
	_Alignas(8) uint8_t bytes[128];
};

static void *add_cap(struct region_caps *caps, uint16_t id, size_t size)
{
	struct vfio_info_cap_header *cap = (void *)(caps->bytes + caps->length);

	if (caps->last)
		caps->last->next = (uint32_t)sizeof(struct vfio_region_info) + caps->length;
	*cap = (struct vfio_info_cap_header){.id = id, .version = 1};
	caps->last = cap;
	caps->length += (uint32_t)size;
	return cap;
}

static bool vectors_mappable(const struct iommuse_model *model, unsigned index)
{
	const struct iommuse_area *area;

	if (!model->msix_vectors || index != model->msix_bar)
		return false;
	area = find_area(&model->bar[index], model->msix_table);
	return area && model->msix_table - area->offset + 16U * model->msix_vectors <= area->length;
}

/* Which pages can be mapped, where it is not all of them; and that those of the vectors are among them. */
static void add_bar_caps(struct region_caps *caps, const struct iommuse_model *model, unsigned index)
{
	const struct iommuse_bar *bar = &model->bar[index];
	struct vfio_region_info_cap_sparse_mmap *sparse;
	uint32_t count = 0;

	while (count < IOMMUSE_AREAS && bar->area[count].length)
		count++;
	if (bar->area[0].length < bar->size) {
		sparse = add_cap(caps, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
				 sizeof(*sparse) + count * sizeof(*sparse->areas));
		sparse->nr_areas = count;
		for (uint32_t i = 0; i < count; i++)
			sparse->areas[i] = (struct vfio_region_sparse_mmap_area){.offset = bar->area[i].offset,
										 .size = bar->area[i].length};
	}
	if (vectors_mappable(model, index))
		add_cap(caps, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, sizeof(struct vfio_info_cap_header));
}

static int describe(const struct vfio_device *device, struct vfio_region_info *info, struct region_caps *caps)
{
	const uint32_t index = info->index;

	if (index >= VFIO_PCI_NUM_REGIONS || index == VFIO_PCI_VGA_REGION_INDEX)
		return -EINVAL;
	info->offset = (uint64_t)index << REGION_SHIFT;
	info->size = 0;
	info->flags = 0;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		info->size = device->config.size;
	else if (index < IOMMUSE_BARS)
		info->size = device->model->bar[index].size;
	if (!info->size)
		return 0;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (index < IOMMUSE_BARS && device->model->bar[index].area[0].length) {
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		add_bar_caps(caps, device->model, index);
	}
	return 0;
}

int device_get_region_info(struct device_file *file, struct client *client, uaddr_t arg)
{
	struct vfio_region_info info;
	struct region_caps caps = {.length = 0};
	uint32_t total;
	int rc;

	if (client_copy_in(client, &info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	rc = describe(file->device, &info, &caps);
	if (rc)
		return rc;
	total = (uint32_t)sizeof(info) + caps.length;
	if (caps.length) {
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info.cap_offset = info.argsz < total ? 0 : (uint32_t)sizeof(info);
		if (info.argsz < total)
			info.argsz = total;
		else if (client_copy_out(client, uaddr_add(arg, sizeof(info)), caps.bytes, caps.length))
			return -EFAULT;
	}
	return client_copy_out(client, arg, &info, sizeof(info));
}
