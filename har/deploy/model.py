"""A trained model for Python users: load it, give it a signal, get activities.

    import har
    model = har.load("runs/spar-cnn/spar/every/subject-1/seed-0")     # or model.onnx, or model.pt2
    print(model)                                                     # channels in their order, units, rate
    activities = model.predict(signal, rate_hz=100)                  # (samples, channels) → one row per window
    print(activities[["start_s", "end_s", "activity"]])

An ONNX file is used without torch, a run or an archive without Lightning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from har.deploy.facts import Facts
from har.deploy.networks import Network, open_network
from har.deploy.signals import array_of, check_units, factors_of, stated
from har.deploy.stream import ActivityStream, rate_of, step_of
from har.errors import UsageError
from har.windows import resample
from har.windows.channels import computed
from har.windows.segment import gather

if TYPE_CHECKING:
    import pandas as pd

_TOGETHER = 256  # windows of one pass through the network


def load(path: str | Path) -> Model:
    """Load a trained model.

    Args:
        path: A run's folder, or an ``.onnx`` or ``.pt2`` file of `har export`.

    Raises:
        UsageError: There is no model of this name, or the run is not finished.
        DataError: The model is damaged.
    """
    return Model(*open_network(Path(path)))


class Model:
    """A trained model, ready to be used.

    Args:
        facts: What it must be fed.
        network: From windows to probabilities.

    Attributes:
        facts: Channels, units, rate, window, activities, and where the model comes from.
    """

    def __init__(self, facts: Facts, network: Network) -> None:
        self.facts = facts
        self._network = network

    def __repr__(self) -> str:
        """Return what the model must be fed, in words."""
        facts = self.facts
        return (
            f"Model of {len(facts.activities)} activities ({', '.join(facts.activities)}), trained on {facts.data_set}:"
            f" windows of {facts.window_s:g} s at {facts.rate_hz:g} Hz of {stated(facts.inputs)}"
        )

    def probabilities(self, x_NTC: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probability_NK, float32 (windows, activities), of prepared windows.

        Args:
            x_NTC: float32 (windows, samples, channels of the store), in SI units, prepared by the model's recipe.

        Raises:
            UsageError: The shape is not the model's.
        """
        wanted = (self.facts.samples, len(self.facts.channels.made))
        if x_NTC.shape[1:] != wanted:
            raise UsageError(
                f"windows of shape {x_NTC.shape}, the model is fed (windows, {wanted[0]}, {wanted[1]}).",
                "Model.predict cuts windows out of a signal.",
            )
        return self._network(np.ascontiguousarray(x_NTC, np.float32))

    def predict(
        self,
        signal: Any,
        rate_hz: float,
        *,
        step_s: float | None = None,
        units: Mapping[str, str] | None = None,
        streaming: bool = False,
    ) -> pd.DataFrame:
        """Return the activity of every window of a signal.

        The signal is resampled to the model's rate and prepared by its recipe, as the training data were.

        Args:
            signal: Numbers (samples, channels) in the order and units that ``print(model)`` shows, evenly spaced in
                time; or a DataFrame with these channels among its columns, in any order.
            rate_hz: Samples per second of the signal.
            step_s: From one window's begin to the next's in seconds; the training's when None.
            units: Unit by sensor where it is not SI, such as ``{"accelerometer": "g", "gyroscope": "°/s"}``.
            streaming: As a live stream would be decided (`har.deploy.stream`): nothing is made up behind the last
                sample, so windows for which the low-pass of another rate looks beyond it are left out.

        Returns:
            One row per window: start_s, end_s (from the first sample on), activity, and ``probability:<activity>`` for
            each activity.

        Raises:
            UsageError: Shape, columns, rate, step or units are not the model's, or the signal is shorter than a window.
            DataError: Values are missing, infinite or no numbers.
        """
        facts = self.facts
        rate_hz = rate_of(rate_hz, facts.rate_hz)
        signal_TC = array_of(signal, facts.inputs)
        if streaming:
            stream = ActivityStream(self, rate_hz, step_s=step_s, units=units)
            decided = [*stream.push(signal_TC), *stream.end()]
            self._require_windows(len(decided), len(signal_TC) / rate_hz - stream.delay_s)
            probability_NK = np.stack([step.probability_K for step in decided])
            return self._frame(np.array([step.start_s for step in decided]), probability_NK)
        signal_TC = signal_TC * factors_of(facts.inputs, units)
        if len(signal_TC):
            check_units(signal_TC, facts.inputs, units)
        prepared_TC = self._prepared(signal_TC, rate_hz)
        step = step_of(step_s, facts)
        start_N = np.arange(0, len(prepared_TC) - facts.samples + 1, step)
        self._require_windows(len(start_N), len(signal_TC) / rate_hz)
        parts = [
            self.probabilities(gather(prepared_TC, start_N[first : first + _TOGETHER], facts.samples))
            for first in range(0, len(start_N), _TOGETHER)
        ]
        return self._frame(start_N / facts.rate_hz, np.concatenate(parts))

    def _prepared(self, signal_TC: NDArray[np.float64], rate_hz: float) -> NDArray[np.float32]:
        """Return the store's channels of a signal at the model's rate, float32, by the functions of preparation."""
        if len(signal_TC) == 0:
            return np.empty((0, len(self.facts.channels.made)), np.float32)
        time_s = np.arange(len(signal_TC)) / rate_hz
        own = np.zeros(len(signal_TC), bool)
        source = resample.Source(time_s, signal_TC, rate_hz, is_regular=True, filled_T=own, own_s=time_s)
        count = math.floor(time_s[-1] * self.facts.rate_hz + resample.ROUNDING) + 1
        taken_TC, _ = resample.sample(source, 0.0, self.facts.rate_hz, count)
        return computed(self.facts.channels, self.facts.recipe, self.facts.rate_hz, taken_TC).astype(np.float32)

    def _require_windows(self, windows: int, length_s: float) -> None:
        """Refuse a signal without a complete window."""
        if windows == 0:
            raise UsageError(
                f"the signal has {max(length_s, 0):.4g} s, and a window of the model {self.facts.window_s:g} s.",
                "Give a longer signal.",
            )

    def _frame(self, start_N: NDArray[np.float64], probability_NK: NDArray[np.float32]) -> pd.DataFrame:
        """Return the decisions as a table."""
        import pandas as pd

        names = np.array(self.facts.activities, dtype=object)
        columns = {
            "start_s": start_N,
            "end_s": start_N + self.facts.window_s,
            "activity": names[probability_NK.argmax(1)],
        }
        return pd.DataFrame(
            columns | {f"probability:{name}": probability_NK[:, k] for k, name in enumerate(self.facts.activities)}
        )
