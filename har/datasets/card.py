"""Cards: the facts of a data set, in YAML, and what `har prepare` holds against its files.

A card states licence, citation, source with hash, rate, channels with unit and body site, activities and their codes,
subjects and counts. It is read into frozen dataclasses: the fields below are the keys of the file, and a field without
a default is a key that must be there. Every error of a card is reported at once.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from pathlib import Path
from typing import Any

from har.datasets.readers import READERS
from har.datasets.units import SI
from har.errors import DataError, UsageError, candidates
from har.files import sha256_of_json
from har.strict_yaml import read_yaml

# What people read and no number depends on: a corrected citation must not make a prepared store, or a finished run
# on it, look like another one.
_PROSE = ("title", "licence", "citation", "homepage")
_KINDS = ("distribution",)


@dataclasses.dataclass(frozen=True)
class Channel:
    """One column of the signal: its name, sensor, body site, axis, and the unit of the source."""

    name: str
    sensor: str
    site: str
    axis: str
    unit: str


@dataclasses.dataclass(frozen=True)
class Activity:
    """One activity: the code of the source, the name used everywhere in the project, a title for people."""

    code: int | str
    name: str
    title: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the raw data are: one `file` of an installed Python `distribution`, with version and SHA-256."""

    kind: str
    distribution: str
    version: str
    file: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Facts:
    """Counts that `har prepare` proves: recordings, rows (samples), and rows per activity by name."""

    recordings: int
    rows: int
    rows_per_activity: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Card:
    """The facts of one data set. See the module's text; `null_activity` is the name of the null activity, if any."""

    name: str
    source: Source
    reader: str
    rate_hz: float
    channels: tuple[Channel, ...]
    activities: tuple[Activity, ...]
    null_activity: str | None = None
    subjects: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    facts: Facts | None = None
    title: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str = ""

    def content(self) -> dict[str, Any]:
        """Return all that a store depends on, as JSON values: the card without its prose."""
        values = dataclasses.asdict(self)
        return {key: value for key, value in values.items() if key not in _PROSE}

    @property
    def sha256(self) -> str:
        """SHA-256 of `content`: two cards with the same one make the same store."""
        return sha256_of_json(self.content())

    def label_of(self, code: object, place: str) -> int:
        """Return the index of the activity with the source's `code`.

        Args:
            code: A code as the source writes it.
            place: Where it was read, for the message.

        Raises:
            DataError: No activity of the card has this code.
        """
        codes = [activity.code for activity in self.activities]
        if code not in codes:
            what = f"{self.name}, {place}: activity code {code!r} is not in the card."
            raise DataError(what, candidates(code, codes))
        return codes.index(code)


def load_card(path: Path) -> Card:
    """Read and validate a card.

    Args:
        path: A YAML file.

    Raises:
        UsageError: The file is missing, is not YAML, or is not a valid card; every error is named.
    """
    value = read_yaml(path)
    problems: list[str] = []
    card = _mapping(Card, value, "", problems)
    if not problems:
        problems = _contradictions(card)
    if problems:
        raise UsageError(
            "\n  - ".join([f"card {path} has {len(problems)} error{'s' * (len(problems) > 1)}:", *problems]),
            "Correct them in the card.",
        )
    return typing.cast("Card", card)


def _mapping(kind: type, value: Any, where: str, problems: list[str]) -> Any:
    """Read a mapping into the dataclass `kind`; add what is wrong to `problems`."""
    prefix = f"{where}: " if where else ""
    if not isinstance(value, dict):
        problems.append(f"{prefix}keys with values are expected, not {value!r}")
        return None
    fields = {field.name: field for field in dataclasses.fields(kind)}
    problems += [f"{prefix}key {key!r} is not known. {candidates(key, fields)}" for key in value if key not in fields]
    problems += [
        f"{prefix}key {name!r} is missing"
        for name, field in fields.items()
        if name not in value and field.default is dataclasses.MISSING
    ]
    hints = typing.get_type_hints(kind)
    before = len(problems)
    arguments = {
        key: _value(hints[key], item, f"{where}.{key}" if where else key, problems)
        for key, item in value.items()
        if key in fields
    }
    complete = len(problems) == before and all(
        name in arguments or field.default is not dataclasses.MISSING for name, field in fields.items()
    )
    return kind(**arguments) if complete else None


