# SPDX-License-Identifier: BSD-3-Clause
"""Linux in a virtual machine of QEMU's, unmodified, to which an NVMe controller is passed through by vfio-pci."""
import fcntl
import glob
import hashlib
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

from harness import HANG, Server, Skipped, await_that, check, read_text, same

PRELUDE = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
complaints() { dmesg | grep -iE 'nvme.*(timeout|abort|error)|nobody cared|I/O error'; }
"""

# What a guest does that is alone, as the kernel's command line says: it verifies patterns on the disk, for $verify seconds, and
# meanwhile resets the controller and the function, for $reset; then it makes a file system, and in it files, which it reads back
# from the disk; for $unplug, between that, the disk goes away and comes back. The last that it does is to discard some blocks.
ALONE = PRELUDE + r"""
if [ -n "$hello" ]; then echo HELLO; poweroff -f; fi
await_disk() { for i in $(seq 300); do [ -b /dev/nvme0n1 ] && break; sleep 0.1; done; }
interrupts() { awk '/nvme/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i } END { print "INTERRUPTS " n + 0 }' /proc/interrupts; }
resets() {
	while [ -e /resets ]; do
		echo 1 >/sys/class/nvme/nvme0/reset_controller && echo CONTROLLER
		sleep 0.3
		echo 1 >/sys/class/nvme/nvme0/device/reset && echo FUNCTION
		sleep 0.3
	done >/resets.log 2>&1
	awk '{ n[$1]++ } END { for (what in n) print "RESETS " what " " n[what] }' /resets.log
}
await_disk
if [ -n "$reset" ]; then touch /resets; resets & fi
interrupts
/bin/verify_disk /dev/nvme0n1 $verify 64
interrupts
rm -f /resets
wait
/sbin/mke2fs -q -t ext4 /dev/nvme0n1 && mount -t ext4 /dev/nvme0n1 /mnt && cd /mnt || poweroff -f
for i in 1 2 3 4 5 6 7 8; do dd if=/dev/urandom of=file$i bs=64k count=48 2>/dev/null & done
wait
sha256sum file* >/sums
if [ -n "$unplug" ]; then
	cd /
	umount /mnt
	echo UNPLUG
	for i in $(seq 300); do [ -b /dev/nvme0n1 ] || break; sleep 0.1; done
	[ -b /dev/nvme0n1 ] || echo PLUG
	await_disk
	mount -t ext4 /dev/nvme0n1 /mnt && cd /mnt || poweroff -f
fi
sync
echo 3 >/proc/sys/vm/drop_caches
sha256sum -c /sums | grep -v OK
sed 's/^/SUM /' /sums
rm file1
sync
/sbin/fstrim /mnt
cd /
umount /mnt
complaints
echo DONE
poweroff -f
"""

# What one does that has neighbours, by its $role. The first and the second guest verify patterns on their disks and make a file
# system with files; the second one gets the first's disk too, reads the files, and then writes to both until it is killed, as
# $role again does: patterns to the second disk, and to the first files of which some are kept. The third looks for all of that.
AMONG = PRELUDE + r"""
disk() { # with that serial number
	for found in /sys/block/nvme*; do
		[ -e "$found" ] && read -r serial <"$found/device/serial" && [ "$serial" = "$1" ] && echo "/dev/${found##*/}"
	done
}
await() {
	for i in $(seq 600); do [ -b "$(disk "$1")" ] && return; sleep 0.1; done
	echo "FAILED: no disk $1"
	poweroff -f
}
enter() { mount -t ext4 "$(disk first)" /mnt && cd /mnt || poweroff -f; }
fill() {
	await $1
	/bin/verify_disk "$(disk $1)" $verify 64
	/sbin/mke2fs -q -t ext4 "$(disk $1)" && mount -t ext4 "$(disk $1)" /mnt && cd /mnt || poweroff -f
	for i in 1 2 3 4; do dd if=/dev/urandom of=file$i bs=64k count=32 2>/dev/null & done
	wait
	sha256sum file* >sums
	cd /
	umount /mnt
}
first() {
	fill first
	echo UNPLUG
	for i in $(seq 600); do [ -n "$(disk first)" ] || break; sleep 0.1; done
	[ -n "$(disk first)" ] || echo GONE
}
second() {
	fill second
	echo READY
	await first
	enter
	echo "HANDED $(sha256sum -c sums | grep -c OK)"
	write_on
}
again() {
	await first
	await second
	enter
	rm -f kept*
	write_on
}
write_on() {
	/bin/verify_disk "$(disk second)" write 64 &
	for n in 1 2 3 4; do
		while dd if=/dev/urandom of=other$n bs=64k count=16 conv=fsync 2>/dev/null; do :; done &
	done
	for n in $(seq 16); do
		dd if=/dev/urandom of=kept$n bs=64k count=8 conv=fsync 2>/dev/null
		echo "KEPT $(sha256sum kept$n)"
	done
	wait
}
third() {
	await first
	await second
	/bin/verify_disk "$(disk second)" check 64 $synced
	enter
	sha256sum kept* | sed 's/^/SUM /'
	cd /
	umount /mnt
}
$role
complaints
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


