// SPDX-License-Identifier: GPL-2.0
/*
 * What the firmware says of latencies: HMAT (ACPI 6.5, section 5.2.28.4), in
 * time; SLIT (section 5.2.17), in tenths of what local memory takes.
 */
#include <linux/acpi.h>
#include <linux/nodemask.h>
#include <linux/topology.h>

#include "placement/matrix.h"

/* What SLIT's 10 is taken for: about what local memory of a server takes. */
#define FIRMWARE_LOCAL		800	/* tenths of ns */

#ifdef CONFIG_ACPI_NUMA
struct keel_hmat {
	const struct acpi_hmat_locality *loc;
	const u32 *from;	/* proximity domains */
	const u32 *to;
	const u16 *entry;
	u32 unit;		/* picoseconds */
};

/* Is it a table of latencies of memory, whole, and laid out as it says? */
static bool keel_hmat_parse(struct keel_hmat *h,
			    const struct acpi_hmat_structure *s, u8 revision)
{
	const struct acpi_hmat_locality *loc = (const void *)s;
	u64 from, to;

	if (s->type != ACPI_HMAT_TYPE_LOCALITY || s->length < sizeof(*loc) ||
	    (loc->flags & ACPI_HMAT_MEMORY_HIERARCHY) != ACPI_HMAT_MEMORY ||
	    loc->data_type > ACPI_HMAT_READ_LATENCY)
		return false;
	from = loc->number_of_initiator_Pds;
	to = loc->number_of_target_Pds;
	if (from > MAX_NUMNODES || to > MAX_NUMNODES ||
	    s->length < sizeof(*loc) + 4 * (from + to) + 2 * from * to)
		return false;
	h->loc = loc;
	h->from = (const u32 *)(loc + 1);
	h->to = h->from + from;
	h->entry = (const u16 *)(h->to + to);
	/* Its first revision counted in nanoseconds. */
	h->unit = loc->entry_base_unit * (revision == 1 ? 1000 : 1);
	return h->unit;
}

static void keel_hmat_take(const struct keel_hmat *h, u32 *latency)
{
	u32 from, to, targets = h->loc->number_of_target_Pds;
	u64 tenths;
	int a, b;

	for (from = 0; from < h->loc->number_of_initiator_Pds; from++) {
		for (to = 0; to < targets; to++) {
			u16 entry = h->entry[from * targets + to];

			a = pxm_to_node(h->from[from]);
			b = pxm_to_node(h->to[to]);
			tenths = div_u64((u64)entry * h->unit, 100);
			if (a < 0 || b < 0 || !entry || entry == 0xffff ||
			    tenths > PLACE_LATENCY_MAX)
				continue;
			latency[a * nr_node_ids + b] = tenths;
		}
	}
}

/**
 * keel_firmware_hmat - latencies by HMAT
 * @latency: nr_node_ids squared, tenths of ns; what HMAT tells is set
 *
 * Context: may sleep.
 * Return: is there an HMAT?
 */
bool keel_firmware_hmat(u32 *latency)
{
	const struct acpi_hmat_structure *s;
	struct acpi_table_header *table;
	const void *end;
	struct keel_hmat h;

	if (acpi_disabled ||
	    ACPI_FAILURE(acpi_get_table(ACPI_SIG_HMAT, 0, &table)))
		return false;
	end = (const void *)table + table->length;
	s = (const void *)table + sizeof(struct acpi_table_hmat);
	while ((const void *)(s + 1) <= end && s->length >= sizeof(*s) &&
	       (const void *)s + s->length <= end) {
		if (keel_hmat_parse(&h, s, table->revision))
			keel_hmat_take(&h, latency);
		s = (const void *)s + s->length;
	}
	acpi_put_table(table);
	return true;
}
#else
bool keel_firmware_hmat(u32 *latency)
{
	return false;
}
#endif

/**
 * keel_firmware_slit - latencies by distance
 * @latency: nr_node_ids squared, tenths of ns; set for nodes that are online
 *
 * Context: any.
 */
void keel_firmware_slit(u32 *latency)
{
	int a, b;

	for_each_online_node(a)
		for_each_online_node(b)
			latency[a * nr_node_ids + b] =
				node_distance(a, b) * FIRMWARE_LOCAL /
				LOCAL_DISTANCE;
}
