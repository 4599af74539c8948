# SPDX-License-Identifier: BSD-3-Clause
"""The tests of the door that have devices."""
import os
import pathlib
import re
import re
import shutil
import signal
import subprocess
import threading
import time
import zlib

from harness import Server, Skipped, check, read_line, report, same, same


def devfile(door):
    """descriptors of devices"""
    model = f"--device={door.programs}/door-model.so"
    with Server(door, options=[model, model]) as server:
        server.client("devfile", "--rounds", door.rounds(100, 1000))
        server.expect_no_leak("devfile")


def model(door):
    """the example of a model, its driver, and what the model says"""
    before = door.left_behind()
    device = f"{door.programs}/door-checksum.so"
    path = f"{door.tmp}/file"
    for size in (0, 1, 65536, 1000003):
        data = os.urandom(size)
        pathlib.Path(path).write_bytes(data)
        for options in ([f"--device={device}"], [f"--device={device},chunk=999", "--pin=share"]):
            status, out, err = door.run(door.program("sum_file"), path, options=options)
            same((status, out), (0, f"{zlib.adler32(data):08x} {path}\nnothing is at 0\n"), f"{size} bytes with {options}")
            check(re.fullmatch(r"iommuse: 0000:01:00.0: DMA read of 1 byte from IOVA 0x0 blocked: [^\n]*\n", err), f"says {err!r}")
    for options, why in ((f"{device},chunk=0", "checksum: chunk is from 1 to 65536"),
                         (f"{device},chink=1", 'checksum has no key "chink"; it has addr, group, chunk'),
                         (door.program("sum_file"), "cannot load a model: ")):
        status, out, err = door.run("true", options=[f"--device={options}"])
        same((status, out), (125, ""), options)
        check(why in err, f"says {err!r}")
    door.expect_nothing_left(before)


def examples(door):
    """the program of the demo: what it says with a test device, and without"""
    before = door.left_behind()
    program = door.program("test_device")
    told = []
    for options in (["--pin=follow"], ["--pin=share"], ["--verbose"]):
        status, out, err = door.run(program, options=["--selftest", *options])
        same(status, 0, f"exit status with {options}: {out}{err}")
        told.append(out)
    same(told, told[:1] * 3, "what it says with --pin=follow, --pin=share, --verbose")
    for line in ("read fault=5 -> 40 device=3 perm=WRITE addr=0x2010000 grpid=0 cookie=1",
                 "write fault=5 cookie=1 code=SUCCESS -> 8", "device 3 is attached to hwpt 6"):
        check(f"/dev/iommu(3) {line}\n" in err, f"--verbose does not say {line!r}: {err}")
    status, out, err = door.run(program)
    same((status, out.splitlines()[-1].endswith("there is no test device")), (1, True), "without --selftest")
    door.expect_nothing_left(before)


# What the examples of drivers of dmax say, and what is said of the mistakes that they make on purpose.
TWO_SPACES = (
    'queue 0, PASID 1: 0x100260 holds "this is address space 0"\n'
    'queue 1, PASID 2: 0x100260 holds "this is address space 1"\n'
    "queue 2, PASID 3: halted, its ring cannot be read\n")
BY_POINTER = (
    'the device has PASID 1, and copied by pointer: "carried by a device, from pointer to pointer"\n'
    "the device cannot write to a constant either, and reports a page fault\n")
NOT_ATTACHED = (
    r"iommuse: 0000:01:00.0 PASID 3: DMA read of 64 bytes from IOVA 0x100000 blocked: "
    r"the PASID is not attached to an IOAS\n")
# A process that has ended by the time that it is told of has no name any more.
NOT_WRITABLE = (
    r"iommuse: 0000:01:00.0 PASID 1 of process \d+(?: \([^)]*\))?: DMA write of 45 bytes to address 0x[0-9a-f]+ blocked: "
    r"the process has no such memory, or may not access it so\n")
MEASURED = (
    r"blocks of 1 MiB: device [\d.]+ GB/s, process_vm_readv and process_vm_writev [\d.]+ GB/s, ratio \d+ %\n")