def make_initramfs(door, path, script):
    busybox = shutil.which("busybox")
    if not busybox or libraries(busybox):
        raise Skipped("no static busybox (package busybox-static)")
    if not os.path.exists(door.program("verify_disk")):
        raise Skipped("no static libc, with which the guest's own programs are linked")
    files = {"init": script.encode(), "bin/busybox": pathlib.Path(busybox).read_bytes(),
             "bin/verify_disk": pathlib.Path(door.program("verify_disk")).read_bytes()}
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
    unpacked = pathlib.Path(__file__).resolve().parents[2] / "build-guest/vmlinuz"  # scripts/guest-kernel makes it
    for path in [given] if given else [str(unpacked), *sorted(glob.glob("/boot/vmlinuz-*cloud*"), reverse=True)]:
        if os.access(path, os.R_OK):
            return path
    return None


def check_image(door, image, sums):
    """The file system is whole, and holds what the guest wrote."""
    status, out, err = door.run("fsck.ext4", "-fn", image, plain=True)
    same(status, 0, f"fsck: {out[-500:]} {err[-200:]}")
    for digest, name in sums:
        data = subprocess.run(["debugfs", "-R", f"cat /{name}", image], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False).stdout
        if name != "file1":
            same(hashlib.sha256(data).hexdigest(), digest, f"{name} in the image")


def may_connect(s, path):
    try:
        s.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def monitor_says(monitor, command, answers=2):
    """What a QEMU answers, at the socket of its monitor."""
    with socket.socket(socket.AF_UNIX) as s:
        await_that(lambda: may_connect(s, monitor), f"no monitor at {monitor}")
        s.settimeout(HANG)
        s.sendall(f"{command}\n".encode())
        heard = b""
        while heard.count(b"(qemu)") < answers:
            more = s.recv(4096)
            check(more, f"QEMU's monitor ends: {heard}")
            heard += more
    return heard.decode(errors="replace")


