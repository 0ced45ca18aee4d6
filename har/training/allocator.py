"""Memory that a run has used is kept for its next step, instead of going back to the system in between."""

from __future__ import annotations

import ctypes
import functools
import platform

_TRIM_THRESHOLD, _MAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>
_KEPT_BYTES = 1 << 28


@functools.cache
def keep_freed_memory() -> bool:
    """Let the C library's allocator keep up to 256 MiB of freed memory, and take arrays up to that size from it.

    As it comes, glibc hands the activations of a step back to the system and asks for them again in the next, which
    then clears 2000 pages, one by one: 1.5 to 3 ms of a step of 10 (three convolutions of 64 filters, 64 windows of
    200 samples). The most that a process holds at a time does not change by it, only what it holds between the steps.

    Returns:
        Whether that was done; with another C library than glibc nothing is.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES) and mallopt(_MAP_THRESHOLD, _KEPT_BYTES))
