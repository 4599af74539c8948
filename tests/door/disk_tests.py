# SPDX-License-Identifier: BSD-3-Clause
"""The tests of the door of what becomes of a disk: reset or killed while it is written, and of more than one driver."""
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

from harness import IMAGE_THREADS, Failed, Server, await_that, check, descendants, links, read_line, report, same
from nvme_tests import DISK, MIB, device, need_tools, succeed

SECOND_DISK = "nvme://0000:02:00.0/1"
WAYS = 4
KINDS = (["aio=auto", "block=512"], ["aio=threads", "block=4096"])


def strike(door, disk, kind, messages):
    with Server(door, options=device(disk, "size=1M", *kind), stderr=messages) as server:
        for way in range(WAYS):
            server.client("nvme_client", "--variant", str(way), "--rounds", door.rounds(5, 250),
                          "--seed", str(random.getrandbits(32)))
        server.expect_no_leak("nvme_client")
        count = server.image_threads()
        check(count <= IMAGE_THREADS, f"{count} threads for one image")


def struck(door):
    """a disk that is reset in any way, or loses its driver, in the midst of writing: no block is torn"""
    for kind in KINDS:
        disk = f"{door.tmp}/disk"
        with tempfile.TemporaryFile("w+") as messages:
            try:
                strike(door, disk, kind, messages)
            except Failed:
                messages.seek(0)
                report("".join(messages.readlines()[-20:]))
                raise
        os.unlink(disk)


def supervisors(door):
    return [pid for pid in door.iommuse_processes() if "anon_inode:seccomp notify" in links(f"/proc/{pid}/fd")]


def of_name(name):
    return [pid for pid, (comm, _) in descendants().items() if comm == name[:15]]


def kill_those(pids):
    check(pids, "there is nobody to kill")
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


# Who is killed.
VICTIMS = {
    "the driver": lambda door: of_name("door-nvme_client"),
    "the supervisor": supervisors,
    "iommuse": lambda door: door.iommuse_processes(),
    "all of them": lambda door: list(descendants()),
}


