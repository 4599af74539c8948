# SPDX-License-Identifier: BSD-3-Clause
"""The tests of the door that have PASIDs and shared address spaces."""
import os
import re
import signal
import subprocess

from harness import HANG, Server, Skipped, cases, check, read_line, same


def ioasid(door):
    """each command of /dev/ioasid"""
    for bits in (20, 8):
        with Server(door, options=[f"--pasid-bits={bits}"] if bits != 20 else []) as server:
            print(f"    {bits} bits:")
            server.client("ioasid", "--variant", str(bits), "--rounds", door.rounds(50, 1000))
            server.expect_no_leak("ioasid")


def owners(door):
    """whose PASIDs they are, through fork, exec, SCM_RIGHTS, threads and vfork"""
    with Server(door) as server:
        server.client("ioasid_owner", "--rounds", door.rounds(20, 500))
        server.expect_no_leak("ioasid_owner")


def memory(door):
    """which memory is a process's, through execve, and where several have one"""
    with Server(door) as server:
        server.client("ioasid_memory", "--rounds", door.rounds(20, 500))
        server.expect_no_leak("ioasid_memory")


def space(door):
    """the whole space among processes that exhaust it, free it, and end in every state"""
    for bits in (8, 20) if door.long else (8,):
        with Server(door, options=[f"--pasid-bits={bits}"]) as server:
            print(f"    {bits} bits:")
            server.client("ioasid_space", "exhausted_by_two", "taken_in_turns", "ends_in_every_state",
                          "nobody_gets_what_another_has", "threads_contend", "--variant", str(bits),
                          "--rounds", door.rounds(50, 1000))
            server.expect_no_leak("ioasid_space")


def quotas(door):
    """a quota for each process"""
    for quota in (3, 40):
        with Server(door, options=[f"--pasid-quota={quota}"]) as server:
            print(f"    {quota} for each:")
            server.client("ioasid_space", "quota_of_a_process", "failures_are_not_charged", "quota_and_fork",
                          "quota_of_threads", "ends_in_every_state" if quota > 20 else "quota_of_threads",
                          "--variant", str(quota), "--rounds", door.rounds(20, 300))
            server.expect_no_leak("quotas")
    refusals(door)


