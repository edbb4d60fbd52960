// SPDX-License-Identifier: GPL-2.0
/*
 * The XML of libvirt's domains and networks. It comes from another host, so nothing of
 * it is believed: a document type, of which entities are made, ends the parsing, and so
 * do more interfaces than there can be. What is changed of it is the names of taps,
 * in place: all other bytes stay as they are.
 */
#include <ctype.h>
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain.h"
#include "keel.h"

/* Before 2.9 these had no other names. */
#if XML_MAJOR_VERSION == 2 && XML_MINOR_VERSION < 9
#define XML_GetCurrentByteIndex64	XML_GetCurrentByteIndex
#define XML_GetCurrentByteCount64	XML_GetCurrentByteCount
#define XML_GetCurrentLineNumber64	XML_GetCurrentLineNumber
#endif

#define DEPTH_MAX	6

struct parse {
	XML_Parser parser;
	struct domain *domain;	/* or NULL: a network, and its ... */
	char *bridge;
	unsigned int depth;
	const char *refused;
	char path[DEPTH_MAX][16];	/* of the elements around */
	bool in_uuid;
	size_t uuid_len;
};

static void refuse(struct parse *p, const char *why)
{
	if (!p->refused)
		p->refused = why;
	XML_StopParser(p->parser, XML_FALSE);
}

/* Are the elements around just these, from the root on? */
static bool is_in(const struct parse *p, const char *const *path)
{
	unsigned int i;

	for (i = 0; path[i]; i++)
		if (i >= p->depth || strcmp(p->path[i], path[i]))
			return false;
	return i == p->depth;
}

static const char *attribute(const char **atts, const char *name)
{
	for (; *atts; atts += 2)
		if (!strcmp(*atts, name))
			return atts[1];
	return NULL;
}

/* Takes over what fits and has neither a slash nor what does not print. */
static void take(char *to, size_t len, const char *from)
{
	if (!from || strlen(from) >= len)
		return;
	for (const char *c = from; *c; c++)
		if (!isgraph((unsigned char)*c) || *c == '/')
			return;
	strcpy(to, from);
}

/* A name of a tap that libvirt makes up itself, or of a pattern, counts as none. */
static void take_tap(struct domain_nic *nic, const char *name)
{
	if (name && strncmp(name, "vnet", strlen("vnet")) && !strchr(name, '%'))
		take(nic->tap, sizeof(nic->tap), name);
}

static void begin_nic(struct parse *p)
{
	struct domain *d = p->domain;

	if (d->nr_nics == DOMAIN_NICS_MAX) {
		refuse(p, "it has more interfaces than a domain can have");
		return;
	}
	d->nic[d->nr_nics++] = (struct domain_nic){
		.at = XML_GetCurrentByteIndex64(p->parser) +
		      XML_GetCurrentByteCount64(p->parser),
	};
}

static void in_nic(struct parse *p, const char *name, const char **atts)
{
	struct domain_nic *nic = &p->domain->nic[p->domain->nr_nics - 1];

	if (!strcmp(name, "source")) {
		take(nic->bridge, sizeof(nic->bridge), attribute(atts, "bridge"));
		take(nic->network, sizeof(nic->network),
		     attribute(atts, "network"));
	} else if (!strcmp(name, "mac")) {
		take(nic->mac, sizeof(nic->mac), attribute(atts, "address"));
	} else if (!strcmp(name, "target")) {
		take_tap(nic, attribute(atts, "dev"));
		nic->at = XML_GetCurrentByteIndex64(p->parser);
	}
}

static void begin_in_domain(struct parse *p, const char *name, const char **atts)
{
	static const char *const root[] = { "domain", NULL };
	static const char *const devices[] = { "domain", "devices", NULL };
	static const char *const nic[] = {
		"domain", "devices", "interface", NULL
	};

	if (is_in(p, root) && !strcmp(name, "uuid"))
		p->in_uuid = true;
	else if (is_in(p, devices) && !strcmp(name, "interface"))
		begin_nic(p);
	else if (is_in(p, nic))
		in_nic(p, name, atts);
}

