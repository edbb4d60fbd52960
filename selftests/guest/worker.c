// SPDX-License-Identifier: GPL-2.0
/*
 * The load inside a guest: it counts, and each count leaves a trace that can be
 * checked.
 *
 *	worker run [-m MiB] [-d FILE]	count until told to stop
 *	worker status			where it stands, NAME=VALUE a line
 *	worker check			check all of memory and disk now
 *	worker stop			check, end, and leave FILE closed
 *	worker now			the time, in the microseconds of "ticks"
 *	worker ticks N [G]		the last N slices of 10 ms, G in one: the
 *					time of the first, then a line each:
 *					counts, longest time between two (us)
 *
 * Memory: count n rewrites page n * STRIDE mod P, and holds n, the hash of the
 * page written before it, and its own. The last P counts together are all of
 * the memory, as one chain: a page that is older, newer or half written than
 * the others say breaks it.
 *
 * Disk: records form such a chain too, in a ring; "acked" is the last one that
 * fdatasync() answered for.
 *
 * All that is not the chain lies in STATE, a page of which begins with a word
 * that is nowhere else in the guest, so it can be found in an image of its
 * memory (see guestlib.py, which knows the layout of struct state).
 *
 * Time is the TSC, which runs on while the guest is stopped.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define STATE		"/run/worker.state"
#define WORDS		512
#define STRIDE		40503
#define RECORDS		4096		/* of 4 KiB */
#define BATCH		16
#define SLICES		4096

struct slice {
	uint64_t start;			/* TSC */
	uint32_t counts;
	uint32_t gap_us;
};

struct state {
	uint64_t magic[2];
	uint64_t count;
	uint64_t printed;		/* the last "count" line on the console */
	uint64_t print_every;
	uint64_t acked;
	uint64_t tsc_hz;
	uint64_t pages;
	uint64_t errors;
	uint64_t check_want;
	uint64_t check_done;
	uint64_t stop;
	uint64_t ended;
	uint64_t slice;			/* number of the one being filled */
	char message[256];
	struct slice slices[SLICES] __attribute__((aligned(4096)));
};

static struct state *state;
static uint64_t (*page)[WORDS];
static uint64_t last_hash, last_record_hash;
static const char *disk_path;
static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;

/* Made here, so that no page of the program holds it. */
static void make_magic(uint64_t *magic)
{
	volatile uint64_t half = 0x6b65656c20677565ULL;

	magic[0] = half ^ 0x5555555555555555ULL;
	magic[1] = half * 3;
}

static void say(const char *format, const char *what, uint64_t at)
{
	state->errors++;
	snprintf(state->message, sizeof(state->message), format, what,
		 (unsigned long long)at);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 29);
}

/* Fill @p as count or record @n after one with hash @prev; its own hash. */
static uint64_t fill(uint64_t *p, uint64_t n, uint64_t prev)
{
	uint64_t h = mix(n, prev), v = h;

	p[0] = n;
	p[1] = prev;
	for (int i = 3; i < WORDS; i++) {
		v += 0x9e3779b97f4a7c15ULL;
		p[i] = v ^ (v >> 31);
		h = (h << 5 | h >> 59) ^ p[i];
	}
	p[2] = h;
	return h;
}

/* Is @p what fill() made of @n and @prev? */
static bool filled(const uint64_t *p, uint64_t n, uint64_t prev)
{
	uint64_t h = mix(n, prev), v = h;

	if (p[0] != n || p[1] != prev)
		return false;
	for (int i = 3; i < WORDS; i++) {
		v += 0x9e3779b97f4a7c15ULL;
		if (p[i] != (v ^ (v >> 31)))
			return false;
		h = (h << 5 | h >> 59) ^ p[i];
	}
	return p[2] == h;
}

static uint64_t *page_of(uint64_t count)
{
	return page[count * STRIDE & (state->pages - 1)];
}

static void check_memory(void)
{
	uint64_t first = 1, prev = 0, n;

	if (state->count > state->pages) {
		first = state->count - state->pages + 1;
		prev = page_of(first)[1];
	}
	for (n = first; n <= state->count; n++) {
		if (!filled(page_of(n), n, prev)) {
			say("memory: %s count %llu is not there as it was written",
			    "the page of", n);
			return;
		}
		prev = page_of(n)[2];
	}
	if (prev != last_hash)
		say("memory: %s count %llu is not the last", "the page of", n);
}

