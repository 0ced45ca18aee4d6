"""What a run has stored, read without a trainer: its record, its configuration, its weights as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from har.errors import DataError, UsageError
from har.evaluation.kinds import damage_of
from har.files import parse_json

_REASON = 120  # characters of what torch says of a file; some of it is a page


def read_run(folder: Path) -> dict[str, Any]:
    """Return a run's ``run.json``.

    Raises:
        UsageError: When the folder is no run.
        DataError: When the file is damaged.
    """
    path = _file_of(folder, "run.json")
    try:
        record: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        wrong: str | None = str(error)
    else:
        wrong = damage_of(record)
    if wrong:
        raise DataError(f"{path} is damaged ({wrong}).", "Delete the folder and repeat the run.")
    return record


def read_config(folder: Path) -> dict[str, Any]:
    """Return the complete configuration that a run was made with.

    Raises:
        UsageError: When the folder is no run.
        DataError: When the file is damaged.
    """
    path = _file_of(folder, "config.yaml")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        config = None
    if not isinstance(config, dict):
        raise DataError(f"{path} is damaged.", "Delete the folder and repeat the run.")
    return config


def _file_of(folder: Path, name: str) -> Path:
    """Return the path of a file that every run has; see the errors of its readers."""
    path = folder / name
    if not path.is_file():
        hint = "Give the folder that har fit named."
        if (below := next(_runs_below(folder), None)) is not None:
            hint = f"Give the folder of one of its runs, such as {below}."
        raise UsageError(f"{folder} holds no run: there is no {name}.", hint)
    return path


def _runs_below(folder: Path) -> Iterator[Path]:
    """Yield the runs of a study, of its variant or fold, or of the studies in a folder, each by name."""
    studies = [path.parent for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(f"{depth}study.json"))]
    of_studies = [(study, "*/*/*/run.json") for study in studies]  # variant / fold / repeat
    for place, pattern in [(folder, "*/run.json"), (folder, "*/*/run.json"), *of_studies]:
        for record in sorted(place.glob(pattern)):
            yield record.parent


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as tensors and plain values only, never as a pickle of objects.

    Raises:
        DataError: When it is missing or damaged.
    """
    if not path.is_file():
        raise DataError(f"there is no checkpoint {path}.", "Repeat the run, or name another run.")
    import torch  # 2 s, and records are read without it

    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["state_dict"], checkpoint["recipe"]
    except Exception as error:  # torch raises many kinds for bytes that are no checkpoint
        reason = " ".join(str(error).split())[:_REASON]
        raise DataError(
            f"the checkpoint {path} is damaged, or is none ({type(error).__name__}: {reason}).",
            "Name another, or repeat the run that wrote it.",
        ) from error
    return checkpoint
