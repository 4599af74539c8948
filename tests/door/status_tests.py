# SPDX-License-Identifier: BSD-3-Clause
"""Tests of `iommuse status`, of names of runs, and of quotas of PASIDs by what it says of them."""
import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time

import harness
from harness import HANG, Server, Skipped, await_that, check, read_line, read_text, same

EAGAIN = 11


def status_of(door, *arguments, **kw):
    """(exit status, output, messages)"""
    return door.run(door.iommuse, "status", *arguments, plain=True, **kw)


def told_of(door, name):
    """What is told of a run, and when it was started; None: there is no such run."""
    status, out, err = status_of(door, name)
    if status == 1:
        same((out, err), ("", f"iommuse: status: no iommuse runs by the name '{name}'\n"), "no such run")
        return None
    same((status, err), (0, ""), "exit status and messages")
    since = re.search(r"^since     (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)$", out, re.M)
    check(since, f"no time: {out}")
    started = time.mktime(time.strptime(since[1], "%Y-%m-%d %H:%M:%S"))
    return out.replace(since[0], "since     then"), started


def own_name(door, what):
    return f"door.{os.getpid()}-{what}"


class Owner:
    """A client that has what it is told to have."""

    def __init__(self, server, name, before=()):
        self.server = server
        self.name = name
        self.pid = server.ask("start", name=name, argv=[*before, server.door.program("owner")])

    def tell(self, text):
        self.server.ask("write", name=self.name, text=text + "\n")
        return self.server.ask("line", name=self.name).strip()

    def expect(self, text, want):
        same(self.tell(text), want, f"{self.name}: {text}")

    def end(self, kill=False):
        if kill:
            self.server.ask("kill", name=self.name)
        same(self.server.ask("wait", name=self.name), [-9 if kill else 0, ""], f"{self.name}: its end")


def head(server, name, pasids):
    program = f"{sys.executable} {os.path.abspath(harness.__file__)}"
    program = program if len(program) < 256 else program[:252] + "..."
    return (f"name      {name}\nprocess   {server.process.pid} of user {os.geteuid()}\nprogram   {program}\nsince     then\n"
            f"PASIDs    {pasids}\n")


def figures(door):
    """what is told of a run: PASIDs, processes, devices, as they come and go"""
    name = own_name(door, "figures")
    begin = int(time.time())
    device = "\ndevice        model  opened by\n0000:01:00.0  ioat   {}\n0000:02:00.0  ioat   {}\n"
    heading = "\nprocess    current   maximum   refused  program\n"
    options = ["--name", name, "--pasid-bits=10", "--pasid-quota=5", "--device", "ioat", "--device", "ioat"]
    with Server(door, options=options) as server:
        text, started = told_of(door, name)
        same(text, head(server, name, "0 of 1023 in use (10 bits)") + device.format("nobody", "nobody"), "nothing is used")
        check(begin <= started <= time.time(), f"started at {started}, not {begin}")
        one, two = sorted((Owner(server, "one"), Owner(server, "two")), key=lambda owner: owner.pid)
        one.expect("open", "0")
        one.expect("alloc 7", f"5 -{EAGAIN}")
        one.expect("alloc 1", f"0 -{EAGAIN}")
        two.expect("open", "0")
        two.expect("alloc 3", "3 8")
        two.expect("free 7", "0")
        one.expect("group 0", "0")
        two.expect("node 1", "0")
        same(told_of(door, name)[0],
             head(server, name, "7 of 1023 in use (10 bits)") + heading
             + f"{one.pid:<9}        5         5         2  door-owner\n{two.pid:<9}        2         5         0  door-owner\n"
             + device.format(f"{one.pid} door-owner, by its group /dev/vfio/1",
                             f"{two.pid} door-owner, by /dev/vfio/devices/vfio1"), "all is used")
        # A client is told the same.
        same(server.run(door.iommuse, "status", name)[1].split("\n", 4)[4], told_of(door, name)[0].split("\n", 4)[4], "a client")
        one.end(kill=True)
        two.expect("release", "0")
        await_that(lambda: told_of(door, name)[0] == head(server, name, "2 of 1023 in use (10 bits)") + heading
                   + f"{two.pid:<9}        2         5         0  door-owner\n" + device.format("nobody", "nobody"),
                   lambda: f"after one was killed: {told_of(door, name)[0]}")
        two.end()
        await_that(lambda: told_of(door, name)[0] == text, lambda: f"at the end: {told_of(door, name)[0]}")
        server.expect_no_leak("figures")
    same(told_of(door, name), None, "the run has ended")


