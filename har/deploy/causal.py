"""What preparation does to a recording, done to a stream: every value is final as soon as it is given.

    samples ─▶ regular grid of their rate ─▶ low-pass and change of rate ─▶ gravity, magnitudes ─▶ float32 samples

The low-pass is preparation's own, of linear phase, so it must see half of its length ahead: that is the stream's
delay (`delay_s`), and what comes out is what preparation makes of the same samples. Results do not depend on how
samples are cut into pushes. T = samples, C = channels.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from har.deploy.facts import Facts
from har.errors import UsageError
from har.windows import resample
from har.windows.channels import computed_from, split_of

Array = NDArray[np.float64]
# The first sample, from which the grid counts, may be as far off as any other.
_ON_GRID = 2 * resample.GRID_TOLERANCE
_HOLE_STEPS = 1.5  # a longer step is one where samples are missing
AHEAD = 3  # samples behind an instant that modified Akima interpolation needs
_BLOCK = 4096  # samples that are filtered together: bounded memory for recordings of any length


def require_causal(facts: Facts) -> None:
    """Refuse a model whose recipe cannot run on a stream.

    Raises:
        UsageError: Its gravity filter also runs backwards.
    """
    gravity = facts.recipe.gravity
    if gravity is not None and not gravity.causal:
        raise UsageError(
            f"the model was trained on {facts.data_set}, whose gravity filter runs backwards too and needs the whole "
            "recording, which a stream never is.",
            "Prepare the data with --gravity causal under another name (--as NAME), train on these, stream that model.",
        )


class Segment:
    """A stream from one gap to the next, as the samples that a model is fed.

    Args:
        facts: Of the model.
        rate_hz: Nominal rate of the samples.
        origin_s: Time of the first one.
    """

    def __init__(self, facts: Facts, rate_hz: float, origin_s: float) -> None:
        self.origin_s = origin_s
        grid_hz, up, down = _plan(rate_hz, facts.rate_hz)
        self._grid = _Grid(origin_s, rate_hz, grid_hz)
        self._low_pass = _LowPass(up, down)
        self._gravity = None if facts.recipe.gravity is None else _Gravity(facts)
        self._channels = facts.channels

    def push(self, time_s: Array, signal_TC: Array) -> NDArray[np.float32]:
        """Return the model's samples that are final now, float32 (samples, channels of the model).

        Args:
            time_s: float64 (samples,), rising, behind those of earlier pushes.
            signal_TC: float64 (samples, channels that are given), in SI units.
        """
        parts = [self._pushed(time_s[i : i + _BLOCK], signal_TC[i : i + _BLOCK]) for i in range(0, len(time_s), _BLOCK)]
        return np.concatenate(parts) if parts else np.empty((0, len(self._channels.made)), np.float32)

    def _pushed(self, time_s: Array, signal_TC: Array) -> NDArray[np.float32]:
        """Push a block."""
        taken_TC = self._low_pass.push(self._grid.push(time_s, signal_TC))
        if len(taken_TC) == 0:
            return np.empty((0, len(self._channels.made)), np.float32)
        low_TC = None if self._gravity is None else self._gravity.push(taken_TC)
        return computed_from(self._channels, taken_TC, low_TC).astype(np.float32)


def delay_s(facts: Facts, rate_hz: float) -> float:
    """Return how much later than a sample's own time the low-pass gives it out, in seconds; 0 where none is needed.

    Where timestamps jitter by more than a tenth of a period, up to three periods of the given rate come on top.
    """
    grid_hz, up, down = _plan(rate_hz, facts.rate_hz)
    return _LowPass(up, down).ahead / grid_hz


def samples_needed(facts: Facts, rate_hz: float) -> int:
    """Return how many samples, evenly spaced and without a gap, complete the first window."""
    grid_hz, up, down = _plan(rate_hz, facts.rate_hz)
    last = math.floor((facts.samples - 1) * down / up + _LowPass(up, down).ahead + resample.ROUNDING)
    if grid_hz == rate_hz:
        return last + 1
    place = np.arange(last + 1) / grid_hz * rate_hz  # of the grid's instants among the samples
    is_own = np.abs(place - np.rint(place)) <= resample.ROUNDING
    return int(np.where(is_own, np.rint(place), np.floor(place) + AHEAD).max()) + 1


def _plan(rate_hz: float, wanted_hz: float) -> tuple[float, int, int]:
    """Return the rate of the grid that samples are laid on, and the ratio in which the low-pass changes it."""
    ratio = Fraction(repr(wanted_hz)) / Fraction(repr(rate_hz))
    if max(ratio.numerator, ratio.denominator) <= resample.MAX_TERM:
        return rate_hz, ratio.numerator, ratio.denominator
    if wanted_hz >= resample.EQUAL_RATES * rate_hz:
        return wanted_hz, 1, 1
    factor = math.ceil(resample.FINE * rate_hz / wanted_hz)
    return factor * wanted_hz, 1, factor


class _Grid:
    """Samples at the instants of a regular grid, whatever their own times.

    A sample within a tenth of a period of an instant is taken as it is: such times are the grid's, written coarsely.
    Where samples are missing, straight lines stand for them; everything else is modified Akima interpolation.

    Args:
        origin_s: The first instant.
        rate_hz: Nominal rate of the samples.
        grid_hz: Of the grid.
    """

    def __init__(self, origin_s: float, rate_hz: float, grid_hz: float) -> None:
        self._origin_s, self._rate_hz, self._grid_hz = origin_s, rate_hz, grid_hz
        self._reach_s = (_ON_GRID if rate_hz == grid_hz else resample.ROUNDING) / rate_hz
        self._next = 0  # number of the next instant
        self._time_s: Array = np.empty(0)
        self._signal_TC: Array = np.empty((0, 0))

    def push(self, time_s: Array, signal_TC: Array) -> Array:
        """Return the signal at the instants that can be told now."""
        if len(self._time_s):
            time_s, signal_TC = np.append(self._time_s, time_s), np.concatenate([self._signal_TC, signal_TC])
        time_s, signal_TC = self._filled(time_s, signal_TC)
        last = math.floor((time_s[-1] + self._reach_s - self._origin_s) * self._grid_hz)
        at_s = self._origin_s + np.arange(self._next, last + 1) / self._grid_hz
        near = np.searchsorted(time_s, at_s - self._reach_s)  # the earliest sample that may be taken as it is
        near = np.minimum(near, len(time_s) - 1)
        is_own = np.abs(time_s[near] - at_s) <= self._reach_s
        before = np.searchsorted(time_s, at_s, side="right") - 1
        is_final = is_own | (before + AHEAD < len(time_s))
        count = len(at_s) if is_final.all() else int(np.argmin(is_final))
        out_TC = signal_TC[near[:count]]
        between = np.flatnonzero(~is_own[:count])
        if len(between):
            out_TC[between] = makima(time_s, signal_TC, at_s[between], before[between])
        self._next += count
        self._forget(time_s, signal_TC)
        return out_TC

    def _filled(self, time_s: Array, signal_TC: Array) -> tuple[Array, Array]:
        """Put straight lines where samples are missing."""
        step_s = time_s[1:] - time_s[:-1]
        longest_s = _HOLE_STEPS / self._rate_hz
        if len(step_s) == 0 or step_s.max() <= longest_s:
            return time_s, signal_TC
        parts = np.where(step_s > longest_s, np.rint(step_s * self._rate_hz), 1).astype(np.int64)
        row = np.repeat(np.arange(len(parts)), parts)
        share = (np.arange(len(row)) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[row]
        lines_TC = signal_TC[row] + share[:, None] * (signal_TC[row + 1] - signal_TC[row])
        all_s = np.append(time_s[row] + share * step_s[row], time_s[-1])
        return all_s, np.concatenate([lines_TC, signal_TC[-1:]])

    def _forget(self, time_s: Array, signal_TC: Array) -> None:
        """Keep the samples that later instants depend on."""
        at_s = self._origin_s + self._next / self._grid_hz - self._reach_s
        first = max(int(np.searchsorted(time_s, at_s)) - 2 - AHEAD, 0)
        self._time_s, self._signal_TC = time_s[first:], signal_TC[first:]


def makima(time_s: Array, signal_TC: Array, at_s: Array, before: NDArray[np.int64]) -> Array:
    """Interpolate by cubic pieces with modified Akima slopes, which do not overshoot where times nearly coincide.

    The slope at a sample depends on two samples at either side, so what is interpolated is final when three samples
    behind it are there. At the first samples of all, slopes go on in a line, as in scipy's ``Akima1DInterpolator``.

    Args:
        time_s: float64 (samples,), rising.
        signal_TC: float64 (samples, channels).
        at_s: float64 (instants,), between the first and the last sample.
        before: int (instants,), the last sample that is not behind each instant.
    """
    step_s = (time_s[1:] - time_s[:-1])[:, None]
    slope = np.empty((len(time_s) + 3, signal_TC.shape[1]))
    inner = np.divide(signal_TC[1:] - signal_TC[:-1], step_s, out=slope[2:-2])
    second, last = inner[min(1, len(inner) - 1)], inner[max(len(inner) - 2, 0)]
    slope[1], slope[-2] = 2 * inner[0] - second, 2 * inner[-1] - last
    slope[0], slope[-1] = 2 * slope[1] - inner[0], 2 * slope[-2] - inner[-1]
    change, total = np.abs(slope[1:] - slope[:-1]), np.abs(slope[1:] + slope[:-1])
    weight = change + total / 2
    left, right = weight[2:], weight[:-2]
    sum_TC = left + right
    flat = sum_TC == 0
    slope_TC = np.where(flat, 0, (left * slope[1:-2] + right * slope[2:-1]) / np.where(flat, 1, sum_TC))
    u = ((at_s - time_s[before]) / step_s[before, 0])[:, None]
    y0, y1, h = signal_TC[before], signal_TC[before + 1], step_s[before]
    d0, d1 = h * slope_TC[before], h * slope_TC[before + 1]
    values: Array = y0 + u * (d0 + u * (3 * (y1 - y0) - 2 * d0 - d1 + u * (2 * (y0 - y1) + d0 + d1)))
    return values


class _LowPass:
    """Preparation's polyphase filter, sample by sample.

    Output m stands at the instant of input m·down/up. In front of the first sample the signal goes on as its own image
    in a point, as in preparation; at the end nothing is made up.

    Args:
        up: Numerator of the ratio of rates, in lowest terms.
        down: Its denominator.
    """

    def __init__(self, up: int, down: int) -> None:
        self._up, self._down = up, down
        self.ahead = 0.0  # samples of the input
        self._next = 0  # number of the next output
        self._first: int | None = None  # number of the first sample kept; None until there are enough to begin
        self._kept_TC: Array | None = None
        if up == down:
            return
        taps = resample.low_pass(up, down) * up
        self._half = len(taps) // 2
        self.ahead = self._half / up
        self._before = self._half // up
        places = np.arange(-self._before, (up - 1 + self._half) // up + 1)  # of samples, from that at the output
        tap = np.arange(up)[:, None] + self._half - places * up
        inside = (tap >= 0) & (tap < len(taps))
        self._taps = np.where(inside, taps[np.clip(tap, 0, len(taps) - 1)], 0.0)  # (phases, samples)

    def push(self, signal_TC: Array) -> Array:
        """Return the outputs that can be told now, float64 (samples, channels)."""
        if self._up == self._down:
            return signal_TC
        kept_TC = signal_TC if self._kept_TC is None else np.concatenate([self._kept_TC, signal_TC])
        self._kept_TC = kept_TC
        if self._first is None:
            if len(kept_TC) <= self._before:
                return kept_TC[:0]
            kept_TC = np.concatenate([2 * kept_TC[0] - kept_TC[self._before : 0 : -1], kept_TC])
            self._first = -self._before
        stop = self._first + len(kept_TC)
        last = (stop * self._up - self._half - 1) // self._down
        place, phase = np.divmod(np.arange(self._next, last + 1) * self._down, self._up)
        rows = place[:, None] - self._before - self._first + np.arange(self._taps.shape[1])
        # Where the last sample of a phase is not there yet, its tap is 0.
        out_TC: Array = np.einsum("ts,tsc->tc", self._taps[phase], kept_TC[np.minimum(rows, len(kept_TC) - 1)])
        self._next = max(last + 1, self._next)
        keep = self._next * self._down // self._up - self._before - self._first
        self._kept_TC, self._first = kept_TC[max(keep, 0) :], self._first + max(keep, 0)
        return out_TC


class _Gravity:
    """The recipe's causal gravity filter, with its state.

    Args:
        facts: Of the model.
    """

    def __init__(self, facts: Facts) -> None:
        from scipy.signal import butter

        gravity = facts.recipe.gravity
        assert gravity is not None and gravity.causal  # noqa: S101, PT018  (`require_causal` has said so)
        self._sections = butter(gravity.order, gravity.cutoff_hz, fs=facts.rate_hz, output="sos")
        self._columns = split_of(facts.channels)
        self._state: Array | None = None

    def push(self, signal_TC: Array) -> Array:
        """Return the slow part of the accelerations, which starts as if the first sample had always been there."""
        from scipy.signal import sosfilt, sosfilt_zi

        split_TC = signal_TC[:, self._columns]
        if self._state is None:
            self._state = sosfilt_zi(self._sections)[:, :, None] * split_TC[0]
        low_TC: Array
        low_TC, self._state = sosfilt(self._sections, split_TC, axis=0, zi=self._state)
        return low_TC
