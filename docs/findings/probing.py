"""What the probes of a study's runs come to: one number of every variant, fold and probe.

Of a run, the median over its measurements is taken (a single one jumps from evaluation to evaluation), of a fold the
mean over repeats. What the probes are: docs/probes.md.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har.evaluation.arms import RUNNING, parts_of
from har.evaluation.gathering import Gathered
from har.evaluation.probes import PROBES as FILE
from har.evaluation.probes import read_probes

_Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Probe:
    """One number of a run.

    Attributes:
        name: Name in `probes.csv`.
        words: What it is, for a reader.
        probe: Name in a run's `probes.parquet`.
        group: The windows that it is of.
        at: What it is measured at, where it is measured at several things.
        depth: ``first`` or ``last`` of the depths that have it; empty for the mean over depths.
    """

    name: str
    words: str
    probe: str
    group: str = "train"
    at: float | None = None
    depth: str = ""


SHOWN = (
    Probe("loss.smoothness", "change of the gradient along a step (effective β)", "loss.smoothness"),
    Probe("loss.gradient_change", "the same over the length of one step", "loss.gradient_change", at=1.0),
    Probe("loss.change", "change of the loss over that length", "loss.change", at=1.0),
    Probe("upd.ratio", "length of a step, as a share of the weights' length", "upd.ratio"),
    Probe("grad.slope", "slope of the logarithm of gradients over depth", "grad.slope"),
    Probe("act.dead", "share of dead channels", "act.dead"),
    Probe("act.stable_rank", "stable rank behind the last convolution", "act.stable_rank", depth="last"),
    Probe("gap.flip", "share of decisions that differ between training and inference mode", "gap.flip"),
    Probe("gap.mode_loss", "loss in training mode minus loss in inference mode", "gap.mode_loss"),
    Probe("batch.random", "change of probabilities by other windows in the batch", "batch.sensitivity.random"),
    Probe("batch.activity", "the same, a batch of one activity", "batch.sensitivity.activity"),
    Probe("bn.esm_mean", "shift of stored means, held-out subject", "bn.esm_mean", group="test"),
    Probe("bn.esm_var", "shift of stored variances, held-out subject", "bn.esm_var", group="test"),
    Probe("bn.neff", "independent samples of a batch at the first norm", "bn.neff", depth="first"),
    Probe("bn.subject_icc", "share of variance between subjects at the first norm", "bn.subject_icc", depth="first"),
    Probe("read.activity", "activity read behind the last convolution, recall", "probe.activity", depth="last"),
    Probe("read.subject", "subject read there, recall", "probe.subject", depth="last"),
    Probe("read.amplitude", "amplitude read there, R²", "probe.amplitude", depth="last"),
    Probe("read.gravity", "gravity read there, R²", "probe.gravity", depth="last"),
)


def probe_rows(folder: Path, gathered: Gathered) -> tuple[list[dict[str, object]], int]:
    """Return variant, fold, probe and value of everything that the runs of a study measured, and in how many repeats.

    Args:
        folder: The study's folder.
        gathered: Its runs; those without probes have no part in it.

    Raises:
        DataError: A run's probes are damaged.
    """
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    repeats = set()
    for run in gathered.runs:
        if parts_of(run.arm)[1] == RUNNING and (folder / run.folder / FILE).is_file():
            repeats.add(run.repeat)
            table = read_probes(folder / run.folder / FILE)
            columns = {
                name: table.column(name).to_numpy() for name in ("step", "group", "depth", "probe", "at", "value")
            }
            for probe in SHOWN:
                if (value := _of_run(columns, probe)) is not None:
                    values[run.arm, run.fold, probe.name].append(value)
    rows: list[dict[str, object]] = [
        {"variant": variant, "fold": fold, "probe": probe, "value": float(np.mean(found))}
        for (variant, fold, probe), found in values.items()
    ]
    return rows, len(repeats)


def _of_run(columns: _Columns, probe: Probe) -> float | None:
    """Return one number of a run; None where it was not measured or is not a number."""
    chosen = (columns["probe"] == probe.probe) & (columns["group"] == probe.group)
    if probe.at is not None:
        chosen &= columns["at"] == probe.at
    rows = {name: columns[name][chosen] for name in ("step", "depth", "value")}
    if not len(rows["value"]):
        return None
    of_step = [_of_step(rows["depth"][at], rows["value"][at], probe.depth) for at in _steps(rows["step"])]
    known = [value for value in of_step if np.isfinite(value)]
    return float(np.median(known)) if known else None


def _steps(step_N: np.ndarray) -> list[np.ndarray]:
    """Return where the rows of each measurement are."""
    return [np.flatnonzero(step_N == step) for step in np.unique(step_N)]


def _of_step(depth_N: np.ndarray, value_N: np.ndarray, depth: str) -> float:
    """Return one number of a measurement; of several rows of one depth the last stands at its end."""
    if depth == "last":
        return float(value_N[depth_N == depth_N.max()][-1])
    if depth == "first":
        return float(value_N[depth_N == depth_N.min()][0])
    known = value_N[np.isfinite(value_N)]
    return float(known.mean()) if len(known) else float("nan")