def bonds(door):
    """which processes are bound, and to which container"""
    name = own_name(door, "bonds")

    def told(*expected):
        rows = "".join(f"\n1 process bound to the container of /dev/vfio/{group}\nprocess        PASID  program\n"
                       f"{owner.pid:<9} {pasid:>10}  door-owner\n" for group, owner, pasid in expected)
        text = told_of(door, name)[0]
        return text.split("\n", 5)[5].split("\ndevice ")[0] == rows

    def expect(*expected):
        await_that(lambda: told(*expected), lambda: f"{expected}: {told_of(door, name)[0]}")

    with Server(door, options=["--name", name, "--device", "dmax", "--device", "dmax"]) as server:
        expect()
        one, two = Owner(server, "one"), Owner(server, "two")
        one.expect("group-only 1", "0")
        two.expect("group-only 0", "0")
        expect()
        one.expect("bind", "1")
        two.expect("bind", "2")
        expect((1, two, 2), (2, one, 1))
        one.expect("unbind", "0")
        expect((1, two, 2))
        one.expect("bind", "1")
        two.end(kill=True)
        expect((2, one, 1))
        one.expect("release", "0")
        expect()
        one.end()


def names(door):
    """runs have names: given, or their process number; each one once, and free again whatever is killed"""
    before = door.left_behind()
    name = own_name(door, "names")
    waiting = ("sh", "-c", "echo ready; read line")
    p = door.start(*waiting, options=["--name", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    same(read_line(p.stdout, "the program"), b"ready\n", "the program")
    unnamed = door.start(*waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    same(read_line(unnamed.stdout, "the program"), b"ready\n", "the program")
    check(told_of(door, name), "a run that has a name is not found")
    check(f"name      {unnamed.pid}\nprocess   {unnamed.pid} of" in told_of(door, str(unnamed.pid))[0], "a process number")
    check(f"name      {name}\nprocess   {p.pid} of" in told_of(door, str(p.pid))[0], "the process number of one that has a name")
    same(told_of(door, "1"), None, "the process number of no run")
    listed = re.findall(r"^name      (\S+)$", status_of(door)[1], re.M)
    check(name in listed and str(unnamed.pid) in listed, f"all runs: {listed}")
    same(listed, re.findall(r"^name      (\S+)$", status_of(door)[1], re.M), "all runs, again")
    same(door.run("touch", f"{door.tmp}/started", options=["--name", name]),
         (125, "", f"iommuse: the name '{name}' is taken: 'iommuse status {name}' says by what\n"), "a name that is taken")
    check(not os.path.exists(f"{door.tmp}/started"), "the program was started")
    for run in (p, unnamed):
        run.communicate(b"\n", timeout=HANG)
    door.expect_nothing_left(before)
    for victim in ("the launcher", "the supervisor", "both"):
        p = door.start(*waiting, options=["--name", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       stderr=subprocess.DEVNULL)
        same(read_line(p.stdout, "the program"), b"ready\n", "the program")
        pids = door.iommuse_processes()
        for pid in [pid for pid in pids if victim == "both" or (pid == p.pid) == (victim == "the launcher")]:
            os.kill(pid, 9)
        if victim == "the launcher":
            check(told_of(door, name), "a run without its launcher is not found")
        p.communicate(b"\n", timeout=HANG)
        door.expect_nothing_left(before)
        same(told_of(door, name), None, f"{victim} was killed")
        same(door.run("true", options=["--name", name]), (0, "", ""), f"the name, when {victim} was killed")
    for i in range(int(door.rounds(20, 300))):
        same(door.run("true", options=["--name", name]), (0, "", ""), f"the name, after {i} runs that had it")
    # What the program has of it: nothing.
    status, out, _ = door.run("sh", "-c", "ls -l /proc/self/fd /proc/$$/fd", options=["--name", name])
    check(status == 0 and "socket" not in out, f"descriptors of the program: {out}")
    wrong = [["status", "a", "b"], ["status", "--bogus"], ["status", "a/b"], ["run", "--name=", "--", "true"],
             ["run", "--name=a/b", "--", "true"], ["run", "--name=12", "--", "true"], ["run", f"--name={'a' * 65}", "--", "true"],
             ["run", "--pasid-bits=0", "--", "true"], ["run", "--pasid-bits=21", "--", "true"],
             ["run", "--pasid-quota=0", "--", "true"], ["run", "--pasid-quota=x", "--", "true"],
             ["run", "--pasid-quota=a=1", "--", "true"], ["run", "--pasid-quota=/a=x", "--", "true"],
             ["run", "--pasid-quota=/a=1", "--pasid-quota=/a/=2", "--", "true"]]
    for argv in wrong:
        status, out, err = door.run(door.iommuse, *argv, plain=True)
        same((status, out, len(err.splitlines())), (125, "", 1), f"{argv}: {err}")
        print(f"    ok {err.strip()}")
    door.expect_nothing_left(before)


def connected(uid, name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(f"\0iommuse/{uid}/{name}")  # waits until there is room
    s.settimeout(HANG)
    return s


def crowd_of_askers(door):
    """who asks and does not read, or hangs up, holds up neither who asks else nor a client, and costs nothing afterwards"""
    name = own_name(door, "crowd")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(1000, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
    try:
        with Server(door, options=["--name", name, "--device", "ioat"]) as server:
            server.ask("start", name="stalled", argv=[door.program("stalled"), "argument", "20"])
            line = server.ask("line", name="stalled")
            silent = [connected(os.geteuid(), name) for _ in range(count)]
            if line == "stalled\n":
                print("    ok while calls of a client wait for its memory")
            server.ask("kill", name="stalled")
            server.ask("wait", name="stalled")
            check(told_of(door, name), "who asks beside them is not told")
            server.client("once")
            server.expect_no_leak(f"{count} that do not read")
            same(len({s.recv(1 << 17) for s in silent}), 1, "what they are told at last")
            for s in silent:
                same(s.recv(1), b"", "after that")
                s.close()
            for _ in range(count):
                s = connected(os.geteuid(), name)
                s.close()
            s = connected(os.geteuid(), name)
            with contextlib.suppress(BrokenPipeError):  # it may have been told already
                s.send(b"x" * 1000)  # nobody reads that
            s.close()
            check(told_of(door, name), "after those that hung up")
            server.expect_no_leak(f"{count} that hung up")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(f"    ok {count} askers that do not read, {count} that hang up")


def asked_as(uid, *argv):
    become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    p = subprocess.run([*become, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=HANG)
    return p.returncode, p.stdout, p.stderr


ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("\\0" + sys.argv[1])
try:
    print(s.recv(1 << 17))
except ConnectionResetError:
    print(b"")
"""

IMPOSTOR = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind("\\0" + sys.argv[1])
s.listen()
print("ready", flush=True)
while True:
    try:
        s.accept()[0].send(b"name      false\\n")
    except OSError:
        pass
"""


def other_users(door):
    """a run of another user is told to root and to that user; nobody believes who has taken a name"""
    if not door.root:
        raise Skipped("only root is several users")
    if not shutil.which("setpriv"):
        raise Skipped("no setpriv")
    python = "/usr/bin/python3"
    if asked_as(65533, python, "-c", "0")[0]:
        raise Skipped("no python3 that an ordinary user can run")
    before = door.left_behind()
    os.chmod(door.tmp, 0o755)
    iommuse = f"{door.tmp}/tool"
    shutil.copy(door.iommuse, iommuse)
    other = 65533
    for uid in (65534, 65532):  # the first is who users of other namespaces seem to be
        name = own_name(door, f"of-{uid}")
        p = door.start("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", iommuse, "run",
                       f"--overlay={door.overlay}", "--name", name, "--", "sh", "-c", "echo ready; read line", plain=True, stdin=subprocess.PIPE,
                       stdout=subprocess.PIPE)
        line = read_line(p.stdout, "the program")
        if line != b"ready\n":
            raise Skipped("an ordinary user cannot run it here")
        own = asked_as(uid, iommuse, "status", name)
        check(own[0] == 0 and f"of user {uid}\n" in own[1], f"its user asks: {own}")
        same(status_of(door, name), own, "root asks")
        check(own[1] in status_of(door)[1], "root asks for all")
        same(asked_as(other, iommuse, "status", name)[0], 1, "another user asks")
        same(asked_as(other, python, "-c", ASK, f"iommuse/{uid}/{name}"), (0, "b''\n", ""), "another user asks by itself")
        p.communicate(b"\n", timeout=HANG)
        fake = own_name(door, f"fake-{uid}")
        impostor = door.start("setpriv", f"--reuid={other}", f"--regid={other}", "--clear-groups", python, "-c", IMPOSTOR,
                              f"iommuse/{uid}/{fake}", plain=True, stdout=subprocess.PIPE)
        same(read_line(impostor.stdout, "the impostor"), b"ready\n", "the impostor")
        same(asked_as(uid, iommuse, "run", "--name", fake, "--", "true")[0], 125, "a run by that name")
        refused = (1, "", f"iommuse: status: another user has taken the name of {fake}\n")
        same(asked_as(uid, iommuse, "status", fake), refused, "a name that another user has taken")
        same(status_of(door, fake), refused, "the same, for root")
        check("false" not in status_of(door)[1] and "taken" not in status_of(door)[2], "all runs, for root")
        # Below a run, that user is in a user namespace where the other one may look the same.
        inside = asked_as(uid, iommuse, "run", f"--overlay={door.overlay}", "--", iommuse, "status", fake)
        same(inside, refused, "a client asks")
        impostor.kill()
        impostor.wait()
        impostor.stdout.close()
    os.unlink(iommuse)
    os.chmod(door.tmp, 0o700)
    door.expect_nothing_left(before)


# Quotas.

def mount_of(kind, option):
    """(root, place) of a mount of a hierarchy."""
    for line in read_text("/proc/self/mountinfo").splitlines():
        words, _, rest = line.partition(" - ")
        if rest.split()[0] == kind and (not option or option in rest.split()[2].split(",")):
            return words.split()[3], words.split()[4]
    raise Skipped(f"no {option or 'unified hierarchy'} is mounted")


def own_cgroup():
    """(path, folder) of this process's, in the hierarchy that counts."""
    lines = [line.split(":", 2) for line in read_text("/proc/self/cgroup").splitlines()]
    unified = [path for _, names, path in lines if not names and (path != "/" or len(lines) == 1)]
    systemd = [path for _, names, path in lines if names == "name=systemd"]
    if not unified and not systemd:
        raise Skipped("neither a unified hierarchy nor systemd's")
    path = (unified or systemd)[0]
    root, place = mount_of("cgroup2", None) if unified else mount_of("cgroup", "name=systemd")
    if path != root and not path.startswith(root.rstrip("/") + "/"):
        raise Skipped(f"the cgroup {path} is not in what is mounted, {root}")
    return path, place + "/" + path[len(root.rstrip("/")):].lstrip("/")


class Cgroups:
    """Three, one in the other, below this process's. Others that run at the same time have their own."""

    def __init__(self, door):
        self.door = door
        path, folder = own_cgroup()
        top = f"iommuse-door-{os.getpid()}"
        self.home = folder
        self.folders = [f"{folder.rstrip('/')}/{top}{below}" for below in ("", "/b", "/b/c")]
        self.paths = [f"{path.rstrip('/')}/{top}{below}" for below in ("", "/b", "/b/c")]

    def __enter__(self):
        try:
            for folder in self.folders:
                os.mkdir(folder)
        except OSError as e:
            self.__exit__()
            raise Skipped(f"no cgroup can be made: {e}")
        return self

    def __exit__(self, kind=None, *_):
        if kind:
            self.door.kill_everything()
        for folder in reversed(self.folders):
            if os.path.isdir(folder):
                await_that(lambda f=folder: not read_text(f"{f}/cgroup.procs"), f"{folder} has processes")
                os.rmdir(folder)


def cgroup_lines(paths, *rows):
    return "\n  current   maximum   refused  cgroup\n" + "".join(
        f"{current:9} {most:9} {refused:9}  {path}\n" for path, (current, most, refused) in zip(paths, rows))


def nested_quotas(door):
    """quotas of cgroups three deep: each counts what is in it and below, and says how often it refused"""
    if not door.root:
        raise Skipped("only root makes cgroups")
    name = own_name(door, "nested")
    with Cgroups(door) as cgroups:
        # The second one by its folder, and in no order.
        options = ["--name", name, f"--pasid-quota={cgroups.paths[2]}=3", f"--pasid-quota={cgroups.paths[0]}/=10",
                   f"--pasid-quota={cgroups.folders[1]}=6"]
        shown = [cgroups.paths[i] for i in (2, 0, 1)]
        with Server(door, options=options) as server:
            def expect(*rows):
                text = told_of(door, name)[0]
                check(text.endswith(cgroup_lines(shown, *rows)), f"{cgroup_lines(shown, *rows)} is not in {text}")

            expect((0, 3, 0), (0, 10, 0), (0, 6, 0))
            owners = [Owner(server, what) for what in ("a", "b", "c", "free")]
            a, b, c, free = owners
            for owner, folder in zip(owners, cgroups.folders):
                owner.expect(f"enter {folder}", "0")
            for owner in owners:
                owner.expect("open", "0")
            c.expect("alloc 5", f"3 -{EAGAIN}")
            expect((3, 3, 1), (3, 10, 0), (3, 6, 0))
            b.expect("alloc 10", f"3 -{EAGAIN}")
            expect((3, 3, 1), (6, 10, 0), (6, 6, 1))
            a.expect("alloc 10", f"4 -{EAGAIN}")
            expect((3, 3, 1), (10, 10, 1), (6, 6, 1))
            free.expect("alloc 20", "20 30")
            expect((3, 3, 1), (10, 10, 1), (6, 6, 1))
            c.expect("free 3", "0")
            expect((2, 3, 1), (9, 10, 1), (5, 6, 1))
            b.expect("alloc 1", "1 3")
            c.expect("alloc 1", f"0 -{EAGAIN}")  # it has room, and b has none
            expect((2, 3, 1), (10, 10, 1), (6, 6, 2))
            # What was charged stays where it was; what comes is charged where the process is by then.
            c.expect(f"enter {cgroups.home}", "0")
            c.expect("alloc 1", "1 31")
            free.expect(f"enter {cgroups.folders[2]}", "0")
            free.expect("alloc 1", f"0 -{EAGAIN}")
            expect((2, 3, 1), (10, 10, 1), (6, 6, 3))
            c.end(kill=True)
            await_that(lambda: told_of(door, name)[0].endswith(cgroup_lines(shown, (0, 3, 1), (8, 10, 1), (4, 6, 3))),
                       lambda: f"after c was killed: {told_of(door, name)[0]}")
            free.expect("alloc 3", f"2 -{EAGAIN}")  # b
            expect((2, 3, 1), (10, 10, 1), (6, 6, 4))
            for owner in (a, b, free):
                owner.end()
            # For a program in a cgroup namespace its cgroup is "/"; for us it is where it is.
            inside = ["sh", "-c", f'echo $$ >{cgroups.folders[2]}/cgroup.procs; exec unshare --cgroup "$0"']
            if shutil.which("unshare") and door.run("unshare", "--cgroup", "true", plain=True)[0] == 0:
                d = Owner(server, "d", inside)
                d.expect("open", "0")
                d.expect("alloc 1", "1 1")
                expect((1, 3, 1), (1, 10, 1), (1, 6, 4))
                d.end()
            else:
                print("    skip a cgroup namespace: it is refused here")
            await_that(lambda: told_of(door, name)[0].endswith(cgroup_lines(shown, (0, 3, 1), (0, 10, 1), (0, 6, 4))),
                       lambda: f"at the end: {told_of(door, name)[0]}")
            server.expect_no_leak("quotas")


def quotas(door):
    """quotas of each process, and of a cgroup that all are in"""
    name = own_name(door, "quotas")
    path = own_cgroup()[0]
    options = ["--name", name, "--pasid-quota", "4", "--pasid-quota", f"{path}=6"]
    with Server(door, options=options) as server:
        one, two = sorted((Owner(server, "one"), Owner(server, "two")), key=lambda owner: owner.pid)
        for owner in (one, two):
            owner.expect("open", "0")
        one.expect("alloc 5", f"4 -{EAGAIN}")
        two.expect("alloc 4", f"2 -{EAGAIN}")
        same(told_of(door, name)[0], head(server, name, "6 of 1048575 in use (20 bits)")
             + "\nprocess    current   maximum   refused  program\n"
             + f"{one.pid:<9}        4         4         1  door-owner\n{two.pid:<9}        2         4         0  door-owner\n"
             + cgroup_lines([path], (6, 6, 1)), "figures")
        one.expect("close", "0")
        two.expect("alloc 4", f"2 -{EAGAIN}")
        two.end()
        one.end()
        server.expect_no_leak("quotas")
