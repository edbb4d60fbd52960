/* SPDX-License-Identifier: GPL-2.0 */
/* keel pool: what its files share. */
#ifndef KEEL_POOL_H
#define KEEL_POOL_H

#include "keel.h"

#define MAC_TEXT_LEN	18

/* pool.c */
int pool_error(struct keel *keel, int err);
int end_request(struct keel *keel, int err);
char *mac_text(const uint8_t *mac, char *buf);

/* pool_member.c: eth1#0,2-7 */
int pool_parse_member(const char *text, char **pf, uint32_t **vfs, uint32_t *nr);

/* monitor.c */
int pool_events(int argc, char **argv);

/* pool_switch.c */
int pool_switch(int argc, char **argv);

/* pool_hook.c: what libvirt calls */
int pool_hook(int argc, char **argv);

/* pool_show.c */
int pool_show(int argc, char **argv);

#endif
