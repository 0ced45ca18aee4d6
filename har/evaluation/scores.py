"""Scores of one run: everything derives from an integer confusion of windows, per subject.

For a confusion C (rows true, columns predicted): precision_k = C_kk / sum_i C_ik, recall_k = C_kk / sum_j C_kj,
F1_k = 2 C_kk / (sum_i C_ik + sum_j C_kj). A ratio without a denominator is undefined: NaN here, null in JSON.

Macro F1 needs a policy for activities that a subject does not perform (`docs/statistics.md`):

- ``present``: activities with support in the truth. The default for scores per subject.
- ``union``: activities that are true or predicted. What scikit-learn and torchmetrics do unasked.
- ``all``: every activity, undefined F1 counted as 0. Punishes a subject for what it did not do.
- ``pooled``: every activity, on the confusion summed over subjects; one number beside the mean over subjects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from har.errors import DataError, unknown
from har.evaluation.arms import RUNNING
from har.evaluation.predictions import (
    activities_of,
    check_against_truth,
    predictions_file,
    read_predictions,
    read_truth,
)
from har.files import write_json

SUBJECT_POLICIES = ("present", "union", "all")
POLICIES = (*SUBJECT_POLICIES, "pooled")
DEFAULT_POLICY = "present"
PREDICTIONS = predictions_file(RUNNING)
TRUTH = Path("truth.parquet")
SCORES = Path("scores.json")


def confusion(truth: np.ndarray, prediction: np.ndarray, K: int) -> np.ndarray:
    """Count windows by true and predicted activity.

    Args:
        truth: int (windows,), index of the true activity.
        prediction: int (windows,), index of the predicted activity.
        K: Number of activities.

    Returns:
        int64 (activities, activities), rows true, columns predicted.

    Raises:
        ValueError: When an index is not in [0, K) or the lengths differ.
    """
    truth_N, prediction_N = np.asarray(truth, dtype=np.int64), np.asarray(prediction, dtype=np.int64)
    if truth_N.shape != prediction_N.shape or truth_N.ndim != 1:
        raise ValueError(f"truth {truth_N.shape} and prediction {prediction_N.shape} are not two equal lists")
    for name, index_N in (("truth", truth_N), ("prediction", prediction_N)):
        if len(index_N) and not 0 <= index_N.min() <= index_N.max() < K:
            raise ValueError(f"{name} has an index outside 0 to {K - 1}")
    return np.bincount(truth_N * K + prediction_N, minlength=K * K).reshape(K, K)


def precision(confusion_KK: np.ndarray) -> np.ndarray:
    """Return the share of each activity's predictions that are right: float64 (activities,), NaN if never predicted."""
    return _ratio(np.diagonal(confusion_KK), confusion_KK.sum(axis=0))


def recall(confusion_KK: np.ndarray) -> np.ndarray:
    """Return the share of each activity's windows that are found: float64 (activities,), NaN without support."""
    return _ratio(np.diagonal(confusion_KK), confusion_KK.sum(axis=1))


def f1(confusion_KK: np.ndarray) -> np.ndarray:
    """Return the F1 of each activity: float64 (activities,), NaN where it is neither true nor predicted."""
    return _ratio(2 * np.diagonal(confusion_KK), confusion_KK.sum(axis=0) + confusion_KK.sum(axis=1))


def macro_f1(confusion_KK: np.ndarray, policy: str = DEFAULT_POLICY) -> float:
    """Return the unweighted mean of F1 over the activities that a policy names.

    Args:
        confusion_KK: int (activities, activities), rows true; of one subject, or for ``pooled`` summed over subjects.
        policy: One of `POLICIES`.

    Returns:
        Macro F1 in [0, 1]; NaN when no activity counts.

    Raises:
        UsageError: When the policy is not known.
    """
    f1_K, support_K = f1(confusion_KK), confusion_KK.sum(axis=1)
    if policy == "present":
        counted = f1_K[support_K > 0]
    elif policy == "union":
        counted = f1_K[~np.isnan(f1_K)]
    elif policy in ("all", "pooled"):
        counted = np.nan_to_num(f1_K)
    else:
        raise unknown("policy of absent activities", policy, POLICIES)
    return float(counted.mean()) if len(counted) and confusion_KK.any() else math.nan


def weighted_f1(confusion_KK: np.ndarray) -> float:
    """Return the mean of F1 weighted by support; NaN without windows."""
    support_K = confusion_KK.sum(axis=1)
    return float(np.nan_to_num(f1(confusion_KK)) @ support_K / support_K.sum()) if support_K.any() else math.nan


def accuracy(confusion_KK: np.ndarray) -> float:
    """Return the share of windows that are right; NaN without windows."""
    windows = confusion_KK.sum()
    return float(np.trace(confusion_KK) / windows) if windows else math.nan


