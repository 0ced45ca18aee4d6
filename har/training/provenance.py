"""Where a result comes from: versions, commit, machine."""

from __future__ import annotations

import contextlib
import datetime
import functools
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

from har import __version__

_PACKAGES = ("torch", "pytorch-lightning", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "jsonargparse")


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python, of the project and of what its numbers depend on."""
    found = {"python": platform.python_version(), "har-lab": __version__}
    return found | {name: importlib.metadata.version(name) for name in _PACKAGES}


@functools.cache
def commit() -> str | None:
    """Return the commit of the source tree, with ``+changes`` where files differ from it.

    Outside a checkout it is what ``HAR_COMMIT`` says, which the Docker image sets; else None.
    """
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return os.environ.get("HAR_COMMIT") or None
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "har")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    """Return what a git command prints about `folder`."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


@functools.cache
def machine() -> str:
    """Return processor architecture, system and model name, without any host name."""
    model = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        names = [line.split(":", 1)[1].strip() for line in cpu_info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{platform.system()} {platform.machine()}, {model}"


def forget_peak_memory() -> None:
    """Begin a new count of the peak, where the system can do that: a worker makes many runs, each with its own."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mib() -> float:
    """Return the largest resident memory of this process since `forget_peak_memory`, or since it began, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        peak_kib = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(peak_kib) / 1024, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20) if sys.platform == "darwin" else peak / 1024, 1)  # bytes there, KiB elsewhere


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
