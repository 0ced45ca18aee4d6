"""A model on a live stream: samples in as they come, an activity out as soon as its window is complete.

    stream = ActivityStream(har.load("model.onnx"), rate_hz=100)
    for step in stream.push(signal_TC, time_s):
        print(step.end_s, step.activity, step.probability)

One object is one stream: it knows the samples that its next windows need, and no more. It is not thread-safe. T =
samples, C = channels, K = activities, N = windows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from har.datasets.recipe import MOST_TIMES_NOMINAL
from har.deploy.arrivals import Arrivals
from har.deploy.causal import Segment, delay_s, require_causal, samples_needed
from har.deploy.signals import check_units, factors_of
from har.deploy.smoothing import Smoothing
from har.errors import UsageError
from har.windows.segment import gather, samples_of

if TYPE_CHECKING:
    from har.deploy.facts import Facts
    from har.deploy.model import Model

_TOGETHER = 256  # windows of one pass through the network
_EARLY = 0.6  # periods by which a sample may stand before the instant that it is taken for, amply


@dataclass(frozen=True)
class Step:
    """One decision.

    Attributes:
        start_s: Begin of its window, on the clock of the samples.
        end_s: End of it: one period behind its last sample.
        activity: The name, after smoothing.
        probability: What is behind it: the network's probability, or the smoothing's.
        probability_K: float32 (activities,), the same for all activities, in the model's order.
        latency_ms: From when its last samples came to the decision.
    """

    start_s: float
    end_s: float
    activity: str
    probability: float
    probability_K: NDArray[np.float32]
    latency_ms: float


@dataclass
class _Windows:
    """The samples of a segment that later windows need."""

    segment: Segment
    first: int = 0  # number of the first sample kept
    begin: int = 0  # of the next window
    kept_TC: list[NDArray[np.float32]] = field(default_factory=list)
    count: int = 0


class ActivityStream:
    """A model, fed with samples as they come.

    Windows begin with a segment and follow one another every `step_s`; none reaches over a gap. At the model's own rate
    with evenly spaced samples the decisions are those of `Model.predict`; at another rate, those of `Model.predict`
    with ``streaming=True``, which uses this class.

    Args:
        model: What `har.load` returns.
        rate_hz: Nominal rate of the samples.
        step_s: From one window's begin to the next's; the training's when None.
        smoothing: Of the decisions; none when None.
        units: Unit by sensor where it is not SI, such as ``{"accelerometer": "g"}``.

    Attributes:
        counts: Samples that were left out, by reason; see `har.deploy.arrivals`.
        delay_s: How much later than by its own samples a window is complete, because the low-pass of another rate
            looks ahead; 0 at the model's own rate.
        needed: Evenly spaced samples without a gap until the first window is complete.

    Raises:
        UsageError: The model's recipe is not causal, or a rate, step or unit is impossible.
    """

    def __init__(
        self,
        model: Model,
        rate_hz: float,
        *,
        step_s: float | None = None,
        smoothing: Smoothing | None = None,
        units: Mapping[str, str] | None = None,
    ) -> None:
        require_causal(model.facts)
        self.model, self.rate_hz = model, (rate_hz := rate_of(rate_hz, model.facts.rate_hz))
        self._units = dict(units or {})
        self._factor_C = factors_of(model.facts.inputs, units)
        self._step = step_of(step_s, model.facts)
        self._smoothing = smoothing or Smoothing()
        self._arrivals = Arrivals(model.facts, rate_hz)
        self.counts = self._arrivals.counts
        self.delay_s = delay_s(model.facts, rate_hz)
        self.needed = samples_needed(model.facts, rate_hz)
        self._windows: _Windows | None = None
        self._has_times: bool | None = None
        self._waiting: list[tuple[NDArray[np.float64], NDArray[np.float64] | None]] = []
        # A window behind a gap takes four times as long to be complete, so the gap is known by then.
        self._most_waiting = max(int(min(self._step, model.facts.samples) / model.facts.rate_hz * rate_hz / 4), 1)
        self._doubted: list[NDArray[np.float64]] | None = []  # samples of the first window; None once they were judged

    def push(self, signal_TC: Any, time_s: Any = None, arrived: float | None = None) -> list[Step]:
        """Take samples and return the decisions that they complete.

        Args:
            signal_TC: Numbers (samples, channels of `Facts.inputs`), in SI units unless `units` says otherwise; NaN
                where a value is missing.
            time_s: Seconds (samples,), with jitter, repetitions and holes; None where the samples are evenly spaced.
                Either all pushes of a stream have times or none has.
            arrived: When the samples came, by ``time.perf_counter``, from which latency counts; now when None.

        Raises:
            UsageError: The shapes are not the model's or each other's, the units look wrong, or only some samples have
                times.
            DataError: The clock is more than 30 % off the stated rate.
        """
        clock = time.perf_counter() if arrived is None else arrived
        signal_TC = np.asarray(signal_TC, np.float64)
        times = None if time_s is None else np.asarray(time_s, np.float64)
        inputs = self.model.facts.inputs
        if signal_TC.ndim != 2 or signal_TC.shape[1] != len(inputs):
            raise UsageError(
                f"samples of shape {signal_TC.shape}, not (samples, {len(inputs)}).", "Give every channel."
            )
        if self._has_times not in (None, times is not None) and len(signal_TC):
            raise UsageError("samples with times and without in one stream.", "Give times in every push or in none.")
        if times is not None and times.shape != (len(signal_TC),):
            raise UsageError(f"{times.shape} times of {len(signal_TC)} samples.", "Give one time for each sample.")
        if len(signal_TC):
            self._has_times = times is not None
            self._waiting.append((signal_TC, times))
        return self._taken(clock) if self._is_due(times) else []

    def end(self) -> list[Step]:
        """Take the samples that no decision has needed yet, so that `counts` is complete."""
        return self._taken(time.perf_counter())

    def _is_due(self, time_s: NDArray[np.float64] | None) -> bool:
        """Return whether the samples that wait may complete a window, or are enough to be worked on together.

        Working on each sample by itself would cost several times as much and change nothing.
        """
        waiting = sum(len(signal_TC) for signal_TC, _ in self._waiting)
        windows = self._windows
        if windows is None or waiting >= self._most_waiting:
            return waiting > 0
        facts = self.model.facts
        last_s = windows.segment.origin_s + (windows.begin + facts.samples - 1) / facts.rate_hz + self.delay_s
        due_s = last_s - _EARLY / self.rate_hz
        if time_s is None:
            return self._arrivals.time_of(waiting - 1) >= due_s
        return bool((time_s >= due_s).any())

    def _taken(self, clock: float) -> list[Step]:
        """Work on the samples that wait."""
        if not self._waiting:
            return []
        signals, times = zip(*self._waiting, strict=True)
        self._waiting = []
        signal_TC = np.concatenate(signals) * self._factor_C
        time_s = None if times[0] is None else np.concatenate(times)
        steps: list[Step] = []
        for part in self._arrivals.push(signal_TC, time_s):
            if part.is_new or self._windows is None:
                self._windows = _Windows(Segment(self.model.facts, self.rate_hz, float(part.time_s[0])))
                self._smoothing.begin()
            self._check_units(part.signal_TC)
            made_TC = self._windows.segment.push(part.time_s, part.signal_TC)
            steps += self._decided(self._windows, made_TC, clock)
        return steps

    def _check_units(self, signal_TC: NDArray[np.float64]) -> None:
        """Judge the units of the first window's samples before anything is decided from them."""
        if self._doubted is None:
            return
        self._doubted.append(signal_TC)
        if sum(map(len, self._doubted)) >= self.model.facts.window_s * self.rate_hz:
            check_units(np.concatenate(self._doubted), self.model.facts.inputs, self._units)
            self._doubted = None

    def _decided(self, windows: _Windows, made_TC: NDArray[np.float32], clock: float) -> list[Step]:
        """Add samples to a segment's windows; return the decisions of those that are complete."""
        facts = self.model.facts
        windows.kept_TC.append(made_TC)
        windows.count += len(made_TC)
        if windows.count < windows.begin + facts.samples:
            return []
        kept_TC = np.concatenate(windows.kept_TC)
        start_N = np.arange(windows.begin, windows.count - facts.samples + 1, self._step)
        steps = []
        for some in range(0, len(start_N), _TOGETHER):
            chosen_N = start_N[some : some + _TOGETHER]
            x_NTC = gather(kept_TC, chosen_N - windows.first, facts.samples)
            for start, probability_K in zip(chosen_N.tolist(), self.model.probabilities(x_NTC), strict=True):
                steps.append(self._step_of(windows.segment.origin_s + start / facts.rate_hz, probability_K, clock))
        windows.begin = int(start_N[-1]) + self._step
        forgotten = min(windows.begin, windows.count) - windows.first
        windows.kept_TC, windows.first = [kept_TC[forgotten:]], windows.first + forgotten
        return steps

    def _step_of(self, start_s: float, probability_K: NDArray[np.float32], clock: float) -> Step:
        """Return the decision of a window."""
        number, behind_K = self._smoothing.push(probability_K)
        facts = self.model.facts
        latency_ms = 1e3 * (time.perf_counter() - clock)
        end_s = start_s + facts.window_s
        return Step(start_s, end_s, facts.activities[number], float(behind_K[number]), behind_K, latency_ms)


