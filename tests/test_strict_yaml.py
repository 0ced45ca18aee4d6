"""YAML as people write it: mistakes are named with their line, nothing is silently dropped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import UsageError
from har.strict_yaml import parse_yaml, read_yaml


def test_a_syntax_error_names_file_line_and_column(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: a\nvariants: {every: [1\nseed: 0\n")
    with pytest.raises(UsageError, match=r"study\.yaml, line 3, column 5"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "x: {a: 1, a: 1}", "- {a: 1, b: {c: 1, c: 2}}"])
def test_a_key_that_stands_twice_is_refused(text):
    with pytest.raises(UsageError, match=r"line \d.* stands twice"):
        parse_yaml(text, "here")


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=60)
def test_every_way_to_write_a_number_is_a_number(value):
    assert parse_yaml(f"{value:.3e}", "here") == float(f"{value:.3e}")


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1e3", "+1.5e0"])
def test_an_exponent_without_point_or_sign_is_a_number(text):
    assert parse_yaml(text, "here") == float(text)


def test_a_hash_of_letters_and_digits_stays_text():
    assert parse_yaml("12e5f", "here") == "12e5f"


def test_a_missing_file_a_folder_and_bytes_are_refused(tmp_path):
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff")
    for path, words in ((tmp_path / "no.yaml", "no file"), (tmp_path, "folder"), (tmp_path / "bytes.yaml", "UTF-8")):
        with pytest.raises(UsageError, match=words):
            read_yaml(path)


def test_python_objects_are_not_made():
    with pytest.raises(UsageError):
        parse_yaml("!!python/object/apply:os.getcwd []", "here")


@pytest.mark.parametrize("text", ["2024-02-30", "a: 2024-02-30T25:61:00", "[1, !!bool x]", "!!int x", "!!timestamp x"])
def test_a_date_or_a_number_that_is_none_is_refused_with_its_line(text):
    with pytest.raises(UsageError, match=r"^here, line 1, column \d+: '.*' is no "):
        parse_yaml(text, "here")


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_whole_number_beyond_64_bits_is_refused_with_its_line(sign):
    assert parse_yaml(f"a: {sign}{2**63 - 1}", "here")["a"] == int(f"{sign}{2**63 - 1}")
    for value in (2**63 + 1, 10**400):
        with pytest.raises(UsageError, match=r"^here, line 2, column 4: the number .* is more than 64 bits hold"):
            parse_yaml(f"b: 1\na: {sign}{value}", "here")


def test_brackets_without_end_are_refused():
    with pytest.raises(UsageError, match="nested too deeply"):
        parse_yaml("[" * 3000, "here")


def test_aliases_that_stand_for_more_than_memory_holds_are_refused_at_once():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(UsageError, match="aliases stand for more than"):
        parse_yaml("\n".join(lines), "here")
    assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]", "here")["b"] == [[1, 2], [1, 2]]


def test_a_mapping_is_no_key():
    with pytest.raises(UsageError, match=r"line 1.* a mapping or a list stands where a key belongs"):
        parse_yaml("? {a: 1}\n: 2\n", "a.yaml")