/* Past the page cache: from the disk. */
static void check_disk(void)
{
	uint64_t first = 1, prev = 0, *buf;
	int fd;

	if (!disk_path || !state->acked)
		return;
	fd = open(disk_path, O_RDONLY | O_DIRECT);
	buf = aligned_alloc(4096, 4096);
	if (fd < 0 || !buf) {
		say("disk: %s cannot be read (%llu)", disk_path, errno);
		return;
	}
	if (state->acked > RECORDS)
		first = state->acked - RECORDS + 1;
	for (uint64_t n = first; n <= state->acked; n++) {
		if (pread(fd, buf, 4096, n % RECORDS * 4096) != 4096) {
			say("disk: %s record %llu cannot be read", disk_path, n);
			break;
		}
		if (n == first)
			prev = buf[1];
		if (!filled(buf, n, prev)) {
			say("disk: %s record %llu is not there as it was written",
			    disk_path, n);
			break;
		}
		prev = buf[2];
	}
	free(buf);
	close(fd);
}

static void check_all(void)
{
	pthread_mutex_lock(&disk_lock);
	check_memory();
	check_disk();
	pthread_mutex_unlock(&disk_lock);
	__atomic_store_n(&state->check_done, state->check_want, __ATOMIC_RELEASE);
}

static void *disk_main(void *unused)
{
	char *buf = aligned_alloc(4096, BATCH * 4096);
	uint64_t n = 0;
	int fd = open(disk_path, O_RDWR | O_CREAT, 0600);

	(void)unused;
	if (fd < 0 || !buf) {
		say("disk: %s: errno %llu", disk_path, errno);
		return NULL;
	}
	while (!state->stop) {
		pthread_mutex_lock(&disk_lock);
		for (int i = 0; i < BATCH; i++) {
			n++;
			last_record_hash = fill((uint64_t *)buf, n,
						last_record_hash);
			if (pwrite(fd, buf, 4096, n % RECORDS * 4096) != 4096)
				say("disk: writing %s: errno %llu", disk_path,
				    errno);
		}
		if (fdatasync(fd))
			say("disk: syncing %s: errno %llu", disk_path, errno);
		state->acked = n;
		pthread_mutex_unlock(&disk_lock);
		usleep(50000);
	}
	close(fd);
	return NULL;
}

/* Every multiple of print_every appears, in order. */
static void *print_main(void *unused)
{
	char line[64];
	int len;

	(void)unused;
	while (!state->stop) {
		while (state->print_every &&
		       state->printed + state->print_every <= state->count) {
			len = snprintf(line, sizeof(line), "count %llu\n",
				       (unsigned long long)(state->printed +
							    state->print_every));
			if (write(1, line, len) != len)
				say("console: %s: errno %llu", "write", errno);
			state->printed += state->print_every;
		}
		usleep(20000);
	}
	return NULL;
}

