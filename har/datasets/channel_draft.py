"""Channels of a drafted card: columns that belong together, with guesses about sensor and unit."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection

import numpy as np

from har.datasets.sniff import Sniffed
from har.datasets.tables import Column
from har.datasets.units import SI

_AXIS = re.compile(r"^(.*?)[ ._-]*([xyz])$", re.IGNORECASE)
_BRACKETED = re.compile(r"^(.*?)\s*[\[(]([^\])]*)[\])]\s*$")  # acc_x [g]
_SUFFIXED = re.compile(r"^(.*[xyz])_(dps|g|mg|ms2|rads|ut)$", re.IGNORECASE)  # gyro_z_dps
_UNITS = {"dps": "°/s", "ms2": "m/s²", "m/s^2": "m/s²", "m/s**2": "m/s²", "rads": "rad/s", "ut": "µT", "μT": "µT"}
_SENSORS = {
    "accelerometer": re.compile(r"acc|^a$", re.IGNORECASE),
    "gyroscope": re.compile(r"gyr|rot|omega|angular|^w$|^g$", re.IGNORECASE),
    "magnetometer": re.compile(r"mag|^m$", re.IGNORECASE),
}


@dataclasses.dataclass(frozen=True)
class Group:
    """Columns that are the axes of one sensor.

    Attributes:
        name: Of the group.
        columns: One for each axis.
        line: Of the card.
    """

    name: str
    columns: list[Column]
    line: str


def groups_in(table: Sniffed, taken: Collection[Column], named: str = "", besides: Collection[str] = ()) -> list[Group]:
    """Return the groups of channels that a table seems to have; all other numbers as one where no axes are named.

    Args:
        table: What the table looks like.
        taken: Columns that are something else.
        named: What axes without a name of their own are called, such as ``gyro``; ``signal`` when empty.
        besides: Names that other tables have taken.
    """
    columns = axes_in(table, taken)
    columns = {name or named or "signal": given for name, given in columns.items()}
    if not columns:
        columns = {named or "signal": [column for column in table.numbers if column not in taken]}
    return [_group(table, _free(name, named, besides), given) for name, given in columns.items() if given]


def axes_in(table: Sniffed, taken: Collection[Column]) -> dict[str, list[Column]]:
    """Return three columns of numbers by what their names have in common, where these end with x, y and z."""
    columns: dict[str, list[Column]] = {}
    for column in table.numbers:
        axis = _AXIS.match(_bare(table.named(column))[0]) if isinstance(column, str) else None
        if column not in taken and axis:
            columns.setdefault(re.sub(r"[^a-z0-9]+", "_", axis[1].lower()).strip("_"), []).append(column)
    return {name: given for name, given in columns.items() if len(given) == 3}


def _free(name: str, named: str, besides: Collection[str]) -> str:
    """Return a name that is not taken."""
    wanted = [name, *([f"{named}_{name}"] if named else []), *(f"{name}_{i}" for i in range(2, len(besides) + 3))]
    return next(one for one in wanted if one not in besides)


def _group(table: Sniffed, name: str, given: list[Column]) -> Group:
    """Return one group."""
    axes = [_AXIS.match(_bare(table.named(c))[0]) for c in given]
    letters = [a[2].lower() if a else str(i + 1) for i, a in enumerate(axes)]
    letters = list("xyz") if len(letters) == 3 and not any(axes) else letters
    norm_T = np.linalg.norm([table.numbers[c] for c in given], axis=0)
    norm = float(np.median(norm_T[np.isfinite(norm_T)])) if np.isfinite(norm_T).any() else float("nan")
    sensor = next((sensor for sensor, known in _SENSORS.items() if known.search(name)), "accelerometer")
    stated = {_bare(table.named(column))[1] for column in given}
    unit = next(iter(stated)) if len(stated) == 1 and stated <= SI.keys() else _unit(sensor, norm)
    strange = sorted(stated - {""} - SI.keys())
    odd = f"the header says {', '.join(strange)}; " if strange else ""
    quoted = ", ".join(letter if letter.isalpha() else json.dumps(letter) for letter in letters)
    values = f"name: {name}, axes: [{quoted}], sensor: {sensor}, site: wrist, unit: {unit}"
    return Group(name, given, f"  - {{{values}}}  # {odd}median length {norm:.3g}. CHECK")


def _bare(name: str) -> tuple[str, str]:
    """Return the name of a column without the unit that it ends with, and the unit as cards write it; else ''."""
    found = _BRACKETED.match(name) or _SUFFIXED.match(name)
    if not found:
        return name, ""
    unit = found[2].strip()
    return found[1], _UNITS.get(unit, _UNITS.get(unit.lower(), unit))


def _unit(sensor: str, norm: float) -> str:
    """Return the unit that the typical length of a vector speaks for."""
    if sensor == "accelerometer":
        return "mg" if norm > 100 else "m/s²" if norm > 3 else "g"
    return "µT" if sensor == "magnetometer" else "°/s" if norm > 5 else "rad/s"
