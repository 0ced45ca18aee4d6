"""The page of the cards: those that come with the project, and every key of a card."""

from __future__ import annotations

import dataclasses
import typing

from docs.reference.markdown import MADE, code, kind, meanings, table, value
from har.datasets.card import (
    Activity,
    Archive,
    Card,
    Channel,
    Facts,
    Files,
    Format,
    Intervals,
    Label,
    Source,
    Split,
    Table,
    Time,
    Tree,
)
from har.datasets.recipe import Gravity, Recipe
from har.datasets.registry import card_names, get_card

_SECTIONS: dict[str, type] = {  # where in a card: what stands there
    "": Card,
    "source": Source,
    "source.archives[]": Archive,
    "source.tree": Tree,
    "channels[]": Channel,
    "activities[]": Activity,
    "files": Files,
    "files.tables[]": Table,
    "files.tables[].format, files.label.intervals.format": Format,
    "files.tables[].time": Time,
    "files.label": Label,
    "files.label.intervals": Intervals,
    "facts": Facts,
    "splits.NAME": Split,
    "preparation": Recipe,
    "preparation.gravity": Gravity,
}
_INTRODUCTION = """\
Every key of a card, as it is read when all shorthands are written out. How people write them, with examples:
[../cards.md](../cards.md).
"""


def page() -> str:
    """Return the page."""
    parts = ["# Cards\n", MADE, "## Data sets that come with the project\n", _built_in(), "## Keys of a card\n"]
    parts.append(_INTRODUCTION)
    for where, described in _SECTIONS.items():
        head = f"### {', '.join(code(place) for place in where.split(', '))}\n" if where else ""
        parts += [head, _keys(described)] if head else [_keys(described)]
    return "\n".join(parts)


def _built_in() -> str:
    """Return the table of the built-in cards."""
    rows = []
    for name in card_names():
        card = get_card(name)
        counted = card.facts is not None and card.facts.verified
        counts = (str(len(card.subjects)), str(len(card.activities)), f"{card.rate_hz:g}", str(len(card.channels)))
        title = f"[{card.title}]({card.homepage})" if card.homepage else card.title
        rows.append((code(name), title, *counts, card.licence, "counted in the files" if counted else "from documents"))
    head = ("name", "data", "subjects", "activities", "Hz", "channels", "licence of the data", "facts")
    return table(head, rows)


def _keys(described: type) -> str:
    """Return the table of the keys that a dataclass reads."""
    said, hints = meanings(described), typing.get_type_hints(described)
    rows = []
    for field in dataclasses.fields(described):
        rows.append((code(field.name), kind(hints[field.name]), _default(field), said[field.name]))
    return table(("key", "type", "default", "meaning"), rows)


def _default(field: dataclasses.Field[typing.Any]) -> str:
    """Return the value of a key that is not given, or that it must be."""
    if field.default is not dataclasses.MISSING:
        return "" if dataclasses.is_dataclass(field.default) else value(field.default)
    if field.default_factory is dataclasses.MISSING:
        return "needed"
    made = field.default_factory()
    return "" if dataclasses.is_dataclass(made) else value(made)
