# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the door stand on: what there is of iommuse before and after, and a server that starts clients below one.

Run as a program, it is the controller: a served process that starts clients on request.
"""
import ctypes
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

# Threads that are begun with the first bond and stay; those of an image, as many as were ever busy at once, up to a bound;
# and the kernel's own, for a ring of io_uring.
STAYING = ("iommuse-bonds\n", IMAGE_THREAD := "iommuse-image\n", "iou-wrk-")
IMAGE_THREADS = 8  # at most, for each image

HANG = 120  # seconds after which what does not end is said to hang
SETTLE = 20  # seconds that iommuse may take to let go of what a client had


def stays(comm):
    """Whether it is no thread that a client has to give back. Without a name: it has ended meanwhile."""
    return not comm or comm.startswith(STAYING)


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def check(good, what):
    if not good:
        raise Failed(what)


def same(got, want, what):
    if got != want:
        raise Failed(f"{what}: {got!r}, not {want!r}")


def read_text(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def links(folder):
    """What the links of a folder of /proc say."""
    found = []
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        try:
            found.append(os.readlink(f"{folder}/{name}"))
        except OSError:
            pass
    return found


def await_that(condition, what, seconds=SETTLE):
    """Polls until condition() returns something true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failed(what() if callable(what) else what)
        time.sleep(0.005)


# Processes. The harness is the reaper of its orphans, so nothing that it started can hide from it.

def become_subreaper():
    ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)


def stat_of(pid):
    """(name, state, parent) or None."""
    text = read_text(f"/proc/{pid}/stat")
    if ")" not in text:
        return None
    rest = text[text.rindex(")") + 2:].split()
    return text[text.index("(") + 1:text.rindex(")")], rest[0], int(rest[1])


