"""Files: tables that a card describes in its section `files`; no Python for an ordinary layout.

What `har.datasets.gathering` says belongs together is read together, by `har.datasets.loading`, which parts its rows by
the groups that stand in columns. Each part is a recording, or several where a label says that samples are no data.
`docs/cards.md` describes the keys, with an example of each. T = samples, C = channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Card
from har.datasets.codes import DROPPED, Codes
from har.datasets.diagnosis import place_of_row
from har.datasets.gathering import Unit, units_of
from har.datasets.intervals import IntervalFile
from har.datasets.loading import Loaded, Part, Rows
from har.datasets.patterns import digit_groups
from har.datasets.recording import RawRecording, Stream
from har.datasets.spool import Spool
from har.errors import DataError


def read(card: Card, source: Path) -> Iterator[RawRecording]:
    """Yield the recordings of a folder, subject by subject, in natural order.

    Args:
        card: With a section `files`.
        source: The folder.

    Raises:
        DataError: Files are missing, contradict each other, or are not what the card says; file and line are named.
    """
    if card.files is None:
        raise ValueError(f"card {card.name} has no section files")
    units = units_of(card.files, source)
    reader = _Reader(card, source)
    for unit in units:
        yield from reader.recordings(unit)
    reader.finish()


class _Reader:
    """Reads the units of one source.

    Args:
        card: With a section `files`.
        source: The folder.
    """

    def __init__(self, card: Card, source: Path) -> None:
        assert card.files is not None  # noqa: S101 - read() has looked
        self._card, self._files, self._source = card, card.files, source
        self._codes = Codes(card)
        self._digits = set[str]().union(*(digit_groups(table.path) for table in self._files.tables))
        self._trials: Counter[tuple[str, str]] = Counter()
        self._widths: dict[int, tuple[int, Path]] = {}
        self._label = self._files.label
        self._intervals = None
        if self._label is not None and self._label.intervals is not None:
            self._intervals = IntervalFile(source, self._label.intervals, self._codes, self._plain)

    def recordings(self, unit: Unit) -> Iterator[RawRecording]:
        """Yield the recordings of a unit."""
        if unit.lacks:
            yield self._incomplete(unit.groups, unit.names, unit.lacks)
            return
        with Spool() as spool:
            loaded = [self._load(i, names, spool) for i, names in enumerate(unit.files)]
            if self._files.join == "row":
                _require_rows(loaded)
                for table in loaded[1:]:
                    table.require_groups_of(loaded[0])
            for key in dict.fromkeys(key for table in loaded for key in table.parts):
                parts = [table.parts.get(key) for table in loaded]
                there = [part for part in parts if part is not None]
                groups = {**unit.groups, **there[0].groups}
                lacks = tuple(str(t.paths[0]) for t, part in zip(loaded, parts, strict=True) if part is None)
                if lacks and self._files.incomplete == "refuse":
                    named = ", ".join(f"{name} {value}" for name, value in groups.items())
                    what = f"{lacks[0]} has no rows of {named}, and its counterpart has."
                    raise DataError(what, "Get the file again; or set files.incomplete: leave-out in the card.")
                if lacks:
                    yield self._incomplete(groups, unit.names, lacks)
                else:
                    yield from self._recording(unit, groups, loaded, there)

    def finish(self) -> None:
        """Refuse labels of recordings that are not there."""
        if self._intervals is not None:
            self._intervals.refuse_unused(self._files.tables[0].path)

    def _plain(self, group: str, value: str) -> str:
        """Return a group's value as the paths have it: digits without leading zeros."""
        return str(int(value)) if group in self._digits and value.isdecimal() else value

    def _load(self, index: int, names: tuple[str, ...], spool: Spool) -> Loaded:
        """Read the files of one table."""
        table = self._files.tables[index]
        timed = self._files.tables if self._files.join == "row" else (table,)
        label = None
        if index == 0 and self._label is not None and self._label.column is not None:
            label = (self._label.column, self._codes)
        return Loaded(
            table,
            [self._source / name for name in names],
            [channel.name for channel in self._card.channels if channel.name in table.columns],
            spool,
            self._plain,
            label,
            lambda path, width: self._check_width(index, path, width),
            has_clock=any(one.time is not None for one in timed),
        )

    def _check_width(self, index: int, path: Path, width: int) -> None:
        """Refuse a file without header that has other columns than the files before."""
        layout = self._files.tables[index].format
        if layout.header and layout.variable is None:
            return
        expected, first = self._widths.setdefault(index, (width, path))
        if width != expected:
            what = f"{place_of_row(path, layout, 0)}: {width} columns, but {first} has {expected}."
            raise DataError(what, "Files of one kind have the same columns: get the file again, or mend it.")

    def _recording(
        self, unit: Unit, groups: dict[str, str], loaded: Sequence[Loaded], parts: Sequence[Part]
    ) -> Iterator[RawRecording]:
        """Yield the recordings of parts that belong together: more than one where samples are dropped."""
        rows = [table.rows_of(part) for table, part in zip(loaded, parts, strict=True)]
        first, files = rows[0], unit.names
        samples = first.signal_CT.shape[1]
        if first.label_T is not None:
            label_T = first.label_T
        elif self._intervals is not None:
            label_T = self._intervals.labels(groups, samples, self._card.rate_hz, first.time_T, unit.names[0])
            files += self._intervals.files_of(groups)
        else:
            label = self._codes.label(groups["activity"], lambda: loaded[0].place(parts[0].first))
            label_T = np.full(samples, label, np.int16)
        streams = self._streams(loaded, rows)
        for start, stop in _kept(label_T):
            yield RawRecording(
                groups["subject"],
                self._trial(groups),
                tuple(_cut(stream, start, stop - samples) for stream in streams),
                label_T[start:stop],
                {name: groups[name] for name in self._card.extras},
                files,
            )

    def _streams(self, loaded: Sequence[Loaded], rows: Sequence[Rows]) -> list[Stream]:
        """Return one stream a table, or one of all tables where they are joined by row."""
        if self._files.join == "time" or len(loaded) == 1:
            pairs = zip(loaded, rows, strict=True)
            return [Stream(table.channels, own.signal_CT.T, own.time_T) for table, own in pairs]
        found = {
            name: own_T
            for table, own in zip(loaded, rows, strict=True)
            for name, own_T in zip(table.channels, own.signal_CT, strict=True)
        }
        channels = tuple(channel.name for channel in self._card.channels)
        time_T = next((own.time_T for own in rows if own.time_T is not None), None)
        return [Stream(channels, np.stack([found[name] for name in channels]).T, time_T)]

    def _incomplete(self, groups: dict[str, str], files: tuple[str, ...], lacks: tuple[str, ...]) -> RawRecording:
        """Return a recording that cannot be prepared, to be counted."""
        extra = {name: groups[name] for name in self._card.extras}
        subject = groups.get("subject", "unknown")
        return RawRecording(subject, self._trial(groups), (), np.zeros(0, np.int16), extra, files, lacks)

    def _trial(self, groups: dict[str, str]) -> str:
        """Return a trial's name: the groups beside the subject, and a number where that does not tell it apart."""
        base = "-".join(value for name, value in groups.items() if name != "subject")
        key = (groups.get("subject", ""), base)
        self._trials[key] += 1
        number = self._trials[key]
        if not base:
            return str(number)
        return base if number == 1 else f"{base}-{number}"


def _require_rows(loaded: Sequence[Loaded]) -> None:
    """Refuse files of different lengths where row n of all is the same moment."""
    for table in loaded[1:]:
        for path, rows, other, expected in zip(table.paths, table.rows, loaded[0].paths, loaded[0].rows, strict=True):
            if rows != expected:
                raise DataError(
                    f"{path} has {rows} rows, but {other} has {expected}.",
                    "Files joined by row have equally many: get them again, or join by time in the card.",
                )


def _cut(stream: Stream, start: int, stop: int) -> Stream:
    """Return a stream without what lies before row `start`, and the last -`stop` rows."""
    rows = slice(start, len(stream.signal_TC) + stop)
    time_s = None if stream.time_s is None else stream.time_s[rows]
    return Stream(stream.channels, stream.signal_TC[rows], time_s)


def _kept(label_T: NDArray[np.int16]) -> Iterator[tuple[int, int]]:
    """Yield the runs [start, stop) of samples that are not dropped."""
    kept = np.concatenate([[False], label_T != DROPPED, [False]])
    edges = np.flatnonzero(kept[1:] != kept[:-1])
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