def dmax(door):
    """the examples of drivers with PASIDs: address spaces of their own, and a process's"""
    before = door.left_behind()
    for options in (["--device=dmax"], ["--device=dmax,queues=8", "--pin=share"]):
        status, out, err = door.run(door.program("two_spaces"), options=options)
        same((status, out), (0, TWO_SPACES), f"two_spaces with {options}")
        check(re.fullmatch(NOT_ATTACHED, err), f"says {err!r}")
        status, out, err = door.run(door.program("copy_by_pointer"), options=options)
        same((status, out), (0, BY_POINTER), f"copy_by_pointer with {options}")
        check(re.fullmatch(NOT_WRITABLE, err), f"says {err!r}")
    status, out, err = door.run(door.program("copy_by_pointer"), "--measure", "0000:02:00.0",
                                options=["--device=ioat", "--device=dmax"])
    same(status, 0, f"copy_by_pointer --measure: {err}")
    check(out.startswith(BY_POINTER) and re.fullmatch(MEASURED, out[len(BY_POINTER):]), f"says {out!r}")
    # This one goes on for long after its mistake, so it has a name.
    check(re.search(r"PASID 1 of process \d+ \(door-copy_by_po\): DMA write of 45 bytes", err), f"says {err!r}")
    status, out, err = door.run(door.program("copy_by_pointer"), options=["--device=ioat"])
    same((status, out), (1, ""), "another device")
    check("No such device" in err or "Invalid argument" in err, f"says {err!r}")
    door.expect_nothing_left(before)


def devices(door):
    """a driver over VFIO, by each of four ways to a device"""
    with Server(door, options=["--device", "ioat"]) as server:
        for variant, way in enumerate(("type 1", "type 1 version 2", "an iommufd as container", "a node of its own")):
            print(f"    {way}:")
            server.client("vfio", "--variant", str(variant), "--rounds", door.rounds(50, 1000))
        server.expect_no_leak("devices")


def stuck(door):
    """a device whose DMA waits for memory that nobody serves, and that is closed, keeps nobody else waiting"""
    if not door.root:
        raise Skipped("only root mounts")
    before = door.left_behind()
    folder = f"{door.tmp}/stuck"
    os.mkdir(folder)
    file_server = door.start(door.program("silent"), "serve", folder, "once", plain=True, stdout=subprocess.PIPE,
                             text=True)
    line = file_server.stdout.readline()
    if line.startswith("skip"):
        raise Skipped(line[len("skip: "):].strip())
    try:
        p = door.start(door.program("vfio_stuck"), f"{folder}/file", options=["--device", "ioat", "--device", "ioat"],
                       stdin=subprocess.PIPE)
        try:
            status = p.wait(30)
        except subprocess.TimeoutExpired:
            status = "none, after 30 s"
    finally:
        file_server.kill()
        subprocess.run(["umount", "-l", folder], check=False)
        file_server.wait()
        file_server.stdout.close()
    p.stdin.close()
    same(status, 0, "exit status while the device waits")
    door.expect_nothing_left(before)


