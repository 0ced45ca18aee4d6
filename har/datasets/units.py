"""Units of sensors, and the factors that turn them into the project's SI units."""

from __future__ import annotations

# unit as a card writes it -> (SI unit, factor). 9.80665 m/s² is standard gravity, exact by definition.
SI: dict[str, tuple[str, float]] = {
    "g": ("m/s²", 9.80665),
    "m/s²": ("m/s²", 1.0),
    "rad/s": ("rad/s", 1.0),
}
