/* SPDX-License-Identifier: GPL-2.0 */
/* From what is known of threads to numbers, and the decision made of these. */
#ifndef KEEL_PLACEMENT_DECISION_H
#define KEEL_PLACEMENT_DECISION_H

#include <linux/types.h>

struct keel_thread;

int keel_decision_make(void);
void keel_decision_free(void);
bool keel_decision_may_place(const struct keel_thread *t);

#endif /* KEEL_PLACEMENT_DECISION_H */
