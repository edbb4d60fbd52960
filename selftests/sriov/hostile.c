// SPDX-License-Identifier: GPL-2.0
/* See hostile.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"
#include "kselftest.h"
#include "spoil.h"

int listener = -1;
static char dir[32], path[64], why[512];

void wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!why[0])
		vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
}

bool is_wrong(void)
{
	return why[0];
}

void result(const char *what, uint32_t rounds)
{
	if (why[0])
		ksft_print_msg("%s\n", why);
	ksft_test_result(!why[0], "%s (%u)\n", what, rounds);
	why[0] = 0;
}

/* Since cost_begin(). */
struct cost {
	ssize_t bytes;		/* more in use, */
	size_t most;		/* and at most */
	int files;		/* more open */
	double cpu_s;
	int lines;		/* of keeld's log */
};

static size_t in_use, most, bytes_begin;
static int files_begin;
static double cpu_begin;
static int log_fd = -1;
static off_t log_seen;
static char last[1024];

static void taken(const volatile void *p, size_t len)
{
	size_t bytes = __atomic_add_fetch(&in_use, p ? len : 0, __ATOMIC_RELAXED);

	if (bytes > __atomic_load_n(&most, __ATOMIC_RELAXED))
		__atomic_store_n(&most, bytes, __ATOMIC_RELAXED);
}

static void given(const volatile void *p)
{
	if (p)
		__atomic_sub_fetch(&in_use, __sanitizer_get_allocated_size(p),
				   __ATOMIC_RELAXED);
}

/* From now on what keeld says goes into its log, and what the sanitizer says does not. */
static void cost_init(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	stderr = log_fd < 0 ? NULL : fdopen(log_fd, "a");
	if (!stderr)
		abort();
	setbuf(stderr, NULL);
	__sanitizer_install_malloc_and_free_hooks(taken, given);
}

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static off_t log_len(void)
{
	struct stat st;

	if (fstat(log_fd, &st))
		abort();
	return st.st_size;
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int nr = 0;

	while (dir && readdir(dir))
		nr++;
	if (dir)
		closedir(dir);
	return nr;
}

void cost_begin(void)
{
	log_seen = log_len();
	files_begin = open_files();
	bytes_begin = most = in_use;
	cpu_begin = cpu_s();
}

/* What was said since cost_begin(); to be freed. */
static char *log_new(void)
{
	size_t len = log_len() - log_seen;
	char *text = calloc(1, len + 1);

	if (!text || pread(log_fd, text, len, log_seen) != (ssize_t)len)
		abort();
	return text;
}

static struct cost cost_get(void)
{
	struct cost cost = {
		.bytes = in_use - bytes_begin,
		.most = most - bytes_begin,
		.cpu_s = cpu_s() - cpu_begin,
		.files = open_files() - files_begin,
	};
	char *text = log_new();

	for (char *p = text; *p; p++)
		cost.lines += *p == '\n';
	free(text);
	return cost;
}

bool log_is_well(void)
{
	char *text = log_new(), *line = text, *end;
	bool well = true;

	for (; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		well &= !strncmp(line, "keeld: ", 7);
		for (char *p = line; *p; p++)
			well &= (unsigned char)*p >= ' ' && *p != 0x7f;
		snprintf(last, sizeof(last), "%s", line);
	}
	well &= !*line;
	free(text);
	return well;
}

const char *log_last(void)
{
	return last;
}

static uint64_t ahead_ns, stands_ns;

static void clock_stop(void)
{
	stands_ns = __real_now_ns();
}

void clock_skip(uint64_t ms)
{
	ahead_ns += ms * 1000000;
}

uint64_t __wrap_now_ns(void)
{
	return (stands_ns ? stands_ns : __real_now_ns()) + ahead_ns;
}

const char *hostile_begin(unsigned int plan, uint64_t seed)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	ksft_print_header();
	ksft_set_plan(plan);
	ksft_print_msg("seed %llu\n", (unsigned long long)seed);
	random_begin(seed);
	strcpy(dir, "/tmp/hostile-XXXXXX");
	if (!mkdtemp(dir))
		ksft_exit_fail_msg("%s: %s\n", dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/socket", dir);
	strcpy(addr.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 1))
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	clock_stop();
	cost_init();
	return path;
}

void hostile_end(void)
{
	close(listener);
	unlink(path);
	rmdir(dir);
	ksft_finished();
}

void cost_check(void)
{
	struct cost cost = cost_get();

	if (cost.bytes)
		wrong("%zd bytes are left over", cost.bytes);
	if (cost.files)
		wrong("%d files are left open", cost.files);
	if (cost.most > limits.bytes)
		wrong("it took %zu MiB", cost.most >> 20);
	if (cost.cpu_s > limits.cpu_s)
		wrong("it took %.1f s", cost.cpu_s);
	if (cost.lines > limits.lines)
		wrong("it said %d lines", cost.lines);
	if (!log_is_well())
		wrong("the log has what is no line of it: %s", log_last());
}

void one(void (*how)(void))
{
	cost_begin();
	how();
	cost_check();
	cost_begin();
	honest();
	cost_check();
}

void many(const char *what, void (*how)(void), uint64_t seed, uint32_t rounds)
{
	uint32_t i;

	for (i = 0; i < rounds && !why[0]; i++) {
		random_begin(seed + i);
		one(how);
	}
	if (why[0])
		ksft_print_msg("%s: with the seed %llu\n", what,
			       (unsigned long long)seed + i - 1);
	result(what, i);
}
