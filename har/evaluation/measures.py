"""Measures of a confusion: what one number or one number per activity says about counts of windows.

For a confusion C (rows true, columns predicted): precision_k = C_kk / sum_i C_ik, recall_k = C_kk / sum_j C_kj,
F1_k = 2 C_kk / (sum_i C_ik + sum_j C_kj). A ratio without a denominator is undefined: NaN, never 0.

Macro F1 needs a policy for activities that a subject does not perform (`docs/statistics.md`):

- ``present``: activities with support in the truth. The default for scores per subject.
- ``union``: activities that are true or predicted. What scikit-learn and torchmetrics do unasked.
- ``all``: every activity, undefined F1 counted as 0. Punishes a subject for what it did not do.
- ``pooled``: every activity, on the confusion summed over subjects; one number beside the mean over subjects.
"""

from __future__ import annotations

import math

import numpy as np

from har.errors import unknown

SUBJECT_POLICIES = ("present", "union", "all")
POLICIES = (*SUBJECT_POLICIES, "pooled")
DEFAULT_POLICY = "present"


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


def balanced_accuracy(confusion_KK: np.ndarray) -> float:
    """Return the mean recall of the activities with support, 1 / their number by guessing; NaN without windows."""
    recall_K = recall(confusion_KK)
    known = recall_K[~np.isnan(recall_K)]
    return float(known.mean()) if len(known) else math.nan


def kappa(confusion_KK: np.ndarray) -> float:
    """Return Cohen's kappa, the agreement beyond what the two marginals give by chance.

    κ = (p_o − p_e) / (1 − p_e), p_o the accuracy and p_e the sum over activities of true share times predicted share.
    Cohen, Educ. Psychol. Meas. 20, 1960.

    Returns:
        κ in [-1, 1]; NaN without windows, and where truth and prediction are one and the same activity throughout.
    """
    true_K, predicted_K = (confusion_KK.sum(axis=axis).astype(float) for axis in (1, 0))
    windows = float(true_K.sum())
    chance = float(true_K @ predicted_K)  # p_e times windows squared
    beyond = windows**2 - chance
    return (windows * float(np.trace(confusion_KK)) - chance) / beyond if beyond else math.nan


def matthews(confusion_KK: np.ndarray) -> float:
    """Return Matthews' correlation coefficient of truth and prediction, for any number of activities.

    With s windows, c of them right, and t_k true and p_k predicted windows of activity k,
    MCC = (c s − Σ p_k t_k) / √((s² − Σ p_k²) (s² − Σ t_k²)). Gorodkin, Comput. Biol. Chem. 28, 2004.

    Returns:
        MCC in [-1, 1]; NaN without windows, and where truth or prediction are of one activity throughout.
    """
    true_K, predicted_K = (confusion_KK.sum(axis=axis).astype(float) for axis in (1, 0))
    windows = float(true_K.sum())
    spread = (windows**2 - predicted_K @ predicted_K) * (windows**2 - true_K @ true_K)
    together = windows * float(np.trace(confusion_KK)) - float(predicted_K @ true_K)
    return float(together / math.sqrt(spread)) if spread else math.nan


def row_shares(confusion_KK: np.ndarray) -> np.ndarray:
    """Return the share of each true activity's windows that goes to each predicted one.

    Returns:
        float64 (activities, activities), rows sum to 1; NaN in the row of an activity without support.
    """
    return confusion_KK / np.where(rows_K1 := confusion_KK.sum(axis=1, keepdims=True), rows_K1, np.nan)


def _ratio(above_K: np.ndarray, below_K: np.ndarray) -> np.ndarray:
    """Return above / below as float64, NaN where below is 0."""
    result_K = np.full(below_K.shape, np.nan)
    np.divide(above_K, below_K, out=result_K, where=below_K > 0)
    return result_K
