"""What can be wrong between the values of a card whose types are right."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable

from har.datasets import recipe
from har.datasets.card import Card, Files, Format, Intervals, Source, Table
from har.datasets.patterns import groups_of, problems_of
from har.datasets.readers import READERS
from har.datasets.units import SI
from har.errors import DataError, candidates

_NEEDED = {"distribution": ("distribution", "version", "file", "sha256"), "download": ("archives",), "folder": ()}
_JOINS = ("row", "time")
_TIME_UNITS = ("s", "ms", "us", "ns", "datetime")
_COUNTINGS = ("samples-from-1", "samples-from-0", "seconds", "seconds-from-start")
_INCOMPLETE = ("refuse", "leave-out")


def contradictions(card: Card) -> list[str]:
    """Return one sentence for each contradiction in a card; none for a card that can be used."""
    problems = []
    has_rate = math.isfinite(card.rate_hz) and 0 < card.rate_hz <= recipe.HIGHEST_RATE_HZ
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", card.name):
        problems.append(f"name: {card.name!r} names a folder: use small letters, digits and '-'")
    if not has_rate:
        problems.append(f"rate_hz: {card.rate_hz} is not a rate: samples per second of a wearable sensor are expected")
    problems += _choice("reader", card.reader, READERS)
    problems += [
        f"channels[{i}].unit: {channel.unit!r} is not known. {candidates(channel.unit, SI)}"
        for i, channel in enumerate(card.channels)
        if channel.unit not in SI
    ]
    names = [activity.name for activity in card.activities]
    named = {"null_activity": [card.null_activity] if card.null_activity is not None else []}
    named["facts.rows_per_activity"] = list(card.facts.rows_per_activity) if card.facts else []
    for key, given in named.items():
        problems += [
            f"{key}: {name!r} is not an activity. {candidates(name, names)}" for name in given if name not in names
        ]
    problems += _source(card.source) + _repeated(card) + _splits(card)
    gap_s = card.preparation.max_gap_s
    if has_rate and gap_s == recipe.Recipe().max_gap_s and gap_s is not None and gap_s < 1 / card.rate_hz:
        what = f"at {card.rate_hz:g} Hz each sample is further from the next than a gap ({gap_s} s) may be"
        problems.append(f"rate_hz: {what}: is it a period? Else set preparation.max_gap_s")
    elif has_rate:
        problems += [f"preparation.{problem}" for problem in recipe.problems_of(card.preparation, card.rate_hz)]
    if (card.files is None) == (card.reader == "files"):
        needed = "needs" if card.files is None else "does not read"
        problems.append(f"files: the reader {card.reader!r} {needed} this section")
    if card.files is not None:
        problems += _files(card, card.files)
    return problems


def _choice(key: str, value: str, known: Iterable[str]) -> list[str]:
    """Return the sentence about a value that is none of the known ones."""
    return [] if value in known else [f"{key}: {value!r} is not known. {candidates(value, known)}"]


def _source(source: Source) -> list[str]:
    """Return what is wrong with the source."""
    problems = _choice("source.kind", source.kind, _NEEDED)
    needed = _NEEDED.get(source.kind, ())
    problems += [
        f"source: key {key!r} is missing for the kind {source.kind!r}" for key in needed if not getattr(source, key)
    ]
    for kind, keys in _NEEDED.items():
        if kind != source.kind and source.kind in _NEEDED:
            problems += [
                f"source: key {key!r} is for the kind {kind!r}, not for {source.kind!r}"
                for key in keys
                if getattr(source, key)
            ]
    hashes = {"source.sha256": source.sha256, "source.tree.sha256": source.tree.sha256 if source.tree else None}
    hashes.update({f"source.archives.{archive.name}.sha256": archive.sha256 for archive in source.archives})
    problems += [
        f"{key}: 64 hexadecimal digits are expected"
        for key, digest in hashes.items()
        if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest)
    ]
    return problems


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
        if repeated:
            problems.append(f"{key}: {', '.join(repeated)} stand{'s' * (len(repeated) == 1)} more than once")
    return problems


def _splits(card: Card) -> list[str]:
    """Return what is wrong with the splits: unknown subjects, and parts that share something."""
    problems = []
    for name, split in card.splits.items():
        parts = {"train": split.train, "validation": split.validation, "test": split.test}
        problems += [f"splits.{name}.{part}: the list is empty" for part in ("train", "test") if not parts[part]]
        seen: dict[str, str] = {}
        for part, entries in parts.items():
            for entry in entries:
                subject = entry.split("/")[0]
                if card.subjects and subject not in card.subjects:
                    known = candidates(subject, card.subjects)
                    problems.append(f"splits.{name}.{part}: {subject!r} is not a subject of the card. {known}")
                problems += [
                    f"splits.{name}: {entry} of {part} overlaps with {other} of {place}"
                    for other, place in seen.items()
                    if entry == other or subject == other or entry == other.split("/")[0]
                ]
                seen[entry] = part
    return problems


def check_splits(card: Card, subjects: list[str]) -> None:
    """Hold the splits of a card that lists no subjects against those of its source.

    Args:
        card: Without contradictions; one that lists its subjects has had its splits held against them.
        subjects: Of the source.

    Raises:
        DataError: A split names a subject that is not there.
    """
    for name, split in card.splits.items() if not card.subjects else ():
        for part, entries in dataclasses.asdict(split).items():
            for subject in (entry.split("/")[0] for entry in entries):
                if subject not in subjects:
                    what = f"{card.name}: splits.{name}.{part}: {subject!r} is not a subject of the source."
                    raise DataError(what, candidates(subject, subjects))


def _files(card: Card, files: Files) -> list[str]:
    """Return what is wrong with the section `files`."""
    problems = _choice("files.join", files.join, _JOINS) + _choice("files.incomplete", files.incomplete, _INCOMPLETE)
    if not files.tables:
        return [*problems, "files.tables: the list is empty"]
    paths = {f"files.tables[{i}].path": table.path for i, table in enumerate(files.tables)}
    if files.label is not None and files.label.intervals is not None:
        paths["files.label.intervals.path"] = files.label.intervals.path
    patterns = [f"{where}: {problem}" for where, path in paths.items() for problem in problems_of(path)]
    if patterns:
        return problems + patterns  # nothing can be said about groups that cannot be read
    for i, table in enumerate(files.tables):
        problems += _table(files, table, f"files.tables[{i}]")
    taken = [channel for table in files.tables for channel in table.columns]
    problems += [
        f"files: no table has a column for the channel {channel.name}"
        for channel in card.channels
        if channel.name not in taken
    ]
    problems += [
        f"files: more than one table has the channel {name}"
        for name in sorted({n for n in taken if taken.count(n) > 1})
    ]
    groups = group_names(files.tables[0])
    problems += [
        f"extras: {extra!r} is not a group of the files. {candidates(extra, groups)}"
        for extra in card.extras
        if extra not in groups
    ]
    if "subject" not in groups:
        problems.append(
            "files: nothing says who the subject is: put {subject} into the path, or give groups: {subject: COLUMN}"
        )
    if files.join == "time" and len(files.tables) > 1 and files.label is not None and files.label.drop:
        problems.append("files.label.drop: files that are joined by time cannot lose rows of one of them")
    if files.chain is not None:
        problems += _choice("files.chain", files.chain, groups)
    return problems + _label(files, groups)


def _table(files: Files, table: Table, where: str) -> list[str]:
    """Return what is wrong with one table."""
    problems = _format(table.format, f"{where}.format")
    columns = [column for terms in table.columns.values() for column in terms]
    columns += [*table.groups.values(), *([table.time.column] if table.time else [])]
    if files.label and files.label.column is not None and table is files.tables[0]:
        columns.append(files.label.column)
    problems += _column_problems(columns, table.format, where)
    if table.time is not None:
        problems += _choice(f"{where}.time.unit", table.time.unit, _TIME_UNITS)
    elif files.join == "time":
        problems.append(f"{where}: key 'time' is missing: files that are joined by time need their timestamps")
    for kind, groups, first in (
        ("path", groups_of(table.path), groups_of(files.tables[0].path)),
        ("groups", table.groups, files.tables[0].groups),
    ):
        if set(groups) != set(first):
            problems.append(f"{where}.{kind}: has the groups {sorted(groups)}, but the first table has {sorted(first)}")
    return problems


def _column_problems(columns: Iterable[int | str], layout: Format, where: str) -> list[str]:
    """Return what is wrong with references to columns."""
    problems = [
        f"{where}: column {c} does not exist: columns count from 1" for c in columns if isinstance(c, int) and c < 1
    ]
    if not layout.header or layout.variable is not None:
        problems += [
            f"{where}: column {c!r} is a name, but the file has no header: give its number"
            for c in columns
            if isinstance(c, str)
        ]
    return problems


def _format(layout: Format, where: str) -> list[str]:
    """Return what is wrong with a format."""
    problems = []
    for key, value in (("delimiter", layout.delimiter), ("decimal", layout.decimal), ("comment", layout.comment)):
        single = value is None or (len(value) == 1 and ord(value) < 128 and value not in '\r\n"')
        if not single and not (key == "delimiter" and value == "whitespace"):
            problems.append(
                f"{where}.{key}: one character{' or whitespace' * (key == 'delimiter')} is expected, not {value!r}"
            )
    if layout.delimiter == layout.decimal:
        problems.append(f"{where}: delimiter and decimal sign are both {layout.decimal!r}")
    if layout.skip_rows < 0:
        problems.append(f"{where}.skip_rows: {layout.skip_rows} rows cannot be skipped")
    return problems


def _label(files: Files, groups: list[str]) -> list[str]:
    """Return what is wrong with the place of the activities."""
    label = files.label
    given = int("activity" in groups)
    if label is not None:
        given += (label.column is not None) + (label.intervals is not None)
    if given != 1:
        count = "nothing says" if not given else f"{given} places say"
        return [f"files.label: {count} which activity a sample has: give a group {{activity}}, a column, or intervals"]
    if label is None or label.intervals is None:
        return []
    return _intervals(files, label.intervals, groups)


def _intervals(files: Files, intervals: Intervals, groups: list[str]) -> list[str]:
    """Return what is wrong with a file of intervals."""
    where = "files.label.intervals"
    problems = _format(intervals.format, f"{where}.format")
    problems += _choice(f"{where}.counting", intervals.counting, _COUNTINGS)
    problems += [
        f"{where}.columns: key {key!r} is missing"
        for key in ("activity", "start", "stop")
        if key not in intervals.columns
    ]
    keys = [
        *(key for key in intervals.columns if key not in ("activity", "start", "stop")),
        *groups_of(intervals.path),
    ]
    problems += [
        f"{where}: {key!r} is not a group of the files. {candidates(key, groups)}" for key in keys if key not in groups
    ]
    problems += _column_problems(intervals.columns.values(), intervals.format, where)
    if intervals.counting == "seconds" and files.tables[0].time is None:
        problems.append(
            f"{where}.counting: 'seconds' are those of a time column, and the first table has none: seconds-from-start?"
        )
    return problems


def group_names(table: Table) -> list[str]:
    """Return the groups of a table: those of its path, in order, then those of its columns."""
    return [*groups_of(table.path), *table.groups]
