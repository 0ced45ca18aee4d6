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

SI_UNIT = {"accelerometer": "m/s²", "gyroscope": "rad/s"}
Vector = tuple[str, str]  # sensor and body site

# Gravity alone is 9.81 m/s²: the median length of an acceleration on a body stays far above 3 m/s² (jumping and
# falling are short). In g it is about 1, in milli-g about 1000.
_LOOKS_LIKE = (("g", 0.5, 2.0), ("mg", 300.0, 3000.0))
_FASTEST_RAD_S = 35.0  # 2000 °/s, the full scale of gyroscopes that people wear; half of the samples cannot be beyond
# Names of accelerations without gravity, whose length says nothing: lin_acc, linearAcceleration, userAcceleration …
_WITHOUT_GRAVITY = re.compile(r"(^|[\W_])(lin|linear|user)(?=[\W_]|acc|$)|^body[\W_]?acc", re.IGNORECASE)


def lengths_of(signal_TC: NDArray[np.float64], channels: Sequence[Channel]) -> dict[Vector, float]:
    """Return the median length of each acceleration and rotation that is said to be in SI units.

    Args:
        signal_TC: Floating point (samples, channels), at least one sample.
        channels: Of the columns. Vectors that lack an axis are passed over, and so are accelerations without gravity,
            as far as their names say so.
    """
    lengths = {}
    for site in dict.fromkeys(channel.site for channel in channels):
        for sensor, unit in SI_UNIT.items():
            axes = {
                channel.axis: i
                for i, channel in enumerate(channels)
                if (channel.sensor, channel.site, SI[channel.unit]) == (sensor, site, (unit, 1.0))
                and not (sensor == "accelerometer" and _WITHOUT_GRAVITY.search(channel.name))
            }
            if {"x", "y", "z"} <= set(axes):
                vector_TC = signal_TC[:, [axes["x"], axes["y"], axes["z"]]]
                lengths[sensor, site] = float(np.median(np.linalg.norm(vector_TC, axis=1)))
    return lengths


def looks_like(sensor: str, length: float) -> str | None:
    """Return the unit that the median length of a vector betrays, None where it may be in SI units.

    Args:
        sensor: ``accelerometer`` or ``gyroscope``.
        length: As `lengths_of` returns it.
    """
    if sensor == "gyroscope":
        return "°/s" if length > _FASTEST_RAD_S else None
    return next((unit for unit, low, high in _LOOKS_LIKE if low < length < high), None)
