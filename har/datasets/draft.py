"""Drafts of cards: a look at a folder of tables, and a card with what was guessed and what a person must check."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml

from har.datasets.card import Format
from har.datasets.loading import MOST_RETURNS
from har.datasets.patterns import find
from har.datasets.recording import SUBJECT_NAME, natural_order
from har.datasets.table_draft import USUAL_RATE_HZ, Drafted, Seen, see
from har.datasets.tables import Column, Words, blocks

_SCANNED = 200  # files whose activities are listed
_NAMED = 8  # files of a remark
# Latin letters that Unicode does not divide into one of a to z and its accent.
_UNDIVIDED = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ı": "i"})
_BROKEN_RATES_HZ = (12.5, 25.6, 31.25, 33.3, 51.2, 62.5, 102.4)  # of sensors, besides whole numbers
_RATE_TOLERANCE = 0.003


def draft(folder: Path) -> str:
    """Return a card for a folder of tables, in YAML, with a comment beside each guess.

    Args:
        folder: Holds text tables, one or more for each recording, at any depth.

    Raises:
        DataError: There are no such files, or the first of them cannot be read as a table.
    """
    return "\n".join(_card(see(folder))) + "\n"


def _card(seen: Seen) -> list[str]:
    """Return the lines of the card."""
    main, joined = seen.main, len(seen.tables) > 1
    files = sum(len(table.kind.names) for table in seen.tables)
    name, remark = _named(seen.folder.resolve().name)
    rate_hz = f"{_plain_rate(main.time[2]) if main.time else USUAL_RATE_HZ:g}"
    lines = [
        f"# Drafted from {files} file{'s' * (files > 1)}; the first is {main.kind.names[0]}. "
        "Lines that end with CHECK are guesses.",
        f"name: {name}{remark}",
        "source: {kind: folder}",
        "reader: files",
        f"rate_hz: {rate_hz}  # {_rate_remark(seen)} CHECK",
        *_channels(seen),
        _activities(seen),
        "files:",
    ]
    shared = dict(set.intersection(*(set(_keys(table).items()) for table in seen.tables)))
    if joined:
        lines.append(f"  join: {'time' if main.time else 'row'}")
    else:
        lines.append(f"  path: {_text(main.kind.pattern)}  # {_groups_remark(seen)} CHECK")
    if "format" in shared:
        lines.append(f"  format: {shared['format']}")
    if joined:
        lines.append(f"  tables:  # {_groups_remark(seen)} CHECK")
        for table in seen.tables:
            own = {key: value for key, value in _keys(table).items() if key not in shared}
            keys = {"path": _text(table.kind.pattern), "columns": _columns(table), **own}
            lines.append(f"    - {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}")
    else:
        lines.append(f"  columns: {_columns(main)}")
    if seen.subject is not None:
        lines.append(f"  groups: {{subject: {_text(seen.subject)}}}  # who wears the sensors. CHECK")
    if "time" in shared:
        lines.append(f"  time: {shared['time']}")
    return [*lines, *_label(seen), *_remarks(seen)]


def _named(folder: str) -> tuple[str, str]:
    """Return a folder's name as that of a data set, without accents, and a remark where letters of it are lost."""
    parts = unicodedata.normalize("NFKD", folder.casefold().translate(_UNDIVIDED))
    bare = "".join(part for part in parts if not unicodedata.combining(part))
    name = re.sub(r"[^a-z0-9]+", "-", bare).strip("-") or "mine"
    name = name if name[0].isalpha() and yaml.safe_load(name) == name else _text(name)  # 2024 or no is no text
    if any(letter.isalpha() and not letter.isascii() for letter in bare):
        return name, "  # a stand-in for the folder's: a to z, digits and '-' alone make a name. CHECK"
    return name, ""


def _channels(seen: Seen) -> list[str]:
    """Return the lines of the channels."""
    lines = [group.line for table in seen.tables for group in table.channels]
    if not lines:
        return ["channels: []  # no column of numbers is left: write them. CHECK"]
    return ["channels:  # sensor, body site and unit are guesses from names and sizes. CHECK", *lines]


def _keys(table: Drafted) -> dict[str, str]:
    """Return the keys of a table that other tables may share."""
    layout = _format(table.table.layout)
    keys = {"format": layout} if layout else {}
    if table.time:
        keys["time"] = f"{{column: {_text(table.time[0])}, unit: {table.time[1]}}}"
    return keys


def _format(layout: Format) -> str:
    """Return what is unusual about a format, for YAML; empty where nothing is."""
    found = {
        "delimiter": json.dumps(layout.delimiter) if layout.delimiter != "," else "",
        "header": "false" if not layout.header else "",
        "skip_rows": str(layout.skip_rows) if layout.skip_rows else "",
        "comment": json.dumps(layout.comment) if layout.comment else "",
        "decimal": json.dumps(layout.decimal) if layout.decimal != "." else "",
        "strip": json.dumps(layout.strip) if layout.strip else "",
    }
    given = ", ".join(f"{key}: {value}" for key, value in found.items() if value)
    return f"{{{given}}}" if given else ""


def _columns(table: Drafted) -> str:
    """Return the columns of all channels of a table, for YAML."""
    listed = (f"{group.name}: [{', '.join(map(_text, group.columns))}]" for group in table.channels)
    return f"{{{', '.join(listed)}}}"


def _activities(seen: Seen) -> str:
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


def _label(seen: Seen) -> list[str]:
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
        layout = _format(proposed.table.layout)
        doubt = f"{proposed.doubt}. " if proposed.doubt else ""
        return [
            "  label:",
            "    intervals:",
            f"      path: {_text(proposed.path)}",
            *([f"      format: {layout}"] if layout else []),
            f"      columns: {{{columns}}}  # {doubt}CHECK",
            f"      counting: {proposed.counting}  # what start and stop count. CHECK",
        ]
    return [
        "  label: {column: COLUMN}  # no column looks like one; a name or a file of intervals? See docs/cards.md. CHECK"
    ]


def _remarks(seen: Seen) -> list[str]:
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


def _subjects(seen: Seen) -> list[str]:
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


def _rate_remark(seen: Seen) -> str:
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


def _groups_remark(seen: Seen) -> str:
    """Return what the pattern finds."""
    found = find(seen.folder, seen.main.kind.pattern)
    counts = [f"{len({values[name] for _, values in found})} values of {name}" for name in seen.groups]
    files = f"{len(found)} file{'s' * (len(found) > 1)}{' of each' * (len(seen.tables) > 1)}"
    return f"{files}: {', '.join(counts) or 'no groups'}."
