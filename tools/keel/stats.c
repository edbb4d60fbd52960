// SPDX-License-Identifier: GPL-2.0
/* What a snapshot cost, for people; and what the host's CPU is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "out.h"
#include "snapshot.h"

static unsigned long long num(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static double ms(json_t *o, const char *key)
{
	return num(o, key) / 1e6;
}

void stats_print(json_t *s)
{
	json_t *w = json_object_get(s, "stop_window");
	char text[32];

	if (json_is_object(w))
		out_text("stop window    %.2f ms: quiesce %.2f, arm %.2f, disks %.2f, device state %.2f, resume %.2f\n",
			 ms(w, "total_ns"), ms(w, "quiesce_ns"),
			 ms(w, "arm_ns"), ms(w, "disks_ns"),
			 ms(w, "device_state_ns"), ms(w, "resume_ns"));
	out_text("gate shut      %.2f ms: unmapping %.2f, looking at folios %.2f\n",
		 ms(s, "gate_ns"), ms(s, "unmap_ns"), ms(s, "walk_ns"));
	out_text("pages          %llu: %llu saved by faults, %llu swept, %llu at once; %llu of them zero\n",
		 num(s, "pages"), num(s, "fault_pages"), num(s, "swept_pages"),
		 num(s, "eager_pages"), num(s, "zero_pages"));
	out_text("pool           %llu pages, at least %llu free; %llu writes throttled for %.2f ms, %llu pages spilled\n",
		 num(s, "pool_pages"), num(s, "pool_low"), num(s, "throttled"),
		 ms(s, "throttled_ns"), num(s, "spilled_pages"));
	out_text("written        %s in %.2f s\n",
		 size_text(num(s, "bytes_written"), text, sizeof(text)),
		 num(s, "drain_ns") / 1e9);
}

static void take_line(json_t *cpu, char *line)
{
	static const struct {
		const char *key, *name;
		bool number;
	} wanted[] = {
		{ "vendor_id", "vendor" },
		{ "model name", "name" },
		{ "cpu family", "family", true },
		{ "model", "model", true },
		{ "stepping", "stepping", true },
		{ "flags", "flags" },
	};
	char *value = strchr(line, ':');
	size_t len;

	if (!value)
		return;
	len = strcspn(line, "\t:");
	value += 1 + (value[1] == ' ');
	for (size_t i = 0; i < NR(wanted); i++) {
		if (strlen(wanted[i].key) != len ||
		    strncmp(line, wanted[i].key, len))
			continue;
		json_object_set_new(cpu, wanted[i].name, wanted[i].number ?
				    json_integer(atoi(value)) :
				    json_string(value));
	}
}

/* The first CPU: a host's are alike in what a guest may rely on. */
json_t *host_cpu_json(void)
{
	char *text = read_text("/proc/cpuinfo", NULL), *save, *line;
	char *end = text ? strstr(text, "\n\n") : NULL;
	json_t *cpu = json_object();

	if (end)
		*end = 0;
	for (line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		take_line(cpu, line);
	free(text);
	return cpu;
}
