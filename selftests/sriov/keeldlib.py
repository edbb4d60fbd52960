# SPDX-License-Identifier: GPL-2.0
"""Real guests on a bridge, whose virtio device a VF stands in for."""
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from poollib import LOWER, PFS, bridges, gl, is_up, lower_vf, netdev, read  # noqa: E402

PORT = 7000
HOST = "10.7.0.1"
# A configuration of keeld's.
GOOD = {"qmp": ["/run/guest/%n/qmp.sock"], "unplug_ms": 5000, "retry_ms": 500}


class Net(gl.Guest):
    """A guest with a virtio device on a tap, and places to plug something in."""

    def boot(self, mac, address, slots=1, user=None):
        """user: who its VMM becomes once it has opened what it needs."""
        self.make_dir()
        self.tap = f"t-{self.name}"
        ports = [w for i in range(slots)
                 for w in ("-device", f"pcie-root-port,id=hp{i},chassis={20 + i}")]
        self.launch("--mem", "128M", "--ram", "anon", "--wait", "180", "--", *ports,
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
        return lower_vf(self.exec(LOWER)[1])

    def talks(self, times=5):
        """It connects to the host and gets an answer, each time."""
        status, out = self.exec(f"for i in $(seq {times}); do bash -c 'exec 3<>/dev/tcp/"
                                f"{HOST}/{PORT} && read -t 5 line <&3' || exit 1; done", 40)
        return "" if status == 0 else f"no answer: {out}"


def has_vf(guest, seconds=30):
    return gl.wait_for(f"the VF in {guest.name} is up",
                       lambda: is_up(guest.standing_in()) and guest.standing_in(), seconds)


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


def bridge():
    """br0, which is HOST, and on which VFs reach it by way of the first PF."""
    pf = netdev(PFS[0])
    bridges("br0")
    gl.must("ip", "link", "set", "br0", "address", read(f"/sys/class/net/{pf}/address"))
    gl.must("ip", "link", "set", pf, "up", "master", "br0")
    gl.must("ip", "addr", "add", f"{HOST}/24", "dev", "br0")
    answer()
