"""Calibration: how far the probability that a model states for its decision is the share in which it is right.

Windows are sorted by the probability of the activity that was predicted for them into 15 bins of equal width, a bin
holding its upper end and not its lower one (Guo et al., On calibration of modern neural networks, ICML 2017). The
expected calibration error is the mean over windows of |share right − mean probability| of a window's bin. It is above 0
by chance alone where bins hold few windows, so it compares only what has about equally many.

What is counted adds up: the counts of several runs together are the sum of their counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from har.evaluation.predictions import PROBABILITY, activities_of, codes_of

BINS = 15
RULE = f"{BINS} bins of equal width of the predicted activity's probability, upper ends included"
NOTHING_B3 = np.zeros((BINS, 3))


def reliability(predictions: pd.DataFrame) -> np.ndarray:
    """Count windows by the probability of what was predicted for them.

    Args:
        predictions: As `har.evaluation.predictions.read_predictions` returns it.

    Returns:
        float64 (bins, 3): windows, sum of their probabilities, and how many of them are right.
    """
    activities = activities_of(predictions)
    column_N = codes_of(predictions["prediction"], activities)
    probability_NK = np.column_stack([predictions[PROBABILITY + activity].to_numpy() for activity in activities])
    probability_N = probability_NK[np.arange(len(column_N)), column_N].astype(np.float64)
    right_N = (predictions["truth"] == predictions["prediction"]).to_numpy(dtype=np.float64)
    bin_N = np.clip(np.ceil(probability_N * BINS).astype(np.int64) - 1, 0, BINS - 1)
    weights = (None, probability_N, right_N)
    return np.stack([np.bincount(bin_N, weight_N, BINS) for weight_N in weights], axis=1).astype(np.float64)


def calibration_error(reliability_B3: np.ndarray) -> float | None:
    """Return the expected calibration error of counts as `reliability` makes them; None without windows."""
    windows = reliability_B3[:, 0].sum()
    return float(np.abs(reliability_B3[:, 2] - reliability_B3[:, 1]).sum() / windows) if windows else None


def calibration(reliability_B3: np.ndarray) -> dict[str, Any]:
    """Return the calibration error, its rule and the reliability curve as a JSON value.

    Args:
        reliability_B3: As `reliability` makes it.

    Returns:
        ``ece``, ``rule`` and ``bins``; the probability and the accuracy of a bin without windows are None.
    """
    bins = [
        {
            "from": number / BINS,
            "to": (number + 1) / BINS,
            "windows": int(windows),
            "probability": float(total / windows) if windows else None,
            "accuracy": float(right / windows) if windows else None,
        }
        for number, (windows, total, right) in enumerate(reliability_B3)
    ]
    return {"ece": calibration_error(reliability_B3), "rule": RULE, "bins": bins}
