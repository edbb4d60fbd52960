# SPDX-License-Identifier: GPL-2.0
"""Two hosts whose VMs are on one network: a bridge on each, with the network between
the hosts and the netdev of a PF in it, a pool of VFs of that PF, and keeld. The
first host leads: what it wants of the second it asks for over the network."""
import glob
import json
import os
import shutil
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from poollib import (LOWER, PCI, PFS, Keeld, Vm, all_are, bridges, gl, is_up,  # noqa: E402
                     keel, lower_vf, netdev, read, write)

PORT = 6000
STREAM = "/keel/out/selftests/guest/stream"
RECORD = struct.Struct("<4Q")


def address(number):
    return f"10.77.0.{number}"


class Host:
    """This host."""
    def __init__(self, number):
        self.number = number
        self.others = []

    def run(self, argv, seconds=60):
        return list(gl.run(*argv, timeout=seconds))

    def must(self, argv, seconds=60):
        return gl.must(*argv, timeout=seconds)

    def keel(self, *argv):
        return keel(*argv)

    def monitor(self, path):
        """keeld may be there, and a monitor has one client."""
        for _ in range(20):
            try:
                return gl.Qmp(path)
            except (OSError, ValueError, gl.Failed):
                time.sleep(0.2)
        return gl.Qmp(path)

    def qmp(self, path, command, arguments=None):
        with self.monitor(path) as q:
            return q.call(command, **(arguments or {}))

    def read(self, path):
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def write(self, path, text):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def exists(self, path):
        return os.path.exists(path)

    def remove(self, path):
        shutil.rmtree(path, ignore_errors=True)

    def kill(self, pid):
        """And wait until it has gone."""
        gl.run("kill", "-9", pid)
        gl.wait_for(f"the end of {pid}", lambda: not os.path.exists(f"/proc/{pid}/exe") or
                    read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[0] == "Z", 20, 0.01)

    def others_take(self, number):
        """VMs that are no guests of ours have so many VFs of the pool."""
        while len(self.others) < number:
            vm = Vm(f"other{len(self.others)}")
            self.others.append(vm)
            keel("port", "p", vm.tap, "--mac", f"52:54:00:78:{self.number:02x}:"
                 f"{len(self.others):02x}")
            vm.leased()
        while len(self.others) > number:
            self.others.pop().kill()

    def setup(self, vfs):
        """The bridge takes the address of the network between the hosts over. A VF that
        is in no pool is the peer: a machine on that network by way of the PF."""
        pf = netdev(PFS[0])
        gl.must("modprobe", "igbvf")
        write(f"{PCI}/{PFS[0]}/sriov_numvfs", str(vfs + 1))
        peer = os.path.basename(gl.wait_for("the peer", lambda: glob.glob(
            f"{PCI}/{PFS[0]}/virtfn{vfs}/net/*"))[0])
        gl.must("ip", "netns", "add", "peer")
        gl.must("ip", "link", "set", peer, "netns", "peer")
        join = next(os.path.basename(p) for p in glob.glob("/sys/class/net/*")
                    if read(f"{p}/address").startswith("52:54:00:bb:"))
        bridges("br0")
        gl.must("ip", "link", "set", "br0", "address", read(f"/sys/class/net/{pf}/address"))
        gl.must("ip", "addr", "flush", "dev", join)
        for port in (pf, join):
            gl.must("ip", "link", "set", port, "up", "master", "br0")
        gl.must("ip", "addr", "add", f"{address(self.number)}/24", "dev", "br0")
        gl.must("ip", "-n", "peer", "addr", "add", f"{address(50 + self.number)}/24", "dev", peer)
        gl.must("ip", "-n", "peer", "link", "set", peer, "up")
        keel("create", "p", "br0", "--mac", "guest")
        keel("add", "p", f"{PFS[0]}#0-{vfs - 1}")
        all_are("free", vfs)
        Keeld({"qmp": ["/run/guest/%n/qmp.sock"], "retry_ms": 500}).start()
        return pf

    def hold_keeld(self, hold):
        """It does nothing until it is let go."""
        gl.must("pkill", "-STOP" if hold else "-CONT", "-x", "keeld")

    def start(self, argv, log):
        with open(log, "a", encoding="utf-8") as f:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                    start_new_session=True).pid


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            name, args = json.loads(line)
            try:
                answer = {"return": getattr(self.server.host, name)(*args)}
            except Exception as e:  # All of them are the asker's.
                answer = {"failed": f"{type(e).__name__}: {e}"}
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def serve(host):
    """Until the first host says that it is over."""
    with Server(("", PORT), Handler) as server:
        server.host = host
        host.quit = lambda: threading.Thread(target=server.shutdown).start()
        server.serve_forever()


