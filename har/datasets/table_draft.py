"""What the files of a folder seem to be: tables that are read together, intervals, and files that are passed over."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from har.datasets.channel_draft import Group, axes_in, groups_in
from har.datasets.interval_draft import Extent, Proposal, interval_columns, propose
from har.datasets.loading import SECONDS
from har.datasets.patterns import find
from har.datasets.recording import natural_key
from har.datasets.sniff import Sniffed, label_columns, sniff, time_column
from har.datasets.survey import SUBJECT, Kind, kind_of, survey
from har.datasets.tables import Column
from har.errors import DataError

USUAL_RATE_HZ = 50.0
_MOST_KINDS = 20  # of files that are looked into


@dataclasses.dataclass(frozen=True)
class Drafted:
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


@dataclasses.dataclass
class Seen:
    """What a folder holds: tables that are read together, intervals, and why each other file is passed over."""

    folder: Path
    tables: list[Drafted]
    intervals: Proposal | None
    passed: dict[str, str]

    @property
    def main(self) -> Drafted:
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


def see(folder: Path) -> Seen:
    """Look at a folder.

    Raises:
        DataError: It holds no table that can be read.
    """
    kinds, passed = survey(folder)
    looked = _sniffed(folder, kinds, passed)
    kinds = [names for names in kinds if names[0] not in passed]
    listed = [names for names in kinds if names[0] in looked and interval_columns(looked[names[0]])]
    signals = [names for names in kinds if names[0] in looked and names not in listed] or listed[:1]
    alike = [names for names in signals if len(names) == len(signals[0])]
    says_activity = listed or any(_columns(looked[names[0]])[2] for names in alike)
    drafted = [_drafted(names, looked[names[0]], may_name_activity=not says_activity) for names in alike]
    tables = _together(folder, drafted)
    seen = Seen(folder, tables, None, passed)
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
    for name in {name for table in tables for name, _ in find(folder, table.kind.pattern)}.intersection(passed):
        passed[name] += "; but the path matches it, so move it away"
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
    axes = {column for given in axes_in(table, taken).values() for column in given}
    return time, subjects, label_columns(table, taken.union(subjects, axes))


def _drafted(names: list[str], table: Sniffed, *, may_name_activity: bool) -> Drafted:
    """Return one kind of file, its channels not yet named."""
    time, subjects, labels = _columns(table)
    kind = kind_of(names, may_name_activity=may_name_activity, may_guess_subject=not subjects)
    return Drafted(kind, table, time, subjects, labels, [])


def _together(folder: Path, drafted: list[Drafted]) -> list[Drafted]:
    """Return the tables of one recording, with their channels: files of the same groups, joined by time or by row."""
    first = drafted[0]
    values = first.kind.values(folder)
    tables = [first]
    for other in drafted[1:]:
        same_clock = bool(other.time) == bool(first.time) and (first.time or _rows(other) == _rows(first))
        if same_clock and other.kind.values(folder) == values:
            tables.append(other)
    tables.sort(key=lambda table: (not table.labels, natural_key(table.kind.names[0])))
    found: list[Drafted] = []
    for table in tables:
        taken = {*([table.time[0]] if table.time else []), *table.subjects, *table.labels}
        names = {group.name for one in found for group in one.channels}
        channels = groups_in(table.table, taken, table.kind.sensor, names)
        if channels or not found:
            found.append(dataclasses.replace(table, channels=channels))
    return found


def _rows(drafted: Drafted) -> int:
    """Return the rows of the first file, or of its first block."""
    return len(next(iter(drafted.table.numbers.values()), ()))


def _extent(drafted: Drafted) -> Extent:
    """Return what is known of the first recording."""
    if drafted.time is None:
        return Extent(_rows(drafted), USUAL_RATE_HZ, None)
    column, unit, rate_hz = drafted.time
    begin_s = float(drafted.table.numbers[column][0]) * SECONDS[unit] if unit in SECONDS else float("inf")
    return Extent(_rows(drafted), rate_hz, begin_s)
