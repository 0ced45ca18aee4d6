"""Drafts of cards: a look at a folder of tables, and a card with what was guessed and what a person must check."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from har.datasets.channel_draft import Group, groups_in
from har.datasets.interval_draft import Extent, Proposal, interval_columns, propose
from har.datasets.loading import MOST_RETURNS, SECONDS
from har.datasets.patterns import find
from har.datasets.recording import SUBJECT_NAME, natural_key, natural_order
from har.datasets.sniff import Sniffed, label_columns, sniff, time_column
from har.datasets.survey import SUBJECT, Kind, kind_of, survey
from har.datasets.tables import Column, Words, blocks
from har.errors import DataError

_SCANNED = 200  # files whose activities are listed
_NAMED = 8  # files of a remark
_MOST_KINDS = 20  # of files that are looked into
_USUAL_RATE_HZ = 50.0
_BROKEN_RATES_HZ = (12.5, 25.6, 31.25, 33.3, 51.2, 62.5, 102.4)  # of sensors, besides whole numbers
_RATE_TOLERANCE = 0.003


@dataclasses.dataclass(frozen=True)
class _Drafted:
    """One kind of file, and what its columns seem to be.

    Attributes:
        kind: Its names.
        table: What the first file looks like.
        time: Column of timestamps, unit, and rate in Hz.
        subjects: Columns that may say who it is.
        labels: Columns that may hold activities, the likeliest first.
        channels: All other numbers.
    """

    kind: Kind
    table: Sniffed
    time: tuple[Column, str, float] | None
    subjects: list[Column]
    labels: list[Column]
    channels: list[Group]

    @property
    def own_keys(self) -> dict[str, str]:
        """Keys of the card that other tables may share."""
        layout = self.table.layout
        found = {
            "delimiter": json.dumps(layout.delimiter) if layout.delimiter != "," else "",
            "header": "false" if not layout.header else "",
            "skip_rows": str(layout.skip_rows) if layout.skip_rows else "",
            "decimal": json.dumps(layout.decimal) if layout.decimal != "." else "",
            "strip": json.dumps(layout.strip) if layout.strip else "",
        }
        given = ", ".join(f"{key}: {value}" for key, value in found.items() if value)
        keys = {"format": f"{{{given}}}"} if given else {}
        if self.time:
            keys["time"] = f"{{column: {_text(self.time[0])}, unit: {self.time[1]}}}"
        return keys

    @property
    def columns(self) -> str:
        """The columns of all channels, for YAML."""
        listed = (f"{group.name}: [{', '.join(map(_text, group.columns))}]" for group in self.channels)
        return f"{{{', '.join(listed)}}}"


def draft(folder: Path) -> str:
    """Return a card for a folder of tables, in YAML, with a comment beside each guess.

    Args:
        folder: Holds text tables, one or more for each recording, at any depth.

    Raises:
        DataError: There are no such files, or the first of them cannot be read as a table.
    """
    return "\n".join(_card(_see(folder))) + "\n"


@dataclasses.dataclass
class _Seen:
    """What a folder holds: tables that are read together, intervals, and why each other file is passed over."""

    folder: Path
    tables: list[_Drafted]
    intervals: Proposal | None
    passed: dict[str, str]

    @property
    def main(self) -> _Drafted:
        """The table that activities and subjects stand in."""
        return self.tables[0]

    @property
    def groups(self) -> list[str]:
        """Groups of the paths."""
        return self.main.kind.groups

    @property
    def subject(self) -> Column | None:
        """The column of subjects, where no path says who it is."""
        return self.main.subjects[0] if "subject" not in self.groups and self.main.subjects else None


def _see(folder: Path) -> _Seen:
    """Look at a folder."""
    kinds, passed = survey(folder)
    looked = _sniffed(folder, kinds, passed)
    kinds = [names for names in kinds if names[0] not in passed]
    listed = [names for names in kinds if names[0] in looked and interval_columns(looked[names[0]])]
    signals = [names for names in kinds if names[0] in looked and names not in listed] or listed[:1]
    alike = [names for names in signals if len(names) == len(signals[0])]
    says_activity = listed or any(_columns(looked[names[0]])[2] for names in alike)
    drafted = [_drafted(names, looked[names[0]], may_name_activity=not says_activity) for names in alike]
    tables = _together(folder, drafted)
    seen = _Seen(folder, tables, None, passed)
    used = [table.kind.names for table in tables]
    for names in listed:
        if names in used:
            continue
        proposed = None
        if not seen.intervals and not seen.main.labels and "activity" not in seen.groups:
            proposed = propose(folder, names, seen.main.kind, _extent(seen.main))
        if proposed:
            seen.intervals = proposed
            used.append(names)
    shape = list(seen.main.table.names)
    for names in kinds:
        if names not in used:
            own = looked[names[0]].names if names[0] in looked else []
            passed.update(dict.fromkeys(names, _why(own, shape, names in listed)))
    return seen


def _sniffed(folder: Path, kinds: list[list[str]], passed: dict[str, str]) -> dict[str, Sniffed]:
    """Return what the first file of each kind looks like; files of a kind that cannot be read are passed over.

    Raises:
        DataError: None of them can be read.
    """
    looked: dict[str, Sniffed] = {}
    problem: DataError | None = None
    for names in kinds[:_MOST_KINDS]:
        try:
            looked[names[0]] = sniff(folder / names[0])
        except DataError as error:
            passed.update(
                dict.fromkeys(names, error.what.removeprefix(f"{folder / names[0]}").lstrip(",: ").rstrip("."))
            )
            problem = problem or error
    if not looked and problem is not None:
        raise problem
    return looked


def _why(own: list[str], shape: list[str], is_listed: bool) -> str:
    """Return why files of a kind are not read."""
    if is_listed:
        return "intervals, but the activities stand elsewhere already, or whose they are is not clear"
    if own == shape:
        return "the same columns, but at another depth or under another kind of name"
    if own == [str(i + 1) for i in range(len(own))]:
        return f"{len(own)} columns without names"
    return f"other columns: {', '.join(own[:6])}{', …' * (len(own) > 6)}"


def _columns(table: Sniffed) -> tuple[tuple[Column, str, float] | None, list[Column], list[Column]]:
    """Return the timestamps of a table, and the columns that may hold subjects and activities."""
    time = time_column(table)
    taken: set[Column] = {time[0]} if time else set()
    subjects = [c for c in table.words if c not in taken and SUBJECT.search(table.named(c))]
    return time, subjects, label_columns(table, taken.union(subjects))


def _drafted(names: list[str], table: Sniffed, *, may_name_activity: bool) -> _Drafted:
    """Return one kind of file, its channels not yet named."""
    time, subjects, labels = _columns(table)
    kind = kind_of(names, may_name_activity=may_name_activity, may_guess_subject=not subjects)
    return _Drafted(kind, table, time, subjects, labels, [])


def _together(folder: Path, drafted: list[_Drafted]) -> list[_Drafted]:
    """Return the tables of one recording, with their channels: files of the same groups, joined by time or by row."""
    first = drafted[0]
    values = first.kind.values(folder)
    tables = [first]
    for other in drafted[1:]:
        same_clock = bool(other.time) == bool(first.time) and (first.time or _rows(other) == _rows(first))
        if same_clock and set(other.kind.groups) == set(first.kind.groups) and other.kind.values(folder) == values:
            tables.append(other)
    tables.sort(key=lambda table: (not table.labels, natural_key(table.kind.names[0])))
    found: list[_Drafted] = []
    for table in tables:
        taken = {*([table.time[0]] if table.time else []), *table.subjects, *table.labels}
        names = {group.name for one in found for group in one.channels}
        channels = groups_in(table.table, taken, table.kind.sensor, names)
        if channels or not found:
            found.append(dataclasses.replace(table, channels=channels))
    return found


def _rows(drafted: _Drafted) -> int:
    """Return the rows of the first file, or of its first block."""
    return len(next(iter(drafted.table.numbers.values()), ()))


def _extent(drafted: _Drafted) -> Extent:
    """Return what is known of the first recording."""
    if drafted.time is None:
        return Extent(_rows(drafted), _USUAL_RATE_HZ, None)
    column, unit, rate_hz = drafted.time
    begin_s = float(drafted.table.numbers[column][0]) * SECONDS[unit] if unit in SECONDS else float("inf")
    return Extent(_rows(drafted), rate_hz, begin_s)


def _card(seen: _Seen) -> list[str]:
    """Return the lines of the card."""
    main, joined = seen.main, len(seen.tables) > 1
    files = sum(len(table.kind.names) for table in seen.tables)
    name = re.sub(r"[^a-z0-9]+", "-", seen.folder.resolve().name.lower()).strip("-") or "mine"
    rate_hz = f"{_plain_rate(main.time[2]) if main.time else _USUAL_RATE_HZ:g}"
    lines = [
        f"# Drafted from {files} file{'s' * (files > 1)}; the first is {main.kind.names[0]}. "
        "Lines that end with CHECK are guesses.",
        f"name: {name}",
        "source: {kind: folder}",
        "reader: files",
        f"rate_hz: {rate_hz}  # {_rate_remark(seen)} CHECK",
        "channels:  # sensor, body site and unit are guesses from names and sizes. CHECK",
        *(group.line for table in seen.tables for group in table.channels),
        _activities(seen),
        "files:",
    ]
    shared = dict(set.intersection(*(set(table.own_keys.items()) for table in seen.tables)))
    if joined:
        lines.append(f"  join: {'time' if main.time else 'row'}")
    else:
        lines.append(f"  path: {_text(main.kind.pattern)}  # {_groups_remark(seen)} CHECK")
    if "format" in shared:
        lines.append(f"  format: {shared['format']}")
    if joined:
        lines.append(f"  tables:  # {_groups_remark(seen)} CHECK")
        for table in seen.tables:
            own = {key: value for key, value in table.own_keys.items() if key not in shared}
            keys = {"path": _text(table.kind.pattern), "columns": table.columns, **own}
            lines.append(f"    - {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}")
    else:
        lines.append(f"  columns: {main.columns}")
    if seen.subject is not None:
        lines.append(f"  groups: {{subject: {_text(seen.subject)}}}  # who wears the sensors. CHECK")
    if "time" in shared:
        lines.append(f"  time: {shared['time']}")
    return [*lines, *_label(seen), *_remarks(seen)]


def _activities(seen: _Seen) -> str:
    """Return the line of the activities, with the codes that were found."""
    main, folder = seen.main, seen.folder
    codes: list[str] = []
    if main.labels:
        texts = (
            text
            for name in main.kind.names[:_SCANNED]
            for block in blocks(folder / name, main.table.layout, [], main.labels[:1])
            for text in block.words[main.labels[0]].texts
        )
        codes = natural_order(texts)
    elif "activity" in seen.groups:
        codes = natural_order(found["activity"] for _, found in find(folder, main.kind.pattern))
    elif seen.intervals:
        codes = seen.intervals.codes
    if not codes:
        return "activities: {code: name}  # no activity was found: write its code and name. CHECK"
    entries = ", ".join(f"{_code(code)}: {_text(_slug(code))}" for code in codes)
    return f"activities: {{{entries}}}  # code: name. CHECK"


def _code(code: str) -> str:
    """Return a code for YAML: whole numbers as they are, text in quotes."""
    return code if re.fullmatch(r"0|[1-9][0-9]*", code) else _text(code)


def _slug(code: str) -> str:
    """Return a name for an activity."""
    plain = re.sub(r"[\s_]+", "-", code.strip().lower())
    return f"activity-{plain}" if plain.isdecimal() else plain


def _label(seen: _Seen) -> list[str]:
    """Return the lines that say where the activities stand."""
    labels, proposed = seen.main.labels, seen.intervals
    if labels:
        others = ", ".join(seen.main.table.named(column) for column in labels[1:])
        remark = f"  # or one of: {others}. CHECK" if others else "  # CHECK"
        return [f"  label: {{column: {_text(labels[0])}}}{remark}"]
    if "activity" in seen.groups:
        return []
    if proposed:
        columns = ", ".join(f"{key}: {_text(column)}" for key, column in proposed.columns.items())
        layout = _Drafted(seen.main.kind, proposed.table, None, [], [], []).own_keys
        doubt = f"{proposed.doubt}. " if proposed.doubt else ""
        return [
            "  label:",
            "    intervals:",
            f"      path: {_text(proposed.path)}",
            *(f"      format: {value}" for value in layout.values()),
            f"      columns: {{{columns}}}  # {doubt}CHECK",
            f"      counting: {proposed.counting}  # what start and stop count. CHECK",
        ]
    return [
        "  label: {column: COLUMN}  # no column looks like one; a name or a file of intervals? See docs/cards.md. CHECK"
    ]


def _remarks(seen: _Seen) -> list[str]:
    """Return what a person must know besides: columns and files that are left out, and what cannot be prepared."""
    lines = []
    for table in seen.tables:
        used = {column for group in table.channels for column in group.columns}
        used.update([*table.subjects, *table.labels, *([table.time[0]] if table.time else [])])
        left = [table.table.named(c) for c in [*table.table.numbers, *table.table.words] if c not in used]
        if left:
            where = f" of {table.kind.pattern}" * (len(seen.tables) > 1)
            lines.append(f"# Columns{where} that are left out: {', '.join(dict.fromkeys(left))}. CHECK")
    if "subject" not in seen.groups and seen.subject is None:
        lines.append(
            "# Nothing says who the subject is: put {subject} into the path, or give groups: {subject: COLUMN}."
        )
    if seen.subject is not None and seen.main.time is None and _take_turns(seen.main.table.words[seen.subject]):
        lines.append(
            f"# Rows of several {seen.main.table.named(seen.subject)} take turns: without `time` nothing says how far "
            "apart they are. Name the column of timestamps, or sort the file."
        )
    odd = [name for name in _subjects(seen) if not SUBJECT_NAME.fullmatch(name)]
    if odd:
        lines.append(
            f"# No names of subjects (letters, digits, '-', '_' and '.' alone): {_few(map(repr, odd))}. Rename them."
        )
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name, reason in seen.passed.items():
        by_reason[reason].append(name)
    return lines + [f"# Passed over: {_few(names)}: {reason}." for reason, names in by_reason.items()]


def _take_turns(words: Words) -> bool:
    """Return whether each value of a column begins again and again."""
    runs = 1 + int(np.count_nonzero(np.diff(words.index_T)))
    return runs > MOST_RETURNS * len(words.texts)


def _subjects(seen: _Seen) -> list[str]:
    """Return the subjects that were seen."""
    if seen.subject is not None:
        return natural_order(seen.main.table.words[seen.subject].texts)
    return natural_order(v["subject"] for _, v in find(seen.folder, seen.main.kind.pattern) if "subject" in v)


def _few(names: Iterable[str]) -> str:
    """Return the first of many names."""
    listed = list(names)
    return ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")


def _text(value: Column) -> str:
    """Return a column or a text for YAML."""
    return json.dumps(value, ensure_ascii=False)


def _plain_rate(rate_hz: float) -> float:
    """Return the nominal rate that a measured one stands for: a usual or whole one within 0.3 %, else itself."""
    nearest = min([float(round(rate_hz)), *_BROKEN_RATES_HZ], key=lambda known: abs(known - rate_hz))
    return nearest if nearest and abs(rate_hz - nearest) <= _RATE_TOLERANCE * nearest else round(rate_hz, 3)


def _rate_remark(seen: _Seen) -> str:
    """Return how the rate was found."""
    if seen.main.time is None:
        return "no timestamps were found, so nothing was measured: write what the device's manual says."
    column, _, rate_hz = seen.main.time
    others = [
        f", {table.time[2]:.2f} Hz in {table.kind.names[0]}"
        for table in seen.tables[1:]
        if table.time and _plain_rate(table.time[2]) != _plain_rate(rate_hz)
    ]
    named = seen.main.table.named(column)
    return f"measured {rate_hz:.2f} Hz from the column {named} of the first file{''.join(others)}."


def _groups_remark(seen: _Seen) -> str:
    """Return what the pattern finds."""
    found = find(seen.folder, seen.main.kind.pattern)
    counts = [f"{len({values[name] for _, values in found})} values of {name}" for name in seen.groups]
    files = f"{len(found)} file{'s' * (len(found) > 1)}{' of each' * (len(seen.tables) > 1)}"
    return f"{files}: {', '.join(counts) or 'no groups'}."
