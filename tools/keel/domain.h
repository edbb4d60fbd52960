/* SPDX-License-Identifier: GPL-2.0 */
/* A domain of libvirt, as its XML says: which of its interfaces are on bridges. */
#ifndef KEEL_DOMAIN_H
#define KEEL_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "libkeel.h"

#define DOMAIN_NICS_MAX	64
#define DOMAIN_WORD_LEN	64

/* An interface. What does not fit, or cannot be such a name, counts as not given. */
struct domain_nic {
	char bridge[KEEL_IFNAME_LEN];	/* "": not said, or none */
	char network[DOMAIN_WORD_LEN];	/* of libvirt, on some bridge */
	char tap[KEEL_IFNAME_LEN];	/* "": libvirt chooses */
	char mac[DOMAIN_WORD_LEN];
	size_t at;			/* its tap's name goes here, ... */
	size_t instead;			/* ... instead of so many bytes */
};

struct domain {
	char uuid[DOMAIN_WORD_LEN];
	int nr_nics;
	struct domain_nic nic[DOMAIN_NICS_MAX];
};

int domain_parse(const char *xml, size_t len, struct domain *d);
int domain_network_bridge(const char *xml, size_t len, char *bridge);
char *domain_rename(const char *xml, const struct domain *was, const struct domain *is);

#endif
