"""Tables: the columns of one text file or MATLAB matrix that a card asks for.

Text is parsed by pyarrow, block by block, to the nearest float64. What pyarrow does not know (runs of blanks as
delimiter, comments, stripped characters) is evened out in the bytes before, by `har.datasets.text`. When anything is
wrong, `har.datasets.diagnosis` looks for the line. T = samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from numpy.typing import DTypeLike, NDArray

from har.datasets.card import Format
from har.datasets.diagnosis import MISSING, explain, place_of_row, refuse_binary
from har.datasets.text import rows_of, single_blanks
from har.errors import DataError, candidates

# A quarter of the parser's default fits into the processor's cache: 10 % faster with the rows of HAPT.
_BLOCK_BYTES = 1 << 18
Column = int | str


@dataclasses.dataclass(frozen=True)
class Words:
    """A column of text: `texts[index_T]`, and index -1 where the cell is empty or missing."""

    index_T: NDArray[np.integer[Any]]
    texts: list[str]

    def at(self, row: int) -> str:
        """Return the text of a row in which it is not missing."""
        return self.texts[int(self.index_T[row])]


@dataclasses.dataclass(frozen=True)
class TableData:
    """The columns that were asked for.

    Attributes:
        rows: Of the table, or of a block of it.
        width: Columns that the file has.
        numbers: float64 (rows,) by column; NaN where a value is missing.
        words: Text by column.
    """

    rows: int
    width: int
    numbers: dict[Column, NDArray[np.float64]]
    words: dict[Column, Words]


def read_table(path: Path, layout: Format, numbers: Sequence[Column], words: Sequence[Column]) -> TableData:
    """Read some columns of a table that fits into memory.

    Args:
        path: A text file, or a MATLAB file when the layout names a variable.
        layout: How it is written.
        numbers: Columns of numbers, by 1-based number or by name.
        words: Columns of text.

    Raises:
        DataError: The file is empty, is no text, or is not what the layout says; file and line are named.
    """
    return _concatenated(list(blocks(path, layout, numbers, words)))


def blocks(path: Path, layout: Format, numbers: Sequence[Column], words: Sequence[Column]) -> Iterator[TableData]:
    """Yield some columns of a table, block by block, whatever its size; see `read_table`."""
    if layout.variable is not None:
        yield _read_matrix(path, layout, numbers, words)
        return
    rows = 0
    try:
        for names, body in rows_of(path, layout):
            places = {column: _place(path, column, names) for column in dict.fromkeys([*numbers, *words])}
            _require_apart(path, names, {places[c] for c in numbers} & {places[c] for c in words})
            block = _block(path, layout, names, body, [places[c] for c in numbers], [places[c] for c in words])
            if block.num_rows == 0:
                continue
            found = {c: _values(block[str(places[c])], np.float64, np.nan) for c in numbers}
            _require_finite(path, layout, rows, found)
            yield TableData(
                rows=block.num_rows,
                width=len(names),
                numbers=found,
                words={column: _words(block[str(places[column])], layout) for column in words},
            )
            rows += block.num_rows
    except (DataError, UnicodeDecodeError):
        refuse_binary(path)  # which would be the reason
        raise
    if not rows:
        raise DataError(f"{path} has no rows{' after its header' if layout.header else ''}.", "Get the file again.")


def _require_apart(path: Path, names: list[str], both: set[int]) -> None:
    """Refuse a column that is to be read as numbers and as text."""
    for place in both:
        what = f"{path}: column {place + 1} ({names[place]}) is a channel or the time, and an activity or a group too."
        raise DataError(what, "One of the two names the wrong column in the card.")


def _block(
    path: Path, layout: Format, names: list[str], body: memoryview, numbers: list[int], words: list[int]
) -> pa.Table:
    """Return the rows of a block, or say what is wrong with the file."""
    try:
        return _parse_table(pa.py_buffer(body), layout, len(names), numbers, words)
    except pa.ArrowInvalid as error:
        refuse_binary(path)
        raise explain(path, layout, names, set(numbers), str(error)) from None


def _require_finite(path: Path, layout: Format, row: int, found: dict[Column, NDArray[np.float64]]) -> None:
    """Refuse infinite numbers in the columns of rows that begin with `row`."""
    for column, own_T in found.items():
        if not np.isfinite(own_T).all() and (infinite_T := np.isinf(own_T)).any():
            at = int(np.argmax(infinite_T))
            what = f"{place_of_row(path, layout, row + at)}, column {column}: {own_T[at]} is not a finite number."
            hint = "; or, if it stands for a missing value, add it to `missing`" * (layout.variable is None)
            raise DataError(what, f"Mend the file{hint}.")


def _place(path: Path, column: Column, names: list[str]) -> int:
    """Return the index of a column.

    Raises:
        DataError: There is none, or its name stands twice.
    """
    if isinstance(column, int):
        if column > len(names):
            what = f"{path} has {len(names)} columns, but the card names column {column}."
            raise DataError(what, f"Correct columns or delimiter in the card; the first line has: {names[:8]}.")
        return column - 1
    if names.count(column) != 1:
        count = "no column" if column not in names else "more than one column"
        raise DataError(f"{path}, header: {count} {column!r}.", _which(column, names))
    return names.index(column)


def _which(column: str, names: list[str]) -> str:
    """Return what to do about a column that is not in a header."""
    if column in names:
        return "Give its number in the card."
    if len(names) == 1:
        return f"The header has a single column, {names[0]!r}: is `delimiter` right in the card?"
    return candidates(column, names)


def _parse_table(body: pa.Buffer, layout: Format, width: int, numbers: list[int], words: list[int]) -> pa.Table:
    """Parse the rows; where any number of blanks divides values, as if it were one, if no line shows otherwise."""
    if layout.delimiter != "whitespace":
        return _parse(body, layout, width, numbers, words)
    if not words and len(set(numbers)) == width:
        try:
            table = _parse(body, layout, width, numbers, words)
        except pa.ArrowInvalid:
            table = None
        # Divided by single blanks, each line has `width` numbers, none of them empty: it has no other blanks.
        if table is not None and not any(column.null_count for column in table.columns):
            return table
    return _parse(pa.py_buffer(single_blanks(body.to_pybytes())), layout, width, numbers, words)


def _parse(body: pa.Buffer, layout: Format, width: int, numbers: list[int], words: list[int]) -> pa.Table:
    """Parse rows divided by one character into float64 and dictionary columns, named by their index."""
    types: dict[str, Any] = {str(i): pa.float64() for i in numbers}
    types.update({str(i): pa.dictionary(pa.int32(), pa.string()) for i in words})
    delimiter = " " if layout.delimiter == "whitespace" else layout.delimiter
    if body.size == 0:
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})
    return pc.read_csv(
        body,
        read_options=pc.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, column_names=[str(i) for i in range(width)]
        ),
        parse_options=pc.ParseOptions(delimiter=delimiter),
        convert_options=pc.ConvertOptions(
            column_types=types,
            include_columns=list(types),
            null_values=[*MISSING, *layout.missing],
            strings_can_be_null=True,
            decimal_point=layout.decimal,
        ),
    )


def _values(column: pa.ChunkedArray, dtype: DTypeLike, missing: float) -> NDArray[Any]:
    """Return a column's values, as they lie in memory: to_numpy() imports pandas, which is 0.2 s of a whole second."""
    whole = column.fill_null(missing) if column.null_count else column
    size = np.dtype(dtype).itemsize
    return np.concatenate([np.frombuffer(p.buffers()[1], dtype, len(p), p.offset * size) for p in whole.chunks])


