/* SPDX-License-Identifier: GPL-2.0 */
/* The placement room's face to the rest of the module. */
#ifndef KEEL_PLACEMENT_PLACEMENT_H
#define KEEL_PLACEMENT_PLACEMENT_H

int keel_placement_init(void);
void keel_placement_start(void);
void keel_placement_stop(void);
void keel_placement_exit(void);

#endif /* KEEL_PLACEMENT_PLACEMENT_H */
