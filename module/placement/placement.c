// SPDX-License-Identifier: GPL-2.0
/* The placement room: what is begun and ended with the module. */
#include "placement/control.h"
#include "placement/matrix.h"
#include "placement/placement.h"

/**
 * keel_placement_init - what can fail
 *
 * Return: 0 or -ENOMEM.
 */
int keel_placement_init(void)
{
	int err = keel_matrix_init();

	if (err)
		return err;
	err = keel_place_init();
	if (err)
		keel_matrix_exit();
	return err;
}

/**
 * keel_placement_start - begin what goes on by itself
 */
void keel_placement_start(void)
{
	keel_matrix_start();
}

/**
 * keel_placement_stop - end it, and requests that take long
 *
 * Context: may sleep.
 */
void keel_placement_stop(void)
{
	keel_matrix_stop();
	keel_place_close();
}

/**
 * keel_placement_exit - the mirror of keel_placement_init()
 *
 * No request is in flight any more.
 */
void keel_placement_exit(void)
{
	keel_place_exit();
	keel_matrix_exit();
}
