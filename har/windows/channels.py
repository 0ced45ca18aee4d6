"""Channels of a store: which of a card's are taken, and which are computed from them.

T = samples, C = sensor channels.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Card, Channel
from har.datasets.recipe import Gravity, Recipe
from har.datasets.units import SI
from har.errors import UsageError, unknown

ACCELEROMETER, GRAVITY, BODY = "accelerometer", "gravity", "body-acceleration"
_AXES = ("x", "y", "z")
_Made = list[tuple[Channel, tuple[int, ...]]]  # channels of the store, each with the taken channels it is computed from


@dataclasses.dataclass(frozen=True)
class Channels:
    """What a recipe makes of a card's channels.

    Attributes:
        taken: Of the card, in its order.
        made: Of the store, with the store's units.
        made_of: For each of `made`, numbers of the taken channels that it is computed from.
    """

    taken: tuple[Channel, ...]
    made: tuple[Channel, ...]
    made_of: tuple[tuple[int, ...], ...]

    def factors(self) -> NDArray[np.float64]:
        """Return factor_C, which gives the taken channels the store's units."""
        return np.array([SI[channel.unit][1] for channel in self.taken])

    def described(self) -> list[dict[str, Any]]:
        """Return the store's channels for its manifest: with the source's unit and factor, or what they are made of."""
        described = []
        for channel, sources in zip(self.made, self.made_of, strict=True):
            names = [self.taken[i].name for i in sources]
            unit = self.taken[sources[0]].unit
            origin = {"source_unit": unit, "factor": SI[unit][1]} if names == [channel.name] else {"made_of": names}
            described.append({**dataclasses.asdict(channel), **origin})
        return described


def chosen_channels(card: Card, recipe: Recipe) -> Channels:
    """Return the channels that a recipe takes and makes.

    Args:
        card: The data set.
        recipe: Selection, gravity and magnitude.

    Raises:
        UsageError: A sensor, site or channel is not there, or what is asked for cannot be computed.
    """
    for key, attribute in (("sensors", "sensor"), ("sites", "site"), ("channels", "name")):
        known = list(dict.fromkeys(getattr(channel, attribute) for channel in card.channels))
        for name in getattr(recipe, key):
            if name not in known:
                raise unknown(key.removesuffix("s"), name, known, f"data set {card.name}")
    taken = tuple(channel for channel in card.channels if _is_chosen(channel, recipe))
    if not taken:
        raise UsageError(
            f"{card.name}: no channel has a sensor of {_said(recipe.sensors)}, a site of {_said(recipe.sites)} "
            f"and a name of {_said(recipe.channels)}.",
            "Leave one of the selections out.",
        )
    made: _Made = [(dataclasses.replace(channel, unit=SI[channel.unit][0]), (i,)) for i, channel in enumerate(taken)]
    if recipe.gravity is not None:
        made = _with_gravity(made, recipe.gravity, card)
    for sensor in recipe.magnitude:
        made += _magnitudes(made, sensor, card)
    names = [channel.name for channel, _ in made]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{card.name}: the recipe makes a second channel {name!r}.", "Rename it in the card.")
    return Channels(taken, tuple(channel for channel, _ in made), tuple(sources for _, sources in made))


