"""Scores of one run: everything derives from what is counted of its predictions and its truth, see `counts`.

The measures stand in `measures` (with the policies of absent activities), `calibration` and `events`, the intervals in
`resampling`. What is undefined is None here, null in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from har.errors import DataError, unknown
from har.evaluation.arms import HMM, RUNNING, smoothing_of
from har.evaluation.calibration import calibration
from har.evaluation.counts import Counts, count
from har.evaluation.event_scores import event_notes, event_scores
from har.evaluation.measures import (
    DEFAULT_POLICY,
    POLICIES,
    SUBJECT_POLICIES,
    accuracy,
    balanced_accuracy,
    f1,
    kappa,
    macro_f1,
    matthews,
    precision,
    recall,
    row_shares,
    weighted_f1,
)
from har.evaluation.predictions import check_against_truth, predictions_file, read_predictions, read_truth
from har.evaluation.resampling import activity_intervals
from har.evaluation.smoothing import read_chain, smoothed
from har.files import write_json

PREDICTIONS = predictions_file(RUNNING)
TRUTH = Path("truth.parquet")
SCORES = Path("scores.json")


def summary(counts: Counts, policy: str = DEFAULT_POLICY) -> dict[str, Any]:
    """Return every score of some predictions as a JSON value.

    Args:
        counts: What was counted.
        policy: The policy of the headline `macro_f1`; all policies are given.

    Returns:
        The content of `scores.json`; undefined values are None.

    Raises:
        UsageError: When the policy is not known.
    """
    if policy not in POLICIES:
        raise unknown("policy of absent activities", policy, POLICIES)
    pooled_KK = counts.pooled
    per_subject = {
        subject: {
            **totals(counts_KK),
            "macro_f1": {name: defined(macro_f1(counts_KK, name)) for name in SUBJECT_POLICIES},
            **_confusion(counts_KK),
        }
        for subject, counts_KK in counts.confusions.items()
    }
    macro: dict[str, float | None] = {
        name: _mean([scores["macro_f1"][name] for scores in per_subject.values()]) for name in SUBJECT_POLICIES
    }
    macro["pooled"] = defined(macro_f1(pooled_KK, "pooled"))
    by_policy = {
        subject: scores["macro_f1"][policy if policy in SUBJECT_POLICIES else DEFAULT_POLICY]
        for subject, scores in per_subject.items()
    }
    rows = per_activity(counts)
    return {
        "policy": policy,
        "macro_f1": macro[policy],
        "macro_f1_by_policy": macro,
        **totals(pooled_KK),
        "worst_subject": worst_subject(by_policy),
        "worst_activity": worst_activity(rows),
        "activities": counts.activities,
        "per_activity": rows,
        "absent_from_truth": [name for name, row in zip(counts.activities, pooled_KK, strict=True) if not row.any()],
        **_confusion(pooled_KK),
        "calibration": calibration(counts.reliability_B3),
        "events": None if counts.events is None else event_scores(counts.events, counts.activities),
        "notes": notes(counts),
        "subjects": per_subject,
    }


def per_activity(counts: Counts) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and support (windows) of each activity, all subjects' windows together.

    Returns:
        One object per activity; undefined values are None. ``precision_interval``, ``recall_interval`` and
        ``f1_interval`` are 95 % intervals over subjects, see `har.evaluation.resampling`.
    """
    pooled_KK = counts.pooled
    measured = {"precision": precision(pooled_KK), "recall": recall(pooled_KK), "f1": f1(pooled_KK)}
    intervals = activity_intervals(list(counts.confusions.values())) if counts.confusions else {}
    rows = []
    for k, (activity, support) in enumerate(zip(counts.activities, pooled_KK.sum(axis=1), strict=True)):
        row: dict[str, Any] = {"activity": activity}
        row |= {name: defined(float(value_K[k])) for name, value_K in measured.items()}
        ends = {name: intervals[name][k] if intervals else None for name in measured}
        row |= {f"{name}_interval": None if found is None else list(found) for name, found in ends.items()}
        rows.append(row | {"support": int(support)})
    return rows


def totals(confusion_KK: np.ndarray) -> dict[str, Any]:
    """Return the scores of a confusion that need no policy; undefined values are None."""
    return {
        "weighted_f1": defined(weighted_f1(confusion_KK)),
        "accuracy": defined(accuracy(confusion_KK)),
        "balanced_accuracy": defined(balanced_accuracy(confusion_KK)),
        "kappa": defined(kappa(confusion_KK)),
        "mcc": defined(matthews(confusion_KK)),
        "windows": int(confusion_KK.sum()),
    }


def worst_subject(scores: Mapping[str, float | None]) -> dict[str, Any] | None:
    """Return the subject with the lowest macro F1, the first of equally low ones; None where there are not two.

    Args:
        scores: Subject to macro F1.
    """
    known = {subject: value for subject, value in scores.items() if value is not None}
    if len(known) < 2:
        return None
    subject = min(known, key=lambda name: known[name])
    return {"subject": subject, "macro_f1": known[subject]}


