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

from harness import Skipped, await_that, check, descendants, read_line, same

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
