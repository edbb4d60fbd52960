# SPDX-License-Identifier: GPL-2.0
"""Two levels: a guest that is a hypervisor (L1) has a VF behind an IOMMU of its own, and
hands it on to a guest of its own (L2). What the VF interrupts goes from the host (L0) to a
vCPU of L1, and from there to one of L2.

Commands run in three places: in L0 as ever; in L1, either in the small Debian that it is
(Outer.must) or in the userland of L0 that it has at /host, or a copy of some of it
(Outer.host); in L2 (Tiny.tell, or Inner.must)."""
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../sriov")]

from dirqlib import (COUNTS, GUEST, HOST, STREAM, STREAM_FILE, Vf, echo_command,  # noqa: E402
                     irq, shown_of)
from poollib import gl  # noqa: E402

PORT = 7002
SERVE = "/keel/out/selftests/dirq/serve"
SLOT = ("-device", "pcie-root-port,id=slot0,chassis=20")
ENVIRONMENT = ("env", f"PATH={os.environ['PATH']}", f"GUEST={gl.GUEST}", "HOME=/root",
               "LC_ALL=C.UTF-8")
MARKS = itertools.count()


def marked(command):
    """The command, and what its output begins behind: one that was given up earlier may
    still have something to say."""
    mark = f"@@begins {os.getpid()} {next(MARKS)}@@\n"
    return f"echo {shlex.quote(mark.strip())}; {command}", mark


def own_output(where, command, status, out, mark):
    out = out.replace("\r", "")
    _, found, own = out.rpartition(mark)
    if status or not found:
        raise gl.Failed(f"in {where}: {command}: status {status}: {out.strip()[-1500:]}")
    return own


def summed(shown):
    return {k: sum(r[k] for r in shown["routes"]) for k in COUNTS}


class Outer(gl.Guest):
    """L1. It boots with the VF, and with an IOMMU."""
    cpus, mem, userland = 4, "1200M", "/host"

    def start_with(self, wait, *extra):
        self.make_dir()
        self.launch("--mem", self.mem, "--cpus", str(self.cpus), "--ram", "anon", "--wait",
                    str(wait), "--disk", "/tmp/outer.qcow2", "--nested", "--viommu", "--",
                    *SLOT, *extra)

    def boot(self, vf):
        if os.path.exists("/tmp/outer.qcow2"):
            os.remove("/tmp/outer.qcow2")
        self.start_with(150, "-device", f"vfio-pci,host={vf.pci},bus=slot0,id=vf0")
        return self

    def must(self, command, seconds=30):
        """The output of a shell's command in L1's own userland."""
        text, mark = marked(command)
        return own_output(self.name, command, *self.exec(text, seconds), mark)

    def host(self, *argv, seconds=60):
        """The output of a command in L1 with L0's userland: its tools, /keel and /guest."""
        return self.must(self.hosted(*argv), seconds)

    def hosted(self, *argv):
        return shlex.join([*ENVIRONMENT, "chroot", self.userland, *map(str, argv)])

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

    def pack(self):
        """From now on L1 has in its own memory what it needs of L0's userland: QEMU lets no
        guest go that has files of a host mounted."""
        programs = [SERVE, shutil.which("keel")]
        files = {f for p in programs for f in [p, *re.findall(r"(/\S+)", gl.must("ldd", p))]}
        names = shlex.join(f.lstrip("/") for f in sorted(files))
        self.must(f"mkdir /copy && cd /host && cp -L --parents {names} /copy && "
                  "for d in proc sys dev run tmp; do mkdir /copy/$d && mount --rbind /$d /copy/$d;"
                  "done && cd / && umount -R /host", 60)
        self.userland = "/copy"

    def travel(self, name):
        """By a migration to another VMM of this host, without the VF. Return: L1 there."""
        there, sock = Outer(name), f"/tmp/{name}.sock"
        there.cpus, there.userland = self.cpus, self.userland
        with gl.Qmp(self.qmp) as q:
            q.call("device_del", id="vf0")
            q.event("DEVICE_DELETED", device="vf0")
            there.start_with(0, "-incoming", f"unix:{sock}")
            gl.wait_for("it listens", lambda: os.path.exists(sock), 20)
            q.call("migrate", uri=f"unix:{sock}")
            there.downtime = gl.migrated(lambda: q.call("query-migrate"), 120, 0.5)["downtime"]
        self.end()
        return there

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

    def boot(self, pci=None, spin=3):
        """Without pci it has its eventfds alone."""
        serve = self.outer.hosted(SERVE, "-s", spin, *(["-d", pci] if pci else []))
        # Whoever holds the pipe open for writing keeps its reader from the end.
        self.outer.must("rm -f /run/in; : >/run/out; mkfifo /run/in; "
                        "(sleep 100000 >/run/in & echo $! >/run/holder) >/dev/null 2>&1; "
                        f"(setsid {serve} </run/in >/run/out 2>&1 & echo $! >/run/serve) "
                        ">/dev/null 2>&1")
        self.answers = 0
        self.sources = json.loads(self.line(60))["sources"]
        return self

    def end(self):
        self.outer.must("kill $(cat /run/holder)")
        gl.wait_for("L2's end", lambda: not self.outer.must(
            "readlink /proc/$(cat /run/serve)/exe || true"), 20, 0.5)

    def line(self, seconds):
        """What it says next."""
        self.answers += 1
        command = f"for i in $(seq {seconds * 5}); do " \
                  f"[ $(wc -l </run/out) -ge {self.answers} ] && break; sleep 0.2; done; " \
                  f"sed -n {self.answers}p /run/out"
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


