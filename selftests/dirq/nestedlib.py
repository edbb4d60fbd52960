# SPDX-License-Identifier: GPL-2.0
"""Two levels: a guest that is a hypervisor (L1) has a VF behind an IOMMU of its own, and
hands it on to a guest of its own (L2). What the VF interrupts goes from the host (L0) to a
vCPU of L1, and from there to one of L2.

Commands run in three places: in L0 as ever; in L1, either in the small Debian that it is
(Outer.must) or in the userland of L0 that it has at /host (Outer.host); in L2 (Tiny.tell)."""
import itertools
import json
import os
import re
import shlex
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../sriov")]

from poollib import gl  # noqa: E402

ENVIRONMENT = ("env", f"PATH={os.environ['PATH']}", f"GUEST={gl.GUEST}", "HOME=/root",
               "LC_ALL=C.UTF-8")
MARKS = itertools.count()


class Outer(gl.Guest):
    """L1. It boots with the VF, and with an IOMMU."""
    def boot(self, vf, cpus=4, mem="1200M", *extra):
        self.make_dir()
        self.launch("--mem", mem, "--cpus", str(cpus), "--ram", "anon", "--wait", "150",
                    "--nested", "--viommu", "--vfio", vf.pci, "--", *extra)
        return self

    def must(self, command, seconds=30):
        """The output of a shell's command in L1's own userland."""
        # One that was given up earlier may still have something to say before this.
        mark = f"@@begins {os.getpid()} {next(MARKS)}@@\n"
        status, out = self.exec(f"echo {shlex.quote(mark.strip())}; {command}", seconds)
        _, found, own = out.replace("\r", "").rpartition(mark)
        if status or not found:
            raise gl.Failed(f"in {self.name}: {command}: status {status}: {out.strip()[-1500:]}")
        return own

    def host(self, *argv, seconds=60):
        """The output of a command in L1 with L0's userland: its tools, /keel and /guest."""
        return self.must(shlex.join(["chroot", "/host", *ENVIRONMENT, *map(str, argv)]), seconds)

    def irq(self, *argv):
        return json.loads(self.host("keel", "-j", "irq", *argv) or "null")

    def load_keel(self):
        depends = self.host("modinfo", "-F", "depends", "/keel/keel.ko").strip()
        for module in filter(None, depends.split(",")):
            self.host("modprobe", module)
        self.host("insmod", "/keel/keel.ko")
        self.must("mkdir -p /run/keel && mount -t keelfs keelfs /run/keel")

    def take_vf(self):
        """L1's driver has the VF from boot: give it to vfio-pci instead. Its address in L1."""
        self.must("modprobe -a vfio-pci vfio_iommu_type1")
        pci = gl.wait_for("the VF in L1", lambda: re.findall(
            r"0000:\S+", self.must("ls /sys/bus/pci/drivers/igbvf")), 20, 0.5)[0]
        self.must(f"cd /sys/bus/pci/devices/{pci} && [ -e iommu_group ] && "
                  "echo vfio-pci >driver_override && "
                  f"echo {pci} >driver/unbind && echo {pci} >/sys/bus/pci/drivers_probe && "
                  "[ $(basename $(readlink driver)) = vfio-pci ]")
        return pci

    def shown(self):
        """What keel in L1 says of L2."""
        return next(iter(self.irq("show")["vms"]), {"targets": [], "routes": []})

    def end(self):
        gl.run("kill", "-9", str(self.pid))
        gl.wait_for("its end", lambda: not os.path.exists(f"/proc/{self.pid}/exe"), 30)


class Tiny:
    """L2, as a tiny VM in L1 (serve.c) that has the VF by itself, without a driver."""

    def __init__(self, outer):
        self.outer, self.sources, self.answers = outer, [], 0

    def boot(self, pci, spin=3):
        serve = shlex.join(["chroot", "/host", *ENVIRONMENT, "/keel/out/selftests/dirq/serve",
                            "-d", pci, "-s", str(spin)])
        # Whoever holds the pipe open for writing keeps its reader from the end.
        self.outer.must(f"mkfifo /run/in; (sleep 100000 >/run/in &) >/dev/null 2>&1; "
                        f"(setsid {serve} </run/in >/run/out 2>&1 &) >/dev/null 2>&1")
        self.sources = json.loads(self.line(60))["sources"]
        return self

    def line(self, seconds):
        """What it says next."""
        self.answers += 1
        command = f"for i in $(seq {seconds * 5}); do [ $(wc -l </run/out) -ge {self.answers} ] && " \
                  f"break; sleep 0.2; done; sed -n {self.answers}p /run/out"
        text = self.outer.must(command, seconds + 30).strip()
        if not text or text.startswith(("error", "no VM")):
            raise gl.Failed(f"L2: {text or self.outer.must('cat /run/out')}")
        return text

    def tell(self, words, seconds=30):
        self.outer.must(f"echo {words} >/run/in")
        return int(self.line(seconds))

    def taken(self, i):
        s = self.sources[i]
        return self.tell(f"taken {s['vcpu']} {s['vector']}")
