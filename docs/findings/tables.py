"""The CSV files of docs/results: their columns, and how they are read, written and put together.

A file holds the rows of several studies. Every row begins with its study and its data set; what is collected anew
replaces the rows of these two and leaves those of the others as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from har.errors import DataError
from har.files import write_text

Row = dict[str, Any]
STUDIES, SCORES, ACTIVITIES, VARIANTS = "studies", "scores", "activities", "variants"
CONTRASTS, ACTIVITY_CONTRASTS, PROBES, ASSOCIATIONS = "contrasts", "activity-contrasts", "probes", "associations"
TARGETS, TARGET_CURVES, TARGET_CONTRASTS, EXPECTED = "targets", "target-curves", "target-contrasts", "expected"

_ARM = ("variant", "inference")
_PAIR = ("a", "b")
COLUMNS: dict[str, tuple[str, ...]] = {
    STUDIES: (
        *("question", "file", "form", "division", "fold_count", "validation_subjects", "subjects", "repeats", "runs"),
        *("activities", "window_s", "step_s", "rate_hz", "batch_size", "max_steps", "learning_rate", "filters"),
        *("kernel", "scaling", "run_seconds", "machine", "torch", "commit", "probed"),
    ),
    SCORES: (*_ARM, "fold", "subject", "repeat", "windows", "accuracy", "macro_f1"),
    ACTIVITIES: (*_ARM, "subject", "repeat", "activity", "true", "predicted", "right", "f1"),
    VARIANTS: (
        *_ARM,
        "macro_f1",
        "macro_f1_sd",
        "macro_f1_pooled",
        "accuracy",
        "weighted_f1",
        "subjects",
        "parameters",
    ),
    CONTRASTS: (
        *(*_PAIR, "primary", "mean", "low", "high", "interval_method", "p", "p_holm", "p_holm_smallest", "family"),
        *("detectable", "sd", "subjects", "repeats", "verdict", "sentence"),
    ),
    ACTIVITY_CONTRASTS: (*_PAIR, "activity", "mean", "low", "high", "p", "p_holm", "subjects"),
    PROBES: ("variant", "fold", "probe", "value"),
    ASSOCIATIONS: (*_PAIR, "primary", "probe", "of", "subjects", "rho", "low", "high", "p", "p_holm", "finding"),
    TARGETS: (
        *("variant", "reference", "share", "limit_steps", "runs", "folds", "followed", "reached", "median_steps"),
        *("restricted_mean_steps",),
    ),
    TARGET_CURVES: ("variant", "step", "share"),
    TARGET_CONTRASTS: (
        *(*_PAIR, "folds", "folds_both", "ratio", "ratio_low", "ratio_high", "difference", "difference_low"),
        *("difference_high", "sentence"),
    ),
    EXPECTED: (*_ARM, "repeat", "subjects", "macro_f1", "tolerance", "sha256"),
}
KEY = ("study", "data_set")
_COUNTS = {"fold_count", "validation_subjects", "subjects", "repeats", "runs", "batch_size", "max_steps", "windows"}
_COUNTS |= {"repeat", "true", "predicted", "right", "family", "probed", "primary", "kernel", "parameters"}
_COUNTS |= {"folds", "folds_both"}
_NUMBERS = {
    "window_s",
    "step_s",
    "rate_hz",
    "learning_rate",
    "run_seconds",
    "accuracy",
    "macro_f1",
    "f1",
    "macro_f1_sd",
}
_NUMBERS |= {"macro_f1_pooled", "weighted_f1", "mean", "low", "high", "p", "p_holm", "p_holm_smallest", "detectable"}
_NUMBERS |= {"sd", "value", "rho", "share", "limit_steps", "followed", "reached", "median_steps", "step", "tolerance"}
_NUMBERS |= {"restricted_mean_steps", "ratio", "ratio_low", "ratio_high", "difference", "difference_low"}
_NUMBERS |= {"difference_high"}
_FIGURES = {
    "f1": 4,
    "value": 4,
    "accuracy": 6,
    "run_seconds": 3,
    "rho": 6,
}  # significant digits where fewer than all do


def read(folder: Path, name: str) -> list[Row]:
    """Read one file: numbers as numbers, an empty cell as None. A file that is not there has no rows.

    Args:
        folder: Where the files lie.
        name: One of `COLUMNS`.

    Raises:
        DataError: The file has other columns, or a cell is no number where one must be.
    """
    path = folder / f"{name}.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    head = [*KEY, *COLUMNS[name]]
    if not rows or rows[0] != head:
        raise DataError(f"{path} has other columns than {', '.join(head)}.", "Collect it anew.")
    try:
        return [{key: _value(key, cell) for key, cell in zip(head, row, strict=True)} for row in rows[1:]]
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}).", "Collect it anew.") from None


def write(folder: Path, name: str, rows: Iterable[Row]) -> None:
    """Write one file, whole or not at all.

    Args:
        folder: Where the files lie.
        name: One of `COLUMNS`.
        rows: Each with every column.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = [*KEY, *COLUMNS[name]]
    writer.writerow(head)
    writer.writerows([_cell(key, row[key]) for key in head] for row in rows)
    write_text(folder / f"{name}.csv", stream.getvalue())


def put_together(old: Sequence[Row], new: Sequence[Row], replaced: set[tuple[str, str]]) -> list[Row]:
    """Return the rows of all studies, in the order of their names: the old ones but for those that are replaced.

    Args:
        old: What a file holds.
        new: What was collected.
        replaced: Study and data set of everything that was collected, also of what has no rows of this kind.
    """
    kept = [row for row in old if (row["study"], row["data_set"]) not in replaced]
    return sorted([*kept, *new], key=lambda row: (row["study"], row["data_set"]))


def _value(key: str, cell: str) -> Any:
    """Return what a cell says."""
    if key in _COUNTS or key in _NUMBERS:
        return None if cell == "" else int(cell) if key in _COUNTS else float(cell)
    return cell


def _cell(key: str, value: Any) -> str:
    """Return a value as a cell: floats with as many digits as tell them apart, or as many as are of use."""
    if value is None:
        return ""
    if isinstance(value, float) and key in _FIGURES:
        return f"{value:.{_FIGURES[key]}g}"
    return str(int(value)) if key in _COUNTS else repr(float(value)) if key in _NUMBERS else str(value)