def rate_of(rate_hz: Any, model_hz: float) -> float:
    """Return a rate in Hz; refuse what is none, and one of which preparation would not make the model's.

    Raises:
        UsageError: It is not a positive, finite number, or so low that most of a window would be made up.
    """
    given_hz = _number(rate_hz, "rate", "Give samples per second, such as 50.")
    if not 0 < given_hz < float("inf"):
        raise UsageError(f"{given_hz:g} Hz is no rate.", "Give samples per second, such as 50.")
    if model_hz > MOST_TIMES_NOMINAL * given_hz:
        raise UsageError(
            f"samples at {given_hz:g} Hz are too few for a model of {model_hz:g} Hz: most of a window would be made "
            "up.",
            f"Give samples per second, not seconds per sample; at least {model_hz / MOST_TIMES_NOMINAL:g}.",
        )
    return given_hz


def step_of(step_s: Any, facts: Facts) -> int:
    """Return the samples from one window's begin to the next's.

    Args:
        step_s: In seconds; the training's when None.
        facts: Of the model.

    Raises:
        UsageError: It is no number, or no whole number of samples.
    """
    wanted_s = facts.step_s if step_s is None else _number(step_s, "step", "Give seconds, such as 0.5.")
    return samples_of(wanted_s, facts.rate_hz)


def _number(value: Any, what: str, hint: str) -> float:
    """Return a number of Python or numpy as a float; text is none, though it may look like one."""
    try:
        if not isinstance(value, str | bytes | bool):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise UsageError(f"{value!r} is no {what}: it is no number.", hint)
