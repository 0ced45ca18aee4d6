"""What a variant costs: its weights, time and memory of its runs on the machine that made them, a decision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from har.evaluation.arms import RUNNING, parts_of
from har.evaluation.gathering import Gathered
from har.evaluation.numbers import Column, Table
from har.evaluation.use_cost import DEPLOYED


def cost_table(result: dict[str, Any], gathered: Gathered) -> Table:
    """Return score and cost of each variant side by side.

    Args:
        result: What `har.evaluation.comparison.evaluate_study` returns.
        gathered: The runs that it was made from.
    """
    columns = [Column("variant"), Column(f"macro F1 ({result['policy']}), mean over subjects", "score")]
    columns += [Column("seconds per run", "seconds"), Column("SD over runs", "seconds")]
    columns += [Column("parameters", "mean"), Column("multiply-adds per window, millions", "probe")]
    columns += [Column("optimiser steps", "mean"), Column("best step, mean", "mean")]
    columns += [Column("peak memory, MiB", "mean"), Column("runs", "count")]
    columns += [Column("latency of a window, ms", "score"), Column("runs exported", "count")]
    rows: list[list[Any]] = []
    for name, found in result["variants"].items():
        if parts_of(name)[1] != RUNNING:
            continue  # other statistics at inference are of the same training
        runs = gathered.of(name)
        seconds = _known(run.record.get("seconds") for run in runs)
        memory = _known(run.record.get("peak_memory_mib") for run in runs)
        trained = [run for run in runs if not run.at_once]
        steps = _known(run.curve[-1].get("step") for run in trained if run.curve)
        operations = _known(run.record.get("multiply_adds") for run in runs)
        spread = float(np.std(seconds, ddof=1)) if len(seconds) > 1 else None
        used = [found["parameters"], _mean([each / 1e6 for each in operations])]
        used += [_mean(steps), found["best_step"] if trained else None, _mean(memory), found["runs"]]
        use = found["use"]
        used += [use["forms"][DEPLOYED]["single_ms"], use["runs"]] if use else [None, 0]
        rows.append([name, found["macro_f1"], found["seconds"], spread, *used])
    note = (
        "Means over runs. Seconds are of whole runs, evaluations included, on the machine named under provenance; runs"
        " that share its cores slow one another. What is fitted at once makes no steps. Latency: median time of one"
        " window on one core, of the network as har export writes it (ONNX, norms folded), mean over the runs that were"
        " exported."
    )
    return Table("cost", "Cost of training and use", columns, rows, note)


def _known(values: Iterable[float | None]) -> list[float]:
    """Return the values that are there."""
    return [value for value in values if value is not None]


def _mean(values: list[float]) -> float | None:
    """Return a mean; None of nothing."""
    return float(np.mean(values)) if values else None
