/* SPDX-License-Identifier: GPL-2.0 */
/* keeld's configuration, which "keel pool check" reads, too. */
#ifndef KEELD_CONF_H
#define KEELD_CONF_H

#include <stdbool.h>

#define KEELD_CONF	"/etc/keel/keel.conf"

/* What the configuration says, or else what is usual. */
struct conf {
	char **qmp;		/* where monitors are: %n is the VM's name, %p its pid */
	unsigned int unplug_ms;	/* a guest has so long to let a device go */
	unsigned int retry_ms;	/* before what did not work is tried again */
	const char *ovsdb;	/* its socket; NULL: Open vSwitch is not followed */
};

extern struct conf conf;

int conf_read(const char *path, bool must);

#endif
