"""Loaded tables: rows with their places in files, their clock, and their channels. T = samples, C = channels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Table
from har.datasets.diagnosis import line_of_row
from har.datasets.tables import TableData, Words
from har.errors import DataError

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclasses.dataclass(frozen=True)
class Loaded:
    """One table of a unit: its pieces one after the other.

    Attributes:
        table: What the card says about it.
        data: All rows.
        paths: The pieces.
        rows: Of each piece.
        order_T: int64 (samples,), where each row stands in the pieces; None: in their order.
    """

    table: Table
    data: TableData
    paths: tuple[Path, ...]
    rows: tuple[int, ...]
    order_T: NDArray[np.int64] | None = None

    def place(self, row: int) -> str:
        """Return file and line of a row."""
        if self.order_T is not None:
            row = int(self.order_T[row])
        piece = 0
        while row >= self.rows[piece]:
            row -= self.rows[piece]
            piece += 1
        path = self.paths[piece]
        if self.table.format.variable is not None:
            return f"{path}, row {row + 1}"
        return f"{path}, line {line_of_row(path, self.table.format, row)}"

    def ordered(self, order_T: NDArray[np.int64]) -> Loaded:
        """Return the same rows in another order, as `order_T` names them; each keeps its place."""
        words = {column: Words(own.index_T[order_T], own.texts) for column, own in self.data.words.items()}
        numbers = {column: own_T[order_T] for column, own_T in self.data.numbers.items()}
        data = dataclasses.replace(self.data, numbers=numbers, words=words)
        return dataclasses.replace(self, data=data, order_T=order_T)

    def time_s(self) -> NDArray[np.float64] | None:
        """Return the timestamps, or None where the table has none."""
        time = self.table.time
        if time is None:
            return None
        if time.unit != "datetime":
            return self.data.numbers[time.column] * _SECONDS[time.unit]
        import pandas as pd  # 0.2 s, and most timestamps are numbers

        words = self.data.words[time.column]
        moments = pd.to_datetime(pd.Series(words.texts, dtype=object), utc=True, format="ISO8601", errors="coerce")
        bad_T = np.append(moments.isna().to_numpy(), False)[words.index_T]  # the last is a missing timestamp
        if bad_T.any():
            row = int(np.argmax(bad_T))
            what = f"{self.place(row)}, column {time.column}: {words.at(row)!r} is no date and time."
            raise DataError(what, "They are written as in 2024-05-31 13:45:00.25 (ISO 8601).")
        seconds = (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(np.float64)
        time_s: NDArray[np.float64] = np.append(seconds, np.nan)[words.index_T]
        return time_s

    def channel(self, name: str, start: int, stop: int) -> NDArray[np.float64]:
        """Return rows of a channel, the sum of its columns."""
        first, *others = (self.data.numbers[column][start:stop] for column in self.table.columns[name])
        return sum(others, start=first)
