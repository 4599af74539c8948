/* SPDX-License-Identifier: BSD-3-Clause */
#include "supervisor/report.h"

#include "ioasid/ioasid.h"
#include "pasid/capacity.h"
#include "pasid/cgroup.h"
#include "pasid/ioasid.h"
#include "system/system.h"
#include "vfio/bond.h"
#include "vfio/device.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Processes or cgroups that are told of; a line says how many more there are. */
#define ROWS 256

/* What a process calls itself, with its end. */
#define COMM_BYTES 16

/* What the last line says where not all fits. */
#define CUT "...\n"

/* What could end the line or control a terminal becomes '?'. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void report_start(struct report *report, char *const *argv)
{
	time_t now = time(NULL);
	size_t length = 0;
	struct tm tm;

	*report->since = '\0';
	if (localtime_r(&now, &tm))
		strftime(report->since, sizeof(report->since), "%Y-%m-%d %H:%M:%S", &tm);
	for (; *argv && length < sizeof(report->program); argv++)
		length += (size_t)snprintf(report->program + length, sizeof(report->program) - length, "%s%s",
					   length ? " " : "", *argv);
	if (length >= sizeof(report->program))
		memcpy(report->program + sizeof(report->program) - sizeof("..."), "...", sizeof("..."));
	clean(report->program);
}

/* "-" where the process has ended. */
static void name_of_process(pid_t pid, char name[static COMM_BYTES])
{
	char path[64];
	ssize_t length = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, name, COMM_BYTES);
		close(fd);
	}
	/* Its last byte is the newline. */
	name[length > 1 ? length - 1 : 0] = '\0';
	if (!*name)
		memcpy(name, "-", sizeof("-"));
	clean(name);
}

static void add_run(FILE *out, const struct report *report)
{
	fprintf(out, "name      %s\n", report->name);
	fprintf(out, "process   %d of user %u\n", (int)report->pid, report->uid);
	fprintf(out, "program   %s\n", report->program);
	fprintf(out, "since     %s\n", report->since);
}

static void add_pasids(FILE *out, unsigned bits, struct ioasid_space *space)
{
	struct ioasid_space_usage usage;

	ioasid_space_usage(space, &usage);
	fprintf(out, "PASIDs    %" PRIu64 " of %" PRIu64 " in use (%u bits)\n", usage.in_use, usage.capacity, bits);
}

static void add_headings(FILE *out, const char *first, const char *last)
{
	fprintf(out, "\n%s%9s %9s %9s  %s\n", first, "current", "maximum", "refused", last);
}

static void add_count(FILE *out, uint64_t current, uint64_t max, uint64_t refused)
{
	fprintf(out, "%9" PRIu64 " ", current);
	if (max == UINT64_MAX)
		fprintf(out, "%9s ", "none");
	else
		fprintf(out, "%9" PRIu64 " ", max);
	fprintf(out, "%9" PRIu64 "  ", refused);
}

static void add_rest(FILE *out, size_t count, size_t told)
{
	if (told < count)
		fprintf(out, "and %zu more\n", count - told);
}

static int compare_pids(const void *a, const void *b)
{
	const struct ioasid_usage *first = a, *second = b;

	return (first->pid > second->pid) - (first->pid < second->pid);
}

/* Those that have /dev/ioasid open. */
static void add_processes(FILE *out, struct ioasid_users *users)
{
	struct ioasid_usage *usages = calloc(ROWS, sizeof(*usages));
	size_t count = usages ? ioasid_usages(users, usages, ROWS) : 0;
	size_t told = count < ROWS ? count : ROWS;

	if (told) {
		qsort(usages, told, sizeof(*usages), compare_pids);
		add_headings(out, "process  ", "program");
	}
	for (size_t i = 0; i < told; i++) {
		char name[COMM_BYTES];

		name_of_process(usages[i].pid, name);
		fprintf(out, "%-9d", usages[i].pid);
		add_count(out, usages[i].current, usages[i].max, usages[i].refused);
		fprintf(out, "%s\n", name);
	}
	add_rest(out, count, told);
	free(usages);
}

