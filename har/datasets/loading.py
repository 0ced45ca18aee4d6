"""Loading: one table of a unit, read block by block and parted by the groups that stand in its columns.

However large its files are, no more of them is in memory than a block and what the spool keeps; a part is put together
when it is asked for. With a clock, all rows of the same groups are one part, wherever they stand; without one, each run
of such rows is. T = samples, C = channels, R = runs of rows with the same groups.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Table
from har.datasets.codes import Codes
from har.datasets.diagnosis import place_of_row
from har.datasets.spool import Spool
from har.datasets.tables import Column, TableData, Words, blocks
from har.errors import DataError

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
# A group that comes back more often, without a clock, is no return to the sensor but rows that take turns.
MOST_RETURNS = 3
Key = tuple[str, ...]


@dataclasses.dataclass
class Part:
    """Rows of a table that have the same groups.

    Attributes:
        groups: Those that stand in columns.
        first: The row that it begins with.
        rows: How many it has.
        pieces: Numbers of the arrays in the spool that hold them, in order.
    """

    groups: dict[str, str]
    first: int
    rows: int = 0
    pieces: list[int] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of a part.

    Attributes:
        signal_CT: float64 (channels, samples), in the order of the table's channels; NaN where a value is missing.
        time_T: float64 (samples,), seconds; None where the table has no timestamps.
        label_T: int16 (samples,); None where the activities do not stand in this table.
    """

    signal_CT: NDArray[np.float64]
    time_T: NDArray[np.float64] | None
    label_T: NDArray[np.int16] | None


