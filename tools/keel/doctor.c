// SPDX-License-Identifier: GPL-2.0
/* keel doctor: one check a function, each with its remedy. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keel.h"
#include "out.h"

enum verdict { OK, NOTE, MISSING };

struct finding {
	enum verdict verdict;
	char what[256];
	const char *remedy;
};

#define FOUND(f, v, r, ...) do { \
	(f)->verdict = (v); \
	(f)->remedy = (r); \
	snprintf((f)->what, sizeof((f)->what), __VA_ARGS__); \
} while (0)

/* The first line a command prints, or false if it cannot be run or fails. */
static bool first_line(const char *cmd, char *line, size_t len)
{
	FILE *p = popen(cmd, "r");
	char rest[512];
	bool got;

	if (!p)
		return false;
	got = fgets(line, len, p);
	while (fgets(rest, sizeof(rest), p))
		;
	if (pclose(p) || !got)
		return false;
	line[strcspn(line, "\n")] = 0;
	return true;
}

static void check_module(struct finding *f)
{
	struct keel_host host;
	struct keel *keel;
	int err = keel_open(&keel);

	if (!err)
		err = keel_host_get(keel, &host);
	if (err)
		FOUND(f, MISSING, "modprobe keel, as root", "module: %s",
		      keel_error(keel));
	else if (strcmp(host.version, KEEL_VERSION))
		FOUND(f, NOTE, "install module and tools of one version",
		      "module: version %s, tools %s", host.version,
		      KEEL_VERSION);
	else
		FOUND(f, OK, NULL, "module: version %s", host.version);
	keel_close(keel);
}

static void check_kernel(struct finding *f)
{
	unsigned int major, minor;
	struct utsname u;

	uname(&u);
	if (sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	    (major > 6 || (major == 6 && minor >= 1)))
		FOUND(f, OK, NULL, "kernel: %s", u.release);
	else
		FOUND(f, MISSING, "boot a kernel from 6.1 on", "kernel: %s",
		      u.release);
}

static void check_kvm(struct finding *f)
{
	if (!access("/dev/kvm", R_OK | W_OK))
		FOUND(f, OK, NULL, "kvm: /dev/kvm");
	else
		FOUND(f, MISSING,
		      errno == ENOENT ?
		      "modprobe kvm_amd or kvm_intel; enable virtualization in the firmware" :
		      "run as root or join the group of /dev/kvm",
		      "kvm: /dev/kvm: %s", strerror(errno));
}

static void check_device(struct finding *f)
{
	if (!access(KEEL_DEVICE, R_OK | W_OK))
		FOUND(f, OK, NULL, "device: " KEEL_DEVICE);
	else
		FOUND(f, MISSING, errno == ENOENT ? "modprobe keel" :
		      "run as root", "device: " KEEL_DEVICE ": %s",
		      strerror(errno));
}

static void check_keelfs(struct finding *f)
{
	char **mounts = keelfs_mounts();

	if (mounts && *mounts)
		FOUND(f, OK, NULL, "keelfs: mounted at %s", *mounts);
	else
		FOUND(f, MISSING,
		      "mkdir -p /run/keel && mount -t keelfs keelfs /run/keel",
		      "keelfs: not mounted");
	strv_free(mounts);
}

static void check_thp(struct finding *f)
{
	char *t = read_text("/sys/kernel/mm/transparent_hugepage/enabled",
			    NULL);

	if (t && !strstr(t, "[never]"))
		FOUND(f, OK, NULL, "huge pages: %.*s", (int)strcspn(t, "\n"),
		      t);
	else
		FOUND(f, NOTE,
		      "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; without it arming takes longer",
		      "huge pages: %s", t ? "never" : "not in this kernel");
	free(t);
}

static void check_qemu(struct finding *f)
{
	char line[128] = "";
	unsigned int major = 0, minor = 0;
	const char *v;

	if (!first_line("qemu-system-x86_64 --version 2>/dev/null", line,
			sizeof(line))) {
		FOUND(f, MISSING, "apt install qemu-system-x86",
		      "qemu: qemu-system-x86_64 is not found");
		return;
	}
	v = strstr(line, "version ");
	if (v)
		sscanf(v + 8, "%u.%u", &major, &minor);
	if (major < 7)
		FOUND(f, MISSING, "install QEMU 7.2 or later", "qemu: %u.%u",
		      major, minor);
	else
		FOUND(f, OK, NULL,
		      "qemu: %u.%u, whole-guest snapshots (x-ignore-shared)%s",
		      major, minor, major > 8 || (major == 8 && minor >= 2) ?
		      ", file: migration, read-only templates" : "");
}

/* QEMU's own background-snapshot, the peer, needs write-protect faults. */
static void check_uffd(struct finding *f)
{
	char *t = read_text("/proc/sys/vm/unprivileged_userfaultfd", NULL);

	if (t)
		FOUND(f, OK, NULL, "userfaultfd: there (for QEMU's background-snapshot, not for keel)");
	else
		FOUND(f, NOTE, "keel does not need it; QEMU's background-snapshot does",
		      "userfaultfd: not in this kernel");
	free(t);
}

