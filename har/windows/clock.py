"""Clocks: what timestamps are worth, before anything is interpolated.

Sensors' clocks repeat themselves, deliver packets late, and are set anew in the middle of a file. Rows that bring no
new time are left out and counted; a clock that was set anew ends what came before. T = samples.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from numpy.typing import NDArray

from har.errors import DataError

# A late packet brings rows that are a little older than the row before. A clock that goes back by more was set anew.
RESET_S = 1.0
# A step longer than this many usual steps is one where rows are missing; it says nothing about the rate.
_HOLE_STEPS = 1.5
_MIN_STEPS = 10  # fewer say too little about a rate
# Half of the rows with a repeated timestamp is data written twice, or a clock that is too coarse.
_MOST_REPEATED = 0.4
# WISDM's clocks, documented as 20 Hz, show up to 25 Hz; more is a wrong unit or a wrong card, not a wrong clock.
MOST_OFF = 0.3
_IMPOSSIBLE_RATIO = 10


@dataclasses.dataclass(frozen=True)
class Clock:
    """The rows of a stream that advance its clock.

    Attributes:
        row_T: int64, numbers of these rows in the stream.
        time_s: float64, their times; rising within an epoch.
        epoch_T: int64, rising from 0 by one wherever the clock was set anew.
        is_exact: Whether the times are row numbers divided by the rate, because the source has no timestamps.
        counts: Rows that were left out, by reason, and how often the clock was set anew.
    """

    row_T: NDArray[np.int64]
    time_s: NDArray[np.float64]
    epoch_T: NDArray[np.int64]
    is_exact: bool
    counts: dict[str, int]

    @property
    def epochs(self) -> int:
        """How many epochs there are; an empty clock has one."""
        return int(self.epoch_T[-1]) + 1 if len(self.epoch_T) else 1


def nominal_clock(rows: int, rate_hz: float) -> Clock:
    """Return the clock of a stream without timestamps: its first row is at 0 s."""
    row_T = np.arange(rows)
    return Clock(row_T, row_T / rate_hz, np.zeros(rows, np.int64), is_exact=True, counts={})


def read_clock(time_s: NDArray[np.float64]) -> Clock:
    """Choose the rows that advance a clock.

    Of rows with one timestamp the first is kept; rows that are older than a row before them by up to a second are left
    out; at a row that is older than its predecessor by more, a new epoch begins. Rows without a timestamp are left out.

    Args:
        time_s: float64 (rows,), NaN where a row has none.

    Raises:
        DataError: 40 % of the rows or more repeat a timestamp: leaving so many out would change what was measured.
    """
    row_T = np.flatnonzero(np.isfinite(time_s))
    found_s = time_s[row_T]
    epoch_T = np.concatenate(([0], np.cumsum(np.diff(found_s) < -RESET_S))) if len(row_T) else row_T
    newest_s = np.full(len(row_T), -np.inf)  # of the rows before, in the same epoch
    bounds = [*np.flatnonzero(np.diff(epoch_T, prepend=-1)), len(row_T)]
    for first, stop in itertools.pairwise(bounds):
        newest_s[first + 1 : stop] = np.maximum.accumulate(found_s[first : stop - 1])
    advances = found_s > newest_s
    counts = {
        "missing_timestamps": len(time_s) - len(row_T),
        "duplicated_timestamps": int(np.count_nonzero(found_s == newest_s)),
        "backward_timestamps": int(np.count_nonzero(found_s < newest_s)),
        "clock_resets": max(len(bounds) - 2, 0),
    }
    repeated = counts["duplicated_timestamps"]
    if repeated and repeated >= _MOST_REPEATED * len(row_T):
        raise DataError(
            f"{repeated} of {len(row_T)} rows repeat a timestamp: the clock is too coarse, or rows were written twice.",
            "Mend the file where rows stand twice; else leave the timestamps out of the card, so that its rate holds.",
        )
    return Clock(row_T[advances], found_s[advances], epoch_T[advances], is_exact=False, counts=counts)


def measured_rate(clock: Clock) -> float | None:
    """Return the rate that a clock shows, in Hz; None where there are no timestamps, or too few.

    It is the number of steps by their sum, without the steps in which rows are missing: coarse timestamps do not bias
    it, as they would the median step.
    """
    step_s = np.diff(clock.time_s)[np.diff(clock.epoch_T) == 0]
    if clock.is_exact or len(step_s) < _MIN_STEPS:
        return None
    usual_s = step_s[step_s <= _HOLE_STEPS * np.median(step_s)]
    return float(len(usual_s) / usual_s.sum())


def check_rates(rates_hz: list[float | None], nominal_hz: float) -> None:
    """Refuse measured rates that no clock's error explains.

    Args:
        rates_hz: Of each stream of a recording; None where none was measured. Streams may have rates of their own, so
            one that agrees with the card is enough, unless another one is ten times off, which is a wrong unit.
        nominal_hz: The card's rate.

    Raises:
        DataError: None is within 30 % of the card's rate, or one is ten times it, or a tenth.
    """
    ratios = [rate_hz / nominal_hz for rate_hz in rates_hz if rate_hz is not None]
    wrong = [ratio for ratio in ratios if not 1 / _IMPOSSIBLE_RATIO < ratio < _IMPOSSIBLE_RATIO]
    if all(abs(ratio - 1) > MOST_OFF for ratio in ratios):
        wrong += ratios
    if wrong:
        raise DataError(
            f"the card says {nominal_hz:g} Hz, the clock shows {wrong[0] * nominal_hz:.6g} Hz.",
            "Correct rate_hz, or the unit of the timestamps, in the card.",
        )
