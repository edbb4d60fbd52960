# SPDX-License-Identifier: GPL-2.0
"""To stop an emulated host from outside, and to let its CPUs go on one instruction at a
time. No debugger is needed: this speaks the protocol that QEMU does (GDB's manual,
"Remote Protocol")."""
import os
import socket
import time

RSP, RIP = 7, 16


class Host:
    """That of "lab run --gdb --log DIRECTORY", once it has told its symbols. It is stopped."""

    def __init__(self, directory):
        path = os.path.join(directory, "symbols")
        for _ in range(3000):
            if os.path.exists(path):
                break
            time.sleep(0.1)
        with open(path, encoding="ascii") as f:
            # As in /proc/kallsyms; a name may be there more than once.
            self.symbols = [(line.split()[2], int(line.split()[0], 16)) for line in f]
        # A socket's whole path may be too long for one.
        os.chdir(directory)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect("gdb.sock")
        self.got = b""
        self.breakpoints = []
        self.stopped = None
        self.ask("qSupported:multiprocess+;vContSupported+")
        self.ask("?")

    # Packets: $data#checksum, each acknowledged by a +.

    def byte(self):
        if not self.got:
            self.got = self.socket.recv(4096)
            if not self.got:
                raise EOFError("the host has ended")
        first, self.got = self.got[:1], self.got[1:]
        return first

    def receive(self):
        while self.byte() != b"$":
            pass
        data = b""
        while (c := self.byte()) != b"#":
            data += c
        self.byte()
        self.byte()
        self.socket.sendall(b"+")
        return data.decode()

    def send(self, data):
        self.socket.sendall(f"${data}#{sum(data.encode()) & 255:02x}".encode())

    def ask(self, data):
        self.send(data)
        return self.receive()

    def at(self, name):
        """Where what has that name begins."""
        return next(address for n, address in self.symbols if n == name)

    def stop_at(self, address):
        if self.ask(f"Z1,{address:x},1") != "OK":
            raise SystemExit("the host takes no breakpoint")
        self.breakpoints.append(address)

    def never_mind(self, address):
        self.ask(f"z1,{address:x},1")
        self.breakpoints.remove(address)

    def go_on(self, cpu=None):
        """Until a CPU is at a breakpoint: which. All go on, or only @cpu. What is read from
        then on is of that one."""
        if self.stopped and self.register(RIP) in self.breakpoints:
            # It would stay there.
            self.step(self.stopped)
        stop = self.ask("vCont;c" + (f":{cpu}" if cpu else ""))
        # T05thread:p01.02;
        self.stopped = next(part.split(":")[1] for part in stop[3:].split(";")
                            if part.startswith("thread:"))
        self.ask(f"Hg{self.stopped}")
        return self.stopped

    def step(self, cpu):
        """One instruction of @cpu, without an interrupt; the others wait."""
        self.ask(f"vCont;s:{cpu}")

    def register(self, number):
        return int.from_bytes(bytes.fromhex(self.ask(f"p{number:x}")), "little")

    def memory(self, address, length):
        return bytes.fromhex(self.ask(f"m{address:x},{length:x}"))

    def stack(self, word=0):
        """Its first word is where a function returns to whose first instruction is next."""
        return int.from_bytes(self.memory(self.register(RSP) + 8 * word, 8), "little")

    def leave(self):
        """It goes on, and is told that it may end."""
        for address in list(self.breakpoints):
            self.never_mind(address)
        with open("counted", "w", encoding="ascii"):
            pass
        self.send("D;1")