/* Those that have a quota. */
static void add_cgroups(FILE *out, struct ioasid_space *space)
{
	size_t count = 0;

	for (const struct ioasid_cgroup *cgroup = ioasid_cgroups(space); cgroup; cgroup = cgroup->next) {
		struct ioasid_count usage;

		if (!count)
			add_headings(out, "", "cgroup");
		if (count++ >= ROWS)
			continue;
		ioasid_cgroup_usage(space, cgroup, &usage);
		add_count(out, usage.current, usage.max, usage.refused);
		fprintf(out, "%s\n", cgroup->path);
	}
	add_rest(out, count, count < ROWS ? count : ROWS);
}

static int compare_bonds(const void *a, const void *b)
{
	const struct bond_usage *first = a, *second = b;

	if (first->group != second->group)
		return first->group < second->group ? -1 : 1;
	if (first->container != second->container)
		return first->container < second->container ? -1 : 1;
	return (first->pasid > second->pasid) - (first->pasid < second->pasid);
}

/* Address spaces that are bound to a container, which is known by its first group. Returns how many. */
static size_t add_bonds_of(FILE *out, const struct bond_usage *usages, size_t count)
{
	size_t n = 1;

	while (n < count && usages[n].container == usages->container)
		n++;
	fprintf(out, "\n%zu process%s bound to the container of /dev/vfio/%u\nprocess        PASID  program\n", n,
		n == 1 ? "" : "es", usages->group);
	for (size_t i = 0; i < n; i++) {
		char name[COMM_BYTES];

		name_of_process(usages[i].pid, name);
		fprintf(out, "%-9d %10u  %s\n", (int)usages[i].pid, usages[i].pasid, name);
	}
	return n;
}

static void add_bonds(FILE *out, const struct vfio *vfio)
{
	struct bond_usage *usages = calloc(ROWS, sizeof(*usages));
	size_t count = usages ? bonds_usages(vfio, usages, ROWS) : 0;
	size_t told = count < ROWS ? count : ROWS;

	if (told)
		qsort(usages, told, sizeof(*usages), compare_bonds);
	for (size_t i = 0; i < told;)
		i += add_bonds_of(out, usages + i, told - i);
	add_rest(out, count, told);
	free(usages);
}

static void add_device(FILE *out, struct vfio_device *device, int width)
{
	char name[COMM_BYTES];
	bool from_group;
	pid_t opener;

	fprintf(out, "%s  %-*s  ", device->name, width, device->model->name);
	if (!vfio_device_opener(device, &opener, &from_group)) {
		fprintf(out, "nobody\n");
		return;
	}
	name_of_process(opener, name);
	fprintf(out, "%d %s, by ", (int)opener, name);
	if (from_group)
		fprintf(out, "its group /dev/vfio/%u\n", device->group->iommu.id);
	else
		fprintf(out, "/dev/vfio/devices/vfio%u\n", device->number);
}

static void add_devices(FILE *out, struct vfio *vfio)
{
	int width = (int)strlen("model");

	if (!vfio->devices)
		return;
	for (const struct vfio_device *device = vfio->devices; device; device = device->next)
		if (width < (int)strlen(device->model->name))
			width = (int)strlen(device->model->name);
	fprintf(out, "\ndevice        %-*s  opened by\n", width, "model");
	for (struct vfio_device *device = vfio->devices; device; device = device->next)
		add_device(out, device, width);
}

/* Cuts after a line. */
static size_t cut(char *text, size_t room)
{
	size_t length = room - sizeof(CUT);

	while (length && text[length - 1] != '\n')
		length--;
	memcpy(text + length, CUT, sizeof(CUT));
	return length + strlen(CUT);
}

char *report_text(const struct report *report, struct system *system, size_t room, size_t *length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, length);

	if (!out)
		return NULL;
	add_run(out, report);
	add_pasids(out, report->pasid_bits, system_ioasids(system));
	add_processes(out, system_ioasid_users(system));
	add_cgroups(out, system_ioasids(system));
	add_bonds(out, system_vfio(system));
	add_devices(out, system_vfio(system));
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	if (*length >= room)
		*length = cut(text, room);
	return text;
}