def refusals(door):
    """What a process was refused is told to who asks."""
    before = door.left_behind()
    name = f"refusals-{os.getpid()}"
    p = door.start(door.program("ioasid_space"), "refused_once", "--variant", "3",
                   options=[f"--name={name}", "--pasid-quota=3"],
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    same(read_line(p.stdout, "a program that is refused a PASID"), "# refused\n", "the program")
    status, out, err = door.run(door.iommuse, "status", name, plain=True)
    same((status, err), (0, ""), "iommuse status")
    check(re.search(r"\b3\s+3\s+1\b", out), f"3 of 3 PASIDs, and 1 refused, are not in {out}")
    print("    ok refusals are told")
    p.communicate("x", timeout=HANG)
    same(p.returncode, 0, "exit status")
    door.expect_nothing_left(before)


DMAX = ["--device", "dmax"]


class Bonds(Server):
    """What there is once for all bonds is there before the test begins."""

    def __enter__(self):
        super().__enter__()
        self.client("bind_rights", "own_child")
        self.baseline = self.steady_snapshot()
        self.kinds = self.kinds_of_descriptors()
        return self


def attached(door):
    """PASIDs that are attached to page tables of an iommufd"""
    with Bonds(door, options=[*DMAX, *DMAX]) as server:
        server.client("ioasid_attach", "--rounds", door.rounds(20, 500))
        server.expect_no_leak("ioasid_attach")
    with Bonds(door, options=[*DMAX, "--pasid-quota=2"]) as server:
        print("    2 for each:")
        server.client("ioasid_attach", "executes_while_attached", "--variant", "2", "--rounds", door.rounds(20, 500))
        server.expect_no_leak("a quota and execve")


def bind(door):
    """address spaces of processes that are bound to a container, by both types of IOMMU"""
    with Bonds(door, options=[*DMAX, *DMAX, "--device", "ioat"]) as server:
        for variant, way in enumerate(("type 1", "type 1 version 2")):
            print(f"    {way}:")
            server.client("bind", "--variant", str(variant), "--rounds", door.rounds(20, 500))
            server.expect_no_leak("bind")


def bind_crowd(door):
    """many address spaces that are bound, and those that outlive a thread or a process"""
    for options, arguments in ([], ["many_processes", "outlived_by_its_memory", "left_to_another", "first_thread_ends",
                                    "bound_by_another_thread", "bound_while_it_ends", "bound_while_it_is_killed",
                                    "stopped_process", "bound_twice_and_ends"]), \
                              (["--pasid-bits=3"], ["no_pasid_left", "--variant", "3"]):
        with Bonds(door, options=[*DMAX, *DMAX, *options]) as server:
            server.client("bind_crowd", *arguments, "--rounds", door.rounds(20, 500))
            server.expect_no_leak("bind_crowd")


def bind_rights(door):
    """who may bind whose address space"""
    with Bonds(door, options=DMAX) as server:
        server.client("bind_rights")
        server.expect_no_leak("bind_rights")


def sva(door):
    """a device that uses a process's own addresses"""
    for pin in ("follow", "share"):
        with Bonds(door, options=[*DMAX, *DMAX, f"--pin={pin}"]) as server:
            print(f"    --pin={pin}")
            server.client("sva", "--rounds", door.rounds(20, 1000))
            server.expect_no_leak("sva")


def sva_ends(door):
    """exit, exec, fork, munmap and UNBIND while a device is at work with a process's own addresses"""
    with Bonds(door, options=DMAX) as server:
        server.client("sva_ends", "--rounds", door.rounds(20, 1000))
        server.expect_no_leak("sva_ends")


def sva_stalled(door):
    """a device that waits for its process's own memory holds up nobody else, also when the process ends"""
    if not door.root:
        raise Skipped("only root mounts")
    folder = f"{door.tmp}/sva-stalled"
    os.mkdir(folder)
    for end, arguments in (("kill", []), ("kill", ["unmapped"]), ("exit", ["unmapped"]), ("answer", [])):
        file_server = door.start(door.program("silent"), "serve", folder, plain=True, stdout=subprocess.PIPE, text=True)
        line = read_line(file_server.stdout, "the file server")
        if line.startswith("skip"):
            raise Skipped(line[len("skip: "):].strip())
        try:
            with Bonds(door, options=[*DMAX, *DMAX]) as server:
                print(f"    {' '.join([end, *arguments])}:")
                server.ask("start", name="stalled", argv=[door.program("sva_stalled"), f"{folder}/file", *arguments])
                same(server.ask("line", name="stalled"), "ready\n", "the driver")
                file_server.send_signal(signal.SIGUSR1)
                server.ask("write", name="stalled", text="x")
                same(read_line(file_server.stdout, "the file server"), "read\n", "the file server")
                server.client("sva_stalled", "others_are_served")
                if end == "answer":
                    file_server.kill()
                if end == "kill":
                    server.ask("kill", name="stalled")
                status, out = server.ask("wait", name="stalled")
                same((status, out), (-9 if end == "kill" else 0, ""), end)
                server.client("sva_stalled", "others_are_served")
                file_server.kill()
                file_server.wait()
                server.baseline["processes"] -= 1
                server.client("sva_stalled", "is_over")
                server.expect_no_leak(end)
        finally:
            file_server.kill()
            subprocess.run(["umount", "-l", folder], check=False)
            file_server.wait()
            file_server.stdout.close()
    os.rmdir(folder)


REFUSED = (
    r"iommuse: 0000:01:00.0 PASID 77: DMA write of 10 bytes to IOVA 0x30001000 blocked: "
    r"nothing is mapped there; nearest map: [^\n]*\n")


def page_requests(door):
    """pages that a device asks for: who answers, and what a person is told"""
    with open(f"{door.tmp}/told", "w+", encoding="utf-8") as told:
        with Server(door, options=DMAX, stderr=told) as server:
            server.client("page_requests", "answered")
            server.client("page_requests", "refused")
        told.seek(0)
        text = "".join(line for line in told if " blocked: " in line)
        check(re.fullmatch(REFUSED, text), f"says {text!r}")
    cases("page_requests", 20, 500, DMAX)(door)


TESTS = {
    "ioasid": ioasid,
    "ioasid-owners": owners,
    "ioasid-memory": memory,
    "ioasid-space": space,
    "ioasid-quotas": quotas,
    "ioasid-attached": attached,
    "page-requests": page_requests,
    "bind": bind,
    "bind-crowd": bind_crowd,
    "bind-rights": bind_rights,
    "sva": sva,
    "sva-ends": sva_ends,
    "sva-stalled": sva_stalled,
}
