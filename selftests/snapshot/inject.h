/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that runs out, by the kernel's fault injection: the n-th allocation that
 * a call makes fails (or the n-th copy from or to user space), for n = 1, 2, 3 and
 * so on until the call gets by without. What keel does in a worker counts apart,
 * and only what keel itself asks for there.
 */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct knl;

/* NULL if failures can be injected here, else why not. First of all calls. */
const char *inject_missing(void);

/* What this thread does from here on counts. */
void inject_begin(unsigned int n);
/* It does no more. Return: did anything fail? Says so again if asked again. */
bool inject_end(void);
/* Send @len bytes, which counts, and collect the answer, which does not. */
int inject_talk(struct knl *nl, void *buf, size_t len);

/* A command that counts, with what @put adds to it (NULL: nothing). */
int inject_command(struct knl *nl, uint8_t cmd, bool dump,
		   size_t (*put)(char *buf, size_t at));

/* What keel does in any worker from here on counts. */
void inject_workers_begin(unsigned int n);
/* Has any that counts been done since? */
bool inject_workers_began(void);
/* It counts no more. Return: did anything fail? */
bool inject_workers_end(void);

/*
 * All allocations of keel's fail, whoever makes it do them. Return when that
 * ends: has any failed?
 */
bool inject_starve(bool on);

#define INJECT_EACH	64

/*
 * Call @one for n = 1, 2, 3 and so on, from @each on in growing steps (INJECT_EACH,
 * or less if it takes long). It returns 1 if a failure was injected and all is
 * well, 0 if none was, -1 if something is not well, and adds to *failed when the
 * caller saw an error. Return: has all been well, and was any injected?
 */
bool inject_sweep(const char *name, unsigned int each,
		  int (*one)(const void *what, unsigned int n, int *failed),
		  const void *what);

#endif
