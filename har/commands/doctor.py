"""`har doctor`: what this installation is and what it finds on this machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from har import __version__
from har.commands.parser import CommandParser
from har.files import data_root, runs_root

_PACKAGES = ("torch", "pytorch-lightning", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "seglearn")


def main(args: list[str]) -> int:
    """Print one line per finding; exit with 3 when something that a study needs is missing."""
    parser = CommandParser(
        "doctor", "Versions, threads, data found, disk, accelerators.", "har doctor\nhar doctor --versions"
    )
    parser.add_argument("--versions", action="store_true", help="only the versions")
    parser.add_argument("--root", help="folder of the data (default $HAR_DATA or ./data)")
    options = parser.parse_args(args)
    _versions()
    if options.versions:
        return 0
    checks = {
        "threads": _threads,
        "disk": lambda: _disk(data_root(options.root)),
        "runs": lambda: _writable(runs_root()),
        "accelerator": _accelerators,
        "data": lambda: _data(options.root),
    }
    found = [_say(name, check) for name, check in checks.items()]
    return 0 if all(found) else 3


def _versions() -> None:
    """Print har, Python and the packages that its numbers depend on."""
    print(f"har           {__version__}")
    print(f"python        {platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in _PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "missing: make install, or pip install it"
        print(f"{name:20}{version}" if len(name) > 12 else f"{name:14}{version}")


def _say(name: str, check: Callable[[], tuple[bool, str]]) -> bool:
    """Print a check's line and return whether it is fine."""
    fine, text = check()
    print(f"{name:14}{text}")
    return fine


def _threads() -> tuple[bool, str]:
    """Count the cores this process may use; a study uses one worker with one thread for each."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return True, f"{cores} cores: a study takes {cores} workers with one thread each"


def _disk(folder: Path) -> tuple[bool, str]:
    """Say how much room is left where data are kept."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free_gib = shutil.disk_usage(there).free / (1 << 30)
    return free_gib > 1, f"{free_gib:.1f} GiB free for {folder}{'' if free_gib > 1 else ': too little, make room'}"


def _writable(folder: Path) -> tuple[bool, str]:
    """Say whether runs can be written."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    fine = os.access(there, os.W_OK)
    return fine, f"{folder} {'is writable' if fine else 'cannot be written: choose another with HAR_RUNS'}"


def _accelerators() -> tuple[bool, str]:
    """Name the accelerators that torch sees; none is needed."""
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return True, ", ".join(names) or "none, the processor is used"


def _data(root: str | None) -> tuple[bool, str]:
    """Say which data sets are prepared."""
    from har.datasets.registry import card_names
    from har.windows.prepare import store_folder

    prepared = [name for name in card_names() if (store_folder(name, root) / "manifest.json").exists()]
    return True, f"prepared: {', '.join(prepared) or 'none yet (har prepare spar)'}"