def killed_often(door):
    """whoever is killed while many commands are in flight: no block is torn, what was durable is there, the next starts"""
    before = door.left_behind()
    folder = f"{door.tmp}/killed"
    os.mkdir(folder)
    disk, ledger = f"{folder}/disk", f"{folder}/ledger"
    counts = dict.fromkeys(VICTIMS, 0)
    for n in range(int(door.rounds(20, 1000))):
        if n % 100 in (0, 10):  # some rounds go on with the disk of the last one
            for path in (disk, ledger):
                pathlib.Path(path).unlink(missing_ok=True)
            kind = random.choice(KINDS)
        who, seed = random.choice(list(VICTIMS)), random.getrandbits(32)
        what = f"round {n}, {kind}, {who} is killed, seed {seed}"
        p = door.start(door.program("nvme_client"), "write", ledger, str(seed), options=device(disk, "size=1M", *kind),
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = p.stdout.readline()
        if line != "writes\n":
            door.kill_everything()
            report(line + p.stdout.read() + p.stderr.read())
        same(line, "writes\n", what)
        time.sleep(random.random() ** 2 * 0.05)
        kill_those(VICTIMS[who](door))
        door.kill_everything()
        p.communicate()
        status, out, err = door.run(door.program("nvme_client"), "check", ledger, disk, plain=True)
        check(status == 0, f"{what}: {out} {err}")
        same(sorted(os.listdir(folder)), ["disk", "ledger"], f"files after {what}")
        counts[who] += 1
    print("    ok killed: " + ", ".join(f"{who} {n} times" for who, n in counts.items()))
    # What those could not remove who were killed all at once, the next one does that has devices to show.
    same(door.run(door.program("once"), options=device(disk))[0], 0, "the next start")
    for path in (disk, ledger):
        os.unlink(path)
    door.expect_nothing_left(before)


def expect_whole_blocks(path, begin, end):
    """Each block of 512 bytes has one value."""
    data = pathlib.Path(path).read_bytes()
    for at in range(begin, end, 512):
        check(data[at:at + 512] == data[at:at + 1] * 512, f"a torn block at {at}")


def killed_tools(door):
    """QEMU's tool is killed, or iommuse under it, while many of its writes are in flight"""
    need_tools()
    before = door.left_behind()
    disk = f"{door.tmp}/disk"
    for n in range(int(door.rounds(6, 300))):
        who = ("qemu-io", "iommuse")[n % 2]
        writes = [word for i in range(6000) for word in ("-c", f"aio_write -P {i % 255 + 1} {1024 + i % 37 * 32}k 64k")]
        p = door.start("qemu-io", "-f", "raw", "-t", "none", "-c", f"write -f -P {n % 255 + 1} 0 1M", *writes, DISK,
                       options=device(disk, "size=4M"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # It tells of that when it has many lines to tell.
        check("wrote" in read_line(p.stdout, "qemu-io"), "qemu-io does not write")
        time.sleep(random.random() * 0.02)
        kill_those(of_name("qemu-io") if who == "qemu-io" else door.iommuse_processes())
        door.kill_everything()
        p.stdout.close()
        same(pathlib.Path(disk).read_bytes()[:MIB], bytes([n % 255 + 1]) * MIB, f"what was durable when {who} was killed")
        expect_whole_blocks(disk, MIB, 4 * MIB)
    out = succeed(door, device(disk), "qemu-io", "-f", "raw", "-c", f"read -P {n % 255 + 1} 0 1M", DISK)
    check("Pattern verification failed" not in out, "reads something else afterwards")
    print("    ok QEMU's tool and iommuse")
    os.unlink(disk)
    door.expect_nothing_left(before)


class Tool:
    """A qemu-io below a server, which does what it is told."""

    def __init__(self, server, name, disk):
        self.server, self.name = server, name
        server.ask("start", name=name, argv=["qemu-io", "-f", "raw", "-t", "none", disk])

    def tell(self, command):
        self.server.ask("write", name=self.name, text=command + "\n")

    def answer(self, wanted):
        line = self.server.ask("line", name=self.name)
        check(wanted in line, f"{self.name} says {line!r}, not {wanted!r}")
        self.server.ask("line", name=self.name)  # how fast it was

    def do(self, command, wanted):
        self.tell(command)
        self.answer(wanted)

    def quit(self):
        self.tell("quit")
        status, out = self.server.ask("wait", name=self.name)
        same(status, 0, f"{self.name}: {out}")


def two(door):
    """two tools of QEMU below one iommuse: each has a disk; one disk goes from one to the other, and nobody shares it"""
    need_tools()
    disks = [f"{door.tmp}/{name}" for name in ("first", "second")]
    options = device(disks[0], "size=8M") + device(disks[1], "size=8M")
    with Server(door, options=options) as server:
        tools = [Tool(server, "first", DISK), Tool(server, "second", SECOND_DISK)]
        for n in range(1, 1 + int(door.rounds(20, 200))):
            for i, tool in enumerate(tools):
                tool.tell(f"write -P {100 * i + n % 100 + 1} {n % 8}M 1M")
            for tool in tools:
                tool.answer("wrote 1048576/1048576")
            for i, tool in enumerate(tools):
                tool.do(f"read -P {100 * i + n % 100 + 1} {n % 8}M 1M", "read 1048576/1048576")
        print("    ok each with a disk")
        for disk in (DISK, SECOND_DISK):
            status, out = server.run("qemu-io", "-f", "raw", "-c", "read 0 512", disk)
            check(status == 1 and "Device or resource busy" in out, f"a second driver: {status}, {out!r}")
        tools[0].do("read 0 1M", "read 1048576/1048576")
        print("    ok nobody shares one")
        tools[1].do("write -P 77 0 1M", "wrote")
        for tool in tools:
            tool.quit()
        for n in range(int(door.rounds(10, 100))):
            tool = Tool(server, f"third {n}", SECOND_DISK)
            tool.do(f"read -P {77 + n} 0 1M", "read 1048576/1048576")
            tool.do(f"write -P {78 + n} 0 1M", "wrote")
            tool.quit()
        print("    ok one goes from one to the next")
        server.expect_no_leak("two")
    same(pathlib.Path(disks[1]).read_bytes()[:MIB], bytes([78 + n]) * MIB, "the image in the end")
    for disk in disks:
        os.unlink(disk)


TESTS = {
    "nvme-struck": struck,
    "nvme-killed-often": killed_often,
    "nvme-killed-tools": killed_tools,
    "nvme-two": two,
}
