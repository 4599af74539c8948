/* SPDX-License-Identifier: BSD-3-Clause */
#include "check/decode.h"

#include "abi/iommufd_test.h"
#include "base/errno_name.h"
#include "base/event.h"
#include "base/line.h"
#include "check/command.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A call that is put into words. arg has at least size bytes of the structure; what lies beyond is not known. */
struct call {
	struct line *line;
	const struct command *command;
	const unsigned char *arg;
	size_t size;
	decode_kind *kind;
	void *context;
};

/* Reads the size bytes at an offset of the structure. Returns false where they are not all known. */
static bool read_number(const struct call *call, size_t offset, size_t size, uint64_t *value)
{
	*value = 0;
	if (offset + size > call->size)
		return false;
	memcpy(value, call->arg + offset, size);
	return true;
}

static const struct command *find(const struct command *commands, uint32_t number)
{
	for (; commands->name; commands++) {
		if (commands->number == number)
			return commands;
	}
	return NULL;
}

static const struct command *find_command(const struct event *event)
{
	const uint32_t number = event->call.cmd;
	const struct command *command;

	if (event->type == EVENT_DEVICE_CALL)
		return find(device_commands, number);
	command = find(iommufd_commands, number);
	if (!command)
		command = find(vfio_commands, number);
	return command ? command : find(ioasid_commands, number);
}

static void add_flags(struct line *line, uint64_t value, const struct name *names)
{
	const char *separator = "";

	for (; names->name; names++) {
		if (!(value & names->value))
			continue;
		line_add(line, "%s%s", separator, names->name);
		separator = "|";
		value &= ~names->value;
	}
	if (value)
		line_add(line, "%s0x%" PRIx64, separator, value);
}

static void add_enum(struct line *line, uint64_t value, const struct name *names)
{
	for (; names->name; names++) {
		if (names->value == value) {
			line_add(line, "%s", names->name);
			return;
		}
	}
	line_add(line, value < 0x10000 ? "%" PRIu64 : "0x%" PRIx64, value);
}

static void add_value(struct line *line, const struct field *field, uint64_t value)
{
	switch ((enum field_kind)field->kind) {
	case HEX:
		line_add(line, "0x%" PRIx64, value);
		return;
	case NUMBER:
	case OBJECT:
		line_add(line, "%" PRIu64, value);
		return;
	case BYTES:
		line_add_bytes(line, value);
		return;
	case FD:
		line_add(line, "%" PRId32, (int32_t)value);
		return;
	case ENUM:
		add_enum(line, value, field->names);
		return;
	case FLAGS:
		add_flags(line, value, field->names);
		return;
	case TEXT:
		return;
	}
}

/* Flags that have names need no "flags=" before them. */
static bool speaks_for_itself(const struct field *field, uint64_t value)
{
	const struct name *names = field->names;

	if (field->kind != FLAGS || strcmp(field->name, "flags") != 0)
		return false;
	while (names->name && !(value & names->value))
		names++;
	return names->name;
}

static void add_field(const struct call *call, const struct field *field, uint64_t value)
{
	const char *name = field->name;
	const char *kind = NULL;

	if (field->kind == OBJECT && call->kind)
		kind = call->kind(call->context, (uint32_t)value);
	if (kind)
		name = kind;
	line_add(call->line, " ");
	if (!speaks_for_itself(field, value))
		line_add(call->line, "%s=", name);
	add_value(call->line, field, value);
}

static void add_text(const struct call *call, const struct field *field)
{
	if (call->size)
		line_add(call->line, " %s=%.*s", field->name, (int)call->size, (const char *)call->arg);
}

static bool is_shown(const struct call *call, const struct field *field, bool after, bool answered)
{
	uint64_t selector;

	switch ((enum field_place)field->place) {
	case IN:
		if (after)
			return false;
		break;
	case OUT:
		if (!after || !answered)
			return false;
		break;
	case INOUT:
		if (after != answered)
			return false;
		break;
	case ALWAYS:
		if (!after)
			return false;
		break;
	}
	if (!field->if_set && !field->if_clear)
		return true;
	return read_number(call, call->command->selector, sizeof(uint16_t), &selector) &&
	       (selector & field->if_set) == field->if_set && !(selector & field->if_clear);
}

