"""Heads that are fitted at once: what each variant's head tried, and what validation subjects chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from har.evaluation.arms import RUNNING, parts_of
from har.evaluation.gathering import Gathered, Run
from har.evaluation.numbers import Column, Table


def heads_table(gathered: Gathered) -> Table | None:
    """Return what heads tried and what was chosen, a variant a row; None where no run has such a head.

    Args:
        gathered: The study's runs. Of those with such a head, `run.json` says ``head``: its ``kind``, what was
            ``chosen``, and each setting that was ``tried``.
    """
    rows: list[list[Any]] = []
    for name in gathered.arms:
        runs = [run for run in gathered.of(name) if run.record.get("head")]
        if runs and parts_of(name)[1] == RUNNING:
            rows.append([name, *_row(runs)])
    if not rows:
        return None
    columns = [Column("variant"), Column("head"), Column("features"), Column("tried"), Column("chosen (runs)")]
    columns += [Column("validation macro F1, mean", "score"), Column("runs", "count")]
    note = (
        "Each value is fitted on the training windows and scored on the validation windows; no test window takes part."
        " Features that are fitted have no steps, no batches and no learning rate; behind those that are trained, the"
        " head is fitted on what their best weights give."
    )
    return Table("heads", "Heads that are fitted at once", columns, rows, note)


def _row(runs: Sequence[Run]) -> list[Any]:
    """Return the cells of one variant."""
    heads = [run.record["head"] for run in runs]
    chosen = Counter(setting(head["chosen"]) for head in heads)
    tried = list(dict.fromkeys(setting(each) for head in heads for each in head["tried"]))
    scores = [run.record.get("best_validation_macro_f1") for run in runs]
    known = [score for score in scores if score is not None]
    return [
        ", ".join(dict.fromkeys(str(head["kind"]) for head in heads)),
        "fitted" if runs[0].at_once else "trained",
        f"{tried[0]} to {tried[-1]}, {len(tried)} values" if len(tried) > 1 else "".join(tried),
        ", ".join(f"{value} ({count})" for value, count in chosen.most_common()),
        float(np.mean(known)) if known else None,
        len(runs),
    ]


def setting(tried: Mapping[str, float]) -> str:
    """Return what a head tried, without its scores, as a reader would write it: ``c 0.25``."""
    return ", ".join(f"{name} {value:g}" for name, value in tried.items() if not name.startswith("validation"))
