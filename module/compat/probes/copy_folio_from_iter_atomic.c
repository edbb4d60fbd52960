// SPDX-License-Identifier: GPL-2.0
/* 6.18: copying from a user takes a folio; the call for pages is gone */
#include <linux/uio.h>

/* Clashes with the call of that name, where there is one. */
enum { copy_page_from_iter_atomic };

size_t probe(struct folio *folio, struct iov_iter *iter);
size_t probe(struct folio *folio, struct iov_iter *iter)
{
	return copy_folio_from_iter_atomic(folio, copy_page_from_iter_atomic, 1, iter);
}