static void check_qemu_img(struct finding *f)
{
	char line[128];

	if (first_line("qemu-img --version 2>/dev/null", line, sizeof(line)))
		FOUND(f, OK, NULL, "qemu-img: there, disks can be frozen");
	else
		FOUND(f, MISSING, "apt install qemu-utils",
		      "qemu-img: not found, disks cannot be frozen");
}

static void check_vfio(struct finding *f)
{
	char line[64] = "0";

	first_line("ls /dev/vfio 2>/dev/null | grep -c '^[0-9]'", line,
		   sizeof(line));
	if (atoi(line))
		FOUND(f, NOTE,
		      "pages a device holds are saved while the guest stands still; see --pinned",
		      "vfio: %s groups in use", line);
	else
		FOUND(f, OK, NULL, "vfio: no device holds guest memory");
}

/* Placement has nothing to decide where all memory is as near. */
static void check_nodes(struct finding *f)
{
	static struct keel_matrix m;
	struct keel *keel;
	int err = keel_open(&keel);

	if (!err)
		err = keel_matrix_get(keel, &m);
	if (err)
		FOUND(f, NOTE, "modprobe keel, as root",
		      "placement: not known how far memory is");
	else if (m.nr < 2)
		FOUND(f, OK, NULL, "placement: one NUMA node, all memory is as near");
	else if (m.source == KEEL_PLACE_SOURCE_SLIT)
		FOUND(f, NOTE,
		      "'keel place matrix show' says why; measure again on a quiet host, or load a table",
		      "placement: %u NUMA nodes, their latencies are only the firmware's distances",
		      m.nr);
	else
		FOUND(f, OK, NULL, "placement: %u NUMA nodes, latencies: %s", m.nr,
		      keel_place_source_name(m.source));
	keel_close(keel);
}

static void check_balancing(struct finding *f)
{
	char *t = read_text("/proc/sys/kernel/numa_balancing", NULL);

	if (t && *t != '0')
		FOUND(f, NOTE,
		      "where keel places VMs: sysctl kernel.numa_balancing=0, or each undoes what the other did",
		      "NUMA balancing: on");
	else
		FOUND(f, OK, NULL, "NUMA balancing: off");
	free(t);
}

/* A VF is given away only if an IOMMU keeps it apart. */
static void check_sriov(struct finding *f)
{
	char pfs[64] = "0", groups[64] = "0";

	first_line("ls -d /sys/bus/pci/devices/*/sriov_totalvfs 2>/dev/null | wc -l",
		   pfs, sizeof(pfs));
	first_line("ls /sys/kernel/iommu_groups 2>/dev/null | wc -l", groups,
		   sizeof(groups));
	if (!atoi(pfs))
		FOUND(f, OK, NULL, "SR-IOV: no device of this host can have VFs");
	else if (!atoi(groups))
		FOUND(f, NOTE,
		      "'keel pool' needs an IOMMU: turn it on in the firmware, and boot with intel_iommu=on or the like",
		      "SR-IOV: %s devices, and no IOMMU", pfs);
	else
		FOUND(f, OK, NULL, "SR-IOV: %s devices can have VFs", pfs);
}

static void check_space(struct finding *f)
{
	struct statvfs s;
	char text[32];
	uint64_t avail;

	if (statvfs(".", &s)) {
		FOUND(f, NOTE, "change to a directory that exists",
		      "space: %s", strerror(errno));
		return;
	}
	avail = (uint64_t)s.f_bavail * s.f_frsize;
	FOUND(f, avail < (1ULL << 30) ? NOTE : OK,
	      "an image takes up to the guest's memory; make room or use -o elsewhere",
	      "space: %s free in this directory",
	      size_text(avail, text, sizeof(text)));
}

static void (*const checks[])(struct finding *f) = {
	check_kernel, check_kvm, check_module, check_device,
	check_keelfs, check_thp, check_qemu, check_qemu_img,
	check_uffd, check_vfio, check_nodes, check_balancing, check_sriov,
	check_space,
};

int cmd_doctor(int argc, char **argv)
{
	static const char *const verdicts[] = { "ok", "note", "missing" };
	int missing = 0;

	if (nothing_more(argc, argv, "doctor"))
		return -1;
	out_array(NULL);
	for (size_t i = 0; i < NR(checks); i++) {
		struct finding f;

		checks[i](&f);
		missing += f.verdict == MISSING;
		out_object(NULL);
		out_str("verdict", "%-8s ", verdicts[f.verdict]);
		out_str("what", "%s\n", f.what);
		if (f.verdict != OK)
			out_str("remedy", "         -> %s\n", f.remedy);
		out_end();
	}
	return missing ? 1 : 0;
}
