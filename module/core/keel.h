/* SPDX-License-Identifier: GPL-2.0 */
/* What every room may use. */
#ifndef KEEL_CORE_KEEL_H
#define KEEL_CORE_KEEL_H

#include <linux/workqueue.h>

#define KEEL_VERSION "0.1"

/* For work that may sleep; flushed and gone before the module is. */
extern struct workqueue_struct *keel_wq;

#endif /* KEEL_CORE_KEEL_H */
