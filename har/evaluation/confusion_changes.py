"""Which confusions change from one arm to another: pairs of activities, over the paired runs of a contrast."""

from __future__ import annotations

from typing import Any

import numpy as np

from har.evaluation.gathering import Gathered, Run
from har.evaluation.measures import row_shares
from har.evaluation.numbers import Column, Table
from har.evaluation.paired import paired_runs

MOST = 10  # pairs of a contrast that are shown


def changes(gathered: Gathered, a: str, b: str) -> list[dict[str, Any]]:
    """Return the pairs of true and predicted activity whose share changes most from b to a, the largest first.

    Shares are of the true activity's windows, all paired runs together; the subjects in which a pair becomes more or
    less frequent are counted beside them.

    Args:
        gathered: The runs of a study.
        a: Name of the first arm.
        b: Name of the second.

    Returns:
        At most `MOST` pairs, those without any change left out; none where no runs are paired, or where paired runs
        predicted different windows.
    """
    pairs = paired_runs(gathered, a, b)
    if not pairs or any(one.windows != other.windows for one, other in pairs):
        return []
    a_SKK, b_SKK = _by_subject([one for one, _ in pairs]), _by_subject([other for _, other in pairs])
    a_KK, b_KK = (row_shares(counts_SKK.sum(axis=0)) for counts_SKK in (a_SKK, b_SKK))
    change_KK = np.nan_to_num(a_KK - b_KK)
    np.fill_diagonal(change_KK, 0.0)
    order = np.argsort(-np.abs(change_KK), axis=None, kind="stable")[:MOST]
    found = []
    for true, predicted in zip(*np.unravel_index(order, change_KK.shape), strict=True):
        if change_KK[true, predicted] == 0:
            break
        more_S = np.sign(a_SKK[:, true, predicted] - b_SKK[:, true, predicted])
        found.append(
            {
                "a": a,
                "b": b,
                "true": gathered.activities[true],
                "predicted": gathered.activities[predicted],
                "share_a": float(a_KK[true, predicted]),
                "share_b": float(b_KK[true, predicted]),
                "subjects_fewer": int((more_S < 0).sum()),
                "subjects_more": int((more_S > 0).sum()),
                "windows": int(a_SKK[:, true].sum()),
            }
        )
    return found


def changes_table(found: list[dict[str, Any]]) -> Table:
    """Return the changes of one or several contrasts as a table."""
    columns = [Column("a"), Column("b"), Column("true"), Column("predicted")]
    columns += [Column("share under a", "score"), Column("share under b", "score"), Column("a - b, points", "points")]
    columns += [Column("subjects with fewer under a", "count"), Column("with more", "count")]
    columns.append(Column("windows of the true activity", "count"))
    rows = [
        [
            *(row[key] for key in ("a", "b", "true", "predicted", "share_a", "share_b")),
            row["share_a"] - row["share_b"],
            *(row[key] for key in ("subjects_fewer", "subjects_more", "windows")),
        ]
        for row in found
    ]
    note = (
        f"The pairs that change most, at most {MOST} of each contrast, over its paired runs. They were picked for their"
        " size, which overstates it; described, not tested."
    )
    return Table("confusion-changes", "Confusions that change most", columns, rows, note)


def _by_subject(runs: list[Run]) -> np.ndarray:
    """Return the summed confusions of each subject of some runs: int64 (subjects, activities, activities)."""
    summed: dict[str, np.ndarray] = {}
    for run in runs:
        for subject, counts_KK in run.confusions.items():
            summed[subject] = summed.get(subject, 0) + counts_KK
    return np.stack(list(summed.values()))