static void begin_in_network(struct parse *p, const char *name, const char **atts)
{
	static const char *const root[] = { "network", NULL };

	if (is_in(p, root) && !strcmp(name, "bridge"))
		take(p->bridge, KEEL_IFNAME_LEN, attribute(atts, "name"));
}

static void XMLCALL begin_element(void *arg, const char *name, const char **atts)
{
	struct parse *p = arg;

	if (p->domain)
		begin_in_domain(p, name, atts);
	else
		begin_in_network(p, name, atts);
	if (p->depth < DEPTH_MAX)
		snprintf(p->path[p->depth], sizeof(p->path[0]), "%s", name);
	p->depth++;
}

static void XMLCALL end_element(void *arg, const char *name)
{
	static const char *const nic[] = {
		"domain", "devices", "interface", NULL
	};
	struct parse *p = arg;
	struct domain_nic *last;

	p->depth--;
	p->in_uuid = false;
	if (!p->domain || !is_in(p, nic) || strcmp(name, "target"))
		return;
	last = &p->domain->nic[p->domain->nr_nics - 1];
	last->instead = XML_GetCurrentByteIndex64(p->parser) +
			XML_GetCurrentByteCount64(p->parser) - last->at;
}

static void XMLCALL text(void *arg, const char *s, int len)
{
	struct parse *p = arg;

	if (!p->in_uuid || p->uuid_len + len >= DOMAIN_WORD_LEN)
		return;
	memcpy(p->domain->uuid + p->uuid_len, s, len);
	p->uuid_len += len;
}

static void XMLCALL begin_doctype(void *arg, const char *name, const char *system_id,
				  const char *public_id, int has_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_subset;
	refuse(arg, "it has a document type");
}

static int parse(struct parse *p, const char *xml, size_t len)
{
	int err = 0;

	p->parser = XML_ParserCreate("UTF-8");
	if (!p->parser)
		return fail("out of memory");
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, begin_element, end_element);
	XML_SetCharacterDataHandler(p->parser, text);
	XML_SetStartDoctypeDeclHandler(p->parser, begin_doctype);
	if (XML_Parse(p->parser, xml, len, 1) != XML_STATUS_OK)
		err = bad("line %lu of the XML: %s",
			  (unsigned long)XML_GetCurrentLineNumber64(p->parser),
			  p->refused ?: XML_ErrorString(XML_GetErrorCode(p->parser)));
	XML_ParserFree(p->parser);
	return err;
}

/**
 * domain_parse - what interfaces a domain has
 * @xml: the domain's XML
 * @len: its length, no more than an int's
 * @d: (out) the domain
 *
 * Return: 0, or -1 after bad() or fail().
 */
int domain_parse(const char *xml, size_t len, struct domain *d)
{
	struct parse p = { .domain = d };

	*d = (struct domain){ 0 };
	return parse(&p, xml, len);
}

/**
 * domain_network_bridge - on which bridge a network of libvirt is
 * @xml: the network's XML
 * @len: its length
 * @bridge: (out) of KEEL_IFNAME_LEN; "" if it says none
 *
 * Return: 0, or -1 after bad() or fail().
 */
int domain_network_bridge(const char *xml, size_t len, char *bridge)
{
	struct parse p = { .bridge = bridge };

	bridge[0] = 0;
	return parse(&p, xml, len);
}

/**
 * domain_rename - the XML with other names of taps
 * @xml: the XML
 * @was: what domain_parse() found in it
 * @is: the same with these names
 *
 * Return: the text, to be freed; NULL if nothing differs.
 */
char *domain_rename(const char *xml, const struct domain *was, const struct domain *is)
{
	size_t len = strlen(xml) + DOMAIN_NICS_MAX * 64, from = 0;
	char *out = malloc(len), *to = out;
	bool differs = false;

	for (int i = 0; out && i < was->nr_nics; i++) {
		const struct domain_nic *nic = &is->nic[i];

		if (!strcmp(nic->tap, was->nic[i].tap))
			continue;
		differs = true;
		memcpy(to, xml + from, nic->at - from);
		to += nic->at - from;
		to += sprintf(to, "<target dev='%s'/>", nic->tap);
		from = nic->at + nic->instead;
	}
	if (!differs) {
		free(out);
		return NULL;
	}
	strcpy(to, xml + from);
	return out;
}