def tell_to_quit(monitor):
    """QEMU may lose a command whose sender is gone."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(monitor)
        s.settimeout(HANG)
        s.sendall(b"quit\n")
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass


def plug(monitor, device):
    """Adds it. The one before goes when the guest has ejected it, which is after the guest has let go of it."""
    answer = []

    def is_added():
        answer[:] = [monitor_says(monitor, f"device_add {device}")]
        return "Error" not in answer[0]

    await_that(is_added, lambda: f"device_add: {answer[0]}")


def of_sanitizer(program):
    return any(name in pathlib.Path(program).read_bytes() for name in (b"__asan_init", b"__tsan_init"))


def is_thorough(door):
    """A boot takes its time: of the ways to run iommuse one has all of them, and the others one of each test."""
    return door.long or (not door.root and door.overlay == "trap")


MEMORY = 256  # MiB, of the guest
MEMFD = f"memory-backend-memfd,id=memory,size={MEMORY}M"
# Its guest maps what the disk shall reach, and QEMU maps that. Linux has no patience with timers of slow machines if it remaps interrupts.
VIRTUAL_IOMMU = ("-device", "intel-iommu,caching-mode=on,intremap=off")
COMPLAINTS = "WRONG|FAILED|timeout|abort|nobody cared|I/O error"


class Guest:
    """What the guests of a test have in common."""

    def __init__(self, door, script=ALONE):
        if of_sanitizer(door.iommuse):
            raise Skipped("iommuse is built with a sanitizer, and a guest would take too long")
        for tool, package in (("qemu-system-x86_64", "qemu-system-x86"), ("fsck.ext4", "e2fsprogs"), ("debugfs", "e2fsprogs")):
            if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin"):
                raise Skipped(f"no {tool} (package {package})")
        self.door = door
        self.kernel, self.initramfs = find_kernel(), f"{door.tmp}/initramfs"
        if not self.kernel:
            raise Skipped("no kernel for a guest (scripts/guest-kernel gets one)")
        self.image, self.monitor = f"{door.tmp}/image", f"{door.tmp}/monitor"
        make_initramfs(door, self.initramfs, script)
        self.version = self.ask("-version").split("\n")[0]
        self.has_iommufd = re.search(r"\biommufd\b", self.ask("-object", "help"))
        print(f"    {self.version}")

    def argv(self, accel, memory=MEMORY):
        return ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-m", str(memory),
                "-smp", "2", "-machine", f"q35,accel={accel}", "-kernel", self.kernel, "-initrd", self.initramfs]

    def ask(self, *argv):
        return self.door.run("qemu-system-x86_64", *argv, plain=True)[1]

    def __enter__(self):
        self.before = self.door.left_behind()
        return self

    def __exit__(self, kind, value, trace):
        for path in (self.initramfs, self.image, self.monitor):
            if os.path.exists(path):
                os.unlink(path)
        if kind is None:
            self.door.expect_nothing_left(self.before)

    def lines(self, p, seconds):
        """What the guest says, until QEMU ends, or is ended."""
        late = []
        timer = threading.Timer(seconds, lambda: (late.append(True), self.door.kill_everything()))
        timer.start()
        try:
            for line in p.stdout:
                yield line.strip()
        finally:
            timer.cancel()
        check(not late, f"hangs, after {seconds} s")

    def boot(self, label, *qemu, accel="tcg", options=(), append="", verify=None, iommufd=False, unplug=False):
        start = time.monotonic()
        verify = verify or (60 if self.door.long else 3)
        device = "vfio-pci,host=0000:01:00.0,id=disk,bus=root1" + (",iommufd=iommufd0" if iommufd else "")
        objects = ["-object", "iommufd,id=iommufd0"] if iommufd else []
        argv = [*self.argv(accel), "-monitor", f"unix:{self.monitor},server=on,wait=off", *objects, *qemu,
                "-device", "pcie-root-port,id=root1", "-device", device,
                "-append", f"console=ttyS0 quiet panic=-1 verify={verify} {append} {'unplug=1' if unplug else ''}"]
        said = []
        with open(f"{self.door.tmp}/stderr", "w+") as stderr:
            p = self.door.start(*argv, options=["--memlock=off", f"--device=nvme,image={self.image},size=64M", *options],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True, errors="replace")
            for line in self.lines(p, 2 * HANG + verify):
                said.append(line)
                if line == "UNPLUG":
                    monitor_says(self.monitor, "device_del disk")
                elif line == "PLUG":
                    plug(self.monitor, device)
            p.stdout.close()
            status = p.wait()
            stderr.seek(0)
            err = stderr.read()
        os.unlink(f"{self.door.tmp}/stderr")
        check("DONE" in said, f"{label}: {status}: the guest says {said[-40:]}, and QEMU {err[-1000:]}")
        more = self.look(label, said, 0 if "reset=" in append else 20 * verify)
        check(not unplug or "PLUG" in said, f"{label}: the disk is not unplugged: {said}")
        if "reset=" in append:
            resets = dict(line.split()[1:] for line in said if line.startswith("RESETS "))
            check({"CONTROLLER", "FUNCTION"} <= set(resets), f"{label}: resets {resets}")
            more = f"{resets['CONTROLLER']} resets of the controller and {resets['FUNCTION']} of the function"
        check_image(self.door, self.image, [line.split()[1:] for line in said if line.startswith("SUM ")])
        os.unlink(self.image)
        verified = next(line for line in said if line.startswith("VERIFIED"))
        print(f"    ok {label}, {time.monotonic() - start:.0f} s: {verified}, {more}", flush=True)

    @staticmethod
    def look(label, said, least):
        """least: how many interrupts more there are at least; 0: any, as the guest's count begins again at a reset. Returns a text
        that says how many."""
        wrong = [line for line in said if re.search(COMPLAINTS, line)]
        check(not wrong, f"{label}: {wrong}")
        check(any(line.startswith("VERIFIED ") for line in said), f"{label}: nothing is verified: {said}")
        counts = [int(line.split()[1]) for line in said if line.startswith("INTERRUPTS ")]
        check(len(counts) == 2 and (not least or counts[1] >= counts[0] + least), f"{label}: interrupts: {counts}")
        same(len([line for line in said if line.startswith("SUM ")]), 8, f"{label}: files")
        return f"{counts[1] - counts[0]} interrupts"


def boot_sector(begin, count):
    """Has the firmware read sectors of the disk, writes the text in them to the serial port, and switches the machine off."""
    code = bytes.fromhex("31c0 8ed8 b442 be287c cd13 720e be007e baf803 ac 84c0 7403 ee ebf8 ba0406 b80020 ef f4 ebfd")
    packet = struct.pack("<BxHHHQ", 16, count, 0x7e00, 0, begin)
    return (code.ljust(0x28, b"\0") + packet).ljust(510, b"\0") + b"\x55\xaa"


def boot_by_firmware(g, label, *disk):
    """The firmware finds the disk, of which QEMU is told by the arguments, and boots from it."""
    text = random.randbytes(8000).hex().encode()
    with open(g.image, "wb") as f:
        f.write(boot_sector(12345, len(text) // 512 + 1))
        f.seek(12345 * 512)
        f.write(text)
        f.truncate(16 << 20)
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-m", str(MEMORY), "-machine",
            "q35,accel=tcg", *disk]
    status, out, err = g.door.run(*argv, options=["--memlock=off", f"--device=nvme,image={g.image}"])
    same(status, 0, f"{label}: exit status of QEMU, which says {err[-1000:]}")
    check(out.strip().encode() == text, f"{label}: it says {out[:200]!r}, not {text[:100]}")
    os.unlink(g.image)
    print(f"    ok {label}: the firmware boots from the disk", flush=True)


def boot_passed_through(g, label, *objects, more=""):
    """Also with registers that QEMU does not map, so that each access is a call, and with the table of MSI-X in a BAR of QEMU's."""
    device = f"vfio-pci,host=0000:01:00.0,bootindex=0{more}"
    for way in ("", ",x-no-mmap=on", ",x-msix-relocation=bar4"):
        boot_by_firmware(g, label + way, *objects, "-device", device + way)


