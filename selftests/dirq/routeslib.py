# SPDX-License-Identifier: GPL-2.0
"""A tiny VM (serve.c) for tests of what keel irq says and does of it."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../sriov"))

from dirqlib import irq  # noqa: E402
from poollib import gl  # noqa: E402

SERVE = "/keel/out/selftests/dirq/serve"


class Vm:
    """It, and what it is told."""

    def __init__(self):
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen([SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        told = json.loads(self.process.stdout.readline())
        self.pid, self.id, self.sources = self.process.pid, told["vm"], told["sources"]

    def tell(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer.isdigit():
            raise gl.Failed(f"{words}: {answer}")
        return int(answer)

    def fd(self, i, which):
        return f"{self.pid}:{self.sources[i][which]}"

    def args(self, source, sink, *more):
        """Of the sources with these numbers."""
        return ("route", "add", str(self.pid), "--source", self.fd(source, "source"),
                "--sink", self.fd(sink, "sink"), *more)

    def route(self, i, *more):
        number = irq(*self.args(i, i, *more))["id"]
        self.tell("routed", i)
        return number

    def shown(self):
        return next((vm for vm in irq("show")["vms"] if vm["id"] == self.id),
                    {"targets": [], "routes": []})

    def routes(self):
        return {r["id"]: r for r in self.shown()["routes"] if "id" in r}

    def ready(self):
        """Its threads are known: one that halts says where it is when it has been woken."""
        def known():
            for i in range(2):
                self.tell("send", i, 1)
            return len([t for t in self.shown()["targets"] if t["state"] != "offline"]) == 2
        gl.wait_for("its vCPUs", known, 20, 0.1)
        return self

    def end(self):
        self.process.kill()
        self.process.wait()
