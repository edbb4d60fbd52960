// SPDX-License-Identifier: GPL-2.0
/* 6.18: copying from a user takes a folio; the call for pages is gone */
#include <linux/uio.h>

/* Conflicts with a declaration of that name, where there is one. */
int copy_page_from_iter_atomic(void);

size_t probe(struct folio *folio, struct iov_iter *iter);
size_t probe(struct folio *folio, struct iov_iter *iter)
{
	return copy_folio_from_iter_atomic(folio, 0, 1, iter);
}
