/* SPDX-License-Identifier: BSD-3-Clause */
/* The tree of files that programs see of devices: as a description, and laid in a directory. */
#include "check.h"

#include "supervisor/sysfs.h"
#include "supervisor/tree.h"
#include "system/system.h"
#include "vfio/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEVICE "/sys/devices/iommuse/pci0000:05/0000:05:1f.7"

static const struct iommuse_model model = {
	.struct_size = sizeof(model),
	.name = "test",
	.vendor = 0x1234,
	.device = 0xabcd,
	.subsystem_vendor = 0x5678,
	.subsystem_device = 0xef01,
	.class_code = 0x020001,
	.revision = 7,
	.bar = {{.size = 0x4000, .wide = true, .prefetchable = true}, {0}, {.size = 0x10000}},
};

static const struct node nodes[] = {
	{.path = "/dev/iommu", .mode = 0660, .major = 10, .minor = 256},
	{.path = "/dev/vfio/vfio", .mode = 0666, .major = 10, .minor = 196},
	{.path = "/dev/vfio/9", .mode = 0666, .major = 510, .minor = 3},
	{.path = "/dev/vfio/devices/vfio2", .mode = 0666, .major = 511, .minor = 2},
	{.path = NULL},
};

static struct vfio_group group = {.iommu.id = 9};
static struct vfio_device device = {
	.model = &model, .group = &group, .name = "0000:05:1f.7", .bus = 5, .devfn = 0xff, .number = 2};
static struct vfio vfio = {.groups = &group, .devices = &device, .device_count = 1};

static const struct tree_entry *find(const struct tree *tree, const char *path)
{
	const struct tree_entry *entry = tree->root;

	for (const char *word = path + 1; entry; word += strcspn(word, "/") + 1) {
		entry = tree_child(entry, word, strcspn(word, "/"));
		if (!word[strcspn(word, "/")])
			break;
	}
	return entry;
}

static int says(const struct tree *tree, const char *path, const char *text)
{
	const struct tree_entry *entry = find(tree, path);

	if (entry && entry->content && entry->size == strlen(text) && !memcmp(entry->content, text, entry->size))
		return 1;
	printf("%s says '%s'\n", path, entry && entry->content ? entry->content : "nothing");
	return 0;
}

static void describe(struct tree *tree, bool keep_pci)
{
	const struct sysfs_config config = {.vfio = &vfio, .nodes = nodes, .keep_pci = keep_pci};

	tree_init(tree);
	sysfs_describe(tree, &config);
	CHECK_EQ(tree->error, 0);
}

static void attributes_are_those_of_the_model(void)
{
	struct tree tree;

	describe(&tree, false);
	CHECK(says(&tree, DEVICE "/vendor", "0x1234\n"));
	CHECK(says(&tree, DEVICE "/device", "0xabcd\n"));
	CHECK(says(&tree, DEVICE "/subsystem_vendor", "0x5678\n"));
	CHECK(says(&tree, DEVICE "/subsystem_device", "0xef01\n"));
	CHECK(says(&tree, DEVICE "/class", "0x020001\n"));
	CHECK(says(&tree, DEVICE "/revision", "0x07\n"));
	CHECK(says(&tree, DEVICE "/modalias", "pci:v00001234d0000ABCDsv00005678sd0000EF01bc02sc00i01\n"));
	CHECK(says(&tree, DEVICE "/uevent",
		   "DRIVER=vfio-pci\nPCI_CLASS=20001\nPCI_ID=1234:ABCD\nPCI_SUBSYS_ID=5678:EF01\n"
		   "PCI_SLOT_NAME=0000:05:1f.7\nMODALIAS=pci:v00001234d0000ABCDsv00005678sd0000EF01bc02sc00i01\n"));
	CHECK(says(&tree, DEVICE "/driver_override", "(null)\n"));
	CHECK(says(&tree, DEVICE "/irq", "0\n"));
	tree_fini(&tree);
}

/* A line each of what Linux calls a resource: first and last address, flags; the low four bits are the BAR's own. */
static void resource_has_bars_in_their_places(void)
{
	const char none[] = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
	const uint64_t wide = device.config.address[0], low = device.config.address[2];
	char want[13 * sizeof(none)] = "";
	int length;
	struct tree tree;
	const struct tree_entry *entry;

	describe(&tree, false);
	CHECK(wide && low);
	length = snprintf(want, sizeof(want),
			  "0x%016" PRIx64 " 0x%016" PRIx64 " 0x000000000014220c\n%s0x%016" PRIx64 " 0x%016" PRIx64
			  " 0x0000000000040200\n",
			  wide, wide + 0x3fff, none, low, low + 0xffff);
	for (int i = 3; i < 13; i++)
		length += snprintf(want + length, sizeof(want) - (size_t)length, "%s", none);
	CHECK(says(&tree, DEVICE "/resource", want));
	entry = find(&tree, DEVICE "/resource0");
	CHECK(entry && entry->size == 0x4000 && !entry->content);
	CHECK(!find(&tree, DEVICE "/resource1"));
	CHECK(find(&tree, DEVICE "/resource2"));
	entry = find(&tree, DEVICE "/config");
	CHECK(entry && entry->size == device.config.size && !memcmp(entry->content, device.config.byte, entry->size));
	tree_fini(&tree);
}

