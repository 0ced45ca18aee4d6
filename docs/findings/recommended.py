"""What docs/learners.md shows of the recommended learner: its scores on every data set that it was tried on."""

from __future__ import annotations

from typing import Any

import numpy as np

from docs.findings import tables
from docs.findings.found import RECOMMENDED, Found, Results
from har.evaluation.contrast import mean_interval
from har.evaluation.measures import DEFAULT_POLICY
from har.evaluation.numbers import Column, Table, number


def scores_and_verdicts(results: Results) -> str:
    """Return accuracy and macro F1 of every variant on every data set, then what the declared contrasts say.

    Args:
        results: What was collected.
    """
    columns = [Column("data set"), Column("folds"), Column("subjects", "count"), Column("repeats", "count")]
    columns += [Column("variant"), Column("accuracy", "score"), Column(f"macro F1 ({DEFAULT_POLICY})", "score")]
    columns += [Column("95 % interval over subjects"), Column("pooled", "score")]
    found = results.of(RECOMMENDED)
    rows = [_row(one, row) for one in found for row in one.rows[tables.VARIANTS]]
    said = [f"- {one.data_set}: {row['sentence']}" for one in found for row in one.contrasts]
    return "\n".join([Table("", "", columns, rows).markdown(), "", *said, ""])


def _row(found: Found, variant: dict[str, Any]) -> list[Any]:
    """Return the row of a variant."""
    info = found.info
    score_S1 = np.array(list(found.scores(variant["variant"]).values()))[:, None]
    low, high = mean_interval(score_S1)[0] or (np.nan, np.nan)
    head = [found.data_set, f"{info['fold_count']} ({info['division']})", info["subjects"], info["repeats"]]
    interval = f"{number(low, 'score')} to {number(high, 'score')}"
    own = [variant["accuracy"], variant["macro_f1"], interval, variant["macro_f1_pooled"]]
    return [*head, variant["variant"], *own]