def descendants():
    """{pid: (name, state)} of all processes below this one, zombies included."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = stat_of(entry)
            if stat:
                table[int(entry)] = stat
    found = {}
    grown = True
    while grown:
        grown = False
        for pid, (name, state, parent) in table.items():
            if pid not in found and (parent == os.getpid() or parent in found):
                found[pid] = (name, state)
                grown = True
    return found


def reap_orphans(known):
    """Reaps the dead children that no Popen object waits for."""
    for pid, (_, state) in descendants().items():
        if state == "Z" and pid not in known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass


class Door:
    """One way to run iommuse, and how the tests use it."""

    def __init__(self, args):
        self.iommuse = os.path.abspath(args.iommuse)
        self.programs = os.path.abspath(args.programs)
        self.overlay = args.overlay
        self.long = args.long
        self.root = os.geteuid() == 0
        self.popens = []
        self.tmp = tempfile.mkdtemp(prefix="door-")
        os.environ["TMPDIR"] = self.tmp
        # Where iommuse makes files of its own: in memory, and where no other run does.
        self.runtime = tempfile.mkdtemp(prefix="door-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        os.environ["XDG_RUNTIME_DIR"] = self.runtime

    def program(self, name):
        return f"{self.programs}/door-{name}"

    def command(self, *argv, options=()):
        return [self.iommuse, "run", f"--overlay={self.overlay}", *options, "--", *argv]

    def start(self, *argv, options=(), plain=False, **kw):
        p = subprocess.Popen(list(argv) if plain else self.command(*argv, options=options), **kw)
        self.popens.append(p)
        return p

    def run(self, *argv, options=(), plain=False, input=None, **kw):
        """(exit status, stdout, stderr), each a string."""
        p = self.start(*argv, options=options, plain=plain, stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", **kw)
        try:
            out, err = p.communicate(input, timeout=HANG)
        except subprocess.TimeoutExpired:
            raise Failed(f"hangs: {' '.join(argv)}")
        return p.returncode, out, err

    def rounds(self, short, long):
        return str(long if self.long else short)

    def iommuse_processes(self):
        """pids of the processes that are iommuse itself, oldest first."""
        target = os.path.realpath(self.iommuse)
        found = []
        for pid, (name, state) in descendants().items():
            try:
                if state != "Z" and os.readlink(f"/proc/{pid}/exe") == target:
                    found.append(pid)
            except OSError:
                pass
        return sorted(found)

    def left_behind(self):
        """What there is of iommuse outside of any run."""
        named = [e for folder in ("/tmp", "/dev/shm", "/run") for e in safe_list(folder)
                 if "iommuse" in e and not e.startswith(("iommuse-", ".iommuse-shadow-"))]
        named += [e for folder in (self.tmp, self.runtime) for e in safe_list(folder) if "iommuse" in e]
        made = [path for path in ("/dev/iommu", "/dev/vfio") if os.path.exists(path)]
        return {"mounts": len(read_text("/proc/self/mountinfo").splitlines()), "files": sorted(named), "nodes": made}

    def known(self):
        return {p.pid for p in self.popens}

    def nothing_runs(self):
        for p in self.popens:
            p.poll()
        reap_orphans({p.pid for p in self.popens if p.returncode is None})
        return not descendants()

    def expect_nothing_left(self, before):
        await_that(self.nothing_runs, lambda: f"processes are left: {describe_processes()}")
        self.popens.clear()
        same(self.left_behind(), before, "left behind")

    def kill_everything(self):
        while not self.nothing_runs():
            for pid in descendants():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.01)
        self.popens.clear()


def safe_list(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def describe_processes():
    return ", ".join(f"{pid} {name} ({state})" for pid, (name, state) in sorted(descendants().items()))


# A served process that starts clients on request, so that many of them meet one supervisor.

def controller():
    clients = {}
    for line in sys.stdin:
        request = json.loads(line)
        op, name = request["op"], request.get("name")
        answer = None
        if op == "start":
            clients[name] = subprocess.Popen(request["argv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=subprocess.STDOUT)
            answer = clients[name].pid
        elif op == "line":
            answer = clients[name].stdout.readline().decode(errors="replace")
        elif op == "write":
            clients[name].stdin.write(request["text"].encode())
            clients[name].stdin.flush()
        elif op == "kill":
            clients[name].kill()
        elif op == "wait":
            p = clients.pop(name)
            p.stdin.close()
            out = p.stdout.read().decode(errors="replace")
            answer = [p.wait(), out]
            p.stdout.close()
        print(json.dumps(answer), flush=True)


class Server:
    """A controller, and what iommuse has at its start. Further arguments are those of subprocess.Popen, for iommuse."""

    def __init__(self, door, **kw):
        self.door = door
        self.before = door.left_behind()
        self.process = door.start(sys.executable, os.path.abspath(__file__), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, **kw)

    def __enter__(self):
        # What iommuse makes once, for the first client or the first crowd of them, is no leak.
        self.client("once")
        self.client("threads", "own_contexts", "one_thread_wins_a_range", "--rounds", "50")
        self.client("faultq", "busy_until_closed", "--rounds", "20")
        await_that(lambda: not any(n for key, n in self.snapshot().items() if key.startswith("watches")),
                   lambda: f"files are watched and no client has one: {self.snapshot()}")
        self.baseline = self.steady_snapshot()
        self.kinds = self.kinds_of_descriptors()
        check(self.supervisor(), "no process of iommuse holds a seccomp listener")
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.process.stdin.close()
            try:
                status = self.process.wait(HANG)
            except subprocess.TimeoutExpired:
                raise Failed("iommuse does not end after its program")
            same(status, 0, "exit status of the controller")
            self.process.stdout.close()
            self.door.expect_nothing_left(self.before)

    def ask(self, op, **request):
        try:
            self.process.stdin.write((json.dumps({"op": op, **request}) + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed("the controller is gone")
        if not select.select([self.process.stdout], [], [], HANG)[0]:
            raise Failed(f"hangs: {op} {request}")
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the controller ended during {op} {request}")
        return json.loads(line)

    def run(self, *argv):
        """(status, output) of a client; a negative status is a signal."""
        self.ask("start", name="client", argv=list(argv))
        return self.ask("wait", name="client")

    def client(self, name, *arguments):
        """Runs a program of cases, which reports each."""
        status, out = self.run(self.door.program(name), *arguments)
        report(out)
        failures = [line[len("not ok "):] for line in out.splitlines() if line.startswith("not ok ")]
        check(not failures, "cases that failed: " + ", ".join(failures))
        check(status == 0, f"{name} ended with {status}: {out[-500:]}")

    def supervisor(self):
        for pid in self.door.iommuse_processes():
            if "anon_inode:seccomp notify" in links(f"/proc/{pid}/fd"):
                return pid
        return None

    def kinds_of_descriptors(self):
        kinds = {}
        for link in links(f"/proc/{self.supervisor()}/fd"):
            link = re.sub(r"\d+", "N", link)
            kinds[link] = kinds.get(link, 0) + 1
        return kinds

    def snapshot(self):
        state = {"processes": len(descendants()), **self.door.left_behind()}
        for i, pid in enumerate(self.door.iommuse_processes()):
            watches = 0
            for fd in safe_list(f"/proc/{pid}/fdinfo"):
                watches += len(re.findall("^inotify wd", read_text(f"/proc/{pid}/fdinfo/{fd}"), re.M))
            state[f"descriptors of process {i}"] = len(safe_list(f"/proc/{pid}/fd"))
            state[f"threads of process {i}"] = sum(
                not stays(read_text(f"/proc/{pid}/task/{tid}/comm")) for tid in safe_list(f"/proc/{pid}/task"))
            state[f"watches of process {i}"] = watches
            state[f"mounts of process {i}"] = len(read_text(f"/proc/{pid}/mountinfo").splitlines())
        return state

    def image_threads(self):
        """How many threads wait for what is done to images."""
        folder = f"/proc/{self.supervisor()}/task"
        return sum(read_text(f"{folder}/{tid}/comm") == IMAGE_THREAD for tid in safe_list(folder))

    def steady_snapshot(self):
        """One that is the same for a while: threads that were needed for a moment may be there a little longer."""
        last = {"now": None}

        def is_steady():
            before, last["now"] = last["now"], self.snapshot()
            time.sleep(0.2)
            return before == last["now"]

        await_that(is_steady, "what iommuse has goes on changing")
        return last["now"]

    def expect_no_leak(self, what):
        last = {}

        def settled():
            # Of these the baseline may have some that were needed for a moment: fewer are no leak.
            last["now"] = {key: max(n, self.baseline.get(key, n)) if key.startswith(("threads", "descriptors")) else n
                           for key, n in self.snapshot().items()}
            return last["now"] == self.baseline

        def explain():
            kinds = self.kinds_of_descriptors()
            differences = ", ".join(f"{key} {last['now'].get(key)}, not {self.baseline.get(key)}"
                                    for key in sorted({*last["now"], *self.baseline})
                                    if last["now"].get(key) != self.baseline.get(key))
            more = ", ".join(f"{count} {link}" for link, count in sorted(kinds.items()) if count > self.kinds.get(link, 0))
            return f"{what} leaves behind: {differences}; descriptors: {more}; {describe_processes()}"

        try:
            await_that(settled, explain, 2)
        except Failed:  # perhaps it looks at what it has only when something happens
            self.run(self.door.program("once"))
            await_that(settled, explain)


def cases(name, short, long, options=()):
    """A test that runs a program of cases."""
    def test(door):
        with Server(door, options=options) as server:
            server.client(name, "--rounds", door.rounds(short, long))
            server.expect_no_leak(name)
    return test


def read_line(pipe, what):
    if not select.select([pipe], [], [], HANG)[0]:
        raise Failed(f"hangs: {what}")
    return pipe.readline()


def report(text):
    for line in text.splitlines():
        print("    " + line, flush=True)


if __name__ == "__main__":
    controller()
