// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's command, made into one that maps the image.
 *
 * Each memory backend of the image becomes a private mapping of its RAM file:
 * the guest runs at once, pages come in as they are touched, and what it writes
 * is its own. The file is opened read-only where QEMU can (readonly=on,rom=off,
 * from 8.2 on), so the image cannot be changed by mistake.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "keel.h"
#include "restore.h"

void command_add(struct command *cmd, const char *word)
{
	cmd->argv = reallocarray(cmd->argv, cmd->argc + 2, sizeof(char *));
	if (!cmd->argv)
		abort();
	cmd->argv[cmd->argc++] = strdup(word);
	cmd->argv[cmd->argc] = NULL;
}

void command_copy(struct command *cmd, char **argv)
{
	for (; *argv; argv++)
		command_add(cmd, *argv);
}

void command_drop(struct command *cmd, int at, int nr)
{
	for (int i = at; i < at + nr; i++)
		free(cmd->argv[i]);
	memmove(cmd->argv + at, cmd->argv + at + nr,
		(cmd->argc - at - nr + 1) * sizeof(char *));
	cmd->argc -= nr;
}

void command_set(struct command *cmd, int at, char *word)
{
	free(cmd->argv[at]);
	cmd->argv[at] = word;
}

void command_free(struct command *cmd)
{
	strv_free(cmd->argv);
	cmd->argv = NULL;
	cmd->argc = 0;
}

/* What would start the guest in another way than ours. */
void restore_strip(struct command *cmd)
{
	static const struct {
		const char *option;
		int words;
	} strip[] = {
		{ "incoming", 2 }, { "loadvm", 2 }, { "S", 1 },
		{ "daemonize", 1 }, { "mem-prealloc", 1 },
	};

	for (int i = 1; i < cmd->argc;) {
		int words = 0;

		for (size_t k = 0; k < NR(strip); k++)
			if (args_is(cmd->argv[i], strip[k].option) &&
			    i + strip[k].words <= cmd->argc)
				words = strip[k].words;
		if (words)
			command_drop(cmd, i, words);
		else
			i++;
	}
}

/* Is @opts the backend that RAM file @f was? */
static bool is_backend(json_t *f, json_t *opts)
{
	const char *id = args_get(f, "backend");

	if (id)
		return args_get(opts, "id") && !strcmp(id, args_get(opts, "id"));
	return args_get(opts, "mem-path") &&
	       !strcmp(args_get(f, "path"), args_get(opts, "mem-path"));
}

static int check_size(json_t *f, json_t *opts)
{
	uint64_t want = json_integer_value(json_object_get(f, "size")), have;
	json_t *size = json_object_get(opts, "size");
	const char *text = json_string_value(size);

	if (json_is_integer(size))
		have = json_integer_value(size);
	else if (!text || parse_size(text, &have))
		return bad("memory backend %s in the command has no size that can be read",
			   args_get(opts, "id"));
	if (have != want)
		return bad("memory backend %s is %llu bytes in the command and %llu in the image; give the size the guest had",
			   args_get(opts, "id"), (unsigned long long)have,
			   (unsigned long long)want);
	return 0;
}

static void map_image(json_t *opts, const char *path, bool readonly_rom,
		      bool as_json)
{
	static const char *const drop[] = {
		"share", "readonly", "rom", "prealloc", "prealloc-threads",
		"prealloc-context", "pmem", "discard-data", "hugetlb",
		"hugetlbsize", "seal", "offset", "align", "x-mmap-noreserve",
	};

	for (size_t i = 0; i < NR(drop); i++)
		json_object_del(opts, drop[i]);
	json_object_set_new(opts, "qom-type", json_string("memory-backend-file"));
	json_object_set_new(opts, "mem-path", json_string(path));
	json_object_set_new(opts, "share", as_json ? json_false() :
			    json_string("off"));
	if (!readonly_rom)
		return;
	json_object_set_new(opts, "readonly", as_json ? json_true() :
			    json_string("on"));
	json_object_set_new(opts, "rom", json_string("off"));
}

/* One RAM file: find its backend in the command. */
static int place(struct command *cmd, json_t *f, const char *dir,
		 bool readonly_rom)
{
	char *path = mkpath("%s/%s", dir, args_get(f, "image"));
	int err = 1;

	for (int i = 1; err > 0 && i + 1 < cmd->argc; i++) {
		bool as_json = cmd->argv[i + 1][0] == '{';
		const char *type;
		json_t *opts;

		if (!args_is(cmd->argv[i], "object"))
			continue;
		opts = args_parse(cmd->argv[i + 1], "qom-type");
		type = args_get(opts, "qom-type");
		if (type && !strncmp(type, "memory-backend-", 15) &&
		    is_backend(f, opts)) {
			err = check_size(f, opts);
			map_image(opts, path, readonly_rom, as_json);
			command_set(cmd, i + 1,
				    args_format(opts, "qom-type", as_json));
		}
		json_decref(opts);
	}
	free(path);
	return err > 0 ? bad("the command has no memory backend '%s' for %s; give the command the guest was started with",
			     args_get(f, "backend") ?: args_get(f, "path"),
			     args_get(f, "image")) : err;
}

int restore_memory(struct command *cmd, json_t *manifest, const char *dir,
		   bool readonly_rom)
{
	json_t *f;
	size_t i;

	json_array_foreach(json_object_get(manifest, "memory"), i, f)
		if (place(cmd, f, dir, readonly_rom))
			return -1;
	return 0;
}
