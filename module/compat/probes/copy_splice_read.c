// SPDX-License-Identifier: GPL-2.0
/* 6.5: splice reads by copying */
#include <linux/fs.h>

void *probe(void);
void *probe(void)
{
	return copy_splice_read;
}