static void add_fields(const struct call *call, bool after, bool answered)
{
	const struct field *field = call->command->fields;

	for (; field && field->name; field++) {
		uint64_t value;

		if (field->kind == TEXT && !after)
			add_text(call, field);
		if (field->kind == TEXT || !read_number(call, field->offset, field->size, &value))
			continue;
		if (is_shown(call, field, after, answered) && (value || !field->not_zero))
			add_field(call, field, value);
	}
}

/* The caller's idea of the structure's size, where it is not ours. */
static void add_size(const struct call *call, uint32_t cmd)
{
	uint64_t size;

	if (call->command->size && read_number(call, 0, sizeof(uint32_t), &size) && size != call->command->size)
		line_add(call->line, " %s=%" PRIu64, _IOC_NR(cmd) < IOMMUFD_CMD_BASE ? "argsz" : "size", size);
}

static void add_result(struct line *line, int64_t result)
{
	const char *name = result < 0 && result > -4096 ? errno_name((int)result) : "E?";

	if (result < 0 && strcmp(name, "E?") != 0)
		line_add(line, " -> %s", name);
	else
		line_add(line, " -> %" PRId64, result);
}

/* The command's name and argument; of the test command it goes on with the op. */
static void add_head(struct call *call, const struct event *event)
{
	const uint32_t cmd = event->call.cmd;
	const bool test = event->type == EVENT_CALL && cmd == IOMMU_TEST_CMD;
	uint64_t op;

	if (test && read_number(call, offsetof(struct iommu_test_cmd, op), sizeof(uint32_t), &op)) {
		line_add(call->line, "TEST_CMD ");
		call->command = find(test_ops, (uint32_t)op);
		if (!call->command)
			line_add(call->line, "op=%" PRIu64, op);
		else
			line_add(call->line, "%s", call->command->name);
		return;
	}
	call->command = find_command(event);
	if (!call->command) {
		if (test)
			line_add(call->line, "TEST_CMD");
		else
			line_add(call->line, "ioctl 0x%" PRIx32, cmd);
		line_add(call->line, " arg=0x%" PRIx64, event->call.arg_value);
		return;
	}
	line_add(call->line, "%s", call->command->name);
	if (call->command->values) {
		line_add(call->line, " ");
		add_enum(call->line, event->call.arg_value, call->command->values);
	} else if (!call->size && call->command->fields) {
		line_add(call->line, " arg=0x%" PRIx64, event->call.arg_value);
	}
}

void decode_call(struct line *line, const struct event *event, decode_kind *kind, void *context)
{
	struct call call = {.line = line, .arg = event->call.arg, .kind = kind, .context = context};
	/* With this error, answers have been given all the same. */
	bool answered = event->call.result >= 0 || event->call.result == -EMSGSIZE;

	call.size = event->call.arg_size < EVENT_ARG_MAX ? event->call.arg_size : EVENT_ARG_MAX;
	add_head(&call, event);
	if (call.command) {
		add_size(&call, event->call.cmd);
		add_fields(&call, false, answered);
	}
	add_result(line, event->call.result);
	if (call.command)
		add_fields(&call, true, answered);
}

void decode_transfer(struct line *line, const struct event *event)
{
	const bool write = event->type == EVENT_WRITE;
	struct call call = {.line = line,
			    .arg = event->transfer.record,
			    .size = event->transfer.size < EVENT_RECORD_MAX ? event->transfer.size : EVENT_RECORD_MAX};

	call.command = find(write ? write_records : read_records, event->transfer.kind);
	line_add(line, "%s %s=%" PRIu32, write ? "write" : "read", call.command ? call.command->name : "object",
		 event->transfer.queue);
	if (call.command)
		add_fields(&call, false, true);
	add_result(line, event->transfer.result);
	if (call.command)
		add_fields(&call, true, true);
}
