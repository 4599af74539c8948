# SPDX-License-Identifier: BSD-3-Clause
"""The tests of the door that look for devices below /sys, as programs and tools do."""
import os
import re
import shutil
import signal
import subprocess
import sys

from harness import HANG, Skipped, cases, check, safe_list, same

TWO_DEVICES = ["--device", "ioat", "--device", "ioat,addr=0000:00:04.0,group=7"]

sysfs = cases("sysfs", 50, 1000, TWO_DEVICES)


def machine_s_pci():
    return sorted(os.listdir("/sys/bus/pci/devices")) if os.path.isdir("/sys/bus/pci/devices") else []


def pci(door):
    """tools that look for PCI devices find those of iommuse, and the machine's only with --keep-pci"""
    before = door.left_behind()
    listing = ("ls", "/sys/bus/pci/devices")
    same(door.run(*listing, options=TWO_DEVICES)[:2], (0, "0000:00:04.0\n0000:01:00.0\n"), "ls")
    seen = door.run(*listing, options=["--keep-pci", "--device", "ioat,addr=0000:77:00.0"])[1].split()
    same(seen, sorted({*machine_s_pci(), "0000:77:00.0"}), "ls with --keep-pci")
    same(door.run(*listing)[1].split(), machine_s_pci(), "ls without devices")
    ok = [
        ("sh", "-c", "cat /sys/bus/pci/devices/*/vendor"),
        ("find", "/sys/bus/pci/devices/0000:01:00.0/", "-name", "vfio0"),
        ("find", "/sys/kernel/iommu_groups", "-type", "l"),
        ("realpath", "/sys/bus/pci/devices/0000:01:00.0/driver"),
        ("sh", "-c", "echo 0000:01:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind && echo ok"),
        (sys.executable, "-c", "import glob; print(*sorted(glob.glob('/sys/bus/pci/devices/*/vfio-dev/*/dev')), sep='\\n')"),
    ]
    want = [
        "0x8086\n0x8086\n",
        "/sys/bus/pci/devices/0000:01:00.0/vfio-dev/vfio0\n",
        "/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n/sys/kernel/iommu_groups/7/devices/0000:00:04.0\n",
        "/sys/bus/pci/drivers/vfio-pci\n",
        "ok\n",
        "/sys/bus/pci/devices/0000:00:04.0/vfio-dev/vfio1/dev\n/sys/bus/pci/devices/0000:01:00.0/vfio-dev/vfio0/dev\n",
    ]
    for argv, expected in zip(ok, want):
        status, out, err = door.run(*argv, options=TWO_DEVICES)
        same((status, sorted(out.split()), err), (0, sorted(expected.split()), ""), " ".join(argv))
        print(f"    ok {' '.join(argv[:2])}")
    status, out, err = door.run("ls", "-lR", "/sys/bus/pci/devices/0000:01:00.0/", "/dev/vfio", options=TWO_DEVICES)
    same((status, err), (0, ""), "ls -lR")
    for command, why, wanted in (
            (("lspci", "-vv", "-s", "01:00.0"), "no lspci (package pciutils)",
             ("^01:00.0 ", "Capabilities: .* MSI-X: ", "Capabilities: .* Express ", r"Region 0: Memory at [0-9a-f]+ .*size=16K",
              "Kernel driver in use: vfio-pci", "IOMMU group: 1")),
            (("dpdk-devbind.py", "-s"), "no dpdk-devbind.py (package dpdk)",
             ("^0000:01:00.0 .*drv=vfio-pci", "^0000:00:04.0 .*drv=vfio-pci"))):
        if not shutil.which(command[0]):
            print(f"    skip {command[0]}: {why}")
            continue
        status, out, err = door.run(*command, options=TWO_DEVICES)
        same(status, 0, f"{command[0]}: {err}")
        for pattern in wanted:
            check(re.search(pattern, out, re.M), f"{command[0]} does not show '{pattern}': {out}")
        print(f"    ok {command[0]}")
    door.expect_nothing_left(before)


