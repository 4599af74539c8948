# SPDX-License-Identifier: BSD-3-Clause
"""The tests of the door that have VFIO devices."""
import os
import pathlib
import shutil
import subprocess
import time

from harness import Server, Skipped, check, report


def devfile(door):
    """descriptors of devices"""
    model = f"--device={door.programs}/door-model.so"
    with Server(door, options=[model, model]) as server:
        server.client("devfile", "--rounds", door.rounds(100, 1000))
        server.expect_no_leak("devfile")


def devices(door):
    """a driver over VFIO, by each of four ways to a device"""
    with Server(door, options=["--device", "ioat"]) as server:
        for variant, way in enumerate(("type 1", "type 1 version 2", "an iommufd as container", "a node of its own")):
            print(f"    {way}:")
            server.client("vfio", "--variant", str(variant), "--rounds", door.rounds(50, 1000))
        server.expect_no_leak("devices")


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
                report(out[-2000:] + err[-2000:])
            check("Test OK" in out, "dmadev_autotest says no 'Test OK'")
            print(f"    ok dmadev_autotest, {time.monotonic() - start:.1f} s{' beside others' if busy else ''}")
    finally:
        for p in busy:
            p.kill()
            p.wait()
    door.expect_nothing_left(before)
