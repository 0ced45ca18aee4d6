"""What a variant costs: its weights, time and memory of its runs on the machine that made them, time of a decision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from har.errors import DataError
from har.evaluation.arms import RUNNING, parts_of
from har.evaluation.gathering import Gathered, Run, read_json
from har.evaluation.numbers import Column, Table

EXPORT = Path("export") / "deploy.json"  # in a run's folder, by `har export RUN`
_FORM = "model.onnx"  # the form whose latency is shown: norms folded, as it is deployed


def latency(folder: Path, runs: Sequence[Run]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return how long the exported networks of some runs take for one window, and what cannot be read.

    Args:
        folder: The study's folder.
        runs: Runs of one variant.

    Returns:
        ``single_ms``, the mean over exported runs of the median time on one core, and ``runs``, how many these are;
        None where no run was exported. Then a sentence for each file that is damaged.
    """
    found, problems = [], []
    for run in runs:
        path = folder / run.folder / EXPORT
        if not path.is_file():
            continue
        try:
            milliseconds = float(read_json(path)["cost"][_FORM]["single_ms"])
            if not 0 < milliseconds < math.inf:
                raise ValueError(milliseconds)
            found.append(milliseconds)
        except (DataError, KeyError, TypeError, ValueError):
            problems.append(f"The latency of run {run.folder} is left out: {EXPORT.as_posix()} does not tell it.")
    return ({"single_ms": float(np.mean(found)), "runs": len(found)} if found else None), problems


def cost_table(result: dict[str, Any], gathered: Gathered) -> Table:
    """Return score and cost of each variant side by side.

    Args:
        result: What `har.evaluation.comparison.evaluate_study` returns.
        gathered: The runs that it was made from.
    """
    columns = [Column("variant"), Column(f"macro F1 ({result['policy']}), mean over subjects", "score")]
    columns += [Column("seconds per run", "seconds"), Column("SD over runs", "seconds")]
    columns += [Column("parameters", "mean"), Column("steps", "mean"), Column("best step, mean", "mean")]
    columns += [Column("peak memory, MiB", "mean"), Column("runs", "count")]
    columns += [Column("latency of a window, ms", "score"), Column("runs exported", "count")]
    rows: list[list[Any]] = []
    for name, found in result["variants"].items():
        if parts_of(name)[1] != RUNNING:
            continue  # other statistics at inference are of the same training
        runs = gathered.of(name)
        seconds = _known(run.record.get("seconds") for run in runs)
        memory = _known(run.record.get("peak_memory_mib") for run in runs)
        steps = _known(run.curve[-1].get("step") for run in runs if run.curve)
        spread = float(np.std(seconds, ddof=1)) if len(seconds) > 1 else None
        used = [found["parameters"], _mean(steps), found["best_step"], _mean(memory), found["runs"]]
        measured = found["latency"] or {"single_ms": None, "runs": 0}
        used += [measured["single_ms"], measured["runs"]]
        rows.append([name, found["macro_f1"], found["seconds"], spread, *used])
    note = (
        "Means over runs. Seconds are of whole runs, evaluations included, on the machine named under provenance; runs"
        " that share its cores slow one another. Latency: median time of one window on one core, of the network as"
        " har export writes it (ONNX, norms folded), mean over the runs that were exported."
    )
    return Table("cost", "Cost of training and use", columns, rows, note)


def _known(values: Iterable[float | None]) -> list[float]:
    """Return the values that are there."""
    return [value for value in values if value is not None]


def _mean(values: list[float]) -> float | None:
    """Return a mean; None of nothing."""
    return float(np.mean(values)) if values else None