def walked(door):
    """random paths lead where the kernel finds them: what traps answer is what a namespace shows"""
    if door.overlay == "namespace":
        raise Skipped("it is what the other overlay is compared with")
    before = door.left_behind()
    seed = int.from_bytes(os.urandom(4), "little")
    answers = {}
    for door.overlay in ("namespace", "trap"):
        status, out, err = door.run(door.program("sysfs_walk"), str(seed), door.rounds(3000, 50000), options=TWO_DEVICES)
        if status == 125 and door.overlay == "namespace":
            door.overlay = "trap"
            raise Skipped(err.strip())
        same((status, err), (0, ""), f"a walk with seed {seed}")
        answers[door.overlay] = out.splitlines()
    differences = [pair for pair in zip(*answers.values()) if pair[0] != pair[1]]
    same((len(answers["trap"]), differences[:5]), (len(answers["namespace"]), []), f"answers with seed {seed}")
    print(f"    ok {len(answers['trap'])} paths, seed {seed}")
    door.expect_nothing_left(before)


def swept(door):
    """what a supervisor that was killed leaves of its files, the next one removes"""
    if door.overlay == "namespace":
        raise Skipped("there are no files where there is a namespace")
    before = door.left_behind()
    p = door.start("sh", "-c", "echo; exec sleep 1000", options=TWO_DEVICES, stdout=subprocess.PIPE)
    same(p.stdout.readline(), b"\n", "the program's first word")
    for pid in door.iommuse_processes():
        os.kill(pid, signal.SIGKILL)
    p.stdout.close()
    door.kill_everything()
    same(len(safe_list(door.runtime)), 1, "directories of a supervisor that was killed")
    living = door.start("sh", "-c", "echo; exec cat", options=TWO_DEVICES, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    same(living.stdout.readline(), b"\n", "the program's first word")
    kept = safe_list(door.runtime)
    same(len(kept), 1, "directories beside that of one which lives")
    same(door.run("cat", "/sys/bus/pci/devices/0000:01:00.0/vendor", options=TWO_DEVICES), (0, "0x8086\n", ""), "another one")
    same(safe_list(door.runtime), kept, "directories after another one")
    living.stdin.close()
    same(living.wait(HANG), 0, "exit status")
    living.stdout.close()
    names = ["iommuse-backup", "iommuse-1.2.10", ".iommuse-shadow-others", ".iommuse-shadow-", ".iommuse-shadow-PUBLIC"]
    for name in names:
        os.mkdir(f"{door.runtime}/{name}")
    os.chmod(f"{door.runtime}/.iommuse-shadow-PUBLIC", 0o755)
    for name in names[:2]:
        os.chmod(f"{door.runtime}/{name}", 0o700)
    same(door.run("true", options=TWO_DEVICES)[0], 0, "exit status beside other directories")
    same(sorted(safe_list(door.runtime)), sorted(names), "directories of others")
    for name in names:
        os.rmdir(f"{door.runtime}/{name}")
    door.expect_nothing_left(before)


UNPRIVILEGED = """
import os, sys
start = os.open("/sys/bus/pci/devices/0000:01:00.0", os.O_RDONLY)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(os.read(os.open("vendor", os.O_RDONLY, dir_fd=start), 100).decode().strip())
for path, flags in (("../" * 20 + sys.argv[1], os.O_RDONLY), ("resource0", os.O_RDWR)):
    try:
        print(path, "is open:", os.read(os.open(path, flags, dir_fd=start), 100))
    except OSError:
        print("refused")
"""


def rights(door):
    """who has given up privileges does not get them back by way of files below /sys"""
    if not door.root:
        raise Skipped("there are no privileges to give up")
    secret = f"{door.tmp}/secret"
    os.mkdir(secret, 0o700)
    with open(f"{secret}/word", "w") as file:
        file.write("secret")
    answer = door.run(sys.executable, "-c", UNPRIVILEGED, f"{secret}/word".lstrip("/"), options=TWO_DEVICES)
    shutil.rmtree(secret)
    same(answer, (0, "0x8086\nrefused\nrefused\n", ""), "what nobody gets")
