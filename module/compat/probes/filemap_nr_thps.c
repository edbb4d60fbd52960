// SPDX-License-Identifier: GPL-2.0
/* until 7.x: huge folios in mappings that take none are counted, or warned of */
#include <linux/pagemap.h>

int probe(struct address_space *mapping);
int probe(struct address_space *mapping)
{
	return filemap_nr_thps(mapping);
}
