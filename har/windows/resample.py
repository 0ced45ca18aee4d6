"""Resampling: a piece of a stream at the instants of an exact rate. T = samples, C = sensor channels.

A piece that lies on a regular grid goes through one polyphase filter; where the rate stays, it is taken as it is. Any
other piece is interpolated (modified Akima, which does not overshoot where timestamps nearly coincide), onto a fine
grid first where the rate goes down, so that the same filter can keep what the new rate cannot hold from folding back.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from har.windows.gaps import Piece

ATTENUATION_DB = 60  # of everything from the lower one of the two Nyquist frequencies on
PASSBAND = 0.8  # share of that frequency below which nothing is changed, to the same 60 dB
# The design formula meets its attenuation on average over designs; this much more meets it in every one (tested).
_MARGIN_DB = 3
# Timestamps are taken for a regular grid's, written coarsely, while they stay within this share of a period of it:
# milliseconds at up to 100 Hz. Interpolating instead would cost more of the signal than the instants are off.
GRID_TOLERANCE = 0.05
MAX_TERM = 1000  # of a ratio of rates: the filter has 36 times as many coefficients
# Rates that differ by less need no filter: what could fold back lies in the last 2 % below the Nyquist frequency.
EQUAL_RATES = 0.98
FINE = 2  # samples of the fine grid for each of the source, at least
_HOLE_STEPS = 1.5  # a longer step is one where rows are missing
ROUNDING = 1e-6  # of a sample: instants this close are the same


@dataclasses.dataclass(frozen=True)
class Source:
    """A piece, ready to be taken at any instants between its first and last.

    Attributes:
        time_s: float64 (knots,), first and last of which bound the piece; rising.
        signal_TC: float64 (knots, channels); rows that were missing are filled by straight lines.
        rate_hz: Of the knots: exact where `is_regular`, else measured.
        is_regular: Whether knot k is at ``time_s[0] + k / rate_hz``.
        filled_T: bool (knots,), whether the piece does not have the knot, or lacked a value there.
        own_s: float64 (rows,), timestamps of the rows that the piece has.
    """

    time_s: NDArray[np.float64]
    signal_TC: NDArray[np.float64]
    rate_hz: float
    is_regular: bool
    filled_T: NDArray[np.bool_]
    own_s: NDArray[np.float64]

    @property
    def filled_rows(self) -> int:
        """How many knots the piece does not have."""
        return len(self.time_s) - len(self.own_s)


def source_of(piece: Piece, nominal_hz: float, measured_hz: float | None) -> Source:
    """Find out whether a piece lies on the nominal grid, and fill the holes where rows are missing.

    Args:
        piece: With steps that are no gaps.
        nominal_hz: The card's rate.
        measured_hz: What the stream's clock shows; None where it has no timestamps.
    """
    grid = on_grid(piece.time_s, nominal_hz)
    if grid is not None:
        origin_s, index_T = grid
        rows = int(index_T[-1]) + 1
        time_s = origin_s + np.arange(rows) / nominal_hz
        signal_TC = (
            piece.signal_TC if rows == len(index_T) else _at(time_s, time_s[index_T], piece.signal_TC, np.interp)
        )
        filled_T = np.ones(rows, bool)
        filled_T[index_T] = piece.filled_T
        return Source(time_s, signal_TC, nominal_hz, is_regular=True, filled_T=filled_T, own_s=piece.time_s)
    rate_hz = measured_hz or nominal_hz
    step_s = np.diff(piece.time_s)
    parts = np.where(step_s > _HOLE_STEPS / rate_hz, np.rint(step_s * rate_hz), 1).astype(np.int64)
    if parts.max(initial=1) == 1:
        return Source(piece.time_s, piece.signal_TC, rate_hz, False, filled_T=piece.filled_T, own_s=piece.time_s)
    # Knot j of the step that begins at row i lies at t[i] + j / parts[i] * step[i].
    row = np.repeat(np.arange(len(parts)), parts)
    j = np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)
    time_s = np.append(piece.time_s[row] + j / parts[row] * step_s[row], piece.time_s[-1])
    signal_TC = _at(time_s, piece.time_s, piece.signal_TC, np.interp)
    filled_T = np.append((j > 0) | piece.filled_T[row], piece.filled_T[-1])
    return Source(time_s, signal_TC, rate_hz, is_regular=False, filled_T=filled_T, own_s=piece.time_s)


def on_grid(time_s: NDArray[np.float64], rate_hz: float) -> tuple[float, NDArray[np.int64]] | None:
    """Return the origin of the regular grid that the timestamps were written from, and their numbers on it.

    Args:
        time_s: float64 (samples,), rising.
        rate_hz: Of the grid.

    Returns:
        The time of number 0, which is the first sample's, and int64 (samples,); None where there is no such grid.
    """
    index_T = np.rint((time_s - time_s[0]) * rate_hz).astype(np.int64)
    error_s = time_s - index_T / rate_hz
    low_s, high_s = float(error_s.min()), float(error_s.max())
    if (high_s - low_s) * rate_hz > 2 * GRID_TOLERANCE or np.any(np.diff(index_T) < 1):
        return None
    return (low_s + high_s) / 2, index_T


def filled(source: Source, first_s: float, count: int) -> NDArray[np.bool_]:
    """Return bool (count,): which of a regular piece's own samples, from the instant `first_s` on, were filled."""
    begin = round((first_s - float(source.time_s[0])) * source.rate_hz)
    return source.filled_T[begin : begin + count]