def computed(channels: Channels, recipe: Recipe, rate_hz: float, signal_TC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the store's channels of one recording.

    Args:
        channels: What `chosen_channels` returned.
        recipe: The same.
        rate_hz: Of the signal.
        signal_TC: float64 (samples, taken channels), in the store's units.

    Returns:
        float64 (samples, made channels); `signal_TC` itself where nothing is computed.
    """
    low_TC = None
    if recipe.gravity is not None:
        low_TC = gravity_of(signal_TC[:, split_of(channels)], rate_hz, recipe.gravity)
    return computed_from(channels, signal_TC, low_TC)


def split_of(channels: Channels) -> list[int]:
    """Return the numbers of the taken channels that gravity is split from."""
    return [i for i, channel in enumerate(channels.taken) if channel.sensor == ACCELEROMETER]


def computed_from(
    channels: Channels, signal_TC: NDArray[np.float64], low_TC: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return the store's channels of a signal whose gravity is known; see `computed`.

    Args:
        channels: What `chosen_channels` returned.
        signal_TC: float64 (samples, taken channels), in the store's units.
        low_TC: float64 (samples, channels of `split_of`), their gravity; None where none is asked for.
    """
    if channels.made_of == tuple((i,) for i in range(len(channels.taken))):
        return signal_TC
    split: dict[int, NDArray[np.float64]] = {}
    if low_TC is not None:
        split = dict(zip(split_of(channels), low_TC.T, strict=True))

    def value(channel: Channel, sources: tuple[int, ...]) -> NDArray[np.float64]:
        if channel.sensor == GRAVITY and sources[0] in split:
            return split[sources[0]]
        total_T: NDArray[np.float64] = signal_TC[:, sources[0]]
        return total_T - split[sources[0]] if channel.sensor == BODY and sources[0] in split else total_T

    columns = []
    for channel, sources in zip(channels.made, channels.made_of, strict=True):
        parts = [value(channel, (i,)) for i in sources]
        columns.append(parts[0] if len(parts) == 1 else np.sqrt(np.sum(np.square(parts), axis=0)))
    return np.stack(columns, axis=1)


def gravity_of(signal_TC: NDArray[np.float64], rate_hz: float, gravity: Gravity) -> NDArray[np.float64]:
    """Return the slow part of accelerations.

    Args:
        signal_TC: float64 (samples, channels), one recording.
        rate_hz: Its rate.
        gravity: The filter. It starts as if the first sample had always been there; where it also runs backwards, the
            signal goes on over both ends, for one period of the cut-off frequency, as its own image in a point.
    """
    from scipy.signal import butter, sosfilt, sosfilt_zi, sosfiltfilt

    sections = butter(gravity.order, gravity.cutoff_hz, fs=rate_hz, output="sos")
    low_TC: NDArray[np.float64]
    if gravity.causal:
        state = sosfilt_zi(sections)[:, :, None] * signal_TC[0]
        low_TC, _ = sosfilt(sections, signal_TC, axis=0, zi=state)
    else:
        margin = min(len(signal_TC) - 1, math.ceil(rate_hz / gravity.cutoff_hz))
        low_TC = sosfiltfilt(sections, signal_TC, axis=0, padlen=margin)
    return low_TC


def _is_chosen(channel: Channel, recipe: Recipe) -> bool:
    """Return whether a channel passes every selection."""
    wanted = ((recipe.sensors, channel.sensor), (recipe.sites, channel.site), (recipe.channels, channel.name))
    return all(not names or name in names for names, name in wanted)


def _with_gravity(made: _Made, gravity: Gravity, card: Card) -> _Made:
    """Add gravity and body acceleration behind the channels, which keep the accelerations themselves or do not."""
    split = [(channel, sources) for channel, sources in made if channel.sensor == ACCELEROMETER]
    if not split:
        raise UsageError(
            f"{card.name}: gravity is asked for, but no channel taken is of an {ACCELEROMETER}.", "Take one."
        )
    kept = made if gravity.keep_total else [entry for entry in made if entry not in split]
    parts = [
        (dataclasses.replace(channel, name=f"{prefix}_{channel.name}", sensor=sensor), sources)
        for prefix, sensor in (("body", BODY), ("gravity", GRAVITY))
        for channel, sources in split
    ]
    return kept + parts


def _magnitudes(made: _Made, sensor: str, card: Card) -> _Made:
    """Return one magnitude for each site of a sensor."""
    of_sensor = [(channel, sources) for channel, sources in made if channel.sensor == sensor]
    if not of_sensor:
        raise unknown("sensor", sensor, {channel.sensor for channel, _ in made}, f"magnitude of {card.name}")
    magnitudes = []
    for site in dict.fromkeys(channel.site for channel, _ in of_sensor):
        axes = [(channel, sources) for channel, sources in of_sensor if channel.site == site]
        found = [channel.axis for channel, _ in axes]
        if sorted(found) != sorted(_AXES) or len({channel.unit for channel, _ in axes}) > 1:
            raise UsageError(
                f"{card.name}: no magnitude of {sensor} at {site}: its axes are {_said(tuple(found))}.",
                "A magnitude is that of one vector (x, y, z), in one unit.",
            )
        name = f"{sensor}_{site}_magnitude".replace("-", "_")
        channel = Channel(name, sensor, site, "magnitude", axes[0][0].unit)
        magnitudes.append((channel, tuple(source for _, sources in axes for source in sources)))
    return magnitudes


def _said(names: tuple[str, ...]) -> str:
    """Return names in words."""
    return ", ".join(names) if names else "any kind"
