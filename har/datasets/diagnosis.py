"""Why a table cannot be read: the first line that is wrong, what is wrong with it, and what may be meant.

Called when parsing failed, so it may take its time: it reads the lines one by one, as a person would.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from har.datasets.card import Format
from har.datasets.text import blocks_of, fields_of, lines_of
from har.errors import DataError

# Cells that are always missing, besides what the card says.
MISSING = ("", "NaN", "nan", "NAN")
_LOWEST = ord("\t")  # of the bytes that text has; a binary file of any size has zeros
_DELIMITERS = {",": "','", ";": "';'", "\t": 'a tab ("\\t")', "|": "'|'"}


def refuse_binary(path: Path) -> None:
    """Refuse what is no text.

    Raises:
        DataError: The file is empty, has bytes that no text has, or is not UTF-8; the line is named.
    """
    line, is_blank = 1, True
    for block in blocks_of(path):
        if line == 1 and block.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise DataError(f"{path}, line 1: the text is UTF-16, not UTF-8.", "Save it as UTF-8.")
        bytes_N = np.frombuffer(block, np.uint8)
        if bytes_N.min() < _LOWEST:
            at = int(np.argmax(bytes_N < _LOWEST))
            line += block.count(b"\n", 0, at)
            what = f"{path}, line {line}: byte 0x{block[at]:02x}: the file is binary, and no table."
            raise DataError(what, "Get the file again, or correct `path` in the card.")
        try:
            _ = block.isascii() or block.decode()
        except UnicodeDecodeError as error:
            line += block.count(b"\n", 0, error.start)
            what = f"{path}, line {line}: byte 0x{block[error.start]:02x} is not UTF-8."
            raise DataError(what, "Save the file as UTF-8.") from None
        line += block.count(b"\n")
        is_blank = is_blank and block.isspace()
    if is_blank:
        what = f"{path} holds blank lines only." if path.stat().st_size else f"{path} is empty (0 bytes)."
        raise DataError(what, "Get the file again, or leave it out.")


def explain(path: Path, layout: Format, names: list[str], numbers: Collection[int], found: str) -> DataError:
    """Return the error for a table that could not be parsed.

    Args:
        path: The file, UTF-8.
        layout: How the card says it is written.
        names: Of its columns, or their numbers.
        numbers: Indices of the columns that must hold numbers.
        found: What the parser said; shown where no line looks wrong.
    """
    rows = itertools.islice(lines_of(path, layout), int(layout.header), None)
    for (number, text), (after, _) in itertools.pairwise(itertools.chain(rows, [(0, "")])):
        fields = fields_of(text, layout)
        where = f"{path}, line {number}"
        if len(fields) != len(names):
            cut = not after and len(fields) < len(names) and not _ends_with_line(path)
            what = f"{where}: {len(fields)} values where {len(names)} are expected: {text[:60]!r}."
            return DataError(
                what, "The file ends in the middle of a line: get it again." if cut else _width(text, layout)
            )
        for column in sorted(numbers):
            if not _is_number(fields[column].strip(), layout):
                name = f"column {column + 1}" + (f" ({names[column]})" if layout.header else "")
                what = f"{where}, {name}: {fields[column]!r} is not a number."
                return DataError(what, "Mend the file; or, if it stands for a missing value, add it to `missing`.")
    return DataError(f"{path} cannot be read: {found}.", "Compare it with the format in the card.")


def place_of_row(path: Path, layout: Format, row: int) -> str:
    """Return file and line of a row of a table, or its row in a matrix, both counted from 1.

    Args:
        path: A table that was parsed.
        layout: How it is written.
        row: Counted from 0, without the header.
    """
    return f"{path}, row {row + 1}" if layout.variable is not None else f"{path}, line {line_of_row(path, layout, row)}"


def line_of_row(path: Path, layout: Format, row: int) -> int:
    """Return the 1-based line that a row of a table stands in; see `place_of_row`."""
    return next((number for number, _ in itertools.islice(lines_of(path, layout), row + layout.header, None)), 0)


def _ends_with_line(path: Path) -> bool:
    """Return whether the last line of a file is a whole one."""
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() == b"\n"


def _width(text: str, layout: Format) -> str:
    """Return what to do about a line with too few or too many values."""
    others = [name for sign, name in _DELIMITERS.items() if sign != layout.delimiter and text.count(sign) > 1]
    if others and len(fields_of(text, layout)) == 1:
        return f"Mend the line; or set `delimiter` in the card: the line looks divided by {' or '.join(others)}."
    return "Mend the line, or correct the format in the card."


def _is_number(text: str, layout: Format) -> bool:
    """Return whether a cell is a number or stands for a missing one."""
    if text in (*MISSING, *layout.missing):
        return True
    try:
        float(text.replace(layout.decimal, ".") if layout.decimal != "." else text)
    except ValueError:
        return False
    return True
