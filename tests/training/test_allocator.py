"""Steps reuse the memory of the step before."""

from __future__ import annotations

import platform
import subprocess
import sys

_FAULTS = """
import resource, sys
if sys.argv[1] == "kept":
    from har.training.allocator import keep_freed_memory
    assert keep_freed_memory() and keep_freed_memory()

def step():
    held = [b"x" * (1 << size) for size in (22, 23, 24, 24, 24)]
    return sum(map(len, held)) // resource.getpagesize()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

step(), step()
before = faults()
pages = [step() for _ in range(10)]
print((faults() - before) // 10, pages[0])
"""


def test_memory_is_not_cleared_anew_in_each_step() -> None:
    if platform.libc_ver()[0] != "glibc":
        from har.training.allocator import keep_freed_memory

        assert not keep_freed_memory()
        return
    faults = {}
    for mode in ("kept", "as it comes"):
        command = [sys.executable, "-c", _FAULTS, mode]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        faults[mode], pages = map(int, done.stdout.split())
    assert faults["kept"] < pages / 100 < pages / 2 < faults["as it comes"], pages
