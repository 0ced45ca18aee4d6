"""Tables of intervals in a drafted card: what looks like one, whose its intervals are, and what they count."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np

from har.datasets.patterns import digit_groups, find
from har.datasets.recording import natural_order
from har.datasets.sniff import LABEL_NAMES, Sniffed, sniff
from har.datasets.survey import Kind, kind_of
from har.datasets.tables import Column, read_table
from har.errors import DataError

_START = re.compile(r"start|begin|from|onset", re.IGNORECASE)
_STOP = re.compile(r"stop|end|to$|to[_ ]|until|offset", re.IGNORECASE)
_EPOCH_S = 1e6  # a clock that shows more has not begun with the recording
_SHARED = 0.5  # of the values that a column and a group have in all, before one is taken for the other


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A section `intervals` of a card.

    Attributes:
        path: Pattern of the files.
        columns: Activity, start, stop and groups of the recordings → column.
        counting: What start and stop count.
        table: What the first file looks like.
        codes: Of the activities, in natural order.
        doubt: What a person has to look at besides; may be empty.
    """

    path: str
    columns: dict[str, Column]
    counting: str
    table: Sniffed
    codes: list[str]
    doubt: str


@dataclasses.dataclass(frozen=True)
class Extent:
    """What is known of a recording: rows, rate, and the first moment of its clock; None where it has none."""

    rows: int
    rate_hz: float
    begin_s: float | None


def interval_columns(table: Sniffed) -> dict[str, Column] | None:
    """Return the columns of activity, start and stop, or None where a table does not look like one of intervals."""
    columns = [*table.words, *(column for column in table.numbers if column not in table.words)]
    start = next((c for c in table.numbers if _START.match(table.named(c))), None)
    stop = next((c for c in table.numbers if c != start and _STOP.match(table.named(c))), None)
    activity = next((c for c in columns if c not in (start, stop) and LABEL_NAMES.search(table.named(c))), None)
    if start is None or stop is None or activity is None:
        return None
    if not (table.numbers[start] <= table.numbers[stop]).all():
        return None
    return {"activity": activity, "start": start, "stop": stop}


def propose(folder: Path, names: list[str], kind: Kind, extent: Extent) -> Proposal | None:
    """Return what a card says about files of intervals; None where that they are such is not certain.

    Args:
        folder: That a card is drafted for.
        names: The files.
        kind: The recordings' files.
        extent: Of the first of them.
    """
    table = sniff(folder / names[0])
    columns = interval_columns(table)
    if columns is None:
        return None
    others = [c for c in dict.fromkeys([*table.numbers, *table.words]) if c not in columns.values()]
    try:
        read = [
            read_table(folder / n, table.layout, [columns["start"], columns["stop"]], [columns["activity"], *others])
            for n in names
        ]
    except DataError:
        return None
    bounds = {key: np.concatenate([data.numbers[columns[key]] for data in read]) for key in ("start", "stop")}
    texts = {c: {text for data in read for text in data.words[c].texts} for c in (columns["activity"], *others)}
    own = kind_of(names, may_name_activity=False)
    known = [name for name in own.groups if _values(folder, own.pattern, name) <= _values(folder, kind.pattern, name)]
    if known != own.groups:
        return None
    owners = _owners(folder, kind, {column: texts[column] for column in others}, known)
    counting, doubt = _counting(bounds["start"], bounds["stop"], extent)
    missing = [name for name in kind.groups if name not in known and name not in owners]
    if missing:
        doubt = "; ".join(
            [*([doubt] if doubt else []), f"no column says which {' and '.join(missing)} an interval is of"]
        )
    codes = natural_order(texts[columns["activity"]])
    return Proposal(own.pattern, {**owners, **columns}, counting, table, codes, doubt)


def _values(folder: Path, pattern: str, group: str) -> set[str]:
    """Return the values of a group that a pattern finds; none where it does not have it."""
    return {found[group] for _, found in find(folder, pattern) if group in found}


def _owners(folder: Path, kind: Kind, texts: dict[Column, set[str]], known: list[str]) -> dict[str, Column]:
    """Return group → the column that holds its values, those first that share the most."""
    digits = digit_groups(kind.pattern)
    scores = []
    for i, name in enumerate(name for name in kind.groups if name not in known):
        values = _values(folder, kind.pattern, name)
        for j, (column, own) in enumerate(texts.items()):
            plain = {str(int(text)) if name in digits and text.isdecimal() else text for text in own}
            scores.append((len(plain & values) / max(len(plain | values), 1), -i, -j, name, column))
    owners: dict[str, Column] = {}
    for score, _, _, name, column in sorted(scores, key=lambda entry: entry[:3], reverse=True):
        if score >= _SHARED and name not in owners and column not in owners.values():
            owners[name] = column
    return {name: owners[name] for name in kind.groups if name in owners}


def _counting(start_N: np.ndarray, stop_N: np.ndarray, extent: Extent) -> tuple[str, str]:
    """Return what start and stop count, and a doubt about it."""
    last = float(stop_N.max())
    duration_s = extent.rows / extent.rate_hz
    whole = not (start_N % 1).any() and not (stop_N % 1).any()
    if whole and 1.5 * duration_s < last <= 3 * extent.rows:
        return ("samples-from-1" if start_N.min() >= 1 else "samples-from-0"), ""
    if extent.begin_s is None:
        return "seconds-from-start", ""
    if last < _EPOCH_S < extent.begin_s:
        return "seconds-from-start", ""
    if last > 100 * (extent.begin_s + duration_s):
        return "seconds", "their numbers are too large for seconds: divide them in the file"
    return "seconds", ""
