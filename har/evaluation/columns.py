"""The columns of a Parquet table that people may have touched: read, held against a schema, refused with file and row.

Columns are arrays by name and not a data frame: a study has thousands of small tables, and looking a column up in a
frame costs as much as checking it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from har.errors import DataError, candidates
from har.files import replacing

Columns = dict[str, np.ndarray]

REMAKE = "Repeat the run that wrote it (`har test` for one run), or restore the file."
_INDEX = "__index_level_"  # how pandas names the columns of an index that it writes


def read_columns(path: Path, what: str) -> Columns:
    """Read a Parquet file; text comes as objects, None where it is missing.

    Args:
        path: The file.
        what: What it holds, for errors.

    Raises:
        DataError: When it is missing or damaged, or has two columns of one name.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such {what} file.", REMAKE)
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            table = file.read(use_threads=False)  # small tables: threads would cost more than they save
        names = [name for name in table.column_names if not name.startswith(_INDEX)]
        _require_unique(path, names)
        return {name: table.column(name).to_numpy() for name in names}
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path}: the {what} file is damaged or no Parquet file ({reason}).", REMAKE) from error


def columns_of(path: Path, frame: pd.DataFrame) -> Columns:
    """Return the columns of a data frame that is to be written; two of one name are a `DataError`."""
    names = [str(name) for name in frame.columns]
    _require_unique(path, names)
    return {name: frame[name].to_numpy() for name in names}


def frame_of(columns: Columns) -> pd.DataFrame:
    """Return typed columns as a data frame: text stays objects, which pandas would else turn into a type of its own."""
    rows = pd.RangeIndex(len(next(iter(columns.values()))))  # one for all: else pandas compares them in pairs
    series = {name: pd.Series(values, rows, values.dtype, copy=False) for name, values in columns.items()}
    frame = pd.DataFrame(series, rows, copy=False)
    frame.columns = pd.Index(list(columns), dtype=object)
    return frame


def write_columns(path: Path, columns: Columns) -> None:
    """Write typed columns as Parquet, whole or not at all."""
    arrays = {name: pa.array(v, pa.string()) if v.dtype == object else pa.array(v) for name, v in columns.items()}
    with replacing(path) as temporary:
        pq.write_table(pa.table(arrays), temporary)


def typed(path: Path, columns: Columns, kinds: Mapping[str, str], *, may_miss: Iterable[str] = ()) -> Columns:
    """Return the columns asked for, in order and typed.

    Args:
        path: The file, named in errors.
        columns: What is there.
        kinds: Name of each column to ``text``, ``int32``, ``float64`` or ``float32``.
        may_miss: Names of text columns in which values may be missing.

    Raises:
        DataError: When a column is missing, strange or of another type, or a value is missing.
    """
    missing = [name for name in kinds if name not in columns]
    if missing:
        raise DataError(f"{path}: column {missing[0]!r} is missing.", candidates(missing[0], columns))
    strange = [name for name in columns if name not in kinds]
    if strange:
        raise DataError(f"{path}: column {strange[0]!r} is not expected.", candidates(strange[0], kinds))
    optional = set(may_miss)
    return {name: _column(path, columns[name], name, kind, name in optional) for name, kind in kinds.items()}


def refuse(path: Path, columns: Columns, wrong_N: np.ndarray, why: str, row_N: np.ndarray | None = None) -> None:
    """Raise a `DataError` that shows the first wrong row, where there is one.

    Args:
        path: The file.
        columns: Among them ``recording``, ``start_s`` and ``end_s``.
        wrong_N: bool (rows,).
        why: What is wrong with these rows.
        row_N: Numbers of the rows in the file, where `columns` are in another order.
    """
    if not wrong_N.any():
        return
    place = int(np.argmax(wrong_N))
    row = place if row_N is None else int(row_N[place])
    recording, start_s, end_s = (columns[name][place] for name in ("recording", "start_s", "end_s"))
    more = f" ({int(wrong_N.sum()) - 1} more such rows)" if wrong_N.sum() > 1 else ""
    at = f"recording {recording}, {start_s:g} s to {end_s:g} s"
    raise DataError(f"{path}, row {row} ({at}): {why}{more}.", REMAKE)


def _require_unique(path: Path, names: list[str]) -> None:
    """Refuse two columns of one name."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: column {twice!r} is there twice.", REMAKE)


def _column(path: Path, values: np.ndarray, name: str, kind: str, may_miss: bool) -> np.ndarray:
    """Return one column in its type; raise where it has another or a value is missing."""
    missing_N = np.asarray(pd.isna(values))
    any_missing = bool(missing_N.any())
    if any_missing and not may_miss:
        raise DataError(f"{path}, row {int(np.argmax(missing_N))}: {name} is missing.", REMAKE)
    if kind == "text":
        return _text(path, values, name, missing_N if any_missing else None)
    wanted = np.dtype(kind)
    kinds = "iu" if wanted.kind == "i" else "f"
    if values.dtype.kind not in kinds:
        expected = "float" if kinds == "f" else "integer"
        raise DataError(f"{path}: column {name!r} has type {values.dtype}, not {expected}.", REMAKE)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
        return values.astype(wanted, copy=False)


def _text(path: Path, values: np.ndarray, name: str, missing_N: np.ndarray | None) -> np.ndarray:
    """Return a column of text, None where it is missing; raise where it is something else."""
    known = values if missing_N is None else values[~missing_N]
    if not all(issubclass(kind, str) for kind in set(map(type, known))):
        raise DataError(f"{path}: column {name!r} has type {values.dtype}, not text.", REMAKE)
    result_N: np.ndarray = values.astype(object)
    if missing_N is not None:
        result_N[missing_N] = None
    return result_N
