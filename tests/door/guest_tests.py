# SPDX-License-Identifier: BSD-3-Clause
"""Linux in a virtual machine of QEMU's, unmodified, to which an NVMe controller is passed through by vfio-pci."""
import glob
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import time

from harness import Skipped, check, same

# What the guest does: a file system on the disk, files in it, read back from the disk, some blocks discarded.
INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/nvme0n1 ] && break; sleep 1; done
interrupts() { awk '/nvme/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i } END { print "INTERRUPTS " n + 0 }' /proc/interrupts; }
interrupts
/sbin/mke2fs -q -t ext4 /dev/nvme0n1 && mount -t ext4 /dev/nvme0n1 /mnt && cd /mnt || poweroff -f
for i in 1 2 3 4 5 6 7 8; do dd if=/dev/urandom of=file$i bs=64k count=48 2>/dev/null & done
wait
sha256sum file* >/sums
sync
echo 3 >/proc/sys/vm/drop_caches
sha256sum -c /sums | grep -v OK
sed 's/^/SUM /' /sums
rm file1
sync
/sbin/fstrim /mnt
cd /
umount /mnt
interrupts
dmesg | grep -iE 'nvme.*(timeout|abort|error|reset)|nobody cared|I/O error'
echo DONE
poweroff -f
"""


def newc(name, mode, data):
    """A file of an archive that a kernel unpacks."""
    fields = [1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def libraries(program):
    out = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", out)


def make_initramfs(path):
    busybox = shutil.which("busybox")
    if not busybox or libraries(busybox):
        raise Skipped("no static busybox (package busybox-static)")
    files = {"init": INIT.encode(), "bin/busybox": pathlib.Path(busybox).read_bytes()}
    for tool in ("mke2fs", "fstrim"):
        program = shutil.which(tool, path="/sbin:/usr/sbin:/bin:/usr/bin")
        if not program:
            raise Skipped(f"no {tool}")
        files[f"sbin/{tool}"] = pathlib.Path(program).read_bytes()
        for library in libraries(program):
            files[library.lstrip("/")] = pathlib.Path(library).read_bytes()
    folders = {"proc", "sys", "dev", "mnt", "etc"}
    for name in files:
        folders |= {str(parent) for parent in pathlib.PurePath(name).parents if str(parent) != "."}
    with open(path, "wb") as f:
        for name in sorted(folders):
            f.write(newc(name, 0o40755, b""))
        for name, data in files.items():
            f.write(newc(name, 0o100755, data))
        f.write(newc("TRAILER!!!", 0, b""))


def find_kernel():
    """One that has the drivers built in, as Debian's for clouds has. IOMMUSE_TEST_KERNEL names another."""
    given = os.environ.get("IOMMUSE_TEST_KERNEL")
    for path in [given] if given else sorted(glob.glob("/boot/vmlinuz-*cloud*"), reverse=True):
        if os.access(path, os.R_OK):
            return path
    raise Skipped("no kernel for a guest (package linux-image-cloud-amd64, or IOMMUSE_TEST_KERNEL)")


def check_image(door, image, sums):
    """The file system is whole, and holds what the guest wrote."""
    status, out, err = door.run("fsck.ext4", "-fn", image, plain=True)
    same(status, 0, f"fsck: {out[-500:]} {err[-200:]}")
    for digest, name in sums:
        data = subprocess.run(["debugfs", "-R", f"cat /{name}", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False).stdout
        if name != "file1":
            same(hashlib.sha256(data).hexdigest(), digest, f"{name} in the image")


def boot(door, kernel, initramfs, label, qemu, options=(), append=""):
    image = f"{door.tmp}/image"
    start = time.monotonic()
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-m", "256", "-smp", "2",
            *qemu, "-kernel", kernel, "-initrd", initramfs, "-append", f"console=ttyS0 quiet panic=-1 {append}"]
    status, out, err = door.run(*argv, options=["--memlock=off", f"--device=nvme,image={image},size=64M", *options])
    lines = [line.strip() for line in out.splitlines()]
    check("DONE" in lines, f"{label}: {status}: the guest says {out[-2000:]}, and QEMU {err[-1000:]}")
    wrong = [line for line in lines if re.search("FAILED|timeout|abort|nobody cared|I/O error", line)]
    check(not wrong, f"{label}: {wrong}")
    counts = [int(line.split()[1]) for line in lines if line.startswith("INTERRUPTS ")]
    check(len(counts) == 2 and counts[1] > counts[0] + 20, f"{label}: interrupts: {counts}")
    sums = [line.split()[1:] for line in lines if line.startswith("SUM ")]
    same(len(sums), 8, f"{label}: files")
    check_image(door, image, sums)
    os.unlink(image)
    print(f"    ok {label}, {time.monotonic() - start:.0f} s")


def guest(door):
    """a Linux guest makes a file system on the disk; with messages and a pin, memory of three kinds, both ways to VFIO"""
    for tool, package in (("qemu-system-x86_64", "qemu-system-x86"), ("fsck.ext4", "e2fsprogs"), ("debugfs", "e2fsprogs")):
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin"):
            raise Skipped(f"no {tool} (package {package})")
    kernel, initramfs = find_kernel(), f"{door.tmp}/initramfs"
    make_initramfs(initramfs)
    before = door.left_behind()
    machine = ["-machine", "q35,accel=tcg"]
    device = ["-device", "vfio-pci,host=0000:01:00.0"]
    boot(door, kernel, initramfs, "messages", machine + device)
    memfd = ["-object", "memory-backend-memfd,id=memory,size=256M", "-machine", "memory-backend=memory"]
    boot(door, kernel, initramfs, "a pin, memory of a memfd", machine + memfd + device, append="pci=nomsi")
    boot(door, kernel, initramfs, "memory that is exchanged", machine + device, ["--pin=share"])
    status, out, _ = door.run("qemu-system-x86_64", "-object", "help", plain=True)
    if status == 0 and "iommufd" in out:
        iommufd = ["-object", "iommufd,id=iommufd0", "-device", "vfio-pci,host=0000:01:00.0,iommufd=iommufd0"]
        boot(door, kernel, initramfs, "an iommufd", machine + iommufd)
    os.unlink(initramfs)
    door.expect_nothing_left(before)
