"""Samples as they arrive: which of them advance the clock, and where a gap begins a new segment.

The rules are preparation's (`har.windows.clock`, `har.windows.gaps`): of samples with one time the first counts; a
sample that is older than one before it by up to a second is left out; a clock that goes back by more was set anew; a
step longer than the recipe's limit is a gap. A sample that lacks a value is left out: neighbours stand for it, or a
gap does.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from har.deploy.facts import Facts
from har.errors import DataError
from har.windows.clock import MOST_OFF, RESET_S
from har.windows.gaps import ROUNDING

_LONGEST_FILL_S = 0.5  # where the recipe has no limit: a stream must end its segments at some time
_CHECKED_STEPS = 50  # after so many samples the clock's rate is held against the stated one


@dataclass(frozen=True)
class Arrived:
    """Samples that follow one another without a gap.

    Attributes:
        is_new: Whether they begin a segment.
        time_s: float64 (samples,), rising.
        signal_TC: float64 (samples, channels), finite.
    """

    is_new: bool
    time_s: NDArray[np.float64]
    signal_TC: NDArray[np.float64]


class Arrivals:
    """The clock of one stream.

    Args:
        facts: Of the model.
        rate_hz: The stated rate of the samples.

    Attributes:
        counts: Samples that were left out, by reason, clocks set anew, and gaps.
    """

    def __init__(self, facts: Facts, rate_hz: float) -> None:
        limit_s = facts.recipe.max_gap_s or _LONGEST_FILL_S
        self._limit_s = max(limit_s, 1.5 / rate_hz) * ROUNDING
        self._rate_hz = rate_hz
        self._seen_s = self._newest_s = -np.inf  # the last sample's time, and the latest one since the clock was set
        self._rows = 0
        self._steps: list[float] | None = []  # of the first samples; None once they were checked
        self.counts: Counter[str] = Counter()

    def push(self, signal_TC: NDArray[np.float64], time_s: NDArray[np.float64] | None) -> list[Arrived]:
        """Take samples.

        Args:
            signal_TC: float64 (samples, channels); NaN where a value is missing.
            time_s: float64 (samples,), in seconds; None where they come without times, evenly at the stated rate.

        Raises:
            DataError: The clock is more than 30 % off the stated rate.
        """
        if time_s is None:
            time_s = (self._rows + np.arange(len(signal_TC))) / self._rate_hz
        self._rows += len(signal_TC)
        complete = np.isfinite(time_s) & np.isfinite(signal_TC).all(axis=1)
        self.counts["incomplete"] += int(np.count_nonzero(~complete))
        time_s, signal_TC = time_s[complete], signal_TC[complete]
        found = []
        resets = np.flatnonzero(np.diff(time_s, prepend=self._seen_s) < -RESET_S)
        for first, stop in _between(resets, len(time_s)):
            if time_s[first] - self._seen_s < -RESET_S:
                self.counts["clock_resets"] += 1
                self._newest_s = -np.inf
            found += self._advancing(time_s[first:stop], signal_TC[first:stop])
        return found

    def time_of(self, number: int) -> float:
        """Return the time of a sample to come, counted from 0, of a stream without times."""
        return (self._rows + number) / self._rate_hz

    def _advancing(self, time_s: NDArray[np.float64], signal_TC: NDArray[np.float64]) -> list[Arrived]:
        """Take the samples that advance the clock, cut at gaps, of samples between which it was not set anew."""
        newest_s = np.maximum.accumulate(np.append(self._newest_s, time_s))
        before_s = newest_s[:-1]
        self.counts["duplicated"] += int(np.count_nonzero(time_s == before_s))
        self.counts["late"] += int(np.count_nonzero(time_s < before_s))
        advances = time_s > before_s
        steps_s = (time_s - before_s)[advances]
        self._seen_s, self._newest_s = float(time_s[-1]), float(newest_s[-1])
        self._check_rate(steps_s)
        begins = steps_s > self._limit_s
        self.counts["gaps"] += int(np.count_nonzero(begins & np.isfinite(steps_s)))
        time_s, signal_TC = time_s[advances], signal_TC[advances]
        bounds = _between(np.flatnonzero(begins), len(time_s))
        return [Arrived(bool(begins[first]), time_s[first:stop], signal_TC[first:stop]) for first, stop in bounds]

    def _check_rate(self, steps_s: NDArray[np.float64]) -> None:
        """Hold the usual step of the first samples against the stated rate."""
        if self._steps is None:
            return
        self._steps += steps_s[np.isfinite(steps_s)].tolist()
        if len(self._steps) < _CHECKED_STEPS:
            return
        shown_hz = 1 / float(np.median(self._steps[:_CHECKED_STEPS]))
        self._steps = None
        if abs(shown_hz / self._rate_hz - 1) > MOST_OFF:
            raise DataError(
                f"the samples' times show {shown_hz:.4g} Hz, not {self._rate_hz:g} Hz.",
                "Give the sensor's rate with --rate-hz (rate_hz), and times in seconds.",
            )


def _between(cuts: NDArray[np.int64], length: int) -> Iterator[tuple[int, int]]:
    """Return the bounds of the parts that cuts make of so many samples; none is empty."""
    bounds = sorted({0, *cuts.tolist(), length})
    return itertools.pairwise(bounds)
