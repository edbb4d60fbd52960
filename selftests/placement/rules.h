/* SPDX-License-Identifier: GPL-2.0 */
#ifndef RULES_H
#define RULES_H

#include "sim.h"

/*
 * How others place threads, as rules on the same numbers: where memory stays
 * where it is, one step of each sends threads elsewhere. rules.c says what was
 * taken from where.
 */
void rule_numad(struct sim *s);
void rule_autonuma(struct sim *s);

#endif
