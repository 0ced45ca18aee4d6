"""What people give a model: checked, in the model's channels and SI units, with a clear word where it cannot be that.

T = samples, C = channels that are given (`Facts.inputs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Channel
from har.datasets.units import SI
from har.errors import DataError, UsageError, unknown
from har.windows.plausible import lengths_of, looks_like

if TYPE_CHECKING:
    import pandas as pd

_USUAL = {"m/s²": "m/s² (1 g = 9.80665 m/s²)", "rad/s": "rad/s (1 °/s = 0.0174533 rad/s)"}


def stated(inputs: tuple[Channel, ...]) -> str:
    """Return the channels in their order with their units, in words."""
    return ", ".join(f"{channel.name} ({channel.unit})" for channel in inputs)


def factors_of(inputs: tuple[Channel, ...], units: Mapping[str, str] | None) -> NDArray[np.float64]:
    """Return factor_C, which brings what is given to SI units.

    Args:
        inputs: The channels that are given.
        units: Unit by sensor, such as ``{"accelerometer": "g"}``; what is not named is in SI units.

    Raises:
        UsageError: There is no such sensor or unit, or the unit measures something else.
    """
    factors = np.ones(len(inputs))
    sensors = list(dict.fromkeys(channel.sensor for channel in inputs))
    for sensor, unit in (units or {}).items():
        if sensor not in sensors:
            raise unknown("sensor", sensor, sensors, "units")
        own = next(channel.unit for channel in inputs if channel.sensor == sensor)
        fitting = [name for name, (si, _) in SI.items() if si == own]
        if unit not in fitting:
            raise unknown(f"unit of {sensor}", unit, fitting, "units")
        factors[[channel.sensor == sensor for channel in inputs]] = SI[unit][1]
    return factors


def array_of(signal: Any, inputs: tuple[Channel, ...]) -> NDArray[np.float64]:
    """Return signal_TC, float64 (samples, channels), of an array or a DataFrame.

    Args:
        signal: Numbers (samples, channels) in the order of `inputs`, or a DataFrame that has their names among its
            columns, in any order.
        inputs: The channels to be given.

    Raises:
        UsageError: The shape or the columns are not the model's.
        DataError: Values are no numbers, missing or infinite.
    """
    values = _columns_of(signal, inputs) if hasattr(signal, "columns") else signal
    try:
        signal_TC = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise DataError("the signal holds values that are no numbers.", f"Give {stated(inputs)}.") from None
    if signal_TC.ndim != 2 or signal_TC.shape[1] != len(inputs):
        turned = signal_TC.ndim == 2 and signal_TC.shape[0] == len(inputs)
        raise UsageError(
            f"the signal has shape {signal_TC.shape}, the model is fed (samples, {len(inputs)})"
            f"{': its axes are exchanged' if turned else ''}.",
            f"The channels, in this order: {stated(inputs)}.",
        )
    bad = np.argwhere(~np.isfinite(signal_TC))
    if len(bad):
        row, column = bad[0]
        raise DataError(
            f"{len(bad)} value(s) of the signal are missing or infinite, the first in row {row} of "
            f"{inputs[column].name}.",
            "Cut the signal there, or fill short gaps before.",
        )
    return signal_TC


def _columns_of(frame: pd.DataFrame, inputs: tuple[Channel, ...]) -> pd.DataFrame:
    """Return the model's channels of a frame, in their order."""
    names = [channel.name for channel in inputs]
    for name in names:
        if name not in frame.columns:
            error = unknown("channel", name, map(str, frame.columns), "the DataFrame has no such column")
            raise UsageError(error.what, f"{error.hint} The model is fed {stated(inputs)}.")
    return frame[names]


def check_units(signal_TC: NDArray[np.float64], inputs: tuple[Channel, ...], units: Mapping[str, str] | None) -> None:
    """Refuse values that are almost certainly not in SI units, where nobody said which units they have.

    Args:
        signal_TC: float64 (samples, channels), as they are taken for SI units.
        inputs: The channels.
        units: What a person stated; a sensor that is named there is not doubted.

    Raises:
        UsageError: Accelerations look like g, or rates of rotation like degrees per second.
    """
    for (sensor, site, unit), length in lengths_of(signal_TC, inputs).items():
        looks = looks_like(sensor, unit, length)
        if looks and sensor not in (units or {}):
            raise UsageError(
                f"the {sensor} at {site} looks like {looks} and not {unit}: half of its samples are longer than "
                f"{length:.3g}.",
                f'Give {_USUAL[unit]}, or say which unit it is: units={{"{sensor}": "{looks}"}}, '
                f"or --units {sensor}={looks}; likewise if it is {unit} all the same.",
            )
