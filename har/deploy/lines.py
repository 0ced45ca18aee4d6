"""Samples as lines of text: CSV with a header, or one JSON object a line.

    time_s,acc_x,acc_y,acc_z            {"time_s": 0.02, "acc_x": 0.1, "acc_y": 9.8, "acc_z": 0.3}
    0.02,0.1,9.8,0.3

Columns and keys are found by name, in any order; others are passed over. Times are ``time_s`` or ``time_ms``; without
either, samples are evenly spaced. An empty value, ``nan`` or ``null`` is a missing one. A line that cannot be read is
skipped and counted; a hundred of them in a row, or a header without the model's channels, is an error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Channel, Format
from har.datasets.text import fields_of
from har.deploy.signals import stated
from har.errors import DataError, unknown
from har.files import parse_json

LONGEST = 1 << 16  # bytes of a line; a hundred channels take 2 kB
MOST_BAD = 100  # lines in a row
_TIMES = {"time_s": 1.0, "time_ms": 0.001}
_SHOWN = 40  # characters of a value or column that an error names
_MISSING = ("", "nan", "null", "none")

Samples = tuple[NDArray[np.float64], NDArray[np.float64] | None]


class SampleLines:
    """A reader of one stream, given its bytes as they come.

    Args:
        inputs: The channels that a sample must have.

    Attributes:
        bad: Lines that could not be read.
        first_bad: What is wrong with the first of them, with its number; empty without any.
    """

    def __init__(self, inputs: tuple[Channel, ...]) -> None:
        self._inputs = inputs
        self._names = [channel.name for channel in inputs]
        self._rest = b""
        self._too_long = False  # whether the begin of a line was thrown away already
        self._number = 0
        self._is_json: bool | None = None  # None until the first line is there
        self._columns: list[int] = []  # of the CSV: the channels, and the time behind them
        self._time: str | None = None
        self._in_a_row = 0
        self.bad, self.first_bad = 0, ""

    @property
    def is_timed(self) -> bool | None:
        """Whether samples come with times; None until a header, or an object, has been read."""
        return self._time is not None if self._columns else None

    def push(self, data: bytes) -> Samples:
        """Return the samples of the lines that are complete now: signal_TC, and time_s or None.

        Raises:
            DataError: The first line names not all channels, or too many lines in a row cannot be read.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        rows = [row for line in lines if (row := self._read(line)) is not None]
        if len(self._rest) > LONGEST:
            self._rest, self._too_long = b"", True
        return self._samples(rows)

    def end(self) -> Samples:
        """Return the sample of a last line that has no end."""
        line, self._rest = self._rest, b""
        row = self._read(line) if line or self._too_long else None
        return self._samples([] if row is None else [row])

    def _samples(self, rows: list[list[float]]) -> Samples:
        """Return rows as arrays; the time stands last."""
        width = len(self._names) + (self._time is not None)
        values = np.array(rows, np.float64).reshape(len(rows), width)
        if self._time is None:
            return values, None
        return values[:, :-1], values[:, -1] * _TIMES[self._time]

    def _read(self, line: bytes) -> list[float] | None:
        """Return the values of a line, None where it holds no sample."""
        self._number += 1
        if self._too_long or len(line) > LONGEST:
            self._too_long = False
            self._skip(f"it is longer than {LONGEST} bytes")
            return None
        text = line.decode("utf-8-sig" if self._is_json is None else "utf-8", "replace").strip()
        if not text:
            return None
        if self._is_json is None:
            self._is_json = text.startswith("{")
            if not self._is_json:
                self._read_header(text)
                return None
        try:
            row = self._of_object(text) if self._is_json else self._of_fields(_fields(text))
        except ValueError as error:
            self._skip(str(error))
            return None
        self._in_a_row = 0
        return row

    def _skip(self, reason: str) -> None:
        """Count a line that cannot be read.

        Raises:
            DataError: There were too many of them in a row.
        """
        self.bad += 1
        self._in_a_row += 1
        self.first_bad = self.first_bad or f"line {self._number}: {reason}"
        if self._in_a_row >= MOST_BAD:
            raise DataError(
                f"{MOST_BAD} lines in a row cannot be read, the last one being line {self._number}: {reason}.",
                f"Send CSV with a header, or JSON objects, with {stated(self._inputs)}, and time_s.",
            )

    def _read_header(self, text: str) -> None:
        """Find the columns of a CSV.

        Raises:
            DataError: A channel is not among them.
        """
        names = [name.strip() for name in _fields(text)]
        for name in self._names:
            if names.count(name) != 1:
                hint = f"The first line names the columns, commas between; the model is fed {stated(self._inputs)}."
                if name in names:
                    raise DataError(f"the header names {name} more than once.", hint)
                error = unknown("column", name, [each[:_SHOWN] for each in names], "the header of the samples")
                raise DataError(error.what, f"{hint} {error.hint}")
        self._columns = [names.index(name) for name in self._names]
        self._time = next((name for name in _TIMES if name in names), None)
        if self._time is not None:
            self._columns.append(names.index(self._time))
        self._width = len(names)

    def _of_fields(self, fields: list[str]) -> list[float]:
        """Return the values of a line of CSV; raise `ValueError` with the reason where there are none."""
        if len(fields) != self._width:
            raise ValueError(f"it has {len(fields)} values for {self._width} columns")
        return [_number(fields[column].strip()) for column in self._columns]

    def _of_object(self, text: str) -> list[float]:
        """Return the values of a JSON object; raise `ValueError` with the reason where there are none."""
        try:
            value = parse_json(text)
        except ValueError as error:
            raise ValueError(f"it is no JSON: {error}") from None
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")
        missing = [name for name in self._names if name not in value]
        if missing:
            raise ValueError(f"it lacks {missing[0]}")
        if self._time is None and not self._columns:
            self._time = next((name for name in _TIMES if name in value), None)
            self._columns = list(range(len(self._names)))
        if self._time is not None and self._time not in value:
            raise ValueError(f"it lacks {self._time}")
        wanted = [*self._names, *([] if self._time is None else [self._time])]
        return [_json_number(value[name]) for name in wanted]


def _fields(text: str) -> list[str]:
    """Return the values of a line of CSV, which may stand in quotes."""
    return fields_of(text, Format()) if '"' in text else text.split(",")


def _number(text: str) -> float:
    """Return a value of a CSV, NaN where it is missing; raise `ValueError` where it is no number."""
    try:
        return float(text)
    except ValueError:
        if text.lower() in _MISSING:
            return math.nan
        raise ValueError(f"{text[:_SHOWN]!r} is no number") from None


def _json_number(value: Any) -> float:
    """Return a JSON value as a number, NaN for null; raise `ValueError` where it is none."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{str(value)[:_SHOWN]!r} is no number")
    return float(value)
