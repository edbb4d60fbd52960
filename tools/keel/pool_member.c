// SPDX-License-Identifier: GPL-2.0
/* A member of a pool as users write it: PF, or PF#0,2-7. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

#define VFS_MAX		65535

/* "2" or "2-7" at the start of @text. Return: what follows, NULL if it is neither. */
static const char *parse_range(const char *text, uint32_t *first, uint32_t *last)
{
	char number[8];
	size_t len = strspn(text, "0123456789");

	if (!len || len >= sizeof(number))
		return NULL;
	snprintf(number, sizeof(number), "%.*s", (int)len, text);
	if (parse_u32(number, first))
		return NULL;
	*last = *first;
	text += len;
	if (*text != '-')
		return text;
	text++;
	len = strspn(text, "0123456789");
	if (!len || len >= sizeof(number))
		return NULL;
	snprintf(number, sizeof(number), "%.*s", (int)len, text);
	return parse_u32(number, last) || *last < *first ? NULL : text + len;
}

static int parse_vfs(const char *member, const char *text, uint32_t *vfs,
		     uint32_t *nr)
{
	uint32_t first, last;

	for (;;) {
		text = parse_range(text, &first, &last);
		if (!text || (*text && *text != ','))
			return bad("%s: after # there must be numbers of VFs, such as 0,2-7",
				   member);
		if (last >= VFS_MAX || *nr + last - first >= VFS_MAX)
			return bad("%s: no PF has so many VFs", member);
		while (first <= last)
			vfs[(*nr)++] = first++;
		if (!*text)
			return 0;
		text++;
	}
}

/**
 * pool_parse_member - take a member apart
 * @text: as the user wrote it
 * @pf: (out) the PF, for free()
 * @vfs: (out) numbers of the VFs, for free(); NULL: all
 * @nr: (out) how many
 *
 * Return: 0, or -1 after bad() or fail().
 */
int pool_parse_member(const char *text, char **pf, uint32_t **vfs, uint32_t *nr)
{
	const char *hash = strchr(text, '#');

	*vfs = NULL;
	*nr = 0;
	*pf = strndup(text, hash ? (size_t)(hash - text) : strlen(text));
	if (!*pf)
		return fail("out of memory");
	if (!hash)
		return 0;
	*vfs = malloc(VFS_MAX * sizeof(**vfs));
	return *vfs ? parse_vfs(text, hash + 1, *vfs, nr) : fail("out of memory");
}
