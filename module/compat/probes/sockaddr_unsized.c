// SPDX-License-Identifier: GPL-2.0
/* 6.19: a socket's address is of no fixed size */
#include <linux/socket.h>

int probe(struct sockaddr_unsized *addr);
int probe(struct sockaddr_unsized *addr)
{
	return addr->sa_family;
}
