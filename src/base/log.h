/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What iommuse itself tells a person: lines "iommuse: ..." on stderr. Safe from any thread; allocates nothing.
 *
 * A client may hold the other end of stderr and not read it. A line waits a second for that at most, and is then
 * dropped; still, no lock may be held here.
 */
#ifndef IOMMUSE_BASE_LOG_H
#define IOMMUSE_BASE_LOG_H

/* Writes one line; the format has no newline. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, followed by what the error is, an errno of either sign: "iommuse: cannot ...: EACCES (Permission denied)".
 */
void log_error(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
