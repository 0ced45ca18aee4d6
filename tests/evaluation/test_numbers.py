"""One way to write a number, one table for three kinds of files."""

from __future__ import annotations

import csv
import io

import pytest

from har.evaluation.numbers import Column, Table, as_words, number, with_minus


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.86549, "score", "0.865"),
        (0.0312, "points", "+3.1"),
        (-0.0312, "points", "-3.1"),
        (-0.0001, "points", "0.0"),
        (0.0001, "points", "0.0"),
        (0.0312, "size", "3.1"),
        (0.0495, "p", "0.0495"),
        (1e-5, "p", "1e-05"),
        (12, "count", "12"),
        (12.4, "mean", "12"),
        (None, "score", ""),
    ],
)
def test_a_number_has_one_form_and_no_negative_zero(value, kind, text):
    assert number(value, kind) == text


def test_only_a_leading_hyphen_becomes_a_minus():
    assert with_minus("-3.1") == "−3.1"
    assert with_minus("1e-05") == "1e-05"


def test_markdown_and_csv_hold_the_same_cells_whatever_the_names():
    names = ["a|b", "<script>", "back\\slash", "*stars*", 'say "x", y', "line\nbreak"]
    table = Table(
        "t", "T", [Column("name"), Column("n", "count"), Column("F1", "score")], [[n, 1, None] for n in names]
    )
    lines = table.markdown().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 2 + len(names)
    assert "<script>" not in table.markdown()
    assert lines[1].count("---") == 3
    rows = list(csv.reader(io.StringIO(table.csv())))
    assert [row[0] for row in rows[1:]] == names
    assert rows[1][1:] == ["1", ""]


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-x", "@sum", "\tsit", "=1"])
def test_a_name_in_a_file_is_no_formula(name):
    assert as_words(name) == "'" + name
    table = Table("t", "T", [Column(name), Column("F1", "points")], [[name, -0.01]])
    assert list(csv.reader(io.StringIO(table.csv()))) == [["'" + name, "F1"], ["'" + name, "-1.0"]]


@pytest.mark.parametrize("name", ["-1", "+2.5", "sit-stand", "a=b", "", "-1e-05"])
def test_a_name_that_nothing_calculates_stays_as_it_is(name):
    assert as_words(name) == name
