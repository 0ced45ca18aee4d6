"""Files: tables that a card describes in its section `files`; no Python for an ordinary layout.

What `har.datasets.gathering` says belongs together is read together. Its rows are cut where a group that stands in a
column changes, after a clock allowed to put the rows of each group together, and where a label says that samples are no
data; each part is a recording. `docs/cards.md` describes the keys, with an example of each. T = samples, C = channels,
R = runs of rows with the same groups.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Card
from har.datasets.codes import DROPPED, Codes
from har.datasets.gathering import Unit, units_of
from har.datasets.intervals import IntervalFile
from har.datasets.loading import Loaded
from har.datasets.patterns import digit_groups
from har.datasets.recording import RawRecording, Stream
from har.datasets.tables import concatenated, read_table
from har.errors import DataError

# A group that comes back more often, without a clock, is no return to the sensor but rows that take turns.
_MOST_RETURNS = 3


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


@dataclasses.dataclass(frozen=True)
class _Part:
    """Rows [start, stop) of a table, for which all groups have one value."""

    groups: dict[str, str]
    start: int
    stop: int


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
        loaded = [self._load(i, names) for i, names in enumerate(unit.files)]
        for table in loaded:
            _require_groups(table)
        if self._files.join == "row":
            self._check_rows(loaded)
            self._check_groups(loaded)
            loaded = self._in_runs(loaded)
            cuts = [list(self._cut(unit.groups, loaded[0]))] * len(loaded)
        else:
            loaded = [self._in_runs([table])[0] for table in loaded]
            cuts = [list(self._cut(unit.groups, table)) for table in loaded]
        label_T = None
        if self._label is not None and self._label.column is not None:
            words = loaded[0].data.words[self._label.column]
            label_T = self._codes.labels(words, loaded[0].place)
        for parts in _matched(cuts):
            lacks = tuple(str(t.paths[0]) for t, part in zip(loaded, parts, strict=True) if part is None)
            groups = next(part.groups for part in parts if part is not None)
            if lacks and self._files.incomplete == "refuse":
                named = ", ".join(f"{name} {value}" for name, value in groups.items())
                what = f"{lacks[0]} has no rows of {named}, and its counterpart has."
                raise DataError(what, "Get the file again; or set files.incomplete: leave-out in the card.")
            if lacks:
                yield self._incomplete(groups, unit.names, lacks)
            else:
                yield from self._recording(unit, loaded, [part for part in parts if part is not None], label_T)

    def finish(self) -> None:
        """Refuse labels of recordings that are not there."""
        if self._intervals is not None:
            self._intervals.refuse_unused(self._files.tables[0].path)

    def _plain(self, group: str, value: str) -> str:
        """Return a group's value as the paths have it: digits without leading zeros."""
        return str(int(value)) if group in self._digits and value.isdecimal() else value

    def _load(self, index: int, names: tuple[str, ...]) -> Loaded:
        """Read the pieces of one table."""
        table = self._files.tables[index]
        numbers = {column for terms in table.columns.values() for column in terms}
        words = {*table.groups.values()}
        if table.time is not None:
            (words if table.time.unit == "datetime" else numbers).add(table.time.column)
        if index == 0 and self._label is not None and self._label.column is not None:
            words.add(self._label.column)
        paths = tuple(self._source / name for name in names)
        pieces = [read_table(path, table.format, sorted(numbers, key=str), sorted(words, key=str)) for path in paths]
        if not table.format.header or table.format.variable is not None:
            for path, piece in zip(paths, pieces, strict=True):
                self._check_width(index, path, piece.width)
        return Loaded(table, concatenated(pieces), paths, tuple(piece.rows for piece in pieces))

    def _check_width(self, index: int, path: Path, width: int) -> None:
        """Refuse a file without header that has other columns than the files before."""
        expected, first = self._widths.setdefault(index, (width, path))
        if width != expected:
            line = self._files.tables[index].format.skip_rows + 1
            what = f"{path}, line {line}: {width} columns, but {first} has {expected}."
            raise DataError(what, "Files of one kind have the same columns: get the file again, or mend it.")

    def _check_rows(self, loaded: list[Loaded]) -> None:
        """Refuse files of different lengths where row n of all is the same moment."""
        for table in loaded[1:]:
            if table.rows != loaded[0].rows:
                piece = next(
                    (i for i, pair in enumerate(zip(table.rows, loaded[0].rows, strict=True)) if pair[0] != pair[1])
                )
                what = (
                    f"{table.paths[piece]} has {table.rows[piece]} rows, "
                    f"but {loaded[0].paths[piece]} has {loaded[0].rows[piece]}."
                )
                raise DataError(
                    what, "Files joined by row have equally many: get them again, or join by time in the card."
                )

    def _check_groups(self, loaded: list[Loaded]) -> None:
        """Refuse files of which row n is the same moment, and not of the same subject or another group."""
        first, *others = loaded
        for table in others:
            for name in [name for name in first.table.groups if name in table.table.groups]:
                codes: dict[str, int] = {}
                own_T, expected_T = (self._codes_of(one, name, codes) for one in (table, first))
                differ = np.flatnonzero(own_T != expected_T)
                if len(differ):
                    row, values = int(differ[0]), list(codes)
                    what = (
                        f"{table.place(row)}: {name} {values[own_T[row]]}, "
                        f"but {first.place(row)} has {name} {values[expected_T[row]]}."
                    )
                    raise DataError(what, "Files joined by row have the same groups: mend them, or join by time.")

    def _codes_of(self, loaded: Loaded, name: str, codes: dict[str, int]) -> NDArray[np.int64]:
        """Return the number of each row's value of a group; a new value gets the next one in `codes`."""
        words = loaded.data.words[loaded.table.groups[name]]
        own = [codes.setdefault(self._plain(name, text), len(codes)) for text in words.texts]
        code_T: NDArray[np.int64] = np.array(own, np.int64)[words.index_T]
        return code_T

    def _in_runs(self, loaded: list[Loaded]) -> list[Loaded]:
        """Return tables that share their rows, so ordered that each combination of groups is one run.

        Raises:
            DataError: Groups take turns, and no clock says how far a row is from the one before it.
        """
        first = loaded[0]
        if not first.table.groups:
            return loaded
        groups_TG = _column_groups(first)
        starts = _run_starts(groups_TG)
        _, at, group_R = np.unique(groups_TG[starts], axis=0, return_index=True, return_inverse=True)
        group_R = group_R.reshape(-1)
        if len(starts) == len(at):
            return loaded
        if all(table.table.time is None for table in loaded):
            self._refuse_turns(first, starts, group_R)
            return loaded
        rank_R = np.argsort(np.argsort(at))[group_R]  # in the order in which the groups begin
        lengths_R = np.diff([*starts, len(groups_TG)])
        order_T = np.argsort(np.repeat(rank_R, lengths_R), kind="stable")
        return [table.ordered(order_T) for table in loaded]

    def _refuse_turns(self, loaded: Loaded, starts: NDArray[np.int64], group_R: NDArray[np.int64]) -> None:
        """Refuse runs [starts of `loaded`] whose groups come back more often than sessions do."""
        returns: Counter[int] = Counter()
        for start, group in zip(starts.tolist(), group_R.tolist(), strict=True):
            if returns[group] > _MOST_RETURNS:
                columns = loaded.table.groups
                values = (f"{name} {loaded.data.words[column].at(start)}" for name, column in columns.items())
                what = f"{loaded.place(start)}: {', '.join(values)} begins again, for the {returns[group]}th time."
                raise DataError(
                    what,
                    "Rows that take turns need `time` in the card, by which they are put together; "
                    "or sort the file by its groups.",
                )
            returns[group] += 1

    def _cut(self, groups: dict[str, str], loaded: Loaded) -> Iterator[_Part]:
        """Yield the parts of a table in which the groups that stand in columns have one value."""
        columns = loaded.table.groups
        if not columns:
            yield _Part(groups, 0, loaded.data.rows)
            return
        starts = [*_run_starts(_column_groups(loaded)).tolist(), loaded.data.rows]
        for start, stop in itertools.pairwise(starts):
            own = {name: self._plain(name, loaded.data.words[column].at(start)) for name, column in columns.items()}
            yield _Part({**groups, **own}, start, stop)

    def _recording(
        self, unit: Unit, loaded: list[Loaded], parts: list[_Part], label_T: NDArray[np.int16] | None
    ) -> Iterator[RawRecording]:
        """Yield the recordings of one part: more than one where samples are dropped."""
        first, times, files = parts[0], [table.time_s() for table in loaded], unit.names
        samples, groups = first.stop - first.start, first.groups
        if label_T is not None:
            own_T = label_T[first.start : first.stop]
        elif self._intervals is not None:
            time_s = None if times[0] is None else times[0][first.start : first.stop]
            own_T = self._intervals.labels(groups, samples, self._card.rate_hz, time_s, unit.names[0])
            files += self._intervals.files_of(groups)
        else:
            label = self._codes.label(groups["activity"], lambda: f"{loaded[0].place(first.start)}")
            own_T = np.full(samples, label, np.int16)
        for start, stop in _kept(own_T):
            own = [_Part(groups, part.start + start, part.stop - (samples - stop)) for part in parts]
            yield RawRecording(
                groups["subject"],
                self._trial(groups),
                self._streams(loaded, times, own),
                own_T[start:stop],
                {name: groups[name] for name in self._card.extras},
                files,
            )

    def _streams(
        self, loaded: list[Loaded], times: list[NDArray[np.float64] | None], parts: list[_Part]
    ) -> tuple[Stream, ...]:
        """Return one stream a table, or one of all tables where they are joined by row."""
        order = [channel.name for channel in self._card.channels]
        sources = list(zip(loaded, times, parts, strict=True))
        groups = [sources] if self._files.join == "row" else [[source] for source in sources]
        return tuple(_stream(order, group) for group in groups)

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


