// SPDX-License-Identifier: GPL-2.0
/* 7.0: page cache folios are placed by a memory policy */
#include <linux/pagemap.h>

struct folio *probe(void);
struct folio *probe(void)
{
	return filemap_alloc_folio(GFP_KERNEL, 0, NULL);
}