def boot_by_drivers_of_qemu(g):
    """The disk is one of QEMU's own, whose driver is that of nvme://."""
    disk = ("-blockdev", "driver=nvme,node-name=disk,device=0000:01:00.0,namespace=1")
    for controller in (("virtio-blk-pci,drive=disk,bootindex=0",), ("virtio-scsi-pci", "scsi-hd,drive=disk,bootindex=0"),
                       ("nvme,drive=disk,serial=other,bootindex=0",)):
        boot_by_firmware(g, controller[-1].split(",")[0], *disk, *[word for device in controller for word in ("-device", device)])


def boot_with_huge_pages(g, label, **kw):
    free = re.search(r"HugePages_Free:\s*(\d+)(?s:.*)Hugepagesize:\s*(\d+) kB", read_text("/proc/meminfo"))
    if free and int(free[1]) * int(free[2]) >= MEMORY << 10:
        g.boot(label, "-object", f"{MEMFD},hugetlb=on", "-machine", "memory-backend=memory", **kw)
    else:
        print(f"    skip {label}: the machine has not {MEMORY} MiB of them free")


def guest(door):
    """a Linux guest verifies patterns on the disk and makes a file system; resets, unplugging, memory of several kinds"""
    with Guest(door) as g:
        boot_passed_through(g, "legacy")
        boot_by_drivers_of_qemu(g)
        g.boot("unplugged and plugged", unplug=True)
        if not is_thorough(door):
            return
        g.boot("memory that is exchanged, resets", options=["--pin=share"], append="reset=1")
        g.boot("an IOMMU in the guest", *VIRTUAL_IOMMU, append="intel_iommu=on iommu.strict=1 no_timer_check")
        g.boot("a pin, memory of a memfd", "-object", MEMFD, "-machine", "memory-backend=memory", append="pci=nomsi")
        boot_with_huge_pages(g, "memory of huge pages")


