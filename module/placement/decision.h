/* SPDX-License-Identifier: GPL-2.0 */
/* From what is known of threads to numbers, and the decision made of these. */
#ifndef KEEL_PLACEMENT_DECISION_H
#define KEEL_PLACEMENT_DECISION_H

int keel_decision_make(void);
void keel_decision_free(void);

#endif /* KEEL_PLACEMENT_DECISION_H */
