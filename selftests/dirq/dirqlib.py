# SPDX-License-Identifier: GPL-2.0
"""A guest with a VF of the first PF, whose interrupts keel can see."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../sriov"))

from poollib import PCI, PFS, gl, netdev, write  # noqa: E402

HOST, GUEST = "10.9.0.1", "10.9.0.2"
STREAM = "/keel/out/selftests/guest/stream"
COUNTS = ("total", "direct", "near", "far", "halted", "preempted", "paused", "home", "aims")

BUSY = "for i in 1 2; do setsid nice -n 19 sh -c 'while :; do :; done' </dev/null " \
    ">/dev/null 2>&1 & echo $!; done >/run/busy"


def irq(*argv):
    return json.loads(gl.must("keel", "-j", "irq", *argv) or "null")


def shown_of(pid):
    """What keel says of the VM of that process."""
    return next((vm for vm in irq("show")["vms"] if vm["pid"] == pid),
                {"targets": [], "routes": []})


def at_home(counts):
    """Of all, those on the CPU where the target ran or last was."""
    return (counts["direct"] + counts["home"]) / max(counts["total"], 1)


# For QEMU: the guest is given the program that sends packets back,
STREAM_FILE = ("-fw_cfg", f"name=opt/keel/stream,file={STREAM}")


def echo_command(port):
    """and sends back what comes to that port, from now on."""
    return ("cat /sys/firmware/qemu_fw_cfg/by_name/opt/keel/stream/raw >/run/stream; "
            f"chmod +x /run/stream; setsid /run/stream log {port} /run/heard echo "
            "</dev/null >/dev/null 2>&1 &")


class Vf:
    """The only VF of the first PF, for vfio-pci. Its PF's netdev is HOST."""

    def __init__(self):
        self.pf = PFS[0]
        self.netdev = netdev(self.pf)
        gl.must("modprobe", "vfio-pci")
        # Whoever was here before may have left others.
        write(f"{PCI}/{self.pf}/sriov_numvfs", "0")
        write(f"{PCI}/{self.pf}/sriov_numvfs", "1")
        self.pci = os.path.basename(os.path.realpath(f"{PCI}/{self.pf}/virtfn0"))
        gl.must("ip", "addr", "add", f"{HOST}/24", "dev", self.netdev)
        gl.must("ip", "link", "set", self.netdev, "up", "vf", "0", "mac", "52:54:00:99:00:01")
        driver = f"{PCI}/{self.pci}/driver"
        if os.path.exists(driver):
            write(f"{driver}/unbind", self.pci)
        write(f"{PCI}/{self.pci}/driver_override", "vfio-pci")
        write("/sys/bus/pci/drivers_probe", self.pci)

    def end(self):
        write(f"{PCI}/{self.pf}/sriov_numvfs", "0")
        gl.must("ip", "addr", "flush", "dev", self.netdev)


class Guest(gl.Guest):
    """Of two vCPUs, with that VF, by which it is GUEST."""

    def boot(self, vf, *extra):
        self.make_dir()
        self.launch("--mem", "128M", "--cpus", "2", "--ram", "anon", "--wait", "120", "--",
                    "-device", f"vfio-pci,host={vf.pci}", *extra)
        self.network()
        return self

    def network(self):
        status, out = self.exec(f"ip addr add {GUEST}/24 dev eth0; ip link set eth0 up")
        if status:
            raise gl.Failed(out)
        gl.wait_for("the guest's network", lambda: not gl.run(
            "busybox", "ping", "-c", "1", "-W", "1", GUEST)[0], 40, 0.5)

    def work(self, yes):
        """Its vCPUs are at work all the time, or no more."""
        status, out = self.exec(BUSY if yes else "kill -9 $(cat /run/busy)")
        if status:
            raise gl.Failed(out)

    def shown(self):
        return shown_of(self.pid)