static void links_lead_to_what_they_name(void)
{
	struct tree tree;

	describe(&tree, false);
	CHECK(says(&tree, "/sys/bus/pci/devices/0000:05:1f.7", "../../../devices/iommuse/pci0000:05/0000:05:1f.7"));
	CHECK(says(&tree, DEVICE "/driver", "../../../../bus/pci/drivers/vfio-pci"));
	CHECK(says(&tree, DEVICE "/subsystem", "../../../../bus/pci"));
	CHECK(says(&tree, DEVICE "/iommu_group", "../../../../kernel/iommu_groups/9"));
	CHECK(says(&tree, DEVICE "/iommu", "../../../virtual/iommu/iommuse0"));
	CHECK(says(&tree, DEVICE "/vfio-dev/vfio2/device", "../../../0000:05:1f.7"));
	CHECK(says(&tree, "/sys/kernel/iommu_groups/9/devices/0000:05:1f.7",
		   "../../../../devices/iommuse/pci0000:05/0000:05:1f.7"));
	CHECK(says(&tree, "/sys/bus/pci/drivers/vfio-pci/0000:05:1f.7",
		   "../../../../devices/iommuse/pci0000:05/0000:05:1f.7"));
	CHECK(says(&tree, "/sys/class/vfio-dev/vfio2", "../../devices/iommuse/pci0000:05/0000:05:1f.7/vfio-dev/vfio2"));
	CHECK(says(&tree, "/sys/class/vfio/9", "../../devices/virtual/vfio/9"));
	tree_fini(&tree);
}

