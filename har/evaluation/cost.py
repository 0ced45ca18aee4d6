"""What a variant costs: its weights, and the time and memory of its runs on the machine that made them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from har.evaluation.arms import RUNNING, parts_of
from har.evaluation.gathering import Gathered
from har.evaluation.numbers import Column, Table


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
        rows.append([name, found["macro_f1"], found["seconds"], spread, *used])
    note = (
        "Means over runs. Seconds are of whole runs, evaluations included, on the machine named under provenance; runs"
        " that share its cores slow one another."
    )
    return Table("cost", "Cost of training", columns, rows, note)


def _known(values: Iterable[float | None]) -> list[float]:
    """Return the values that are there."""
    return [value for value in values if value is not None]


def _mean(values: list[float]) -> float | None:
    """Return a mean; None of nothing."""
    return float(np.mean(values)) if values else None
