/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOMMUSE_BASE_ERRNO_NAME_H
#define IOMMUSE_BASE_ERRNO_NAME_H

/*
 * The name of an errno, as "EBUSY"; error may be negative. Of two names for one number it is the one with which Linux
 * defines the number (EAGAIN, EDEADLK, EOPNOTSUPP). 0 is "0". A number that is no errno of Linux is "E?": whoever
 * prints it adds the number. The string is constant.
 */
const char *errno_name(int error);

#endif
