# SPDX-License-Identifier: BSD-3-Clause
"""The tests of the door that have an NVMe controller, which the tools of QEMU drive, unmodified."""
import contextlib
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from harness import Server, Skipped, await_that, check, descendants, read_line, same

DISK = "nvme://0000:01:00.0/1"
MIB = 1 << 20


def need_tools():
    for tool in ("qemu-img", "qemu-io"):
        if not shutil.which(tool):
            raise Skipped(f"no {tool} (package qemu-utils)")


def device(path, *more):
    return ["--memlock=off", "--device=" + ",".join(["nvme", f"image={path}", *more])]


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
            hashlib.sha256(f.read()).hexdigest()


def random_file(path, size):
    with open(path, "wb") as f:
        for _ in range(0, size, MIB):
            f.write(random.randbytes(MIB))


def succeed(door, options, *argv):
    status, out, err = door.run(*argv, options=options)
    check(status == 0, f"{' '.join(argv)}: {status}: {out[-500:]} {err[-500:]}")
    return out


def convert(door):
    """an image goes to the disk and comes back, byte by byte, by either way of I/O"""
    need_tools()
    before = door.left_behind()
    there, disk, back = (f"{door.tmp}/{name}" for name in ("there", "disk", "back"))
    random_file(there, 256 * MIB)
    wanted = digest(there)
    for way, pin, block in (("auto", "follow", 512), ("threads", "share", 4096)):
        options = [f"--pin={pin}", *device(disk, "size=256M", f"aio={way}", f"block={block}")]
        start = time.monotonic()
        succeed(door, options, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", there, DISK)
        middle = time.monotonic()
        same(digest(disk), wanted, f"the image that was written, {way}")
        succeed(door, options, "qemu-img", "convert", "-f", "raw", "-O", "raw", DISK, back)
        same(digest(back), wanted, f"the image that was read, {way}")
        print(f"    ok {way}, {pin}: 256 MiB there in {middle - start:.1f} s, back in {time.monotonic() - middle:.1f} s")
        os.unlink(disk)
    for path in (there, back):
        os.unlink(path)
    door.expect_nothing_left(before)


def patterns(door):
    """patterns at odd places and of odd sizes are found again, and nothing else has changed"""
    need_tools()
    before = door.left_behind()
    disk = f"{door.tmp}/disk"
    random_file(disk, 8 * MIB)
    wanted = bytearray(pathlib.Path(disk).read_bytes())
    for block in (512, 4096):
        commands = []
        for i in range(100):
            size = random.choice((1, 511, 512, 513, 4096, 5000, 65536, 131072, 300001))
            at = random.randrange(len(wanted) - size)
            if i % 10 == 9:
                at -= at % 4096
                size += -size % 4096
                size = min(size, len(wanted) - at)
                commands.append(("write -z " if i % 20 == 9 else "discard ") + f"{at} {size}")
                wanted[at:at + size] = bytes(size)
            else:
                commands.append(f"write -P {i % 255 + 1} {at} {size}")
                wanted[at:at + size] = bytes([i % 255 + 1]) * size
            commands.append(f"read -P {wanted[at]} {at} {size}")
        commands += ["flush", "write -f -P 7 1000 5000"]
        wanted[1000:6000] = bytes([7]) * 5000
        argv = [word for command in commands for word in ("-c", command)]
        out = succeed(door, device(disk, f"block={block}"), "qemu-io", "-f", "raw", "-d", "unmap", "-t", "none", *argv, DISK)
        check("Pattern verification failed" not in out, f"finds something else: {out[-500:]}")
        check(pathlib.Path(disk).read_bytes() == wanted, f"the image does not hold what was written, block={block}")
    print("    ok patterns")
    os.unlink(disk)
    door.expect_nothing_left(before)


def refusals(door):
    """what cannot be an image is refused, and a disk that is read-only is not written"""
    need_tools()
    before = door.left_behind()
    disk = f"{door.tmp}/disk"
    for options, why in ((f"nvme,image={disk}", "it is made where size= is given"), ("nvme", "it needs image=FILE"),
                         (f"nvme,image={door.tmp}", "neither a file nor a block device"),
                         (f"nvme,image={disk},size=1G,readonly", "No such file"),
                         (f"nvme,image={disk},size=1G,readonly=1", "takes no value"),
                         (f"nvme,image={disk},size", "is not KEY=VALUE")):
        status, out, err = door.run("true", options=[f"--device={options}"])
        same((status, out), (125, ""), options)
        check(why in err, f"says {err!r}, and not {why!r}")
    check(not os.path.exists(disk), "makes an image and refuses it")
    random_file(disk, MIB)
    status, out, err = door.run("true", options=device(disk) + device(disk))
    same((status, out), (125, ""), "one image of two devices")
    check("another device uses it" in err, f"says {err!r}")
    os.chmod(disk, 0o444)
    wanted = digest(disk)
    succeed(door, device(disk, "readonly") + device(disk, "readonly"), "qemu-img", "compare", "-f", "raw", "-F", "raw",
            DISK, "nvme://0000:02:00.0/1")
    status, out, err = door.run("qemu-io", "-f", "raw", "-c", "write -P 1 0 4096", DISK, options=device(disk, "readonly"))
    check("write failed" in out, f"writes to a disk that is read-only: {out} {err}")
    same(digest(disk), wanted, "the image that is read-only")
    print("    ok refusals")
    os.unlink(disk)
    door.expect_nothing_left(before)


# Descriptors are closed in their order when a process ends: that of the image is the last.
HOLD = """import fcntl, os, sys, time
image = fcntl.fcntl(os.open(sys.argv[1], os.O_RDWR), fcntl.F_DUPFD, 100)
fcntl.flock(image, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(1000)
"""


def start_holder(disk, *fds):
    """A process that has a lock of the disk, and inherits descriptors."""
    p = subprocess.Popen([sys.executable, "-c", HOLD, disk], stdout=subprocess.PIPE, text=True, pass_fds=fds)
    same(read_line(p.stdout, "who locks the image"), "locked\n", "who locks the image")
    return p


def locked(door):
    """an image that a process has locked is refused, and waited for where the process is about to end"""
    before = door.left_behind()
    disk = f"{door.tmp}/disk"
    random_file(disk, MIB)
    p = start_holder(disk)
    status, out, err = door.run("true", options=device(disk))
    same((status, out), (125, ""), "an image that is locked")
    check(f"image={disk}: process {p.pid} uses it" in err, f"says {err!r}")
    p.kill()
    # Nobody waits for its end.
    same(door.run("true", options=device(disk))[0], 0, "an image whose process was just killed")
    p.wait()
    p.stdout.close()
    print("    ok locked")
    if not door.root:
        os.unlink(disk)
        door.expect_nothing_left(before)
        raise Skipped("only root mounts, for a process that cannot end")
    folder = f"{door.tmp}/locked"
    os.mkdir(folder)
    file_server = door.start(door.program("silent"), "serve", folder, plain=True, stdout=subprocess.PIPE, text=True)
    line = read_line(file_server.stdout, "the file server")
    if line.startswith("skip"):
        raise Skipped(line[len("skip: "):].strip())
    fd = os.open(f"{folder}/file", os.O_RDONLY)
    end = threading.Timer(1.5, file_server.kill)
    try:
        p = start_holder(disk, fd)
        p.kill()  # it cannot close what it has inherited before the file server ends
        end.start()
        same(door.run("true", options=device(disk))[0], 0, "an image whose process ends late")
        file_server.wait()
        p.wait()
        p.stdout.close()
        print("    ok waited for")
    finally:
        end.cancel()
        file_server.kill()
        with contextlib.suppress(OSError):
            os.close(fd)
        subprocess.run(["umount", "-l", folder], check=False)
        file_server.wait()
        file_server.stdout.close()
    os.rmdir(folder)
    os.unlink(disk)
    door.expect_nothing_left(before)


def killed(door):
    """the driver or iommuse is killed while it writes: what was flushed is there, and the next one starts"""
    need_tools()
    disk = f"{door.tmp}/disk"
    for name in ("qemu-io", "iommuse"):
        random_file(disk, 16 * MIB)
        # Flushes after each write; then endless ones to another place.
        rounds = [word for i in range(1, 5000) for word in ("-c", f"write -P {i % 255 + 1} 8M 64k")]
        p = door.start("qemu-io", "-f", "raw", "-c", "write -f -P 99 1M 1M", "-c", "flush", *rounds, DISK,
                       options=device(disk), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(20):
            check(p.stdout.readline(), "qemu-io ends")
        killed_ones = door.iommuse_processes() if name == "iommuse" else \
            [pid for pid, (comm, _) in descendants().items() if comm == name]
        check(killed_ones, f"no {name} runs")
        for pid in killed_ones:
            os.kill(pid, signal.SIGKILL)
        door.kill_everything()
        p.stdout.close()
        p.wait()
        data = pathlib.Path(disk).read_bytes()
        same(data[MIB:2 * MIB], bytes([99]) * MIB, f"what was flushed before {name} was killed")
        for at in range(8 * MIB, 8 * MIB + 65536, 512):
            check(len(set(data[at:at + 512])) <= 1, f"a torn block at {at}")
        out = succeed(door, device(disk), "qemu-io", "-f", "raw", "-c", "read -P 99 1M 1M", "-c", "write -P 3 0 1M", DISK)
        check("Pattern verification failed" not in out, "reads something else afterwards")
        await_that(door.nothing_runs, lambda: "processes are left")
        print(f"    ok {name} is killed")
    os.unlink(disk)


NBD = "nbd+unix:///disk?socket="


def say_all(server, *argv, ends=0):
    status, out = server.run(*argv)
    check(ends is None or status == ends, f"{' '.join(argv)}: {status}: {out[-500:]}")
    return out


def io(server, disk, *commands, cache="writeback", form="raw", ends=0):
    out = say_all(server, "qemu-io", "-f", form, "-d", "unmap", "-t", cache, *[word for c in commands for word in ("-c", c)], disk,
                  ends=ends)
    check("verification failed" not in out, f"finds something else: {out}")
    return out


def refuses_what_is_not_there(server):
    for namespace in (0, 2, 0xffffffff):
        out = say_all(server, "qemu-img", "info", f"nvme://0000:01:00.0/{namespace}", ends=1)
        check("namespace" in out, f"namespace {namespace}: {out}")
    say_all(server, "qemu-img", "info", "nvme://0000:01:00.1/1", ends=1)
    for size in ("32M", "128M"):
        out = say_all(server, "qemu-img", "resize", "-f", "raw", "--shrink", DISK, size, ends=1)
        check("Cannot resize" in out, out)
    for command in ("write 64M 1", "read 67108863 2", "aio_write 63M 2M"):
        out = say_all(server, "qemu-io", "-f", "raw", "-c", command, "-c", "aio_flush", DISK, ends=None)
        check("wrote" not in out and "bytes, 1 ops" not in out, f"{command}: {out}")


def writes_in_all_ways(server, disk):
    wanted = bytearray(pathlib.Path(disk).read_bytes())

    def put(command, at, data):
        wanted[at:at + len(data)] = data
        return command

    for cache in ("writeback", "writethrough", "none", "directsync"):
        io(server, DISK, put("write -P 7 1 1", 1, b"\7"), f"read -P {wanted[0]} 0 1", "read -P 7 1 1", f"read -P {wanted[2]} 2 1",
           put("write -P 8 5000001 3M", 5000001, b"\x08" * (3 * MIB)), "read -P 8 5000001 3M",
           put("write -z 6M 1M", 6 * MIB, bytes(MIB)), put("write -z -u 7M 4k", 7 * MIB, bytes(4096)),
           put("write -z 7345000 3", 7345000, bytes(3)), put("discard 1M 1M", MIB, bytes(MIB)), "read -P 0 1M 1M",
           put("writev -P 5 20M 1 511 4096 7 100000", 20 * MIB, b"\5" * 104615), "readv -P 5 20M 100000 511 4104",
           put("aio_write -P 3 10M 1M", 10 * MIB, b"\3" * MIB), put("aio_write -f -P 4 11534337 65536", 11534337, b"\4" * 65536),
           put("aio_write -z 12M 1M", 12 * MIB, bytes(MIB)), "aio_flush", "aio_read -P 3 10M 1M", "aio_read -P 4 11534337 65536",
           "aio_flush", "flush", cache=cache)
        check(pathlib.Path(disk).read_bytes() == wanted, f"the image does not hold what was written, {cache}")
        io(server, DISK, "write -z -u 0 64M", "read -P 0 0 64M", cache=cache)
        wanted = bytearray(len(wanted))
    print("    ok qemu-io")


def copies_in_all_ways(server, disk, there, back):
    wanted = digest(there)
    for options in (["-t", "none", "-T", "none"], ["-t", "directsync"], ["-W", "-m", "16"], ["-S", "0", "-r", "1G"]):
        say_all(server, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", *options, there, DISK)
        same(digest(disk), wanted, f"the image after convert {options}")
        io(server, DISK, "write -z 0 64M")
    say_all(server, "qemu-img", "dd", "-f", "raw", "-O", "raw", f"if={there}", f"of={DISK}", "bs=1M")
    say_all(server, "qemu-img", "compare", "-f", "raw", "-F", "raw", there, DISK)
    say_all(server, "qemu-img", "dd", "-f", "raw", "-O", "raw", f"if={DISK}", f"of={back}", "bs=65536")
    same(digest(back), wanted, "what dd reads")
    out = say_all(server, "qemu-img", "bench", "-f", "raw", "-w", "-t", "none", "-c", "1000", "-d", "32", "--flush-interval=64", DISK)
    check("Run completed" in out, out)
    print("    ok qemu-img")


def holds_an_image_of_qemu(server):
    say_all(server, "qemu-img", "create", "-q", "-f", "qcow2", DISK, "48M")
    io(server, DISK, "write -P 1 0 1M", "write -P 2 20M 64k", form="qcow2")
    say_all(server, "qemu-img", "snapshot", "-c", "one", DISK)
    io(server, DISK, "write -P 3 0 1M", "discard 20M 64k", form="qcow2")
    say_all(server, "qemu-img", "check", "-f", "qcow2", DISK)
    say_all(server, "qemu-img", "snapshot", "-a", "one", DISK)
    io(server, DISK, "read -P 1 0 1M", "read -P 2 20M 64k", "read -P 0 2M 1M", form="qcow2")
    out = say_all(server, "qemu-img", "map", "-f", "qcow2", DISK)
    check(DISK in out, f"map: {out}")
    print("    ok an image of QEMU's on the disk")


def is_exported(server, there, socket, *argv):
    """Others reach the disk by way of a process that has it, and that is killed."""
    server.ask("start", name="export", argv=list(argv))
    await_that(lambda: os.path.exists(socket), f"{argv[0]} makes no socket")
    # It listens before it has the disk to show.
    await_that(lambda: server.run("qemu-img", "info", NBD + socket)[0] == 0, f"{argv[0]} does not show the disk")
    say_all(server, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", there, NBD + socket)
    say_all(server, "qemu-img", "compare", "-f", "raw", "-F", "raw", there, NBD + socket)
    io(server, NBD + socket, "write -P 9 1M 1", "read -P 9 1M 1", "discard 2M 1M", "read -P 0 2M 1M", "flush")
    server.ask("kill", name="export")
    status, out = server.ask("wait", name="export")
    same(status, -signal.SIGKILL, f"{argv[0]}, which says {out}")
    os.unlink(socket)
    io(server, DISK, "read -P 9 1M 1", "read -P 0 2M 1M", "write -z 0 64M")
    print(f"    ok {argv[0]}")


def tools(door):
    """QEMU's tools do with the disk what they do with others, one after another below one iommuse"""
    need_tools()
    disk, there, back, socket = (f"{door.tmp}/{name}" for name in ("disk", "there", "back", "socket"))
    random_file(there, 64 * MIB)
    random_file(disk, 64 * MIB)
    with Server(door, options=device(disk)) as server:
        refuses_what_is_not_there(server)
        writes_in_all_ways(server, disk)
        copies_in_all_ways(server, disk, there, back)
        holds_an_image_of_qemu(server)
        is_exported(server, there, socket, "qemu-nbd", "-f", "raw", "-t", "-x", "disk", "--discard=unmap", "-k", socket, DISK)
        is_exported(server, there, socket, "qemu-storage-daemon", "--blockdev",
                    "driver=nvme,node-name=disk,device=0000:01:00.0,namespace=1,discard=unmap", "--nbd-server",
                    f"addr.type=unix,addr.path={socket}", "--export", "type=nbd,id=export,node-name=disk,name=disk,writable=on")
        server.expect_no_leak("tools")
    for path in (disk, there, back):
        os.unlink(path)


TESTS = {
    "nvme-convert": convert,
    "nvme-patterns": patterns,
    "nvme-refusals": refusals,
    "nvme-locked": locked,
    "nvme-killed": killed,
    "nvme-tools": tools,
}
