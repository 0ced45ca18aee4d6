"""Files are whole or not there, and hashes depend on content alone."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import har
from har.files import (
    data_root,
    has_leftovers,
    parse_json,
    recover_folder,
    replacing,
    replacing_folder,
    runs_root,
    sha256_of_file,
    sha256_of_json,
    write_json,
    write_text,
)
from har.seeds import derive_seed
from tests.kills import killed_at


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


def _content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def _replace(folder: Path) -> None:
    with replacing_folder(folder) as part:
        for name in ("a.txt", "new.txt"):
            (part / name).write_text("new")


OLD, NEW = {"a.txt": "old", "old.txt": "old"}, {"a.txt": "new", "new.txt": "new"}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "in" / "folder"
    folder.mkdir(parents=True)
    for name, text in OLD.items():
        (folder / name).write_text(text)
    return folder


def test_a_folder_is_replaced_as_a_whole(old: Path) -> None:
    _replace(old)
    assert _content(old) == NEW
    assert list(old.parent.iterdir()) == [old]


def test_a_folder_that_was_not_there_is_made_with_its_parents(tmp_path: Path) -> None:
    _replace(tmp_path / "a" / "b")
    assert _content(tmp_path / "a" / "b") == NEW


def test_a_folder_that_could_not_be_filled_leaves_the_old_one(old: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing_folder(old) as part:
        (part / "a.txt").write_text(f"half {1 / 0}")
    assert _content(old) == OLD
    assert list(old.parent.iterdir()) == [old]


def test_what_a_killed_process_left_is_cleared_before_a_folder_is_filled(old: Path) -> None:
    old.rename(old.with_name(".folder.old"))
    old.with_name(".folder.part").mkdir()
    (old.with_name(".folder.part") / "half.txt").write_text("half")
    with replacing_folder(old) as part:
        assert _content(old) == OLD
        assert _content(part) == {}
    assert _content(old) == {}


def test_a_folder_that_could_not_be_moved_into_place_leaves_the_old_one(old: Path, monkeypatch) -> None:
    def fails(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise OSError(5, "the disk failed")
        return replace(path, target)

    replace = Path.replace
    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="the disk failed"):
        _replace(old)
    assert _content(old) == OLD
    assert list(old.parent.iterdir()) == [old]


def test_a_link_to_a_folder_is_replaced_and_its_target_is_not(old: Path, tmp_path: Path) -> None:
    old.rename(tmp_path / "target")
    old.symlink_to(tmp_path / "target")
    _replace(old)
    assert _content(old) == NEW
    assert not old.is_symlink()
    assert _content(tmp_path / "target") == OLD
    assert list(old.parent.iterdir()) == [old]


def test_killed_at_any_step_the_old_folder_or_the_new_one_is_there(old: Path, monkeypatch) -> None:
    seen = set()
    for step in itertools.count(1):
        with killed_at(step, monkeypatch) as died:
            _replace(old)
        if not died:
            break
        assert has_leftovers(old) == (list(old.parent.iterdir()) != [old])  # and then they go, or come back
        recover_folder(old)
        assert _content(old) in (OLD, NEW)
        assert list(old.parent.iterdir()) == [old]
        seen.add("new" if _content(old) == NEW else "old")
        recover_folder(old)
        shutil.rmtree(old)
        old.mkdir()
        for name, text in OLD.items():
            (old / name).write_text(text)
    assert _content(old) == NEW
    assert seen == {"old", "new"}
    assert step > 8


@pytest.mark.parametrize("state", ["the new one is in place", "between the renames", "the new one was removed"])
def test_killed_while_it_recovers_nothing_is_lost_or_half(tmp_path: Path, monkeypatch, state: str) -> None:
    for step in itertools.count(1):
        folder = tmp_path / str(step) / "folder"
        there = [(folder.with_name(".folder.old"), OLD)]
        there += [] if state == "between the renames" else [(folder, NEW)]
        for path, content in there:
            path.mkdir(parents=True)
            for name, text in content.items():
                (path / name).write_text(text)
        with killed_at(step, monkeypatch) as died:
            recover_folder(folder)
        if state == "the new one was removed":  # by a person, before the old one was gone
            shutil.rmtree(folder)
        recover_folder(folder)
        assert list(folder.parent.iterdir()) == ([folder] if folder.exists() else [])
        if state == "the new one was removed":
            assert not folder.exists() or _content(folder) == OLD
        else:
            assert _content(folder) == (OLD if state == "between the renames" else NEW)
        if not died:
            break
    assert step > 1


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "{", b"\xff\xfe"])
def test_what_is_no_json_is_a_value_error_however_deep_its_brackets_are(text):
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)
    assert parse_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400])
def test_whole_numbers_are_those_of_64_bits(number):
    assert parse_json(f"[{2**63 - 1}, {-(2**63)}]") == [2**63 - 1, -(2**63)]
    with pytest.raises(ValueError, match=f"of {len(str(abs(number)))} digits is more than 64 bits hold"):
        parse_json(f'{{"a": {number}}}')


def test_every_room_reads_json_in_the_one_way_that_ends_in_a_value_error():
    read = re.compile(r"json\.loads?\((?!json\.dumps|lines?\b)")  # lines of a worker's own pipe are the project's own
    rooms = Path(har.__file__).parent
    found = [path.name for path in sorted(rooms.rglob("*.py")) if read.search(path.read_text(encoding="utf-8"))]
    assert found == ["files.py"]
