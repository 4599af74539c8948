# SPDX-License-Identifier: BSD-3-Clause
"""The tests of nvme against its specification, with a driver of their own. Each goes another way to the device."""
import os
import pathlib

from harness import Server, same

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
    follow(door, "nvme_spec_data", TYPE1, [image(door, "data")])


def commands(door):
    """commands for I/O, blocks of both sizes, an image of odd size, and one that is only read"""
    odd, read_only = pathlib.Path(door.tmp, "odd"), pathlib.Path(door.tmp, "read_only")
    read_only.write_bytes(b"\x5a" * READ_ONLY)
    before = os.stat(read_only)
    for seed in (1, 2):
        odd.write_bytes(b"\xa7" * ODD)
        options = [image(door, "commands"), f"--device=nvme,image={odd},block=4096", f"--device=nvme,image={read_only},readonly"]
        with Server(door, options=options) as server:
            server.client("nvme_spec_commands", "--variant", str(CDEV), "--seed", str(seed))
            server.expect_no_leak("nvme_spec_commands")
        same(os.stat(odd).st_size, (ODD + 4095) // 4096 * 4096, "the size of the image that was made longer")
    same((read_only.read_bytes(), os.stat(read_only).st_mtime_ns), (b"\x5a" * READ_ONLY, before.st_mtime_ns), "what is only read")


def settings(door):
    """other ways to registers and memory, and other settings of the device"""
    options = [image(door, "defaults"), image(door, "large") + ",mdts=1M,queues=64,serial=A1",
               image(door, "small") + ",mdts=8K,queues=1"]
    follow(door, "nvme_spec_settings", TYPE1V2, options)


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
    "nvme-spec-hostile": hostile,
}
