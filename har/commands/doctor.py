"""`har doctor`: what this installation is and what it finds on this machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from har import __version__
from har.commands.parser import CommandParser
from har.commands.study import cores
from har.files import data_root, runs_root

_PACKAGES = ("torch", "pytorch-lightning", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "seglearn")


def main(args: list[str]) -> int:
    """Print one line per finding; exit with 3 when something that a study needs is missing."""
    parser = CommandParser(
        "doctor", "Versions, threads, data found, disk, accelerators.", "har doctor\nhar doctor --versions"
    )
    parser.add_argument("--versions", action="store_true", help="only the versions")
    parser.add_root()
    options = parser.parse_args(args)
    found = [_versions()]
    if not options.versions:
        found.append(_say("threads", *_threads()))
        found.append(_say("disk", *_disk(data_root(options.root))))
        found.append(_say("runs", *_writable(runs_root())))
        found.append(_say("accelerator", *_accelerators()))
        found.extend(_say("data", fine, text) for fine, text in _data(options.root))
    return 0 if all(found) else 3


def _versions() -> bool:
    """Print har, Python and the packages that its numbers depend on; return whether all of them are there."""
    complete = True
    print(f"har           {__version__}")
    print(f"python        {platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in _PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = "missing: make install, or pip install it"
            complete = False
        print(f"{name:20}{version}" if len(name) > 12 else f"{name:14}{version}")
    return complete


def _say(name: str, fine: bool, text: str) -> bool:
    """Print a finding's line and return whether it is fine."""
    print(f"{name:14}{text}")
    return fine


def _threads() -> tuple[bool, str]:
    """Count the cores this process may use; a study uses one worker with one thread for each."""
    return True, f"{cores()} cores: a study takes {cores()} workers with one thread each"


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
    try:
        import torch
    except ImportError:
        return False, "not known without torch"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return True, ", ".join(names) or "none, the processor is used"


def _data(root: str | None) -> Iterator[tuple[bool, str]]:
    """Say which data sets are prepared, by the sizes of their files; which stores are others, earlier or damaged."""
    from har.datasets.recording import natural_order
    from har.datasets.registry import card_names, get_card
    from har.errors import DataError
    from har.windows.prepare import is_prepared, store_folder
    from har.windows.store import Store

    found: dict[str, list[str]] = {"prepared": [], "earlier": [], "other": []}
    damaged: list[str] = []
    for name in natural_order(path.name for path in _stores(store_folder("", root))):
        try:
            Store.open(store_folder(name, root))
        except DataError as error:
            damaged.append(f"{error.what} {error.hint}")
            continue
        is_card = name in card_names()
        found[("prepared" if is_prepared(get_card(name), root) else "earlier") if is_card else "other"].append(name)
    yield True, f"prepared: {', '.join(found['prepared']) or 'none yet (har prepare spar)'}"
    for name in found["earlier"]:
        yield True, f"{name} was prepared from another card or recipe than this version's: har prepare {name}"
    if found["other"]:
        yield True, f"stores of other cards or recipes: {', '.join(found['other'])}"
    yield from ((False, text) for text in damaged)


def _stores(folder: Path) -> list[Path]:
    """Return the folders of stores; those that begin with a dot are being written, or left over."""
    return [path for path in folder.glob("[!.]*") if path.is_dir()]
