"""Text files in blocks of whole lines: no file is ever in memory as a whole, and what is no row is taken out of it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from har.datasets.card import Format
from har.errors import DataError

_BOM = b"\xef\xbb\xbf"
# Large enough that the work on a block outweighs its beginning, and a thousandth of the memory that preparing may take.
BLOCK_BYTES = 1 << 24


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, cut behind ends of lines."""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block if block.endswith(b"\n") else block + stream.readline()


def lines_of(path: Path, layout: Format) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that is no comment, not blank and not skipped; stripped as the card says."""
    with path.open("rb") as stream:
        for i, line in enumerate(stream):
            text = line.removeprefix(_BOM if i == 0 else b"").decode(errors="replace").rstrip("\n").rstrip("\r")
            if layout.strip:
                text = text.rstrip(" \t").rstrip(layout.strip)
            is_comment = layout.comment is not None and text.lstrip(" \t").startswith(layout.comment)
            if i >= layout.skip_rows and text.strip() and not is_comment:
                yield i + 1, text


def fields_of(text: str, layout: Format) -> list[str]:
    """Return the values of one line as they stand there; names of a header come without blanks around them."""
    if layout.delimiter == "whitespace":
        return [field.strip('"') for field in text.split()]
    line = text.rstrip("\r\n").replace("\r", " ")  # a lone carriage return is a blank; csv would refuse the line
    return [field.strip() for field in next(csv.reader([line], delimiter=layout.delimiter), [])]


def rows_of(path: Path, layout: Format) -> Iterator[tuple[list[str], memoryview]]:
    """Yield the rows of a table, block by block, beside the names of its columns: their numbers without a header.

    Args:
        path: The file.
        layout: How it is written.

    Raises:
        DataError: There is no row, and no header.
        UnicodeDecodeError: The header is not UTF-8.
    """
    names: list[str] | None = None
    skip = layout.skip_rows
    for i, block in enumerate(blocks_of(path)):
        start = len(_BOM) if i == 0 and block.startswith(_BOM) else 0
        while skip and start < len(block):
            start = block.find(b"\n", start) + 1 or len(block)
            skip -= 1
        body, start = _plain_rows(block[start:] if start else block, layout), 0
        if names is None:
            body = body.lstrip(b"\r\n")
            if not body or body.isspace():
                continue
            end = body.find(b"\n") + 1 or len(body)
            names, start = fields_of(body[:end].decode(), layout), end
            if not layout.header:
                names, start = [str(number) for number in range(1, len(names) + 1)], 0
        yield names, memoryview(body)[start:]
    if names is None:
        raise DataError(f"{path} has no rows.", "Get the file again, or correct skip_rows in the card.")


def _plain_rows(body: bytes, layout: Format) -> bytes:
    """Return whole lines without comments, characters to be cut off, and blanks beside delimiters."""
    if layout.comment and layout.comment.encode() in body:
        body = re.sub(rb"(?m)^[ \t]*" + re.escape(layout.comment.encode()) + rb".*\n?", b"", body)
    if layout.strip:
        body = re.sub(b"[" + re.escape(layout.strip.encode()) + rb"]+[ \t]*(?=\r?\n|\Z)", b"", body)
    if layout.delimiter not in ("whitespace", " ") and b" " in body:  # a padded 9999 must be known as missing
        quoted = rb'"[^"\n]*"' if b'"' in body else rb"(?!)"  # what stands in quotes keeps its blanks
        between = rb" *(" + re.escape(layout.delimiter.encode()) + rb"|\r?\n) *"
        body = re.sub(rb"(" + quoted + rb")|" + between, rb"\1\2", body).strip(b" ")
    return body


def single_blanks(body: bytes) -> bytes:
    """Return rows with one blank between values, and none at the ends of lines."""
    is_blank = np.frombuffer(body, np.uint8) <= ord(" ")
    if b"\t" not in body and not (is_blank[1:] & is_blank[:-1]).any() and not body.startswith(b" "):
        return body  # the usual case, found in a tenth of the time that searching for pairs of bytes takes
    body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    for blank, plain in ((b"\n ", b"\n"), (b" \n", b"\n"), (b" \r\n", b"\r\n")):
        if blank in body:
            body = body.replace(blank, plain)
    return body.strip(b" ")
