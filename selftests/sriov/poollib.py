# SPDX-License-Identifier: GPL-2.0
"""Pools, and VMs that are no more than a process with a KVM VM and a tap: all that
keel sees of a VMM."""
import fcntl
import glob
import json
import os
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../guest"))

import guestlib as gl  # noqa: E402

TUNSETIFF, IFF_TAP_NO_PI = 0x400454ca, 0x1002
KVM_CREATE_VM = 0xae01
VFIO_SET_IOMMU, VFIO_GROUP_SET_CONTAINER, VFIO_GROUP_GET_DEVICE_FD = 0x3b66, 0x3b68, 0x3b6a
VFIO_IOMMU_UNMAP_DMA = 0x3b72
VFIO_TYPE1V2_IOMMU = 3
CONF, KEELD_LOG = "/tmp/keel.conf", "/log/keeld.log"
PCI = "/sys/bus/pci/devices"
PFS = sorted(os.path.basename(p) for p in glob.glob("/sys/bus/pci/drivers/igb/0000:*"))


def netdev(pci):
    return os.path.basename(glob.glob(f"{PCI}/{pci}/net/*")[0])


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read().strip()


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def keel(*argv):
    status, out, err = gl.run("keel", "-j", "pool", *argv)
    if status:
        raise gl.Failed(f"pool {argv}: status {status}: {err}{out}")
    return json.loads(out) if out.strip() else None


def pool(name="p"):
    return keel("show", name)[0]


def devices(name="p", **want):
    return [v for v in pool(name)["devices"] if all(v.get(k) == w for k, w in want.items())]


def port(vm, name="p"):
    return next((p for p in pool(name)["ports"] if p["port"] == vm.tap), None)


def states(name="p"):
    return sorted(v["state"] for v in pool(name)["devices"])


def all_are(state, nr, name="p", seconds=20):
    gl.wait_for(f"{nr} VFs {state}", lambda: states(name).count(state) == nr, seconds)


def driver(pci):
    path = f"{PCI}/{pci}/driver"
    return os.path.basename(os.readlink(path)) if os.path.exists(path) else None


class Opened:
    """A VF that a process has open by way of VFIO, as a VMM has (linux/vfio.h)."""

    def __init__(self, vf):
        group = os.path.basename(os.readlink(f"{PCI}/{vf}/iommu_group"))
        self.fds = [os.open("/dev/vfio/vfio", os.O_RDWR),
                    os.open(f"/dev/vfio/{group}", os.O_RDWR)]
        fcntl.ioctl(self.fds[1], VFIO_GROUP_SET_CONTAINER, struct.pack("i", self.fds[0]))
        fcntl.ioctl(self.fds[0], VFIO_SET_IOMMU, VFIO_TYPE1V2_IOMMU)
        # Of what can be written to, what the call returns is returned.
        self.fds.append(fcntl.ioctl(self.fds[1], VFIO_GROUP_GET_DEVICE_FD,
                                    bytearray(vf.encode() + b"\0")))

    def close_device(self):
        """As a VMM does first."""
        os.close(self.fds.pop())

    def unmap(self):
        """And then this: all that it had mapped, of which there is nothing here."""
        fcntl.ioctl(self.fds[0], VFIO_IOMMU_UNMAP_DMA, struct.pack("IIQQ", 24, 0, 0, 1 << 32))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in reversed(self.fds):
            os.close(fd)


# In a guest: the drivers, names, ifindexes and states of what stands in for eth0.
LOWER = ("for d in /sys/class/net/eth0/lower_*; do "
         "echo $(basename $(readlink $d/device/driver)) "
         "$(basename $(readlink $d)) $(cat $d/ifindex) $(cat $d/operstate); done")


def lower_vf(out):
    """Of what LOWER says: the VF's name, ifindex and state; None if there is none."""
    return next((line.split()[1:] for line in out.splitlines()
                 if line.startswith("igbvf ")), None)


def is_up(vf):
    return bool(vf) and vf[2] == "up"


def told(pf, index):
    """What the PF says of a VF, as ip shows it."""
    for vf in json.loads(gl.must("ip", "-j", "link", "show", netdev(pf)))[0]["vfinfo_list"]:
        if vf["vf"] == index:
            return vf
    raise gl.Failed(f"{pf} has no VF {index}")


def clean(vf):
    """Whether a VF is as it should be between leases."""
    is_ = told(vf["pf"], vf["index"])
    reasons = []
    if is_["address"] != "00:00:00:00:00:00":
        reasons.append(f"its MAC is {is_['address']}")
    if any(is_["vlan_list"]):
        reasons.append(f"its VLANs are {is_['vlan_list']}")
    if not is_["spoofchk"] or is_.get("trust"):
        reasons.append("it is trusted, or not checked")
    if driver(vf["vf"]):
        reasons.append(f"{driver(vf['vf'])} has it")
    return "; ".join(reasons)


class Vm:
    """A process with a KVM VM and a tap, for as long as it lives."""

    def __init__(self, name, bridge="br0"):
        self.tap, self.pid = name, 0
        ready, told_ = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                vm = fcntl.ioctl(os.open("/dev/kvm", os.O_RDWR), KVM_CREATE_VM, 0)
                fcntl.ioctl(os.open("/dev/net/tun", os.O_RDWR), TUNSETIFF,
                            struct.pack("16sH22x", name.encode(), IFF_TAP_NO_PI))
                os.write(told_, b"1" if vm >= 0 else b"0")
                signal.pause()
            finally:
                os._exit(1)
        os.close(told_)
        with os.fdopen(ready, "rb") as f:
            if f.read(1) != b"1":
                raise gl.Failed(f"the VM {name} does not start")
        if bridge:
            self.join(bridge)

    def join(self, bridge="br0"):
        gl.must("ip", "link", "set", self.tap, "up", "master", bridge)

    def leave(self):
        gl.must("ip", "link", "set", self.tap, "nomaster")

    def leased(self, seconds=10, name="p"):
        """Its VF, once it has one."""
        def has():
            vfs = devices(name, port=self.tap, state="leased")
            return vfs and vfs[0]
        return gl.wait_for(f"{self.tap} has a VF", has, seconds, 0.01)

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.pid = 0


def bridges(*names):
    for name in names:
        gl.run("ip", "link", "del", name)
        gl.must("ip", "link", "add", name, "type", "bridge")
        gl.must("ip", "link", "set", name, "up")


class Keeld:
    """The daemon, with this configuration."""

    def __init__(self, conf):
        self.conf, self.process = conf, None

    def start(self, more=None):
        with open(CONF, "w", encoding="ascii") as f:
            json.dump({**self.conf, **(more or {})}, f)
        with open(KEELD_LOG, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(["keeld", "--config", CONF], stderr=log)
        time.sleep(0.3)
        if self.process.poll() is not None:
            raise gl.Failed(f"keeld ended with {self.process.returncode}")
        return self

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        return self.process.wait(10)

    @staticmethod
    def log():
        if not os.path.exists(KEELD_LOG):
            return ""
        with open(KEELD_LOG, encoding="utf-8") as f:
            return f.read()
