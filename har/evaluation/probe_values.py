"""What the probes of a run come to: a few numbers that a difference between variants may go along with.

`probes.parquet` has a thousand rows. Of these, the ones that stand for a reason why a norm may help or hurt are taken
at the measurement next to the chosen weights:

- the shift of the stored statistics for the held-out subject, at each depth (`bn.esm_mean`, `bn.esm_var` of the test
  windows), and the largest of the depths;
- the share of the variance between subjects in front of the first norm of the batch (`bn.subject_icc`);
- what a reader can tell of amplitude and gravity at the input and no longer at the end of the last depth;
- the number of independent samples that a batch is worth to the first norm of the batch (`bn.neff`).

The learning rate is that of the run's learning curve. Definitions: docs/probes.md, docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from har.errors import DataError
from har.evaluation.counts import natural
from har.evaluation.probes import PROBES, read_probes

LEARNING_RATE = "learning rate"
_SHIFTS = {"bn.esm_mean": "shift of stored means", "bn.esm_var": "shift of stored variances"}
_FIRST_NORM = {"bn.subject_icc": "subject correlation", "bn.neff": "effective batch size"}
_LOST = {"probe.amplitude": "amplitude lost", "probe.gravity": "gravity lost"}
_LARGEST = ", largest"
_ORDER = (*_SHIFTS.values(), *_FIRST_NORM.values(), *_LOST.values(), LEARNING_RATE)

Values = dict[str, dict[str, float]]  # run's folder to the values of its probes, by name
_Columns = dict[str, np.ndarray]


def is_of_depth(name: str) -> bool:
    """Tell whether a value is of one depth, so that variants with norms elsewhere have none of it."""
    return any(name.startswith(word) for word in _SHIFTS.values()) and not name.endswith(_LARGEST)


def is_over_depths(name: str) -> bool:
    """Tell whether a value is the largest of several depths, so that it repeats one of theirs."""
    return name.endswith(_LARGEST)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of values, each once, in the order of this module's account, depths ascending."""
    return sorted(set(names), key=lambda name: (_ORDER.index(name.partition(",")[0]), natural(name)))


def run_values(folder: Path, record: dict[str, Any], curve: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return what the probes of one run come to, by name; without probes there is the learning rate alone.

    Args:
        folder: The run's folder.
        record: The content of its `run.json`.
        curve: The content of its `metrics.jsonl`.

    Raises:
        DataError: When its probes are damaged.
    """
    rates = [float(point["learning_rate"]) for point in curve if point.get("learning_rate") is not None]
    values = {LEARNING_RATE: max(rates)} if rates else {}
    if (folder / PROBES).is_file():
        values |= _of_table(folder / PROBES, record.get("best_step"))
    return {name: value for name, value in values.items() if np.isfinite(value)}


def has_probes(values: dict[str, float]) -> bool:
    """Tell whether a run's values are of more than its learning rate."""
    return bool(set(values) - {LEARNING_RATE})


def _of_table(path: Path, best_step: Any) -> dict[str, float]:
    """Return the values of a table of probes."""
    table = read_probes(path)
    rows: _Columns = {name: table.column(name).to_numpy() for name in ("step", "group", "depth", "probe", "value")}
    trained = rows["group"] == "train"
    steps = np.unique(rows["step"][trained])
    if not len(steps):
        raise DataError(f"{path} has no row of the training windows.", "Repeat the run with --probes true.")
    step = steps[np.argmin(np.abs(steps - (steps[-1] if best_step is None else best_step)))]
    trained &= rows["step"] == step
    return _shifts(rows) | _first_norm(rows, trained) | _lost(rows, trained)


def _shifts(rows: _Columns) -> dict[str, float]:
    """Return the shift of the stored statistics for the held-out subject, by depth and at most."""
    found: dict[str, float] = {}
    for probe, word in _SHIFTS.items():
        chosen = (rows["group"] == "test") & (rows["probe"] == probe)
        depths = np.unique(rows["depth"][chosen])
        means = [float(np.mean(rows["value"][chosen & (rows["depth"] == depth)])) for depth in depths]
        found |= {f"{word}, depth {depth}": mean for depth, mean in zip(depths, means, strict=True)}
        if means:
            found[word + _LARGEST] = max(means)
    return found


def _first_norm(rows: _Columns, trained: np.ndarray) -> dict[str, float]:
    """Return what the first norm of the batch gets."""
    found = {}
    for probe, word in _FIRST_NORM.items():
        chosen = np.flatnonzero(trained & (rows["probe"] == probe))
        if len(chosen):
            found[word] = float(rows["value"][chosen[np.argmin(rows["depth"][chosen])]])
    return found


def _lost(rows: _Columns, trained: np.ndarray) -> dict[str, float]:
    """Return how much less can be read at the end of the last depth than in front of the first."""
    found = {}
    for probe, word in _LOST.items():
        chosen = np.flatnonzero(trained & (rows["probe"] == probe))
        depth = rows["depth"][chosen]
        if len(chosen) and depth.min() < depth.max():
            first, last = (
                chosen[depth == depth.min()][0],
                chosen[depth == depth.max()][-1],
            )  # rows are in order of layers
            found[word] = float(rows["value"][first] - rows["value"][last])
    return found
