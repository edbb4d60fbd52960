/* SPDX-License-Identifier: GPL-2.0 */
/* The face of directed interrupts to the rest of the module. */
#ifndef KEEL_DIRQ_DIRQ_H
#define KEEL_DIRQ_DIRQ_H

int keel_dirq_init(void);
void keel_dirq_start(void);
void keel_dirq_placed(void);
void keel_dirq_stop(void);
void keel_dirq_exit(void);

#endif /* KEEL_DIRQ_DIRQ_H */
