# SPDX-License-Identifier: GPL-2.0
"""Debian guests with a load that can be checked, for tests on a lab host."""
import contextlib
import ctypes
import glob
import json
import mmap
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

GUEST = os.environ.get("GUEST", "/keel/selftests/lab/guest")
WORKER = "/keel/out/selftests/guest/worker"
SCRIPT = "/tmp/guest-worker.sh"
W = "/run/worker"
# The first two words of struct state in worker.c.
MAGIC = struct.pack("<QQ", 0x6b65656c20677565 ^ 0x5555555555555555,
                    0x6b65656c20677565 * 3 & (1 << 64) - 1)
SET_MEMPOLICY, MPOL_DEFAULT, MPOL_BIND = 238, 0, 2
STATE = ("count", "printed", "print_every", "acked", "tsc_hz", "pages", "errors")


class Failed(Exception):
    """A step that a test stands on did not work; the text says which."""


def run(*argv, timeout=60, **more):
    """Run a command; its status, output and error output."""
    try:
        p = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, text=True,
                           capture_output=True, timeout=timeout, check=False, **more)
    except subprocess.TimeoutExpired:
        return 124, "", f"no end after {timeout} s: {' '.join(map(str, argv))}"
    return p.returncode, p.stdout, p.stderr


def must(*argv, timeout=60, **more):
    status, out, err = run(*argv, timeout=timeout, **more)
    if status:
        raise Failed(f"{' '.join(map(str, argv))}: status {status}: {err or out}".strip())
    return out


def wait_for(what, condition, seconds=30, step=0.05):
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise Failed(f"{what}: not after {seconds} s")
        time.sleep(step)
    return result


def cpus_of(node):
    """The CPUs of a NUMA node."""
    cpus = set()
    with open(f"/sys/devices/system/node/node{node}/cpulist", encoding="ascii") as f:
        for part in f.read().strip().split(","):
            first, _, last = part.partition("-")
            cpus |= set(range(int(first), int(last or first) + 1))
    return cpus


def memory_from(node):
    """Memory of what is started from here on; None: from anywhere."""
    mask = ctypes.c_ulong(0 if node is None else 1 << node)
    ctypes.CDLL(None).syscall(SET_MEMPOLICY, MPOL_DEFAULT if node is None else MPOL_BIND,
                              None if node is None else ctypes.byref(mask),
                              0 if node is None else 64)


