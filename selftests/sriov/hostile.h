/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests share in which keeld's own files are told things by something that
 * is not what it should be: each time somebody honest comes afterwards, and it is seen what
 * it has cost.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A test's own: what one conversation may cost, and an honest one. */
struct hostile_limits {
	size_t bytes;
	double cpu_s;
	int lines;		/* of keeld's log */
};

extern const struct hostile_limits limits;
void honest(void);

/* Return: where keeld is to connect to, which is @listener. */
extern int listener;
const char *hostile_begin(unsigned int plan, uint64_t seed);
void hostile_end(void);

/* The first sentence stands, until the result is told. */
void wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool is_wrong(void);
void result(const char *what, uint32_t rounds);

/* @how, and then somebody honest; and that often. Each round has a seed of its own. */
void one(void (*how)(void));
void many(const char *what, void (*how)(void), uint64_t seed, uint32_t rounds);

/* It may cost so much, and nothing may be left over. */
void cost_begin(void);
void cost_check(void);

/* Was each line of the log a line, and nothing else? Then what was said last. */
bool log_is_well(void);
const char *log_last(void);

/* keeld's clock stands still, however slow all is, but for this. */
void clock_skip(uint64_t ms);

/* What keeld calls, and what that was. */
struct pollfd;
uint64_t __wrap_now_ns(void);
uint64_t __real_now_ns(void);
int __wrap_poll(struct pollfd *p, unsigned long nr, int ms);
int __real_poll(struct pollfd *p, unsigned long nr, int ms);

/* Of the sanitizer, which has no header for them here. */
int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void *, size_t),
					      void (*given)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *p);

#endif
