"""A first look at a table that nobody has described: delimiter, header, and what each column may be. T = samples."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Format
from har.datasets.diagnosis import refuse_binary
from har.datasets.loading import SECONDS
from har.datasets.tables import Column, Words, blocks
from har.datasets.text import fields_of
from har.errors import DataError

_LINES = 60  # that a format is guessed from
_COMMENTS = ("#", "%")
_DELIMITERS = (",", ";", "\t", "|", "whitespace")
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?|nan", re.IGNORECASE)

_RATES_HZ = (5.0, 2000.0)  # of sensors that people wear
_TIME_NAMES = re.compile(r"time|stamp|date|clock|epoch|^t$|^ts$|_ms$|_ns$", re.IGNORECASE)
LABEL_NAMES = re.compile(r"activ|label|class|action|annot|target|exercise|gesture", re.IGNORECASE)
_MOST_LABELS = 40


@dataclasses.dataclass(frozen=True)
class Sniffed:
    """What a table looks like.

    Attributes:
        layout: How it seems to be written.
        names: Of its columns; their numbers where there is no header.
        numbers: float64 (rows,) of the columns that hold numbers alone.
        words: Of the other columns.
    """

    layout: Format
    names: list[str]
    numbers: dict[Column, NDArray[np.float64]]
    words: dict[Column, Words]

    def named(self, column: Column) -> str:
        """Return the name of a column."""
        return self.names[column - 1] or str(column) if isinstance(column, int) else column


def sniff(path: Path) -> Sniffed:
    """Look at a table, or at the first block of a large one.

    Args:
        path: A text file.

    Raises:
        DataError: It is empty, is no text, or no delimiter divides its lines into equally many values.
    """
    layout, names, body = _look(path)
    columns: list[Column] = [
        name if layout.header and name and names.count(name) == 1 else i for i, name in enumerate(names, start=1)
    ]
    are_numbers = [
        all(_NUMBER.fullmatch(row[i].strip()) or not row[i].strip() for row in body) for i in range(len(names))
    ]
    numbers = [column for column, is_number in zip(columns, are_numbers, strict=True) if is_number]
    words = [column for column in columns if column not in numbers]
    found = next(blocks(path, layout, numbers, words)).numbers
    words += [column for column in numbers if _is_code(found[column])]
    return Sniffed(layout, names, found, next(blocks(path, layout, [], words)).words)


def shape_of(path: Path) -> tuple[str, ...]:
    """Return what files of one kind have in common: delimiter, and the names of the columns, or how many there are.

    Raises:
        DataError: As `sniff`.
    """
    layout, names, _ = _look(path)
    return (layout.delimiter, *(names if layout.header else [f"{len(names)} columns"]))


def _look(path: Path) -> tuple[Format, list[str], list[list[str]]]:
    """Return format, names of the columns (their numbers without a header), and the values of the first rows."""
    with path.open("rb") as stream:
        lines = [line.decode("utf-8-sig", "replace").rstrip("\r\n") for line in itertools.islice(stream, _LINES)]
    if not any(line.strip() for line in lines) or any(
        ord(sign) < ord("\t") or sign == "\ufffd" for sign in "".join(lines)
    ):
        refuse_binary(path)
    layout = _layout(path, lines)
    lines = [line for line in lines if not (layout.comment and line.startswith(layout.comment))]
    plain = [line.rstrip().rstrip(layout.strip) if layout.strip else line for line in lines[layout.skip_rows :]]
    rows = [fields_of(line, layout) for line in plain if line.strip()]
    names = rows[0] if layout.header else [str(i + 1) for i in range(len(rows[0]))]
    body = rows[1:] if layout.header else rows
    if not body:
        raise DataError(f"{path}: nothing follows its first line.", "Name a folder of tables that have rows.")
    return layout, names, body


def _is_code(values_T: NDArray[np.float64]) -> bool:
    """Return whether numbers may be codes: whole, few, and in long runs."""
    known = values_T[np.isfinite(values_T)]
    if not len(known) or (known % 1).any() or len(np.unique(known)) > _MOST_LABELS:
        return False
    return int(np.count_nonzero(np.diff(known))) <= len(known) / 10


def _layout(path: Path, lines: list[str]) -> Format:
    """Return the format that divides most lines into the same number of values, and into most of them."""
    ends = [line.rstrip()[-1:] for line in lines if line.strip()]
    strip = ";" if ends.count(";") >= 0.8 * len(ends) and any("," in line for line in lines) else None
    lines = [line.rstrip().rstrip(strip) for line in lines] if strip else lines
    best, widest = None, (0, 1)
    comment = next((sign for sign in _COMMENTS if lines[0].startswith(sign)), None)
    remarks = [line for line in lines if comment and line.startswith(comment)]
    lines = [line for line in lines if line not in remarks] or lines
    for delimiter in _DELIMITERS:
        widths = [len(fields_of(line, Format(delimiter=delimiter))) for line in lines if line.strip()]
        width, count = Counter(widths).most_common(1)[0]
        if width > 1 and (count, width) > widest and count >= 0.8 * len(widths):
            best, widest = delimiter, (count, width)
    if best is None:
        what = f"{path}: neither comma, semicolon, tab, '|' nor blanks divide its lines into equally many values."
        raise DataError(what, "Write the card by hand: docs/cards.md.")
    if len(remarks) == 1 and len(fields_of(remarks[0], Format(delimiter=best))) == widest[1]:
        comment, lines = None, [*remarks, *lines]  # a header that begins so
    skip = next(i for i, line in enumerate(lines) if len(fields_of(line, Format(delimiter=best))) == widest[1])
    rows = [fields_of(line, Format(delimiter=best)) for line in lines[skip:] if line.strip()]
    has_header = any(not _NUMBER.fullmatch(cell) for cell in rows[0]) and not any(
        _NUMBER.fullmatch(cell) for cell in rows[0] if cell
    )
    cells = [cell for row in rows[1:] for cell in row]
    comma = best != "," and any(re.fullmatch(r"-?\d+,\d+", cell) for cell in cells)
    return Format(best, has_header, skip, comment, "," if comma else ".", strip)


def time_column(table: Sniffed) -> tuple[Column, str, float] | None:
    """Return the column of timestamps, its unit and the rate in Hz; None where no column looks like one."""
    named = sorted(table.numbers, key=lambda column: not _TIME_NAMES.search(table.named(column)))
    for column in named:
        is_named = bool(_TIME_NAMES.search(table.named(column)))
        steps = np.diff(table.numbers[column])
        forward = steps[steps > 0]
        # under a name of times, rows of people who take turns may repeat them
        if not len(forward) or len(forward) < (0.3 if is_named else 0.9) * len(steps) or np.mean(steps < 0) > 0.1:
            continue
        typical = float(np.median(forward))
        for unit, factor in SECONDS.items():
            counts_rows = (steps == 1).all() and not is_named
            if _RATES_HZ[0] <= 1 / (typical * factor) <= _RATES_HZ[1] and not counts_rows:
                usual = forward[forward <= 1.5 * typical]  # their mean: coarse times bias the median
                return column, unit, 1 / (float(usual.mean()) * factor)
    return _date_column(table)


def _date_column(table: Sniffed) -> tuple[Column, str, float] | None:
    """Return the first column of dates with times."""
    for column, words in table.words.items():
        if words.texts and all(re.match(r"\d{4}-\d\d-\d\d[ T]\d", text) for text in words.texts[:20]):
            moments = np.array(
                [text.replace(" ", "T")[:29].rstrip("Z").split("+")[0] for text in words.texts], "M8[ns]"
            )
            steps = np.diff(moments[words.index_T]).astype(np.int64) / 1e9
            typical = float(np.median(steps)) if len(steps) else 0.0
            return column, "datetime", 1 / typical if typical > 0 else 1.0
    return None


def label_columns(table: Sniffed, besides: set[Column]) -> list[Column]:
    """Return the columns that may hold activities, the likeliest first."""
    found = [
        column
        for column, words in table.words.items()
        if column not in besides
        and 1 <= len(set(words.texts)) <= _MOST_LABELS
        and np.count_nonzero(np.diff(words.index_T)) <= max(len(words.index_T) / 10, 2)
    ]
    return sorted(found, key=lambda column: not LABEL_NAMES.search(table.named(column)))