/* A slice ends with the first count after its 10 ms; those missed are empty. */
static void account(uint64_t now, uint64_t *last)
{
	struct slice *s = &state->slices[state->slice % SLICES];
	uint64_t length = state->tsc_hz / 100;
	uint64_t gap = (now - *last) * 1000000 / state->tsc_hz;

	*last = now;
	if (now < s->start || now - s->start > length * SLICES)
		s->start = now;
	while (now - s->start >= length) {
		uint64_t start = s->start + length;

		s = &state->slices[(state->slice + 1) % SLICES];
		*s = (struct slice){ .start = start };
		state->slice++;
	}
	s->counts++;
	if (gap > s->gap_us)
		s->gap_us = gap;
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void count_one(void)
{
	uint64_t n = state->count + 1;

	last_hash = fill(page_of(n), n, last_hash);
	__atomic_store_n(&state->count, n, __ATOMIC_RELEASE);
}

/* TSC per second; and about five lines a second, a round number of counts. */
static void calibrate(void)
{
	uint64_t ns = clock_ns(), tsc = __rdtsc(), rate, every = 10;

	while (clock_ns() - ns < 500000000ULL)
		for (int i = 0; i < 64; i++)
			count_one();
	ns = clock_ns() - ns;
	state->tsc_hz = (__uint128_t)(__rdtsc() - tsc) * 1000000000ULL / ns;
	rate = state->count * 1000000000ULL / ns;
	while (every * 10 < rate)
		every *= 10;
	state->print_every = every * 5 < rate ? every / 2 : every / 5;
}

static int run(size_t mib)
{
	pthread_t thread;
	uint64_t last;
	int fd = open(STATE, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*state)))
		return perror(STATE), 1;
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED,
		     fd, 0);
	if (state == MAP_FAILED)
		return perror(STATE), 1;
	for (state->pages = 1; state->pages * 2 <= mib << 8;)
		state->pages *= 2;
	page = mmap(NULL, state->pages << 12, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return perror("memory"), 1;
	for (uint64_t i = 0; i < state->pages; i++)
		count_one();
	calibrate();
	state->printed = state->count / state->print_every * state->print_every;
	if (disk_path && pthread_create(&thread, NULL, disk_main, NULL))
		return perror("thread"), 1;
	if (pthread_create(&thread, NULL, print_main, NULL))
		return perror("thread"), 1;
	make_magic(state->magic);
	last = __rdtsc();
	state->slices[0].start = last;
	printf("worker: ready, memory %llu MiB\n",
	       (unsigned long long)state->pages >> 8);
	fflush(stdout);
	while (!state->stop) {
		count_one();
		account(__rdtsc(), &last);
		if (state->check_want != state->check_done)
			check_all();
	}
	check_all();
	state->ended = 1;
	return 0;
}

static void print_status(void)
{
	printf("count=%llu\nacked=%llu\nerrors=%llu\npages=%llu\n",
	       (unsigned long long)state->count,
	       (unsigned long long)state->acked,
	       (unsigned long long)state->errors,
	       (unsigned long long)state->pages);
	if (state->errors)
		printf("message=%s\n", state->message);
}

static uint64_t us_of(uint64_t tsc)
{
	return (__uint128_t)tsc * 1000000 / state->tsc_hz;
}

/* The slice under way is not told. The console is slow: short lines. */
static void print_ticks(uint64_t n, uint64_t group)
{
	uint64_t end = state->slice, i;

	n -= n % group;
	i = n < end ? end - n : 0;
	printf("%llu\n", (unsigned long long)
	       us_of(state->slices[i % SLICES].start));
	while (i + group <= end) {
		uint64_t counts = 0, gap = 0;

		for (uint64_t last = i + group; i < last; i++) {
			struct slice *s = &state->slices[i % SLICES];

			counts += s->counts;
			if (s->gap_us > gap)
				gap = s->gap_us;
		}
		printf("%llu %llu\n", (unsigned long long)counts,
		       (unsigned long long)gap);
	}
}

static int ask(const char *verb, uint64_t n, uint64_t group)
{
	uint64_t want;
	int fd = open(STATE, O_RDWR);

	if (fd < 0)
		return perror(STATE), 2;
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED,
		     fd, 0);
	if (state == MAP_FAILED)
		return perror(STATE), 2;
	if (!strcmp(verb, "now")) {
		printf("%llu\n", (unsigned long long)us_of(__rdtsc()));
		return 0;
	}
	if (!strcmp(verb, "ticks")) {
		print_ticks(n, group);
		return 0;
	}
	if (!strcmp(verb, "check")) {
		want = __atomic_add_fetch(&state->check_want, 1,
					  __ATOMIC_ACQ_REL);
		while (state->check_done < want)
			usleep(5000);
	} else if (!strcmp(verb, "stop")) {
		state->stop = 1;
		while (!state->ended)
			usleep(5000);
		usleep(200000);
	} else if (strcmp(verb, "status")) {
		return 2;
	}
	print_status();
	return state->errors ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	size_t mib = 64;
	int c;

	if (strcmp(verb, "run"))
		return ask(verb, argc > 2 ? strtoull(argv[2], NULL, 0) : 100,
			   argc > 3 ? strtoull(argv[3], NULL, 0) : 1);
	optind = 2;
	while ((c = getopt(argc, argv, "m:d:")) != -1) {
		if (c == 'm')
			mib = strtoul(optarg, NULL, 0);
		else if (c == 'd')
			disk_path = optarg;
		else
			return 2;
	}
	return run(mib);
}