def _column_groups(loaded: Loaded) -> NDArray[np.int64]:
    """Return numbers that stand for each row's groups in columns (rows, groups), -1 where none is given."""
    columns = loaded.table.groups.values()
    return np.stack([loaded.data.words[column].index_T.astype(np.int64) for column in columns], axis=1)


def _run_starts(groups_TG: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows in which a group has another value than in the row before; 0 is the first."""
    changes = np.flatnonzero((groups_TG[1:] != groups_TG[:-1]).any(axis=1)) + 1
    return np.concatenate([[0], changes])


def _require_groups(loaded: Loaded) -> None:
    """Refuse a row without a value of a group."""
    if not loaded.table.groups:
        return
    missing = np.argwhere(_column_groups(loaded) < 0)
    if len(missing):
        row, group = missing[0]
        raise DataError(f"{loaded.place(int(row))}: no {list(loaded.table.groups)[group]} is given.", "Mend the line.")


def _stream(order: list[str], sources: list[tuple[Loaded, NDArray[np.float64] | None, _Part]]) -> Stream:
    """Return the stream of tables that share a clock, with their channels in the card's order."""
    of_channel = {name: (table, part) for table, _, part in sources for name in table.table.columns}
    channels = tuple(name for name in order if name in of_channel)
    signal_TC = np.empty((len(channels), sources[0][2].stop - sources[0][2].start)).T  # as columns are copied fastest
    for i, name in enumerate(channels):
        table, part = of_channel[name]
        signal_TC[:, i] = table.channel(name, part.start, part.stop)
    clock = next((time_s[part.start : part.stop] for _, time_s, part in sources if time_s is not None), None)
    return Stream(channels, signal_TC, clock)


def _matched(cuts: list[list[_Part]]) -> Iterator[list[_Part | None]]:
    """Yield the parts of all tables that have the same groups; None where a table has no such part."""
    keyed = []
    for parts in cuts:
        seen: Counter[tuple[str, ...]] = Counter()
        own: dict[tuple[str, ...], _Part] = {}
        for part in parts:
            values = tuple(part.groups.values())
            seen[values] += 1
            own[(*values, str(seen[values]))] = part
        keyed.append(own)
    for key in dict.fromkeys(key for own in keyed for key in own):
        yield [own.get(key) for own in keyed]


def _kept(label_T: NDArray[np.int16]) -> Iterator[tuple[int, int]]:
    """Yield the runs [start, stop) of samples that are not dropped."""
    kept = np.concatenate([[False], label_T != DROPPED, [False]])
    edges = np.flatnonzero(kept[1:] != kept[:-1])
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
