// SPDX-License-Identifier: GPL-2.0
/* keel place matrix: how far the memory of each node is. */
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "out.h"
#include "place.h"

static int matrix_get(struct keel_matrix *m)
{
	struct keel *keel;
	int err;

	if (keel_connect(&keel))
		return -1;
	err = keel_matrix_get(keel, m);
	if (err)
		fail("%s", keel_error(keel));
	keel_close(keel);
	return err;
}

static json_t *rows_json(const struct keel_matrix *m, const uint16_t *latency)
{
	json_t *rows = json_array(), *row;

	for (uint32_t from = 0; from < m->nr; from++) {
		row = json_array();
		for (uint32_t to = 0; to < m->nr; to++) {
			uint16_t tenths = latency[from * m->nr + to];

			json_array_append_new(row, tenths ?
				json_real(tenths / 10.0) : json_null());
		}
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *nodes_json(const struct keel_matrix *m)
{
	json_t *nodes = json_array();

	for (uint32_t i = 0; i < m->nr; i++)
		json_array_append_new(nodes, json_integer(m->node[i]));
	return nodes;
}

static void show_rows(const struct keel_matrix *m)
{
	out_text("ns, from the CPUs of a node (rows) to the memory of a node\n%8s", "");
	for (uint32_t i = 0; i < m->nr; i++)
		out_text("%8u", m->node[i]);
	for (uint32_t from = 0; from < m->nr; from++) {
		out_text("\n%8u", m->node[from]);
		for (uint32_t to = 0; to < m->nr; to++)
			out_text("%8.1f", m->latency[from * m->nr + to] / 10.0);
	}
	out_text("\n");
}

static void show_table(const struct keel_matrix *m, uint32_t source)
{
	static const char *const none[] = {
		[KEEL_PLACE_SOURCE_USER] = "none is loaded",
		[KEEL_PLACE_SOURCE_MEASURED] = "nothing was measured",
		[KEEL_PLACE_SOURCE_HMAT] = "the firmware has none",
		[KEEL_PLACE_SOURCE_SLIT] = "the firmware has none",
	};
	const struct keel_matrix_table *t = &m->table[source];

	out_object(NULL);
	out_str("source", "%-10s", keel_place_source_name(source));
	out_bool("used", " in use", source == m->source);
	out_bool("known", NULL, t->known);
	if (!t->known) {
		out_text(" %s\n", none[source]);
		out_end();
		return;
	}
	if (t->why[0])
		out_str("why", " not used: %s", t->why);
	else if (source != m->source)
		out_text(" could be used");
	if (source == KEEL_PLACE_SOURCE_MEASURED) {
		out_bool("loaded", "; under load", t->loaded);
		out_u64("noise_percent", "; its two rounds differ by up to %llu %%",
			t->noise);
	}
	out_text("\n");
	out_value("latency_ns", rows_json(m, t->latency));
	out_end();
}

static void show_outlier(const struct keel_matrix_outlier *o)
{
	out_object(NULL);
	out_u64("cpu", "CPU %llu", o->cpu);
	out_u64("node", " is unlike its node's others: to node %llu", o->node);
	out_real("latency_ns", " %.1f ns", o->latency / 10.0);
	out_real("usual_ns", ", they %.1f ns\n", o->usual / 10.0);
	out_end();
}

static void show(const struct keel_matrix *m)
{
	out_object(NULL);
	out_value("nodes", nodes_json(m));
	out_value("latency_ns", rows_json(m, m->latency));
	out_str("source", NULL, keel_place_source_name(m->source));
	show_rows(m);
	out_array("sources");
	for (uint32_t i = 0; i < KEEL_SOURCES; i++)
		show_table(m, i);
	out_end();
	out_array("outliers");
	for (uint32_t i = 0; i < m->nr_outliers; i++)
		show_outlier(&m->outlier[i]);
	out_end();
}

static int show_now(void)
{
	struct keel_matrix *m = malloc(sizeof(*m));
	int err;

	if (!m)
		return fail("out of memory");
	err = matrix_get(m);
	if (!err)
		show(m);
	free(m);
	return err ? -1 : 0;
}

static int matrix_show(int argc, char **argv)
{
	return nothing_more(argc, argv, "place matrix show") ? -1 : show_now();
}

static int matrix_measure(int argc, char **argv)
{
	static const struct option options[] = {
		{ "loaded", no_argument, NULL, 'l' },
		{ "time", required_argument, NULL, 't' },
		{ 0 }
	};
	uint32_t ms = 0;
	bool loaded = false;
	struct keel *keel;
	int c, err;

	while ((c = next_option(argc, argv, options)) != -1) {
		if (c == 'l')
			loaded = true;
		else if (c != 't')
			return -1;
		else if (parse_u32(optarg, &ms) || !ms || ms > 1000)
			return bad("--time: '%s' is not from 1 to 1000 milliseconds",
				   optarg);
	}
	if (no_words(argc, argv, "place matrix measure") || keel_connect(&keel))
		return -1;
	err = keel_matrix_measure(keel, ms * 1000, loaded);
	if (err)
		fail("%s", keel_error(keel));
	keel_close(keel);
	if (err)
		return -1;
	return show_now();
}

static int matrix_save(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel_matrix *m;
	json_t *root;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 1)
		return bad("place matrix save: give one file");
	m = malloc(sizeof(*m));
	if (!m)
		return fail("out of memory");
	err = matrix_get(m);
	if (!err) {
		root = json_pack("{so so}", "nodes", nodes_json(m), "latency_ns",
				 rows_json(m, m->latency));
		if (json_dump_file(root, argv[optind],
				   JSON_INDENT(1) | JSON_REAL_PRECISION(6)))
			err = fail("%s: cannot be written", argv[optind]);
		json_decref(root);
	}
	free(m);
	return err ? -1 : 0;
}

/* The file's "nodes"; without them, those that the host has. */
static int read_nodes(json_t *root, struct keel_matrix *m, const char *path)
{
	json_t *nodes = json_object_get(root, "nodes"), *v;
	size_t i;

	if (!nodes)
		return 0;
	if (!json_is_array(nodes) || !json_array_size(nodes) ||
	    json_array_size(nodes) > KEEL_NODES_MAX)
		return bad("%s: \"nodes\" must be a list of 1 to %d node numbers",
			   path, KEEL_NODES_MAX);
	m->nr = json_array_size(nodes);
	json_array_foreach(nodes, i, v) {
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) > UINT16_MAX)
			return bad("%s: \"nodes\" must be a list of node numbers",
				   path);
		m->node[i] = json_integer_value(v);
	}
	return 0;
}