class Inner:
    """L2, as a Debian guest in L1. It needs a host whose clocks are slow (lab run --slower),
    or its clock's ticks leave it no time."""

    def __init__(self, outer, name="inner"):
        self.outer, self.name = outer, name
        self.sender = None

    def boot(self, pci, cpus=2, mem="128M", seconds=200):
        self.outer.host(f"{gl.GUEST}/start", "--name", self.name, "--mem", mem, "--cpus", cpus,
                        "--ram", "anon", "--wait", "0", "--vfio", pci, "--",
                        *STREAM_FILE)
        # Seldom, and in one command: to look is work, for a machine that has other work.
        try:
            gl.wait_for("L2 is up", lambda: "guest: up" in self.log("serial"), seconds, 3)
        except gl.Failed as e:
            raise gl.Failed(f"{e}: {self.log('*')[-1500:]}") from e
        self.must(f"ip addr add {GUEST}/24 dev eth0; ip link set eth0 up")
        gl.wait_for("L2 answers", self.answers, 60, 0.5)
        return self

    @staticmethod
    def answers():
        return not gl.run("busybox", "ping", "-c", "1", "-W", "2", "-I", HOST, GUEST)[0]

    def must(self, command, seconds=60):
        text, mark = marked(command)
        out = self.outer.host(f"{gl.GUEST}/exec", self.name, text, str(seconds),
                              seconds=seconds + 15)
        return own_output(self.name, command, 0, out, mark)

    def stream(self, hz):
        """Packets from L0 to L2 and back, from now on."""
        self.must(echo_command(PORT))
        # pylint: disable-next=consider-using-with
        self.sender = subprocess.Popen([STREAM, "send", GUEST, str(PORT), str(hz)])

    def quiet(self):
        if self.sender:
            self.sender.kill()
            self.sender.wait()

    def log(self, name):
        return self.outer.must(f"cat /run/guest/{self.name}/{name}.log")


class Levels:
    """From the host down to L1, which has the VF and keel."""

    def __init__(self):
        self.vf = Vf()
        self.outer = Outer("outer")

    def boot(self, cpus=4):
        """The VF's address in L1."""
        self.outer.cpus = cpus
        self.outer.boot(self.vf)
        pci = self.outer.take_vf()
        self.outer.load_keel()
        self.steer("watch")
        return pci

    def shown(self):
        """What keel in L0 says of L1."""
        return shown_of(self.outer.pid)

    def steer(self, *words):
        irq("steer", *words)
        self.outer.irq("steer", *words)

    def counts(self):
        """Of the routes in L0 and in L1, so far."""
        return summed(self.shown()), summed(self.outer.shown())

    def counted_since(self, before):
        return tuple({k: n - b[k] for k, n in a.items()} for a, b in zip(self.counts(), before))

    def end(self):
        gl.run("keel", "irq", "steer", "off")
        if os.path.exists(f"/proc/{self.outer.pid}/exe"):
            self.outer.end()
        for name in ("serial", "qemu"):
            gl.run("cp", self.outer.path(f"{name}.log"), f"/log/outer-{name}.log")
        self.vf.end()
