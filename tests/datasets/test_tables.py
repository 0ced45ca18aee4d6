"""Tables: every cell of a long file is where it was, whatever blocks the parser reads it in."""

import csv

import numpy as np
import pyarrow as pa

from har.datasets.card import Format
from har.datasets.tables import _values, read_table
from tests.conftest import fresh


def test_a_table_of_many_blocks_is_read_as_a_whole(tmp_path):
    random = fresh()
    rows = 60_000  # 2 MB, of which a block holds an eighth
    numbers = [repr(value) if value < 0.9 else "" for value in random.random(rows).tolist()]
    words = random.choice(["walk", "", "sit down", "nan"], rows).tolist()
    late = ["first" if i < rows // 2 else "later" for i in range(rows)]  # a dictionary that grows on the way
    path = tmp_path / "long.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(zip(numbers, words, late, strict=True))
        stream.write("\n" * 600_000)  # blocks without a row
    data = read_table(path, Format(delimiter=",", header=False), [1], [2, 3])
    assert (data.rows, data.width) == (rows, 3)
    np.testing.assert_array_equal(data.numbers[1], [float(text) if text else np.nan for text in numbers])
    for column, expected in ((2, words), (3, late)):
        own = data.words[column]
        found = [own.texts[i] if i >= 0 else None for i in own.index_T]
        assert found == [None if text in ("", "nan") else text for text in expected]


def test_numbers_in_quotes_are_numbers_whatever_divides_them(tmp_path):
    path = tmp_path / "quoted.csv"
    for delimiter, decimal in ((",", "."), (";", ","), ("\t", "."), ("whitespace", ".")):
        between = {"whitespace": " "}.get(delimiter, delimiter)
        path.write_text(f'"a"{between}"b"\n"1{decimal}5"{between}"-2"\n"9999"{between}"3"\n')
        data = read_table(path, Format(delimiter=delimiter, decimal=decimal, missing=("9999",)), ["a", "b"], [])
        np.testing.assert_array_equal([data.numbers["a"], data.numbers["b"]], [[1.5, np.nan], [-2, 3]])


def test_a_part_of_a_longer_column_begins_where_it_begins():
    for values in ([1.0, 2.0, 3.0], [1.0, None, 3.0]):
        column = pa.chunked_array([pa.array(values).slice(1), pa.array([5.0, 6.0]).slice(1)])
        np.testing.assert_array_equal(_values(column, np.float64, np.nan), [values[1] or np.nan, 3, 6])
