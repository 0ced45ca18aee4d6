"""Times until something happens, some of which were never seen to the end: product-limit estimate and what follows.

A run that has not reached its target when its budget ends has not "failed", nor reached it at the last step: all that
is known is that its time lies beyond (right-censoring). Leaving such runs out, or counting them at the budget, makes
slow variants look fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDING = 1e-12  # products of shares are a half only to within rounding


@dataclass(frozen=True)
class Survival:
    """The share that has not got there yet, a step function of time that starts at 1.

    Attributes:
        time: float64 (times,), ascending and distinct: where something happened.
        share: float64 (times,), the share that is left from each of them on, until the next.
    """

    time: np.ndarray
    share: np.ndarray

    def median(self) -> float | None:
        """Return the first time at which at most half is left; None when more than half never got there."""
        at_most_half = self.share <= 0.5 + _ROUNDING
        return float(self.time[at_most_half.argmax()]) if at_most_half.any() else None

    def restricted_mean(self, limit: float) -> float:
        """Return the mean of min(time, limit): the area under the curve up to `limit`.

        Args:
            limit: A time up to which everything was followed, above 0.
        """
        inside = self.time < limit
        edges = np.concatenate([[0.0], self.time[inside], [limit]])
        heights = np.concatenate([[1.0], self.share[inside]])
        return float(np.diff(edges) @ heights)


def kaplan_meier(time_N: np.ndarray, happened_N: np.ndarray, weight_N: np.ndarray | None = None) -> Survival:
    """Return the product-limit estimate S(t) = prod over t_i <= t of (1 - d_i / n_i).

    d_i is the weight of what happened at t_i, n_i that of what was still followed then; what was followed until t_i and
    no longer still counts in n_i. Kaplan & Meier, J. Am. Stat. Assoc. 53, 1958.

    Args:
        time_N: float64 (observations,), above 0: when it happened, or until when it had not.
        happened_N: bool (observations,), which of the two.
        weight_N: float64 (observations,), above 0; all alike when None.

    Raises:
        ValueError: When there is no observation.
    """
    if not len(time_N):
        raise ValueError("there is no observation")
    weight_N = np.ones(len(time_N)) if weight_N is None else weight_N
    times = np.unique(time_N[happened_N])
    followed = np.array([weight_N[time_N >= time].sum() for time in times])
    gone = np.array([weight_N[(time_N == time) & happened_N].sum() for time in times])
    return Survival(times, np.cumprod(1 - gone / followed) if len(times) else np.ones(0))
