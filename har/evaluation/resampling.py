"""Intervals of the scores of an activity, by resampling subjects.

A draw takes as many subjects as there are, with replacement, each with all its windows (and all its runs where several
are scored together), and scores the sum of their confusions. The interval is from the 2.5th to the 97.5th percentile of
the draws in which the score is defined. Subjects are the sample: resampling windows would pretend that the windows of
one person are independent. With ten subjects and fewer such intervals are too short (`docs/statistics.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

FEW = 10  # subjects up to which such an interval is too short
DRAWS = 2000  # ends of an interval are then good to about a twentieth of its length
_ENDS = (0.025, 0.975)
_SEED = 20_180_405  # the same files give the same intervals


def activity_intervals(confusions: Sequence[np.ndarray]) -> dict[str, list[tuple[float, float] | None]]:
    """Return 95 % intervals of precision, recall and F1 of each activity.

    Args:
        confusions: One int (activities, activities) per subject, rows true.

    Returns:
        ``precision``, ``recall`` and ``f1``, each to one interval per activity; None where fewer than two subjects
        perform the activity, since then its spread over subjects cannot be seen.
    """
    counts_SKK = np.asarray(confusions)
    S, K = counts_SKK.shape[:2]
    performed_K = (counts_SKK.sum(axis=2) > 0).sum(axis=0) >= 2
    if S < 2 or not performed_K.any():
        return {name: [None] * K for name in ("precision", "recall", "f1")}
    right_SK, true_SK = np.diagonal(counts_SKK, axis1=1, axis2=2), counts_SKK.sum(axis=2)
    columns_SX = np.concatenate([right_SK, true_SK, counts_SKK.sum(axis=1)], axis=1).astype(float)
    right_BK, true_BK, predicted_BK = np.split(_times(S) @ columns_SX, 3, axis=1)
    drawn = {
        "precision": (right_BK, predicted_BK),
        "recall": (right_BK, true_BK),
        "f1": (2 * right_BK, predicted_BK + true_BK),
    }
    return {name: _ends(above_BK, below_BK, performed_K) for name, (above_BK, below_BK) in drawn.items()}


@lru_cache(maxsize=8)
def _times(S: int) -> np.ndarray:
    """Return how often each draw takes each of S subjects: float64 (draws, subjects)."""
    return np.random.default_rng(_SEED).multinomial(S, np.full(S, 1 / S), size=DRAWS).astype(float)


def _ends(above_BK: np.ndarray, below_BK: np.ndarray, performed_K: np.ndarray) -> list[tuple[float, float] | None]:
    """Return the percentiles of above / below over the draws where it is defined, for the activities performed."""
    found: list[tuple[float, float] | None] = []
    for above_B, below_B, performed in zip(above_BK.T, below_BK.T, performed_K, strict=True):
        ratios = above_B[below_B > 0] / below_B[below_B > 0]
        if performed and len(ratios):
            low, high = np.quantile(ratios, _ENDS)
            found.append((float(low), float(high)))
        else:
            found.append(None)
    return found