# What is said of each mistake of door-vfio_wrong, in its order. In expressions, as processes and times are not known.
WRONG = [
    r"DMA read of 100 bytes from IOVA 0x40000000 blocked: nothing is mapped there; nearest map: "
    r"\[0x30000000, 0x3000ffff\] over 255 MiB before",
    r"DMA write of 100 bytes to IOVA 0x20011000 blocked: nothing is mapped there; nearest maps: "
    r"\[0x20000000, 0x2000ffff\] 4 KiB before, \[0x30000000, 0x3000ffff\] over 255 MiB after",
    r"DMA read of 60 bytes from IOVA 0x20010000 blocked: nothing is mapped there; nearest maps: "
    r"\[0x20000000, 0x2000ffff\] directly before, \[0x30000000, 0x3000ffff\] over 255 MiB after",
    r"DMA write of 100 bytes to IOVA 0x20000000 blocked: it is mapped read-only; the map is "
    r"\[0x20000000, 0x2000ffff\]",
    r"DMA read of 100 bytes from IOVA 0x40000010 blocked: nothing is mapped there; nearest map: "
    r"\[0x30000000, 0x3000ffff\] over 255 MiB before; it was mapped until [\d.]+ (us|ms|s) ago "
    r"\(unmapped by process \d+\)",
    r"DMA read of 100 bytes from IOVA 0x50000000 blocked: the program has unmapped the memory behind it; the map is "
    r"\[0x50000000, 0x5000ffff\]",
    # The engine asks for its descriptor, and then writes that it has halted.
    r"DMA read of 64 bytes from IOVA 0x10000000 blocked: bus mastering is off in the PCI command register",
    r"DMA write of 8 bytes to IOVA 0x10001000 blocked: bus mastering is off in the PCI command register",
    r"DMA read of 64 bytes from IOVA 0x10000000 blocked: the device is not attached to an IOAS; it was attached to "
    r"ioas \d+ until [\d.]+ (us|ms|s) ago",
    r"DMA write of 8 bytes to IOVA 0x10001000 blocked: the device is not attached to an IOAS; it was attached to "
    r"ioas \d+ until [\d.]+ (us|ms|s) ago",
]


def wrong_dma(door):
    """each wrong DMA is told in one line, and a burst of them in a few"""
    before = door.left_behind()
    device = ["--device", "ioat"]
    for way, said in enumerate((WRONG[:-2], WRONG[:-2], WRONG[:-2], WRONG)):
        status, out, err = door.run(door.program("vfio_wrong"), str(way), options=device)
        same((status, out), (0, ""), "vfio_wrong: exit status and output")
        lines = [line for line in err.splitlines() if line.startswith("iommuse: 0000:01:00.0: ")]
        same(len(lines), len(said), f"lines: {err}")
        for line, expression in zip(lines, said):
            check(re.fullmatch("iommuse: 0000:01:00.0: " + expression, line), f"says {line!r}, and not {expression!r}")
    status, out, err = door.run(door.program("vfio_wrong"), "3", options=[*device, "--verbose"])
    for line in ("VFIO_DEVICE_GET_REGION_INFO index=CONFIG -> 0", "VFIO_DEVICE_ATTACH_IOMMUFD_PT argsz=12 -> 0 pt=",
                 "0000:01:00.0 DMA read iova=0x40000000 length=100 bytes -> NOT_MAPPED ioas="):
        check(line in err, f"--verbose does not say {line!r}: {err}")
    status, out, err = door.run(door.program("vfio_wrong"), "3", "500", options=device)
    same((status, out), (0, ""), "a burst: exit status and output")
    counted = re.findall(r"^iommuse: 0000:01:00.0: \.\.\. and (\d+) more \(nothing is mapped there\)", err, re.M)
    shown = len(re.findall(r"^iommuse: 0000:01:00.0: DMA read of 100 bytes", err, re.M))
    same(shown + sum(map(int, counted)), 500, f"faults that were told: {err}")
    door.expect_nothing_left(before)


def stall(server, file_server, path, variant):
    """Starts a driver whose device waits for the file server."""
    server.ask("start", name="stalled", argv=[server.door.program("vfio_stalled"), path, str(variant)])
    same(server.ask("line", name="stalled"), "ready\n", "the driver")
    file_server.send_signal(signal.SIGUSR1)
    server.ask("write", name="stalled", text="x")
    same(read_line(file_server.stdout, "the file server"), "read\n", "the file server")


