"""Units that cannot be: vectors whose usual length is that of another unit than the one they are said to have.

T = samples, C = sensor channels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Channel
from har.datasets.units import SI

_SENSORS = ("accelerometer", "gyroscope")
Vector = tuple[str, str, str]  # sensor, body site, and the unit that it is said to have

# Gravity alone is 1 g: half of the accelerations of a body are neither far shorter nor far longer (jumping and falling
# are short). So the number itself says which unit it is counted in; between the units' ranges it says nothing.
_USUAL = {"g": (0.5, 2.0), "m/s²": (5.0, 20.0), "mg": (300.0, 3000.0)}
_FASTEST_RAD_S = 35.0  # 2000 °/s, the full scale of gyroscopes that people wear; half of the samples cannot be beyond
_ONE_SPELLING = {"m/s2": "m/s²", "deg/s": "°/s"}
# Names of accelerations without gravity, whose length says nothing: lin_acc, linearAcceleration, userAcceleration …
_WITHOUT_GRAVITY = re.compile(r"(^|[\W_])(lin|linear|user)(?=[\W_]|acc|$)|^body[\W_]?acc", re.IGNORECASE)


def lengths_of(signal_TC: NDArray[np.float64], channels: Sequence[Channel]) -> dict[Vector, float]:
    """Return the median length of each acceleration and rotation, in the unit that it is said to have.

    Args:
        signal_TC: Floating point (samples, channels), at least one sample, in SI units as far as the channels' units
            are what they are said to be.
        channels: Of the columns, with the units that the source is said to have. Vectors that lack an axis are passed
            over, and so are accelerations without gravity, as far as their names say so.
    """
    axes: dict[Vector, dict[str, int]] = {}
    for i, channel in enumerate(channels):
        if channel.sensor in _SENSORS and not (
            channel.sensor == "accelerometer" and _WITHOUT_GRAVITY.search(channel.name)
        ):
            vector = (channel.sensor, channel.site, _ONE_SPELLING.get(channel.unit, channel.unit))
            axes.setdefault(vector, {})[channel.axis] = i
    return {
        vector: float(np.median(np.linalg.norm(signal_TC[:, [of["x"], of["y"], of["z"]]], axis=1))) / SI[vector[2]][1]
        for vector, of in axes.items()
        if {"x", "y", "z"} <= set(of)
    }


def looks_like(sensor: str, unit: str, length: float) -> str | None:
    """Return the unit that the median length of a vector betrays, None where it may be in the unit it is said to have.

    Args:
        sensor: ``accelerometer`` or ``gyroscope``.
        unit: As a `Vector` names it. Rates of rotation in °/s are never doubted: people at rest turn by few of them.
        length: As `lengths_of` returns it.
    """
    if sensor == "gyroscope":
        return "°/s" if unit == "rad/s" and length > _FASTEST_RAD_S else None
    if unit not in _USUAL:
        return None
    return next((other for other, (low, high) in _USUAL.items() if other != unit and low < length < high), None)
