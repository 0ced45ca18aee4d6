"""What a node of a Ray cluster does for a study: one run in a folder of its own, from a store that it unpacks once.

Nothing but these values need reach the node: a shared file system is used where there is one, and not needed.
"""

from __future__ import annotations

import copy
import io
import os
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from filelock import FileLock

from har.files import sha256_of_file, write_json, write_text
from har.study.worker import find_runner, sentence
from har.windows.prepare import store_folder

StoreFiles = dict[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class Order:
    """One run to be made on some node.

    Attributes:
        config: Its complete configuration.
        fold: Its fold, as in a file of folds.
        facts: What its record shall also say.
        before: The run's folder, packed, where it goes on from it; else None.
        runner: ``module:function`` that makes it.
    """

    config: dict[str, Any]
    fold: dict[str, Any]
    facts: dict[str, Any]
    before: bytes | None
    runner: str


@dataclass(frozen=True)
class Made:
    """What came of an order.

    Attributes:
        folder: The run's folder, packed; None where the run did not begin, so that what it goes on from stays.
        error: What went wrong, None when nothing did.
        log: The traceback of the error.
        seconds: Wall time of the run.
        node: The node's name.
    """

    folder: bytes | None
    error: str | None
    log: str
    seconds: float
    node: str


def read_store(folder: Path) -> StoreFiles:
    """Return the files of a prepared store as they are, in bytes."""
    return {path.name: np.fromfile(path, np.uint8) for path in sorted(folder.iterdir()) if path.is_file()}


def unpacked(name: str, sha256: str, root: str | None, fetch: Callable[[], StoreFiles]) -> Path:
    """Return a data root on this node that has the study's store.

    Args:
        name: The data set.
        sha256: Hash of the store, as its manifest's.
        root: The study's own data root, which is taken where this node sees it.
        fetch: Brings the store's files to this node.

    Returns:
        The root: the study's, or a folder of this node's that is filled once, whatever the number of runs.
    """
    if _manifest_hash(store_folder(name, root)) == sha256:
        return store_folder(name, root).parents[1]
    place = Path(tempfile.gettempdir()) / f"har-stores-{os.getuid()}" / sha256
    target = store_folder(name, place)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(place / ".lock"):
        if _manifest_hash(target) != sha256:
            files = fetch()
            target.mkdir(parents=True, exist_ok=True)
            for file in sorted(files, key=lambda file: file == "manifest.json"):  # last: it says that all is there
                files[file].tofile(target / file)
    return place


def _manifest_hash(folder: Path) -> str | None:
    """Return the hash of a store, None where there is none."""
    manifest = folder / "manifest.json"
    return sha256_of_file(manifest) if manifest.is_file() else None


def make(order: Order, root: Path, node: str) -> Made:
    """Make a run in a folder of its own and pack it.

    Args:
        order: The run.
        root: A data root of this node.
        node: The node's name.
    """
    began = time.perf_counter()
    error, log, has_begun = None, "", False
    with tempfile.TemporaryDirectory(prefix="har-run-") as scratch:
        folder, folds = Path(scratch) / "run", Path(scratch) / "folds.json"
        write_json(folds, {"folds": [order.fold]})
        config = copy.deepcopy(order.config)
        here = {"root": str(root), "folds": str(folds), "train_subjects": None}
        config["data"] |= {key: value for key, value in here.items() if key in config["data"]}
        try:
            runner = find_runner(order.runner)
            if order.before is not None:
                unpack(order.before, folder)
            began, has_begun = time.perf_counter(), True  # imports are no part of the run's time
            runner(config, folder, resume=order.before is not None, facts=order.facts)
        except (Exception, SystemExit) as failure:  # noqa: BLE001 - whatever a run raises fails that run alone
            log = "".join(traceback.format_exception(failure))
            error = sentence(failure)
        seconds = time.perf_counter() - began
        _restore_config(folder, order.config)
        return Made(pack(folder) if has_begun else None, error, log, seconds, node)


def _restore_config(folder: Path, config: dict[str, Any]) -> None:
    """Put the study's own places back into the run's configuration."""
    path = folder / "config.yaml"
    if not path.is_file():
        return
    saved = yaml.safe_load(path.read_text(encoding="utf-8"))
    saved["data"] |= {key: config["data"][key] for key in ("root", "folds", "train_subjects") if key in config["data"]}
    write_text(path, yaml.safe_dump(saved, sort_keys=False, allow_unicode=True))


def pack(folder: Path) -> bytes:
    """Return a folder's files as the bytes of a zip archive, locks left out; empty where there is no folder."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != ".lock":
                archive.write(path, path.relative_to(folder).as_posix())
    return stream.getvalue()


def unpack(packed: bytes, folder: Path) -> None:
    """Put the files of `pack` into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