def sample(source: Source, first_s: float, rate_hz: float, count: int) -> tuple[NDArray[np.float64], bool]:
    """Return the signal at ``first_s + k / rate_hz`` for k from 0 to `count` - 1, all within the piece.

    Args:
        source: The piece.
        first_s: Time of the first sample.
        rate_hz: The exact rate.
        count: How many samples.

    Returns:
        float64 (count, channels), and whether these are the source's own samples.
    """
    offset = (first_s - float(source.time_s[0])) * source.rate_hz
    begin = round(offset)
    ratio = Fraction(repr(rate_hz)) / Fraction(repr(source.rate_hz))
    fits = source.is_regular and abs(offset - begin) <= GRID_TOLERANCE
    if fits and max(ratio.numerator, ratio.denominator) <= MAX_TERM:
        needed = begin + math.floor(Fraction(count - 1) / ratio) + 1
        signal_TC = source.signal_TC[begin : needed + 1]  # and its neighbour, which the filter sees
        return polyphase(signal_TC, ratio.numerator, ratio.denominator)[:count], ratio == 1
    if rate_hz >= EQUAL_RATES * source.rate_hz:
        return _interpolated(source, first_s + np.arange(count) / rate_hz), False
    factor = math.ceil(FINE * source.rate_hz / rate_hz)
    time_s = first_s + np.arange((count - 1) * factor + 1) / (factor * rate_hz)
    sampled_TC = np.empty((count, source.signal_TC.shape[1]))
    for channel in range(source.signal_TC.shape[1]):  # one at a time: the fine grid is long
        one = dataclasses.replace(source, signal_TC=source.signal_TC[:, channel : channel + 1])
        sampled_TC[:, channel] = polyphase(_interpolated(one, time_s), 1, factor)[:, 0]
    return sampled_TC, False


def polyphase(signal_TC: NDArray[np.float64], up: int, down: int) -> NDArray[np.float64]:
    """Change the rate of a regular signal by ``up / down``; sample 0 stays where it is.

    Over both ends the signal goes on as its own image in a point, which leaves what is constant as it is.

    Args:
        signal_TC: float64 (samples, channels).
        up: Numerator of the ratio of rates, in lowest terms.
        down: Its denominator.

    Returns:
        float64 ((samples - 1) * up // down + 1, channels): no sample lies behind the last one.
    """
    if up == down or len(signal_TC) == 1:
        return signal_TC[: len(signal_TC)]
    from scipy.signal import resample_poly  # 1.3 s, and most data sets keep their rate

    count = (len(signal_TC) - 1) * up // down + 1
    changed_TC: NDArray[np.float64] = resample_poly(
        signal_TC, up, down, axis=0, window=low_pass(up, down), padtype="antireflect"
    )
    return changed_TC[:count]


def low_pass(up: int, down: int) -> NDArray[np.float64]:
    """Return the coefficients of the linear-phase filter that runs at `up` times the source's rate.

    A Kaiser window: 60 dB from the Nyquist frequency of the lower rate on, and the same below 0.8 of it. At every
    instant between two samples the weights of the source's samples have the sum 1: what is constant, such as gravity
    at rest, stays so.
    """
    from scipy.signal import firwin, kaiserord

    stop = 1 / max(up, down)  # in units of the Nyquist frequency of the rate the filter runs at
    taps, beta = kaiserord(ATTENUATION_DB + _MARGIN_DB, (1 - PASSBAND) * stop)
    coefficients: NDArray[np.float64] = firwin(taps | 1, (1 + PASSBAND) / 2 * stop, window=("kaiser", beta))
    for phase in range(up):
        coefficients[phase::up] /= up * coefficients[phase::up].sum()
    return coefficients


def _interpolated(source: Source, at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate a piece; instants that rounding put outside it are its ends."""
    at_s = np.clip(at_s, source.time_s[0], source.time_s[-1])
    if len(source.time_s) == 1:
        return np.repeat(source.signal_TC, len(at_s), axis=0)
    from scipy.interpolate import Akima1DInterpolator

    def akima(
        at_s: NDArray[np.float64], time_s: NDArray[np.float64], value_T: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        values: NDArray[np.float64] = Akima1DInterpolator(time_s, value_T, method="makima")(at_s)
        return values

    return _at(at_s, source.time_s, source.signal_TC, akima)


_Method = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def _at(
    at_s: NDArray[np.float64], time_s: NDArray[np.float64], signal_TC: NDArray[np.float64], method: _Method
) -> NDArray[np.float64]:
    """Interpolate one channel after the other, so that memory is bounded by one."""
    values_TC = np.empty((len(at_s), signal_TC.shape[1]))
    for channel in range(signal_TC.shape[1]):
        values_TC[:, channel] = method(at_s, time_s, signal_TC[:, channel])
    return values_TC