static void numbers_are_those_of_the_nodes(void)
{
	struct tree tree;

	describe(&tree, false);
	CHECK(says(&tree, DEVICE "/vfio-dev/vfio2/dev", "511:2\n"));
	CHECK(says(&tree, DEVICE "/vfio-dev/vfio2/uevent", "MAJOR=511\nMINOR=2\nDEVNAME=vfio/devices/vfio2\n"));
	CHECK(says(&tree, "/sys/devices/virtual/vfio/9/dev", "510:3\n"));
	CHECK(says(&tree, "/sys/kernel/iommu_groups/9/reserved_regions",
		   "0x00000000fee00000 0x00000000feefffff msi\n"));
	CHECK(says(&tree, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n"));
	tree_fini(&tree);
}

static void the_machine_s_devices_are_hidden_or_kept(void)
{
	static const char *const hidden[] = {"/sys/bus/pci/devices", "/sys/kernel/iommu_groups", "/sys/class/iommu"};
	struct tree tree;

	for (int keep = 0; keep < 2; keep++) {
		describe(&tree, keep);
		for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
			CHECK_EQ(find(&tree, hidden[i])->whole, !keep);
		CHECK(!find(&tree, "/sys/bus/pci/drivers")->whole);
		CHECK(!find(&tree, "/sys/module")->whole);
		CHECK(find(&tree, "/sys/module/vfio_pci")->whole);
		CHECK(!find(&tree, "/sys/devices")->whole);
		tree_fini(&tree);
	}
}

static void paths_and_links_of_a_tree(void)
{
	struct tree tree;
	struct tree_entry *dir;
	char path[64];

	tree_init(&tree);
	dir = tree_dir(&tree, "/a/b/c");
	CHECK(dir == tree_dir(&tree, "/a//b/c/"));
	CHECK_EQ(tree_path(dir, path, sizeof(path)), 6);
	CHECK(!strcmp(path, "/a/b/c"));
	CHECK_EQ(tree_path(dir, path, 7), 6);
	CHECK_EQ(tree_path(dir, path, 6), -ENAMETOOLONG);
	tree_link(&tree, dir, "same", "/a/b/c/x");
	tree_link(&tree, dir, "beside", "/a/b/cd");
	tree_link(&tree, dir, "above", "/a");
	tree_link(&tree, dir, "apart", "/z/y");
	tree_link(&tree, dir, "apart", "/other");
	CHECK(says(&tree, "/a/b/c/same", "x"));
	CHECK(says(&tree, "/a/b/c/beside", "../cd"));
	CHECK(says(&tree, "/a/b/c/above", "../../../a"));
	CHECK(says(&tree, "/a/b/c/apart", "../../../z/y"));
	CHECK_EQ(tree.error, 0);
	tree_fini(&tree);
}

static int read_text(const char *path, char *text, int size)
{
	FILE *file = fopen(path, "re");
	int read = file && fgets(text, size, file);

	if (file)
		fclose(file);
	return read;
}

/* Of the machine's own devices, those that are near to all processors say it like this. */
static void processors_are_told_as_linux_does(void)
{
	static const char *const names[] = {"local_cpus", "local_cpulist"};
	const char *folder = "/sys/bus/pci/devices";
	DIR *devices = opendir(folder);
	struct dirent *entry;
	struct tree tree;

	describe(&tree, false);
	CHECK(find(&tree, DEVICE "/local_cpus") && find(&tree, DEVICE "/local_cpulist"));
	while (devices && (entry = readdir(devices))) {
		char path[512], text[4096];

		snprintf(path, sizeof(path), "%s/%s/numa_node", folder, entry->d_name);
		if (entry->d_name[0] == '.' || !read_text(path, text, sizeof(text)) || strcmp(text, "-1\n") != 0)
			continue;
		for (size_t i = 0; i < 2; i++) {
			snprintf(path, sizeof(path), "%s/%s/%s", folder, entry->d_name, names[i]);
			CHECK(read_text(path, text, sizeof(text)));
			snprintf(path, sizeof(path), DEVICE "/%s", names[i]);
			CHECK(says(&tree, path, text));
		}
	}
	if (devices)
		closedir(devices);
	tree_fini(&tree);
}

static void show(int old, int new, const char *name)
{
	(void)old;
	close(openat(new, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
}

static int count(int dir, const char *path)
{
	DIR *entries = fdopendir(openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int n = 0;

	if (!entries)
		return -errno;
	while (readdir(entries))
		n++;
	closedir(entries);
	return n - 2;
}

static void make_file(int dir, const char *path)
{
	close(openat(dir, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	return remove(path);
}

static void a_tree_is_laid_among_what_was_there(void)
{
	char root[] = "/tmp/unit-sysfs-XXXXXX", link[32];
	struct tree tree;
	struct stat st;
	int top, old, new;

	CHECK(mkdtemp(root));
	top = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(!mkdirat(top, "old", 0700) && !mkdirat(top, "new", 0700) && !mkdirat(top, "old/merged", 0700) &&
	      !mkdirat(top, "old/whole", 0700) && !mkdirat(top, "old/other", 0700) &&
	      !mkdirat(top, "old/complete", 0700));
	make_file(top, "old/merged/theirs");
	make_file(top, "old/merged/both");
	make_file(top, "old/whole/theirs");
	make_file(top, "old/complete/file");
	make_file(top, "old/complete/more");
	old = openat(top, "old", O_PATH | O_DIRECTORY | O_CLOEXEC);
	new = openat(top, "new", O_PATH | O_DIRECTORY | O_CLOEXEC);

	tree_init(&tree);
	tree_text(&tree, tree_dir(&tree, "/merged"), "both", 0644, "ours\n");
	tree_text(&tree, tree_dir(&tree, "/merged"), "ours", 0200, "%s", "");
	tree_file(&tree, tree_dir(&tree, "/whole"), "sparse", 0600, NULL, 1 << 20);
	tree_link(&tree, tree_dir(&tree, "/whole"), "link", "/merged/ours");
	tree_dir(&tree, "/whole")->whole = true;
	tree_text(&tree, tree_dir(&tree, "/complete"), "file", 0444, "x");
	tree_text(&tree, tree_dir(&tree, "/missing"), "file", 0444, "x");
	tree_compare(tree.root, old);
	CHECK(!tree.root->real);
	CHECK(!tree_dir(&tree, "/merged")->real && tree_dir(&tree, "/merged")->merged);
	CHECK(!tree_dir(&tree, "/whole")->real && !tree_dir(&tree, "/whole")->merged);
	CHECK(tree_dir(&tree, "/complete")->real);
	CHECK(!tree_dir(&tree, "/missing")->real && !tree_dir(&tree, "/missing")->merged);

	umask(0);
	CHECK_EQ(tree_lay(tree.root, new, old, show), 0);
	CHECK_EQ(count(new, "."), 5);
	CHECK_EQ(count(new, "merged"), 3);
	CHECK_EQ(count(new, "whole"), 2);
	CHECK_EQ(count(new, "complete"), 1);
	CHECK(!fstatat(new, "merged/both", &st, 0) && st.st_size == 5 && (st.st_mode & 0777) == 0644);
	CHECK(!fstatat(new, "merged/ours", &st, 0) && (st.st_mode & 0777) == 0200);
	CHECK(!fstatat(new, "whole/sparse", &st, 0) && st.st_size == 1 << 20);
	CHECK_EQ(readlinkat(new, "whole/link", link, sizeof(link)), (ssize_t)strlen("../merged/ours"));
	CHECK_EQ(tree_lay(tree.root, new, old, show), -EEXIST);
	tree_fini(&tree);
	close(old);
	close(new);
	close(top);
	CHECK(!nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS));
}

int main(void)
{
	struct pci_window window = {0};

	pci_config_init(&device.config, &model);
	pci_config_place(&device.config, &model, &window);
	attributes_are_those_of_the_model();
	resource_has_bars_in_their_places();
	links_lead_to_what_they_name();
	numbers_are_those_of_the_nodes();
	the_machine_s_devices_are_hidden_or_kept();
	processors_are_told_as_linux_does();
	paths_and_links_of_a_tree();
	a_tree_is_laid_among_what_was_there();
	return check_result();
}