def worst_activity(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the activity with the lowest F1 among those with support; None where there are not two."""
    known = [row for row in rows if row["support"]]
    if len(known) < 2:
        return None
    worst = min(known, key=lambda row: float(row["f1"]))
    return {key: worst[key] for key in ("activity", "f1", "support")}


def notes(counts: Counts) -> list[str]:
    """Return what a reader of the scores must know: what is missing from them and why, and what is suspicious."""
    found = []
    single = single_prediction(counts)
    if single is not None:
        found.append(f"Every window is predicted as {single}, so kappa and MCC say nothing.")
    if len(counts.confusions) == 1:
        found.append("One subject: there are no intervals over subjects.")
    return found + event_remarks(counts)


def event_remarks(counts: Counts) -> list[str]:
    """Return what to know of the event scores, or why there are none."""
    return [f"No event scores: {counts.no_events}."] if counts.events is None else event_notes(counts.events)


def single_prediction(counts: Counts) -> str | None:
    """Return the activity that all windows are predicted as although their truth has several; None without one."""
    pooled_KK = counts.pooled
    predicted_K = pooled_KK.any(axis=0)
    if predicted_K.sum() != 1 or pooled_KK.any(axis=1).sum() < 2:
        return None
    return counts.activities[int(np.argmax(predicted_K))]


def score_file(path: Path, policy: str = DEFAULT_POLICY) -> dict[str, Any]:
    """Score a predictions file that stands alone, without the truth of its recordings.

    Args:
        path: The predictions file.
        policy: The policy of the headline.

    Returns:
        The content of `scores.json`.

    Raises:
        DataError: When the file is missing or damaged, or there are no windows.
        UsageError: When the policy is not known.
    """
    predictions = _with_windows(path, read_predictions(path))
    return summary(count(predictions), policy)


def inferences_of(folder: Path) -> list[str]:
    """Return the inferences that a run's folder has predictions of, `running` first."""
    names = {path.stem for path in (folder / PREDICTIONS).parent.glob("*.parquet")}
    return sorted(names, key=lambda name: (name != RUNNING, name))


def scores_file(inference: str) -> Path:
    """Return the place of an inference's scores within a run's folder."""
    return SCORES if inference == RUNNING else Path(f"scores-{inference}.json")


def read_run(folder: Path, inference: str = RUNNING) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a run's predictions and its truth, and prove them against each other.

    Args:
        folder: The run's folder.
        inference: Whose predictions; with a smoothing behind it, such as ``running+hmm``, smoothed ones of that.

    Returns:
        Predictions and truth, as `har.evaluation.predictions` returns them.

    Raises:
        DataError: When a file is missing, damaged or at odds with the other, or there are no windows.
    """
    base, smoothing = smoothing_of(inference)
    path = folder / predictions_file(base)
    predictions = _with_windows(path, read_predictions(path))
    truth = read_truth(folder / TRUTH)
    check_against_truth(predictions, truth, path)
    if smoothing:
        chain = read_chain(folder) if smoothing.startswith(HMM) else None
        predictions = smoothed(path, predictions, smoothing, chain)
    return predictions, truth


def score_run(
    folder: Path, policy: str = DEFAULT_POLICY, *, inference: str = RUNNING, write: bool = True
) -> dict[str, Any]:
    """Score a run from its predictions and truth files and nothing else, and write its `scores.json`.

    Args:
        folder: The run's folder.
        policy: The policy of the headline.
        inference: Whose predictions; those of another than `running` are scored into `scores-<inference>.json`.
        write: Whether to write the file.

    Returns:
        The content of `scores.json`.

    Raises:
        DataError: As `read_run`.
        UsageError: When the policy is not known.
    """
    scores = summary(count(*read_run(folder, inference)), policy)
    if write:
        write_json(folder / scores_file(inference), scores)
    return scores


def defined(value: float) -> float | None:
    """Return a number as JSON has it: None where it is undefined (NaN)."""
    return None if math.isnan(value) else float(value)


def _with_windows(path: Path, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions, or raise where there are none."""
    if predictions.empty:
        raise DataError(f"{path}: there are no windows to score.", "Check the fold's test subjects and the window.")
    return predictions


def _confusion(confusion_KK: np.ndarray) -> dict[str, Any]:
    """Return a confusion as counts and as shares of each true activity, None in rows without support."""
    shares = [
        row.tolist() if counts.any() else None
        for row, counts in zip(row_shares(confusion_KK), confusion_KK, strict=True)
    ]
    return {"confusion": confusion_KK.tolist(), "confusion_shares": shares}


def _mean(values: list[float | None]) -> float | None:
    """Return the mean of the values that are defined."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
