"""Recipes: what is done to a data set's signals between its files and its store.

A card states a default recipe under `preparation`; `har prepare` takes another one under another name. The recipe
stands in the store's manifest and in every checkpoint, since a model must be fed what it was trained on.
"""

from __future__ import annotations

import dataclasses
import math

EMPTY = ("refuse", "leave-out")
# More than any wearable sensor's, and a sign that a period or a wrong unit was given as rate.
HIGHEST_RATE_HZ = 10_000.0
MOST_TIMES_NOMINAL = 8


@dataclasses.dataclass(frozen=True)
class Gravity:
    """Splitting each acceleration into gravity and the body's own, by a Butterworth low-pass filter.

    Attributes:
        cutoff_hz: Where the filter has lost 3 dB in one pass. 0.3 Hz: Karantonis et al. 2006, and UCI-HAR.
        order: Of the filter, in one pass.
        causal: False: forwards and backwards, without delay, twice the attenuation, and only for complete recordings.
            True: forwards alone, as it can run on a live stream.
        keep_total: Whether the accelerations that were split stay beside their parts.
    """

    cutoff_hz: float = 0.3
    order: int = 3
    causal: bool = False
    keep_total: bool = True


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How streams become recordings.

    Attributes:
        rate_hz: The exact rate of the store; None for the card's nominal rate.
        sensors: Channels of these sensors only; empty for all.
        sites: Channels at these body sites only; empty for all.
        channels: Channels of these names only; empty for all. The order is always the card's.
        max_gap_s: Neighbouring samples further apart than this end a recording; between nearer ones, missing values are
            interpolated. 0.5 s is half a stride: a straight line over more would erase movements. None for no limit.
        gravity: Adds gravity and body acceleration to every accelerometer channel; None for neither.
        magnitude: Adds the length of the vector (x, y, z) of these sensors, at each body site.
        empty: What happens to a recording of which no sample can be used. `refuse`: it is an error. `leave-out`: it is
            listed in the manifest.
    """

    rate_hz: float | None = None
    sensors: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    max_gap_s: float | None = 0.5
    gravity: Gravity | None = None
    magnitude: tuple[str, ...] = ()
    empty: str = "refuse"


def problems_of(recipe: Recipe, nominal_hz: float) -> list[str]:
    """Return what is impossible about a recipe, each as a sentence that begins with the key.

    Args:
        recipe: Any recipe whose values have the right types.
        nominal_hz: The card's rate, which holds where the recipe states none.
    """
    problems = []
    rate_hz = nominal_hz if recipe.rate_hz is None else recipe.rate_hz
    if not (math.isfinite(rate_hz) and rate_hz > 0):
        problems.append(f"rate_hz: {rate_hz} is not a rate")
    elif rate_hz > HIGHEST_RATE_HZ:
        problems.append(f"rate_hz: {rate_hz:g} Hz is more than {HIGHEST_RATE_HZ:g} Hz, the highest rate of a store")
    elif rate_hz > MOST_TIMES_NOMINAL * nominal_hz > 0:
        problems.append(
            f"rate_hz: {rate_hz:g} Hz is more than {MOST_TIMES_NOMINAL} times the card's {nominal_hz:g} Hz: nothing "
            "is gained, the store only grows"
        )
    if recipe.max_gap_s is not None and not 0 < recipe.max_gap_s < math.inf:
        problems.append(f"max_gap_s: {recipe.max_gap_s} is not a duration; null is no limit")
    elif recipe.max_gap_s is not None and nominal_hz > 0 and recipe.max_gap_s < 1 / nominal_hz:
        problems.append(f"max_gap_s: {recipe.max_gap_s} is shorter than one step at {nominal_hz:g} Hz")
    if recipe.empty not in EMPTY:
        problems.append(f"empty: {recipe.empty!r} is not known; known: {', '.join(EMPTY)}")
    for key in ("sensors", "sites", "channels", "magnitude"):
        names = getattr(recipe, key)
        problems += [
            f"{key}: {name} stands more than once" for name in sorted({n for n in names if names.count(n) > 1})
        ]
    gravity = recipe.gravity
    if gravity is not None and not 0 < gravity.cutoff_hz < rate_hz / 2:
        problems.append(f"gravity.cutoff_hz: {gravity.cutoff_hz} is not between 0 and {rate_hz / 2:g}, half the rate")
    if gravity is not None and not 1 <= gravity.order <= 8:
        problems.append(f"gravity.order: {gravity.order} is not from 1 to 8")
    return problems