def guest_iommufd(door):
    """the same with QEMU's object iommufd"""
    with Guest(door) as g:
        if not g.has_iommufd:
            raise Skipped(f"{g.version} has no iommufd (qemu-system-x86 of the distribution's backports has)")
        boot_passed_through(g, "iommufd", "-object", "iommufd,id=iommufd0", more=",iommufd=iommufd0")
        g.boot("a pin, memory of a memfd, resets", "-object", MEMFD, "-machine", "memory-backend=memory",
               append="pci=nomsi reset=1", iommufd=True)
        if not is_thorough(door):
            return
        g.boot("unplugged and plugged", iommufd=True, unplug=True)
        g.boot("an IOMMU in the guest", *VIRTUAL_IOMMU, append="intel_iommu=on no_timer_check", iommufd=True)
        if door.long:
            g.boot("memory that is exchanged", iommufd=True, options=["--pin=share"])
        boot_with_huge_pages(g, "memory of huge pages", iommufd=True)


KVM_CREATE_VM = 0xAE01


def need_kvm():
    try:
        with open("/dev/kvm", "r+b", buffering=0) as f:
            os.close(fcntl.ioctl(f, KVM_CREATE_VM, 0))
    except OSError as e:
        raise Skipped(f"no KVM: {e}")


def why_no_guests_by_kvm(g):
    """Where this machine is one itself, KVM may be there and run nothing."""
    argv = [*g.argv("kvm"), "-append", "console=ttyS0 quiet panic=-1 hello=1"]
    p = g.door.start(*argv, plain=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        out = p.communicate(timeout=10)[0]
    except subprocess.TimeoutExpired:
        p.kill()
        out = p.communicate()[0]
    return None if "HELLO" in out else f"it runs none here within 10 s, without a device either"


def start_by_kvm(g, label, *qemu):
    """QEMU brings the device up, all of it that needs no guest which runs, and lets go of it again."""
    with open(f"{g.door.tmp}/stderr", "w+") as stderr:
        p = g.door.start(*g.argv("kvm"), "-S", "-monitor", f"unix:{g.monitor},server=on,wait=off", *qemu,
                         options=["--memlock=off", f"--device=nvme,image={g.image},size=64M"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=stderr)
        await_that(lambda: p.poll() is not None or os.path.exists(g.monitor), "no monitor")
        tree = monitor_says(g.monitor, "info qtree") if p.poll() is None else ""
        if tree:
            tell_to_quit(g.monitor)
        await_that(lambda: p.poll() is not None, f"{label}: QEMU does not end", HANG)
        status = p.returncode
        stderr.seek(0)
        err = "".join(line for line in stderr if "doesn't support requested feature" not in line)
    for path in (stderr.name, g.image):
        os.unlink(path)
    same((status, err), (0, ""), f"{label}: exit status and messages")
    check('dev: vfio-pci, id "disk"' in tree, f"{label}: {tree[-2000:]}")
    print(f"    ok {label}: QEMU starts")


def guest_kvm(door):
    """the same where the guest runs by KVM"""
    need_kvm()
    with Guest(door) as g:
        start_by_kvm(g, "legacy, KVM", "-device", "vfio-pci,host=0000:01:00.0,id=disk")
        if g.has_iommufd:
            start_by_kvm(g, "iommufd, KVM", "-object", "iommufd,id=iommufd0", "-device",
                         "vfio-pci,host=0000:01:00.0,id=disk,iommufd=iommufd0")
        if why := why_no_guests_by_kvm(g):
            print(f"    skip guests by KVM: {why}")
            return
        for iommufd in (False, True) if g.has_iommufd else (False,):
            way = "iommufd" if iommufd else "legacy"
            g.boot(f"{way}, KVM, unplugged and plugged", accel="kvm", iommufd=iommufd, unplug=True)
            g.boot(f"{way}, KVM, a pin, memory that is exchanged, resets", accel="kvm", iommufd=iommufd, options=["--pin=share"],
                   append="pci=nomsi reset=1")
            g.boot(f"{way}, KVM, memory of a memfd", "-object", MEMFD, "-machine", "memory-backend=memory", accel="kvm",
                   iommufd=iommufd)


FIRST, SECOND = "0000:01:00.0", "0000:02:00.0"
SMALL = 192  # MiB, of a guest that has neighbours


class Neighbour:
    """A guest below a server. devices: (PCI address, by iommufd), each at a port of its own, of two."""

    def __init__(self, g, server, role, devices, append=""):
        self.server, self.role, self.said = server, role, []
        self.monitor = f"{g.monitor}-{role}"
        argv = [*g.argv("tcg", SMALL), "-monitor", f"unix:{self.monitor},server=on,wait=off"]
        if g.has_iommufd:
            argv += ["-object", "iommufd,id=iommufd0"]
        for n in range(2):
            argv += ["-device", f"pcie-root-port,id=port{n},chassis={n + 1}"]
        for n, device in enumerate(devices):
            argv += ["-device", self.device(n, *device)]
        argv += ["-append", f"console=ttyS0 quiet panic=-1 role={role} verify={60 if g.door.long else 3} {append}"]
        server.ask("start", name=role, argv=argv)

    @staticmethod
    def device(n, address, iommufd):
        return f"vfio-pci,host={address},id=disk{n},bus=port{n}" + (",iommufd=iommufd0" if iommufd else "")

    def note(self, line):
        self.said.append(line.strip())
        check(not re.search(COMPLAINTS, line), f"the {self.role} guest says {self.said[-40:]}")

    def hear(self, word):
        """Its next line that begins so."""
        while True:
            line = self.server.ask("line", name=self.role)
            check(line, f"the {self.role} guest ends before {word}: {self.said[-40:]}")
            self.note(line)
            if line.startswith(word):
                return line.strip()

    def of(self, word):
        return [line[len(word):].strip() for line in self.said if line.startswith(word)]

    def end(self, wanted=0):
        status, out = self.server.ask("wait", name=self.role)
        for line in out[:out.rfind("\n") + 1].splitlines():  # the last may be half a line
            self.note(line)
        same(status, wanted, f"exit status of QEMU for the {self.role} guest, which says {self.said[-40:]}")
        check(wanted or "DONE" in self.said, f"the {self.role} guest says {self.said[-40:]}")

    def kill_amid_writes(self):
        """What was on disk by then: how often the second one was written, and of the first one the files."""
        while len(self.of("KEPT ")) < 3 or len(self.of("SYNCED ")) < 3:
            self.hear("")
        time.sleep(random.random() * 0.3)
        self.server.ask("kill", name=self.role)
        self.end(wanted=-9)
        return int(self.of("SYNCED ")[-1]), [line.split() for line in self.of("KEPT ")]


def look_after_kill(g, server, devices, synced, kept):
    third = Neighbour(g, server, "third", devices, append=f"synced={synced}")
    third.end()
    sums = {name: digest for digest, name in (line.split() for line in third.of("SUM "))}
    same({name: sums.get(name) for _, name in kept}, {name: digest for digest, name in kept}, "files that were kept")
    check(third.of("VERIFIED"), f"the third guest says {third.said}")
    print(f"    ok QEMU is killed: patterns were synced {synced} times and {len(kept)} files, and all of that is there", flush=True)


def guests(door):
    """two guests under one iommuse, each with a disk; a disk goes from one to the other; QEMU is killed while its guest writes"""
    with Guest(door, AMONG) as g:
        images = [f"{door.tmp}/{name}" for name in ("first", "second")]
        options = ["--memlock=off", f"--device=nvme,image={images[0]},size=64M,serial=first",
                   f"--device=nvme,image={images[1]},size=64M,block=4096,serial=second"]
        with Server(door, options=options) as server:
            second = Neighbour(g, server, "second", [(SECOND, g.has_iommufd)])
            first = Neighbour(g, server, "first", [(FIRST, False)])
            first.hear("UNPLUG")
            second.hear("READY")
            print(f"    ok two guests: {first.of('VERIFIED')} and {second.of('VERIFIED')}", flush=True)
            answer = monitor_says(second.monitor, "device_add " + second.device(1, FIRST, g.has_iommufd))
            check("busy" in answer, f"a disk that another guest has: {answer}")
            monitor_says(first.monitor, "device_del disk0")
            first.hear("GONE")
            plug(second.monitor, second.device(1, FIRST, g.has_iommufd))
            first.end()
            same(second.hear("HANDED"), "HANDED 4", "files on a disk that was another guest's")
            print("    ok a disk goes from one guest to the other", flush=True)
            synced, kept = second.kill_amid_writes()
            both = [(FIRST, False), (SECOND, g.has_iommufd)]
            look_after_kill(g, server, both, synced, kept)
            for _ in range(int(door.rounds(0, 5))):
                synced, kept = Neighbour(g, server, "again", both).kill_amid_writes()
                look_after_kill(g, server, both, synced, kept)
            server.expect_no_leak("guests")
        check_image(door, images[0], kept)
        for path in images:
            os.unlink(path)


TESTS = {
    "nvme-guest": guest,
    "nvme-guest-iommufd": guest_iommufd,
    "nvme-guest-kvm": guest_kvm,
    "nvme-guests": guests,
}