def _value(hint: Any, value: Any, where: str, problems: list[str]) -> Any:
    """Read one value of the type `hint`; add what is wrong to `problems`."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _mapping(typing.cast("type", hint), value, where, problems)
    if origin is tuple:
        if not isinstance(value, list):
            problems.append(f"{where}: a list is expected, not {value!r}")
            return ()
        return tuple(_value(inner[0], item, f"{where}[{i}]", problems) for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            problems.append(f"{where}: keys with values are expected, not {value!r}")
            return {}
        return {str(key): _value(inner[1], item, f"{where}.{key}", problems) for key, item in value.items()}
    if origin is types.UnionType:
        members = [member for member in inner if member is not type(None)]
        if value is None and len(members) < len(inner):
            return None
        if dataclasses.is_dataclass(members[0]):
            return _mapping(typing.cast("type", members[0]), value, where, problems)
        return _scalar(tuple(members), value, where, problems)
    return _scalar((hint,), value, where, problems)


def _scalar(kinds: tuple[type, ...], value: Any, where: str, problems: list[str]) -> Any:
    """Read text or a number; add what is wrong to `problems`."""
    if float in kinds and type(value) is int:
        return float(value)
    if type(value) not in kinds or value == "":  # type(), since True is an int for isinstance
        names = {str: "text (in quotes where it looks like a number)", int: "a whole number", float: "a number"}
        problems.append(f"{where}: {' or '.join(names[kind] for kind in kinds)} is expected, not {value!r}")
    return value


def _contradictions(card: Card) -> list[str]:
    """Return what is wrong between the values of a card whose types are right."""
    problems = []
    names = [activity.name for activity in card.activities]
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", card.name):
        problems.append(f"name: {card.name!r} names a folder: use small letters, digits and '-'")
    if not (math.isfinite(card.rate_hz) and card.rate_hz > 0):
        problems.append(f"rate_hz: {card.rate_hz} is not a rate")
    if card.reader not in READERS:
        problems.append(f"reader: {card.reader!r} is not known. {candidates(card.reader, READERS)}")
    if card.source.kind not in _KINDS:
        problems.append(f"source.kind: {card.source.kind!r} is not known. {candidates(card.source.kind, _KINDS)}")
    if not re.fullmatch(r"[0-9a-f]{64}", card.source.sha256):
        problems.append("source.sha256: 64 hexadecimal digits are expected")
    problems += [
        f"channels: unit {channel.unit!r} of {channel.name} is not known. {candidates(channel.unit, SI)}"
        for channel in card.channels
        if channel.unit not in SI
    ]
    named = {"null_activity": [card.null_activity] if card.null_activity is not None else []}
    named["facts.rows_per_activity"] = list(card.facts.rows_per_activity) if card.facts else []
    problems += [
        f"{key}: {name!r} is not an activity. {candidates(name, names)}"
        for key, given in named.items()
        for name in given
        if name not in names
    ]
    return problems + _repeated(card)


def _repeated(card: Card) -> list[str]:
    """Return what must be there, each once, and is missing or repeated."""
    lists: dict[str, list[object]] = {
        "channels (names)": [channel.name for channel in card.channels],
        "activities (names)": [activity.name for activity in card.activities],
        "activities (codes)": [activity.code for activity in card.activities],
        "subjects": list(card.subjects),
        "extras": list(card.extras),
    }
    problems = [f"{key}: the list is empty" for key in ("channels", "activities") if not getattr(card, key)]
    for key, values in lists.items():
        repeated = sorted({str(value) for value in values if values.count(value) > 1})
        problems += [f"{key}: {value} stands more than once" for value in repeated]
    return problems
