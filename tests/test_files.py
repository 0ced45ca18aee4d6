"""Files are whole or not there, and hashes depend on content alone."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from har.files import data_root, replacing, runs_root, sha256_of_file, sha256_of_json, write_json, write_text
from har.seeds import derive_seed


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text(f"half {1 / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # the same file system, so that the rename is atomic
    assert path.read_text() == "new"


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "x")
    (tmp_path / "b.txt").write_text("x")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "b.txt").stat().st_mode)


def test_json_without_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ä": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"ä": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert (tmp_path / "a.json").exists()


@given(st.binary(max_size=100))
def test_file_hash_is_sha256(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        assert sha256_of_file(path) == hashlib.sha256(content).hexdigest()


def test_json_hash_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert sha256_of_json({"a": 1, "b": [1, 2]}) == sha256_of_json({"b": [1, 2], "a": 1})
    assert sha256_of_json({"a": [1, 2]}) != sha256_of_json({"a": [2, 1]})


def test_roots_argument_then_environment_then_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for root, variable, default in ((data_root, "HAR_DATA", "data"), (runs_root, "HAR_RUNS", "runs")):
        assert root() == Path(default)
        monkeypatch.setenv(variable, "elsewhere")
        assert root() == Path("elsewhere")
        assert root("here") == Path("here")


@given(st.lists(st.one_of(st.integers(), st.text()), min_size=1, max_size=4))
def test_seeds_are_31_bits(parts: list[int | str]) -> None:
    assert 0 <= derive_seed(*parts) < 2**31


def test_seeds_are_addresses() -> None:
    assert derive_seed(1, "a") == derive_seed(1, "a") == 2111534570
    assert derive_seed(1, "a") != derive_seed("1", "a")  # a number is not its digits
    assert derive_seed("ab", "c") != derive_seed("a", "bc")
