/* SPDX-License-Identifier: GPL-2.0 */
/* The SR-IOV room's face to the rest of the module. */
#ifndef KEEL_SRIOV_SRIOV_H
#define KEEL_SRIOV_SRIOV_H

int keel_sriov_init(void);
int keel_sriov_start(void);
void keel_sriov_stop(void);
void keel_sriov_exit(void);

#endif /* KEEL_SRIOV_SRIOV_H */