def devices_stalled(door):
    """a device that waits for its driver's memory holds up nobody else, also when the driver ends"""
    if not door.root:
        raise Skipped("only root mounts")
    folder = f"{door.tmp}/stalled"
    os.mkdir(folder)
    for variant, end in enumerate(("kill", "exit", "answer")):
        file_server = door.start(door.program("silent"), "serve", folder, plain=True, stdout=subprocess.PIPE, text=True)
        line = read_line(file_server.stdout, "the file server")
        if line.startswith("skip"):
            raise Skipped(line[len("skip: "):].strip())
        try:
            with Server(door, options=["--device", "ioat", "--device", "ioat"]) as server:
                label = f"stalled, {end}"
                print(f"    {label}:")
                stall(server, file_server, f"{folder}/file", variant)
                server.client("once")
                server.client("vfio", "copies", "interrupts", "outlives_container", "--variant", str(4 + variant % 4))
                if end == "answer":
                    file_server.kill()
                if end == "kill":
                    server.ask("kill", name="stalled")
                status, out = server.ask("wait", name="stalled")
                same((status, out), (-9 if end == "kill" else 0, ""), label)
                server.client("once")
                server.client("vfio", "copies", "closed_in_every_order", "--variant", str(4 + variant % 4))
                file_server.kill()
                file_server.wait()
                server.baseline["processes"] -= 1
                server.client("vfio", "copies", "--variant", str(variant % 4))
                server.expect_no_leak(label)
        finally:
            file_server.kill()
            subprocess.run(["umount", "-l", folder], check=False)
            file_server.wait()
            file_server.stdout.close()
    os.rmdir(folder)


def devices_late(door):
    """a device that just reads the memory of a driver which is killed is nobody's when that is known"""
    if not door.root:
        raise Skipped("only root mounts")
    folder = f"{door.tmp}/late"
    os.mkdir(folder)
    # By a group and by the device's own node: 0 and 3.
    for variant, next_one in ((0, 3), (3, 0), (0, 0), (3, 3)):
        file_server = door.start(door.program("silent"), "serve", folder, plain=True, stdout=subprocess.PIPE, text=True)
        line = read_line(file_server.stdout, "the file server")
        if line.startswith("skip"):
            raise Skipped(line[len("skip: "):].strip())
        # The read ends with the file server, when the next driver waits for it.
        end = threading.Timer(0.1, file_server.kill)
        try:
            with Server(door, options=["--device", "ioat"]) as server:
                stall(server, file_server, f"{folder}/file", variant)
                server.ask("kill", name="stalled")
                status, out = server.ask("wait", name="stalled")
                same((status, out), (-9, ""), "the driver")
                end.start()
                server.client("vfio", "copies", "--variant", str(next_one))
                file_server.wait()
                server.baseline["processes"] -= 1
                server.expect_no_leak("late")
        finally:
            end.cancel()
            file_server.kill()
            subprocess.run(["umount", "-l", folder], check=False)
            file_server.wait()
            file_server.stdout.close()
    os.rmdir(folder)


def dpdk_lacks():
    """Why DPDK's tests cannot run, or None."""
    if not shutil.which("dpdk-test"):
        return "no dpdk-test (package dpdk-dev)"
    if not list(pathlib.Path("/usr/lib").glob("**/librte_dma_ioat.so*")):
        return "no driver of DPDK's for the device (package librte-dma-ioat23)"
    return None


def dpdk(door):
    """DPDK's own tests of its driver, unmodified; where it is long, also with all processors busy"""
    if lacks := dpdk_lacks():
        raise Skipped(lacks)
    before = door.left_behind()
    address = "0000:00:04.0"
    busy = []
    env = {**os.environ, "XDG_RUNTIME_DIR": door.tmp}
    try:
        for i in range(20 if door.long else 3):
            if i == 10:
                busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count())]
            start = time.monotonic()
            status, out, err = door.run("dpdk-test", "--no-huge", "-m", "512", "--iova-mode=va", "-l", "0,1", env=env,
                                        input="dmadev_autotest\n", options=["--device", f"ioat,addr={address}"])
            if "Test OK" not in out:
                report("\n".join(line for line in re.split("[\r\n]", out) if "Ops submitted" not in line) + err[-2000:])
            check("Test OK" in out, "dmadev_autotest says no 'Test OK'")
            print(f"    ok dmadev_autotest, {time.monotonic() - start:.1f} s{' beside others' if busy else ''}")
    finally:
        for p in busy:
            p.kill()
            p.wait()
    door.expect_nothing_left(before)