def subject_confusions(predictions: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the confusion of each subject of a predictions table.

    Args:
        predictions: As `har.evaluation.predictions.read_predictions` returns it.

    Returns:
        Subject to int64 (activities, activities), in natural order of the subjects.
    """
    activities = activities_of(predictions)
    index = {activity: position for position, activity in enumerate(activities)}
    truth_N = predictions["truth"].map(index).to_numpy(dtype=np.int64)
    prediction_N = predictions["prediction"].map(index).to_numpy(dtype=np.int64)
    rows = predictions.groupby("subject").indices
    return {
        str(subject): confusion(truth_N[rows[subject]], prediction_N[rows[subject]], len(activities))
        for subject in sorted(rows, key=natural)
    }


def natural(name: object) -> tuple[tuple[int, str], ...]:
    """Return the sort key that puts ``subject-2`` before ``subject-10``."""
    parts = re.split(r"([0-9]+)", str(name))
    return tuple((int(part) if part.isdecimal() else -1, part) for part in parts)


def summary(
    activities: list[str], confusions: Mapping[str, np.ndarray], policy: str = DEFAULT_POLICY
) -> dict[str, Any]:
    """Return every score of a set of subjects as a JSON value.

    Args:
        activities: K names, in the order of the confusions.
        confusions: Subject to int (activities, activities).
        policy: The policy of the headline `macro_f1`; all policies are given.

    Returns:
        The content of `scores.json`; undefined values are None.

    Raises:
        UsageError: When the policy is not known.
    """
    if policy not in POLICIES:
        raise unknown("policy of absent activities", policy, POLICIES)
    pooled_KK = np.sum(list(confusions.values()), axis=0)
    per_subject = {
        subject: {
            **_totals(counts_KK),
            "macro_f1": {name: defined(macro_f1(counts_KK, name)) for name in SUBJECT_POLICIES},
        }
        for subject, counts_KK in confusions.items()
    }
    macro: dict[str, float | None] = {
        name: _mean([scores["macro_f1"][name] for scores in per_subject.values()]) for name in SUBJECT_POLICIES
    }
    macro["pooled"] = defined(macro_f1(pooled_KK, "pooled"))
    return {
        "policy": policy,
        "macro_f1": macro[policy],
        "macro_f1_by_policy": macro,
        **_totals(pooled_KK),
        "activities": activities,
        "per_activity": per_activity(activities, pooled_KK),
        "absent_from_truth": [name for name, row in zip(activities, pooled_KK, strict=True) if not row.any()],
        "confusion": pooled_KK.tolist(),
        "subjects": {
            subject: {**scores, "confusion": confusions[subject].tolist()} for subject, scores in per_subject.items()
        },
    }


def per_activity(activities: list[str], confusion_KK: np.ndarray) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and support (windows) of each activity; undefined values are None."""
    columns = zip(
        activities,
        precision(confusion_KK),
        recall(confusion_KK),
        f1(confusion_KK),
        confusion_KK.sum(axis=1),
        strict=True,
    )
    return [
        {"activity": name, "precision": defined(p), "recall": defined(r), "f1": defined(f), "support": int(support)}
        for name, p, r, f, support in columns
    ]


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
    return summary(activities_of(predictions), subject_confusions(predictions), policy)


def inferences_of(folder: Path) -> list[str]:
    """Return the inferences that a run's folder has predictions of, `running` first."""
    names = {path.stem for path in (folder / PREDICTIONS).parent.glob("*.parquet")}
    return sorted(names, key=lambda name: (name != RUNNING, name))


def scores_file(inference: str) -> Path:
    """Return the place of an inference's scores within a run's folder."""
    return SCORES if inference == RUNNING else Path(f"scores-{inference}.json")


def read_run(folder: Path, inference: str = RUNNING) -> pd.DataFrame:
    """Read a run's predictions and prove them against its truth.

    Args:
        folder: The run's folder.
        inference: Whose predictions.

    Returns:
        The predictions, as `har.evaluation.predictions.read_predictions` returns them.

    Raises:
        DataError: When a file is missing, damaged or at odds with the other, or there are no windows.
    """
    path = folder / predictions_file(inference)
    predictions = _with_windows(path, read_predictions(path))
    check_against_truth(predictions, read_truth(folder / TRUTH), path)
    return predictions


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
    predictions = read_run(folder, inference)
    scores = summary(activities_of(predictions), subject_confusions(predictions), policy)
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


def _totals(confusion_KK: np.ndarray) -> dict[str, Any]:
    """Return the scores of a confusion that need no policy."""
    return {
        "weighted_f1": defined(weighted_f1(confusion_KK)),
        "accuracy": defined(accuracy(confusion_KK)),
        "windows": int(confusion_KK.sum()),
    }


def _mean(values: list[float | None]) -> float | None:
    """Return the mean of the values that are defined."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _ratio(above_K: np.ndarray, below_K: np.ndarray) -> np.ndarray:
    """Return above / below as float64, NaN where below is 0."""
    result_K = np.full(below_K.shape, np.nan)
    np.divide(above_K, below_K, out=result_K, where=below_K > 0)
    return result_K