class Far:
    """A host over the network: what Host can, it can."""
    def __init__(self, number):
        self.number = number

    def call(self, name, *args):
        with socket.create_connection((address(self.number), PORT), 120) as sock, \
                sock.makefile("rw", encoding="utf-8") as f:
            f.write(json.dumps([name, args]) + "\n")
            f.flush()
            answer = json.loads(f.readline() or '{"failed": "no answer"}')
        if "failed" in answer:
            raise gl.Failed(f"on host {self.number}: {answer['failed']}")
        return answer["return"]

    def __getattr__(self, name):
        return lambda *args: self.call(name, *args)

    def wait(self, seconds=90):
        def up():
            try:
                return not self.call("run", ["true"])[0]
            except OSError:
                return False
        gl.wait_for(f"host {self.number}", up, seconds, 0.5)


def pool(host):
    return host.keel("show", "p")[0]


def port_of(host, tap):
    return next((p for p in pool(host)["ports"] if p["port"] == tap), None)


def vf_of(host, tap):
    return next((v for v in pool(host)["devices"] if v.get("port") == tap and
                 v["state"] == "leased"), None)


def free(host):
    return sum(v["state"] == "free" for v in pool(host)["devices"])


def peer_reaches(host, where):
    """A reason if a machine that is on a VF of this host does not."""
    status, out, err = host.run(["ip", "netns", "exec", "peer", "busybox", "ping", "-c", "3",
                                 "-W", "2", where], 20)
    return f"host {host.number}: {out}{err}" if status else ""


def fdb(host, mac):
    """Where the host's bridge, which has no VLANs, sends what is for a MAC."""
    rows = json.loads(host.must(["bridge", "-j", "fdb", "show", "br", "br0"]))
    return [r["ifname"] for r in rows if r["mac"] == mac and "master" in r and
            "vlan" not in r]


