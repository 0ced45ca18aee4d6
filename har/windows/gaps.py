"""Gaps: short ones are filled by a straight line in time, long ones end a recording.

T = samples, C = sensor channels.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
from numpy.typing import NDArray

from har.windows.clock import Clock

ROUNDING = 1 + 1e-9  # a gap of exactly the limit is no longer than it, whatever its floating point difference


@dataclasses.dataclass(frozen=True)
class Piece:
    """What lies between two gaps of a stream.

    Attributes:
        epoch: Of the clock.
        row_T: int64, row numbers in the stream.
        time_s: float64, rising.
        signal_TC: float64 (samples, channels), finite.
        filled_T: bool (samples,), whether a value of the row was missing and is interpolated.
    """

    epoch: int
    row_T: NDArray[np.int64]
    time_s: NDArray[np.float64]
    signal_TC: NDArray[np.float64]
    filled_T: NDArray[np.bool_]


def pieces_of(
    clock: Clock, signal_TC: NDArray[np.float64], max_gap_s: float | None
) -> tuple[list[Piece], dict[str, int]]:
    """Cut a stream at its gaps.

    A gap is where neighbouring values of any channel are further apart than `max_gap_s`, be it that rows are missing or
    that values are. Nothing is ever interpolated over a gap, nor at the ends, where there is no second neighbour.

    Args:
        clock: Of the stream's rows that are in `signal_TC`.
        signal_TC: float64 (rows of the clock, channels), NaN where a value is missing. Short gaps are filled in place.
        max_gap_s: The limit; None for none.

    Returns:
        The pieces in order, and what was done: `missing_values`, `interpolated_values` (each counts one value of one
        channel), `rows_in_gaps` (rows that lack a value that could not be interpolated) and `gaps`.
    """
    limit_s = math.inf if max_gap_s is None else max_gap_s * ROUNDING
    missing = interpolated = 0
    usable_T, touched_T = np.ones(len(signal_TC), bool), np.zeros(len(signal_TC), bool)
    for channel in np.flatnonzero(np.isnan(signal_TC).any(axis=0)):
        value_T = signal_TC[:, channel]  # a view
        missing_T = np.isnan(value_T)
        filled_T = _fill(clock, value_T, missing_T, limit_s)
        missing += int(np.count_nonzero(missing_T))
        interpolated += int(np.count_nonzero(filled_T))
        usable_T &= ~missing_T | filled_T
        touched_T |= filled_T
    kept = np.flatnonzero(usable_T)
    time_s, epoch_T = clock.time_s[kept], clock.epoch_T[kept]
    ends = np.flatnonzero((np.diff(time_s) > limit_s) | (np.diff(epoch_T) > 0)) + 1
    bounds = [0, *ends.tolist(), len(kept)] if len(kept) else []
    pieces = []
    for first, stop in itertools.pairwise(bounds):
        # A view: rows that were taken out lie between values that are too far apart, and so between two pieces.
        part = slice(kept[first], kept[stop - 1] + 1)
        own = (clock.row_T[part], clock.time_s[part], signal_TC[part], touched_T[part])
        pieces.append(Piece(int(epoch_T[first]), *own))
    return pieces, {
        "missing_values": missing,
        "interpolated_values": interpolated,
        "rows_in_gaps": len(signal_TC) - len(kept),
        "gaps": max(len(pieces) - 1, 0),
    }


def _fill(
    clock: Clock, value_T: NDArray[np.float64], missing_T: NDArray[np.bool_], limit_s: float
) -> NDArray[np.bool_]:
    """Fill the short gaps of one channel in place; return which values are new."""
    known = np.flatnonzero(~missing_T)
    holes = np.flatnonzero(missing_T)
    after = np.searchsorted(known, holes)
    inside = (after > 0) & (after < len(known))
    holes, after = holes[inside], after[inside]
    left, right = known[after - 1], known[after]
    near = (clock.time_s[right] - clock.time_s[left] <= limit_s) & (clock.epoch_T[left] == clock.epoch_T[right])
    holes, left, right = holes[near], left[near], right[near]
    share = (clock.time_s[holes] - clock.time_s[left]) / (clock.time_s[right] - clock.time_s[left])
    value_T[holes] = value_T[left] + share * (value_T[right] - value_T[left])
    filled_T = np.zeros(len(value_T), bool)
    filled_T[holes] = True
    return filled_T
