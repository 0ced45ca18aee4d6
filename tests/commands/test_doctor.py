"""`har doctor`: one line a finding, and exit code 3 for what a study cannot do without."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

import pytest

from har.__main__ import main
from tests.study.small import write_root


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("data"))


@pytest.fixture
def root(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with the fake of SPAR, of which the built-in card is made to be the card."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(prepared / "prepared", tmp_path / "data" / "prepared")
    manifest = json.loads((tmp_path / "data" / "prepared" / "spar" / "manifest.json").read_text())
    monkeypatch.setattr("har.datasets.card.Card.sha256", manifest["card_sha256"])
    return tmp_path / "data"


def doctor(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[str]]:
    """Return the exit code and what is said of the data."""
    code = main(["doctor", *map(str, words)])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line.split(None, 1)) == 2 for line in lines)  # a name and a finding, on one line
    return code, [line.split(None, 1)[1] for line in lines if line.startswith("data ")]


def test_a_prepared_data_set_is_named(root, capsys):
    assert doctor(capsys, "--root", root) == (0, ["prepared: spar"])


def test_nothing_prepared_is_no_fault(tmp_path, capsys):
    assert doctor(capsys, "--root", tmp_path) == (0, ["prepared: none yet (har prepare spar)"])


@pytest.mark.parametrize(
    ("file", "said"), [("label.npy", "label.npy has 3 bytes instead of"), ("manifest.json", "damaged")]
)
def test_a_damaged_store_is_not_called_prepared(root, capsys, file, said):
    (root / "prepared" / "spar" / file).write_bytes(b"cut")
    code, lines = doctor(capsys, "--root", root)
    assert code == 3
    assert len(lines) == 2
    assert lines[0].startswith("prepared: none yet")
    assert lines[1].startswith(f"store {root / 'prepared' / 'spar'} ")
    assert said in lines[1]
    assert lines[1].endswith("Make it: har prepare spar")


def test_a_store_of_ones_own_is_listed_and_a_left_over_is_not(root, capsys):
    shutil.copytree(root / "prepared" / "spar", root / "prepared" / "mine")
    (root / "prepared" / ".spar.part").mkdir()
    (root / "prepared" / ".spar.old").mkdir()
    assert doctor(capsys, "--root", root) == (0, ["prepared: spar", "stores of other cards or recipes: mine"])


def test_a_damaged_store_of_ones_own_is_reported_too(root, capsys):
    shutil.copytree(root / "prepared" / "spar", root / "prepared" / "mine")
    (root / "prepared" / "mine" / "signal.npy").unlink()
    code, lines = doctor(capsys, "--root", root)
    assert (code, lines[0]) == (3, "prepared: spar")
    assert "signal.npy is missing" in lines[1]


def test_a_store_of_an_earlier_card_is_told_apart(root, capsys, monkeypatch):
    monkeypatch.setattr("har.datasets.card.Card.sha256", "another")
    code, lines = doctor(capsys, "--root", root)
    assert code == 0
    assert lines == [
        "prepared: none yet (har prepare spar)",
        "spar was prepared from another card or recipe than this version's: har prepare spar",
    ]


@pytest.mark.parametrize("package", ["seglearn", "torch"])
def test_a_missing_package_is_exit_code_3(root, capsys, monkeypatch, package):
    there = importlib.metadata.version

    def version(name: str) -> str:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return there(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["doctor", "--root", str(root)]) == 3
    assert f"{package}" in capsys.readouterr().out
    assert main(["doctor", "--versions"]) == 3
    assert "missing: make install" in capsys.readouterr().out


def test_versions_are_versions_alone(capsys):
    assert main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("har ")
    assert not any(line.startswith(("threads", "data", "disk")) for line in lines)
