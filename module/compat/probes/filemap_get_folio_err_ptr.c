// SPDX-License-Identifier: GPL-2.0
/* 6.4: a look-up that finds nothing is an error pointer; FGP_* got a type */
#include <linux/pagemap.h>

fgf_t probe(void);
fgf_t probe(void)
{
	return FGP_LOCK;
}
