// SPDX-License-Identifier: GPL-2.0
/* keel place start, stop, on, off, advise: how this host's threads are placed. */
#include <errno.h>

#include "keel.h"
#include "out.h"
#include "place.h"

#define MEMORY_MIB	256	/* a second */

static const char *temper_name(uint32_t n)
{
	return keel_place_temper_name(n);
}

static const char *grain_name(uint32_t n)
{
	return keel_place_grain_name(n);
}

/* "--memory" alone is as usual. */
static int parse_memory(const char *text, uint32_t *mib)
{
	*mib = MEMORY_MIB;
	return text ? parse_positive("--memory", text, mib) : 0;
}

static int parse_options(int argc, char **argv, struct keel_place_options *o)
{
	static const struct option options[] = {
		{ "period", required_argument, NULL, 'p' },
		{ "temper", required_argument, NULL, 't' },
		{ "grain", required_argument, NULL, 'g' },
		{ "samples", required_argument, NULL, 's' },
		{ "memory", optional_argument, NULL, 'm' },
		{ 0 }
	};
	int c, err = 0;

	while (!err && (c = next_option(argc, argv, options)) != -1) {
		if (c == 'p')
			err = parse_positive("--period", optarg, &o->period_ms);
		else if (c == 's')
			err = parse_positive("--samples", optarg, &o->samples);
		else if (c == 'm')
			err = parse_memory(optarg, &o->memory_mib);
		else if (c == 't')
			err = parse_word("--temper", optarg,
					 KEEL_PLACE_TEMPER_EAGER + 1,
					 temper_name, &o->temper);
		else if (c == 'g')
			err = parse_word("--grain", optarg,
					 KEEL_PLACE_GRAIN_CPU + 1,
					 grain_name, &o->grain);
		else
			err = -1;
	}
	return err ? -1 : no_words(argc, argv, "place start");
}

int place_start(int argc, char **argv)
{
	struct keel_place_options o = {
		.temper = KEEL_AS_USUAL, .grain = KEEL_AS_USUAL,
		.memory_mib = KEEL_AS_USUAL,
	};
	struct keel *keel;
	int err;

	if (parse_options(argc, argv, &o) || keel_connect(&keel))
		return -1;
	err = keel_place_start(keel, &o);
	if (err)
		request_error(keel, err);
	keel_close(keel);
	return err ? -1 : 0;
}

int place_stop(int argc, char **argv)
{
	struct keel *keel;
	int err;

	if (nothing_more(argc, argv, "place stop") || keel_connect(&keel))
		return -1;
	err = keel_place_stop(keel);
	if (err)
		bad("%s", keel_error(keel));
	keel_close(keel);
	return err ? -1 : 0;
}

static int set_mode(int argc, char **argv, enum keel_place_mode mode)
{
	static const struct option options[] = { { 0 } };
	struct keel_vm vm;
	struct keel *keel;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 1)
		return bad("place %s: give one VM, by id, QEMU -name or pid",
			   argv[0]);
	if (keel_connect(&keel))
		return -1;
	err = vm_find(keel, argv[optind], &vm);
	if (!err) {
		err = keel_place_mode(keel, vm.id, mode);
		if (err)
			request_error(keel, err);
		keel_vm_release(&vm);
	}
	keel_close(keel);
	return err ? -1 : 0;
}

int place_on(int argc, char **argv)
{
	return set_mode(argc, argv, KEEL_PLACE_MODE_ON);
}

int place_off(int argc, char **argv)
{
	return set_mode(argc, argv, KEEL_PLACE_MODE_OFF);
}

int place_advise(int argc, char **argv)
{
	return set_mode(argc, argv, KEEL_PLACE_MODE_ADVISE);
}
