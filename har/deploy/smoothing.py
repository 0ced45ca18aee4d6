"""Smoothing of a stream's decisions, over the last few of one segment. K = activities."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
from numpy.typing import NDArray

from har.errors import UsageError, unknown

SMOOTHINGS = ("none", "mean", "majority")


class Smoothing:
    """What is decided from the last probabilities, one step at a time.

    Args:
        kind: ``none``; ``mean``, of the last probabilities; ``majority``, of the last decisions (of equally frequent
            ones the latest), with the share of the steps that say so beside each activity.
        last: How many steps, this one included.

    Raises:
        UsageError: The kind is not known, or `last` is no positive number.
    """

    def __init__(self, kind: str = "none", last: int = 5) -> None:
        if kind not in SMOOTHINGS:
            raise unknown("smoothing", kind, SMOOTHINGS)
        if last < 1:
            raise UsageError(f"smoothing over {last} steps.", "Give a positive number of steps.")
        self.kind, self.last = kind, last
        self._recent: deque[NDArray[np.float32]] = deque(maxlen=last)

    def begin(self) -> None:
        """Forget what came before a gap."""
        self._recent.clear()

    def push(self, probability_K: NDArray[np.float32]) -> tuple[int, NDArray[np.float32]]:
        """Return the activity decided on, by number, and float32 (activities,), what is behind that decision."""
        if self.kind == "none":
            return int(probability_K.argmax()), probability_K
        self._recent.append(probability_K)
        if self.kind == "mean":
            mean_K = np.mean(self._recent, axis=0)
            return int(mean_K.argmax()), mean_K
        votes = [int(each.argmax()) for each in self._recent]
        counts = Counter(votes)
        most = max(counts.values())
        share_K = np.bincount(votes, minlength=len(probability_K)).astype(np.float32) / np.float32(len(votes))
        return next(vote for vote in reversed(votes) if counts[vote] == most), share_K
