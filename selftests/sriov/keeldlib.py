# SPDX-License-Identifier: GPL-2.0
"""keeld, and real guests on a bridge whose virtio device a VF stands in for."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from poollib import PFS, bridges, gl, netdev, read  # noqa: E402

CONF = "/tmp/keel.conf"
LOG = "/log/keeld.log"
PORT = 7000
HOST = "10.7.0.1"


class Daemon:
    def start(self):
        with open(LOG, "a", encoding="utf-8") as log:
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
        with open(LOG, encoding="utf-8") as f:
            return f.read()


class Net(gl.Guest):
    """A guest with a virtio device on a tap, and places to plug something in."""

    def boot(self, mac, address, slots=1, user=None):
        """user: who its VMM becomes once it has opened what it needs."""
        self.make_dir()
        self.tap = f"t-{self.name}"
        ports = [w for i in range(slots)
                 for w in ("-device", f"pcie-root-port,id=hp{i},chassis={20 + i}")]
        self.launch("--mem", "128M", "--ram", "anon", "--wait", "60", "--", *ports,
                    "-netdev", f"tap,id=n0,ifname={self.tap},script=no,downscript=no",
                    "-device", f"virtio-net-pci,netdev=n0,id=nic0,failover=on,mac={mac}",
                    *(["-run-with", f"user={user}"] if user else []))
        self.exec(f"ip addr add {address}/24 dev eth0; ip link set eth0 up")
        return self

    def join(self):
        gl.must("ip", "link", "set", self.tap, "up", "master", "br0")

    def leave(self):
        gl.must("ip", "link", "set", self.tap, "nomaster")

    def plugged(self):
        with gl.Qmp(self.qmp) as q:
            return [d["name"] for d in q.call("qom-list", path="/machine/peripheral")
                    if d["name"].startswith("keel-")]

    def standing_in(self):
        """The VF's device in the guest, below the one that it stands in for."""
        _, out = self.exec("for d in /sys/class/net/eth0/lower_*; do "
                           "echo $(basename $(readlink $d/device/driver)) "
                           "$(basename $(readlink $d)) $(cat $d/ifindex) $(cat $d/operstate); done")
        return next((line.split()[1:] for line in out.splitlines()
                     if line.startswith("igbvf ")), None)

    def talks(self, times=5):
        """It connects to the host and gets an answer, each time."""
        status, out = self.exec(f"for i in $(seq {times}); do bash -c 'exec 3<>/dev/tcp/"
                                f"{HOST}/{PORT} && read -t 5 line <&3' || exit 1; done", 40)
        return "" if status == 0 else f"no answer: {out}"


def has_vf(guest, seconds=30):
    return gl.wait_for(f"the VF in {guest.name} is up",
                       lambda: (guest.standing_in() or [None] * 3)[2] == "up" and
                       guest.standing_in(), seconds)


def answer():
    server = socket.create_server((HOST, PORT))

    def loop():
        while True:
            peer = server.accept()[0]
            peer.sendall(b"hello\n")
            peer.close()
    threading.Thread(target=loop, daemon=True).start()


def frames(guest):
    return int(read(f"/sys/class/net/{guest.tap}/statistics/rx_packets"))


def configure():
    """keeld is told where guests' monitors are."""
    with open(CONF, "w", encoding="ascii") as f:
        json.dump({"qmp": ["/run/guest/%n/qmp.sock"], "unplug_ms": 5000, "retry_ms": 500}, f)


def bridge():
    """br0, which is HOST, and on which VFs reach it by way of the first PF."""
    pf = netdev(PFS[0])
    bridges("br0")
    gl.must("ip", "link", "set", "br0", "address", read(f"/sys/class/net/{pf}/address"))
    gl.must("ip", "link", "set", pf, "up", "master", "br0")
    gl.must("ip", "addr", "add", f"{HOST}/24", "dev", "br0")
    answer()
