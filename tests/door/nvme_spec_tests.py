# SPDX-License-Identifier: BSD-3-Clause
"""The tests of nvme against its specification, with a driver of their own. Each goes another way to the device."""
import os
import pathlib
import subprocess

from harness import Server, Skipped, same

TYPE1, TYPE1V2, COMPAT, CDEV = range(4)
ODD, READ_ONLY = 1000003, 100001  # bytes of images


def image(door, name, size="32M"):
    path = f"{door.tmp}/{name}"
    return f"--device=nvme,image={path},size={size}"


def follow(door, name, way, options, rounds="200"):
    """Runs the cases with memory that iommuse shares, and with memory that it has to copy from."""
    with Server(door, options=options) as server:
        for seed in (1, 2):
            server.client(name, "--variant", str(way), "--seed", str(seed), "--rounds", rounds)
        if not any("aio=threads" in o for o in options):  # these are begun when there is work, and stay
            server.expect_no_leak(name)


def life(door):
    """a controller's life: enabled, reset and shut down in every way, it works again"""
    follow(door, "nvme_spec_life", CDEV, [image(door, "life")])


def queues(door):
    """queues: made, used, wrapped, full, deleted; interrupts"""
    follow(door, "nvme_spec_queues", TYPE1V2, [image(door, "queues")])


def admin(door):
    """admin commands, and what is wrong with them"""
    follow(door, "nvme_spec_admin", COMPAT, [image(door, "admin")])


def data(door):
    """data at every place, by PRPs and SGLs, and places that cannot be"""
    follow(door, "nvme_spec_data", TYPE1, [f"{image(door, 'data')},aio=threads"])


def commands(door):
    """commands for I/O, blocks of both sizes, an image of odd size, and one that is only read"""
    odd, read_only = pathlib.Path(door.tmp, "odd"), pathlib.Path(door.tmp, "read_only")
    read_only.write_bytes(b"\x5a" * READ_ONLY)
    before = os.stat(read_only)
    for aio in ("auto", "threads"):
        odd.write_bytes(b"\xa7" * ODD)
        options = [f"{image(door, 'commands')},aio={aio}", f"--device=nvme,image={odd},block=4096,aio={aio}",
                   f"--device=nvme,image={read_only},readonly,aio={aio}"]
        follow(door, "nvme_spec_commands", CDEV, options)
        same(os.stat(odd).st_size, (ODD + 4095) // 4096 * 4096, "the size of the image that was made longer")
    same((read_only.read_bytes(), os.stat(read_only).st_mtime_ns), (b"\x5a" * READ_ONLY, before.st_mtime_ns), "what is only read")


def settings(door):
    """other ways to registers and memory, and other settings of the device"""
    options = [image(door, "defaults"), image(door, "large") + ",mdts=1M,queues=64,serial=A1",
               image(door, "small") + ",mdts=8K,queues=1"]
    follow(door, "nvme_spec_settings", TYPE1V2, options)


def full(door):
    """a file system that has no room for all of the image"""
    if not door.root:
        raise Skipped("only root mounts")
    folder = f"{door.tmp}/full"
    os.mkdir(folder)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        raise Skipped(f"a tmpfs cannot be mounted: {mounted.stderr.strip()}")
    try:
        for way, aio in ((CDEV, "auto"), (TYPE1, "threads")):
            follow(door, "nvme_spec_full", way, [f"--device=nvme,image={folder}/image,size=32M,aio={aio}"])
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def hostile(door):
    """drivers that do what none may: the device survives, and harms no other"""
    follow(door, "nvme_spec_hostile", COMPAT, [image(door, "hostile"), image(door, "other")], door.rounds(25, 500))


TESTS = {
    "nvme-spec-life": life,
    "nvme-spec-queues": queues,
    "nvme-spec-admin": admin,
    "nvme-spec-data": data,
    "nvme-spec-commands": commands,
    "nvme-spec-settings": settings,
    "nvme-spec-full": full,
    "nvme-spec-hostile": hostile,
}
