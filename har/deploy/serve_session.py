"""One phone's connection: its messages checked, its samples as the model's channels, the decisions as an answer.

What the page sends, as JSON texts:

    {"rate_hz": 60}                                        begins a stream, or begins anew
    {"samples": [[time_ms, ax, ay, az, rx, ry, rz], …]}    as the browser's DeviceMotionEvent gives them

a = accelerationIncludingGravity in m/s², r = rotationRate in °/s, both along the phone's own axes: x to the right of
the screen, y to its top, z out of it towards the person. A phone on its back has az = +9.8, and a turn is positive
counter-clockwise as seen from the tip of its axis. rotationRate's alpha, beta and gamma are x, y and z, as browsers do
it and as the standard has it since (W3C, Device Orientation and Motion, `rotationRate`). null is a missing value.

C = channels of the model, T = samples.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Channel
from har.deploy.model import Model
from har.deploy.signals import stated
from har.deploy.smoothing import Smoothing
from har.deploy.stream import ActivityStream, Step
from har.errors import DataError, UsageError
from har.files import parse_json

LONGEST = 1 << 16  # bytes of a message; a second of samples takes 6 kB
MOST_SAMPLES = 500  # of a message: eight seconds at 60 Hz, for a phone whose network hesitated
MOST_MESSAGES = 20  # a second, over two seconds; the page sends ten
_OVER_S = 2.0
RATES_HZ = (5.0, 500.0)  # of phones: 10 to 200, and browsers give 60
_LARGEST = 1e5  # of a value: no phone has such m/s² or °/s
_LONGEST_MS = 1e15  # of a time: thirty thousand years

_SENSORS = ("accelerometer", "gyroscope")
_PLACES = {(sensor, axis): 3 * i + j for i, sensor in enumerate(_SENSORS) for j, axis in enumerate("xyz")}
_UNITS = {"accelerometer": "m/s²", "gyroscope": "rad/s"}
_WIDTH = 1 + len(_PLACES)


@dataclass(frozen=True)
class Wish:
    """How a person wants decisions made.

    Attributes:
        step_s: From one window's begin to the next's; the training's when None.
        smooth: Kind of `har.deploy.smoothing`.
        last: Steps that are smoothed.
    """

    step_s: float | None = None
    smooth: str = "none"
    last: int = 5

    def stream(self, model: Model, rate_hz: float) -> ActivityStream:
        """Return a stream for the values of a browser.

        Raises:
            UsageError: The wish or the rate is impossible, or the model's recipe is not causal.
        """
        has_gyroscope = any(channel.sensor == "gyroscope" for channel in model.facts.inputs)
        units = {"gyroscope": "°/s"} if has_gyroscope else None
        return ActivityStream(
            model, rate_hz, step_s=self.step_s, smoothing=Smoothing(self.smooth, self.last), units=units
        )


def phone_columns(inputs: tuple[Channel, ...]) -> list[int]:
    """Return for each channel of a model which of a phone's six values it is, found by sensor and axis.

    Args:
        inputs: The channels that the model is fed.

    Raises:
        UsageError: They are not those of one phone.
    """
    keys = [(channel.sensor, channel.axis) for channel in inputs]
    own = all(key in _PLACES and channel.unit == _UNITS[key[0]] for key, channel in zip(keys, inputs, strict=True))
    if not own or len(set(keys)) < len(keys) or len({channel.site for channel in inputs}) > 1:
        raise UsageError(
            f"the model needs {stated(inputs)}, and a phone's browser gives one accelerometer and one gyroscope with "
            "axes x, y and z.",
            "Serve a model of these channels or some of them; har stream takes any.",
        )
    return [_PLACES[key] for key in keys]


class Pace:
    """A limit on messages: so many a second, counted over two seconds."""

    def __init__(self) -> None:
        self._arrived: deque[float] = deque(maxlen=int(MOST_MESSAGES * _OVER_S))

    def take(self, arrived: float) -> None:
        """Count a message.

        Args:
            arrived: Its time in seconds, by any clock that only goes on.

        Raises:
            UsageError: There were too many.
        """
        if len(self._arrived) == self._arrived.maxlen and arrived - self._arrived[0] < _OVER_S:
            raise UsageError(f"more than {MOST_MESSAGES} messages a second.", "Send more samples in each.")
        self._arrived.append(arrived)


class Session:
    """The stream of one connection.

    Args:
        model: What decides.
        wish: How.

    Attributes:
        samples: How many came.
        decisions: How many were made.
    """

    def __init__(self, model: Model, wish: Wish) -> None:
        self._model, self._wish = model, wish
        self._columns = phone_columns(model.facts.inputs)
        self._stream: ActivityStream | None = None
        self.samples = self.decisions = 0

    def receive(self, text: str | bytes, arrived: float) -> dict[str, Any]:
        """Take a message and return the answer to it.

        Args:
            text: The message.
            arrived: When it came, by ``time.perf_counter``.

        Returns:
            Plain values: ``decisions``, a list, and ``left_out``, samples by reason; or ``delay_s`` of a stream that
            was begun.

        Raises:
            DataError: The message is not of the kinds above, or its times are not of the stated rate.
            UsageError: The rate is no phone's, or the accelerations are not in m/s².
        """
        message = _object(text)
        if set(message) == {"rate_hz"}:
            return self._begin(message["rate_hz"])
        if set(message) != {"samples"}:
            _refuse("it holds neither rate_hz nor samples alone")
        if self._stream is None:
            _refuse("samples came before rate_hz")
        time_s, values_TC = _samples(message["samples"])
        self.samples += len(values_TC)
        steps = self._stream.push(values_TC[:, self._columns], time_s, arrived)
        self.decisions += len(steps)
        left_out = {reason.replace("_", " "): count for reason, count in self._stream.counts.items() if count}
        return {"decisions": [_plain(step) for step in steps], "left_out": left_out}

    def _begin(self, rate_hz: Any) -> dict[str, Any]:
        """Begin a stream."""
        low, high = RATES_HZ
        if not _is_number(rate_hz) or not low <= rate_hz <= high:
            raise UsageError(f"{str(rate_hz)[:20]} Hz is no rate of a phone.", f"Give {low:g} to {high:g} Hz.")
        self._stream = self._wish.stream(self._model, float(rate_hz))
        return {"delay_s": self._stream.delay_s}


def _object(text: str | bytes) -> dict[str, Any]:
    """Return a message as the object that it is."""
    try:
        message = parse_json(text)
    except ValueError:
        _refuse("it is no JSON")
    if not isinstance(message, dict):
        _refuse("it is no JSON object")
    return message


def _samples(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return time_s, float64 (samples,), and values_TC, float64 (samples, 6), NaN where one is missing."""
    if not isinstance(rows, list) or len(rows) > MOST_SAMPLES:
        _refuse(f"samples is no list of at most {MOST_SAMPLES}")
    for row in rows:
        if not isinstance(row, list) or len(row) != _WIDTH:
            _refuse(f"a sample is no list of {_WIDTH} values")
        if not _is_number(row[0]):
            _refuse("a sample has no time")
        if not all(value is None or (_is_number(value) and abs(value) < _LARGEST) for value in row[1:]):
            _refuse(f"a value is neither a number below {_LARGEST:g} nor null")
    table_TC = np.array(rows, np.float64).reshape(len(rows), _WIDTH)  # None becomes NaN
    return table_TC[:, 0] / 1000, table_TC[:, 1:]


def _is_number(value: Any) -> bool:
    """Return whether a JSON value is a finite number that is not absurdly large."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LONGEST_MS < value < _LONGEST_MS


def _refuse(reason: str) -> NoReturn:
    """Refuse a message."""
    raise DataError(f"a message cannot be read: {reason}.", "Load the page again.")


def _plain(step: Step) -> dict[str, Any]:
    """Return a decision as plain values."""
    return {
        "start_s": round(step.start_s, 4),
        "end_s": round(step.end_s, 4),
        "activity": step.activity,
        "probability": round(step.probability, 6),
        "probabilities": [round(value, 6) for value in step.probability_K.tolist()],
        "latency_ms": round(step.latency_ms, 3),
    }
