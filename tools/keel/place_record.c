// SPDX-License-Identifier: GPL-2.0
/*
 * keel place record: each decision and all that it was made of, a JSON object a
 * line. place_replay.c makes them again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keel.h"
#include "out.h"
#include "place.h"

static json_t *numbers16(const uint16_t *v, uint32_t nr)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < nr; i++)
		json_array_append_new(list, json_integer(v[i]));
	return list;
}

static json_t *numbers32(const uint32_t *v, uint32_t nr)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < nr; i++)
		json_array_append_new(list, json_integer(v[i]));
	return list;
}

static json_t *sites_json(const struct keel_decision *d)
{
	json_t *list = json_array(), *site;

	for (uint32_t i = 0; i < d->nr_sites; i++) {
		const struct keel_place_site *s = &d->site[i];

		site = json_pack("{si si si sI sI}", "node", s->node,
				 "cores", s->cores, "cpus", s->cpus,
				 "cache_kib", (json_int_t)s->cache_kib,
				 "foreign", (json_int_t)s->foreign);
		json_array_append_new(list, site);
	}
	return list;
}

static json_t *memory_json(const struct keel_place_memory *m)
{
	return json_pack("{sI sI sI}", "from", (json_int_t)m->from,
			 "kib", (json_int_t)m->kib, "to", (json_int_t)m->to);
}

static json_t *tasks_json(const struct keel_decision *d)
{
	json_t *list = json_array(), *allowed;

	for (uint32_t i = 0; i < d->nr; i++) {
		const struct keel_place_task *t = &d->task[i];
		const uint32_t *row = &d->touched[i * 2 * d->nr_nodes];

		allowed = json_array();
		for (uint32_t s = 0; s < d->nr_sites; s++)
			if (t->allowed[s / 64] >> (s % 64) & 1)
				json_array_append_new(allowed, json_integer(s));
		json_array_append_new(list, json_pack(
			"{sI sI si si sI sb si so sI so so so so}",
			"vm", (json_int_t)t->vm,
			"shared_kib", (json_int_t)t->shared_kib,
			"util", t->util, "site", t->site,
			"inertia", (json_int_t)t->inertia, "ours", t->ours,
			"plan", t->plan, "allowed", allowed,
			"mems", (json_int_t)t->mems,
			"memory", memory_json(&t->own),
			"shared_memory", memory_json(&t->shared),
			"touched_kib", numbers32(row, d->nr_nodes),
			"shared_at_kib",
			numbers32(row + d->nr_nodes, d->nr_nodes)));
	}
	return list;
}

static json_t *decision_json(const struct keel_decision *d)
{
	return json_pack("{sI so sI sI so so so so}",
		"period", (json_int_t)d->period,
		"params", json_pack("{si si si sI si si sI si}",
			"smt_gain", d->smt_gain, "miss_floor", d->miss_floor,
			"parallel", d->parallel,
			"horizon_ns", (json_int_t)d->horizon_ns,
			"move_ns", d->move_ns, "effort", d->effort,
			"seed", (json_int_t)d->seed, "hit", d->hit),
		"nodes", (json_int_t)d->nr_nodes, "vms", (json_int_t)d->nr_vms,
		"latency", numbers16(d->latency, d->nr_nodes * d->nr_nodes),
		"room_kib", numbers32(d->room, d->nr_nodes),
		"sites", sites_json(d), "tasks", tasks_json(d));
}

static int write_decision(FILE *f, const char *path,
			  const struct keel_decision *d)
{
	json_t *root = decision_json(d);
	int err;

	if (!root)
		return fail("out of memory");
	err = json_dumpf(root, f, JSON_COMPACT) || fputc('\n', f) == EOF ||
	      fflush(f);
	json_decref(root);
	return err ? fail("%s: %s", path, strerror(errno)) : 0;
}

/* How often to ask, so that no decision is missed that can be had. */
static int period_us(struct keel *keel, useconds_t *us)
{
	struct keel_place p;
	bool running;

	if (keel_place_get(keel, &p))
		return fail("%s", keel_error(keel));
	*us = p.period_ms * 1000 / 4;
	running = p.running;
	keel_place_release(&p);
	return running ? 0 :
	       bad("nothing is placed; 'keel place start' begins it");
}

static int record(struct keel *keel, FILE *f, const char *path, uint32_t periods)
{
	uint64_t last = 0, missed = 0;
	uint32_t nr = 0;
	struct keel_decision d;
	useconds_t us = 0;
	int err = 0;

	while (!err && !stop_signal && (!periods || nr < periods)) {
		if (period_us(keel, &us))
			return -1;
		err = keel_decision_get(keel, &d);
		if (err && err != -EAGAIN)
			return fail("%s", keel_error(keel));
		if (!err && d.period != last) {
			missed += last && d.period > last ?
				  d.period - last - 1 : 0;
			last = d.period;
			nr++;
			err = write_decision(f, path, &d);
		} else {
			err = 0;
			usleep(us);
		}
		keel_decision_release(&d);
	}
	out_object(NULL);
	out_u64("recorded", "%llu decisions", nr);
	out_u64("missed", ", %llu missed\n", missed);
	return err;
}

int place_record(int argc, char **argv)
{
	static const struct option options[] = {
		{ "periods", required_argument, NULL, 'n' },
		{ 0 }
	};
	uint32_t periods = 0;
	struct keel *keel;
	int c, err;
	FILE *f;

	while ((c = next_option(argc, argv, options)) != -1)
		if (c != 'n' || parse_positive("--periods", optarg, &periods))
			return -1;
	if (argc - optind != 1)
		return bad("place record: give one file");
	if (keel_connect(&keel))
		return -1;
	f = fopen(argv[optind], "w");
	if (!f) {
		keel_close(keel);
		return bad("%s: %s", argv[optind], strerror(errno));
	}
	catch_signals();
	err = record(keel, f, argv[optind], periods);
	if (fclose(f) && !err)
		err = fail("%s: %s", argv[optind], strerror(errno));
	keel_close(keel);
	return err ? -1 : 0;
}
