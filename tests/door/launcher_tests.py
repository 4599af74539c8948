# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of iommuse's own process with the program's."""
import os
import signal

from harness import HANG, await_that, same, stat_of


def stopped_program(door, p, program):
    """iommuse stops and goes on with the program, also where nobody but the program is told to, and ends with it"""
    try:
        os.kill(program, signal.SIGSTOP)
        await_that(lambda: stat_of(p.pid)[1] == "T", "iommuse does not stop with the program")
        os.kill(program, signal.SIGCONT)
        await_that(lambda: stat_of(p.pid)[1] in ("S", "R"), "iommuse does not go on with the program")
        os.kill(program, signal.SIGSTOP)
        await_that(lambda: stat_of(p.pid)[1] == "T", "iommuse does not stop with the program again")
        os.kill(program, signal.SIGKILL)
        same(p.wait(HANG), 128 + signal.SIGKILL, "exit status of one that ends while it is stopped")
    finally:
        for pid in (program, p.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        p.wait()
    p.stdin.close()
    p.stdout.close()
    print("    ok the program alone is stopped and continued")
