// SPDX-License-Identifier: GPL-2.0
/*
 * keel snapshot create: what the manifest says. Documentation/image-format.rst
 * explains each member.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "create.h"
#include "snapshot.h"

static json_t *window_json(const struct guest *g)
{
	if (!g->socket || !g->running)
		return json_null();
	return json_pack("{sI sI sI sI sI sI}",
			 "total_ns", (json_int_t)g->window_ns,
			 "quiesce_ns", (json_int_t)(g->paused_ns - g->stop_ns),
			 "arm_ns", (json_int_t)(g->armed_ns - g->paused_ns),
			 "disks_ns", (json_int_t)(g->disks_ns - g->armed_ns),
			 "device_state_ns", (json_int_t)(g->state_ns - g->disks_ns),
			 "resume_ns", (json_int_t)(g->resume_ns - g->state_ns));
}

json_t *create_stats(const struct create *c)
{
	const struct keel_snap_stat *s = &c->drain.stat;

	return json_pack("{so sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI}",
		"stop_window", window_json(&c->guest),
		"gate_ns", (json_int_t)c->arm.gate_ns,
		"unmap_ns", (json_int_t)c->arm.unmap_ns,
		"walk_ns", (json_int_t)c->arm.walk_ns,
		"pages", (json_int_t)s->pages,
		"fault_pages", (json_int_t)s->fault_pages,
		"swept_pages", (json_int_t)s->swept_pages,
		"eager_pages", (json_int_t)s->eager_pages,
		"zero_pages", (json_int_t)s->zero_pages,
		"pinned_pages", (json_int_t)c->arm.pinned,
		"pool_pages", (json_int_t)s->pool_pages,
		"pool_low", (json_int_t)s->pool_low,
		"throttled", (json_int_t)s->throttled,
		"throttled_ns", (json_int_t)s->throttled_ns,
		"spilled_pages", (json_int_t)s->spilled_pages,
		"fault_ns", (json_int_t)s->fault_ns,
		"bytes_written", (json_int_t)c->drain.bytes_written,
		"drain_ns", (json_int_t)c->drain.ns);
}

static json_t *memory_json(struct create *c)
{
	json_t *memory = json_array();

	for (int i = 0; i < c->files.nr; i++) {
		struct memfile *f = &c->files.v[i];
		json_t *blocks = checksum_ram(f->image_fd, f->size);
		json_t *j;

		if (!blocks) {
			json_decref(memory);
			return NULL;
		}
		j = memfile_json(f, &c->vm);
		json_object_set_new(j, "block_size", json_integer(IMAGE_BLOCK));
		json_object_set_new(j, "xxh3_64", blocks);
		json_array_append_new(memory, j);
	}
	return memory;
}

/* device.state: its size and sum, and to disk with it. */
static json_t *device_json(struct create *c)
{
	struct stat st;
	uint64_t sum;
	char text[17];
	int fd, err;

	if (!c->guest.socket)
		return json_null();
	fd = openat(c->img.dirfd, IMAGE_DEVICE, O_RDONLY | O_CLOEXEC);
	err = fd < 0 || fstat(fd, &st) || checksum_file(fd, &sum) || fsync(fd);
	if (err)
		fail("%s/" IMAGE_DEVICE ": %s", c->img.partial,
		     strerror(errno));
	if (fd >= 0)
		close(fd);
	if (!err && !st.st_size)
		err = fail("QEMU wrote no device state");
	return err ? NULL : json_pack("{ss sI ss}", "image", IMAGE_DEVICE,
				      "size", (json_int_t)st.st_size, "xxh3_64",
				      checksum_text(sum, text));
}

json_t *create_manifest(struct create *c)
{
	json_t *memory = memory_json(c), *device = device_json(c);
	struct utsname uts;
	char when[48];

	if (!memory || !device) {
		json_decref(memory);
		json_decref(device);
		return NULL;
	}
	uname(&uts);
	return json_pack("{si ss si ss sI so s{si ss* si ss so si sI} so so sO* sb so so}",
		"format", IMAGE_FORMAT,
		"keel", KEEL_VERSION,
		"snapshot", c->params.id,
		"time", time_text(c->arm.time_ns, when, sizeof(when)),
		"time_ns", (json_int_t)c->arm.time_ns,
		"host", json_pack("{ss ss}", "kernel", uts.release, "machine",
				  uts.machine),
		"vm", "id", c->vm.id, "name", c->vm_name, "pid", c->vm.pid,
		"comm", c->vm.comm, "cmdline", json_incref(c->cmdline),
		"vcpus", c->vm.nr_vcpus,
		"memory_not_in_image", (json_int_t)c->files.elsewhere,
		"cpu", host_cpu_json(),
		"memory", memory,
		"disks", c->guest.disks,
		"running", c->guest.running,
		"device_state", device,
		"statistics", create_stats(c));
}