class Guest:
    def __init__(self, name):
        self.name = name
        self.dir = f"/run/guest/{name}"
        self.pid = 0

    def path(self, file):
        return f"{self.dir}/{file}"

    @property
    def qmp(self):
        return self.path("qmp.sock")

    def start(self, ram="keelfs", mem="256M", work=96, disk=True, extra=(), as_json=False):
        """Boot, and wait until the load runs. disk: with a data disk. as_json: its
        objects and devices given as libvirt gives them."""
        self.make_dir()
        with open(SCRIPT, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\n"
                    f"cat /sys/firmware/qemu_fw_cfg/by_name/opt/keel/worker/raw >{W}\n"
                    f"chmod +x {W}\n"
                    "mkdir -p /data\n"
                    "[ ! -e /dev/vdb ] || mount -t ext4 /dev/vdb /data || exit\n"
                    f"{W} run -m {work}{' -d /data/records' if disk else ''}\n"
                    "echo worker: ended with $?\n"
                    "sleep 100000\n")
        args = ["-fw_cfg", f"name=opt/keel/worker,file={WORKER}"]
        if disk:
            data = self.path("data.raw")
            must("truncate", "-s", "64M", data)
            must("mke2fs", "-q", "-t", "ext4", "-F", data)
            args += ["-drive", f"file={data},format=raw,if=none,id=data",
                     "-device", "virtio-blk-pci,drive=data,id=data"]
        self.launch("--mem", mem, "--ram", ram, "--script", SCRIPT, "--wait", "90",
                    *(["--json"] if as_json else []), "--", *args, *extra)
        wait_for("the load in the guest", lambda: "worker: ready" in self.log(), 60)
        return self

    def start_bare(self, *extra, ram="keelfs"):
        """Only begin to boot, with no load: enough of a guest for many a fault."""
        self.make_dir()
        self.launch("--mem", "128M", "--ram", ram, "--wait", "0", "--", *extra)
        wait_for(f"the guest {self.name}", self.running, 20)
        return self

    def make_dir(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)

    def launch(self, *options):
        # Not piped: QEMU inherits it.
        if subprocess.call([f"{GUEST}/start", "--name", self.name, *options],
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
            raise Failed(f"the guest {self.name} does not start")
        with open(self.path("pid"), encoding="ascii") as f:
            self.pid = int(f.read())

    def log(self):
        try:
            with open(self.path("serial.log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def last_words(self):
        """Whether it lives, and the ends of what it and its QEMU wrote."""
        text = f"{self.name} is {'alive' if self.alive() else 'gone'}\n"
        for path in sorted(glob.glob(self.path("*.log"))):
            with open(path, encoding="utf-8", errors="replace") as f:
                text += f"{path}:\n" + "".join(f.readlines()[-15:])
        return text

    def counts(self):
        """The whole count lines on its console."""
        return [int(n) for n in re.findall(r"^count (\d+)\r?\n", self.log(), re.M)]

    def command(self):
        with open(self.path("command"), encoding="utf-8") as f:
            return f.read().splitlines()

    def exec(self, command, seconds=30):
        """Status and output of a command in the guest."""
        status, out, err = run(f"{GUEST}/exec", self.name, command, str(seconds),
                               timeout=seconds + 5)
        return status, (out + err).replace("\r", "")

    def ask(self, verb, seconds=60):
        """A verb of the load that answers NAME=VALUE lines, as a dict."""
        status, out = self.exec(f"{W} {verb}", seconds)
        answer = dict(re.findall(r"^(\w+)=(.*)$", out, re.M))
        if "count" not in answer:
            raise Failed(f"the load in {self.name} does not answer: {out.strip()[-200:]}\n"
                         f"{self.last_words()}")
        answer = {k: int(v) if v.isdigit() else v for k, v in answer.items()}
        answer["status"] = status
        return answer

    def count(self):
        return self.ask("status", 20)["count"]

    def runs_on(self, seconds=20):
        """Its count grows, and nothing was found amiss. A reason if not."""
        try:
            first = self.ask("status", seconds)
            wait_for("its count grows", lambda: self.count() > first["count"], seconds, 0.1)
        except Failed as e:
            return f"the guest does not go on: {e}"
        return first.get("message", "")

    def ticks(self, seconds, group=1):
        """The last seconds in slices of group * 10 ms, each (its begin in the
        guest's time in us, counts, longest time between two in us)."""
        status, out = self.exec(f"{W} ticks {int(seconds * 100)} {group}", 60)
        lines = out.split("\n")
        if status or not lines[0].isdigit():
            raise Failed(f"no ticks from {self.name}: {out[-200:]}")
        first = int(lines[0])
        return [(first + i * group * 10000, *map(int, line.split()))
                for i, line in enumerate(lines[1:]) if line.count(" ") == 1]

    def clock(self):
        """What to add to the guest's time (us) to get our monotonic clock's: the
        best of some tries."""
        best = None
        for _ in range(4):
            before = time.monotonic()
            _, out = self.exec(f"{W} now")
            after = time.monotonic()
            if best is None or after - before < best[0]:
                best = (after - before, (before + after) / 2 * 1e6 - int(out))
        return best[1]

    def check(self):
        """Every page and record; a reason if one is not as it should be."""
        try:
            answer = self.ask("check")
        except Failed as e:
            return str(e)
        return answer.get("message", "")

    def fsck(self):
        """End the load and check the data disk's file system in the guest."""
        answer = self.ask("stop")
        if answer["errors"]:
            return answer.get("message", "errors")
        status, out = self.exec("umount /data && e2fsck -fn /dev/vdb", 60)
        return "" if status == 0 else f"e2fsck in the guest: {out.strip()}"

    def alive(self):
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as f:
                return f.read().rsplit(")", 1)[1].split()[0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def pin(self, cpus):
        """All threads of its VMM that there are."""
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            try:
                os.sched_setaffinity(int(tid), cpus)
            except ProcessLookupError:
                pass

    def memory_of(self, file):
        """What it has mapped of a file, KiB by node."""
        found = {}
        with open(f"/proc/{self.pid}/numa_maps", encoding="ascii") as f:
            for line in f:
                size = re.search(r"kernelpagesize_kB=(\d+)", line)
                if file not in line or not size:
                    continue
                for node, nr in re.findall(r" N(\d+)=(\d+)", line):
                    found[int(node)] = found.get(int(node), 0) + int(nr) * int(size.group(1))
        return found

    def kill(self, sig=9):
        try:
            os.kill(self.pid, sig)
        except ProcessLookupError:
            pass
        wait_for(f"the end of {self.name}", lambda: not self.alive(), 20)

    def running(self):
        """What QEMU's monitor says. False as well if it does not answer."""
        try:
            with Qmp(self.qmp) as q:
                return q.call("query-status")["running"]
        except (OSError, Failed):
            return False

    @contextlib.contextmanager
    def held(self):
        """Stopped meanwhile: its load leaves the CPUs to others."""
        with Qmp(self.qmp) as q:
            q.call("stop")
        try:
            yield
        finally:
            with Qmp(self.qmp) as q:
                q.call("cont")

    def snapshot(self, where, *more, qmp=True, timeout=120):
        """keel snapshot create: status, result or None, the error line. qmp: by its
        monitor, or by the one at this path."""
        argv = ["keel", "-j", "snapshot", "create", str(self.pid), "-o", where]
        if qmp:
            argv += ["--qmp", self.qmp if qmp is True else qmp]
        status, out, err = run(*argv, *more, timeout=timeout)
        return answer_of(status, out, err)

    def restore(self, image, name, *more, command=None, timeout=60):
        """Bring the image back as guest NAME: status, result, error, Guest."""
        new = Guest(name)
        new.make_dir()
        # Its sockets and console are its own; its disks keep their names.
        command = [re.sub(rf"(path=|unix:){re.escape(self.dir)}/", rf"\1{new.dir}/", word)
                   for word in command or self.command()]
        status, out, err = run("keel", "-j", "snapshot", "restore", image, "--daemon",
                               "--run-dir", new.dir, *more, "--", *command,
                               timeout=timeout)
        status, result, err = answer_of(status, out, err)
        if result:
            new.pid = result["pid"]
        return status, result, err, new


def answer_of(status, out, err):
    """What keel -j said: status, object if it worked, else one line."""
    try:
        result = json.loads(out)
    except ValueError:
        result = None
    if status == 0:
        return status, result, err.strip()
    if isinstance(result, dict) and "error" in result:
        return status, None, str(result["error"])
    return status, None, (err.strip() or out.strip())


def state_in(image):
    """The load's state as an image of memory holds it."""
    with open(f"{image}/ram0.raw", "rb") as f, \
            mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        size, at = len(m), 0
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            while (found := m.find(MAGIC, at, end)) >= 0:
                if found % 4096 == 0:
                    words = struct.unpack_from(f"<{len(STATE)}Q", m, found + 16)
                    return dict(zip(STATE, words))
                at = found + 1
            at = end
    raise Failed(f"{image}: the load's state is not in the image")


class Qmp:
    """QEMU's monitor; events are kept in .events."""
    def __init__(self, path, seconds=30):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(seconds)
        self.sock.connect(path)
        self.file = self.sock.makefile("rw", encoding="utf-8")
        self.events = []
        if "QMP" not in json.loads(self.file.readline() or "{}"):
            raise Failed("no QMP greeting")
        self.call("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()
        self.sock.close()

    def message(self):
        line = self.file.readline()
        if not line:
            raise Failed("QEMU closed its monitor")
        return json.loads(line)

    def call(self, command, **arguments):
        json.dump({"execute": command, "arguments": arguments}, self.file)
        self.file.write("\n")
        self.file.flush()
        while "event" in (answer := self.message()):
            self.events.append(answer)
        if "error" in answer:
            raise Failed(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def event(self, name, **data):
        """The next event of this name with these data; those before it are dropped."""
        while True:
            e = self.events.pop(0) if self.events else self.message()
            if e.get("event") == name and \
                    all(e.get("data", {}).get(k) == v for k, v in data.items()):
                return e


def migrated(query, seconds, step):
    """QEMU's figures of a migration, once it is over. query: returns what query-migrate says."""
    def over():
        info = query()
        if info["status"] in ("failed", "cancelled"):
            raise Failed(f"the migration failed: {info}")
        return info["status"] == "completed" and info
    return wait_for("it is there", over, seconds, step)


class Relay:
    """A monitor at PATH that passes all on to the one of a guest, but for what
    CLIENT(line) and SERVER(line) have to say of a line of either: they are called
    before it is passed on, may wait, keep it back by saying True, and change it by
    saying another. Later connections are passed on untouched."""
    def __init__(self, guest, path, client=None, server=None):
        self.real, self.client, self.server = guest.qmp, client, server
        if os.path.exists(path):
            os.unlink(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        hooks = (self.client, self.server)
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.real)
            except OSError:
                near.close()
                continue
            for source, sink, hook in ((near, far, hooks[0]), (far, near, hooks[1])):
                threading.Thread(target=self.carry, args=(source, sink, hook),
                                 daemon=True).start()
            hooks = (None, None)

    @staticmethod
    def carry(source, sink, hook):
        rest = b""
        try:
            while True:
                data, fds, _, _ = socket.recv_fds(source, 65536, 4)
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    said = hook(line.decode()) if hook else None
                    if said is True:
                        continue
                    line = said.encode() if said else line
                    socket.send_fds(sink, [line + b"\n"], fds)
                    for fd in fds:
                        os.close(fd)
                    fds = []
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def host():
    """What 'keel' alone says."""
    return json.loads(must("keel", "-j"))


class Tap:
    def __init__(self):
        self.number = 0
        self.failed = 0

    def result(self, what, reason="", skip=""):
        """ok unless there is a reason why not."""
        self.number += 1
        self.failed += bool(reason)
        print(f"{'not ' if reason else ''}ok {self.number} {what}"
              f"{' # SKIP ' + skip if skip else ''}")
        for line in str(reason).splitlines() if reason else ():
            print(f"# {line}")
        sys.stdout.flush()
        return not reason

    def refused(self, what, argv, want, code=2):
        """keel says in a line why it will not, and with -j the same as JSON."""
        status, out, err = run(*argv)
        reasons = [f"status {status}" if status != code else "",
                   f"'{want}' is not in it" if want not in err else "",
                   "not one line" if err.count("\n") != 1 or out else ""]
        status, told, _ = run(argv[0], "-j", *argv[1:])
        try:
            same = json.loads(told) == {"error": err.removeprefix("keel: ").rstrip("\n"),
                                        "code": code}
        except ValueError:
            same = False
        reasons += ["" if same and status == code else f"as JSON, status {status}: {told}"]
        return self.result(f"refused in a line: {what}",
                           "\n".join([*filter(None, reasons), out + err])
                           if any(reasons) else "")

    def host_as(self, before, seconds=10):
        """Nothing of a guest or a snapshot is left, soon."""
        def differs():
            now = host()
            return ", ".join(f"{k}: {before[k]} before, {now[k]} now"
                             for k in ("snapshots", "pool_bytes", "vms") if now[k] != before[k])

        try:
            wait_for("the host as before", lambda: not differs(), seconds)
        except Failed:
            pass
        self.result("the host is as before", differs())

    @staticmethod
    def note(text):
        print(f"# {text}", flush=True)

    def end(self):
        print(f"1..{self.number}")
        sys.exit(1 if self.failed else 0)
