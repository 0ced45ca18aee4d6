"""How activities follow one another: neighbouring training windows, counted for the smoothing of decisions."""

from __future__ import annotations

from typing import Any

import numpy as np

from har.windows.segment import WindowIndex, samples_of


def transition_record(index: WindowIndex, step_s: float, rate_hz: float) -> dict[str, Any]:
    """Count which label follows which, one step later in the same recording.

    Args:
        index: The windows of the training subjects, in the order of the store.
        step_s: From one window's begin to the next's, in seconds.
        rate_hz: Samples per second.

    Returns:
        ``activities``, K names; ``step_s``; ``windows``, how many windows have each label; ``transitions``, K lists of
        K counts, row: the label of the earlier window. Where a window between two is missing, they are no neighbours.
    """
    K, step = len(index.activities), samples_of(step_s, rate_hz)
    label_N = index.label.astype(np.int64)
    near_N = (np.diff(index.recording) == 0) & (np.diff(index.start) == step)
    cells = np.bincount(label_N[:-1][near_N] * K + label_N[1:][near_N], minlength=K * K)
    return {
        "activities": list(index.activities),
        "step_s": step_s,
        "windows": np.bincount(label_N, minlength=K).tolist(),
        "transitions": cells.reshape(K, K).tolist(),
    }