class Traveller:
    """A guest that goes from host to host. Its disk is an export of the first."""
    name, tap, mac, address = "mig", "t-mig", "52:54:00:77:00:01", "10.77.0.100"
    mem, export, incoming = "128M", 10809, 4444

    def __init__(self, first):
        self.host = first
        self.pid = 0
        self.dir = f"/run/guest/{self.name}"

    def serve_disk(self):
        """For both VMMs: one writes only when the other has ended to."""
        self.host.run(["mkdir", "-p", self.dir])
        self.host.must(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/guest/disk.img", "-F",
                        "raw", "/tmp/mig.qcow2"])
        self.host.must(["qemu-nbd", "--fork", "--persistent", "--shared=4", "--port",
                        str(self.export), "/tmp/mig.qcow2"])

    def launch(self, host, wait, *more):
        host.remove(self.dir)
        # What it leaves running must not hold our pipe.
        host.must(["bash", "-c", 'exec "$@" >/dev/null 2>&1', "start", f"{gl.GUEST}/start",
                   "--name", self.name, "--mem", self.mem, "--cpus", "2", "--ram", "anon",
                   "--wait", str(wait),
                   "--nbd", f"{address(1)}:{self.export}", "--",
                   "-fw_cfg", f"name=opt/keel/stream,file={STREAM}",
                   "-device", "pcie-root-port,id=hp0,chassis=20",
                   "-netdev", f"tap,id=n0,ifname={self.tap},script=no,downscript=no",
                   "-device", f"virtio-net-pci,netdev=n0,id=nic0,failover=on,mac={self.mac}",
                   *more], wait + 10)
        gl.wait_for(f"its tap on host {host.number}", lambda: not host.run(
            ["ip", "link", "set", self.tap, "up", "master", "br0"])[0], 20, 0.1)
        return int(host.read(f"{self.dir}/pid"))

    def boot(self):
        self.pid = self.launch(self.host, 60)
        self.exec(f"ip addr add {self.address}/24 dev eth0; ip link set eth0 up; "
                  "cat /sys/firmware/qemu_fw_cfg/by_name/opt/keel/stream/raw >/run/stream; "
                  "chmod +x /run/stream")

    def exec(self, command, seconds=30):
        status, out, err = self.host.run([f"{gl.GUEST}/exec", self.name, command, str(seconds)],
                                         seconds + 5)
        if status:
            raise gl.Failed(f"in the guest: {command}: {status}: {out}{err}")
        return out.replace("\r", "")

    def background(self, command):
        self.exec(f"setsid {command} </dev/null >/dev/null 2>&1 &")

    def qmp(self, command, **arguments):
        return self.host.qmp(f"{self.dir}/qmp.sock", command, arguments)

    def plugged(self):
        return [d["name"] for d in self.qmp("qom-list", path="/machine/peripheral")
                if d["name"].startswith("keel-")]

    def standing_in(self):
        """Whether a VF carries its traffic."""
        return is_up(lower_vf(self.exec(LOWER)))

    def has_vf(self, seconds=40):
        gl.wait_for("its VF is up", lambda: self.plugged() and self.standing_in(), seconds, 0.2)

    def migrate(self, to, before=lambda: None):
        """Leave this host for another. before: called when that is ready. Return: what
        was said if no VF was to be reserved, QEMU's figures, and our clock when it began
        and when it was over."""
        status, _, said = to.run(["keel", "pool", "reserve", "p", self.tap])
        said = said if status else ""
        pid = self.launch(to, 0, "-incoming", f"tcp:0:{self.incoming}")
        gl.wait_for("it listens", lambda: "inmigrate" in json.dumps(
            to.qmp(f"{self.dir}/qmp.sock", "query-status")), 20, 0.1)
        before()
        time.sleep(1)
        begin = time.monotonic_ns()
        self.qmp("migrate", uri=f"tcp:{address(to.number)}:{self.incoming}")
        info = gl.migrated(lambda: self.qmp("query-migrate"), 90, 0.05)
        end = time.monotonic_ns()
        # As libvirt does.
        self.host.kill(self.pid)
        self.host, self.pid = to, pid
        return said, info, begin, end


class Log:
    """What "stream log" has noted here."""
    def __init__(self, port, path, echo):
        self.path = path
        self.process = subprocess.Popen([STREAM, "log", str(port), path,
                                         *(["echo"] if echo else [])])

    def records(self, begin=0, end=1 << 63):
        """(arrival ns, number, came back to the sender)"""
        with open(self.path, "rb") as f:
            data = f.read()
        data = data[:len(data) // RECORD.size * RECORD.size]
        return [r for r in RECORD.iter_unpack(data) if begin <= r[0] < end]

    def figures(self, begin, end):
        """Of that time: longest gap each way, and what is missing."""
        rows = self.records(begin, end)
        if len(rows) < 2:
            raise gl.Failed(f"only {len(rows)} packets arrived")
        numbers = [r[1] for r in rows]
        back = [rows[0]] + [b for a, b in zip(rows, rows[1:]) if b[2] != a[2]]
        unique = len(set(numbers))
        return {
            "packets": len(rows),
            "gap_ms": gap_of(rows), "gap_back_ms": gap_of(back),
            "gap_at_ms": (gap_at(rows) - begin) / 1e6,
            "gap_back_at_ms": (gap_at(back) - begin) / 1e6,
            "lost": max(numbers) - min(numbers) + 1 - unique,
            "lost_back": max(0, len(rows) - (rows[-1][2] - rows[0][2])),
            "reordered": sum(b < a for a, b in zip(numbers, numbers[1:])),
            "duplicates": len(rows) - unique,
            "rate": len(rows) / ((rows[-1][0] - rows[0][0]) / 1e9),
        }

    def kill(self):
        self.process.kill()
        self.process.wait()


def gap_of(rows):
    return max((b[0] - a[0] for a, b in zip(rows, rows[1:])), default=0) / 1e6


def gap_at(rows):
    """When the longest began."""
    return max(((b[0] - a[0], a[0]) for a, b in zip(rows, rows[1:])), default=(0, 0))[1]
