"""How a run begins, whatever trains it: its folder held, its data set up, its network built, its record written."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from filelock import FileLock, Timeout

from har.errors import DivergenceError, HarError, UsageError
from har.evaluation.smoothing import TRANSITIONS
from har.files import write_json, write_text
from har.norms.base import skipped_updates
from har.training import provenance
from har.training.cli import parts
from har.training.datamodule import HarDataModule
from har.training.module import HarModule
from har.training.possible import require_possible
from har.training.record import read_run, record_of
from har.windows.transitions import transition_record


@dataclass(frozen=True)
class Begun:
    """A run that has begun and is to be trained.

    Attributes:
        folder: The run's folder, which is held.
        config: The complete configuration, its fold named.
        module: The module, its network built.
        data: The data module, set up.
        settings: The configuration's section ``trainer``.
        record: What run.json says of the run.
        resume: Whether it goes on from its last checkpoint.
    """

    folder: Path
    config: dict[str, Any]
    module: HarModule
    data: HarDataModule
    settings: dict[str, Any]
    record: dict[str, Any]
    resume: bool

    @property
    def best(self) -> Path:
        """Where the chosen weights are."""
        return self.folder / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        """Where the last weights are."""
        return self.folder / "checkpoints" / "last.ckpt"

    def finish(self, outcome: dict[str, Any]) -> None:
        """Write the record of a finished run, its last file."""
        self.record["warnings"] += _told(skipped_updates(self.module.network))
        write_json(self.folder / "run.json", {"status": "done", **self.record, **outcome})


def begin(config: dict[str, Any], folder: Path, *, resume: bool, facts: dict[str, Any] | None) -> Begun:
    """Begin a run in a folder that is held (`held`); see `har.training.run.run` for arguments and errors."""
    _require_free(folder, resume)
    started = provenance.now()
    record: dict[str, Any] = {**(facts or {}), "seed": config["seed_everything"], "started": started}
    # The record of a run that is to be resumed stays as it is until it goes on.
    with nullcontext() if resume else failure_recorded(folder, record):
        module, data, settings = parts(config)
        data.setup()
        require_possible(config.get("inferences", []), module, data)
    config = copy.deepcopy(config)
    config["data"]["fold"] = data.fold.name
    record |= record_of(config, data)
    if resume:
        _require_same(folder, record)
        record["started"] = read_run(folder).get("started", started)
    _write_inputs(folder, config, data)
    with failure_recorded(folder, record):
        record["warnings"] = _told([*data.store.cautions, *shown_once(data), *module.doubts(data)])
        write_json(folder / "run.json", {"status": "running", **record})
    return Begun(folder, config, module, data, settings, record, resume)


@contextmanager
def failure_recorded(folder: Path, record: dict[str, Any]) -> Iterator[None]:
    """Write why a run failed into its run.json, for whoever finds the folder; the error goes on."""
    try:
        yield
    except Exception as error:
        sentence = str(error) if isinstance(error, HarError) else f"{type(error).__name__}: {error}"
        how = {"error": sentence, "diverged": isinstance(error, DivergenceError)}
        with suppress(OSError):  # a full disk is the error to tell, not that it could not be told here
            write_json(folder / "run.json", {"status": "failed", **record, **how})
        raise


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"another process is writing the run {folder}.", "Wait for it, or choose --out.") from None
    try:
        yield
    finally:
        lock.release()


def _require_free(folder: Path, resume: bool) -> None:
    """Refuse a folder whose content would be lost, or that has nothing to resume."""
    there = {path.name for path in folder.iterdir()} - {".lock"}
    if "run.json" in there and read_run(folder)["status"] == "done":
        raise UsageError(
            f"{folder} holds a finished run, which is never overwritten.",
            "Choose another folder with --out, or delete this one.",
        )
    last = folder / "checkpoints" / "last.ckpt"
    if resume and not last.is_file():
        raise UsageError(f"{folder} has nothing to resume from: there is no checkpoints/last.ckpt.", "Start it anew.")
    if not resume and last.is_file():
        raise UsageError(
            f"{folder} holds an unfinished run.", f"Go on with it: har fit --resume {folder}; or delete the folder."
        )
    if not resume and there and "run.json" not in there and "config.yaml" not in there:
        raise UsageError(f"{folder} holds files that are no run ({sorted(there)[0]}).", "Choose another --out.")


def _require_same(folder: Path, record: dict[str, Any]) -> None:
    """Refuse to go on with a run under another configuration, other data or another split, or with other probes."""
    earlier = read_run(folder)
    hashes = earlier.get("hashes", {})
    differ = [name for name, value in record["hashes"].items() if hashes.get(name) != value]
    differ += ["probes"] if earlier.get("probes") != record["probes"] else []
    if differ:
        raise UsageError(
            f"the unfinished run {folder} has another {' and '.join(differ)}.",
            "A run is resumed only as it was started; choose another --out for the new one.",
        )


def _write_inputs(folder: Path, config: dict[str, Any], data: HarDataModule) -> None:
    """Save the configuration, which runs again as it is, the fold, and what follows what in its training labels."""
    write_text(folder / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    write_json(folder / "fold.json", data.fold.record())
    write_json(folder / TRANSITIONS, transition_record(data.train, data.spec.step_s, data.store.rate_hz))


def shown_once(data: HarDataModule) -> list[str]:
    """Return a sentence for each activity with a single training window; one that has none is refused before.

    Args:
        data: The data module, set up.
    """
    counts_K = np.bincount(data.train.label, minlength=len(data.activities))
    once = [name for name, count in zip(data.activities, counts_K.tolist(), strict=True) if count == 1]
    return [f"{name} has one training window: nothing is learnt of how it differs." for name in once]


def _told(warnings: list[str]) -> list[str]:
    """Print warnings as they are found, and return them for run.json."""
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
    return warnings
