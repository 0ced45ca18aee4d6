"""Units of sensors, and the factors that turn them into the project's units."""

from __future__ import annotations

import math

_DEGREE = math.pi / 180

# unit as a card writes it -> (unit in the store, factor). 9.80665 m/s² is standard gravity, exact by definition.
# Magnetic fields stay in µT: a field of the Earth's size, 50 µT, is a handy number and 0.00005 T is none.
# "a.u." stands for units that no document of the source states; the values are kept.
SI: dict[str, tuple[str, float]] = {
    "g": ("m/s²", 9.80665),
    "mg": ("m/s²", 0.00980665),
    "m/s²": ("m/s²", 1.0),
    "m/s2": ("m/s²", 1.0),
    "rad/s": ("rad/s", 1.0),
    "°/s": ("rad/s", _DEGREE),
    "deg/s": ("rad/s", _DEGREE),
    "µT": ("µT", 1.0),
    "uT": ("µT", 1.0),
    "mV": ("V", 0.001),
    "V": ("V", 1.0),
    "Hz": ("Hz", 1.0),
    "°": ("rad", _DEGREE),
    "deg": ("rad", _DEGREE),
    "rad": ("rad", 1.0),
    "°C": ("°C", 1.0),
    "bpm": ("Hz", 1 / 60),
    "a.u.": ("a.u.", 1.0),
}