def _words(column: pa.ChunkedArray, layout: Format) -> Words:
    """Return a column of text, without blanks at the ends of the values."""
    whole = column.unify_dictionaries()
    found = [text.strip() for text in whole.chunk(0).dictionary.to_pylist()]
    missing = {*MISSING, *layout.missing}
    texts = [text for text in dict.fromkeys(found) if text not in missing]
    places = {text: i for i, text in enumerate(texts)}
    index = np.array([*(places.get(text, -1) for text in found), -1])
    indices = pa.chunked_array([part.indices for part in whole.chunks])
    return Words(index[_values(indices, np.int32, -1)], texts)


def _read_matrix(path: Path, layout: Format, numbers: Sequence[Column], words: Sequence[Column]) -> TableData:
    """Read columns of a matrix in a MATLAB file (version 5)."""
    import scipy.io

    variable = layout.variable
    try:
        content = scipy.io.loadmat(path, variable_names=[variable])
        there = [name for name, _, _ in scipy.io.whosmat(path)] if variable not in content else []
    except Exception as error:  # noqa: BLE001 - scipy raises whatever damaged bytes lead to
        raise DataError(f"{path} is no MATLAB file of version 5 ({error}).", "Get the file again.") from None
    if variable not in content:
        raise DataError(f"{path}: there is no variable {variable!r}.", candidates(variable, there))
    matrix = content[variable]
    if matrix.ndim != 2 or not matrix.size or not np.issubdtype(matrix.dtype, np.number):
        raise DataError(f"{path}: {variable} is {matrix.dtype} of shape {matrix.shape}, no matrix of numbers.")
    names = [str(i + 1) for i in range(matrix.shape[1])]
    columns = {c: matrix[:, _place(path, c, names)].astype(np.float64) for c in dict.fromkeys([*numbers, *words])}
    _require_finite(path, layout, 0, {column: columns[column] for column in numbers})
    return TableData(
        rows=len(matrix),
        width=matrix.shape[1],
        numbers={column: columns[column] for column in numbers},
        words={column: _numbers_as_words(columns[column]) for column in words},
    )


def _numbers_as_words(values_T: NDArray[np.float64]) -> Words:
    """Return numbers as a person writes them: 3 and not 3.0."""
    values, index_T = np.unique(values_T, return_inverse=True)
    index_T = np.where(np.isnan(values_T), -1, index_T)
    return Words(index_T, [f"{value:.17g}" for value in values])


def _concatenated(pieces: Sequence[TableData]) -> TableData:
    """Return blocks of one table as one, in their order."""
    if len(pieces) == 1:
        return pieces[0]
    words = {}
    for column in pieces[0].words:
        texts = list(dict.fromkeys(text for piece in pieces for text in piece.words[column].texts))
        place = {text: i for i, text in enumerate(texts)}
        parts = []
        for piece in pieces:
            own = piece.words[column]
            index = np.array([*(place[text] for text in own.texts), -1])
            parts.append(index[own.index_T])
        words[column] = Words(np.concatenate(parts), texts)
    return TableData(
        rows=sum(piece.rows for piece in pieces),
        width=pieces[0].width,
        numbers={c: np.concatenate([piece.numbers[c] for piece in pieces]) for c in pieces[0].numbers},
        words=words,
    )
