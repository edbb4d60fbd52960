// SPDX-License-Identifier: GPL-2.0
/* 7.1: pagevec.h was renamed */
#include <linux/folio_batch.h>

void probe(struct folio_batch *fbatch);
void probe(struct folio_batch *fbatch)
{
	folio_batch_init(fbatch);
}
