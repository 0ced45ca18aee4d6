"""How numbers and tables are written: one function for every number, one table for Markdown, CSV and the page."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from typing import Any

_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_FORMATS = {
    "score": ".3f",  # F1, precision, recall, accuracy, shares
    "points": "+.1f",  # differences of F1, in points (hundredths)
    "size": ".1f",  # unsigned differences of F1, in points
    "p": ".3g",
    "count": "d",
    "mean": ".0f",  # mean of counts
    "seconds": ".1f",
    "offset": "+.2f",  # seconds, late or early
    "span": ".2f",  # short spans, in seconds
    "ratio": ".2f",
    "change": "+.1f",  # differences of times
    "value": "g",  # settings
    "probe": ".3g",  # what is measured of a layer
    "correlation": "+.2f",
}


def number(value: float | None, kind: str) -> str:
    """Return a number as text, the same on the terminal, in Markdown, CSV and HTML.

    Args:
        value: The number; F1 and its differences as fractions. None where it is undefined.
        kind: ``score``, ``points`` or ``size`` (hundredths), ``p``, ``count``, ``mean``, ``seconds``, ``offset``,
            ``span``, ``ratio``, ``change`` (a signed difference of times), ``value`` (a setting), ``probe`` (what is
            measured of a layer) or ``correlation``.

    Returns:
        The text; empty where the value is undefined. Never a negative zero.
    """
    if value is None:
        return ""
    if kind == "count":
        return str(int(value))
    text = format(100 * value if kind in ("points", "size") else value, _FORMATS[kind])
    return text.lstrip("+-") if float(text) == 0 else text


def as_words(text: str) -> str:
    """Return a name that a spreadsheet takes for words: an apostrophe stands before what it would calculate."""
    calculated = text[:1] in ("=", "+", "-", "@", "\t", "\r") and not re.fullmatch(_NUMBER, text)
    return f"'{text}" if calculated else text


def with_minus(text: str) -> str:
    """Return a number with the minus sign of print, for pages and figures; files keep the hyphen, which parses."""
    return text.replace("-", "−", 1) if text.startswith("-") else text


@dataclass(frozen=True)
class Column:
    """One column of a table: its head, and the kind of its numbers (``text`` for words)."""

    head: str
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """A table of plain values, written out in three ways from the same cells.

    Attributes:
        name: File name without ending.
        title: What it shows; names the policy where scores depend on one.
        columns: The columns.
        rows: Values, one list per row.
        note: A sentence below the table.
    """

    name: str
    title: str
    columns: list[Column]
    rows: list[list[Any]] = field(default_factory=list)
    note: str = ""

    def cells(self) -> list[list[str]]:
        """Return every row as text."""
        return [
            [
                str(value) if column.kind == "text" else number(value, column.kind)
                for column, value in zip(self.columns, row, strict=True)
            ]
            for row in self.rows
        ]

    def markdown(self) -> str:
        """Return the table as aligned Markdown; an undefined number is n/a."""
        heads = [escape_markdown(column.head) for column in self.columns]
        body = [[escape_markdown(cell) or "n/a" for cell in row] for row in self.cells()]
        widths = [max(3, *(len(row[i]) for row in [heads, *body])) for i in range(len(heads))]
        rule = [
            ("-" * width if c.kind == "text" else "-" * (width - 1) + ":")
            for width, c in zip(widths, self.columns, strict=True)
        ]
        lines = [self._line(heads, widths), "| " + " | ".join(rule) + " |"]
        lines.extend(self._line(row, widths) for row in body)
        return "\n".join(lines)

    def csv(self) -> str:
        """Return the table as CSV with a head line; an undefined number is an empty cell, a name is never a formula."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([as_words(column.head) for column in self.columns])
        words = [column.kind == "text" for column in self.columns]
        for row in self.cells():
            writer.writerow([as_words(cell) if is_text else cell for cell, is_text in zip(row, words, strict=True)])
        return stream.getvalue()

    def _line(self, cells: list[str], widths: list[int]) -> str:
        """Return one line of Markdown, words to the left and numbers to the right."""
        padded = [
            cell.ljust(width) if column.kind == "text" else cell.rjust(width)
            for cell, width, column in zip(cells, widths, self.columns, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"


def escape_markdown(text: str) -> str:
    """Return text that stays text in Markdown: no cell ends early, no tag begins."""
    text = " ".join(text.split())
    for sign, safe in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("`", "\\`"), ("*", "\\*"), ("[", "\\[")):
        text = text.replace(sign, safe)
    return text