class Loaded:
    """One table of a unit, its files one after the other.

    Args:
        table: What the card says about it.
        paths: The files.
        channels: Those of the table, in the card's order.
        spool: Keeps the rows.
        plain: Group and value → the value as the recordings have it.
        label: The column of activities, and the card's codes; None where they do not stand in this table.
        accept: Is given each file and how many columns it has, to refuse it.
        has_clock: Whether timestamps say how far rows of the same groups are apart that do not follow each other.

    Attributes:
        paths: The same.
        channels: The same.
        rows: Of each file.
        parts: By the values of their groups, and a number for those that have the same; in the order of their begins.

    Raises:
        DataError: A file is not what the card says, a row lacks a group, or groups take turns without a clock.
    """

    def __init__(
        self,
        table: Table,
        paths: Sequence[Path],
        channels: Sequence[str],
        spool: Spool,
        plain: Callable[[str, str], str],
        label: tuple[Column, Codes] | None,
        accept: Callable[[Path, int], None],
        *,
        has_clock: bool,
    ) -> None:
        self.paths, self.channels = tuple(paths), tuple(channels)
        self.rows: list[int] = []
        self.parts: dict[Key, Part] = {}
        self._table, self._spool, self._plain, self._label, self._has_clock = table, spool, plain, label, has_clock
        self._codes: dict[Key, int] = {}  # of the groups' values, in the order in which they begin
        self._begun: Counter[Key] = Counter()
        self._latest: Key = ()  # groups of the row before
        self._blocks: list[tuple[int, int]] = []  # their first rows, and where the spool has the codes of their rows
        numbers, words = self._columns()
        for path in self.paths:
            self.rows.append(0)
            for block in blocks(path, table.format, numbers, words):
                if not self.rows[-1]:
                    accept(path, block.width)
                self._add(block, sum(self.rows))
                self.rows[-1] += block.rows

    def place(self, row: int) -> str:
        """Return file and line of a row."""
        piece = 0
        while piece < len(self.rows) - 1 and row >= self.rows[piece]:
            row -= self.rows[piece]
            piece += 1
        return place_of_row(self.paths[piece], self._table.format, row)

    def rows_of(self, part: Part) -> Rows:
        """Put a part together."""
        values_WT = self._spool.get(part.pieces[0])
        if len(part.pieces) > 1:
            values_WT = np.empty((len(values_WT), part.rows))
            at = 0
            for number in part.pieces:
                piece_WT = self._spool.get(number)
                values_WT[:, at : at + piece_WT.shape[1]] = piece_WT
                at += piece_WT.shape[1]
        channels = len(self.channels)
        return Rows(
            values_WT[:channels],
            values_WT[channels] if self._table.time is not None else None,
            values_WT[-1].astype(np.int16) if self._label is not None else None,
        )

    def require_groups_of(self, first: Loaded) -> None:
        """Refuse a table of which row n is the same moment as of another one, and not of the same groups.

        Args:
            first: The other one; it has as many rows.

        Raises:
            DataError: The groups of a row differ; its lines are named.
        """
        if not self._table.groups:
            return
        own, others = list(self._codes), list(first._codes)
        code_of = np.array([self._codes.get(key, -1) for key in others])
        bounds = sorted({*(begin for begin, _ in [*self._blocks, *first._blocks]), sum(self.rows)})
        for start, stop in itertools.pairwise(bounds):
            own_T, other_T = self._codes_of(start, stop), first._codes_of(start, stop)
            differ = np.flatnonzero(own_T != code_of[other_T])
            if len(differ):
                row = start + int(differ[0])
                pairs = zip(own[own_T[differ[0]]], others[other_T[differ[0]]], strict=True)
                names = sorted(self._table.groups)
                name, value, other = next((n, *pair) for n, pair in zip(names, pairs, strict=False) if len({*pair}) > 1)
                what = f"{self.place(row)}: {name} {value}, but {first.place(row)} has {name} {other}."
                raise DataError(what, "Files joined by row have the same groups: mend them, or join by time.")

    def _codes_of(self, start: int, stop: int) -> NDArray[np.int64]:
        """Return the codes of rows of one block."""
        begin, number = self._blocks[bisect.bisect_right(self._blocks, start, key=lambda block: block[0]) - 1]
        code_T: NDArray[np.int64] = self._spool.get(number)[start - begin : stop - begin].astype(np.int64)
        return code_T

    def _columns(self) -> tuple[list[Column], list[Column]]:
        """Return the columns that are read as numbers, and those that are read as words."""
        time = self._table.time
        numbers = {column for terms in self._table.columns.values() for column in terms}
        words = {*self._table.groups.values(), *([self._label[0]] if self._label else [])}
        if time is not None:
            (words if time.unit == "datetime" else numbers).add(time.column)
        return sorted(numbers, key=str), sorted(words, key=str)

    def _add(self, block: TableData, begin: int) -> None:
        """Put the rows of a block, the first of which is `begin`, into the spool, part by part."""
        values_WT = self._values(block, begin)
        if not self._table.groups:
            self._extend(("1",), {}, begin, values_WT)
            return
        starts_R, code_R = self._runs(block, begin)
        code_T = np.repeat(code_R, np.diff(starts_R, append=block.rows))
        self._blocks.append((begin, self._spool.put(code_T.astype(np.float64))))
        firsts = starts_R
        if self._has_clock:  # the runs of a group are put together; codes are numbered in the order of their begins
            code_R, at_R = np.unique(code_R, return_index=True)
            firsts = starts_R[at_R]
            if (np.diff(code_T) < 0).any():
                values_WT = values_WT[:, np.argsort(code_T, kind="stable")]
            starts_R = np.searchsorted(np.sort(code_T), code_R)
        bounds = [*starts_R.tolist(), block.rows]
        keys = list(self._codes)
        for i, (code, first) in enumerate(zip(code_R.tolist(), firsts.tolist(), strict=True)):
            found = dict(zip(sorted(self._table.groups), keys[code], strict=True))
            groups = {name: found[name] for name in self._table.groups}
            number = "1" if self._has_clock else self._number(keys[code], groups, begin + first)
            self._extend((*keys[code], number), groups, begin + first, values_WT[:, bounds[i] : bounds[i + 1]])

    def _extend(self, key: Key, groups: dict[str, str], first: int, values_WT: NDArray[np.float64]) -> None:
        """Add rows to a part, which begins with them if it has none."""
        part = self.parts.setdefault(key, Part(groups, first))
        part.pieces.append(self._spool.put(values_WT))
        part.rows += values_WT.shape[1]

    def _number(self, key: Key, groups: dict[str, str], row: int) -> str:
        """Return the number of the part that a run belongs to which begins with `row`, where no clock joins runs.

        Raises:
            DataError: The groups come back more often than people do.
        """
        if key != self._latest:
            if self._begun[key] > MOST_RETURNS:
                changed = [n for n, one, other in zip(sorted(groups), key, self._latest, strict=True) if one != other]
                values = ", ".join(f"{name} {value}" for name, value in groups.items())
                raise DataError(
                    f"{self.place(row)}: {values} begins again, for the {self._begun[key]}th time.",
                    "Rows that take turns need `time` in the card, by which they are put together; "
                    "or sort the file by its groups."
                    if changed != ["activity"]
                    else "Where a person goes from one activity to another, it is a label of each row: write "
                    f"label: {{column: {self._table.groups['activity']}}}, in place of the group activity.",
                )
            self._begun[key] += 1
            self._latest = key
        return str(self._begun[key])

    def _runs(self, block: TableData, begin: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the runs of a block begin, and the code of the groups of each.

        Raises:
            DataError: A row lacks a group.
        """
        names = sorted(self._table.groups)
        words = [block.words[self._table.groups[name]] for name in names]
        for name, own in zip(names, words, strict=True):
            if len(own.index_T) and own.index_T.min() < 0:
                row = begin + int(np.argmin(own.index_T))
                raise DataError(f"{self.place(row)}: no {name} is given.", "Mend the line.")
        changes_T = np.any([own.index_T[1:] != own.index_T[:-1] for own in words], axis=0)
        starts_R = np.concatenate([[0], np.flatnonzero(changes_T) + 1])
        kind_R = np.zeros(len(starts_R), np.int64)
        for own in words:  # numbers that stay small, however many groups there are
            kind_R = np.unique(kind_R * len(own.texts) + own.index_T[starts_R], return_inverse=True)[1]
        _, at, kind_R = np.unique(kind_R, return_index=True, return_inverse=True)
        code_of = np.empty(len(at), np.int64)
        for kind in np.argsort(at).tolist():
            row = int(starts_R[at[kind]])
            key = tuple(self._plain(name, own.at(row)) for name, own in zip(names, words, strict=True))
            code_of[kind] = self._codes.setdefault(key, len(self._codes))
        return starts_R, code_of[kind_R]

    def _values(self, block: TableData, begin: int) -> NDArray[np.float64]:
        """Return the rows of a block as they go into the spool: channels, timestamps, labels."""
        time, columns = self._table.time, self._table.columns
        values_WT = np.empty((len(self.channels) + (time is not None) + (self._label is not None), block.rows))
        for i, name in enumerate(self.channels):
            first, *others = (block.numbers[column] for column in columns[name])
            values_WT[i] = first
            for other_T in others:
                values_WT[i] += other_T
        if time is not None and time.unit == "datetime":
            values_WT[len(self.channels)] = self._moments(block.words[time.column], begin)
        elif time is not None:
            np.multiply(block.numbers[time.column], SECONDS[time.unit], out=values_WT[len(self.channels)])
        if self._label is not None:
            column, codes = self._label
            values_WT[-1] = codes.labels(block.words[column], lambda row: self.place(begin + row))
        return values_WT

    def _moments(self, words: Words, begin: int) -> NDArray[np.float64]:
        """Return dates and times in seconds.

        Raises:
            DataError: A cell is no date and time.
        """
        import pandas as pd  # 0.2 s, and most timestamps are numbers

        moments = pd.to_datetime(pd.Series(words.texts, dtype=object), utc=True, format="ISO8601", errors="coerce")
        bad_T = np.append(moments.isna().to_numpy(), False)[words.index_T]  # the last is a missing timestamp
        if bad_T.any():
            row = int(np.argmax(bad_T))
            column = self._table.time.column if self._table.time else ""
            what = f"{self.place(begin + row)}, column {column}: {words.at(row)!r} is no date and time."
            raise DataError(what, "They are written as in 2024-05-31 13:45:00.25 (ISO 8601).")
        seconds = (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)
        time_s: NDArray[np.float64] = np.append(seconds, np.nan)[words.index_T]
        return time_s