static int read_matrix(struct keel_matrix *m, const char *path)
{
	json_error_t why;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	uint32_t *latency;
	int err;

	if (!root)
		return bad("%s: line %d: %s", path, why.line, why.text);
	err = place_keys(root, "nodes, latency_ns", "%s", path) ||
	      read_nodes(root, m, path);
	latency = calloc(m->nr * m->nr, sizeof(*latency));
	if (!err)
		err = latency ? place_read_latency(
				json_object_get(root, "latency_ns"),
				"latency_ns", m->nr, latency) :
		      fail("out of memory");
	for (uint32_t i = 0; !err && i < m->nr * m->nr; i++)
		m->latency[i] = latency[i];
	free(latency);
	json_decref(root);
	return err ? -1 : 0;
}

static int matrix_load(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel_matrix *m;
	struct keel *keel = NULL;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 1)
		return bad("place matrix load: give one file, as 'keel place matrix save' writes it");
	m = malloc(sizeof(*m));
	if (!m)
		return fail("out of memory");
	err = matrix_get(m) || read_matrix(m, argv[optind]) ||
	      keel_connect(&keel);
	if (!err) {
		err = keel_matrix_load(keel, m->nr, m->node, m->latency);
		if (err)
			bad("%s: %s", argv[optind], keel_error(keel));
		keel_close(keel);
	}
	free(m);
	return err ? -1 : 0;
}

static int matrix_forget(int argc, char **argv)
{
	struct keel *keel;
	int err;

	if (nothing_more(argc, argv, "place matrix forget") ||
	    keel_connect(&keel))
		return -1;
	err = keel_matrix_load(keel, 0, NULL, NULL);
	if (err)
		fail("%s", keel_error(keel));
	keel_close(keel);
	return err ? -1 : 0;
}

int place_matrix(int argc, char **argv)
{
	static const struct cmd verbs[] = {
		{ "show", matrix_show,
		  "keel place matrix show\n"
		  "    The latencies in use, where they are from, and what else there is.\n" },
		{ "measure", matrix_measure,
		  "keel place matrix measure [--loaded] [--time MS]\n"
		  "    Measure them anew, MS for each pair of nodes (20). --loaded: while other\n"
		  "    CPUs use the memory, too.\n" },
		{ "load", matrix_load,
		  "keel place matrix load FILE\n"
		  "    Use the latencies in FILE rather than any others.\n" },
		{ "forget", matrix_forget,
		  "keel place matrix forget\n"
		  "    Use those of a file no more.\n" },
		{ "save", matrix_save,
		  "keel place matrix save FILE\n"
		  "    Write those in use to FILE.\n" },
		{ 0 }
	};

	return cmd_select(verbs, "keel place matrix", argc, argv);
}
