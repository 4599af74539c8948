/* SPDX-License-Identifier: BSD-3-Clause */
/* What an IOAS says of itself; within ioas/. Called with the IOAS's lock held, so that the order is that of what
 * happened. */
#ifndef IOMMUSE_IOAS_ANNOUNCE_H
#define IOMMUSE_IOAS_ANNOUNCE_H

#include "base/event.h"
#include "ioas/ioas.h"

void ioas_announce(struct ioas *ioas, enum event_type type, const struct client *client, const struct event *what);

#endif
