"""Why a table cannot be read: the first line that is wrong, what is wrong with it, and what may be meant.

Called when parsing failed, so it may take its time: it reads the lines one by one, as a person would.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from har.datasets.card import Format
from har.errors import DataError

# Cells that are always missing, besides what the card says.
MISSING = ("", "NaN", "nan", "NAN")
_LOWEST = ord("\t")  # of the bytes that text has; a binary file of any size has zeros
_DELIMITERS = {",": "','", ";": "';'", "\t": 'a tab ("\\t")', "|": "'|'"}


def refuse_binary(path: Path, content: bytes) -> None:
    """Refuse what is no text.

    Raises:
        DataError: The file is empty, has bytes that no text has, or is not UTF-8; the line is named.
    """
    if not content or content.isspace():
        what = f"{path} holds blank lines only." if content else f"{path} is empty (0 bytes)."
        raise DataError(what, "Get the file again, or leave it out.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}, line 1: the text is UTF-16, not UTF-8.", "Save it as UTF-8.")
    bytes_N = np.frombuffer(content, np.uint8)
    if bytes_N.min() < _LOWEST:
        at = int(np.argmax(bytes_N < _LOWEST))
        what = f"{path}, line {_line(content, at)}: byte 0x{content[at]:02x}: the file is binary, and no table."
        raise DataError(what, "Get the file again, or correct `path` in the card.")
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError as error:
            what = f"{path}, line {_line(content, error.start)}: byte 0x{content[error.start]:02x} is not UTF-8."
            raise DataError(what, "Save the file as UTF-8.") from None


def explain(
    path: Path, content: bytes, layout: Format, names: list[str], numbers: Collection[int], found: str
) -> DataError:
    """Return the error for a table that could not be parsed.

    Args:
        path: The file.
        content: Its bytes, UTF-8.
        layout: How the card says it is written.
        names: Of its columns, or their numbers.
        numbers: Indices of the columns that must hold numbers.
        found: What the parser said; shown where no line looks wrong.
    """
    whole = content.endswith(b"\n")
    rows = list(_lines(content, layout))
    for number, text in rows[1:] if layout.header else rows:
        fields = fields_of(text, layout)
        where = f"{path}, line {number}"
        if len(fields) != len(names):
            cut = number == rows[-1][0] and len(fields) < len(names) and not whole
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


def line_of_row(path: Path, layout: Format, row: int) -> int:
    """Return the 1-based line that a row of a table stands in.

    Args:
        path: A table that was parsed.
        layout: How it is written.
        row: Counted from 0, without the header.
    """
    for i, (number, _) in enumerate(_lines(path.read_bytes(), layout)):
        if i == row + layout.header:
            return number
    return 0


def fields_of(text: str, layout: Format) -> list[str]:
    """Return the values of one line as they stand there; names of a header come without blanks around them."""
    if layout.delimiter == "whitespace":
        return text.split()
    return [field.strip() for field in next(csv.reader([text.rstrip("\r\n")], delimiter=layout.delimiter), [])]


def _lines(content: bytes, layout: Format) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that is no comment, not blank and not skipped; stripped as the card says."""
    for i, line in enumerate(content.decode("utf-8-sig").split("\n")):
        text = line.rstrip("\r")
        if layout.strip:
            text = text.rstrip(" \t").rstrip(layout.strip)
        is_comment = layout.comment is not None and text.lstrip(" \t").startswith(layout.comment)
        if i >= layout.skip_rows and text.strip() and not is_comment:
            yield i + 1, text


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


def _line(content: bytes, at: int) -> int:
    """Return the 1-based line of a byte."""
    return content.count(b"\n", 0, at) + 1
