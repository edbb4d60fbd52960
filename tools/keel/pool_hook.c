// SPDX-License-Identifier: GPL-2.0
/*
 * keel pool hook: what libvirt calls when a domain is to arrive and when it has ended.
 *
 * A VF is reserved for a tap by its name, and libvirt makes names up only when it makes
 * the taps: so the interfaces of a domain that is to arrive are given names here. Nothing
 * of libvirt may be asked meanwhile: it waits for the hook.
 */
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <xxhash.h>

#include "domain.h"
#include "pool.h"

#define XML_MAX		(16 << 20)
#define NETWORKS	"/etc/libvirt/qemu/networks"
#define TAP_PREFIX	"kl"
/* A VM that is on its way for longer may find none. */
#define HOOK_SECONDS	3600

struct hook {
	char domain[256];	/* its name, to be shown */
	uint32_t seconds;
	bool refuse;
	struct keel *keel;
	struct keel_pool *pool;
	int nr_pools;
};

/* For libvirt's log if the hook fails, and for the host's log anyway. */
static void say(const struct hook *h, const char *fmt, ...)
{
	char why[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	fprintf(stderr, "keel: %s: %s\n", h->domain, why);
	syslog(LOG_DAEMON | LOG_WARNING, "%s: %s", h->domain, why);
}

/* A name is whatever the other host says. */
static void take_name(struct hook *h, const char *name)
{
	snprintf(h->domain, sizeof(h->domain), "%s", name);
	for (char *c = h->domain; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
}

static char *read_xml(FILE *file, size_t *len)
{
	char *xml = malloc(XML_MAX + 1);

	if (!xml) {
		fail("out of memory");
		return NULL;
	}
	*len = fread(xml, 1, XML_MAX + 1, file);
	xml[*len < XML_MAX ? *len : XML_MAX] = 0;
	if (!ferror(file) && *len <= XML_MAX && strlen(xml) == *len)
		return xml;
	free(xml);
	bad("the XML cannot be read, or is none");
	return NULL;
}

/* A network that libvirt has defined says on which bridge it is. */
static void find_bridge(struct domain_nic *nic)
{
	char *path, *xml;
	size_t len;

	if (nic->bridge[0] || !nic->network[0])
		return;
	path = mkpath(NETWORKS "/%s.xml", nic->network);
	xml = read_text(path, &len);
	if (xml && len < XML_MAX && domain_network_bridge(xml, len, nic->bridge))
		error_forget();
	free(xml);
	free(path);
}

static const struct keel_pool *pool_on(const struct hook *h, const char *bridge)
{
	for (int i = 0; *bridge && i < h->nr_pools; i++)
		if (!strcmp(h->pool[i].on, bridge))
			return &h->pool[i];
	return NULL;
}

static bool is_taken(const struct domain *d, const char *tap)
{
	for (int i = 0; i < d->nr_nics; i++)
		if (!strcmp(d->nic[i].tap, tap))
			return true;
	return if_nametoindex(tap);
}

static uint64_t hash(uint64_t h, const char *text)
{
	return XXH3_64bits_withSeed(text, strlen(text), h);
}

/* The same on each host that the domain comes to, unless it is taken there. */
static void name_tap(struct domain *d, struct domain_nic *nic)
{
	uint64_t h = hash(hash(0, d->uuid), nic->mac);
	char name[KEEL_IFNAME_LEN];

	do {
		snprintf(name, sizeof(name), TAP_PREFIX "%012llx",
			 (unsigned long long)h & 0xffffffffffffULL);
		h = hash(h, name);
	} while (is_taken(d, name));
	strcpy(nic->tap, name);
}

/* One of our names that somebody has here is of another host; others are the user's. */
static bool needs_name(const struct domain_nic *nic)
{
	if (!nic->tap[0])
		return true;
	return !strncmp(nic->tap, TAP_PREFIX, strlen(TAP_PREFIX)) &&
	       strlen(nic->tap) == strlen(TAP_PREFIX) + 12 &&
	       if_nametoindex(nic->tap);
}

static int reserve(struct hook *h, const struct keel_pool *pool, const char *tap)
{
	int err = keel_pool_reserve(h->keel, pool->name, tap, h->seconds);

	if (!err || err == -EEXIST)
		return 0;
	if (h->refuse)
		return bad("pool %s: %s: %s", pool->name, tap,
			   keel_error(h->keel));
	say(h, "pool %s: %s: %s", pool->name, tap, keel_error(h->keel));
	return 0;
}

static void cancel(struct hook *h, struct domain *d)
{
	for (int i = 0; i < d->nr_nics; i++) {
		const struct keel_pool *pool;

		find_bridge(&d->nic[i]);
		pool = pool_on(h, d->nic[i].bridge);
		/* Most often there is nothing left to be cancelled. */
		if (pool && d->nic[i].tap[0])
			keel_pool_cancel(h->keel, pool->name, d->nic[i].tap);
	}
}

static int arrive(struct hook *h, const char *xml, const struct domain *was)
{
	struct domain is = *was;
	char *changed;
	int err = 0;

	for (int i = 0; !err && i < is.nr_nics; i++) {
		struct domain_nic *nic = &is.nic[i];
		const struct keel_pool *pool;

		find_bridge(nic);
		pool = pool_on(h, nic->bridge);
		if (!pool)
			continue;
		if (needs_name(nic))
			name_tap(&is, nic);
		err = reserve(h, pool, nic->tap);
	}
	if (err) {
		cancel(h, &is);
		return -1;
	}
	changed = domain_rename(xml, was, &is);
	if (changed)
		fputs(changed, stdout);
	free(changed);
	return fflush(stdout) ? fail("the XML cannot be written: %s", strerror(errno)) : 0;
}

static int run(struct hook *h, bool arrives)
{
	struct domain d;
	size_t len;
	char *xml;
	int err;

	if (keel_connect(&h->keel))
		return -1;
	h->nr_pools = keel_pool_list(h->keel, &h->pool);
	if (h->nr_pools < 0)
		return pool_error(h->keel, h->nr_pools);
	if (!h->nr_pools)
		return 0;
	xml = read_xml(stdin, &len);
	if (!xml)
		return -1;
	err = domain_parse(xml, len, &d);
	if (!err && arrives)
		err = arrive(h, xml, &d);
	else if (!err)
		cancel(h, &d);
	free(xml);
	return err;
}

static int parse_options(int argc, char **argv, struct hook *h)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "refuse", no_argument, NULL, 'r' },
		{ 0 }
	};
	int c;

	while ((c = next_option(argc, argv, options)) != -1) {
		if (c == 'r')
			h->refuse = true;
		else if (c != 's' ||
			 parse_positive("--seconds", optarg, &h->seconds))
			return -1;
	}
	return argc - optind == 4 ? 0 :
	       bad("pool hook: give what libvirt gives: domain, operation, its part, and more");
}

/**
 * pool_hook - the verb
 *
 * Unless that is wanted no domain is kept from arriving, whatever is wrong.
 */
int pool_hook(int argc, char **argv)
{
	struct hook h = { .seconds = HOOK_SECONDS };
	bool arrives, ended;
	int err;

	if (parse_options(argc, argv, &h))
		return -1;
	take_name(&h, argv[optind]);
	arrives = !strcmp(argv[optind + 1], "migrate") &&
		  !strcmp(argv[optind + 2], "begin");
	ended = !strcmp(argv[optind + 1], "release");
	if (!arrives && !ended)
		return 0;
	err = run(&h, arrives);
	keel_pool_list_free(h.pool, h.nr_pools > 0 ? h.nr_pools : 0);
	keel_close(h.keel);
	if (!err || (arrives && h.refuse))
		return err;
	say(&h, "%s", error_text());
	error_forget();
	return 0;
}
